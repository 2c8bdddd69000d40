"""The border to boto3: clients, partitions, and AWS's errors as facts."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError

from cwagent_iam import (
    ApplyError,
    ObserveError,
    apply,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    observe,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
)
from cwagent_iam.aws import client_for, code_of, reason_of
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Requests, VirtualTime

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
REGIONS = {
    "us-east-1": ("aws", "ec2.amazonaws.com"),
    "cn-north-1": ("aws-cn", "ec2.amazonaws.com.cn"),
    "us-gov-west-1": ("aws-us-gov", "ec2.amazonaws.com"),
    "us-iso-east-1": ("aws-iso", "ec2.c2s.ic.gov"),
}
CALLS: dict[str, Callable[..., object]] = {
    "observe": lambda **options: observe(plan_agent_user(), **options),
    "preview": lambda **options: preview(plan_agent_user(), **options),
    "apply": lambda **options: apply(preview(plan_agent_user(), **options), **options),
    "ensure": lambda **options: ensure(plan_agent_user(), **options),
    "remove": lambda **options: remove(plan_agent_user(), **options),
    "ensure_agent_role": ensure_agent_role,
    "ensure_agent_user": ensure_agent_user,
}


def trust(service: str) -> dict[str, Any]:
    """Return a trust that lets *service* assume the role."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


class TestPartitions:
    """The same intent in each partition."""

    @pytest.mark.parametrize(("region", "row"), REGIONS.items(), ids=list(REGIONS))
    def test_role(self, region: str, row: tuple[str, str]) -> None:
        """A role has the partition's ARNs and EC2's name there; again, and away again."""
        partition, ec2 = row
        arn = f"arn:{partition}:iam::123456789012"
        limit = f"arn:{partition}:iam::aws:policy/ReadOnlyAccess"
        desired = plan_agent_role(permissions_boundary=limit)
        with sandbox(region=region) as session:
            iam = session.client("iam")
            made = ensure(desired, session=session)
            role = iam.get_role(RoleName=ROLE)["Role"]
            attached = iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
            again = ensure(desired, session=session)
            removed = remove(desired, session=session)
            left = iam.list_roles()["Roles"]
        assert made.arns["role", ROLE] == f"{arn}:role/{ROLE}"
        assert made.arns["instance-profile", ROLE] == f"{arn}:instance-profile/{ROLE}"
        assert role["AssumeRolePolicyDocument"] == trust(ec2)
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == limit
        assert [policy["PolicyArn"] for policy in attached] == [
            f"arn:{partition}:iam::aws:policy/CloudWatchAgentServerPolicy"
        ]
        assert (again.changed, len(removed.changes), left) == (False, 4, [])

    @pytest.mark.parametrize(("region", "row"), REGIONS.items(), ids=list(REGIONS))
    def test_user(self, region: str, row: tuple[str, str]) -> None:
        """A user has the partition's ARNs; again, and away again."""
        partition = row[0]
        limit = f"arn:{partition}:iam::aws:policy/ReadOnlyAccess"
        desired = plan_agent_user(permissions_boundary=limit)
        with sandbox(region=region) as session:
            iam = session.client("iam")
            made = ensure(desired, session=session)
            user = iam.get_user(UserName=USER)["User"]
            attached = iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]
            again = ensure(desired, session=session)
            removed = remove(desired, session=session)
            left = iam.list_users()["Users"]
        assert made.arns["user", USER] == f"arn:{partition}:iam::123456789012:user/{USER}"
        assert user["PermissionsBoundary"]["PermissionsBoundaryArn"] == limit
        assert [policy["PolicyArn"] for policy in attached] == [
            f"arn:{partition}:iam::aws:policy/CloudWatchAgentServerPolicy"
        ]
        assert (again.changed, len(removed.changes), left) == (False, 2, [])

    @pytest.mark.parametrize("service", ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"])
    @pytest.mark.parametrize("tags", [[], [{"Key": "ManagedBy", "Value": "cwagent-iam"}]])
    def test_china(self, service: str, tags: list[dict[str, str]]) -> None:
        """China has two names for EC2; a role with either is as desired, whoever made it."""
        with sandbox(region="cn-north-1") as session:
            document = json.dumps(trust(service))
            iam: Any = session.client("iam")
            iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=document, Tags=tags)
            desired = plan_agent_role(policies=(), instance_profile=False)
            assert not preview(desired, session=session)

    @pytest.mark.parametrize(
        ("region", "service"),
        [("us-east-1", "ec2.amazonaws.com.cn"), ("us-iso-east-1", "ec2.sc2s.sgov.gov")],
    )
    def test_name_of_elsewhere(self, region: str, service: str) -> None:
        """A name that EC2 has in another partition only is drift, and is mended."""
        with sandbox(region=region) as session:
            ensure_agent_role(session=session)
            iam = session.client("iam")
            document = json.dumps(trust(service))
            iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=document)
            result = ensure_agent_role(session=session)
        assert [change.operation for change in result.changes] == ["UpdateAssumeRolePolicy"]


@pytest.fixture(params=["as it is", "environment", "default config"])
def caller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A session of a caller who has settings of his own."""
    with sandbox() as session:
        match request.param:
            case "environment":
                monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
                monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
                yield boto3.Session()
            case "default config":
                core = botocore.session.Session()
                retries: Any = {"mode": "legacy", "max_attempts": 8}
                settings = Config(retries=retries, connect_timeout=99, read_timeout=99)
                core.set_default_client_config(settings)
                yield boto3.Session(botocore_session=core)
            case _:
                yield session


class TestClients:
    """The client that does the work."""

    def test_built(self, caller: boto3.Session) -> None:
        """A client that we build has our retries, timeouts and name, whatever the caller set."""
        sent: list[str] = []

        def note(request: Any, **_event: object) -> None:
            sent.append(request.headers["User-Agent"].decode())

        caller.events.register("before-send.iam", note)
        client: Any = client_for(caller, None)
        config = client.meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": 4}
        assert (config.connect_timeout, config.read_timeout) == (5, 15)
        assert observe(plan_agent_user(), session=caller).entities == ()
        assert sent[0].endswith(f" cwagent-iam/{importlib.metadata.version('cwagent-iam')}")

    def test_attempts(self, caller: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """A request that meets a failing server is sent four times, whatever the caller set."""
        client: Any = client_for(caller, None)
        sent = itertools.count()

        def fail(request: Any, **_event: object) -> AWSResponse:
            next(sent)
            error = "<Error><Code>ServiceFailure</Code><Message>Sorry.</Message></Error>"
            return reply(request.url, 500, f"<ErrorResponse>{error}</ErrorResponse>")

        client.meta.events.register_first("before-send.iam", fail)
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
        with pytest.raises(ObserveError) as caught:
            observe(plan_agent_user(), iam=client)
        assert (caught.value.code, next(sent)) == ("ServiceFailure", 4)

    @pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
    def test_client_wins(self, call: Callable[..., object], session: boto3.Session) -> None:
        """A client that is given is used, and the session beside it is not even asked."""

        class Unused:
            def client(self, service_name: str, *, config: object = None) -> Any:
                raise AssertionError(service_name, config)

        client = session.client("iam")
        asked: list[object] = []
        client.meta.events.register("before-call.iam", lambda model, **_: asked.append(model))
        call(iam=client, session=Unused())
        assert asked

    @pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
    def test_default_session(self, call: Callable[..., object], requests: Requests) -> None:
        """Without session and client it is boto3's default session."""
        call()
        assert requests.sent

    def test_client_is_not_altered(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A client that is given has the same configuration and handlers afterwards."""
        client = session.client("iam")
        before = snapshot(client)
        for desired in (plan_agent_role(), plan_agent_user()):
            ensure(desired, iam=client, propagation=virtual_time.propagation())
            remove(desired, iam=client, propagation=virtual_time.propagation())
        assert snapshot(client) == before

    def test_nothing_is_built_too_early(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Planning builds no client, and neither does a refused argument."""

        def build(*args: object, **options: object) -> None:
            raise AssertionError(args, options)

        monkeypatch.setattr(boto3, "client", build)
        plan_agent_role()
        with pytest.raises(ValueError, match="role_name="):
            ensure_agent_role("no spaces")


def snapshot(client: Any) -> tuple[object, ...]:
    """Return a client's configuration, handlers and attributes."""
    handlers = client.meta.events._emitter._handlers._root  # noqa: SLF001  there is no public way
    return vars(client.meta.config).copy(), repr(handlers), set(vars(client))


def reply(url: str, status: int, body: str) -> AWSResponse:
    """Return what a server sent."""

    class Raw:
        def stream(self, **_options: object) -> Iterator[bytes]:
            yield body.encode()

    return AWSResponse(url, status, HTTPHeaders(), Raw())


# What botocore makes of replies that are XML and yet no full error of IAM.
INCOMPLETE = {
    "page of a proxy": (403, "<html><body>Access denied by proxy</body></html>", None),
    "no code": (400, "<ErrorResponse><Error><Message>m</Message></Error></ErrorResponse>", None),
    "no message": (
        409,
        "<ErrorResponse><Error><Code>UnmodifiableEntity</Code></Error></ErrorResponse>",
        "UnmodifiableEntity",
    ),
    "empty message": (
        409,
        "<ErrorResponse><Error><Code>DeleteConflict</Code><Message/></Error></ErrorResponse>",
        "DeleteConflict",
    ),
}


class TestErrors:
    """What AWS, or something on the way, says when it does not do what it is asked."""

    def test_refusal(self) -> None:
        """A refusal has AWS's short code and words."""
        error = ClientError({"Error": {"Code": "NoSuchEntity", "Message": "Gone."}}, "GetRole")
        assert (code_of(error), reason_of(error)) == ("NoSuchEntity", "Gone.")

    def test_no_answer(self) -> None:
        """Where AWS gave no answer there is no code, and the words are the transport's."""
        error = NoCredentialsError()
        assert (code_of(error), reason_of(error)) == (None, "Unable to locate credentials")

    @pytest.mark.parametrize("row", INCOMPLETE.values(), ids=list(INCOMPLETE))
    @pytest.mark.parametrize("operation", ["GetUser", "CreateUser"])
    def test_incomplete(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        row: tuple[int, str, str | None],
        operation: str,
    ) -> None:
        """A reply that is no full error of IAM is an error of ours all the same, with words."""
        status, body, code = row
        client: Any = session.client("iam")

        def answer(request: Any, **_event: object) -> AWSResponse:
            return reply(request.url, status, body)

        client.meta.events.register_first(f"before-send.iam.{operation}", answer)
        with pytest.raises((ObserveError, ApplyError)) as caught:
            ensure(plan_agent_user(), iam=client, propagation=virtual_time.propagation())
        assert (caught.value.operation, caught.value.code) == (operation, code)
        assert isinstance(caught.value.reason, str)
        assert "None" not in str(caught.value)


def test_a_bundle_without_metadata_works(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the package's metadata was stripped, only the version in the user agent is unknown."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    client: Any = client_for(session, None)
    assert client.meta.config.user_agent_extra.endswith("cwagent-iam/unknown")
