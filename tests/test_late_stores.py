"""Stores that show late what was written, say too much, or see their program interrupted."""

from __future__ import annotations

import base64
import contextlib
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
import pytest

from cwagent_iam import DeliveryError, rotate_access_key
from cwagent_iam.errors import StoreError
from cwagent_iam.events import KeyDelivered
from cwagent_iam.testing import laggy_iam
from tests.deliveries import USER, Scene, Shelf, full_disk, lost, not_done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cwagent_iam import NewAccessKey

DAY = 86400.0


@attrs.define
class LateShelf(Shelf):
    """A place that shows for some time what was in it before.

    Attributes:
        lag: For how long, in seconds.
        now: Tells the time.
        complains: Whether it says that a write has failed.
    """

    lag: float = 0.0
    now: Callable[[], float] = float
    complains: bool = False
    _shown: str | None = None
    _until: float = 0.0

    def held(self) -> str | None:
        """Tell what was there, as long as it lags."""
        shown = super().held()
        return self._shown if self.now() < self._until else shown

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Take it, and show it later."""
        super().write(key, replacing=replacing)
        self._shown, self._until = replacing, self.now() + self.lag
        if self.complains:
            msg = "the answer was lost"
            raise OSError(msg)


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A user in an IAM without trouble."""
    with laggy_iam("off") as lagging:
        scene = Scene(lagging)
        scene.user()
        yield scene


def late(scene: Scene, lag: float, *, complains: bool = False) -> LateShelf:
    """Put a late shelf into the place of the other, with what is in that."""
    clock = scene.lagging.clock
    shelf = LateShelf(key=scene.shelf.key, lag=lag, now=lambda: clock.now, complains=complains)
    scene.shelf = shelf
    return shelf


def rotate(scene: Scene) -> Any:
    """Replace the key that is held, which is too old."""
    return rotate_access_key(
        USER,
        deliver=scene.shelf,
        max_age=20,
        settle=5,
        grace=5,
        session=scene.lagging.program("first"),
        propagation=attrs.evolve(scene.lagging.propagation, timeout=scene.timeout),
        on_event=scene.events.append,
    )


def test_a_store_may_show_late_what_was_written(scene: Scene) -> None:
    """It is read again for as long as anything is known to lag."""
    late(scene, 10)
    user = scene.deliver()
    assert user.access_key
    assert [user.access_key.access_key_id] == scene.ids


@pytest.mark.parametrize("complains", [False, True], ids=["silent", "complaining"])
def test_a_late_store_is_never_left_with_a_deleted_key(scene: Scene, *, complains: bool) -> None:
    """What it shows may be what it held, which was no reason to delete the new key."""
    scene.recorded()
    shelf = late(scene, 10, complains=complains)
    expected = pytest.raises(StoreError) if complains else contextlib.nullcontext()
    with expected:  # it holds the key, and says that it does not
        rotate(scene)
    scene.lagging.clock.sleep(60)
    assert shelf.held() in scene.ids


def test_a_late_store_may_have_no_time_left_to_show_it(scene: Scene) -> None:
    """The time is up before anything is known: both keys are left, and named."""
    old = scene.recorded()
    scene.timeout = 8.0
    shelf = late(scene, 9, complains=True)
    with pytest.raises(DeliveryError) as caught:
        rotate(scene)
    assert caught.value.fate == "in doubt"
    assert old in str(caught.value)
    scene.lagging.clock.sleep(60)
    assert shelf.held() in scene.ids


def test_a_store_that_shows_what_it_held_for_good_is_in_doubt(scene: Scene) -> None:
    """It says that it was written: neither the old nor the new key is deleted, and both named."""
    old = scene.recorded()
    late(scene, 1e6)
    with pytest.raises(DeliveryError) as caught:
        rotate(scene)
    assert caught.value.fate == "in doubt"
    assert old in str(caught.value)
    assert sorted([old, str(caught.value.access_key_id)]) == scene.ids


def test_a_store_without_a_key_that_fails_is_not_waited_for(scene: Scene) -> None:
    """A full disk is told at once, since nothing can be lost."""
    full_disk(scene)
    began = scene.lagging.clock.now
    with pytest.raises(DeliveryError) as caught:
        scene.deliver()
    assert (caught.value.fate, scene.ids) == ("deleted", [])
    assert scene.lagging.clock.now - began < 12  # IAM's lists are looked at after the deletion


def test_the_time_may_be_up_shown_a_store_shows_anything(scene: Scene) -> None:
    """Then what it has shown last counts."""
    scene.recorded()
    scene.timeout = 3.0
    scene.shelf.key = ("AKIA" + 16 * "G", "")
    late(scene, 1e6)
    with pytest.raises(DeliveryError) as caught:
        scene.deliver()
    assert caught.value.fate == "deleted"


def test_a_store_that_cannot_be_read_for_a_moment_is_read_again(scene: Scene) -> None:
    """Somebody else may have seen the new key in it already, and rely on it."""
    left = [OSError("busy")] * 3

    def busy() -> None:
        if left:
            raise left.pop()

    scene.shelf.after_write = lambda: scene.on("held", busy)
    user = scene.deliver()
    assert user.access_key
    assert [user.access_key.access_key_id] == scene.ids


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in JSON": lambda secret: secret.replace("/", "\\/"),
    "in base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "in hexadecimal": lambda secret: secret.encode().hex(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_a_store_says_of_a_secret_is_not_passed_on(scene: Scene, spelling: str) -> None:
    """Not even where it is read back, and quotes what it cannot read."""
    spelt = []

    def blab() -> None:
        assert scene.shelf.key
        spelt.append(SPELLINGS[spelling](scene.shelf.key[1]))
        msg = f"cannot read <{spelt[0]}>"
        raise ValueError(msg)

    scene.shelf.after_write = lambda: scene.on("held", blab)
    with pytest.raises(DeliveryError) as caught:
        scene.deliver()
    assert spelt[0] not in "".join(traceback.format_exception(caught.value))
    assert f"it cannot be read (ValueError in {__file__}, line " in str(caught.value)


def test_a_store_that_names_itself_by_its_secret_is_not_asked_for_its_name(scene: Scene) -> None:
    """Its name is what it was before it had the secret."""
    shelf = type("Teller", (Shelf,), {"__str__": lambda self: f"shelf with {self.key}"})()
    scene.shelf = shelf
    scene.deliver()
    delivered = [event.store for event in scene.events if isinstance(event, KeyDelivered)]
    assert delivered == ["shelf with None"]


# --- interrupts -----------------------------------------------------------------------------------


def test_an_interrupt_while_a_lost_reply_is_looked_into_leaves_a_note(scene: Scene) -> None:
    """That takes seconds, and nobody knows yet whether there is a key."""
    lost(scene)
    sent = len(scene.lagging.trace)

    def interrupt() -> None:
        raise KeyboardInterrupt

    scene.lagging.before_request(sent + 14, interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        scene.deliver()
    assert f"May have been applied: CreateAccessKey (user {USER})." in caught.value.__notes__
    assert len(scene.ids) == 1


def test_what_the_caller_raises_at_an_event_leaves_a_note_too(scene: Scene) -> None:
    """The same in the same moment, by a callback."""

    def fail(event: object) -> None:
        if "lists of the access keys differ" in str(event):
            raise LookupError

    not_done(scene)
    scene.on_event = fail
    with pytest.raises(LookupError) as caught:
        scene.deliver()
    assert f"May have been applied: CreateAccessKey (user {USER})." in caught.value.__notes__


def test_an_interrupt_leaves_what_a_store_may_still_show(scene: Scene) -> None:
    """It held a key that works, so the new one is named, and not deleted."""
    old = scene.recorded()
    late(scene, 1e6)

    def interrupt(event: object) -> None:
        if "does not show the access key" in str(event):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        rotate_access_key(
            USER,
            deliver=scene.shelf,
            max_age=20,
            settle=5,
            grace=5,
            session=scene.lagging.program("first"),
            propagation=scene.lagging.propagation,
            on_event=interrupt,
        )
    (new,) = set(scene.ids) - {old}
    assert f"access key {new} was created, and it may be in the store" in caught.value.__notes__


def refuse_new_keys(scene: Scene) -> None:
    """Let STS refuse each key that is verified by several answers."""
    scene.while_sending(
        "CreateAccessKey", lambda: scene.answer("GetCallerIdentity", "SignatureDoesNotMatch")
    )


# --- what was done --------------------------------------------------------------------------------


def test_a_key_that_was_made_is_a_change(scene: Scene) -> None:
    """The result says so, in words too; one that was kept is none."""
    first, second = scene.deliver(), scene.deliver()
    assert (first.changed, second.changed) == (True, False)
    assert first.access_key
    made = first.access_key.access_key_id
    assert f"access key {made} created. Water the plants." in str(first)
    assert f"access key {made} kept. Water the plants." in str(second)


def test_errors_list_what_was_done_about_keys(scene: Scene) -> None:
    """Whether a user is ensured or a key is rotated."""
    full_disk(scene)
    with pytest.raises(DeliveryError) as caught:
        scene.deliver()
    done = [each.operation for each in caught.value.applied]
    assert done == ["CreateAccessKey", "TagUser", "DeleteAccessKey", "UntagUser"]


def test_errors_of_a_rotation_list_it_too(scene: Scene) -> None:
    """After the changes to the user, if there were any."""
    scene.recorded()
    refuse_new_keys(scene)
    with pytest.raises(DeliveryError) as caught:
        rotate(scene)
    assert [each.operation for each in caught.value.applied] == ["CreateAccessKey", "TagUser"]
