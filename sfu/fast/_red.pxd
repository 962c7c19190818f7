# Redundant audio data (RFC 2198): several Opus packets in one, the newest last.

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from sfu.fast._history cimport COPIES_MAX, History, Remembered, payload_of, recall
from sfu.fast._rows cimport PAYLOAD_SIZE_MAX
from sfu.fast._rtp cimport read32, write32

cdef enum:
    RED_BLOCKS_MAX = 4          # what a publisher may put before the newest: 80 ms; deeper is refused
    RED_OFFSET_MAX = 16383      # 14 bits: 341 ms
    RED_LENGTH_MAX = 1023       # 10 bits

cdef struct RedBlock:
    uint32_t offset             # ticks before the packet's timestamp
    uint32_t length
    const uint8_t* payload

cdef inline int parse_red(
    const uint8_t* data, uint32_t length, uint8_t payload_type, RedBlock* blocks
) noexcept nogil:
    """How many blocks there are, the newest last; -1 when it is no RED of this payload type alone.

    `blocks` has room for RED_BLOCKS_MAX + 1. Every length is checked against what is there.
    """
    cdef uint32_t at = 0, word, total = 0
    cdef int count = 0, index
    while True:
        if at >= length:
            return -1
        if data[at] & 0x7F != payload_type:
            return -1
        if not data[at] & 0x80:
            at += 1
            break
        if count >= RED_BLOCKS_MAX or at + 4 > length:
            return -1
        word = read32(data + at)
        blocks[count].offset = (word >> 10) & 0x3FFF
        blocks[count].length = word & 0x3FF
        total += blocks[count].length
        count += 1
        at += 4
    if at + total >= length:
        return -1               # nothing is left for the newest
    for index in range(count):
        blocks[index].payload = data + at
        at += blocks[index].length
    blocks[count].offset = 0
    blocks[count].length = length - at
    blocks[count].payload = data + at
    return count + 1

cdef inline bint has_copies(History* history, const Remembered* newest, uint8_t copies) noexcept nogil:
    """Whether all of bit mask `copies` are remembered still."""
    cdef int back
    for back in range(1, COPIES_MAX + 1):
        if copies & (1 << (back - 1)) and recall(history, newest.index - back) == NULL:
            return False
    return True

cdef inline uint32_t wrap(
    History* history, Remembered* newest, const uint8_t* chosen, uint8_t copies, uint8_t* target,
    uint8_t* blocks
) noexcept nogil:
    """Write the RED payload of `newest` with the earlier packets of bit mask `copies` (bit 0: the one before).

    Returns its length, 0 when one of them is forgotten. `blocks` gets how many stand before the newest.
    Payload types are left 0: each listener has its own (`stamp_red`).
    """
    cdef Remembered* one
    cdef Remembered* taken[COPIES_MAX]
    cdef int back, count = 0
    cdef uint32_t at = 0
    for back in range(COPIES_MAX, 0, -1):
        if copies & (1 << (back - 1)):
            one = recall(history, newest.index - back)
            if one == NULL:
                return 0
            taken[count] = one
            count += 1
    for back in range(count):
        one = taken[back]
        write32(target + at, (<uint32_t>(newest.time - one.time) << 10) | one.length)
        at += 4
    target[at] = 0
    at += 1
    for back in range(count):
        memcpy(target + at, payload_of(history, taken[back]), taken[back].length)
        at += taken[back].length
    memcpy(target + at, chosen, newest.length)
    blocks[0] = <uint8_t>count
    return at + newest.length

cdef inline uint8_t choose_copies(
    History* history, const Remembered* newest, int redundancy
) noexcept nogil:
    """Which of the `redundancy` packets before `newest` go with it: those of the same voice that are there, fit
    a block, and all together a payload."""
    cdef Remembered* one
    cdef uint8_t copies = 0
    cdef uint32_t size = 1 + newest.length
    cdef int64_t offset
    cdef int back
    for back in range(1, redundancy + 1):
        one = recall(history, newest.index - back)
        if one == NULL or one.length > RED_LENGTH_MAX or one.voice != newest.voice:
            continue
        offset = newest.time - one.time
        if not 0 < offset <= RED_OFFSET_MAX or size + 4 + one.length > PAYLOAD_SIZE_MAX:
            continue
        copies |= <uint8_t>(1 << (back - 1))
        size += 4 + one.length
    return copies

cdef inline void stamp_red(uint8_t* payload, uint8_t blocks, uint8_t payload_type) noexcept nogil:
    """Write a listener's payload type of Opus into the block headers."""
    cdef int index
    for index in range(blocks):
        payload[4 * index] = 0x80 | payload_type
    payload[4 * blocks] = payload_type
