"""A trust that the caller wrote, and what IAM takes for a trust policy.

IAM would otherwise make these checks after other work is done.

Sources: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in the
IAM user guide; for what only trusts must keep to, refusals recorded from IAM ("Has prohibited field
Resource", "AssumeRole policy may only specify STS AssumeRole actions.").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.arguments import refuse
from cwagent_iam.documents import Document, any_covers, listed
from cwagent_iam.errors import Problem
from cwagent_iam.policies.inline import document_problems
from cwagent_iam.policies.partitions import ANY_PARTITION, PARTITION_NAME
from cwagent_iam.trust import checks
from cwagent_iam.trust.base import StatementJSON, Trust
from cwagent_iam.trust.partitions import SERVICES, localise, neutral

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def _is_older(document: Document) -> bool:
    """Tell whether it would mean something else in the version that has variables."""
    return document.version != _VERSIONS[0] and "${" in document.text


def _version_problem(document: Document) -> Problem:
    rule = f"must have the version {_VERSIONS[0]} to be joined, because of the variable in it"
    return Problem.of("trusts", document.text, rule)


def _read(source: str | Mapping[str, Any] | Document) -> Document:
    """Read a document; leave what is no such thing for the check to find."""
    parsed: Any = Document.parse(source) if isinstance(source, (str, Mapping)) else source
    read: Document = neutral(parsed) if isinstance(parsed, Document) else parsed
    return read


@attrs.frozen
class CustomTrust(Trust):
    """Who may assume the role, in the caller's own words.

    The agent's services may be written by their names in any partition or by their short names
    (``ec2``, ``ecs-tasks``, ``pods.eks``, ``rolesanywhere``, ``ssm``); either way they are meant in
    the partition of the role, and so are OIDC providers. Two are equal when they mean the same.

    >>> CustomTrust('{"Statement": {"Effect": "Allow", "Principal": {"Service": '
    ...     '"ec2.amazonaws.com"}, "Action": ["sts:AssumeRole"]}}').for_ec2
    True

    Attributes:
        source: The trust policy, given as ``document``: JSON, a mapping or a `Document`. It is
            held in its neutral form.
    """

    source: Document = attrs.field(converter=_read, alias="document")

    @classmethod
    def of(cls, *trusts: Trust) -> CustomTrust:
        """Let all of several trusts assume the role; labels of statements (``Sid``) are left out.

        Raises:
            IntentError: When an argument of one of them breaks a rule; or when one has a variable
                in a version of the policy language that takes it for plain text.
        """
        documents = [trust.document() for trust in trusts]
        refuse(_version_problem(each) for each in documents if _is_older(each))
        statements = [
            {name: each[name] for name in each if name != "Sid"}
            for document in documents
            for each in document.content()["Statement"]
        ]
        return cls({"Version": _VERSIONS[0], "Statement": statements})

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every reason for which IAM would refuse the document."""
        where = f"{argument}.document"
        source: Any = self.source
        if isinstance(source, Document):
            yield from _grammar_problems(where, source)
        else:
            yield Problem.of(where, source, "must be JSON, a mapping or a Document")

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the statements as they were written."""
        return tuple(self.source.content()["Statement"])

    def document(self) -> Document:
        """Return the trust policy in its neutral form, with its own version and labels."""
        super().document()
        return self.source


def _grammar_problems(argument: str, document: Document) -> Iterator[Problem]:
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
