"""The remover as a table: what is there, and what is taken away or stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, ConflictError
from cwagent_iam.changes import (
    DeleteInstanceProfile,
    DeleteRole,
    DeleteUser,
    DetachRolePolicy,
    DetachUserPolicy,
    RemoveRoleFromInstanceProfile,
)
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.remover import removal
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from cwagent_iam.changes import Change
    from cwagent_iam.state import Entity

OURS = (MANAGED_TAG,)
BOTH = frozenset({SERVER_POLICY, ADMIN_POLICY})
ROLE = Role(name="R", trust=EC2_TRUST, policies=frozenset({SERVER_POLICY}), tags=OURS)
PROFILE = InstanceProfile(name="R", role_name="R", tags=OURS)
USER = User(name="U", policies=frozenset({SERVER_POLICY}), tags=OURS)
REMOVALS: dict[str, tuple[State, list[Entity], list[Change]]] = {
    "nothing there: nothing, because it is gone already": (plan_agent_role("R"), [], []),
    "all there: memberships and attachments first": (
        plan_agent_role("R"),
        [attrs.evolve(ROLE, dependents=frozenset({"instance-profile R"})), PROFILE],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            RemoveRoleFromInstanceProfile(name="R", role_name="R"),
            DeleteRole(name="R"),
            DeleteInstanceProfile(name="R"),
        ],
    ),
    "several policies: detached in the order of their names": (
        plan_agent_user("U", policies=BOTH),
        [attrs.evolve(USER, policies=BOTH)],
        [
            DetachUserPolicy(name="U", policy=ADMIN_POLICY),
            DetachUserPolicy(name="U", policy=SERVER_POLICY),
            DeleteUser(name="U"),
        ],
    ),
    "a policy that intent names is not attached": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, policies=frozenset())],
        [DeleteRole(name="R")],
    ),
    "only an empty profile is left": (
        plan_agent_role("R"),
        [attrs.evolve(PROFILE, role_name=None)],
        [DeleteInstanceProfile(name="R")],
    ),
    "another path than intended: it is ours all the same": (
        plan_agent_user("U", path="/x/"),
        [attrs.evolve(USER, path="/y/", policies=frozenset())],
        [DeleteUser(name="U")],
    ),
}
CONFLICTS: dict[str, tuple[State, list[Entity], str]] = {
    "a role of somebody else": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, tags=())],
        "role R exists without the tag ManagedBy=cwagent-iam",
    ),
    "a profile of somebody else around our role": (
        plan_agent_role("R"),
        [ROLE, attrs.evolve(PROFILE, tags=())],
        "instance-profile R exists without the tag",
    ),
    "a foreign policy": (
        plan_agent_role("R"),
        [attrs.evolve(ROLE, policies=BOTH), PROFILE],
        "role R is still used: policy CloudWatchAgentAdminPolicy",
    ),
    "several foreign things, sorted": (
        plan_agent_user("U"),
        [attrs.evolve(USER, dependents=frozenset({"group G", "access key AKIA"}))],
        "user U is still used: access key AKIA, group G",
    ),
    "another role in our profile": (
        plan_agent_role("R"),
        [ROLE, attrs.evolve(PROFILE, role_name="other")],
        "instance-profile R is still used: role other",
    ),
    "our role in a profile that intent does not name": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, dependents=frozenset({"instance-profile R"}))],
        "role R is still used: instance-profile R",
    ),
    "a name in another letter case": (
        plan_agent_user("u"),
        [USER],
        "is still used: as U, in another letter case",
    ),
}


@pytest.mark.parametrize(("desired", "found", "changes"), REMOVALS.values(), ids=REMOVALS.keys())
def test_the_removal_is_what_the_table_says(
    desired: State, found: list[Entity], changes: list[Change]
) -> None:
    """Each row leads to exactly its changes, in their order."""
    assert removal(desired, State.of(found)).changes == tuple(changes)


@pytest.mark.parametrize(("desired", "found", "words"), CONFLICTS.values(), ids=CONFLICTS.keys())
def test_what_stands_in_the_way_is_named(desired: State, found: list[Entity], words: str) -> None:
    """Each row is refused, in words that name what stands in the way."""
    with pytest.raises(ConflictError, match=words):
        removal(desired, State.of(found))


def test_everything_that_stands_in_the_way_is_named_at_once() -> None:
    """One error lists the conflicts of all things."""
    found: list[Entity] = [attrs.evolve(ROLE, policies=BOTH), attrs.evolve(PROFILE, tags=())]
    with pytest.raises(ConflictError) as caught:
        removal(plan_agent_role("R"), State.of(found))
    targets = [conflict.target for conflict in caught.value.conflicts]
    assert targets == ["role R", "instance-profile R"]
