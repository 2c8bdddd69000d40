"""Premises of a ChangeSet: whether they still hold, and which changes remain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.changes import PutRolePolicy, PutUserPolicy, TagInstanceProfile, TagRole, TagUser
from cwagent_iam.changes.base import is_same
from cwagent_iam.documents import Document
from cwagent_iam.errors import Conflict, ConflictError, Difference
from cwagent_iam.state import InstanceProfile, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.changes import Change, ChangeSet
    from cwagent_iam.state import Entity, State

_ADVICE = "Preview again, and apply what that returns."
_ACCOUNT = "is not the account that the changes were computed for"
_CHANGED = "is no longer as it was when the changes were computed"

# The fields that decide what any change to the entity means: who may assume the role, what limits
# it, and which role the profile has. If one of them changed, the preview no longer holds.
_PREMISES = ("path", "trust", "permissions_boundary", "role_name")
_NONE_IS_A_VALUE = {"permissions_boundary", "role_name"}


def entities_to_read(changes: ChangeSet) -> tuple[Entity, ...]:
    """Return the entities that *changes* were computed from or name, with their inline policies."""
    before, after = changes.observed.entities, changes.after().entities
    found: dict[str, Entity] = {}
    for entity in (*after, *before, *map(_named, changes)):
        known = found.setdefault(entity.target.lower(), entity)
        if not isinstance(known, InstanceProfile) and not isinstance(entity, InstanceProfile):
            inline = known.inline_policies | entity.inline_policies
            found[entity.target.lower()] = attrs.evolve(known, inline_policies=inline)
    return tuple(found.values())


def _named(change: Change) -> Entity:
    """Return an entity of the kind and name that *change* is for, without other fields."""
    if issubclass(change.kind, Role):
        return Role(name=change.name, trust=Document.parse({}))
    return change.kind(name=change.name)


def remaining_changes(changes: ChangeSet, now: State) -> ChangeSet:
    """Return those of *changes* that *now* does not show yet.

    Entities that no change concerns are compared too: a change may depend on them.

    Raises:
        ConflictError: If ownership, the account, or a field in `_PREMISES` is no longer as it was
            when *changes* were computed.
    """
    before = changes.observed
    if before.account_id and now.account_id not in {"", before.account_id}:
        conflict = Conflict(f"account {now.account_id}", _ACCOUNT, (), _ADVICE)
        raise ConflictError(conflicts=(conflict,))
    left = tuple(change for change in changes if not change.is_done_in(now))
    remaining = set(left)
    done = attrs.evolve(changes, changes=tuple(each for each in changes if each not in remaining))
    expected, found = (
        {each.target.lower(): each for each in state.entities} for state in (done.after(), now)
    )
    due: dict[str, list[Change]] = {each.target: [] for each in (*before.entities, *changes)}
    for change in left:
        due[change.target].append(change)
    conflicts: list[Conflict] = []
    for target, some in due.items():
        pair = expected.get(target.lower()), found.get(target.lower())
        differences = tuple(_differences(*pair, some))
        if differences:
            conflicts.append(Conflict(target, _CHANGED, differences, _ADVICE))
    if conflicts:
        raise ConflictError(conflicts=tuple(conflicts))
    return attrs.evolve(changes, changes=left, observed=now)


def _differences(
    expected: Entity | None, found: Entity | None, remaining: list[Change]
) -> Iterator[Difference]:
    """Yield how *found* differs from *expected*, in the fields that *remaining* depend on."""
    if expected is None or found is None:
        if expected is not found:
            words = ("exists", "does not exist")
            yield Difference("existence", *(words[each is None] for each in (expected, found)))
        return
    if _ownership(expected) != _ownership(found):
        yield Difference("ownership", _ownership(expected), _ownership(found))
    set_anew = (field for each in remaining for field in each.sets.values() if field != "tags")
    for field in dict.fromkeys([*_PREMISES, *set_anew]):
        wanted, held = getattr(expected, field, None), getattr(found, field, None)
        named = wanted is not None or field in _NONE_IS_A_VALUE
        if named and not is_same(held, wanted):
            yield Difference(field.replace("_", " "), str(wanted or "none"), str(held or "none"))
    for change in remaining:
        yield from _part_differences(change, expected, found)


def _part_differences(change: Change, expected: Entity, found: Entity) -> Iterator[Difference]:
    """Yield the differences in the inline policy or the tags that *change* replaces."""
    if isinstance(change, (PutRolePolicy, PutUserPolicy)):
        named = [
            {str(each) for each in entity.inline_policies if each.name == change.policy.name}
            for entity in (expected, found)
            if not isinstance(entity, InstanceProfile)
        ]
        if named[0] != named[1]:
            yield Difference("inline policies", *(", ".join(each) or "none" for each in named))
    if isinstance(change, (TagRole, TagUser, TagInstanceProfile)):
        wanted, held = dict(expected.tags), dict(found.tags)
        for key, _ in change.tags:
            if wanted.get(key) != held.get(key):
                yield Difference(f"tag {key}", str(wanted.get(key)), str(held.get(key)))


def _ownership(entity: Entity) -> str:
    return "managed" if entity.managed else entity.owner or "not managed"
