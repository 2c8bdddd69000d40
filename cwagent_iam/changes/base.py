"""Base classes of changes: of all, and of those that roles and users have in common."""

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
    """The order of changes; `ChangeSet.waves` groups those that may be sent side by side."""

    CREATE = 0
    MEND = 1
    """Attach, update, tag: before anything is detached, so that no permission is missing."""
    TAKE_AWAY = 2
    """Detach, clear a boundary, remove a role from a profile, delete keys: before deletion, which
    IAM refuses otherwise."""
    FINISH = 3
    """Add a complete role to a profile, or swap it for another role, and delete entities that have
    no dependents left."""


@attrs.frozen(kw_only=True)
class BaseChange:
    """One IAM operation on one entity; each class is named after its operation.

    Attributes:
        name: The name of the role, user or instance profile that it changes.
    """

    kind: ClassVar[type[Entity]]
    symbol: ClassVar[Symbol]
    wave: ClassVar[Wave]
    creates: ClassVar[bool] = False
    deletes: ClassVar[bool] = False
    sets: ClassVar[Mapping[str, str]] = {}
    """The fields that its request sends besides the name, by the names of IAM's arguments."""
    apart: ClassVar[bool] = False
    """Whether it is sent apart from other changes of the same entity."""

    name: str

    @property
    def sign(self) -> Symbol:
        """The symbol; ``+`` adds, ``~`` changes, ``-`` removes something."""
        return self.symbol

    @property
    def due(self) -> Wave:
        """The wave in which it is due."""
        return self.wave

    @property
    def operation(self) -> str:
        """The IAM operation, as in AWS's documentation and in CloudTrail."""
        return type(self).__name__

    @property
    def target(self) -> str:
        """The kind and name of the entity, as in ``role CloudWatchAgentServerRole``."""
        return f"{self.kind.kind} {self.name}"

    @property
    def needs(self) -> frozenset[str]:
        """The kinds and names of its entity and of those that it depends on."""
        return frozenset({self.target})

    def needs_in(self, account_id: str) -> frozenset[str]:
        """Return the `needs` within one account; an empty *account_id* stands for any account."""
        del account_id
        return self.needs

    @property
    def open_policies(self) -> tuple[ManagedPolicy, ...]:
        """The policies in it that name no account, and so are in the caller's account."""
        values = (getattr(self, field) for field in self.sets.values())
        return tuple(
            each for each in values if isinstance(each, ManagedPolicy) and not each.account
        )

    @property
    def permissions(self) -> frozenset[str]:
        """The IAM actions that the caller must be allowed.

        If a new entity has a boundary that names no account, the account is looked up.
        """
        row = OPERATIONS[self.operation]
        looks_up = self.creates and self.open_policies
        lookup = {"iam:ListPolicies"} if looks_up else frozenset[str]()
        return frozenset({row.action, *(action for action, _ in row.also)}) | lookup

    def request(self, partition: str, account_id: str) -> Request:
        """Return the request of this change.

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
        """The change that must follow this one, as in a swap of roles; `None` for most."""
        return None

    @property
    def part(self) -> str:
        """The policy, role or key that it is about; empty for the entity itself."""
        return ""

    @property
    def detail(self) -> str:
        """The values that it sets, in words; empty if the operation says everything."""
        return self.part

    def after(self, state: State) -> State:
        """Return *state* with this change applied; unchanged if it lacks the entity."""
        entity = state.find(self.kind, self.name)
        if entity is None:
            return state
        return state.with_entity(attrs.evolve(entity, **self._new_fields(entity)))

    def is_done_in(self, state: State) -> bool:
        """Return whether *state*, for which the entity was read, already shows this change."""
        before = state.only(self.kind, self.name)
        return self.after(before) == before and (bool(before.entities) or self.symbol == "-")

    def __str__(self) -> str:
        """One line, as in ``+ AttachRolePolicy NAME: POLICY``."""
        line = f"{self.sign} {self.operation} {self.name}"
        return one_line(f"{line}: {self.detail}" if self.detail else line)

    def _new_fields(self, _entity: Any, /) -> dict[str, Any]:
        """Return the fields of the entity that this change sets, with their new values."""
        return {field: getattr(self, field) for field in self.sets.values()}


@attrs.frozen(kw_only=True)
class Create(BaseChange):
    """Create an entity with all fields that the request can set, so that it always has its tags.

    Attributes:
        path: The path. Default: IAM's default, ``/``.
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
        """The new entity, as the request alone creates it."""
        return self.kind(**attrs.asdict(self, recurse=False))

    def after(self, state: State) -> State:
        """Return *state* with the new entity in it."""
        return state.with_entity(self.created)

    def is_done_in(self, state: State) -> bool:
        """Return whether the entity exists, with every field that is set; it may have more tags."""
        entity = state.find(self.kind, self.name)
        if entity is None:
            return False
        fields = attrs.asdict(self, recurse=False) | {"tags": _with_tags(entity.tags, self.tags)}
        return all(
            is_same(getattr(entity, field), value)
            for field, value in fields.items()
            if value is not None
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
        """Each field, from observed to desired."""
        return "; ".join(map(str, self.differences))


@attrs.frozen(kw_only=True)
class Tag(Update):
    """Add tags, or overwrite the values of tags; other tags stay.

    Attributes:
        tags: The tags to set. Keys that differ only in letter case are the same.
    """

    sets: ClassVar[Mapping[str, str]] = {"Tags": "tags"}

    tags: Tags

    def _new_fields(self, entity: Entity) -> dict[str, Any]:
        return {"tags": _with_tags(entity.tags, self.tags)}


@attrs.frozen(kw_only=True)
class Delete(BaseChange):
    """Delete an entity that has no dependents left."""

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.FINISH
    deletes: ClassVar[bool] = True

    def after(self, state: State) -> State:
        """Return *state* without the entity."""
        return state.without(self.kind, self.name)


@attrs.frozen(kw_only=True)
class CreatePrincipal(Create):
    """Create a role or user together with its permissions boundary.

    Attributes:
        permissions_boundary: The policy that limits what other policies can allow.
    """

    sets: ClassVar[Mapping[str, str]] = {
        **Create.sets,
        "PermissionsBoundary": "permissions_boundary",
    }

    permissions_boundary: Boundary | None = None


@attrs.frozen(kw_only=True)
class PutPermissionsBoundary(Update):
    """Set or replace the permissions boundary, before other changes that it limits.

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
    """Delete the permissions boundary: then the policies alone decide what is allowed."""

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
    """Put an inline policy into a role or user, or replace the one with the same name.

    Attributes:
        policy: The name and the document.
        differences: The differences that it repairs, for display; empty if it adds a policy.
            Not compared.
    """

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[Wave] = Wave.MEND
    sets: ClassVar[Mapping[str, str]] = {**_OneInlinePolicy.sets, "PolicyDocument": "policy"}
    differences: tuple[Difference, ...] = attrs.field(default=(), eq=False)

    @property
    def sign(self) -> Symbol:
        """The symbol; ``+`` if it adds a policy, ``~`` if it replaces one."""
        return "~" if self.differences else self.symbol

    @property
    def detail(self) -> str:
        """The document; if it replaces one, the differences."""
        return "; ".join(map(str, self.differences)) or super().detail

    def _new_fields(self, entity: Principal) -> dict[str, Any]:
        return {"inline_policies": self._others(entity) | {self.policy}}


@attrs.frozen(kw_only=True)
class DeleteInlinePolicy(_OneInlinePolicy):
    """Delete an inline policy of a role or user.

    Attributes:
        policy: Its name, and the observed document.
    """

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY

    def _new_fields(self, entity: Principal) -> dict[str, Any]:
        return {"inline_policies": self._others(entity)}


def is_same(held: object, wanted: object) -> bool:
    """Return whether *held* is as *wanted*; `None` and empty are equal, and so are line ends."""
    if isinstance(held, ManagedPolicy) and isinstance(wanted, ManagedPolicy):
        return held.may_be(wanted)
    if isinstance(held, str) and isinstance(wanted, str):
        return line_ends(held) == line_ends(wanted)
    return (held or None) == (wanted or None)


def line_ends(text: str) -> str:
    """Return *text* with line ends as in XML, the format of IAM's replies."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with_tags(held: Tags, wanted: Tags) -> Tags:
    """Return *held* with *wanted* set; an existing key keeps its letter case."""
    tags = dict(held)
    keys = {key.lower(): key for key in tags}
    for key, value in wanted:
        tags[key if key in tags else keys.get(key.lower(), key)] = value
    return tuple(sorted(tags.items()))


def tags_text(tags: Tags) -> str:
    """Return tags as ``key=value, key=value``."""
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
        case tuple():  # tags, or the keys of tags
            return [each if isinstance(each, str) else _as_tag(*each) for each in value]
        case _:
            return value


def _as_tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}
