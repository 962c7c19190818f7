# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The forwarder: what Python calls around the walk. README.md beside this file is its theory."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport floor
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from sfu.fast._batch cimport ADDRESS_SIZE, Batch, Datagram
from sfu.fast._intake cimport KIND_DTLS, KIND_RTCP, KIND_STUN, Intake
from sfu.fast._level cimport NO_LEVEL
from sfu.fast._rows cimport CSRCS_MAX, NOBODY, PAYLOAD_SIZE_MAX, RECOVERED_BITS, Pending, Slot, SlowRecord, Source
from sfu.fast._rtp cimport opus_ticks
from sfu.fast._tables cimport grown
from sfu.fast._timeline cimport advance, advance_behind_clock, advance_to

from sfu.fast.records import Challenge, Gap, Slow

STUN = KIND_STUN
DTLS = KIND_DTLS
RTCP = KIND_RTCP


cdef list missing_after(const Source* source, int64_t sequence):
    """What has not come between `sequence` and the newest, oldest first."""
    cdef int64_t one
    cdef int64_t first = max(sequence + 1, source.highest_sequence - RECOVERED_BITS + 1)
    return [
        one for one in range(first, source.highest_sequence)
        if not (source.arrived >> (source.highest_sequence - one)) & 1
    ]


cdef class Forwarder(Intake):
    def push(
        self, int32_t stream, bytes payload not None, double now, *, at=None, csrcs=(), uint8_t level=127,
        bint yields=False, bint marker=False,
    ):
        cdef Slot* slot = &self.slots[self._origin(self._stream(stream).slot)]
        cdef uint32_t length = <uint32_t>PyBytes_GET_SIZE(payload)
        cdef bint is_placed
        self._assert_drained()
        if opus_ticks(<const uint8_t*>PyBytes_AS_STRING(payload), length) == 0:
            raise ValueError("the payload is not an Opus packet")
        if length > PAYLOAD_SIZE_MAX:
            raise ValueError(f"a payload has at most {PAYLOAD_SIZE_MAX} bytes, not {length}")
        if yields and at is not None:
            raise ValueError("what yields has no time of its own")
        self._set_csrcs(csrcs)
        self.now = now
        self.outgoing.ticks = opus_ticks(<const uint8_t*>PyBytes_AS_STRING(payload), length)
        if at is not None:
            is_placed = advance_to(slot, self.outgoing.ticks, at, now)
        elif yields:
            is_placed = advance_behind_clock(slot, self.outgoing.ticks, now)
        else:
            is_placed = advance(slot, self.outgoing.ticks, now)
        if not is_placed:
            return False
        self.pushed = payload
        slot.needs_anchor = True        # the holder goes on after what was put in
        self.outgoing.index = slot.newest_index
        self.outgoing.time = slot.newest_time
        self.outgoing.marker = marker
        self.outgoing.is_late = False
        self.outgoing.level = level & 0x7F
        self.outgoing.claimed = level & 0x7F
        self.outgoing.echo_group = NOBODY
        self.outgoing.source = NOBODY
        self.outgoing.voice = 0
        self.outgoing.payload = <const uint8_t*>PyBytes_AS_STRING(payload)
        self.outgoing.length = length
        self._dispatch(slot)
        return True

    cdef int _set_csrcs(self, csrcs) except -1:
        """Whose voices are in what is pushed."""
        cdef uint8_t index
        if len(csrcs) > CSRCS_MAX:
            raise ValueError(f"a packet names at most {CSRCS_MAX} sources, not {len(csrcs)}")
        for index, csrc in enumerate(csrcs):
            self.outgoing.csrcs[index] = csrc
        self.outgoing.csrc_count = <uint8_t>len(csrcs)
        return 0

    def receive(self, Batch inbox not None, double now):
        self._assert_drained()
        self.slow_records = <SlowRecord*>grown(
            self.slow_records, &self.slow_capacity, <int32_t>max(1, inbox.count), sizeof(SlowRecord)
        )
        self.inbox = inbox
        self.inbox_at = 0
        self.inbox_count = inbox.count
        self.now = now
        self.slow_count = 0
        self.pending_count = 0
        self.pending_taken = 0

    def drain(self, Batch outbox not None):
        cdef bint is_full
        with nogil:
            is_full = self._work(outbox)
        if not is_full:
            self.pushed = None
        return is_full

    def challenges(self):
        cdef int32_t handle
        cdef list taken = []
        for handle in range(self.pending_taken, self.pending_count):
            source = self.pending[handle].source
            if not self._is_current(&self.pending[handle]):
                continue
            taken.append(Challenge(source, <int>floor(self.sources[source].smoothed_db + 0.5), handle))
        self.pending_taken = self.pending_count
        return taken

    def accept(self, int32_t handle):
        cdef Pending* pending
        self._assert_drained()
        if not 0 <= handle < self.pending_count:
            raise KeyError(f"no challenge {handle}")
        pending = &self.pending[handle]
        if pending.payload == NULL or not self._is_current(pending):
            raise KeyError(f"challenge {handle} is over")
        if self.sources[pending.source].slot == NOBODY:
            raise ValueError(f"the source of challenge {handle} holds no slot")
        self._place(pending)
        pending.payload = NULL

    def slow(self):
        cdef int32_t index
        cdef SlowRecord* record
        cdef Datagram* datagram
        cdef list taken = []
        for index in range(self.slow_count):
            record = &self.slow_records[index]
            datagram = &self.inbox.datagrams[record.datagram]
            taken.append(Slow(
                record.kind,
                record.transport,
                PyBytes_FromStringAndSize(<char*>datagram.address, ADDRESS_SIZE),
                PyBytes_FromStringAndSize(<char*>self.inbox.memory + datagram.offset, datagram.length),
            ))
        self.slow_count = 0
        return taken

    def gaps(self):
        cdef list told = []
        cdef list sequences
        cdef int32_t index
        cdef Source* source
        for index in range(self.gapped_count):
            source = &self.sources[self.gapped[index]]
            if not source.alive or not source.is_gapped:
                continue
            source.is_gapped = False
            sequences = missing_after(source, source.gap_after)
            if sequences:
                told.append(Gap(self.gapped[index], source.ssrc, source.gap_after_at, sequences))
        self.gapped_count = 0
        return told

    def missing(self, int32_t source, uint32_t ssrc, list sequences not None):
        cdef Source* row = self._source(source)
        cdef Slot* slot
        cdef list found = []
        cdef int64_t sequence, behind
        if not row.is_audible or row.slot == NOBODY or row.ssrc != ssrc:
            return found
        slot = &self.slots[row.slot]
        for asked in sequences:
            sequence = asked
            behind = row.highest_sequence - sequence
            if not 0 < behind < RECOVERED_BITS or (row.arrived >> behind) & 1:
                continue
            if slot.needs_anchor or sequence < slot.oldest_sequence:
                continue
            row.asked |= <uint64_t>1 << behind
            found.append(asked)
        return found

    def set_measured_level(self, int32_t source, level):
        cdef Source* row = self._source(source)
        if level is not None and not 0 <= level <= NO_LEVEL:
            raise ValueError(f"a level is 0 to {NO_LEVEL}, not {level}")
        row.decoded_level = -1 if level is None else level
        row.decoded_at = self.now

    def counters(self):
        counts = {
            "received": self.received,
            "forwarded": self.forwarded,
            "forwarded_bytes": self.forwarded_bytes,
            "challenges": self.challenged,
            "protect_errors": self.protect_errors,
            "overlapping": self.overlapping,
            "ssrc_changes": self.ssrc_changes,
            "recovered": self.recovered,
            "repaired": self.repaired,
            "resent": self.resent,
            "resends_refused": self.resends_refused,
            "packed": self.packed,
            "packed_late": self.packed_late,
            "taps_dropped": self.taps.dropped,
            "stamped": self.stamped,
            "stamped_arrived": self.stamped_arrived,
            "stamped_lost": self.stamped_lost,
            "feedback_malformed": self.feedback_malformed,
            "held": self.held,
            "held_us": <uint64_t>(self.held_s * 1e6),
        }
        return counts | self._drops()

    cdef bint _is_current(self, Pending* pending) noexcept:
        """Whether the challenger is still there."""
        cdef Source* source = &self.sources[pending.source]
        return source.alive and source.serial == pending.serial

    cdef int _assert_drained(self) except -1:
        if self._is_letting_out() or self.inbox_at < self.inbox_count or self.queued_at < self.queued_count:
            raise RuntimeError("drain the last input first")
        return 0
