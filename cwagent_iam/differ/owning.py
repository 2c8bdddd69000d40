"""Ownership: who owns an entity, what the caller chose to do about it, and what that permits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import attrs

from cwagent_iam.arguments import refuse
from cwagent_iam.errors import Conflict, Problem
from cwagent_iam.state import MANAGED_TAG, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cwagent_iam.differ.comparing import Gap, Mend
    from cwagent_iam.state import Entity, State

Existing: TypeAlias = Literal["refuse", "adopt", "attach", "verify"]
"""How to treat an existing entity that is not managed."""

Attachments: TypeAlias = Literal["additive", "exclusive"]
"""How to treat attached policies that intent does not name: report them, or detach them."""

_MAY: dict[Existing, frozenset[Mend]] = {
    "refuse": frozenset(),
    "adopt": frozenset({"attach", "repair", "detach", "swap"}),
    "attach": frozenset({"attach"}),
    "verify": frozenset(),
}
_MANAGED: frozenset[Mend] = frozenset({"attach", "repair", "detach"})
_FOREIGN = f"exists without the tag {'='.join(MANAGED_TAG)}, and is not as desired"
_NOT_BY_ATTACHING = f"{_FOREIGN} in what attaching leaves alone"
_STUCK = "cannot be changed to what is desired"
_BOUND = "and is not as desired; IAM lets only that service change it"
_NOT_INTO = "cannot be as desired; IAM lets nobody put a service-linked role into it"
_NO_CHOICE = "No choice would do: choose another name."
_ELSEWHERE = "choose another name, name it as it is, or move it out of the way yourself"
_YOURSELF = "choose another name, or mend the differences yourself"
_AT_ITS_OWNER = "choose another name, or change it where it comes from"
_DOES: dict[Existing, str] = {
    "adopt": "gives it {tag} and mends it",
    "attach": "only adds missing policies and membership",
    "verify": "only compares, and never writes to it",
}
_LEAVES = "leaves the others attached"
_SWAP = "swaps the role; instances that run notice it later, when their credentials rotate"


@attrs.frozen
class Choices:
    """The choices of one call: how to treat unmanaged entities and extra policies.

    Attributes:
        existing: How to treat an existing entity that is not managed.
        attachments: Whether extra policies are reported (additive) or detached (exclusive).

    Raises:
        IntentError: When there is no such choice. It lists all that is wrong.
    """

    existing: Existing = "refuse"
    attachments: Attachments = "additive"

    def __attrs_post_init__(self) -> None:
        """Refuse what is no choice."""
        refuse(choice_problems(self.existing, self.attachments))


def choice_problems(existing: object, attachments: object) -> Iterator[Problem]:
    """Yield what is wrong with the two choices."""
    if existing not in get_args(Existing):
        rule = "must be 'refuse', 'adopt', 'attach' or 'verify'"
        yield Problem.of("existing", existing, rule)
    if attachments not in get_args(Attachments):
        yield Problem.of("attachments", attachments, "must be 'additive' or 'exclusive'")


def service_linked(observed: State) -> frozenset[str]:
    """Name the service-linked roles."""
    roles = (each for each in observed.entities if isinstance(each, Role))
    return frozenset(role.target for role in roles if role.service_linked)


def as_far_as_iam_lets(gap: Gap, seen: Entity, linked: frozenset[str]) -> Gap:
    """Return *gap* of *seen* as one that only a service can repair, if that takes a *linked* role.

    What need not be detached, if the caller chooses so, stays a matter of choice.
    """
    touched = frozenset({seen.target}).union(*(change.needs for change in gap.changes))
    if gap.mend == "detach" or touched.isdisjoint(linked):
        return gap
    return attrs.evolve(gap, mend="service")


def is_ours(seen: Entity, existing: Existing) -> bool:
    """Tell whether *seen* is managed, or is to be."""
    return seen.managed or (existing == "adopt" and not seen.owner)


def conflict_of(seen: Entity, gaps: Sequence[Gap], existing: Existing) -> Conflict | None:
    """Return what stands in the way of closing *gaps*, or `None` where all of them may be."""
    may = _MAY[existing] | (_MANAGED if seen.managed else frozenset())
    blocked = [gap for gap in gaps if gap.mend not in may]
    if any(gap.mend == "service" for gap in blocked):
        reason = f"belongs to {seen.owner}, {_BOUND}" if isinstance(seen, Role) else _NOT_INTO
    elif existing == "adopt" and seen.owner:
        reason, blocked = f"belongs to {seen.owner}, and is never adopted", [*gaps]
    elif not blocked:
        return None
    elif is_ours(seen, existing):
        reason = _STUCK
    elif seen.owner:
        reason = f"belongs to {seen.owner}, and is not as desired"
    else:
        reason = _NOT_BY_ATTACHING if existing == "attach" else _FOREIGN
    differences = tuple(gap.difference for gap in blocked)
    advice = _advice(seen, {gap.mend for gap in blocked}, existing)
    return Conflict(seen.target, reason, differences, advice)


def _advice(seen: Entity, mends: set[Mend], existing: Existing) -> str:
    """Name the choices that would do, then what else would, then the choices that would not."""
    if "service" in mends:
        return _NO_CHOICE
    choices = dict(_choices(seen, mends, existing))
    enough = [choice for choice, does in choices.items() if does]
    ways = [f"choose {'; '.join(f'{choice} ({choices[choice]})' for choice in enough)}"]
    by_hand = _ELSEWHERE if mends & {"none", "swap"} else _YOURSELF
    ways = [*(ways if enough else []), _AT_ITS_OWNER if seen.owner else by_hand]
    sentence = "; or ".join(ways)
    too_little = ", ".join(choice for choice in choices if choice not in enough)
    more = f" Not enough here: {too_little}." if too_little else ""
    return f"{sentence[0].upper()}{sentence[1:]}.{more}"


def _choices(seen: Entity, mends: set[Mend], existing: Existing) -> Iterator[tuple[str, str]]:
    """Yield each other choice, with what it does; with nothing, where that would be too little."""
    if is_ours(seen, existing):
        if seen.managed and mends == {"swap"}:
            yield 'existing="adopt"', _SWAP
        return
    for choice, does in _DOES.items():
        never = choice == "adopt" and seen.owner
        if choice != existing and not never:
            notes = [does.format(tag=_tag_of(seen))]
            notes += [_SWAP] if choice == "adopt" and "swap" in mends else []
            yield f'existing="{choice}"', "; ".join(notes) if mends <= _MAY[choice] else ""
    if "detach" in mends:
        others = mends - {"detach"}
        enough = others <= _MAY[existing] and existing != "adopt"
        yield 'attachments="additive"', _LEAVES if enough else ""
        if not enough and others <= _MAY["attach"]:
            both = 'existing="attach" with attachments="additive"'
            yield both, f"{_DOES['attach']}; {_LEAVES}"


def _tag_of(seen: Entity) -> str:
    """Say what tag *seen* is given, and in whose place."""
    held = {key.lower(): f"{key}={value}" for key, value in seen.tags}
    other = held.get(MANAGED_TAG[0].lower())
    return f"the tag in place of {other}" if other else "the tag"
