"""Whole files on Windows, where locks, modes and owners differ from other systems."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam.errors import StoreError
from cwagent_iam.stores import whole_file

if TYPE_CHECKING:
    from pathlib import Path

fcntl: Any = pytest.importorskip("fcntl", reason="Windows has its own lock")


class Msvcrt:
    """The part of the module ``msvcrt`` that locks a file."""

    LK_NBLCK = 2

    @staticmethod
    def locking(handle: int, mode: int, count: int) -> None:
        """Lock the next byte, or fail without waiting; closing the file unlocks it."""
        assert (mode, count) == (Msvcrt.LK_NBLCK, 1)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module `whole_file`, as Windows loads it."""
    stand_in: Any = Msvcrt
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", stand_in)
    monkeypatch.delattr("os.fchmod")
    monkeypatch.delattr("os.fchown")
    monkeypatch.delattr("os.O_DIRECTORY")
    spec = importlib.util.spec_from_file_location(whole_file.__name__, whole_file.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_file_is_replaced_on_windows(windows: Any, tmp_path: Path) -> None:
    """A file is replaced without changing modes and owners, and without flushing folders."""
    tmp_path.chmod(0o1777)
    path = tmp_path / "credentials"
    file = windows.WholeFile(path, 0)
    for content in (b"one", b"two"):
        with file.locked():
            file.try_out(b"three")
            file.replace(content)
        assert file.read() == content


def test_another_writer_is_kept_out_on_windows(windows: Any, tmp_path: Path) -> None:
    """A second writer is refused while the first one holds the lock, and admitted afterwards."""
    file = windows.WholeFile(tmp_path / "credentials", 0)
    with (
        file.locked(),
        pytest.raises(StoreError, match="still writing to it"),
        file.locked(),
    ):
        pass
    with file.locked():
        pass
