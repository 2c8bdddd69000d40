"""The loop: its requests, their order, and its errors; without AWS, clock and threads."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import attrs
import pytest

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY
from cwagent_iam.errors import (
    ApplyError,
    ConflictError,
    CredentialsError,
    ObserveError,
    PropagationTimeoutError,
)
from cwagent_iam.events import Applied, Applying, Planned, Recovered, Verified
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.reconcile.loop import preview, reconcile
from cwagent_iam.requests import OPERATIONS, Emit, Interrupted, Send, Unsent
from cwagent_iam.state import InstanceProfile, Role
from tests.core import (
    ACCOUNT,
    BUSY,
    DENIED,
    NO_REPLY,
    ROLE,
    ROLE_PLAN,
    THROTTLED,
    USER,
    USER_PLAN,
    Lost,
    World,
    made,
    no_such,
    operations,
    pauses,
    refusal,
    to_ensure,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.changes import Result
    from cwagent_iam.requests import Effect, Request, Steps
    from cwagent_iam.state import State
    from tests.core import Answer

CREATE = ["CreateRole", "CreateInstanceProfile", "AttachRolePolicy", "AddRoleToInstanceProfile"]
BARE = plan_agent_role(instance_profile=False)
UNSENT = Unsent(code="AccessDenied", message="Not for you.", step="AssumeRole")


def drive_until(steps: Steps[Result], world: World, stop: Callable[[Effect], bool]) -> Effect:
    """Perform effects of *steps* until one at which to *stop*, and return that one."""
    effect = next(steps)
    while not stop(effect):
        effect = steps.send(world.perform(effect))
    return effect


def is_applied(effect: Effect) -> bool:
    """Return whether *effect* emits that a change was applied."""
    return isinstance(effect, Emit) and isinstance(effect.event, Applied)


def is_sent(effect: Effect, operation: str) -> bool:
    """Return whether *effect* sends *operation*."""
    return isinstance(effect, Send) and operation in {each.operation for each in effect.requests}


def sizes(world: World) -> tuple[int, int]:
    """Return how many `Send`s and how many requests there were."""
    return len(world.sends), len(world.requests)


class TestDepth:
    """Round trips one after another, and requests."""

    @pytest.mark.parametrize(("desired", "requests"), [(ROLE_PLAN, 3), (USER_PLAN, 2)])
    def test_nothing_to_do(self, desired: State, requests: int) -> None:
        """A state that is as desired is read once, and nothing else is sent."""
        world = made(desired)
        result = world.ensure(desired)
        assert sizes(world) == (1, requests)
        assert (result.changes, world.waits) == ((), [])
        assert result.state == world.seen(desired)
        assert world.events(Verified) == [Verified(looks=1)]

    def test_create(self) -> None:
        """Creating and confirming takes four round trips, 16 requests and no pause."""
        world = World()
        result = world.ensure()
        assert sizes(world) == (4, 16)
        assert (operations(result.changes), world.writes) == (CREATE, CREATE)
        assert (world.waits, world.is_as_desired()) == ([], True)
        assert {kind: arn.split(":")[-1] for (kind, _), arn in result.arns.items()} == {
            "role": f"role/{ROLE}",
            "instance-profile": f"instance-profile/{ROLE}",
        }

    def test_three_drifts(self) -> None:
        """Three drifts are repaired in one wave, and confirmed."""
        world = made()
        world.do("DetachRolePolicy", RoleName=ROLE, PolicyArn=SERVER_POLICY.arn("aws"))
        world.do("RemoveRoleFromInstanceProfile", RoleName=ROLE, InstanceProfileName=ROLE)
        world.do("UpdateRole", RoleName=ROLE, Description="by hand", MaxSessionDuration=3600)
        desired = plan_agent_role(description="the agent")
        result = world.ensure(desired)
        assert sizes(world) == (3, 15)
        assert (len(result.changes), world.is_as_desired(desired)) == (3, True)

    @pytest.mark.parametrize("desired", [ROLE_PLAN, USER_PLAN], ids=["role", "user"])
    def test_remove(self, desired: State) -> None:
        """Removing takes four round trips: dependents are read once, and absence is confirmed."""
        world = made(desired)
        result = world.remove(desired)
        depth, requests = sizes(world)
        assert (depth, requests <= 16, world.things) == (4, True, {})
        assert len(result.changes) == (4 if desired is ROLE_PLAN else 2)
        assert (result.state.entities, world.waits) == ((), [])
        reads = [each for each in world.requests if each.startswith(("Get", "List"))]
        assert {each for each in reads if reads.count(each) > 1} <= {
            *("GetRole", "GetInstanceProfile", "GetUser")
        }

    @pytest.mark.parametrize("desired", [ROLE_PLAN, USER_PLAN], ids=["role", "user"])
    def test_nothing_to_remove(self, desired: State) -> None:
        """Absence is confirmed by three reads of whether it exists."""
        world = World()
        assert not world.remove(desired).changed
        assert len(world.sends) == 2
        assert [each.operation for each in world.sends[1]] == [
            f"Get{type(entity).__name__}" for _ in range(3) for entity in desired.entities
        ]

    def test_events(self) -> None:
        """A call emits its plan, each change before and after, and the confirmation."""
        world = World()
        world.ensure()
        kinds = [type(each.event) for each in world.effects if hasattr(each, "event")]
        assert kinds == [
            Planned,
            *([Applying] * 2 + [Applied] * 2) * 2,
            Verified,
        ]
        assert world.events(Verified) == [Verified(looks=3)]

    def test_preview_reads_only(self) -> None:
        """A preview is one `Send` of reads, also if there are changes or conflicts."""
        world = World()
        changes = world.run(preview(to_ensure(ROLE_PLAN)))
        assert operations(changes) == CREATE
        world.do("CreateRole", RoleName=ROLE, AssumeRolePolicyDocument="{}")
        with pytest.raises(ConflictError):
            world.run(preview(to_ensure(ROLE_PLAN)))
        assert len(world.effects) == 2
        assert all(OPERATIONS[each].reads for each in world.requests)


class TestRetries:
    """Refusals that are retried."""

    def test_new_role(self) -> None:
        """A change that misses an entity of this call is sent again, alone, until IAM knows it."""
        world = World(script={"AttachRolePolicy": [no_such("role")] * 3})
        world.ensure()
        assert world.writes.count("AttachRolePolicy") == 4
        assert world.writes.count("AddRoleToInstanceProfile") == 1
        assert pauses(world) == [0.25, 0.5, 1]
        assert world.is_as_desired()

    def test_slowest_pace(self) -> None:
        """Several refusals of a wave wait together, by the longest backoff among them."""
        slowly = refusal("EntityTemporarilyUnmodifiable", "Later.")
        world = World(
            script={"AttachRolePolicy": [no_such("role")], "AddRoleToInstanceProfile": [slowly]}
        )
        world.ensure()
        assert pauses(world) == [4]

    @pytest.mark.parametrize("code", ["EntityAlreadyExists", "LimitExceeded"])
    def test_add_role(self, code: str) -> None:
        """Where the profile holds the role already, another observation shows it."""
        world = World()
        put = {"RoleName": ROLE, "InstanceProfileName": ROLE}

        def rival() -> None:
            world.do("AddRoleToInstanceProfile", **put)
            world.script["AddRoleToInstanceProfile"] = [refusal(code, "It holds a role.")]

        world.script["AttachRolePolicy"] = [rival]
        result = world.ensure()
        (recovered,) = world.events(Recovered)
        assert recovered.reason == "another process made it"
        assert operations(result.changes) == CREATE[:3]
        assert world.writes == CREATE

    def test_name_taken(self) -> None:
        """If another process created the role first, its role is confirmed."""
        world = World()
        world.script["CreateRole"] = [lambda: World(world.things).ensure()]
        result = world.ensure()
        assert (result.changes, world.is_as_desired()) == ((), True)
        assert [each.change.operation for each in world.events(Recovered)] == CREATE[:2]

    def test_gone_meanwhile(self) -> None:
        """A role that another process deleted before it was changed is created again."""
        world = made(USER_PLAN)
        world.do("DetachUserPolicy", UserName=USER, PolicyArn=SERVER_POLICY.arn("aws"))
        world.script["AttachUserPolicy"] = [lambda: world.do("DeleteUser", UserName=USER)]
        result = world.ensure(USER_PLAN)
        assert operations(result.changes) == ["CreateUser", "AttachUserPolicy"]

    def test_out_of_time(self) -> None:
        """A refusal that lasts is raised after the timeout, with all its facts."""
        world = World(script={"AttachRolePolicy": [BUSY] * 99})
        with pytest.raises(ApplyError) as caught:
            world.ensure(timeout=10)
        error = caught.value
        assert (error.code, error.attempts) == ("ConcurrentModification", len(pauses(world)) + 1)
        assert (error.seconds, sum(pauses(world))) == (10, 10)
        assert operations(error.applied) == [*CREATE[:2], CREATE[3]]
        assert operations(error.remaining) == ["AttachRolePolicy"]
        assert not error.overtaken

    def test_no_time(self) -> None:
        """There is always one pause and one more attempt, even with a timeout of 0."""
        world = World(script={"CreateUser": [BUSY] * 99})
        with pytest.raises(ApplyError) as caught:
            world.ensure(USER_PLAN, timeout=0)
        assert (caught.value.attempts, len(world.waits)) == (2, 1)

    def test_time_restarts(self) -> None:
        """The timeout restarts with each acknowledged write; no pause exceeds it."""
        world = World(script={"CreateUser": [BUSY] * 3, "AttachUserPolicy": [BUSY] * 3})
        world.ensure(USER_PLAN, timeout=3)
        first, second = pauses(world)[:3], pauses(world)[3:]
        assert first == pytest.approx(second)
        assert first[:2] == [0.5, 1]
        assert first[2] < 2
        assert sum(first) == 3 < sum(pauses(world))

    @pytest.mark.parametrize("seed", range(20))
    def test_the_last_pause(self, seed: int) -> None:
        """Pauses come to an end at the timeout, though sums of pauses are not exact."""
        random, world = Random(seed), World()  # noqa: S311 - not for secrets
        began = world.now

        def late(request: Request) -> Answer:
            world.chance = random.random()
            if world.now - began < 50:
                return BUSY if request.operation == "AttachUserPolicy" else None
            return {} if request.row.reads else None

        world.answers = late
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(USER_PLAN)
        assert caught.value.seconds == pytest.approx(60, abs=0.002)
        assert len(world.waits) < 90

    def test_overtaken(self) -> None:
        """A call that other processes keep overtaking reports that."""
        world = made()
        world.script["DeleteRole"] = [refusal("DeleteConflict", "In use.")] * 99
        with pytest.raises(ApplyError) as caught:
            world.remove(timeout=5)
        assert caught.value.overtaken
        assert operations(caught.value.remaining) == ["DeleteRole"]


class TestLostReplies:
    """Requests whose replies are lost."""

    @pytest.mark.parametrize("operation", ["CreateRole", "AddRoleToInstanceProfile"])
    def test_done(self, operation: str) -> None:
        """A change that was carried out, so that the next diff lacks it, counts as applied."""
        world = World(script={operation: [Lost()]})
        result = world.ensure()
        assert sorted(operations(result.changes)) == sorted(CREATE)
        assert world.writes.count(operation) == 1
        (recovered,) = world.events(Recovered)
        assert (recovered.change.operation, recovered.reason) == (operation, "its reply was lost")

    @pytest.mark.parametrize("operation", ["CreateRole", "AddRoleToInstanceProfile"])
    def test_not_done(self, operation: str) -> None:
        """A change that was not carried out is sent again, after another observation."""
        world = World(script={operation: [Lost(done=False)]})
        result = world.ensure()
        assert sorted(operations(result.changes)) == sorted(CREATE)
        assert world.writes.count(operation) == 2
        assert (world.events(Recovered), world.is_as_desired()) == ([], True)

    def test_lost_again_and_again(self) -> None:
        """A request whose reply is lost each time is sent 16 times at most."""
        world = World(script={"CreateRole": [Lost(done=False)] * 20})
        with pytest.raises(ApplyError) as caught:
            world.ensure()
        assert (caught.value.operation, caught.value.attempts) == ("CreateRole", 16)
        assert world.writes.count("CreateRole") == 16

    @pytest.mark.parametrize("attempts", [1, 8])
    def test_attempts_that_are_left(self, attempts: int) -> None:
        """After a lost reply, a request is sent only as often as its 16 attempts allow."""
        lost = refusal(None, "Timeout", transient="failing", unacknowledged=True, attempts=attempts)
        left = refusal("Throttling", "Slow", transient="throttled", attempts=16 - attempts)
        world = World(script={"CreateRole": [lost, left]})
        with pytest.raises(ApplyError) as caught:
            world.ensure()
        limits = [
            each.attempts
            for each in world.effects
            if isinstance(each, Send) and each.requests[0].operation == "CreateRole"
        ]
        assert (limits, caught.value.attempts) == ([16, 16 - attempts], 16)

    def test_repeated_in_vain(self) -> None:
        """A repeatable request was retried already: it fails, and may have been applied."""
        world = World(script={"AttachRolePolicy": [Lost()]})
        with pytest.raises(ApplyError) as caught:
            world.ensure()
        assert (caught.value.doubtful, caught.value.attempts) == (True, 16)
        assert operations(caught.value.applied) == [*CREATE[:2], CREATE[3]]
        assert not world.later().ensure().changed

    def test_lost_then_refused(self) -> None:
        """After a lost reply, an entity with the name is the one that this call created."""
        world = World()
        behind = world.copy()
        world.script = {"CreateUser": [Lost()], "GetUser": [None, behind]}
        result = world.ensure(USER_PLAN)
        assert operations(result.changes) == ["CreateUser", "AttachUserPolicy"]
        assert world.writes == ["CreateUser", "CreateUser", "AttachUserPolicy"]


class TestFailures:
    """Refusals that are final."""

    def test_all_of_a_wave(self) -> None:
        """All refusals of a wave are reported, with the changes that the same wave applied."""
        desired = plan_agent_role(policies=[SERVER_POLICY, ADMIN_POLICY])
        world = World(script={"AttachRolePolicy": [DENIED, THROTTLED]})
        with pytest.raises(ApplyError) as caught:
            world.ensure(desired)
        error = caught.value
        assert [each.code for each in error.refusals] == ["AccessDenied", "Throttling"]
        assert operations(error.applied) == [*CREATE[:2], CREATE[3]]
        assert operations(error.remaining) == ["AttachRolePolicy"] * 2
        assert (error.attempts, world.waits) == (1, [])

    def test_final_first(self) -> None:
        """The error describes the final refusal, not one that could be retried."""
        world = World(
            script={"AttachRolePolicy": [no_such("role")], "AddRoleToInstanceProfile": [DENIED]}
        )
        with pytest.raises(ApplyError) as caught:
            world.ensure()
        assert [each.code for each in caught.value.refusals] == ["AccessDenied", "NoSuchEntity"]
        assert caught.value.operation == "AddRoleToInstanceProfile"
        assert world.waits == []

    def test_no_such_policy(self) -> None:
        """A policy that does not exist fails in one attempt, although the role is new."""
        words = "Policy arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy does not exist."
        world = World(script={"AttachRolePolicy": [refusal("NoSuchEntity", words)]})
        with pytest.raises(ApplyError) as caught:
            world.ensure()
        assert (caught.value.attempts, world.waits) == (1, [])

    def test_cause(self) -> None:
        """The error of the SDK is the cause."""
        error = ValueError("of the SDK")
        world = World(script={"CreateRole": [attrs.evolve(DENIED, error=error)]})
        with pytest.raises(ApplyError) as caught:
            world.ensure()
        assert caught.value.__cause__ is error

    @pytest.mark.parametrize(
        ("operation", "applied"),
        [("GetRole", []), ("CreateRole", []), ("AttachRolePolicy", CREATE)],
    )
    def test_credentials(self, operation: str, applied: list[str]) -> None:
        """Requests that were not sent raise `CredentialsError`, with what was applied."""
        world = World(script={operation: [UNSENT]})
        with pytest.raises(CredentialsError) as caught:
            world.ensure()
        error = caught.value
        assert (error.operation, error.step, error.code) == (
            operation,
            "AssumeRole",
            "AccessDenied",
        )
        done = {"GetRole": [], "CreateRole": [CREATE[1]]}.get(operation, [*CREATE[:2], CREATE[3]])
        assert operations(error.applied) == done
        assert bool(applied) == (len(done) > 1)

    def test_credentials_beside_refusals(self) -> None:
        """Credentials that fail for one request of a wave hide no refusal of the others."""
        desired = plan_agent_role(policies=[SERVER_POLICY, ADMIN_POLICY])
        world = World(script={"AttachRolePolicy": [UNSENT, DENIED]})
        with pytest.raises(CredentialsError) as caught:
            world.ensure(desired)
        assert [each.reason for each in caught.value.refusals] == [UNSENT.message, DENIED.message]

    def test_doubt_beside_refusals(self) -> None:
        """What may have been done beside the request that failed is named too."""
        desired = plan_agent_role(policies=[ADMIN_POLICY, SERVER_POLICY])
        world = World(script={"AttachRolePolicy": [DENIED, Lost()]})
        with pytest.raises(ApplyError) as caught:
            world.ensure(desired)
        doubtful = f"AttachRolePolicy (role {ROLE}: {SERVER_POLICY})"
        assert caught.value.__notes__ == [f"May have been applied: {doubtful}."]

    def test_call_within_a_call(self) -> None:
        """The error of another call, made in `on_event`, keeps what that call has applied."""
        with pytest.raises(ApplyError) as inner:
            World(script={"AttachUserPolicy": [DENIED]}).ensure(USER_PLAN)
        steps, world = reconcile(to_ensure(ROLE_PLAN)), World()
        drive_until(steps, world, is_applied)
        with pytest.raises(ApplyError) as caught:
            steps.throw(inner.value)
        assert operations(caught.value.applied) == [*CREATE[:2], "CreateUser"]

    def test_read_after_writes(self) -> None:
        """The error of a refused read after writes has what was applied."""
        world = World(script={"GetRole": [None, THROTTLED]})
        with pytest.raises(ObserveError) as caught:
            world.ensure()
        assert (caught.value.attempts, operations(caught.value.applied)) == (16, CREATE)


class TestInterrupts:
    """Interrupts, at every effect."""

    def test_every_effect(self) -> None:
        """An interrupt at any effect adds notes of what was applied, and ends the generator."""
        whole = World(script={"AttachRolePolicy": [BUSY]})
        whole.ensure()
        for place in range(len(whole.effects)):
            world = World(script={"AttachRolePolicy": [BUSY]})
            with pytest.raises(KeyboardInterrupt) as caught:
                world.ensure(stop_at=place)
            notes = "\n".join(getattr(caught.value, "__notes__", []))
            assert len(world.effects) in {place, place + 1}
            for thing in world.things.values():
                assert f"Create{thing['kind']}" in notes
            assert ("AddRole" in notes) == any(
                each["seen"]["Roles"] for each in world.things.values()
            )
            assert world.later().ensure() is not None
            assert world.is_as_desired()

    @pytest.mark.parametrize("sent", [0, 1, 2])
    def test_in_flight(self, sent: int) -> None:
        """An interrupted `Send` adds notes of acknowledged and of unacknowledged changes."""
        world = World(script={"CreateRole": [NO_REPLY]})
        with pytest.raises(KeyboardInterrupt) as caught:
            world.ensure(stop_at=4, sent=sent)
        notes = getattr(caught.value, "__notes__", [])
        doubt = f"May have been applied: CreateRole (role {ROLE})."
        done = f"Already applied: CreateInstanceProfile (instance-profile {ROLE})."
        assert notes == [[], [doubt], [done, doubt]][sent]

    def test_after_the_replies(self) -> None:
        """An interrupt between the replies and their record names all that was in flight."""
        steps, world = reconcile(to_ensure(USER_PLAN)), World()
        world.perform(drive_until(steps, world, lambda effect: is_sent(effect, "CreateUser")))
        with pytest.raises(KeyboardInterrupt) as caught:
            steps.throw(KeyboardInterrupt())
        assert caught.value.__notes__ == [f"May have been applied: CreateUser (user {USER})."]

    def test_error_within_a_pause(self) -> None:
        """The error of another call, made within a pause of the transport, has what was applied."""
        with pytest.raises(ApplyError) as inner:
            World(script={"AttachUserPolicy": [DENIED]}).ensure(USER_PLAN)
        steps, world = reconcile(to_ensure(USER_PLAN)), World()
        effect = drive_until(steps, world, lambda effect: is_sent(effect, "AttachUserPolicy"))
        assert isinstance(effect, Send)
        stop = Interrupted(effect.requests, world.perform(effect))
        stop.__cause__ = inner.value
        with pytest.raises(Interrupted):
            steps.throw(stop)
        assert operations(inner.value.applied) == ["CreateUser", "AttachUserPolicy", "CreateUser"]

    def test_error_of_a_caller(self) -> None:
        """Any other error that an effect raises passes through, with the same notes."""
        steps = reconcile(to_ensure(USER_PLAN))
        world = World()
        drive_until(steps, world, is_applied)
        with pytest.raises(ZeroDivisionError) as caught:
            steps.throw(ZeroDivisionError())
        assert caught.value.__notes__ == [f"Already applied: CreateUser (user {USER})."]

    def test_closed(self) -> None:
        """A generator that is closed ends, and yields nothing."""
        steps = reconcile(to_ensure(ROLE_PLAN))
        next(steps)
        steps.close()
        with pytest.raises(StopIteration):
            next(steps)


class TestOthers:
    """Rare cases."""

    def test_swap_is_not_undone(self) -> None:
        """A role that was added to a profile, but is not shown there, is not swapped again."""
        world = made(plan_agent_role("old", instance_profile=ROLE), BARE)
        behind = world.copy()
        world.script["GetInstanceProfile"] = [None, behind, behind, behind]
        result = world.ensure(existing="adopt")
        assert operations(result.changes) == [
            "RemoveRoleFromInstanceProfile",
            "AddRoleToInstanceProfile",
        ]
        assert world.writes == operations(result.changes)

    def test_half_built(self) -> None:
        """An entity without an ARN is read until it has one, even if no change is due."""
        world = made()
        behind = world.copy()
        behind[f"role {ROLE}".lower()]["seen"]["Arn"] = "AROAABCDEFGHIJKLMNOPQ"
        world.script["GetRole"] = [behind, None, behind]
        result = world.ensure()
        assert not result.changed
        role = result.state.find(Role, ROLE)
        assert role is not None
        assert role.arn == f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
        assert [len(some) for some in world.sends] == [3, 6, 6, 6]
        assert pauses(world) == [0.25, 0.25]

    def test_half_built_for_good(self) -> None:
        """An entity that still has no ARN after the timeout is named in the error."""
        world = made()
        world.things[f"role {ROLE}".lower()]["seen"]["Arn"] = "AROAABCDEFGHIJKLMNOPQ"
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(timeout=3)
        assert caught.value.unformed == (f"role {ROLE}",)

    def test_profile_alone(self) -> None:
        """A profile whose role is removed elsewhere keeps its own way."""
        world = made()
        profile = InstanceProfile(name=ROLE, role_name=ROLE, tags=ROLE_PLAN.entities[1].tags)
        assert operations(world.remove(type(ROLE_PLAN)((profile,))).changes) == [
            "RemoveRoleFromInstanceProfile",
            "DeleteInstanceProfile",
        ]


PURE = """
import sys
import attrs  # which needs threads for its own
blocked = dict.fromkeys(("boto3", "botocore", "tenacity", "random", "moto", "threading"))
threads = sys.modules["threading"]
sys.modules |= blocked
sys.path.insert(0, sys.argv[1])
import cwagent_iam.planners, cwagent_iam.differ, cwagent_iam.reconcile
from tests.core import World
world = World()
assert len(world.ensure().changes) == 4
assert len(world.later().remove().changes) == 4
assert world.things == {}
sys.modules["threading"] = threads  # which Python needs to end
"""


def test_no_sdk() -> None:
    """Planning, diffing and driving the core import no SDK, no `random` and no threads."""
    root = str(pathlib.Path(__file__).parent.parent)
    command = [sys.executable, "-c", PURE, root]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (run.returncode, run.stderr) == (0, "")


def test_another_drift_while_it_is_confirmed() -> None:
    """What another process takes away meanwhile is repaired, also if a host refuses it at first."""
    world = made(plan_agent_user())
    arn = SERVER_POLICY.arn("aws")
    detached = functools.partial(world.do, "DetachUserPolicy", UserName=USER, PolicyArn=arn)
    world.script["TagUser"] = [detached]
    world.script["AttachUserPolicy"] = [no_such("user", USER)]
    changes = world.ensure(plan_agent_user(tags={"Team": "x"})).changes
    assert operations(changes) == ["TagUser", "AttachUserPolicy"]
