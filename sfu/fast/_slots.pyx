# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Slots, their streams, who listens to them together, and what is told of them."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memset

from sfu.fast._held cimport forget_stream
from sfu.fast._history cimport History, new_history, remember
from sfu.fast._pack cimport Pack, new_pack, unlink_pack
from sfu.fast._routes cimport Routes
from sfu.fast._rows cimport AUDIENCE_SLOTS_MAX, FORMS, NOBODY, Audience, Egress, Slot, Stream
from sfu.fast._tables cimport grown
from sfu.fast._tap cimport TapRecord, open_taps

from sfu.fast.records import Tapped

# A record without the Python call that its class makes: a mixer asks for thousands a second.
cdef object new_record = tuple.__new__


cdef class Slots(Routes):
    def add_audience(self):
        cdef int32_t row = self.audience_rows.take()
        cdef Audience* audience
        self.audiences = <Audience*>grown(
            self.audiences, &self.audience_capacity, row + 1, sizeof(Audience)
        )
        audience = &self.audiences[row]
        audience.alive = True
        audience.is_segmented = False
        audience.slot_count = audience.held_count = 0
        audience.next = audience.previous = NOBODY
        return row

    def remove_audience(self, int32_t audience):
        if self._audience(audience).slot_count > 0:
            raise ValueError(f"audience {audience} still has slots")
        self.audiences[audience].alive = False
        self.audience_rows.give_back(audience)

    def add_slot(self, int32_t audience=NOBODY, *, bint lean=False):
        cdef int32_t row
        if audience != NOBODY and self._audience(audience).slot_count >= AUDIENCE_SLOTS_MAX:
            raise OverflowError(f"an audience has at most {AUDIENCE_SLOTS_MAX} slots")
        row = self._open_slot(audience, lean)
        if audience != NOBODY:
            self.audiences[audience].slots[self.audiences[audience].slot_count] = row
            self.audiences[audience].slot_count += 1
        return row

    def remove_slot(self, int32_t slot):
        cdef Slot* row = self._slot(slot)
        self._assert_drained()
        self._vacate(slot)
        if row.audience != NOBODY:
            self._leave_audience(slot)
        if row.packed != NOBODY:
            self._close_packed(row.packed)
        self._close_slot(slot)

    def assign(self, int32_t slot, int32_t source, double now):
        cdef Slot* row = self._slot(slot)
        self._assert_drained()
        if source == row.source:
            return
        if source != NOBODY and self._source(source).slot != NOBODY:
            raise ValueError(f"source {source} holds slot {self.sources[source].slot} already")
        self._vacate(slot)
        if source != NOBODY:
            row.source = source
            self.sources[source].slot = slot

    def slot_stream(self, int32_t slot, int32_t redundancy=0, *, bint packed=False):
        cdef Slot* row = self._slot(slot)
        cdef int32_t carrier = slot
        if not 0 <= redundancy < FORMS:
            raise ValueError(f"a stream carries 0 to {FORMS - 1} earlier packets, not {redundancy}")
        if packed:
            if row.packed == NOBODY:
                self._assert_drained()
                self._open_packed(slot)
            carrier = self.slots[slot].packed
        row = &self.slots[carrier]
        if row.streams[redundancy] == NOBODY:
            self._assert_drained()
            self._keep_history(row)
            self._open_stream(carrier, <uint8_t>redundancy, self.stream_rows.take())
        return row.streams[redundancy]

    def tap(self, int32_t slot, bint on):
        cdef Slot* row = self._slot(slot)
        if on and not open_taps(&self.taps):
            raise MemoryError
        row.is_tapped = on

    def taken(self):
        cdef list told = []
        cdef int32_t index
        cdef TapRecord* record
        self._assert_drained()
        for index in range(self.taps.count):
            record = &self.taps.records[index]
            told.append(new_record(Tapped, (
                record.slot,
                record.source,
                record.csrc,
                record.index,
                record.time,
                record.ticks,
                record.claimed,
                record.marker,
                PyBytes_FromStringAndSize(<char*>self.taps.payloads + record.at, record.length),
                record.placed_at,
            )))
        self.taps.count = 0
        self.taps.used = 0
        return told

    cdef void _leave_audience(self, int32_t slot):
        cdef int32_t number = self.slots[slot].audience
        cdef Audience* audience = &self.audiences[number]
        cdef int32_t index
        cdef int32_t form
        for form in range(FORMS):
            if self.slots[slot].streams[form] != NOBODY:
                forget_stream(self.audiences, &self.holding, number, self.slots[slot].streams[form])
        for index in range(audience.slot_count):
            if audience.slots[index] == slot:
                audience.slot_count -= 1
                audience.slots[index] = audience.slots[audience.slot_count]
                break

    cdef int _keep_history(self, Slot* row) except -1:
        """From now on the slot remembers its packets; what waits for its tick among them."""
        cdef Audience* audience
        cdef int32_t item
        if row.history != NULL:
            return 0
        row.history = new_history()
        if row.history == NULL:
            raise MemoryError
        if row.audience != NOBODY:
            audience = &self.audiences[row.audience]
            for item in range(audience.held_count):
                if &self.slots[audience.held[item].slot] == row:
                    remember(<History*>row.history, &audience.held[item], audience.held[item].placed_at)
        return 0

    cdef int32_t _open_slot(self, int32_t audience, bint lean) except -1:
        """A row with its plain stream."""
        cdef int32_t row, stream, form
        row = self.slot_rows.take()
        try:
            stream = self.stream_rows.take()
        except OverflowError:
            self.slot_rows.give_back(row)
            raise
        self.slots = <Slot*>grown(self.slots, &self.slot_capacity, row + 1, sizeof(Slot))
        memset(&self.slots[row], 0, sizeof(Slot))
        self.slots[row].alive = True
        self.slots[row].source = self.slots[row].packed = self.slots[row].packs = NOBODY
        for form in range(FORMS):
            self.slots[row].streams[form] = NOBODY
        self.slots[row].audience = audience
        self.slots[row].needs_anchor = True
        self.slots[row].is_lean = lean
        self._open_stream(row, 0, stream)
        return row

    cdef void _close_slot(self, int32_t slot):
        cdef Slot* row = &self.slots[slot]
        cdef int32_t form
        for form in range(FORMS):
            if row.streams[form] != NOBODY:
                self._close_stream(row.streams[form])
        free(row.history)
        row.history = NULL
        row.alive = False
        self.slot_rows.give_back(slot)

    cdef int _open_packed(self, int32_t slot) except -1:
        """A row of its own for what is packed: other numbers, another history, the same times."""
        cdef int32_t row
        cdef Pack* pack
        self._keep_history(&self.slots[slot])
        row = self._open_slot(NOBODY, self.slots[slot].is_lean)
        pack = new_pack(row)
        if pack == NULL:
            self._close_slot(row)
            raise MemoryError
        self.slots[row].pack = pack
        self.slots[row].packs = slot
        self.slots[slot].packed = row
        self.packed_rows += 1
        return 0

    cdef void _close_packed(self, int32_t slot):
        cdef Slot* row = &self.slots[slot]
        cdef Pack* pack = <Pack*>row.pack
        if pack.frames.count > 0:
            unlink_pack(self.slots, &self.packing, pack)
        free(row.pack)
        row.pack = NULL
        self.packed_rows -= 1
        self._close_slot(slot)

    cdef int32_t _origin(self, int32_t slot) noexcept:
        """The slot whose packets this row's streams carry."""
        return slot if self.slots[slot].packs == NOBODY else self.slots[slot].packs

    cdef int _open_stream(self, int32_t slot, uint8_t form, int32_t stream) except -1:
        self.streams = <Stream*>grown(self.streams, &self.stream_capacity, stream + 1, sizeof(Stream))
        self.streams[stream].alive = True
        self.streams[stream].slot = slot
        self.streams[stream].form = form
        self.streams[stream].count = 0
        self.slots[slot].streams[form] = stream
        return 0

    cdef void _close_stream(self, int32_t stream):
        while self.streams[stream].count > 0:
            self._unsubscribe(self.streams[stream].egresses[self.streams[stream].count - 1])
        self.streams[stream].alive = False
        self.stream_rows.give_back(stream)

    cdef void _unsubscribe(self, int32_t egress):
        cdef Egress* row = &self.egresses[egress]
        cdef Stream* stream
        cdef int32_t last
        if row.stream == NOBODY:
            return
        stream = &self.streams[row.stream]
        stream.count -= 1
        last = stream.egresses[stream.count]
        stream.egresses[row.position] = last
        self.egresses[last].position = row.position
        row.stream = NOBODY
