"""Access keys: their observed state, without secrets, and the step that is due.

Times are in seconds since 1970; nothing here reads a clock. The step follows from the keys that IAM
and the store show. The held key is the one in the store.

.. code-block:: text

    the store holds ...        the user's other key ...        what is due
    ---------------------      -----------------------------   --------------------------------
    nothing, or a key          is none, or any                 Make, if there is room
    that is gone
    an inactive key            -                               Blocked: the caller must decide
    an active key              is none                         Make, once the held one is too old
                               is another process's            Blocked, once Make would be due
                               is retiring, active             Deactivate, once it is unused
                               is retiring, inactive           Delete, after the grace period

A key is retiring if it is older than the held key, which has replaced it. It is also retiring if it
was never used, for example because a program crashed before it delivered the key. Any other key is
another process's. A retiring key that is younger than the held key stays active for at least an
hour, because another program may be delivering it.
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
        access_key_id: Its id, which is not a secret.
        active: Whether AWS accepts requests that are signed with it.
        created: When it was created, in seconds since 1970.
        last_used: When it was last used, in seconds since 1970; IAM reports it with a delay. `None`
            if never.
    """

    access_key_id: str
    active: bool
    created: float
    last_used: float | None = None


def described(key: SeenKey, now: float) -> str:
    """Describe a key in words: its id, status, age and last use."""
    status = "active" if key.active else "inactive"
    used = "never used" if key.last_used is None else f"last used {_ago(now - key.last_used)}"
    return f"{key.access_key_id} ({status}, created {_ago(now - key.created)}, {used})"


def _ago(seconds: float) -> str:
    units = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0))
    name, unit = next((each for each in units if seconds >= 2 * each[1]), ("seconds", 1.0))
    return f"{max(seconds, 0.0) / unit:.0f} {name} ago"


@attrs.frozen(kw_only=True)
class Note:
    """A note on the user of when a key's status was changed, because IAM keeps no such date.

    Attributes:
        access_key_id: The id of the key that was deactivated or reactivated.
        active: `True` if it was reactivated, `False` if it was deactivated.
        since: When that was, in seconds since 1970.
    """

    access_key_id: str
    active: bool
    since: float


@attrs.frozen(kw_only=True)
class KeyView:
    """The facts that a decision depends on.

    Attributes:
        keys: The user's keys.
        held: The id of the key that the store holds; `None` if it holds none.
        owner: The owner of the held key, if that is another user or another account.
        note: The note on the user; `None` if there is none.
        now: The current time, in seconds since 1970.
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
        action: The action that the call took on it.
        unheld: The user's other keys, whose secrets the store does not have.
        advice: Advice for the caller; empty if there is nothing left to do.
    """

    access_key_id: str
    action: Action
    unheld: tuple[SeenKey, ...] = ()
    advice: str = ""

    def __str__(self) -> str:
        """One line: the key, the action, the other keys and the advice."""
        others = ", ".join(key.access_key_id for key in self.unheld)
        beside = f", beside {others}" if others else ""
        return f"access key {self.access_key_id} {self.action}{beside}. {self.advice}".rstrip()


ON_ITS_WAY = 3600.0
"""How long another program may take to deliver a new key to the store, in seconds."""

Phase: TypeAlias = Literal["current", "settling", "grace"]
"""No rotation is due; the old key may be in use; or the old key is inactive, but not deleted."""

Obstacle: TypeAlias = Literal[
    "no room", "held is inactive", "held is somebody else's", "in the way", "nothing to undo"
]


@attrs.frozen(kw_only=True)
class Terms:
    """The lengths of the phases of a rotation, in seconds.

    Attributes:
        max_age: The age from which the held key is replaced.
        settle: How long the old key must have been unused before it is deactivated.
        grace: How long the old key stays inactive before it is deleted.
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
    """The step that changes nothing: the held key exists and is active."""


@attrs.frozen(kw_only=True)
class Make:
    """The step that creates a key and delivers it.

    Attributes:
        replacing: The id of the key that the store holds until then; `None` if it holds none.
    """

    replacing: str | None


@attrs.frozen(kw_only=True)
class Blocked:
    """No step: the caller must decide first.

    Attributes:
        obstacle: The reason.
        keys: The keys that the reason concerns.
    """

    obstacle: Obstacle
    keys: tuple[SeenKey, ...]


@attrs.frozen(kw_only=True)
class Wait:
    """No step: nothing is due yet.

    Attributes:
        phase: The current phase.
        due: When the next step is due, in seconds since 1970.
    """

    phase: Phase
    due: float


@attrs.frozen(kw_only=True)
class Deactivate(_OnKey):
    """The step that writes a note of the time, then deactivates the old key."""


@attrs.frozen(kw_only=True)
class WriteNote(_OnKey):
    """The step that writes the missing note: the grace period of the inactive key starts now."""


@attrs.frozen(kw_only=True)
class Delete(_OnKey):
    """The step that deletes the old key."""


@attrs.frozen(kw_only=True)
class Reactivate(_OnKey):
    """The step that writes a note of the time, then reactivates the inactive key."""


DeliveryStep: TypeAlias = Keep | Make | Blocked
RotationStep: TypeAlias = Make | Blocked | Wait | Deactivate | WriteNote | Delete


def step_to_deliver(view: KeyView) -> DeliveryStep:
    """Return the step to an active key in the store; it never deactivates or deletes a key."""
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
    """Return the step that is due, or the time of the next one."""
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
    """Return the step that reactivates the only inactive key; `Blocked` if there is no such key."""
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
    """Return since when *key* has its status, by the note; `None` if the note does not say."""
    note = view.note
    fits = note and (note.access_key_id, note.active) == (key.access_key_id, key.active)
    return note.since if note and fits else None


def _unused_from(other: SeenKey, held: SeenKey, reactivated: float | None, settle: float) -> float:
    """Return the time from which *other* counts as unused, unless it is used before then."""
    moments = (other.last_used, other.created, held.created, reactivated)
    unused = max(moment for moment in moments if moment is not None) + settle
    return unused if other.created < held.created else max(unused, other.created + ON_ITS_WAY)


TOLERANCE = 2.0
"""The tolerance for differences between AWS's clocks and for rounded dates, in seconds."""


@attrs.frozen
class NotDone:
    """No key was created: the request can be sent again."""


@attrs.frozen
class Ours:
    """The key that our request created. Its secret is lost, so the key is deleted.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen
class Delivered:
    """A new key that another process has delivered to the same store.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen
class InDoubt:
    """Another process creates keys too: no key may be changed.

    Attributes:
        suspects: The keys that our request may have created.
    """

    suspects: tuple[SeenKey, ...]


Verdict: TypeAlias = NotDone | Ours | Delivered | InDoubt


@attrs.frozen(kw_only=True)
class LostRequest:
    """A CreateAccessKey request whose reply was lost.

    Attributes:
        before: The ids of the keys that existed before.
        since: When it was sent, by AWS's clock, in seconds since 1970.
        until: When it was known to have failed, by AWS's clock, in seconds since 1970.
    """

    before: frozenset[str]
    since: float
    until: float

    def suspects(self, keys: tuple[SeenKey, ...]) -> tuple[SeenKey, ...]:
        """Return those of *keys* that did not exist before."""
        return tuple(key for key in keys if key.access_key_id not in self.before)


def verdict_on(lost: LostRequest, keys: tuple[SeenKey, ...], held: str | None) -> Verdict:
    """Return the effect of a request whose reply was lost.

    One case cannot be detected. If AWS never carried out our request, and another process created a
    key in the same seconds and has not used it yet, that key counts as ours and is deleted.

    Args:
        lost: The request.
        keys: The user's keys, confirmed by reads that agree, with the last use of the suspects.
        held: The id of the key that the store holds now; `None` if it holds none.
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
