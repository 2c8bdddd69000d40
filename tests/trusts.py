"""A trust of every kind in every partition, as a caller would ask for it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.trust import (
    EC2,
    IRSA,
    CrossAccount,
    CustomTrust,
    ECSTask,
    PodIdentity,
    RolesAnywhere,
    SSMHybrid,
    WebIdentity,
)

if TYPE_CHECKING:
    from cwagent_iam.trust import Trust

ACCOUNT = "123456789012"
SOURCE = "111122223333"
REGIONS = {
    "aws": "eu-west-1",
    "aws-cn": "cn-north-1",
    "aws-eusc": "eusc-de-east-1",
    "aws-iso": "us-iso-east-1",
    "aws-iso-b": "us-isob-east-1",
    "aws-iso-e": "eu-isoe-west-1",
    "aws-iso-f": "us-isof-south-1",
    "aws-us-gov": "us-gov-west-1",
}
"""A region of each partition."""

_EKS_ID = "id/0123456789ABCDEF0123456789ABCDEF"
_EKS_ISSUERS = {
    "aws": f"oidc.eks.eu-west-1.amazonaws.com/{_EKS_ID}",
    "aws-cn": f"oidc.eks.cn-north-1.amazonaws.com.cn/{_EKS_ID}",
}
_TENANT = "11111111-2222-3333-4444-555555555555"
_AKS_ISSUER = (
    f"https://eastus.oic.prod-aks.azure.com/{_TENANT}/66666666-7777-8888-9999-000000000000/"
)
_AZURE_AUDIENCES = {
    "aws-cn": "https://management.chinacloudapi.cn/",
    "aws-us-gov": "https://management.usgovcloudapi.net/",
}


def trusts_in(partition: str) -> dict[str, Trust]:
    """Return trusts by the names of their golden documents."""
    region = REGIONS[partition]
    issuer = _EKS_ISSUERS.get(partition, f"issuer.example.com/{_EKS_ID}")
    provider = f"arn:{partition}:iam::{ACCOUNT}:oidc-provider/{issuer}"
    anchor = (
        f"arn:{partition}:rolesanywhere:{region}:{ACCOUNT}"
        ":trust-anchor/01234567-89ab-cdef-0123-456789abcdef"
    )
    role = f"arn:{partition}:iam::{SOURCE}:role/CloudWatchAgentServerRole"
    return {
        "aks": WebIdentity(
            _AKS_ISSUER,
            "sts.amazonaws.com",
            "system:serviceaccount:amazon-cloudwatch:cloudwatch-agent",
            account_id=ACCOUNT,
        ),
        "azure-vm": WebIdentity(
            f"https://sts.windows.net/{_TENANT}/",
            _AZURE_AUDIENCES.get(partition, "https://management.azure.com/"),
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            account_id=ACCOUNT,
        ),
        "cross-account": CrossAccount([role, SOURCE]),
        "cross-account-guarded": CrossAccount(
            [role],
            source_account=SOURCE,
            source_arn=f"arn:{partition}:ec2:{region}:{SOURCE}:instance/i-0123456789abcdef0",
        ),
        "custom": CustomTrust(_custom(partition)),
        "ec2": EC2(),
        "ecs-task": ECSTask(),
        "ecs-task-guarded": ECSTask(ACCOUNT, region=region),
        "irsa": IRSA(provider),
        "irsa-namespaces": IRSA(f"https://{issuer}", namespace="team-*", account_id=ACCOUNT),
        "pod-identity": PodIdentity(),
        "pod-identity-agent": PodIdentity(
            cluster_arn=f"arn:{partition}:eks:{region}:{ACCOUNT}:cluster/prod",
            namespace="amazon-cloudwatch",
            service_account="cloudwatch-agent",
        ),
        "roles-anywhere": RolesAnywhere(anchor),
        "roles-anywhere-certificate": RolesAnywhere(
            anchor,
            subject_common_name="host.example.com",
            issuer_common_name="Example CA",
        ),
        "ssm-hybrid": SSMHybrid(ACCOUNT),
        "ssm-hybrid-region": SSMHybrid(ACCOUNT, region),
    }


def _custom(partition: str) -> dict[str, object]:
    """Write a document by hand: one service by a full name, the other by its short name."""
    guarded = {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnEquals": {"aws:SourceArn": f"arn:{partition}:ssm:*:{ACCOUNT}:*"},
    }
    return {
        "Version": "2012-10-17",
        "Id": "agent",
        "Statement": [
            {
                "Sid": "Instances",
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
            {
                "Sid": "Activations",
                "Effect": "Allow",
                "Principal": {"Service": "ssm"},
                "Action": "sts:AssumeRole",
                "Condition": guarded,
            },
        ],
    }
