# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""recvmmsg and sendmmsg over batches. The only compiled code that makes system calls."""

from libc.errno cimport EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, EMSGSIZE, ENETUNREACH, EPERM, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from sfu.fast._batch cimport ADDRESS_SIZE, DATAGRAM_SIZE_MAX, Batch, Datagram
from sfu.fast._sockets cimport msghdr as control_msghdr, read_controls, realtime_ns

cdef extern from "sys/socket.h" nogil:
    enum: AF_INET
    enum: AF_INET6
    enum: MSG_DONTWAIT
    enum: MSG_TRUNC
    ctypedef uint16_t sa_family_t
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        void* msg_name
        uint32_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    cmsghdr* CMSG_FIRSTHDR(msghdr* message)
    unsigned char* CMSG_DATA(cmsghdr* control)
    size_t CMSG_LEN(size_t length)
    size_t CMSG_SPACE(size_t length)

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    #include <netinet/in.h>
    #ifndef SOL_UDP
    #define SOL_UDP 17
    #endif
    #ifndef UDP_SEGMENT
    #define UDP_SEGMENT 103
    #endif
    """
    enum: SOL_UDP
    enum: UDP_SEGMENT
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        sa_family_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr

cdef enum:
    CALL_MAX = 1024        # the kernel's UIO_MAXIOV: more in one call is refused
    CONTROL_SIZE = 96      # a timestamp (32 bytes) and a drop count (24) with room to spare
    INTERRUPTS_MAX = 8     # EINTR in a row before the call counts as failed
    SEGMENTS_MAX = 64      # the kernel's UDP_MAX_SEGMENTS, before it was raised
    SEGMENTED_SIZE_MAX = 65000  # an IP packet, headers included, has 65,535 bytes

# Nothing waits longer in a socket that is read; what seems to does so by a clock that was set.
cdef int64_t WAITED_NS_MAX = 10_000_000_000

cdef uint8_t MAPPED[12]
memset(MAPPED, 0, 10)
MAPPED[10] = 0xFF
MAPPED[11] = 0xFF

cdef struct Counters:
    uint64_t received
    uint64_t received_bytes
    uint64_t truncated
    uint64_t kernel_drops
    uint64_t sent
    uint64_t sent_bytes
    uint64_t receive_calls
    uint64_t send_calls
    uint64_t segmented
    uint64_t segmentation_refused
    uint64_t would_block
    uint64_t unreachable
    uint64_t refused
    uint64_t no_socket
    uint64_t too_big
    uint64_t other


cdef class Mmsg:
    cdef int fd_v4
    cdef int fd_v6
    cdef mmsghdr* messages
    cdef iovec* vectors
    cdef sockaddr_in6* names
    cdef uint8_t* controls
    cdef uint32_t overflow_v4
    cdef uint32_t overflow_v6
    cdef Counters count
    cdef readonly bint segments

    def __cinit__(self, int fd_v4, int fd_v6, bint segments=True):
        self.fd_v4 = fd_v4
        self.fd_v6 = fd_v6
        self.segments = segments
        self.messages = <mmsghdr*>calloc(CALL_MAX, sizeof(mmsghdr))
        self.vectors = <iovec*>calloc(CALL_MAX, sizeof(iovec))
        self.names = <sockaddr_in6*>calloc(CALL_MAX, sizeof(sockaddr_in6))
        self.controls = <uint8_t*>calloc(CALL_MAX, CONTROL_SIZE)
        if self.messages == NULL or self.vectors == NULL or self.names == NULL or self.controls == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.messages)
        free(self.vectors)
        free(self.names)
        free(self.controls)

    def receive(self, int fd, Batch batch not None, uint32_t limit=CALL_MAX):
        cdef uint32_t wanted = min(batch.capacity, batch.size_bytes // DATAGRAM_SIZE_MAX, <uint32_t>CALL_MAX)
        cdef uint32_t index
        cdef int got, tries
        wanted = max(1, min(wanted, limit))
        batch.clear()
        for index in range(wanted):
            self._prepare_receive(batch, index)
        with nogil:
            got = -1
            for tries in range(INTERRUPTS_MAX):
                got = recvmmsg(fd, self.messages, wanted, MSG_DONTWAIT, NULL)
                if got >= 0 or errno != EINTR:
                    break
        if got < 0:
            if errno == EAGAIN:
                return 0
            # An ICMP answer to something sent earlier; the socket itself is sound.
            if errno == ECONNREFUSED or errno == EHOSTUNREACH or errno == ENETUNREACH:
                self.count.unreachable += 1
                return 0
            raise OSError(errno, "recvmmsg failed")
        self.count.receive_calls += 1
        for index in range(<uint32_t>got):
            self._take(batch, index)
        if got > 0:
            self._note_overflow(fd, &self.messages[got - 1].msg_hdr)
            batch.waited_s = waited_s(&self.messages[0].msg_hdr)
        return batch.count

    def send(self, Batch batch not None):
        cdef uint32_t first = 0
        cdef uint32_t last
        cdef bint is_v4
        cdef uint64_t before = self.count.sent
        with nogil:
            while first < batch.count:
                is_v4 = memcmp(batch.datagrams[first].address, MAPPED, 12) == 0
                last = first + 1
                while (
                    last < batch.count
                    and last - first < CALL_MAX
                    and (memcmp(batch.datagrams[last].address, MAPPED, 12) == 0) == is_v4
                ):
                    last += 1
                self._send_run(batch, first, last, is_v4)
                first = last
        return self.count.sent - before

    def counters(self):
        return {
            "received": self.count.received,
            "received_bytes": self.count.received_bytes,
            "truncated": self.count.truncated,
            "kernel_drops": self.count.kernel_drops,
            "sent": self.count.sent,
            "sent_bytes": self.count.sent_bytes,
            "receive_calls": self.count.receive_calls,
            "send_calls": self.count.send_calls,
            "segmented": self.count.segmented,
            "segmentation_refused": self.count.segmentation_refused,
            "dropped_would_block": self.count.would_block,
            "dropped_unreachable": self.count.unreachable,
            "dropped_refused": self.count.refused,
            "dropped_no_socket": self.count.no_socket,
            "dropped_too_big": self.count.too_big,
            "dropped_other": self.count.other,
        }

    cdef void _prepare_receive(self, Batch batch, uint32_t index) noexcept:
        cdef msghdr* header = &self.messages[index].msg_hdr
        self.vectors[index].iov_base = batch.memory + index * DATAGRAM_SIZE_MAX
        self.vectors[index].iov_len = DATAGRAM_SIZE_MAX
        header.msg_name = &self.names[index]
        header.msg_namelen = sizeof(sockaddr_in6)
        header.msg_iov = &self.vectors[index]
        header.msg_iovlen = 1
        header.msg_control = self.controls + index * CONTROL_SIZE
        header.msg_controllen = CONTROL_SIZE
        header.msg_flags = 0

    cdef void _take(self, Batch batch, uint32_t index) noexcept:
        """Enter received message `index` into the batch, unless the kernel had to cut it."""
        cdef Datagram* entry = &batch.datagrams[batch.count]
        cdef sockaddr_in* v4 = <sockaddr_in*>&self.names[index]
        cdef sockaddr_in6* v6 = &self.names[index]
        if self.messages[index].msg_hdr.msg_flags & MSG_TRUNC:
            self.count.truncated += 1
            return
        if v4.sin_family == AF_INET:
            memcpy(entry.address, MAPPED, 12)
            memcpy(entry.address + 12, &v4.sin_addr, 4)
            memcpy(entry.address + 16, &v4.sin_port, 2)
        else:
            memcpy(entry.address, &v6.sin6_addr, 16)
            memcpy(entry.address + 16, &v6.sin6_port, 2)
        entry.offset = index * DATAGRAM_SIZE_MAX
        entry.length = self.messages[index].msg_len
        batch.count += 1
        batch.used = (index + 1) * DATAGRAM_SIZE_MAX
        self.count.received += 1
        self.count.received_bytes += entry.length

    cdef void _note_overflow(self, int fd, msghdr* header) noexcept:
        """The kernel tells its running count of datagrams lost to a full buffer with each message."""
        cdef uint32_t* known = &self.overflow_v4 if fd == self.fd_v4 else &self.overflow_v6
        cdef uint32_t total = known[0]
        read_controls(<control_msghdr*>header, &total)
        self.count.kernel_drops += <uint32_t>(total - known[0])
        known[0] = total

    cdef void _send_run(self, Batch batch, uint32_t first, uint32_t last, bint is_v4) noexcept nogil:
        """Send datagrams [first, last), all of one family; skip what the kernel refuses."""
        cdef int fd = self.fd_v4 if is_v4 else self.fd_v6
        cdef uint32_t messages, done = 0
        cdef uint32_t tries = 0
        cdef int sent
        if fd < 0:
            self.count.no_socket += last - first
            return
        messages = self._prepare_run(batch, first, last, is_v4)
        while done < messages:
            sent = sendmmsg(fd, self.messages + done, messages - done, MSG_DONTWAIT)
            self.count.send_calls += 1
            if sent > 0:
                self._count_sent(done, done + <uint32_t>sent)
                done += <uint32_t>sent
                tries = 0
            elif errno == EINTR and tries < INTERRUPTS_MAX:
                tries += 1
            elif errno == EAGAIN:
                # The socket buffer is full: what waits now would only arrive late.
                while done < messages:
                    self.count.would_block += self.messages[done].msg_hdr.msg_iovlen
                    done += 1
                return
            elif self.messages[done].msg_hdr.msg_iovlen > 1:
                self._send_apart(fd, &self.messages[done].msg_hdr)
                done += 1
            else:
                self._count_refusal()
                done += 1

    cdef uint32_t _prepare_run(
        self, Batch batch, uint32_t first, uint32_t last, bint is_v4
    ) noexcept nogil:
        """Lay out the messages for datagrams [first, last); returns how many there are."""
        cdef uint32_t messages = 0
        cdef uint32_t entry, end
        entry = first
        while entry < last:
            end = self._segments_end(batch, entry, last) if self.segments else entry + 1
            self._prepare_send(batch, entry, end, entry - first, messages, is_v4)
            messages += 1
            entry = end
        return messages

    cdef uint32_t _segments_end(self, Batch batch, uint32_t first, uint32_t last) noexcept nogil:
        """How far datagrams go to one address, equally long but for the last, which may be shorter."""
        cdef Datagram* head = &batch.datagrams[first]
        cdef Datagram* entry
        cdef uint32_t end = first + 1
        cdef uint32_t size = head.length
        if head.length == 0:
            return end
        while end < last and end - first < SEGMENTS_MAX:
            entry = &batch.datagrams[end]
            if entry.length > head.length or size + entry.length > SEGMENTED_SIZE_MAX:
                break
            if memcmp(entry.address, head.address, ADDRESS_SIZE) != 0:
                break
            size += entry.length
            end += 1
            if entry.length < head.length:
                break
        return end

    cdef void _prepare_send(
        self, Batch batch, uint32_t first, uint32_t end, uint32_t vector, uint32_t message, bint is_v4
    ) noexcept nogil:
        """Message number `message`: datagrams [first, end), its vectors from `vector` on."""
        cdef Datagram* entry = &batch.datagrams[first]
        cdef msghdr* header = &self.messages[message].msg_hdr
        cdef sockaddr_in* v4
        cdef sockaddr_in6* v6
        cdef uint32_t index
        if is_v4:
            v4 = <sockaddr_in*>&self.names[message]
            v4.sin_family = AF_INET
            memcpy(&v4.sin_addr, entry.address + 12, 4)
            memcpy(&v4.sin_port, entry.address + 16, 2)
            header.msg_namelen = sizeof(sockaddr_in)
        else:
            v6 = &self.names[message]
            memset(v6, 0, sizeof(sockaddr_in6))
            v6.sin6_family = AF_INET6
            memcpy(&v6.sin6_addr, entry.address, 16)
            memcpy(&v6.sin6_port, entry.address + 16, 2)
            header.msg_namelen = sizeof(sockaddr_in6)
        for index in range(end - first):
            self.vectors[vector + index].iov_base = batch.memory + batch.datagrams[first + index].offset
            self.vectors[vector + index].iov_len = batch.datagrams[first + index].length
        header.msg_name = &self.names[message]
        header.msg_iov = &self.vectors[vector]
        header.msg_iovlen = end - first
        header.msg_control = NULL
        header.msg_controllen = 0
        header.msg_flags = 0
        if end - first > 1:
            self._ask_for_segments(header, message, <uint16_t>entry.length)

    cdef void _ask_for_segments(self, msghdr* header, uint32_t message, uint16_t size) noexcept nogil:
        """The kernel cuts what the vectors hold every `size` bytes."""
        cdef cmsghdr* control
        header.msg_control = self.controls + message * CONTROL_SIZE
        header.msg_controllen = CMSG_SPACE(sizeof(uint16_t))
        control = CMSG_FIRSTHDR(header)
        control.cmsg_level = SOL_UDP
        control.cmsg_type = UDP_SEGMENT
        control.cmsg_len = CMSG_LEN(sizeof(uint16_t))
        memcpy(CMSG_DATA(control), &size, sizeof(uint16_t))

    cdef void _send_apart(self, int fd, msghdr* header) noexcept nogil:
        """The kernel refused a segmented message: its datagrams go one by one, and so do later ones."""
        cdef mmsghdr single
        cdef uint32_t index
        self.count.segmentation_refused += 1
        # EMSGSIZE is about these datagrams alone; anything else is about the kernel or the route.
        if errno != EMSGSIZE:
            self.segments = False
        single.msg_hdr = header[0]
        single.msg_hdr.msg_control = NULL
        single.msg_hdr.msg_controllen = 0
        single.msg_hdr.msg_iovlen = 1
        for index in range(header.msg_iovlen):
            single.msg_hdr.msg_iov = &header.msg_iov[index]
            self.count.send_calls += 1
            if sendmmsg(fd, &single, 1, MSG_DONTWAIT) == 1:
                self.count.sent += 1
                self.count.sent_bytes += single.msg_len
            elif errno == EAGAIN:
                self.count.would_block += 1
            else:
                self._count_refusal()

    cdef void _count_sent(self, uint32_t first, uint32_t last) noexcept nogil:
        cdef uint32_t index
        cdef size_t datagrams
        for index in range(first, last):
            datagrams = self.messages[index].msg_hdr.msg_iovlen
            self.count.sent += datagrams
            self.count.sent_bytes += self.messages[index].msg_len
            if datagrams > 1:
                self.count.segmented += datagrams

    cdef void _count_refusal(self) noexcept nogil:
        if errno == ENETUNREACH or errno == EHOSTUNREACH or errno == EPERM:
            self.count.unreachable += 1
        elif errno == ECONNREFUSED:
            self.count.refused += 1
        elif errno == EMSGSIZE:
            self.count.too_big += 1
        else:
            self.count.other += 1


cdef double waited_s(msghdr* header) noexcept:
    """How long the kernel held this message; 0 where it does not stamp, or its clock was set."""
    cdef uint32_t overflow
    cdef int64_t arrival_ns = read_controls(<control_msghdr*>header, &overflow)
    cdef int64_t waited_ns = realtime_ns() - arrival_ns
    return waited_ns / 1e9 if arrival_ns != 0 and 0 <= waited_ns <= WAITED_NS_MAX else 0.0
