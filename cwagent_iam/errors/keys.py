"""What can go wrong with access keys and the places for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.errors.general import ConflictError, CwAgentIamError

if TYPE_CHECKING:
    from cwagent_iam.errors.facts import KeyLike

Fate: TypeAlias = Literal["deleted", "exists", "in doubt"]
"""What became of an access key that could not be delivered."""

_FATES: dict[Fate, str] = {
    "deleted": "It is deleted again: mend the store, then call again.",
    "exists": "It was not seen to be deleted, and nobody knows its secret: delete it yourself.",
    "in doubt": "It was not deleted: see what the store holds and which keys are used.",
}


@attrs.define(kw_only=True, eq=False, slots=False)
class KeyConflictError(ConflictError):
    """Raised when access keys stand in the way; nothing is done to any of them.

    Attributes:
        keys: The keys, as `cwagent_iam.SeenKey`.
    """

    keys: tuple[KeyLike, ...]


@attrs.define(kw_only=True, eq=False, slots=False)
class StoreError(CwAgentIamError):
    """Raised when a place for access keys cannot be read, or not be written to.

    Attributes:
        store: The place.
        problem: What is wrong, and what to do about it; never what is in the place.
    """

    store: str
    problem: str

    def __str__(self) -> str:
        """The place and what is wrong, then what had been applied."""
        return " ".join([f"{self.store}: {self.problem}", *self._already_applied()])


@attrs.define(kw_only=True, eq=False, slots=False)
class DeliveryError(CwAgentIamError):
    """Raised when an access key was made, or may have been, and was not delivered, or not let in.

    Attributes:
        access_key_id: The key; `None` where the reply with its id was lost.
        fate: ``"deleted"``; ``"exists"``, unless a deletion was done although no reply said so; or
            ``"in doubt"``: it is not known what the store holds, or whose the suspects are, or why
            AWS does not let in the key that the store holds, and nothing was deleted.
        store: The place that it was meant for.
        reason: What went wrong; never with the secret.
        suspects: The keys that may be what a lost reply told of, as `cwagent_iam.SeenKey`.
    """

    access_key_id: str | None
    fate: Fate
    store: str
    reason: str
    suspects: tuple[KeyLike, ...] = ()

    def __str__(self) -> str:
        """What was not delivered and why, what became of it, and what to do."""
        key = f"access key {self.access_key_id}" if self.access_key_id else "an access key"
        failure = f"The delivery of {key} to {self.store} failed: {self.reason.rstrip('.')}."
        suspects = ", ".join(key.access_key_id for key in self.suspects)
        named = [f"It may be one of these: {suspects}."] if suspects else []
        return " ".join([failure, *named, _FATES[self.fate], *self._already_applied()])
