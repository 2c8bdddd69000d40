"""What a trust means for the agent: what it can never satisfy, what else is needed, what is open.

A trust with findings is good grammar, and IAM takes it; often it is somebody else's. So these are
no errors: they go with the plan.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from cwagent_iam.findings import Finding
from cwagent_iam.trust.conditions import Condition, conditions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.documents import Document, Statement

_UNIQUE_ID = re.compile(r"A(?:RO|ID)A[A-Z0-9]{12,}")
_EXTERNAL_ID = "sts:externalid"
_MFA = ("aws:multifactorauthpresent", "aws:multifactorauthage")
_SESSION_TAGS = ("aws:requesttag/", "aws:tagkeys", "sts:transitivetagkeys")
_SESSION_NAME = "sts:rolesessionname"
_SOURCES = ("aws:sourceaccount", "aws:sourcearn")
_UNTAGGED = ("ec2", "ecs-tasks", "ssm")
_GUARDED = ("ecs-tasks", "rolesanywhere", "ssm")
_ANY_SUBJECT = re.compile(r"[*?]+|system:serviceaccount:[*?]+(?::[*?]+)?")

_NEVER_SENT = {
    _EXTERNAL_ID: (
        "The agent never sends an external id with role_arn, so it can never assume this role. "
        "Only EKS Pod Identity sends one, when this is the target role of an association."
    ),
    "tags": "The agent never tags the sessions of role_arn, so it can never assume this role.",
    "mfa": "The agent has no MFA device, so it can never assume this role.",
    "name": (
        "The agent cannot choose the name of its session, so it can never assume this role "
        "under the name that is asked for."
    ),
}
_NEEDS = {
    "role_arn": (
        "Whoever is trusted here must also be allowed sts:AssumeRole on this role, and "
        "credentials.role_arn in the agent's configuration must name it."
    ),
    "sources": (
        "The agent names its account and ARN only if both AMZ_SOURCE_ACCOUNT and AMZ_SOURCE_ARN "
        "are set in its environment; without them it is denied this role."
    ),
    "provider": "IAM must have this OIDC provider, in the account of the role.",
    "anchor": (
        "IAM Roles Anywhere must have the trust anchor and a profile for this role. The agent "
        "runs no credential_process: run aws_signing_helper update or serve beside it."
    ),
    "activation": (
        "A hybrid activation must name this role, which needs AmazonSSMManagedInstanceCore too. "
        "Point the agent's common-config.toml at the credentials file of the SSM agent."
    ),
    "association": "EKS must have an association for this role before the agent's pods start.",
    "tags": "The association must not have session tags switched off.",
}


def trust_findings(document: Document) -> tuple[Finding, ...]:
    """Tell what *document* means for the agent.

    Sources: the agent's own source code for what it sends with ``role_arn``; for the rest the
    guides that the trusts name.

    Args:
        document: A neutral document, desired or observed.

    Returns:
        The findings, the worst first; documents that mean the same have the same.
    """
    if isinstance(document.statements, str):
        return ()
    found = {each for statement in document.statements for each in _findings(statement)}
    found.update(_missing_actions(document.statements))
    return tuple(sorted(found, key=lambda finding: finding.rank))


def _findings(statement: Statement) -> Iterator[Finding]:
    conditions = conditions_of(statement)
    for kind, principal in statement.principals:
        if kind == "AWS" and _UNIQUE_ID.fullmatch(principal):
            sentence = "This role or user was deleted; one made again under its name is not it."
            yield Finding("dead", principal, sentence)
    if statement.effect == "Allow":
        yield from _unmet(statement, conditions)
        yield from _needs(statement, conditions)
        yield from _open(statement, conditions)
    else:
        yield from _denied(statement, conditions)


def _denied(statement: Statement, conditions: tuple[Condition, ...]) -> Iterator[Finding]:
    """Find the conditions by which *statement* denies the role to whoever is like the agent."""
    if _allowed(attrs.evolve(statement, effect="Allow"), "sts:AssumeRole") and all(
        (each.met_without_key and each.key == _EXTERNAL_ID) or _is_without_mfa(each)
        for each in conditions
    ):
        for each in conditions:
            reason = _EXTERNAL_ID if each.key == _EXTERNAL_ID else "mfa"
            yield Finding("never", each.key, _NEVER_SENT[reason])


def _unmet(statement: Statement, conditions: tuple[Condition, ...]) -> Iterator[Finding]:
    """Find the conditions that nobody whom *statement* lets in can meet for the agent."""
    principals = statement.principals
    no_id = all(kind in {"AWS", "Service"} for kind, _ in principals)
    no_tags = all(kind == "AWS" or name in _UNTAGGED for kind, name in principals)
    no_name = all(kind == "AWS" for kind, _ in principals)
    for each in conditions:
        if each.key == _EXTERNAL_ID and no_id and not each.met_without_key:
            yield Finding("never", each.key, _NEVER_SENT[_EXTERNAL_ID])
        elif each.key in _MFA and _asks_for_mfa(each):
            yield Finding("never", each.key, _NEVER_SENT["mfa"])
        elif each.key.startswith(_SESSION_TAGS) and no_tags and not each.met_without_key:
            yield Finding("never", each.key, _NEVER_SENT["tags"])
        elif each.key == _SESSION_NAME and no_name and _asks_for_a_name(each):
            yield Finding("never", each.key, _NEVER_SENT["name"])


def _asks_for_mfa(condition: Condition) -> bool:
    """Tell whether it fails both without the key and where the key says that there was none."""
    if condition.met_without_key:
        return False
    return condition.key != _MFA[0] or condition.values == ("true",)


def _is_without_mfa(condition: Condition) -> bool:
    """Tell whether it is met both without the key and where the key says that there was none."""
    if condition.key == _MFA[0]:
        return condition.operator == "boolifexists" and condition.values == ("false",)
    return condition.key == _MFA[1] and condition.met_without_key


def _asks_for_a_name(condition: Condition) -> bool:
    return (
        condition.operator.startswith(("stringequals", "stringlike"))
        and "*" not in condition.values
    )


def _needs(statement: Statement, conditions: tuple[Condition, ...]) -> Iterator[Finding]:
    keys = {each.key for each in conditions}
    for kind, principal in statement.principals:
        match kind, principal:
            case "AWS", _:
                yield Finding("needs", principal, _NEEDS["role_arn"])
                for key in sorted(keys.intersection(_SOURCES)):
                    yield Finding("needs", key, _NEEDS["sources"])
            case "Federated", _ if ":oidc-provider/" in principal:
                yield Finding("needs", principal, _NEEDS["provider"])
            case "Service", "rolesanywhere":
                yield Finding("needs", principal, _NEEDS["anchor"])
            case "Service", "ssm":
                yield Finding("needs", principal, _NEEDS["activation"])
            case "Service", "pods.eks":
                yield Finding("needs", principal, _NEEDS["association"])
                for key in sorted(key for key in keys if key.startswith(_SESSION_TAGS)):
                    yield Finding("needs", key, _NEEDS["tags"])
            case _:
                pass


def _open(statement: Statement, conditions: tuple[Condition, ...]) -> Iterator[Finding]:
    keys = {each.key for each in conditions}
    for kind, principal in statement.principals:
        if kind == "Service" and principal in _GUARDED and keys.isdisjoint(_SOURCES):
            sentence = (
                "Nothing guards against a confused deputy: give the account or the source ARN "
                "for which the service may use this role."
            )
            yield Finding("open", principal, sentence)
        if kind == "Federated" and ":oidc-provider/" in principal and not _one_subject(conditions):
            sentence = "Everybody for whom this provider vouches may assume this role."
            yield Finding("open", principal, sentence)
        if (kind, principal) == ("AWS", "*") and not conditions:
            sentence = "Everybody in every account may assume this role."
            yield Finding("open", "*", sentence)


def _one_subject(conditions: tuple[Condition, ...]) -> bool:
    """Tell whether the subject of a token is compared with more than wildcards."""
    return any(
        each.key.endswith(":sub")
        and not each.met_without_key
        and not any(_ANY_SUBJECT.fullmatch(value) for value in each.values)
        for each in conditions
    )


def _missing_actions(statements: frozenset[Statement]) -> Iterator[Finding]:
    """Find principals that lack the one action by which they work."""
    allowing = [each for each in statements if each.effect == "Allow"]
    for kind, principal in {each for statement in allowing for each in statement.principals}:
        needed = _needed_action(kind, principal)
        mine = [each for each in allowing if (kind, principal) in each.principals]
        if needed and not any(_allowed(each, needed) for each in mine):
            sentence = f"It works by {needed} alone, which is not allowed to it."
            yield Finding("never", principal, sentence)
        if kind == "Federated" and ":saml-provider/" in principal:
            sentence = "The agent cannot sign in by SAML."
            yield Finding("never", principal, sentence)


def _needed_action(kind: str, principal: str) -> str | None:
    if kind == "Federated" and ":oidc-provider/" in principal:
        return "sts:AssumeRoleWithWebIdentity"
    return "sts:TagSession" if (kind, principal) == ("Service", "pods.eks") else None


def _allowed(statement: Statement, action: str) -> bool:
    needed = attrs.evolve(statement, actions=frozenset({action.lower()}))
    return statement.allows(needed) or any(name == "NotAction" for name, _ in statement.rest)
