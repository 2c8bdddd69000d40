"""Parameter Store: an encrypted parameter of Systems Manager as a store for a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from cwagent_iam.arguments import plain
from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.requests import Refusal
from cwagent_iam.stores.arguments import fitting
from cwagent_iam.stores.services import Found, ServiceStore, as_json

if TYPE_CHECKING:
    from cwagent_iam.key_stores import NewAccessKey
    from cwagent_iam.requests import Service

_TYPE = "SecureString"


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

    name: str = attrs.field(
        converter=plain,
        kw_only=False,
        validator=fitting(
            r"[A-Za-z0-9/_.-]{1,1011}", "must be a name of 1 to 1011 letters, digits or /_.-"
        ),
    )

    @sealed
    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Write *key* as the newest version.

        Raises:
            StoreError: If it cannot be written, or another process has written to it.
        """
        found = self._read()
        if found.access_key_id != replacing:
            self._overtaken()
        outcome = self._ask(
            "PutParameter",
            Name=self.name,
            Value=as_json(key),
            Type=_TYPE,
            Overwrite=found.exists,
            KeyId=self.kms_key_id,
        )
        if isinstance(outcome, Refusal):
            # A request whose reply was lost may have been carried out.
            if not self._holds(key):
                self._failed("PutParameter", outcome)
        elif outcome.content["Version"] > found.version + outcome.attempts:
            self._overtaken()

    def __str__(self) -> str:
        """The name."""
        return f"parameter {self.name}"

    def _read(self) -> Found:
        outcome = self._ask("GetParameter", Name=self.name, WithDecryption=True)
        if isinstance(outcome, Refusal):
            if outcome.code == "ParameterNotFound":
                return Found(version=0, exists=False)
            self._failed("GetParameter", outcome)
        parameter = outcome.content["Parameter"]
        if parameter["Type"] != _TYPE:
            self._refuse(f"it is a {parameter['Type']}, which is not encrypted: name another store")
        return self._parse(parameter["Value"], parameter["Version"])
