"""What looks and does what is needed: preview, ensure, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.aws import IAMClients, ec2_client_for
from cwagent_iam.differ import diff
from cwagent_iam.observer import observe, read
from cwagent_iam.pipeline.level import carry_out
from cwagent_iam.pipeline.readiness import ask_about, launch_for
from cwagent_iam.propagation import GOOD_LOOKS, Run
from cwagent_iam.remover import check_choice, removal

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.changes import ChangeSet, Result
    from cwagent_iam.ec2 import EC2Client
    from cwagent_iam.events import OnEvent
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.remover import AccessKeys
    from cwagent_iam.state import State
    from cwagent_iam.visibility import EC2Answer, WaitFor


def preview(
    desired: State,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
) -> ChangeSet:
    """Show what `ensure` would do; nothing is written.

    Args:
        desired: What a planner returned.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.

    Returns:
        The changes, in order; falsy when there is nothing to do.

    Raises:
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
    """
    return diff(desired, observe(desired, session=session, iam=iam))


def ensure(
    desired: State,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    wait_for: WaitFor = "iam",
    ec2: EC2Client | None = None,
) -> Result:
    """Bring about *desired*; afterwards it is so, and calling again changes nothing.

    Args:
        desired: What a planner returned.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait until IAM shows what was written; 60 seconds if `None`.
        on_event: Called with each of `cwagent_iam.events`.
        wait_for: ``"iam"`` waits until IAM's reads show it all; ``"ec2"``, or the `EC2Launch` to
            ask about, also until EC2 knows the instance profile, in the region of its client.
        ec2: A client for EC2 to use as it is, instead of one built from *session*.

    Returns:
        What was changed, and what is there now.

    Raises:
        IntentError: When there is nothing that *wait_for* could wait for; nothing was sent.
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but IAM does not show them in time,
            or EC2 does not know the profile. Where EC2 does not tell, nothing is raised: the
            result says why.
    """
    launch = launch_for(wait_for, desired)
    clients, run = IAMClients.of(session, iam), Run.start(propagation, on_event)
    if launch is None:
        return ensure_in(run, desired, clients)
    client = ec2_client_for(session, ec2)
    return ensure_in(run, desired, clients, lambda: ask_about(desired, launch, client, run))


def ensure_in(
    run: Run,
    desired: State,
    clients: IAMClients,
    afterwards: Callable[[], tuple[EC2Answer, ...]] = tuple,
) -> Result:
    """Bring about *desired* as a part of *run*, and do what comes *afterwards*."""

    def look(client: IAMClient) -> ChangeSet:
        return diff(desired, read(desired, client, missed=run.heard))

    return carry_out(look, clients, run, afterwards=afterwards)


def remove(
    desired: State,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    access_keys: AccessKeys = "refuse",
) -> Result:
    """Take away what *desired* names: memberships, profiles, attachments, roles and users.

    Only what is managed is removed, and only if nothing foreign hangs on it; otherwise nothing
    is. An EC2 instance that still runs with the profile loses its credentials within hours.

    Args:
        desired: What a planner returned for it.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait until IAM shows what was removed; 60 seconds if `None`.
        on_event: Called with each of `cwagent_iam.events`.
        access_keys: ``"delete"`` deletes the access keys of managed users too, whoever uses them;
            ``"refuse"`` removes nothing if there are any.

    Returns:
        What was removed; no changes when all of it was absent.

    Raises:
        IntentError: When *access_keys* is something else; nothing was sent.
        ConflictError: When something is not managed, or something foreign hangs on it.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all was removed, but IAM still shows it after that time.
    """
    check_choice(access_keys)
    clients, run = IAMClients.of(session, iam), Run.start(propagation, on_event)

    def look(client: IAMClient) -> ChangeSet:
        observed = read(desired, client, missed=run.heard, dependents=True)
        return removal(desired, observed, access_keys=access_keys)

    # One host that does not know a new thing yet must not make its removal a matter of nothing.
    return carry_out(look, clients, run, least=GOOD_LOOKS)
