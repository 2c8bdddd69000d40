"""The base of all errors, and what is wrong with arguments or in the way of them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.errors.facts import names_of

if TYPE_CHECKING:
    from cwagent_iam.errors.facts import ChangeLike, Conflict, Problem

_MOST_PROBLEMS = 50


@attrs.define(kw_only=True, eq=False, slots=False)
class CwAgentIamError(Exception):
    """Raised when anything fails in a way that this library foresees; the base of all its errors.

    Attributes:
        applied: The changes that the failing call had already made, in order.
    """

    applied: tuple[ChangeLike, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by keyword, because exceptions are otherwise rebuilt from positional arguments."""
        notes = {"__notes__": self.__notes__} if hasattr(self, "__notes__") else None
        facts = attrs.asdict(self, recurse=False)
        return functools.partial(type(self), **facts), (), notes

    def _already_applied(self) -> list[str]:
        """Say in a sentence what was applied; in none if nothing was."""
        return [f"Already applied: {names_of(self.applied)}."] if self.applied else []


@attrs.define(kw_only=True, eq=False, slots=False)
class IntentError(CwAgentIamError, ValueError):
    """Raised when arguments break a rule of IAM, before any request is sent.

    Attributes:
        problems: Every rule that is broken, not just the first.
    """

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        """One line for each problem, of the first fifty."""
        lines = [str(problem) for problem in self.problems[:_MOST_PROBLEMS]]
        more = len(self.problems) - len(lines)
        return "\n".join([*lines, f"... and {more} more"] if more else lines)


@attrs.define(kw_only=True, eq=False, slots=False)
class ConflictError(CwAgentIamError):
    """Raised when something that exists stands in the way, and it is not ours to change.

    Attributes:
        conflicts: Everything that stands in the way.
    """

    conflicts: tuple[Conflict, ...]

    def __str__(self) -> str:
        """Each conflict in full, then what had been applied before."""
        return "\n".join([*map(str, self.conflicts), *self._already_applied()])
