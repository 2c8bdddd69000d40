"""What is written but not yet visible: one table of rules, and the waiting.

IAM is eventually consistent: what one host has stored, another may deny for seconds. The codes
that say so are the very codes of honest mistakes, so what counts is what this run did: a miss
about something that it made is a matter of time, any other miss is final.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs
import tenacity

from cwagent_iam.aws import code_of, reason_of
from cwagent_iam.changes import ChangeSet
from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.state import InstanceProfile, Role, User

if TYPE_CHECKING:
    from collections.abc import Callable

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
        timeout: How long after its start a call may still begin to wait; its last wait ends
            before that. Usual delays are 2 to 12 seconds; AWS promises no bound.
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
        known: The kind and name of everything that it made, or was told to exist already. A
            request that does not find one of these has come too early.
        seen: The kind and name of everything that it observed, and that may be gone by now.
        pauses: How often it has waited for another look; each wait is longer, up to 5 seconds.
    """

    propagation: Propagation
    started: float
    applied: list[Change] = attrs.field(factory=list)
    known: set[str] = attrs.field(factory=set)
    seen: set[str] = attrs.field(factory=set)
    pauses: int = 0

    @classmethod
    def start(cls, propagation: Propagation | None) -> Run:
        """Begin now."""
        propagation = propagation or Propagation()
        return cls(propagation, propagation.clock())

    @property
    def seconds(self) -> float:
        """How long it has been going on, in seconds."""
        return self.propagation.clock() - self.started

    def new_in(self, changes: ChangeSet) -> ChangeSet:
        """Leave out of *changes* what this run has applied, and what is thus only not visible."""
        new = tuple(change for change in changes if change not in self.applied)
        return ChangeSet(new, changes.observed)

    def pause(self) -> bool:
        """Wait a little before another look; `False`, without waiting, when the time is up."""
        seconds = min(0.5 * 2.0 ** min(self.pauses, 4), 5.0) * (0.5 + self.propagation.random())
        self.pauses += 1
        if self.seconds + seconds > self.propagation.timeout:
            return False
        self.propagation.sleep(seconds)
        return True

    def retrying(self, retry: tenacity.retry_base, reason: Callable[[], str]) -> tenacity.Retrying:
        """Return what tries again as *retry* says, until the time is up; *reason* is logged."""

        def log(state: tenacity.RetryCallState) -> None:
            _log.info("waiting %.1f s: %s", state.upcoming_sleep, reason())

        def stop(state: tenacity.RetryCallState) -> bool:
            return self.seconds + state.upcoming_sleep > self.propagation.timeout

        return tenacity.Retrying(
            retry=retry,
            wait=self._wait,
            stop=stop,
            sleep=self.propagation.sleep,
            before_sleep=log,
            reraise=True,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Wait densely, then flat: delays are short, and long pauses waste most of them."""
        step = min(0.25 * 2.0 ** min(state.attempt_number - 1, 3), 2.0)
        return step * (0.5 + self.propagation.random())


@attrs.frozen
class Rule:
    """What an AWS error means for a change.

    Attributes:
        operation: The beginning of the names of the operations that it is for.
        code: AWS's code.
        fragment: A part of AWS's words, in lower case, where the code is not enough.
        applies: Whether it holds for a change, given what this run knows.
        outcome: What to do.
        reason: Why.
    """

    operation: str
    code: str
    fragment: str
    applies: Callable[[Change, Run], bool]
    outcome: Outcome
    reason: str


def _always(_change: Change, _run: Run) -> bool:
    return True


def _needs_one_of(targets: set[str], kind: type[Entity], change: Change) -> bool:
    return any(need in targets for need in change.needs if need.startswith(f"{kind.kind} "))


def _knows(kind: type[Entity]) -> Callable[[Change, Run], bool]:
    """Hold if this run knows that the *kind* of thing that the change needs is there."""
    return lambda change, run: _needs_one_of(run.known, kind, change)


def _saw(kind: type[Entity]) -> Callable[[Change, Run], bool]:
    """Hold if this run saw the *kind* of thing that the change needs; it may be gone, or new."""
    return lambda change, run: _needs_one_of(run.seen, kind, change)


_MISS = "NoSuchEntity"

RULES = (
    Rule("Detach", _MISS, "", _always, "done", "it is detached already"),
    Rule("Remove", _MISS, "", _always, "done", "it is out already"),
    Rule("Delete", _MISS, "", _always, "done", "it is gone already"),
    Rule("", _MISS, "role with name", _knows(Role), "wait", "the role is too new"),
    Rule("", _MISS, "user with name", _knows(User), "wait", "the user is too new"),
    Rule("", _MISS, "instance profile", _knows(InstanceProfile), "wait", "the profile is too new"),
    Rule("", _MISS, "role with name", _saw(Role), "look again", "the role was there"),
    Rule("", _MISS, "user with name", _saw(User), "look again", "the user was there"),
    Rule("", _MISS, "instance profile", _saw(InstanceProfile), "look again", "it was there"),
    Rule("", "ConcurrentModification", "", _always, "wait", "somebody else writes to it"),
    Rule("Create", "EntityAlreadyExists", "", _always, "look again", "it is there already"),
    Rule("AddRole", "EntityAlreadyExists", "", _always, "look again", "a role is in already"),
    Rule("AddRole", "LimitExceeded", "", _always, "look again", "a role is in already"),
    Rule("Delete", "DeleteConflict", "", _always, "look again", "something hangs on it"),
)
"""The first rule that fits decides; what fits none is final."""

FINAL = Rule("", "", "", _always, "final", "no time will change it")


def rule_for(error: BaseException, change: Change, run: Run) -> Rule:
    """Find what *error* means for *change* in *run*."""
    words = reason_of(error).lower()
    fitting = (
        rule
        for rule in RULES
        if change.operation.startswith(rule.operation)
        and rule.code == code_of(error)
        and rule.fragment in words
        and rule.applies(change, run)
    )
    return next(fitting, FINAL)
