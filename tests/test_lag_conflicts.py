"""DeleteConflict: what was taken away still stands in the way, for those who do not know yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ClientError

from cwagent_iam.testing import laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed

if TYPE_CHECKING:
    from collections.abc import Callable

# Every write looks at a replica, and every replica learns of a write 8 seconds later.
STALE = attrs.evolve(
    PROFILES["off"], lags={"admission": Fixed(8.0)}, router="alternate", stale_writes=1.0
)
TRUTHFUL = attrs.evolve(STALE, stale_writes=0.0)
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
DOCUMENT = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}'
INLINE = {"PolicyName": "p", "PolicyDocument": DOCUMENT}


def scene(iam: Any) -> None:
    """Make one thing of each kind, with nothing on it."""
    iam.create_role(RoleName="It", AssumeRolePolicyDocument=TRUST)
    iam.create_user(UserName="It")
    iam.create_instance_profile(InstanceProfileName="It")


def outcome(call: Callable[[], object]) -> str:
    """Call, and tell what AWS says."""
    try:
        call()
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return "ok"


def only_key(iam: Any) -> dict[str, str]:
    """Name the one access key of the user."""
    (key,) = iam.list_access_keys(UserName="It")["AccessKeyMetadata"]
    return {"UserName": "It", "AccessKeyId": key["AccessKeyId"]}


MEMBER = {"InstanceProfileName": "It", "RoleName": "It"}
ON_A_ROLE = {"RoleName": "It", "PolicyArn": SERVER}
ON_A_USER = {"UserName": "It", "PolicyArn": SERVER}
# What to delete, what stands in the way, how it is taken away, and what AWS asks for.
CASES: dict[str, tuple[str, Callable[[Any], object], Callable[[Any], object], str]] = {
    "role with policy": (
        "role",
        lambda iam: iam.attach_role_policy(**ON_A_ROLE),
        lambda iam: iam.detach_role_policy(**ON_A_ROLE),
        "detach all policies",
    ),
    "role with inline policy": (
        "role",
        lambda iam: iam.put_role_policy(RoleName="It", **INLINE),
        lambda iam: iam.delete_role_policy(RoleName="It", PolicyName="p"),
        "delete policies",
    ),
    "role in profile": (
        "role",
        lambda iam: iam.add_role_to_instance_profile(**MEMBER),
        lambda iam: iam.remove_role_from_instance_profile(**MEMBER),
        "remove roles from instance profile",
    ),
    "profile with role": (
        "instance_profile",
        lambda iam: iam.add_role_to_instance_profile(**MEMBER),
        lambda iam: iam.remove_role_from_instance_profile(**MEMBER),
        "remove roles from instance profile",
    ),
    "user with policy": (
        "user",
        lambda iam: iam.attach_user_policy(**ON_A_USER),
        lambda iam: iam.detach_user_policy(**ON_A_USER),
        "detach all policies",
    ),
    "user with inline policy": (
        "user",
        lambda iam: iam.put_user_policy(UserName="It", **INLINE),
        lambda iam: iam.delete_user_policy(UserName="It", PolicyName="p"),
        "delete policies",
    ),
    "user with key": (
        "user",
        lambda iam: iam.create_access_key(UserName="It"),
        lambda iam: iam.delete_access_key(**only_key(iam)),
        "delete access keys",
    ),
    "user with password": (
        "user",
        lambda iam: iam.create_login_profile(UserName="It", Password="x" * 20),
        lambda iam: iam.delete_login_profile(UserName="It"),
        "delete login profile",
    ),
}
NAMES = {"role": "RoleName", "user": "UserName", "instance_profile": "InstanceProfileName"}


def delete(iam: Any, kind: str) -> str:
    """Delete the thing of a kind, and tell what AWS says."""
    return outcome(lambda: getattr(iam, f"delete_{kind}")(**{NAMES[kind]: "It"}))


@pytest.mark.parametrize(("kind", "put", "take", "must"), CASES.values(), ids=CASES)
def test_a_conflict_lasts_until_everybody_knows(
    kind: str, put: Callable[[Any], object], take: Callable[[Any], object], must: str
) -> None:
    """However often it is asked, each replica refuses until it has heard; then it is done."""
    with laggy_iam(STALE) as lagging:
        iam = lagging.client("ours")
        scene(lagging.truth)
        put(lagging.truth)
        take(iam)
        taken, said = lagging.clock.elapsed, []
        while lagging.clock.elapsed < taken + 7.9:
            said.append(delete(iam, kind))
            lagging.clock.sleep(1.0)
        assert len(said) > 5
        assert set(said) == {f"DeleteConflict: Cannot delete entity, must {must} first."}
        lagging.settle()
        assert delete(iam, kind) == "ok"


@pytest.mark.parametrize(("kind", "put", "take", "must"), CASES.values(), ids=CASES)
def test_the_truth_knows_at_once(
    kind: str, put: Callable[[Any], object], take: Callable[[Any], object], must: str
) -> None:
    """Where writes look at the truth, the conflict ends with its cause."""
    with laggy_iam(TRUTHFUL) as lagging:
        iam = lagging.client("ours")
        scene(lagging.truth)
        put(iam)
        assert delete(iam, kind) == f"DeleteConflict: Cannot delete entity, must {must} first."
        take(iam)
        assert delete(iam, kind) == "ok"


@pytest.mark.parametrize(("kind", "put", "_take", "must"), CASES.values(), ids=CASES)
def test_nothing_is_deleted_with_what_a_replica_does_not_know(
    kind: str, put: Callable[[Any], object], _take: Callable[[Any], object], must: str
) -> None:
    """What has just been put on a thing keeps it from being deleted, whoever has not heard."""
    with laggy_iam(STALE) as lagging:
        iam = lagging.client("ours")
        scene(lagging.truth)
        put(iam)
        assert delete(iam, kind) == f"DeleteConflict: Cannot delete entity, must {must} first."


@pytest.mark.parametrize(
    ("attribute", "must"),
    [
        ("mfa_devices", "delete MFA device"),
        ("signing_certificates", "delete signing certificates"),
    ],
)
def test_other_credentials_are_in_the_way_too(attribute: str, must: str) -> None:
    """A user is not deleted together with credentials that this library never makes."""
    with laggy_iam("off") as lagging:
        scene(lagging.truth)
        moto: Any = lagging._iam  # noqa: SLF001 - moto checks what it is given
        getattr(moto.users["It"], attribute)["x"] = "x"
        lagging.truth.get_user(UserName="It")  # so that the lagging IAM hears of it
        said = delete(lagging.client("ours"), "user")
        assert said == f"DeleteConflict: Cannot delete entity, must {must} first."
