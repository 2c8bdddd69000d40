"""Secrets Manager: a secret as a store for a key."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from cwagent_iam.arguments import plain
from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.errors import StoreError
from cwagent_iam.requests import Refusal, Reply
from cwagent_iam.stores.arguments import fitting
from cwagent_iam.stores.services import Found, ServiceStore, as_json

if TYPE_CHECKING:
    from cwagent_iam.key_stores import NewAccessKey
    from cwagent_iam.requests import Service

_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"
_MISS = "ResourceNotFoundException"


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

    name: str = attrs.field(
        converter=plain,
        kw_only=False,
        validator=fitting(
            r"[A-Za-z0-9/_+=.@-]{1,512}", "must be a name of 1 to 512 letters, digits or /_+=.@-"
        ),
    )

    @sealed
    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Make *key* the current version.

        Raises:
            StoreError: If it cannot be written, or another process has written to it.
        """
        found = self._read()
        if found.access_key_id != replacing:
            self._overtaken()
        try:
            self._write(key, found)
        except StoreError as error:
            # A request whose reply was lost may have been carried out.
            if not self._holds(key):
                raise error from None

    def __str__(self) -> str:
        """The name."""
        return f"secret {self.name}"

    def _read(self) -> Found:
        found = self._ask("GetSecretValue", SecretId=self.name, VersionStage=_CURRENT)
        if isinstance(found, Reply):
            return self._parse(found.content.get("SecretString", ""), found.content["VersionId"])
        if found.code != _MISS:
            self._failed("GetSecretValue", found)
        about = self._ask("DescribeSecret", SecretId=self.name)
        if isinstance(about, Refusal) and about.code != _MISS:
            self._failed("DescribeSecret", about)
        return Found(version=None, exists=isinstance(about, Reply))

    def _write(self, key: NewAccessKey, found: Found) -> None:
        # Derived from the key, so that botocore may repeat the request: it is the same version.
        new = str(uuid.uuid5(uuid.NAMESPACE_URL, key.access_key_id))
        value = {"SecretString": as_json(key), "ClientRequestToken": new}
        if not found.exists:
            self._send("CreateSecret", Name=self.name, **value, KmsKeyId=self.kms_key_id)
            return
        self._send("PutSecretValue", SecretId=self.name, VersionStages=[_PENDING], **value)
        # AWS refuses it if another version has become the current one. The first version of all is
        # the current one by itself; then the refusal does no harm.
        self._send(
            "UpdateSecretVersionStage",
            SecretId=self.name,
            VersionStage=_CURRENT,
            MoveToVersionId=new,
            RemoveFromVersionId=found.version,
        )

    def _send(self, operation: str, **members: Any) -> None:
        outcome = self._ask(operation, **members)
        if isinstance(outcome, Refusal):
            self._failed(operation, outcome)
