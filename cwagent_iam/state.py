"""How things should be, and how they were seen to be: one set of value types for both.

In desired state `None` means that intent does not name the field: IAM's default at creation,
neither compared nor changed afterwards. What only the server knows (``arn``, ``dependents``,
``source_role_template``) takes no part in comparisons.

Desired states are joined by ``|``: what two plans say of one thing must be the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, TypeVar, get_args

import attrs

from cwagent_iam.arguments import is_collection, plain, plain_if_named, refuse, reject
from cwagent_iam.errors import Problem
from cwagent_iam.policies import policy_findings
from cwagent_iam.trust import trust_findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cwagent_iam.documents import Document
    from cwagent_iam.findings import Finding
    from cwagent_iam.policies import InlinePolicy, ManagedPolicy

Kind: TypeAlias = Literal["role", "user", "instance-profile"]
"""The kinds of things, in the words of their ARNs."""

Boundary: TypeAlias = "ManagedPolicy | Literal['']"
"""The policy that limits what the others can allow; in desired state, empty for none at all."""

Tags: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of key and value, sorted."""

MANAGED_TAG = ("ManagedBy", "cwagent-iam")
"""The tag on everything that this library made, or was given to manage."""

SERVICE_LINKED_PATH = "/aws-service-role/"
_STACK_TAGS = "aws:cloudformation:"
_KINDS: tuple[Kind, ...] = get_args(Kind)
_ARN = re.compile(r"arn:[^:]+:iam::(?P<account>[^:]+):.+")


def tags_from(mapping: Mapping[str, str]) -> Tags:
    """Return the tags of *mapping* in the form that state holds."""
    return tuple(sorted((plain(key), plain(value)) for key, value in mapping.items()))


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

    name: str = attrs.field(converter=plain)
    path: str | None = attrs.field(default=None, converter=plain_if_named)
    tags: Tags = ()
    arn: str | None = attrs.field(default=None, eq=False)
    dependents: frozenset[str] = attrs.field(default=frozenset(), eq=False)

    @property
    def target(self) -> str:
        """The kind and name, as in ``role CloudWatchAgentServerRole``."""
        return f"{self.kind} {self.name}"

    @property
    def owner(self) -> str:
        """What else keeps it as it is, in words; empty if there is no sign of anything.

        CloudFormation tags what it makes, where the kind has tags in its templates (CloudFormation
        user guide, "Resource tag"); nobody else can write tags that begin with ``aws:``.
        """
        stack = {key: value for key, value in self.tags if key.startswith(_STACK_TAGS)}
        name = stack.get(f"{_STACK_TAGS}stack-name", "")
        return f"the CloudFormation stack {name}".rstrip() if stack else ""

    @property
    def managed(self) -> bool:
        """Whether it carries the tag that makes it ours; IAM may hold its key in another case.

        An entity with another `owner` is never managed: both would overwrite each other.
        """
        key, value = MANAGED_TAG
        tagged = any(held.lower() == key.lower() and text == value for held, text in self.tags)
        return tagged and not self.owner


@attrs.frozen(kw_only=True)
class Role(_Entity):
    """A role.

    Attributes:
        trust: Who may assume it.
        description: At most 1,000 characters; empty clears it.
        max_session_duration: The longest session, in seconds.
        permissions_boundary: The policy that limits what the others can allow.
        policies: The managed policies attached to it.
        inline_policies: The documents that lie in it. Only those are read whose names are desired.
        source_role_template: The ARN of the role template that it was made from; `None` for most.
    """

    kind: ClassVar[Kind] = "role"
    trust: Document
    description: str | None = attrs.field(default=None, converter=plain_if_named)
    max_session_duration: int | None = None
    permissions_boundary: Boundary | None = None
    policies: frozenset[ManagedPolicy] = frozenset()
    inline_policies: frozenset[InlinePolicy] = frozenset()
    source_role_template: str | None = attrs.field(default=None, eq=False)

    @property
    def service_linked(self) -> bool:
        """Whether IAM refuses every write to it but those of a service of AWS.

        Source: ``UnmodifiableEntity`` in the API reference of IAM, of all operations that change a
        role, and of those that put it into an instance profile or take it out.
        """
        return (self.path or "/").startswith(SERVICE_LINKED_PATH)

    @property
    def owner(self) -> str:
        """What else keeps it as it is, in words; a service of AWS, a role template or a stack.

        Source: ``SourceRoleTemplate`` of the API reference of ``Role``; the IAM user guide on
        service-linked roles, whose path is ``/aws-service-role/SERVICE/``.
        """
        if self.service_linked:
            service = (self.path or "").removeprefix(SERVICE_LINKED_PATH).rstrip("/")
            return f"the AWS service {service}, as its service-linked role"
        template = self.source_role_template
        return f"the role template {template}" if template else super().owner


@attrs.frozen(kw_only=True)
class SeenKey:
    """An access key, as IAM shows it.

    Attributes:
        access_key_id: Its id, which is not a secret.
        active: Whether AWS accepts requests that are signed with it.
        created: When it was created, in seconds since 1970.
        last_used: When it was last used, in seconds since 1970; IAM reports it hours late. `None`
            if never.
        last_service: The service that it was last used for, such as ``monitoring``; empty if never.
    """

    access_key_id: str
    active: bool
    created: float
    last_used: float | None = None
    last_service: str = ""


@attrs.frozen(kw_only=True)
class User(_Entity):
    """A user.

    Attributes:
        permissions_boundary: The policy that limits what the others can allow.
        policies: The managed policies attached to it.
        inline_policies: The documents that lie in it, as for a `Role`.
        access_keys: Its access keys, oldest first, without their last use. They are read for
            removal and for the delivery of a key only, and not compared.
    """

    kind: ClassVar[Kind] = "user"
    permissions_boundary: Boundary | None = None
    policies: frozenset[ManagedPolicy] = frozenset()
    inline_policies: frozenset[InlinePolicy] = frozenset()
    access_keys: tuple[SeenKey, ...] = attrs.field(default=(), eq=False)


@attrs.frozen(kw_only=True)
class InstanceProfile(_Entity):
    """An instance profile: what an EC2 instance is given, and what holds the role.

    Attributes:
        role_name: The name of the role inside; IAM allows one. `None` when it is empty.
    """

    kind: ClassVar[Kind] = "instance-profile"
    role_name: str | None = None


_Key: TypeAlias = tuple[Kind, str]
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

    @classmethod
    def joined(cls, desired: Desired) -> State:
        """Return one desired state for one, or for several.

        Raises:
            IntentError: When they are no states, or as for ``|``.
        """
        given: object = desired
        several = given if is_collection(given) or isinstance(given, Iterator) else [given]
        found: dict[_Key, Entity] = {}
        problems = []
        for each in several:
            if not isinstance(each, cls):
                reject("desired", each, "must be what a planner returned, or several of those")
            for entity in each.entities:
                known = found.get(_key(entity), entity)
                if known != entity:
                    problems.append(_clash(entity, known))
                found[_key(entity)] = entity
        refuse(problems)
        return cls.of(found.values())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be known about it, the worst first; nothing of it is an error."""
        # Many roles have one trust: each trust is read once, which is most of the work.
        trusts = {entity.trust for entity in self.entities if isinstance(entity, Role)}
        known = {trust: trust_findings(trust) for trust in trusts}
        found = (each for entity in self.entities for each in _findings(entity, known))
        return tuple(sorted(found, key=lambda finding: finding.rank))

    @property
    def account_id(self) -> str:
        """The account that it was seen in, 12 digits; empty as long as nothing of it has an ARN."""
        known = (_account(entity) for entity in self.entities)
        return next(filter(None, known), "")

    def __or__(self, other: State) -> State:
        """Join two desired states.

        Raises:
            IntentError: When something has the same kind and name in both, whatever its letter
                case, and is not the same. It lists all such things.
        """
        if not isinstance(other, State):
            return NotImplemented
        return self.joined((self, other))

    def find(self, kind: type[EntityT], name: str) -> EntityT | None:
        """Return the *kind* of entity that has this name, whatever its letter case, or `None`."""
        found = self._index.get((kind.kind, name.lower()))
        return found if isinstance(found, kind) else None

    def only(self, kind: type[Entity], name: str) -> State:
        """Return the state of the *kind* of entity that has this name, without all others."""
        found = self.find(kind, name)
        return State() if found is None else State((found,))

    @property
    def unformed(self) -> tuple[str, ...]:
        """What has no ARN yet; for a short while IAM may show a bare id in its place."""
        return tuple(entity.target for entity in self.entities if not _account(entity))

    def with_entity(self, entity: Entity) -> State:
        """Return this state with *entity* in place of what has its kind and name."""
        return self.of({**self._index, _key(entity): entity}.values())

    def without(self, kind: type[Entity], name: str) -> State:
        """Return this state without the *kind* of entity that has this name."""
        unwanted = self.find(kind, name)
        return State(tuple(entity for entity in self.entities if entity is not unwanted))

    @functools.cached_property
    def _index(self) -> dict[_Key, Entity]:
        """The entities by kind and name; built when first asked, and not a part of the value."""
        return {_key(entity): entity for entity in self.entities}


def _findings(entity: Entity, trusts: Mapping[Document, tuple[Finding, ...]]) -> Iterator[Finding]:
    """Yield what is to be known about *entity*, given the findings of *trusts*."""
    found = trusts[entity.trust] if isinstance(entity, Role) else ()
    if not isinstance(entity, InstanceProfile):
        found += policy_findings(entity.policies, entity.inline_policies)
    for finding in found:
        yield attrs.evolve(finding, target=entity.target)


def _clash(one: Entity, other: Entity) -> Problem:
    """Say in which fields two entities differ that have the same name."""
    names = [field.name for field in attrs.fields(type(one)) if field.eq]
    differing = [name for name in names if getattr(one, name) != getattr(other, name)]
    rule = f"must not be named twice with different intent ({', '.join(differing)})"
    return Problem("desired", one.target, rule)


def _account(entity: Entity) -> str:
    """Return the account in the ARN of *entity*; empty as long as it has none that is whole."""
    match = _ARN.fullmatch(entity.arn or "")
    return match["account"] if match else ""


def _key(entity: Entity) -> _Key:
    return entity.kind, entity.name.lower()


def _order(entity: Entity) -> tuple[int, str]:
    return _KINDS.index(entity.kind), entity.name.lower()


Desired: TypeAlias = State | Iterable[State]
"""What a planner returned, or several of those."""
