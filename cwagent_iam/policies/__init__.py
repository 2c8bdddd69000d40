"""The policies that the agent needs: managed ones, and documents that lie in a role or user.

All are values, free of what only a client knows: its partition and its account. What is wrong with
them is told by ``problems`` and by `cwagent_iam.limits`; what else is to be known, by
`policy_findings`.
"""

from cwagent_iam.policies.aws_managed import (
    ADMIN_POLICY as ADMIN_POLICY,
    CLOUDWATCH_API_KEY_POLICY as CLOUDWATCH_API_KEY_POLICY,
    ECS_TASK_EXECUTION_POLICY as ECS_TASK_EXECUTION_POLICY,
    LOGS_API_KEY_POLICY as LOGS_API_KEY_POLICY,
    PROMETHEUS_REMOTE_WRITE_POLICY as PROMETHEUS_REMOTE_WRITE_POLICY,
    SERVER_POLICY as SERVER_POLICY,
    SSM_DIRECTORY_SERVICE_POLICY as SSM_DIRECTORY_SERVICE_POLICY,
    SSM_EC2_DEFAULT_POLICY as SSM_EC2_DEFAULT_POLICY,
    SSM_MANAGED_INSTANCE_POLICY as SSM_MANAGED_INSTANCE_POLICY,
    XRAY_DAEMON_POLICY as XRAY_DAEMON_POLICY,
    XRAY_WRITE_ONLY_POLICY as XRAY_WRITE_ONLY_POLICY,
    policy_findings as policy_findings,
)
from cwagent_iam.policies.inline import (
    InlinePolicy as InlinePolicy,
    identity_problems as identity_problems,
    inline_problems as inline_problems,
)
from cwagent_iam.policies.managed import (
    CustomerManagedPolicy as CustomerManagedPolicy,
    ManagedPolicy as ManagedPolicy,
    without as without,
)
from cwagent_iam.policies.parameters import (
    ecs_parameter_access as ecs_parameter_access,
    parameter_access as parameter_access,
)
from cwagent_iam.policies.partitions import (
    localise as localise,
    neutral as neutral,
    neutralise as neutralise,
)
