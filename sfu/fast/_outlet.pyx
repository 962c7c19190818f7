# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What leaves: one packet to all its listeners, or one tick to each listener. README.md has the theory."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memset

from sfu.fast._batch cimport Batch
from sfu.fast._egress cimport FIXED_SIZE, anchor, write_header
from sfu.fast._held cimport HOLD_S, hold, hurry, is_complete, unlink
from sfu.fast._routes cimport Routes
from sfu.fast._rows cimport (
    HELD_MAX, NOBODY, PAYLOAD_SIZE_MAX, Audience, Egress, Outgoing, Slot, Stream, Transport,
)

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


cdef class Outlet(Routes):
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
        if self.holding.first == NOBODY:
            return None
        return self.audiences[self.holding.first].held_at + HOLD_S

    cdef bint _is_letting_out(self) noexcept:
        """Whether something is under way."""
        return self.fan_out.is_active or self.flush_state.is_active

    cdef bint _let_out(self, Batch outbox) noexcept nogil:
        """Go on with what is under way or due; True when `outbox` is full before its end."""
        if self.fan_out.is_active and self._fan_out(outbox):
            return True
        while True:
            if self.flush_state.is_active and self._flush(outbox):
                return True
            if not self._start_due_flush():
                return False

    cdef void _dispatch(self, Slot* slot) noexcept nogil:
        """`outgoing` has its place on the slot's stream: send it to all, now or with its tick."""
        cdef Outgoing* out = &self.outgoing
        cdef Audience* audience
        out.stream = slot.stream
        out.placed_at = self.now
        if slot.audience == NOBODY or not self.audiences[slot.audience].is_segmented:
            self.fan_out.cursor = 0
            self.fan_out.is_active = True
            return
        audience = &self.audiences[slot.audience]
        hold(self.audiences, &self.holding, slot.audience, out)
        if is_complete(audience, self.slots, self.now):
            self._start_flush(slot.audience)

    cdef bint _fan_out(self, Batch outbox) noexcept nogil:
        """Send the outgoing packet to the stream's egresses; True when `outbox` is full before the end."""
        cdef Stream* stream = &self.streams[self.outgoing.stream]
        cdef Egress* egress
        cdef Transport* transport
        while self.fan_out.cursor < stream.count:
            egress = &self.egresses[stream.egresses[self.fan_out.cursor]]
            transport = &self.transports[egress.transport]
            if self._is_carried(egress, transport, &self.outgoing):
                if not self._emit(outbox, egress, transport, &self.outgoing, 0):
                    return True
            self.fan_out.cursor += 1
        self.fan_out.is_active = False
        return False

    cdef bint _is_carried(
        self, Egress* egress, Transport* transport, const Outgoing* out
    ) noexcept nogil:
        """Whether this egress gets the packet; one that is missed makes the next an anchor."""
        if egress.echo_group == out.echo_group or transport.send == NULL or not transport.is_routed:
            egress.needs_anchor = True
            return False
        return out.index >= egress.oldest_index and not (out.is_late and egress.needs_anchor)

    cdef bint _emit(
        self, Batch outbox, Egress* egress, Transport* transport, const Outgoing* out, uint32_t padding
    ) noexcept nogil:
        """Write, protect and append one packet; False when `outbox` has no room for it."""
        cdef uint32_t size = FIXED_SIZE + egress.extension_size + out.length
        cdef uint8_t* data = outbox.reserve(size + padding + TRAILER_SIZE_MAX)
        cdef int protected = <int>(size + padding)
        if data == NULL:
            return False
        if egress.needs_anchor:
            anchor(egress, out)
        write_header(data, egress, out, self.now)
        memcpy(data + size - out.length, out.payload, out.length)
        if padding > 0:
            data[0] |= 0x20
            memset(data + size, 0, padding)
            data[size + padding - 1] = <uint8_t>padding
        if srtp_protect(transport.send, data, &protected) != SRTP_OK:
            self.protect_errors += 1
            return True
        outbox.commit(<uint32_t>protected, transport.address)
        egress.packets += 1
        egress.octets += out.length
        self.forwarded += 1
        self.forwarded_bytes += <uint32_t>protected
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
        flush.item = flush.cursor = flush.part = 0
        flush.number += 1

    cdef bint _flush(self, Batch outbox) noexcept nogil:
        """Serve every listener of the held streams; True when `outbox` is full before the end."""
        cdef Flush* flush = &self.flush_state
        cdef Audience* audience = &self.audiences[flush.audience]
        cdef Stream* stream
        cdef Transport* transport
        while flush.item < audience.held_count:
            stream = &self.streams[audience.held[flush.item].stream]
            while flush.cursor < stream.count:
                transport = &self.transports[self.egresses[stream.egresses[flush.cursor]].transport]
                if transport.served != flush.number:
                    if not self._serve(outbox, audience, transport):
                        return True
                    transport.served = flush.number
                flush.cursor += 1
            self.held += 1
            self.held_s += self.now - audience.held[flush.item].placed_at
            flush.item += 1
            flush.cursor = 0
        audience.held_count = 0
        flush.is_active = False
        return False

    cdef bint _serve(self, Batch outbox, Audience* audience, Transport* transport) noexcept nogil:
        """All of the tick that one transport carries, equally long but for the last."""
        cdef Flush* flush = &self.flush_state
        cdef Egress* egresses[HELD_MAX]
        cdef Outgoing* packets[HELD_MAX]
        cdef Egress* egress
        cdef uint32_t size, padding, largest = 0
        cdef int32_t count = 0
        cdef int32_t line, item
        for line in range(transport.egress_count):
            egress = &self.egresses[transport.egresses[line]]
            for item in range(audience.held_count):
                if audience.held[item].stream == egress.stream and count < HELD_MAX:
                    egresses[count] = egress
                    packets[count] = &audience.held[item]
                    size = egress.extension_size + audience.held[item].length
                    if egress.echo_group != audience.held[item].echo_group:
                        largest = max(largest, size)
                    count += 1
        while flush.part < count:
            egress = egresses[flush.part]
            if self._is_carried(egress, transport, packets[flush.part]):
                padding = largest - egress.extension_size - packets[flush.part].length
                if flush.part == count - 1 or padding > PADDING_SIZE_MAX:
                    padding = 0
                if not self._emit(outbox, egress, transport, packets[flush.part], padding):
                    return False
            flush.part += 1
        flush.part = 0
        return True
