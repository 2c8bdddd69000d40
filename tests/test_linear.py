"""Cost that grows with what is desired, linearly; counted, because a clock would tell of others."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, State, diff, plan_agent_role, plan_agent_user
from cwagent_iam.changes import ChangeSet, CreateRole
from cwagent_iam.changes.base import BaseChange
from cwagent_iam.differ import extras
from cwagent_iam.documents import Document
from cwagent_iam.remover import removal
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cwagent_iam.changes import Change

COUNT = 20
SERVER = frozenset({SERVER_POLICY})
ENTITY = Role.__mro__[1]  # what has the name of roles, users and instance profiles alike


@attrs.define
class Counter:
    """Counts how often a name is read: whatever looks through all of them reads all of them."""

    member: Any
    reads: int = 0

    def __get__(self, instance: object, owner: type) -> Any:
        """Read the name of *instance*."""
        self.reads += 1
        return self.member.__get__(instance, owner)

    def __set__(self, instance: object, value: object) -> None:
        """Set the name of *instance*."""
        self.member.__set__(instance, value)


def drifted(entity: Role | User | InstanceProfile) -> Role | User | InstanceProfile:
    """Return what needs a change of every wave: add, replace, detach, swap."""
    if isinstance(entity, InstanceProfile):
        return attrs.evolve(entity, role_name="Other")
    return attrs.evolve(entity, policies=SERVER, permissions_boundary=SERVER_POLICY)


@attrs.frozen
class World:
    """Roles with profiles, and as many users: as desired, and as found."""

    desired: State
    observed: State

    @classmethod
    def of(cls, count: int) -> World:
        """Plan *count* of each kind, all of which have drifted."""
        wanted: dict[str, Any] = {"policies": [ADMIN_POLICY], "permissions_boundary": ""}
        plans = [plan_agent_role(f"R{number}", **wanted) for number in range(count)]
        plans += [plan_agent_user(f"U{number}", **wanted) for number in range(count)]
        desired = State.joined(plans)
        return cls(desired, State.of(map(drifted, desired.entities)))

    def repaired(self) -> ChangeSet:
        """Diff with everything allowed that changes something."""
        return diff(self.desired, self.observed, existing="adopt", attachments="exclusive")

    def created(self) -> ChangeSet:
        """Diff against nothing."""
        return diff(self.desired, State())


def chain(count: int) -> Iterator[Change]:
    """Yield roles that trust each the next one, so that each must wait for it."""
    for number in range(count):
        trusted = f"arn:aws:iam::123456789012:role/R{number + 1}"
        allowed = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
        yield CreateRole(name=f"R{number}", trust=Document.parse({"Statement": allowed}))


STEPS: dict[str, Callable[[World], object]] = {
    "join two": lambda world: world.desired | world.desired,
    "join many": lambda world: State.joined(State((each,)) for each in world.desired.entities),
    "find": lambda world: [
        world.observed.find(type(each), each.name) for each in world.desired.entities
    ],
    "findings": lambda world: world.desired.findings,
    "extras": lambda world: extras(world.desired, world.observed),
    "diff against nothing": World.created,
    "diff against itself": lambda world: diff(world.desired, world.desired),
    "diff against drift": World.repaired,
    "after repair": lambda world: world.repaired().after(),
    "after creation": lambda world: world.created().after(),
    "waves of repair": lambda world: world.repaired().waves,
    "waves of creation": lambda world: world.created().waves,
    "is done": lambda world: [each.is_done_in(world.observed) for each in world.repaired()],
    "removal": lambda world: removal(world.desired, world.desired),
}


@pytest.mark.parametrize("step", STEPS)
def test_twice_as_much_takes_twice_as_long(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step reads names in proportion to what is desired: nothing scans all for each."""
    worlds = World.of(COUNT), World.of(2 * COUNT)
    counters = [Counter(each.__dict__["name"]) for each in (ENTITY, BaseChange)]
    for each, counter in zip((ENTITY, BaseChange), counters, strict=True):
        monkeypatch.setattr(each, "name", counter)
    reads = []
    for world in worlds:
        before = sum(counter.reads for counter in counters)
        STEPS[step](world)
        reads.append(sum(counter.reads for counter in counters) - before)
    assert 0 < reads[1] <= 2.05 * reads[0]


def test_a_chain_of_any_length_is_ordered() -> None:
    """The last one is created first; Python's limit of calls within calls is none here."""
    changes = ChangeSet.ordered(chain(3000), State())
    assert [each.name for each in changes] == [f"R{number}" for number in reversed(range(3000))]
    assert len(changes.waves) == 3000


def test_looking_up_leaves_no_trace_in_the_value() -> None:
    """A state that was asked for a name is equal to one that was not, in every form."""
    state = State((Role(name="R", trust=EC2_TRUST, tags=(MANAGED_TAG,)),))
    asked = attrs.evolve(state)
    assert asked.find(Role, "r") is state.entities[0]
    assert (asked, hash(asked), repr(asked)) == (state, hash(state), repr(state))
    assert pickle.dumps(asked) == pickle.dumps(state)
    assert pickle.loads(pickle.dumps(asked)).find(Role, "r") == state.entities[0]  # noqa: S301 - our own
