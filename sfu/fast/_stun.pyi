"""Connectivity checks, compiled."""

def answer_check(
    data: bytes, address: bytes, username: bytes, key: bytes
) -> tuple[bytes, bool] | None:
    """The answer to an authentic binding request, and whether the request nominates its path.

    `address` is where it came from (18 bytes), `username` what it has to carry, `key` the password
    that signs both. None for whatever is not a plain, well-formed, authentic request: it says
    nothing of the reason. ValueError for an address of another length.
    """
