"""Every change that this library can ever make. What is not here, it cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

from cwagent_iam.changes.base import (
    AttachPolicy,
    BaseChange,
    Create,
    Delete,
    DetachPolicy,
    PutPermissionsBoundary,
    Symbol,
    Tag,
    Update,
)
from cwagent_iam.state import InstanceProfile, Role, User

if TYPE_CHECKING:
    from cwagent_iam.documents import Document
    from cwagent_iam.policies import ManagedPolicy
    from cwagent_iam.state import State


@attrs.frozen(kw_only=True)
class CreateRole(Create):
    """Make a role; fields as of `cwagent_iam.state.Role`."""

    kind: ClassVar[type[Role]] = Role
    trust: Document
    description: str | None = None
    max_session_duration: int | None = None
    permissions_boundary: ManagedPolicy | None = None


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


@attrs.frozen(kw_only=True)
class CreateUser(Create):
    """Make a user; fields as of `cwagent_iam.state.User`."""

    kind: ClassVar[type[User]] = User
    permissions_boundary: ManagedPolicy | None = None


@attrs.frozen(kw_only=True)
class PutUserPermissionsBoundary(PutPermissionsBoundary):
    """Set or replace the permissions boundary of a user."""

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
class CreateInstanceProfile(Create):
    """Make an instance profile, without a role."""

    kind: ClassVar[type[InstanceProfile]] = InstanceProfile


@attrs.frozen(kw_only=True)
class TagInstanceProfile(Tag):
    """Set tags on an instance profile."""

    kind: ClassVar[type[InstanceProfile]] = InstanceProfile


@attrs.frozen(kw_only=True)
class AddRoleToInstanceProfile(BaseChange):
    """Put a role into an empty instance profile.

    Attributes:
        role_name: The role.
    """

    kind: ClassVar[type[InstanceProfile]] = InstanceProfile
    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[int] = 1
    repeatable: ClassVar[bool] = False
    role_name: str

    @property
    def needs(self) -> frozenset[str]:
        """The profile and the role."""
        return frozenset({self.target, f"role {self.role_name}"})

    @property
    def permissions(self) -> frozenset[str]:
        """Handing a role to EC2 takes the right to pass it."""
        return frozenset({"iam:AddRoleToInstanceProfile", "iam:PassRole"})

    @property
    def detail(self) -> str:
        """The role."""
        return f"role {self.role_name}"

    def after(self, state: State) -> State:
        """Return *state* with the role in the profile."""
        return self._evolve(state, role_name=self.role_name)

    def is_blocked_in(self, state: State) -> bool:
        """Say whether another role is in the profile."""
        profile = state.find(self.kind, self.name)
        return profile is not None and profile.role_name not in {None, self.role_name}


@attrs.frozen(kw_only=True)
class RemoveRoleFromInstanceProfile(BaseChange):
    """Take a role out of an instance profile.

    Attributes:
        role_name: The role.
    """

    kind: ClassVar[type[InstanceProfile]] = InstanceProfile
    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[int] = 0
    role_name: str

    @property
    def needs(self) -> frozenset[str]:
        """The profile and the role."""
        return frozenset({self.target, f"role {self.role_name}"})

    @property
    def detail(self) -> str:
        """The role."""
        return f"role {self.role_name}"

    def after(self, state: State) -> State:
        """Return *state* with the role out of the profile."""
        profile = state.find(self.kind, self.name)
        inside = profile is not None and profile.role_name == self.role_name
        return self._evolve(state, role_name=None) if inside else state


@attrs.frozen(kw_only=True)
class DeleteInstanceProfile(Delete):
    """Delete an instance profile that holds no role."""

    kind: ClassVar[type[InstanceProfile]] = InstanceProfile


@attrs.frozen(kw_only=True)
class DeleteAccessKey(BaseChange):
    """Delete an access key of a user.

    Attributes:
        access_key_id: Its id.
    """

    kind: ClassVar[type[User]] = User
    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[int] = 0
    access_key_id: str

    @property
    def detail(self) -> str:
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


RoleChange: TypeAlias = (
    CreateRole
    | UpdateRole
    | UpdateAssumeRolePolicy
    | PutRolePermissionsBoundary
    | TagRole
    | AttachRolePolicy
    | DetachRolePolicy
    | DeleteRole
)
UserChange: TypeAlias = (
    CreateUser
    | PutUserPermissionsBoundary
    | TagUser
    | AttachUserPolicy
    | DetachUserPolicy
    | DeleteAccessKey
    | DeleteUser
)
InstanceProfileChange: TypeAlias = (
    CreateInstanceProfile
    | TagInstanceProfile
    | AddRoleToInstanceProfile
    | RemoveRoleFromInstanceProfile
    | DeleteInstanceProfile
)
Change: TypeAlias = RoleChange | UserChange | InstanceProfileChange
"""The closed list of changes, so that a forgotten case is a type error."""
