# What a virtual client says: voices that are made in advance, and who is where in which of them.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from sfu.fast._rtp cimport ONE_BYTE_PROFILE, RTP_HEADER_SIZE, write16, write32

cdef extern from * nogil:
    """
    #define TIME_NS_MAX ((int64_t)1 << 62)
    """
    const int64_t TIME_NS_MAX       # of a realtime: sums with it do not overflow

cdef enum:
    SEND_TIME_SIZE = 8
    STEP_TICKS = 960
    STEP_TIME_NS = 20_000_000
    EXTENSION_SIZE = 8              # head and one word: the level and its padding
    VOICE_PAYLOAD_MAX = 1280        # what fits 1,400 with all headers; 20 ms at 510 kbit/s are 1,275

cdef struct Step:
    uint32_t offset
    uint16_t length                 # 0: DTX, nothing is sent
    uint8_t level                   # RFC 6464: voice bit and -dBov

cdef struct Voice:
    uint8_t* data
    Step* steps
    int32_t count

cdef struct Talker:
    int32_t client
    int32_t voice
    int32_t step                    # the next one, as are the sequence, the timestamp and the time
    uint16_t sequence
    uint32_t timestamp
    int64_t due_ns
    uint32_t ssrc
    uint8_t payload_type
    uint8_t level_extension
    bint marker                     # the next packet begins a talkspurt

cdef inline uint32_t opus_padding(const uint8_t* data, uint32_t length) noexcept nogil:
    """How many bytes of padding end a well-formed Opus packet (RFC 6716 3.2.5)."""
    cdef uint32_t at = 2
    cdef uint32_t padding = 0
    if length < 2 or data[0] & 3 != 3 or not data[1] & 0x40:
        return 0
    while data[at] == 255:
        padding += 254
        at += 1
    return padding + data[at]

cdef inline void write64(uint8_t* data, uint64_t value) noexcept nogil:
    write32(data, <uint32_t>(value >> 32))
    write32(data + 4, <uint32_t>value)

cdef inline int64_t read_time(const uint8_t* data) noexcept nogil:
    cdef uint64_t value = 0
    cdef int index
    for index in range(SEND_TIME_SIZE):
        value = (value << 8) | data[index]
    return <int64_t>value

cdef inline uint32_t write_packet(
    uint8_t* data, const Talker* talker, const Voice* voice, int64_t now_ns
) noexcept nogil:
    """The RTP packet of the talker's step with its send time; returns its size."""
    cdef const Step* step = &voice.steps[talker.step]
    cdef uint32_t size = RTP_HEADER_SIZE
    data[0] = 0x90 if talker.level_extension else 0x80
    data[1] = (0x80 if talker.marker else 0) | talker.payload_type
    write16(data + 2, talker.sequence)
    write32(data + 4, talker.timestamp)
    write32(data + 8, talker.ssrc)
    if talker.level_extension:
        write16(data + size, ONE_BYTE_PROFILE)
        write16(data + size + 2, 1)
        write32(data + size + 4, (<uint32_t>talker.level_extension << 28) | (<uint32_t>step.level << 16))
        size += EXTENSION_SIZE
    memcpy(data + size, voice.data + step.offset, step.length)
    size += step.length
    write64(data + size - SEND_TIME_SIZE, <uint64_t>now_ns)
    return size

cdef inline void skip_steps(Talker* talker, const Voice* voice, int64_t steps) noexcept nogil:
    """Go on by `steps` without sending."""
    talker.step = <int32_t>((talker.step + steps) % voice.count)
    talker.timestamp += <uint32_t>(steps * STEP_TICKS)
    talker.due_ns += steps * STEP_TIME_NS
