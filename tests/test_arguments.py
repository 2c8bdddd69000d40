"""Texts that are members of an enum too: they are taken for their value, everywhere."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    IRSA,
    CrossAccount,
    CustomerManagedPolicy,
    CustomTrust,
    ECSTask,
    InlinePolicy,
    PodIdentity,
    RolesAnywhere,
    SSMHybrid,
    WebIdentity,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
    plan_ecs_execution_role,
)
from cwagent_iam.arguments import plain, plain_if_named
from cwagent_iam.trust import localise

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from cwagent_iam import AgentRole, AgentUser, State, Trust

ACCOUNT = "123456789012"
ANCHOR = f"arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:trust-anchor/0123"
CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"
ISSUER = "oidc.example.com/id/1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Source"
VERSION = "2012-10-17"
ANY = {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/0123"


def member(text: str) -> Any:
    """Return a member of an enum whose value is *text*; in other texts it reads as its name."""

    class Setting(str, enum.Enum):  # noqa: UP042 - StrEnum reads as its value
        NAME = text

    assert f"{Setting.NAME}" != text
    return Setting.NAME


TRUSTS: dict[str, Callable[[Callable[[str], str]], Trust]] = {
    "ECS": lambda as_: ECSTask(as_(ACCOUNT), region=as_("eu-west-1")),
    "SSM": lambda as_: SSMHybrid(as_(ACCOUNT), as_("eu-west-1")),
    "IRSA": lambda as_: IRSA(as_(ISSUER), as_("ns"), as_("sa"), account_id=as_(ACCOUNT)),
    "pods": lambda as_: PodIdentity(
        cluster_arn=as_(CLUSTER), namespace=as_("ns"), service_account=as_("sa")
    ),
    "certificates": lambda as_: RolesAnywhere(
        as_(ANCHOR),
        subject_common_name=as_("web"),
        issuer_common_name=as_("ca"),
        source_identity=as_("me"),
    ),
    "token": lambda as_: WebIdentity(as_(ISSUER), as_("aud"), as_("sub"), account_id=as_(ACCOUNT)),
    "another account": lambda as_: CrossAccount(
        [as_(ROLE)], source_account=as_(ACCOUNT), source_arn=as_(ROLE)
    ),
    "a document": lambda as_: CustomTrust(
        {
            as_("Statement"): {
                "Effect": as_("Allow"),
                "Principal": {"AWS": as_(ROLE)},
                "Action": [as_("sts:AssumeRole")],
                "Condition": {"StringEquals": {"aws:PrincipalOrgID": as_("o-1")}},
            }
        }
    ),
}


@pytest.mark.parametrize("trust", TRUSTS.values(), ids=TRUSTS)
def test_a_trust_reads_members_as_their_values(trust: Callable[..., Trust]) -> None:
    """The document is the same, to the letter, and so is the trust."""
    given, meant = trust(member), trust(str)
    assert given == meant
    assert hash(given) == hash(meant)
    assert given.document() == meant.document()
    assert localise(given.document(), "aws").text == localise(meant.document(), "aws").text


PLANS: dict[str, Callable[[Callable[[str], str]], State]] = {
    "role": lambda as_: plan_agent_role(
        as_("Role"),
        policies=[as_("arn:aws:iam::aws:policy/ReadOnlyAccess"), CustomerManagedPolicy(as_("own"))],
        inline_policies=[
            InlinePolicy(as_("Own"), {"Version": as_("2012-10-17"), "Statement": ANY})
        ],
        parameters=[as_("/web/agent")],
        kms_key_arn=as_(KEY),
        instance_profile=as_("Profile"),
        path=as_("/team/"),
        description=as_("words"),
        permissions_boundary=as_("arn:aws:iam::aws:policy/ReadOnlyAccess"),
        tags={as_("Team"): as_("web")},
    ),
    "user": lambda as_: plan_agent_user(
        as_("User"), path=as_("/team/"), parameters=[as_("web")], tags={as_("Team"): as_("web")}
    ),
    "execution role": lambda as_: plan_ecs_execution_role(as_("Role"), parameters=[as_("web")]),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_reads_members_as_their_values(plan: Callable[..., State]) -> None:
    """In every field, also in the texts that are made of them."""
    given, meant = plan(member), plan(str)
    assert given == meant
    assert hash(given) == hash(meant)
    assert repr(given) == repr(meant)
    assert [each.target for each in given.entities] == [each.target for each in meant.entities]


def test_a_member_reaches_iam_as_its_value(session: boto3.Session) -> None:
    """The whole way, and the second time nothing is left to do."""

    def ensure() -> tuple[AgentRole, AgentUser]:
        role = ensure_agent_role(
            member("Role"),
            trust=SSMHybrid(member(ACCOUNT)),
            description=member("words"),
            tags={"Team": member("web")},
            session=session,
        )
        return role, ensure_agent_user(member("User"), session=session)

    ensure()
    role, user = ensure()
    assert not role.changed
    assert (role.role_name, user.user_name) == ("Role", "User")
    found: Any = session.client("iam").get_role(RoleName="Role")["Role"]
    assert {"Key": "Team", "Value": "web"} in found["Tags"]
    assert found["Description"] == "words"
    (statement,) = found["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": f"arn:aws:ssm:*:{ACCOUNT}:*"}


def test_what_is_no_text_is_left_as_it_is() -> None:
    """It is for a check to find, which names the argument."""
    assert plain(5) == 5  # type: ignore[arg-type, comparison-overlap] # as said
    assert plain_if_named(None) is None
    assert type(plain(member("a"))) is type(plain_if_named(member("a"))) is str
