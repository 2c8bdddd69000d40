"""Verification: asks STS, in up to two Regions, who signs with the key in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.access_keys.steps import DAY
from cwagent_iam.events import KeyVerified
from cwagent_iam.policies.partitions import sts_regions
from cwagent_iam.reconcile.call import CONFIRMING, COPIES
from cwagent_iam.reconcile.rules import DENSE
from cwagent_iam.requests import STORE_CHANGED, Emit, Refusal, Verify, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cwagent_iam.access_keys.inventory import UserKeys
    from cwagent_iam.key_stores import NewAccessKey
    from cwagent_iam.requests import Outcome, Steps

# The Region is not enabled, or the host does not know the key, which may be too new.
_UNKNOWN = "InvalidClientTokenId"


def verify(
    keys: UserKeys, access_key_id: str, new: NewAccessKey | None = None, age: float = 0.0
) -> Steps[Refusal | None]:
    """Verify the key in the store; return why AWS does not accept it, or `None` if it does.

    A failure counts only if two Regions reject the key: that of the other clients, and one that
    every account has enabled. A *new* key is verified by several answers. An unknown key whose
    *age*, in seconds, is over a day is confirmed like a conflict.
    """
    regions = sts_regions(keys.call.partition)
    copies = COPIES if new else 1
    effect = Verify(store=keys.store, access_key_id=access_key_id, key=new, copies=copies)
    began, rounds = keys.waited, 0
    while True:
        refusals: list[Refusal] = []
        for region in regions:
            outcomes = yield attrs.evolve(effect, region=region)
            keys.note_dates(outcomes)
            wrong = _rejection(keys.user_name, outcomes)
            if wrong is None:
                if new:
                    yield Emit(KeyVerified(access_key_id=access_key_id, looks=COPIES))
                return None
            refusals.append(keys.heard(wrong))
            if wrong.code == STORE_CHANGED:
                return wrong
        rounds += 1
        final = [each for each in refusals if each.code != _UNKNOWN and not each.transient]
        if len(final) == len(refusals):
            return final[0]
        reason = "AWS does not accept the access key yet"
        if age > DAY and not any(each.transient for each in refusals):
            if rounds == len(CONFIRMING):
                return refusals[0]
            yield from keys.call.wait(Wait(CONFIRMING[rounds], CONFIRMING[rounds], reason))
        elif not (yield from keys.call.pause(DENSE, reason)):
            raise keys.timeout(access_key_id, rounds, began)


def _rejection(user_name: str, outcomes: Sequence[Outcome]) -> Refusal | None:
    """Return the first refusal; a reply that names another user counts as one."""
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            return outcome
        arn: str = outcome.content["Arn"]
        if arn.rpartition("/")[2].lower() != user_name.lower():
            return Refusal(code=None, message=f"it is the key of {arn}")
    return None
