"""The transport: sends requests side by side, and retries transient failures in rounds."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs
import tenacity

from cwagent_iam.aws import sender
from cwagent_iam.aws.outcomes import max_attempts_of, metadata_in, unsent_of
from cwagent_iam.executor import threads
from cwagent_iam.requests import MAX_ATTEMPTS, Refusal, Reply, Unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cwagent_iam.aws.clients import Clients
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.requests import Outcome, Request, Transient

_LONGEST_PAUSE = 8.0

# By kind, the longest pause first: the bound of the first pause in seconds, and the reason.
_PAUSES: Mapping[Transient, tuple[float, str]] = {
    "throttled": (0.5, "AWS throttles requests"),
    "failing": (0.25, "AWS or the connection fails"),
    "unreachable": (0.25, "AWS cannot be reached"),
}


@attrs.define(eq=False)
class _Batch:
    """The requests of one `send`, with their outcomes so far.

    Each thread writes one element of `outcomes`, and no two threads write the same one.
    """

    requests: Sequence[Request]
    outcomes: list[Outcome | None]
    began: float
    due: list[int]
    most: int


@attrs.define(eq=False)
class Transport:
    """The transport of one call. Do not share it: only the requests themselves run in threads.

    The thread that calls `send` also calls `on_wait` and the functions of `propagation`, and builds
    clients.

    Attributes:
        clients: The clients.
        propagation: The settings.
        on_wait: Called before each pause with its reason and its length in seconds.
    """

    clients: Clients
    propagation: Propagation
    on_wait: Callable[[str, float], None]
    _answered: bool = attrs.field(default=False, init=False)
    _batch: _Batch | None = attrs.field(default=None, init=False)

    def send(self, requests: Sequence[Request], most: int = MAX_ATTEMPTS) -> tuple[Outcome, ...]:
        """Send *requests* side by side; return their outcomes, in order.

        Retries run in rounds: after one pause, all requests that failed transiently are sent again,
        if they are repeatable or were certainly not carried out. A request is sent at most *most*
        times, which is 16 by default. The first pause may be as long as the timeout; each later
        pause ends within the timeout after the start. As long as AWS has not answered any request,
        wrong settings are likelier than a bad connection. Then "unreachable" is final, and other
        failures end after 4 attempts.

        Raises:
            BaseException: As a call, a pause or `on_wait` raises it. `outcomes_of` returns what
                has come until then.
        """
        count = len(requests)
        began = self.propagation.clock()
        batch = _Batch(requests, [None] * count, began, list(range(count)), most)
        self._batch = batch
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda _: bool(batch.due)),
            wait=lambda state: self._pause(batch, state.attempt_number),
            stop=lambda state: (
                # In a large batch, even the first round can take longer than the timeout.
                (self._elapsed(batch) if state.attempt_number > 1 else 0.0) + state.upcoming_sleep
                > self.propagation.timeout
            ),
            sleep=self.propagation.sleep,
            before_sleep=lambda state: self.on_wait(
                _PAUSES[_slowest(batch)][1], state.upcoming_sleep
            ),
            retry_error_callback=lambda _state: None,
        )
        retrying(self._send_due, batch)
        return tuple(filter(None, batch.outcomes))

    def outcomes_of(self, requests: Sequence[Request]) -> tuple[Outcome | None, ...]:
        """Return the outcomes of the last batch, if it was *requests*; `None` for one not sent."""
        batch = self._batch
        if batch is None or batch.requests is not requests:
            return (None,) * len(requests)
        return tuple(batch.outcomes)

    def _send_due(self, batch: _Batch) -> None:
        """Send the due requests, and set which are due next."""
        calls = [
            functools.partial(_send, batch, index, self._client(batch.requests[index]))
            for index in batch.due
        ]
        run = self.propagation.side_by_side or threads.run_in_threads
        run(calls, self.propagation.max_in_flight)
        seconds = self._elapsed(batch)
        for index in batch.due:
            outcome = batch.outcomes[index]
            self._answered = self._answered or _is_answer(outcome)
            if isinstance(outcome, Refusal):
                batch.outcomes[index] = attrs.evolve(outcome, seconds=seconds)
        batch.due = [index for index in batch.due if self._is_due(batch, index)]

    def _client(self, request: Request) -> Any:
        """Return the client for *request*, or an `Unsent` if it cannot be built."""
        try:
            return self.clients.of(request.row.service, request.region)
        except Exception as error:  # noqa: BLE001 - settings and credential providers may raise anything
            return unsent_of(error)

    def _is_due(self, batch: _Batch, index: int) -> bool:
        request, outcome = batch.requests[index], batch.outcomes[index]
        if not isinstance(outcome, Refusal) or outcome.transient is None:
            return False
        if outcome.unacknowledged and not request.row.repeatable:
            return False
        unanswered = 1 if outcome.transient == "unreachable" else 4
        limit = batch.most if self._answered else min(batch.most, unanswered)
        return outcome.attempts + max_attempts_of(self._client(request)) <= limit

    def _pause(self, batch: _Batch, number: int) -> float:
        """Return the pause after round *number*, with full jitter, so that callers spread."""
        bound = _PAUSES[_slowest(batch)][0] * 2.0 ** (number - 1)
        return self.propagation.random() * min(bound, _LONGEST_PAUSE)

    def _elapsed(self, batch: _Batch) -> float:
        return self.propagation.clock() - batch.began


def _send(batch: _Batch, index: int, client: Any) -> None:
    """Send one request once, on any thread."""
    request, earlier = batch.requests[index], batch.outcomes[index]
    # This stays the outcome if an interrupt comes before the reply.
    words = "The call was interrupted before the reply came."
    in_flight = Refusal(code=None, message=words, unacknowledged=not request.row.reads)

    def record(outcome: Outcome) -> None:
        batch.outcomes[index] = _with_earlier(earlier, outcome)

    record(in_flight)
    if isinstance(client, Unsent):
        record(client)
    else:
        sender.attempt(client, request, record)


def _with_earlier(earlier: Outcome | None, outcome: Outcome) -> Outcome:
    """Return *outcome* with the attempts before it, and whether one of them is unacknowledged."""
    if not isinstance(earlier, Refusal):
        return outcome
    attempts = earlier.attempts + outcome.attempts
    if isinstance(outcome, Reply):
        return attrs.evolve(outcome, attempts=attempts)
    lost = earlier.unacknowledged or outcome.unacknowledged
    return attrs.evolve(outcome, attempts=attempts, unacknowledged=lost)


def _is_answer(outcome: Outcome | None) -> bool:
    if isinstance(outcome, Reply):
        return bool(metadata_in(outcome.content).get("RequestId"))
    return outcome is not None and bool(outcome.request_id)


def _slowest(batch: _Batch) -> Transient:
    outcomes = (batch.outcomes[index] for index in batch.due)
    failures = {outcome.transient for outcome in outcomes if isinstance(outcome, Refusal)}
    return next(kind for kind in _PAUSES if kind in failures)
