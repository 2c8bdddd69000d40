"""What moto's IAM holds: copying it, and showing copies in its place while a read is answered."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto.iam.models import (
    AccessKey,
    AWSManagedPolicy,
    IAMBackend,
    InstanceProfile,
    ManagedPolicy,
    Role,
    User,
)
from moto.utilities.tagging_service import TaggingService

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cwagent_iam.testing.lagging.versions import Key

# What a read may change, and what others than its owner change.
_NO_VERSION = {"last_used", "last_used_region", "attachment_count", "access_keys"}


class HalfBuiltRole(Role):
    """A role whose ARN is not known yet."""

    @property
    def arn(self) -> str:
        """The bare id."""
        return str(self.id)


class HalfBuiltProfile(InstanceProfile):
    """An instance profile whose ARN is not known yet."""

    @property
    def arn(self) -> str:
        """The bare id, in AWS's form; moto has another one."""
        return f"AIPA{self.id[:17].upper()}"


_HALF_BUILT: dict[type, type] = {Role: HalfBuiltRole, InstanceProfile: HalfBuiltProfile}


def things(iam: IAMBackend) -> dict[Key, Any]:
    """Return everything that has versions, by kind and name."""
    found: dict[Key, Any] = {}
    found |= {("role", role.name): role for role in iam.roles.values()}
    found |= {("instance profile", name): each for name, each in iam.instance_profiles.items()}
    for name, user in iam.users.items():
        found["user", name] = user
        found |= {("access key", key.access_key_id): key for key in user.access_keys}
    for arn, policy in iam.managed_policies.items():
        if not isinstance(policy, AWSManagedPolicy):
            found["policy", arn] = policy
    return found


def frozen(thing: Any, iam: IAMBackend) -> Any:
    """Copy *thing* as it is now, with what it holds; tags of a user are kept beside it in moto."""
    double = copy.copy(thing)
    for name, value in vars(thing).items():
        if isinstance(value, (dict, list)):
            vars(double)[name] = copy.copy(value)
    if isinstance(thing, ManagedPolicy):
        double.versions = [copy.copy(version) for version in thing.versions]
    if isinstance(thing, User):
        vars(double)["_tags"] = dict(iam.tagger.tags.get(thing.arn, {}))
    return double


def is_same(one: Any, other: Any) -> bool:
    """Say whether two copies are of the same version."""
    return type(one) is type(other) and _facts(one) == _facts(other)


def _facts(thing: Any) -> dict[str, Any]:
    facts = {name: each for name, each in vars(thing).items() if name not in _NO_VERSION}
    if isinstance(thing, ManagedPolicy):
        facts["versions"] = [vars(version) for version in thing.versions]
    return facts


def half_built(thing: Any) -> Any:
    """Copy *thing* as it is before it has an ARN, if it is of a kind that goes through that."""
    kind = _HALF_BUILT.get(type(thing))
    if kind is None:
        return thing
    double = copy.copy(thing)
    double.__class__ = kind
    return double


@contextmanager
def showing(iam: IAMBackend, changed: Mapping[Key, Any]) -> Iterator[None]:
    """Let moto see what *changed* says in place of the truth; `None` is for what is absent."""
    view = things(iam) | dict(changed)
    shown = {key: each for key, each in view.items() if each is not None}
    roles: dict[str, Role] = {each.name: each for each in shown.values() if isinstance(each, Role)}
    users = {name: copy.copy(each) for (kind, name), each in shown.items() if kind == "user"}
    keys = [each for each in shown.values() if isinstance(each, AccessKey)]
    tagger = TaggingService()
    for user in users.values():
        user.access_keys = [key for key in keys if key.user_name == user.name]
        tagger.tags[user.arn] = vars(user).get("_tags", iam.tagger.tags.get(user.arn, {}))
    profiles = {}
    for name, profile in (
        (n, each) for (kind, n), each in shown.items() if kind == "instance profile"
    ):
        profiles[name] = copy.copy(profile)
        profiles[name].roles = [roles.get(role.name, role) for role in profile.roles]
    policies = {
        arn: each
        for arn, each in iam.managed_policies.items()
        if isinstance(each, AWSManagedPolicy)
    } | {each.arn: each for each in shown.values() if isinstance(each, ManagedPolicy)}
    with patch.multiple(
        iam,
        roles={role.id: role for role in roles.values()},
        users=users,
        instance_profiles=profiles,
        managed_policies=policies,
        tagger=tagger,
    ):
        yield
