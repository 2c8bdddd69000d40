"""The stores of this library through the whole life of a key, as whoever reads them sees it."""

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
from cwagent_iam.credentials import SecretAccessKey
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
        folder: Where files are.
        kind: Which store.
        clients: Those of whoever reads the store, by service.
    """

    lagging: LaggyIAM
    folder: Path
    kind: str
    clients: dict[str, Any] = attrs.field(factory=dict)

    def store(self, program: str) -> KeyStore:
        """The store, as a program of this name has it."""
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
        """Call the library as this program."""
        session = self.lagging.program(program)
        return ensure_agent_user(USER, deliver=self.store(program), session=session)

    def key(self, program: str = "first") -> AccessKey:
        """Call the library; return what it says of the key, which works."""
        made = self.ensure(program).access_key
        assert made
        assert made.access_key_id == self.reads()
        return made

    def rotate(self) -> RotationStatus:
        """Do what is due."""
        status = rotate_access_key(
            USER, deliver=self.store("first"), session=self.lagging.program("first")
        )
        assert status.access_key_id == self.reads()
        return status

    def text(self) -> tuple[str, str]:
        """The id and the secret, as somebody reads them who knows nothing of this library."""
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
        """The id of the key that is read there; it is active, and the secret is its own."""
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
        """Have a key in the store that is gone: the next call replaces it."""
        gone = NewAccessKey(
            access_key_id="AKIAGONE", user_name=USER, secret=SecretAccessKey("gone")
        )
        self.store("before").write(gone, replacing=None)

    def meanwhile(self, event: str, act: Callable[[], object]) -> None:
        """Let somebody *act* once, right before a request is sent."""
        done: list[bool] = []

        def handler(**_event: object) -> None:
            if not done:
                done.append(True)
                act()

        self.lagging.session.events.register(f"before-call.{event}", handler)


@contextmanager
def site(kind: str, folder: Path, profile: str = "off") -> Iterator[Site]:
    """Open an IAM, with an empty store."""
    with laggy_iam(profile, seed=2) as lagging:
        yield Site(lagging, folder, kind)


LIVES = [("file", "off"), ("secret", "typical"), ("parameter", "off")]


@pytest.mark.parametrize(("kind", "profile"), LIVES)
def test_a_key_lives_in_each_store(kind: str, profile: str, tmp_path: Path) -> None:
    """Made, kept, replaced when it is gone, rotated to the end; the store always has one."""
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
def test_who_delivers_first_is_kept_in_each_store(kind: str, tmp_path: Path) -> None:
    """While our request for a key is on its way, another program delivers: ours is deleted."""
    with site(kind, tmp_path) as opened:
        opened.replaces()
        opened.meanwhile("iam.CreateAccessKey", lambda: opened.key("rival"))
        made = opened.key()
        assert (made.action, made.unheld) == ("kept", ())
        assert len(opened.active) == 1


def test_a_rival_between_two_steps_keeps_the_secret(tmp_path: Path) -> None:
    """Our version is pending when another becomes the current one: it stays, our key goes."""
    with site("secret", tmp_path) as opened:
        opened.replaces()
        event = "secrets-manager.UpdateSecretVersionStage"
        opened.meanwhile(event, lambda: opened.ensure("rival"))
        made = opened.key()
        assert (made.action, made.unheld) == ("kept", ())
        assert len(opened.active) == 1


def test_a_rival_between_look_and_write_is_told_of(tmp_path: Path) -> None:
    """Parameter Store lets the later one win: the error says so, and the next call names both."""
    with site("parameter", tmp_path) as opened:
        opened.replaces()
        rivals: list[str] = []
        opened.meanwhile("ssm.PutParameter", lambda: rivals.append(opened.key("x").access_key_id))
        with pytest.raises(StoreError, match="somebody else has written to it"):
            opened.ensure()
        made = opened.key()
        assert (made.action, [key.access_key_id for key in made.unheld]) == ("kept", rivals)


def dies(opened: Site, number: int, when: Any) -> bool:
    """Kill the program at its request of this number to the store's service, if it sends so many.

    Requests to services other than IAM have no operation in the trace.
    """
    opened.lagging.fail(Fault("crash", "", "first", when=when, nth=number))
    try:
        opened.ensure()
    except Crash:
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "again", "numbers"),
    [
        ("secret", "created", (8, 9)),
        ("secret", "replaced", (4, 5, 6)),
        ("parameter", "replaced", (4, 5)),
    ],
)
def test_a_program_may_die_at_each_request_to_the_store(
    kind: str, again: str, numbers: tuple[int, ...], tmp_path: Path
) -> None:
    """Another program continues: the store has a key that works, all others are named.

    The requests are the last one before each write, and each write: all others only read.
    """
    states = []
    for number in numbers:
        with site(kind, tmp_path) as opened:
            if again == "replaced":
                opened.replaces()
            assert dies(opened, number, "after")
            before = {name for name, _ in opened.active}
            made = opened.key("second")
            keys = {name for name, _ in opened.active}
            assert keys == {made.access_key_id, *(key.access_key_id for key in made.unheld)}
            states.append((made.action, len(before), len(keys)))
    # A key was made, and is lost; or, after the last write, it is in the store.
    assert states == [*[(again, 1, 2)] * (len(numbers) - 1), ("kept", 1, 1)]


def test_a_pending_version_is_no_obstacle(tmp_path: Path) -> None:
    """Between its two steps a program dies: readers have the old key, the next one goes on."""
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
    """Let the first program send nothing any more."""
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
    """The old file is there, or the new one; the next program ends what was begun."""
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


def test_settings_that_cannot_be_written_are_mended_by_the_next_call(tmp_path: Path) -> None:
    """The key is delivered by then; nothing is made twice."""
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
