"""Somebody else at the same time: whoever is faster, all is right in the end or says why not."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError

from cwagent_iam import (
    ApplyError,
    ConflictError,
    ObserveError,
    ensure_agent_role,
    ensure_agent_user,
)
from tests.core import World
from tests.scripted import answer, names

if TYPE_CHECKING:
    from collections.abc import Callable

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
TAKEN = ("EntityAlreadyExists", f"Role with name {ROLE} already exists.")


def rival(client: Any, operation: str, act: Callable[[], object]) -> None:
    """Let somebody else *act* right before the first *operation* of *client* is carried out."""
    pending = [act]

    def handler(**_event: object) -> None:
        if pending:
            pending.pop()()

    client.meta.events.register(f"before-call.iam.{operation}", handler)


def make_role(world: World, tags: list[dict[str, str]], *policies: str, name: str = ROLE) -> None:
    """Make a role that EC2 may assume."""
    world.do("CreateRole", RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=tags)
    for policy in policies:
        world.do("AttachRolePolicy", RoleName=name, PolicyArn=policy)


def add_role(world: World, name: str = ROLE) -> None:
    """Put a role into the instance profile."""
    world.do("AddRoleToInstanceProfile", InstanceProfileName=ROLE, RoleName=name)


def make_profile(world: World, tags: list[dict[str, str]], role: str | None = None) -> None:
    """Make an instance profile, and put *role* into it."""
    world.do("CreateInstanceProfile", InstanceProfileName=ROLE, Tags=tags)
    if role is not None:
        # Reads and writes of a wave have no order, so the role may not be there yet.
        world.things[f"instance-profile {ROLE}".lower()]["seen"]["Roles"] = [{"RoleName": role}]


def add_other_role(world: World) -> None:
    """Put another role into the instance profile."""
    make_role(world, [], name="other")
    add_role(world, "other")


WON: dict[str, tuple[str, Callable[[World], object]]] = {
    "managed role": ("CreateRole", lambda world: make_role(world, OURS)),
    "managed role with policy": ("CreateRole", lambda world: make_role(world, OURS, SERVER)),
    "foreign role as desired": ("CreateRole", lambda world: make_role(world, [], SERVER)),
    "all at once": ("CreateRole", lambda world: World(world.things).ensure()),
    "managed profile": ("CreateInstanceProfile", lambda world: make_profile(world, OURS)),
    "managed profile with role": (
        "CreateInstanceProfile",
        lambda world: make_profile(world, OURS, ROLE),
    ),
    "foreign profile with role": (
        "CreateInstanceProfile",
        lambda world: make_profile(world, [], ROLE),
    ),
    "policy": (
        "AttachRolePolicy",
        lambda world: world.do("AttachRolePolicy", RoleName=ROLE, PolicyArn=SERVER),
    ),
    "membership": ("AddRoleToInstanceProfile", add_role),
}
LOST: dict[str, tuple[str, Callable[[World], object], str, list[str]]] = {
    "foreign role": (
        "CreateRole",
        lambda world: make_role(world, []),
        "policies",
        ["CreateInstanceProfile"],
    ),
    "foreign empty profile": (
        "CreateInstanceProfile",
        lambda world: make_profile(world, []),
        "role",
        ["CreateRole"],
    ),
    "other role in the profile": (
        "AddRoleToInstanceProfile",
        add_other_role,
        "role",
        ["CreateRole", "CreateInstanceProfile", "AttachRolePolicy"],
    ),
}


class TestRivals:
    """What somebody else does between our look and our change."""

    @pytest.mark.parametrize("row", WON.values(), ids=list(WON))
    def test_same(self, row: tuple[str, Callable[[World], object]]) -> None:
        """Whoever was faster with the same, all is right in the end, and then nothing is left."""
        operation, act = row
        world = World()
        world.script[operation] = [lambda: act(world)]
        result = world.ensure()
        assert len(set(result.changes)) == len(result.changes)
        # To attach a policy again is not refused, so it counts as ours.
        assert (operation in names(result.changes)) == (operation == "AttachRolePolicy")
        assert not world.later().ensure().changed

    @pytest.mark.parametrize("row", LOST.values(), ids=list(LOST))
    def test_other(self, row: tuple[str, Callable[[World], object], str, list[str]]) -> None:
        """Whoever was faster with something else wins; the error tells what we had applied."""
        operation, act, field, applied = row
        world = World()
        world.script[operation] = [lambda: act(world)]
        with pytest.raises(ConflictError) as caught:
            world.ensure()
        fields = [each.field for found in caught.value.conflicts for each in found.differences]
        assert (fields, names(caught.value.applied)) == ([field], applied)

    @pytest.mark.parametrize("tags", [OURS, []], ids=["managed", "foreign"])
    def test_user(
        self, session: boto3.Session, iam: Any, virtual_time: VirtualTime, tags: list[Any]
    ) -> None:
        """A user that somebody else made meanwhile is used if it is ours, or else a conflict."""
        client = session.client("iam")
        rival(client, "CreateUser", lambda: iam.create_user(UserName=USER, Tags=tags))
        waiting = virtual_time.propagation()
        if tags:
            result = ensure_agent_user(iam=client, propagation=waiting)
            assert names(result.changes) == ["AttachUserPolicy"]
        else:
            with pytest.raises(ConflictError, match="policies: not attached"):
                ensure_agent_user(iam=client, propagation=waiting)

    def test_foreign_user_as_desired(
        self, session: boto3.Session, iam: Any, virtual_time: VirtualTime
    ) -> None:
        """A user that somebody else made as desired is used as it is, without our tag."""
        client = session.client("iam")

        def act() -> None:
            iam.create_user(UserName=USER)
            iam.attach_user_policy(UserName=USER, PolicyArn=SERVER)

        rival(client, "CreateUser", act)
        user = ensure_agent_user(iam=client, propagation=virtual_time.propagation())
        assert (user.changes, user.user_arn) == ((), iam.get_user(UserName=USER)["User"]["Arn"])

    @pytest.mark.parametrize(
        "operation",
        ["CreateRole", "CreateInstanceProfile", "AttachRolePolicy", "AddRoleToInstanceProfile"],
    )
    def test_ourselves(
        self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch, operation: str
    ) -> None:
        """Botocore repeats a request whose reply was lost, and so we are our own rival."""
        client = session.client("iam")
        lost: list[str] = []

        def lose(event_name: str, **_event: object) -> None:
            if event_name.endswith(f".{operation}") and not lost:
                lost.append(event_name)
                raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com/")

        client.meta.events.register_last("before-send", lose)
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
        role = ensure_agent_role(iam=client)
        assert (len(lost), len(role.changes)) == (1, 4)
        assert not ensure_agent_role(iam=client).changed

    def test_bounded(
        self, session: boto3.Session, virtual_time: VirtualTime, requests: Requests
    ) -> None:
        """A name that is taken and yet not there is looked for until the time is up."""
        client = session.client("iam")
        answer(client, "CreateRole", itertools.repeat(TAKEN))
        with pytest.raises(ApplyError, match="Names are unique whatever their case") as caught:
            ensure_agent_role(iam=client, propagation=virtual_time.propagation())
        assert (caught.value.code, caught.value.overtaken) == ("EntityAlreadyExists", True)
        assert requests.writes.count("CreateRole") == 1 + len(virtual_time.slept)
        assert virtual_time.slept[:6] == pytest.approx([0.5, 1.0, 2.0, 4.0, 4.0, 4.0])
        assert 50 < sum(virtual_time.slept) <= 60

    @pytest.mark.parametrize(
        ("found", "waits"),
        [(("Throttling", "Rate exceeded"), [0.5, 0.25]), (("AccessDenied", "No."), None)],
        ids=["throttled", "denied"],
    )
    def test_unreadable(
        self,
        session: boto3.Session,
        iam: Any,
        virtual_time: VirtualTime,
        found: tuple[str, str],
        waits: list[float] | None,
    ) -> None:
        """A later read is repeated if it is throttled; if it is refused, the error says that."""
        client = session.client("iam")
        made = {"RoleName": ROLE, "AssumeRolePolicyDocument": TRUST, "Tags": OURS}
        rival(client, "CreateRole", lambda: iam.create_role(**made))
        answer(client, "GetRole", [None, found])
        waiting = virtual_time.propagation()
        if waits:
            assert ensure_agent_role(iam=client, propagation=waiting).changed
        else:
            with pytest.raises(ObserveError, match="AccessDenied") as caught:
                ensure_agent_role(iam=client, propagation=waiting)
            assert names(caught.value.applied) == ["CreateInstanceProfile"]
        assert virtual_time.slept == pytest.approx(waits or [0.5])

    def test_hidden_for_a_while(
        self, session: boto3.Session, iam: Any, virtual_time: VirtualTime
    ) -> None:
        """A rival's role that reads do not show for some seconds is waited for, and completed."""
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST, Tags=OURS)
        client = session.client("iam")
        missing = ("NoSuchEntity", f"The role with name {ROLE} cannot be found.")
        answer(client, "GetRole", [missing] * 4)
        answer(client, "AttachRolePolicy", [missing])
        role = ensure_agent_role(iam=client, propagation=virtual_time.propagation())
        assert sorted(names(role.changes)) == [
            "AddRoleToInstanceProfile",
            "AttachRolePolicy",
            "CreateInstanceProfile",
        ]
        assert 0 < sum(virtual_time.slept) < 10
