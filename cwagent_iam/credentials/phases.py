"""The steps of a rotation, each taken when it is due.

What to do now follows from what IAM and the store show. There is no other memory but a note on the
user of when a key was deactivated, because IAM keeps no such date. So a call may die anywhere, and
come early, late or twice: the next one goes on from what there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

import attrs

from cwagent_iam.credentials.delivering import make_key
from cwagent_iam.credentials.looking import LONGEST_LAG, conflict_over, delete, look, steady
from cwagent_iam.errors import ApplyError
from cwagent_iam.keys import (
    Blocked,
    Deactivate,
    Delete,
    Make,
    Note,
    Reactivate,
    SeenKey,
    Wait,
    WriteNote,
    step_to_rotate,
    step_to_undo,
)
from cwagent_iam.reconcile.rules import RIVALS

if TYPE_CHECKING:
    from cwagent_iam.credentials.requests import KeyRequests
    from cwagent_iam.credentials.store import KeyStore
    from cwagent_iam.keys import KeyView, RotationStep, Terms

_Due: TypeAlias = Make | Blocked | Deactivate | WriteNote | Delete


@attrs.define
class Rotation:
    """One call.

    Attributes:
        requests: Whose keys.
        store: The store.
        terms: How long the phases are.
        done: What it has done, in words.
    """

    requests: KeyRequests
    store: KeyStore
    terms: Terms
    done: list[str] = attrs.field(factory=list)
    _made: SeenKey | None = None
    _noted: Note | None = None

    def go_on(self) -> tuple[KeyView, RotationStep]:
        """Do what is due until nothing is; return what is seen then, and what is waited for.

        Raises:
            CwAgentIamError: As for `cwagent_iam.rotate_access_key`.
        """
        view, step = self._next()
        while not isinstance(step, Wait):
            self._do(step, view)
            view, step = self._next()
        return view, step

    def undo(self) -> tuple[KeyView, RotationStep]:
        """Bring back the inactive key, unless that is done; return where that leads to.

        Raises:
            CwAgentIamError: As for `cwagent_iam.rotate_access_key`.
        """
        view, undone = self._look(), False
        while not undone and isinstance(back := step_to_undo(view), Reactivate):
            undone = self._set_active(back.key, active=True)
            view = self._look()
        if isinstance(back, Blocked) and not _is_undone(view):
            raise conflict_over(self.requests, self.store, view, back)
        return view, step_to_rotate(view, self.terms)

    def _look(self) -> KeyView:
        """Look, and take what this call itself has done as done, whatever a host still shows."""
        view = look(self.requests, self.store)
        self.requests.exists = True
        gone = self.requests.deleted
        keys = tuple(key for key in view.keys if key.access_key_id not in gone)
        if self._made and self._made.access_key_id == view.held and view.held_key is None:
            keys += (self._made,)
        return attrs.evolve(view, keys=keys, note=self._noted or view.note)

    def _next(self) -> tuple[KeyView, RotationStep]:
        view = self._look()
        return view, step_to_rotate(view, self.terms)

    def _do(self, step: _Due, view: KeyView) -> None:
        match step:
            case Make():
                self._make(view)
            case Blocked():
                raise conflict_over(self.requests, self.store, view, step)
            case Deactivate(key=old):
                self._set_active(old, active=False)
            case WriteNote(key=old):
                self._note(old, active=False)
                self.done.append(f"noted that {old.access_key_id} is inactive")
            case Delete(key=old):
                self._delete(old)
            case _:
                assert_never(step)

    def _make(self, view: KeyView) -> None:
        """Make and deliver a key, unless somebody else is faster."""
        made = make_key(self.requests, self.store, view)
        if made:
            name, now = made.access_key_id, self.requests.propagation.now()
            self._made = SeenKey(access_key_id=name, active=True, created=now)
            self.done.append(f"made and delivered {name}")

    def _set_active(self, key: SeenKey, *, active: bool) -> bool:
        """Set the status of a key; say whether it is done, which a key that is gone does not let.

        The note comes first: a program that dies in between must not shorten what follows.
        """
        self._note(key, active=active)
        same, requests = key.access_key_id, self.requests
        try:
            requests.set_active(same, active=active)
        except ApplyError as error:
            gone = error.code == "NoSuchEntity"
            if gone and requests.pause(RIVALS, "the access key seems to be gone"):
                return False
            raise
        self.done.append(f"{'reactivated' if active else 'deactivated'} {same}")

        def is_shown(keys: tuple[SeenKey, ...]) -> bool:
            return all(each.active is active for each in keys if each.access_key_id == same)

        steady(requests, is_shown, waiting_for=same)
        return True

    def _note(self, key: SeenKey, *, active: bool) -> None:
        now = self.requests.propagation.now()
        note = Note(access_key_id=key.access_key_id, active=active, since=now)
        self.requests.write_note(note)
        self._noted = note

    def _delete(self, key: SeenKey) -> None:
        """Delete for good, and only what is due for it still when all lag is over.

        Somebody may have brought the key back a moment ago.
        """
        requests, name = self.requests, key.access_key_id
        until = requests.seconds + min(LONGEST_LAG, requests.left / 2)
        steady(requests, lambda _: requests.seconds >= until)
        _, step = self._next()
        if isinstance(step, Delete) and step.key.access_key_id == name:
            delete(requests, name)
            self.done.append(f"deleted {name}")


def _is_undone(view: KeyView) -> bool:
    """Say whether the note tells of a key that was brought back, and that is active."""
    note = view.note
    return note is not None and any(
        note.active and key.active and key.access_key_id == note.access_key_id for key in view.keys
    )
