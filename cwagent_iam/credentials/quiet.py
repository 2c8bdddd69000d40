"""While a secret is on the wire, botocore's log does not show what is sent and received.

botocore logs the body of every reply, and the parameters of every request, for debugging, and with
the errors of the line the frames that have them. A level or a handler would be changed for all
threads at once; a filter that asks a context variable is there for good, and holds its tongue for
the one call alone, whoever owns the client.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TALKERS = tuple(
    f"botocore.{name}" for name in ("endpoint", "parsers", "httpsession", "retryhandler")
)
_quiet: ContextVar[bool] = ContextVar("cwagent_iam_quiet", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep requests and replies of this thread, or task, out of the log."""
    for name in _TALKERS:
        logging.getLogger(name).addFilter(_mask)  # a filter that is there is not added again
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def _mask(record: logging.LogRecord) -> bool:
    if _quiet.get():
        record.msg, record.args = "not shown: it may hold a secret", ()
        record.exc_info = record.exc_text = None
    return True
