"""The sender: the only place in this library that calls an operation of a client."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.parsers import ResponseParserError

from cwagent_iam.aws.outcomes import metadata_in, refusal_of
from cwagent_iam.requests import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def attempt(client: Any, request: Request) -> Outcome:
    """Send *request* once; return its outcome. No `Exception` is raised.

    A `BaseException` that is not an `Exception`, such as an interrupt, is raised.
    """
    method = xform_name(request.operation)
    if not callable(getattr(client, method, None)):
        return Refusal(code=None, message=f"The client has no method {method}.")
    try:
        content = call(client, request.operation, **request.arguments)
        return _reply(content, request)
    except Exception as error:  # noqa: BLE001 - credentials and event handlers may raise anything
        return refusal_of(error, request, client)


def _reply(content: Mapping[str, Any], request: Request) -> Reply:
    row = request.row
    if row.result and row.result not in content:
        msg = f"The reply to {request.operation} has no {row.result}."
        raise ResponseParserError(msg)
    metadata = metadata_in(content)
    attempts = 1 + metadata.get("RetryAttempts", 0)
    return Reply(
        content=content,
        date=_date(metadata.get("HTTPHeaders", {}).get("date", "")),
        unacknowledged=attempts > 1 and not row.repeatable,
        attempts=attempts,
    )


def _date(header: str) -> float | None:
    try:
        return parsedate_to_datetime(header).timestamp()
    except ValueError:
        return None
