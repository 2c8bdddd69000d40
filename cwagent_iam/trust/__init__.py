"""Who may assume a role: one value for each place where the agent runs.

Each value knows its trust policy (`Trust.document`) and what is wrong with its arguments
(`Trust.problems`). What else is to be known is in `trust_findings`.
"""

from cwagent_iam.trust.accounts import CrossAccount
from cwagent_iam.trust.base import Trust, trust_problems
from cwagent_iam.trust.checks import UNIQUE_ID
from cwagent_iam.trust.custom import CustomTrust
from cwagent_iam.trust.federated import IRSA, WebIdentity
from cwagent_iam.trust.findings import trust_findings
from cwagent_iam.trust.partitions import (
    PARTITIONS,
    SERVICES,
    localise,
    neutral,
    neutralise,
    shortest,
)
from cwagent_iam.trust.services import EC2, ECSTask, PodIdentity, RolesAnywhere, SSMHybrid

EC2_TRUST = EC2().document()
"""EC2 may assume the role; source: the CloudWatch user guide, "Create IAM roles and users"."""

__all__ = [
    "CrossAccount",
    "CustomTrust",
    "EC2",
    "EC2_TRUST",
    "ECSTask",
    "IRSA",
    "PARTITIONS",
    "PodIdentity",
    "RolesAnywhere",
    "SERVICES",
    "SSMHybrid",
    "Trust",
    "UNIQUE_ID",
    "WebIdentity",
    "localise",
    "neutral",
    "neutralise",
    "shortest",
    "trust_findings",
    "trust_problems",
]
