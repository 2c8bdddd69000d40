"""The core of access keys without an executor: outcomes in, effects out."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs
import pytest

from cwagent_iam import SharedCredentialsFile, apply, ensure_agent_user
from cwagent_iam.access_keys.delivery import ensure_user_with_key
from cwagent_iam.access_keys.steps import DAY, Terms
from cwagent_iam.changes import ChangeSet, CreateAccessKey
from cwagent_iam.errors import (
    CwAgentIamError,
    DeliveryError,
    IntentError,
    KeyConflictError,
    ObserveError,
    PropagationTimeoutError,
    StoreError,
)
from cwagent_iam.requests import (
    Deliver,
    Emit,
    Interrupted,
    Reply,
    Request,
    Send,
    Settle,
    Unsent,
    Verify,
)
from tests.core import (
    BUSY,
    DENIED,
    THROTTLED,
    USER,
    USER_PLAN,
    Lost,
    no_such,
    operations,
    pauses,
    refusal,
    to_ensure,
)
from tests.core_keys import NO_STORE, TARGET, TERMS, KeyWorld, delivered, script
from tests.tracing import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.requests import Effect
    from tests.core import Answer


CORE = ("access_keys/delivery.py", "reconcile/call.py")


def waves(world: KeyWorld) -> list[list[str]]:
    """Return the effects in order: requests side by side, and what the store is asked."""
    effects = [each for each in world.effects if not isinstance(each, Emit)]
    return [
        sorted({request.operation for request in each.requests})
        if isinstance(each, Send)
        else [type(each).__name__]
        for each in effects
    ]


def named(world: KeyWorld, error: BaseException | None) -> bool:
    """Return whether each key that is not in the store is recorded, tagged or named in *error*."""
    told = f"{error} {getattr(error, '__notes__', '')} {world.tags}"
    unheld = set(world.keys) - {world.shelf[0] if world.shelf else ""}
    return all(name in told for name in unheld) or "May have been applied: CreateAccess" in told


def interrupted(call: Callable[[], object]) -> KeyboardInterrupt | None:
    """Make a call; return the interrupt that ended it."""
    try:
        call()
    except KeyboardInterrupt as stop:
        return stop
    return None


def works(world: KeyWorld) -> bool:
    """Return whether the store holds an active key with its secret."""
    name, secret = world.shelf or ("", "")
    return world.keys.get(name) == "Active" and world.secrets[name] == secret


class TestLife:
    """A key from its creation to its end."""

    def test_creation(self) -> None:
        """The record is written beside the reads that confirm the user."""
        world = KeyWorld()
        result, key = world.deliver()
        made = ["CreateUser", "AttachUserPolicy", "CreateAccessKey", "TagUser"]
        assert operations(result.changes) == made
        assert (key.action, key.advice) == ("created", "Restart the agent.")
        assert waves(world) == [
            ["Hold"],
            ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies"],
            ["CreateUser"],
            ["AttachUserPolicy"],
            ["Hold"],
            ["CreateAccessKey"],
            ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies", "TagUser"],
            ["Deliver"],
            ["Hold"],
            ["Verify"],
            ["Settle"],
        ]

    def test_again(self) -> None:
        """A second call reads once, and verifies what the store holds."""
        world = delivered()
        _, key = world.deliver()
        reads = ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies"]
        assert (key.action, waves(world)) == (
            "kept",
            [["Hold"], reads, ["Verify"], ["Settle"]],
        )

    def test_rotation(self) -> None:
        """Each call does what is due: replace, deactivate, delete."""
        world = delivered(31 * DAY)
        phases, changes = [], []
        for _ in range(4):
            status = world.rotate()
            phases.append(status.phase)
            changes.append(operations(status.changes))
            world = world.later(1.5 * DAY if status.phase == "settling" else 4 * DAY)
        assert phases == ["settling", "grace", "current", "current"]
        assert changes == [
            ["CreateAccessKey", "TagUser"],
            ["TagUser", "UpdateAccessKey"],
            ["DeleteAccessKey", "UntagUser"],
            [],
        ]
        assert list(world.keys) == [world.delivered[-1]]

    def test_a_mask(self) -> None:
        """Reading back finds a store that has kept a mask in place of the secret."""
        world = KeyWorld()
        world.written = lambda name, _: setattr(world, "shelf", (name, "****"))
        with pytest.raises(CwAgentIamError, match="SignatureDoesNotMatch"):
            world.deliver()
        with pytest.raises(KeyConflictError, match="does not work"):
            world.later().deliver()

    @pytest.mark.parametrize("call", [KeyWorld.deliver, KeyWorld.rotate])
    def test_a_store_that_cuts_the_id(self, call: Callable[[KeyWorld], object]) -> None:
        """If a write fails and spoils the store, no other key is created for it."""
        world = delivered(31 * DAY)
        if call is KeyWorld.deliver:
            world.shelf = None
            world.do("DeleteAccessKey", UserName=USER, AccessKeyId=world.delivered[0])

        def cut(name: str, secret: str) -> None:
            world.shelf = (name[:16], secret)
            raise StoreError(store="shelf", problem="cut")

        world.written = cut
        with pytest.raises(DeliveryError, match="cut; it holds AKIA") as caught:
            call(world)
        assert (caught.value.fate, len(world.secrets)) == ("deleted", 2)

    def test_a_proxy_that_spoils_signatures(self) -> None:
        """A key that one Region rejects for its signature works if another accepts it."""

        class Proxied(KeyWorld):
            def perform(self, effect: Effect) -> Any:
                wrong = refusal("SignatureDoesNotMatch", "The signature does not match.")
                if isinstance(effect, Verify) and not effect.region:
                    return (wrong,) * effect.copies
                return KeyWorld.perform(self, effect)

        _, key = Proxied().deliver()
        assert key.action == "created"


CREATION = ["CreateUser", "AttachUserPolicy", "CreateAccessKey", "TagUser"]
READS = ["GetUser", "ListAccessKeys"]
TURNS: dict[str, Answer] = {
    "reply lost, done": Lost(),
    "reply lost, not done": Lost(done=False),
    "throttled": THROTTLED,
    "busy": BUSY,
    "denied": DENIED,
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("operation", [*CREATION, *READS])
def test_one_outcome(operation: str, turn: str) -> None:
    """After any outcome of any request, no key is unnamed; later calls converge on a key."""
    world = KeyWorld()
    script(world, operation, TURNS[turn])
    error: CwAgentIamError | None = None
    try:
        world.deliver()
    except CwAgentIamError as caught:
        error = caught
    assert named(world, error)
    for _ in range(2):
        world = world.later(2 * DAY)
        world.deliver()
    assert works(world)


@pytest.mark.parametrize("sent", [0, 1, 3])
def test_interrupts(sent: int) -> None:
    """After an interrupt of any effect, no key is unnamed, and the next call delivers one."""
    for place in range(100):
        world = KeyWorld()
        stop = interrupted(lambda: world.deliver(stop_at=place, sent=sent))  # noqa: B023
        if not stop:
            break
        assert named(world, stop)
        assert not world.readable_secrets
        after = world.later(DAY)
        after.deliver()
        assert works(after)
    assert place > 10


def deliver(world: KeyWorld) -> None:
    """Make the call that creates the first key."""
    world.deliver()


@pytest.mark.parametrize("call", [deliver, KeyWorld.rotate])
def test_every_line(call: Callable[[KeyWorld], object]) -> None:
    """After an interrupt at any line no key is unnamed, and no secret can be read."""
    for number in range(1, 1000):
        world = KeyWorld() if call is deliver else delivered(31 * DAY)
        armed = partial(bool, world.sealed)
        stop = interrupted(partial(interrupt, partial(call, world), CORE, number, armed))
        assert named(world, stop)
        assert not world.readable_secrets
        if not stop:
            break
    assert number > 100


def test_interrupted_rotation() -> None:
    """After an interrupt of a rotation the store holds a working key, and later calls continue."""
    for place in range(200):
        world = delivered(31 * DAY)
        stop = interrupted(lambda: world.rotate(stop_at=place))  # noqa: B023
        if not stop:
            break
        assert named(world, stop)
        assert works(world)
        for _ in range(3):
            world = world.later(5 * DAY)
            world.rotate()
            assert works(world)
    assert place > 10


@pytest.mark.parametrize("days", [2, 6])
def test_interrupted_end(days: int) -> None:
    """After an interrupt of a call that retires the old key, the next calls continue."""
    for place in range(200):
        world = delivered(31 * DAY)
        for pause in [2, 6][: [2, 6].index(days) + 1]:
            world.rotate()
            world = world.later(pause * DAY)
        stop = interrupted(lambda: world.rotate(stop_at=place))  # noqa: B023
        if not stop:
            break
        assert works(world)
        for _ in range(3):
            world = world.later(5 * DAY)
            world.rotate()
        assert list(world.keys) == [world.delivered[-1]]
        assert works(world)
    assert place > 3


def test_at_most_one_key_a_call() -> None:
    """A rotation with ``now=True`` and tiny ages creates at most one key in each call."""
    world = delivered(10.0)
    tiny = Terms(max_age=1.0, settle=0.0, grace=0.0, now=True)
    for _ in range(5):
        created = len(world.secrets)
        world.rotate(tiny)
        assert len(world.secrets) <= created + 1
        assert works(world)
        world = world.later(DAY)


def test_unreadable_store() -> None:
    """Only its use proves that a key works if its store cannot be read back."""
    world = delivered(31 * DAY, readable=False)
    first = world.delivered[0]
    world.rotate()
    for _ in range(4):
        world = world.later(10 * DAY)
        assert world.rotate(attrs.evolve(TERMS, max_age=300 * DAY)).phase == "settling"
    world.use(world.delivered[-1])
    world.rotate(attrs.evolve(TERMS, max_age=300 * DAY))
    assert world.keys[first] == "Inactive"


class TestVerify:
    """``existing="verify"``."""

    def test_no_key(self) -> None:
        """A managed user without a key stays as it is, and the error says why."""
        world = delivered()
        world.shelf = None
        with pytest.raises(KeyConflictError, match='existing="verify" changes nothing'):
            world.deliver("verify")
        assert world.writes == []

    def test_no_record(self) -> None:
        """A held key that works is kept, and is not recorded; the store is not settled."""
        world = delivered()
        world.things[TARGET]["seen"]["Tags"] = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
        _, key = world.deliver("verify")
        assert (key.action, key.advice, world.writes) == ("kept", "", [])
        assert not any(isinstance(each, Settle) for each in world.effects)

    def test_rotation(self) -> None:
        """A rotation that is due is refused."""
        world = delivered(31 * DAY)
        with pytest.raises(KeyConflictError, match='existing="verify" changes nothing'):
            world.rotate(existing="verify")
        assert world.writes == []


class TestRecords:
    """Tags that people have changed."""

    @pytest.mark.parametrize(
        "value", ["2026-01-01T00:00:00Z", "", "2026-01-01T00:00:00Z replaces=X"]
    )
    def test_malformed(self, value: str) -> None:
        """A key whose record is malformed or names no store is in the way."""
        world = delivered(31 * DAY)
        old = world.delivered[0]
        world.rotate()
        world.tag(**{f"cwagent-iam:key:{old}": value})
        world = world.later(31 * DAY)
        with pytest.raises(KeyConflictError, match=f"second access key .*{old}"):
            world.rotate()
        assert world.writes == []

    def test_lower_case(self) -> None:
        """A record whose name is in lower case is the same record."""
        world = delivered(31 * DAY)
        world.rotate()
        user = world.things[TARGET]["seen"]
        user["Tags"] = [{**each, "Key": each["Key"].lower()} for each in user["Tags"]]
        world = world.later(2 * DAY)
        user["Tags"][0] = {"Key": "ManagedBy", "Value": "cwagent-iam"}
        assert world.rotate().phase == "grace"
        assert operations(world.rotate().changes) == []

    def test_fifty_tags(self) -> None:
        """Without room for a record no key is created; a held key that works is kept."""
        world = delivered(31 * DAY)
        world.tag(**{f"t{number}": "x" for number in range(48)})
        with pytest.raises(KeyConflictError, match="50 tags"):
            world.rotate()
        user = world.things[TARGET]["seen"]
        kept = [each for each in user["Tags"] if "cwagent-iam:" not in each["Key"]]
        user["Tags"] = [*kept, {"Key": "last", "Value": "x"}]
        assert world.deliver()[1].action == "kept"
        world.shelf = None
        world.things[TARGET]["keys"] = []
        with pytest.raises(KeyConflictError, match="50 tags"):
            world.deliver()
        assert world.writes == []


class TestRegions:
    """STS in a Region that the account has not enabled."""

    @pytest.mark.parametrize("owner", ["account 999999999999", ""])
    def test_owner(self, owner: str) -> None:
        """STS in another Region names the account of a key that IAM does not know."""
        world = delivered(regions=frozenset({"us-east-1"}))
        gone = "AKIA9999999999999999"
        if not owner:
            world.secrets[gone] = "x"
        world.shelf = (gone, "x")
        world.things[TARGET]["keys"] = []
        if owner:
            with pytest.raises(KeyConflictError, match=owner):
                world.deliver()
        else:
            assert world.deliver()[1].action == "replaced"

    def test_nowhere(self) -> None:
        """If STS refuses in each Region, the owner is unknown, and nothing is written."""
        world = delivered(regions=frozenset({"us-east-1"}))
        world.shelf = ("AKIA9999999999999999", "x")
        world.things[TARGET]["keys"] = []
        world.regions = frozenset()
        with pytest.raises(ObserveError, match="GetAccessKeyInfo"):
            world.deliver()
        assert world.writes == []

    @pytest.mark.parametrize(
        ("age", "error"), [(2 * DAY, KeyConflictError), (60.0, PropagationTimeoutError)]
    )
    def test_rejected(self, age: float, error: type[CwAgentIamError]) -> None:
        """A key that STS rejects everywhere may be too new; after a day it does not work."""
        world = delivered(age)
        world.regions = frozenset()
        with pytest.raises(error):
            world.deliver()
        assert (pauses(world) == [1, 2, 2]) is (error is KeyConflictError)


class TestNames:
    """Errors name the keys that come from a request whose reply was lost."""

    @pytest.mark.parametrize("second", [DENIED, Lost(done=False)])
    def test_second_refusal(self, second: Answer) -> None:
        """If the next request is refused, the error names what the first one has created."""
        world = KeyWorld()
        script(world, "CreateAccessKey", Lost(), second)
        script(world, "ListAccessKeys", *[None] * 40)
        try:
            world.deliver()
        except CwAgentIamError as error:
            (left,) = world.keys
            assert left in str(error)  # noqa: PT017
        else:
            assert works(world)

    def test_interrupts(self) -> None:
        """The note on an interrupt names the key too, once a list shows it."""
        for place in range(100):
            world = KeyWorld()
            script(world, "CreateAccessKey", Lost())
            stop = interrupted(lambda: world.deliver(stop_at=place, sent=9))  # noqa: B023
            if not stop:
                break
            told = f"{getattr(stop, '__notes__', '')} {world.tags} {world.shelf}"
            assert all(name in told for name in world.keys)
        assert place > 10


def test_the_record_is_refused() -> None:
    """The new key is deleted, even if UntagUser is refused too, and the error says so."""
    world = KeyWorld()
    script(world, "TagUser", *[DENIED] * 9)
    script(world, "UntagUser", *[DENIED] * 9)
    with pytest.raises(DeliveryError) as caught:
        world.deliver()
    assert (caught.value.fate, world.keys) == ("deleted", {})
    assert "UntagUser" not in world.writes


def test_a_stale_host_does_not_know_the_user() -> None:
    """A rotation that has read the user sends CreateAccessKey again if a host refuses it."""
    world = delivered(31 * DAY)
    script(world, "CreateAccessKey", no_such("user", USER))
    assert world.rotate().phase == "settling"


def test_a_denied_read_is_not_an_unknown_key() -> None:
    """An explicit deny of GetAccessKeyLastUsed ends the call; the key may be another user's."""
    world = delivered()
    world.shelf = ("AKIA9999999999999999", "x")
    words = "CALLER is not authorized to perform: X on resource: access key Y with an explicit deny"
    script(world, "GetAccessKeyLastUsed", *[refusal("AccessDenied", words)] * 99)
    with pytest.raises(ObserveError, match="explicit deny"):
        world.deliver()
    assert world.writes == []


def test_a_slow_unreadable_store() -> None:
    """A verification long after the record does not prove that another program uses the key."""
    world = delivered(31 * DAY, readable=False)

    def slow(name: str, secret: str) -> None:
        world.now += 2000
        world.shelf = (name, secret)

    world.written = slow
    world.rotate()
    world.use(world.delivered[-1], "sts")
    world = world.later(2 * DAY)
    assert world.rotate().phase == "settling"


def test_a_late_error_of_the_store() -> None:
    """If the store reports an error, although it holds the key, the error says that it works."""
    world = KeyWorld()

    def late(name: str, secret: str) -> None:
        world.shelf = (name, secret)
        raise StoreError(store="shelf", problem="it is slow")

    world.written = late
    with pytest.raises(StoreError, match=r"it is slow; yet it holds access key \w+, which works"):
        world.deliver()


def test_undo_prefers_the_held_key() -> None:
    """If the held key and the old one are inactive, the held one is reactivated first."""
    world = delivered(31 * DAY)
    world.rotate()
    world = world.later(2 * DAY)
    world.rotate()
    held = world.delivered[-1]
    world.do("UpdateAccessKey", UserName=USER, AccessKeyId=held, Status="Inactive")
    assert world.preview().can_undo
    world.undo()
    assert world.keys[held] == "Active"


def test_preview_names_the_held_key() -> None:
    """A held key that does not work is the only one that a preview asks to decide about."""
    world = delivered(31 * DAY)
    world.rotate()
    name, _ = world.shelf or ("", "")
    world.shelf = (name, "****")
    world = world.later()
    status = world.preview()
    assert (status.phase, status.next_step) == (
        "blocked",
        f"decide about {name}: held does not work",
    )
    assert not any(isinstance(each, Settle) for each in world.effects)


def test_own_use() -> None:
    """The last use in the status is that before this call verified the key, also after a step."""
    world = delivered(31 * DAY)
    world.rotate()
    world = world.later(2 * DAY)
    world.use(world.delivered[-1], "logs")
    verified = world.perform

    def perform(effect: Effect) -> Any:
        result = verified(effect)
        if isinstance(effect, Verify):
            world.use(world.delivered[-1], "sts")
        return result

    with patch.object(KeyWorld, "perform", lambda _world, effect: perform(effect)):
        status = world.rotate()
    assert status.held_key
    assert (status.phase, status.held_key.last_service) == ("grace", "logs")
    assert not status.restart_needed


def test_restart_needed() -> None:
    """`restart_needed` is true until a program uses the key that the agent does not notice."""
    world = delivered(31 * DAY)
    assert world.rotate().restart_needed
    world = world.later(3600)
    assert world.rotate().restart_needed
    world.use(world.delivered[-1])
    assert not world.rotate().restart_needed


class TestRivals:
    """Another process that rotates the key between two requests."""

    @staticmethod
    def rotates(world: KeyWorld) -> Callable[[], None]:
        """Return what creates a key as another process, and puts it into the store."""

        def act() -> None:
            world.do("CreateAccessKey", UserName=USER)
            name = list(world.secrets)[-1]
            world.shelf = (name, world.secrets[name])

        return act

    def test_during_a_conflict(self) -> None:
        """If the store shows a key while a conflict is confirmed, there is no conflict."""
        world = delivered()
        first = world.shelf
        world.do("CreateAccessKey", UserName=USER)
        world.shelf = None
        script(world, "ListAccessKeys", *[None] * 8, lambda: setattr(world, "shelf", first))
        assert world.deliver()[1].action == "kept"

    def test_before_the_verification(self) -> None:
        """If the store changes before a verification, the call looks again, and keeps the key."""
        world = delivered()
        script(world, "ListAccessKeys", lambda: setattr(world, "shelf", ("AKIA" + "7" * 16, "x")))
        script(world, "GetUser", None, self.rotates(world))
        _, key = world.deliver()
        assert (key.action, key.access_key_id) == ("kept", list(world.secrets)[-1])
        assert "CreateAccessKey" not in world.writes

    def test_before_the_record(self) -> None:
        """If the store changes before a held key is recorded, the other key is recorded."""
        world = delivered()
        user = world.things[TARGET]["seen"]
        user["Tags"] = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
        script(world, "ListAccessKeys", None, self.rotates(world))
        _, key = world.deliver()
        assert key.access_key_id == list(world.secrets)[-1]
        assert list(world.tags)[1:] == [f"cwagent-iam:key:{key.access_key_id}"]

    def test_in_a_rotation(self) -> None:
        """A rotation that finds another key in the store looks again."""
        world = delivered(31 * DAY)
        script(world, "GetAccessKeyLastUsed", self.rotates(world))
        status = world.rotate()
        assert status.access_key_id == list(world.secrets)[-1]
        assert "CreateAccessKey" not in world.writes

    def test_in_a_preview(self) -> None:
        """So does a preview."""
        world = delivered(31 * DAY)
        script(world, "GetAccessKeyLastUsed", self.rotates(world))
        assert world.preview().access_key_id == list(world.secrets)[-1]
        assert world.writes == []

    def test_for_good(self) -> None:
        """If the store never stops changing, the call ends at the timeout."""
        world = delivered()
        world.busy = True
        with pytest.raises(PropagationTimeoutError):
            world.deliver()
        assert world.writes == []


class TestStale:
    """Hosts that do not know the user or the key yet."""

    def test_one_read_of_the_user(self) -> None:
        """A rotation reads again if one host does not know the user, or later all do not."""
        missing = no_such("user", USER)
        world = delivered(31 * DAY)
        script(world, "GetUser", missing, *[None] * 3, *[missing] * 3)
        assert world.rotate().phase == "settling"

    def test_no_user(self) -> None:
        """If no read of the first round knows the user, there is none."""
        with pytest.raises(ObserveError, match="NoSuchEntity"):
            KeyWorld().rotate()

    def test_the_record(self) -> None:
        """A record that a host refuses because it does not know the user is sent again."""
        world = delivered(31 * DAY)
        script(world, "TagUser", *[no_such("user", USER)] * 2)
        assert world.rotate().phase == "settling"

    def test_a_list_after_a_lost_reply(self) -> None:
        """A list of a host that does not know the user shows no key, and is no error."""
        world = delivered(31 * DAY)
        script(world, "CreateAccessKey", Lost())
        script(world, "ListAccessKeys", *[None] * 3, *[no_such("user", USER)] * 2)
        with pytest.raises(DeliveryError) as caught:
            world.rotate()
        assert len(world.keys) == 2
        assert named(world, caught.value)

    def test_a_deletion(self) -> None:
        """If IAM goes on showing a key that it does not know, the error names it."""
        world = delivered(31 * DAY)
        old = world.delivered[0]
        for days in (2, 4):
            world.rotate()
            world = world.later(days * DAY)
        script(world, "DeleteAccessKey", *[no_such("key", old)] * 99)
        with pytest.raises(CwAgentIamError, match=f"DeleteAccessKey .* NoSuchEntity.*{old}"):
            world.rotate()


class TestTwins:
    """A client with retries of its own, whose first request had no reply."""

    def test_success(self) -> None:
        """The key of the other request is a suspect."""
        world = KeyWorld(twins=True)
        _, key = world.deliver()
        assert [each.access_key_id for each in key.suspects] == [min(world.keys)]

    @pytest.mark.parametrize("how", ["raises", "keeps nothing", "keeps a mask", "raises late"])
    def test_store(self, how: str) -> None:
        """An error about the store names it too, or it is tagged."""
        world = KeyWorld(twins=True)

        def written(name: str, secret: str) -> None:
            if how in {"keeps a mask", "raises late"}:
                world.shelf = (name, "****" if how == "keeps a mask" else secret)
            if how.startswith("raises"):
                raise StoreError(store="shelf", problem="no")

        world.written = written
        with pytest.raises(CwAgentIamError) as caught:
            world.deliver()
        told = f"{caught.value} {world.tags}"
        assert all(name in told for name in world.keys)

    def test_record(self) -> None:
        """So does an error about the record."""
        world = KeyWorld(twins=True)
        script(world, "TagUser", DENIED, DENIED)
        with pytest.raises(DeliveryError, match="AKIA0000000000000001"):
            world.deliver()

    def test_interrupts(self) -> None:
        """So does the note on an interrupt."""
        for place in range(12, 200):
            world = KeyWorld(twins=True)
            stop = interrupted(lambda: world.deliver(stop_at=place))  # noqa: B023
            if not stop:
                break
            told = f"{getattr(stop, '__notes__', '')} {world.tags} {world.shelf}"
            assert all(name in told for name in world.keys), (place, told, world.keys, waves(world))
        assert place > 20


class TestLost:
    """Requests for a key whose replies are lost, where IAM then has no room for another key."""

    @staticmethod
    def suspects(world: KeyWorld) -> set[str]:
        """Return the ids with a suspect tag."""
        return {tag.rpartition(":")[2] for tag in world.tags if tag.startswith("cwagent-iam:sus")}

    def test_twice(self) -> None:
        """The keys of both requests get a tag, so that a rotation can retire them."""
        world = KeyWorld()
        script(world, "CreateAccessKey", Lost(), Lost())
        with pytest.raises(DeliveryError, match="no room for another key") as caught:
            world.deliver()
        assert {key.access_key_id for key in caught.value.suspects} == {*world.keys}
        assert self.suspects(world) == {*world.keys}

    def test_rotation(self) -> None:
        """A rotation names the key in its error; later ones retire it, and then create another."""
        world = delivered(31 * DAY)
        script(world, "CreateAccessKey", Lost())
        with pytest.raises(DeliveryError, match="no room for another key"):
            world.rotate()
        lost = list(world.keys)[-1]
        assert self.suspects(world) == {lost}
        for _ in range(3):
            world = world.later(4 * DAY)
            world.rotate()
        assert lost not in world.keys
        assert works(world)


class TestLostLong:
    """A key of a lost request that no list shows for longer than any usual lag."""

    @pytest.mark.parametrize("second", [DENIED, Unsent(code=None, message="expired"), None])
    def test_error(self, second: Answer) -> None:
        """It is named by the result, or by the error of the next request."""
        world = KeyWorld()
        script(world, "CreateAccessKey", Lost(), second)
        hidden = world.answers

        def hide(request: Request) -> Answer:
            late = world.now < 1_000_000.0 + 24 and request.operation == "ListAccessKeys"
            return Reply(content={"AccessKeyMetadata": []}, date=world.now) if late else None

        world.answers = hide
        error: CwAgentIamError | None = None
        try:
            world.deliver()
        except CwAgentIamError as caught:
            error = caught
        world.answers = hidden
        told = f"{error} {getattr(error, '__notes__', '')} {world.tags}"
        unheld = set(world.keys) - {world.shelf[0] if world.shelf else ""}
        assert all(name in told for name in unheld) or (
            "May have been applied: CreateAccessKey" in told
        )


class TestStaleLists:
    """Hosts that do not know a key yet, for less than the longest usual lag."""

    def test_another_key_in_the_store(self) -> None:
        """Another key that appears in the store is doubted for as long as the first one was."""
        world = delivered()
        world.things[TARGET]["keys"] = []
        before, begun = copy.deepcopy(world.things), world.now

        def answers(request: Request) -> Answer:
            if world.now > begun + 13 and len(world.secrets) == 1:
                world.do("CreateAccessKey", UserName=USER)
                world.shelf = list(world.secrets.items())[-1]
            return before if request.row.reads and world.now < begun + 23 else None

        world.answers = answers
        _, key = world.deliver()
        assert (key.action, len(world.secrets), works(world)) == ("kept", 2, True)

    def test_a_key_that_was_shown(self) -> None:
        """A key that one list has shown leaves no room for another, even if later lists miss it."""
        world = delivered(31 * DAY)
        before, begun = copy.deepcopy(world.things), world.now
        world.do("CreateAccessKey", UserName=USER)
        script(world, "ListAccessKeys", None)

        def answers(request: Request) -> Answer:
            fresh = request.operation == "ListAccessKeys" and world.script["ListAccessKeys"]
            late = request.row.reads and world.now < begun + 10
            return before if late and not fresh else None

        world.answers = answers
        with pytest.raises(KeyConflictError, match="second access key"):
            world.rotate()
        assert "CreateAccessKey" not in {request.operation for request, _ in world.log}

    def test_a_record(self) -> None:
        """A record that one read misses, and later ones show, is not written again."""
        world = delivered()
        stale = copy.deepcopy(world.things)
        tags = stale[TARGET]["seen"]["Tags"]
        tags[:] = [each for each in tags if "cwagent-iam:key" not in each["Key"]]
        script(world, "GetUser", stale)
        _, key = world.deliver()
        assert key.action == "kept"
        assert "TagUser" not in {request.operation for request, _ in world.log}

    def test_an_old_key_that_was_shown(self) -> None:
        """An old key is known everywhere: once lists and uses miss it, it is deleted."""
        world = delivered()
        world.do("CreateAccessKey", UserName=USER)
        world = world.later(DAY)
        before = copy.deepcopy(world.things)
        world.do("DeleteAccessKey", UserName=USER, AccessKeyId=list(world.keys)[-1])
        script(world, "ListAccessKeys", before)
        _, key = world.deliver()
        assert (key.action, sum(pauses(world)) < 1) == ("kept", True)

    def test_the_held_key_does_not_work(self) -> None:
        """The error names the other key too: it may be the one that works."""
        world = delivered(31 * DAY)
        world.rotate()
        world.shelf = (world.delivered[-1], "half")
        with pytest.raises(KeyConflictError) as caught:
            world.later().deliver()
        assert all(name in str(caught.value) for name in world.keys)


def test_an_overtaken_key_is_not_noted() -> None:
    """After an interrupt no note names a key that this call has deleted before."""
    for place in range(200):
        world = delivered()
        world.shelf = None
        world.things[TARGET]["keys"] = []

        def taken(_name: str, _secret: str) -> None:
            TestRivals.rotates(world)()  # noqa: B023
            world.written = None  # noqa: B023
            raise StoreError(store="shelf", problem="taken")

        world.written = taken
        stop = interrupted(lambda: world.deliver(stop_at=place))  # noqa: B023
        if not stop:
            break
        notes = f"{getattr(stop, '__notes__', '')}"
        gone = set(world.secrets) - set(world.keys)
        assert not any(f"{name} was created, and it may" in notes for name in gone)
    assert place > 10


def test_a_reactivated_key_may_be_late() -> None:
    """STS may not know again for a while that an old key is active: that is no conflict."""
    world = delivered(31 * DAY)
    world.rotate()
    world = world.later(2 * DAY)
    world.rotate()
    old, held = world.delivered
    world.shelf = (old, world.secrets[old])
    world.undo()
    world.regions = frozenset()
    with pytest.raises(PropagationTimeoutError):
        world.deliver()
    assert held in world.keys


def test_a_closed_generator_forgets_the_secret() -> None:
    """A call that is thrown away leaves no readable secret, and yields nothing any more."""
    world = KeyWorld()
    goal = to_ensure(USER_PLAN)
    steps = ensure_user_with_key(goal, USER, NO_STORE, "refuse", world.now)
    effect = next(steps)
    while not isinstance(effect, Deliver):
        effect = steps.send(world.perform(effect))
    assert world.readable_secrets
    steps.close()
    assert not world.readable_secrets


def test_an_interrupt_of_an_earlier_send() -> None:
    """Outcomes that belong to other requests are not taken for those of the last ones."""
    world = KeyWorld()
    steps = ensure_user_with_key(to_ensure(USER_PLAN), USER, NO_STORE, "refuse", world.now)
    effect = next(steps)
    while not (isinstance(effect, Send) and effect.requests[0].operation == "CreateUser"):
        effect = steps.send(world.perform(effect))
    stop = Interrupted((Request.of("GetUser", UserName=USER),), (None,))
    stop.__cause__ = KeyboardInterrupt()
    with pytest.raises(Interrupted):
        steps.throw(stop)
    assert "May have been applied: CreateUser" in str(stop.__cause__.__notes__)


def test_tags_leave_room_for_records() -> None:
    """With a store, 47 tags are the most; nothing was sent."""
    most = {f"t{number}": "x" for number in range(48)}
    store = SharedCredentialsFile("credentials")
    with pytest.raises(IntentError, match="must be at most 47 tags with deliver"):
        ensure_agent_user(deliver=store, tags=most)


def test_a_key_is_not_applied() -> None:
    """A ChangeSet with a new key is refused: there is no store for its secret."""
    with pytest.raises(IntentError, match="must create no access key"):
        apply(ChangeSet((CreateAccessKey(name=USER),)))
