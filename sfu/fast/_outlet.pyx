# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What leaves: one packet to all its listeners, or one tick to each listener. README.md has the theory."""

from libc.math cimport HUGE_VAL
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memset

from sfu.fast._batch cimport Batch
from sfu.fast._egress cimport anchor, header_size, heard_until, is_early, write_header
from sfu.fast._held cimport HOLD_S, as_carried, begins_packet, hold, hurry, is_complete, unlink
from sfu.fast._history cimport History, Remembered, remember
from sfu.fast._pack cimport PACK_S, Pack
from sfu.fast._packing cimport Packing
from sfu.fast._red cimport choose_copies, stamp_red, wrap
from sfu.fast._rows cimport (
    FLOWING_S, FORMS, HELD_MAX, NO_STAMP, NOBODY, PAYLOAD_SIZE_MAX, SENT_MAX, Audience, Egress, Outgoing, Sent,
    Slot, Stream, Transport,
)
from sfu.fast._stamps cimport next_stamp, note_departure
from sfu.fast._tap cimport keep_tapped

from pylibsrtp._binding import ffi as _ffi
from pylibsrtp._binding import lib as _lib

ctypedef int (*SrtpCall)(void* session, void* packet, int* length) noexcept nogil

cdef SrtpCall srtp_protect = <SrtpCall><uintptr_t>int(
    _ffi.cast("uintptr_t", _ffi.addressof(_lib, "srtp_protect"))
)
cdef enum:
    SRTP_OK = 0
    TRAILER_SIZE_MAX = 16       # authentication tag; no MKI is used
    PADDING_SIZE_MAX = 255      # its length stands in one byte (RFC 3550 5.1)

cdef double CLOCK_GRAIN_S = 1e-6    # a deadline that a clock rounded down has come
cdef double RESEND_SHARE = 0.25     # of what was sent
cdef double RESEND_BURST = 16.0     # 320 ms of speech lost in one piece


cdef inline void note_sent(
    Egress* egress, const Outgoing* out, uint32_t padding, int32_t stamp, double now
) noexcept nogil:
    """Remember how a packet left; one that leaves again is remembered already."""
    cdef int64_t sequence = out.index + egress.index_offset
    cdef Sent* sent = &egress.sent[sequence % SENT_MAX]
    if sent.sequence >= sequence:
        return
    sent.sequence = sequence
    sent.form = out.form
    sent.padding = <uint8_t>padding
    sent.stamp = stamp
    sent.times = 0
    # Its gap was seen, and may have been asked about, before it left.
    sent.again_at = now if out.is_late else -HUGE_VAL
    egress.resends = min(RESEND_BURST, egress.resends + RESEND_SHARE)


cdef inline void note_flow(Slot* slot, const Outgoing* out) noexcept nogil:
    """A packet goes to the slot's listeners."""
    if out.is_late:
        return
    if not slot.carried_at or out.placed_at - slot.carried_at >= FLOWING_S:
        slot.flowing_since = out.placed_at
    slot.carried_at = out.placed_at
    slot.newest_echo_group = out.echo_group


cdef class Outlet(Packing):
    def set_segmented(self, int32_t audience, bint segmented):
        cdef Audience* row = self._audience(audience)
        self._assert_drained()
        if segmented and row.held == NULL:
            row.held = <Outgoing*>calloc(HELD_MAX, sizeof(Outgoing))
            row.payloads = <uint8_t*>calloc(HELD_MAX, PAYLOAD_SIZE_MAX)
            if row.held == NULL or row.payloads == NULL:
                raise MemoryError
        row.is_segmented = segmented
        if not segmented:
            hurry(self.audiences, &self.holding, audience)

    def flush(self, double now):
        self._assert_drained()
        self.now = now

    def next_flush(self):
        cdef double due = HUGE_VAL
        if self.owed_count > 0:
            return self.now
        if self.holding.first != NOBODY:
            due = self.audiences[self.holding.first].held_at + HOLD_S
        if self.packing.first != NOBODY:
            due = min(due, (<Pack*>self.slots[self.packing.first].pack).begun_at + PACK_S)
        return None if due == HUGE_VAL else due

    cdef bint _is_letting_out(self) noexcept:
        """Whether something is under way."""
        return (
            self.fan_out.is_active
            or self.flush_state.is_active
            or self.ready_at < self.ready_count
            or self.resend_at < self.resend_count
        )

    cdef bint _let_out(self, Batch outbox) noexcept nogil:
        """Go on with what is under way or due; True when `outbox` is full before its end."""
        if self.owed_count > 0 and self._catch_up(outbox):
            return True
        if self.resend_at < self.resend_count and self._resend(outbox):
            return True
        while True:
            if self.fan_out.is_active and self._fan_out(outbox):
                return True
            if self.flush_state.is_active and self._flush(outbox):
                return True
            if self.ready_at < self.ready_count:
                self.ready_at += 1
                self.outgoing = self.ready[self.ready_at - 1]
                self._dispatch(&self.slots[self.outgoing.slot])
            elif not self._start_due_flush() and not self._start_due_pack():
                return False

    cdef bint _resend(self, Batch outbox) noexcept nogil:
        """Go on with what is sent again; True when `outbox` is full before the end."""
        return False

    cdef bint _catch_up(self, Batch outbox) noexcept nogil:
        """Send egresses what they are owed; True when `outbox` is full before the end."""
        return False

    cdef const Outgoing* _unheard(self, const Egress* egress, const Outgoing* out) noexcept nogil:
        """What of a packet this egress has not heard yet; NULL for nothing."""
        return out

    cdef void _dispatch(self, Slot* slot) noexcept nogil:
        """`outgoing` has its place on the slot's stream: send it to all, now or with its tick."""
        cdef Outgoing* out = &self.outgoing
        cdef Remembered* kept = NULL
        cdef int32_t form
        out.placed_at = self.now
        note_flow(slot, out)
        out.slot = self.streams[slot.streams[0]].slot
        out.is_lean = slot.is_lean
        if slot.is_tapped:
            keep_tapped(&self.taps, out)
        self.form_count = 0
        if slot.history != NULL:
            kept = remember(<History*>slot.history, out, self.now)
        for form in range(FORMS):
            if slot.streams[form] != NOBODY and self.streams[slot.streams[form]].count > 0:
                self._add_form(slot, form, kept)
        if self.form_count == 0:
            self._add_form(slot, 0, kept)   # heard by nobody, but the tick need not wait for this slot
        if slot.packed != NOBODY:
            self._pack(slot, out)
        if slot.audience == NOBODY or not self.audiences[slot.audience].is_segmented:
            self.fan_out.form = self.fan_out.cursor = 0
            self.fan_out.is_active = True
            return
        for form in range(self.form_count):
            hold(self.audiences, &self.holding, slot.audience, &self.forms[form])
        if is_complete(&self.audiences[slot.audience], self.slots, self.now):
            self._start_flush(slot.audience)

    cdef void _add_form(self, Slot* slot, int32_t form, Remembered* kept) noexcept nogil:
        """`outgoing` as the listeners of one of the slot's streams get it."""
        cdef Outgoing* out = &self.forms[self.form_count]
        cdef uint8_t copies = 0
        cdef uint32_t size = 0
        out[0] = self.outgoing
        out.stream = slot.streams[form]
        self.form_count += 1
        if form == 0 or kept == NULL or kept.length >= PAYLOAD_SIZE_MAX:
            return                  # what is too late or too large to be wrapped comes plain
        if not out.is_late:
            copies = choose_copies(<History*>slot.history, kept, form)
        size = wrap(
            <History*>slot.history, kept, out.payload, copies, self.wrapped[form], &out.blocks
        )
        if size == 0:
            return
        kept.copies[form - 1] = copies
        out.form = <uint8_t>form
        out.payload = self.wrapped[form]
        out.length = size

    cdef bint _fan_out(self, Batch outbox) noexcept nogil:
        """Send the outgoing packet, in each of its forms, to the egresses of that form's stream.

        True when `outbox` is full before the end.
        """
        cdef Stream* stream
        cdef Egress* egress
        cdef Transport* transport
        cdef Outgoing* out
        cdef const Outgoing* part
        while self.fan_out.form < self.form_count:
            out = &self.forms[self.fan_out.form]
            stream = &self.streams[out.stream]
            while self.fan_out.cursor < stream.count:
                egress = &self.egresses[stream.egresses[self.fan_out.cursor]]
                transport = &self.transports[egress.transport]
                if self._is_carried(egress, transport, out):
                    part = self._unheard(egress, out) if egress.is_switching else out
                    if part != NULL and not self._emit(
                        outbox, egress, transport, part, 0, next_stamp(transport, egress)
                    ):
                        return True
                self.fan_out.cursor += 1
            self.fan_out.form += 1
            self.fan_out.cursor = 0
        self.fan_out.is_active = False
        return False

    cdef bint _is_reachable(self, const Transport* transport) noexcept nogil:
        """Whether it has keys and a route."""
        return transport.send != NULL and transport.is_routed

    cdef bint _is_carried(
        self, Egress* egress, Transport* transport, const Outgoing* out
    ) noexcept nogil:
        """Whether this egress gets the packet; one that is missed makes the next an anchor."""
        if egress.echo_group == out.echo_group or not self._is_reachable(transport):
            egress.needs_anchor = True
            egress.is_switching = False
            egress.excused_at = self.now
            return False
        if not egress.needs_anchor:
            return out.index >= egress.oldest_index
        if out.is_late or out.index < egress.oldest_index:
            return False
        if egress.is_switching:
            return out.time + out.ticks > heard_until(egress)
        if is_early(egress, out):
            self.overlapping += 1
            return False
        return True

    cdef bint _emit(
        self, Batch outbox, Egress* egress, Transport* transport, const Outgoing* out, uint32_t padding,
        int32_t stamp,
    ) noexcept nogil:
        """Write, protect and append one packet; False when `outbox` has no room for it."""
        cdef uint32_t size = header_size(egress, out, stamp) + out.length
        cdef uint8_t* data = outbox.reserve(size + padding + TRAILER_SIZE_MAX)
        cdef int protected = <int>(size + padding)
        if data == NULL:
            return False
        if egress.needs_anchor:
            anchor(egress, out)
        write_header(data, egress, out, stamp)
        memcpy(data + size - out.length, out.payload, out.length)
        if out.form > 0:
            stamp_red(data + size - out.length, out.blocks, egress.payload_type)
        if padding > 0:
            data[0] |= 0x20
            memset(data + size, 0, padding)
            data[size + padding - 1] = <uint8_t>padding
        if srtp_protect(transport.send, data, &protected) != SRTP_OK:
            self.protect_errors += 1
            return True
        outbox.commit(<uint32_t>protected, transport.address)
        egress.packets += 1
        if not out.is_late:
            egress.sent_at = self.now
        egress.octets += out.length
        self.forwarded += 1
        self.forwarded_bytes += <uint32_t>protected
        transport.wire_bytes += <uint32_t>protected + transport.datagram_overhead
        if stamp != NO_STAMP:
            self.stamped += 1
            note_departure(transport, egress, stamp, <uint32_t>protected + transport.datagram_overhead, self.now)
        if egress.sent != NULL and not out.is_part:
            note_sent(egress, out, padding, stamp, self.now)
        return True

    # ---- segmented fan-out: listener by listener, so that each one's packets leave together

    cdef bint _start_due_flush(self) noexcept nogil:
        """Whether an audience has held back for long enough; if so, its tick goes out."""
        cdef int32_t number = self.holding.first
        if number == NOBODY or self.now < self.audiences[number].held_at + HOLD_S - CLOCK_GRAIN_S:
            return False
        self._start_flush(number)
        return True

    cdef void _start_flush(self, int32_t audience) noexcept nogil:
        cdef Flush* flush = &self.flush_state
        unlink(self.audiences, &self.holding, audience)
        flush.is_active = True
        flush.audience = audience
        flush.item = flush.form = flush.cursor = flush.part = 0
        flush.number += 1

    cdef bint _flush(self, Batch outbox) noexcept nogil:
        """Serve every listener of what is held; True when `outbox` is full before the end."""
        cdef Flush* flush = &self.flush_state
        cdef Audience* audience = &self.audiences[flush.audience]
        while flush.item < audience.held_count:
            if begins_packet(audience, flush.item):
                if self._flush_slot(outbox, audience, &self.slots[audience.held[flush.item].slot]):
                    return True
            self.held += 1
            self.held_s += self.now - audience.held[flush.item].placed_at
            flush.item += 1
            flush.form = 0
        audience.held_count = 0
        flush.is_active = False
        return False

    cdef bint _flush_slot(self, Batch outbox, Audience* audience, const Slot* slot) noexcept nogil:
        """Serve every listener of one slot, whatever the form; True when `outbox` is full."""
        cdef Flush* flush = &self.flush_state
        cdef Stream* stream
        cdef Transport* transport
        while flush.form < FORMS:
            stream = NULL if slot.streams[flush.form] == NOBODY else &self.streams[slot.streams[flush.form]]
            while stream != NULL and flush.cursor < stream.count:
                transport = &self.transports[self.egresses[stream.egresses[flush.cursor]].transport]
                if transport.served != flush.number:
                    if not self._serve(outbox, audience, transport):
                        return True
                    transport.served = flush.number
                flush.cursor += 1
            flush.form += 1
            flush.cursor = 0
        return False

    cdef bint _serve(self, Batch outbox, Audience* audience, Transport* transport) noexcept nogil:
        """All of the tick that one transport carries, equally long but for the last."""
        cdef Flush* flush = &self.flush_state
        cdef Egress* egresses[HELD_MAX]
        cdef Outgoing* packets[HELD_MAX]
        cdef Egress* egress
        cdef uint32_t sizes[HELD_MAX]
        cdef uint32_t padding, largest = 0
        cdef int32_t count = 0
        cdef int32_t line, item, slot
        for line in range(transport.egress_count):
            egress = &self.egresses[transport.egresses[line]]
            slot = NOBODY if egress.stream == NOBODY else self.streams[egress.stream].slot
            for item in range(audience.held_count):
                if audience.held[item].slot != slot or not begins_packet(audience, item):
                    continue
                if count < HELD_MAX:
                    egresses[count] = egress
                    packets[count] = as_carried(audience, item, egress.stream)
                    # That it has a number is seen by the next one; each gets its own when it leaves.
                    sizes[count] = packets[count].length + header_size(
                        egress, packets[count], next_stamp(transport, egress)
                    )
                    if egress.echo_group != packets[count].echo_group:
                        largest = max(largest, sizes[count])
                    count += 1
        while flush.part < count:
            egress = egresses[flush.part]
            if self._is_carried(egress, transport, packets[flush.part]):
                padding = largest - sizes[flush.part]
                if flush.part == count - 1 or padding > PADDING_SIZE_MAX:
                    padding = 0
                if not self._emit(
                    outbox, egress, transport, packets[flush.part], padding, next_stamp(transport, egress)
                ):
                    return False
            flush.part += 1
        flush.part = 0
        return True
