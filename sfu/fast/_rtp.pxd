# What the forwarder reads from packets: RTP headers (RFC 3550), header extensions (RFC 8285), Opus (RFC 6716).
# All functions are inline, take a pointer and a length, and never read beyond it.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

cdef enum:
    RTP_HEADER_SIZE = 12
    ONE_BYTE_PROFILE = 0xBEDE
    TWO_BYTE_PROFILE = 0x1000    # the low four bits are free for the application
    TICKS_20_MS = 960
    OPUS_TICKS_MAX = 5760        # 120 ms
    OPUS_FRAME_SIZE_MAX = 1275

cdef struct RtpHeader:
    bint has_padding
    bint marker
    uint8_t payload_type
    uint16_t sequence
    uint32_t timestamp
    uint32_t ssrc
    uint32_t size               # up to the payload
    uint16_t profile            # of the extension
    const uint8_t* extension
    uint32_t extension_size

cdef inline uint16_t read16(const uint8_t* data) noexcept nogil:
    return <uint16_t>((data[0] << 8) | data[1])

cdef inline uint32_t read32(const uint8_t* data) noexcept nogil:
    return (<uint32_t>data[0] << 24) | (<uint32_t>data[1] << 16) | (<uint32_t>data[2] << 8) | data[3]

cdef inline void write16(uint8_t* data, uint16_t value) noexcept nogil:
    data[0] = <uint8_t>(value >> 8)
    data[1] = <uint8_t>value

cdef inline void write32(uint8_t* data, uint32_t value) noexcept nogil:
    data[0] = <uint8_t>(value >> 24)
    data[1] = <uint8_t>(value >> 16)
    data[2] = <uint8_t>(value >> 8)
    data[3] = <uint8_t>value

cdef inline bint parse_rtp(const uint8_t* data, uint32_t length, RtpHeader* header) noexcept nogil:
    """Whether `data` has a whole RTP header; fills `header`."""
    cdef uint32_t size
    if length < RTP_HEADER_SIZE or data[0] >> 6 != 2:
        return False
    header.has_padding = (data[0] >> 5) & 1
    header.marker = data[1] >> 7
    header.payload_type = data[1] & 0x7F
    header.sequence = read16(data + 2)
    header.timestamp = read32(data + 4)
    header.ssrc = read32(data + 8)
    header.profile = 0
    header.extension = NULL
    header.extension_size = 0
    size = RTP_HEADER_SIZE + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if length < size + 4:
            return False
        header.profile = read16(data + size)
        header.extension_size = 4 * <uint32_t>read16(data + size + 2)
        header.extension = data + size + 4
        size += 4 + header.extension_size
    header.size = size
    return size <= length

cdef inline int find_extension(const RtpHeader* header, uint8_t wanted) noexcept nogil:
    """The first byte of extension element `wanted`; -1 when it is absent or empty."""
    cdef const uint8_t* data = header.extension
    cdef uint32_t size = header.extension_size
    cdef uint32_t at = 0
    cdef uint32_t length
    cdef uint8_t number
    cdef bint is_two_byte = (header.profile & 0xFFF0) == TWO_BYTE_PROFILE
    if data == NULL or wanted == 0 or not (is_two_byte or header.profile == ONE_BYTE_PROFILE):
        return -1
    while at < size:
        if data[at] == 0:
            at += 1
            continue
        if is_two_byte:
            if at + 2 > size:
                return -1
            number = data[at]
            length = data[at + 1]
            at += 2
        else:
            number = data[at] >> 4
            length = (data[at] & 0x0F) + 1
            at += 1
            # RFC 8285 4.2: 15 ends the block; 0 with a length is no element and leaves nothing to trust.
            if number == 15 or number == 0:
                return -1
        if at + length > size:
            return -1
        if number == wanted:
            return data[at] if length > 0 else -1
        at += length
    return -1

cdef inline uint32_t opus_frame_ticks(uint8_t toc) noexcept nogil:
    """Duration of one frame at 48 kHz (RFC 6716 3.1, table 2)."""
    cdef uint32_t config = toc >> 3
    if config < 12:
        return 2880 if config & 3 == 3 else <uint32_t>480 << (config & 3)
    if config < 16:
        return <uint32_t>480 << (config & 1)
    return <uint32_t>120 << (config & 3)

cdef inline int32_t read_frame_length(const uint8_t* data, uint32_t length, uint32_t* at) noexcept nogil:
    """A frame length of one or two bytes (RFC 6716 3.2.1); -1 when it is cut off."""
    cdef uint32_t first
    if at[0] >= length:
        return -1
    first = data[at[0]]
    at[0] += 1
    if first < 252:
        return <int32_t>first
    if at[0] >= length:
        return -1
    first += 4 * <uint32_t>data[at[0]]
    at[0] += 1
    return <int32_t>first

cdef inline bint is_code3(const uint8_t* data, uint32_t length) noexcept nogil:
    """Whether a packet with an arbitrary number of frames is well formed (RFC 6716 3.2.5, R5 to R7)."""
    cdef uint32_t frames, padding = 0, at = 2, index
    cdef int32_t one
    if length < 2:
        return False
    frames = data[1] & 0x3F
    if frames == 0 or frames * opus_frame_ticks(data[0]) > OPUS_TICKS_MAX:
        return False
    if data[1] & 0x40:
        while True:
            if at >= length:
                return False
            at += 1
            if data[at - 1] != 255:
                padding += data[at - 1]
                break
            padding += 254
    if at + padding > length:
        return False
    length -= padding
    if data[1] & 0x80:
        padding = 0     # from here on: bytes of the frames whose length is written
        for index in range(frames - 1):
            one = read_frame_length(data, length, &at)
            if one < 0:
                return False
            padding += <uint32_t>one
        return at + padding <= length and length - at - padding <= OPUS_FRAME_SIZE_MAX
    return (length - at) % frames == 0 and (length - at) // frames <= OPUS_FRAME_SIZE_MAX

cdef inline uint32_t opus_ticks(const uint8_t* data, uint32_t length) noexcept nogil:
    """Duration of an Opus packet at 48 kHz; 0 when it cannot be one (RFC 6716 3.4)."""
    cdef uint32_t at = 1
    cdef uint32_t frame
    cdef int32_t one
    if length < 1:
        return 0
    frame = opus_frame_ticks(data[0])
    if data[0] & 3 == 0:
        return frame if length - 1 <= OPUS_FRAME_SIZE_MAX else 0
    if data[0] & 3 == 1:
        return 2 * frame if (length - 1) % 2 == 0 and (length - 1) // 2 <= OPUS_FRAME_SIZE_MAX else 0
    if data[0] & 3 == 2:
        one = read_frame_length(data, length, &at)
        if one < 0 or at + <uint32_t>one > length or length - at - <uint32_t>one > OPUS_FRAME_SIZE_MAX:
            return 0
        return 2 * frame
    return (data[1] & 0x3F) * frame if is_code3(data, length) else 0
