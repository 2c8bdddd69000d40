"""What a call tells while it goes on."""

from __future__ import annotations

import copy
import logging
import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ReadTimeoutError

from cwagent_iam import (
    ApplyError,
    apply,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    events,
    plan_agent_user,
    preview,
    remove,
)
from tests.scripted import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from cwagent_iam import Event
    from tests.conftest import VirtualTime

USER = "CloudWatchAgentServerUser"
PLAN = plan_agent_user()
NO_USER = ("NoSuchEntity", f"The user with name {USER} cannot be found.")
CREATE = f"+ CreateUser {USER}: tags ManagedBy=cwagent-iam"
ATTACH = f"+ AttachUserPolicy {USER}: CloudWatchAgentServerPolicy"


def kinds(told: list[Event]) -> list[str]:
    """Return the names of the classes of what was *told*."""
    return [type(each).__name__ for each in told]


def lose_reply(client: Any, operation: str) -> None:
    """Lose the first reply to *operation*, after IAM has done the work."""
    errors = [ReadTimeoutError(endpoint_url="https://iam.amazonaws.com/")]

    def lose(**_event: object) -> None:
        if errors:
            raise errors.pop()

    client.meta.events.register(f"after-call.iam.{operation}", lose)


class TestOrder:
    """Which events come, and in which order."""

    def test_ensure(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A call tells its plan, each change before and after, the verification, and the end."""
        told: list[Event] = []
        user = ensure_agent_user(
            session=session, propagation=virtual_time.propagation(), on_event=told.append
        )
        assert list(map(str, told)) == [
            "planned: 2 changes",
            f"applying: {CREATE}",
            f"applied: {CREATE}",
            f"applying: {ATTACH}",
            f"applied: {ATTACH}",
            "verified: confirmed by 3 consistent reads",
            "done: 2 changes applied in 0.0 s",
        ]
        planned, done = told[0], told[-1]
        assert isinstance(planned, events.Planned)
        assert isinstance(done, events.Done)
        assert planned.changes.changes == done.result.changes == user.changes

    def test_nothing_to_do(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Where all is right a call says so, after one look."""
        ensure_agent_role(session=session)
        told: list[Event] = []
        ensure_agent_role(
            session=session, propagation=virtual_time.propagation(), on_event=told.append
        )
        assert list(map(str, told)) == [
            "planned: 0 changes",
            "verified: confirmed by 1 consistent read",
            "done: 0 changes applied in 0.0 s",
        ]

    @pytest.mark.parametrize("call", ["apply", "remove"])
    def test_others(self, session: boto3.Session, call: str) -> None:
        """`apply` and `remove` emit what they do, and that it is confirmed."""
        told: list[Event] = []
        if call == "apply":
            apply(preview(PLAN, session=session), session=session, on_event=told.append)
        else:
            ensure(PLAN, session=session)
            remove(PLAN, session=session, on_event=told.append)
        changes = ["Applying", "Applied"] * 2
        assert kinds(told) == ["Planned", *changes, "Verified", "Done"]

    def test_waiting(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Each pause is told before it begins, with its reason and the seconds so far."""
        client = session.client("iam")
        answer(client, "AttachUserPolicy", [NO_USER, NO_USER])
        told: list[Event] = []
        ensure_agent_user(iam=client, propagation=virtual_time.propagation(), on_event=told.append)
        waits = [each for each in told if isinstance(each, events.Waiting)]
        assert [(each.reason, each.pause, each.seconds) for each in waits] == [
            ("IAM does not show yet what the request needs", 0.25, 0.0),
            ("IAM does not show yet what the request needs", 0.5, 0.25),
        ]

    @pytest.mark.parametrize("operation", ["CreateUser", "AttachUserPolicy"])
    def test_lost_reply(
        self, session: boto3.Session, virtual_time: VirtualTime, operation: str
    ) -> None:
        """A lost reply is a wait; where the repeat says that it is there, it is recovered."""
        client = session.client("iam")
        lose_reply(client, operation)
        told: list[Event] = []
        user = ensure_agent_user(
            iam=client, propagation=virtual_time.propagation(), on_event=told.append
        )
        creates = operation == "CreateUser"
        assert ("Recovered" in kinds(told)) is creates
        assert kinds(told).count("Waiting") == 1
        assert len(user.changes) == 2
        if creates:
            assert f"recovered: {CREATE}: its reply was lost" in map(str, told)

    def test_somebody_else(
        self, session: boto3.Session, iam: Any, virtual_time: VirtualTime
    ) -> None:
        """What a rival made meanwhile is told as recovered, and is not among our changes."""
        client = session.client("iam")
        rivals: list[Callable[[], object]] = [
            lambda: ensure_agent_user(iam=iam, propagation=virtual_time.propagation())
        ]

        def act(**_event: object) -> None:
            if rivals:
                rivals.pop()()

        client.meta.events.register("before-call.iam.CreateUser", act)
        told: list[Event] = []
        user = ensure_agent_user(
            iam=client, propagation=virtual_time.propagation(), on_event=told.append
        )
        assert f"recovered: {CREATE}: another process made it" in map(str, told)
        assert not user.changed

    def test_failure(self, session: boto3.Session) -> None:
        """A call that fails tells what it was about to do, and never that it is done."""
        client = session.client("iam")
        answer(client, "AttachUserPolicy", [("AccessDenied", "No.")])
        told: list[Event] = []
        with pytest.raises(ApplyError):
            ensure_agent_user(iam=client, on_event=told.append)
        assert kinds(told) == ["Planned", "Applying", "Applied", "Applying"]


class TestCaller:
    """What the caller gets."""

    def test_log(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The logger of the package says the same as the events."""
        caplog.set_level(logging.INFO, logger="cwagent_iam")
        told: list[Event] = []
        ensure_agent_role(
            session=session, propagation=virtual_time.propagation(), on_event=told.append
        )
        assert [each.getMessage() for each in caplog.records] == list(map(str, told))

    def test_values(self, session: boto3.Session) -> None:
        """Events are values: frozen, equal when alike, and they can be pickled."""
        told: list[Event] = []
        ensure_agent_role(session=session, on_event=told.append)
        for event in told:
            assert pickle.loads(pickle.dumps(event)) == copy.deepcopy(event) == event  # noqa: S301 - its own pickle
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                event.seconds = 0.0  # type: ignore[misc]

    def test_own_error(self, session: boto3.Session) -> None:
        """What the caller's function raises passes through; the next call does the rest."""

        def stop(event: Event) -> None:
            if isinstance(event, events.Applied):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ensure_agent_user(session=session, on_event=stop)
        assert [each.operation for each in ensure_agent_user(session=session).changes] == [
            "AttachUserPolicy"
        ]
