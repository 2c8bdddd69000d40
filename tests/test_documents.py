"""Policy documents: which are equal, what they allow, how long they are."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import Document
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn

ROOT = "arn:aws:iam::123456789012:root"
ONE: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": "1"}}


def allow(**elements: Any) -> dict[str, Any]:
    """Write a statement: EC2 may assume the role, but for *elements*; `None` leaves one out."""
    usual = {"Effect": "Allow", "Principal": {"Service": "ec2"}, "Action": "sts:AssumeRole"}
    return {name: value for name, value in (usual | elements).items() if value is not None}


def deny(**elements: Any) -> dict[str, Any]:
    """Write the same as a denial."""
    return allow(**{"Effect": "Deny"} | elements)


def document(*statements: object, **elements: object) -> dict[str, Any]:
    """Write a document of *statements*."""
    return {"Version": "2012-10-17", "Statement": list(statements)} | elements


def condition(operator: str, key: str, *values: object) -> dict[str, Any]:
    """Write a document whose statement has a condition."""
    return document(allow(Condition={operator: {key: list(values)}}))


USUAL = document(allow())
SPACED = json.dumps(USUAL, indent=4)

EQUAL: dict[str, tuple[Any, Any]] = {
    "white space": (USUAL, SPACED),
    "text and mapping": (USUAL, json.dumps(USUAL)),
    "URL-encoded": (USUAL, urllib.parse.quote(SPACED)),
    "URL-encoded to the last character": (USUAL, urllib.parse.quote(SPACED, safe="")),
    "order of keys": (USUAL, dict(reversed(USUAL.items()))),
    "order of keys within a statement": (USUAL, document(dict(reversed(allow().items())))),
    "order of statements": (document(allow(), deny()), document(deny(), allow())),
    "same statement twice": (USUAL, document(allow(), allow())),
    "one statement, not in a list": (USUAL, USUAL | {"Statement": allow()}),
    "tuple for list": (USUAL, USUAL | {"Statement": (allow(),)}),
    "Sid": (USUAL, document(allow(Sid="First"))),
    "another Sid": (document(allow(Sid="First")), document(allow(Sid="Second"))),
    "Id": (USUAL, document(allow(), Id="trust-of-the-agent")),
    "order of actions": (
        document(allow(Action=["sts:A", "sts:B"])),
        document(allow(Action=["sts:B", "sts:A"])),
    ),
    "action in a list": (USUAL, document(allow(Action=["sts:AssumeRole"]))),
    "same action twice": (USUAL, document(allow(Action=["sts:AssumeRole", "sts:AssumeRole"]))),
    "case of actions": (USUAL, document(allow(Action="STS:assumerole"))),
    "NotAction in a list": (document(allow(NotAction="a:B")), document(allow(NotAction=["A:b"]))),
    "resource in a list": (document(allow(Resource="*")), document(allow(Resource=["*"]))),
    "order of resources": (
        document(allow(Resource=["a", "b"])),
        document(allow(Resource=["b", "a"])),
    ),
    "order of NotResource": (
        document(allow(NotResource=["a", "b"])),
        document(allow(NotResource=["b", "a"])),
    ),
    "principal in a list": (USUAL, document(allow(Principal={"Service": ["ec2"]}))),
    "order of principals": (
        document(allow(Principal={"Service": ["a", "b"], "AWS": "*"})),
        document(allow(Principal={"AWS": "*", "Service": ["b", "a"]})),
    ),
    "no principals of a type": (USUAL, document(allow(Principal={"Service": "ec2", "AWS": []}))),
    "account id and root": (
        document(allow(Principal={"AWS": "123456789012"})),
        document(allow(Principal={"AWS": [ROOT]})),
    ),
    "account id and root in NotPrincipal": (
        document(deny(Principal=None, NotPrincipal={"AWS": "123456789012"})),
        document(deny(Principal=None, NotPrincipal={"AWS": ROOT})),
    ),
    "account id and root in China": (
        document(allow(Principal={"AWS": "123456789012"})),
        document(allow(Principal={"AWS": "arn:aws-cn:iam::123456789012:root"})),
    ),
    "everybody": (document(allow(Principal="*")), document(allow(Principal={"AWS": "*"}))),
    "no version is the old one": (
        {"Statement": [allow()]},
        {"Version": "2008-10-17", "Statement": [allow()]},
    ),
    "true as text": (
        document(allow(Condition={"Bool": {"k": True}})),
        condition("Bool", "k", "true"),
    ),
    "false as text": (
        document(allow(Condition={"Bool": {"k": False}})),
        condition("Bool", "k", "false"),
    ),
    "whole number as text": (condition("Num", "k", 15), condition("Num", "k", "15")),
    "fraction as text": (condition("Num", "k", 1.5), condition("Num", "k", "1.5")),
    "condition value in a list": (
        document(allow(Condition={"Null": {"k": "v"}})),
        condition("Null", "k", "v"),
    ),
    "order of condition values": (condition("Op", "k", "a", "b"), condition("Op", "k", "b", "a")),
    "case of condition keys": (
        condition("Op", "aws:SourceArn", "v"),
        condition("Op", "AWS:sourcearn", "v"),
    ),
    "order of conditions": (
        document(allow(Condition={"A": {"k": "1", "l": "2"}, "B": {"k": "3"}})),
        document(allow(Condition={"B": {"k": "3"}, "A": {"l": "2", "k": "1"}})),
    ),
    "empty condition": (USUAL, document(allow(Condition={}))),
    "escaped characters": ('{"Statement": [], "Id": "\\u00e9"}', '{"Statement": [], "Id": "é"}'),
}

DIFFERENT: dict[str, tuple[Any, Any]] = {
    "version": (USUAL, USUAL | {"Version": "2008-10-17"}),
    "no version is not the new one": (USUAL, {"Statement": [allow()]}),
    "one statement more": (USUAL, document(allow(), deny())),
    "no statement": (USUAL, document()),
    "effect": (USUAL, document(deny())),
    "action": (USUAL, document(allow(Action="sts:TagSession"))),
    "one action more": (USUAL, document(allow(Action=["sts:AssumeRole", "sts:TagSession"]))),
    "NotAction for Action": (USUAL, document(allow(Action=None, NotAction="sts:AssumeRole"))),
    "principal": (USUAL, document(allow(Principal={"Service": "ssm"}))),
    "type of principal": (USUAL, document(allow(Principal={"AWS": "ec2"}))),
    "one principal more": (USUAL, document(allow(Principal={"Service": ["ec2", "ssm"]}))),
    "NotPrincipal for Principal": (
        USUAL,
        document(allow(Principal=None, NotPrincipal={"Service": "ec2"})),
    ),
    "case of principals": (USUAL, document(allow(Principal={"Service": "EC2"}))),
    "bare principals": (document(allow(Principal="*")), document(allow(Principal="a"))),
    "account and one of its users": (
        document(allow(Principal={"AWS": "123456789012"})),
        document(allow(Principal={"AWS": "arn:aws:iam::123456789012:user/root"})),
    ),
    "root of another account": (
        document(allow(Principal={"AWS": "123456789012"})),
        document(allow(Principal={"AWS": "arn:aws:iam::210987654321:root"})),
    ),
    "root with something behind": (
        document(allow(Principal={"AWS": "123456789012"})),
        document(allow(Principal={"AWS": f"{ROOT}\n"})),
    ),
    "deleted principal": (
        document(allow(Principal={"AWS": "arn:aws:iam::123456789012:role/source"})),
        document(allow(Principal={"AWS": "AROAEXAMPLEEXAMPLE"})),
    ),
    "resource": (document(allow(Resource="a")), document(allow(Resource="b"))),
    "case of resources": (document(allow(Resource="a")), document(allow(Resource="A"))),
    "resource or none": (USUAL, document(allow(Resource="*"))),
    "condition or none": (USUAL, condition("Op", "k", "v")),
    "condition operator": (condition("Op", "k", "v"), condition("OpIfExists", "k", "v")),
    "condition key": (condition("Op", "k", "v"), condition("Op", "l", "v")),
    "condition value": (condition("Op", "k", "v"), condition("Op", "k", "w")),
    "one condition value more": (condition("Op", "k", "v"), condition("Op", "k", "v", "w")),
    "case of condition values": (condition("Op", "k", "v"), condition("Op", "k", "V")),
    "number and another text": (condition("Num", "k", 15), condition("Num", "k", "15.0")),
    "conditions crossed": (
        document(allow(Condition={"A": {"k": "1"}, "B": {"k": "2"}})),
        document(allow(Condition={"A": {"k": "2"}, "B": {"k": "1"}})),
    ),
    "two statements and their sum": (
        document(allow(Action="a:A", Resource="x"), allow(Action="a:B", Resource="y")),
        document(allow(Action=["a:A", "a:B"], Resource=["x", "y"])),
    ),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_documents_that_say_the_same_are_equal(one: Any, other: Any) -> None:
    """Equality and hash are by meaning, either way round."""
    assert Document.parse(one) == Document.parse(other)
    assert Document.parse(other) == Document.parse(one)
    assert len({Document.parse(one), Document.parse(other)}) == 1


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_documents_that_say_something_else_differ(one: Any, other: Any) -> None:
    """Whatever has a meaning is compared."""
    assert Document.parse(one) != Document.parse(other)


NO_POLICY: dict[str, Any] = {
    "nothing": "",
    "words": "not JSON",
    "URL-encoded words": "%7Bnot%20JSON",
    "broken URL-encoding": "%zz%",
    "half of a surrogate pair": "\ud800",
    "number": "5",
    "null": "null",
    "string": '"Statement"',
    "list": "[]",
    "document in a list": json.dumps([USUAL]),
    "text of a document as a string": json.dumps(json.dumps(USUAL)),
    "no statement": '{"Version": "2012-10-17"}',
    "empty mapping": {},
    "mapping of something else": {"Rules": []},
    "set of statements": {"Statement": {"Allow"}},
    "statement is null": {"Statement": None},
    "statement is a string": {"Statement": "Allow"},
    "statement in two lists": {"Statement": [[allow()]]},
    "no effect": document(allow(Effect=None)),
    "effect of another word": document(allow(Effect="Maybe")),
    "effect in small letters": document(allow(Effect="allow")),
    "effect is a list": document(allow(Effect=["Allow"])),
    "effect is a number": document(allow(Effect=1)),
    "effect is not even a number": document(allow(Effect=float("nan"))),
    "action is a number": document(allow(Action=5)),
    "action is a mapping": document(allow(Action={"sts": "AssumeRole"})),
    "principal is a list": document(allow(Principal=["ec2"])),
    "principal is a number": document(allow(Principal={"AWS": 123456789012})),
    "condition is a list": document(allow(Condition=["k"])),
    "condition without an operator": document(allow(Condition={"k": "v"})),
    "brackets without end": "[" * 100_000,
    "statements in statements": '{"Statement":' * 100_000,
    "statements in statements to the end": '{"Statement":' * 900 + "1" + "}" * 900,
    "number too long to print": {"Statement": 10**5000},
    "number too long to read": '{"Statement": ' + "1" * 5000 + "}",
}


@pytest.mark.parametrize("source", NO_POLICY.values(), ids=NO_POLICY)
def test_what_is_no_policy_document_equals_only_itself(source: Any) -> None:
    """It never raises; it differs from every document, allows nothing, and stays as it was."""
    read = Document.parse(source)
    assert read == Document.parse(source)
    assert hash(read) == hash(Document.parse(source))
    assert isinstance(read.statements, str)
    assert read.version == ""
    assert not read.allows(EC2_TRUST)
    assert not EC2_TRUST.allows(read)
    assert read not in {EC2_TRUST, Document.parse(document())}
    assert str(read) == read.text
    if isinstance(source, str):
        assert read.text == source


def test_what_is_no_policy_document_differs_from_everything_else() -> None:
    """Two sources that are no policy documents are never equal."""
    assert len(set(map(Document.parse, NO_POLICY.values()))) == len(NO_POLICY)


def test_the_text_is_compact_with_version_first() -> None:
    """IAM wants Version first; nothing is lost, not even what has no meaning here."""
    source = {"Statement": [allow(Sid="S")], "Other": [1], "Id": "é", "Version": "2012-10-17"}
    text = Document.parse(source).text
    assert text.startswith('{"Version":"2012-10-17","Id":"\\u00e9","Statement":[{"Effect":"Allow"')
    assert json.loads(text) == source
    assert " " not in text
    assert text.isascii()


def test_the_version_and_statements_can_be_read() -> None:
    """A document shows its version and its statements in canonical form."""
    read = Document.parse(document(allow(Action=["sts:AssumeRole"], Sid="S")))
    assert read.version == "2012-10-17"
    assert isinstance(read.statements, frozenset)
    (statement,) = read.statements
    assert statement.effect == "Allow"
    assert statement.principals == {("Service", "ec2")}
    assert statement.actions == {"sts:assumerole"}
    assert statement.rest == frozenset()


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ('{"Statement": []}', 16),
        (' {\n"Statement" :\t[ ] } ', 16),
        (document(), len('{"Version":"2012-10-17","Statement":[]}')),
        ('{"Statement": [], "Id": "a b"}', len('{"Id":"ab","Statement":[]}')),
        (" not a\u2003document\n", 12),
        ("", 0),
    ],
)
def test_size_counts_all_but_white_space(source: Any, size: int) -> None:
    """The size is what IAM's quotas count, however the text was written."""
    assert Document.parse(source).size == size


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (USUAL, "Allow Service ec2 sts:AssumeRole"),
        (document(allow(Sid="S"), deny(Principal="*")), None),
        (document(), "nobody"),
        (condition("StringEquals", "aws:SourceAccount", "1", "2"), None),
        ("no {document}", "no {document}"),
    ],
    ids=["usual", "two statements", "no statements", "condition", "no document"],
)
def test_a_document_prints_in_short(source: Any, text: str | None) -> None:
    """Each statement is a line of words, with all that it holds but labels."""
    longer = {
        2: "Allow Service ec2 sts:AssumeRole; Deny * sts:AssumeRole",
        1: "Allow Service ec2 sts:AssumeRole StringEquals aws:SourceAccount 1 2",
    }
    assert str(Document.parse(source)) == (text or longer[len(source["Statement"])])


ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/Agent"
USER = f"arn:aws:iam::{ACCOUNT}:user/Agent"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/Agent/here"
TWO = {"Bool": {"aws:SecureTransport": "true"}}


def by(principal: str) -> dict[str, Any]:
    """Allow a principal of AWS."""
    return allow(Principal={"AWS": principal})


def no(principal: str) -> dict[str, Any]:
    """Deny a principal of AWS."""
    return deny(Principal={"AWS": principal})


def on(operator: str, *values: str, key: str = "aws:a") -> dict[str, Any]:
    """Allow under one condition."""
    return allow(Condition={operator: {key: list(values)}})


def guarded(*values: str) -> dict[str, Any]:
    """Allow where a key has one of these *values*."""
    return on("StringEquals", *values)


def off(operator: str, *values: str, key: str = "aws:a") -> dict[str, Any]:
    """Deny under one condition."""
    return deny(Condition={operator: {key: list(values)}})


ALLOWS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], bool]] = {
    "the same": ([allow()], [allow()], True),
    "nothing is always allowed": ([], [], True),
    "nothing allows nothing": ([], [allow()], False),
    "something more": ([allow(), allow(Action="sts:TagSession")], [allow()], True),
    "another principal": ([allow(Principal={"Service": "ssm"})], [allow()], False),
    "one of two principals": ([allow(Principal={"Service": ["ssm", "ec2"]})], [allow()], True),
    "half of the principals": ([allow()], [allow(Principal={"Service": ["ssm", "ec2"]})], False),
    "type of principal": ([allow(Principal={"AWS": "ec2"})], [allow()], False),
    "one of two actions": ([allow(Action=["sts:AssumeRole", "sts:TagSession"])], [allow()], True),
    "half of the actions": ([allow()], [allow(Action=["sts:AssumeRole", "sts:Tag"])], False),
    "all actions": ([allow(Action="*")], [allow()], True),
    "wildcard": ([allow(Action="STS:Assume*")], [allow()], True),
    "question mark": ([allow(Action="sts:AssumeRol?")], [allow()], True),
    "wildcard that misses": ([allow(Action="sts:Get*")], [allow()], False),
    "less than the wildcard asked for": ([allow()], [allow(Action="sts:*")], False),
    "question mark for a wildcard": ([allow(Action="sts:?")], [allow(Action="sts:*")], False),
    "brackets are no wildcard": ([allow(Action="sts:[A]ssumeRole")], [allow()], False),
    "brackets are themselves": ([allow(Action="a:[b]")], [allow(Action="a:[b]")], True),
    "condition in the way": ([allow(Condition=ONE)], [allow()], False),
    "same condition": ([allow(Condition=ONE)], [allow(Condition=ONE)], True),
    "condition asked for only": ([allow()], [allow(Condition=ONE)], True),
    "statements add up": (
        [allow(Action="a:A"), allow(Action="a:B")],
        [allow(Action=["a:A", "a:B"])],
        True,
    ),
    "principals add up": (
        [allow(Principal={"AWS": "1"}), allow(Principal={"AWS": "2"})],
        [allow(Principal={"AWS": ["1", "2"]})],
        True,
    ),
    "half of what would add up": (
        [allow(Principal={"AWS": "1"}), allow(Principal={"AWS": "2"}, Action="a:B")],
        [allow(Principal={"AWS": ["1", "2"]})],
        False,
    ),
    "one of two conditions": ([allow(Condition=ONE)], [allow(Condition=ONE | TWO)], True),
    "one condition more": ([allow(Condition=ONE | TWO)], [allow(Condition=ONE)], False),
    "one of two values": ([on("StringEquals", "a", "b")], [on("StringEquals", "a")], True),
    "one value more": ([on("StringEquals", "a")], [on("StringEquals", "a", "b")], False),
    "one of two that are not": (
        [on("StringNotEquals", "a", "b")],
        [on("StringNotEquals", "a")],
        False,
    ),
    "a pattern of values": ([on("StringLike", "a:*")], [on("StringEquals", "a:b")], True),
    "a pattern of patterns": ([on("StringLike", "a:*")], [on("StringLike", "a:b*")], True),
    "a pattern that is too narrow": ([on("StringLike", "a:b*")], [on("StringLike", "a:*")], False),
    "a pattern in another case": ([on("StringLike", "A:*")], [on("StringEquals", "a:b")], False),
    "a pattern that is none": ([on("StringEquals", "a:*")], [on("StringEquals", "a:b")], False),
    "another key": ([on("StringEquals", "a", key="x:y")], [on("StringEquals", "a")], False),
    "ARNs by another operator": ([on("ArnLike", "arn:*")], [on("ArnEquals", "arn:*")], True),
    "an ARN by its pattern": (
        [on("ArnLike", "arn:aws:ssm:*:1:*")],
        [on("ArnEquals", "arn:aws:ssm:eu-west-1:1:*")],
        True,
    ),
    "parts of ARNs each for itself": (
        [on("ArnLike", "arn:aws:*:1:*")],
        [on("ArnEquals", "arn:aws:ssm:eu-west-1:1:*")],
        False,
    ),
    "absence of a key": ([on("Null", "true")], [on("Null", "false")], False),
    "letter case of an operator": ([on("stringequals", "a")], [on("StringEquals", "a")], True),
    "everything but an action": (
        [allow()],
        [allow(Action=None, NotAction="sts:TagSession")],
        False,
    ),
    "everything but the same action": (
        [allow(Action=None, NotAction="sts:TagSession")],
        [allow(Action=None, NotAction="STS:tagsession")],
        True,
    ),
    "everybody but one": ([allow()], [allow(Principal=None, NotPrincipal={"AWS": "1"})], False),
    "everything but a resource": (
        [allow(Resource="a")],
        [allow(Resource=None, NotResource="a")],
        False,
    ),
    "denied": ([allow(), deny()], [allow()], False),
    "denied first": ([deny(), allow()], [allow()], False),
    "denied by a wildcard": ([allow(), deny(Action="sts:*")], [allow()], False),
    "denied to everybody": ([allow(), deny(Principal="*")], [allow()], False),
    "denied in part": ([allow(Action="*"), deny()], [allow(Action="sts:*")], False),
    "denied in overlapping part": (
        [allow(Action="*"), deny(Action="sts:Assume*")],
        [allow(Action="sts:*Role")],
        False,
    ),
    "another action denied": ([allow(), deny(Action="sts:TagSession")], [allow()], True),
    "another principal denied": ([allow(), deny(Principal={"AWS": "1"})], [allow()], True),
    "denied under a condition": ([allow(), deny(Condition=ONE)], [allow()], True),
    "denied under no condition": ([allow(), deny(Condition={})], [allow()], False),
    "denied under a condition on nothing": (
        [allow(), deny(Condition={"StringEquals": {}})],
        [allow()],
        False,
    ),
    "denied under the same condition": (
        [allow(Condition=ONE), deny(Condition=ONE)],
        [allow(Condition=ONE)],
        False,
    ),
    "denied under one of two conditions": (
        [allow(Condition=ONE), deny(Condition=ONE)],
        [allow(Condition=ONE | TWO)],
        False,
    ),
    "a role's account denied": ([by(ROLE), no(ACCOUNT)], [by(ROLE)], False),
    "a role's root denied": ([by(ROLE), no(f"arn:aws:iam::{ACCOUNT}:root")], [by(ROLE)], False),
    "a role of the account denied": ([by(ACCOUNT), no(ROLE)], [by(ACCOUNT)], False),
    "a session's role denied": ([by(SESSION), no(ROLE)], [by(SESSION)], False),
    "a session of the role denied": ([by(ROLE), no(SESSION)], [by(ROLE)], False),
    "a session's account denied": ([by(SESSION), no(ACCOUNT)], [by(SESSION)], False),
    "a user's account denied": ([by(USER), no(ACCOUNT)], [by(USER)], False),
    "somebody denied of everybody": ([by("*"), no(ROLE)], [by("*")], False),
    "another role denied": ([by(ROLE), no(f"{ROLE}2")], [by(ROLE)], True),
    "another account denied": ([by(ROLE), no("210987654321")], [by(ROLE)], True),
    "another session denied": ([by(SESSION), no(f"{SESSION}2")], [by(SESSION)], True),
    "its own denial": ([by(ACCOUNT), no(ROLE)], [by(ACCOUNT), no(ROLE)], True),
    "its own denial and another": (
        [by(ACCOUNT), no(ROLE), no(USER)],
        [by(ACCOUNT), no(ROLE)],
        False,
    ),
    "denied to all but it": (
        [allow(), deny(Principal=None, NotPrincipal={"Service": "ec2"})],
        [allow()],
        True,
    ),
    "denied to all but its ARN, and its account": (
        [by(ROLE), deny(Principal=None, NotPrincipal={"AWS": ROLE})],
        [by(ROLE)],
        False,
    ),
    "denied elsewhere": ([guarded("1"), off("StringNotEquals", "1")], [guarded("1")], True),
    "denied here": ([guarded("1"), off("StringNotEquals", "2")], [guarded("1")], False),
    "denied in one of two": (
        [guarded("1", "2"), off("StringNotEquals", "1")],
        [guarded("1", "2")],
        False,
    ),
    "denied where the key is": ([guarded("1"), off("Null", "false")], [guarded("1")], False),
    "denied where the key is not": ([guarded("1"), off("Null", "true")], [guarded("1")], True),
    "denied where the key is not, of any that is other": (
        [on("ForAnyValue:StringNotEquals", "1"), off("Null", "true")],
        [on("ForAnyValue:StringNotEquals", "1")],
        True,
    ),
    "denied where the key is not, where it is": (
        [on("Null", "false"), off("Null", "true")],
        [on("Null", "false")],
        True,
    ),
    "denied where the key is not, if there is one": (
        [on("StringEqualsIfExists", "1"), off("Null", "true")],
        [on("StringEqualsIfExists", "1")],
        False,
    ),
    "denied where the key is not, where it is one and no other": (
        [
            allow(Condition={"StringEquals": {"aws:a": "1"}, "StringNotEquals": {"aws:a": "2"}}),
            off("Null", "true"),
        ],
        [allow(Condition={"StringEquals": {"aws:a": "1"}, "StringNotEquals": {"aws:a": "2"}})],
        True,
    ),
    "denied by a set of one": (
        [guarded("1"), off("ForAnyValue:StringEquals", "1")],
        [guarded("1")],
        False,
    ),
    "denied if there is one": (
        [guarded("1"), off("StringEqualsIfExists", "1")],
        [guarded("1")],
        False,
    ),
    "denied whatever its letter case": (
        [guarded("a"), off("StringEqualsIgnoreCase", "A")],
        [guarded("a")],
        False,
    ),
    "denied to a part of a pattern": (
        [on("StringLike", "a:*"), off("StringEquals", "a:b")],
        [on("StringLike", "a:*")],
        False,
    ),
    "denied to another pattern": (
        [on("StringLike", "a:*"), off("StringEquals", "b:b")],
        [on("StringLike", "a:*")],
        True,
    ),
    "denied to a pattern that may meet": (
        [on("StringLike", "a:*"), off("StringLike", "*:b")],
        [on("StringLike", "a:*")],
        False,
    ),
    "denied to a part of the ARNs": (
        [on("ArnLike", "arn:aws:ssm:*:1:*"), off("ArnLike", "arn:aws:ssm:eu-west-1:1:*")],
        [on("ArnLike", "arn:aws:ssm:*:1:*")],
        False,
    ),
    "denied to who has a variable": (
        [guarded("1"), off("StringEquals", "${aws:username}")],
        [guarded("1")],
        False,
    ),
    "denied by another key": (
        [guarded("1"), off("StringEquals", "1", key="b:c")],
        [guarded("1")],
        True,
    ),
    "a variable by a pattern": (
        [on("StringLike", "?" * 15)],
        [on("StringEquals", "${aws:username}")],
        False,
    ),
    "a variable by itself": (
        [on("StringLike", "${aws:username}")],
        [on("StringLike", "${aws:username}")],
        True,
    ),
    "a variable among others": (
        [on("StringEquals", "${aws:username}", "b")],
        [on("StringEquals", "${aws:username}")],
        True,
    ),
    "an account denied as a service": (
        [by(ROLE), deny(Principal={"Service": ACCOUNT})],
        [by(ROLE)],
        True,
    ),
    "denied to others": (
        [allow(), deny(Principal=None, NotPrincipal={"AWS": "1"})],
        [allow()],
        False,
    ),
    "denied but for an action": ([allow(), deny(Action=None, NotAction="a:b")], [allow()], False),
    "denied to others, another action": (
        [allow(), deny(Principal=None, NotPrincipal={"AWS": "1"}, Action="a:b")],
        [allow()],
        True,
    ),
    "denied where all others are": (
        [
            on("ForAllValues:StringEquals", "a"),
            off("ForAllValues:StringNotEquals", "a"),
        ],
        [on("ForAllValues:StringEquals", "a")],
        False,
    ),
    "denied where one is another": (
        [
            on("ForAllValues:StringEquals", "a"),
            off("ForAnyValue:StringNotEquals", "a"),
        ],
        [on("ForAllValues:StringEquals", "a")],
        True,
    ),
    "denied where one is another, of one that is": (
        [
            on("ForAnyValue:StringEquals", "a"),
            off("ForAnyValue:StringNotEquals", "a"),
        ],
        [on("ForAnyValue:StringEquals", "a")],
        False,
    ),
    "denied where none is": (
        [on("ForAnyValue:StringLike", "a*"), off("ForAllValues:StringNotLike", "a*")],
        [on("ForAnyValue:StringLike", "a*")],
        True,
    ),
    "denied where one is another or there is none": (
        [
            on("ForAllValues:StringEquals", "a"),
            off("ForAnyValue:StringNotEqualsIfExists", "a"),
        ],
        [on("ForAllValues:StringEquals", "a")],
        False,
    ),
    "denied where it is another or there is none": (
        [guarded("1"), off("StringNotEqualsIfExists", "1")],
        [guarded("1")],
        True,
    ),
    "denied to a pattern that begins in another way": (
        [on("StringLike", "a:*"), off("StringLike", "b:*")],
        [on("StringLike", "a:*")],
        True,
    ),
    "denied to a pattern that ends in another way": (
        [on("StringLike", "*:a"), off("StringLike", "?*:b")],
        [on("StringLike", "*:a")],
        True,
    ),
    "denied without encryption": (
        [allow(Condition=TWO), off("Bool", "false", key="aws:SecureTransport")],
        [allow(Condition=TWO)],
        True,
    ),
    "denied with encryption, in another letter case": (
        [allow(Condition=TWO), off("Bool", "True", key="aws:SecureTransport")],
        [allow(Condition=TWO)],
        False,
    ),
    "denied to one of all but": (
        [allow(Principal=None, NotPrincipal={"AWS": "1"}), no(ROLE)],
        [allow(Principal=None, NotPrincipal={"AWS": "1"})],
        False,
    ),
    "all but one denied of all but another": (
        [
            allow(Principal=None, NotPrincipal={"AWS": "1"}),
            deny(Principal=None, NotPrincipal={"AWS": "2"}),
        ],
        [allow(Principal=None, NotPrincipal={"AWS": "1"})],
        False,
    ),
    "denied to a pattern of longer texts": (
        [guarded("a"), off("StringLike", "a*a")],
        [guarded("a")],
        True,
    ),
    "denied one of all actions but": (
        [allow(Action=None, NotAction="a:b"), deny()],
        [allow(Action=None, NotAction="a:b")],
        False,
    ),
}


@pytest.mark.parametrize(("held", "needed", "expected"), ALLOWS.values(), ids=ALLOWS)
def test_a_document_allows_what_its_statements_cover(
    held: list[dict[str, Any]],
    needed: list[dict[str, Any]],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """For each principal and action one statement must allow it in full, and none deny a part."""
    read = Document.parse(document(*held))
    assert read.allows(Document.parse(document(*needed))) is expected


@pytest.mark.parametrize(("value", "same"), [("${aws:username}", False), ("$a", True)])
def test_what_is_a_variable_depends_on_the_version(value: str, same: bool) -> None:  # noqa: FBT001 - a column of the table
    """In the older version of the language the text of a variable is plain text."""
    statement = on("StringEquals", value)
    older = Document.parse(document(statement, Version="2008-10-17"))
    newer = Document.parse(document(statement))
    assert older.allows(newer) is newer.allows(older) is same
    assert older.allows(older)


def test_a_long_pattern_is_matched_at_once() -> None:
    """However many wildcards there are, no second way is tried."""
    held = Document.parse(document(allow(Action="sts:" + "*a" * 60 + "*n")))
    assert not held.allows(Document.parse(document(allow(Action="sts:" + "a" * 2000))))
    assert held.allows(Document.parse(document(allow(Action="sts:" + "a" * 2000 + "n"))))


def test_what_is_written_can_be_had_as_it_was() -> None:
    """The statements are always a list, and keep their labels; no document has no content."""
    written = Document.parse({"Statement": allow(Sid="One")}).content()
    assert written == {"Statement": [allow(Sid="One")]}
    with pytest.raises(ValueError, match="not a policy document: 'no JSON'"):
        Document.parse("no JSON").content()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_has_no_numbers_for_is_no_document(number: float) -> None:
    """Python would write and read them; IAM would not."""
    held = condition("NumericEquals", "aws:a", number)
    assert isinstance(Document.parse(held).statements, str)
    assert isinstance(Document.parse(json.dumps(held)).statements, str)


words = st.sampled_from(["a", "b", "sts:A", "sts:*", "é", "1", "%20", "x y"])
values = st.lists(words, min_size=1, max_size=3, unique=True)
kinds = st.sampled_from(["AWS", "Service", "Federated"])
mappings = st.dictionaries(st.sampled_from(["k", "l", "m"]), values, min_size=1, max_size=2)


@st.composite
def statements(draw: DrawFn, effects: tuple[str, ...] = ("Allow", "Deny")) -> dict[str, Any]:
    """A statement in which everything that may be a list is one."""
    statement: dict[str, Any] = {
        "Effect": draw(st.sampled_from(effects)),
        "Principal": draw(st.dictionaries(kinds, values, min_size=1, max_size=2)),
        "Action": draw(values),
    }
    if draw(st.booleans()):
        operators = st.sampled_from(["StringEquals", "Bool"])
        statement["Condition"] = draw(st.dictionaries(operators, mappings, min_size=1))
    if draw(st.booleans()):
        statement["Resource"] = draw(values)
    return statement


documents = st.lists(statements(), max_size=3).map(lambda each: document(*each))
allowing = st.lists(statements(("Allow",)), max_size=3)


def rewritten(chance: random.Random, value: Any) -> Any:
    """Write the same in another way: shuffled, and one for a list of one."""
    if isinstance(value, dict):
        items = [(name, rewritten(chance, each)) for name, each in value.items()]
        chance.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        members = [rewritten(chance, each) for each in value]
        chance.shuffle(members)
        return members[0] if len(members) == 1 and chance.random() < 0.5 else members
    return value


@given(documents, st.randoms(use_true_random=False), st.sampled_from([None, 0, 3]), st.booleans())
def test_the_way_of_writing_makes_no_difference(
    source: dict[str, Any],
    chance: random.Random,
    indent: int | None,
    encoded: bool,  # noqa: FBT001 - drawn
) -> None:
    """Order, white space, lists of one, labels, escapes and URL-encoding mean nothing."""
    labelled = rewritten(chance, source) | {"Id": "label"}
    text = json.dumps(labelled, indent=indent, ensure_ascii=chance.random() < 0.5)
    other = Document.parse(urllib.parse.quote(text) if encoded else text)
    assert other == Document.parse(source)
    assert hash(other) == hash(Document.parse(source))


@given(documents)
def test_parsing_its_own_text_gives_the_same_document(source: dict[str, Any]) -> None:
    """Reading and writing is idempotent, to the letter."""
    read = Document.parse(source)
    again = Document.parse(read.text)
    assert again == read
    assert again.text == read.text
    assert again.size == read.size <= len(read.text)
    assert str(again) == str(read)


def other_effect(statement: dict[str, Any]) -> None:
    """Turn the effect round."""
    statement["Effect"] = {"Allow": "Deny", "Deny": "Allow"}[statement["Effect"]]


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "effect": other_effect,
    "action": lambda each: each["Action"].append("sts:New"),
    "other action": lambda each: each.update(Action=["sts:New"]),
    "principal": lambda each: next(iter(each["Principal"].values())).append("new"),
    "other type of principal": lambda each: each["Principal"].update(CanonicalUser="a"),
    "condition": lambda each: each.setdefault("Condition", {}).update(Null={"k": "v"}),
    "condition value": lambda each: each.update(Condition={"StringEquals": {"k": ["new"]}}),
    "resource": lambda each: each.setdefault("Resource", []).append("new"),
    "element": lambda each: each.update(NotResource="new"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@given(source=statements())
def test_a_change_of_meaning_makes_a_difference(
    change: Callable[[dict[str, Any]], None], source: dict[str, Any]
) -> None:
    """Whatever is changed in a statement, the document is another one."""
    changed = json.loads(json.dumps(source))
    change(changed)
    assert Document.parse(document(source)) != Document.parse(document(changed))


@given(documents)
def test_a_document_holds_itself(source: dict[str, Any]) -> None:
    """Whatever it denies of what it allows: so it is desired; and one with more holds it too."""
    read = Document.parse(source)
    assert read.holds(read)
    more = Document.parse(document(*source["Statement"], allow(Action="sts:More")))
    assert more.holds(read)


@given(allowing)
def test_a_document_allows_itself(held: list[dict[str, Any]]) -> None:
    """Where nothing is denied, a document allows all that it says."""
    read = Document.parse(document(*held))
    assert read.allows(read)


@given(documents, statements(("Allow",)), allowing)
def test_allowing_more_never_allows_less(
    held: dict[str, Any], more: dict[str, Any], needed: list[dict[str, Any]]
) -> None:
    """Adding a statement that allows something keeps everything that was allowed."""
    before, wanted = Document.parse(held), Document.parse(document(*needed))
    after = Document.parse(document(*held["Statement"], more))
    assert after.allows(wanted) >= before.allows(wanted)
    assert Document.parse(document(*held["Statement"], *needed, more)).allows(
        wanted
    ) >= before.allows(wanted)


@given(allowing, statements(("Allow",)))
def test_a_denial_without_condition_takes_away_what_it_covers(
    held: list[dict[str, Any]], needed: dict[str, Any]
) -> None:
    """Whatever else is allowed, what is denied outright is not."""
    wanted = Document.parse(document(needed))
    denial = {
        name: value for name, value in needed.items() if name in {"Principal", "Action", "Resource"}
    }
    assert not Document.parse(document(*held, needed, {"Effect": "Deny"} | denial)).allows(wanted)
    everything = deny(Principal="*", Action="*")
    assert not Document.parse(document(*held, needed, everything)).allows(wanted)


names = st.sampled_from(
    ["Version", "Statement", "Effect", "Principal", "Action", "Condition", "NotAction", "x"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words
contents = st.recursive(
    scalars | st.sampled_from(["Allow", "Deny"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(names, inner, max_size=5)
    ),
    max_leaves=20,
)
broken = st.builds(
    lambda source, start, length: json.dumps(source)[:start] + json.dumps(source)[start + length :],
    documents,
    st.integers(0, 60),
    st.integers(1, 9),
)


def assert_reads(source: Any) -> None:
    """Check that *source* can be read, compared, printed and read again."""
    read = Document.parse(source)
    assert read == Document.parse(source)
    assert hash(read) == hash(Document.parse(source))
    assert Document.parse(read.text) == read
    assert isinstance(str(read), str)
    assert not (isinstance(read.statements, str) and read.allows(EC2_TRUST))
    assert read.size <= len(read.text)
    if isinstance(read.statements, str):
        assert read != Document.parse(f"{source}!")


@given(st.text() | st.text().map(lambda text: f"%{text}") | broken | contents.map(json.dumps))
def test_any_text_can_be_read(source: str) -> None:
    """Reading text never fails."""
    assert_reads(source)


@given(
    st.dictionaries(names, contents, max_size=5)
    | st.dictionaries(names, contents, max_size=5).map(document)
)
def test_any_mapping_can_be_read(source: dict[str, Any]) -> None:
    """Reading a mapping never fails."""
    assert_reads(source)
