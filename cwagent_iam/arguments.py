"""What callers pass, before any rule of IAM is asked: texts, and collections."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeGuard


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
