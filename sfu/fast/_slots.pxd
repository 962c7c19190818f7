# Slots and their streams.

from libc.stdint cimport int32_t, uint8_t

from sfu.fast._routes cimport Routes
from sfu.fast._rows cimport Slot

cdef class Slots(Routes):
    cdef void _leave_audience(self, int32_t slot)
    cdef int _keep_history(self, Slot* row) except -1
    cdef int32_t _open_slot(self, int32_t audience, bint lean) except -1
    cdef void _close_slot(self, int32_t slot)
    cdef int _open_packed(self, int32_t slot) except -1
    cdef void _close_packed(self, int32_t slot)
    cdef int32_t _origin(self, int32_t slot) noexcept
    cdef int _open_stream(self, int32_t slot, uint8_t form, int32_t stream) except -1
    cdef void _close_stream(self, int32_t stream)
    cdef void _unsubscribe(self, int32_t egress)
