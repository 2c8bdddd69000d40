"""Secrecy: the logs of botocore while a secret is sent, and exceptions without frames."""

from __future__ import annotations

import logging
import threading
import traceback

import pytest

from cwagent_iam.aws.secrecy import bare, quiet, sealed
from cwagent_iam.testing import sandbox
from tests.tracing import interrupt


def test_a_reply_with_a_secret_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No log record of any level shows the secret in a reply, except outside `quiet`."""
    with sandbox() as session, caplog.at_level(1):
        iam = session.client("iam")
        iam.create_user(UserName="u")
        create = quiet(iam.create_access_key)
        hidden = create(UserName="u")["AccessKey"]["SecretAccessKey"]
        shown = iam.create_access_key(UserName="u")["AccessKey"]["SecretAccessKey"]
    told = [f"{record.getMessage()} {record.args!r}" for record in caplog.records]
    assert not any(hidden in each for each in told)
    assert any(shown in each for each in told)


def test_a_request_with_a_secret_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No log record of any level shows the secret in a request, also if the client is new."""
    with sandbox() as session, caplog.at_level(1):
        client = quiet(session.client)("secretsmanager", region_name="us-east-1")
        quiet(client.create_secret)(Name="n", SecretString="hush-hush")
        quiet(client.get_secret_value)(SecretId="n")
        client.describe_secret(SecretId="n")
    told = [f"{record.getMessage()} {record.args!r}" for record in caplog.records]
    assert not any("hush-hush" in each for each in told)
    assert any("DescribeSecret" in each for each in told)


@pytest.mark.parametrize(
    "name", ["botocore", "botocore.parsers", "boto3.resources", "urllib3.connectionpool"]
)
def test_other_threads_are_logged(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Records of boto3, botocore and urllib3 are dropped in this thread only, until the end."""
    log = logging.getLogger(name)

    @quiet
    def talk() -> None:
        quiet(log.debug)("nested")
        log.debug("here")
        other = threading.Thread(target=log.debug, args=("elsewhere",))
        other.start()
        other.join()

    with caplog.at_level(logging.DEBUG, name):
        talk()
        log.debug("afterwards")
    assert [record.getMessage() for record in caplog.records] == ["elsewhere", "afterwards"]


@pytest.mark.parametrize("name", ["cwagent_iam", "botocore_stubs", "boto3botocore", "app.botocore"])
def test_other_loggers_are_logged(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Records of any other logger are not dropped."""
    log = logging.getLogger(name)
    with caplog.at_level(logging.DEBUG, name):
        quiet(log.debug)("here")
    assert [record.getMessage() for record in caplog.records] == ["here"]


def test_filters_do_not_accumulate() -> None:
    """Any number of calls adds one filter to each logger."""
    log = logging.getLogger("botocore.parsers")
    quiet(log.debug)("once")
    before = list(log.filters)
    quiet(log.debug)("again")
    assert log.filters == before


@pytest.mark.parametrize("line", [1, 2, 3, 4, 5])
def test_an_interrupt_ends_the_quiet(caplog: pytest.LogCaptureFixture, line: int) -> None:
    """Afterwards records are logged again, whichever line is interrupted."""
    log = logging.getLogger("botocore.parsers")

    def fail() -> None:
        raise LookupError

    with caplog.at_level(logging.DEBUG, "botocore.parsers"):
        with pytest.raises((LookupError, KeyboardInterrupt)):
            interrupt(quiet(fail), ("secrecy.py",), line)
        log.debug("afterwards")
    assert [record.getMessage() for record in caplog.records] == ["afterwards"]


@pytest.mark.parametrize("error", [ValueError("words"), KeyboardInterrupt()])
def test_a_sealed_function_shows_no_frames(error: BaseException) -> None:
    """A sealed function raises the same error, without its frames and context."""

    def fail() -> None:
        try:
            raise LookupError  # noqa: TRY301
        except LookupError:
            raise error  # noqa: B904 - the context is what is tested

    with pytest.raises(type(error)) as caught:
        sealed(fail)()
    assert caught.value is error
    assert error.__context__ is None
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert fail.__name__ not in names


def test_a_sealed_function_returns() -> None:
    """A sealed function returns what the function returns, and keeps its name."""

    def double(number: int) -> int:
        return 2 * number

    assert (sealed(double)(4), sealed(double).__name__) == (8, "double")


def test_causes_have_no_frames() -> None:
    """The causes of an error stay, without frames and contexts."""
    inner = LookupError("inner")
    try:
        try:
            raise inner
        except LookupError as cause:
            msg = "outer"
            raise ValueError(msg) from cause
    except ValueError as error:
        outer = bare(error)
    assert outer.__cause__ is inner
    for each in (outer, inner):
        assert (each.__traceback__, each.__context__) == (None, None)
