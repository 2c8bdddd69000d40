"""Access keys as IAM and the store show them; ids, times, and never a secret.

Times are in seconds since 1970, so that nothing here has a clock or a calendar.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

Action: TypeAlias = Literal["created", "kept", "replaced"]
"""What completes the sentence "The store's key was ..."."""

MOST_KEYS = 2
"""How many access keys IAM lets a user have; nobody can raise it."""


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
