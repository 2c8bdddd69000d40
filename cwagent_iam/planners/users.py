"""The users: the agent's on a server outside EC2, and that of who writes its configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.limits import DEFAULT_QUOTAS
from cwagent_iam.planners.checking import Permissions
from cwagent_iam.planners.making import make_user
from cwagent_iam.policies import ADMIN_POLICY, SERVER_POLICY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cwagent_iam.limits import Quotas
    from cwagent_iam.planners.checking import PolicyLike
    from cwagent_iam.policies import InlinePolicy
    from cwagent_iam.state import State


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
        policies=policies,
        inline_policies=inline_policies,
        parameters=parameters,
        kms_key_arn=kms_key_arn,
        permissions_boundary=permissions_boundary,
        quotas=quotas,
    )
    return make_user(user_name, permissions, path, tags)


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
        policies=policies,
        inline_policies=inline_policies,
        parameters=parameters,
        kms_key_arn=kms_key_arn,
        reader="admin",
        permissions_boundary=permissions_boundary,
        quotas=quotas,
    )
    return make_user(user_name, permissions, path, tags)
