"""What may have been done: nothing that we made is kept back, nothing made by others is claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, NoRegionError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from cwagent_iam import (
    SERVER_POLICY,
    ApplyError,
    ChangeSet,
    IntentError,
    ObserveError,
    PropagationTimeoutError,
    apply,
    changes as the,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    observe,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from cwagent_iam.testing import Fault, laggy_iam
from tests.core_lag import LAGS, Replicas
from tests.scripted import answer, names

if TYPE_CHECKING:
    import boto3

    from cwagent_iam import Event
    from tests.conftest import VirtualTime

USER = "CloudWatchAgentServerUser"
USER_PLAN, ROLE_PLAN = plan_agent_user(), plan_agent_role()
TAKEN = ("EntityAlreadyExists", f"User with name {USER} already exists.")
IN_USE = ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
GONE = ("NoSuchEntity", f"The user with name {USER} cannot be found.")
BUSY = ("ConcurrentModification", "")


def lose(client: Any, operation: str) -> None:
    """Lose the first reply to *operation*."""
    errors = [ReadTimeoutError(endpoint_url="https://iam.amazonaws.com/")]

    def handler(**_event: object) -> None:
        if errors:
            raise errors.pop()

    client.meta.events.register(f"after-call.iam.{operation}", handler)


class TestOurs:
    """Changes that we made, though no reply says so."""

    def test_lost_delete_and_a_stale_conflict(
        self, session: boto3.Session, virtual_time: VirtualTime
    ) -> None:
        """A deletion whose reply was lost is ours, even if the repeat meets a late host first."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")
        lose(client, "DeleteUser")
        answer(client, "DeleteUser", [None, IN_USE])
        told: list[Event] = []
        result = remove(
            USER_PLAN, iam=client, propagation=virtual_time.propagation(), on_event=told.append
        )
        assert names(result.changes) == ["DetachUserPolicy", "DeleteUser"]
        assert f"recovered: - DeleteUser {USER}: its reply was lost" in map(str, told)

    def test_lost_create_then_tagged(
        self, session: boto3.Session, iam: Any, virtual_time: VirtualTime
    ) -> None:
        """A creation whose reply was lost is ours, even if somebody has tagged the thing since."""
        client = session.client("iam")
        lose(client, "CreateUser")

        def tag(**_event: object) -> None:
            iam.tag_user(UserName=USER, Tags=[{"Key": "Team", "Value": "x"}])

        client.meta.events.register("after-call.iam.CreateUser", tag)
        user = ensure_agent_user(iam=client, propagation=virtual_time.propagation())
        assert sorted(names(user.changes)) == ["AttachUserPolicy", "CreateUser"]

    @pytest.mark.parametrize("profile", ["adversarial", "bad_day"])
    def test_every_write_is_listed(self, profile: str) -> None:
        """Whatever AWS has done for a call, and nobody else can have done, is in its changes."""
        for seed in range(20):
            world = Replicas(lag=LAGS[profile], seed=seed)
            # Delays of a bad day are longer than a minute.
            patient = world.propagation(240.0)
            for flow in (ensure, remove):
                world.done.clear()
                result: Any = flow(ROLE_PLAN, iam=world, propagation=patient)
                assert len(world.done) >= 4
                assert set(world.done) <= set(names(result.changes)), seed

    def test_every_write_is_listed_with_lost_replies(self) -> None:
        """What IAM has done is in the changes too where the connection closed after each write."""
        with laggy_iam("adversarial") as lagging:
            for flow in (ensure, remove):
                start = len(lagging.trace)
                result: Any = flow(ROLE_PLAN, session=lagging.session)
                sent = [each for each in lagging.trace[start:] if not each.reads]
                done = {each.operation for each in sent if "done" in each.fault}
                assert len(done) == 4
                assert done <= set(names(result.changes))

    def test_failed_for_good(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Where a change fails whose reply was lost before, the error says that it may be made."""
        client = session.client("iam")
        lose(client, "AttachUserPolicy")
        answer(client, "AttachUserPolicy", [None, ("ExpiredToken", "It is expired.")])
        with pytest.raises(ApplyError, match="It may have been made all the same") as caught:
            ensure_agent_user(iam=client, propagation=virtual_time.propagation())
        assert (caught.value.doubtful, caught.value.code) == (True, "ExpiredToken")


class TestOthers:
    """What somebody else seems to have done."""

    def test_denied_by_looks(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """What a stale read back shows as done is done again when two looks deny it."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")
        answer(client, "DetachUserPolicy", [BUSY])
        answer(client, "GetUser", [None, GONE])
        result = remove(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        assert names(result.changes) == ["DetachUserPolicy", "DeleteUser"]
        assert sum(virtual_time.slept) < 5
        assert not observe(USER_PLAN, session=session).entities

    def test_denied_by_the_last_look(
        self, session: boto3.Session, virtual_time: VirtualTime
    ) -> None:
        """Where no time is left to read again, the error says that it is not visible."""
        ensure_agent_user(policies=[], session=session)
        client = session.client("iam")
        answer(client, "AttachUserPolicy", [BUSY])
        attached = [{"PolicyName": SERVER_POLICY.name, "PolicyArn": SERVER_POLICY.arn("aws")}]
        shown: list[Any] = [[], attached]

        def read(parsed: dict[str, Any], **_event: object) -> None:
            parsed["AttachedPolicies"] = shown.pop(0) if shown else []

        client.meta.events.register("after-call.iam.ListAttachedUserPolicies", read)
        with pytest.raises(PropagationTimeoutError) as caught:
            ensure_agent_user(iam=client, propagation=virtual_time.propagation(0.3))
        assert names(caught.value.missing) == ["AttachUserPolicy"]
        assert names(caught.value.applied) == ["AttachUserPolicy"]

    def test_what_hangs_on_it_after_all(
        self, session: boto3.Session, virtual_time: VirtualTime
    ) -> None:
        """What seemed done, and then stands in the way of the next change, is done again."""
        plan = plan_agent_role(instance_profile=False)
        ensure(plan, session=session)
        client = session.client("iam")
        gone = ("NoSuchEntity", "The role with name CloudWatchAgentServerRole cannot be found.")
        answer(client, "DetachRolePolicy", [BUSY])
        answer(client, "GetRole", [None, gone])
        result = remove(plan, iam=client, propagation=virtual_time.propagation())
        assert names(result.changes) == ["DetachRolePolicy", "DeleteRole"]
        assert not observe(plan, session=session).entities

    def test_late_host_when_deleting(
        self, session: boto3.Session, virtual_time: VirtualTime
    ) -> None:
        """A deletion that a late host calls needless is not taken as done."""
        plan = plan_agent_user(policies=())
        ensure(plan, session=session)
        client = session.client("iam")
        answer(client, "DeleteUser", [GONE])
        result = remove(plan, iam=client, propagation=virtual_time.propagation())
        assert names(result.changes) == ["DeleteUser"]
        assert not observe(plan, session=session).entities

    def test_half_built_read_back(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """What is read back with a bare id for its ARN is read again, and not sent again."""
        client = session.client("iam")
        lose(client, "CreateUser")
        replies = ["AIDAEXAMPLE", "AIDAEXAMPLE"]

        def spoil(parsed: Any, **_event: object) -> None:
            if "User" in parsed and replies:
                parsed["User"]["Arn"] = replies.pop()

        client.meta.events.register("after-call.iam.GetUser", spoil)
        told: list[Event] = []
        create = ChangeSet((the.CreateUser(name=USER),))
        result = apply(
            create, iam=client, propagation=virtual_time.propagation(), on_event=told.append
        )
        assert result.arns["user", USER].startswith("arn:aws:iam::")
        assert replies == []
        assert [str(each) for each in told].count(f"applying: + CreateUser {USER}: tags ") == 1

    def test_confirmed_after_another_process(
        self, session: boto3.Session, iam: Any, virtual_time: VirtualTime
    ) -> None:
        """What another process made meanwhile is confirmed all the same."""
        client = session.client("iam")

        def act(**_event: object) -> None:
            ensure_agent_user(iam=iam)

        client.meta.events.register("before-call.iam.CreateUser", act)
        told: list[Event] = []
        user = ensure_agent_user(
            iam=client, propagation=virtual_time.propagation(), on_event=told.append
        )
        assert not user.changed
        assert "verified: confirmed by 3 consistent reads" in map(str, told)


class TestCallback:
    """A caller's function that raises what AWS could raise."""

    @pytest.mark.parametrize(
        "error", [KeyError("mine"), ClientError({"Error": {"Code": "Throttling"}}, "X")]
    )
    @pytest.mark.parametrize("kind", ["Applied", "Recovered", "Waiting", "Verified"])
    def test_passes_through(
        self, session: boto3.Session, virtual_time: VirtualTime, error: Exception, kind: str
    ) -> None:
        """It is never taken for an answer of AWS: it passes through, and nothing is sent again."""
        client = session.client("iam")
        lose(client, "CreateUser")
        sent: list[str] = []
        client.meta.events.register(
            "before-call.iam.CreateUser", lambda **_event: sent.append("CreateUser")
        )

        def stop(event: Event) -> None:
            if type(event).__name__ == kind:
                raise error

        with pytest.raises(type(error)) as caught:
            ensure_agent_user(iam=client, propagation=virtual_time.propagation(), on_event=stop)
        assert caught.value is error
        assert len(sent) <= 2


class TestStrangers:
    """Replies that are not IAM's."""

    @pytest.mark.parametrize(
        "reply",
        [{}, {"User": {}}, {"User": {"UserName": USER}}, {"User": None}],
        ids=["empty", "no members", "few members", "nothing"],
    )
    def test_odd_reply(
        self, session: boto3.Session, virtual_time: VirtualTime, reply: dict[str, Any]
    ) -> None:
        """A reply that lacks parts is an error of this library, within the timeout."""
        ensure_agent_user(session=session)
        client = session.client("iam")

        def spoil(parsed: Any, **_event: object) -> None:
            parsed.clear()
            parsed.update({**reply, "ResponseMetadata": {"HTTPStatusCode": 200}})

        client.meta.events.register("after-call.iam.GetUser", spoil)
        with pytest.raises(ObserveError, match="GetUser failed"):
            ensure_agent_user(iam=client, propagation=virtual_time.propagation())
        assert sum(virtual_time.slept) <= 60

    def test_proxy(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Where something else speaks in AWS's place, a few attempts are made, not a minute's."""

        def refuse(**_event: object) -> None:
            message = "Unable to parse response"
            raise ResponseParserError(message)

        session.events.register("before-call.iam", refuse)
        with pytest.raises(ObserveError, match="after 4 looks in") as caught:
            ensure_agent_user(session=session, propagation=virtual_time.propagation())
        assert caught.value.attempts == 4
        assert caught.value.seconds == pytest.approx(sum(virtual_time.slept))


class TestFacts:
    """What errors say of AWS."""

    def test_last_error(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """When the time is up the error has AWS's last one, as text and as its cause."""
        client = session.client("iam")
        answer(client, "GetUser", [None, *[GONE] * 99])
        with pytest.raises(PropagationTimeoutError, match="AWS's last error was NoSuchE") as caught:
            ensure_agent_user(iam=client, propagation=virtual_time.propagation(timeout=5))
        assert caught.value.last_error == f"{GONE[0]}: {GONE[1]}"
        assert isinstance(caught.value.__cause__, ClientError)

    def test_no_region(self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """EC2 needs a region; without one that is said before anything is sent."""
        made: Any = session.client

        def client(name: str, **options: Any) -> Any:
            if name == "ec2":
                raise NoRegionError
            return made(name, **options)

        monkeypatch.setattr(session, "client", client)
        with pytest.raises(IntentError, match="ec2=None: must be a client, unless session="):
            ensure_agent_role(session=session, wait_for="ec2")
        assert not observe(ROLE_PLAN, session=session).entities

    def test_throttled_read_back(self) -> None:
        """Where reads are throttled, what is said to exist is read again, and not made again."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("connection closed", "CreateRole", when="after", nth=1))
            lagging.fail(Fault("Throttling", "GetRole", nth=2))
            lagging.fail(Fault("Throttling", "GetRole", nth=3))
            role = ensure_agent_role(session=lagging.session)
            sent = [each.operation for each in lagging.trace]
        assert len(role.changes) == 4
        assert sent.count("CreateRole") == 1
