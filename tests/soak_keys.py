"""Runs many lives of access keys in a lagging, failing IAM; ``python tests/soak_keys.py 300``.

A schedule is one life under one profile and one seed: a key is created and delivered, becomes too
old and is replaced, and the old one is deleted. Meanwhile programs die or are interrupted, replies
are lost, requests are throttled, disks are full, and rivals and people change keys. Three things
must hold after each request and each write to the store: the store holds an active key, once one
was delivered; there is no third key; and no key that another program uses was changed. The output
of programs never contains a secret, and always names the keys that are not in the store. In the end
the key in the store is the only one.

IAM never creates a third key, so its absence proves little. Therefore each request for one is
counted as well: a `CreateAccessKey` of a program that could know of two keys. A program could know
of a key that existed for longer than any lag, and of a key that IAM or the store showed it in the
same call, as long as the key existed. It could not know of a key that a rival created just before.
"""

from __future__ import annotations

import collections
import concurrent.futures
import errno
import gc
import hashlib
import itertools
import logging
import re
import statistics
import sys
import traceback
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args
from unittest.mock import patch

import attrs
from moto.iam.models import AccessKeyLastUsed, iam_backends

from cwagent_iam import (
    CwAgentIamError,
    KeyConflictError,
    RotationStatus,
    StoreError,
    ensure_agent_user,
    rotate_access_key,
)
from cwagent_iam.access_keys.records import Record
from cwagent_iam.events import KeyDelivered
from cwagent_iam.testing import Crash, Fault, LaggyIAM, laggy_iam
from cwagent_iam.testing.lagging.wire import sent_as

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from cwagent_iam.key_stores import NewAccessKey
    from cwagent_iam.testing.lagging.faults import Outcome
    from cwagent_iam.testing.lagging.wire import Sent

Trouble: TypeAlias = Literal[
    "", "crash before", "crash after", "full", "late", "silent", "unreadable", "taken"
]
"""What becomes of a write: all is well; the program dies before or after it; the disk is full; it
is done, but an error says it is not; it is not done, and nothing says so; it is done, and nothing
can be read any more; or somebody else has been faster."""

Moment: TypeAlias = Literal["before", "after"]

TROUBLES: tuple[Trouble, ...] = get_args(Trouble)[1:]
Deed: TypeAlias = Literal["the same", "ensure", "rotate", "undo"]
"""What a rival does: what the program does, or something else."""

KINDS = (
    *("store", "deaf", "crash", "crash", "interrupt", "rival", "rival"),
    *("person", "person", "person", "cleaner", "undo", "reply", "reply", "throttle"),
)
MOMENTS: tuple[Moment, ...] = get_args(Moment)
DEEDS: tuple[Deed, ...] = get_args(Deed)
REPLIES: tuple[Outcome, ...] = ("connection closed", "read timeout", "ServiceFailure", "HTML 503")
PROFILES = ("typical", "bad_day", "adversarial")
USER = "CloudWatchAgentServerUser"
MANAGED = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
SHELF = hashlib.sha256(b"shelf").hexdigest()[:16]
"""The fingerprint of the store, by its name."""

NOBODY = "nobody"
DAY = 86400.0
TERMS: dict[str, Any] = {"max_age": 30 * DAY, "settle": DAY, "grace": 3 * DAY}
LAGS = {"bad_day": 120.0}
"""For how many seconds lists lag at most, where it is not the usual 15."""
KEY_ID = re.compile("<AccessKeyId>([^<]+)</AccessKeyId>")


@attrs.define
class Shelf:
    """A place for one key, where writing may go wrong.

    Attributes:
        world: What it is a part of.
        key: The id and the secret of what it holds.
        trouble: What becomes of the next write.
        unreadable: Whether nothing can be read at present.
        rival: Who is faster, if somebody is.
        deaf: Which time from now on that somebody asks anything of it fails; none if 0.
        lie: What it stores in place of a secret.
    """

    world: World
    key: tuple[str, str] | None = None
    trouble: Trouble = ""
    unreadable: bool = False
    rival: Callable[[], object] | None = None
    deaf: int = 0
    lie: Callable[[str], str] = str

    def held(self) -> str | None:
        """Tell the id."""
        self.listen()
        if self.unreadable:
            raise StoreError(store=str(self), problem="nothing can be read")
        if self.key:
            self.world.program.told.add(self.key[0])
        return self.key[0] if self.key else None

    def secret(self) -> str | None:
        """Tell the secret."""
        self.listen()
        if self.unreadable:
            raise StoreError(store=str(self), problem="nothing can be read")
        return self.key[1] if self.key else None

    def check(self) -> None:
        """Find nothing wrong."""
        self.listen()

    def listen(self) -> None:
        """Hear what is asked, but for one time."""
        self.world.breathe()
        self.deaf -= 1
        if self.deaf == 0:
            raise OSError(errno.EIO, "Input/output error")

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Take *key*, or not, as the trouble of the day will have it."""
        self.listen()
        trouble, self.trouble = self.trouble, ""
        if trouble == "crash before":
            self.world.die()
        if trouble == "taken" and self.rival:
            self.rival()
        if trouble == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        if trouble == "silent":
            return
        if self.held() != replacing:
            raise StoreError(store=str(self), problem="somebody else was faster")
        self.key = key.access_key_id, self.lie(key.secret.reveal())
        self.world.look()
        self.world.breathe()
        if trouble == "crash after":
            self.world.die()
        if trouble == "late":
            raise StoreError(store=str(self), problem="the answer was lost")
        self.unreadable = trouble == "unreadable"

    def __str__(self) -> str:
        """What errors and events call it."""
        return "shelf"


class InterruptError(KeyboardInterrupt):
    """The interrupt of a program of ours, not of the one that runs it."""


@attrs.define
class Program:
    """A program that makes one call.

    Attributes:
        name: What its requests are sent under.
        dead: Whether it was killed.
        told: The ids of the keys that IAM or the store has told it of.
    """

    name: str
    dead: bool = False
    told: set[str] = attrs.field(factory=set)


@attrs.define
class World:
    """An IAM, a store, and what has been seen of them.

    Attributes:
        lagging: The IAM.
        shelf: The store.
        gaps: Each moment at which the store had no active key though it had held one.
        thirds: Each moment at which there were three keys.
        excess: Each request of a program for a third key, although it could know of two.
        theirs: The keys that people have made by hand, and use.
        touched: Each moment at which one of these was not active.
        said: All that events, results and errors have told, and the log.
        secrets: Every secret that there ever was.
        seconds: How long the calls took.
        crashes: How many programs died.
        errors: The kinds of errors that programs ended with.
        asked: How often a person had to decide.
        program: The one that is running; its rivals have their turn in the middle of it.
        patience: How many requests and writes from now somebody interrupts what is running; never
            if 0.
        longest_lag: For how many seconds lists may lag.
    """

    lagging: LaggyIAM
    shelf: Shelf = attrs.field(init=False)
    gaps: list[str] = attrs.field(factory=list)
    thirds: list[str] = attrs.field(factory=list)
    excess: list[str] = attrs.field(factory=list)
    theirs: set[str] = attrs.field(factory=set)
    touched: list[str] = attrs.field(factory=list)
    said: list[str] = attrs.field(factory=list)
    secrets: set[str] = attrs.field(factory=set)
    seconds: float = 0.0
    crashes: int = 0
    errors: list[str] = attrs.field(factory=list)
    asked: int = 0
    program: Program = attrs.field(factory=partial(Program, NOBODY))
    patience: int = 0
    longest_lag: float = 15.0
    _programs: int = 0
    _delivered: bool = False

    def __attrs_post_init__(self) -> None:
        """Have an empty store."""
        self.shelf = Shelf(self)

    # --- what is there ----------------------------------------------------------------------------

    @property
    def keys(self) -> dict[str, Any]:
        """The user's keys in truth, as moto has them."""
        users = iam_backends["123456789012"]["aws"].users
        found = users[USER].access_keys if USER in users else []
        return {key.access_key_id: key for key in found}

    @property
    def active(self) -> set[str]:
        """The ids of those that are active."""
        return {name for name, key in self.keys.items() if key.status == "Active"}

    @property
    def held(self) -> str | None:
        """The id of the key in the store, whether it can be read or not."""
        return self.shelf.key[0] if self.shelf.key else None

    @property
    def unheld(self) -> set[str]:
        """The ids of all others."""
        return self.keys.keys() - {self.held}

    def look(self) -> None:
        """Check what must hold at each instant."""
        where = f"request {len(self.lagging.trace)}"
        self.secrets |= {key.secret_access_key for key in self.keys.values()}
        if self._delivered and self.held not in self.active:
            self.gaps.append(f"{where}: the store has {self.held}, active are {self.active}")
        if self.theirs - self.active:
            self.touched.append(f"{where}: {self.theirs - self.active}")
        if len(self.keys) > 2:
            self.thirds.append(f"{where}: {set(self.keys)}")

    def look_at(self, sent: Sent) -> None:
        """Check that a request of the program that is running is not for a third key."""
        now = self.lagging.clock.utcnow()
        if (sent.operation, sent.client) != ("CreateAccessKey", self.program.name):
            return
        ages = {name: (now - key.create_date).total_seconds() for name, key in self.keys.items()}
        old = {name for name, age in ages.items() if age > self.longest_lag}
        known = old | (ages.keys() & self.program.told)
        if len(known) > 1:
            where = f"request {len(self.lagging.trace) + 1}"
            self.excess.append(f"{where}: {self.program.name} asks for a third key, has {known}")

    def leaks(self) -> int:
        """Count the secrets that were seen outside the store."""
        everything = "\n".join(self.said)
        return sum(secret in everything for secret in self.secrets)

    # --- programs ---------------------------------------------------------------------------------

    def run(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Let a program make a call; return the result or the error, or `None` if it died."""
        self._programs += 1
        before, self.program = self.program, Program(f"program {self._programs}")
        try:
            outcome: Any = call(
                USER,
                deliver=self.shelf,
                session=self.lagging.program(self.program.name),
                on_event=self.hear,
                **arguments,
            )
        except Crash:
            self.crashes += 1
            outcome = None
        except InterruptError as interrupt:
            self.crashes += 1
            outcome = interrupt
        except CwAgentIamError as error:
            self.errors.append(type(error).__name__)
            outcome = error
        finally:
            self.program = before
        self._delivered = self._delivered or self.has_delivered(outcome)
        self.hear(outcome)
        return outcome

    def has_delivered(self, outcome: object) -> bool:
        """Say whether there is a key to rely on.

        What a rival finds that fails may still be taken back by the program that wrote it: nobody
        has been told yet that the key is there.
        """
        failed = outcome is None or isinstance(outcome, BaseException)
        rivalled = self.program.name != NOBODY
        return self.held in self.active and not (failed and rivalled)

    def hear(self, told: object) -> None:
        """Keep what was told, in all its forms."""
        self._delivered = self._delivered or isinstance(told, KeyDelivered)
        self.said += [str(told), repr(told)]
        if isinstance(told, BaseException):
            self.said += traceback.format_exception(told)

    def breathe(self) -> None:
        """Let nobody act who is dead, and interrupt whose time has come."""
        if self.program.dead:
            msg = "this program is dead"
            raise Crash(msg)
        self.patience -= 1
        if self.patience == 0:
            raise InterruptError

    def die(self) -> None:
        """Let the program die here and now."""
        self.program.dead = True
        self.breathe()

    def ensure(self) -> Any:
        """Run a program that wants a user with a key."""
        return self.run(ensure_agent_user)

    def rotate(self, **arguments: Any) -> Any:
        """Run a program that does what is due."""
        return self.run(rotate_access_key, **TERMS | arguments)

    # --- others -----------------------------------------------------------------------------------

    def use(self, *names: str | None) -> None:
        """Let servers use keys: that of the store, unless others are named."""
        now = self.lagging.clock.utcnow()
        for name in names or (self.held,):
            if name in self.active:
                self.keys[str(name)].last_used = AccessKeyLastUsed(now, "monitoring", "us-east-1")

    def decide(self, outcome: object) -> None:
        """Let people read what stands in the way, and delete what nobody needs."""
        if isinstance(outcome, KeyConflictError):
            self.asked += 1
            for name in self.unheld & {key.access_key_id for key in outcome.keys}:
                if name in self.theirs or self.keys[name].last_used is None:
                    self.theirs.discard(name)
                    self.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=name)

    def make_by_hand(self) -> str:
        """Let somebody make a key for another purpose, and use it at once."""
        heard = len(self.said)
        made = self.lagging.truth.create_access_key(UserName=USER)
        del self.said[heard:]  # the log of a client that is not ours tells their secret
        name = str(made["AccessKey"]["AccessKeyId"])
        self.use(name)
        self.theirs.add(name)
        return name

    def record(self, name: str, **facts: Any) -> None:
        """Record a key for the store, as a delivery does."""
        known = Record(access_key_id=name, since=self.lagging.clock.now, store=SHELF, **facts)
        key, value = known.tag
        self.lagging.truth.tag_user(UserName=USER, Tags=[{"Key": key, "Value": value}])

    def make_if_there_is_room(self) -> None:
        """Let somebody do so unless IAM would refuse it, beside a key that has been delivered.

        A key that is older than the held one, and always used, would be waited for without end.
        """
        if self.held in self.active and len(self.keys) < 2:
            self.make_by_hand()

    def clean_up(self) -> None:
        """Let somebody delete a key by hand that another one has replaced."""
        for name in self.unheld - self.theirs:
            if self.held in self.active and self.replaces(name):
                self.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=name)

    def replaces(self, name: str) -> bool:
        """Say whether the key in the store is newer than that of this *name*."""
        keys = self.keys
        return bool(keys[name].create_date < keys[str(self.held)].create_date)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.lagging.clock.sleep(seconds)


@contextmanager
def world(profile: Any = "typical", seed: int = 0) -> Iterator[World]:
    """Open a world in which every request is watched, and the dead send none."""
    process = LaggyIAM.process
    with laggy_iam(profile, seed=seed) as lagging:
        opened = World(lagging, longest_lag=LAGS.get(str(profile), 15.0))

        def watched(laggy: LaggyIAM, moto: Any, request: Any) -> Any:
            opened.breathe()
            program, about = opened.program, sent_as(request, 0)
            opened.look_at(about)
            try:
                reply = process(laggy, moto, request)
            except Crash:
                program.dead = True
                raise
            finally:
                opened.look()
            if about.client == program.name:  # not a person who acts meanwhile
                program.told |= set(KEY_ID.findall(str(reply[2]) if reply else ""))
            return reply

        with patch.object(LaggyIAM, "process", watched):
            yield opened


# --- a life ---------------------------------------------------------------------------------------


@attrs.frozen
class Incident:
    """What happens during one call.

    Attributes:
        trouble: What becomes of a write to the store.
        crash: The request at which the program dies, and whether before or after it.
        rival: The request before which another program does something.
        deed: What that is.
        person: The request before which somebody makes a key for another purpose.
        undo: Whether the old key is wanted back after the call, if it is inactive then.
        settled: Whether IAM has come to rest before the call.
        cleaner: The request before which somebody deletes a key that was replaced.
        interrupt: The request or write at which the program is interrupted; never if 0.
        deaf: Which of its questions to the store fails; none if 0.
        faults: What goes wrong with requests.
    """

    trouble: Trouble = ""
    crash: tuple[int, Moment] | None = None
    rival: int | None = None
    person: int | None = None
    undo: bool = False
    settled: bool = True
    deed: Deed = "the same"
    cleaner: int | None = None
    interrupt: int = 0
    deaf: int = 0
    faults: tuple[Fault, ...] = ()


QUIET = Incident()


def incidents(chance: Random) -> Iterator[Incident]:
    """Go through what happens in one life; two calls of five are quiet, one has two troubles."""
    while True:
        kinds = chance.choices(KINDS, k=chance.choice((0, 0, 1, 1, 2)))
        nth, when = chance.randint(1, 30), chance.choice(MOMENTS)
        yield Incident(
            trouble=chance.choice(TROUBLES) if "store" in kinds else "",
            crash=(nth, when) if "crash" in kinds else None,
            rival=chance.randint(1, 30) if "rival" in kinds else None,
            person=chance.randint(1, 30) if "person" in kinds else None,
            undo="undo" in kinds,
            settled=chance.random() < 0.5,
            deed=chance.choice(DEEDS),
            cleaner=nth if "cleaner" in kinds else None,
            interrupt=nth if "interrupt" in kinds else 0,
            deaf=chance.randint(1, 6) if "deaf" in kinds else 0,
            faults=(*lost(chance, "reply" in kinds), *throttled(nth, "throttle" in kinds)),
        )


def lost(chance: Random, happens: bool) -> Iterator[Fault]:  # noqa: FBT001
    """Lose the reply to any request, or to the one that makes a key."""
    outcome, when, nth = chance.choice(REPLIES), chance.choice(MOMENTS), chance.randint(1, 30)
    any_request = Fault(outcome, when=when, nth=nth)
    making_a_key = Fault(outcome, "CreateAccessKey", when=when, nth=1)
    if happens:
        yield chance.choice((any_request, making_a_key))


def throttled(nth: int, happens: bool) -> Iterator[Fault]:  # noqa: FBT001
    """Throttle so many requests in a row that botocore gives up."""
    if happens:
        yield from (Fault("Throttling", nth=each) for each in range(nth, nth + 8))


def call(world: World, incident: Incident, act: Callable[[], Any]) -> Any:
    """Let a program *act* while *incident* happens; return what came of it."""
    if incident.settled:
        world.lagging.settle()
    began = world.lagging.clock.now
    prepare(world, incident, act)
    outcome = act()
    world.shelf.trouble, world.shelf.unreadable = "", False
    world.shelf.deaf = world.patience = 0
    disarm(world.lagging)
    world.seconds += world.lagging.clock.now - began
    return outcome


def prepare(world: World, incident: Incident, act: Callable[[], Any]) -> None:
    """Set up what happens while a program is going to *act*."""
    lagging, shelf = world.lagging, world.shelf
    sent = len(lagging.trace)
    shelf.trouble, shelf.rival = incident.trouble, act
    shelf.deaf, world.patience = incident.deaf, incident.interrupt
    if incident.crash:
        nth, when = incident.crash
        lagging.fail(Fault("crash", when=when, nth=nth))
    for fault in incident.faults:
        lagging.fail(fault)
    deeds: dict[Deed, Callable[[], object]] = {
        "the same": act,
        "ensure": world.ensure,
        "rotate": world.rotate,
        "undo": partial(world.rotate, undo=True),
    }
    others: list[tuple[int | None, Callable[[], object]]] = [
        (incident.rival, deeds[incident.deed]),
        (incident.person, world.make_if_there_is_room),
        (incident.cleaner, world.clean_up),
    ]
    for number, other in others:
        if number:
            lagging.before_request(sent + number, other)


def disarm(lagging: LaggyIAM) -> None:
    """Forget what was to happen and did not, or a call that is to be quiet would not be."""
    lagging._rivals.clear()  # noqa: SLF001 - there is no other use for this
    lagging._faults._scripted.clear()  # noqa: SLF001


def live(world: World, happening: Iterator[Incident]) -> str:
    """Live one life; return what is wrong in the end, nothing usually."""
    for incident in itertools.chain(itertools.islice(happening, 4), itertools.repeat(QUIET, 4)):
        outcome = call(world, incident, world.ensure)
        if world.held in world.active:
            break
        world.decide(outcome)
    else:
        return "never delivered"
    first, due = world.held, None
    # It has to end by itself: after some rounds nobody else puts things right or wrong any more.
    for incident in itertools.chain(itertools.islice(happening, 12), itertools.repeat(QUIET, 28)):
        pause(world, due)
        outcome = call(world, incident, world.rotate)
        if incident.undo and isinstance(outcome, RotationStatus) and outcome.can_undo:
            outcome = call(world, QUIET, partial(world.rotate, undo=True))
        if not isinstance(outcome, RotationStatus):
            world.decide(outcome)
            outcome = call(world, QUIET, world.rotate)
        lost = unnamed(world, outcome)
        if lost:
            outcome = call(world, QUIET, world.rotate)
            lost = unnamed(world, outcome)
        if lost:
            return f"nobody names {lost}"
        due = outcome.due_at if isinstance(outcome, RotationStatus) else None
        if world.held != first and not world.unheld:
            return ""
    return f"never ends: {outcome}"


def pause(world: World, due: dt.datetime | None) -> None:
    """Let the time pass until something is due, or a day; the server is at work meanwhile."""
    now = world.lagging.clock.now
    pause = max(due.timestamp() - now, 0.0) if due else DAY
    world.sleep(pause / 2)
    world.use(world.held, *world.theirs)
    world.sleep(pause / 2 + 1)


def unnamed(world: World, outcome: object) -> set[str]:
    """Return the keys that are in no store and not named in what a call told."""
    told = f"{outcome} {outcome!r}"
    return {name for name in world.unheld if name not in told}


# --- many lives -----------------------------------------------------------------------------------


@attrs.frozen
class Life:
    """What came of one schedule."""

    requests: int
    seconds: float
    crashes: int
    errors: tuple[str, ...]
    asked: int
    orphans: int
    gaps: tuple[str, ...]
    thirds: tuple[str, ...]
    excess: tuple[str, ...]
    touched: tuple[str, ...]
    leaks: int
    failure: str

    @property
    def wrong(self) -> list[str]:
        """All that must never be, in words."""
        counted = [f"{self.orphans} orphans"] * bool(self.orphans)
        counted += [f"{self.leaks} secrets outside"] * bool(self.leaks)
        seen = (*self.gaps, *self.thirds, *self.excess, *self.touched)
        return [*filter(None, [self.failure]), *counted, *seen]


def life(profile: str, seed: int) -> Life:
    """Live one life; every tenth with all that botocore tells, which takes its time."""
    with world(profile, seed) as opened, listening(opened, seed):
        try:
            failure = live(opened, incidents(Random(seed)))  # noqa: S311 - it shall be predictable
        except Exception as error:  # noqa: BLE001 - any other error is a failure, and counted
            failure = f"raised {type(error).__name__}: {error}"
        return Life(
            requests=len(opened.lagging.trace),
            seconds=opened.seconds,
            crashes=opened.crashes,
            errors=tuple(opened.errors),
            asked=opened.asked,
            orphans=len(opened.unheld),
            gaps=tuple(opened.gaps),
            thirds=tuple(opened.thirds),
            excess=tuple(opened.excess),
            touched=tuple(opened.touched),
            leaks=opened.leaks(),
            failure=failure,
        )


@contextmanager
def listening(opened: World, seed: int) -> Iterator[None]:
    """Hear the log as well: that of this library always, that of botocore every tenth time."""
    log = logging.getLogger("cwagent_iam" if seed % 10 else None)
    handler = logging.Handler()
    handler.emit = lambda record: opened.said.append(record.getMessage())  # type: ignore[method-assign]
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def main() -> None:
    """Run as many seeds as the first argument says, 50 unless given, and print figures."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    planned = list(itertools.product(PROFILES, range(seeds)))
    by_profile: dict[str, list[Life]] = collections.defaultdict(list)
    wrong = []
    with concurrent.futures.ProcessPoolExecutor(initializer=gc.freeze) as pool:
        ended = pool.map(life, *zip(*planned, strict=True), chunksize=10)
        for (profile, seed), one in zip(planned, ended, strict=True):
            by_profile[profile].append(one)
            wrong += [(profile, seed, words) for words in one.wrong]
    for table in (effort, verdict):
        print_table({profile: table(lives) for profile, lives in by_profile.items()})
    for failure in wrong[:20]:
        print("failed:", *failure)
    sys.exit(bool(wrong))


def print_table(rows: dict[str, dict[str, float]]) -> None:
    """Print a row for each profile, with heads over the columns."""
    heads = next(iter(rows.values()))
    print("keys        ", *heads, sep="  ")
    for profile, row in rows.items():
        cells = (f"{value:{len(head)}g}" for head, value in row.items())
        print(f"{profile:12}", *cells, sep="  ")


def effort(lives: list[Life]) -> dict[str, float]:
    """Return how many schedules, what they took, what went wrong, and who had to be asked."""
    times = sorted(each.seconds for each in lives)
    return {
        "schedules": len(lives),
        " requests": sum(each.requests for each in lives),
        "median s": round(statistics.median(times), 1),
        "  99 % s": round(times[int(len(times) * 0.99)], 1),
        "crashes": sum(each.crashes for each in lives),
        "errors of ours": sum(len(each.errors) for each in lives),
        "asked": sum(each.asked for each in lives),
    }


def verdict(lives: list[Life]) -> dict[str, float]:
    """Return what must never be, in numbers."""
    return {
        "orphans": sum(each.orphans for each in lives),
        "gaps": sum(len(each.gaps) for each in lives),
        "third keys": sum(len(each.thirds) for each in lives),
        "asked for a third": sum(len(each.excess) for each in lives),
        "secrets outside": sum(each.leaks for each in lives),
        "touched": sum(len(each.touched) for each in lives),
        "failures": sum(bool(each.failure) for each in lives),
    }


if __name__ == "__main__":
    main()
