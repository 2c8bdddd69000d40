"""Planners: intent to desired state. The same arguments always give the same, equal state.

All arguments are checked here, whole and before any call: whatever these functions return, IAM
accepts, as far as that can be known without asking it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.limits import DEFAULT_QUOTAS
from cwagent_iam.planners.plans import Permissions, PolicyLike as PolicyLike, role_plan, user_plan
from cwagent_iam.policies import ADMIN_POLICY, ECS_TASK_EXECUTION_POLICY, SERVER_POLICY
from cwagent_iam.trust import EC2, ECSTask

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cwagent_iam.limits import Quotas
    from cwagent_iam.policies import InlinePolicy
    from cwagent_iam.state import State
    from cwagent_iam.trust import Trust

_EC2 = EC2()
_ECS_TASK = ECSTask()


def plan_agent_role(
    role_name: str = "CloudWatchAgentServerRole",
    *,
    trust: Trust = _EC2,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    inline_policies: Collection[InlinePolicy] = (),
    parameters: Collection[str] = (),
    kms_key_arn: str | None = None,
    instance_profile: bool | str | None = None,
    path: str | None = None,
    description: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    max_session_duration: int | None = None,
    tags: Mapping[str, str] | None = None,
    quotas: Quotas = DEFAULT_QUOTAS,
) -> State:
    """Plan the agent's identity: a role that EC2 may assume, with its instance profile, or another.

    Where an argument may be `None`, that means that intent does not name the field: IAM's default
    holds at creation, and the field is neither compared nor changed afterwards. Only
    *instance_profile* and *kms_key_arn* are no fields.

    >>> desired = plan_agent_role(tags={"Team": "observability"})
    >>> [entity.kind for entity in desired.entities]
    ['role', 'instance-profile']
    >>> from cwagent_iam import ECSTask
    >>> [entity.kind for entity in plan_agent_role(trust=ECSTask()).entities]
    ['role']

    Args:
        role_name: 1 to 64 characters; ASCII letters, digits and ``_+=,.@-``.
        trust: Who may assume the role: where the agent runs.
        policies: The managed policies to attach, at most 10 unless *quotas* says otherwise; each
            a constant, a `CustomerManagedPolicy` or an ARN. `SERVER_POLICY` lets the agent run;
            `ADMIN_POLICY` lets it store configurations in Parameter Store too, but not read the
            ids of disk volumes.
        inline_policies: Documents that lie in the role, each an `InlinePolicy`; together at most
            10,240 characters besides white space.
        parameters: The names of the parameters in Parameter Store that hold the agent's
            configuration, at most 1,011 characters and 15 levels each. Those that begin with
            ``AmazonCloudWatch-`` are covered by `SERVER_POLICY` and `ADMIN_POLICY`; for others the
            role gets an inline policy with exactly these: to read them, and with `ADMIN_POLICY` to
            write them.
        kms_key_arn: The ARN of the customer's key, not of an alias, that encrypts *parameters*, if
            they are of the type SecureString under a key other than the one that AWS manages.
        instance_profile: `True` for one named like the role, as the console makes it; a string
            (1 to 128 characters) to name it; `False` for none. `None` is `True` where EC2 may
            assume the role, and `False` elsewhere, where a profile would serve nobody.
        path: The path of role and profile, 1 to 512 characters, from ``/`` to ``/``.
        description: At most 1,000 characters of Latin-1; empty clears a description.
        permissions_boundary: The policy that limits what the others can allow, as one of
            *policies*; empty takes a boundary away.
        max_session_duration: The longest session, 3,600 to 43,200 seconds.
        tags: At most 49 tags for role and profile, beside our own; keys 1 to 128 and values 0
            to 256 characters.
        quotas: What the account allows, if that is not what a new account has;
            `cwagent_iam.observe_quotas` reads it.

    Returns:
        The desired state. It has one `Role`, and one `InstanceProfile` if there is to be one. What
        is to be known about it is in ``findings``.

    Raises:
        IntentError: When an argument breaks a rule of IAM. It lists all that is wrong.
    """
    permissions = Permissions(
        policies, inline_policies, parameters, kms_key_arn, permissions_boundary, quotas
    )
    return role_plan(
        role_name,
        trust=trust,
        permissions=permissions,
        instance_profile=instance_profile,
        path=path,
        description=description,
        max_session_duration=max_session_duration,
        tags=tags,
    )


def plan_admin_role(
    role_name: str = "CloudWatchAgentAdminRole",
    *,
    policies: Collection[PolicyLike] = (ADMIN_POLICY,),
    inline_policies: Collection[InlinePolicy] = (),
    parameters: Collection[str] = (),
    kms_key_arn: str | None = None,
    instance_profile: bool | str | None = None,
    path: str | None = None,
    description: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    max_session_duration: int | None = None,
    tags: Mapping[str, str] | None = None,
    quotas: Quotas = DEFAULT_QUOTAS,
) -> State:
    """Plan the role of the EC2 instance that stores the agent's configurations in Parameter Store.

    The CloudWatch user guide ("Create IAM roles and users for use with the CloudWatch agent") wants
    it on one machine, and only while that stores a configuration: it may replace what all others
    run. The findings of the plan say so.

    >>> for finding in plan_admin_role().findings:
    ...     print(finding.kind, finding.about)
    needs CloudWatchAgentAdminPolicy
    open CloudWatchAgentAdminPolicy

    Args:
        role_name: As for `plan_agent_role`, like all arguments.
        policies: The managed policies to attach.
        inline_policies: Documents that lie in the role.
        parameters: The names of the parameters that may be read and written, beside those that
            begin with ``AmazonCloudWatch-`` and come with `ADMIN_POLICY`.
        kms_key_arn: The key that encrypts them.
        instance_profile: Whether there is an instance profile, or its name.
        path: The path of role and profile.
        description: The description.
        permissions_boundary: The policy that limits what the others can allow.
        max_session_duration: The longest session, in seconds.
        tags: Tags for role and profile.
        quotas: What the account allows.

    Returns:
        The desired state, as for `plan_agent_role`.

    Raises:
        IntentError: When an argument breaks a rule of IAM. It lists all that is wrong.
    """
    permissions = Permissions(
        policies, inline_policies, parameters, kms_key_arn, permissions_boundary, quotas, "admin"
    )
    return role_plan(
        role_name,
        trust=_EC2,
        permissions=permissions,
        instance_profile=instance_profile,
        path=path,
        description=description,
        max_session_duration=max_session_duration,
        tags=tags,
    )


def plan_ecs_execution_role(
    role_name: str = "CWAgentECSExecutionRole",
    *,
    trust: ECSTask = _ECS_TASK,
    policies: Collection[PolicyLike] = (ECS_TASK_EXECUTION_POLICY,),
    inline_policies: Collection[InlinePolicy] = (),
    parameters: Collection[str] = (),
    kms_key_arn: str | None = None,
    path: str | None = None,
    description: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    max_session_duration: int | None = None,
    tags: Mapping[str, str] | None = None,
    quotas: Quotas = DEFAULT_QUOTAS,
) -> State:
    """Plan the role by which ECS itself starts the agent's task; the agent never has it.

    ECS pulls the image with it, writes the task's own logs, and reads the agent's configuration
    from Parameter Store to hand it over. What the agent may do is up to its task role, which is
    ``plan_agent_role(trust=ECSTask())``. Source: the CloudWatch user guide, "Deploying the
    CloudWatch agent to collect EC2 instance-level metrics on Amazon ECS"; the ECS developer guide,
    "Amazon ECS task execution IAM role".

    >>> (role,) = plan_ecs_execution_role(parameters=["AmazonCloudWatch-ecs"]).entities
    >>> [policy.name for policy in role.inline_policies]
    ['CloudWatchAgentParametersForECS']

    Args:
        role_name: As for `plan_agent_role`, like all arguments but *trust* and *parameters*.
        trust: The `ECSTask` that guards it, if it is not open to all tasks of the account.
        policies: The managed policies to attach.
        inline_policies: Documents that lie in the role.
        parameters: The names of the parameters that ECS is to read, whatever they begin with: no
            policy of AWS for this role covers any.
        kms_key_arn: The key that encrypts them.
        path: The role's path.
        description: The description.
        permissions_boundary: The policy that limits what the others can allow.
        max_session_duration: The longest session, in seconds.
        tags: The role's tags.
        quotas: What the account allows.

    Returns:
        The desired state, which is one `Role`.

    Raises:
        IntentError: When an argument breaks a rule of IAM. It lists all that is wrong.
    """
    permissions = Permissions(
        policies, inline_policies, parameters, kms_key_arn, permissions_boundary, quotas, "ecs"
    )
    return role_plan(
        role_name,
        trust=trust,
        permissions=permissions,
        path=path,
        description=description,
        max_session_duration=max_session_duration,
        tags=tags,
    )


def plan_agent_user(
    user_name: str = "CloudWatchAgentServerUser",
    *,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    inline_policies: Collection[InlinePolicy] = (),
    parameters: Collection[str] = (),
    kms_key_arn: str | None = None,
    path: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    tags: Mapping[str, str] | None = None,
    quotas: Quotas = DEFAULT_QUOTAS,
) -> State:
    """Plan the agent's identity on a server outside EC2: a user. It has no access key yet.

    Where an argument may be `None`, that means the same as for `plan_agent_role`.

    >>> plan_agent_user().entities[0].name
    'CloudWatchAgentServerUser'

    Args:
        user_name: 1 to 64 characters; ASCII letters, digits and ``_+=,.@-``.
        policies: The managed policies to attach, as for `plan_agent_role`.
        inline_policies: Documents that lie in the user, each an `InlinePolicy`; together at most
            2,048 characters besides white space.
        parameters: The names of the parameters that hold the agent's configuration, as for
            `plan_agent_role`.
        kms_key_arn: The key that encrypts them, as for `plan_agent_role`.
        path: 1 to 512 characters, from ``/`` to ``/``.
        permissions_boundary: The policy that limits what the others can allow; empty takes a
            boundary away.
        tags: At most 49 tags beside our own; keys 1 to 128 and values 0 to 256 characters.
        quotas: What the account allows, as for `plan_agent_role`.

    Returns:
        The desired state, which is one `User`.

    Raises:
        IntentError: When an argument breaks a rule of IAM. It lists all that is wrong.
    """
    permissions = Permissions(
        policies, inline_policies, parameters, kms_key_arn, permissions_boundary, quotas
    )
    return user_plan(user_name, permissions, path, tags)


def plan_admin_user(
    user_name: str = "CloudWatchAgentAdminUser",
    *,
    policies: Collection[PolicyLike] = (ADMIN_POLICY,),
    inline_policies: Collection[InlinePolicy] = (),
    parameters: Collection[str] = (),
    kms_key_arn: str | None = None,
    path: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    tags: Mapping[str, str] | None = None,
    quotas: Quotas = DEFAULT_QUOTAS,
) -> State:
    """Plan the user of a server outside EC2 that stores configurations in Parameter Store.

    As `cwagent_iam.plan_admin_role` it is meant for one machine, and for as long as it stores one.

    >>> print(*plan_admin_user().entities[0].policies)
    CloudWatchAgentAdminPolicy

    Args:
        user_name: As for `plan_agent_user`, like all arguments.
        policies: The managed policies to attach.
        inline_policies: Documents that lie in the user.
        parameters: The names of the parameters that may be read and written, beside those that
            begin with ``AmazonCloudWatch-`` and come with `ADMIN_POLICY`.
        kms_key_arn: The key that encrypts them.
        path: The path.
        permissions_boundary: The policy that limits what the others can allow.
        tags: The user's tags.
        quotas: What the account allows.

    Returns:
        The desired state, which is one `User`.

    Raises:
        IntentError: When an argument breaks a rule of IAM. It lists all that is wrong.
    """
    permissions = Permissions(
        policies, inline_policies, parameters, kms_key_arn, permissions_boundary, quotas, "admin"
    )
    return user_plan(user_name, permissions, path, tags)
