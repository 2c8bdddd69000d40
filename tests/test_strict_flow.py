"""The library and the strict IAM agree: the flow runs on it, and both refuse the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from hypothesis import HealthCheck, example, given, reject, settings, strategies as st

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    ensure,
    limits,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
)
from cwagent_iam.documents import Document
from cwagent_iam.errors import IntentError
from cwagent_iam.testing import sandbox
from cwagent_iam.testing.strict import strict_iam
from tests.conftest import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from cwagent_iam.state import State

BOUNDARY = "arn:aws:iam::123456789012:policy/team/Boundary"
ALLOW_ALL = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    },
)
LAMBDA = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
        ],
    },
)


@pytest.fixture(params=[1, 1000], ids=["pages-of-one", "whole-lists"])
def strict(request: pytest.FixtureRequest) -> Iterator[boto3.Session]:
    """A session in a strict sandbox, with a policy for boundaries."""
    with sandbox() as session, strict_iam(page_size=request.param):
        iam: Any = session.client("iam")
        iam.create_policy(PolicyName="Boundary", Path="/team/", PolicyDocument=ALLOW_ALL)
        yield session


def rich_role() -> State:
    """A role of which everything is named by intent."""
    return plan_agent_role(
        "Agent",
        policies=(SERVER_POLICY, ADMIN_POLICY),
        path="/team/",
        description="Ü",
        permissions_boundary=BOUNDARY,
        max_session_duration=7200,
        tags={f"Key {number}": "värde" for number in range(49)},
    )


def rich_user() -> State:
    """A user of which everything is named by intent."""
    return plan_agent_user(
        "Agent",
        policies=(SERVER_POLICY, ADMIN_POLICY),
        path="/team/",
        permissions_boundary=BOUNDARY,
        tags={f"Key {number}": "värde" for number in range(49)},
    )


PLANS: dict[str, Callable[[], State]] = {
    "role": plan_agent_role,
    "user": plan_agent_user,
    "rich-role": rich_role,
    "rich-user": rich_user,
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_ensure_again_and_remove(plan: Callable[[], State], strict: boto3.Session) -> None:
    """What is made is right, making it again changes nothing, and removing leaves nothing."""
    desired = plan()
    assert ensure(desired, session=strict).changed
    assert not ensure(desired, session=strict).changed
    assert remove(desired, session=strict).changed
    iam: Any = strict.client("iam")
    left = (iam.list_roles()["Roles"], iam.list_users()["Users"])
    assert left == ([], [])
    assert iam.list_instance_profiles()["InstanceProfiles"] == []


def test_drift_of_a_role_is_repaired(strict: boto3.Session) -> None:
    """Trust, description, duration, boundary, policies, tags and profile come back."""
    desired = rich_role()
    ensure(desired, session=strict)
    iam: Any = strict.client("iam")
    iam.update_assume_role_policy(RoleName="Agent", PolicyDocument=LAMBDA)
    iam.update_role(RoleName="Agent", Description="x")
    iam.update_role(RoleName="Agent", MaxSessionDuration=3600)
    iam.delete_role_permissions_boundary(RoleName="Agent")
    iam.detach_role_policy(RoleName="Agent", PolicyArn=SERVER_POLICY.arn("aws"))
    iam.untag_role(RoleName="Agent", TagKeys=["key 1"])
    iam.tag_role(RoleName="Agent", Tags=[{"Key": "KEY 2", "Value": "x"}])
    iam.remove_role_from_instance_profile(InstanceProfileName="Agent", RoleName="Agent")
    iam.untag_instance_profile(InstanceProfileName="Agent", TagKeys=["Key 1"])
    assert preview(desired, session=strict)
    assert ensure(desired, session=strict).changed
    assert not preview(desired, session=strict)


def test_drift_of_a_user_is_repaired(strict: boto3.Session) -> None:
    """Boundary, policies and tags come back."""
    desired = rich_user()
    ensure(desired, session=strict)
    iam: Any = strict.client("iam")
    iam.delete_user_permissions_boundary(UserName="Agent")
    iam.detach_user_policy(UserName="Agent", PolicyArn=SERVER_POLICY.arn("aws"))
    iam.tag_user(UserName="Agent", Tags=[{"Key": "KEY 2", "Value": "x"}])
    assert ensure(desired, session=strict).changed
    assert not preview(desired, session=strict)


@pytest.fixture(scope="module")
def shared() -> Iterator[boto3.Session]:
    """One strict sandbox for many examples."""
    with sandbox() as session, strict_iam(page_size=2):
        iam: Any = session.client("iam")
        iam.create_policy(PolicyName="Boundary", Path="/team/", PolicyDocument=ALLOW_ALL)
        yield session


@pytest.fixture(scope="module")
def iam(shared: boto3.Session) -> Any:
    """A client that leaves the checks to the strict IAM."""
    iam: Any = shared.client("iam", config=Config(parameter_validation=False))
    iam.create_role(RoleName="role", AssumeRolePolicyDocument=LAMBDA)
    return iam


# Texts around the borders: of characters, of lengths, and of what a path may look like. The last
# that is right and the first that is not are examples of their own.
CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "/ab~ \x7f\x80\xa0\xa1ÿĀ\t\n:"
)
TEXTS = st.text(CHARACTERS, max_size=8)
LENGTHS = st.sampled_from([1, 63, 64, 65, 127, 128, 129, 255, 256, 257, 510, 511, 512, 1000, 1001])
LONG = LENGTHS.map(lambda length: "x" * length)
PATHS = st.builds(
    "{}{}{}".format, st.sampled_from(["/", ""]), TEXTS | LONG, st.sampled_from(["/", ""])
)
DURATIONS = st.integers(0, 50_000) | st.sampled_from([3599, 3600, 43_200, 43_201])
KEYS = st.sampled_from(["Team", "team", "aws:x", "AWS:x", "awsx", ""]) | TEXTS | LONG
LAWS = settings(
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def accepts(call: Callable[..., Any], **members: Any) -> bool:
    """Whether IAM takes it."""
    try:
        call(**members)
    except (ClientError, ParamValidationError):
        return False
    return True


def accepts_role(iam: Any, **members: Any) -> bool:
    """Whether IAM makes such a role, which is deleted again."""
    given = {"RoleName": "new", "AssumeRolePolicyDocument": LAMBDA} | members
    made = accepts(iam.create_role, **given)
    if made:
        iam.delete_role(RoleName=given["RoleName"])
    return made


def is_right(problems: Iterator[Any]) -> bool:
    """Whether `limits` finds nothing wrong."""
    return not list(problems)


@LAWS
@given(name=TEXTS | LONG)
@example(name="x" * 64)
@example(name="x" * 65)
@example(name="x" * 128)
@example(name="x" * 129)
def test_names_are_right_to_both_or_to_neither(name: str, iam: Any) -> None:
    """Roles, users and profiles, each with its own length."""
    longest = limits.ROLE_NAME_LENGTH
    assert accepts_role(iam, RoleName=name) == is_right(limits.name_problems("n", name, longest))
    right = is_right(limits.name_problems("n", name, limits.USER_NAME_LENGTH))
    made = accepts(iam.create_user, UserName=name)
    assert made == right
    if made:
        iam.delete_user(UserName=name)
    longest = limits.INSTANCE_PROFILE_NAME_LENGTH
    made = accepts(iam.create_instance_profile, InstanceProfileName=name)
    assert made == is_right(limits.name_problems("n", name, longest))
    if made:
        iam.delete_instance_profile(InstanceProfileName=name)


@LAWS
@given(path=PATHS)
@example(path=f"/{'x' * 510}/")
@example(path=f"/{'x' * 511}/")
@example(path="/a")
def test_paths_are_right_to_both_or_to_neither(path: str, iam: Any) -> None:
    """From slash to slash, in printable ASCII."""
    assert accepts_role(iam, Path=path) == is_right(limits.path_problems("path", path))


@LAWS
@given(description=TEXTS | LONG)
@example(description="x" * 1000)
@example(description="x" * 1001)
@example(description="\xa0")
def test_descriptions_are_right_to_both_or_to_neither(description: str, iam: Any) -> None:
    """At creation and in an update."""
    right = is_right(limits.description_problems("description", description))
    assert accepts_role(iam, Description=description) == right
    assert accepts(iam.update_role, RoleName="role", Description=description) == right


@LAWS
@given(seconds=DURATIONS)
@example(seconds=3599)
@example(seconds=3600)
@example(seconds=43_200)
@example(seconds=43_201)
def test_durations_are_right_to_both_or_to_neither(seconds: int, iam: Any) -> None:
    """One hour to twelve."""
    right = is_right(limits.session_duration_problems("seconds", seconds))
    assert accepts_role(iam, MaxSessionDuration=seconds) == right


@LAWS
@given(tags=st.dictionaries(KEYS, TEXTS | LONG, max_size=3))
@example(tags={"x" * 128: "x" * 256})
@example(tags={"x" * 129: ""})
@example(tags={"x": "x" * 257})
@example(tags={"Team": "", "team": ""})
@example(tags={"AWS:x": ""})
def test_tags_are_right_to_both_or_to_neither(tags: dict[str, str], iam: Any) -> None:
    """Keys and values, and keys that differ by letter case alone."""
    given_tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    assert accepts_role(iam, Tags=given_tags) == is_right(limits.tag_problems("tags", tags))


@pytest.mark.parametrize("count", [49, 50])
def test_so_many_tags_are_right_with_ours(count: int, iam: Any) -> None:
    """49 and the tag of what is managed are as many as IAM takes."""
    tags = {f"key-{number}": "" for number in range(count)}
    all_tags = [{"Key": key, "Value": ""} for key in (*tags, "ManagedBy")]
    assert accepts_role(iam, Tags=all_tags) == is_right(limits.tag_problems("tags", tags))


ARN_PARTS = (
    st.sampled_from(["arn:aws", "arn:aws-cn", "arn:", "aws", "ARN:aws"]),
    st.sampled_from([":iam:", ":sts:", ":iam:us-east-1", ""]),
    st.sampled_from([":aws:", ":123456789012:", ":12345:", "::"]),
    st.sampled_from(["policy/", "role/", "policy", "policy//"]),
    st.sampled_from(["", "Team", "a/b", "a/", "/a", "aws-service-role/x", "a b", "ä"]) | LONG,
)
ARNS = st.builds(lambda *parts: "".join(parts), *ARN_PARTS)


@LAWS
@given(arn=ARNS)
def test_whatever_is_no_arn_to_iam_is_none_to_limits(arn: str, iam: Any) -> None:
    """IAM refuses what is malformed; that a policy does not exist, only IAM can know."""
    try:
        iam.attach_role_policy(RoleName="role", PolicyArn=arn)
    except ClientError as error:
        malformed = error.response["Error"]["Code"] != "NoSuchEntity"
        assert not malformed or not is_right(limits.policy_problems("policy", arn))


@LAWS
@given(spaces=st.integers(0, 3), accounts=st.integers(100, 140))
def test_sizes_are_right_to_both_or_to_neither(spaces: int, accounts: int, iam: Any) -> None:
    """White space is not counted."""
    principal = {"AWS": ["123456789012"] * accounts}
    document = json.loads(LAMBDA)
    document["Statement"][0]["Principal"] = principal
    text = json.dumps(document, indent=spaces or None)
    right = is_right(limits.trust_size_problems("trust", Document.parse(text)))
    assert accepts_role(iam, AssumeRolePolicyDocument=text) == right


# What IAM takes, as its API says it; the names are new each time.
NAMES = st.from_regex(r"[A-Za-z0-9_+=,.@-]{1,60}", fullmatch=True)
TAG_TEXTS = r"[\w .:/=+@-]"
TAGS = st.dictionaries(
    st.from_regex(TAG_TEXTS + "{1,128}", fullmatch=True),
    st.from_regex(TAG_TEXTS + "{0,256}", fullmatch=True),
    max_size=3,
)
OF_BOTH = {
    "path": st.none() | st.from_regex(r"/|/[!-~]+/", fullmatch=True),
    "permissions_boundary": st.sampled_from([None, SERVER_POLICY, BOUNDARY]),
    "policies": st.sets(st.sampled_from([SERVER_POLICY, ADMIN_POLICY])),
    "tags": st.none() | TAGS,
}
OF_ROLES = {
    "description": st.none() | st.from_regex(r"[\t\n -~\xa1-\xff]*", fullmatch=True),
    "max_session_duration": st.none() | st.integers(3600, 43_200),
    "instance_profile": st.booleans() | NAMES,
}
ROLES = st.builds(
    lambda name, intent: plan_agent_role(name, **intent),
    NAMES,
    st.fixed_dictionaries({}, optional=OF_BOTH | OF_ROLES),
)
USERS = st.builds(
    lambda name, intent: plan_agent_user(name, **intent),
    NAMES,
    st.fixed_dictionaries({}, optional=OF_BOTH),
)


@settings(LAWS, max_examples=examples(12))
@given(data=st.data(), plans=st.sampled_from([ROLES, USERS]))
def test_what_can_be_planned_can_be_made(
    data: st.DataObject,
    plans: st.SearchStrategy[State],
    shared: boto3.Session,
) -> None:
    """Every intent that the planners let pass is made, found as desired, and removed."""
    try:
        desired = data.draw(plans)
    except IntentError:
        reject()
    iam: Any = shared.client("iam")
    ensure(desired, iam=iam)
    assert not preview(desired, iam=iam)
    remove(desired, iam=iam)
