"""Two programs on one identity: whatever one does in the middle of the other, it ends right."""

from __future__ import annotations

import itertools
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
from tests.scenes import Scene, truth_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import Event, Result, State
    from cwagent_iam.testing import LaggyIAM
    from cwagent_iam.testing.lagging.wire import Trace

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


def names(lagging: LaggyIAM) -> list[str]:
    """Return the names of all roles and users."""
    truth = lagging.truth
    roles = [role["RoleName"] for role in truth.list_roles()["Roles"]]
    return roles + [user["UserName"] for user in truth.list_users()["Users"]]


def places(trace: Trace) -> list[int]:
    """Return before which requests of *trace* another program may make a difference.

    Before each write; and of reads that are sent at the same time, before the first and in the
    middle, so that some show what was before and some what was after.
    """
    found: list[int] = []
    for _, batch in itertools.groupby(trace, key=lambda each: each.time):
        numbers = [(each.number, each.reads) for each in batch]
        middle = numbers[len(numbers) // 2][0]
        found += [
            number
            for place, (number, reads) in enumerate(numbers)
            if not reads or place == 0 or number == middle
        ]
    return found


@attrs.define
class Rivalry:
    """One program, and another that does its work in the middle of it.

    Attributes:
        scene: What is there at first.
        desired: What both are about.
        flow: What the first does.
        rival: What the other does.
        first: The client of the first.
        second: The client of the other.
        timeout: How long both wait, in seconds; what the other has removed is never shown.
        ends: What IAM held after another call of the first, by what it held before.
    """

    scene: Scene
    desired: State
    flow: Callable[..., Result]
    rival: Callable[..., Result]
    first: Any
    second: Any
    timeout: float
    ends: dict[str, str] = attrs.field(factory=dict)

    def alone(self, lagging: LaggyIAM) -> list[int]:
        """Let the first do its work undisturbed; return where the other may come between."""
        self.flow(self.desired, iam=self.first)
        self.ends[truth_in(lagging)] = truth_in(lagging)
        return places(lagging.trace)

    def disturbed(self, number: int) -> str:
        """Let the other do all its work before request *number*; return the first one's error."""
        lagging = self.scene.restored()
        waiting: Any = {"propagation": attrs.evolve(lagging.propagation, timeout=self.timeout)}
        act = partial(attempt, self.rival, self.desired, iam=self.second, **waiting)
        lagging.before_request(number, act)
        ended = attempt(self.flow, self.desired, iam=self.first, **waiting)
        lagging.settle()
        if (left := truth_in(lagging)) not in self.ends:
            self.flow(self.desired, iam=self.first)
            self.ends[left] = truth_in(lagging)
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
    with laggy_iam(profile, seed=1) as lagging:
        if there:
            ensure(desired, iam=lagging.truth)
        first, second = lagging.client("first"), lagging.client("second")
        timeout, step = (2.0, 1) if profile == "off" else (16.0, 5)
        rivalry = Rivalry(Scene.of(lagging), desired, flow, rival, first, second, timeout)
        numbers = rivalry.alone(lagging)
        left = observe(desired, iam=lagging.truth)
        assert left.entities == () if flow is remove_it else not diff(desired, left)
        assert len(names(lagging)) == (flow is ensure)
        errors = {rivalry.disturbed(number) for number in numbers[::step]}
        assert flow is not rival or errors == {""}
        assert len(set(rivalry.ends.values())) == 1


@pytest.mark.parametrize("profile", ["off", "typical", "adversarial"])
@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize(("number", "later"), [(1, 0), (5, 1), (3, 4), (8, 4)])
def test_three_at_once_all_converge(number: int, later: int, desired: State, profile: str) -> None:
    """Of three programs two begin within another, the third perhaps within the second."""
    with laggy_iam(profile, seed=number) as lagging:
        ended: list[str] = []

        def act(name: str) -> None:
            ended.append(attempt(ensure, desired, iam=lagging.client(name)))

        lagging.before_request(number, partial(act, "second"))
        lagging.before_request(number + later, partial(act, "third"))
        ended.append(attempt(ensure, desired, session=lagging.session))
        assert ended == [""] * 3
        assert not diff(desired, observe(desired, iam=lagging.truth))
        assert len(names(lagging)) == 1


def inside(lagging: LaggyIAM) -> list[str]:
    """Return the names of the roles in the profile."""
    found = lagging.truth.get_instance_profile(InstanceProfileName="Web")["InstanceProfile"]
    return [role["RoleName"] for role in found["Roles"]]


@pytest.mark.parametrize(("profile", "seed"), [("off", 0), *(("typical", n) for n in range(4))])
def test_two_that_swap_one_profile_never_leave_it_empty(profile: str, seed: int) -> None:
    """The second has its role in it; the first, if it ever looks there, is told so."""
    swap = partial(ensure_agent_role, instance_profile="Web", existing="adopt")
    with laggy_iam(profile, seed=seed) as lagging:
        ensure_agent_role("Old", instance_profile="Web", iam=lagging.truth)
        lagging.settle()
        rivals: list[Result] = []

        def meddle(event: Event) -> None:
            done = isinstance(event, Applied | Recovered) and event.change.operation
            if done == "AddRoleToInstanceProfile" and not rivals:
                rivals.append(swap("Second", iam=lagging.client("rival")))

        if profile == "off":
            with pytest.raises(PropagationTimeoutError, match="AddRoleToInstanceProfile"):
                swap("First", session=lagging.session, on_event=meddle)
        else:
            ended = attempt(swap, "First", session=lagging.session, on_event=meddle)
            assert ended in {"", "PropagationTimeoutError"}
        assert rivals
        assert inside(lagging) == ["Second"]
        lagging.settle()
        assert swap("First", session=lagging.session).changed
        assert inside(lagging) == ["First"]
