"""The secret is in the store, and nowhere else: looked for in all that a flow leaves behind."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from cwagent_iam import (
    CommonConfig,
    CwAgentIamError,
    DeliveryError,
    KeyStore,
    NewAccessKey,
    ParameterStoreSecret,
    SecretsManagerSecret,
    SharedCredentialsFile,
    StoreError,
    ensure_agent_user,
    remove,
    rotate_access_key,
)
from cwagent_iam.key_stores import SecretAccessKey
from cwagent_iam.planners import plan_agent_user
from cwagent_iam.testing import LaggyIAM, laggy_iam
from tests.canary import Canary, check, listening, played
from tests.deliveries import GONE, USER, Scene
from tests.shared_clients import sharing_clients

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = 86400.0


def life(scene: Scene) -> list[object]:
    """Make, rotate, bring back and remove keys."""
    first = scene.deliver()
    told: list[object] = [first]

    def rotate(**more: Any) -> None:
        told.append(
            rotate_access_key(
                USER,
                deliver=scene.shelf,
                session=scene.lagging.session,
                propagation=scene.lagging.propagation,
                on_event=scene.events.append,
                **more,
            )
        )

    for days in (91, 2, 2):
        scene.lagging.clock.sleep(days * DAY)
        rotate()
    rotate(undo=True)
    told.append(
        remove(
            plan_agent_user(),
            access_keys="delete",
            session=scene.lagging.session,
            propagation=scene.lagging.propagation,
        )
    )
    return told


def test_no_rotation_tells_a_secret() -> None:
    """From the first key to the removal of the user."""
    with laggy_iam("typical", seed=3) as lagging, listening() as canary:
        scene = Scene(lagging)
        error, told = played(lambda: life(scene))
        assert error is None
        assert len(set(canary.secrets)) == 2
        check(canary, error, told, scene.events)


def stores(folder: Path, session: Any) -> dict[str, KeyStore]:
    """One of each kind."""
    return {
        "file": SharedCredentialsFile(folder / "credentials", region="eu-west-1"),
        "secret": SecretsManagerSecret("agent", session=session),
        "parameter": ParameterStoreSecret("/agent", session=session),
    }


def content(name: str, folder: Path, session: Any) -> str:
    """Return what is in a store."""
    if name == "file":
        return (folder / "credentials").read_text(encoding="utf-8")
    if name == "secret":
        client = session.client("secretsmanager")
        return str(client.get_secret_value(SecretId="agent", VersionStage="AWSCURRENT"))
    return str(session.client("ssm").get_parameter(Name="/agent", WithDecryption=True))


@pytest.mark.parametrize("name", ["file", "secret", "parameter"])
def test_no_store_of_ours_tells_a_secret(name: str, tmp_path: Path) -> None:
    """Not where all goes well; and then the store has it."""
    with laggy_iam("off") as lagging, listening() as canary:
        store = stores(tmp_path, lagging.session)[name]
        events: list[Any] = []
        error, result = played(
            lambda: ensure_agent_user(
                deliver=store, session=lagging.session, on_event=events.append
            )
        )
        assert error is None
        check(canary, error, [result, repr(store)], events)
        canary.silence()
        assert canary.sings(content(name, tmp_path, lagging.session))


# What is asked of AWS, of which store, and whether that was written to before.
REQUESTS = {
    "CreateSecret": ("secret", False),
    "PutSecretValue": ("secret", True),
    "UpdateSecretVersionStage": ("secret", True),
    "GetSecretValue": ("secret", False),
    "PutParameter": ("parameter", False),
    "PutParameter, to overwrite": ("parameter", True),
    "GetParameter": ("parameter", False),
}
# A write is sent with the secret, which a refusal may quote; a read has none to quote.
ANSWERS = (
    (400, "AccessDeniedException", "no"),
    (500, "InternalServiceError", "An error occurred on the server side."),
    (400, "ValidationException", "1 validation error detected in {}"),
)


@contextmanager
def refusing(operation: str, answer: tuple[int, str, str]) -> Iterator[list[str]]:
    """Let AWS refuse an operation once a secret was sent; list what it has refused."""
    process = LaggyIAM.process
    status, code, words = answer
    sent, refused = list[str](), list[str]()

    def answered(laggy: LaggyIAM, moto: Any, request: Any) -> Any:
        target, body = str(request.headers.get("X-Amz-Target")), str(request.body)
        if "secret_access_key" in body:
            sent.append(body)
        if not sent or not target.rstrip("'").endswith(f".{operation}"):
            return process(laggy, moto, request)
        refused.append(target)
        return status, {}, json.dumps({"__type": code, "message": words.format(sent[0])})

    with patch.object(LaggyIAM, "process", answered):
        yield refused


@pytest.mark.parametrize("name", REQUESTS)
def test_no_failing_store_on_aws_tells_a_secret(name: str, tmp_path: Path) -> None:
    """Whatever is refused once the secret is on its way, and even if AWS quotes what was sent."""
    kind, held_one = REQUESTS[name]
    with laggy_iam("off") as lagging, sharing_clients(lagging.session), listening() as canary:
        store, truth = stores(tmp_path, lagging.session)[kind], lagging.truth
        if held_one:
            nothing = SecretAccessKey("")  # a key without a secret is none, and not waited for
            key = NewAccessKey(access_key_id=GONE, user_name=USER, secret=nothing)
            store.write(key, replacing=None)
        answers = ANSWERS[:2] if name.startswith("Get") else ANSWERS[1:]
        for answer in answers:
            events: list[Any] = []
            deliver = partial(ensure_agent_user, deliver=store, session=lagging.session)
            with refusing(name.partition(",")[0], answer) as refused:
                error, result = played(partial(deliver, on_event=events.append))
            assert refused
            assert isinstance(error, DeliveryError)
            assert error.fate == ("in doubt" if name.startswith("Get") else "deleted")
            check(canary, error, [result, repr(store)], events)
            for made in truth.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
                truth.delete_access_key(UserName=USER, AccessKeyId=made["AccessKeyId"])
        assert len(canary.secrets) == len(answers)


@pytest.mark.parametrize("name", ["credentials", "read back", "common-config.toml"])
def test_no_failing_file_tells_a_secret(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where one of the files cannot be replaced, nor where it cannot be read again."""
    replace, fdopen = os.replace, os.fdopen

    def full(source: Path, target: Path) -> None:
        if target.name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)
        if name == "read back":
            monkeypatch.setattr(os, "fdopen", unreadable)

    def unreadable(handle: int, mode: str) -> Any:
        with fdopen(handle, mode) as file:
            text = file.read()
        assert text
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", full)
    with laggy_iam("off") as lagging, listening() as canary:
        config = CommonConfig(tmp_path / "common-config.toml")
        store = SharedCredentialsFile(tmp_path / "credentials", common_config=config)
        events: list[Any] = []
        error, result = played(
            lambda: ensure_agent_user(
                deliver=store, session=lagging.session, on_event=events.append
            )
        )
        assert len(canary.secrets) == 1
        assert type(error) is (StoreError if name == "common-config.toml" else DeliveryError)
        check(canary, error, [result, repr(store)], events)


def test_the_canary_sings() -> None:
    """A secret that is anywhere would be found: in a log, an error, a frame, an object."""
    with laggy_iam("off") as lagging, listening() as canary:
        scene = Scene(lagging)
        scene.deliver()
        assert scene.shelf.key
        secret = scene.shelf.key[1]
        assert secret in canary.secrets
        leaks: list[tuple[BaseException | None, Any, list[Any]]] = [
            (None, secret, []),
            (ValueError(secret), None, []),
            (None, None, [{"deep": [io.StringIO, (secret,)]}]),
            (None, [TypeError(secret)], []),
        ]
        for told in leaks:
            with pytest.raises(AssertionError):
                check(canary, *told)
        logging.getLogger("x").debug("%s", secret)
        with pytest.raises(AssertionError):
            check(canary, None, None, [])


SECRET = "wJalrXUtnFEMI/K7MDENG"  # noqa: S105 - an example


class TellingPickle:
    """Tells a secret when it is pickled, and nowhere else."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Put the secret into the pickle."""
        return str, (SECRET,)


class OwnError(TellingPickle, CwAgentIamError):
    """A mutant: an error of ours whose pickle tells a secret."""


class ForeignError(TellingPickle, Exception):
    """An error that is not ours: nobody promises that it can be pickled."""


def test_the_canary_looks_into_pickles_of_our_errors() -> None:
    """A secret that only the pickle of an error holds would be found, if the error is ours."""
    canary = Canary(secrets=[SECRET])
    for error in (CwAgentIamError(), ForeignError()):
        check(canary, error, None, [])
    with pytest.raises(AssertionError):
        check(canary, OwnError(), None, [])
