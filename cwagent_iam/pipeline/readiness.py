"""Waiting until EC2 knows the instance profiles, which is later than IAM's own reads show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cwagent_iam.aws import said
from cwagent_iam.ec2 import wait_for_ec2
from cwagent_iam.errors import IntentError, Problem, PropagationTimeoutError
from cwagent_iam.events import Answered
from cwagent_iam.state import InstanceProfile, State
from cwagent_iam.visibility import EC2Answer, EC2Launch

if TYPE_CHECKING:
    from cwagent_iam.ec2 import EC2Client
    from cwagent_iam.propagation import Run


def launch_for(wait_for: object, desired: State) -> EC2Launch | None:
    """Return the launch that EC2 is to be asked about; `None` if it is not to be asked.

    Raises:
        IntentError: When *wait_for* is nothing that one can wait for, or there is no profile.
    """
    match wait_for:
        case "iam":
            return None
        case "ec2":
            launch = EC2Launch()
        case EC2Launch():
            launch = wait_for
        case _:
            rule = "must be 'iam', 'ec2' or an EC2Launch"
            raise IntentError(problems=(Problem.of("wait_for", wait_for, rule),))
    if not any(isinstance(each, InstanceProfile) for each in desired.entities):
        rule = "needs an instance profile, which is what EC2 is asked about"
        raise IntentError(problems=(Problem.of("wait_for", wait_for, rule),))
    return launch


def ask_about(desired: State, launch: EC2Launch, ec2: Any, run: Run) -> tuple[EC2Answer, ...]:
    """Ask EC2 about each profile of *desired* until it knows it.

    Raises:
        PropagationTimeoutError: When the time is up and EC2 does not know one of them.
    """
    profiles = (each for each in desired.entities if isinstance(each, InstanceProfile))
    return tuple(_ask(profile.name, launch, ec2, run) for profile in profiles)


def _ask(name: str, launch: EC2Launch, ec2: EC2Client, run: Run) -> EC2Answer:
    began, pauses = run.seconds, run.pauses
    answer = wait_for_ec2(
        ec2,
        name,
        launch,
        propagation=run.propagation,
        seconds_left=run.propagation.timeout - began,
        waiting=lambda pause, reason: run.tell_wait(reason, pause),
    )
    run.tell(Answered, answer=answer)
    if answer.visibility == "NOT_YET":
        raise PropagationTimeoutError(
            missing=(),
            unknown_to_ec2=(name,),
            attempts=run.pauses - pauses + 1,
            seconds=run.seconds - began,
            last_error=said(answer.error),
        ) from answer.error
    return answer
