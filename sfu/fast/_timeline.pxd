# A slot's timeline: how its packets are numbered and stamped (README: Numbering). Pure arithmetic on rows.

from libc.math cimport floor
from libc.stdint cimport int32_t, int64_t, uint32_t

from sfu.fast._rows cimport Outgoing, Slot
from sfu.fast._rtp cimport TICKS_20_MS

cdef extern from * nogil:
    """
    #define PAUSE_S 1.0
    """
    const double PAUSE_S            # a shorter silence may be a network that stalled: what it held follows

cdef enum:
    CLOCK_RATE = 48000
    LEAP_MAX = 64                   # what a decoder cannot conceal is no gap worth showing
    LATE_MAX = 64                   # further behind, no jitter buffer still waits for it
    EARLY_TICKS_MAX = 960           # 20 ms
    OVERLAP_TICKS_MAX = 4800        # 100 ms: two voices overlap by less, however long their frames
    PAUSE_ERROR_TICKS_MAX = 960     # 20 ms, after a pause
    AHEAD_TICKS_MAX = 24000         # 500 ms, at any time: older speech than that is not worth hearing
    BEHIND_TICKS_MAX = 48000        # 1 s, at any time

cdef inline int64_t clock_ticks(double now) noexcept nogil:
    """The room clock: 48 kHz ticks of `now`."""
    return <int64_t>floor(now * CLOCK_RATE + 0.5)

cdef inline bint advance(Slot* slot, uint32_t ticks, double now) noexcept nogil:
    """The next index, at the multiple of 20 ms after the last packet that is nearest to the clock.

    Or at the end of the last packet, if that is later. `ticks` is how long the new packet lasts. False, and nothing is changed, when it would overlap the last
    one unless it were put ahead of the clock by more than EARLY_TICKS_MAX: voices that follow each other
    quickly would otherwise push the timeline further ahead each time.
    """
    cdef int64_t clock = clock_ticks(now)
    cdef int64_t step, ahead
    if not slot.has_packets:
        slot.newest_time = clock
        slot.has_packets = True
    else:
        step = TICKS_20_MS * <int64_t>floor(<double>(clock - slot.newest_time) / TICKS_20_MS + 0.5)
        if step < slot.newest_ticks:
            step = slot.newest_ticks
            ahead = slot.newest_time + step - clock
            if EARLY_TICKS_MAX < ahead <= OVERLAP_TICKS_MAX or ahead > AHEAD_TICKS_MAX:
                return False
        slot.newest_time += step
    slot.newest_index += 1
    slot.newest_ticks = ticks
    slot.newest_at = now
    return True

cdef inline bint advance_behind_clock(Slot* slot, uint32_t ticks, double now) noexcept nogil:
    """The next index, at the last multiple of 20 ms after the last packet that has come.

    False, and nothing is changed, while that packet lasts. What is placed so is never ahead of the
    clock, so a voice that comes at any moment after it is not early.
    """
    cdef int64_t clock = clock_ticks(now)
    cdef int64_t past = clock - slot.newest_time
    if not slot.has_packets:
        slot.newest_time = clock
        slot.has_packets = True
    elif past < 0 or past - past % TICKS_20_MS < slot.newest_ticks:
        return False
    else:
        slot.newest_time += past - past % TICKS_20_MS
    slot.newest_index += 1
    slot.newest_ticks = ticks
    slot.newest_at = now
    return True

cdef inline bint advance_to(Slot* slot, uint32_t ticks, double at, double now) noexcept nogil:
    """The next index, at `at` on the room clock, or up to EARLY_TICKS_MAX later: where the last packet ends.

    False, and nothing is changed, when that would be later still, or `at` is more than AHEAD_TICKS_MAX
    before `now` or EARLY_TICKS_MAX after it.
    """
    cdef int64_t time = clock_ticks(at)
    cdef int64_t age = clock_ticks(now) - time
    if age > AHEAD_TICKS_MAX or age < -EARLY_TICKS_MAX:
        return False
    if slot.has_packets and time < slot.newest_time + slot.newest_ticks:
        if slot.newest_time + slot.newest_ticks - time > EARLY_TICKS_MAX:
            return False
        time = slot.newest_time + slot.newest_ticks
    slot.has_packets = True
    slot.newest_index += 1
    slot.newest_time = time
    slot.newest_ticks = ticks
    slot.newest_at = now
    return True

cdef inline bint is_out_of_step(Slot* slot, int64_t sequence, uint32_t timestamp, double now) noexcept nogil:
    """Whether the holder's own numbers no longer continue the slot's timeline."""
    cdef int32_t step = <int32_t>(timestamp - slot.newest_timestamp)
    cdef int64_t error = slot.newest_time + step - clock_ticks(now)
    if step <= 0 or sequence - slot.newest_sequence > LEAP_MAX:
        return True
    if error < -BEHIND_TICKS_MAX or error > AHEAD_TICKS_MAX:
        return True
    return now - slot.newest_at >= PAUSE_S and (
        error < -PAUSE_ERROR_TICKS_MAX or error > PAUSE_ERROR_TICKS_MAX
    )

cdef inline void close_gap(Slot* slot, int64_t sequence) noexcept nogil:
    """A packet of the holder is left out on purpose: what follows moves up by one."""
    if slot.needs_anchor or sequence <= slot.newest_sequence:
        return
    if sequence - slot.newest_sequence > LEAP_MAX:
        slot.needs_anchor = True
        return
    slot.newest_index += sequence - slot.newest_sequence - 1
    slot.newest_sequence = sequence
    slot.oldest_sequence = sequence + 1

cdef enum Place:
    PLACED
    TOO_LATE
    TOO_EARLY

cdef inline Place number(
    Slot* slot, int64_t sequence, uint32_t timestamp, double now, Outgoing* out
) noexcept nogil:
    """Give the holder's packet (`out.ticks` long) its index and time, if there is a place for it."""
    cdef int32_t step = <int32_t>(timestamp - slot.newest_timestamp)
    out.is_late = not slot.needs_anchor and sequence <= slot.newest_sequence
    if out.is_late:
        out.index = slot.newest_index + sequence - slot.newest_sequence
        out.time = slot.newest_time + step
        if sequence < slot.oldest_sequence or slot.newest_sequence - sequence > LATE_MAX:
            return TOO_LATE
        return PLACED
    if slot.needs_anchor or is_out_of_step(slot, sequence, timestamp, now):
        slot.needs_anchor = not advance(slot, out.ticks, now)
        if slot.needs_anchor:
            return TOO_EARLY
        slot.oldest_sequence = sequence
        out.marker = True
    else:
        slot.newest_index += sequence - slot.newest_sequence
        slot.newest_time += step
        slot.newest_ticks = out.ticks
        slot.newest_at = now
    slot.newest_sequence = sequence
    slot.newest_timestamp = timestamp
    out.index = slot.newest_index
    out.time = slot.newest_time
    return PLACED
