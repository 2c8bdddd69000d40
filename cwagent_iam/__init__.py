"""The Amazon CloudWatch agent's identity in IAM: roles, instance profiles, users, policies.

`ensure_agent_role` and `ensure_agent_user` do the whole job. The stages that they join can be
used alone: planners (`plan_agent_role`, `plan_agent_user`), `observe`, `diff`, `apply`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.changes import AgentRole, AgentUser, Change, ChangeSet, Result
    from cwagent_iam.consumers import consumer_retrying
    from cwagent_iam.credentials import (
        CommonConfig,
        KeyStore,
        NewAccessKey,
        ParameterStoreSecret,
        RotationStatus,
        SecretsManagerSecret,
        SharedCredentialsFile,
        rotate_access_key,
    )
    from cwagent_iam.differ import diff
    from cwagent_iam.documents import Document
    from cwagent_iam.ec2 import EC2Client
    from cwagent_iam.errors import (
        ApplyError,
        Conflict,
        ConflictError,
        CwAgentIamError,
        DeliveryError,
        Difference,
        IntentError,
        KeyConflictError,
        ObserveError,
        Problem,
        PropagationTimeoutError,
        RequestError,
        StoreError,
    )
    from cwagent_iam.events import Event
    from cwagent_iam.executor import apply
    from cwagent_iam.keys import AccessKey, SeenKey
    from cwagent_iam.observer import observe
    from cwagent_iam.pipeline import ensure, ensure_agent_role, ensure_agent_user, preview, remove
    from cwagent_iam.planners import plan_agent_role, plan_agent_user
    from cwagent_iam.policies import ADMIN_POLICY, SERVER_POLICY, ManagedPolicy
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.state import InstanceProfile, Role, State, User
    from cwagent_iam.visibility import EC2Answer, EC2Launch

__all__ = [
    "ADMIN_POLICY",
    "AWSSession",
    "AccessKey",
    "AgentRole",
    "AgentUser",
    "ApplyError",
    "Change",
    "ChangeSet",
    "CommonConfig",
    "Conflict",
    "ConflictError",
    "CwAgentIamError",
    "DeliveryError",
    "Difference",
    "Document",
    "EC2Answer",
    "EC2Client",
    "EC2Launch",
    "Event",
    "IAMClient",
    "InstanceProfile",
    "IntentError",
    "KeyConflictError",
    "KeyStore",
    "ManagedPolicy",
    "NewAccessKey",
    "ObserveError",
    "ParameterStoreSecret",
    "Problem",
    "Propagation",
    "PropagationTimeoutError",
    "RequestError",
    "Result",
    "Role",
    "RotationStatus",
    "SERVER_POLICY",
    "SecretsManagerSecret",
    "SeenKey",
    "SharedCredentialsFile",
    "State",
    "StoreError",
    "User",
    "apply",
    "consumer_retrying",
    "diff",
    "ensure",
    "ensure_agent_role",
    "ensure_agent_user",
    "observe",
    "plan_agent_role",
    "plan_agent_user",
    "preview",
    "remove",
    "rotate_access_key",
]

_ROOMS = {
    "ADMIN_POLICY": "policies",
    "AWSSession": "aws",
    "AccessKey": "keys",
    "AgentRole": "changes",
    "AgentUser": "changes",
    "ApplyError": "errors",
    "Change": "changes",
    "ChangeSet": "changes",
    "CommonConfig": "credentials",
    "Conflict": "errors",
    "ConflictError": "errors",
    "CwAgentIamError": "errors",
    "DeliveryError": "errors",
    "Difference": "errors",
    "Document": "documents",
    "EC2Answer": "visibility",
    "EC2Client": "ec2",
    "EC2Launch": "visibility",
    "Event": "events",
    "IAMClient": "aws",
    "InstanceProfile": "state",
    "IntentError": "errors",
    "KeyConflictError": "errors",
    "KeyStore": "credentials",
    "ManagedPolicy": "policies",
    "NewAccessKey": "credentials",
    "ObserveError": "errors",
    "ParameterStoreSecret": "credentials",
    "Problem": "errors",
    "Propagation": "propagation",
    "PropagationTimeoutError": "errors",
    "RequestError": "errors",
    "Result": "changes",
    "Role": "state",
    "RotationStatus": "credentials",
    "SERVER_POLICY": "policies",
    "SecretsManagerSecret": "credentials",
    "SeenKey": "keys",
    "SharedCredentialsFile": "credentials",
    "State": "state",
    "StoreError": "errors",
    "User": "state",
    "apply": "executor",
    "consumer_retrying": "consumers",
    "diff": "differ",
    "ensure": "pipeline",
    "ensure_agent_role": "pipeline",
    "ensure_agent_user": "pipeline",
    "observe": "observer",
    "plan_agent_role": "planners",
    "plan_agent_user": "planners",
    "preview": "pipeline",
    "remove": "pipeline",
    "rotate_access_key": "credentials",
}
"""The room of each public name; entered on first use, so that planning imports no SDK."""


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
