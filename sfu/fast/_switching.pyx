# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""From a slot's plain packets to its packed ones and back, without a gap. README.md has the theory."""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcpy, memset

from sfu.fast._batch cimport Batch
from sfu.fast._egress cimport heard_until
from sfu.fast._history cimport HISTORY_PACKETS, History, Remembered, payload_of, recall
from sfu.fast._pack cimport Frames, Pack, leave_heard, put_together, take_apart
from sfu.fast._resending cimport Resending
from sfu.fast._rows cimport NOBODY, Audience, Egress, Outgoing, Slot, Transport
from sfu.fast._stamps cimport next_stamp


cdef class Switching(Resending):
    cdef bint _catch_up(self, Batch outbox) noexcept nogil:
        cdef Egress* egress
        while self.owed_count > 0:
            egress = &self.egresses[self.owed[self.owed_count - 1]]
            if egress.alive and egress.is_owed and not self._send_owed(outbox, egress):
                return True
            egress.is_owed = False
            self.owed_count -= 1
        return False

    cdef bint _send_owed(self, Batch outbox, Egress* egress) noexcept nogil:
        """What left on the stream that `egress` does not hear any more, and waits on the one that it hears now.

        False when `outbox` has no room for it.
        """
        cdef Slot* slot
        cdef Slot* origin
        cdef Remembered* one
        cdef int64_t before
        if egress.stream == NOBODY or not self._is_reachable(&self.transports[egress.transport]):
            return True
        slot = &self.slots[self.streams[egress.stream].slot]
        origin = slot if slot.packs == NOBODY else &self.slots[slot.packs]
        before = self._owed_before(egress, origin)
        while egress.owed_index < before:
            one = recall(<History*>origin.history, egress.owed_index)
            if slot == origin and self._is_held(origin, egress.owed_index):
                one = NULL      # it leaves with its tick: twice under one number would be two texts
            if one != NULL and one.echo_group != egress.echo_group:
                if not self._send_late(outbox, egress, origin, one):
                    return False
            egress.owed_index += 1
        return True

    cdef int64_t _owed_before(self, const Egress* egress, const Slot* origin) noexcept nogil:
        """Where what waits in the pack that `egress` will get begins; all of a slot's own is owed."""
        cdef const Slot* slot = &self.slots[self.streams[egress.stream].slot]
        cdef const Pack* pack = <const Pack*>slot.pack
        cdef const Remembered* one
        cdef int64_t before = origin.newest_index + 1
        if pack == NULL:
            return before
        while pack.frames.count > 0 and before > origin.newest_index + 1 - HISTORY_PACKETS:
            one = recall(<History*>origin.history, before - 1)
            if one != NULL and one.time < pack.time:
                break
            before -= 1
        return before

    cdef bint _is_held(self, const Slot* slot, int64_t index) noexcept nogil:
        """Whether this packet of the slot waits for its tick, in whatever form, late or not."""
        cdef const Audience* audience
        cdef int32_t item
        if slot.audience == NOBODY:
            return False
        audience = &self.audiences[slot.audience]
        for item in range(audience.held_count):
            if &self.slots[audience.held[item].slot] == slot and audience.held[item].index == index:
                return True
        return False

    cdef bint _send_late(
        self, Batch outbox, Egress* egress, const Slot* origin, const Remembered* one
    ) noexcept nogil:
        """A plain packet, after those for whom it was meant have had it."""
        cdef Transport* transport = &self.transports[egress.transport]
        cdef int64_t oldest = egress.oldest_index
        cdef bint is_switching = egress.is_switching
        cdef bint is_packed = self.slots[self.streams[egress.stream].slot].packs != NOBODY
        cdef Outgoing out
        memset(&out, 0, sizeof(Outgoing))
        out.marker = one.marker
        out.level = one.level
        out.is_lean = origin.is_lean
        # Numbered by the slot: on a packed stream that number means nothing when it is asked for again.
        out.is_part = is_packed
        out.echo_group = one.echo_group
        out.csrc_count = one.csrc_count
        memcpy(out.csrcs, one.csrcs, sizeof(out.csrcs))
        out.ticks = one.ticks
        out.index = one.index
        out.time = one.time
        out.payload = payload_of(<History*>origin.history, one)
        out.length = one.length
        if not self._emit(outbox, egress, transport, &out, 0, next_stamp(transport, egress)):
            return False
        if is_packed:
            egress.oldest_index = oldest
            egress.is_switching = is_switching
            egress.needs_anchor = True
        return True

    cdef const Outgoing* _unheard(self, const Egress* egress, const Outgoing* out) noexcept nogil:
        cdef Frames frames
        cdef int64_t heard = heard_until(egress) - out.time
        cdef int32_t skipped
        if heard <= 0:
            return out
        if not take_apart(self.outgoing.payload, self.outgoing.length, &frames):
            return NULL
        skipped = <int32_t>((heard + frames.frame_ticks - 1) // frames.frame_ticks)
        if skipped >= frames.count:
            return NULL
        leave_heard(&frames, skipped)
        self.part = out[0]
        self.part.form = 0
        self.part.is_part = True
        self.part.marker = False
        self.part.time += skipped * <int64_t>frames.frame_ticks
        self.part.ticks -= <uint32_t>skipped * frames.frame_ticks
        self.part.payload = self.part_payload
        self.part.length = put_together(&frames, self.part_payload)
        return &self.part
