"""The trusts in which an AWS service hands the role to the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.arguments import plain, plain_if_named
from cwagent_iam.errors import Problem
from cwagent_iam.policies import ANY_PARTITION
from cwagent_iam.trust import checks
from cwagent_iam.trust.base import (
    ASSUME_ROLE,
    TAG_SESSION,
    StatementJSON,
    Trust,
    service_statement,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SET_SOURCE_IDENTITY = "sts:SetSourceIdentity"


@attrs.frozen
class EC2(Trust):
    """The agent runs on EC2, or on a Kubernetes node there: the instance has the role.

    Source: the CloudWatch user guide, "Create IAM roles and users for use with the CloudWatch
    agent".

    >>> print(EC2().document())
    Allow Service ec2 sts:AssumeRole
    """

    def problems(self, argument: str = "trust") -> Iterator[Problem]:  # noqa: ARG002 - nothing is asked for
        """Yield nothing: there is nothing to get wrong."""
        return iter(())

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, which has no conditions."""
        return (service_statement("ec2", ASSUME_ROLE),)


@attrs.frozen
class ECSTask(Trust):
    """The agent runs in an ECS task: for its task role, and for its execution role.

    Source: "Amazon ECS task IAM role" and "Amazon ECS task execution IAM role" in the ECS developer
    guide.

    >>> print(ECSTask().document())
    Allow Service ecs-tasks sts:AssumeRole

    Attributes:
        account_id: The account whose tasks may have the role, 12 digits: the guard against the
            confused deputy, which the guide advises. `None` leaves it out.
        region: The region of these tasks, or ``*`` for all; it needs *account_id*.
    """

    account_id: str | None = attrs.field(default=None, converter=plain_if_named)
    region: str = attrs.field(default="*", kw_only=True, converter=plain)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        if self.account_id is not None:
            yield from checks.account_problems(f"{argument}.account_id", self.account_id)
        elif self.region != "*":
            rule = "must be given too, because a region alone guards nothing"
            yield Problem.of(f"{argument}.account_id", self.account_id, rule)
        yield from checks.region_problems(f"{argument}.region", self.region)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, with its conditions if the account is given."""
        if self.account_id is None:
            return (service_statement("ecs-tasks", ASSUME_ROLE),)
        condition = {
            "ArnLike": {"aws:SourceArn": _source_arn("ecs", self.region, self.account_id)},
            "StringEquals": {"aws:SourceAccount": self.account_id},
        }
        return (service_statement("ecs-tasks", ASSUME_ROLE, condition=condition),)


@attrs.frozen
class SSMHybrid(Trust):
    """The agent runs outside AWS, on a server with a hybrid activation of Systems Manager.

    Its SSM agent keeps writing short-lived keys to a credentials file, to which the CloudWatch
    agent is pointed. Source: "Create the IAM service role required for Systems Manager in hybrid
    and multicloud environments" in the Systems Manager user guide.

    Attributes:
        account_id: The account of the activations, 12 digits.
        region: The region of the activations, or ``*`` for all.
    """

    account_id: str = attrs.field(converter=plain)
    region: str = attrs.field(default="*", converter=plain)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        yield from checks.account_problems(f"{argument}.account_id", self.account_id)
        yield from checks.region_problems(f"{argument}.region", self.region)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, with both conditions of the guide."""
        condition = {
            "StringEquals": {"aws:SourceAccount": self.account_id},
            "ArnEquals": {"aws:SourceArn": _source_arn("ssm", self.region, self.account_id)},
        }
        return (service_statement("ssm", ASSUME_ROLE, condition=condition),)


@attrs.frozen(kw_only=True)
class PodIdentity(Trust):
    """The agent runs on EKS and gets the role by an EKS Pod Identity association.

    The association names the one service account that gets the role; the conditions here are a
    second lock. EKS tags each session with what they compare, unless the association has session
    tags switched off. Source: "Create IAM role with trust policy required by EKS Pod Identity" in
    the EKS user guide.

    Attributes:
        cluster_arn: The only cluster; `None` for any.
        namespace: The only namespace; ``amazon-cloudwatch`` is that of the EKS add-on. It may hold
            ``*`` and ``?``; `None` for any.
        service_account: The only service account; ``cloudwatch-agent`` is that of the EKS add-on.
            It may hold ``*`` and ``?``; `None` for any.
    """

    cluster_arn: str | None = attrs.field(default=None, converter=plain_if_named)
    namespace: str | None = attrs.field(default=None, converter=plain_if_named)
    service_account: str | None = attrs.field(default=None, converter=plain_if_named)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        if self.cluster_arn is not None:
            yield from checks.cluster_problems(f"{argument}.cluster_arn", self.cluster_arn)
        if self.namespace is not None:
            yield from checks.namespace_problems(f"{argument}.namespace", self.namespace)
        if self.service_account is not None:
            where = f"{argument}.service_account"
            yield from checks.service_account_problems(where, self.service_account)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, with a condition for each argument that is given."""
        asked = {
            "aws:RequestTag/eks-cluster-arn": self.cluster_arn,
            "aws:RequestTag/kubernetes-namespace": self.namespace,
            "aws:RequestTag/kubernetes-service-account": self.service_account,
        }
        tags = {key: value for key, value in asked.items() if value is not None}
        condition = {
            "StringEquals": {key: value for key, value in tags.items() if not checks.wild(value)},
            "StringLike": {key: value for key, value in tags.items() if checks.wild(value)},
        }
        return (service_statement("pods.eks", ASSUME_ROLE, TAG_SESSION, condition=condition),)


@attrs.frozen
class RolesAnywhere(Trust):
    """The agent runs outside AWS and gets the role for a certificate, by IAM Roles Anywhere.

    Source: "Trust model in AWS Identity and Access Management Roles Anywhere" in its user guide.

    Attributes:
        trust_anchor_arn: The trust anchor that vouches for the certificates.
        subject_common_name: The only common name of a certificate's subject; `None` for any.
        issuer_common_name: The only common name of a certificate's issuer; `None` for any.
        source_identity: The only source identity of the session; `None` for any.
    """

    trust_anchor_arn: str = attrs.field(converter=plain)
    subject_common_name: str | None = attrs.field(
        default=None, kw_only=True, converter=plain_if_named
    )
    issuer_common_name: str | None = attrs.field(
        default=None, kw_only=True, converter=plain_if_named
    )
    source_identity: str | None = attrs.field(default=None, kw_only=True, converter=plain_if_named)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        yield from checks.anchor_problems(f"{argument}.trust_anchor_arn", self.trust_anchor_arn)
        for name in ("subject_common_name", "issuer_common_name", "source_identity"):
            value = getattr(self, name)
            if value is not None:
                yield from checks.text_problems(f"{argument}.{name}", value)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement; names are compared as a whole."""
        asked = {
            "aws:PrincipalTag/x509Subject/CN": self.subject_common_name,
            "aws:PrincipalTag/x509Issuer/CN": self.issuer_common_name,
            "sts:SourceIdentity": self.source_identity,
        }
        condition = {
            "ArnEquals": {"aws:SourceArn": self.trust_anchor_arn},
            "StringEquals": {key: value for key, value in asked.items() if value is not None},
        }
        actions = (ASSUME_ROLE, TAG_SESSION, SET_SOURCE_IDENTITY)
        return (service_statement("rolesanywhere", *actions, condition=condition),)


def _source_arn(service: str, region: str, account_id: str) -> str:
    """Stand for all that *service* has in an account."""
    return f"arn:{ANY_PARTITION}:{service}:{region}:{account_id}:*"
