"""How things should be, and how they were seen to be: one set of value types for both.

In desired state `None` means that intent does not name the field: IAM's default at creation,
neither compared nor changed afterwards. What only the server knows (``arn``, ``dependents``)
takes no part in comparisons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, TypeVar, get_args

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cwagent_iam.documents import Document
    from cwagent_iam.policies import ManagedPolicy

Kind: TypeAlias = Literal["role", "user", "instance-profile"]
"""The kinds of things, in the words of their ARNs."""

Tags: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of key and value, sorted."""

MANAGED_TAG = ("ManagedBy", "cwagent-iam")
"""The tag on everything that this library made, or was given to manage."""


def tags_from(mapping: Mapping[str, str]) -> Tags:
    """Return the tags of *mapping* in the form that state holds."""
    return tuple(sorted(mapping.items()))


@attrs.frozen(kw_only=True)
class _Entity:
    """What roles, users and instance profiles have in common.

    Attributes:
        name: The name; unique in the account for each kind, whatever its letter case.
        path: The path, from ``/`` to ``/``; it can never be changed.
        tags: The tags; desired state names only those that it cares for.
        arn: The ARN, once IAM has given it.
        dependents: What else hangs on it that this library never makes, each in words. Read only
            for removal, because IAM deletes nothing that something hangs on.
    """

    kind: ClassVar[Kind]

    name: str
    path: str | None = None
    tags: Tags = ()
    arn: str | None = attrs.field(default=None, eq=False)
    dependents: frozenset[str] = attrs.field(default=frozenset(), eq=False)

    @property
    def target(self) -> str:
        """The kind and name, as in ``role CloudWatchAgentServerRole``."""
        return f"{self.kind} {self.name}"

    @property
    def managed(self) -> bool:
        """Whether it carries the tag that makes it ours; IAM may hold its key in another case."""
        key, value = MANAGED_TAG
        return any(held.lower() == key.lower() and text == value for held, text in self.tags)


@attrs.frozen(kw_only=True)
class Role(_Entity):
    """A role.

    Attributes:
        trust: Who may assume it.
        description: At most 1,000 characters; empty clears it.
        max_session_duration: The longest session, in seconds.
        permissions_boundary: The policy that limits what the others can allow.
        policies: The managed policies attached to it.
    """

    kind: ClassVar[Kind] = "role"
    trust: Document
    description: str | None = None
    max_session_duration: int | None = None
    permissions_boundary: ManagedPolicy | None = None
    policies: frozenset[ManagedPolicy] = frozenset()


@attrs.frozen(kw_only=True)
class User(_Entity):
    """A user.

    Attributes:
        permissions_boundary: The policy that limits what the others can allow.
        policies: The managed policies attached to it.
        access_keys: The ids of its access keys; read only for removal, and not compared.
    """

    kind: ClassVar[Kind] = "user"
    permissions_boundary: ManagedPolicy | None = None
    policies: frozenset[ManagedPolicy] = frozenset()
    access_keys: frozenset[str] = attrs.field(default=frozenset(), eq=False)


@attrs.frozen(kw_only=True)
class InstanceProfile(_Entity):
    """An instance profile: what an EC2 instance is given, and what holds the role.

    Attributes:
        role_name: The name of the role inside; IAM allows one. `None` when it is empty.
    """

    kind: ClassVar[Kind] = "instance-profile"
    role_name: str | None = None


Principal: TypeAlias = Role | User
Entity: TypeAlias = Role | User | InstanceProfile
EntityT = TypeVar("EntityT", bound=Entity)


@attrs.frozen
class State:
    """Roles, users and instance profiles, desired or observed; what is not in it is absent.

    Attributes:
        entities: All of them: roles, then users, then instance profiles, each sorted by name.
    """

    entities: tuple[Entity, ...] = ()

    @classmethod
    def of(cls, entities: Iterable[Entity]) -> State:
        """Hold *entities*, which differ in kind or name."""
        return cls(tuple(sorted(entities, key=_order)))

    def find(self, kind: type[EntityT], name: str) -> EntityT | None:
        """Return the *kind* of entity that has this name, whatever its letter case, or `None`."""
        wanted = (kind.kind, name.lower())
        found = (each for each in self.entities if isinstance(each, kind) and _key(each) == wanted)
        return next(found, None)

    @property
    def unformed(self) -> tuple[str, ...]:
        """What has no ARN yet; for a short while IAM may show a bare id in its place."""
        arns = ((entity.target, entity.arn or "") for entity in self.entities)
        return tuple(target for target, arn in arns if not arn.startswith("arn:"))

    def with_entity(self, entity: Entity) -> State:
        """Return this state with *entity* in place of what has its kind and name."""
        return self.of((*self.without(type(entity), entity.name).entities, entity))

    def without(self, kind: type[Entity], name: str) -> State:
        """Return this state without the *kind* of entity that has this name."""
        unwanted = (kind.kind, name.lower())
        return self.of(entity for entity in self.entities if _key(entity) != unwanted)


def _key(entity: Entity) -> tuple[Kind, str]:
    return entity.kind, entity.name.lower()


def _order(entity: Entity) -> tuple[int, str]:
    return get_args(Kind).index(entity.kind), entity.name.lower()
