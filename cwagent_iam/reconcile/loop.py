"""The loop: observe, diff, send what is due wave by wave, confirm; as generators of effects.

Each step acts on what was observed, never on what was sent. What a refusal leaves open, the next
observation decides. Therefore a call can be repeated at any time, also after a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.changes import ChangeSet, Result
from cwagent_iam.changes.operations import DELETE_INLINE
from cwagent_iam.errors import ConflictError
from cwagent_iam.events import Planned, Recovered, Verified
from cwagent_iam.observing import observe, roles_in_profiles, send_all_pages
from cwagent_iam.reconcile.call import CONFIRMING, COPIES, NOT_SHOWN, Call
from cwagent_iam.reconcile.failures import propagation_timeout_error, split_errors
from cwagent_iam.reconcile.rules import DENSE, Pace
from cwagent_iam.requests import Emit, Steps, Wait
from cwagent_iam.state import InstanceProfile, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from cwagent_iam.changes import Change
    from cwagent_iam.observing import Observation, SendAll
    from cwagent_iam.state import Entity

# The pauses before the rounds if an earlier read showed what a removal would leave behind.
_DOUBTFUL = (*CONFIRMING, 4.0, 4.0)

# Once reads have disagreed, two successive rounds must agree: the pauses before them.
_AGAIN = (0.0, 0.25)

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
        access_keys: Whether the access keys of users are read too.
    """

    targets: tuple[Entity, ...]
    decide: Callable[[State], ChangeSet]
    partition: str
    timeout: float
    removes: bool = False
    access_keys: bool = False


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
    call = Reconciliation.of(goal)
    return (yield from call.reporting(call.run()))


@attrs.define
class Reconciliation(Call):
    """A call that converges on a goal; its methods yield effects.

    Attributes:
        goal: The goal.
        changes: The changes that the last observation needed.
        state: The last observed state that had no conflict.
        seen: The changes that any read of a removal needed.
        shown: The kinds and names, in lower case, that any reply of the last copies showed.
    """

    goal: Goal
    changes: ChangeSet = attrs.field(factory=ChangeSet, init=False)
    state: State = attrs.field(factory=State, init=False)
    seen: set[Change] = attrs.field(factory=set, init=False)
    shown: frozenset[str] = attrs.field(factory=frozenset, init=False)

    @classmethod
    def of(cls, goal: Goal) -> Reconciliation:
        """Begin a call with this *goal*."""
        return cls(goal.partition, goal.timeout, goal)

    def run(self) -> Steps[Result]:
        """Write and confirm until no change is due and everything that was written is confirmed."""
        yield from self.write_all()
        return (yield from self.confirm())

    def write_all(self) -> Steps[None]:
        """Observe, diff and write until AWS has acknowledged every change that is due."""
        self.changes = yield from self._changes_for((yield from self._observe()))
        new = self.ledger.due(self.changes)
        yield Emit(Planned(changes=new))
        while new and not (yield from self.write(new)):
            self.changes = yield from self._changes_for((yield from self._observe()))
            new = self.ledger.due(self.changes)
            if new:
                yield Emit(Planned(changes=new))

    def confirm(self, copies: Sequence[State] = ()) -> Steps[Result]:
        """Confirm everything that was written, and write what reads show to be due.

        Args:
            copies: States that `read_back` has read since the last write.
        """
        looks = 1
        while self.written_targets or self.changes.observed.unformed:
            looks = COPIES
            self.changes = yield from self._confirm(copies)
            copies = ()
            new = self.ledger.due(self.changes)
            if not new:
                break
            yield Emit(Planned(changes=new))
            if not (yield from self.write(new)):
                yield from self.write_all()
        yield Emit(Verified(looks=looks))
        return Result(
            changes=self.ledger.applied,
            state=self.state,
            extras=self.changes.extras,
            findings=self.changes.findings,
        )

    def read_back(self, send: SendAll = send_all_pages) -> Steps[list[State]]:
        """Read what was written in several copies, for `confirm`."""
        focus, deleted = self._unconfirmed
        return (yield from self._read_copies(focus, self.state, deleted, send))

    @property
    def _unconfirmed(self) -> tuple[set[str], set[str]]:
        """The entities to confirm, and those of them that were deleted."""
        focus = self.written_targets | {each.lower() for each in self.state.unformed}
        return focus, {each.target.lower() for each in self.ledger.applied if each.deletes}

    # --- reading ----------------------------------------------------------------------------------

    def note_observation(self, seen: Observation) -> None:
        """Keep what an observation has shown, also an inline policy that is only listed yet."""
        Call.note_observation(self, seen)
        self.seen |= {
            DELETE_INLINE[type(each)](name=each.name, policy=policy)
            for each in self.goal.targets
            if self.goal.removes and not isinstance(each, InstanceProfile)
            for policy in each.inline_policies
            if (each.target.lower(), policy.name) in seen.listed
        }

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
                goal.targets,
                partition=goal.partition,
                dependents=goal.removes,
                access_keys=goal.access_keys,
            )
            self.note_observation(seen)
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
                if not (yield from self.pause(DENSE, NOT_SHOWN)):
                    errors = split_errors(goal.targets, split)
                    raise propagation_timeout_error(errors, copies, looks, self.ledger)
                disagreed, agreed = True, 0
                continue
            agreed += 1
            overlooked = self._overlooked(decision)
            doubted = disagreed or absent & self.ledger.kept
            pauses = _DOUBTFUL if overlooked else CONFIRMING if doubted else CONFIRMING[:1]
            pause = pauses[agreed] if agreed < len(pauses) else 0.0
            if not pause or not (yield from self.wait(Wait(pause, pause, NOT_SHOWN))):
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
        self,
        focus: Collection[str],
        base: State,
        existence_only: Collection[str] = (),
        send: SendAll = send_all_pages,
    ) -> Steps[list[State]]:
        """Read the entities in *focus* in several copies; take the others from *base*."""
        wanted = [each for each in self.goal.targets if each.target.lower() in focus]
        seen = yield from observe(
            wanted,
            partition=self.goal.partition,
            copies=COPIES,
            dependents=self.goal.removes,
            access_keys=self.goal.access_keys,
            existence_only=existence_only,
            send=send,
        )
        rest = [each for each in base.entities if each.target.lower() not in focus]
        self.shown = frozenset[str]().union(*(each.shown for each in seen))
        for each in seen:
            self.note_observation(each)
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
                if not (yield from self.pause(DENSE, _DISAGREE)):
                    raise propagation_timeout_error([decision], [], 1, self.ledger)
                state = yield from self._observe()
        self.state = state
        for change, reason in self.resolve_refusals(decision, confirmed=confirmed).items():
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
        rounds = list(CONFIRMING)
        disagree, looks = False, 0
        while rounds:
            pause = rounds.pop(0)
            if pause and not (yield from self.wait(Wait(pause, pause, _DISAGREE))):
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
                rounds = [DENSE.first, *CONFIRMING[1:]]
        if disagree:
            raise propagation_timeout_error([error], [], looks, self.ledger)
        raise error

    def _confirm(self, given: Sequence[State]) -> Steps[ChangeSet]:
        """Read what was written until reads agree; return the changes that are due then.

        Args:
            given: The result of the first round; empty if there was none yet.

        Raises:
            PropagationTimeoutError: If reads still do not show it when the timeout has passed.
        """
        base = self.state
        focus, deleted = self._unconfirmed
        disagreed: set[str] = set()
        agreed, looks = 0, 0
        unshown: tuple[Sequence[ChangeSet | ConflictError], Sequence[State]] = ([], [])
        while True:
            copies = given or (yield from self._read_copies(focus, base, deleted))
            given = ()
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
            if not (yield from self.pause(pace, NOT_SHOWN)):
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


def _targets_in(decision: ChangeSet | ConflictError) -> Iterable[str]:
    """Return the kind and name, in lower case, of each entity that *decision* concerns."""
    parts = decision.conflicts if isinstance(decision, ConflictError) else decision.changes
    return (each.target.lower() for each in parts)
