"""Reads, and nothing but reads: what IAM has of the things that a desired state names.

What IAM sends is brought into the form that state holds: documents decoded, lists as sets, the
names of services and AWS-managed policies without their partition.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import attrs
from botocore import xform_name

from cwagent_iam.aws import AWS_ERRORS, ODD_REPLIES, client_for, code_of, reason_of
from cwagent_iam.changes import DeleteAccessKey
from cwagent_iam.changes.permissions import DeleteInlinePolicy, PutInlinePolicy
from cwagent_iam.documents import Document
from cwagent_iam.errors import ObserveError
from cwagent_iam.limits import Quotas
from cwagent_iam.policies import InlinePolicy, ManagedPolicy
from cwagent_iam.state import InstanceProfile, Role, State, Tags, User, tags_from
from cwagent_iam.trust import neutralise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.changes import Change
    from cwagent_iam.state import Entity

T = TypeVar("T")

# What IAM wants gone before it deletes a role or a user: operation, list in the reply, key of an
# item (none where items are names), and our word for it. Source: API reference of DeleteUser.
_HANGS_ON_ROLE = (
    ("ListRolePolicies", "PolicyNames", "", "inline policy"),
    ("ListInstanceProfilesForRole", "InstanceProfiles", "InstanceProfileName", "instance-profile"),
)
_ACCESS_KEYS = ("ListAccessKeys", "AccessKeyMetadata", "AccessKeyId", "")
_HANGS_ON_USER = (
    ("ListUserPolicies", "PolicyNames", "", "inline policy"),
    ("ListGroupsForUser", "Groups", "GroupName", "group"),
    ("ListMFADevices", "MFADevices", "SerialNumber", "MFA device"),
    ("ListSigningCertificates", "Certificates", "CertificateId", "signing certificate"),
    ("ListSSHPublicKeys", "SSHPublicKeys", "SSHPublicKeyId", "SSH public key"),
)


def observe(
    desired: State,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
) -> State:
    """Read from IAM what *desired* names.

    It takes two requests for a role or user, one more for each inline policy that is desired, and
    one for a profile.

    Args:
        desired: What a planner returned; only kinds and names are used, and the names of inline
            policies.
        session: The session whose credentials and partition are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.

    Returns:
        What is there; what is absent is not in it.

    Raises:
        ObserveError: When AWS refuses a read or gives no answer.
    """
    return read(desired, client_for(session, iam))


def observe_quotas(*, session: AWSSession | None = None, iam: IAMClient | None = None) -> Quotas:
    """Read what the account allows, for the argument ``quotas`` of the planners.

    Args:
        session: As for `observe`.
        iam: As for `observe`.

    Returns:
        The quotas of the account, by GetAccountSummary; what that lacks keeps its default.

    Raises:
        ObserveError: When AWS refuses the read or gives no answer.
    """
    client = client_for(session, iam)

    def parsed() -> Quotas:
        return Quotas.from_account_summary(client.get_account_summary()["SummaryMap"])

    return _Reader(client, repr).get("GetAccountSummary", "account", parsed) or Quotas()


def read_target(change: Change, iam: IAMClient) -> State:
    """Read what *change* is done to.

    Raises:
        ObserveError: As for `observe`.
    """
    reader = _Reader(iam, repr)
    found = reader.entity(change.kind, change.name, _inline_names(change))
    if isinstance(change, DeleteAccessKey) and isinstance(found, User):
        found = reader.with_access_keys(found)
    return State.of(filter(None, [found]))


def read(
    desired: State,
    iam: IAMClient,
    *,
    missed: Callable[[BaseException], object] = repr,
    dependents: bool = False,
) -> State:
    """Read as `observe` does.

    Args:
        desired: As for `observe`.
        iam: The client.
        missed: Called with AWS's error for each thing that it says is not there.
        dependents: Read also what else hangs on each thing that is managed, which stops its
            deletion.

    Raises:
        ObserveError: As for `observe`.
    """
    reader = _Reader(iam, missed)
    found = (reader.entity(type(each), each.name, _inline_names(each)) for each in desired.entities)
    state = State.of(filter(None, found))
    for entity in (each for each in state.entities if dependents and each.managed):
        others = _Reader(iam, repr)
        whole = attrs.evolve(entity, dependents=frozenset(others.dependents(entity)))
        state = state.with_entity(
            others.with_access_keys(whole) if isinstance(whole, User) else whole
        )
    return state


@attrs.frozen
class _Reader:
    iam: IAMClient
    missed: Callable[[BaseException], object]

    def entity(self, kind: type[Entity], name: str, inline: frozenset[str]) -> Entity | None:
        """Read an entity, with those of its inline policies whose names are *inline*."""
        if issubclass(kind, Role):
            return self._role(name, inline)
        if issubclass(kind, User):
            return self._user(name, inline)
        return self._instance_profile(name)

    def dependents(self, entity: Entity) -> Iterator[str]:
        """Name what hangs on *entity* beside its policies, role and access keys."""
        match entity:
            case Role():
                for row in _HANGS_ON_ROLE:
                    yield from self._named(entity.target, *row, RoleName=entity.name)
            case User():
                for row in _HANGS_ON_USER:
                    yield from self._named(entity.target, *row, UserName=entity.name)
                yield from self._user_credentials(entity)
            case InstanceProfile():
                return
            case _:
                assert_never(entity)

    def with_access_keys(self, user: User) -> User:
        """Return *user* with the ids of its access keys."""
        keys = self._named(user.target, *_ACCESS_KEYS, UserName=user.name)
        return attrs.evolve(user, access_keys=frozenset(keys))

    def _role(self, name: str, inline: frozenset[str]) -> Role | None:
        target = f"{Role.kind} {name}"

        def parsed() -> Role:
            role = self.iam.get_role(RoleName=name)["Role"]
            trust = Document.parse(role["AssumeRolePolicyDocument"])
            return Role(
                name=role["RoleName"],
                path=role["Path"],
                trust=neutralise(trust, self.iam.meta.partition),
                description=role.get("Description", ""),
                max_session_duration=role["MaxSessionDuration"],
                permissions_boundary=_boundary(role),
                policies=self._attached("ListAttachedRolePolicies", target, RoleName=name),
                inline_policies=self._inline("GetRolePolicy", target, inline, RoleName=name),
                tags=_tags(role),
                arn=role["Arn"],
                source_role_template=role.get("SourceRoleTemplate", {}).get("TemplateArn"),
            )

        return self.get("GetRole", target, parsed)

    def _user(self, name: str, inline: frozenset[str]) -> User | None:
        target = f"{User.kind} {name}"

        def parsed() -> User:
            user = self.iam.get_user(UserName=name)["User"]
            return User(
                name=user["UserName"],
                path=user["Path"],
                permissions_boundary=_boundary(user),
                policies=self._attached("ListAttachedUserPolicies", target, UserName=name),
                inline_policies=self._inline("GetUserPolicy", target, inline, UserName=name),
                tags=_tags(user),
                arn=user["Arn"],
            )

        return self.get("GetUser", target, parsed)

    def _instance_profile(self, name: str) -> InstanceProfile | None:
        def parsed() -> InstanceProfile:
            profile = self.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
            return InstanceProfile(
                name=profile["InstanceProfileName"],
                path=profile["Path"],
                role_name=next((role["RoleName"] for role in profile["Roles"]), None),
                tags=_tags(profile),
                arn=profile["Arn"],
            )

        return self.get("GetInstanceProfile", f"{InstanceProfile.kind} {name}", parsed)

    def _attached(self, operation: str, target: str, **name: str) -> frozenset[ManagedPolicy]:
        def parsed() -> frozenset[ManagedPolicy]:
            policies = self._items(operation, "AttachedPolicies", **name)
            return frozenset(ManagedPolicy.from_arn(each["PolicyArn"]) for each in policies)

        return self.get(operation, target, parsed) or frozenset()

    def _inline(
        self, operation: str, target: str, wanted: frozenset[str], **name: str
    ) -> frozenset[InlinePolicy]:
        get = getattr(self.iam, xform_name(operation))

        def parsed(policy_name: str) -> InlinePolicy:
            document = get(PolicyName=policy_name, **name)["PolicyDocument"]
            return InlinePolicy.found(policy_name, document, self.iam.meta.partition)

        found = (self.get(operation, target, partial(parsed, each)) for each in sorted(wanted))
        return frozenset(filter(None, found))

    def _user_credentials(self, user: User) -> Iterator[str]:
        """Name the credentials of *user* that IAM has no pages of."""
        get = partial(self.iam.get_login_profile, UserName=user.name)
        if self.get("GetLoginProfile", user.target, get):
            yield "login profile"

        def parsed() -> list[str]:
            reply = self.iam.list_service_specific_credentials(UserName=user.name)
            held = reply.get("ServiceSpecificCredentials", [])
            return [each["ServiceSpecificCredentialId"] for each in held]

        for held in self.get("ListServiceSpecificCredentials", user.target, parsed) or ():
            yield f"service-specific credential {held}"

    def _named(
        self, target: str, operation: str, result: str, key: str, word: str, **name: str
    ) -> Iterator[str]:
        def parsed() -> list[str]:
            items = self._items(operation, result, **name)
            return [f"{word} {item[key] if key else item}".lstrip() for item in items]

        yield from self.get(operation, target, parsed) or ()

    def _items(self, operation: str, result: str, **name: str) -> Iterator[Any]:
        paginator = self.iam.get_paginator(xform_name(operation))
        return (item for page in paginator.paginate(**name) for item in page[result])

    def get(self, operation: str, target: str, call: Callable[[], T]) -> T | None:
        """Read and parse; `None` means that there is no such thing."""
        try:
            return call()
        except (*AWS_ERRORS, *ODD_REPLIES) as error:
            code = code_of(error)
            if code == "NoSuchEntity":
                self.missed(error)
                return None
            reason = reason_of(error)
            raise ObserveError(
                operation=operation, target=target, code=code, reason=reason
            ) from error


def _boundary(principal: Mapping[str, Any]) -> ManagedPolicy | None:
    """Read the boundary; of one that was deleted IAM may have kept no more than a bare id."""
    arn = principal.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    if not arn:
        return None
    return ManagedPolicy.from_arn(arn) if ":" in arn else ManagedPolicy(arn)


def _inline_names(source: Entity | Change) -> frozenset[str]:
    """Name the inline policies that *source* is about."""
    match source:
        case Role() | User():
            return frozenset(policy.name for policy in source.inline_policies)
        case PutInlinePolicy() | DeleteInlinePolicy():
            return frozenset({source.policy.name})
        case _:
            return frozenset()


def _tags(entity: Mapping[str, Any]) -> Tags:
    return tags_from({tag["Key"]: tag["Value"] for tag in entity.get("Tags", [])})
