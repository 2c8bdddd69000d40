"""What a trust says differently in each partition, and how state is kept free of it.

The partition is known only once there is a client, and the same intent must give the same desired
state everywhere. So documents in state are *neutral*, in two places only:

- the agent's services are written by their short names: ``ec2``, ``ecs-tasks``, ``pods.eks``,
  ``rolesanywhere``, ``ssm``;
- ``arn:PARTITION:`` begins the ARN of an OIDC provider, and a source ARN that stands for all that
  a service has in an account (``arn:PARTITION:ssm:*:123456789012:*``).

No role can ever be assumed across partitions from these two, so the partition of the role is the
only one that can be meant. Every other ARN, above all that of a role or a user, keeps the partition
that it was given with: who is trusted is never rewritten.

`localise` writes a neutral document for a partition, `neutralise` reads what was found in one, and
`neutral` reads what a caller wrote with whichever partition in mind.

Sources of the names: for EC2, the partitions that eksctl knows; for the others, the guide of each
service (the EKS user guide for China too) and the AWS CDK (``region-info`` 2.275), by which the
common name of a service is right in every partition: even in those where botocore's list of
endpoints (1.44) has no such service.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from cwagent_iam.documents import Document
from cwagent_iam.policies.partitions import ANY_PARTITION, PARTITION_NAME, replace_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARTITIONS = (
    "aws",
    "aws-cn",
    "aws-eusc",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-us-gov",
)
"""Every partition that botocore 1.44 knows, sorted."""

SERVICES = ("ec2", "ecs-tasks", "pods.eks", "rolesanywhere", "ssm")
"""The short names of the services that may hand a role to the agent, sorted."""

_COMMON_SUFFIX = ".amazonaws.com"
# Other names of a service; the first is the one to write. The common name is understood as well,
# and found there in the wild.
_OTHER_NAMES = {
    ("ec2", "aws-cn"): ("ec2.amazonaws.com.cn",),
    ("ec2", "aws-iso"): ("ec2.c2s.ic.gov",),
    ("ec2", "aws-iso-b"): ("ec2.sc2s.sgov.gov",),
}
_PARTITION = re.compile(PARTITION_NAME)
_PROVIDER_ARN = re.compile(r"arn:(?P<partition>[^:]*):(?P<rest>iam::[0-9]{12}:oidc-provider/.+)")
_ACCOUNT_WIDE_ARN = re.compile(
    r"arn:(?P<partition>[^:]*):(?P<rest>[a-z0-9-]+:[^:]*:[0-9]{12}:\*)",
)


def localise(document: Document, partition: str) -> Document:
    """Write the neutral *document* as IAM wants it in *partition*."""
    names = _localised(partition)
    return _translated(
        document, names, lambda found: partition if found == ANY_PARTITION else found
    )


def neutralise(document: Document, partition: str) -> Document:
    """Read *document*, as it was found in *partition*, into its neutral form."""
    names = {name: service for service in SERVICES for name in _names(service, partition)}
    return _translated(
        document, names, lambda found: ANY_PARTITION if found == partition else found
    )


def neutral(document: Document) -> Document:
    """Read *document*, as a caller wrote it for whichever partition, into its neutral form."""
    return _translated(
        document, _NEUTRAL, lambda found: ANY_PARTITION if _PARTITION.fullmatch(found) else found
    )


def shortest(document: Document) -> Document:
    """Write the neutral *document* for the partition where it is shortest.

    Until there is a client, only what is too long in every partition is surely too long.
    """
    written = (localise(document, partition) for partition in PARTITIONS)
    return min(written, key=lambda each: each.size)


def _names(service: str, partition: str) -> tuple[str, ...]:
    return (*_OTHER_NAMES.get((service, partition), ()), f"{service}{_COMMON_SUFFIX}")


@functools.cache
def _localised(partition: str) -> dict[str, str]:
    return {service: _names(service, partition)[0] for service in SERVICES}


_NEUTRAL = {
    name: service
    for service in SERVICES
    for partition in PARTITIONS
    for name in _names(service, partition)
}


def _translated(
    document: Document, names: Mapping[str, str], partition: Callable[[str], str]
) -> Document:
    """Write services by other *names*, and *partition* in place of those that are left open."""
    if isinstance(document.statements, str):
        return document

    def arn(pattern: re.Pattern[str], text: str) -> str:
        match = pattern.fullmatch(text)
        return f"arn:{partition(match['partition'])}:{match['rest']}" if match else text

    content = document.content()
    for statement in content["Statement"]:
        for element in statement.keys() & {"Principal", "NotPrincipal"}:
            if isinstance(statement[element], dict):
                replace_texts(statement[element], "Service", lambda name: names.get(name, name))
                replace_texts(
                    statement[element], "Federated", lambda text: arn(_PROVIDER_ARN, text)
                )
        for keys in statement.get("Condition", {}).values():
            for key in keys:
                if key.lower() == "aws:sourcearn":
                    replace_texts(keys, key, lambda text: arn(_ACCOUNT_WIDE_ARN, text))
    return Document.parse(content)
