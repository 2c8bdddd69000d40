"""What a call tells while it goes on: one frozen value for each step.

A call tells ``Planned`` first, then for each change ``Applying`` and ``Applied``, then
``Verified``, ``Answered`` if it asks EC2, and ``Done`` when it ends well. In between it may tell
``Waiting`` and ``Recovered``, and ``Planned`` again when somebody else made it look anew. A call
that fails raises and does not tell ``Done``. The logger ``cwagent_iam`` gets each event's text as
information.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from cwagent_iam.changes import Change, ChangeSet, Result
    from cwagent_iam.visibility import EC2Answer


@attrs.frozen(kw_only=True)
class Planned:
    """It is known what to do.

    Attributes:
        changes: What will be applied now; empty when all is right already.
        seconds: How long the call has been going on, in seconds, as in all events.
    """

    changes: ChangeSet
    seconds: float

    def __str__(self) -> str:
        """One line with the number of changes."""
        return f"planned: {_counted(len(self.changes), 'change')}"


@attrs.frozen(kw_only=True)
class Applying:
    """A change is about to be sent.

    Attributes:
        change: The change.
        seconds: How long the call has been going on.
    """

    change: Change
    seconds: float

    def __str__(self) -> str:
        """One line with the change."""
        return f"applying: {self.change}"


@attrs.frozen(kw_only=True)
class Applied:
    """A change was made.

    Attributes:
        change: The change.
        seconds: How long the call has been going on.
    """

    change: Change
    seconds: float

    def __str__(self) -> str:
        """One line with the change."""
        return f"applied: {self.change}"


@attrs.frozen(kw_only=True)
class Recovered:
    """A change turned out to be made although no reply had said so.

    Attributes:
        change: The change.
        reason: What was found.
        seconds: How long the call has been going on.
    """

    change: Change
    reason: str
    seconds: float

    def __str__(self) -> str:
        """One line with the change and what was found."""
        return f"recovered: {self.change}: {self.reason}"


@attrs.frozen(kw_only=True)
class Waiting:
    """There is a pause before the next attempt or the next look.

    Attributes:
        reason: What is waited for.
        pause: How long this pause is, in seconds.
        seconds: How long the call has been going on.
    """

    reason: str
    pause: float
    seconds: float

    def __str__(self) -> str:
        """One line with both times and the reason."""
        return f"waiting {self.pause:.1f} s after {self.seconds:.1f} s: {self.reason}"


@attrs.frozen(kw_only=True)
class Verified:
    """What was asked for is what IAM shows.

    Attributes:
        looks: How many looks in a row showed it.
        seconds: How long the call has been going on.
    """

    looks: int
    seconds: float

    def __str__(self) -> str:
        """One line with the number of looks."""
        return f"verified: right in {_counted(self.looks, 'look')} in a row"


@attrs.frozen(kw_only=True)
class Answered:
    """EC2 was asked whether it knows an instance profile.

    Attributes:
        answer: What it said in the end.
        seconds: How long the call has been going on.
    """

    answer: EC2Answer
    seconds: float

    def __str__(self) -> str:
        """One line with the answer."""
        return f"answered: {self.answer}"


@attrs.frozen(kw_only=True)
class Done:
    """The call ends well.

    Attributes:
        result: What it returns.
        seconds: How long it took.
    """

    result: Result
    seconds: float

    def __str__(self) -> str:
        """One line with the number of changes and the time."""
        changes = _counted(len(self.result.changes), "change")
        return f"done: {changes} applied in {self.seconds:.1f} s"


Event: TypeAlias = Planned | Applying | Applied | Recovered | Waiting | Verified | Answered | Done
"""The closed list of events."""

OnEvent: TypeAlias = Callable[[Event], object]
"""What is called with each event; what it raises ends the call, and passes through."""


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
