"""Seeing that AWS lets in a new key, by asking STS with it who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tenacity

from cwagent_iam.aws import AWS_ERRORS
from cwagent_iam.credentials.answers import KeyRequest
from cwagent_iam.credentials.looking import too_late
from cwagent_iam.credentials.sealing import bare, sealed
from cwagent_iam.errors import DeliveryError
from cwagent_iam.events import KeyVerified
from cwagent_iam.propagation import FINAL, GOOD_LOOKS, rule_for

if TYPE_CHECKING:
    from cwagent_iam.credentials.requests import KeyRequests
    from cwagent_iam.credentials.secret import NewAccessKey


def verify(requests: KeyRequests, new: NewAccessKey, store: str) -> None:
    """Ask with *new* until several answers in a row know it.

    Raises:
        DeliveryError: When AWS says what no time will change; the key was delivered.
        PropagationTimeoutError: When the time is up.
    """
    run, rule = requests.run, FINAL
    began = run.seconds
    request = KeyRequest("GetCallerIdentity", requests.user_name)

    def ask() -> BaseException | None:
        nonlocal rule
        wrong = _wrong_with(requests, new)
        run.heard(wrong)
        rule = rule_for(wrong, request, run) if wrong else FINAL
        return wrong

    must_wait = tenacity.retry_if_result(lambda _: rule.outcome == "wait")
    try:
        wrong = run.retrying(must_wait, lambda: (rule.pace, rule.reason))(ask)
    except tenacity.RetryError as error:
        raise too_late(run, error, began, new.access_key_id) from run.last_error
    if wrong is not None:
        raise DeliveryError(
            access_key_id=new.access_key_id,
            fate="in doubt",
            store=store,
            reason=f"it holds the key, but AWS does not take it: {wrong}",
            applied=tuple(run.applied),
        ) from wrong
    run.tell(KeyVerified, access_key_id=new.access_key_id, looks=GOOD_LOOKS)


class _StrangerError(Exception):
    """The key is another user's than the one it was made for."""


@sealed
def _wrong_with(requests: KeyRequests, new: NewAccessKey) -> BaseException | None:
    """Ask several times who signs with the key; return what is wrong, if anything is."""
    try:
        sts = requests.clients.sts(
            aws_access_key_id=new.access_key_id, aws_secret_access_key=new.secret.reveal()
        )
        try:
            for _ in range(GOOD_LOOKS):
                arn: str = sts.get_caller_identity()["Arn"]
                if arn.rpartition("/")[2].lower() != requests.user_name.lower():
                    return _StrangerError(f"it is the key of {arn}")
        finally:
            # The garbage collector may leave a client lying about; there is no other way.
            sts._request_signer._credentials.secret_key = ""  # noqa: SLF001
    except AWS_ERRORS as error:
        return bare(error)
    return None
