"""The requests: one match over the changes, one call for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AttachRolePolicy,
    AttachUserPolicy,
    Change,
    CreateInstanceProfile,
    CreateRole,
    CreateUser,
    DeleteAccessKey,
    DeleteInstanceProfile,
    DeleteRole,
    DeleteRolePermissionsBoundary,
    DeleteRolePolicy,
    DeleteUser,
    DeleteUserPermissionsBoundary,
    DeleteUserPolicy,
    DetachRolePolicy,
    DetachUserPolicy,
    InstanceProfileChange,
    PutRolePermissionsBoundary,
    PutRolePolicy,
    PutUserPermissionsBoundary,
    PutUserPolicy,
    RemoveRoleFromInstanceProfile,
    RoleChange,
    RolePermissionsChange,
    TagInstanceProfile,
    TagRole,
    TagUser,
    UpdateAssumeRolePolicy,
    UpdateRole,
    UserChange,
    UserPermissionsChange,
)
from cwagent_iam.trust import localise

if TYPE_CHECKING:
    from cwagent_iam.aws import IAMClient
    from cwagent_iam.policies import ManagedPolicy
    from cwagent_iam.state import Tags


def send(change: Change, iam: IAMClient, account_id: str) -> str | None:
    """Make *change* by its one request; return the ARN of what it creates.

    Args:
        change: The change.
        iam: The client.
        account_id: The account that it works in; only policies that leave theirs open take it.

    Raises:
        AWS_ERRORS: As botocore raises them.
    """
    if isinstance(change, RoleChange):
        return _send_for_role(change, iam, account_id)
    if isinstance(change, UserChange):
        return _send_for_user(change, iam, account_id)
    return _send_for_instance_profile(change, iam)


def _send_for_role(change: RoleChange, iam: IAMClient, account_id: str) -> str | None:
    if isinstance(change, RolePermissionsChange):
        _send_for_permissions_of_role(change, iam, account_id)
        return None
    match change:
        case CreateRole(name=name, permissions_boundary=boundary):
            reply = iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=localise(change.trust, iam.meta.partition).text,
                **_named(
                    Path=change.path,
                    Description=change.description,
                    MaxSessionDuration=change.max_session_duration,
                    PermissionsBoundary=boundary and boundary.arn(iam.meta.partition, account_id),
                    Tags=_tags(change.tags),
                ),
            )
            return str(reply["Role"]["Arn"])
        case UpdateRole(name=name, description=text, max_session_duration=seconds):
            iam.update_role(RoleName=name, Description=text, MaxSessionDuration=seconds)
        case UpdateAssumeRolePolicy(name=name, trust=trust):
            document = localise(trust, iam.meta.partition).text
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
        case TagRole(name=name, tags=tags):
            iam.tag_role(RoleName=name, Tags=_tags(tags))
        case DeleteRole(name=name):
            iam.delete_role(RoleName=name)
        case _:
            assert_never(change)
    return None


def _send_for_permissions_of_role(
    change: RolePermissionsChange, iam: IAMClient, account_id: str
) -> None:
    def arn(policy: ManagedPolicy) -> str:
        return policy.arn(iam.meta.partition, account_id)

    match change:
        case PutRolePermissionsBoundary(name=name, policy=policy):
            iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=arn(policy))
        case DeleteRolePermissionsBoundary(name=name):
            iam.delete_role_permissions_boundary(RoleName=name)
        case PutRolePolicy(name=name, policy=policy):
            document = policy.text(iam.meta.partition)
            iam.put_role_policy(RoleName=name, PolicyName=policy.name, PolicyDocument=document)
        case DeleteRolePolicy(name=name, policy=policy):
            iam.delete_role_policy(RoleName=name, PolicyName=policy.name)
        case AttachRolePolicy(name=name, policy=policy):
            iam.attach_role_policy(RoleName=name, PolicyArn=arn(policy))
        case DetachRolePolicy(name=name, policy=policy):
            iam.detach_role_policy(RoleName=name, PolicyArn=arn(policy))
        case _:
            assert_never(change)


def _send_for_user(change: UserChange, iam: IAMClient, account_id: str) -> str | None:
    if isinstance(change, UserPermissionsChange):
        _send_for_permissions_of_user(change, iam, account_id)
        return None
    match change:
        case CreateUser(name=name, permissions_boundary=boundary):
            reply = iam.create_user(
                UserName=name,
                **_named(
                    Path=change.path,
                    PermissionsBoundary=boundary and boundary.arn(iam.meta.partition, account_id),
                    Tags=_tags(change.tags),
                ),
            )
            return str(reply["User"]["Arn"])
        case TagUser(name=name, tags=tags):
            iam.tag_user(UserName=name, Tags=_tags(tags))
        case DeleteAccessKey(name=name, access_key_id=access_key_id):
            iam.delete_access_key(UserName=name, AccessKeyId=access_key_id)
        case DeleteUser(name=name):
            iam.delete_user(UserName=name)
        case _:
            assert_never(change)
    return None


def _send_for_permissions_of_user(
    change: UserPermissionsChange, iam: IAMClient, account_id: str
) -> None:
    def arn(policy: ManagedPolicy) -> str:
        return policy.arn(iam.meta.partition, account_id)

    match change:
        case PutUserPermissionsBoundary(name=name, policy=policy):
            iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=arn(policy))
        case DeleteUserPermissionsBoundary(name=name):
            iam.delete_user_permissions_boundary(UserName=name)
        case PutUserPolicy(name=name, policy=policy):
            document = policy.text(iam.meta.partition)
            iam.put_user_policy(UserName=name, PolicyName=policy.name, PolicyDocument=document)
        case DeleteUserPolicy(name=name, policy=policy):
            iam.delete_user_policy(UserName=name, PolicyName=policy.name)
        case AttachUserPolicy(name=name, policy=policy):
            iam.attach_user_policy(UserName=name, PolicyArn=arn(policy))
        case DetachUserPolicy(name=name, policy=policy):
            iam.detach_user_policy(UserName=name, PolicyArn=arn(policy))
        case _:
            assert_never(change)


def _send_for_instance_profile(change: InstanceProfileChange, iam: IAMClient) -> str | None:
    match change:
        case CreateInstanceProfile(name=name):
            reply = iam.create_instance_profile(
                InstanceProfileName=name, **_named(Path=change.path, Tags=_tags(change.tags))
            )
            return str(reply["InstanceProfile"]["Arn"])
        case TagInstanceProfile(name=name, tags=tags):
            iam.tag_instance_profile(InstanceProfileName=name, Tags=_tags(tags))
        case AddRoleToInstanceProfile(name=name, role_name=role):
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
        case RemoveRoleFromInstanceProfile(name=name, role_name=role):
            iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        case DeleteInstanceProfile(name=name):
            iam.delete_instance_profile(InstanceProfileName=name)
        case _:
            assert_never(change)
    return None


def _named(**members: Any) -> dict[str, Any]:
    """Leave out what intent does not name, and what is empty, which is IAM's default."""
    return {member: value for member, value in members.items() if value}


def _tags(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags]
