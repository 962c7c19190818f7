# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The packets of a slot three to one, for lines on which headers are most of the load. README.md has the theory."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from sfu.fast._pack cimport (
    PACK_S, PACK_TICKS_MAX, Frames, Pack, add_holes, begin_pack, has_holes, is_full, link_pack,
    missing_ticks, put_in, take_apart, ticks_of, unlink_pack, write_pack,
)
from sfu.fast._rows cimport FORMS, NOBODY, PAYLOAD_SIZE_MAX, Outgoing, Slot
from sfu.fast._stamping cimport Stamping

cdef double CLOCK_GRAIN_S = 1e-6    # a deadline that a clock rounded down has come


cdef class Packing(Stamping):
    cdef void _pack(self, Slot* slot, const Outgoing* out) noexcept nogil:
        """A packet has its place on the slot's plain stream: let it wait for those after it."""
        cdef Pack* pack = <Pack*>self.slots[slot.packed].pack
        cdef Frames parts
        cdef int64_t lost
        if not self._is_wanted(&self.slots[slot.packed]):
            if pack.frames.count > 0:
                unlink_pack(self.slots, &self.packing, pack)
            pack.has_next = False
            return
        if out.is_late:
            self._pack_late(pack, out)
            return
        lost = missing_ticks(pack, out)
        if pack.frames.count > 0 and (lost < 0 or self.now >= pack.begun_at + PACK_S - CLOCK_GRAIN_S):
            self._end(pack)
        if out.ticks > PACK_TICKS_MAX or not take_apart(out.payload, out.length, &parts):
            if pack.frames.count > 0:
                self._end(pack)
            self._pass_on(pack, out)
            return
        if lost > 0:
            self._skip_lost(pack, out, lost)
        if pack.frames.count > 0 and (
            is_full(pack, out.ticks) or not put_in(pack, out, &parts, pack.frames.count)
        ):
            self._end(pack)
        if pack.frames.count == 0:
            self._begin(pack, out, out.time)
            put_in(pack, out, &parts, 0)
        pack.has_next = True
        pack.next_index = out.index + 1
        pack.next_time = out.time + out.ticks
        pack.voice = out.voice
        if is_full(pack, out.ticks) and not has_holes(pack):
            self._end(pack)

    cdef bint _is_wanted(self, const Slot* slot) noexcept nogil:
        """Whether anybody carries what is packed."""
        cdef int32_t form
        for form in range(FORMS):
            if slot.streams[form] != NOBODY and self.streams[slot.streams[form]].count > 0:
                return True
        return False

    cdef void _pack_late(self, Pack* pack, const Outgoing* out) noexcept nogil:
        """A packet comes after later ones: it still leaves if what it belongs to has not left."""
        cdef Frames parts
        cdef int64_t offset = out.time - pack.time
        cdef int64_t at = offset // <int64_t>max(<uint32_t>1, pack.frames.frame_ticks)
        cdef bint is_sequel = (
            pack.frames.count > 0
            and out.voice == pack.voice
            and out.payload[0] & 0xFC == pack.frames.toc
            and offset >= 0
            and offset % pack.frames.frame_ticks == 0
            and take_apart(out.payload, out.length, &parts)
        )
        if not is_sequel or at + parts.count > pack.frames.count or (
            pack.came >> at & ((<uint32_t>1 << parts.count) - 1)
        ):
            self.packed_late += 1
            return
        if not put_in(pack, out, &parts, <int32_t>at):
            self.packed_late += 1
            return
        if is_full(pack, out.ticks) and not has_holes(pack):
            self._end(pack)

    cdef void _skip_lost(self, Pack* pack, const Outgoing* out, int64_t ticks) noexcept nogil:
        """So much was lost before `out`: it is missing from the packs that it would have been in."""
        cdef int64_t frame_ticks = pack.frames.frame_ticks
        cdef int64_t time = pack.next_time
        cdef int64_t room, part
        while ticks > 0:
            if pack.frames.count == 0:
                self._begin(pack, out, time)
            room = PACK_TICKS_MAX // frame_ticks * frame_ticks - ticks_of(pack)
            part = min(ticks, room)
            if pack.size + part // frame_ticks > PAYLOAD_SIZE_MAX:
                self._end(pack)
                continue
            add_holes(pack, <int32_t>(part // frame_ticks))
            ticks -= part
            time += part
            if part == room:
                self._end(pack)

    cdef void _pass_on(self, Pack* pack, const Outgoing* out) noexcept nogil:
        """A packet that is too long to wait for others leaves as it is."""
        cdef Outgoing* ready = self._next_ready(pack, out.time, out.ticks)
        cdef const uint8_t* target = ready.payload
        memcpy(<uint8_t*>target, out.payload, out.length)
        ready.length = out.length
        ready.marker = out.marker
        ready.level = out.level
        ready.echo_group = out.echo_group
        ready.source = out.source
        ready.voice = out.voice
        ready.csrc_count = out.csrc_count
        memcpy(ready.csrcs, out.csrcs, sizeof(ready.csrcs))
        pack.has_next = False

    cdef void _begin(self, Pack* pack, const Outgoing* out, int64_t time) noexcept nogil:
        begin_pack(pack, out, time, self.now)
        link_pack(self.slots, &self.packing, pack)

    cdef void _end(self, Pack* pack) noexcept nogil:
        """What waits leaves. If none of it has come, the pack is lost as its packets are: it has a number only."""
        cdef Outgoing* ready
        if pack.came == 0:
            self.slots[pack.slot].newest_index += 1
        else:
            ready = self._next_ready(pack, pack.time, ticks_of(pack))
            ready.length = write_pack(pack, <uint8_t*>ready.payload)
            ready.marker = pack.marker
            ready.level = pack.level
            ready.echo_group = pack.echo_group
            ready.source = pack.source
            ready.voice = pack.voice
            ready.csrc_count = pack.csrc_count
            memcpy(ready.csrcs, pack.csrcs, sizeof(ready.csrcs))
        unlink_pack(self.slots, &self.packing, pack)

    cdef Outgoing* _next_ready(self, Pack* pack, int64_t time, int64_t ticks) noexcept nogil:
        """The next number of the packed streams, with room for a payload."""
        cdef Slot* slot = &self.slots[pack.slot]
        cdef Outgoing* ready
        if self.ready_at == self.ready_count:
            self.ready_at = self.ready_count = 0
        ready = &self.ready[self.ready_count]
        memset(ready, 0, sizeof(Outgoing))
        ready.payload = self.ready_payloads[self.ready_count]
        self.ready_count += 1
        self.packed += 1
        slot.newest_index += 1
        slot.newest_time = time
        slot.newest_ticks = <uint32_t>ticks
        slot.newest_at = self.now
        ready.slot = pack.slot
        ready.claimed = -1
        ready.index = slot.newest_index
        ready.time = time
        ready.ticks = <uint32_t>ticks
        return ready

    cdef bint _start_due_pack(self) noexcept nogil:
        """Whether a pack has waited for long enough; if so, it leaves."""
        cdef Pack* pack
        if self.packing.first == NOBODY:
            return False
        pack = <Pack*>self.slots[self.packing.first].pack
        if self.now < pack.begun_at + PACK_S - CLOCK_GRAIN_S:
            return False
        self._end(pack)
        return True
