"""Waiting until EC2 knows the profile, as a part of the whole call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cwagent_iam import (
    EC2Launch,
    IntentError,
    PropagationTimeoutError,
    ensure,
    ensure_agent_role,
    events,
    plan_agent_user,
)
from cwagent_iam.testing import Fault, laggy_iam

if TYPE_CHECKING:
    import boto3

    from cwagent_iam import Event
    from tests.conftest import Requests, VirtualTime

ROLE = "CloudWatchAgentServerRole"


class TestEC2:
    """An EC2 that learns of things late."""

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("profile", ["typical", "adversarial"])
    def test_visible(self, profile: str, seed: int) -> None:
        """A role that was waited for is one that EC2 has known three times in a row."""
        told: list[Event] = []
        with laggy_iam(profile, seed=seed) as lagging:
            role = ensure_agent_role(
                session=lagging.session,
                propagation=lagging.propagation,
                wait_for="ec2",
                on_event=told.append,
            )
            asked = [each.outcome for each in lagging.trace if each.operation == "RunInstances"]
        (answer,) = role.ec2
        assert (answer.visibility, answer.profile_name) == ("VISIBLE", role.instance_profile_name)
        assert answer.region == "us-east-1"
        assert asked[-3:] == ["412 DryRunOperation"] * 3
        assert [type(each).__name__ for each in told[-2:]] == ["Answered", "Done"]
        assert str(told[-2]) == f"answered: {answer}"
        assert str(answer) in str(role)

    def test_later_than_iam(self) -> None:
        """Without being asked EC2 does not know what IAM's own reads have shown for seconds."""
        late = 0
        for seed in range(5):
            with laggy_iam("typical", seed=seed) as lagging:
                told: list[Event] = []
                ensure_agent_role(
                    session=lagging.session,
                    propagation=lagging.propagation,
                    wait_for="ec2",
                    on_event=told.append,
                )
            verified = next(n for n, each in enumerate(told) if isinstance(each, events.Verified))
            late += any("EC2 does not know" in str(each) for each in told[verified:])
        assert late > 2

    def test_time_is_up(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """All was made, but EC2 does not know it in time: the error says so, and what to do."""
        ec2: Any = session.client("ec2")
        code, words = "InvalidParameterValue", "Value (x) is invalid. Invalid IAM Instance Profile"

        def refuse(**_event: object) -> None:
            reply: Any = {"Error": {"Code": code, "Message": words}}
            raise ClientError(reply, "RunInstances")

        ec2.meta.events.register("before-call.ec2.RunInstances", refuse)
        waiting = virtual_time.propagation(timeout=10)
        with pytest.raises(PropagationTimeoutError) as caught:
            ensure_agent_role(session=session, ec2=ec2, propagation=waiting, wait_for="ec2")
        error = caught.value
        assert error.unknown_to_ec2 == (ROLE,)
        assert len(error.applied) == 4
        assert (error.attempts, error.seconds) == (8, 9.75)
        assert f"Not visible yet: instance-profile {ROLE} in EC2." in str(error)
        assert error.last_error == f"{code}: {words}"
        assert isinstance(error.__cause__, ClientError)

    @pytest.mark.parametrize("outcome", ["Throttling", "ServiceFailure", "connection refused"])
    def test_unknown(self, outcome: Any) -> None:
        """Where EC2 does not tell, the call ends well all the same, and the result says why."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault(outcome, "RunInstances"))
            role = ensure_agent_role(
                session=lagging.session, propagation=lagging.propagation, wait_for="ec2"
            )
        (answer,) = role.ec2
        assert answer.visibility == "UNKNOWN"
        assert answer.reason.startswith("EC2 does not tell (")
        assert len(role.changes) == 4


class TestIntent:
    """What can be waited for."""

    def test_not_asked(self, session: boto3.Session) -> None:
        """Usually EC2 is not asked at all."""
        assert ensure_agent_role(session=session).ec2 == ()

    def test_given_launch(self, session: boto3.Session) -> None:
        """EC2 is asked about the launch that the caller describes, with the caller's client."""
        asked: list[Any] = []
        ec2: Any = session.client("ec2")
        ec2.meta.events.register(
            "before-parameter-build.ec2.RunInstances", lambda params, **_: asked.append(params)
        )
        launch = EC2Launch(instance_type="c7g.large", metadata_options={"HttpTokens": "required"})
        role = ensure_agent_role(session=session, ec2=ec2, wait_for=launch)
        assert [each.visibility for each in role.ec2] == ["VISIBLE"]
        assert {each["InstanceType"] for each in asked} == {"c7g.large"}
        assert asked[0]["MetadataOptions"] == {"HttpTokens": "required"}
        assert ec2.describe_instances()["Reservations"] == []

    @pytest.mark.parametrize("wait_for", ["EC2", "", None, 5, True, EC2Launch, ["ec2"]])
    def test_nonsense(self, session: boto3.Session, requests: Requests, wait_for: Any) -> None:
        """What cannot be waited for is refused by name, value and rule, before any request."""
        with pytest.raises(IntentError, match=r"^wait_for=.*: must be 'iam', 'ec2' or an EC2L"):
            ensure_agent_role(session=session, wait_for=wait_for)
        assert requests.sent == []

    @pytest.mark.parametrize("wait_for", ["ec2", EC2Launch()])
    def test_no_profile(self, session: boto3.Session, requests: Requests, wait_for: Any) -> None:
        """Without an instance profile there is nothing to ask EC2 about."""
        with pytest.raises(IntentError, match="needs an instance profile"):
            ensure_agent_role(session=session, wait_for=wait_for, instance_profile=False)
        with pytest.raises(IntentError, match="needs an instance profile"):
            ensure(plan_agent_user(), session=session, wait_for=wait_for)
        assert requests.sent == []
