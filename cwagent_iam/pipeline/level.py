"""Look, do what is missing, look again: each step acts on what is there, not on what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs
import tenacity

from cwagent_iam.aws import said
from cwagent_iam.changes import ChangeSet, Result
from cwagent_iam.errors import ApplyError, CwAgentIamError, ObserveError, PropagationTimeoutError
from cwagent_iam.events import Done, Planned, Recovered, Verified
from cwagent_iam.executor import apply_in
from cwagent_iam.propagation import DENSE, GOOD_LOOKS, RIVALS, rule_for_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.aws import IAMClient, IAMClients
    from cwagent_iam.changes import Change
    from cwagent_iam.propagation import Pace, Run
    from cwagent_iam.visibility import EC2Answer

Look: TypeAlias = "Callable[[IAMClient], ChangeSet]"
"""Reads with a client, and says what is to be done."""

_STALE = (DENSE, "IAM does not show everything yet")
_DENIED = "IAM shows again what somebody else had changed"
_OVERTAKEN = "somebody else was faster, or IAM shows old state"


def carry_out(
    look: Look,
    clients: IAMClients,
    run: Run,
    *,
    least: int = 1,
    afterwards: Callable[[], tuple[EC2Answer, ...]] = tuple,
) -> Result:
    """Look and apply until nothing is left, and do what comes *afterwards*, such as asking EC2.

    At *least* so many looks in a row must show that all is right, even where nothing was done.
    Errors tell what was applied.
    """
    looks = _Looks(look, clients, run, least)
    try:
        new = looks.until_new()
        run.tell(Planned, changes=new)
        while new:
            _apply(new, clients, run)
            new = looks.until_new()
            if new:
                run.tell(Planned, changes=new)
        run.tell(Verified, looks=looks.needed)
        answers = afterwards()
    except CwAgentIamError as error:
        error.applied = tuple(run.applied)
        raise
    result = Result(
        changes=tuple(run.applied),
        state=new.observed,
        ec2=answers,
        extras=new.extras,
        findings=new.findings,
    )
    run.tell(Done, result=result)
    return result


def _apply(new: ChangeSet, clients: IAMClients, run: Run) -> None:
    """Apply; where the world turns out to be another than it looked, leave the rest to a look."""
    try:
        apply_in(run, new, clients)
    except ApplyError as error:
        if not (error.overtaken and run.pause(_OVERTAKEN)):
            raise
        run.found.clear()  # another look decides


@attrs.define
class _Looks:
    """The looks of one call, and why the last one was not enough."""

    look: Look
    clients: IAMClients
    run: Run
    least: int
    why: tuple[Pace, str] = _STALE
    denials: int = 0
    made: set[Change] = attrs.field(factory=set)

    @property
    def needed(self) -> int:
        """How many looks in a row must be right: more than the least where anything was not."""
        run = self.run
        return GOOD_LOOKS if run.applied or run.found or run.pauses else self.least

    def until_new(self) -> ChangeSet:
        """Look until there is something to do that was not done, or nothing: all is right."""
        began = self.run.seconds
        must_look_again = tenacity.retry_any(
            tenacity.retry_if_result(self._shows_old_state),
            tenacity.retry_if_exception(self._will_pass),
        )
        retrying = self.run.retrying(must_look_again, lambda: self.why)
        try:
            changes: ChangeSet = retrying(self._several)
        except tenacity.RetryError as error:
            last: ChangeSet = error.last_attempt.result()
            raise PropagationTimeoutError(
                missing=tuple(change for change in last if change in self.made),
                unformed=last.observed.unformed,
                attempts=error.last_attempt.attempt_number,
                seconds=self.run.seconds - began,
                last_error=said(self.run.last_error),
            ) from self.run.last_error
        except ObserveError as error:
            error.attempts = retrying.statistics["attempt_number"]
            error.seconds = self.run.seconds - began
            raise
        self._settle_doubts(changes)
        return self.run.new_in(changes)

    def _settle_doubts(self, changes: ChangeSet) -> None:
        """Take as made by us what may have been, and what is not asked for any more."""
        run = self.run
        made = run.doubtful.difference(run.applied, changes)
        run.doubtful -= made
        for change in sorted(made, key=str):
            run.applied.append(change)
            run.tell(Recovered, change=change, reason="its reply was lost")

    def _several(self) -> ChangeSet:
        """Look as often as is needed, or until something is not right."""
        changes = self._once()
        looks = 1
        while looks < self.needed and not _unfinished(changes):
            changes = self._once()
            looks += 1
        return changes

    def _once(self) -> ChangeSet:
        client = self.clients.once if self.run.troubled else self.clients.repeating
        self.run.last_error = None  # what was told before this look is no longer news
        try:
            changes = self.look(client)
        except ObserveError as error:
            self.run.heard(error.__cause__)
            raise
        self.run.heard()
        return changes

    def _shows_old_state(self, changes: ChangeSet) -> bool:
        self.why = _STALE
        self.made = {*self.run.applied, *self.run.found}
        new = self.run.new_in(changes)
        old = _lacks_account(new) or (_unfinished(changes) and not new)
        if old and not self.run.found.isdisjoint(changes):
            # Somebody else seemed to have done it. If the next look denies it too it is done again.
            self.run.found.clear()
            self.denials += 1
            self.why = (attrs.evolve(RIVALS, first=min(0.5 * self.denials, RIVALS.most)), _DENIED)
        return old

    def _will_pass(self, error: BaseException) -> bool:
        if not isinstance(error, ObserveError):
            return False
        rule = rule_for_trouble(error.__cause__, self.run)
        self.why = (rule.pace, rule.reason)
        return rule.outcome == "wait"


def _lacks_account(changes: ChangeSet) -> bool:
    """Tell whether a policy leaves its account open, and half-built things will soon tell it."""
    observed = changes.observed
    open_policies = any(change.open_policies for change in changes)
    return open_policies and bool(observed.unformed) and not observed.account_id


def _unfinished(changes: ChangeSet) -> bool:
    return bool(changes or changes.observed.unformed)
