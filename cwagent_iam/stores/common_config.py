"""The agent's ``common-config.toml``, which says where the agent's credentials are."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import attrs
import tomlkit
from tomlkit.exceptions import TOMLKitError

from cwagent_iam.aws.secrecy import sealed
from cwagent_iam.errors import StoreError
from cwagent_iam.stores.arguments import at_home, seconds
from cwagent_iam.stores.whole_file import WholeFile

if TYPE_CHECKING:
    from pathlib import Path

_TABLE = "credentials"
_PROFILE, _FILE = "shared_credential_profile", "shared_credential_file"


@attrs.frozen
class CommonConfig:
    """The agent's settings for itself. Comments and all else in it stay as they are.

    An agent that is pointed at a credentials file in it reads that file again every ten minutes
    or so; one that found the file by itself must be started again for a new key.

    Attributes:
        path: The file; its folder must exist. A ``~`` at the beginning is the user's home.
        lock_timeout: How long to wait for another writer, in seconds.

    Raises:
        IntentError: When an argument is nonsense.
    """

    path: Path = attrs.field(converter=at_home)
    lock_timeout: float = attrs.field(default=10.0, kw_only=True, validator=seconds)

    @sealed
    def check(self, profile: str, file: Path) -> None:
        """Do all that pointing does, but for replacing the file.

        Raises:
            StoreError: When it could not be written.
        """
        with self._file.locked():
            self._file.try_out(self._pointed(profile, file) or b"")

    @sealed
    def point_at(self, profile: str, file: Path) -> bool:
        """Tell the agent to use *profile* in *file*; say whether it had been told otherwise.

        Raises:
            StoreError: When it cannot be written. It is as it was.
        """
        with self._file.locked():
            content = self._pointed(profile, file)
            if content is not None:
                self._file.replace(content)
        return content is not None

    def __str__(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def _file(self) -> WholeFile:
        """The file; a new one is for everybody to read, an old one for whom it was."""
        try:
            mode = stat.S_IMODE(self.path.lstat().st_mode)
        except OSError:  # which is told by whatever is done with the file
            mode = 0o644
        return WholeFile(self.path, self.lock_timeout, mode)

    def _pointed(self, profile: str, file: Path) -> bytes | None:
        """Return the file as it is to be; `None` if it is so already."""
        wanted = {_PROFILE: profile, _FILE: str(file)}
        try:
            read = self._file.read().decode()
            if read.startswith("\ufeff"):
                problem = "it begins with a byte order mark, which TOML does not know: take it away"
                raise StoreError(store=str(self), problem=problem)
            windows = "\r\n" in read and read.count("\r\n") == read.count("\n")
            document: Any = tomlkit.parse(read.replace("\r\n", "\n") if windows else read)
        except (TOMLKitError, UnicodeDecodeError) as error:
            problem = f"it cannot be read ({type(error).__name__}): mend it by hand"
            raise StoreError(store=str(self), problem=problem) from None
        table = document.setdefault(_TABLE, tomlkit.table())
        if not isinstance(table, dict):
            raise StoreError(store=str(self), problem=f"{_TABLE} is no table: mend it by hand")
        if {name: table.get(name) for name in wanted} == wanted:
            return None
        table.update(wanted)
        text: str = tomlkit.dumps(document)
        return (text.replace("\n", "\r\n") if windows else text).encode()
