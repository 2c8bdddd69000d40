"""Propagation: how long a call waits, how many requests it sends at a time, and its clock."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.arguments import refuse
from cwagent_iam.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


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
        IntentError: If a number is out of range, or a function is not callable. It lists all
            problems.
    """

    timeout: float = 60.0
    clock: Callable[[], float] = _clock
    sleep: Callable[[float], None] = _sleep
    random: Callable[[], float] = random.random
    now: Callable[[], float] = _now
    max_in_flight: int = 8
    side_by_side: Callable[[Sequence[Callable[[], object]], int], None] | None = None

    def __attrs_post_init__(self) -> None:
        """Check the settings."""
        refuse(_problems(self))


def _problems(settings: Any) -> Iterator[Problem]:
    seconds, most = settings.timeout, settings.max_in_flight
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds >= 0:
        yield Problem.of("timeout", seconds, "must be a number of seconds, 0 or more")
    if not isinstance(most, int) or isinstance(most, bool) or not most >= 1:
        yield Problem.of("max_in_flight", most, "must be a whole number of requests, 1 or more")
    for name in ("clock", "sleep", "random", "now", "side_by_side"):
        value = getattr(settings, name)
        if not callable(value) and (name, value) != ("side_by_side", None):
            yield Problem.of(name, value, "must be a function, as Propagation documents it")
