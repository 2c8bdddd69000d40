"""How often AWS is asked: 16 sendings a request at most, whoever repeats it."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from cwagent_iam import (
    ApplyError,
    CwAgentIamError,
    ObserveError,
    apply,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
    preview,
)
from cwagent_iam.testing import Fault, laggy_iam
from tests.core import THROTTLED, RefusedError, carry_out, refusal
from tests.core_lag import Replicas
from tests.scripted import names

if TYPE_CHECKING:
    import boto3

    from cwagent_iam.requests import Refusal, Request
    from cwagent_iam.testing.lagging.faults import Outcome
    from tests.conftest import VirtualTime
    from tests.core import Answer

MOST = 16
# Transient failures before AWS has carried out the request, and after.
FAILURES = [
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


URL = "https://iam.amazonaws.com/"
UNREACHABLE = refusal(None, "refused", error=EndpointConnectionError(endpoint_url=URL))
# AWS may have carried out the request where it is not known that it has not.
FAILED = [
    THROTTLED,
    UNREACHABLE,
    refusal("ServiceFailure", "failure", unacknowledged=True),
    *(
        refusal(None, type(error).__name__, error=error, unacknowledged=True)
        for error in (
            ConnectionClosedError(endpoint_url=URL),
            ReadTimeoutError(endpoint_url=URL),
            ResponseParserError("not XML"),
        )
    ),
]


class TestThrottling:
    """An account that sends too many requests already."""

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("operation", ["GetRole", "CreateRole", "AttachRolePolicy"])
    def test_few_requests(self, operation: str, seed: int) -> None:
        """In a minute of throttling few requests are sent, at growing intervals."""
        world = Replicas(seed=seed)
        world.answers = lambda request: THROTTLED if request.operation == operation else None
        with pytest.raises(CwAgentIamError):
            ensure_agent_role(iam=world, propagation=world.propagation())
        times = [at - world.trace[0][0] for at, sent in world.trace if sent == operation]
        assert 8 <= len(times) <= MOST
        assert times[-1] <= 61
        assert len([each for each in times if each > times[0] + 30]) <= MOST // 2

    @pytest.mark.parametrize("operation", ["CreateRole", "AttachRolePolicy"])
    def test_attempts_are_told(self, operation: str) -> None:
        """The error counts every request that was sent."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", operation))
            with pytest.raises(ApplyError) as caught:
                ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            sent = [each for each in lagging.trace if each.operation == operation]
        assert len(sent) == caught.value.attempts

    @pytest.mark.parametrize(
        "retries",
        [
            {"mode": "standard", "total_max_attempts": 4},
            {"mode": "legacy", "total_max_attempts": 5},
            {"mode": "standard", "total_max_attempts": 16},
        ],
        ids=lambda retries: "{mode} {total_max_attempts}".format(**retries),
    )
    @pytest.mark.parametrize("operation", ["GetUser", "CreateUser", "AttachUserPolicy"])
    def test_client_with_retries(self, retries: Any, operation: str) -> None:
        """The retries of a client that is handed in count: both together send 16 at most."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", operation))
            client: Any = lagging.session.client("iam", config=Config(retries=retries))
            with pytest.raises(CwAgentIamError):
                ensure_agent_user(iam=client, propagation=lagging.propagation)
            sent = Counter(each.operation for each in lagging.trace)
        assert sent[operation] <= MOST

    def test_others_go_on(self) -> None:
        """Only what failed is sent again."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", "GetRole", nth=1))
            lagging.fail(Fault("Throttling", "AttachRolePolicy", nth=1))
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            sent = Counter(each.operation for each in lagging.trace)
        assert len(role.changes) == 4
        assert (sent["AttachRolePolicy"], sent["AddRoleToInstanceProfile"]) == (2, 1)


class TestRecovery:
    """Failures that pass."""

    @pytest.mark.parametrize(("outcome", "when"), FAILURES)
    def test_each_kind(self, outcome: Outcome, when: Any) -> None:
        """A read and each write fail transiently: the call converges and lists its changes."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault(outcome, "ListAttachedRolePolicies", nth=1, when=when))
            lagging.fail(Fault(outcome, writes_only=True, once_each=True, when=when))
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            assert len(role.changes) == 4
            assert not preview(plan_agent_role(), iam=lagging.truth)
            failed = [each.operation for each in lagging.trace if each.fault]
        assert sorted(failed) == sorted([*names(role.changes), "ListAttachedRolePolicies"])

    @pytest.mark.parametrize("done", [False, True])
    @pytest.mark.parametrize("failure", FAILED, ids=lambda failure: failure.message)
    def test_each_request(self, failure: Refusal, *, done: bool) -> None:
        """Whichever request fails transiently, the call converges and lists its changes."""
        for number in range(2 if failure is UNREACHABLE else 1, 17):
            world = Replicas(seed=number)

            def fail(request: Request, world: Replicas = world, number: int = number) -> Answer:
                if len(world.trace) != number:
                    return None
                if done and failure.unacknowledged:
                    with contextlib.suppress(RefusedError):
                        carry_out(world.things, request, world.now)
                return failure

            world.answers = fail
            role = ensure_agent_role(iam=world, propagation=world.propagation())
            assert len(role.changes) == 4
            assert world.is_as_desired()
            assert len(world.trace) > 16

    def test_collision(self) -> None:
        """A write that collides with another client's is sent again after a pause."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("ConcurrentModification", writes_only=True, once_each=True))
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            sent = Counter(each.operation for each in lagging.trace if not each.reads)
        assert len(role.changes) == 4
        assert set(sent.values()) == {2}

    def test_reads(self) -> None:
        """A read that fails is repeated, until its sendings are used up."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("HTML 503", "ListAttachedRolePolicies", nth=1))
            lagging.fail(Fault("HTML 503", "ListAttachedRolePolicies", nth=2))
            role = ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
            assert len(role.changes) == 4
            lagging.fail(Fault("ServiceFailure", "GetRole"))
            with pytest.raises(ObserveError) as caught:
                ensure_agent_role(session=lagging.session, propagation=lagging.propagation)
        assert caught.value.code == "ServiceFailure"
        assert caught.value.attempts == MOST


class TestClients:
    """Clients that are built, and clients that are handed in."""

    def test_one(self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """A call builds one client for IAM, whose own retries are off."""
        built: list[Any] = []
        make: Any = session.client

        def client(name: str, **options: Any) -> Any:
            built.append(make(name, **options))
            return built[-1]

        monkeypatch.setattr(session, "client", client)
        ensure_agent_role(session=session)
        (only,) = built
        assert only.meta.service_model.service_name == "iam"
        assert only.meta.config.retries["total_max_attempts"] == 1

    def test_given(self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """A client that is handed in sends everything, and is not altered."""
        iam: Any = session.client("iam")
        assert iam.exceptions  # botocore itself builds them at the first refusal
        before = (vars(iam).copy(), vars(iam.meta.config).copy())
        monkeypatch.setattr(session, "client", None)
        monkeypatch.setattr("boto3.client", None)
        ensure_agent_role(iam=iam)
        assert (vars(iam), vars(iam.meta.config)) == before

    @pytest.mark.parametrize("call", ["ensure", "apply"])
    def test_lost_create_of_a_given_client(
        self, session: boto3.Session, virtual_time: VirtualTime, call: str
    ) -> None:
        """A create that the client itself repeated after a lost reply is recognised as ours."""
        with_retries: Any = session.client("iam")
        changes = preview(plan_agent_user(), session=session)
        sent: list[str] = []

        def repeat(parsed: Any, model: Any, **_event: object) -> None:
            sent.append(model.name)
            if model.name == "CreateUser" and "Error" not in parsed:
                reply = {"Error": {"Code": "EntityAlreadyExists", "Message": "User exists."}}
                metadata = {"RetryAttempts": 1, "HTTPStatusCode": 409}
                raise with_retries.exceptions.EntityAlreadyExistsException(
                    {**reply, "ResponseMetadata": metadata}, "CreateUser"
                )

        with_retries.meta.events.register("after-call.iam", repeat)
        settings = virtual_time.propagation()
        result: Any = (
            apply(changes, iam=with_retries, propagation=settings)
            if call == "apply"
            else ensure_agent_user(iam=with_retries, propagation=settings)
        )
        assert set(result.changes) == set(changes)
        assert sent.count("CreateUser") == 1
