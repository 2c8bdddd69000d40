"""Roles, profiles, users and groups: what can be changed, and what must go before they can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from moto.core.responses import ActionResult

from cwagent_iam.testing.strict.calls import Call, Operation, Rule, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICE_ROLES = "/aws-service-role/"
_PROTECTED = (
    "add_role_to_instance_profile",
    "attach_role_policy",
    "delete_role",
    "delete_role_permissions_boundary",
    "delete_role_policy",
    "detach_role_policy",
    "put_role_permissions_boundary",
    "put_role_policy",
    "update_assume_role_policy",
)
# What a user has, and what DeleteUser says as long as it has any; moto knows of policies.
_CREDENTIALS = (
    ("access_keys", "must delete access keys first."),
    ("password", "must delete login profile first."),
    ("mfa_devices", "must delete MFA device first."),
    ("signing_certificates", "must delete signing certificates first."),
    ("ssh_public_keys", "must remove referenced objects first."),
    ("service_specific_credentials", "must remove referenced objects first."),
)
_GROUP_FIRST = "must remove users from group first."
_SUFFIXED = {
    "autoscaling.amazonaws.com",
    "connect.amazonaws.com",
    "lexv2.amazonaws.com",
}


def _refuse_service_path(call: Call) -> None:
    """Only AWS makes roles there."""
    if (call.parameters.get("Path") or "/").startswith(_SERVICE_ROLES):
        # The code and the wording are ours: none is on record.
        text = f"The path {_SERVICE_ROLES} is reserved for service-linked roles."
        refuse("InvalidInput", text)


def _refuse_service_role(call: Call) -> None:
    if call.role.path.startswith(_SERVICE_ROLES):
        text = (
            f"Cannot perform the operation on the protected role '{call.role.name}' - "
            "this role is only modifiable by AWS"
        )
        refuse("UnmodifiableEntity", text)


def _refuse_service_role_but_its_description(call: Call) -> None:
    if "MaxSessionDuration" in call.parameters:
        _refuse_service_role(call)


def _update_role(call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    """Merge: what the call leaves out stays, where moto would reset it."""
    call.parameters.setdefault("Description", call.role.description)
    call.parameters.setdefault("MaxSessionDuration", call.role.max_session_duration)
    return moto()


def _refuse_to_remove_an_absent_role(call: Call) -> None:
    if call.role not in call.profile.roles:
        role, profile = call.role.name, call.profile.name
        text = f"Role {role} in Instance Profile {profile} cannot be found."
        refuse("NoSuchEntity", text)


def _refuse_to_delete_a_user_in_use(call: Call) -> None:
    user = call.user
    if user.managed_policies or user.policies:
        return
    for attribute, what in _CREDENTIALS:
        if vars(user).get(attribute):
            _conflict(what)
    if any(user in group.users for group in call.backend.groups.values()):
        _conflict(_GROUP_FIRST)


def _refuse_to_delete_a_group_in_use(call: Call) -> None:
    group = call.principal
    if group.managed_policies:
        _conflict("must detach all policies first.")
    if group.policies:
        _conflict("must delete policies first.")
    if group.users:
        _conflict(_GROUP_FIRST)


def _conflict(what: str) -> NoReturn:
    refuse("DeleteConflict", f"Cannot delete entity, {what}")


def _check_group_count(call: Call) -> None:
    joined = call.backend.get_groups_for_user(call.parameters["UserName"])
    most = call.quotas["GroupsPerUserQuota"]
    if len(joined) >= most and call.principal not in joined:
        refuse("LimitExceeded", f"Cannot exceed quota for GroupsPerUser: {most}")


def _refuse_absent_login_profile(call: Call) -> None:
    if not call.user.password:
        text = f"Login Profile for User {call.user.name} cannot be found."
        refuse("NoSuchEntity", text)


def _check_suffix(call: Call) -> None:
    service = call.parameters["AWSServiceName"]
    if call.parameters.get("CustomSuffix") and service not in _SUFFIXED:
        refuse("InvalidInput", f"Custom suffix is not allowed for {service}")


def _create_service_linked_role(call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    before = {role.name for role in call.backend.get_roles()}
    try:
        return moto()
    except Exception as error:
        taken = next((name for name in before if f" {name} " in str(error)), None)
        if taken is None:
            raise
        text = (
            f"Service role name {taken} has been taken in this account, "
            "please try a different suffix."
        )
        refuse("InvalidInput", text)


def _delete_service_linked_role(call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    where = f"{call.role.path}{call.role.name}"
    reply: Any = moto().result
    return ActionResult({"DeletionTaskId": f"task{where}/{reply['DeletionTaskId']}"})


RULES: dict[str, tuple[Rule, ...]] = {
    **dict.fromkeys(_PROTECTED, (_refuse_service_role,)),
    "add_user_to_group": (_check_group_count,),
    "create_role": (_refuse_service_path,),
    "create_service_linked_role": (_check_suffix,),
    "delete_group": (_refuse_to_delete_a_group_in_use,),
    "delete_login_profile": (_refuse_absent_login_profile,),
    "delete_user": (_refuse_to_delete_a_user_in_use,),
    "get_login_profile": (_refuse_absent_login_profile,),
    "remove_role_from_instance_profile": (
        _refuse_service_role,
        _refuse_to_remove_an_absent_role,
    ),
    "update_login_profile": (_refuse_absent_login_profile,),
    "update_role": (_refuse_service_role_but_its_description,),
}
OPERATIONS: dict[str, Operation] = {
    "create_service_linked_role": _create_service_linked_role,
    "delete_service_linked_role": _delete_service_linked_role,
    "update_role": _update_role,
}
