# Output tracks and what they carry.

from libc.stdint cimport int32_t, uint32_t

from sfu.fast._rows cimport Egress
from sfu.fast._slots cimport Slots

cdef class Egresses(Slots):
    cdef int _check_unused(self, int32_t transport, uint32_t ssrc) except -1
    cdef bint _is_behind(self, Egress* row, double now) noexcept
    cdef int _arrive(self, int32_t egress, int32_t left, int32_t slot) except -1
    cdef void _owe_nothing(self, int32_t egress) noexcept
    cdef int _switch(self, int32_t egress, int32_t slot) except -1
