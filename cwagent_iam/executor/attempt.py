"""One change on its way: sent, waited for, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import tenacity

from cwagent_iam.aws import AWS_ERRORS, IAMClients, code_of, may_be_done, reason_of
from cwagent_iam.errors import ApplyError, ObserveError
from cwagent_iam.events import Applied, Recovered
from cwagent_iam.executor.requests import send
from cwagent_iam.observer import read_target
from cwagent_iam.propagation import FINAL, Outcome, Rule, Run, rule_for, rule_for_trouble
from cwagent_iam.state import State

if TYPE_CHECKING:
    from cwagent_iam.changes import Change


@attrs.define
class Attempt:
    """One change on its way.

    Attributes:
        run: What it is a part of.
        change: The change.
        clients: Who sends it.
        rule: What the last answer means.
        outcome: What is to be done about it.
        doubtful: Whether AWS may have done it without our knowing.
    """

    run: Run
    change: Change
    clients: IAMClients
    rule: Rule = FINAL
    outcome: Outcome = "final"
    doubtful: bool = False
    _seen: State = attrs.field(factory=State, init=False)

    def make(self, remaining: tuple[Change, ...]) -> str | None:
        """Make the change, waiting where time helps; return the ARN of what it created."""
        began = self.run.seconds
        must_wait = tenacity.retry_if_exception(
            lambda error: isinstance(error, AWS_ERRORS) and self.outcome == "wait"
        )
        retrying = self.run.retrying(must_wait, lambda: (self.rule.pace, self.rule.reason))
        try:
            return retrying(self._try)
        except AWS_ERRORS as error:
            raise ApplyError(
                operation=self.change.operation,
                target=self.change.target,
                code=code_of(error),
                reason=reason_of(error),
                attempts=retrying.statistics["attempt_number"],
                seconds=self.run.seconds - began,
                applied=tuple(self.run.applied),
                remaining=remaining,
                overtaken=self.outcome == "look again",
            ) from error

    def _try(self) -> str | None:
        """Send it once; what is said to be done already is read back."""
        once = self.run.troubled or not self.change.repeatable
        try:
            arn = send(self.change, self.clients.once if once else self.clients.repeating)
        except AWS_ERRORS as error:
            self.run.heard(error)
            self.rule = rule_for(error, self.change, self.run)
            self.outcome = self.rule.outcome
            self.doubtful = self.doubtful or may_be_done(error)
            if code_of(error) == "EntityAlreadyExists":
                self.run.known.add(self.change.target)
            if self.outcome != "read back" or not self._is_done():
                raise
            return self._found()
        self.run.heard()
        self.run.applied.append(self.change)
        self.run.tell(Applied, change=self.change)
        return arn

    def _found(self) -> str | None:
        """Take the change as done, by us if we sent it more than once; return the ARN."""
        ours = self.doubtful
        (self.run.applied if ours else self.run.found).append(self.change)
        reason = "its reply was lost" if ours else "somebody else has done it"
        self.run.tell(Recovered, change=self.change, reason=reason)
        created = self._seen.find(self.change.kind, self.change.name)
        return created.arn if created and self.change.creates else None

    def _is_done(self) -> bool:
        """Read back what the change is about, and decide what to do if it is not done."""
        try:
            self._seen = read_target(self.change, self.clients.once)
        except ObserveError as error:
            self.outcome = rule_for_trouble(error.__cause__, self.run).outcome
            return False
        blocked = self.change.is_blocked_in(self._seen)
        self.outcome = "look again" if blocked else "wait"
        return self.change.is_done_in(self._seen) and not self._seen.unformed
