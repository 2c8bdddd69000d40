"""The account that a client works in, where nothing that was seen there tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from cwagent_iam.aws import IAMClient
    from cwagent_iam.policies import ManagedPolicy


def account_of(policy: ManagedPolicy, iam: IAMClient) -> str:
    """Return the account of a customer's *policy*, 12 digits: that of the caller.

    It takes ``iam:ListPolicies``, which a caller who may set boundaries can well be given; STS
    would take a client and an endpoint of its own.

    Raises:
        AWS_ERRORS: As botocore raises them; ``NoSuchEntity`` where the account has no such policy,
            in the form in which IAM would say it of an ARN.
    """
    pages = iam.get_paginator("list_policies").paginate(Scope="Local", PathPrefix=policy.path)
    for page in pages:
        for each in page["Policies"]:
            if (each["Path"], each["PolicyName"]) == (policy.path, policy.name):
                return str(each["Arn"]).split(":")[4]
    message = f"The account has no {policy}."
    raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": message}}, "ListPolicies")
