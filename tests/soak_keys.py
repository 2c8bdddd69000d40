"""Soak test of access keys in a lagging, failing IAM; ``python tests/soak_keys.py 300``.

A life is one schedule under one profile and one seed. A key is created and delivered, becomes too
old and is replaced, and the old key is deactivated and deleted. Meanwhile programs are killed or
interrupted, replies are lost, and requests are throttled. Stores are full, slow, unreadable, or
store something other than the secret. Rivals and operators create and delete keys. In every fourth
life the store cannot be read back.

These must hold after every request and after every write to the store:

- Once a key was delivered, the key that the server uses is active, and so is the key in the store.
- There is no third key.
- No key that belongs to others is inactive or deleted.

Results, errors, events and logs contain no secret, and name all keys that are not in the store. At
the end the key in the store is the only one, and it works.

IAM refuses a third key, so its absence proves little. Therefore each request for one is counted: a
`CreateAccessKey` of a program that could know of two keys. A program can know of a key that was
older than the longest lag when the program listed keys last. It can also know of a key that IAM or
the store has named in the same call, less than 15 seconds before. It cannot know of a key that a
rival created a moment ago.
"""

from __future__ import annotations

import base64
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
import threading
import traceback
from contextlib import contextmanager
from datetime import UTC
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
from cwagent_iam.executor import threads
from cwagent_iam.testing import Crash, Fault, LaggyIAM, laggy_iam
from cwagent_iam.testing.lagging.wire import sent_as

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from cwagent_iam.key_stores import NewAccessKey
    from cwagent_iam.testing.lagging.faults import Outcome
    from cwagent_iam.testing.lagging.wire import Sent

Trouble: TypeAlias = Literal[
    "", "crash before", "crash after", "full", "late", "silent", "unreadable", "taken"
]
"""The fate of a write: it succeeds; the program is killed before or after it; the disk is full; it
succeeds but raises an error; it is lost without an error; it succeeds, and then nothing can be
read; or a rival writes first."""

Lie: TypeAlias = Literal["", "mask", "half", "old", "other"]
"""What a store keeps instead of the secret: the mask, the first half, the secret that it held
before, or the secret of another user's key."""

Deed: TypeAlias = Literal["the same", "ensure", "rotate", "undo"]
"""What a rival does: the same as the program, or something else."""

Moment: TypeAlias = Literal["before", "after"]

TROUBLES: tuple[Trouble, ...] = get_args(Trouble)[1:]
LIES: tuple[Lie, ...] = get_args(Lie)[1:]
DEEDS: tuple[Deed, ...] = get_args(Deed)
MOMENTS: tuple[Moment, ...] = get_args(Moment)
DELAYS = (3.0, 12.0, 20.0, 60.0)
"""After how many seconds a slow store shows what was written."""

IDLE = 0.4
"""The share of the pauses in which the server uses no key."""

SHORT = 12.0
"""The longest delay of a store that also fails: the library waits 15 seconds for such a store."""

KINDS = (
    *("store", "store", "lie", "lie", "slow", "deaf", "crash", "crash", "interrupt", "interrupt"),
    *("rival", "rival", "twin", "twin", "person", "person", "window", "window", "cleaner", "undo"),
    *("reply", "reply", "throttle", "damage"),
)
WRITING = ("", "store", "lie", "lie", "slow", "window", "twin", "interrupt", "crash")
"""One of these happens too if a key is about to be created."""

REPLIES: tuple[Outcome, ...] = ("connection closed", "read timeout", "ServiceFailure", "HTML 503")
PROFILES = ("typical", "bad_day", "adversarial")
USER, NEIGHBOUR = "CloudWatchAgentServerUser", "Neighbour"
MANAGED = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
SHELF = hashlib.sha256(b"shelf").hexdigest()[:16]
"""The fingerprint of the store: a hash of its name."""

MOST_REQUESTS = 2000
"""The most requests of one call; a call that ends sends some hundred."""

NOBODY = "nobody"
"""The name of the program while none is running."""

DAY = 86400.0
TERMS: dict[str, Any] = {"max_age": 30 * DAY, "settle": DAY, "grace": 3 * DAY}
USUAL_LAG = 15.0
"""The longest lag of lists in seconds, as far as users of AWS have reported. A key that IAM has not
named for so long counts as deleted, even if the store holds it."""

LAGS = {"bad_day": 120.0}
"""The longest lag of lists in seconds, where it is another one."""

KEY_ID = re.compile("<AccessKeyId>([^<]+)</AccessKeyId>")


# --- the store ------------------------------------------------------------------------------------


@attrs.define
class BlindShelf:
    """A store for one key that cannot be read back, and whose writes can fail.

    Attributes:
        world: The world that it is part of.
        key: The id and the secret that it holds.
        trouble: The fate of the next write.
        unreadable: Whether it raises an error when it is read.
        rival: Called before the next write if its trouble is ``"taken"``.
        deaf: The number of the next call that fails, counted from 1; 0 for none.
        lie: Returns what to keep instead of a secret.
        slow: After how many seconds a write becomes visible.
    """

    world: World
    key: tuple[str, str] | None = None
    trouble: Trouble = ""
    unreadable: bool = False
    rival: Callable[[], object] | None = None
    deaf: int = 0
    lie: Callable[[str], str] = str
    slow: float = 0.0
    _before: tuple[str, str] | None = None
    _visible: float = 0.0

    @property
    def shown(self) -> tuple[str, str] | None:
        """The id and the secret that readers see at present."""
        return self.key if self.world.lagging.clock.now >= self._visible else self._before

    def put(self, key: tuple[str, str] | None) -> None:
        """Replace the content, visible after `slow` seconds."""
        self._before, self.key = self.shown, key
        self._visible = self.world.lagging.clock.now + self.slow if self.slow else 0.0

    def held(self) -> str | None:
        """Return the id."""
        self.listen()
        if self.unreadable:
            raise StoreError(store=str(self), problem="nothing can be read")
        if self.shown:
            self.world.program.told.setdefault(self.shown[0], self.world.lagging.clock.now)
        return self.shown[0] if self.shown else None

    def check(self) -> None:
        """Find no problem."""
        self.listen()

    def listen(self) -> None:
        """Let another program run, then answer, except for the call that fails."""
        self.world.take_turns()
        self.world.breathe()
        self.deaf -= 1
        if self.deaf == 0:
            raise OSError(errno.EIO, "Input/output error")

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Write *key*, as far as the trouble allows."""
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
        if self.unreadable or (self.key and self.key[0]) != replacing:
            raise StoreError(store=str(self), problem="another program was faster")
        self.put((key.access_key_id, self.lie(key.secret.reveal())))
        self.world.look()
        self.world.breathe()
        if trouble == "crash after":
            self.world.die()
        if trouble == "late":
            raise StoreError(store=str(self), problem="the reply was lost")
        self.unreadable = trouble == "unreadable"

    def __str__(self) -> str:
        """Return the name in errors and events."""
        return "shelf"


@attrs.define
class Shelf(BlindShelf):
    """A store for one key that can be read back."""

    def secret(self) -> str | None:
        """Return the secret."""
        self.listen()
        if self.unreadable:
            raise StoreError(store=str(self), problem="nothing can be read")
        return self.shown[1] if self.shown else None


# --- programs -------------------------------------------------------------------------------------


class InterruptError(KeyboardInterrupt):
    """An interrupt of a simulated program, not of this script."""


@attrs.define
class Program:
    """A program that makes one call.

    Attributes:
        name: The name of the client that sends its requests.
        nested: Whether it runs while another program waits for a reply.
        dead: Whether it was killed.
        told: When IAM has last named a key to it, or the store has first, by the id of the key.
        looked: When it listed keys last, or when it began.
        sent: How many requests it has sent.
    """

    name: str
    nested: bool = False
    dead: bool = False
    told: dict[str, float] = attrs.field(factory=dict)
    looked: float = 0.0
    sent: int = 0


@attrs.define(eq=False)
class Relay:
    """Two programs that run by turns, each on a thread of its own.

    Attributes:
        world: The world that they are in.
        chance: Decides whose turn it is.
    """

    world: World
    chance: Random
    _batons: tuple[threading.Semaphore, threading.Semaphore] = attrs.field(init=False)
    _turn: int = 0
    _ended: bool = False
    _failure: BaseException | None = None

    def __attrs_post_init__(self) -> None:
        """Let both wait for their turn."""
        self._batons = threading.Semaphore(0), threading.Semaphore(0)

    def run(self, first: Callable[[], Any], second: Callable[[], object]) -> Any:
        """Run both to their ends; return the outcome of the first."""
        thread = threading.Thread(target=self._follow, args=(second,), daemon=True)
        thread.start()
        try:
            outcome = first()
        finally:
            self._leave()
            thread.join()
        if self._failure:
            raise self._failure
        return outcome

    def take_turns(self) -> None:
        """Let the other one run, perhaps."""
        if self._ended or self.chance.random() < 0.5:
            return
        program, turn = self.world.program, self._turn
        self._turn = 1 - turn
        self._batons[self._turn].release()
        self._batons[turn].acquire()
        self.world.program = program

    def _follow(self, act: Callable[[], object]) -> None:
        self._batons[1].acquire()
        self.world.program = Program(NOBODY)
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - it is raised on the thread of the first
            self._failure = error
        self._leave()

    def _leave(self) -> None:
        self._ended = True
        self._turn = 1 - self._turn
        self._batons[self._turn].release()


# --- the world ------------------------------------------------------------------------------------


@attrs.define
class World:
    """An IAM and a store, with all that was observed of them.

    Attributes:
        lagging: The IAM.
        shelf: The store.
        serving: The id and the secret of the last working key that the store has shown. The server
            uses this key.
        gaps: Each moment at which the server's key or the key in the store was not active, although
            a key had been delivered.
        thirds: Each moment at which there were three keys.
        excess: Each request of a program for a third key, although it could know of two.
        endless: Each program that was killed because it had sent too many requests.
        orphans: The ids of the keys outside the store that no result and no error named.
        theirs: The keys that operators have created for other purposes, and use.
        touched: Each moment at which a key of others was not active.
        said: The text of all events, results, errors and log records.
        secrets: The secret of every key.
        seconds: How long the calls took.
        crashes: How many programs were killed.
        errors: The types of the errors that programs ended with.
        asked: How often an operator had to decide.
        seen: How often what was prepared has happened, by kind.
        suspects: The ids of all suspects.
        program: The program that is running.
        patience: The number of the next request or write that is interrupted, counted from 1; 0 for
            none.
        on_create: Called before the next `CreateAccessKey` of a program.
        longest_lag: The longest lag of lists, in seconds.
        creating: Whether the next call is expected to create a key.
        lethargy: How many rounds pass before an operator repairs a store.
        relay: The two programs that run by turns; `None` if there are none.
    """

    lagging: LaggyIAM
    shelf: BlindShelf = attrs.field(init=False)
    serving: tuple[str, str] | None = None
    gaps: list[str] = attrs.field(factory=list)
    thirds: list[str] = attrs.field(factory=list)
    excess: list[str] = attrs.field(factory=list)
    endless: list[str] = attrs.field(factory=list)
    orphans: set[str] = attrs.field(factory=set)
    theirs: set[str] = attrs.field(factory=set)
    touched: list[str] = attrs.field(factory=list)
    said: list[str] = attrs.field(factory=list)
    secrets: set[str] = attrs.field(factory=set)
    seconds: float = 0.0
    crashes: int = 0
    errors: list[str] = attrs.field(factory=list)
    asked: int = 0
    seen: collections.Counter[str] = attrs.field(factory=collections.Counter)
    suspects: set[str] = attrs.field(factory=set)
    program: Program = attrs.field(factory=partial(Program, NOBODY))
    patience: int = 0
    on_create: list[Callable[[], object]] = attrs.field(factory=list)
    longest_lag: float = USUAL_LAG
    creating: bool = True
    lethargy: int = 0
    relay: Relay | None = None
    _programs: int = 0
    _delivered: bool = False
    _broken: int = 0
    _neighbours: tuple[str, str] | None = None

    def __attrs_post_init__(self) -> None:
        """Begin with an empty store."""
        self.shelf = Shelf(self)

    # --- state ------------------------------------------------------------------------------------

    @property
    def keys(self) -> dict[str, Any]:
        """The user's keys, as moto has them."""
        return _keys_of(USER)

    @property
    def active(self) -> set[str]:
        """The ids of the active keys."""
        return {name for name, key in self.keys.items() if key.status == "Active"}

    @property
    def held(self) -> str | None:
        """The id of the key that the store shows, or would show if it could be read."""
        return self.shelf.shown[0] if self.shelf.shown else None

    @property
    def works(self) -> bool:
        """Whether the key in the store works."""
        shown = self.shelf.shown
        return (
            shown is not None
            and shown[0] in self.active
            and shown[1] == self.keys[shown[0]].secret_access_key
        )

    @property
    def unheld(self) -> set[str]:
        """The ids of the keys that the store does not hold."""
        return self.keys.keys() - {self.held}

    @property
    def _server(self) -> str | None:
        """The id of the key that the server uses: it reads the store whenever that changes."""
        if self.works:
            self.serving = self.shelf.shown
        return self.serving[0] if self.serving else None

    def look(self) -> None:
        """Check what must hold at each moment."""
        where = f"request {len(self.lagging.trace)}"
        self.secrets |= {key.secret_access_key for key in self.keys.values()}
        if self._delivered and not {self._server, self.held} <= self.active:
            who = f"the server has {self._server}, the store {self.held}"
            self.gaps.append(f"{where}: {who}, active are {self.active}")
        if self.theirs - self.active:
            self.touched.append(f"{where}: {self.theirs - self.active}")
        if self._neighbours and self._neighbours[0] not in _active_of(NEIGHBOUR):
            self.touched.append(f"{where}: the key of {NEIGHBOUR}")
        if len(self.keys) > 2:
            self.thirds.append(f"{where}: {set(self.keys)}")

    def look_at(self, sent: Sent) -> None:
        """Check a request of the running program: it is not one too many, or for a third key."""
        if sent.client != self.program.name:
            return
        self.program.sent += 1
        if self.program.sent > MOST_REQUESTS:
            self.endless.append(f"request {len(self.lagging.trace)}: a call does not end")
            self.die()
        if sent.operation == "ListAccessKeys":
            self.program.looked = self.lagging.clock.now
        if sent.operation != "CreateAccessKey":
            return
        late = self.program.looked - self.longest_lag
        made = {name: key.create_date.replace(tzinfo=UTC) for name, key in self.keys.items()}
        old = {name for name, date in made.items() if date.timestamp() < late}
        recent = self.lagging.clock.now - USUAL_LAG
        told = {name for name, when in self.program.told.items() if when > recent}
        known = old | (made.keys() & told)
        if len(known) > 1:
            where = f"request {len(self.lagging.trace) + 1}"
            self.excess.append(f"{where}: {self.program.name} asks for a third key, has {known}")
        acts, self.on_create = self.on_create, []
        for act in acts:
            act()

    def leaks(self) -> int:
        """Count the secrets that were seen outside the store, in whole or in part."""
        everything = "\n".join(self.said)
        return sum(any(form in everything for form in _forms(secret)) for secret in self.secrets)

    # --- programs ---------------------------------------------------------------------------------

    def run(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """Run a program that makes a call.

        Returns:
            The result, the error or the interrupt; `None` if the program was killed.
        """
        self._programs += 1
        before = self.program
        self.program = Program(
            f"program {self._programs}",
            nested=before.name != NOBODY,
            looked=self.lagging.clock.now,
        )
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
            self.seen["interrupts"] += 1
            outcome = interrupt
        except CwAgentIamError as error:
            self.errors.append(type(error).__name__)
            outcome = error
        finally:
            self.program = before
        self._delivered = self._delivered or self.has_delivered(outcome)
        self.hear(outcome)
        told = getattr(outcome, "access_key", None) or outcome
        self.suspects |= {key.access_key_id for key in getattr(told, "suspects", ())}
        return outcome

    def has_delivered(self, outcome: object) -> bool:
        """Return whether there is a key to rely on.

        If a program fails beside another one, the key in the store may be the other program's. That
        one has not reported it yet, and may still withdraw it.
        """
        failed = outcome is None or isinstance(outcome, BaseException)
        rivalled = self.program.name != NOBODY or self.relay is not None
        return self.works and not (failed and rivalled)

    def hear(self, told: object) -> None:
        """Keep *told* in all its forms."""
        self._delivered = self._delivered or (isinstance(told, KeyDelivered) and self.works)
        self.said += [str(told), repr(told)]
        if isinstance(told, BaseException):
            self.said += traceback.format_exception(told)

    def breathe(self) -> None:
        """Stop a program that was killed, and interrupt it when it is time.

        Raises:
            Crash: If it was killed.
            InterruptError: If it is interrupted now.
        """
        if self.program.dead:
            msg = "this program is dead"
            raise Crash(msg)
        self.patience -= 1
        if self.patience == 0:
            raise InterruptError

    def die(self) -> None:
        """Kill the program here."""
        self.program.dead = True
        self.breathe()

    def ensure(self) -> Any:
        """Run a program that ensures a user with a key."""
        return self.run(ensure_agent_user)

    def rotate(self, **arguments: Any) -> Any:
        """Run a program that does the due steps of a rotation."""
        return self.run(rotate_access_key, **TERMS | arguments)

    def run_both(
        self, first: Callable[[], Any], second: Callable[[], object], chance: Random
    ) -> Any:
        """Run two programs at the same time; return the outcome of the first."""
        self.relay = Relay(self, chance)
        try:
            return self.relay.run(first, second)
        finally:
            self.relay = None

    def take_turns(self) -> None:
        """Let the other one of two programs run, perhaps; not in the middle of a request."""
        if self.relay and self.program.name != NOBODY and not self.program.nested:
            self.relay.take_turns()

    # --- others -----------------------------------------------------------------------------------

    def use(self, *names: str | None) -> None:
        """Let programs use keys. Default: the server uses the key in the store.

        The server cannot use a key whose secret in the store is wrong. It goes on with the key that
        it has.
        """
        now = self.lagging.clock.utcnow()
        for name in names or (self.held,):
            used = self._server if name == self.held else name
            if used in self.active:
                self.keys[str(used)].last_used = AccessKeyLastUsed(now, "monitoring", "us-east-1")

    def decide(self, outcome: object) -> None:
        """Let an operator read *outcome*: repair the store, and delete keys that are not needed."""
        broken = self.held in self.active and not self.works
        self._broken = self._broken + 1 if broken else 0
        if self._broken > self.lethargy:
            self.repair()
        if isinstance(outcome, KeyConflictError):
            self.asked += 1
            for name in self.unheld & {key.access_key_id for key in outcome.keys}:
                if name in self.theirs or not self._in_use(name):
                    self._delete(name)
        # A suspect that is always used is never retired, so the rotation would wait for ever.
        suspects = {key.access_key_id for key in getattr(outcome, "suspects", ())}
        for name in self.theirs & suspects:
            self.seen["suspects in use"] += 1
            if self.seen["suspects in use"] % 4 == 0:
                self._delete(name)

    def repair(self) -> None:
        """Restore the last content of the store that worked; empty the store if there was none."""
        self.asked += 1
        working = self._server in self.active
        self.shelf.slow = 0.0
        self.shelf.put(self.serving if working else None)

    def _in_use(self, name: str) -> bool:
        last = self.keys[name].last_used
        return name == self._server or (last is not None and last.service != "sts")

    def _delete(self, name: str) -> None:
        self.theirs.discard(name)
        self.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=name)

    def make_by_hand(self) -> str:
        """Create a key for another purpose, and use it."""
        name = self._create(USER)[0]
        self.use(name)
        self.theirs.add(name)
        return name

    def _create(self, user_name: str) -> tuple[str, str]:
        heard = len(self.said)
        made = self.lagging.truth.create_access_key(UserName=user_name)["AccessKey"]
        del self.said[heard:]  # another program's client logs this secret
        return str(made["AccessKeyId"]), str(made["SecretAccessKey"])

    def add_neighbour(self) -> None:
        """Create another user with a key."""
        self.lagging.truth.create_user(UserName=NEIGHBOUR)
        self._neighbours = self._create(NEIGHBOUR)
        self.secrets.add(self._neighbours[1])

    def lying(self, lie: Lie) -> Callable[[str], str]:
        """Return what a store keeps instead of a secret."""
        held, other = self.shelf.key, self._neighbours

        def stored(secret: str) -> str:
            self.seen["lies"] += bool(lie)
            kept = {
                "": secret,
                "mask": "<secret access key>",
                "half": secret[:20],
                "old": held[1] if held else "",
                "other": other[1] if other else "",
            }
            return kept[lie]

        return stored

    def record(self, name: str, **facts: Any) -> None:
        """Record a key for the store, as a delivery does."""
        known = Record(access_key_id=name, since=self.lagging.clock.now, store=SHELF, **facts)
        key, value = known.tag
        self.lagging.truth.tag_user(UserName=USER, Tags=[{"Key": key, "Value": value}])

    def make_if_there_is_room(self) -> None:
        """Create such a key unless IAM would refuse it, beside a key that was delivered.

        If it were older than the held key, and always used, a rotation would wait for ever.
        """
        if self.works and len(self.keys) < 2:
            self.make_by_hand()

    def clean_up(self) -> None:
        """Delete keys that the key in the store has replaced, as an operator may do."""
        for name in self.unheld - self.theirs:
            if self.works and self.replaces(name):
                self._delete(name)

    def replaces(self, name: str) -> bool:
        """Return whether the key in the store is newer than the key of this *name*."""
        keys = self.keys
        return bool(keys[name].create_date < keys[str(self.held)].create_date)

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.lagging.clock.sleep(seconds)


def _keys_of(user_name: str) -> dict[str, Any]:
    users = iam_backends["123456789012"]["aws"].users
    found = users[user_name].access_keys if user_name in users else []
    return {key.access_key_id: key for key in found}


def _active_of(user_name: str) -> set[str]:
    return {name for name, key in _keys_of(user_name).items() if key.status == "Active"}


def _forms(secret: str) -> tuple[str, ...]:
    half = len(secret) // 2
    coded = base64.b64encode(secret.encode()).decode()
    return secret[:half], secret[half:], secret[::-1], coded


@contextmanager
def world(profile: Any = "typical", seed: int = 0) -> Iterator[World]:
    """Open a world that checks every request. A program that was killed sends none."""
    process = LaggyIAM.process
    with laggy_iam(profile, seed=seed) as lagging:
        opened = World(lagging, longest_lag=LAGS.get(str(profile), USUAL_LAG))

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
            if about.client == program.name:  # not an operator who acts meanwhile
                for name in KEY_ID.findall(str(reply[2]) if reply else ""):
                    program.told[name] = lagging.clock.now
            return reply

        def side_by_side(calls: Sequence[Callable[[], object]], most: int) -> None:
            opened.take_turns()
            lagging.side_by_side(calls, most)

        with (
            patch.object(LaggyIAM, "process", watched),
            patch.object(threads, "run_in_threads", side_by_side),
        ):
            yield opened


# --- a life ---------------------------------------------------------------------------------------


@attrs.frozen
class Incident:
    """What happens during one call.

    Attributes:
        trouble: The fate of the write to the store.
        lie: What the store keeps instead of the secret.
        damage: Whether another program has damaged the secret in the store before the call.
        slow: After how many seconds the store shows what was written.
        crash: The number of the request at which the program is killed, and whether before or after
            it; `None` for none.
        rival: The number of the request before which another program runs; `None` for none.
        twin: Whether another program runs at the same time.
        deed: What the other program does.
        person: The number of the request before which an operator creates a key for another
            purpose; `None` for none.
        window: Whether `rival` and `person` act before the first `CreateAccessKey` instead.
        undo: Whether the old key is reactivated after the call, if it is inactive then.
        settled: Whether nothing lags at the start of the call.
        cleaner: The number of the request before which an operator deletes a key that was replaced;
            `None` for none.
        interrupt: The number of the request or write at which the program is interrupted; 0 for
            none.
        deaf: The number of the call of the store that fails; 0 for none.
        faults: What goes wrong with requests.
    """

    trouble: Trouble = ""
    lie: Lie = ""
    damage: bool = False
    slow: float = 0.0
    crash: tuple[int, Moment] | None = None
    rival: int | None = None
    twin: bool = False
    deed: Deed = "the same"
    person: int | None = None
    window: bool = False
    undo: bool = False
    settled: bool = True
    cleaner: int | None = None
    interrupt: int = 0
    deaf: int = 0
    faults: tuple[Fault, ...] = ()


QUIET = Incident()


def incidents(world: World, chance: Random) -> Iterator[Incident]:
    """Yield the incidents of one life: two calls of five are quiet, one of five has two troubles.

    A call that creates a key has one more.
    """
    while True:
        kinds = chance.choices(KINDS, k=chance.choice((0, 0, 1, 1, 2)))
        kinds += chance.choices(WRITING, k=int(world.creating))
        nth, when = chance.randint(1, 30), chance.choice(MOMENTS)
        window = "window" in kinds
        actor = chance.choice(("rival", "person", "none")) if window else ""
        trouble = chance.choice(TROUBLES) if "store" in kinds else ""
        delay = chance.choice(DELAYS) if "slow" in kinds else 0.0
        yield Incident(
            trouble=trouble,
            lie=chance.choice(LIES) if "lie" in kinds else "",
            damage="damage" in kinds,
            slow=min(delay, SHORT) if trouble or "interrupt" in kinds else delay,
            crash=(nth, when) if "crash" in kinds else None,
            rival=chance.randint(1, 30) if "rival" in (*kinds, actor) else None,
            twin="twin" in kinds,
            deed=chance.choice(DEEDS),
            person=chance.randint(1, 30) if "person" in (*kinds, actor) else None,
            window=window or chance.random() < 0.3,
            undo="undo" in kinds,
            settled=chance.random() < 0.5,
            cleaner=nth if "cleaner" in kinds else None,
            interrupt=nth if "interrupt" in kinds else 0,
            deaf=chance.randint(1, 6) if "deaf" in kinds else 0,
            faults=(
                *lost(chance, happens="reply" in kinds, window=window),
                *throttled(nth, happens="throttle" in kinds),
            ),
        )


def lost(chance: Random, *, happens: bool, window: bool) -> Iterator[Fault]:
    """Yield the loss of a reply: to any request, or to the one that creates a key."""
    outcome, when, nth = chance.choice(REPLIES), chance.choice(MOMENTS), chance.randint(1, 30)
    any_request = Fault(outcome, when=when, nth=nth)
    creating = Fault(outcome, "CreateAccessKey", when=when, nth=1)
    if window:
        yield creating
    elif happens:
        yield chance.choice((any_request, creating))


def throttled(nth: int, *, happens: bool) -> Iterator[Fault]:
    """Yield throttling of so many requests in a row that botocore would give up."""
    if happens:
        yield from (Fault("Throttling", nth=each) for each in range(nth, nth + 8))


def call(world: World, incident: Incident, act: Callable[[], Any], seed: int = 0) -> Any:
    """Run a program while *incident* happens; return the outcome."""
    if incident.settled:
        world.lagging.settle()
    began = world.lagging.clock.now
    other = prepare(world, incident, act)
    if incident.twin:
        world.seen["twins"] += 1
        outcome = world.run_both(act, other, Random(seed))  # noqa: S311 - it shall be predictable
    else:
        outcome = act()
    world.shelf.trouble, world.shelf.unreadable = "", False
    world.shelf.lie, world.shelf.slow = str, 0.0
    world.shelf.deaf = world.patience = 0
    world.on_create = []
    disarm(world.lagging)
    world.seconds += world.lagging.clock.now - began
    return outcome


def prepare(world: World, incident: Incident, act: Callable[[], Any]) -> Callable[[], object]:
    """Set up what happens while a program does *act*; return what the other program does."""
    lagging, shelf = world.lagging, world.shelf
    sent = len(lagging.trace)
    if incident.damage and world.works and shelf.key:
        world.seen["damages"] += 1
        shelf.put((shelf.key[0], shelf.key[1][::-1]))
    shelf.trouble, shelf.rival = incident.trouble, act
    shelf.lie, shelf.slow = world.lying(incident.lie), incident.slow
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
    deed = deeds[incident.deed]
    others: list[tuple[int | None, Callable[[], object]]] = [
        (incident.rival, deed),
        (incident.person, world.make_if_there_is_room),
    ]
    for number, other in others:
        if number and incident.window:
            world.on_create.append(other)
        elif number:
            lagging.before_request(sent + number, other)
    if incident.cleaner:
        lagging.before_request(sent + incident.cleaner, world.clean_up)
    return deed


def disarm(lagging: LaggyIAM) -> None:
    """Forget what was prepared and did not happen, because a quiet call may follow."""
    lagging._rivals.clear()  # noqa: SLF001 - there is no other use for this
    lagging._faults._scripted.clear()  # noqa: SLF001


def live(world: World, happening: Iterator[Incident], chance: Random) -> str:
    """Live one life; return what is wrong at the end, or an empty string."""
    outcome: Any = None
    for incident in itertools.chain(itertools.islice(happening, 4), itertools.repeat(QUIET, 8)):
        outcome = call(world, incident, world.ensure, chance.getrandbits(32))
        if world.works:
            break
        world.decide(outcome)
    else:
        return f"never delivered: {outcome}"
    first, due = world.held, None
    # After some rounds nothing goes wrong any more, and the rotation has to end by itself.
    for incident in itertools.chain(itertools.islice(happening, 12), itertools.repeat(QUIET, 28)):
        pause(world, due, idle=chance.random() < IDLE)
        outcome = call(world, incident, world.rotate, chance.getrandbits(32))
        if incident.undo and isinstance(outcome, RotationStatus) and outcome.can_undo:
            outcome = call(world, QUIET, partial(world.rotate, undo=True))
        world.decide(outcome)
        if not isinstance(outcome, RotationStatus):
            outcome = call(world, QUIET, world.rotate)
        if unnamed(world, outcome):
            outcome = call(world, QUIET, world.rotate)
        world.orphans |= unnamed(world, outcome)
        due = outcome.due_at if isinstance(outcome, RotationStatus) else None
        world.creating = isinstance(outcome, RotationStatus) and outcome.phase == "current"
        if is_rotated(world, first):
            return ""
    return f"never ends: {outcome}"


def is_rotated(world: World, first: str | None) -> bool:
    """Return whether the only key is in the store, works, and is not the *first* one."""
    return world.works and world.held != first and not world.unheld


def pause(world: World, due: dt.datetime | None, *, idle: bool) -> None:
    """Move the clock until a step is due, or by a day.

    Other programs use their keys meanwhile, and so does the server unless it is *idle*.
    """
    now = world.lagging.clock.now
    pause = max(due.timestamp() - now, 0.0) if due else DAY
    world.sleep(pause / 2)
    used = [*world.theirs, *([] if idle else [world.held])]
    if used:
        world.use(*used)
    world.sleep(pause / 2 + 1)


def unnamed(world: World, outcome: object) -> set[str]:
    """Return the keys that are not in the store and that *outcome* does not name."""
    told = f"{outcome} {outcome!r}"
    return {name for name in world.unheld if name not in told}


# --- many lives -----------------------------------------------------------------------------------


@attrs.frozen
class Life:
    """The outcome of one life."""

    requests: int
    seconds: float
    crashes: int
    errors: tuple[str, ...]
    asked: int
    blind: bool
    seen: collections.Counter[str]
    suspects: int
    orphans: tuple[str, ...]
    gaps: tuple[str, ...]
    thirds: tuple[str, ...]
    excess: tuple[str, ...]
    touched: tuple[str, ...]
    endless: tuple[str, ...]
    leaks: int
    failure: str

    @property
    def wrong(self) -> list[str]:
        """All that is wrong, in words."""
        orphans = [f"no call names {name}" for name in self.orphans]
        leaks = [f"{self.leaks} secrets outside"] * bool(self.leaks)
        seen = (*self.endless, *self.gaps, *self.thirds, *self.excess, *self.touched)
        return [*filter(None, [self.failure]), *orphans, *leaks, *seen]


def life(profile: str, seed: int) -> Life:
    """Live one life. In every tenth, the logs of botocore are heard too, which is slow."""
    chance = Random(seed)  # noqa: S311 - it shall be predictable
    with world(profile, seed) as opened, listening(opened, seed):
        blind = seed % 4 == 3
        if blind:
            opened.shelf = BlindShelf(opened)
        opened.lethargy = chance.randint(0, 5)
        opened.add_neighbour()
        try:
            failure = live(opened, incidents(opened, chance), Random(seed))  # noqa: S311
        except Exception as error:  # noqa: BLE001 - any other error is a failure, and counted
            failure = f"raised {type(error).__name__}: {error}"
        return Life(
            requests=len(opened.lagging.trace),
            seconds=opened.seconds,
            crashes=opened.crashes,
            errors=tuple(opened.errors),
            asked=opened.asked,
            blind=blind,
            seen=opened.seen,
            suspects=len(opened.suspects),
            orphans=tuple(sorted(opened.orphans)),
            gaps=tuple(opened.gaps),
            thirds=tuple(opened.thirds),
            excess=tuple(opened.excess),
            touched=tuple(opened.touched),
            endless=tuple(opened.endless),
            leaks=opened.leaks(),
            failure=failure,
        )


@contextmanager
def listening(opened: World, seed: int) -> Iterator[None]:
    """Hear the log of this library, and every tenth time all logs."""
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
    """Run lives, and print figures.

    The first argument is the number of seeds, 50 by default. The second is the first seed, 0 by
    default.
    """
    count, first = (*map(int, sys.argv[1:3]), *(50, 0)[len(sys.argv[1:3]) :])
    planned = list(itertools.product(PROFILES, range(first, first + count)))
    by_profile: dict[str, list[Life]] = collections.defaultdict(list)
    wrong = []
    with concurrent.futures.ProcessPoolExecutor(initializer=gc.freeze) as pool:
        ended = pool.map(life, *zip(*planned, strict=True), chunksize=5)
        for (profile, seed), one in zip(planned, ended, strict=True):
            by_profile[profile].append(one)
            wrong += [(profile, seed, words) for words in one.wrong]
    for table in (effort, happened, verdict):
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
    """Return how many lives there were, and what they took."""
    times = sorted(each.seconds for each in lives)
    return {
        " lives": len(lives),
        " requests": sum(each.requests for each in lives),
        "median s": round(statistics.median(times), 1),
        "  99 % s": round(times[int(len(times) * 0.99)], 1),
        "errors of ours": sum(len(each.errors) for each in lives),
        "asked": sum(each.asked for each in lives),
    }


def happened(lives: list[Life]) -> dict[str, float]:
    """Return what went wrong, and how often."""
    seen = sum((each.seen for each in lives), collections.Counter[str]())
    return {
        "crashes": sum(each.crashes for each in lives),
        "interrupts": seen["interrupts"],
        "two at once": seen["twins"],
        "lies of stores": seen["lies"],
        "damages": seen["damages"],
        "blind stores": sum(each.blind for each in lives),
        "suspects": sum(each.suspects for each in lives),
        "suspects in use": seen["suspects in use"],
    }


def verdict(lives: list[Life]) -> dict[str, float]:
    """Return how often there was what must never be."""
    return {
        "unnamed orphans": sum(len(each.orphans) for each in lives),
        "gaps": sum(len(each.gaps) for each in lives),
        "third keys": sum(len(each.thirds) for each in lives),
        "requests beyond room": sum(len(each.excess) for each in lives),
        "secrets outside": sum(each.leaks for each in lives),
        "keys of others touched": sum(len(each.touched) for each in lives),
        "calls without end": sum(len(each.endless) for each in lives),
        "failures": sum(bool(each.failure) for each in lives),
    }


if __name__ == "__main__":
    main()
