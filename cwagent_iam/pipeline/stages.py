"""What looks and does what is needed: preview, ensure, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.aws import IAMClients, ec2_client_for
from cwagent_iam.differ import Choices, diff, refuse_unmakeable
from cwagent_iam.observer import observe, read
from cwagent_iam.pipeline.level import carry_out
from cwagent_iam.pipeline.readiness import ask_about, launch_for
from cwagent_iam.propagation import GOOD_LOOKS, Run
from cwagent_iam.remover import check_choice, removal
from cwagent_iam.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.changes import ChangeSet, Result
    from cwagent_iam.differ import Attachments, Existing
    from cwagent_iam.ec2 import EC2Client
    from cwagent_iam.events import OnEvent
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.remover import AccessKeys, ExistingToRemove
    from cwagent_iam.state import Desired
    from cwagent_iam.visibility import EC2Answer, WaitFor


def preview(
    desired: Desired,
    *,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
) -> ChangeSet:
    """Show what `ensure` would do; nothing is written.

    Args:
        desired: What a planner returned, or several of those.
        existing: As for `diff`.
        attachments: As for `diff`.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.

    Returns:
        The changes, in order, with extras and findings; falsy when there is nothing to do.

    Raises:
        IntentError: As for `diff`; or when two desired states contradict each other. Nothing was
            sent.
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
    """
    choices = Choices(existing, attachments)
    whole = _whole(desired)
    observed = observe(whole, session=session, iam=iam)
    return diff(whole, observed, existing=choices.existing, attachments=choices.attachments)


def ensure(
    desired: Desired,
    *,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    wait_for: WaitFor = "iam",
    ec2: EC2Client | None = None,
) -> Result:
    """Bring about *desired*; afterwards it is so, and calling again changes nothing.

    Args:
        desired: What a planner returned, or several of those.
        existing: As for `diff`.
        attachments: As for `diff`.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait until IAM shows what was written; 60 seconds if `None`.
        on_event: Called with each of `cwagent_iam.events`.
        wait_for: ``"iam"`` waits until IAM's reads show it all; ``"ec2"``, or the `EC2Launch` to
            ask about, also until EC2 knows the instance profile, in the region of its client.
        ec2: A client for EC2 to use as it is, instead of one built from *session*.

    Returns:
        What was changed, and what is there now, with extras and findings.

    Raises:
        IntentError: As for `preview`; or when there is nothing that *wait_for* could wait for.
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but IAM does not show them in time,
            or EC2 does not know the profile. Where EC2 does not tell, nothing is raised: the
            result says why.
    """
    choices = Choices(existing, attachments)
    whole = _whole(desired)
    launch = launch_for(wait_for, whole)
    clients, run = IAMClients.of(session, iam), Run.start(propagation, on_event)
    if launch is None:
        return ensure_in(run, whole, clients, choices)
    client = ec2_client_for(session, ec2)
    return ensure_in(run, whole, clients, choices, lambda: ask_about(whole, launch, client, run))


def _whole(desired: Desired) -> State:
    """Join what is desired, if it can be made at all.

    Raises:
        IntentError: As for `preview`.
    """
    whole = State.joined(desired)
    refuse_unmakeable(whole)
    return whole


def ensure_in(
    run: Run,
    desired: State,
    clients: IAMClients,
    choices: Choices,
    afterwards: Callable[[], tuple[EC2Answer, ...]] = tuple,
) -> Result:
    """Bring about *desired* by *choices* as a part of *run*, and do what comes *afterwards*."""

    def look(client: IAMClient) -> ChangeSet:
        observed = read(desired, client, missed=run.heard)
        return diff(desired, observed, existing=choices.existing, attachments=choices.attachments)

    return carry_out(look, clients, run, afterwards=afterwards)


def remove(
    desired: Desired,
    *,
    existing: ExistingToRemove = "refuse",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    access_keys: AccessKeys = "refuse",
) -> Result:
    """Take away what *desired* names: policies in it and on it, memberships, and the things.

    Only what is managed is removed, whatever its path, and only if nothing foreign hangs on it;
    otherwise nothing is. An EC2 instance that still runs with the profile loses its credentials
    within hours.

    Args:
        desired: What a planner returned for it, or several of those.
        existing: What to do about what is not managed: ``"refuse"``, or ``"attach"`` to undo what
            ensuring it with ``"attach"`` brings about: exactly the attachments, the inline
            policies that say the same, and the membership that *desired* names are taken away,
            and the rest stays.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait until IAM shows what was removed; 60 seconds if `None`.
        on_event: Called with each of `cwagent_iam.events`.
        access_keys: ``"delete"`` deletes the access keys of managed users too, whoever uses them;
            ``"refuse"`` removes nothing if there are any.

    Returns:
        What was removed; no changes when all of it was absent.

    Raises:
        IntentError: When *access_keys* or *existing* is something else, or two desired states
            contradict each other; nothing was sent.
        ConflictError: When something is not managed, or something foreign hangs on it.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all was removed, but IAM still shows it after that time.
    """
    check_choice(access_keys, existing)
    whole = State.joined(desired)
    clients, run = IAMClients.of(session, iam), Run.start(propagation, on_event)

    def look(client: IAMClient) -> ChangeSet:
        observed = read(whole, client, missed=run.heard, dependents=True)
        return removal(whole, observed, access_keys=access_keys, existing=existing)

    # One host that does not know a new thing yet must not make its removal a matter of nothing.
    return carry_out(look, clients, run, least=GOOD_LOOKS)
