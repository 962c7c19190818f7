# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Which packets carry a transport-wide number, and what became of them. README.md has the theory."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from sfu.fast._egresses cimport Egresses
from sfu.fast._rows cimport Departure, Stamps, Transport
from sfu.fast._rtp cimport read16
from sfu.fast._stamps cimport departure_of, oldest_of, unwrapped
from sfu.fast._told cimport (
    MALFORMED, NOT_CAME, TOLD_HEADER_SIZE, Chunks, deltas_at, is_run, next_chunk, next_delta, next_status,
)

from sfu.fast.records import Delivery

cdef double TICK_S = 250e-6
cdef double TOLD_AGE_S = 10.0       # what left before that says nothing of the line as it is now
cdef enum:
    REFERENCE_TICKS = 256           # 64 ms
    REFERENCE_SPAN = 0x1000000      # 24 bits


cdef object new_record = tuple.__new__


cdef int64_t unwrap_reference(Stamps* stamps, uint32_t reference):
    """Continue the receiver's clock, of which feedback carries 24 bits: 12 days."""
    cdef int64_t ahead
    if not stamps.has_reference:
        stamps.has_reference = True
        stamps.reference = reference
        return stamps.reference
    ahead = (<int64_t>reference - stamps.reference) & (REFERENCE_SPAN - 1)
    if ahead >= REFERENCE_SPAN // 2:
        return stamps.reference + ahead - REFERENCE_SPAN
    stamps.reference += ahead
    return stamps.reference


cdef class Stamping(Egresses):
    def set_stamped(self, int32_t transport, bint on):
        cdef Transport* row = self._transport(transport)
        self._assert_drained()
        if on == (row.stamps != NULL):
            return
        if not on:
            free(row.stamps)
            row.stamps = NULL
            return
        row.stamps = <Stamps*>calloc(1, sizeof(Stamps))
        if row.stamps == NULL:
            raise MemoryError
        row.stamps.first = row.next_stamp

    def wire_bytes(self, int32_t transport):
        return self._transport(transport).wire_bytes

    def deliveries(self, int32_t transport, bytes feedback not None, double now):
        cdef Transport* row = self._transport(transport)
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(feedback)
        cdef uint32_t length = <uint32_t>min(PyBytes_GET_SIZE(feedback), 0xFFFF)
        cdef int at = deltas_at(data, length)
        if at == MALFORMED:
            self.feedback_malformed += 1
            return []
        if row.stamps == NULL:
            return []
        if unwrapped(row, read16(data)) + read16(data + 2) > row.next_stamp:
            self.feedback_malformed += 1    # of what was never sent
            return []
        return self._told(row, feedback, <uint32_t>at, now)

    cdef list _told(self, Transport* row, bytes feedback, uint32_t deltas_at, double now):
        """What well-formed feedback says that was not known."""
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(feedback)
        cdef const uint8_t* delta = data + deltas_at
        cdef Chunks chunks = Chunks(data, TOLD_HEADER_SIZE, deltas_at, 0, 0)
        cdef uint32_t forgotten
        cdef int64_t number = unwrapped(row, read16(data))
        cdef int64_t end = number + read16(data + 2)
        cdef int64_t ticks = REFERENCE_TICKS * unwrap_reference(
            row.stamps, (<uint32_t>data[4] << 16) | (<uint32_t>data[5] << 8) | data[6]
        )
        cdef int status
        cdef list found = []
        while number < end:
            if chunks.left == 0:
                next_chunk(&chunks, <uint32_t>(end - number))
                if is_run(&chunks) and chunks.chunk >> 13 == NOT_CAME:
                    forgotten = <uint32_t>max(0, min(oldest_of(row) - number, <int64_t>chunks.left))
                    number += forgotten
                    chunks.left -= forgotten
                continue
            status = next_status(&chunks)
            if status != NOT_CAME:
                ticks += next_delta(delta, status)
                delta += status
            self._tell(row, departure_of(row, number), status != NOT_CAME, ticks, now, found)
            number += 1
        return found

    cdef int _tell(
        self, Transport* row, Departure* departure, bint came, int64_t ticks, double now, list found
    ) except -1:
        """One packet, unless it was told of before."""
        if departure == NULL or departure.is_told:
            return 0
        departure.is_told = True
        if departure.is_borrowed and not row.hears_borrowed:
            if not came:
                return 0        # it may have come all the same
            row.hears_borrowed = True
        if now - departure.sent_at > TOLD_AGE_S:
            return 0
        came = came and not departure.is_again
        if came:
            self.stamped_arrived += 1
        else:
            self.stamped_lost += 1
        arrived_at = ticks * TICK_S if came else None
        found.append(new_record(Delivery, (departure.sent_at, arrived_at, departure.size)))
        return 0
