# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Who is in a swarm: clients, voices and talkers, written by Python on change."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from sfu.fast._rows cimport NOBODY
from sfu.fast._rtp cimport opus_ticks
from sfu.fast._sockets cimport EPOLL_CLOEXEC, close, epoll_create1, stamp, unwatch, watch
from sfu.fast._tables cimport Ids, grown
from sfu.fast._track cimport Client, OnsetRecord, Track
from sfu.fast._track cimport ONSETS_MAX as ONSET_ROWS
from sfu.fast._track cimport TRACKS_MAX as TRACK_ROWS
from sfu.fast._voice cimport SEND_TIME_SIZE, STEP_TICKS, STEP_TIME_NS, TIME_NS_MAX, VOICE_PAYLOAD_MAX
from sfu.fast._voice cimport Step, Talker, Voice, opus_padding

from pylibsrtp._binding import ffi as _ffi

from sfu.fast.measured import ListenerStats, Onset, Position, TrackStats

cdef enum:
    CLIENT_ROWS = 65536         # the ports of one address; each client has a socket
    VOICE_ROWS = 1024           # voices are made from a seed and shared: more would not sound more varied
    STEP_ROWS = 180_000         # an hour of one voice, some 15 MB

CLIENTS_MAX = CLIENT_ROWS
VOICES_MAX = VOICE_ROWS
VOICE_STEPS_MAX = STEP_ROWS
TRACKS_MAX = TRACK_ROWS
ONSETS_MAX = ONSET_ROWS
SEND_TIME_BYTES = SEND_TIME_SIZE
STEP_NS = STEP_TIME_NS


cdef inline uint64_t tag_of(uint32_t serial, int32_t row) noexcept nogil:
    """What an event tells: whose it is, and of which use of that row."""
    return (<uint64_t>serial << 32) | <uint32_t>row


cdef class Crowd:
    def __cinit__(self):
        cdef int number
        self.client_rows = Ids("clients", CLIENT_ROWS)
        self.sessions = {}
        memset(self.epolls, 0xFF, sizeof(self.epolls))      # all -1
        for number in range(ROUNDS):
            self.epolls[number] = epoll_create1(EPOLL_CLOEXEC)
            if self.epolls[number] < 0:
                raise OSError(errno, "epoll_create1 failed")
        self.is_open = True

    def __dealloc__(self):
        cdef int32_t index
        self._close_rounds()
        for index in range(self.voice_count):
            free(self.voices[index].data)
            free(self.voices[index].steps)
        free(self.voices)
        free(self.talkers)
        free(self.clients)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.close()

    def close(self):
        cdef int32_t client
        if not self.is_open:
            return
        for client in range(self.client_rows.used):
            if self.clients[client].alive:
                self.remove_client(client)
        self._close_rounds()

    # ---- clients

    def add_client(self, int fd):
        cdef int32_t row
        cdef Client* client
        self._assert_open()
        if self.client_rows.alive >= CLIENT_ROWS:
            raise OverflowError(f"a swarm holds at most {CLIENT_ROWS} clients")
        row = self.client_rows.take()
        try:
            self.clients = <Client*>grown(self.clients, &self.client_capacity, row + 1, sizeof(Client))
            self.serial += 1
            if stamp(fd) < 0 or watch(self.epolls[0], fd, tag_of(self.serial, row)) < 0:
                raise OSError(errno, f"cannot watch descriptor {fd}")
        except BaseException:
            self.client_rows.give_back(row)
            raise
        client = &self.clients[row]
        memset(client, 0, sizeof(Client))
        client.alive = True
        client.fd = fd
        client.serial = self.serial
        client.talker = NOBODY
        return row

    def set_keys(self, int32_t client, receive not None, send not None):
        cdef Client* row = self._client(client)
        # Both are looked at before either is kept: a row never points to what nobody keeps alive.
        cdef uintptr_t receive_context = int(_ffi.cast("uintptr_t", receive._srtp[0]))
        cdef uintptr_t send_context = int(_ffi.cast("uintptr_t", send._srtp[0]))
        self._settle(row, client)
        self.sessions[client] = (receive, send)
        row.receive = <void*>receive_context
        row.send = <void*>send_context

    def remove_client(self, int32_t client):
        cdef Client* row = self._client(client)
        self._hush(row)
        unwatch(self.epolls[row.round], row.fd)
        row.alive = False
        row.serial = 0              # no event that was told already is for this row now
        row.receive = NULL
        row.send = NULL
        self.sessions.pop(client, None)
        self.client_rows.give_back(client)

    # ---- voices

    def add_voice(self, steps not None):
        cdef list said = [(bytes(payload), int(level)) for payload, level in steps]
        cdef Voice* voice
        cdef bytes payload
        cdef uint32_t offset = 0
        cdef int32_t index
        self._assert_open()
        if self.voice_count >= VOICE_ROWS:
            raise OverflowError(f"a swarm holds at most {VOICE_ROWS} voices")
        if not 1 <= len(said) <= STEP_ROWS:
            raise ValueError(f"a voice has 1 to {STEP_ROWS} steps, not {len(said)}")
        for payload, level in said:
            check_step(payload, level)
        self.voices = <Voice*>grown(self.voices, &self.voice_capacity, self.voice_count + 1, sizeof(Voice))
        voice = &self.voices[self.voice_count]
        voice.count = <int32_t>len(said)
        voice.steps = <Step*>calloc(voice.count, sizeof(Step))
        voice.data = <uint8_t*>malloc(max(1, sum([len(payload) for payload, level in said])))
        if voice.steps == NULL or voice.data == NULL:
            free(voice.steps)
            free(voice.data)
            raise MemoryError
        for index in range(voice.count):
            payload, level = said[index]
            voice.steps[index] = Step(offset, <uint16_t>len(payload), level)
            memcpy(voice.data + offset, PyBytes_AS_STRING(payload), len(payload))
            offset += <uint32_t>len(payload)
        self.voice_count += 1
        return self.voice_count - 1

    def talk(
        self, int32_t client, *, uint32_t ssrc, uint8_t payload_type, uint8_t level_extension, int32_t voice,
        uint16_t first_sequence, uint32_t first_timestamp, int64_t start_ns, int32_t first_step=0,
    ):
        cdef Client* row = self._client(client)
        if row.send == NULL:
            raise ValueError(f"client {client} has no keys")
        if not 0 <= voice < self.voice_count:
            raise KeyError(f"no voice {voice}")
        if not 0 <= first_step < self.voices[voice].count:
            raise ValueError(f"voice {voice} has {self.voices[voice].count} steps, and no step {first_step}")
        if payload_type > 127 or level_extension > 14:
            raise ValueError(f"payload type {payload_type} or extension id {level_extension} is out of range")
        if not 0 <= start_ns <= TIME_NS_MAX:
            raise ValueError(f"start_ns is no realtime in nanoseconds: {start_ns}")
        if row.talker == NOBODY:
            self.talkers = <Talker*>grown(
                self.talkers, &self.talker_capacity, self.talker_count + 1, sizeof(Talker)
            )
            row.talker = self.talker_count
            self.talker_count += 1
        self.talkers[row.talker] = Talker(
            client=client, voice=voice, step=first_step, sequence=first_sequence, timestamp=first_timestamp,
            due_ns=start_ns, ssrc=ssrc, payload_type=payload_type, level_extension=level_extension, marker=True,
        )

    def hush(self, int32_t client):
        cdef Client* row = self._client(client)
        cdef Talker stopped
        if row.talker == NOBODY:
            return None
        stopped = self.talkers[row.talker]
        self._hush(row)
        return Position(stopped.sequence, stopped.timestamp, stopped.step)

    # ---- what is known

    def next_due_ns(self):
        cdef int64_t earliest = TIME_NS_MAX
        cdef int32_t index
        for index in range(self.talker_count):
            earliest = min(earliest, self.talkers[index].due_ns)
        return earliest if self.talker_count else None

    def listener(self, int32_t client):
        cdef Client* row = self._client(client)
        cdef int64_t kept = min(row.onset_count, <uint64_t>ONSET_ROWS)
        cdef int64_t number
        onsets = [
            onset_of(&row.onsets[(row.onset_count - kept + number) % ONSET_ROWS]) for number in range(kept)
        ]
        return ListenerStats(
            row.packets, row.octets, row.lost, row.reordered, row.duplicates, row.auth_errors, row.first_packet_ns,
            row.last_packet_ns, row.worst_gap_ns / 1e3, row.worst_delay_ns / 1e3, row.last_csrc, row.onset_count,
            tuple(onsets), tuple([track_of(&row.tracks[index]) for index in range(row.track_count)]),
        )

    # ---- what the above is made of

    cdef void _close_rounds(self) noexcept:
        cdef int number
        self.is_open = False
        for number in range(ROUNDS):
            if self.epolls[number] >= 0:
                close(self.epolls[number])
                self.epolls[number] = -1

    cdef int _settle(self, Client* client, int32_t row) except -1:
        """A client with keys needs no quick answers: its socket is read in its turn."""
        cdef int32_t number = 1 + row % (ROUNDS - 1)
        if client.round != 0:
            return 0
        if watch(self.epolls[number], client.fd, tag_of(client.serial, row)) < 0:
            raise OSError(errno, f"cannot watch descriptor {client.fd}")
        unwatch(self.epolls[0], client.fd)
        client.round = number
        return 0

    cdef int _assert_open(self) except -1:
        if not self.is_open:
            raise ValueError("the swarm is closed")
        return 0

    cdef Client* _client(self, int32_t client) except NULL:
        self._assert_open()
        if not (0 <= client < self.client_rows.used and self.clients[client].alive):
            raise KeyError(f"no client {client}")
        return &self.clients[client]

    cdef void _hush(self, Client* client) noexcept:
        cdef int32_t row = client.talker
        if row == NOBODY:
            return
        client.talker = NOBODY
        self.talker_count -= 1
        if row != self.talker_count:
            self.talkers[row] = self.talkers[self.talker_count]
            self.clients[self.talkers[row].client].talker = row


cdef int check_step(bytes payload, level) except -1:
    """Raise ValueError unless this can be said in 20 ms and has room for the send time."""
    cdef uint32_t length = <uint32_t>min(PyBytes_GET_SIZE(payload), <Py_ssize_t>VOICE_PAYLOAD_MAX + 1)
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(payload)
    if not 0 <= level <= 255:
        raise ValueError(f"a level is 0 to 127, with the voice bit 128 to 255, not {level}")
    if length == 0:
        return 0
    if length > VOICE_PAYLOAD_MAX:
        raise ValueError(f"a payload has at most {VOICE_PAYLOAD_MAX} bytes")
    if opus_ticks(data, length) != STEP_TICKS:
        raise ValueError("a step is an Opus packet of 20 ms")
    if opus_padding(data, length) < SEND_TIME_SIZE:
        raise ValueError(f"a step ends with at least {SEND_TIME_SIZE} bytes of Opus padding")
    return 0


cdef object onset_of(const OnsetRecord* onset):
    return Onset(onset.ssrc, onset.csrc, onset.arrival_ns, onset.sent_ns, bool(onset.is_switch))


cdef object track_of(const Track* track):
    return TrackStats(
        track.ssrc, track.payload_type, track.packets, track.lost, track.reordered, track.duplicates, track.too_old,
        track.highest_sequence, track.timestamp, track.arrival_ns, track.csrc,
    )
