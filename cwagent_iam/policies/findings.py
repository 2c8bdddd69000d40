"""What is to be known about the policies of a role or user, though nothing is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.documents import Document
from cwagent_iam.findings import Finding
from cwagent_iam.policies.aws_managed import (
    ADMIN_POLICY,
    SERVER_POLICY,
    SSM_MANAGED_INSTANCE_POLICY,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cwagent_iam.policies.inline import InlinePolicy
    from cwagent_iam.policies.managed import ManagedPolicy

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
