"""Every change to a role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

from cwagent_iam.changes.base import Create, Delete, Tag, Update
from cwagent_iam.changes.permissions import (
    AttachPolicy,
    DeleteInlinePolicy,
    DeletePermissionsBoundary,
    DetachPolicy,
    PutInlinePolicy,
    PutPermissionsBoundary,
    lookup_permissions,
)
from cwagent_iam.state import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.documents import Document
    from cwagent_iam.state import Boundary, State

_PRINCIPAL = re.compile(
    r"arn:[^:]+:(?:iam::[0-9]+:(?P<kind>role|user)/(?:.*/)?(?P<name>[^/]+)"
    r"|sts::[0-9]+:assumed-role/(?P<session>[^/]+)/.+)"
)
"""A role, a user or a session of a role, as a principal (IAM user guide, "Principal")."""


@attrs.frozen(kw_only=True)
class CreateRole(Create):
    """Make a role; fields as of `cwagent_iam.state.Role`."""

    kind: ClassVar[type[Role]] = Role
    trust: Document
    description: str | None = None
    max_session_duration: int | None = None
    permissions_boundary: Boundary | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The role, and who is trusted by ARN: IAM refuses a trust in who is not there."""
        return super().needs | frozenset(_trusted(self.trust))

    @property
    def permissions(self) -> frozenset[str]:
        """As for all that is created; a boundary without its account is looked up."""
        return super().permissions | lookup_permissions(self.permissions_boundary)


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


def _trusted(trust: Document) -> Iterator[str]:
    """Name the roles and users whose ARNs *trust* has; they may be of another account."""
    statements = () if isinstance(trust.statements, str) else trust.statements
    for statement in statements:
        for _, principal in statement.principals:
            if match := _PRINCIPAL.fullmatch(principal):
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
