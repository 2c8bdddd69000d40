"""The agent's ``common-config.toml``, which names the credentials file and profile to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import tomlkit
from tomlkit.exceptions import TOMLKitError

from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.stores.arguments import check_seconds, to_path
from cwagent_iam.stores.whole_file import WholeFile, keeping_line_ends

if TYPE_CHECKING:
    from pathlib import Path

_TABLE = "credentials"


@attrs.frozen
class CommonConfig:
    """The agent's own settings. Comments and all other settings in the file stay unchanged.

    An agent that finds its credentials file through these settings rereads that file about every
    ten minutes. An agent that finds the file by itself notices a new key only after a restart.

    Attributes:
        path: The file; its folder must exist. A leading ``~`` is the user's home directory.
        lock_timeout: How long to wait for another writer, in seconds; 0 or more. Default: 10.

    Raises:
        IntentError: If an argument is invalid.
    """

    path: Path = attrs.field(converter=to_path)
    lock_timeout: float = attrs.field(default=10.0, kw_only=True, validator=check_seconds)

    @sealed
    def check(self, profile: str, file: Path) -> None:
        """Perform all steps of `point_at`, except for the replacement of the file.

        Raises:
            StoreError: If the file could not be written.
        """
        with self._file.locked():
            self._file.try_out(self._edited(self._file.read(), profile, file))

    @sealed
    def point_at(self, profile: str, file: Path) -> bool:
        """Configure the agent to use *profile* in *file*; return whether that changed anything.

        Raises:
            StoreError: If the file cannot be written. It stays unchanged.
        """
        with self._file.locked():
            before = self._file.read()
            after = self._edited(before, profile, file)
            if after != before:
                self._file.replace(after)
        return after != before

    def __str__(self) -> str:
        """Return the path."""
        return str(self.path)

    @property
    def _file(self) -> WholeFile:
        """The file; all users may read a new one, and an existing one keeps its mode."""
        return WholeFile(self.path, self.lock_timeout, mode=0o644, keeps_mode=True)

    def _edited(self, content: bytes, profile: str, file: Path) -> bytes:
        """Return *content* with the two settings."""

        def edit(text: str) -> str:
            document: Any = tomlkit.parse(text)
            table = document.setdefault(_TABLE, tomlkit.table())
            if not isinstance(table, dict):
                self._file.refuse(f"its key {_TABLE!r} is not a table: correct the file")
            if {name: table.get(name) for name in wanted} == wanted:
                return text
            table.update(wanted)
            return tomlkit.dumps(document)

        wanted = {"shared_credential_profile": profile, "shared_credential_file": str(file)}
        try:
            text = content.decode()
            if text.startswith("\ufeff"):
                self._file.refuse("it begins with a byte order mark, which TOML forbids: remove it")
            return keeping_line_ends(text, edit).encode()
        except (TOMLKitError, UnicodeDecodeError) as error:
            self._file.refuse(f"it is not valid TOML ({type(error).__name__}): correct the file")
