"""Inventory: the access keys of one user, as IAM and the store show them, read until reads agree.

One read may come from a host that does not know a key yet, or still knows a deleted one, and the
next read from another. A decision on one stale list could create one key too many.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import attrs

from cwagent_iam.access_keys.records import KEY_TAG, SUSPECT_TAG, Record, records_in
from cwagent_iam.access_keys.steps import TOLERANCE, Blocked, KeyView
from cwagent_iam.changes import ChangeSet, TagUser
from cwagent_iam.changes.base import tags_text
from cwagent_iam.errors import Difference, PropagationTimeoutError
from cwagent_iam.limits import TAGS
from cwagent_iam.observing import (
    content_of,
    is_missing,
    observation_of,
    parse_reply,
    seen_key,
    send_all_pages,
)
from cwagent_iam.policies.partitions import sts_regions
from cwagent_iam.reconcile.call import CONFIRMING, COPIES, Call
from cwagent_iam.reconcile.rules import DENSE, RIVALS
from cwagent_iam.requests import (
    MAX_ATTEMPTS,
    Hold,
    Holding,
    Refusal,
    Reply,
    Request,
    Send,
    Steps,
    Wait,
)
from cwagent_iam.state import SeenKey, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cwagent_iam.changes import Change
    from cwagent_iam.differ import Existing
    from cwagent_iam.key_stores import KeyStore, NewAccessKey
    from cwagent_iam.requests import Outcome

T = TypeVar("T")

LONGEST_LAG = 15.0
"""The longest usual lag of IAM's lists, in seconds, as users have reported it."""

_UNSTEADY = "IAM's lists of the access keys differ, or lag"


KeyUse: TypeAlias = tuple[str, dict[str, Any]]
"""The owner of a key, and the facts of its last use, as arguments of a `SeenKey`."""


@attrs.define
class UserKeys:
    """The access keys of one user in a call; its methods yield effects.

    Attributes:
        call: The call.
        user_name: The name of the user.
        store: The store.
        existing: How to treat an unmanaged user.
        now: The time at which the call began, in seconds since 1970.
        holding: The last answer of the store.
        shown: The keys that any list has shown so far, each as the last list showed it.
        deleted: The ids of the keys that this call has deleted, even if lists still show them.
        tags: The tags that this call has written, even if reads do not show them yet.
        new: The key that this call has created; `None` if there is none.
        date: The date of the last reply, by AWS's clock, in seconds since 1970.
        doubtful: The value of `waited` until which the absence of each key from lists is doubted.
            The doubt lasts for the longest lag: after the creation of a key that a list has shown,
            or after the store first held the key.
        lost: The ids that were known before the first CreateAccessKey request whose reply was lost;
            `None` if none was.
        window: The dates of the last reply before that request, and of the first one after it.
    """

    call: Call
    user_name: str
    store: KeyStore
    existing: Existing
    now: float
    holding: Holding = attrs.field(init=False)
    shown: dict[str, SeenKey] = attrs.field(factory=dict, init=False)
    deleted: set[str] = attrs.field(factory=set, init=False)
    tags: dict[str, str] = attrs.field(factory=dict, init=False)
    new: NewAccessKey | None = attrs.field(default=None, init=False)
    date: float | None = attrs.field(default=None, init=False)
    doubtful: dict[str, float] = attrs.field(factory=dict, init=False)
    lost: frozenset[str] | None = attrs.field(default=None, init=False)
    window: tuple[float, float] = attrs.field(default=(0.0, 0.0), init=False)

    # --- time -------------------------------------------------------------------------------------

    @property
    def waited(self) -> float:
        """How long the call has waited in all, in seconds."""
        return self.call.ledger.waited

    @property
    def time(self) -> float:
        """The current time, in seconds since 1970; the dates of replies include slow requests."""
        return max(self.now + self.waited, self.date or 0.0)

    @property
    def late(self) -> float:
        """The value of `waited` after the longest lag, or after half of the time that is left."""
        ledger = self.call.ledger
        left = self.call.timeout - (ledger.waited - ledger.last_write)
        return self.waited + min(LONGEST_LAG, left / 2)

    # --- reads ------------------------------------------------------------------------------------

    def hold(self, *, check: bool = False) -> Steps[Holding]:
        """Ask the store what it holds; with *check*, also whether it can be written."""
        self.holding = yield Hold(self.store, check)
        if self.holding.access_key_id:
            self.doubtful.setdefault(self.holding.access_key_id, self.late)
        return self.holding

    def look(
        self, accept: Callable[[KeyView], bool] = lambda _: True, *, waiting_for: str = ""
    ) -> Steps[KeyView]:
        """Read until several reads agree, and their result is accepted.

        A key that the store or an earlier list shows may be too new for later lists. It counts as
        deleted after the longest lag, or half of the time that is left, unless GetAccessKeyLastUsed
        knows it. A timeout error names *waiting_for*.
        """
        began, rounds = self.waited, 0
        while True:
            held = (yield from self.hold()).access_key_id
            view = yield from self._read(held)
            rounds += 1
            if view is not None and accept(view):
                return view
            if not (yield from self.call.pause(DENSE, _UNSTEADY)):
                named = waiting_for or held or ""
                raise self.timeout("" if named in self.shown else named, rounds, began)

    def list_keys(self, attempts: int = MAX_ATTEMPTS) -> Steps[None]:
        """List the keys without asking the store, so that errors can name what any list shows."""
        reads = [Request.of("ListAccessKeys", UserName=self.user_name)] * COPIES
        outcomes = yield Send(tuple(reads), attempts)
        self.note_dates(outcomes)
        for outcome in outcomes:
            if not is_missing(outcome):
                items = content_of(reads[0], outcome)["AccessKeyMetadata"]
                keys: list[SeenKey] = parse_reply(
                    reads[0], functools.partial(list, map(seen_key, items))
                )
                self._note_keys(keys)

    def look_for_long(self) -> Steps[KeyView]:
        """Read as `look` does for longer than any usual lag, or half of the time that is left."""
        late = self.late
        return (yield from self.look(lambda _: self.waited >= late))

    def confirm(self, step: Callable[[KeyView], T]) -> Steps[KeyView]:
        """Read in rounds while *step* returns `Blocked`, with the pauses for a conflict."""
        view = yield from self.look()
        for pause in CONFIRMING[1:]:
            if not isinstance(step(view), Blocked):
                break
            yield from self.call.wait(Wait(pause, pause, "a conflict is not confirmed yet"))
            view = yield from self.look()
        return view

    def await_store(self) -> Steps[None]:
        """Pause, because another process writes to the store."""
        if not (yield from self.call.pause(RIVALS, "another process writes to the store")):
            raise self.timeout(self.holding.access_key_id or "", 1, self.waited)

    def view_of(self, user: User) -> KeyView:
        """Return what an observation of the *user* shows, without the last use of keys."""
        self._note_keys(user.access_keys)
        return self._view(user, user.access_keys)

    def timeout(self, access_key_id: str, rounds: int, began: float) -> PropagationTimeoutError:
        """Return the error about a key that AWS did not show or accept in *rounds* rounds.

        The id is empty if lists did not agree. *began* is how long the call had waited before.
        """
        miss = self.call.ledger.last_miss
        failure = PropagationTimeoutError(
            missing=(),
            unusable_key=access_key_id,
            attempts=rounds,
            seconds=self.waited - began,
            last_error=miss.summary if miss else "",
        )
        failure.__cause__ = miss.error if miss else None
        return failure

    def note_dates(self, outcomes: Sequence[Outcome]) -> None:
        """Set the date from replies."""
        dates = [each.date for each in outcomes if isinstance(each, Reply) and each.date]
        self.date = max([*dates, self.date or 0.0]) or None

    def heard(self, refusal: Refusal) -> Refusal:
        """Keep *refusal* as the last one, for `timeout`, and return it."""
        self.call.ledger = attrs.evolve(self.call.ledger, last_miss=refusal)
        return refusal

    def _note_keys(self, keys: Iterable[SeenKey]) -> None:
        """Keep the keys of a list; the absence of an old one from later lists is not doubted."""
        now = self.date or self.time
        for key in keys:
            self.shown[key.access_key_id] = key
            rest = key.created + LONGEST_LAG + TOLERANCE - now
            self.doubtful[key.access_key_id] = min(self.late, self.waited + rest)

    def _read(self, held: str | None) -> Steps[KeyView | None]:
        """Return what one round of reads shows; `None` if they disagree, or do not list a key."""
        name = {"UserName": self.user_name}
        reads = [Request.of(each, **name) for each in ("GetUser", "ListAccessKeys")] * COPIES
        uses = [_use_of(held)] if held else []
        outcomes = yield from self._send([*reads, *uses])
        if any(map(is_missing, outcomes[: len(reads)])):
            self._check_missing(reads, outcomes)
            return None
        answers = list(zip(reads, outcomes, strict=False))
        seen = [
            observation_of([answers[at : at + 2]], self.call.partition, access_keys=True)
            for at in range(0, len(reads), 2)
        ]
        self.call.note_observation(seen[0])
        users = [user for each in seen for user in each.state.entities if isinstance(user, User)]
        first, listed = users[0], users[0].access_keys
        self._note_keys(key for user in users for key in user.access_keys)
        if any((user.tags, user.access_keys) != (first.tags, listed) for user in users):
            return None
        known = {held: _parse_use(uses[0], outcomes[-1])} if held else {}
        ids = {key.access_key_id for key in listed}
        hidden = {*self.shown, *known} - self.deleted - self._created - ids
        known |= yield from self._uses((ids | hidden) - known.keys())
        if not all(known[each] for each in ids) or any(
            self.waited < self.doubtful[each] or self._is_own(known[each]) for each in hidden
        ):
            return None
        owner = None
        if held and held in hidden:
            use = known[held]
            owner = use[0] if use else (yield from self._account_of(held, first))
        used = tuple(
            attrs.evolve(key, **use[1]) for key in listed if (use := known[key.access_key_id])
        )
        return attrs.evolve(self._view(first, used), owner=owner)

    def _is_own(self, use: KeyUse | None) -> bool:
        return use is not None and use[0].lower() == self.user_name.lower()

    def _check_missing(self, reads: Sequence[Request], outcomes: Sequence[Outcome]) -> None:
        """Raise `ObserveError` if no host knows the user, and this call has not seen it before."""
        known, target = self.call.ledger.known, f"user {self.user_name}".lower()
        missing = [each for each in outcomes[: len(reads)] if is_missing(each)]
        if len(missing) == len(reads) and target not in known.created | known.observed:
            content_of(reads[0], missing[-1])

    def _view(self, user: User, keys: tuple[SeenKey, ...]) -> KeyView:
        """Return the view; what this call itself has done counts, whatever a host still shows."""
        keys = tuple(key for key in keys if key.access_key_id not in self.deleted)
        ids, made = {key.access_key_id for key in keys}, self._created - self.deleted
        keys += tuple(
            SeenKey(access_key_id=each, active=True, created=self.now) for each in made - ids
        )
        # IAM folds the case of tag keys of users, and a stale read may show another spelling.
        tags = {key.lower(): value for key, value in (*user.tags, *self.tags.items())}
        adopted = self.existing == "adopt" and not user.owner
        unbarred = user.managed or adopted or self.existing == "attach"
        return KeyView(
            keys=keys,
            held=self.holding.access_key_id,
            store=self.holding.fingerprint,
            readable=self.holding.readable,
            records=records_in(tags, KEY_TAG),
            suspects=records_in(tags, SUSPECT_TAG),
            barrier="verify only"
            if self.existing == "verify"
            else None
            if unbarred
            else "not managed",
            has_room_for_record=len(tags) < TAGS,
            now=self.time,
        )

    @property
    def _created(self) -> set[str]:
        return {self.new.access_key_id} if self.new else set()

    def _uses(self, ids: set[str]) -> Steps[dict[str, KeyUse | None]]:
        requests = [_use_of(each) for each in sorted(ids)]
        outcomes = (yield from self._send(requests)) if requests else []
        found = zip(sorted(ids), requests, outcomes, strict=True)
        return {each: _parse_use(request, outcome) for each, request, outcome in found}

    def _account_of(self, access_key_id: str, user: User) -> Steps[str | None]:
        """Return the account of a key that IAM does not know; `None` for one that was deleted.

        IAM knows the keys of its own account only. STS knows the account of any key, even of a
        deleted one. So a key that IAM does not know was deleted if STS names this account.
        """
        regions = list(sts_regions(self.call.partition))
        while True:
            request = Request("GetAccessKeyInfo", {"AccessKeyId": access_key_id}, regions.pop(0))
            (outcome,) = yield from self._send([request])
            if isinstance(outcome, Refusal) and outcome.code == "ValidationError":
                return None  # it is not an id of AWS: a placeholder in a file
            if isinstance(outcome, Reply) or not regions:
                break
        account: str = content_of(request, outcome)["Account"]
        return None if account in (user.arn or "").split(":") else f"account {account}"

    def _send(self, requests: Sequence[Request]) -> Steps[list[Outcome]]:
        outcomes = yield from send_all_pages(requests)
        self.note_dates(outcomes)
        for each in outcomes:
            if isinstance(each, Refusal):
                self.heard(each)
        return outcomes

    # --- writes -----------------------------------------------------------------------------------

    def write(self, change: Change) -> Steps[bool]:
        """Send *change*; return whether AWS acknowledged it, or another look must decide."""
        return (yield from self.call.write(ChangeSet((change,))))

    def tagging(self, *records: Record) -> TagUser:
        """Return the change that writes *records*; the records count as written from now on."""
        tags = tuple(record.tag for record in records)
        self.tags |= dict(tags)
        difference = Difference("tags", tags_text(tags), "none")
        return TagUser(name=self.user_name, tags=tags, differences=(difference,))


def _use_of(access_key_id: str) -> Request:
    return Request.of("GetAccessKeyLastUsed", AccessKeyId=access_key_id)


def _parse_use(request: Request, outcome: Outcome) -> KeyUse | None:
    """Return the owner and last use of a key; `None` if IAM does not know the key.

    For an unknown key IAM returns AccessDenied, without naming a policy as the reason.
    """
    if isinstance(outcome, Refusal):
        denied = outcome.code == "AccessDenied" and "on resource: access key" in outcome.message
        unknown = outcome.code in {"NoSuchEntity", "ValidationError"}
        reasons = ("because", "explicit deny")
        if unknown or (denied and not any(each in outcome.message for each in reasons)):
            return None
    content = content_of(request, outcome)
    return parse_reply(request, lambda: _read_use(content))


def _read_use(content: Mapping[str, Any]) -> KeyUse:
    last = content["AccessKeyLastUsed"]
    date = last.get("LastUsedDate")
    if not date:
        return content["UserName"], {}
    service = last.get("ServiceName", "")
    return content["UserName"], {"last_used": date.timestamp(), "last_service": service}
