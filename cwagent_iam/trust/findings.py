"""What a trust means for the agent: what it can never satisfy, what else is needed, what is open.

A trust with findings is good grammar, and IAM takes it; often it is somebody else's, and serves
others too. So these are no errors: they go with the plan.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, TypeAlias

from cwagent_iam.documents.covering import any_covers, are_met, is_part_of
from cwagent_iam.findings import Finding
from cwagent_iam.trust.base import ASSUME_ROLE, TAG_SESSION
from cwagent_iam.trust.checks import UNIQUE_ID
from cwagent_iam.trust.conditions import Condition, conditions_of
from cwagent_iam.trust.places import PROVIDER_PREFIX, SET_SOURCE_IDENTITY, WEB_IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.documents import Document, Statement
    from cwagent_iam.documents.covering import PrincipalName

Conditions: TypeAlias = tuple[Condition, ...]

_EXTERNAL_ID = "sts:externalid"
_MFA = ("aws:multifactorauthpresent", "aws:multifactorauthage")
_SESSION_TAGS = ("aws:requesttag/", "aws:tagkeys", "sts:transitivetagkeys")
_TAGS_OF_PODS = ("aws:requesttag/eks-", "aws:requesttag/kubernetes-")
_SESSION_NAME = "sts:rolesessionname"
_SOURCES = ("aws:sourceaccount", "aws:sourcearn")
_GUARDS = (*_SOURCES, "aws:sourceorgid", "aws:sourceorgpaths")
_EVERYBODY_MAY = ("aws:securetransport",)
_COMMON_KEYS = ("aws:", "saml:", "sts:")
_GUARDED = ("ecs-tasks", "rolesanywhere", "ssm")
_ANY_SUBJECT = "system:serviceaccount:*:*"
_ANY_LENGTH = re.compile(r"[*?]*\*[*?]*")
_ACTIONS = {
    "ec2": (ASSUME_ROLE,),
    "ecs-tasks": (ASSUME_ROLE,),
    "pods.eks": (ASSUME_ROLE, TAG_SESSION),
    "rolesanywhere": (ASSUME_ROLE, SET_SOURCE_IDENTITY, TAG_SESSION),
    "ssm": (ASSUME_ROLE,),
}
"""What each service must be allowed to hand over a role; sources: the guides of the services."""

_UNTAGGED = frozenset(name for name, actions in _ACTIONS.items() if TAG_SESSION not in actions)

_NEVER_SENT = {
    _EXTERNAL_ID: (
        "Neither the agent nor what hands it a role sends an external id. Only EKS Pod Identity "
        "does, to the target role of an association."
    ),
    "tags": "The agent never tags the sessions of role_arn, and this service tags none either.",
    "mfa": "The agent has no MFA device.",
    "name": "The agent cannot choose the name of its session.",
    "claim": "The tokens of this provider have no such claim; those of another may have.",
}
_NOT_BY_THIS = "So this statement never lets it in."
_KEPT_OUT = "So this denial always keeps it out."
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
        "runs no credential_process: run aws_signing_helper beside it, either serve, or update "
        "with the agent's common-config.toml pointed at its file."
    ),
    "activation": (
        "A hybrid activation must name this role, and the SSM agent takes the policy "
        "AmazonSSMManagedInstanceCore on it. Point the agent's common-config.toml at the "
        "credentials file of the SSM agent."
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
    allowing = [each for each in document.statements if each.effect == "Allow"]
    denying = [each for each in document.statements if each.effect == "Deny"]
    found = {each for statement in document.statements for each in _dead(statement)}
    for statement in allowing:
        conditions = conditions_of(statement)
        found.update(_unmet(statement, conditions))
        found.update(_needs(statement, conditions))
        found.update(_open(statement, conditions, denying))
    found.update(_missing_actions(allowing))
    found.update(_kept_out(allowing, denying))
    return tuple(sorted(found, key=lambda finding: finding.rank))


def _dead(statement: Statement) -> Iterator[Finding]:
    """Find who was deleted; to deny such a one is as dead as to allow it."""
    for kind, principal in statement.named:
        if kind == "AWS" and UNIQUE_ID.fullmatch(principal):
            sentence = "This role or user was deleted; one made again under its name is not it."
            yield Finding("dead", principal, sentence)


def _unmet(statement: Statement, conditions: Conditions) -> Iterator[Finding]:
    """Find the conditions that nobody whom *statement* lets in can meet for the agent."""
    for each in conditions:
        reason = _never_sent(each, statement.principals)
        if reason:
            yield Finding("never", each.key, f"{_NEVER_SENT[reason]} {_NOT_BY_THIS}")
    for kind, principal in statement.principals:
        if kind == "Federated" and ":saml-provider/" in principal:
            sentence = f"The agent cannot sign in by SAML. {_NOT_BY_THIS}"
            yield Finding("never", principal, sentence)


def _never_sent(condition: Condition, principals: frozenset[PrincipalName]) -> str:
    """Say which row of `_NEVER_SENT` tells why *condition* is never met; empty if it may be."""
    key = condition.key
    if condition.met_without_key:
        return ""
    if key == _EXTERNAL_ID:
        return _EXTERNAL_ID
    if key in _MFA and (key != _MFA[0] or condition.is_true):
        return "mfa"
    if key.startswith(_SESSION_TAGS) and not key.startswith(_TAGS_OF_PODS):
        untagged = all(kind == "AWS" or name in _UNTAGGED for kind, name in principals)
        return "tags" if untagged else ""
    if key == _SESSION_NAME:
        ours = all(kind == "AWS" for kind, _ in principals)
        return "name" if ours and condition.narrows else ""
    return "claim" if _is_claim_of_another(key, principals) else ""


def _is_claim_of_another(key: str, principals: frozenset[PrincipalName]) -> bool:
    """Tell whether *key* is a claim in tokens, and none of the *principals* gives such tokens."""
    issuers = [_issuer(each) for each in principals]
    issuer, claim = key.rpartition(":")[::2]
    return (
        all(issuers)
        and bool(issuer and claim)
        and not key.startswith(_COMMON_KEYS)
        and issuer not in issuers
    )


def _issuer(principal: PrincipalName) -> str:
    """Return the issuer of an OIDC provider in lower case, as in condition keys; or nothing."""
    kind, name = principal
    return name.partition(PROVIDER_PREFIX)[2].lower() if kind == "Federated" else ""


def _needs(statement: Statement, conditions: Conditions) -> Iterator[Finding]:
    keys = {each.key for each in conditions if not each.met_without_key}
    for kind, principal in statement.principals:
        match kind, principal:
            case "AWS", _:
                yield Finding("needs", principal, _NEEDS["role_arn"])
                for key in sorted(keys.intersection(_SOURCES)):
                    yield Finding("needs", key, _NEEDS["sources"])
            case "Federated", _ if _issuer((kind, principal)):
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


def _open(
    statement: Statement, conditions: Conditions, denying: list[Statement]
) -> Iterator[Finding]:
    for kind, principal in statement.principals:
        guards = (*conditions, *_asserted((kind, principal), denying))
        narrowed = [each for each in guards if each.narrows and each.key not in _EVERYBODY_MAY]
        keys = {each.key for each in narrowed}
        if kind == "Service" and principal in _GUARDED and keys.isdisjoint(_GUARDS):
            sentence = (
                "Nothing guards against a confused deputy: give the account or the source ARN "
                "for which the service may use this role."
            )
            yield Finding("open", principal, sentence)
        issuer = _issuer((kind, principal))
        if issuer and not any(_is_one_subject(each, issuer) for each in narrowed):
            sentence = "Everybody for whom this provider vouches may assume this role."
            yield Finding("open", principal, sentence)
        if (kind, principal) == ("AWS", "*") and not narrowed:
            sentence = "Everybody in every account may assume this role."
            yield Finding("open", "*", sentence)


def _asserted(principal: PrincipalName, denying: list[Statement]) -> Iterator[Condition]:
    """Yield what *principal* must meet so as not to be denied, as far as that is one condition."""
    for denial in denying:
        needed = any(_covers(denial, action) for action in _needed_actions(principal))
        asserted = [each.asserted for each in conditions_of(denial)]
        if needed and _names(denial, principal) and len(asserted) == 1 and asserted[0]:
            yield asserted[0]


def _is_one_subject(condition: Condition, issuer: str) -> bool:
    """Tell whether *condition* leaves some of the subjects for whom *issuer* vouches."""
    if condition.key != f"{issuer}:sub":
        return False
    return not (condition.patterns and any(map(_is_any_subject, condition.values)))


def _is_any_subject(pattern: str) -> bool:
    """Tell whether every service account of a cluster matches *pattern*."""
    return any_covers({_ANY_LENGTH.sub("*", pattern)}, _ANY_SUBJECT)


def _missing_actions(allowing: list[Statement]) -> Iterator[Finding]:
    """Find services and providers that lack an action without which they hand over no role."""
    for principal in {each for statement in allowing for each in statement.principals}:
        needed = _needed_actions(principal) if principal[0] != "AWS" else ()
        mine = [each for each in allowing if principal in each.principals]
        missing = [action for action in needed if not any(_covers(each, action) for each in mine)]
        if missing:
            sentence = f"It takes {', '.join(needed)}; not allowed to it: {', '.join(missing)}."
            yield Finding("never", principal[1], sentence)


def _needed_actions(principal: PrincipalName) -> tuple[str, ...]:
    """Return what a principal must be allowed to hand over a role; nothing if it does not."""
    match principal:
        case "AWS", _:
            return (ASSUME_ROLE,)
        case "Service", name:
            return _ACTIONS.get(name, ())
        case _:
            return (WEB_IDENTITY,) if _issuer(principal) else ()


def _covers(statement: Statement, action: str) -> bool:
    """Tell whether *statement* is about *action*; with ``NotAction`` it is taken to be."""
    named = any_covers(statement.actions, action.lower())
    return named or any(element == "NotAction" for element, _ in statement.rest)


def _kept_out(allowing: list[Statement], denying: list[Statement]) -> Iterator[Finding]:
    """Find who is let in and denied all the same, whichever statement lets it in."""
    for principal in {each for statement in allowing for each in statement.principals}:
        mine = [each for each in allowing if principal in each.principals]
        for action in _needed_actions(principal):
            denials = [
                each
                for each in denying
                if _names(each, principal) and any_covers(each.actions, action.lower())
            ]
            hits = [
                [finding for each in denials for finding in _denied(each, statement, principal)]
                for statement in mine
                if _covers(statement, action)
            ]
            if all(hits):
                yield from itertools.chain.from_iterable(hits)


def _names(denial: Statement, principal: PrincipalName) -> bool:
    return any(whole == ("AWS", "*") or is_part_of(principal, whole) for whole in denial.principals)


def _denied(denial: Statement, statement: Statement, principal: PrincipalName) -> Iterator[Finding]:
    """Say why *denial* always hits *principal*, if it does."""
    conditions = [
        each for each in conditions_of(denial) if not are_met({each.meaning}, statement.conditions)
    ]
    if not conditions:
        sentence = "A denial in the same trust takes away what is allowed to it."
        yield Finding("never", principal[1], sentence)
    elif all(map(_is_met_by_the_agent, conditions)):
        for each in conditions:
            reason = _EXTERNAL_ID if each.key == _EXTERNAL_ID else "mfa"
            yield Finding("never", each.key, f"{_NEVER_SENT[reason]} {_KEPT_OUT}")


def _is_met_by_the_agent(condition: Condition) -> bool:
    """Tell whether the agent always meets it, by what it does not send and does not have."""
    if condition.key == _MFA[0]:
        return condition.operator == "boolifexists" and condition.is_false
    return condition.key in {_EXTERNAL_ID, _MFA[1]} and condition.met_without_key
