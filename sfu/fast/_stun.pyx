# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Connectivity checks, compiled: the one message that every participant sends for as long as it is here.

`PathChecks.answer` reads a binding request and writes its answer in one pass (RFC 8489), if there is nothing to be
said of it: well-formed, signed by the key, for this username, without attributes that have to be understood
and are not. Everything else is left to `sfu.transport.ice`, which knows how to refuse. SHA-1 is written out
here because a message takes two HMACs of a hundred bytes, for which OpenSSL's objects cost several times the
hash itself; FINGERPRINT is zlib's CRC.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from sfu.fast._batch cimport ADDRESS_SIZE
from sfu.fast._rtp cimport read16, read32, write16, write32

cdef enum:
    HEADER_SIZE = 20
    MESSAGE_SIZE_MAX = 548      # a check is about 100 bytes
    KEY_SIZE_MAX = 64           # one block; passwords of ours have 24
    DIGEST_SIZE = 20
    BLOCK_SIZE = 64
    REPLY_SIZE_MAX = 76         # success over IPv6
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    COMPREHENSION_OPTIONAL = 0x8000
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    COOKIE = 0x2112A442
    FINGERPRINT_XOR = 0x5354554E

cdef struct Sha1:
    uint32_t state[5]
    uint8_t block[BLOCK_SIZE]
    uint32_t fill
    uint64_t length

# Both halves of an HMAC after the block with the key in it.
cdef struct Keyed:
    uint32_t inner[5]
    uint32_t outer[5]

# What a request came to.
cdef struct Request:
    const uint8_t* integrity    # the attribute's value, NULL without
    uint32_t integrity_at       # where the attribute begins
    bint is_nominating

cdef uint32_t crc_table[256]


cdef void _fill_crc_table() noexcept nogil:
    cdef uint32_t value
    cdef int index, bit
    for index in range(256):
        value = index
        for bit in range(8):
            value = value >> 1 ^ (<uint32_t>0xEDB88320 if value & 1 else <uint32_t>0)
        crc_table[index] = value


_fill_crc_table()


cdef inline uint32_t _rotated(uint32_t value, int bits) noexcept nogil:
    return value << bits | value >> (32 - bits)


cdef void _compress(uint32_t* state, const uint8_t* block) noexcept nogil:
    """One block of SHA-1 (RFC 3174 6.1)."""
    cdef uint32_t words[80]
    cdef uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], mixed
    cdef int index
    for index in range(16):
        words[index] = read32(block + 4 * index)
    for index in range(16, 80):
        words[index] = _rotated(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1)
    for index in range(20):
        mixed = (d ^ (b & (c ^ d))) + 0x5A827999 + _rotated(a, 5) + e + words[index]
        e, d, c, b, a = d, c, _rotated(b, 30), a, mixed
    for index in range(20, 40):
        mixed = (b ^ c ^ d) + 0x6ED9EBA1 + _rotated(a, 5) + e + words[index]
        e, d, c, b, a = d, c, _rotated(b, 30), a, mixed
    for index in range(40, 60):
        mixed = ((b & c) | (d & (b | c))) + <uint32_t>0x8F1BBCDC + _rotated(a, 5) + e + words[index]
        e, d, c, b, a = d, c, _rotated(b, 30), a, mixed
    for index in range(60, 80):
        mixed = (b ^ c ^ d) + <uint32_t>0xCA62C1D6 + _rotated(a, 5) + e + words[index]
        e, d, c, b, a = d, c, _rotated(b, 30), a, mixed
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e


cdef void _begin(Sha1* hash) noexcept nogil:
    hash.state[0] = 0x67452301
    hash.state[1] = <uint32_t>0xEFCDAB89
    hash.state[2] = <uint32_t>0x98BADCFE
    hash.state[3] = 0x10325476
    hash.state[4] = <uint32_t>0xC3D2E1F0
    hash.fill = 0
    hash.length = 0


cdef void _update(Sha1* hash, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint32_t taken
    hash.length += length
    while length:
        taken = min(length, BLOCK_SIZE - hash.fill)
        memcpy(hash.block + hash.fill, data, taken)
        hash.fill += taken
        data += taken
        length -= taken
        if hash.fill == BLOCK_SIZE:
            _compress(hash.state, hash.block)
            hash.fill = 0


cdef void _finish(Sha1* hash, uint8_t* digest) noexcept nogil:
    cdef uint64_t bits = hash.length * 8
    cdef int index
    hash.block[hash.fill] = 0x80
    hash.fill += 1
    if hash.fill > BLOCK_SIZE - 8:
        memset(hash.block + hash.fill, 0, BLOCK_SIZE - hash.fill)
        _compress(hash.state, hash.block)
        hash.fill = 0
    memset(hash.block + hash.fill, 0, BLOCK_SIZE - 8 - hash.fill)
    write32(hash.block + BLOCK_SIZE - 8, <uint32_t>(bits >> 32))
    write32(hash.block + BLOCK_SIZE - 4, <uint32_t>bits)
    _compress(hash.state, hash.block)
    for index in range(5):
        write32(digest + 4 * index, hash.state[index])


cdef void _key_half(uint32_t* state, const uint8_t* key, uint32_t length, uint8_t pad) noexcept nogil:
    """The inner or outer half of an HMAC (RFC 2104): the key, padded and masked, is the first block."""
    cdef uint8_t block[BLOCK_SIZE]
    cdef Sha1 hash
    cdef uint32_t index
    memset(block, pad, BLOCK_SIZE)
    for index in range(length):
        block[index] ^= key[index]
    _begin(&hash)
    _update(&hash, block, BLOCK_SIZE)
    memcpy(state, hash.state, DIGEST_SIZE)


cdef void _go_on(Sha1* hash, const uint32_t* state) noexcept nogil:
    """A hash of which one block is done."""
    memcpy(hash.state, state, DIGEST_SIZE)
    hash.fill = 0
    hash.length = BLOCK_SIZE


cdef void _sign(const uint8_t* message, uint32_t length, const Keyed* key, uint8_t* digest) noexcept nogil:
    """The HMAC-SHA1 of a message as if MESSAGE-INTEGRITY ended it (RFC 8489 14.5)."""
    cdef Sha1 hash
    cdef uint8_t head[4]
    _go_on(&hash, key.inner)
    head[0] = message[0]
    head[1] = message[1]
    write16(head + 2, length - HEADER_SIZE + 4 + DIGEST_SIZE)
    _update(&hash, head, 4)
    _update(&hash, message + 4, length - 4)
    _finish(&hash, digest)
    _go_on(&hash, key.outer)
    _update(&hash, digest, DIGEST_SIZE)
    _finish(&hash, digest)


cdef uint32_t _fingerprint(const uint8_t* message, uint32_t length) noexcept nogil:
    """The value of FINGERPRINT after these bytes (RFC 8489 14.7)."""
    cdef uint32_t crc = <uint32_t>0xFFFFFFFF
    cdef uint32_t index
    for index in range(length):
        crc = crc >> 8 ^ crc_table[(crc ^ message[index]) & 0xFF]
    return ~crc ^ FINGERPRINT_XOR


cdef bint _is_equal(const uint8_t* one, const uint8_t* other, uint32_t length) noexcept nogil:
    """In the same time wherever they differ."""
    cdef uint8_t difference = 0
    cdef uint32_t index
    for index in range(length):
        difference |= one[index] ^ other[index]
    return difference == 0


cdef bint _read(
    const uint8_t* data, uint32_t length, const uint8_t* username, uint32_t username_length, Request* request
) noexcept nogil:
    """Whether this is a request for `username` of which nothing has to be said."""
    cdef uint32_t position = HEADER_SIZE
    cdef uint32_t kind, size
    cdef bint is_named = False
    request.integrity = NULL
    request.is_nominating = False
    if length < HEADER_SIZE or length > MESSAGE_SIZE_MAX or length & 3:
        return False
    if read16(data) != 1 or read16(data + 2) != length - HEADER_SIZE or read32(data + 4) != COOKIE:
        return False
    while position < length:
        kind = read16(data + position)
        size = read16(data + position + 2)
        if size > length - position - 4:
            return False
        if kind == FINGERPRINT:
            return (
                size == 4 and position + 8 == length and is_named and request.integrity != NULL
                and read32(data + position + 4) == _fingerprint(data, position)
            )
        if request.integrity != NULL:
            return False            # unauthenticated: not for the fast way
        if kind == USERNAME:
            if is_named or size != username_length or memcmp(data + position + 4, username, size):
                return False
            is_named = True
        elif kind == MESSAGE_INTEGRITY:
            if size != DIGEST_SIZE:
                return False
            request.integrity = data + position + 4
            request.integrity_at = position
        elif kind == USE_CANDIDATE:
            request.is_nominating = True
        elif kind == ICE_CONTROLLED or (kind < COMPREHENSION_OPTIONAL and kind != PRIORITY):
            return False
        position += 4 + (size + 3 & ~<uint32_t>3)
    return is_named and request.integrity != NULL


cdef uint32_t _write_success(
    uint8_t* reply, const uint8_t* request, const uint8_t* address, const Keyed* key
) noexcept nogil:
    """A binding success with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT; returns its length."""
    cdef bint is_ipv4 = read32(address) == 0 and read32(address + 4) == 0 and read32(address + 8) == 0xFFFF
    cdef const uint8_t* host = address + 12 if is_ipv4 else address
    cdef uint32_t host_size = 4 if is_ipv4 else 16
    cdef uint32_t length = HEADER_SIZE + 8 + host_size
    cdef uint32_t index
    write16(reply, 0x0101)
    memcpy(reply + 4, request + 4, 16)      # cookie and transaction id, which mask the host in this order
    write16(reply + 20, XOR_MAPPED_ADDRESS)
    write16(reply + 22, 4 + host_size)
    reply[24] = 0
    reply[25] = 1 if is_ipv4 else 2
    write16(reply + 26, read16(address + 16) ^ COOKIE >> 16)
    for index in range(host_size):
        reply[28 + index] = host[index] ^ request[4 + index]
    write16(reply + length, MESSAGE_INTEGRITY)
    write16(reply + length + 2, DIGEST_SIZE)
    _sign(reply, length, key, reply + length + 4)
    length += 4 + DIGEST_SIZE
    write16(reply + 2, length + 8 - HEADER_SIZE)
    write16(reply + length, FINGERPRINT)
    write16(reply + length + 2, 4)
    write32(reply + length + 4, _fingerprint(reply, length))
    return length + 8


cdef class PathChecks:
    cdef bytes username
    cdef Keyed keyed
    cdef uint8_t path[ADDRESS_SIZE]
    cdef bint has_path
    cdef double rate_per_s, burst, tokens, counted_at

    def __init__(
        self, bytes username not None, bytes key not None, double rate_per_s, double burst, double now
    ):
        cdef const uint8_t* secret = <const uint8_t*>PyBytes_AS_STRING(key)
        cdef uint32_t length = <uint32_t>PyBytes_GET_SIZE(key)
        if PyBytes_GET_SIZE(key) > KEY_SIZE_MAX:
            raise ValueError(f"a key has at most {KEY_SIZE_MAX} bytes, not {PyBytes_GET_SIZE(key)}")
        self.username = username
        _key_half(self.keyed.inner, secret, length, 0x36)
        _key_half(self.keyed.outer, secret, length, 0x5C)
        self.has_path = False
        self.rate_per_s = rate_per_s
        self.burst = self.tokens = burst
        self.counted_at = now

    def follow(self, bytes address):
        if address is not None:
            _require_address(address)
            memcpy(self.path, <const uint8_t*>PyBytes_AS_STRING(address), ADDRESS_SIZE)
        self.has_path = address is not None

    def take(self, double now):
        self._fill(now)
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def answer(self, bytes data not None, bytes address not None, double now):
        cdef const uint8_t* message = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef const uint8_t* source = <const uint8_t*>PyBytes_AS_STRING(address)
        cdef uint8_t digest[DIGEST_SIZE]
        cdef uint8_t reply[REPLY_SIZE_MAX]
        cdef Request request
        cdef uint32_t length
        _require_address(address)
        if not self.has_path or memcmp(source, self.path, ADDRESS_SIZE):
            return None
        self._fill(now)
        if self.tokens < 1.0:
            return None
        if not _read(
            message, <uint32_t>PyBytes_GET_SIZE(data), <const uint8_t*>PyBytes_AS_STRING(self.username),
            <uint32_t>PyBytes_GET_SIZE(self.username), &request,
        ):
            return None
        _sign(message, request.integrity_at, &self.keyed, digest)
        if not _is_equal(digest, request.integrity, DIGEST_SIZE):
            return None
        self.tokens -= 1.0
        length = _write_success(reply, message, source, &self.keyed)
        return PyBytes_FromStringAndSize(<char*>reply, length), bool(request.is_nominating)

    cdef void _fill(self, double now) noexcept:
        """Tokens of the time since they were last counted."""
        self.tokens = min(self.burst, self.tokens + (now - self.counted_at) * self.rate_per_s)
        self.counted_at = now


cdef int _require_address(bytes address) except -1:
    if PyBytes_GET_SIZE(address) != ADDRESS_SIZE:
        raise ValueError(f"an address has {ADDRESS_SIZE} bytes, not {PyBytes_GET_SIZE(address)}")
    return 0
