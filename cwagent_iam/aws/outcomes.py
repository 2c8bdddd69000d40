"""Outcomes of errors: a `Refusal` of the request, or `Unsent` if signing failed before it.

The functions are pure: they read the error, the request and the client's settings.
"""

from __future__ import annotations

import ssl
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from cwagent_iam.errors import FAILING, THROTTLED
from cwagent_iam.requests import Refusal, Unsent

if TYPE_CHECKING:
    from cwagent_iam.requests import Request, Transient

_UNSUPPORTED = (HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)

# botocore's parsers raise these for well-formed replies that do not come from AWS.
_UNPARSABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError)

# An invalid certificate, and a CA bundle that does not exist.
_BAD_CERTIFICATE = (ssl.SSLCertVerificationError, FileNotFoundError)

_SIGNING = frozenset({"botocore.signers", "botocore.credentials", "botocore.tokens"})

# The usual credential errors, for errors that were raised without botocore's frames.
_CREDENTIALS = (
    sdk.CredentialRetrievalError,
    sdk.LoginError,
    sdk.MetadataRetrievalError,
    sdk.NoAuthTokenError,
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.ProfileNotFound,
    sdk.SSOError,
    sdk.TokenRetrievalError,
)


def refusal_of(error: Exception, request: Request, client: Any) -> Refusal | Unsent:
    """Return the outcome of *request* for the *error* that *client* raised."""
    if _is_before_sending(error, request, client):
        return unsent_of(error)
    transient = _transient_of(error)
    facts = _facts(error)
    unknown = not isinstance(error, (sdk.ClientError, sdk.BotoCoreError))
    if isinstance(error, ResponseParserError) or (transient is None and _is_unparsable(error)):
        facts["status"] = status = _status_of_unparsable(error)
        unknown = status < HTTPStatus.MULTIPLE_CHOICES
        transient = "failing" if unknown else _transient_status(status)
    attempts = 1 + _error_response(error)[1].get("RetryAttempts", 0)
    if isinstance(error, (sdk.HTTPClientError, sdk.ConnectionError)):
        attempts = max_attempts_of(client)  # botocore raises these after its last attempt
    return Refusal(
        unacknowledged=not request.row.reads
        and (transient == "failing" or attempts > 1 or unknown),
        transient=transient,
        attempts=attempts,
        **facts,
    )


def unsent_of(error: Exception) -> Unsent:
    """Return the outcome of a request that was not sent because of *error*."""
    provider = _detail(error, "provider") or ""
    step = error.operation_name if isinstance(error, sdk.ClientError) else provider
    return Unsent(step=step, transient=_transient_of(error), **_facts(error))


def max_attempts_of(client: Any) -> int:
    """Return how many times *client* sends a request at most; 1 if its settings do not say."""
    config = getattr(getattr(client, "meta", None), "config", None)
    retries = getattr(config, "retries", None)
    if not isinstance(retries, Mapping):
        return 1
    default = 5 if retries.get("mode") == "legacy" else 3
    max_attempts: int = retries.get("total_max_attempts", default)
    return max_attempts


def metadata_in(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return botocore's metadata of *reply*, such as ``RequestId`` and ``RetryAttempts``."""
    return reply.get("ResponseMetadata") or {}


def _is_before_sending(error: Exception, request: Request, client: Any) -> bool:
    """Return whether *error* was raised while botocore got credentials, before *request* was sent.

    A credential provider may raise anything, and botocore passes it on. The frames of the traceback
    show where the error was raised. Without such frames, the type and the values of botocore's own
    errors decide. After any other error, such as an event handler's, the request may have been
    carried out.
    """
    frames = traceback.walk_tb(error.__traceback__)
    modules = {frame.f_globals.get("__name__") for frame, _ in frames}
    if modules & _SIGNING:
        return True
    if "botocore.endpoint" in modules:
        return False
    if isinstance(error, sdk.ClientError):
        return error.operation_name != request.operation
    host = _host(_detail(error, "endpoint_url"))
    own = _host(getattr(getattr(client, "meta", None), "endpoint_url", None))
    return isinstance(error, _CREDENTIALS) or bool(host and own and host != own)


def _detail(error: Exception, name: str) -> Any:
    """Return a detail of botocore's *error*; `None` for any other error, and if there is none."""
    # A credential provider's subclass may lack `kwargs`.
    details = getattr(error, "kwargs", None) if isinstance(error, sdk.BotoCoreError) else None
    return details.get(name) if isinstance(details, Mapping) else None


def _host(url: object) -> str:
    return (urlsplit(url).hostname or "") if isinstance(url, str) else ""


def _transient_of(error: Exception) -> Transient | None:
    """Return the kind of transient failure of *error*; `None` if it is final."""
    match error:
        case sdk.ClientError():
            return _transient_answer(error)
        case sdk.SSLError():
            # The reason is in `args` of urllib3's error.
            reasons = getattr(_detail(error, "error"), "args", ())
            final = any(isinstance(reason, _BAD_CERTIFICATE) for reason in reasons)
            return None if final else "failing"
        case sdk.ConnectionError() | ConnectionError() | TimeoutError():
            return "unreachable"
        case sdk.HTTPClientError() | ResponseParserError():
            return "failing"
        case _:
            return None


def _transient_answer(error: sdk.ClientError) -> Transient | None:
    details, metadata = _error_response(error)
    code, status = details.get("Code"), metadata.get("HTTPStatusCode", 0)
    if code in THROTTLED:
        return "throttled"
    return _transient_status(status) or ("failing" if code in FAILING else None)


def _transient_status(status: int) -> Transient | None:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "throttled"
    failing = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _UNSUPPORTED
    return "failing" if failing else None


def _status_of_unparsable(error: Exception) -> int:
    """Return the HTTP status of a reply that botocore cannot parse, from botocore's frame.

    A proxy may refuse with a page of its own. Then its status decides whether to retry.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") == "botocore.endpoint":
            status = getattr(frame.f_locals.get("http_response"), "status_code", None)
            if isinstance(status, int):
                return status
    return 0


def _is_unparsable(error: Exception) -> bool:
    # botocore raises a ValueError of its own for invalid settings.
    return isinstance(error, _UNPARSABLE) and not isinstance(error, sdk.BotoCoreError)


def _facts(error: Exception) -> dict[str, Any]:
    details, metadata = _error_response(error)
    words = details.get("Message") or ("" if details.get("Code") else str(error))
    from_sdk = isinstance(error, (sdk.ClientError, sdk.BotoCoreError, ResponseParserError))
    return {
        "code": details.get("Code") or None,
        "message": words if from_sdk else f"{type(error).__name__}: {error}",
        "status": metadata.get("HTTPStatusCode", 0),
        "request_id": metadata.get("RequestId", ""),
        "error": error,
    }


def _error_response(error: Exception) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return code and message, and the metadata; the answer of a proxy may lack any of these."""
    # Other errors of botocore may have a `response` too, which is `None`.
    response = (error.response or {}) if isinstance(error, sdk.ClientError) else {}
    return response.get("Error") or {}, metadata_in(response)
