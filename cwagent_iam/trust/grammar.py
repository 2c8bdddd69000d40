"""What IAM takes for a trust policy: the checks that it would otherwise make after other work.

Sources: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in the
IAM user guide; for what only trusts must keep to, refusals recorded from IAM ("Has prohibited field
Resource", "AssumeRole policy may only specify STS AssumeRole actions.").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cwagent_iam.documents import any_covers, listed
from cwagent_iam.errors import Problem
from cwagent_iam.policies import ANY_PARTITION, PARTITION_NAME, document_problems
from cwagent_iam.trust import checks
from cwagent_iam.trust.partitions import SERVICES, localise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cwagent_iam.documents import Document

_VERSIONS = ("2012-10-17", "2008-10-17")
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
_HOST = r"[a-z0-9-]+(?:\.[a-z0-9-]+)+"
_SERVICE = re.compile(_HOST)
_PROVIDER = re.compile(
    rf"arn:(?:{ANY_PARTITION}|{PARTITION_NAME}):iam::[0-9]{{12}}:(?:oidc|saml)-provider/[^*?]+|{_HOST}"
)


def grammar_problems(argument: str, document: Document) -> Iterator[Problem]:
    """Yield every reason for which IAM would refuse *document*, neutral or not, as a trust."""
    if isinstance(document.statements, str):
        rule = "must be a policy document: JSON with a Statement, each with its Effect and Action"
        yield Problem.of(argument, document.text, rule)
        return
    content = document.content()
    yield from document_problems(argument, content)
    if document.version not in _VERSIONS:
        rule = f"must be {_VERSIONS[0]}, or {_VERSIONS[1]}, which IAM takes for none"
        yield Problem.of(f"{argument} Version", document.version, rule)
    for index, each in enumerate(content["Statement"]):
        yield from _statement_problems(f"{argument} statement {index}", each)
    if f"arn:{ANY_PARTITION}:" in localise(document, "aws").text:
        rule = (
            f"must have arn:{ANY_PARTITION}: only in OIDC providers, and in source ARNs of a whole "
            "account such as arn:PARTITION:ssm:*:123456789012:*"
        )
        yield Problem.of(argument, document.text, rule)


def _statement_problems(where: str, statement: Mapping[str, Any]) -> Iterator[Problem]:
    for element in sorted(statement.keys() - _STATEMENT_ELEMENTS):
        yield Problem.of(f"{where} {element}", statement[element], "must not be in a trust policy")
    if len(statement.keys() & {"Principal", "NotPrincipal"}) != 1:
        yield Problem.of(where, dict(statement), "must have either Principal or NotPrincipal")
    if statement["Effect"] == "Allow" and "NotPrincipal" in statement:
        rule = "must not be in a statement that allows: it lets in everybody else"
        yield Problem.of(f"{where} NotPrincipal", statement["NotPrincipal"], rule)
    for element in sorted(statement.keys() & {"Principal", "NotPrincipal"}):
        yield from _principals_problems(f"{where} {element}", statement[element])
    yield from _actions_problems(f"{where} Action", statement.get("Action", []))


def _actions_problems(where: str, actions: str | list[str]) -> Iterator[Problem]:
    if not listed(actions):
        yield Problem.of(where, actions, "must name an action")
    for action in listed(actions):
        if not _assumes(action.lower()):
            rule = "must be an action of STS by which a role is assumed, such as sts:AssumeRole"
            yield Problem.of(where, action, rule)


def _assumes(pattern: str) -> bool:
    return pattern.startswith("sts:") and any(any_covers({pattern}, each) for each in _ACTIONS)


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
            continue
        if not listed(named):
            yield Problem.of(f"{where} {kind}", named, "must name somebody")
        for each in listed(named):
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
            if not _PROVIDER.fullmatch(principal):
                rule = "must be the ARN of an identity provider, or the name of one that AWS knows"
                yield Problem.of(where, principal, rule)
