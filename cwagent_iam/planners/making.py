"""Arguments to state: first everything is checked, then the parts are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam import limits
from cwagent_iam.errors import Problem
from cwagent_iam.planners.checking import Permissions, all_tags, if_named, refuse
from cwagent_iam.state import InstanceProfile, Role, State, User
from cwagent_iam.trust import ECSTask, Trust, trust_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def make_role(
    role_name: str,
    *,
    trust: Trust,
    permissions: Permissions,
    instance_profile: bool | str | None,
    path: str | None,
    description: str | None,
    max_session_duration: int | None,
    tags: Mapping[str, str] | None,
) -> State:
    """Check everything, and make the role and its profile."""
    refuse(
        limits.name_problems("role_name", role_name, limits.ROLE_NAME_LENGTH),
        _trust_problems(trust, permissions),
        permissions.problems("role"),
        _profile_problems(instance_profile, trust),
        if_named(limits.path_problems, "path", path),
        if_named(limits.description_problems, "description", description),
        permissions.boundary_problems(),
        if_named(limits.session_duration_problems, "max_session_duration", max_session_duration),
        if_named(limits.tag_problems, "tags", tags),
        permissions.quotas_problems(),
    )
    role = Role(
        name=role_name,
        path=path,
        trust=trust.document(),
        description=description,
        max_session_duration=max_session_duration,
        permissions_boundary=permissions.boundary,
        policies=permissions.managed,
        inline_policies=permissions.inline,
        tags=all_tags(tags),
    )
    wanted = trust.for_ec2 if instance_profile is None else instance_profile
    return State.of([role, *_profiles(role, wanted)])


def make_user(
    user_name: str, permissions: Permissions, path: str | None, tags: Mapping[str, str] | None
) -> State:
    """Check everything, and make the user."""
    refuse(
        limits.name_problems("user_name", user_name, limits.USER_NAME_LENGTH),
        permissions.problems("user"),
        if_named(limits.path_problems, "path", path),
        permissions.boundary_problems(),
        if_named(limits.tag_problems, "tags", tags),
        permissions.quotas_problems(),
    )
    user = User(
        name=user_name,
        path=path,
        permissions_boundary=permissions.boundary,
        policies=permissions.managed,
        inline_policies=permissions.inline,
        tags=all_tags(tags),
    )
    return State.of([user])


def _profiles(role: Role, wanted: bool | str) -> Iterator[InstanceProfile]:  # noqa: FBT001 - as given
    """Yield the instance profile for *role*, if one is wanted."""
    name = role.name if wanted is True else wanted
    if name:
        yield InstanceProfile(name=name, path=role.path, tags=role.tags, role_name=role.name)


def _trust_problems(trust: object, permissions: Permissions) -> Iterator[Problem]:
    """Check who may assume the role, and then how long the document is that says so."""
    if permissions.reader == "ecs" and not isinstance(trust, ECSTask):
        yield Problem.of("trust", trust, "must be ECSTask(): nobody but ECS uses this role")
        return
    problems = tuple(trust_problems("trust", trust))
    yield from problems
    if isinstance(trust, Trust) and not problems:
        yield from limits.trust_size_problems("trust", trust.document(), permissions.known_quotas)


def _profile_problems(instance_profile: object, trust: Trust) -> Iterator[Problem]:
    longest = limits.INSTANCE_PROFILE_NAME_LENGTH
    if instance_profile is not None and not isinstance(instance_profile, (bool, str)):
        rule = "must be True, False, None or the name of a profile, a string"
        yield Problem.of("instance_profile", instance_profile, rule)
    elif instance_profile and not any(trust_problems("", trust)) and not trust.for_ec2:
        rule = (
            "must be None or False with this trust, which does not let EC2 assume the role: a "
            "profile would serve nobody"
        )
        yield Problem.of("instance_profile", instance_profile, rule)
    if isinstance(instance_profile, str):
        yield from limits.name_problems("instance_profile", instance_profile, longest)
