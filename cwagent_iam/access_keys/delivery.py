"""Delivery: creates, records, delivers and verifies a key, or deletes it if a step fails.

.. code-block:: text

    check the store ▶ create ▶ record ▶ write ▶ read back ▶ verify ▶ forget the secret
                        │        └────────┴────────┴── not in the store: delete the key
                        └── reply lost: tag the keys that the request may have created
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import attrs

from cwagent_iam.access_keys.inventory import LONGEST_LAG, UserKeys
from cwagent_iam.access_keys.records import KEY_TAG, SUSPECT_TAG, Record
from cwagent_iam.access_keys.results import access_key, key_conflict
from cwagent_iam.access_keys.steps import (
    MOST_KEYS,
    SLOW,
    Act,
    Blocked,
    KeyView,
    step_to_deliver,
    suspects_in,
)
from cwagent_iam.access_keys.verification import verify
from cwagent_iam.changes import (
    ChangeSet,
    CreateAccessKey,
    CreateUser,
    DeleteAccessKey,
    UntagUser,
)
from cwagent_iam.errors import (
    ApplyError,
    CredentialsError,
    CwAgentIamError,
    DeliveryError,
    PropagationTimeoutError,
    StoreError,
)
from cwagent_iam.events import KeyCreated, KeyDelivered
from cwagent_iam.key_stores import NewAccessKey
from cwagent_iam.reconcile.failures import told_by
from cwagent_iam.reconcile.loop import Reconciliation
from cwagent_iam.reconcile.rules import DENSE
from cwagent_iam.requests import (
    STORE_CHANGED,
    Deliver,
    Emit,
    Reply,
    Request,
    Send,
    Settle,
    Steps,
)
from cwagent_iam.state import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.changes import AccessKey, Result, TagUser
    from cwagent_iam.differ import Existing
    from cwagent_iam.errors import Fate
    from cwagent_iam.key_stores import KeyStore
    from cwagent_iam.reconcile.loop import Goal
    from cwagent_iam.state import SeenKey, State

_LOST = "the reply to CreateAccessKey was lost, and"


def ensure_user_with_key(
    goal: Goal, user_name: str, store: KeyStore, existing: Existing, now: float
) -> Steps[tuple[Result, AccessKey]]:
    """Converge on a user and on a store that holds an access key of the user.

    A user that this call has created has no keys. Its key is therefore created before the user is
    confirmed, which saves two round trips.
    """
    call = Reconciliation.of(attrs.evolve(goal, access_keys=True))
    keys = UserKeys(call, user_name, store, existing, now)
    return (yield from call.reporting(_ensure_both(call, keys)))


def _ensure_both(call: Reconciliation, keys: UserKeys) -> Steps[tuple[Result, AccessKey]]:
    holding = yield from keys.hold()
    yield from call.write_all()
    key: AccessKey | None = None
    copies: list[State] = []
    created = [each for each in call.ledger.applied if isinstance(each, CreateUser)]
    acknowledged = any(":user/" in arn for arn in call.ledger.known.created_arns)
    if created and acknowledged and holding.access_key_id is None:

        def send(record: TagUser) -> Steps[None]:
            copies.extend((yield from call.read_back(call.beside(ChangeSet((record,))))))

        user = User(**attrs.asdict(created[0], recurse=False))
        key = yield from create_key(keys, keys.view_of(user), send)
    result = yield from call.confirm(copies)
    user = call.state.find(User, keys.user_name) or User(name=keys.user_name)
    key = (yield from _settled(keys, key)) if key else (yield from ensure_key(keys, user))
    return attrs.evolve(result, changes=call.ledger.applied), key


def ensure_key(keys: UserKeys, user: User) -> Steps[AccessKey]:
    """Converge on a store that holds an access key that works; *user* was observed with its keys.

    Raises:
        KeyConflictError: If keys conflict, or the held one is inactive or does not work.
        StoreError: If the store cannot be read or written.
        DeliveryError: If a key was created, or may have been, and its delivery failed.
    """
    view = keys.view_of(user)
    if view.unheld or not isinstance(step_to_deliver(view), Act):
        view = yield from keys.look()
    while True:
        step = step_to_deliver(view)
        if isinstance(step, Blocked):
            view = yield from keys.confirm(step_to_deliver)
            if isinstance(step := step_to_deliver(view), Blocked):
                raise key_conflict(keys, view, step)
        elif isinstance(step, Act):
            if (yield from keep(keys, view)):
                kept = access_key(view, step.key.access_key_id, "kept")
                return (yield from _settled(keys, kept))
            view = yield from keys.look()
        elif made := (yield from create_key(keys, view)):
            return (yield from _settled(keys, made))
        else:
            view = yield from keys.look()


def _settled(keys: UserKeys, key: AccessKey) -> Steps[AccessKey]:
    """Return *key* with the advice of the store; not under ``"verify"``: the store may write."""
    if keys.existing == "verify":
        return key
    try:
        return attrs.evolve(key, advice=(yield Settle(keys.store)).text)
    except StoreError as error:
        error.add_note(f"{keys.holding.name} holds access key {key.access_key_id}, which works")
        raise


def keep(keys: UserKeys, view: KeyView) -> Steps[bool]:
    """Verify the held key, and record it if it has no record; `False` if the store has changed.

    A missing record is confirmed like a conflict, because a read may be stale.
    """
    held, since = view.held or "", view.held_key.created if view.held_key else view.now
    since = max(since, view.records[held].changed or 0.0) if held in view.records else since
    wrong = (yield from verify(keys, held, age=view.now - since)) if view.readable else None
    if wrong and wrong.code == STORE_CHANGED:
        yield from keys.await_store()
        return False
    if wrong:
        blocked = Blocked(obstacle="held does not work", keys=view.keys)
        raise key_conflict(keys, view, blocked, wrong.summary) from wrong.error
    if view.barrier is None and view.has_room_for_record and held not in view.records:
        recorded = Blocked(obstacle="in the way")
        view = yield from keys.confirm(lambda seen: None if held in seen.records else recorded)
        if view.held != held:
            return False
        if held not in view.records:
            yield from keys.write(_record_of(keys, view, held))
    return True


def create_key(
    keys: UserKeys, view: KeyView, send: Callable[[TagUser], Steps[object]] | None = None
) -> Steps[AccessKey | None]:
    """Create a key for which there is room, deliver it and verify it.

    Returns:
        The key; `None` if another process was faster, so that the caller must read again.

    Raises:
        StoreError: If the store cannot be written, and nothing was created; or if it reports an
            error although it holds the key.
        DeliveryError: If a key was created, or may have been, and its delivery failed.
    """
    holding = yield from keys.hold(check=True)
    if holding.access_key_id != view.held:
        yield from keys.await_store()
        return None
    delivery = _Delivery(keys, view, send)
    try:
        try:
            return (yield from delivery.run())
        except GeneratorExit:
            raise
        except BaseException as stop:
            if not delivery.is_named_in(stop):
                yield from delivery.abandon(stop)
            raise
        finally:
            delivery.forget()
    finally:
        delivery.forget()  # once more, because an interrupt may have stopped the first call


@attrs.define
class _Delivery:
    """A new key on its way to the store; its methods yield effects.

    Attributes:
        keys: The keys of the user.
        view: The keys as they were seen before the delivery.
        send: Sends the record of the key beside other requests; `None` to send it alone.
        before: The ids that were known before the request, and the date of the last reply then.
        recorded: When the key was recorded; `None` if AWS has not acknowledged that.
        writing: Whether the store may have been asked to write the key.
    """

    keys: UserKeys
    view: KeyView
    send: Callable[[TagUser], Steps[object]] | None
    before: tuple[frozenset[str], float] = attrs.field(init=False)
    recorded: float | None = attrs.field(default=None, init=False)
    writing: bool = attrs.field(default=False, init=False)

    def run(self) -> Steps[AccessKey | None]:
        """Create the key and deliver it; return `None` if another process was faster."""
        keys, new = self.keys, (yield from self._create())
        if new is None:
            return None
        yield from self._record(new)
        failure = yield from self._write(new)
        if not (yield from self._is_held(new, failure)):
            return None
        name = new.access_key_id
        yield Emit(KeyCreated(access_key_id=name))
        yield Emit(KeyDelivered(access_key_id=name, store=keys.holding.name))
        wrong = yield from verify(keys, name, new)
        if wrong:
            reason = f"it holds the key, which does not work: {wrong.summary}"
            raise (yield from self._failed(reason)) from wrong.error
        if not keys.holding.readable and keys.time > (self.recorded or 0.0) + SLOW:
            yield from keys.write(_record_of(keys, self.view, name))
        if keys.lost is not None:
            yield from self._tag_suspects()
        if failure:
            problem = f"{failure.problem}; yet it holds access key {name}, which works"
            raise attrs.evolve(failure, problem=problem) from failure.__cause__
        view = self.view if keys.lost is None else (yield from keys.look())
        return access_key(view, name, "created" if self.view.held is None else "replaced")

    def _create(self) -> Steps[NewAccessKey | None]:
        keys, change = self.keys, CreateAccessKey(name=self.keys.user_name)
        self.before = frozenset(keys.shown), keys.date or float("-inf")
        try:
            done = yield from keys.write(change)
        except (ApplyError, CredentialsError) as error:
            self._note_loss(change)
            if keys.lost is None:
                raise
            raise (yield from self._failed(f"{_LOST} then: {error}", new=False)) from error
        keys.new = self._created()
        self._note_loss(change)
        if not done and keys.lost is not None:
            keys.window = keys.window[0], float("inf")  # this request may have been lost too
            yield from self._tag_suspects()
        return keys.new if done else None

    def _note_loss(self, change: CreateAccessKey) -> None:
        """Keep in mind what was known before the first request of the call that was lost."""
        keys = self.keys
        if keys.lost is None and change in keys.call.ledger.unacknowledged:
            keys.lost, keys.window = self.before[0], (self.before[1], float("inf"))

    def _appeared(self) -> Steps[tuple[SeenKey, ...]]:
        """Return the keys that may come from a request without a reply, after one more list.

        The list is requested only once, because an interrupt may be pending.
        """
        keys = self.keys
        if keys.lost is None:
            return ()
        with suppress(CwAgentIamError):
            yield from keys.list_keys(attempts=1)
        old = {*keys.lost, *keys.deleted, self._id}
        return tuple(key for name, key in keys.shown.items() if name not in old)

    def _tag_suspects(self) -> Steps[None]:
        """Tag the keys that may come from a request without a reply, once reads agree on them."""
        keys, new = self.keys, self.keys.new
        try:
            yield from keys.list_keys()
            # Without dates, any new key may be the one.
            keys.window = keys.window[0], min(keys.window[1], keys.date or float("inf"))
            view = yield from keys.look_for_long()
            suspects = suspects_in(view, keys.lost or frozenset(), *keys.window)
            untagged = {key.access_key_id for key in suspects} - view.suspects.keys()
            if untagged:
                tags = (Record(access_key_id=each, since=keys.time) for each in sorted(untagged))
                yield from keys.write(keys.tagging(*tags))
        except CwAgentIamError as error:
            late = isinstance(error, PropagationTimeoutError)
            why = "IAM's lists did not agree in time" if late else f"then: {error}"
            raise (yield from self._failed(f"{_LOST} {why}", new=False)) from error
        full = len(view.keys) >= MOST_KEYS and view.held == self.view.held
        if suspects and full and new is None:
            reason = f"{_LOST} there is no room for another key"
            raise (yield from self._failed(reason, new=False))

    def _record(self, new: NewAccessKey) -> Steps[None]:
        """Write the record of the key; delete the key if it is refused."""
        change = _record_of(self.keys, self.view, new.access_key_id)
        try:
            if self.send:
                yield from self.send(change)
            if change not in self.keys.call.ledger.applied:
                while not (yield from self.keys.write(change)):
                    pass
            self.recorded = self.keys.time
        except CwAgentIamError as error:
            yield from self._undo(f"its record was refused: {error}")

    def _write(self, new: NewAccessKey) -> Steps[StoreError | None]:
        self.writing = True
        try:
            yield Deliver(self.keys.store, new, self.view.held)
        except StoreError as error:
            return error
        return None

    def _is_held(self, new: NewAccessKey, failure: StoreError | None) -> Steps[bool]:
        """Return whether the store holds the key; delete the key if another process was faster."""
        before = self.view.held
        held = yield from self._held(failure)
        if isinstance(held, StoreError):  # a program may have read the key, and use it
            yield from self._doubt(f"{failure or 'it was written'}, and then: {held}")
        if held == new.access_key_id:
            return True
        if failure is None and self.view.held_key:
            yield from self._doubt(f"it was written, but holds {held or 'no key'}")
        if failure is None or held == before:
            yield from self._undo(str(failure or f"it was written, but holds {held or 'no key'}"))
        yield from self._delete(str(failure))
        if not (yield from self.keys.look()).held_key:  # what it holds is not a rival's key either
            raise (yield from self._failed(f"{failure}; it holds {held or 'no key'}", "deleted"))
        return False

    def _held(self, failure: StoreError | None) -> Steps[str | StoreError | None]:
        """Return what the store holds, or its error, after it had time to show what was written.

        If the write failed, and the store held no key of the user, there is no reason to wait.
        """
        keys, before = self.keys, self.view.held
        hasty = failure is not None and self.view.held_key is None
        late = keys.waited + LONGEST_LAG
        while True:
            held: str | StoreError | None
            try:
                held = (yield from keys.hold()).access_key_id
            except StoreError as error:
                held = error
            early = held == before and not hasty
            if not (early or isinstance(held, StoreError)) or keys.waited >= late:
                return held
            if not (yield from keys.call.pause(DENSE, "the store does not show the access key")):
                break
        if held == before and self.view.held_key:
            problem = "the timeout passed before it could have shown what was written"
            return StoreError(store=keys.holding.name, problem=problem)
        return held

    # --- undoing ----------------------------------------------------------------------------------

    def _doubt(self, reason: str) -> Steps[NoReturn]:
        """Keep the key, because deleting it might leave the store without a key that works."""
        yield Emit(KeyCreated(access_key_id=self._id))
        before = f"; it had held {self.view.held}" if self.view.held else ""
        raise (yield from self._failed(f"{reason}{before}"))

    def _undo(self, reason: str) -> Steps[NoReturn]:
        yield from self._delete(reason)
        raise (yield from self._failed(reason, "deleted"))

    def _delete(self, reason: str) -> Steps[None]:
        yield Emit(KeyCreated(access_key_id=self._id))
        try:
            yield from delete_key(self.keys, self._id, new=True)
        except CwAgentIamError as error:
            late = isinstance(error, PropagationTimeoutError)
            why = "it was not confirmed in time to be deleted" if late else str(error)
            reason = f"{reason.rstrip('.')}; and then: {why}"
            raise (yield from self._failed(reason, "exists")) from error
        if self.recorded:
            with suppress(CwAgentIamError):  # a rotation removes the record later
                yield from forget_tags(self.keys, [self._id])

    @property
    def _id(self) -> str:
        return self.keys.new.access_key_id if self.keys.new else ""

    def _failed(
        self, reason: str, fate: Fate = "in doubt", *, new: bool = True
    ) -> Steps[DeliveryError]:
        """Return the error about the *new* key, and those that lost requests may have left."""
        return DeliveryError(
            access_key_id=self._id if new else None,
            fate=fate,
            store=self.keys.holding.name,
            reason=reason,
            suspects=(yield from self._appeared()),
        )

    # --- interrupts -------------------------------------------------------------------------------

    def _created(self) -> NewAccessKey | None:
        """Return the new key, even if an interrupt left it only in the last outcomes."""
        call = self.keys.call
        if not (call.sent and isinstance(call.sent[0], CreateAccessKey) and call.outcomes):
            return self.keys.new
        outcome = call.outcomes[0]
        if not isinstance(outcome, Reply):
            return None
        made = outcome.content["AccessKey"]
        return NewAccessKey(
            access_key_id=made["AccessKeyId"],
            user_name=self.keys.user_name,
            secret=made["SecretAccessKey"],
        )

    def is_named_in(self, stop: BaseException) -> bool:
        """Return whether *stop* is an error of this library that says what became of the key."""
        new = self._created()
        kind = CwAgentIamError if self.keys.lost is None else DeliveryError
        return isinstance(stop, kind) and (new is None or new.access_key_id in str(stop))

    def abandon(self, stop: BaseException) -> Steps[None]:
        """Try once to delete a key that is not delivered; add a note about it to *stop*.

        If the store was asked to write it, and held a key before, it may show the new one late.
        """
        keys, change = self.keys, CreateAccessKey(name=self.keys.user_name)
        self._note_loss(change)
        keys.new = new = self._created()
        for key in (yield from self._appeared()):
            words = "may come from a request of this call whose reply was lost"
            told_by(stop).add_note(f"access key {key.access_key_id} {words}")
        if new is None or new.access_key_id in keys.deleted:
            return
        gone = DeleteAccessKey(name=keys.user_name, access_key_id=new.access_key_id)
        if gone in keys.call.ledger.applied:
            return
        fate = "it may be in the store"
        try:
            held = (yield from keys.hold()).access_key_id
            if held != new.access_key_id and not (self.writing and self.view.held_key):
                fate = "it may still exist"
                names = {"UserName": new.user_name, "AccessKeyId": new.access_key_id}
                (outcome,) = yield Send((Request("DeleteAccessKey", names),), 1)
                if isinstance(outcome, Reply):
                    fate = "it was deleted"
        except BaseException:  # noqa: BLE001, S110 - the first interrupt is the one to report
            pass
        told_by(stop).add_note(f"access key {new.access_key_id} was created, and {fate}")

    def forget(self) -> None:
        """Empty the secret, also in the last outcomes."""
        new = self._created()
        for each in (new, self.keys.new):
            if each:
                each.secret.forget()


def delete_key(keys: UserKeys, access_key_id: str, *, new: bool = False) -> Steps[None]:
    """Delete a key, and confirm that it is deleted.

    Some hosts may not know a *new* key yet, which this call has created.
    """
    change = DeleteAccessKey(name=keys.user_name, access_key_id=access_key_id)
    while not (yield from keys.write(change)):
        refusal = keys.call.ledger.refused[change].refusal
        if not new or refusal.unacknowledged:
            view = yield from keys.look_for_long()
            if all(key.access_key_id != access_key_id for key in view.keys):
                break
    keys.deleted.add(access_key_id)


def forget_tags(keys: UserKeys, ids: list[str]) -> Steps[None]:
    """Remove the records and the suspect tags of the keys with these ids."""
    named = tuple(f"{prefix}{each}" for each in ids for prefix in (KEY_TAG, SUSPECT_TAG))
    for name in named:
        keys.tags.pop(name, None)
    yield from keys.write(UntagUser(name=keys.user_name, tag_keys=named))


def _record_of(keys: UserKeys, view: KeyView, access_key_id: str) -> TagUser:
    """Return the change that records a key, and which key it replaces."""
    replaced = "" if view.held in {None, access_key_id} else view.held or ""
    record = Record(
        access_key_id=access_key_id, since=keys.time, store=view.store, replaces=replaced
    )
    return keys.tagging(record)
