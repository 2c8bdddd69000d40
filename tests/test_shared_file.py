"""The credentials file: what is kept, what is refused, and what can happen while it is written."""

from __future__ import annotations

import configparser
import copy
import gc
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

from cwagent_iam.credentials import (
    Companion,
    NewAccessKey,
    SecretAccessKey,
    SharedCredentialsFile,
)
from cwagent_iam.stores.common_config import CommonConfig
from cwagent_iam.stores.ini import UnfitError, with_key
from cwagent_iam.stores.whole_file import WholeFile
from cwagent_iam.errors import IntentError, StoreError
from tests.conftest import examples

PROFILE = "AmazonCloudWatchAgent"
FORK: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
SECRET = "wJalr/XUtn+FEMI#K7MDENG;bPxRfi=CYEXAMPLE"  # noqa: S105 - nobody's


def new_key(number: int = 1, secret: str = SECRET) -> NewAccessKey:
    """A key that was just made."""
    return NewAccessKey(
        access_key_id=f"AKIA{number:016}",
        user_name="CloudWatchAgentServerUser",
        secret=SecretAccessKey(secret),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "credentials"


@pytest.fixture
def store(path: Path) -> SharedCredentialsFile:
    """The profile in it."""
    return SharedCredentialsFile(path, region="eu-west-1", lock_timeout=0)


def files_in(folder: Path) -> list[str]:
    """The names of all files but the lock."""
    return sorted(each.name for each in folder.iterdir() if ".lock." not in each.name)


def test_a_new_file_is_what_boto3_reads(store: SharedCredentialsFile, path: Path) -> None:
    """A session with that profile has the key and the region."""
    assert store.held() is None
    store.check()
    assert not path.exists()
    store.write(new_key(), replacing=None)
    assert store.held() == new_key().access_key_id
    assert path.read_text() == (
        f"[{PROFILE}]\naws_access_key_id = AKIA0000000000000001\n"
        f"aws_secret_access_key = {SECRET}\nregion = eu-west-1\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files_in(path.parent) == ["credentials"]


def test_a_fresh_session_signs_with_it(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 finds key, secret and region by the profile's name."""
    store.write(new_key(), replacing=None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    credentials = boto3.Session(profile_name=PROFILE).get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.secret_key) == (new_key().access_key_id, SECRET)


# What a person may have written: each piece is whole lines, and none of it is the key's.
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
    """Options that differ, among notes and empty lines."""
    return draw(st.permutations([*draw(several_options), *draw(some_others)]))


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A file that boto3 can read, and whether the profile is in it."""
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


def readable(content: bytes) -> bool:
    """Whether boto3 could read it, and it is not blank lines all through."""
    try:
        configparser.RawConfigParser().read_string(content.decode().replace("\r\n", "\n"))
    except configparser.Error:
        return False
    return True


def others(content: bytes) -> list[bytes]:
    """All lines but those that the key is in."""
    ours = (b"aws_access_key_id", b"aws_secret_access_key")
    return [line for line in content.splitlines() if not line.strip().lower().startswith(ours)]


@settings(max_examples=examples(100), deadline=None)
@given(given_file=files(), text=st.text(string.printable.split()[0], min_size=1))
@example(given_file=(b"[AmazonCloudWatchAgent]\naws_access_key_id=OLD\n#\n #\n", True), text="a")
@example(given_file=(b" # indented\n[AmazonCloudWatchAgent]\n  region = x", True), text="%(a)s")
def test_the_text_changes_in_the_lines_of_the_key_alone(
    given_file: tuple[bytes, bool], text: str
) -> None:
    """Whatever a person wrote around it and whatever the secret is, it can be read again."""
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
    """All lines but the key's survive in their order, with their line ends; the key is read."""
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
    """Once the profile is there, each key takes exactly the place of the one before."""
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
def test_what_it_refuses_is_as_it_was(
    content: bytes, store: SharedCredentialsFile, path: Path
) -> None:
    """Before a key is made the caller learns that the file does not do."""
    path.write_bytes(content)
    for act in (store.held, store.check, lambda: store.write(new_key(), replacing=None)):
        with pytest.raises(StoreError):
            act()
    assert path.read_bytes() == content
    assert files_in(path.parent) == ["credentials"]


@pytest.mark.parametrize("kind", ["link", "dangling link", "second name", "folder"])
def test_only_a_plain_file_is_replaced(
    kind: str, store: SharedCredentialsFile, path: Path, tmp_path: Path
) -> None:
    """What somebody has planted in its place is neither followed nor taken away."""
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
        with pytest.raises(StoreError, match=r"no file at all|second name"):
            act()
    assert path.lstat().st_ino == before.st_ino
    assert not target.exists() or target.read_text() == "[a]\n"


def test_a_planted_lock_is_not_followed(store: SharedCredentialsFile, tmp_path: Path) -> None:
    """A link in place of the lock is an error."""
    (tmp_path / ".credentials.lock.cwagent-iam").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be made"):
        store.check()
    assert not (tmp_path / "elsewhere").exists()


def test_the_folder_must_exist_and_belong_to_some_people_only(tmp_path: Path) -> None:
    """Where anybody can put another file in its place, no secret goes."""
    with pytest.raises(StoreError, match="folder cannot be used"):
        SharedCredentialsFile(tmp_path / "nowhere" / "credentials").check()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StoreError, match="anybody may write"):
        SharedCredentialsFile(tmp_path / "open" / "credentials").check()
    (tmp_path / "open").chmod(0o1777)
    SharedCredentialsFile(tmp_path / "open" / "credentials").check()


def test_a_file_of_somebody_else_in_an_open_folder_is_refused(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has put it there would be given the key."""
    path.write_text("[a]\n")
    path.parent.chmod(0o1777)
    store.check()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(StoreError, match="it is somebody else's"):
        store.check()


def test_a_file_that_is_mounted_is_refused(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As containers do with single files: it cannot be replaced, and that is said beforehand."""
    path.write_text("[a]\n")
    monkeypatch.setattr(os.path, "ismount", lambda each: each == path)
    with pytest.raises(StoreError, match="mount its folder"):
        store.check()


def test_a_folder_that_cannot_be_flushed_is_told_of(
    store: SharedCredentialsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is there, but a power cut might undo that."""
    flush = os.fsync

    def fail(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(5, "Input/output error")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="may not be on the disk: Input/output error"):
        store.write(new_key(), replacing=None)
    assert store.held() == new_key().access_key_id


def test_a_file_that_others_can_read_is_reported_and_closed(
    store: SharedCredentialsFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The advice says so until it is written anew."""
    path.write_text("[a]\nx = 1\n")
    path.chmod(0o644)
    assert "others than its owner" in store.settle()
    with caplog.at_level(logging.WARNING, "cwagent_iam"):
        store.write(new_key(), replacing=None)
    assert "others than its owner" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "others than its owner" not in store.settle()


def test_the_agent_is_told_of_the_profile(path: Path, tmp_path: Path) -> None:
    """With its settings at hand it is pointed there, and once that is so nothing is left to do."""
    config = CommonConfig(tmp_path / "common-config.toml")
    told = SharedCredentialsFile(path, common_config=config)
    assert isinstance(told, Companion)
    told.check()
    assert told.settle().startswith(f"Restart the agent this once: {config}")
    assert not config.point_at(PROFILE, path)
    assert told.settle() == ""
    assert SharedCredentialsFile(path).settle().startswith("Restart the agent, unless")


def test_the_region_is_seen_to_even_where_the_key_is_kept(path: Path) -> None:
    """It is written when it was named later, and the key stays; without a key there is no need."""
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


def test_a_rival_who_was_faster_keeps_the_place(store: SharedCredentialsFile) -> None:
    """What is not what it is meant to replace stays."""
    store.write(new_key(1), replacing=None)
    with pytest.raises(StoreError, match="by now"):
        store.write(new_key(2), replacing=None)
    assert store.held() == new_key(1).access_key_id


def test_what_a_killed_writer_left_is_swept_up(store: SharedCredentialsFile, path: Path) -> None:
    """A file that never took its place is taken away, others are not."""
    left = path.with_name(f".{path.name}.{'0f' * 8}.cwagent-iam")
    left.write_text("secret")
    path.with_name(".credentials.bak").write_text("mine")
    store.check()
    assert files_in(path.parent) == [".credentials.bak"]


def test_a_full_disk_leaves_the_old_file(
    store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, nothing is left over, and nothing of the secret is told."""
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


def test_a_busy_file_is_waited_for_only_so_long(store: SharedCredentialsFile, path: Path) -> None:
    """Another writer at work is named, and nothing is written beside it."""
    with WholeFile(path, 0).locked(), pytest.raises(StoreError, match="somebody else is writing"):
        store.write(new_key(), replacing=None)
    store.write(new_key(), replacing=None)


def test_a_writer_waits_for_the_other(path: Path) -> None:
    """It goes on as soon as the other one has ended."""
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
    """Root writes for an agent that runs as somebody else."""
    path.write_text("[a]\n")
    shutil.chown(path, 12345, 54321)
    store.write(new_key(), replacing=None)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@pytest.mark.parametrize("name", ["replace", "read"])
def test_what_the_system_refuses_is_told(
    name: str, store: SharedCredentialsFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its words, and the file is as it was."""
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
    """It passes through, and what was begun is taken away."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write(new_key(), replacing=None)
    assert files_in(path.parent) == []


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    """What is no folder holds no file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        SharedCredentialsFile(tmp_path / "file" / "credentials").held()


@pytest.mark.parametrize("value", ["A\n[b]", "A\nb"])
def test_a_value_that_would_become_something_else_is_refused(value: str) -> None:
    """Whatever is written is read again before it is kept."""
    with pytest.raises(UnfitError, match="cannot be changed"):
        with_key("[a]\n", PROFILE, {"aws_access_key_id": value})


def write_many(path: Path, profile: str, count: int) -> None:
    """What a process does that puts one key after the other into its own profile."""
    store = SharedCredentialsFile(path, profile=profile)
    for number in range(count):
        store.write(new_key(number), replacing=store.held())


def test_two_processes_at_once_lose_nothing(path: Path) -> None:
    """Each finds the other's profile as that has left it."""
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
    """What a process does until it is killed."""
    write_many(path, PROFILE, 10**9)


@pytest.mark.parametrize("moment", [0.02, 0.05, 0.08, 0.11])
def test_a_kill_leaves_the_old_file_or_the_new_one(path: Path, moment: float) -> None:
    """There is always a whole file, and the next writer is not locked out."""
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
def test_a_profile_that_cannot_be_one_is_refused(profile: Any) -> None:
    """Programs read such names in different ways."""
    with pytest.raises(IntentError, match="profile="):
        SharedCredentialsFile("credentials", profile=profile)


@pytest.mark.parametrize("region", ["", "eu", "eu-west-1\nx = y", "default"])
def test_a_region_that_cannot_be_one_is_refused(region: str) -> None:
    """Nothing else gets into the file by it."""
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
def test_other_nonsense_is_refused(arguments: Any) -> None:
    """Where it is said, and not where it would matter."""
    with pytest.raises(IntentError, match=f"{next(iter(arguments))}="):
        SharedCredentialsFile(**{"path": "credentials"} | arguments)


MASKS = {
    "repr": repr,
    "str": str,
    "format": "{:>40}".format,
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - that is the test
    "copy": lambda secret: repr(copy.copy(secret)),
    "deepcopy": lambda secret: repr(copy.deepcopy([secret])),
    "asdict": lambda secret: repr(attrs.asdict(attrs.evolve(new_key(), secret=secret))),
    "the key": lambda secret: repr(attrs.evolve(new_key(), secret=secret)),
}


@pytest.mark.parametrize("show", MASKS.values(), ids=MASKS)
def test_a_secret_shows_a_mask(show: Any) -> None:
    """Whatever shows it does not show it."""
    shown = show(SecretAccessKey(SECRET))
    assert SECRET not in shown
    assert "<secret access key>" in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    """Neither alone nor as a part of something."""
    for each in (SecretAccessKey(SECRET), new_key()):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(each, protocol)


def test_a_forgotten_secret_is_nowhere() -> None:
    """What still refers to it has nothing to tell."""
    secret = SecretAccessKey("forgotten")
    assert secret.reveal() == "forgotten"
    same = copy.deepcopy(secret)
    secret.forget()
    for each in (secret, same):
        with pytest.raises(LookupError):
            each.reveal()
    assert "forgotten" not in map(str, gc.get_referents(secret))
