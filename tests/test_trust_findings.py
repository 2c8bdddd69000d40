"""What a trust means for the agent, found in documents of any origin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    "an MFA device": (BY_ROLE, {"Bool": {MFA: "true"}}),
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
    "an external id from EKS": (
        {"Federated": PROVIDER},
        {"StringEquals": {ID: "x"}},
    ),
    "MFA for users": (BY_ROLE, {"BoolIfExists": {MFA: "true"}}),
    "no MFA": (BY_ROLE, {"Bool": {MFA: "false"}}),
    "something of MFA": (BY_ROLE, {"Null": {MFA: "false"}}),
    "no old code": (BY_ROLE, {"NumericLessThanIfExists": {AGE: "3600"}}),
    "no tags but": (BY_ROLE, {"ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}),
    "a tag of EKS": ({"Service": "pods.eks"}, {"StringEquals": {TAG: "x"}}),
    "a tag of one of them": (BY_ROLE | {"Service": "pods.eks"}, {"StringEquals": {TAG: "x"}}),
    "any name": (BY_ROLE, {"StringLike": {NAME: "*"}}),
    "another name": (BY_ROLE, {"StringNotEquals": {NAME: "root"}}),
    "a name of a service": ({"Service": "ec2"}, {"StringEquals": {NAME: "x"}}),
    "another key": (BY_ROLE, {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
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
    "always": ({}, []),
}


@pytest.mark.parametrize(("condition", "expected"), DENIED.values(), ids=DENIED)
def test_a_denial_of_what_the_agent_lacks_denies_the_agent(
    condition: dict[str, Any], expected: list[str]
) -> None:
    """If all of its conditions are certain to be met; a denial without any is the owner's will."""
    denial = trusting("*", condition=condition, effect="Deny")
    assert never(trusting(BY_ROLE), denial) == [key.lower() for key in expected]
    elsewhere = trusting("*", "sts:TagSession", condition=condition, effect="Deny")
    assert never(trusting(BY_ROLE), elsewhere) == []


LACKING: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "pods without tags": ([trusting({"Service": "pods.eks"})], ["pods.eks"]),
    "pods with tags apart": (
        [trusting({"Service": "pods.eks"}), trusting({"Service": "pods.eks"}, "sts:TagSession")],
        [],
    ),
    "pods with everything": ([trusting({"Service": "pods.eks"}, "sts:*")], []),
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
def test_some_principals_work_by_one_action_alone(
    statements: list[dict[str, Any]], expected: list[str]
) -> None:
    """Pods need their session tags, tokens their own action; SAML is not for the agent at all."""
    assert never(*statements) == expected


OPEN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "SSM of anybody": (trusting({"Service": "ssm"}), ["ssm"]),
    "SSM of an account": (
        trusting({"Service": "ssm"}, condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        [],
    ),
    "SSM of a source": (
        trusting({"Service": "ssm"}, condition={"ArnLike": {"AWS:SourceArn": "arn:*"}}),
        [],
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
    "one subject": (
        trusting(BY_TOKEN, WEB, condition={"StringEquals": {f"{ISSUER}:sub": "a"}}),
        [],
    ),
    "everybody": (trusting("*"), ["*"]),
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


@pytest.mark.parametrize("unique_id", [UNIQUE_ID, UNIQUE_ID.replace("AROA", "AIDA")])
def test_what_was_deleted_shows_as_a_bare_id(unique_id: str) -> None:
    """IAM puts it there; to deny it is as dead as to allow it."""
    for effect in ("Allow", "Deny"):
        assert ("dead", unique_id) in found(trusting({"AWS": [unique_id, ROLE]}, effect=effect))
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
conditions = st.dictionaries(operators, st.dictionaries(keys, st.lists(st.text(max_size=3))))
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
