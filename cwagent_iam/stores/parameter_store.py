"""A parameter of Systems Manager, encrypted, as a place for a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from cwagent_iam.credentials.arguments import fitting, kms_key
from cwagent_iam.credentials.sealing import sealed
from cwagent_iam.credentials.written import as_json, ask, holds, id_in, refused

from cwagent_iam.arguments import plain, plain_if_named
from cwagent_iam.errors import StoreError
from cwagent_iam.requests import Refusal

if TYPE_CHECKING:
    from cwagent_iam.credentials.secret import NewAccessKey

    from cwagent_iam.aws import AWSSession

_TYPE = "SecureString"


@attrs.frozen(kw_only=True)
class ParameterStoreSecret:
    """A parameter of the type SecureString; its value is JSON with three members.

    These are ``access_key_id``, ``secret_access_key`` and ``user_name``. A parameter is written as
    a whole, so that nobody ever reads half; but of two who write at once the later one wins, and
    the other learns it too late.

    Attributes:
        name: The name, with its path.
        kms_key_id: The key to encrypt with; the account's default if `None`.
        session: The session whose credentials and region are used; boto3's default if `None`.

    Raises:
        IntentError: When an argument is nonsense.
    """

    name: str = attrs.field(
        converter=plain,
        kw_only=False,
        validator=fitting(
            r"[A-Za-z0-9/_.-]{1,1011}", "must be a name of 1 to 1011 letters, digits or /_.-"
        ),
    )
    kms_key_id: str | None = attrs.field(default=None, converter=plain_if_named, validator=kms_key)
    session: AWSSession | None = attrs.field(default=None, repr=False, eq=False)

    @sealed
    def held(self) -> str | None:
        """Return the id of the key in the parameter; `None` if there is no parameter.

        Raises:
            StoreError: When it cannot be read, or holds something else.
        """
        return self._read()[0]

    @sealed
    def check(self) -> None:
        """See whether it can be read; AWS does not tell beforehand whether it can be written.

        Raises:
            StoreError: When it cannot be read, or holds something else.
        """
        self._read()

    @sealed
    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Write *key* as the newest version.

        Raises:
            StoreError: When it cannot be written, or somebody else has written it.
        """
        held, version = self._read()
        if held != replacing:
            self._overtaken()
        outcome = ask(
            self.session,
            "PutParameter",
            Name=self.name,
            Value=as_json(key),
            Type=_TYPE,
            Overwrite=version > 0,
            KeyId=self.kms_key_id,
        )
        if isinstance(outcome, Refusal):
            # A request whose reply was lost may have been carried out.
            if not holds(self, key):
                raise refused(self, "PutParameter", outcome)
        elif outcome.content["Version"] > version + outcome.attempts:
            self._overtaken()

    def __str__(self) -> str:
        """The name."""
        return f"parameter {self.name}"

    def _read(self) -> tuple[str | None, int]:
        """Return the id of the key in it, and its version; 0 if there is none."""
        outcome = ask(self.session, "GetParameter", Name=self.name, WithDecryption=True)
        if isinstance(outcome, Refusal):
            if outcome.code == "ParameterNotFound":
                return None, 0
            raise refused(self, "GetParameter", outcome)
        found = outcome.content["Parameter"]
        if found["Type"] != _TYPE:
            problem = f"it is a {found['Type']}, which is not encrypted: name another place"
            raise StoreError(store=str(self), problem=problem)
        return id_in(self, found["Value"]), found["Version"]

    def _overtaken(self) -> None:
        problem = "somebody else has written to it meanwhile"
        raise StoreError(store=str(self), problem=problem)
