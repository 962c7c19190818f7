# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A datagram on its way in: what it is, whose it is, what it says, where it goes. README.md has the theory."""

from libc.math cimport fabs
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free

from sfu.fast._batch cimport DATAGRAM_SIZE_MAX, Batch, Datagram
from sfu.fast._level cimport DTX_SIZE_MAX, hear, is_decoded, level_byte
from sfu.fast._rows cimport (
    BYTES_BURST_MAX, CHALLENGES_MAX, GAPS_MAX, NOBODY, PACKETS_BURST_MAX, PAYLOAD_SIZE_MAX, RECOVERED_BITS,
    Outgoing, Pending, Slot, SlowRecord, Source, Transport,
)
from sfu.fast._red cimport RED_BLOCKS_MAX, RedBlock, parse_red
from sfu.fast._rtp cimport RtpHeader, find_extension, opus_ticks, parse_rtp, write32
from sfu.fast._timeline cimport PLACED, TOO_LATE, Place, clock_ticks, close_gap, number

from pylibsrtp._binding import ffi as _ffi
from pylibsrtp._binding import lib as _lib

ctypedef int (*SrtpCall)(void* session, void* packet, int* length) noexcept nogil
ctypedef int (*SrtpRemove)(void* session, unsigned int ssrc) noexcept nogil

cdef SrtpCall srtp_unprotect = <SrtpCall><uintptr_t>int(
    _ffi.cast("uintptr_t", _ffi.addressof(_lib, "srtp_unprotect"))
)
cdef SrtpRemove srtp_remove_stream = <SrtpRemove><uintptr_t>int(
    _ffi.cast("uintptr_t", _ffi.addressof(_lib, "srtp_remove_stream"))
)

cdef enum:
    SRTP_OK = 0
    SRTP_REPLAY_FAIL = 9        # srtp_err_status_t
    SRTP_REPLAY_OLD = 10
    CHECK_INTERVAL = 4096       # inaudible packets between two authenticated ones: far below the 32,768
                                # after which SRTP could no longer tell the roll-over counter

cdef double PACKETS_PER_SECOND_MAX = 200.0   # 5 ms frames; voice clients send 50
cdef double BYTES_PER_SECOND_MAX = 80_000.0  # Opus at its highest, 510 kbit/s, with headers
cdef double SSRC_DEAD_S = 1.0

cdef enum Drop:
    DROP_KIND
    DROP_UNVALIDATED
    DROP_MALFORMED
    DROP_NO_SOURCE
    DROP_PAYLOAD_TYPE
    DROP_SSRC
    DROP_RATE
    DROP_INAUDIBLE
    DROP_AUTH
    DROP_REPLAY
    DROP_NO_KEYS
    DROP_EMPTY
    DROP_OPUS
    DROP_LATE
    DROP_EARLY
    DROP_UNSELECTED
    DROP_CHALLENGES
    DROP_OVERSIZE
    DROP_RED

_DROP_NAMES = (
    "kind", "unvalidated", "malformed", "no_source", "payload_type", "ssrc", "rate", "inaudible", "auth",
    "replay", "no_keys", "empty", "opus", "late", "early", "unselected", "challenges", "oversize", "red",
)


cdef inline uint32_t swapped(uint32_t value) noexcept nogil:
    """libsrtp takes the SSRC in network order."""
    cdef uint32_t turned
    write32(<uint8_t*>&turned, value)
    return turned


cdef inline void move_on(Source* source, int64_t sequence, uint32_t timestamp, double now) noexcept nogil:
    """`sequence` has come: is it the newest?"""
    cdef int64_t step = sequence - source.highest_sequence
    if step <= 0:
        if step > -RECOVERED_BITS:
            source.arrived |= <uint64_t>1 << -step
        return
    source.highest_sequence = sequence
    source.newest_timestamp = timestamp
    source.newest_at = now
    if step < RECOVERED_BITS:
        source.recovered <<= step
        source.arrived = source.arrived << step | 1
        source.asked <<= step
    else:
        source.recovered = source.asked = 0
        source.arrived = 1


cdef inline bint was_asked_for(const Source* source, int64_t sequence) noexcept nogil:
    """Whether this packet comes because its publisher was asked for it again."""
    cdef int64_t behind = source.highest_sequence - sequence
    return 0 < behind < RECOVERED_BITS and (source.asked >> behind) & 1


cdef class Intake(Switching):
    def __cinit__(self):
        self.inbox = Batch(1, DATAGRAM_SIZE_MAX)

    def __dealloc__(self):
        free(self.slow_records)

    cdef dict _drops(self):
        """How many datagrams were dropped, by reason."""
        cdef int reason
        return {f"dropped_{name}": self.dropped[reason] for reason, name in enumerate(_DROP_NAMES)}

    cdef bint _work(self, Batch outbox) noexcept nogil:
        """Go on until nothing is left (False) or `outbox` is full (True)."""
        while True:
            if self._let_out(outbox):
                return True
            if self.queued_at < self.queued_count:
                self.queued_at += 1
                self._judge(&self.queued[self.queued_at - 1], self.queued_level)
            elif self.inbox_at < self.inbox_count:
                self.inbox_at += 1
                self._take(self.inbox_at - 1)
            else:
                return False

    cdef void _take(self, uint32_t number) noexcept nogil:
        """Classify one datagram by its first byte (RFC 7983) and pass it on."""
        cdef Datagram* datagram = &self.inbox.datagrams[number]
        cdef uint8_t* data = self.inbox.memory + datagram.offset
        cdef int32_t transport
        cdef uint8_t first
        self.received += 1
        if datagram.length == 0:
            self._drop(DROP_KIND)
            return
        first = data[0]
        transport = self.addresses.find(datagram.address)
        if first <= 3:
            self._set_aside(KIND_STUN, transport, number)
        elif not (20 <= first <= 63 or 128 <= first <= 191):
            self._drop(DROP_KIND)
        elif transport == NOBODY:
            self._drop(DROP_UNVALIDATED)
        elif first <= 63:
            self._set_aside(KIND_DTLS, transport, number)
        elif datagram.length >= 2 and 192 <= data[1] <= 223:
            self._set_aside(KIND_RTCP, transport, number)
        else:
            self._take_rtp(transport, data, datagram.length)

    cdef void _set_aside(self, int32_t kind, int32_t transport, uint32_t number) noexcept nogil:
        cdef SlowRecord* record
        record = &self.slow_records[self.slow_count]
        record.kind = kind
        record.transport = transport
        record.datagram = number
        self.slow_count += 1

    cdef void _drop(self, int reason) noexcept nogil:
        self.dropped[reason] += 1

    cdef void _leave_out(self, const Pending* packet, int reason) noexcept nogil:
        """An authentic packet is dropped on purpose: its place on the slot's stream is not kept free."""
        cdef int32_t slot = self.sources[packet.source].slot
        self._drop(reason)
        if slot != NOBODY:
            close_gap(&self.slots[slot], packet.sequence)

    cdef void _take_rtp(self, int32_t transport, uint8_t* data, uint32_t length) noexcept nogil:
        cdef Transport* owner = &self.transports[transport]
        cdef RtpHeader header
        cdef Source* source
        cdef Pending* packet = &self.queued[RED_BLOCKS_MAX]
        cdef int64_t newest
        cdef uint32_t newest_timestamp
        cdef double newest_at
        cdef bint is_first
        if not parse_rtp(data, length, &header):
            self._drop(DROP_MALFORMED)
            return
        if not self._is_welcome(owner, &header, length):
            return
        source = &self.sources[owner.source]
        self.queued_level = find_extension(&header, source.level_extension)
        if not self._unprotect(owner, source, &header, data, &length):
            return
        is_first = not source.has_packets
        newest = source.highest_sequence
        newest_timestamp = source.newest_timestamp
        newest_at = source.newest_at
        packet.sequence = self._note_received(source, &header)
        if not source.is_audible:
            self._drop(DROP_INAUDIBLE)
            return
        if header.has_padding:
            # RFC 3550 5.1: the last byte counts itself.
            length -= min(<uint32_t>data[length - 1], length - header.size) if length > header.size else 0
        packet.source = owner.source
        packet.serial = source.serial
        packet.payload = data + header.size
        packet.length = length - header.size
        packet.marker = header.marker
        packet.timestamp = header.timestamp
        if self._came_by_red(source, packet.sequence):
            self._drop(DROP_LATE)
            return
        self.queued_at = self.queued_count = 0
        if header.payload_type == source.red_payload_type:
            if not self._unwrap(source, packet, is_first, newest, newest_timestamp):
                self._leave_out(packet, DROP_RED)
                return
        self.queued[self.queued_count] = packet[0]
        self.queued_count += 1
        if source.repeats and not is_first and packet.sequence - newest > 1:
            self._note_gap(owner.source, newest, newest_at)

    cdef void _note_gap(self, int32_t number, int64_t newest, double newest_at) noexcept nogil:
        """A packet came that is not next after `newest`: if what lies between still has a place, tell Python."""
        cdef Source* source = &self.sources[number]
        if source.slot == NOBODY or self.slots[source.slot].needs_anchor or source.is_gapped:
            return
        if source.highest_sequence - newest >= RECOVERED_BITS or self.gapped_count >= GAPS_MAX:
            return
        source.is_gapped = True
        source.gap_after = newest
        source.gap_after_at = newest_at
        self.gapped[self.gapped_count] = number
        self.gapped_count += 1

    cdef bint _came_by_red(self, Source* source, int64_t sequence) noexcept nogil:
        """Whether this packet's place was, or may have been, given to a copy of it: two of them would be two
        texts of one number."""
        cdef int64_t behind = source.highest_sequence - sequence
        if behind >= RECOVERED_BITS:
            return source.red_payload_type != 0
        return behind >= 0 and (source.recovered >> behind) & 1

    cdef bint _unwrap(
        self, Source* source, Pending* packet, bint is_first, int64_t newest, uint32_t newest_timestamp
    ) noexcept nogil:
        """Leave the newest block in `packet`, and queue copies of packets that were lost right before it.

        `newest` and `newest_timestamp` are of the packet before it. False when it is no RED.
        """
        cdef RedBlock blocks[RED_BLOCKS_MAX + 1]
        cdef int count = parse_red(packet.payload, packet.length, source.payload_type, blocks)
        cdef int64_t gap = packet.sequence - newest
        cdef uint32_t elapsed = packet.timestamp - newest_timestamp
        cdef int index
        if count < 0:
            return False
        packet.payload = blocks[count - 1].payload
        packet.length = blocks[count - 1].length
        # Copies say their time, not their number: that follows where all frames of the gap are equally long.
        if is_first or source.slot == NOBODY or not 1 < gap <= RED_BLOCKS_MAX + 1 or elapsed == 0:
            return True
        if elapsed > 0x7FFFFFFF or elapsed % <uint32_t>gap != 0:
            return True
        for index in range(<int>gap - 1, 0, -1):
            self._recover(source, packet, blocks, count - 1, index, <uint32_t>index * (elapsed // <uint32_t>gap))
        return True

    cdef void _recover(
        self, Source* source, const Pending* packet, const RedBlock* blocks, int count, int back, uint32_t offset
    ) noexcept nogil:
        """Queue a copy of the packet that is missing `back` before `packet`, if one of the `count` blocks is it."""
        cdef Pending* copy = &self.queued[self.queued_count]
        cdef int index
        for index in range(count):
            if blocks[index].offset != offset or opus_ticks(blocks[index].payload, blocks[index].length) == 0:
                continue
            copy[0] = packet[0]
            copy.payload = blocks[index].payload
            copy.length = blocks[index].length
            copy.marker = False
            copy.sequence = packet.sequence - back
            copy.timestamp = packet.timestamp - offset
            source.recovered |= <uint64_t>1 << back
            source.arrived |= <uint64_t>1 << back
            self.recovered += 1
            self.queued_count += 1
            return

    cdef bint _is_welcome(self, Transport* owner, RtpHeader* header, uint32_t length) noexcept nogil:
        """Everything that can be said of a packet before decryption (README: steps 2 to 4)."""
        cdef Source* source
        cdef bint is_known
        if owner.source == NOBODY:
            self._drop(DROP_NO_SOURCE)
            return False
        source = &self.sources[owner.source]
        if header.payload_type != source.payload_type and (
            source.red_payload_type == 0 or header.payload_type != source.red_payload_type
        ):
            self._drop(DROP_PAYLOAD_TYPE)
            return False
        is_known = source.has_ssrc and header.ssrc == source.ssrc
        if source.has_ssrc and not is_known and self.now - source.seen_at < SSRC_DEAD_S:
            self._drop(DROP_SSRC)
            return False
        if not self._is_within_rate(source, length):
            self._drop(DROP_RATE)
            return False
        if not source.is_audible and is_known and source.has_packets:
            return self._is_due_for_check(source, header)
        return True

    cdef bint _is_due_for_check(self, Source* source, RtpHeader* header) noexcept nogil:
        """An inaudible packet is dropped unread, but one in CHECK_INTERVAL keeps SRTP in step."""
        cdef int64_t sequence = self._extended(source, header.sequence)
        if sequence - source.checked_sequence >= CHECK_INTERVAL:
            return True
        move_on(source, sequence, header.timestamp, self.now)
        source.packets += 1
        source.seen_at = self.now
        self._drop(DROP_INAUDIBLE)
        return False

    cdef bint _is_within_rate(self, Source* source, uint32_t length) noexcept nogil:
        """Two buckets, packets and bytes: neither small nor large packets multiply without bound."""
        cdef double elapsed = self.now - source.tokens_at
        source.tokens = min(<double>PACKETS_BURST_MAX, source.tokens + elapsed * PACKETS_PER_SECOND_MAX)
        source.byte_tokens = min(
            <double>BYTES_BURST_MAX, source.byte_tokens + elapsed * BYTES_PER_SECOND_MAX
        )
        source.tokens_at = self.now
        if source.tokens < 1.0 or source.byte_tokens < length:
            return False
        source.tokens -= 1.0
        source.byte_tokens -= length
        return True

    cdef bint _unprotect(
        self, Transport* owner, Source* source, RtpHeader* header, uint8_t* data, uint32_t* length
    ) noexcept nogil:
        cdef int plain = <int>length[0]
        cdef int status
        if owner.receive == NULL:
            self._drop(DROP_NO_KEYS)
            return False
        status = srtp_unprotect(owner.receive, data, &plain)
        if status != SRTP_OK:
            self._drop(DROP_REPLAY if status == SRTP_REPLAY_FAIL or status == SRTP_REPLAY_OLD else DROP_AUTH)
            return False
        length[0] = <uint32_t>plain
        if not source.has_ssrc or header.ssrc != source.ssrc:
            self._latch(owner, source, header.ssrc)
        return True

    cdef void _latch(self, Transport* owner, Source* source, uint32_t ssrc) noexcept nogil:
        """An authentic packet of a new SSRC: the track goes on under it."""
        if source.has_ssrc and source.has_packets:
            srtp_remove_stream(owner.receive, swapped(source.ssrc))
            self.ssrc_changes += 1
        source.ssrc = ssrc
        source.has_ssrc = True
        source.has_packets = False
        if source.slot != NOBODY:
            self.slots[source.slot].needs_anchor = True

    cdef int64_t _extended(self, Source* source, uint16_t sequence) noexcept nogil:
        """The 16-bit sequence number unwrapped near the highest one seen."""
        return source.highest_sequence + <int16_t>(sequence - <uint16_t>source.highest_sequence)

    cdef int64_t _note_received(self, Source* source, RtpHeader* header) noexcept nogil:
        """Count an authentic packet (RFC 3550 A.1, A.8); returns its extended sequence number."""
        cdef int64_t sequence
        cdef int32_t transit = <int32_t>(<uint32_t>clock_ticks(self.now) - header.timestamp)
        cdef double change
        cdef bint is_repaired
        if not source.has_packets:
            sequence = header.sequence
            source.first_sequence = source.highest_sequence = sequence
            source.packets = 0
            source.jitter_ticks = 0.0
            source.transit = transit
            source.newest_timestamp = header.timestamp
            source.newest_at = self.now
            source.recovered = source.asked = 0
            source.arrived = 1
            source.is_gapped = False
            source.has_packets = True
        sequence = self._extended(source, header.sequence)
        is_repaired = was_asked_for(source, sequence)
        move_on(source, sequence, header.timestamp, self.now)
        source.checked_sequence = sequence
        source.seen_at = self.now
        if is_repaired:
            self.repaired += 1      # the line did lose it: reports tell so, and its delay says nothing
            return sequence
        source.packets += 1
        change = fabs(<double><int32_t>(<uint32_t>transit - <uint32_t>source.transit))
        source.transit = transit
        source.jitter_ticks += (change - source.jitter_ticks) / 16.0
        return sequence

    cdef void _judge(self, Pending* packet, int level) noexcept nogil:
        """Level, then forward, ask or leave (README: steps 7 to 9)."""
        cdef Source* source = &self.sources[packet.source]
        cdef uint32_t ticks = opus_ticks(packet.payload, packet.length)
        if ticks == 0 or packet.length > PAYLOAD_SIZE_MAX:
            self._leave_out(packet, DROP_OVERSIZE if ticks else DROP_OPUS if packet.length else DROP_EMPTY)
            return
        packet.ticks = ticks
        source.is_measured = level >= 0 or is_decoded(source, self.now)
        source.is_pausing = packet.length <= DTX_SIZE_MAX
        packet.claimed = <int16_t>(level & 0x7F) if level >= 0 else -1
        packet.level = level_byte(source, level, packet.length, self.now)
        hear(source, packet.level & 0x7F, ticks, self.now)
        if source.slot != NOBODY:
            self._place(packet)
        elif not source.is_voiced:
            self._drop(DROP_UNSELECTED)
        elif self.pending_count >= CHALLENGES_MAX:
            self._drop(DROP_CHALLENGES)
        else:
            self.pending[self.pending_count] = packet[0]
            self.pending_count += 1
            self.challenged += 1

    cdef void _place(self, Pending* packet) noexcept nogil:
        """Put a packet of a slot's holder on the slot's stream."""
        cdef Source* source = &self.sources[packet.source]
        cdef Slot* slot = &self.slots[source.slot]
        cdef Outgoing* out = &self.outgoing
        cdef Place place
        out.marker = packet.marker
        out.ticks = packet.ticks
        place = number(slot, packet.sequence, packet.timestamp, self.now, out)
        if place != PLACED:
            self._drop(DROP_LATE if place == TOO_LATE else DROP_EARLY)
            return
        out.level = packet.level
        out.echo_group = source.echo_group
        out.claimed = packet.claimed
        out.source = packet.source
        out.voice = source.serial
        out.csrc_count = 1
        out.csrcs[0] = source.csrc
        out.payload = packet.payload
        out.length = packet.length
        self._dispatch(slot)
