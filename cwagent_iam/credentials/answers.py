"""Access keys in IAM's replies, and changes of access keys as errors report them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
from botocore.exceptions import ParamValidationError

from cwagent_iam.keys import Note, SeenKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cwagent_iam.requests import Refusal

Deletion: TypeAlias = Literal["deleted", "not there", "in doubt"]
"""IAM says it is done; knows no such key, or not yet; or says so after a reply was lost."""

NOTE_TAG = "cwagent-iam:retiring"
"""The tag of a user that says since when a key is inactive, or active again."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@attrs.frozen
class KeyRequest:
    """A change of a user's access keys, as errors report it.

    Attributes:
        operation: The IAM operation.
        user_name: The user.
    """

    operation: str
    user_name: str

    @property
    def target(self) -> str:
        """The kind and name of the user."""
        return f"user {self.user_name}"

    @property
    def part(self) -> str:
        """Empty, because the change is reported for the whole user."""
        return ""

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller needs."""
        return frozenset({f"iam:{self.operation}"})


@attrs.frozen(kw_only=True)
class KeyUse:
    """The owner and the last use of a key.

    Attributes:
        owner: The name of the user who has the key.
        at: When it was last used, in seconds since 1970; `None` if never.
    """

    owner: str
    at: float | None


def keys_in(reply: Mapping[str, Any]) -> tuple[SeenKey, ...]:
    """Return the keys in a complete list, oldest first, without their last use."""
    keys = (
        SeenKey(
            access_key_id=key["AccessKeyId"],
            active=key["Status"] == "Active",
            created=key["CreateDate"].timestamp(),
        )
        for key in reply["AccessKeyMetadata"]
    )
    return tuple(sorted(keys, key=lambda key: (key.created, key.access_key_id)))


def note_on(user: Mapping[str, Any]) -> Note | None:
    """Return the note in the tags of *user*; `None` if there is none, or it is malformed."""
    texts = (tag["Value"] for tag in user.get("Tags", []) if tag["Key"] == NOTE_TAG)
    words = next(texts, "").split()
    try:
        access_key_id, status, date = words
        since = datetime.strptime(date, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Note(access_key_id=access_key_id, active=status == "active", since=since.timestamp())


def tag_of(note: Note) -> dict[str, str]:
    """Return *note* as a tag of the user."""
    date = datetime.fromtimestamp(note.since, UTC).strftime(_TIME)
    text = f"{note.access_key_id} {'active' if note.active else 'inactive'} {date}"
    return {"Key": NOTE_TAG, "Value": text}


def is_unknown_key(refusal: Refusal) -> bool:
    """Return whether IAM does not know the key.

    For an unknown key IAM may return AccessDenied without naming a policy as the reason.
    """
    denied = refusal.code == "AccessDenied" and "on resource: access key" in refusal.message
    unknown = refusal.code == "NoSuchEntity" or (denied and "because" not in refusal.message)
    return unknown or is_malformed_id(refusal)


def is_malformed_id(refusal: Refusal) -> bool:
    """Return whether the id is malformed, such as a placeholder in a file."""
    return isinstance(refusal.error, ParamValidationError) or refusal.code == "ValidationError"
