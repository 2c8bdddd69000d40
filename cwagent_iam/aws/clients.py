"""Clients: the client for IAM, handed in or built, and side clients that inherit its settings."""

from __future__ import annotations

import importlib.metadata
import operator
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import attrs
import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import NoRegionError
from botocore.loaders import create_loader
from botocore.regions import EndpointResolverBuiltins

from cwagent_iam.errors import IntentError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cwagent_iam.requests import Service

READ_TIMEOUT = 15.0
"""The read timeout of the clients that are built here, in seconds."""

_POOL = 10  # botocore's default

# The settings that a side client inherits from a client that was handed in.
_INHERITED = (
    "proxies",
    "proxies_config",
    "client_cert",
    "use_fips_endpoint",
    "use_dualstack_endpoint",
)

# boto3 documents that clients are thread-safe, but sessions are not. Calls in several threads may
# share a session, so only one of them builds a client at a time.
_building = threading.Lock()


class IAMClient(Protocol):
    """A client for IAM, such as a boto3 client; `cwagent_iam.aws.sender` calls it."""

    @property
    def meta(self) -> Any:
        """The metadata of the client; ``meta.partition`` is used."""

    def get_role(self, *, RoleName: str) -> Mapping[str, Any]:
        """Return a role."""

    def get_user(self, *, UserName: str) -> Mapping[str, Any]:
        """Return a user."""


class STSClient(Protocol):
    """A client for STS, such as a boto3 client; its endpoint and settings are used."""

    @property
    def meta(self) -> Any:
        """The metadata of the client; its endpoint, Region and partition are used."""

    def get_caller_identity(self) -> Mapping[str, Any]:
        """Return who signs."""


class AWSSession(Protocol):
    """A session that builds clients, such as a `boto3.Session`."""

    def client(self, *args: Any, **options: Any) -> Any:
        """Return a client."""


@attrs.define(eq=False)
class Clients:
    """The clients of one call. Build them on the caller's thread; any thread may use them.

    A client that is handed in is used unaltered, with its own retries and timeouts. Clients that
    are built here have botocore's retries off: this library retries, and the attempts of both would
    multiply. They set timeouts, because botocore's defaults differ between versions and
    environments.

    A side client of an `iam` that was handed in inherits its proxies, CA bundle, FIPS and
    dual-stack settings, and the endpoint of an emulator. Credentials and Region are those of
    `session`, or without it those of `iam`. The Region is that of `iam` too if the session is in
    another partition. Event handlers are not inherited, because they belong to one client; nor is a
    VPC endpoint of IAM, because other services do not share it.

    Attributes:
        session: The session that builds clients. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        ec2: A client for EC2 to use unaltered. Default: a client built from *session*.
        max_in_flight: The largest number of requests that share a client. Default: 8.
        sts: A client for STS to use unaltered. A client for STS with other credentials is built
            with its endpoint and settings.
    """

    session: AWSSession | None = None
    iam: IAMClient | None = None
    ec2: Any = None
    max_in_flight: int = 8
    sts: Any = None
    _built: dict[tuple[str, str], Any] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Keep the clients that were handed in."""
        handed = {"iam": self.iam, "ec2": self.ec2, "sts": self.sts}
        self._built |= {
            (service, ""): client for service, client in handed.items() if client is not None
        }

    def of(self, service: Service, region: str = "") -> Any:
        """Return the client for a service; build it at first use.

        Args:
            service: The service.
            region: The Region. Default: that of the session, or of the client that was handed in.

        Raises:
            IntentError: If EC2's Region or account is unknown: only `iam` was handed in, or the
                session has no Region.
            Exception: As boto3 raises it, if the session's settings are incomplete.
        """
        place = service, region
        if place not in self._built:
            if service == "ec2" and self.iam is not None and self.session is None:
                raise _unknown_ec2()
            try:
                self._built[place] = self.build(service, region)
            except NoRegionError:
                if service == "ec2":
                    raise _unknown_ec2() from None
                raise
        return self._built[place]

    def build(self, service: Service, region: str = "", **credentials: str) -> Any:
        """Build a new client for *service* that signs with *credentials*.

        Args:
            service: The service.
            region: The Region. Default: that of the session, or of `iam`. Ignored if an `sts` was
                handed in whose endpoint is an emulator's.
            credentials: ``aws_access_key_id`` and ``aws_secret_access_key``. Default: the
                credentials that the other clients sign with.

        Raises:
            Exception: As boto3 raises it.
        """
        with _building:
            options = {"region_name": region, **credentials} if region else credentials
            if service == "sts" and self.sts is not None:
                meta = self.sts.meta
                own = {"region_name": meta.region_name, **credentials}
                if not region or _is_emulator(self.sts):
                    return self._build_beside(self.sts, service, own, meta.endpoint_url)
                return self._build_beside(self.sts, service, options, None)
            if self.iam is None:
                session = self.session or boto3
                return session.client(service, config=self._config(), **options)
            endpoint = self.iam.meta.endpoint_url if _is_emulator(self.iam) else None
            return self._build_beside(self.iam, service, options, endpoint)

    def _build_beside(
        self, iam: Any, service: Service, more: dict[str, str], endpoint: str | None
    ) -> Any:
        """Build a side client of *iam*, with *more* options.

        The credentials, CA bundle and Region of *iam* are private attributes of botocore's
        clients. If they are missing, those of the session are used.
        """
        options: dict[str, Any] = {
            "config": self._config(_attribute(iam, "meta.config")),
            "verify": _attribute(iam, "_endpoint.http_session._verify"),
            **({"endpoint_url": endpoint} if endpoint else {}),
            **more,
        }
        if self.session is not None:
            client = self.session.client(service, **options)
            if client.meta.partition == iam.meta.partition:
                return client
        # meta.region_name is that of the signature, which for IAM is the same in all Regions.
        settings = _attribute(iam, "_ruleset_resolver._builtins") or {}
        region = settings.get(EndpointResolverBuiltins.AWS_REGION)
        session = self.session or _session_of(iam)
        return session.client(service, **{"region_name": region} | options)

    def _config(self, inherited: Config | None = None) -> Config:
        settings = {name: getattr(inherited, name, None) for name in _INHERITED}
        return Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=5.0,  # seconds
            read_timeout=READ_TIMEOUT,
            max_pool_connections=max(self.max_in_flight, _POOL),
            user_agent_extra=f"cwagent-iam/{version()}",
            **{name: value for name, value in settings.items() if value is not None},
        )


def _unknown_ec2() -> IntentError:
    rule = "must be a client, unless session= is given and has a Region"
    return IntentError(problems=(Problem.of("ec2", None, rule),))


def _session_of(iam: Any) -> AWSSession:
    """Return a session that shares the credentials object of *iam*, so that both refresh it."""
    credentials = _attribute(iam, "_request_signer._credentials")
    core = botocore.session.Session()
    core.register_component(
        "credential_provider", SimpleNamespace(load_credentials=lambda: credentials)
    )
    session: AWSSession = boto3.Session(botocore_session=core)
    return session


def _is_emulator(iam: Any) -> bool:
    """Return whether the endpoint of *iam* is not an AWS host: an emulator serves all services."""
    host = urlsplit(_attribute(iam, "meta.endpoint_url") or "").hostname
    if host is None:
        return False
    partitions = create_loader().load_data("partitions")["partitions"]
    names = ("dnsSuffix", "dualStackDnsSuffix")
    suffixes = tuple(f".{each['outputs'][name]}" for each in partitions for name in names)
    return not host.endswith(suffixes)


def _attribute(client: Any, path: str) -> Any:
    """Return the attribute of *client* at a dotted *path*; `None` if it has no such attribute."""
    try:
        return operator.attrgetter(path)(client)
    except AttributeError:
        return None


def version() -> str:
    """Return the version of this library, for the user agent."""
    try:
        return importlib.metadata.version("cwagent-iam")
    except importlib.metadata.PackageNotFoundError:  # bundles are often stripped of metadata
        return "unknown"
