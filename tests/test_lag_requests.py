"""How requests to the lagging IAM go: time they take, throttling, other accounts and services."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from cwagent_iam import observe, plan_agent_role
from cwagent_iam.testing import Fault, LaggyIAM, laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed

if TYPE_CHECKING:
    from cwagent_iam.testing.lagging.faults import Outcome

NO_LATENCY = attrs.evolve(PROFILES["off"], latency=0.0)
# Every write looks at a replica, and no replica ever learns of anything.
STALE = attrs.evolve(
    PROFILES["off"],
    lags={"admission": Fixed(900.0), "authz": Fixed(900.0), "read": Fixed(900.0)},
    router="alternate",
    stale_writes=1.0,
)
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
OTHER_ACCOUNT = "999999999999"


def impatient(lagging: LaggyIAM, service: str = "iam", **options: Any) -> Any:
    """Return a client that tries once."""
    session: Any = lagging.session
    once = Config(retries={"mode": "standard", "total_max_attempts": 1}, **options)
    return session.client(service, config=once)


@pytest.mark.parametrize(
    ("outcome", "error", "seconds"),
    [
        ("read timeout", ReadTimeoutError, 2.5),
        ("connection closed", ConnectionClosedError, 0.0),
        ("connection refused", EndpointConnectionError, 0.0),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_waiting_for_a_reply_takes_the_time_of_the_client(
    outcome: Outcome, error: type[Exception], seconds: float, when: Any
) -> None:
    """A read timeout passes the time that the client gives it; what breaks at once passes none."""
    with laggy_iam(NO_LATENCY) as lagging:
        lagging.fail(Fault(outcome, when=when))
        with pytest.raises(error):
            impatient(lagging, read_timeout=2.5).list_users()
        assert lagging.clock.elapsed == seconds


def test_this_library_waits_15_seconds_for_a_reply() -> None:
    """Its own clients say so, as those of users say theirs."""
    with laggy_iam(NO_LATENCY) as lagging:
        lagging.fail(Fault("read timeout", nth=1))
        observe(plan_agent_role(), session=lagging.session)
        assert 15.0 <= lagging.clock.elapsed < 18.0


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("iam", "list_users", "Throttling", 400),
        ("sts", "get_caller_identity", "Throttling", 400),
        ("ec2", "describe_instances", "RequestLimitExceeded", 503),
    ],
)
def test_a_full_bucket_speaks_as_its_service(
    service: str, operation: str, code: str, status: int
) -> None:
    """Who asks EC2 too often gets EC2's code."""
    with laggy_iam(attrs.evolve(NO_LATENCY, read_rate=(1.0, 1.0))) as lagging:
        call = getattr(impatient(lagging, service), operation)
        call()
        with pytest.raises(ClientError) as caught:
            call()
        response: Any = caught.value.response
        assert response["Error"]["Code"] == code
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_throttled_request_uses_up_no_fault() -> None:
    """A rule counts what gets past the bucket: what is throttled cannot go wrong otherwise."""
    with laggy_iam(attrs.evolve(NO_LATENCY, read_rate=(1.0, 1.0))) as lagging:
        lagging.fail(Fault("HTML 503", nth=2))
        iam = impatient(lagging)
        iam.list_users()
        for seconds in (0.0, 1.0):
            lagging.clock.sleep(seconds)
            with pytest.raises(ClientError):
                iam.list_users()
        outcomes = [request.outcome for request in lagging.trace]
        assert outcomes == ["200", "400 Throttling", "503"]


def test_what_a_read_misses_is_told_in_the_words_of_aws() -> None:
    """Not moto's words, of what is late and of what never was."""
    with laggy_iam(STALE) as lagging:
        iam = lagging.client("ours")
        iam.create_role(RoleName="R", AssumeRolePolicyDocument=TRUST)
        for name in ("R", "Never"):
            with pytest.raises(ClientError, match=rf"The role with name {name} cannot be found\."):
                iam.get_role(RoleName=name)


@pytest.mark.parametrize("name", ["Never", "Gone"])
def test_what_a_write_misses_is_told_in_the_words_of_aws(name: str) -> None:
    """The truth does not have it, whatever a replica still knows, and nothing was late."""
    with laggy_iam(STALE) as lagging:
        iam = lagging.client("ours")
        lagging.truth.create_role(RoleName="Gone", AssumeRolePolicyDocument=TRUST)
        iam.delete_role(RoleName="Gone")
        with pytest.raises(ClientError, match=rf"The role with name {name} cannot be found\."):
            iam.attach_role_policy(RoleName=name, PolicyArn=SERVER)


def test_a_principal_of_another_account_is_never_late() -> None:
    """A role of another account that is named like a new one of ours is taken as it is."""
    with laggy_iam(STALE) as lagging:
        iam = lagging.client("ours")
        iam.create_role(RoleName="New", AssumeRolePolicyDocument=TRUST)
        for account, refused in ((OTHER_ACCOUNT, False), ("123456789012", True)):
            arn = f"arn:aws:iam::{account}:role/New"
            document = {**json.loads(TRUST)["Statement"][0], "Principal": {"AWS": arn}}
            said = ""
            try:
                iam.create_role(
                    RoleName=f"In{account}",
                    AssumeRolePolicyDocument=json.dumps(
                        {"Version": "2012-10-17", "Statement": [document]}
                    ),
                )
            except ClientError as error:
                said = error.response["Error"]["Code"]
            assert said == ("MalformedPolicyDocument" if refused else "")


@pytest.mark.parametrize(("region", "partition"), [("us-east-1", "aws"), ("cn-north-1", "aws-cn")])
def test_sts_lags_for_the_roles_of_the_account(region: str, partition: str) -> None:
    """A new role cannot be assumed yet, in whatever partition; one of another account can be."""
    with laggy_iam(STALE, region=region) as lagging:
        lagging.client("ours").create_role(RoleName="New", AssumeRolePolicyDocument=TRUST)
        assume = lagging.client("ours", "sts").assume_role
        other = f"arn:{partition}:iam::{OTHER_ACCOUNT}:role/New"
        assume(RoleArn=other, RoleSessionName="session")
        with pytest.raises(ClientError, match="AccessDenied"):
            assume(RoleArn=other.replace(OTHER_ACCOUNT, "123456789012"), RoleSessionName="session")


def test_sts_lags_for_tokens_too() -> None:
    """A role of the account that STS does not know yet is given for no token, another one is."""
    with laggy_iam(STALE) as lagging:
        lagging.client("ours").create_role(RoleName="New", AssumeRolePolicyDocument=TRUST)
        assume = lagging.client("pod", "sts").assume_role_with_web_identity
        arn = "arn:aws:iam::123456789012:role/New"
        token = {"RoleSessionName": "session", "WebIdentityToken": "token"}
        with pytest.raises(ClientError, match="Not authorized to perform"):
            assume(RoleArn=arn, **token)
        assume(RoleArn=arn.replace("123456789012", OTHER_ACCOUNT), **token)
        lagging.settle()
        assert assume(RoleArn=arn, **token)["AssumedRoleUser"]["Arn"].endswith("/New/session")


def test_another_account_does_not_lag() -> None:
    """Who works in another account sees at once what it does there, whatever is late in ours."""
    with laggy_iam(STALE) as lagging:
        session: Any = lagging.session
        lagging.client("ours").create_role(RoleName="Same", AssumeRolePolicyDocument=TRUST)
        arn = f"arn:aws:iam::{OTHER_ACCOUNT}:role/Admin"
        got = session.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")[
            "Credentials"
        ]
        iam = session.client(
            "iam",
            aws_access_key_id=got["AccessKeyId"],
            aws_secret_access_key=got["SecretAccessKey"],
            aws_session_token=got["SessionToken"],
        )
        iam.create_role(RoleName="Same", AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName="Same", PolicyArn=SERVER)
        attached = iam.list_attached_role_policies(RoleName="Same")["AttachedPolicies"]
        assert [policy["PolicyArn"] for policy in attached] == [SERVER]
        truth = lagging.truth.list_attached_role_policies(RoleName="Same")
        assert truth["AttachedPolicies"] == []


@pytest.mark.parametrize("operation", ["create_user", "get_user"])
def test_what_is_not_aws_is_not_answered(operation: str) -> None:
    """A request to another address is refused by the sandbox, and the trace says so."""
    with laggy_iam("off") as lagging:
        session: Any = lagging.session
        elsewhere = session.client("iam", endpoint_url="http://127.0.0.1:9")
        with pytest.raises(RuntimeError, match=r"nothing in the sandbox answers POST 127\.0\.0\.1"):
            getattr(elsewhere, operation)(UserName="U")
        assert [request.outcome for request in lagging.trace] == ["not answered"]
