"""Every change to an instance profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import attrs

from cwagent_iam.changes.base import BaseChange, Create, Delete, Symbol, Tag, Wave
from cwagent_iam.state import InstanceProfile

if TYPE_CHECKING:
    from cwagent_iam.state import State


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
    wave: ClassVar[Wave] = Wave.FINISH
    repeatable: ClassVar[bool] = False
    apart: ClassVar[bool] = True
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
    def part(self) -> str:
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
        replaced_by: The role that is put in its place; not compared.
    """

    kind: ClassVar[type[InstanceProfile]] = InstanceProfile
    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    apart: ClassVar[bool] = True
    role_name: str
    replaced_by: str | None = attrs.field(default=None, eq=False)

    @property
    def leads_to(self) -> AddRoleToInstanceProfile | None:
        """The change that puts another role in, if one does."""
        role_name = self.replaced_by
        return AddRoleToInstanceProfile(name=self.name, role_name=role_name) if role_name else None

    @property
    def due(self) -> Wave:
        """Right before another role is put in, so that no other profile is empty meanwhile."""
        return self.wave if self.replaced_by is None else Wave.FINISH

    @property
    def needs(self) -> frozenset[str]:
        """The profile and the role."""
        return frozenset({self.target, f"role {self.role_name}"})

    @property
    def part(self) -> str:
        """The role."""
        return f"role {self.role_name}"

    @property
    def detail(self) -> str:
        """The role, and when it is replaced what instances see of that.

        Source: the IAM user guide, "Use instance profiles" and "Troubleshoot IAM and Amazon EC2".
        """
        if self.replaced_by is None:
            return self.part
        return (
            f"{self.part}, replaced by {self.replaced_by}; "
            "instances that run notice it later, when their credentials rotate"
        )

    def after(self, state: State) -> State:
        """Return *state* with the role out of the profile."""
        profile = state.find(self.kind, self.name)
        inside = profile is not None and profile.role_name == self.role_name
        return self._evolve(state, role_name=None) if inside else state


@attrs.frozen(kw_only=True)
class DeleteInstanceProfile(Delete):
    """Delete an instance profile that holds no role."""

    kind: ClassVar[type[InstanceProfile]] = InstanceProfile


InstanceProfileChange: TypeAlias = (
    CreateInstanceProfile
    | TagInstanceProfile
    | AddRoleToInstanceProfile
    | RemoveRoleFromInstanceProfile
    | DeleteInstanceProfile
)
