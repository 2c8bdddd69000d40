"""Law 6: under any schedule of lag, faults and crashes, all is right in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import diff, ensure, observe, plan_agent_role, plan_agent_user, remove
from cwagent_iam.testing import laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import Result, State
    from cwagent_iam.testing import LaggyIAM

SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"


def is_right(lagging: LaggyIAM, desired: State) -> bool:
    """Tell whether the truth is as desired."""
    return not diff(desired, observe(desired, iam=lagging.truth))


PLANS = {"role": plan_agent_role(tags={"Team": "x"}), "user": plan_agent_user()}


@pytest.mark.parametrize("desired", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("profile", ["typical", "bad_day", "adversarial"])
def test_law_6_all_is_right_afterwards(profile: str, desired: State) -> None:
    """Created, mended and removed under any schedule, the truth is as it should be each time."""
    for seed in range(17):
        with laggy_iam(profile, seed=seed) as lagging:
            options: Any = {"session": lagging.session, "propagation": lagging.propagation}
            until_done(ensure, desired, **options)
            assert is_right(lagging, desired)
            lagging.settle()
            assert not ensure(desired, **options | {"session": None, "iam": lagging.truth}).changed
            break_something(lagging, desired)
            until_done(ensure, desired, **options)
            assert is_right(lagging, desired)
            until_done(remove, desired, **options)
            assert not observe(desired, iam=lagging.truth).entities


def until_done(flow: Callable[..., Result], desired: State, **options: Any) -> None:
    """Call, and after a typed error once more: the next call ends right."""
    try:
        flow(desired, **options)
    except Exception as error:  # noqa: BLE001 - which are allowed is checked here
        assert type(error).__module__ == "cwagent_iam.errors", error  # noqa: PT017
        flow(desired, **options)


def break_something(lagging: LaggyIAM, desired: State) -> None:
    """Take the policy away behind the library's back."""
    (thing, *_) = desired.entities
    kind = thing.kind.capitalize()
    detach = getattr(lagging.truth, f"detach_{thing.kind}_policy")
    detach(**{f"{kind}Name": thing.name, "PolicyArn": SERVER})
