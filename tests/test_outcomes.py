"""Outcomes: the SDK's errors as refusals, and a client's return values as replies."""

from __future__ import annotations

import json
import ssl
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.session
import pytest
from botocore import exceptions as sdk, xform_name
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.parsers import ResponseParserError
from urllib3.exceptions import SSLError as TLSError

from cwagent_iam.aws.outcomes import max_attempts_of, refusal_of, unsent_of
from cwagent_iam.aws.sender import attempt
from cwagent_iam.key_stores import SecretAccessKey
from cwagent_iam.requests import OPERATIONS, Refusal, Reply, Request, Unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cwagent_iam.requests import Outcome, Transient

READ = Request.of("GetRole", RoleName="R")
WRITE = Request.of("DeleteRole", RoleName="R")
CREATE = Request.of("CreateRole", RoleName="R", AssumeRolePolicyDocument="{}")
IAM = "https://iam.amazonaws.com/"
STS = "https://sts.eu-west-1.amazonaws.com/"
CLIENT = SimpleNamespace(meta=SimpleNamespace(endpoint_url=IAM))
THROTTLED = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
]


def refused(
    code: str, status: int = 400, operation: str = "", words: str = "Sorry.", retries: int = 0
) -> sdk.ClientError:
    """Return what botocore raises when AWS refuses a request."""
    metadata = {"HTTPStatusCode": status, "RequestId": "r-1", "RetryAttempts": retries}
    reply: Any = {"Error": {"Code": code, "Message": words}, "ResponseMetadata": metadata}
    return sdk.ClientError(reply, operation or READ.operation)


def tls(reason: object) -> sdk.SSLError:
    """Return what botocore raises when TLS fails for *reason*."""
    return sdk.SSLError(endpoint_url=IAM, error=TLSError(reason))


BROKEN: list[Exception] = [
    sdk.ReadTimeoutError(endpoint_url=IAM),
    sdk.ConnectionClosedError(endpoint_url=IAM),
    sdk.HTTPClientError(error="reset"),
    sdk.ResponseStreamingError(error="cut off"),
    tls(ssl.SSLEOFError(8, "EOF occurred")),
    ResponseParserError("invalid XML"),
    KeyError("Role"),
    ValueError("no date"),
    TypeError("no list"),
    AttributeError("text"),
    IndexError("empty"),
]
UNREACHABLE: list[Exception] = [
    sdk.EndpointConnectionError(endpoint_url=IAM),
    sdk.ConnectTimeoutError(endpoint_url=IAM),
    sdk.ProxyConnectionError(proxy_url="http://proxy"),
]
NO_CERTIFICATE: list[Exception] = [
    tls(ssl.SSLCertVerificationError(1, "self-signed certificate")),
    tls(FileNotFoundError(2, "no CA bundle")),
]
NO_CREDENTIALS: list[Exception] = [
    sdk.LoginRefreshRequired(),
    sdk.MetadataRetrievalError(error_msg="timed out"),
    sdk.NoAuthTokenError(),
    sdk.NoCredentialsError(),
    sdk.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    sdk.ProfileNotFound(profile="p"),
    sdk.SSOTokenLoadError(error_msg="m"),
    sdk.UnauthorizedSSOTokenError(),
]


class OddError(Exception):
    """An error of a credential provider that has something else where botocore's have details."""

    kwargs = None


class BareError(sdk.BotoCoreError):
    """An error of a credential provider that has no details, although botocore's have them."""

    def __init__(self, words: str) -> None:
        """Do without the constructor of botocore's errors, which keeps the details."""
        Exception.__init__(self, words)


def name(error: object) -> str:
    """Name a case by its error."""
    return type(error).__name__


def attempted(client: Any, request: Request) -> Outcome:
    """Return the one outcome that is recorded of *request*."""
    outcomes: list[Outcome] = []
    attempt(client, request, outcomes.append)
    (outcome,) = outcomes
    return outcome


class TestOurRequest:
    """Errors of the request itself."""

    def test_refusal(self) -> None:
        """A refusal has AWS's code, message, status and id, and the error of the SDK."""
        error = refused("NoSuchEntity", 404)
        refusal = refusal_of(error, READ, CLIENT)
        assert refusal == Refusal(
            code="NoSuchEntity", message="Sorry.", status=404, request_id="r-1"
        )
        assert refusal.error is error

    @pytest.mark.parametrize("code", THROTTLED)
    def test_throttled(self, code: str) -> None:
        """All throttling codes mean the same, and that nothing was carried out."""
        refusal = refusal_of(refused(code, operation="CreateRole"), CREATE, CLIENT)
        assert (refusal.transient, refusal.unacknowledged) == ("throttled", False)

    @pytest.mark.parametrize(
        ("code", "status", "transient"),
        [
            ("Anything", 429, "throttled"),
            ("Throttling", 503, "throttled"),
            ("LimitExceeded", 409, None),
            ("LimitExceededException", 400, None),
            ("ServiceFailure", 500, "failing"),
            ("", 502, "failing"),
            ("RequestTimeout", 400, "failing"),
            ("RequestTimeoutException", 408, "failing"),
            ("Anything", 408, None),
            ("NotImplemented", 501, None),
            ("Anything", 505, None),
            ("Anything", 506, "failing"),
            ("Anything", 499, None),
            ("RequestExpired", 400, None),
            ("NoSuchEntity", 404, None),
        ],
    )
    def test_status(self, code: str, status: int, transient: str | None) -> None:
        """Throttling, timeouts and 5xx are transient, except 501 and 505."""
        refusal = refusal_of(refused(code, status, "DeleteRole"), WRITE, CLIENT)
        assert refusal.transient == transient
        assert refusal.unacknowledged == (transient == "failing")

    @pytest.mark.parametrize("error", BROKEN, ids=name)
    def test_broken(self, error: Exception) -> None:
        """A lost or unparsable reply is a transient failure; a write is unacknowledged."""
        read, write = (refusal_of(error, request, CLIENT) for request in (READ, WRITE))
        assert not isinstance(write, Unsent)
        assert (read.transient, read.unacknowledged) == ("failing", False)
        assert (write.transient, write.unacknowledged) == ("failing", True)

    @pytest.mark.parametrize("error", UNREACHABLE, ids=name)
    def test_unreachable(self, error: Exception) -> None:
        """Without a connection nothing was sent."""
        refusal = refusal_of(error, CREATE, CLIENT)
        assert not isinstance(refusal, Unsent)
        assert (refusal.transient, refusal.unacknowledged) == ("unreachable", False)

    @pytest.mark.parametrize("error", NO_CERTIFICATE)
    def test_certificate(self, error: Exception) -> None:
        """A certificate that is not trusted is final."""
        refusal = refusal_of(error, CREATE, CLIENT)
        assert (refusal.transient, refusal.unacknowledged) == (None, False)

    @pytest.mark.parametrize(
        "error",
        [
            sdk.ParamValidationError(report="r"),
            sdk.InvalidRegionError(region_name="r"),  # a ValueError too
            sdk.InvalidProxiesConfigError(error="e"),
        ],
        ids=name,
    )
    def test_refused_by_the_sdk(self, error: Exception) -> None:
        """A request that the SDK refuses is final, and was not sent."""
        refusal = refusal_of(error, CREATE, CLIENT)
        assert refusal == Refusal(code=None, message=str(error))

    @pytest.mark.parametrize(("request_", "lost"), [(READ, False), (WRITE, True)])
    def test_any_other_error(self, request_: Request, lost: bool) -> None:  # noqa: FBT001
        """Any other error is final, has type and message, and leaves a write unacknowledged."""
        refusal = refusal_of(ZeroDivisionError("by zero"), request_, CLIENT)
        words = "ZeroDivisionError: by zero"
        assert refusal == Refusal(code=None, message=words, unacknowledged=lost)

    @pytest.mark.parametrize(
        ("error", "transient"),
        [
            (OSError(28, "No space left on device"), None),
            (RuntimeError("a defect"), None),
            (TimeoutError("slow"), "unreachable"),
            (ConnectionResetError("reset"), "unreachable"),
        ],
        ids=name,
    )
    @pytest.mark.parametrize("where", ["after-call", "wrapper"])
    def test_raised_after_the_reply(
        self, session: boto3.Session, error: Exception, transient: Transient | None, where: str
    ) -> None:
        """A write is unacknowledged if a handler or a wrapper of the client raises after it."""
        iam = session.client("iam")
        create = iam.create_role

        def fail(**arguments: Any) -> None:
            if where == "wrapper":
                create(**arguments)
            raise error

        client: Any = SimpleNamespace(create_role=fail)
        if where == "after-call":
            client = iam
            client.meta.events.register("after-call.iam.CreateRole", fail)
        outcome = attempted(client, CREATE)
        words = f"{type(error).__name__}: {error}"
        assert outcome == Refusal(
            code=None, message=words, unacknowledged=True, transient=transient
        )
        assert [each["RoleName"] for each in iam.list_roles()["Roles"]] == ["R"]

    @pytest.mark.parametrize(
        ("reply", "code", "message"),
        [
            (None, None, str(sdk.ClientError({}, "GetRole"))),
            ({"Error": {"Code": "DeleteConflict", "Message": None}}, "DeleteConflict", ""),
            ({"Error": {"Message": "m"}}, None, "m"),
            ({"Error": None, "ResponseMetadata": None}, None, str(sdk.ClientError({}, "GetRole"))),
        ],
    )
    def test_incomplete(self, reply: Any, code: str | None, message: str) -> None:
        """An answer without code, message or metadata is a refusal too."""
        error = sdk.ClientError({}, "GetRole")
        error.response = reply
        refusal = refusal_of(error, READ, CLIENT)
        assert refusal == Refusal(code=code, message=message)

    def test_repeated_by_the_sdk(self) -> None:
        """A request that the SDK retried may have been carried out; its attempts count."""
        error = refused("NoSuchEntity", 404, "DeleteRole", retries=2)
        read, write = (
            refusal_of(refused("NoSuchEntity", 404, retries=2), READ, CLIENT),
            refusal_of(error, WRITE, CLIENT),
        )
        assert (read.unacknowledged, read.attempts) == (False, 3)
        assert (write.unacknowledged, write.attempts) == (True, 3)

    @pytest.mark.parametrize("error", UNREACHABLE, ids=name)
    def test_unreachable_in_the_end(self, error: Exception) -> None:
        """A client with retries reports only the last attempt: an earlier one may have arrived."""
        client = boto3.Session("a", "b", region_name="us-east-1").client("iam")
        refusal = refusal_of(error, WRITE, client)
        assert (refusal.unacknowledged, refusal.attempts) == (True, max_attempts_of(client))


@pytest.mark.parametrize(
    ("retries", "attempts"),
    [
        ({"mode": "standard"}, 3),
        ({"mode": "adaptive"}, 3),
        ({"mode": "legacy"}, 5),
        ({"mode": "standard", "max_attempts": 1}, 2),
        ({"mode": "legacy", "total_max_attempts": 1}, 1),
    ],
)
def test_attempts_of_a_client(retries: Any, attempts: int) -> None:
    """A client's settings tell how often it sends a request; a mock sends it once."""
    session = boto3.Session("a", "b", region_name="us-east-1")
    assert max_attempts_of(session.client("iam", config=Config(retries=retries))) == attempts
    assert max_attempts_of(object()) == max_attempts_of(CLIENT) == 1


class TestCredentials:
    """Failures before the request was sent."""

    @pytest.mark.parametrize("error", NO_CREDENTIALS, ids=name)
    def test_no_credentials(self, error: Exception) -> None:
        """Errors of credentials, tokens, SSO, profiles and metadata are final, and sent nothing."""
        outcome = refusal_of(error, CREATE, CLIENT)
        assert isinstance(outcome, Unsent)
        assert (outcome.code, outcome.transient, outcome.unacknowledged) == (None, None, False)
        assert str(error) in outcome.message

    @pytest.mark.parametrize(
        ("error", "step", "transient"),
        [
            (refused("AccessDenied", 403, "AssumeRole"), "AssumeRole", None),
            (refused("ExpiredToken", 400, "AssumeRole"), "AssumeRole", None),
            (refused("Throttling", 400, "AssumeRole"), "AssumeRole", "throttled"),
            (
                refused("InternalFailure", 500, "GetRoleCredentials"),
                "GetRoleCredentials",
                "failing",
            ),
            (sdk.CredentialRetrievalError(provider="custom", error_msg="m"), "custom", None),
            (sdk.TokenRetrievalError(provider="sso", error_msg="m"), "sso", None),
            (sdk.EndpointConnectionError(endpoint_url=STS), "", "unreachable"),
            (sdk.ReadTimeoutError(endpoint_url=STS), "", "failing"),
        ],
    )
    def test_step(self, error: Exception, step: str, transient: str | None) -> None:
        """The step is named, and is transient only if its own failure is."""
        outcome = refusal_of(error, CREATE, CLIENT)
        assert isinstance(outcome, Unsent)
        assert (outcome.step, outcome.transient) == (step, transient)
        assert not outcome.unacknowledged

    def test_unparsable_setting(self) -> None:
        """Unparsable settings are final, unlike an unparsable reply."""
        assert unsent_of(ValueError("Invalid endpoint: x")).transient is None

    @pytest.mark.parametrize("client", [object(), SimpleNamespace(meta=None), CLIENT])
    @pytest.mark.parametrize("url", [None, "", IAM])
    def test_own_host(self, client: object, url: Any) -> None:
        """An error of the client's own host, or of a client that has none, is the request's."""
        outcome = refusal_of(sdk.ReadTimeoutError(endpoint_url=url), CREATE, client)
        assert (type(outcome), outcome.unacknowledged) == (Refusal, True)

    @pytest.mark.parametrize(
        ("raised", "transient"),
        [
            (refused("AccessDenied", 403, "AssumeRole"), None),
            (refused("Throttling", 400, "CreateRole"), "throttled"),
            (FileNotFoundError(2, "No such file or directory", "/token"), None),
            (ConnectionResetError("reset"), "unreachable"),
            (TimeoutError("slow"), "unreachable"),
            (RuntimeError("the refreshed credentials are still expired"), None),
            (OddError("kwargs is None"), None),
            (BareError("there are no kwargs"), None),
            (KeyError("AccessKeyId"), None),
            (json.JSONDecodeError("Expecting value", "", 0), None),
            (ZeroDivisionError("by zero"), None),
            (sdk.InvalidConfigError(error_msg="m"), None),
            (sdk.RefreshWithMFAUnsupportedError(), None),
            (sdk.ReadTimeoutError(endpoint_url=IAM), "failing"),
        ],
        ids=name,
    )
    @pytest.mark.parametrize("where", ["refresh", "before-sign"])
    def test_raised_while_signing(
        self, session: boto3.Session, raised: Exception, transient: str | None, where: str
    ) -> None:
        """An error that was raised during signing is recognised by its traceback."""

        def fail(**_event: object) -> Any:
            raise raised

        if where == "refresh":
            client = _client_that_refreshes(fail)
        else:
            client = session.client("iam")
            client.meta.events.register("before-sign.iam.CreateRole", fail)
        outcome = attempted(client, CREATE)
        assert (type(outcome), getattr(outcome, "transient", "")) == (Unsent, transient)

    def test_process_that_prints_no_json(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: boto3.Session
    ) -> None:
        """A credential process that prints no JSON is an error of credentials."""
        del session  # only its sandbox is needed
        config = tmp_path / "config"
        config.write_text("[profile p]\ncredential_process = echo sorry\nregion = us-east-1\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(ValueError, match="Expecting value") as caught:
            boto3.Session(profile_name="p").client("iam")
        outcome = refusal_of(caught.value, CREATE, None)
        assert (type(outcome), outcome.transient) == (Unsent, None)

    @pytest.mark.parametrize(
        "raised",
        [
            sdk.ReadTimeoutError(endpoint_url="https://proxy.example/"),
            ConnectionResetError("reset"),
            RuntimeError("a mock that is closed"),
        ],
        ids=name,
    )
    def test_raised_while_sending(self, session: boto3.Session, raised: Exception) -> None:
        """An error that was raised while a request was sent is the request's, with any host."""

        def fail(**_event: object) -> None:
            raise raised

        client = session.client("iam", config=Config(retries={"total_max_attempts": 1}))
        client.meta.events.register_first("before-send.iam.CreateRole", fail)
        outcome = attempted(client, CREATE)
        assert isinstance(outcome, Refusal)
        assert (type(outcome), outcome.unacknowledged) == (Refusal, True)


class _Body:
    """The body of a raw reply of a host that is no AWS."""

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield b"no XML"


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        (200, "failing"),
        (302, None),
        (400, None),
        (429, "throttled"),
        (500, "failing"),
        (501, None),
        (505, None),
    ],
)
def test_status_of_an_unparsable_reply(
    session: boto3.Session, status: int, transient: str | None
) -> None:
    """A refusal in words that are not AWS's is judged by its HTTP status."""
    client = session.client("iam", config=Config(retries={"total_max_attempts": 1}))
    headers: Any = {}
    reply: Any = AWSResponse(IAM, status, headers, cast("Any", _Body()))
    client.meta.events.register_first("before-send.iam.CreateRole", lambda **_: reply)
    outcome = attempted(client, CREATE)
    assert isinstance(outcome, Refusal)
    assert (outcome.transient, outcome.status) == (transient, status)
    assert outcome.unacknowledged == (transient == "failing")


def _client_that_refreshes(refresh: Callable[..., Any]) -> Any:
    """Return a client whose credentials have expired, and are refreshed by *refresh*."""
    expired = {"access_key": "a", "secret_key": "b", "token": "c"}
    metadata = {**expired, "expiry_time": "2020-01-01T00:00:00Z"}
    core = botocore.session.Session()
    credentials = RefreshableCredentials.create_from_metadata(metadata, refresh, "test")
    provider = SimpleNamespace(load_credentials=lambda: credentials)
    core.register_component("credential_provider", provider)
    session: Any = boto3.Session(botocore_session=core)
    return session.client("iam", region_name="us-east-1")


class _Client:
    """A client that returns one reply, whatever it is asked."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.asked: list[Mapping[str, Any]] = []

    def _answer(self, **arguments: Any) -> Any:
        self.asked.append(arguments)
        if isinstance(self.reply, BaseException):
            raise self.reply
        return self.reply

    get_role = delete_role = create_role = create_access_key = create_secret = _answer


class _InterruptedList(list["Outcome"]):
    """Outcomes, where an interrupt comes before the first is recorded."""

    interrupted = False

    def record(self, outcome: Outcome) -> None:
        """Record *outcome*."""
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        self.append(outcome)


class TestSender:
    """One attempt."""

    def test_reply(self) -> None:
        """A reply has its content, AWS's time, and the number of attempts."""
        headers = {"date": "Thu, 01 Jan 1970 00:01:40 GMT"}
        content = {"Role": {}, "ResponseMetadata": {"HTTPHeaders": headers, "RetryAttempts": 1}}
        client = _Client(content)
        assert attempted(client, READ) == Reply(content=content, date=100.0, attempts=2)
        assert client.asked == [{"RoleName": "R"}]

    @pytest.mark.parametrize(
        "metadata", [None, {}, {"HTTPHeaders": {}}, {"HTTPHeaders": {"date": "today"}}]
    )
    def test_no_date(self, metadata: Any) -> None:
        """A reply without a time that can be read has none."""
        content = {"Role": {}} if metadata is None else {"Role": {}, "ResponseMetadata": metadata}
        assert attempted(_Client(content), READ) == Reply(content=content)

    @pytest.mark.parametrize(
        ("request_", "lost"), [(READ, False), (WRITE, False), (CREATE, True)], ids=str
    )
    def test_repeated_success(self, request_: Request, lost: bool) -> None:  # noqa: FBT001
        """A success after the SDK's retries is unacknowledged if it is not repeatable."""
        content = {"Role": {}, "ResponseMetadata": {"RetryAttempts": 1}}
        outcome = attempted(_Client(content), request_)
        assert (type(outcome), outcome.unacknowledged) == (Reply, lost)

    @pytest.mark.parametrize("content", [{}, {"html": ""}, None, "text", 1])
    @pytest.mark.parametrize(("request_", "lost"), [(READ, False), (CREATE, True)], ids=str)
    def test_no_result(self, content: Any, request_: Request, lost: bool) -> None:  # noqa: FBT001
        """A reply without its result is unparsable."""
        outcome = attempted(_Client(content), request_)
        assert isinstance(outcome, Refusal)
        assert (outcome.transient, outcome.unacknowledged) == ("failing", lost)

    def test_a_write_needs_no_result(self) -> None:
        """A write that returns nothing but metadata is a success."""
        assert attempted(_Client({}), WRITE) == Reply(content={})

    @pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(1)], ids=name)
    def test_interrupts_pass(self, interrupt: BaseException) -> None:
        """An interrupt before the reply is raised, and is not an outcome."""
        outcomes: list[Outcome] = []
        with pytest.raises(type(interrupt)):
            attempt(_Client(interrupt), READ, outcomes.append)
        assert outcomes == []

    def test_interrupt_after_the_reply(self) -> None:
        """An interrupt that comes after the reply is raised, and the reply is recorded."""
        outcomes = _InterruptedList()
        with pytest.raises(KeyboardInterrupt):
            attempt(_Client({"Role": {}}), CREATE, outcomes.record)
        assert outcomes == [Reply(content={"Role": {}})]

    def test_no_such_method(self) -> None:
        """A client that lacks the operation cannot have sent it, and repeating does not help."""
        words = "The client has no method tag_role."
        outcome = attempted(_Client({}), Request.of("TagRole", RoleName="R"))
        assert outcome == Refusal(code=None, message=words)

    def test_unknown_argument(self, iam: Any) -> None:
        """Arguments that the SDK refuses are an outcome, and were not sent."""
        outcome = attempted(iam, Request("GetRole", {"Name": "R"}))
        assert isinstance(outcome, Refusal)
        assert outcome.message.startswith("Parameter validation failed")

    def test_against_moto(self, iam: Any) -> None:
        """The reply of a real client has a date, and its refusal an id."""
        created = attempted(iam, CREATE)
        missing = attempted(iam, Request.of("GetUser", UserName="U"))
        assert isinstance(created, Reply)
        assert created.content["Role"]["RoleName"] == "R"
        assert created.date
        assert isinstance(missing, Refusal)
        assert (missing.code, missing.status) == ("NoSuchEntity", 404)
        assert missing.request_id

    def test_every_operation_exists(self, session: boto3.Session) -> None:
        """boto3 has a method for each operation of the table, and the reply has its result."""
        clients: dict[str, Any] = {}
        for row in OPERATIONS.values():
            client = clients.setdefault(row.service, session.client(row.service))
            assert callable(getattr(client, xform_name(row.name)))
            output = client.meta.service_model.operation_model(row.name).output_shape
            assert not row.result or row.result in output.members


NEW_KEY = Request.of("CreateAccessKey", UserName="U")
NEW_SECRET = Request.of("CreateSecret", Name="N", SecretString="hush")


def new_key() -> dict[str, Any]:
    """Return a reply to CreateAccessKey."""
    return {"AccessKey": {"AccessKeyId": "AKIA", "SecretAccessKey": "hush", "UserName": "U"}}


def locals_of(error: BaseException) -> str:
    """Return the local variables in the frames of *error*, without those of this file."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return repr([each.f_locals for each in frames if each.f_code.co_filename != __file__])


class TestSecrets:
    """Requests and replies that hold a secret."""

    def test_sealed(self) -> None:
        """The secret of a new access key is an object that only shows a mask."""
        outcome = attempted(_Client(new_key()), NEW_KEY)
        assert isinstance(outcome, Reply)
        assert isinstance(outcome.content["AccessKey"]["SecretAccessKey"], SecretAccessKey)
        assert outcome.content["AccessKey"]["SecretAccessKey"].reveal() == "hush"
        assert "hush" not in repr(outcome)

    def test_interrupt_after_the_reply(self) -> None:
        """An interrupt after the reply leaves the key in the outcome, with its secret sealed."""
        outcomes = _InterruptedList()
        with pytest.raises(KeyboardInterrupt) as caught:
            attempt(_Client(new_key()), NEW_KEY, outcomes.record)
        (reply,) = outcomes
        assert isinstance(reply, Reply)
        assert reply.content["AccessKey"]["SecretAccessKey"].reveal() == "hush"
        assert "hush" not in repr(outcomes) + locals_of(caught.value)

    @pytest.mark.parametrize(
        "content",
        [
            {},
            {"AccessKey": None},
            {"AccessKey": {}},
            {"AccessKey": {"AccessKeyId": "AKIA"}},
            {"AccessKey": {"AccessKeyId": "AKIA", "SecretAccessKey": ""}},
            {"AccessKey": {"AccessKeyId": "", "SecretAccessKey": "hush"}},
        ],
    )
    def test_no_key(self, content: Any) -> None:
        """A reply to CreateAccessKey without a key is unparsable, and a key may have come of it."""
        outcome = attempted(_Client(content), NEW_KEY)
        assert isinstance(outcome, Refusal)
        assert (outcome.transient, outcome.unacknowledged) == ("failing", True)
        assert "hush" not in repr(outcome)

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("hush"),
            RuntimeError("SecretString=hush"),
            sdk.ParamValidationError(report="Invalid value: hush"),
            sdk.HTTPClientError(error="hush"),
            ResponseParserError("hush"),
        ],
        ids=name,
    )
    def test_refusal_without_an_answer(self, error: Exception) -> None:
        """A refusal of a request that holds a secret tells the type of the error, not its words."""
        outcome = attempted(_Client(error), NEW_SECRET)
        assert isinstance(outcome, Refusal)
        assert outcome.error
        assert type(error).__name__ in outcome.message
        assert "hush" not in outcome.message + str(outcome.error) + locals_of(outcome.error)

    @pytest.mark.parametrize(
        "error",
        [
            refused("AccessDenied", 403, "CreateSecret", "Not allowed."),
            sdk.EndpointConnectionError(endpoint_url=IAM),
            sdk.NoCredentialsError(),
        ],
        ids=name,
    )
    def test_refusal(self, error: Exception) -> None:
        """AWS's own message, the endpoint, and errors of credentials stay; the frames do not."""
        outcome = attempted(_Client(error), NEW_SECRET)
        assert isinstance(outcome, Refusal)
        assert outcome.message in str(error)
        assert (outcome.error, error.__traceback__) == (error, None)

    def test_unknown_method(self) -> None:
        """A client that lacks the operation is told without the arguments."""
        outcome = attempted(object(), NEW_SECRET)
        assert outcome == Refusal(code=None, message="The client has no method create_secret.")

    def test_interrupt_before_the_reply(self) -> None:
        """An interrupt of a request that holds a secret is raised; nothing is recorded."""
        outcomes: list[Outcome] = []
        with pytest.raises(KeyboardInterrupt):
            attempt(_Client(KeyboardInterrupt()), NEW_SECRET, outcomes.append)
        assert outcomes == []

    def test_log(self, session: boto3.Session, caplog: pytest.LogCaptureFixture) -> None:
        """The log of botocore shows neither the arguments nor the reply."""
        with caplog.at_level(1):
            secret = attempted(session.client("secretsmanager"), NEW_SECRET)
            iam = session.client("iam")
            iam.create_user(UserName="U")
            reply = attempted(iam, NEW_KEY)
        assert isinstance(secret, Reply)
        assert isinstance(reply, Reply)
        hidden = reply.content["AccessKey"]["SecretAccessKey"].reveal()
        told = [f"{each.getMessage()} {each.args!r}" for each in caplog.records]
        assert any("CreateUser" in each for each in told)
        assert not any(each in line for each in ("hush", hidden) for line in told)
