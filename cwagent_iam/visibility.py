"""Whether EC2 knows an instance profile: what it is asked about, and what it answers."""

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
"""EC2 would launch with the profile, or would do so later; or its answer does not tell which."""

Options: TypeAlias = tuple[tuple[str, str | int], ...]


def _as_tuple(ids: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(ids) if isinstance(ids, list) else ids


def _as_pairs(options: Mapping[str, str | int] | Options | None) -> Options | None:
    return tuple(sorted(options.items(), key=str)) if isinstance(options, Mapping) else options


@attrs.frozen(kw_only=True)
class EC2Launch:
    """The launch that EC2 is asked about; as the real one, where accounts restrict launches.

    A launch needs an image, and every region has others. The default image is a name for the
    newest Amazon Linux that AWS keeps in Parameter Store, the same in every region: EC2 looks it
    up, for which the caller needs ``ssm:GetParameters``. Without that, or in an account without a
    default VPC, the answer is UNKNOWN unless an image and a subnet are given.

    Attributes:
        image_id: The image, or ``resolve:ssm:`` and the name of the parameter that has its id.
        instance_type: A type that the image runs on and the region has.
        subnet_id: The subnet; the default one if `None`.
        security_group_ids: The security groups; the default one if there are none.
        metadata_options: As for ``RunInstances``; ``{"HttpTokens": "required"}`` where a service
            control policy demands that. Kept as pairs.

    Raises:
        IntentError: When an argument cannot be what it should be. It lists all that is wrong.
    """

    image_id: str = (
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    )
    instance_type: str = "t3.micro"
    subnet_id: str | None = None
    security_group_ids: tuple[str, ...] = attrs.field(default=(), converter=_as_tuple)
    metadata_options: Options | None = attrs.field(default=None, converter=_as_pairs)

    def __attrs_post_init__(self) -> None:
        """Refuse what can be no launch."""
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
    """What EC2 says of an instance profile.

    Attributes:
        profile_name: The name of the instance profile.
        visibility: VISIBLE, NOT_YET or UNKNOWN.
        reason: Why it is so, in one sentence with AWS's code.
        region: The region that was asked, since others may answer otherwise; `None` if the client
            does not tell.
        error: AWS's own error, if that was the answer; not compared.
    """

    profile_name: str
    visibility: Visibility
    reason: str
    region: str | None = None
    error: BaseException | None = attrs.field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        """One line with all of it."""
        where = f" in {self.region}" if self.region else ""
        return f"{self.profile_name} is {self.visibility}{where}: {self.reason}"


WaitFor: TypeAlias = Literal["iam", "ec2"] | EC2Launch
"""What a call waits for: that IAM's reads show it all; or, beyond that, that EC2 knows the profile,
asked about a launch as usual or about a certain one."""
