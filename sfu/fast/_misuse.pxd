# What a caller may not ask for: told at once, before anything is changed.

from libc.stdint cimport int32_t, uint8_t

cdef inline int check_payload_types(uint8_t payload_type, uint8_t red_payload_type) except -1:
    if payload_type > 127 or red_payload_type > 127:
        raise ValueError(f"a payload type has 7 bits: {payload_type}, {red_payload_type}")
    if red_payload_type == payload_type:
        raise ValueError(f"Opus and RED have payload types of their own: {payload_type}")
    return 0

cdef inline int check_echo_group(int32_t echo_group) except -1:
    if echo_group < 0:
        raise ValueError(f"an echo group is not negative: {echo_group}")
    return 0
