"""An IAM of dictionaries whose three replicas learn late, and which is its own client."""

from __future__ import annotations

import copy
from email.utils import formatdate
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple

import attrs
from botocore import xform_name
from botocore.exceptions import ClientError, ReadTimeoutError

from cwagent_iam import Propagation
from cwagent_iam.requests import OPERATIONS, Outcome, Reply, Request
from tests.core import BUSY, Answer, Lost, RefusedError, World, carry_out

_METHODS = {xform_name(name): name for name in OPERATIONS}


class Lag(NamedTuple):
    """The median delay and the longest, in seconds, and probabilities of what goes wrong."""

    median: float = 1.5
    cap: float = 15.0
    stale: float = 0.3  # a write is refused by what a replica knows
    half: float = 0.2  # a new entity has a bare id for its ARN, for a second
    busy: float = 0.0
    lost: float = 0.0  # the first reply to each distinct write
    failing: float = 0.0


LAGS = {"off": Lag(0, 0, 0, 0), "typical": Lag(), "adversarial": Lag(busy=0.3, lost=1.0)}
LAGS["bad_day"] = Lag(9.0, 120.0, busy=0.2, lost=0.1, failing=0.02)


@attrs.define(eq=False)
class Replicas(World):
    """A `World` with *lag*, and with a client's methods; each rival acts before a request."""

    lag: Lag = LAGS["off"]
    seed: int = 0
    rivals: list[tuple[int, Any]] = attrs.field(factory=list)
    trace: list[tuple[float, str]] = attrs.field(factory=list)
    done: list[str] = attrs.field(factory=list)  # what IAM has carried out
    late: list[tuple[str, Any, list[float]]] = attrs.field(factory=list)
    lost: set[str] = attrs.field(factory=set)
    random: Random = attrs.field(factory=Random)

    def __getattr__(self, name: str) -> Any:
        """Return the method of a client."""
        if name == "meta":
            return SimpleNamespace(partition="aws")
        return partial(self._call, _METHODS[name]) if name in _METHODS else getattr(World, name)

    def _call(self, operation: str, **arguments: Any) -> Any:
        came = self.answer(Request(operation, arguments))
        facts: Any = {"RequestId": "id", "HTTPHeaders": {"date": formatdate(self.now)}}
        if isinstance(came, Reply):
            return {**came.content, "ResponseMetadata": facts}
        if came.code is None:
            raise came.error or ReadTimeoutError(endpoint_url="https://iam.amazonaws.com/")
        error: Any = {"Code": came.code, "Message": came.message}
        raise ClientError({"Error": error, "ResponseMetadata": facts}, operation)

    def propagation(self, timeout: float = 60.0) -> Propagation:
        """Return settings for a call in this IAM's time."""

        def run(calls: Any, _most: int) -> None:
            for call in self.random.sample(calls, len(calls)):
                call()

        def sleep(seconds: float) -> None:
            self.now += seconds

        time, chance = (lambda: self.now), self.random.random
        return Propagation(
            timeout=timeout, clock=time, now=time, sleep=sleep, random=chance, side_by_side=run
        )

    def settle(self) -> World:
        """Let time pass until every replica knows everything; return the truth, without lag."""
        self.now = max([self.now, *(max(times) for *_, times in self.late)])
        self.late.clear()
        return World(self.things, now=self.now)

    def view(self, replica: int) -> Any:
        """Return what a replica shows."""
        shown, known = dict(self.things), set()
        for key, before, arrives in reversed(self.late):
            if arrives[replica] <= self.now:
                known.add(key)
            elif key not in known:
                shown[key] = before
        return {key: thing for key, thing in shown.items() if thing}

    def answer(self, request: Request) -> Outcome:
        """Answer *request* after its rivals have acted; note what it has changed."""
        self.trace.append((self.now, request.operation))
        due = [rival for rival in self.rivals if rival[0] <= len(self.trace)]
        self.rivals = [rival for rival in self.rivals if rival not in due]
        for _, act in due:
            act()
        outcome = super().answer(request)
        changed = [(before, key) for _, before in self.past for key in before | self.things]
        self.past.clear()
        for before, key in changed:
            if (old := before.get(key)) != (new := self.things.get(key)):
                delays = [self.random.lognormvariate(0, 0.9) * self.lag.median for _ in range(3)]
                times = [self.now + min(delay, self.lag.cap) for delay in delays]
                self.late.append((key, old, times))
                if new and not old and new["kind"] != "User":
                    bare = {**new, "seen": {**new["seen"], "Arn": "AROAEXAMPLE"}}
                    built = [at + (self.random.random() < self.lag.half) for at in times]
                    self.late.append((key, copy.deepcopy(bare), built))
        self.done += [request.operation] * bool(changed and not request.row.reads)
        return outcome

    def __attrs_post_init__(self) -> None:
        """Let chance answer."""
        self.answers = self._fate
        self.random.seed(self.seed)

    def _fate(self, request: Request) -> Answer:
        lag, chance = self.lag, self.random.random
        if chance() < lag.failing:
            return Lost(done=False)
        shown = self.view(self.random.randrange(3))
        try:
            if request.row.reads:
                return Reply(content=carry_out(shown, request, self.now), date=self.now)
            if chance() < lag.stale:
                carry_out(copy.deepcopy(shown), request, self.now)
        except RefusedError as error:
            return error.args[0]  # type: ignore[no-any-return]
        loses = (said := repr(request)) not in self.lost and chance() < lag.lost
        self.lost |= {said} if loses else set()
        return BUSY if chance() < lag.busy else Lost() if loses else None
