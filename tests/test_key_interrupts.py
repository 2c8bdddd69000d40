"""Interrupts of a call that creates a key: at every effect, and at every line of sender and store.

Afterwards the key is delivered, deleted, or named in a note; and no frame can reveal a secret.
"""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from cwagent_iam import SharedCredentialsFile, ensure_agent_user
from cwagent_iam.executor import Executor
from cwagent_iam.testing import laggy_iam
from tests.canary import check, listening, played

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cwagent_iam.testing import LaggyIAM

USER = "CloudWatchAgentServerUser"


def interrupted(path: Path, prepare: Callable[[], Any], *, managed: bool) -> bool:
    """Deliver a key while *prepare* is in force; check what is left; return if it was interrupted.

    Args:
        path: The credentials file.
        prepare: Returns a context in which something raises KeyboardInterrupt.
        managed: Whether the user exists before.
    """
    path.unlink(missing_ok=True)
    store = SharedCredentialsFile(path)
    with laggy_iam("off") as lagging, listening() as canary:
        if managed:
            ensure_agent_user(USER, session=lagging.session)
        with prepare():
            error, user = played(lambda: ensure_agent_user(deliver=store, session=lagging.session))
        check(canary, error, user, [])
        told = f"{error} {getattr(error, '__notes__', '')} {store.held()}"
        left = [name for name in ids(lagging) if name not in told]
        assert not left or f"May have been applied: CreateAccessKey (user {USER})" in told
        return isinstance(error, KeyboardInterrupt)


def ids(lagging: LaggyIAM) -> list[str]:
    """Return the ids of the user's keys; none if there is no user."""
    users = [user["UserName"] for user in lagging.truth.list_users()["Users"]]
    keys = lagging.truth.list_access_keys(UserName=USER)["AccessKeyMetadata"] if users else []
    return [key["AccessKeyId"] for key in keys]


@pytest.mark.parametrize("managed", [False, True], ids=["new user", "old user"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_at_every_effect(tmp_path: Path, *, after: bool, managed: bool) -> None:
    """Right before an effect is performed, or right after it."""
    perform = Executor._perform  # noqa: SLF001

    def at(number: int) -> Any:
        left = iter(range(number))

        def performing(executor: Executor, effect: Any) -> Any:
            last = next(left, None) is None and next(turn, None) is not None
            if last and not after:
                raise KeyboardInterrupt
            result = perform(executor, effect)
            if last:
                raise KeyboardInterrupt
            return result

        turn = iter([True])
        return patch.object(Executor, "_perform", performing)

    numbers = itertools.count()
    counted = itertools.takewhile(
        lambda number: interrupted(tmp_path / "c", lambda: at(number), managed=managed), numbers
    )
    assert len(list(counted)) > 15


class Tracer:
    """A trace function that interrupts at one line of some files, after CreateAccessKey is sent."""

    def __init__(self, files: tuple[str, ...], number: int) -> None:
        """Interrupt at the line of this *number*."""
        self.files, self.left, self.armed = files, number, False

    def __enter__(self) -> None:
        """Begin."""
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        """End."""
        sys.settrace(None)

    def trace(self, frame: Any, event: str, _argument: object) -> Any:
        """Count lines."""
        name = frame.f_code.co_filename
        if event == "call" and name.endswith("aws/sender.py"):
            request = frame.f_locals.get("request")
            self.armed |= getattr(request, "operation", "") == "CreateAccessKey"
        if not name.endswith(self.files):
            return None
        if event == "line" and self.armed:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace


@pytest.mark.parametrize(
    "files",
    [
        ("aws/sender.py", "executor/transport.py", "executor/driver.py"),
        ("stores/shared_file.py", "executor/custody.py"),
        ("access_keys/delivery.py", "reconcile/call.py"),
    ],
    ids=["sender", "store", "core"],
)
def test_at_every_line(tmp_path: Path, files: tuple[str, ...]) -> None:
    """From the request for a key on, wherever the program is."""
    numbers = itertools.count(1)
    counted = itertools.takewhile(
        lambda number: interrupted(tmp_path / "c", lambda: Tracer(files, number), managed=False),
        numbers,
    )
    assert len(list(counted)) > 30
