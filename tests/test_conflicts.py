"""Conflicts: raised only if three parallel reads agree in every round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from cwagent_iam import SERVER_POLICY
from cwagent_iam.errors import ConflictError, PropagationTimeoutError
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.reconcile.loop import Goal, reconcile
from cwagent_iam.requests import Reply
from tests.core import (
    ROLE,
    ROLE_PLAN,
    USER,
    USER_PLAN,
    World,
    made,
    no_such,
    operations,
    pauses,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.state import State
    from tests.core import Things

KEY = f"role {ROLE}".lower()
ROUNDS = [1, 2, 2]


def unmanaged(age: float = 1_000.0, *, right: bool = True) -> World:
    """Return a world with an unmanaged role and profile; the role may lack a policy."""
    world = made(age=age)
    for thing in world.things.values():
        thing["seen"]["Tags"] = []
    if not right:
        world.things[KEY]["attached"] = {}
    return world


def bare(world: World) -> Things:
    """Return what a stale host shows, which does not know the attachments yet."""
    things = world.copy()
    things[KEY]["attached"] = {}
    return things


CALLS: dict[str, Callable[[World], object]] = {
    "ensure": lambda world: world.ensure(),
    "remove": lambda world: world.remove(),
}


class TestConfirmed:
    """Conflicts that are confirmed."""

    @pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
    @pytest.mark.parametrize("age", [1_000, 1])
    def test_rounds(self, call: Callable[[World], object], age: float) -> None:
        """Three reads agree at 0, 1, 3 and 5 s, however old the entity; nothing is written."""
        world = unmanaged(age, right=False)
        with pytest.raises(ConflictError) as caught:
            call(world)
        assert pauses(world) == ROUNDS
        assert all(each.least == each.most for each in world.waits)
        assert [
            len([each for each in some if each.operation == "GetRole"]) for some in world.sends[1:]
        ] == [3 for _ in [0, *ROUNDS]]
        assert (world.writes, caught.value.applied) == ([], ())

    def test_only_what_conflicts(self) -> None:
        """Only conflicting entities are read again, and nothing is written for any entity."""
        world = unmanaged(1_000, right=False)
        with pytest.raises(ConflictError):
            world.ensure(ROLE_PLAN | USER_PLAN)
        assert {each.target for some in world.sends[1:] for each in some} == {f"role {ROLE}"}
        assert world.writes == []

    def test_without_time(self) -> None:
        """With a timeout of 0 the conflict is raised after one pause."""
        world = unmanaged(1, right=False)
        with pytest.raises(ConflictError):
            world.ensure(timeout=0)
        assert pauses(world) == [1]

    def test_after_writes(self) -> None:
        """A conflict that is first seen after writes is raised with what was applied."""
        world = World()

        def rival() -> None:
            world.things[KEY]["seen"]["Tags"] = []
            world.things[KEY]["attached"] = {}

        world.script["GetInstanceProfile"] = [None, None]
        world.script["AddRoleToInstanceProfile"] = [rival]
        with pytest.raises(ConflictError) as caught:
            world.ensure()
        assert len(caught.value.applied) == 4
        assert pauses(world) == ROUNDS

    def test_account(self) -> None:
        """A conflict about the account is raised immediately: reading again cannot resolve it."""
        world = made()
        conflict = unconfirmed(world)
        changed = (attrs.evolve(conflict.conflicts[0], target="account 1"),)

        def decide(_: object) -> None:
            raise ConflictError(conflicts=changed)

        goal = Goal(targets=ROLE_PLAN.entities, decide=decide, partition="aws", timeout=60)  # type: ignore[arg-type]
        with pytest.raises(ConflictError):
            world.run(reconcile(goal))
        assert (len(world.sends), world.waits) == (1, [])


def unconfirmed(world: World) -> ConflictError:
    """Return any conflict."""
    with pytest.raises(ConflictError) as caught:
        unmanaged(right=False).ensure()
    assert world.waits == []
    return caught.value


class TestGone:
    """Conflicts that reads do not confirm."""

    @pytest.mark.parametrize("age", [1, 1_000])
    def test_one_late_read(self, age: float) -> None:
        """An unmanaged role that is as desired is used, even if one read is stale."""
        world = unmanaged(age)
        world.script["ListAttachedRolePolicies"] = [bare(world)]
        result = world.ensure()
        assert (result.changes, world.writes, world.waits) == ((), [], [])
        assert [len(some) for some in world.sends] == [3, 6]

    def test_late_reads_in_every_round_but_the_last(self) -> None:
        """The last round counts like the first."""
        world = unmanaged(1)
        world.script["ListAttachedRolePolicies"] = [bare(world)] * 10
        assert not world.ensure().changed
        assert pauses(world) == ROUNDS

    @pytest.mark.parametrize("age", [1, 1_000])
    def test_split(self, age: float) -> None:
        """Reads that disagree restart the rounds, after a quarter of a second."""
        world = unmanaged(age)
        late = bare(world)
        world.script["ListAttachedRolePolicies"] = [late, late, None, late]
        assert not world.ensure().changed
        assert pauses(world) == [0.25]

    @pytest.mark.parametrize("age", [1_000, 1])
    def test_split_then_confirmed(self, age: float) -> None:
        """A conflict that some reads did not show must be in all reads from then on."""
        world = unmanaged(age, right=False)
        right = unmanaged(age).copy()
        world.script["ListAttachedRolePolicies"] = [None, None, right]
        with pytest.raises(ConflictError):
            world.ensure()
        assert pauses(world) == [0.25, *ROUNDS]

    @pytest.mark.parametrize("timeout", [0, 10])
    def test_split_for_good(self, timeout: float) -> None:
        """If reads disagree until the timeout, the error names the conflict."""
        world = unmanaged(1_000)
        late = bare(world)
        world.script["ListAttachedRolePolicies"] = [late, *[late, None, late] * 999]
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(timeout=timeout)
        assert [each.target for each in caught.value.conflicts] == [f"role {ROLE}"]
        assert caught.value.seconds == pytest.approx(sum(pauses(world)))
        assert caught.value.seconds <= max(timeout, 0.25)
        assert world.writes == []

    def test_another_conflict(self) -> None:
        """If reads show different conflicts, all conflicting entities are read from then on."""
        world = unmanaged(1_000)
        for thing in world.things.values():
            thing["seen"]["Roles"] = []
        world.script["ListAttachedRolePolicies"] = [bare(world)] * 4
        with pytest.raises(ConflictError) as caught:
            world.ensure()
        assert [each.target for each in caught.value.conflicts] == [f"instance-profile {ROLE}"]

    def test_only_a_list_shows_it(self) -> None:
        """A user that any list shows exists: the removal reads again until all reads agree."""
        plan = plan_agent_user(parameters=["web"])
        world = made(plan)
        world.script["GetUser"] = [no_such("user", USER)] * 20
        for operation in ("ListAttachedUserPolicies", "GetUserPolicy"):
            world.script[operation] = [no_such("user", USER)] * 5
        assert operations(world.remove(plan).changes)[-1] == "DeleteUser"

    def test_an_empty_list_shows_nothing(self) -> None:
        """An emulator that lists nothing for a user who does not exist does not show that user."""
        world = World()
        empty = {"AccessKeyMetadata": [], "MFADevices": [], "Groups": [], "IsTruncated": False}
        for operation in ("ListAccessKeys", "ListMFADevices", "ListGroupsForUser"):
            world.script[operation] = [Reply(content=empty)] * 5
        assert (world.remove(USER_PLAN).changes, world.waits) == ((), [])

    def test_only_one_read_shows_an_attachment(self) -> None:
        """A removal reads on until 13 s if no later read shows what an earlier one did."""
        plan = plan_agent_user(parameters=["web"])
        world = made(plan)
        user = f"user {USER}".lower()
        world.things[user]["seen"]["Tags"] = []
        stale = world.copy()
        stale[user] |= {"attached": {}, "inline": {}}
        world.script["ListAttachedUserPolicies"] = [stale, None, *[stale] * 6]
        world.script["GetUserPolicy"] = [stale] * 4
        changes = world.remove(plan, existing="attach").changes
        assert operations(changes) == ["DeleteUserPolicy", "DetachUserPolicy"]

    def test_a_stale_host_refuses(self) -> None:
        """A host that does not know an attachment refuses its removal; later reads may be stale."""
        world = made(USER_PLAN)
        user = f"user {USER}".lower()
        world.things[user]["seen"]["Tags"] = []
        stale = world.copy()
        stale[user] |= {"attached": {}}
        world.script["DetachUserPolicy"] = [refusal("NoSuchEntity", "Policy P was not found.")]
        world.script["ListAttachedUserPolicies"] = [None, *[stale] * 7]
        assert operations(world.remove(existing="attach", desired=USER_PLAN).changes) == [
            "DetachUserPolicy"
        ]

    def unshown_user(self) -> tuple[World, State]:
        """Return an unmanaged user with two policies, of which the first read shows one."""
        plan = plan_agent_user(parameters=["web"])
        world = made(plan)
        user = f"user {USER}".lower()
        world.things[user]["seen"]["Tags"] = []
        stale = world.copy()
        stale[user]["attached"] = {}
        world.script["ListAttachedUserPolicies"] = [stale]
        return world, plan

    @pytest.mark.parametrize("missed", [3, 9])
    def test_missed_after_a_write(self, missed: int) -> None:
        """A user whom reads miss after a write, though lists show it, is read again."""
        world, plan = self.unshown_user()
        world.script["GetUser"] = [None, *[no_such("user", USER)] * missed]
        changes = world.remove(plan, existing="attach").changes
        assert operations(changes) == ["DeleteUserPolicy", "DetachUserPolicy"]

    def test_missed_by_all(self) -> None:
        """A user whom no reply shows after a write is gone if all rounds agree for 13 s."""
        world, plan = self.unshown_user()
        world.script["GetUser"] = [None, world.things.clear]
        assert operations(world.remove(plan, existing="attach").changes) == ["DeleteUserPolicy"]
        assert pauses(world) == [1, 2, 2, 4, 4]

    def test_missed_at_the_timeout(self) -> None:
        """If no reply shows a user any more, the timeout ends the doubt, and is no error."""
        world, plan = self.unshown_user()
        world.script["GetUser"] = [None, world.things.clear]
        changes = world.remove(plan, existing="attach", timeout=4).changes
        assert operations(changes) == ["DeleteUserPolicy"]
        assert pauses(world) == [1, 2, 1]

    def test_missed_for_good(self) -> None:
        """If reads disagree until the timeout on whether a user exists, the error names it."""
        world, plan = self.unshown_user()
        world.script["GetUser"] = [None, *[no_such("user", USER)] * 999]
        with pytest.raises(PropagationTimeoutError, match=f"about: user {USER} "):
            world.remove(plan, existing="attach")

    def test_only_a_list_ever_shows_it(self) -> None:
        """If reads never agree on whether a user exists, the removal says so."""
        world = made(USER_PLAN)
        world.script["GetUser"] = [no_such("user", USER)] * 999
        with pytest.raises(PropagationTimeoutError, match=f"user {USER}"):
            world.remove(USER_PLAN)

    def test_remove(self) -> None:
        """A stale read that does not show the tag does not refuse a removal: all is read again."""
        world = made(USER_PLAN, age=1)
        late = world.copy()
        late[f"user {USER}".lower()]["seen"]["Tags"] = []
        world.script["GetUser"] = [late]
        assert len(world.remove(USER_PLAN).changes) == 2
        assert (world.things, pauses(world)) == ({}, [0.25])


class TestConfirming:
    """Conflicts that appear while a call confirms its writes."""

    def world(self) -> tuple[World, Things]:
        """Return a world with one drift, and what a stale host shows, without the tag."""
        world = made(age=1)
        world.do("DetachRolePolicy", RoleName=ROLE, PolicyArn=SERVER_POLICY.arn("aws"))
        late = world.copy()
        late[KEY]["seen"]["Tags"] = []
        return world, late

    def test_shown_by_all(self) -> None:
        """A conflict that only one round of reads shows delays the confirmation."""
        world, late = self.world()
        world.script["GetRole"] = [None, late, late, late]
        world.script["ListAttachedRolePolicies"] = [None, late, late, late, late, late, late]
        result = world.ensure()
        assert operations(result.changes) == ["AttachRolePolicy"]
        assert world.writes == ["AttachRolePolicy"]
        assert result.state == world.seen()
        reads = [some for some in world.sends if len(some) == 6]
        assert len(reads) == 4
        assert pauses(world) == [0.25, 0.25]

    def test_shown_by_some(self) -> None:
        """A conflict that some reads show at the timeout is named, with the missing changes."""
        world, late = self.world()
        world.script["GetRole"] = [None, *[late, None, None] * 999]
        world.script["ListAttachedRolePolicies"] = [None, *[late, None, late] * 999]
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(timeout=5)
        assert [each.target for each in caught.value.conflicts] == [f"role {ROLE}"]
        assert operations(caught.value.missing) == ["AttachRolePolicy"]
        assert operations(caught.value.applied) == ["AttachRolePolicy"]

    def test_hides_what_else_is_wrong(self) -> None:
        """While a read shows a conflict, everything that was written is read again."""
        world, _ = self.world()
        world.do("RemoveRoleFromInstanceProfile", RoleName=ROLE, InstanceProfileName=ROLE)
        empty = world.copy()
        empty[KEY]["seen"]["Tags"] = []
        world.script["GetRole"] = [None, empty]
        world.script["ListAttachedRolePolicies"] = [None, empty]
        world.script["GetInstanceProfile"] = [None, empty]
        world.ensure()
        assert [len(some) for some in world.sends] == [3, 2, 9, 9, 6]

    def test_stands(self) -> None:
        """A confirmed conflict is raised, with what was applied."""
        world, _ = self.world()

        def rival() -> None:
            world.things[KEY]["seen"]["Tags"] = []
            world.things[KEY]["seen"]["MaxSessionDuration"] = 7200

        world.script["AttachRolePolicy"] = [rival]
        desired = plan_agent_role(max_session_duration=3600)
        with pytest.raises(ConflictError) as caught:
            world.ensure(desired)
        assert operations(caught.value.applied) == ["AttachRolePolicy"]

    def test_new_drift_after_a_conflict(self) -> None:
        """Where nothing is wrong but a refusal, the next observation is confirmed likewise."""
        world, late = self.world()
        world.script["AttachRolePolicy"] = [refusal("ConcurrentModification", "")]
        world.script["GetRole"] = [late]
        world.script["ListAttachedRolePolicies"] = [late]
        assert operations(world.ensure().changes) == ["AttachRolePolicy"]
