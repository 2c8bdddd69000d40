"""Calls in progress: their writes, pauses and knowledge, as generators of effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from cwagent_iam.events import Applied, Applying
from cwagent_iam.observing import MISSING, parse_reply, send_all_pages
from cwagent_iam.reconcile.failures import add_facts, propagation_timeout_error, refused_error
from cwagent_iam.reconcile.ledger import Ledger, arns_in
from cwagent_iam.reconcile.rules import DENSE, LOST, Pace, as_target, principals
from cwagent_iam.requests import (
    MAX_ATTEMPTS,
    Emit,
    Interrupted,
    Refusal,
    Reply,
    Request,
    Send,
    Steps,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cwagent_iam.changes import Change, ChangeSet
    from cwagent_iam.observing import Observation, SendAll
    from cwagent_iam.policies import ManagedPolicy
    from cwagent_iam.reconcile.ledger import RefusedChange
    from cwagent_iam.requests import Outcome

T = TypeVar("T")

COPIES = 3
"""How many independent reads confirm a state. IAM's hosts are not equally up to date."""

CONFIRMING = (0.0, 1.0, 2.0, 2.0)
"""The pauses before the rounds that confirm a conflict, or the absence of an entity that this call
saw: at 0, 1, 3 and 5 s. An old entity may have been changed a moment ago. docs/explanation.md says
how often a role that was as desired was refused in the simulator."""

NOT_SHOWN = "IAM does not show everything yet"


@attrs.define
class Call:
    """A call in progress; its methods yield effects.

    Attributes:
        partition: The AWS partition that replies come from, such as ``aws``.
        timeout: The longest waiting since the last write, in seconds.
        ledger: The record of the requests and their outcomes.
        written_targets: The kind and name, in lower case, of each entity that a change was sent
            for.
        sent: The changes of the last `Send` of writes.
        outcomes: Their outcomes, in order; empty as long as none came.
    """

    partition: str
    timeout: float
    ledger: Ledger = attrs.field(factory=Ledger, init=False)
    written_targets: set[str] = attrs.field(factory=set, init=False)
    sent: tuple[Change, ...] = attrs.field(default=(), init=False)
    outcomes: Sequence[Any] = attrs.field(default=(), init=False)

    def reporting(self, steps: Steps[T]) -> Steps[T]:
        """Return the result of *steps*; add what was, or may have been, applied to exceptions."""
        try:
            return (yield from steps)
        except BaseException as stop:
            add_facts(stop, self.ledger.applied, self.ledger.unacknowledged)
            raise

    # --- writing ----------------------------------------------------------------------------------

    def write(self, changes: ChangeSet) -> Steps[bool]:
        """Send *changes* wave by wave; return whether AWS acknowledged all of them.

        Raises:
            ApplyError: If AWS refuses a change, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
            PropagationTimeoutError: If the account does not become known in time.
        """
        if self._lacks_account(changes):
            if not (yield from self.pause(DENSE, NOT_SHOWN)):
                raise propagation_timeout_error([], [changes.observed], 1, self.ledger)
            return False
        for wave in changes.waves:
            for change in wave:
                yield Emit(Applying(change=change))
            if not (yield from self._write_wave(wave, changes)):
                return False
        return True

    def _write_wave(self, pending: tuple[Change, ...], changes: ChangeSet) -> Steps[bool]:
        """Send *pending* until AWS has acknowledged all; `False` if an observation must decide."""
        while pending:
            exhausted = {
                change: each
                for change, each in self._refused_among(pending).items()
                if each.rule is LOST and each.attempts + each.refusal.attempts > MAX_ATTEMPTS
            }
            if exhausted:
                raise refused_error(exhausted, changes, self.ledger)
            yield from self._send(pending, changes)
            yield from self._look_up_principals(pending)
            refused = self._refused_among(pending)
            verdicts = {each.rule.verdict for each in refused.values()}
            if verdicts & {"final", "look up"}:
                raise refused_error(refused, changes, self.ledger)
            if refused:
                rules = (each.rule for each in refused.values())
                rule = max(rules, key=lambda rule: rule.pace.most)
                if not (yield from self.pause(rule.pace, rule.reason)):
                    raise refused_error(refused, changes, self.ledger)
            if "observe" in verdicts:
                return False
            pending = tuple(refused)
        return True

    def note_observation(self, seen: Observation) -> None:
        """Keep what an observation has shown."""
        self.ledger = self.ledger.with_observation(seen)

    def resolve_refusals(self, changes: ChangeSet, *, confirmed: bool) -> Mapping[Change, str]:
        """Resolve refusals by a later diff; return the changes that were applied after all."""
        self.ledger, recovered = self.ledger.resolve_refusals(changes, confirmed=confirmed)
        return recovered

    def _lacks_account(self, changes: ChangeSet) -> bool:
        """Return whether the account is needed and unknown, but an ARN will soon show it."""
        named = any(each.open_policies and not each.creates for each in changes)
        return named and not self._account and bool(changes.observed.unformed)

    def _refused_among(self, pending: Iterable[Change]) -> dict[Change, RefusedChange]:
        refused = self.ledger.refused
        return {change: refused[change] for change in pending if change in refused}

    def beside(self, changes: ChangeSet) -> SendAll:
        """Return a function that sends reads beside *changes*, which must fit into one wave.

        A change that is refused stays refused in the ledger: `write` sends it again.
        """

        def send(reads: Sequence[Request]) -> Steps[list[Outcome]]:
            for change in changes:
                yield Emit(Applying(change=change))
            first = yield from self._send(changes.changes, changes, reads)
            return (yield from send_all_pages(reads, first))

        return send

    def _send(
        self, pending: Sequence[Change], changes: ChangeSet, reads: Sequence[Request] = ()
    ) -> Steps[Sequence[Outcome]]:
        """Send one wave beside *reads*; fold its outcomes into the ledger, return those of reads.

        The outcomes are kept on the line that receives them, so that an interrupt loses none.
        """
        unnamed = [change for change in pending if change.open_policies]
        if unnamed and not self._account:
            yield from self._look_up_account(unnamed[0], changes)
        self.written_targets |= {change.target.lower() for change in pending}
        partition, account = self.partition, self._account
        requests = tuple(change.request(partition, account) for change in pending)
        self.sent, self.outcomes = tuple(pending), ()
        lost = (each for each in self._refused_among(pending).values() if each.rule is LOST)
        spent = max((each.attempts for each in lost), default=0)
        before = self.ledger
        # If an interrupt comes before the replies are recorded, its notes name these changes.
        self.ledger = attrs.evolve(before, unacknowledged=before.unacknowledged.union(pending))
        effect = Send((*requests, *reads), MAX_ATTEMPTS - spent)
        try:
            self.outcomes = yield effect
        except Interrupted as stop:
            if stop.requests is not effect.requests:
                raise
            self.outcomes = stop.outcomes
            came = zip(pending, requests, stop.outcomes, strict=False)
            sent = [(change, request, each) for change, request, each in came if each is not None]
            self.ledger = before.fold(sent)
            raise
        self.ledger = before.fold(zip(pending, requests, self.outcomes, strict=False))
        for change, outcome in zip(pending, self.outcomes, strict=False):
            if isinstance(outcome, Reply):
                yield Emit(Applied(change=change))
        return self.outcomes[len(pending) :]

    @property
    def _account(self) -> str:
        known = sorted(self.ledger.known.created_arns | self.ledger.known.observed_arns)
        return next((arn.split(":")[4] for arn in known if arn.startswith("arn:")), "")

    def _look_up_account(self, change: Change, changes: ChangeSet) -> Steps[None]:
        """Look up the account of a policy that names none: it is the caller's account.

        ListPolicies is used, because GetCallerIdentity would need a client and an endpoint of STS.
        The caller needs ``iam:ListPolicies``.

        Raises:
            ApplyError: If AWS refuses the read, or the account has no such policy.
        """
        policy: ManagedPolicy = change.open_policies[0]
        request = Request.of("ListPolicies", Scope="Local", PathPrefix=policy.path)
        (outcome,) = yield from send_all_pages((request,))
        if isinstance(outcome, Reply):
            listed = outcome.content["Policies"]
            named = (policy.path, policy.name)
            arns = parse_reply(request, lambda: _arns_of(named, listed))
            if arns:
                self.ledger = self.ledger.with_lookup(arns[:1])
                return
            # Worded like the NoSuchEntity that IAM returns for an ARN.
            outcome = Refusal(code=MISSING, message=f"The account has no {policy}.")
        self.ledger = self.ledger.fold([(change, request, outcome)])
        raise refused_error(self._refused_among([change]), changes, self.ledger)

    def _unknown_principals(self, pending: Iterable[Change]) -> dict[str, tuple[str, str]]:
        """Return the refused principals that the caller's account may hold, with kind and name."""
        refused = self._refused_among(pending).values()
        if any(each.rule.verdict == "final" for each in refused):
            return {}
        return {
            name: as_target(name)
            for each in refused
            if each.rule.verdict == "look up"
            for name in principals(each.request, each.refusal.message)
            if self._account in {"", name.split(":")[4]}
        }

    def _look_up_principals(self, pending: Sequence[Change]) -> Steps[None]:
        """Look up the principals that IAM does not know; another process may have created them.

        IAM refuses a principal that is too new with the same message as one that does not exist.
        In the caller's own account a read tells them apart, unless it is stale itself. Therefore
        the reads are repeated.
        """
        for pause in CONFIRMING:
            requests = [
                Request.of(f"Get{kind.capitalize()}", **{f"{kind.capitalize()}Name": name})
                for kind, name in self._unknown_principals(pending).values()
            ] * COPIES
            if not requests:
                return
            if pause and not (yield from self.wait(Wait(pause, pause, "a principal may be new"))):
                return
            outcomes = yield Send(tuple(requests))
            self.ledger = self.ledger.with_lookup(
                arn
                for request, outcome in zip(requests, outcomes, strict=True)
                if isinstance(outcome, Reply)
                for arn in arns_in(request, outcome)
            )

    # --- waiting ----------------------------------------------------------------------------------

    def pause(self, pace: Pace, reason: str) -> Steps[bool]:
        """Pause; return `False`, without pausing, if the timeout has passed."""
        return (yield from self.wait(pace.wait(self.ledger.pauses + 1, reason)))

    def wait(self, wait: Wait) -> Steps[bool]:
        """Wait; return `False`, without waiting, if the timeout has passed."""
        bounded = self.ledger.bounded(wait, self.timeout)
        if bounded is None:
            return False
        seconds = yield bounded
        self.ledger = self.ledger.with_pause(seconds)
        return True


def _arns_of(named: tuple[str, str], listed: Any) -> list[str]:
    return [each["Arn"].lower() for each in listed if (each["Path"], each["PolicyName"]) == named]
