"""The border to boto3: clients, partitions, and AWS's errors as facts."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import NoRegionError

from cwagent_iam import (
    ApplyError,
    IntentError,
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
from cwagent_iam.aws.clients import Clients
from cwagent_iam.aws.sender import call
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
    """Return a trust policy that lets *service* assume the role."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


class TestPartitions:
    """The same intent in each partition."""

    @pytest.mark.parametrize(("region", "row"), REGIONS.items(), ids=list(REGIONS))
    def test_role(self, region: str, row: tuple[str, str]) -> None:
        """A role has the partition's ARNs and EC2's name there; it is kept, and removed."""
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
        """A user has the partition's ARNs; it is kept, and removed."""
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
        """In China EC2 has two names; a role with either is as desired, managed or not."""
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
        """A name that EC2 has only in another partition is drift, and is repaired."""
        with sandbox(region=region) as session:
            ensure_agent_role(session=session)
            iam = session.client("iam")
            document = json.dumps(trust(service))
            iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=document)
            result = ensure_agent_role(session=session)
        assert [change.operation for change in result.changes] == ["UpdateAssumeRolePolicy"]


@pytest.fixture(params=["defaults", "environment", "default config"])
def caller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a session of a caller, with and without settings that differ from the defaults."""
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
    """The client for IAM."""

    def test_built(self, caller: boto3.Session) -> None:
        """A client that is built has this library's retries, timeouts and name, whatever is set."""
        sent: list[str] = []

        def note(request: Any, **_event: object) -> None:
            sent.append(request.headers["User-Agent"].decode())

        caller.events.register("before-send.iam", note)
        client = Clients(caller).of("iam")
        config = client.meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": 1}
        assert (config.connect_timeout, config.read_timeout) == (5, 15)
        assert observe(plan_agent_user(), session=caller).entities == ()
        assert sent[0].endswith(f" cwagent-iam/{importlib.metadata.version('cwagent-iam')}")

    @pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
    def test_client_wins(self, call: Callable[..., object], session: boto3.Session) -> None:
        """A client that is handed in is used, and the session beside it is not."""

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
        """Without a session and a client, boto3's default session is used."""
        call()
        assert requests.sent

    def test_client_is_not_altered(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A client that is handed in has the same configuration and handlers afterwards."""
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


KEYS = ("AKIDEXAMPLE", "secret", "token")


# A session reads AWS's models anew, which takes longer than the tests.
@functools.cache
def session_in(region: str, *keys: str) -> boto3.Session:
    """Return a session of a caller."""
    session: Any = boto3.Session
    made: boto3.Session = session(*keys, region_name=region)
    return made


def iam_client(region: str = "eu-west-1", **options: Any) -> Any:
    """Return a client for IAM that a caller hands in, of an unknown session."""
    session: Any = session_in(region, *KEYS)
    return session.client("iam", **options)


@pytest.fixture(params=[True, False], ids=["session", "no session"])
def beside(request: pytest.FixtureRequest) -> boto3.Session | None:
    """Return the session that is handed in beside a client, if any."""
    return session_in("eu-south-1", "other", "keys") if request.param else None


class TestBuiltClients:
    """Clients that are built for one call."""

    def test_settings(self, caller: boto3.Session) -> None:
        """A client that is built sends once, and has this library's timeouts and name."""
        config = Clients(caller).of("iam").meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": 1}
        assert (config.connect_timeout, config.read_timeout) == (5, 15)
        assert config.user_agent_extra == f"cwagent-iam/{importlib.metadata.version('cwagent-iam')}"

    @pytest.mark.parametrize(("most", "size"), [(1, 10), (8, 10), (30, 30)])
    def test_pool(self, session: boto3.Session, most: int, size: int) -> None:
        """Each request in flight has a connection."""
        client = Clients(session, max_in_flight=most).of("iam")
        assert client.meta.config.max_pool_connections == size

    def test_once(self, session: boto3.Session) -> None:
        """A client is built once, when it is needed."""
        clients = Clients(session)
        assert clients.of("sts") is clients.of("sts")
        assert clients.build("sts") is not clients.of("sts")
        assert clients.of("sts").meta.service_model.service_name == "sts"

    @pytest.mark.parametrize(("region", "row"), REGIONS.items(), ids=list(REGIONS))
    def test_partition(self, region: str, row: tuple[str, str]) -> None:
        """The partition is known without a request."""
        assert Clients(session_in(region, *KEYS)).of("iam").meta.partition == row[0]
        assert Clients(iam=iam_client(region)).of("iam").meta.partition == row[0]

    def test_default_session(self, session: boto3.Session) -> None:
        """Without a session and a client, boto3's default session is used."""
        assert session.region_name == "us-east-1"
        assert Clients().of("ec2").meta.region_name == "us-east-1"

    def test_other_credentials(self, session: boto3.Session) -> None:
        """A client may sign with other credentials."""
        keys = {"aws_access_key_id": "AKIDOTHER", "aws_secret_access_key": "s"}
        for clients in (Clients(session), Clients(iam=iam_client())):
            assert credentials_of(clients.build("sts", **keys)).access_key == "AKIDOTHER"

    def test_no_region(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing Region is an `IntentError` for EC2, and botocore's error for others."""
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
        clients = Clients(boto3.Session(*KEYS))
        with pytest.raises(IntentError, match="ec2=None: must be a client, unless session= is"):
            clients.of("ec2")
        with pytest.raises(NoRegionError):
            clients.of("ssm")

    def test_threads(self) -> None:
        """Calls in several threads may share a session: it builds one client at a time."""
        two_at_a_time = threading.Barrier(2, timeout=0.05)

        class Session:
            def client(self, *_args: object, **_options: object) -> Any:
                with contextlib.suppress(threading.BrokenBarrierError):
                    two_at_a_time.wait()
                    pytest.fail("two clients are being built")

        session: Any = Session()
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(Clients(session).build, "iam") for _ in range(4)]:
                future.result()


class TestSideClients:
    """Clients for STS and EC2 beside a client for IAM that is handed in."""

    def test_handed_in(self, beside: boto3.Session | None) -> None:
        """Clients that are handed in are used, and stay unaltered."""
        iam, ec2 = iam_client(), object()
        before = snapshot(iam)
        clients = Clients(beside, iam=iam, ec2=ec2)
        assert (clients.of("iam"), clients.of("ec2")) == (iam, ec2)
        assert clients.of("sts") is not clients.of("ssm")
        assert snapshot(iam) == before

    def test_no_session(self) -> None:
        """A client for EC2 is not built from a client for IAM alone."""
        with pytest.raises(IntentError, match="ec2=None"):
            Clients(iam=iam_client()).of("ec2")

    def test_credentials(self, beside: boto3.Session | None) -> None:
        """Without a session the credentials are the client's own, refreshed with it."""
        iam = iam_client()
        sts = Clients(beside, iam=iam).of("sts")
        assert (credentials_of(sts) is credentials_of(iam)) is (beside is None)
        assert credentials_of(sts).access_key == ("other" if beside else KEYS[0])

    def test_region(self, beside: boto3.Session | None) -> None:
        """The Region is that of the session, or else of the client."""
        ssm = Clients(beside, iam=iam_client()).of("ssm")
        assert ssm.meta.region_name == ("eu-south-1" if beside else "eu-west-1")

    def test_region_of_another_partition(self, beside: boto3.Session | None) -> None:
        """A session in another partition gives no Region."""
        clients = Clients(beside, iam=iam_client("cn-north-1"))
        assert clients.of("sts").meta.endpoint_url == "https://sts.cn-north-1.amazonaws.com.cn"

    def test_transport(self, beside: boto3.Session | None) -> None:
        """Proxies, certificates, and FIPS are those of the client; retries are not."""
        proxies = {"https": "http://proxy.example:3128"}
        more: Any = {
            "proxies": proxies,
            "proxies_config": {"proxy_use_forwarding_for_https": True},
            "client_cert": "client.pem",
            "use_fips_endpoint": True,
        }
        settings = Config(**more, retries={"total_max_attempts": 9})
        iam = iam_client(verify="bundle.pem", config=settings)
        sts = Clients(beside, iam=iam).of("sts")
        assert {name: getattr(sts.meta.config, name) for name in more} == more
        assert sts.meta.config.retries["total_max_attempts"] == 1
        assert sts._endpoint.http_session._verify == "bundle.pem"  # noqa: SLF001
        assert sts.meta.endpoint_url.startswith("https://sts-fips.")

    @pytest.mark.parametrize("verify", [False, None])
    def test_no_verification(self, beside: boto3.Session | None, verify: object) -> None:
        """A client that trusts any certificate, for an emulator, has side clients that do."""
        iam = iam_client(verify=verify)
        sts = Clients(beside, iam=iam).of("sts")
        own, side = (each._endpoint.http_session._verify for each in (iam, sts))  # noqa: SLF001
        assert own == side

    @pytest.mark.parametrize(
        ("endpoint", "inherited"),
        [
            ("http://localhost:4566", True),
            ("https://iam.example.com", True),
            ("https://amazonaws.com.example.com", True),
            ("https://notamazonaws.com", True),
            ("https://vpce-1.iam.us-east-1.vpce.amazonaws.com", False),
            ("https://iam.global.api.aws", False),
            (None, False),
        ],
    )
    def test_endpoint(
        self, beside: boto3.Session | None, endpoint: str | None, *, inherited: bool
    ) -> None:
        """The endpoint of an emulator serves all services, one of AWS only IAM."""
        clients = Clients(beside, iam=iam_client(endpoint_url=endpoint))
        own = f"https://sts.{'eu-south-1' if beside else 'eu-west-1'}.amazonaws.com"
        assert clients.of("sts").meta.endpoint_url == (endpoint if inherited else own)

    def test_emulator(self) -> None:
        """STS is asked at the endpoint of the emulator, with the same credentials."""
        sent: list[tuple[str, bool]] = []

        def note(request: Any, **_event: object) -> None:
            signed = b"Credential=AKIDEXAMPLE/" in request.headers["Authorization"]
            sent.append((urlsplit(request.url).netloc, signed))
            request.url = request.url.replace("http://localhost:4566", "https://sts.amazonaws.com")

        with sandbox():
            clients = Clients(iam=iam_client(endpoint_url="http://localhost:4566"))
            clients.of("sts").meta.events.register_first("before-send.sts", note)
            assert call(clients.of("sts"), "GetCallerIdentity")["Account"] == "123456789012"
        assert sent == [("localhost:4566", True)]

    def test_a_client_of_another_kind(self, beside: boto3.Session | None) -> None:
        """From a client that is not botocore's, only the partition is used."""
        mock: Any = SimpleNamespace(meta=SimpleNamespace(partition="aws"))
        with sandbox() as session:
            sts = Clients(beside, iam=mock).of("sts")
            assert sts.meta.region_name == ("eu-south-1" if beside else session.region_name)
            assert (credentials_of(sts) is None) is (beside is None)


OTHER_KEYS = {"aws_access_key_id": "AKIDOTHER", "aws_secret_access_key": "s"}


def sts_client(**options: Any) -> Any:
    """Return a client for STS that a caller hands in, of an unknown session."""
    session: Any = session_in("eu-west-1", *KEYS)
    return session.client("sts", **options)


class TestSTS:
    """Clients for STS that sign with other credentials."""

    @pytest.mark.parametrize("iam", [None, "eu-west-1"], ids=["session", "client"])
    def test_region(self, iam: str | None, beside: boto3.Session | None) -> None:
        """A client is built for the Region that is asked for."""
        clients = Clients(
            beside or session_in("eu-west-1", *KEYS), iam=iam_client(iam) if iam else None
        )
        sts = clients.build("sts", "eu-north-1", **OTHER_KEYS)
        assert sts.meta.region_name == "eu-north-1"
        assert sts.meta.endpoint_url == "https://sts.eu-north-1.amazonaws.com"
        assert credentials_of(sts).access_key == "AKIDOTHER"

    def test_region_of_a_client_alone(self) -> None:
        """The Region that is asked for comes before that of a client for IAM."""
        sts = Clients(iam=iam_client()).build("sts", "eu-north-1", **OTHER_KEYS)
        assert sts.meta.endpoint_url == "https://sts.eu-north-1.amazonaws.com"

    @pytest.mark.parametrize("iam", [None, "eu-south-2"], ids=["no client", "client"])
    def test_handed_in(self, iam: str | None, beside: boto3.Session | None) -> None:
        """A client for STS that is handed in decides the endpoint and the Region by default.

        In another Region AWS's endpoint is used, unless that of the client is an emulator's.
        """
        vpc, emulator = "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com", "http://localhost:4566"
        public = "https://sts.eu-north-1.amazonaws.com"
        for url, region, expected in (
            (vpc, "", (vpc, "eu-west-1")),
            (vpc, "eu-north-1", (public, "eu-north-1")),
            (emulator, "eu-north-1", (emulator, "eu-west-1")),
        ):
            sts = sts_client(endpoint_url=url)
            before = snapshot(sts)
            clients = Clients(beside, iam=iam_client(iam) if iam else None, sts=sts)
            other = clients.build("sts", region, **OTHER_KEYS)
            assert clients.of("sts") is sts
            assert (other.meta.endpoint_url, other.meta.region_name) == expected
            assert credentials_of(other).access_key == "AKIDOTHER"
            assert credentials_of(sts).access_key == KEYS[0]
            assert snapshot(sts) == before

    def test_transport(self, beside: boto3.Session | None) -> None:
        """Proxies and certificates are those of the client that is handed in; retries are not."""
        proxies = {"https": "http://proxy.example:3128"}
        settings = Config(proxies=proxies, retries={"total_max_attempts": 9})
        sts = sts_client(verify="bundle.pem", config=settings)
        other = Clients(beside, sts=sts).build("sts", **OTHER_KEYS)
        assert other.meta.config.proxies == proxies
        assert other.meta.config.retries["total_max_attempts"] == 1
        assert other._endpoint.http_session._verify == "bundle.pem"  # noqa: SLF001


def credentials_of(client: Any) -> Any:
    """Return what a client signs with."""
    return client._request_signer._credentials  # noqa: SLF001


def snapshot(client: Any) -> tuple[object, ...]:
    """Return a client's configuration, handlers and attributes."""
    handlers = client.meta.events._emitter._handlers._root  # noqa: SLF001  there is no public way
    return vars(client.meta.config).copy(), repr(handlers), set(vars(client))


def reply(url: str, status: int, body: str) -> AWSResponse:
    """Return the reply of a server."""

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
    """Replies of AWS or of a proxy that are not complete errors."""

    @pytest.mark.parametrize("row", INCOMPLETE.values(), ids=list(INCOMPLETE))
    @pytest.mark.parametrize("operation", ["GetUser", "CreateUser"])
    def test_incomplete(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        row: tuple[int, str, str | None],
        operation: str,
    ) -> None:
        """An incomplete error reply is an error of this library too, with a reason."""
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
    """Without the package's metadata, only the version in the user agent is unknown."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    client = Clients(session).of("iam")
    assert client.meta.config.user_agent_extra.endswith("cwagent-iam/unknown")
