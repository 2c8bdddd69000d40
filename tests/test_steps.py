"""The steps for a user's access keys: a table of cases, and laws over all of them."""

from __future__ import annotations

from typing import Any, TypeGuard

import attrs
import pytest
from hypothesis import given, strategies as st

from cwagent_iam.access_keys.records import KEY_TAG, SUSPECT_TAG, Record, records_in
from cwagent_iam.access_keys.steps import (
    DAY,
    Act,
    Blocked,
    Create,
    KeyView,
    Later,
    Step,
    Terms,
    is_undone,
    step_to_deliver,
    step_to_rotate,
    step_to_undo,
    suspects_in,
)
from cwagent_iam.state import SeenKey

NOW = 1000 * DAY
TERMS = Terms(max_age=90 * DAY, settle=DAY, grace=7 * DAY)


def ends(step: object) -> TypeGuard[Act]:
    """Return whether *step* deactivates or deletes a key."""
    return isinstance(step, Act) and step.verb in {"deactivate", "delete"}


def key(name: str, age: float, used: float | None = None, *, active: bool = True) -> SeenKey:
    """A key of some *age*, last used so long ago, in days."""
    last_used = None if used is None else NOW - used * DAY
    return SeenKey(access_key_id=name, active=active, created=NOW - age * DAY, last_used=last_used)


def record(
    name: str, *, changed: float | None = None, active: bool = False, **facts: Any
) -> Record:
    """The record of a key for the store; its status changed so long ago, in days."""
    since = None if changed is None else NOW - changed * DAY
    known: Any = {"store": "S", "since": NOW - DAY, "active": active or since is None} | facts
    return Record(access_key_id=name, changed=since, **known)


def view(
    *keys: SeenKey, held: str | None = "K1", records: tuple[Record, ...] | None = None, **facts: Any
) -> KeyView:
    """What is seen now; every key is recorded for the store unless *records* are given."""
    known = [record(key.access_key_id) for key in keys] if records is None else records
    named = {each.access_key_id: each for each in known}
    return KeyView(keys=keys, held=held, store="S", records=named, now=NOW, **facts)


YOUNG, AGED = key("K1", 10, 0), key("K1", 100, 0)
DELIVERIES = {
    "nothing at all": (view(held=None), Create()),
    "one key that is not held": (view(key("K2", 1), held=None), Create()),
    "the held key is gone": (view(held="K1"), Create()),
    "gone, and another is there": (view(key("K2", 1)), Create()),
    "held and active": (view(YOUNG), Act("keep", YOUNG)),
    "held and active beside another": (view(YOUNG, key("K2", 1)), Act("keep", YOUNG)),
    "held and inactive": (
        view(key("K1", 1, active=False)),
        Blocked(obstacle="held is inactive", keys=(key("K1", 1, active=False),)),
    ),
    "two that are not held": (
        view(key("K2", 1), key("K3", 2), held=None),
        Blocked(obstacle="no room", keys=(key("K2", 1), key("K3", 2))),
    ),
    "another user's": (
        attrs.evolve(view(key("K2", 1)), owner="Ann"),
        Blocked(obstacle="held is another user's"),
    ),
}


@pytest.mark.parametrize(("seen", "step"), DELIVERIES.values(), ids=DELIVERIES)
def test_delivering(seen: KeyView, step: object) -> None:
    """The key that the store holds decides."""
    assert step_to_deliver(seen) == step


OLD, OFF = key("K0", 100, 3), key("K0", 100, 9, active=False)
RIVAL = key("K2", 5, 4)


def suspect(name: str, ago: float) -> Record:
    """The tag of a suspect of so many days ago."""
    return Record(access_key_id=name, since=NOW - ago * DAY)


ROTATIONS = {
    "young": (view(YOUNG), Later(phase="current", due=NOW + 80 * DAY)),
    "aged": (view(AGED), Create()),
    "just aged": (view(key("K1", 90)), Create()),
    "old one unused since before the new one": (
        view(OLD, key("K1", 0.5)),
        Later(phase="settling", due=NOW + 0.5 * DAY),
    ),
    "old one still used": (
        view(key("K0", 100, 0.25), YOUNG),
        Later(phase="settling", due=NOW + 0.75 * DAY),
    ),
    "old one unused": (view(OLD, YOUNG), Act("deactivate", OLD)),
    "old one never used": (view(key("K0", 100), YOUNG), Act("deactivate", key("K0", 100))),
    "old one just reactivated": (
        view(OLD, YOUNG, records=(record("K0", changed=0.5, active=True),)),
        Later(phase="settling", due=NOW + 0.5 * DAY),
    ),
    "noted as inactive, but active": (
        view(OLD, YOUNG, records=(record("K0", changed=0.5),)),
        Act("deactivate", OLD),
    ),
    "inactive, unknown since when": (view(OFF, YOUNG), Act("note", OFF)),
    "inactive for a while": (
        view(OFF, YOUNG, records=(record("K0", changed=2),)),
        Later(phase="grace", due=NOW + 5 * DAY),
    ),
    "inactive for long": (view(OFF, YOUNG, records=(record("K0", changed=7),)), Act("delete", OFF)),
    "a lost attempt": (
        view(AGED, key("K2", 0.5)),
        Later(phase="settling", due=NOW + 0.5 * DAY),
    ),
    "an old lost attempt": (view(AGED, key("K2", 2)), Act("deactivate", key("K2", 2))),
    "not recorded, nothing due": (
        view(YOUNG, RIVAL, records=()),
        Later(phase="current", due=NOW + 80 * DAY),
    ),
    "not recorded, in the way": (
        view(AGED, RIVAL, records=()),
        Blocked(obstacle="in the way", keys=(RIVAL,)),
    ),
    "recorded, newer and used: in the way": (
        view(AGED, RIVAL),
        Blocked(obstacle="in the way", keys=(RIVAL,)),
    ),
    "not recorded, older: in the way": (
        view(OLD, AGED, records=()),
        Blocked(obstacle="in the way", keys=(OLD,)),
    ),
    "recorded for another store: in the way": (
        view(key("K0", 200, 3), AGED, records=(record("K0", store="T"),)),
        Blocked(obstacle="in the way", keys=(key("K0", 200, 3),)),
    ),
    "recorded for another store, and replaced": (
        view(OLD, YOUNG, records=(record("K0", store="T"), record("K1", replaces="K0"))),
        Act("deactivate", OLD),
    ),
    "a suspect, tagged just now": (
        view(YOUNG, key("K2", 2), records=(), suspects={"K2": suspect("K2", 0.5)}),
        Later(phase="settling", due=NOW + 0.5 * DAY),
    ),
    "a suspect, unused for a day": (
        view(YOUNG, key("K2", 2), records=(), suspects={"K2": suspect("K2", 1)}),
        Act("deactivate", key("K2", 2)),
    ),
    "a suspect that is used": (
        view(YOUNG, key("K2", 2, 0.25), records=(), suspects={"K2": suspect("K2", 1)}),
        Later(phase="settling", due=NOW + 0.75 * DAY),
    ),
    "a suspect that a record names": (
        view(YOUNG, RIVAL, suspects={"K2": suspect("K2", 4)}),
        Later(phase="current", due=NOW + 80 * DAY),
    ),
    "a suspect, inactive for long": (
        view(
            YOUNG,
            key("K2", 20, active=False),
            records=(),
            suspects={"K2": attrs.evolve(suspect("K2", 20), active=False, changed=NOW - 7 * DAY)},
        ),
        Act("delete", key("K2", 20, active=False)),
    ),
    "no room, but a suspect": (
        view(
            key("K2", 2),
            key("K3", 3, 1),
            held=None,
            records=(),
            suspects={"K2": suspect("K2", 2)},
        ),
        Act("deactivate", key("K2", 2)),
    ),
    "not managed, nothing due": (
        view(YOUNG, barrier="not managed"),
        Later(phase="current", due=NOW + 80 * DAY),
    ),
    "not managed, but due": (
        view(AGED, barrier="not managed"),
        Blocked(obstacle="not managed", keys=(AGED,)),
    ),
    "not managed, and nothing held": (
        view(held=None, barrier="not managed"),
        Blocked(obstacle="not managed", keys=()),
    ),
    "inactive, not recorded": (
        view(AGED, key("K2", 5, 4, active=False), records=()),
        Blocked(obstacle="in the way", keys=(key("K2", 5, 4, active=False),)),
    ),
    "held and inactive": (
        view(OLD, key("K1", 1, active=False)),
        Blocked(obstacle="held is inactive", keys=(key("K1", 1, active=False),)),
    ),
}


HOUR = 3600.0


@pytest.mark.parametrize(("age", "due"), [(0.5 * HOUR, 0.5 * HOUR), (HOUR, 0.0), (2 * HOUR, 0.0)])
def test_a_key_that_may_be_on_its_way_gets_an_hour(age: float, due: float) -> None:
    """Another program may be delivering a younger key just now, however short the settling is."""
    young = key("K2", age / DAY)
    hasty = attrs.evolve(TERMS, settle=0.0)
    step = step_to_rotate(view(AGED, young), hasty)
    assert step == (Later(phase="settling", due=NOW + due) if due else Act("deactivate", young))


def test_an_older_key_gets_no_hour() -> None:
    """No program delivers a key that has been replaced."""
    old = key("K0", 100, 3)
    step = step_to_rotate(view(old, key("K1", 0.001)), attrs.evolve(TERMS, settle=0.0))
    assert step == Act("deactivate", old)


@pytest.mark.parametrize(("seen", "step"), ROTATIONS.values(), ids=ROTATIONS)
def test_rotating(seen: KeyView, step: object) -> None:
    """What is due follows from what is seen."""
    assert step_to_rotate(seen, TERMS) == step


def test_undo_reactivates_the_inactive_key() -> None:
    """It is the held key, or the only other one that this library may change."""
    assert step_to_undo(view(OFF, YOUNG)) == Act("reactivate", OFF)
    assert step_to_undo(view(YOUNG)) == Blocked(obstacle="nothing to undo", keys=(YOUNG,))
    both = (OFF, key("K1", 1, active=False))
    assert step_to_undo(view(*both)) == Act("reactivate", both[1])
    unheld = view(*both, held=None)
    assert step_to_undo(unheld) == Blocked(obstacle="nothing to undo", keys=both)
    theirs = view(OFF, YOUNG, records=())
    assert step_to_undo(theirs) == Blocked(obstacle="nothing to undo", keys=(OFF, YOUNG))
    assert step_to_undo(view(OFF, YOUNG, barrier="not managed")) == Blocked(
        obstacle="not managed", keys=(OFF, YOUNG)
    )
    held = view(key("K1", 1, active=False), records=())
    assert step_to_undo(held) == Act("reactivate", key("K1", 1, active=False))


def test_an_undo_is_known_by_its_record() -> None:
    """A key that a rotation reactivated is active, and its record says since when."""
    again = record("K0", changed=1, active=True)
    assert is_undone(view(OLD, YOUNG, records=(again,)))
    assert not is_undone(view(OFF, YOUNG, records=(again,)))
    assert not is_undone(view(OLD, YOUNG))
    assert not is_undone(view(OLD, YOUNG, records=()))


def test_now_replaces_a_young_key() -> None:
    """The age does not matter then, but room does; a rotation in progress goes on."""
    now = attrs.evolve(TERMS, now=True)
    assert step_to_rotate(view(YOUNG), now) == Create()
    assert step_to_rotate(view(YOUNG, RIVAL, records=()), now) == Blocked(
        obstacle="in the way", keys=(RIVAL,)
    )
    assert step_to_rotate(view(OFF, YOUNG, records=(record("K0", changed=2),)), now) == Later(
        phase="grace", due=NOW + 5 * DAY
    )


PROOFS: dict[str, tuple[SeenKey, bool]] = {
    "never used": (key("K1", 10), False),
    "used for something": (attrs.evolve(key("K1", 10, 9), last_service="monitoring"), True),
    "used by the verification": (
        attrs.evolve(key("K1", 10, 10 - 60 / DAY), last_service="sts"),
        False,
    ),
    "used for STS within 20 minutes": (
        attrs.evolve(key("K1", 10, 10 - 1200 / DAY), last_service="sts"),
        False,
    ),
    "used for STS later": (attrs.evolve(key("K1", 10, 9), last_service="sts"), True),
    "used for nothing that IAM names": (
        attrs.evolve(key("K1", 10, 10 - 60 / DAY), last_service="N/A"),
        False,
    ),
}


@pytest.mark.parametrize(("held", "proved"), PROOFS.values(), ids=PROOFS)
def test_a_key_that_cannot_be_read_back_is_proved_by_its_use(
    held: SeenKey, *, proved: bool
) -> None:
    """Before that no other key ends, whether it is active or inactive."""
    due = NOW + max(TERMS.settle, 3600)
    known = (record("K1", since=held.created), record("K0", changed=9, active=True))
    active = view(OLD, held, records=known, readable=False)
    later = Later(phase="settling", due=due)
    assert step_to_rotate(active, TERMS) == (Act("deactivate", OLD) if proved else later)
    off = (record("K1", since=held.created), record("K0", changed=9))
    inactive = view(OFF, held, records=off, readable=False)
    later = Later(phase="grace", due=due)
    assert step_to_rotate(inactive, TERMS) == (Act("delete", OFF) if proved else later)


SECOND = 1 / DAY
FIRST, NEW = key("K1", 1), key("K2", 10 * SECOND)
EDGES = {"first": key("K2", 22 * SECOND), "last": key("K2", 3 * SECOND)}
EARLY, LATE = key("K2", 23 * SECOND), key("K2", 2 * SECOND)
THIRD = key("K3", 9 * SECOND, 0)
SUSPECTS: dict[str, tuple[KeyView, tuple[SeenKey, ...]]] = {
    "nothing new": (view(FIRST, records=()), ()),
    "one new": (view(FIRST, NEW, records=()), (NEW,)),
    "just not too early": (view(EDGES["first"], records=()), (EDGES["first"],)),
    "just not too late": (view(EDGES["last"], records=()), (EDGES["last"],)),
    "created too early": (view(FIRST, EARLY, records=()), ()),
    "created too late": (view(FIRST, LATE, records=()), ()),
    "two new, one used": (view(NEW, THIRD, records=()), (NEW, THIRD)),
    "one is in the store": (view(NEW, THIRD, held="K2", records=()), (THIRD,)),
    "one is recorded": (view(NEW, THIRD, records=(record("K3"),)), (NEW,)),
}


@pytest.mark.parametrize(("seen", "suspects"), SUSPECTS.values(), ids=SUSPECTS)
def test_a_lost_request_has_suspects(seen: KeyView, suspects: tuple[SeenKey, ...]) -> None:
    """They appeared during the request, are not in the store, and have no record."""
    assert suspects_in(seen, frozenset({"K1"}), NOW - 20, NOW - 5) == suspects


times = st.floats(NOW - 400 * DAY, NOW)


@st.composite
def views(draw: st.DrawFn) -> KeyView:
    """Anything that IAM and a store may show."""
    names = draw(st.lists(st.sampled_from(["K1", "K2", "K3"]), unique=True, max_size=2))
    keys = tuple(
        SeenKey(
            access_key_id=name,
            active=draw(st.booleans()),
            created=draw(times),
            last_used=draw(st.none() | times),
        )
        for name in names
    )
    record = st.builds(
        Record,
        access_key_id=st.just("K"),
        store=st.sampled_from(["S", "T"]),
        since=times,
        replaces=st.sampled_from(["", "K2"]),
        active=st.booleans(),
        changed=st.none() | times,
    )
    names_of = st.sampled_from(["K1", "K2", "K9"])
    return KeyView(
        keys=keys,
        held=draw(st.none() | names_of),
        store="S",
        readable=draw(st.booleans()),
        owner=draw(st.none() | st.just("Ann")),
        records=draw(st.dictionaries(names_of, record)),
        suspects=draw(st.dictionaries(names_of, record)),
        barrier=draw(st.sampled_from([None, "not managed", "verify only"])),
        has_room_for_record=draw(st.booleans()),
        now=NOW,
    )


terms = st.builds(
    Terms,
    max_age=st.floats(0, 100 * DAY),
    settle=st.floats(0, 30 * DAY),
    grace=st.floats(0, 30 * DAY),
)


@given(seen=views(), agreed=terms)
def test_nothing_ends_while_the_store_has_no_working_key(seen: KeyView, agreed: Terms) -> None:
    """A recorded key ends only beside a held one that is active, and never that one."""
    step = step_to_rotate(seen, agreed)
    if ends(step):
        name = step.key.access_key_id
        assert name != seen.held
        assert name in seen.suspects or (seen.held_key and seen.held_key.active)
        assert seen.held_key is not None or name not in seen.records


@given(seen=views(), agreed=terms)
def test_no_key_is_created_without_room(seen: KeyView, agreed: Terms) -> None:
    """There is never a third key, and none for a user whose keys the call may not change."""
    if isinstance(step_to_rotate(seen, agreed), Create):
        assert len(seen.keys) <= 1
        assert seen.barrier is None
        assert seen.has_room_for_record


@given(seen=views(), agreed=terms)
def test_a_key_without_record_or_tag_is_never_touched(seen: KeyView, agreed: Terms) -> None:
    """Nor is one that was recorded for another store, unless the held key replaces it."""
    step = step_to_rotate(seen, agreed)
    if isinstance(step, Act):
        assert seen.barrier is None
        name = step.key.access_key_id
        record, held = seen.records.get(name), seen.records.get(seen.held or "")
        if record is None:
            assert name in seen.suspects
        else:
            assert record.store == "S" or (held is not None and held.replaces == name)


@given(seen=views(), agreed=terms)
def test_a_store_that_cannot_be_read_back_needs_a_proof(seen: KeyView, agreed: Terms) -> None:
    """Beside a held key that nothing has used, no other key ends."""
    unread = attrs.evolve(seen, readable=False)
    held = unread.held_key
    step = step_to_rotate(unread, agreed)
    if ends(step) and held is not None:
        assert held.last_used is not None


@given(seen=views(), agreed=terms)
def test_the_times_are_kept(seen: KeyView, agreed: Terms) -> None:
    """Active keys have been unused for long enough, inactive ones inactive for long enough."""
    match step_to_rotate(seen, agreed):
        case Act("deactivate", old):
            assert old.active
            assert (old.last_used or 0) + agreed.settle <= NOW
            assert old.created + agreed.settle <= NOW
        case Act("delete", old):
            assert not old.active
            known = {**seen.suspects, **seen.records}[old.access_key_id]
            assert not known.active
            assert known.changed is not None
            assert known.changed + agreed.grace <= NOW
        case Later(due=due):
            assert due > NOW
        case _:
            pass


@attrs.define
class World:
    """An account and a store that do as they are told, unless the program dies between two acts."""

    keys: list[SeenKey]
    held: str | None
    records: dict[str, Record]
    now: float = NOW
    made: int = 0

    def look(self) -> KeyView:
        """See it."""
        records = dict(self.records)
        return KeyView(
            keys=tuple(self.keys), held=self.held, store="S", records=records, now=self.now
        )

    def put(self, changed: SeenKey) -> None:
        """Give a key new facts."""
        same = changed.access_key_id
        self.keys = [changed if each.access_key_id == same else each for each in self.keys]

    def create(self) -> SeenKey:
        """Create a key, and record it; a third one is refused."""
        assert len(self.keys) < 2
        self.made += 1
        new = SeenKey(access_key_id=f"N{self.made}", active=True, created=self.now)
        self.keys.append(new)
        self.records[new.access_key_id] = record(
            new.access_key_id, since=self.now, replaces=self.held or ""
        )
        return new

    def do(self, step: Step, acts: int) -> None:
        """Do *step*, or only its first *acts* acts."""
        match step:
            case Create():
                new = self.create()
                if acts > 1:
                    self.held = new.access_key_id
            case Act(verb="deactivate" | "note", key=old):
                known = self.records[old.access_key_id]
                changed = attrs.evolve(known, active=False, changed=self.now)
                self.records[old.access_key_id] = changed
                if acts > 1:
                    self.put(attrs.evolve(old, active=False))
            case Act(key=old):
                self.keys.remove(old)
            case Later(due=due):
                self.now = max(self.now, due)
            case Blocked():
                pytest.fail("a store with a working key is blocked by nobody")

    def use(self) -> None:
        """Let the server use what the store holds."""
        held = self.look().held_key
        assert held is not None, "the server has a key"
        assert held.active, "and it works"
        self.put(attrs.evolve(held, last_used=self.now))


# A key that is renewed before its predecessor is gone is never alone.
slow = st.builds(attrs.evolve, terms, max_age=st.floats(61 * DAY, 100 * DAY))


@given(deaths=st.lists(st.integers(0, 2), max_size=12), agreed=slow)
def test_a_rotation_continues_wherever_it_was_interrupted(deaths: list[int], agreed: Terms) -> None:
    """With a call for each thing that is due, some of which die: one new key, and no gap."""
    first = attrs.evolve(AGED, created=NOW - agreed.max_age)
    world = World([first], "K1", {"K1": record("K1", since=first.created)})
    for acts in [*deaths, *[2] * 12]:
        world.use()
        step = step_to_rotate(world.look(), agreed)
        if isinstance(step, Later) and step.phase == "current" and world.held != "K1":
            break
        if acts:
            world.do(step, acts)
    world.use()
    assert [each.access_key_id for each in world.keys] == [world.held]
    assert world.held != "K1"


# --- records --------------------------------------------------------------------------------------


RECORDS = [
    Record(access_key_id="AKIAX", since=NOW, store="S"),
    Record(access_key_id="AKIAX", since=NOW, store="S", replaces="AKIAY"),
    Record(access_key_id="AKIAX", since=NOW, store="S", active=False, changed=NOW),
    Record(access_key_id="AKIAX", since=NOW, store="S", replaces="AKIAY", changed=NOW),
    Record(access_key_id="AKIAX", since=NOW),
    Record(access_key_id="AKIAX", since=NOW, active=False, changed=NOW),
]


@pytest.mark.parametrize("known", RECORDS)
def test_a_record_is_a_tag(known: Record) -> None:
    """It is read as it was written; under the name of the other kind it is malformed."""
    key, value = known.tag
    prefix = KEY_TAG if known.store else SUSPECT_TAG
    assert records_in({key.lower(): value, "team": "x"}, prefix) == {"AKIAX": known}
    other = SUSPECT_TAG if known.store else KEY_TAG
    assert records_in({key.lower(): value}, other) == {}
    wrong = key.lower().replace(prefix, other)
    assert records_in({wrong: value}, other) == {}
    assert len(value) <= 256


@pytest.mark.parametrize("value", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00Z active=x"])
def test_a_malformed_record_is_none(value: str) -> None:
    """Another program may have written it."""
    assert records_in({f"{KEY_TAG}akiax": value}, KEY_TAG) == {}
