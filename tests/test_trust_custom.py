"""Trusts that callers wrote: how they are read, and what IAM would refuse of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import Document, IntentError, plan_agent_role
from cwagent_iam.trust import EC2, EC2_TRUST, CustomTrust, ECSTask, SSMHybrid, Trust
from tests.trusts import ACCOUNT

GOOD = {
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
UNIQUE_ID = "AROAEXAMPLEEXAMPLE234"


def custom(*statements: object, **elements: Any) -> CustomTrust:
    """Trust as these statements say."""
    return CustomTrust({"Version": "2012-10-17", "Statement": list(statements)} | elements)


def without(element: str, **others: Any) -> dict[str, Any]:
    """Write a good statement that lacks one element."""
    return {key: value for key, value in (GOOD | others).items() if key != element}


WAYS: dict[str, Any] = {
    "a mapping": {"Version": "2012-10-17", "Statement": [GOOD]},
    "JSON": json.dumps({"Version": "2012-10-17", "Statement": GOOD}),
    "a document": EC2_TRUST,
    "short": EC2_TRUST.text,
    "as in China": EC2_TRUST.text.replace('"ec2"', '"ec2.amazonaws.com.cn"'),
    "with a label": {"Version": "2012-10-17", "Statement": [GOOD | {"Sid": "A"}]},
}


@pytest.mark.parametrize("document", WAYS.values(), ids=WAYS)
def test_a_document_may_be_given_in_several_ways(document: Any) -> None:
    """They are one value, and mean what `EC2` means."""
    trust = CustomTrust(document)
    assert trust == CustomTrust(document=EC2_TRUST)
    assert hash(trust) == hash(CustomTrust(EC2_TRUST))
    assert list(trust.problems()) == []
    assert trust.document() == EC2_TRUST
    assert trust.for_ec2
    assert trust.statements() == tuple(listed(json.loads(trust.document().text)["Statement"]))


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as the only member of one."""
    return value if isinstance(value, list) else [value]


def test_version_and_labels_are_kept() -> None:
    """The text that is sent is the caller's, with services and ARNs left open."""
    trust = custom(GOOD | {"Sid": "Own"}, Version="2008-10-17", Id="agents")
    assert json.loads(trust.document().text) == {
        "Version": "2008-10-17",
        "Id": "agents",
        "Statement": [GOOD | {"Sid": "Own", "Principal": {"Service": "ec2"}}],
    }


def test_several_trusts_can_be_joined() -> None:
    """Then any of them may assume the role."""
    trusts: list[Trust] = [EC2(), SSMHybrid(ACCOUNT), CustomTrust(json.dumps({"Statement": GOOD}))]
    together = CustomTrust.of(*trusts)
    assert list(together.problems()) == []
    assert all(together.document().allows(trust.document()) for trust in trusts)
    assert together == CustomTrust.of(*reversed(trusts))
    with pytest.raises(IntentError, match="account_id"):
        CustomTrust.of(EC2(), ECSTask("1"))


def test_joined_trusts_may_have_the_same_labels() -> None:
    """A label means nothing, and IAM refuses one that stands twice."""
    labelled = custom(GOOD | {"Sid": "Own"})
    assert CustomTrust.of(labelled, labelled).document() == labelled.document()


@pytest.mark.parametrize(("value", "joins"), [("${aws:username}", False), ("plain", True)])
def test_a_trust_in_the_older_version_is_joined_if_it_means_the_same(
    value: str,
    joins: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """There what looks like a variable is plain text, so that it would change its meaning."""
    older = custom(
        GOOD | {"Condition": {"StringEquals": {"aws:PrincipalTag/a": value}}}, Version="2008-10-17"
    )
    if joins:
        assert CustomTrust.of(EC2(), older).document().allows(older.document())
    else:
        with pytest.raises(IntentError, match="must have the version 2012-10-17 to be joined"):
            CustomTrust.of(EC2(), older)


NOT_OURS = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
FOR_EC2: dict[str, tuple[CustomTrust, bool]] = {
    "as the guide says": (custom(GOOD), True),
    "by its name in China": (
        custom(GOOD | {"Principal": {"Service": "ec2.amazonaws.com.cn"}}), True,
    ),
    "under a condition": (custom(GOOD | {"Condition": NOT_OURS}), True),
    "beside another service": (custom(GOOD | {"Principal": {"Service": ["ssm", "ec2"]}}), True),
    "in one of two statements": (
        custom(GOOD | {"Principal": {"Service": "ssm"}}, GOOD | {"Action": "sts:*"}), True,
    ),
    "denied sometimes": (custom(GOOD, GOOD | {"Effect": "Deny", "Condition": NOT_OURS}), True),
    "denied": (custom(GOOD, GOOD | {"Effect": "Deny"}), False),
    "denied to all": (custom(GOOD, GOOD | {"Effect": "Deny", "Principal": "*"}), False),
    "another service": (custom(GOOD | {"Principal": {"Service": "ssm"}}), False),
    "another action": (custom(GOOD | {"Action": "sts:TagSession"}), False),
    "an account": (custom(GOOD | {"Principal": {"AWS": ACCOUNT}}), False),
}  # fmt: skip


@pytest.mark.parametrize(("trust", "expected"), FOR_EC2.values(), ids=FOR_EC2)
def test_it_is_told_whether_ec2_may_assume_the_role(
    trust: CustomTrust,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Under whatever condition: what that asks for is up to who wrote it."""
    assert trust.for_ec2 is expected
    planned = plan_agent_role(trust=trust).entities
    assert [entity.kind for entity in planned] == ["role", "instance-profile"][: 1 + expected]
    if not expected:
        with pytest.raises(IntentError, match="a profile would serve nobody"):
            plan_agent_role(trust=trust, instance_profile=True)


def test_whether_it_is_for_ec2_is_asked_of_good_trusts_only() -> None:
    """A bad one is refused with what is wrong with it."""
    with pytest.raises(IntentError, match=r"trust\.account_id='1'"):
        _ = ECSTask("1").for_ec2


ACCEPTED: dict[str, CustomTrust] = {
    "everybody": custom(GOOD | {"Principal": "*"}),
    "everybody by type": custom(GOOD | {"Principal": {"AWS": "*"}}),
    "several kinds": custom(
        GOOD | {"Principal": {"Service": ["lambda.amazonaws.com", "ssm"], "AWS": [ACCOUNT]}}
    ),
    "a web provider": custom(
        GOOD
        | {
            "Principal": {"Federated": "cognito-identity.amazonaws.com"},
            "Action": "sts:AssumeRoleWithWebIdentity",
        }
    ),
    "all actions of STS": custom(GOOD | {"Action": ["sts:*", "STS:AssumeRole"]}),
    "a denial": custom(
        GOOD,
        {
            "Effect": "Deny",
            "NotPrincipal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:TagSession",
        },
    ),
    "conditions": custom(
        GOOD
        | {
            "Condition": {
                "ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a"]},
                "StringNotEqualsIgnoreCase": {"a:b": "c"},
                "Null": {"sts:ExternalId": "true"},
                "Bool": {"aws:SecureTransport": True},
                "NumericLessThanEquals": {"aws:MultiFactorAuthAge": 60},
                "DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
                "NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                "ArnNotLikeIfExists": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"},
                "BinaryEquals": {"a:b": "QQ=="},
            }
        }
    ),
    "no version": CustomTrust({"Statement": GOOD}),
    "an ARN left open": custom(
        GOOD
        | {
            "Principal": {"Federated": f"arn:PARTITION:iam::{ACCOUNT}:oidc-provider/a.b"},
            "Action": "sts:AssumeRoleWithWebIdentity",
        }
    ),
    "labels that differ": custom(GOOD | {"Sid": "A"}, GOOD | {"Sid": "B"}, GOOD),
}


@pytest.mark.parametrize("trust", ACCEPTED.values(), ids=ACCEPTED)
def test_what_iam_takes_is_taken(trust: CustomTrust) -> None:
    """A trust may hold much more than the agent needs."""
    assert list(trust.problems()) == []
    assert trust.document() == trust.source


DOCUMENT = "trust.document"
STATEMENT = f"{DOCUMENT} statement 0"
NOT_A_DOCUMENT = "must be a policy document"
OPEN = "only in OIDC providers"

REFUSED: dict[str, tuple[Any, str, str]] = {
    "nothing": (None, DOCUMENT, "must be JSON, a mapping or a Document"),
    "a value": (EC2(), DOCUMENT, "must be JSON, a mapping or a Document"),
    "no JSON": ("{", DOCUMENT, NOT_A_DOCUMENT),
    "no statement": ({"Version": "2012-10-17"}, DOCUMENT, NOT_A_DOCUMENT),
    "no effect": ({"Statement": without("Effect")}, DOCUMENT, NOT_A_DOCUMENT),
    "an empty list": (custom(), f"{DOCUMENT} Statement", "must have a statement"),
    "a later version": (custom(GOOD, Version="2026-01-01"), f"{DOCUMENT} Version", "2012-10-17"),
    "a comment": (custom(GOOD, Comment="x"), f"{DOCUMENT} Comment", "must not be in"),
    "a resource": (custom(GOOD | {"Resource": "*"}), f"{STATEMENT} Resource", "must not be in"),
    "no principal": (custom(without("Principal")), STATEMENT, "either Principal or NotPrincipal"),
    "no action": (custom(without("Action")), f"{STATEMENT} Action", "must name an action"),
    "both actions": (
        custom(GOOD | {"NotAction": "sts:TagSession"}),
        f"{STATEMENT} NotAction",
        "must not be in a trust policy",
    ),
    "everybody else": (
        custom(without("Principal", NotPrincipal={"Service": "ec2"})),
        f"{STATEMENT} NotPrincipal",
        "must not be in a statement that allows",
    ),
    "an action of another service": (
        custom(GOOD | {"Action": ["sts:AssumeRole", "iam:PassRole"]}),
        f"{STATEMENT} Action",
        "must be an action of STS",
    ),
    "another action of STS": (
        custom(GOOD | {"Action": "sts:GetCallerIdentity"}),
        f"{STATEMENT} Action",
        "must be an action of STS",
    ),
    "both principals": (
        custom(GOOD | {"Effect": "Deny", "NotPrincipal": {"AWS": ACCOUNT}}),
        STATEMENT,
        "either Principal or NotPrincipal",
    ),
    "a canonical user": (
        custom(GOOD | {"Principal": {"CanonicalUser": "79a5"}}),
        f"{STATEMENT} Principal",
        "must be one of AWS, Federated, Service",
    ),
    "all actions": (
        custom(GOOD | {"Action": "*"}),
        f"{STATEMENT} Action",
        "must be an action of STS",
    ),
    "no actions": (custom(GOOD | {"Action": []}), f"{STATEMENT} Action", "must name an action"),
    "a word": (custom(GOOD | {"Principal": "ec2"}), f"{STATEMENT} Principal", "must be * for"),
    "nobody": (custom(GOOD | {"Principal": {}}), f"{STATEMENT} Principal", "must name somebody"),
    "no services": (
        custom(GOOD | {"Principal": {"Service": []}}),
        f"{STATEMENT} Principal Service",
        "must name somebody",
    ),
    "an unknown type": (
        custom(GOOD | {"Principal": {"service": "ec2"}}),
        f"{STATEMENT} Principal",
        "must be one of AWS, Federated, Service",
    ),
    "a short name that is none": (
        custom(GOOD | {"Principal": {"Service": "lambda"}}),
        f"{STATEMENT} Principal Service",
        "must be a service principal such as",
    ),
    "a pattern of services": (
        custom(GOOD | {"Principal": {"Service": "*.amazonaws.com"}}),
        f"{STATEMENT} Principal Service",
        "must be a service principal such as",
    ),
    "a deleted role": (
        custom(GOOD | {"Principal": {"AWS": UNIQUE_ID}}),
        f"{STATEMENT} Principal AWS",
        "that was deleted",
    ),
    "a pattern of roles": (
        custom(GOOD | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}}),
        f"{STATEMENT} Principal AWS",
        "without wildcards",
    ),
    "a provider without a name": (
        custom(GOOD | {"Principal": {"Federated": ""}}),
        f"{STATEMENT} Principal Federated",
        "must be the ARN of an identity provider",
    ),
    "any provider": (
        custom(GOOD | {"Principal": {"Federated": "*"}}),
        f"{STATEMENT} Principal Federated",
        "must be the ARN of an identity provider",
    ),
    "a provider by no name": (
        custom(GOOD | {"Principal": {"Federated": "not an arn"}}),
        f"{STATEMENT} Principal Federated",
        "must be the ARN of an identity provider",
    ),
    "brackets in an action": (
        custom(GOOD | {"Action": "sts:[a]ssumerole"}),
        f"{STATEMENT} Action",
        "must be an action of STS",
    ),
    "a label that is no text": (custom(GOOD | {"Sid": 5}), f"{STATEMENT} Sid", "must be a string"),
    "an id that is no text": (custom(GOOD, Id=5), f"{DOCUMENT} Id", "must be a string"),
    "an operator in another letter case": (
        custom(GOOD | {"Condition": {"stringEquals": {"a:b": "c"}}}),
        f"{STATEMENT} Condition",
        "must be an operator that IAM knows",
    ),
    "an unknown operator": (
        custom(GOOD | {"Condition": {"StringIs": {"a:b": "c"}}}),
        f"{STATEMENT} Condition",
        "must be an operator that IAM knows",
    ),
    "a key without a service": (
        custom(GOOD | {"Condition": {"StringEquals": {"SourceAccount": ACCOUNT}}}),
        f"{STATEMENT} Condition",
        "must be a condition key, with its service before a colon",
    ),
    "Null if it exists": (
        custom(GOOD | {"Condition": {"NullIfExists": {"a:b": "true"}}}),
        f"{STATEMENT} Condition",
        "must be an operator that IAM knows",
    ),
    "one label twice": (
        custom(GOOD | {"Sid": "A"}, GOOD | {"Sid": "A"}),
        f"{DOCUMENT} statement 1 Sid",
        "must differ",
    ),
    "an ARN left open in a condition": (
        custom(GOOD | {"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:PARTITION:iam::1:x"}}}),
        DOCUMENT,
        OPEN,
    ),
}


@pytest.mark.parametrize(("document", "argument", "rule"), REFUSED.values(), ids=REFUSED)
def test_what_iam_would_refuse_is_refused_before_any_call(
    document: Any, argument: str, rule: str
) -> None:
    """One problem, which tells the place; and no document."""
    trust = document if isinstance(document, CustomTrust) else CustomTrust(document)
    (problem,) = trust.problems()
    assert problem.argument == argument
    assert rule in problem.rule
    with pytest.raises(IntentError) as refusal:
        trust.document()
    assert refusal.value.problems == (problem,)


def test_every_statement_is_looked_at() -> None:
    """The place of each problem is counted from 0."""
    bad = GOOD | {"Action": "iam:*"}
    problems = custom(GOOD, bad, bad | {"Resource": "*"}).problems("of")
    assert [problem.argument for problem in problems] == [
        "of.document statement 1 Action",
        "of.document statement 2 Resource",
        "of.document statement 2 Action",
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=6,
)
statements = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"])},
    optional={
        "Sid": json_values,
        "Principal": json_values
        | st.dictionaries(st.sampled_from(["AWS", "Service"]), json_values),
        "NotPrincipal": json_values,
        "Action": json_values | st.just("sts:AssumeRole"),
        "NotAction": json_values,
        "Condition": json_values | st.just({"Bool": {"aws:SourceArn": 1}}),
    },
)


@given(st.lists(statements, max_size=2) | json_values, json_values)
def test_no_document_makes_the_checks_fail(held: Any, version: Any) -> None:
    """Whatever is given, there is an answer; what has no problems is a value like any other."""
    trust = CustomTrust({"Version": version, "Statement": held})
    problems = list(trust.problems())
    assert all(str(problem) for problem in problems)
    if not problems:
        assert CustomTrust(trust.document()) == trust
        assert isinstance(trust.source, Document)
