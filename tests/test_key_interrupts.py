"""Interrupts of a call that creates a key: at effects, and at each line of sender and store.

Afterwards the key is delivered, deleted or named, its reply is not lost, and no frame that the
interrupt keeps alive shows a secret. `tests/test_key_core.py` interrupts the lines of the core.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs
import pytest

from cwagent_iam import SharedCredentialsFile, ensure_agent_user
from cwagent_iam.executor import Executor, custody
from cwagent_iam.key_stores import NewAccessKey, SecretAccessKey
from cwagent_iam.requests import Deliver, Interrupted, Outcome, Reply, Request, Send
from cwagent_iam.testing import laggy_iam
from tests.canary import Canary, check, listening, played, texts_in
from tests.tracing import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cwagent_iam.requests import Steps
    from cwagent_iam.testing import LaggyIAM

USER = "CloudWatchAgentServerUser"
ID, SECRET = "AKIA" + "1" * 16, "hush" * 10


def ids(lagging: LaggyIAM) -> list[str]:
    """Return the ids of the user's keys; none if there is no user."""
    users = [user["UserName"] for user in lagging.truth.list_users()["Users"]]
    keys = lagging.truth.list_access_keys(UserName=USER)["AccessKeyMetadata"] if users else []
    return [key["AccessKeyId"] for key in keys]


def interrupted(path: Path, number: int) -> bool:
    """Deliver a key, with an interrupt after one effect; return whether there is such an effect."""
    perform = Executor._perform  # noqa: SLF001
    left, turn = iter(range(number)), iter([True])

    def performing(executor: Executor, effect: Any) -> Any:
        result = perform(executor, effect)
        if next(left, None) is None and next(turn, None) is not None:
            raise KeyboardInterrupt
        return result

    path.unlink(missing_ok=True)
    store = SharedCredentialsFile(path)
    with laggy_iam("off") as lagging, listening() as canary:
        with patch.object(Executor, "_perform", performing):
            error, user = played(lambda: ensure_agent_user(deliver=store, session=lagging.session))
        check(canary, error, user, [])
        told = f"{error} {getattr(error, '__notes__', '')} {store.held()}"
        left_behind = [name for name in ids(lagging) if name not in told]
        lost = f"May have been applied: CreateAccessKey (user {USER})" in told
        assert not left_behind or lost
        return isinstance(error, KeyboardInterrupt)


def test_after_every_effect(tmp_path: Path) -> None:
    """With real clients and a file, right after an effect was performed."""
    counted = itertools.takewhile(
        lambda number: interrupted(tmp_path / "c", number), itertools.count()
    )
    assert len(list(counted)) > 15


def every_line(files: tuple[str, ...], call: Callable[[], object]) -> list[BaseException | None]:
    """Make a call with an interrupt at each line of *files*; return how each call ended."""
    ends: list[BaseException | None] = []
    while not ends or ends[-1] is not None:
        error, _ = interrupt(lambda: played(call), files, len(ends) + 1)
        if error and not isinstance(error, KeyboardInterrupt):
            raise error
        ends.append(error)
        assert not Canary([SECRET]).sings(*texts_in(error))
    return ends


@attrs.define
class Client:
    """A client for IAM that returns one key, and counts the requests."""

    meta: Any = attrs.field(factory=lambda: SimpleNamespace(partition="aws", config=None))
    created: int = 0

    def get_role(self) -> None:
        """Look like a client for IAM."""

    def create_access_key(self, **_: object) -> dict[str, Any]:
        """Return a new key."""
        self.created += 1
        return {"AccessKey": {"AccessKeyId": ID, "SecretAccessKey": SECRET}}


def test_every_line_of_the_sender() -> None:
    """The reply to a request that was carried out reaches the core, or it counts as lost."""
    files = ("aws/sender.py", "aws/secrecy.py", "executor/transport.py", "executor/driver.py")
    request = Request.of("CreateAccessKey", UserName=USER)
    came: list[Outcome | None] = []
    client: Any = None

    def steps() -> Steps[None]:
        try:
            came.extend((yield Send((request,))))
        except Interrupted as stop:
            came.extend(stop.outcomes)
            raise

    def call() -> None:
        nonlocal client
        came.clear()
        client = Client()
        executor = Executor.of(iam=client)
        executor.run(steps())
        for each in came:
            assert isinstance(each, Reply)
            each.content["AccessKey"]["SecretAccessKey"].forget()

    def checked() -> None:
        try:
            call()
        finally:
            assert len(came) == 1 or not client.created
            for each in came:
                if isinstance(each, Reply):
                    assert isinstance(each.content["AccessKey"]["SecretAccessKey"], SecretAccessKey)
                    each.content["AccessKey"]["SecretAccessKey"].forget()
                elif client.created:
                    assert each is not None
                    assert each.unacknowledged

    assert len(every_line(files, checked)) > 80


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files stay open
def test_every_line_of_the_store(tmp_path: Path) -> None:
    """The file has the old content or the new content, and no other file has a secret."""
    path = tmp_path / "credentials"
    store = SharedCredentialsFile(path)
    old = f"[{store.profile}]\naws_access_key_id = OLD{ID}\naws_secret_access_key = x\n"

    def call() -> None:
        path.write_text(old, encoding="utf-8")
        secret = SecretAccessKey(SECRET)
        key = NewAccessKey(access_key_id=ID, user_name=USER, secret=secret)
        try:
            custody.deliver(Deliver(store, key, f"OLD{ID}"), "the store")
        finally:
            secret.forget()
            text = path.read_text(encoding="utf-8")
            assert text == old or (ID in text and SECRET in text and "OLD" not in text)

    files = ("stores/shared_file.py", "stores/whole_file.py", "stores/ini.py", "custody.py")
    assert len(every_line(files, call)) > 100
    store.check()
    assert sorted(tmp_path.iterdir()) == [tmp_path / ".credentials.lock.cwagent-iam", path]
