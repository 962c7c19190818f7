# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A fixed-size arena of datagrams. `reserve` then `commit` adds one without a copy; neither allocates."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

ADDRESS_BYTES = ADDRESS_SIZE
# Media fits a 1,500-byte MTU; 2 KiB takes whatever a jumbo-framed sender wraps around it.
DATAGRAM_BYTES_MAX = DATAGRAM_SIZE_MAX

cdef enum:
    DATAGRAMS_MAX = 65536          # far above one system call's 1,024
    ARENA_SIZE_MAX = 0x8000000     # 128 MiB: offsets stay in 32 bits with room to add


cdef class Batch:
    def __cinit__(self, uint32_t datagrams=256, uint32_t size_bytes=524_288):
        if not 1 <= datagrams <= DATAGRAMS_MAX:
            raise ValueError(f"a batch holds 1 to {DATAGRAMS_MAX} datagrams, not {datagrams}")
        if not DATAGRAM_SIZE_MAX <= size_bytes <= ARENA_SIZE_MAX:
            raise ValueError(f"a batch takes {DATAGRAM_SIZE_MAX} to {ARENA_SIZE_MAX} bytes, not {size_bytes}")
        self.memory = <uint8_t*>calloc(size_bytes, 1)
        self.datagrams = <Datagram*>calloc(datagrams, sizeof(Datagram))
        if self.memory == NULL or self.datagrams == NULL:
            raise MemoryError
        self.capacity = datagrams
        self.size_bytes = size_bytes

    def __dealloc__(self):
        free(self.memory)
        free(self.datagrams)

    def __len__(self):
        return self.count

    def __getitem__(self, Py_ssize_t index):
        if not 0 <= index < <Py_ssize_t>self.count:
            raise IndexError(f"datagram {index} of {self.count}")
        cdef Datagram* entry = &self.datagrams[index]
        return (
            PyBytes_FromStringAndSize(<char*>self.memory + entry.offset, entry.length),
            PyBytes_FromStringAndSize(<char*>entry.address, ADDRESS_SIZE),
        )

    def __iter__(self):
        cdef uint32_t index
        for index in range(self.count):
            yield self[index]

    def append(self, bytes data not None, bytes address not None):
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
        cdef uint8_t* place
        if PyBytes_GET_SIZE(address) != ADDRESS_SIZE:
            raise ValueError(f"an address has {ADDRESS_SIZE} bytes, not {PyBytes_GET_SIZE(address)}")
        if length > DATAGRAM_SIZE_MAX:
            raise ValueError(f"a datagram has at most {DATAGRAM_SIZE_MAX} bytes, not {length}")
        place = self.reserve(<uint32_t>length)
        if place == NULL:
            return False
        memcpy(place, PyBytes_AS_STRING(data), length)
        self.commit(<uint32_t>length, <const uint8_t*>PyBytes_AS_STRING(address))
        return True

    def clear(self):
        self.count = 0
        self.used = 0
        self.waited_s = 0.0

    @property
    def used_bytes(self):
        return self.used

    cdef uint8_t* reserve(self, uint32_t length) noexcept nogil:
        """Where the next datagram of up to `length` bytes goes; NULL when the batch is full."""
        if self.count == self.capacity or self.size_bytes - self.used < length:
            return NULL
        return self.memory + self.used

    cdef void commit(self, uint32_t length, const uint8_t* address) noexcept nogil:
        """The reserved place now holds a datagram of `length` bytes for `address`."""
        cdef Datagram* entry = &self.datagrams[self.count]
        entry.offset = self.used
        entry.length = length
        memcpy(entry.address, address, ADDRESS_SIZE)
        self.count += 1
        # Whole words keep every datagram aligned for the cipher.
        self.used += (length + 7) & ~<uint32_t>7
        if self.used > self.size_bytes:
            self.used = self.size_bytes
