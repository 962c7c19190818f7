# The rows of the forwarder's tables. README.md tells what they mean.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from sfu.fast._batch cimport ADDRESS_SIZE

cdef enum:
    NOBODY = -1
    TABLE_MAX = 65536            # rows of transports, sources and slots
    EGRESS_TABLE_MAX = 1048576   # 16 for each transport
    TRANSPORT_EGRESSES_MAX = 16  # seven m-lines of an offer, twice over
    TRANSPORT_ADDRESSES_MAX = 8  # a client has a few interfaces; more is an attack
    CSRCS_MAX = 3                # of a packet: as many voices as a listener can tell apart
    CHALLENGES_MAX = 64          # in one batch: more talkers than anybody could hear
    EXTENSION_SIZE_MAX = 32      # header, level, a 16-byte MID and a transport-wide number, padded
    MID_SIZE_MAX = 16
    AUDIENCE_SLOTS_MAX = 8       # of one room, which has up to six
    FORMS = 3                    # of a slot's packets: plain, in RED with one earlier packet, with two
    HELD_FULL = 32               # packets of one tick: six slots, short frames, a burst
    HELD_MAX = 34                # the last of them may come in every form
    PAYLOAD_SIZE_MAX = 1280      # 20 ms at 510 kbit/s are 1,275; with all headers it fits 1,400
    PACKETS_BURST_MAX = 100      # of one source above its rate
    BYTES_BURST_MAX = 65536      # likewise: a second of the highest Opus bit rate
    DROP_REASONS = 19
    RESENDS_MAX = 64             # of one egress at a time: what one NACK can ask for, four times over
    SENT_MAX = 64                # packets of an egress that may be asked for again
    DEPARTURES_MAX = 512         # 3.4 s of three talkers; feedback comes every 50 to 250 ms
    NO_STAMP = -1
    BORROWED_MAX = 512           # of packets with a borrowed number of which nothing is heard: 10 s
    RECOVERED_BITS = 64          # of `Source.recovered`, `arrived` and `asked`
    GAPS_MAX = 256               # sources with a new gap in a batch; of more, some are not asked again

cdef extern from * nogil:
    """
    #define FLOWING_S 1.0
    """
    const double FLOWING_S      # without a packet for so long a stream pauses, and nobody misses anything

# A stamped packet whose listener has not told yet what came of it.
cdef struct Departure:
    double sent_at
    uint16_t size               # on the wire
    uint8_t is_again            # it left twice: nobody can tell which of both came
    uint8_t is_told
    uint8_t is_borrowed         # its track borrows the extension of others

cdef struct Stamps:
    int64_t first               # what was stamped before is forgotten
    int64_t reference           # of the newest feedback, unwrapped, in 64 ms
    bint has_reference
    Departure departures[DEPARTURES_MAX]

cdef struct Transport:
    bint alive
    void* receive               # srtp_t, NULL before the keys
    void* send
    bint is_routed
    uint8_t address[ADDRESS_SIZE]
    uint8_t datagram_overhead   # of IP and UDP, by that address
    uint64_t wire_bytes
    Stamps* stamps              # NULL while its packets are not to be stamped
    int64_t next_stamp          # the transport-wide number, unwrapped
    bint hears_borrowed         # the listener told that a packet with a borrowed number came
    int32_t borrowed            # how many of them have left before it did
    int32_t source
    int32_t address_count
    uint8_t addresses[TRANSPORT_ADDRESSES_MAX][ADDRESS_SIZE]
    int32_t egress_count
    int32_t egresses[TRANSPORT_EGRESSES_MAX]
    uint64_t served             # number of the last segmented fan-out that it had its part of

cdef struct Source:
    bint alive
    bint is_audible
    bint has_ssrc               # known from the offer or latched
    bint has_packets
    bint is_measured
    bint is_voiced
    bint is_pausing             # its last packet was comfort noise
    int32_t transport
    int32_t slot
    int32_t echo_group
    uint64_t serial             # tells it from whoever gets its row next
    uint32_t ssrc
    uint32_t csrc
    uint8_t payload_type
    uint8_t red_payload_type    # 0: the publisher sends no RED
    uint8_t level_extension
    uint32_t newest_timestamp   # of the highest sequence number
    uint64_t recovered          # bit n: highest_sequence - n came by a later packet's RED
    uint64_t arrived            # bit n: it came, in whatever way
    uint64_t asked              # bit n: the publisher was asked for it again
    double newest_at            # arrival of the highest sequence number
    bint repeats                # the publisher sends again what it is asked for
    bint is_gapped              # packets after `gap_after` are missing, and nobody was told yet
    int64_t gap_after
    double gap_after_at         # its arrival
    double seen_at              # last packet of this SSRC that was authentic or dropped as inaudible
    # rate limit
    double tokens               # packets
    double byte_tokens
    double tokens_at
    # reception (RFC 3550 A.1, A.8)
    int64_t first_sequence
    int64_t highest_sequence
    int64_t checked_sequence    # last one authenticated
    uint32_t packets
    int32_t transit
    double jitter_ticks
    # level
    double smoothed_db
    double floor_db
    double window_lowest_db     # +1: nothing seen in this window
    double window_at
    double voiced_at
    double packet_at
    uint8_t instant
    uint32_t frame_ticks
    int16_t decoded_level       # that whoever decodes it measured, -1: none
    double decoded_at           # told so last

cdef struct Slot:
    bint alive
    bint needs_anchor
    bint has_packets
    bint is_lean                # its packets have neither CSRC nor header extensions
    bint is_tapped              # `taken` tells of its packets
    int32_t source
    int32_t streams[FORMS]      # NOBODY for a form that nobody ever asked for
    int32_t audience
    int32_t packed              # the row whose streams carry this slot's packets packed, NOBODY: never asked for
    int32_t packs               # of such a row: the slot whose packets they are, NOBODY: it is a slot itself
    void* pack                  # of such a row: Pack
    void* history               # History, from the first use on
    int64_t newest_index        # V
    int64_t newest_time         # 48 kHz, unwrapped
    int64_t newest_sequence     # of the source, extended
    int64_t oldest_sequence     # the anchor: what is older is late
    uint32_t newest_timestamp   # of the source
    uint32_t newest_ticks       # how long the newest packet lasts
    double newest_at
    int32_t newest_echo_group
    double carried_at           # the newest packet went to the listeners
    double flowing_since        # the first of those that followed each other without a pause

cdef struct Stream:
    bint alive
    int32_t slot
    uint8_t form
    int32_t count
    int32_t capacity
    int32_t* egresses

# How a packet left on an egress: what it takes to send the very same again.
cdef struct Sent:
    int64_t sequence            # extended: an egress never uses one twice, while indices of slots are alike
    uint8_t form
    uint8_t padding
    uint8_t times               # sent again
    int32_t stamp               # the transport-wide number that it had, NO_STAMP for none
    double again_at             # the last of them, or when it left late

# A header extension block, ready but for what differs from packet to packet.
cdef struct Extension:
    uint8_t size                # 0: no such block
    int8_t level_at             # offset of the level byte, -1 without
    int8_t stamp_at             # of the transport-wide number, -1 without
    uint8_t block[EXTENSION_SIZE_MAX]

# What each packet needs stands first: fewer lines of the processor's cache are touched by a fan-out.
cdef struct Egress:
    bint alive
    bint needs_anchor
    bint has_packets
    bint is_switching           # with that anchor it goes on with the same slot, packed or not: all of it is heard once
    int32_t transport
    int32_t stream
    int32_t echo_group
    uint32_t ssrc
    int64_t last_sequence
    int64_t index_offset        # sequence = V + this
    int64_t oldest_index
    int64_t time_offset
    int64_t last_time           # as sent, unwrapped
    uint32_t last_ticks
    uint32_t packets
    uint32_t octets
    uint8_t payload_type
    uint8_t red_payload_type    # 0: the listener takes no RED
    double sent_at
    Sent* sent                  # SENT_MAX of them if the listener may ask for packets again
    double resends              # that it may still get
    Extension plain             # of its packets as a rule
    Extension stamped           # of those with a transport-wide number; empty if that was not agreed on
    bint borrows                # it was not agreed on for this track, but for others of the transport
    Extension lean              # of packets of a lean slot: empty
    Extension stamped_lean      # the number alone
    int32_t position            # in the stream's list
    int64_t time_base           # timestamp = time + this, before any move
    uint32_t first_timestamp
    double excused_at           # until then nothing was due: another stream, no route, an own voice
    bint is_owed                # packets that left on the stream it hears no more, but not to it
    int64_t owed_index          # the first of them, on the slot's plain stream

# A packet on its way to a stream's egresses.
cdef struct Outgoing:
    bint is_late
    bint marker
    bint is_lean
    bint is_part                # of a packed one: made for one listener, and never again
    uint8_t level               # with the voice bit
    int16_t claimed             # what the packet itself said of its level, -1 for nothing
    uint8_t form                # above 0: the payload is RED
    uint8_t blocks              # of it, before the newest
    int32_t stream
    int32_t slot
    int32_t echo_group
    int32_t source              # NOBODY: made here
    uint64_t voice              # the source's serial, 0: made here
    uint8_t csrc_count
    uint32_t csrcs[CSRCS_MAX]
    uint32_t ticks              # how long it lasts
    uint32_t length
    const uint8_t* payload
    int64_t index
    int64_t time
    double placed_at

# Those who listen to the same slots, and what is held back to leave for each of them at once.
cdef struct Audience:
    bint alive
    bint is_segmented
    int32_t slot_count
    int32_t slots[AUDIENCE_SLOTS_MAX]
    int32_t held_count
    Outgoing* held              # HELD_MAX of them, from the first use on
    uint8_t* payloads           # PAYLOAD_SIZE_MAX for each
    double held_at              # the first of them
    int32_t next                # the audience that began to hold after this one
    int32_t previous

cdef struct Pending:
    int32_t source
    uint64_t serial             # of the source
    uint32_t ticks
    uint32_t length
    const uint8_t* payload
    bint marker
    uint8_t level
    int16_t claimed             # of the level, -1: nothing
    uint32_t timestamp
    int64_t sequence

cdef struct SlowRecord:
    int32_t kind
    int32_t transport
    uint32_t datagram
