"""The text of a credentials file: the key in a profile, and the replacement of that key.

Errors never quote the text, which contains secrets.
"""

from __future__ import annotations

import configparser
import itertools
import re
from typing import TYPE_CHECKING

from configupdater import ConfigUpdater, Option
from configupdater.parser import InconsistentStateError

from cwagent_iam.stores.whole_file import keeping_line_ends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from configupdater import Section

ID, SECRET = "aws_access_key_id", "aws_secret_access_key"
_OTHER_CREDENTIALS = (
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


class UnfitError(ValueError):
    """Raised if a text is not a valid credentials file, or a profile is not for an access key."""


def key_in(text: str, profile: str) -> tuple[str | None, str | None]:
    """Return id and secret of the access key in *profile*; `None` for both if one is missing."""
    found = _profiles(text).get(profile, {})
    others = sorted(found.keys() & set(_OTHER_CREDENTIALS))
    if others:
        msg = f"profile {profile} has {others[0]}, for other credentials: use another profile"
        raise UnfitError(msg)
    key = found.get(ID) or None, found.get(SECRET) or None
    return key if all(key) else (None, None)


def with_key(text: str, profile: str, values: Mapping[str, str]) -> str:
    """Return *text* with *values* in *profile*; all other bytes stay unchanged."""
    key_in(text, profile)  # raises if the profile has other credentials
    expected = _profiles(text)
    expected.setdefault(profile, dict(expected[configparser.DEFAULTSECT])).update(values)
    try:
        changed = keeping_line_ends(text, lambda plain: _edited(plain, profile, values))
        if _profiles(changed) == expected:
            return changed
    except (configparser.Error, InconsistentStateError, UnfitError):
        pass
    msg = f"profile {profile} cannot be changed without side effects: simplify the file by hand"
    raise UnfitError(msg)


def _edited(text: str, profile: str, values: Mapping[str, str]) -> str:
    # ConfigUpdater parses some indented comments as options, so numbers at the margin replace them.
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
    """Return the text of *section* with *values*; options that it lacks are added at its top."""
    blocks = [(block, str(block)) for block in section.iter_blocks()]
    header = str(section).removesuffix("".join(text for _, text in blocks))
    lines = [header if header.endswith("\n") else f"{header}\n"]
    # A line that is indented more than the option before it would continue that option's value.
    indent = next((_BLANK.match(text) for block, text in blocks if isinstance(block, Option)), None)
    before = indent[0] if indent else ""
    missing = [name for name in values if name not in section]
    lines += [f"{before}{name} = {values[name]}\n" for name in missing]
    for block, text in blocks:
        value = values.get(block.key) if isinstance(block, Option) else None
        lines.append(text if value is None else _option(text, value))
    return "".join(lines)


def _option(text: str, value: str) -> str:
    """Return the text of an option with *value*; comments between its lines stay."""
    first, *others = _LINE.findall(text)
    name = _NAME.match(first)
    comments = [line for line in others if not line.strip() or line.lstrip()[0] in "#;"]
    return "".join([f"{name[0] if name else ''}{value}\n", *comments])


def _gap_after(text: str) -> str:
    """Return the line ends that separate *text* from a section after it."""
    if not text.strip() or text.endswith("\n\n"):
        return ""
    return "\n" if text.endswith("\n") else "\n\n"


def _profiles(text: str) -> dict[str, dict[str, str]]:
    """Parse *text* as boto3 does, with the parser of the standard library."""
    if text.startswith("\ufeff"):
        msg = "the file begins with a byte order mark, which boto3 cannot read: remove it"
        raise UnfitError(msg)
    if "\r" in text.replace("\r\n", "\n"):
        msg = "the file has carriage returns within lines, on which parsers disagree: remove them"
        raise UnfitError(msg)
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        msg = f"the file cannot be parsed ({type(error).__name__}): correct it"
        raise UnfitError(msg) from None
    defaults = {configparser.DEFAULTSECT: dict(parser.defaults())}
    return defaults | {name: dict(parser.items(name)) for name in parser.sections()}
