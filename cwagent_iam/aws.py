"""The border to boto3: the calls we use, the clients we build, AWS's errors as facts."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from collections.abc import Mapping

AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError, KeyError)
"""All that a request can raise: a refusal, no answer at all, or one that is no reply of IAM.

botocore raises `KeyError` for XML that is well-formed and not IAM's, as a proxy may send.
"""

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
    def tag_user(self, *, UserName: str, Tags: Any) -> object: ...
    def attach_user_policy(self, *, UserName: str, PolicyArn: str) -> object: ...
    def detach_user_policy(self, *, UserName: str, PolicyArn: str) -> object: ...
    def delete_user(self, *, UserName: str) -> object: ...

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

    def client(self, service_name: Literal["iam"], *, config: Any = ...) -> Any:
        """Return a client."""


def client_for(session: AWSSession | None, iam: IAMClient | None) -> IAMClient:
    """Return *iam* as it is, or a client of *session*, or one of boto3's default session.

    A client that is built here names its retries and timeouts, since botocore's defaults differ
    between versions and can be changed by the caller's environment.
    """
    if iam is not None:
        return iam
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=5,
        read_timeout=15,
        user_agent_extra=f"cwagent-iam/{_version()}",
    )
    built: IAMClient = (session or boto3).client("iam", config=config)
    return built


def _version() -> str:
    try:
        return importlib.metadata.version("cwagent-iam")
    except importlib.metadata.PackageNotFoundError:  # bundles are often stripped of metadata
        return "unknown"


def code_of(error: BaseException) -> str | None:
    """Return AWS's short code, such as ``NoSuchEntity``, or `None` where AWS gave none."""
    return _details(error).get("Code") or None


def reason_of(error: BaseException) -> str:
    """Return AWS's words, which may be none, or those of botocore where AWS gave no answer."""
    return _details(error).get("Message") or ("" if code_of(error) else str(error))


def _details(error: BaseException) -> Mapping[str, str]:
    """Return what AWS said; what stands between us and AWS may answer without any of it."""
    response: Mapping[str, Any] = error.response if isinstance(error, ClientError) else {}
    details: Mapping[str, str] = response.get("Error", {})
    return details
