# What an audience holds back until its tick is complete (README: Segmented fan-out). Audiences that hold
# something stand in a list in the order in which they began to, so the first is the first due.

from libc.math cimport HUGE_VAL
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

from sfu.fast._rows cimport HELD_FULL, NOBODY, PAYLOAD_SIZE_MAX, Audience, Outgoing, Slot

cdef extern from * nogil:
    """
    #define HOLD_S 0.020
    #define TALKING_S 0.050
    """
    const double HOLD_S         # one frame: whoever talks has sent by then
    const double TALKING_S      # since its last packet, a slot is expected to bring another

cdef struct HoldList:
    int32_t first
    int32_t last

cdef inline void unlink(Audience* audiences, HoldList* holding, int32_t number) noexcept nogil:
    """This audience holds nothing any more."""
    cdef Audience* audience = &audiences[number]
    if audience.previous != NOBODY:
        audiences[audience.previous].next = audience.next
    elif holding.first == number:
        holding.first = audience.next
    if audience.next != NOBODY:
        audiences[audience.next].previous = audience.previous
    elif holding.last == number:
        holding.last = audience.previous
    audience.next = audience.previous = NOBODY

cdef inline void hold(
    Audience* audiences, HoldList* holding, int32_t number, const Outgoing* out
) noexcept nogil:
    """Keep a packet, with its payload; the caller flushes as soon as HELD_FULL are here."""
    cdef Audience* audience = &audiences[number]
    cdef Outgoing* kept = &audience.held[audience.held_count]
    cdef uint8_t* payload = audience.payloads + audience.held_count * PAYLOAD_SIZE_MAX
    if audience.held_count == 0:
        audience.held_at = out.placed_at
        audience.previous = holding.last
        if holding.last != NOBODY:
            audiences[holding.last].next = number
        else:
            holding.first = number
        holding.last = number
    kept[0] = out[0]
    memcpy(payload, out.payload, out.length)
    kept.payload = payload
    audience.held_count += 1

cdef inline void hurry(Audience* audiences, HoldList* holding, int32_t number) noexcept nogil:
    """What this audience holds is due before everything else."""
    cdef Audience* audience = &audiences[number]
    if audience.held_count == 0:
        return
    unlink(audiences, holding, number)
    audience.held_at = -HUGE_VAL
    audience.next = holding.first
    if holding.first != NOBODY:
        audiences[holding.first].previous = number
    else:
        holding.last = number
    holding.first = number

cdef inline bint holds(const Audience* audience, int32_t slot) noexcept nogil:
    """Whether a packet of this slot is among those held."""
    cdef int32_t index
    for index in range(audience.held_count):
        if audience.held[index].slot == slot:
            return True
    return False

cdef inline bint begins_packet(const Audience* audience, int32_t item) noexcept nogil:
    """Whether it is the first held form of its packet; the forms of one stand together."""
    if item == 0 or audience.held[item - 1].slot != audience.held[item].slot:
        return True
    return audience.held[item - 1].index != audience.held[item].index

cdef inline Outgoing* as_carried(Audience* audience, int32_t item, int32_t stream) noexcept nogil:
    """The packet that begins at `item` in the form of `stream`; in that in which it is held for
    somebody who has changed to another form since."""
    cdef int32_t other = item
    while True:
        if audience.held[other].stream == stream:
            return &audience.held[other]
        other += 1
        if other == audience.held_count or begins_packet(audience, other):
            return &audience.held[item]

cdef inline bint is_complete(
    const Audience* audience, const Slot* slots, double now
) noexcept nogil:
    """Whether waiting longer brings nothing: every slot that talks has a packet here."""
    cdef int32_t index
    cdef const Slot* slot
    if audience.held_count >= HELD_FULL:
        return True
    for index in range(audience.slot_count):
        slot = &slots[audience.slots[index]]
        if slot.source != NOBODY and now - slot.newest_at < TALKING_S:
            if not holds(audience, audience.slots[index]):
                return False
    return True

cdef inline void forget_stream(
    Audience* audiences, HoldList* holding, int32_t number, int32_t stream
) noexcept nogil:
    """The stream ends: nothing of it is sent any more. The rest moves up, for `hold` writes behind it."""
    cdef Audience* audience = &audiences[number]
    cdef int32_t index, kept = 0
    cdef uint8_t* payload
    for index in range(audience.held_count):
        if audience.held[index].stream == stream:
            continue
        if kept != index:
            payload = audience.payloads + kept * PAYLOAD_SIZE_MAX
            memcpy(payload, audience.held[index].payload, audience.held[index].length)
            audience.held[kept] = audience.held[index]
            audience.held[kept].payload = payload
        kept += 1
    if kept == 0 and audience.held_count > 0:
        unlink(audiences, holding, number)
    audience.held_count = kept
