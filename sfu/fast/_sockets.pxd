# The system calls of `Swarm`: which sockets are readable, many datagrams of one in a call, when they came.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <stdint.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef SO_RXQ_OVFL
    #define SO_RXQ_OVFL 40
    #endif
    """
    enum: SOL_SOCKET
    enum: SO_TIMESTAMPNS
    enum: SCM_TIMESTAMPNS
    enum: SO_RXQ_OVFL
    enum: MSG_DONTWAIT
    enum: MSG_NOSIGNAL
    enum: MSG_TRUNC
    enum: EPOLL_CLOEXEC
    enum: EPOLL_CTL_ADD
    enum: EPOLL_CTL_DEL
    const uint32_t EPOLLIN
    const uint32_t EPOLLET
    enum: CLOCK_MONOTONIC
    enum: CLOCK_REALTIME
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    struct timespec:
        int64_t tv_sec
        int64_t tv_nsec
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    cmsghdr* CMSG_FIRSTHDR(msghdr* message)
    cmsghdr* CMSG_NXTHDR(msghdr* message, cmsghdr* control)
    unsigned char* CMSG_DATA(cmsghdr* control)
    int setsockopt(int fd, int level, int option, const void* value, uint32_t size)
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, timespec* timeout)
    ssize_t send(int fd, const void* data, size_t size, int flags)
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int count, int timeout)
    int close(int fd)
    int clock_gettime(int clock, timespec* now)

cdef enum:
    CONTROL_SIZE = 96               # a timestamp (32 bytes) and a drop count (24) with room to spare

cdef inline int64_t realtime_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec

cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec

cdef inline int stamp(int fd) noexcept nogil:
    """Let the kernel stamp and count what comes to `fd`; -1: errno says why not."""
    cdef int on = 1
    if setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0:
        return -1
    return setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on))

cdef inline int watch(int epoll, int fd, uint64_t tag) noexcept nogil:
    """Tell with `tag` when something comes to `fd`; -1: errno says why not."""
    cdef epoll_event event
    # Edge-triggered: else the kernel asks each socket that was emptied once more, a tenth of the cost.
    event.events = EPOLLIN | EPOLLET
    event.data.u64 = tag
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)

cdef inline void unwatch(int epoll, int fd) noexcept nogil:
    """A socket that was closed already is forgotten by the kernel itself."""
    cdef epoll_event event
    event.events = 0
    event.data.u64 = 0
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event)

cdef inline int64_t read_controls(msghdr* message, uint32_t* overflow) noexcept nogil:
    """When the kernel got this message, 0 if it does not say; `overflow` is set if it tells one."""
    cdef cmsghdr* control = CMSG_FIRSTHDR(message)
    cdef timespec stamp
    cdef int64_t arrival_ns = 0
    while control != NULL:
        if control.cmsg_level == SOL_SOCKET:
            if control.cmsg_type == SCM_TIMESTAMPNS:
                memcpy(&stamp, CMSG_DATA(control), sizeof(stamp))
                arrival_ns = stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec
            elif control.cmsg_type == SO_RXQ_OVFL:
                memcpy(overflow, CMSG_DATA(control), 4)
        control = CMSG_NXTHDR(message, control)
    return arrival_ns
