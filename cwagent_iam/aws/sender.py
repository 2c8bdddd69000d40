"""The sender: the only place in this library that calls an operation of a client."""

from __future__ import annotations

import contextlib
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import attrs
from botocore import xform_name
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.parsers import ResponseParserError

from cwagent_iam.aws.outcomes import metadata_in, refusal_of
from cwagent_iam.aws.secrecy import bare, quiet, sealed
from cwagent_iam.key_stores import SecretAccessKey
from cwagent_iam.requests import Refusal, Reply, Unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cwagent_iam.requests import Outcome, Request


def call(client: Any, operation: str, **arguments: Any) -> Any:
    """Call *operation* of *client*; return the reply. Threads may share a client.

    Args:
        client: A boto3 client.
        operation: The operation, as in AWS's documentation.
        arguments: Its arguments, as boto3 takes them.

    Raises:
        Exception: As botocore raises it.
    """
    return getattr(client, xform_name(operation))(**arguments)


def attempt(client: Any, request: Request, record: Callable[[Outcome], object]) -> None:
    """Send *request* once, and *record* its outcome. No `Exception` is raised.

    A `BaseException` that is not an `Exception`, such as an interrupt, is raised. If it came after
    the reply, the reply is recorded all the same.
    """
    method = xform_name(request.operation)
    if not callable(getattr(client, method, None)):
        record(Refusal(code=None, message=f"The client has no method {method}."))
    elif request.row.secret:
        _attempt_secretly(client, request, lambda outcome: record(unquoted(outcome)))
    else:
        _attempt(client, request, record)


def _attempt(client: Any, request: Request, record: Callable[[Outcome], object]) -> None:
    content: Mapping[str, Any] | None = None
    try:
        content = call(client, request.operation, **request.arguments)
        record(_reply(content, request))
    except Exception as error:  # noqa: BLE001 - credentials and event handlers may raise anything
        record(refusal_of(error, request, client))
    except BaseException:
        if content is not None:
            with contextlib.suppress(Exception):
                record(_reply(content, request))
        raise


_attempt_secretly = quiet(sealed(_attempt))


def _reply(content: Mapping[str, Any], request: Request) -> Reply:
    row = request.row
    if row.result and row.result not in content:
        msg = f"The reply to {request.operation} has no {row.result}."
        raise ResponseParserError(msg)
    if request.operation == "CreateAccessKey":
        _hide_secret(content["AccessKey"])
    metadata = metadata_in(content)
    attempts = 1 + metadata.get("RetryAttempts", 0)
    return Reply(
        content=content,
        date=_date(metadata.get("HTTPHeaders", {}).get("date", "")),
        unacknowledged=attempts > 1 and not row.repeatable,
        attempts=attempts,
    )


def _hide_secret(key: Any) -> None:
    """Replace the secret of a new access key by a `SecretAccessKey`. A repetition does nothing."""
    if not (key and key.get("AccessKeyId") and key.get("SecretAccessKey")):
        msg = "The reply to CreateAccessKey holds no key."
        raise ResponseParserError(msg)
    if not isinstance(key["SecretAccessKey"], SecretAccessKey):
        key["SecretAccessKey"] = SecretAccessKey(key["SecretAccessKey"])


def unquoted(outcome: Outcome) -> Outcome:
    """Return *outcome* without frames, and without a message that may quote a secret."""
    if isinstance(outcome, Reply) or outcome.error is None:
        return outcome
    error: BaseException = bare(outcome.error)
    harmless = outcome.transient == "unreachable" or isinstance(outcome, Unsent)
    if outcome.code is None and not (harmless and isinstance(error, BotoCoreError)):
        error = HTTPClientError(error=type(error).__name__)
        return attrs.evolve(outcome, message=str(error), error=error)
    return attrs.evolve(outcome, error=error)


def _date(header: str) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp()
    except ValueError:
        return None
