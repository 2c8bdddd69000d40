"""What can go wrong with a request: the rules."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from cwagent_iam.testing.lagging.replies import EMPTY, HTML, refusal, throttled
from cwagent_iam.testing.lagging.wire import ANYBODY, Crash

if TYPE_CHECKING:
    from random import Random

    from cwagent_iam.testing.lagging.replies import Reply
    from cwagent_iam.testing.lagging.wire import Sent

Outcome: TypeAlias = Literal[
    "Throttling",
    "ServiceFailure",
    "ConcurrentModification",
    "EntityTemporarilyUnmodifiable",
    "empty 500",
    "HTML 503",
    "connection refused",
    "connection closed",
    "read timeout",
    "crash",
]
"""What the client gets instead of a reply; a crash ends the program that sent the request."""

_REFUSALS = {
    "ServiceFailure": (500, "Internal failure; try again."),
    "ConcurrentModification": (409, ""),
    "EntityTemporarilyUnmodifiable": (409, "It cannot be modified for now; wait some minutes."),
}
_TRANSPORT = {
    "connection refused": EndpointConnectionError,
    "connection closed": ConnectionClosedError,
    "read timeout": ReadTimeoutError,
}


@attrs.frozen
class Fault:
    """A rule: which requests go wrong, and how.

    Attributes:
        outcome: What the client gets; throttling in the words of the service that is asked. A read
            timeout comes when the client's patience is at an end, the others come at once.
        operation: Which operations, with the wildcards of file names, as in ``Create*``.
        client: The name of whose requests, with wildcards too.
        when: ``"before"`` AWS does the work, or ``"after"``, which loses the reply.
        nth: The one of these requests that goes wrong, from 1; each one if `None`.
        probability: How probable it is that it goes wrong then.
        writes_only: Leave reads alone.
        once_each: Leave a request alone if one that says the same went wrong before.
    """

    outcome: Outcome
    operation: str = "*"
    client: str = "*"
    when: Literal["before", "after"] = attrs.field(default="before", kw_only=True)
    nth: int | None = attrs.field(default=None, kw_only=True)
    probability: float = attrs.field(default=1.0, kw_only=True)
    writes_only: bool = attrs.field(default=False, kw_only=True)
    once_each: bool = attrs.field(default=False, kw_only=True)

    def fits(self, sent: Sent) -> bool:
        """Say whether it is a rule for *sent*."""
        return (
            fnmatchcase(sent.operation, self.operation)
            and fnmatchcase(sent.client, self.client)
            and not (self.writes_only and sent.reads)
        )

    def __str__(self) -> str:
        """What happened, and whether AWS had done the work."""
        return self.outcome if self.when == "before" else f"done, but {self.outcome}"


@attrs.define
class _Rule:
    fault: Fault
    asked: int = 0
    struck: set[str] = attrs.field(factory=set)

    def is_due(self, sent: Sent, random: Random) -> bool:
        """Count *sent*, and say whether it goes wrong by this rule."""
        fault = self.fault
        if not fault.fits(sent):
            return False
        self.asked += 1
        if fault.nth not in {None, self.asked} or (fault.once_each and sent.body in self.struck):
            return False
        return fault.probability >= 1 or random.random() < fault.probability


@attrs.define
class Faults:
    """The rules in force: first those of the script, then those of the profile."""

    _random: Random
    _scripted: list[_Rule] = attrs.field(factory=list)
    _usual: list[_Rule] = attrs.field(factory=list)
    _dead: set[str] = attrs.field(factory=set)

    @classmethod
    def of(cls, usual: tuple[Fault, ...], random: Random) -> Faults:
        """Put the rules of a profile in force."""
        return cls(random, usual=[_Rule(fault) for fault in usual])

    def add(self, fault: Fault) -> None:
        """Put a rule of a script in force; it counts requests from now on."""
        self._scripted.append(_Rule(fault))

    def strike(self, sent: Sent) -> Fault | None:
        """Return the first rule that *sent* falls to, if any; every rule counts every request.

        A client with a name of its own that was killed sends nothing any more, not even from a
        ``finally`` of the program.

        Raises:
            Crash: When the client was killed before.
        """
        if sent.client in self._dead:
            msg = f"{sent.client} was killed before request {sent.number}, {sent.operation}"
            raise Crash(msg)
        rules = [*self._scripted, *self._usual]
        due = [rule for rule in rules if rule.is_due(sent, self._random)]
        if not due:
            return None
        due[0].struck.add(sent.body)
        if due[0].fault.outcome == "crash" and sent.client != ANYBODY:
            self._dead.add(sent.client)
        return due[0].fault


def answer(fault: Fault, sent: Sent) -> Reply:
    """Return what the client gets instead of a reply, or raise it.

    Raises:
        Crash: When that is the outcome.
        BotoCoreError: When the outcome is one of the network.
    """
    if fault.outcome == "crash":
        msg = f"killed {fault.when} request {sent.number}, {sent.operation}"
        raise Crash(msg)
    if fault.outcome in _TRANSPORT:
        raise _TRANSPORT[fault.outcome](endpoint_url=sent.url, error="no reply")
    if fault.outcome == "Throttling":
        return throttled(sent.service)
    if fault.outcome in _REFUSALS:
        status, words = _REFUSALS[fault.outcome]
        return refusal(sent.service, fault.outcome, words, status)
    return EMPTY if fault.outcome == "empty 500" else HTML


@attrs.define
class TokenBucket:
    """How many requests of a kind the account may send.

    Attributes:
        rate: How many more a second.
        burst: How many at once, after a rest.
    """

    rate: float
    burst: float
    _tokens: float = attrs.field(default=0.0, init=False)
    _filled: float = attrs.field(default=float("-inf"), init=False)

    def take(self, now: float) -> bool:
        """Take a token, and return whether there was one. The bucket is full at first.

        Requests of a batch overlap, so *now* may be earlier than in the call before.
        """
        passed = max(now - self._filled, 0.0)
        self._tokens = min(self.burst, self._tokens + passed * self.rate)
        self._filled = max(now, self._filled)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
