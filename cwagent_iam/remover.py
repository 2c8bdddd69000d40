"""Removal: which entities may be deleted, and in which order; the counterpart of the differ.

A managed entity is deleted, unless it has dependents that intent does not name. An unmanaged entity
is never deleted. It is a conflict, or, with ``existing="attach"``, it keeps everything but the
attachments and the membership that intent names. No record says who added those: they are removed
even if they existed before. Only its service can remove anything from a service-linked role: if
something that intent names is attached to such a role, it is a conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import attrs

from cwagent_iam.arguments import refuse
from cwagent_iam.changes import Change, ChangeSet, DeleteAccessKey, RemoveRoleFromInstanceProfile
from cwagent_iam.changes.operations import DELETE, DELETE_INLINE, DETACH
from cwagent_iam.differ.owning import service_linked
from cwagent_iam.errors import Conflict, ConflictError, Problem
from cwagent_iam.policies import without
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, User

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cwagent_iam.state import Entity, State

AccessKeys: TypeAlias = Literal["refuse", "delete"]
"""How to treat access keys of the users to delete: raise an error, or delete the keys too."""

ExistingToRemove: TypeAlias = Literal["refuse", "attach"]
"""How to treat an unmanaged entity: refuse, or undo what ``"attach"`` added to it."""

_FOREIGN = f"exists without the tag {'='.join(MANAGED_TAG)}: it is not managed"
_LEAVE = (
    "It is left alone: delete it yourself, or name something else. "
    'With existing="attach" it stays, without the attachments and membership that you name.'
)
_OTHER_CASE = "is not what was named: it has another letter case"
_LEAVE_OTHER_CASE = "It is left alone: use its exact letter case."
_HOLDS_LINKED = "holds a service-linked role"
_LEAVE_LINKED = "No choice would do: it is left alone, name something else."
_ACCESS_KEY = "access key "
_FREE = "Remove these first, then call again."
_FREE_KEYS = f'{_FREE} With access_keys="delete" all keys are deleted too, used or not.'


def check_choice(access_keys: object, existing: object = "refuse") -> None:
    """Check the arguments *access_keys* and *existing* of `removal`.

    Raises:
        IntentError: If an argument is invalid. It lists all problems.
    """
    problems = []
    if access_keys not in get_args(AccessKeys):
        rule = "must be 'refuse' or 'delete'"
        problems.append(Problem.of("access_keys", access_keys, rule))
    if existing not in get_args(ExistingToRemove):
        rule = "must be 'refuse' or 'attach': no other choice can remove from an unmanaged entity"
        problems.append(Problem.of("existing", existing, rule))
    refuse(problems)


def removal(
    desired: State,
    observed: State,
    *,
    access_keys: AccessKeys = "refuse",
    existing: ExistingToRemove = "refuse",
) -> ChangeSet:
    """Return the changes that delete the managed entities of *desired*, with their policies.

    Args:
        desired: The desired state, as a planner returns it.
        observed: The observed state of its entities, with their dependents.
        access_keys: How to treat the access keys of managed users: ``"refuse"`` raises;
            ``"delete"`` deletes them. The keys of unmanaged users stay.
        existing: How to treat an unmanaged entity: ``"refuse"`` raises; ``"attach"`` removes
            exactly the attachments and the membership that *desired* names, and keeps the rest.

    Returns:
        The changes, in the order that IAM needs; none if there is nothing to remove.

    Raises:
        ConflictError: If an entity must not be removed: it is unmanaged, has dependents that
            *desired* does not name, or only its service can remove it.
        IntentError: If *access_keys* or *existing* is invalid.
    """
    check_choice(access_keys, existing)
    way = _Way(
        access_keys,
        existing,
        linked=service_linked(observed),
        going=frozenset(entity.target for entity in desired.entities),
        keeping=_keeping(desired, observed),
    )
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    for entity in desired.entities:
        seen = observed.find(type(entity), entity.name)
        if seen is None:
            continue
        steps = tuple(_deletion(seen) if seen.managed else _detachment(entity, seen))
        conflict = way.conflict(entity, seen, steps)
        conflicts += [conflict] if conflict else []
        changes += steps
    if conflicts:
        raise ConflictError(conflicts=tuple(conflicts))
    return ChangeSet.ordered(changes, observed)


@attrs.frozen
class _Way:
    """The options of one removal, and the facts that decide what conflicts with it.

    Attributes:
        access_keys: How to treat the access keys of managed users.
        existing: How to treat an unmanaged entity.
        linked: The kinds and names of the service-linked roles.
        going: The kinds and names of all entities that intent names.
        keeping: Of these, the unmanaged profiles that keep their role, by the role's name.
    """

    access_keys: AccessKeys
    existing: ExistingToRemove
    linked: frozenset[str]
    going: frozenset[str]
    keeping: Mapping[str, set[str]]

    def conflict(self, entity: Entity, seen: Entity, steps: Sequence[Change]) -> Conflict | None:
        """Return the conflict of *steps*, which remove *entity*; `None` if there is none."""
        linked = self.linked
        kept = [step.detail for step in steps if not linked.isdisjoint(step.needs)]
        if kept:
            whose = f"belongs to {seen.owner}" if isinstance(seen, Role) else _HOLDS_LINKED
            reason = f"{whose}; only its service can remove {', '.join(kept)}"
            return Conflict(seen.target, reason, (), _LEAVE_LINKED)
        if not seen.managed and self.existing == "refuse":
            reason = f"belongs to {seen.owner}: it is not managed" if seen.owner else _FOREIGN
            return Conflict(seen.target, reason, (), _LEAVE)
        if seen.name != entity.name:
            return Conflict(seen.target, _OTHER_CASE, (), _LEAVE_OTHER_CASE)
        obstacles = self._obstacles(entity, seen)
        if not obstacles:
            return None
        reason = f"is still used: {', '.join(sorted(obstacles))}"
        keys = any(each.startswith(_ACCESS_KEY) for each in obstacles)
        return Conflict(seen.target, reason, (), _FREE_KEYS if keys else _FREE)

    def _obstacles(self, entity: Entity, seen: Entity) -> frozenset[str]:
        """Return the dependents that prevent the deletion of *seen*; none if it is unmanaged."""
        if not seen.managed:
            return frozenset()
        hanging = frozenset(_hanging(entity, seen))
        if isinstance(seen, User) and self.access_keys == "refuse":
            hanging |= {f"{_ACCESS_KEY}{key.access_key_id}" for key in seen.access_keys}
        # Not `hanging - (going - kept)`: that would iterate over all of `going` each time.
        return (hanging - self.going) | (hanging & self.keeping.get(seen.name, frozenset()))


def _keeping(desired: State, observed: State) -> dict[str, set[str]]:
    """Return the unmanaged profiles that keep their role, by the name of the role."""
    keeping: dict[str, set[str]] = {}
    for entity in desired.entities:
        seen = observed.find(type(entity), entity.name)
        if isinstance(entity, InstanceProfile) and isinstance(seen, InstanceProfile):
            inside = seen.role_name
            if inside and not seen.managed and inside != entity.role_name:
                keeping.setdefault(inside, set()).add(entity.target)
    return keeping


def _hanging(entity: Entity, seen: Entity) -> Iterator[str]:
    """Yield the policies, the role and other dependents of *seen* that *entity* does not name."""
    if isinstance(entity, (Role, User)) and isinstance(seen, (Role, User)):
        named = {f"inline policy {policy.name}" for policy in entity.inline_policies}
        yield from seen.dependents - named
        for policy in without(seen.policies, entity.policies):
            yield f"policy {policy}"
        yield from {f"inline policy {policy.name}" for policy in seen.inline_policies} - named
    if isinstance(entity, InstanceProfile) and isinstance(seen, InstanceProfile):
        yield from seen.dependents
        if seen.role_name not in {None, entity.role_name}:
            yield f"role {seen.role_name}"


def _deletion(seen: Entity) -> Iterator[Change]:
    kind, name = type(seen), seen.name
    if isinstance(seen, InstanceProfile):
        if seen.role_name is not None:
            yield RemoveRoleFromInstanceProfile(name=name, role_name=seen.role_name)
    else:
        for policy in sorted(seen.policies):
            yield DETACH[kind](name=name, policy=policy)
        for inline in sorted(seen.inline_policies, key=str):
            yield DELETE_INLINE[kind](name=name, policy=inline)
    if isinstance(seen, User):
        for key in seen.access_keys:
            yield DeleteAccessKey(name=name, access_key_id=key.access_key_id)
    yield DELETE[kind](name=name)


def _detachment(entity: Entity, seen: Entity) -> Iterator[Change]:
    """Yield the changes that remove from *seen* what *entity* names; *seen* itself stays."""
    part = seen
    if isinstance(entity, (Role, User)) and isinstance(seen, (Role, User)):
        named = seen.policies - without(seen.policies, entity.policies)
        inline = seen.inline_policies & entity.inline_policies
        part = attrs.evolve(seen, policies=named, inline_policies=inline)
    if isinstance(entity, InstanceProfile) and isinstance(seen, InstanceProfile):
        inside = seen.role_name if seen.role_name == entity.role_name else None
        part = attrs.evolve(seen, role_name=inside)
    for change in _deletion(part):
        if not change.deletes and not isinstance(change, DeleteAccessKey):
            yield change
