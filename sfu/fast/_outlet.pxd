# What leaves: the present packet or tick on its way to its listeners.

from libc.stdint cimport int32_t, uint32_t, uint64_t

from sfu.fast._batch cimport Batch
from sfu.fast._routes cimport Routes
from sfu.fast._rows cimport Audience, Egress, Outgoing, Slot, Transport

# Where the fan-out of `outgoing` stands, and that of a held tick: either can pause when the outbox is full.
cdef struct FanOut:
    bint is_active
    int32_t cursor

cdef struct Flush:
    bint is_active
    int32_t audience
    int32_t item                # of what is held
    int32_t cursor              # of the egresses of that item's stream
    int32_t part                # of what that egress's transport gets
    uint64_t number

cdef class Outlet(Routes):
    cdef double now
    cdef Outgoing outgoing
    cdef FanOut fan_out
    cdef Flush flush_state
    cdef uint64_t forwarded
    cdef uint64_t forwarded_bytes
    cdef uint64_t protect_errors
    cdef uint64_t held
    cdef double held_s
    cdef bint _is_letting_out(self) noexcept
    cdef bint _let_out(self, Batch outbox) noexcept nogil
    cdef void _dispatch(self, Slot* slot) noexcept nogil
    cdef bint _fan_out(self, Batch outbox) noexcept nogil
    cdef bint _is_carried(
        self, Egress* egress, Transport* transport, const Outgoing* out
    ) noexcept nogil
    cdef bint _emit(
        self, Batch outbox, Egress* egress, Transport* transport, const Outgoing* out, uint32_t padding
    ) noexcept nogil
    cdef bint _start_due_flush(self) noexcept nogil
    cdef void _start_flush(self, int32_t audience) noexcept nogil
    cdef bint _flush(self, Batch outbox) noexcept nogil
    cdef bint _serve(self, Batch outbox, Audience* audience, Transport* transport) noexcept nogil
