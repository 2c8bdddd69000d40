"""A secret of Secrets Manager as a place for a key."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import attrs
from cwagent_iam.credentials.arguments import fitting, kms_key
from cwagent_iam.credentials.sealing import sealed
from cwagent_iam.credentials.written import as_json, ask, holds, id_in, refused

from cwagent_iam.arguments import plain, plain_if_named
from cwagent_iam.errors import StoreError
from cwagent_iam.requests import Refusal, Reply

if TYPE_CHECKING:
    from cwagent_iam.credentials.secret import NewAccessKey

    from cwagent_iam.aws import AWSSession

_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"
_MISS = "ResourceNotFoundException"


@attrs.frozen(kw_only=True)
class _Found:
    """What is there: a secret, perhaps, and in it a version, perhaps, and in that a key."""

    held: str | None = None
    version: str | None = None
    exists: bool = True


@attrs.frozen(kw_only=True)
class SecretsManagerSecret:
    """A secret whose value is JSON with three members.

    These are ``access_key_id``, ``secret_access_key`` and ``user_name``. A new key is written as a
    pending version, which becomes the current one in one step, and only in place of the one
    that it is meant to replace; that one can still be read as the previous version.

    Attributes:
        name: The name.
        kms_key_id: The key to encrypt a new secret with; the account's default if `None`.
        session: The session whose credentials and region are used; boto3's default if `None`.

    Raises:
        IntentError: When an argument is nonsense.
    """

    name: str = attrs.field(
        converter=plain,
        kw_only=False,
        validator=fitting(
            r"[A-Za-z0-9/_+=.@-]{1,512}", "must be a name of 1 to 512 letters, digits or /_+=.@-"
        ),
    )
    kms_key_id: str | None = attrs.field(default=None, converter=plain_if_named, validator=kms_key)
    session: AWSSession | None = attrs.field(default=None, repr=False, eq=False)

    @sealed
    def held(self) -> str | None:
        """Return the id of the key in the current version; `None` if there is no such version.

        Raises:
            StoreError: When it cannot be read, or holds something else.
        """
        return self._read().held

    @sealed
    def check(self) -> None:
        """See whether it can be read; AWS does not tell beforehand whether it can be written.

        Raises:
            StoreError: When it cannot be read, or holds something else.
        """
        self._read()

    @sealed
    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Make *key* the current version.

        Raises:
            StoreError: When it cannot be written, or somebody else has written it.
        """
        found = self._read()
        if found.held != replacing:
            problem = "somebody else has written to it meanwhile"
            raise StoreError(store=str(self), problem=problem)
        try:
            self._write(key, found)
        except StoreError as error:
            # A request whose reply was lost may have been carried out.
            if not holds(self, key):
                raise error from None

    def __str__(self) -> str:
        """The name."""
        return f"secret {self.name}"

    def _read(self) -> _Found:
        found = ask(self.session, "GetSecretValue", SecretId=self.name, VersionStage=_CURRENT)
        if isinstance(found, Reply):
            held = id_in(self, found.content.get("SecretString", ""))
            return _Found(held=held, version=found.content["VersionId"])
        if found.code != _MISS:
            raise refused(self, "GetSecretValue", found)
        about = ask(self.session, "DescribeSecret", SecretId=self.name)
        if isinstance(about, Reply):
            return _Found()
        if about.code != _MISS:
            raise refused(self, "DescribeSecret", about)
        return _Found(exists=False)

    def _write(self, key: NewAccessKey, found: _Found) -> None:
        # Derived from the key, so that botocore may repeat the request: it is the same version.
        new = str(uuid.uuid5(uuid.NAMESPACE_URL, key.access_key_id))
        value = {"SecretString": as_json(key), "ClientRequestToken": new}
        if not found.exists:
            self._send("CreateSecret", Name=self.name, **value, KmsKeyId=self.kms_key_id)
            return
        self._send("PutSecretValue", SecretId=self.name, VersionStages=[_PENDING], **value)
        # AWS refuses it if another version has become the current one. The first of all is the
        # current one by itself, and the refusal does no harm then.
        self._send(
            "UpdateSecretVersionStage",
            SecretId=self.name,
            VersionStage=_CURRENT,
            MoveToVersionId=new,
            RemoveFromVersionId=found.version,
        )

    def _send(self, operation: str, **members: Any) -> None:
        outcome = ask(self.session, operation, **members)
        if isinstance(outcome, Refusal):
            raise refused(self, operation, outcome)
