"""The ARNs of policies, which follow from the partition and, for a customer's, the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from cwagent_iam.aws import IAMClient
    from cwagent_iam.policies import ManagedPolicy


def policy_arn(policy: ManagedPolicy, iam: IAMClient, account_id: str) -> str:
    """Return the ARN of *policy* for *iam*.

    Args:
        policy: The policy.
        iam: The client.
        account_id: The account that *iam* works in; empty if nothing was seen there yet, as when a
            role is made together with its boundary. Then IAM is asked for the policy.

    Raises:
        AWS_ERRORS: As botocore raises them; ``NoSuchEntity`` where the account has no such policy,
            as IAM itself says it of an ARN.
    """
    partition = iam.meta.partition
    if policy.account or account_id:
        return policy.arn(partition, account_id)
    pages = iam.get_paginator("list_policies").paginate(Scope="Local", PathPrefix=policy.path)
    for page in pages:
        for each in page["Policies"]:
            if (each["Path"], each["PolicyName"]) == (policy.path, policy.name):
                return str(each["Arn"])
    message = f"The account has no {policy}."
    raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": message}}, "ListPolicies")
