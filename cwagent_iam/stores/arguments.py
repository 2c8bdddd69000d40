"""What the arguments of the stores must be."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cwagent_iam.arguments import reject

if TYPE_CHECKING:
    from collections.abc import Callable

    import attrs

Check: TypeAlias = "Callable[[Any, attrs.Attribute[Any], Any], None]"
"""What attrs calls with an object, an attribute and its value."""


def at_home(path: object) -> Path:
    """Return the path of a file, where a ``~`` at the beginning is the user's home.

    Raises:
        IntentError: When it is no path.
    """
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        reject("path", path, "must be the path of a file")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        reject("path", path, "must not begin with the home of a user who does not exist")


def fitting(pattern: str, rule: str, *, optional: bool = False) -> Check:
    """Return a validator for texts that match *pattern* as a whole, or are absent if *optional*."""

    def check(_: object, attribute: Any, value: object) -> None:
        fits = isinstance(value, str) and re.fullmatch(pattern, value)
        if not fits and not (optional and value is None):
            reject(attribute.name, value, rule)

    return check


def seconds(_: object, attribute: Any, value: object) -> None:
    """Refuse what is no number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        reject(attribute.name, value, "must be a number of seconds, 0 or more")


kms_key: Check = fitting(r"\S+", "must be a key's id, ARN or alias, or None", optional=True)
"""Refuses what cannot name a key of KMS."""
