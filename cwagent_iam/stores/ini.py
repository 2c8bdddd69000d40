"""The text of a credentials file: which key is in a profile, and the same text with another key.

Nothing here knows of files. Errors never quote the text, which is full of secrets.
"""

from __future__ import annotations

import configparser
import itertools
import re
from typing import TYPE_CHECKING

from configupdater import ConfigUpdater, Option
from configupdater.parser import InconsistentStateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from configupdater import Section

ID, SECRET = "aws_access_key_id", "aws_secret_access_key"
_FOREIGN = (
    "aws_session_token",
    "aws_security_token",
    "credential_process",
    "credential_source",
    "role_arn",
    "source_profile",
    "sso_account_id",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
)
_COMMENT = re.compile(r"^[^\S\n]*[#;].*$", re.MULTILINE)
_NAME = re.compile(r"[^=:]*[=:][^\S\n]*")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BLANK = re.compile(r"[^\S\n]*")
_BOM = "\ufeff"


class UnfitError(ValueError):
    """Raised when a text is no credentials file, or a profile is not for a key."""


def key_in(text: str, profile: str) -> tuple[str | None, str | None]:
    """Return id and secret of the access key in *profile*; `None` for both if one is missing.

    Raises:
        UnfitError: When *text* is no credentials file, or the profile is not for a key.
    """
    found = _profiles(text).get(profile, {})
    foreign = sorted(found.keys() & set(_FOREIGN))
    if foreign:
        msg = f"profile {profile} has {foreign[0]}: somebody else writes to it, name another"
        raise UnfitError(msg)
    key = found.get(ID) or None, found.get(SECRET) or None
    return key if all(key) else (None, None)


def with_key(text: str, profile: str, values: Mapping[str, str]) -> str:
    """Return *text* with *values* in *profile*, and every other byte as it was.

    Raises:
        UnfitError: As for `key_in`, or when the text cannot be changed like that.
    """
    key_in(text, profile)
    expected = _profiles(text)
    expected.setdefault(profile, dict(expected[configparser.DEFAULTSECT])).update(values)
    windows = "\r\n" in text and text.count("\r\n") == text.count("\n")
    try:
        changed = _edited(text.replace("\r\n", "\n") if windows else text, profile, values)
        fits = _profiles(changed) == expected
    except (configparser.Error, InconsistentStateError, UnfitError):
        changed, fits = "", False
    if not fits:
        msg = f"profile {profile} cannot be changed without changing what others read in the file"
        raise UnfitError(msg)
    return changed.replace("\n", "\r\n") if windows else changed


def _edited(text: str, profile: str, values: Mapping[str, str]) -> str:
    # ConfigUpdater takes some indented comments for options, so it gets to see plain ones.
    comments: list[str] = _COMMENT.findall(text)
    numbers = itertools.count()
    document = ConfigUpdater()
    document.read_string(_COMMENT.sub(lambda _: f"#{next(numbers)}", text))
    if not document.has_section(profile):
        lines = [f"[{profile}]", *itertools.starmap("{} = {}".format, values.items()), ""]
        return text + _gap_after(text) + "\n".join(lines)
    changed = document[profile]
    blocks = document.iter_blocks()
    parts = [_section(changed, values) if each is changed else str(each) for each in blocks]
    return _COMMENT.sub(lambda found: comments[int(found[0][1:])], "".join(parts))


def _section(section: Section, values: Mapping[str, str]) -> str:
    """Return the text of *section* with *values*; those that it has not come first."""
    blocks = [(block, str(block)) for block in section.iter_blocks()]
    header = str(section).removesuffix("".join(text for _, text in blocks))
    lines = [header if header.endswith("\n") else f"{header}\n"]
    # What is further in than the option before it would be a part of that one's value.
    indent = next((_BLANK.match(text) for block, text in blocks if isinstance(block, Option)), None)
    before = indent[0] if indent else ""
    missing = [name for name in values if name not in section]
    lines += [f"{before}{name} = {values[name]}\n" for name in missing]
    for block, text in blocks:
        value = values.get(block.key) if isinstance(block, Option) else None
        lines.append(text if value is None else _option(text, value))
    return "".join(lines)


def _option(text: str, value: str) -> str:
    """Return the text of an option with *value*, and the comments that are among its lines."""
    first, *others = _LINE.findall(text)
    name = _NAME.match(first)
    comments = [line for line in others if not line.strip() or line.lstrip()[0] in "#;"]
    return "".join([f"{name[0] if name else ''}{value}\n", *comments])


def _gap_after(text: str) -> str:
    """Return what makes the next line stand apart."""
    if not text.strip() or text.endswith("\n\n"):
        return ""
    return "\n" if text.endswith("\n") else "\n\n"


def _profiles(text: str) -> dict[str, dict[str, str]]:
    """Read *text* as boto3 does, which uses the parser of the standard library."""
    if text.startswith(_BOM):
        msg = "the file begins with a byte order mark, which boto3 cannot read: take it away"
        raise UnfitError(msg)
    if "\r" in text.replace("\r\n", "\n"):
        msg = "the file has carriage returns inside of lines, which programs read in different ways"
        raise UnfitError(msg)
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        problem = type(error).__name__
    else:
        defaults = {configparser.DEFAULTSECT: dict(parser.defaults())}
        return defaults | {name: dict(parser.items(name)) for name in parser.sections()}
    msg = f"the file cannot be read ({problem}): mend it by hand"
    raise UnfitError(msg)
