"""The AWS-managed policies that intent can name: that they exist, and what is known of them."""

from __future__ import annotations

import json

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from cwagent_iam import policies
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.testing import sandbox

CONSTANTS = {
    name: value
    for name in vars(policies)
    if isinstance(value := getattr(policies, name), ManagedPolicy)
}
ARN_ENDS = {
    "ADMIN_POLICY": "CloudWatchAgentAdminPolicy",
    "CLOUDWATCH_API_KEY_POLICY": "CloudWatchAPIKeyAccess",
    "ECS_TASK_EXECUTION_POLICY": "service-role/AmazonECSTaskExecutionRolePolicy",
    "LOGS_API_KEY_POLICY": "CloudWatchLogsAPIKeyAccess",
    "PROMETHEUS_REMOTE_WRITE_POLICY": "AmazonPrometheusRemoteWriteAccess",
    "SERVER_POLICY": "CloudWatchAgentServerPolicy",
    "SSM_DIRECTORY_SERVICE_POLICY": "AmazonSSMDirectoryServiceAccess",
    "SSM_EC2_DEFAULT_POLICY": "AmazonSSMManagedEC2InstanceDefaultPolicy",
    "SSM_MANAGED_INSTANCE_POLICY": "AmazonSSMManagedInstanceCore",
    "XRAY_DAEMON_POLICY": "AWSXRayDaemonWriteAccess",
    "XRAY_WRITE_ONLY_POLICY": "AWSXrayWriteOnlyAccess",
}
DOCUMENTS = json.loads(aws_managed_policies_data)


def actions_of(policy: ManagedPolicy) -> set[str]:
    """All that a policy allows, as moto's copy of AWS's documents has it."""
    statements = DOCUMENTS[policy.name]["Document"]["Statement"]
    listed = [each["Action"] for each in statements]
    return {action for each in listed for action in ([each] if isinstance(each, str) else each)}


def test_the_constants_are_these() -> None:
    """Each name stands for one policy, with its path and its spelling."""
    arns = {name: f"arn:aws:iam::aws:policy/{end}" for name, end in ARN_ENDS.items()}
    assert {name: value.arn("aws") for name, value in CONSTANTS.items()} == arns


@pytest.mark.parametrize("name", CONSTANTS)
def test_aws_has_such_a_policy(name: str) -> None:
    """Name and path are those of AWS's own list, as moto copied it; a role takes it."""
    policy = CONSTANTS[name]
    assert DOCUMENTS[policy.name]["Path"] == policy.path
    with sandbox() as session:
        iam = session.client("iam")
        iam.create_role(RoleName="any", AssumeRolePolicyDocument="{}")
        iam.attach_role_policy(RoleName="any", PolicyArn=policy.arn("aws"))


def test_what_the_docstrings_say_of_the_documents() -> None:
    """Traces are allowed by the server policy too; who reads parameters, and who does not."""
    tracing = {action for action in actions_of(policies.SERVER_POLICY) if action[:5] == "xray:"}
    assert actions_of(policies.XRAY_DAEMON_POLICY) == tracing
    assert actions_of(policies.XRAY_WRITE_ONLY_POLICY) == tracing
    assert "ssm:GetParameter" in actions_of(policies.SSM_MANAGED_INSTANCE_POLICY)
    for policy in (policies.SSM_EC2_DEFAULT_POLICY, policies.ECS_TASK_EXECUTION_POLICY):
        assert not {action for action in actions_of(policy) if action.startswith("ssm:GetParam")}
    assert actions_of(policies.PROMETHEUS_REMOTE_WRITE_POLICY) == {"aps:RemoteWrite"}
    assert "cloudwatch:PutMetricData" in actions_of(policies.CLOUDWATCH_API_KEY_POLICY)
    assert "logs:PutLogEvents" in actions_of(policies.LOGS_API_KEY_POLICY)
