"""Waiting for what is new: how often, how long, and what happens while the time runs."""

from __future__ import annotations

import itertools
import logging
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from cwagent_iam import (
    SERVER_POLICY,
    ApplyError,
    ChangeSet,
    IntentError,
    Propagation,
    PropagationTimeoutError,
    apply,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
)
from cwagent_iam.changes import AttachUserPolicy
from cwagent_iam.propagation import DENSE, Run
from tests.scripted import answer

if TYPE_CHECKING:
    import boto3

    from cwagent_iam import State
    from tests.conftest import VirtualTime

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
NO_ROLE = ("NoSuchEntity", f"The role with name {ROLE} cannot be found.")
NO_USER = ("NoSuchEntity", f"The user with name {USER} cannot be found.")
NO_PROFILE = ("NoSuchEntity", f"Instance Profile {ROLE} cannot be found.")
BUSY = ("ConcurrentModification", "")
IN_USE = ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
ROLE_PLAN, USER_PLAN = plan_agent_role(), plan_agent_user()
ATTACH = ChangeSet((AttachUserPolicy(name=USER, policy=SERVER_POLICY),))


class TestEachWait:
    """The answers that time mends."""

    @pytest.mark.parametrize(
        ("desired", "operation", "found"),
        [
            (ROLE_PLAN, "AttachRolePolicy", NO_ROLE),
            (ROLE_PLAN, "AddRoleToInstanceProfile", NO_ROLE),
            (ROLE_PLAN, "AddRoleToInstanceProfile", NO_PROFILE),
            (USER_PLAN, "AttachUserPolicy", NO_USER),
            (ROLE_PLAN, "CreateRole", BUSY),
            (ROLE_PLAN, "CreateInstanceProfile", BUSY),
            (USER_PLAN, "CreateUser", BUSY),
            (USER_PLAN, "AttachUserPolicy", BUSY),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_ensure(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        desired: State,
        operation: str,
        found: tuple[str, str],
    ) -> None:
        """What is new and unknown, or busy, is tried again until it works."""
        client = session.client("iam")
        answer(client, operation, [found] * 3)
        result = ensure(desired, iam=client, propagation=virtual_time.propagation())
        dense = found[0] == "NoSuchEntity"
        assert virtual_time.slept == ([0.25, 0.5, 1.0] if dense else [0.5, 1.0, 2.0])
        assert len(set(result.changes)) == len(result.changes)
        assert not ensure(desired, iam=client).changed

    def test_after_a_lost_race(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """What this run made stays new to it when it has to look again."""
        client = session.client("iam")
        taken = ("EntityAlreadyExists", f"Instance Profile {ROLE} already exists.")
        answer(client, "CreateInstanceProfile", [taken])
        answer(client, "AttachRolePolicy", [NO_ROLE])
        ensure_agent_role(iam=client, propagation=virtual_time.propagation())
        assert virtual_time.slept == [0.5, 0.25]

    def test_log(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Changes and waits are told to the log of the package, as information."""
        caplog.set_level(logging.INFO, logger="cwagent_iam")
        client = session.client("iam")
        answer(client, "AttachUserPolicy", [NO_USER, NO_USER])
        ensure_agent_user(iam=client, propagation=virtual_time.propagation())
        told = [each for each in caplog.records if each.name.startswith("cwagent_iam")]
        assert [each.getMessage() for each in told] == [
            "planned: 2 changes",
            f"applying: + CreateUser {USER}: tags ManagedBy=cwagent-iam",
            f"applied: + CreateUser {USER}: tags ManagedBy=cwagent-iam",
            f"applying: + AttachUserPolicy {USER}: CloudWatchAgentServerPolicy",
            "waiting 0.2 s after 0.0 s: the user is too new",
            "waiting 0.5 s after 0.2 s: the user is too new",
            f"applied: + AttachUserPolicy {USER}: CloudWatchAgentServerPolicy",
            "verified: right in 3 looks in a row",
            "done: 2 changes applied in 0.8 s",
        ]
        assert {each.levelname for each in told} == {"INFO"}


class TestSchedule:
    """How often and how long."""

    @given(
        timeout=st.floats(0, 300),
        jitter=st.lists(st.floats(0, 1), min_size=1, max_size=20),
        work=st.floats(0, 30),
    )
    def test_bounds(self, timeout: float, jitter: list[float], work: float) -> None:
        """Waits are dense, then flat, spread by half, and never go beyond the time given."""
        now = 7.0
        slept: list[float] = []
        random = itertools.cycle(jitter)

        def sleep(seconds: float) -> None:
            nonlocal now
            slept.append(seconds)
            now += seconds

        def attempt() -> bool:
            nonlocal now
            now += work
            return True

        waiting = Propagation(
            timeout=timeout, clock=lambda: now, sleep=sleep, random=lambda: next(random)
        )
        always = tenacity.retry_if_result(bool)
        retrying = Run.start(waiting).retrying(always, lambda: (DENSE, "why"))
        with pytest.raises(tenacity.RetryError):
            retrying(attempt)
        steps = [0.25, 0.5, 1.0, *itertools.repeat(2.0, len(slept))]
        assert all(
            0.5 * step <= each <= 1.5 * step for each, step in zip(slept, steps, strict=False)
        )
        assert sum(slept) + work * len(slept) <= timeout + 1e-6
        assert sum(slept) + work * len(slept) + 1.5 * steps[len(slept)] + work > timeout - 1e-6

    def test_spread(self, session: boto3.Session) -> None:
        """Two callers with different luck do not wait alike."""
        waits = {}
        for luck in (0.0, 0.5, 1.0):
            client = session.client("iam")
            slept: list[float] = []
            answer(client, "GetUser", [None, NO_USER, NO_USER])
            waiting = Propagation(clock=lambda: 0, sleep=slept.append, random=lambda: luck)  # noqa: B023
            ensure_agent_user(f"u{luck}", iam=client, propagation=waiting)
            waits[luck] = slept
        assert waits == {0.0: [0.125, 0.25], 0.5: [0.25, 0.5], 1.0: [0.375, 0.75]}

    def test_one_deadline(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """All waits of one call share its time: what one uses up the next has no more."""
        client = session.client("iam")
        answer(client, "AttachRolePolicy", [NO_ROLE] * 10)
        answer(client, "AddRoleToInstanceProfile", [NO_PROFILE] * 10)
        answer(client, "GetRole", [None, *[NO_ROLE] * 99])
        with pytest.raises(PropagationTimeoutError) as caught:
            ensure_agent_role(iam=client, propagation=virtual_time.propagation(timeout=40))
        assert sum(virtual_time.slept[:20]) == 2 * (1.75 + 7 * 2)
        assert virtual_time.slept[20:] == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
        assert (caught.value.attempts, caught.value.seconds) == (7, 7.75)
        assert len(caught.value.applied) == 4

    def test_time_of_one_change(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """An error tells the attempts and seconds of the change that failed, not of all."""
        client = session.client("iam")
        answer(client, "CreateUser", [BUSY] * 3)
        answer(client, "AttachUserPolicy", itertools.repeat(BUSY))
        with pytest.raises(ApplyError) as caught:
            ensure_agent_user(iam=client, propagation=virtual_time.propagation(timeout=10))
        assert (caught.value.attempts, caught.value.seconds) == (4, 3.5)
        assert sum(virtual_time.slept) == 3.5 + 3.5

    def test_slow_answers(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """The time that requests take counts too."""
        client = session.client("iam")
        client.create_user(UserName=USER)

        def dawdle(**_event: object) -> None:
            virtual_time.now += 20

        client.meta.events.register("before-call.iam.AttachUserPolicy", dawdle)
        answer(client, "AttachUserPolicy", itertools.repeat(BUSY))
        with pytest.raises(ApplyError) as caught:
            apply(ATTACH, iam=client, propagation=virtual_time.propagation())
        assert (caught.value.attempts, caught.value.seconds) == (3, 61.5)

    @pytest.mark.parametrize(("timeout", "attempts"), [(0, 1), (0.4, 1), (0.5, 2), (1.5, 3)])
    def test_little_time(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        timeout: float,
        attempts: int,
    ) -> None:
        """With no time for a wait there is none; the error counts attempts and seconds."""
        client = session.client("iam")
        answer(client, "AttachUserPolicy", itertools.repeat(BUSY))
        with pytest.raises(ApplyError) as caught:
            apply(ATTACH, iam=client, propagation=virtual_time.propagation(timeout))
        assert (caught.value.attempts, caught.value.code) == (attempts, "ConcurrentModification")
        assert caught.value.seconds == sum(virtual_time.slept) <= timeout

    def test_much_time(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Hours are a time like any other."""
        client = session.client("iam")
        answer(client, "AttachUserPolicy", itertools.repeat(BUSY))
        with pytest.raises(ApplyError) as caught:
            apply(ATTACH, iam=client, propagation=virtual_time.propagation(timeout=3600))
        assert caught.value.seconds == 3599.5
        assert set(virtual_time.slept[3:]) == {4.0}

    @pytest.mark.parametrize("timeout", [True, False, -1, -0.001, math.nan, "60", None, 1j, [60]])
    def test_no_time(self, timeout: Any) -> None:
        """What is no number of seconds is refused, by name, value and rule."""
        with pytest.raises(IntentError, match=r"^timeout=.*: must be a number of seconds, 0 or"):
            Propagation(timeout=timeout)

    def test_default(self) -> None:
        """Without more ado one waits for a minute, by a clock that nobody can turn back."""
        waiting = Propagation()
        before = time.monotonic()
        waiting.sleep(0)
        assert before <= waiting.clock() <= time.monotonic()
        assert waiting.timeout == 60
        assert all(0 <= waiting.random() <= 1 for _ in range(9))
