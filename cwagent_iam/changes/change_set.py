"""A list of changes to review and to apply."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs

from cwagent_iam.display import counts, html_block
from cwagent_iam.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.changes.operations import Change


@attrs.frozen
class ChangeSet:
    """What is to be done, in the order that IAM needs; an empty one is falsy.

    Attributes:
        changes: The changes, in order.
        observed: The state that they start from; not compared.
    """

    changes: tuple[Change, ...] = ()
    observed: State = attrs.field(default=State(), eq=False)

    @classmethod
    def ordered(cls, changes: list[Change], observed: State) -> ChangeSet:
        """Hold *changes*, each once, in the order of their waves and otherwise as given."""
        return cls(tuple(sorted(dict.fromkeys(changes), key=lambda change: change.wave)), observed)

    @property
    def waves(self) -> tuple[tuple[Change, ...], ...]:
        """The changes in groups; nothing in a group needs anything else in the same group."""
        groups = itertools.groupby(self.changes, key=lambda change: change.wave)
        return tuple(tuple(group) for _, group in groups)

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed, such as ``iam:CreateRole``."""
        return frozenset[str]().union(*(change.permissions for change in self.changes))

    def after(self, count: int | None = None) -> State:
        """Return the state that the first *count* changes lead to; all of them for `None`."""
        state = self.observed
        for change in self.changes[:count]:
            state = change.after(state)
        return state

    def __iter__(self) -> Iterator[Change]:
        """Go through the changes in order."""
        return iter(self.changes)

    def __len__(self) -> int:
        """Count the changes."""
        return len(self.changes)

    def __str__(self) -> str:
        """One line for each change, then the counts; "No changes." when it is empty."""
        if not self.changes:
            return "No changes."
        return "\n".join([*map(str, self.changes), counts([each.symbol for each in self.changes])])

    def _repr_html_(self) -> str:
        return html_block("ChangeSet", str(self))
