"""What may be taken away, and in which order; the counterpart of the differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never, get_args

from cwagent_iam.changes import (
    Change,
    ChangeSet,
    DeleteAccessKey,
    DeleteInstanceProfile,
    DeleteRole,
    DeleteUser,
    DetachRolePolicy,
    DetachUserPolicy,
    RemoveRoleFromInstanceProfile,
)
from cwagent_iam.errors import Conflict, ConflictError, IntentError, Problem
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.state import Entity, State

AccessKeys: TypeAlias = Literal["refuse", "delete"]
"""What to do about the access keys of users that are to be removed."""

_FOREIGN = f"exists without the tag {'='.join(MANAGED_TAG)}: it is not managed."
_LEAVE = "It is left alone: delete it yourself, or name something else."
_FREE = "Take these away yourself, then call again."
_FREE_KEYS = f'{_FREE} With access_keys="delete" all keys are deleted too, used or not.'


def check_choice(access_keys: object) -> None:
    """See whether *access_keys* is something to do about them.

    Raises:
        IntentError: When it is not.
    """
    if access_keys not in get_args(AccessKeys):
        rule = "must be 'refuse' or 'delete'"
        raise IntentError(problems=(Problem.of("access_keys", access_keys, rule),))


def removal(desired: State, observed: State, *, access_keys: AccessKeys = "refuse") -> ChangeSet:
    """Plan to take away what *desired* names, as far as it is managed and nothing else needs it.

    Args:
        desired: What a planner returned.
        observed: What the observer saw of it, with everything that hangs on it.
        access_keys: What to do about the access keys of users: ``"refuse"`` or ``"delete"``.

    Returns:
        The changes that remove it, in the order that IAM needs; empty when it is absent.

    Raises:
        ConflictError: When something is not managed, or something foreign hangs on it.
    """
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    for entity in desired.entities:
        seen = observed.find(type(entity), entity.name)
        if seen is None:
            continue
        if not seen.managed:
            conflicts.append(Conflict(seen.target, _FOREIGN, (), _LEAVE))
        elif obstacles := _obstacles(entity, seen, desired, access_keys):
            reason = f"is still used: {', '.join(sorted(obstacles))}."
            keys = isinstance(seen, User) and seen.access_keys and access_keys == "refuse"
            conflicts.append(Conflict(seen.target, reason, (), _FREE_KEYS if keys else _FREE))
        changes += _deletion(seen)
    if conflicts:
        raise ConflictError(conflicts=tuple(conflicts))
    return ChangeSet.ordered(changes, observed)


def _obstacles(
    entity: Entity, seen: Entity, desired: State, access_keys: AccessKeys
) -> frozenset[str]:
    """Name what hangs on *seen* and is not taken away with it."""
    if seen.name != entity.name:
        return frozenset({f"as {seen.name}, in another letter case"})
    hanging = _hanging(seen)
    if isinstance(seen, User) and access_keys == "refuse":
        hanging |= {f"access key {key}" for key in seen.access_keys}
    return hanging - _hanging(entity) - {each.target for each in desired.entities}


def _hanging(entity: Entity) -> frozenset[str]:
    if not isinstance(entity, InstanceProfile):
        return entity.dependents | {f"policy {policy}" for policy in entity.policies}
    return entity.dependents | ({f"role {entity.role_name}"} if entity.role_name else set())


def _deletion(seen: Entity) -> Iterator[Change]:
    match seen:
        case Role():
            for policy in sorted(seen.policies):
                yield DetachRolePolicy(name=seen.name, policy=policy)
            yield DeleteRole(name=seen.name)
        case User():
            for policy in sorted(seen.policies):
                yield DetachUserPolicy(name=seen.name, policy=policy)
            for key in sorted(seen.access_keys):
                yield DeleteAccessKey(name=seen.name, access_key_id=key)
            yield DeleteUser(name=seen.name)
        case InstanceProfile():
            if seen.role_name is not None:
                yield RemoveRoleFromInstanceProfile(name=seen.name, role_name=seen.role_name)
            yield DeleteInstanceProfile(name=seen.name)
        case _:
            assert_never(seen)
