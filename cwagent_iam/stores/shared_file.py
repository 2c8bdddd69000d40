"""The shared credentials file of AWS's tools as a store for a key."""

from __future__ import annotations

import logging
import platform
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.arguments import plain, plain_if_named, reject
from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.errors import StoreError
from cwagent_iam.key_stores import Advice, SecretAccessKey
from cwagent_iam.stores.arguments import at_home, fitting, seconds
from cwagent_iam.stores.common_config import CommonConfig
from cwagent_iam.stores.ini import ID, SECRET, UnfitError, key_in, with_key
from cwagent_iam.stores.whole_file import WholeFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cwagent_iam.key_stores import NewAccessKey

_log = logging.getLogger("cwagent_iam")
_PROFILE = r"(?!DEFAULT$)(?!\s)[^\x00-\x1f\x7f\[\]\"']{1,255}(?<!\s)"
_REGION = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"
_SHARED = "others than its owner may read it"
_RESTART = "Restart the agent, unless its common-config.toml names this profile and file."
_RESTART_ONCE = "Restart the agent this once: {} has just been pointed at the profile."
_SAMPLE = {ID: "A" * 20, SECRET: "A" * 40}
_ENCODING = ("utf-8", "surrogateescape")  # keeps the bytes of any other encoding


def _check_config(_: object, __: object, value: Any) -> None:
    if value is not None and not isinstance(value, CommonConfig):
        reject("common_config", value, "must be a CommonConfig, or None")


@attrs.frozen
class SharedCredentialsFile:
    """A profile in a credentials file, as the agent, the AWS CLI and the SDKs read them.

    What else is in the file stays as it is, byte for byte. It is replaced whole, is for its owner
    alone from then on, and a link is not followed.

    Attributes:
        path: The file; its folder must exist. A ``~`` at the beginning is the user's home.
        profile: The profile; the agent's own name for it on servers outside EC2 by default.
        region: The region to write into the profile; `None` leaves that alone.
        common_config: The agent's settings, to be pointed at this profile; `None` leaves them
            alone, and then the agent must be started again to notice a new key.
        lock_timeout: How long to wait for another writer, in seconds.

    Raises:
        IntentError: When an argument is nonsense.
    """

    path: Path = attrs.field(converter=at_home)
    profile: str = attrs.field(
        default="AmazonCloudWatchAgent",
        converter=plain,
        validator=fitting(
            _PROFILE, "must be a name without brackets, quotes, line breaks or blanks around it"
        ),
    )
    region: str | None = attrs.field(
        default=None,
        converter=plain_if_named,
        validator=fitting(_REGION, "must be a region such as 'eu-west-1'", optional=True),
    )
    common_config: CommonConfig | None = attrs.field(
        default=None, kw_only=True, validator=_check_config
    )
    lock_timeout: float = attrs.field(default=10.0, kw_only=True, validator=seconds)

    @property
    def identity(self) -> str:
        """The host, the absolute path and the profile."""
        return f"{platform.node()} {self.path.absolute()} {self.profile}"

    @sealed
    def held(self) -> str | None:
        """Return the id of the key in the profile; `None` if it has none.

        Raises:
            StoreError: If the file cannot be read.
        """
        with self._naming_itself():
            return key_in(self._text(), self.profile)[0]

    @sealed
    def secret(self) -> SecretAccessKey | None:
        """Return the secret of the key in the profile; `None` if it has none.

        Raises:
            StoreError: If the file cannot be read.
        """
        with self._naming_itself():
            secret = key_in(self._text(), self.profile)[1]
            return SecretAccessKey(secret) if secret else None

    @sealed
    def check(self) -> None:
        """Do all that writing does, but for replacing the file.

        Raises:
            StoreError: When the file could not be written.
        """
        with self._file.locked():
            self._file.try_out(self._edited(_SAMPLE))
        if self.common_config:
            self.common_config.check(self.profile, self.path.absolute())

    @sealed
    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Put *key* into the profile; it is on disk when this returns.

        Raises:
            StoreError: When the file cannot be written, or its key is not *replacing*, and is as it
                was; or, as it says then, when it is replaced and may not be on the disk.
        """
        with self._file.locked():
            self._warn_if_shared()
            held = self.held()
            if held != replacing:
                problem = f"it holds {held or 'no key'} by now, where {replacing or 'none'} was"
                raise StoreError(store=str(self), problem=problem)
            self._replace({ID: key.access_key_id, SECRET: key.secret.reveal()})

    @sealed
    def settle(self) -> Advice:
        """Write the Region, and point the agent's settings at the profile, if these are given.

        Returns:
            The steps that are left for the caller.

        Raises:
            StoreError: If one of the files cannot be written.
        """
        if self.held() and self._edited({}) != self._file.read():
            with self._file.locked():
                self._warn_if_shared()
                self._replace({})
        config, changed, restart = self.common_config, False, _RESTART
        if config:
            changed = config.point_at(self.profile, self.path.absolute())
            restart = _RESTART_ONCE.format(config) if changed else ""
        shared = f"{self}: {_SHARED}; remove their permission." if self._file.shared else ""
        text = " ".join(filter(None, [restart, shared]))
        return Advice(text, rereads=config is not None, redirected=changed)

    def __str__(self) -> str:
        """The profile and the file."""
        return f"profile {self.profile} in {self.path}"

    @property
    def _file(self) -> WholeFile:
        return WholeFile(self.path, self.lock_timeout)

    def _warn_if_shared(self) -> None:
        """Warn before any frame holds a secret: error trackers keep the frames of warnings."""
        if self._file.shared:
            _log.warning("%s: %s; their permission is removed now", self, _SHARED)

    def _replace(self, values: dict[str, str]) -> None:
        self._file.replace(self._edited(values))

    def _edited(self, values: dict[str, str]) -> bytes:
        """Return the file as it is to be."""
        wanted = values | ({"region": self.region} if self.region else {})
        if not wanted:
            return self._file.read()
        with self._naming_itself():
            return with_key(self._text(), self.profile, wanted).encode(*_ENCODING)

    def _text(self) -> str:
        return self._file.read().decode(*_ENCODING)

    @contextmanager
    def _naming_itself(self) -> Iterator[None]:
        try:
            yield
        except UnfitError as error:
            raise StoreError(store=str(self), problem=str(error)) from None
