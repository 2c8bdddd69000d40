"""Visibility in EC2: the launch to dry-run, and EC2's answer about an instance profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from cwagent_iam.arguments import if_named, refuse
from cwagent_iam.display import shown
from cwagent_iam.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

Visibility: TypeAlias = Literal["VISIBLE", "NOT_YET", "UNKNOWN"]
"""VISIBLE: EC2 knows the instance profile. NOT_YET: EC2 does not know it yet. UNKNOWN: EC2's
answer does not say."""

Options: TypeAlias = tuple[tuple[str, str | int], ...]


def _as_tuple(ids: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(ids) if isinstance(ids, list) else ids


def _as_pairs(options: Mapping[str, str | int] | Options | None) -> Options | None:
    return tuple(sorted(options.items(), key=str)) if isinstance(options, Mapping) else options


@attrs.frozen(kw_only=True)
class EC2Launch:
    """A launch to dry-run in EC2. Describe the real launch if the account restricts launches.

    A launch needs an image, and image ids differ between Regions. The default is a public
    parameter of Parameter Store with the same name in every Region, for the newest Amazon Linux.
    EC2 resolves it, for which the caller needs ``ssm:GetParameters``. Without that permission, or
    in an account without a default VPC, the answer is UNKNOWN unless an image and a subnet are
    given.

    Attributes:
        image_id: The image, or ``resolve:ssm:`` and the name of the parameter that holds its id.
        instance_type: An instance type that supports the image and that the Region offers.
            Default: ``t3.micro``.
        subnet_id: The subnet. Default: the default subnet.
        security_group_ids: The security groups. Default: the default security group.
        metadata_options: The ``MetadataOptions`` of ``RunInstances``, such as
            ``{"HttpTokens": "required"}`` if a service control policy requires that. Kept as
            pairs.

    Raises:
        IntentError: If an argument is invalid. It lists all problems.
    """

    image_id: str = (
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    )
    instance_type: str = "t3.micro"
    subnet_id: str | None = None
    security_group_ids: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple)
    metadata_options: Options | None = attrs.field(default=None, converter=_as_pairs)

    def __attrs_post_init__(self) -> None:
        """Check the arguments."""
        refuse(
            _text_problems("image_id", self.image_id),
            _text_problems("instance_type", self.instance_type),
            if_named(_text_problems, "subnet_id", self.subnet_id),
            _group_problems(self.security_group_ids),
            if_named(_option_problems, "metadata_options", self.metadata_options),
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of ``RunInstances``."""
        named = {
            "ImageId": self.image_id,
            "InstanceType": self.instance_type,
            "SubnetId": self.subnet_id,
            "SecurityGroupIds": list(self.security_group_ids),
            "MetadataOptions": dict(self.metadata_options or ()),
        }
        return {name: value for name, value in named.items() if value}


def _text_problems(argument: str, value: object) -> Iterator[Problem]:
    if not isinstance(value, str) or not value.strip():
        yield Problem.of(argument, value, "must be a string that is not empty")


def _group_problems(groups: object) -> Iterator[Problem]:
    if not isinstance(groups, tuple):
        rule = "must be a tuple or a list of ids, even if it is only one"
        yield Problem.of("security_group_ids", groups, rule)
        return
    for index, group in enumerate(groups):
        yield from _text_problems(f"security_group_ids[{index}]", group)


def _option_problems(argument: str, options: object) -> Iterator[Problem]:
    if not isinstance(options, tuple) or not all(map(_is_pair, options)):
        rule = 'must be a mapping, such as {"HttpTokens": "required"}'
        yield Problem.of(argument, options, rule)
        return
    for key, value in options:
        yield from _text_problems(f"{argument} key", key)
        if value == "" or isinstance(value, bool) or not isinstance(value, (str, int)):
            rule = "must be a string that is not empty, or a whole number"
            yield Problem.of(f"{argument}[{shown(key)}]", value, rule)


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == len(("key", "value"))


@attrs.frozen(kw_only=True)
class EC2Answer:
    """EC2's answer about an instance profile.

    Attributes:
        profile_name: The name of the instance profile.
        visibility: VISIBLE, NOT_YET or UNKNOWN.
        reason: The reason, in one sentence with AWS's code.
        region: The Region of the client; other Regions may answer otherwise. `None` if the client
            does not say.
        error: AWS's error, if that was the answer; not compared.
    """

    profile_name: str
    visibility: Visibility
    reason: str
    region: str | None = None
    error: BaseException | None = attrs.field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        """One line: profile, visibility, Region and reason."""
        where = f" in {self.region}" if self.region else ""
        return f"{self.profile_name} is {self.visibility}{where}: {self.reason}"


WaitFor: TypeAlias = Literal["iam", "ec2"] | EC2Launch
"""The condition that a call waits for. ``"iam"``: IAM's reads show everything. ``"ec2"``, or an
`EC2Launch` to dry-run: EC2 also knows the instance profile."""
