"""The places that a secret may go: what one must be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cwagent_iam.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.credentials.secret import NewAccessKey


class KeyStore(Protocol):
    """A place for one access key. What it raises is told without the secret; its `str` names it."""

    def held(self) -> str | None:
        """Return the id of the key that it holds; `None` if it holds none."""

    def check(self) -> None:
        """Raise if it could not be written to now; leave nothing behind."""

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Hold *key*; raise if it cannot, or if the key it holds by now is not *replacing*."""


@runtime_checkable
class Companion(Protocol):
    """What a store may know of those who read it; a store needs none of it."""

    def settle(self) -> str:
        """Mend what tells the agent of the store; called whenever that holds a good key.

        Return what is left for the caller to do; empty if nothing.
        """


def store_problems(deliver: object) -> Iterator[Problem]:
    """Say what is wrong with the argument *deliver*, if anything is."""
    methods = ("held", "check", "write")
    has_all = all(callable(getattr(deliver, name, None)) for name in methods)
    if isinstance(deliver, type) or not has_all:
        rule = "must be a place for keys, with the methods held, check and write"
        yield Problem.of("deliver", deliver, rule)
