# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What goes where: transports, sources, slots, streams and egresses, written by Python on change."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from sfu.fast._batch cimport ADDRESS_SIZE
from sfu.fast._egress cimport heard_until, write_extension
from sfu.fast._held cimport forget_stream
from sfu.fast._history cimport History, first_unheard, new_history, remember
from sfu.fast._level cimport SILENCE_DB, WINDOW_UNSEEN_DB, decayed, silence
from sfu.fast._pack cimport Pack, new_pack, unlink_pack
from sfu.fast._rows cimport (
    AUDIENCE_SLOTS_MAX, BYTES_BURST_MAX, EGRESS_TABLE_MAX, FLOWING_S, FORMS, MID_SIZE_MAX, NOBODY,
    PACKETS_BURST_MAX, SENT_MAX, TABLE_MAX, TRANSPORT_ADDRESSES_MAX, TRANSPORT_EGRESSES_MAX, Audience, Egress, Sent, Slot, Source,
    Stream, Transport,
)
from sfu.fast._stamps cimport overhead_of
from sfu.fast._tables cimport AddressTable, Ids, grown
from sfu.fast._tap cimport TapRecord, open_taps

from pylibsrtp._binding import ffi as _ffi

from sfu.fast.records import EgressStats, SourceLevel, SourceStats, Tapped

cdef enum:
    SSRCS_MAX = 1024    # libsrtp keeps 0.4 KiB for each as long as the keys live


cdef int check_payload_types(uint8_t payload_type, uint8_t red_payload_type) except -1:
    if payload_type > 127 or red_payload_type > 127:
        raise ValueError(f"a payload type has 7 bits: {payload_type}, {red_payload_type}")
    if red_payload_type == payload_type:
        raise ValueError(f"Opus and RED have payload types of their own: {payload_type}")
    return 0


cdef int check_echo_group(int32_t echo_group) except -1:
    if echo_group < 0:
        raise ValueError(f"an echo group is not negative: {echo_group}")
    return 0


# A record without the Python call that its class makes: rooms ask for tens of thousands a second.
cdef object new_record = tuple.__new__


cdef object level_of(const Source* row, double now):
    return new_record(SourceLevel, (
        decayed(row.smoothed_db, now - row.packet_at),
        row.is_voiced,
        now - row.voiced_at,
        now - row.packet_at,
        row.instant,
        row.frame_ticks // 48,
        row.is_measured,
        row.is_pausing,
    ))


cdef class Routes:
    def __cinit__(self):
        self.transport_rows = Ids("transports", TABLE_MAX)
        self.source_rows = Ids("sources", TABLE_MAX)
        self.slot_rows = Ids("slots", TABLE_MAX)
        self.stream_rows = Ids("streams", FORMS * TABLE_MAX)
        self.egress_rows = Ids("egresses", EGRESS_TABLE_MAX)
        self.audience_rows = Ids("audiences", TABLE_MAX)
        self.holding.first = self.holding.last = NOBODY
        self.packing.first = self.packing.last = NOBODY
        self.addresses = AddressTable()
        self.sessions = {}
        self.spent = {}

    def __dealloc__(self):
        cdef int32_t index
        for index in range(self.stream_capacity):
            free(self.streams[index].egresses)
        for index in range(self.audience_capacity):
            free(self.audiences[index].held)
            free(self.audiences[index].payloads)
        for index in range(self.slot_capacity):
            free(self.slots[index].history)
            free(self.slots[index].pack)
        for index in range(self.egress_capacity):
            free(self.egresses[index].sent)
        free(self.owed)
        free(self.taps.records)
        free(self.taps.payloads)
        for index in range(self.transport_capacity):
            free(self.transports[index].stamps)
        free(self.audiences)
        free(self.transports)
        free(self.sources)
        free(self.slots)
        free(self.streams)
        free(self.egresses)

    # ---- transports

    def add_transport(self):
        cdef int32_t row = self.transport_rows.take()
        self.transports = <Transport*>grown(
            self.transports, &self.transport_capacity, row + 1, sizeof(Transport)
        )
        memset(&self.transports[row], 0, sizeof(Transport))
        self.transports[row].alive = True
        self.transports[row].source = NOBODY
        return row

    def remove_transport(self, int32_t transport):
        cdef Transport* row = self._transport(transport)
        self._assert_drained()
        if row.source != NOBODY:
            self.remove_source(row.source)
        while row.egress_count > 0:
            self.remove_egress(row.egresses[row.egress_count - 1])
        while row.address_count > 0:
            row.address_count -= 1
            self.addresses.drop(row.addresses[row.address_count])
        free(row.stamps)
        row.stamps = NULL
        row.alive = False
        self.sessions.pop(transport, None)
        self.spent.pop(transport, None)
        self.transport_rows.give_back(transport)

    def set_keys(self, int32_t transport, receive not None, send not None):
        cdef Transport* row = self._transport(transport)
        # Both are looked at before either is kept: a row never points to what nobody keeps alive.
        cdef uintptr_t receive_context = int(_ffi.cast("uintptr_t", receive._srtp[0]))
        cdef uintptr_t send_context = int(_ffi.cast("uintptr_t", send._srtp[0]))
        if row.send != <void*>send_context:
            self.spent.pop(transport, None)
        self.sessions[transport] = (receive, send)
        row.receive = <void*>receive_context
        row.send = <void*>send_context

    def allow(self, int32_t transport, bytes address not None):
        cdef Transport* row = self._transport(transport)
        cdef const uint8_t* key = self._address(address)
        cdef int32_t owner = self.addresses.find(key)
        if owner == transport:
            return
        if row.address_count >= TRANSPORT_ADDRESSES_MAX:
            raise OverflowError(f"a transport has at most {TRANSPORT_ADDRESSES_MAX} addresses")
        if owner != NOBODY:
            self.revoke(address)
        self.addresses.put(key, transport)
        memcpy(row.addresses[row.address_count], key, ADDRESS_SIZE)
        row.address_count += 1

    def revoke(self, bytes address not None):
        cdef const uint8_t* key = self._address(address)
        cdef int32_t owner = self.addresses.find(key)
        if owner == NOBODY:
            return
        self.addresses.drop(key)
        self._forget_address(&self.transports[owner], key)

    def route(self, int32_t transport, bytes address not None):
        cdef Transport* row = self._transport(transport)
        memcpy(row.address, self._address(address), ADDRESS_SIZE)
        row.datagram_overhead = overhead_of(row.address)
        row.is_routed = True

    def reidentify(self, int32_t transport, *, uint32_t csrc, int32_t echo_group):
        cdef Transport* row = self._transport(transport)
        cdef Source* source
        cdef int32_t index
        self._assert_drained()
        check_echo_group(echo_group)
        if row.source != NOBODY and self.sources[row.source].slot != NOBODY:
            raise ValueError(f"source {row.source} holds slot {self.sources[row.source].slot}")
        for index in range(row.egress_count):
            if self.egresses[row.egresses[index]].stream != NOBODY:
                raise ValueError(
                    f"egress {row.egresses[index]} carries stream {self.egresses[row.egresses[index]].stream}"
                )
        for index in range(row.egress_count):
            self.egresses[row.egresses[index]].echo_group = echo_group
        if row.source != NOBODY:
            source = &self.sources[row.source]
            source.csrc = csrc
            source.echo_group = echo_group
            # What it said under its former number is answered nowhere.
            self.source_serial += 1
            source.serial = self.source_serial

    # ---- sources

    def add_source(
        self,
        int32_t transport,
        *,
        uint32_t csrc,
        int32_t echo_group,
        uint8_t payload_type,
        uint8_t red_payload_type=0,
        uint8_t level_extension=0,
        uint32_t ssrc=0,
        bint repeats=False,
    ):
        cdef int32_t row
        cdef Source* source
        if self._transport(transport).source != NOBODY:
            raise ValueError("a transport publishes at most one track")
        check_payload_types(payload_type, red_payload_type)
        check_echo_group(echo_group)
        row = self.source_rows.take()
        self.sources = <Source*>grown(self.sources, &self.source_capacity, row + 1, sizeof(Source))
        source = &self.sources[row]
        memset(source, 0, sizeof(Source))
        source.alive = True
        self.source_serial += 1
        source.serial = self.source_serial
        source.transport = transport
        source.slot = NOBODY
        source.echo_group = echo_group
        source.csrc = csrc
        source.payload_type = payload_type
        source.red_payload_type = red_payload_type
        source.level_extension = level_extension
        source.ssrc = ssrc
        source.has_ssrc = ssrc != 0
        source.repeats = repeats
        source.seen_at = -INFINITY
        source.tokens = PACKETS_BURST_MAX
        source.byte_tokens = BYTES_BURST_MAX
        source.tokens_at = -INFINITY
        source.floor_db = SILENCE_DB
        source.window_lowest_db = WINDOW_UNSEEN_DB
        source.window_at = -INFINITY
        source.decoded_level = -1
        silence(source)
        self.transports[transport].source = row
        return row

    def remove_source(self, int32_t source):
        cdef Source* row = self._source(source)
        self._assert_drained()
        if row.slot != NOBODY:
            self._vacate(row.slot)
        self.transports[row.transport].source = NOBODY
        row.alive = False
        self.source_rows.give_back(source)

    def set_audible(self, int32_t source, bint audible):
        cdef Source* row = self._source(source)
        if row.is_audible == audible:
            return
        row.is_audible = audible
        if row.slot != NOBODY:
            self.slots[row.slot].needs_anchor = True
        if not audible:
            silence(row)

    def level(self, int32_t source, double now):
        return level_of(self._source(source), now)

    def levels(self, list sources not None, double now):
        return [level_of(self._source(source), now) for source in sources]

    def source_stats(self, int32_t source):
        cdef Source* row = self._source(source)
        if not row.has_packets:
            return SourceStats(row.ssrc, 0, 0, 0, 0)
        return SourceStats(
            row.ssrc,
            row.packets,
            <uint32_t>row.highest_sequence,
            <uint32_t>(row.highest_sequence - row.first_sequence + 1),
            <uint32_t>row.jitter_ticks,
        )

    # ---- slots and streams

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

    # ---- egresses

    def add_egress(
        self,
        int32_t transport,
        *,
        uint32_t ssrc,
        uint8_t payload_type,
        int32_t first_sequence,
        uint32_t first_timestamp,
        int32_t echo_group,
        uint8_t level_extension=0,
        uint8_t mid_extension=0,
        bytes mid not None=b"",
        uint8_t red_payload_type=0,
        bint repeats=False,
        uint8_t transport_cc_extension=0,
        bint transport_cc_borrowed=False,
    ):
        cdef Transport* owner = self._transport(transport)
        cdef int32_t row, index
        cdef Egress* egress
        cdef const uint8_t* name
        cdef uint8_t length
        if not 1 <= first_sequence <= 32767:
            raise ValueError(f"first_sequence is 1 to 32767, not {first_sequence}")
        check_payload_types(payload_type, red_payload_type)
        check_echo_group(echo_group)
        if PyBytes_GET_SIZE(mid) > MID_SIZE_MAX:
            raise ValueError(f"a MID has at most {MID_SIZE_MAX} bytes")
        if owner.egress_count >= TRANSPORT_EGRESSES_MAX:
            raise OverflowError(f"a transport has at most {TRANSPORT_EGRESSES_MAX} egresses")
        self._check_unused(transport, ssrc)
        row = self.egress_rows.take()
        self.egresses = <Egress*>grown(self.egresses, &self.egress_capacity, row + 1, sizeof(Egress))
        egress = &self.egresses[row]
        memset(egress, 0, sizeof(Egress))
        egress.alive = True
        egress.needs_anchor = True
        egress.transport = transport
        egress.stream = NOBODY
        egress.echo_group = echo_group
        egress.ssrc = ssrc
        egress.payload_type = payload_type
        egress.red_payload_type = red_payload_type
        egress.last_sequence = first_sequence - 1
        egress.first_timestamp = first_timestamp
        egress.sent_at = egress.excused_at = -INFINITY
        name = <const uint8_t*>PyBytes_AS_STRING(mid)
        length = <uint8_t>PyBytes_GET_SIZE(mid)
        write_extension(&egress.plain, level_extension, mid_extension, name, length, 0)
        egress.borrows = transport_cc_borrowed
        if transport_cc_extension > 0:
            write_extension(
                &egress.stamped, level_extension, mid_extension, name, length, transport_cc_extension
            )
            write_extension(&egress.stamped_lean, 0, 0, name, 0, transport_cc_extension)
        if repeats:
            egress.sent = <Sent*>calloc(SENT_MAX, sizeof(Sent))
            if egress.sent == NULL:
                egress.alive = False
                self.egress_rows.give_back(row)
                raise MemoryError
            for index in range(SENT_MAX):
                egress.sent[index].sequence = -1
        owner.egresses[owner.egress_count] = row
        owner.egress_count += 1
        return row

    cdef int _check_unused(self, int32_t transport, uint32_t ssrc) except -1:
        """Under its keys, the transport has never sent anything with this SSRC."""
        cdef Transport* owner = &self.transports[transport]
        cdef set spent = self.spent.get(transport, set())
        cdef int32_t index
        cdef bint is_used = ssrc in spent
        for index in range(owner.egress_count):
            is_used = is_used or self.egresses[owner.egresses[index]].ssrc == ssrc
        if is_used:
            raise ValueError(f"transport {transport} has used SSRC {ssrc:#x} under its keys")
        if len(spent) >= SSRCS_MAX:
            raise OverflowError(f"a transport uses at most {SSRCS_MAX} SSRCs under its keys")
        return 0

    def remove_egress(self, int32_t egress):
        cdef Egress* row = self._egress(egress)
        cdef Transport* owner = &self.transports[row.transport]
        cdef int32_t index
        self._assert_drained()
        self._unsubscribe(egress)
        for index in range(owner.egress_count):
            if owner.egresses[index] == egress:
                owner.egress_count -= 1
                owner.egresses[index] = owner.egresses[owner.egress_count]
                break
        if row.packets > 0:
            self.spent.setdefault(row.transport, set()).add(row.ssrc)
        free(row.sent)
        row.sent = NULL
        row.alive = False
        self.egress_rows.give_back(egress)

    def subscribe(self, int32_t egress, int32_t stream):
        cdef Egress* row = self._egress(egress)
        cdef Stream* target
        cdef int32_t left = NOBODY      # the row that it heard before
        self._assert_drained()
        if row.stream == stream:
            return
        target = self._stream(stream) if stream != NOBODY else NULL
        if target != NULL and target.form > 0 and row.red_payload_type == 0:
            raise ValueError(f"the listener of egress {egress} takes no RED")
        if target != NULL and row.sent != NULL:
            self._keep_history(&self.slots[target.slot])
        if row.stream != NOBODY:
            left = self.streams[row.stream].slot
        self._unsubscribe(egress)
        if target == NULL:
            return
        target.egresses = <int32_t*>grown(
            target.egresses, &target.capacity, target.count + 1, sizeof(int32_t)
        )
        target.egresses[target.count] = egress
        row.position = target.count
        row.stream = stream
        # The forms of a slot share its numbers: between them nothing is missed.
        if target.slot != left:
            # What is held for its tick was placed for those who listened then.
            row.oldest_index = self.slots[target.slot].newest_index + 1
            if left == NOBODY or self._origin(left) != self._origin(target.slot):
                row.is_switching = False
            elif not row.needs_anchor:
                row.is_switching = True
            row.needs_anchor = True
            if row.is_switching:
                self._switch(egress, target.slot)
        row.excused_at = max(row.excused_at, self.slots[target.slot].carried_at)
        target.count += 1

    def egress_stats(self, int32_t egress):
        cdef Egress* row = self._egress(egress)
        return EgressStats(
            row.packets, row.octets, <uint32_t>row.last_time, row.sent_at, row.last_sequence
        )

    def egress_stream(self, int32_t egress):
        return self._egress(egress).stream

    def carriers(self, int32_t stream):
        return self._stream(stream).count

    def behind(self, double now):
        cdef list found = []
        cdef int32_t egress
        for egress in range(self.egress_capacity):
            if self.egresses[egress].alive and self._is_behind(&self.egresses[egress], now):
                found.append(egress)
        return found

    cdef bint _is_behind(self, Egress* row, double now) noexcept:
        cdef Transport* transport = &self.transports[row.transport]
        cdef Slot* slot
        if row.stream == NOBODY or transport.send == NULL or not transport.is_routed:
            return False
        slot = &self.slots[self.streams[row.stream].slot]
        if slot.newest_echo_group == row.echo_group or now - slot.carried_at >= FLOWING_S:
            return False
        return slot.carried_at - max(slot.flowing_since, row.sent_at, row.excused_at) > FLOWING_S

    def sizes(self):
        return {
            "transports": self.transport_rows.alive,
            "addresses": self.addresses.count,
            "sources": self.source_rows.alive,
            "slots": self.slot_rows.alive - self.packed_rows,
            "streams": self.stream_rows.alive,
            "egresses": self.egress_rows.alive,
            "audiences": self.audience_rows.alive,
        }

    # ---- rows, checked

    cdef int _assert_drained(self) except -1:
        """Tables change only between inputs; the forwarder knows whether one is being worked on."""
        return 0

    cdef Transport* _transport(self, int32_t row) except NULL:
        if not 0 <= row < self.transport_capacity or not self.transports[row].alive:
            raise KeyError(f"no transport {row}")
        return &self.transports[row]

    cdef Source* _source(self, int32_t row) except NULL:
        if not 0 <= row < self.source_capacity or not self.sources[row].alive:
            raise KeyError(f"no source {row}")
        return &self.sources[row]

    cdef Slot* _slot(self, int32_t row) except NULL:
        if not 0 <= row < self.slot_capacity or not self.slots[row].alive or self.slots[row].packs != NOBODY:
            raise KeyError(f"no slot {row}")
        return &self.slots[row]

    cdef Stream* _stream(self, int32_t row) except NULL:
        if not 0 <= row < self.stream_capacity or not self.streams[row].alive:
            raise KeyError(f"no stream {row}")
        return &self.streams[row]

    cdef Egress* _egress(self, int32_t row) except NULL:
        if not 0 <= row < self.egress_capacity or not self.egresses[row].alive:
            raise KeyError(f"no egress {row}")
        return &self.egresses[row]

    cdef Audience* _audience(self, int32_t row) except NULL:
        if not 0 <= row < self.audience_capacity or not self.audiences[row].alive:
            raise KeyError(f"no audience {row}")
        return &self.audiences[row]

    cdef const uint8_t* _address(self, bytes address) except NULL:
        if PyBytes_GET_SIZE(address) != ADDRESS_SIZE:
            raise ValueError(f"an address has {ADDRESS_SIZE} bytes, not {PyBytes_GET_SIZE(address)}")
        return <const uint8_t*>PyBytes_AS_STRING(address)

    cdef void _forget_address(self, Transport* row, const uint8_t* key):
        cdef int32_t index
        for index in range(row.address_count):
            if memcmp(row.addresses[index], key, ADDRESS_SIZE) == 0:
                row.address_count -= 1
                memcpy(row.addresses[index], row.addresses[row.address_count], ADDRESS_SIZE)
                break
        # Whoever has the address next must not get what was meant for this one.
        if memcmp(row.address, key, ADDRESS_SIZE) == 0:
            row.is_routed = False

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

    cdef int _switch(self, int32_t egress, int32_t slot) except -1:
        """`egress` goes on with the same slot, packed or not any more: from what it has not heard of it."""
        cdef Egress* row = &self.egresses[egress]
        cdef Slot* origin = &self.slots[self._origin(slot)]
        row.owed_index = first_unheard(<History*>origin.history, origin.newest_index, heard_until(row))
        if self.slots[slot].packs == NOBODY:
            row.oldest_index = row.owed_index
        if not row.is_owed:
            self.owed = <int32_t*>grown(self.owed, &self.owed_capacity, self.owed_count + 1, sizeof(int32_t))
            self.owed[self.owed_count] = egress
            self.owed_count += 1
            row.is_owed = True
        return 0

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

    cdef void _vacate(self, int32_t slot):
        cdef Slot* row = &self.slots[slot]
        if row.source != NOBODY:
            self.sources[row.source].slot = NOBODY
        row.source = NOBODY
        row.needs_anchor = True

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
