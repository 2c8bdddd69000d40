"""What a document is said to allow, held against the requests that it lets through."""

from __future__ import annotations

import fnmatch
import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import event, given, settings, strategies as st

from cwagent_iam import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "aws:a"
VALUES = ("a", "b", "ab")
ONE, SET = ("",), ("ForAllValues:", "ForAnyValue:")
KINDS = ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike")
ACTIONS = ("sts:AssumeRole", "sts:TagSession")
PRINCIPALS = ("1" * 12, "2" * 12)


def is_met(operator: str, patterns: list[str], sent: tuple[str, ...]) -> bool:
    """Evaluate a condition as the IAM guide says; a key that is not sent has no values."""
    if operator == "Null":
        return (not sent) in [pattern == "true" for pattern in patterns]
    prefix, _, kind = operator.rpartition(":")
    if kind.endswith("IfExists") and not sent:
        return True
    kind = kind.removesuffix("IfExists")
    matches = fnmatch.fnmatchcase if "Like" in kind else str.__eq__
    results = [
        any(matches(value, pattern) for pattern in patterns) != ("Not" in kind) for value in sent
    ]
    if prefix:
        return all(results) if prefix == "ForAllValues" else any(results)
    return all(results) if sent else "Not" in kind


def is_about(statement: dict[str, Any], principal: str, action: str, sent: tuple[str, ...]) -> bool:
    """Tell whether a statement is about a request."""
    return (
        principal in statement["Principal"]["AWS"]
        and any(fnmatch.fnmatchcase(action, pattern) for pattern in statement["Action"])
        and all(
            is_met(operator, keys[KEY], sent) for operator, keys in statement["Condition"].items()
        )
    )


def let_through(
    statements: list[dict[str, Any]], values: list[tuple[str, ...]]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the requests that are allowed and not denied."""
    for request in itertools.product(PRINCIPALS, ACTIONS, values):
        effects = {each["Effect"] for each in statements if is_about(each, *request)}
        if effects == {"Allow"}:
            yield request


def statements_with(prefixes: tuple[str, ...], effect: str, least: int) -> st.SearchStrategy[Any]:
    """Draw statements with at *least* so many conditions on one key, on one value of it or sets."""
    patterns = st.lists(st.sampled_from([*VALUES, "a*", "*b", "?", "*"]), min_size=1, max_size=2)
    operators = st.builds(
        "".join,
        st.tuples(
            st.sampled_from(prefixes), st.sampled_from(KINDS), st.sampled_from(["", "IfExists"])
        ),
    )
    asked = st.dictionaries(
        operators, patterns.map(lambda each: {KEY: each}), min_size=least, max_size=2
    )
    absent = st.sampled_from(["true", "false"]).map(lambda each: {"Null": {KEY: [each]}})
    return st.fixed_dictionaries(
        {
            "Effect": st.just(effect),
            "Principal": st.fixed_dictionaries(
                {"AWS": st.lists(st.sampled_from(PRINCIPALS), min_size=1, unique=True)}
            ),
            "Action": st.lists(
                st.sampled_from([*ACTIONS, "sts:*", "sts:A*"]), min_size=1, max_size=2
            ),
            "Condition": asked | asked | absent,
        }
    )


def documents(prefixes: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Draw what is needed, and denials and more of what a document may hold beside it."""
    needed = st.lists(statements_with(prefixes, "Allow", 1), min_size=1, max_size=2)
    denials = st.lists(statements_with(prefixes, "Deny", 0), max_size=2)
    more = st.lists(statements_with(prefixes, "Allow", 0), max_size=1)
    return st.tuples(st.just(prefixes), needed, denials, more, st.integers(0, 3))


@settings(max_examples=300, deadline=None)
@given(documents(ONE) | documents(SET))
def test_what_is_said_to_be_allowed_is_let_through(drawn: Any) -> None:
    """No request for what is needed is refused, where all conditions are about one key."""
    prefixes, needed, denials, more, without = drawn
    held = [*denials, *more, *(needed if without < 3 else more)]
    allowed = Document.parse({"Statement": held}).allows(Document.parse({"Statement": needed}))
    event(f"allowed: {allowed}")
    most = 1 if prefixes == ONE else 2
    values = [sent for n in range(most + 1) for sent in itertools.permutations(VALUES, n)]
    assert not allowed or set(let_through(needed, values)) <= set(let_through(held, values))
