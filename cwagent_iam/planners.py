"""Intent to desired state. Pure: the same arguments always give the same, equal state.

All arguments are checked here, whole and before any call: whatever these functions return, IAM
accepts, as far as that can be known without asking it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

from cwagent_iam import limits
from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.policies import SERVER_POLICY, ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, Tags, User, tags_from
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

PolicyLike: TypeAlias = ManagedPolicy | str
"""`SERVER_POLICY`, `ADMIN_POLICY`, or the ARN of a managed policy."""


def plan_agent_role(
    role_name: str = "CloudWatchAgentServerRole",
    *,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    instance_profile: bool | str = True,
    path: str | None = None,
    description: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    max_session_duration: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> State:
    """Plan the agent's identity on EC2: a role that EC2 may assume, and its instance profile.

    An argument that is `None` is not named by intent: IAM's default holds at creation, and the
    field is neither compared nor changed afterwards.

    >>> desired = plan_agent_role(tags={"Team": "observability"})
    >>> [entity.kind for entity in desired.entities]
    ['role', 'instance-profile']

    Args:
        role_name: 1 to 64 characters; ASCII letters, digits and ``_+=,.@-``.
        policies: The managed policies to attach, at most 10. `SERVER_POLICY` lets the agent run;
            `ADMIN_POLICY` lets it store configurations in Parameter Store too, but not read the
            ids of disk volumes.
        instance_profile: `True` for one named like the role, as the console makes it; a string
            (1 to 128 characters) to name it; `False` for none.
        path: The path of role and profile, 1 to 512 characters, from ``/`` to ``/``.
        description: At most 1,000 characters of Latin-1; empty clears a description.
        permissions_boundary: The policy that limits what the others can allow.
        max_session_duration: The longest session, 3,600 to 43,200 seconds.
        tags: At most 49 tags for role and profile, beside our own; keys 1 to 128 and values 0
            to 256 characters.

    Returns:
        The desired state. It has one `Role`, and one `InstanceProfile` unless *instance_profile*
        is `False`.

    Raises:
        IntentError: When an argument breaks a rule of IAM. It lists all that is wrong.
    """
    profile_name = role_name if instance_profile is True else instance_profile
    _refuse(
        limits.name_problems("role_name", role_name, limits.ROLE_NAME_LENGTH),
        _policies_problems(policies, permissions_boundary),
        _profile_problems(instance_profile),
        _if_named(limits.path_problems, "path", path),
        _if_named(limits.description_problems, "description", description),
        _if_named(limits.policy_problems, "permissions_boundary", permissions_boundary),
        _if_named(limits.session_duration_problems, "max_session_duration", max_session_duration),
        _if_named(limits.tag_problems, "tags", tags),
        limits.size_problems("trust", EC2_TRUST, limits.TRUST_SIZE),
    )
    role = Role(
        name=role_name,
        path=path,
        trust=EC2_TRUST,
        description=description,
        max_session_duration=max_session_duration,
        permissions_boundary=_boundary(permissions_boundary),
        policies=frozenset(map(limits.as_policy, policies)),
        tags=_tags(tags),
    )
    if not profile_name:
        return State.of([role])
    profile = InstanceProfile(name=profile_name, path=path, tags=_tags(tags), role_name=role_name)
    return State.of([role, profile])


def plan_agent_user(
    user_name: str = "CloudWatchAgentServerUser",
    *,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    path: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    tags: Mapping[str, str] | None = None,
) -> State:
    """Plan the agent's identity on a server outside EC2: a user. It has no access key yet.

    An argument that is `None` is not named by intent, as for `plan_agent_role`.

    >>> plan_agent_user().entities[0].name
    'CloudWatchAgentServerUser'

    Args:
        user_name: 1 to 64 characters; ASCII letters, digits and ``_+=,.@-``.
        policies: The managed policies to attach, at most 10, as for `plan_agent_role`.
        path: 1 to 512 characters, from ``/`` to ``/``.
        permissions_boundary: The policy that limits what the others can allow.
        tags: At most 49 tags beside our own; keys 1 to 128 and values 0 to 256 characters.

    Returns:
        The desired state, which is one `User`.

    Raises:
        IntentError: When an argument breaks a rule of IAM. It lists all that is wrong.
    """
    _refuse(
        limits.name_problems("user_name", user_name, limits.USER_NAME_LENGTH),
        _policies_problems(policies, permissions_boundary),
        _if_named(limits.path_problems, "path", path),
        _if_named(limits.policy_problems, "permissions_boundary", permissions_boundary),
        _if_named(limits.tag_problems, "tags", tags),
    )
    user = User(
        name=user_name,
        path=path,
        permissions_boundary=_boundary(permissions_boundary),
        policies=frozenset(map(limits.as_policy, policies)),
        tags=_tags(tags),
    )
    return State.of([user])


def _refuse(*checks: Iterable[Problem]) -> None:
    problems = tuple(itertools.chain.from_iterable(checks))
    if problems:
        raise IntentError(problems=problems)


def _profile_problems(instance_profile: object) -> Iterator[Problem]:
    longest = limits.INSTANCE_PROFILE_NAME_LENGTH
    if not isinstance(instance_profile, (bool, str)):
        rule = "must be True, False or the name of a profile, a string"
        yield Problem.of("instance_profile", instance_profile, rule)
    if isinstance(instance_profile, str):
        yield from limits.name_problems("instance_profile", instance_profile, longest)


def _if_named(
    check: Callable[[str, object], Iterator[Problem]],
    argument: str,
    value: object,
) -> Iterable[Problem]:
    return () if value is None else check(argument, value)


def _policies_problems(policies: object, permissions_boundary: object) -> Iterator[Problem]:
    yield from limits.attachment_problems("policies", policies)
    together = list(policies) if isinstance(policies, (tuple, list, set, frozenset)) else []
    yield from limits.account_problems("policies", [*together, permissions_boundary])


def _boundary(policy: PolicyLike | None) -> ManagedPolicy | None:
    return None if policy is None else limits.as_policy(policy)


def _tags(tags: Mapping[str, str] | None) -> Tags:
    return tags_from(dict(tags or {}) | dict([MANAGED_TAG]))
