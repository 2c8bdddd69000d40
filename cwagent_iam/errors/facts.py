"""What errors are made of: problems, differences, conflicts, and what they say of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from cwagent_iam.display import one_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterable


class ChangeLike(Protocol):
    """What an error says of a change; the changes themselves are in `cwagent_iam.changes`."""

    @property
    def operation(self) -> str:
        """The IAM operation, as in AWS's documentation and in CloudTrail."""

    @property
    def target(self) -> str:
        """The kind and name of what it is done to, as in ``role CloudWatchAgentServerRole``."""

    @property
    def part(self) -> str:
        """What of the target it is about, such as a policy; empty for the target itself."""

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed."""


class KeyLike(Protocol):
    """What an error says of an access key; see `cwagent_iam.SeenKey` for all of it."""

    @property
    def access_key_id(self) -> str:
        """Its id, which is no secret."""


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
        first = f"{self.target} {self.reason}{':' if rows else '.'}"
        return "\n".join([first, *rows, self.advice])


def names_of(changes: Iterable[ChangeLike]) -> str:
    """Name *changes*, each with what it is done to and about."""
    about = ((each, ": ".join(filter(None, [each.target, each.part]))) for each in changes)
    return ", ".join(f"{change.operation} ({what})" for change, what in about)
