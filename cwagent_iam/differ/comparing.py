"""Comparison of a desired entity with the seen one: differences, their repairs, and extras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    Extra,
    RemoveRoleFromInstanceProfile,
    UpdateAssumeRolePolicy,
    UpdateRole,
)
from cwagent_iam.changes.base import is_same, line_ends, tags_text
from cwagent_iam.changes.operations import ATTACH, BOUND, DETACH, PUT, TAG, UNBOUND
from cwagent_iam.documents import Document
from cwagent_iam.errors import Difference
from cwagent_iam.policies import without
from cwagent_iam.state import InstanceProfile, Role, User
from cwagent_iam.trust import UNIQUE_ID, trust_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.changes import Change
    from cwagent_iam.state import Boundary, Entity, Principal, State

Mend: TypeAlias = Literal["attach", "repair", "detach", "swap", "service", "none"]
"""The kind of change that repairs a difference.

``"attach"`` adds what is missing. ``"repair"`` changes or clears a field. ``"detach"`` detaches an
extra policy. ``"swap"`` puts another role into a profile. For ``"service"`` only an AWS service can
repair it, and for ``"none"`` no change can.
"""

DEFAULT_SESSION_SECONDS = 3600
_BOUNDARY = "permissions boundary"


@attrs.frozen
class Gap:
    """A difference, the kind of change that repairs it, and the changes themselves."""

    difference: Difference
    mend: Mend
    changes: tuple[Change, ...] = ()


def gaps(desired: Entity, seen: Entity, *, ours: bool, exclusive: bool) -> Iterator[Gap]:
    """Compare what intent names.

    Args:
        desired: How it should be.
        seen: How it is.
        ours: Whether it is managed or to be: compared for equality; otherwise for containment.
        exclusive: Whether only the desired policies may be attached.
    """
    if seen.name != desired.name:
        yield Gap(Difference("name", desired.name, seen.name), "none")
    found_path = seen.path or "/"
    if desired.path not in {None, found_path}:
        yield Gap(Difference("path", str(desired.path), found_path), "none")
    if isinstance(desired, InstanceProfile) and isinstance(seen, InstanceProfile):
        yield from _membership_gaps(desired, seen)
    if isinstance(desired, (Role, User)) and isinstance(seen, (Role, User)):
        yield from _boundary_gaps(desired, seen)
    if isinstance(desired, Role) and isinstance(seen, Role):
        yield from _trust_gaps(desired, seen, ours=ours)
        yield from _update_role_gaps(desired, seen)
    if isinstance(desired, (Role, User)) and isinstance(seen, (Role, User)):
        yield from _attachment_gaps(desired, seen, exclusive=exclusive)
        yield from _inline_gaps(desired, seen)
        yield from _unbounded_gaps(desired, seen)
    if ours:
        yield from _tag_gaps(desired, seen)


def extras(desired: State, observed: State) -> tuple[Extra, ...]:
    """Tell what *observed* has beyond *desired*, of the things that both name.

    Args:
        desired: What a planner returned.
        observed: What `observe` returned for it.

    Returns:
        The policies that are attached beyond intent, and the statements of trusts likewise.
    """
    both = ((entity, observed.find(type(entity), entity.name)) for entity in desired.entities)
    return tuple(extra for wanted, seen in both if seen for extra in _extras(wanted, seen))


def _extras(desired: Entity, seen: Entity) -> Iterator[Extra]:
    if isinstance(desired, (Role, User)) and isinstance(seen, (Role, User)):
        for policy in sorted(without(seen.policies, desired.policies)):
            yield Extra(seen.target, "policies", policy)
    if isinstance(desired, Role) and isinstance(seen, Role) and desired.trust != seen.trust:
        known, found = _apart(desired.trust), _apart(seen.trust)
        for statement in sorted((found[each] for each in found.keys() - known.keys()), key=str):
            yield Extra(seen.target, "trust", statement, _deleted(statement))


def _apart(document: Document) -> dict[object, Document]:
    """Return a document for each statement, by what it says; no policy document stays whole."""
    if isinstance(document.statements, str):
        return {document.statements: document}
    content = document.content()
    apart = (Document.parse(content | {"Statement": each}) for each in content["Statement"])
    return {each.statements: each for each in apart}


def _trust_gaps(desired: Role, seen: Role, *, ours: bool) -> Iterator[Gap]:
    trusted = desired.trust == seen.trust if ours else seen.trust.holds(desired.trust)
    if not trusted:
        deleted = _deleted(seen.trust)
        observed = f"{seen.trust} ({deleted})" if deleted else str(seen.trust)
        difference = Difference("trust", str(desired.trust), observed)
        change = UpdateAssumeRolePolicy(
            name=seen.name, trust=desired.trust, differences=(difference,)
        )
        yield Gap(difference, "repair", (change,))


def _deleted(trust: Document) -> str:
    """Say which principals of *trust* were deleted; empty if none is known to be."""
    dead = [each for each in trust_findings(trust) if each.kind == "dead"]
    return " ".join(f"{each.about}: {each.sentence}" for each in dead)


def _update_role_gaps(desired: Role, seen: Role) -> Iterator[Gap]:
    description, wanted_description = seen.description or "", line_ends(desired.description or "")
    if desired.description is None or wanted_description == line_ends(description):
        wanted_description = description
    seconds = seen.max_session_duration or DEFAULT_SESSION_SECONDS
    wanted_seconds = desired.max_session_duration or seconds
    differences = []
    if wanted_description != description:
        differences.append(Difference("description", repr(wanted_description), repr(description)))
    if wanted_seconds != seconds:
        differences.append(
            Difference("max session duration", f"{wanted_seconds} s", f"{seconds} s")
        )
    change = UpdateRole(
        name=seen.name,
        description=wanted_description,
        max_session_duration=wanted_seconds,
        differences=tuple(differences),
    )
    for difference in differences:
        yield Gap(difference, "repair", (change,))


def _boundary_gaps(desired: Principal, seen: Principal) -> Iterator[Gap]:
    """Set a boundary before anybody is let in, or anything attached, that it is to limit."""
    wanted, held = desired.permissions_boundary, seen.permissions_boundary
    if wanted and not is_same(held, wanted):
        difference = Difference(_BOUNDARY, str(wanted), _boundary_text(held))
        bound = BOUND[type(seen)]
        change = bound(name=seen.name, policy=wanted, differences=(difference,))
        yield Gap(difference, "repair", (change,))


def _unbounded_gaps(desired: Principal, seen: Principal) -> Iterator[Gap]:
    """Clear a boundary after everything is detached that it may have limited."""
    if desired.permissions_boundary == "" and seen.permissions_boundary:
        difference = Difference(_BOUNDARY, "none", _boundary_text(seen.permissions_boundary))
        change = UNBOUND[type(seen)](name=seen.name, differences=(difference,))
        yield Gap(difference, "repair", (change,))


def _boundary_text(boundary: Boundary | None) -> str:
    if not boundary:
        return "none"
    if boundary.account == "aws" and UNIQUE_ID.fullmatch(boundary.name):
        return f"{boundary} (This is the unique id of something that was deleted.)"
    return str(boundary)


def _attachment_gaps(desired: Principal, seen: Principal, *, exclusive: bool) -> Iterator[Gap]:
    for policy in sorted(without(desired.policies, seen.policies)):
        difference = Difference("policies", str(policy), "not attached")
        attach = ATTACH[type(seen)](name=seen.name, policy=policy)
        yield Gap(difference, "attach", (attach,))
    for policy in sorted(without(seen.policies, desired.policies)) if exclusive else ():
        difference = Difference("policies", "not attached", str(policy))
        detach = DETACH[type(seen)](name=seen.name, policy=policy)
        yield Gap(difference, "detach", (detach,))


def _inline_gaps(desired: Principal, seen: Principal) -> Iterator[Gap]:
    held = {policy.name: policy for policy in seen.inline_policies}
    for policy in sorted(
        desired.inline_policies - seen.inline_policies, key=lambda policy: policy.name
    ):
        found = held.get(policy.name)
        difference = Difference("inline policies", str(policy), str(found or "none"))
        differences = (difference,) if found else ()
        change = PUT[type(seen)](name=seen.name, policy=policy, differences=differences)
        yield Gap(difference, "repair" if found else "attach", (change,))


def _membership_gaps(desired: InstanceProfile, seen: InstanceProfile) -> Iterator[Gap]:
    wanted, inside = desired.role_name, seen.role_name
    if wanted is None or wanted == inside:
        return
    add = AddRoleToInstanceProfile(name=seen.name, role_name=wanted)
    difference = Difference("role", wanted, inside or "none")
    if inside is None:
        yield Gap(difference, "attach", (add,))
    else:
        remove = RemoveRoleFromInstanceProfile(name=seen.name, role_name=inside, replaced_by=wanted)
        yield Gap(difference, "swap", (remove, add))


def _tag_gaps(desired: Entity, seen: Entity) -> Iterator[Gap]:
    """Compare values by key; where a key is held in another letter case only, that is the one."""
    held = {key.lower(): (key, value) for key, value in seen.tags}
    held |= {key: (key, value) for key, value in seen.tags}
    named = ((tag, held.get(tag[0], held.get(tag[0].lower()))) for tag in desired.tags)
    changed = [(tag, old) for tag, old in named if old is None or old[1] != tag[1]]
    if changed:
        missing = tuple((old[0] if old else tag[0], tag[1]) for tag, old in changed)
        replaced = tuple(old for _, old in changed if old)
        difference = Difference("tags", tags_text(missing), tags_text(replaced) or "none")
        change = TAG[type(seen)](name=seen.name, tags=missing, differences=(difference,))
        yield Gap(difference, "repair", (change,))
