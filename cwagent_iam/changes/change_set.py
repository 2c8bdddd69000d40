"""ChangeSets: changes to review and to apply, and the extras that they leave alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.changes.base import Wave
from cwagent_iam.display import counts, html_block, one_line
from cwagent_iam.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cwagent_iam.changes.operations import Change
    from cwagent_iam.documents import Document
    from cwagent_iam.findings import Finding
    from cwagent_iam.policies import ManagedPolicy
    from cwagent_iam.state import Entity

ExtraField: TypeAlias = Literal["policies", "trust"]
"""The fields that can hold more than intent names, by their names in differences."""


@attrs.frozen
class Extra:
    """One attached policy, or one statement of a trust policy, that intent does not name.

    Attributes:
        target: The kind and name of the entity, as in ``role CloudWatchAgentServerRole``.
        field: ``"policies"`` for an attached managed policy, ``"trust"`` for a statement of the
            trust policy.
        value: The policy, or a document with that one statement.
        note: A remark about it; mostly empty.
    """

    target: str
    field: ExtraField
    value: ManagedPolicy | Document
    note: str = ""

    def __str__(self) -> str:
        """One line, as in ``role NAME, policies: POLICY``."""
        line = f"{self.target}, {self.field}: {self.value}"
        return one_line(f"{line} ({self.note})" if self.note else line)


@attrs.frozen
class ChangeSet:
    """The changes to apply, in the order that IAM needs; an empty ChangeSet is falsy.

    Attributes:
        changes: The changes, in order.
        observed: The state that they start from; not compared.
        extras: The observed parts that intent does not name, which stay; not compared.
        findings: Findings about the desired state; not compared.
    """

    changes: tuple[Change, ...] = ()
    observed: State = attrs.field(default=State(), eq=False)
    extras: tuple[Extra, ...] = attrs.field(default=(), eq=False)
    findings: tuple[Finding, ...] = attrs.field(default=(), eq=False)

    @classmethod
    def ordered(cls, changes: Iterable[Change], observed: State) -> ChangeSet:
        """Return a ChangeSet of *changes*, each once, in the order that IAM needs.

        They are sorted by wave, and keep their order within a wave, with three exceptions. New
        roles and users that other new roles trust are created first, the longest chains before
        all. Boundaries are set before, and cleared after, the other changes of their wave. Roles
        are swapped last.
        """
        once = tuple(dict.fromkeys(changes))
        heights = _heights(once, observed.account_id)
        swaps = {change.leads_to for change in once}

        def turn(change: Change) -> tuple[int, int]:
            if change.creates:
                return change.due, -heights.get(change.target, len(once))
            if change.apart:
                return change.due, -1 if change.due is Wave.MEND else 1
            return change.due, int(change in swaps or change.leads_to is not None)

        return cls(tuple(sorted(once, key=turn)), observed)

    @property
    def waves(self) -> tuple[tuple[Change, ...], ...]:
        """The changes in groups; those of a group can be sent simultaneously, or in any order."""
        account_id = self.observed.account_id
        waves = [_OneWave()]
        for change in self.changes:
            needs = change.needs_in(account_id)
            if waves[-1].delays(change, needs):
                waves.append(_OneWave())
            waves[-1].add(change)
        return tuple(tuple(wave.changes) for wave in waves if wave.changes)

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed, such as ``iam:CreateRole``."""
        return frozenset[str]().union(*(change.permissions for change in self.changes))

    def after(self, count: int | None = None) -> State:
        """Return the state after the first *count* changes. Default: after all of them."""
        # A change concerns one entity, so each entity is kept on its own: the cost is linear.
        parts = {_place(type(each), each.name): State((each,)) for each in self.observed.entities}
        for change in self.changes[:count]:
            place = _place(change.kind, change.name)
            parts[place] = change.after(parts.get(place, State()))
        return State.of(entity for part in parts.values() for entity in part.entities)

    def __iter__(self) -> Iterator[Change]:
        """Iterate over the changes, in order."""
        return iter(self.changes)

    def __len__(self) -> int:
        """Return the number of changes."""
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


# Attach before detach, so that no agent loses a permission meanwhile. Detach before a role is added
# to a profile, so that no instance gets a policy that is about to be detached. Detach before
# deletion, which IAM refuses otherwise.
_AFTER = {Wave.TAKE_AWAY: Wave.MEND, Wave.FINISH: Wave.TAKE_AWAY}


@attrs.define
class _OneWave:
    """The changes of one wave, and the facts that decide whether another change can join them.

    Attributes:
        changes: The changes.
        due: The `Wave` of each of them.
        touched: The targets of all of them.
        first: The targets that no other change of the wave may need.
    """

    changes: list[Change] = attrs.field(factory=list)
    due: set[Wave] = attrs.field(factory=set)
    touched: set[str] = attrs.field(factory=set)
    first: set[str] = attrs.field(factory=set)

    def add(self, change: Change) -> None:
        """Add *change*."""
        self.changes.append(change)
        self.due.add(change.due)
        self.touched.add(change.target)
        if change.creates or change.apart or change.leads_to is not None:
            self.first.add(change.target)

    def delays(self, change: Change, needs: frozenset[str]) -> bool:
        """Return whether *change*, which *needs* these targets, must wait for a later wave."""
        return (
            _AFTER.get(change.due) in self.due
            or not needs.isdisjoint(self.first)
            or (change.apart and change.target in self.touched)
            # So that at most one profile is empty at any time.
            or (change.leads_to is not None and bool(self.changes))
        )


def _heights(changes: Sequence[Change], account_id: str) -> dict[str, int]:
    """Return the height of each new entity: above all that need it; 0 if none does.

    Roles that trust each other, or themselves, can only be created in several steps, because IAM
    refuses a principal that does not exist. Roles that trust each other, and the entities that they
    need, have no height.
    """
    created = {change.target: change for change in changes if change.creates}
    needs = {
        target: created.keys() & change.needs_in(account_id) - {target}
        for target, change in created.items()
    }
    waiting = Counter(need for needed in needs.values() for need in needed)
    heights: dict[str, int] = {}
    layer = [target for target in created if not waiting[target]]
    while layer:
        heights.update(dict.fromkeys(layer, len(heights)))
        needed = [need for target in layer for need in needs[target]]
        waiting.subtract(needed)
        layer = [need for need in dict.fromkeys(needed) if not waiting[need]]
    return heights


def _place(kind: type[Entity], name: str) -> tuple[type[Entity], str]:
    return kind, name.lower()
