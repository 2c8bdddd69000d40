"""EC2: does it know a fresh profile? Three answers, and nothing is ever launched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import boto3
import pytest
from botocore.exceptions import ClientError

from cwagent_iam import IntentError, PropagationTimeoutError, ensure, ensure_agent_role, events
from cwagent_iam.ec2 import confirmed_by_ec2, launch_for
from cwagent_iam.errors import CredentialsError
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.reconcile.rules import DENSE
from cwagent_iam.requests import Refusal, Reply, Unsent
from cwagent_iam.testing import Fault, laggy_iam
from cwagent_iam.visibility import EC2Answer, EC2Launch
from tests.core import ROLE_PLAN, USER_PLAN, World, pauses, refusal

if TYPE_CHECKING:
    from cwagent_iam import Event
    from cwagent_iam.requests import Outcome, Request
    from tests.conftest import Requests, VirtualTime

NAME = "CloudWatchAgentServerRole"
ARN = f"arn:aws:iam::123456789012:instance-profile/{NAME}"
NOT_KNOWN = (
    f"Value ({NAME}) for parameter iamInstanceProfile.name is invalid. "
    "Invalid IAM Instance Profile name"
)
NO_PROFILE = refusal("InvalidParameterValue", NOT_KNOWN)
NO_ROLE = refusal(
    "InvalidParameterValue", f'IAM Instance Profile "{ARN}" has no associated IAM Roles'
)
GOOD = refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
DENIED_WORDS = "You are not authorized to perform this operation."
DENIED = ("UnauthorizedOperation", DENIED_WORDS)
BY_SCP = ("UnauthorizedOperation", f"{DENIED_WORDS} With an explicit deny in a policy. xxx")
# What says nothing about the profile.
UNKNOWN = {
    "denied": DENIED,
    "denied by a service control policy": BY_SCP,
    "no VPC": ("VPCIdNotSpecified", "No default VPC for this user"),
    "missing": ("MissingParameter", "The request must contain the parameter ImageId"),
    "architecture": (
        "InvalidParameterValue",
        "The architecture 'arm64' of the specified instance type does not match 'x86_64'.",
    ),
    "no image": ("InvalidAMIID.NotFound", "The image id '[ami-1]' does not exist"),
    "throttled": ("RequestLimitExceeded", "Request limit exceeded."),
    "failing": ("InternalError", "An internal error has occurred."),
    "moto's own": ("NoSuchEntity", f"Instance profile {NAME} not found"),
    "without words": ("Unavailable", ""),
}


class TestLaunch:
    """What EC2 is asked to launch."""

    def test_default(self) -> None:
        """By default it is the newest Amazon Linux on a small machine, in every region."""
        assert EC2Launch().arguments == {
            "ImageId": "resolve:ssm:/aws/service/ami-amazon-linux-latest/"
            "al2023-ami-kernel-default-x86_64",
            "InstanceType": "t3.micro",
        }

    def test_arguments(self) -> None:
        """What is given goes to EC2 under AWS's names."""
        launch = EC2Launch(
            image_id="ami-1",
            instance_type="t4g.micro",
            subnet_id="subnet-1",
            security_group_ids=["sg-1", "sg-2"],
            metadata_options={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        )
        assert launch.arguments == {
            "ImageId": "ami-1",
            "InstanceType": "t4g.micro",
            "SubnetId": "subnet-1",
            "SecurityGroupIds": ["sg-1", "sg-2"],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        }

    def test_value(self) -> None:
        """It is a value: it compares and hashes, whatever the order and the kinds given."""
        one = EC2Launch(
            security_group_ids=["sg-1"], metadata_options={"HttpTokens": "x", "HttpEndpoint": "y"}
        )
        two = EC2Launch(
            security_group_ids=("sg-1",), metadata_options={"HttpEndpoint": "y", "HttpTokens": "x"}
        )
        assert one == two
        assert len({one, two, EC2Launch()}) == 2
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            one.image_id = "ami-1"  # type: ignore[misc]

    def test_evolve(self) -> None:
        """A new one is made from another, with all that it has."""
        launch = EC2Launch(security_group_ids=["sg-1"], metadata_options={"HttpTokens": "required"})
        moved = attrs.evolve(launch, subnet_id="subnet-1")
        assert moved.arguments == launch.arguments | {"SubnetId": "subnet-1"}

    @pytest.mark.parametrize(
        ("argument", "value", "where"),
        [
            ("image_id", "", "image_id=''"),
            ("image_id", " ", "image_id=' '"),
            ("image_id", None, "image_id=None"),
            ("image_id", 1, "image_id=1"),
            ("instance_type", "", "instance_type=''"),
            ("instance_type", ["t3.micro"], "instance_type=['t3.micro']"),
            ("subnet_id", "", "subnet_id=''"),
            ("subnet_id", 1, "subnet_id=1"),
            ("security_group_ids", "sg-1", "security_group_ids='sg-1'"),
            ("security_group_ids", None, "security_group_ids=None"),
            ("security_group_ids", {"sg-1": 1}, "security_group_ids={'sg-1': 1}"),
            ("security_group_ids", ["sg-1", ""], "security_group_ids[1]=''"),
            ("security_group_ids", (1,), "security_group_ids[0]=1"),
            ("metadata_options", "required", "metadata_options='required'"),
            ("metadata_options", ["HttpTokens"], "metadata_options=['HttpTokens']"),
            ("metadata_options", ("HttpTokens",), "metadata_options=('HttpTokens',)"),
            ("metadata_options", (("HttpTokens",),), "metadata_options=(('HttpTokens',),)"),
            ("metadata_options", ("ab",), "metadata_options=('ab',)"),
            ("metadata_options", (1,), "metadata_options=(1,)"),
            ("metadata_options", 1, "metadata_options=1"),
            ("metadata_options", {1: "x"}, "metadata_options key=1"),
            ("metadata_options", {"": "x"}, "metadata_options key=''"),
            ("metadata_options", {"HttpTokens": ""}, "metadata_options['HttpTokens']=''"),
            ("metadata_options", {"HttpTokens": True}, "metadata_options['HttpTokens']=True"),
            ("metadata_options", {"HttpTokens": None}, "metadata_options['HttpTokens']=None"),
            ("metadata_options", {"X": ["required"]}, "metadata_options['X']=['required']"),
        ],
    )
    def test_refused(self, argument: str, value: Any, where: str) -> None:
        """What can be no launch is refused before EC2 is asked: argument, value and rule."""
        arguments: dict[str, Any] = {argument: value}
        with pytest.raises(IntentError) as caught:
            EC2Launch(**arguments)
        (problem,) = caught.value.problems
        assert str(problem).startswith(f"{where}: must be ")

    def test_all_at_once(self) -> None:
        """All that is wrong is named at once."""
        bad: dict[str, Any] = {
            "image_id": "",
            "instance_type": 1,
            "subnet_id": "",
            "security_group_ids": ["", 2],
            "metadata_options": {1: None},
        }
        with pytest.raises(IntentError) as caught:
            EC2Launch(**bad)
        assert [problem.argument for problem in caught.value.problems] == [
            "image_id",
            "instance_type",
            "subnet_id",
            "security_group_ids[0]",
            "security_group_ids[1]",
            "metadata_options key",
            "metadata_options[1]",
        ]


def asking(answers: list[Any], **how: Any) -> tuple[World, tuple[EC2Answer, ...]]:
    """Ask an EC2 that answers by a script, whose last answer is for good."""
    world = scripted(answers)
    names = how.pop("names", (NAME,))
    arguments: dict[str, Any] = {"region": None, "timeout": 60.0} | how
    launch = arguments.pop("launch", EC2Launch())
    return world, world.run(confirmed_by_ec2(names, launch, **arguments))


def scripted(answers: list[Any]) -> World:
    """Return a world whose EC2 answers by a script; its last answer is for good."""
    turns = iter(answers)
    last = answers[-1]
    return World(answers=lambda _: next(turns, last))


def missed(answers: list[Any], timeout: float) -> tuple[World, PropagationTimeoutError]:
    """Ask an EC2 that does not know the profile in time."""
    world = scripted(answers)
    with pytest.raises(PropagationTimeoutError) as caught:
        world.run(confirmed_by_ec2([NAME], EC2Launch(), region=None, timeout=timeout))
    return world, caught.value


class TestAsk:
    """What one answer of EC2 means."""

    def test_request(self) -> None:
        """It is asked for a dry run of one instance with the profile, and for nothing else."""
        world, _ = asking([GOOD], launch=EC2Launch(image_id="ami-1", subnet_id="subnet-1"))
        assert world.requests == ["RunInstances"] * 3
        assert world.sends[0][0].arguments == {
            "DryRun": True,
            "MinCount": 1,
            "MaxCount": 1,
            "IamInstanceProfile": {"Name": NAME},
            "ImageId": "ami-1",
            "InstanceType": "t3.micro",
            "SubnetId": "subnet-1",
        }

    def test_visible(self) -> None:
        """A dry run that would succeed means that EC2 knows the profile."""
        _, (answer,) = asking([GOOD], region="eu-west-1")
        reason = "EC2 knows the instance profile (DryRunOperation)"
        assert answer == EC2Answer(
            profile_name=NAME, visibility="VISIBLE", reason=reason, region="eu-west-1"
        )
        assert str(answer) == f"{NAME} is VISIBLE in eu-west-1: {reason}"
        assert str(attrs.evolve(answer, region=None)) == f"{NAME} is VISIBLE: {reason}"

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (NO_PROFILE, "EC2 does not know the instance profile yet"),
            (NO_ROLE, "EC2 does not know yet which role is in the instance profile"),
        ],
    )
    def test_too_early(self, answer: Refusal, reason: str) -> None:
        """Two texts mean that it is too early; each pause says which."""
        world, answers = asking([answer, GOOD])
        assert [each.visibility for each in answers] == ["VISIBLE"]
        assert world.waits[0].reason == f"{reason} (InvalidParameterValue)"

    @pytest.mark.parametrize("found", UNKNOWN.values(), ids=list(UNKNOWN))
    @pytest.mark.parametrize("before", [[], [GOOD], [NO_PROFILE]])
    def test_about_something_else(self, found: tuple[str, str], before: list[Refusal]) -> None:
        """Whatever else EC2 says ends it without a pause, and the reason quotes it."""
        world, (answer,) = asking([*before, refusal(*found)])
        assert answer.visibility == "UNKNOWN"
        assert answer.reason == f"EC2 does not tell ({found[0]}): {found[1]}"
        assert (len(world.sends), len(world.waits)) == (len(before) + 1, len(before))

    def test_no_answer(self) -> None:
        """A request without an answer tells nothing; the reason is one line, with the error."""
        error = ConnectionError("x")
        _, (answer,) = asking([Refusal(code=None, message="Could not:\n  connect", error=error)])
        assert answer.visibility == "UNKNOWN"
        assert answer.reason == "EC2 does not tell (ConnectionError): Could not: connect"
        assert answer.error is error

    def test_no_credentials(self) -> None:
        """A request that could not be signed is an error about credentials, not an answer."""
        with pytest.raises(CredentialsError, match="AssumeRole failed") as caught:
            asking([Unsent(code="AccessDenied", message="No.", step="AssumeRole")])
        assert caught.value.operation == "RunInstances"

    def test_no_dry_run(self) -> None:
        """A success where a dry run was asked for is nothing to rely on, and says so."""
        _, (answer,) = asking([Reply(content={"Instances": [{"InstanceId": "i-1"}]})])
        assert answer.visibility == "UNKNOWN"
        assert "check whether it has launched an instance" in answer.reason


class TestWait:
    """How long it asks."""

    def test_three_in_a_row(self) -> None:
        """EC2 must know a profile three times in a row, half a second apart."""
        world, _ = asking([GOOD, GOOD, NO_ROLE, GOOD])
        assert len(world.sends) == 6
        assert pauses(world) == [0.5, 0.5, 0.25, 0.5, 0.5]
        assert [each.reason for each in world.waits][:2] == [
            f"EC2 knows the instance profile, asked {times} of 3 times" for times in (1, 2)
        ]

    def test_dense_and_flat(self) -> None:
        """Pauses after a miss grow to two seconds, and end within the time."""
        world, error = missed([NO_PROFILE], 10)
        assert pauses(world)[:5] == [0.25, 0.5, 1, 2, 2]
        assert error.seconds == pytest.approx(sum(pauses(world)))
        assert 9 < error.seconds <= 10

    @pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
    @pytest.mark.parametrize("timeout", [0, 0.3, 5.0, 60.0])
    def test_bound(self, chance: float, timeout: float) -> None:
        """Pauses end within the time, or after the least first pause if that is longer."""
        world = scripted([NO_PROFILE])
        world.chance = chance
        with pytest.raises(PropagationTimeoutError) as caught:
            world.run(confirmed_by_ec2([NAME], EC2Launch(), region=None, timeout=timeout))
        assert caught.value.seconds <= max(timeout, DENSE.wait(1, "").least)

    def test_out_of_time(self) -> None:
        """The error names the profile, how often EC2 was asked, and EC2's own last words."""
        cause = ValueError("of the SDK")
        world, error = missed([GOOD, attrs.evolve(NO_PROFILE, error=cause)], 0)
        assert (error.unknown_to_ec2, error.missing) == ((NAME,), ())
        assert (error.attempts, len(world.waits)) == (3, 1)
        assert error.last_error == f"InvalidParameterValue: {NOT_KNOWN}"
        assert error.__cause__ is cause

    @pytest.mark.parametrize("timeout", [0, 0.1])
    def test_one_pause(self, timeout: float) -> None:
        """Without enough time, one pause precedes the error, and may make it unnecessary."""
        world, error = missed([NO_PROFILE], timeout)
        assert (error.attempts, error.seconds, len(world.waits)) == (2, 0.125, 1)
        _, (answer,) = asking([NO_PROFILE, GOOD], timeout=timeout)
        assert answer.visibility == "VISIBLE"

    def test_no_time(self) -> None:
        """Without any time it is asked on, without pauses, as long as it knows the profile."""
        world, (answer,) = asking([GOOD], timeout=0)
        assert (answer.visibility, len(world.sends), world.waits) == ("VISIBLE", 3, [])

    def test_several(self) -> None:
        """Several profiles are asked about side by side, until all are known or one cannot be."""
        answers: dict[str, list[Outcome]] = {
            "a": [GOOD] * 3,
            "b": [NO_PROFILE, GOOD, GOOD, GOOD],
            "c": [refusal(*DENIED)],
        }

        def answer(request: Request) -> Outcome:
            return answers[request.arguments["IamInstanceProfile"]["Name"]].pop(0)

        world = World(answers=answer)
        steps = confirmed_by_ec2("abc", EC2Launch(), region=None, timeout=60.0)
        found = world.run(steps)
        assert [each.visibility for each in found] == ["VISIBLE", "VISIBLE", "UNKNOWN"]
        assert [len(some) for some in world.sends] == [3, 2, 2, 1]
        assert pauses(world) == [0.25, 0.5, 0.5]
        told = [each.answer for each in world.events(events.Answered)]
        assert tuple(told) == found

    def test_none(self) -> None:
        """Without a profile there is nothing to ask."""
        world, answers = asking([GOOD], names=())
        assert (answers, world.effects) == ((), [])


class TestChoice:
    """What can be waited for."""

    def test_launch(self) -> None:
        """EC2 is asked about the usual launch, about the caller's own, or not at all."""
        launch = EC2Launch(instance_type="c7g.large")
        assert launch_for("iam", USER_PLAN) is None
        assert launch_for("ec2", ROLE_PLAN) == EC2Launch()
        assert launch_for(launch, ROLE_PLAN) is launch

    @pytest.mark.parametrize("wait_for", ["EC2", "", None, 5, True, EC2Launch, ["ec2"]])
    def test_wrong_kind(self, wait_for: Any) -> None:
        """What cannot be waited for is refused by name, value and rule."""
        with pytest.raises(IntentError, match=r"^wait_for=.*: must be 'iam', 'ec2' or an EC2L"):
            launch_for(wait_for, ROLE_PLAN)

    @pytest.mark.parametrize("wait_for", ["ec2", EC2Launch()])
    @pytest.mark.parametrize("desired", [USER_PLAN, plan_agent_role(instance_profile=False)])
    def test_no_profile(self, wait_for: Any, desired: Any) -> None:
        """Without an instance profile there is nothing to ask EC2 about."""
        with pytest.raises(IntentError, match="needs an instance profile"):
            launch_for(wait_for, desired)


def dry_run(**_arguments: object) -> None:
    """Answer as EC2 does once it knows the profile."""
    reply: Any = {"Error": {"Code": "DryRunOperation", "Message": GOOD.message}}
    raise ClientError(reply, "RunInstances")


KNOWING = SimpleNamespace(run_instances=dry_run)
# Seeds with which EC2 does not know the profile at first.
SEEDS = {"typical": 2, "adversarial": 4}


class TestWholeCall:
    """Waiting for EC2 as a part of `ensure`."""

    @pytest.mark.parametrize("profile", ["typical", "adversarial"])
    def test_visible(self, profile: str) -> None:
        """A role that was waited for is one that EC2 has known three times in a row."""
        told: list[Event] = []
        with laggy_iam(profile, seed=SEEDS[profile]) as lagging:
            role = ensure_agent_role(
                session=lagging.session,
                propagation=attrs.evolve(lagging.propagation, max_in_flight=1),
                wait_for="ec2",
                on_event=told.append,
            )
            asked = [each.outcome for each in lagging.trace if each.operation == "RunInstances"]
            ec2 = lagging.client("x", "ec2")
            assert ec2.describe_instances()["Reservations"] == []
        (answer,) = role.ec2
        assert (answer.visibility, answer.region) == ("VISIBLE", "us-east-1")
        assert asked[-3:] == ["412 DryRunOperation"] * 3
        assert [type(each).__name__ for each in told[-2:]] == ["Answered", "Done"]
        assert str(answer) in str(role)
        verified = next(n for n, each in enumerate(told) if isinstance(each, events.Verified))
        assert any("EC2 does not know" in str(each) for each in told[verified:])

    def test_time_is_up(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """All was made, but EC2 does not know it in time: the error has what was applied."""

        def refuse(**_arguments: object) -> None:
            reply: Any = {"Error": {"Code": "InvalidParameterValue", "Message": NOT_KNOWN}}
            raise ClientError(reply, "RunInstances")

        ec2 = SimpleNamespace(run_instances=refuse)
        waiting = virtual_time.propagation(timeout=10)
        with pytest.raises(PropagationTimeoutError) as caught:
            ensure_agent_role(session=session, ec2=ec2, propagation=waiting, wait_for="ec2")
        assert len(caught.value.applied) == 4
        assert f"Not visible yet: instance-profile {NAME} in EC2." in str(caught.value)
        assert isinstance(caught.value.__cause__, ClientError)

    @pytest.mark.parametrize("outcome", ["Throttling", "ServiceFailure", "connection refused"])
    def test_unknown(self, outcome: Any) -> None:
        """Where EC2 does not tell, the call ends well all the same, and the result says why."""
        with laggy_iam("off") as lagging:
            for _ in range(20):
                lagging.fail(Fault(outcome, "RunInstances"))
            waiting = attrs.evolve(lagging.propagation, max_in_flight=1)
            role = ensure_agent_role(session=lagging.session, propagation=waiting, wait_for="ec2")
        (answer,) = role.ec2
        assert answer.visibility == "UNKNOWN"
        assert answer.reason.startswith("EC2 does not tell (")
        assert len(role.changes) == 4

    def test_given_launch(self, session: boto3.Session) -> None:
        """EC2 is asked about the launch that the caller describes, with the caller's client."""
        asked: list[Any] = []
        ec2: Any = session.client("ec2", region_name="eu-west-1")
        ec2.meta.events.register(
            "before-parameter-build.ec2.RunInstances", lambda params, **_: asked.append(params)
        )
        launch = EC2Launch(instance_type="c7g.large", metadata_options={"HttpTokens": "required"})
        role = ensure_agent_role(session=session, ec2=ec2, wait_for=launch)
        assert [(each.visibility, each.region) for each in role.ec2] == [("VISIBLE", "eu-west-1")]
        assert {each["InstanceType"] for each in asked} == {"c7g.large"}
        assert asked[0]["MetadataOptions"] == {"HttpTokens": "required"}
        assert ec2.describe_instances()["Reservations"] == []

    def test_misspelt_option(self, session: boto3.Session) -> None:
        """An option that botocore does not know makes the answer UNKNOWN, and names it."""
        launch = EC2Launch(metadata_options={"HttpToken": "required"})
        (answer,) = ensure_agent_role(session=session, wait_for=launch).ec2
        assert answer.visibility == "UNKNOWN"
        assert "HttpToken" in answer.reason

    def test_client_without_a_region(self, session: boto3.Session) -> None:
        """A client that has no more than the operation will do; it names no Region."""
        (answer,) = ensure_agent_role(session=session, ec2=KNOWING, wait_for="ec2").ec2
        assert (answer.visibility, answer.region) == ("VISIBLE", None)

    def test_client_that_cannot_be_built(self) -> None:
        """Settings that no client can be built of are told as for all other services."""
        session = boto3.Session(region_name="no region")
        with pytest.raises(CredentialsError, match="no region"):
            ensure_agent_role(session=session, wait_for="ec2")

    @pytest.mark.parametrize("applied", [True, False])
    def test_interrupt(self, session: boto3.Session, applied: bool) -> None:  # noqa: FBT001
        """An interrupt while EC2 is asked says what was applied, if anything was."""
        if not applied:
            ensure_agent_role(session=session)

        def stop(event: Event) -> None:
            if isinstance(event, events.Answered):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            ensure_agent_role(session=session, ec2=KNOWING, wait_for="ec2", on_event=stop)
        notes = "".join(getattr(caught.value, "__notes__", []))
        assert notes.startswith("Already applied: CreateRole") == applied

    def test_nothing_is_sent(self, session: boto3.Session, requests: Requests) -> None:
        """What cannot be waited for is refused before any request."""
        wrong: Any = "EC2"
        with pytest.raises(IntentError):
            ensure_agent_role(session=session, wait_for=wrong)
        with pytest.raises(IntentError):
            ensure(plan_agent_user(), session=session, wait_for="ec2")
        assert requests.sent == []
        assert ensure_agent_role(session=session).ec2 == ()
