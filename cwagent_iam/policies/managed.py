"""Managed policies: names, and the ARNs that follow from them once there is a client.

Desired state knows neither partition nor account. So a policy may leave both open:

- an AWS-managed policy has ``aws`` for its account, and is found in every partition;
- a policy of the caller's own account, from `CustomerManagedPolicy`, has no account and no
  partition: both are those of the role or user that it belongs to;
- a policy by ARN has both, and keeps them: in another account it must not be taken for the policy
  that happens to have its name there.

IAM attaches no policies but AWS's and those of the account itself. Therefore, on one role or user,
one name and path can mean only one policy of a customer, and `ManagedPolicy.may_be` tells whether
an open one and one that was seen are the same. Equality stays plain equality, because "may be" is
no equality: an open policy may be either of two in different accounts, which are not each other.
Whoever compares the policies of a plan with those of IAM uses `without` in place of ``-``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from cwagent_iam.arguments import plain
from cwagent_iam.policies.partitions import PARTITION_NAME

if TYPE_CHECKING:
    from collections.abc import Collection

POLICY_NAME = r"[A-Za-z0-9_+=,.@-]{1,128}"
"""The name of a managed policy or of an inline one; source: the IAM API reference."""

_POLICY_ARN = re.compile(
    rf"arn:(?P<partition>{PARTITION_NAME}):iam::(?P<account>aws|[0-9]{{12}}):policy"
    rf"(?P<path>(?:/[A-Za-z0-9.,+@=_-]+)*/)(?P<name>{POLICY_NAME})",
)


@attrs.frozen(order=True)
class ManagedPolicy:
    """A managed policy, of AWS or of a customer.

    Attributes:
        name: The policy's name, 1 to 128 characters.
        path: The policy's path; ``/`` for most.
        account: The account that owns it: 12 digits, or ``aws`` for an AWS-managed policy. Empty
            for the account of the role or user that it belongs to, whichever that is.
        partition: The partition of a customer's policy. It is empty where the account is no
            number: then it is the partition that the client works in.
    """

    name: str = attrs.field(converter=plain)
    path: str = attrs.field(default="/", converter=plain)
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

    def arn(self, partition: str, account_id: str = "") -> str:
        """Return its ARN for a client that works in *partition* and *account_id*.

        Args:
            partition: The client's partition.
            account_id: The account of the role or user, 12 digits; only a policy of the caller's
                own account needs it.

        Raises:
            ValueError: When the account is needed and not given.
        """
        account = self.account or account_id
        if not account:
            message = f"the ARN of {self} takes the account that it is in"
            raise ValueError(message)
        return f"arn:{self.partition or partition}:iam::{account}:policy{self.path}{self.name}"

    def may_be(self, other: ManagedPolicy) -> bool:
        """Tell whether this and *other*, of one role or user, are the same policy."""
        if self.account and other.account:
            return self == other
        ours = "aws" not in {self.account, other.account}
        return ours and (self.path, self.name) == (other.path, other.name)

    def __str__(self) -> str:
        """The name of an AWS-managed policy, the ARN of a customer's, its end if it is open."""
        if self.account == "aws":
            return self.name
        return self.arn(self.partition) if self.account else f"policy{self.path}{self.name}"


def CustomerManagedPolicy(name: str, path: str = "/") -> ManagedPolicy:  # noqa: N802 - it reads as what it makes
    """Name a policy of the caller's own account, whichever account that will be.

    >>> print(CustomerManagedPolicy("AgentExtras", path="/observability/"))
    policy/observability/AgentExtras

    Args:
        name: 1 to 128 characters; ASCII letters, digits and ``_+=,.@-``; in the letter case that
            IAM has it in, because ARNs know only that.
        path: The policy's path, 1 to 512 characters, from ``/`` to ``/``.

    Returns:
        The policy, without account and partition. Bad arguments are found by the planners.
    """
    return ManagedPolicy(name, path, account="")


def without(
    policies: Collection[ManagedPolicy], others: Collection[ManagedPolicy]
) -> frozenset[ManagedPolicy]:
    """Return those of *policies* that are none of *others*, on one role or user."""
    return frozenset(
        policy for policy in policies if not any(policy.may_be(other) for other in others)
    )
