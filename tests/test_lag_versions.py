"""What the lagging IAM remembers: versions, the time, and copies of what moto holds."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore import endpoint, waiter
from botocore.retries import bucket
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random

from cwagent_iam.testing.lagging.moto_state import frozen, half_built, is_same, showing, things
from cwagent_iam.testing.lagging.profiles import Fixed, Plane, Profile
from cwagent_iam.testing.lagging.versions import NEVER, Versions
from cwagent_iam.testing.lagging.virtual_clock import VirtualClock, predictable

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_YEAR = 1767225600.0
ROLE = ("role", "Agent")
PROFILE = ("instance profile", "Agent")
USER = ("user", "agent")
TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",'
    ' "Principal": {"Service": "ec2.amazonaws.com"}}}'
)
DOCUMENT = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
)

# --- versions -------------------------------------------------------------------------------------


def history(half_built: float = 0.0, **lags: Fixed) -> Versions:
    """Begin a history whose delays are known."""
    planes: Any = lags
    profile = Profile(lags=planes, half_built=half_built, building=Fixed(3.0, 0.5))
    return Versions(profile, random.Random(0))  # noqa: S311 - it shall be predictable


def known(versions: Versions, now: float, plane: Plane = "read") -> list[Any]:
    """Say what each replica and the truth know."""
    return [versions.at(ROLE, plane, replica, now).copy for replica in (0, 1, 2, None)]


def test_replicas_learn_of_a_write_one_after_the_other() -> None:
    """Each replica knows a write when its own delay is over; the truth knows it at once."""
    versions = history(read=Fixed(0.0, 2.0, 5.0))
    versions.commit(ROLE, "one", 10.0, lagging=True)
    assert known(versions, 10.0) == ["one", None, None, "one"]
    assert known(versions, 12.0) == ["one", "one", None, "one"]
    assert known(versions, 15.0) == ["one", "one", "one", "one"]


def test_a_plane_without_a_lag_knows_at_once() -> None:
    """Only the planes of the profile lag."""
    versions = history(read=Fixed(5.0))
    versions.commit(ROLE, "one", 10.0, lagging=True)
    assert known(versions, 10.0, "ec2") == ["one"] * 4


def test_a_replica_keeps_the_last_version_it_knows() -> None:
    """An old version, and what is deleted, are still seen until the delay is over."""
    versions = history(read=Fixed(0.0, 5.0))
    versions.commit(ROLE, "one", 0.0, lagging=True)
    versions.commit(ROLE, "two", 10.0, lagging=True)
    assert known(versions, 11.0) == ["two", "one", "one", "two"]
    versions.commit(ROLE, None, 12.0, lagging=True)
    assert known(versions, 13.0) == [None, "one", "one", None]
    assert known(versions, 15.0) == [None, "two", "two", None]
    assert known(versions, 17.0) == [None] * 4


def test_what_does_not_lag_is_known_to_all() -> None:
    """A write that does not lag overtakes those that nobody knows yet."""
    versions = history(read=Fixed(50.0))
    versions.commit(ROLE, "one", 0.0, lagging=True)
    versions.commit(ROLE, "two", 1.0, lagging=False)
    assert known(versions, 1.0) == ["two"] * 4
    assert versions.settled() == float("-inf")


def test_what_never_was_is_known_to_be_absent() -> None:
    """A name that was never written is of no version, and leaves no trace by being looked up."""
    versions = history(read=Fixed(5.0))
    assert versions.at(ROLE, "read", 0, 0.0) is NEVER
    assert not versions.has(ROLE)
    assert list(versions.newest()) == []
    assert versions.settled() == float("-inf")


def test_the_truth_is_the_newest_of_each() -> None:
    """The newest versions are listed, of what is gone too, which once was there."""
    versions = history(read=Fixed(5.0))
    versions.commit(ROLE, "one", 0.0, lagging=True)
    versions.commit(ROLE, None, 1.0, lagging=True)
    versions.commit(USER, "other", 2.0, lagging=True)
    assert [(key, each.copy) for key, each in versions.newest()] == [(ROLE, None), (USER, "other")]
    assert versions.has(ROLE)


def test_things_settle_when_the_last_replica_knows() -> None:
    """The slowest replica of the slowest plane counts."""
    versions = history(read=Fixed(1.0, 2.0), ec2=Fixed(9.0, 3.0))
    versions.commit(ROLE, "one", 10.0, lagging=True)
    versions.commit(USER, "other", 11.0, lagging=True)
    assert versions.settled() == 20.0
    assert versions.unsettled(18.9) == [ROLE, USER]
    assert versions.unsettled(19.0) == [USER]
    assert versions.unsettled(20.0) == []


def test_a_new_thing_is_half_built_at_first() -> None:
    """From when a replica knows a new thing, building takes a while; it settles after that."""
    versions = history(half_built=1.0, read=Fixed(1.0, 2.0))
    versions.commit(ROLE, "one", 10.0, lagging=True)
    assert versions.at(ROLE, "read", None, 0.0).built == (14.0, 12.5, 12.5)
    assert versions.settled() == 14.0


def test_building_begins_with_the_write_where_reads_do_not_lag() -> None:
    """Without a lag of reads, building counts from the write."""
    versions = history(half_built=1.0)
    versions.commit(ROLE, "one", 10.0, lagging=True)
    assert versions.at(ROLE, "read", None, 0.0).built == (13.0, 10.5, 10.5)


def test_only_what_is_new_is_half_built() -> None:
    """Neither a change nor a deletion is; what is made again is."""
    versions = history(half_built=1.0)
    built = []
    for now, copy in enumerate(["one", "two", None, "three"]):
        versions.commit(ROLE, copy, float(now), lagging=True)
        built.append(versions.at(ROLE, "read", None, 0.0).built[0])
    assert built == [3.0, float("-inf"), float("-inf"), 6.0]


def test_a_replica_may_be_spared_half_built_things() -> None:
    """With probability 0 a thing is whole when a replica gets to know it."""
    versions = history(half_built=0.0, read=Fixed(1.0, 2.0))
    versions.commit(ROLE, "one", 10.0, lagging=True)
    assert versions.at(ROLE, "read", None, 0.0).built == (11.0, 12.0, 12.0)


def test_settled_history_is_forgotten() -> None:
    """What was before a version that all know is not kept."""
    versions = history(read=Fixed(1.0))
    for now in range(0, 100, 10):
        versions.commit(ROLE, now, float(now), lagging=True)
    assert versions.at(ROLE, "read", 0, 90.0).copy == 80
    assert [each.copy for each in versions._of[ROLE]] == [80, 90]  # noqa: SLF001


def test_unsettled_history_is_remembered() -> None:
    """What was before a version that nobody knows yet is still what replicas see."""
    versions = history(read=Fixed(1.0))
    versions.commit(ROLE, "one", 0.0, lagging=True)
    versions.commit(ROLE, "two", 0.5, lagging=True)
    assert known(versions, 0.9) == [None, None, None, "two"]


# --- time -----------------------------------------------------------------------------------------


def test_only_sleeping_moves_the_clock() -> None:
    """The clock begins with 2026 and adds up what was slept."""
    clock = VirtualClock()
    assert (clock.time(), clock.time(), clock.elapsed) == (NEW_YEAR, NEW_YEAR, 0.0)
    clock.sleep(90.5)
    assert (clock.time(), clock.elapsed) == (NEW_YEAR + 90.5, 90.5)
    assert clock.utcnow().isoformat() == "2026-01-01T00:01:30.500000"


def test_botocore_and_moto_live_by_the_clock_for_the_time_being(iam: Any) -> None:
    """Every pause of botocore moves the clock and dates of moto are its; both end."""
    clock = VirtualClock()
    modules: list[Any] = [endpoint, waiter, bucket]
    real = [module.time for module in modules]
    with predictable(clock, 0):
        for module in modules:
            module.time.sleep(20.0)
        assert clock.elapsed == 60.0
        assert bucket.Clock().current_time() == NEW_YEAR + 60.0
        made = iam.create_user(UserName="agent")["User"]["CreateDate"]
        assert made == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert [module.time for module in modules] == real
    assert iam.create_user(UserName="later")["User"]["CreateDate"] != made


def draws(seed: int) -> list[float]:
    """Draw from both sources of chance."""
    with predictable(VirtualClock(), seed):
        return [random.random(), mock_random.random()]  # noqa: S311 - it shall be predictable


def test_chance_is_the_same_for_the_same_seed() -> None:
    """The seed settles what botocore and moto draw, and they go on as if nothing had been."""
    states = random.getstate(), mock_random.getstate()
    one, again, other = draws(1), draws(1), draws(2)
    assert one == again
    assert set(one).isdisjoint(other)
    assert (random.getstate(), mock_random.getstate()) == states


# --- what moto holds ------------------------------------------------------------------------------


@pytest.fixture
def moto(iam: Any) -> Any:
    """Hold one thing of each kind in moto, and return its backend."""
    tags = [{"Key": "stage", "Value": "test"}]
    iam.create_role(RoleName="Agent", AssumeRolePolicyDocument=TRUST, Tags=tags)
    iam.create_instance_profile(InstanceProfileName="Agent")
    iam.add_role_to_instance_profile(InstanceProfileName="Agent", RoleName="Agent")
    iam.create_user(UserName="agent", Tags=tags)
    iam.create_access_key(UserName="agent")
    iam.create_policy(PolicyName="Own", PolicyDocument=DOCUMENT, Tags=tags)
    iam.create_policy_version(PolicyArn=POLICY[1], PolicyDocument=DOCUMENT)
    return iam_backends["123456789012"]["aws"]


POLICY = ("policy", "arn:aws:iam::123456789012:policy/Own")


def key_of(moto: Any) -> tuple[str, str]:
    """Name the one access key."""
    return "access key", moto.users["agent"].access_keys[0].access_key_id


def test_everything_but_the_policies_of_aws_has_versions(moto: Any) -> None:
    """Things are known by name, policies by ARN, keys by id; those of AWS never change."""
    found = things(moto)
    assert set(found) == {ROLE, PROFILE, USER, POLICY, key_of(moto)}
    assert found[PROFILE].roles == [found[ROLE]]


WRITES: dict[str, tuple[tuple[str, str], Callable[[Any], object]]] = {
    "role tags": (ROLE, lambda iam: iam.untag_role(RoleName="Agent", TagKeys=["stage"])),
    "role policy": (
        ROLE,
        lambda iam: iam.put_role_policy(RoleName="Agent", PolicyName="p", PolicyDocument=DOCUMENT),
    ),
    "attachment": (
        ROLE,
        lambda iam: iam.attach_role_policy(RoleName="Agent", PolicyArn=POLICY[1]),
    ),
    "description": (ROLE, lambda iam: iam.update_role(RoleName="Agent", Description="new")),
    "role of a profile": (
        PROFILE,
        lambda iam: iam.remove_role_from_instance_profile(
            InstanceProfileName="Agent", RoleName="Agent"
        ),
    ),
    "user tags": (USER, lambda iam: iam.untag_user(UserName="agent", TagKeys=["stage"])),
    "policy tags": (POLICY, lambda iam: iam.untag_policy(PolicyArn=POLICY[1], TagKeys=["stage"])),
    "new policy version": (
        POLICY,
        lambda iam: iam.create_policy_version(PolicyArn=POLICY[1], PolicyDocument=DOCUMENT),
    ),
    "default policy version": (
        POLICY,
        lambda iam: iam.set_default_policy_version(PolicyArn=POLICY[1], VersionId="v2"),
    ),
}


@pytest.mark.parametrize(("key", "write"), WRITES.values(), ids=WRITES)
def test_a_copy_stays_as_it_was(
    iam: Any, moto: Any, key: tuple[str, str], write: Callable[[Any], object]
) -> None:
    """A copy equals another one until the thing is written to, and nothing else changes then."""
    before = {name: frozen(thing, moto) for name, thing in things(moto).items()}
    again = {name: frozen(thing, moto) for name, thing in things(moto).items()}
    assert all(is_same(before[name], again[name]) for name in before)
    write(iam)
    after = {name: frozen(thing, moto) for name, thing in things(moto).items()}
    assert [name for name in before if not is_same(before[name], after[name])] == [key]


def test_a_copy_of_a_policy_keeps_its_default(iam: Any, moto: Any) -> None:
    """The copy still has the default version of its time when there is another one."""
    old = frozen(things(moto)[POLICY], moto)
    iam.set_default_policy_version(PolicyArn=POLICY[1], VersionId="v2")
    new = frozen(things(moto)[POLICY], moto)
    assert [[each.is_default for each in policy.versions] for policy in (old, new)] == [
        [True, False],
        [False, True],
    ]


def test_what_others_change_makes_no_version(iam: Any, moto: Any) -> None:
    """Keys are things of their own, and the use of a role or the count of a policy is none."""
    key = key_of(moto)
    before = {name: frozen(thing, moto) for name, thing in things(moto).items()}
    iam.update_access_key(UserName="agent", AccessKeyId=key[1], Status="Inactive")
    iam.create_access_key(UserName="agent")
    things(moto)[ROLE].last_used = datetime(2026, 1, 1)  # noqa: DTZ001 - as moto does
    after = {name: frozen(thing, moto) for name, thing in things(moto).items()}
    assert [name for name in before if not is_same(before[name], after[name])] == [key]


def test_things_of_two_kinds_are_never_the_same(moto: Any) -> None:
    """A half-built role is another version than the whole one."""
    role = frozen(things(moto)[ROLE], moto)
    assert not is_same(role, half_built(role))


def test_a_half_built_thing_has_its_id_for_an_arn(moto: Any) -> None:
    """Roles and profiles lack their ARN at first, in AWS's form; the thing itself is untouched."""
    role, profile = things(moto)[ROLE], things(moto)[PROFILE]
    assert half_built(role).arn == role.id
    assert half_built(profile).arn == "AIPA" + profile.id[:17].upper()
    assert role.arn == "arn:aws:iam::123456789012:role/Agent"
    assert half_built(things(moto)[USER]) is things(moto)[USER]


def names(answer: dict[str, Any], items: str, name: str) -> list[str]:
    """Take the names out of a list."""
    return [each[name] for each in answer[items]]


def seen(iam: Any) -> dict[str, list[str]]:
    """Read all that a replica shows."""
    keys = iam.get_paginator("list_access_keys").paginate(UserName="agent").build_full_result()
    held = iam.list_instance_profiles()["InstanceProfiles"]
    return {
        "roles": names(iam.list_roles(), "Roles", "Arn"),
        "profiles": [role["Arn"] for profile in held for role in profile["Roles"]],
        "tags": names(iam.list_user_tags(UserName="agent"), "Tags", "Value"),
        "keys": names(keys, "AccessKeyMetadata", "Status"),
        "policies": names(iam.list_policies(Scope="Local"), "Policies", "PolicyName"),
    }


def test_moto_shows_what_a_replica_knows(iam: Any, moto: Any) -> None:
    """Old copies stand in for the truth while it is read, wherever they are held."""
    old = {name: frozen(thing, moto) for name, thing in things(moto).items()}
    iam.update_access_key(UserName="agent", AccessKeyId=key_of(moto)[1], Status="Inactive")
    iam.tag_user(UserName="agent", Tags=[{"Key": "stage", "Value": "live"}])
    truth = seen(iam)
    with showing(moto, old | {POLICY: None, ROLE: half_built(old[ROLE])}):
        role_id = old[ROLE].id
        assert seen(iam) == {
            "roles": [role_id],
            "profiles": [role_id],
            "tags": ["test"],
            "keys": ["Active"],
            "policies": [],
        }
        aws = iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy")
        assert aws["Policy"]["PolicyName"] == "CloudWatchAgentServerPolicy"
    assert seen(iam) == truth
    assert (truth["tags"], truth["keys"], truth["policies"]) == (["live"], ["Inactive"], ["Own"])


def test_moto_shows_the_truth_where_nothing_is_late(iam: Any, moto: Any) -> None:
    """Without anything changed, what is shown is what there is, of each user by itself."""
    iam.create_user(UserName="other")
    iam.create_access_key(UserName="other")
    truth = seen(iam)
    with showing(moto, {}):
        assert seen(iam) == truth


def test_a_profile_may_be_known_before_its_role(iam: Any, moto: Any) -> None:
    """A role that is absent from the list is still in its profile, as that profile knows it."""
    with showing(moto, {ROLE: None}):
        shown = seen(iam)
    arn = "arn:aws:iam::123456789012:role/Agent"
    assert (shown["roles"], shown["profiles"]) == ([], [arn])
