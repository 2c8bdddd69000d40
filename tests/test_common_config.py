"""The agent's common-config.toml: the two settings that are written, and the rest, which stays."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from cwagent_iam.errors import StoreError
from cwagent_iam.stores.common_config import CommonConfig

FILE = Path("/opt/aws/amazon-cloudwatch-agent/etc/credentials")
PROFILE = "AmazonCloudWatchAgent"
AS_INSTALLED = """# Settings of the agent itself, and where its credentials are

## Configuration for shared credential.
# [credentials]
#    shared_credential_profile = "{profile_name}"

[proxy]
   http_proxy = "http://proxy:8080"  # kept
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the file, which does not exist yet."""
    return tmp_path / "common-config.toml"


def test_a_new_file_points_at_the_profile(path: Path) -> None:
    """The first call creates a file that all users may read; the second changes nothing."""
    config = CommonConfig(path)
    config.check(PROFILE, FILE)
    assert not path.exists()
    assert config.point_at(PROFILE, FILE)
    assert not config.point_at(PROFILE, FILE)
    assert tomllib.loads(path.read_text())["credentials"] == {
        "shared_credential_profile": PROFILE,
        "shared_credential_file": str(FILE),
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_comments_and_other_tables_stay(path: Path) -> None:
    """The file stays, byte for byte, before what is added."""
    path.write_text(AS_INSTALLED)
    CommonConfig(path).point_at(PROFILE, FILE)
    assert path.read_text().startswith(AS_INSTALLED)


def test_another_profile_is_replaced(path: Path) -> None:
    """The line of another profile is changed, and the missing line follows it."""
    path.write_text(
        '[credentials]\n  shared_credential_profile = "old"  # why\n\n[imds]\nimds_retries = 1\n'
    )
    CommonConfig(path).point_at(PROFILE, FILE)
    changed = path.read_text()
    assert f'  shared_credential_profile = "{PROFILE}"  # why\n' in changed
    assert changed.endswith("[imds]\nimds_retries = 1\n")
    assert tomllib.loads(changed)["credentials"]["shared_credential_file"] == str(FILE)


@pytest.mark.parametrize("content", [b"[credentials", b"credentials = 1\n", b"\xff"])
def test_an_unreadable_file_stays(path: Path, content: bytes) -> None:
    """A file that is not TOML, or has no such table, is refused by `check`, and stays."""
    path.write_bytes(content)
    with pytest.raises(StoreError, match="correct the file"):
        CommonConfig(path).check(PROFILE, FILE)
    with pytest.raises(StoreError, match="correct the file"):
        CommonConfig(path).point_at(PROFILE, FILE)
    assert path.read_bytes() == content
