"""Rotation: replaces a key that is too old, in phases that are days apart.

.. code-block:: text

    current ─ too old ─▶ a new key is created, delivered, verified ─▶ settling
       ▲                                                                │ the old key is unused
       └──────── deleted ◀─ grace ◀─ deactivated, after a record ◀──────┘
                              └── undo: active again, after a record ─▶ settling

The next step follows from what IAM and the store show. The only other memory is the records of the
keys, because IAM does not keep when the status of a key changed. So a call may be interrupted
anywhere, or come early, late or twice: the next call continues.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.access_keys.delivery import create_key, delete_key, forget_tags, keep
from cwagent_iam.access_keys.records import Record
from cwagent_iam.access_keys.results import key_conflict
from cwagent_iam.access_keys.steps import (
    DAY,
    NO_PROGRAM,
    Act,
    Blocked,
    Create,
    KeyView,
    Later,
    Terms,
    is_undone,
    step_to_deliver,
    step_to_rotate,
    step_to_undo,
)
from cwagent_iam.changes import UpdateAccessKey
from cwagent_iam.errors import KeyConflictError
from cwagent_iam.key_stores import Advice
from cwagent_iam.requests import OPERATIONS, Settle, Steps

if TYPE_CHECKING:
    from cwagent_iam.access_keys.inventory import UserKeys
    from cwagent_iam.access_keys.steps import Step
    from cwagent_iam.changes import Change
    from cwagent_iam.state import SeenKey

RotationPhase: TypeAlias = Literal["current", "settling", "grace", "blocked"]
"""No rotation is due; the old key may still be in use; the old key is inactive, but can be
reactivated; or the caller must decide first."""

PERMISSIONS = frozenset(
    OPERATIONS[name].action
    for name in (
        *("GetUser", "ListAccessKeys", "GetAccessKeyLastUsed", "GetAccessKeyInfo"),
        *("TagUser", "UntagUser", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"),
    )
)


@attrs.frozen(kw_only=True)
class RotationStatus:
    """The phase of a rotation, and its next step.

    Attributes:
        access_key_id: The id of the key that the store holds; `None` if it holds none.
        phase: ``"current"``, ``"settling"``, ``"grace"`` or ``"blocked"``.
        next_step: The next step. Another call does it, unless the phase is ``"blocked"``.
        due_at: When it is due, in UTC; `None` if the phase is ``"blocked"``.
        held_key: The key that the store holds, with its last use and the service that it was used
            for; `None` if IAM shows no such key.
        age: The age of the held key, in seconds; `None` if there is none.
        old_key: The key that the rotation retires, or the user's other key; `None` if there is
            none.
        unheld: All keys of the user that the store does not hold.
        suspects: The keys that may come from a request whose reply was lost.
        can_undo: Whether ``undo=True`` would reactivate a key.
        restart_needed: Whether the agent must be restarted to use the key in the store: no program
            has used it yet, and the agent does not notice a new one. `False` in a preview.
        done: The steps that this call did, in order.
        changes: The changes that this call applied, in order.
        advice: Advice for the caller; empty if there is nothing left to do.
        permissions: The actions that the caller must be allowed in all phases together.
    """

    access_key_id: str | None
    phase: RotationPhase
    next_step: str
    due_at: datetime | None
    held_key: SeenKey | None
    age: float | None
    old_key: SeenKey | None
    unheld: tuple[SeenKey, ...]
    suspects: tuple[SeenKey, ...]
    can_undo: bool
    restart_needed: bool
    done: tuple[str, ...]
    changes: tuple[Change, ...]
    advice: str
    permissions: frozenset[str] = PERMISSIONS

    def __str__(self) -> str:
        """One line with the phase, the steps that were done, and the next step."""
        when = f" at {self.due_at:%Y-%m-%d %H:%M} UTC" if self.due_at else ""
        done = f"{', '.join(self.done)}; " if self.done else ""
        return f"{self.phase}: {done}next: {self.next_step}{when}"


@attrs.define
class Rotation:
    """A rotation in progress; its methods yield effects.

    Attributes:
        keys: The keys of the user.
        terms: The lengths of the phases.
        done: The steps that were done, in words.
        verified: The id of the held key that was verified last.
        noted: The ids and new statuses that this call has recorded.
        before: The held key with its last use before this call verified it.
    """

    keys: UserKeys
    terms: Terms
    done: list[str] = attrs.field(factory=list)
    verified: str = ""
    noted: set[tuple[str, bool]] = attrs.field(factory=set)
    before: SeenKey | None = None

    def run(self) -> Steps[RotationStatus]:
        """Do the due steps; verify the key in the store before any other key is changed."""
        keys = self.keys
        while True:
            view = yield from keys.look()
            self.before = self.before or view.held_key
            step = step_to_rotate(view, self.terms)
            if isinstance(step_to_deliver(view), Act) and view.held != self.verified:
                if not (yield from keep(keys, view)):
                    continue
                self.verified = view.held or ""
                if view.held not in view.records and view.barrier is None:
                    continue  # its new record may change the step for the other key
            if isinstance(step, Later) or (isinstance(step, Create) and keys.new):
                yield from self._forget_deleted(view)
                return (yield from self._status(view, step))
            yield from self._do(step, view)

    def undo(self) -> Steps[RotationStatus]:
        """Reactivate the inactive key, and do nothing else."""
        view, undone = (yield from self.keys.look()), False
        while not undone and isinstance(back := step_to_undo(view), Act):
            undone = yield from self._set_active(back.key, view, active=True)
            view = yield from self.keys.look()
        if isinstance(back, Blocked) and not is_undone(view):
            raise key_conflict(self.keys, view, back)
        return (yield from self._status(view, step_to_rotate(view, self.terms)))

    def preview(self) -> Steps[RotationStatus]:
        """Return the phase, and the step that a call would begin with. Only reads are sent."""
        view = yield from self.keys.look()
        step = step_to_rotate(view, self.terms)
        if isinstance(kept := step_to_deliver(view), Act):
            try:
                if not (yield from keep(self.keys, attrs.evolve(view, barrier="verify only"))):
                    return (yield from self.preview())
            except KeyConflictError:
                step = Blocked(obstacle="held does not work", keys=(kept.key,))
        return (yield from self._status(view, step, settle=False))

    def _status(self, view: KeyView, step: Step, *, settle: bool = True) -> Steps[RotationStatus]:
        held, keys, before = view.held_key, self.keys, self.before
        if held and before and held.access_key_id == before.access_key_id:
            held = attrs.evolve(before, active=held.active)
        settles = settle and held and held.active and keys.existing != "verify"
        advice = (yield Settle(keys.store)) if settles else Advice()
        phase, next_step, due = _next_of(step, view)
        unused = held is not None and held.last_service in NO_PROGRAM
        return RotationStatus(
            access_key_id=view.held,
            phase=phase,
            next_step=next_step,
            due_at=None if due is None else datetime.fromtimestamp(due, UTC),
            held_key=held,
            age=max(view.now - held.created, 0.0) if held else None,
            old_key=_old_key(step, view),
            unheld=view.unheld,
            suspects=view.unheld_suspects,
            can_undo=isinstance(step_to_undo(view), Act),
            restart_needed=advice.redirected or (unused and not advice.rereads),
            done=tuple(self.done),
            changes=keys.call.ledger.applied,
            advice=advice.text,
        )

    def _do(self, step: Step, view: KeyView) -> Steps[None]:
        keys = self.keys
        match step:
            case Create():
                made = yield from create_key(keys, view)
                if made:
                    self.verified = made.access_key_id
                    self.done.append(f"created and delivered {made.access_key_id}")
            case Act("deactivate", old):
                yield from self._set_active(old, view, active=False)
            case Act("note", old):
                yield from keys.write(self._noting(old, view, active=False))
                self.done.append(f"recorded that {old.access_key_id} is inactive")
            case Act("delete", old):
                yield from self._delete(old)
            case _:
                view = yield from keys.confirm(lambda seen: step_to_rotate(seen, self.terms))
                blocked = step_to_rotate(view, self.terms)
                if isinstance(blocked, Blocked):
                    raise key_conflict(keys, view, blocked)

    def _set_active(self, key: SeenKey, view: KeyView, *, active: bool) -> Steps[bool]:
        """Set the status of a key; return `False` if another look must decide: it may be gone.

        The record is written first, so that an interrupt cannot shorten the phase that follows.
        """
        keys, same = self.keys, key.access_key_id
        if (same, active) not in self.noted:  # a second record would restart the phase
            yield from keys.write(self._noting(key, view, active=active))
            self.noted.add((same, active))
        status: Literal["Active", "Inactive"] = "Active" if active else "Inactive"
        change = UpdateAccessKey(name=keys.user_name, access_key_id=same, status=status)
        if not (yield from keys.write(change)):
            return False
        self.done.append(f"{'reactivated' if active else 'deactivated'} {same}")
        yield from keys.look(
            lambda seen: all(
                each.active is active for each in seen.keys if each.access_key_id == same
            ),
            waiting_for=same,
        )
        return True

    def _noting(self, key: SeenKey, view: KeyView, *, active: bool) -> Change:
        same = key.access_key_id
        known = {**view.suspects, **view.records}.get(same)
        record = known or Record(access_key_id=same, since=key.created, store=view.store)
        return self.keys.tagging(attrs.evolve(record, active=active, changed=self.keys.time))

    def _delete(self, key: SeenKey) -> Steps[None]:
        """Delete a key if that is still due after the longest lag, or half of the time left.

        Another process may have reactivated or recorded it a moment ago.
        """
        keys, name = self.keys, key.access_key_id
        view = yield from keys.look_for_long()
        step = step_to_rotate(view, self.terms)
        if isinstance(step, Act) and (step.verb, step.key.access_key_id) == ("delete", name):
            yield from delete_key(keys, name)
            self.done.append(f"deleted {name}")
            yield from forget_tags(keys, [name])

    def _forget_deleted(self, view: KeyView) -> Steps[None]:
        """Remove the records of keys that no longer exist; a new key may not be listed yet."""
        known = {**view.suspects, **view.records}
        gone = known.keys() - {key.access_key_id for key in view.keys} - {view.held}
        old = sorted(name for name in gone if known[name].since + DAY < view.now)
        if old and view.barrier is None:
            yield from forget_tags(self.keys, old)


def _old_key(step: Step, view: KeyView) -> SeenKey | None:
    if isinstance(step, Act):
        return step.key
    return next(iter(view.unheld_suspects or view.unheld), None)


def _next_of(step: Step, view: KeyView) -> tuple[RotationPhase, str, float | None]:
    """Return the phase, the next step, and when it is due; after an undo it may be due already."""
    phase: RotationPhase
    due = view.now
    match step:
        case Later():
            phase, due = step.phase, step.due
        case Create():
            phase = "current"
        case Act(verb):
            phase = "settling" if verb == "deactivate" else "grace"
        case _:
            names = " or ".join(key.access_key_id for key in step.keys) or "the store"
            return "blocked", f"decide about {names}: {step.obstacle}", None
    other = old.access_key_id if (old := _old_key(step, view)) else ""
    room = f"; {other} must be deleted first" if other else ""
    proof = "" if view.readable else ", and the new key has been used"
    steps = {
        "current": f"create a new key{room}",
        "settling": f"deactivate {other}, if it has not been used since{proof}",
        "grace": f"delete {other}",
    }
    return phase, steps[phase], due
