"""What AWS refuses or does not answer, and what it does not show in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.errors.facts import names_of
from cwagent_iam.errors.general import CwAgentIamError

if TYPE_CHECKING:
    from cwagent_iam.errors.facts import ChangeLike

_OF_STS = {"GetAccessKeyInfo"}

_ADVICE: dict[str | None, str] = {
    None: "See whether credentials and region are right and AWS can be reached, then call again.",
    "AccessDenied": "Allow the caller {action}, then call again.",
    "ConcurrentModification": "Somebody else is changing the same thing; call again later.",
    "DeleteConflict": "Something was attached to it meanwhile: take that away, then call again.",
    "EntityAlreadyExists": "Names are unique whatever their case or path: preview anew.",
    "ExpiredToken": "Renew the caller's credentials, then call again.",
    "InvalidClientTokenId": "The caller's access key is unknown to AWS: use a valid one.",
    "LimitExceeded": "Ask AWS for a higher quota or free some room, then call again.",
    "MalformedPolicyDocument": (
        "IAM refuses the document: if it names a role or user that does not exist, make that one "
        "first, then call again."
    ),
    "NoSuchEntity": (
        "Something that the request names does not exist, such as a policy: correct its name or "
        "make it, then call again."
    ),
    "InternalFailure": "AWS failed: call again later.",
    "ServiceFailure": "AWS failed: call again later.",
    "ServiceUnavailable": "AWS failed: call again later.",
    "Throttling": "The account's request rate is used up: call again later.",
}


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
        not_applied = f"Not applied: {names_of(self.remaining)}."
        doubt = ["It may have been made all the same."] if self.doubtful else []
        return " ".join([failure, *doubt, *self._already_applied(), not_applied, self.advice])


@attrs.define(kw_only=True, eq=False, slots=False)
class PropagationTimeoutError(CwAgentIamError):
    """Raised when AWS did not show what was made within the time given, or not in full.

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
        unseen = [names_of(self.missing)] if self.missing else []
        unseen += [f"the ARN of {target}" for target in self.unformed]
        unseen += [f"instance-profile {name} in EC2" for name in self.unknown_to_ec2]
        unseen += [f"access key {self.unusable_key}"] if self.unusable_key else []
        error = self.last_error.rstrip(".")
        changes = self.missing or self.unformed or self.unknown_to_ec2
        seen = self.missing or self.unknown_to_ec2
        others = (
            "All changes were applied, but AWS does not show them all"
            if seen
            else "AWS does not show everything in full"
        )
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
