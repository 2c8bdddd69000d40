"""A file replaced whole: at any moment there is the old one or the new one."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import attrs

from cwagent_iam.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_POLL = 0.05
_NO_SUCH_THING = {errno.EINVAL, errno.ENOTSUP}  # some file systems flush no folders
_UNFOLLOWED = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such thing


@attrs.frozen
class WholeFile:
    """A file that is written as a whole.

    Attributes:
        path: Where it is.
        lock_timeout: How long to wait for another writer, in seconds.
        mode: Who may do what with it.
    """

    path: Path
    lock_timeout: float
    mode: int = 0o600

    @property
    def shared(self) -> bool:
        """Whether others than its owner may read it, or more."""
        found = self._status()
        return found is not None and os.name == "posix" and bool(found.st_mode & _FOR_OTHERS)

    def read(self) -> bytes:
        """Return what is in it; nothing if there is no file.

        Raises:
            StoreError: When it cannot be read, or is a link.
        """
        found = self._status()
        if found is None:
            return b""
        if not stat.S_ISREG(found.st_mode):
            self._refuse("it is a link or no file at all: give the path of the file itself")
        if os.path.ismount(self.path):
            self._refuse("it is mounted by itself, and cannot be replaced: mount its folder")
        if found.st_nlink > 1:
            self._refuse("it has a second name, which would keep the old key: take one away")
        try:
            handle = os.open(self.path, os.O_RDONLY | _UNFOLLOWED)
            with os.fdopen(handle, "rb") as file:
                return file.read()
        except OSError as error:
            self._refuse(f"it cannot be read: {error.strerror}", error)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other writers of this library away; the system ends that if this one dies.

        Raises:
            StoreError: When another writer does not end in time, or the folder does not do.
        """
        self._check_folder()
        name = self._beside("lock")
        flags = os.O_RDWR | os.O_CREAT | _UNFOLLOWED
        try:
            handle = os.open(name, flags, 0o600)
        except OSError as error:
            self._refuse(f"{name.name} cannot be made: {error.strerror}", error)
        try:
            self._wait_for(handle)
            self._sweep()
            yield
        finally:
            os.close(handle)

    def try_out(self, content: bytes) -> None:
        """Do all that `replace` does, but for the replacing.

        Raises:
            StoreError: As for `replace`.
        """
        self._staged(content).unlink()

    def replace(self, content: bytes) -> None:
        """Hold *content*, on disk when this returns.

        Raises:
            StoreError: When it cannot be written, and is as it was; or, as it says then, when it is
                replaced and may not be on the disk.
        """
        staged = self._staged(content)
        try:
            staged.replace(self.path)
        except OSError as error:
            staged.unlink(missing_ok=True)
            self._refuse(f"it cannot be replaced: {error.strerror}", error)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        try:
            _flush(self.path.parent)
        except OSError as error:
            if error.errno not in _NO_SUCH_THING:
                self._refuse(f"it is replaced, but may not be on the disk: {error.strerror}", error)

    def _staged(self, content: bytes) -> Path:
        """Write *content* into a new file in the same folder, and to the disk."""
        path = self._beside(secrets.token_hex(8))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _UNFOLLOWED | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
                # The agent may run as the owner of the old one.
                _hand_over(file.fileno(), self.mode, self._status())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            self._refuse(f"it cannot be written: {error.strerror}", error)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _check_folder(self) -> None:
        folder = self.path.parent
        try:
            mode = folder.stat().st_mode
        except OSError as error:
            self._refuse(f"its folder cannot be used: {error.strerror}", error)
        if os.name != "posix" or not mode & stat.S_IWOTH:
            return
        if not mode & stat.S_ISVTX:
            self._refuse("anybody may write to its folder: take that right away")
        found = self._status()
        if found and not _is_ours(found):
            self._refuse("anybody may put files into its folder, and it is somebody else's")

    def _sweep(self) -> None:
        """Take away what a writer that was killed has left; the lock says that none is at work."""
        ours = re.compile(rf"\.{re.escape(self.path.name)}\.[0-9a-f]{{16}}\.cwagent-iam")
        for each in self.path.parent.iterdir():
            if ours.fullmatch(each.name):
                each.unlink(missing_ok=True)

    def _wait_for(self, handle: int) -> None:
        end = time.monotonic() + self.lock_timeout
        while not _lock(handle):
            if time.monotonic() >= end:
                self._refuse(f"somebody else is writing to it for {self.lock_timeout} s")
            time.sleep(_POLL)

    def _beside(self, word: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{word}.cwagent-iam")

    def _status(self) -> os.stat_result | None:
        try:
            return self.path.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._refuse(f"it cannot be looked at: {error.strerror}", error)

    def _refuse(self, problem: str, cause: OSError | None = None) -> NoReturn:
        raise StoreError(store=str(self.path), problem=problem) from cause


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _hand_over(handle: int, mode: int, like: os.stat_result | None) -> None:
        """Who may do what follows from the folder here."""

    def _is_ours(_found: os.stat_result) -> bool:
        """Whose it is cannot be told here."""
        return True

    def _flush(folder: Path) -> None:
        """There is no such thing for folders here."""

else:
    import fcntl

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_ours(found: os.stat_result) -> bool:
        return found.st_uid == os.geteuid()

    def _hand_over(handle: int, mode: int, like: os.stat_result | None) -> None:
        """Let a file belong to whom another one belongs to, and them alone do what *mode* says."""
        os.fchmod(handle, mode)
        mine = os.fstat(handle)
        if like and (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
            os.fchown(handle, like.st_uid, like.st_gid)

    def _flush(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
