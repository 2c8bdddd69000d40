"""What IAM takes for the policy of a role or user, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cwagent_iam import Document
from cwagent_iam.policies import identity_problems, localise, neutral
from cwagent_iam.testing import sandbox, strict_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}


def document(*statements: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """A document of these statements; elements that are `None` are left out."""
    content = {"Version": "2012-10-17", "Statement": list(statements), **elements}
    return {name: value for name, value in content.items() if value is not None}


def one(**elements: Any) -> dict[str, Any]:
    """A document of one statement, with other elements; those that are `None` are left out."""
    statement = ALLOW | elements
    return document({name: value for name, value in statement.items() if value is not None})


GOOD: dict[str, Any] = {
    "one statement": document(ALLOW),
    "a statement without a list": {"Version": "2012-10-17", "Statement": ALLOW},
    "an id": document(ALLOW, Id="ours"),
    "labels": document(ALLOW | {"Sid": "Tags1"}, ALLOW | {"Sid": "tags1"}),
    "empty labels": document(ALLOW | {"Sid": ""}, ALLOW | {"Sid": ""}),
    "a denial": one(Effect="Deny"),
    "all actions": one(Action="*"),
    "patterns of actions": one(Action=["ec2:Describe*", "logs:?utLogEvents"]),
    "other actions": one(Action=None, NotAction="iam:*"),
    "other resources": one(Resource=None, NotResource="arn:aws:s3:::secret/*"),
    "an ARN with a region": one(Resource="arn:aws:logs:eu-west-1:123456789012:log-group:g:*"),
    "an open ARN": one(Resource="arn:PARTITION:ssm:*:*:parameter/own"),
    "an ARN in any partition": one(Resource="arn:*:s3:::bucket/*"),
    "an ARN of all that a service has": one(Resource="arn:aws:ec2:*"),
    "a variable": one(Resource="arn:aws:s3:::bucket/${aws:username}/*"),
    "a condition": one(Condition={"StringEquals": {"cloudwatch:namespace": ["CWAgent"]}}),
    "an operator with all its parts": one(
        Condition={"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": "Team*"}}
    ),
    "a null": one(Condition={"Null": {"aws:TagKeys": True}}),
    "no conditions": one(Condition={}),
}

# What is wrong: the document, where, and the rule; and whether moto, which has IAM's own texts,
# refuses it too.
BAD: dict[str, tuple[Any, str, str, bool]] = {
    "no JSON": ("{", "", "must be a policy document", True),
    "no object": ("[]", "", "must be a policy document", True),
    "nothing": ({}, "", "must be a policy document", True),
    "no effect": (one(Effect=None), "", "must be a policy document", True),
    "another effect": (one(Effect="allow"), "", "must be a policy document", True),
    "an action that is no text": (one(Action=[1]), "", "must be a policy document", True),
    "a condition that is no object": (one(Condition="x"), "", "must be a policy document", True),
    "an old version": (document(ALLOW, Version="2008-10-17"), " Version", "2012-10-17", True),
    "no version": (document(ALLOW, Version=None), " Version", "2012-10-17", True),
    "an id that is no text": (document(ALLOW, Id=1), " Id", "must be a string", True),
    "another element": (document(ALLOW, Owner="me"), " Owner", "must not be in a document", True),
    "no statements": (document(), " Statement", "must have a statement", True),
    "another element of a statement": (
        one(Actions="*"), " statement 0 Actions", "must not be in a statement", True,
    ),
    "a principal": (
        one(Principal="*"), " statement 0 Principal", "which is itself the principal", True,
    ),
    "all but a principal": (
        one(NotPrincipal={"AWS": "123456789012"}),
        " statement 0 NotPrincipal", "which is itself the principal", True,
    ),
    "a label with a space": (one(Sid="my tags"), " statement 0 Sid", "letters and digits", True),
    "a label that is no text": (one(Sid=1), " statement 0 Sid", "must be a string", True),
    "a label twice": (
        document(ALLOW | {"Sid": "A"}, ALLOW | {"Sid": "A"}),
        " statement 1 Sid", "must differ", True,
    ),
    "no action": (one(Action=None), " statement 0", "either Action or NotAction", True),
    "both kinds of actions": (
        one(NotAction="*"), " statement 0", "either Action or NotAction", True,
    ),
    "an empty list of actions": (one(Action=[]), " statement 0 Action", "name something", True),
    "an empty list of other actions": (
        one(Action=None, NotAction=[]), " statement 0 NotAction", "name something", True,
    ),
    "an action without a service": (
        one(Action="DescribeTags"), " statement 0 Action", "with its service", True,
    ),
    "an action with two colons": (
        one(Action="ec2:Describe:Tags"), " statement 0 Action", "the one colon", True,
    ),
    "a service with a wildcard": (
        one(Action="ec*:DescribeTags"), " statement 0 Action", "with its service", True,
    ),
    "an action with a space": (
        one(Action="ec2: DescribeTags"), " statement 0 Action", "with its service", False,
    ),
    "an empty action": (one(Action=""), " statement 0 Action", "with its service", True),
    "no resource": (one(Resource=None), " statement 0", "either Resource or NotResource", True),
    "both kinds of resources": (
        one(NotResource="*"), " statement 0", "either Resource or NotResource", True,
    ),
    "an empty list of resources": (
        one(Resource=[]), " statement 0 Resource", "name something", True,
    ),
    "a resource that is no text": (one(Resource=[5]), " statement 0 Resource", "an ARN", True),
    "a resource by its name": (one(Resource="own"), " statement 0 Resource", "an ARN", True),
    "a resource that only begins like an ARN": (
        one(Resource="arn:aws:s3"), " statement 0 Resource", "an ARN", True,
    ),
    "another partition": (
        one(Resource="arn:amazon:s3:::b"), " statement 0 Resource", "an ARN", True,
    ),
    "an operator that IAM does not know": (
        one(Condition={"StringMatches": {"aws:TagKeys": "x"}}),
        " statement 0 Condition", "an operator", True,
    ),
    "a key without a service": (
        one(Condition={"StringEquals": {"namespace": "x"}}),
        " statement 0 Condition", "a condition key", False,
    ),
    "an operator in another letter case": (
        one(Condition={"stringEquals": {"aws:TagKeys": "x"}}),
        " statement 0 Condition", "an operator", True,
    ),
    "an operator without a key": (
        one(Condition={"StringEquals": {}}),
        " statement 0 Condition StringEquals", "must compare a key", False,
    ),
    "a key without a value": (
        one(Condition={"StringEquals": {"aws:TagKeys": []}}),
        " statement 0 Condition aws:TagKeys", "compared with something", False,
    ),
    "a value that is nothing": (
        one(Condition={"StringEquals": {"aws:TagKeys": None}}),
        " statement 0 Condition aws:TagKeys", "must be a text, a number", True,
    ),
    "a value that is an object": (
        one(Condition={"StringEquals": {"aws:TagKeys": {"a": 1}}}),
        " statement 0 Condition aws:TagKeys", "must be a text, a number", True,
    ),
    "a value that is a list": (
        one(Condition={"StringEquals": {"aws:TagKeys": ["x", ["y"]]}}),
        " statement 0 Condition aws:TagKeys", "must be a text, a number", False,
    ),
    "a value that is no number": (
        one(Condition={"NumericEquals": {"aws:a": float("nan")}}),
        "", "must be a policy document", True,
    ),
    "IAM in a region": (
        one(Resource="arn:aws:iam:eu-west-1:123456789012:role/a"),
        " statement 0 Resource", "must have no region", True,
    ),
    "IAM in all regions": (
        one(Resource="arn:aws:iam:*:123456789012:role/a"),
        " statement 0 Resource", "must have no region", True,
    ),
    "an ARN with too few parts": (
        one(Resource="arn:aws:s3:b"), " statement 0 Resource", "an ARN", True,
    ),
    "an open ARN with a region": (
        one(Resource="arn:PARTITION:logs:eu-west-1:*:log-group:g"), "", "* for the region", True,
    ),
    "an open ARN without a region": (
        one(Resource="arn:PARTITION:s3:::bucket"), "", "* for the region", True,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def iam() -> Iterator[Any]:
    """A client of IAM with a role; the sandbox refuses what IAM was seen to refuse."""
    with sandbox() as session, strict_iam():
        client = session.client("iam")
        trust = one(Principal={"Service": "ec2.amazonaws.com"}, Action="sts:AssumeRole")
        del trust["Statement"][0]["Resource"]
        client.create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(trust))
        yield client


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_a_good_document_has_no_problems(content: dict[str, Any], iam: Any) -> None:
    """And IAM takes it."""
    read = neutral(Document.parse(content))
    assert not [*identity_problems("document", read)]
    text = localise(read, "aws").text
    iam.put_role_policy(RoleName="any", PolicyName="own", PolicyDocument=text)


@pytest.mark.parametrize(("content", "where", "rule", "refused"), BAD.values(), ids=BAD)
def test_a_bad_document_has_one_problem(
    content: str | dict[str, Any],
    where: str,
    rule: str,
    refused: bool,  # noqa: FBT001 - a column of the table
    iam: Any,
) -> None:
    """It says where and what; IAM would refuse it too, but only when it is sent."""
    (problem,) = identity_problems("document", Document.parse(content))
    assert problem.argument == f"document{where}"
    assert rule in problem.rule
    text = content if isinstance(content, str) else json.dumps(content)
    if refused:
        with pytest.raises(ClientError, match="MalformedPolicyDocument"):
            iam.put_role_policy(RoleName="any", PolicyName="own", PolicyDocument=text)


def test_all_that_is_wrong_is_found_at_once() -> None:
    """Each statement and each element is checked, whatever was wrong before."""
    bad = document(ALLOW | {"Action": ["x", "y"]}, ALLOW | {"Resource": "z"}, Version="2008-10-17")
    problems = [*identity_problems("document", Document.parse(bad))]
    assert [problem.argument for problem in problems] == [
        "document Version",
        "document statement 0 Action",
        "document statement 0 Action",
        "document statement 1 Resource",
    ]
