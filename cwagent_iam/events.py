"""What a call tells while it goes on: one frozen value for each step.

A call tells ``Planned``, then for each change ``Applying`` and ``Applied``, then ``Verified`` (but
for ``apply``, which does not look), ``Answered`` if it asks EC2, and ``Done`` when it ends well. At
any time it may tell ``Waiting`` and ``Recovered``, and ``Planned`` again when somebody else made it
look anew. For an access key it tells ``KeyMade``, ``KeyDelivered``, ``KeyVerified`` and
``KeyChanged``. A call that fails raises and does not tell ``Done``. The logger ``cwagent_iam`` gets
each event's text as information.
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
    """What all events have in common.

    Attributes:
        seconds: How long the call has been going on, in seconds.
    """

    _text: ClassVar[str]
    """The line for the log, with the fields of the event, which is called ``it``, in braces."""

    seconds: float = 0.0

    def __str__(self) -> str:
        """One line with the facts."""
        return self._text.format(it=self)


@attrs.frozen(kw_only=True)
class Planned(_Told):
    """It is known what to do.

    Attributes:
        changes: What will be applied now; empty when all is right already.
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
    """A change was made.

    Attributes:
        change: The change.
    """

    _text: ClassVar[str] = "applied: {it.change}"
    change: Change


@attrs.frozen(kw_only=True)
class Recovered(_Told):
    """A change turned out to be made although no reply had said so.

    Attributes:
        change: The change.
        reason: What was found.
    """

    _text: ClassVar[str] = "recovered: {it.change}: {it.reason}"
    change: Change
    reason: str


@attrs.frozen(kw_only=True)
class Waiting(_Told):
    """There is a pause before the next attempt or the next look.

    Attributes:
        reason: What is waited for.
        pause: How long this pause is, in seconds.
    """

    _text: ClassVar[str] = "waiting {it.pause:.1f} s after {it.seconds:.1f} s: {it.reason}"
    reason: str
    pause: float


@attrs.frozen(kw_only=True)
class Verified(_Told):
    """What was asked for is what IAM shows.

    Attributes:
        looks: How many looks in a row showed it.
    """

    looks: int

    def __str__(self) -> str:
        """One line with the number of looks."""
        return f"verified: right in {_counted(self.looks, 'look')} in a row"


@attrs.frozen(kw_only=True)
class Answered(_Told):
    """EC2 was asked whether it knows an instance profile.

    Attributes:
        answer: What it said in the end.
    """

    _text: ClassVar[str] = "answered: {it.answer}"
    answer: EC2Answer


@attrs.frozen(kw_only=True)
class Done(_Told):
    """The call ends well.

    Attributes:
        result: What it returns.
    """

    result: Result

    def __str__(self) -> str:
        """One line with the number of changes and the time."""
        changes = _counted(len(self.result.changes), "change")
        return f"done: {changes} applied in {self.seconds:.1f} s"


@attrs.frozen(kw_only=True)
class KeyMade(_Told):
    """IAM has made an access key, and a store was asked to take it.

    Attributes:
        access_key_id: Its id.
    """

    _text: ClassVar[str] = "made: access key {it.access_key_id}"
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
    """AWS lets in the new access key.

    Attributes:
        access_key_id: Its id.
        looks: How many answers in a row said so.
    """

    access_key_id: str
    looks: int

    def __str__(self) -> str:
        """One line with the id and the number of answers."""
        return f"verified: access key {self.access_key_id}, {_counted(self.looks, 'answer')}"


@attrs.frozen(kw_only=True)
class KeyChanged(_Told):
    """An access key was deactivated, activated or deleted.

    Attributes:
        operation: The IAM operation.
        access_key_id: The key's id.
    """

    _text: ClassVar[str] = "changed: {it.operation} of access key {it.access_key_id}"
    operation: str
    access_key_id: str


Event: TypeAlias = (
    Planned
    | Applying
    | Applied
    | Recovered
    | Waiting
    | Verified
    | Answered
    | KeyMade
    | KeyDelivered
    | KeyVerified
    | KeyChanged
    | Done
)
"""The closed list of events."""

OnEvent: TypeAlias = Callable[[Event], object]
"""What is called with each event; what it raises ends the call, and passes through."""


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
