"""Files replaced whole on Windows, whose lock is another one than that of all other systems."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam.credentials import replacing
from cwagent_iam.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

fcntl: Any = pytest.importorskip("fcntl", reason="Windows has its own lock")


class Msvcrt:
    """What Windows has to lock a file, as far as it is asked for here."""

    LK_NBLCK = 2

    @staticmethod
    def locking(handle: int, mode: int, count: int) -> None:
        """Lock the byte that comes next, or fail at once; closing the file ends it."""
        assert (mode, count) == (Msvcrt.LK_NBLCK, 1)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module as Windows loads it."""
    stand_in: Any = Msvcrt
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", stand_in)
    monkeypatch.delattr("os.fchmod")
    monkeypatch.delattr("os.fchown")
    monkeypatch.delattr("os.O_DIRECTORY")
    spec = importlib.util.spec_from_file_location(replacing.__name__, replacing.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_file_is_replaced_on_windows(windows: Any, tmp_path: Path) -> None:
    """Modes and owners are not touched, and folders are not flushed: there is no such thing."""
    tmp_path.chmod(0o1777)
    path = tmp_path / "credentials"
    file = windows.WholeFile(path, 0)
    for content in (b"one", b"two"):
        with file.locked():
            file.try_out(b"three")
            file.replace(content)
        assert file.read() == content


def test_another_writer_is_kept_out_on_windows(windows: Any, tmp_path: Path) -> None:
    """As long as one writes, another one is not let in; then it is."""
    file = windows.WholeFile(tmp_path / "credentials", 0)
    with (
        file.locked(),
        pytest.raises(StoreError, match="somebody else is writing"),
        file.locked(),
    ):
        pass
    with file.locked():
        pass
