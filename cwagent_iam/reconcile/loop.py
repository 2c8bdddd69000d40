"""The loop: observe, diff, send what is due wave by wave, confirm; as generators of effects.

Each step acts on what was observed, never on what was sent. What a refusal leaves open, the next
observation decides. Therefore a call can be repeated at any time, also after a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.changes import ChangeSet, Result
from cwagent_iam.errors import ConflictError
from cwagent_iam.events import Applied, Applying, Planned, Recovered, Verified
from cwagent_iam.observing import (
    MISSING,
    observe,
    parse_reply,
    roles_in_profiles,
    send_all_pages,
)
from cwagent_iam.reconcile.failures import (
    add_facts,
    propagation_timeout_error,
    refused_error,
    split_errors,
)
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
from cwagent_iam.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from cwagent_iam.changes import Change
    from cwagent_iam.policies import ManagedPolicy
    from cwagent_iam.reconcile.ledger import RefusedChange
    from cwagent_iam.state import Entity

COPIES = 3
"""How many independent reads confirm a state. IAM's hosts are not equally up to date."""

# The pauses before the rounds that confirm a conflict, or the absence of an entity that this call
# saw: at 0, 1, 3 and 5 s. An old entity may have been changed a moment ago.
# docs/explanation.md says how often a role that was as desired was refused in the simulator.
_ROUNDS = (0.0, 1.0, 2.0, 2.0)
_DOUBTFUL = (*_ROUNDS, 4.0, 4.0)  # if an earlier read showed what a removal would leave behind

# Once reads have disagreed, two successive rounds must agree: the pauses before them.
_AGAIN = (0.0, 0.25)

_NOT_SHOWN = "IAM does not show everything yet"
_DISAGREE = "a conflict is not confirmed yet"


@attrs.frozen(kw_only=True)
class Goal:
    """The goal of one call: what it reads, and how it decides.

    Attributes:
        targets: The entities to read; only kinds, names and the names of inline policies are
            used.
        decide: Returns the changes that an observed state needs; raises `ConflictError`.
        partition: The AWS partition that replies come from, such as ``aws``.
        timeout: The longest waiting since the last write, in seconds.
        removes: Whether the goal is absence. If so, dependents are read too, and absence is
            confirmed.
    """

    targets: tuple[Entity, ...]
    decide: Callable[[State], ChangeSet]
    partition: str
    timeout: float
    removes: bool = False


def preview(goal: Goal) -> Steps[ChangeSet]:
    """Return the changes that one observation needs.

    Raises:
        ConflictError: If an entity conflicts with the goal. The conflict is not confirmed.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
    """
    (seen,) = yield from observe(goal.targets, partition=goal.partition)
    return goal.decide(seen.state)


def reconcile(goal: Goal) -> Steps[Result]:
    """Converge on *goal*.

    Returns:
        The changes that were applied, and the confirmed state.

    Raises:
        ConflictError: If a conflict is confirmed.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        PropagationTimeoutError: If reads do not show what was written within the timeout.
    """
    call = _Call(goal)
    try:
        return (yield from call.run())
    except BaseException as stop:
        add_facts(stop, call.ledger.applied, call.ledger.unacknowledged)
        raise


@attrs.define
class _Call:
    """A call in progress; its methods yield effects.

    Attributes:
        goal: The goal.
        ledger: The record of the requests and their outcomes.
        state: The last observed state that had no conflict.
        written_targets: The kind and name, in lower case, of each entity that a change was sent
            for.
        seen: The changes that any read of a removal needed.
        shown: The kinds and names, in lower case, that any reply of the last copies showed.
    """

    goal: Goal
    ledger: Ledger = attrs.field(factory=Ledger)
    state: State = attrs.field(factory=State)
    written_targets: set[str] = attrs.field(factory=set)
    seen: set[Change] = attrs.field(factory=set)
    shown: frozenset[str] = frozenset()

    def run(self) -> Steps[Result]:
        """Write and confirm until no change is due and everything that was written is confirmed."""
        changes = yield from self._changes_for((yield from self._observe()))
        new = self.ledger.due(changes)
        yield Emit(Planned(changes=new))
        looks = 1
        while new or self.written_targets or changes.observed.unformed:
            if new and not (yield from self._write(new)):
                changes = yield from self._changes_for((yield from self._observe()))
            else:
                looks = COPIES
                changes = yield from self._confirm()
                if not self.ledger.due(changes):
                    break
            new = self.ledger.due(changes)
            if new:
                yield Emit(Planned(changes=new))
        yield Emit(Verified(looks=looks))
        return Result(
            changes=self.ledger.applied,
            state=self.state,
            extras=changes.extras,
            findings=changes.findings,
        )

    # --- reading ----------------------------------------------------------------------------------

    def _observe(self) -> Steps[State]:
        """Read everything once; for a removal, confirm the entities for which no change is due.

        Three parallel reads confirm them. Several rounds must agree if a read has disagreed, or
        if an entity is missing that this call saw and did not try to delete. An entity exists if
        any read of the round shows it, and so does a role that a profile holds: IAM does not delete
        such a role.
        """
        goal = self.goal
        disagreed, agreed, looks = False, 0, 0
        while True:
            (seen,) = yield from observe(
                goal.targets, partition=goal.partition, dependents=goal.removes
            )
            self.ledger = self.ledger.with_observation(seen)
            looks += 1
            decision = self._decide(seen.state)
            due = _targets_in(decision)
            idle = {each.target.lower() for each in goal.targets}.difference(due)
            if not (goal.removes and idle):
                return seen.state
            absent = idle.difference(each.target.lower() for each in seen.state.entities)
            copies = yield from self._read_copies(idle, seen.state, existence_only=absent)
            split = absent & (seen.shown | roles_in_profiles(seen.state))
            split = split.union(*(self._contradictions(copy, idle, absent) for copy in copies))
            if split:
                if not (yield from self._pause(DENSE, _NOT_SHOWN)):
                    errors = split_errors(goal.targets, split)
                    raise propagation_timeout_error(errors, copies, looks, self.ledger)
                disagreed, agreed = True, 0
                continue
            agreed += 1
            overlooked = self._overlooked(decision)
            doubted = disagreed or absent & self.ledger.kept
            pauses = _DOUBTFUL if overlooked else _ROUNDS if doubted else _ROUNDS[:1]
            pause = pauses[agreed] if agreed < len(pauses) else 0.0
            if not pause or not (yield from self._wait(Wait(pause, pause, _NOT_SHOWN))):
                self.seen -= overlooked
                return seen.state

    def _contradictions(self, copy: State, idle: set[str], absent: set[str]) -> set[str]:
        """Return the entities of *idle* whose existence differs in *copy*, or that it changes."""
        shown = idle.intersection(each.target.lower() for each in copy.entities)
        return (shown ^ (idle - absent)) | idle.intersection(_targets_in(self._decide(copy)))

    def _overlooked(self, decision: ChangeSet | ConflictError) -> set[Change]:
        """Return the changes of a removal that only earlier reads needed, and that were not made.

        Later reads may be stale, even if they agree; so may be a host that refused the change.
        """
        if isinstance(decision, ConflictError):
            return set()
        return self.seen.difference(decision, self.ledger.applied, self.ledger.unacknowledged)

    def _read_copies(
        self, focus: Collection[str], base: State, existence_only: Collection[str] = ()
    ) -> Steps[list[State]]:
        """Read the entities in *focus* in several copies; take the others from *base*."""
        wanted = [each for each in self.goal.targets if each.target.lower() in focus]
        seen = yield from observe(
            wanted,
            partition=self.goal.partition,
            copies=COPIES,
            dependents=self.goal.removes,
            existence_only=existence_only,
        )
        rest = [each for each in base.entities if each.target.lower() not in focus]
        self.shown = frozenset[str]().union(*(each.shown for each in seen))
        for each in seen:
            self.ledger = self.ledger.with_observation(each)
        return [State.of([*rest, *each.state.entities]) for each in seen]

    def _changes_for(self, state: State, *, confirmed: bool = False) -> Steps[ChangeSet]:
        """Return the changes that *state* needs, once no conflict is left.

        Args:
            state: The observed state.
            confirmed: Whether parallel reads agreed on it.

        Raises:
            ConflictError: If a conflict is confirmed.
        """
        while isinstance(decision := self._decide(state), ConflictError):
            state = yield from self._confirm_conflict(decision, state)
            if self.goal.removes:
                # The end of a conflict may be a stale absence, which more reads must confirm.
                if not (yield from self._pause(DENSE, _DISAGREE)):
                    raise propagation_timeout_error([decision], [], 1, self.ledger)
                state = yield from self._observe()
        self.state = state
        self.ledger, recovered = self.ledger.resolve_refusals(decision, confirmed=confirmed)
        for change, reason in recovered.items():
            yield Emit(Recovered(change=change, reason=reason))
        return decision

    def _decide(self, state: State) -> ChangeSet | ConflictError:
        try:
            changes = self.goal.decide(state)
        except ConflictError as error:
            return error
        self.seen.update(changes if self.goal.removes else ())
        return changes

    def _confirm_conflict(self, error: ConflictError, state: State) -> Steps[State]:
        """Confirm a conflict by reading again; return a state without it if it was a stale read.

        Raises:
            ConflictError: If all parallel reads agree on it in every round.
            PropagationTimeoutError: If reads still disagree when the timeout has passed.
        """
        focus = {conflict.target.lower() for conflict in error.conflicts}
        if focus.isdisjoint(each.target.lower() for each in self.goal.targets):
            raise error  # about the account: reading entities again cannot resolve it
        rounds = list(_ROUNDS)
        disagree, looks = False, 0
        while rounds:
            pause = rounds.pop(0)
            if pause and not (yield from self._wait(Wait(pause, pause, _DISAGREE))):
                break
            copies = yield from self._read_copies(focus, state)
            looks += 1
            decisions = [self._decide(copy) for copy in copies]
            errors = [each for each in decisions if isinstance(each, ConflictError)]
            if not errors:
                return copies[-1]
            same = [each for each in errors if each.conflicts == error.conflicts]
            disagree = len(same) < COPIES
            if disagree:
                error, state = errors[-1], copies[-1]
                focus |= {conflict.target.lower() for conflict in error.conflicts}
                rounds = [DENSE.first, *_ROUNDS[1:]]
        if disagree:
            raise propagation_timeout_error([error], [], looks, self.ledger)
        raise error

    def _confirm(self) -> Steps[ChangeSet]:
        """Read what was written until reads agree; return the changes that are due then.

        Raises:
            PropagationTimeoutError: If reads still do not show it when the timeout has passed.
        """
        base = self.state
        focus = self.written_targets | {each.lower() for each in base.unformed}
        deleted = {each.target.lower() for each in self.ledger.applied if each.deletes}
        disagreed: set[str] = set()
        agreed, looks = 0, 0
        unshown: tuple[Sequence[ChangeSet | ConflictError], Sequence[State]] = ([], [])
        while True:
            copies = yield from self._read_copies(focus, base, existence_only=deleted)
            looks += 1
            decisions = [self._decide(copy) for copy in copies]
            unconfirmed = {target for each in decisions for target in _targets_in(each)}
            unconfirmed |= {each.lower() for copy in copies for each in copy.unformed}
            lost = self.ledger.missing_in(copies, focus - unconfirmed)
            split = lost & self.shown
            unconfirmed |= split
            new = self._due_in_all(decisions)
            if unconfirmed:
                agreed, unshown = 0, ([*decisions, *split_errors(self.goal.targets, split)], copies)
            else:
                agreed += 1
            overlooked = self._overlooked(decisions[-1])
            doubted = overlooked or lost
            pauses = _DOUBTFUL if doubted else _AGAIN if disagreed else _AGAIN[:1]
            if new or agreed >= len(pauses):
                changes = yield from self._changes_for(copies[-1], confirmed=not new)
                return attrs.evolve(changes, changes=new) if new else changes
            base = copies[-1]
            conflicts = [each for each in decisions if isinstance(each, ConflictError)]
            if len(conflicts) == COPIES:
                yield from self._changes_for(base)  # raises if the conflict is confirmed
                base = self.state
            disagreed |= unconfirmed
            # A conflict hides other differences.
            focus = focus if conflicts or doubted else disagreed
            pace = Pace(pauses[agreed], pauses[agreed], least=1.0) if agreed else DENSE
            if not (yield from self._pause(pace, _NOT_SHOWN)):
                if agreed and doubted:
                    return (yield from self._changes_for(copies[-1], confirmed=True))
                raise propagation_timeout_error(*unshown, looks, self.ledger)

    def _due_in_all(self, decisions: Sequence[ChangeSet | ConflictError]) -> tuple[Change, ...]:
        """Return the changes that every read needs, and that were not acknowledged yet."""
        sets = [self.ledger.due(each) for each in decisions if isinstance(each, ChangeSet)]
        if len(sets) < len(decisions):
            return ()
        common = set.intersection(*map(set, sets))
        return tuple(each for each in sets[-1] if each in common)

    # --- writing ----------------------------------------------------------------------------------

    def _write(self, changes: ChangeSet) -> Steps[bool]:
        """Send *changes* wave by wave; return whether AWS acknowledged all of them.

        Raises:
            ApplyError: If AWS refuses a change, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
            PropagationTimeoutError: If the account does not become known in time.
        """
        if self._lacks_account(changes):
            if not (yield from self._pause(DENSE, _NOT_SHOWN)):
                raise propagation_timeout_error([], [self.state], 1, self.ledger)
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
                if not (yield from self._pause(rule.pace, rule.reason)):
                    raise refused_error(refused, changes, self.ledger)
            if "observe" in verdicts:
                return False
            pending = tuple(refused)
        return True

    def _lacks_account(self, changes: ChangeSet) -> bool:
        """Return whether the account is needed and unknown, but an ARN will soon show it."""
        named = any(each.open_policies and not each.creates for each in changes)
        return named and not self._account and bool(self.state.unformed)

    def _refused_among(self, pending: Iterable[Change]) -> dict[Change, RefusedChange]:
        refused = self.ledger.refused
        return {change: refused[change] for change in pending if change in refused}

    def _send(self, pending: Sequence[Change], changes: ChangeSet) -> Steps[None]:
        """Send one wave, and fold its outcomes into the ledger."""
        unnamed = [change for change in pending if change.open_policies]
        if unnamed and not self._account:
            yield from self._look_up_account(unnamed[0], changes)
        self.written_targets |= {change.target.lower() for change in pending}
        partition, account = self.goal.partition, self._account
        requests = tuple(change.request(partition, account) for change in pending)
        lost = (each for each in self._refused_among(pending).values() if each.rule is LOST)
        spent = max((each.attempts for each in lost), default=0)
        before = self.ledger
        # If an interrupt comes before the replies are recorded, its notes name these changes.
        self.ledger = attrs.evolve(before, unacknowledged=before.unacknowledged.union(pending))
        outcomes: Sequence[Any]
        try:
            outcomes = yield Send(requests, MAX_ATTEMPTS - spent)
        except Interrupted as stop:
            came = zip(pending, requests, stop.outcomes, strict=True)
            sent = [(change, request, each) for change, request, each in came if each is not None]
            self.ledger = before.fold(sent)
            raise
        self.ledger = before.fold(zip(pending, requests, outcomes, strict=True))
        for change, outcome in zip(pending, outcomes, strict=True):
            if isinstance(outcome, Reply):
                yield Emit(Applied(change=change))

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
        for pause in _ROUNDS:
            requests = [
                Request.of(f"Get{kind.capitalize()}", **{f"{kind.capitalize()}Name": name})
                for kind, name in self._unknown_principals(pending).values()
            ] * COPIES
            if not requests:
                return
            if pause and not (yield from self._wait(Wait(pause, pause, "a principal may be new"))):
                return
            outcomes = yield Send(tuple(requests))
            self.ledger = self.ledger.with_lookup(
                arn
                for request, outcome in zip(requests, outcomes, strict=True)
                if isinstance(outcome, Reply)
                for arn in arns_in(request, outcome)
            )

    # --- waiting ----------------------------------------------------------------------------------

    def _pause(self, pace: Pace, reason: str) -> Steps[bool]:
        """Pause; return `False`, without pausing, if the timeout has passed."""
        return (yield from self._wait(pace.wait(self.ledger.pauses + 1, reason)))

    def _wait(self, wait: Wait) -> Steps[bool]:
        """Wait; return `False`, without waiting, if the timeout has passed."""
        bounded = self.ledger.bounded(wait, self.goal.timeout)
        if bounded is None:
            return False
        seconds = yield bounded
        self.ledger = self.ledger.with_pause(seconds)
        return True


def _arns_of(named: tuple[str, str], listed: Any) -> list[str]:
    return [each["Arn"].lower() for each in listed if (each["Path"], each["PolicyName"]) == named]


def _targets_in(decision: ChangeSet | ConflictError) -> Iterable[str]:
    """Return the kind and name, in lower case, of each entity that *decision* concerns."""
    parts = decision.conflicts if isinstance(decision, ConflictError) else decision.changes
    return (each.target.lower() for each in parts)
