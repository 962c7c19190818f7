# Transport-wide numbers of what is sent to a listener, and what it tells of them.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from sfu.fast._egresses cimport Egresses
from sfu.fast._rows cimport Departure, Transport

cdef class Stamping(Egresses):
    cdef uint64_t stamped
    cdef uint64_t stamped_arrived
    cdef uint64_t stamped_lost
    cdef uint64_t feedback_malformed
    cdef list _told(self, Transport* row, bytes feedback, uint32_t deltas_at, double now)
    cdef int _tell(
        self, Transport* row, Departure* departure, bint came, int64_t ticks, double now, list found
    ) except -1
