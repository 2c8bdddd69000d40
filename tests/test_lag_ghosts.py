"""Names that are not free for a while after what had them was deleted."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ClientError

from cwagent_iam.testing import laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed
from cwagent_iam.testing.lagging.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.testing.lagging.profiles import Profile

GHOSTS = attrs.evolve(PROFILES["off"], ghost_names=Fixed(5.0))
ROLE = ("role", "Agent")
DOCUMENT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}'


def deleted(profile: Profile, key: tuple[str, str] = ROLE, *, lagging: bool = True) -> Versions:
    """Return the history of something that was made at 0 and deleted at 10 seconds."""
    versions = Versions(profile, random.Random(0))  # noqa: S311 - it shall be predictable
    versions.commit(key, "it", 0.0, lagging=True)
    versions.commit(key, None, 10.0, lagging=lagging)
    return versions


def test_a_name_is_not_free_for_some_time() -> None:
    """From when a thing is deleted its name is a ghost, until the delay is over, and no longer."""
    versions = deleted(GHOSTS)
    ghost = {now: versions.is_ghost("role", "Agent", now) for now in (10.0, 14.9, 15.0)}
    assert ghost == {10.0: True, 14.9: True, 15.0: False}
    assert versions.settled() == 15.0


@pytest.mark.parametrize(
    ("kind", "name", "ghost"),
    [
        ("role", "agent", True),
        ("role", "Other", False),
        ("user", "Agent", False),
    ],
)
def test_a_ghost_is_of_one_kind_and_any_case(kind: str, name: str, *, ghost: bool) -> None:
    """Names differ by more than their case, and roles and users do not share them."""
    assert deleted(GHOSTS).is_ghost(kind, name, 11.0) is ghost


def test_a_policy_haunts_by_its_name() -> None:
    """A policy is known by its ARN, and its name is taken under every path."""
    versions = deleted(GHOSTS, ("policy", "arn:aws:iam::123456789012:policy/team/Own"))
    assert versions.is_ghost("policy", "Own", 11.0)
    assert not versions.is_ghost("policy", "team", 11.0)


def test_what_exists_is_no_ghost() -> None:
    """Neither what was never deleted is one, nor what was made again."""
    versions = deleted(GHOSTS)
    versions.commit(ROLE, "new", 11.0, lagging=True)
    versions.commit(("role", "Other"), "it", 11.0, lagging=True)
    assert not versions.is_ghost("role", "Agent", 11.0)
    assert not versions.is_ghost("role", "Other", 11.0)


def test_without_the_option_there_are_no_ghosts() -> None:
    """A name is free at once, unless the profile says otherwise; what does not lag leaves none."""
    assert not deleted(PROFILES["off"]).is_ghost("role", "Agent", 10.0)
    assert not deleted(GHOSTS, lagging=False).is_ghost("role", "Agent", 10.0)
    haunted = {name for name, profile in PROFILES.items() if profile.ghost_names}
    assert haunted == {"bad_day", "adversarial"}


THINGS: dict[str, tuple[Callable[[Any], object], Callable[[Any], object], str]] = {
    "role": (
        lambda iam: iam.create_role(RoleName="It", AssumeRolePolicyDocument=DOCUMENT),
        lambda iam: iam.delete_role(RoleName="It"),
        r"Role with name It already exists\.",
    ),
    "user": (
        lambda iam: iam.create_user(UserName="It"),
        lambda iam: iam.delete_user(UserName="It"),
        r"User with name It already exists\.",
    ),
    "instance profile": (
        lambda iam: iam.create_instance_profile(InstanceProfileName="It"),
        lambda iam: iam.delete_instance_profile(InstanceProfileName="It"),
        r"Instance Profile It already exists\.",
    ),
    "policy": (
        lambda iam: iam.create_policy(PolicyName="It", PolicyDocument=POLICY),
        lambda iam: iam.delete_policy(PolicyArn="arn:aws:iam::123456789012:policy/It"),
        r"A policy called It already exists\. Duplicate names are not allowed\.",
    ),
}


@pytest.mark.parametrize(("create", "delete", "words"), THINGS.values(), ids=THINGS)
def test_a_deleted_name_is_taken_for_a_while(
    create: Callable[[Any], object], delete: Callable[[Any], object], words: str
) -> None:
    """To make it again is refused in AWS's words and not done, until all has settled."""
    with laggy_iam(GHOSTS) as lagging:
        iam = lagging.client("ours")
        create(iam)
        delete(iam)
        for _ in range(2):
            with pytest.raises(ClientError, match=rf"\(EntityAlreadyExists\).*: {words}"):
                create(iam)
        lagging.settle()
        create(iam)
        outcomes = [request.outcome for request in lagging.trace]
        assert outcomes == ["200", "200", *["409 EntityAlreadyExists"] * 2, "200"]
