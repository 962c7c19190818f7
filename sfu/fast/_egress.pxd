# What a listener gets: the numbers and the header of an output track (README: Numbering, Header).

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from sfu.fast._rows cimport NO_STAMP, Egress, Extension, Outgoing
from sfu.fast._rtp cimport ONE_BYTE_PROFILE, RTP_HEADER_SIZE, TICKS_20_MS, TWO_BYTE_PROFILE, write16, write32
from sfu.fast._timeline cimport EARLY_TICKS_MAX, OVERLAP_TICKS_MAX

cdef inline uint8_t write_element(
    uint8_t* block, uint8_t at, bint is_two_byte, uint8_t number, uint8_t size
) noexcept nogil:
    """Write the head of one extension element; returns where its data goes."""
    if is_two_byte:
        block[at] = number
        block[at + 1] = size
        return at + 2
    block[at] = <uint8_t>((number << 4) | (size - 1))
    return at + 1

cdef inline void write_extension(
    Extension* into, uint8_t level_id, uint8_t mid_id, const uint8_t* mid, uint8_t mid_size, uint8_t stamp_id
) noexcept nogil:
    """Lay out the header extension block of an egress's packets (RFC 8285 4.2, 4.3)."""
    cdef bint has_mid = mid_id > 0 and mid_size > 0
    cdef bint is_two_byte = level_id > 14 or (has_mid and mid_id > 14) or stamp_id > 14
    cdef uint8_t at = 4
    into.size = 0
    into.level_at = into.stamp_at = -1
    if level_id == 0 and not has_mid and stamp_id == 0:
        return
    if level_id > 0:
        at = write_element(into.block, at, is_two_byte, level_id, 1)
        into.level_at = at
        at += 1
    if has_mid:
        at = write_element(into.block, at, is_two_byte, mid_id, mid_size)
        memcpy(into.block + at, mid, mid_size)
        at += mid_size
    if stamp_id > 0:
        at = write_element(into.block, at, is_two_byte, stamp_id, 2)
        into.stamp_at = at
        at += 2
    at = (at + 3) & 0xFC
    write16(into.block, TWO_BYTE_PROFILE if is_two_byte else ONE_BYTE_PROFILE)
    write16(into.block + 2, (at - 4) // 4)
    into.size = at

cdef inline const Extension* extension_of(
    const Egress* egress, const Outgoing* out, int32_t stamp
) noexcept nogil:
    """The block of a packet with this transport-wide number, or without one."""
    if out.is_lean:
        return &egress.lean if stamp == NO_STAMP else &egress.stamped_lean
    return &egress.plain if stamp == NO_STAMP else &egress.stamped

cdef inline uint32_t csrcs_size(const Outgoing* out) noexcept nogil:
    return 0 if out.is_lean else 4 * <uint32_t>out.csrc_count

cdef inline uint32_t header_size(
    const Egress* egress, const Outgoing* out, int32_t stamp
) noexcept nogil:
    """How long the RTP header of `out` is on this egress."""
    return RTP_HEADER_SIZE + csrcs_size(out) + extension_of(egress, out, stamp).size

cdef inline int64_t overlap(const Egress* egress, const Outgoing* out) noexcept nogil:
    """How many ticks before the end of the last packet sent `out` would begin; 0 or less for none."""
    if egress.packets == 0:
        return 0
    return egress.last_time + egress.last_ticks - (out.time + egress.time_base)

cdef inline int64_t heard_until(const Egress* egress) noexcept nogil:
    """The end of the last packet sent, on the timeline of what this egress carries."""
    return egress.last_time + egress.last_ticks - egress.time_offset

cdef inline bint is_early(const Egress* egress, const Outgoing* out) noexcept nogil:
    """Whether `out` has to wait for another stream's packet to end, as a voice does on its slot."""
    return EARLY_TICKS_MAX < overlap(egress, out) <= OVERLAP_TICKS_MAX

cdef inline void anchor(Egress* egress, const Outgoing* out) noexcept nogil:
    """From `out` on, this egress counts the stream that it now carries."""
    cdef int64_t behind
    egress.needs_anchor = False
    egress.oldest_index = out.index
    egress.index_offset = egress.last_sequence + 1 - out.index
    if not egress.has_packets:
        egress.has_packets = True
        egress.time_base = <int64_t>egress.first_timestamp - out.time
    if egress.is_switching:
        egress.is_switching = False     # the same speech goes on
        return
    # Each time from the same base, so that moves between streams never add up.
    egress.time_offset = egress.time_base
    behind = overlap(egress, out)
    if behind > 0:
        egress.time_offset += TICKS_20_MS * ((behind + TICKS_20_MS - 1) // TICKS_20_MS)

cdef inline void write_header(
    uint8_t* data, Egress* egress, const Outgoing* out, int32_t stamp
) noexcept nogil:
    """The RTP header of `out` as this listener negotiated it."""
    cdef int64_t sequence = out.index + egress.index_offset
    cdef int64_t time = out.time + egress.time_offset
    cdef const Extension* extension = extension_of(egress, out, stamp)
    cdef uint32_t at = csrcs_size(out)
    cdef uint32_t index
    if sequence > egress.last_sequence:
        egress.last_sequence = sequence
        egress.last_time = time
        egress.last_ticks = out.ticks
    data[0] = 0x80 | <uint8_t>(at // 4)
    data[1] = (0x80 if out.marker else 0) | (egress.red_payload_type if out.form else egress.payload_type)
    write16(data + 2, <uint16_t>sequence)
    write32(data + 4, <uint32_t>time)
    write32(data + 8, egress.ssrc)
    for index in range(at // 4):
        write32(data + RTP_HEADER_SIZE + 4 * index, out.csrcs[index])
    if extension.size:
        at += RTP_HEADER_SIZE
        data[0] |= 0x10
        memcpy(data + at, extension.block, extension.size)
        if extension.level_at >= 0:
            data[at + extension.level_at] = out.level
        if extension.stamp_at >= 0:
            write16(data + at + extension.stamp_at, <uint16_t>stamp)
