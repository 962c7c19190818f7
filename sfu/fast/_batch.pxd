from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    ADDRESS_SIZE = 18
    DATAGRAM_SIZE_MAX = 2048

cdef struct Datagram:
    uint32_t offset
    uint32_t length
    uint8_t address[ADDRESS_SIZE]

cdef class Batch:
    cdef uint8_t* memory
    cdef Datagram* datagrams
    cdef uint32_t capacity      # datagrams
    cdef uint32_t size_bytes
    cdef uint32_t count
    cdef uint32_t used
    cdef public double waited_s
    cdef uint8_t* reserve(self, uint32_t length) noexcept nogil
    cdef void commit(self, uint32_t length, const uint8_t* address) noexcept nogil
