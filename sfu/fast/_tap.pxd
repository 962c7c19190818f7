# What was placed on tapped slots since it was last taken: packets for whoever decodes them (README: Taps).

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy

from sfu.fast._rows cimport PAYLOAD_SIZE_MAX, Outgoing

cdef enum:
    TAPPED_MAX = 1024           # between two calls of `taken`: a batch of 5 ms frames of 60 rooms

cdef struct TapRecord:
    int32_t slot
    int32_t source
    uint32_t csrc
    uint32_t ticks
    uint32_t length
    uint32_t at                 # of `Taps.payloads`
    int16_t claimed
    bint marker
    int64_t index
    int64_t time
    double placed_at

cdef struct Taps:
    int32_t count
    uint32_t used               # bytes of `payloads`
    TapRecord* records          # TAPPED_MAX of them, from the first tapped slot on
    uint8_t* payloads           # with room for all of them
    uint64_t dropped

cdef inline bint open_taps(Taps* taps) noexcept nogil:
    """Make room for what will be taken; False without memory."""
    if taps.records == NULL:
        taps.records = <TapRecord*>malloc(TAPPED_MAX * sizeof(TapRecord))
    if taps.payloads == NULL:
        taps.payloads = <uint8_t*>malloc(TAPPED_MAX * PAYLOAD_SIZE_MAX)
    return taps.records != NULL and taps.payloads != NULL

cdef inline void keep_tapped(Taps* taps, const Outgoing* out) noexcept nogil:
    """Keep a packet that has its place on a tapped slot, with its payload."""
    cdef TapRecord* record
    if taps.count >= TAPPED_MAX:
        taps.dropped += 1
        return
    record = &taps.records[taps.count]
    record.slot = out.slot
    record.source = out.source
    record.csrc = out.csrcs[0] if out.csrc_count > 0 else 0
    record.ticks = out.ticks
    record.length = out.length
    record.at = taps.used
    record.claimed = out.claimed
    record.marker = out.marker
    record.index = out.index
    record.time = out.time
    record.placed_at = out.placed_at
    memcpy(taps.payloads + taps.used, out.payload, out.length)
    taps.used += out.length
    taps.count += 1
