"""The operations that this library calls and moto 5.2 lacks or does by half."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.serialize import never_return
from moto.iam.access_control import IAMRequest
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.secretsmanager.models import SecretsManagerBackend
from moto.sts.responses import TokenResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOTO_IDENTITY = TokenResponse.get_caller_identity
_MOTO_CREATE_USER = IamResponse.create_user
_MOTO_MOVE_LABEL = SecretsManagerBackend.update_secret_version_stage


@contextmanager
def missing_operations() -> Iterator[None]:
    """Add what moto 5.2 lacks; in the base class, so that it gives way to moto's own some day."""
    added = {
        "delete_user_permissions_boundary": _delete_user_permissions_boundary,
        "list_service_specific_credentials": _no_service_specific_credentials,
        "put_user_permissions_boundary": _put_user_permissions_boundary,
    }
    with ExitStack() as stack:
        for name, operation in added.items():
            stack.enter_context(patch.object(BaseResponse, name, operation, create=True))
        # moto drops the boundary that a user is created with.
        stack.enter_context(patch.object(IamResponse, "create_user", _create_user))
        # moto accepts any signature.
        stack.enter_context(patch.object(TokenResponse, "get_caller_identity", _identity))
        # moto shows the old version to readers who name none.
        moved = patch.object(SecretsManagerBackend, "update_secret_version_stage", _move_label)
        stack.enter_context(moved)
        shown = IamResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER
        hidden = {"ListUsersResponse.Users.User.PermissionsBoundary": never_return}
        stack.enter_context(patch.dict(shown, hidden))
        yield


def _no_service_specific_credentials(_response: BaseResponse) -> ActionResult:
    """Nobody can have any, because moto has no operation to make one either."""
    return ActionResult({"ServiceSpecificCredentials": []})


def _put_user_permissions_boundary(response: IamResponse) -> ActionResult:
    user = response.backend.get_user(_parameter(response, "UserName"))
    boundary = {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": _parameter(response, "PermissionsBoundary"),
    }
    # moto sends every attribute that is named like a member of the reply.
    vars(user).update(permissions_boundary=boundary)
    return EmptyResult()


def _delete_user_permissions_boundary(response: IamResponse) -> ActionResult:
    """Take it away; of a user without one it takes nothing, as moto does for roles."""
    user = response.backend.get_user(_parameter(response, "UserName"))
    vars(user).pop("permissions_boundary", None)
    return EmptyResult()


def _create_user(response: IamResponse) -> ActionResult:
    reply = _MOTO_CREATE_USER(response)
    if _parameter(response, "PermissionsBoundary"):
        _put_user_permissions_boundary(response)
    return reply


def _identity(response: TokenResponse) -> Any:
    """Check the signature of a caller who signs with the access key of a user."""
    account_id, key = response.current_account, response.get_access_key()
    if key in iam_backends[account_id][response.partition].access_keys:
        request = IAMRequest(
            account_id=account_id,
            method=response.method,
            path=response.path,
            data=response.data,
            body=response.body,
            headers=response.headers,
            action="GetCallerIdentity",
        )
        request.check_signature()
    return _MOTO_IDENTITY(response)


def _move_label(
    backend: SecretsManagerBackend, secret_id: str, version_stage: str, **versions: Any
) -> tuple[str, str]:
    """Move a label; the version with the label AWSCURRENT is the one that is read by default."""
    reply = _MOTO_MOVE_LABEL(backend, secret_id, version_stage, **versions)
    if version_stage == "AWSCURRENT":
        secret: Any = backend.secrets[secret_id]
        source = getattr(secret, "source", secret)  # which a replica shows in its region
        source.set_default_version_id(versions["move_to_version_id"])
    return reply


def _parameter(response: IamResponse, name: str) -> str:
    return str(response._get_param(name) or "")  # noqa: SLF001 - moto's operations read them so
