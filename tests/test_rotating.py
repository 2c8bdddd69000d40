"""Rotation, phase by phase in virtual days: a scheduler calls, and what is due is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ClientError

from cwagent_iam import (
    ApplyError,
    DeliveryError,
    IntentError,
    KeyConflictError,
    ObserveError,
    RotationStatus,
    StoreError,
    rotate_access_key,
)
from cwagent_iam.events import KeyCreated, KeyDelivered, KeyVerified
from cwagent_iam.testing import Fault, Profile
from cwagent_iam.testing.lagging.profiles import Fixed
from tests.soak_keys import DAY, MANAGED, USER, Shelf, World, world as open_world

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 1, tzinfo=UTC)


class ShelfWithReaders(Shelf):
    """A place for a key that knows who reads it."""

    settled = 0

    def settle(self) -> str:
        """See to the readers."""
        self.settled += 1
        return "Restart it."


@pytest.fixture
def world() -> Iterator[World]:
    """A user whose key was delivered when the year began, in an IAM that does not lag."""
    with open_world("off") as opened:
        opened.lagging.truth.create_user(UserName=USER, Tags=MANAGED)
        deliver(opened)
        yield opened


def deliver(world: World) -> None:
    """Put a new key into the store, as a delivery leaves it."""
    made = world.lagging.truth.create_access_key(UserName=USER)["AccessKey"]
    world.shelf.key = made["AccessKeyId"], made["SecretAccessKey"]
    world.record(made["AccessKeyId"])


def used(world: World, name: str) -> None:
    """Let a server use a key."""
    key = world.keys[name]
    sts: Any = world.lagging.session.client(
        "sts", aws_access_key_id=name, aws_secret_access_key=key.secret_access_key
    )
    sts.get_caller_identity()


def aged(world: World) -> str:
    """Let the key grow too old, in use to the last; return its id."""
    world.sleep(31 * DAY)
    world.use()
    return str(world.held)


def replaced(world: World) -> str:
    """Have a new key in place of an old one, whose id is returned."""
    old = aged(world)
    deliver(world)
    return old


def deactivated(world: World) -> str:
    """Have the old key deactivated; return its id."""
    old = replaced(world)
    world.sleep(2 * DAY)
    world.use()
    world.rotate()
    assert old not in world.active
    return old


def due_in(world: World, status: RotationStatus) -> float:
    """In how many days something is due."""
    assert status.due_at is not None
    assert status.due_at.tzinfo is UTC
    return round(
        (status.due_at - START).total_seconds() / DAY - world.lagging.clock.elapsed / DAY, 2
    )


# --- the phases -----------------------------------------------------------------------------------


def test_a_young_key_stays(world: World) -> None:
    """Nothing is done, and the status tells when the key will be too old."""
    world.sleep(10 * DAY)
    status = world.rotate()
    assert (status.phase, status.access_key_id, status.done) == ("current", world.held, ())
    assert status.next_step == "create a new key"
    assert due_in(world, status) == 20
    assert (status.old_key, status.can_undo) == (None, False)
    assert set(world.keys) == {world.held}


def test_a_user_without_a_key_gets_one() -> None:
    """A rotation may be the first to deliver a key."""
    with open_world("off") as world:
        world.lagging.truth.create_user(UserName=USER, Tags=MANAGED)
        status = world.rotate()
        assert (status.phase, status.access_key_id) == ("current", world.held)
        assert status.done == (f"created and delivered {world.held}",)
        assert world.active == {world.held}


def test_an_old_key_is_replaced(world: World) -> None:
    """A new key is delivered; the old one stays until nobody uses it."""
    old = aged(world)
    status = world.rotate()
    assert (status.phase, status.access_key_id) == ("settling", world.held)
    assert status.done == (f"created and delivered {world.held}",)
    assert status.next_step == f"deactivate {old}, if it has not been used since"
    assert due_in(world, status) == 1
    assert status.old_key.access_key_id == old
    assert not status.can_undo
    assert world.active == {old, world.held}


def test_an_old_key_in_use_stays_active(world: World) -> None:
    """Each use puts off the deactivation, however often the scheduler calls."""
    old = replaced(world)
    for _ in range(10):
        world.sleep(0.9 * DAY)
        used(world, old)
        status = world.rotate()
        assert (status.phase, status.done) == ("settling", ())
        assert due_in(world, status) == 1
    assert old in world.active


def test_an_unused_old_key_is_deactivated(world: World) -> None:
    """After it has been unused for long enough; and IAM is told since when, for it has no date."""
    old = replaced(world)
    world.sleep(1.5 * DAY)
    status = world.rotate()
    assert (status.phase, status.done) == ("grace", (f"deactivated {old}",))
    assert status.next_step == f"delete {old}"
    assert due_in(world, status) == 3
    assert not status.old_key.active
    assert status.can_undo
    assert world.active == {world.held}
    tags = world.lagging.truth.list_user_tags(UserName=USER)["Tags"]
    (known,) = (each["Value"] for each in tags if each["Key"] == f"cwagent-iam:key:{old}")
    assert " inactive=2026-02-02T" in known


def test_a_deactivated_key_is_kept_for_a_while(world: World) -> None:
    """Until the grace is over nothing is done."""
    old = deactivated(world)
    world.sleep(2.5 * DAY)
    status = world.rotate()
    assert (status.phase, status.done, due_in(world, status)) == ("grace", (), 0.5)
    assert old in world.keys


def test_a_deactivated_key_is_deleted_in_the_end(world: World) -> None:
    """And the next thing is due when the new key is too old."""
    old = deactivated(world)
    world.sleep(3.5 * DAY)
    status = world.rotate()
    assert (status.phase, status.done) == ("current", (f"deleted {old}",))
    assert due_in(world, status) == 24.5
    assert (status.old_key, status.can_undo) == (None, False)
    assert set(world.keys) == {world.held}


def test_a_scheduler_that_slept_for_a_month_takes_one_step_at_a_time(world: World) -> None:
    """It may call late; no phase is shortened for that."""
    first = replaced(world)
    world.sleep(20 * DAY)
    world.use()
    assert world.rotate().done == (f"deactivated {first}",)
    world.sleep(40 * DAY)
    world.use()
    second = world.held
    assert world.rotate().done == (f"deleted {first}", f"created and delivered {world.held}")
    assert world.active == {second, world.held}


def test_without_settling_and_grace_all_is_done_at_once(world: World) -> None:
    """Whoever wants no phases gets none."""
    old = aged(world)
    status = world.rotate(settle=0, grace=0)
    new = world.held
    assert status.done == (f"created and delivered {new}", f"deactivated {old}", f"deleted {old}")
    assert status.phase == "current"
    assert set(world.keys) == {new}


def test_calling_every_day_is_as_good_as_calling_when_something_is_due(world: World) -> None:
    """Over two replacements there is always a key, never a third, and none is left behind."""
    for _ in range(16):
        world.sleep(DAY)
        world.use()
        world.rotate(max_age=6 * DAY)
    assert (world.gaps, world.thirds, world.errors) == ([], [], [])
    made, gone = (writes(world).count(f"{verb}AccessKey") for verb in ("Create", "Delete"))
    assert 1 + made - gone == len(world.keys)
    assert made == 2


def test_what_is_done_is_told(world: World) -> None:
    """Each step is an event."""
    aged(world)
    events: list[Any] = []
    rotate_access_key(
        USER,
        deliver=world.shelf,
        max_age=30 * DAY,
        settle=0,
        grace=0,
        session=world.lagging.session,
        on_event=events.append,
    )
    kinds = [
        type(each) for each in events if isinstance(each, KeyCreated | KeyDelivered | KeyVerified)
    ]
    assert kinds == [KeyCreated, KeyDelivered, KeyVerified]


# --- what was broken off --------------------------------------------------------------------------


def test_a_key_that_was_never_delivered_is_taken_away(world: World) -> None:
    """A program that died with a new key in its hands leaves one that nobody can use."""
    held = aged(world)
    world.shelf.trouble = "crash before"
    assert world.rotate() is None
    (lost,) = world.unheld
    status = world.rotate()
    assert (status.phase, status.old_key.access_key_id) == ("settling", lost)
    world.sleep(2 * DAY)
    assert world.rotate().done == (f"deactivated {lost}",)
    world.sleep(4 * DAY)
    assert world.rotate().done == (f"deleted {lost}", f"created and delivered {world.held}")
    assert world.held != held
    assert world.gaps == []


def test_a_key_that_somebody_uses_is_never_touched(world: World) -> None:
    """A younger key with uses of its own is not ours, even if no use was seen for long."""
    theirs = world.make_by_hand()
    world.sleep(15 * DAY)
    status = world.rotate()
    assert (status.phase, status.old_key.access_key_id) == ("current", theirs)
    assert status.next_step == f"create a new key; {theirs} must be deleted first"
    world.sleep(20 * DAY)
    error = world.rotate()
    assert isinstance(error, KeyConflictError)
    assert [key.access_key_id for key in error.keys] == [theirs]
    assert theirs in str(error)
    assert world.active == {theirs, world.held}


def test_an_inactive_key_without_a_note_gets_one(world: World) -> None:
    """Somebody deactivated it by hand: the grace begins when it is first seen."""
    old = replaced(world)
    world.lagging.truth.update_access_key(UserName=USER, AccessKeyId=old, Status="Inactive")
    world.sleep(30 * DAY)
    status = world.rotate(max_age=90 * DAY)
    assert (status.phase, status.done) == ("grace", (f"recorded that {old} is inactive",))
    assert due_in(world, status) == 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["TagUser", "UpdateAccessKey"])
def test_a_deactivation_that_was_broken_off_goes_on(
    world: World, operation: str, when: Any
) -> None:
    """Whichever of its two requests was the last, the grace is never shorter for it."""
    old = replaced(world)
    world.sleep(2 * DAY)
    world.lagging.fail(Fault("crash", operation, when=when, nth=1))
    assert world.rotate() is None
    world.sleep(DAY)
    status = world.rotate()
    assert status.phase == "grace"
    assert due_in(world, status) == (2 if (operation, when) == ("UpdateAccessKey", "after") else 3)
    assert old in world.keys


# --- undoing --------------------------------------------------------------------------------------


def test_a_deactivated_key_is_brought_back(world: World) -> None:
    """Both keys work then, and settling begins anew."""
    old = deactivated(world)
    world.sleep(DAY)
    status = world.rotate(undo=True)
    assert (status.phase, status.done) == ("settling", (f"reactivated {old}",))
    assert due_in(world, status) == 1
    assert status.old_key.active
    assert not status.can_undo
    assert world.active == {old, world.held}
    world.sleep(0.9 * DAY)
    assert world.rotate().done == ()
    world.sleep(0.2 * DAY)
    assert world.rotate().done == (f"deactivated {old}",)


def test_undoing_again_changes_nothing(world: World) -> None:
    """What is undone stays undone; a scheduler may repeat its call."""
    old = deactivated(world)
    world.rotate(undo=True)
    requests = len(world.lagging.trace)
    status = world.rotate(undo=True)
    assert (status.phase, status.done, status.old_key.access_key_id) == ("settling", (), old)
    assert all(each.reads for each in world.lagging.trace[requests:])


def test_a_held_key_that_is_inactive_is_brought_back(world: World) -> None:
    """The store holds a key that somebody has deactivated: rotation stops, and says what to do."""
    held = str(world.held)
    world.lagging.truth.update_access_key(UserName=USER, AccessKeyId=held, Status="Inactive")
    error = world.rotate()
    assert isinstance(error, KeyConflictError)
    assert "undo=True" in str(error)
    status = world.rotate(undo=True)
    assert (status.phase, status.done) == ("current", (f"reactivated {held}",))
    assert world.active == {held}


def test_undoing_does_nothing_else(world: World) -> None:
    """A key that is due for replacement is not replaced on the way."""
    held = str(world.held)
    world.lagging.truth.update_access_key(UserName=USER, AccessKeyId=held, Status="Inactive")
    world.sleep(40 * DAY)
    status = world.rotate(undo=True)
    assert (status.phase, status.next_step) == ("current", "create a new key")
    assert due_in(world, status) == 0
    assert world.held == held


def test_undoing_for_an_empty_store_leaves_it_blocked(world: World) -> None:
    """Two keys and none in the store: one is brought back, but no key can be made."""
    other = world.make_by_hand()
    world.record(other)
    world.lagging.truth.update_access_key(UserName=USER, AccessKeyId=other, Status="Inactive")
    world.shelf.key = None
    status = world.rotate(undo=True)
    assert (status.phase, status.access_key_id, status.due_at) == ("blocked", None, None)
    assert status.done == (f"reactivated {other}",)
    assert other in status.next_step


def test_what_is_due_after_an_undo_is_left_to_the_next_call(world: World) -> None:
    """Without settling the key could go at once, but it was wanted back."""
    old = deactivated(world)
    status = world.rotate(undo=True, settle=0)
    assert (status.phase, status.done) == ("settling", (f"reactivated {old}",))
    assert due_in(world, status) == 0
    assert world.active == {old, world.held}


def test_somebody_may_undo_an_undo(world: World) -> None:
    """The status tells what is seen in the end."""
    old = deactivated(world)

    def deactivate() -> None:
        world.lagging.truth.update_access_key(UserName=USER, AccessKeyId=old, Status="Inactive")

    world.lagging.before_request(len(world.lagging.trace) + 19, deactivate)
    status = world.rotate(undo=True)
    assert (status.phase, status.next_step, status.can_undo) == ("grace", f"delete {old}", True)


def test_what_somebody_else_has_brought_back_is_not_ours_to_undo(world: World) -> None:
    """The key is active, and our note says that it should not be: nobody has undone anything."""
    old = deactivated(world)
    world.lagging.truth.update_access_key(UserName=USER, AccessKeyId=old, Status="Active")
    assert isinstance(world.rotate(undo=True), KeyConflictError)


def test_there_may_be_nothing_to_undo(world: World) -> None:
    """Nothing is inactive, and nothing was brought back lately."""
    error = world.rotate(undo=True)
    assert isinstance(error, KeyConflictError)
    assert "can be reactivated" in str(error)


# --- what is in the way ---------------------------------------------------------------------------


def test_two_keys_that_the_store_does_not_hold(world: World) -> None:
    """Neither is deleted unasked."""
    world.make_by_hand()
    world.shelf.key = None
    error = world.rotate()
    assert isinstance(error, KeyConflictError)
    assert {key.access_key_id for key in error.keys} == set(world.keys)


def test_a_store_that_cannot_be_read(world: World) -> None:
    """Nothing is known, so nothing is done."""
    aged(world)
    world.shelf.unreadable = True
    requests = len(world.lagging.trace)
    assert isinstance(world.rotate(), StoreError)
    assert all(each.reads for each in world.lagging.trace[requests:])


def test_a_user_that_is_gone(world: World) -> None:
    """IAM's words are passed on."""
    world.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=world.held)
    world.lagging.truth.delete_user(UserName=USER)
    error = world.rotate()
    assert isinstance(error, ObserveError)
    assert error.code == "NoSuchEntity"


def test_a_key_that_is_used_again_while_it_is_looked_at_stays(world: World) -> None:
    """What is decided on is what is seen then, not what was seen the day before."""
    old = replaced(world)
    world.sleep(2 * DAY)
    world.lagging.before_request(len(world.lagging.trace) + 1, lambda: used(world, old))
    assert world.rotate().done == ()
    assert old in world.active


def test_a_key_that_is_brought_back_at_the_last_moment_is_not_deleted(world: World) -> None:
    """Deleting is for good, so the keys are looked at once more, after all lag."""
    old = deactivated(world)
    world.sleep(4 * DAY)
    world.use()
    before = len(world.lagging.trace)
    world.lagging.before_request(before + 20, lambda: world.rotate(undo=True))
    status = world.rotate()
    assert (status.phase, status.done) == ("settling", ())
    assert world.active == {old, world.held}


def test_a_key_that_somebody_else_has_deleted_is_no_matter(world: World) -> None:
    """IAM does not know it any more when it is to be deactivated: it is looked for, and gone."""
    old = replaced(world)
    world.sleep(2 * DAY)

    def delete() -> None:
        world.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=old)

    before = len(world.lagging.trace)
    world.lagging.before_request(before + 11, delete)
    status = world.rotate()
    assert "UpdateAccessKey" in [each.operation for each in world.lagging.trace[before:]]
    assert (status.phase, status.done, status.old_key) == ("current", (), None)


def test_a_key_that_is_shown_and_never_there_is_an_error(world: World) -> None:
    """Lists show it, but IAM denies for the whole time that it is there to be deactivated."""
    replaced(world)
    world.sleep(2 * DAY)

    def miss(model: Any, **_event: object) -> None:
        words = "The Access Key with id X cannot be found."
        raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": words}}, model.name)

    world.lagging.session.events.register("before-call.iam.UpdateAccessKey", miss)
    began = world.lagging.clock.now
    error = world.rotate()
    assert isinstance(error, ApplyError)
    assert (error.operation, error.code) == ("UpdateAccessKey", "NoSuchEntity")
    assert 40 < world.lagging.clock.now - began <= 65


def test_a_reply_may_be_lost_after_the_old_key_was_deleted(world: World) -> None:
    """What may have been created is a suspect: it is named, retired, and replaced in the end."""
    graced = deactivated(world)
    held = str(world.held)
    world.sleep(40 * DAY)
    world.lagging.fail(Fault("connection closed", "CreateAccessKey", when="after", nth=1))
    error = world.rotate()
    assert isinstance(error, DeliveryError)
    assert f"DeleteAccessKey (user {USER}: {graced})" in str(error)
    (suspect,) = (key.access_key_id for key in error.suspects)
    assert world.active == {held, suspect}
    world.sleep(1.1 * DAY)
    assert world.rotate().done == (f"deactivated {suspect}",)
    world.sleep(3.1 * DAY)
    assert world.rotate().done == (f"deleted {suspect}", f"created and delivered {world.held}")
    assert world.active == {held, world.held}


def test_a_key_that_is_gone_cannot_be_brought_back(world: World) -> None:
    """Somebody deletes it in the very moment."""
    old = deactivated(world)

    def delete() -> None:
        world.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=old)

    world.lagging.before_request(len(world.lagging.trace) + 10, delete)
    error = world.rotate(undo=True)
    assert isinstance(error, KeyConflictError)
    assert "exactly one inactive access key" in str(error)


def test_a_refusal_tells_what_was_done_before(world: World) -> None:
    """AWS's words are passed on, with the requests that were carried out, and what is left."""
    replaced(world)
    world.sleep(2 * DAY)
    client = world.lagging.client("somebody without rights")

    def refuse(model: Any, **_event: object) -> None:
        if model.name == "UpdateAccessKey":
            reply: Any = {
                "Error": {"Code": "AccessDenied", "Message": "no"},
                "ResponseMetadata": {},
            }
            raise client.exceptions.ClientError(reply, "UpdateAccessKey")

    client.meta.events.register("before-call.iam", refuse)
    with pytest.raises(ApplyError) as caught:
        rotate_access_key(USER, deliver=world.shelf, max_age=30 * DAY, iam=client)
    assert [each.operation for each in caught.value.applied] == ["TagUser"]
    assert [each.operation for each in caught.value.remaining] == ["UpdateAccessKey"]


def test_a_new_key_may_be_on_its_way_to_the_store(world: World) -> None:
    """However short settling is: another program may be about to deliver it."""
    new = world.lagging.truth.create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]
    world.record(new)
    status = world.rotate(settle=0, grace=0)
    assert (status.phase, status.old_key.access_key_id) == ("settling", new)
    assert due_in(world, status) == round(1 / 24, 2)
    world.sleep(DAY / 24)
    assert world.rotate(settle=0, grace=0).done == (f"deactivated {new}", f"deleted {new}")


def test_whoever_does_not_wait_gets_there_too(world: World) -> None:
    """With no time to wait, one look must do."""
    old = deactivated(world)
    world.sleep(4 * DAY)
    status = world.rotate(propagation=attrs.evolve(world.lagging.propagation, timeout=0))
    assert status.done == (f"deleted {old}",)


def test_what_was_just_made_is_not_made_again() -> None:
    """Where lists lag for longer than anybody has seen, a call knows what it did itself."""
    with open_world(lagging_by(50)) as world:
        world.lagging.truth.create_user(UserName=USER, Tags=MANAGED)
        status = world.rotate()
        assert (status.phase, status.done) == ("current", (f"created and delivered {world.held}",))
        assert set(world.keys) == {world.held}


def test_what_was_just_deleted_is_not_deleted_again() -> None:
    """A list that still shows it is known to be late."""
    with open_world(lagging_by(20)) as world:
        world.lagging.truth.create_user(UserName=USER, Tags=MANAGED)
        world.rotate()
        world.lagging.settle()
        old = deactivated(world)
        world.sleep(4 * DAY)
        status = world.rotate()
        assert (status.phase, status.done) == ("current", (f"deleted {old}",))
        assert writes(world).count("DeleteAccessKey") == 1


def test_what_was_just_noted_is_not_noted_again() -> None:
    """So is a user without the note."""
    with open_world(lagging_by(5)) as world:
        world.lagging.truth.create_user(UserName=USER, Tags=MANAGED)
        world.rotate()
        world.lagging.settle()
        old = replaced(world)
        world.lagging.truth.update_access_key(UserName=USER, AccessKeyId=old, Status="Inactive")
        world.sleep(DAY)
        assert world.rotate().done == (f"recorded that {old} is inactive",)
        assert writes(world).count("TagUser") == 2  # the record of the first key is the other


def lagging_by(seconds: float) -> Profile:
    """An IAM whose reads are so late, always."""
    return Profile(lags={"read": Fixed(seconds)}, router=(0,), half_built=0.0, stale_writes=0.0)


def writes(world: World) -> list[str]:
    """What was sent that changes something."""
    return [each.operation for each in world.lagging.trace if not each.reads]


def test_the_agent_may_need_something(world: World) -> None:
    """A store that knows of its readers sees to them whenever it holds a good key, and says so."""
    shelf = ShelfWithReaders(world, world.shelf.key)
    world.shelf = shelf
    assert world.rotate().advice == "Restart it."
    assert shelf.settled == 1


def test_a_status_reads_well(world: World) -> None:
    """It is one line for a log."""
    aged(world)
    status = world.rotate()
    old = status.old_key.access_key_id
    assert str(status) == (
        f"settling: created and delivered {world.held}; "
        f"next: deactivate {old}, if it has not been used since at 2026-02-02 00:00 UTC"
    )
    world.shelf.key = None
    blocked = attrs.evolve(status, phase="blocked", next_step="decide", due_at=None, done=())
    assert str(blocked) == "blocked: next: decide"


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"max_age": -1}, "max_age"),
        ({"max_age": float("nan")}, "max_age"),
        ({"max_age": "90"}, "max_age"),
        ({"settle": -1}, "settle"),
        ({"settle": True}, "settle"),
        ({"grace": None}, "grace"),
        ({"grace": timedelta(days=-7)}, "grace"),
        ({"now": 1}, "now"),
        ({"existing": "all"}, "existing"),
        ({"max_age": 8 * DAY, "settle": DAY, "grace": 7 * DAY}, "max_age"),
        ({"deliver": "a path"}, "deliver"),
        ({"undo": "yes"}, "undo"),
        ({"user_name": "no spaces"}, "user_name"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, Any], argument: str) -> None:
    """Before anything is sent; a new key must not be too old before its predecessor is gone."""
    good: dict[str, Any] = {"user_name": USER, "deliver": World.__new__(World)}
    with pytest.raises(IntentError) as caught:
        rotate_access_key(**good | arguments)
    assert argument in {problem.argument for problem in caught.value.problems}
