# How the forwarder's tables grow, give out ids and find addresses.

from libc.stdint cimport int32_t, uint8_t, uint32_t

from sfu.fast._batch cimport ADDRESS_SIZE

cdef struct AddressEntry:
    int32_t transport           # NOBODY: free
    uint8_t address[ADDRESS_SIZE]

cdef class AddressTable:
    cdef AddressEntry* entries
    cdef uint32_t mask
    cdef uint32_t count
    cdef AddressEntry* _fresh(self, uint32_t capacity) except NULL
    cdef uint32_t slot_of(self, const uint8_t* address) noexcept nogil
    cdef int32_t find(self, const uint8_t* address) noexcept nogil
    cdef int put(self, const uint8_t* address, int32_t transport) except -1
    cdef bint drop(self, const uint8_t* address) noexcept
    cdef int grow(self) except -1

cdef class Ids:
    cdef str name
    cdef int32_t limit
    cdef int32_t used           # ids ever given out
    cdef list free_ids
    cdef readonly int32_t alive
    cdef int32_t take(self) except -1
    cdef void give_back(self, int32_t row)

cdef void* grown(void* table, int32_t* capacity, int32_t needed, size_t row_size) except NULL
