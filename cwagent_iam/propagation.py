"""Propagation: how long a call waits, how many requests it sends at a time, and its clock."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import attrs

from cwagent_iam.arguments import reject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _check_in_flight(_: object, __: object, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not value >= 1:
        reject("max_in_flight", value, "must be a whole number of requests, 1 or more")


def _check_timeout(_: object, __: object, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0:
        reject("timeout", value, "must be a number of seconds, 0 or more")


# Looked up at each use, so that `laggy_iam` can replace the clock of calls that got none.
def _clock() -> float:
    return time.monotonic()


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _now() -> float:
    return time.time()


@attrs.frozen(kw_only=True)
class Propagation:
    """The settings for waiting, retries and concurrency. All times are in seconds.

    Attributes:
        timeout: The longest waiting for propagation since the last write, and the longest time of
            one batch of requests with its retries. 0 or more; a request that is under way is not
            cut off. Usual delays are 2 to 12 seconds; AWS promises no bound. Default: 60.
        clock: Returns the time in seconds since any moment. Default: ``time.monotonic``.
        sleep: Waits for a number of seconds. Default: ``time.sleep``.
        random: Returns a number from 0 to 1, for the jitter of pauses. Default: ``random.random``.
        now: Returns the seconds since 1970, for the ages of access keys. Default: ``time.time``.
        max_in_flight: The largest number of requests in flight; 1 sends them strictly one after
            another. 1 or more. Default: 8.
        side_by_side: Runs its first argument, a sequence of calls, at the same time, at most its
            second argument of them, and returns when all have ended. For simulators. Default:
            runs threads.

    Raises:
        IntentError: If *timeout* or *max_in_flight* is out of range.
    """

    timeout: float = attrs.field(default=60.0, validator=_check_timeout)
    clock: Callable[[], float] = _clock
    sleep: Callable[[float], None] = _sleep
    random: Callable[[], float] = random.random
    now: Callable[[], float] = _now
    max_in_flight: int = attrs.field(default=8, validator=_check_in_flight)
    side_by_side: Callable[[Sequence[Callable[[], object]], int], None] | None = None
