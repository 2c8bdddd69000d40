"""What is ours and no longer as intent names it: each field, mended with the fewest writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from cwagent_iam import (
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
)
from tests.scripted import ONE_AT_A_TIME, names

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

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

    spoil: Callable[[Any], object]
    writes: list[str]
    intent: dict[str, Any] = {}  # noqa: RUF012  nobody changes it


def without_role(iam: Any) -> None:
    """Take the role out of the instance profile."""
    iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)


def without_profile(iam: Any) -> None:
    """Delete the instance profile."""
    without_role(iam)
    iam.delete_instance_profile(InstanceProfileName=ROLE)


ROLE_DRIFT = {
    "trust": Drift(
        lambda iam: iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=ECS),
        ["UpdateAssumeRolePolicy"],
    ),
    "description": Drift(
        lambda iam: iam.update_role(RoleName=ROLE, Description="x", MaxSessionDuration=3600),
        ["UpdateRole"],
        {"description": "agent"},
    ),
    "description to clear": Drift(
        lambda iam: iam.update_role(RoleName=ROLE, Description="x", MaxSessionDuration=3600),
        ["UpdateRole"],
        {"description": ""},
    ),
    "duration": Drift(
        lambda iam: iam.update_role(RoleName=ROLE, MaxSessionDuration=3600),
        ["UpdateRole"],
        {"max_session_duration": 7200},
    ),
    "description and duration": Drift(
        lambda iam: iam.update_role(RoleName=ROLE, Description="x", MaxSessionDuration=3600),
        ["UpdateRole"],
        {"description": "agent", "max_session_duration": 7200},
    ),
    "boundary": Drift(
        lambda iam: iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=ADMIN),
        ["PutRolePermissionsBoundary"],
        {"permissions_boundary": BOUNDARY},
    ),
    "boundary deleted": Drift(
        lambda iam: iam.delete_role_permissions_boundary(RoleName=ROLE),
        ["PutRolePermissionsBoundary"],
        {"permissions_boundary": BOUNDARY},
    ),
    "tag missing": Drift(
        lambda iam: iam.untag_role(RoleName=ROLE, TagKeys=["Team"]),
        ["TagRole"],
        {"tags": {"Team": "o", "Cost": "1"}},
    ),
    "tag changed": Drift(
        lambda iam: iam.tag_role(RoleName=ROLE, Tags=[{"Key": "Team", "Value": "x"}]),
        ["TagRole"],
        {"tags": {"Team": "o", "Cost": "1"}},
    ),
    "policy detached": Drift(
        lambda iam: iam.detach_role_policy(RoleName=ROLE, PolicyArn=SERVER),
        ["AttachRolePolicy"],
        {"policies": [SERVER, ADMIN]},
    ),
    "role out of the profile": Drift(without_role, ["AddRoleToInstanceProfile"]),
    "profile deleted": Drift(
        without_profile, ["CreateInstanceProfile", "AddRoleToInstanceProfile"]
    ),
    "profile tag missing": Drift(
        lambda iam: iam.untag_instance_profile(InstanceProfileName=ROLE, TagKeys=["Team"]),
        ["TagInstanceProfile"],
        {"tags": {"Team": "o"}},
    ),
    "profile tag changed": Drift(
        lambda iam: iam.tag_instance_profile(
            InstanceProfileName=ROLE, Tags=[{"Key": "Team", "Value": "x"}]
        ),
        ["TagInstanceProfile"],
        {"tags": {"Team": "o"}},
    ),
}
USER_DRIFT = {
    "boundary": Drift(
        lambda iam: iam.put_user_permissions_boundary(UserName=USER, PermissionsBoundary=ADMIN),
        ["PutUserPermissionsBoundary"],
        {"permissions_boundary": BOUNDARY},
    ),
    "tag missing": Drift(
        lambda iam: iam.untag_user(UserName=USER, TagKeys=["Team"]),
        ["TagUser"],
        {"tags": {"Team": "o", "Cost": "1"}},
    ),
    "tag changed": Drift(
        lambda iam: iam.tag_user(UserName=USER, Tags=[{"Key": "Team", "Value": "x"}]),
        ["TagUser"],
        {"tags": {"Team": "o", "Cost": "1"}},
    ),
    "policy detached": Drift(
        lambda iam: iam.detach_user_policy(UserName=USER, PolicyArn=SERVER),
        ["AttachUserPolicy"],
        {"policies": [SERVER, ADMIN]},
    ),
}


class TestDrift:
    """What is ours and not as intent names it."""

    @pytest.mark.parametrize("row", ROLE_DRIFT.values(), ids=list(ROLE_DRIFT))
    def test_role(self, session: boto3.Session, iam: Any, requests: Requests, row: Drift) -> None:
        """Each kind of drift of a role is mended with the fewest writes, and is then gone."""
        desired = plan_agent_role(**row.intent)
        ensure(desired, session=session)
        row.spoil(iam)
        requests.sent.clear()
        result = ensure(desired, session=session, propagation=ONE_AT_A_TIME)
        assert requests.writes == names(result.changes) == row.writes
        assert not ensure(desired, session=session).changed

    @pytest.mark.parametrize("row", USER_DRIFT.values(), ids=list(USER_DRIFT))
    def test_user(self, session: boto3.Session, iam: Any, requests: Requests, row: Drift) -> None:
        """Each kind of drift of a user is mended with the fewest writes, and is then gone."""
        desired = plan_agent_user(**row.intent)
        ensure(desired, session=session)
        row.spoil(iam)
        requests.sent.clear()
        result = ensure(desired, session=session, propagation=ONE_AT_A_TIME)
        assert requests.writes == names(result.changes) == row.writes
        assert not ensure(desired, session=session).changed

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
