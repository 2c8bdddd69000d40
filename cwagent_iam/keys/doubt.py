"""Whose key it is that appeared when the reply to our own request for one was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from cwagent_iam.keys.facts import SeenKey

TOLERANCE = 2.0
"""By how many seconds AWS's clocks may differ, and dates be rounded."""


@attrs.frozen
class NotDone:
    """No key was made: the request can be sent again."""


@attrs.frozen
class Ours:
    """The key that our request made. Nobody knows its secret, so it is to be deleted.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen
class Delivered:
    """Somebody else has put a new key into the same store.

    Attributes:
        key: The key.
    """

    key: SeenKey


@attrs.frozen
class InDoubt:
    """Somebody else makes keys too: none may be touched.

    Attributes:
        suspects: The keys that may be ours.
    """

    suspects: tuple[SeenKey, ...]


Verdict: TypeAlias = NotDone | Ours | Delivered | InDoubt


@attrs.frozen(kw_only=True)
class LostRequest:
    """A request for a key whose reply was lost.

    Attributes:
        before: The ids of the keys that were there before.
        since: When it was sent, by AWS's clock.
        until: When it was known to have failed, by AWS's clock.
    """

    before: frozenset[str]
    since: float
    until: float

    def suspects(self, keys: tuple[SeenKey, ...]) -> tuple[SeenKey, ...]:
        """Return those of *keys* that were not there before."""
        return tuple(key for key in keys if key.access_key_id not in self.before)


def verdict_on(lost: LostRequest, keys: tuple[SeenKey, ...], held: str | None) -> Verdict:
    """Judge what a request did whose reply was lost.

    One hazard is left, for nothing tells the two apart: our request was never carried out, and
    somebody else has made a key in the very seconds that it took and has not used it yet. That
    key is taken for ours, and deleted.

    Args:
        lost: The request.
        keys: The user's keys, after they have held still, with the last use of the suspects.
        held: The id of the key that the store holds by now.
    """
    suspects = lost.suspects(keys)
    if not suspects:
        return NotDone()
    delivered = [key for key in suspects if key.access_key_id == held]
    if delivered:
        return Delivered(delivered[0])
    key = suspects[0]
    in_time = lost.since - TOLERANCE <= key.created <= lost.until + TOLERANCE
    if len(suspects) == 1 and in_time and key.last_used is None:
        return Ours(key)
    return InDoubt(suspects)
