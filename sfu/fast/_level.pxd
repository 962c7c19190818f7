# How loud a source is (README: Levels). Pure arithmetic on a source's row.

from libc.math cimport INFINITY, floor, pow
from libc.stdint cimport uint8_t, uint32_t

from sfu.fast._rows cimport Source
from sfu.fast._rtp cimport TICKS_20_MS

cdef extern from * nogil:
    """
    #define SILENCE_DB (-127.0)
    #define ATTACK 0.5
    #define RELEASE 0.1
    #define GRACE_S 0.060
    #define FLOOR_WINDOW_S 5.0
    #define FLOOR_DB_MAX (-45.0)
    #define ABOVE_FLOOR_DB 6.0
    #define WINDOW_UNSEEN_DB 1.0
    #define DECODED_AGE_S 1.0
    """
    const double SILENCE_DB
    const double ATTACK             # of the difference, per 20 ms: two frames to follow a voice
    const double RELEASE            # a time constant of 0.2 s: longer than the pause between syllables
    const double GRACE_S            # the longest common frame: no packet within it is no silence
    const double FLOOR_WINDOW_S
    const double FLOOR_DB_MAX       # a louder steady sound is not noise
    const double ABOVE_FLOOR_DB
    const double DECODED_AGE_S      # whoever decodes tells of each tick: it has stopped, or has nothing to tell of
    const double WINDOW_UNSEEN_DB   # no level is positive: nothing seen in this window yet

cdef enum:
    DTX_SIZE_MAX = 10               # Opus speech frames are longer, comfort noise is not
    VOICED_LEVEL_MAX = 50           # -dBov
    ASSUMED_LEVEL = 30              # of a talker who sends no level: an ordinary voice
    NO_LEVEL = 127

cdef inline double decayed(double level_db, double age) noexcept nogil:
    """A smoothed level after `age` seconds without packets."""
    if age <= GRACE_S:
        return level_db
    return SILENCE_DB + (level_db - SILENCE_DB) * pow(
        1.0 - RELEASE, floor((age - GRACE_S) / 0.020 + 1e-9)
    )

cdef inline bint is_decoded(const Source* source, double now) noexcept nogil:
    """Whether a level that somebody measured counts, and not what packets claim."""
    return source.decoded_level >= 0 and now - source.decoded_at <= DECODED_AGE_S

cdef inline uint8_t level_byte(
    const Source* source, int claimed, uint32_t length, double now
) noexcept nogil:
    """The voice bit and level that count for a packet with a payload of `length` bytes; `claimed` -1: none."""
    cdef uint8_t voice_bit = <uint8_t>(claimed & 0x80) if claimed >= 0 else 0
    if is_decoded(source, now):
        return voice_bit | (NO_LEVEL if length <= DTX_SIZE_MAX else <uint8_t>source.decoded_level)
    if claimed >= 0:
        return <uint8_t>claimed
    return NO_LEVEL if length <= DTX_SIZE_MAX else ASSUMED_LEVEL

cdef inline void silence(Source* source) noexcept nogil:
    """Forget what was heard of this source, but not its noise."""
    source.smoothed_db = SILENCE_DB
    source.instant = NO_LEVEL
    source.is_voiced = False
    source.is_pausing = False
    source.voiced_at = -INFINITY
    source.packet_at = -INFINITY

cdef inline void track_floor(Source* source, int level, double now) noexcept nogil:
    """The lowest level of the last one to two windows is the noise a voice has to rise above."""
    cdef double level_db = -<double>level
    if source.window_at == -INFINITY:
        source.window_at = now
    if now - source.window_at >= FLOOR_WINDOW_S:
        if source.window_lowest_db != WINDOW_UNSEEN_DB:
            source.floor_db = source.window_lowest_db
        source.window_lowest_db = WINDOW_UNSEEN_DB
        source.window_at = now
    if level == NO_LEVEL:
        return
    source.floor_db = min(source.floor_db, level_db)
    if source.window_lowest_db == WINDOW_UNSEEN_DB or level_db < source.window_lowest_db:
        source.window_lowest_db = level_db

cdef inline void hear(Source* source, int level, uint32_t ticks, double now) noexcept nogil:
    """One packet of `ticks` duration claims `level` (-dBov)."""
    cdef double level_db = -<double>level
    cdef int steps = max(1, <int>(ticks // TICKS_20_MS))
    cdef double coefficient
    track_floor(source, level, now)
    source.smoothed_db = decayed(source.smoothed_db, now - source.packet_at)
    coefficient = ATTACK if level_db > source.smoothed_db else RELEASE
    while steps > 0:
        source.smoothed_db += coefficient * (level_db - source.smoothed_db)
        steps -= 1
    source.instant = <uint8_t>level
    source.frame_ticks = ticks
    source.packet_at = now
    source.is_voiced = (
        level <= VOICED_LEVEL_MAX and level_db >= min(source.floor_db, FLOOR_DB_MAX) + ABOVE_FLOOR_DB
    )
    if source.is_voiced:
        source.voiced_at = now
