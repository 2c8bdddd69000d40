"""What IAM says and leaves out, where moto says more, less or something else."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.core.serialize import never_return, return_if_not_empty, url_encode
from moto.iam.models import AccountSummary, ManagedPolicy, Role
from moto.iam.responses import IamResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cwagent_iam.testing.strict.calls import Call, Operation

_SUMMARY = vars(AccountSummary)["summary_map"].fget
_DETAIL = "GetAccountAuthorizationDetailsResponse.RoleDetailList.RoleDetail"
_PROFILES = (
    "GetInstanceProfileResponse.InstanceProfile",
    "ListInstanceProfilesForRoleResponse.InstanceProfiles.InstanceProfile",
    "ListInstanceProfilesResponse.InstanceProfiles.InstanceProfile",
    f"{_DETAIL}.InstanceProfileList.InstanceProfile",
)
_ROLES = (
    "CreateServiceLinkedRoleResponse.Role",
    "ListRolesResponse.Roles.Role",
    _DETAIL,
    *(f"{profile}.Roles.Role" for profile in _PROFILES),
)
_ONLY_IN_GET_ROLE = (
    "Description",
    "MaxSessionDuration",
    "PermissionsBoundary",
    "RoleLastUsed",
    "Tags",
)
_TRANSFORMERS = {
    # moto encodes the documents of some replies, and botocore decodes them in all.
    **{f"{role}.AssumeRolePolicyDocument": url_encode for role in _ROLES},
    **{
        f"{profile}.Roles.Role.{member}": never_return
        for profile in _PROFILES
        for member in _ONLY_IN_GET_ROLE
    },
    **{f"{profile}.Tags": never_return for profile in _PROFILES[1:]},
    "CreateInstanceProfileResponse.InstanceProfile.Tags": return_if_not_empty,
    "CreateRoleResponse.Role.Description": never_return,
    "CreateRoleResponse.Role.MaxSessionDuration": never_return,
    "CreateRoleResponse.Role.RoleLastUsed": never_return,
    "GetRoleResponse.Role.Description": return_if_not_empty,
    "ListRolesResponse.Roles.Role.Description": return_if_not_empty,
    "ListUsersResponse.Users.User.PermissionsBoundary": never_return,
}


@contextmanager
def replies(quotas: Mapping[str, int]) -> Iterator[None]:
    """Answer as IAM does, with *quotas* in the place of the usual ones."""
    also = {"AccountPasswordPresent": 0, **quotas}
    with ExitStack() as stack:
        stack.enter_context(patch.dict(IamResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER, _TRANSFORMERS))
        stack.enter_context(patch.object(Role, "permissions_boundary", property(_boundary)))
        count = property(_boundary_usage)
        stack.enter_context(
            patch.object(ManagedPolicy, "permissions_boundary_usage_count", count, create=True)
        )
        summary = property(lambda account: _SUMMARY(account) | also)
        stack.enter_context(patch.object(AccountSummary, "summary_map", summary))
        yield


def _boundary(role: Role) -> dict[str, str] | None:
    if role.permissions_boundary_arn is None:
        return None
    return {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": role.permissions_boundary_arn,
    }


def _boundary_usage(policy: Any) -> int:
    iam = policy.backend
    boundaries = [_boundary(role) for role in iam.get_roles()]
    boundaries += [vars(user).get("permissions_boundary") for user in iam.users.values()]
    return [each["PermissionsBoundaryArn"] for each in boundaries if each].count(policy.arn)


def _authorization_details(_call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    """Name the policies, which moto leaves nameless."""
    reply: Any = moto().result
    return ActionResult(reply | {"Policies": [_detail(each) for each in reply["Policies"]]})


def _detail(policy: Any) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": policy.attachment_count,
        "PermissionsBoundaryUsageCount": _boundary_usage(policy),
        "IsAttachable": policy.is_attachable,
        "CreateDate": policy.create_date,
        "UpdateDate": policy.update_date,
        "PolicyVersionList": policy.policy_version_list,
    }


OPERATIONS: dict[str, Operation] = {"get_account_authorization_details": _authorization_details}
