"""What can go wrong, and what the caller can do about it.

.. code-block:: text

    CwAgentIamError
    ├── IntentError (also a ValueError)   the arguments break a rule of IAM; nothing was sent
    ├── ConflictError                     what exists stands in the way; it was left as it is
    │   └── KeyConflictError              ... it is access keys, or the one that the store holds
    ├── RequestError                      AWS refused a request, or gave no answer
    │   ├── ObserveError                  ... while reading
    │   └── ApplyError                    ... while applying: others may be done already
    ├── PropagationTimeoutError           AWS did not show in time what was applied, or its lists
    │                                     of access keys did not agree
    ├── StoreError                        a place for access keys cannot be read or written
    └── DeliveryError                     a key was made, or may have been, and does not serve

Every error carries its facts as attributes, and ``applied``: the changes that the failing call
had already made. Where AWS answered with an error, that error is the ``__cause__``. Calling again
after mending the cause goes on where the failing call stopped: there is nothing to undo first.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import attrs

from cwagent_iam.display import one_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_PROBLEMS = 50


class ChangeLike(Protocol):
    """What an error says of a change; the changes themselves are in `cwagent_iam.changes`."""

    @property
    def operation(self) -> str:
        """The IAM operation, as in AWS's documentation and in CloudTrail."""

    @property
    def target(self) -> str:
        """The kind and name of what it is done to, as in ``role CloudWatchAgentServerRole``."""

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed."""


class KeyLike(Protocol):
    """What an error says of an access key; see `cwagent_iam.SeenKey` for all of it."""

    @property
    def access_key_id(self) -> str:
        """Its id, which is no secret."""


Fate: TypeAlias = Literal["deleted", "exists", "in doubt"]
"""What became of an access key that could not be delivered."""


@attrs.frozen
class Problem:
    """One rule that an argument breaks.

    Attributes:
        argument: The name of the argument, with an index or a key where it has parts.
        value: The offending value as text, shortened to about 100 characters.
        rule: What the value must be.
    """

    argument: str
    value: str
    rule: str

    @classmethod
    def of(cls, argument: str, value: object, rule: str) -> Problem:
        """Describe *value*, of any type, given for *argument* against *rule*."""
        return cls(argument, shown(value), rule)

    def __str__(self) -> str:
        """One line: argument, value and rule."""
        return f"{self.argument}={self.value}: {self.rule}"


@attrs.frozen
class Difference:
    """One field that is not as desired.

    Attributes:
        field: The name of the field.
        desired: The value wanted, as text.
        observed: The value seen, as text.
    """

    field: str
    desired: str
    observed: str

    def __str__(self) -> str:
        """One line, from what is to what shall be."""
        return one_line(f"{self.field}: {self.observed} -> {self.desired}")


@attrs.frozen
class Conflict:
    """One thing that stands in the way.

    Attributes:
        target: Its kind and name, as in ``role CloudWatchAgentServerRole``.
        reason: Why it cannot be changed to what is desired, or taken away.
        differences: The fields that are not as desired; empty where the reason says it all.
        advice: What the caller can do about it, in one sentence.
    """

    target: str
    reason: str
    differences: tuple[Difference, ...]
    advice: str

    def __str__(self) -> str:
        """A line for the reason, one for each difference, and one for the advice."""
        rows = [f"    {difference}" for difference in self.differences]
        return "\n".join([f"{self.target} {self.reason}", *rows, self.advice])


@attrs.define(kw_only=True, eq=False, slots=False)
class CwAgentIamError(Exception):
    """Raised when anything fails in a way that this library foresees; the base of all its errors.

    Attributes:
        applied: The changes that the failing call had already made, in order.
    """

    applied: tuple[ChangeLike, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by keyword, because exceptions are otherwise rebuilt from positional arguments."""
        notes = {"__notes__": self.__notes__} if hasattr(self, "__notes__") else None
        facts = attrs.asdict(self, recurse=False)
        return functools.partial(type(self), **facts), (), notes

    def _already_applied(self) -> list[str]:
        return [f"Already applied: {_names(self.applied)}."] if self.applied else []


@attrs.define(kw_only=True, eq=False, slots=False)
class IntentError(CwAgentIamError, ValueError):
    """Raised when arguments break a rule of IAM, before any request is sent.

    Attributes:
        problems: Every rule that is broken, not just the first.
    """

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        """One line for each problem, of the first fifty."""
        lines = [str(problem) for problem in self.problems[:_MOST_PROBLEMS]]
        more = len(self.problems) - len(lines)
        return "\n".join([*lines, f"... and {more} more"] if more else lines)


@attrs.define(kw_only=True, eq=False, slots=False)
class ConflictError(CwAgentIamError):
    """Raised when something that exists stands in the way, and it is not ours to change.

    Attributes:
        conflicts: Everything that stands in the way.
    """

    conflicts: tuple[Conflict, ...]

    def __str__(self) -> str:
        """Each conflict in full, then what had been applied before."""
        return "\n".join([*map(str, self.conflicts), *self._already_applied()])


@attrs.define(kw_only=True, eq=False, slots=False)
class KeyConflictError(ConflictError):
    """Raised when access keys stand in the way; nothing is done to any of them.

    Attributes:
        keys: The keys, as `cwagent_iam.SeenKey`.
    """

    keys: tuple[KeyLike, ...]


@attrs.define(kw_only=True, eq=False, slots=False)
class StoreError(CwAgentIamError):
    """Raised when a place for access keys cannot be read, or not be written to.

    Attributes:
        store: The place.
        problem: What is wrong, and what to do about it; never what is in the place.
    """

    store: str
    problem: str

    def __str__(self) -> str:
        """The place and what is wrong, then what had been applied."""
        return " ".join([f"{self.store}: {self.problem}", *self._already_applied()])


@attrs.define(kw_only=True, eq=False, slots=False)
class DeliveryError(CwAgentIamError):
    """Raised when an access key was made, or may have been, and was not delivered, or not let in.

    Attributes:
        access_key_id: The key; `None` where the reply with its id was lost.
        fate: ``"deleted"``; ``"exists"``, unless a deletion was done although no reply said so; or
            ``"in doubt"``: it is not known what the store holds, or whose the suspects are, or why
            AWS does not let in the key that the store holds, and nothing was deleted.
        store: The place that it was meant for.
        reason: What went wrong; never with the secret.
        suspects: The keys that may be what a lost reply told of, as `cwagent_iam.SeenKey`.
    """

    access_key_id: str | None
    fate: Fate
    store: str
    reason: str
    suspects: tuple[KeyLike, ...] = ()

    def __str__(self) -> str:
        """What was not delivered and why, what became of it, and what to do."""
        key = f"access key {self.access_key_id}" if self.access_key_id else "an access key"
        failure = f"The delivery of {key} to {self.store} failed: {self.reason.rstrip('.')}."
        suspects = ", ".join(key.access_key_id for key in self.suspects)
        named = [f"It may be one of these: {suspects}."] if suspects else []
        return " ".join([failure, *named, _FATES[self.fate], *self._already_applied()])


@attrs.define(kw_only=True, eq=False, slots=False)
class RequestError(CwAgentIamError):
    """Raised when AWS refuses a request or gives no answer. AWS's own error is the ``__cause__``.

    Attributes:
        operation: The IAM operation that failed.
        target: The kind and name of what it was about.
        code: AWS's short error code, such as ``AccessDenied``; `None` where no answer came.
        reason: The words of AWS, or of the transport.
    """

    operation: str
    target: str
    code: str | None
    reason: str

    def __str__(self) -> str:
        """What failed and why, what had been applied, and what to do."""
        return " ".join([self._failure(), *self._already_applied(), self.advice])

    @property
    def advice(self) -> str:
        """What the caller can do about it, in one sentence."""
        advice = _ADVICE.get(self.code, "See AWS's words above, then call again.")
        service = "sts" if self.operation in _OF_STS else "iam"
        return advice.format(action=f"{service}:{self.operation}")

    def _failure(self, after: str = "") -> str:
        cause = ": ".join(filter(None, [self.code, self.reason]))
        return f"{self.operation} failed for {self.target}{after}: {cause.rstrip('.')}."


@attrs.define(kw_only=True, eq=False, slots=False)
class ObserveError(RequestError):
    """Raised when something cannot be read. Reading itself changes nothing.

    Attributes:
        attempts: How many times this library looked; botocore may repeat each request.
        seconds: How long that took, in seconds.
    """

    attempts: int = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        """What failed and why, what had been applied, and what to do."""
        after = f" after {self.attempts} looks in {self.seconds:.1f} s" if self.attempts > 1 else ""
        return " ".join([self._failure(after), *self._already_applied(), self.advice])


@attrs.define(kw_only=True, eq=False, slots=False)
class ApplyError(RequestError):
    """Raised when a change fails. What was done before it stays done.

    Attributes:
        remaining: The changes that were not made, in order; the one that failed is the first.
        overtaken: Whether somebody else was faster, so that a new diff may show it done.
        doubtful: Whether AWS may have made the failed change all the same: a reply was lost.
        attempts: How many times this library tried the change; botocore may repeat each try.
        seconds: How long that took, in seconds.
    """

    remaining: tuple[ChangeLike, ...]
    overtaken: bool = False
    doubtful: bool = False
    attempts: int = 1
    seconds: float = 0.0

    @property
    def advice(self) -> str:
        """What the caller can do about it, in one sentence."""
        if self.code == "AccessDenied":
            actions = " and ".join(sorted(self.remaining[0].permissions))
            return f"Allow the caller {actions}, then call again."
        if self.code == "LimitExceeded" and self.overtaken:
            return "Some role is in the profile already: look which one, then call again."
        if self.code == "LimitExceeded" and self.operation == "CreateAccessKey":
            return "A user can have two access keys: delete one that is not used, then call again."
        if self.code == "NoSuchEntity" and self.attempts > 1:
            return "It is new and not visible yet, or gone again: call again, or give it more time."
        return super().advice

    def __str__(self) -> str:
        """What failed and why, what is done and what is not, and what to do."""
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        failure = self._failure(f" after {tries} in {self.seconds:.1f} s")
        not_applied = f"Not applied: {_names(self.remaining)}."
        doubt = ["It may have been made all the same."] if self.doubtful else []
        return " ".join([failure, *doubt, *self._already_applied(), not_applied, self.advice])


@attrs.define(kw_only=True, eq=False, slots=False)
class PropagationTimeoutError(CwAgentIamError):
    """Raised when every change was made, but AWS did not show it within the time given.

    Attributes:
        missing: The changes whose effect could not be seen.
        unformed: The kinds and names of what was shown without an ARN.
        unknown_to_ec2: The names of the instance profiles that EC2 does not know yet.
        unusable_key: The id of the access key that AWS does not show, or let in, yet; empty if
            there is none, as where IAM's lists of access keys do not agree.
        attempts: How many times everything was read, or EC2 was asked.
        seconds: How long that took, in seconds.
        last_error: The code and words of the error that AWS gave last, when it was looked; empty if
            it gave none. The error itself is the ``__cause__``.
    """

    missing: tuple[ChangeLike, ...]
    unformed: tuple[str, ...] = ()
    unknown_to_ec2: tuple[str, ...] = ()
    unusable_key: str = ""
    attempts: int
    seconds: float
    last_error: str = ""

    def __str__(self) -> str:
        """What is not visible yet, for how long it was watched, and what to do."""
        looks = "1 look" if self.attempts == 1 else f"{self.attempts} looks"
        unseen = [_names(self.missing)] if self.missing else []
        unseen += [f"the ARN of {target}" for target in self.unformed]
        unseen += [f"instance-profile {name} in EC2" for name in self.unknown_to_ec2]
        unseen += [f"access key {self.unusable_key}"] if self.unusable_key else []
        error = self.last_error.rstrip(".")
        changes = self.missing or self.unformed or self.unknown_to_ec2
        others = "All changes were applied, but AWS does not show them all"
        keys = "AWS does not let it in, or show it," if unseen else "IAM's lists did not agree"
        sentences = [
            others if changes else keys,
            f"after {looks} in {self.seconds:.1f} s.",
            *([f"Not visible yet: {', '.join(unseen)}."] if unseen else []),
            *([f"AWS's last error was {error}."] if error else []),
            *self._already_applied(),
            "Unless somebody has undone it nothing is lost:",
            "call again to go on waiting, or give it more time.",
        ]
        return " ".join(sentences)


_OF_STS = {"GetAccessKeyInfo"}

_FATES: dict[Fate, str] = {
    "deleted": "It is deleted again: mend the store, then call again.",
    "exists": "It was not seen to be deleted, and nobody knows its secret: delete it yourself.",
    "in doubt": "It was not deleted: see what the store holds and which keys are used.",
}


def _names(changes: Iterable[ChangeLike]) -> str:
    return ", ".join(f"{change.operation} ({change.target})" for change in changes)


_ADVICE: dict[str | None, str] = {
    None: "See whether credentials and region are right and AWS can be reached, then call again.",
    "AccessDenied": "Allow the caller {action}, then call again.",
    "ConcurrentModification": "Somebody else is changing the same thing; call again later.",
    "DeleteConflict": "Something was attached to it meanwhile: take that away, then call again.",
    "EntityAlreadyExists": "Names are unique whatever their case or path: preview anew.",
    "ExpiredToken": "Renew the caller's credentials, then call again.",
    "InvalidClientTokenId": "The caller's access key is unknown to AWS: use a valid one.",
    "LimitExceeded": "Ask AWS for a higher quota or free some room, then call again.",
    "NoSuchEntity": "Something that the request names does not exist: see AWS's words above.",
    "InternalFailure": "AWS failed: call again later.",
    "ServiceFailure": "AWS failed: call again later.",
    "ServiceUnavailable": "AWS failed: call again later.",
    "Throttling": "The account's request rate is used up: call again later.",
}
