"""How often AWS is asked: one owner for each class of fault, and no product of two loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ApplyError,
    CwAgentIamError,
    ObserveError,
    apply,
    ensure_agent_role,
    plan_agent_role,
    preview,
)
from cwagent_iam.aws import IAMClients
from cwagent_iam.testing import Fault, laggy_iam

if TYPE_CHECKING:
    import boto3

    from cwagent_iam.testing.lagging.faults import Outcome

# botocore asks four times at most, then this library, whose pauses are all chance: about eight
# times in a minute. Both in each attempt would make it four times as many.
MOST = 4 + 12
# What is met before AWS has done the work, and what after.
TROUBLES = [
    *((outcome, "before") for outcome in ("Throttling", "connection refused")),
    *(
        (outcome, when)
        for outcome in (
            "ServiceFailure",
            "empty 500",
            "HTML 503",
            "connection closed",
            "read timeout",
        )
        for when in ("before", "after")
    ),
]


def attempts(outcome: Outcome, operation: str, seed: int, **how: Any) -> list[float]:
    """Make a role where *operation* always fails; return when each of its requests was sent."""
    with laggy_iam("off", seed=seed) as lagging:
        lagging.fail(Fault(outcome, operation, **how))
        with pytest.raises(CwAgentIamError):
            ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
        return [each.time for each in lagging.trace if each.operation == operation]


class TestThrottling:
    """An account that asks too much already."""

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("operation", ["GetRole", "CreateRole", "AttachRolePolicy"])
    def test_few_requests(self, operation: str, seed: int) -> None:
        """Where all is throttled for a minute, few requests are sent, and ever more seldom."""
        times = attempts("Throttling", operation, seed)
        assert 6 <= len(times) <= MOST
        assert times[-1] <= 61

    def test_fewer_than_the_product(self) -> None:
        """The first attempt is botocore's with its repeats; all further ones are sent once."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", "AttachRolePolicy"))
            with pytest.raises(ApplyError) as caught:
                ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            sent = [each for each in lagging.trace if each.operation == "AttachRolePolicy"]
        assert len(sent) == 4 + caught.value.attempts - 1

    def test_creates(self) -> None:
        """What is not idempotent is never repeated by botocore: no attempt is hidden from us."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", "CreateRole"))
            with pytest.raises(ApplyError) as caught:
                ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            sent = [each for each in lagging.trace if each.operation == "CreateRole"]
        assert len(sent) == caught.value.attempts

    def test_others_go_on(self) -> None:
        """When throttling ends botocore repeats reads and idempotent writes again."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", "GetRole", nth=1))
            lagging.fail(Fault("Throttling", "AttachRolePolicy", nth=1))
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            assert len(role.changes) == 4


class TestRecovery:
    """Trouble that ends."""

    @pytest.mark.parametrize(("outcome", "when"), TROUBLES)
    def test_each_request(self, outcome: Outcome, when: Any) -> None:
        """Whichever request meets whichever trouble, the call ends right and lists its changes."""
        for number in range(2, 9):
            with laggy_iam("off", seed=number) as lagging:
                lagging.fail(Fault(outcome, nth=number, when=when))
                role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
                assert len(role.changes) == 4
                assert not preview(plan_agent_role(), iam=lagging.truth)

    def test_collision(self) -> None:
        """A write that collides with somebody else's is read back, and sent again."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("ConcurrentModification", writes_only=True, once_each=True))
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            assert len(role.changes) == 4
            operations = [each.operation for each in lagging.trace]
        first, second = (n for n, name in enumerate(operations) if name == "CreateRole")
        assert operations[first + 1 : second] == ["GetRole"]

    def test_read_in_trouble(self) -> None:
        """A look that botocore gives up on is repeated by us, until the time is up."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("HTML 503", "ListAttachedRolePolicies", nth=1))
            lagging.fail(Fault("HTML 503", "ListAttachedRolePolicies", nth=2))
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            assert len(role.changes) == 4
            lagging.fail(Fault("ServiceFailure", "GetRole"))
            with pytest.raises(ObserveError) as caught:
                ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
        assert caught.value.code == "ServiceFailure"


class TestClients:
    """Who sends what."""

    def test_built(self, session: boto3.Session) -> None:
        """Of the two clients that are built one repeats, within bounds, and one does not."""
        clients: Any = IAMClients.of(session, None)
        for client, attempts in ((clients.repeating, 4), (clients.once, 1)):
            config = client.meta.config
            assert config.retries["total_max_attempts"] == attempts
            assert config.retries["mode"] == "standard"
            assert (config.connect_timeout, config.read_timeout) == (5, 15)
        assert clients.once is clients.once

    def test_given(self, iam: Any) -> None:
        """A client that the caller hands in is used for everything, as it is."""
        clients = IAMClients.of(None, iam)
        assert clients.repeating is iam
        assert clients.once is iam

    def test_one_is_enough(self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing is to be created the second client is never built."""
        ensure_agent_role(session=session)
        built: list[str] = []
        make: Any = session.client

        def client(name: str, **options: Any) -> Any:
            built.append(name)
            return make(name, **options)

        monkeypatch.setattr(session, "client", client)
        ensure_agent_role(session=session)
        assert built == ["iam"]

    @pytest.mark.parametrize("call", ["ensure", "apply"])
    def test_lost_create_of_a_given_client(self, session: boto3.Session, call: str) -> None:
        """A client's own repeat of a lost create is recognised as ours, and counts as applied."""
        with_retries: Any = session.client("iam")
        changes = preview(plan_agent_role(), session=session)
        sent: list[str] = []

        def repeat(parsed: Any, model: Any, **_event: object) -> None:
            sent.append(model.name)
            if model.name == "CreateRole" and "Error" not in parsed:
                reply = {"Error": {"Code": "EntityAlreadyExists", "Message": "Role exists."}}
                metadata = {"RetryAttempts": 1, "HTTPStatusCode": 409}
                raise with_retries.exceptions.EntityAlreadyExistsException(
                    {**reply, "ResponseMetadata": metadata}, "CreateRole"
                )

        with_retries.meta.events.register("after-call.iam", repeat)
        if call == "apply":
            result: Any = apply(changes, iam=with_retries)
        else:
            result = ensure_agent_role(iam=with_retries)
        assert result.changes == changes.changes
        assert sent.count("CreateRole") == 1
