"""How long to wait, and how long between two attempts."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import attrs

from cwagent_iam.errors import IntentError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable


def _check_timeout(_: object, __: object, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0:
        rule = "must be a number of seconds, 0 or more"
        raise IntentError(problems=(Problem.of("timeout", value, rule),))


# Looked up at each use, so that a lagging IAM can give its own time to whoever has none.
def _clock() -> float:
    return time.monotonic()


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _now() -> float:
    return time.time()


@attrs.frozen(kw_only=True)
class Propagation:
    """How to wait for IAM to show what was written. All times are in seconds.

    Attributes:
        timeout: How long after its start a call may still begin to wait; its last wait ends
            before that. A request under way is not cut off. Usual delays are 2 to 12 seconds; AWS
            promises no bound.
        clock: Tells the time; any zero will do.
        sleep: Waits.
        random: Returns a number from 0 to 1, to spread the waits of many callers.
        now: Tells the time of day, in seconds since 1970, for the ages of access keys.

    Raises:
        IntentError: When *timeout* is no number of seconds.
    """

    timeout: float = attrs.field(default=60.0, validator=_check_timeout)
    clock: Callable[[], float] = _clock
    sleep: Callable[[float], None] = _sleep
    random: Callable[[], float] = random.random
    now: Callable[[], float] = _now


@attrs.frozen
class Pace:
    """How the pauses between attempts grow: doubling, up to a bound, spread by chance.

    Attributes:
        first: The first pause, before chance, in seconds.
        most: The bound, in seconds.
        least: What chance leaves of a pause, as a part of it; at most it adds as much as it
            leaves out.
    """

    first: float
    most: float
    least: float = 0.5

    def seconds(self, attempt: int, chance: float) -> float:
        """Return the pause after the *attempt*, counted from 1; *chance* is from 0 to 1."""
        step = min(self.first * 2.0 ** min(attempt - 1, 10), self.most)
        return step * (self.least + chance * 2 * (1 - self.least))


GOOD_LOOKS = 3
"""How many looks in a row must be right after something was not; IAM's hosts know different things,
and each request may go to another."""

DENSE = Pace(0.25, 2.0)
"""For what is not visible yet: delays are short, and long pauses waste most of them."""

RIVALS = Pace(0.5, 4.0, least=0.1)
"""For what somebody else is busy with: most of a pause is chance, so that rivals part."""

FAILURE = Pace(0.25, 8.0, least=0.1)
"""For an AWS or a line that fails: often it is one request alone that does."""

THROTTLE = Pace(1.0, 10.0, least=0.1)
"""For an account that asks too much, of which many callers come back; at most 19 seconds."""

SLOW = Pace(4.0, 12.0)
"""For what AWS says takes minutes."""
