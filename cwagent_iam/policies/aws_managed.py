"""AWS-managed policies of the agent and of the places where it runs, and what they mean for it.

They have the same names and paths in every partition. Sources: the CloudWatch user guide, the AWS
managed policy reference; what each allows is that of the versions there in August 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.documents import Document
from cwagent_iam.findings import Finding
from cwagent_iam.policies.managed import ManagedPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cwagent_iam.policies.inline import InlinePolicy

SERVER_POLICY = ManagedPolicy("CloudWatchAgentServerPolicy")
"""What the agent needs to send metrics, logs and X-Ray traces, and to read its configuration."""

ADMIN_POLICY = ManagedPolicy("CloudWatchAgentAdminPolicy")
"""For one machine and a short time: it may also write configurations to Parameter Store."""

SSM_MANAGED_INSTANCE_POLICY = ManagedPolicy("AmazonSSMManagedInstanceCore")
"""The SSM agent: hybrid activations, Run Command, Distributor, State Manager. It reads every
parameter, whatever its name. Source: the Systems Manager user guide, "Configure instance
permissions required for Systems Manager"."""

SSM_EC2_DEFAULT_POLICY = ManagedPolicy("AmazonSSMManagedEC2InstanceDefaultPolicy")
"""The SSM agent on EC2 by Default Host Management Configuration; it reads no parameters. Source:
the Systems Manager user guide."""

SSM_DIRECTORY_SERVICE_POLICY = ManagedPolicy("AmazonSSMDirectoryServiceAccess")
"""Joins servers to a domain of Active Directory by Systems Manager. Source: its user guide."""

XRAY_DAEMON_POLICY = ManagedPolicy("AWSXRayDaemonWriteAccess")
"""Sends traces: five actions that `SERVER_POLICY` has since its version 3 too. The CloudWatch user
guide still names it."""

XRAY_WRITE_ONLY_POLICY = ManagedPolicy("AWSXrayWriteOnlyAccess")
"""The same five actions, as the EKS user guide names them; spelt by AWS."""

PROMETHEUS_REMOTE_WRITE_POLICY = ManagedPolicy("AmazonPrometheusRemoteWriteAccess")
"""Sends metrics to every workspace of Amazon Managed Service for Prometheus. Source: its user
guide."""

ECS_TASK_EXECUTION_POLICY = ManagedPolicy("AmazonECSTaskExecutionRolePolicy", "/service-role/")
"""For the execution role of an ECS task: pulls the image, writes the task's own logs; it reads no
parameters. Source: the ECS developer guide, "Amazon ECS task execution IAM role"."""

CLOUDWATCH_API_KEY_POLICY = ManagedPolicy("CloudWatchAPIKeyAccess")
"""Sends metrics to the OTLP endpoint with a bearer token. Source: the managed policy reference."""

LOGS_API_KEY_POLICY = ManagedPolicy("CloudWatchLogsAPIKeyAccess")
"""Sends logs to the OTLP endpoint with a bearer token. Source: the managed policy reference."""

_VOLUMES = Document.parse(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "ec2:DescribeVolumes", "Resource": "*"},
    }
)
_NO_SUPERSET = (
    "It lacks ec2:DescribeVolumes, which CloudWatchAgentServerPolicy has: without it the agent "
    "leaves out the dimension VolumeId of disks and says nothing. Attach the server policy too "
    "where the agent has that dimension."
)
_WRITES_FOR_ALL = (
    "It may replace every parameter whose name begins with AmazonCloudWatch-, and so what other "
    "servers run: give it to one machine, and only while that stores a configuration."
)
_READS_ALL = (
    "It may read every parameter of the account, whatever its name: the prefix AmazonCloudWatch- "
    "limits nothing beside it."
)


def policy_findings(
    policies: Collection[ManagedPolicy], inline_policies: Iterable[InlinePolicy] = ()
) -> tuple[Finding, ...]:
    """Tell what the policies of one role or user mean for the agent.

    The CloudWatch user guide says that a role with the admin policy can run the agent too; the
    documents of the two policies (versions 2 and 3) tell of the one exception.

    Args:
        policies: The managed policies, desired or observed.
        inline_policies: The inline policies.

    Returns:
        The findings, the worst first.
    """
    found = []
    if ADMIN_POLICY in policies:
        found.append(Finding("open", str(ADMIN_POLICY), _WRITES_FOR_ALL))
        if SERVER_POLICY not in policies and not _together(inline_policies).allows(_VOLUMES):
            found.append(Finding("needs", str(ADMIN_POLICY), _NO_SUPERSET))
    if SSM_MANAGED_INSTANCE_POLICY in policies:
        found.append(Finding("open", str(SSM_MANAGED_INSTANCE_POLICY), _READS_ALL))
    return tuple(sorted(found, key=lambda finding: finding.rank))


def _together(policies: Iterable[InlinePolicy]) -> Document:
    """Return one document that says what all *policies* say: what one denies, none allows."""
    documents = [policy.document for policy in policies]
    good = [each.content() for each in documents if not isinstance(each.statements, str)]
    statements = [statement for content in good for statement in content["Statement"]]
    return Document.parse({"Version": "2012-10-17", "Statement": statements})
