"""The driver: runs a generator of effects to its result."""

from __future__ import annotations

import functools
import inspect
import logging
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import attrs

from cwagent_iam.arguments import refuse
from cwagent_iam.aws.clients import Clients
from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.aws.sender import unquoted
from cwagent_iam.changes import Result
from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.events import Done, Waiting
from cwagent_iam.executor import custody
from cwagent_iam.executor.transport import Transport
from cwagent_iam.propagation import Propagation
from cwagent_iam.reconcile.failures import add_facts
from cwagent_iam.requests import (
    Deliver,
    Emit,
    Hold,
    Interrupted,
    Refusal,
    Request,
    Send,
    Settle,
    Verify,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cwagent_iam.aws.clients import AWSSession, IAMClient
    from cwagent_iam.requests import Effect, EventLike, Outcome, Service, Steps

T = TypeVar("T")
ResultT = TypeVar("ResultT", bound=Result)

_log = logging.getLogger("cwagent_iam")


@attrs.define(eq=False)
class Emitter:
    """The emitter of one call: logs each event and passes it to the caller. Do not share it.

    Attributes:
        propagation: The settings; the clock is used.
        on_event: Called with each event. Default: events are only logged.
    """

    propagation: Propagation
    on_event: Callable[[Any], object] | None = None
    _started: float = attrs.field(init=False)

    @_started.default
    def _start(self) -> float:
        return self.propagation.clock()

    def __call__(self, event: EventLike) -> None:
        """Set the seconds since the start on *event*, log it, and pass it on."""
        timed: Any = event
        timed = attrs.evolve(timed, seconds=self.propagation.clock() - self._started)
        _log.info("%s", timed)
        if self.on_event:
            self.on_event(timed)

    def waiting(self, reason: str, pause: float) -> None:
        """Emit that a *pause* begins, in seconds."""
        self(Waiting(reason=reason, pause=pause))


@attrs.define(eq=False)
class Executor:
    """The executor of one call: its clients, transport and emitter. Do not share it.

    Attributes:
        clients: The clients.
        propagation: The settings.
        emit: Logs an event and passes it to the caller.
        transport: Sends requests.
    """

    clients: Clients
    propagation: Propagation
    emit: Emitter
    transport: Transport
    _store_name: str = attrs.field(default="", init=False)
    _effect: Effect | None = attrs.field(default=None, init=False)

    @classmethod
    def of(
        cls,
        session: AWSSession | None = None,
        iam: IAMClient | None = None,
        propagation: Propagation | None = None,
        on_event: Callable[[Any], object] | None = None,
        *,
        ec2: Any = None,
        sts: Any = None,
    ) -> Executor:
        """Set up a call; no request is sent.

        Args:
            session: The boto3 session. Default: boto3's default session.
            iam: A client for IAM to use unaltered. Default: a client built from *session*.
            propagation: Propagation settings. Default: `Propagation`.
            on_event: Called with each event. Default: events are only logged.
            ec2: A client for EC2 to use unaltered. Default: a client built from *session*.
            sts: A client for STS to use unaltered. Default: a client that inherits from the others.

        Raises:
            IntentError: If an argument has the wrong type. It lists all of them.
        """
        refuse(_client_problems(session, iam, ec2, sts), _problems(propagation, on_event))
        settings = propagation or Propagation()
        clients = Clients(session, iam, ec2, settings.max_in_flight, sts)
        emit = Emitter(settings, on_event)
        return cls(clients, settings, emit, Transport(clients, settings, emit.waiting))

    @property
    def partition(self) -> str:
        """The partition; ``aws`` if no client can be built, which the first request reports."""
        return str(self._meta("iam", "partition", "aws"))

    @property
    def ec2_region(self) -> str | None:
        """The Region of the client for EC2; `None` if it has none, or cannot be built.

        Raises:
            IntentError: If EC2's Region or account is unknown.
        """
        region: str | None = self._meta("ec2", "region_name", None)
        return region

    def _meta(self, service: Service, name: str, default: str | None) -> Any:
        try:
            return getattr(self.clients.of(service).meta, name)
        except IntentError:
            raise
        except Exception:  # noqa: BLE001 - settings and credential providers may raise anything
            return default

    def run(self, steps: Steps[T]) -> T:
        """Run *steps* to their result, on this thread.

        An exception of an effect, or an interrupt, is thrown into the generator. The effects that
        its cleanup yields are performed like all others. The generator is never closed before its
        end.

        Args:
            steps: The generator.

        Returns:
            What the generator returns.

        Raises:
            BaseException: As the generator raises it; for `Interrupted`, its cause.
        """
        resume: Callable[[], Effect] = functools.partial(next, steps)
        ended: BaseException | None = None
        while ended is None:
            try:
                return self._drive(steps, resume)
            except BaseException as error:  # noqa: BLE001 - an interrupt may come at any place
                if inspect.getgeneratorstate(steps) == inspect.GEN_CLOSED:
                    ended = error
                else:
                    resume = functools.partial(steps.throw, self._with_outcomes(error))
        # Raised outside the handler, which would set the context of the interrupt.
        raise (ended.__cause__ or ended) if isinstance(ended, Interrupted) else ended

    def _drive(self, steps: Steps[T], resume: Callable[[], Effect]) -> T:
        """Resume *steps*, and perform its effects until it ends, or until anything else raises."""
        try:
            while True:
                self._effect = resume()
                resume = functools.partial(steps.send, self._perform(self._effect))
        except StopIteration as ended:
            if inspect.getgeneratorstate(steps) != inspect.GEN_CLOSED:
                raise
            result: T = ended.value
            return result

    def _with_outcomes(self, error: BaseException) -> BaseException:
        """Return *error* with the outcomes that have come, if the last effect is a `Send`."""
        effect = self._effect
        if not isinstance(effect, Send):
            return error
        stop = Interrupted(effect.requests, self.transport.outcomes_of(effect.requests))
        stop.__cause__ = error
        return stop

    def _perform(self, effect: Effect) -> Any:
        """Perform *effect*; return its result for the generator."""
        match effect:
            case Send(requests=requests, attempts=attempts):
                return self.transport.send(requests, attempts)
            case Wait(least=least, most=most, reason=reason):
                pause = least + self.propagation.random() * (most - least)
                self.emit.waiting(reason, pause)
                self.propagation.sleep(pause)
                return pause
            case Emit(event=event):
                return self.emit(event)
            case _:
                return self._ask_store(effect)

    def _ask_store(self, effect: Hold | Deliver | Verify | Settle) -> Any:
        match effect:
            case Hold():
                holding = custody.hold(effect, self._store_name)
                # The first name is kept: a store could name itself by its secret once it holds one.
                self._store_name = holding.name
                return holding
            case Deliver():
                return custody.deliver(effect, self._store_name)
            case Settle():
                return custody.settle(effect, self._store_name)
            case Verify():
                return self._verify(effect)
            case _:
                assert_never(effect)

    @sealed
    def _verify(self, effect: Verify) -> tuple[Outcome, ...]:
        client = custody.client_for(effect, self.clients, self._store_name)
        if isinstance(client, Refusal):
            return (client,)
        # A separate transport: failures of STS in one Region say nothing about IAM.
        transport = Transport(Clients(sts=client), self.propagation, self.emit.waiting)
        requests = (Request.of("GetCallerIdentity"),) * effect.copies
        try:
            try:
                return tuple(map(unquoted, transport.send(requests)))
            finally:
                custody.forget(client)
        finally:
            custody.forget(client)  # once more, because an interrupt may have stopped the first

    def finish(self, result: ResultT) -> ResultT:
        """Emit that the call has succeeded, and return its result.

        Raises:
            BaseException: As the caller's `on_event` raises it, with what was applied.
        """
        try:
            self.emit(Done(result=result))
        except BaseException as stop:
            add_facts(stop, result.changes)
            raise
        return result


def _client_problems(session: Any, iam: Any, ec2: Any, sts: Any) -> Iterator[Problem]:
    """Yield the problems of sessions and clients."""
    rows = (
        ("session", session, "client", "a session that builds clients, such as a boto3.Session"),
        ("iam", iam, "get_role", "a client for IAM, as session.client('iam') returns it"),
        ("ec2", ec2, "run_instances", "a client for EC2, as session.client('ec2') returns it"),
        ("sts", sts, "get_caller_identity", "a client for STS, as session.client('sts') returns"),
    )
    for name, value, method, kind in rows:
        # A class has its methods too, but they cannot be called.
        if isinstance(value, type) or not (value is None or callable(getattr(value, method, None))):
            yield Problem.of(name, value, f"must be {kind}")


def _problems(propagation: Any, on_event: Any) -> Iterator[Problem]:
    """Yield the problems of the other arguments that most public functions have in common."""
    if not isinstance(propagation, Propagation | None):
        yield Problem.of("propagation", propagation, "must be a Propagation, with its settings")
    if on_event is not None and not callable(on_event):
        yield Problem.of("on_event", on_event, "must be a function that takes an event")
