"""Files that are replaced as a whole: readers find the old content or the new content."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import attrs

from cwagent_iam.errors import StoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_POLL = 0.05
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP}  # some file systems cannot flush folders
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag


@attrs.frozen
class WholeFile:
    """A file that is written as a whole. Its methods raise `StoreError`.

    Attributes:
        path: The path of the file.
        lock_timeout: How long to wait for another writer, in seconds.
        mode: The permissions of the file.
        keeps_mode: Whether an existing file keeps its own permissions.
    """

    path: Path
    lock_timeout: float
    mode: int = 0o600
    keeps_mode: bool = False

    @property
    def shared(self) -> bool:
        """Whether the permissions give other users any access."""
        found = self._status()
        return found is not None and os.name == "posix" and bool(found.st_mode & _FOR_OTHERS)

    def read(self) -> bytes:
        """Return the content; empty if there is no file."""
        found = self._status()
        if found is None:
            return b""
        if not stat.S_ISREG(found.st_mode):
            self.refuse("it is a link or not a regular file: give the path of the file itself")
        if os.path.ismount(self.path):
            self.refuse("it is a mount point, so it cannot be replaced: mount its folder instead")
        if found.st_nlink > 1:
            self.refuse("it has other hard links, which would keep the old content: delete them")
        try:
            with os.fdopen(os.open(self.path, os.O_RDONLY | _NO_FOLLOW), "rb") as file:
                return file.read()
        except OSError as error:
            self.refuse(f"it cannot be read: {error.strerror}", error)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude all other writers of this library. A lock ends with the process that holds it."""
        self._check_folder()
        lock = self._beside("lock")
        try:
            # An object, which is closed even if an interrupt comes before the `with`.
            file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600), "rb")
        except OSError as error:
            self.refuse(f"its lock file {lock.name} cannot be created: {error.strerror}", error)
        with file:
            self._wait_for(file.fileno())
            self._sweep()
            yield

    def try_out(self, content: bytes) -> None:
        """Perform all steps of `replace`, except for the replacement."""
        with self._staged(content):
            pass

    def replace(self, content: bytes) -> None:
        """Write *content*, which is on disk when this returns.

        Raises:
            StoreError: If it cannot be written. The file stays unchanged, unless the error says
                that it is replaced and may not be on disk.
        """
        with self._staged(content) as staged:
            staged.replace(self.path)
        try:
            _flush(self.path.parent)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                self.refuse(f"it is replaced, but may not be on disk: {error.strerror}", error)

    def refuse(self, problem: str, cause: OSError | None = None) -> NoReturn:
        """Raise an error that names the file."""
        raise StoreError(store=str(self.path), problem=problem) from cause

    @contextmanager
    def _staged(self, content: bytes) -> Iterator[Path]:
        """Write *content* to disk as a temporary file in the same folder."""
        path = self._beside(secrets.token_hex(8))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
                self._set_access(file.fileno())
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield path
        except OSError as error:
            self.refuse(f"it cannot be written: {error.strerror}", error)
        finally:
            path.unlink(missing_ok=True)

    def _set_access(self, handle: int) -> None:
        """Set the mode and keep the owner, which may be the user that the agent runs as."""
        if sys.platform != "win32":  # there, access follows from the folder
            old = self._status()
            os.fchmod(handle, stat.S_IMODE(old.st_mode) if old and self.keeps_mode else self.mode)
            new = os.fstat(handle)
            if old and (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
                os.fchown(handle, old.st_uid, old.st_gid)

    def _check_folder(self) -> None:
        """Refuse a folder in which another user could replace or read the file."""
        try:
            mode = self.path.parent.stat().st_mode
        except OSError as error:
            self.refuse(f"its folder cannot be used: {error.strerror}", error)
        if sys.platform != "win32" and mode & stat.S_IWOTH:
            if not mode & stat.S_ISVTX:
                self.refuse("all users can write to its folder: remove that permission (chmod o-w)")
            found = self._status()
            if found and found.st_uid != os.geteuid():
                self.refuse(
                    "another user owns it, and all can write to its folder: use another folder"
                )

    def _sweep(self) -> None:
        """Delete the temporary files of killed writers; the lock excludes running ones."""
        temporary = re.compile(rf"\.{re.escape(self.path.name)}\.[0-9a-f]{{16}}\.cwagent-iam")
        for each in self.path.parent.iterdir():
            if temporary.fullmatch(each.name):
                each.unlink(missing_ok=True)

    def _wait_for(self, handle: int) -> None:
        end = time.monotonic() + self.lock_timeout
        while not _lock(handle):
            if time.monotonic() >= end:
                problem = f"another process is still writing to it after {self.lock_timeout} s"
                self.refuse(f"{problem}: increase lock_timeout")
            time.sleep(_POLL)

    def _beside(self, word: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{word}.cwagent-iam")

    def _status(self) -> os.stat_result | None:
        try:
            return self.path.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.refuse(f"its status cannot be read: {error.strerror}", error)


def keeping_line_ends(text: str, edit: Callable[[str], str]) -> str:
    """Return *text* after *edit*; if all its line ends are CRLF, *edit* gets LF instead."""
    if "\r\n" not in text or text.count("\r\n") != text.count("\n"):
        return edit(text)
    return edit(text.replace("\r\n", "\n")).replace("\n", "\r\n")


def _lock(handle: int) -> bool:
    """Return whether the open file is locked now; another process may hold the lock."""
    if sys.platform == "win32":
        with suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            return True
    else:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _flush(folder: Path) -> None:
    """Write the entries of *folder* to disk; Windows cannot."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
