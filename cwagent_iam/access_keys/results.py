"""Results about access keys, and the conflicts that callers have to resolve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.changes import AccessKey
from cwagent_iam.errors import Conflict, KeyConflictError

if TYPE_CHECKING:
    from cwagent_iam.access_keys.inventory import UserKeys
    from cwagent_iam.access_keys.steps import Blocked, KeyView, Obstacle
    from cwagent_iam.changes.result import Action
    from cwagent_iam.state import SeenKey


def access_key(view: KeyView, access_key_id: str, action: Action) -> AccessKey:
    """Return the result about the key with this id, with the user's other keys."""
    unheld = tuple(key for key in view.keys if key.access_key_id != access_key_id)
    suspects = tuple(key for key in unheld if key in view.unheld_suspects)
    return AccessKey(access_key_id=access_key_id, action=action, unheld=unheld, suspects=suspects)


def described(key: SeenKey, now: float) -> str:
    """Describe a key in words: its id, status, age and last use."""
    status = "active" if key.active else "inactive"
    used = "never used"
    if key.last_used is not None:
        service = f" for {key.last_service}" if key.last_service else ""
        used = f"last used {_ago(now - key.last_used)}{service}"
    return f"{key.access_key_id} ({status}, created {_ago(now - key.created)}, {used})"


def _ago(seconds: float) -> str:
    units = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0))
    name, unit = next((each for each in units if seconds >= 2 * each[1]), ("seconds", 1.0))
    return f"{max(seconds, 0.0) / unit:.0f} {name} ago"


def key_conflict(
    keys: UserKeys, view: KeyView, blocked: Blocked, detail: str = ""
) -> KeyConflictError:
    """Return the error that says why a step is *blocked*, and what the caller can do."""
    reason, advice = _WORDS[blocked.obstacle]
    store = keys.holding.name
    facts = {"store": store, "held": view.held, "owner": view.owner, "detail": detail}
    named = "; ".join(described(key, view.now) for key in blocked.keys)
    conflict = Conflict(
        target=f"user {keys.user_name}",
        reason=f"{reason.format(**facts)}{f': {named}' if named else ''}",
        differences=(),
        advice=advice.format(store=store),
    )
    return KeyConflictError(conflicts=(conflict,), keys=blocked.keys)


_WORDS: dict[Obstacle, tuple[str, str]] = {
    "no room": (
        "has two access keys, which is the maximum, and {store} holds neither",
        "Check which of them is in use, delete the other, then call again.",
    ),
    "no room for a record": (
        "has 50 tags, which is the maximum, so that a new access key cannot be recorded",
        "Remove a tag from the user, then call again.",
    ),
    "not managed": (
        "is not managed, so that its access keys are not changed",
        'Choose existing="attach" or existing="adopt" if this library may manage its keys.',
    ),
    "verify only": (
        'has access keys that are not as desired, and existing="verify" changes nothing',
        'Call without existing="verify" to change them.',
    ),
    "held is inactive": (
        "has an access key that is inactive, and {store} holds it",
        "Activate it, as rotate_access_key(undo=True) does, or remove it from the store.",
    ),
    "held does not work": (
        "has access key {held}, which does not work as {store} holds it ({detail})",
        "Correct the secret in the store, or remove the key from the store, then call again.",
    ),
    "held is another user's": (
        "does not have the access key that {store} holds: {held} belongs to {owner}",
        "Name another store for this user: one store is for one user.",
    ),
    "in the way": (
        "has a second access key that was not recorded for {store}, or is newer than the held one",
        "Check which program uses it, and delete it, so that there is room for a new key.",
    ),
    "nothing to undo": (
        "does not have exactly one inactive access key that this library may reactivate",
        "Only an old key that is deactivated, and not deleted yet, can be reactivated.",
    ),
}
