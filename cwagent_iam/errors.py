"""Errors: the tree, the facts that each error carries, and advice for the caller.

.. code-block:: text

    CwAgentIamError
    ├── IntentError (also a ValueError)   the arguments break a rule of IAM; nothing was sent
    ├── ConflictError                     an existing entity conflicts with intent; it is unchanged
    │   └── KeyConflictError              ... about access keys, or the key in the store
    ├── RequestError                      AWS refused a request, or did not answer
    │   ├── ObserveError                  ... while reading
    │   ├── ApplyError                    ... while applying: earlier changes may be done
    │   └── CredentialsError              the request was not sent: no usable credentials
    ├── PropagationTimeoutError           AWS did not show in time what was applied, or its
    │                                     answers did not agree
    ├── StoreError                        a store for access keys cannot be read or written
    └── DeliveryError                     a key was created, or may have been, but not delivered

Every error carries its facts as attributes, and ``applied``: the changes that the failing call
had already made. Where AWS answered with an error, that error is the ``__cause__``. Fix the cause,
then call again: the next call continues where the failing one stopped, and nothing needs to be
undone first.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import attrs

from cwagent_iam.display import one_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Fate: TypeAlias = Literal["deleted", "exists", "in doubt"]
"""The state of an access key that could not be delivered: deleted, existing, or unknown."""

THROTTLED = frozenset(
    {
        *("BandwidthLimitExceeded", "EC2ThrottledException", "PriorRequestNotComplete"),
        *("ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled"),
        *("RequestThrottledException", "SlowDown", "Throttling", "ThrottledException"),
        *("ThrottlingException", "TooManyRequestsException", "TransactionInProgressException"),
    }
)
"""The codes by which AWS throttles; each service has its own, and all mean the same.

Source: the codes that botocore's retry modes take for throttling, except LimitExceededException,
which is a quota in the services that this library calls.
"""

FAILING = frozenset(
    {
        *("InternalError", "InternalFailure", "InternalServerError", "InternalServiceError"),
        *("RequestTimeout", "RequestTimeoutException", "ServiceFailure", "ServiceUnavailable"),
        *("500", "502", "503", "504"),  # botocore uses the HTTP status if the reply has no code
    }
)
"""The codes by which AWS reports a failure of its own."""

_OF_STS = {"GetAccessKeyInfo"}
_MOST_PROBLEMS = 50
_MOST_REFUSALS = 20

_ADVICE: dict[str | None, str] = {
    **dict.fromkeys(THROTTLED, "The account's request rate is used up: call again later."),
    **dict.fromkeys(FAILING, "AWS failed: call again later."),
    **dict.fromkeys(("501", "505"), "The endpoint does not support it: check its URL and region."),
    None: "See whether credentials and region are right and AWS can be reached, then call again.",
    "AccessDenied": "Allow the caller {action}, then call again.",
    "ConcurrentModification": "Another process is changing the same entity; call again later.",
    "DeleteConflict": "Something was attached to it meanwhile: remove that, then call again.",
    "EntityAlreadyExists": "Names are unique whatever their case or path: preview anew.",
    "ExpiredToken": "Renew the caller's credentials, then call again.",
    "InvalidClientTokenId": "The caller's access key is unknown to AWS: use a valid one.",
    "LimitExceeded": "Ask AWS for a higher quota or free some room, then call again.",
    "MalformedPolicyDocument": (
        "IAM refuses the document: if it names a role or user that does not exist, create that "
        "first, then call again."
    ),
    "NoSuchEntity": (
        "Something that the request names does not exist, such as a policy: correct its name or "
        "create it, then call again."
    ),
}
_FATES: dict[Fate, str] = {
    "deleted": "It has been deleted: repair the store, then call again.",
    "exists": "Its deletion was not confirmed, and its secret is lost: delete it yourself.",
    "in doubt": "It was not deleted: check what the store holds and which keys are used.",
}


class ChangeLike(Protocol):
    """The part of a change that errors print; the changes are in `cwagent_iam.changes`."""

    @property
    def operation(self) -> str:
        """The IAM operation, as in AWS's documentation and in CloudTrail."""

    @property
    def target(self) -> str:
        """The kind and name of the entity, as in ``role CloudWatchAgentServerRole``."""

    @property
    def part(self) -> str:
        """The part of the entity, such as a policy; empty for the entity itself."""

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed."""


class KeyLike(Protocol):
    """The part of an access key that errors print; see `cwagent_iam.SeenKey` for all of it."""

    @property
    def access_key_id(self) -> str:
        """Its id, which is not a secret."""


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
        """Return one line: argument, value and rule."""
        return f"{self.argument}={self.value}: {self.rule}"


@attrs.frozen
class Difference:
    """One field that is not as desired.

    Attributes:
        field: The name of the field.
        desired: The desired value, as text.
        observed: The observed value, as text.
    """

    field: str
    desired: str
    observed: str

    def __str__(self) -> str:
        """Return one line, from observed to desired."""
        return one_line(f"{self.field}: {self.observed} -> {self.desired}")


@attrs.frozen
class Conflict:
    """One existing entity that conflicts with intent.

    Attributes:
        target: Its kind and name, as in ``role CloudWatchAgentServerRole``.
        reason: Why it cannot be changed to what is desired, or be deleted.
        differences: The fields that are not as desired; empty where the reason says it all.
        advice: Advice for the caller, in one sentence.
    """

    target: str
    reason: str
    differences: tuple[Difference, ...]
    advice: str

    def __str__(self) -> str:
        """Return a line for the reason, one for each difference, and one for the advice."""
        rows = [f"    {difference}" for difference in self.differences]
        first = f"{self.target} {self.reason}{':' if rows else '.'}"
        return "\n".join([first, *rows, self.advice])


@attrs.frozen
class Refused:
    """One request that AWS refused or did not answer.

    Attributes:
        operation: The operation that failed.
        target: The kind and name of the entity, as in ``role CloudWatchAgentServerRole``.
        code: AWS's error code, such as ``AccessDenied``; `None` where no answer came.
        reason: The message of AWS, or of the transport.
        request_id: AWS's id of the request; empty where no answer came.
    """

    operation: str
    target: str
    code: str | None
    reason: str
    request_id: str = ""

    def __str__(self) -> str:
        """Return one line: operation, target, code and message."""
        failure = f"{self.operation} failed for {self.target}"
        return one_line(f"{failure}: {_cause(self.code, self.reason)}")


@attrs.define(kw_only=True, eq=False, slots=False)
class CwAgentIamError(Exception):
    """Raised for every failure that this library foresees; the base of all its errors.

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
        """Return a sentence about what was applied; none if nothing was."""
        return [f"Already applied: {names_of(self.applied)}."] if self.applied else []


@attrs.define(kw_only=True, eq=False, slots=False)
class IntentError(CwAgentIamError, ValueError):
    """Raised when arguments break a rule of IAM, before any request is sent.

    Attributes:
        problems: Every rule that is broken, not just the first.
    """

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        """Return one line for each of the first 50 problems."""
        return "\n".join(_first_of(self.problems, _MOST_PROBLEMS))


@attrs.define(kw_only=True, eq=False, slots=False)
class ConflictError(CwAgentIamError):
    """Raised when an existing entity conflicts with intent, and this call may not change it.

    Attributes:
        conflicts: All conflicts.
    """

    conflicts: tuple[Conflict, ...]

    def __str__(self) -> str:
        """Return each conflict in full, then what had been applied before."""
        return "\n".join([*map(str, self.conflicts), *self._already_applied()])


@attrs.define(kw_only=True, eq=False, slots=False)
class KeyConflictError(ConflictError):
    """Raised when access keys conflict with intent; none of them is changed.

    Attributes:
        keys: The keys, as `cwagent_iam.SeenKey`.
    """

    keys: tuple[KeyLike, ...]


@attrs.define(kw_only=True, eq=False, slots=False)
class RequestError(CwAgentIamError):
    """Raised when AWS refuses a request or does not answer; AWS's error is the ``__cause__``.

    Attributes:
        operation: The operation that failed.
        target: The kind and name of the entity.
        code: AWS's error code, such as ``AccessDenied``; `None` where no answer came.
        reason: The message of AWS, or of the transport.
        request_id: AWS's id of the request; empty where no answer came.
        refusals: All failures of requests that were sent side by side, in order; the first is the
            one that this error describes. Empty where there was only one request.
    """

    operation: str
    target: str
    code: str | None
    reason: str
    request_id: str = ""
    refusals: tuple[Refused, ...] = ()

    def __str__(self) -> str:
        """Return failure, what was applied, and advice; then a line for each further refusal."""
        text = " ".join([self._failure(), *self._already_applied(), self.advice])
        return "\n".join([text, *_first_of(self.refusals[1:], _MOST_REFUSALS)])

    @property
    def advice(self) -> str:
        """Advice for the caller, in one sentence."""
        advice = _ADVICE.get(self.code, "Check the AWS error above, then call again.")
        service = "sts" if self.operation in _OF_STS else "iam"
        return advice.format(action=f"{service}:{self.operation}")

    def _failure(self) -> str:
        cause = _cause(self.code, self.reason)
        return f"{self.operation} failed for {self.target}{self._effort()}: {cause}"

    def _effort(self) -> str:
        return ""


@attrs.define(kw_only=True, eq=False, slots=False)
class ObserveError(RequestError):
    """Raised when AWS refuses a read or does not answer it. Reading itself changes nothing.

    Attributes:
        attempts: How many times this library sent the request; botocore may repeat each attempt.
        seconds: How long that took, in seconds.
    """

    attempts: int = 1
    seconds: float = 0.0

    def _effort(self) -> str:
        return f" after {self.attempts} looks in {self.seconds:.1f} s" if self.attempts > 1 else ""


@attrs.define(kw_only=True, eq=False, slots=False)
class ApplyError(RequestError):
    """Raised when a change fails. Changes before it stay applied.

    Attributes:
        remaining: The changes that were not applied, in order; the one that failed is the first.
        overtaken: Whether another process was faster, so that a new diff may show it done.
        doubtful: Whether AWS may have applied the failed change, because a reply was lost.
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
        """Advice for the caller, in one sentence."""
        if self.code == "AccessDenied":
            actions = " and ".join(sorted(self.remaining[0].permissions))
            return f"Allow the caller {actions}, then call again."
        if self.code == "LimitExceeded" and self.operation == "CreateAccessKey":
            return "A user can have two access keys: delete one that is not used, then call again."
        if self.code == "LimitExceeded" and self.overtaken:
            return "The profile already holds a role: check which one, then call again."
        if self.code == "NoSuchEntity" and self.attempts > 1:
            return "It is new and not visible yet, or gone again: call again, or give it more time."
        return super().advice

    def _effort(self) -> str:
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f" after {tries} in {self.seconds:.1f} s"

    def _already_applied(self) -> list[str]:
        doubt = ["It may have been made all the same."] if self.doubtful else []
        return [*doubt, *super()._already_applied(), f"Not applied: {names_of(self.remaining)}."]


@attrs.define(kw_only=True, eq=False, slots=False)
class CredentialsError(RequestError):
    """Raised when a request is not sent, because there are no usable credentials to sign it.

    Examples are a profile whose AssumeRole is denied, an expired SSO session, a token file that
    was deleted during the call, and a metadata service that does not answer.

    Attributes:
        step: The step that failed, such as ``AssumeRole``; empty if the SDK does not name it.
    """

    step: str = ""

    @property
    def advice(self) -> str:
        """Advice for the caller about the credentials, in one sentence."""
        failed = f" ({self.step} failed)" if self.step else ""
        return f"Renew or correct the caller's credentials{failed}, then call again."

    def _failure(self) -> str:
        failed = f"{self.step} failed: " if self.step else ""
        cause = _cause(self.code, self.reason)
        return f"{self.operation} was not sent for {self.target}: {failed}{cause}"


@attrs.define(kw_only=True, eq=False, slots=False)
class PropagationTimeoutError(CwAgentIamError):
    """Raised when AWS does not show all changes in time, or its answers still disagree.

    Attributes:
        missing: The changes that are not visible yet.
        unformed: The kinds and names of entities that were shown without an ARN.
        unknown_to_ec2: The names of the instance profiles that EC2 does not know yet.
        unusable_key: The id of the access key that AWS does not show or accept yet; empty if there
            is none, for example if IAM's lists of access keys disagree.
        conflicts: The conflicts that some reads showed and others did not, until time ran out.
        attempts: How many times everything was read, or EC2 was asked.
        seconds: How long that took, in seconds.
        last_error: The code and message of the last error that AWS returned to a read; empty if
            there was none. The error itself is the ``__cause__``.
    """

    missing: tuple[ChangeLike, ...]
    unformed: tuple[str, ...] = ()
    unknown_to_ec2: tuple[str, ...] = ()
    unusable_key: str = ""
    conflicts: tuple[Conflict, ...] = ()
    attempts: int
    seconds: float
    last_error: str = ""

    def __str__(self) -> str:
        """Return what is not visible yet, how long the call waited, and what to do."""
        looks = "1 look" if self.attempts == 1 else f"{self.attempts} looks"
        unseen = [names_of(self.missing)] if self.missing else []
        unseen += [f"the ARN of {target}" for target in self.unformed]
        unseen += [f"instance-profile {name} in EC2" for name in self.unknown_to_ec2]
        unseen += [f"access key {self.unusable_key}"] if self.unusable_key else []
        split = ", ".join(f"{each.target} ({each.reason})" for each in self.conflicts)
        error = self.last_error.rstrip(".")
        sentences = [
            f"{self._opening()} after {looks} in {self.seconds:.1f} s.",
            *([f"Not visible yet: {', '.join(unseen)}."] if unseen else []),
            *([f"Reads still disagree about: {split}."] if split else []),
            *([f"AWS's last error was {error}."] if error else []),
            *self._already_applied(),
            "Nothing is lost, unless another process has undone it:",
            "call again to go on waiting, or give it more time.",
        ]
        return " ".join(sentences)

    def _opening(self) -> str:
        if self.missing or self.unknown_to_ec2:
            return "All changes were applied, but AWS does not show them all"
        if self.unformed:
            return "AWS does not show everything in full"
        if self.unusable_key:
            return "AWS does not accept or show the access key"
        return "IAM is not consistent yet" if self.conflicts else "IAM's lists did not agree"


@attrs.define(kw_only=True, eq=False, slots=False)
class StoreError(CwAgentIamError):
    """Raised when a store for access keys cannot be read or written.

    Attributes:
        store: The store.
        problem: The problem and advice; never the content of the store.
    """

    store: str
    problem: str

    def __str__(self) -> str:
        """Return the store and what is wrong, then what had been applied."""
        return " ".join([f"{self.store}: {self.problem}", *self._already_applied()])


@attrs.define(kw_only=True, eq=False, slots=False)
class DeliveryError(CwAgentIamError):
    """Raised when an access key was created, or may have been, and its delivery failed.

    Attributes:
        access_key_id: The key; `None` where the reply with its id was lost.
        fate: ``"deleted"``: the key is deleted. ``"exists"``: its deletion failed, or was not
            confirmed. ``"in doubt"``: nothing was deleted, because it is unknown what the store
            holds, which request created the suspects, or why AWS does not accept the key in the
            store.
        store: The store that it was meant for.
        reason: The reason of the failure, without the secret.
        suspects: The keys that may come from a request whose reply was lost, as
            `cwagent_iam.SeenKey`.
    """

    access_key_id: str | None
    fate: Fate
    store: str
    reason: str
    suspects: tuple[KeyLike, ...] = ()

    def __str__(self) -> str:
        """Return what was not delivered and why, what became of it, and what to do."""
        key = f"access key {self.access_key_id}" if self.access_key_id else "an access key"
        failure = f"The delivery of {key} to {self.store} failed: {self.reason.rstrip('.')}."
        suspects = ", ".join(key.access_key_id for key in self.suspects)
        named = [f"It may be one of these: {suspects}."] if suspects else []
        return " ".join([failure, *named, _FATES[self.fate], *self._already_applied()])


def names_of(changes: Iterable[ChangeLike]) -> str:
    """Return the names of *changes*, each with the entity and the part that it changes."""
    about = ((each, ": ".join(filter(None, [each.target, each.part]))) for each in changes)
    return ", ".join(f"{change.operation} ({what})" for change, what in about)


def _cause(code: str | None, reason: str) -> str:
    """Return code and message as one sentence, whether or not AWS ends it with a full stop."""
    return ": ".join(filter(None, [code, reason])).rstrip(".") + "."


def _first_of(facts: Sequence[object], most: int) -> list[str]:
    """Return one line for each of the first *most* facts, and one that counts the others."""
    more = len(facts) - most
    return [*map(str, facts[:most]), *([f"... and {more} more"] if more > 0 else [])]


# Tracebacks and pickles name the public path, which stays when code moves between files.
for _each in tuple(globals().values()):
    if isinstance(_each, type) and attrs.has(_each):
        _each.__module__ = "cwagent_iam"
