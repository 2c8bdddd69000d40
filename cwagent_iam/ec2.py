"""Does EC2 know the instance profile? Asked without launching anything.

EC2 learns of a profile seconds later than IAM's own reads show it, and tells only when it is asked
to launch. So it is asked for a dry run, which launches nothing, and from the answer only what it
says about the profile is used: whatever else may be wrong with the launch is not our question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from cwagent_iam.aws import AWS_ERRORS, code_of, reason_of
from cwagent_iam.consumers import consumer_rule_for
from cwagent_iam.display import one_line
from cwagent_iam.propagation import DENSE
from cwagent_iam.visibility import EC2Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam.propagation import Propagation
    from cwagent_iam.visibility import EC2Launch, Visibility

IN_A_ROW = 3
"""How often EC2 must know the profile without a miss: it answers from more than one place."""

_BETWEEN = 0.5


class EC2Client(Protocol):
    """The operation of EC2 that this library calls; any boto3 client for EC2 has it."""

    def run_instances(self, *args: Any, **arguments: Any) -> object:
        """Launch instances; this library asks for dry runs only."""


def ask_ec2(ec2: EC2Client, profile_name: str, launch: EC2Launch) -> EC2Answer:
    """Ask once, by a dry run, whether EC2 knows an instance profile and the role in it.

    No error of AWS is raised: one that says nothing of the profile makes the answer UNKNOWN.

    Args:
        ec2: A client, in the region that matters. Its own retries take care of throttling.
        profile_name: The name of the instance profile.
        launch: What else to ask for.

    Returns:
        The answer.
    """
    region = getattr(getattr(ec2, "meta", None), "region_name", None)
    try:
        ec2.run_instances(
            **launch.arguments,
            IamInstanceProfile={"Name": profile_name},
            MinCount=1,
            MaxCount=1,
            DryRun=True,
        )
    except AWS_ERRORS as error:
        visibility, reason = _meaning(error)
        return EC2Answer(
            profile_name=profile_name,
            visibility=visibility,
            reason=reason,
            region=region,
            error=error,
        )
    reason = "EC2 did not answer with DryRunOperation: look whether it has launched an instance"
    return EC2Answer(profile_name=profile_name, visibility="UNKNOWN", reason=reason, region=region)


def _meaning(error: BaseException) -> tuple[Visibility, str]:
    code, rule = code_of(error), consumer_rule_for(error)
    if code == "DryRunOperation":
        return "VISIBLE", f"EC2 knows the instance profile ({code})"
    if rule:
        return "NOT_YET", f"{rule.reason} ({code})"
    words = one_line(" ".join(reason_of(error).split()))
    return "UNKNOWN", f"EC2 does not tell ({code or type(error).__name__}): {words}"


def wait_for_ec2(
    ec2: EC2Client,
    profile_name: str,
    launch: EC2Launch,
    *,
    propagation: Propagation,
    seconds_left: float,
    waiting: Callable[[float, str], None],
) -> EC2Answer:
    """Ask until EC2 has known an instance profile three times in a row.

    Args:
        ec2: As for `ask_ec2`.
        profile_name: As for `ask_ec2`.
        launch: As for `ask_ec2`.
        propagation: Its clock, sleep and chance; its timeout is not looked at.
        seconds_left: How long from now waits may last. Afterwards it goes on asking, without
            pauses, only as long as EC2 knows the profile.
        waiting: Called before each pause with its seconds and its reason.

    Returns:
        VISIBLE; the last NOT_YET when the time is up; or the first UNKNOWN, at once.
    """
    end = propagation.clock() + seconds_left
    hits = misses = 0
    while True:
        answer = ask_ec2(ec2, profile_name, launch)
        if answer.visibility == "UNKNOWN":
            return answer
        if answer.visibility == "VISIBLE":
            hits, pause = hits + 1, _BETWEEN
            reason = f"EC2 knows the instance profile, asked {hits} of {IN_A_ROW} times"
        else:
            hits, misses, reason = 0, misses + 1, answer.reason
            pause = DENSE.seconds(misses, propagation.random())
        in_time = propagation.clock() + pause <= end
        if hits == IN_A_ROW or not (hits or in_time):
            return answer
        if in_time:
            waiting(pause, reason)
            propagation.sleep(pause)
