"""Plans: first all arguments are checked, then the entities are built from them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam import limits
from cwagent_iam.arguments import if_named, is_collection, refuse
from cwagent_iam.errors import Problem
from cwagent_iam.limits import DEFAULT_QUOTAS, Quotas
from cwagent_iam.policies import (
    ADMIN_POLICY,
    ManagedPolicy,
    ecs_parameter_access,
    inline_problems,
    parameter_access,
)
from cwagent_iam.policies.parameters import key_problems, parameter_problems
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, Tags, User, tags_from
from cwagent_iam.trust import ECSTask, Trust, trust_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cwagent_iam.policies import InlinePolicy
    from cwagent_iam.state import Boundary

PolicyLike: TypeAlias = ManagedPolicy | str
"""A constant such as `SERVER_POLICY`, a `CustomerManagedPolicy`, or a managed policy's ARN."""

Reader: TypeAlias = Literal["agent", "admin", "ecs"]
"""Who reads the parameters in which configurations lie."""


@attrs.frozen
class Permissions:
    """What a role or user is to be allowed, as a caller wrote it.

    Attributes:
        policies: The managed policies.
        inline_policies: The documents that are to lie in it.
        parameters: The names of the parameters in which configurations lie.
        kms_key_arn: The customer's key that encrypts them, if there is one.
        permissions_boundary: What limits the others; `None` leaves that alone.
        quotas: What the account allows.
        reader: Who reads the parameters: the agent, who stores configurations in them, or ECS.
    """

    policies: Collection[PolicyLike]
    inline_policies: Collection[InlinePolicy]
    parameters: Collection[str]
    kms_key_arn: str | None
    permissions_boundary: PolicyLike | None
    quotas: Quotas
    reader: Reader = "agent"

    def problems(self, kind: Literal["role", "user"]) -> Iterator[Problem]:
        """Yield every rule that a *kind* of principal breaks, but by its boundary and quotas."""
        quotas = self.known_quotas
        yield from limits.attachment_problems("policies", self.policies, kind, quotas)
        together = [*self.managed, self.permissions_boundary]
        yield from limits.account_problems("policies", together)
        found = (
            *inline_problems("inline_policies", self.inline_policies),
            *parameter_problems("parameters", self.parameters, write=self._writes),
            *key_problems("kms_key_arn", self.kms_key_arn, self.parameters),
        )
        yield from found
        if not found:
            yield from self._name_problems()
            argument = "inline_policies" if len(self.inline_policies) else "parameters"
            yield from limits.inline_size_problems(argument, self.inline, kind, quotas)

    def boundary_problems(self) -> Iterator[Problem]:
        """Yield every rule that the boundary breaks by itself."""
        boundary = self.permissions_boundary
        if boundary is not None and boundary != "":
            problems = tuple(limits.policy_problems("permissions_boundary", boundary))
            yield from problems
            if not problems:
                yield from limits.namesake_problems("permissions_boundary", boundary, self.managed)

    def quotas_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the quotas, if they are none."""
        given: object = self.quotas
        if not isinstance(given, Quotas):
            yield Problem.of("quotas", given, "must be Quotas")

    @property
    def known_quotas(self) -> Quotas:
        """The quotas, or the defaults in place of what is none."""
        given: object = self.quotas
        return given if isinstance(given, Quotas) else DEFAULT_QUOTAS

    @functools.cached_property
    def managed(self) -> frozenset[ManagedPolicy]:
        """The managed policies that have no problems."""
        given: object = self.policies
        listed = given if is_collection(given) else ()
        good = (each for each in listed if not any(limits.policy_problems("policies", each)))
        return frozenset(map(limits.as_policy, good))

    @property
    def boundary(self) -> Boundary | None:
        """The boundary; empty for none, `None` where intent does not name it."""
        boundary = self.permissions_boundary
        return limits.as_policy(boundary) if boundary else ("" if boundary == "" else None)

    @property
    def inline(self) -> frozenset[InlinePolicy]:
        """All inline policies, with that for the parameters; for arguments without problems."""
        needed = self._for_parameters
        return frozenset((*self.inline_policies, *([needed] if needed else [])))

    @property
    def _writes(self) -> bool:
        """Who has the admin policy writes configurations, and so may write these parameters."""
        return self.reader == "admin" or (self.reader == "agent" and ADMIN_POLICY in self.managed)

    @functools.cached_property
    def _for_parameters(self) -> InlinePolicy | None:
        names, key = self.parameters, self.kms_key_arn
        if self.reader == "ecs":
            return ecs_parameter_access(names, kms_key_arn=key)
        return parameter_access(names, write=self._writes, kms_key_arn=key, policies=self.managed)

    def _name_problems(self) -> Iterator[Problem]:
        """Yield the inline policies that have the name of the one for the parameters."""
        needed = self._for_parameters
        for index, policy in enumerate(self.inline_policies):
            if needed and policy.name.lower() == needed.name.lower():
                rule = "must not be the name of the policy that comes with the parameters"
                yield Problem.of(f"inline_policies[{index}].name", policy.name, rule)


def role_plan(
    role_name: str,
    *,
    trust: Trust,
    permissions: Permissions,
    instance_profile: bool | str | None = None,
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
        tags=_all_tags(tags),
    )
    wanted = trust.for_ec2 if instance_profile is None else instance_profile
    return State.of([role, *_profiles(role, wanted)])


def user_plan(
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
        tags=_all_tags(tags),
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
        longest = limits.INSTANCE_PROFILE_NAME_LENGTH
        yield from limits.name_problems("instance_profile", instance_profile, longest)


def _all_tags(tags: Mapping[str, str] | None) -> Tags:
    """Return *tags* with the one that marks what is managed."""
    return tags_from(dict(tags or {}) | dict([MANAGED_TAG]))
