"""Access keys without their secrets: what IAM and the store show of them, and what is due.

Times are in seconds since 1970, so that nothing here has a clock or a calendar. What is due follows
from what IAM and the store show:

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
Attribution of a key that appeared after a lost reply is at the end (`verdict_on`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

Action: TypeAlias = Literal["created", "kept", "replaced"]
"""The action that a call took on the key in the store."""

MOST_KEYS = 2
"""The maximum number of access keys of a user in IAM; the quota cannot be raised."""


@attrs.frozen(kw_only=True)
class SeenKey:
    """An access key, as IAM shows it.

    Attributes:
        access_key_id: Its id, which is no secret.
        active: Whether requests signed with it are let in.
        created: When it was made, in seconds since 1970.
        last_used: When it was last used, likewise; IAM notes it with some delay. `None` if never.
    """

    access_key_id: str
    active: bool
    created: float
    last_used: float | None = None


def described(key: SeenKey, now: float) -> str:
    """Say in words which key it is, how old, and when it was last used."""
    status = "active" if key.active else "inactive"
    used = "never used" if key.last_used is None else f"last used {_ago(now - key.last_used)}"
    return f"{key.access_key_id} ({status}, made {_ago(now - key.created)}, {used})"


def _ago(seconds: float) -> str:
    units = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0))
    name, unit = next((each for each in units if seconds >= 2 * each[1]), ("seconds", 1.0))
    return f"{max(seconds, 0.0) / unit:.0f} {name} ago"


@attrs.frozen(kw_only=True)
class Note:
    """What this library has noted on the user about a key, because IAM keeps no such date.

    Attributes:
        access_key_id: The key that was deactivated or reactivated.
        active: Which of the two.
        since: When.
    """

    access_key_id: str
    active: bool
    since: float


@attrs.frozen(kw_only=True)
class KeyView:
    """All that a decision rests on.

    Attributes:
        keys: The user's keys.
        held: The id of the key that the store holds; `None` if it holds none.
        owner: Whose the held key is instead: another user's name, or another account.
        note: The note on the user, if there is one.
        now: The time.
    """

    keys: tuple[SeenKey, ...]
    held: str | None
    owner: str | None = None
    note: Note | None = None
    now: float

    @property
    def held_key(self) -> SeenKey | None:
        """The key that the store holds, if IAM shows it."""
        return next((key for key in self.keys if key.access_key_id == self.held), None)

    @property
    def unheld(self) -> tuple[SeenKey, ...]:
        """The keys that the store does not hold."""
        return tuple(key for key in self.keys if key.access_key_id != self.held)


@attrs.frozen(kw_only=True)
class AccessKey:
    """The access key in the store.

    Attributes:
        access_key_id: Its id.
        action: What was done to have it there.
        unheld: The user's other keys, whose secrets the store does not have.
        advice: What is left for the caller to do; empty if nothing.
    """

    access_key_id: str
    action: Action
    unheld: tuple[SeenKey, ...] = ()
    advice: str = ""

    def __str__(self) -> str:
        """What was done, which other keys there are, and what is left to do."""
        others = ", ".join(key.access_key_id for key in self.unheld)
        beside = f", beside {others}" if others else ""
        return f"access key {self.access_key_id} {self.action}{beside}. {self.advice}".rstrip()


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
class _OnKey:
    """A step about one key.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen(kw_only=True)
class Keep(_OnKey):
    """The held key is good."""


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
class Deactivate(_OnKey):
    """The old key is to be deactivated, after a note of when."""


@attrs.frozen(kw_only=True)
class WriteNote(_OnKey):
    """The old key is inactive, and nobody has noted since when: it is to be noted now."""


@attrs.frozen(kw_only=True)
class Delete(_OnKey):
    """The old key is to be deleted."""


@attrs.frozen(kw_only=True)
class Reactivate(_OnKey):
    """The inactive key is to be brought back, after a note of when."""


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


TOLERANCE = 2.0
"""By how many seconds AWS's clocks may differ, and dates be rounded."""


@attrs.frozen
class NotDone:
    """No key was made: the request can be sent again."""


@attrs.frozen
class Ours:
    """The key that our request made. Nobody knows its secret, so it is to be deleted.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen
class Delivered:
    """Somebody else has put a new key into the same store.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen
class InDoubt:
    """Somebody else makes keys too: none may be touched.

    Attributes:
        suspects: The keys that may be ours.
    """

    suspects: tuple[SeenKey, ...]


Verdict: TypeAlias = NotDone | Ours | Delivered | InDoubt


@attrs.frozen(kw_only=True)
class LostRequest:
    """A request for a key whose reply was lost.

    Attributes:
        before: The ids of the keys that were there before.
        since: When it was sent, by AWS's clock.
        until: When it was known to have failed, by AWS's clock.
    """

    before: frozenset[str]
    since: float
    until: float

    def suspects(self, keys: tuple[SeenKey, ...]) -> tuple[SeenKey, ...]:
        """Return those of *keys* that were not there before."""
        return tuple(key for key in keys if key.access_key_id not in self.before)


def verdict_on(lost: LostRequest, keys: tuple[SeenKey, ...], held: str | None) -> Verdict:
    """Judge what a request did whose reply was lost.

    One hazard is left, for nothing tells the two apart: our request was never carried out, and
    somebody else has made a key in the very seconds that it took and has not used it yet. That
    key is taken for ours, and deleted.

    Args:
        lost: The request.
        keys: The user's keys, after they have held still, with the last use of the suspects.
        held: The id of the key that the store holds by now.
    """
    suspects = lost.suspects(keys)
    if not suspects:
        return NotDone()
    delivered = [key for key in suspects if key.access_key_id == held]
    if delivered:
        return Delivered(delivered[0])
    key = suspects[0]
    in_time = lost.since - TOLERANCE <= key.created <= lost.until + TOLERANCE
    if len(suspects) == 1 and in_time and key.last_used is None:
        return Ours(key)
    return InDoubt(suspects)
