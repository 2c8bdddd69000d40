"""The requests about access keys, one method each; a key is made here and nowhere else.

Each waits out what will pass, by the same rules as all other changes, until the run's time is up;
only making a key is sent once, and what came of it is for the caller to find out.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import tenacity
from botocore.exceptions import HTTPClientError

from cwagent_iam.aws import AWS_ERRORS, code_of, may_be_done, reason_of, trouble_of
from cwagent_iam.credentials.answers import (
    KeyRequest,
    KeyUse,
    is_of_no_key,
    is_of_nonsense,
    keys_in,
    note_on,
    tag_of,
)
from cwagent_iam.credentials.quiet import quiet
from cwagent_iam.credentials.sealing import bare, sealed
from cwagent_iam.credentials.secret import NewAccessKey, SecretAccessKey
from cwagent_iam.errors import ApplyError, ObserveError
from cwagent_iam.events import KeyChanged
from cwagent_iam.propagation import FINAL, rule_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.aws import IAMClient, IAMClients
    from cwagent_iam.credentials.answers import Deletion
    from cwagent_iam.keys import Note, SeenKey
    from cwagent_iam.propagation import Run

T = TypeVar("T")


@attrs.define
class KeyRequests:
    """The requests about the access keys of one user, in one run.

    Attributes:
        run: What they are a part of.
        clients: Who sends them.
        user_name: The user.
        shown: The keys that any list has shown so far, as it was the last to show them.
        deleted: The ids of the keys that this run has deleted, whatever lists still show.
        repeated: Whether a client that was handed in sent the last `create` more than once.
        applied: The changes that were made, in order.
    """

    run: Run
    clients: IAMClients
    user_name: str
    shown: dict[str, SeenKey] = attrs.field(factory=dict, init=False)
    deleted: set[str] = attrs.field(factory=set, init=False)
    _aws_ahead: float = attrs.field(default=0.0, init=False)
    repeated: bool = attrs.field(default=False, init=False)
    applied: list[KeyRequest] = attrs.field(factory=list, init=False)

    def listed(self) -> tuple[SeenKey, ...]:
        """Return the user's keys as one look shows them, sorted, without their last use.

        Raises:
            ObserveError: When AWS refuses it, or gives no answer in time.
        """

        def read(iam: IAMClient) -> list[Any]:
            pages = iam.get_paginator("list_access_keys").paginate(UserName=self.user_name)
            return list(pages)

        pages = self._read("ListAccessKeys", read)
        headers = pages[-1]["ResponseMetadata"].get("HTTPHeaders", {})
        date = headers.get("date")
        now = parsedate_to_datetime(date).timestamp() if date else self.run.propagation.now()
        self._aws_ahead = now - self.run.seconds
        keys = keys_in(pages)
        self.shown |= {key.access_key_id: key for key in keys}
        return keys

    @property
    def aws_time(self) -> float:
        """The time by the clock of AWS, as its answer to the last list told it."""
        return self._aws_ahead + self.run.seconds

    def use_of(self, access_key_id: str) -> KeyUse | None:
        """Return whose a key is, and when it was last used; `None` if IAM does not know the key.

        Raises:
            ObserveError: When AWS refuses it, or gives no answer in time.
        """

        def read(iam: IAMClient) -> KeyUse | None:
            try:
                reply = iam.get_access_key_last_used(AccessKeyId=access_key_id)
            except AWS_ERRORS as error:
                if is_of_no_key(error):
                    self.run.heard(error)
                    return None
                raise
            date = reply["AccessKeyLastUsed"].get("LastUsedDate")
            return KeyUse(owner=reply["UserName"], at=date.timestamp() if date else None)

        return self._read("GetAccessKeyLastUsed", read)

    def owner_of(self, access_key_id: str) -> str | None:
        """Return whose a key is: a user's name, or another account; `None` if it is nobody's.

        IAM tells of the account's own keys alone. STS tells the account of any key, even of one
        that is gone, so that one that is not known is nobody's only if it was this account's.

        Raises:
            ObserveError: When AWS refuses it, or gives no answer in time.
        """

        def account(_iam: IAMClient) -> str | None:
            try:
                reply = self.clients.sts().get_access_key_info(AccessKeyId=access_key_id)
            except AWS_ERRORS as error:
                if is_of_nonsense(error):
                    return None
                raise
            told: str = reply["Account"]
            return told

        use = self.use_of(access_key_id)
        if use:
            return use.owner
        theirs = self._read("GetAccessKeyInfo", account)
        ours = self._user()["Arn"].split(":")[4]
        return None if theirs in {None, ours} else f"account {theirs}"

    def note(self) -> Note | None:
        """Return what this library has noted on the user; `None` if there is no note, or no sense.

        Raises:
            ObserveError: When AWS refuses it, or gives no answer in time.
        """
        return note_on(self._user())

    def _user(self) -> Any:
        return self._read("GetUser", lambda iam: iam.get_user(UserName=self.user_name))["User"]

    @sealed
    def create(self) -> NewAccessKey | BaseException:
        """Ask once for a new key; return it, or the error, whose texts hold no secret.

        An error is returned, so that it can be raised where no frame holds the reply.
        """
        self.repeated = False
        try:
            with quiet():
                reply = self.clients.once.create_access_key(UserName=self.user_name)
            self.repeated = reply["ResponseMetadata"].get("RetryAttempts", 0) > 0
            made = reply["AccessKey"]
            secret = SecretAccessKey(made.pop("SecretAccessKey"))
            self.run.heard()
            self._did("CreateAccessKey")
            return NewAccessKey(
                access_key_id=made["AccessKeyId"], user_name=self.user_name, secret=secret
            )
        except AWS_ERRORS as error:
            # A reply that was cut off is quoted in the error that it causes.
            failing = trouble_of(error) == "failing" and code_of(error) is None
            failure = HTTPClientError(error=type(error).__name__) if failing else bare(error)
        self.run.heard(failure)
        return failure

    def set_active(self, access_key_id: str, *, active: bool) -> None:
        """Activate or deactivate a key.

        Raises:
            ApplyError: When AWS refuses it, or gives no answer in time.
        """
        status = "Active" if active else "Inactive"
        self._write(
            "UpdateAccessKey",
            lambda iam: iam.update_access_key(
                UserName=self.user_name, AccessKeyId=access_key_id, Status=status
            ),
        )
        self._did("UpdateAccessKey")
        self.run.tell(KeyChanged, operation="UpdateAccessKey", access_key_id=access_key_id)

    def delete(self, access_key_id: str) -> Deletion:
        """Ask to delete a key; `cwagent_iam.credentials.looking.delete` makes sure of it.

        Raises:
            ApplyError: When AWS refuses it, or gives no answer in time.
        """
        doubtful = False

        def send(iam: IAMClient) -> Deletion:
            nonlocal doubtful
            try:
                iam.delete_access_key(UserName=self.user_name, AccessKeyId=access_key_id)
            except AWS_ERRORS as error:
                doubtful = doubtful or may_be_done(error)
                if code_of(error) != "NoSuchEntity":
                    raise
                return "in doubt" if doubtful else "not there"
            return "deleted"

        answer = self._write("DeleteAccessKey", send)
        if answer != "not there":
            self._did("DeleteAccessKey")
        return answer

    def write_note(self, note: Note) -> None:
        """Note on the user, in place of any other note, since when a key is as it is.

        Raises:
            ApplyError: When AWS refuses it, or gives no answer in time.
        """
        tags = [tag_of(note)]
        self._write("TagUser", lambda iam: iam.tag_user(UserName=self.user_name, Tags=tags))
        self._did("TagUser")

    def _did(self, operation: str) -> None:
        self.applied.append(KeyRequest(operation, self.user_name))

    def _read(self, operation: str, call: Callable[[IAMClient], T]) -> T:
        try:
            return self._send(operation, call)
        except AWS_ERRORS as error:
            raise ObserveError(
                operation=operation,
                target=f"user {self.user_name}",
                code=code_of(error),
                reason=reason_of(error),
                applied=tuple(self.run.applied),
            ) from error

    def _write(self, operation: str, call: Callable[[IAMClient], T]) -> T:
        try:
            return self._send(operation, call)
        except AWS_ERRORS as error:
            raise ApplyError(
                operation=operation,
                target=f"user {self.user_name}",
                code=code_of(error),
                reason=reason_of(error),
                applied=tuple(self.run.applied),
                remaining=(KeyRequest(operation, self.user_name),),
                seconds=self.run.seconds,
            ) from error

    def _send(self, operation: str, call: Callable[[IAMClient], T]) -> T:
        """Send until there is an answer that no time will change."""
        request, rule = KeyRequest(operation, self.user_name), FINAL

        def send() -> T:
            nonlocal rule
            try:
                reply = call(self.clients.once if self.run.troubled else self.clients.repeating)
            except AWS_ERRORS as error:
                self.run.heard(error)
                rule = rule_for(error, request, self.run)
                raise
            self.run.heard()
            return reply

        will_pass = tenacity.retry_if_exception(
            lambda error: isinstance(error, AWS_ERRORS) and rule.outcome in {"wait", "read back"}
        )
        return self.run.retrying(will_pass, lambda: (rule.pace, rule.reason))(send)
