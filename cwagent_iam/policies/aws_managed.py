"""The AWS-managed policies of the agent, and those of the places where it runs.

They have the same names and paths in every partition. Sources: the CloudWatch user guide, the AWS
managed policy reference; what each allows is that of the versions there in August 2026.
"""

from __future__ import annotations

from cwagent_iam.policies.managed import ManagedPolicy

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
