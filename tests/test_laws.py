"""The laws of planning and diffing, for any desired and any observed state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import given, reject
from hypothesis import strategies as st

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, ConflictError, diff
from cwagent_iam.documents import Document
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.remover import removal
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from cwagent_iam.changes import Change, ChangeSet
    from cwagent_iam.state import Entity

NAME = "Agent"
POLICIES = (
    SERVER_POLICY,
    ADMIN_POLICY,
    ManagedPolicy("ReadOnlyAccess"),
    ManagedPolicy("own", "/team/", "123456789012", "aws"),
)
TRUSTS = (
    EC2_TRUST,
    Document.parse({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:*"}}),
    Document.parse({"Statement": []}),
)
PATHS = ("/", "/team/")

usually = st.sampled_from([True, True, True, True, False])
policies = st.frozensets(st.sampled_from(POLICIES))
boundaries = st.none() | st.sampled_from(POLICIES)
descriptions = st.sampled_from(["", "the agent's role", "other words"])
durations = st.sampled_from([3600, 7200, 43_200])
intended_tags = st.dictionaries(
    st.sampled_from(["Team", "Stage"]), st.sampled_from(["", "one", "two"])
)


@st.composite
def intents(draw: DrawFn) -> State:
    """Desired state of any intent, for a role or for a user."""
    common: dict[str, Any] = {
        "policies": draw(policies),
        "path": draw(st.none() | st.sampled_from(PATHS)),
        "permissions_boundary": draw(boundaries),
        "tags": draw(st.none() | intended_tags),
    }
    if draw(st.booleans()):
        return plan_agent_user(NAME, **common)
    return plan_agent_role(
        NAME,
        instance_profile=draw(st.booleans() | st.just("Profile")),
        description=draw(st.none() | descriptions),
        max_session_duration=draw(st.none() | durations),
        **common,
    )


@st.composite
def found_tags(draw: DrawFn) -> tuple[tuple[str, str], ...]:
    """Tags as they may be found: ours or not, in any letter case, with foreign ones."""
    keys = st.sampled_from(["Team", "team", "Stage", "foreign"])
    tags = draw(st.dictionaries(keys, st.sampled_from(["", "one", "two"]), max_size=2))
    ours = {key: value for key, value in tags.items() if key != "team" or "Team" not in tags}
    return tuple(sorted((ours | dict([MANAGED_TAG] if draw(usually) else [])).items()))


@st.composite
def found(draw: DrawFn, desired: State) -> State:
    """Whatever may be found of the things that *desired* names."""
    entities: list[Entity] = []
    for entity in desired.entities:
        if not draw(usually):
            continue
        known: dict[str, Any] = {
            "name": entity.name if draw(usually) else entity.name.swapcase(),
            "path": entity.path or "/" if draw(usually) else "/somewhere/",
            "tags": draw(found_tags()),
            "arn": f"arn:aws:iam::123456789012:{entity.kind}/{entity.name}",
        }
        match entity:
            case Role():
                role = Role(
                    trust=draw(st.sampled_from(TRUSTS)),
                    description=draw(descriptions),
                    max_session_duration=draw(durations),
                    permissions_boundary=draw(boundaries),
                    policies=draw(policies),
                    **known,
                )
                entities.append(role)
            case User():
                boundary = draw(boundaries)
                user = User(permissions_boundary=boundary, policies=draw(policies), **known)
                entities.append(user)
            case InstanceProfile():
                inside = draw(st.sampled_from([None, None, entity.role_name, "another"]))
                entities.append(InstanceProfile(role_name=inside, **known))
    return State.of(entities)


worlds: SearchStrategy[tuple[State, State]] = intents().flatmap(
    lambda desired: st.tuples(st.just(desired), found(desired))
)


def planned(desired: State, observed: State) -> ChangeSet:
    """Diff, in a world where nothing stands in the way."""
    try:
        return diff(desired, observed)
    except ConflictError:
        reject()


@given(intents())
def test_law_2_what_is_desired_needs_no_change(desired: State) -> None:
    """The diff of a desired state with itself is empty."""
    assert not diff(desired, desired)


@given(worlds)
def test_law_3_after_all_changes_nothing_is_left_to_do(world: tuple[State, State]) -> None:
    """The changes, folded over what was observed, lead to a state that is as desired."""
    desired, observed = world
    changes = planned(desired, observed)
    assert not diff(desired, changes.after())


@given(worlds, st.data())
def test_law_4_after_some_changes_the_rest_is_left(
    world: tuple[State, State], data: st.DataObject
) -> None:
    """Wherever a run stops, the next diff is exactly the rest of the changes."""
    desired, observed = world
    changes = planned(desired, observed)
    done = data.draw(st.integers(0, len(changes)))
    assert diff(desired, changes.after(done)).changes == changes.changes[done:]


def unnamed(desired: State, state: State) -> set[object]:
    """What *state* has that *desired* does not name."""
    rest: set[object] = set()
    for entity in state.entities:
        wanted = desired.find(type(entity), entity.name)
        assert wanted is not None
        keys = {key.lower() for key, _ in wanted.tags}
        rest |= {(entity.target, tag) for tag in entity.tags if tag[0].lower() not in keys}
        rest.add((entity.target, "path", entity.path))
        for field in attrs.fields_dict(type(entity)).keys() - {"tags", "policies", "path", "arn"}:
            if getattr(wanted, field) is None:
                rest.add((entity.target, field, getattr(entity, field)))
        if not isinstance(entity, InstanceProfile) and not isinstance(wanted, InstanceProfile):
            rest |= {(entity.target, policy) for policy in entity.policies - wanted.policies}
    return rest


@given(worlds)
def test_law_5_what_intent_does_not_name_stays(world: tuple[State, State]) -> None:
    """Foreign policies and tags, and fields that intent leaves out, are as before."""
    desired, observed = world
    changes = planned(desired, observed)
    assert unnamed(desired, observed) <= unnamed(desired, changes.after())


@given(worlds)
def test_what_is_not_managed_is_never_changed(world: tuple[State, State]) -> None:
    """No change is ever planned for something that exists without our tag."""
    desired, observed = world
    foreign = {entity.target for entity in observed.entities if not entity.managed}
    changes = planned(desired, observed)
    assert foreign.isdisjoint(change.target for change in changes)


@given(worlds)
def test_each_change_comes_once_and_in_waves(world: tuple[State, State]) -> None:
    """No change is planned twice, and the waves in their order are the changes."""
    changes = planned(*world)
    assert len(set(changes)) == len(changes)
    assert tuple(change for wave in changes.waves for change in wave) == changes.changes


@given(worlds)
def test_a_wave_can_be_done_in_any_order(world: tuple[State, State]) -> None:
    """What is in one wave leads to the same state backwards."""
    changes = planned(*world)
    state = changes.observed
    for wave in changes.waves:
        for change in reversed(wave):
            state = change.after(state)
    assert state == changes.after()


@given(worlds)
def test_law_10_every_change_knows_its_permission(world: tuple[State, State]) -> None:
    """Each change asks for the IAM action that is named like its operation."""
    changes = planned(*world)
    assert all(f"iam:{change.operation}" in change.permissions for change in changes)


def removed(desired: State, observed: State) -> ChangeSet:
    """Plan the removal, in a world where nothing stands in the way."""
    try:
        return removal(desired, observed)
    except ConflictError:
        reject()


@given(worlds, st.data())
def test_a_removal_can_stop_anywhere(world: tuple[State, State], data: st.DataObject) -> None:
    """Wherever a removal stops, planning it again gives the rest; at the end nothing is left."""
    desired, observed = world
    changes = removed(desired, observed)
    done = data.draw(st.integers(0, len(changes)))
    assert removal(desired, changes.after(done)).changes == changes.changes[done:]
    assert changes.after() == State()


@given(worlds)
def test_a_removal_takes_only_what_is_managed(world: tuple[State, State]) -> None:
    """Something without our tag, or with a foreign policy on it, stops the removal."""
    desired, observed = world
    changes = removed(desired, observed)
    assert all(entity.managed for entity in observed.entities)
    assert {policy_of(change) for change in changes} <= named_policies(desired)


def policy_of(change: Change) -> object:
    """The policy that a change is about, if any."""
    return getattr(change, "policy", None)


def named_policies(desired: State) -> set[object]:
    """All policies that *desired* names, and `None`."""
    owners = (each for each in desired.entities if not isinstance(each, InstanceProfile))
    return {None}.union(*(owner.policies for owner in owners))
