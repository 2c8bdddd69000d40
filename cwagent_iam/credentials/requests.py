"""The requests about access keys, one method each; a key is created here and nowhere else.

The transport retries transient failures. The methods here retry while the user or the key is not
visible yet, by the rules of `cwagent_iam.reconcile`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from botocore.exceptions import HTTPClientError

from cwagent_iam.aws.sender import attempt
from cwagent_iam.credentials.answers import (
    KeyRequest,
    KeyUse,
    is_malformed_id,
    is_unknown_key,
    keys_in,
    note_on,
    tag_of,
)
from cwagent_iam.credentials.quiet import quiet
from cwagent_iam.credentials.sealing import bare, sealed
from cwagent_iam.credentials.secret import NewAccessKey, SecretAccessKey
from cwagent_iam.errors import ApplyError, CredentialsError
from cwagent_iam.events import KeyChanged
from cwagent_iam.observing import content_of, facts_of, send_all_pages
from cwagent_iam.reconcile.rules import Known, Pace, rule_for
from cwagent_iam.requests import Refusal, Reply, Request, Unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cwagent_iam.credentials.answers import Deletion
    from cwagent_iam.errors import ChangeLike
    from cwagent_iam.executor import Executor
    from cwagent_iam.keys import Note, SeenKey
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.requests import Outcome

T = TypeVar("T")

_TRANSIENT = Pace(0.5, 8.0)  # within 60 seconds, fewer attempts than the transport's 16


@attrs.define(eq=False)
class KeyRequests:
    """The requests about the access keys of one user, in one call.

    Attributes:
        executor: The executor.
        user_name: The name of the user.
        applied: The changes that the call has applied so far, in order.
        exists: Whether the user is known to exist, so that NoSuchEntity is a matter of propagation.
        shown: The keys that any list has shown so far, each as the last list showed it.
        deleted: The ids of the keys that this call has deleted, even if lists still show them.
        repeated: Whether a client that was handed in sent the last `create` more than once.
        refusal: The last refusal; `None` if there was none.
    """

    executor: Executor
    user_name: str
    applied: list[ChangeLike] = attrs.field(factory=list)
    exists: bool = attrs.field(default=False, init=False)
    shown: dict[str, SeenKey] = attrs.field(factory=dict, init=False)
    deleted: set[str] = attrs.field(factory=set, init=False)
    repeated: bool = attrs.field(default=False, init=False)
    refusal: Refusal | None = attrs.field(default=None, init=False)
    _pauses: int = attrs.field(default=0, init=False)
    _started: float = attrs.field(init=False)
    _aws_ahead: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Note the time of the start."""
        self._started = self.propagation.clock()
        self._aws_ahead = self.propagation.now()

    # --- time -------------------------------------------------------------------------------------

    @property
    def propagation(self) -> Propagation:
        """The settings."""
        return self.executor.propagation

    @property
    def seconds(self) -> float:
        """The time since the start, in seconds."""
        return self.propagation.clock() - self._started

    @property
    def left(self) -> float:
        """The time that is left of the timeout, in seconds."""
        return max(self.propagation.timeout - self.seconds, 0.0)

    @property
    def aws_time(self) -> float:
        """The time by AWS's clock, by its last reply, in seconds since 1970."""
        return self._aws_ahead + self.seconds

    def pause(self, pace: Pace, reason: str, number: int | None = None) -> bool:
        """Pause; return `False`, without pausing, if that would end after the timeout.

        Args:
            pace: The backoff.
            reason: The reason, for events and logs.
            number: The number of the pause in its series. Default: the number within the call.
        """
        self._pauses += 1
        wait = pace.wait(number or self._pauses, reason)
        seconds = wait.least + self.propagation.random() * (wait.most - wait.least)
        if seconds > self.left:
            return False
        self.executor.emit.waiting(reason, seconds)
        self.propagation.sleep(seconds)
        return True

    def repeat(
        self, call: Callable[[], T], why: Callable[[T], tuple[Pace, str] | None]
    ) -> tuple[T, int]:
        """Repeat *call* until it returns a final answer, or the timeout has passed.

        Args:
            call: The call.
            why: Returns pace and reason of the pause after an answer; `None` for a final answer.

        Returns:
            The last answer, and the number of calls.
        """
        number = 1
        while (reason := why(answer := call())) and self.pause(*reason, number):
            number += 1
        return answer, number

    # --- reads ------------------------------------------------------------------------------------

    def listed(self) -> tuple[SeenKey, ...]:
        """Return the user's keys as one read shows them, oldest first, without their last use.

        Raises:
            ObserveError: If AWS refuses a read, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
        """
        keys = keys_in(self._read("ListAccessKeys", UserName=self.user_name))
        self.shown |= {key.access_key_id: key for key in keys}
        return keys

    def use_of(self, access_key_id: str) -> KeyUse | None:
        """Return the owner and the last use of a key; `None` if IAM does not know the key.

        Raises:
            ObserveError: If AWS refuses a read, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
        """
        request, outcome = self._sent("GetAccessKeyLastUsed", AccessKeyId=access_key_id)
        if isinstance(outcome, Refusal) and is_unknown_key(outcome):
            return None
        reply = content_of(request, outcome)
        date = reply["AccessKeyLastUsed"].get("LastUsedDate")
        return KeyUse(owner=reply["UserName"], at=date.timestamp() if date else None)

    def owner_of(self, access_key_id: str) -> str | None:
        """Return the owner of a key: a user's name, or another account; `None` for a deleted key.

        IAM knows the keys of its own account only. STS knows the account of any key, even of a
        deleted one. So a key that IAM does not know was deleted if STS names this account.

        Raises:
            ObserveError: If AWS refuses a read, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
        """
        use = self.use_of(access_key_id)
        if use:
            return use.owner
        request, outcome = self._sent("GetAccessKeyInfo", AccessKeyId=access_key_id)
        if isinstance(outcome, Refusal) and is_malformed_id(outcome):
            return None
        account: str = content_of(request, outcome)["Account"]
        return None if account in self._user()["Arn"].split(":") else f"account {account}"

    def note(self) -> Note | None:
        """Return the note in the user's tags; `None` if there is none, or it is malformed.

        Raises:
            ObserveError: If AWS refuses a read, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
        """
        return note_on(self._user())

    def _user(self) -> Any:
        return self._read("GetUser", UserName=self.user_name)["User"]

    # --- writes -----------------------------------------------------------------------------------

    @property
    def creation(self) -> Request:
        """The request that creates a key."""
        return Request.of("CreateAccessKey", UserName=self.user_name)

    @sealed
    def create(self) -> NewAccessKey | Refusal:
        """Send the request for a new key once, on this thread; return the key, or a refusal.

        The reply and the frames that held the secret end with this function.
        """
        with quiet():
            outcome = attempt(self.executor.clients.of("iam"), self.creation)
        self.repeated = isinstance(outcome, Reply) and outcome.unacknowledged
        if isinstance(outcome, Refusal):
            return self.heard(_unquoted(outcome))
        made = outcome.content["AccessKey"] or {}
        secret = SecretAccessKey(made.pop("SecretAccessKey", ""))
        if not (secret.reveal() and made.get("AccessKeyId")):
            lost = "The reply to CreateAccessKey holds no key."
            refusal = Refusal(code=None, message=lost, unacknowledged=True, transient="failing")
            return self.heard(refusal)
        self.did("CreateAccessKey")
        return NewAccessKey(
            access_key_id=made["AccessKeyId"], user_name=self.user_name, secret=secret
        )

    def set_active(self, access_key_id: str, *, active: bool) -> None:
        """Activate or deactivate a key.

        Raises:
            ApplyError: If AWS refuses the change, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
        """
        status = "Active" if active else "Inactive"
        self._write("UpdateAccessKey", AccessKeyId=access_key_id, Status=status)
        self.executor.emit(KeyChanged(operation="UpdateAccessKey", access_key_id=access_key_id))

    def delete(self, access_key_id: str) -> Deletion:
        """Send the deletion of a key; `cwagent_iam.credentials.looking.delete` confirms it.

        Raises:
            ApplyError: If AWS refuses the change, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
        """
        missing = self._write("DeleteAccessKey", "NoSuchEntity", AccessKeyId=access_key_id)
        if missing is None:
            return "deleted"
        if missing.unacknowledged:
            self.did("DeleteAccessKey")
            return "in doubt"
        return "not there"

    def write_note(self, note: Note) -> None:
        """Write the note on a key into the tags of the user; it replaces any other note.

        Raises:
            ApplyError: If AWS refuses the change, or does not answer it in time.
            CredentialsError: If there are no usable credentials to sign a request.
        """
        self._write("TagUser", Tags=[tag_of(note)])

    def did(self, operation: str) -> None:
        """Record that *operation* was applied."""
        self.applied.append(KeyRequest(operation, self.user_name))

    # --- sending ----------------------------------------------------------------------------------

    def heard(self, refusal: Refusal) -> Refusal:
        """Record *refusal* as the last one, and return it."""
        self.refusal = refusal
        return refusal

    def why(self, request: Request, refusal: Refusal) -> tuple[Pace, str] | None:
        """Return pace and reason of the pause after *refusal*; `None` if waiting does not help."""
        created = {f"user {self.user_name}".lower()} if self.exists else ()
        rule = rule_for(request, refusal, Known(created=frozenset(created)))
        return (rule.pace, rule.reason) if rule.verdict == "retry" else None

    def failed(
        self, request: Request, refusal: Refusal, attempts: int, began: float
    ) -> ApplyError | CredentialsError:
        """Return the error for a write that was refused; *began* is its start, in seconds."""
        facts = facts_of(request.operation, request.target, refusal)
        failure: ApplyError | CredentialsError
        if isinstance(refusal, Unsent):
            failure = CredentialsError(**facts, step=refusal.step)
        else:
            facts |= {"attempts": attempts, "seconds": self.seconds - began}
            remaining = (KeyRequest(request.operation, self.user_name),)
            failure = ApplyError(**facts, remaining=remaining, doubtful=refusal.unacknowledged)
        failure.__cause__ = refusal.error
        return failure

    def _read(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        return content_of(*self._sent(operation, **arguments))

    def _write(self, operation: str, *codes: str, **arguments: Any) -> Refusal | None:
        """Send a write; return a refusal that has one of *codes*, and raise any other."""
        began = self.seconds
        request, outcome = self._sent(operation, UserName=self.user_name, **arguments)
        if isinstance(outcome, Reply):
            self.did(operation)
            return None
        if outcome.code in codes:
            return outcome
        raise self.failed(request, outcome, outcome.attempts, began)

    def _sent(self, operation: str, **arguments: Any) -> tuple[Request, Outcome]:
        """Send a request; retry while what it needs is not visible yet."""
        request = Request.of(operation, **arguments)

        def send() -> Outcome:
            (outcome,) = self.executor.run(send_all_pages((request,)))
            if isinstance(outcome, Refusal):
                return self.heard(outcome)
            if outcome.date is not None:
                self._aws_ahead = outcome.date - self.seconds
            return outcome

        def why(outcome: Outcome) -> tuple[Pace, str] | None:
            return self.why(request, outcome) if isinstance(outcome, Refusal) else None

        outcome, calls = self.repeat(send, why)
        return request, attrs.evolve(outcome, attempts=outcome.attempts + calls - 1)


def transient(refusal: Refusal) -> tuple[Pace, str] | None:
    """Return pace and reason of the pause after a request that bypassed the transport.

    CreateAccessKey bypasses it: the attribution of a key that appeared after a lost reply depends
    on the time of each attempt. Requests that the new key signs bypass it too.
    """
    return (_TRANSIENT, "AWS throttles requests, or fails") if refusal.transient else None


def _unquoted(refusal: Refusal) -> Refusal:
    """Return *refusal* without frames, and without a message that may quote the reply."""
    error = refusal.error
    if refusal.unacknowledged and refusal.code is None:
        error = HTTPClientError(error=type(error).__name__)
        return attrs.evolve(refusal, message=str(error), error=error)
    return attrs.evolve(refusal, error=error and bare(error))
