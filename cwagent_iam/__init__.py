"""The Amazon CloudWatch agent's identity in IAM: roles, instance profiles, users, policies.

`ensure_agent_role` and `ensure_agent_user` do the whole job. The stages that they join can be
used alone: planners (`plan_agent_role`, `plan_agent_user`), `observe`, `diff`, `apply`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cwagent_iam.access_keys.rotation import RotationStatus
    from cwagent_iam.api import (
        apply,
        ensure,
        ensure_agent_role,
        ensure_agent_user,
        observe,
        observe_quotas,
        preview,
        remove,
    )
    from cwagent_iam.aws import AWSSession, IAMClient, STSClient
    from cwagent_iam.changes import (
        AccessKey,
        AgentRole,
        AgentUser,
        Change,
        ChangeSet,
        Extra,
        Result,
    )
    from cwagent_iam.differ import Attachments, Existing, diff
    from cwagent_iam.documents import Document
    from cwagent_iam.ec2 import EC2Client, consumer_retrying
    from cwagent_iam.errors import (
        ApplyError,
        Conflict,
        ConflictError,
        CredentialsError,
        CwAgentIamError,
        DeliveryError,
        Difference,
        IntentError,
        KeyConflictError,
        ObserveError,
        Problem,
        PropagationTimeoutError,
        Refused,
        RequestError,
        StoreError,
    )
    from cwagent_iam.events import Event
    from cwagent_iam.findings import Finding
    from cwagent_iam.key_stores import (
        Advice,
        Companion,
        KeyStore,
        NewAccessKey,
        ReadableKeyStore,
        SecretAccessKey,
    )
    from cwagent_iam.limits import Quotas
    from cwagent_iam.planners import (
        plan_admin_role,
        plan_admin_user,
        plan_agent_role,
        plan_agent_user,
        plan_ecs_execution_role,
    )
    from cwagent_iam.policies import (
        ADMIN_POLICY,
        CLOUDWATCH_API_KEY_POLICY,
        ECS_TASK_EXECUTION_POLICY,
        LOGS_API_KEY_POLICY,
        PROMETHEUS_REMOTE_WRITE_POLICY,
        SERVER_POLICY,
        SSM_DIRECTORY_SERVICE_POLICY,
        SSM_EC2_DEFAULT_POLICY,
        SSM_MANAGED_INSTANCE_POLICY,
        XRAY_DAEMON_POLICY,
        XRAY_WRITE_ONLY_POLICY,
        CustomerManagedPolicy,
        InlinePolicy,
        ManagedPolicy,
    )
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.rotation import preview_rotation, rotate_access_key
    from cwagent_iam.state import InstanceProfile, Role, SeenKey, State, User
    from cwagent_iam.stores import (
        CommonConfig,
        ParameterStoreSecret,
        SecretsManagerSecret,
        SharedCredentialsFile,
    )
    from cwagent_iam.trust import (
        EC2,
        IRSA,
        CrossAccount,
        CustomTrust,
        ECSTask,
        PodIdentity,
        RolesAnywhere,
        SSMHybrid,
        Trust,
        WebIdentity,
    )
    from cwagent_iam.visibility import EC2Answer, EC2Launch

__all__ = [
    "ADMIN_POLICY",
    "AWSSession",
    "AccessKey",
    "Advice",
    "AgentRole",
    "AgentUser",
    "ApplyError",
    "Attachments",
    "CLOUDWATCH_API_KEY_POLICY",
    "Change",
    "ChangeSet",
    "CommonConfig",
    "Companion",
    "Conflict",
    "ConflictError",
    "CredentialsError",
    "CrossAccount",
    "CustomTrust",
    "CustomerManagedPolicy",
    "CwAgentIamError",
    "DeliveryError",
    "Difference",
    "Document",
    "EC2",
    "EC2Answer",
    "EC2Client",
    "EC2Launch",
    "ECSTask",
    "ECS_TASK_EXECUTION_POLICY",
    "Event",
    "Existing",
    "Extra",
    "Finding",
    "IAMClient",
    "IRSA",
    "InlinePolicy",
    "InstanceProfile",
    "IntentError",
    "KeyConflictError",
    "KeyStore",
    "LOGS_API_KEY_POLICY",
    "ManagedPolicy",
    "NewAccessKey",
    "ObserveError",
    "PROMETHEUS_REMOTE_WRITE_POLICY",
    "ParameterStoreSecret",
    "PodIdentity",
    "Problem",
    "Propagation",
    "PropagationTimeoutError",
    "Quotas",
    "ReadableKeyStore",
    "Refused",
    "RequestError",
    "Result",
    "Role",
    "RolesAnywhere",
    "RotationStatus",
    "SERVER_POLICY",
    "SSMHybrid",
    "SSM_DIRECTORY_SERVICE_POLICY",
    "SSM_EC2_DEFAULT_POLICY",
    "SSM_MANAGED_INSTANCE_POLICY",
    "STSClient",
    "SecretAccessKey",
    "SecretsManagerSecret",
    "SeenKey",
    "SharedCredentialsFile",
    "State",
    "StoreError",
    "Trust",
    "User",
    "WebIdentity",
    "XRAY_DAEMON_POLICY",
    "XRAY_WRITE_ONLY_POLICY",
    "apply",
    "consumer_retrying",
    "diff",
    "ensure",
    "ensure_agent_role",
    "ensure_agent_user",
    "observe",
    "observe_quotas",
    "plan_admin_role",
    "plan_admin_user",
    "plan_agent_role",
    "plan_agent_user",
    "plan_ecs_execution_role",
    "preview",
    "preview_rotation",
    "remove",
    "rotate_access_key",
]

_ROOMS = (
    *("errors", "policies", "trust", "findings", "documents", "limits", "state", "key_stores"),
    *("visibility", "changes", "events", "planners", "differ"),
    *("aws", "propagation", "ec2", "stores", "rotation", "access_keys.rotation", "api"),
)
"""Where the public names are; rooms without the SDK first, so that planning imports none."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    rooms = (importlib.import_module(f"{__name__}.{room}") for room in _ROOMS)
    return next(getattr(room, name) for room in rooms if hasattr(room, name))


def __dir__() -> list[str]:
    return __all__
