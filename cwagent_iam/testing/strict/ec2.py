"""What EC2 says of an instance profile that it cannot use.

moto's EC2 asks the account's IAM for the profile, and hands IAM's error on. Only EC2 does so from
outside of IAM's own operations, by which it is known here: importing moto's EC2 takes a second.
CloudFormation, which only deletes profiles from outside, is let in.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from unittest.mock import patch

from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, InstanceProfile

from cwagent_iam.testing.strict.calls import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DELETE = IAMBackend.delete_instance_profile
_in_iam: ContextVar[bool] = ContextVar("in_iam", default=False)


@contextmanager
def iam_is_asked() -> Iterator[None]:
    """Mark what happens in one of IAM's own operations."""
    token = _in_iam.set(True)
    try:
        yield
    finally:
        _in_iam.reset(token)


@contextmanager
def ec2_is_particular() -> Iterator[None]:
    """Refuse profiles as EC2 does: those that do not exist, and those without a role."""
    by_name = _for_ec2(IAMBackend.get_instance_profile, "name", "name")
    by_arn = _for_ec2(IAMBackend.get_instance_profile_by_arn, "arn", "ARN")
    with (
        patch.object(IAMBackend, "get_instance_profile", by_name),
        patch.object(IAMBackend, "get_instance_profile_by_arn", by_arn),
        patch.object(IAMBackend, "delete_instance_profile", _for_cloudformation),
    ):
        yield


def _for_cloudformation(
    backend: IAMBackend,
    name: str,
    ignore_attached_roles: bool = False,  # noqa: FBT001, FBT002 - as moto has it
) -> None:
    with iam_is_asked():
        _DELETE(backend, name, ignore_attached_roles)


def _for_ec2(
    moto: Callable[[IAMBackend, str], InstanceProfile],
    member: str,
    what: str,
) -> Callable[[IAMBackend, str], InstanceProfile]:
    def find(backend: IAMBackend, profile_name: str) -> InstanceProfile:
        if _in_iam.get():
            return moto(backend, profile_name)
        try:
            profile = moto(backend, profile_name)
        except NotFoundException:
            text = f"Value ({profile_name}) for parameter iamInstanceProfile.{member} is invalid."
            refuse("InvalidParameterValue", f"{text} Invalid IAM Instance Profile {what}")
        if not profile.roles:
            text = f'IAM Instance Profile "{profile.arn}" has no associated IAM Roles'
            refuse("InvalidParameterValue", text)
        return profile

    return find
