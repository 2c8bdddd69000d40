"""The rules: what a refusal of a write means, given what this call knows.

IAM is eventually consistent: for some seconds, a host may not find what another host has stored.
It returns the same code as for a mistake of the caller. So a rule depends on what this call did,
and on what IAM's message names.
Errors that are not listed are final. Sources: the API reference of IAM, and what users of AWS
observed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.changes.operations import PRINCIPAL
from cwagent_iam.requests import NAMED_BY, Unsent, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.requests import Refusal, Request

Verdict: TypeAlias = Literal["retry", "observe", "look up", "final"]
"""The next step of the call: send the request again after a pause; observe and diff again; look up
the principals that the trust policy names; or fail."""


@attrs.frozen
class Pace:
    """The backoff of pauses: they double up to a bound, with jitter.

    Attributes:
        first: The first pause without jitter, in seconds.
        most: The bound of a pause without jitter, in seconds.
        least: The shortest pause with jitter, as a part of the pause without it. The longest is
            ``2 - least`` times the pause without jitter. Default: 0.5.
    """

    first: float
    most: float
    least: float = 0.5

    def wait(self, attempt: int, reason: str) -> Wait:
        """Return the pause after the *attempt*, counted from 1."""
        step = min(self.first * 2.0 ** min(attempt - 1, 10), self.most)
        return Wait(step * self.least, step * (2 - self.least), reason)


DENSE = Pace(0.25, 2.0)
"""For propagation: usual delays are short, so that long pauses would waste time."""

RIVALS = Pace(0.5, 4.0, least=0.1)
"""For concurrent writers: most of a pause is jitter, so that two callers do not collide again."""

SLOW = Pace(4.0, 12.0)
"""For what takes minutes, as AWS documents."""


@attrs.frozen(kw_only=True)
class Known:
    """The entities that a call knows to exist; all names and ARNs in lower case.

    Attributes:
        created: The kinds and names of what it created, or of what a refusal said exists.
        created_arns: The ARNs of what it created, and of principals that a lookup found.
        observed: The kinds and names of what it observed; some may be deleted by now.
        observed_arns: The ARNs of what it observed.
    """

    created: frozenset[str] = frozenset()
    created_arns: frozenset[str] = frozenset()
    observed: frozenset[str] = frozenset()
    observed_arns: frozenset[str] = frozenset()


@attrs.frozen
class Rule:
    """One row of the table: what a refusal means.

    Attributes:
        operation: The prefix of the operations that it is for; empty for all.
        codes: AWS's error codes that it is for.
        applies: Returns whether it is for a refused request, given AWS's message in lower case and
            the entities that the call knows to exist.
        verdict: The next step of the call.
        reason: The reason for the pause, in events and logs.
        pace: The backoff. Default: `DENSE`.
    """

    operation: str
    codes: tuple[str, ...]
    applies: Callable[[Request, str, Known], bool]
    verdict: Verdict
    reason: str
    pace: Pace = DENSE


# --- what the message of a refusal names ----------------------------------------------------------

_NOUNS = re.compile(
    r"\b(?:(role|user)|(?:instance[ -]?)?(profile)|polic(?:y|ies)|scope|boundary|principal|key)\b"
)
# Words of AWS's sentences. A policy may have one as its name, but finding it identifies nothing.
_COMMON = re.compile(
    r"an?|and|arn|attached|be|cannot|does|entity|exist|for|found|in|is|it|name|named|no|not|of|or"
    r"|role|such|that|the|there|this|to|user|was|with"
)
_NAMED = re.compile(r"arn:[^\s\"']+|\b(?i:a(?:id|ro)a[a-z0-9]{12,})\b")
"""A principal: an ARN, or the unique id of a user or role (IAM user guide, "IAM identifiers")."""


def targets_of(request: Request) -> dict[str, str]:
    """Return the entities that *request* names: the kind and name of each, mapped to its name.

    Both are in lower case.
    """
    named = ((kind, request.arguments.get(argument)) for kind, argument in NAMED_BY.items())
    return {f"{kind} {name}".lower(): name.lower() for kind, name in named if name}


def principals(request: Request, message: str = "") -> tuple[str, ...]:
    """Return the roles, users and sessions that a trust policy names.

    Args:
        request: The request that sets the trust policy.
        message: AWS's message; if it names ARNs or unique ids, only ARNs in it are returned.
    """
    if request.operation not in {"CreateRole", "UpdateAssumeRolePolicy"}:
        return ()
    text = request.arguments.get("AssumeRolePolicyDocument") or request.arguments["PolicyDocument"]
    named = _NAMED.findall(message) or _NAMED.findall(text)
    return tuple(dict.fromkeys(each for each in named if PRINCIPAL.fullmatch(each)))


def as_target(principal: str) -> tuple[str, str]:
    """Return the kind and name of a principal; for a session, those of its role."""
    match = PRINCIPAL.fullmatch(principal)
    return (match["kind"] or "role", match["name"] or match["session"]) if match else ("", "")


def _others(request: Request) -> set[str]:
    """Return the ARNs and names of the policy, boundary and principals in *request*."""
    arns = [str(request.arguments.get(each, "")) for each in ("PolicyArn", "PermissionsBoundary")]
    named = {arn.lower() for arn in (*arns, *principals(request)) if arn}
    names = {arn.rpartition("/")[2] for arn in named} - set(targets_of(request).values())
    return named | {name for name in names if not _COMMON.fullmatch(name)}


def _name(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w+=,.@/-]){re.escape(name)}(?![\w+=@/-])")


def missing_targets(request: Request, message: str) -> frozenset[str]:
    """Return the targets of *request* that a ``NoSuchEntity`` may be about.

    AWS may change its messages, and emulators have their own. So names are searched first, then the
    first noun. A message in which nothing is recognised may be about any target. A message that
    names a policy, a boundary or a principal is about none of them.
    """
    targets = targets_of(request)
    if any(_name(each).search(message) for each in _others(request)):
        return frozenset()
    for name in targets.values():
        message = _name(name).sub("", message)
    noun = _NOUNS.search(message)
    if noun is None:
        return frozenset(targets)
    kind = noun[1] or ("instance-profile" if noun[2] else "")
    return frozenset(each for each in targets if each.partition(" ")[0] == kind)


# --- the table ------------------------------------------------------------------------------------


def _always(_request: Request, _message: str, _known: Known) -> bool:
    return True


def _misses_created(request: Request, message: str, known: Known) -> bool:
    return not known.created.isdisjoint(missing_targets(request, message))


def _misses_observed(request: Request, message: str, known: Known) -> bool:
    return not known.observed.isdisjoint(missing_targets(request, message))


def _trusts(arns: frozenset[str], request: Request, message: str) -> bool:
    """Return whether a principal that IAM does not know is one of *arns*, or a session of one."""
    identities = set(map(_identity, arns))
    return "principal" in message and any(
        each in arns or (":assumed-role/" in each and _identity(each) in identities)
        for each in map(str.lower, principals(request, message))
    )


def _identity(arn: str) -> tuple[str, ...]:
    """Return partition, account, kind and name of a principal; for a session, those of its role."""
    match = PRINCIPAL.fullmatch(arn)
    return (match["partition"], match["account"], *as_target(arn)) if match else ()


def _trusts_created(request: Request, message: str, known: Known) -> bool:
    return _trusts(known.created_arns, request, message)


def _trusts_observed(request: Request, message: str, known: Known) -> bool:
    return _trusts(known.observed_arns, request, message)


def _trusts_principals(request: Request, message: str, _known: Known) -> bool:
    return "principal" in message and bool(principals(request, message))


_MISS = ("NoSuchEntity",)
_TRUST = ("MalformedPolicyDocument",)
_TAKEN = ("EntityAlreadyExists",)
_FULL = ("LimitExceeded",)

RULES = (
    Rule("Detach", _MISS, _always, "observe", "it may be detached already", RIVALS),
    Rule("Remove", _MISS, _always, "observe", "the role may be out already", RIVALS),
    Rule("Delete", _MISS, _always, "observe", "it may be deleted already", RIVALS),
    Rule("UpdateAccessKey", _MISS, _always, "observe", "the key may be deleted already", RIVALS),
    Rule("", _MISS, _misses_created, "retry", "IAM does not show yet what the request needs"),
    Rule("", _MISS, _misses_observed, "observe", "what the request needs may be gone", RIVALS),
    Rule("", _TRUST, _trusts_created, "retry", "a principal of the trust policy is too new"),
    Rule("", _TRUST, _trusts_observed, "observe", "a trusted principal may be gone", RIVALS),
    Rule("", _TRUST, _trusts_principals, "look up", "a principal of the trust policy may be new"),
    Rule("", ("ConcurrentModification",), _always, "retry", "others write to it", RIVALS),
    Rule("", ("EntityTemporarilyUnmodifiable",), _always, "retry", "the name is too new", SLOW),
    Rule("Create", _TAKEN, _always, "observe", "it exists, but is not shown yet", RIVALS),
    Rule("CreateAccessKey", _FULL, _always, "observe", "others create access keys too", RIVALS),
    # IAM returns one of these if the profile has a role, the same or another: API reference, and
    # reports of users.
    Rule("AddRole", (*_TAKEN, *_FULL), _always, "observe", "it holds a role", RIVALS),
    Rule("Delete", ("DeleteConflict",), _always, "observe", "something depends on it", RIVALS),
)
"""The first rule that applies decides; errors that are not listed are final."""

FINAL = Rule("", (), _always, "final", "waiting does not resolve it")

LOST = Rule("", (), _always, "observe", "its reply was lost", RIVALS)
"""For a request that is not repeatable: the call observes before it sends the request again."""


def rule_for(request: Request, refusal: Refusal, known: Known) -> Rule:
    """Return the rule for a *refusal* of the write *request*."""
    if refusal.transient or isinstance(refusal, Unsent):
        lost = refusal.unacknowledged and not request.row.repeatable
        return LOST if lost else FINAL
    fitting = (
        rule
        for rule in RULES
        if request.operation.startswith(rule.operation)
        and refusal.code in rule.codes
        and rule.applies(request, refusal.message.lower(), known)
    )
    return next(fitting, FINAL)
