"""Who may assume a role.

In desired and observed state the service principal of EC2 is written ``ec2``, because its full
name depends on the partition. The two functions here translate at the border: `localise` writes
the name that a partition uses, `neutralise` reads every name that a partition accepts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cwagent_iam.documents import Document

if TYPE_CHECKING:
    from collections.abc import Mapping

EC2_TRUST = Document.parse(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2"}, "Action": "sts:AssumeRole"},
        ],
    },
)
"""EC2 may assume the role; source: the CloudWatch user guide, "Create IAM roles and users"."""

# The names of EC2 as a service principal; the first is the one to write. China accepts both of
# its names, and both are found there in the wild.
_EC2_NAMES: dict[str, tuple[str, ...]] = {
    "aws-cn": ("ec2.amazonaws.com.cn", "ec2.amazonaws.com"),
    "aws-iso": ("ec2.c2s.ic.gov",),
    "aws-iso-b": ("ec2.sc2s.sgov.gov",),
}
_EC2_NAMES_ELSEWHERE = ("ec2.amazonaws.com",)


def localise(document: Document, partition: str) -> Document:
    """Write *document* as IAM wants it in *partition*."""
    return _with_services(document, {"ec2": _ec2_names(partition)[0]})


def neutralise(document: Document, partition: str) -> Document:
    """Read *document*, as it was found in *partition*, into the form that has no partition."""
    return _with_services(document, dict.fromkeys(_ec2_names(partition), "ec2"))


def _ec2_names(partition: str) -> tuple[str, ...]:
    return _EC2_NAMES.get(partition, _EC2_NAMES_ELSEWHERE)


def _with_services(document: Document, names: Mapping[str, str]) -> Document:
    if isinstance(document.statements, str):
        return document
    content = json.loads(document.text)
    statements = content["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in statement.keys() & {"Principal", "NotPrincipal"}:
            statement[element] = _renamed(statement[element], names)
    return Document.parse(content)


def _renamed(principals: Any, names: Mapping[str, str]) -> Any:
    match principals:
        case {"Service": str(service)}:
            return principals | {"Service": names.get(service, service)}
        case {"Service": list(services)}:
            return principals | {"Service": [names.get(service, service) for service in services]}
        case _:
            return principals
