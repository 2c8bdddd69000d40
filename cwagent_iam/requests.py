"""Requests, outcomes and effects: the values that the core and the executor exchange.

The core is written as generators. They yield an `Effect`, and receive its result. `OPERATIONS` is
the table of every read and every write that this library can send to AWS.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

import attrs

if TYPE_CHECKING:
    from cwagent_iam.key_stores import KeyStore, NewAccessKey

T = TypeVar("T")

MAX_ATTEMPTS = 16
"""The maximum number of attempts of one request; more would prolong throttling."""

Service: TypeAlias = Literal["iam", "sts", "ec2", "secretsmanager", "ssm"]

Transient: TypeAlias = Literal["throttled", "failing", "unreachable"]
"""The kinds of transient failure: AWS throttled the request; AWS or the connection failed, so that
the request may have been carried out; or no connection was made, so that nothing was sent."""


@attrs.frozen(kw_only=True)
class Operation:
    """One row of the table: an AWS operation that this library sends.

    Attributes:
        name: The operation, as in AWS's documentation and in CloudTrail.
        touches: The data that it reads or writes, in words.
        resource: The resource part of the ARN that the caller needs permission for, with the names
            of arguments in braces; ``*`` if AWS does not support a resource.
        service: The service, by boto3's name. Default: ``iam``.
        reads: Whether it is a read, which changes nothing.
        repeatable: Whether it is idempotent: a second request leads to the same state.
        result: The member that every reply has; a reply without it does not come from AWS.
        also: Further permissions, as pairs of action and resource.
        secret: Whether its arguments or its reply hold a secret.
    """

    name: str
    touches: str
    resource: str
    service: Service = "iam"
    reads: bool = False
    repeatable: bool = True
    result: str = ""
    also: tuple[tuple[str, str], ...] = ()
    secret: bool = False

    @property
    def action(self) -> str:
        """The action in policies, such as ``iam:GetRole``."""
        return f"{self.service}:{self.name}"


_ROLE, _USER = "role/{RoleName}", "user/{UserName}"
_PROFILE = "instance-profile/{InstanceProfileName}"
_PARAMETER = "parameter/{Name}"
_SECRETS: Any = {"service": "secretsmanager"}
_NEW_KEY: Any = {"repeatable": False, "result": "AccessKey", "secret": True}
_ADD_ROLE: Any = {"repeatable": False, "also": (("iam:PassRole", _ROLE),)}


def _read(name: str, touches: str, resource: str, result: str = "", **more: Any) -> Operation:
    return Operation(
        name=name, touches=touches, resource=resource, result=result, reads=True, **more
    )


def _write(name: str, touches: str, resource: str, **more: Any) -> Operation:
    return Operation(name=name, touches=touches, resource=resource, **more)


def _create(name: str, touches: str, resource: str, result: str) -> Operation:
    tag = (name.replace("Create", "iam:Tag"), resource)
    return _write(name, touches, resource, result=result, repeatable=False, also=(tag,))


# Sources: the API references of the services, and for actions and resources the service
# authorization reference. GetLoginProfile returns NoSuchEntity for a user without a password.
OPERATIONS: Mapping[str, Operation] = {
    row.name: row
    for row in (
        _read("GetRole", "role, trust policy, tags", _ROLE, "Role"),
        _read("ListAttachedRolePolicies", "attachments", _ROLE, "AttachedPolicies"),
        _read("GetRolePolicy", "inline policy", _ROLE, "PolicyDocument"),
        _read("ListRolePolicies", "names of inline policies", _ROLE, "PolicyNames"),
        _read("ListInstanceProfilesForRole", "profiles of a role", _ROLE, "InstanceProfiles"),
        _read("GetUser", "user, tags", _USER, "User"),
        _read("ListAttachedUserPolicies", "attachments", _USER, "AttachedPolicies"),
        _read("GetUserPolicy", "inline policy", _USER, "PolicyDocument"),
        _read("ListUserPolicies", "names of inline policies", _USER, "PolicyNames"),
        _read("ListGroupsForUser", "groups of a user", _USER, "Groups"),
        _read("ListMFADevices", "MFA devices", _USER, "MFADevices"),
        _read("ListSigningCertificates", "signing certificates", _USER, "Certificates"),
        _read("ListSSHPublicKeys", "SSH public keys", _USER, "SSHPublicKeys"),
        _read("GetLoginProfile", "whether there is a password", _USER, "LoginProfile"),
        _read("ListServiceSpecificCredentials", "service-specific credentials", _USER),
        _read("ListAccessKeys", "access keys, without secrets", _USER, "AccessKeyMetadata"),
        _read("GetAccessKeyLastUsed", "owner and last use of a key", "user/*", "AccessKeyLastUsed"),
        _read("GetInstanceProfile", "profile, role in it, tags", _PROFILE, "InstanceProfile"),
        _read("ListPolicies", "names of the account's own policies", "*", "Policies"),
        _read("GetAccountSummary", "quotas", "*", "SummaryMap"),
        _read("GetAccessKeyInfo", "account of a key", "*", "Account", service="sts"),
        _read("GetCallerIdentity", "identity of the caller", "*", "Arn", service="sts"),
        # Only as a dry run: whether EC2 knows the profile.
        _read("RunInstances", "nothing", "*", service="ec2", also=(("iam:PassRole", "role/*"),)),
        _create("CreateRole", "role", _ROLE, "Role"),
        _write("UpdateRole", "description, session length", _ROLE),
        _write("UpdateAssumeRolePolicy", "trust policy", _ROLE),
        _write("PutRolePermissionsBoundary", "boundary", _ROLE),
        _write("DeleteRolePermissionsBoundary", "boundary", _ROLE),
        _write("PutRolePolicy", "inline policy", _ROLE),
        _write("DeleteRolePolicy", "inline policy", _ROLE),
        _write("TagRole", "tags", _ROLE),
        _write("AttachRolePolicy", "attachment", _ROLE),
        _write("DetachRolePolicy", "attachment", _ROLE),
        _write("DeleteRole", "role", _ROLE),
        _create("CreateUser", "user", _USER, "User"),
        _write("PutUserPermissionsBoundary", "boundary", _USER),
        _write("DeleteUserPermissionsBoundary", "boundary", _USER),
        _write("PutUserPolicy", "inline policy", _USER),
        _write("DeleteUserPolicy", "inline policy", _USER),
        _write("TagUser", "tags", _USER),
        _write("UntagUser", "tags", _USER),
        _write("AttachUserPolicy", "attachment", _USER),
        _write("DetachUserPolicy", "attachment", _USER),
        _write("DeleteUser", "user", _USER),
        _write("CreateAccessKey", "access key", _USER, **_NEW_KEY),
        _write("UpdateAccessKey", "status of a key", _USER),
        _write("DeleteAccessKey", "access key", _USER),
        _create("CreateInstanceProfile", "profile", _PROFILE, "InstanceProfile"),
        _write("TagInstanceProfile", "tags", _PROFILE),
        # After a lost reply, a second request returns LimitExceeded, also for the same role.
        _write("AddRoleToInstanceProfile", "role in the profile", _PROFILE, **_ADD_ROLE),
        _write("RemoveRoleFromInstanceProfile", "role in the profile", _PROFILE),
        _write("DeleteInstanceProfile", "profile", _PROFILE),
        _read("DescribeSecret", "names of versions", "secret:{SecretId}", **_SECRETS),
        _read("GetSecretValue", "value", "secret:{SecretId}", **_SECRETS, secret=True),
        # Both carry an idempotency token, so that Secrets Manager recognises a repeated request.
        _write("CreateSecret", "secret", "secret:{Name}", **_SECRETS, secret=True),
        _write("PutSecretValue", "value", "secret:{SecretId}", **_SECRETS, secret=True),
        # It follows the write of a secret, so that words of a proxy may quote what it saw there.
        _write(
            "UpdateSecretVersionStage",
            "current version",
            "secret:{SecretId}",
            **_SECRETS,
            secret=True,
        ),
        _read("GetParameter", "value", _PARAMETER, service="ssm", secret=True),
        _write("PutParameter", "value", _PARAMETER, repeatable=False, service="ssm", secret=True),
    )
}
"""Every read and every write that this library can send to AWS, by name."""


NAMED_BY = {"role": "RoleName", "user": "UserName", "instance-profile": "InstanceProfileName"}
"""The argument that names an entity, by its kind."""


@attrs.frozen
class Request:
    """One request: an operation with its arguments.

    Attributes:
        operation: The operation; a row of `OPERATIONS`.
        arguments: The arguments, as boto3 takes them.
        region: The Region to send it to; empty for that of the client.
    """

    operation: str
    arguments: Mapping[str, Any]
    region: str = ""

    @classmethod
    def of(cls, operation: str, **arguments: Any) -> Request:
        """Return a request; leave out arguments that are `None` or empty, except empty strings."""
        named = {name: value for name, value in arguments.items() if value or value == ""}
        return cls(operation, named)

    @property
    def row(self) -> Operation:
        """The row of its operation."""
        return OPERATIONS[self.operation]

    @property
    def resource(self) -> str:
        """The resource part of the ARN that it needs permission for, without the path, or ``*``."""
        return self.row.resource.format_map(self.arguments)

    @property
    def target(self) -> str:
        """The kind and name of the entity, such as ``role Agent``; ``account`` if there is none."""
        return "account" if self.resource == "*" else self.resource.replace("/", " ", 1)

    @property
    def permissions(self) -> frozenset[tuple[str, str]]:
        """The permissions that the caller needs, as pairs of action and resource."""
        also = ((action, text.format_map(self.arguments)) for action, text in self.row.also)
        return frozenset({(self.row.action, self.resource), *also})


@attrs.frozen(kw_only=True)
class Reply:
    """A successful reply of AWS.

    Attributes:
        content: The reply, as boto3 parses it.
        date: The date of the reply by AWS's clock, in seconds since 1970; `None` if it has none.
        unacknowledged: Whether the client repeated a request that is not repeatable, so that it
            may have been carried out twice.
        attempts: How many times the request was sent.
    """

    content: Mapping[str, Any]
    date: float | None = None
    unacknowledged: bool = False
    attempts: int = 1


@attrs.frozen(kw_only=True)
class Refusal:
    """A request that AWS refused or did not answer.

    Attributes:
        code: AWS's error code, such as ``NoSuchEntity``; `None` if no answer came.
        message: The message of AWS, or of the transport.
        status: The HTTP status; 0 if no answer came.
        request_id: AWS's id of the request; empty if no answer came.
        unacknowledged: Whether AWS may have carried out the request, in this attempt or before.
        transient: The kind of transient failure, once retries are exhausted; `None` otherwise.
        attempts: How many times the request was sent.
        seconds: How long that took, in seconds.
        error: The error that the SDK raised; not compared.
    """

    code: str | None
    message: str
    status: int = 0
    request_id: str = ""
    unacknowledged: bool = False
    transient: Transient | None = None
    attempts: int = 1
    seconds: float = 0.0
    error: BaseException | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def summary(self) -> str:
        """The code and the message, as in ``NoSuchEntity: Role not found.``."""
        return ": ".join(filter(None, [self.code, self.message]))


@attrs.frozen(kw_only=True)
class Unsent(Refusal):
    """A request that was not sent, because there were no usable credentials to sign it.

    Attributes:
        step: The step that failed, such as ``AssumeRole``; empty if the SDK does not name it.
    """

    step: str = ""


Outcome: TypeAlias = Reply | Refusal
"""The outcome of a request."""


@attrs.define(eq=False, slots=False)
class Interrupted(BaseException):
    """Raised into a generator when a `Send` was interrupted; ``__cause__`` is the interrupt.

    Attributes:
        requests: The requests of that `Send`. If the generator has yielded a later `Send`, that one
            was not performed.
        outcomes: The outcome of each request; `None` for one that was not sent.
    """

    requests: tuple[Request, ...]
    outcomes: tuple[Outcome | None, ...]


@attrs.frozen
class Send:
    """The effect of sending requests side by side; it returns their outcomes, in order.

    Attributes:
        requests: The requests.
        attempts: The maximum number of attempts of each request.
    """

    requests: tuple[Request, ...]
    attempts: int = MAX_ATTEMPTS


@attrs.frozen
class Wait:
    """The effect of a pause with jitter; it returns the seconds that were waited.

    Attributes:
        least: The shortest pause, in seconds.
        most: The longest pause, in seconds.
        reason: The reason for the pause, for events and logs.
    """

    least: float
    most: float
    reason: str


class EventLike(Protocol):
    """The part of an event that the executor needs; the events are in `cwagent_iam.events`."""

    @property
    def seconds(self) -> float:
        """How long the call has been running, in seconds."""


@attrs.frozen
class Emit:
    """The effect of logging an event and passing it to the caller; it returns nothing.

    Attributes:
        event: The event; the executor sets its ``seconds``.
    """

    event: EventLike


@attrs.frozen
class Hold:
    """The effect of asking a key store which key it holds; it returns a `Holding`.

    Attributes:
        store: The store.
        check: Whether the store is also asked if it could be written now.
    """

    store: KeyStore
    check: bool = False


@attrs.frozen(kw_only=True)
class Holding:
    """The answer of a key store.

    Attributes:
        access_key_id: The id of the key that it holds; `None` if it holds none.
        name: The name of the store, for errors.
        fingerprint: A hash that tells the store from others, for records of keys.
        readable: Whether the secret can be read back.
    """

    access_key_id: str | None
    name: str
    fingerprint: str
    readable: bool


@attrs.frozen
class Deliver:
    """The effect of writing a new access key to a store; it returns nothing.

    Attributes:
        store: The store.
        key: The key.
        replacing: The id of the key that the store held before; `None` if it held none.
    """

    store: KeyStore
    key: NewAccessKey
    replacing: str | None


@attrs.frozen(kw_only=True)
class Verify:
    """The effect of asking STS who signs with the key in a store; it returns the outcomes.

    The secret is read back from the store, if that is possible. If the store holds another key by
    now, the outcome is a refusal with the code `STORE_CHANGED`.

    Attributes:
        store: The store.
        access_key_id: The id of the key that the store should hold.
        key: The key, if it is new: its secret is used for a store that cannot be read back.
        region: The Region to ask; empty for that of the other clients.
        copies: How many times STS is asked, side by side.
    """

    store: KeyStore
    access_key_id: str
    key: NewAccessKey | None = None
    region: str = ""
    copies: int = 1


STORE_CHANGED = "StoreChanged"


@attrs.frozen
class Settle:
    """The effect of letting a store repair the settings of its readers; it returns an `Advice`.

    Attributes:
        store: The store, which holds a key that works.
    """

    store: KeyStore


Effect: TypeAlias = Send | Wait | Emit | Hold | Deliver | Verify | Settle
"""The closed union of effects."""

Steps: TypeAlias = Generator[Effect, Any, T]
"""A generator of effects that returns a `T`."""
