"""Failing without the frames that held a secret.

A traceback keeps every local variable of the functions that it went through, and some tools print
them. ``raise ... from None`` only hides the first error, so what fails is raised anew where
no error is being handled.
"""

from __future__ import annotations

import base64
import functools
import traceback
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import quote

from cwagent_iam.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.credentials.secret import SecretAccessKey

_P = ParamSpec("_P")
_T = TypeVar("_T")
_E = TypeVar("_E", bound=BaseException)


def bare(error: _E) -> _E:
    """Take from *error*, and from all that it came of, the frames and what was handled."""
    seen: BaseException | None = error
    while seen is not None:
        seen.__traceback__ = seen.__context__ = None
        seen = seen.__cause__
    return error


def sealed(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let *function* fail with the same error, but without its frames."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - an interrupt has frames too
            failure = bare(error)
        raise failure

    return call


def guarded(
    store: object, done: str, call: Callable[[], _T], secret: SecretAccessKey | None = None
) -> _T:
    """Ask a store that anybody may have written, and let nothing out but words.

    Args:
        store: The store.
        done: What is to be done to it, as in "it cannot be read".
        call: Does it.
        secret: What must not be in the words, as it is or in another spelling.

    Raises:
        StoreError: When it fails, with the stack as text in a note.
        BaseException: When it is interrupted, without frames.
    """
    failure: BaseException
    try:
        return call()
    except StoreError as error:
        store, problem = _masked(error.store, secret), _masked(error.problem, secret)
        failure = bare(error) if secret is None else StoreError(store=store, problem=problem)
    except Exception as error:  # noqa: BLE001 - whatever a store raises
        words = _masked(f"{type(error).__name__}: {error}", secret)
        name = _masked(str(store), secret)
        failure = StoreError(store=name, problem=f"it cannot be {done} ({words})")
        failure.add_note("".join(traceback.format_tb(error.__traceback__)))
    except BaseException as error:  # noqa: BLE001 - an interrupt has frames too
        failure = bare(error)
    raise failure


def _masked(text: str, secret: SecretAccessKey | None) -> str:
    """Return *text* unless it tells the secret, in whatever way it is often written."""
    if secret is None:
        return text
    plain = secret.reveal()
    coded = (base64.b64encode(plain.encode()), plain.encode().hex().encode())
    escaped = (quote(plain, safe=""), quote(plain), plain.replace("/", "\\/"))
    spellings = (plain, *escaped, *(each.decode() for each in coded))
    told = any(each.casefold() in text.casefold() for each in spellings)
    return f"what it says holds a {secret}" if told else text
