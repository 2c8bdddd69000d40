"""Arguments: the checks that belong to no single field, of texts and of collections."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from cwagent_iam.errors import IntentError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def plain(text: str) -> str:
    """Return a text that is nothing else; what is no text is left for a check to find.

    A member of an `enum.Enum` can be a string too. It compares as its value, and that is what is
    checked, but in texts that are made of it, it reads as its own name.
    """
    given: Any = text
    copied: str = str.__str__(given) if isinstance(given, str) else given
    return copied


def plain_if_named(text: str | None) -> str | None:
    """Return `None`, or a text as `plain` does."""
    return None if text is None else plain(text)


def is_collection(value: object) -> TypeGuard[Collection[Any]]:
    """Tell whether *value* is a collection, and not a single thing in place of one."""
    single = isinstance(value, (str, bytes, bytearray, Mapping))
    return not single and isinstance(value, Collection)


def collection_rule(members: str) -> str:
    """Say that there must be a collection of *members*."""
    return f"must be a tuple, a list or a set of {members}, even if it is only one"


def text_problems(argument: str, value: object, most: int, *, least: int = 0) -> Iterator[Problem]:
    """Check that *value* is a string of *least* to *most* characters."""
    if not isinstance(value, str):
        yield Problem.of(argument, value, "must be a string")
    elif not least <= len(value) <= most:
        span = f"{least} to {most}" if least else f"at most {most}"
        yield Problem.of(argument, value, f"must have {span} characters, not {len(value)}")


def if_named(
    check: Callable[[str, object], Iterator[Problem]], argument: str, value: object
) -> Iterable[Problem]:
    """Check *value* unless it is `None`: then intent does not name the field."""
    return () if value is None else check(argument, value)


def refuse(*checks: Iterable[Problem]) -> None:
    """Raise IntentError with all problems that the *checks* find, if they find any."""
    problems = tuple(itertools.chain.from_iterable(checks))
    if problems:
        raise IntentError(problems=problems)


def reject(argument: str, value: object, rule: str) -> NoReturn:
    """Raise IntentError about one *argument*."""
    raise IntentError(problems=(Problem.of(argument, value, rule),))
