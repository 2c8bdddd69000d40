"""Laws of the loop under any schedule of stale reads, refusals, lost replies and rivals."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import event, given, settings, strategies as st

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, InlinePolicy
from cwagent_iam.errors import ConflictError, CwAgentIamError
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.requests import Reply, Wait
from tests.core import (
    BUSY,
    DENIED,
    ROLE,
    ROLE_PLAN,
    THROTTLED,
    USER_PLAN,
    Lost,
    World,
    made,
    no_such,
    operations,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.requests import Request
    from cwagent_iam.state import State
    from tests.core import Answer

ALLOW = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"},
}
RICH = plan_agent_role(
    policies=[SERVER_POLICY, ADMIN_POLICY],
    inline_policies=[InlinePolicy("Tags", ALLOW)],
    description="the agent",
    tags={"Team": "one"},
    permissions_boundary="arn:aws:iam::aws:policy/ReadOnlyAccess",
)
PLANS = (ROLE_PLAN, USER_PLAN, RICH, RICH | plan_agent_user(tags={"Team": "one"}))
LAG = 4.5
"""How long hosts may be behind, in seconds: less than the rounds of a conflict take."""
TIMEOUT = 60.0
KEY = f"role {ROLE}".lower()


@attrs.define
class Schedule:
    """How far behind each read is, and what happens to each write, in turn; then all is well.

    Attributes:
        world: The world that it is for.
        behind: For each read how many versions behind it is; -1 for a throttled one.
        fates: What happens to each write.
    """

    world: World
    behind: list[int]
    fates: list[str]

    def __call__(self, request: Request) -> Answer:
        """Return the answer to the next request."""
        if request.row.reads:
            return self._read(self.behind.pop(0) if self.behind else 0)
        fate = self.fates.pop(0) if self.fates else "well"
        if fate == "behind":
            return self._missed(request)
        return {**FATES, "rival": lambda: rival(self.world)}.get(fate)

    def _late(self) -> list[Any]:
        return [things for until, things in self.world.past if self.world.now - until < LAG]

    def _read(self, behind: int) -> Answer:
        late = self._late()
        if behind < 0:
            return THROTTLED
        return late[-min(behind, len(late))] if behind and late else None

    def _missed(self, request: Request) -> Answer:
        """Return the refusal of a host that does not know yet what *request* touches."""
        late = self._late()[-1:]
        role, profile = request.arguments.get("RoleName"), "InstanceProfileName"
        if request.operation.startswith("Create") or not late:
            return None
        if role and f"role {role}".lower() not in late[0]:
            return no_such("role", role)
        name = request.arguments.get(profile)
        return (
            no_such("profile", name)
            if name and f"instance-profile {name}".lower() not in late[0]
            else None
        )


FATES: dict[str, Any] = {
    "lost": Lost(),
    "lost before": Lost(done=False),
    "busy": BUSY,
    "throttled": THROTTLED,
    "denied": DENIED,
}


def rival(world: World) -> None:
    """Let another process ensure the role and the user, or, if both are there, remove one."""
    others = World(world.things, now=world.now)
    with contextlib.suppress(ConflictError):
        if not others.ensure(ROLE_PLAN | USER_PLAN).changed:
            others.remove(ROLE_PLAN)


def drifted(desired: State) -> World:
    """Return a world in which *desired* was ensured, and has drifted."""
    world = made(desired)
    for thing in world.things.values():
        thing["attached"], thing["inline"], thing["seen"]["Roles"] = {}, {}, []
    return world


reads = st.lists(st.integers(0, 4), max_size=60)
troubled_reads = st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3, -1]), max_size=60)
delays = st.lists(st.sampled_from(["well", "busy", "behind"]), max_size=20)
fates = st.lists(st.sampled_from(["well", "well", "behind", "rival", *FATES]), max_size=20)
plans = st.sampled_from(PLANS)
starts = st.sampled_from([lambda _: World(), made, drifted])
removals = st.booleans()


def check(world: World) -> None:
    """Check what holds of every call, however it ends."""
    acknowledged: list[Request] = []
    for request, outcome in world.log:
        if not request.row.reads:
            assert request not in acknowledged
            acknowledged += [request] * isinstance(outcome, Reply)
    outcomes = iter(world.log)
    waits: list[float] = []
    for effect in world.effects:
        if isinstance(effect, Wait):
            waits.append((effect.least + effect.most) / 2)
        for request in getattr(effect, "requests", ()):
            _, outcome = next(outcomes)
            if isinstance(outcome, Reply) and not request.row.reads:
                waits.clear()
        assert sum(waits) <= TIMEOUT + 1e-6


def acknowledged(world: World) -> list[str]:
    """Return the writes that were acknowledged."""
    return [
        request.operation
        for request, outcome in world.log
        if isinstance(outcome, Reply) and not request.row.reads
    ]


def call(world: World, desired: State, *, removes: bool) -> Any:
    """Ensure or remove *desired*."""
    return world.remove(desired) if removes else world.ensure(desired)


@settings(deadline=None)  # a schedule may be long, and the machine busy
@given(starts, plans, reads, delays, removals)
def test_delays(
    start: Callable[[State], World],
    desired: State,
    behind: list[int],
    fates: list[str],
    removes: bool,  # noqa: FBT001
) -> None:
    """Whatever reads are behind, and writes refused for a while, a call ends in its goal."""
    world = start(desired)
    world.answers = Schedule(world, behind, fates)
    result = call(world, desired, removes=removes)
    check(world)
    assert sorted(operations(result.changes)) == sorted(acknowledged(world))
    assert not world.things if removes else world.is_as_desired(desired)
    assert result.state == world.seen(desired)


@settings(deadline=None)  # a schedule may be long, and the machine busy
@given(starts, plans, troubled_reads, fates, removals)
def test_any_trouble(
    start: Callable[[State], World],
    desired: State,
    behind: list[int],
    fates: list[str],
    removes: bool,  # noqa: FBT001
) -> None:
    """A call ends in its goal or in a typed error with what was applied; the next converges."""
    world = start(desired)
    world.answers = Schedule(world, behind, fates)
    try:
        result = call(world, desired, removes=removes)
    except CwAgentIamError as error:
        event(type(error).__name__)
        applied = operations(error.applied)
    else:
        event("result")
        applied = operations(result.changes)
    check(world)
    missing = [each for each in acknowledged(world) if each not in applied]
    assert missing == []
    later = world.later()
    call(later, desired, removes=removes)
    again = later.later()
    assert not call(again, desired, removes=removes).changed
    assert again.writes == []
    assert removes or again.is_as_desired(desired)


@settings(deadline=None)  # a schedule may be long, and the machine busy
@given(st.sampled_from([0.5, 3.0, 60.0, 110.0]), reads)
def test_unmanaged_role_that_is_as_desired(age: float, behind: list[int]) -> None:
    """A role that another process has just created as desired is never refused or written to."""
    world = World()
    world.ensure(ROLE_PLAN)
    for thing in world.things.values():
        thing["seen"]["Tags"] = []
    things = world.copy()
    things[KEY]["attached"] = {}
    world = World(world.things, now=world.now + age, past=[(world.now + age, things)])
    world.answers = Schedule(world, behind, [])
    assert not world.ensure(ROLE_PLAN).changed
    assert world.writes == []


@settings(deadline=None)  # a schedule may be long, and the machine busy
@given(reads, delays, st.integers(0, 200), st.integers(0, 3), removals)
def test_interrupts(
    behind: list[int],
    fates: list[str],
    place: int,
    sent: int,
    removes: bool,  # noqa: FBT001
) -> None:
    """After an interrupt anywhere, the notes name what was applied; the next call converges."""
    world = made(USER_PLAN) if removes else World()
    world.answers = Schedule(world, behind, fates)
    try:
        call_until(world, place, sent, removes=removes)
    except KeyboardInterrupt as stop:
        notes = " ".join(getattr(stop, "__notes__", []))
        assert all(each in notes for each in acknowledged(world))
    call(world.later(), USER_PLAN, removes=removes)
    assert not world.things if removes else world.is_as_desired(USER_PLAN)


def call_until(world: World, place: int, sent: int, *, removes: bool) -> None:
    """Ensure or remove the user, until the effect at *place*."""
    if removes:
        world.remove(USER_PLAN, stop_at=place, sent=sent)
    else:
        world.ensure(USER_PLAN, stop_at=place, sent=sent)
