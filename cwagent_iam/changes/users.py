"""Every change to a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

from cwagent_iam.changes.base import (
    BaseChange,
    Delete,
    Symbol,
    Tag,
    Wave,
)
from cwagent_iam.changes.permissions import (
    AttachPolicy,
    CreatePrincipal,
    DeleteInlinePolicy,
    DeletePermissionsBoundary,
    DetachPolicy,
    PutInlinePolicy,
    PutPermissionsBoundary,
)
from cwagent_iam.state import User

if TYPE_CHECKING:
    from cwagent_iam.state import State


@attrs.frozen(kw_only=True)
class CreateUser(CreatePrincipal):
    """Make a user; fields as of `cwagent_iam.state.User`."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class PutUserPermissionsBoundary(PutPermissionsBoundary):
    """Set or replace the permissions boundary of a user."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class DeleteUserPermissionsBoundary(DeletePermissionsBoundary):
    """Take the permissions boundary of a user away."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class PutUserPolicy(PutInlinePolicy):
    """Put an inline policy into a user."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class DeleteUserPolicy(DeleteInlinePolicy):
    """Delete an inline policy of a user."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class TagUser(Tag):
    """Set tags on a user."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class AttachUserPolicy(AttachPolicy):
    """Attach a managed policy to a user."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class DetachUserPolicy(DetachPolicy):
    """Detach a managed policy from a user."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class DeleteUser(Delete):
    """Delete a user."""

    kind: ClassVar[type[User]] = User


@attrs.frozen(kw_only=True)
class DeleteAccessKey(BaseChange):
    """Delete an access key of a user.

    Attributes:
        access_key_id: Its id.
    """

    kind: ClassVar[type[User]] = User
    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    access_key_id: str

    @property
    def part(self) -> str:
        """The id."""
        return self.access_key_id

    def after(self, state: State) -> State:
        """Return *state* without the key."""
        return self._evolve(state, access_keys=self._keys(state) - {self.access_key_id})

    def is_done_in(self, state: State) -> bool:
        """Say whether the key is gone."""
        return self.access_key_id not in self._keys(state)

    def _keys(self, state: State) -> frozenset[str]:
        user = state.find(User, self.name)
        return user.access_keys if user else frozenset()


UserPermissionsChange: TypeAlias = (
    PutUserPermissionsBoundary
    | DeleteUserPermissionsBoundary
    | PutUserPolicy
    | DeleteUserPolicy
    | AttachUserPolicy
    | DetachUserPolicy
)
UserChange: TypeAlias = CreateUser | TagUser | UserPermissionsChange | DeleteAccessKey | DeleteUser
