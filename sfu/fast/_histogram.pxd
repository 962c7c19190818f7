# Counts of times by size: fine enough for percentiles, the same few cache lines at any load.

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    # A time is counted in 32nds of 1 us and put by its leading one and the five bits below: 32
    # buckets for each doubling, so that none is wider than 1/32 of its lower edge.
    SUB_BITS = 5
    SUB_BUCKETS = 32
    LAST_BUCKET = 744               # the bucket after the one that holds 10 s: what is longer
    BUCKETS = 745

cdef struct Histogram:
    uint64_t counts[BUCKETS]

cdef extern from * nogil:
    """
    #define swarm_leading_one(value) (31 - __builtin_clz(value))
    """
    int swarm_leading_one(uint32_t value)

cdef inline int bucket_of(int64_t time_ns) noexcept nogil:
    """Where `time_ns` is counted: 0 below 1 us, LAST_BUCKET beyond 10 s."""
    cdef uint32_t units
    cdef int octave
    if time_ns < 1000:
        return 0
    # 4 / 125 = 32 / 1000; the limit also keeps the product small.
    if time_ns >= 11_000_000_000LL:
        return LAST_BUCKET
    units = <uint32_t>(time_ns * 4 // 125)
    octave = swarm_leading_one(units) - SUB_BITS
    return min(1 + octave * SUB_BUCKETS + <int>(units >> octave) - SUB_BUCKETS, <int>LAST_BUCKET)

cdef inline double lower_edge_us(int bucket) noexcept:
    """The smallest time that is counted in `bucket`."""
    cdef int octave = (bucket - 1) // SUB_BUCKETS
    cdef int64_t step = SUB_BUCKETS + (bucket - 1) % SUB_BUCKETS
    return <double>(step << octave) / SUB_BUCKETS if bucket > 0 else 0.0

cdef inline void note(Histogram* histogram, int64_t time_ns) noexcept nogil:
    histogram.counts[bucket_of(time_ns)] += 1
