"""The driver: effects, events, and what is thrown into the generator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs
import boto3
import pytest

from cwagent_iam import ChangeSet, IntentError, Result, State, diff, plan_agent_user
from cwagent_iam.aws.clients import Clients
from cwagent_iam.events import Planned, Waiting
from cwagent_iam.executor.driver import Emitter, Executor
from cwagent_iam.requests import Emit, Interrupted, Reply, Request, Send, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.events import Event
    from cwagent_iam.requests import Outcome, Steps
    from tests.conftest import VirtualTime

SEND = Send((Request.of("GetUser", UserName="U"),))
REPLY = Reply(content={})


@attrs.define(eq=False)
class FakeTransport:
    """A transport that returns what it is given, or raises it."""

    outcomes: list[Any] = attrs.field(factory=list)
    sent: list[tuple[Request, ...]] = attrs.field(factory=list)
    limits: list[int] = attrs.field(factory=list)

    came: tuple[Outcome, ...] = ()

    def send(self, requests: tuple[Request, ...], most: int) -> tuple[Outcome, ...]:
        """Return the next outcomes."""
        self.sent.append(requests)
        self.limits.append(most)
        self.came = ()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        self.came = (outcome,)
        return self.came

    def outcomes_of(self, requests: tuple[Request, ...]) -> tuple[Outcome | None, ...]:
        """Return the outcomes of the last requests."""
        came = self.came if requests is self.sent[-1] else ()
        return came or (None,) * len(requests)


def drive(
    steps: Steps[Any],
    time: VirtualTime,
    outcomes: tuple[Any, ...] = (),
    on_event: Callable[[Any], object] | None = None,
) -> Any:
    """Run *steps* on scripted outcomes."""
    transport: Any = FakeTransport(list(outcomes))
    propagation = time.propagation()
    emit = Emitter(propagation, on_event)
    return Executor(Clients(), propagation, emit, transport).run(steps)


class TestEffects:
    """Effects, and their results."""

    def test_result(self, virtual_time: VirtualTime) -> None:
        """The result is the generator's return value, also without any effect."""

        def steps() -> Steps[str]:
            yield from ()
            return "result"

        assert drive(steps(), virtual_time) == "result"

    def test_send(self, virtual_time: VirtualTime) -> None:
        """A `Send` returns the outcomes of its requests."""

        def steps() -> Steps[Any]:
            return (yield SEND), (yield SEND)

        assert drive(steps(), virtual_time, (REPLY, REPLY)) == ((REPLY,), (REPLY,))

    def test_attempts(self, virtual_time: VirtualTime) -> None:
        """The transport sends each request at most as often as the `Send` says."""

        def steps() -> Steps[Any]:
            yield SEND
            yield attrs.evolve(SEND, attempts=3)

        transport: Any = FakeTransport([REPLY, REPLY])
        propagation = virtual_time.propagation()
        Executor(Clients(), propagation, Emitter(propagation), transport).run(steps())
        assert transport.limits == [16, 3]

    @pytest.mark.parametrize(("luck", "pause"), [(0.0, 2.0), (0.5, 3.0), (1.0, 4.0)])
    def test_wait(self, virtual_time: VirtualTime, luck: float, pause: float) -> None:
        """A `Wait` draws a pause between its bounds, emits it, sleeps, and returns it."""
        events: list[Event] = []

        def steps() -> Steps[Any]:
            return (yield Wait(2, 4, "the role is new"))

        propagation = attrs.evolve(virtual_time.propagation(), random=lambda: luck)
        transport: Any = FakeTransport()
        emit = Emitter(propagation, events.append)
        virtual_time.now += 5
        executor = Executor(Clients(), propagation, emit, transport)
        assert executor.run(steps()) == pause
        assert events == [Waiting(reason="the role is new", pause=pause, seconds=5.0)]
        assert virtual_time.slept == [pause]

    def test_emit(self, virtual_time: VirtualTime, caplog: pytest.LogCaptureFixture) -> None:
        """An event is logged at INFO, and passed to the caller, with its seconds."""
        caplog.set_level(logging.INFO, logger="cwagent_iam")
        events: list[Event] = []
        planned = Planned(changes=ChangeSet(()))

        def steps() -> Steps[Any]:
            yield Wait(3, 3, "why")
            return (yield Emit(planned))

        assert drive(steps(), virtual_time, on_event=events.append) is None
        assert events[1:] == [attrs.evolve(planned, seconds=3.0)]
        texts = ["waiting 3.0 s after 0.0 s: why", "planned: 0 changes"]
        assert [each.getMessage() for each in caplog.records] == texts
        assert {(each.name, each.levelno) for each in caplog.records} == {
            ("cwagent_iam", logging.INFO)
        }

    def test_waits_of_the_transport(self, virtual_time: VirtualTime) -> None:
        """The transport emits its own pauses through the same emitter."""
        events: list[Event] = []
        emit = Emitter(virtual_time.propagation(), events.append)
        virtual_time.now += 1
        emit.waiting("AWS throttles requests", 0.5)
        assert events == [Waiting(reason="AWS throttles requests", pause=0.5, seconds=1.0)]

    def test_nobody_listens(self, virtual_time: VirtualTime) -> None:
        """Without `on_event`, an event is only logged."""

        def steps() -> Steps[str]:
            yield Emit(Planned(changes=ChangeSet(())))
            return "result"

        assert drive(steps(), virtual_time) == "result"


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Interrupt the driver once, right after it has performed an effect."""

    def prepare(interrupt: BaseException) -> None:
        perform = Executor._perform  # noqa: SLF001

        def perform_and_raise(*arguments: Any) -> Any:
            perform(*arguments)
            monkeypatch.setattr(Executor, "_perform", perform)
            raise interrupt

        monkeypatch.setattr(Executor, "_perform", perform_and_raise)

    return prepare


class TestArguments:
    """Arguments of a call."""

    @pytest.mark.parametrize("name", ["ec2", "sts"])
    def test_clients(self, name: str) -> None:
        """A client of another kind is refused, and named; a client class is refused too."""
        for value in (object(), boto3.Session, FakeTransport):
            wrong: dict[str, Any] = {name: value}
            with pytest.raises(
                IntentError, match=f"{name}=.*: must be a client for {name.upper()}"
            ):
                Executor.of(**wrong)

    def test_all(self) -> None:
        """The error lists all arguments that are wrong."""
        wrong: Any = 3
        with pytest.raises(IntentError) as caught:
            Executor.of(wrong, wrong, wrong, wrong, ec2=wrong, sts=wrong)
        names = [problem.argument for problem in caught.value.problems]
        assert names == ["session", "iam", "ec2", "sts", "propagation", "on_event"]


class TestErrors:
    """Exceptions of effects."""

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("of the caller")])
    def test_passes(self, virtual_time: VirtualTime, error: BaseException) -> None:
        """An exception that the generator does not catch is raised unaltered."""

        def fail(_event: object) -> None:
            raise error

        def steps() -> Steps[None]:
            yield Emit(Planned(changes=ChangeSet(())))

        with pytest.raises(type(error)) as caught:
            drive(steps(), virtual_time, on_event=fail)
        assert caught.value is error
        assert (error.__cause__, error.__context__) == (None, None)

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError(), IntentError(problems=())])
    def test_after_the_last_change(self, error: BaseException) -> None:
        """An exception of `on_event` for `Done` passes, with what was applied."""

        def fail(_event: object) -> None:
            raise error

        result = Result(changes=diff(plan_agent_user("U"), State()).changes[:1], state=State())
        with pytest.raises(type(error)) as caught:
            Executor.of(on_event=fail).finish(result)
        assert caught.value is error
        if isinstance(error, IntentError):
            assert error.applied == result.changes
        else:
            assert error.__notes__ == ["Already applied: CreateUser (user U)."]

    def test_caught(self, virtual_time: VirtualTime) -> None:
        """The generator may catch an interrupt of a `Send`, and go on."""

        def steps() -> Steps[Any]:
            try:
                yield SEND
            except Interrupted as error:
                return error.outcomes, (yield SEND)

        outcomes = (KeyboardInterrupt(), REPLY)
        assert drive(steps(), virtual_time, outcomes) == ((None,), (REPLY,))

    def test_caught_at_the_end(self, virtual_time: VirtualTime) -> None:
        """A generator that returns after an error has a result."""

        def steps() -> Steps[str]:
            try:
                yield SEND
            except Interrupted:
                return "result"
            return ""

        assert drive(steps(), virtual_time, (LookupError(),)) == "result"

    def test_cleanup(self, virtual_time: VirtualTime) -> None:
        """The effects of a cleanup are performed before the error is raised."""
        told: list[str] = []

        def steps() -> Steps[None]:
            try:
                yield SEND
            finally:
                told.append(str((yield SEND)))
                told.append(str((yield Wait(1, 1, "why"))))

        cause = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            drive(steps(), virtual_time, (cause, REPLY))
        assert told == [str((REPLY,)), "1.0"]

    def test_interrupt(self, virtual_time: VirtualTime) -> None:
        """An interrupt that the generator lets pass is raised itself, with its notes."""
        cause = KeyboardInterrupt()

        def steps() -> Steps[None]:
            try:
                yield SEND
            except Interrupted as error:
                (error.__cause__ or error).add_note("Already applied: nothing.")
                raise

        with pytest.raises(KeyboardInterrupt) as caught:
            drive(steps(), virtual_time, (cause,))
        assert caught.value is cause
        assert cause.__notes__ == ["Already applied: nothing."]
        assert (cause.__cause__, cause.__context__) == (None, None)

    def test_interrupt_in_a_cleanup(self, virtual_time: VirtualTime) -> None:
        """A second interrupt in the cleanup is the one that is raised."""
        first, second = KeyboardInterrupt(), SystemExit()

        def steps() -> Steps[None]:
            try:
                yield SEND
            finally:
                yield SEND

        with pytest.raises(SystemExit) as caught:
            drive(steps(), virtual_time, (first, second))
        assert caught.value is second

    def test_interrupt_without_a_cause(self, virtual_time: VirtualTime) -> None:
        """An `Interrupted` of the generator itself, without a cause, is raised unaltered."""

        def steps() -> Steps[None]:
            yield SEND
            raise Interrupted((), ())

        with pytest.raises(Interrupted):
            drive(steps(), virtual_time, (REPLY,))

    def test_stop_iteration(self, virtual_time: VirtualTime) -> None:
        """A `StopIteration` of the caller's function does not end the call."""

        def fail(_event: object) -> None:
            raise StopIteration

        def steps() -> Steps[str]:
            yield Emit(Planned(changes=ChangeSet(())))
            return "result"

        with pytest.raises(RuntimeError, match="generator raised StopIteration"):
            drive(steps(), virtual_time, on_event=fail)

    def test_error_of_the_generator(self, virtual_time: VirtualTime) -> None:
        """An exception of the generator itself is raised."""

        def steps() -> Steps[None]:
            yield SEND
            raise LookupError

        with pytest.raises(LookupError):
            drive(steps(), virtual_time, (REPLY,))

    @pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit()])
    def test_interrupt_after_a_send(
        self, virtual_time: VirtualTime, interrupting: Any, interrupt: BaseException
    ) -> None:
        """An interrupt right after a `Send` comes as `Interrupted`, with the outcomes."""

        def steps() -> Steps[Any]:
            try:
                yield SEND
            except Interrupted as stop:
                return stop.outcomes, stop.__cause__
            return ()

        interrupting(interrupt)
        assert drive(steps(), virtual_time, (REPLY,)) == ((REPLY,), interrupt)

    def test_interrupt_after_another_effect(
        self, virtual_time: VirtualTime, interrupting: Any
    ) -> None:
        """An interrupt right after any other effect is thrown into the generator unaltered."""

        def steps() -> Steps[str]:
            try:
                yield Wait(1, 1, "why")
            except KeyboardInterrupt:
                return "cleaned up"
            return ""

        interrupting(KeyboardInterrupt())
        assert drive(steps(), virtual_time) == "cleaned up"

    def test_interrupt_of_another_effect(self, virtual_time: VirtualTime) -> None:
        """An interrupt of an effect other than a `Send` does not bring the outcomes of a `Send`."""

        def fail(_event: object) -> None:
            raise KeyboardInterrupt

        def steps() -> Steps[str]:
            yield SEND
            try:
                yield Emit(Planned(changes=ChangeSet(())))
            except KeyboardInterrupt:
                return "cleaned up"
            return ""

        assert drive(steps(), virtual_time, (REPLY,), fail) == "cleaned up"
