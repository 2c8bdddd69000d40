"""The lagging IAM: moto holds the true state, and the simulator decides what each request sees."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from email.utils import formatdate
from functools import cached_property, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs
from moto.core.botocore_stubber import BotocoreStubber
from moto.iam.models import get_account_id_from, iam_backends

from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.executor import threads
from cwagent_iam.propagation import Propagation
from cwagent_iam.testing.aws_in_memory import sandbox
from cwagent_iam.testing.lagging.faults import Fault, Faults, TokenBucket, answer
from cwagent_iam.testing.lagging.moto_state import frozen, half_built, is_same, showing, things
from cwagent_iam.testing.lagging.profiles import PROFILES, REPLICAS, Plane, Profile
from cwagent_iam.testing.lagging.replies import refusal, throttled
from cwagent_iam.testing.lagging.versions import Versions
from cwagent_iam.testing.lagging.views import (
    View,
    in_words_of_aws,
    refused_by_ec2,
    refused_by_iam,
    refused_by_sts,
    refused_for_key,
)
from cwagent_iam.testing.lagging.virtual_clock import VirtualClock, predictable
from cwagent_iam.testing.lagging.wire import (
    HEADER,
    PATIENCE,
    Request,
    Sent,
    Trace,
    outcome_of,
    sent_as,
)
from cwagent_iam.testing.lagging.writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import boto3
    from botocore.awsrequest import AWSPreparedRequest, AWSRequest
    from moto.iam.models import IAMBackend

    from cwagent_iam.testing.lagging.replies import Reply

_TRUTH = "truth"
_OTHER_PLANES: dict[str, Plane] = {"sts": "authz", "ec2": "ec2"}


@attrs.define(kw_only=True)
class LaggyIAM:
    """A lagging IAM, open until the end of its block.

    Attributes:
        session: A session whose clients use it, with its faults.
        clock: The clock; it moves only with pauses and requests.
        trace: Every request so far, one line each.
    """

    session: boto3.Session
    clock: VirtualClock
    trace: Trace = attrs.field(factory=Trace)
    _profile: Profile
    _random: random.Random
    _iam: IAMBackend
    _versions: Versions
    _faults: Faults
    _writers: Writers
    _buckets: dict[str, TokenBucket] = attrs.field(factory=dict)
    _next_replica: int = 0
    _rivals: list[tuple[int, Callable[[], object]]] = attrs.field(factory=list)
    _replies: dict[tuple[Any, ...], Any] = attrs.field(factory=dict)
    # Re-entrant, because some services of moto call others through boto3.
    _lock: threading.RLock = attrs.field(factory=threading.RLock)

    @property
    def propagation(self) -> Propagation:
        """Propagation settings with the clock of this IAM; pauses take no real time."""
        return Propagation(
            clock=self.clock.time,
            sleep=self.clock.sleep,
            random=self._random.random,
            now=self.clock.time,
            side_by_side=self.side_by_side,
        )

    @cached_property
    def truth(self) -> Any:
        """A client for IAM without lag and faults."""
        return self.client(_TRUTH)

    def client(self, name: str, service: str = "iam") -> Any:
        """Return a client with a *name*, for concurrent writers and for faults of one client."""
        return self.program(name).client(service)

    def program(self, name: str) -> Any:
        """Return a session all of whose clients have this *name*; a crash kills all of them."""
        return _Program(self.session, name)

    def fail(self, fault: Fault) -> None:
        """Inject *fault* into requests from now on."""
        self._faults.add(fault)

    def before_request(self, number: int, act: Callable[[], object]) -> None:
        """Call *act* right before the request of this number is carried out."""
        self._rivals.append((number, act))

    def settle(self) -> None:
        """Move the clock until every replica shows everything."""
        self.clock.now = max(self.clock.now, self._versions.settled())

    def side_by_side(self, calls: Sequence[Callable[[], object]], most: int) -> None:
        """Simulate *calls* that run at the same time, at most *most* of them.

        They run one after another, in an order that the seed decides. The clock is set back before
        each call. If a call raises, the others do not run.
        """
        for first in range(0, len(calls), most):
            batch = list(calls[first : first + most])
            self._random.shuffle(batch)
            start = latest = self.clock.now
            try:
                for call in batch:
                    self.clock.now = start
                    call()
                    latest = max(latest, self.clock.now)
            finally:
                self.clock.now = max(latest, self.clock.now)

    def process(self, moto: Callable[[], Reply | None], request: AWSPreparedRequest) -> Any:
        """Return the reply to *request*, from *moto* or from a fault. Any thread may call this."""
        with self._lock:
            sent = sent_as(request, len(self.trace) + 1)
            if sent.client == _TRUTH:
                return self._carry_out(moto, lagging=False)
            entry = self._noted(sent)
            due = self._due_rivals(sent.number)
        # Without the lock, because they send requests of their own, perhaps on other threads.
        for act in due:
            act()
        with self._lock:
            try:
                reply = self._reply(moto, sent, entry)
            except BaseException as error:
                entry.outcome = type(error).__name__
                raise
            entry.outcome = outcome_of(reply)
            return reply and self._dated(reply)

    def _noted(self, sent: Sent) -> Request:
        """Add a request to the trace, and move the clock by its latency."""
        entry = Request(
            number=sent.number,
            time=self.clock.elapsed,
            client=sent.client,
            operation=sent.operation,
            target=sent.target,
            reads=sent.reads,
            body=sent.body,
        )
        self.trace.append(entry)
        self.clock.sleep(self._profile.latency)
        return entry

    def _dated(self, reply: Reply) -> Reply:
        """Return the reply with the time of this IAM instead of the real time."""
        status, headers, body = reply
        date = formatdate(self.clock.now, usegmt=True)
        return status, {**headers, "date": date}, body

    def _due_rivals(self, number: int) -> list[Callable[[], object]]:
        due = [act for place, act in self._rivals if place <= number]
        self._rivals = [rival for rival in self._rivals if rival[0] > number]
        return due

    def _reply(
        self,
        moto: Callable[[], Reply | None],
        sent: Sent,
        entry: Request,
    ) -> Any:
        if not self._bucket(sent).take(self.clock.now):
            return throttled(sent.service)
        fault = self._faults.strike(sent)
        entry.fault = str(fault or "")
        if fault is None:
            return self._serve(moto, sent, entry)
        if fault.when == "after":
            self._serve(moto, sent, entry)
        if fault.outcome == "read timeout":
            self.clock.sleep(sent.read_timeout)
        return answer(fault, sent)

    def _bucket(self, sent: Sent) -> TokenBucket:
        rate, burst = self._profile.read_rate if sent.reads else self._profile.write_rate
        return self._buckets.setdefault(sent.operation, TokenBucket(rate, burst))

    def _serve(self, moto: Callable[[], Reply | None], sent: Sent, entry: Request) -> Any:
        if get_account_id_from(sent.access_key) != self._iam.account_id:
            return moto()  # other accounts do not lag
        if sent.access_key in self._iam.access_keys:
            self._replies.clear()  # because moto records the use of the key
        entry.replica = self._route(sent)
        home = f"arn:{self._iam.partition}:iam::{self._iam.account_id}:"
        view = View(self._versions, "authz", entry.replica, self.clock.now, home)
        refused = refused_for_key(view, sent)
        if refused:
            return refused
        if sent.service in _OTHER_PLANES:
            view = attrs.evolve(view, plane=_OTHER_PLANES[sent.service])
            return refused_by_sts(view, sent) or refused_by_ec2(view, sent) or moto()
        if sent.reads:
            view = attrs.evolve(view, plane="read")
            return in_words_of_aws(self._read(moto, view, sent), view, sent)
        return self._write(moto, attrs.evolve(view, plane="admission"), sent)

    def _route(self, sent: Sent) -> int | None:
        router = self._profile.router
        place = self._next_replica
        self._next_replica += 1
        match router:
            case "newest":
                return None
            case "random":
                return self._random.randrange(REPLICAS)
            case "sticky":
                return sum(sent.client.encode()) % REPLICAS
            case "alternate":
                return place % REPLICAS
            case _:
                return router[min(place, len(router) - 1)]

    def _read(self, moto: Callable[[], Reply | None], view: View, sent: Sent) -> Any:
        """Let moto read the state of a replica, in which unsettled changes may be missing."""
        late: dict[tuple[str, str], Any] = {}
        seen: list[tuple[int, bool]] = []
        for key in self._versions.unsettled(view.now) if view.replica is not None else ():
            version = self._versions.at(key, view.plane, view.replica, view.now)
            known = version.copy
            built = view.replica is None or version.built[view.replica] <= view.now
            late[key] = known if built or known is None else half_built(known)
            seen.append((id(version), built))
        # Parallel reads are equal requests: until the next write, moto answers each only once.
        same = (sent.operation, sent.body, *seen)
        if same not in self._replies or sent.operation == "GetAccessKeyLastUsed":
            with showing(self._iam, late):
                self._replies[same] = moto()
        return self._replies[same]

    def _write(self, moto: Callable[[], Reply | None], view: View, sent: Sent) -> Any:
        """Let moto write, unless a stale replica or a concurrent writer causes a refusal."""
        truthful = self._random.random() >= self._profile.stale_writes
        refused = refused_by_iam(view.truth if truthful else view, sent)
        if refused:
            return refused
        if self._writers.collides(sent, view.now):
            return refusal("iam", "ConcurrentModification", "", 409)
        reply = self._carry_out(moto, lagging=True)
        if reply and reply[0] < HTTPStatus.BAD_REQUEST:
            self._writers.note(sent, view.now)
        return in_words_of_aws(reply, view.truth, sent)

    def _carry_out(self, moto: Callable[[], Reply | None], *, lagging: bool) -> Any:
        """Let moto write, and record what it changed."""
        reply = moto()
        self._replies.clear()
        now = {key: frozen(thing, self._iam) for key, thing in things(self._iam).items()}
        before = {key: version.copy for key, version in self._versions.newest()}
        for key in now.keys() | before.keys():
            new, old = now.get(key), before.get(key)
            changed = (new is None) != (old is None) or (new is not None and not is_same(old, new))
            if changed:
                self._versions.commit(key, new, self.clock.now, lagging=lagging)
        return reply


@contextmanager
def laggy_iam(
    profile: str | Profile = "typical",
    *,
    seed: int = 0,
    account_id: str = "123456789012",
    region: str = "us-east-1",
) -> Iterator[LaggyIAM]:
    """Open a sandbox whose IAM is eventually consistent, throttles, and loses replies.

    No real time passes: botocore, the simulator and this library share one clock, unless a call is
    given another one. *seed* decides everything random, so a run can be repeated. If the block ends
    with an error, a note on the error lists the requests so far. `strict_iam` can be used in the
    same block: lag, loss and throttling are decided first, and a request that strict IAM refuses
    changes nothing.

    Requests that this library sends at the same time are a batch. They start at the same time, are
    carried out in an order that *seed* decides, and take as long as the slowest of them. Requests
    of other threads are carried out one at a time: this is safe, but such a run is not repeatable.

    Args:
        profile: ``off``, ``typical``, ``bad_day``, ``adversarial``, or a `Profile` of your own.
        seed: The seed of all random decisions.
        account_id: The account that the session's credentials belong to, 12 digits.
        region: The session's Region, which decides the partition.

    Yields:
        The lagging IAM.

    Raises:
        IntentError: If there is no such profile.
        RuntimeError: If another sandbox is open.
    """
    if not isinstance(profile, Profile) and profile not in PROFILES:
        rule = f"must be a Profile or one of {', '.join(PROFILES)}"
        raise IntentError(problems=(Problem.of("profile", profile, rule),))
    chosen = profile if isinstance(profile, Profile) else PROFILES[profile]
    chance, clock = random.Random(seed), VirtualClock()  # noqa: S311 - it shall be predictable
    with sandbox(account_id=account_id, region=region) as session, predictable(clock, seed):
        partition = session.get_partition_for_region(region)
        laggy = LaggyIAM(
            session=session,
            clock=clock,
            profile=chosen,
            random=chance,
            iam=iam_backends[account_id][partition],
            versions=Versions(chosen, chance),
            faults=Faults.of(chosen.faults, chance),
            writers=Writers(chosen.collisions, chance),
        )
        session.events.register("before-sign", _tell_patience)
        process_request = BotocoreStubber.process_request

        def process(stubber: BotocoreStubber, request: AWSPreparedRequest) -> Any:
            return laggy.process(partial(process_request, stubber, request), request)

        with (
            patch.object(BotocoreStubber, "process_request", process),
            # Calls without a `Propagation` of their own send batches too.
            patch.object(threads, "run_in_threads", laggy.side_by_side),
        ):
            try:
                yield laggy
            except BaseException as error:
                error.add_note(f"seed {seed}\n{laggy.trace}")
                raise


@attrs.frozen
class _Program:
    _session: Any
    _name: str

    def client(self, service: str, **settings: Any) -> Any:
        client = self._session.client(service, **settings)
        client.meta.events.register("before-sign", partial(_sign, self._name))
        return client


def _sign(name: str, request: Any, **_event: object) -> None:
    request.headers[HEADER] = name


def _tell_patience(request: AWSRequest, **_event: object) -> None:
    request.headers[PATIENCE] = str(request.context["client_config"].read_timeout)
