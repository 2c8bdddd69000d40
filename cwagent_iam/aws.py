"""The border to boto3: the calls we use, the clients we build, AWS's errors as facts."""

from __future__ import annotations

import importlib.metadata
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import attrs
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoRegionError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from cwagent_iam.errors import IntentError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_REPLY_OF_IAM = (ResponseParserError, KeyError)

AWS_ERRORS = (ClientError, BotoCoreError, *_NO_REPLY_OF_IAM)
"""All that a request can raise: a refusal, no answer at all, or one that is no reply of IAM.

botocore raises `KeyError` for XML that is well-formed and not IAM's, as a proxy may send.
"""

ODD_REPLIES = (AttributeError, IndexError, TypeError, ValueError)
"""What botocore and the parsers here make of a reply that has other parts than IAM's."""

Reply: TypeAlias = "Mapping[str, Any]"


class IAMClient(Protocol):
    """The operations of IAM that this library calls; any boto3 client for IAM has them."""

    @property
    def meta(self) -> Any:
        """What the client knows of itself; ``meta.partition`` is used."""

    def get_paginator(self, operation_name: Any, /) -> Any:
        """Return what goes through all pages of a list."""

    def get_role(self, *, RoleName: str) -> Reply: ...
    def get_user(self, *, UserName: str) -> Reply: ...
    def get_instance_profile(self, *, InstanceProfileName: str) -> Reply: ...
    def get_login_profile(self, *, UserName: str) -> Reply: ...
    def get_account_summary(self) -> Reply: ...
    def list_service_specific_credentials(self, *, UserName: str) -> Reply: ...

    def create_role(
        self,
        *,
        RoleName: str,
        AssumeRolePolicyDocument: str,
        Path: str = ...,
        Description: str = ...,
        MaxSessionDuration: int = ...,
        PermissionsBoundary: str = ...,
        Tags: Any = ...,
    ) -> Reply: ...
    def update_role(
        self, *, RoleName: str, Description: str, MaxSessionDuration: int
    ) -> object: ...
    def update_assume_role_policy(self, *, RoleName: str, PolicyDocument: str) -> object: ...
    def put_role_permissions_boundary(
        self, *, RoleName: str, PermissionsBoundary: str
    ) -> object: ...
    def delete_role_permissions_boundary(self, *, RoleName: str) -> object: ...
    def get_role_policy(self, *, RoleName: str, PolicyName: str) -> Reply: ...
    def put_role_policy(self, *, RoleName: str, PolicyName: str, PolicyDocument: str) -> object: ...
    def delete_role_policy(self, *, RoleName: str, PolicyName: str) -> object: ...
    def tag_role(self, *, RoleName: str, Tags: Any) -> object: ...
    def attach_role_policy(self, *, RoleName: str, PolicyArn: str) -> object: ...
    def detach_role_policy(self, *, RoleName: str, PolicyArn: str) -> object: ...
    def delete_role(self, *, RoleName: str) -> object: ...

    def create_user(
        self, *, UserName: str, Path: str = ..., PermissionsBoundary: str = ..., Tags: Any = ...
    ) -> Reply: ...
    def put_user_permissions_boundary(
        self, *, UserName: str, PermissionsBoundary: str
    ) -> object: ...
    def delete_user_permissions_boundary(self, *, UserName: str) -> object: ...
    def get_user_policy(self, *, UserName: str, PolicyName: str) -> Reply: ...
    def put_user_policy(self, *, UserName: str, PolicyName: str, PolicyDocument: str) -> object: ...
    def delete_user_policy(self, *, UserName: str, PolicyName: str) -> object: ...
    def tag_user(self, *, UserName: str, Tags: Any) -> object: ...
    def attach_user_policy(self, *, UserName: str, PolicyArn: str) -> object: ...
    def detach_user_policy(self, *, UserName: str, PolicyArn: str) -> object: ...
    def delete_user(self, *, UserName: str) -> object: ...

    def create_access_key(self, *, UserName: str) -> Any: ...
    def update_access_key(self, *, UserName: str, AccessKeyId: str, Status: Any) -> object: ...
    def delete_access_key(self, *, UserName: str, AccessKeyId: str) -> object: ...
    def get_access_key_last_used(self, *, AccessKeyId: str) -> Reply: ...

    def create_instance_profile(
        self, *, InstanceProfileName: str, Path: str = ..., Tags: Any = ...
    ) -> Reply: ...
    def tag_instance_profile(self, *, InstanceProfileName: str, Tags: Any) -> object: ...
    def add_role_to_instance_profile(
        self, *, InstanceProfileName: str, RoleName: str
    ) -> object: ...
    def remove_role_from_instance_profile(
        self, *, InstanceProfileName: str, RoleName: str
    ) -> object: ...
    def delete_instance_profile(self, *, InstanceProfileName: str) -> object: ...


class AWSSession(Protocol):
    """What builds clients; a `boto3.Session` does."""

    def client(
        self,
        service_name: Any,
        *,
        region_name: Any = ...,
        aws_access_key_id: Any = ...,
        aws_secret_access_key: Any = ...,
        config: Any = ...,
    ) -> Any:
        """Return a client."""


@attrs.define
class IAMClients:
    """The client for what may be repeated unseen, and one that sends everything once.

    botocore repeats what was throttled or got no answer, and a second create whose first reply
    was lost comes back as a refusal. Where this library repeats, botocore must not do so too, or
    the attempts of both would multiply.

    Attributes:
        repeating: The client whose retries are botocore's.
    """

    repeating: IAMClient
    _session: AWSSession | None
    _once: IAMClient | None
    _sts_region: dict[str, str] | None = None

    @classmethod
    def of(cls, session: AWSSession | None, iam: IAMClient | None) -> IAMClients:
        """Use *iam* as it is for everything, or else build both from *session*."""
        return cls(client_for(session, iam), session, iam)

    @property
    def once(self) -> IAMClient:
        """The client that sends each request once; built when it is first needed."""
        if self._once is None:
            self._once = client_for(self._session, None, attempts=1)
        return self._once

    def sts(self, **credentials: str) -> Any:
        """Return a client for STS, in the same partition, that signs with other *credentials*.

        It sends each request once. Its region is the session's: that of IAM is a global one, which
        STS does not know in all partitions.
        """
        return (self._session or boto3).client(
            "sts", config=_config(1), **self._region_of_sts(), **credentials
        )

    def _region_of_sts(self) -> dict[str, str]:
        """Name a region only where that of the session is in another partition than the client."""
        if self._sts_region is None:
            partition = self.repeating.meta.partition
            own = (self._session or boto3).client("sts", config=_config(1)).meta.partition
            regions = boto3.Session().get_available_regions("sts", partition_name=partition)
            self._sts_region = {} if own == partition else {"region_name": regions[0]}
        return self._sts_region


def client_for(
    session: AWSSession | None, iam: IAMClient | None, *, attempts: int = 4
) -> IAMClient:
    """Return *iam* as it is, or a client of *session*, or one of boto3's default session.

    A client that is built here names its retries and timeouts, since botocore's defaults differ
    between versions and can be changed by the caller's environment. *attempts* counts the first.
    """
    if iam is not None:
        return iam
    built: IAMClient = (session or boto3).client("iam", config=_config(attempts))
    return built


def service_client(service: str, session: AWSSession | None) -> Any:
    """Return a client for another service of *session*, or of boto3's default session."""
    return (session or boto3).client(service, config=_config(4))


def ec2_client_for(session: AWSSession | None, ec2: Any) -> Any:
    """Return *ec2* as it is, or a client for EC2 of *session*, or of boto3's default session.

    Raises:
        IntentError: When the session has no region, which EC2 cannot do without.
    """
    if ec2 is not None:
        return ec2
    try:
        return service_client("ec2", session)
    except NoRegionError:
        rule = "must be a client, or the session must have a region"
        raise IntentError(problems=(Problem.of("ec2", ec2, rule),)) from None


def _config(attempts: int) -> Config:
    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=15,
        user_agent_extra=f"cwagent-iam/{_version()}",
    )


def _version() -> str:
    try:
        return importlib.metadata.version("cwagent-iam")
    except importlib.metadata.PackageNotFoundError:  # bundles are often stripped of metadata
        return "unknown"


Trouble: TypeAlias = Literal["throttled", "failing", "unreachable"]
"""The account asks too much; AWS or the line broke, so that the work may be done or not; or no
connection was made, so that nothing was sent."""

_THROTTLED = frozenset(
    {
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_FAILING = frozenset({"RequestTimeout", "RequestTimeoutException"})


def trouble_of(error: BaseException) -> Trouble | None:
    """Return the trouble that AWS or the line to it is in; `None` for an answer to the request."""
    if isinstance(error, ClientError):
        if code_of(error) in _THROTTLED:
            return "throttled"
        status = _metadata(error).get("HTTPStatusCode", 0)
        failing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or code_of(error) in _FAILING
        return "failing" if failing else None
    if isinstance(error, NoConnectionError):
        return "unreachable"
    broken = isinstance(error, (HTTPClientError, *_NO_REPLY_OF_IAM))
    return "failing" if broken else None


def is_answer(error: BaseException) -> bool:
    """Say whether *error* is an answer of AWS itself, be it of trouble."""
    return isinstance(error, ClientError) and code_of(error) is not None


def may_be_done(error: BaseException) -> bool:
    """Say whether AWS may have done what *error* answers, now or when botocore asked before."""
    repeats: int = _metadata(error).get("RetryAttempts", 0)
    return trouble_of(error) == "failing" or repeats > 0


def code_of(error: BaseException) -> str | None:
    """Return AWS's short code, such as ``NoSuchEntity``, or `None` where AWS gave none."""
    return _details(error).get("Code") or None


def reason_of(error: BaseException) -> str:
    """Return AWS's words, which may be none, or those of botocore where AWS gave no answer."""
    return _details(error).get("Message") or ("" if code_of(error) else str(error))


def said(error: BaseException | None) -> str:
    """Return code and words in one, or nothing where there was no error."""
    return ": ".join(filter(None, [code_of(error), reason_of(error)])) if error else ""


def _details(error: BaseException) -> Mapping[str, str]:
    """Return what AWS said; what stands between us and AWS may answer without any of it."""
    details: Mapping[str, str] = _response(error).get("Error") or {}
    return details


def _metadata(error: BaseException) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = _response(error).get("ResponseMetadata") or {}
    return metadata


def _response(error: BaseException) -> Mapping[str, Any]:
    return (error.response or {}) if isinstance(error, ClientError) else {}
