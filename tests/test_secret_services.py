"""The services of AWS that keep secrets, as places for a key."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from moto.secretsmanager.models import SecretsManagerBackend

from cwagent_iam.key_stores import NewAccessKey, SecretAccessKey
from cwagent_iam.stores.parameter_store import ParameterStoreSecret
from cwagent_iam.stores.secrets_manager import SecretsManagerSecret
from cwagent_iam.errors import IntentError, StoreError
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

_DENIED = (
    type("Reply", (), {"status_code": 403, "headers": {}}),
    {"Error": {"Code": "AccessDenied", "Message": "no"}},
)
STORES = [ParameterStoreSecret, SecretsManagerSecret]


def new_key(number: int) -> NewAccessKey:
    """A key that was just made."""
    return NewAccessKey(
        access_key_id=f"AKIA{number:016}",
        user_name="CloudWatchAgentServerUser",
        secret=SecretAccessKey(f"hush-{number}"),
    )


@pytest.fixture
def session() -> Iterator[Any]:
    """An AWS in memory."""
    with sandbox() as session:
        yield session


@pytest.fixture(params=STORES, ids=lambda kind: kind.__name__)
def store(request: pytest.FixtureRequest, session: Any) -> Any:
    """A place that does not exist yet."""
    return request.param("/agent/key", session=session)


def value_of(store: Any, session: Any) -> str:
    """What others read there."""
    if isinstance(store, ParameterStoreSecret):
        found = session.client("ssm").get_parameter(Name=store.name, WithDecryption=True)
        return str(found["Parameter"]["Value"])
    client = session.client("secretsmanager")
    found = client.get_secret_value(SecretId=store.name, VersionStage="AWSCURRENT")
    return str(found["SecretString"])


def put(store: Any, session: Any, text: str) -> None:
    """Let somebody else write there."""
    if isinstance(store, ParameterStoreSecret):
        session.client("ssm").put_parameter(Name=store.name, Value=text, Type="SecureString")
    else:
        session.client("secretsmanager").create_secret(Name=store.name, SecretString=text)


def test_a_key_takes_the_place_of_another(store: Any, session: Any) -> None:
    """The newest one is held, and read as JSON."""
    store.check()
    assert store.held() is None
    for number, before in ((1, None), (2, new_key(1).access_key_id)):
        store.write(new_key(number), replacing=before)
        assert store.held() == new_key(number).access_key_id
    assert json.loads(value_of(store, session)) == {
        "access_key_id": "AKIA0000000000000002",
        "secret_access_key": "hush-2",
        "user_name": "CloudWatchAgentServerUser",
    }


def test_the_previous_version_can_still_be_read(session: Any) -> None:
    """Versions are labelled as Secrets Manager's own rotation does."""
    store = SecretsManagerSecret("n", session=session)
    store.write(new_key(1), replacing=None)
    store.write(new_key(2), replacing=new_key(1).access_key_id)
    client = session.client("secretsmanager")
    old = client.get_secret_value(SecretId="n", VersionStage="AWSPREVIOUS")
    assert json.loads(old["SecretString"])["access_key_id"] == new_key(1).access_key_id


def test_a_rival_who_was_faster_keeps_the_place(store: Any) -> None:
    """What is not what it is meant to replace stays."""
    store.write(new_key(1), replacing=None)
    with pytest.raises(StoreError, match="somebody else"):
        store.write(new_key(2), replacing=None)
    assert store.held() == new_key(1).access_key_id


def test_who_names_no_version_reads_the_newest(store: Any, session: Any) -> None:
    """An agent's script that asks as simply as one can gets the new key once it is delivered."""
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
    """Only that of the current version says what is read by default."""
    client = session.client("secretsmanager")
    client.create_secret(Name="n", SecretString="1")
    new = client.put_secret_value(SecretId="n", SecretString="2", VersionStages=["MINE"])
    client.update_secret_version_stage(
        SecretId="n", VersionStage="THEIRS", MoveToVersionId=new["VersionId"]
    )
    assert client.get_secret_value(SecretId="n")["SecretString"] == "1"
    assert client.get_secret_value(SecretId="n", VersionStage="THEIRS")["SecretString"] == "2"


def test_moto_is_as_it_was() -> None:
    """Outside of a sandbox labels are moto's business."""
    moved = SecretsManagerBackend.update_secret_version_stage
    with sandbox():
        assert SecretsManagerBackend.update_secret_version_stage is not moved
    assert SecretsManagerBackend.update_secret_version_stage is moved


@pytest.mark.parametrize("text", ["plain", '{"password": "p"}', "[1]"])
def test_what_somebody_else_keeps_there_stays(store: Any, session: Any, text: str) -> None:
    """It is neither read as a key nor overwritten."""
    put(store, session, text)
    for act in (store.held, store.check, lambda: store.write(new_key(1), replacing=None)):
        with pytest.raises(StoreError, match="something else") as caught:
            act()
        assert text not in str(caught.value)
    assert value_of(store, session) == text


def test_a_rival_in_between_is_noticed(store: Any, session: Any) -> None:
    """Who writes between the look and the write is not overwritten unseen."""
    store.write(new_key(1), replacing=None)
    rival = type(store)(store.name, session=session)
    asked = []

    def act(**_event: Any) -> None:
        asked.append(1)
        if len(asked) == 1:
            rival.write(new_key(2), replacing=new_key(1).access_key_id)

    for operation in ("ssm.PutParameter", "secrets-manager.UpdateSecretVersionStage"):
        session.events.register(f"before-call.{operation}", act)
    with pytest.raises(StoreError, match=r"somebody else|failed"):
        store.write(new_key(3), replacing=new_key(1).access_key_id)


def test_a_write_whose_reply_is_lost_is_looked_for(store: Any, session: Any) -> None:
    """It was done: the key is there, and that is no failure."""

    def lose(http_response: Any, parsed: dict[str, Any], **_event: object) -> None:
        http_response.status_code = 500
        parsed["Error"] = {"Code": "InternalServiceError", "Message": "try again"}

    for operation in ("ssm.PutParameter", "secrets-manager.CreateSecret"):
        session.events.register(f"after-call.{operation}", lose)
    store.write(new_key(1), replacing=None)
    assert store.held() == new_key(1).access_key_id


def test_a_parameter_that_is_not_encrypted_is_refused(session: Any) -> None:
    """Even where it holds a key."""
    store = ParameterStoreSecret("/agent/key", session=session)
    text = '{"access_key_id": "A", "secret_access_key": "s", "user_name": "u"}'
    session.client("ssm").put_parameter(Name=store.name, Value=text, Type="String")
    with pytest.raises(StoreError, match="it is a String, which is not encrypted"):
        store.check()


def test_a_secret_without_a_value_gets_one(session: Any) -> None:
    """Made beforehand, with its own key of KMS and its rights, and left empty."""
    session.client("secretsmanager").create_secret(Name="n", KmsKeyId="alias/own")
    store = SecretsManagerSecret("n", session=session)
    assert store.held() is None
    store.write(new_key(1), replacing=None)
    assert store.held() == new_key(1).access_key_id
    assert '"hush-1"' in value_of(store, session)


def test_who_may_not_see_whether_there_is_a_secret_is_told_so(session: Any) -> None:
    """Without that it cannot be known whether it is to be created."""
    session.events.register("before-call.secrets-manager.DescribeSecret", lambda **_event: _DENIED)
    with pytest.raises(StoreError, match="DescribeSecret failed: AccessDenied"):
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
def test_what_cannot_be_a_name_is_refused(kind: Any, arguments: Any, words: str) -> None:
    """Before anything is sent."""
    with pytest.raises(IntentError, match=words):
        kind(**arguments)


@pytest.mark.parametrize("operation", ["held", "check"])
def test_what_cannot_be_read_is_told(store: Any, session: Any, operation: str) -> None:
    """In the words of AWS."""
    session.events.register("before-call", lambda **_event: _DENIED)
    with pytest.raises(StoreError, match="AccessDenied: no"):
        getattr(store, operation)()


def test_nothing_of_the_secret_is_told(
    store: Any, session: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither at the lowest level of the log, nor in a traceback with variables."""
    with caplog.at_level(logging.NOTSET + 1):
        store.write(new_key(1), replacing=None)
        store.held()
        session.client("iam").create_user(UserName="u")
        session.events.register("before-call", _refuse)
        with pytest.raises(StoreError) as caught:
            store.write(new_key(2), replacing=new_key(1).access_key_id)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    told = [*map(logging.LogRecord.getMessage, caplog.records), *shown.format()]
    assert not any(f"hush-{number}" in each for each in told for number in (1, 2))
    assert any("CreateUser" in each for each in told)


def _refuse(model: Any, **_event: Any) -> Any:
    """Let every write fail as AWS does."""
    if model.name.startswith("Get"):
        return None
    return _DENIED
