"""Two clients that write to one thing at once: the second one may be refused."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
from botocore.exceptions import ClientError

from cwagent_iam.testing import laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES
from cwagent_iam.testing.lagging.wire import Sent
from cwagent_iam.testing.lagging.writers import Writers

COLLIDING = attrs.evolve(PROFILES["off"], collisions=1.0)


def write(client: str, role: str = "A") -> Sent:
    """Write to a role."""
    return Sent(
        number=1,
        client=client,
        service="iam",
        operation="TagRole",
        parameters={"RoleName": role},
        access_key="K",
        url="https://iam.amazonaws.com/",
        body="",
    )


def writers(probability: float = 1.0) -> Writers:
    """Let one client have written to a role at 10 seconds."""
    found = Writers(probability, random.Random(0))  # noqa: S311 - it shall be predictable
    found.note(write("ours"), 10.0)
    return found


@pytest.mark.parametrize(
    ("client", "role", "now", "collides"),
    [
        ("rival", "A", 10.0, True),
        ("rival", "a", 11.9, True),
        ("rival", "A", 12.0, False),
        ("rival", "B", 10.0, False),
        ("ours", "A", 10.0, False),
    ],
    ids=["at once", "soon after", "later", "something else", "the same client"],
)
def test_two_writes_collide_within_two_seconds(
    client: str, role: str, now: float, *, collides: bool
) -> None:
    """Another client's write to the same thing within 2 seconds collides."""
    assert writers().collides(write(client, role), now) is collides


def test_the_last_writer_counts() -> None:
    """Once another one has got through, the first one is the one who comes too soon."""
    found = writers()
    found.note(write("rival"), 13.0)
    assert found.collides(write("ours"), 13.0)
    assert not found.collides(write("rival"), 13.0)


def test_collisions_are_as_frequent_as_probable() -> None:
    """With probability 0.25 a quarter of the writes at once collide; with 0 none does."""
    hits = {}
    for probability in (0.0, 0.25):
        found = writers(probability)
        hits[probability] = sum(found.collides(write("rival"), 10.0) for _ in range(1000))
    assert hits[0.0] == 0
    assert 200 < hits[0.25] < 300


def test_a_write_to_nothing_is_not_remembered() -> None:
    """What names nothing collides with nothing."""
    found = writers()
    found.note(attrs.evolve(write("ours"), parameters={}), 10.0)
    assert not found.collides(attrs.evolve(write("rival"), parameters={}), 10.0)


def tag(iam: Any, value: str) -> None:
    """Write to a user."""
    iam.tag_user(UserName="U", Tags=[{"Key": "by", "Value": value}])


def tags(iam: Any) -> list[str]:
    """Read what was written."""
    return [tag["Value"] for tag in iam.list_user_tags(UserName="U")["Tags"]]


def test_a_write_that_collides_is_not_done() -> None:
    """It is refused without a word, and goes through when some time has passed."""
    with laggy_iam(COLLIDING) as lagging:
        ours, rival = lagging.client("ours"), lagging.client("rival")
        lagging.truth.create_user(UserName="U")
        tag(rival, "rival")
        with pytest.raises(ClientError) as caught:
            tag(ours, "ours")
        refused = caught.value.response
        assert refused["Error"]["Code"] == "ConcurrentModification"
        assert not refused["Error"].get("Message")
        assert refused["ResponseMetadata"]["HTTPStatusCode"] == 409
        assert tags(lagging.truth) == ["rival"]
        lagging.clock.sleep(2.0)
        tag(ours, "ours")
        assert tags(lagging.truth) == ["ours"]


def test_only_what_was_written_collides() -> None:
    """Reads, refused writes and what is done to the truth itself are in nobody's way."""
    with laggy_iam(COLLIDING) as lagging:
        ours, rival = lagging.client("ours"), lagging.client("rival")
        with pytest.raises(ClientError, match="NoSuchEntity"):
            tag(rival, "rival")
        lagging.truth.create_user(UserName="U")
        tags(rival)
        tag(ours, "ours")
        tag(lagging.truth, "truth")
        assert tags(rival) == ["truth"]


def test_only_bad_days_have_collisions() -> None:
    """On a usual day writes at once do not collide."""
    colliding = {name for name, profile in PROFILES.items() if profile.collisions}
    assert colliding == {"bad_day", "adversarial"}
