"""Confirmation: three reads of what was written, and how long they may disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cwagent_iam import SERVER_POLICY
from cwagent_iam.errors import ConflictError, PropagationTimeoutError
from cwagent_iam.events import Planned, Verified
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.requests import Refusal
from tests.core import (
    ROLE,
    ROLE_PLAN,
    USER,
    USER_PLAN,
    World,
    access_key,
    made,
    operations,
    pauses,
    refusal,
)

if TYPE_CHECKING:
    from cwagent_iam.requests import Request
    from tests.core import Answer, Things

SERVER = SERVER_POLICY.arn("aws")
NOTHING: Things = {}


def confirming(world: World) -> list[list[str]]:
    """Return the requests of each `Send` after the last write."""
    last = max(n for n, some in enumerate(world.sends) if not some[0].row.reads)
    return [[each.operation for each in some] for some in world.sends[last + 1 :]]


def unmanaged_user() -> tuple[World, Things]:
    """Return an IAM whose user has the policy but not our tag, and a host without the policy."""
    world = made(USER_PLAN)
    world.things[f"user {USER}".lower()]["seen"]["Tags"] = []
    bare = world.copy()
    bare[f"user {USER}".lower()]["attached"] = {}
    return world, bare


class TestAgreeing:
    """Reads that agree, immediately or later."""

    def test_what_was_written(self) -> None:
        """Only what was written is read three times."""
        world = made(ROLE_PLAN)
        world.do("DetachRolePolicy", RoleName=ROLE, PolicyArn=SERVER)
        world.ensure()
        assert confirming(world) == [["GetRole", "ListAttachedRolePolicies"] * 3]

    @pytest.mark.parametrize("copy", range(3))
    def test_one_is_late(self, copy: int) -> None:
        """If one of three reads is stale, two rounds must agree, and only that entity is read."""
        world = World()
        answers: list[Answer] = [None, None, None, None]
        answers[1 + copy] = NOTHING
        world.script["GetInstanceProfile"] = answers
        result = world.ensure()
        assert confirming(world) == [
            ["GetRole", "ListAttachedRolePolicies", "GetInstanceProfile"] * 3,
            ["GetInstanceProfile"] * 3,
            ["GetInstanceProfile"] * 3,
        ]
        assert pauses(world) == [0.25, 0.25]
        assert (result.state, len(world.writes)) == (world.seen(), 4)

    def test_apart(self) -> None:
        """The two rounds that agree are at least a quarter of a second apart."""
        world = World(script={"GetRole": [None, *[NOTHING] * 15]})
        world.ensure()
        assert pauses(world) == [0.25, 0.5, 1, 2, 2, 0.25]
        assert world.waits[-1].least == 0.25

    def test_late_again(self) -> None:
        """A round that disagrees again resets the count."""
        world = World(script={"GetRole": [None, NOTHING, *[None] * 5, NOTHING]})
        world.ensure()
        assert len(confirming(world)) == 5

    def test_two_disagree_in_turns(self) -> None:
        """Every entity that has disagreed must agree in the last two rounds."""
        world = World()
        world.script["GetRole"] = [None, NOTHING]
        world.script["GetInstanceProfile"] = [None, NOTHING, None, None, NOTHING]
        world.ensure()
        both = ["GetRole", "ListAttachedRolePolicies", "GetInstanceProfile"] * 3
        assert confirming(world) == [both, both, both, both]

    def test_first_round_is_enough(self) -> None:
        """Three parallel reads that agree are enough."""
        world = World()
        world.ensure()
        assert len(confirming(world)) == 1
        assert world.events(Verified) == [Verified(looks=3)]

    @pytest.mark.parametrize("timeout", [0, 5, 60])
    def test_never_shown(self, timeout: float) -> None:
        """After the timeout, and at least one pause, the error names what is not visible."""
        hidden: dict[str, list[Answer]] = {"GetRole": [None, *[NOTHING] * 999]}
        world = World(script=hidden)
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(timeout=timeout)
        error = caught.value
        assert operations(error.missing) == ["CreateRole", "AttachRolePolicy"]
        assert error.seconds == pytest.approx(sum(pauses(world)))
        assert error.attempts == len(world.waits) + 1 > 1
        assert error.seconds <= (timeout or 0.25)
        assert len(error.applied) == len(world.writes) == 4
        assert error.last_error.startswith("NoSuchEntity: The role with name")

    def test_cause(self) -> None:
        """The last miss of a read is the cause, with the SDK's own error."""
        lost = ValueError("of the SDK")
        missing: Answer = Refusal(code="NoSuchEntity", message="No.", error=lost)
        world = World(script={"GetRole": [missing] * 999})
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(timeout=1)
        assert caught.value.__cause__ is lost

    def test_without_a_miss(self) -> None:
        """Without a NoSuchEntity there is no last error."""
        world = made()
        world.do("DetachRolePolicy", RoleName=ROLE, PolicyArn=SERVER)
        behind = world.copy()
        world.script["ListAttachedRolePolicies"] = [behind] * 999
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(timeout=1)
        assert (caught.value.last_error, caught.value.__cause__) == ("", None)

    def test_after_long_requests(self) -> None:
        """Only pauses count towards the timeout, so that slow requests leave room for a pause."""
        world = World(script={"GetRole": [None, NOTHING]})

        def slow(_: Request) -> Answer:
            world.now += 100
            return None

        world.answers = slow
        world.ensure(timeout=1)
        assert pauses(world) == [0.25, 0.25]


class TestDrift:
    """Changes while a call confirms."""

    def test_repaired(self) -> None:
        """New drift that all three reads show is repaired, and the repair is confirmed."""
        world = World()

        def rival() -> None:
            world.do("UpdateRole", RoleName=ROLE, Description="by hand")

        world.script["GetRole"] = [None, rival]
        desired = plan_agent_role(description="the agent")
        result = world.ensure(desired)
        assert operations(result.changes)[-1] == "UpdateRole"
        assert world.is_as_desired(desired)
        assert [len(each.changes) for each in world.events(Planned)] == [4, 1]
        assert confirming(world)[0].count("GetRole") == 3
        assert world.waits == []

    def test_shown_by_some(self) -> None:
        """Drift that only some reads show is read again first."""
        world = World()

        def rival() -> None:
            world.do("UpdateRole", RoleName=ROLE, Description="by hand")

        world.script["GetRole"] = [None, None, rival]
        desired = plan_agent_role(description="the agent")
        world.ensure(desired)
        assert (pauses(world), world.is_as_desired(desired)) == ([0.25], True)

    def test_undone(self) -> None:
        """An acknowledged change is not sent again, even if another process undoes it."""
        world = World()

        def rival() -> None:
            world.do("DetachRolePolicy", RoleName=ROLE, PolicyArn=SERVER)

        world.script["GetRole"] = [None, rival]
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure()
        assert operations(caught.value.missing) == ["AttachRolePolicy"]
        assert world.writes.count("AttachRolePolicy") == 1

    def test_late_read_after_repair(self) -> None:
        """A refusal leads to another observation; acknowledged changes are not sent again."""
        world = World()
        world.script["AddRoleToInstanceProfile"] = [refusal("LimitExceeded", "It holds a role.")]
        world.script["ListAttachedRolePolicies"] = [NOTHING, NOTHING]
        world.ensure()
        assert world.writes.count("AttachRolePolicy") == 1
        assert world.writes.count("AddRoleToInstanceProfile") == 2

    def test_nothing_new_after_a_refusal(self) -> None:
        """If no change is due after a refusal, the changes that were sent are confirmed."""
        world = World()

        def rival() -> None:
            world.do("AddRoleToInstanceProfile", RoleName=ROLE, InstanceProfileName=ROLE)

        world.script["AddRoleToInstanceProfile"] = [rival]
        world.script["ListAttachedRolePolicies"] = [NOTHING, NOTHING]
        result = world.ensure()
        assert len(result.changes) == 3
        assert len(confirming(world)) == 2


class TestRemoval:
    """Absence, and entities that only some reads show."""

    def test_absent_to_some(self) -> None:
        """An entity that one of three reads shows is not absent: it is read again, and removed."""
        world = made(USER_PLAN)
        world.script["GetUser"] = [NOTHING, NOTHING, NOTHING, None]
        result = world.remove(USER_PLAN)
        assert operations(result.changes) == ["DetachUserPolicy", "DeleteUser"]
        assert (pauses(world), world.things) == ([0.25], {})

    def test_ghost(self) -> None:
        """An entity that one read showed is absent when all reads of six rounds agree."""
        world = World()
        ghost = made(USER_PLAN).copy()
        world.script["GetUser"] = [None, None, ghost]
        result = world.remove(USER_PLAN)
        assert (result.changes, pauses(world)) == ((), [0.25, 1, 2, 2, 4, 4])

    def test_shown_by_its_policies_alone(self) -> None:
        """If a list shows its policies, an entity that four reads miss is read again."""
        world = made(USER_PLAN)
        world.script["GetUser"] = [NOTHING] * 5
        result = world.remove(USER_PLAN)
        assert operations(result.changes) == ["DetachUserPolicy", "DeleteUser"]
        assert pauses(world) == [0.25, 0.5]

    def test_not_beyond_the_timeout(self) -> None:
        """An entity that later reads miss, although one has shown it, is absent at the timeout."""
        world = made(USER_PLAN)
        world.script["GetUser"] = [*[NOTHING] * 4, world.things.clear]
        assert world.remove(USER_PLAN, timeout=2).changes == ()
        assert pauses(world) == [0.25, 1, 0.75]

    @pytest.mark.parametrize("times", range(1, 5))
    def test_missed_after_a_conflict(self, times: int) -> None:
        """An entity that conflicts is not absent because reads miss it once, or several times."""
        world = made(USER_PLAN)
        world.things[f"user {USER}".lower()]["keys"] = [access_key("AKIA1")]
        world.script["GetUser"] = [None, *[NOTHING] * 3 * times]
        with pytest.raises(ConflictError, match="AKIA1"):
            world.remove(USER_PLAN)
        assert world.writes == []

    def test_missed_after_a_stale_conflict(self) -> None:
        """An entity whose tag one read did not show is removed, though further reads miss it."""
        world = made(USER_PLAN)
        untagged = world.copy()
        untagged[f"user {USER}".lower()]["seen"]["Tags"] = []
        world.script["GetUser"] = [untagged, *[NOTHING] * 7]
        result = world.remove(USER_PLAN)
        assert operations(result.changes) == ["DetachUserPolicy", "DeleteUser"]

    @pytest.mark.parametrize("timeout", [0, 5])
    def test_conflict_and_absence_in_turns(self, timeout: float) -> None:
        """If reads show a conflict and absence in turns until the timeout, the error names it."""
        world = made(USER_PLAN)
        world.things[f"user {USER}".lower()]["keys"] = [access_key("AKIA1")]
        world.script["GetUser"] = [None, *[NOTHING] * 3] * 99
        with pytest.raises(PropagationTimeoutError, match=f"about: user {USER} "):
            world.remove(USER_PLAN, timeout=timeout)
        assert world.writes == []

    def test_role_that_a_profile_holds(self) -> None:
        """A role is not absent as long as a profile holds it."""
        world = made(ROLE_PLAN)
        world.script["GetRole"] = [NOTHING] * 999
        world.script["ListAttachedRolePolicies"] = [NOTHING] * 999
        with pytest.raises(PropagationTimeoutError, match=f"about: role {ROLE} "):
            world.remove(ROLE_PLAN, timeout=9)
        assert world.writes == []

    def test_nothing_to_detach(self) -> None:
        """Three reads confirm that an unmanaged entity has nothing that is to be detached."""
        world, _ = unmanaged_user()
        world.do("DetachUserPolicy", UserName=USER, PolicyArn=SERVER)
        assert world.remove(USER_PLAN, existing="attach").changes == ()
        assert ([some[0].operation for some in world.sends], pauses(world)) == (["GetUser"] * 2, [])

    def test_late_to_show_what_to_detach(self) -> None:
        """One stale list of policies does not end a removal that detaches."""
        world, bare = unmanaged_user()
        world.script["ListAttachedUserPolicies"] = [bare]
        result = world.remove(USER_PLAN, existing="attach")
        assert operations(result.changes) == ["DetachUserPolicy"]

    def test_late_again_to_show_what_to_detach(self) -> None:
        """After a contradiction about policies, one round that shows none is not enough."""
        world, bare = unmanaged_user()
        world.script["ListAttachedUserPolicies"] = [bare, None, *[bare] * 6]
        result = world.remove(USER_PLAN, existing="attach")
        assert operations(result.changes) == ["DetachUserPolicy"]
        assert pauses(world)[:2] == [0.25, 1]

    @pytest.mark.parametrize("round_", ["first", "second"])
    def test_only_listed(self, round_: str) -> None:
        """An inline policy that one list shows is doubted, even if all reads of it miss it."""
        plan = plan_agent_user(parameters=["web"])
        world = made(plan)
        user = world.things[f"user {USER}".lower()]
        user["seen"]["Tags"] = []
        bare = world.copy()
        bare[f"user {USER}".lower()] |= {"attached": {}, "inline": {}}
        world.script["ListAttachedUserPolicies"] = [bare] * 4
        world.script["GetUserPolicy"] = [bare] * 4
        lists: list[Answer] = [bare] * 4
        lists[0 if round_ == "first" else 2] = None
        world.script["ListUserPolicies"] = lists
        result = world.remove(plan, existing="attach")
        assert operations(result.changes) == ["DetachUserPolicy", "DeleteUserPolicy"]

    def test_missed_by_a_read_that_confirms(self) -> None:
        """If a read that confirms misses the entity, later reads show what to detach."""
        world, bare = unmanaged_user()
        world.script["ListAttachedUserPolicies"] = [bare] * 4
        world.script["GetUser"] = [None, None, NOTHING]
        result = world.remove(USER_PLAN, existing="attach")
        assert operations(result.changes) == ["DetachUserPolicy"]

    def test_ghost_for_good(self) -> None:
        """If reads disagree about existence after the timeout, the error says so."""
        world = World()
        ghost = made(USER_PLAN).copy()
        world.script["GetUser"] = [None, None, None, ghost] * 99
        with pytest.raises(PropagationTimeoutError, match=f"about: user {USER} ") as caught:
            world.remove(USER_PLAN, timeout=3)
        assert caught.value.attempts == len(world.waits) + 1
        assert pauses(world)[:2] == [0.25, 0.5]

    def test_still_shown(self) -> None:
        """Deletion is confirmed by reads of existence, until no read shows the entity."""
        world = made(USER_PLAN)
        behind = world.copy()
        world.script["GetUser"] = [None, behind, behind, behind, None, behind]
        world.remove(USER_PLAN)
        assert confirming(world) == [["GetUser"] * 3] * 4
        assert world.writes == ["DetachUserPolicy", "DeleteUser"]

    def test_never_gone(self) -> None:
        """A deletion that is not visible after the timeout is named in the error."""
        world = made(USER_PLAN)
        behind = world.copy()
        world.script["GetUser"] = [None, *[behind] * 999]
        with pytest.raises(PropagationTimeoutError) as caught:
            world.remove(USER_PLAN, timeout=5)
        assert "DeleteUser" in operations(caught.value.missing)
        assert operations(caught.value.applied) == ["DetachUserPolicy", "DeleteUser"]

    def test_keys(self) -> None:
        """Access keys are deleted if the caller asks for it; dependents are read once."""
        world = made(USER_PLAN)
        world.things[f"user {USER}".lower()]["keys"] = [access_key("AKIA1"), access_key("AKIA2")]
        with pytest.raises(ConflictError):
            world.later().remove(USER_PLAN)
        result = world.remove(USER_PLAN, access_keys="delete")
        assert operations(result.changes) == [
            *("DetachUserPolicy", "DeleteAccessKey", "DeleteAccessKey", "DeleteUser")
        ]
        assert world.requests.count("ListAccessKeys") == 1

    def test_taken_out_meanwhile(self) -> None:
        """It is not an error if another process detached, removed or deleted something first."""
        world = made()

        def rival() -> None:
            World(world.things).remove()

        world.script["DetachRolePolicy"] = [rival]
        result = world.remove()
        assert (result.changes, world.things) == ((), {})
        assert len(world.told) == len(set(world.told)) > 4

    def test_in_use_meanwhile(self) -> None:
        """A policy that another process attaches meanwhile is a conflict, with what was applied."""
        world = made()

        def rival() -> None:
            world.do("AttachRolePolicy", RoleName=ROLE, PolicyArn=SERVER.replace("Server", "Admin"))

        world.script["DeleteRole"] = [rival]
        with pytest.raises(ConflictError) as caught:
            world.remove()
        assert operations(caught.value.applied) == [
            *("DetachRolePolicy", "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile")
        ]
