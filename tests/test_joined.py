"""Several desired states as one: `|`, `State.joined`, and the findings of the whole."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, strategies as st

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, ChangeSet, Document, IntentError, State
from cwagent_iam.planners import (
    plan_admin_role,
    plan_admin_user,
    plan_agent_role,
    plan_agent_user,
    plan_ecs_execution_role,
)
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, User
from cwagent_iam.trust import SSMHybrid

if TYPE_CHECKING:
    from collections.abc import Callable

ROLE, USER = plan_agent_role(), plan_agent_user()
ADMIN = plan_admin_role()
SERVER_ROLE = "CloudWatchAgentServerRole"


def test_two_plans_are_joined_into_one() -> None:
    """It holds what each of them holds, in the one order of states."""
    whole = ROLE | USER | ADMIN
    assert [entity.target for entity in whole.entities] == [
        "role CloudWatchAgentAdminRole",
        f"role {SERVER_ROLE}",
        "user CloudWatchAgentServerUser",
        "instance-profile CloudWatchAgentAdminRole",
        f"instance-profile {SERVER_ROLE}",
    ]
    assert set(whole.entities) == {*ROLE.entities, *USER.entities, *ADMIN.entities}
    assert State() | ROLE == ROLE | State() == ROLE | ROLE == ROLE


def test_a_role_and_a_user_may_have_one_name() -> None:
    """Names are unique for each kind."""
    whole = plan_agent_role("Agent") | plan_agent_user("Agent")
    assert len(whole.entities) == 3


names = st.sampled_from(["Agent", "Admin", "Ecs"])
# Whatever is drawn of these, one name always comes with one intent.
plans = st.one_of(
    names.map(plan_agent_role),
    names.map(lambda name: plan_agent_user(f"User{name}", path="/team/")),
    names.map(lambda name: plan_admin_user(f"Writer{name}")),
    names.map(lambda name: plan_ecs_execution_role(f"Tasks{name}")),
    st.just(State()),
)


@given(plans, plans, plans)
def test_in_whatever_order_plans_are_joined_they_are_one(
    one: State, two: State, six: State
) -> None:
    """Joining commutes, associates, changes nothing the second time, and keeps the hash."""
    whole = one | two | six
    assert one | (two | six) == whole
    assert six | two | one == whole
    assert whole | whole == whole | two == whole
    assert hash(six | one | two) == hash(whole)
    assert State.joined([one, two, six]) == whole
    assert {each for state in (one, two, six) for each in state.entities} == set(whole.entities)


CLASHES: dict[str, tuple[State, State, dict[str, str]]] = {
    "trust": (
        plan_agent_role(instance_profile=False),
        plan_agent_role(trust=SSMHybrid("123456789012")),
        {f"role {SERVER_ROLE}": "trust"},
    ),
    "policies": (
        USER,
        plan_agent_user(policies=(ADMIN_POLICY,)),
        {"user CloudWatchAgentServerUser": "policies"},
    ),
    "what is not named": (
        plan_agent_role(instance_profile=False),
        plan_agent_role(instance_profile=False, description="", permissions_boundary=SERVER_POLICY),
        {f"role {SERVER_ROLE}": "description, permissions_boundary"},
    ),
    "a parameter": (
        plan_agent_user(parameters=["a"]),
        plan_agent_user(parameters=["b"]),
        {"user CloudWatchAgentServerUser": "inline_policies"},
    ),
    "role and profile": (
        ROLE,
        plan_agent_role(tags={"Team": "x"}),
        {f"role {SERVER_ROLE}": "tags", f"instance-profile {SERVER_ROLE}": "tags"},
    ),
    "two roles in one profile": (
        plan_agent_role("A", instance_profile="P"),
        plan_agent_role("B", instance_profile="P"),
        {"instance-profile P": "role_name"},
    ),
    "letter case": (
        plan_agent_user("Agent"),
        plan_agent_user("AGENT"),
        {"user AGENT": "name"},
    ),
}


@pytest.mark.parametrize(("one", "other", "expected"), CLASHES.values(), ids=CLASHES)
def test_one_name_with_two_intents_is_refused(
    one: State, other: State, expected: dict[str, str]
) -> None:
    """Each thing is told with the fields in which the plans differ, whoever comes first."""
    with pytest.raises(IntentError) as refusal:
        _ = one | other
    assert {problem.value: problem.rule for problem in refusal.value.problems} == {
        target: f"must not be named twice with different intent ({fields})"
        for target, fields in expected.items()
    }
    assert {problem.argument for problem in refusal.value.problems} == {"desired"}
    with pytest.raises(IntentError):
        _ = other | one
    with pytest.raises(IntentError, match="must not be named twice"):
        State.joined((USER if one is not USER else ROLE, one, other))


def test_what_only_the_server_knows_is_no_intent() -> None:
    """An ARN that one of the two has makes no difference."""
    (user,) = USER.entities
    seen = State((attrs.evolve(user, arn="arn:aws:iam::123456789012:user/x"),))
    assert USER | seen == USER


SEVERAL: dict[str, Callable[[State, State], Any]] = {
    "tuple": lambda one, other: (one, other),
    "list": lambda one, other: [one, other],
    "set": lambda one, other: {one, other},
    "generator": lambda one, other: (each for each in (one, other)),
    "values of a mapping": lambda one, other: {"a": one, "b": other}.values(),
    "the same twice": lambda one, other: [one, other, one],
    "one, joined before": lambda one, other: one | other,
}


@pytest.mark.parametrize("several", SEVERAL.values(), ids=SEVERAL)
def test_several_states_are_one(several: Callable[[State, State], Any]) -> None:
    """In any collection, or one alone."""
    assert State.joined(several(ROLE, USER)) == ROLE | USER


def test_one_state_is_itself() -> None:
    """Alone or in a list; no states are an empty one."""
    assert State.joined(ROLE) == State.joined([ROLE]) == ROLE
    assert State.joined([]) == State.joined(State()) == State()


NO_STATES: dict[str, tuple[Any, str]] = {
    "nothing": (None, "None"),
    "a number": (5, "5"),
    "a text": ("role", "'role'"),
    "an empty text": ("", "''"),
    "empty bytes": (b"", "b''"),
    "nothing by name": ({}, "{}"),
    "no changes": (ChangeSet(), "ChangeSet("),
    "a role": (ROLE.entities[0], "Role(name='Clou"),
    "the planner": (plan_agent_role, "<function plan_"),
    "one among states": ([ROLE, USER.entities[0], USER], "User(name='Clou"),
    "lists of states": ([[ROLE], [USER]], "[State(entities"),
    "states by name": ({"a": ROLE}, "{'a'"),
}


@pytest.mark.parametrize(("given_for", "shown"), NO_STATES.values(), ids=NO_STATES)
def test_what_is_no_state_is_refused(given_for: Any, shown: str) -> None:
    """The first that is none is told."""
    with pytest.raises(IntentError) as refusal:
        State.joined(given_for)
    (problem,) = refusal.value.problems
    assert problem.argument == "desired"
    assert problem.value.startswith(shown)
    assert problem.rule == "must be what a planner returned, or several of those"


def test_a_state_is_joined_with_states_only() -> None:
    """Anything else is refused as Python refuses it, by either side."""
    with pytest.raises(TypeError):
        ROLE | 5  # type: ignore[operator] # as said
    with pytest.raises(TypeError):
        5 | ROLE  # type: ignore[operator] # as said


def test_one_state_may_contradict_itself() -> None:
    """Built by hand, it can name a thing twice, in another letter case or not."""
    for name in ("CloudWatchAgentServerUser", "cloudwatchagentserveruser"):
        twice = State.of([USER.entities[0], User(name=name, path="/x/", tags=(MANAGED_TAG,))])
        with pytest.raises(IntentError, match="must not be named twice with different intent"):
            State.joined(twice)


def test_the_findings_of_a_whole_are_those_of_its_parts() -> None:
    """The worst first, each with what it is about; a profile has none."""
    parts = [ROLE, USER, ADMIN, plan_ecs_execution_role(), plan_admin_user()]
    whole = State.joined(parts)
    found = itertools.chain.from_iterable(part.findings for part in parts)
    assert sorted(found, key=lambda each: each.rank) == list(whole.findings)
    assert [(each.kind, each.target) for each in whole.findings] == [
        ("needs", "role CloudWatchAgentAdminRole"),
        ("needs", "user CloudWatchAgentAdminUser"),
        ("open", "role CWAgentECSExecutionRole"),
        ("open", "role CloudWatchAgentAdminRole"),
        ("open", "user CloudWatchAgentAdminUser"),
    ]
    assert str(whole.findings[0]).startswith(
        "needs: role CloudWatchAgentAdminRole: CloudWatchAgentAdminPolicy: It lacks"
    )
    assert State((InstanceProfile(name="P"),)).findings == State().findings == ()


def test_trust_and_policies_of_one_role_are_both_looked_at() -> None:
    """What was seen has findings as well as what is desired."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "AROAEXAMPLEEXAMPLE234"},
        "Action": "sts:AssumeRole",
    }
    trust = Document.parse({"Version": "2012-10-17", "Statement": statement})
    role = Role(name="R", trust=trust, policies=frozenset({ADMIN_POLICY, SERVER_POLICY}))
    user = User(name="U", policies=frozenset({ADMIN_POLICY, SERVER_POLICY}))
    found = [(each.kind, each.target) for each in State.of([user, role]).findings]
    assert found == [
        ("dead", "role R"),
        ("needs", "role R"),
        ("open", "role R"),
        ("open", "user U"),
    ]
