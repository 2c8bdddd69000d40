"""The policies that the agent needs.

AWS-managed policies have the same name in every partition and an ARN that follows from both
(``arn:PARTITION:iam::aws:policy/NAME``), so intent names the policy and never the partition.
"""

from __future__ import annotations

import re

import attrs

_POLICY_ARN = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z0-9]+)*):iam::(?P<account>aws|[0-9]{12}):policy"
    r"(?P<path>(?:/[A-Za-z0-9.,+@=_-]+)*/)(?P<name>[A-Za-z0-9_+=,.@-]{1,128})",
)


@attrs.frozen(order=True)
class ManagedPolicy:
    """A managed policy, of AWS or of a customer.

    Attributes:
        name: The policy's name, 1 to 128 characters.
        path: The policy's path; ``/`` for most.
        account: The account that owns it: 12 digits, or ``aws`` for an AWS-managed policy.
        partition: The partition of a customer's policy. For AWS-managed policies it is empty:
            they are found in whichever partition the client works in.
    """

    name: str
    path: str = "/"
    account: str = "aws"
    partition: str = ""

    @classmethod
    def from_arn(cls, arn: str) -> ManagedPolicy:
        """Read a policy's ARN.

        Raises:
            ValueError: When *arn* is not the ARN of a managed policy.
        """
        match = _POLICY_ARN.fullmatch(arn)
        if match is None:
            message = f"not the ARN of a managed policy: {arn!r}"
            raise ValueError(message)
        parts = match.groupdict()
        return cls(**(parts | {"partition": ""} if parts["account"] == "aws" else parts))

    def arn(self, partition: str) -> str:
        """Return its ARN for a client that works in *partition*."""
        return f"arn:{self.partition or partition}:iam::{self.account}:policy{self.path}{self.name}"

    def __str__(self) -> str:
        """The name of an AWS-managed policy, the ARN of a customer's."""
        return self.name if self.account == "aws" else self.arn(self.partition)


SERVER_POLICY = ManagedPolicy("CloudWatchAgentServerPolicy")
"""What the agent needs to send metrics, logs and traces, and to read its configuration."""

ADMIN_POLICY = ManagedPolicy("CloudWatchAgentAdminPolicy")
"""For one machine and a short time: it may also write configurations to Parameter Store."""
