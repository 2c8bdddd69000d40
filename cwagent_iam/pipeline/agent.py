"""The agent's identities, each in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.changes import AgentRole, AgentUser
from cwagent_iam.pipeline.stages import ensure
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import SERVER_POLICY
from cwagent_iam.state import InstanceProfile

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.ec2 import EC2Client
    from cwagent_iam.events import OnEvent
    from cwagent_iam.planners import PolicyLike
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.visibility import WaitFor


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
    on_event: OnEvent | None = None,
    wait_for: WaitFor = "iam",
    ec2: EC2Client | None = None,
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
        on_event: Called with each of `cwagent_iam.events`.
        wait_for: ``"iam"``, ``"ec2"``, or the `EC2Launch` that EC2 is to be asked about.
        ec2: A client for EC2 to use as it is.

    Returns:
        The names and ARNs, and what was changed.

    Raises:
        IntentError: When an argument breaks a rule of IAM; nothing was sent.
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but AWS does not show them in time.
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
    result = ensure(
        desired,
        session=session,
        iam=iam,
        propagation=propagation,
        on_event=on_event,
        wait_for=wait_for,
        ec2=ec2,
    )
    profiles = (each for each in result.state.entities if isinstance(each, InstanceProfile))
    profile = next(profiles, None)
    return AgentRole(
        changes=result.changes,
        state=result.state,
        ec2=result.ec2,
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
    on_event: OnEvent | None = None,
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
        on_event: Called with each of `cwagent_iam.events`.

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
    result = ensure(desired, session=session, iam=iam, propagation=propagation, on_event=on_event)
    return AgentUser(
        changes=result.changes,
        state=result.state,
        user_name=user_name,
        user_arn=result.arns["user", user_name],
    )
