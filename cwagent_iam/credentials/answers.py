"""Requests about access keys in the words of the rules, and what is in the answers of IAM."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
from botocore.exceptions import ParamValidationError

from cwagent_iam.aws import code_of, reason_of
from cwagent_iam.keys import Note, SeenKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Deletion: TypeAlias = Literal["deleted", "not there", "in doubt"]
"""IAM says it is done; knows no such key, or not yet; or says so after a reply was lost."""

NOTE_TAG = "cwagent-iam:retiring"
"""The tag of a user that says since when a key is inactive, or active again."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@attrs.frozen
class KeyRequest:
    """A request about a user's access keys, as rules and errors need to know it.

    Attributes:
        operation: The IAM operation.
        user_name: The user.
    """

    operation: str
    user_name: str

    @property
    def target(self) -> str:
        """The kind and name of what it is done to."""
        return f"user {self.user_name}"

    @property
    def part(self) -> str:
        """Empty: it is about the user."""
        return ""

    @property
    def needs(self) -> frozenset[str]:
        """The kind and name of everything that it touches."""
        return frozenset({self.target})

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed."""
        return frozenset({f"iam:{self.operation}"})


@attrs.frozen(kw_only=True)
class KeyUse:
    """What IAM knows of the use of a key.

    Attributes:
        owner: The name of the user whose key it is.
        at: When it was last used, in seconds since 1970; `None` if never.
    """

    owner: str
    at: float | None


def keys_in(pages: Iterable[Any]) -> tuple[SeenKey, ...]:
    """Return the keys in the *pages* of a list, sorted, without their last use."""
    keys = (
        SeenKey(
            access_key_id=key["AccessKeyId"],
            active=key["Status"] == "Active",
            created=key["CreateDate"].timestamp(),
        )
        for page in pages
        for key in page["AccessKeyMetadata"]
    )
    return tuple(sorted(keys, key=lambda key: (key.created, key.access_key_id)))


def note_on(user: Mapping[str, Any]) -> Note | None:
    """Return what is noted on *user*; `None` if there is no note, or no sense in it."""
    texts = (tag["Value"] for tag in user.get("Tags", []) if tag["Key"] == NOTE_TAG)
    words = next(texts, "").split()
    try:
        access_key_id, status, date = words
        since = datetime.strptime(date, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Note(access_key_id=access_key_id, active=status == "active", since=since.timestamp())


def tag_of(note: Note) -> dict[str, str]:
    """Return *note* as it is written on the user."""
    date = datetime.fromtimestamp(note.since, UTC).strftime(_TIME)
    text = f"{note.access_key_id} {'active' if note.active else 'inactive'} {date}"
    return {"Key": NOTE_TAG, "Value": text}


def is_of_no_key(error: BaseException) -> bool:
    """Say whether IAM knows no such key: it denies to tell, and gives no policy as the reason."""
    words = reason_of(error)
    denied = code_of(error) == "AccessDenied" and "on resource: access key" in words
    unknown = code_of(error) == "NoSuchEntity" or (denied and "because" not in words)
    return unknown or is_of_nonsense(error)


def is_of_nonsense(error: BaseException) -> bool:
    """Say whether what stood for the id of a key cannot be one, as a placeholder in a file."""
    return isinstance(error, ParamValidationError) or code_of(error) == "ValidationError"
