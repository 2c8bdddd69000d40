"""Documents: read from whatever IAM sends or a caller writes."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.display import shown
from cwagent_iam.documents.covering import PrincipalName
from cwagent_iam.documents.statements import Statement, listed, statement_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_ELEMENT_ORDER = ("Version", "Id", "Statement")
_SHOWN_ORDER = (
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


@attrs.frozen
class Document:
    """A policy document; equal to another when both mean the same.

    Attributes:
        text: Compact JSON with ``Version`` first, as IAM wants it. Not compared.
        version: The version of the policy language.
        statements: The statements in canonical form; for a text that is no policy document,
            that text, so that it equals no document.
    """

    text: str = attrs.field(eq=False)
    version: str
    statements: frozenset[Statement] | str

    @classmethod
    def parse(cls, source: str | Mapping[str, Any]) -> Document:
        """Read a document from JSON, plain or URL-encoded as IAM sends it, or from a mapping.

        Never fails: what is no policy document becomes a `Document` that differs from all others.
        """
        content = _decode(source) if isinstance(source, str) else source
        try:
            ordered = {name: content[name] for name in _ELEMENT_ORDER if name in content}
            text = json.dumps({**ordered, **content}, separators=(",", ":"), allow_nan=False)
            content = json.loads(text)
            version = str(content.get("Version", "2008-10-17"))
            return cls(text, version, frozenset(map(statement_of, listed(content["Statement"]))))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            text = source if isinstance(source, str) else shown(source)
            return cls(text, "", text)

    @property
    def named(self) -> frozenset[PrincipalName]:
        """Everybody whom its statements name."""
        if isinstance(self.statements, str):
            return frozenset()
        return frozenset[PrincipalName]().union(*(each.named for each in self.statements))

    @property
    def size(self) -> int:
        """All characters but white space, as IAM counts them for its quotas."""
        return sum(map(len, self.text.split()))

    def content(self) -> dict[str, Any]:
        """Return what it says as it was written, but for the statements, which are in a list.

        Raises:
            ValueError: When the text is no policy document.
        """
        if isinstance(self.statements, str):
            message = f"not a policy document: {shown(self.text)}"
            raise ValueError(message)  # noqa: TRY004 - a wrong value in the right type
        content: dict[str, Any] = json.loads(self.text)
        return content | {"Statement": listed(content["Statement"])}

    def allows(self, needed: Document) -> bool:
        """Tell whether everything that *needed* allows is allowed by this document too.

        What *needed* denies itself takes nothing away from it here.
        """
        if isinstance(self.statements, str) or isinstance(needed.statements, str):
            return False
        if self.version != needed.version and "${" in self.text + needed.text:
            return False  # only the newer version of the language has variables
        own, denials = self.statements, self.statements - needed.statements
        return all(
            any(statement.allows(part) for statement in own)
            and not any(statement.denies(part) for statement in denials)
            for each in needed.statements
            if each.effect == "Allow"
            for part in each.apart()
        )

    def holds(self, needed: Document) -> bool:
        """Tell whether it allows what *needed* does, and has its denials."""
        if isinstance(self.statements, str) or isinstance(needed.statements, str):
            return False
        denials = {each for each in needed.statements if each.effect == "Deny"}
        return self.allows(needed) and denials <= self.statements

    def __str__(self) -> str:
        """Each statement in short, as in ``Allow Service ec2 sts:AssumeRole``."""
        if isinstance(self.statements, str):
            return self.text
        return "; ".join(map(_in_short, self.content()["Statement"])) or "nobody"


def _decode(source: str) -> Any:
    try:
        return json.loads(urllib.parse.unquote(source) if source.startswith("%") else source)
    except (RecursionError, ValueError):
        return source


def _in_short(element: Mapping[str, Any]) -> str:
    words = json.dumps([element[name] for name in sorted(element, key=_rank) if name != "Sid"])
    return " ".join(re.sub(r'[][{}",:]+ |[][{}"]', " ", words).split())


def _rank(name: str) -> tuple[bool, int]:
    known = name in _SHOWN_ORDER
    return not known, _SHOWN_ORDER.index(name) if known else 0
