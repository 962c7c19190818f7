# The tables of a swarm: virtual clients, what they say, and who is saying it.

from libc.stdint cimport int32_t, uint32_t

from sfu.fast._tables cimport Ids
from sfu.fast._track cimport Client
from sfu.fast._voice cimport Talker, Voice

cdef enum:
    ROUNDS = 17                     # the first for clients without keys, 16 for those who only hear media

cdef class Crowd:
    cdef bint is_open
    cdef int epolls[ROUNDS]         # the sockets of each round
    cdef uint32_t serial
    cdef Ids client_rows
    cdef Client* clients
    cdef int32_t client_capacity
    cdef dict sessions              # keeps the libsrtp contexts of the rows alive
    cdef Talker* talkers            # dense: a talker that ends leaves its row to the last one
    cdef int32_t talker_capacity
    cdef int32_t talker_count
    cdef Voice* voices
    cdef int32_t voice_capacity
    cdef int32_t voice_count
    cdef void _close_rounds(self) noexcept
    cdef int _settle(self, Client* client, int32_t row) except -1
    cdef int _assert_open(self) except -1
    cdef Client* _client(self, int32_t client) except NULL
    cdef void _hush(self, Client* client) noexcept
