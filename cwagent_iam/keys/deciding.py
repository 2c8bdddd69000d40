"""What to do now about a user's access keys: it follows from what IAM and the store show.

.. code-block:: text

    the store holds ...        the user's other key ...        what is due
    ---------------------      -----------------------------   --------------------------------
    nothing, or a key          is none, or any                 Make, if there is room
    that is gone
    an inactive key            -                               Blocked: somebody must decide
    an active key              is none                         Make, once the held one is too old
                               is somebody's                   Make is due, but Blocked
                               is retiring, active             Deactivate, once it is unused
                               is retiring, inactive           Delete, once it was so for a while

A key is retiring if it is older than the held one, which has taken its place, or was never used,
as after a program that died before it could deliver it. Any other key is somebody's. One that is
younger than the held one gets an hour at least, since another program may be delivering it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from cwagent_iam.keys.facts import MOST_KEYS, KeyView, SeenKey

ON_ITS_WAY = 3600.0
"""For how long a new key that the store does not hold may be on its way to it, in seconds."""

Phase: TypeAlias = Literal["current", "settling", "grace"]
"""One key is enough; the old one may be in use; the old one is off, but can be brought back."""

Obstacle: TypeAlias = Literal[
    "no room", "held is inactive", "held is somebody else's", "in the way", "nothing to undo"
]


@attrs.frozen(kw_only=True)
class Terms:
    """How long the phases of a rotation are, in seconds.

    Attributes:
        max_age: How old a key may become.
        settle: How long the old key must have been unused before it is deactivated.
        grace: How long it stays inactive before it is deleted.
    """

    max_age: float
    settle: float
    grace: float


@attrs.frozen(kw_only=True)
class Keep:
    """The held key is good.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen(kw_only=True)
class Make:
    """A key is to be made and delivered.

    Attributes:
        replacing: The id that the store holds until then; `None` if none.
    """

    replacing: str | None


@attrs.frozen(kw_only=True)
class Blocked:
    """Nothing can be done without a decision of the caller's.

    Attributes:
        obstacle: Why.
        keys: The keys that it is about.
    """

    obstacle: Obstacle
    keys: tuple[SeenKey, ...]


@attrs.frozen(kw_only=True)
class Wait:
    """Nothing is due.

    Attributes:
        phase: What goes on meanwhile.
        due: When something will be due.
    """

    phase: Phase
    due: float


@attrs.frozen(kw_only=True)
class Deactivate:
    """The old key is to be deactivated, after a note of when.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen(kw_only=True)
class WriteNote:
    """The old key is inactive, and nobody has noted since when: it is to be noted now.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen(kw_only=True)
class Delete:
    """The old key is to be deleted.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen(kw_only=True)
class Reactivate:
    """The inactive key is to be brought back, after a note of when.

    Attributes:
        key: The key.
    """

    key: SeenKey


DeliveryStep: TypeAlias = Keep | Make | Blocked
RotationStep: TypeAlias = Make | Blocked | Wait | Deactivate | WriteNote | Delete


def step_to_deliver(view: KeyView) -> DeliveryStep:
    """Decide how the store comes to hold a good key; nothing is ever deactivated or deleted."""
    held = view.held_key
    if held is not None:
        inactive = Blocked(obstacle="held is inactive", keys=(held,))
        return Keep(key=held) if held.active else inactive
    if view.owner is not None:
        return Blocked(obstacle="held is somebody else's", keys=())
    if len(view.keys) >= MOST_KEYS:
        return Blocked(obstacle="no room", keys=view.keys)
    return Make(replacing=view.held)


def step_to_rotate(view: KeyView, terms: Terms) -> RotationStep:
    """Decide what is due, or when something will be."""
    first = step_to_deliver(view)
    if not isinstance(first, Keep):
        return first
    held = first.key
    if not view.unheld:
        return _renewal(view, held, terms, in_the_way=())
    other = view.unheld[0]
    if not _is_retiring(other, held):
        return _renewal(view, held, terms, in_the_way=view.unheld)
    since = _noted(view, other)
    if other.active:
        due = _unused_from(other, held, since, terms.settle)
        return Deactivate(key=other) if due <= view.now else Wait(phase="settling", due=due)
    if since is None:
        return WriteNote(key=other)
    due = since + terms.grace
    return Delete(key=other) if due <= view.now else Wait(phase="grace", due=due)


def step_to_undo(view: KeyView) -> Reactivate | Blocked:
    """Decide which key is brought back: the only one that is inactive."""
    inactive = tuple(key for key in view.keys if not key.active)
    if len(inactive) != 1:
        return Blocked(obstacle="nothing to undo", keys=view.keys)
    return Reactivate(key=inactive[0])


def _renewal(
    view: KeyView, held: SeenKey, terms: Terms, *, in_the_way: tuple[SeenKey, ...]
) -> Make | Blocked | Wait:
    due = held.created + terms.max_age
    if due > view.now:
        return Wait(phase="current", due=due)
    return (
        Blocked(obstacle="in the way", keys=in_the_way) if in_the_way else Make(replacing=view.held)
    )


def _is_retiring(other: SeenKey, held: SeenKey) -> bool:
    return other.created < held.created or other.last_used is None


def _noted(view: KeyView, key: SeenKey) -> float | None:
    """Return since when *key* has been as it is; a note that says otherwise is of old."""
    note = view.note
    fits = note and (note.access_key_id, note.active) == (key.access_key_id, key.active)
    return note.since if note and fits else None


def _unused_from(other: SeenKey, held: SeenKey, reactivated: float | None, settle: float) -> float:
    """Return from when on *other* counts as unused, unless it is used until then."""
    moments = (other.last_used, other.created, held.created, reactivated)
    unused = max(moment for moment in moments if moment is not None) + settle
    return unused if other.created < held.created else max(unused, other.created + ON_ITS_WAY)
