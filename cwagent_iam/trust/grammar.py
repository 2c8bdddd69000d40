"""What IAM takes for a trust policy: the checks that it would otherwise make after other work.

Sources: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in the
IAM user guide; for what only trusts must keep to, refusals recorded from IAM ("Has prohibited field
Resource", "AssumeRole policy may only specify STS AssumeRole actions.").
"""

from __future__ import annotations

import fnmatch
import json
import re
from typing import TYPE_CHECKING, Any

from cwagent_iam.errors import Problem
from cwagent_iam.policies import ANY_PARTITION, condition_problems
from cwagent_iam.trust import checks
from cwagent_iam.trust.partitions import SERVICES, localise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cwagent_iam.documents import Document

_VERSIONS = ("2012-10-17", "2008-10-17")
_DOCUMENT_ELEMENTS = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS = {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "Condition"}
_PRINCIPAL_TYPES = ("AWS", "Federated", "Service")
_ACTIONS = (
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:setcontext",
    "sts:setsourceidentity",
    "sts:tagsession",
)
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


def grammar_problems(argument: str, document: Document) -> Iterator[Problem]:
    """Yield every reason for which IAM would refuse *document*, neutral or not, as a trust."""
    if isinstance(document.statements, str):
        rule = "must be a policy document: JSON with a Statement, each with its Effect and Action"
        yield Problem.of(argument, document.text, rule)
        return
    content = json.loads(document.text)
    for element in sorted(content.keys() - _DOCUMENT_ELEMENTS):
        yield Problem.of(f"{argument}[{element!r}]", content[element], "must not be in a document")
    if document.version not in _VERSIONS:
        rule = f"must be {_VERSIONS[0]}, or {_VERSIONS[1]}, which IAM takes for none"
        yield Problem.of(f"{argument}['Version']", document.version, rule)
    held = content["Statement"]
    statements = held if isinstance(held, list) else [held]
    if not statements:
        yield Problem.of(f"{argument}['Statement']", held, "must have a statement")
    labels: list[object] = []
    for index, each in enumerate(statements):
        yield from _statement_problems(f"{argument} statement {index}", each, labels)
    if f"arn:{ANY_PARTITION}:" in localise(document, "aws").text:
        rule = (
            f"must have arn:{ANY_PARTITION}: only in OIDC providers, and in source ARNs of a whole "
            "account such as arn:PARTITION:ssm:*:123456789012:*"
        )
        yield Problem.of(argument, document.text, rule)


def _statement_problems(
    where: str,
    statement: Mapping[str, Any],
    labels: list[object],
) -> Iterator[Problem]:
    """Check one statement; *labels* are the ``Sid`` of those before it."""
    for element in sorted(statement.keys() - _STATEMENT_ELEMENTS):
        yield Problem.of(f"{where} {element}", statement[element], "must not be in a trust policy")
    label = statement.get("Sid")
    if "Sid" in statement and label in labels:
        yield Problem.of(f"{where} Sid", label, "must differ from those of other statements")
    labels.append(label)
    if len(statement.keys() & {"Principal", "NotPrincipal"}) != 1:
        yield Problem.of(where, dict(statement), "must have either Principal or NotPrincipal")
    if statement["Effect"] == "Allow" and "NotPrincipal" in statement:
        rule = "must not be in a statement that allows: it lets in everybody else"
        yield Problem.of(f"{where} NotPrincipal", statement["NotPrincipal"], rule)
    for element in sorted(statement.keys() & {"Principal", "NotPrincipal"}):
        yield from _principals_problems(f"{where} {element}", statement[element])
    yield from _actions_problems(f"{where} Action", statement.get("Action", []))
    yield from condition_problems(f"{where} Condition", statement.get("Condition", {}))


def _actions_problems(where: str, actions: str | list[str]) -> Iterator[Problem]:
    listed = _listed(actions)
    if not listed:
        yield Problem.of(where, actions, "must name an action")
    for action in listed:
        if not action.lower().startswith("sts:") or not fnmatch.filter(_ACTIONS, action.lower()):
            rule = "must be an action of STS by which a role is assumed, such as sts:AssumeRole"
            yield Problem.of(where, action, rule)


def _principals_problems(where: str, principals: str | Mapping[str, Any]) -> Iterator[Problem]:
    if isinstance(principals, str):
        if principals != "*":
            rule = "must be * for everybody, or name principals by type"
            yield Problem.of(where, principals, rule)
        return
    if not principals:
        yield Problem.of(where, dict(principals), "must name somebody")
    for kind, named in principals.items():
        if kind not in _PRINCIPAL_TYPES:
            yield Problem.of(where, kind, f"must be one of {', '.join(_PRINCIPAL_TYPES)}")
        if not _listed(named):
            yield Problem.of(f"{where} {kind}", named, "must name somebody")
        for each in _listed(named):
            yield from _principal_problems(f"{where} {kind}", kind, each)


def _principal_problems(where: str, kind: str, principal: str) -> Iterator[Problem]:
    match kind:
        case "AWS":
            if principal != "*":
                yield from checks.principal_problems(where, principal)
        case "Service":
            if principal not in SERVICES and not _SERVICE.fullmatch(principal):
                rule = "must be a service principal such as lambda.amazonaws.com"
                yield Problem.of(where, principal, f"{rule}, or one of {', '.join(SERVICES)}")
        case _:
            if not principal or checks.wild(principal):
                yield Problem.of(where, principal, "must name one identity provider")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
