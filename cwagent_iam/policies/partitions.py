"""What a policy document says differently in each partition, and how state is kept free of it.

The partition is known only once there is a client. So documents in state are *neutral*: the ARN of
something in all regions (``arn:PARTITION:ssm:*:*:parameter/NAME``) begins with ``arn:PARTITION:``,
both where this library wrote it and where a caller did with some partition in mind. No request
ever reaches from one partition into another, so an ARN that leaves the region open can only mean
the partition of the role or user.

An ARN that names a region names its partition by that, and one without any (of S3, of IAM) may mean
a namesake that somebody else owns: these keep the partition that they were given with.

`localise` writes a neutral document for a partition, `neutralise` reads what was found in one, and
`neutral` reads what a caller wrote for whichever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cwagent_iam.documents import Document

if TYPE_CHECKING:
    from collections.abc import Callable

ANY_PARTITION = "PARTITION"
"""Stands for the partition of the role or user in the ARNs of neutral documents."""

PARTITION_NAME = r"aws(?:-[a-z0-9]+)*"
_OPEN_ARN = re.compile(
    rf"arn:(?P<partition>{ANY_PARTITION}|{PARTITION_NAME}):"
    r"(?P<rest>[a-z0-9-]+:\*:(?:\*|[0-9]{12})?:.+)",
    re.DOTALL,
)


def localise(document: Document, partition: str) -> Document:
    """Write the neutral *document* as IAM wants it in *partition*."""
    return _translated(document, lambda found: partition if found == ANY_PARTITION else found)


def neutralise(document: Document, partition: str) -> Document:
    """Read *document*, as it was found in *partition*, into its neutral form."""
    return _translated(document, lambda found: ANY_PARTITION if found == partition else found)


def neutral(document: Document) -> Document:
    """Read *document*, as a caller wrote it for whichever partition, into its neutral form."""
    return _translated(document, lambda _found: ANY_PARTITION)


def _translated(document: Document, partition: Callable[[str], str]) -> Document:
    """Put *partition* of it in place of each partition that is left open."""
    if isinstance(document.statements, str):
        return document

    def arn(text: str) -> str:
        match = _OPEN_ARN.fullmatch(text)
        return f"arn:{partition(match['partition'])}:{match['rest']}" if match else text

    content = document.content()
    for statement in content["Statement"]:
        for element in ("Resource", "NotResource"):
            replace_texts(statement, element, arn)
        for keys in statement.get("Condition", {}).values():
            for key in keys:
                replace_texts(keys, key, arn)
    return Document.parse(content)


def replace_texts(mapping: dict[str, Any], key: str, new: Callable[[str], str]) -> None:
    """Replace what *mapping* holds under *key*, a text or a list of them; say nothing twice."""
    match mapping.get(key):
        case str(text):
            mapping[key] = new(text)
        case list(held):
            written = [new(each) if isinstance(each, str) else each for each in held]
            texts = set[str]()
            mapping[key] = [each for each in written if not _said(each, texts)]
        case _:
            pass


def _said(value: object, texts: set[str]) -> bool:
    """Tell whether *value* is one of *texts*; if it is a text, it is one of them from now on."""
    if not isinstance(value, str):
        return False
    known = value in texts
    texts.add(value)
    return known


_REGIONS = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-eusc": "eusc-de-east-1",
    "aws-iso": "us-iso-east-1",
    "aws-iso-b": "us-isob-east-1",
    "aws-iso-e": "eu-isoe-west-1",
    "aws-iso-f": "us-isof-south-1",
    "aws-us-gov": "us-gov-west-1",
}
"""A Region of each partition that every account has enabled. STS of an opt-in Region refuses the
keys of all other accounts, with the code for an unknown key (IAM user guide, "Manage AWS STS in an
AWS Region")."""


def sts_regions(partition: str) -> tuple[str, ...]:
    """Return the Regions to ask STS in: first that of the other clients, which is empty."""
    return tuple(dict.fromkeys(("", _REGIONS.get(partition, ""))))
