"""The shared credentials file of the AWS tools as a store for a key."""

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
from cwagent_iam.stores.arguments import check_seconds, matches, to_path
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
_SHARED = "its permissions let other users access it"
_RESTART = "Restart the agent, unless its common-config.toml names this profile and file."
_RESTART_ONCE = "Restart the agent this once: {} has just been pointed at the profile."
_SAMPLE = {ID: "A" * 20, SECRET: "A" * 40}
_ENCODING = ("utf-8", "surrogateescape")  # keeps the bytes of any other encoding


def _check_config(_: object, attribute: Any, value: object) -> None:
    if value is not None and not isinstance(value, CommonConfig):
        reject(attribute.name, value, "must be a CommonConfig, or None")


@attrs.frozen
class SharedCredentialsFile:
    """A profile in a credentials file that the agent, the AWS CLI and the SDKs read.

    All other bytes of the file stay unchanged. A write replaces the file as a whole, and leaves
    access to its owner only. A symbolic link is refused.

    Attributes:
        path: The file; its folder must exist. A leading ``~`` is the user's home directory.
        profile: The profile: 1 to 255 characters without brackets, quotes, control characters or
            outer blanks; not ``DEFAULT``. Default: ``AmazonCloudWatchAgent``, which the agent uses
            on servers outside EC2.
        region: The Region to write to the profile. Default: `None`, which changes no Region.
        common_config: The agent's settings, which `settle` points at this profile. Default: `None`,
            which changes no settings; then the agent notices a new key only after a restart.
        lock_timeout: How long to wait for another writer, in seconds; 0 or more. Default: 10.

    Raises:
        IntentError: If an argument is invalid.
    """

    path: Path = attrs.field(converter=to_path)
    profile: str = attrs.field(
        default="AmazonCloudWatchAgent",
        converter=plain,
        validator=matches(
            _PROFILE, "must be a name without brackets, quotes, line breaks or outer blanks"
        ),
    )
    region: str | None = attrs.field(
        default=None,
        converter=plain_if_named,
        validator=matches(_REGION, "must be a Region such as 'eu-west-1'", optional=True),
    )
    common_config: CommonConfig | None = attrs.field(
        default=None, kw_only=True, validator=_check_config
    )
    lock_timeout: float = attrs.field(default=10.0, kw_only=True, validator=check_seconds)

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
        with self._text() as text:
            return key_in(text, self.profile)[0]

    @sealed
    def secret(self) -> SecretAccessKey | None:
        """Return the secret of the key in the profile; `None` if it has none.

        Raises:
            StoreError: If the file cannot be read.
        """
        with self._text() as text:
            secret = key_in(text, self.profile)[1]
            return SecretAccessKey(secret) if secret else None

    @sealed
    def check(self) -> None:
        """Perform all steps of `write`, except for the replacement of the file.

        Raises:
            StoreError: If the file, or that of *common_config*, could not be written.
        """
        with self._file.locked():
            self._file.try_out(self._edited(_SAMPLE))
        if self.common_config:
            self.common_config.check(self.profile, self.path.absolute())

    @sealed
    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Write *key* to the profile; it is on disk when this returns.

        Raises:
            StoreError: If the file cannot be written, or holds another key than *replacing*. The
                file stays unchanged, unless the error says that it is replaced and may not be on
                disk.
        """
        with self._locked():
            # The error does not quote the id, because a secret may stand in its place.
            if self.held() != replacing:
                problem = "another process has written to it: run one writer at a time"
                raise StoreError(store=str(self), problem=problem)
            self._file.replace(self._edited({ID: key.access_key_id, SECRET: key.secret.reveal()}))

    @sealed
    def settle(self) -> Advice:
        """Write the Region, and point the agent's settings at the profile, if they are given.

        Returns:
            The steps that are left for the caller.

        Raises:
            StoreError: If one of the files cannot be written.
        """
        if self.held() and self._edited({}) != self._file.read():
            with self._locked():
                self._file.replace(self._edited({}))
        restart, changed = _RESTART, False
        if self.common_config:
            changed = self.common_config.point_at(self.profile, self.path.absolute())
            restart = _RESTART_ONCE.format(self.common_config) if changed else ""
        shared = f"{self}: {_SHARED}; remove these (chmod 600)." if self._file.shared else ""
        text = " ".join(filter(None, [restart, shared]))
        return Advice(text, rereads=self.common_config is not None, redirected=changed)

    def __str__(self) -> str:
        """Return the profile and the path."""
        return f"profile {self.profile} in {self.path}"

    @property
    def _file(self) -> WholeFile:
        return WholeFile(self.path, self.lock_timeout)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._file.locked():
            # Before any frame holds a secret, because error trackers keep the frames of warnings.
            if self._file.shared:
                _log.warning("%s: %s; the next write removes these", self, _SHARED)
            yield

    def _edited(self, values: dict[str, str]) -> bytes:
        """Return the content of the file with *values* and the Region in the profile."""
        wanted = values | ({"region": self.region} if self.region else {})
        if not wanted:
            return self._file.read()
        with self._text() as text:
            return with_key(text, self.profile, wanted).encode(*_ENCODING)

    @contextmanager
    def _text(self) -> Iterator[str]:
        """Read the file; name this store in errors about its text."""
        text = self._file.read().decode(*_ENCODING)
        try:
            yield text
        except UnfitError as error:
            raise StoreError(store=str(self), problem=str(error)) from None
