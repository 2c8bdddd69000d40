"""A key made, delivered and verified; and the way back from each step that fails.

.. code-block:: text

    check the store ▶ create ▶ write ▶ read back ▶ verify ▶ forget the secret
                        │        └───────┴── not in the store: delete the key again
                        └── reply lost: look whose key appeared
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import attrs

from cwagent_iam.aws.sender import attempt
from cwagent_iam.credentials.looking import (
    LONGEST_LAG,
    agreed_for_long,
    conflict_over,
    delete,
    glance,
    look,
    with_uses,
)
from cwagent_iam.credentials.making import Creation
from cwagent_iam.credentials.sealing import guarded
from cwagent_iam.credentials.store import Companion
from cwagent_iam.credentials.verifying import verify
from cwagent_iam.errors import (
    CwAgentIamError,
    DeliveryError,
    PropagationTimeoutError,
    StoreError,
)
from cwagent_iam.events import KeyDelivered, KeyMade
from cwagent_iam.keys import AccessKey, Blocked, Keep, step_to_deliver
from cwagent_iam.reconcile.rules import DENSE
from cwagent_iam.requests import Reply, Request

if TYPE_CHECKING:
    from cwagent_iam.credentials.requests import KeyRequests
    from cwagent_iam.credentials.secret import NewAccessKey
    from cwagent_iam.credentials.store import KeyStore
    from cwagent_iam.errors import Fate
    from cwagent_iam.keys import KeyView, SeenKey


def ensure_key(requests: KeyRequests, store: KeyStore) -> AccessKey:
    """See to it that *store* holds an access key that works; the user is known to exist.

    Raises:
        KeyConflictError: When keys stand in the way, or the held one is inactive.
        StoreError: When the store cannot be read or written.
        DeliveryError: When a key was made, or may have been, and is not in the store.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When AWS refuses to make or delete a key.
        PropagationTimeoutError: When the key was delivered, but AWS does not let it in in time; or
            when IAM's lists do not agree in time, so that nothing was made.
    """
    requests.exists = True
    try:
        return _ensured(requests, store)
    except CwAgentIamError as error:
        error.applied = tuple(requests.applied)
        raise


def _ensured(requests: KeyRequests, store: KeyStore) -> AccessKey:
    view = glance(requests, store)
    if view.unheld or not isinstance(step_to_deliver(view), Keep):
        view = look(requests, store)
    while True:
        step = step_to_deliver(view)
        if isinstance(step, Blocked):
            raise conflict_over(requests, store, view, step)
        if isinstance(step, Keep):
            kept = step.key.access_key_id
            key = AccessKey(access_key_id=kept, action="kept", unheld=view.unheld)
            return attrs.evolve(key, advice=settle(store))
        made = make_key(requests, store, view)
        if made:
            return attrs.evolve(made, advice=settle(store))
        view = look(requests, store)


def settle(store: KeyStore) -> str:
    """Let a store that knows of its readers see to them; return its advice.

    Raises:
        StoreError: When that fails.
    """
    if not isinstance(store, Companion):
        return ""
    return guarded(store, "settled", store.settle) or ""


def make_key(requests: KeyRequests, store: KeyStore, view: KeyView) -> AccessKey | None:
    """Make a key, deliver it and see AWS let it in.

    Args:
        requests: Whose key.
        store: The store.
        view: What was seen, with room for a key; the store holds the same key as then.

    Returns:
        The key; `None` if somebody else was faster, so that one must look again.

    Raises:
        StoreError: When the store cannot be written, and nothing was made; or when it has failed
            to say that it holds the key, which it does.
        DeliveryError: As for `ensure_key`, like all that follow.
        ApplyError: When AWS refuses to make a key.
        ObserveError: When AWS refuses a read or gives no answer.
        PropagationTimeoutError: When AWS does not let in the key in time.
    """
    guarded(store, "written", store.check)
    name = str(store)  # later on it might tell the secret
    new = Creation(requests, store).key()
    if new is None:
        return None
    delivery = _Delivery(requests, store, name, view, new)
    try:
        complaint = delivery.deliver()
        if delivery.overtaken:
            return None
        verify(requests, new, name)
        if complaint:
            raise complaint
    except CwAgentIamError as error:
        if requests.repeated:
            error.add_note("the client has repeated CreateAccessKey: look for a key too many")
        raise
    finally:
        new.secret.forget()

    def others(keys: tuple[SeenKey, ...]) -> tuple[SeenKey, ...]:
        return tuple(key for key in keys if key.access_key_id != new.access_key_id)

    unheld = others(view.keys)
    if requests.repeated:  # there may be one key more
        unheld = agreed_for_long(requests, lambda keys: with_uses(requests, others(keys)))
    return AccessKey(
        access_key_id=new.access_key_id,
        action="created" if view.held is None else "replaced",
        unheld=unheld,
    )


@attrs.define
class _Delivery:
    """A new key on its way into the store."""

    requests: KeyRequests
    store: KeyStore
    name: str
    view: KeyView
    new: NewAccessKey
    overtaken: bool = False

    def deliver(self) -> StoreError | None:
        """Write the key and see what the store holds; return what it complained of all the same.

        Raises:
            DeliveryError: When the store does not hold it, or nobody knows.
        """
        new, emit = self.new.access_key_id, self.requests.executor.emit
        try:
            complaint = self._write()
            if not self._holds_it(complaint):
                return None
        except CwAgentIamError:
            raise
        except BaseException as interrupt:
            self._undo_at_once(interrupt)
            raise
        emit(KeyMade(access_key_id=new))
        emit(KeyDelivered(access_key_id=new, store=self.name))
        return complaint

    def _write(self) -> StoreError | None:
        def write() -> None:
            self.store.write(self.new, replacing=self.view.held)

        try:
            guarded(self.store, "written", write, self.new.secret)
        except StoreError as error:
            return error
        return None

    def _holds_it(self, complaint: StoreError | None) -> bool:
        """Say whether the store holds the key; if somebody else has written it, delete the key."""
        held = self._held(complaint)
        if isinstance(held, StoreError):  # others may have seen the key in it, and rely on it
            self._doubt(f"{complaint or 'it was written'}, and then: {held}")
        if held == self.new.access_key_id:
            return True
        if complaint is None and self.view.held_key:
            self._doubt(f"it was written, and holds {held or 'no key'}")
        if complaint is None or held == self.view.held:
            self._undo(str(complaint or f"it was written, and holds {held or 'no key'}"))
        self._delete(str(complaint))
        self.overtaken = True
        return False

    def _held(self, complaint: StoreError | None) -> str | StoreError | None:
        """Return what the store holds, once it had time to show what was written, or its error.

        Where it complains, and held no key that works, nothing is lost by not waiting.
        """
        requests, before = self.requests, self.view.held
        hasty = complaint is not None and self.view.held_key is None
        late = requests.seconds + LONGEST_LAG

        def read() -> str | StoreError | None:
            try:
                return guarded(self.store, "read", self.store.held, self.new.secret)
            except StoreError as error:
                return error

        def may_change(held: str | StoreError | None) -> bool:
            early = held == before and not hasty
            return (early or isinstance(held, StoreError)) and requests.seconds < late

        why = (DENSE, f"{self.name} does not show the access key")
        held, _ = requests.repeat(read, lambda held: why if may_change(held) else None)
        if may_change(held) and held == before and self.view.held_key:
            problem = "the time was up before it could have shown what was written"
            return StoreError(store=self.name, problem=problem)
        return held

    def _doubt(self, reason: str) -> NoReturn:
        """Leave the key alone: deleting it might leave the store without any."""
        self.requests.executor.emit(KeyMade(access_key_id=self.new.access_key_id))
        before = f"; it had held {self.view.held}" if self.view.held else ""
        raise self._failed(fate="in doubt", reason=f"{reason}{before}")

    def _undo(self, reason: str) -> NoReturn:
        self._delete(reason)
        raise self._failed(fate="deleted", reason=reason)

    def _delete(self, reason: str) -> None:
        self.requests.executor.emit(KeyMade(access_key_id=self.new.access_key_id))
        try:
            delete(self.requests, self.new.access_key_id, new=True)
        except CwAgentIamError as error:
            late = isinstance(error, PropagationTimeoutError)
            why = "it was not seen in time to be gone" if late else str(error)
            reason = f"{reason.rstrip('.')}; and then: {why}"
            raise self._failed(fate="exists", reason=reason) from error

    def _failed(self, *, fate: Fate, reason: str) -> DeliveryError:
        return DeliveryError(
            access_key_id=self.new.access_key_id,
            fate=fate,
            store=self.name,
            reason=reason,
        )

    def _undo_at_once(self, interrupt: BaseException) -> None:
        """Try once to delete what is not delivered; there is no time for more.

        If the store had a key that works, it may still be about to show the new one instead.
        """
        fate = "it may be in the store"
        try:
            held = guarded(self.store, "read", self.store.held, self.new.secret)
            if held != self.new.access_key_id and not self.view.held_key:
                fate = "it may still exist"
                names = {"UserName": self.new.user_name, "AccessKeyId": self.new.access_key_id}
                client = self.requests.executor.clients.of("iam")
                if isinstance(attempt(client, Request("DeleteAccessKey", names)), Reply):
                    fate = "it was deleted"
        except BaseException:  # noqa: BLE001, S110 - the first interrupt is the one to tell of
            pass
        interrupt.add_note(f"access key {self.new.access_key_id} was made, and {fate}")
