"""What is a part of what: principals of accounts, actions of patterns, conditions of others."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, TypeAlias

from cwagent_iam.documents.operators import contrary, is_met_without_key

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

PrincipalName: TypeAlias = tuple[str, str]
"""The type of a principal, and which one."""

Condition: TypeAlias = tuple[str, str, frozenset[str]]
"""Operator, key and values; operator and key in lower case."""

_WILDCARDS = re.compile(r"[*?]")
_PRINCIPAL_ARN = re.compile(
    r"arn:[^:]+:(?:iam|sts)::(?P<account>[0-9]{12}):"
    r"(?:role/(?:.*/)?(?P<role>[^/]+)|assumed-role/(?P<assumed>[^/]+)/.+|.+)"
)


def principals_meet(some: AbstractSet[PrincipalName], others: AbstractSet[PrincipalName]) -> bool:
    """Tell whether a principal is in both, or one in the one is a part of one in the other."""
    pairs = itertools.product(map(_wholes, some), map(_wholes, others))
    return any(one[0] in other or other[0] in one for one, other in pairs)


def is_part_of(principal: PrincipalName, whole: PrincipalName) -> bool:
    """Tell whether *principal* is *whole*, or a session or a role or a user in it."""
    return _wholes(whole)[0] in _wholes(principal)


def _wholes(principal: PrincipalName) -> tuple[str, ...]:
    """Return a principal and what it is a part of: a session of its role, a role of its account."""
    kind, name = principal
    match = _PRINCIPAL_ARN.fullmatch(name) if kind == "AWS" else None
    if match is None:
        return (f"{kind} {name}",)
    account, role = f"AWS {match['account']}", match["role"] or match["assumed"]
    own = [] if match["role"] else [f"{kind} {name}"]
    return (*own, *([f"{account} {role}"] if role else []), account)


def patterns_meet(some: AbstractSet[str], others: AbstractSet[str]) -> bool:
    """Tell whether a text may match one of both.

    Two with wildcards are taken to have one, unless they begin or end in different ways.
    """
    return (
        any(any_covers(some, each) for each in others)
        or any(any_covers(others, each) for each in some)
        or any(itertools.starmap(_may_meet_halfway, itertools.product(some, others)))
    )


def _may_meet_halfway(one: str, other: str) -> bool:
    """Tell whether two patterns with wildcards begin and end so that a text could match both."""
    parts = _WILDCARDS.split(one), _WILDCARDS.split(other)
    if min(map(len, parts)) == 1:
        return False
    (first, last), (begin, end) = ((each[0], each[-1]) for each in parts)
    begins = first.startswith(begin) or begin.startswith(first)
    return begins and (last.endswith(end) or end.endswith(last))


def any_covers(patterns: AbstractSet[str], text: str) -> bool:
    """Tell whether a pattern matches all that *text*, which may be a pattern too, matches."""
    return any(re.fullmatch(_expression(each), text, re.DOTALL) for each in patterns)


def _expression(pattern: str) -> str:
    """Return *pattern* as an expression that tries no second way, which might take for ever.

    The first place where a part fits will do, because each part has a fixed length.
    """
    first, *others = (re.escape(part).replace(r"\?", "[^*]") for part in re.split(r"\*+", pattern))
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    return "".join([first, between, *(f".*{part}" for part in others[-1:])])


def are_met(conditions: AbstractSet[Condition], known: AbstractSet[Condition]) -> bool:
    """Tell whether *conditions* are all met by every request that meets those that are *known*."""
    return all(any(_follows(each, from_) for from_ in known) for each in conditions)


def may_fail(conditions: AbstractSet[Condition], known: AbstractSet[Condition]) -> bool:
    """Tell whether one of *conditions* is about another key than the *known* ones, or never met.

    Where neither is plain, they are taken to be met by a request that meets the known ones.
    """
    keys = {key for _, key, _ in known}
    return any(each[1] not in keys or _is_excluded(each, known) for each in conditions)


def _follows(condition: Condition, known: Condition) -> bool:
    """Tell whether one condition is met wherever the *known* one is: it is the same, or looser."""
    operator, key, values = condition
    known_operator, known_key, known_values = known
    if condition == known:
        return True
    if key != known_key or "not" in operator or operator == "null":
        return False
    same = operator == known_operator
    if _has_variables(values | known_values):
        return same and known_values <= values
    if "stringlike" in operator and operator == known_operator.replace("equals", "like"):
        return all(any_covers(values, each) for each in known_values)
    if same and "arn" in operator:
        return all(any(_arn_covers(value, each) for value in values) for each in known_values)
    return same and known_values <= values


def _is_excluded(condition: Condition, known: AbstractSet[Condition]) -> bool:
    """Tell whether *condition* is met by no request that meets those that are *known*."""
    operator, key, values = condition
    same = [each for each in known if each[1] == key]
    if operator == "null":
        known_without = [is_met_without_key(how, held) for how, _, held in same]
        return values == {"true"} and not all(known_without)
    if "not" in operator:
        asserted = (contrary(operator), key, values)
        return any(_follows(asserted, each) for each in same)
    return any(_is_text(operator, each[0]) and not _may_meet(values, each[2]) for each in same)


def _is_text(*operators: str) -> bool:
    """Tell whether all *operators* compare one text, with letter case, and must find one."""
    return {*operators} <= {"stringequals", "stringlike", "arnequals"} or {*operators} == {"bool"}


def _may_meet(some: AbstractSet[str], others: AbstractSet[str]) -> bool:
    """Tell whether a value may match one of both, whatever its letter case: `Bool` has none."""
    low, other_low = ({each.lower() for each in values} for values in (some, others))
    return _has_variables(some | others) or patterns_meet(low, other_low)


def _has_variables(values: AbstractSet[str]) -> bool:
    """Tell whether a value stands for another one, which only a request tells."""
    return any("${" in value for value in values)


def _arn_covers(pattern: str, arn: str) -> bool:
    """Tell whether *pattern* matches all that *arn* matches; each of their six parts for itself."""
    parts = itertools.zip_longest(pattern.split(":", 5), arn.split(":", 5), fillvalue="")
    return all(any_covers({part}, other) for part, other in parts)
