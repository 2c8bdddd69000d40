"""The stores of this library through the life of a key, as the programs that read them see it."""

from __future__ import annotations

import configparser
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs
import pytest
from moto.iam.models import iam_backends

from cwagent_iam import (
    CommonConfig,
    CwAgentIamError,
    NewAccessKey,
    ParameterStoreSecret,
    SecretsManagerSecret,
    SharedCredentialsFile,
    StoreError,
    ensure_agent_user,
    rotate_access_key,
)
from cwagent_iam.key_stores import SecretAccessKey
from cwagent_iam.testing import Crash, Fault, laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cwagent_iam import AccessKey, AgentUser, KeyStore, RotationStatus
    from cwagent_iam.testing import LaggyIAM

USER = "CloudWatchAgentServerUser"
DAY = 86400.0
KINDS = ("file", "secret", "parameter")


@attrs.frozen
class Site:
    """A lagging IAM, and a store in it.

    Attributes:
        lagging: The IAM.
        folder: The folder for files.
        kind: The kind of the store.
        clients: The clients of a program that reads the store, by service.
    """

    lagging: LaggyIAM
    folder: Path
    kind: str
    clients: dict[str, Any] = attrs.field(factory=dict)

    def store(self, program: str) -> KeyStore:
        """Return the store of a program of this name."""
        session = self.lagging.program(program)
        if self.kind == "secret":
            return SecretsManagerSecret("agent", session=session)
        if self.kind == "parameter":
            return ParameterStoreSecret("/agent", session=session)
        config = CommonConfig(self.folder / "common-config.toml")
        return SharedCredentialsFile(
            self.folder / "credentials", region="eu-west-1", common_config=config
        )

    def ensure(self, program: str = "first") -> AgentUser:
        """Ensure the user and its key, as this program."""
        session = self.lagging.program(program)
        return ensure_agent_user(USER, deliver=self.store(program), session=session)

    def key(self, program: str = "first") -> AccessKey:
        """Ensure the user and its key; return the key, which works."""
        made = self.ensure(program).access_key
        assert made
        assert made.access_key_id == self.reads()
        return made

    def rotate(self) -> RotationStatus:
        """Rotate the key as far as is due."""
        status = rotate_access_key(
            USER, deliver=self.store("first"), session=self.lagging.program("first")
        )
        assert status.access_key_id == self.reads()
        return status

    def text(self) -> tuple[str, str]:
        """Return the id and the secret, as a program reads them that does not use this library."""
        if self.kind == "file":
            parser = configparser.RawConfigParser()
            parser.read(self.folder / "credentials")
            found = parser["AmazonCloudWatchAgent"]
            return found["aws_access_key_id"], found["aws_secret_access_key"]
        service: Any = "secretsmanager" if self.kind == "secret" else "ssm"
        if service not in self.clients:
            self.clients[service] = self.lagging.session.client(service)
        client = self.clients[service]
        if self.kind == "secret":
            text = client.get_secret_value(SecretId="agent")
            value = json.loads(text["SecretString"])
        else:
            text = client.get_parameter(Name="/agent", WithDecryption=True)
            value = json.loads(text["Parameter"]["Value"])
        return value["access_key_id"], value["secret_access_key"]

    def reads(self) -> str:
        """Return the id of the key that is read there; it is active, and the secret is its own."""
        name, secret = self.text()
        assert (name, secret) in self.active
        return name

    @property
    def active(self) -> set[tuple[str, str]]:
        """The ids and secrets of the user's active keys, as AWS has them."""
        keys = iam_backends["123456789012"]["aws"].users[USER].access_keys
        return {
            (key.access_key_id, key.secret_access_key) for key in keys if key.status == "Active"
        }

    def replaces(self) -> None:
        """Store a key that IAM does not know: the next call replaces it."""
        name = "AKIA" + 16 * "G"
        gone = NewAccessKey(access_key_id=name, user_name=USER, secret=SecretAccessKey("gone"))
        self.store("before").write(gone, replacing=None)

    def meanwhile(self, event: str, act: Callable[[], object]) -> None:
        """Call *act* once, right before a request is sent."""
        done: list[bool] = []

        def handler(**_event: object) -> None:
            if not done:
                done.append(True)
                act()

        self.lagging.session.events.register(f"before-call.{event}", handler)


@contextmanager
def site(kind: str, folder: Path, profile: str = "off") -> Iterator[Site]:
    """Open an IAM with an empty store."""
    with laggy_iam(profile, seed=2) as lagging:
        yield Site(lagging, folder, kind)


LIVES = [("file", "off"), ("secret", "typical"), ("parameter", "off")]


@pytest.mark.parametrize(("kind", "profile"), LIVES)
def test_a_key_lives_in_each_store(kind: str, profile: str, tmp_path: Path) -> None:
    """A key is created, kept, replaced once it is deleted, and rotated; readers always have one."""
    with site(kind, tmp_path, profile) as opened:
        actions = [opened.key().action, opened.key().action]
        gone = opened.reads()
        opened.lagging.settle()
        opened.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=gone)
        opened.lagging.settle()
        actions += [opened.key().action, opened.key().action]
        assert actions == ["created", "kept", "replaced", "kept"]
        old, phases = opened.reads(), []
        for days in (91, 2, 8):
            opened.lagging.clock.sleep(days * DAY)
            phases.append(opened.rotate().phase)
            assert opened.reads() != old
        assert phases == ["settling", "grace", "current"]
        opened.lagging.settle()
        keys = opened.lagging.truth.list_access_keys(UserName=USER)["AccessKeyMetadata"]
        assert [key["AccessKeyId"] for key in keys] == [opened.reads()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_delivery_is_kept_in_each_store(kind: str, tmp_path: Path) -> None:
    """If another program delivers while a key is created, its key is kept, and ours deleted."""
    with site(kind, tmp_path) as opened:
        opened.replaces()
        opened.meanwhile("iam.CreateAccessKey", lambda: opened.key("rival"))
        made = opened.key()
        assert (made.action, made.unheld) == ("kept", ())
        assert len(opened.active) == 1


def test_a_rival_between_two_steps_keeps_the_secret(tmp_path: Path) -> None:
    """If another version becomes current while ours is pending, it stays; our key is deleted."""
    with site("secret", tmp_path) as opened:
        opened.replaces()
        event = "secrets-manager.UpdateSecretVersionStage"
        opened.meanwhile(event, lambda: opened.ensure("rival"))
        made = opened.key()
        assert (made.action, made.unheld) == ("kept", ())
        assert len(opened.active) == 1


def test_a_rival_between_read_and_write_is_reported(tmp_path: Path) -> None:
    """In Parameter Store the later write wins: it raises, and the next call names the other key."""
    with site("parameter", tmp_path) as opened:
        opened.replaces()
        rivals: list[str] = []
        opened.meanwhile("ssm.PutParameter", lambda: rivals.append(opened.key("x").access_key_id))
        with pytest.raises(StoreError, match="another process has written to it"):
            opened.ensure()
        made = opened.key()
        assert (made.action, [key.access_key_id for key in made.unheld]) == ("kept", rivals)


def dies(opened: Site, number: int) -> None:
    """Kill the program after its request of this number to the store, counted from a new key on.

    Requests to services other than IAM and STS have no operation in the trace.
    """
    fault = Fault("crash", "", "first", when="after", nth=number)
    opened.meanwhile("iam.CreateAccessKey", lambda: opened.lagging.fail(fault))
    with pytest.raises(Crash):
        opened.ensure()


@pytest.mark.parametrize(
    ("kind", "again", "numbers"),
    [
        ("secret", "created", (2, 3)),
        ("secret", "replaced", (1, 2, 3)),
        ("parameter", "replaced", (1, 2)),
    ],
)
def test_a_program_may_die_at_each_request_to_the_store(
    kind: str, again: str, numbers: tuple[int, ...], tmp_path: Path
) -> None:
    """Another program continues: the store has a key that works, and all others are named.

    The requests are the last read before a write, and each write.
    """
    states = []
    for number in numbers:
        with site(kind, tmp_path) as opened:
            if again == "replaced":
                opened.replaces()
            dies(opened, number)
            before = {name for name, _ in opened.active}
            made = opened.key("second")
            keys = {name for name, _ in opened.active}
            assert keys == {made.access_key_id, *(key.access_key_id for key in made.unheld)}
            states.append((made.action, len(before), len(keys)))
    # The key that was created is lost, or after the last write, it is in the store.
    assert states == [*[(again, 1, 2)] * (len(numbers) - 1), ("kept", 1, 1)]


def test_a_pending_version_is_not_an_obstacle(tmp_path: Path) -> None:
    """If a program dies with a pending version, readers have the old key; the next continues."""
    with site("secret", tmp_path) as opened:
        old = opened.key("before").access_key_id
        opened.lagging.clock.sleep(91 * DAY)
        opened.meanwhile("secrets-manager.UpdateSecretVersionStage", lambda: die(opened))
        with pytest.raises(Crash):
            opened.rotate()
        assert opened.reads() == old
        made = opened.key("second")
        assert (made.action, len(made.unheld)) == ("kept", 1)
        assert rotates_to_the_end(opened) != old


def die(opened: Site) -> None:
    """Kill the first program at its next request."""
    opened.lagging.fail(Fault("crash", "*", "first", nth=1))


def rotates_to_the_end(opened: Site) -> str:
    """Rotate with other programs until there is one key; return its id."""
    for number in range(6):
        status = rotate_access_key(
            USER,
            deliver=opened.store(f"later {number}"),
            session=opened.lagging.program(f"later {number}"),
        )
        assert status.access_key_id == opened.reads()
        if status.phase == "current" and status.old_key is None and status.done:
            break
        assert status.due_at
        opened.lagging.clock.sleep(max(status.due_at.timestamp() - opened.lagging.clock.now, 0) + 1)
    (key,) = opened.active
    return key[0]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_program_may_die_as_it_replaces_the_file(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed program leaves the old or the new file, and the next program continues."""
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if moment == "after":
            replace(source, target)
        die(opened)
        raise Crash(moment)

    with site("file", tmp_path) as opened:
        opened.replaces()
        gone = opened.text()
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", killed)
            with pytest.raises(Crash):
                opened.ensure()
        assert (opened.text() == gone) is (moment == "before")
        made = opened.key("second")
        assert made.action == ("replaced" if moment == "before" else "kept")
        assert len(opened.active) == 1 + len(made.unheld) == (2 if moment == "before" else 1)
        assert sorted(each.name for each in tmp_path.iterdir() if "lock" not in each.name) == [
            "common-config.toml",
            "credentials",
        ]


def test_settings_that_cannot_be_written(tmp_path: Path) -> None:
    """If the agent's settings cannot be written, the next call writes them, and keeps the key."""
    with site("file", tmp_path) as opened:
        replace = os.replace

        def full(source: Path, target: Path) -> None:
            if target.name == "common-config.toml":
                raise OSError(28, "No space left on device")
            replace(source, target)

        with patch.object(os, "replace", full), pytest.raises(CwAgentIamError, match="No space"):
            opened.ensure()
        first = opened.reads()
        made = opened.key()
        assert (made.access_key_id, made.action) == (first, "kept")
        assert made.advice.startswith("Restart the agent this once")
        assert opened.key().advice == ""
