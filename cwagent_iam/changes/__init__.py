"""Changes: IAM operations as values, ChangeSets, and the results of calls."""

from cwagent_iam.changes.change_set import (
    ChangeSet as ChangeSet,
    Extra as Extra,
    ExtraField as ExtraField,
)
from cwagent_iam.changes.operations import (
    AddRoleToInstanceProfile as AddRoleToInstanceProfile,
    AttachRolePolicy as AttachRolePolicy,
    AttachUserPolicy as AttachUserPolicy,
    Change as Change,
    CreateAccessKey as CreateAccessKey,
    CreateInstanceProfile as CreateInstanceProfile,
    CreateRole as CreateRole,
    CreateUser as CreateUser,
    DeleteAccessKey as DeleteAccessKey,
    DeleteInstanceProfile as DeleteInstanceProfile,
    DeleteRole as DeleteRole,
    DeleteRolePermissionsBoundary as DeleteRolePermissionsBoundary,
    DeleteRolePolicy as DeleteRolePolicy,
    DeleteUser as DeleteUser,
    DeleteUserPermissionsBoundary as DeleteUserPermissionsBoundary,
    DeleteUserPolicy as DeleteUserPolicy,
    DetachRolePolicy as DetachRolePolicy,
    DetachUserPolicy as DetachUserPolicy,
    PutRolePermissionsBoundary as PutRolePermissionsBoundary,
    PutRolePolicy as PutRolePolicy,
    PutUserPermissionsBoundary as PutUserPermissionsBoundary,
    PutUserPolicy as PutUserPolicy,
    RemoveRoleFromInstanceProfile as RemoveRoleFromInstanceProfile,
    TagInstanceProfile as TagInstanceProfile,
    TagRole as TagRole,
    TagUser as TagUser,
    UntagUser as UntagUser,
    UpdateAccessKey as UpdateAccessKey,
    UpdateAssumeRolePolicy as UpdateAssumeRolePolicy,
    UpdateRole as UpdateRole,
)
from cwagent_iam.changes.result import (
    AgentRole as AgentRole,
    AgentUser as AgentUser,
    Result as Result,
)
