"""The keys of a user that is removed: refused and named, or deleted where that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ConflictError,
    IntentError,
    State,
    User,
    plan_agent_user,
    remove,
)
from cwagent_iam.changes import DeleteAccessKey
from cwagent_iam.state import MANAGED_TAG
from cwagent_iam.testing import Crash, Fault, laggy_iam

if TYPE_CHECKING:
    from cwagent_iam.testing import LaggyIAM

USER = "CloudWatchAgentServerUser"
WANTED = plan_agent_user()


def with_keys(lagging: LaggyIAM, number: int) -> list[str]:
    """Have the user with this many keys, for long; return their ids."""
    truth = lagging.truth
    truth.create_user(UserName=USER, Tags=[dict(zip(("Key", "Value"), MANAGED_TAG, strict=True))])
    made = [truth.create_access_key(UserName=USER)["AccessKey"] for _ in range(number)]
    lagging.settle()
    return sorted(each["AccessKeyId"] for each in made)


def test_keys_are_in_the_way() -> None:
    """Removal refuses, names the keys, and sends no write."""
    with laggy_iam("off") as lagging:
        ids = with_keys(lagging, 2)
        with pytest.raises(ConflictError) as caught:
            remove(WANTED, session=lagging.session)
        assert str(caught.value) == (
            f"user {USER} is still used: access key {ids[0]}, access key {ids[1]}.\n"
            "Remove these first, then call again. "
            'With access_keys="delete" all keys are deleted too, used or not.'
        )
        assert [each for each in lagging.trace if not each.reads] == []


@pytest.mark.parametrize("profile", ["off", "typical", "adversarial"])
def test_keys_are_deleted_if_that_is_said(profile: str) -> None:
    """Each key is a change; they go before the user, whatever IAM does."""
    with laggy_iam(profile, seed=5) as lagging:
        ids = with_keys(lagging, 2)
        result = remove(WANTED, access_keys="delete", session=lagging.session)
        assert sorted(map(str, result.changes))[:2] == [
            f"- DeleteAccessKey {USER}: {name}" for name in ids
        ]
        assert lagging.truth.list_users()["Users"] == []


def test_keys_of_a_stranger_stay() -> None:
    """Who is not managed keeps all."""
    with laggy_iam("off") as lagging:
        with_keys(lagging, 1)
        lagging.truth.untag_user(UserName=USER, TagKeys=[MANAGED_TAG[0]])
        with pytest.raises(ConflictError, match="it is not managed"):
            remove(WANTED, access_keys="delete", session=lagging.session)
        assert lagging.truth.list_access_keys(UserName=USER)["AccessKeyMetadata"]


def test_other_things_stay_in_the_way() -> None:
    """To delete keys is no leave to delete more."""
    with laggy_iam("off") as lagging:
        with_keys(lagging, 1)
        lagging.truth.create_login_profile(UserName=USER, Password="x" * 20)
        with pytest.raises(ConflictError, match="is still used: login profile"):
            remove(WANTED, access_keys="delete", session=lagging.session)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_killed_removal_goes_on(when: Any, number: int) -> None:
    """Killed at the deletion of a key, the next program does the rest."""
    with laggy_iam("typical", seed=2) as lagging:
        with_keys(lagging, 2)
        lagging.fail(Fault("crash", "DeleteAccessKey", when=when, nth=number))
        with pytest.raises(Crash):
            remove(WANTED, access_keys="delete", session=lagging.program("first"))
        remove(WANTED, access_keys="delete", session=lagging.program("second"))
        assert lagging.truth.list_users()["Users"] == []


@pytest.mark.parametrize("value", ["keep", True, None])
def test_there_are_two_ways(value: Any) -> None:
    """Anything else is refused in one clear sentence; nothing is sent."""
    with pytest.raises(IntentError, match="'refuse' or 'delete'"):
        remove(WANTED, access_keys=value)


def test_the_change_says_what_it_does() -> None:
    """It takes one key from the state, and is done when that is not there."""
    user = User(name="u", access_keys=frozenset({"A", "B"}))
    change = DeleteAccessKey(name="u", access_key_id="A")
    before = State.of([user])
    after = change.after(before)
    found = after.find(User, "u")
    assert found
    assert found.access_keys == {"B"}
    assert (change.is_done_in(before), change.is_done_in(after)) == (False, True)
    assert change.is_done_in(State())
    assert change.permissions == {"iam:DeleteAccessKey"}
