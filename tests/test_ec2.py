"""Whether EC2 knows a fresh profile: three answers, and nothing is ever launched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
import tenacity
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from cwagent_iam import IntentError, ensure_agent_role
from cwagent_iam.ec2 import EC2Client, ask_ec2, wait_for_ec2
from cwagent_iam.testing import Profile, laggy_iam
from cwagent_iam.testing.lagging.profiles import Fixed
from cwagent_iam.visibility import EC2Answer, EC2Launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from cwagent_iam.testing import LaggyIAM
    from cwagent_iam.visibility import Visibility
    from tests.conftest import VirtualTime

NAME = "CloudWatchAgentServerRole"
ARN = f"arn:aws:iam::123456789012:instance-profile/{NAME}"
NOT_KNOWN = (
    f"Value ({NAME}) for parameter iamInstanceProfile.name is invalid. "
    "Invalid IAM Instance Profile name"
)
NO_PROFILE = ("InvalidParameterValue", NOT_KNOWN)
NO_ROLE = ("InvalidParameterValue", f'IAM Instance Profile "{ARN}" has no associated IAM Roles')
GOOD = ("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
DENIED = ("UnauthorizedOperation", "You are not authorized to perform this operation.")
BY_SCP = (
    "UnauthorizedOperation",
    "You are not authorized to perform this operation, with an explicit deny in a policy. xxx",
)
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
TRUST = '{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}}}'


@attrs.define
class Scripted:
    """A client of EC2 that answers by a script, whose last answer is for good."""

    answers: list[Any]
    asked: list[dict[str, Any]] = attrs.field(factory=list)

    def run_instances(self, **arguments: Any) -> dict[str, Any]:
        """Answer one request."""
        self.asked.append(arguments)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, tuple):
            code, words = answer
            raise ClientError({"Error": {"Code": code, "Message": words}}, "RunInstances")
        if isinstance(answer, BaseException):
            raise answer
        reply: dict[str, Any] = answer
        return reply


def ask(answer: Any) -> EC2Answer:
    """Ask a client that gives one answer."""
    return ask_ec2(Scripted([answer]), NAME, EC2Launch())


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


class TestAsk:
    """What one answer of EC2 means."""

    def test_request(self) -> None:
        """It is asked for a dry run of one instance with the profile, and for nothing else."""
        ec2 = Scripted([GOOD])
        ask_ec2(ec2, NAME, EC2Launch(image_id="ami-1", subnet_id="subnet-1"))
        assert ec2.asked == [
            {
                "DryRun": True,
                "MinCount": 1,
                "MaxCount": 1,
                "IamInstanceProfile": {"Name": NAME},
                "ImageId": "ami-1",
                "InstanceType": "t3.micro",
                "SubnetId": "subnet-1",
            }
        ]

    @pytest.mark.parametrize(
        ("found", "visibility", "reason"),
        [
            (GOOD, "VISIBLE", "EC2 knows the instance profile (DryRunOperation)"),
            (
                NO_PROFILE,
                "NOT_YET",
                "EC2 does not know the instance profile yet (InvalidParameterValue)",
            ),
            (
                NO_ROLE,
                "NOT_YET",
                f"EC2 does not know yet which role is in the instance profile ({NO_ROLE[0]})",
            ),
        ],
        ids=["visible", "no profile", "no role"],
    )
    def test_about_the_profile(
        self, found: tuple[str, str], visibility: Visibility, reason: str
    ) -> None:
        """A dry run that would succeed is good; two texts mean that it is too early."""
        assert ask(found) == EC2Answer(profile_name=NAME, visibility=visibility, reason=reason)

    @pytest.mark.parametrize("found", UNKNOWN.values(), ids=list(UNKNOWN))
    def test_about_something_else(self, found: tuple[str, str]) -> None:
        """Whatever else EC2 says tells nothing of the profile, and the reason quotes it."""
        answer = ask(found)
        assert answer.visibility == "UNKNOWN"
        assert answer.reason == f"EC2 does not tell ({found[0]}): {found[1]}"

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (EndpointConnectionError(endpoint_url="x"), "Could not connect to the endpoint URL"),
            (NoCredentialsError(), "Unable to locate credentials"),
            (ParamValidationError(report="a:\n  X"), "Parameter validation failed: a: X"),
            (KeyError("Code"), "'Code'"),
        ],
        ids=["unreachable", "no credentials", "not sent", "no XML of EC2"],
    )
    def test_no_answer(self, error: BaseException, words: str) -> None:
        """An error of botocore's is no answer, and none is raised; the reason is one line."""
        answer = ask(error)
        assert answer.visibility == "UNKNOWN"
        assert answer.reason.startswith(f"EC2 does not tell ({type(error).__name__}): {words}")

    def test_no_dry_run(self) -> None:
        """A success where a dry run was asked for is nothing to rely on, and says so."""
        answer = ask({"Instances": [{"InstanceId": "i-1"}]})
        assert answer.visibility == "UNKNOWN"
        assert "look whether it has launched an instance" in answer.reason

    @pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()], ids=repr)
    def test_not_from_aws(self, error: BaseException) -> None:
        """What does not come from AWS passes through."""
        with pytest.raises(type(error)):
            ask(error)

    def test_region(self, session: boto3.Session) -> None:
        """An answer names the region, as it holds for no other."""
        made_in: Any = session
        ec2: EC2Client = made_in.client("ec2", region_name="eu-west-1")
        ensure_agent_role(session=session)
        answer = ask_ec2(ec2, NAME, EC2Launch())
        assert str(answer) == (
            f"{NAME} is VISIBLE in eu-west-1: EC2 knows the instance profile (DryRunOperation)"
        )
        assert (
            str(ask(GOOD)) == f"{NAME} is VISIBLE: EC2 knows the instance profile (DryRunOperation)"
        )


@attrs.define
class Waited:
    """What was said before each pause."""

    pauses: list[tuple[float, str]] = attrs.field(factory=list)
    clock: Callable[[], float] = lambda: 0.0
    times: list[float] = attrs.field(factory=list)

    def note(self, seconds: float, reason: str) -> None:
        """Take note of a pause, and of the time before it."""
        self.pauses.append((seconds, reason))
        self.times.append(self.clock())


@attrs.define
class Wait:
    """A wait in virtual time."""

    time: VirtualTime
    waited: Waited = attrs.field(factory=Waited)

    def until(self, ec2: EC2Client, seconds_left: float = 60.0) -> EC2Answer:
        """Wait for a scripted client."""
        return wait_for_ec2(
            ec2,
            NAME,
            EC2Launch(),
            propagation=self.time.propagation(),
            seconds_left=seconds_left,
            waiting=self.waited.note,
        )


@pytest.fixture
def wait(virtual_time: VirtualTime) -> Wait:
    """A wait that has not begun."""
    return Wait(virtual_time)


class TestWait:
    """How long it asks."""

    def test_three_in_a_row(self, wait: Wait) -> None:
        """It ends well when EC2 has known the profile three times, with short pauses between."""
        ec2 = Scripted([GOOD])
        assert wait.until(ec2).visibility == "VISIBLE"
        assert (len(ec2.asked), wait.time.slept) == (3, [0.5, 0.5])

    def test_flapping(self, wait: Wait) -> None:
        """A miss makes the count begin anew."""
        ec2 = Scripted([NO_PROFILE, GOOD, GOOD, NO_ROLE, GOOD, NO_ROLE, GOOD])
        assert wait.until(ec2).visibility == "VISIBLE"
        assert len(ec2.asked) == 9
        assert wait.time.slept == [0.25, 0.5, 0.5, 0.5, 0.5, 1, 0.5, 0.5]

    def test_dense_and_flat(self, wait: Wait) -> None:
        """Pauses after a miss grow to two seconds, and end within the time that was left."""
        ec2 = Scripted([NO_PROFILE])
        answer = wait.until(ec2, seconds_left=10)
        assert answer == ask(NO_PROFILE)
        assert wait.time.slept == [0.25, 0.5, 1, 2, 2, 2, 2]

    def test_to_the_last(self, wait: Wait) -> None:
        """A pause that ends just when the time is up is still made."""
        assert wait.until(Scripted([NO_PROFILE]), seconds_left=0.75).visibility == "NOT_YET"
        assert wait.time.slept == [0.25, 0.5]

    @pytest.mark.parametrize("found", UNKNOWN.values(), ids=list(UNKNOWN))
    def test_unknown(self, wait: Wait, found: tuple[str, str]) -> None:
        """Whatever says nothing of the profile ends it at once, without a pause."""
        ec2 = Scripted([found])
        assert wait.until(ec2) == ask(found)
        assert (len(ec2.asked), wait.time.slept) == (1, [])

    @pytest.mark.parametrize("before", [GOOD, NO_PROFILE], ids=["visible", "not yet"])
    def test_unknown_later(self, wait: Wait, before: tuple[str, str]) -> None:
        """That is so after other answers too."""
        ec2 = Scripted([before, DENIED])
        assert wait.until(ec2).visibility == "UNKNOWN"
        assert (len(ec2.asked), len(wait.time.slept)) == (2, 1)

    @pytest.mark.parametrize("seconds_left", [0.0, -1.0])
    def test_no_time(self, wait: Wait, seconds_left: float) -> None:
        """Without any time left it still asks, and pauses never."""
        assert wait.until(Scripted([NO_PROFILE]), seconds_left).visibility == "NOT_YET"
        ec2 = Scripted([GOOD])
        assert wait.until(ec2, seconds_left).visibility == "VISIBLE"
        assert (len(ec2.asked), wait.time.slept) == (3, [])

    def test_flapping_without_time(self, wait: Wait) -> None:
        """One good answer is not enough, even when the time is up."""
        answer = wait.until(Scripted([GOOD, GOOD, NO_ROLE]), 0.7)
        assert answer == ask(NO_ROLE)
        assert wait.time.slept == [0.5]

    def test_slow_requests_count(self, wait: Wait) -> None:
        """The time that requests take is time too."""

        class Slow(Scripted):
            """Takes four seconds for each request."""

            def run_instances(self, **arguments: Any) -> dict[str, Any]:
                """Answer late."""
                wait.time.now += 4
                return super().run_instances(**arguments)

        ec2 = Slow([NO_PROFILE])
        assert wait.until(ec2, seconds_left=10).visibility == "NOT_YET"
        assert (len(ec2.asked), wait.time.slept) == (3, [0.25, 0.5])

    def test_waiting_is_told(self, wait: Wait) -> None:
        """Each pause is told beforehand, with its seconds and its reason."""
        wait.waited.clock = wait.time.clock
        wait.until(Scripted([NO_PROFILE, GOOD]))
        assert wait.waited.pauses == [
            (0.25, ask(NO_PROFILE).reason),
            (0.5, "EC2 knows the instance profile, asked 1 of 3 times"),
            (0.5, "EC2 knows the instance profile, asked 2 of 3 times"),
        ]
        assert [seconds for seconds, _ in wait.waited.pauses] == wait.time.slept
        assert wait.waited.times == [1000, 1000.25, 1000.75]

    @pytest.mark.parametrize(("chance", "first"), [(0.0, 0.125), (1.0, 0.375)])
    def test_jitter(self, wait: Wait, chance: float, first: float) -> None:
        """Chance spreads the pauses after a miss."""
        propagation = attrs.evolve(wait.time.propagation(), random=lambda: chance)
        wait_for_ec2(
            Scripted([NO_PROFILE, GOOD]),
            NAME,
            EC2Launch(),
            propagation=propagation,
            seconds_left=60,
            waiting=wait.waited.note,
        )
        assert wait.time.slept == [first, 0.5, 0.5]


class TestSandbox:
    """The same with boto3's client, in memory."""

    def test_nothing_is_launched(self, session: boto3.Session) -> None:
        """However often it asks, no instance is there afterwards."""
        ensure_agent_role(session=session)
        made_in: Any = session
        ec2 = made_in.client("ec2")
        assert ask_ec2(ec2, NAME, EC2Launch()).visibility == "VISIBLE"
        in_place = EC2Launch(
            subnet_id="subnet-1",
            security_group_ids=["sg-1"],
            metadata_options={"HttpTokens": "required"},
        )
        assert ask_ec2(ec2, NAME, in_place).visibility == "VISIBLE"
        assert ask_ec2(ec2, "absent", EC2Launch()).visibility == "UNKNOWN"
        assert ec2.describe_instances()["Reservations"] == []

    def test_misspelt_option(self, session: boto3.Session) -> None:
        """An option that botocore does not know makes the answer UNKNOWN, and names it."""
        made_in: Any = session
        launch = EC2Launch(metadata_options={"HttpToken": "required"})
        answer = ask_ec2(made_in.client("ec2"), NAME, launch)
        assert answer.visibility == "UNKNOWN"
        assert "HttpToken" in answer.reason


def make_profile(lagging: LaggyIAM) -> None:
    """Make a role and its profile with plain boto3, and wait until IAM itself shows both."""
    iam = lagging.client("maker")
    patiently = tenacity.Retrying(wait=tenacity.wait_fixed(0.5), sleep=lagging.clock.sleep)
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName=NAME)
    patiently(iam.add_role_to_instance_profile, InstanceProfileName=NAME, RoleName=NAME)
    shown = patiently.copy(retry=patiently.retry | tenacity.retry_if_result(is_empty))
    shown(iam.get_instance_profile, InstanceProfileName=NAME)


def is_empty(reply: Any) -> bool:
    """Say whether a profile is shown without its role."""
    return not reply["InstanceProfile"]["Roles"]


@pytest.fixture
def lagging() -> Iterator[LaggyIAM]:
    """An IAM in which two replicas of EC2 learn of a profile after 4 seconds, the third after 9."""
    profile = Profile(
        lags={"ec2": Fixed(4, 4, 9)}, router="alternate", stale_writes=0.0, half_built=0.0
    )
    with laggy_iam(profile) as opened:
        yield opened


class TestLag:
    """EC2 learns later than IAM."""

    def test_flapping(self, lagging: LaggyIAM) -> None:
        """Good answers of two replicas do not end the wait while the third knows nothing."""
        make_profile(lagging)
        ec2, waited = lagging.client("launcher", "ec2"), Waited()
        answer = wait_for_ec2(
            ec2,
            NAME,
            EC2Launch(),
            propagation=lagging.propagation,
            seconds_left=60,
            waiting=waited.note,
        )
        assert answer.visibility == "VISIBLE"
        assert 9 <= lagging.clock.elapsed < 14
        reasons = [reason.partition(" (")[0] for _, reason in waited.pauses]
        known = reasons.index("EC2 knows the instance profile, asked 2 of 3 times")
        assert "EC2 does not know the instance profile yet" in reasons[known:]
        assert ec2.describe_instances()["Reservations"] == []

    def test_out_of_time(self, lagging: LaggyIAM) -> None:
        """When the time is up before EC2 knows, the answer is NOT_YET."""
        make_profile(lagging)
        answer = wait_for_ec2(
            lagging.client("launcher", "ec2"),
            NAME,
            EC2Launch(),
            propagation=lagging.propagation,
            seconds_left=3,
            waiting=Waited().note,
        )
        assert answer.visibility == "NOT_YET"
        assert lagging.clock.elapsed < 5

    def test_usual_day(self) -> None:
        """On usual days EC2 does not know a profile that IAM shows, and some seconds later does."""
        waits = []
        for seed in range(10):
            with laggy_iam("typical", seed=seed) as lagging:
                make_profile(lagging)
                ec2, waited = lagging.client("launcher", "ec2"), Waited()
                begun = lagging.clock.elapsed
                answer = wait_for_ec2(
                    ec2,
                    NAME,
                    EC2Launch(),
                    propagation=lagging.propagation,
                    seconds_left=60,
                    waiting=waited.note,
                )
                assert answer.visibility == "VISIBLE"
                assert ec2.describe_instances()["Reservations"] == []
                if "EC2 does not know" in waited.pauses[0][1]:
                    waits.append(lagging.clock.elapsed - begun)
        assert len(waits) > 5
        assert min(waits) > 1
        assert max(waits) < 60
