"""Statements in canonical form, and what one says beside another."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from cwagent_iam.documents.covering import (
    Condition,
    PrincipalName,
    any_covers,
    are_met,
    may_fail,
    patterns_meet,
    principals_meet,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

Conditions: TypeAlias = frozenset[Condition]
"""Operator, key and values of each condition; operator and key in lower case."""

_ROOT_ARN = re.compile(r"\Aarn:[^:]+:iam::([0-9]{12}):root\Z")


@attrs.frozen
class Statement:
    """One statement in canonical form.

    Attributes:
        effect: ``Allow`` or ``Deny``.
        principals: Pairs of principal type and principal.
        actions: Lower-case patterns.
        conditions: The conditions, all of which must be met.
        rest: Every other element that has a meaning, in canonical form.
    """

    effect: str
    principals: frozenset[PrincipalName]
    actions: frozenset[str]
    conditions: Conditions
    rest: frozenset[tuple[str, Hashable]]

    def apart(self) -> Iterator[Statement]:
        """Yield a statement for each principal and each action; together they say the same."""
        principals = [frozenset({each}) for each in self.principals] or [self.principals]
        actions = [frozenset({each}) for each in self.actions] or [self.actions]
        for principal, action in itertools.product(principals, actions):
            yield attrs.evolve(self, principals=principal, actions=action)

    def allows(self, needed: Statement) -> bool:
        """Tell whether whatever *needed* allows is allowed by this statement alone."""
        return (
            self.effect == needed.effect == "Allow"
            and needed.principals <= self.principals
            and all(any_covers(self.actions, action) for action in needed.actions)
            and are_met(self.conditions, needed.conditions)
            and self.rest == needed.rest
        )

    def denies(self, needed: Statement) -> bool:
        """Tell whether this statement takes something away from *needed* in any case.

        Conditions about what *needed* has no condition on may or may not be met, so a statement
        with such is not counted. In all other doubts (``NotPrincipal``, ``NotAction``, wildcards
        on both sides, operators of another kind) something is taken to be denied.
        """
        return (
            self.effect == "Deny"
            and not may_fail(self.conditions, needed.conditions)
            and self._is_about(needed.principals)
            and self._is_on(needed.actions)
        )

    def _is_on(self, actions: frozenset[str]) -> bool:
        unclear = "NotAction" in dict(self.rest) or not actions
        return unclear or patterns_meet(self.actions, actions)

    def _is_about(self, principals: frozenset[PrincipalName]) -> bool:
        if "NotPrincipal" in dict(self.rest) and principals:
            # Of roles and users it takes the account too to be spared.
            return any(each not in self.named or each[0] == "AWS" for each in principals)
        somebody = self.principals and principals
        whoever = not somebody or ("AWS", "*") in self.principals | principals
        return whoever or principals_meet(self.principals, principals)

    @property
    def named(self) -> frozenset[PrincipalName]:
        """Everybody whom it names, be it to say who is not meant (``NotPrincipal``)."""
        others = dict(self.rest).get("NotPrincipal")
        return self.principals.union(others if isinstance(others, frozenset) else ())


def statement_of(element: Mapping[str, Any]) -> Statement:
    """Read a statement.

    Raises:
        AttributeError, KeyError, TypeError: When it is none.
    """
    named = {"Sid", "Effect", "Principal", "Action", "Condition"}
    return Statement(
        effect={"Allow": "Allow", "Deny": "Deny"}[element["Effect"]],
        principals=_principals(element.get("Principal", {})),
        actions=frozenset(action.lower() for action in listed(element.get("Action", []))),
        conditions=frozenset(
            (_operator(operator), key.lower(), frozenset(map(_as_text, listed(values))))
            for operator, keys in element.get("Condition", {}).items()
            for key, values in keys.items()
        ),
        rest=frozenset(
            (name, _canonical(name, value)) for name, value in element.items() if name not in named
        ),
    )


def _operator(name: str) -> str:
    folded = name.lower()
    return folded.replace("like", "equals") if "arn" in folded else folded


def _canonical(name: str, value: Any) -> Hashable:
    match name:
        case "NotPrincipal":
            return _principals(value)
        case "NotAction":
            return frozenset(action.lower() for action in listed(value))
        case _:
            return frozenset(map(_as_text, listed(value)))


def _principals(value: Any) -> frozenset[PrincipalName]:
    by_type = {"AWS": value} if isinstance(value, str) else value
    return frozenset(
        (kind, _ROOT_ARN.sub(r"\1", principal))
        for kind, principals in by_type.items()
        for principal in listed(principals)
    )


def listed(value: Any) -> list[Any]:
    """Return the members of a list, or the one member that stands for a list."""
    return value if isinstance(value, list) else [value]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
