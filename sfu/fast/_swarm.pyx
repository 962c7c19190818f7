# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The media of many virtual clients: sends, receives, measures. README.md beside this file is its theory."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from sfu.fast._batch cimport DATAGRAM_SIZE_MAX
from sfu.fast._crowd cimport ROUNDS, Crowd
from sfu.fast._histogram cimport BUCKETS, Histogram, lower_edge_us
from sfu.fast._measure cimport (
    Measures, is_stale, note_delay, note_lateness, note_newest, note_packet,
)
from sfu.fast._rtp cimport RTP_HEADER_SIZE, RtpHeader, parse_rtp, read32
from sfu.fast._sockets cimport (
    CONTROL_SIZE, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC, epoll_event, epoll_wait, iovec, mmsghdr, msghdr,
    monotonic_ns, read_controls, realtime_ns, recvmmsg, send,
)
from sfu.fast._track cimport REORDER_MAX, Client, Track, distance, find_track, open_track
from sfu.fast._track cimport TRACKS_MAX as TRACK_ROWS
from sfu.fast._voice cimport STEP_TIME_NS, TIME_NS_MAX, Talker, Voice, skip_steps, write_packet

from pylibsrtp._binding import ffi as _ffi
from pylibsrtp._binding import lib as _lib

from sfu.fast._crowd import (
    CLIENTS_MAX, ONSETS_MAX, SEND_TIME_BYTES, STEP_NS, TRACKS_MAX, VOICE_STEPS_MAX, VOICES_MAX,
)
from sfu.fast.measured import Aside

ctypedef int (*SrtpCall)(void* session, void* packet, int* length) noexcept nogil

cdef SrtpCall srtp_protect = <SrtpCall><uintptr_t>int(
    _ffi.cast("uintptr_t", _ffi.addressof(_lib, "srtp_protect"))
)
cdef SrtpCall srtp_unprotect = <SrtpCall><uintptr_t>int(
    _ffi.cast("uintptr_t", _ffi.addressof(_lib, "srtp_unprotect"))
)

cdef enum:
    KIND_STUN = 0
    KIND_DTLS = 1
    KIND_RTCP = 2
    SRTP_OK = 0
    VISIT_EVERY_MS_MAX = 500    # three tracks send 75 packets in it, a default receive buffer holds 200
    DECRYPT_EVERY_MAX = 1000    # SRTP loses count after 32,768 packets that it does not see
    BATCH = 16                  # datagrams a call: what three talkers send in 100 ms
    EVENTS = 256                # readable sockets told at once
    POLL_DATAGRAMS_MAX = 65_536     # of one `poll`: a flood must not keep the caller from sending
    ASIDE_ROWS = 4096           # handed over at once, then poll goes on
    ASIDE_BYTES = 2_097_152     # room for 1,024 of the longest
    CATCH_UP_STEPS = 5          # 100 ms: what a client that stalled for longer would say is of no use
    PACKET_ROOM = 1408          # header, extension, the longest payload, authentication tag
    TRIES = 3                   # an interrupt and an ICMP answer to what was sent before

cdef struct AsideRecord:
    int32_t client
    int32_t kind
    uint32_t offset
    uint32_t length
    int64_t arrival_ns

cdef class Swarm(Crowd):
    cdef uint32_t decrypt_every
    # what is read into
    cdef int64_t intervals_ns[ROUNDS]
    cdef int64_t dues_ns[ROUNDS]    # when to ask each round again, on the monotonic clock
    cdef epoll_event events[EVENTS]
    cdef int event_count
    cdef int event_at               # the socket to visit next
    cdef mmsghdr messages[BATCH]
    cdef iovec vectors[BATCH]
    cdef uint8_t controls[BATCH][CONTROL_SIZE]
    cdef uint8_t* memory            # BATCH datagrams
    cdef uint8_t* aside_memory
    cdef AsideRecord* aside_records
    cdef int32_t aside_count
    cdef uint32_t aside_used
    cdef uint8_t packet[PACKET_ROOM]
    # what is measured
    cdef Measures measures

    def __cinit__(self, int decrypt_every=1, *, int visit_every_ms=40):
        cdef int number
        if not 1 <= decrypt_every <= DECRYPT_EVERY_MAX:
            raise ValueError(f"decrypt_every is 1 to {DECRYPT_EVERY_MAX}, not {decrypt_every}")
        if not 0 <= visit_every_ms <= VISIT_EVERY_MS_MAX:
            raise ValueError(f"visit_every_ms is 0 to {VISIT_EVERY_MS_MAX}, not {visit_every_ms}")
        self.decrypt_every = <uint32_t>decrypt_every
        for number in range(1, ROUNDS):
            self.intervals_ns[number] = <int64_t>visit_every_ms * 1_000_000
        self.memory = <uint8_t*>malloc(BATCH * DATAGRAM_SIZE_MAX)
        self.aside_memory = <uint8_t*>malloc(ASIDE_BYTES)
        self.aside_records = <AsideRecord*>malloc(ASIDE_ROWS * sizeof(AsideRecord))
        if self.memory == NULL or self.aside_memory == NULL or self.aside_records == NULL:
            raise MemoryError
        self._prepare_messages()

    def __dealloc__(self):
        free(self.memory)
        free(self.aside_memory)
        free(self.aside_records)

    # ---- time passes

    def tick(self, int64_t now_ns):
        cdef uint64_t before = self.measures.total.sent
        cdef int32_t index
        self._assert_open()
        if not 0 <= now_ns <= TIME_NS_MAX:
            raise ValueError(f"now_ns is no realtime in nanoseconds: {now_ns}")
        with nogil:
            for index in range(self.talker_count):
                if self.talkers[index].due_ns <= now_ns:
                    self._speak(&self.talkers[index], now_ns)
        return self.measures.total.sent - before

    def poll(self, int64_t datagrams=POLL_DATAGRAMS_MAX):
        cdef list taken = []
        cdef uint64_t until
        cdef bint is_done = False
        cdef int64_t now_ns = monotonic_ns()
        self._assert_open()
        if not 1 <= datagrams <= POLL_DATAGRAMS_MAX:
            raise ValueError(f"datagrams must be 1 to {POLL_DATAGRAMS_MAX}, not {datagrams}")
        until = self.measures.total.datagrams + <uint64_t>datagrams
        while not is_done:
            with nogil:
                is_done = self._read_sockets(now_ns, until)
            self._hand_out(taken)
        return taken

    # ---- results

    def totals(self):
        counts = dict(self.measures.total)
        counts["clients"] = self.client_rows.alive
        counts["talkers"] = self.talker_count
        return counts

    def take_delays(self):
        return taken_from(&self.measures.delays)

    def take_gaps(self):
        return taken_from(&self.measures.gaps)

    def take_lateness(self):
        return taken_from(&self.measures.lateness)

    @staticmethod
    def delay_edges_us():
        return [lower_edge_us(bucket) for bucket in range(BUCKETS)]

    # ---- what the above is made of

    cdef void _prepare_messages(self) noexcept:
        """Everything of a receive call that the kernel does not write to; the sockets are connected: no names."""
        cdef int index
        memset(self.messages, 0, sizeof(self.messages))
        for index in range(BATCH):
            self.vectors[index].iov_base = self.memory + index * DATAGRAM_SIZE_MAX
            self.vectors[index].iov_len = DATAGRAM_SIZE_MAX
            self.messages[index].msg_hdr.msg_iov = &self.vectors[index]
            self.messages[index].msg_hdr.msg_iovlen = 1
            self.messages[index].msg_hdr.msg_control = &self.controls[index][0]
            self.messages[index].msg_hdr.msg_controllen = CONTROL_SIZE

    cdef void _hand_out(self, list taken):
        cdef int32_t index
        cdef AsideRecord* record
        for index in range(self.aside_count):
            record = &self.aside_records[index]
            taken.append(Aside(
                record.client, record.kind,
                PyBytes_FromStringAndSize(<char*>self.aside_memory + record.offset, record.length),
                record.arrival_ns,
            ))
        self.aside_count = 0
        self.aside_used = 0

    # ---- sending; everything below runs without the GIL

    cdef void _speak(self, Talker* talker, int64_t now_ns) noexcept nogil:
        """All due steps of one talker, or the newest of them."""
        cdef Voice* voice = &self.voices[talker.voice]
        cdef int64_t missed = (now_ns - talker.due_ns) // STEP_TIME_NS + 1 - CATCH_UP_STEPS
        if missed > 0:
            skip_steps(talker, voice, missed)
            self.measures.total.skipped_steps += missed
            talker.marker = True
        while talker.due_ns <= now_ns:
            if voice.steps[talker.step].length > 0:
                self._say(talker, voice)
                talker.sequence += 1
                talker.marker = False
            else:
                talker.marker = True
            skip_steps(talker, voice, 1)

    cdef void _say(self, Talker* talker, Voice* voice) noexcept nogil:
        cdef Client* client = &self.clients[talker.client]
        cdef int64_t now_ns = realtime_ns()
        cdef int size = <int>write_packet(self.packet, talker, voice, now_ns)
        note_lateness(&self.measures, now_ns - talker.due_ns)
        if srtp_protect(client.send, self.packet, &size) != SRTP_OK:
            self.measures.total.protect_errors += 1
        elif self._transmit(client.fd, size):
            self.measures.total.sent += 1
            self.measures.total.sent_bytes += size
        else:
            self.measures.total.send_errors += 1

    cdef bint _transmit(self, int fd, int size) noexcept nogil:
        cdef int tries
        for tries in range(TRIES):
            if send(fd, self.packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) == size:
                return True
            # ECONNREFUSED answers an earlier datagram, this one has not been tried.
            if errno != EINTR and errno != ECONNREFUSED:
                return False
        return False

    # ---- receiving

    cdef bint _read_sockets(self, int64_t now_ns, uint64_t until) noexcept nogil:
        """Visit what is readable; True when nothing is left or `until` is reached, False to be called again."""
        cdef Client* client
        cdef uint64_t tag
        cdef int number
        while True:
            # A socket is told once for what has come: those not visited yet keep their place in `events`.
            while self.event_at < self.event_count:
                tag = self.events[self.event_at].data.u64
                client = &self.clients[<uint32_t>tag]
                if client.serial == <uint32_t>(tag >> 32) and not self._visit(client, <int32_t>tag, until):
                    return self.measures.total.datagrams >= until
                self.event_at += 1
            for number in range(ROUNDS):
                if self.dues_ns[number] <= now_ns:
                    break
            else:
                return True
            self.event_at = 0
            self.event_count = epoll_wait(self.epolls[number], self.events, EVENTS, 0)
            if self.event_count < EVENTS:
                self.dues_ns[number] = self._next_visit_ns(number, now_ns)

    cdef int64_t _next_visit_ns(self, int number, int64_t now_ns) noexcept nogil:
        """The rounds have their turns evenly over an interval, so that no `poll` has all of them."""
        cdef int64_t interval_ns = self.intervals_ns[number]
        cdef int64_t phase_ns = interval_ns * number // ROUNDS
        if interval_ns == 0:
            return now_ns + 1
        return now_ns - (now_ns - phase_ns) % interval_ns + interval_ns

    cdef bint _visit(self, Client* client, int32_t row, uint64_t until) noexcept nogil:
        """Read one socket until it is empty; False when there is no room for more."""
        cdef int got, index, errors = 0
        while errors < TRIES:
            if (
                self.aside_count + BATCH > ASIDE_ROWS
                or self.aside_used + BATCH * DATAGRAM_SIZE_MAX > ASIDE_BYTES
                or self.measures.total.datagrams >= until
            ):
                return False
            got = recvmmsg(client.fd, self.messages, BATCH, MSG_DONTWAIT, NULL)
            if got >= 0:
                self.measures.total.datagrams += got
                for index in range(got):
                    self._take(client, row, index)
                if got < BATCH:
                    return True
            elif errno == EAGAIN:
                return True
            else:
                errors += 1
                self.measures.total.receive_errors += errno != EINTR
        return True

    cdef void _take(self, Client* client, int32_t row, int index) noexcept nogil:
        """Classify one datagram by its first byte (RFC 7983)."""
        cdef msghdr* message = &self.messages[index].msg_hdr
        cdef uint8_t* data = self.memory + index * DATAGRAM_SIZE_MAX
        cdef uint32_t length = self.messages[index].msg_len
        cdef uint32_t overflow = client.overflow
        cdef int64_t arrival_ns = read_controls(message, &overflow)
        message.msg_controllen = CONTROL_SIZE
        self.measures.total.socket_drops += <uint32_t>(overflow - client.overflow)
        client.overflow = overflow
        if arrival_ns == 0:
            self.measures.total.unstamped += 1
            arrival_ns = realtime_ns()
        if message.msg_flags & MSG_TRUNC:
            self.measures.total.truncated += 1
        elif length > 0 and data[0] <= 3:
            self._set_aside(row, KIND_STUN, data, length, arrival_ns)
        elif length > 0 and 20 <= data[0] <= 63:
            self._set_aside(row, KIND_DTLS, data, length, arrival_ns)
        elif length < 2 or not 128 <= data[0] <= 191:
            self.measures.total.unknown += 1
        elif 192 <= data[1] <= 223:
            self._set_aside(row, KIND_RTCP, data, length, arrival_ns)
        else:
            self._take_rtp(client, data, length, arrival_ns)

    cdef void _set_aside(
        self, int32_t row, int32_t kind, const uint8_t* data, uint32_t length, int64_t arrival_ns
    ) noexcept nogil:
        self.aside_records[self.aside_count] = AsideRecord(row, kind, self.aside_used, length, arrival_ns)
        memcpy(self.aside_memory + self.aside_used, data, length)
        self.aside_count += 1
        self.aside_used += length
        self.measures.total.asides += 1

    cdef void _take_rtp(self, Client* client, uint8_t* data, uint32_t length, int64_t arrival_ns) noexcept nogil:
        """Number, decrypt if it is its turn, then measure (README: What a listener measures)."""
        cdef RtpHeader header
        cdef Track* track
        cdef int ahead = 1
        cdef uint32_t csrc, plain = length
        cdef bint is_onset
        cdef int64_t sent_ns = 0
        if not parse_rtp(data, length, &header):
            self.measures.total.malformed += 1
            return
        track = find_track(client, header.ssrc)
        if track != NULL:
            ahead = distance(track, header.sequence)
            if is_stale(&self.measures, client, track, ahead):
                return
        elif client.track_count >= TRACK_ROWS:
            self.measures.total.untracked += 1
            return
        csrc = read32(data + RTP_HEADER_SIZE) if data[0] & 0x0F else 0
        is_onset = track == NULL or (ahead > 0 and (header.marker or csrc != track.csrc))
        if is_onset or ahead >= REORDER_MAX or track.undecrypted + 1 >= self.decrypt_every:
            if not self._decrypt(client, data, &plain):
                return
            sent_ns = note_delay(&self.measures, client, &header, data, plain, arrival_ns)
            if track == NULL:
                track = open_track(client, header.ssrc, header.sequence)
            track.undecrypted = 0
        else:
            track.undecrypted += 1
        note_packet(&self.measures, client, track, ahead, length, arrival_ns)
        if ahead > 0:
            note_newest(&self.measures, client, track, &header, csrc, is_onset, arrival_ns, sent_ns)

    cdef bint _decrypt(self, Client* client, uint8_t* data, uint32_t* length) noexcept nogil:
        cdef int plain = <int>length[0]
        if client.receive == NULL:
            self.measures.total.no_keys += 1
            return False
        if srtp_unprotect(client.receive, data, &plain) != SRTP_OK:
            client.auth_errors += 1
            self.measures.total.auth_errors += 1
            return False
        length[0] = <uint32_t>plain
        self.measures.total.decrypted += 1
        return True


cdef list taken_from(Histogram* histogram):
    """The counts, which begin anew."""
    cdef int bucket
    cdef list counts = [histogram.counts[bucket] for bucket in range(BUCKETS)]
    memset(histogram, 0, sizeof(Histogram))
    return counts
