"""The secret is in the store and nowhere else: searched for in all that a call leaves behind."""

from __future__ import annotations

import errno
import faulthandler
import http.client
import http.server
import io
import json
import logging
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs
import pytest
import sentry_sdk
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from moto.core.models import botocore_stubber
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.transport import Transport

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
from cwagent_iam.testing import LaggyIAM, laggy_iam, sandbox
from tests.canary import ALLOWED, RUNNERS, Canary, Tracker, check, listening, played
from tests.deliveries import GONE, PLAYS, USER, Scene, in_turn, raising
from tests.shared_clients import sharing_clients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sentry_sdk.envelope import Envelope

DAY = 86400.0
SEND = URLLib3Session.send


def rotate(scene: Scene, **more: Any) -> Any:
    """Do the due steps of a rotation."""
    return rotate_access_key(
        USER,
        deliver=scene.shelf,
        session=scene.lagging.session,
        propagation=scene.lagging.propagation,
        on_event=scene.events.append,
        **more,
    )


def removed(scene: Scene) -> Any:
    """Remove the user with its keys."""
    return remove(
        plan_agent_user(),
        access_keys="delete",
        session=scene.lagging.session,
        propagation=scene.lagging.propagation,
    )


def life(scene: Scene) -> list[object]:
    """Create, rotate, reactivate and remove keys."""
    told: list[object] = [scene.deliver()]
    for days in (91, 2, 2):
        scene.lagging.clock.sleep(days * DAY)
        told.append(rotate(scene))
    told.append(rotate(scene, undo=True))
    told.append(removed(scene))
    return told


def test_no_rotation_tells_a_secret() -> None:
    """No step from the first key to the removal of the user leaves a secret behind."""
    with laggy_iam("typical", seed=3) as lagging, listening() as canary:
        scene = Scene(lagging)
        error, told = played(lambda: life(scene))
        assert error is None
        assert len(set(canary.secrets)) == 2
        check(canary, error, told, scene.events)


def stores(folder: Path, session: Any) -> dict[str, KeyStore]:
    """Return one store of each kind."""
    return {
        "file": SharedCredentialsFile(folder / "credentials", region="eu-west-1"),
        "secret": SecretsManagerSecret("agent", session=session),
        "parameter": ParameterStoreSecret("/agent", session=session),
    }


def content(name: str, folder: Path, session: Any) -> str:
    """Return the content of a store."""
    if name == "file":
        return (folder / "credentials").read_text(encoding="utf-8")
    if name == "secret":
        client = session.client("secretsmanager")
        return str(client.get_secret_value(SecretId="agent", VersionStage="AWSCURRENT"))
    return str(session.client("ssm").get_parameter(Name="/agent", WithDecryption=True))


@pytest.mark.parametrize("name", ["file", "secret", "parameter"])
def test_no_store_of_ours_tells_a_secret(name: str, tmp_path: Path) -> None:
    """A delivery that succeeds leaves the secret in the store alone."""
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


# By operation that AWS refuses: the store, and whether it was written to before.
REQUESTS = {
    "CreateSecret": ("secret", False),
    "PutSecretValue": ("secret", True),
    "UpdateSecretVersionStage": ("secret", True),
    "GetSecretValue": ("secret", False),
    "PutParameter": ("parameter", False),
    "PutParameter, to overwrite": ("parameter", True),
    "GetParameter": ("parameter", False),
}
# A refusal may quote the request. A write contains the secret; a read does not.
ANSWERS = (
    (400, "AccessDeniedException", "no"),
    (500, "InternalServiceError", "An error occurred on the server side."),
    (400, "ValidationException", "1 validation error detected in {}"),
)


@contextmanager
def refusing(operation: str, answer: tuple[int, str, str]) -> Iterator[list[str]]:
    """Let AWS refuse an operation once a secret was sent; yield what it has refused."""
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
    """No refusal after the secret was sent shows it, even if AWS quotes the request."""
    kind, held_one = REQUESTS[name]
    with laggy_iam("off") as lagging, sharing_clients(lagging.session), listening() as canary:
        store, truth = stores(tmp_path, lagging.session)[kind], lagging.truth
        if held_one:
            nothing = SecretAccessKey("")  # a key without a secret counts as none
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
    """No error shows a secret if a file cannot be replaced, or cannot be read back."""
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


# --- error trackers -------------------------------------------------------------------------------


# Deliveries: one that succeeds, then one for each way to fail.
DELIVERIES = ("new user", "disk full", "interrupted late", "record denied", "SignatureDoesNotMatch")


# Functions that are on the stack while requests are sent.
FUNCTIONS = {
    "botocore.client._make_api_call",
    "cwagent_iam.aws.sender.call",
    "cwagent_iam.executor.driver._perform",
}


class Keeper(Transport):
    """A transport of Sentry that keeps events and sends nothing."""

    def __init__(self) -> None:
        """Begin with no event."""
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep the events in *envelope*."""
        payloads = [json.loads(item.get_bytes()) for item in envelope.items]
        self.events += [
            json.loads(json.dumps(each), object_hook=without_frames_of_tests) for each in payloads
        ]

    @property
    def variables(self) -> set[str]:
        """The functions whose local variables the events contain."""
        found: set[str] = set()

        def note(members: dict[str, Any]) -> dict[str, Any]:
            if members.get("vars"):
                found.add(f"{members.get('module')}.{members.get('function')}")
            return members

        json.loads(json.dumps(self.events), object_hook=note)
        return found


def without_frames_of_tests(members: dict[str, Any]) -> dict[str, Any]:
    """Drop the frames of AWS, stores and test runners from a stack trace."""
    others = (*ALLOWED, *RUNNERS)
    frames = members.get("frames")
    if isinstance(frames, list):
        members["frames"] = [
            each for each in frames if not str(each.get("module")).startswith(others)
        ]
    return members


@contextmanager
def sentry() -> Iterator[Keeper]:
    """Run Sentry's client: each log record is an event, with all local variables.

    Its protections are off: it does not remove variables whose names are on a list, such as
    *secret*. All of its changes to other libraries are undone.
    """
    keeper = Keeper()
    with (
        patch.object(logging.Logger, "callHandlers", logging.Logger.callHandlers),
        patch("sentry_sdk.integrations._processed_integrations", set()),
        patch("sentry_sdk.integrations._installed_integrations", set()),
        patch("sentry_sdk.serializer.MAX_DATABAG_BREADTH", 50),
        # Half of all records are theirs, from the same frames as those of the other loggers.
        patch.object(logging.getLogger("botocore.hooks"), "disabled", new=True),
        patch.object(logging.getLogger("botocore.regions"), "disabled", new=True),
    ):
        sentry_sdk.init(
            dsn="http://public@localhost/1",
            transport=keeper,
            include_local_variables=True,
            attach_stacktrace=True,
            include_source_context=False,
            max_breadcrumbs=10,
            event_scrubber=EventScrubber(denylist=[], pii_denylist=[]),
            default_integrations=False,
            integrations=[LoggingIntegration(level=logging.DEBUG, event_level=logging.DEBUG)],
        )
        try:
            yield keeper
        finally:
            sentry_sdk.get_client().close()
            sentry_sdk.get_global_scope().set_client(None)


@pytest.mark.parametrize("name", DELIVERIES)
def test_sentry_keeps_no_secret(name: str) -> None:
    """No event of Sentry contains a secret: neither of an error, nor of a log record at DEBUG."""
    with (
        patch.object(LaggyIAM, "__repr__", object.__repr__),  # it lists all requests so far
        laggy_iam("off") as lagging,
        sentry() as keeper,
        listening() as canary,
        ThreadPoolExecutor(1) as thread,  # whose stack is short
    ):
        scene = Scene(lagging)
        PLAYS[name].arrange(scene)
        error, _ = thread.submit(played, scene.deliver).result()
        assert canary.secrets
        assert (error is None) is (name == "new user")
        if error:
            sentry_sdk.capture_exception(error)
            assert keeper.events[-1]["exception"]["values"]
        assert keeper.variables >= FUNCTIONS
        assert [each for each in keeper.events if canary.sings(json.dumps(each))] == []


@contextmanager
def tracking() -> Iterator[tuple[Scene, Tracker]]:
    """Yield a scene, and a tracker that looks into all frames at each log record."""
    tracker = Tracker()
    with (
        patch.object(LaggyIAM, "__repr__", object.__repr__),  # it lists all requests so far
        laggy_iam("off") as lagging,
        listening(tracker) as canary,
    ):
        tracker.canary = canary
        yield Scene(lagging), tracker


def test_no_frame_shows_a_secret_to_a_log_handler() -> None:
    """No variable on the stack leads to a secret at any log record, in the life of a key."""
    with tracking() as (scene, tracker):
        life(scene)
        assert tracker.records > 1000
        assert len(tracker.seen) > 150
        assert tracker.frames >= FUNCTIONS
        assert tracker.found == set()


def failing_life(scene: Scene) -> list[BaseException]:
    """Create, rotate, reactivate and remove keys, each after it has failed in several ways."""
    errors: list[BaseException] = []
    full, denied = OSError(errno.ENOSPC, "No space left"), OSError(errno.EACCES, "No permission")
    turn, back = partial(rotate, scene), partial(rotate, scene, undo=True)

    def fail(call: Callable[[], object]) -> None:
        error, _ = played(call)
        assert error
        errors.append(error)

    def refuse(operation: str, call: Callable[[], object]) -> None:
        scene.answer(operation, "AccessDenied", first=1)
        fail(call)

    def fail_to_create(call: Callable[[], object]) -> None:
        before = scene.shelf.key
        for method, error in (("check", denied), ("write", full), ("write", KeyboardInterrupt())):
            scene.on(method, in_turn(raising(error)))
            fail(call)
            clean_up(before)
        for operation in ("TagUser", "CreateAccessKey"):
            refuse(operation, call)
        scene.shelf.after_write = in_turn(store_half)
        fail(call)
        clean_up(before)

    def store_half() -> None:
        name, secret = scene.shelf.key or ("", "")
        scene.shelf.key = name, secret[: len(secret) // 2]

    def clean_up(before: tuple[str, str] | None) -> None:
        scene.shelf.key = before
        for name in scene.ids:
            if name != scene.shelf.held():
                scene.lagging.truth.delete_access_key(UserName=USER, AccessKeyId=name)

    fail_to_create(scene.deliver)
    scene.deliver()
    scene.lagging.clock.sleep(91 * DAY)
    fail_to_create(turn)
    turn()
    scene.lagging.clock.sleep(2 * DAY)
    refuse("UpdateAccessKey", turn)
    turn()
    refuse("UpdateAccessKey", back)
    back()
    scene.lagging.clock.sleep(2 * DAY)
    turn()
    scene.lagging.clock.sleep(8 * DAY)
    refuse("DeleteAccessKey", turn)
    turn()
    refuse("DeleteAccessKey", partial(removed, scene))
    removed(scene)
    return errors


def test_no_frame_of_a_failure_shows_a_secret_to_a_log_handler() -> None:
    """The same holds if each step has failed before, and the errors show no secret either."""
    with tracking() as (scene, tracker):
        errors = failing_life(scene)
        assert len(errors) == 16
        assert len(tracker.canary.secrets) > 8
        assert tracker.found == set()
        check(tracker.canary, errors[0], errors[1:], scene.events)


# --- the interpreter ------------------------------------------------------------------------------


def test_no_dump_of_all_threads_shows_a_secret(tmp_path: Path) -> None:
    """What `faulthandler` prints while the store writes has names and lines, and no values."""
    path = tmp_path / "dump"
    with laggy_iam("off") as lagging, listening() as canary, path.open("w") as dump:
        scene = Scene(lagging)
        scene.on("write", lambda: faulthandler.dump_traceback(dump, all_threads=True))
        scene.deliver()
    text = path.read_text(encoding="utf-8")
    assert "in write\n" in text
    assert "in deliver\n" in text
    assert canary.secrets
    assert not canary.sings(text)


HOSTS = {"iam": "iam.amazonaws.com", "sts": "sts.us-east-1.amazonaws.com"}


class Handler(http.server.BaseHTTPRequestHandler):
    """An HTTP server on loopback that passes requests on to AWS in memory."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer as the service would that the signature is for."""
        credential = re.search("Credential=[^/]+/[^/]+/([^/]+)/([^/]+)/", self.headers.as_string())
        assert credential
        region, service = credential.groups()
        url = f"https://{HOSTS.get(service, f'{service}.{region}.amazonaws.com')}/"
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            headers[name] = value
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = AWSPreparedRequest("POST", url, headers, body, stream_output=False)
        reply = botocore_stubber("before-send", request)
        assert reply
        self.send_response(reply.status_code)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def on_loopback() -> Iterator[Any]:
    """Yield a session whose requests go through the SDK's HTTP layer, to AWS in memory."""
    with (
        sandbox() as session,
        patch.object(URLLib3Session, "send", SEND),
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "NO_PROXY": "127.0.0.1",
        }
        try:
            with patch.dict(os.environ, settings):
                yield session
        finally:
            server.shutdown()


# By store: the operations whose bodies contain the secret, of a new store and of an old one.
PRINTED = {
    "file": ([], []),
    "secret": (["CreateSecret"], ["PutSecretValue"]),
    "parameter": (["PutParameter"], ["PutParameter"]),
}


@pytest.mark.parametrize("name", PRINTED)
def test_http_client_prints_requests_of_stores(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `http.client.HTTPConnection.debuglevel = 1`, Python itself prints what is sent.

    This is a known limit, and documented. It prints the body of each request, so that of a store on
    AWS contains the secret. It prints no body of a reply: not that of CreateAccessKey, nor what is
    read back from a store.
    """
    with (
        on_loopback() as session,
        listening() as canary,
        patch.object(http.client.HTTPConnection, "debuglevel", 1),
    ):
        store = stores(tmp_path, session)[name]
        for expected, now in zip(PRINTED[name], (False, True), strict=True):
            ensure_agent_user(deliver=store, session=session)
            rotate_access_key(USER, deliver=store, session=session, now=now)
            lines = capsys.readouterr().out.splitlines()
            assert any("Action=CreateAccessKey" in line for line in lines)
            printed = [number for number, line in enumerate(lines) if canary.sings(line)]
            assert all(lines[number].startswith("send: b'{") for number in printed)
            targets = (re.search(r"X-Amz-Target: \w+\.(\w+)", lines[it - 1]) for it in printed)
            assert [found and found[1] for found in targets] == expected


# --- the canary itself ----------------------------------------------------------------------------


def test_the_canary_sings() -> None:
    """A secret would be found anywhere: in a log, an error, a frame or an object."""
    with laggy_iam("off") as lagging, listening() as canary:
        scene = Scene(lagging)
        scene.deliver()
        assert scene.shelf.key
        secret = scene.shelf.key[1]
        assert secret in canary.secrets
        leaks: list[tuple[BaseException | None, Any, list[Any]]] = [
            (None, secret, []),
            (None, secret[:20], []),
            (None, secret[20:], []),
            (None, secret[::-1], []),
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
    """An object whose pickle contains a secret."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Put the secret into the pickle."""
        return str, (SECRET,)


class TellingCopy:
    """An object whose copies show a secret that its pickle does not contain."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Restore the secret when it is copied."""
        return str.swapcase, (SECRET.swapcase(),)


class PickledError(TellingPickle, CwAgentIamError):
    """An error of the library whose pickle contains a secret."""


class CopiedError(TellingCopy, CwAgentIamError):
    """An error of the library whose copies show a secret."""


class ForeignError(TellingPickle, Exception):
    """An error of another library, which need not be picklable."""


def test_the_canary_looks_into_pickles_and_copies_of_our_errors() -> None:
    """A secret that only a pickle or a copy of an error of the library contains is found."""
    canary = Canary(secrets=[SECRET])
    for error in (CwAgentIamError(), ForeignError()):
        check(canary, error, None, [])
    for leaking in (PickledError(), CopiedError()):
        with pytest.raises(AssertionError):
            check(canary, leaking, None, [])


@attrs.frozen
class Holder:
    """An object with a secret that its repr does not show."""

    content: Any = attrs.field(repr=False)


LIBRARY: dict[str, Any] = {"__name__": "library", "logging": logging}
exec("def log(value): logging.getLogger('library').debug('words')", LIBRARY)  # noqa: S102


def test_trackers_find_secrets_in_frames() -> None:
    """Both trackers find a secret in the variables of a function that logs."""
    tracker = Tracker()
    with sentry() as keeper, listening(tracker):
        tracker.canary.secrets.append(SECRET)
        for value in ("", SECRET, [{"a": SECRET}], Holder((Holder(SECRET.encode()),))):
            tracker.seen.clear()
            LIBRARY["log"](value)
            tracker.canary.silence()
            logging.getLogger("other").debug("words")
    assert tracker.found == {"library: library.log: value"}
    kept = [json.dumps(each) for each in keeper.events]
    assert [tracker.canary.sings(each) for each in kept[::2]] == [False, True, True, False]
