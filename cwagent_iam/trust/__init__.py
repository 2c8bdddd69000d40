"""Who may assume a role: one value for each place where the agent runs.

Each value knows its trust policy (`Trust.document`) and what is wrong with its arguments
(`Trust.problems`). What else is to be known is in `trust_findings`.
"""

from cwagent_iam.trust.base import (
    Trust as Trust,
    trust_problems as trust_problems,
)
from cwagent_iam.trust.checks import UNIQUE_ID as UNIQUE_ID
from cwagent_iam.trust.custom import CustomTrust as CustomTrust
from cwagent_iam.trust.findings import trust_findings as trust_findings
from cwagent_iam.trust.partitions import (
    PARTITIONS as PARTITIONS,
    SERVICES as SERVICES,
    localise as localise,
    neutral as neutral,
    neutralise as neutralise,
    shortest as shortest,
)
from cwagent_iam.trust.places import (
    EC2 as EC2,
    IRSA as IRSA,
    CrossAccount as CrossAccount,
    ECSTask as ECSTask,
    PodIdentity as PodIdentity,
    RolesAnywhere as RolesAnywhere,
    SSMHybrid as SSMHybrid,
    WebIdentity as WebIdentity,
)

EC2_TRUST = EC2().document()
"""EC2 may assume the role; source: the CloudWatch user guide, "Create IAM roles and users"."""
