"""Access keys, and the credentials of one service that moto has no operations for."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from cwagent_iam.testing.strict.calls import Call, Operation, Rule, deny, refuse
from cwagent_iam.testing.strict.shapes import broken

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICES = ("cassandra.amazonaws.com", "codecommit.amazonaws.com")
_SECRETS = {"ServicePassword"}


def _check_status(call: Call) -> None:
    """A key or credential expires by itself."""
    if call.parameters["Status"] == "Expired":
        problem = broken("status", "satisfy enum value set")
        refuse("ValidationError", f"1 validation error detected: {problem}")


def _check_key(call: Call) -> None:
    key = call.parameters["AccessKeyId"]
    if not call.user.has_access_key(key):
        refuse("NoSuchEntity", f"The Access Key with id {key} cannot be found.")


def _check_key_of_anybody(call: Call) -> None:
    key = call.parameters["AccessKeyId"]
    if key not in call.backend.access_keys:
        who = f"User: {call.caller_arn} is not authorized to perform iam:GetAccessKeyLastUsed"
        deny(f"{who} on resource: access key {key}")


def _check_service(call: Call) -> None:
    service = call.parameters.get("ServiceName")
    if service is not None and service not in _SERVICES:
        text = f"No such service {service} is supported for Service Specific Credentials"
        refuse("NoSuchEntity", text)


def _check_credential(call: Call) -> None:
    known = call.parameters["ServiceSpecificCredentialId"]
    if known not in _credentials(call):
        refuse("NoSuchEntity", f"No such credential {known} exists")


def _credentials(call: Call) -> dict[str, dict[str, Any]]:
    """Find the credentials of one user, by their ids."""
    held: dict[str, dict[str, Any]] = vars(call.user).setdefault("service_specific_credentials", {})
    return held


def _create(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    name = call.user.name
    number = f"ACCA{secrets.token_hex(8).upper()}"
    credential = {
        "CreateDate": utcnow(),
        "ServiceName": call.parameters["ServiceName"],
        "ServicePassword": secrets.token_urlsafe(32),
        "ServiceSpecificCredentialId": number,
        "ServiceUserName": f"{name}-at-{call.response.current_account}",
        "Status": "Active",
        "UserName": name,
    }
    _credentials(call)[number] = credential
    return ActionResult({"ServiceSpecificCredential": dict(credential)})


def _list(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    service = call.parameters.get("ServiceName")
    users = [call.user] if "UserName" in call.parameters else call.backend.users.values()
    found = [
        {name: value for name, value in credential.items() if name not in _SECRETS}
        for user in users
        for credential in vars(user).get("service_specific_credentials", {}).values()
        if service in (None, credential["ServiceName"])
    ]
    return ActionResult({"ServiceSpecificCredentials": found})


def _update(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    credential = _credentials(call)[call.parameters["ServiceSpecificCredentialId"]]
    credential["Status"] = call.parameters["Status"]
    return EmptyResult()


def _reset(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    credential = _credentials(call)[call.parameters["ServiceSpecificCredentialId"]]
    credential["ServicePassword"] = secrets.token_urlsafe(32)
    return ActionResult({"ServiceSpecificCredential": dict(credential)})


def _delete(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    del _credentials(call)[call.parameters["ServiceSpecificCredentialId"]]
    return EmptyResult()


RULES: dict[str, tuple[Rule, ...]] = {
    "create_service_specific_credential": (_check_service,),
    "delete_access_key": (_check_key,),
    "delete_service_specific_credential": (_check_credential,),
    "get_access_key_last_used": (_check_key_of_anybody,),
    "list_service_specific_credentials": (_check_service,),
    "reset_service_specific_credential": (_check_credential,),
    "update_access_key": (_check_status, _check_key),
    "update_service_specific_credential": (_check_status, _check_credential),
}
OPERATIONS: dict[str, Operation] = {
    "create_service_specific_credential": _create,
    "delete_service_specific_credential": _delete,
    "list_service_specific_credentials": _list,
    "reset_service_specific_credential": _reset,
    "update_service_specific_credential": _update,
}
