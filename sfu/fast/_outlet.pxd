# What leaves: the present packet or tick on its way to its listeners, and what is sent again.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from sfu.fast._batch cimport Batch
from sfu.fast._history cimport Remembered
from sfu.fast._packing cimport Packing
from sfu.fast._rows cimport FORMS, PAYLOAD_SIZE_MAX, Audience, Egress, Outgoing, Slot, Transport

# Where the fan-out of `outgoing` stands, and that of a held tick: either can pause when the outbox is full.
cdef struct FanOut:
    bint is_active
    int32_t form                # of `forms`
    int32_t cursor              # of the egresses of that form's stream

cdef struct Flush:
    bint is_active
    int32_t audience
    int32_t item                # of what is held
    int32_t form                # of that item's slot
    int32_t cursor              # of the egresses of that form's stream
    int32_t part                # of what that egress's transport gets
    uint64_t number

cdef class Outlet(Packing):
    cdef Outgoing outgoing
    cdef Outgoing forms[FORMS]  # of `outgoing`, those that somebody carries
    cdef int32_t form_count
    cdef uint8_t wrapped[FORMS][PAYLOAD_SIZE_MAX]
    cdef FanOut fan_out
    cdef int32_t resend_at
    cdef int32_t resend_count
    cdef Flush flush_state
    cdef uint64_t forwarded
    cdef uint64_t forwarded_bytes
    cdef uint64_t protect_errors
    cdef uint64_t overlapping   # not sent on an egress: what it carried before had not ended
    cdef uint64_t held
    cdef double held_s
    cdef bint _is_letting_out(self) noexcept
    cdef bint _let_out(self, Batch outbox) noexcept nogil
    cdef bint _catch_up(self, Batch outbox) noexcept nogil
    cdef const Outgoing* _unheard(self, const Egress* egress, const Outgoing* out) noexcept nogil
    cdef void _dispatch(self, Slot* slot) noexcept nogil
    cdef void _add_form(self, Slot* slot, int32_t form, Remembered* kept) noexcept nogil
    cdef bint _fan_out(self, Batch outbox) noexcept nogil
    cdef bint _resend(self, Batch outbox) noexcept nogil
    cdef bint _is_reachable(self, const Transport* transport) noexcept nogil
    cdef bint _is_carried(
        self, Egress* egress, Transport* transport, const Outgoing* out
    ) noexcept nogil
    cdef bint _emit(
        self, Batch outbox, Egress* egress, Transport* transport, const Outgoing* out, uint32_t padding,
        int32_t stamp,
    ) noexcept nogil
    cdef bint _start_due_flush(self) noexcept nogil
    cdef void _start_flush(self, int32_t audience) noexcept nogil
    cdef bint _flush(self, Batch outbox) noexcept nogil
    cdef bint _flush_slot(self, Batch outbox, Audience* audience, const Slot* slot) noexcept nogil
    cdef bint _serve(self, Batch outbox, Audience* audience, Transport* transport) noexcept nogil
