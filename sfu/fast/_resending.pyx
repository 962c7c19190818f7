# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What a listener asks for again. README.md has the theory."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from sfu.fast._batch cimport Batch
from sfu.fast._history cimport History, Remembered, payload_of, recall
from sfu.fast._outlet cimport Outlet
from sfu.fast._red cimport has_copies, wrap
from sfu.fast._rows cimport NOBODY, RESENDS_MAX, SENT_MAX, Egress, Outgoing, Sent, Transport

cdef double RESEND_AGE_S = 0.5      # no jitter buffer waits longer
cdef enum:
    RESEND_TIMES = 2            # of one packet: a line that loses it three times has other needs


cdef class Resending(Outlet):
    def resend(self, int32_t egress, list sequences not None, double now, double spacing_s=0.0):
        cdef Egress* row = self._egress(egress)
        cdef int64_t sequence
        cdef int32_t count = 0
        self._assert_drained()
        self.now = now
        self.resend_at = self.resend_count = 0
        for asked in sequences[:RESENDS_MAX]:
            sequence = row.last_sequence + <int16_t><uint16_t>(<uint32_t>asked - <uint32_t>row.last_sequence)
            if self._may_repeat(row, sequence, spacing_s):
                self.resends[count].egress = egress
                self.resends[count].sequence = sequence
                count += 1
        self.resends_refused += <uint64_t>(len(sequences) - count)
        self.resend_count = count
        return count

    cdef bint _may_repeat(self, Egress* row, int64_t sequence, double spacing_s) noexcept:
        """Whether a packet may leave again: sent since the anchor, young, whole, not asked for too often.

        The permission is used up by asking.
        """
        cdef int64_t index = sequence - row.index_offset
        cdef History* history
        cdef Remembered* one
        cdef Sent* sent
        if row.sent == NULL or row.stream == NOBODY or row.needs_anchor or index < row.oldest_index:
            return False
        sent = &row.sent[sequence % SENT_MAX]
        history = <History*>self.slots[self.streams[row.stream].slot].history
        one = recall(history, index)
        if one == NULL or sent.sequence != sequence or self.now - one.placed_at > RESEND_AGE_S:
            return False
        if sent.form > 0 and not has_copies(history, one, one.copies[sent.form - 1]):
            return False
        if not self._is_reachable(&self.transports[row.transport]):
            return False
        if sent.times >= RESEND_TIMES or row.resends < 1.0:
            return False
        if self.now - sent.again_at < spacing_s:
            return False
        row.resends -= 1.0
        sent.times += 1
        sent.again_at = self.now
        return True

    cdef bint _resend(self, Batch outbox) noexcept nogil:
        """True when `outbox` is full before the end."""
        while self.resend_at < self.resend_count:
            if not self._send_again(outbox, &self.resends[self.resend_at]):
                return True
            self.resend_at += 1
        return False

    cdef bint _send_again(self, Batch outbox, const Resend* resend) noexcept nogil:
        """The very same packet, bit for bit: SRTP must not encrypt two texts under one index.

        False when `outbox` has no room for it.
        """
        cdef Egress* egress = &self.egresses[resend.egress]
        cdef Transport* transport = &self.transports[egress.transport]
        cdef History* history = <History*>self.slots[self.streams[egress.stream].slot].history
        cdef Remembered* one = recall(history, resend.sequence - egress.index_offset)
        cdef Sent* sent = &egress.sent[resend.sequence % SENT_MAX]
        cdef Outgoing out
        cdef uint64_t forwarded = self.forwarded
        cdef uint64_t bytes = self.forwarded_bytes
        if one == NULL or not self._is_reachable(transport):
            return True
        memset(&out, 0, sizeof(Outgoing))
        out.is_late = True
        out.marker = one.marker
        out.level = one.level
        out.form = sent.form
        out.echo_group = one.echo_group
        out.is_lean = self.slots[self.streams[egress.stream].slot].is_lean
        out.csrc_count = one.csrc_count
        memcpy(out.csrcs, one.csrcs, sizeof(out.csrcs))
        out.ticks = one.ticks
        out.index = one.index
        out.time = one.time
        out.payload = payload_of(history, one)
        out.length = one.length
        if out.form > 0:
            out.length = wrap(
                history, one, out.payload, one.copies[out.form - 1], self.wrapped[0], &out.blocks
            )
            out.payload = self.wrapped[0]
            if out.length == 0:
                return True
        if not self._emit(outbox, egress, transport, &out, sent.padding, sent.stamp):
            return False
        self.resent += self.forwarded - forwarded
        self.forwarded = forwarded
        self.forwarded_bytes = bytes
        return True
