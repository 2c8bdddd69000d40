"""How a key is written down in the services of AWS that keep secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cwagent_iam.credentials.quiet import quiet

from cwagent_iam.errors import StoreError
from cwagent_iam.executor import Executor
from cwagent_iam.observing import send_all_pages
from cwagent_iam.requests import Request

if TYPE_CHECKING:
    from cwagent_iam.credentials.secret import NewAccessKey
    from cwagent_iam.credentials.store import KeyStore

    from cwagent_iam.aws import AWSSession
    from cwagent_iam.requests import Outcome, Refusal

_ID, _SECRET, _USER = "access_key_id", "secret_access_key", "user_name"


def as_json(key: NewAccessKey) -> str:
    """Return *key* as an object with its id, its secret and its user's name."""
    members = {_ID: key.access_key_id, _SECRET: key.secret.reveal(), _USER: key.user_name}
    return json.dumps(members)


def id_in(store: object, text: str) -> str | None:
    """Return the id of the key that `as_json` has written as *text*; `None` without a secret.

    Raises:
        StoreError: If *text* was written by another program; it is not overwritten.
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
    """Return whether *store* certainly holds *key*; `False` if the store cannot be read."""
    try:
        return store.held() == key.access_key_id
    except StoreError:
        return False


def refused(store: object, operation: str, refusal: Refusal) -> StoreError:
    """Return a *refusal* as an error of the store. It quotes AWS's message, which has no secret."""
    reason = refusal.summary if refusal.code else type(refusal.error).__name__
    return StoreError(store=str(store), problem=f"{operation} failed: {reason}")


def ask(session: AWSSession | None, operation: str, **arguments: Any) -> Outcome:
    """Send a request to a service that stores secrets; return its outcome."""
    with quiet():
        (outcome,) = Executor.of(session).run(send_all_pages((Request.of(operation, **arguments),)))
    return outcome
