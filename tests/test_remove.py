"""Taking away what we made, and nothing else."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ApplyError,
    ConflictError,
    PropagationTimeoutError,
    ensure,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
)
from tests.scripted import ONE_AT_A_TIME, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import boto3

    from tests.conftest import Requests, VirtualTime

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
DENIED = ("AccessDenied", "User: CALLER is not authorized to perform: iam:X")
IN_USE = ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
GONE = {
    "DetachRolePolicy": ("NoSuchEntity", "Policy ARN was not found."),
    "RemoveRoleFromInstanceProfile": (
        "NoSuchEntity",
        f"Role {ROLE} in Instance Profile {ROLE} cannot be found.",
    ),
    "DeleteRole": ("NoSuchEntity", f"The role with name {ROLE} cannot be found."),
    "DeleteInstanceProfile": ("NoSuchEntity", f"Instance Profile {ROLE} cannot be found."),
    "DetachUserPolicy": ("NoSuchEntity", "Policy ARN was not found."),
    "DeleteUser": ("NoSuchEntity", f"The user with name {USER} cannot be found."),
}


def refusal(client: Any, operation: str, found: tuple[str, str], *, repeats: int = 0) -> Exception:
    """Return what botocore raises when IAM refuses *operation* with this code and these words."""
    code, words = found
    error: Exception = client.exceptions.from_code(code)(
        {
            "Error": {"Code": code, "Message": words},
            "ResponseMetadata": {"RetryAttempts": repeats},
        },
        operation,
    )
    return error


def answer(client: Any, operation: str, answers: Iterable[tuple[str, str] | None]) -> None:
    """Answer the next calls of *operation* with AWS's code and words; `None` lets one through."""
    script = iter(answers)

    def handler(**_event: object) -> None:
        if found := next(script, None):
            raise refusal(client, operation, found)

    client.meta.events.register(f"before-call.iam.{operation}", handler)


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

    def test_others_stay(self, session: boto3.Session, iam: Any) -> None:
        """Roles, users and profiles of other names stay."""
        for name in ("mine", "yours"):
            ensure(plan_agent_role(name), session=session)
            ensure(plan_agent_user(name), session=session)
        remove(plan_agent_role("mine"), session=session)
        remove(plan_agent_user("mine"), session=session)
        assert not preview(plan_agent_role("yours"), session=session)
        assert not preview(plan_agent_user("yours"), session=session)
        assert len(iam.list_roles()["Roles"]) == len(iam.list_users()["Users"]) == 1

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
    def test_partly_absent(
        self, session: boto3.Session, iam: Any, requests: Requests, lost: list[str], left: int
    ) -> None:
        """Whatever somebody has taken away before, the rest is removed."""
        ensure(ROLE_PLAN, session=session)
        taking: dict[str, Callable[[], object]] = {
            "DetachRolePolicy": lambda: iam.detach_role_policy(RoleName=ROLE, PolicyArn=SERVER),
            "RemoveRoleFromInstanceProfile": lambda: iam.remove_role_from_instance_profile(
                InstanceProfileName=ROLE, RoleName=ROLE
            ),
            "DeleteInstanceProfile": lambda: iam.delete_instance_profile(InstanceProfileName=ROLE),
            "DeleteRole": lambda: iam.delete_role(RoleName=ROLE),
        }
        for operation in lost:
            taking[operation]()
        requests.sent.clear()
        result = remove(ROLE_PLAN, session=session, propagation=ONE_AT_A_TIME)
        assert requests.writes == names(result.changes)
        assert sorted(requests.writes + lost) == sorted(taking)
        assert len(requests.writes) == left
        assert not remove(ROLE_PLAN, session=session).changed


class TestMeanwhile:
    """What happens while things are removed."""

    @pytest.mark.parametrize("repeats", [0, 1], ids=["by a rival", "by a lost reply"])
    @pytest.mark.parametrize("operation", GONE)
    def test_gone(
        self, session: boto3.Session, virtual_time: VirtualTime, operation: str, repeats: int
    ) -> None:
        """What is gone when a request arrives is done; it is ours if botocore sent it twice."""
        desired = USER_PLAN if "User" in operation else ROLE_PLAN
        count = len(ensure(desired, session=session).changes)
        client = session.client("iam")

        def too_late(**_event: object) -> None:
            raise refusal(client, operation, GONE[operation], repeats=repeats)

        client.meta.events.register(f"after-call.iam.{operation}", too_late)
        result = remove(desired, iam=client, propagation=virtual_time.propagation())
        assert len(result.changes) == count - 1 + repeats
        assert virtual_time.slept == pytest.approx([0.5])
        assert result.state.entities == ()

    @pytest.mark.parametrize("operation", ["DeleteRole", "DeleteInstanceProfile", "DeleteUser"])
    def test_lag(self, session: boto3.Session, virtual_time: VirtualTime, operation: str) -> None:
        """What was taken away may seem to be in use for a while, which is waited out."""
        desired = USER_PLAN if "User" in operation else ROLE_PLAN
        ensure(desired, session=session)
        client = session.client("iam")
        answer(client, operation, [IN_USE] * 3)
        result = remove(desired, iam=client, propagation=virtual_time.propagation())
        assert virtual_time.slept == pytest.approx([0.5, 1.0, 2.0])
        assert result.state.entities == ()

    def test_nothing_freed(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """What is in use by nothing that can be seen is looked into until the time is up."""
        desired = plan_agent_user(policies=())
        ensure(desired, session=session)
        client = session.client("iam")
        answer(client, "DeleteUser", itertools.repeat(IN_USE))
        with pytest.raises(ApplyError, match="take that away, then call again") as caught:
            remove(desired, iam=client, propagation=virtual_time.propagation())
        assert (caught.value.code, caught.value.applied) == ("DeleteConflict", ())
        assert 50 < sum(virtual_time.slept) <= 60

    def test_foreign(self, session: boto3.Session, iam: Any, virtual_time: VirtualTime) -> None:
        """What another process attaches meanwhile stops the removal, once the conflict stands."""
        ensure(ROLE_PLAN, session=session)
        client = session.client("iam")

        def attach(**_event: object) -> None:
            iam.attach_role_policy(RoleName=ROLE, PolicyArn=ADMIN)

        client.meta.events.register("after-call.iam.DetachRolePolicy", attach)
        with pytest.raises(ConflictError, match="policy CloudWatchAgentAdminPolicy") as caught:
            remove(ROLE_PLAN, iam=client, propagation=virtual_time.propagation())
        beside = ["DetachRolePolicy", "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"]
        assert names(caught.value.applied) == beside
        assert virtual_time.slept == pytest.approx([0.5, 1.0, 2.0, 2.0])

    @pytest.mark.parametrize("operation", GONE)
    def test_denied(self, session: boto3.Session, iam: Any, operation: str) -> None:
        """A removal that is denied in the middle says what is gone; the next call does the rest."""
        desired = USER_PLAN if "User" in operation else ROLE_PLAN
        count = len(ensure(desired, session=session).changes)
        client = session.client("iam")
        answer(client, operation, itertools.repeat(DENIED))
        with pytest.raises(ApplyError, match=f"Allow the caller iam:{operation}") as caught:
            remove(desired, iam=client)
        error = caught.value
        assert (error.operation, error.code) == (operation, "AccessDenied")
        assert names(error.remaining)[0] == operation
        rest = remove(desired, iam=iam)
        assert rest.changes == error.remaining
        assert len(error.applied) + len(rest.changes) == count


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
