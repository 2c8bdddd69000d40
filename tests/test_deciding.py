"""What is due about a user's keys: a table of cases, and laws over all of them."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, strategies as st

from cwagent_iam.keys import (
    Blocked,
    Deactivate,
    Delete,
    Delivered,
    InDoubt,
    Keep,
    KeyView,
    LostRequest,
    Make,
    NotDone,
    Note,
    Ours,
    Reactivate,
    RotationStep,
    SeenKey,
    Terms,
    Verdict,
    Wait,
    WriteNote,
    step_to_deliver,
    step_to_rotate,
    step_to_undo,
    verdict_on,
)

DAY = 86400.0
NOW = 1000 * DAY
TERMS = Terms(max_age=90 * DAY, settle=DAY, grace=7 * DAY)


def key(name: str, age: float, used: float | None = None, *, active: bool = True) -> SeenKey:
    """A key of some *age*, last used so long ago, in days."""
    last_used = None if used is None else NOW - used * DAY
    return SeenKey(access_key_id=name, active=active, created=NOW - age * DAY, last_used=last_used)


def view(*keys: SeenKey, held: str | None = "K1", note: Note | None = None) -> KeyView:
    """What is seen now."""
    return KeyView(keys=keys, held=held, note=note, now=NOW)


def note(name: str, ago: float, *, active: bool = False) -> Note:
    """A note of so many days ago."""
    return Note(access_key_id=name, active=active, since=NOW - ago * DAY)


YOUNG, AGED = key("K1", 10, 0), key("K1", 100, 0)
DELIVERIES = {
    "nothing at all": (view(held=None), Make(replacing=None)),
    "one key that is not held": (view(key("K2", 1), held=None), Make(replacing=None)),
    "the held key is gone": (view(held="K1"), Make(replacing="K1")),
    "gone, and another is there": (view(key("K2", 1)), Make(replacing="K1")),
    "held and active": (view(YOUNG), Keep(key=YOUNG)),
    "held and active beside another": (view(YOUNG, key("K2", 1)), Keep(key=YOUNG)),
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
        Blocked(obstacle="held is somebody else's", keys=()),
    ),
}


@pytest.mark.parametrize(("seen", "step"), DELIVERIES.values(), ids=DELIVERIES)
def test_delivering(seen: KeyView, step: object) -> None:
    """The key that the store holds decides."""
    assert step_to_deliver(seen) == step


OLD, OFF = key("K0", 100, 3), key("K0", 100, 9, active=False)
RIVAL = key("K2", 5, 4)
ROTATIONS = {
    "young": (view(YOUNG), Wait(phase="current", due=NOW + 80 * DAY)),
    "aged": (view(AGED), Make(replacing="K1")),
    "just aged": (view(key("K1", 90)), Make(replacing="K1")),
    "old one unused since before the new one": (
        view(OLD, key("K1", 0.5)),
        Wait(phase="settling", due=NOW + 0.5 * DAY),
    ),
    "old one still used": (
        view(key("K0", 100, 0.25), YOUNG),
        Wait(phase="settling", due=NOW + 0.75 * DAY),
    ),
    "old one unused": (view(OLD, YOUNG), Deactivate(key=OLD)),
    "old one never used": (view(key("K0", 100), YOUNG), Deactivate(key=key("K0", 100))),
    "old one just reactivated": (
        view(OLD, YOUNG, note=note("K0", 0.5, active=True)),
        Wait(phase="settling", due=NOW + 0.5 * DAY),
    ),
    "noted as inactive, but active": (
        view(OLD, YOUNG, note=note("K0", 0.5)),
        Deactivate(key=OLD),
    ),
    "inactive, nobody knows since when": (view(OFF, YOUNG), WriteNote(key=OFF)),
    "inactive, the note is of another key": (
        view(OFF, YOUNG, note=note("K9", 99)),
        WriteNote(key=OFF),
    ),
    "inactive for a while": (
        view(OFF, YOUNG, note=note("K0", 2)),
        Wait(phase="grace", due=NOW + 5 * DAY),
    ),
    "inactive for long": (view(OFF, YOUNG, note=note("K0", 7)), Delete(key=OFF)),
    "a lost attempt": (
        view(AGED, key("K2", 0.5)),
        Wait(phase="settling", due=NOW + 0.5 * DAY),
    ),
    "an old lost attempt": (view(AGED, key("K2", 2)), Deactivate(key=key("K2", 2))),
    "somebody's, nothing due": (view(YOUNG, RIVAL), Wait(phase="current", due=NOW + 80 * DAY)),
    "somebody's, in the way": (view(AGED, RIVAL), Blocked(obstacle="in the way", keys=(RIVAL,))),
    "inactive and somebody's": (
        view(AGED, key("K2", 5, 4, active=False)),
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
    assert step == (Wait(phase="settling", due=NOW + due) if due else Deactivate(key=young))


def test_an_older_key_gets_no_hour() -> None:
    """Nobody delivers what has been replaced."""
    old = key("K0", 100, 3)
    step = step_to_rotate(view(old, key("K1", 0.001)), attrs.evolve(TERMS, settle=0.0))
    assert step == Deactivate(key=old)


@pytest.mark.parametrize(("seen", "step"), ROTATIONS.values(), ids=ROTATIONS)
def test_rotating(seen: KeyView, step: object) -> None:
    """What is due follows from what is seen."""
    assert step_to_rotate(seen, TERMS) == step


def test_undoing_brings_back_the_inactive_key() -> None:
    """There is one to bring back, or the caller is told that there is none, or more."""
    assert step_to_undo(view(OFF, YOUNG)) == Reactivate(key=OFF)
    assert step_to_undo(view(YOUNG)) == Blocked(obstacle="nothing to undo", keys=(YOUNG,))
    both = (OFF, key("K1", 1, active=False))
    assert step_to_undo(view(*both)) == Blocked(obstacle="nothing to undo", keys=both)


SECOND = 1 / DAY
LOST = LostRequest(before=frozenset({"K1"}), since=NOW - 20, until=NOW - 5)
OLD, NEW = key("K1", 1), key("K2", 10 * SECOND)
EDGES = {"first": key("K2", 22 * SECOND), "last": key("K2", 3 * SECOND)}
USED, EARLY, LATE = key("K2", 10 * SECOND, 0), key("K2", 23 * SECOND), key("K2", 2 * SECOND)
THIRD = key("K3", 9 * SECOND)
VERDICTS: dict[str, tuple[tuple[SeenKey, ...], Verdict]] = {
    "nothing new": ((OLD,), NotDone()),
    "one new and unused": ((OLD, NEW), Ours(NEW)),
    "just not too early": ((EDGES["first"],), Ours(EDGES["first"])),
    "just not too late": ((EDGES["last"],), Ours(EDGES["last"])),
    "one new and used": ((OLD, USED), InDoubt((USED,))),
    "made too early": ((OLD, EARLY), InDoubt((EARLY,))),
    "made too late": ((OLD, LATE), InDoubt((LATE,))),
    "two new": ((NEW, THIRD), InDoubt((NEW, THIRD))),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_a_lost_reply_is_judged_by_what_appeared(name: str) -> None:
    """Only a single key of those very seconds that nobody has used is ours."""
    keys, verdict = VERDICTS[name]
    assert verdict_on(LOST, keys, held="K1") == verdict


@pytest.mark.parametrize("keys", [(NEW,), (THIRD, USED)], ids=["one", "two"])
def test_a_new_key_in_the_store_is_somebody_elses_delivery(keys: tuple[SeenKey, ...]) -> None:
    """What is in the store was put there by somebody, for we have never had a secret."""
    assert verdict_on(LOST, keys, held="K2") == Delivered(keys[-1])


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
    noted = st.builds(
        Note, access_key_id=st.sampled_from(["K1", "K2", "K9"]), active=st.booleans(), since=times
    )
    return KeyView(
        keys=keys,
        held=draw(st.none() | st.sampled_from(["K1", "K2", "K9"])),
        owner=draw(st.none() | st.just("Ann")),
        note=draw(st.none() | noted),
        now=NOW,
    )


terms = st.builds(
    Terms,
    max_age=st.floats(0, 100 * DAY),
    settle=st.floats(0, 30 * DAY),
    grace=st.floats(0, 30 * DAY),
)


@given(seen=views(), agreed=terms)
def test_nothing_is_taken_away_while_the_store_has_no_working_key(
    seen: KeyView, agreed: Terms
) -> None:
    """A key is deactivated or deleted only beside a held one that is active, and never that one."""
    step = step_to_rotate(seen, agreed)
    if isinstance(step, Deactivate | Delete):
        assert seen.held_key is not None
        assert seen.held_key.active
        assert step.key.access_key_id != seen.held


@given(seen=views(), agreed=terms)
def test_no_key_is_made_where_there_is_no_room(seen: KeyView, agreed: Terms) -> None:
    """There is never a third key."""
    if isinstance(step_to_rotate(seen, agreed), Make):
        assert len(seen.keys) <= 1


@given(seen=views(), agreed=terms)
def test_a_key_that_somebody_else_uses_is_left_alone(seen: KeyView, agreed: Terms) -> None:
    """A key that is not older than the held one, and has been used, is not touched."""
    step = step_to_rotate(seen, agreed)
    if isinstance(step, Deactivate | Delete | WriteNote):
        assert seen.held_key is not None
        assert step.key.created < seen.held_key.created or step.key.last_used is None


@given(seen=views(), agreed=terms)
def test_the_times_are_kept(seen: KeyView, agreed: Terms) -> None:
    """Active keys have been unused for long enough, inactive ones off for long enough."""
    match step_to_rotate(seen, agreed):
        case Deactivate(key=old):
            assert old.active
            assert (old.last_used or 0) + agreed.settle <= NOW
            assert old.created + agreed.settle <= NOW
        case Delete(key=old):
            assert not old.active
            assert seen.note is not None
            assert not seen.note.active
            assert seen.note.access_key_id == old.access_key_id
            assert seen.note.since + agreed.grace <= NOW
        case Wait(due=due):
            assert due > NOW
        case _:
            pass


@attrs.define
class World:
    """An account and a store that do as they are told, unless the program dies between two acts."""

    keys: list[SeenKey]
    held: str | None
    note: Note | None = None
    now: float = NOW
    made: int = 0

    def look(self) -> KeyView:
        """See it."""
        return KeyView(keys=tuple(self.keys), held=self.held, note=self.note, now=self.now)

    def put(self, changed: SeenKey) -> None:
        """Give a key new facts."""
        same = changed.access_key_id
        self.keys = [changed if each.access_key_id == same else each for each in self.keys]

    def create(self) -> SeenKey:
        """Make a key; a third one is refused."""
        assert len(self.keys) < 2
        self.made += 1
        new = SeenKey(access_key_id=f"N{self.made}", active=True, created=self.now)
        self.keys.append(new)
        return new

    def do(self, step: RotationStep, acts: int) -> None:
        """Do *step*, or only its first *acts* acts."""
        match step:
            case Make():
                new = self.create()
                if acts > 1:
                    self.held = new.access_key_id
            case Deactivate(key=old) | WriteNote(key=old):
                self.note = Note(access_key_id=old.access_key_id, active=False, since=self.now)
                if acts > 1:
                    self.put(attrs.evolve(old, active=False))
            case Delete(key=old):
                self.keys.remove(old)
            case Wait(due=due):
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
def test_a_rotation_goes_on_wherever_it_was_broken_off(deaths: list[int], agreed: Terms) -> None:
    """With a call for each thing that is due, some of which die: one new key, and no gap."""
    world = World([attrs.evolve(AGED, created=NOW - agreed.max_age)], held="K1")
    for acts in [*deaths, *[2] * 12]:
        world.use()
        step = step_to_rotate(world.look(), agreed)
        if isinstance(step, Wait) and step.phase == "current" and world.held != "K1":
            break
        if acts:
            world.do(step, acts)
    world.use()
    assert [each.access_key_id for each in world.keys] == [world.held]
    assert world.held != "K1"
