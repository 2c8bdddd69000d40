"""A role of every trust is made, assumed, and its credentials tell whose they are.

What this shows, and what it does not:

- The strict IAM takes the trust, and the role is there under the ARN that its principal would
  name, in the right account and partition. moto's STS gives a caller of GetCallerIdentity the id of
  the role that has this ARN, and an invented id where there is none: so each round trip fails if
  the role is missing, or is another one.
- moto's STS does not read trusts, nor tokens, tags or conditions: it lets everybody assume every
  role, and even roles that do not exist. That a trust lets its principal in, and nobody else, is
  shown here for users of the role's own account only, whom moto checks when it is told to
  (`TestTrustThatMotoReads`, where its limits are shown too). For all other principals no test
  without AWS can show it: whether AWS lets them in rests on the documents, which are written as
  AWS's guides have them.
- The one who assumes is the real one where that is a token or an account: botocore exchanges the
  token of ``IRSA`` and ``WebIdentity`` as in a pod, and for ``CrossAccount`` the role of the agent
  in the other account assumes the role here. moto has no service that hands roles out, neither
  EC2's metadata, ECS, Systems Manager, EKS Pod Identity nor IAM Roles Anywhere; there the test
  sends the request in the place of the service, with what the service would send along.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto.core import enable_iam_authentication

from cwagent_iam import (
    CrossAccount,
    CustomTrust,
    ECSTask,
    InlinePolicy,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
)
from cwagent_iam.testing import sandbox, strict_iam
from tests.trusts import ACCOUNT, REGIONS, SOURCE, trusts_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cwagent_iam.trust import Trust

_CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"
_POD = {
    "eks-cluster-arn": _CLUSTER,
    "kubernetes-namespace": "amazon-cloudwatch",
    "kubernetes-service-account": "cloudwatch-agent",
}
_CERTIFICATE = {"x509Subject/CN": "host.example.com", "x509Issuer/CN": "Example CA"}
# Who hands the role out: its session name, and what goes along with the request.
SERVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "custom": ("i-0123456789abcdef0", {}),
    "ec2": ("i-0123456789abcdef0", {}),
    "ecs-task": ("0123456789abcdef0123456789abcdef", {}),
    "pod-identity": ("eks-prod-cloudwatc-0123", {"Tags": _POD}),
    "roles-anywhere": ("0123456789abcdef", {"Tags": _CERTIFICATE, "SourceIdentity": "CN=host"}),
    "ssm-hybrid": ("mi-0123456789abcdef0", {}),
}
# Who assumes a role of another account must be allowed to by its own policies too.
MAY_ASSUME = InlinePolicy(
    "assume",
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
    },
)
TOKENS = ["aks", "azure-vm", "irsa", "irsa-namespaces"]
ACCOUNTS = ["cross-account", "cross-account-guarded"]
TRUSTS = trusts_in("aws")
BY_SERVICE = [name for name in TRUSTS if name not in {*TOKENS, *ACCOUNTS}]
PARTITIONS = ["aws-cn", "aws-us-gov"]
LOADER = botocore.loaders.create_loader()


def fresh_session(**given: Any) -> boto3.Session:
    """Return a session that shares only the data files of botocore with others."""
    core = botocore.session.Session()
    core.register_component("data_loader", LOADER)
    return boto3.Session(botocore_session=core, **given)


def make_role(trust: Trust, session: Any) -> tuple[str, str]:
    """Make a role with the library; return its ARN and id."""
    made = ensure_agent_role("Agent", trust=trust, path="/agents/", session=session)
    role = session.client("iam").get_role(RoleName="Agent")["Role"]
    assert made.role_arn == role["Arn"]
    return role["Arn"], role["RoleId"]


def session_of(reply: Any, region: str) -> boto3.Session:
    """Use credentials that STS gave."""
    given = reply["Credentials"]
    return fresh_session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=region,
    )


def identity(session: Any) -> tuple[str, str, str]:
    """Whose the credentials of a session are: account, ARN and id, as STS tells."""
    told = session.client("sts").get_caller_identity()
    return told["Account"], told["Arn"], told["UserId"]


def handed_out(session: Any, arn: str, name: str) -> tuple[boto3.Session, str]:
    """Let a service assume the role; return its session and the name of that."""
    service = next(each for each in SERVICES if name.startswith(each))
    called, along = SERVICES[service]
    tags = [{"Key": key, "Value": value} for key, value in along.get("Tags", {}).items()]
    request = along | ({"Tags": tags} if tags else {})
    reply = session.client("sts").assume_role(RoleArn=arn, RoleSessionName=called, **request)
    return session_of(reply, session.region_name), called


@contextmanager
def in_a_pod(arn: str, token: Path) -> Iterator[Any]:
    """Let botocore find what EKS or a webhook like it puts into a container, and nothing else."""
    token.write_text("a token that moto does not read", encoding="utf-8")
    found = {
        "AWS_ROLE_ARN": arn,
        "AWS_ROLE_SESSION_NAME": "pod",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
    }
    with patch.dict(os.environ, found):
        del os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        yield fresh_session()


def agent_elsewhere(session: Any, partition: str) -> boto3.Session:
    """Make the agent's role in another account with the library, and let EC2 there assume it."""
    admin = f"arn:{partition}:iam::{SOURCE}:role/Admin"
    reply = session.client("sts").assume_role(RoleArn=admin, RoleSessionName="admin")
    there = session_of(reply, session.region_name)
    made = ensure_agent_role(inline_policies=[MAY_ASSUME], session=there)
    assert made.role_arn == f"arn:{partition}:iam::{SOURCE}:role/CloudWatchAgentServerRole"
    agent, called = handed_out(there, made.role_arn, "ec2")
    role = there.client("iam").get_role(RoleName=made.role_name)["Role"]
    found = f"arn:{partition}:sts::{SOURCE}:assumed-role/{made.role_name}/{called}"
    assert identity(agent) == (SOURCE, found, f"{role['RoleId']}:{called}")
    return agent


# --- round trips ----------------------------------------------------------------------------------


def assumed(partition: str, called: str) -> str:
    """The ARN of a session of the role."""
    return f"arn:{partition}:sts::{ACCOUNT}:assumed-role/Agent/{called}"


def by_service(partition: str, name: str) -> None:
    """Go once around, with a service in between."""
    with sandbox(region=REGIONS[partition]) as session, strict_iam():
        arn, number = make_role(trusts_in(partition)[name], session)
        agent, called = handed_out(session, arn, name)
        assert identity(agent) == (ACCOUNT, assumed(partition, called), f"{number}:{called}")


def by_token(partition: str, name: str, token: Path) -> None:
    """Go once around, with a token."""
    with sandbox(region=REGIONS[partition]) as session, strict_iam():
        arn, number = make_role(trusts_in(partition)[name], session)
        with in_a_pod(arn, token) as agent:
            assert identity(agent) == (ACCOUNT, assumed(partition, "pod"), f"{number}:pod")
            assert agent.get_credentials().method == "assume-role-with-web-identity"


def by_account(partition: str, name: str) -> None:
    """Go once around, with another account's agent."""
    with sandbox(region=REGIONS[partition]) as session, strict_iam():
        agent: Any = agent_elsewhere(session, partition)
        arn, number = make_role(trusts_in(partition)[name], session)
        reply = agent.client("sts").assume_role(RoleArn=arn, RoleSessionName="central")
        found = identity(session_of(reply, REGIONS[partition]))
        assert found == (ACCOUNT, assumed(partition, "central"), f"{number}:central")


@pytest.mark.parametrize("name", BY_SERVICE)
def test_a_service_hands_the_role_out(name: str) -> None:
    """The role is there to be assumed by EC2, ECS, Systems Manager, EKS and Roles Anywhere."""
    by_service("aws", name)


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_is_exchanged_for_the_role(name: str, tmp_path: Path) -> None:
    """A pod, or a machine of Azure, needs no more than the role's ARN and its token."""
    by_token("aws", name, tmp_path / "token")


@pytest.mark.parametrize("name", ACCOUNTS)
def test_the_agent_of_another_account_assumes_the_role(name: str) -> None:
    """The role that the library made there assumes the role that it made here."""
    by_account("aws", name)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_round_trips_are_the_same_in_other_partitions(partition: str, tmp_path: Path) -> None:
    """One of each kind, with the ARNs of the partition."""
    by_service(partition, "ec2")
    by_token(partition, "irsa", tmp_path / "token")
    by_account(partition, "cross-account")


def test_every_trust_makes_its_round_trip() -> None:
    """No trust of the library is left out."""
    kinds = {type(trust).__name__ for trust in TRUSTS.values()}
    assert {type(TRUSTS[name]).__name__ for name in (*BY_SERVICE, *TOKENS, *ACCOUNTS)} == kinds
    assert kinds == {
        "CrossAccount",
        "CustomTrust",
        "EC2",
        "ECSTask",
        "IRSA",
        "PodIdentity",
        "RolesAnywhere",
        "SSMHybrid",
        "WebIdentity",
    }


def test_a_role_whose_trust_was_changed_is_assumed_as_before(session: boto3.Session) -> None:
    """A new trust leaves the role what it is: who assumes it next gets the same id."""
    arn, number = make_role(TRUSTS["ec2"], session)
    desired = plan_agent_role("Agent", trust=ECSTask(ACCOUNT), path="/agents/")
    assert [change.operation for change in ensure(desired, session=session).changes] == [
        "UpdateAssumeRolePolicy"
    ]
    agent, called = handed_out(session, arn, "ecs-task")
    assert identity(agent) == (ACCOUNT, assumed("aws", called), f"{number}:{called}")


# --- what moto can check of a trust ---------------------------------------------------------------


def user(name: str, session: Any) -> Any:
    """Make a user who may assume every role that lets it; return its STS."""
    ensure_agent_user(name, inline_policies=[MAY_ASSUME], session=session)
    key = session.client("iam").create_access_key(UserName=name)["AccessKey"]
    return session.client(
        "sts",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


AGENT = f"arn:aws:iam::{ACCOUNT}:user/agent"
IN_AGENT: dict[str, Trust] = {
    "CrossAccount": CrossAccount([AGENT]),
    "CrossAccount, several": CrossAccount([AGENT, SOURCE]),
    "CustomTrust": CustomTrust(CrossAccount([AGENT]).document()),
}


class TestTrustThatMotoReads:
    """Whether a trust lets in whom it shall, as far as moto can tell."""

    @pytest.mark.parametrize("trust", IN_AGENT.values(), ids=IN_AGENT)
    def test_the_user_is_let_in_and_no_other(self, trust: Trust, session: boto3.Session) -> None:
        """Both users may ask; the trust decides."""
        agent, stranger = (user(name, session) for name in ("agent", "stranger"))
        arn, number = make_role(trust, session)
        asked: dict[str, Any] = {"RoleArn": arn, "RoleSessionName": "server"}
        with enable_iam_authentication():
            found = identity(session_of(agent.assume_role(**asked), "us-east-1"))
            with pytest.raises(ClientError, match="AccessDenied"):
                stranger.assume_role(**asked)
        assert found == (ACCOUNT, assumed("aws", "server"), f"{number}:server")

    def test_moto_lets_everybody_in_unless_told(self, session: boto3.Session) -> None:
        """A stranger gets the role, and one that does not exist, which has no id of its own."""
        stranger = user("stranger", session)
        arn, number = make_role(IN_AGENT["CrossAccount"], session)
        absent = arn.replace("Agent", "Absent")
        replies = [
            stranger.assume_role(RoleArn=each, RoleSessionName="x1") for each in (arn, absent)
        ]
        found, invented = (identity(session_of(reply, "us-east-1"))[2] for reply in replies)
        assert found == f"{number}:x1"
        assert invented != found

    def test_moto_never_checks_other_accounts(self, session: boto3.Session) -> None:
        """Even when told to, it lets them in: the trust here is in EC2 alone."""
        elsewhere: Any = agent_elsewhere(session, "aws")
        arn, number = make_role(TRUSTS["ec2"], session)
        with enable_iam_authentication():
            reply = elsewhere.client("sts").assume_role(RoleArn=arn, RoleSessionName="x1")
        assert identity(session_of(reply, "us-east-1"))[2] == f"{number}:x1"

    def test_moto_does_not_know_a_role_by_its_session(self, session: boto3.Session) -> None:
        """When told to check, it turns away the very role that is trusted."""
        source = ensure_agent_role("Source", inline_policies=[MAY_ASSUME], session=session)
        trusted: Any = handed_out(session, source.role_arn, "ec2")[0]
        arn, _ = make_role(CrossAccount([source.role_arn]), session)
        with enable_iam_authentication(), pytest.raises(ClientError, match="AccessDenied"):
            trusted.client("sts").assume_role(RoleArn=arn, RoleSessionName="x1")
