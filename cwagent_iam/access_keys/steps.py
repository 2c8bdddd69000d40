"""Steps: the step that is due for the access keys of a user, as a function of what was seen.

Times are in seconds since 1970; nothing here reads a clock. The held key is the one in the store.

.. code-block:: text

    the store holds ...        the user's other key ...        what is due
    ---------------------      -----------------------------   --------------------------------
    nothing, or a key          is none, or any                 Create, if there is room
    that is gone
    an inactive key            -                               Blocked: the caller must decide
    an active key              is none                         Create, once the held one is too old
                               is in the way                   Blocked, once Create would be due
                               is retiring, active             Deactivate, once it is unused
                               is retiring, inactive           Delete, after the grace period

A key is retiring if it was recorded for this store, or as the key that the held one replaces, and
is older than the held key or was never used. A suspect is retiring too. Any other key is in the
way. A retiring key that is younger than the held key stays active for at least an hour, because
another program may be delivering it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cwagent_iam.access_keys.records import Record
    from cwagent_iam.state import SeenKey

MOST_KEYS = 2
"""The maximum number of access keys of a user in IAM; the quota cannot be raised."""

DAY = 86400.0

ON_ITS_WAY = 3600.0
"""How long another program may take to deliver a new key to the store, in seconds."""

OWN_USE = 900.0
"""How much later than the verification of a key IAM may date that use, in seconds."""

SLOW = 300.0
"""How long after its record a new key may be verified, in seconds, or it is recorded again."""

TOLERANCE = 2.0
"""The tolerance for differences between AWS's clocks, and for rounded dates, in seconds."""

NO_PROGRAM = frozenset({"", "N/A", "sts"})
"""The services whose use does not prove that a program uses a key: STS is used to verify it."""

Phase: TypeAlias = Literal["current", "settling", "grace"]
"""No rotation is due; the old key may be in use; or the old key is inactive, but not deleted."""

Obstacle: TypeAlias = Literal[
    "no room",
    "no room for a record",
    "not managed",
    "verify only",
    "held is inactive",
    "held does not work",
    "held is another user's",
    "in the way",
    "nothing to undo",
]


@attrs.frozen(kw_only=True)
class KeyView:
    """The facts that a decision depends on.

    Attributes:
        keys: The user's keys, oldest first, with their last use.
        held: The id of the key that the store holds; `None` if it holds none.
        store: The fingerprint of the store.
        readable: Whether the secret in the store can be verified.
        owner: The owner of the held key, if that is another user or another account.
        records: The records of keys, by id.
        suspects: The tags of suspects, by id.
        barrier: The reason not to change the keys of the user; `None` if this call may do so.
        has_room_for_record: Whether the user can have one more tag.
        now: The current time.
    """

    keys: tuple[SeenKey, ...]
    held: str | None
    store: str
    readable: bool = True
    owner: str | None = None
    records: Mapping[str, Record] = attrs.field(factory=dict)
    suspects: Mapping[str, Record] = attrs.field(factory=dict)
    barrier: Literal["not managed", "verify only"] | None = None
    has_room_for_record: bool = True
    now: float

    @property
    def held_key(self) -> SeenKey | None:
        """The key that the store holds, if IAM shows it."""
        return next((key for key in self.keys if key.access_key_id == self.held), None)

    @property
    def unheld(self) -> tuple[SeenKey, ...]:
        """The keys that the store does not hold."""
        return tuple(key for key in self.keys if key.access_key_id != self.held)

    @property
    def unheld_suspects(self) -> tuple[SeenKey, ...]:
        """The suspects that the store does not hold. A key with a record is not a suspect."""
        unrecorded = self.suspects.keys() - self.records.keys()
        return tuple(key for key in self.unheld if key.access_key_id in unrecorded)


@attrs.frozen(kw_only=True)
class Terms:
    """The lengths of the phases of a rotation, in seconds.

    Attributes:
        max_age: The age from which the held key is replaced.
        settle: How long the old key must have been unused before it is deactivated.
        grace: How long the old key stays inactive before it is deleted.
        now: Whether the held key is replaced whatever its age.
    """

    max_age: float
    settle: float
    grace: float
    now: bool = False


@attrs.frozen
class Create:
    """The step that creates a key and delivers it."""


@attrs.frozen(kw_only=True)
class Blocked:
    """No step: the caller must decide first.

    Attributes:
        obstacle: The reason.
        keys: The keys that the reason concerns.
    """

    obstacle: Obstacle
    keys: tuple[SeenKey, ...] = ()


@attrs.frozen(kw_only=True)
class Later:
    """No step: nothing is due yet.

    Attributes:
        phase: The current phase.
        due: When the next step is due.
    """

    phase: Phase
    due: float


@attrs.frozen
class Act:
    """A step about one key.

    Attributes:
        verb: ``"keep"`` changes nothing: the held key exists and is active. ``"note"`` records the
            missing time from which the grace period of an inactive key counts.
        key: The key.
    """

    verb: Literal["keep", "deactivate", "note", "delete", "reactivate"]
    key: SeenKey


Step: TypeAlias = Act | Create | Blocked | Later


def step_to_deliver(view: KeyView) -> Act | Create | Blocked:
    """Return the step towards an active key in the store; none deactivates or deletes a key."""
    held = view.held_key
    if held is not None:
        inactive = Blocked(obstacle="held is inactive", keys=(held,))
        return Act("keep", held) if held.active else inactive
    if view.owner is not None:
        return Blocked(obstacle="held is another user's")
    if view.barrier:
        return Blocked(obstacle=view.barrier, keys=view.keys)
    if len(view.keys) >= MOST_KEYS:
        return Blocked(obstacle="no room", keys=view.keys)
    if not view.has_room_for_record:
        return Blocked(obstacle="no room for a record")
    return Create()


def step_to_rotate(view: KeyView, terms: Terms) -> Step:
    """Return the step that is due, or the time of the next one."""
    step = _due(view, terms)
    if view.barrier is None or isinstance(step, (Blocked, Later)):
        return step
    return Blocked(obstacle=view.barrier, keys=view.keys)


def _due(view: KeyView, terms: Terms) -> Step:
    first = step_to_deliver(view)
    suspects = view.unheld_suspects
    if isinstance(first, Blocked) and first.obstacle == "no room" and suspects:
        return _retirement(view, suspects[0], None, terms)
    if not isinstance(first, Act):
        return first
    held = first.key
    for other in view.unheld:
        if _is_retiring(view, other, held):
            return _retirement(view, other, held, terms)
    due = view.now if terms.now else held.created + terms.max_age
    if due > view.now:
        return Later(phase="current", due=due)
    if view.unheld or not view.has_room_for_record:
        obstacle: Obstacle = "in the way" if view.unheld else "no room for a record"
        return Blocked(obstacle=obstacle, keys=view.unheld)
    return Create()


def step_to_undo(view: KeyView) -> Act | Blocked:
    """Return the step that reactivates the held key, or the only other one that is inactive.

    An unheld key with neither a record nor a suspect tag is not reactivated.
    """
    known = {view.held, *view.records, *view.suspects}
    inactive = [key for key in view.keys if not key.active and key.access_key_id in known]
    held = [key for key in inactive if key.access_key_id == view.held]
    if len(held or inactive) != 1:
        return Blocked(obstacle="nothing to undo", keys=view.keys)
    if view.barrier:
        return Blocked(obstacle=view.barrier, keys=view.keys)
    return Act("reactivate", (held or inactive)[0])


def is_undone(view: KeyView) -> bool:
    """Return whether a key is active because an undo has reactivated it."""
    known = {**view.suspects, **view.records}
    found = (known.get(key.access_key_id) for key in view.keys if key.active)
    return any(record and record.active and record.changed is not None for record in found)


def _is_retiring(view: KeyView, other: SeenKey, held: SeenKey) -> bool:
    record, newer = view.records.get(other.access_key_id), view.records.get(held.access_key_id)
    if record is None:
        return other.access_key_id in view.suspects
    replaced = newer is not None and newer.replaces == other.access_key_id
    if record.store != view.store and not replaced:
        return False
    return other.created < held.created or other.last_used is None


def _retirement(view: KeyView, other: SeenKey, held: SeenKey | None, terms: Terms) -> Act | Later:
    """Return the step that retires *other*, or when it is due."""
    record = view.records.get(other.access_key_id)
    suspect = view.suspects.get(other.access_key_id) if record is None else None
    known = record or suspect
    since = known.changed if known and known.active == other.active else None
    if other.active:
        settle = max(terms.settle, DAY) if suspect else terms.settle
        moments = [other.created, other.last_used, since]
        moments += [held.created] if held else []
        moments += [suspect.since] if suspect else []
        # AWS rounds dates to seconds, so that one may seem to be in the future.
        last = min(view.now, max(moment for moment in moments if moment is not None))
        due = last + settle
        if held and not suspect and other.created >= held.created:
            due = max(due, other.created + ON_ITS_WAY)
    elif since is None:
        return Act("note", other)
    else:
        due = since + terms.grace
    if held and not _is_proved(view, held):
        due = max(due, view.now + max(terms.settle, ON_ITS_WAY))
    if due > view.now:
        return Later(phase="settling" if other.active else "grace", due=due)
    return Act("deactivate" if other.active else "delete", other)


def _is_proved(view: KeyView, held: SeenKey) -> bool:
    """Return whether the held key works: its secret was verified, or another program used it.

    IAM reports only the last use. A use of STS may be the verification after the creation.
    """
    record = view.records.get(held.access_key_id)
    verified = max(held.created, record.since if record else 0.0) + SLOW + OWN_USE
    elsewhere = held.last_service not in NO_PROGRAM
    return view.readable or elsewhere or (held.last_used or 0.0) > verified


def suspects_in(
    view: KeyView, before: frozenset[str], since: float, until: float
) -> tuple[SeenKey, ...]:
    """Return the keys that may come from a CreateAccessKey request whose reply was lost.

    They are new, not in the store, and without a record.

    Args:
        view: The keys as they were seen after the request.
        before: The ids of the keys that were known before the request.
        since: The date of the last reply before the request, by AWS's clock.
        until: The date of the first reply after the request, by AWS's clock.
    """
    first, last = since - TOLERANCE, until + TOLERANCE
    known = before | view.records.keys()
    return tuple(
        key
        for key in view.unheld
        if key.access_key_id not in known and first <= key.created <= last
    )
