# The tables that Python writes and the forwarder walks.

from libc.stdint cimport int32_t, uint8_t, uint64_t

from sfu.fast._held cimport HoldList
from sfu.fast._pack cimport PackList
from sfu.fast._rows cimport Audience, Egress, Slot, Source, Stream, Transport
from sfu.fast._tap cimport Taps
from sfu.fast._tables cimport AddressTable, Ids

cdef class Routes:
    cdef Transport* transports
    cdef Source* sources
    cdef Slot* slots
    cdef Stream* streams
    cdef Egress* egresses
    cdef Audience* audiences
    cdef HoldList holding
    cdef PackList packing
    cdef int32_t packed_rows    # of `slot_rows`
    cdef int32_t* owed          # egresses that may be owed something
    cdef int32_t owed_count
    cdef int32_t owed_capacity
    cdef Taps taps
    cdef int32_t transport_capacity
    cdef int32_t source_capacity
    cdef int32_t slot_capacity
    cdef int32_t stream_capacity
    cdef int32_t egress_capacity
    cdef int32_t audience_capacity
    cdef Ids transport_rows
    cdef Ids source_rows
    cdef Ids slot_rows
    cdef Ids stream_rows
    cdef Ids egress_rows
    cdef Ids audience_rows
    cdef uint64_t source_serial
    cdef AddressTable addresses
    cdef dict sessions          # transport -> (receive, send), so that libsrtp's contexts stay alive
    cdef dict spent             # transport -> SSRCs of its removed egresses that sent under its keys
    cdef int _assert_drained(self) except -1
    cdef Transport* _transport(self, int32_t row) except NULL
    cdef Source* _source(self, int32_t row) except NULL
    cdef Slot* _slot(self, int32_t row) except NULL
    cdef Stream* _stream(self, int32_t row) except NULL
    cdef Egress* _egress(self, int32_t row) except NULL
    cdef Audience* _audience(self, int32_t row) except NULL
    cdef const uint8_t* _address(self, bytes address) except NULL
    cdef void _forget_address(self, Transport* row, const uint8_t* key)
    cdef void _vacate(self, int32_t slot)
