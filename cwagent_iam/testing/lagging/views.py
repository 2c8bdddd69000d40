"""What a replica makes of a request: the refusals of AWS that come from a stale view."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.testing.lagging.replies import MISSING, TAKEN, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.testing.lagging.profiles import Plane
    from cwagent_iam.testing.lagging.replies import Reply
    from cwagent_iam.testing.lagging.versions import Key, Versions
    from cwagent_iam.testing.lagging.wire import Sent

_PRINCIPAL = re.compile(r"arn:[^:]+:(?:iam|sts)::[0-9]{12}:(?:role|user|assumed-role)/.*[^/]")
_INLINE = re.compile(r"(?:Get|Delete)(Role|User)Policy")
_PROFILE = re.compile(r"(?:^|\.)IamInstanceProfile\.(Name|Arn)$")
_ASSUME = {
    "AssumeRole": "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role}",
    "AssumeRoleWithWebIdentity": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
}
_CONFLICT = "Cannot delete entity, must {} first."
_POLICIES = (("managed_policies", "detach all policies"), ("policies", "delete policies"))
_CREDENTIALS = (
    ("password", "delete login profile"),
    ("mfa_devices", "delete MFA device"),
    ("signing_certificates", "delete signing certificates"),
)


@attrs.frozen
class View:
    """What one replica of a plane knows at a time; the truth if there is no replica.

    Attributes:
        versions: The history of everything in the account.
        plane: Whose view it is.
        replica: Which replica's; `None` for the truth.
        now: The time.
        home: How the ARNs of the account's own things begin; of others nothing is known.
    """

    versions: Versions
    plane: Plane
    replica: int | None
    now: float
    home: str

    def get(self, key: Key) -> Any:
        """Return what it knows of a thing; `None` if it knows of none."""
        key = self.versions.spelt(key)
        return self.versions.at(key, self.plane, self.replica, self.now).copy

    def is_late(self, key: Key) -> bool:
        """Say whether it does not know a thing that exists."""
        return self.get(key) is None and self.truth.get(key) is not None

    def is_late_for(self, arn: str) -> bool:
        """Say whether it does not know the role or user of the account that *arn* is about."""
        sessions = f"{self.home.replace(':iam:', ':sts:')}assumed-role/"
        if arn.startswith(sessions):
            return self.is_late(("role", arn.removeprefix(sessions).partition("/")[0]))
        # What begins otherwise is of no kind that anything here is of.
        kind, _, path = arn.removeprefix(self.home).partition("/")
        return self.is_late((kind, path.rpartition("/")[2]))

    @property
    def truth(self) -> View:
        """What has been written."""
        return attrs.evolve(self, replica=None)

    def of_kind(self, kind: str) -> Iterator[Any]:
        """Go through all that it knows of a kind."""
        found = (self.get(key) for key, _ in self.versions.newest() if key[0] == kind)
        return (each for each in found if each is not None)


def refused_by_iam(view: View, sent: Sent) -> Reply | None:
    """Return how IAM refuses a request of which it does not know all parts, or `None`."""
    for kind, name in sent.named:
        if view.is_late((kind, name)):
            return _missing(kind, name, sent)
    boundary = sent.parameters.get("PermissionsBoundary", "")
    if view.is_late(("policy", boundary)):
        words = f"Scope ARN: {boundary} does not exist or is not attachable."
        return refusal("iam", "NoSuchEntity", words, 404)
    for arn in _principals(sent):
        if view.is_late_for(arn):
            words = f'Invalid principal in policy: "AWS":"{arn}"'
            return refusal("iam", "MalformedPolicyDocument", words, 400)
    conflict = _conflict(view, sent) or _conflict(view.truth, sent)
    return conflict or _not_a_member(view.truth, sent) or _ghost(view, sent)


def in_words_of_aws(reply: Any, view: View, sent: Sent) -> Any:
    """Return moto's *reply*; where it misses what *view* does not have, in the words of IAM."""
    if reply is None or reply[0] != HTTPStatus.NOT_FOUND:
        return reply
    for kind, name in sent.named:
        # moto has AWS's words for policies, and knows those of AWS, which have no versions here.
        if kind != "policy" and view.get((kind, name)) is None:
            return _missing(kind, name, sent)
    inline = _INLINE.fullmatch(sent.operation)
    if inline:
        return _missing(f"{inline[1].lower()} policy", sent.parameters["PolicyName"], sent)
    return reply


def _missing(kind: str, name: str, sent: Sent) -> Reply:
    """Say that IAM does not know a thing; whose a key is that it does not know, nobody may ask."""
    if kind == "policy" and sent.operation.startswith("Attach"):
        kind = "policy to attach"
    if sent.operation != "GetAccessKeyLastUsed":
        return refusal("iam", "NoSuchEntity", MISSING[kind].format(name), 404)
    who = f"User: {sent.access_key} is not authorized to perform iam:GetAccessKeyLastUsed"
    return refusal("iam", "AccessDenied", f"{who} on resource: access key {name}", 403)


def _principals(sent: Sent) -> list[str]:
    """Name the roles and users that the trust in *sent* lets in."""
    if sent.operation == "CreateRole":
        text = sent.parameters.get("AssumeRolePolicyDocument", "")
    elif sent.operation == "UpdateAssumeRolePolicy":
        text = sent.parameters.get("PolicyDocument", "")
    else:
        return []
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        return []  # whether it is a trust at all is another question
    found: list[Any] = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal") if isinstance(statement, dict) else None
        named = principal.get("AWS") if isinstance(principal, dict) else None
        found += named if isinstance(named, list) else [named]
    return [each for each in found if isinstance(each, str) and _PRINCIPAL.fullmatch(each)]


def _not_a_member(truth: View, sent: Sent) -> Reply | None:
    """Refuse to take a role out of a profile that does not hold it; moto breaks over that."""
    if sent.operation != "RemoveRoleFromInstanceProfile":
        return None
    name, role = sent.parameters["InstanceProfileName"], sent.parameters["RoleName"]
    profile = truth.get(("instance profile", name))
    known = profile is not None and truth.get(("role", role)) is not None
    if not known or role.casefold() in {each.name.casefold() for each in profile.roles}:
        return None
    words = f"Role {role} in Instance Profile {name} cannot be found."
    return refusal("iam", "NoSuchEntity", words, 404)


def _conflict(view: View, sent: Sent) -> Reply | None:
    """Refuse to delete what still has something on it, as far as the replica knows."""
    if not sent.operation.startswith("Delete") or len(sent.named) != 1:
        return None
    kind, name = view.versions.spelt(sent.named[0])
    thing = view.get((kind, name))
    if f"Delete{kind.title().replace(' ', '')}" != sent.operation or thing is None:
        return None
    words = next(_obstacles(view, kind, name, thing), None)
    return refusal("iam", "DeleteConflict", _CONFLICT.format(words), 409) if words else None


def _obstacles(view: View, kind: str, name: str, thing: Any) -> Iterator[str]:
    """Say what must be done before a thing can be deleted, in the order in which IAM asks for it.

    moto asks for less: it deletes users together with their keys.
    """
    profiles = view.of_kind("instance profile") if kind == "role" else ()
    held = any(name == role.name for profile in profiles for role in profile.roles)
    if held or bool(getattr(thing, "roles", ())):
        yield "remove roles from instance profile"
    yield from (words for attribute, words in _POLICIES if getattr(thing, attribute, None))
    if kind == "user" and any(key.user_name == name for key in view.of_kind("access key")):
        yield "delete access keys"
    yield from (words for attribute, words in _CREDENTIALS if getattr(thing, attribute, None))


def _ghost(view: View, sent: Sent) -> Reply | None:
    """Refuse a name that is not free yet, though nothing has it any more."""
    kind, name = sent.creates, sent.target
    if kind is None or not view.versions.is_ghost(kind, name, view.now):
        return None
    return refusal("iam", "EntityAlreadyExists", TAKEN[kind].format(name), 409)


def refused_by_sts(view: View, sent: Sent) -> Reply | None:
    """Return how STS refuses a role that it does not know, or `None`."""
    arn = sent.parameters.get("RoleArn", "")
    if sent.operation not in _ASSUME or not view.is_late_for(arn):
        return None
    words = _ASSUME[sent.operation].format(caller=sent.access_key, role=arn)
    return refusal("sts", "AccessDenied", words, 403)


def refused_for_key(view: View, sent: Sent) -> Reply | None:
    """Return how any service refuses an access key that it does not know or let in, or `None`."""
    key = ("access key", sent.access_key)
    known = view.get(key)
    if (known is None and not view.versions.has(key)) or getattr(known, "status", "") == "Active":
        return None
    words = "The security token included in the request is invalid."
    return refusal(sent.service, "InvalidClientTokenId", words, 403)


def refused_by_ec2(view: View, sent: Sent) -> Reply | None:
    """Return how EC2 refuses an instance profile that it does not know in full, or `None`."""
    given = ((_PROFILE.search(name), value) for name, value in sent.parameters.items())
    field, value = next(((found[1], value) for found, value in given if found), ("", ""))
    if not field:
        return None
    profile = view.get(("instance profile", value.split("/")[-1]))
    if profile is None:
        words = (
            f"Value ({value}) for parameter iamInstanceProfile.{field.lower()} is invalid. "
            f"Invalid IAM Instance Profile {'name' if field == 'Name' else 'ARN'}"
        )
    elif not any(view.get(("role", role.name)) for role in profile.roles):
        words = f'IAM Instance Profile "{profile.arn}" has no associated IAM Roles'
    else:
        return None
    return refusal("ec2", "InvalidParameterValue", words, 400)
