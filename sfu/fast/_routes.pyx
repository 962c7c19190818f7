# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Whose packets come and go: transports with their addresses, and the sources that they publish."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t, uint32_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from sfu.fast._batch cimport ADDRESS_SIZE
from sfu.fast._level cimport SILENCE_DB, WINDOW_UNSEEN_DB, decayed, silence
from sfu.fast._misuse cimport check_echo_group, check_payload_types
from sfu.fast._rows cimport (
    BYTES_BURST_MAX, EGRESS_TABLE_MAX, FORMS, NOBODY, PACKETS_BURST_MAX, TABLE_MAX, TRANSPORT_ADDRESSES_MAX,
    Audience, Egress, Slot, Source, Stream, Transport,
)
from sfu.fast._stamps cimport overhead_of
from sfu.fast._tables cimport AddressTable, Ids, grown

from pylibsrtp._binding import ffi as _ffi

from sfu.fast.records import SourceLevel, SourceStats

# A record without the Python call that its class makes: rooms ask for tens of thousands a second.
cdef object new_record = tuple.__new__


cdef object level_of(const Source* row, double now):
    return new_record(SourceLevel, (
        decayed(row.smoothed_db, now - row.packet_at),
        row.is_voiced,
        now - row.voiced_at,
        now - row.packet_at,
        row.instant,
        row.frame_ticks // 48,
        row.is_measured,
        row.is_pausing,
    ))


cdef class Routes:
    def __cinit__(self):
        self.transport_rows = Ids("transports", TABLE_MAX)
        self.source_rows = Ids("sources", TABLE_MAX)
        self.slot_rows = Ids("slots", TABLE_MAX)
        self.stream_rows = Ids("streams", FORMS * TABLE_MAX)
        self.egress_rows = Ids("egresses", EGRESS_TABLE_MAX)
        self.audience_rows = Ids("audiences", TABLE_MAX)
        self.holding.first = self.holding.last = NOBODY
        self.packing.first = self.packing.last = NOBODY
        self.addresses = AddressTable()
        self.sessions = {}
        self.spent = {}

    def __dealloc__(self):
        cdef int32_t index
        for index in range(self.stream_capacity):
            free(self.streams[index].egresses)
        for index in range(self.audience_capacity):
            free(self.audiences[index].held)
            free(self.audiences[index].payloads)
        for index in range(self.slot_capacity):
            free(self.slots[index].history)
            free(self.slots[index].pack)
        for index in range(self.egress_capacity):
            free(self.egresses[index].sent)
        free(self.owed)
        free(self.taps.records)
        free(self.taps.payloads)
        for index in range(self.transport_capacity):
            free(self.transports[index].stamps)
        free(self.audiences)
        free(self.transports)
        free(self.sources)
        free(self.slots)
        free(self.streams)
        free(self.egresses)

    # ---- transports

    def add_transport(self):
        cdef int32_t row = self.transport_rows.take()
        self.transports = <Transport*>grown(
            self.transports, &self.transport_capacity, row + 1, sizeof(Transport)
        )
        memset(&self.transports[row], 0, sizeof(Transport))
        self.transports[row].alive = True
        self.transports[row].source = NOBODY
        return row

    def remove_transport(self, int32_t transport):
        cdef Transport* row = self._transport(transport)
        self._assert_drained()
        if row.source != NOBODY:
            self.remove_source(row.source)
        while row.egress_count > 0:
            self.remove_egress(row.egresses[row.egress_count - 1])
        while row.address_count > 0:
            row.address_count -= 1
            self.addresses.drop(row.addresses[row.address_count])
        free(row.stamps)
        row.stamps = NULL
        row.alive = False
        self.sessions.pop(transport, None)
        self.spent.pop(transport, None)
        self.transport_rows.give_back(transport)

    def set_keys(self, int32_t transport, receive not None, send not None):
        cdef Transport* row = self._transport(transport)
        # Both are looked at before either is kept: a row never points to what nobody keeps alive.
        cdef uintptr_t receive_context = int(_ffi.cast("uintptr_t", receive._srtp[0]))
        cdef uintptr_t send_context = int(_ffi.cast("uintptr_t", send._srtp[0]))
        if row.send != <void*>send_context:
            self.spent.pop(transport, None)
        self.sessions[transport] = (receive, send)
        row.receive = <void*>receive_context
        row.send = <void*>send_context

    def allow(self, int32_t transport, bytes address not None):
        cdef Transport* row = self._transport(transport)
        cdef const uint8_t* key = self._address(address)
        cdef int32_t owner = self.addresses.find(key)
        if owner == transport:
            return
        if row.address_count >= TRANSPORT_ADDRESSES_MAX:
            raise OverflowError(f"a transport has at most {TRANSPORT_ADDRESSES_MAX} addresses")
        if owner != NOBODY:
            self.revoke(address)
        self.addresses.put(key, transport)
        memcpy(row.addresses[row.address_count], key, ADDRESS_SIZE)
        row.address_count += 1

    def revoke(self, bytes address not None):
        cdef const uint8_t* key = self._address(address)
        cdef int32_t owner = self.addresses.find(key)
        if owner == NOBODY:
            return
        self.addresses.drop(key)
        self._forget_address(&self.transports[owner], key)

    def route(self, int32_t transport, bytes address not None):
        cdef Transport* row = self._transport(transport)
        memcpy(row.address, self._address(address), ADDRESS_SIZE)
        row.datagram_overhead = overhead_of(row.address)
        row.is_routed = True

    def reidentify(self, int32_t transport, *, uint32_t csrc, int32_t echo_group):
        cdef Transport* row = self._transport(transport)
        cdef Source* source
        cdef int32_t index
        self._assert_drained()
        check_echo_group(echo_group)
        if row.source != NOBODY and self.sources[row.source].slot != NOBODY:
            raise ValueError(f"source {row.source} holds slot {self.sources[row.source].slot}")
        for index in range(row.egress_count):
            if self.egresses[row.egresses[index]].stream != NOBODY:
                raise ValueError(
                    f"egress {row.egresses[index]} carries stream {self.egresses[row.egresses[index]].stream}"
                )
        for index in range(row.egress_count):
            self.egresses[row.egresses[index]].echo_group = echo_group
        if row.source != NOBODY:
            source = &self.sources[row.source]
            source.csrc = csrc
            source.echo_group = echo_group
            # What it said under its former number is answered nowhere.
            self.source_serial += 1
            source.serial = self.source_serial

    # ---- sources

    def add_source(
        self,
        int32_t transport,
        *,
        uint32_t csrc,
        int32_t echo_group,
        uint8_t payload_type,
        uint8_t red_payload_type=0,
        uint8_t level_extension=0,
        uint32_t ssrc=0,
        bint repeats=False,
    ):
        cdef int32_t row
        cdef Source* source
        if self._transport(transport).source != NOBODY:
            raise ValueError("a transport publishes at most one track")
        check_payload_types(payload_type, red_payload_type)
        check_echo_group(echo_group)
        row = self.source_rows.take()
        self.sources = <Source*>grown(self.sources, &self.source_capacity, row + 1, sizeof(Source))
        source = &self.sources[row]
        memset(source, 0, sizeof(Source))
        source.alive = True
        self.source_serial += 1
        source.serial = self.source_serial
        source.transport = transport
        source.slot = NOBODY
        source.echo_group = echo_group
        source.csrc = csrc
        source.payload_type = payload_type
        source.red_payload_type = red_payload_type
        source.level_extension = level_extension
        source.ssrc = ssrc
        source.has_ssrc = ssrc != 0
        source.repeats = repeats
        source.seen_at = -INFINITY
        source.tokens = PACKETS_BURST_MAX
        source.byte_tokens = BYTES_BURST_MAX
        source.tokens_at = -INFINITY
        source.floor_db = SILENCE_DB
        source.window_lowest_db = WINDOW_UNSEEN_DB
        source.window_at = -INFINITY
        source.decoded_level = -1
        silence(source)
        self.transports[transport].source = row
        return row

    def remove_source(self, int32_t source):
        cdef Source* row = self._source(source)
        self._assert_drained()
        if row.slot != NOBODY:
            self._vacate(row.slot)
        self.transports[row.transport].source = NOBODY
        row.alive = False
        self.source_rows.give_back(source)

    def set_audible(self, int32_t source, bint audible):
        cdef Source* row = self._source(source)
        if row.is_audible == audible:
            return
        row.is_audible = audible
        if row.slot != NOBODY:
            self.slots[row.slot].needs_anchor = True
        if not audible:
            silence(row)

    def level(self, int32_t source, double now):
        return level_of(self._source(source), now)

    def levels(self, list sources not None, double now):
        return [level_of(self._source(source), now) for source in sources]

    def source_stats(self, int32_t source):
        cdef Source* row = self._source(source)
        if not row.has_packets:
            return SourceStats(row.ssrc, 0, 0, 0, 0)
        return SourceStats(
            row.ssrc,
            row.packets,
            <uint32_t>row.highest_sequence,
            <uint32_t>(row.highest_sequence - row.first_sequence + 1),
            <uint32_t>row.jitter_ticks,
        )

    # ---- rows, checked

    cdef int _assert_drained(self) except -1:
        """Tables change only between inputs; the forwarder knows whether one is being worked on."""
        return 0

    cdef Transport* _transport(self, int32_t row) except NULL:
        if not 0 <= row < self.transport_capacity or not self.transports[row].alive:
            raise KeyError(f"no transport {row}")
        return &self.transports[row]

    cdef Source* _source(self, int32_t row) except NULL:
        if not 0 <= row < self.source_capacity or not self.sources[row].alive:
            raise KeyError(f"no source {row}")
        return &self.sources[row]

    cdef Slot* _slot(self, int32_t row) except NULL:
        if not 0 <= row < self.slot_capacity or not self.slots[row].alive or self.slots[row].packs != NOBODY:
            raise KeyError(f"no slot {row}")
        return &self.slots[row]

    cdef Stream* _stream(self, int32_t row) except NULL:
        if not 0 <= row < self.stream_capacity or not self.streams[row].alive:
            raise KeyError(f"no stream {row}")
        return &self.streams[row]

    cdef Egress* _egress(self, int32_t row) except NULL:
        if not 0 <= row < self.egress_capacity or not self.egresses[row].alive:
            raise KeyError(f"no egress {row}")
        return &self.egresses[row]

    cdef Audience* _audience(self, int32_t row) except NULL:
        if not 0 <= row < self.audience_capacity or not self.audiences[row].alive:
            raise KeyError(f"no audience {row}")
        return &self.audiences[row]

    cdef const uint8_t* _address(self, bytes address) except NULL:
        if PyBytes_GET_SIZE(address) != ADDRESS_SIZE:
            raise ValueError(f"an address has {ADDRESS_SIZE} bytes, not {PyBytes_GET_SIZE(address)}")
        return <const uint8_t*>PyBytes_AS_STRING(address)

    cdef void _forget_address(self, Transport* row, const uint8_t* key):
        cdef int32_t index
        for index in range(row.address_count):
            if memcmp(row.addresses[index], key, ADDRESS_SIZE) == 0:
                row.address_count -= 1
                memcpy(row.addresses[index], row.addresses[row.address_count], ADDRESS_SIZE)
                break
        # Whoever has the address next must not get what was meant for this one.
        if memcmp(row.address, key, ADDRESS_SIZE) == 0:
            row.is_routed = False

    cdef void _vacate(self, int32_t slot):
        cdef Slot* row = &self.slots[slot]
        if row.source != NOBODY:
            self.sources[row.source].slot = NOBODY
        row.source = NOBODY
        row.needs_anchor = True
