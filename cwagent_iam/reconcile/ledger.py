"""The ledger of a call: what it sent, the outcomes, and what it knows to exist. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import attrs

from cwagent_iam.reconcile.rules import FINAL, Known, Rule, rule_for
from cwagent_iam.requests import Outcome, Refusal, Reply, Request, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cwagent_iam.changes import Change, ChangeSet
    from cwagent_iam.observing import Observation
    from cwagent_iam.state import State

_INSTANT = 0.001  # seconds; sums of pauses are not exact

# Each such request creates another key: no observation and no later reply shows what it has done.
_UNSHOWN = "CreateAccessKey"

Sent: TypeAlias = "Iterable[tuple[Change, Request, Outcome]]"
"""Changes with their requests and outcomes."""


@attrs.frozen(kw_only=True)
class RefusedChange:
    """A change whose last outcome was a refusal.

    Attributes:
        request: The last request.
        refusal: The last refusal.
        rule: The rule that says what the refusal means.
        attempts: How many times the change was sent in all.
        since: How long the call had waited before the first refusal, in seconds.
    """

    request: Request
    refusal: Refusal
    rule: Rule
    attempts: int
    since: float


@attrs.frozen(kw_only=True)
class Ledger:
    """The record of one call. Its methods return a new ledger.

    Attributes:
        applied: The changes that AWS acknowledged, and those whose replies were lost but whose
            effect was observed.
        unacknowledged: The changes that AWS may have applied although their replies were lost.
        refused: The changes whose last outcome was a refusal.
        known: The entities that the call knows to exist.
        waited: How long the call has waited in all, in seconds.
        last_write: How long the call had waited before its last acknowledged write, in seconds.
        pauses: The number of pauses since that write.
        last_miss: The last NoSuchEntity of the last observation; `None` if there was none.
    """

    applied: tuple[Change, ...] = ()
    unacknowledged: frozenset[Change] = frozenset()
    refused: Mapping[Change, RefusedChange] = attrs.field(factory=dict)
    known: Known = attrs.field(factory=Known)
    waited: float = 0.0
    last_write: float = 0.0
    pauses: int = 0
    last_miss: Refusal | None = None

    def fold(self, sent: Sent) -> Ledger:
        """Return the ledger after the outcomes of one `Send` of writes."""
        acknowledged: list[Change] = []
        refused, unacknowledged = dict(self.refused), set(self.unacknowledged)
        created, arns = set(self.known.created), set(self.known.created_arns)
        for change, request, outcome in sent:
            if outcome.unacknowledged:
                unacknowledged.add(change)
            if isinstance(outcome, Reply):
                acknowledged.append(change)
                refused.pop(change, None)
                if change.creates:
                    created.add(change.target.lower())
                    arns.update(arns_in(request, outcome))
                continue
            if outcome.code == "EntityAlreadyExists" and change.creates:
                created.add(change.target.lower())
            earlier = self.refused.get(change)
            refused[change] = RefusedChange(
                request=request,
                refusal=outcome,
                rule=FINAL,
                attempts=outcome.attempts + (earlier.attempts if earlier else 0),
                since=earlier.since if earlier else self.waited,
            )
        known = attrs.evolve(self.known, created=frozenset(created), created_arns=frozenset(arns))
        return attrs.evolve(
            self,
            applied=(*self.applied, *acknowledged),
            unacknowledged=frozenset(
                each
                for each in unacknowledged
                if each not in acknowledged or each.operation == _UNSHOWN
            ),
            refused=_apply_rules(refused, known),
            known=known,
            last_write=self.waited if acknowledged else self.last_write,
            pauses=0 if acknowledged else self.pauses,
        )

    def with_observation(self, seen: Observation) -> Ledger:
        """Return the ledger after an observation."""
        arns = (entity.arn.lower() for entity in seen.state.entities if entity.arn)
        known = attrs.evolve(
            self.known,
            observed=self.known.observed | seen.shown,
            observed_arns=self.known.observed_arns.union(arns),
        )
        return attrs.evolve(self, known=known, last_miss=seen.last_miss)

    @property
    def kept(self) -> frozenset[str]:
        """The kinds and names of entities that this call saw and did not try to delete."""
        sent = {*self.applied, *self.unacknowledged, *self.refused}
        return self.known.observed - {each.target.lower() for each in sent if each.deletes}

    def missing_in(self, copies: Iterable[State], focus: set[str]) -> set[str]:
        """Return the entities of *focus* that a copy misses, though the call saw and kept them."""
        kept = focus & self.kept
        present = ({each.target.lower() for each in copy.entities} for copy in copies)
        return {target for each in present for target in kept - each}

    def bounded(self, wait: Wait, timeout: float) -> Wait | None:
        """Return *wait* within the timeout, which allows at least one pause after each write.

        `None` if it has passed. The last pause has no jitter: a part of what is left, again and
        again, would never end.
        """
        left = timeout - (self.waited - self.last_write)
        if left < _INSTANT:
            return None if self.pauses else wait
        return Wait(left, left, wait.reason) if left < wait.most else wait

    def with_lookup(self, arns: Iterable[str]) -> Ledger:
        """Return the ledger after a lookup found entities with these *arns*, in lower case."""
        known = attrs.evolve(self.known, created_arns=self.known.created_arns.union(arns))
        return attrs.evolve(self, known=known, refused=_apply_rules(self.refused, known))

    def with_pause(self, seconds: float) -> Ledger:
        """Return the ledger after a pause, in seconds."""
        return attrs.evolve(self, waited=self.waited + seconds, pauses=self.pauses + 1)

    def resolve_refusals(
        self, changes: ChangeSet, *, confirmed: bool
    ) -> tuple[Ledger, Mapping[Change, str]]:
        """Resolve refusals by a later diff: a refused change that it lacks was applied after all.

        Args:
            changes: The later diff.
            confirmed: Whether parallel reads agreed. A single read can show that something was
                added, but not that it was removed: the read may be stale.

        Returns:
            The ledger, and the changes that were applied after all, mapped to the reason: the reply
            was lost, or another process made the change.
        """
        due = set(changes)
        decidable = (
            each
            for each in self.refused
            if (confirmed or each.symbol != "-") and each.operation != _UNSHOWN
        )
        gone = [change for change in decidable if change not in due]
        ours = [change for change in gone if change in self.unacknowledged]
        others = dict.fromkeys(gone, "another process made it")
        ledger = attrs.evolve(
            self,
            applied=(*self.applied, *ours),
            unacknowledged=self.unacknowledged.difference(ours),
            refused={key: each for key, each in self.refused.items() if key not in others},
        )
        return ledger, others | dict.fromkeys(ours, "its reply was lost")

    def due(self, changes: ChangeSet) -> ChangeSet:
        """Return those of *changes* that this call has not applied yet.

        A swap removes one role from a profile, then adds another. If this call has added its role
        already, it does not add it again. So it does not remove the other role either: that would
        leave the profile empty.
        """
        applied = set(self.applied)
        new = tuple(
            each for each in changes if each not in applied and each.leads_to not in applied
        )
        return changes if len(new) == len(changes) else attrs.evolve(changes, changes=new)


def arns_in(request: Request, reply: Reply) -> Iterable[str]:
    """Yield the ARN of the entity in *reply*, in lower case; nothing if it has no ARN."""
    entity = reply.content.get(request.row.result)
    if isinstance(entity, Mapping) and "Arn" in entity:
        yield str(entity["Arn"]).lower()


def _apply_rules(
    refused: Mapping[Change, RefusedChange], known: Known
) -> Mapping[Change, RefusedChange]:
    """Look up the rule of each refusal again, with what is known now."""
    return {
        change: attrs.evolve(each, rule=rule_for(each.request, each.refusal, known))
        for change, each in refused.items()
    }
