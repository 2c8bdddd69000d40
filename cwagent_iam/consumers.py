"""For callers who hand a fresh role or instance profile to a service themselves.

Other services learn of what is new in IAM later than IAM's own reads show it, and refuse it until
then. Each row of the table is such a refusal: nothing was made, so the request can be sent again.

Sources: the texts that users of AWS observed. Texts about something else are left out on purpose,
such as a load balancer or a cluster that is missing, and so is throttling.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs
import tenacity

from cwagent_iam.aws import code_of, reason_of
from cwagent_iam.events import Waiting
from cwagent_iam.propagation import DENSE, Propagation

if TYPE_CHECKING:
    from tenacity import RetryCallState

_log = logging.getLogger("cwagent_iam")


@attrs.frozen
class ConsumerRule:
    """How a service says that an identity is not visible to it yet.

    Attributes:
        operations: The operations that it is for.
        code: AWS's code.
        fragment: A part of AWS's words, in lower case, because the codes mean many things.
        reason: What they mean.
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
"""What fits none of them is no matter of time."""


def consumer_rule_for(error: BaseException | None) -> ConsumerRule | None:
    """Find the rule that says that *error* is a matter of time; `None` if it is not."""
    if error is None or not getattr(error, "response", None):
        return None  # no error, no answer, or an answer without a word
    code, words = code_of(error), reason_of(error).lower()
    operation = getattr(error, "operation_name", None)
    fitting = (
        rule
        for rule in CONSUMER_RULES
        if operation in rule.operations and rule.code == code and rule.fragment in words
    )
    return next(fitting, None)


def consumer_retrying(propagation: Propagation | None = None) -> tenacity.Retrying:
    """Return what repeats a request while a service does not know a fresh role or profile.

    It is a ``tenacity.Retrying`` and can be used as any of them: called with a function and its
    arguments, in a ``for`` loop, by its ``wraps`` as a decorator, changed by its ``copy``. One
    object does for many calls, and for many threads.

    >>> retrying = consumer_retrying()
    >>> retrying(str.upper, "in place of ec2.run_instances")
    'IN PLACE OF EC2.RUN_INSTANCES'

    AWS refuses what does not exist at all in the very same words: a misspelt name fails only when
    the time is up. Every other error is raised at once.

    Args:
        propagation: How to wait; its time begins anew with each call. By default at most 60
            seconds, in pauses of 0.25, 0.5, 1, 2, 2, ... seconds, each half as long up to half
            as long again.

    Returns:
        A new object. When the time is up it raises AWS's own last error.
    """
    calls = _Calls(propagation or Propagation())
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_too_early),
        wait=calls.pause,
        stop=calls.is_over,
        before=calls.begin,
        before_sleep=calls.tell,
        sleep=calls.propagation.sleep,
        reraise=True,
    )


def _is_too_early(error: BaseException) -> bool:
    return consumer_rule_for(error) is not None


@attrs.frozen
class _Calls:
    """How calls wait; what one call must remember is kept on its own state, so any number may."""

    propagation: Propagation

    def begin(self, state: RetryCallState) -> None:
        """Note when the call began; nothing new at its later attempts."""
        vars(state).setdefault("begun", self.propagation.clock())

    def seconds(self, state: RetryCallState) -> float:
        """Tell how long the call has been going on."""
        self.begin(state)  # for a copy that has another `before`
        begun: float = vars(state)["begun"]
        return self.propagation.clock() - begun

    def pause(self, state: RetryCallState) -> float:
        """Say how long to wait now."""
        return DENSE.seconds(state.attempt_number, self.propagation.random())

    def is_over(self, state: RetryCallState) -> bool:
        """Say whether the next wait would end too late."""
        return self.seconds(state) + state.upcoming_sleep > self.propagation.timeout

    def tell(self, state: RetryCallState) -> None:
        """Log the next wait."""
        rule = consumer_rule_for(state.outcome.exception()) if state.outcome else None
        reason = rule.reason if rule else "told to try again"  # a copy may have another `retry`
        event = Waiting(reason=reason, pause=state.upcoming_sleep, seconds=self.seconds(state))
        _log.info("%s", event)
