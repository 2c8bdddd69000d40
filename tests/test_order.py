"""In which order changes come, and which of them may be made at once."""

from __future__ import annotations

import attrs
import pytest

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    CrossAccount,
    diff,
    plan_agent_role,
    plan_agent_user,
)
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST, SSMHybrid

HERE, ELSEWHERE = "123456789012", "210987654321"
OURS = (MANAGED_TAG,)
READ_ONLY = ManagedPolicy("ReadOnlyAccess")
SERVER = frozenset({SERVER_POLICY})
ROLE = Role(name="R", path="/", trust=EC2_TRUST, policies=SERVER, tags=OURS)


def groups(
    desired: State, *found: Role | User | InstanceProfile, **choices: str
) -> list[list[str]]:
    """Return the operations of each wave, with what they are done to."""
    changes = diff(desired, State.of(found), **choices)  # type: ignore[arg-type] # as written here
    assert [each for wave in changes.waves for each in wave] == list(changes)
    return [[f"{each.operation} {each.name}" for each in wave] for wave in changes.waves]


def test_a_boundary_comes_before_all_that_it_limits() -> None:
    """Before anybody is let in and anything attached; and in a wave of its own."""
    bare = attrs.evolve(ROLE, trust=SSMHybrid(HERE).document(), policies=frozenset())
    desired = plan_agent_role("R", permissions_boundary=READ_ONLY, instance_profile=False)
    assert groups(desired, bare) == [
        ["PutRolePermissionsBoundary R"],
        ["UpdateAssumeRolePolicy R", "AttachRolePolicy R"],
    ]


def test_a_boundary_is_cleared_after_all_that_it_may_have_limited() -> None:
    """Detached is first what only the boundary kept within bounds."""
    user = User(
        name="U",
        path="/",
        policies=SERVER | {ADMIN_POLICY},
        permissions_boundary=READ_ONLY,
        tags=OURS,
    )
    desired = plan_agent_user("U", permissions_boundary="")
    assert groups(desired, user, attachments="exclusive") == [
        ["DetachUserPolicy U"],
        ["DeleteUserPermissionsBoundary U"],
    ]


def test_boundaries_of_several_do_not_wait_for_each_other() -> None:
    """Only what is done to one and the same thing does."""
    desired = plan_agent_user("A", permissions_boundary=READ_ONLY) | plan_agent_user(
        "B", permissions_boundary=READ_ONLY
    )
    found = [User(name=name, path="/", policies=SERVER, tags=OURS) for name in "AB"]
    assert groups(desired, *found) == [
        ["PutUserPermissionsBoundary A", "PutUserPermissionsBoundary B"]
    ]


def test_at_most_one_profile_is_empty_while_several_change_hands() -> None:
    """Each gets its new role before the next loses its old one, so that one denial empties one."""
    names = ("A", "B", "C")
    desired = State.joined(plan_agent_role(name) for name in names)
    found = [
        InstanceProfile(name=name, path="/", role_name="Old", tags=OURS, arn=f"arn:{name}")
        for name in names
    ]
    changes = diff(desired, State.of(found), existing="adopt")
    for count in range(len(changes) + 1):
        state = changes.after(count)
        held = [state.find(InstanceProfile, name) for name in names]
        assert sum(each is not None and each.role_name is None for each in held) <= 1
    waves = [[each.operation for each in wave] for wave in changes.waves]
    assert waves[-4:] == [
        ["RemoveRoleFromInstanceProfile"],
        ["AddRoleToInstanceProfile"],
        ["RemoveRoleFromInstanceProfile"],
        ["AddRoleToInstanceProfile"],
    ]


def trusting(name: str, account: str, role: str) -> State:
    """Plan a role that trusts another one by its ARN."""
    trust = CrossAccount([f"arn:aws:iam::{account}:role/{role}"])
    return plan_agent_role(name, trust=trust)


KNOWN = User(name="U", path="/", policies=SERVER, tags=OURS, arn=f"arn:aws:iam::{HERE}:user/U")


@pytest.mark.parametrize(
    "trust",
    [
        CrossAccount([f"arn:aws:iam::{HERE}:role/a/B"]),
        CrossAccount([f"arn:aws:sts::{HERE}:assumed-role/B/session"]),
    ],
    ids=["role", "session"],
)
def test_a_role_is_made_after_the_new_role_that_it_trusts(trust: CrossAccount) -> None:
    """And after that of whose session, in a wave of its own."""
    desired = plan_agent_role("A", trust=trust) | plan_agent_role("B", instance_profile=False)
    assert groups(desired)[:2] == [["CreateRole B"], ["CreateRole A"]]


def test_a_namesake_in_another_account_is_not_waited_for() -> None:
    """Where it is known which account this is; names are often the same in all of them."""
    desired = trusting("A", ELSEWHERE, "B") | trusting("B", HERE, "A") | plan_agent_user("U")
    first, second = groups(desired, KNOWN)[:2]
    assert first == ["CreateRole A"]
    assert "CreateRole B" in second


def test_roles_are_made_in_the_same_order_in_every_process() -> None:
    """By the names of whom they trust, whatever the order of sets."""
    trust = CrossAccount([f"arn:aws:iam::{HERE}:role/{name}" for name in "DBC"])
    others = [plan_agent_role(name, instance_profile=False) for name in "CDB"]
    changes = diff(State.joined([plan_agent_role("A", trust=trust), *others]), State())
    assert [each.name for each in changes if each.creates] == ["B", "C", "D", "A"]
