"""Helpers for tests of the core: an IAM made of dictionaries, scripted answers, a driver.

Nothing here sends, sleeps or reads a clock: a `World` answers requests from its things, moves its
own time when the core waits, and records every effect.
"""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import functools
import re
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import attrs

from cwagent_iam.differ import diff
from cwagent_iam.errors import StoreError
from cwagent_iam.observing import observe
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.reconcile.loop import Goal, reconcile
from cwagent_iam.remover import removal
from cwagent_iam.requests import Emit, Interrupted, Refusal, Reply, Request, Send, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cwagent_iam.changes import Result
    from cwagent_iam.differ import Attachments, Existing
    from cwagent_iam.events import Event
    from cwagent_iam.remover import AccessKeys, ExistingToRemove
    from cwagent_iam.requests import Effect, Outcome, Steps
    from cwagent_iam.state import State

T = TypeVar("T")
Thing: TypeAlias = dict[str, Any]
Things: TypeAlias = dict[str, Thing]
"""What an IAM holds, by kind and name in lower case."""

ACCOUNT = "123456789012"
ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
ROLE_PLAN, USER_PLAN = plan_agent_role(), plan_agent_user()
_BEGINNING = 1_000_000.0
_KINDS = {"InstanceProfileName": "InstanceProfile", "RoleName": "Role", "UserName": "User"}
_WORDS = {"InstanceProfile": "instance-profile", "Role": "role", "User": "user"}


def refusal(code: str | None, message: str = "", **facts: Any) -> Refusal:
    """Return a refusal with AWS's code and words."""
    return Refusal(code=code, message=message, **facts)


def no_such(kind: str, name: str = ROLE) -> Refusal:
    """Return IAM's refusal for something that it does not know."""
    words = f"Instance Profile {name}" if kind == "profile" else f"The {kind} with name {name}"
    return refusal("NoSuchEntity", f"{words} cannot be found.")


DENIED = refusal("AccessDenied", "User: CALLER is not authorized to perform: X on resource: Y")
BUSY = refusal("ConcurrentModification", "Try again.")
THROTTLED = refusal("Throttling", "Rate exceeded", transient="throttled", attempts=16)
# What is not repeatable is sent once; all else has been repeated in vain.
LOST_REPLY = refusal(None, "Read timeout", transient="failing", unacknowledged=True)
NO_REPLY = refusal(None, "Read timeout", transient="failing", unacknowledged=True, attempts=16)


@attrs.frozen
class Lost:
    """A reply that is lost, after the request was carried out or not."""

    done: bool = True


Answer: TypeAlias = "Reply | Refusal | Lost | Things | Callable[[], object] | None"
"""A scripted answer: an outcome; a lost reply; the answer of a host that holds other things; what
happens right before a normal answer; or `None` for a normal answer."""


class RefusedError(Exception):
    """Raised inside the IAM of dictionaries; its argument is the refusal."""


# --- the IAM --------------------------------------------------------------------------------------


def _key(arguments: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the kind, the name, and the key of the thing that *arguments* name."""
    argument = next(each for each in _KINDS if each in arguments)
    kind, name = _KINDS[argument], arguments[argument]
    return kind, name, f"{_WORDS[kind]} {name}".lower()


def _find(things: Things, **arguments: str) -> Thing:
    kind, name, key = _key(arguments)
    if key not in things:
        raise RefusedError(no_such("profile" if kind == "InstanceProfile" else kind.lower(), name))
    return things[key]


def _create(things: Things, arguments: Mapping[str, Any], now: float) -> Thing:
    kind, name, key = _key(arguments)
    if key in things:
        raise RefusedError(refusal("EntityAlreadyExists", f"{kind} {name} already exists."))
    path = arguments.get("Path", "/")
    seen = {
        "Path": path,
        "Arn": f"arn:aws:iam::{ACCOUNT}:{_WORDS[kind]}{path}{name}",
        "CreateDate": dt.datetime.fromtimestamp(now, dt.UTC),
        "MaxSessionDuration": 3600,
        "Roles": [],
        **arguments,
    }
    if boundary := arguments.get("PermissionsBoundary"):
        seen["PermissionsBoundary"] = {"PermissionsBoundaryArn": boundary}
    more: Thing = {"attached": {}, "inline": {}, "keys": [], "lists": {}}
    things[key] = {"kind": kind, "seen": seen, **more}
    return things[key]


def _miss(there: object, words: str) -> None:
    if not there:
        raise RefusedError(refusal("NoSuchEntity", words))


def _detach(thing: Thing, arguments: Mapping[str, Any]) -> None:
    _miss(thing["attached"].pop(arguments["PolicyArn"], None), "Policy ARN was not found.")


def _delete_inline(thing: Thing, arguments: Mapping[str, Any]) -> None:
    _miss(thing["inline"].pop(arguments["PolicyName"], None), "The policy cannot be found.")


def access_key(access_key_id: str, created: float = _BEGINNING) -> Thing:
    """Return an active access key, as an item of a thing's keys."""
    date = dt.datetime.fromtimestamp(created, dt.UTC)
    return {"AccessKeyId": access_key_id, "Status": "Active", "CreateDate": date}


def _delete_key(thing: Thing, arguments: Mapping[str, Any]) -> None:
    left = [each for each in thing["keys"] if each["AccessKeyId"] != arguments["AccessKeyId"]]
    _miss(left != thing["keys"], "The Access Key cannot be found.")
    thing["keys"] = left


def _delete_boundary(thing: Thing, _: Mapping[str, Any]) -> None:
    _miss(thing["seen"].pop("PermissionsBoundary", None), "There is no permissions boundary.")


def _put_boundary(thing: Thing, arguments: Mapping[str, Any]) -> None:
    boundary = {"PermissionsBoundaryArn": arguments["PermissionsBoundary"]}
    thing["seen"]["PermissionsBoundary"] = boundary


def _tag(thing: Thing, arguments: Mapping[str, Any]) -> None:
    tags = [*thing["seen"].get("Tags", []), *arguments["Tags"]]
    thing["seen"]["Tags"] = [*{each["Key"].lower(): each for each in tags}.values()]


def _update(thing: Thing, arguments: Mapping[str, Any]) -> None:
    named = {"Description", "MaxSessionDuration"} & arguments.keys()
    thing["seen"] |= {each: arguments[each] for each in named}


def _trust(thing: Thing, arguments: Mapping[str, Any]) -> None:
    thing["seen"]["AssumeRolePolicyDocument"] = arguments["PolicyDocument"]


def _add_role(thing: Thing, arguments: Mapping[str, Any]) -> None:
    if thing["seen"]["Roles"]:
        raise RefusedError(refusal("LimitExceeded", "Cannot exceed quota for roles: 1"))
    thing["seen"]["Roles"] = [{"RoleName": arguments["RoleName"]}]


def _remove_role(thing: Thing, arguments: Mapping[str, Any]) -> None:
    _miss(thing["seen"]["Roles"] == [{"RoleName": arguments["RoleName"]}], "It is not in it.")
    thing["seen"]["Roles"] = []


_WRITES: dict[str, Callable[[Thing, Mapping[str, Any]], object]] = {
    "AttachPolicy": lambda thing, given: thing["attached"].update({given["PolicyArn"]: True}),
    "DetachPolicy": _detach,
    "PutPolicy": lambda thing, given: thing["inline"].update(
        {given["PolicyName"]: given["PolicyDocument"]}
    ),
    "DeletePolicy": _delete_inline,
    "DeleteAccessKey": _delete_key,
    "PutPermissionsBoundary": _put_boundary,
    "DeletePermissionsBoundary": _delete_boundary,
    "Tag": _tag,
    "Update": _update,
    "UpdateAssumePolicy": _trust,
    "AddTo": _add_role,
    "RemoveFrom": _remove_role,
}
_LISTS = {
    "ListGroupsFor": "Groups",
    "ListMFADevices": "MFADevices",
    "ListSigningCertificates": "Certificates",
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
}


def _read(verb: str, thing: Thing, arguments: Mapping[str, Any]) -> Thing:
    lists: Thing = {
        "Get": {thing["kind"]: thing["seen"]},
        "ListAttachedPolicies": {
            "AttachedPolicies": [{"PolicyArn": each} for each in thing["attached"]]
        },
        "ListPolicies": {"PolicyNames": [*thing["inline"]]},
        "ListAccessKeys": {"AccessKeyMetadata": thing["keys"]},
    }
    if verb == "GetPolicy":
        _miss(arguments["PolicyName"] in thing["inline"], "The policy cannot be found.")
        return {"PolicyDocument": thing["inline"][arguments["PolicyName"]]}
    if verb == "GetLoginProfile":
        _miss("LoginProfile" in thing["lists"], "The login profile cannot be found.")
        return {"LoginProfile": {}}
    member = _LISTS.get(verb, "")
    return lists[verb] if verb in lists else {member: thing["lists"].get(member, [])}


def _profiles_with(things: Things, role: str) -> list[str]:
    inside = [{"RoleName": role}]
    return [
        each["seen"]["InstanceProfileName"]
        for each in things.values()
        if each["seen"]["Roles"] == inside
    ]


def _delete(things: Things, thing: Thing, arguments: Mapping[str, Any]) -> None:
    kind, name, key = _key(arguments)
    held = thing["attached"], thing["inline"], thing["keys"], thing["seen"]["Roles"]
    if any(held) or (kind == "Role" and _profiles_with(things, name)):
        raise RefusedError(refusal("DeleteConflict", "Must detach everything first."))
    del things[key]


def carry_out(things: Things, request: Request, now: float) -> Thing:
    """Carry out *request* on *things*; return the content of the reply."""
    arguments = request.arguments
    if request.operation.startswith("Create"):
        thing = _create(things, arguments, now)
        return {thing["kind"]: thing["seen"]}
    if request.operation == "AddRoleToInstanceProfile":
        _find(things, RoleName=arguments["RoleName"])
    named = {argument: arguments[argument] for argument in _KINDS if argument in arguments}
    thing = _find(things, **named)
    verb = re.sub("Role|User|InstanceProfile$", "", request.operation)
    if request.operation == "ListInstanceProfilesForRole":
        profiles = _profiles_with(things, arguments["RoleName"])
        return {"InstanceProfiles": [{"InstanceProfileName": each} for each in profiles]}
    if verb == "Delete":
        _delete(things, thing, arguments)
    elif verb in _WRITES:
        _WRITES[verb](thing, arguments)
    else:
        return _read(verb, thing, arguments)
    return {}


# --- the world ------------------------------------------------------------------------------------


@attrs.define
class World:
    """An IAM, the script of its answers, and a record of all effects.

    Attributes:
        things: What IAM holds.
        script: The next answers to each operation, in order.
        answers: Called for each request before the script; returns an answer.
        now: AWS's time, in seconds since 1970.
        chance: Where between least and most each pause is, from 0 to 1.
        effects: Every effect, in order.
        past: What IAM held before each write that changed something, and until when.
        log: Every request with what came of it.
    """

    things: Things = attrs.field(factory=dict)
    script: dict[str, list[Answer]] = attrs.field(factory=dict)
    answers: Callable[[Request], Answer] = lambda _: None
    now: float = _BEGINNING
    chance: float = 0.5
    effects: list[Effect] = attrs.field(factory=list)
    past: list[tuple[float, Things]] = attrs.field(factory=list)
    log: list[tuple[Request, Outcome]] = attrs.field(factory=list)

    @property
    def sends(self) -> list[tuple[Request, ...]]:
        """The requests of each `Send`."""
        return [each.requests for each in self.effects if isinstance(each, Send)]

    @property
    def requests(self) -> list[str]:
        """The operations of all requests, in order."""
        return [request.operation for some in self.sends for request in some]

    @property
    def writes(self) -> list[str]:
        """Those of them that write."""
        return [each for each in self.requests if not each.startswith(("Get", "List"))]

    @property
    def waits(self) -> list[Wait]:
        """All pauses."""
        return [each for each in self.effects if isinstance(each, Wait)]

    @property
    def told(self) -> list[str]:
        """The events as text."""
        return [str(each.event) for each in self.effects if isinstance(each, Emit)]

    def events(self, kind: type[Event]) -> list[Any]:
        """Return the events of one kind."""
        events = [each.event for each in self.effects if isinstance(each, Emit)]
        return [each for each in events if isinstance(each, kind)]

    def copy(self) -> Things:
        """Return what IAM holds now, as a host that is behind goes on showing it."""
        return copy.deepcopy(self.things)

    def later(self, seconds: float = 1_000.0) -> World:
        """Return this IAM some time later, with nothing recorded and nothing scripted."""
        return World(self.things, now=self.now + seconds)

    def do(self, operation: str, **arguments: Any) -> None:
        """Carry out what another process does."""
        self.carry_out(self.things, Request(operation, arguments))

    def carry_out(self, things: Things, request: Request) -> Thing:
        """Carry out *request* on *things*; return the content of the reply."""
        return carry_out(things, request, self.now)

    def answer(self, request: Request) -> Outcome:
        """Answer *request*, by the script if there is one."""
        turn = self.answers(request)
        if turn is None and (turns := self.script.get(request.operation)):
            turn = turns.pop(0)
        if isinstance(turn, (Reply, Refusal)):
            return turn
        lost = NO_REPLY if request.row.repeatable else LOST_REPLY
        if turn == Lost(done=False):
            return lost
        if callable(turn):
            turn()
        things = turn if isinstance(turn, dict) else self.things
        before = copy.deepcopy(things)
        try:
            content = self.carry_out(things, request)
        except RefusedError as error:
            refused: Refusal = lost if turn == Lost() else error.args[0]
            return refused
        if things != before:
            self.past.append((self.now, before))
        if turn == Lost():
            return lost
        return Reply(content=copy.deepcopy(content), date=self.now)

    def perform(self, effect: Effect) -> Any:
        """Perform *effect*; return what comes back."""
        self.effects.append(effect)
        if isinstance(effect, Send):
            outcomes = tuple(self.answer(request) for request in effect.requests)
            self.log += zip(effect.requests, outcomes, strict=True)
            return outcomes
        if isinstance(effect, Wait):
            pause = effect.least + self.chance * (effect.most - effect.least)
            self.now += pause
            return pause
        return None

    def run(self, steps: Steps[T], stop_at: int = -1, sent: int = 0) -> T:
        """Drive *steps* to their result.

        Args:
            steps: The generator.
            stop_at: The place of the effect that is interrupted; none by default.
            sent: How many requests of an interrupted `Send` are carried out before that. Any other
                effect is performed before that if this is not 0.
        """
        resume: Callable[[], Effect] = functools.partial(next, steps)
        try:
            for place in range(10_000):
                effect = resume()
                if place == stop_at:
                    self._interrupt(steps, effect, sent)
                try:
                    resume = functools.partial(steps.send, self.perform(effect))
                except StoreError as error:
                    resume = functools.partial(steps.throw, error)
        except StopIteration as end:
            result: T = end.value
            return result
        message = "the core does not come to an end"
        raise AssertionError(message)

    def _interrupt(self, steps: Steps[T], effect: Effect, sent: int) -> None:
        """Interrupt *effect* as the executor does, and perform what the core yields after that."""
        stop = KeyboardInterrupt()
        error: BaseException = stop
        if isinstance(effect, Send):
            done = [self.answer(request) for request in effect.requests[:sent]]
            self.effects.append(effect)
            error = Interrupted(
                effect.requests, (*done, *[None] * (len(effect.requests) - len(done)))
            )
            error.__cause__ = stop
        elif sent:
            with contextlib.suppress(StoreError):
                self.perform(effect)
        try:
            effect = steps.throw(error)
            while True:
                effect = steps.send(self.perform(effect))
        except Interrupted:
            raise stop from None

    # --- calls ------------------------------------------------------------------------------------

    def ensure(
        self,
        desired: State = ROLE_PLAN,
        *,
        existing: Existing = "refuse",
        attachments: Attachments = "additive",
        timeout: float = 60.0,
        **stop: int,
    ) -> Result:
        """Ensure *desired*."""
        goal = to_ensure(desired, existing, attachments, timeout)
        return self.run(reconcile(goal), **stop)

    def remove(
        self,
        desired: State = ROLE_PLAN,
        *,
        access_keys: AccessKeys = "refuse",
        existing: ExistingToRemove = "refuse",
        timeout: float = 60.0,
        **stop: int,
    ) -> Result:
        """Remove *desired*."""
        goal = Goal(
            targets=desired.entities,
            decide=lambda seen: removal(desired, seen, access_keys=access_keys, existing=existing),
            partition="aws",
            timeout=timeout,
            removes=True,
        )
        return self.run(reconcile(goal), **stop)

    def seen(self, desired: State = ROLE_PLAN) -> State:
        """Return what IAM shows now; nothing of it is recorded."""
        (seen,) = World(self.things, now=self.now).run(observe(desired.entities, partition="aws"))
        return seen.state

    def is_as_desired(self, desired: State = ROLE_PLAN) -> bool:
        """Return whether IAM holds what is desired."""
        return not diff(desired, self.seen(desired))


def to_ensure(
    desired: State,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
    timeout: float = 60.0,
) -> Goal:
    """Return the goal of `cwagent_iam.ensure`."""
    return Goal(
        targets=desired.entities,
        decide=lambda seen: diff(desired, seen, existing=existing, attachments=attachments),
        partition="aws",
        timeout=timeout,
    )


def made(*desired: State, age: float = 1_000.0) -> World:
    """Return a world in which *desired* was ensured some time ago."""
    world = World()
    for each in desired or (ROLE_PLAN,):
        world.ensure(each)
    return world.later(age)


def pauses(world: World) -> list[float]:
    """Return the mean of each pause, in seconds."""
    return [(each.least + each.most) / 2 for each in world.waits]


def operations(changes: Iterable[Any]) -> list[str]:
    """Return the operations of *changes*."""
    return [change.operation for change in changes]
