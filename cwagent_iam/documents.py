"""Policy documents: canonical form, equality by meaning, size.

IAM does not give back the text that it was sent, and people write the same document in many ways.
Two documents are equal here when they say the same:

- the order of statements and of lists, white space, and a list of one against its only member
  make no difference; nor do ``Sid`` and ``Id``, which are labels;
- actions and condition keys are compared without regard to case, everything else with it;
- an account id stands for that account's root ARN, and ``"*"`` for ``{"AWS": "*"}``;
- a document without ``Version`` has the version 2008-10-17;
- numbers and booleans in conditions are compared as text.

A principal that was deleted shows as a bare unique id and equals nothing, rightly so: such a
document is dead. Source: the IAM JSON policy elements reference in the IAM user guide.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.display import shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_ROOT_ARN = re.compile(r"\Aarn:[^:]+:iam::(\d{12}):root\Z")
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
class Statement:
    """One statement in canonical form.

    Attributes:
        effect: ``Allow`` or ``Deny``.
        principals: Pairs of principal type and principal.
        actions: Lower-case patterns.
        rest: Every other element that has a meaning, in canonical form.
    """

    effect: str
    principals: frozenset[tuple[str, str]]
    actions: frozenset[str]
    rest: frozenset[tuple[str, Hashable]]

    def allows(self, needed: Statement) -> bool:
        """Tell whether whatever *needed* allows is allowed by this statement alone."""
        unmet = {element for element, _ in needed.rest - self.rest}
        return (
            self.effect == needed.effect == "Allow"
            and needed.principals <= self.principals
            and all(_any_covers(self.actions, action) for action in needed.actions)
            and self.rest <= needed.rest
            and unmet <= {"Condition"}
        )

    def denies(self, needed: Statement) -> bool:
        """Tell whether this statement takes away from *needed* whatever the circumstances.

        A condition may or may not be met, so a statement with one is not counted. Where it is not
        plain who or what is meant (``NotPrincipal``, ``NotAction``, wildcards on both sides), all
        is taken to be denied.
        """
        elements = dict(self.rest)
        everybody = "NotPrincipal" in elements or ("AWS", "*") in self.principals
        return (
            self.effect == "Deny"
            and "Condition" not in elements
            and (everybody or not self.principals.isdisjoint(needed.principals))
            and ("NotAction" in elements or _overlap(self.actions, needed.actions))
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
            text = json.dumps({**ordered, **content}, separators=(",", ":"))
            version = str(content.get("Version", "2008-10-17"))
            return cls(text, version, frozenset(map(_statement, _listed(content["Statement"]))))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            text = source if isinstance(source, str) else shown(source)
            return cls(text, "", text)

    @property
    def size(self) -> int:
        """All characters but white space, as IAM counts them for its quotas."""
        return sum(not character.isspace() for character in self.text)

    def allows(self, needed: Document) -> bool:
        """Tell whether everything that *needed* allows is allowed by this document too."""
        if isinstance(self.statements, str) or isinstance(needed.statements, str):
            return False
        own = self.statements
        return all(
            any(statement.allows(each) for statement in own)
            and not any(statement.denies(each) for statement in own)
            for each in needed.statements
            if each.effect == "Allow"
        )

    def __str__(self) -> str:
        """Each statement in short, as in ``Allow Service ec2 sts:AssumeRole``."""
        if isinstance(self.statements, str):
            return self.text
        statements = _listed(json.loads(self.text)["Statement"])
        return "; ".join(map(_in_short, statements)) or "nobody"


def _decode(source: str) -> Any:
    try:
        return json.loads(urllib.parse.unquote(source) if source.startswith("%") else source)
    except (RecursionError, ValueError):
        return source


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _statement(element: Mapping[str, Any]) -> Statement:
    named = {"Sid", "Effect", "Principal", "Action"}
    return Statement(
        effect={"Allow": "Allow", "Deny": "Deny"}[element["Effect"]],
        principals=_principals(element.get("Principal", {})),
        actions=frozenset(action.lower() for action in _listed(element.get("Action", []))),
        rest=frozenset(
            (name, _canonical(name, value))
            for name, value in element.items()
            if name not in named and (name, value) != ("Condition", {})
        ),
    )


def _canonical(name: str, value: Any) -> Hashable:
    match name:
        case "Condition":
            return frozenset(
                (operator, key.lower(), frozenset(map(_as_text, _listed(values))))
                for operator, keys in value.items()
                for key, values in keys.items()
            )
        case "NotPrincipal":
            return _principals(value)
        case "NotAction":
            return frozenset(action.lower() for action in _listed(value))
        case _:
            return frozenset(map(_as_text, _listed(value)))


def _principals(value: Any) -> frozenset[tuple[str, str]]:
    by_type = {"AWS": value} if isinstance(value, str) else value
    return frozenset(
        (kind, _ROOT_ARN.sub(r"\1", principal))
        for kind, principals in by_type.items()
        for principal in _listed(principals)
    )


def _any_covers(patterns: frozenset[str], action: str) -> bool:
    """Tell whether a pattern matches all that *action*, which may be a pattern too, matches."""
    expressions = (re.escape(pattern).replace(r"\*", ".*") for pattern in patterns)
    return any(re.fullmatch(each.replace(r"\?", "[^*]"), action) for each in expressions)


def _overlap(some: frozenset[str], others: frozenset[str]) -> bool:
    wild = [{action for action in actions if set("*?") & set(action)} for actions in (some, others)]
    return (
        all(wild)
        or any(_any_covers(some, action) for action in others)
        or any(_any_covers(others, action) for action in some)
    )


def _in_short(element: Mapping[str, Any]) -> str:
    words = json.dumps([element[name] for name in sorted(element, key=_rank) if name != "Sid"])
    return " ".join(re.sub(r'[][{}",:]+ |[][{}"]', " ", words).split())


def _rank(name: str) -> tuple[bool, int]:
    known = name in _SHOWN_ORDER
    return not known, _SHOWN_ORDER.index(name) if known else 0


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
