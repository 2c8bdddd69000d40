"""Two programs on one identity: whatever one does in the middle of the other, it ends right."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

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
)
from cwagent_iam import remove as remove_it
from cwagent_iam.events import Applied, Recovered
from cwagent_iam.testing import laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import Event, Result, State
    from cwagent_iam.testing import LaggyIAM

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


@pytest.mark.parametrize("profile", ["off", "typical"])
@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize(("flow", "rival", "there"), RIVALS.values(), ids=RIVALS)
def test_whoever_comes_between_the_next_call_ends_right(
    flow: Callable[..., Result],
    rival: Callable[..., Result],
    desired: State,
    profile: str,
    *,
    there: bool,
) -> None:
    """Before any request of one, the other does its work: both end right or with a typed error."""
    for number in range(1, 12, 1 if profile == "off" else 3):
        with laggy_iam(profile, seed=number) as lagging:
            waiting: Any = {"propagation": lagging.propagation}
            if there:
                ensure(desired, iam=lagging.truth)
            other = lagging.client("rival")
            act = partial(attempt, rival, desired, iam=other, **waiting)
            lagging.before_request(number, act)
            ended = attempt(flow, desired, session=lagging.session, **waiting)
            if flow is rival:
                assert ended == ""
            lagging.settle()
            flow(desired, session=lagging.session, **waiting)
            left = observe(desired, iam=lagging.truth)
            assert left.entities == () if flow is remove_it else not diff(desired, left)
            assert len(names(lagging)) == (flow is ensure)


@pytest.mark.parametrize("profile", ["off", "typical", "adversarial"])
@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("later", [0, 1, 4])
def test_three_at_once_all_end_right(desired: State, profile: str, later: int) -> None:
    """Of three programs two begin within another, the third perhaps within the second."""
    for number in (1, 3, 5, 8):
        with laggy_iam(profile, seed=number) as lagging:
            ended: list[str] = []

            def act(name: str, lagging: LaggyIAM = lagging, ended: list[str] = ended) -> None:
                ended.append(attempt(ensure, desired, iam=lagging.client(name)))

            lagging.before_request(number, partial(act, "second"))
            lagging.before_request(number + later, partial(act, "third"))
            ended.append(attempt(ensure, desired, session=lagging.session))
            assert set(ended) == {""}
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
