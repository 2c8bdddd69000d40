"""A key made once and delivered safely: every way that it may go wrong, and where it ends."""

from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import NoCredentialsError, NoRegionError

from cwagent_iam import DeliveryError, KeyConflictError, Propagation, SeenKey, ensure_agent_user
from cwagent_iam.access_keys.delivery import create_key, delete_key
from cwagent_iam.access_keys.inventory import UserKeys
from cwagent_iam.access_keys.results import described
from cwagent_iam.aws import Clients
from cwagent_iam.aws.secrecy import quiet
from cwagent_iam.errors import (
    ApplyError,
    CredentialsError,
    CwAgentIamError,
    IntentError,
    ObserveError,
    PropagationTimeoutError,
    StoreError,
)
from cwagent_iam.events import Applied, Event, KeyCreated, KeyDelivered, KeyVerified
from cwagent_iam.executor import Executor
from cwagent_iam.reconcile.call import Call
from cwagent_iam.testing import Crash, laggy_iam
from cwagent_iam.testing.aws_in_memory import sandbox
from tests.canary import check, listening, played
from tests.deliveries import (
    PLAYS,
    USER,
    Scene,
    Shelf,
    all_deletions_denied,
    full_disk,
    raising,
    so,
    swapped,
)
from tests.scripted import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from cwagent_iam import NewAccessKey
    from cwagent_iam.requests import Steps

GONE = "AKIA" + 16 * "G"
STRANGE = {"aws_access_key_id": "AKIAX", "aws_secret_access_key": "secret"}
OWN_EVENTS = KeyCreated | KeyDelivered | KeyVerified


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A scene on an IAM without trouble."""
    with laggy_iam("off") as lagging:
        yield Scene(lagging)


def ending(error: BaseException | None, user: Any) -> tuple[str, str]:
    """Tell how a play has ended, in short and in full."""
    if isinstance(error, DeliveryError):
        return f"DeliveryError {error.fate}", str(error)
    if error:
        return type(error).__name__, "".join(traceback.format_exception_only(error))
    return user.access_key.action, str(user.access_key)


def failure(scene: Scene) -> CwAgentIamError:
    """Play, and return the error that it ends with."""
    with pytest.raises(CwAgentIamError) as caught:
        scene.deliver()
    return caught.value


def run(scene: Scene, steps: Callable[[UserKeys], Steps[Any]], timeout: float = 60.0) -> Any:
    """Run *steps* about the keys of the user as a call of its own."""
    clock = scene.lagging.clock
    propagation = Propagation(
        timeout=timeout, clock=clock.time, sleep=clock.sleep, random=lambda: 0.5, now=clock.time
    )
    session = scene.lagging.program("first")
    executor = Executor.of(session, None, propagation, scene.events.append)
    keys = UserKeys(Call("aws", timeout), USER, scene.shelf, "refuse", clock.time())
    return executor.run(keys.call.reporting(steps(keys)))


@pytest.mark.parametrize("name", PLAYS)
def test_every_play_ends_as_it_should(name: str) -> None:
    """The store holds a key that works, or an error says why; and whoever lives on names each key.

    A dead program names nothing; the next one does. However it ends, only the store and AWS know
    the secrets.
    """
    play = PLAYS[name]
    with laggy_iam(play.profile, seed=7) as lagging, listening() as canary:
        scene = Scene(lagging)
        quiet(play.arrange)(scene)
        before = quiet(lambda: scene.ids)()
        error, user = played(scene.deliver)
        check(canary, error, user, scene.events)
        after = scene.ids
    outcome, told = ending(error, user)
    held, secret = scene.shelf.key or (None, "")
    assert (outcome, len(after), held in after) == (play.outcome, play.keys, play.holds)
    assert play.holds == 0 or secret in canary.secrets
    unnamed = [each for each in after if each not in {*before, held} and each not in told]
    assert unnamed == [] or outcome == "Crash"


def kept_by(act: Any) -> Iterator[Any]:
    """Go through all that a function, or what it is made of, keeps from call to call."""
    parts = act if isinstance(act, tuple) else [cell.cell_contents for cell in closure_of(act)]
    for part in parts:
        yield part
        yield from kept_by(part)


def closure_of(act: Any) -> tuple[Any, ...]:
    """Return the cells of a function; there are none where it keeps nothing."""
    return getattr(act, "__closure__", None) or ()


@pytest.mark.parametrize("name", PLAYS)
def test_a_play_is_the_same_each_time(name: str) -> None:
    """What one keeps in mind it gets when it is arranged: no iterator is used up by others."""
    assert not any(hasattr(part, "__next__") for part in kept_by(PLAYS[name].arrange))


def test_without_a_store_there_is_no_key(session: boto3.Session, iam: Any) -> None:
    """No key is made unless somebody says where it goes."""
    assert ensure_agent_user(USER, session=session).access_key is None
    assert iam.list_access_keys(UserName=USER)["AccessKeyMetadata"] == []


@pytest.mark.parametrize("store", ["a path", object()], ids=["text", "object"])
def test_a_store_must_be_one(store: Any) -> None:
    """What lacks a method of a store is refused before anything is sent."""
    with pytest.raises(IntentError, match="must be a store for keys"):
        ensure_agent_user(deliver=store)


def test_events_tell_of_the_key(scene: Scene) -> None:
    """Made, delivered, verified, done; each with the id and in one line."""
    user = scene.deliver()
    assert user.access_key
    name = user.access_key.access_key_id
    assert [str(each) for each in scene.events if isinstance(each, OWN_EVENTS)] == [
        f"created: access key {name}",
        f"delivered: access key {name} to the shelf",
        f"verified: access key {name}, 3 answers",
    ]
    assert str(scene.events[-1]).startswith("done: 4 changes")


def test_the_changes_of_a_key_are_changes(scene: Scene) -> None:
    """The result lists them with all others, in order, and none of them holds the secret."""
    user = scene.deliver()
    assert names(user.changes) == ["CreateUser", "AttachUserPolicy", "CreateAccessKey", "TagUser"]
    applied = [str(each) for each in scene.events if isinstance(each, Applied)]
    assert applied[-2:] == [
        f"applied: + CreateAccessKey {USER}",
        f"applied: {user.changes[-1]}",
    ]


def test_a_second_call_verifies_the_key(scene: Scene) -> None:
    """A key that works costs one list and one question to STS; its store is settled each time."""
    scene.deliver()
    sent = len(scene.lagging.trace)
    user = scene.deliver()
    assert sorted(each.operation for each in scene.lagging.trace[sent:]) == [
        "GetCallerIdentity",
        "GetUser",
        "ListAccessKeys",
        "ListAttachedUserPolicies",
    ]
    assert user.access_key
    assert (user.access_key.advice, scene.shelf.settled) == ("Water the plants.", 2)


def test_the_old_key_of_the_user_is_named(scene: Scene) -> None:
    """What the store does not hold is named with its age and use, and left alone."""
    scene.user()
    old = scene.old()
    user = scene.deliver()
    assert user.access_key
    (unheld,) = user.access_key.unheld
    assert (unheld.access_key_id, unheld.active, unheld.last_used) == (old, True, None)


def test_no_room_is_said_with_all_that_helps(scene: Scene) -> None:
    """Both keys are named with status, age and last use; nothing is written."""
    scene.user()
    one, other = scene.old(), scene.old()
    scene.lagging.truth.update_access_key(UserName=USER, AccessKeyId=other, Status="Inactive")
    error = failure(scene)
    assert isinstance(error, KeyConflictError)
    assert [isinstance(each, SeenKey) and each.access_key_id for each in error.keys] == [one, other]
    assert str(error) == (
        f"user {USER} has two access keys, which is the maximum, and the shelf holds neither:"
        f" {one} (active, created 2 days ago, never used);"
        f" {other} (inactive, created 24 hours ago, never used).\n"
        "Check which of them is in use, delete the other, then call again."
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
    writes = [each.operation for each in scene.lagging.trace if not each.reads]
    assert writes == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 seconds"), (119, "119 seconds"), (120, "2 minutes"), (172800, "2 days")],
)
def test_ages_are_told_in_round_figures(seconds: float, words: str) -> None:
    """An age is in the largest unit of which there are two."""
    key = SeenKey(access_key_id="AKIAX", active=True, created=1000.0 - seconds, last_used=990.0)
    used = attrs.evolve(key, last_service="monitoring")
    assert described(used, 1000.0).endswith("last used 10 seconds ago for monitoring)")
    text = described(key, 1000.0)
    assert text == f"AKIAX (active, created {words} ago, last used 10 seconds ago)"


def test_a_failed_delivery_says_what_became_of_the_key(scene: Scene) -> None:
    """The key is deleted again, and its record is removed: error, events and changes say so."""
    full_disk(scene)
    error = failure(scene)
    assert isinstance(error, DeliveryError)
    assert (error.fate, error.store, error.suspects) == ("deleted", "the shelf", ())
    assert str(error).startswith(
        f"The delivery of access key {error.access_key_id} to the shelf failed: the shelf: it"
        " cannot be written (OSError ENOSPC in "
    )
    assert "It has been deleted: repair the store, then call again. Already applied:" in str(error)
    assert [type(each) for each in scene.events if isinstance(each, OWN_EVENTS)] == [KeyCreated]
    assert names(error.applied)[-4:] == [
        "CreateAccessKey",
        "TagUser",
        "DeleteAccessKey",
        "UntagUser",
    ]
    (user,) = scene.lagging.truth.list_users()["Users"]
    tags = scene.lagging.truth.list_user_tags(UserName=user["UserName"])["Tags"]
    assert [tag["Key"] for tag in tags] == ["ManagedBy"]
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own


def test_a_key_that_cannot_be_deleted_is_named_loudly(scene: Scene) -> None:
    """It exists, its secret is lost, and the error says so."""
    full_disk(scene)
    all_deletions_denied(scene)
    error = failure(scene)
    assert isinstance(error, DeliveryError)
    assert [error.access_key_id] == scene.ids
    assert "and then: DeleteAccessKey failed for user" in str(error)
    advice = "Its deletion was not confirmed, and its secret is lost: delete it yourself."
    assert advice in str(error)


def test_suspects_are_named(scene: Scene) -> None:
    """Where somebody else is at work too, the error names all that may be ours."""
    PLAYS["lost beside a rival"].arrange(scene)
    error = failure(scene)
    assert isinstance(error, DeliveryError)
    assert sorted(key.access_key_id for key in error.suspects) == scene.ids
    assert f"may be one of these: {error.suspects[0].access_key_id}, " in str(error)
    assert str(error).startswith("The delivery of an access key to the shelf failed: the reply")


def test_a_store_with_a_working_key_is_left_alone_in_doubt(scene: Scene) -> None:
    """Nothing is deleted if the store had a key that works, and shows another one than ours."""
    scene.user()
    old = scene.old(in_store=True)

    def replace(keys: UserKeys) -> Steps[Any]:
        view = yield from keys.look()
        swapped(scene)
        return (yield from create_key(keys, view))

    with pytest.raises(DeliveryError) as caught:
        run(scene, replace)
    assert (caught.value.fate, len(scene.ids)) == ("in doubt", 2)
    assert old in str(caught.value)
    assert str(caught.value.access_key_id) in str(caught.value)


@pytest.mark.parametrize("name", ["killed after create", "killed before write"])
def test_the_program_after_a_dead_one_names_what_it_left(name: str) -> None:
    """The next run makes a key beside the one that nobody knows, and tells of that."""
    with laggy_iam("off") as lagging:
        scene = Scene(lagging)
        PLAYS[name].arrange(scene)
        assert ending(*played(scene.deliver))[0] == "Crash"
        (orphan,) = scene.ids
        scene.shelf.before = repr
        user = scene.deliver("second")
        assert user.access_key
        assert [key.access_key_id for key in user.access_key.unheld] == [orphan]


def test_a_dead_client_sends_nothing(scene: Scene) -> None:
    """Not even from what is to be done at the end."""
    PLAYS["killed before write"].arrange(scene)
    with pytest.raises(Crash) as caught:
        scene.deliver()
    assert caught.value.__notes__[0] == (
        f"access key {scene.ids[0]} was created, and it may still exist"
    )
    with pytest.raises(Crash, match="first was killed before request"):
        scene.lagging.client("first").get_user()


def test_an_interrupt_deletes_at_once(scene: Scene) -> None:
    """Once, without waiting; the interrupt goes on, with a note."""
    PLAYS["interrupted"].arrange(scene)
    with pytest.raises(KeyboardInterrupt) as caught:
        scene.deliver()
    assert caught.value.__notes__[0].endswith("was created, and it was deleted")


def test_an_interrupt_leaves_what_is_delivered(scene: Scene) -> None:
    """What is in the store stays, and is said to be."""
    PLAYS["interrupted late"].arrange(scene)
    with pytest.raises(KeyboardInterrupt) as caught:
        scene.deliver()
    assert caught.value.__notes__[0].endswith("was created, and it may be in the store")


@pytest.mark.parametrize("kind", [KeyCreated, KeyDelivered, KeyVerified])
def test_what_a_listener_raises_passes_through(scene: Scene, kind: type[Event]) -> None:
    """The key is delivered by then."""

    def listen(event: Event) -> None:
        if isinstance(event, kind):
            raise ZeroDivisionError

    scene.on_event = listen
    with pytest.raises(ZeroDivisionError):
        scene.deliver()
    assert scene.shelf.key
    assert [scene.shelf.key[0]] == scene.ids


def test_a_listener_cannot_keep_a_key_from_being_deleted(scene: Scene) -> None:
    """What is not delivered is deleted, even if the listener to that raises."""
    full_disk(scene)
    scene.on_event = lambda event: 1 / 0 if isinstance(event, KeyCreated) else 0
    with pytest.raises(ZeroDivisionError):
        scene.deliver()
    assert scene.ids == []


def test_a_key_that_is_not_let_in_is_kept_for_the_next_call(scene: Scene) -> None:
    """Delivered is delivered: the next call finds it held."""
    scene.answer("GetCallerIdentity", "InvalidClientTokenId", "The token is invalid.")
    error = failure(scene)
    assert isinstance(error, PropagationTimeoutError)
    assert [error.unusable_key] == scene.ids
    assert f"Not visible yet: access key {error.unusable_key}." in str(error)
    assert "AWS's last error was InvalidClientTokenId: The token is invalid." in str(error)
    scene.answering = False
    assert ending(*played(scene.deliver))[0] == "kept"


def test_the_key_of_a_stranger_is_found_out(scene: Scene) -> None:
    """If STS knows the new key as somebody else's, that is said; it is never waited for."""
    scene.lagging.session.events.register(
        "after-call.sts.GetCallerIdentity",
        lambda parsed, **_event: parsed.update(Arn="arn:aws:iam::123456789012:user/other"),
    )
    error = failure(scene)
    assert "it is the key of arn:aws:iam::123456789012:user/other" in str(error)


def test_deleting_makes_sure(scene: Scene) -> None:
    """A deletion whose reply was lost is confirmed, and so is one by another process."""
    scene.user()
    name = scene.old()
    scene.fail("connection closed", "DeleteAccessKey", when="after", nth=1)
    run(scene, lambda keys: delete_key(keys, name, new=True))
    assert scene.ids == []
    run(scene, lambda keys: delete_key(keys, name))


def test_deleting_ends_in_time(scene: Scene) -> None:
    """A new key that IAM does not know is deleted again and again until the timeout."""
    scene.user()
    with pytest.raises(ApplyError, match=GONE):
        run(scene, lambda keys: delete_key(keys, GONE, new=True), timeout=5.0)


def test_a_listed_key_is_not_gone(scene: Scene) -> None:
    """If a host does not know a key that the lists show, the deletion is sent again."""
    scene.user()
    name = scene.old()
    scene.answer("DeleteAccessKey", "NoSuchEntity", "gone", first=1)
    run(scene, lambda keys: delete_key(keys, name))
    assert scene.ids == []


def test_who_may_not_read_is_told_so(scene: Scene) -> None:
    """A denied read is an error of reading, with what to allow; a denied write likewise."""
    scene.user()
    scene.answer("ListAccessKeys", "AccessDenied")
    with pytest.raises(ObserveError, match="Allow the caller iam:ListAccessKeys"):
        scene.deliver()


def test_denied_to_make_a_key(scene: Scene) -> None:
    """The permission that lacks is named."""
    scene.answer("CreateAccessKey", "AccessDenied")
    error = failure(scene)
    assert isinstance(error, ApplyError)
    assert error.advice == "Allow the caller iam:CreateAccessKey, then call again."
    assert [each.operation for each in error.applied] == ["CreateUser", "AttachUserPolicy"]


def test_no_room_that_no_list_shows(scene: Scene) -> None:
    """When the time is up, it is said how many keys a user can have."""
    PLAYS["no room, none shown"].arrange(scene)
    assert "A user can have two access keys" in str(failure(scene))


def test_replies_without_a_date_are_good_enough(scene: Scene) -> None:
    """Where a proxy drops AWS's date, our own clock must do."""
    scene.lagging.session.events.register(
        "after-call.iam.ListAccessKeys",
        lambda parsed, **_event: parsed["ResponseMetadata"].pop("HTTPHeaders"),
    )
    PLAYS["lost: empty 500"].arrange(scene)
    assert ending(*played(scene.deliver))[0] == "created"


@pytest.mark.parametrize("spoiled", ["body", "secret"])
def test_a_reply_without_a_key_is_lost(scene: Scene, spoiled: str) -> None:
    """The key that it was about is a suspect, and another one is created; no error quotes it."""
    scene.user()
    left = iter([True])

    def cut(response_dict: dict[str, Any], **_event: object) -> None:
        if spoiled == "body" and next(left, False):
            response_dict["body"] = response_dict["body"][:-40]

    def spoil(parsed: dict[str, Any], **_event: object) -> None:
        if spoiled == "secret" and next(left, False):
            del parsed["AccessKey"]["SecretAccessKey"]

    events = scene.lagging.session.events
    events.register("before-parse.iam.CreateAccessKey", cut)
    events.register("after-call.iam.CreateAccessKey", spoil)
    user = scene.deliver()
    assert user.access_key
    assert user.access_key.action == "created"
    (suspect,) = user.access_key.suspects
    assert sorted([suspect.access_key_id, user.access_key.access_key_id]) == scene.ids
    assert f"A request whose reply was lost may have created {suspect.access_key_id}." in str(user)


@pytest.mark.parametrize("operation", ["ListAccessKeys", "CreateAccessKey", "DeleteAccessKey"])
def test_credentials_that_fail_are_told_as_such(scene: Scene, operation: str) -> None:
    """A request that cannot be signed is a CredentialsError, or the reason why a key is left."""
    if operation == "DeleteAccessKey":
        full_disk(scene)
    elif operation == "ListAccessKeys":
        scene.user()  # nothing is listed for a user that the call creates

    def fail(**_event: object) -> None:
        raise NoCredentialsError

    scene.lagging.session.events.register(f"before-call.iam.{operation}", fail)
    error = failure(scene)
    changed = [] if operation == "ListAccessKeys" else ["CreateUser", "AttachUserPolicy"]
    if isinstance(error, DeliveryError):
        changed += ["CreateAccessKey", "TagUser"]
        assert error.fate == "exists"
    assert names(error.applied) == changed
    failed = error.__cause__ if isinstance(error, DeliveryError) else error
    assert isinstance(failed, CredentialsError)
    assert f"{operation} was not sent for user {USER}: Unable to locate credentials" in str(error)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "sts.us-east-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_sts_is_asked_in_the_partition_of_iam(region: str, host: str) -> None:
    """A client for IAM that is handed in says which partition it is."""
    with sandbox(region=region) as session:
        client = session.client("iam")
        sts = Clients(None, client).build("sts", **STRANGE)
        assert sts.meta.endpoint_url == f"https://{host}"


@pytest.mark.parametrize("iam_region", ["cn-north-1", "us-gov-west-1"])
def test_sts_follows_a_client_of_another_partition(session: boto3.Session, iam_region: str) -> None:
    """Where the session's own region is in another partition, STS is asked where IAM is."""
    client = session.client("iam", region_name=iam_region)
    sts = Clients(session, client).build("sts", **STRANGE)
    assert sts.meta.partition == client.meta.partition


def test_store_errors_say_the_place(scene: Scene) -> None:
    """The store, what is wrong, and what was applied before."""
    so(Scene.on, "check", raising(OSError("no such folder")))(scene)
    error = failure(scene)
    assert isinstance(error, StoreError)
    assert str(error).startswith("the shelf: it cannot be written (OSError in ")


@pytest.mark.parametrize("kind", [OSError, StoreError])
def test_a_store_that_blabs_is_not_quoted(scene: Scene, kind: type[Exception]) -> None:
    """No word of what a store raises is in the error, or behind it: it may quote the secret."""
    told: list[str] = []

    class Blab(Shelf):
        """A store that tells half of what it knows."""

        def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
            """Fail, and say too much."""
            del replacing
            told.append(key.secret.reveal()[:20])
            words = f"cannot write {told[0]}"
            cause = ValueError(words)
            if kind is StoreError:
                raise StoreError(store=words, problem=words) from cause
            raise OSError(words) from cause

    scene.shelf = Blab()
    error: BaseException | None = failure(scene)
    assert isinstance(error, DeliveryError)
    assert f"it cannot be written ({kind.__name__} in {__file__}, line " in str(error)
    shown = ""
    while error is not None:
        shown += f"{error!r} {error} {getattr(error, '__notes__', '')}"
        error = error.__cause__ or error.__context__
    assert told[0] not in shown


def test_a_client_that_repeats_leaves_a_suspect(scene: Scene) -> None:
    """If a client that was handed in has repeated the request, the first key is a suspect."""
    PLAYS["client repeats unseen"].arrange(scene)
    user = scene.deliver()
    assert user.access_key
    assert user.access_key.suspects == user.access_key.unheld
    assert len(user.access_key.suspects) == 1


def test_whose_key_it_is_must_be_answered(scene: Scene) -> None:
    """A denial says that no user has it; any other refusal is an error."""
    scene.user()
    scene.shelf.key = (GONE, "")
    scene.answer("GetAccessKeyLastUsed", "ExpiredToken")
    with pytest.raises(ObserveError, match="GetAccessKeyLastUsed failed"):
        scene.deliver()


def test_a_key_that_cannot_be_tried_out_is_delivered(scene: Scene) -> None:
    """If there is no client for STS, the error says that the store holds the key."""

    @attrs.frozen
    class WithoutSTS:
        session: Any

        def client(self, service_name: str, **settings: Any) -> Any:
            if service_name == "sts":
                raise NoRegionError
            return self.session.client(service_name, **settings)

    with pytest.raises(DeliveryError) as caught:
        ensure_agent_user(deliver=scene.shelf, session=WithoutSTS(scene.lagging.program("first")))
    assert caught.value.fate == "in doubt"
    words = "it holds the key, which does not work: You must specify a region"
    assert words in str(caught.value)
