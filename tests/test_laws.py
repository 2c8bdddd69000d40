"""The laws of planning and diffing, for any desired and any observed state."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import TYPE_CHECKING, TypeAlias, TypeVar, get_args

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings, strategies as st

from cwagent_iam import ConflictError, IntentError, diff
from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AttachRolePolicy,
    AttachUserPolicy,
    ChangeSet,
    CreateRole,
    DeleteInstanceProfile,
    DeleteRole,
    DeleteRolePermissionsBoundary,
    DeleteRolePolicy,
    DeleteUser,
    DeleteUserPermissionsBoundary,
    DeleteUserPolicy,
    DetachRolePolicy,
    DetachUserPolicy,
    PutRolePermissionsBoundary,
    PutRolePolicy,
    PutUserPermissionsBoundary,
    PutUserPolicy,
    RemoveRoleFromInstanceProfile,
    UpdateAssumeRolePolicy,
)
from cwagent_iam.changes.base import Wave
from cwagent_iam.differ import Attachments, Existing, extras
from cwagent_iam.policies import without
from cwagent_iam.remover import ExistingToRemove, removal
from cwagent_iam.state import InstanceProfile, Role, State, User
from tests import worlds as space
from tests.conftest import examples
from tests.worlds import ACCOUNT, LINKED_PATH, found, intents, with_dependents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy

    from cwagent_iam.changes import Change
    from cwagent_iam.state import Entity
    from tests.worlds import Intent, World

T = TypeVar("T")
Pair: TypeAlias = tuple[State, State, State]
"""Two desired states, and what was observed of both."""

ATTACHING = (AttachRolePolicy, AttachUserPolicy)
PUTTING = (PutRolePolicy, PutUserPolicy)
DETACHING = (DetachRolePolicy, DetachUserPolicy)
CLEARING = (DeleteRolePermissionsBoundary, DeleteUserPermissionsBoundary)
SETTING = (PutRolePermissionsBoundary, PutUserPermissionsBoundary)
COMPARED_APART = {"name", "path", "tags", "policies", "inline_policies", "arn"}

existing = st.sampled_from(get_args(Existing))
existing_to_remove = st.sampled_from(get_args(ExistingToRemove))
attachments = st.sampled_from(get_args(Attachments))


def drawn(values: SearchStrategy[T], number: int) -> SearchStrategy[T]:
    """Draw values once for all laws, the smallest first: drawing costs more than a law does."""

    def draw() -> SearchStrategy[T]:
        pool: list[T] = []

        @settings(
            max_examples=examples(number),
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(values)
        def collect(value: T) -> None:
            pool.append(value)

        collect()
        return st.sampled_from(sorted(pool, key=lambda value: len(repr(value))))

    return st.deferred(draw)


def with_what_is_found(pair: tuple[State, State]) -> SearchStrategy[Pair]:
    """Return two desired states with what may be observed of both."""
    return st.tuples(*map(st.just, pair), found(pair[0] | pair[1]))


plans = drawn(space.plans, 100)
worlds = drawn(space.worlds, 300)
pairs = drawn(space.pairs.flatmap(with_what_is_found), 150)


def outcome(
    desired: State, observed: State, existing: Existing, attachments: Attachments = "additive"
) -> tuple[Change, ...] | None:
    """Diff; `None` where something stands in the way."""
    try:
        return diff(desired, observed, existing=existing, attachments=attachments).changes
    except ConflictError:
        return None


def planned(
    desired: State,
    observed: State,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
) -> ChangeSet:
    """Diff, in a world where nothing stands in the way."""
    try:
        return diff(desired, observed, existing=existing, attachments=attachments)
    except ConflictError:
        reject()


def removed(desired: State, observed: State, existing: ExistingToRemove = "refuse") -> ChangeSet:
    """Plan the removal, in a world where nothing stands in the way."""
    try:
        return removal(desired, observed, access_keys="delete", existing=existing)
    except ConflictError:
        reject()


def both(desired: State, state: State) -> Iterator[tuple[Entity, Entity]]:
    """Yield what is desired beside what is there of it."""
    for wanted in desired.entities:
        there = state.find(type(wanted), wanted.name)
        if there is not None:
            yield wanted, there


# Law 1


@given(intents(), existing)
def test_law_1_planning_is_deterministic(intent: Intent, existing: Existing) -> None:
    """The same intent, in any order of its parts, is one value; so are the changes it leads to."""
    one, another = intent.plan(), intent.plan_backwards()
    assert one == another
    assert hash(one) == hash(another)
    assert len({one, another, intent.plan()}) == 1
    assert one.findings == another.findings
    changes = [diff(each, State(), existing=existing) for each in (one, another)]
    assert changes[0] == changes[1]
    assert hash(changes[0]) == hash(changes[1])
    assert str(changes[0]) == str(changes[1])


SCRIPT = """
from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, CustomerManagedPolicy, diff
from cwagent_iam import plan_agent_role, plan_agent_user
from cwagent_iam.state import State

intent = {
    "policies": [SERVER_POLICY, ADMIN_POLICY, CustomerManagedPolicy("own")],
    "parameters": ["b", "a", "c"],
    "tags": {"b": "1", "a": "2"},
}
changes = diff(plan_agent_role("R", **intent) | plan_agent_user("U", **intent), State())
print(changes, sorted(changes.permissions), changes.changes[0].trust.text)
"""


def test_law_1_holds_in_every_process() -> None:
    """Python orders sets differently in each process; changes and their texts are the same."""
    texts = {
        subprocess.run(  # noqa: S603 - the script is the one above
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


# Law 2


@given(pairs, existing, attachments)
def test_law_2_what_is_desired_needs_no_change(
    pair: Pair, existing: Existing, attachments: Attachments
) -> None:
    """The diff of a desired state with itself is empty, and nothing is extra."""
    for desired in (*pair[:2], pair[0] | pair[1]):
        changes = diff(desired, desired, existing=existing, attachments=attachments)
        assert (len(changes), changes.extras) == (0, ())


# Law 3


@given(worlds, existing, attachments)
def test_law_3_after_all_changes_nothing_is_left_to_do(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """The changes, folded over what was observed, lead to a state that is as desired."""
    desired, observed = world
    after = planned(desired, observed, existing, attachments).after()
    assert not diff(desired, after, existing=existing, attachments=attachments)
    assert not diff(desired, after, existing="verify", attachments=attachments)
    for wanted in desired.entities:
        there = after.find(type(wanted), wanted.name)
        assert there is not None
        assert satisfies(wanted, there, exactly=there.managed)
        if attachments == "exclusive" and isinstance(there, (Role, User)):
            assert isinstance(wanted, (Role, User))
            assert not without(there.policies, wanted.policies)


def satisfies(wanted: Entity, there: Entity, *, exactly: bool) -> bool:
    """Tell whether what is there is as desired, by other means than the differ's."""
    tags = {key.lower(): value for key, value in there.tags}
    tags |= dict(there.tags)
    good = [
        wanted.name == there.name,
        wanted.path in {None, there.path} or (wanted.path, there.path) == ("/", None),
        not exactly
        or all(tags.get(key, tags.get(key.lower())) == text for key, text in wanted.tags),
    ]
    if isinstance(wanted, InstanceProfile) and isinstance(there, InstanceProfile):
        good.append(wanted.role_name == there.role_name)
    if isinstance(wanted, Role) and isinstance(there, Role):
        same, wide = wanted.trust == there.trust, there.trust.allows(wanted.trust)
        lines = (wanted.description or "").splitlines() == (there.description or "").splitlines()
        seconds = there.max_session_duration or 3600
        good += [same if exactly else wide, wanted.description is None or lines]
        good.append(wanted.max_session_duration in {None, seconds})
    if isinstance(wanted, (Role, User)) and isinstance(there, (Role, User)):
        limits = wanted.permissions_boundary, there.permissions_boundary
        good.append(limits[0] is None or [*map(str_of, limits)] == [str_of(limits[0])] * 2)
        good.append({*map(str_of, wanted.policies)} <= {*map(str_of, there.policies)})
        good.append(wanted.inline_policies <= there.inline_policies)
    return all(good)


def str_of(policy: object) -> str:
    """Name a policy or a boundary; one of the account itself as if its account were open."""
    return str(policy or "none").rpartition(f":{ACCOUNT}:")[2]


# Law 4


@given(worlds, existing, attachments, st.data())
def test_law_4_after_some_changes_the_rest_is_left(
    world: World, existing: Existing, attachments: Attachments, data: st.DataObject
) -> None:
    """Wherever a run stops, the next diff is exactly the rest of the changes."""
    desired, observed = world
    changes = planned(desired, observed, existing, attachments)
    done = data.draw(st.integers(0, len(changes)))
    rest = diff(desired, changes.after(done), existing=existing, attachments=attachments)
    assert rest.changes == changes.changes[done:]
    assert rest.extras == changes.extras


def must_wait(change: Change, other: Change, account_id: str) -> bool:
    """Tell whether *change* must be in a later wave than *other*, by the words of the rule."""
    swap = {RemoveRoleFromInstanceProfile, AddRoleToInstanceProfile}
    if isinstance(change, CLEARING) and change.target == other.target:
        return not isinstance(other, CLEARING)
    if isinstance(change, (*DETACHING, RemoveRoleFromInstanceProfile)) and not change.leads_to:
        return isinstance(other, (*ATTACHING, *PUTTING, UpdateAssumeRolePolicy))
    if change.wave is Wave.FINISH and other.due is Wave.TAKE_AWAY:
        return True
    if type(change) in swap and change.target == other.target and change != other:
        return other.leads_to == change
    limits = isinstance(other, SETTING) and not isinstance(change, SETTING)
    needs = change.needs_in(account_id)
    return (limits or other.creates) and other.target in needs and change != other


@given(worlds, existing, attachments)
def test_waves_are_the_changes_in_order_and_wait_where_they_must(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """Any change of a wave may be the first, or the only one, that is made."""
    desired, observed = world
    try:
        changes = removal(desired, observed, access_keys="delete", existing="attach")
    except ConflictError:
        changes = ChangeSet()
    for each in (changes, planned(desired, observed, existing, attachments)):
        assert tuple(change for wave in each.waves for change in wave) == each.changes
        wave_of = {change: number for number, wave in enumerate(each.waves) for change in wave}
        for change, other in itertools.permutations(each, 2):
            if must_wait(change, other, observed.account_id):
                assert wave_of[change] > wave_of[other]


@given(worlds, existing, attachments)
def test_each_change_reads_back_as_done_once_it_is(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """A change is not done before it was made, and is done afterwards."""
    changes = planned(*world, existing, attachments)
    for position, change in enumerate(changes):
        before, after = changes.after(position), changes.after(position + 1)
        assert not change.is_done_in(before)
        assert change.is_done_in(after)
        assert change.after(after) == after


# Law 5


def unnamed(desired: State, state: State, attachments: Attachments) -> set[object]:
    """What *state* has that *desired* does not name, without what is asked to be taken away."""
    rest: set[object] = set()
    for entity in state.entities:
        wanted = desired.find(type(entity), entity.name)
        if wanted is None:
            rest.add(entity)
            continue
        target, keys = entity.target, {key for key, _ in entity.tags}
        named = {key for key, _ in wanted.tags}
        named |= {key.lower() for key in named - keys}
        rest |= {(target, tag) for tag in entity.tags if not {tag[0], tag[0].lower()} & named}
        rest.add((target, "name and path", entity.name, entity.path))
        for field in attrs.fields_dict(type(entity)).keys() - COMPARED_APART:
            if getattr(wanted, field) is None:
                rest.add((target, field, getattr(entity, field)))
        if isinstance(entity, (Role, User)) and isinstance(wanted, (Role, User)):
            names = {policy.name for policy in wanted.inline_policies}
            rest |= {(target, each) for each in entity.inline_policies if each.name not in names}
            others = without(entity.policies, wanted.policies)
            rest |= {(target, each) for each in others if attachments == "additive"}
            rest.add((target, entity.dependents))
    return rest


@given(worlds, existing, attachments)
def test_law_5_what_intent_does_not_name_stays(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """Foreign policies, documents, tags and profiles, and fields left out, are as before."""
    desired, observed = world
    after = planned(desired, observed, existing, attachments).after()
    before = {(type(each), each.name) for each in observed.entities}
    kept = State.of(each for each in after.entities if (type(each), each.name) in before)
    assert unnamed(desired, observed, attachments) == unnamed(desired, kept, attachments)
    assert {each.target for each in after.entities} == {
        each.target for each in (*observed.entities, *desired.entities)
    }


# Ownership


@given(worlds, existing, attachments)
def test_what_is_not_managed_is_changed_as_far_as_was_chosen(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """To refuse and to verify never write to it; to attach only adds; no owned one is adopted."""
    desired, observed = world
    foreign = {each.target: each for each in observed.entities if not each.managed}
    for change in planned(desired, observed, existing, attachments):
        there = foreign.get(change.target)
        if there is None:
            continue
        assert existing in {"adopt", "attach"}
        assert existing == "attach" or not there.owner
        if existing == "attach":
            assert isinstance(change, (*ATTACHING, *PUTTING, AddRoleToInstanceProfile))
            assert adds(change, there)


def adds(change: Change, there: Entity) -> bool:
    """Tell whether a change takes the place of nothing."""
    if isinstance(there, InstanceProfile):
        return there.role_name is None
    names = {policy.name for policy in there.inline_policies}
    return not isinstance(change, PUTTING) or change.policy.name not in names


@given(worlds, existing, attachments)
def test_a_service_linked_role_is_never_touched(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """IAM would refuse it: it is used as it is, in the profile that it is in, or not at all."""
    desired, observed = world
    linked = {each.target for each in observed.entities if is_linked(each)}
    for changes in (outcome(desired, observed, existing, attachments), leaving(*world)):
        assert all(linked.isdisjoint(change.needs) for change in changes or ())


def is_linked(entity: Entity) -> bool:
    """Tell a service-linked role by its path."""
    return isinstance(entity, Role) and str(entity.path).startswith(LINKED_PATH)


def leaving(desired: State, observed: State) -> tuple[Change, ...] | None:
    """Undo what attaching did; `None` where something stands in the way."""
    try:
        return removal(desired, observed, existing="attach").changes
    except ConflictError:
        return None


@given(worlds, attachments)
def test_to_refuse_and_to_verify_come_to_the_same(world: World, attachments: Attachments) -> None:
    """Both do all there is to do for what is ours, and stop at what is not as desired."""
    refused = outcome(*world, "refuse", attachments)
    assert refused == outcome(*world, "verify", attachments)


@given(worlds, attachments)
def test_what_a_careful_choice_can_do_a_bolder_one_can(
    world: World, attachments: Attachments
) -> None:
    """What is no conflict to refuse is the same to attach; what attaching can do adopting can."""
    refused = outcome(*world, "refuse", attachments)
    assert refused is None or refused == outcome(*world, "attach", attachments)
    owned = any(there.owner for _, there in both(*world))
    assert owned or outcome(*world, "attach") is None or outcome(*world, "adopt") is not None


@given(worlds, attachments)
def test_what_is_adopted_is_managed(world: World, attachments: Attachments) -> None:
    """After adopting all is ours, and no other choice finds anything to do."""
    after = planned(*world, "adopt", attachments).after()
    assert all(there.managed for _, there in both(world[0], after))
    for existing in get_args(Existing):
        assert outcome(world[0], after, existing, attachments) == ()


# Extras, and what is taken away


@given(worlds, existing)
def test_nothing_is_taken_away_unasked(world: World, existing: Existing) -> None:
    """Additive changes take away a role that gets another, and boundaries unwanted by intent."""
    desired, observed = world
    for change in planned(desired, observed, existing):
        if isinstance(change, CLEARING):
            wanted = desired.find(change.kind, change.name)
            assert isinstance(wanted, (Role, User))
            assert wanted.permissions_boundary == ""
        elif change.symbol == "-":
            assert isinstance(change, RemoveRoleFromInstanceProfile)
            assert existing == "adopt"


@given(worlds, existing)
def test_exclusive_attaches_before_it_detaches(world: World, existing: Existing) -> None:
    """Nobody goes without a policy in between; no boundary goes before what it may limit."""
    changes = planned(*world, existing, "exclusive")
    for name in {change.name for change in changes}:
        order = [step for change in changes if change.name == name and (step := step_of(change))]
        assert order == sorted(order)
    assert not any(extra.field == "policies" for extra in changes.extras)


def step_of(change: Change) -> int:
    """Number the changes to attachments and boundaries of one thing; 0 for all others."""
    if isinstance(change, CLEARING):
        return 4
    return 3 if isinstance(change, DETACHING) else 2 if isinstance(change, ATTACHING) else 0


@given(worlds, existing)
def test_extras_are_reported_and_stay(world: World, existing: Existing) -> None:
    """What is attached beyond intent is told, and still there after all changes."""
    desired, observed = world
    changes = planned(desired, observed, existing)
    seen = [extra for extra in extras(desired, observed) if extra.field == "policies"]
    assert [extra for extra in changes.extras if extra.field == "policies"] == seen
    assert changes.extras == extras(desired, changes.after())


# Order


@given(worlds, existing, attachments)
def test_a_role_goes_out_of_a_profile_only_for_another(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """A role is taken out after all else was done, just before the other goes in."""
    changes = planned(*world, existing, attachments).changes
    for position, change in enumerate(changes):
        if isinstance(change, RemoveRoleFromInstanceProfile):
            role_name = str(change.replaced_by)
            add = AddRoleToInstanceProfile(name=change.name, role_name=role_name)
            assert changes[position + 1 :] == (add,)


@given(worlds, pairs, existing, attachments, st.data())
def test_the_waves_are_the_changes_each_once(
    world: World,
    pair: Pair,
    existing: Existing,
    attachments: Attachments,
    data: st.DataObject,
) -> None:
    """No change is planned twice; what is in one wave leads to the same state in any order."""
    for desired, observed in (world, (pair[0] | pair[1], pair[2])):
        changes = planned(desired, observed, existing, attachments)
        assert len(set(changes)) == len(changes)
        assert tuple(change for wave in changes.waves for change in wave) == changes.changes
        state = changes.observed
        for wave in changes.waves:
            for change in data.draw(st.permutations(wave)):
                state = change.after(state)
        assert state == changes.after()


@given(pairs, existing, attachments)
def test_iam_lets_each_change_be_made_in_its_turn(
    pair: Pair, existing: Existing, attachments: Attachments
) -> None:
    """Nothing is done to what is absent, taken that is not there, or deleted that is in use."""
    desired, observed = pair[0] | pair[1], pair[2]
    changes = planned(desired, observed, existing, attachments)
    for state in (observed, with_dependents(changes.after())):
        try:
            taken = removal(desired, state, access_keys="delete", existing="attach")
        except ConflictError:
            continue
        assert_each_is_let(taken)
    assert_each_is_let(changes)


def assert_each_is_let(changes: ChangeSet) -> None:
    """Fold *changes*, and look before each what IAM would say."""
    state = changes.observed
    for change in changes:
        assert iam_lets(change, state), change
        state = change.after(state)


def iam_lets(change: Change, state: State) -> bool:
    """Tell whether IAM would make a change (the errors of each operation in its API reference)."""
    there = state.find(change.kind, change.name)
    used = (each.role_name for each in state.entities if isinstance(each, InstanceProfile))
    match change, there:
        case ((DeleteRole() | DeleteUser()), (Role() | User())):
            held = {*there.policies, *there.inline_policies, *access_keys_of(there)}
            free = isinstance(there, User) or there.name not in used
            good = free and not held
        case DeleteInstanceProfile(), InstanceProfile():
            good = there.role_name is None
        case AddRoleToInstanceProfile(role_name=name), InstanceProfile():
            good = there.role_name is None and state.find(Role, name) is not None
        case RemoveRoleFromInstanceProfile(role_name=name), InstanceProfile():
            good = there.role_name == name
        case ((DetachRolePolicy() | DetachUserPolicy()), (Role() | User())):
            good = change.policy in there.policies
        case ((DeleteRolePolicy() | DeleteUserPolicy()), (Role() | User())):
            good = change.policy in there.inline_policies
        case _:
            good = change.creates == (there is None)
    return good


def access_keys_of(entity: Role | User) -> frozenset[str]:
    """Only users have any."""
    keys = entity.access_keys if isinstance(entity, User) else ()
    return frozenset(key.access_key_id for key in keys)


@given(pairs, existing, attachments)
def test_what_makes_something_comes_before_what_needs_it(
    pair: Pair, existing: Existing, attachments: Attachments
) -> None:
    """Nothing is done to what is not there, nor trusts anybody who is made later or at once."""
    changes = planned(pair[0] | pair[1], pair[2], existing, attachments)
    unmade = {change.target for change in changes if change.creates}
    for wave in changes.waves:
        for change in wave:
            trust = (
                change.trust.text
                if isinstance(change, (CreateRole, UpdateAssumeRolePolicy))
                else ""
            )
            assert not unmade & (change.needs - {change.target})
            assert change.creates or change.target not in unmade
            assert not any(
                f":{kind}/team/Agent" in trust
                for kind in ("role", "user")
                if f"{kind} Agent" in unmade
            )
        unmade -= {change.target for change in wave}


@given(worlds, existing, attachments)
def test_law_10_every_change_knows_its_permission(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """Each change asks for the IAM action that is named like its operation."""
    changes = planned(*world, existing, attachments)
    assert all(f"iam:{change.operation}" in change.permissions for change in changes)


# Several identities


@given(pairs, existing, attachments)
def test_joined_states_change_as_each_alone(
    pair: Pair, existing: Existing, attachments: Attachments
) -> None:
    """The changes of two joined states are those of both, each in its order; so are conflicts."""
    *several, observed = pair
    apart = [outcome(each, observed, existing, attachments) for each in several]
    together = outcome(State.joined(several), observed, existing, attachments)
    assert (together is None) == (None in apart)
    for changes in apart if together is not None else ():
        assert tuple(change for change in together or () if change in (changes or ())) == changes
    assert together is None or len(together) == sum(len(changes or ()) for changes in apart)


@given(pairs, plans)
def test_joining_is_a_union(pair: Pair, again: State) -> None:
    """Order and repetition make no difference; another intent for one name is refused."""
    one, other, _ = pair
    whole = one | other
    assert whole == other | one == whole | one == State.joined([other, one, whole])
    assert State.joined(whole) == whole
    same = [again.find(type(each), each.name) in {None, each} for each in one.entities]
    if all(same):
        assert (one | again).entities
    else:
        with pytest.raises(
            IntentError, match="must not be named twice with different intent"
        ) as caught:
            _ = one | again
        assert len(caught.value.problems) == same.count(False)


# Removal


@given(worlds, existing_to_remove, st.data())
def test_a_removal_can_stop_anywhere(
    world: World, existing: ExistingToRemove, data: st.DataObject
) -> None:
    """Wherever a removal stops, planning it again gives the rest; nothing of ours is left."""
    desired, observed = world
    changes = removed(desired, observed, existing)
    done = data.draw(st.integers(0, len(changes)))
    rest = removal(desired, changes.after(done), access_keys="delete", existing=existing)
    assert rest.changes == changes.changes[done:]
    assert not any(there.managed for _, there in both(desired, changes.after()))


@given(worlds)
def test_a_removal_takes_only_what_is_managed(world: World) -> None:
    """Something without our tag, or with a foreign policy on it, stops the removal."""
    desired, observed = world
    changes = removed(desired, observed)
    assert all(there.managed for _, there in both(desired, observed))
    for wanted, there in both(desired, observed):
        assert not foreign_things(there, wanted)
    strangers = State.of(
        each for each in observed.entities if not desired.find(type(each), each.name)
    )
    assert changes.after() == strangers


@given(worlds)
def test_undoing_what_attaching_did_leaves_all_else(world: World) -> None:
    """Others' things are as before, without what intent names, whether we attached it or not."""
    desired, observed = world
    expected = State.of(
        leftover(each, wanted) if (wanted := desired.find(type(each), each.name)) else each
        for each in observed.entities
        if not (each.managed and desired.find(type(each), each.name))
    )
    assert removed(desired, observed, "attach").after() == expected
    ensured = planned(desired, observed, "attach").after()
    assert removed(desired, ensured, "attach").after() == expected


def leftover(there: Entity, wanted: Entity) -> Entity:
    """Return what is there without the attachments or the membership that *wanted* names."""
    if isinstance(there, InstanceProfile) and isinstance(wanted, InstanceProfile):
        same = there.role_name == wanted.role_name
        return attrs.evolve(there, role_name=None if same else there.role_name)
    assert isinstance(there, (Role, User))
    assert isinstance(wanted, (Role, User))
    return attrs.evolve(
        there,
        policies=without(there.policies, wanted.policies),
        inline_policies=there.inline_policies - wanted.inline_policies,
    )


def foreign_things(there: Entity, wanted: Entity) -> set[object]:
    """Name what hangs on a thing, and is not taken away with it."""
    if isinstance(there, InstanceProfile) and isinstance(wanted, InstanceProfile):
        return {each for each in [there.role_name] if each not in {None, wanted.role_name}}
    assert isinstance(there, (Role, User))
    assert isinstance(wanted, (Role, User))
    named = {policy.name for policy in wanted.inline_policies}
    profiles = there.dependents & {"instance-profile Lender"}
    inline = {policy.name for policy in there.inline_policies} - named
    return {*without(there.policies, wanted.policies), *inline, *profiles}


@given(worlds, existing, attachments)
def test_what_was_made_or_adopted_can_be_removed(
    world: World, existing: Existing, attachments: Attachments
) -> None:
    """After any run nothing of ours is left by a removal, unless something foreign hangs on it."""
    desired, observed = world
    after = planned(desired, observed, existing, attachments).after()
    try:
        changes = removal(desired, after, access_keys="delete", existing="attach")
    except ConflictError:
        assert any(
            foreign_things(there, wanted) or is_linked(there)
            for wanted, there in both(desired, after)
        )
    else:
        assert not any(there.managed for _, there in both(desired, changes.after()))
