"""The transport: rounds, pauses, bounds, interrupts; and threads that run calls side by side."""

from __future__ import annotations

import _thread
import concurrent.futures
import contextvars
import itertools
import signal
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore import exceptions as sdk
from botocore.config import Config

from cwagent_iam import Propagation
from cwagent_iam.aws.clients import Clients
from cwagent_iam.executor import threads
from cwagent_iam.executor.threads import run_in_threads
from cwagent_iam.executor.transport import Transport
from cwagent_iam.requests import Refusal, Reply, Request, Unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import boto3

    from tests.conftest import VirtualTime

URL = "https://iam.amazonaws.com/"
DONE = {"ResponseMetadata": {"RequestId": "r-1"}}
FORGED: Any = {"ResponseMetadata": {}}
LOST = sdk.ReadTimeoutError(endpoint_url=URL)
NO_HOST = sdk.EndpointConnectionError(endpoint_url=URL)
PATIENT = 10.0  # how long threads wait for each other here; they never need it


def refused(code: str, status: int = 400, retries: int = 0, request_id: str = "r-1") -> Any:
    """Return a refusal, for any operation."""
    metadata = {"HTTPStatusCode": status, "RetryAttempts": retries, "RequestId": request_id}
    return {"Error": {"Code": code, "Message": "Sorry."}, "ResponseMetadata": metadata}


THROTTLED = refused("Throttling")
FAILING = refused("ServiceFailure", 500)


@attrs.define(eq=False)
class ScriptedClient:
    """A client that answers each role's requests from a script; the last answer repeats."""

    script: dict[str, list[Any]]
    meta: Any = None
    sent: list[str] = attrs.field(factory=list)

    def _answer(self, operation: str, role: str) -> Any:
        self.sent.append(role)
        answers = self.script[role]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        if "Error" in answer:
            raise sdk.ClientError(answer, operation)
        return answer | {"Role": {}}

    def get_role(self, *, RoleName: str) -> Any:  # noqa: N803
        """Read."""
        return self._answer("GetRole", RoleName)

    def delete_role(self, *, RoleName: str) -> Any:  # noqa: N803
        """Write what may be repeated."""
        return self._answer("DeleteRole", RoleName)

    def create_role(self, *, RoleName: str) -> Any:  # noqa: N803
        """Write what may not be repeated."""
        return self._answer("CreateRole", RoleName)


@attrs.define(eq=False)
class Scene:
    """A transport in virtual time, and what it did."""

    time: VirtualTime
    client: ScriptedClient
    transport: Transport
    waits: list[tuple[str, float]]
    requests: list[Request] = attrs.field(factory=list)

    def send(self, operation: str = "DeleteRole", roles: Iterable[str] = "A") -> Sequence[Any]:
        """Send *operation* for each role."""
        self.requests = [Request(operation, {"RoleName": role}) for role in roles]
        return self.transport.send(self.requests)

    @property
    def outcomes(self) -> Sequence[Any]:
        """The outcomes that have come of the last `send`."""
        return self.transport.outcomes_of(self.requests)


def scene(time: VirtualTime, *, answered: bool = True, **options: Any) -> Scene:
    """Return a transport that works on scripts; the keywords are scripts, or its settings."""
    settings = {name: options.pop(name) for name in ("timeout", "random") if name in options}
    meta = options.pop("meta", None)
    client: Any = ScriptedClient(options | {"answer": [DONE]}, meta)
    waits: list[tuple[str, float]] = []
    propagation = Propagation(
        **{"random": lambda: 1.0, **settings},
        clock=time.clock,
        sleep=time.sleep,
        max_in_flight=1,
    )
    transport = Transport(
        Clients(iam=client), propagation, lambda reason, pause: waits.append((reason, pause))
    )
    made = Scene(time, client, transport, waits)
    if answered:
        made.send(roles=["answer"])
        client.sent.clear()
    return made


class TestRounds:
    """Retries, and their pauses."""

    def test_order(self, virtual_time: VirtualTime) -> None:
        """Outcomes are in the order of the requests; only failed requests are sent again."""
        it = scene(virtual_time, A=[DONE], B=[THROTTLED, DONE], C=[refused("NoSuchEntity")])
        first, second, third = it.send(roles="ABC")
        assert (type(first), type(second), third.code) == (Reply, Reply, "NoSuchEntity")
        assert (first.attempts, second.attempts, third.attempts) == (1, 2, 1)
        assert it.client.sent == ["A", "B", "C", "B"]
        assert it.waits == [("AWS throttles requests", 0.5)]
        assert virtual_time.slept == [0.5]

    def test_nothing(self, virtual_time: VirtualTime) -> None:
        """No requests have no outcomes."""
        assert scene(virtual_time).send(roles=()) == ()

    @pytest.mark.parametrize(
        ("answer", "reason", "pauses"),
        [
            (THROTTLED, "AWS throttles requests", [0.5, 1, 2, 4, 8, 8, 8]),
            (FAILING, "AWS or the connection fails", [0.25, 0.5, 1, 2, 4, 8, 8]),
            (NO_HOST, "AWS cannot be reached", [0.25, 0.5, 1, 2, 4, 8, 8]),
        ],
    )
    def test_pauses(
        self, virtual_time: VirtualTime, answer: Any, reason: str, pauses: list[float]
    ) -> None:
        """Pauses double up to 8 seconds; throttling begins with the longer one."""
        it = scene(virtual_time, A=[*[answer] * 7, DONE])
        (reply,) = it.send()
        assert (type(reply), reply.attempts) == (Reply, 8)
        assert virtual_time.slept == pauses
        assert it.waits == [(reason, pause) for pause in pauses]

    @pytest.mark.parametrize("luck", [0.0, 0.3, 1.0])
    def test_full_jitter(self, virtual_time: VirtualTime, luck: float) -> None:
        """All of a pause is random, so that it may be none."""
        it = scene(virtual_time, A=[THROTTLED] * 3 + [DONE], random=lambda: luck)
        it.send()
        assert virtual_time.slept == [luck * 0.5, luck * 1, luck * 2]

    @pytest.mark.parametrize("answers", [(THROTTLED, FAILING), (FAILING, THROTTLED)])
    def test_slowest_kind(self, virtual_time: VirtualTime, answers: tuple[Any, Any]) -> None:
        """A round pauses for the slowest kind of failure in it."""
        it = scene(virtual_time, A=[answers[0], DONE], B=[answers[1], FAILING, DONE])
        it.send(roles="AB")
        assert it.waits == [("AWS throttles requests", 0.5), ("AWS or the connection fails", 0.5)]

    @pytest.mark.parametrize("operation", ["GetRole", "DeleteRole", "CreateRole"])
    @pytest.mark.parametrize("answer", [THROTTLED, NO_HOST, sdk.EndpointConnectionError])
    def test_not_carried_out(self, virtual_time: VirtualTime, operation: str, answer: Any) -> None:
        """A request that was certainly not carried out is sent again, also if not repeatable."""
        if isinstance(answer, type):
            answer = answer(endpoint_url="https://sts.amazonaws.com/")  # of the credentials
        it = scene(virtual_time, A=[answer, DONE], meta=SimpleNamespace(endpoint_url=URL))
        (reply,) = it.send(operation)
        assert reply == Reply(content=DONE | {"Role": {}}, attempts=2)

    @pytest.mark.parametrize("answer", [LOST, FAILING, KeyError("html")])
    def test_lost_create(self, virtual_time: VirtualTime, answer: Any) -> None:
        """A request that is not repeatable is not sent again after a lost reply."""
        it = scene(virtual_time, A=[THROTTLED, answer, DONE])
        (refusal,) = it.send("CreateRole")
        assert (refusal.unacknowledged, refusal.transient, refusal.attempts) == (True, "failing", 2)
        assert it.client.sent == ["A", "A"]

    @pytest.mark.parametrize(
        ("operation", "sent"), [("CreateRole", 1), ("DeleteRole", 2), ("GetRole", 2)]
    )
    def test_timeout_of_a_wrapper(
        self, virtual_time: VirtualTime, operation: str, sent: int
    ) -> None:
        """A timeout that is not botocore's is repeated only for a repeatable request."""
        it = scene(virtual_time, A=[TimeoutError("read timed out"), DONE])
        (outcome,) = it.send(operation)
        assert it.client.sent == ["A"] * sent
        assert outcome.unacknowledged is (sent == 1)

    @pytest.mark.parametrize(
        ("operation", "unacknowledged"), [("GetRole", False), ("DeleteRole", True)]
    )
    @pytest.mark.parametrize("last", ["NoSuchEntity", "AccessDenied"])
    def test_after_a_lost_reply(
        self,
        virtual_time: VirtualTime,
        operation: str,
        unacknowledged: bool,  # noqa: FBT001
        last: str,
    ) -> None:
        """A refusal remembers that an earlier attempt may have been carried out."""
        it = scene(virtual_time, A=[LOST, THROTTLED, refused(last)])
        (refusal,) = it.send(operation)
        assert (refusal.code, refusal.unacknowledged) == (last, unacknowledged)
        assert (refusal.attempts, refusal.seconds) == (3, 0.25 + 1)

    def test_success_after_a_lost_reply(self, virtual_time: VirtualTime) -> None:
        """A success of a repeatable request is acknowledged."""
        (reply,) = scene(virtual_time, A=[LOST, DONE]).send()
        assert (type(reply), reply.unacknowledged, reply.attempts) == (Reply, False, 2)


class TestBounds:
    """The bounds of retries."""

    def test_sixteen(self, virtual_time: VirtualTime) -> None:
        """A request is sent 16 times at most; the refusal has the seconds that this took."""
        it = scene(virtual_time, A=[THROTTLED], timeout=1000)
        (refusal,) = it.send()
        assert (refusal.transient, refusal.attempts) == ("throttled", 16)
        assert len(it.client.sent) == 16
        assert refusal.seconds == sum(virtual_time.slept) == 0.5 + 1 + 2 + 4 + 11 * 8

    @pytest.mark.parametrize(
        ("answered", "most", "sent"), [(True, 5, 5), (False, 2, 2), (False, 5, 4)]
    )
    def test_fewer_attempts(
        self,
        virtual_time: VirtualTime,
        answered: bool,  # noqa: FBT001
        most: int,
        sent: int,
    ) -> None:
        """A caller can allow fewer attempts; before AWS has answered, 4 remain the most."""
        it = scene(virtual_time, A=[LOST], timeout=1000, answered=answered)
        it.transport.send([Request("DeleteRole", {"RoleName": "A"})], most)
        assert len(it.client.sent) == sent

    @pytest.mark.parametrize(("retries", "sent", "attempts"), [(0, 14, 14), (1, 7, 14), (2, 5, 15)])
    def test_sixteen_with_a_client_that_retries(
        self, virtual_time: VirtualTime, retries: int, sent: int, attempts: int
    ) -> None:
        """A client's own retries count towards the 16 attempts."""
        meta = SimpleNamespace(config=Config(retries={"total_max_attempts": 3}))
        it = scene(
            virtual_time, A=[refused("Throttling", retries=retries)], timeout=1000, meta=meta
        )
        (refusal,) = it.send()
        assert (len(it.client.sent), refusal.attempts) == (sent, attempts)

    @pytest.mark.parametrize(
        ("timeout", "attempts"), [(0, 1), (0.4, 1), (0.5, 2), (1.4, 2), (1.5, 3), (60, 11)]
    )
    def test_timeout(self, virtual_time: VirtualTime, timeout: float, attempts: int) -> None:
        """No pause ends later than the timeout."""
        it = scene(virtual_time, A=[THROTTLED], timeout=timeout)
        (refusal,) = it.send()
        assert refusal.attempts == attempts
        assert sum(virtual_time.slept) <= timeout

    def test_slow_replies(self, virtual_time: VirtualTime) -> None:
        """The time that requests take counts too."""

        def slow() -> Any:
            virtual_time.now += 20
            return THROTTLED

        (refusal,) = scene(virtual_time, A=[slow]).send()
        assert (refusal.attempts, refusal.seconds) == (3, 61.5)

    def test_large_batch(self, virtual_time: VirtualTime) -> None:
        """A batch that takes longer than the timeout is repeated once all the same."""

        def slow() -> Any:
            virtual_time.now += 61
            return DONE

        throttled, _ = scene(virtual_time, A=[THROTTLED, DONE], B=[slow]).send(roles="AB")
        assert (type(throttled), throttled.attempts) == (Reply, 2)

    def test_each_send_has_its_time(self, virtual_time: VirtualTime) -> None:
        """The timeout is for one `send`."""
        it = scene(virtual_time, A=[THROTTLED], timeout=2)
        assert [outcome.attempts for _ in range(3) for outcome in it.send()] == [3, 3, 3]


class TestStrangers:
    """Retries before the first answer of AWS."""

    @pytest.mark.parametrize(
        ("answer", "attempts"),
        [
            (NO_HOST, 1),
            (LOST, 4),
            (KeyError("html"), 4),
            (refused("Bad", 502, request_id=""), 4),
            (refused("Throttling", request_id=""), 4),
            (FORGED, 1),
            (FAILING, 16),
            (THROTTLED, 16),
        ],
    )
    def test_first_answer(self, virtual_time: VirtualTime, answer: Any, attempts: int) -> None:
        """Without a request id of AWS there are 4 attempts, or 1 if AWS is unreachable."""
        it = scene(virtual_time, answered=False, A=[answer], timeout=1000)
        (outcome,) = it.send()
        assert outcome.attempts == len(it.client.sent) == attempts

    def test_one_answer_is_for_all(self, virtual_time: VirtualTime) -> None:
        """An answer to one request counts for all requests, and for later ones."""
        it = scene(virtual_time, answered=False, A=[NO_HOST, DONE], B=[DONE], C=[NO_HOST, DONE])
        assert [type(outcome) for outcome in it.send(roles="ABC")] == [Reply] * 3
        assert it.client.sent == ["A", "B", "C", "A", "C"]

    def test_a_forged_reply_is_no_sign(self, virtual_time: VirtualTime) -> None:
        """A reply without a request id does not count as an answer."""
        it = scene(virtual_time, answered=False, A=[FORGED], B=[NO_HOST])
        _, refusal = it.send(roles="AB")
        assert (refusal.transient, refusal.attempts) == ("unreachable", 1)


class TestClients:
    """The client of each request."""

    def test_services(self, virtual_time: VirtualTime, session: boto3.Session) -> None:
        """Each request goes to the client of its service."""
        transport = Transport(Clients(session), virtual_time.propagation(), lambda *_: None)
        requests = [Request.of("GetUser", UserName="U"), Request.of("GetCallerIdentity")]
        user, caller = transport.send(requests)
        assert isinstance(user, Refusal)
        assert user.code == "NoSuchEntity"
        assert isinstance(caller, Reply)
        assert caller.content["Account"] == "123456789012"

    def test_no_client(self, virtual_time: VirtualTime) -> None:
        """A client that cannot be built is a request that was not sent."""

        class Broken:
            def client(self, *_args: object, **_options: object) -> Any:
                raise sdk.PartialCredentialsError(provider="env", cred_var="SECRET")

        session: Any = Broken()
        transport = Transport(Clients(session), virtual_time.propagation(), lambda *_: None)
        (outcome,) = transport.send([Request.of("GetUser", UserName="U")])
        assert isinstance(outcome, Unsent)
        assert outcome.message.startswith("Partial credentials found in env")

    def test_side_by_side(self, virtual_time: VirtualTime) -> None:
        """A simulator may run the calls; it gets the largest number in flight."""
        told: list[tuple[int, int]] = []

        def backwards(calls: Sequence[Callable[[], object]], most: int) -> None:
            told.append((len(calls), most))
            for each in reversed(calls):
                each()

        client: Any = ScriptedClient({"A": [DONE], "B": [refused("NoSuchEntity")]})
        propagation = attrs.evolve(
            virtual_time.propagation(), side_by_side=backwards, max_in_flight=5
        )
        transport = Transport(Clients(iam=client), propagation, lambda *_: None)
        first, second = transport.send([Request("GetRole", {"RoleName": role}) for role in "AB"])
        assert (type(first), type(second)) == (Reply, Refusal)
        assert (client.sent, told) == (["B", "A"], [(2, 5)])

    def test_threads_are_looked_up(
        self, virtual_time: VirtualTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The function that runs threads can be replaced."""
        it = scene(virtual_time, A=[DONE])
        told: list[int] = []

        def run(calls: Sequence[Callable[[], object]], most: int) -> None:
            told.append(most)
            calls[0]()

        monkeypatch.setattr(threads, "run_in_threads", run)
        it.send()
        assert told == [1]


class TestInterrupts:
    """Interrupts at each place."""

    def test_while_sending(self, virtual_time: VirtualTime) -> None:
        """Outcomes tell replies, requests in flight, and unsent requests apart."""
        interrupt = KeyboardInterrupt()
        it = scene(virtual_time, A=[DONE], B=[interrupt], C=[DONE])
        with pytest.raises(KeyboardInterrupt) as caught:
            it.send(roles="ABC")
        back, in_flight, unsent = it.outcomes
        assert caught.value is interrupt
        assert isinstance(back, Reply)
        assert isinstance(in_flight, Refusal)
        assert (in_flight.unacknowledged, in_flight.transient, unsent) == (True, None, None)
        assert it.client.sent == ["A", "B"]

    def test_while_reading(self, virtual_time: VirtualTime) -> None:
        """A read that was in flight has carried out nothing."""
        it = scene(virtual_time, A=[KeyboardInterrupt()])
        with pytest.raises(KeyboardInterrupt):
            it.send("GetRole")
        (refusal,) = it.outcomes
        assert isinstance(refusal, Refusal)
        assert not refusal.unacknowledged

    def test_after_the_last_reply(self, virtual_time: VirtualTime) -> None:
        """The outcomes of a `send` that has ended are known until the next one."""
        it = scene(virtual_time, A=[DONE], B=[THROTTLED, DONE])
        outcomes = it.send(roles="AB")
        assert it.outcomes == outcomes

    def test_other_requests(self, virtual_time: VirtualTime) -> None:
        """Requests that were not sent last have no outcomes, also if they are equal."""
        it = scene(virtual_time, A=[DONE], B=[DONE])
        it.send(roles="AB")
        assert it.transport.outcomes_of([*it.requests]) == (None, None)
        before = Transport(it.transport.clients, it.transport.propagation, lambda *_: None)
        assert before.outcomes_of(it.requests[:1]) == (None,)

    def test_while_sending_again(self, virtual_time: VirtualTime) -> None:
        """Attempts before the one in flight count."""
        it = scene(virtual_time, A=[THROTTLED, SystemExit()])
        with pytest.raises(SystemExit):
            it.send("CreateRole")
        (refusal,) = it.outcomes
        assert isinstance(refusal, Refusal)
        assert (refusal.attempts, refusal.unacknowledged) == (2, True)

    @pytest.mark.parametrize("where", ["on_wait", "sleep", "random", "clock"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt(), LookupError("of the caller")])
    def test_between_rounds(
        self, virtual_time: VirtualTime, where: str, error: BaseException
    ) -> None:
        """After an exception between two rounds, the outcomes of the first are known."""
        it = scene(virtual_time, A=[DONE], B=[THROTTLED, DONE])
        calls = itertools.count()

        def fail(*_arguments: object) -> Any:
            if where != "clock" or next(calls):
                raise error
            return 0.0

        if where == "on_wait":
            it.transport.on_wait = fail
        else:
            settings: dict[str, Any] = {where: fail}
            it.transport.propagation = attrs.evolve(it.transport.propagation, **settings)
        with pytest.raises(type(error)) as caught:
            it.send(roles="AB")
        done, throttled = it.outcomes
        assert caught.value is error
        assert isinstance(done, Reply)
        assert isinstance(throttled, Refusal)
        assert (throttled.transient, throttled.unacknowledged) == ("throttled", False)


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An event that is set when calls in flight are awaited after an interrupt.

    Before that the waiting thread is slow: it learns that a call has raised when its wait ends.
    """
    event = threading.Event()
    wait = concurrent.futures.wait

    def release_and_wait(futures: Any, **options: Any) -> Any:
        if options.get("timeout") == PATIENT:
            event.set()
        options["return_when"] = concurrent.futures.ALL_COMPLETED
        return wait(futures, **options)

    monkeypatch.setattr(threads, "PATIENCE", PATIENT)
    monkeypatch.setattr(threads, "wait", release_and_wait)
    yield event
    event.set()


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where a shell has started the tests to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class TestThreads:
    """Real threads."""

    @pytest.mark.parametrize("most", [2, 3, 8])
    def test_at_most(self, most: int) -> None:
        """As many calls as allowed run at the same time, and never more."""
        running = threading.Semaphore(most)
        together = threading.Barrier(most, timeout=PATIENT)
        many: list[bool] = []

        def wait() -> None:
            many.append(running.acquire(blocking=False))
            together.wait()
            running.release()
            together.wait()

        run_in_threads([wait] * (3 * most), most)
        assert many == [True] * (3 * most)

    @pytest.mark.parametrize(("count", "most"), [(1, 8), (3, 1), (0, 8)])
    def test_callers_thread(self, count: int, most: int) -> None:
        """One call, or one at a time, needs no thread; one after another, in order."""
        ran: list[tuple[int, threading.Thread]] = []
        calls = [lambda n=n: ran.append((n, threading.current_thread())) for n in range(count)]
        run_in_threads(calls, most)
        assert ran == [(n, threading.current_thread()) for n in range(count)]

    @pytest.mark.parametrize("most", [1, 2])
    def test_context(self, most: int) -> None:
        """Each call sees the caller's context variables; a thread sets only its own copy."""
        variable = contextvars.ContextVar("variable", default="default")
        seen: list[str] = []
        token = variable.set("caller's")
        run_in_threads([lambda: seen.append(variable.get())] * 2, most)
        run_in_threads([lambda: variable.set("thread's")] * 2, 2)
        assert (seen, variable.get()) == (["caller's"] * 2, "caller's")
        variable.reset(token)

    def test_a_call_that_raises(self, release: threading.Event) -> None:
        """Nothing new starts after a call has raised; those in flight end first."""
        together = threading.Barrier(2, timeout=PATIENT)
        ended: list[str] = []

        def in_flight() -> None:
            together.wait()
            release.wait(PATIENT)
            ended.append("in flight")

        def crash() -> None:
            together.wait()
            raise SystemExit

        late = [lambda: ended.append("late")] * 9
        with pytest.raises(SystemExit):
            run_in_threads([in_flight, crash, *late], 2)
        assert ended == ["in flight"]

    @pytest.mark.usefixtures("_ctrl_c")
    @pytest.mark.parametrize("patience", [PATIENT, 0.0])
    def test_interrupt(
        self, monkeypatch: pytest.MonkeyPatch, release: threading.Event, patience: float
    ) -> None:
        """After Ctrl-C nothing new starts, and calls in flight are awaited within a bound."""
        monkeypatch.setattr(threads, "PATIENCE", patience)
        together = threading.Barrier(2, timeout=PATIENT)
        started: list[int] = []
        ended: list[int] = []

        def in_flight() -> None:
            started.append(1)
            if together.wait() == 0:
                _thread.interrupt_main()
            release.wait(PATIENT)
            ended.append(1)

        with pytest.raises(KeyboardInterrupt):
            run_in_threads([in_flight] * 9, 2)
        assert (len(started), len(ended)) == (2, 2 if patience else 0)

    def test_interrupt_before_all_are_submitted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interrupt while calls are submitted starts none of them, so that none is lost."""
        started = threading.Event()

        class Pool(concurrent.futures.ThreadPoolExecutor):
            def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
                super().submit(fn, *args, **kwargs)
                started.wait(0.05)  # a thread that does not wait for the others starts now
                raise KeyboardInterrupt

        monkeypatch.setattr(threads, "ThreadPoolExecutor", Pool)
        with pytest.raises(KeyboardInterrupt):
            run_in_threads([started.set] * 3, 2)
        assert not started.wait(0.05)

    @pytest.mark.usefixtures("_ctrl_c")
    def test_interrupted_transport(
        self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C in a batch leaves an outcome of each request that was in flight."""
        released = threading.Event()
        client = session.client("iam")
        monkeypatch.setattr(threads, "PATIENCE", 0.0)

        sent = itertools.count()

        def pause(**_event: object) -> None:
            if next(sent) == 0:
                _thread.interrupt_main()
            released.wait(PATIENT)

        client.meta.events.register_first("before-send.iam", pause)
        transport = Transport(Clients(iam=client), Propagation(max_in_flight=2), lambda *_: None)
        requests = [Request.of("DeleteRole", RoleName=role) for role in "ABCDEF"]
        with pytest.raises(KeyboardInterrupt):
            transport.send(requests)
        released.set()
        outcomes = transport.outcomes_of(requests)
        in_flight = [each for each in outcomes if isinstance(each, Refusal)]
        assert 1 <= len(in_flight) <= 2
        assert all(each.unacknowledged for each in in_flight)
        assert outcomes.count(None) == 6 - len(in_flight)

    @pytest.mark.parametrize("most", [1, 2, 8])
    def test_one_client_for_all(self, iam: Any, session: boto3.Session, most: int) -> None:
        """Threads share one client; each outcome is that of its own request."""
        names = [f"U{number}" for number in range(40)]
        for name in names[::2]:
            iam.create_user(UserName=name)
        running = threading.Semaphore(most)
        many: list[bool] = []
        client = session.client("iam")

        def count(**_event: object) -> None:
            many.append(running.acquire(blocking=False))

        client.meta.events.register("before-send.iam", count)
        client.meta.events.register("response-received.iam", lambda **_: running.release())
        transport = Transport(Clients(iam=client), Propagation(max_in_flight=most), lambda *_: None)
        for _ in range(3):
            outcomes = transport.send([Request.of("GetUser", UserName=name) for name in names])
            found = [isinstance(outcome, Reply) for outcome in outcomes]
            assert found == [True, False] * 20
            users = [each.content["User"]["UserName"] for each in outcomes[::2]]  # type: ignore[union-attr]
            assert users == names[::2]
        assert many == [True] * 120
