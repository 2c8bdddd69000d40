"""Stores that exist already, created by hand or by other tools, and invalid arguments."""

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
from cwagent_iam.errors import IntentError
from cwagent_iam.key_stores import Advice, SecretAccessKey
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import boto3


def key(number: int) -> NewAccessKey:
    """Return a key of the user Ann."""
    secret = SecretAccessKey(f"secret/{number}")
    return NewAccessKey(access_key_id=f"AKIA{number:016}", user_name="Ann", secret=secret)


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    """A session of an account in memory."""
    with sandbox() as session:
        yield session


# --- arguments ------------------------------------------------------------------------------------

INVALID: dict[str, tuple[Callable[[], object], str]] = {
    "no path": (lambda: SharedCredentialsFile(None), "path"),
    "empty path": (lambda: SharedCredentialsFile(""), "path"),
    "home of an unknown user": (lambda: SharedCredentialsFile("~nobody-of-that-name/x"), "path"),
    "no profile": (lambda: SharedCredentialsFile("x", profile=None), "profile"),  # type: ignore[arg-type]
    "DEFAULT": (lambda: SharedCredentialsFile("x", profile="DEFAULT"), "profile"),
    "region": (lambda: SharedCredentialsFile("x", region="Ireland"), "region"),
    "time": (lambda: SharedCredentialsFile("x", lock_timeout="1"), "lock_timeout"),  # type: ignore[arg-type]
    "endless time": (lambda: CommonConfig("x", lock_timeout=float("inf")), "lock_timeout"),
    "bool as a time": (lambda: CommonConfig("x", lock_timeout=True), "lock_timeout"),
    "negative time": (lambda: CommonConfig("x", lock_timeout=-1), "lock_timeout"),
    "path of settings": (lambda: CommonConfig(7), "path"),
    "settings": (
        lambda: SharedCredentialsFile("x", common_config="c.toml"),  # type: ignore[arg-type]
        "common_config",
    ),
    "no secret": (lambda: SecretsManagerSecret(None), "name"),  # type: ignore[arg-type]
    "blank in a secret": (lambda: SecretsManagerSecret("a b"), "name"),
    "empty KMS key": (lambda: SecretsManagerSecret("a", kms_key_id=""), "kms_key_id"),
    "no parameter": (lambda: ParameterStoreSecret(5), "name"),  # type: ignore[arg-type]
    "blank in a parameter": (lambda: ParameterStoreSecret("/a b"), "name"),
    "number for KMS": (lambda: ParameterStoreSecret("/a", kms_key_id=1), "kms_key_id"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_argument_is_refused(name: str) -> None:
    """A store refuses an invalid argument when it is constructed, and names the argument."""
    make, argument = INVALID[name]
    with pytest.raises(IntentError) as caught:
        make()
    assert [problem.argument for problem in caught.value.problems] == [argument]


# --- Secrets Manager ------------------------------------------------------------------------------


def test_a_secret_without_a_value_gets_its_first(session: boto3.Session) -> None:
    """A secret that another tool has created without a value can be written, and written again."""
    client: Any = session.client("secretsmanager")
    client.create_secret(Name="agent")
    store = SecretsManagerSecret("agent", session=session)
    store.check()
    assert store.held() is None
    store.write(key(1), replacing=None)
    assert store.held() == key(1).access_key_id
    store.write(key(2), replacing=key(1).access_key_id)
    assert store.held() == key(2).access_key_id


def test_of_two_first_values_the_later_one_is_refused(session: boto3.Session) -> None:
    """If two processes write the first value, AWS refuses the later one as the current version."""
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


def refusing(session: boto3.Session, *events: str) -> list[str]:
    """Let AWS refuse operations, before or after it carries them out; return a list of them.

    Stores keep their clients, and a client has the handlers that its session had before.
    """
    refused: list[str] = []

    def refuse(model: Any, **_event: object) -> None:
        refused.append(model.name)
        raise ClientError({"Error": {"Code": "Denied", "Message": "no"}}, model.name)

    for event in events:
        session.events.register(event, refuse)
    return refused


def test_a_secret_that_may_not_be_described_cannot_be_read(session: boto3.Session) -> None:
    """If DescribeSecret is denied, the error says so: whether the secret exists is unknown."""
    refusing(session, "before-call.secretsmanager.DescribeSecret")
    with pytest.raises(StoreError, match="DescribeSecret failed: Denied: no"):
        SecretsManagerSecret("agent", session=session).held()


REFUSED_ALTHOUGH_DONE: dict[str, tuple[str, Any, int]] = {
    "secret created": ("secretsmanager.CreateSecret", SecretsManagerSecret, 1),
    "secret changed": ("secretsmanager.UpdateSecretVersionStage", SecretsManagerSecret, 2),
    "parameter": ("ssm.PutParameter", ParameterStoreSecret, 1),
}


@pytest.mark.parametrize("name", REFUSED_ALTHOUGH_DONE)
def test_a_write_that_was_carried_out_counts(session: boto3.Session, name: str) -> None:
    """A refused write is a success if a read shows the key: its reply may have been lost."""
    event, kind, number = REFUSED_ALTHOUGH_DONE[name]
    if number > 1:
        kind("agent", session=session).write(key(1), replacing=None)
    refused = refusing(session, f"after-call.{event}")
    store = kind("agent", session=session)
    store.write(key(number), replacing=key(1).access_key_id if number > 1 else None)
    assert (store.held(), refused) == (key(number).access_key_id, [event.split(".")[1]])


@pytest.mark.parametrize("kind", [SecretsManagerSecret, ParameterStoreSecret])
def test_a_write_that_was_refused_is_an_error(session: boto3.Session, kind: Any) -> None:
    """A write that AWS refuses raises without AWS's words, and the store holds no key."""
    refusing(session, "before-call.secretsmanager.CreateSecret", "before-call.ssm.PutParameter")
    store = kind("agent", session=session)
    with pytest.raises(StoreError, match=r"failed: Denied$"):
        store.write(key(1), replacing=None)
    assert store.held() is None


@pytest.mark.parametrize("kind", [SecretsManagerSecret, ParameterStoreSecret])
def test_the_first_error_is_raised(session: boto3.Session, kind: Any) -> None:
    """If the read after a refused write fails too, the error is that of the write."""
    failed: list[str] = []

    def refuse(model: Any, **_event: object) -> None:
        if failed or model.name in {"CreateSecret", "PutParameter"}:
            failed.append(model.name)
            raise ClientError({"Error": {"Code": "Denied", "Message": "no"}}, model.name)

    session.events.register("before-call", refuse)
    with pytest.raises(StoreError, match=r"(CreateSecret|PutParameter) failed: Denied"):
        kind("agent", session=session).write(key(1), replacing=None)
    assert [name.startswith("Get") for name in failed] == [False, True]


# --- Parameter Store ------------------------------------------------------------------------------


def test_a_parameter_that_is_not_encrypted_is_refused(session: boto3.Session) -> None:
    """A parameter of the type String is refused: AWS does not encrypt it."""
    client: Any = session.client("ssm")
    client.put_parameter(Name="agent", Value="x", Type="String")
    with pytest.raises(StoreError, match="it is a String, which is not encrypted"):
        ParameterStoreSecret("agent", session=session).check()


@pytest.mark.parametrize("repeats", [0, 1])
def test_a_version_in_between_is_of_another_process(session: boto3.Session, repeats: int) -> None:
    """A skipped version number shows another write, unless the client repeated the request."""
    ParameterStoreSecret("agent", session=session).write(key(1), replacing=None)

    def count(parsed: dict[str, Any], **_event: object) -> None:
        parsed["Version"] += 1
        parsed["ResponseMetadata"]["RetryAttempts"] = repeats

    session.events.register("after-call.ssm.PutParameter", count)
    store = ParameterStoreSecret("agent", session=session)
    if repeats:
        store.write(key(2), replacing=key(1).access_key_id)
        return
    with pytest.raises(StoreError, match="another process has written to it meanwhile"):
        store.write(key(2), replacing=key(1).access_key_id)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "aws_secret_access_key =\n"], ids=["none", "empty"])
def test_an_id_without_a_secret_is_not_a_key(tmp_path: Path, secret: str) -> None:
    """A profile without a secret holds no key, so that a new key is written to it."""
    path = tmp_path / "credentials"
    path.write_text(f"[AmazonCloudWatchAgent]\naws_access_key_id = AKIA\n{secret}")
    store = SharedCredentialsFile(path)
    assert (store.held(), store.secret()) == (None, None)
    store.write(key(1), replacing=None)
    assert store.held() == key(1).access_key_id


@pytest.mark.parametrize("option", ["sso_session", "web_identity_token_file", "source_profile"])
def test_a_profile_of_other_credentials_is_refused(tmp_path: Path, option: str) -> None:
    """A profile with other credentials is refused: programs would prefer them to the key."""
    path = tmp_path / "credentials"
    path.write_text(f"[AmazonCloudWatchAgent]\n{option} = x\n")
    with pytest.raises(StoreError, match=f"has {option}, for other credentials"):
        SharedCredentialsFile(path).check()


def test_removed_permissions_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Any write removes the permissions of other users from the file, and logs a warning."""
    path = tmp_path / "credentials"
    SharedCredentialsFile(path).write(key(1), replacing=None)
    path.chmod(0o640)
    SharedCredentialsFile(path, region="eu-west-1").settle()
    assert stat.S_IMODE(path.stat().st_mode) == (0o600 if os.name == "posix" else 0o666)
    assert ("the next write removes these" in caplog.text) == (os.name == "posix")


def test_a_region_may_come_later(tmp_path: Path) -> None:
    """`settle` adds a Region that is given later to the profile, and changes nothing else."""
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


def test_the_agent_is_restarted_once(tmp_path: Path) -> None:
    """`settle` advises a restart only when it has just pointed the agent at the profile."""
    config = CommonConfig(tmp_path / "common-config.toml")
    store = SharedCredentialsFile(tmp_path / "credentials", common_config=config)
    store.write(key(1), replacing=None)
    text = f"Restart the agent this once: {config} has just been pointed at the profile."
    assert store.settle() == Advice(text, redirected=True)
    assert store.settle() == Advice()


def test_an_agent_that_finds_the_file_itself_does_not_reread_it(tmp_path: Path) -> None:
    """Without `common_config`, each new key needs a restart, which the advice says."""
    store = SharedCredentialsFile(tmp_path / "credentials")
    store.write(key(1), replacing=None)
    advice = store.settle()
    assert advice.text.startswith("Restart the agent, unless")
    assert (advice.rereads, advice.redirected) == (False, False)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such folders")
def test_a_file_of_another_user_in_a_shared_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder such as /tmp, a file of another user is refused: its owner would get the key."""
    path = tmp_path / "credentials"
    path.write_text("")
    tmp_path.chmod(0o1777)
    SharedCredentialsFile(path).check()
    other = os.geteuid() + 1
    monkeypatch.setattr("os.geteuid", lambda: other)
    with pytest.raises(StoreError, match="another user owns it"):
        SharedCredentialsFile(path).check()
    SharedCredentialsFile(tmp_path / "new").check()


def test_a_file_that_is_mounted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is mounted by itself, as in a container, is refused: it cannot be replaced."""
    path = tmp_path / "credentials"
    path.write_text("")
    monkeypatch.setattr("os.path.ismount", path.__eq__)
    with pytest.raises(StoreError, match="it is a mount point"):
        SharedCredentialsFile(path).check()


def test_an_interrupt_leaves_no_copy_of_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while the file is replaced leaves only the lock file behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        SharedCredentialsFile(tmp_path / "credentials").write(key(1), replacing=None)
    assert [each.name for each in tmp_path.iterdir()] == [".credentials.lock.cwagent-iam"]


@pytest.mark.parametrize(("code", "told"), [(errno.EIO, True), (errno.EINVAL, False)])
@pytest.mark.skipif(sys.platform == "win32", reason="folders are not flushed there")
def test_a_folder_that_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, told: bool
) -> None:
    """The error says that the file is replaced; there is none if folders cannot be flushed."""
    flush = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, "no")
        flush(handle)

    monkeypatch.setattr("os.fsync", refuse)
    store = SharedCredentialsFile(tmp_path / "credentials")
    error = pytest.raises(StoreError, match="it is replaced, but may not be on disk")
    with error if told else contextlib.nullcontext():
        store.write(key(1), replacing=None)
    assert store.held() == key(1).access_key_id


# --- the agent's settings -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_settings_keep_their_mode(tmp_path: Path, mode: int) -> None:
    """The mode of the agent's settings stays: they may hold the password of a proxy."""
    path = tmp_path / "common-config.toml"
    path.write_text('[proxy]\nhttp_proxy = "http://joe:pass@proxy"\n')
    path.chmod(mode)
    CommonConfig(path).point_at("p", tmp_path / "credentials")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_settings_keep_their_line_ends(tmp_path: Path) -> None:
    """The line ends of Windows stay, and new lines have them too."""
    path = tmp_path / "common-config.toml"
    path.write_bytes(b"# mine\r\n[ssl]\r\n")
    CommonConfig(path).point_at("p", tmp_path / "credentials")
    content = path.read_bytes()
    assert content.startswith(b"# mine\r\n[ssl]\r\n")
    assert content.count(b"\r\n") == content.count(b"\n") > 3


def test_settings_with_a_byte_order_mark_are_refused(tmp_path: Path) -> None:
    """The error says that the settings begin with a byte order mark, as some editors write it."""
    path = tmp_path / "common-config.toml"
    path.write_bytes(b"\xef\xbb\xbf[ssl]\n")
    with pytest.raises(StoreError, match="it begins with a byte order mark"):
        CommonConfig(path).check("p", tmp_path / "credentials")


def test_settings_in_another_encoding_are_refused(tmp_path: Path) -> None:
    """Settings that are not UTF-8 are refused and stay unchanged, because TOML is UTF-8."""
    path = tmp_path / "common-config.toml"
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(StoreError, match="UnicodeDecodeError"):
        CommonConfig(path).check("p", tmp_path / "credentials")
    assert path.read_bytes() == b"# caf\xe9\n"
