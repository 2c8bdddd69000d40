"""Who wrote last to what: of two clients that write to one thing at once, one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from random import Random

    from cwagent_iam.testing.lagging.versions import Key
    from cwagent_iam.testing.lagging.wire import Sent

_AT_ONCE = 2.0
"""For how many seconds after a write another one is taken to be at the same time."""


@attrs.define
class Writers:
    """The last writer of each thing.

    Attributes:
        probability: How probable it is that two writes at once collide.
        random: Where chance comes from.
    """

    probability: float
    random: Random
    _last: dict[Key | None, tuple[str, float]] = attrs.field(factory=dict)

    def collides(self, sent: Sent, now: float) -> bool:
        """Say whether *sent* comes too soon after a write of another client to the same thing."""
        client, when = self._last.get(sent.written, (sent.client, now))
        at_once = client != sent.client and now - when < _AT_ONCE
        return at_once and self.random.random() < self.probability

    def note(self, sent: Sent, now: float) -> None:
        """Remember that *sent* has been carried out."""
        if sent.written:
            self._last[sent.written] = sent.client, now
