"""One change on its way: sent, waited for, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import tenacity

from cwagent_iam.aws import (
    AWS_ERRORS,
    ODD_REPLIES,
    IAMClients,
    code_of,
    may_be_done,
    reason_of,
)
from cwagent_iam.errors import ApplyError, ObserveError
from cwagent_iam.events import Applied, Recovered
from cwagent_iam.executor.accounts import account_of
from cwagent_iam.executor.requests import send
from cwagent_iam.observer import read_target
from cwagent_iam.propagation import FINAL, Rule, Run, rule_for, rule_for_trouble

if TYPE_CHECKING:
    from cwagent_iam.changes import Change
    from cwagent_iam.propagation import Outcome


class _NotMadeError(Exception):
    """An attempt failed by an *error* of AWS, which means what the *rule* says."""

    def __init__(self, error: BaseException, rule: Rule) -> None:
        super().__init__(error, rule)
        self.error = error
        self.rule = rule


def _will_pass(error: BaseException) -> bool:
    return isinstance(error, _NotMadeError) and error.rule.outcome == "wait"


@attrs.define
class Attempt:
    """One change on its way.

    Attributes:
        run: What it is a part of.
        change: The change.
        clients: Who sends it.
        account_id: The account that they work in; empty if nothing was seen there yet.
        rule: What AWS's last answer means.
        refusal: AWS's answer that it may be done, which is to be read back; `None` if it is to be
            sent.
    """

    run: Run
    change: Change
    clients: IAMClients
    account_id: str
    rule: Rule = FINAL
    refusal: BaseException | None = None

    def make(self, remaining: tuple[Change, ...]) -> str | None:
        """Make the change, waiting where time helps; return the ARN of what it created."""
        run, change = self.run, self.change
        attempts, began = run.tries.get(change, (0, run.seconds))
        retrying = run.retrying(
            tenacity.retry_if_exception(_will_pass), lambda: (self.rule.pace, self.rule.reason)
        )
        try:
            arn = retrying(self._try)
        except _NotMadeError as failure:
            attempts += retrying.statistics["attempt_number"]
            run.tries[change] = attempts, began
            raise ApplyError(
                operation=change.operation,
                target=change.target,
                code=code_of(failure.error),
                reason=reason_of(failure.error),
                attempts=attempts,
                seconds=run.seconds - began,
                applied=tuple(run.applied),
                remaining=remaining,
                overtaken=failure.rule.outcome == "look again",
                doubtful=change in run.doubtful,
            ) from failure.error
        # Told here, because what the caller's function raises is no answer of AWS.
        if self.refusal is None:
            run.tell(Applied, change=change)
        else:
            ours = change in run.applied
            reason = "its reply was lost" if ours else "somebody else has done it"
            run.tell(Recovered, change=change, reason=reason)
        return arn

    def _try(self) -> str | None:
        """Send it once, unless it is only to be read back; return the ARN of what it created."""
        if self.refusal is not None:
            return self._read_back(self.refusal)
        self._learn_account()
        once = self.run.troubled or not self.change.repeatable
        try:
            client = self.clients.once if once else self.clients.repeating
            arn = send(self.change, client, self.account_id)
        except AWS_ERRORS as error:
            self._note(error)
            if self.rule.outcome != "read back":
                raise _NotMadeError(error, self.rule) from error
            return self._read_back(error)
        self.run.heard()
        self.run.applied.append(self.change)
        return arn

    def _learn_account(self) -> None:
        """Ask for a policy that leaves the account open, if nothing that was seen tells it."""
        policies = () if self.account_id else self.change.open_policies
        for policy in policies:
            client = self.clients.once if self.run.troubled else self.clients.repeating
            try:
                self.account_id = account_of(policy, client)
            except (*AWS_ERRORS, *ODD_REPLIES) as error:
                self.run.heard(error)
                self.rule = rule_for_trouble(error, self.run)
                raise _NotMadeError(error, self.rule) from error
            self.run.heard()

    def _note(self, error: BaseException) -> None:
        self.run.heard(error)
        self.rule = rule_for(error, self.change, self.run)
        if may_be_done(error):
            self.run.doubtful.add(self.change)
        if code_of(error) == "EntityAlreadyExists":
            self.run.known.add(self.change.target)

    def _read_back(self, refusal: BaseException) -> str | None:
        """Take the change as done if IAM shows it so; it is ours if we may have done it."""
        change, run = self.change, self.run
        self.refusal = refusal
        try:
            seen = read_target(change, self.clients.once)
        except ObserveError as error:
            cause = error.__cause__ or error
            run.heard(cause)
            self.rule = rule_for_trouble(cause, run)
            passing = self.rule.outcome == "wait"
            raise _NotMadeError(cause if passing else refusal, self.rule) from cause
        run.heard()
        if change.is_done_in(seen) and not seen.unformed:
            if change in run.doubtful:
                run.applied.append(change)
            else:
                run.found.add(change)
            created = seen.find(change.kind, change.name)
            return created.arn if created and change.creates else None
        if not change.is_done_in(seen):
            self.refusal = None  # what is not there is to be sent again
        outcome: Outcome = "look again" if change.is_blocked_in(seen) else "wait"
        raise _NotMadeError(refusal, attrs.evolve(self.rule, outcome=outcome))
