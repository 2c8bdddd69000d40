"""Arguments of stores: converters and validators for attrs."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwagent_iam.arguments import reject

if TYPE_CHECKING:
    from collections.abc import Callable


def to_path(path: object) -> Path:
    """Return the path of a file; a leading ``~`` becomes the user's home directory."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        reject("path", path, "must be the path of a file")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        reject("path", path, "must not begin with the home directory of an unknown user")


def matches(
    pattern: str, rule: str, *, optional: bool = False
) -> Callable[[object, Any, object], None]:
    """Return a validator for texts that match all of *pattern*, and for `None` if *optional*."""

    def check(_: object, attribute: Any, value: object) -> None:
        fits = isinstance(value, str) and re.fullmatch(pattern, value)
        if not fits and not (optional and value is None):
            reject(attribute.name, value, rule)

    return check


def check_seconds(_: object, attribute: Any, value: object) -> None:
    """Reject a value that is not a finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        reject(attribute.name, value, "must be a finite number of seconds, 0 or more")
