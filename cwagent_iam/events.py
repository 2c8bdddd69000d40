"""Events: one frozen value for each step of a call.

A call emits ``Planned``, then ``Applying`` and ``Applied`` for each change, then ``Verified``, then
``Answered`` if it asks EC2, and ``Done`` if it succeeds. At any time it may emit ``Waiting`` and
``Recovered``, and ``Planned`` again if an observation needs further changes. For a new access key
it also emits ``KeyCreated``, ``KeyDelivered`` and ``KeyVerified``. A call that fails raises, and
does not emit ``Done``. The logger ``cwagent_iam`` logs the text of each event at level INFO.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

if TYPE_CHECKING:
    from cwagent_iam.changes import Change, ChangeSet, Result
    from cwagent_iam.visibility import EC2Answer


@attrs.frozen(kw_only=True)
class _Told:
    """The base of all events.

    Attributes:
        seconds: How long the call has been running, in seconds.
    """

    _text: ClassVar[str]
    """The format of the line for the log; ``it`` stands for the event."""

    seconds: float = 0.0

    def __str__(self) -> str:
        """One line with the facts."""
        return self._text.format(it=self)


@attrs.frozen(kw_only=True)
class Planned(_Told):
    """The call has computed the changes to apply.

    Attributes:
        changes: The changes; empty if the observed state is as desired.
    """

    changes: ChangeSet

    def __str__(self) -> str:
        """One line with the number of changes."""
        return f"planned: {_counted(len(self.changes), 'change')}"


@attrs.frozen(kw_only=True)
class Applying(_Told):
    """A change is about to be sent.

    Attributes:
        change: The change.
    """

    _text: ClassVar[str] = "applying: {it.change}"
    change: Change


@attrs.frozen(kw_only=True)
class Applied(_Told):
    """AWS has acknowledged a change.

    Attributes:
        change: The change.
    """

    _text: ClassVar[str] = "applied: {it.change}"
    change: Change


@attrs.frozen(kw_only=True)
class Recovered(_Told):
    """A later read shows a change that AWS did not acknowledge.

    Attributes:
        change: The change.
        reason: The reason: its reply was lost, or another process made the change.
    """

    _text: ClassVar[str] = "recovered: {it.change}: {it.reason}"
    change: Change
    reason: str


@attrs.frozen(kw_only=True)
class Waiting(_Told):
    """The call pauses before the next attempt or read.

    Attributes:
        reason: The reason for the pause.
        pause: How long this pause is, in seconds.
    """

    _text: ClassVar[str] = "waiting {it.pause:.1f} s after {it.seconds:.1f} s: {it.reason}"
    reason: str
    pause: float


@attrs.frozen(kw_only=True)
class Verified(_Told):
    """IAM shows the desired state.

    Attributes:
        looks: The number of consistent reads that showed it.
    """

    looks: int

    def __str__(self) -> str:
        """One line with the number of reads."""
        return f"verified: confirmed by {_counted(self.looks, 'consistent read')}"


@attrs.frozen(kw_only=True)
class Answered(_Told):
    """EC2 was asked whether it knows an instance profile.

    Attributes:
        answer: EC2's last answer.
    """

    _text: ClassVar[str] = "answered: {it.answer}"
    answer: EC2Answer


@attrs.frozen(kw_only=True)
class Done(_Told):
    """The call has succeeded.

    Attributes:
        result: The result of the call.
    """

    result: Result

    def __str__(self) -> str:
        """One line with the number of changes and the time."""
        changes = _counted(len(self.result.changes), "change")
        return f"done: {changes} applied in {self.seconds:.1f} s"


@attrs.frozen(kw_only=True)
class KeyCreated(_Told):
    """An access key was created; emitted after the attempt to record and deliver it.

    Attributes:
        access_key_id: Its id.
    """

    _text: ClassVar[str] = "created: access key {it.access_key_id}"
    access_key_id: str


@attrs.frozen(kw_only=True)
class KeyDelivered(_Told):
    """The store holds the new access key.

    Attributes:
        access_key_id: Its id.
        store: The store.
    """

    _text: ClassVar[str] = "delivered: access key {it.access_key_id} to {it.store}"
    access_key_id: str
    store: str


@attrs.frozen(kw_only=True)
class KeyVerified(_Told):
    """AWS accepts the new access key.

    Attributes:
        access_key_id: Its id.
        looks: The number of successive answers that accepted it.
    """

    access_key_id: str
    looks: int

    def __str__(self) -> str:
        """One line with the id and the number of answers."""
        return f"verified: access key {self.access_key_id}, {_counted(self.looks, 'answer')}"


Event: TypeAlias = (
    Planned
    | Applying
    | Applied
    | Recovered
    | Waiting
    | Verified
    | Answered
    | KeyCreated
    | KeyDelivered
    | KeyVerified
    | Done
)
"""The closed list of events."""

OnEvent: TypeAlias = Callable[[Event], object]
"""A function that is called with each event. An exception that it raises ends the call."""


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
