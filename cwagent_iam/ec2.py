"""Propagation to EC2 and other services that use roles and instance profiles.

Services learn of a new role or instance profile seconds after IAM's reads show it. EC2 has no other
read for it, so `confirmed_by_ec2` sends dry runs of a launch, which launch nothing. It uses only
what the answer says about the profile. For all other requests, `consumer_retrying` retries while a
service does not know the role or profile yet.

A rule matches operation, code and message, because the codes have many meanings. The same message
about something else, such as a missing load balancer, is final, and so is throttling. Sources: the
messages that users of AWS report for these operations.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import tenacity

from cwagent_iam.arguments import reject
from cwagent_iam.display import one_line
from cwagent_iam.errors import PropagationTimeoutError
from cwagent_iam.events import Answered, Waiting
from cwagent_iam.observing import content_of
from cwagent_iam.propagation import Propagation
from cwagent_iam.reconcile.rules import DENSE
from cwagent_iam.requests import Emit, Refusal, Request, Send, Steps, Unsent, Wait
from cwagent_iam.state import InstanceProfile, State
from cwagent_iam.visibility import EC2Answer, EC2Launch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenacity import RetryCallState

    from cwagent_iam.requests import Outcome
    from cwagent_iam.visibility import Visibility

_log = logging.getLogger("cwagent_iam")

IN_A_ROW = 3
"""How many successive dry runs must find the profile; EC2's hosts are not equally up to date."""

_BETWEEN = 0.5


class EC2Client(Protocol):
    """A client for EC2, such as a boto3 client; `cwagent_iam.aws.sender` calls it."""

    def run_instances(self, *args: Any, **arguments: Any) -> object:
        """Launch instances; this library asks for dry runs only."""


@attrs.frozen
class ConsumerRule:
    """A refusal by which a service says that it does not know a role or profile yet.

    Attributes:
        operations: The operations that return it.
        code: AWS's error code.
        fragment: A part of AWS's message, in lower case.
        reason: The meaning of the refusal, for events and logs.
    """

    operations: tuple[str, ...]
    code: str
    fragment: str
    reason: str


_EC2_OPERATIONS = (
    "RunInstances",
    "RequestSpotInstances",
    "AssociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
)
_EC2 = (_EC2_OPERATIONS, "InvalidParameterValue")
_GROUP_OPERATIONS = ("CreateAutoScalingGroup", "UpdateAutoScalingGroup")
_AUTO_SCALING = (("CreateLaunchConfiguration", *_GROUP_OPERATIONS), "ValidationError")
_LAMBDA = (("CreateFunction", "UpdateFunctionConfiguration"), "InvalidParameterValueException")
_ECS = (("CreateService", "UpdateService"), "InvalidParameterException")
_NEW_ECS = (("CreateService",), "InvalidParameterException")

_NO_PROFILE = "invalid iam instance profile"
_NO_PROFILE_TOO = "invalid iaminstanceprofile"
_NO_ROLE = "has no associated iam roles"
_NO_TRUST = "cannot be assumed by lambda"
_NO_POLICIES = "execution role does not have permissions"
_NO_GRANTEE = "invalid for creategrant"
_NOT_PROPER = "verify that the ecs service role being passed has the proper permissions"
_NOT_LINKED = "unable to assume the service linked role"

CONSUMER_RULES = (
    ConsumerRule(*_EC2, _NO_PROFILE, "EC2 does not know the instance profile yet"),
    ConsumerRule(*_EC2, _NO_ROLE, "EC2 does not know yet which role is in the instance profile"),
    ConsumerRule(*_AUTO_SCALING, _NO_PROFILE_TOO, "Auto Scaling does not know the profile yet"),
    ConsumerRule(
        *_AUTO_SCALING, _NO_PROFILE, "EC2 does not know the launch template's profile yet"
    ),
    ConsumerRule(*_LAMBDA, _NO_TRUST, "Lambda does not know the role, or its trust, yet"),
    ConsumerRule(*_LAMBDA, _NO_POLICIES, "Lambda does not know the role's policies yet"),
    ConsumerRule(*_LAMBDA, _NO_GRANTEE, "KMS does not know the role of the function yet"),
    ConsumerRule(*_ECS, _NOT_PROPER, "ECS does not know the role, or all of it, yet"),
    ConsumerRule(*_NEW_ECS, _NOT_LINKED, "ECS does not know its service-linked role yet"),
)
"""The table of rules; a refusal that no rule matches is final."""


def consumer_rule_for(operation: str | None, code: str | None, words: str) -> ConsumerRule | None:
    """Return the rule that matches a refusal; `None` if the refusal is final."""
    fitting = (
        rule
        for rule in CONSUMER_RULES
        if operation in rule.operations and rule.code == code and rule.fragment in words.lower()
    )
    return next(fitting, None)


# --- EC2 ------------------------------------------------------------------------------------------


def launch_for(wait_for: object, desired: State) -> EC2Launch | None:
    """Return the launch to dry-run in EC2; `None` if *wait_for* is ``"iam"``.

    Raises:
        IntentError: If *wait_for* is invalid, or *desired* has no instance profile.
    """
    match wait_for:
        case "iam":
            return None
        case "ec2":
            launch = EC2Launch()
        case EC2Launch():
            launch = wait_for
        case _:
            reject("wait_for", wait_for, "must be 'iam', 'ec2' or an EC2Launch")
    if not any(isinstance(each, InstanceProfile) for each in desired.entities):
        reject("wait_for", wait_for, "needs an instance profile, which is what EC2 is asked about")
    return launch


def confirmed_by_ec2(
    names: Iterable[str], launch: EC2Launch, *, region: str | None, timeout: float
) -> Steps[tuple[EC2Answer, ...]]:
    """Send dry runs to EC2 until three successive ones have found each instance profile.

    Args:
        names: The names of the profiles.
        launch: The launch to dry-run, without its profile.
        region: The Region of the client, for the answers.
        timeout: The longest waiting in all, in seconds; at least one pause precedes an error. Then
            dry runs go on without pauses, but only as long as they find the profiles.

    Returns:
        An answer for each profile: visible, or unknown if EC2's answer does not say.

    Raises:
        PropagationTimeoutError: If EC2 still does not know a profile when the timeout has passed.
    """
    streak = dict.fromkeys(names, 0)
    answers: dict[str, EC2Answer] = {}
    waited, looks, rounds_missed, last_error = 0.0, 0, 0, ""
    while pending := [name for name in streak if _is_pending(answers.get(name), streak[name])]:
        requests = tuple(_dry_run(name, launch) for name in pending)
        outcomes = yield Send(requests)
        looks += 1
        for name, request, outcome in zip(pending, requests, outcomes, strict=True):
            if isinstance(outcome, Unsent):
                content_of(request, outcome)
            answers[name] = _answer(name, outcome, region)
            last_error = outcome.summary if isinstance(outcome, Refusal) else last_error
            streak[name] = streak[name] + 1 if answers[name].visibility == "VISIBLE" else 0
        missed = [answers[name] for name in pending if answers[name].visibility == "NOT_YET"]
        rounds_missed = rounds_missed + 1 if missed else 0
        known = f"EC2 knows the instance profile, asked {max(streak.values())} of {IN_A_ROW} times"
        wait = Wait(_BETWEEN, _BETWEEN, known)
        if missed:
            wait = DENSE.wait(rounds_missed, missed[0].reason)
        if not any(_is_pending(answers[name], streak[name]) for name in streak):
            break
        if waited + wait.least <= timeout or (missed and not waited):
            most = max(wait.least, min(wait.most, timeout - waited))
            waited += yield attrs.evolve(wait, most=most)
        elif missed:
            raise PropagationTimeoutError(
                missing=(),
                unknown_to_ec2=tuple(each.profile_name for each in missed),
                attempts=looks,
                seconds=waited,
                last_error=last_error,
            ) from missed[-1].error
    for name in streak:
        yield Emit(Answered(answer=answers[name]))
    return tuple(answers[name] for name in streak)


def _is_pending(answer: EC2Answer | None, streak: int) -> bool:
    return answer is None or (answer.visibility != "UNKNOWN" and streak < IN_A_ROW)


def _dry_run(name: str, launch: EC2Launch) -> Request:
    return Request.of(
        "RunInstances",
        **launch.arguments,
        IamInstanceProfile={"Name": name},
        MinCount=1,
        MaxCount=1,
        DryRun=True,
    )


def _answer(name: str, outcome: Outcome, region: str | None) -> EC2Answer:
    """Return what *outcome* says about a profile: unknown if it says nothing about it."""
    visibility: Visibility = "UNKNOWN"
    error: BaseException | None = None
    reason = "EC2 did not answer with DryRunOperation: check whether it has launched an instance"
    if isinstance(outcome, Refusal):
        error = outcome.error
        rule = consumer_rule_for("RunInstances", outcome.code, outcome.message)
        if outcome.code == "DryRunOperation":
            visibility, reason = "VISIBLE", f"EC2 knows the instance profile ({outcome.code})"
        elif rule:
            visibility, reason = "NOT_YET", f"{rule.reason} ({outcome.code})"
        else:
            words = one_line(" ".join(outcome.message.split()))
            kind = outcome.code or type(error).__name__
            reason = f"EC2 does not tell ({kind}): {words}"
    return EC2Answer(
        profile_name=name,
        visibility=visibility,
        reason=reason,
        region=region,
        error=error,
    )


# --- other consumers ------------------------------------------------------------------------------


def consumer_retrying(propagation: Propagation | None = None) -> tenacity.Retrying:
    """Return a ``tenacity.Retrying`` for services that do not know a new role or profile yet.

    Use it like any ``tenacity.Retrying``: call it with a function and its arguments, iterate over
    it in a ``for`` loop, use its ``wraps`` as a decorator, or change it by its ``copy``. One object
    serves many calls and many threads.

    >>> retrying = consumer_retrying()
    >>> retrying(str.upper, "in place of ec2.run_instances")
    'IN PLACE OF EC2.RUN_INSTANCES'

    AWS returns the same message for a name that does not exist at all. So a misspelt name fails
    only when the timeout has passed. Every other error is raised immediately.

    Args:
        propagation: Propagation settings. Default: 60 seconds for each call. The pauses are 0.25,
            0.5, 1, 2, 2, ... seconds, each with a jitter of plus or minus half of it.

    Returns:
        A new object. When the timeout has passed, it raises AWS's last error.

    Raises:
        IntentError: If *propagation* is not a `Propagation`.
    """
    given: object = propagation
    if not isinstance(given, Propagation | None):
        reject("propagation", given, "must be a Propagation, with its settings")
    calls = _Calls(propagation or Propagation())
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_too_early),
        wait=calls.pause,
        stop=calls.is_over,
        before=calls.begin,
        before_sleep=calls.log,
        sleep=calls.propagation.sleep,
        reraise=True,
    )


def _rule_of(error: BaseException | None) -> ConsumerRule | None:
    # An error of another library may lack any of these.
    response: Any = getattr(error, "response", None) or {}
    details = response.get("Error") or {}
    operation = getattr(error, "operation_name", None)
    return consumer_rule_for(operation, details.get("Code"), details.get("Message") or "")


def _is_too_early(error: BaseException) -> bool:
    return _rule_of(error) is not None


@attrs.frozen
class _Calls:
    """The timing of calls. Its state is kept on each call's own state, so calls may share it."""

    propagation: Propagation

    def begin(self, state: RetryCallState) -> None:
        """Note when the call began, at its first attempt."""
        vars(state).setdefault("begun", self.propagation.clock())

    def seconds(self, state: RetryCallState) -> float:
        """Return the seconds since the call began."""
        self.begin(state)  # for a copy that has another `before`
        begun: float = vars(state)["begun"]
        return self.propagation.clock() - begun

    def pause(self, state: RetryCallState) -> float:
        """Return the next pause, in seconds."""
        wait = DENSE.wait(state.attempt_number, "")
        return wait.least + self.propagation.random() * (wait.most - wait.least)

    def is_over(self, state: RetryCallState) -> bool:
        """Return whether the next pause would end after the timeout."""
        return self.seconds(state) + state.upcoming_sleep > self.propagation.timeout

    def log(self, state: RetryCallState) -> None:
        """Log the next pause."""
        rule = _rule_of(state.outcome.exception()) if state.outcome else None
        reason = rule.reason if rule else "told to try again"  # a copy may have another `retry`
        event = Waiting(reason=reason, pause=state.upcoming_sleep, seconds=self.seconds(state))
        _log.info("%s", event)
