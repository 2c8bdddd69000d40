"""Custody: calls the methods of key stores, and does not repeat the words of their exceptions.

A store may be the caller's code. Its exceptions may quote the secret, in whole, in parts or in
another encoding. So a `StoreError` names the type of the exception and the line that raised it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import traceback
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import attrs
from botocore.exceptions import BotoCoreError

from cwagent_iam.aws.outcomes import unsent_of
from cwagent_iam.aws.secrecy import bare, quiet, sealed
from cwagent_iam.errors import StoreError
from cwagent_iam.key_stores import Advice, Companion, ReadableKeyStore, SecretAccessKey
from cwagent_iam.requests import STORE_CHANGED, Holding, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.aws.clients import Clients
    from cwagent_iam.requests import Deliver, Hold, Settle, Verify

_T = TypeVar("_T")

# AWS documents 16 to 128 word characters; all ids are upper case. A secret, which a person may have
# put in the place of the id, is not: it must not be sent, or shown in errors and events.
_ID = re.compile(r"[A-Z0-9]{16,128}")


def hold(effect: Hold, name: str) -> Holding:
    """Ask a store what it holds. Its *name* is empty if it is not known yet.

    Raises:
        StoreError: If it cannot be read, or holds something other than the id of a key; or if the
            effect asks for a check, which fails.
    """
    store: Any = effect.store
    name = name or _name_of(store)
    held = _guarded(store, name, "read", store.held)
    if held is not None and not (isinstance(held, str) and _ID.fullmatch(held)):
        problem = "it holds something other than the id of an access key: empty it, or name another"
        raise StoreError(store=name, problem=problem)
    if effect.check:
        _guarded(store, name, "written", store.check)
    return Holding(
        access_key_id=held,
        name=name,
        fingerprint=hashlib.sha256(_identity_of(store, name).encode()).hexdigest()[:16],
        readable=_is_readable(store, name),
    )


def deliver(effect: Deliver, name: str) -> None:
    """Write a new key to a store."""
    store, key, replacing = effect.store, effect.key, effect.replacing
    _guarded(store, name, "written", lambda: store.write(key, replacing=replacing))


def settle(effect: Settle, name: str) -> Advice:
    """Let a store repair the settings of its readers; return what is left to do."""
    store = effect.store
    if not isinstance(store, Companion):
        return Advice()
    advice = _guarded(store, name, "settled", lambda: store.settle())  # noqa: PLW0108
    return advice if isinstance(advice, Advice) else Advice(advice or "")


@sealed
def client_for(effect: Verify, clients: Clients, name: str) -> Any:
    """Return a client for STS that signs with the key in the store, or a `Refusal`."""
    store = effect.store
    secret = effect.key.secret if effect.key else None
    if _is_readable(store, name):
        secret = _guarded(store, name, "read", lambda: _secret_in(store))
        if _guarded(store, name, "read", store.held) != effect.access_key_id:
            return Refusal(code=STORE_CHANGED, message="the store holds another key by now")
        if effect.key and secret is effect.key.secret:
            problem = "the store returned the object that it was given, which will be emptied"
            return Refusal(code=None, message=problem)
    if secret is None:
        return Refusal(code=None, message="the store holds no secret")
    return _client(clients, effect, secret)


def forget(client: Any) -> None:
    """Remove the secret from a client, which may outlive the call; botocore has no API for it."""
    with contextlib.suppress(AttributeError):  # a custom session may build other clients
        client._request_signer._credentials.secret_key = ""  # noqa: SLF001


@quiet
@sealed
def _client(clients: Clients, effect: Verify, secret: SecretAccessKey) -> Any:
    try:
        return clients.build(
            "sts",
            effect.region,
            aws_access_key_id=effect.access_key_id,
            aws_secret_access_key=secret.reveal(),
        )
    except Exception as error:  # noqa: BLE001 - settings may raise anything
        unsent = unsent_of(bare(error))
        quotes = not isinstance(error, BotoCoreError)
        return attrs.evolve(unsent, message=type(error).__name__) if quotes else unsent


def _is_readable(store: object, name: str) -> TypeGuard[ReadableKeyStore]:
    """Return whether a store has the method ``secret``; an attribute may have that name too."""
    return callable(_guarded(store, name, "read", lambda: getattr(store, "secret", None)))


def _secret_in(store: ReadableKeyStore) -> SecretAccessKey | None:
    found = store.secret()
    secret = SecretAccessKey(found) if isinstance(found, str) else found
    # botocore's error about any other text would quote it.
    fits = isinstance(secret, SecretAccessKey) and re.fullmatch(r"[!-~]+", secret.reveal())
    return secret if fits else None


def _guarded(store: object, name: str, verb: str, call: Callable[[], _T]) -> _T:
    """Call a method of a store; raise what it raises without its words and frames."""
    failure: BaseException
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever a store raises
        own = type(store).__module__.startswith("cwagent_iam.")
        if own and isinstance(error, StoreError):
            failure = bare(error)
        else:
            failure = StoreError(store=name, problem=f"it cannot be {verb} ({_place(error)})")
    except BaseException as error:  # noqa: BLE001 - an interrupt has words and frames too
        failure = _wordless(error)
    raise failure


def _wordless(error: BaseException) -> BaseException:
    """Return an interrupt of the same type, without the words and frames of *error*."""
    if isinstance(error, SystemExit):
        return SystemExit(error.code if isinstance(error.code, int) else 1)
    try:
        return BaseException.__new__(type(error))
    except TypeError:  # a group needs arguments
        return KeyboardInterrupt()


def _place(error: Exception) -> str:
    """Return the type of an exception and the line that raised it, without its words."""
    number = error.errno if isinstance(error, OSError) else None
    code = errno.errorcode.get(number) if isinstance(number, int) else None
    name = f"{type(error).__name__} {code}" if code else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name} in {frames[-1].filename}, line {frames[-1].lineno}"


def _name_of(store: object) -> str:
    """Return the name of a store; that of its type if it has no ``__str__``.

    A repr is not a name: it may show an address in memory, or the secret that the store holds.
    """
    kind = type(store)
    if kind.__str__ is object.__str__:
        return kind.__qualname__
    return _guarded(store, kind.__qualname__, "named", lambda: str(store))


def _identity_of(store: object, name: str) -> str:
    """Return what tells a store from others: its attribute ``identity``, or its name."""
    identity = _guarded(store, name, "named", lambda: getattr(store, "identity", None))
    return identity if isinstance(identity, str) else name
