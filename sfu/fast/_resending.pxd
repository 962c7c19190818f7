# What a listener asks for again.

from libc.stdint cimport int32_t, int64_t, uint64_t

from sfu.fast._batch cimport Batch
from sfu.fast._outlet cimport Outlet
from sfu.fast._rows cimport RESENDS_MAX, Egress

cdef struct Resend:
    int32_t egress
    int64_t sequence

cdef class Resending(Outlet):
    cdef Resend resends[RESENDS_MAX]
    cdef uint64_t resent
    cdef uint64_t resends_refused
    cdef bint _may_repeat(self, Egress* row, int64_t sequence, double spacing_s) noexcept
    cdef bint _send_again(self, Batch outbox, const Resend* resend) noexcept nogil
