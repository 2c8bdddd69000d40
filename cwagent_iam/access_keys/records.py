"""Records: the tags of a user that say which access keys this library created, and for which store.

IAM stores neither who created a key nor when its status changed. A record is written before its key
is delivered, and before the status of the key is changed. A *suspect* is a key that may come from a
request whose reply was lost. Its tag has another name, so that it never replaces a record.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_TAG = "cwagent-iam:key:"
SUSPECT_TAG = "cwagent-iam:suspect:"

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@attrs.frozen(kw_only=True)
class Record:
    """One record.

    Attributes:
        access_key_id: The id of the key.
        since: When the key was recorded or created, in seconds since 1970.
        store: The fingerprint of the store that it was created for; empty for a suspect.
        replaces: The id of the key that the store held before; empty if it held none.
        active: Whether the last change of its status activated it. Default: `True`.
        changed: When its status was last changed, in seconds since 1970; `None` if never.
    """

    access_key_id: str
    since: float
    store: str = ""
    replaces: str = ""
    active: bool = True
    changed: float | None = None

    @property
    def tag(self) -> tuple[str, str]:
        """The tag: name and value."""
        words = [_as_text(self.since)]
        words += [f"store={self.store}"] if self.store else []
        words += [f"replaces={self.replaces}"] if self.replaces else []
        if self.changed is not None:
            words.append(f"{'active' if self.active else 'inactive'}={_as_text(self.changed)}")
        return f"{self.prefix}{self.access_key_id}", " ".join(words)

    @property
    def prefix(self) -> str:
        """The part of the tag's name before the id."""
        return KEY_TAG if self.store else SUSPECT_TAG


def records_in(tags: Mapping[str, str], prefix: str) -> Mapping[str, Record]:
    """Return the records among *tags* whose names begin with *prefix*, by the ids of the keys.

    The names of *tags* are in lower case. A tag with a malformed value is not a record. Nor is a
    suspect's tag that names a store, or another tag that names none.
    """
    named = [
        (key.removeprefix(prefix).upper(), tags[key]) for key in tags if key.startswith(prefix)
    ]
    found = {name: _parse(name, value) for name, value in named}
    return {name: each for name, each in found.items() if each and each.prefix == prefix}


def _parse(access_key_id: str, value: str) -> Record | None:
    date, *words = value.split() or [""]
    facts = dict(word.partition("=")[::2] for word in words)
    try:
        since = _as_time(date)
        changes = {each: _as_time(facts[each]) for each in ("active", "inactive") if each in facts}
    except ValueError:
        return None
    return Record(
        access_key_id=access_key_id,
        since=since,
        store=facts.get("store", ""),
        replaces=facts.get("replaces", ""),
        active="inactive" not in changes,
        changed=next(iter(changes.values()), None),
    )


def _as_text(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime(_TIME)


def _as_time(text: str) -> float:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp()
