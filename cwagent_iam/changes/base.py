"""The shapes of changes: what all have in common, and what those to roles and users share."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

import attrs

from cwagent_iam.display import one_line
from cwagent_iam.documents import Document
from cwagent_iam.policies import InlinePolicy, ManagedPolicy, without
from cwagent_iam.requests import NAMED_BY, OPERATIONS, Request
from cwagent_iam.trust import localise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cwagent_iam.errors import Difference
    from cwagent_iam.state import Boundary, Entity, Principal, State, Tags

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
class BaseChange:
    """One IAM operation on one thing; each class is named after its operation.

    Attributes:
        name: The name of the role, user or instance profile that it is done to.
    """

    kind: ClassVar[type[Entity]]
    symbol: ClassVar[Symbol]
    wave: ClassVar[Wave]
    creates: ClassVar[bool] = False
    deletes: ClassVar[bool] = False
    sets: ClassVar[Mapping[str, str]] = {}
    """The fields that its request sends, beside the name, by IAM's names for its arguments."""
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
        values = (getattr(self, field) for field in self.sets.values())
        return tuple(
            each for each in values if isinstance(each, ManagedPolicy) and not each.account
        )

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed.

        While nothing of the account exists, the account of a boundary is looked up.
        """
        row = OPERATIONS[self.operation]
        looks_up = self.creates and self.open_policies
        lookup = {"iam:ListPolicies"} if looks_up else frozenset[str]()
        return frozenset({row.action, *(action for action, _ in row.also)}) | lookup

    def request(self, partition: str, account_id: str) -> Request:
        """Return the request that makes this change.

        Args:
            partition: The partition to write ARNs and service names for.
            account_id: The account, 12 digits; only needed for `open_policies`.

        Raises:
            ValueError: If the account is needed and empty.
        """
        arguments = {NAMED_BY[self.kind.kind]: self.name}
        for argument, field in self.sets.items():
            value = getattr(self, field)
            if value or not self.creates:  # what is empty is IAM's default at creation
                arguments[argument] = _as_argument(value, partition, account_id)
        return Request.of(self.operation, **arguments)

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

    def after(self, state: State) -> State:
        """Return what *state* becomes by this change; one that lacks the target stays as it is."""
        entity = state.find(self.kind, self.name)
        if entity is None:
            return state
        return state.with_entity(attrs.evolve(entity, **self._new_fields(entity)))

    def is_done_in(self, state: State) -> bool:
        """Say whether *state*, in which the target was looked for, is as this change makes it."""
        before = state.only(self.kind, self.name)
        return self.after(before) == before and (bool(before.entities) or self.symbol == "-")

    def __str__(self) -> str:
        """One line, as in ``+ AttachRolePolicy NAME: POLICY``."""
        line = f"{self.sign} {self.operation} {self.name}"
        return one_line(f"{line}: {self.detail}" if self.detail else line)

    def _new_fields(self, _entity: Any, /) -> dict[str, Any]:
        """Return the fields of the target that differ once the change is made."""
        return {field: getattr(self, field) for field in self.sets.values()}


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
    sets: ClassVar[Mapping[str, str]] = {"Path": "path", "Tags": "tags"}

    path: str | None = None
    tags: Tags = ()

    @classmethod
    def of(cls, entity: Entity) -> Self:
        """Return the change that creates *entity*, as far as one request can."""
        return cls(**{field: getattr(entity, field) for field in attrs.fields_dict(cls)})

    @property
    def detail(self) -> str:
        """Every field that is set."""
        fields = attrs.asdict(self, recurse=False)
        del fields["name"], fields["tags"]
        words = [f"{name.replace('_', ' ')} {value}" for name, value in fields.items() if value]
        return ", ".join([*words, f"tags {tags_text(self.tags)}"])

    @property
    def created(self) -> Entity:
        """The new thing, as the request alone leaves it."""
        return self.kind(**attrs.asdict(self, recurse=False))

    def after(self, state: State) -> State:
        """Return *state* with the new thing in it."""
        return state.with_entity(self.created)

    def is_done_in(self, state: State) -> bool:
        """Say whether the thing is there, with every field that is set."""
        entity = state.find(self.kind, self.name)
        fields = attrs.asdict(self, recurse=False).items()
        return entity is not None and all(
            is_same(getattr(entity, field), value) for field, value in fields if value is not None
        )


@attrs.frozen(kw_only=True)
class Update(BaseChange):
    """Update an entity in place.

    Attributes:
        differences: The differences that it repairs, for display; not compared.
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

    sets: ClassVar[Mapping[str, str]] = {"Tags": "tags"}

    tags: Tags

    def _new_fields(self, entity: Entity) -> dict[str, Any]:
        """Return the tags; a key stays in the letter case that it is held in."""
        tags = dict(entity.tags)
        held = {key.lower(): key for key in tags}
        for key, value in self.tags:
            tags[key if key in tags else held.get(key.lower(), key)] = value
        return {"tags": tuple(sorted(tags.items()))}


@attrs.frozen(kw_only=True)
class Delete(BaseChange):
    """Delete a thing that nothing hangs on any more."""

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.FINISH
    deletes: ClassVar[bool] = True

    def after(self, state: State) -> State:
        """Return *state* without the thing."""
        return state.without(self.kind, self.name)


@attrs.frozen(kw_only=True)
class CreatePrincipal(Create):
    """Make a role or user, limited from its first moment.

    Attributes:
        permissions_boundary: The policy that limits what the others can allow.
    """

    sets: ClassVar[Mapping[str, str]] = {
        **Create.sets,
        "PermissionsBoundary": "permissions_boundary",
    }

    permissions_boundary: Boundary | None = None


@attrs.frozen(kw_only=True)
class PutPermissionsBoundary(Update):
    """Set or replace the permissions boundary, before anything else that it is to limit.

    Attributes:
        policy: The policy that becomes the boundary.
    """

    apart: ClassVar[bool] = True
    sets: ClassVar[Mapping[str, str]] = {"PermissionsBoundary": "policy"}
    policy: ManagedPolicy

    @property
    def part(self) -> str:
        """The policy."""
        return str(self.policy)

    def _new_fields(self, entity: Principal) -> dict[str, Any]:
        same = is_same(entity.permissions_boundary, self.policy)
        return {} if same else {"permissions_boundary": self.policy}


@attrs.frozen(kw_only=True)
class DeletePermissionsBoundary(Update):
    """Take the permissions boundary away: the policies alone say what is allowed."""

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    apart: ClassVar[bool] = True

    def _new_fields(self, _entity: Principal, /) -> dict[str, Any]:
        return {"permissions_boundary": None}


@attrs.frozen(kw_only=True)
class _OnePolicy(BaseChange):
    sets: ClassVar[Mapping[str, str]] = {"PolicyArn": "policy"}
    policy: ManagedPolicy

    @property
    def part(self) -> str:
        """The policy."""
        return str(self.policy)


@attrs.frozen(kw_only=True)
class AttachPolicy(_OnePolicy):
    """Attach a managed policy.

    Attributes:
        policy: The policy.
    """

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[Wave] = Wave.MEND

    def _new_fields(self, entity: Principal) -> dict[str, Any]:
        return {"policies": entity.policies | without({self.policy}, entity.policies)}


@attrs.frozen(kw_only=True)
class DetachPolicy(_OnePolicy):
    """Detach a managed policy.

    Attributes:
        policy: The policy.
    """

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY

    def _new_fields(self, entity: Principal) -> dict[str, Any]:
        return {"policies": without(entity.policies, {self.policy})}


@attrs.frozen(kw_only=True)
class _OneInlinePolicy(BaseChange):
    sets: ClassVar[Mapping[str, str]] = {"PolicyName": "part"}
    policy: InlinePolicy

    @property
    def part(self) -> str:
        """The name of the policy."""
        return self.policy.name

    @property
    def detail(self) -> str:
        """The document."""
        return str(self.policy)

    def _others(self, entity: Principal) -> frozenset[InlinePolicy]:
        """Return the inline policies of *entity* that have another name."""
        held = entity.inline_policies
        return frozenset(each for each in held if each.name != self.policy.name)


@attrs.frozen(kw_only=True)
class PutInlinePolicy(_OneInlinePolicy):
    """Put a document into a role or user, or replace the one that has its name.

    Attributes:
        policy: The name and the document.
        differences: The differences that it repairs, for display; empty where it adds a
            document. Not compared.
    """

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[Wave] = Wave.MEND
    sets: ClassVar[Mapping[str, str]] = {**_OneInlinePolicy.sets, "PolicyDocument": "policy"}
    differences: tuple[Difference, ...] = attrs.field(default=(), eq=False)

    @property
    def sign(self) -> Symbol:
        """Whether it adds a document, or replaces one."""
        return "~" if self.differences else self.symbol

    @property
    def detail(self) -> str:
        """The document; if it replaces one, from what is to what shall be."""
        return "; ".join(map(str, self.differences)) or super().detail

    def _new_fields(self, entity: Principal) -> dict[str, Any]:
        return {"inline_policies": self._others(entity) | {self.policy}}


@attrs.frozen(kw_only=True)
class DeleteInlinePolicy(_OneInlinePolicy):
    """Delete a document from a role or user.

    Attributes:
        policy: Its name, and what it was seen to say.
    """

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY

    def _new_fields(self, entity: Principal) -> dict[str, Any]:
        return {"inline_policies": self._others(entity)}


def is_same(held: object, wanted: object) -> bool:
    """Tell whether a field that holds *held* is as *wanted*; nothing and empty are the same."""
    if isinstance(held, ManagedPolicy) and isinstance(wanted, ManagedPolicy):
        return held.may_be(wanted)
    return (held or None) == (wanted or None)


def tags_text(tags: Tags) -> str:
    """Show tags as ``key=value, key=value``."""
    return ", ".join(f"{key}={value}" for key, value in tags)


def _as_argument(value: Any, partition: str, account_id: str) -> Any:
    """Return a field in the form that IAM takes."""
    match value:
        case Document():
            return localise(value, partition).text
        case InlinePolicy():
            return value.text(partition)
        case ManagedPolicy():
            return value.arn(partition, account_id)
        case tuple():
            return [{"Key": key, "Value": text} for key, text in value]
        case _:
            return value
