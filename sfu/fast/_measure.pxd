# What a swarm measures (README: What a listener measures). Pure arithmetic on rows and counters.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from sfu.fast._histogram cimport Histogram, note
from sfu.fast._rtp cimport RtpHeader
from sfu.fast._track cimport (
    REORDER_MAX, Client, OnsetRecord, Track, excess_gap_ns, has_come, next_onset, place,
)
from sfu.fast._voice cimport SEND_TIME_SIZE, read_time

cdef extern from * nogil:
    """
    #define LATE_NS 5000000
    #define DELAY_NS_MAX INT64_C(60000000000)
    """
    const int64_t LATE_NS           # a quarter of a step: from here on the sender is what is measured
    const int64_t DELAY_NS_MAX      # eight bytes that say more than +-60 s are no send time

cdef struct Totals:
    uint64_t sent, sent_bytes, late_sends, skipped_steps, send_errors, protect_errors
    uint64_t received, received_bytes, decrypted, reordered, duplicates, too_old
    int64_t lost
    uint64_t untimed, negative_delays, unstamped
    uint64_t auth_errors, no_keys, malformed, unknown, truncated, untracked
    uint64_t socket_drops, receive_errors, datagrams, asides

cdef struct Measures:
    Totals total
    Histogram delays
    Histogram gaps
    Histogram lateness

cdef inline void note_lateness(Measures* measures, int64_t late_ns) noexcept nogil:
    note(&measures.lateness, late_ns)
    if late_ns > LATE_NS:
        measures.total.late_sends += 1

cdef inline bint is_stale(Measures* measures, Client* client, Track* track, int ahead) noexcept nogil:
    """Whether a packet was here already, or comes so late that nobody can tell."""
    if ahead <= -REORDER_MAX:
        track.too_old += 1
        measures.total.too_old += 1
        return True
    if ahead <= 0 and has_come(track, ahead):
        track.duplicates += 1
        client.duplicates += 1
        measures.total.duplicates += 1
        return True
    return False

cdef inline int64_t note_delay(
    Measures* measures, Client* client, const RtpHeader* header, const uint8_t* data, uint32_t length,
    int64_t arrival_ns,
) noexcept nogil:
    """Read the send time of a decrypted packet and count its delay; 0 if it carries none."""
    cdef int64_t sent_ns, delay_ns
    if header.has_padding and length > header.size:
        # RFC 3550 5.1: the last byte counts itself.
        length -= min(<uint32_t>data[length - 1], length - header.size)
    if length < header.size + SEND_TIME_SIZE:
        measures.total.untimed += 1
        return 0
    sent_ns = read_time(data + length - SEND_TIME_SIZE)
    # The bytes may be anything: subtract where an overflow is defined.
    delay_ns = <int64_t>(<uint64_t>arrival_ns - <uint64_t>sent_ns)
    if not -DELAY_NS_MAX <= delay_ns <= DELAY_NS_MAX:
        measures.total.untimed += 1
        return 0
    if delay_ns < 0:
        measures.total.negative_delays += 1
    note(&measures.delays, delay_ns)
    client.worst_delay_ns = max(client.worst_delay_ns, delay_ns)
    return sent_ns

cdef inline void note_packet(
    Measures* measures, Client* client, Track* track, int ahead, uint32_t length, int64_t arrival_ns
) noexcept nogil:
    """Count a packet and what it says of those that are missing."""
    cdef int64_t lost = place(track, ahead)
    if client.packets == 0:
        client.first_packet_ns = arrival_ns
    client.last_packet_ns = arrival_ns
    client.packets += 1
    client.octets += length
    client.lost += lost
    measures.total.received += 1
    measures.total.received_bytes += length
    measures.total.lost += lost
    if ahead <= 0:
        client.reordered += 1
        measures.total.reordered += 1

cdef inline void note_newest(
    Measures* measures, Client* client, Track* track, const RtpHeader* header, uint32_t csrc, bint is_onset,
    int64_t arrival_ns, int64_t sent_ns,
) noexcept nogil:
    """What only a packet that comes in its turn can tell: gaps and voices."""
    cdef int64_t gap_ns
    cdef OnsetRecord* onset
    if is_onset:
        onset = next_onset(client)
        onset.arrival_ns = arrival_ns
        onset.sent_ns = sent_ns
        onset.ssrc = header.ssrc
        onset.csrc = csrc
        onset.is_switch = track.packets == 1 or csrc != track.csrc
    else:
        gap_ns = excess_gap_ns(track, header.timestamp, arrival_ns)
        if gap_ns >= 0:
            note(&measures.gaps, gap_ns)
            client.worst_gap_ns = max(client.worst_gap_ns, gap_ns)
    track.csrc = csrc
    track.timestamp = header.timestamp
    track.payload_type = header.payload_type
    track.arrival_ns = arrival_ns
    client.last_csrc = csrc
