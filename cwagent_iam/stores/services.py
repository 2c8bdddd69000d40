"""Stores in AWS services: Secrets Manager and Parameter Store."""

from __future__ import annotations

import abc
import json
import re
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from cwagent_iam.arguments import plain, plain_if_named
from cwagent_iam.aws.clients import Clients
from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.errors import StoreError
from cwagent_iam.executor.transport import Transport
from cwagent_iam.key_stores import SecretAccessKey
from cwagent_iam.propagation import Propagation
from cwagent_iam.requests import OPERATIONS, Refusal, Reply, Request
from cwagent_iam.stores.arguments import matches

if TYPE_CHECKING:
    from typing import NoReturn

    from cwagent_iam.aws import AWSSession
    from cwagent_iam.key_stores import NewAccessKey
    from cwagent_iam.requests import Service

_ID, _SECRET, _USER = "access_key_id", "secret_access_key", "user_name"
_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"
_ENCRYPTED = "SecureString"


@attrs.frozen(kw_only=True)
class Found:
    """The content of a store: an access key, if there is one.

    Attributes:
        access_key_id: The id of the key; `None` if there is none.
        secret: Its secret.
        version: The current version of the store; `None` or 0 if there is none.
        exists: Whether the store exists in AWS.
    """

    access_key_id: str | None = None
    secret: SecretAccessKey | None = None
    version: Any
    exists: bool = True


@attrs.frozen(kw_only=True)
class ServiceStore:
    """A store in an AWS service, whose value is JSON with three members."""

    service: ClassVar[Service]
    _noun: ClassVar[str]
    _missing: ClassVar[str]  # AWS's error code for an unknown name
    _longest: ClassVar[int]  # the maximum length of a name
    _punctuation: ClassVar[str]  # allowed in a name, besides letters and digits

    kms_key_id: str | None = attrs.field(
        default=None,
        converter=plain_if_named,
        validator=matches(r"\S+", "must be the id, ARN or alias of a KMS key", optional=True),
    )
    session: AWSSession | None = attrs.field(default=None, repr=False, eq=False)
    name: str = attrs.field(converter=plain, kw_only=False)
    _clients: Clients = attrs.field(init=False, repr=False, eq=False)

    @name.validator
    def _check_name(self, attribute: Any, value: object) -> None:
        pattern = rf"[A-Za-z0-9{re.escape(self._punctuation)}]{{1,{self._longest}}}"
        rule = f"must be a name of 1 to {self._longest} letters, digits or {self._punctuation}"
        matches(pattern, rule)(self, attribute, value)

    @_clients.default
    def _new_clients(self) -> Clients:
        return Clients(self.session)

    @property
    def identity(self) -> str:
        """The service, the Region and the name."""
        region = self._clients.of(self.service).meta.region_name
        return f"{self.service} {region} {self.name}"

    @sealed
    def held(self) -> str | None:
        """Return the id of the key that it holds; `None` if it holds none.

        Raises:
            StoreError: If it cannot be read, or holds something other than a key.
        """
        return self._read().access_key_id

    @sealed
    def secret(self) -> SecretAccessKey | None:
        """Return the secret of the key that it holds; `None` if it holds none.

        Raises:
            StoreError: If it cannot be read, or holds something other than a key.
        """
        return self._read().secret

    @sealed
    def check(self) -> None:
        """Check whether it can be read. AWS does not tell beforehand whether it can be written.

        Raises:
            StoreError: If it cannot be read, or holds something other than a key.
        """
        self._read()

    @sealed
    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Write *key* as the current version.

        Raises:
            StoreError: If it cannot be written, or another process has written to it.
        """
        found = self._read()
        try:
            overtaken = found.access_key_id != replacing or self._write(key, found)
        except StoreError:
            # A request whose reply was lost may have been carried out.
            with suppress(StoreError):
                if self._read().access_key_id == key.access_key_id:
                    return
            raise
        if overtaken:
            self._refuse("another process has written to it meanwhile: run one writer at a time")

    def __str__(self) -> str:
        """Return the kind of the store and its name."""
        return f"{self._noun} {self.name}"

    @abc.abstractmethod
    def _read(self) -> Found:
        """Read the key and its version."""

    @abc.abstractmethod
    def _write(self, key: NewAccessKey, found: Found) -> bool:
        """Write the key; return whether another process has written since the read."""

    def _ask(self, operation: str, **arguments: Any) -> Reply | None:
        """Send a request; return `None` if it is a read and AWS does not know the name."""
        # Pauses emit no event: error trackers keep the frames of its log record, with the secret.
        transport = Transport(self._clients, Propagation(), lambda *_: None)
        (outcome,) = transport.send((Request.of(operation, **arguments),))
        row = OPERATIONS[operation]
        if isinstance(outcome, Refusal) and not (row.reads and outcome.code == self._missing):
            # The message about a write may quote the secret.
            quotes = row.secret and not row.reads and outcome.code != "AccessDeniedException"
            words = (quotes and outcome.code) or outcome.summary
            self._refuse(f"{operation} failed: {words}")
        return outcome if isinstance(outcome, Reply) else None

    def _parse(self, text: str, version: Any) -> Found:
        """Return the key in *text*; refuse the value of another program, so that it is kept."""
        try:
            members: Any = json.loads(text)
        except ValueError:
            members = None
        if not isinstance(members, dict) or members.keys() != {_ID, _SECRET, _USER}:
            self._refuse("it holds something other than an access key: use another name")
        if not (members[_ID] and members[_SECRET]):
            return Found(version=version)
        secret = SecretAccessKey(members[_SECRET])
        return Found(access_key_id=members[_ID], secret=secret, version=version)

    def _refuse(self, problem: str) -> NoReturn:
        raise StoreError(store=str(self), problem=problem)


@attrs.frozen(kw_only=True)
class SecretsManagerSecret(ServiceStore):
    """A secret whose value is JSON with three members.

    These are ``access_key_id``, ``secret_access_key`` and ``user_name``. A new key is written as a
    pending version. It becomes the current version in one step, and only in place of the version
    that it replaces, which can still be read as the previous version.

    Attributes:
        name: The name: 1 to 512 letters, digits or ``/_+=.@-``.
        kms_key_id: The KMS key to encrypt a new secret with. Default: the account's default key.
        session: The session whose credentials and Region are used. Default: boto3's default
            session.

    Raises:
        IntentError: If an argument is invalid.
    """

    service: ClassVar[Service] = "secretsmanager"
    _noun: ClassVar[str] = "secret"
    _missing: ClassVar[str] = "ResourceNotFoundException"
    _longest: ClassVar[int] = 512
    _punctuation: ClassVar[str] = "/_+=.@-"

    def _read(self) -> Found:
        current = self._ask("GetSecretValue", SecretId=self.name, VersionStage=_CURRENT)
        if current is not None:
            content = current.content
            return self._parse(content.get("SecretString", ""), content["VersionId"])
        described = self._ask("DescribeSecret", SecretId=self.name)
        return Found(version=None, exists=described is not None)

    def _write(self, key: NewAccessKey, found: Found) -> bool:
        # Derived from the key, so that a repeated request creates no second version.
        new = str(uuid.uuid5(uuid.NAMESPACE_URL, key.access_key_id))
        if not found.exists:
            self._ask(
                "CreateSecret",
                Name=self.name,
                SecretString=_as_json(key),
                ClientRequestToken=new,
                KmsKeyId=self.kms_key_id,
            )
            return False
        self._ask(
            "PutSecretValue",
            SecretId=self.name,
            SecretString=_as_json(key),
            ClientRequestToken=new,
            VersionStages=[_PENDING],
        )
        # AWS refuses this if another version has become the current one. The first version of a
        # secret becomes current by itself; then the refusal does no harm.
        self._ask(
            "UpdateSecretVersionStage",
            SecretId=self.name,
            VersionStage=_CURRENT,
            MoveToVersionId=new,
            RemoveFromVersionId=found.version,
        )
        return False


@attrs.frozen(kw_only=True)
class ParameterStoreSecret(ServiceStore):
    """A parameter of the type SecureString; its value is JSON with three members.

    These are ``access_key_id``, ``secret_access_key`` and ``user_name``. A parameter is written as
    a whole. If two processes write simultaneously, the later one wins, and the other notices
    afterwards.

    Attributes:
        name: The name, with its path: 1 to 1,011 letters, digits or ``/_.-``.
        kms_key_id: The KMS key to encrypt with. Default: the account's default key.
        session: The session whose credentials and Region are used. Default: boto3's default
            session.

    Raises:
        IntentError: If an argument is invalid.
    """

    service: ClassVar[Service] = "ssm"
    _noun: ClassVar[str] = "parameter"
    _missing: ClassVar[str] = "ParameterNotFound"
    _longest: ClassVar[int] = 1011
    _punctuation: ClassVar[str] = "/_.-"

    def _read(self) -> Found:
        reply = self._ask("GetParameter", Name=self.name, WithDecryption=True)
        if reply is None:
            return Found(version=0, exists=False)
        parameter = reply.content["Parameter"]
        if parameter["Type"] != _ENCRYPTED:
            self._refuse(f"it is a {parameter['Type']}, which is not encrypted: use another name")
        return self._parse(parameter["Value"], parameter["Version"])

    def _write(self, key: NewAccessKey, found: Found) -> bool:
        reply = self._ask(
            "PutParameter",
            Name=self.name,
            Value=_as_json(key),
            Type=_ENCRYPTED,
            Overwrite=found.exists,
            KeyId=self.kms_key_id,
        )
        # Each attempt may have created a version.
        return reply is not None and reply.content["Version"] > found.version + reply.attempts


def _as_json(key: NewAccessKey) -> str:
    members = {_ID: key.access_key_id, _SECRET: key.secret.reveal(), _USER: key.user_name}
    return json.dumps(members)
