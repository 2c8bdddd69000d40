"""Stores in services of AWS: how an access key is encoded, read and written there."""

from __future__ import annotations

import abc
import json
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from cwagent_iam.arguments import plain_if_named
from cwagent_iam.aws.clients import Clients
from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.errors import StoreError
from cwagent_iam.executor.transport import Transport
from cwagent_iam.key_stores import SecretAccessKey
from cwagent_iam.propagation import Propagation
from cwagent_iam.requests import OPERATIONS, Request
from cwagent_iam.stores.arguments import kms_key

if TYPE_CHECKING:
    from typing import NoReturn

    from cwagent_iam.aws import AWSSession
    from cwagent_iam.key_stores import NewAccessKey
    from cwagent_iam.requests import Outcome, Refusal, Service

_ID, _SECRET, _USER = "access_key_id", "secret_access_key", "user_name"


@attrs.frozen(kw_only=True)
class Found:
    """The content of a store: a key, if there is one.

    Attributes:
        access_key_id: The id of the key; `None` if there is none.
        secret: Its secret.
        version: The version that holds it; empty if there is none.
        exists: Whether the store exists in AWS.
    """

    access_key_id: str | None = None
    secret: SecretAccessKey | None = None
    version: Any = ""
    exists: bool = True


@attrs.frozen(kw_only=True)
class ServiceStore:
    """A store in a service of AWS, whose value is JSON with three members.

    Attributes:
        kms_key_id: The KMS key to encrypt with. Default: the account's default key.
        session: The session whose credentials and Region are used. Default: boto3's default
            session.
    """

    service: ClassVar[Service]

    name: str
    kms_key_id: str | None = attrs.field(default=None, converter=plain_if_named, validator=kms_key)
    session: AWSSession | None = attrs.field(default=None, repr=False, eq=False)
    _clients: Clients = attrs.field(init=False, repr=False, eq=False)

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
            StoreError: If it cannot be read, or holds something else.
        """
        return self._read().access_key_id

    @sealed
    def secret(self) -> SecretAccessKey | None:
        """Return the secret of the key that it holds; `None` if it holds none.

        Raises:
            StoreError: If it cannot be read, or holds something else.
        """
        return self._read().secret

    @sealed
    def check(self) -> None:
        """Check whether it can be read. AWS does not tell beforehand whether it can be written.

        Raises:
            StoreError: If it cannot be read, or holds something else.
        """
        self._read()

    @abc.abstractmethod
    def _read(self) -> Found:
        """Read the key and its version."""

    def _holds(self, key: NewAccessKey) -> bool:
        """Return whether it certainly holds *key*; `False` if it cannot be read."""
        try:
            return self._read().access_key_id == key.access_key_id
        except StoreError:
            return False

    def _ask(self, operation: str, **arguments: Any) -> Outcome:
        """Send a request, without events: the frames may hold the secret."""
        transport = Transport(self._clients, Propagation(), lambda *_: None)
        (outcome,) = transport.send((Request.of(operation, **arguments),))
        return outcome

    def _parse(self, text: str, version: Any) -> Found:
        """Return the key in *text*, as `as_json` encodes it.

        Raises:
            StoreError: If another program wrote *text*. It is not overwritten.
        """
        try:
            members: Any = json.loads(text)
        except ValueError:
            members = None
        if not isinstance(members, dict) or members.keys() != {_ID, _SECRET, _USER}:
            self._refuse("it holds something other than an access key: name another store")
        if not (members[_ID] and members[_SECRET]):
            return Found(version=version)
        secret = SecretAccessKey(members[_SECRET])
        return Found(access_key_id=members[_ID], secret=secret, version=version)

    def _failed(self, operation: str, refusal: Refusal) -> NoReturn:
        """Raise an error with AWS's message; only with its code if that may quote the secret."""
        row = OPERATIONS[operation]
        quotes = row.secret and not row.reads and refusal.code != "AccessDeniedException"
        words = (quotes and refusal.code) or refusal.summary
        self._refuse(f"{operation} failed: {words}")

    def _overtaken(self) -> NoReturn:
        self._refuse("another process has written to it meanwhile")

    def _refuse(self, problem: str) -> NoReturn:
        raise StoreError(store=str(self), problem=problem)


def as_json(key: NewAccessKey) -> str:
    """Return *key* as an object with its id, its secret and the name of its user."""
    members = {_ID: key.access_key_id, _SECRET: key.secret.reveal(), _USER: key.user_name}
    return json.dumps(members)
