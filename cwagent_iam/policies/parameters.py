"""Access to the parameters of Parameter Store in which configurations of the agent lie.

The AWS-managed policies of the agent cover the names that begin with ``AmazonCloudWatch-``, and no
others. Sources: the CloudWatch user guide, "Create IAM roles and users for use with the CloudWatch
agent"; for the names, ``PutParameter`` in the Systems Manager API reference; for keys, "AWS KMS
encryption for AWS Systems Manager Parameter Store SecureString parameters" in the Systems Manager
user guide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cwagent_iam.arguments import collection_rule, is_collection, plain, refuse, text_problems
from cwagent_iam.errors import Problem
from cwagent_iam.policies.aws_managed import ADMIN_POLICY, SERVER_POLICY
from cwagent_iam.policies.inline import InlinePolicy
from cwagent_iam.policies.partitions import ANY_PARTITION, PARTITION_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cwagent_iam.policies.managed import ManagedPolicy

AGENT_PARAMETERS = "CloudWatchAgentParameters"
"""The name of the inline policy by which the agent has its parameters."""

ECS_PARAMETERS = "CloudWatchAgentParametersForECS"
"""The name of the inline policy by which ECS hands the agent its configuration."""

PARAMETER_NAME_LENGTH = 1011
PARAMETER_LEVELS = 15
COVERED_PREFIX = "AmazonCloudWatch-"

_NAME = re.compile(r"(?:/[A-Za-z0-9_.-]+)+|[A-Za-z0-9_.-]+")
_RESERVED = ("aws", "ssm", "/aws/", "/ssm/")
_KEY_ARN = re.compile(rf"arn:{PARTITION_NAME}:kms:[a-z0-9-]+:[0-9]{{12}}:key/[A-Za-z0-9-]{{1,128}}")
_READ_KEY = ("kms:Decrypt",)
# A parameter of the standard tier is encrypted with the key itself, one of the advanced tier, which
# a configuration of more than 4 KB needs, with a data key.
_WRITE_KEY = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")


def parameter_access(
    parameters: Collection[str],
    *,
    write: bool = False,
    kms_key_arn: str | None = None,
    policies: Iterable[ManagedPolicy] | None = None,
) -> InlinePolicy | None:
    """Let the agent read its configuration from *parameters*, or store it there.

    >>> parameter_access(["AmazonCloudWatch-linux"]) is None
    True
    >>> print(parameter_access(["AmazonCloudWatch-linux", "/web/agent"]))
    CloudWatchAgentParameters (Allow ssm:GetParameter arn:PARTITION:ssm:*:*:parameter/web/agent)

    Args:
        parameters: Their names, at most 1,011 characters and 15 levels each.
        write: Let it store configurations too.
        kms_key_arn: The customer's key by which they are of the type SecureString: the ARN of the
            key, not of an alias. `None` for parameters of another type, or under the key that AWS
            manages for Parameter Store, which takes no further right.
        policies: The managed policies of the role or user, which may cover names that begin with
            ``AmazonCloudWatch-``: `ADMIN_POLICY` for reading and writing, `SERVER_POLICY` for
            reading. `None` stands for the one of the two that does.

    Returns:
        An inline policy with exactly the parameters that are not covered, and the key; `None` where
        nothing is needed. The key has no condition on its use: ``kms:ViaService`` takes the DNS
        suffix of the partition.

    Raises:
        IntentError: When an argument breaks a rule. It lists all that is wrong.
    """
    _check(parameters, kms_key_arn, write=write)
    covering = {ADMIN_POLICY} if write else {ADMIN_POLICY, SERVER_POLICY}
    covered = policies is None or not covering.isdisjoint(policies)
    arns = {_arn(name) for name in parameters if not (covered and _has_the_prefix(name))}
    actions = ("ssm:GetParameter", "ssm:PutParameter") if write else ("ssm:GetParameter",)
    key_actions = _WRITE_KEY if write else _READ_KEY
    return _policy(AGENT_PARAMETERS, actions, arns, key_actions, kms_key_arn)


def ecs_parameter_access(
    parameters: Collection[str], *, kms_key_arn: str | None = None
) -> InlinePolicy | None:
    """Let ECS read the agent's configuration and hand it over: for the execution role of a task.

    Source: "Pass Systems Manager parameters through Amazon ECS environment variables" in the ECS
    developer guide. `ECS_TASK_EXECUTION_POLICY` covers no parameter.

    Args:
        parameters: As for `parameter_access`.
        kms_key_arn: As for `parameter_access`.

    Returns:
        An inline policy with exactly these parameters, and the key; `None` for no parameters.

    Raises:
        IntentError: When an argument breaks a rule. It lists all that is wrong.
    """
    _check(parameters, kms_key_arn, write=False)
    arns = set(map(_arn, parameters))
    return _policy(ECS_PARAMETERS, ("ssm:GetParameters",), arns, _READ_KEY, kms_key_arn)


def parameter_problems(argument: str, value: object, *, write: bool = False) -> Iterator[Problem]:
    """Check the names of parameters.

    Args:
        argument: What problems call them.
        value: Anything; good are tuples, lists and sets of strings.
        write: Whether they are to be written, and so must not have a name that AWS reserves.
    """
    if not is_collection(value):
        yield Problem.of(argument, value, collection_rule("names"))
        return
    seen: set[str] = set()
    for index, name in enumerate(value):
        where = f"{argument}[{index}]"
        yield from text_problems(where, name, PARAMETER_NAME_LENGTH, least=1)
        if not isinstance(name, str):
            continue
        yield from _name_problems(where, name)
        if write and name.lower().startswith(_RESERVED):
            yield Problem.of(where, name, "must not begin with aws or ssm, which AWS reserves")
        if name in seen:
            yield Problem.of(where, name, "must be named only once")
        seen.add(name)


def key_problems(argument: str, value: object, parameters: object) -> Iterator[Problem]:
    """Check the ARN of the key that encrypts *parameters*, which has been checked; or `None`."""
    if value is None:
        return
    if not isinstance(value, str) or not _KEY_ARN.fullmatch(value):
        rule = (
            "must be the ARN of a key, arn:PARTITION:kms:REGION:ACCOUNT:key/ID: policies know keys "
            "neither by alias nor by id alone"
        )
        yield Problem.of(argument, value, rule)
    if is_collection(parameters) and len(parameters) == 0:
        yield Problem.of(argument, value, "must not be given where there are no parameters")


def _name_problems(where: str, name: str) -> Iterator[Problem]:
    if name and not _NAME.fullmatch(name):
        rule = (
            "must be a name, not an ARN: ASCII letters, digits and _.- only, or such parts with / "
            "before each"
        )
        yield Problem.of(where, name, rule)
    levels = name.count("/")
    if levels > PARAMETER_LEVELS:
        yield Problem.of(where, name, f"must have at most {PARAMETER_LEVELS} levels, not {levels}")


def _check(parameters: object, kms_key_arn: object, *, write: bool) -> None:
    refuse(
        parameter_problems("parameters", parameters, write=write),
        key_problems("kms_key_arn", kms_key_arn, parameters),
    )


def _has_the_prefix(name: str) -> bool:
    return name.removeprefix("/").startswith(COVERED_PREFIX)


def _arn(name: str) -> str:
    """Return the ARN of a parameter in any region, in whose end a leading slash is not doubled.

    Source: "Actions, resources, and condition keys for AWS Systems Manager" in the service
    authorization reference.
    """
    return f"arn:{ANY_PARTITION}:ssm:*:*:parameter/{plain(name).removeprefix('/')}"


def _policy(
    name: str,
    actions: tuple[str, ...],
    arns: set[str],
    key_actions: tuple[str, ...],
    kms_key_arn: str | None,
) -> InlinePolicy | None:
    asked = (
        ("Parameters", actions, sorted(arns)),
        ("ParameterKey", key_actions, [kms_key_arn] if kms_key_arn else []),
    )
    statements = [
        {"Sid": label, "Effect": "Allow", "Action": list(allowed), "Resource": resources}
        for label, allowed, resources in asked
        if resources
    ]
    document = {"Version": "2012-10-17", "Statement": statements}
    return InlinePolicy(name, document) if statements else None
