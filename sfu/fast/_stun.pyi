"""Connectivity checks, compiled."""

class PathChecks:
    """Answers the checks of one participant's path in use, up to a rate.

    `username` is what a check has to carry, `key` the password that signs it and the answer: at
    most 64 bytes, else ValueError. The rate is a token bucket, full at `now`. Addresses have 18
    bytes, else ValueError.
    """

    def __init__(
        self, username: bytes, key: bytes, rate_per_s: float, burst: float, now: float
    ) -> None: ...
    def follow(self, address: bytes | None) -> None:
        """The path in use, None for none."""

    def take(self, now: float) -> bool:
        """Use a token for a check that is read elsewhere; False when there is none."""

    def answer(self, data: bytes, address: bytes, now: float) -> tuple[bytes, bool] | None:
        """The answer to an authentic binding request on the path in use, and whether the request
        nominates it; takes a token.

        None, without taking one, for whatever comes from elsewhere, faster than the rate, or is
        not a plain, well-formed, authentic request: it says nothing of the reason.
        """
