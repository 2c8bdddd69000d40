"""Callers who hand a fresh role or profile to a service wait by one table, and for nothing else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import boto3
import pytest
import tenacity
from botocore.exceptions import ClientError, ConnectTimeoutError, ParamValidationError

from cwagent_iam import IntentError
from cwagent_iam.ec2 import CONSUMER_RULES, consumer_retrying, consumer_rule_for
from cwagent_iam.testing import laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import VirtualTime

ARN = "arn:aws:iam::123456789012:instance-profile/P"
NO_NAME = "Value (P) for parameter {} is invalid. Invalid IAM Instance Profile name"
NO_ARN = f"Value ({ARN}) for parameter iamInstanceProfile.arn is invalid. "
NO_ROLE = f'IAM Instance Profile "{ARN}" has no associated IAM Roles'
NOT_ASSUMED = "The role defined for the function cannot be assumed by Lambda."
NO_PERMISSIONS = (
    "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
)
NO_GRANT = (
    "Lambda was unable to configure access to your environment variables because the KMS key is "
    "invalid for CreateGrant. Please check your KMS key settings. KMS Exception: "
    "InvalidArnException KMS Message: ARN does not refer to a valid principal"
)
NOT_PROPER = (
    "Unable to assume role and validate the listeners configured on your load balancer. Please "
    "verify that the ECS service role being passed has the proper permissions."
)
NOT_LINKED = (
    "Unable to assume the service linked role. Please verify that the ECS service linked role "
    "exists."
)
NO_TEMPLATE = "You must use a valid fully-formed launch template. " + NO_NAME.format(
    "iamInstanceProfile.name"
)


class Case(NamedTuple):
    """An answer of AWS: the operation, the code, the words."""

    operation: str
    code: str
    words: str

    @property
    def error(self) -> ClientError:
        """What botocore raises for it."""
        return ClientError({"Error": {"Code": self.code, "Message": self.words}}, self.operation)


VALUE = "InvalidParameterValue"
LAMBDA = "InvalidParameterValueException"
ECS = "InvalidParameterException"
PROFILE_OF_SPOT = "launchSpecification.iamInstanceProfile.name"
TOO_EARLY = [
    Case("RunInstances", VALUE, NO_NAME.format("iamInstanceProfile.name")),
    Case("RunInstances", VALUE, NO_ARN + "Invalid IAM Instance Profile ARN"),
    Case("RunInstances", VALUE, NO_ROLE),
    Case("RequestSpotInstances", VALUE, NO_NAME.format(PROFILE_OF_SPOT)),
    Case("RequestSpotInstances", VALUE, NO_ROLE),
    Case("AssociateIamInstanceProfile", VALUE, NO_NAME.format("iamInstanceProfile.name")),
    Case("AssociateIamInstanceProfile", VALUE, NO_ROLE),
    Case("ReplaceIamInstanceProfileAssociation", VALUE, NO_NAME.format("iamInstanceProfile.name")),
    Case("ReplaceIamInstanceProfileAssociation", VALUE, NO_ROLE),
    Case("CreateLaunchConfiguration", "ValidationError", "Invalid IamInstanceProfile: P"),
    Case("CreateAutoScalingGroup", "ValidationError", "Invalid IamInstanceProfile: P"),
    Case("CreateAutoScalingGroup", "ValidationError", NO_TEMPLATE),
    Case("UpdateAutoScalingGroup", "ValidationError", NO_TEMPLATE),
    Case("CreateFunction", LAMBDA, NOT_ASSUMED),
    Case("CreateFunction", LAMBDA, NO_PERMISSIONS),
    Case("CreateFunction", LAMBDA, NO_GRANT),
    Case("UpdateFunctionConfiguration", LAMBDA, NOT_ASSUMED),
    Case("UpdateFunctionConfiguration", LAMBDA, NO_PERMISSIONS),
    Case("UpdateFunctionConfiguration", LAMBDA, NO_GRANT),
    Case("CreateService", ECS, NOT_PROPER),
    Case("CreateService", ECS, NOT_LINKED),
    Case("UpdateService", ECS, NOT_PROPER),
]
NO_IMAGE = "The image id '[ami-1]' does not exist"
THROTTLED = "Your request has been throttled by EC2, please make sure you have enough API rate."
NO_BALANCER = "The target group does not have an associated load balancer."
# The code of a row with other words, then the words of a row with another code or operation.
FINAL = [
    Case("RunInstances", VALUE, "Value (3) for parameter maxCount is invalid. Too many."),
    Case("RequestSpotInstances", VALUE, "Invalid value '' for spotPrice."),
    Case("AssociateIamInstanceProfile", VALUE, "Invalid instance ID."),
    Case("ReplaceIamInstanceProfileAssociation", VALUE, "Invalid association ID."),
    Case("CreateLaunchConfiguration", "ValidationError", "AMI cannot be described: ami-1"),
    Case("CreateAutoScalingGroup", "ValidationError", "The security group 'sg-1' does not exist"),
    Case("UpdateAutoScalingGroup", "ValidationError", "Max size must be no less than min size."),
    Case("CreateFunction", LAMBDA, THROTTLED),
    Case("UpdateFunctionConfiguration", LAMBDA, "Uploaded file must be a non-empty zip"),
    Case("CreateService", ECS, NO_BALANCER),
    Case("UpdateService", ECS, NO_BALANCER),
    Case("UpdateService", ECS, NOT_LINKED),
    Case("RunInstances", "InvalidAMIID.NotFound", NO_IMAGE),
    Case("RunInstances", "UnauthorizedOperation", NO_ROLE),
    Case("RunInstances", "RequestLimitExceeded", "Request limit exceeded."),
    Case("DescribeInstances", VALUE, NO_ROLE),
    Case("CreateFunction", "ResourceConflictException", NOT_ASSUMED),
    Case("CreateService", "ClusterNotFoundException", "Cluster not found."),
    Case("GetFunction", LAMBDA, NOT_ASSUMED),
]
FRESH = TOO_EARLY[0]


def ids(cases: list[Case]) -> list[str]:
    """Name cases by operation and last words."""
    return [f"{case.operation}, {case.code}, {case.words[-20:]}" for case in cases]


@attrs.define
class Service:
    """Answers with the errors of a script, and afterwards well."""

    errors: list[BaseException]
    takes: Callable[[], object] = lambda: None
    calls: int = 0

    def request(self) -> str:
        """Answer one request."""
        self.calls += 1
        self.takes()
        if self.errors:
            raise self.errors.pop(0)
        return "reply"


class TestTable:
    """Which refusals are a matter of time."""

    @pytest.mark.parametrize("case", TOO_EARLY, ids=ids(TOO_EARLY))
    def test_too_early(self, virtual_time: VirtualTime, case: Case) -> None:
        """A refusal because the identity is not visible yet is followed by another attempt."""
        service = Service([case.error, case.error])
        retrying = consumer_retrying(virtual_time.propagation())
        assert retrying(service.request) == "reply"
        assert (service.calls, virtual_time.slept) == (3, [0.25, 0.5])

    @pytest.mark.parametrize("case", FINAL, ids=ids(FINAL))
    def test_near_miss(self, virtual_time: VirtualTime, case: Case) -> None:
        """With other words, another code or another operation it is raised at once."""
        error = case.error
        service = Service([error])
        with pytest.raises(ClientError) as caught:
            consumer_retrying(virtual_time.propagation())(service.request)
        assert caught.value is error
        assert (service.calls, virtual_time.slept) == (1, [])

    def test_each_rule_decides(self) -> None:
        """Each row decides one of the cases above, for each of its operations or for its code."""
        decided = [(consumer_rule_for(*case), case.operation) for case in TOO_EARLY]
        assert {rule for rule, _ in decided} == set(CONSUMER_RULES)
        assert {name for rule in CONSUMER_RULES for name in rule.operations} == {
            operation for _, operation in decided
        }

    def test_rows_are_well_formed(self) -> None:
        """Operations are spelt as AWS spells them, and fragments are in lower case."""
        clients: list[Any] = [
            boto3.Session(region_name="us-east-1").client(service)
            for service in ("ec2", "autoscaling", "lambda", "ecs")
        ]
        known = {name for client in clients for name in client.meta.service_model.operation_names}
        assert {name for rule in CONSUMER_RULES for name in rule.operations} <= known
        assert all(rule.fragment == rule.fragment.lower() for rule in CONSUMER_RULES)

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("invalid iam instance profile"),
            ConnectTimeoutError(endpoint_url="x"),
            ParamValidationError(report="invalid iam instance profile"),
            ClientError({}, "RunInstances"),
            ClientError({"Error": {}}, "RunInstances"),
            KeyboardInterrupt(),
        ],
        ids=["ours", "unreachable", "not sent", "empty", "no words", "interrupted"],
    )
    def test_no_answer(self, virtual_time: VirtualTime, error: BaseException) -> None:
        """What is no answer of AWS, or one without a word, is raised at once."""
        with pytest.raises(type(error)) as caught:
            consumer_retrying(virtual_time.propagation())(Service([error]).request)
        assert caught.value is error
        assert virtual_time.slept == []

    @pytest.mark.parametrize("name", ["operation_name", "response"])
    @pytest.mark.parametrize("lacks", [True, False])
    def test_broken_error(self, virtual_time: VirtualTime, name: str, lacks: bool) -> None:  # noqa: FBT001
        """An error that lacks a part, as another process's may, is raised at once."""
        error = FRESH.error
        setattr(error, name, None)
        if lacks:
            delattr(error, name)
        with pytest.raises(ClientError):
            consumer_retrying(virtual_time.propagation())(Service([error]).request)
        assert virtual_time.slept == []

    def test_words_in_any_case(self) -> None:
        """Words count whatever their letter case; without words or code there is no rule."""
        assert consumer_rule_for(*FRESH) is CONSUMER_RULES[0]
        assert consumer_rule_for("RunInstances", VALUE, NO_ROLE.upper()) is CONSUMER_RULES[1]
        assert consumer_rule_for("RunInstances", VALUE, "") is None
        assert consumer_rule_for("RunInstances", None, NO_ROLE) is None
        assert consumer_rule_for(None, VALUE, NO_ROLE) is None


class TestTime:
    """How long it waits."""

    def test_pauses(self, virtual_time: VirtualTime) -> None:
        """Pauses grow to two seconds and stay there; the last one ends within the timeout."""
        service = Service([FRESH.error for _ in range(100)])
        with pytest.raises(ClientError):
            consumer_retrying(virtual_time.propagation(timeout=10))(service.request)
        assert virtual_time.slept == [0.25, 0.5, 1, 2, 2, 2, 2]

    def test_to_the_last(self, virtual_time: VirtualTime) -> None:
        """A pause that ends just when the time is up is still made."""
        with pytest.raises(ClientError):
            consumer_retrying(virtual_time.propagation(0.75))(Service([FRESH.error] * 9).request)
        assert virtual_time.slept == [0.25, 0.5]

    def test_last_error(self, virtual_time: VirtualTime) -> None:
        """When the time is up AWS's own last error is raised, as it is."""
        errors: list[BaseException] = [FRESH.error for _ in range(100)]
        service = Service(list(errors))
        with pytest.raises(ClientError) as caught:
            consumer_retrying(virtual_time.propagation())(service.request)
        assert caught.value is errors[service.calls - 1]
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert 55 < sum(virtual_time.slept) <= 60

    @pytest.mark.parametrize(
        ("chance", "slept"), [(0.0, [0.125, 0.25, 0.5, 1, 1]), (1.0, [0.375, 0.75, 1.5, 3, 3])]
    )
    def test_jitter(self, virtual_time: VirtualTime, chance: float, slept: list[float]) -> None:
        """Chance makes each pause half as long up to half as long again."""
        waiting = attrs.evolve(virtual_time.propagation(), random=lambda: chance)
        consumer_retrying(waiting)(Service([FRESH.error] * 5).request)
        assert virtual_time.slept == slept

    def test_no_time(self, virtual_time: VirtualTime) -> None:
        """Without any time there is one attempt."""
        service = Service([FRESH.error])
        with pytest.raises(ClientError):
            consumer_retrying(virtual_time.propagation(timeout=0))(service.request)
        assert (service.calls, virtual_time.slept) == (1, [])

    def test_slow_requests_count(self, virtual_time: VirtualTime) -> None:
        """The time runs from the beginning of the call, so the first request counts too."""

        def takes_nine_seconds() -> None:
            virtual_time.now += 9

        service = Service([FRESH.error] * 9, takes_nine_seconds)
        with pytest.raises(ClientError):
            consumer_retrying(virtual_time.propagation(timeout=10))(service.request)
        assert (service.calls, virtual_time.slept) == (2, [0.25])

    def test_time_begins_with_each_call(self, virtual_time: VirtualTime) -> None:
        """An old object gives each call its full time, call after call."""
        retrying = consumer_retrying(virtual_time.propagation())
        for _ in range(3):
            virtual_time.now += 1000
            virtual_time.slept.clear()
            with pytest.raises(ClientError):
                retrying(Service([FRESH.error] * 100).request)
            assert 55 < sum(virtual_time.slept) <= 60

    def test_own_time_within_another_call(self, virtual_time: VirtualTime) -> None:
        """A call within a call has a time of its own, and neither disturbs the other."""
        retrying = consumer_retrying(virtual_time.propagation(timeout=10))

        def inner() -> None:
            virtual_time.now += 9
            retrying(Service([FRESH.error] * 4).request)

        service = Service([FRESH.error] * 9, inner)
        with pytest.raises(ClientError):
            retrying(service.request)
        assert (service.calls, virtual_time.slept) == (1, [0.25, 0.5, 1, 2])

    def test_real_time_is_the_default(self) -> None:
        """Without a word about time it is the real one, and a good reply needs none of it."""
        assert consumer_retrying()(Service([]).request) == "reply"


def test_wrong_kind() -> None:
    """Settings of another kind are refused at once."""
    seconds: Any = 30
    with pytest.raises(IntentError, match="propagation=30: must be a Propagation"):
        consumer_retrying(seconds)


class TestUses:
    """All the ways in which an object of tenacity can be used."""

    def test_loop(self, virtual_time: VirtualTime) -> None:
        """In a loop, for a block of code."""
        service = Service([FRESH.error])
        for attempt in consumer_retrying(virtual_time.propagation()):
            with attempt:
                service.request()
        assert (service.calls, virtual_time.slept) == (2, [0.25])

    def test_decorator(self, virtual_time: VirtualTime) -> None:
        """As a decorator, as often as the function is called."""
        service = Service([FRESH.error])

        @consumer_retrying(virtual_time.propagation()).wraps
        def launch(times: int) -> str:
            return service.request() * times

        assert (launch(2), launch(times=1)) == ("replyreply", "reply")
        assert (service.calls, virtual_time.slept) == (3, [0.25])

    def test_copy(self, virtual_time: VirtualTime) -> None:
        """A copy may stop otherwise."""
        retrying = consumer_retrying(virtual_time.propagation())
        service = Service([FRESH.error] * 9)
        with pytest.raises(ClientError):
            retrying.copy(stop=tenacity.stop_after_attempt(3))(service.request)
        assert virtual_time.slept == [0.25, 0.5]

    def test_copy_that_takes_no_note_of_the_beginning(self, virtual_time: VirtualTime) -> None:
        """A copy with a hook of its own before each attempt counts from the first answer on."""
        attempts: list[int] = []
        retrying = consumer_retrying(virtual_time.propagation(timeout=10)).copy(
            before=lambda state: attempts.append(state.attempt_number)
        )
        with pytest.raises(ClientError):
            retrying(Service([FRESH.error] * 99).request)
        assert (sum(virtual_time.slept), attempts[-1]) == (9.75, 8)

    def test_copy_that_retries_more(
        self, virtual_time: VirtualTime, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A copy may retry for other errors or results too, and these waits are logged as well."""
        caplog.set_level(logging.INFO, "cwagent_iam")
        retrying = consumer_retrying(virtual_time.propagation())
        retry = retrying.retry | tenacity.retry_if_exception_type(KeyError)
        answers = iter([None, "reply"])
        service = Service([FRESH.error, KeyError("x")], lambda: None)
        assert retrying.copy(retry=retry)(service.request) == "reply"
        again = retrying.copy(retry=tenacity.retry_if_result(lambda reply: reply is None))
        assert again(lambda: next(answers)) == "reply"
        reasons = [record.getMessage().partition(": ")[2] for record in caplog.records]
        assert reasons == [CONSUMER_RULES[0].reason, "told to try again", "told to try again"]

    def test_threads(self, virtual_time: VirtualTime) -> None:
        """One object serves many threads at once."""
        retrying = consumer_retrying(virtual_time.propagation(timeout=1e9))
        services = [Service([FRESH.error] * 5) for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda service: retrying(service.request), services))
        assert replies == ["reply"] * 8
        assert [service.calls for service in services] == [6] * 8
        assert sorted(virtual_time.slept) == sorted([0.25, 0.5, 1, 2, 2] * 8)

    def test_async(self, virtual_time: VirtualTime) -> None:
        """Its parts serve the retrying of coroutines."""
        retrying = consumer_retrying(virtual_time.propagation())
        service = Service([FRESH.error, FRESH.error])

        async def sleep(seconds: float) -> None:
            virtual_time.sleep(seconds)

        async def request() -> str:
            return service.request()

        async def launch() -> str:
            parts = tenacity.AsyncRetrying(
                retry=retrying.retry,
                wait=retrying.wait,
                stop=retrying.stop,
                before_sleep=retrying.before_sleep,
                sleep=sleep,
                reraise=True,
            )
            return await parts(request)

        assert asyncio.run(launch()) == "reply"
        assert virtual_time.slept == [0.25, 0.5]


def test_each_wait_is_logged(virtual_time: VirtualTime, caplog: pytest.LogCaptureFixture) -> None:
    """Each wait is information for the log: its reason and its seconds."""
    caplog.set_level(logging.INFO, "cwagent_iam")
    retrying = consumer_retrying(virtual_time.propagation())
    retrying(Service([TOO_EARLY[0].error, TOO_EARLY[2].error]).request)
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("cwagent_iam", "INFO"),
        ("cwagent_iam", "INFO"),
    ]
    first, second = (record.getMessage() for record in caplog.records)
    assert "0.2 s" in first
    assert "EC2 does not know the instance profile yet" in first
    assert "0.5 s" in second
    assert "which role is in the instance profile" in second


def test_launch_at_once() -> None:
    """In an IAM that lags, an instance is launched with a fresh profile, in no real time."""
    with laggy_iam("typical") as lagging:
        iam, ec2 = lagging.client("maker"), lagging.client("launcher", "ec2")
        waiting = lagging.propagation
        create = tenacity.Retrying(wait=tenacity.wait_fixed(1), sleep=lagging.clock.sleep)
        iam.create_role(RoleName="R", AssumeRolePolicyDocument="{}")
        iam.create_instance_profile(InstanceProfileName="R")
        create(iam.add_role_to_instance_profile, InstanceProfileName="R", RoleName="R")
        reply = consumer_retrying(waiting)(
            ec2.run_instances,
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            IamInstanceProfile={"Name": "R"},
        )
        assert len(reply["Instances"]) == 1
        refused = [each for each in lagging.trace if "InvalidParameterValue" in each.outcome]
        assert len(refused) > 2
