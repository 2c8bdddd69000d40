"""What IAM takes for a policy of a role or user: the checks that it would make after other work.

Sources: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in the
IAM user guide; refusals recorded from IAM ("Policy document must be version 2012-10-17 or
greater.", "Actions/Conditions must be prefaced by a vendor", "Statement IDs (SID) in a single
policy must be unique.").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cwagent_iam.documents import listed
from cwagent_iam.errors import Problem
from cwagent_iam.policies.partitions import ANY_PARTITION, PARTITION_NAME, localise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cwagent_iam.documents import Document

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
