"""What is ours, what is not, and what is left alone in either case."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ConflictError,
    State,
    apply,
    diff,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    observe,
    plan_agent_role,
    plan_agent_user,
    preview,
)
from cwagent_iam.remover import removal

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from tests.conftest import Requests

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ADMIN = "arn:aws:iam::aws:policy/CloudWatchAgentAdminPolicy"
BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OURS = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
INLINE = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
    },
)


def trust(*services: str) -> str:
    """Return a trust that lets *services* assume the role, each in a statement of its own."""
    statements = [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        for service in services
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


EC2 = trust("ec2.amazonaws.com")
SSM = trust("ssm.amazonaws.com")


def make_role(
    iam: Any, *, name: str = ROLE, policies: tuple[str, ...] = (SERVER,), **members: Any
) -> None:
    """Make a role as somebody else would, without our tag."""
    iam.create_role(**{"RoleName": name, "AssumeRolePolicyDocument": EC2, **members})
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)


def make_user(iam: Any, *, policies: tuple[str, ...] = (SERVER,), **members: Any) -> None:
    """Make a user as somebody else would, without our tag."""
    iam.create_user(UserName=USER, **members)
    for policy in policies:
        iam.attach_user_policy(UserName=USER, PolicyArn=policy)


def make_profile(iam: Any, role: str | None, **members: Any) -> None:
    """Make an instance profile that holds *role*, as somebody else would, without our tag."""
    iam.create_instance_profile(InstanceProfileName=ROLE, **members)
    if role is not None:
        iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=role)


def everything(iam: Any) -> list[Any]:
    """Return all that IAM has of roles, users, instance profiles and inline policies."""
    details = iam.get_account_authorization_details(Filter=["Role", "User"])
    roles = [iam.get_role(RoleName=row["RoleName"])["Role"] for row in details["RoleDetailList"]]
    profiles = [
        iam.get_instance_profile(InstanceProfileName=row["InstanceProfileName"])["InstanceProfile"]
        for row in iam.list_instance_profiles()["InstanceProfiles"]
    ]
    return [details["RoleDetailList"], details["UserDetailList"], roles, profiles]


def conflicts_of(session: boto3.Session, desired: State) -> dict[str, list[str]]:
    """Return the fields that stand in the way of *desired*, by what they belong to."""
    with pytest.raises(ConflictError) as caught:
        ensure(desired, session=session)
    assert caught.value.applied == ()
    return {
        conflict.target: [difference.field for difference in conflict.differences]
        for conflict in caught.value.conflicts
    }


class TestForeignAndAsDesired:
    """What exists without our tag and does what intent needs."""

    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"policies": (SERVER, ADMIN)},
            {"AssumeRolePolicyDocument": trust("ec2.amazonaws.com", "ssm.amazonaws.com")},
            {"Description": "by hand", "MaxSessionDuration": 7200, "Path": "/hand/"},
            {"PermissionsBoundary": BOUNDARY, "Tags": [{"Key": "ManagedBy", "Value": "hand"}]},
        ],
        ids=["bare", "more policies", "more trust", "more fields", "boundary and tags"],
    )
    def test_role(
        self, session: boto3.Session, iam: Any, requests: Requests, members: dict[str, Any]
    ) -> None:
        """Role and profile are used as they are: no write, no tag, whatever more they hold."""
        make_role(iam, **members)
        make_profile(iam, ROLE)
        before = everything(iam)
        requests.sent.clear()
        role = ensure_agent_role(tags={"Team": "o"}, session=session)
        assert (requests.writes, role.changed) == ([], False)
        assert role.role_arn == iam.get_role(RoleName=ROLE)["Role"]["Arn"]
        assert everything(iam) == before

    @pytest.mark.parametrize(
        "members",
        [{}, {"policies": (SERVER, ADMIN)}, {"PermissionsBoundary": BOUNDARY, "Path": "/hand/"}],
        ids=["bare", "more policies", "more fields"],
    )
    def test_user(
        self, session: boto3.Session, iam: Any, requests: Requests, members: dict[str, Any]
    ) -> None:
        """A user is used as it is: no write, no tag, whatever more it holds."""
        make_user(iam, **members)
        before = everything(iam)
        requests.sent.clear()
        user = ensure_agent_user(tags={"Team": "o"}, session=session)
        assert (requests.writes, user.changed) == ([], False)
        assert everything(iam) == before

    def test_role_without_profile(
        self, session: boto3.Session, iam: Any, requests: Requests
    ) -> None:
        """A profile of ours is made around a role that is not."""
        make_role(iam)
        requests.sent.clear()
        ensure_agent_role(session=session)
        assert requests.writes == ["CreateInstanceProfile", "AddRoleToInstanceProfile"]
        assert "Tags" not in iam.get_role(RoleName=ROLE)["Role"]

    def test_profile_that_holds_our_role(
        self, session: boto3.Session, iam: Any, requests: Requests
    ) -> None:
        """A profile that is not ours and holds the role is used as it is."""
        make_role(iam, Tags=OURS)
        make_profile(iam, ROLE)
        requests.sent.clear()
        ensure_agent_role(tags={"Team": "o"}, session=session)
        profile = iam.get_instance_profile(InstanceProfileName=ROLE)["InstanceProfile"]
        assert (requests.writes, profile["Tags"]) == (["TagRole"], [])


SINGLE: dict[str, tuple[str, str, Callable[[Any], None]]] = {
    "no policy": ("role", "policies", lambda iam: make_role(iam, policies=())),
    "other policy": ("role", "policies", lambda iam: make_role(iam, policies=(ADMIN,))),
    "other trust": ("role", "trust", lambda iam: make_role(iam, AssumeRolePolicyDocument=SSM)),
    "no JSON": ("role", "trust", lambda iam: make_role(iam, AssumeRolePolicyDocument="no JSON")),
    "empty profile": ("instance-profile", "role", lambda iam: make_profile(iam, None)),
}


class TestForeignAndDifferent:
    """What exists without our tag and stands in the way."""

    def test_role(self, session: boto3.Session, iam: Any, requests: Requests) -> None:
        """The error lists every difference of role and profile at once; nothing is written."""
        make_role(
            iam,
            policies=(),
            AssumeRolePolicyDocument=SSM,
            Description="by hand",
        )
        make_profile(iam, None)
        desired = plan_agent_role(
            path="/agents/",
            description="agent",
            max_session_duration=7200,
            permissions_boundary=BOUNDARY,
            policies=[SERVER, ADMIN],
            tags={"Team": "o"},
        )
        requests.sent.clear()
        assert conflicts_of(session, desired) == {
            f"role {ROLE}": [
                "path",
                "permissions boundary",
                "trust",
                "description",
                "max session duration",
                "policies",
                "policies",
            ],
            f"instance-profile {ROLE}": ["path", "role"],
        }
        assert requests.writes == []

    def test_user(self, session: boto3.Session, iam: Any, requests: Requests) -> None:
        """The error lists every difference of the user at once; nothing is written."""
        make_user(iam, policies=(), PermissionsBoundary=ADMIN)
        desired = plan_agent_user(path="/agents/", permissions_boundary=BOUNDARY, policies=[ADMIN])
        requests.sent.clear()
        fields = ["path", "permissions boundary", "policies"]
        assert conflicts_of(session, desired) == {f"user {USER}": fields}
        assert requests.writes == []

    @pytest.mark.parametrize("row", SINGLE.values(), ids=list(SINGLE))
    def test_single(
        self,
        session: boto3.Session,
        iam: Any,
        requests: Requests,
        row: tuple[str, str, Callable[[Any], None]],
    ) -> None:
        """One difference is a conflict, and nothing else is begun before it is settled."""
        kind, field, make = row
        make(iam)
        requests.sent.clear()
        assert conflicts_of(session, plan_agent_role()) == {f"{kind} {ROLE}": [field]}
        assert requests.writes == []

    @pytest.mark.parametrize("tags", [OURS, []], ids=["managed", "foreign"])
    def test_other_role_in_the_profile(
        self, session: boto3.Session, iam: Any, requests: Requests, tags: list[Any]
    ) -> None:
        """Another role is never taken out of a profile, whoever made the profile."""
        make_role(iam, name="other")
        make_profile(iam, "other", Tags=tags)
        requests.sent.clear()
        found = conflicts_of(session, plan_agent_role())
        assert found == {f"instance-profile {ROLE}": ["role"]}
        assert requests.writes == []

    @pytest.mark.parametrize("tags", [OURS, []], ids=["managed", "foreign"])
    def test_path(
        self, session: boto3.Session, iam: Any, requests: Requests, tags: list[Any]
    ) -> None:
        """Another path is a conflict, whoever made the thing, and never mended."""
        make_role(iam, Path="/there/", Tags=tags)
        make_profile(iam, ROLE, Path="/there/", Tags=tags)
        make_user(iam, Path="/there/", Tags=tags)
        requests.sent.clear()
        assert conflicts_of(session, plan_agent_role(path="/here/")) == {
            f"role {ROLE}": ["path"],
            f"instance-profile {ROLE}": ["path"],
        }
        assert conflicts_of(session, plan_agent_user(path="/here/")) == {f"user {USER}": ["path"]}
        assert not preview(plan_agent_role(), session=session)
        assert requests.writes == []

    @pytest.mark.parametrize("tags", [OURS, []], ids=["managed", "foreign"])
    def test_letter_case(
        self, session: boto3.Session, iam: Any, requests: Requests, tags: list[Any]
    ) -> None:
        """IAM finds a name in any letter case; one that is written otherwise is a conflict."""
        make_role(iam, Tags=tags)
        iam.create_instance_profile(InstanceProfileName="other")
        client = session.client("iam")

        def find_it(params: dict[str, Any], **_event: object) -> None:
            params["RoleName"] = ROLE

        client.meta.events.register("before-parameter-build.iam.GetRole", find_it)
        client.meta.events.register("before-parameter-build.iam.ListAttachedRolePolicies", find_it)
        requests.sent.clear()
        with pytest.raises(ConflictError, match=f"name: {ROLE} -> {ROLE.lower()}"):
            ensure_agent_role(ROLE.lower(), iam=client)
        assert requests.writes == []


class TestChoices:
    """What is done to what is not ours, and not as desired, where somebody says so."""

    def test_adopt(self, session: boto3.Session, iam: Any) -> None:
        """Role, profile and user become ours and as desired; another role goes out."""
        make_role(iam, name="other")
        make_role(iam, policies=(ADMIN,), AssumeRolePolicyDocument=SSM)
        make_profile(iam, "other")
        make_user(iam, policies=())
        desired = State.of([*plan_agent_role().entities, *plan_agent_user().entities])
        changes = diff(desired, observe(desired, session=session), existing="adopt")
        apply(changes, session=session)
        assert not preview(desired, session=session)
        profile = iam.get_instance_profile(InstanceProfileName=ROLE)["InstanceProfile"]
        assert [role["RoleName"] for role in profile["Roles"]] == [ROLE]
        assert profile["Tags"] == iam.get_role(RoleName=ROLE)["Role"]["Tags"] == OURS
        assert [str(extra) for extra in changes.extras] == [
            f"role {ROLE}, policies: CloudWatchAgentAdminPolicy"
        ]

    def test_attach_and_take_away_again(self, session: boto3.Session, iam: Any) -> None:
        """What attaching adds is all that undoing it takes away."""
        make_role(iam, policies=(ADMIN,), Description="by hand")
        make_profile(iam, None)
        make_user(iam, policies=(ADMIN,))
        before = everything(iam)
        desired = State.of([*plan_agent_role().entities, *plan_agent_user().entities])
        changes = diff(desired, observe(desired, session=session), existing="attach")
        assert [change.operation for change in apply(changes, session=session).changes] == [
            "AttachRolePolicy",
            "AttachUserPolicy",
            "AddRoleToInstanceProfile",
        ]
        assert not preview(desired, session=session)
        undo = removal(desired, observe(desired, session=session), existing="attach")
        apply(undo, session=session)
        assert everything(iam) == before

    def test_exclusive(self, session: boto3.Session, iam: Any) -> None:
        """Exactly the desired policies are attached afterwards."""
        make_role(iam, policies=(ADMIN,), Tags=OURS)
        desired = plan_agent_role(instance_profile=False)
        observed = observe(desired, session=session)
        apply(diff(desired, observed, attachments="exclusive"), session=session)
        attached = iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
        assert [policy["PolicyArn"] for policy in attached] == [SERVER]


class TestLeftAlone:
    """What intent does not name."""

    @pytest.mark.parametrize("tags", [OURS, []], ids=["managed", "foreign"])
    def test_role(self, session: boto3.Session, iam: Any, tags: list[Any]) -> None:
        """Policies, tags, inline policies and profiles of others survive creation and repair."""
        make_role(iam, policies=(SERVER, ADMIN), Tags=[*tags, {"Key": "Cost", "Value": "1"}])
        iam.put_role_policy(RoleName=ROLE, PolicyName="inline", PolicyDocument=INLINE)
        iam.create_instance_profile(InstanceProfileName="other", Tags=[{"Key": "a", "Value": "b"}])
        iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName=ROLE)
        before = everything(iam)
        ensure_agent_role(session=session, instance_profile=False)
        assert everything(iam) == before
        if tags:
            iam.detach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
            iam.untag_role(RoleName=ROLE, TagKeys=["Cost"])
            ensure_agent_role(session=session, instance_profile=False, tags={"Cost": "1"})
            assert sorted(map(str, everything(iam)[2])) == sorted(map(str, before[2]))
            assert everything(iam)[3] == before[3]

    @pytest.mark.parametrize("tags", [OURS, []], ids=["managed", "foreign"])
    def test_user(self, session: boto3.Session, iam: Any, tags: list[Any]) -> None:
        """Policies, tags, inline policies, groups and keys of others survive every ensure."""
        make_user(iam, policies=(SERVER, ADMIN), Tags=[*tags, {"Key": "Cost", "Value": "1"}])
        iam.put_user_policy(UserName=USER, PolicyName="inline", PolicyDocument=INLINE)
        iam.create_group(GroupName="servers")
        iam.add_user_to_group(GroupName="servers", UserName=USER)
        key = iam.create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]
        before = everything(iam)
        ensure_agent_user(session=session)
        assert everything(iam) == before
        kept = iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]
        assert [each["AccessKeyId"] for each in kept] == [key]
