"""Desired and observed state to the changes between them, and who may be changed at all.

Ownership decides first. What carries our tag is managed: every field that intent names is
compared for equality and mended. What exists without it is somebody else's: if it does what
intent needs it is used as it is, otherwise it is a conflict, and nothing is changed. What can
never be changed (a path, the letter case of a name) and what others rely on (another role in the
instance profile) is a conflict in either case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import attrs

from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AttachRolePolicy,
    AttachUserPolicy,
    Change,
    ChangeSet,
    CreateInstanceProfile,
    CreateRole,
    CreateUser,
    PutRolePermissionsBoundary,
    PutUserPermissionsBoundary,
    TagInstanceProfile,
    TagRole,
    TagUser,
    UpdateAssumeRolePolicy,
    UpdateRole,
)
from cwagent_iam.changes.base import tags_text
from cwagent_iam.errors import Conflict, ConflictError, Difference, IntentError, Problem
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, User

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cwagent_iam.state import Entity, Principal, State

DEFAULT_SESSION_SECONDS = 3600
_ATTACH: dict[type[Principal], type[AttachRolePolicy | AttachUserPolicy]] = {
    Role: AttachRolePolicy,
    User: AttachUserPolicy,
}
_PUT_BOUNDARY: dict[
    type[Principal], type[PutRolePermissionsBoundary | PutUserPermissionsBoundary]
] = {
    Role: PutRolePermissionsBoundary,
    User: PutUserPermissionsBoundary,
}
_TAG: dict[type[Entity], type[TagRole | TagUser | TagInstanceProfile]] = {
    Role: TagRole,
    User: TagUser,
    InstanceProfile: TagInstanceProfile,
}
_FOREIGN = f"exists without the tag {'='.join(MANAGED_TAG)}, and is not as desired:"
_ELSEWHERE = "Choose another name, or move it out of the way yourself."
_HAND_OVER = (
    "Choose another name, mend the differences yourself, "
    f"or hand it over by giving it the tag {'='.join(MANAGED_TAG)}."
)


@attrs.frozen
class _Gap:
    """One difference, and the change that mends it; `None` where nothing can."""

    difference: Difference
    change: Change | None


def diff(desired: State, observed: State) -> ChangeSet:
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

    Returns:
        The changes that lead from *observed* to *desired*, in the order that IAM needs.

    Raises:
        ConflictError: When something that exists stands in the way. It lists everything.
        IntentError: When *desired* was built by hand and lacks the tag of what is managed.
    """
    _refuse_untagged(desired)
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    for entity in desired.entities:
        seen = observed.find(type(entity), entity.name)
        if seen is None:
            changes.append(_create(entity))
            seen = _bare(entity)
        gaps = tuple(_gaps(entity, seen))
        conflicts += _conflicts(seen, gaps)
        changes += [gap.change for gap in gaps if gap.change]
    if conflicts:
        raise ConflictError(conflicts=tuple(conflicts))
    return ChangeSet.ordered(changes, observed)


def _refuse_untagged(desired: State) -> None:
    """Refuse to make what nobody could tell afterwards to be ours."""
    rule = f"must carry the tag {'='.join(MANAGED_TAG)}, as what planners return does"
    untagged = [entity.target for entity in desired.entities if not entity.managed]
    if untagged:
        raise IntentError(problems=tuple(Problem.of("desired", each, rule) for each in untagged))


def _create(entity: Entity) -> CreateRole | CreateUser | CreateInstanceProfile:
    match entity:
        case Role():
            return CreateRole(
                name=entity.name,
                path=entity.path,
                tags=entity.tags,
                trust=entity.trust,
                description=entity.description,
                max_session_duration=entity.max_session_duration,
                permissions_boundary=entity.permissions_boundary,
            )
        case User():
            return CreateUser(
                name=entity.name,
                path=entity.path,
                tags=entity.tags,
                permissions_boundary=entity.permissions_boundary,
            )
        case InstanceProfile():
            return CreateInstanceProfile(name=entity.name, path=entity.path, tags=entity.tags)
        case _:
            assert_never(entity)


def _bare(entity: Entity) -> Entity:
    """Return *entity* as its create call alone leaves it."""
    if isinstance(entity, InstanceProfile):
        return attrs.evolve(entity, role_name=None)
    return attrs.evolve(entity, policies=frozenset())


def _gaps(desired: Entity, seen: Entity) -> Iterator[_Gap]:
    """Compare what intent names; of what is not managed, ask only that it holds what we need."""
    if seen.name != desired.name:
        yield _Gap(Difference("name", desired.name, seen.name), None)
    if desired.path is not None and desired.path != (seen.path or "/"):
        yield _Gap(Difference("path", desired.path, seen.path or "/"), None)
    if isinstance(desired, Role) and isinstance(seen, Role):
        yield from _trust_gaps(desired, seen)
        yield from _update_role_gaps(desired, seen)
    if isinstance(desired, InstanceProfile) and isinstance(seen, InstanceProfile):
        yield from _membership_gaps(desired, seen)
    if isinstance(desired, (Role, User)) and isinstance(seen, (Role, User)):
        yield from _principal_gaps(desired, seen)
    if seen.managed:
        yield from _tag_gaps(desired, seen)


def _trust_gaps(desired: Role, seen: Role) -> Iterator[_Gap]:
    trusted = desired.trust == seen.trust if seen.managed else seen.trust.allows(desired.trust)
    if not trusted:
        difference = Difference("trust", str(desired.trust), str(seen.trust))
        change = UpdateAssumeRolePolicy(
            name=seen.name,
            trust=desired.trust,
            differences=(difference,),
        )
        yield _Gap(difference, change)


def _update_role_gaps(desired: Role, seen: Role) -> Iterator[_Gap]:
    description = _line_ends(seen.description or "")
    seconds = seen.max_session_duration or DEFAULT_SESSION_SECONDS
    wanted_description = _line_ends(
        description if desired.description is None else desired.description
    )
    wanted_seconds = desired.max_session_duration or seconds
    differences = []
    if wanted_description != description:
        differences.append(Difference("description", repr(wanted_description), repr(description)))
    if wanted_seconds != seconds:
        differences.append(
            Difference("max session duration", f"{wanted_seconds} s", f"{seconds} s")
        )
    for difference in differences:
        change = UpdateRole(
            name=seen.name,
            description=wanted_description,
            max_session_duration=wanted_seconds,
            differences=tuple(differences),
        )
        yield _Gap(difference, change)


def _line_ends(text: str) -> str:
    """Read every line end as XML does, in which IAM's replies come."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _principal_gaps(desired: Principal, seen: Principal) -> Iterator[_Gap]:
    wanted, held = desired.permissions_boundary, seen.permissions_boundary
    if wanted is not None and wanted != held:
        difference = Difference("permissions boundary", str(wanted), str(held or "none"))
        put = _PUT_BOUNDARY[type(seen)]
        yield _Gap(difference, put(name=seen.name, policy=wanted, differences=(difference,)))
    for policy in sorted(desired.policies - seen.policies):
        difference = Difference("policies", str(policy), "not attached")
        yield _Gap(difference, _ATTACH[type(seen)](name=seen.name, policy=policy))


def _membership_gaps(desired: InstanceProfile, seen: InstanceProfile) -> Iterator[_Gap]:
    if desired.role_name is not None and desired.role_name != seen.role_name:
        add = AddRoleToInstanceProfile(name=seen.name, role_name=desired.role_name)
        difference = Difference("role", desired.role_name, seen.role_name or "none")
        yield _Gap(difference, None if seen.role_name else add)


def _tag_gaps(desired: Entity, seen: Entity) -> Iterator[_Gap]:
    """Compare values by key; where a key is held in another letter case only, that is the one."""
    held = {key.lower(): (key, value) for key, value in seen.tags}
    held |= {key: (key, value) for key, value in seen.tags}
    named = ((tag, held.get(tag[0], held.get(tag[0].lower()))) for tag in desired.tags)
    changed = [(tag, old) for tag, old in named if old is None or old[1] != tag[1]]
    if changed:
        missing = tuple((old[0] if old else tag[0], tag[1]) for tag, old in changed)
        replaced = tuple(old for _, old in changed if old)
        difference = Difference("tags", tags_text(missing), tags_text(replaced) or "none")
        change = _TAG[type(seen)](name=seen.name, tags=missing, differences=(difference,))
        yield _Gap(difference, change)


def _conflicts(seen: Entity, gaps: Sequence[_Gap]) -> Iterator[Conflict]:
    fixed = tuple(gap.difference for gap in gaps if gap.change is None)
    if gaps and not seen.managed:
        differences = tuple(gap.difference for gap in gaps)
        yield Conflict(seen.target, _FOREIGN, differences, _ELSEWHERE if fixed else _HAND_OVER)
    elif fixed:
        yield Conflict(seen.target, "cannot be changed to what is desired:", fixed, _ELSEWHERE)
