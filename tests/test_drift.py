"""What is ours and no longer as intent names it: each field, mended with the fewest writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from cwagent_iam import (
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
)
from tests.core import World, made
from tests.scripted import names

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from cwagent_iam import State
    from tests.conftest import Requests, VirtualTime

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ADMIN = "arn:aws:iam::aws:policy/CloudWatchAgentAdminPolicy"
BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OURS = {"Key": "ManagedBy", "Value": "cwagent-iam"}


ECS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
            },
        ],
    },
)


class Drift(NamedTuple):
    """What somebody does to what we made, and the writes that it takes to mend it."""

    spoil: Callable[[World], object]
    writes: list[str]
    intent: dict[str, Any] = {}  # noqa: RUF012  nobody changes it


def without_role(world: World) -> None:
    """Take the role out of the instance profile."""
    world.do("RemoveRoleFromInstanceProfile", InstanceProfileName=ROLE, RoleName=ROLE)


def without_profile(world: World) -> None:
    """Delete the instance profile."""
    without_role(world)
    world.do("DeleteInstanceProfile", InstanceProfileName=ROLE)


def doing(operation: str, **arguments: Any) -> Callable[[World], object]:
    """Return what somebody else does with one request."""
    return lambda world: world.do(operation, **arguments)


def untagging(kind: str, name: str) -> Callable[[World], object]:
    """Return the removal of the tag Team."""

    def untag(world: World) -> None:
        seen = world.things[f"{kind} {name}".lower()]["seen"]
        seen["Tags"] = [each for each in seen["Tags"] if each["Key"] != "Team"]

    return untag


CHANGED = [{"Key": "Team", "Value": "x"}]
TAGS = {"tags": {"Team": "o", "Cost": "1"}}
BOUNDED = {"permissions_boundary": BOUNDARY}
BY_HAND = doing("UpdateRole", RoleName=ROLE, Description="x", MaxSessionDuration=3600)
ROLE_DRIFT = {
    "trust": Drift(
        doing("UpdateAssumeRolePolicy", RoleName=ROLE, PolicyDocument=ECS),
        ["UpdateAssumeRolePolicy"],
    ),
    "description": Drift(BY_HAND, ["UpdateRole"], {"description": "agent"}),
    "description to clear": Drift(BY_HAND, ["UpdateRole"], {"description": ""}),
    "duration": Drift(
        doing("UpdateRole", RoleName=ROLE, MaxSessionDuration=3600),
        ["UpdateRole"],
        {"max_session_duration": 7200},
    ),
    "description and duration": Drift(
        BY_HAND, ["UpdateRole"], {"description": "agent", "max_session_duration": 7200}
    ),
    "boundary": Drift(
        doing("PutRolePermissionsBoundary", RoleName=ROLE, PermissionsBoundary=ADMIN),
        ["PutRolePermissionsBoundary"],
        BOUNDED,
    ),
    "boundary deleted": Drift(
        doing("DeleteRolePermissionsBoundary", RoleName=ROLE),
        ["PutRolePermissionsBoundary"],
        BOUNDED,
    ),
    "tag missing": Drift(untagging("role", ROLE), ["TagRole"], TAGS),
    "tag changed": Drift(doing("TagRole", RoleName=ROLE, Tags=CHANGED), ["TagRole"], TAGS),
    "policy detached": Drift(
        doing("DetachRolePolicy", RoleName=ROLE, PolicyArn=SERVER),
        ["AttachRolePolicy"],
        {"policies": [SERVER, ADMIN]},
    ),
    "role out of the profile": Drift(without_role, ["AddRoleToInstanceProfile"]),
    "profile deleted": Drift(
        without_profile, ["CreateInstanceProfile", "AddRoleToInstanceProfile"]
    ),
    "profile tag missing": Drift(
        untagging("instance-profile", ROLE), ["TagInstanceProfile"], {"tags": {"Team": "o"}}
    ),
    "profile tag changed": Drift(
        doing("TagInstanceProfile", InstanceProfileName=ROLE, Tags=CHANGED),
        ["TagInstanceProfile"],
        {"tags": {"Team": "o"}},
    ),
}
USER_DRIFT = {
    "boundary": Drift(
        doing("PutUserPermissionsBoundary", UserName=USER, PermissionsBoundary=ADMIN),
        ["PutUserPermissionsBoundary"],
        BOUNDED,
    ),
    "tag missing": Drift(untagging("user", USER), ["TagUser"], TAGS),
    "tag changed": Drift(doing("TagUser", UserName=USER, Tags=CHANGED), ["TagUser"], TAGS),
    "policy detached": Drift(
        doing("DetachUserPolicy", UserName=USER, PolicyArn=SERVER),
        ["AttachUserPolicy"],
        {"policies": [SERVER, ADMIN]},
    ),
}


def check(desired: State, drift: Drift) -> None:
    """Fail if a drift is not mended with its writes, or is not gone then."""
    world = made(desired)
    drift.spoil(world)
    result = world.ensure(desired)
    assert world.writes == names(result.changes) == drift.writes
    assert world.is_as_desired(desired)
    assert not world.later().ensure(desired).changed


class TestDrift:
    """What is ours and not as intent names it."""

    @pytest.mark.parametrize("row", ROLE_DRIFT.values(), ids=list(ROLE_DRIFT))
    def test_role(self, row: Drift) -> None:
        """Each kind of drift of a role is mended with the fewest writes, and is then gone."""
        check(plan_agent_role(**row.intent), row)

    @pytest.mark.parametrize("row", USER_DRIFT.values(), ids=list(USER_DRIFT))
    def test_user(self, row: Drift) -> None:
        """Each kind of drift of a user is mended with the fewest writes, and is then gone."""
        check(plan_agent_user(**row.intent), row)

    def test_what_intent_leaves_open(
        self, session: boto3.Session, iam: Any, requests: Requests
    ) -> None:
        """What intent does not name stays as somebody set it, even beside what is mended."""
        ensure_agent_role(description="agent", session=session)
        iam.update_role(RoleName=ROLE, Description="x", MaxSessionDuration=7200)
        iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=BOUNDARY)
        iam.tag_role(RoleName=ROLE, Tags=[{"Key": "Team", "Value": "x"}])
        requests.sent.clear()
        ensure_agent_role(session=session)
        assert requests.writes == []
        ensure_agent_role(description="agent", session=session)
        role = iam.get_role(RoleName=ROLE)["Role"]
        assert requests.writes == ["UpdateRole"]
        assert (role["Description"], role["MaxSessionDuration"]) == ("agent", 7200)
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
        assert {"Key": "Team", "Value": "x"} in role["Tags"]

    def test_tag_in_another_letter_case(self, session: boto3.Session, requests: Requests) -> None:
        """A tag whose key differs by letter case only is the same tag."""
        ensure_agent_role(tags={"team": "o"}, session=session)
        requests.sent.clear()
        assert not ensure_agent_role(tags={"TEAM": "o"}, session=session).changed
        assert requests.writes == []

    def test_value_of_a_tag_in_another_letter_case(
        self, session: boto3.Session, iam: Any, virtual_time: VirtualTime
    ) -> None:
        """Its value is mended under the key that it has, so that there is one such tag."""
        options: dict[str, Any] = {"session": session, "propagation": virtual_time.propagation()}
        ensure_agent_user(tags={"team": "o"}, **options)
        ensure_agent_user(tags={"TEAM": "x"}, **options)
        tags = iam.get_user(UserName=USER)["User"]["Tags"]
        assert tags == [OURS, {"Key": "team", "Value": "x"}]
