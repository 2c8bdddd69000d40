"""Inline policies: documents that lie in one role or user, and the grammar that IAM holds them to.

IAM would otherwise make these checks after other work is done.

Sources: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in the
IAM user guide; refusals recorded from IAM ("Policy document must be version 2012-10-17 or
greater.", "Actions/Conditions must be prefaced by a vendor", "Statement IDs (SID) in a single
policy must be unique.").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.arguments import collection_rule, is_collection, plain
from cwagent_iam.documents import Document, listed
from cwagent_iam.errors import Problem
from cwagent_iam.policies.managed import POLICY_NAME
from cwagent_iam.policies.partitions import (
    ANY_PARTITION,
    PARTITION_NAME,
    localise,
    neutral,
    neutralise,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = re.compile(POLICY_NAME)

_VERSION = "2012-10-17"
_DOCUMENT_ELEMENTS = {"Version", "Id", "Statement"}
_PRINCIPALS = {"Principal", "NotPrincipal"}
_ACTIONS = ("Action", "NotAction")
_RESOURCES = ("Resource", "NotResource")
_STATEMENT_ELEMENTS = {"Sid", "Effect", "Condition", *_ACTIONS, *_RESOURCES, *_PRINCIPALS}
_LABEL = re.compile(r"[A-Za-z0-9]*")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[!-9;-~]+")
_RESOURCE = re.compile(
    rf"\*|arn:(?:\*|{ANY_PARTITION}|{PARTITION_NAME}):[a-z0-9-]+:(?:[^:]*:[^:]*:.+|[^:]*\*.*)",
    re.DOTALL,
)
_REGIONAL_IAM = re.compile(r"arn:[^:]+:iam:[^:]+:.*", re.DOTALL)
_KEY = re.compile(r"[^:]+:.+", re.DOTALL)
_OPERATOR = re.compile(
    r"(?:ForAllValues:|ForAnyValue:)?"
    r"(?:String(?:Not)?Equals(?:IgnoreCase)?|String(?:Not)?Like|Arn(?:Not)?(?:Equals|Like)"
    r"|Numeric(?:Not)?Equals|Numeric(?:Less|Greater)Than(?:Equals)?"
    r"|Date(?:Not)?Equals|Date(?:Less|Greater)Than(?:Equals)?"
    r"|Bool|BinaryEquals|(?:Not)?IpAddress)(?:IfExists)?|Null",
)


@attrs.frozen(init=False)
class InlinePolicy:
    """A policy document that lies in one role or user, and goes with it.

    Two are equal when they have one name and their documents mean the same.

    >>> policy = InlinePolicy("ReadTags", '{"Version": "2012-10-17", "Statement": {"Effect": '
    ...     '"Allow", "Action": "ec2:DescribeTags", "Resource": "*"}}')
    >>> print(policy)
    ReadTags (Allow ec2:DescribeTags *)

    Attributes:
        name: 1 to 128 characters; ASCII letters, digits and ``_+=,.@-``. Unique in the role or
            user.
        document: The document; given as JSON, a mapping or a `Document`. It is held in its neutral
            form, in which ARNs that leave the region open leave the partition open too.
    """

    name: str
    document: Document

    def __init__(self, name: str, document: str | Mapping[str, Any] | Document) -> None:
        """Hold what a caller wrote; what is no document is left for the check to find."""
        read: Any = Document.parse(document) if isinstance(document, (str, Mapping)) else document
        self.__attrs_init__(plain(name), neutral(read) if isinstance(read, Document) else read)

    @classmethod
    def found(cls, name: str, document: str | Mapping[str, Any], partition: str) -> InlinePolicy:
        """Read what IAM has in *partition*: an ARN that names another one there is no open one."""
        policy = cls.__new__(cls)
        policy.__attrs_init__(name, neutralise(Document.parse(document), partition))
        return policy

    def text(self, partition: str) -> str:
        """Return the document as IAM wants it in *partition*: compact JSON."""
        return localise(self.document, partition).text

    @property
    def size(self) -> int:
        """What it takes of IAM's quota: its characters but white space, in partition ``aws``.

        In the other partitions, whose names are longer, it may be a few more.
        """
        return localise(self.document, "aws").size

    def problems(self, argument: str = "inline_policy") -> Iterator[Problem]:
        """Yield every reason for which IAM would refuse it, but for the quota.

        Args:
            argument: What problems call this policy, as in ``inline_policies[0].name``.
        """
        name: Any = self.name
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            rule = "must have 1 to 128 characters: ASCII letters, digits and _+=,.@-"
            yield Problem.of(f"{argument}.name", name, rule)
        document: Any = self.document
        if isinstance(document, Document):
            yield from identity_problems(f"{argument}.document", document)
        else:
            rule = "must be JSON, a mapping or a Document"
            yield Problem.of(f"{argument}.document", document, rule)

    def __str__(self) -> str:
        """The name, and each statement in short."""
        return f"{self.name} ({self.document})"


def inline_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the inline policies of one role or user, but for the quota that they share.

    Args:
        argument: What problems call them.
        value: Anything; good are tuples, lists and sets of `InlinePolicy`.
    """
    if not is_collection(value):
        yield Problem.of(argument, value, collection_rule("InlinePolicy"))
        return
    names: set[str] = set()
    for index, policy in enumerate(value):
        where = f"{argument}[{index}]"
        if not isinstance(policy, InlinePolicy):
            yield Problem.of(where, policy, "must be an InlinePolicy")
            continue
        yield from policy.problems(where)
        folded = str(policy.name).lower()
        if folded in names:
            rule = "must differ from the other names by more than letter case"
            yield Problem.of(f"{where}.name", policy.name, rule)
        names.add(folded)


def identity_problems(argument: str, document: Document) -> Iterator[Problem]:
    """Yield every reason for which IAM would refuse *document* as a policy of a role or user.

    Args:
        argument: What problems call the document.
        document: A document, neutral or not.
    """
    if isinstance(document.statements, str):
        rule = "must be a policy document: JSON with a Statement, each with its Effect"
        yield Problem.of(argument, document.text, rule)
        return
    content = document.content()
    yield from document_problems(argument, content)
    if content.get("Version") != _VERSION:
        yield Problem.of(f"{argument} Version", content.get("Version"), f"must be {_VERSION!r}")
    for index, each in enumerate(content["Statement"]):
        yield from _statement_problems(f"{argument} statement {index}", each)
    if f"arn:{ANY_PARTITION}:" in localise(document, "aws").text:
        rule = f"must have arn:{ANY_PARTITION}: only where an ARN has * for the region"
        yield Problem.of(argument, document.text, rule)


def document_problems(argument: str, content: Mapping[str, Any]) -> Iterator[Problem]:
    """Check what documents of any kind have in common: elements, labels, conditions.

    Args:
        argument: What problems call the document.
        content: What it says, as of `Document.content`.
    """
    for element in sorted(content.keys() - _DOCUMENT_ELEMENTS):
        yield Problem.of(f"{argument} {element}", content[element], "must not be in a document")
    if not isinstance(content.get("Id", ""), str):
        yield Problem.of(f"{argument} Id", content["Id"], "must be a string")
    if not content["Statement"]:
        yield Problem.of(f"{argument} Statement", [], "must have a statement")
    labels: set[str] = set()
    for index, each in enumerate(content["Statement"]):
        where, label = f"{argument} statement {index}", each.get("Sid", "")
        if not isinstance(label, str):
            yield Problem.of(f"{where} Sid", label, "must be a string")
        elif label in labels:
            yield Problem.of(f"{where} Sid", label, "must differ from those of other statements")
        elif label:
            labels.add(label)
        yield from _condition_problems(f"{where} Condition", each.get("Condition", {}))


def _condition_problems(
    where: str, conditions: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    for operator, keys in conditions.items():
        if not _OPERATOR.fullmatch(operator):
            rule = "must be an operator that IAM knows, such as StringEquals"
            yield Problem.of(where, operator, rule)
        if not keys:
            yield Problem.of(f"{where} {operator}", keys, "must compare a key")
        for key, values in keys.items():
            if not _KEY.fullmatch(key):
                rule = "must be a condition key, with its service before a colon"
                yield Problem.of(where, key, rule)
            if not listed(values):
                yield Problem.of(f"{where} {key}", values, "must be compared with something")
            for value in listed(values):
                if not isinstance(value, (str, bool, int, float)):
                    rule = "must be a text, a number, true or false"
                    yield Problem.of(f"{where} {key}", value, rule)


def _statement_problems(where: str, statement: Mapping[str, Any]) -> Iterator[Problem]:
    for element in sorted(statement.keys() - _STATEMENT_ELEMENTS):
        yield Problem.of(f"{where} {element}", statement[element], "must not be in a statement")
    for element in sorted(statement.keys() & _PRINCIPALS):
        rule = "must not be in a policy of a role or user, which is itself the principal"
        yield Problem.of(f"{where} {element}", statement[element], rule)
    label = statement.get("Sid", "")
    if isinstance(label, str) and not _LABEL.fullmatch(label):
        yield Problem.of(f"{where} Sid", label, "may hold ASCII letters and digits only")
    yield from _choice_problems(where, statement, _ACTIONS, _action_problems)
    yield from _choice_problems(where, statement, _RESOURCES, _resource_problems)


def _choice_problems(
    where: str,
    statement: Mapping[str, Any],
    elements: tuple[str, str],
    check: Callable[[str, Any], Iterator[Problem]],
) -> Iterator[Problem]:
    """Check that *statement* has one of two *elements*, and each part of it."""
    named = [element for element in elements if element in statement]
    if len(named) != 1:
        yield Problem.of(where, dict(statement), f"must have either {' or '.join(elements)}")
    for element in named:
        held = listed(statement[element])
        if not held:
            yield Problem.of(f"{where} {element}", held, "must name something")
        for each in held:
            yield from check(f"{where} {element}", each)


def _action_problems(where: str, action: str) -> Iterator[Problem]:
    if not _ACTION.fullmatch(action):
        rule = "must be an action such as ssm:GetParameter, with its service before the one colon"
        yield Problem.of(where, action, rule)


def _resource_problems(where: str, resource: object) -> Iterator[Problem]:
    if not isinstance(resource, str) or not _RESOURCE.fullmatch(resource):
        rule = "must be * or an ARN, arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"
        yield Problem.of(where, resource, rule)
    elif _REGIONAL_IAM.fullmatch(resource):
        yield Problem.of(where, resource, "must have no region, because IAM has none")
