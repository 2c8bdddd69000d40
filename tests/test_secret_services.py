"""Stores in AWS services: Secrets Manager and Parameter Store."""

from __future__ import annotations

import functools
import json
import logging
import re
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from moto.secretsmanager.models import SecretsManagerBackend

from cwagent_iam.errors import IntentError, StoreError
from cwagent_iam.key_stores import NewAccessKey, SecretAccessKey
from cwagent_iam.stores import ParameterStoreSecret, SecretsManagerSecret
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

_DENIED = (
    type("Reply", (), {"status_code": 403, "headers": {}}),
    {"Error": {"Code": "AccessDeniedException", "Message": "no"}},
)
STORES = [ParameterStoreSecret, SecretsManagerSecret]


def new_key(number: int) -> NewAccessKey:
    """Return a key that was just created."""
    return NewAccessKey(
        access_key_id=f"AKIA{number:016}",
        user_name="CloudWatchAgentServerUser",
        secret=SecretAccessKey(f"hush-{number}"),
    )


@pytest.fixture
def session() -> Iterator[Any]:
    """A session of an account in memory."""
    with sandbox() as session:
        yield session


@pytest.fixture(params=STORES, ids=lambda kind: kind.__name__)
def store(request: pytest.FixtureRequest, session: Any) -> Any:
    """A store that does not exist yet in AWS."""
    return request.param("/agent/key", session=session)


def value_of(store: Any, session: Any) -> str:
    """Return the value that other programs read."""
    if isinstance(store, ParameterStoreSecret):
        found = session.client("ssm").get_parameter(Name=store.name, WithDecryption=True)
        return str(found["Parameter"]["Value"])
    client = session.client("secretsmanager")
    found = client.get_secret_value(SecretId=store.name, VersionStage="AWSCURRENT")
    return str(found["SecretString"])


def put(store: Any, session: Any, text: str) -> None:
    """Write a value as another program."""
    if isinstance(store, ParameterStoreSecret):
        session.client("ssm").put_parameter(Name=store.name, Value=text, Type="SecureString")
    else:
        session.client("secretsmanager").create_secret(Name=store.name, SecretString=text)


def test_a_new_key_replaces_the_old_one(store: Any, session: Any) -> None:
    """The store holds the newest key, and other programs read it as JSON."""
    store.check()
    assert (store.held(), store.secret()) == (None, None)
    for number, before in ((1, None), (2, new_key(1).access_key_id)):
        store.write(new_key(number), replacing=before)
        assert store.held() == new_key(number).access_key_id
        assert store.secret().reveal() == f"hush-{number}"
    assert json.loads(value_of(store, session)) == {
        "access_key_id": "AKIA0000000000000002",
        "secret_access_key": "hush-2",
        "user_name": "CloudWatchAgentServerUser",
    }


def test_the_previous_version_can_still_be_read(session: Any) -> None:
    """After a write, the replaced key has the label AWSPREVIOUS, as in AWS's own rotations."""
    store = SecretsManagerSecret("n", session=session)
    store.write(new_key(1), replacing=None)
    store.write(new_key(2), replacing=new_key(1).access_key_id)
    client = session.client("secretsmanager")
    old = client.get_secret_value(SecretId="n", VersionStage="AWSPREVIOUS")
    assert json.loads(old["SecretString"])["access_key_id"] == new_key(1).access_key_id


def test_a_key_of_another_process_stays(store: Any) -> None:
    """A write is refused if the store no longer holds the key that is to be replaced."""
    store.write(new_key(1), replacing=None)
    with pytest.raises(StoreError, match="another process has written to it"):
        store.write(new_key(2), replacing=None)
    assert store.held() == new_key(1).access_key_id


def test_a_reader_that_names_no_version_gets_the_newest(store: Any, session: Any) -> None:
    """A reader that names no version or label gets the new key, and later a value by hand."""
    store.write(new_key(1), replacing=None)
    store.write(new_key(2), replacing=new_key(1).access_key_id)
    if isinstance(store, ParameterStoreSecret):
        assert '"hush-2"' in value_of(store, session)
        return
    client = session.client("secretsmanager")
    assert '"hush-2"' in client.get_secret_value(SecretId=store.name)["SecretString"]
    described = client.describe_secret(SecretId=store.name)
    for name in (store.name, described["ARN"]):
        client.put_secret_value(SecretId=name, SecretString=f"by hand: {name}")
        stages = client.describe_secret(SecretId=name)["VersionIdsToStages"].values()
        assert [each for each in stages if "AWSCURRENT" in each] == [["AWSCURRENT"]]
        assert client.get_secret_value(SecretId=name)["SecretString"] == f"by hand: {name}"


def test_other_labels_are_moved_as_before(session: Any) -> None:
    """In a sandbox, moto moves other labels without changing the current version."""
    client = session.client("secretsmanager")
    client.create_secret(Name="n", SecretString="1")
    new = client.put_secret_value(SecretId="n", SecretString="2", VersionStages=["MINE"])
    client.update_secret_version_stage(
        SecretId="n", VersionStage="THEIRS", MoveToVersionId=new["VersionId"]
    )
    assert client.get_secret_value(SecretId="n")["SecretString"] == "1"
    assert client.get_secret_value(SecretId="n", VersionStage="THEIRS")["SecretString"] == "2"


def test_moto_is_restored() -> None:
    """After a sandbox, moto has its own function again."""
    moved = SecretsManagerBackend.update_secret_version_stage
    with sandbox():
        assert SecretsManagerBackend.update_secret_version_stage is not moved
    assert SecretsManagerBackend.update_secret_version_stage is moved


@pytest.mark.parametrize("text", ["plain", '{"password": "p"}', "[1]"])
def test_a_value_of_another_program_stays(store: Any, session: Any, text: str) -> None:
    """A value that is not a key is neither read as one, nor overwritten, nor quoted."""
    put(store, session, text)
    write = functools.partial(store.write, new_key(1), replacing=None)
    for act in (store.held, store.secret, store.check, write):
        with pytest.raises(StoreError, match="something other than an access key") as caught:
            act()
        assert text not in str(caught.value)
    assert value_of(store, session) == text


@pytest.mark.parametrize("access_key_id", ["", "AKIA"])
def test_a_value_without_a_secret_is_not_a_key(
    store: Any, session: Any, access_key_id: str
) -> None:
    """A value with an empty secret holds no key, so that a new key is written to it."""
    members = {"access_key_id": access_key_id, "secret_access_key": "", "user_name": "u"}
    put(store, session, json.dumps(members))
    assert (store.held(), store.secret()) == (None, None)
    store.write(new_key(1), replacing=None)
    assert store.held() == new_key(1).access_key_id


def test_another_process_in_between_is_noticed(store: Any, session: Any) -> None:
    """A write raises if another process writes between its read and its write."""
    rival = type(store)(store.name, session=session)
    rival.write(new_key(1), replacing=None)
    asked = []

    def act(**_event: Any) -> None:
        asked.append(1)
        if len(asked) == 1:
            rival.write(new_key(2), replacing=new_key(1).access_key_id)

    for operation in ("ssm.PutParameter", "secrets-manager.UpdateSecretVersionStage"):
        session.events.register(f"before-call.{operation}", act)
    with pytest.raises(StoreError, match=r"another process|failed"):
        store.write(new_key(3), replacing=new_key(1).access_key_id)
    assert asked


def test_a_write_whose_reply_is_lost(store: Any, session: Any) -> None:
    """A write whose reply is lost is a success if a read shows the key."""

    def lose(http_response: Any, parsed: dict[str, Any], **_event: object) -> None:
        http_response.status_code = 500
        parsed["Error"] = {"Code": "InternalServiceError", "Message": "try again"}

    for operation in ("ssm.PutParameter", "secrets-manager.CreateSecret"):
        session.events.register(f"after-call.{operation}", lose)
    store.write(new_key(1), replacing=None)
    assert store.held() == new_key(1).access_key_id


def test_a_parameter_that_is_not_encrypted_is_refused(session: Any) -> None:
    """A parameter that is not encrypted is refused, also if it holds a key."""
    store = ParameterStoreSecret("/agent/key", session=session)
    text = '{"access_key_id": "A", "secret_access_key": "s", "user_name": "u"}'
    session.client("ssm").put_parameter(Name=store.name, Value=text, Type="String")
    with pytest.raises(StoreError, match="it is a String, which is not encrypted"):
        store.check()


def test_a_secret_without_a_value_gets_one(session: Any) -> None:
    """A secret that was created without a value, with its own KMS key, gets a first value."""
    session.client("secretsmanager").create_secret(Name="n", KmsKeyId="alias/own")
    store = SecretsManagerSecret("n", session=session)
    assert store.held() is None
    store.write(new_key(1), replacing=None)
    assert store.held() == new_key(1).access_key_id
    assert '"hush-1"' in value_of(store, session)


def test_a_secret_that_may_not_be_described(session: Any) -> None:
    """If DescribeSecret is denied, the error says so: whether the secret exists is unknown."""
    session.events.register("before-call.secrets-manager.DescribeSecret", lambda **_event: _DENIED)
    with pytest.raises(StoreError, match="DescribeSecret failed: AccessDeniedException"):
        SecretsManagerSecret("n", session=session).held()


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": ""}, "name=''"),
        ({"name": "a b"}, "name='a b'"),
        ({"name": None}, "name=None"),
        ({"name": "n", "kms_key_id": ""}, "kms_key_id=''"),
    ],
)
def test_an_invalid_name_is_refused(kind: Any, arguments: Any, words: str) -> None:
    """An invalid name or KMS key is refused before a request is sent."""
    with pytest.raises(IntentError, match=words):
        kind(**arguments)


@pytest.mark.parametrize("operation", ["held", "secret", "check"])
def test_a_refused_read(store: Any, session: Any, operation: str) -> None:
    """The error of a refused read has the code and the message of AWS."""
    session.events.register("before-call", lambda **_event: _DENIED)
    with pytest.raises(StoreError, match="AccessDeniedException: no"):
        getattr(store, operation)()


def write_refused(store: Any, session: Any, refuse: Any) -> BaseException:
    """Replace the key in *store* while *refuse* answers all writes; return what that raises."""
    type(store)(store.name, session=session).write(new_key(1), replacing=None)
    for service in ("ssm", "secrets-manager"):
        session.events.register(f"before-call.{service}", refuse)
    with pytest.raises((StoreError, KeyboardInterrupt)) as caught:
        store.write(new_key(2), replacing=new_key(1).access_key_id)
    return caught.value


def test_no_log_or_frame_shows_the_secret(
    store: Any, session: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the log at its lowest level nor a traceback with variables shows a secret."""
    with caplog.at_level(logging.NOTSET + 1):
        error = write_refused(store, session, _refuse)
        store.held()
        store.secret()
        session.client("iam").create_user(UserName="u")
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    told = [*map(logging.LogRecord.getMessage, caplog.records), *shown.format()]
    assert not any(f"hush-{number}" in each for each in told for number in (1, 2))
    assert any("CreateUser" in each for each in told)


def test_no_frame_of_an_interrupt_shows_the_secret(store: Any, session: Any) -> None:
    """A traceback with variables of an interrupted write does not show the secret."""
    error = write_refused(store, session, _interrupt)
    assert isinstance(error, KeyboardInterrupt)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert not any("hush-" in each for each in shown.format())


def test_the_message_of_aws_stays(store: Any, session: Any) -> None:
    """The error of a write that is not permitted has the code and the message of AWS."""
    error = write_refused(store, session, _refuse)
    assert str(error).endswith("failed: AccessDeniedException: no")
    assert str(error).startswith(f"{store}: ")


def test_an_error_without_an_answer(store: Any, session: Any) -> None:
    """If a write raises an error of another library, its type is shown, and not its words."""
    error = write_refused(store, session, _break)
    begin = r"\w+ /agent/key: (PutSecretValue|PutParameter) failed: "
    assert re.fullmatch(
        f"{begin}An HTTP Client raised an unhandled exception: ValueError", str(error)
    )


@pytest.mark.parametrize(
    ("kind", "service"), [(ParameterStoreSecret, "ssm"), (SecretsManagerSecret, "secretsmanager")]
)
def test_identity(session: Any, kind: Any, service: str) -> None:
    """The identity of a store has its service, its Region and its name."""
    assert kind("/agent", session=session).identity == f"{service} us-east-1 /agent"
    assert kind("/agent", session=session, kms_key_id="k").identity == f"{service} us-east-1 /agent"


def test_a_store_shows_no_session(store: Any) -> None:
    """Stores of the same name are equal, and their text does not show the session."""
    store.check()
    assert store == type(store)(store.name)
    assert repr(store) == f"{type(store).__name__}(kms_key_id=None, name='/agent/key')"


def _refuse(model: Any, **_event: Any) -> Any:
    """Refuse every write as AWS does."""
    return None if model.name.startswith("Get") else _DENIED


def _interrupt(model: Any, **_event: Any) -> None:
    """Interrupt every write."""
    if not model.name.startswith("Get"):
        raise KeyboardInterrupt


def _break(model: Any, **_event: Any) -> None:
    """Raise an error that quotes the secret, in place of every write."""
    if not model.name.startswith("Get"):
        msg = "hush-2"
        raise ValueError(msg)
