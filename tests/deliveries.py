"""Everything that can become of an access key on its way to a store: scenes that tests play."""

from __future__ import annotations

import copy
import errno
import hashlib
from typing import TYPE_CHECKING, Any

import attrs
from botocore.exceptions import ClientError

from cwagent_iam import ensure_agent_user
from cwagent_iam.access_keys.records import Record
from cwagent_iam.aws.secrecy import quiet
from cwagent_iam.errors import StoreError
from cwagent_iam.testing import Crash, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cwagent_iam import AgentUser, NewAccessKey
    from cwagent_iam.testing import LaggyIAM

USER = "CloudWatchAgentServerUser"
GONE, ELSE = "AKIA" + 16 * "G", "AKIA" + 16 * "E"


@attrs.define
class Shelf:
    """A place for one key, in memory; each of its methods first does what a scene says.

    Attributes:
        key: The id and the secret of what it holds.
        before: Called with the name of a method before it does its work.
        after_write: Called after a write, which may have failed.
        settled: How often it was told that all is well.
    """

    key: tuple[str, str] | None = attrs.field(default=None, repr=False)
    before: Callable[[str], object] = repr
    after_write: Callable[[], object] = int
    settled: int = 0

    def held(self) -> str | None:
        """Tell the id."""
        self.before("held")
        return self.key[0] if self.key else None

    def secret(self) -> str | None:
        """Tell the secret."""
        self.before("secret")
        return self.key[1] if self.key else None

    def check(self) -> None:
        """Find nothing wrong."""
        self.before("check")

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Hold *key*, in place of *replacing* alone."""
        secret = key.secret.reveal()
        self.before("write")
        if (self.key and self.key[0]) != replacing:
            raise StoreError(store=str(self), problem="another key is in it by now")
        self.key = (key.access_key_id, secret)
        self.after_write()

    def settle(self) -> str:
        """Count, and say nothing much."""
        self.before("settle")
        self.settled += 1
        return "Water the plants."

    def __str__(self) -> str:
        """Its name."""
        return "the shelf"


def made_quietly(lagging: LaggyIAM, user_name: str) -> Any:
    """Make a key as somebody else, whose log is not ours."""
    return quiet(lagging.truth.create_access_key)(UserName=user_name)["AccessKey"]


@attrs.define
class Scene:
    """A lagging IAM, a store, and a program that delivers."""

    lagging: LaggyIAM
    shelf: Shelf = attrs.field(factory=Shelf)
    timeout: float = 60.0
    events: list[Any] = attrs.field(factory=list)
    iam: Any = None
    on_event: Callable[[Any], object] | None = None
    answering: bool = True

    def deliver(self, program: str = "first") -> AgentUser:
        """Call the library, as a *program* of this name."""
        return ensure_agent_user(
            USER,
            deliver=self.shelf,
            session=self.lagging.program(program),
            iam=self.iam,
            propagation=attrs.evolve(self.lagging.propagation, timeout=self.timeout),
            on_event=self.on_event or self.events.append,
        )

    def user(self) -> None:
        """Have the user long before; its keys are what a scene is about."""
        ensure_agent_user(USER, iam=self.lagging.truth, propagation=self.lagging.propagation)
        self.lagging.settle()

    def rival(self, *, in_store: bool = False) -> str:
        """Let somebody else make a key now."""
        made = made_quietly(self.lagging, USER)
        if in_store:
            self.shelf.key = (made["AccessKeyId"], made["SecretAccessKey"])
        return str(made["AccessKeyId"])

    def old(self, *, in_store: bool = False) -> str:
        """Have a key that was made long ago."""
        name = self.rival(in_store=in_store)
        self.lagging.clock.sleep(86400)
        return name

    def recorded(self) -> str:
        """Have a key in the store that was delivered long ago."""
        name = self.old(in_store=True)
        fingerprint = hashlib.sha256(b"the shelf").hexdigest()[:16]
        known = Record(access_key_id=name, since=self.lagging.clock.now, store=fingerprint)
        key, value = known.tag
        self.lagging.truth.tag_user(UserName=USER, Tags=[{"Key": key, "Value": value}])
        return name

    def fail(self, outcome: Any, operation: str, **more: Any) -> None:
        """Let a request of the program go wrong."""
        self.lagging.fail(Fault(outcome, operation, "first", **more))

    def answer(self, operation: str, code: str, words: str = "no", *, first: int = 1000) -> None:
        """Let AWS answer the first requests of an operation with an error, while `answering`."""
        left = iter(range(first))

        def handler(model: Any, **_event: object) -> None:
            if self.answering and next(left, None) is not None:
                reply: Any = {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {}}
                raise ClientError(reply, model.name)

        service = "sts" if operation == "GetCallerIdentity" else "iam"
        self.lagging.session.events.register(f"before-call.{service}.{operation}", handler)

    def on(self, method: str, act: Callable[[], object]) -> None:
        """Let *act* happen before the shelf does something."""
        self.shelf.before = lambda called: act() if called == method else None

    def while_sending(self, operation: str, act: Callable[[], object]) -> None:
        """Let somebody *act* while an operation is being sent for the first time."""
        done: list[bool] = []

        def handler(**_event: object) -> None:
            if not done:
                done.append(True)
                act()

        self.lagging.session.events.register(f"before-call.iam.{operation}", handler)

    @property
    def ids(self) -> list[str]:
        """The ids of the keys that the user has in truth."""
        truth = self.lagging.truth
        if not truth.list_users()["Users"]:
            return []
        keys = truth.list_access_keys(UserName=USER)["AccessKeyMetadata"]
        return sorted(key["AccessKeyId"] for key in keys)


def raising(error: BaseException) -> Callable[[], object]:
    """Return what raises an error like *error*, another one at each call."""

    def act() -> object:
        raise copy.copy(error)

    return act


def in_turn(*acts: Callable[[], object]) -> Callable[[], object]:
    """Return what does one thing at each call, and nothing after the last."""
    left = iter(acts)
    return lambda: next(left, int)()  # noqa: PLW0108 - they are called at each call


@attrs.frozen
class Play:
    """What happens, and how it ends.

    Attributes:
        outcome: The action, or the name of the error, with the fate of a key.
        keys: How many keys the user has in the end.
        holds: How many of them the store holds.
        arrange: Sets the scene.
        profile: How IAM is.
    """

    outcome: str
    keys: int
    holds: int
    arrange: Callable[[Scene], object]
    profile: str = "off"


def so(act: Callable[..., object], *args: Any, **more: Any) -> Callable[[Scene], object]:
    """Return what does *act* to a scene, with these arguments."""
    return lambda scene: act(scene, *args, **more)


def several(*acts: Callable[[Scene], object]) -> Callable[[Scene], object]:
    """Arrange one thing after the other."""

    def arrange(scene: Scene) -> None:
        for act in acts:
            act(scene)

    return arrange


def lost(scene: Scene, outcome: str = "connection closed", **more: Any) -> None:
    """Lose the reply to the first request for a key."""
    scene.fail(outcome, "CreateAccessKey", **{"when": "after", "nth": 1} | more)


def full_disk(scene: Scene) -> None:
    """Let every write fail."""
    scene.on("write", raising(OSError(errno.ENOSPC, "No space left on device")))


def unreadable_once_written(scene: Scene) -> None:
    """Accept a key, and let nobody read it."""

    def close() -> None:
        scene.on("held", raising(OSError(errno.EIO, "Input/output error")))

    scene.shelf.after_write = close


def unreadable_once_lost(scene: Scene) -> None:
    """Let nobody read what it holds at the fourth time, which is after the request."""
    scene.on("held", in_turn(int, int, int, raising(OSError(errno.EIO, "Input/output error"))))


def emptied(scene: Scene) -> None:
    """Hold nothing after a write that seemed to go well."""
    scene.shelf.after_write = lambda: setattr(scene.shelf, "key", None)


def swapped(scene: Scene) -> None:
    """Hold something else after a write that seemed to go well."""
    scene.shelf.after_write = lambda: setattr(scene.shelf, "key", (ELSE, ""))


def rival_delivers(scene: Scene) -> None:
    """Let somebody else deliver right before our write."""
    scene.on("write", in_turn(lambda: scene.rival(in_store=True)))


def lost_and(*acts: Callable[[Scene], object]) -> Callable[[Scene], object]:
    """Lose a reply of a user long known, and let something happen besides."""
    return several(Scene.user, *acts, lost)


def rival_with(**more: Any) -> Callable[[Scene], object]:
    """Let somebody else make a key while our request is on its way."""
    return lambda scene: scene.while_sending("CreateAccessKey", lambda: scene.rival(**more))


def two_rivals(scene: Scene, **more: Any) -> None:
    """Let others take all the room while our request is on its way."""
    scene.while_sending("CreateAccessKey", lambda: [scene.rival(), scene.rival(**more)])


def rival_uses(scene: Scene) -> None:
    """Let somebody else make a key and use it, while our request is lost before it is done."""

    def act() -> None:
        made = made_quietly(scene.lagging, USER)
        sts: Any = scene.lagging.session.client(
            "sts",
            aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=made["SecretAccessKey"],
        )
        sts.get_caller_identity()
        sts._request_signer._credentials.secret_key = ""  # noqa: SLF001 - it is not ours to find

    scene.while_sending("CreateAccessKey", act)


def rival_is_late(scene: Scene) -> None:
    """Let somebody else make a key some seconds after our request has failed."""

    def act() -> None:
        scene.lagging.clock.sleep(5)
        scene.rival()

    done: list[bool] = []

    def handler(**_event: object) -> None:
        if any(each.operation == "CreateAccessKey" for each in scene.lagging.trace) and not done:
            done.append(True)
            act()

    scene.lagging.session.events.register("before-call.iam.ListAccessKeys", handler)


def not_done(scene: Scene) -> None:
    """Lose the request for a key before it is carried out."""
    lost(scene, when="before")


def impatient(scene: Scene) -> None:
    """Have little time."""
    scene.timeout = 5.0


def repeating_client(scene: Scene) -> None:
    """Hand in a client that repeats requests unseen."""
    scene.iam = scene.lagging.client("first")


def of_another_user(scene: Scene) -> None:
    """Hold a key of somebody else's."""
    truth = scene.lagging.truth
    truth.create_user(UserName="other")
    scene.shelf.key = (made_quietly(scene.lagging, "other")["AccessKeyId"], "")


def holding(name: str) -> Callable[[Scene], object]:
    """Hold an id that IAM does not know."""
    return lambda scene: setattr(scene.shelf, "key", (name, ""))


def deactivate_all(scene: Scene) -> None:
    """Deactivate each key."""
    for name in scene.ids:
        scene.lagging.truth.update_access_key(UserName=USER, AccessKeyId=name, Status="Inactive")


def interrupt(scene: Scene) -> None:
    """Press Control-C during the write."""
    scene.on("write", raising(KeyboardInterrupt()))


def interrupt_late(scene: Scene) -> None:
    """Press Control-C when it is written."""
    scene.shelf.after_write = raising(KeyboardInterrupt())


def killed(method: str) -> Callable[[Scene], object]:
    """Kill the program in a method of the store: it sends nothing any more."""

    def arrange(scene: Scene) -> None:
        def act() -> None:
            scene.fail("crash", "*")
            msg = "killed in the store"
            raise Crash(msg)

        scene.on(method, act)

    return arrange


def settling_fails(scene: Scene) -> None:
    """Let what comes after the delivery fail."""
    scene.on("settle", raising(OSError(errno.EACCES, "Permission denied")))


def all_deletions_denied(scene: Scene) -> None:
    """Let nobody delete keys."""
    scene.answer("DeleteAccessKey", "AccessDenied")


def all_tags_denied(scene: Scene) -> None:
    """Let nobody write tags."""
    scene.answer("TagUser", "AccessDenied")


def late_complaint(scene: Scene) -> None:
    """Write, and complain all the same."""
    scene.shelf.after_write = raising(OSError(errno.EIO, "Input/output error"))


def plays() -> Iterable[tuple[str, Play]]:
    """Name every play; what one keeps in mind it gets when it is arranged."""
    two = several(Scene.user, Scene.rival, Scene.rival)
    held = several(Scene.user, so(Scene.old, in_store=True))
    yield "new user", Play("created", 1, 1, repr)
    yield "new user where IAM lags", Play("created", 1, 1, repr, "typical")
    yield "kept", Play("kept", 1, 1, held)
    yield "kept beside another", Play("kept", 2, 1, several(held, Scene.rival))
    yield "another key, not held", Play("created", 2, 1, several(Scene.user, Scene.rival))
    yield "gone", Play("replaced", 1, 1, several(Scene.user, holding(GONE)))
    yield "held, inactive", Play("KeyConflictError", 1, 1, several(held, deactivate_all))
    yield "another user's", Play("KeyConflictError", 0, 0, several(Scene.user, of_another_user))
    yield "no room", Play("KeyConflictError", 2, 0, two)
    for method in ("held", "check"):
        for error in (OSError(), StoreError(store="the shelf", problem="locked")):
            bad = several(Scene.user, so(Scene.on, method, raising(error)))
            yield f"{method} fails: {type(error).__name__}", Play("StoreError", 0, 0, bad)
    yield from creations()
    yield from replies()
    yield from writes()
    yield from checks()
    yield from interrupts()


def creations() -> Iterable[tuple[str, Play]]:
    """Name what may become of a request for a key that is answered."""
    denied = several(Scene.user, so(Scene.answer, "CreateAccessKey", "AccessDenied"))
    yield "denied", Play("ApplyError", 0, 0, denied)
    for outcome in ("Throttling", "connection refused"):
        again = so(Scene.fail, outcome, "CreateAccessKey", nth=1)
        yield outcome, Play("created", 1, 1, several(Scene.user, again))
    missing = "The user with name X cannot be found."
    new = so(Scene.answer, "CreateAccessKey", "NoSuchEntity", missing, first=3)
    yield "user too new", Play("created", 1, 1, new)
    over = so(Scene.answer, "CreateAccessKey", "Throttling")
    yield "throttled for good", Play("ApplyError", 0, 0, several(Scene.user, over))
    fast = several(Scene.user, two_rivals)
    yield "room is gone", Play("KeyConflictError", 2, 0, fast)
    faster = several(Scene.user, so(two_rivals, in_store=True))
    yield "room is gone, a rival delivers", Play("kept", 2, 1, faster)
    full = so(Scene.answer, "CreateAccessKey", "LimitExceeded")
    yield "no room, none shown", Play("ApplyError", 0, 0, several(Scene.user, full))
    twice = several(Scene.user, repeating_client, lost)
    yield "client repeats unseen", Play("created", 2, 1, twice)
    yield "record denied", Play("DeliveryError deleted", 0, 0, all_tags_denied)
    denied = several(all_tags_denied, all_deletions_denied)
    yield "record denied, not deleted", Play("DeliveryError exists", 1, 0, denied)


def replies() -> Iterable[tuple[str, Play]]:
    """Name what may become of a request whose reply is lost."""
    doubt = "DeliveryError in doubt"
    for outcome in ("connection closed", "read timeout", "ServiceFailure", "empty 500", "HTML 503"):
        lose = several(Scene.user, so(lost, outcome))
        yield f"lost: {outcome}", Play("created", 2, 1, lose)
    yield "lost where IAM lags", Play("created", 2, 1, lost_and(), "typical")
    yield "each first reply lost", Play("created", 2, 1, Scene.user, "adversarial")
    again = so(Scene.fail, "empty 500", "CreateAccessKey", when="after", nth=2)
    yield "lost twice", Play(doubt, 2, 0, lost_and(again), "typical")
    yield "lost, not done", Play("created", 1, 1, several(Scene.user, not_done))
    yield "lost beside a rival", Play(doubt, 2, 0, lost_and(rival_with()))
    used = several(Scene.user, rival_uses, not_done)
    yield "not done, a rival's is used", Play("created", 2, 1, used)
    late = several(Scene.user, rival_is_late, not_done)
    yield "not done, a rival's is later", Play("created", 2, 1, late)
    delivered = several(Scene.user, rival_with(in_store=True), not_done)
    yield "not done, a rival delivers", Play("kept", 1, 1, delivered)
    blind = lost_and(so(Scene.answer, "GetAccessKeyLastUsed", "AccessDenied"))
    yield "lost, uses are denied", Play(doubt, 1, 0, blind)
    yield "lost, no time to look", Play(doubt, 1, 0, lost_and(impatient), "bad_day")
    yield "lost, store unreadable", Play(doubt, 1, 0, lost_and(unreadable_once_lost))
    yield "lost, not tagged", Play(doubt, 1, 0, lost_and(all_tags_denied))


def writes() -> Iterable[tuple[str, Play]]:
    """Name what may become of a write."""
    yield "disk full", Play("DeliveryError deleted", 0, 0, full_disk)
    yield "disk full where IAM lags", Play("DeliveryError deleted", 0, 0, full_disk, "typical")
    stuck = several(full_disk, all_deletions_denied)
    yield "disk full, not deleted", Play("DeliveryError exists", 1, 0, stuck)
    yield "written, but complains", Play("StoreError", 1, 1, late_complaint)
    yield "says written, holds nothing", Play("DeliveryError deleted", 0, 0, emptied)
    yield "says written, holds another", Play("DeliveryError deleted", 0, 0, swapped)
    unread = unreadable_once_written
    yield "written, unreadable", Play("DeliveryError in doubt", 1, 1, unread)
    yield "rival writes first", Play("kept", 1, 1, rival_delivers)
    yield "settling fails", Play("StoreError", 1, 1, settling_fails)


def checks() -> Iterable[tuple[str, Play]]:
    """Name what AWS may say to a key that was delivered."""
    for code in ("SignatureDoesNotMatch", "RegionDisabledException"):
        wrong = so(Scene.answer, "GetCallerIdentity", code)
        yield code, Play("DeliveryError in doubt", 1, 1, wrong)
    never = so(Scene.answer, "GetCallerIdentity", "InvalidClientTokenId")
    yield "never let in", Play("PropagationTimeoutError", 1, 1, never)
    off = so(Scene.fail, "connection refused", "GetCallerIdentity")
    yield "STS unreachable", Play("PropagationTimeoutError", 1, 1, off)
    flaky = so(Scene.fail, "HTML 503", "GetCallerIdentity", nth=2)
    yield "STS fails once", Play("created", 1, 1, flaky)


def interrupts() -> Iterable[tuple[str, Play]]:
    """Name what may end the program."""
    yield "interrupted", Play("KeyboardInterrupt", 0, 0, interrupt)
    stuck = several(interrupt, all_deletions_denied)
    yield "interrupted, not deleted", Play("KeyboardInterrupt", 1, 0, stuck)
    yield "interrupted late", Play("KeyboardInterrupt", 1, 1, interrupt_late)
    for when in ("before", "after"):
        crash = so(Scene.fail, "crash", "CreateAccessKey", when=when)
        yield f"killed {when} create", Play("Crash", int(when == "after"), 0, crash)
    yield "killed before write", Play("Crash", 1, 0, killed("write"))
    yield "killed at the check", Play("Crash", 0, 0, killed("check"))
    verified = so(Scene.fail, "crash", "GetCallerIdentity")
    yield "killed while verifying", Play("Crash", 1, 1, verified)


PLAYS = dict(plays())
