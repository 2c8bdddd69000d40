"""A list of changes to review and to apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.display import counts, html_block
from cwagent_iam.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.changes.extra import Extra
    from cwagent_iam.changes.operations import Change
    from cwagent_iam.findings import Finding


@attrs.frozen
class ChangeSet:
    """What is to be done, in the order that IAM needs; an empty one is falsy.

    Attributes:
        changes: The changes, in order.
        observed: The state that they start from; not compared.
        extras: What is there beyond intent, and stays; not compared.
        findings: What is to be known about the desired state; not compared.
    """

    changes: tuple[Change, ...] = ()
    observed: State = attrs.field(default=State(), eq=False)
    extras: tuple[Extra, ...] = attrs.field(default=(), eq=False)
    findings: tuple[Finding, ...] = attrs.field(default=(), eq=False)

    @classmethod
    def ordered(cls, changes: list[Change], observed: State) -> ChangeSet:
        """Hold *changes*, each once, in the order of their waves and otherwise as given.

        What makes something comes before all that needs it, as far as that does not go in circles.
        Roles that trust each other, or themselves, can only be made in several steps, since IAM
        takes no trust in who is not there.
        """
        by_wave = sorted(dict.fromkeys(changes), key=lambda change: change.due)
        makers = {change.target: change for change in by_wave if change.creates}
        visited: set[Change] = set()
        placed: list[Change] = []

        def place(change: Change) -> None:
            if change in visited:
                return
            visited.add(change)
            for need in sorted(makers.keys() & change.needs_in(observed.account_id)):
                place(makers[need])
            placed.append(change)

        for change in by_wave:
            place(change)
        return cls(tuple(placed), observed)

    @property
    def waves(self) -> tuple[tuple[Change, ...], ...]:
        """The changes in groups, of which each may be made at once, or in any order."""
        groups: list[list[Change]] = [[]]
        for change in self.changes:
            if any(_waits_for(change, each) for each in groups[-1]):
                groups.append([])
            groups[-1].append(change)
        return tuple(tuple(group) for group in groups if group)

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
        """One line for each change, then the counts or "No changes."; then extras and findings."""
        symbols = [change.sign for change in self.changes]
        total = counts(symbols) if symbols else "No changes."
        extras = (f"Extra, left alone: {extra}" for extra in self.extras)
        findings = (f"Finding, {finding}" for finding in self.findings)
        return "\n".join([*map(str, self.changes), total, *extras, *findings])

    def _repr_html_(self) -> str:
        return html_block("ChangeSet", str(self))


def _waits_for(change: Change, earlier: Change) -> bool:
    """Tell whether *change* must not be made before *earlier*, nor at the same moment."""
    on_the_same = change.target == earlier.target and (change.apart or earlier.apart)
    made = earlier.creates and earlier.target in change.needs
    replaces = change.leads_to is not None  # so that no two profiles are empty at once
    return earlier.due != change.due or made or on_the_same or replaces
