# A datagram on its way in: from the inbox to a place on a slot's stream.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from sfu.fast._batch cimport Batch
from sfu.fast._red cimport RED_BLOCKS_MAX, RedBlock
from sfu.fast._rows cimport CHALLENGES_MAX, DROP_REASONS, GAPS_MAX, Pending, SlowRecord, Source, Transport
from sfu.fast._rtp cimport RtpHeader
from sfu.fast._switching cimport Switching

cdef enum:
    KIND_STUN = 0
    KIND_DTLS = 1
    KIND_RTCP = 2

cdef class Intake(Switching):
    # the input being worked on
    cdef Batch inbox
    cdef uint32_t inbox_at
    cdef uint32_t inbox_count   # of this input: the caller refills the batch before the next one
    cdef bytes pushed           # keeps the payload of a `push` alive while it fans out
    cdef Pending pending[CHALLENGES_MAX]
    cdef int32_t pending_count
    cdef int32_t pending_taken
    cdef Pending queued[RED_BLOCKS_MAX + 1]     # out of one datagram, oldest first
    cdef int queued_level
    cdef int32_t queued_at
    cdef int32_t queued_count
    cdef SlowRecord* slow_records
    cdef int32_t slow_capacity
    cdef int32_t slow_count
    cdef int32_t gapped[GAPS_MAX]       # sources whose new gap nobody was told of yet
    cdef int32_t gapped_count
    # counters
    cdef uint64_t received
    cdef uint64_t challenged
    cdef uint64_t ssrc_changes
    cdef uint64_t recovered
    cdef uint64_t repaired
    cdef uint64_t dropped[DROP_REASONS]
    cdef dict _drops(self)
    cdef bint _work(self, Batch outbox) noexcept nogil
    cdef void _take(self, uint32_t number) noexcept nogil
    cdef void _set_aside(self, int32_t kind, int32_t transport, uint32_t number) noexcept nogil
    cdef void _drop(self, int reason) noexcept nogil
    cdef void _leave_out(self, const Pending* packet, int reason) noexcept nogil
    cdef void _take_rtp(self, int32_t transport, uint8_t* data, uint32_t length) noexcept nogil
    cdef bint _came_by_red(self, Source* source, int64_t sequence) noexcept nogil
    cdef bint _unwrap(
        self, Source* source, Pending* packet, bint is_first, int64_t newest, uint32_t newest_timestamp
    ) noexcept nogil
    cdef void _recover(
        self, Source* source, const Pending* packet, const RedBlock* blocks, int count, int back, uint32_t offset
    ) noexcept nogil
    cdef void _note_gap(self, int32_t number, int64_t newest, double newest_at) noexcept nogil
    cdef bint _is_welcome(self, Transport* owner, RtpHeader* header, uint32_t length) noexcept nogil
    cdef bint _is_due_for_check(self, Source* source, RtpHeader* header) noexcept nogil
    cdef bint _is_within_rate(self, Source* source, uint32_t length) noexcept nogil
    cdef bint _unprotect(
        self, Transport* owner, Source* source, RtpHeader* header, uint8_t* data, uint32_t* length
    ) noexcept nogil
    cdef void _latch(self, Transport* owner, Source* source, uint32_t ssrc) noexcept nogil
    cdef int64_t _extended(self, Source* source, uint16_t sequence) noexcept nogil
    cdef int64_t _note_received(self, Source* source, RtpHeader* header) noexcept nogil
    cdef void _judge(self, Pending* packet, int level) noexcept nogil
    cdef void _place(self, Pending* packet) noexcept nogil
