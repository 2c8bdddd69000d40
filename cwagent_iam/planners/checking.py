"""What all planners check, and the parts of state that they make alike."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam import limits
from cwagent_iam.arguments import is_collection
from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.limits import DEFAULT_QUOTAS, Quotas
from cwagent_iam.policies import (
    ADMIN_POLICY,
    ManagedPolicy,
    ecs_parameter_access,
    inline_problems,
    key_problems,
    parameter_access,
    parameter_problems,
)
from cwagent_iam.state import MANAGED_TAG, Tags, tags_from

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from cwagent_iam.policies import InlinePolicy
    from cwagent_iam.state import Boundary

PolicyLike: TypeAlias = ManagedPolicy | str
"""A constant such as `SERVER_POLICY`, a `CustomerManagedPolicy`, or a managed policy's ARN."""


Reader: TypeAlias = Literal["agent", "admin", "ecs"]
"""Who reads the parameters in which configurations lie."""


@attrs.frozen(kw_only=True)
class Permissions:
    """What a role or user is to be allowed, as a caller wrote it.

    Attributes:
        policies: The managed policies.
        inline_policies: The documents that are to lie in it.
        parameters: The names of the parameters in which configurations lie.
        kms_key_arn: The customer's key that encrypts them, if there is one.
        reader: Who reads the parameters: the agent, who stores configurations in them, or ECS.
        permissions_boundary: What limits the others; `None` leaves that alone.
        quotas: What the account allows.
    """

    policies: Collection[PolicyLike]
    inline_policies: Collection[InlinePolicy]
    parameters: Collection[str]
    kms_key_arn: str | None
    reader: Reader = "agent"
    permissions_boundary: PolicyLike | None
    quotas: Quotas

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

    @property
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
        agent = self.reader == "agent" and ADMIN_POLICY in self.managed
        return agent or self.reader == "admin"

    @property
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


def refuse(*checks: Iterable[Problem]) -> None:
    """Raise IntentError with all problems that the *checks* find, if they find any."""
    problems = tuple(itertools.chain.from_iterable(checks))
    if problems:
        raise IntentError(problems=problems)


def if_named(
    check: Callable[[str, object], Iterator[Problem]],
    argument: str,
    value: object,
) -> Iterable[Problem]:
    """Check what intent names."""
    return () if value is None else check(argument, value)


def all_tags(tags: Mapping[str, str] | None) -> Tags:
    """Return *tags* with the one that marks what is managed."""
    return tags_from(dict(tags or {}) | dict([MANAGED_TAG]))
