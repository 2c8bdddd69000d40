"""How a key is written down in the services of AWS that keep secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cwagent_iam.aws import AWS_ERRORS, code_of, reason_of, service_client
from cwagent_iam.credentials.quiet import quiet
from cwagent_iam.errors import StoreError

if TYPE_CHECKING:
    from cwagent_iam.aws import AWSSession
    from cwagent_iam.credentials.secret import NewAccessKey
    from cwagent_iam.credentials.store import KeyStore

_ID, _SECRET, _USER = "access_key_id", "secret_access_key", "user_name"


def as_json(key: NewAccessKey) -> str:
    """Return *key* as an object with its id, its secret and its user's name."""
    members = {_ID: key.access_key_id, _SECRET: key.secret.reveal(), _USER: key.user_name}
    return json.dumps(members)


def id_in(store: object, text: str) -> str | None:
    """Return the id of the key that `as_json` has written as *text*; `None` without a secret.

    Raises:
        StoreError: When *text* was written by somebody else; it is not overwritten.
    """
    try:
        members: Any = json.loads(text)
    except ValueError:
        members = None
    if isinstance(members, dict) and members.keys() == {_ID, _SECRET, _USER}:
        return (members[_SECRET] and members[_ID]) or None
    problem = "it holds something else than an access key: name another place"
    raise StoreError(store=str(store), problem=problem)


def holds(store: KeyStore, key: NewAccessKey) -> bool:
    """Say whether *store* holds *key* for sure; if it cannot be read, nobody knows."""
    try:
        return store.held() == key.access_key_id
    except StoreError:
        return False


def refused(store: object, operation: str, error: BaseException) -> StoreError:
    """Return AWS's *error* as one of the store; it quotes AWS, which quotes no secrets."""
    code = code_of(error)
    reason = f"{code}: {reason_of(error)}" if code else type(error).__name__
    return StoreError(store=str(store), problem=f"{operation} failed: {reason}")


def ask(service: str, session: AWSSession | None, method: str, **members: Any) -> Any:
    """Return the reply of a service, or its error, to be raised where none is being handled."""
    try:
        client = service_client(service, session)
        with quiet():
            return getattr(client, method)(**members)
    except AWS_ERRORS as error:
        return error
