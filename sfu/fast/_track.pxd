# What a virtual client remembers of what it hears: its tracks, the voices on them, the worst moments.

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    TRACKS_MAX = 24             # a server without slots sends a track for each of at most 20 speakers
    ONSETS_MAX = 64             # half a minute of three talkers in quick turns
    REORDER_MAX = 64            # bits of `seen`; what comes later, 1.3 s at 20 ms, no decoder waits for

cdef struct OnsetRecord:
    int64_t arrival_ns
    int64_t sent_ns
    uint32_t ssrc
    uint32_t csrc
    bint is_switch

cdef struct Track:
    uint32_t ssrc
    uint32_t csrc               # of the newest packet, as are the next three
    uint32_t timestamp
    uint8_t payload_type
    int64_t arrival_ns
    int64_t first_sequence      # extended: wraps counted above the 16 bits
    int64_t highest_sequence
    uint64_t seen               # bit n: the packet n before the highest has come
    uint64_t packets
    uint64_t reordered
    uint64_t duplicates
    uint64_t too_old
    int64_t lost
    uint32_t undecrypted        # packets since the last decrypted one

cdef struct Client:
    bint alive
    int32_t fd
    uint32_t serial             # of this use of the row, 0 while free: tells an event of its last owner
    uint32_t overflow           # the socket's running drop count, as last told
    int32_t round               # which set of sockets it is in: 0 until it has keys
    int32_t talker              # row, NOBODY while silent
    int32_t track_count
    void* receive               # libsrtp contexts, NULL without keys
    void* send
    uint64_t packets
    uint64_t octets
    uint64_t reordered
    uint64_t duplicates
    uint64_t auth_errors
    int64_t lost
    int64_t first_packet_ns
    int64_t last_packet_ns
    int64_t worst_gap_ns
    int64_t worst_delay_ns
    uint32_t last_csrc
    uint64_t onset_count
    Track tracks[TRACKS_MAX]
    OnsetRecord onsets[ONSETS_MAX]

cdef inline Track* find_track(Client* client, uint32_t ssrc) noexcept nogil:
    cdef int32_t index
    for index in range(client.track_count):
        if client.tracks[index].ssrc == ssrc:
            return &client.tracks[index]
    return NULL

cdef inline int distance(const Track* track, uint16_t sequence) noexcept nogil:
    """How many packets after the newest one, modulo 2**16; 0 is the newest again."""
    return <int16_t><uint16_t>(sequence - <uint16_t>track.highest_sequence)

cdef inline bint has_come(const Track* track, int ahead) noexcept nogil:
    """Whether the packet at `ahead`, 0 or at most 63 before it, was here already."""
    return (track.seen >> -ahead) & 1

cdef inline Track* open_track(Client* client, uint32_t ssrc, uint16_t sequence) noexcept nogil:
    """The next free row, as if the packet before `sequence` were the newest; the caller looked for room."""
    cdef Track* track = &client.tracks[client.track_count]
    client.track_count += 1
    track[0] = Track(
        ssrc=ssrc, csrc=0, timestamp=0, payload_type=0, arrival_ns=0, first_sequence=sequence,
        highest_sequence=<int64_t>sequence - 1, seen=0, packets=0, reordered=0, duplicates=0, too_old=0,
        lost=0, undecrypted=0,
    )
    return track

cdef inline int64_t place(Track* track, int ahead) noexcept nogil:
    """Count a packet that is neither a duplicate nor too old; returns by how much losses changed."""
    cdef int64_t change = 0
    track.packets += 1
    if ahead > 0:
        change = ahead - 1
        track.seen = 1 | (track.seen << ahead if ahead < REORDER_MAX else 0)
        track.highest_sequence += ahead
    else:
        track.seen |= <uint64_t>1 << -ahead
        track.reordered += 1
        # What came before the first packet was never counted as lost.
        change = -1 if track.highest_sequence + ahead > track.first_sequence else 0
    track.lost += change
    return change

cdef inline int64_t excess_gap_ns(const Track* track, uint32_t timestamp, int64_t arrival_ns) noexcept nogil:
    """By how much longer the wait for this packet was than its place in time says; -1: not told by it."""
    cdef int32_t ticks = <int32_t>(timestamp - track.timestamp)
    if ticks <= 0:
        return -1
    # 62,500 / 3 ns are a tick of 48 kHz.
    return max(<int64_t>0, arrival_ns - track.arrival_ns - <int64_t>ticks * 62_500 // 3)

cdef inline OnsetRecord* next_onset(Client* client) noexcept nogil:
    """Where the next onset goes: over the oldest one when the ring is full."""
    client.onset_count += 1
    return &client.onsets[(client.onset_count - 1) % ONSETS_MAX]
