"""The policies that the agent needs: managed ones, and documents that lie in a role or user.

All are values, free of what only a client knows: its partition and its account. What is wrong with
them is told by ``problems`` and by `cwagent_iam.limits`; what else is to be known, by
`policy_findings`.
"""

from cwagent_iam.policies.aws_managed import (
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
)
from cwagent_iam.policies.findings import policy_findings
from cwagent_iam.policies.grammar import document_problems, identity_problems
from cwagent_iam.policies.inline import InlinePolicy, inline_problems
from cwagent_iam.policies.managed import CustomerManagedPolicy, ManagedPolicy, without
from cwagent_iam.policies.parameters import (
    ecs_parameter_access,
    key_problems,
    parameter_access,
    parameter_problems,
)
from cwagent_iam.policies.partitions import (
    ANY_PARTITION,
    PARTITION_NAME,
    localise,
    neutral,
    neutralise,
    replace_texts,
)

__all__ = [
    "ADMIN_POLICY",
    "ANY_PARTITION",
    "CLOUDWATCH_API_KEY_POLICY",
    "CustomerManagedPolicy",
    "ECS_TASK_EXECUTION_POLICY",
    "InlinePolicy",
    "LOGS_API_KEY_POLICY",
    "ManagedPolicy",
    "PARTITION_NAME",
    "PROMETHEUS_REMOTE_WRITE_POLICY",
    "SERVER_POLICY",
    "SSM_DIRECTORY_SERVICE_POLICY",
    "SSM_EC2_DEFAULT_POLICY",
    "SSM_MANAGED_INSTANCE_POLICY",
    "XRAY_DAEMON_POLICY",
    "XRAY_WRITE_ONLY_POLICY",
    "document_problems",
    "ecs_parameter_access",
    "identity_problems",
    "inline_problems",
    "key_problems",
    "localise",
    "neutral",
    "neutralise",
    "parameter_access",
    "parameter_problems",
    "policy_findings",
    "replace_texts",
    "without",
]
