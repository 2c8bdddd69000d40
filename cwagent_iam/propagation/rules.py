"""What AWS's answers mean for a change: the table, and nothing that is not in it may be waited for.

Sources: the API reference of IAM (common and modelled errors), and what users of AWS observed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import attrs

from cwagent_iam.aws import code_of, reason_of, trouble_of
from cwagent_iam.changes import CreateRole, UpdateAssumeRolePolicy
from cwagent_iam.propagation.waiting import DENSE, FAILURE, RIVALS, SLOW, THROTTLE, Pace
from cwagent_iam.state import InstanceProfile, Role, User

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cwagent_iam.aws import Trouble
    from cwagent_iam.propagation.run import Run
    from cwagent_iam.state import Entity


_NAMED = re.compile(r'"[a-z]+":"(?P<name>[^"]+)"')
"""Whom the words ``Invalid principal in policy`` are about, in lower case."""

_ROLE_ARN = re.compile(
    r"arn:(?P<partition>[^:]+):iam::(?P<account>[^:]+):role/(?:.*/)?(?P<name>[^/]+)"
)


class Subject(Protocol):
    """What the rules know of a request: that of a change, or one about access keys."""

    @property
    def operation(self) -> str:
        """The operation."""

    @property
    def needs(self) -> frozenset[str]:
        """The kind and name of everything that it touches."""


Outcome: TypeAlias = Literal["wait", "read back", "look again", "final"]
"""Try the change again after a pause; see whether it is done already, and otherwise try again;
observe and diff again; or give up."""


Applies: TypeAlias = "Callable[[Subject, Run, str], bool]"


@attrs.frozen
class Rule:
    """What an AWS error means for a change.

    Attributes:
        operation: The beginning of the names of the operations that it is for.
        code: AWS's code.
        fragment: A part of AWS's words, in lower case, where the code is not enough.
        applies: Whether it holds for a change, given what this run knows, and AWS's words in lower
            case.
        outcome: What to do.
        reason: Why.
        pace: How long the pauses between attempts are.
    """

    operation: str
    code: str
    fragment: str
    applies: Applies
    outcome: Outcome
    reason: str
    pace: Pace = DENSE


def _always(_change: Subject, _run: Run, _words: str) -> bool:
    return True


def _needs_one_of(targets: set[str], kind: type[Entity], change: Subject) -> bool:
    return any(need in targets for need in change.needs if need.startswith(f"{kind.kind} "))


def _knows(kind: type[Entity]) -> Applies:
    """Hold if this run knows that the *kind* of thing that the change needs is there."""
    return lambda change, run, _words: _needs_one_of(run.known, kind, change)


def _saw(kind: type[Entity]) -> Applies:
    """Hold if this run saw the *kind* of thing that the change needs; it may be gone, or new."""
    return lambda change, run, _words: _needs_one_of(run.seen, kind, change)


def _trusts_new(change: Subject, run: Run, words: str) -> bool:
    """Hold if the principal that IAM does not know is what this run made, or a session of that."""
    return _trusts_one_of(run.arns, change, words)


def _trusts_seen(change: Subject, run: Run, words: str) -> bool:
    """Hold if that principal is what this run saw; it may be gone, or new."""
    return _trusts_one_of(run.seen_arns, change, words)


def _trusts_one_of(arns: set[str], change: Subject, words: str) -> bool:
    if not isinstance(change, CreateRole | UpdateAssumeRolePolicy):
        return False
    unknown = [found["name"] for found in _NAMED.finditer(words)]
    trusted = [name.lower() for kind, name in change.trust.named if kind == "AWS"]
    names = unknown or trusted  # words may name nobody
    known = [arn.lower() for arn in arns]
    return any(name == arn or _is_session(name, arn) for name in names for arn in known)


def _is_session(principal: str, arn: str) -> bool:
    """Tell whether *principal* is a session of the role with this *arn*."""
    role = _ROLE_ARN.fullmatch(arn)
    if role is None:
        return False
    home = f"arn:{role['partition']}:sts::{role['account']}"
    return principal.startswith(f"{home}:assumed-role/{role['name']}/")


_MISS = "NoSuchEntity"
_BAD_TRUST = ("MalformedPolicyDocument", "invalid principal in policy")

RULES = (
    Rule("Detach", _MISS, "", _always, "read back", "it may be detached", RIVALS),
    Rule("Remove", _MISS, "", _always, "read back", "it may be out", RIVALS),
    Rule("Delete", _MISS, "", _always, "read back", "it may be gone", RIVALS),
    Rule("", _MISS, "role with name", _knows(Role), "wait", "the role is too new"),
    Rule("", _MISS, "user with name", _knows(User), "wait", "the user is too new"),
    Rule("", _MISS, "instance profile", _knows(InstanceProfile), "wait", "the profile is too new"),
    Rule("GetCaller", "InvalidClientTokenId", "", _always, "wait", "the access key is too new"),
    Rule("Update", _MISS, "access key with id", _always, "look again", "the key was there"),
    Rule("", _MISS, "role with name", _saw(Role), "look again", "the role was there"),
    Rule("", _MISS, "user with name", _saw(User), "look again", "the user was there"),
    Rule("", _MISS, "instance profile", _saw(InstanceProfile), "look again", "it was there"),
    Rule("", *_BAD_TRUST, _trusts_new, "wait", "a principal in the trust is too new"),
    Rule("", *_BAD_TRUST, _trusts_seen, "look again", "a principal in the trust was there"),
    Rule("", "ConcurrentModification", "", _always, "read back", "others write to it", RIVALS),
    Rule("", "EntityTemporarilyUnmodifiable", "", _always, "wait", "the name is too new", SLOW),
    Rule("Create", "EntityAlreadyExists", "", _always, "read back", "it is not shown", RIVALS),
    Rule("AddRole", "EntityAlreadyExists", "", _always, "read back", "it is not shown", RIVALS),
    Rule("AddRole", "LimitExceeded", "", _always, "read back", "no role is shown in it", RIVALS),
    Rule("Delete", "DeleteConflict", "", _always, "look again", "something hangs on it"),
)
"""The first rule that fits decides; what fits none is final."""

FINAL = Rule("", "", "", _always, "final", "no time will change it")


_TRIES_OF_STRANGERS = 4

TROUBLES: Mapping[Trouble, Rule] = {
    "throttled": Rule("", "", "", _always, "wait", "AWS throttles the account", THROTTLE),
    "failing": Rule("", "", "", _always, "wait", "AWS fails, or its answer was lost", FAILURE),
    "unreachable": Rule("", "", "", _always, "wait", "AWS cannot be reached", FAILURE),
}
"""The rules for what is no answer to the request, whichever it was."""


def rule_for_trouble(error: BaseException | None, run: Run) -> Rule:
    """Find what *error* means for *run* if it is no answer to a request, as while reading.

    Where AWS itself has never answered, it is rather the settings than the line that is wrong: what
    cannot be reached is not tried again, and what speaks in its place only a few times.
    """
    trouble = trouble_of(error) if error else None
    if trouble is None:
        return FINAL
    if not run.reached and (trouble == "unreachable" or run.pauses >= _TRIES_OF_STRANGERS):
        return FINAL
    return TROUBLES[trouble]


def rule_for(error: BaseException, change: Subject, run: Run) -> Rule:
    """Find what *error* means for *change* in *run*."""
    words = reason_of(error).lower()
    fitting = (
        rule
        for rule in RULES
        if change.operation.startswith(rule.operation)
        and rule.code == code_of(error)
        and rule.fragment in words
        and rule.applies(change, run, words)
    )
    return next(fitting, None) or rule_for_trouble(error, run)
