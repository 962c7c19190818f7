# A listener goes on with the same slot, packed or not any more, and hears all of it once.

from libc.stdint cimport int64_t, uint8_t

from sfu.fast._batch cimport Batch
from sfu.fast._history cimport Remembered
from sfu.fast._resending cimport Resending
from sfu.fast._rows cimport PAYLOAD_SIZE_MAX, Egress, Outgoing, Slot

cdef class Switching(Resending):
    cdef Outgoing part                      # what one egress has not heard of a pack
    cdef uint8_t part_payload[PAYLOAD_SIZE_MAX]
    cdef bint _send_owed(self, Batch outbox, Egress* egress) noexcept nogil
    cdef int64_t _owed_before(self, const Egress* egress, const Slot* origin) noexcept nogil
    cdef bint _is_held(self, const Slot* slot, int64_t index) noexcept nogil
    cdef bint _send_late(self, Batch outbox, Egress* egress, const Slot* origin, const Remembered* one) noexcept nogil
