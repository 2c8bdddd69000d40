"""Stores as they are found, made by hand or by other tools, and arguments that make no sense."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cwagent_iam import (
    CommonConfig,
    NewAccessKey,
    ParameterStoreSecret,
    SecretsManagerSecret,
    SharedCredentialsFile,
    StoreError,
)
from cwagent_iam.credentials import SecretAccessKey
from cwagent_iam.errors import IntentError
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import boto3


def key(number: int) -> NewAccessKey:
    """A key of the user Ann."""
    secret = SecretAccessKey(f"secret/{number}")
    return NewAccessKey(access_key_id=f"AKIA{number:016}", user_name="Ann", secret=secret)


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    """An account in memory."""
    with sandbox() as session:
        yield session


# --- arguments ------------------------------------------------------------------------------------

NONSENSE: dict[str, tuple[Callable[[], object], str]] = {
    "no path": (lambda: SharedCredentialsFile(None), "path"),
    "empty path": (lambda: SharedCredentialsFile(""), "path"),
    "home of nobody": (lambda: SharedCredentialsFile("~nobody-of-that-name/x"), "path"),
    "no profile": (lambda: SharedCredentialsFile("x", profile=None), "profile"),  # type: ignore[arg-type]
    "DEFAULT": (lambda: SharedCredentialsFile("x", profile="DEFAULT"), "profile"),
    "region": (lambda: SharedCredentialsFile("x", region="Ireland"), "region"),
    "time": (lambda: SharedCredentialsFile("x", lock_timeout="1"), "lock_timeout"),  # type: ignore[arg-type]
    "endless time": (lambda: CommonConfig("x", lock_timeout=float("inf")), "lock_timeout"),
    "truth as a time": (lambda: CommonConfig("x", lock_timeout=True), "lock_timeout"),
    "negative time": (lambda: CommonConfig("x", lock_timeout=-1), "lock_timeout"),
    "path of settings": (lambda: CommonConfig(7), "path"),
    "settings": (
        lambda: SharedCredentialsFile("x", common_config="c.toml"),  # type: ignore[arg-type]
        "common_config",
    ),
    "no secret": (lambda: SecretsManagerSecret(None), "name"),  # type: ignore[arg-type]
    "blank in a secret": (lambda: SecretsManagerSecret("a b"), "name"),
    "key of KMS": (lambda: SecretsManagerSecret("a", kms_key_id=""), "kms_key_id"),
    "no parameter": (lambda: ParameterStoreSecret(5), "name"),  # type: ignore[arg-type]
    "blank in a parameter": (lambda: ParameterStoreSecret("/a b"), "name"),
    "number for KMS": (lambda: ParameterStoreSecret("/a", kms_key_id=1), "kms_key_id"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_where_a_store_is_named(name: str) -> None:
    """Before anything is asked for, with the name of the argument."""
    make, argument = NONSENSE[name]
    with pytest.raises(IntentError) as caught:
        make()
    assert [problem.argument for problem in caught.value.problems] == [argument]


# --- Secrets Manager ------------------------------------------------------------------------------


def test_a_secret_without_a_value_gets_its_first(session: boto3.Session) -> None:
    """Other tools make a secret first, and leave the value to somebody else."""
    client: Any = session.client("secretsmanager")
    client.create_secret(Name="agent")
    store = SecretsManagerSecret("agent", session=session)
    store.check()
    assert store.held() is None
    store.write(key(1), replacing=None)
    assert store.held() == key(1).access_key_id
    store.write(key(2), replacing=key(1).access_key_id)
    assert store.held() == key(2).access_key_id


def test_of_two_who_write_a_secret_without_a_value_the_second_is_refused(
    session: boto3.Session,
) -> None:
    """The first value becomes the current one, which the second does not know of."""
    client: Any = session.client("secretsmanager")
    client.create_secret(Name="agent")
    store = SecretsManagerSecret("agent", session=session)
    rival = SecretsManagerSecret("agent", session=session)
    done: list[bool] = []

    def overtake(**_event: object) -> None:
        if not done:
            done.append(True)
            rival.write(key(2), replacing=None)

    session.events.register("before-call.secretsmanager.PutSecretValue", overtake)
    with pytest.raises(StoreError, match="UpdateSecretVersionStage failed"):
        store.write(key(1), replacing=None)
    assert store.held() == key(2).access_key_id


def refusing(session: boto3.Session, *events: str) -> None:
    """Let AWS refuse operations before they are done, or after."""

    def refuse(model: Any, **_event: object) -> None:
        raise ClientError({"Error": {"Code": "Denied", "Message": "no"}}, model.name)

    for event in events:
        session.events.register(event, refuse)


def test_a_secret_that_nobody_may_describe_cannot_be_read(session: boto3.Session) -> None:
    """Whether it is there is not known then."""
    refusing(session, "before-call.secretsmanager.DescribeSecret")
    with pytest.raises(StoreError, match="DescribeSecret failed: Denied: no"):
        SecretsManagerSecret("agent", session=session).held()


REFUSED_THOUGH_DONE: dict[str, tuple[str, Any, int]] = {
    "secret made": ("secretsmanager.CreateSecret", SecretsManagerSecret, 1),
    "secret changed": ("secretsmanager.UpdateSecretVersionStage", SecretsManagerSecret, 2),
    "parameter": ("ssm.PutParameter", ParameterStoreSecret, 1),
}


@pytest.mark.parametrize("name", REFUSED_THOUGH_DONE)
def test_a_write_that_was_done_is_done(session: boto3.Session, name: str) -> None:
    """A request that is repeated after a lost reply is refused; what is read then counts."""
    event, kind, number = REFUSED_THOUGH_DONE[name]
    store = kind("agent", session=session)
    if number > 1:
        store.write(key(1), replacing=None)
    refusing(session, f"after-call.{event}")
    store.write(key(number), replacing=key(1).access_key_id if number > 1 else None)
    assert store.held() == key(number).access_key_id


@pytest.mark.parametrize("kind", [SecretsManagerSecret, ParameterStoreSecret])
def test_a_write_that_was_refused_is_an_error(session: boto3.Session, kind: Any) -> None:
    """Nothing is there then."""
    refusing(session, "before-call.secretsmanager.CreateSecret", "before-call.ssm.PutParameter")
    store = kind("agent", session=session)
    with pytest.raises(StoreError, match="failed: Denied: no"):
        store.write(key(1), replacing=None)
    assert store.held() is None


@pytest.mark.parametrize("kind", [SecretsManagerSecret, ParameterStoreSecret])
def test_the_first_error_is_told(session: boto3.Session, kind: Any) -> None:
    """Where it cannot be read any more what came of a write, that is not what went wrong first."""
    events = ("secretsmanager.CreateSecret", "ssm.PutParameter")
    store = kind("agent", session=session)

    def refuse(model: Any, **_event: object) -> None:
        reads = ("before-call.secretsmanager.GetSecretValue", "before-call.ssm.GetParameter")
        refusing(session, *reads)
        raise ClientError({"Error": {"Code": "First", "Message": "no"}}, model.name)

    for event in events:
        session.events.register(f"before-call.{event}", refuse)
    with pytest.raises(StoreError, match="failed: First"):
        store.write(key(1), replacing=None)


# --- Parameter Store ------------------------------------------------------------------------------


def test_a_parameter_that_is_not_encrypted_is_refused(session: boto3.Session) -> None:
    """AWS could not turn it into one that is, and the secret in it is for all to read."""
    client: Any = session.client("ssm")
    client.put_parameter(Name="agent", Value="x", Type="String")
    with pytest.raises(StoreError, match="it is a String, which is not encrypted"):
        ParameterStoreSecret("agent", session=session).check()


@pytest.mark.parametrize("repeats", [0, 1])
def test_a_version_too_many_is_a_rivals_unless_it_was_repeated(
    session: boto3.Session, repeats: int
) -> None:
    """Parameter Store lets the later one win, and tells only by the number of the version."""
    store = ParameterStoreSecret("agent", session=session)
    store.write(key(1), replacing=None)

    def count(parsed: dict[str, Any], **_event: object) -> None:
        parsed["Version"] += 1
        parsed["ResponseMetadata"]["RetryAttempts"] = repeats

    session.events.register("after-call.ssm.PutParameter", count)
    if repeats:
        store.write(key(2), replacing=key(1).access_key_id)
        return
    with pytest.raises(StoreError, match="somebody else has written to it meanwhile"):
        store.write(key(2), replacing=key(1).access_key_id)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "aws_secret_access_key =\n"], ids=["none", "empty"])
def test_an_id_without_a_secret_is_no_key(tmp_path: Path, secret: str) -> None:
    """It serves nobody, so that a new key takes its place."""
    path = tmp_path / "credentials"
    path.write_text(f"[AmazonCloudWatchAgent]\naws_access_key_id = AKIA\n{secret}")
    store = SharedCredentialsFile(path)
    assert store.held() is None
    store.write(key(1), replacing=None)
    assert store.held() == key(1).access_key_id


@pytest.mark.parametrize("option", ["sso_session", "web_identity_token_file", "source_profile"])
def test_a_profile_of_other_credentials_is_refused(tmp_path: Path, option: str) -> None:
    """They would go before the key."""
    path = tmp_path / "credentials"
    path.write_text(f"[AmazonCloudWatchAgent]\n{option} = x\n")
    with pytest.raises(StoreError, match=f"has {option}: somebody else writes to it"):
        SharedCredentialsFile(path).check()


def test_a_file_that_is_closed_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is written for, whoever reads it by the rights of a group cannot any more."""
    path = tmp_path / "credentials"
    SharedCredentialsFile(path).write(key(1), replacing=None)
    path.chmod(0o640)
    SharedCredentialsFile(path, region="eu-west-1").settle()
    assert stat.S_IMODE(path.stat().st_mode) == (0o600 if os.name == "posix" else 0o666)
    assert ("that ends now" in caplog.text) == (os.name == "posix")


def test_a_region_may_come_later(tmp_path: Path) -> None:
    """The profile gets it when the store is settled, and nothing else changes."""
    path = tmp_path / "credentials"
    path.write_text("# mine\n[a]\nx = 1\n")
    SharedCredentialsFile(path).write(key(1), replacing=None)
    before = path.read_text()
    SharedCredentialsFile(path).settle()
    assert path.read_text() == before
    SharedCredentialsFile(path, region="eu-west-1").settle()
    assert path.read_text() == before.replace(
        "[AmazonCloudWatchAgent]\n", "[AmazonCloudWatchAgent]\nregion = eu-west-1\n"
    )


def test_the_agent_is_to_be_started_again_once(tmp_path: Path) -> None:
    """When it has just been told where the file is, and not any more afterwards."""
    config = CommonConfig(tmp_path / "common-config.toml")
    store = SharedCredentialsFile(tmp_path / "credentials", common_config=config)
    store.write(key(1), replacing=None)
    assert store.settle() == (
        f"Restart the agent this once: {config} has just been pointed at the profile."
    )
    assert store.settle() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such folders")
def test_a_file_that_may_be_planted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder for all, such as /tmp, the new file would go to whoever made the old one."""
    path = tmp_path / "credentials"
    path.write_text("")
    tmp_path.chmod(0o1777)
    SharedCredentialsFile(path).check()
    other = os.geteuid() + 1
    monkeypatch.setattr("os.geteuid", lambda: other)
    with pytest.raises(StoreError, match="anybody may put files into its folder"):
        SharedCredentialsFile(path).check()
    SharedCredentialsFile(tmp_path / "new").check()


def test_a_file_that_is_mounted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: it could be written, and not be replaced."""
    path = tmp_path / "credentials"
    path.write_text("")
    monkeypatch.setattr("os.path.ismount", path.__eq__)
    with pytest.raises(StoreError, match="it is mounted by itself"):
        SharedCredentialsFile(path).check()


def test_an_interrupt_leaves_no_copy_of_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even in the moment when the new file takes the place of the old one."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        SharedCredentialsFile(tmp_path / "credentials").write(key(1), replacing=None)
    assert [each.name for each in tmp_path.iterdir()] == [".credentials.lock.cwagent-iam"]


@pytest.mark.parametrize(("code", "told"), [(errno.EIO, True), (errno.EINVAL, False)])
@pytest.mark.skipif(sys.platform == "win32", reason="folders are not flushed there")
def test_a_folder_that_cannot_be_flushed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, told: bool
) -> None:
    """The file is replaced, and the error does not say otherwise; some systems cannot do it."""
    flush = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, "no")
        flush(handle)

    monkeypatch.setattr("os.fsync", refuse)
    store = SharedCredentialsFile(tmp_path / "credentials")
    error = pytest.raises(StoreError, match="it is replaced, but may not be on the disk")
    with error if told else contextlib.nullcontext():
        store.write(key(1), replacing=None)
    assert store.held() == key(1).access_key_id


# --- the agent's settings -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_settings_keep_their_mode(tmp_path: Path, mode: int) -> None:
    """A proxy's password may be in them."""
    path = tmp_path / "common-config.toml"
    path.write_text('[proxy]\nhttp_proxy = "http://joe:pass@proxy"\n')
    path.chmod(mode)
    CommonConfig(path).point_at("p", tmp_path / "credentials")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_settings_keep_their_line_ends(tmp_path: Path) -> None:
    """Those of Windows too."""
    path = tmp_path / "common-config.toml"
    path.write_bytes(b"# mine\r\n[ssl]\r\n")
    CommonConfig(path).point_at("p", tmp_path / "credentials")
    content = path.read_bytes()
    assert content.startswith(b"# mine\r\n[ssl]\r\n")
    assert content.count(b"\r\n") == content.count(b"\n") > 3


def test_settings_with_a_byte_order_mark_are_refused(tmp_path: Path) -> None:
    """Editors on Windows may put one; the error says so."""
    path = tmp_path / "common-config.toml"
    path.write_bytes(b"\xef\xbb\xbf[ssl]\n")
    with pytest.raises(StoreError, match="it begins with a byte order mark"):
        CommonConfig(path).check("p", tmp_path / "credentials")


def test_settings_in_another_encoding_are_refused(tmp_path: Path) -> None:
    """TOML is UTF-8, and bytes that are not would not survive."""
    path = tmp_path / "common-config.toml"
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(StoreError, match="UnicodeDecodeError"):
        CommonConfig(path).check("p", tmp_path / "credentials")
    assert path.read_bytes() == b"# caf\xe9\n"
