"""The agent's common-config.toml: what is said in it, and what stays."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from cwagent_iam.stores.common_config import CommonConfig
from cwagent_iam.errors import StoreError

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
    """Where the file is to be."""
    return tmp_path / "common-config.toml"


def test_a_new_file_points_at_the_profile(path: Path) -> None:
    """The first call writes, the second has nothing to do; others may read it."""
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
    """What was there is there, byte for byte, before what is new."""
    path.write_text(AS_INSTALLED)
    CommonConfig(path).point_at(PROFILE, FILE)
    assert path.read_text().startswith(AS_INSTALLED)


def test_another_profile_is_replaced_in_its_place(path: Path) -> None:
    """One line changes, one comes after it."""
    path.write_text(
        '[credentials]\n  shared_credential_profile = "old"  # why\n\n[imds]\nimds_retries = 1\n'
    )
    CommonConfig(path).point_at(PROFILE, FILE)
    changed = path.read_text()
    assert f'  shared_credential_profile = "{PROFILE}"  # why\n' in changed
    assert changed.endswith("[imds]\nimds_retries = 1\n")
    assert tomllib.loads(changed)["credentials"]["shared_credential_file"] == str(FILE)


@pytest.mark.parametrize("content", [b"[credentials", b"credentials = 1\n", b"\xff"])
def test_what_it_cannot_read_is_as_it_was(path: Path, content: bytes) -> None:
    """Before a key is made the caller learns that the file does not do."""
    path.write_bytes(content)
    with pytest.raises(StoreError, match="mend it by hand"):
        CommonConfig(path).check(PROFILE, FILE)
    with pytest.raises(StoreError, match="mend it by hand"):
        CommonConfig(path).point_at(PROFILE, FILE)
    assert path.read_bytes() == content
