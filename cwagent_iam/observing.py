"""Observation: the reads for a state, and the state that IAM's replies show.

Replies are parsed into the canonical form of `State`: documents decoded, lists as sets, the names
of services and of AWS-managed policies without a partition. All reads of a state are independent of
each other, so they are one `Send`; only further pages of a list need the page before.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, TypeVar

import attrs

from cwagent_iam.documents import Document
from cwagent_iam.errors import CredentialsError, ObserveError
from cwagent_iam.limits import Quotas
from cwagent_iam.policies import InlinePolicy, ManagedPolicy
from cwagent_iam.requests import Outcome, Refusal, Reply, Request, Send, Steps, Unsent
from cwagent_iam.state import InstanceProfile, Role, SeenKey, State, Tags, User, tags_from
from cwagent_iam.trust import neutralise

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from cwagent_iam.state import Entity

T = TypeVar("T")
SendAll: TypeAlias = "Callable[[Sequence[Request]], Steps[list[Outcome]]]"
"""A generator function that sends requests, with all pages of lists."""

MISSING = "NoSuchEntity"

_OPTIONAL_LIST = "ServiceSpecificCredentials"

# The dependents that IAM does not delete with a role or user (API reference of DeleteUser): the
# operation that lists them, the key of their name in an item (empty if items are names), the noun.
_DEPENDENTS: dict[type[Entity], tuple[tuple[str, str, str], ...]] = {
    Role: (
        ("ListRolePolicies", "", "inline policy"),
        ("ListInstanceProfilesForRole", "InstanceProfileName", "instance-profile"),
    ),
    User: (
        ("ListUserPolicies", "", "inline policy"),
        ("ListGroupsForUser", "GroupName", "group"),
        ("ListMFADevices", "SerialNumber", "MFA device"),
        ("ListSigningCertificates", "CertificateId", "signing certificate"),
        ("ListSSHPublicKeys", "SSHPublicKeyId", "SSH public key"),
        (
            "ListServiceSpecificCredentials",
            "ServiceSpecificCredentialId",
            "service-specific credential",
        ),
    ),
    InstanceProfile: (),
}


# These show an entity only if they list something. Each emulator answers some of them with an empty
# list, whether or not the entity exists: moto 5 the one of profiles, ministack 1.5 the one of keys.
_UNCHECKED = {"ListAccessKeys", *(row[0] for rows in _DEPENDENTS.values() for row in rows)}


@attrs.frozen
class Observation:
    """The result of reading every entity once.

    Attributes:
        state: The observed state; an entity that does not exist is not in it.
        shown: The kinds and names, in lower case, of the entities that any reply showed. IAM
            returns NoSuchEntity to all reads of an entity that does not exist.
        last_miss: The last NoSuchEntity among the outcomes; `None` if there was none.
        listed: The inline policies that a list shows, although another read misses them: kind and
            name of the entity, in lower case, and the name of the policy.
    """

    state: State
    shown: frozenset[str] = frozenset()
    last_miss: Refusal | None = None
    listed: frozenset[tuple[str, str]] = frozenset()


def observe(
    entities: Sequence[Entity],
    *,
    partition: str,
    copies: int = 1,
    dependents: bool = False,
    access_keys: bool = False,
    existence_only: Collection[str] = (),
    send: SendAll | None = None,
) -> Steps[tuple[Observation, ...]]:
    """Read *entities* from IAM.

    Args:
        entities: The entities to read; only kinds, names and the names of inline policies are used.
        partition: The AWS partition that replies come from, such as ``aws``.
        copies: How many times each read is sent; each copy is an observation of its own.
        dependents: Whether to read dependents too. They are kept for managed entities only.
        access_keys: Whether to read the access keys of users; they are dependents too.
        existence_only: The kinds and names, in lower case, of entities of which only the
            existence is read.
        send: Sends the reads. Default: `send_all_pages`.

    Returns:
        One observation for each copy.

    Raises:
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
    """
    reads = [
        list(_reads(each, dependents=dependents, access_keys=access_keys))[
            : 1 if each.target.lower() in existence_only else None
        ]
        for each in entities
    ]
    requests = [request for some in reads for request in some] * copies
    outcomes = iter((yield from (send or send_all_pages)(requests)) if requests else ())
    answers = [
        [[(request, next(outcomes)) for request in some] for some in reads] for _ in range(copies)
    ]
    return tuple(observation_of(each, partition, access_keys=access_keys) for each in answers)


def observe_quotas() -> Steps[Quotas]:
    """Read the quotas of the account; a quota that the reply lacks keeps its default.

    Raises:
        ObserveError: If AWS refuses the read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
    """
    request = Request.of("GetAccountSummary")
    (outcome,) = yield Send((request,))
    content = content_of(request, outcome)
    return parse_reply(request, lambda: Quotas.from_account_summary(content["SummaryMap"]))


def is_missing(outcome: Outcome) -> TypeGuard[Refusal]:
    """Return whether *outcome* says that the target of a request does not exist."""
    sent = not isinstance(outcome, Unsent)
    return sent and isinstance(outcome, Refusal) and outcome.code == MISSING


def send_all_pages(
    requests: Sequence[Request], first: Sequence[Outcome] | None = None
) -> Steps[list[Outcome]]:
    """Send *requests* and all further pages of lists, which IAM may truncate after any item.

    Args:
        requests: The requests.
        first: Their outcomes, without further pages, if they were sent already.
    """
    outcomes: list[Any] = list((yield Send(tuple(requests))) if first is None else first)
    used: list[set[str]] = [set() for _ in requests]
    while truncated := [index for index, each in enumerate(outcomes) if _is_truncated(each)]:
        further = [
            Request.of(
                requests[index].operation,
                **requests[index].arguments,
                Marker=parse_reply(
                    requests[index], functools.partial(_marker, outcomes[index], used[index])
                ),
            )
            for index in truncated
        ]
        pages = yield Send(tuple(further))
        for index, page in zip(truncated, pages, strict=True):
            joined = functools.partial(_join_pages, requests[index], outcomes[index], page)
            outcomes[index] = parse_reply(requests[index], joined)
    return outcomes


def facts_of(operation: str, target: str, refusal: Refusal) -> dict[str, Any]:
    """Return the arguments of a `RequestError` for a refusal of *operation* on *target*."""
    return {
        "operation": operation,
        "target": target,
        "code": refusal.code,
        "reason": refusal.message,
        "request_id": refusal.request_id,
    }


def content_of(request: Request, outcome: Outcome) -> Mapping[str, Any]:
    """Return the content of a reply to a read.

    Raises:
        ObserveError: If *outcome* is a refusal.
        CredentialsError: If the request was not sent.
    """
    if isinstance(outcome, Reply):
        return outcome.content
    facts = facts_of(request.operation, request.target, outcome)
    if isinstance(outcome, Unsent):
        raise CredentialsError(**facts, step=outcome.step) from outcome.error
    facts |= {"attempts": outcome.attempts, "seconds": outcome.seconds}
    raise ObserveError(**facts) from outcome.error


def _is_truncated(outcome: Outcome) -> bool:
    return isinstance(outcome, Reply) and bool(outcome.content.get("IsTruncated"))


def _marker(reply: Reply, used: set[str]) -> str:
    """Return the marker of the next page; raise if it is in *used*: such a list has no end."""
    marker: str = reply.content["Marker"]
    if marker in used:
        msg = "its Marker repeats"
        raise ValueError(msg)
    used.add(marker)
    return marker


def _join_pages(request: Request, earlier: Reply, page: Outcome) -> Outcome:
    """Return the reply with the items of *earlier* and *page*, or the refusal of *page*."""
    if isinstance(page, Refusal):
        return page
    joined = [*_items_of(request, earlier.content), *_items_of(request, page.content)]
    return attrs.evolve(
        page, content={**page.content, request.row.result or _OPTIONAL_LIST: joined}
    )


def _reads(entity: Entity, *, dependents: bool, access_keys: bool) -> Iterator[Request]:
    """Yield the reads of *entity*; the first one shows whether it exists."""
    word = type(entity).__name__
    name = {f"{word}Name": entity.name}
    yield Request.of(f"Get{word}", **name)
    if isinstance(entity, InstanceProfile):
        return
    yield Request.of(f"ListAttached{word}Policies", **name)
    for policy in sorted(each.name for each in entity.inline_policies):
        yield Request.of(f"Get{word}Policy", **name, PolicyName=policy)
    if dependents:
        for operation, *_ in _DEPENDENTS[type(entity)]:
            yield Request.of(operation, **name)
        if isinstance(entity, User):
            yield Request.of("GetLoginProfile", **name)
    if (dependents or access_keys) and isinstance(entity, User):
        yield Request.of("ListAccessKeys", **name)


def observation_of(
    answers: Sequence[Sequence[tuple[Request, Outcome]]], partition: str, *, access_keys: bool
) -> Observation:
    """Return what the outcomes of the reads of each entity show."""
    misses = [outcome for some in answers for _, outcome in some if is_missing(outcome)]
    state = State.of(filter(None, (_entity(some, partition, access_keys) for some in answers)))
    shown = frozenset(
        request.target.lower()
        for some in answers
        for request, outcome in some
        if isinstance(outcome, Reply)
        and (request.operation not in _UNCHECKED or any(_items_of(request, outcome.content)))
    )
    return Observation(state, shown, misses[-1] if misses else None, frozenset(_listed(answers)))


def _listed(answers: Sequence[Sequence[tuple[Request, Outcome]]]) -> Iterator[tuple[str, str]]:
    for some in answers:
        names = [
            name
            for request, outcome in some
            if request.operation in {"ListRolePolicies", "ListUserPolicies"}
            and isinstance(outcome, Reply)
            for name in _items_of(request, outcome.content)
        ]
        for request, outcome in some:
            if is_missing(outcome) and request.arguments.get("PolicyName") in names:
                yield request.target.lower(), request.arguments["PolicyName"]


def roles_in_profiles(state: State) -> frozenset[str]:
    """Return the kind and name, in lower case, of each role that an instance profile holds."""
    profiles = (each for each in state.entities if isinstance(each, InstanceProfile))
    return frozenset(f"role {each.role_name}".lower() for each in profiles if each.role_name)


def _entity(
    answers: Sequence[tuple[Request, Outcome]],
    partition: str,
    access_keys: bool,  # noqa: FBT001
) -> Entity | None:
    """Return the entity that *answers* show; `None` if it does not exist."""
    (request, outcome), *others = answers
    if is_missing(outcome):
        return None
    content = content_of(request, outcome)
    details = _Details(others, partition, access_keys)
    return parse_reply(request, lambda: _build_entity(request.row.result, content, details))


def parse_reply(request: Request, parse: Callable[[], T]) -> T:
    """Parse a reply to *request*; raise `ObserveError` if it does not have IAM's format."""
    try:
        return parse()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ObserveError(
            operation=request.operation,
            target=request.target,
            code=None,
            reason=f"the reply does not have IAM's format ({type(error).__name__}: {error})",
        ) from error


@attrs.frozen
class _Details:
    """The outcomes of all reads of an entity but the first."""

    answers: Sequence[tuple[Request, Outcome]]
    partition: str
    access_keys: bool

    def contents(self, operation: str) -> Iterator[tuple[Request, Mapping[str, Any]]]:
        """Yield the replies; skip a NoSuchEntity of a stale host, because a later read decides."""
        for request, outcome in self.answers:
            if request.operation == operation and not is_missing(outcome):
                yield request, content_of(request, outcome)

    def items(self, operation: str, read: Callable[[Any], T]) -> Iterator[T]:
        """Yield each item of a list, as *read* parses it."""
        for request, reply in self.contents(operation):
            yield from parse_reply(request, functools.partial(_read_items, request, reply, read))

    def inline(self, operation: str) -> frozenset[InlinePolicy]:
        """Return the inline policies that were read."""
        return frozenset(
            InlinePolicy.found(
                request.arguments["PolicyName"], reply["PolicyDocument"], self.partition
            )
            for request, reply in self.contents(operation)
        )

    def dependents(self, kind: type[Entity]) -> Iterator[str]:
        """Yield the names of dependents other than attached policies and access keys."""
        for operation, key, word in _DEPENDENTS[kind]:
            for item in self.items(operation, operator.itemgetter(key) if key else str):
                yield f"{word} {item}"
        for _ in self.contents("GetLoginProfile"):
            yield "login profile"


def _read_items(request: Request, reply: Mapping[str, Any], read: Callable[[Any], T]) -> list[T]:
    return [read(item) for item in _items_of(request, reply)]


def _items_of(request: Request, reply: Mapping[str, Any]) -> Sequence[Any]:
    """Return the list in a reply; only the reply to ListServiceSpecificCredentials may lack it."""
    key = request.row.result
    items: Sequence[Any] = reply[key] if key else reply.get(_OPTIONAL_LIST, ())
    return items


def _build_entity(kind: str, content: Mapping[str, Any], details: _Details) -> Entity:
    """Return the entity that was read; only a managed one has its dependents."""
    seen = content[kind]
    facts: dict[str, Any] = {
        "name": seen[f"{kind}Name"],
        "path": seen["Path"],
        "tags": _tags(seen),
        "arn": seen["Arn"],
    }
    if kind != InstanceProfile.__name__:
        facts |= {
            "permissions_boundary": _boundary(seen),
            "policies": frozenset(details.items(f"ListAttached{kind}Policies", _policy)),
            "inline_policies": details.inline(f"Get{kind}Policy"),
        }
    found: Entity
    if kind == Role.__name__:
        found = Role(
            trust=neutralise(Document.parse(seen["AssumeRolePolicyDocument"]), details.partition),
            description=seen.get("Description", ""),
            max_session_duration=seen["MaxSessionDuration"],
            source_role_template=seen.get("SourceRoleTemplate", {}).get("TemplateArn"),
            **facts,
        )
    elif kind == User.__name__:
        found = User(**facts)
        if details.access_keys or found.managed:
            keys = details.items("ListAccessKeys", seen_key)
            found = attrs.evolve(found, access_keys=tuple(sorted(keys, key=_by_age)))
    else:
        inside = next((role["RoleName"] for role in seen["Roles"]), None)
        found = InstanceProfile(role_name=inside, **facts)
    if not found.managed:
        return found
    return attrs.evolve(found, dependents=frozenset(details.dependents(type(found))))


def seen_key(item: Mapping[str, Any]) -> SeenKey:
    """Return an item of ListAccessKeys, without its last use."""
    return SeenKey(
        access_key_id=item["AccessKeyId"],
        active=item["Status"] == "Active",
        created=item["CreateDate"].timestamp(),
    )


def _by_age(key: SeenKey) -> tuple[float, str]:
    return key.created, key.access_key_id


def _policy(item: Mapping[str, Any]) -> ManagedPolicy:
    return ManagedPolicy.from_arn(item["PolicyArn"])


def _boundary(principal: Mapping[str, Any]) -> ManagedPolicy | None:
    """Return the boundary; if its policy was deleted, IAM may return a bare id or nothing."""
    arn = principal.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    if not arn:
        return None
    return ManagedPolicy.from_arn(arn) if ":" in arn else ManagedPolicy(arn)


def _tags(entity: Mapping[str, Any]) -> Tags:
    return tags_from({tag["Key"]: tag["Value"] for tag in entity.get("Tags", [])})
