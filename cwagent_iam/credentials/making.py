"""A key asked for, until there is one, or it is clear why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import attrs

from cwagent_iam.credentials.looking import agreed_for_long, delete, with_uses
from cwagent_iam.credentials.requests import transient
from cwagent_iam.credentials.sealing import guarded
from cwagent_iam.errors import CwAgentIamError, DeliveryError, PropagationTimeoutError
from cwagent_iam.keys import Delivered, InDoubt, LostRequest, NotDone, Ours, verdict_on
from cwagent_iam.reconcile.rules import RIVALS
from cwagent_iam.requests import Refusal

if TYPE_CHECKING:
    from cwagent_iam.credentials.requests import KeyRequests
    from cwagent_iam.credentials.secret import NewAccessKey
    from cwagent_iam.credentials.store import KeyStore
    from cwagent_iam.keys import SeenKey
    from cwagent_iam.reconcile.rules import Pace

_LOST = "the reply to CreateAccessKey was lost, and"
_RIVAL = "somebody else makes access keys too"


@attrs.define
class Creation:
    """A key being asked for, until there is one or it is clear why there is none."""

    requests: KeyRequests
    store: KeyStore

    def key(self) -> NewAccessKey | None:
        """Return a new key; `None` if another process was faster."""
        requests = self.requests
        began = requests.seconds
        answer, attempts = requests.repeat(self._ask, self._why)
        if not isinstance(answer, Refusal):
            return answer
        if answer.code == "LimitExceeded" and requests.pause(RIVALS, _RIVAL):
            return None
        raise requests.failed(requests.creation, answer, attempts, began)

    def _why(self, answer: NewAccessKey | Refusal | None) -> tuple[Pace, str] | None:
        """Return pace and reason of the pause before the next attempt; `None` if there is none."""
        if not isinstance(answer, Refusal):
            return None
        return self.requests.why(self.requests.creation, answer) or transient(answer)

    def _ask(self) -> NewAccessKey | Refusal | None:
        """Ask once; return the key, why there is none, or `None` if one was delivered by others."""
        before, since = frozenset(self.requests.shown), self.requests.aws_time
        try:
            answer = self.requests.create()
            lost = isinstance(answer, Refusal) and answer.unacknowledged
            overtaken = lost and self._reconcile(before, since)
        except CwAgentIamError:
            raise
        except BaseException as interrupt:
            interrupt.add_note(f"user {self.requests.user_name} may have a new key nobody knows of")
            raise
        return None if overtaken else answer

    def _reconcile(self, before: frozenset[str], since: float) -> bool:
        """Undo what a request did whose reply was lost; say if others have delivered a key."""
        lost = LostRequest(before=before, since=since, until=self.requests.aws_time)
        try:
            return self._judge(lost)
        except DeliveryError:
            raise
        except CwAgentIamError as error:
            suspects = lost.suspects(tuple(self.requests.shown.values()))
            late = isinstance(error, PropagationTimeoutError)
            why = "IAM's lists did not agree in time" if late else f"then: {error}"
            raise self._in_doubt(reason=f"{_LOST} {why}", suspects=suspects) from error

    def _judge(self, lost: LostRequest) -> bool:
        requests = self.requests

        def suspects_in(keys: tuple[SeenKey, ...]) -> tuple[SeenKey, ...] | None:
            # A list that lacks what another one has shown comes from a host that lags.
            suspects = lost.suspects(keys)
            all_of_them = lost.suspects(tuple(requests.shown.values()))
            return with_uses(requests, suspects) if len(suspects) == len(all_of_them) else None

        suspects = agreed_for_long(requests, suspects_in)
        held = guarded(self.store, "read", self.store.held)
        verdict = verdict_on(lost, suspects, held)
        match verdict:
            case Ours(key=key):
                delete(requests, key.access_key_id, new=True)
                return False
            case Delivered():
                return True
            case InDoubt(suspects=named):
                raise self._in_doubt(reason=f"{_LOST} {_RIVAL}", suspects=named)
            case NotDone():
                return False
            case _:
                assert_never(verdict)

    def _in_doubt(self, *, reason: str, suspects: tuple[SeenKey, ...]) -> DeliveryError:
        return DeliveryError(
            access_key_id=None,
            fate="in doubt",
            store=str(self.store),
            reason=reason,
            suspects=suspects,
        )
