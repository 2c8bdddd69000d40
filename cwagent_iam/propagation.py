"""What is written but not yet visible: one table of rules, and the waiting.

IAM is eventually consistent: what one host has stored, another may deny for seconds. The codes
that say so are the very codes of honest mistakes, so what counts is what this run did: a miss
about something that it made is a matter of time, any other miss is final.
"""

from __future__ import annotations

import logging
import math
import random
import time
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs
import tenacity
from botocore.exceptions import ClientError

from cwagent_iam.aws import code_of, reason_of
from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.state import InstanceProfile, Role, User

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cwagent_iam.changes import Change
    from cwagent_iam.state import Entity

_log = logging.getLogger("cwagent_iam")

Outcome: TypeAlias = Literal["wait", "done", "look again", "final"]
"""Try the change again, take it as done, observe and diff again, or give up."""


def _check_timeout(_: object, __: object, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0:
        rule = "must be a number of seconds, 0 or more"
        raise IntentError(problems=(Problem.of("timeout", value, rule),))


@attrs.frozen(kw_only=True)
class Propagation:
    """How to wait for IAM to show what was written. All times are in seconds.

    Attributes:
        timeout: The longest that one call may spend on waiting, all waits together. Usual delays
            are 2 to 12 seconds; AWS promises no bound.
        clock: Tells the time; any zero will do.
        sleep: Waits.
        random: Returns a number from 0 to 1, to spread the waits of many callers.

    Raises:
        IntentError: When *timeout* is no number of seconds.
    """

    timeout: float = attrs.field(default=60.0, validator=_check_timeout)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random


@attrs.define
class Run:
    """What one call has done so far, and how long it may still wait.

    Attributes:
        propagation: How to wait.
        started: When it began, by the clock of *propagation*.
        applied: The changes made, in order.
    """

    propagation: Propagation
    started: float
    applied: list[Change] = attrs.field(factory=list)

    @classmethod
    def start(cls, propagation: Propagation | None) -> Run:
        """Begin now."""
        propagation = propagation or Propagation()
        return cls(propagation, propagation.clock())

    @property
    def seconds(self) -> float:
        """How long it has been going on, in seconds."""
        return self.propagation.clock() - self.started

    def retrying(
        self, retry: tenacity.retry_base, *, attempts: float = math.inf
    ) -> tenacity.Retrying:
        """Return what tries again as *retry* says, until the time or the attempts are used up."""

        def stop(state: tenacity.RetryCallState) -> bool:
            late = self.seconds + state.upcoming_sleep > self.propagation.timeout
            return late or state.attempt_number >= attempts

        return tenacity.Retrying(
            retry=retry,
            wait=self._wait,
            stop=stop,
            sleep=self.propagation.sleep,
            before_sleep=self._log_wait,
            reraise=True,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Wait densely, then flat: delays are short, and long pauses waste most of them."""
        step = min(0.25 * 2.0 ** min(state.attempt_number - 1, 3), 2.0)
        return step * (0.5 + self.propagation.random())

    def _log_wait(self, state: tenacity.RetryCallState) -> None:
        _log.info("waiting %.1f s; %.1f s so far", state.upcoming_sleep, self.seconds)


@attrs.frozen
class Rule:
    """What an AWS error means for a change.

    Attributes:
        operation: The beginning of the names of the operations that it is for.
        code: AWS's code.
        fragment: A part of AWS's words, in lower case, where the code is not enough.
        applies: Whether it holds for a change, given what this run has applied.
        outcome: What to do.
        reason: Why.
    """

    operation: str
    code: str
    fragment: str
    applies: Callable[[Change, Sequence[Change]], bool]
    outcome: Outcome
    reason: str


def _always(_change: Change, _applied: Sequence[Change]) -> bool:
    return True


def _made(kind: type[Entity]) -> Callable[[Change, Sequence[Change]], bool]:
    """Hold if this run made the *kind* of thing that the change needs."""

    def applies(change: Change, applied: Sequence[Change]) -> bool:
        made = {each.target for each in applied if each.creates and each.kind is kind}
        return not made.isdisjoint(change.needs)

    return applies


def _freed(change: Change, applied: Sequence[Change]) -> bool:
    """Hold if this run took something away from what the change deletes."""
    return any(each.symbol == "-" and change.target in each.needs for each in applied)


RULES = (
    Rule("", "NoSuchEntity", "role with name", _made(Role), "wait", "a new role is unknown yet"),
    Rule("", "NoSuchEntity", "user with name", _made(User), "wait", "a new user is unknown yet"),
    Rule(
        "",
        "NoSuchEntity",
        "instance profile",
        _made(InstanceProfile),
        "wait",
        "a new instance profile is unknown yet",
    ),
    Rule("", "ConcurrentModification", "", _always, "wait", "somebody else writes to it"),
    Rule("Delete", "DeleteConflict", "", _freed, "wait", "what was taken away still shows"),
    Rule("Detach", "NoSuchEntity", "", _always, "done", "it is detached already"),
    Rule("Remove", "NoSuchEntity", "", _always, "done", "it is out already"),
    Rule("Delete", "NoSuchEntity", "", _always, "done", "it is gone already"),
    Rule("Create", "EntityAlreadyExists", "", _always, "look again", "somebody else was faster"),
    Rule("AddRole", "LimitExceeded", "", _always, "look again", "some role is in the profile"),
)
"""The first rule that fits decides; what fits none is final."""


def outcome_of(error: BaseException, change: Change, applied: Sequence[Change]) -> Outcome:
    """Say what *error* means for *change*, given what this run has *applied* before."""
    if not isinstance(error, ClientError):
        return "final"
    words = reason_of(error).lower()
    for rule in RULES:
        if (
            change.operation.startswith(rule.operation)
            and rule.code == code_of(error)
            and rule.fragment in words
            and rule.applies(change, applied)
        ):
            return rule.outcome
    return "final"
