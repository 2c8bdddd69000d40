"""Taking away what we made, and nothing else."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ApplyError,
    ConflictError,
    PropagationTimeoutError,
    ensure,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from tests.core import DENIED, carry_out, made, pauses, refusal
from tests.scripted import ONE_AT_A_TIME, answer, names

if TYPE_CHECKING:
    import boto3

    from cwagent_iam import State
    from cwagent_iam.requests import Request
    from tests.conftest import Requests, VirtualTime
    from tests.core import Answer

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ADMIN = "arn:aws:iam::aws:policy/CloudWatchAgentAdminPolicy"
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
OURS = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
ROLE_PLAN, USER_PLAN = plan_agent_role(), plan_agent_user()
PLANS = plan_agent_role, plan_agent_user
IN_USE = refusal("DeleteConflict", "Cannot delete entity, must detach all policies first.")
GONE = {
    "DetachRolePolicy": "Policy ARN was not found.",
    "RemoveRoleFromInstanceProfile": f"Role {ROLE} in Instance Profile {ROLE} cannot be found.",
    "DeleteRole": f"The role with name {ROLE} cannot be found.",
    "DeleteInstanceProfile": f"Instance Profile {ROLE} cannot be found.",
    "DetachUserPolicy": "Policy ARN was not found.",
    "DeleteUser": f"The user with name {USER} cannot be found.",
}


def plan_of(operation: str) -> State:
    """Return what is removed by *operation*, among others."""
    return USER_PLAN if "User" in operation else ROLE_PLAN


def replay(client: Any, operation: str, times: int) -> None:
    """Answer calls of *operation* with the first reply to it, *times* more."""
    first: list[Any] = []
    replies: list[Any] = []

    def record(http_response: Any, parsed: Any, **_event: object) -> None:
        if not first:
            first.append(http_response)
            replies.extend((http_response, copy.deepcopy(parsed)) for _ in range(times))

    def send(**_event: object) -> Any:
        return replies.pop() if replies else None

    client.meta.events.register(f"after-call.iam.{operation}", record)
    client.meta.events.register(f"before-call.iam.{operation}", send)


class TestOrder:
    """What is removed, and in which order."""

    def test_role(self, session: boto3.Session, iam: Any, requests: Requests) -> None:
        """A role goes when nothing hangs on it any more, and so does its profile."""
        desired = plan_agent_role(policies=[SERVER, ADMIN], instance_profile="p")
        ensure(desired, session=session)
        requests.sent.clear()
        result = remove(desired, session=session, propagation=ONE_AT_A_TIME)
        assert requests.writes == names(result.changes)
        for first, then in (
            ("RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"),
            ("RemoveRoleFromInstanceProfile", "DeleteRole"),
            ("DetachRolePolicy", "DeleteRole"),
        ):
            last = len(requests.writes) - 1 - requests.writes[::-1].index(first)
            assert last < requests.writes.index(then)
        assert requests.writes.count("DetachRolePolicy") == 2
        assert result.state.entities == ()
        assert iam.list_roles()["Roles"] == iam.list_instance_profiles()["InstanceProfiles"] == []

    def test_others_stay(self) -> None:
        """Roles, users and profiles of other names stay."""
        plans = [plan(name) for name in ("mine", "yours") for plan in PLANS]
        world = made(*plans)
        for plan in plans[:2]:
            world.remove(plan)
        assert all(world.is_as_desired(plan) for plan in plans[2:])
        assert {key.split()[-1] for key in world.things} == {"yours"}

    @pytest.mark.parametrize(
        ("lost", "left"),
        [
            (["DetachRolePolicy"], 3),
            (["RemoveRoleFromInstanceProfile"], 3),
            (["RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"], 2),
            (["RemoveRoleFromInstanceProfile", "DetachRolePolicy", "DeleteRole"], 1),
        ],
        ids=lambda value: "+".join(value) if isinstance(value, list) else None,
    )
    def test_partly_absent(self, lost: list[str], left: int) -> None:
        """Whatever somebody has taken away before, the rest is removed."""
        world = made(ROLE_PLAN)
        profile = {"InstanceProfileName": ROLE}
        taking: dict[str, dict[str, str]] = {
            "DetachRolePolicy": {"RoleName": ROLE, "PolicyArn": SERVER},
            "RemoveRoleFromInstanceProfile": {"RoleName": ROLE, **profile},
            "DeleteInstanceProfile": profile,
            "DeleteRole": {"RoleName": ROLE},
        }
        for operation in lost:
            world.do(operation, **taking[operation])
        result = world.remove()
        assert world.writes == names(result.changes)
        assert sorted(world.writes + lost) == sorted(taking)
        assert len(world.writes) == left
        assert not world.later().remove().changed


class TestMeanwhile:
    """What happens while things are removed."""

    @pytest.mark.parametrize("repeats", [0, 1], ids=["by a rival", "by a lost reply"])
    @pytest.mark.parametrize("operation", GONE)
    def test_gone(self, operation: str, repeats: int) -> None:
        """What is gone when a request arrives is done; it is ours if it was sent twice."""
        desired = plan_of(operation)
        world = made(desired)
        count = len(world.remove(desired).changes)
        world = made(desired)
        facts: dict[str, Any] = {"attempts": 1 + repeats, "unacknowledged": repeats > 0}
        gone = refusal("NoSuchEntity", GONE[operation], **facts)

        def too_late(request: Request) -> Answer:
            if request.operation != operation:
                return None
            carry_out(world.things, request, world.now)
            return gone

        world.answers = too_late
        result = world.remove(desired)
        assert len(result.changes) == count - 1 + repeats
        # Otherwise the host that did not find it may have been stale.
        assert pauses(world) == ([0.5] if repeats else [0.5, 1.0, 2.0, 2.0, 4.0, 4.0])
        assert result.state.entities == ()

    @pytest.mark.parametrize("operation", ["DeleteRole", "DeleteInstanceProfile", "DeleteUser"])
    def test_lag(self, operation: str) -> None:
        """What was taken away may seem to be in use for a while, which is waited out."""
        desired = plan_of(operation)
        world = made(desired)
        world.script[operation] = [IN_USE] * 3
        assert world.remove(desired).state.entities == ()
        assert pauses(world) == [0.5, 1.0, 2.0]

    def test_nothing_freed(self) -> None:
        """What is in use by nothing that can be seen is looked into until the time is up."""
        desired = plan_agent_user(policies=())
        world = made(desired)
        world.script["DeleteUser"] = [IN_USE] * 99
        with pytest.raises(ApplyError, match="remove that, then call again") as caught:
            world.remove(desired)
        assert (caught.value.code, caught.value.applied) == ("DeleteConflict", ())
        assert 50 < round(sum(pauses(world)), 6) <= 60

    @pytest.mark.parametrize("age", [1.0, 999.0])
    def test_foreign(self, age: float) -> None:
        """What another process attaches meanwhile stops the removal, once the conflict stands."""
        world = made(ROLE_PLAN, age=age)

        def attach() -> None:
            world.do("AttachRolePolicy", RoleName=ROLE, PolicyArn=ADMIN)

        world.script["DetachRolePolicy"] = [attach]
        with pytest.raises(ConflictError, match="policy CloudWatchAgentAdminPolicy") as caught:
            world.remove()
        beside = ["DetachRolePolicy", "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"]
        assert names(caught.value.applied) == beside
        assert pauses(world) == [0.5, 1.0, 2.0, 2.0]

    @pytest.mark.parametrize("operation", GONE)
    def test_denied(self, operation: str) -> None:
        """A removal that is denied in the middle says what is gone; the next call does the rest."""
        desired = plan_of(operation)
        world = made(desired)
        world.script[operation] = [DENIED]
        with pytest.raises(ApplyError, match=f"Allow the caller iam:{operation}") as caught:
            world.remove(desired)
        error = caught.value
        assert (error.operation, error.code) == (operation, "AccessDenied")
        assert names(error.remaining)[0] == operation
        rest = world.later().remove(desired)
        assert rest.changes == error.remaining
        assert len(error.applied) + len(rest.changes) == (2 if desired is USER_PLAN else 4)

    def test_in_use_and_denied(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Both refusals are recognised as botocore raises them."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")
        answer(client, "DeleteUser", [("DeleteConflict", IN_USE.message)])
        answer(client, "DetachUserPolicy", [("AccessDenied", "No.")])
        with pytest.raises(ApplyError, match="Allow the caller iam:DetachUserPolicy"):
            remove(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        result = remove(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        assert virtual_time.slept == pytest.approx([0.5])
        assert result.state.entities == ()


class TestVerify:
    """Looking until all of it is gone."""

    def test_still_there(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """What is deleted and still shows is waited for, and not deleted again."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")
        replay(client, "GetUser", 3)
        result = remove(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        assert names(result.changes) == ["DetachUserPolicy", "DeleteUser"]
        assert 0 < sum(virtual_time.slept) < 5
        assert result.state.entities == ()

    def test_never_gone(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """When the time is up the error says what still shows; the next call finds it gone."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")
        replay(client, "GetUser", 999)
        with pytest.raises(PropagationTimeoutError) as caught:
            remove(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        assert names(caught.value.missing) == ["DeleteUser"]
        assert names(caught.value.applied) == ["DetachUserPolicy", "DeleteUser"]
        assert "ogin" not in caught.value.last_error  # only some users have a password
        assert not remove(USER_PLAN, session=session).changed
