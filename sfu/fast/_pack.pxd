# Short Opus packets of one voice in one of up to 60 ms (RFC 6716 3.2.5), frame by frame as they came
# (README: Packed streams). All functions take a pointer and a length, and never read beyond it.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from sfu.fast._rows cimport CSRCS_MAX, NOBODY, PAYLOAD_SIZE_MAX, Outgoing, Slot
from sfu.fast._rtp cimport opus_frame_ticks, read_frame_length

cdef extern from * nogil:
    """
    #define PACK_S 0.060
    """
    const double PACK_S         # since its first packet came, a pack waits for no other

cdef enum:
    PACK_TICKS_MAX = 2880       # 60 ms: longer ones delay more and save little
    PACK_FRAMES_MAX = 24        # of 2.5 ms
    PACK_DATA_MAX = 2560        # packets as they came: what is left out of them (padding) needs room too
    LOST_MAX = 64               # beyond that a slot takes an anchor anyway
    VBR_FLAG = 0x80             # of the byte that counts frames
    PADDING_FLAG = 0x40

# An Opus packet taken apart.
cdef struct Frames:
    uint8_t toc                 # without the code
    uint32_t frame_ticks
    int32_t count
    const uint8_t* data[PACK_FRAMES_MAX]
    uint16_t lengths[PACK_FRAMES_MAX]
    const uint8_t* padding
    uint32_t padding_length

# What waits to leave as one packet, and what would follow it.
cdef struct Pack:
    int32_t slot                # the row whose streams carry it
    Frames frames               # into `data`; one that is missing has no bytes
    int32_t packets
    uint32_t came               # bit n: frame n is not missing
    uint32_t used               # of `data`
    uint32_t size               # as one packet, at most
    double begun_at
    int64_t time
    bint marker
    uint8_t level
    int32_t source
    int32_t echo_group
    uint8_t csrc_count
    uint32_t csrcs[CSRCS_MAX]
    bint has_next               # of the next three: false when nothing was packed lately
    int64_t next_index          # of the slot's plain stream
    int64_t next_time
    uint64_t voice
    int32_t next                # the row whose pack was begun after this one
    int32_t previous
    uint8_t data[PACK_DATA_MAX]

cdef struct PackList:
    int32_t first
    int32_t last

cdef inline bint take_apart(const uint8_t* data, uint32_t length, Frames* into) noexcept nogil:
    """The frames of an Opus packet; False for one of more than PACK_FRAMES_MAX, or none at all."""
    cdef uint32_t at = 1, used = 0, index
    cdef bint is_vbr
    cdef int32_t one
    if length < 1:
        return False
    into.toc = data[0] & 0xFC
    into.frame_ticks = opus_frame_ticks(data[0])
    into.count = 1 if data[0] & 3 == 0 else 2
    into.padding = data
    into.padding_length = 0
    is_vbr = data[0] & 3 == 2
    if data[0] & 3 == 3:
        if length < 2:
            return False
        into.count = data[1] & 0x3F
        is_vbr = data[1] & VBR_FLAG != 0
        at = 2
        if data[1] & PADDING_FLAG:
            while True:
                if at >= length:
                    return False
                at += 1
                if data[at - 1] != 255:
                    into.padding_length += data[at - 1]
                    break
                into.padding_length += 254
        if at + into.padding_length > length:
            return False
        length -= into.padding_length
        into.padding = data + length
    if not 0 < into.count <= PACK_FRAMES_MAX:
        return False
    for index in range(<uint32_t>into.count - 1 if is_vbr else 0):
        one = read_frame_length(data, length, &at)
        if one < 0:
            return False
        into.lengths[index] = <uint16_t>one
        used += <uint32_t>one
    if at + used > length or (not is_vbr and (length - at) % <uint32_t>into.count != 0):
        return False
    if is_vbr:
        into.lengths[into.count - 1] = <uint16_t>(length - at - used)
    for index in range(<uint32_t>into.count):
        if not is_vbr:
            into.lengths[index] = <uint16_t>((length - at) // <uint32_t>(into.count - index))
        into.data[index] = data + at
        at += into.lengths[index]
    return True

cdef inline uint32_t write_frame_length(uint8_t* target, uint32_t length) noexcept nogil:
    """RFC 6716 3.2.1; returns how many bytes it takes."""
    if length < 252:
        target[0] = <uint8_t>length
        return 1
    target[0] = <uint8_t>(252 + (length & 3))
    target[1] = <uint8_t>((length - target[0]) >> 2)
    return 2

cdef inline uint32_t written_size(uint32_t length) noexcept nogil:
    """How many bytes a frame takes with its length."""
    return length + (1 if length < 252 else 2)

cdef inline uint32_t put_together(const Frames* frames, uint8_t* target) noexcept nogil:
    """Write an Opus packet of all frames; returns its length. `target` has room for it."""
    cdef bint is_vbr = False
    cdef uint32_t at = 2, padding = frames.padding_length
    cdef int32_t index
    if frames.count == 1 and padding == 0:
        target[0] = frames.toc
        memcpy(target + 1, frames.data[0], frames.lengths[0])
        return 1 + frames.lengths[0]
    for index in range(1, frames.count):
        is_vbr = is_vbr or frames.lengths[index] != frames.lengths[0]
    target[0] = frames.toc | 3
    target[1] = <uint8_t>frames.count | (VBR_FLAG if is_vbr else 0) | (PADDING_FLAG if padding else 0)
    if padding > 0:
        while padding > 254:
            target[at] = 255
            padding -= 254
            at += 1
        target[at] = <uint8_t>padding
        at += 1
    for index in range(frames.count - 1 if is_vbr else 0):
        at += write_frame_length(target + at, frames.lengths[index])
    for index in range(frames.count):
        memcpy(target + at, frames.data[index], frames.lengths[index])
        at += frames.lengths[index]
    memcpy(target + at, frames.padding, frames.padding_length)
    return at + frames.padding_length

cdef inline void leave_heard(Frames* frames, int32_t count) noexcept nogil:
    """Leave out the first `count` frames, and what came with the first of them."""
    cdef int32_t index
    frames.count -= count
    frames.padding_length = 0
    for index in range(frames.count):
        frames.data[index] = frames.data[index + count]
        frames.lengths[index] = frames.lengths[index + count]

cdef inline Pack* new_pack(int32_t slot) noexcept nogil:
    """An empty one, NULL without memory."""
    cdef Pack* pack = <Pack*>calloc(1, sizeof(Pack))
    if pack != NULL:
        pack.slot = slot
        pack.next = pack.previous = NOBODY
    return pack

cdef inline uint32_t ticks_of(const Pack* pack) noexcept nogil:
    """How long what waits lasts."""
    return <uint32_t>pack.frames.count * pack.frames.frame_ticks

cdef inline int64_t missing_ticks(const Pack* pack, const Outgoing* out) noexcept nogil:
    """How much was lost between what was packed last and `out`, which goes on with it; -1 when it does not:
    another voice, another kind of frames, a pause, an anchor."""
    cdef int64_t lost = out.index - pack.next_index
    if not pack.has_next or out.marker or out.voice != pack.voice:
        return -1
    if out.payload[0] & 0xFC != pack.frames.toc or not 0 <= lost <= LOST_MAX:
        return -1
    # What is missing is taken to have been as long as what comes after it.
    return lost * out.ticks if out.time - pack.next_time == lost * out.ticks else -1

cdef inline bint is_full(const Pack* pack, uint32_t ticks) noexcept nogil:
    """Whether no further packet of `ticks` finds room."""
    return ticks_of(pack) + ticks > PACK_TICKS_MAX

cdef inline bint has_holes(const Pack* pack) noexcept nogil:
    return pack.came != (<uint32_t>1 << pack.frames.count) - 1

cdef inline void begin_pack(
    Pack* pack, const Outgoing* out, int64_t time, double now
) noexcept nogil:
    """Nothing waits yet; what comes begins at `time` and is of the voice of `out`."""
    pack.frames.toc = out.payload[0] & 0xFC
    pack.frames.frame_ticks = opus_frame_ticks(out.payload[0])
    pack.frames.count = pack.packets = 0
    pack.frames.padding_length = 0
    pack.came = pack.used = 0
    pack.size = 2
    pack.begun_at = now
    pack.time = time
    pack.marker = False
    pack.level = 127
    pack.source = out.source
    pack.echo_group = out.echo_group
    pack.csrc_count = out.csrc_count
    memcpy(pack.csrcs, out.csrcs, sizeof(pack.csrcs))

cdef inline uint8_t louder(uint8_t one, uint8_t other) noexcept nogil:
    """The louder of two levels, with the voice bit if either has it."""
    return ((one | other) & 0x80) | min(one & 0x7F, other & 0x7F)

cdef inline void add_holes(Pack* pack, int32_t count) noexcept nogil:
    """Frames that have not come: without bytes, as RFC 6716 3.2.1 writes what is lost."""
    cdef int32_t index
    for index in range(pack.frames.count, pack.frames.count + count):
        pack.frames.data[index] = pack.data
        pack.frames.lengths[index] = 0
    pack.frames.count += count
    pack.size += <uint32_t>count

cdef inline bint put_in(Pack* pack, const Outgoing* out, const Frames* parts, int32_t at) noexcept nogil:
    """The frames of a packet get their places, from frame `at` on; False when there is no room for their bytes."""
    cdef bint is_first = pack.frames.count == 0
    cdef uint32_t padding = parts.padding_length if is_first else 0
    cdef uint32_t size = padding + (padding // 254 + 1 if padding else 0)
    cdef int32_t index
    for index in range(parts.count):
        size += written_size(parts.lengths[index])
    # The first leaves as it came if nothing joins it, so it always fits.
    if not is_first and (pack.size + size > PAYLOAD_SIZE_MAX or pack.used + out.length > PACK_DATA_MAX):
        return False
    memcpy(pack.data + pack.used, out.payload, out.length)
    for index in range(parts.count):
        pack.frames.data[at + index] = pack.data + pack.used + (parts.data[index] - out.payload)
        pack.frames.lengths[at + index] = parts.lengths[index]
        pack.came |= <uint32_t>1 << (at + index)
    if is_first:
        pack.marker = out.marker
        pack.frames.padding = pack.data + pack.used + (parts.padding - out.payload)
        pack.frames.padding_length = padding
    pack.used += out.length
    pack.size += size
    pack.frames.count = max(pack.frames.count, at + parts.count)
    pack.level = louder(pack.level, out.level)
    pack.packets += 1
    return True

cdef inline uint32_t write_pack(const Pack* pack, uint8_t* target) noexcept nogil:
    """The payload of all that waits; returns its length. One packet alone leaves as it came."""
    if pack.packets == 1 and not has_holes(pack):
        memcpy(target, pack.data, pack.used)
        return pack.used
    return put_together(&pack.frames, target)

cdef inline void unlink_pack(Slot* slots, PackList* waiting, Pack* pack) noexcept nogil:
    """Nothing waits in this pack any more."""
    if pack.previous != NOBODY:
        (<Pack*>slots[pack.previous].pack).next = pack.next
    elif waiting.first == pack.slot:
        waiting.first = pack.next
    if pack.next != NOBODY:
        (<Pack*>slots[pack.next].pack).previous = pack.previous
    elif waiting.last == pack.slot:
        waiting.last = pack.previous
    pack.next = pack.previous = NOBODY
    pack.frames.count = 0

cdef inline void link_pack(Slot* slots, PackList* waiting, Pack* pack) noexcept nogil:
    """It was begun just now: every other is due before it."""
    pack.previous = waiting.last
    if waiting.last != NOBODY:
        (<Pack*>slots[waiting.last].pack).next = pack.slot
    else:
        waiting.first = pack.slot
    waiting.last = pack.slot
