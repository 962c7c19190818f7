# What a slot remembers of its stream: enough to repeat packets and to wrap them in RED (README: History).

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from sfu.fast._rows cimport CSRCS_MAX, Outgoing

cdef enum:
    HISTORY_PACKETS = 64        # 1.3 s at 20 ms: beyond that no repetition comes in time
    HISTORY_BYTES = 16384       # the same at 100 kbit/s; at the highest bit rate a quarter of a second
    COPIES_MAX = 2              # of earlier packets in one of a RED stream

cdef struct Remembered:
    bint is_there
    bint marker
    uint8_t level
    uint8_t copies[COPIES_MAX]  # by redundancy - 1: a bit for each earlier packet that was wrapped with it
    int32_t echo_group
    uint64_t voice
    uint8_t csrc_count
    uint32_t csrcs[CSRCS_MAX]
    uint32_t ticks
    uint32_t length
    uint64_t at                 # of all bytes ever remembered
    int64_t index
    int64_t time
    double placed_at

cdef struct History:
    uint64_t written
    Remembered packets[HISTORY_PACKETS]
    uint8_t payloads[HISTORY_BYTES]

cdef inline History* new_history() noexcept nogil:
    """An empty one, NULL without memory."""
    return <History*>calloc(1, sizeof(History))

cdef inline Remembered* recall(History* history, int64_t index) noexcept nogil:
    """The packet at this place of the stream; NULL when it never came, or is forgotten."""
    cdef Remembered* one
    if history == NULL or index < 0:
        return NULL
    one = &history.packets[index % HISTORY_PACKETS]
    if not one.is_there or one.index != index or history.written - one.at > HISTORY_BYTES:
        return NULL
    return one

cdef inline const uint8_t* payload_of(const History* history, const Remembered* one) noexcept nogil:
    return history.payloads + one.at % HISTORY_BYTES

cdef inline int64_t first_unheard(History* history, int64_t newest, int64_t time) noexcept nogil:
    """The first packet up to `newest` that does not begin before `time`; newest + 1 for none."""
    cdef Remembered* one
    cdef int64_t index, found = newest + 1
    for index in range(newest, newest - HISTORY_PACKETS, -1):
        one = recall(history, index)
        if one == NULL:
            continue
        if one.time < time:
            break
        found = index
    return found

cdef inline Remembered* remember(History* history, const Outgoing* out, double now) noexcept nogil:
    """Keep a packet that has its place; NULL when its place was taken by a newer one."""
    cdef Remembered* one = &history.packets[out.index % HISTORY_PACKETS]
    cdef uint64_t at = history.written
    if one.is_there and one.index >= out.index:
        return NULL
    if at % HISTORY_BYTES + out.length > HISTORY_BYTES:
        at += HISTORY_BYTES - at % HISTORY_BYTES    # payloads lie in one piece
    memcpy(history.payloads + at % HISTORY_BYTES, out.payload, out.length)
    history.written = at + out.length
    one.is_there = True
    one.marker = out.marker
    one.level = out.level
    one.copies[0] = one.copies[1] = 0
    one.echo_group = out.echo_group
    one.voice = out.voice
    one.csrc_count = out.csrc_count
    memcpy(one.csrcs, out.csrcs, sizeof(one.csrcs))
    one.ticks = out.ticks
    one.length = out.length
    one.at = at
    one.index = out.index
    one.time = out.time
    one.placed_at = now
    return one
