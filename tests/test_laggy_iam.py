"""The lagging IAM: it lags, flaps, fails and kills as it says, and this library is right anyway."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from cwagent_iam import (
    IntentError,
    ensure_agent_role,
    ensure_agent_user,
)
from cwagent_iam.testing import Fault, Profile, laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed

if TYPE_CHECKING:
    from collections.abc import Callable


TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ROLE = "CloudWatchAgentServerRole"
# One replica knows at once, the others after 2 and 4 seconds.
SCRIPT = Profile(
    lags={
        "read": Fixed(0, 2, 4),
        "admission": Fixed(0, 2, 4),
        "authz": Fixed(8),
        "ec2": Fixed(6),
    },
    router="alternate",
    stale_writes=0.0,
    half_built=0.0,
)


def routed(*replicas: int, **fields: Any) -> Profile:
    """Return the profile of the script with other routes and fields."""
    return attrs.evolve(SCRIPT, router=replicas, **fields)


def make_role(iam: Any, name: str = "R") -> None:
    """Make a role with plain boto3."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)


def code_of(call: Callable[..., object], **arguments: object) -> str:
    """Call, and return AWS's code, or ``ok``."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


class TestReads:
    """What reads get to see."""

    def test_flapping(self) -> None:
        """A new role is there for one replica and not for the next, until all have caught up."""
        with laggy_iam(SCRIPT) as lagging:
            iam = lagging.client("reader")
            make_role(iam)
            seen = [code_of(iam.get_role, RoleName="R") == "ok" for _ in range(6)]
            assert True in seen
            assert False in seen
            lagging.settle()
            assert all(code_of(iam.get_role, RoleName="R") == "ok" for _ in range(6))

    def test_stale_attribute(self) -> None:
        """After an update a replica may show what was before."""
        with laggy_iam(routed(0, 2)) as lagging:
            iam = lagging.client("reader")
            make_role(lagging.truth)
            iam.update_role(RoleName="R", Description="new", MaxSessionDuration=3600)
            assert iam.get_role(RoleName="R")["Role"].get("Description") is None
            lagging.settle()
            assert iam.get_role(RoleName="R")["Role"]["Description"] == "new"

    def test_deleted_but_visible(self) -> None:
        """A deleted role may still be shown, with its policies."""
        with laggy_iam(routed(0, 0, 2)) as lagging:
            iam = lagging.client("reader")
            make_role(lagging.truth)
            iam.delete_role(RoleName="R")
            assert code_of(lagging.truth.get_role, RoleName="R") == "NoSuchEntity"
            assert code_of(iam.get_role, RoleName="R") == "NoSuchEntity"
            assert code_of(iam.get_role, RoleName="R") == "ok"

    def test_half_built(self) -> None:
        """For a while a new role may show its bare id in place of its ARN."""
        profile = routed(0, half_built=1.0, building=Fixed(3))
        with laggy_iam(profile) as lagging:
            iam = lagging.client("reader")
            make_role(iam)
            assert iam.get_role(RoleName="R")["Role"]["Arn"].startswith("AROA")
            lagging.settle()
            assert iam.get_role(RoleName="R")["Role"]["Arn"].startswith("arn:")

    def test_sticky(self) -> None:
        """With sticky routes one client always asks the same replica."""
        with laggy_iam(attrs.evolve(SCRIPT, router="sticky")) as lagging:
            iam = lagging.client("reader")
            make_role(iam)
            for _ in range(4):
                code_of(iam.get_role, RoleName="R")
            assert len({request.replica for request in lagging.trace}) == 1


class TestOtherPlanes:
    """Writes, STS, EC2 and access keys learn in their own time."""

    def test_write_against_a_stale_view(self) -> None:
        """A write may not find what was just made, and says so in AWS's words."""
        with laggy_iam(routed(2, stale_writes=1.0)) as lagging:
            iam = lagging.client("writer")
            make_role(iam)
            with pytest.raises(ClientError, match=r"The role with name R cannot be found\."):
                iam.attach_role_policy(RoleName="R", PolicyArn=SERVER)
            lagging.settle()
            iam.attach_role_policy(RoleName="R", PolicyArn=SERVER)

    def test_sts(self) -> None:
        """A role cannot be assumed before STS knows it."""
        with laggy_iam(SCRIPT) as lagging:
            make_role(lagging.client("writer"))
            arn = lagging.truth.get_role(RoleName="R")["Role"]["Arn"]
            assume = lagging.client("user", "sts").assume_role
            arguments = {"RoleArn": arn, "RoleSessionName": "agent"}
            assert code_of(assume, **arguments) == "AccessDenied"
            lagging.settle()
            assert code_of(assume, **arguments) == "ok"

    def test_ec2(self) -> None:
        """EC2 learns of a profile later than IAM, and of its role too."""
        with laggy_iam(SCRIPT) as lagging:
            ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            ec2 = lagging.client("launcher", "ec2")
            arguments = {
                "ImageId": "ami-12c6146b",
                "MinCount": 1,
                "MaxCount": 1,
                "DryRun": True,
                "IamInstanceProfile": {"Name": ROLE},
            }
            codes = {code_of(ec2.run_instances, **arguments)}
            lagging.settle()
            codes.add(code_of(ec2.run_instances, **arguments))
            assert codes == {"InvalidParameterValue", "DryRunOperation"}

    def test_new_key(self) -> None:
        """A new access key is unknown for some seconds."""
        with laggy_iam(SCRIPT) as lagging:
            ensure_agent_user("U", session=lagging.session, propagation=lagging.propagation)
            lagging.settle()
            key = lagging.client("admin").create_access_key(UserName="U")["AccessKey"]
            keys = {
                "aws_access_key_id": key["AccessKeyId"],
                "aws_secret_access_key": key["SecretAccessKey"],
            }
            sts: Any = lagging.session.client("sts", **keys)
            assert code_of(sts.get_caller_identity) == "InvalidClientTokenId"
            lagging.settle()
            assert sts.get_caller_identity()["Arn"].endswith("user/U")


class TestFaults:
    """What goes wrong with requests."""

    def test_lost_reply(self) -> None:
        """The work is done, and the client does not get to know."""
        with laggy_iam("off") as lagging:
            fault = Fault("connection closed", "CreateRole", "writer", when="after")
            lagging.fail(fault)
            with pytest.raises((ConnectionClosedError, ClientError)):
                make_role(lagging.client("writer"))
            assert code_of(lagging.truth.get_role, RoleName="R") == "ok"

    def test_throttling(self) -> None:
        """Who sends too much at once is told to slow down, and botocore does, in no real time."""
        with laggy_iam(attrs.evolve(PROFILES["off"], read_rate=(1.0, 2.0))) as lagging:
            started = time.monotonic()
            iam = lagging.client("reader")
            for _ in range(5):
                iam.list_users()
            assert "400 Throttling" in {request.outcome for request in lagging.trace}
            assert lagging.clock.elapsed > 1
            assert time.monotonic() - started < lagging.clock.elapsed + 5

    def test_rival(self) -> None:
        """Somebody else can act right before a request."""
        with laggy_iam("off") as lagging:
            lagging.before_request(2, lambda: make_role(lagging.client("rival")))
            iam = lagging.client("reader")
            assert code_of(iam.get_role, RoleName="R") == "NoSuchEntity"
            assert code_of(iam.get_role, RoleName="R") == "ok"

    def test_note(self) -> None:
        """An error that ends the block tells the seed and all requests."""
        with pytest.raises(ClientError) as caught, laggy_iam("off", seed=7) as lagging:
            lagging.client("reader").get_user(UserName="nobody")
        (note,) = caught.value.__notes__
        assert note.startswith("seed 7\n")
        assert "reader" in note
        assert "GetUser nobody -> 404 NoSuchEntity" in note

    def test_unknown_profile(self) -> None:
        """A profile that does not exist is refused with those that do."""
        with pytest.raises(IntentError, match="off, typical, bad_day, adversarial"):
            laggy_iam("nice").__enter__()

    def test_same_seed(self) -> None:
        """The same seed gives the same requests with the same ends at the same times."""
        traces = []
        for _ in range(2):
            with laggy_iam("bad_day", seed=3) as lagging:
                ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
                traces.append(str(lagging.trace))
        assert traces[0] == traces[1]

    def test_off(self) -> None:
        """Without trouble nothing is late, and the library needs no wait."""
        with laggy_iam("off") as lagging:
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            assert len(role.changes) == 4
            assert {request.fault for request in lagging.trace} == {""}


def naive(iam: Any) -> None:
    """Do what scripts do: create, then use."""
    make_role(iam)
    iam.get_role(RoleName="R")
    iam.attach_role_policy(RoleName="R", PolicyArn=SERVER)
    iam.create_instance_profile(InstanceProfileName="R")
    iam.add_role_to_instance_profile(InstanceProfileName="R", RoleName="R")


def test_a_naive_script_fails() -> None:
    """On a usual day a script that uses at once what it makes fails more often than not."""
    failed = 0
    for seed in range(20):
        with laggy_iam("typical", seed=seed) as lagging:
            try:
                naive(lagging.client("script"))
            except ClientError:
                failed += 1
    assert failed > 10
