"""Everything that is desired against everything that was seen, to one set of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.arguments import refuse
from cwagent_iam.changes import ChangeSet
from cwagent_iam.changes.operations import CREATE
from cwagent_iam.differ.comparing import extras, gaps
from cwagent_iam.differ.owning import (
    as_far_as_iam_lets,
    choice_problems,
    conflict_of,
    is_ours,
    service_linked,
)
from cwagent_iam.errors import Conflict, ConflictError, Problem
from cwagent_iam.state import MANAGED_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.changes import Change
    from cwagent_iam.differ.owning import Attachments, Existing
    from cwagent_iam.state import State


def diff(
    desired: State,
    observed: State,
    *,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
) -> ChangeSet:
    """Compare *desired* with *observed* state.

    >>> from cwagent_iam import plan_agent_user
    >>> from cwagent_iam.state import State
    >>> print(diff(plan_agent_user("OnPrem"), State()))
    + CreateUser OnPrem: tags ManagedBy=cwagent-iam
    + AttachUserPolicy OnPrem: CloudWatchAgentServerPolicy
    2 to add, 0 to change, 0 to remove.

    Args:
        desired: What a planner returned.
        observed: What `observe` returned for it.
        existing: How to treat a role, user or profile that exists and is not managed.
            ``"refuse"`` and ``"verify"`` use it as it is if it does what is desired, and raise
            otherwise; ``"attach"`` adds missing policies and membership; ``"adopt"`` gives it the
            tag and repairs it, and puts the role into a profile that holds another.
        attachments: ``"additive"`` leaves alone, and reports, what is attached beyond intent;
            ``"exclusive"`` detaches it, after attaching what is missing.

    Returns:
        The changes that lead from *observed* to *desired*, in the order that IAM needs, with the
        extras that stay, and the findings of *desired*.

    Raises:
        ConflictError: When something that exists stands in the way. It lists everything.
        IntentError: When there is no such choice; or when *desired* was built by hand and lacks
            the tag of what is managed, or is something that only AWS makes.
    """
    refuse(choice_problems(existing, attachments), unmakeable_problems(desired))
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    linked = service_linked(observed)
    for entity in desired.entities:
        seen = observed.find(type(entity), entity.name)
        if seen is None:
            creation = CREATE[type(entity)].of(entity)
            changes.append(creation)
            seen = creation.created
        ours, exclusive = is_ours(seen, existing), attachments == "exclusive"
        compared = gaps(entity, seen, ours=ours, exclusive=exclusive)
        found = tuple(as_far_as_iam_lets(gap, seen, linked) for gap in compared)
        conflict = conflict_of(seen, found, existing)
        conflicts += [conflict] if conflict else []
        changes += [change for gap in found for change in gap.changes]
    if conflicts:
        raise ConflictError(conflicts=tuple(conflicts))
    ordered = ChangeSet.ordered(changes, observed)
    there = {entity.target for entity in observed.entities}  # what is created has no extras
    kept = attrs.evolve(ordered, changes=tuple(each for each in ordered if each.target in there))
    more = extras(desired, kept.after())
    return attrs.evolve(ordered, extras=more, findings=desired.findings)


def unmakeable_problems(desired: State) -> Iterator[Problem]:
    """Check that all entities of *desired* can be recognised as managed afterwards."""
    for entity in desired.entities:
        if entity.owner:
            rule = f"must not be what belongs to {entity.owner}"
            yield Problem.of("desired", entity.target, rule)
        elif not entity.managed:
            rule = f"must carry the tag {'='.join(MANAGED_TAG)}, as what planners return does"
            yield Problem.of("desired", entity.target, rule)
