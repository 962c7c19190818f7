# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The forwarder's bookkeeping: tables that grow, ids, and whose an address is."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from sfu.fast._batch cimport ADDRESS_SIZE
from sfu.fast._rows cimport NOBODY

cdef enum:
    FIRST_ROWS = 64             # a table's capacity before it grows


cdef class AddressTable:
    """Validated remote addresses and whose they are: open addressing with linear probing."""

    def __cinit__(self):
        self.mask = 127
        self.count = 0
        self.entries = self._fresh(self.mask + 1)

    def __dealloc__(self):
        free(self.entries)

    cdef AddressEntry* _fresh(self, uint32_t capacity) except NULL:
        cdef AddressEntry* entries = <AddressEntry*>calloc(capacity, sizeof(AddressEntry))
        cdef uint32_t index
        if entries == NULL:
            raise MemoryError
        for index in range(capacity):
            entries[index].transport = NOBODY
        return entries

    cdef uint32_t slot_of(self, const uint8_t* address) noexcept nogil:
        """Where `address` is, or the free place where it would go."""
        cdef uint64_t a, b
        cdef uint16_t port
        cdef uint32_t at
        memcpy(&a, address, 8)
        memcpy(&b, address + 8, 8)
        memcpy(&port, address + 16, 2)
        a ^= b * <uint64_t>0x9E3779B97F4A7C15
        a ^= a >> 29
        a = (a + port) * <uint64_t>0xBF58476D1CE4E5B9
        a ^= a >> 32
        at = <uint32_t>a & self.mask
        while self.entries[at].transport != NOBODY:
            if memcmp(self.entries[at].address, address, ADDRESS_SIZE) == 0:
                break
            at = (at + 1) & self.mask
        return at

    cdef int32_t find(self, const uint8_t* address) noexcept nogil:
        return self.entries[self.slot_of(address)].transport

    cdef int put(self, const uint8_t* address, int32_t transport) except -1:
        cdef uint32_t at
        if 2 * (self.count + 1) > self.mask:
            self.grow()
        at = self.slot_of(address)
        if self.entries[at].transport == NOBODY:
            self.count += 1
        self.entries[at].transport = transport
        memcpy(self.entries[at].address, address, ADDRESS_SIZE)
        return 0

    cdef bint drop(self, const uint8_t* address) noexcept:
        cdef uint32_t at = self.slot_of(address)
        cdef AddressEntry moved
        if self.entries[at].transport == NOBODY:
            return False
        self.entries[at].transport = NOBODY
        self.count -= 1
        # Entries behind the hole may have been pushed past it: place them anew.
        at = (at + 1) & self.mask
        while self.entries[at].transport != NOBODY:
            moved = self.entries[at]
            self.entries[at].transport = NOBODY
            self.entries[self.slot_of(moved.address)] = moved
            at = (at + 1) & self.mask
        return True

    cdef int grow(self) except -1:
        cdef AddressEntry* old = self.entries
        cdef uint32_t capacity = self.mask + 1
        cdef uint32_t index
        cdef AddressEntry* fresh = self._fresh(2 * capacity)
        self.entries = fresh
        self.mask = 2 * capacity - 1
        for index in range(capacity):
            if old[index].transport != NOBODY:
                self.entries[self.slot_of(old[index].address)] = old[index]
        free(old)
        return 0


cdef class Ids:
    """Which rows of one table are in use; a freed one is used again first, so that tables stay dense."""

    def __cinit__(self, str name, int32_t limit):
        self.name = name
        self.limit = limit
        self.free_ids = []

    cdef int32_t take(self) except -1:
        cdef int32_t taken
        if self.free_ids:
            taken = self.free_ids.pop()
        elif self.used < self.limit:
            taken = self.used
            self.used += 1
        else:
            raise OverflowError(f"the forwarder holds at most {self.limit} {self.name}")
        self.alive += 1
        return taken

    cdef void give_back(self, int32_t row):
        self.free_ids.append(row)
        self.alive -= 1


cdef void* grown(void* table, int32_t* capacity, int32_t needed, size_t row_size) except NULL:
    """`table` with room for `needed` rows; new rows are zero."""
    cdef int32_t wanted = capacity[0]
    cdef void* fresh
    if needed <= wanted:
        return table
    while wanted < needed:
        wanted = wanted * 2 if wanted else FIRST_ROWS
    fresh = realloc(table, <size_t>wanted * row_size)
    if fresh == NULL:
        raise MemoryError
    memset(<char*>fresh + <size_t>capacity[0] * row_size, 0, <size_t>(wanted - capacity[0]) * row_size)
    capacity[0] = wanted
    return fresh
