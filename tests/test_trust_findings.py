"""What a trust means for the agent, found in documents of any origin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import Document, Finding
from cwagent_iam.trust import (
    EC2,
    IRSA,
    SERVICES,
    CrossAccount,
    ECSTask,
    PodIdentity,
    RolesAnywhere,
    SSMHybrid,
    Trust,
    trust_findings,
)
from cwagent_iam.trust.conditions import conditions_of
from tests.trusts import ACCOUNT, SOURCE

ROLE = f"arn:aws:iam::{SOURCE}:role/Agent"
ISSUER = "issuer.example.com"
PROVIDER = f"arn:PARTITION:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/Own"
ANCHOR = f"arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:trust-anchor/01234567-89ab"
UNIQUE_ID = "AROAEXAMPLEEXAMPLE234"
BY_ROLE = {"AWS": ROLE}
BY_TOKEN = {"Federated": PROVIDER}
ASSUME = "sts:AssumeRole"
WEB = "sts:AssumeRoleWithWebIdentity"


def trusting(
    principal: Any,
    *actions: str,
    condition: dict[str, Any] | None = None,
    effect: str = "Allow",
) -> dict[str, Any]:
    """Write one statement."""
    return {
        "Effect": effect,
        "Principal": principal,
        "Action": list(actions) or ASSUME,
        "Condition": condition or {},
    }


def found(*statements: dict[str, Any]) -> list[tuple[str, str]]:
    """Return kind and subject of all findings about a document."""
    document = Document.parse({"Version": "2012-10-17", "Statement": list(statements)})
    return [(finding.kind, finding.about) for finding in trust_findings(document)]


def never(*statements: dict[str, Any]) -> list[str]:
    """Return what can never be satisfied."""
    return [about for kind, about in found(*statements) if kind == "never"]


OWN: dict[str, tuple[Trust, list[tuple[str, str]]]] = {
    "EC2": (EC2(), []),
    "ECS": (ECSTask(), [("open", "ecs-tasks")]),
    "ECS, guarded": (ECSTask(ACCOUNT), []),
    "SSM": (SSMHybrid(ACCOUNT), [("needs", "ssm")]),
    "IRSA": (IRSA(ISSUER, account_id=ACCOUNT), [("needs", PROVIDER)]),
    "IRSA, a namespace's": (
        IRSA(ISSUER, service_account="*", account_id=ACCOUNT),
        [("needs", PROVIDER)],
    ),
    "IRSA, one service account in all namespaces": (
        IRSA(ISSUER, "*", "agent", account_id=ACCOUNT),
        [("needs", PROVIDER)],
    ),
    "IRSA, some namespaces": (
        IRSA(ISSUER, "*-obs", "*", account_id=ACCOUNT),
        [("needs", PROVIDER)],
    ),
    "IRSA, a cluster's": (
        IRSA(ISSUER, "*", "*", account_id=ACCOUNT),
        [("needs", PROVIDER), ("open", PROVIDER)],
    ),
    "pods": (PodIdentity(), [("needs", "pods.eks")]),
    "pods, a namespace's": (
        PodIdentity(namespace="a"),
        [("needs", "aws:requesttag/kubernetes-namespace"), ("needs", "pods.eks")],
    ),
    "certificates": (RolesAnywhere(ANCHOR), [("needs", "rolesanywhere")]),
    "a role": (CrossAccount([ROLE]), [("needs", ROLE)]),
    "a role that names its source": (
        CrossAccount([ROLE], source_account=SOURCE, source_arn=ROLE),
        [("needs", ROLE), ("needs", "aws:sourceaccount"), ("needs", "aws:sourcearn")],
    ),
}


@pytest.mark.parametrize(("trust", "expected"), OWN.values(), ids=OWN)
def test_each_place_has_its_needs(trust: Trust, expected: list[tuple[str, str]]) -> None:
    """What lies outside IAM, or outside this role, is said with the plan."""
    findings = trust_findings(trust.document())
    assert [(finding.kind, finding.about) for finding in findings] == expected
    assert all(finding.sentence.endswith(".") for finding in findings)


ID = "sts:ExternalId"
AGE = "aws:MultiFactorAuthAge"
MFA = "aws:MultiFactorAuthPresent"
TAG = "aws:RequestTag/Team"
NAME = "sts:RoleSessionName"

NEVER: dict[str, tuple[Any, dict[str, Any]]] = {
    "an external id": (BY_ROLE, {"StringEquals": {ID: "x"}}),
    "a pattern of external ids": (BY_ROLE, {"StringLike": {"STS:externalid": "*"}}),
    "any external id": (BY_ROLE, {"Null": {ID: "false"}}),
    "one of several": (BY_ROLE, {"ForAnyValue:StringEquals": {ID: ["x"]}}),
    "one other than": (BY_ROLE, {"ForAnyValue:StringNotEquals": {ID: ["x"]}}),
    "of everybody": ("*", {"StringEquals": {ID: "x"}}),
    "of a service": ({"Service": "ssm"}, {"StringEquals": {ID: "x"}}),
    "of a token": (BY_TOKEN, {"StringEquals": {ID: "x"}}),
    "a claim of another issuer": (BY_TOKEN, {"StringEquals": {"other.example.com:sub": "x"}}),
    "a claim below the issuer": (BY_TOKEN, {"StringLike": {f"{ISSUER}/id:aud": "x"}}),
    "an MFA device": (BY_ROLE, {"Bool": {MFA: "true"}}),
    "an MFA device, by name": (BY_ROLE, {"Bool": {MFA: "True"}}),
    "an MFA device of a token": (BY_TOKEN, {"Bool": {MFA: True}}),
    "a recent code": (BY_ROLE, {"NumericLessThan": {AGE: "3600"}}),
    "a tag": (BY_ROLE, {"StringEquals": {TAG: "x"}}),
    "keys of tags": (BY_ROLE, {"ForAnyValue:StringEquals": {"aws:TagKeys": ["Team"]}}),
    "tags that stay": (BY_ROLE, {"ForAnyValue:StringLike": {"sts:TransitiveTagKeys": "*"}}),
    "a tag from ECS": ({"Service": "ecs-tasks"}, {"StringLike": {TAG: "*"}}),
    "a name": (BY_ROLE, {"StringEquals": {NAME: "agent"}}),
    "a user's name": (BY_ROLE, {"StringLike": {NAME: "${aws:username}"}}),
}


@pytest.mark.parametrize(("principal", "condition"), NEVER.values(), ids=NEVER)
def test_what_the_agent_never_sends_can_not_be_asked_of_it(
    principal: Any, condition: dict[str, Any]
) -> None:
    """With role_arn the agent sends no external id, no tags, no name, and knows no MFA."""
    ((keys,),) = (condition.values(),)
    action = WEB if principal is BY_TOKEN else ASSUME
    assert never(trusting(principal, action, condition=condition)) == [key.lower() for key in keys]


SATISFIED: dict[str, tuple[Any, dict[str, Any]]] = {
    "no other external id": (BY_ROLE, {"StringNotEquals": {ID: "x"}}),
    "an external id if there is one": (BY_ROLE, {"StringEqualsIfExists": {ID: "x"}}),
    "one of several if there is one": (BY_ROLE, {"ForAnyValue:StringEqualsIfExists": {ID: "x"}}),
    "no external id": (BY_ROLE, {"Null": {ID: "true"}}),
    "MFA for users": (BY_ROLE, {"BoolIfExists": {MFA: "true"}}),
    "no MFA": (BY_ROLE, {"Bool": {MFA: "false"}}),
    "something of MFA": (BY_ROLE, {"Null": {MFA: "false"}}),
    "no old code": (BY_ROLE, {"NumericLessThanIfExists": {AGE: "3600"}}),
    "no tags but": (BY_ROLE, {"ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}),
    "a tag of EKS": ({"Service": "pods.eks"}, {"StringEquals": {TAG: "x"}}),
    "a tag of one of them": (BY_ROLE | {"Service": "pods.eks"}, {"StringEquals": {TAG: "x"}}),
    "a tag of a pod that assumes it": (
        BY_ROLE,
        {"StringEquals": {"aws:RequestTag/eks-cluster-arn": "x"}},
    ),
    "another tag of a pod that assumes it": (
        BY_ROLE,
        {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "x"}},
    ),
    "any name": (BY_ROLE, {"StringLike": {NAME: "*"}}),
    "another name": (BY_ROLE, {"StringNotEquals": {NAME: "root"}}),
    "a name of a service": ({"Service": "ec2"}, {"StringEquals": {NAME: "x"}}),
    "any name that is one": (BY_ROLE, {"StringLike": {NAME: "?*"}}),
    "another key": (BY_ROLE, {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
    "another key of a token": (BY_TOKEN, {"StringEquals": {"aws:SourceIp": "10.0.0.1"}}),
    "a claim of the issuer": (BY_TOKEN, {"StringEquals": {f"{ISSUER.upper()}:amr": "x"}}),
    "a claim of one of the issuers": (
        {"Federated": [PROVIDER, f"{PROVIDER}/two"]},
        {"StringEquals": {f"{ISSUER}/two:sub": "x"}},
    ),
    "a claim if there is one": (BY_TOKEN, {"StringEqualsIfExists": {"other.example.com:sub": "x"}}),
}


@pytest.mark.parametrize(("principal", "condition"), SATISFIED.values(), ids=SATISFIED)
def test_what_may_be_satisfied_is_not_complained_of(
    principal: Any, condition: dict[str, Any]
) -> None:
    """Only what is certain to fail is called so."""
    actions = (ASSUME, "sts:TagSession", WEB)
    assert never(trusting(principal, *actions, condition=condition)) == []


DENIED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "without the external id": ({"StringNotEquals": {ID: "x"}}, [ID]),
    "without any external id": ({"Null": {ID: "true"}}, [ID]),
    "without MFA": ({"BoolIfExists": {MFA: "false"}}, [MFA]),
    "without a recent code": ({"NumericGreaterThanIfExists": {AGE: "60"}}, [AGE]),
    "without both": ({"Null": {ID: "true", AGE: "true"}}, [AGE, ID]),
    "with an external id": ({"StringEquals": {ID: "x"}}, []),
    "with an old code": ({"NumericGreaterThan": {AGE: "60"}}, []),
    "with MFA": ({"BoolIfExists": {MFA: "true"}}, []),
    "sometimes without MFA": ({"Bool": {MFA: "false"}}, []),
    "elsewhere without the external id": (
        {"StringNotEquals": {ID: "x", "aws:PrincipalOrgID": "o-1"}},
        [],
    ),
    "always": ({}, [ROLE]),
}


@pytest.mark.parametrize(("condition", "expected"), DENIED.values(), ids=DENIED)
def test_a_denial_of_what_the_agent_lacks_denies_the_agent(
    condition: dict[str, Any], expected: list[str]
) -> None:
    """If all of its conditions are certain to be met, and it is about whoever is let in."""
    lowered = [key if key == ROLE else key.lower() for key in expected]
    for principal in ("*", BY_ROLE, {"AWS": SOURCE}):
        denial = trusting(principal, condition=condition, effect="Deny")
        assert never(trusting(BY_ROLE), denial) == lowered
    elsewhere = trusting("*", "sts:TagSession", condition=condition, effect="Deny")
    assert never(trusting(BY_ROLE), elsewhere) == []
    for principal in ({"AWS": ACCOUNT}, {"AWS": f"{ROLE}2"}, {"Service": "ec2"}):
        others = trusting(principal, condition=condition, effect="Deny")
        assert never(trusting(BY_ROLE), others) == []


GUARD = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
OUT: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "a service": (
        [trusting({"Service": "ec2"}), trusting({"Service": "ec2"}, effect="Deny")],
        ["ec2"],
    ),
    "everybody": ([trusting({"Service": "ec2"}), trusting("*", effect="Deny")], ["ec2"]),
    "one of two": (
        [trusting({"Service": ["ec2", "ssm"]}), trusting({"Service": "ssm"}, effect="Deny")],
        ["ssm"],
    ),
    "under the same condition": (
        [
            trusting({"Service": "ssm"}, condition=GUARD),
            trusting({"Service": "ssm"}, condition=GUARD, effect="Deny"),
        ],
        ["ssm"],
    ),
    "under a looser condition": (
        [
            trusting({"Service": "ssm"}, condition=GUARD),
            trusting(
                {"Service": "ssm"},
                condition={"StringLike": {"aws:SourceAccount": "*"}},
                effect="Deny",
            ),
        ],
        ["ssm"],
    ),
    "under another condition": (
        [
            trusting({"Service": "ssm"}),
            trusting({"Service": "ssm"}, condition=GUARD, effect="Deny"),
        ],
        [],
    ),
    "by a wildcard": (
        [trusting({"Service": "ec2"}), trusting({"Service": "ec2"}, "sts:*", effect="Deny")],
        ["ec2"],
    ),
    "from what it does not take": (
        [
            trusting({"Service": "ec2"}, ASSUME, "sts:TagSession"),
            trusting({"Service": "ec2"}, "sts:TagSession", effect="Deny"),
        ],
        [],
    ),
    "from the tags that pods take": (
        [
            trusting({"Service": "pods.eks"}, ASSUME, "sts:TagSession"),
            trusting({"Service": "pods.eks"}, "sts:TagSession", effect="Deny"),
        ],
        ["pods.eks"],
    ),
    "from one of two accounts": (
        [
            trusting({"Service": "ssm"}, condition=GUARD),
            trusting({"Service": "ssm"}, condition={"StringEquals": {"aws:SourceAccount": SOURCE}}),
            trusting({"Service": "ssm"}, condition=GUARD, effect="Deny"),
        ],
        [],
    ),
    "from both accounts": (
        [
            trusting({"Service": "ssm"}, condition=GUARD),
            trusting({"Service": "ssm"}, condition={"StringEquals": {"aws:SourceAccount": SOURCE}}),
            trusting({"Service": "ssm"}, effect="Deny"),
        ],
        ["ssm"],
    ),
    "a part of an account": ([trusting({"AWS": SOURCE}), trusting(BY_ROLE, effect="Deny")], []),
    "all but one": (
        [
            trusting({"Service": "ec2"}),
            {"Effect": "Deny", "NotPrincipal": {"Service": "ec2"}, "Action": ASSUME},
        ],
        [],
    ),
    "a stranger": (
        [
            trusting({"Service": "lambda.amazonaws.com"}),
            trusting({"Service": "lambda.amazonaws.com"}, effect="Deny"),
        ],
        [],
    ),
}


@pytest.mark.parametrize(("statements", "expected"), OUT.values(), ids=OUT)
def test_who_is_let_in_and_denied_stays_out(
    statements: list[dict[str, Any]], expected: list[str]
) -> None:
    """Where the denial is certain, and about all of whom the other statement lets in."""
    assert never(*statements) == expected


@pytest.mark.parametrize(
    "operator", ["StringEqualsIfExists", "ForAllValues:StringEquals", "StringNotEquals"]
)
def test_what_need_not_be_sent_is_not_needed(operator: str) -> None:
    """Where a condition is met without its key, the agent need not send it."""
    by_role = trusting(BY_ROLE, condition={operator: {"aws:SourceAccount": SOURCE}})
    assert found(by_role) == [("needs", ROLE)]
    pods = trusting(
        {"Service": "pods.eks"}, ASSUME, "sts:TagSession", condition={operator: {TAG: "x"}}
    )
    assert found(pods) == [("needs", "pods.eks")]


def test_a_denial_of_what_the_agent_lacks_may_have_the_conditions_of_who_is_let_in() -> None:
    """What is met anyway does not spare it."""
    let_in = trusting(BY_ROLE, condition=GUARD)
    denial = trusting("*", condition=GUARD | {"StringNotEquals": {ID: "x"}}, effect="Deny")
    assert never(let_in, denial) == [ID.lower()]


def test_what_is_never_met_is_said_of_the_statement_only() -> None:
    """Another statement may let the agent in, so the role itself is not called useless."""
    vendor = trusting({"AWS": ACCOUNT}, condition={"StringEquals": {ID: "x"}})
    document = Document.parse({"Statement": [trusting({"Service": "ec2"}), vendor]})
    (finding,) = (each for each in trust_findings(document) if each.kind == "never")
    assert finding.sentence.endswith("So this statement never lets it in.")


LACKING: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "pods without tags": ([trusting({"Service": "pods.eks"})], ["pods.eks"]),
    "pods with tags apart": (
        [trusting({"Service": "pods.eks"}), trusting({"Service": "pods.eks"}, "sts:TagSession")],
        [],
    ),
    "pods with everything": ([trusting({"Service": "pods.eks"}, "sts:*")], []),
    "pods with nothing but tags": (
        [trusting({"Service": "pods.eks"}, "sts:TagSession")],
        ["pods.eks"],
    ),
    "EC2 with something else": ([trusting({"Service": "ec2"}, "sts:TagSession")], ["ec2"]),
    "certificates without the rest": (
        [trusting({"Service": "rolesanywhere"}, condition=GUARD)],
        ["rolesanywhere"],
    ),
    "a role with something else": ([trusting(BY_ROLE, "sts:TagSession")], []),
    "a token as a role": ([trusting(BY_TOKEN)], [PROVIDER]),
    "a token": ([trusting(BY_TOKEN, WEB)], []),
    "SAML": ([trusting({"Federated": SAML}, "sts:AssumeRoleWithSAML")], [SAML]),
    "another provider": ([trusting({"Federated": "accounts.google.com"})], []),
    "a service of others": ([trusting({"Service": "lambda.amazonaws.com"})], []),
    "all but": (
        [{"Effect": "Allow", "Principal": BY_TOKEN, "NotAction": "sts:TagSession"}],
        [],
    ),
    "a denied token": ([trusting(BY_TOKEN, effect="Deny")], []),
}


@pytest.mark.parametrize(("statements", "expected"), LACKING.values(), ids=LACKING)
def test_each_principal_takes_its_actions(
    statements: list[dict[str, Any]], expected: list[str]
) -> None:
    """Pods need their session tags, tokens their own action; SAML is not for the agent at all."""
    assert never(*statements) == expected


def test_what_is_not_allowed_is_named() -> None:
    """With all that it takes, as the guide of the service lists it."""
    document = Document.parse({"Statement": trusting({"Service": "rolesanywhere"})})
    sentence = trust_findings(document)[0].sentence
    assert sentence == (
        "It takes sts:AssumeRole, sts:SetSourceIdentity, sts:TagSession; "
        "not allowed to it: sts:SetSourceIdentity, sts:TagSession."
    )


OPEN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "SSM of anybody": (trusting({"Service": "ssm"}), ["ssm"]),
    "SSM of an account": (
        trusting({"Service": "ssm"}, condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        [],
    ),
    "SSM of a source": (
        trusting({"Service": "ssm"}, condition={"ArnLike": {"AWS:SourceArn": "arn:aws:ssm:*"}}),
        [],
    ),
    "SSM of an organisation": (
        trusting({"Service": "ssm"}, condition={"StringEquals": {"aws:SourceOrgID": "o-1"}}),
        [],
    ),
    "SSM of any source": (
        trusting({"Service": "ssm"}, condition={"ArnLike": {"AWS:SourceArn": "arn:*"}}),
        ["ssm"],
    ),
    "SSM of any source of SSM": (
        trusting({"Service": "ssm"}, condition={"ArnLike": {"AWS:SourceArn": "arn:aws:ssm:*:*:*"}}),
        ["ssm"],
    ),
    "SSM of the sources of an account": (
        trusting(
            {"Service": "ssm"},
            condition={"ArnLike": {"AWS:SourceArn": f"arn:aws:ssm:*:{ACCOUNT}:*"}},
        ),
        [],
    ),
    "SSM of any account": (
        trusting({"Service": "ssm"}, condition={"StringLike": {"aws:SourceAccount": ["1", "*"]}}),
        ["ssm"],
    ),
    "SSM of some account": (
        trusting({"Service": "ssm"}, condition={"Null": {"aws:SourceAccount": "false"}}),
        ["ssm"],
    ),
    "SSM of all accounts but one": (
        trusting({"Service": "ssm"}, condition={"StringNotEquals": {"aws:SourceAccount": "1"}}),
        ["ssm"],
    ),
    "any trust anchor": (trusting({"Service": "rolesanywhere"}), ["rolesanywhere"]),
    "EC2": (trusting({"Service": "ec2"}), []),
    "any token": (trusting(BY_TOKEN, WEB), [PROVIDER]),
    "any token for us": (
        trusting(BY_TOKEN, WEB, condition={"StringEquals": {f"{ISSUER}:aud": "x"}}),
        [PROVIDER],
    ),
    "any subject": (
        trusting(BY_TOKEN, WEB, condition={"StringLike": {f"{ISSUER}:sub": ["a", "*"]}}),
        [PROVIDER],
    ),
    "any but one": (
        trusting(BY_TOKEN, WEB, condition={"StringNotEquals": {f"{ISSUER}:sub": "a"}}),
        [PROVIDER],
    ),
    "any pod": (
        trusting(
            BY_TOKEN, WEB, condition={"StringLike": {f"{ISSUER}:sub": "system:serviceaccount:*"}}
        ),
        [PROVIDER],
    ),
    "any subject of the cluster": (
        trusting(BY_TOKEN, WEB, condition={"StringLike": {f"{ISSUER}:sub": "system:*"}}),
        [PROVIDER],
    ),
    "some subject": (
        trusting(BY_TOKEN, WEB, condition={"Null": {f"{ISSUER}:sub": "false"}}),
        [PROVIDER],
    ),
    "a subject of another issuer": (
        trusting(BY_TOKEN, WEB, condition={"StringEquals": {"other.example.com:sub": "a"}}),
        [PROVIDER],
    ),
    "any pod that has a name": (
        trusting(
            BY_TOKEN,
            WEB,
            condition={"StringLike": {f"{ISSUER}:sub": "system:serviceaccount:?*:*?"}},
        ),
        [PROVIDER],
    ),
    "the pods of a namespace": (
        trusting(
            BY_TOKEN, WEB, condition={"StringLike": {f"{ISSUER}:sub": "system:serviceaccount:a:*"}}
        ),
        [],
    ),
    "a subject that is an asterisk": (
        trusting(BY_TOKEN, WEB, condition={"StringEquals": {f"{ISSUER}:sub": "*"}}),
        [],
    ),
    "one subject": (
        trusting(BY_TOKEN, WEB, condition={"StringEquals": {f"{ISSUER}:sub": "a"}}),
        [],
    ),
    "everybody": (trusting("*"), ["*"]),
    "everybody by TLS": (trusting("*", condition={"Bool": {"aws:SecureTransport": "true"}}), ["*"]),
    "everybody by any ARN": (
        trusting("*", condition={"StringLike": {"aws:PrincipalArn": "*"}}),
        ["*"],
    ),
    "everybody who has an ARN": (
        trusting("*", condition={"Null": {"aws:PrincipalArn": "false"}}),
        ["*"],
    ),
    "everybody in the organisation": (
        trusting("*", condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        [],
    ),
    "denied to everybody": (trusting("*", effect="Deny"), []),
}


@pytest.mark.parametrize(("statement", "expected"), OPEN.values(), ids=OPEN)
def test_a_door_left_open_is_pointed_out(statement: dict[str, Any], expected: list[str]) -> None:
    """Who may assume the role, beyond the agent, is said of the trusts of others too."""
    assert [about for kind, about in found(statement) if kind == "open"] == expected


SSM = {"Service": "ssm"}
OTHERS = {"StringNotEquals": {"aws:SourceAccount": ACCOUNT}}
SUBJECTS = {"StringNotLike": {f"{ISSUER}:sub": "system:serviceaccount:a:*"}}
DOORS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "another account": (trusting(SSM), trusting(SSM, condition=OTHERS), False),
    "another account, for everybody": (trusting(SSM), trusting("*", condition=OTHERS), False),
    "another subject": (trusting(BY_TOKEN, WEB), trusting("*", WEB, condition=SUBJECTS), False),
    "another account, of others": (
        trusting(SSM),
        trusting({"Service": "ec2"}, condition=OTHERS),
        True,
    ),
    "another account, for tags": (
        trusting(SSM),
        trusting(SSM, "sts:TagSession", condition=OTHERS),
        True,
    ),
    "another account in another organisation": (
        trusting(SSM),
        trusting(SSM, condition={"StringNotEquals": {"aws:SourceAccount": ACCOUNT, "aws:a": "b"}}),
        True,
    ),
    "one account": (trusting(SSM), trusting(SSM, condition=GUARD), True),
    "all accounts but by a pattern for all": (
        trusting(SSM),
        trusting(SSM, condition={"StringNotLike": {"aws:SourceAccount": "*"}}),
        True,
    ),
    "some other account of several": (
        trusting(SSM),
        trusting(SSM, condition={"ForAnyValue:StringNotEquals": {"aws:SourceAccount": ACCOUNT}}),
        True,
    ),
}


@pytest.mark.parametrize(("letting_in", "denial", "expected"), DOORS.values(), ids=DOORS)
def test_a_denial_of_all_others_closes_a_door(
    letting_in: dict[str, Any],
    denial: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Whoever is not denied meets what the denial is the contrary of."""
    kinds = [kind for kind, _ in found(letting_in, denial | {"Effect": "Deny"})]
    assert ("open" in kinds) is expected


@pytest.mark.parametrize("unique_id", [UNIQUE_ID, UNIQUE_ID.replace("AROA", "AIDA")])
def test_what_was_deleted_shows_as_a_bare_id(unique_id: str) -> None:
    """IAM puts it there; to deny it is as dead as to allow it."""
    for effect in ("Allow", "Deny"):
        assert ("dead", unique_id) in found(trusting({"AWS": [unique_id, ROLE]}, effect=effect))
    but = {"Effect": "Deny", "NotPrincipal": {"AWS": unique_id}, "Action": ASSUME}
    assert ("dead", unique_id) in found(trusting({"Service": "ec2"}), but)
    assert "dead" not in dict(found(trusting({"Federated": unique_id})))


def test_the_worst_comes_first() -> None:
    """Each finding is on one line; equal documents have equal findings."""
    statement = trusting(
        {"AWS": [UNIQUE_ID], "Service": "ssm"}, condition={"StringEquals": {ID: "x"}}
    )
    assert found(statement, statement) == [
        ("never", ID.lower()),
        ("dead", UNIQUE_ID),
        ("needs", UNIQUE_ID),
        ("needs", "ssm"),
        ("open", "ssm"),
    ]
    assert str(Finding("needs", "a", "Do b.")) == "needs: a: Do b."


@pytest.mark.parametrize("text", ["", "null", '{"Statement": 1}'])
def test_no_document_has_no_findings(text: str) -> None:
    """What is no policy document lets nobody in."""
    assert trust_findings(Document.parse(text)) == ()


def test_conditions_are_read_in_one_order() -> None:
    """By operator, key and values, in lower case where case does not matter."""
    condition = {"StringLike": {"aws:B": ["d", "c"]}, "Bool": {"aws:A": True}}
    statements = Document.parse({"Statement": trusting("*", condition=condition)}).statements
    assert not isinstance(statements, str)
    (statement,) = statements
    assert [(each.operator, each.key, each.values) for each in conditions_of(statement)] == [
        ("bool", "aws:a", ("true",)),
        ("stringlike", "aws:b", ("c", "d")),
    ]


operators = st.sampled_from(["StringEquals", "Null", "Bool", "ForAllValues:StringLike", "Nonsense"])
keys = st.sampled_from([ID, AGE, MFA, TAG, NAME, "aws:SourceArn", f"{ISSUER}:sub"])
texts = st.lists(st.text(max_size=3), max_size=2)
conditions = st.dictionaries(operators, st.dictionaries(keys, texts, max_size=2), max_size=2)
principals = st.sampled_from(["*", BY_ROLE, BY_TOKEN, {"Service": list(SERVICES)}, {"AWS": []}])
effects = st.sampled_from(["Allow", "Deny"])
statements = st.builds(
    lambda principal, condition, effect: trusting(principal, condition=condition, effect=effect),
    principals,
    conditions,
    effects,
)


@given(st.lists(statements, max_size=3))
def test_findings_are_a_function_of_the_meaning(written: list[dict[str, Any]]) -> None:
    """The order of statements makes no difference, and any document has an answer."""
    document = Document.parse({"Statement": written})
    turned = Document.parse({"Statement": written[::-1]})
    findings = trust_findings(document)
    assert findings == trust_findings(turned)
    assert len(set(findings)) == len(findings)
