"""What teams require of an identity, and what others made of it, from the call to IAM and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    ConflictError,
    CrossAccount,
    ECSTask,
    InlinePolicy,
    IntentError,
    ManagedPolicy,
    Role,
    User,
    apply,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    observe,
    plan_admin_role,
    plan_admin_user,
    plan_agent_role,
    plan_agent_user,
    plan_ecs_execution_role,
    preview,
    remove,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
S3 = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)
TAGS = {"Version": "2012-10-17", "Statement": []}


class Requests(Protocol):
    """What the fixture of this name records."""

    sent: list[str]
    writes: list[str]


def role_of_others(iam: Any, *policies: str, trust: str = TRUST) -> None:
    """Make the role and an empty profile by hand."""
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    iam.create_instance_profile(InstanceProfileName=ROLE)
    for policy in policies:
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=policy)


def attached(iam: Any) -> set[str]:
    """Return the ARNs of the policies attached to the role."""
    held = iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
    return {each["PolicyArn"] for each in held}


def operations(result: Any) -> list[str]:
    """Name what was, or is to be, changed."""
    changes = result.changes if hasattr(result, "changes") else result
    return [change.operation for change in changes]


class TestPermissions:
    """Parameters, inline policies, boundaries."""

    @pytest.mark.parametrize("plan", [plan_agent_role, plan_agent_user])
    def test_parameters(
        self, iam: Any, session: boto3.Session, requests: Requests, plan: Callable[..., Any]
    ) -> None:
        """A parameter of another name gets a document of its own; once there, nothing is done."""
        desired = plan(parameters=["AmazonCloudWatch-linux", "/web/agent"])
        first = ensure(desired, session=session)
        (policy,) = {
            each for each in operations(first) if each.endswith("Policy") and "Put" in each
        }
        kind = desired.entities[0].kind
        assert policy == f"Put{kind.title()}Policy"
        reply = getattr(iam, f"get_{kind}_policy")(
            **{f"{kind.title()}Name": desired.entities[0].name},
            PolicyName="CloudWatchAgentParameters",
        )
        (statement,) = reply["PolicyDocument"]["Statement"]
        assert statement["Action"] == ["ssm:GetParameter"]
        assert statement["Resource"] == ["arn:aws:ssm:*:*:parameter/web/agent"]
        requests.sent.clear()
        assert not ensure(desired, session=session).changed
        assert requests.sent.count(f"Get{kind.title()}Policy") == 1
        assert not requests.writes

    def test_a_changed_document_is_drift(self, iam: Any) -> None:
        """Somebody's edit of a document that intent names is undone; what was there is shown."""
        desired = plan_agent_role(parameters=["web"])
        ensure(desired, iam=iam)
        other = InlinePolicy("CloudWatchAgentParameters", json.loads(TRUST) | TAGS)
        wider = {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": wider})
        iam.put_role_policy(RoleName=ROLE, PolicyName=other.name, PolicyDocument=document)
        changes = preview(desired, iam=iam)
        assert operations(changes) == ["PutRolePolicy"]
        assert "Allow ssm:* *" in str(changes)
        ensure(desired, iam=iam)
        assert not preview(desired, iam=iam)

    @pytest.mark.parametrize("plan", [plan_agent_role, plan_agent_user])
    def test_life_of_a_boundary(self, iam: Any, plan: Callable[..., Any]) -> None:
        """A boundary comes with the create call; it is changed, left alone, and taken away."""
        first = ensure(plan(permissions_boundary=READ_ONLY), iam=iam)
        assert not [each for each in operations(first) if "Boundary" in each]
        assert self.boundary(iam, plan) == ManagedPolicy("ReadOnlyAccess")
        changed = ensure(plan(permissions_boundary=S3), iam=iam)
        kind = plan().entities[0].kind.title()
        assert operations(changed) == [f"Put{kind}PermissionsBoundary"]
        assert not ensure(plan(), iam=iam).changed
        assert self.boundary(iam, plan) == ManagedPolicy("AmazonS3ReadOnlyAccess")
        cleared = ensure(plan(permissions_boundary=""), iam=iam)
        assert operations(cleared) == [f"Delete{kind}PermissionsBoundary"]
        assert self.boundary(iam, plan) is None
        assert not ensure(plan(permissions_boundary=""), iam=iam).changed

    @staticmethod
    def boundary(iam: Any, plan: Callable[..., Any]) -> object:
        """Return the boundary that IAM has."""
        principal = observe(plan(), iam=iam).entities[0]
        assert isinstance(principal, (Role, User))
        return principal.permissions_boundary

    def test_no_boundary_from_the_start(self, iam: Any) -> None:
        """What is made without a boundary says nothing of one to IAM."""
        assert "Boundary" not in str(ensure(plan_agent_role(permissions_boundary=""), iam=iam))

    def test_admins(self, iam: Any) -> None:
        """The admin's role and user have the admin policy, and may write what is named."""
        desired = plan_admin_role(parameters=["web"]) | plan_admin_user(parameters=["web"])
        result = ensure(desired, iam=iam)
        for principal in result.state.entities:
            if isinstance(principal, (Role, User)):
                assert principal.policies == {ADMIN_POLICY}
                (policy,) = principal.inline_policies
                assert "ssm:PutParameter" in str(policy)
        assert {finding.kind for finding in result.findings} == {"open", "needs"}


class TestSeveral:
    """One plan, several identities."""

    BOTH = (plan_agent_role(trust=ECSTask()), plan_ecs_execution_role(parameters=["web"]))

    def test_one_call(self, session: boto3.Session, requests: Requests) -> None:
        """Several desired states are brought about, shown and taken away by one call each."""
        assert operations(preview(self.BOTH, session=session)) == operations(
            preview(self.BOTH[0] | self.BOTH[1], session=session)
        )
        result = ensure(list(self.BOTH), session=session)
        assert {name for _, name in result.arns} == {ROLE, "CWAgentECSExecutionRole"}
        assert not ensure(iter(self.BOTH), session=session).changed
        assert operations(remove(self.BOTH, session=session)).count("DeleteRole") == 2
        assert not observe(self.BOTH[0] | self.BOTH[1], session=session).entities
        requests.sent.clear()
        assert not ensure([], session=session).changed
        assert not requests.sent

    @pytest.mark.parametrize("call", [preview, ensure, remove])
    def test_contradiction(
        self, session: boto3.Session, requests: Requests, call: Callable[..., Any]
    ) -> None:
        """Two plans for one name are refused before any request, with the fields that differ."""
        requests.sent.clear()
        plans = [plan_agent_role(), plan_agent_role(ROLE.upper(), policies=())]
        with pytest.raises(IntentError, match=r"named twice .*\(name, policies\)"):
            call(plans, session=session)
        with pytest.raises(IntentError, match="desired='role': must be what a planner returned"):
            call(["role"], session=session)
        with pytest.raises(IntentError, match="desired=None: must be what a planner returned"):
            call(None, session=session)
        assert not requests.sent


class TestExisting:
    """Roles that others made."""

    def test_choices_are_checked_first(self, session: boto3.Session, requests: Requests) -> None:
        """A choice that there is not is refused before any request."""
        requests.sent.clear()
        bad: Any = "take"
        for call in (preview, ensure):
            with pytest.raises(IntentError, match="existing='take'"):
                call(plan_agent_role(), existing=bad, session=session)
            with pytest.raises(IntentError, match="attachments='take'"):
                call(plan_agent_role(), attachments=bad, session=session)
        for easy in (ensure_agent_role, ensure_agent_user):
            with pytest.raises(IntentError, match="existing='take'"):
                easy(existing=bad, session=session)
        with pytest.raises(IntentError, match="existing='adopt'"):
            remove(plan_agent_role(), existing="adopt", session=session)  # type: ignore[arg-type]
        assert not requests.sent

    def test_refuse_and_verify(self, iam: Any, session: boto3.Session, requests: Requests) -> None:
        """Neither writes: what is enough is used as it is, what is not is a conflict."""
        role_of_others(iam, S3)
        requests.sent.clear()
        for choice in ("refuse", "verify"):
            with pytest.raises(ConflictError, match="not as desired"):
                ensure_agent_role(existing=choice, session=session)
        assert not requests.writes
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
        iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
        requests.sent.clear()
        for choice in ("refuse", "verify"):
            role = ensure_agent_role(existing=choice, session=session)  # type: ignore[arg-type]
            assert [str(extra.value) for extra in role.extras] == ["AmazonS3ReadOnlyAccess"]
        assert not requests.writes

    def test_attach_and_undo(self, iam: Any) -> None:
        """What is missing is added, nothing else; the same call of remove takes just that away."""
        role_of_others(iam, S3)
        iam.put_role_policy(
            RoleName=ROLE,
            PolicyName="Own",
            PolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
                }
            ),
        )
        before = iam.get_role(RoleName=ROLE)["Role"]
        role = ensure_agent_role(existing="attach", parameters=["web"], iam=iam)
        assert operations(role) == ["AttachRolePolicy", "PutRolePolicy", "AddRoleToInstanceProfile"]
        assert not ensure_agent_role(existing="attach", parameters=["web"], iam=iam).changed
        desired = plan_agent_role(parameters=["web"])
        with pytest.raises(ConflictError, match='existing="attach"'):
            remove(desired, iam=iam)
        undone = remove(desired, existing="attach", iam=iam)
        assert operations(undone) == [
            "DetachRolePolicy",
            "DeleteRolePolicy",
            "RemoveRoleFromInstanceProfile",
        ]
        assert iam.get_role(RoleName=ROLE)["Role"] == before
        assert attached(iam) == {S3}
        assert iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == ["Own"]
        assert not remove(desired, existing="attach", iam=iam).changed

    def test_adopt(self, iam: Any) -> None:
        """It gets the tag and is mended; a profile with another role gets ours instead."""
        role_of_others(iam, S3)
        iam.create_role(RoleName="Other", AssumeRolePolicyDocument=TRUST)
        iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName="Other")
        role = ensure_agent_role(existing="adopt", description="agent", iam=iam)
        assert set(operations(role)) == {
            "TagRole",
            "UpdateRole",
            "AttachRolePolicy",
            "TagInstanceProfile",
            "RemoveRoleFromInstanceProfile",
            "AddRoleToInstanceProfile",
        }
        assert not ensure_agent_role(description="agent", iam=iam).changed
        assert attached(iam) == {S3, SERVER}

    def test_exclusive(self, iam: Any) -> None:
        """What is extra is detached after what is missing was attached; in the plan and in fact."""
        ensure_agent_role(policies=[S3], iam=iam)
        result = ensure_agent_role(attachments="exclusive", iam=iam)
        assert operations(result) == ["AttachRolePolicy", "DetachRolePolicy"]
        assert attached(iam) == {SERVER}
        assert result.extras == ()
        user = ensure_agent_user(policies=[S3], iam=iam)
        assert user.changed
        user = ensure_agent_user(attachments="exclusive", iam=iam)
        assert operations(user) == ["AttachUserPolicy", "DetachUserPolicy"]

    def test_extras_stay_in_view(self, iam: Any) -> None:
        """Preview, apply and ensure all tell what is there beyond intent."""
        ensure_agent_role(policies=[S3], iam=iam)
        changes = preview(plan_agent_role(), iam=iam)
        line = f"Extra, left alone: role {ROLE}, policies: AmazonS3ReadOnlyAccess"
        assert line in str(changes)
        result = apply(changes, iam=iam)
        assert result.extras == changes.extras
        assert line in str(result)
        assert line in str(ensure_agent_role(iam=iam))
        assert ensure_agent_user(policies=[S3, SERVER_POLICY], iam=iam).extras == ()
        assert "AmazonS3ReadOnlyAccess" in str(ensure_agent_user(iam=iam))


class TestFindings:
    """What is to be known about a plan."""

    def test_they_go_with_the_plan(self, iam: Any) -> None:
        """The plan, the change set, and every result have them; nothing is refused."""
        trust = CrossAccount(["123456789012"])
        desired = plan_agent_role(trust=trust)
        assert [finding.kind for finding in desired.findings] == ["needs"]
        changes = preview(desired, iam=iam)
        assert changes.findings == desired.findings
        assert f"Finding, needs: role {ROLE}: 123456789012: Whoever is trusted" in str(changes)
        assert apply(changes, iam=iam).findings == desired.findings
        role = ensure_agent_role(trust=trust, iam=iam)
        assert role.findings == desired.findings
        assert "Finding, needs" in str(role)
        user = ensure_agent_user(policies=[ADMIN_POLICY], iam=iam)
        assert len(user.findings) == 2


class TestObserved:
    """What IAM shows that state keeps."""

    def test_template(self, session: boto3.Session) -> None:
        """The template that a role was made from is its owner, so it is never adopted."""
        iam: Any = session.client("iam")
        role_of_others(iam)
        template = {"TemplateArn": "arn:aws:iam::aws:role-template/x"}

        def add(parsed: dict[str, Any], **_event: object) -> None:
            parsed["Role"]["SourceRoleTemplate"] = template

        iam.meta.events.register("after-call.iam.GetRole", add)
        with pytest.raises(ConflictError, match="belongs to the role template arn:aws:iam::aws"):
            ensure_agent_role(existing="adopt", iam=iam)
        assert ensure_agent_role(existing="attach", iam=iam).changed

    def test_boundary_that_was_deleted(self, session: boto3.Session) -> None:
        """A boundary that is a bare id is drift, and said to be that of something deleted."""
        iam: Any = session.client("iam")
        ensure_agent_role(permissions_boundary=READ_ONLY, iam=iam)

        def forget(parsed: dict[str, Any], **_event: object) -> None:
            boundary = parsed["Role"].get("PermissionsBoundary")
            if boundary:
                boundary["PermissionsBoundaryArn"] = "ANPA" + 17 * "X"

        iam.meta.events.register("after-call.iam.GetRole", forget)
        changes = preview(plan_agent_role(permissions_boundary=READ_ONLY), iam=iam)
        assert operations(changes) == ["PutRolePermissionsBoundary"]
        assert "unique id of something that was deleted" in str(changes)
