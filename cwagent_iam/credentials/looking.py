"""What IAM and the store show of a user's access keys, looked at until it holds still.

One look may be at a host that knows of a key not yet, or of a deleted one still, and the next look
at another; what is decided on a list that flaps makes a key too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from cwagent_iam.credentials.sealing import guarded
from cwagent_iam.errors import Conflict, KeyConflictError, PropagationTimeoutError
from cwagent_iam.events import KeyChanged
from cwagent_iam.keys import KeyView, SeenKey, described
from cwagent_iam.reconcile.call import COPIES
from cwagent_iam.reconcile.rules import DENSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.credentials.requests import KeyRequests
    from cwagent_iam.credentials.store import KeyStore
    from cwagent_iam.keys import Blocked, Obstacle

_T = TypeVar("_T")

LONGEST_LAG = 15.0
"""For how many seconds IAM's lists may lag, as far as anybody has seen."""

_UNSTEADY = "IAM's lists of the access keys differ, or lag"


def look(requests: KeyRequests, store: KeyStore) -> KeyView:
    """Return all that a decision rests on, after several lists in a row that agree.

    A held key that they do not show is waited for: it may be new, and is not taken for gone as long
    as IAM knows it for this user's. The same goes for a key that an earlier list has shown.

    Raises:
        StoreError: When the store cannot be read.
        ObserveError: When AWS refuses a read, or gives no answer in time.
        PropagationTimeoutError: When the lists do not hold still in time.
    """
    held = guarded(store, "read", store.held)
    late = requests.seconds + min(LONGEST_LAG, requests.left / 2)

    def whole(keys: tuple[SeenKey, ...]) -> KeyView | None:
        # A host that lags may hide a key that another one has shown, and all its lists agree.
        hidden = requests.shown.keys() - requests.deleted - {key.access_key_id for key in keys}
        if any(requests.use_of(name) for name in hidden):
            return None
        owner = None
        if held is not None and all(key.access_key_id != held for key in keys):
            if requests.seconds < late:
                return None
            owner = requests.owner_of(held)
        if owner is not None and owner.lower() == requests.user_name.lower():
            return None
        used = with_uses(requests, keys)
        if used is None:
            return None
        return KeyView(keys=used, held=held, owner=owner, now=requests.propagation.now())

    view = agreed(requests, whole, waiting_for=held or "")
    return attrs.evolve(view, note=requests.note())


def glance(requests: KeyRequests, store: KeyStore) -> KeyView:
    """Return what one look shows, which is enough to see that all is right.

    Raises:
        StoreError: When the store cannot be read.
        ObserveError: When AWS refuses a read, or gives no answer in time.
    """
    held = guarded(store, "read", store.held)
    return KeyView(keys=requests.listed(), held=held, now=requests.propagation.now())


def with_uses(requests: KeyRequests, keys: tuple[SeenKey, ...]) -> tuple[SeenKey, ...] | None:
    """Return *keys* with their last use; `None` if one of them is not known, or not any more.

    Raises:
        ObserveError: When AWS refuses a read, or gives no answer in time.
    """
    uses = [(key, requests.use_of(key.access_key_id)) for key in keys]
    known = tuple(attrs.evolve(key, last_used=use.at) for key, use in uses if use)
    return known if len(known) == len(keys) else None


def agreed(
    requests: KeyRequests,
    judge: Callable[[tuple[SeenKey, ...]], _T | None],
    *,
    waiting_for: str = "",
) -> _T:
    """List the keys until several lists in a row agree and *judge* makes something of them.

    Raises:
        ObserveError: When AWS refuses a read, or gives no answer in time.
        PropagationTimeoutError: When they do not in time; it names the key *waiting_for*.
    """
    began = requests.seconds

    def several() -> _T | None:
        first = requests.listed()
        same = all(requests.listed() == first for _ in range(COPIES - 1))
        return judge(first) if same else None

    answer, looks = requests.repeat(
        several, lambda answer: (DENSE, _UNSTEADY) if answer is None else None
    )
    if answer is None:
        hidden = "" if waiting_for in requests.shown else waiting_for
        raise too_late(requests, looks, began, hidden)
    return answer


def too_late(
    requests: KeyRequests, looks: int, began: float, access_key_id: str
) -> PropagationTimeoutError:
    """Return the error that tells of a key that AWS did not show, or let in, in time.

    Args:
        requests: Whose key.
        looks: How often AWS was asked.
        began: When that began, in seconds since *requests* did.
        access_key_id: The key; empty if it is the lists that did not agree.
    """
    last = requests.refusal
    return PropagationTimeoutError(
        missing=(),
        unusable_key=access_key_id,
        attempts=looks,
        seconds=requests.seconds - began,
        last_error=last.summary if last else "",
    )


def steady(
    requests: KeyRequests,
    is_enough: Callable[[tuple[SeenKey, ...]], bool],
    *,
    waiting_for: str = "",
) -> tuple[SeenKey, ...]:
    """List the keys until several lists in a row agree and *is_enough* says so of them.

    Raises:
        ObserveError: When AWS refuses a read, or gives no answer in time.
        PropagationTimeoutError: When they do not in time; it names the key *waiting_for*.
    """
    return agreed(requests, lambda keys: keys if is_enough(keys) else None, waiting_for=waiting_for)


def agreed_for_long(requests: KeyRequests, judge: Callable[[tuple[SeenKey, ...]], _T | None]) -> _T:
    """List the keys as `agreed`, until later than any lag from now.

    Raises:
        ObserveError: When AWS refuses a read, or gives no answer in time.
        PropagationTimeoutError: When they do not in time.
    """
    late = requests.seconds + LONGEST_LAG
    return agreed(requests, lambda keys: judge(keys) if requests.seconds >= late else None)


def delete(requests: KeyRequests, access_key_id: str, *, new: bool = False) -> None:
    """Delete a key and make sure that it is gone.

    Args:
        requests: Whose key.
        access_key_id: The key.
        new: Whether this call has made it, so that IAM may deny for a while that it is there.

    Raises:
        ApplyError: When AWS refuses it, or gives no answer in time.
        ObserveError: When AWS refuses a read, or gives no answer in time.
        PropagationTimeoutError: When it cannot be seen in time that it is gone.
    """
    began = requests.seconds

    def is_gone() -> bool:
        answer = requests.delete(access_key_id)
        if answer == "deleted":
            return True
        if answer == "not there" and new:
            return False
        keys = agreed_for_long(requests, lambda keys: keys)
        return all(key.access_key_id != access_key_id for key in keys)

    gone, looks = requests.repeat(
        is_gone, lambda gone: None if gone else (DENSE, "IAM does not know the access key yet")
    )
    if not gone:
        raise too_late(requests, looks, began, access_key_id)
    requests.deleted.add(access_key_id)
    requests.executor.emit(KeyChanged(operation="DeleteAccessKey", access_key_id=access_key_id))


def conflict_over(
    requests: KeyRequests, store: KeyStore, view: KeyView, blocked: Blocked
) -> KeyConflictError:
    """Return the error that says what *blocked* a step, and what the caller can do."""
    reason, advice = _WORDS[blocked.obstacle]
    reason = reason.format(store=store, held=view.held, owner=view.owner)
    named = "; ".join(described(key, view.now) for key in blocked.keys)
    conflict = Conflict(
        target=f"user {requests.user_name}",
        reason=f"{reason}{f': {named}' if named else ''}",
        differences=(),
        advice=advice.format(store=store),
    )
    return KeyConflictError(conflicts=(conflict,), keys=blocked.keys)


_WORDS: dict[Obstacle, tuple[str, str]] = {
    "no room": (
        "has two access keys, which is all it can have, and {store} holds neither",
        "Nothing is deleted unasked: see which of them is in use, delete the other, call again.",
    ),
    "held is inactive": (
        "has an access key that is inactive, and {store} holds it",
        "Activate it, as rotate_access_key(undo=True) does, or take it out of the store.",
    ),
    "held is somebody else's": (
        "does not have the access key that {store} holds: {held} belongs to {owner}",
        "Name another store for this user: one store is for one user.",
    ),
    "in the way": (
        "has a second access key that is in use and is not held by {store}",
        "See who uses it, and delete it, so that there is room for a new key.",
    ),
    "nothing to undo": (
        "does not have one inactive access key alone",
        "Only an old key that is deactivated, and not deleted yet, can be brought back.",
    ),
}
