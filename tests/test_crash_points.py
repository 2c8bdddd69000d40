"""Killed at any request, the next run ends right; the docs have the table of what was tried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import Result, State, diff, ensure, observe, plan_agent_role, plan_agent_user
from cwagent_iam import remove as remove_it
from cwagent_iam.testing import Crash, Fault, laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.testing import LaggyIAM

EXPLANATION = Path(__file__).parent.parent / "docs" / "explanation.md"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
OPEN = (
    '{"Version":"2012-10-17",'
    '"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}'
)
ROLE = plan_agent_role(description="agent", tags={"Team": "x"})
USER = plan_agent_user(tags={"Team": "x"})


def nothing(_lagging: LaggyIAM) -> None:
    """Begin with an empty account."""


def role(lagging: LaggyIAM) -> None:
    """Begin with the role as desired."""
    ensure(ROLE, iam=lagging.truth)


def user(lagging: LaggyIAM) -> None:
    """Begin with the user as desired."""
    ensure(USER, iam=lagging.truth)


def broken_role(lagging: LaggyIAM) -> None:
    """Begin with a role of which everything that can be mended is broken."""
    role(lagging)
    truth, name = lagging.truth, ROLE.entities[0].name
    truth.detach_role_policy(RoleName=name, PolicyArn=SERVER)
    truth.update_assume_role_policy(RoleName=name, PolicyDocument=OPEN)
    truth.update_role(RoleName=name, Description="other", MaxSessionDuration=3600)
    truth.untag_role(RoleName=name, TagKeys=["Team"])
    truth.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)


def broken_user(lagging: LaggyIAM) -> None:
    """Begin with a user that lacks its policy and a tag."""
    user(lagging)
    truth, name = lagging.truth, USER.entities[0].name
    truth.detach_user_policy(UserName=name, PolicyArn=SERVER)
    truth.untag_user(UserName=name, TagKeys=["Team"])


# Each flow: what is there before, what is called, with which desired state.
FLOWS: dict[str, tuple[Callable[[LaggyIAM], None], Callable[..., Result], State]] = {
    "create a role with its profile": (nothing, ensure, ROLE),
    "create a user": (nothing, ensure, USER),
    "mend a role": (broken_role, ensure, ROLE),
    "mend a user": (broken_user, ensure, USER),
    "remove a role with its profile": (role, remove_it, ROLE),
    "remove a user": (user, remove_it, USER),
}


def is_right(lagging: LaggyIAM, flow: Callable[..., Result], desired: State) -> bool:
    """Tell whether the truth is what *flow* was to bring about."""
    left = observe(desired, iam=lagging.truth)
    return left.entities == () if flow is remove_it else not diff(desired, left)


def killed(profile: str, name: str, number: int, when: Any) -> bool | None:
    """Kill a flow at its request *number*, run it again; tell whether it is right then.

    `None` if it had ended before.
    """
    prepare, flow, desired = FLOWS[name]
    with laggy_iam(profile, seed=number) as lagging:
        prepare(lagging)
        lagging.fail(Fault("crash", when=when, nth=number))
        try:
            flow(desired, session=lagging.session)
        except Crash:
            flow(desired, session=lagging.session)
            return is_right(lagging, flow, desired)
        return None


def outcomes(profile: str, name: str, *moments: str, step: int = 1) -> list[bool]:
    """Kill a flow at these *moments* of its requests; list whether it was right then."""
    found: list[bool] = []
    number = 1
    while None not in (row := [killed(profile, name, number, when) for when in moments]):
        found += [each is True for each in row]
        number += step
    return found


@pytest.mark.parametrize("name", FLOWS)
def test_each_crash_point_converges(name: str) -> None:
    """Killed before or after any request, another run does the rest; so says the docs' table."""
    found = outcomes("off", name, "before", "after")
    assert all(found)
    row = f"| {name} | {len(found)} | {sum(found)} |"
    assert row in EXPLANATION.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FLOWS)
def test_each_crash_point_converges_with_lag(name: str) -> None:
    """It does so too, at every third, where IAM lags and each first reply to a write is lost."""
    found = outcomes("adversarial", name, "after", step=3)
    assert all(found)
    assert len(found) > 2
