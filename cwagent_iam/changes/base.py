"""What all changes have in common, and the shapes that several of them share."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import attrs

from cwagent_iam.display import one_line

if TYPE_CHECKING:
    from cwagent_iam.errors import Difference
    from cwagent_iam.policies import ManagedPolicy
    from cwagent_iam.state import Entity, Principal, State, Tags

Symbol: TypeAlias = Literal["+", "~", "-"]


@attrs.frozen(kw_only=True)
class BaseChange(abc.ABC):
    """One IAM operation on one thing; each class is named after its operation.

    Attributes:
        name: The name of the role, user or instance profile that it is done to.
    """

    kind: ClassVar[type[Entity]]
    symbol: ClassVar[Symbol]
    wave: ClassVar[int]
    creates: ClassVar[bool] = False
    repeatable: ClassVar[bool] = True

    name: str

    @property
    def operation(self) -> str:
        """The IAM operation, as in AWS's documentation and in CloudTrail."""
        return type(self).__name__

    @property
    def target(self) -> str:
        """The kind and name of what it is done to."""
        return f"{self.kind.kind} {self.name}"

    @property
    def needs(self) -> frozenset[str]:
        """The kind and name of everything that it touches."""
        return frozenset({self.target})

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed (service authorization reference)."""
        return frozenset({f"iam:{self.operation}"})

    @property
    def detail(self) -> str:
        """What is set, in words; empty where the operation says it all."""
        return ""

    @abc.abstractmethod
    def after(self, state: State) -> State:
        """Return what *state* becomes by this change."""

    def is_done_in(self, state: State) -> bool:
        """Say whether *state*, in which the target was looked for, is as this change makes it."""
        there = state.find(self.kind, self.name) is not None
        return self.after(state) == state and (there or self.symbol == "-")

    def is_blocked_in(self, state: State) -> bool:
        """Say whether something in *state* keeps this change from ever being made."""
        del state
        return False

    def __str__(self) -> str:
        """One line, as in ``+ AttachRolePolicy NAME: POLICY``."""
        line = f"{self.symbol} {self.operation} {self.name}"
        return one_line(f"{line}: {self.detail}" if self.detail else line)

    def _evolve(self, state: State, **fields: Any) -> State:
        """Set *fields* on what this change is done to; a state that lacks it stays as it is."""
        entity = state.find(self.kind, self.name)
        return state if entity is None else state.with_entity(attrs.evolve(entity, **fields))


@attrs.frozen(kw_only=True)
class Create(BaseChange):
    """Make a thing, with all that the create call can set; a created thing is never half-tagged.

    Attributes:
        path: The path; `None` leaves it to IAM, which takes ``/``.
        tags: The tags.
    """

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[int] = 0
    creates: ClassVar[bool] = True
    repeatable: ClassVar[bool] = False

    path: str | None = None
    tags: Tags = ()

    @property
    def permissions(self) -> frozenset[str]:
        """Creating something with tags takes the right to tag it too."""
        return frozenset({f"iam:{self.operation}", self.operation.replace("Create", "iam:Tag")})

    @property
    def detail(self) -> str:
        """Every field that is set."""
        fields = attrs.asdict(self, recurse=False)
        del fields["name"], fields["tags"]
        words = [f"{name.replace('_', ' ')} {value}" for name, value in fields.items() if value]
        return ", ".join([*words, f"tags {tags_text(self.tags)}"])

    def after(self, state: State) -> State:
        """Return *state* with the new thing in it."""
        return state.with_entity(self.kind(**attrs.asdict(self, recurse=False)))

    def is_done_in(self, state: State) -> bool:
        """Say whether the thing is there, with every field that is set."""
        entity = state.find(self.kind, self.name)
        fields = attrs.asdict(self, recurse=False).items()
        return entity is not None and all(
            getattr(entity, field) == value for field, value in fields if value is not None
        )

    def is_blocked_in(self, state: State) -> bool:
        """Say whether another thing has the name."""
        return state.find(self.kind, self.name) is not None and not self.is_done_in(state)


@attrs.frozen(kw_only=True)
class Update(BaseChange):
    """Mend a thing.

    Attributes:
        differences: What it mends, for display; not compared.
    """

    symbol: ClassVar[Symbol] = "~"
    wave: ClassVar[int] = 1

    differences: tuple[Difference, ...] = attrs.field(default=(), eq=False)

    @property
    def detail(self) -> str:
        """Each field, from what is to what shall be."""
        return "; ".join(map(str, self.differences))


@attrs.frozen(kw_only=True)
class Tag(Update):
    """Add tags, or overwrite the values of tags; other tags stay.

    Attributes:
        tags: The tags to set. Keys are the same whatever their letter case.
    """

    tags: Tags

    def after(self, state: State) -> State:
        """Return *state* with the tags set."""
        entity = state.find(self.kind, self.name)
        if entity is None:
            return state
        keys = {key.lower() for key, _ in self.tags}
        kept = tuple(tag for tag in entity.tags if tag[0].lower() not in keys)
        return self._evolve(state, tags=tuple(sorted(kept + self.tags)))


@attrs.frozen(kw_only=True)
class PutPermissionsBoundary(Update):
    """Set or replace the permissions boundary.

    Attributes:
        policy: The policy that becomes the boundary.
    """

    policy: ManagedPolicy

    def after(self, state: State) -> State:
        """Return *state* with the boundary set."""
        return self._evolve(state, permissions_boundary=self.policy)


@attrs.frozen(kw_only=True)
class _OnePolicy(BaseChange):
    kind: ClassVar[type[Principal]]
    policy: ManagedPolicy

    @property
    def detail(self) -> str:
        """The policy."""
        return str(self.policy)

    def _policies(self, state: State) -> frozenset[ManagedPolicy]:
        principal = state.find(self.kind, self.name)
        return frozenset() if principal is None else principal.policies


@attrs.frozen(kw_only=True)
class AttachPolicy(_OnePolicy):
    """Attach a managed policy.

    Attributes:
        policy: The policy.
    """

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[int] = 1

    def after(self, state: State) -> State:
        """Return *state* with the policy attached."""
        return self._evolve(state, policies=self._policies(state) | {self.policy})


@attrs.frozen(kw_only=True)
class DetachPolicy(_OnePolicy):
    """Detach a managed policy.

    Attributes:
        policy: The policy.
    """

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[int] = 0

    def after(self, state: State) -> State:
        """Return *state* with the policy detached."""
        return self._evolve(state, policies=self._policies(state) - {self.policy})


@attrs.frozen(kw_only=True)
class Delete(BaseChange):
    """Delete a thing that nothing hangs on any more."""

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[int] = 1

    def after(self, state: State) -> State:
        """Return *state* without the thing."""
        return state.without(self.kind, self.name)


def tags_text(tags: Tags) -> str:
    """Show tags as ``key=value, key=value``."""
    return ", ".join(f"{key}={value}" for key, value in tags)
