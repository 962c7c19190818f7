# What is remembered of stamped packets until their listener tells what came of them (README: Transport-wide numbers).

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t

from sfu.fast._rows cimport BORROWED_MAX, DEPARTURES_MAX, NO_STAMP, Departure, Egress, Stamps, Transport

cdef enum:
    UDP_SIZE = 8
    IPV4_SIZE = 20
    IPV6_SIZE = 40

cdef inline uint8_t overhead_of(const uint8_t* address) noexcept nogil:
    """What IP and UDP add to a datagram for `address`; one of IPv4 is mapped (RFC 4291 2.5.5.2)."""
    cdef int index
    for index in range(10):
        if address[index] != 0:
            return UDP_SIZE + IPV6_SIZE
    return UDP_SIZE + (IPV4_SIZE if address[10] == 0xFF and address[11] == 0xFF else IPV6_SIZE)

cdef inline int32_t next_stamp(const Transport* transport, const Egress* egress) noexcept nogil:
    """The transport-wide number of what is sent now, NO_STAMP if it gets none."""
    if transport.stamps == NULL or egress.stamped.size == 0:
        return NO_STAMP
    if egress.borrows and not transport.hears_borrowed and transport.borrowed >= BORROWED_MAX:
        return NO_STAMP
    return <uint16_t>transport.next_stamp

cdef inline int64_t unwrapped(const Transport* transport, uint16_t stamp) noexcept nogil:
    """Which number is meant by its low 16 bits: one within 32,768 of the next."""
    return transport.next_stamp + <int16_t><uint16_t>(stamp - <uint16_t>transport.next_stamp)

cdef inline int64_t oldest_of(const Transport* transport) noexcept nogil:
    """The first number of which anything is remembered; the transport is stamped."""
    return max(transport.stamps.first, transport.next_stamp - DEPARTURES_MAX)

cdef inline Departure* departure_of(const Transport* transport, int64_t number) noexcept nogil:
    """What is remembered of the packet with this number; NULL for one forgotten, or never sent."""
    if transport.stamps == NULL or not oldest_of(transport) <= number < transport.next_stamp:
        return NULL
    return &transport.stamps.departures[number % DEPARTURES_MAX]

cdef inline void note_departure(
    Transport* transport, const Egress* egress, int32_t stamp, uint32_t size, double now
) noexcept nogil:
    """A stamped packet of `size` bytes on the wire has left; one that leaves again is remembered already."""
    cdef int64_t number = unwrapped(transport, <uint16_t>stamp)
    cdef Departure* departure
    if number != transport.next_stamp:
        departure = departure_of(transport, number)
        if departure != NULL:
            departure.is_again = True
        return
    transport.next_stamp += 1
    departure = departure_of(transport, number)
    departure.sent_at = now
    departure.size = <uint16_t>size
    departure.is_again = departure.is_told = False
    departure.is_borrowed = egress.borrows
    if egress.borrows and not transport.hears_borrowed:
        transport.borrowed += 1
