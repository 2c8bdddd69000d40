"""What all changes have in common, and the shapes that several of them share."""

from __future__ import annotations

import abc
import enum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import attrs

from cwagent_iam.display import one_line
from cwagent_iam.policies import ManagedPolicy

if TYPE_CHECKING:
    from cwagent_iam.errors import Difference
    from cwagent_iam.state import Boundary, Entity, State, Tags

Symbol: TypeAlias = Literal["+", "~", "-"]


class Wave(enum.IntEnum):
    """When a change is made; `ChangeSet.waves` says what may be done at once."""

    CREATE = 0
    MEND = 1
    """Attach, update, tag: before anything is taken away, so that nobody goes without."""
    TAKE_AWAY = 2
    """Detach, clear a boundary, take out of a profile, delete keys: before deletion, which is
    refused otherwise."""
    FINISH = 3
    """Put a role that is complete into a profile, in place of another one if need be, and delete
    what is bare."""


@attrs.frozen(kw_only=True)
class BaseChange(abc.ABC):
    """One IAM operation on one thing; each class is named after its operation.

    Attributes:
        name: The name of the role, user or instance profile that it is done to.
    """

    kind: ClassVar[type[Entity]]
    symbol: ClassVar[Symbol]
    wave: ClassVar[Wave]
    creates: ClassVar[bool] = False
    repeatable: ClassVar[bool] = True
    apart: ClassVar[bool] = False

    name: str

    @property
    def sign(self) -> Symbol:
        """Its symbol; ``+`` adds something, ``~`` changes something, ``-`` takes something away."""
        return self.symbol

    @property
    def due(self) -> Wave:
        """When it is made."""
        return self.wave

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

    def needs_in(self, account_id: str) -> frozenset[str]:
        """Name what it needs that is in an account; empty if it is not known which that is."""
        del account_id
        return self.needs

    @property
    def open_policies(self) -> tuple[ManagedPolicy, ...]:
        """The policies in it that leave their account open, which is the caller's then."""
        return ()

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed (service authorization reference)."""
        return frozenset({f"iam:{self.operation}"})

    @property
    def leads_to(self) -> BaseChange | None:
        """The change without which this one is not to be made; `None` for most."""
        return None

    @property
    def part(self) -> str:
        """The policy, role or key that it is about; empty where that is the target itself."""
        return ""

    @property
    def detail(self) -> str:
        """What is set, in words; empty where the operation says it all."""
        return self.part

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
        line = f"{self.sign} {self.operation} {self.name}"
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
    wave: ClassVar[Wave] = Wave.CREATE
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
            is_same(getattr(entity, field), value) for field, value in fields if value is not None
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
    wave: ClassVar[Wave] = Wave.MEND

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
        """Return *state* with the tags set; a key stays in the letter case that it is held in."""
        entity = state.find(self.kind, self.name)
        if entity is None:
            return state
        tags = dict(entity.tags)
        held = {key.lower(): key for key in tags}
        for key, value in self.tags:
            tags[key if key in tags else held.get(key.lower(), key)] = value
        return self._evolve(state, tags=tuple(sorted(tags.items())))


@attrs.frozen(kw_only=True)
class Delete(BaseChange):
    """Delete a thing that nothing hangs on any more."""

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.FINISH

    def after(self, state: State) -> State:
        """Return *state* without the thing."""
        return state.without(self.kind, self.name)


def is_same(held: object, wanted: object) -> bool:
    """Tell whether a field that holds *held* is as *wanted*; nothing and empty are the same."""
    if isinstance(held, ManagedPolicy) and isinstance(wanted, ManagedPolicy):
        return held.may_be(wanted)
    return (held or None) == (wanted or None)


def open_among(*policies: Boundary | None) -> tuple[ManagedPolicy, ...]:
    """Return those of *policies* that leave their account open."""
    return tuple(each for each in policies if each and not each.account)


def tags_text(tags: Tags) -> str:
    """Show tags as ``key=value, key=value``."""
    return ", ".join(f"{key}={value}" for key, value in tags)
