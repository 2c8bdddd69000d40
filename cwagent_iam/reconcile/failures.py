"""Failures: the errors of a call that cannot go on, from its ledger and its last reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.changes import ChangeSet
from cwagent_iam.errors import (
    ApplyError,
    Conflict,
    ConflictError,
    CredentialsError,
    CwAgentIamError,
    PropagationTimeoutError,
    Refused,
    names_of,
)
from cwagent_iam.observing import facts_of
from cwagent_iam.requests import Interrupted, Unsent

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from cwagent_iam.changes import Change
    from cwagent_iam.reconcile.ledger import Ledger, RefusedChange
    from cwagent_iam.state import Entity, State


def told_by(stop: BaseException) -> BaseException:
    """Return the exception that the caller gets for *stop*, which ends a call."""
    return stop.__cause__ if isinstance(stop, Interrupted) and stop.__cause__ else stop


def add_facts(
    stop: BaseException, applied: tuple[Change, ...], doubtful: Collection[Change] = ()
) -> None:
    """Add to *stop*, which ends a call, what was applied and what may have been."""
    told = told_by(stop)
    if isinstance(told, CwAgentIamError):
        # A call within `on_event` may have failed, with changes of its own.
        told.applied = (*applied, *told.applied)
    elif applied:
        told.add_note(f"Already applied: {names_of(applied)}.")
    if doubtful:
        told.add_note(f"May have been applied: {names_of(sorted(doubtful, key=str))}.")


def refused_error(
    refused: Mapping[Change, RefusedChange], changes: ChangeSet, ledger: Ledger
) -> ApplyError | CredentialsError:
    """Return the error for the *refused* ones of *changes*; it describes a final refusal first."""
    order = sorted(refused.items(), key=lambda each: each[1].rule.verdict != "final")
    change, first = order[0]
    refusal = first.refusal
    facts = facts_of(first.request.operation, change.target, refusal)
    facts["refusals"] = tuple(
        Refused(**facts_of(entry.request.operation, each.target, entry.refusal))
        for each, entry in order
    )
    failure: ApplyError | CredentialsError
    if isinstance(refusal, Unsent):
        failure = CredentialsError(**facts, step=refusal.step)
    else:
        acknowledged = {change, *ledger.applied}
        failure = ApplyError(
            **facts,
            attempts=first.attempts,
            seconds=ledger.waited - first.since + refusal.seconds,
            remaining=(change, *(each for each in changes if each not in acknowledged)),
            overtaken=first.rule.verdict == "observe",
            doubtful=change in ledger.unacknowledged,
        )
    failure.__cause__ = refusal.error
    return failure


def split_errors(targets: Iterable[Entity], split: Container[str]) -> list[ConflictError]:
    """Return the conflict that reads disagree on the *targets* in *split*; none if it is empty."""
    advice = "Call again when IAM is consistent."
    reads = "is not the same in all reads"
    named = [each.target for each in targets if each.target.lower() in split]
    conflicts = tuple(Conflict(each, reads, (), advice) for each in named)
    return [ConflictError(conflicts=conflicts)] if conflicts else []


def propagation_timeout_error(
    decisions: Sequence[ChangeSet | ConflictError],
    copies: Sequence[State],
    looks: int,
    ledger: Ledger,
) -> PropagationTimeoutError:
    """Return the error for reads that did not show the goal in time.

    Args:
        decisions: The changes or the conflict that each of the last differing reads led to.
        copies: The states that these reads showed.
        looks: The number of rounds of reads.
        ledger: The ledger of the call.
    """
    missing = [change for each in decisions if isinstance(each, ChangeSet) for change in each]
    conflicts = [each.conflicts for each in decisions if isinstance(each, ConflictError)]
    last_miss = ledger.last_miss
    failure = PropagationTimeoutError(
        missing=tuple(dict.fromkeys(missing)),
        unformed=tuple(dict.fromkeys(each for copy in copies for each in copy.unformed)),
        conflicts=tuple(dict.fromkeys(each for some in conflicts for each in some)),
        attempts=looks,
        seconds=ledger.waited - ledger.last_write,
        last_error=last_miss.summary if last_miss else "",
    )
    failure.__cause__ = last_miss.error if last_miss else None
    return failure
