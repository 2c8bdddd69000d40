"""Every change to a role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

from cwagent_iam.changes.base import Delete, Tag, Update
from cwagent_iam.changes.permissions import (
    AttachPolicy,
    CreatePrincipal,
    DeleteInlinePolicy,
    DeletePermissionsBoundary,
    DetachPolicy,
    PutInlinePolicy,
    PutPermissionsBoundary,
)
from cwagent_iam.state import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.documents import Document
    from cwagent_iam.state import State

_PRINCIPAL = re.compile(
    r"arn:[^:]+:(?:iam|sts)::(?P<account>[0-9]+):"
    r"(?:(?P<kind>role|user)/(?:.*/)?(?P<name>[^/]+)|assumed-role/(?P<session>[^/]+)/.+)"
)
"""A role, a user or a session of a role, as a principal (IAM user guide, "Principal")."""


@attrs.frozen(kw_only=True)
class CreateRole(CreatePrincipal):
    """Make a role; fields as of `cwagent_iam.state.Role`."""

    kind: ClassVar[type[Role]] = Role
    trust: Document
    description: str | None = None
    max_session_duration: int | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The role, and who is trusted by ARN: IAM refuses a trust in who is not there."""
        return self.needs_in("")

    def needs_in(self, account_id: str) -> frozenset[str]:
        """As above, but for who is trusted in another account than a known one."""
        return super().needs | frozenset(_trusted(self.trust, account_id))


@attrs.frozen(kw_only=True)
class UpdateRole(Update):
    """Set description and longest session; both are always sent, since IAM's merge is not moto's.

    Attributes:
        description: The description; empty clears it.
        max_session_duration: The longest session, in seconds.
    """

    kind: ClassVar[type[Role]] = Role
    description: str
    max_session_duration: int

    def after(self, state: State) -> State:
        """Return *state* with both fields set."""
        duration = self.max_session_duration
        return self._evolve(state, description=self.description, max_session_duration=duration)


@attrs.frozen(kw_only=True)
class UpdateAssumeRolePolicy(Update):
    """Replace the trust of a role.

    Attributes:
        trust: Who may assume it from now on.
    """

    kind: ClassVar[type[Role]] = Role
    trust: Document

    def after(self, state: State) -> State:
        """Return *state* with the trust replaced."""
        return self._evolve(state, trust=self.trust)


@attrs.frozen(kw_only=True)
class PutRolePermissionsBoundary(PutPermissionsBoundary):
    """Set or replace the permissions boundary of a role."""

    kind: ClassVar[type[Role]] = Role


@attrs.frozen(kw_only=True)
class DeleteRolePermissionsBoundary(DeletePermissionsBoundary):
    """Take the permissions boundary of a role away."""

    kind: ClassVar[type[Role]] = Role


@attrs.frozen(kw_only=True)
class PutRolePolicy(PutInlinePolicy):
    """Put an inline policy into a role."""

    kind: ClassVar[type[Role]] = Role


@attrs.frozen(kw_only=True)
class DeleteRolePolicy(DeleteInlinePolicy):
    """Delete an inline policy of a role."""

    kind: ClassVar[type[Role]] = Role


@attrs.frozen(kw_only=True)
class TagRole(Tag):
    """Set tags on a role."""

    kind: ClassVar[type[Role]] = Role


@attrs.frozen(kw_only=True)
class AttachRolePolicy(AttachPolicy):
    """Attach a managed policy to a role."""

    kind: ClassVar[type[Role]] = Role


@attrs.frozen(kw_only=True)
class DetachRolePolicy(DetachPolicy):
    """Detach a managed policy from a role."""

    kind: ClassVar[type[Role]] = Role


@attrs.frozen(kw_only=True)
class DeleteRole(Delete):
    """Delete a role."""

    kind: ClassVar[type[Role]] = Role


def _trusted(trust: Document, account_id: str) -> Iterator[str]:
    """Name the roles and users in an account whose ARNs *trust* has; in any, if none is given."""
    for _, principal in trust.named:
        match = _PRINCIPAL.fullmatch(principal)
        if match and account_id in {"", match["account"]}:
            yield f"{match['kind'] or Role.kind} {match['name'] or match['session']}"


RolePermissionsChange: TypeAlias = (
    PutRolePermissionsBoundary
    | DeleteRolePermissionsBoundary
    | PutRolePolicy
    | DeleteRolePolicy
    | AttachRolePolicy
    | DetachRolePolicy
)
RoleChange: TypeAlias = (
    CreateRole | UpdateRole | UpdateAssumeRolePolicy | TagRole | RolePermissionsChange | DeleteRole
)
