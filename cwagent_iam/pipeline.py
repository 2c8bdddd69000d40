"""The stages joined: preview, ensure, remove.

.. code-block:: text

    intent ──plan──▶ desired ─┐
    (arguments)               ├─diff──▶ changes ──apply──▶ result
    IAM ───observe─▶ observed ┘

`ensure` is all of it, and then observes again until the diff is empty. The split costs a second
look at what was just written; it buys that a plan can be read before anything happens, that all
decisions can be tested without AWS, and that calling again is always right: each call acts on
what is there, never on what an earlier call believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tenacity

from cwagent_iam.aws import client_for
from cwagent_iam.changes import AgentRole, AgentUser, ChangeSet, Result
from cwagent_iam.differ import diff
from cwagent_iam.errors import ApplyError, CwAgentIamError, PropagationTimeoutError
from cwagent_iam.executor import apply_in
from cwagent_iam.observer import observe, observe_dependents
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import SERVER_POLICY
from cwagent_iam.propagation import Run
from cwagent_iam.remover import removal
from cwagent_iam.state import InstanceProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.planners import PolicyLike
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.state import State


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
) -> Result:
    """Bring about *desired*; afterwards it is so, and calling again changes nothing.

    Args:
        desired: What a planner returned.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait until IAM shows what was written; 60 seconds if `None`.

    Returns:
        What was changed, and what is there now.

    Raises:
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but IAM does not show them in time.
    """
    client = client_for(session, iam)

    def look() -> ChangeSet:
        return diff(desired, observe(desired, iam=client))

    return _carry_out(look, client, Run.start(propagation))


def remove(
    desired: State,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
) -> Result:
    """Take away what *desired* names: memberships, profiles, attachments, roles and users.

    Only what is managed is removed, and only if nothing foreign hangs on it; otherwise nothing
    is. An EC2 instance that still runs with the profile loses its credentials within hours.

    Args:
        desired: What a planner returned for it.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait until IAM shows what was removed; 60 seconds if `None`.

    Returns:
        What was removed; no changes when all of it was absent.

    Raises:
        ConflictError: When something is not managed, or something foreign hangs on it.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all was removed, but IAM still shows it after that time.
    """
    client = client_for(session, iam)

    def look() -> ChangeSet:
        return removal(desired, observe_dependents(desired, iam=client))

    return _carry_out(look, client, Run.start(propagation))


def ensure_agent_role(
    role_name: str = "CloudWatchAgentServerRole",
    *,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    instance_profile: bool | str = True,
    path: str | None = None,
    description: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    max_session_duration: int | None = None,
    tags: Mapping[str, str] | None = None,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
) -> AgentRole:
    """Give the agent on EC2 its identity: a role with its policies, in an instance profile.

    This is the procedure of the CloudWatch user guide, "Create IAM roles and users for use with
    the CloudWatch agent", in one call that can be repeated.

    Args:
        role_name: As for `plan_agent_role`, like all arguments up to *tags*.
        policies: The managed policies to attach.
        instance_profile: `True`, its name, or `False` for none.
        path: The path of role and profile.
        description: The role's description.
        permissions_boundary: The policy that limits what the others can allow.
        max_session_duration: The longest session, in seconds.
        tags: Tags for role and profile.
        session: As for `ensure`, like all that follow.
        iam: A client to use as it is.
        propagation: How long to wait.

    Returns:
        The names and ARNs, and what was changed.

    Raises:
        IntentError: When an argument breaks a rule of IAM; nothing was sent.
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but IAM does not show them in time.
    """
    desired = plan_agent_role(
        role_name,
        policies=policies,
        instance_profile=instance_profile,
        path=path,
        description=description,
        permissions_boundary=permissions_boundary,
        max_session_duration=max_session_duration,
        tags=tags,
    )
    result = ensure(desired, session=session, iam=iam, propagation=propagation)
    profiles = (each for each in result.state.entities if isinstance(each, InstanceProfile))
    profile = next(profiles, None)
    return AgentRole(
        changes=result.changes,
        state=result.state,
        role_name=role_name,
        role_arn=result.arns["role", role_name],
        instance_profile_name=profile.name if profile else None,
        instance_profile_arn=profile.arn if profile else None,
    )


def ensure_agent_user(
    user_name: str = "CloudWatchAgentServerUser",
    *,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    path: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    tags: Mapping[str, str] | None = None,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
) -> AgentUser:
    """Give the agent on a server outside EC2 its identity: a user with its policies.

    The user has no access key yet: make one yourself, and keep the secret safe.

    Args:
        user_name: As for `plan_agent_user`, like all arguments up to *tags*.
        policies: The managed policies to attach.
        path: The user's path.
        permissions_boundary: The policy that limits what the others can allow.
        tags: The user's tags.
        session: As for `ensure`, like all that follow.
        iam: A client to use as it is.
        propagation: How long to wait.

    Returns:
        The name and ARN, and what was changed.

    Raises:
        IntentError: When an argument breaks a rule of IAM; nothing was sent.
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but IAM does not show them in time.
    """
    desired = plan_agent_user(
        user_name,
        policies=policies,
        path=path,
        permissions_boundary=permissions_boundary,
        tags=tags,
    )
    result = ensure(desired, session=session, iam=iam, propagation=propagation)
    return AgentUser(
        changes=result.changes,
        state=result.state,
        user_name=user_name,
        user_arn=result.arns["user", user_name],
    )


def _carry_out(look: Callable[[], ChangeSet], client: IAMClient, run: Run) -> Result:
    """Look, apply what is new, and look until nothing is left; errors tell what was applied."""
    try:
        while _unfinished(changes := _look_until_new(look, run)):
            try:
                apply_in(run, run.new_in(changes), client)
            except ApplyError as error:
                if not (error.overtaken and run.pause()):
                    raise
    except CwAgentIamError as error:
        error.applied = tuple(run.applied)
        raise
    return Result(changes=tuple(run.applied), state=changes.observed)


def _look_until_new(look: Callable[[], ChangeSet], run: Run) -> ChangeSet:
    """Look until all is right, or there is something to do that this run has not done."""

    def must_wait(changes: ChangeSet) -> bool:
        return _unfinished(changes) and not run.new_in(changes)

    began = run.seconds
    retrying = run.retrying(tenacity.retry_if_result(must_wait), lambda: "IAM shows old state")
    try:
        return retrying(look)
    except tenacity.RetryError as error:
        changes: ChangeSet = error.last_attempt.result()
        raise PropagationTimeoutError(
            missing=changes.changes,
            unformed=changes.observed.unformed,
            attempts=error.last_attempt.attempt_number,
            seconds=run.seconds - began,
        ) from None


def _unfinished(changes: ChangeSet) -> bool:
    return bool(changes or changes.observed.unformed)
