"""Trying again, for as long as there is time and it may help."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import grpc

from examples.serving._clients._serving_error import ServingError

T = TypeVar("T")

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0


class Attempts:
    """A number of attempts within a time, which start to count at once.

    urllib3's `Retry` and gRPC's retry policy do not know of a time for all
    attempts together, and the latter makes five of them at most.

    Args:
        seconds: How long all attempts may take together.
        retries: How many there may be after the first of each call.
    """

    def __init__(self, seconds: float, retries: int) -> None:
        self._end = time.monotonic() + seconds
        self._retries = retries

    def call(self, attempt: Callable[[float], T]) -> T:
        """Returns what an attempt returns, the first that succeeds.

        Waits twice as long after each that fails because the server is away,
        but for chance, so that not all clients come back at once.

        Args:
            attempt: Takes the seconds that are left.

        Raises:
            ServingError: That of the last attempt, if it failed for another
                reason, or there is no time or retry left.
        """
        longest = _FIRST_WAIT
        for retries_left in range(self._retries, -1, -1):
            try:
                return attempt(max(self._left(), 1e-3))
            except ServingError as problem:
                wait = longest * random.uniform(0.5, 1.0)
                can_pass = problem.code is grpc.StatusCode.UNAVAILABLE
                if not can_pass or not retries_left or wait >= self._left():
                    raise
            time.sleep(wait)
            longest = min(2 * longest, _LONGEST_WAIT)
        raise AssertionError("the last attempt returns or raises")

    def _left(self) -> float:
        return self._end - time.monotonic()
