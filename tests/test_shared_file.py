"""The shared credentials file: the text that stays, refusals, and failures during a write."""

from __future__ import annotations

import configparser
import copy
import functools
import gc
import io
import json
import logging
import multiprocessing
import os
import pickle
import shutil
import stat
import string
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import attrs
import boto3
import pytest
from hypothesis import example, given, settings, strategies as st

from cwagent_iam.errors import IntentError, StoreError
from cwagent_iam.key_stores import (
    Advice,
    Companion,
    KeyStore,
    NewAccessKey,
    ReadableKeyStore,
    SecretAccessKey,
)
from cwagent_iam.stores import SharedCredentialsFile
from cwagent_iam.stores.common_config import CommonConfig
from cwagent_iam.stores.ini import UnfitError, with_key
from cwagent_iam.stores.whole_file import WholeFile
from tests.conftest import examples

PROFILE = "AmazonCloudWatchAgent"
FORK: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
SECRET = "wJalr/XUtn+FEMI#K7MDENG;bPxRfi=CYEXAMPLE"  # noqa: S105 - an example of AWS's documentation


def new_key(number: int = 1, secret: str = SECRET) -> NewAccessKey:
    """Return a key that was just created."""
    return NewAccessKey(
        access_key_id=f"AKIA{number:016}",
        user_name="CloudWatchAgentServerUser",
        secret=SecretAccessKey(secret),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the file, which does not exist yet."""
    return tmp_path / "credentials"


@pytest.fixture
def store(path: Path) -> SharedCredentialsFile:
    """Return a store for a profile in it."""
    return SharedCredentialsFile(path, region="eu-west-1", lock_timeout=0)


def files_in(folder: Path) -> list[str]:
    """Return the names of all files but the lock."""
    return sorted(each.name for each in folder.iterdir() if ".lock." not in each.name)


def test_a_new_file_is_what_boto3_reads(store: SharedCredentialsFile, path: Path) -> None:
    """The first write creates the file, with the key and the Region, for its owner alone."""
    assert (store.held(), store.secret()) == (None, None)
    store.check()
    assert not path.exists()
    store.write(new_key(), replacing=None)
    secret = store.secret()
    assert secret
    assert (store.held(), secret.reveal()) == (new_key().access_key_id, SECRET)
    assert path.read_text() == (
        f"[{PROFILE}]\naws_access_key_id = AKIA0000000000000001\n"
        f"aws_secret_access_key = {SECRET}\nregion = eu-west-1\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files_in(path.parent) == ["credentials"]


def test_boto3_finds_the_key(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A boto3 session of the profile has the id and the secret of the key."""
    store.write(new_key(), replacing=None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    credentials = boto3.Session(profile_name=PROFILE).get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.secret_key) == (new_key().access_key_id, SECRET)


# Lines that a person may have written; none of them is a line of the key.
names = st.text(string.ascii_letters + string.digits + "-_. ", min_size=1, max_size=8).map(
    str.strip
)
values = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u0085\u2028\u2029"),
    max_size=12,
).map(str.strip)
blanks = st.sampled_from(["", " ", "   ", "\t"])
notes = st.builds("{}{}{}".format, blanks, st.sampled_from("#;"), values)
options = st.builds(
    "{}{}{}{}{}".format,
    names.filter(lambda name: name and not name.lower().startswith(("aws_", "rem", "role_arn"))),
    blanks,
    st.sampled_from("=:"),
    blanks,
    values,
)
nested = st.builds("{} =\n    a = {}\n    b = {}".format, st.just("s3"), names, names)


def _option_name(line: str) -> str:
    return line.replace(":", "=").split("=")[0].strip().lower()


several_options = st.lists(options | nested, max_size=4, unique_by=_option_name)
some_others = st.lists(notes | blanks, max_size=3)
some_sections = st.lists(names.filter(bool), max_size=3, unique=True)
newlines = st.sampled_from(["\n", "\r\n"])


@st.composite
def lines_of_a_section(draw: st.DrawFn) -> list[str]:
    """Draw options of different names, between comments and empty lines."""
    return draw(st.permutations([*draw(several_options), *draw(some_others)]))


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Draw a file that boto3 can read, and whether it has the profile."""
    sections = [each for each in draw(some_sections) if each not in {PROFILE, "DEFAULT"}]
    has_profile = draw(st.booleans())
    if has_profile:
        sections.insert(draw(st.integers(0, len(sections))), PROFILE)
    lines = draw(some_others)
    for section in sections:
        lines.append(f"[{section}]")
        body = draw(lines_of_a_section())
        if section == PROFILE:
            old = [
                f"aws_access_key_id{draw(blanks)}={draw(blanks)}OLD",
                "AWS_SECRET_ACCESS_KEY=OLD",
            ]
            body = [*draw(st.permutations([*old[: draw(st.integers(0, 2))]])), *body]
        lines += body
    newline = draw(newlines)
    text = newline.join("\n".join(lines).split("\n")) + draw(st.sampled_from([newline, ""]))
    return text.encode(), has_profile


def others(content: bytes) -> list[bytes]:
    """Return all lines but those of the key."""
    ours = (b"aws_access_key_id", b"aws_secret_access_key")
    return [line for line in content.splitlines() if not line.strip().lower().startswith(ours)]


@settings(max_examples=examples(100), deadline=None)
@given(given_file=files(), text=st.text(string.printable.split()[0], min_size=1))
@example(given_file=(b"[AmazonCloudWatchAgent]\naws_access_key_id=OLD\n#\n #\n", True), text="a")
@example(given_file=(b" # indented\n[AmazonCloudWatchAgent]\n  region = x", True), text="%(a)s")
def test_the_text_changes_in_the_lines_of_the_key_alone(
    given_file: tuple[bytes, bool], text: str
) -> None:
    """Any key in any file is read as it was written, and no other line changes."""
    content, has_profile = given_file
    values = {"aws_access_key_id": "AKIA", "aws_secret_access_key": text}
    changed = with_key(content.decode(), PROFILE, values).encode()
    parser = configparser.RawConfigParser()
    parser.read_string(changed.decode())
    assert dict(parser.items(PROFILE)).items() >= values.items()
    if has_profile:
        assert others(changed) == others(content)
    else:
        assert changed.startswith(content)


@settings(max_examples=50, deadline=None)
@given(given_file=files())
@example(given_file=(b"[a]\nx = 1\n\n# about b\n[AmazonCloudWatchAgent]\n\n# tail", True))
@example(given_file=("# Größe: \xa7\n[a]\nx = \xe9".encode("latin-1"), False))
def test_every_other_byte_is_unchanged(given_file: tuple[bytes, bool]) -> None:
    """A write changes no line but those of the key: neither order nor line ends."""
    content, has_profile = given_file
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "credentials"
        path.write_bytes(content)
        path.chmod(0o600)
        store = SharedCredentialsFile(path, lock_timeout=0)
        before = store.held() if has_profile or b"[" in content else None
        store.check()
        assert path.read_bytes() == content
        store.write(new_key(), replacing=before)
        changed = path.read_bytes()
        assert store.held() == new_key().access_key_id
    if has_profile:
        assert others(changed) == others(content)
    else:
        assert changed.startswith(content)
        gap = [b"", f"[{PROFILE}]".encode()]
        added = others(changed[len(content) :])
        assert [line for line in added if line] == gap[1:]
    if b"\r\n" in content and content.count(b"\r\n") == content.count(b"\n"):
        assert changed.count(b"\r\n") == changed.count(b"\n")


@settings(max_examples=30, deadline=None)
@given(given_file=files(), numbers=st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_writing_again_changes_the_key_alone(
    given_file: tuple[bytes, bool], numbers: list[int]
) -> None:
    """In an existing profile, each key replaces exactly the text of the one before."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "credentials"
        path.write_bytes(given_file[0])
        path.chmod(0o600)
        store = SharedCredentialsFile(path, lock_timeout=0)
        store.write(new_key(0), replacing=store.held())
        first = path.read_bytes()
        for number in numbers:
            store.write(new_key(number), replacing=store.held())
            old, new = new_key(0).access_key_id, new_key(number).access_key_id
            assert path.read_bytes() == first.replace(old.encode(), new.encode())


REFUSED = {
    "no sections": b"aws_access_key_id = A\n",
    "a section twice": b"[a]\nx=1\n[a]\ny=1\n",
    "an option twice": b"[a]\nx=1\nx=2\n",
    "a byte order mark": "\ufeff[a]\nx=1\n".encode(),
    "a bare carriage return": b"[a]\nx=1\ry=2\n",
    "a session token in the profile": b"[AmazonCloudWatchAgent]\naws_session_token = T\n",
    "a process in the profile": b"[AmazonCloudWatchAgent]\ncredential_process = p\n",
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_an_unfit_file_stays(content: bytes, store: SharedCredentialsFile, path: Path) -> None:
    """An unfit file or profile is refused by each method, and stays; `check` notices it before."""
    path.write_bytes(content)
    write = functools.partial(store.write, new_key(), replacing=None)
    for act in (store.held, store.secret, store.check, write):
        with pytest.raises(StoreError):
            act()
    assert path.read_bytes() == content
    assert files_in(path.parent) == ["credentials"]


@pytest.mark.parametrize("kind", ["link", "dangling link", "second name", "folder"])
def test_only_a_plain_file_is_replaced(
    kind: str, store: SharedCredentialsFile, path: Path, tmp_path: Path
) -> None:
    """A link, a second name or a folder is refused: it is neither followed nor replaced."""
    target = tmp_path / "target"
    match kind:
        case "link":
            target.write_text("[a]\n")
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to(target)
        case "second name":
            target.write_text("[a]\n")
            path.hardlink_to(target)
        case _:
            path.mkdir()
    before = path.lstat()
    for act in (store.held, store.check, lambda: store.write(new_key(), replacing=None)):
        with pytest.raises(StoreError, match=r"not a regular file|other hard links"):
            act()
    assert path.lstat().st_ino == before.st_ino
    assert not target.exists() or target.read_text() == "[a]\n"


def test_a_planted_lock_is_not_followed(store: SharedCredentialsFile, tmp_path: Path) -> None:
    """A link in place of the lock file is an error."""
    (tmp_path / ".credentials.lock.cwagent-iam").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be created"):
        store.check()
    assert not (tmp_path / "elsewhere").exists()


def test_the_folder_must_exist_and_be_protected(tmp_path: Path) -> None:
    """A missing folder is refused, and one in which any user can replace the file."""
    with pytest.raises(StoreError, match="folder cannot be used"):
        SharedCredentialsFile(tmp_path / "nowhere" / "credentials").check()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StoreError, match="all users can write"):
        SharedCredentialsFile(tmp_path / "open" / "credentials").check()
    (tmp_path / "open").chmod(0o1777)
    SharedCredentialsFile(tmp_path / "open" / "credentials").check()


def test_a_file_of_another_user_in_a_shared_folder_is_refused(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another user in a folder for all is refused: its owner would get the key."""
    path.write_text("[a]\n")
    path.parent.chmod(0o1777)
    store.check()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(StoreError, match="another user owns it"):
        store.check()


def test_a_file_that_is_mounted_is_refused(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is mounted by itself, as in a container, is refused by `check`."""
    path.write_text("[a]\n")
    monkeypatch.setattr(os.path, "ismount", lambda each: each == path)
    with pytest.raises(StoreError, match="mount its folder"):
        store.check()


def test_a_folder_that_cannot_be_flushed(
    store: SharedCredentialsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that the key is written, but may be lost in a power cut."""
    flush = os.fsync

    def fail(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(5, "Input/output error")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="may not be on disk: Input/output error"):
        store.write(new_key(), replacing=None)
    assert store.held() == new_key().access_key_id


def test_a_file_that_others_can_read_is_reported_and_closed(
    store: SharedCredentialsFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The advice names a file that other users can read; the next write removes that permission."""
    path.write_text("[a]\nx = 1\n")
    path.chmod(0o644)
    assert "let other users access it" in store.settle().text
    with caplog.at_level(logging.WARNING, "cwagent_iam"):
        store.write(new_key(), replacing=None)
    assert "let other users access it" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "let other users access it" not in store.settle().text


def test_the_agent_is_pointed_at_the_profile(path: Path, tmp_path: Path) -> None:
    """`settle` points the agent's settings at the profile once; then nothing is left to do."""
    config = CommonConfig(tmp_path / "common-config.toml")
    pointing = SharedCredentialsFile(path, common_config=config)
    pointing.check()
    advice = pointing.settle()
    assert advice.text.startswith(f"Restart the agent this once: {config}")
    assert (advice.rereads, advice.redirected) == (True, True)
    assert not config.point_at(PROFILE, path)
    assert pointing.settle() == Advice("", rereads=True, redirected=False)
    advice = SharedCredentialsFile(path).settle()
    assert advice.text.startswith("Restart the agent, unless")
    assert (advice.rereads, advice.redirected) == (False, False)


def test_protocols(store: SharedCredentialsFile) -> None:
    """The store can be read back, and it knows about the agent that reads it."""
    plain: KeyStore = store
    assert isinstance(plain, ReadableKeyStore)
    assert isinstance(plain, Companion)


def test_secret(store: SharedCredentialsFile, path: Path) -> None:
    """The secret that is read back is an object that shows a mask; without a key it is `None`."""
    other = SharedCredentialsFile(path, profile="Other")
    other.write(new_key(2), replacing=None)
    assert store.secret() is None
    secret = other.secret()
    assert isinstance(secret, SecretAccessKey)
    assert (secret.reveal(), repr(secret)) == (SECRET, "<secret access key>")
    path.write_text("[Other]\naws_access_key_id = AKIA\n")
    assert other.secret() is None


def test_identity(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity has the host, the absolute path and the profile, and nothing else."""
    monkeypatch.setattr("platform.node", lambda: "host")
    monkeypatch.chdir(path.parent)
    store = SharedCredentialsFile(path)
    assert store.identity == f"host {path} {PROFILE}"
    config = CommonConfig(path.with_name("common-config.toml"))
    same = SharedCredentialsFile("credentials", region="eu-west-1", common_config=config)
    assert same.identity == store.identity
    assert SharedCredentialsFile(path, profile="Other").identity == f"host {path} Other"


def test_a_region_that_is_given_later(path: Path) -> None:
    """`settle` adds the Region to a profile that has a key, and changes nothing else."""
    SharedCredentialsFile(path).settle()
    assert not path.exists()
    SharedCredentialsFile(path).write(new_key(), replacing=None)
    before = path.read_text()
    SharedCredentialsFile(path).settle()
    assert path.read_text() == before
    SharedCredentialsFile(path, region="eu-west-1").settle()
    assert path.read_text().splitlines() == [
        before.splitlines()[0],
        "region = eu-west-1",
        *before.splitlines()[1:],
    ]


def test_a_key_of_another_process_stays(store: SharedCredentialsFile) -> None:
    """A write is refused if the profile no longer holds the key that is to be replaced."""
    store.write(new_key(1), replacing=None)
    with pytest.raises(StoreError, match="another process has written"):
        store.write(new_key(2), replacing=None)
    assert store.held() == new_key(1).access_key_id


def test_a_secret_in_the_place_of_the_id(store: SharedCredentialsFile, path: Path) -> None:
    """The error about another process does not quote what the file has as an id."""
    swapped = f"[{store.profile}]\naws_access_key_id = hush\naws_secret_access_key = AKIA\n"
    path.write_text(swapped, encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        store.write(new_key(1), replacing=None)
    assert "hush" not in str(caught.value)


def test_a_file_of_a_killed_writer_is_deleted(store: SharedCredentialsFile, path: Path) -> None:
    """The next writer deletes the temporary file of a killed one, and no other file."""
    left = path.with_name(f".{path.name}.{'0f' * 8}.cwagent-iam")
    left.write_text("secret")
    path.with_name(".credentials.bak").write_text("mine")
    store.check()
    assert files_in(path.parent) == [".credentials.bak"]


def test_a_full_disk_leaves_the_old_file(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the old file stays, without a temporary file, and no frame has a secret."""
    store.write(new_key(1), replacing=None)
    size, another = path.stat().st_size, ["Another", "Secret"]

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        store.write(new_key(2, "".join(another)), replacing=new_key(1).access_key_id)
    assert (path.stat().st_size, store.held()) == (size, new_key(1).access_key_id)
    assert files_in(path.parent) == ["credentials"]
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert "".join(another) not in shown
    assert SECRET not in shown


def test_a_locked_file(store: SharedCredentialsFile, path: Path) -> None:
    """A writer that does not get the lock in time raises; after it is released, it writes."""
    with WholeFile(path, 0).locked(), pytest.raises(StoreError, match="still writing to it"):
        store.write(new_key(), replacing=None)
    store.write(new_key(), replacing=None)


def test_a_writer_waits_for_the_other(path: Path) -> None:
    """A writer writes as soon as the other one has released the lock."""
    store = SharedCredentialsFile(path)
    begun = threading.Event()

    def write() -> None:
        begun.set()
        store.write(new_key(), replacing=None)

    writing = threading.Thread(target=write)
    with WholeFile(path, 0).locked():
        writing.start()
        begun.wait()
        writing.join(0.06)  # longer than it waits between two looks at the lock
        assert writing.is_alive()
        assert store.held() is None
    writing.join()
    assert store.held() == new_key().access_key_id


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")
def test_the_file_still_belongs_to_the_agent(store: SharedCredentialsFile, path: Path) -> None:
    """A file that root replaces keeps its owner, which may be the user of the agent."""
    path.write_text("[a]\n")
    shutil.chown(path, 12345, 54321)
    store.write(new_key(), replacing=None)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@pytest.mark.parametrize("name", ["replace", "read"])
def test_an_error_of_the_system(
    name: str, store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the message of the operating system, and the file stays."""
    path.write_text("[a]\n")

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        if name == "replace":
            patched.setattr(Path, "replace", refuse)
        else:
            patched.setattr(os, "open", refuse)
        with pytest.raises(StoreError, match="Permission denied"):
            store.write(new_key(), replacing=None) if name == "replace" else store.held()
    assert path.read_text() == "[a]\n"
    assert files_in(path.parent) == ["credentials"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupt_leaves_nothing_behind(
    step: str, store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt during a write is raised, and leaves no temporary file."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write(new_key(), replacing=None)
    assert files_in(path.parent) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """A path below a file is an error with the message of the operating system."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        SharedCredentialsFile(tmp_path / "file" / "credentials").held()


@pytest.mark.parametrize("value", ["A\n[b]", "A\nb"])
def test_a_value_that_cannot_be_read_back_is_refused(value: str) -> None:
    """A value that would be read as something else is refused."""
    with pytest.raises(UnfitError, match="cannot be changed"):
        with_key("[a]\n", PROFILE, {"aws_access_key_id": value})


def write_many(path: Path, profile: str, count: int) -> None:
    """Write one key after the other to a profile, in another process."""
    store = SharedCredentialsFile(path, profile=profile)
    for number in range(count):
        store.write(new_key(number), replacing=store.held())


def test_two_processes_lose_nothing(path: Path) -> None:
    """Two processes that write simultaneously keep each other's profiles."""
    path.write_text("# kept\n[default]\nx = 1\n")
    work = [FORK.Process(target=write_many, args=(path, name, 20)) for name in ("One", "Two")]
    for each in work:
        each.start()
    for each in work:
        each.join()
    assert [each.exitcode for each in work] == [0, 0]
    assert path.read_text().startswith("# kept\n[default]\nx = 1\n")
    held = [SharedCredentialsFile(path, profile=name).held() for name in ("One", "Two")]
    assert held == [new_key(19).access_key_id] * 2


def write_for_ever(path: Path) -> None:
    """Write keys until the process is killed."""
    write_many(path, PROFILE, 10**9)


@pytest.mark.parametrize("moment", [0.02, 0.05, 0.08, 0.11])
def test_a_kill_leaves_the_old_file_or_the_new_one(path: Path, moment: float) -> None:
    """A killed writer leaves a complete file, and the next writer gets the lock."""
    store = SharedCredentialsFile(path, lock_timeout=0)
    path.write_text("# kept\n[default]\nx = 1\n")
    child = FORK.Process(target=write_for_ever, args=(path,))
    child.start()
    time.sleep(moment)  # the kill must come at some real moment
    child.kill()
    child.join()
    lines = path.read_text().splitlines()
    assert lines[:3] == ["# kept", "[default]", "x = 1"]
    assert len(lines) in {3, 7}
    assert len(lines) == 3 or lines[6] == f"aws_secret_access_key = {SECRET}"
    store.write(new_key(7), replacing=store.held())
    assert files_in(path.parent) == ["credentials"]


@pytest.mark.parametrize("profile", ["", " a", "a ", "a]", "a\nb", "DEFAULT", 'a"b', None])
def test_an_invalid_profile_is_refused(profile: Any) -> None:
    """A name that programs read in different ways is refused."""
    with pytest.raises(IntentError, match="profile="):
        SharedCredentialsFile("credentials", profile=profile)


@pytest.mark.parametrize("region", ["", "eu", "eu-west-1\nx = y", "default"])
def test_an_invalid_region_is_refused(region: str) -> None:
    """A Region that does not look like one is refused, so that it adds no other option."""
    with pytest.raises(IntentError, match="region="):
        SharedCredentialsFile("credentials", region=region)


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": ""},
        {"path": None},
        {"path": 3},
        {"lock_timeout": -1},
        {"lock_timeout": float("inf")},
        {"lock_timeout": True},
        {"lock_timeout": "1"},
        {"common_config": "common-config.toml"},
    ],
    ids=lambda arguments: "{}={!r}".format(*next(iter(arguments.items()))),
)
def test_other_invalid_arguments_are_refused(arguments: Any) -> None:
    """An invalid argument is refused when the store is constructed, and named."""
    with pytest.raises(IntentError, match=f"{next(iter(arguments))}="):
        SharedCredentialsFile(**{"path": "credentials"} | arguments)


MASKS = {
    "repr": repr,
    "percent": lambda secret: "%r" % (secret,),  # noqa: UP031 - that is the test
    "conversion": "{!r:>40}".format,
    "list": lambda secret: str([secret]),
    "copy": lambda secret: repr(copy.copy(secret)),
    "deepcopy": lambda secret: repr(copy.deepcopy([secret])),
    "asdict": lambda secret: repr(attrs.asdict(attrs.evolve(new_key(), secret=secret))),
    "the key": lambda secret: repr(attrs.evolve(new_key(), secret=secret)),
    "str of the key": lambda secret: str(attrs.evolve(new_key(), secret=secret)),
}


@pytest.mark.parametrize("show", MASKS.values(), ids=MASKS)
def test_the_repr_of_a_secret_is_a_mask(show: Any) -> None:
    """The repr of a secret, and of anything that holds it, shows a mask."""
    shown = show(SecretAccessKey(SECRET))
    assert SECRET not in shown
    assert "<secret access key>" in shown


CONVERSIONS = {
    "str": str,
    "format": "{}".format,
    "format with a width": "{:>40}".format,
    "f-string": lambda secret: f"{secret}",
    "f-string with a conversion": lambda secret: f"{secret!s}",
    "percent": lambda secret: "%s" % (secret,),  # noqa: UP031 - that is the test
    "print": lambda secret: print(secret, file=io.StringIO()),
    "JSON": json.dumps,
    "JSON with a default": lambda secret: json.dumps({"s": secret}, default=str),
    "JSON of the key": lambda secret: json.dumps(
        attrs.asdict(attrs.evolve(new_key(), secret=secret)), default=str
    ),
    "concatenation": lambda secret: "" + secret,
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
def test_a_secret_is_not_converted(convert: Any) -> None:
    """Any conversion to text raises, so that a mask is never stored in place of the secret."""
    with pytest.raises(TypeError) as caught:
        convert(SecretAccessKey(SECRET))
    assert SECRET not in str(caught.value)


def test_the_error_of_a_conversion() -> None:
    """The error of a conversion names the method that returns the secret."""
    with pytest.raises(TypeError, match=r"cannot be converted: call reveal\(\)"):
        str(SecretAccessKey(SECRET))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    """A secret cannot be pickled, neither alone nor in a key."""
    for each in (SecretAccessKey(SECRET), new_key()):
        with pytest.raises(TypeError, match="cannot be converted"):
            pickle.dumps(each, protocol)


def test_a_secret_has_no_state() -> None:
    """A secret does not hand out its state, as other serialisers ask for it."""
    state: Any = SecretAccessKey(SECRET)
    with pytest.raises(TypeError, match="cannot be converted"):
        state.__getstate__()
    assert not hasattr(state, "__dict__")


def test_a_forgotten_secret() -> None:
    """After `forget`, no copy of the object reveals the secret, and none refers to it."""
    secret = SecretAccessKey("forgotten")
    assert secret.reveal() == "forgotten"
    same = copy.deepcopy(secret)
    secret.forget()
    for each in (secret, same):
        with pytest.raises(LookupError, match="is forgotten"):
            each.reveal()
    assert "forgotten" not in map(repr, gc.get_referents(secret))
