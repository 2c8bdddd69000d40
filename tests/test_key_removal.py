"""Removal of a user that has access keys: refused by default, or with its keys."""

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
from cwagent_iam.state import MANAGED_TAG, SeenKey
from cwagent_iam.testing import Crash, Fault, laggy_iam

if TYPE_CHECKING:
    from cwagent_iam.testing import LaggyIAM

USER = "CloudWatchAgentServerUser"
WANTED = plan_agent_user()


def with_keys(lagging: LaggyIAM, number: int) -> list[str]:
    """Create the user with *number* keys long ago; return their ids."""
    truth = lagging.truth
    truth.create_user(UserName=USER, Tags=[dict(zip(("Key", "Value"), MANAGED_TAG, strict=True))])
    made = [truth.create_access_key(UserName=USER)["AccessKey"] for _ in range(number)]
    lagging.settle()
    return sorted(each["AccessKeyId"] for each in made)


def test_keys_are_in_the_way() -> None:
    """A removal is refused by default; the error names the keys, and no write is sent."""
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
def test_keys_are_deleted_on_demand(profile: str) -> None:
    """With ``access_keys="delete"`` each key is deleted by a change, before the user."""
    with laggy_iam(profile, seed=5) as lagging:
        ids = with_keys(lagging, 2)
        result = remove(WANTED, access_keys="delete", session=lagging.session)
        assert sorted(map(str, result.changes))[:2] == [
            f"- DeleteAccessKey {USER}: {name}" for name in ids
        ]
        assert lagging.truth.list_users()["Users"] == []


def test_keys_of_an_unmanaged_user_stay() -> None:
    """An unmanaged user keeps its keys, and the removal is refused."""
    with laggy_iam("off") as lagging:
        with_keys(lagging, 1)
        lagging.truth.untag_user(UserName=USER, TagKeys=[MANAGED_TAG[0]])
        with pytest.raises(ConflictError, match="it is not managed"):
            remove(WANTED, access_keys="delete", session=lagging.session)
        assert lagging.truth.list_access_keys(UserName=USER)["AccessKeyMetadata"]


def test_other_dependents_are_in_the_way() -> None:
    """``access_keys="delete"`` does not delete other dependents, such as a login profile."""
    with laggy_iam("off") as lagging:
        with_keys(lagging, 1)
        lagging.truth.create_login_profile(UserName=USER, Password="x" * 20)
        with pytest.raises(ConflictError, match="is still used: login profile"):
            remove(WANTED, access_keys="delete", session=lagging.session)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_killed_removal_goes_on(when: Any, number: int) -> None:
    """If a program is killed while it deletes a key, the next one completes the removal."""
    with laggy_iam("typical", seed=2) as lagging:
        with_keys(lagging, 2)
        lagging.fail(Fault("crash", "DeleteAccessKey", when=when, nth=number))
        with pytest.raises(Crash):
            remove(WANTED, access_keys="delete", session=lagging.program("first"))
        remove(WANTED, access_keys="delete", session=lagging.program("second"))
        assert lagging.truth.list_users()["Users"] == []


@pytest.mark.parametrize("value", ["keep", True, None])
def test_other_values_are_refused(value: Any) -> None:
    """Any value but the two documented ones is refused, before a request is sent."""
    with pytest.raises(IntentError, match="'refuse' or 'delete'"):
        remove(WANTED, access_keys=value)


def test_the_change() -> None:
    """The change removes one key from a state, and is done if the state does not have the key."""
    keys = tuple(SeenKey(access_key_id=each, active=True, created=0.0) for each in "AB")
    user = User(name="u", access_keys=keys)
    change = DeleteAccessKey(name="u", access_key_id="A")
    before = State.of([user])
    after = change.after(before)
    found = after.find(User, "u")
    assert found
    assert found.access_keys == keys[1:]
    assert (change.is_done_in(before), change.is_done_in(after)) == (False, True)
    assert change.is_done_in(State())
    assert change.permissions == {"iam:DeleteAccessKey"}
