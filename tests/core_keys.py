"""Helpers for tests of the core of access keys: an IAM of dictionaries with a key store."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

import attrs

from cwagent_iam.access_keys.delivery import ensure_user_with_key
from cwagent_iam.access_keys.inventory import UserKeys
from cwagent_iam.access_keys.rotation import Rotation
from cwagent_iam.access_keys.steps import DAY, Terms
from cwagent_iam.key_stores import Advice, KeyStore, SecretAccessKey
from cwagent_iam.reconcile.call import Call
from cwagent_iam.requests import (
    STORE_CHANGED,
    Deliver,
    Effect,
    Hold,
    Holding,
    Outcome,
    Refusal,
    Reply,
    Request,
    Settle,
    Verify,
)
from tests.core import ACCOUNT, USER, USER_PLAN, RefusedError, World, carry_out, refusal, to_ensure

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.access_keys.rotation import RotationStatus
    from cwagent_iam.changes import AccessKey, Result
    from cwagent_iam.differ import Existing
    from tests.core import Answer, Thing, Things

TARGET = f"user {USER}".lower()
TERMS = Terms(max_age=30 * DAY, settle=DAY, grace=3 * DAY)
UNKNOWN = refusal("InvalidClientTokenId", "The security token is invalid.")
NO_STORE = cast("KeyStore", object())
"""The store of all effects; the world never calls it."""


@attrs.define
class KeyWorld(World):
    """An IAM of dictionaries with access keys, and a key store.

    Attributes:
        shelf: The id and the secret that the store holds; `None` if it holds none.
        readable: Whether the store can be read back.
        regions: The Regions whose STS accepts the keys of this account.
        busy: Whether another process replaces the key in the store before each verification.
        twins: Whether each request for a key is sent twice, and creates two.
        written: Called in place of a write to the store, if it is given.
        secrets: The secret of each key that was ever created, by its id.
        delivered: The ids that were delivered, in order.
        sealed: The secrets of the replies to this call.
    """

    shelf: tuple[str, str] | None = None
    readable: bool = True
    regions: frozenset[str] = frozenset({"", "us-east-1"})
    busy: bool = False
    twins: bool = False
    written: Callable[[str, str], object] | None = None
    secrets: dict[str, str] = attrs.field(factory=dict)
    delivered: list[str] = attrs.field(factory=list)
    sealed: list[SecretAccessKey] = attrs.field(factory=list)

    @property
    def keys(self) -> dict[str, str]:
        """The status of each key of the user, by its id."""
        user = self.things.get(TARGET, {"keys": []})
        return {each["AccessKeyId"]: each["Status"] for each in user["keys"]}

    @property
    def readable_secrets(self) -> list[SecretAccessKey]:
        """The secrets that this call has not forgotten."""
        return [each for each in self.sealed if each._text is not None]  # noqa: SLF001

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the user."""
        tags = self.things[TARGET]["seen"].get("Tags", []) if self.things else []
        return {each["Key"]: each["Value"] for each in tags}

    def use(self, access_key_id: str, service: str = "logs") -> None:
        """Use a key now."""
        for each in self.things[TARGET]["keys"]:
            if each["AccessKeyId"] == access_key_id:
                each["Used"] = (self.now, service)

    def later(self, seconds: float = 1_000.0) -> KeyWorld:
        """Return this IAM and store some time later, with nothing recorded and nothing scripted."""
        return KeyWorld(
            self.things,
            now=self.now + seconds,
            shelf=self.shelf,
            readable=self.readable,
            regions=self.regions,
            secrets=self.secrets,
            delivered=self.delivered,
        )

    # --- effects ----------------------------------------------------------------------------------

    def carry_out(self, things: Things, request: Request) -> Thing:
        """Carry out *request* on *things*; return the content of the reply."""
        operation, given = request.operation, request.arguments
        if operation == "GetAccessKeyInfo":
            if request.region not in self.regions:
                raise RefusedError(UNKNOWN)
            return {"Account": ACCOUNT if given["AccessKeyId"] in self.secrets else "999999999999"}
        if operation == "GetAccessKeyLastUsed":
            return self._last_used(things, given["AccessKeyId"])
        if operation not in {"CreateAccessKey", "UpdateAccessKey", "UntagUser"}:
            return carry_out(things, request, self.now)
        # A user who does not exist is refused as for any other request.
        carry_out(things, Request("GetUser", {"UserName": given["UserName"]}), self.now)
        user = things[TARGET]
        if operation == "UntagUser":
            gone = {each.lower() for each in given["TagKeys"]}
            left = [each for each in user["seen"]["Tags"] if each["Key"].lower() not in gone]
            user["seen"]["Tags"] = left
        elif operation == "CreateAccessKey":
            return self._create(user)
        else:
            self._find(user, given["AccessKeyId"])["Status"] = given["Status"]
        return {}

    def _create(self, user: Thing) -> Thing:
        if len(user["keys"]) > 1:
            raise RefusedError(refusal("LimitExceeded", "Cannot exceed quota for AccessKeys: 2"))
        number = len(self.secrets) + 1
        name, secret = f"AKIA{number:016}", f"secret-{number:033}"
        self.secrets[name] = secret
        date = dt.datetime.fromtimestamp(int(self.now), dt.UTC)
        user["keys"].append({"AccessKeyId": name, "Status": "Active", "CreateDate": date})
        return {"AccessKey": {"AccessKeyId": name, "SecretAccessKey": secret}}

    def _find(self, user: Thing, name: str) -> Thing:
        for each in user["keys"]:
            if each["AccessKeyId"] == name:
                found: Thing = each
                return found
        words = f"The Access Key with id {name} cannot be found."
        raise RefusedError(refusal("NoSuchEntity", words))

    def _last_used(self, things: Things, name: str) -> Thing:
        for each in things.get(TARGET, {"keys": []})["keys"]:
            if each["AccessKeyId"] == name:
                used: Thing = {"ServiceName": "N/A", "Region": "N/A"}
                if "Used" in each:
                    at, service = each["Used"]
                    used = {"LastUsedDate": dt.datetime.fromtimestamp(at, dt.UTC)}
                    used |= {"ServiceName": service}
                return {"UserName": USER, "AccessKeyLastUsed": used}
        words = f"CALLER is not authorized to perform: X on resource: access key {name}"
        raise RefusedError(refusal("AccessDenied", words))

    def answer(self, request: Request) -> Outcome:
        """Answer *request*; the secret of a new key is hidden, as the sender does it."""
        if request.operation == "CreateAccessKey" and self.twins:
            self.do("CreateAccessKey", **request.arguments)
        outcome = World.answer(self, request)
        if request.operation == "CreateAccessKey" and self.twins and isinstance(outcome, Reply):
            outcome = attrs.evolve(outcome, unacknowledged=True, attempts=2)
        if isinstance(outcome, Reply) and request.operation == "CreateAccessKey":
            made = outcome.content["AccessKey"]
            self.sealed.append(SecretAccessKey(made["SecretAccessKey"]))
            made["SecretAccessKey"] = self.sealed[-1]
        return outcome

    def perform(self, effect: Effect) -> Any:
        """Perform *effect*; return its result."""
        match effect:
            case Hold():
                self.effects.append(effect)
                held = self.shelf[0] if self.shelf else None
                return Holding(
                    access_key_id=held, name="shelf", fingerprint="5e1f", readable=self.readable
                )
            case Deliver(key=key):
                self.effects.append(effect)
                name, secret = key.access_key_id, key.secret.reveal()
                self.delivered.append(name)
                if self.written:
                    return self.written(name, secret)
                self.shelf = (name, secret)
                return None
            case Verify():
                self.effects.append(effect)
                return (self._signed(effect),) * effect.copies
            case Settle():
                self.effects.append(effect)
                return Advice("Restart the agent.", rereads=False)
            case _:
                return World.perform(self, effect)

    def _signed(self, effect: Verify) -> Outcome:
        name, secret = self.shelf or ("", "")
        if effect.region not in self.regions:
            return UNKNOWN
        if name != effect.access_key_id or self.busy:
            return Refusal(code=STORE_CHANGED, message="the store holds another key by now")
        if self.keys.get(name) != "Active":
            return UNKNOWN
        if secret != self.secrets[name]:
            return refusal("SignatureDoesNotMatch", "The signature does not match.")
        arn = f"arn:aws:iam::{ACCOUNT}:user/{USER}"
        return Reply(content={"Arn": arn}, date=self.now)

    # --- calls ------------------------------------------------------------------------------------

    def deliver(self, existing: Existing = "refuse", **stop: int) -> tuple[Result, AccessKey]:
        """Ensure the user and a key in the store."""
        goal = to_ensure(USER_PLAN, existing)
        steps = ensure_user_with_key(goal, USER, NO_STORE, existing, self.now)
        return self.run(steps, **stop)

    def rotate(
        self, terms: Terms = TERMS, existing: Existing = "refuse", **stop: int
    ) -> RotationStatus:
        """Do the due steps of a rotation."""
        call = Call("aws", 60.0)
        keys = UserKeys(call, USER, NO_STORE, existing, self.now)
        return self.run(call.reporting(Rotation(keys, terms).run()), **stop)

    def undo(self) -> RotationStatus:
        """Undo a rotation."""
        call = Call("aws", 60.0)
        keys = UserKeys(call, USER, NO_STORE, "refuse", self.now)
        return self.run(call.reporting(Rotation(keys, TERMS).undo()))

    def preview(self, terms: Terms = TERMS) -> RotationStatus:
        """Preview a rotation."""
        call = Call("aws", 60.0)
        keys = UserKeys(call, USER, NO_STORE, "refuse", self.now)
        return self.run(call.reporting(Rotation(keys, terms).preview()))

    def tag(self, **tags: str) -> None:
        """Tag the user."""
        named = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.do("TagUser", UserName=USER, Tags=named)


def delivered(age: float = 1_000.0, **facts: Any) -> KeyWorld:
    """Return a world in which a key was delivered some time ago."""
    world = KeyWorld(**facts)
    world.deliver()
    return world.later(age)


def script(world: KeyWorld, operation: str, *answers: Answer) -> None:
    """Set the answers to the next requests of one operation."""
    world.script[operation] = list(answers)
