"""Secrecy: no log and no frame of an exception shows a secret that is on its way.

botocore logs the bodies of requests and replies at level DEBUG, and error trackers keep the local
variables of the frames of each log record and of each exception.
"""

from __future__ import annotations

import functools
import logging
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")
_E = TypeVar("_E", bound=BaseException)

_LIBRARIES = {"boto3", "botocore", "urllib3"}
_quiet: ContextVar[bool] = ContextVar("cwagent_iam_quiet", default=False)


def quiet(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let *function* drop the log records of botocore and its libraries, in this thread only.

    A level or a handler would change for all threads. A filter that reads a context variable can
    stay on the loggers. The variable is set in a context of its own, so that nothing has to be
    reset, not even after an interrupt.
    """

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] in _LIBRARIES:
                logging.getLogger(name).addFilter(_is_shown)  # adding it again changes nothing
        context = copy_context()
        context.run(_quiet.set, True)  # noqa: FBT003 - its value
        return context.run(function, *args, **kwargs)

    return call


def _is_shown(_record: logging.LogRecord) -> bool:
    return not _quiet.get()


def bare(error: _E) -> _E:
    """Remove the frames and the contexts from *error*, its causes and the members of a group."""
    for inner in (error.__cause__, *getattr(error, "exceptions", ())):
        if inner is not None:
            bare(inner)
    error.__traceback__ = error.__context__ = None
    return error


def sealed(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Remove the frames, which may hold a secret, from all that *function* raises.

    ``raise ... from None`` would only hide the first error. So the error is raised again where no
    error is being handled.
    """

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - an interrupt has frames too
            failure = bare(error)
        raise failure

    return call
