"""Two programs on one identity: whatever one does in the middle of the other, it ends right."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from cwagent_iam import (
    CwAgentIamError,
    PropagationTimeoutError,
    diff,
    ensure,
    ensure_agent_role,
    observe,
    plan_agent_role,
    plan_agent_user,
    remove as remove_it,
)
from cwagent_iam.events import Applied, Recovered
from cwagent_iam.testing import laggy_iam
from tests.core import World, made
from tests.core_lag import LAGS, Replicas
from tests.test_crash_points import truth_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import Event, Result, State

PLANS = {"role": plan_agent_role(parameters=["web"]), "user": plan_agent_user()}
# What one program does, what the other does in its middle, and whether all is there at first.
RIVALS = {
    "ensure meets ensure": (ensure, ensure, False),
    "ensure meets remove": (ensure, remove_it, False),
    "ensure of what is there meets remove": (ensure, remove_it, True),
    "remove meets ensure": (remove_it, ensure, True),
    "remove meets remove": (remove_it, remove_it, True),
}


def attempt(flow: Callable[..., Result], desired: State | str, **options: Any) -> str:
    """Call, and return the name of the error that it ended with, if any, of this library."""
    try:
        flow(desired, **options)
    except CwAgentIamError as error:
        return type(error).__name__
    return ""


def names(world: World) -> list[str]:
    """Return the roles and users."""
    return [each for each in world.things if not each.startswith("instance-profile")]


@attrs.frozen
class Rivalry:
    """One program, and another that does its work in the middle of it.

    Attributes:
        begin: Returns an IAM with what is there at first.
        desired: What both are about.
        flow: What the first does.
        rival: What the other does.
        ends: What IAM held after another call of the first, by what it held before.
    """

    begin: Callable[[], Replicas]
    desired: State
    flow: Callable[..., Result]
    rival: Callable[..., Result]
    ends: dict[str, str] = attrs.field(factory=dict)

    def alone(self) -> Replicas:
        """Let the first do its work undisturbed; return the IAM."""
        world = self.begin()
        self.flow(self.desired, iam=world, propagation=world.propagation())
        self.ends[truth_in(world)] = truth_in(world)
        return world

    def disturbed(self, number: int) -> str:
        """Let the other do all its work before request *number*; return the first one's error."""
        world = self.begin()
        waiting: Any = {"iam": world, "propagation": world.propagation(16.0)}
        world.rivals = [(number, partial(attempt, self.rival, self.desired, **waiting))]
        ended = attempt(self.flow, self.desired, **waiting)
        world.settle()
        if (left := truth_in(world)) not in self.ends:
            self.flow(self.desired, iam=world, propagation=world.propagation())
            self.ends[left] = truth_in(world)
        return ended


@pytest.mark.parametrize("profile", ["off", "typical"])
@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize(("flow", "rival", "there"), RIVALS.values(), ids=RIVALS)
def test_whoever_comes_between_the_next_call_converges(
    flow: Callable[..., Result],
    rival: Callable[..., Result],
    desired: State,
    profile: str,
    *,
    there: bool,
) -> None:
    """Before any request of one, the other does its work: both end right or with a typed error."""

    def begin() -> Replicas:
        world = made(desired) if there else World()
        return Replicas(world.things, now=world.now, lag=LAGS[profile], seed=1)

    rivalry = Rivalry(begin, desired, flow, rival)
    world = rivalry.alone()
    assert world.things == {} if flow is remove_it else world.is_as_desired(desired)
    assert len(names(world)) == (flow is ensure)
    numbers = range(1, len(world.trace) + 1, 1 if profile == "off" else 3)
    errors = {rivalry.disturbed(number) for number in numbers}
    assert flow is not rival or errors == {""}
    assert len(set(rivalry.ends.values())) == 1


@pytest.mark.parametrize("profile", LAGS)
@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize(("number", "later"), [(1, 0), (5, 1), (3, 4), (8, 4)])
def test_three_at_once_all_converge(number: int, later: int, desired: State, profile: str) -> None:
    """Of three programs two begin within another, the third perhaps within the second."""
    world = Replicas(lag=LAGS[profile], seed=number)
    ended: list[str] = []

    def act() -> None:
        ended.append(attempt(ensure, desired, iam=world, propagation=world.propagation(240.0)))

    world.rivals = [(number, act), (number + later, act)]
    act()
    assert ended == [""] * 3
    assert world.is_as_desired(desired)
    assert len(names(world)) == 1


@pytest.mark.parametrize("rival", [ensure, remove_it])
def test_rival_with_another_client(rival: Callable[..., Result]) -> None:
    """Two clients that collide in IAM: both calls end, and the next call converges."""
    desired = PLANS["role"]
    with laggy_iam("adversarial", seed=1) as lagging:
        act = partial(attempt, rival, desired, iam=lagging.client("second"))
        lagging.before_request(9, act)
        ended = attempt(ensure, desired, iam=lagging.client("first"))
        assert rival is remove_it or not ended
        lagging.settle()
        ensure(desired, session=lagging.session)
        assert not diff(desired, observe(desired, iam=lagging.truth))


def adding(act: Callable[[], Result], rivals: list[Result]) -> Callable[[Event], None]:
    """Let a rival act once, right after a role was put into a profile."""

    def meddle(event: Event) -> None:
        done = isinstance(event, Applied | Recovered) and event.change.operation
        if done == "AddRoleToInstanceProfile" and not rivals:
            rivals.append(act())

    return meddle


@pytest.mark.parametrize(("profile", "seeds"), [("off", 1), ("typical", 10)])
def test_two_that_swap_one_profile_never_leave_it_empty(profile: str, seeds: int) -> None:
    """The second has its role in it; the first, if it ever looks there, is told so."""
    swap = partial(ensure_agent_role, instance_profile="Web", existing="adopt")
    told: set[str] = set()
    for seed in range(seeds):
        start = made(plan_agent_role("Old", instance_profile="Web"))
        world = Replicas(start.things, now=start.now, lag=LAGS[profile], seed=seed)
        options: Any = {"iam": world, "propagation": world.propagation()}
        rivals: list[Result] = []
        meddle = adding(partial(swap, "Second", **options), rivals)
        told.add(attempt(swap, "First", **options, on_event=meddle))
        assert rivals
        inside = world.things["instance-profile web"]["seen"]
        assert inside["Roles"] == [{"RoleName": "Second"}]
        world.settle()
        assert swap("First", **options).changed
        assert inside["Roles"] == [{"RoleName": "First"}]
    assert told <= {"", "PropagationTimeoutError"}
    assert "PropagationTimeoutError" in told or profile == "typical"


def test_overtaken_in_one_profile() -> None:
    """Where the profile holds the role of the second at last, the first is told so."""
    swap = partial(ensure_agent_role, instance_profile="Web", existing="adopt")
    with laggy_iam("off") as lagging:
        ensure_agent_role("Old", instance_profile="Web", iam=lagging.truth)
        rivals: list[Result] = []
        meddle = adding(partial(swap, "Second", iam=lagging.client("rival")), rivals)
        with pytest.raises(PropagationTimeoutError, match="AddRoleToInstanceProfile"):
            swap("First", session=lagging.session, on_event=meddle)
        found = lagging.truth.get_instance_profile(InstanceProfileName="Web")["InstanceProfile"]
        assert [role["RoleName"] for role in found["Roles"]] == ["Second"]
