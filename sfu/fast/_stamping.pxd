# Transport-wide numbers of what is sent to a listener, and what it tells of them.

from libc.stdint cimport uint32_t, uint64_t

from sfu.fast._routes cimport Routes
from sfu.fast._rows cimport Transport

cdef class Stamping(Routes):
    cdef uint64_t stamped
    cdef uint64_t feedback_malformed
    cdef list _told(self, Transport* row, bytes feedback, uint32_t deltas_at, double now)
