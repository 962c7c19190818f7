# What a listener tells of stamped packets: transport-wide feedback, after the two SSRCs
# (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1). Nothing is read beyond its length.

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t

from sfu.fast._rtp cimport read16

cdef enum:
    TOLD_HEADER_SIZE = 8
    TOLD_PACKETS_MAX = 8192     # 27 s of six talkers: what an outage may leave to be told at once
    TOLD_REST_MAX = 3           # padding up to a whole word
    NOT_CAME = 0
    CAME_SOON = 1               # within 63.75 ms of the one before
    CAME = 2
    MALFORMED = -1

cdef struct Chunks:
    const uint8_t* data
    uint32_t at
    uint32_t end
    uint16_t chunk              # the present one
    uint32_t left               # of the packets that it tells of

cdef inline bint next_chunk(Chunks* chunks, uint32_t wanted) noexcept nogil:
    """Go on with the next chunk, of which at most `wanted` packets count; False where there is none."""
    if chunks.at + 2 > chunks.end:
        return False
    chunks.chunk = read16(chunks.data + chunks.at)
    chunks.at += 2
    if is_run(chunks):
        chunks.left = min(chunks.chunk & 0x1FFF, wanted)
    else:
        chunks.left = 7 if chunks.chunk & 0x4000 else 14
    return chunks.left > 0

cdef inline bint is_run(const Chunks* chunks) noexcept nogil:
    """Whether the present chunk says the same of all its packets."""
    return not chunks.chunk & 0x8000

cdef inline int next_status(Chunks* chunks) noexcept nogil:
    """NOT_CAME, CAME_SOON, CAME or a reserved one for the next packet of the present chunk."""
    chunks.left -= 1
    if is_run(chunks):
        return (chunks.chunk >> 13) & 3
    if chunks.chunk & 0x4000:
        return (chunks.chunk >> (2 * chunks.left)) & 3
    return (chunks.chunk >> chunks.left) & 1

cdef inline int deltas_at(const uint8_t* data, uint32_t length) noexcept nogil:
    """Where the arrival times begin, after as many statuses as the header says; MALFORMED if anything
    of it does not fit."""
    cdef Chunks chunks
    cdef uint32_t left, size = 0
    cdef int status
    if length < TOLD_HEADER_SIZE:
        return MALFORMED
    left = read16(data + 2)
    if not 1 <= left <= TOLD_PACKETS_MAX:
        return MALFORMED
    chunks = Chunks(data, TOLD_HEADER_SIZE, length, 0, 0)
    while left > 0:
        if not next_chunk(&chunks, left):
            return MALFORMED
        while chunks.left > 0 and left > 0:
            status = next_status(&chunks)
            if status > CAME:
                return MALFORMED
            size += <uint32_t>status    # one byte, or two with a sign
            left -= 1
            if is_run(&chunks):         # the rest of it at once: time is not spent beyond what was sent
                size += <uint32_t>status * chunks.left
                left -= chunks.left
                chunks.left = 0
    if chunks.at + size > length or length - chunks.at - size > TOLD_REST_MAX:
        return MALFORMED
    return <int>chunks.at

cdef inline int next_delta(const uint8_t* data, int status) noexcept nogil:
    """How many 250 us after the packet before it one came."""
    return data[0] if status == CAME_SOON else <int16_t>read16(data)
