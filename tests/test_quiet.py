"""botocore's log while a secret is on the wire."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from cwagent_iam.aws.secrecy import quiet
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    import pytest


def test_no_logger_shows_the_reply_with_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Everything is logged, and the secret is in none of it; outside it would be."""
    with sandbox() as session, caplog.at_level(1):
        iam = session.client("iam")
        iam.create_user(UserName="u")
        with quiet():
            hidden = iam.create_access_key(UserName="u")["AccessKey"]["SecretAccessKey"]
        shown = iam.create_access_key(UserName="u")["AccessKey"]["SecretAccessKey"]
    told = [f"{record.getMessage()} {record.args!r}" for record in caplog.records]
    assert not any(hidden in each for each in told)
    assert any(shown in each for each in told)


def test_no_logger_shows_the_request_with_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    """What is sent to the services that keep secrets is not shown either."""
    with sandbox() as session, caplog.at_level(1):
        client = session.client("secretsmanager", region_name="us-east-1")
        with quiet():
            client.create_secret(Name="n", SecretString="hush-hush")
            client.get_secret_value(SecretId="n")
    assert not any("hush-hush" in record.getMessage() for record in caplog.records)


def test_other_threads_are_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    """Quiet is where the secret is, and there only while it lasts; nesting does no harm."""
    log = logging.getLogger("botocore.parsers")
    with caplog.at_level(logging.DEBUG, "botocore.parsers"):
        with quiet(), quiet():
            log.debug("here")
            other = threading.Thread(target=log.debug, args=("elsewhere",))
            other.start()
            other.join()
        log.debug("afterwards")
    assert [record.getMessage() for record in caplog.records] == [
        "not shown: it may hold a secret",
        "elsewhere",
        "afterwards",
    ]
