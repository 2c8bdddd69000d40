"""The complete list of changes: one class for each IAM operation that a ChangeSet can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

import attrs

from cwagent_iam.changes.base import (
    AttachPolicy,
    BaseChange,
    Create,
    CreatePrincipal,
    Delete,
    DeleteInlinePolicy,
    DeletePermissionsBoundary,
    DetachPolicy,
    PutInlinePolicy,
    PutPermissionsBoundary,
    Symbol,
    Tag,
    Update,
    Wave,
)
from cwagent_iam.state import Entity, InstanceProfile, Role, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.documents import Document
    from cwagent_iam.state import SeenKey, State

PRINCIPAL = re.compile(
    r"arn:(?P<partition>[^:]+):(?:iam|sts)::(?P<account>[0-9]+):"
    r"(?:(?P<kind>role|user)/(?:.*/)?(?P<name>[^/]+)|assumed-role/(?P<session>[^/]+)/.+)"
)
"""A role, a user or a session of a role, as a principal (IAM user guide, "Principal")."""


class _OfRole:
    __slots__ = ()
    kind: ClassVar[type[Entity]] = Role


class _OfUser:
    __slots__ = ()
    kind: ClassVar[type[Entity]] = User


class _OfProfile:
    __slots__ = ()
    kind: ClassVar[type[Entity]] = InstanceProfile


@attrs.frozen(kw_only=True)
class CreateRole(_OfRole, CreatePrincipal):
    """Create a role. The fields are those of `cwagent_iam.state.Role`."""

    sets: ClassVar[Mapping[str, str]] = {
        **CreatePrincipal.sets,
        "AssumeRolePolicyDocument": "trust",
        "Description": "description",
        "MaxSessionDuration": "max_session_duration",
    }
    trust: Document
    description: str | None = None
    max_session_duration: int | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The role, and the roles and users that it trusts: IAM refuses those that do not exist."""
        return self.needs_in("")

    def needs_in(self, account_id: str) -> frozenset[str]:
        """Return the role, and those that it trusts in one account; in any if the id is empty."""
        return super().needs | frozenset(_trusted(self.trust, account_id))


@attrs.frozen(kw_only=True)
class UpdateRole(_OfRole, Update):
    """Set description and longest session; always both, because IAM and moto merge differently.

    Attributes:
        description: The description; empty clears it.
        max_session_duration: The longest session, in seconds.
    """

    sets: ClassVar[Mapping[str, str]] = {
        "Description": "description",
        "MaxSessionDuration": "max_session_duration",
    }
    description: str
    max_session_duration: int


@attrs.frozen(kw_only=True)
class UpdateAssumeRolePolicy(_OfRole, Update):
    """Replace the trust policy of a role.

    Attributes:
        trust: The new trust policy.
    """

    sets: ClassVar[Mapping[str, str]] = {"PolicyDocument": "trust"}
    trust: Document

    def needs_in(self, account_id: str) -> frozenset[str]:
        """Return the role, and those that it trusts in one account: IAM must know them before."""
        return self.needs | frozenset(_trusted(self.trust, account_id))


@attrs.frozen(kw_only=True)
class PutRolePermissionsBoundary(_OfRole, PutPermissionsBoundary):
    """Set or replace the permissions boundary of a role."""


@attrs.frozen(kw_only=True)
class DeleteRolePermissionsBoundary(_OfRole, DeletePermissionsBoundary):
    """Delete the permissions boundary of a role."""


@attrs.frozen(kw_only=True)
class PutRolePolicy(_OfRole, PutInlinePolicy):
    """Put an inline policy into a role."""


@attrs.frozen(kw_only=True)
class DeleteRolePolicy(_OfRole, DeleteInlinePolicy):
    """Delete an inline policy of a role."""


@attrs.frozen(kw_only=True)
class TagRole(_OfRole, Tag):
    """Set tags on a role."""


@attrs.frozen(kw_only=True)
class AttachRolePolicy(_OfRole, AttachPolicy):
    """Attach a managed policy to a role."""


@attrs.frozen(kw_only=True)
class DetachRolePolicy(_OfRole, DetachPolicy):
    """Detach a managed policy from a role."""


@attrs.frozen(kw_only=True)
class DeleteRole(_OfRole, Delete):
    """Delete a role."""


def _trusted(trust: Document, account_id: str) -> Iterator[str]:
    """Yield the roles and users that *trust* names in one account; in any if the id is empty."""
    for _, principal in trust.named:
        match = PRINCIPAL.fullmatch(principal)
        if match and account_id in {"", match["account"]}:
            yield f"{match['kind'] or Role.kind} {match['name'] or match['session']}"


@attrs.frozen(kw_only=True)
class CreateUser(_OfUser, CreatePrincipal):
    """Create a user. The fields are those of `cwagent_iam.state.User`."""


@attrs.frozen(kw_only=True)
class PutUserPermissionsBoundary(_OfUser, PutPermissionsBoundary):
    """Set or replace the permissions boundary of a user."""


@attrs.frozen(kw_only=True)
class DeleteUserPermissionsBoundary(_OfUser, DeletePermissionsBoundary):
    """Delete the permissions boundary of a user."""


@attrs.frozen(kw_only=True)
class PutUserPolicy(_OfUser, PutInlinePolicy):
    """Put an inline policy into a user."""


@attrs.frozen(kw_only=True)
class DeleteUserPolicy(_OfUser, DeleteInlinePolicy):
    """Delete an inline policy of a user."""


@attrs.frozen(kw_only=True)
class TagUser(_OfUser, Tag):
    """Set tags on a user."""


@attrs.frozen(kw_only=True)
class AttachUserPolicy(_OfUser, AttachPolicy):
    """Attach a managed policy to a user."""


@attrs.frozen(kw_only=True)
class DetachUserPolicy(_OfUser, DetachPolicy):
    """Detach a managed policy from a user."""


@attrs.frozen(kw_only=True)
class DeleteUser(_OfUser, Delete):
    """Delete a user."""


@attrs.frozen(kw_only=True)
class UntagUser(_OfUser, BaseChange):
    """Remove tags from a user.

    Attributes:
        tag_keys: The keys of the tags.
    """

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    sets: ClassVar[Mapping[str, str]] = {"TagKeys": "tag_keys"}
    tag_keys: tuple[str, ...]

    @property
    def part(self) -> str:
        """The keys of the tags."""
        return f"tags {', '.join(self.tag_keys)}"

    def _new_fields(self, entity: User) -> dict[str, Any]:
        gone = {key.lower() for key in self.tag_keys}
        return {"tags": tuple(tag for tag in entity.tags if tag[0].lower() not in gone)}


@attrs.frozen(kw_only=True)
class CreateAccessKey(_OfUser, BaseChange):
    """Create an access key of a user. The change holds neither its id nor its secret."""

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[Wave] = Wave.MEND

    def is_done_in(self, _state: State) -> bool:
        """Return `False`: no key shows which request has created it."""
        return False


@attrs.frozen(kw_only=True)
class _OneAccessKey(_OfUser, BaseChange):
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    sets: ClassVar[Mapping[str, str]] = {"AccessKeyId": "access_key_id"}
    access_key_id: str

    @property
    def part(self) -> str:
        """The id."""
        return self.access_key_id

    def _found_in(self, state: State) -> SeenKey | None:
        user = state.find(User, self.name)
        keys = user.access_keys if user else ()
        return next((key for key in keys if key.access_key_id == self.access_key_id), None)


@attrs.frozen(kw_only=True)
class UpdateAccessKey(_OneAccessKey):
    """Activate or deactivate an access key of a user.

    Attributes:
        access_key_id: Its id.
        status: The new status.
    """

    symbol: ClassVar[Symbol] = "~"
    sets: ClassVar[Mapping[str, str]] = {**_OneAccessKey.sets, "Status": "status"}
    status: Literal["Active", "Inactive"]

    @property
    def detail(self) -> str:
        """The id and the new status."""
        return f"{self.access_key_id} {self.status.lower()}"

    def _new_fields(self, entity: User) -> dict[str, Any]:
        active = self.status == "Active"
        keys = (
            attrs.evolve(key, active=active) if key.access_key_id == self.access_key_id else key
            for key in entity.access_keys
        )
        return {"access_keys": tuple(keys)}

    def is_done_in(self, state: State) -> bool:
        """Return whether the key has the status; states do not compare access keys."""
        key = self._found_in(state)
        return key is not None and key.active == (self.status == "Active")


@attrs.frozen(kw_only=True)
class DeleteAccessKey(_OneAccessKey):
    """Delete an access key of a user.

    Attributes:
        access_key_id: Its id.
    """

    symbol: ClassVar[Symbol] = "-"

    def _new_fields(self, entity: User) -> dict[str, Any]:
        keys = entity.access_keys
        return {"access_keys": tuple(k for k in keys if k.access_key_id != self.access_key_id)}

    def is_done_in(self, state: State) -> bool:
        """Return whether the key is deleted; states do not compare access keys."""
        return self._found_in(state) is None


@attrs.frozen(kw_only=True)
class CreateInstanceProfile(_OfProfile, Create):
    """Create an instance profile, without a role."""


@attrs.frozen(kw_only=True)
class TagInstanceProfile(_OfProfile, Tag):
    """Set tags on an instance profile."""


@attrs.frozen(kw_only=True)
class _Membership(_OfProfile, BaseChange):
    sets: ClassVar[Mapping[str, str]] = {"RoleName": "role_name"}
    role_name: str

    @property
    def needs(self) -> frozenset[str]:
        """The profile and the role."""
        return frozenset({self.target, self.part})

    @property
    def part(self) -> str:
        """The role."""
        return f"role {self.role_name}"


@attrs.frozen(kw_only=True)
class AddRoleToInstanceProfile(_Membership):
    """Add a role to an empty instance profile.

    Attributes:
        role_name: The role.
    """

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[Wave] = Wave.FINISH


@attrs.frozen(kw_only=True)
class RemoveRoleFromInstanceProfile(_Membership):
    """Remove a role from an instance profile.

    Attributes:
        role_name: The role.
        replaced_by: The role that is added in its place, if any; not compared.
    """

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    replaced_by: str | None = attrs.field(default=None, eq=False)

    @property
    def leads_to(self) -> AddRoleToInstanceProfile | None:
        """The change that adds the other role of a swap; `None` without a swap."""
        role_name = self.replaced_by
        return AddRoleToInstanceProfile(name=self.name, role_name=role_name) if role_name else None

    @property
    def due(self) -> Wave:
        """FINISH for a swap, right before the other role is added; so no other profile is empty."""
        return self.wave if self.replaced_by is None else Wave.FINISH

    @property
    def detail(self) -> str:
        """The role; in a swap also the other role, and the effect on running instances.

        Source: the IAM user guide, "Use instance profiles" and "Troubleshoot IAM and Amazon EC2".
        """
        if self.replaced_by is None:
            return self.part
        return (
            f"{self.part}, replaced by {self.replaced_by}; "
            "instances that run notice it later, when their credentials rotate"
        )

    def _new_fields(self, entity: InstanceProfile) -> dict[str, Any]:
        return {"role_name": None} if entity.role_name == self.role_name else {}


@attrs.frozen(kw_only=True)
class DeleteInstanceProfile(_OfProfile, Delete):
    """Delete an instance profile that holds no role."""


Creation: TypeAlias = CreateRole | CreateUser | CreateInstanceProfile
Tagging: TypeAlias = TagRole | TagUser | TagInstanceProfile
Deletion: TypeAlias = DeleteRole | DeleteUser | DeleteInstanceProfile
Attachment: TypeAlias = AttachRolePolicy | AttachUserPolicy
Detachment: TypeAlias = DetachRolePolicy | DetachUserPolicy
InlinePut: TypeAlias = PutRolePolicy | PutUserPolicy
InlineDeletion: TypeAlias = DeleteRolePolicy | DeleteUserPolicy
BoundaryPut: TypeAlias = PutRolePermissionsBoundary | PutUserPermissionsBoundary
BoundaryDeletion: TypeAlias = DeleteRolePermissionsBoundary | DeleteUserPermissionsBoundary

Change: TypeAlias = (
    Creation
    | Tagging
    | Deletion
    | Attachment
    | Detachment
    | InlinePut
    | InlineDeletion
    | BoundaryPut
    | BoundaryDeletion
    | UpdateRole
    | UpdateAssumeRolePolicy
    | AddRoleToInstanceProfile
    | RemoveRoleFromInstanceProfile
    | UntagUser
    | CreateAccessKey
    | UpdateAccessKey
    | DeleteAccessKey
)
"""The closed list of changes, so that a forgotten case is a type error."""

ChangeT = TypeVar("ChangeT", bound=BaseChange)
ByKind: TypeAlias = Mapping[type[Entity], type[ChangeT]]
"""The class for each kind of entity that has such a change."""

CREATE: ByKind[Creation] = {
    Role: CreateRole,
    User: CreateUser,
    InstanceProfile: CreateInstanceProfile,
}
TAG: ByKind[Tagging] = {Role: TagRole, User: TagUser, InstanceProfile: TagInstanceProfile}
DELETE: ByKind[Deletion] = {
    Role: DeleteRole,
    User: DeleteUser,
    InstanceProfile: DeleteInstanceProfile,
}
ATTACH: ByKind[Attachment] = {Role: AttachRolePolicy, User: AttachUserPolicy}
DETACH: ByKind[Detachment] = {Role: DetachRolePolicy, User: DetachUserPolicy}
PUT: ByKind[InlinePut] = {Role: PutRolePolicy, User: PutUserPolicy}
DELETE_INLINE: ByKind[InlineDeletion] = {Role: DeleteRolePolicy, User: DeleteUserPolicy}
BOUND: ByKind[BoundaryPut] = {Role: PutRolePermissionsBoundary, User: PutUserPermissionsBoundary}
UNBOUND: ByKind[BoundaryDeletion] = {
    Role: DeleteRolePermissionsBoundary,
    User: DeleteUserPermissionsBoundary,
}
