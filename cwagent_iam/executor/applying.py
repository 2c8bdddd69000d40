"""Changes one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.aws import IAMClients
from cwagent_iam.changes import ChangeSet, Result
from cwagent_iam.events import Applying, Done, Planned
from cwagent_iam.executor.attempt import Attempt
from cwagent_iam.propagation import Run

if TYPE_CHECKING:
    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.events import OnEvent
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.state import State


def apply(
    changes: ChangeSet,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
) -> Result:
    """Make *changes*, one request each, in order.

    What is new may be unknown to the next request for some seconds; such a miss is waited out. A
    change that turns out to be made already, by a request whose reply was lost or by somebody
    else, is read back, and is right if what is there is what was meant.

    Args:
        changes: What `preview` or `diff` returned.
        session: The session whose credentials are used; boto3's default if `None`.
        iam: A client to use as it is, instead of those built from *session*; its own retries come
            on top of those of this library.
        propagation: How long to wait for what is new; 60 seconds if `None`.
        on_event: Called with each of `cwagent_iam.events`.

    Returns:
        What was applied, and the state that follows, with the ARNs.

    Raises:
        ApplyError: When a change fails. It says what was applied before and what was not.
    """
    run = Run.start(propagation, on_event)
    run.tell(Planned, changes=changes)
    state = apply_in(run, changes, IAMClients.of(session, iam))
    result = Result(
        changes=tuple(run.applied),
        state=state,
        extras=changes.extras,
        findings=changes.findings,
    )
    run.tell(Done, result=result)
    return result


def apply_in(run: Run, changes: ChangeSet, clients: IAMClients) -> State:
    """Make *changes* as a part of *run*; return the state that follows.

    Raises:
        ApplyError: As for `apply`.
    """
    state = changes.observed
    run.seen.update(entity.target for entity in state.entities)
    run.seen_arns.update(entity.arn for entity in state.entities if entity.arn)
    for position, change in enumerate(changes):
        run.tell(Applying, change=change)
        attempt = Attempt(run, change, clients, state.account_id)
        arn = attempt.make(remaining=changes.changes[position:])
        state = change.after(state)
        if arn and arn.startswith("arn:"):
            run.known.add(change.target)
            run.arns.add(arn)
            created = state.find(change.kind, change.name)
            state = state.with_entity(attrs.evolve(created, arn=arn)) if created else state
    return state
