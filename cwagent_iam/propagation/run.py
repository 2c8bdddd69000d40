"""One call on its way: what it has done, heard and told so far, and how long it may still wait."""

from __future__ import annotations

import collections
import logging
from typing import TYPE_CHECKING, Any

import attrs
import tenacity

from cwagent_iam.aws import is_answer, trouble_of
from cwagent_iam.events import Waiting
from cwagent_iam.propagation.waiting import RIVALS, Propagation

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.changes import Change, ChangeSet
    from cwagent_iam.events import Event, OnEvent
    from cwagent_iam.propagation.waiting import Pace

_log = logging.getLogger("cwagent_iam")


@attrs.define
class Run:
    """What one call has done so far, and how long it may still wait.

    Attributes:
        propagation: How to wait.
        started: When it began, by the clock of *propagation*.
        on_event: What the caller wants to be called with each event.
        applied: The changes that this run made, in order.
        found: The changes that somebody else had made, as it seemed, when this run came to them.
        doubtful: The changes that AWS may have made although no reply said so.
        tries: How often each change that failed was tried before, and when first, in seconds.
        known: The kind and name of everything that it made, or was told to exist already. A
            request that does not find one of these has come too early.
        arns: The ARNs of what it made.
        seen: The kind and name of everything that it observed, and that may be gone by now.
        seen_arns: Its ARNs.
        reached: Whether AWS itself has ever answered it.
        troubled: Whether the last answer was throttling, a failure of AWS, or none at all.
        last_error: The last error of AWS that it did not raise.
        pauses: How often it has waited.
    """

    propagation: Propagation
    started: float
    on_event: OnEvent | None = None
    applied: list[Change] = attrs.field(factory=list)
    found: set[Change] = attrs.field(factory=set)
    doubtful: set[Change] = attrs.field(factory=set)
    tries: dict[Change, tuple[int, float]] = attrs.field(factory=dict)
    known: set[str] = attrs.field(factory=set)
    arns: set[str] = attrs.field(factory=set)
    seen: set[str] = attrs.field(factory=set)
    seen_arns: set[str] = attrs.field(factory=set)
    reached: bool = False
    troubled: bool = False
    last_error: BaseException | None = None
    pauses: int = 0

    @classmethod
    def start(cls, propagation: Propagation | None, on_event: OnEvent | None = None) -> Run:
        """Begin now."""
        propagation = propagation or Propagation()
        return cls(propagation, propagation.clock(), on_event)

    @property
    def seconds(self) -> float:
        """How long it has been going on, in seconds."""
        return self.propagation.clock() - self.started

    def new_in(self, changes: ChangeSet) -> ChangeSet:
        """Leave out of *changes* what was made already, and what is thus only not visible.

        A role that was put into a profile, and is not in it any more, is not put there again. So
        whatever is in its place is not taken out either: the profile would stay empty.
        """
        made = [*self.applied, *self.found]
        new = (each for each in changes if each not in made and each.leads_to not in made)
        return attrs.evolve(changes, changes=tuple(new))

    def heard(self, error: BaseException | None = None) -> None:
        """Remember what AWS answered: *error*, or what was asked for."""
        trouble = trouble_of(error) if error else None
        self.troubled = trouble is not None
        self.reached = self.reached or error is None or is_answer(error)
        self.last_error = error or self.last_error

    def tell(self, event: Callable[..., Event], **facts: Any) -> None:
        """Tell the log and the caller an *event* with its *facts*."""
        told = event(seconds=self.seconds, **facts)
        _log.info("%s", told)
        if self.on_event:
            self.on_event(told)

    def pause(self, reason: str) -> bool:
        """Wait before another look; `False`, without waiting, when the time is up."""
        seconds = RIVALS.seconds(self.pauses + 1, self.propagation.random())
        if self.seconds + seconds > self.propagation.timeout:
            return False
        self.tell_wait(reason, seconds)
        self.propagation.sleep(seconds)
        return True

    def retrying(
        self, retry: tenacity.retry_base, why: Callable[[], tuple[Pace, str]]
    ) -> tenacity.Retrying:
        """Return what tries again as *retry* says, until the time is up.

        Args:
            retry: When to try again.
            why: Returns the pace and the reason of the wait that is due.
        """
        waits: collections.Counter[Pace] = collections.Counter()

        def wait(_state: tenacity.RetryCallState) -> float:
            pace, _ = why()
            waits[pace] += 1
            return pace.seconds(waits[pace], self.propagation.random())

        def stop(state: tenacity.RetryCallState) -> bool:
            return self.seconds + state.upcoming_sleep > self.propagation.timeout

        return tenacity.Retrying(
            retry=retry,
            wait=wait,
            stop=stop,
            sleep=self.propagation.sleep,
            before_sleep=lambda state: self.tell_wait(why()[1], state.upcoming_sleep),
            reraise=True,
        )

    def tell_wait(self, reason: str, pause: float) -> None:
        """Tell that there is a *pause* now, in seconds, and why."""
        self.pauses += 1
        self.tell(Waiting, reason=reason, pause=pause)
