"""What IAM takes for a policy of a role or user: the checks that it would make after other work.

Sources: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in the
IAM user guide; refusals recorded from IAM ("Policy document must be version 2012-10-17 or
greater.", "Actions/Conditions must be prefaced by a vendor", "Statement IDs (SID) in a single
policy must be unique.").
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cwagent_iam.errors import Problem
from cwagent_iam.policies.partitions import ANY_PARTITION, PARTITION_NAME, localise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cwagent_iam.documents import Document

_VERSION = "2012-10-17"
_DOCUMENT_ELEMENTS = {"Version", "Id", "Statement"}
_PRINCIPALS = {"Principal", "NotPrincipal"}
_ACTIONS = ("Action", "NotAction")
_RESOURCES = ("Resource", "NotResource")
_STATEMENT_ELEMENTS = {"Sid", "Effect", "Condition", *_ACTIONS, *_RESOURCES, *_PRINCIPALS}
_LABEL = re.compile(r"[A-Za-z0-9]*")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[!-9;-~]+")
_RESOURCE = re.compile(rf"\*|arn:(?:\*|{ANY_PARTITION}|{PARTITION_NAME}):[a-z0-9-]+:.+", re.DOTALL)
_KEY = re.compile(r"[^:]+:.+", re.DOTALL)
_OPERATOR = re.compile(
    r"(?:for(?:any|all)values?:)?"
    r"(?:string(?:not)?equals(?:ignorecase)?|string(?:not)?like|arn(?:not)?(?:equals|like)"
    r"|numeric(?:not)?equals|numeric(?:less|greater)than(?:equals)?"
    r"|date(?:not)?equals|date(?:less|greater)than(?:equals)?"
    r"|bool|binaryequals|(?:not)?ipaddress)(?:ifexists)?|null",
    re.IGNORECASE,
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
    content = json.loads(document.text)
    for element in sorted(content.keys() - _DOCUMENT_ELEMENTS):
        yield Problem.of(f"{argument} {element}", content[element], "must not be in a document")
    if content.get("Version") != _VERSION:
        yield Problem.of(f"{argument} Version", content.get("Version"), f"must be {_VERSION!r}")
    if not isinstance(content.get("Id", ""), str):
        yield Problem.of(f"{argument} Id", content["Id"], "must be a string")
    statements = _listed(content["Statement"])
    if not statements:
        yield Problem.of(f"{argument} Statement", statements, "must have a statement")
    labels: list[object] = []
    for index, each in enumerate(statements):
        yield from _statement_problems(f"{argument} statement {index}", each, labels)
    if f"arn:{ANY_PARTITION}:" in localise(document, "aws").text:
        rule = f"must have arn:{ANY_PARTITION}: only where an ARN has * for the region"
        yield Problem.of(argument, document.text, rule)


def condition_problems(where: str, conditions: Mapping[str, Iterable[str]]) -> Iterator[Problem]:
    """Check the operators and keys of the element ``Condition``, in policies of any kind."""
    for operator, keys in conditions.items():
        if not _OPERATOR.fullmatch(operator):
            yield Problem.of(where, operator, "must be an operator that IAM knows")
        for key in keys:
            if not _KEY.fullmatch(key):
                rule = "must be a condition key, with its service before a colon"
                yield Problem.of(where, key, rule)


def _statement_problems(
    where: str, statement: Mapping[str, Any], labels: list[object]
) -> Iterator[Problem]:
    """Check one statement; *labels* are the ``Sid`` of those before it."""
    for element in sorted(statement.keys() - _STATEMENT_ELEMENTS):
        yield Problem.of(f"{where} {element}", statement[element], "must not be in a statement")
    for element in sorted(statement.keys() & _PRINCIPALS):
        rule = "must not be in a policy of a role or user, which is itself the principal"
        yield Problem.of(f"{where} {element}", statement[element], rule)
    yield from _label_problems(f"{where} Sid", statement.get("Sid", ""), labels)
    yield from _choice_problems(where, statement, _ACTIONS, _action_problems)
    yield from _choice_problems(where, statement, _RESOURCES, _resource_problems)
    yield from condition_problems(f"{where} Condition", statement.get("Condition", {}))


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
        held = _listed(statement[element])
        if not held:
            yield Problem.of(f"{where} {element}", held, "must name something")
        for each in held:
            yield from check(f"{where} {element}", each)


def _label_problems(where: str, label: object, labels: list[object]) -> Iterator[Problem]:
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        yield Problem.of(where, label, "may hold ASCII letters and digits only")
    if label in labels:
        yield Problem.of(where, label, "must differ from those of other statements")
    if label:
        labels.append(label)


def _action_problems(where: str, action: str) -> Iterator[Problem]:
    if not _ACTION.fullmatch(action):
        rule = "must be an action such as ssm:GetParameter, with its service before the one colon"
        yield Problem.of(where, action, rule)


def _resource_problems(where: str, resource: object) -> Iterator[Problem]:
    if not isinstance(resource, str) or not _RESOURCE.fullmatch(resource):
        rule = "must be * or an ARN, arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"
        yield Problem.of(where, resource, rule)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
