"""The parts of a trust that can be checked before any call: accounts, regions, ARNs, names.

Each function yields a `Problem` for every rule that a value breaks, and nothing for a good value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cwagent_iam.arguments import text_problems as length_problems
from cwagent_iam.errors import Problem
from cwagent_iam.policies.partitions import PARTITION_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
CONDITION_TEXT_LENGTH = 256
UNIQUE_ID = re.compile(r"A[A-Z]{2}A[A-Z0-9]{12,124}")
"""What IAM shows in place of the ARN of something that was deleted."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]+){1,3}-[0-9]{1,2}")
_ANCHOR_ARN = re.compile(
    rf"arn:{PARTITION_NAME}:rolesanywhere:[a-z0-9-]+:[0-9]{{12}}:trust-anchor/[A-Za-z0-9-]+",
)
_CLUSTER_ARN = re.compile(
    rf"arn:{PARTITION_NAME}:eks:[a-z0-9-]+:[0-9]{{12}}:cluster/[A-Za-z0-9][A-Za-z0-9_-]{{0,99}}",
)
_SOURCE_ARN = re.compile(
    rf"arn:{PARTITION_NAME}:[a-z0-9-]+:[a-z0-9*?-]*:(?:[0-9]{{12}}|[*])?:[!-~]+",
)
_PRINCIPAL_ARN = re.compile(
    rf"arn:(?P<partition>{PARTITION_NAME}):"
    r"(?:iam::[0-9]{12}:(?:root|(?:role|user)/[!-)+->@-~]+)"
    r"|sts::[0-9]{12}:(?:assumed-role/[\w+=,.@-]+|federated-user)/[\w+=,.@-]+)",
    re.ASCII,
)
_LABELS = re.compile(r"[a-z0-9*?](?:[a-z0-9*?-]*[a-z0-9*?])?")
_SUBDOMAINS = re.compile(r"[a-z0-9*?](?:[a-z0-9*?.-]*[a-z0-9*?])?")


def account_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the id of an account: 12 digits."""
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        yield Problem.of(argument, value, "must be the id of an account, a string of 12 digits")


def region_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the name of a region, or ``*`` for all."""
    if not isinstance(value, str) or not (value == "*" or _REGION.fullmatch(value)):
        yield Problem.of(argument, value, "must be a region such as eu-west-1, or * for all")


def anchor_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the ARN of a trust anchor; source: the IAM Roles Anywhere API reference."""
    form = "arn:PARTITION:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID"
    yield from _form_problems(argument, value, _ANCHOR_ARN, f"the ARN of a trust anchor: {form}")


def cluster_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the ARN of an EKS cluster; source: the EKS API reference."""
    form = "arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME"
    yield from _form_problems(argument, value, _CLUSTER_ARN, f"the ARN of a cluster: {form}")


def source_arn_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the ARN of what calls; it may hold ``*`` and ``?``."""
    form = "arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"
    yield from _form_problems(argument, value, _SOURCE_ARN, f"an ARN: {form}")
    yield from _variable_problems(argument, value)


def principal_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check one trusted principal: an account, a role, a user or a session.

    Source: "AWS JSON policy elements: Principal" in the IAM user guide.
    """
    if isinstance(value, str) and UNIQUE_ID.fullmatch(value):
        rule = "must not be a unique id: it stands for a role or user that was deleted"
        yield Problem.of(argument, value, rule)
    elif value == "*":
        rule = "must not be everybody: name accounts, roles or users"
        yield Problem.of(argument, value, rule)
    elif not isinstance(value, str) or not (
        _ACCOUNT.fullmatch(value) or _PRINCIPAL_ARN.fullmatch(value)
    ):
        rule = (
            "must be the id of an account, or the ARN of an account's root, a role, a user or a "
            "session, without wildcards"
        )
        yield Problem.of(argument, value, rule)


def principal_partition(value: str) -> str | None:
    """Return the partition in the ARN of a good principal; an account's id has none."""
    match = _PRINCIPAL_ARN.fullmatch(value)
    return match["partition"] if match else None


def namespace_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the name of a Kubernetes namespace, or a pattern of such names with ``*`` and ``?``.

    Source: "Object Names and IDs" in the Kubernetes documentation: an RFC 1123 label.
    """
    rule = f"a namespace of Kubernetes: 1 to {LABEL_LENGTH} of a-z, 0-9 and -, no - at either end"
    yield from _form_problems(argument, value, _LABELS, rule, LABEL_LENGTH)


def service_account_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the name of a Kubernetes service account, or a pattern with ``*`` and ``?``.

    Source: as for namespaces: an RFC 1123 subdomain.
    """
    rule = (
        f"a service account of Kubernetes: 1 to {SUBDOMAIN_LENGTH} of a-z, 0-9, - and ., "
        "no - or . at either end"
    )
    yield from _form_problems(argument, value, _SUBDOMAINS, rule, SUBDOMAIN_LENGTH)


def exact_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check that a value is compared as a whole: no ``*`` and no ``?``."""
    if isinstance(value, str) and wild(value):
        yield Problem.of(argument, value, "must not hold * or ?: it is compared as a whole")


def text_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check a text that a condition compares: no policy variable, nothing that does not print."""
    yield from length_problems(argument, value, CONDITION_TEXT_LENGTH, least=1)
    if isinstance(value, str) and not value.isprintable():
        yield Problem.of(argument, value, "must hold printable characters only")
    yield from _variable_problems(argument, value)


def wild(value: str) -> bool:
    """Tell whether *value* is a pattern to ``StringLike``."""
    return not {"*", "?"}.isdisjoint(value)


def _variable_problems(argument: str, value: object) -> Iterator[Problem]:
    if isinstance(value, str) and "${" in value:
        yield Problem.of(argument, value, "must not hold ${, which begins a policy variable")


def _form_problems(
    argument: str, value: object, form: re.Pattern[str], rule: str, longest: int = 2048
) -> Iterator[Problem]:
    if not isinstance(value, str) or not form.fullmatch(value) or len(value) > longest:
        yield Problem.of(argument, value, f"must be {rule}")
