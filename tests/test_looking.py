"""Keys as lists show them, and what IAM else tells of them: what a decision may rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cwagent_iam.errors import KeyConflictError, ObserveError, PropagationTimeoutError, StoreError
from cwagent_iam.testing import laggy_iam
from tests.deliveries import USER, Scene, lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLICY = "because no identity-based policy allows the iam:GetAccessKeyLastUsed action"
NO_KEY = "is not authorized to perform iam:GetAccessKeyLastUsed on resource: access key"


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A user with a key that is held, in an IAM without trouble."""
    with laggy_iam("off") as lagging:
        scene = Scene(lagging)
        scene.user()
        scene.old(in_store=True)
        yield scene


def hide(scene: Scene, *names: str, seconds: float) -> None:
    """Let lists leave out keys for so long."""
    until = scene.lagging.clock.now + seconds

    def handler(parsed: dict[str, Any], **_event: object) -> None:
        if scene.lagging.clock.now < until:
            keys = parsed["AccessKeyMetadata"]
            parsed["AccessKeyMetadata"] = [key for key in keys if key["AccessKeyId"] not in names]

    scene.lagging.session.events.register("after-call.iam.ListAccessKeys", handler)


def deny(scene: Scene, name: str, words: Callable[[], str | None]) -> None:
    """Let IAM refuse to tell when a key was used, for as long as there are *words* for it."""

    def handler(model: Any, params: dict[str, Any], **_event: object) -> None:
        told = words() if name in str(params["body"]) else None
        if told:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": told}}, model.name)

    scene.lagging.session.events.register("before-call.iam.GetAccessKeyLastUsed", handler)


def test_a_held_key_that_lists_hide_for_long_is_waited_for(scene: Scene) -> None:
    """It is not taken for gone while IAM says that it is this user's: no second key is made."""
    held = scene.shelf.held()
    hide(scene, str(held), seconds=40)
    user = scene.deliver()
    assert user.access_key
    assert (user.access_key.access_key_id, user.access_key.action) == (held, "kept")
    assert scene.ids == [held]


def test_a_held_key_that_lists_never_show_is_not_replaced(scene: Scene) -> None:
    """The time runs out over it, and the error names it."""
    held = scene.shelf.held()
    hide(scene, str(held), seconds=100)
    with pytest.raises(PropagationTimeoutError) as caught:
        scene.deliver()
    assert caught.value.unusable_key == held
    assert str(caught.value).startswith("AWS does not accept or show the access key after ")
    scene.lagging.clock.sleep(100)
    assert scene.ids == [held]


def test_lists_that_never_agree_are_told_as_that(scene: Scene) -> None:
    """Nothing was applied, no key was made, and AWS's last error is told."""
    scene.shelf.key = None
    name = scene.ids[0]
    deny(scene, name, lambda: f"User: X {NO_KEY} {name}")
    with pytest.raises(PropagationTimeoutError) as caught:
        scene.deliver()
    assert str(caught.value).startswith("IAM's lists did not agree after ")
    assert "Not visible yet" not in str(caught.value)
    assert f"AWS's last error was AccessDenied: User: X {NO_KEY} {name}." in str(caught.value)
    assert caught.value.unusable_key == ""


def test_a_listed_key_that_is_not_known_yet_is_looked_at_again(scene: Scene) -> None:
    """Another host may not know a new key: IAM denies to tell of it in words of its own."""
    other = scene.rival()
    until = scene.lagging.clock.now + 20
    late = f"User: X {NO_KEY} {other}"
    deny(scene, other, lambda: late if scene.lagging.clock.now < until else None)
    user = scene.deliver()
    assert user.access_key
    assert [key.access_key_id for key in user.access_key.unheld] == [other]


def test_a_listed_key_that_is_gone_meanwhile_is_looked_for_again(scene: Scene) -> None:
    """It was deleted between the list and the question when it was used."""
    other = scene.rival()

    def delete() -> None:
        scene.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=other)

    scene.while_sending("GetAccessKeyLastUsed", delete)
    user = scene.deliver()
    assert user.access_key
    assert user.access_key.unheld == ()


@pytest.mark.parametrize("account", ["210987654321", "123456789012"], ids=["theirs", "ours"])
def test_a_key_of_another_account_is_not_overwritten(scene: Scene, account: str) -> None:
    """IAM tells of this account's keys alone; STS says whether one that it denies may be theirs."""
    scene.shelf.key = ("AKIA" + 16 * "X", "")

    def belong(parsed: dict[str, Any], **_event: object) -> None:
        parsed["Account"] = account

    scene.lagging.session.events.register("after-call.sts.GetAccessKeyInfo", belong)
    if account == "123456789012":
        user = scene.deliver()
        assert user.access_key
        assert user.access_key.action == "replaced"
        return
    with pytest.raises(KeyConflictError) as caught:
        scene.deliver()
    assert f"holds: AKIA{16 * 'X'} belongs to account {account}." in str(caught.value)
    assert len(scene.ids) == 1


def test_who_may_not_ask_for_the_account_is_told(scene: Scene) -> None:
    """It is a permission of its own, and no key is overwritten without an answer."""
    scene.shelf.key = ("AKIA" + 16 * "X", "")

    def refuse(model: Any, **_event: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, model.name)

    scene.lagging.session.events.register("before-call.sts.GetAccessKeyInfo", refuse)
    with pytest.raises(ObserveError) as caught:
        scene.deliver()
    assert "Allow the caller sts:GetAccessKeyInfo, then call again." in str(caught.value)
    assert len(scene.ids) == 1


@pytest.mark.parametrize("name", ["no key", "<your-access-key-id>", "w" * 40])
def test_what_cannot_be_a_key_is_not_sent(scene: Scene, name: str) -> None:
    """It may be a misplaced secret: it is neither sent to AWS, nor quoted, nor replaced."""
    scene.shelf.key = (name, "")
    sent = len(scene.lagging.trace)
    with pytest.raises(StoreError, match="something other than the id of an access key") as caught:
        scene.deliver()
    assert name not in str(caught.value)
    assert len(scene.lagging.trace) == sent


def test_an_id_that_aws_refuses_is_no_ones(scene: Scene) -> None:
    """A placeholder that looks like an id is replaced: STS says that it is not valid."""
    scene.shelf.key = ("YOURACCESSKEYIDHERE", "")

    def refuse(model: Any, **_event: object) -> None:
        words = "1 validation error detected"
        raise ClientError({"Error": {"Code": "ValidationError", "Message": words}}, model.name)

    scene.lagging.session.events.register("before-call.sts.GetAccessKeyInfo", refuse)
    user = scene.deliver()
    assert user.access_key
    assert user.access_key.action == "replaced"


def test_little_time_is_enough_for_a_key_that_is_gone(scene: Scene) -> None:
    """Half of it goes into seeing that it is gone."""
    held = scene.shelf.held()
    scene.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=held)
    scene.lagging.settle()
    scene.timeout = 6.0
    user = scene.deliver()
    assert user.access_key
    assert user.access_key.action == "replaced"


def test_a_suspect_that_a_list_has_shown_is_not_forgotten() -> None:
    """All lists hide it again for longer than any lag: it is waited for, and then tagged."""
    with laggy_iam("off") as lagging:
        scene = Scene(lagging)
        scene.user()
        lost(scene)
        looks: list[float] = []

        def flap(parsed: dict[str, Any], **_event: object) -> None:
            made = [key["AccessKeyId"] for key in parsed["AccessKeyMetadata"]]
            now = lagging.clock.now
            if made:
                looks.append(now)
            if looks and looks[0] < now < looks[0] + 30:
                parsed["AccessKeyMetadata"] = []

        lagging.session.events.register("after-call.iam.ListAccessKeys", flap)
        user = scene.deliver()
        assert user.access_key
        (suspect,) = user.access_key.suspects
        assert user.access_key.unheld == (suspect,)
        assert scene.ids == sorted([suspect.access_key_id, user.access_key.access_key_id])


def test_a_key_that_a_list_has_shown_takes_room(scene: Scene) -> None:
    """A host that lags hides it afterwards, but IAM knows it when asked: no third key is tried."""
    scene.shelf.key = None
    old, other = scene.ids[0], scene.rival()
    left = iter(range(1))

    def hide_later(parsed: dict[str, Any], **_event: object) -> None:
        first = next(left, None) is not None
        if not first and scene.lagging.clock.now < until:
            keys = parsed["AccessKeyMetadata"]
            parsed["AccessKeyMetadata"] = [key for key in keys if key["AccessKeyId"] != other]

    until = scene.lagging.clock.now + 30
    scene.lagging.session.events.register("after-call.iam.ListAccessKeys", hide_later)
    with pytest.raises(KeyConflictError) as caught:
        scene.deliver()
    assert [key.access_key_id for key in caught.value.keys] == [old, other]
    assert "CreateAccessKey" not in {
        each.operation for each in scene.lagging.trace if each.client == "first"
    }


def test_a_missing_permission_is_told_at_once(scene: Scene) -> None:
    """No key is taken for unknown where a policy is what denies it."""
    other = scene.rival()
    deny(scene, other, lambda: f"User: X {NO_KEY} {other} {POLICY}")
    before = scene.lagging.clock.now
    with pytest.raises(ObserveError) as caught:
        scene.deliver()
    assert (caught.value.operation, caught.value.code) == ("GetAccessKeyLastUsed", "AccessDenied")
    assert scene.lagging.clock.now - before < 3
