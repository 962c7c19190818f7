# Packed streams: the packets of a slot three to one, and when those leave.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from sfu.fast._pack cimport Pack
from sfu.fast._rows cimport PAYLOAD_SIZE_MAX, Outgoing, Slot
from sfu.fast._stamping cimport Stamping

cdef enum:
    READY_MAX = 2               # one packet ends the pack before it, and may be a pack of its own

cdef class Packing(Stamping):
    cdef double now
    cdef Outgoing ready[READY_MAX]      # packs that leave after what is under way
    cdef uint8_t ready_payloads[READY_MAX][PAYLOAD_SIZE_MAX]
    cdef int32_t ready_at
    cdef int32_t ready_count
    cdef uint64_t packed
    cdef uint64_t packed_late
    cdef void _pack(self, Slot* slot, const Outgoing* out) noexcept nogil
    cdef bint _is_wanted(self, const Slot* slot) noexcept nogil
    cdef void _pack_late(self, Pack* pack, const Outgoing* out) noexcept nogil
    cdef void _skip_lost(self, Pack* pack, const Outgoing* out, int64_t ticks) noexcept nogil
    cdef void _pass_on(self, Pack* pack, const Outgoing* out) noexcept nogil
    cdef void _begin(self, Pack* pack, const Outgoing* out, int64_t time) noexcept nogil
    cdef void _end(self, Pack* pack) noexcept nogil
    cdef Outgoing* _next_ready(self, Pack* pack, int64_t time, int64_t ticks) noexcept nogil
    cdef bint _start_due_pack(self) noexcept nogil
