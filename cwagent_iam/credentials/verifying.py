"""Seeing that AWS lets in a new key, by asking STS with it who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.aws.outcomes import unsent_of
from cwagent_iam.aws.sender import attempt
from cwagent_iam.credentials.looking import too_late
from cwagent_iam.credentials.requests import transient
from cwagent_iam.credentials.sealing import bare, sealed
from cwagent_iam.errors import DeliveryError
from cwagent_iam.events import KeyVerified
from cwagent_iam.reconcile.call import COPIES
from cwagent_iam.reconcile.rules import DENSE
from cwagent_iam.requests import Refusal, Request

if TYPE_CHECKING:
    from cwagent_iam.credentials.requests import KeyRequests
    from cwagent_iam.credentials.secret import NewAccessKey
    from cwagent_iam.reconcile.rules import Pace


def verify(requests: KeyRequests, new: NewAccessKey, store: str) -> None:
    """Ask with *new* until several answers in a row know it.

    Raises:
        DeliveryError: When AWS says what no time will change; the key was delivered.
        PropagationTimeoutError: When the time is up.
    """
    began = requests.seconds
    wrong, looks = requests.repeat(lambda: _wrong_with(requests, new), _why)
    if wrong is None:
        requests.executor.emit(KeyVerified(access_key_id=new.access_key_id, looks=COPIES))
        return
    requests.heard(wrong)
    if _why(wrong):
        raise too_late(requests, looks, began, new.access_key_id) from wrong.error
    raise DeliveryError(
        access_key_id=new.access_key_id,
        fate="in doubt",
        store=store,
        reason=f"it holds the key, but AWS does not take it: {wrong.summary}",
    ) from wrong.error


def _why(wrong: Refusal | None) -> tuple[Pace, str] | None:
    """Return pace and reason of the pause before the next attempt; `None` if there is none."""
    if wrong and wrong.code == "InvalidClientTokenId":
        return DENSE, "the access key is too new"
    return transient(wrong) if wrong else None


@sealed
def _wrong_with(requests: KeyRequests, new: NewAccessKey) -> Refusal | None:
    """Ask several times who signs with the key; return what is wrong, if anything is."""
    secret = new.secret.reveal()
    try:
        sts = requests.executor.clients.build(
            "sts", aws_access_key_id=new.access_key_id, aws_secret_access_key=secret
        )
    except Exception as error:  # noqa: BLE001 - settings may raise anything
        return unsent_of(bare(error))
    try:
        for _ in range(COPIES):
            outcome = attempt(sts, Request.of("GetCallerIdentity"))
            if isinstance(outcome, Refusal):
                return attrs.evolve(outcome, error=outcome.error and bare(outcome.error))
            arn: str = outcome.content["Arn"]
            if arn.rpartition("/")[2].lower() != requests.user_name.lower():
                return Refusal(code=None, message=f"it is the key of {arn}")
    finally:
        # The client may live on in reference cycles; botocore has no call that clears a secret.
        sts._request_signer._credentials.secret_key = ""  # noqa: SLF001
    return None
