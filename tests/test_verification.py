"""Looking until everything shows, and what an error says of the work that is done."""

from __future__ import annotations

import functools
import itertools
import operator
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ApplyError,
    CwAgentIamError,
    ObserveError,
    PropagationTimeoutError,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    preview,
)
from tests.scripted import ONE_AT_A_TIME, answer, names

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from tests.conftest import Requests, VirtualTime

ROLE = "CloudWatchAgentServerRole"
ALL = ["AddRoleToInstanceProfile", "AttachRolePolicy", "CreateInstanceProfile", "CreateRole"]
MISS = ("NoSuchEntity", f"The role with name {ROLE} cannot be found.")
TAKEN = ("EntityAlreadyExists", f"Instance Profile {ROLE} already exists.")
DENIED = ("AccessDenied", "User: CALLER is not authorized to perform: iam:GetRole")


def show(client: Any, operation: str, times: int, change: Callable[[Any], object]) -> None:
    """Let *change* spoil the second and some further replies to *operation*, *times* in all."""
    replies = itertools.count()

    def handler(parsed: Any, **_event: object) -> None:
        if 0 < next(replies) <= times:
            change(parsed)

    client.meta.events.register(f"after-call.iam.{operation}", handler)


class TestVerify:
    """Looking until everything shows."""

    def test_absent_for_a_while(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """What was made and does not show yet is waited for, and not made again."""
        client = session.client("iam")
        answer(client, "GetRole", [None, *[MISS] * 9])
        result = ensure_agent_role(iam=client, propagation=virtual_time.propagation())
        assert (len(result.changes), virtual_time.slept) == (4, [0.25, 0.5, 1.0, 0.25])

    @pytest.mark.parametrize(
        ("row", "again"),
        [
            (("ListAttachedRolePolicies", 3, "AttachedPolicies"), ["AttachRolePolicy"]),
            (("ListAttachedRolePolicies", 2, "AttachedPolicies"), []),  # one of three shows it
            (("GetInstanceProfile", 3, "InstanceProfile", "Roles"), []),  # IAM refuses it
        ],
        ids=["policy", "policy in some reads", "membership"],
    )
    def test_stale_for_a_while(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        row: tuple[str, int, *tuple[str, ...]],
        again: list[str],
    ) -> None:
        """What three reads at the same time do not show may have been undone, and is done again."""
        operation, times, *path = row
        ensure_agent_role(session=session)
        client = session.client("iam")
        show(
            client,
            operation,
            times,
            lambda parsed: functools.reduce(operator.getitem, path, parsed).clear(),
        )
        role = ensure_agent_role(
            description="agent", iam=client, propagation=virtual_time.propagation()
        )
        assert names(role.changes) == ["UpdateRole", *again]
        assert not preview(plan_agent_role(description="agent"), session=session)

    @pytest.mark.parametrize(
        ("operation", "member"),
        [("GetRole", "Role"), ("GetInstanceProfile", "InstanceProfile")],
    )
    def test_half_formed(
        self, session: boto3.Session, virtual_time: VirtualTime, operation: str, member: str
    ) -> None:
        """A new thing may show a bare id for its ARN at first; a result never does."""
        client = session.client("iam")
        show(client, operation, 2, lambda parsed: parsed[member].update(Arn="AROAEXAMPLE"))
        role = ensure_agent_role(iam=client, propagation=virtual_time.propagation())
        assert role.role_arn == f"arn:aws:iam::123456789012:role/{ROLE}"
        assert role.instance_profile_arn == f"arn:aws:iam::123456789012:instance-profile/{ROLE}"

    def test_never_formed(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """When the time is up and only an ARN is missing, the error says so."""
        ensure_agent_role(session=session)
        client = session.client("iam")
        show(client, "GetRole", 99, lambda parsed: parsed["Role"].update(Arn="AROAEXAMPLE"))
        client.get_role(RoleName=ROLE)
        with pytest.raises(PropagationTimeoutError, match=f"the ARN of role {ROLE}") as caught:
            ensure_agent_role(iam=client, propagation=virtual_time.propagation(timeout=10))
        error = caught.value
        assert (error.missing, error.unformed, error.applied) == ((), (f"role {ROLE}",), ())
        assert sum(virtual_time.slept) == 10.0

    def test_never(
        self, session: boto3.Session, virtual_time: VirtualTime, requests: Requests
    ) -> None:
        """When the time is up the error says what is missing; the next call finds it."""
        client = session.client("iam")
        answer(client, "GetUser", itertools.chain([None], itertools.repeat(MISS)))
        with pytest.raises(PropagationTimeoutError) as caught:
            ensure_agent_user(iam=client, propagation=virtual_time.propagation(timeout=10))
        error = caught.value
        assert names(error.applied) == ["CreateUser", "AttachUserPolicy"]
        assert names(error.missing) == ["CreateUser", "AttachUserPolicy"]
        assert (error.attempts, error.seconds, sum(virtual_time.slept)) == (8, 10.0, 10.0)
        assert "after 8 looks in 10.0 s" in str(error)
        requests.sent.clear()
        assert not ensure_agent_user(session=session).changed
        assert requests.writes == []


PLACES: dict[str, tuple[dict[str, list[tuple[str, str] | None]], type[CwAgentIamError], int]] = {
    "first look": ({"GetRole": [DENIED]}, ObserveError, 0),
    # What is sent side by side with the change that fails may be done.
    "first wave": ({"CreateRole": [DENIED]}, ApplyError, 1),
    "second wave": ({"AttachRolePolicy": [DENIED]}, ApplyError, 3),
    "change after a wait": (
        {"CreateInstanceProfile": [TAKEN], "AttachRolePolicy": [DENIED]},
        ApplyError,
        2,
    ),
    "verification": ({"GetInstanceProfile": [None, DENIED]}, ObserveError, 4),
    "end of the time": ({"GetRole": [None, *[MISS] * 99]}, PropagationTimeoutError, 4),
}


class TestApplied:
    """What an error says of the work that is done."""

    @pytest.mark.parametrize("row", PLACES.values(), ids=list(PLACES))
    def test_everywhere(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        requests: Requests,
        row: tuple[dict[str, list[tuple[str, str] | None]], type[CwAgentIamError], int],
    ) -> None:
        """Wherever a call fails, the error holds what it applied, and the next call the rest."""
        script, kind, count = row
        client = session.client("iam")
        for operation, answers in script.items():
            answer(client, operation, answers)
        with pytest.raises(kind) as caught:
            ensure_agent_role(iam=client, propagation=virtual_time.propagation())
        applied = names(caught.value.applied)
        assert len(applied) == count
        requests.sent.clear()
        rest = ensure_agent_role(session=session, propagation=ONE_AT_A_TIME)
        assert sorted(applied + requests.writes) == ALL
        assert requests.writes == names(rest.changes)
