"""Reads: what IAM sends, in the form that state holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from cwagent_iam import (
    SERVER_POLICY,
    CredentialsError,
    InstanceProfile,
    ManagedPolicy,
    ObserveError,
    Role,
    State,
    User,
    ensure,
    observe,
    plan_agent_role,
    plan_agent_user,
    preview,
)
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    import boto3

    from tests.conftest import Requests

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
BOUNDARY = "arn:aws:iam::123456789012:policy/limits/Boundary"
NAMES = ["CloudWatchAgentServerPolicy", "CloudWatchAgentAdminPolicy", "ReadOnlyAccess"]
CONTENT: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    ],
}
TRUST = json.dumps(CONTENT)
DENY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
READS = {
    "GetRole": (plan_agent_role(), f"role {ROLE}"),
    "ListAttachedRolePolicies": (plan_agent_role(), f"role {ROLE}"),
    "GetInstanceProfile": (plan_agent_role(), f"instance-profile {ROLE}"),
    "GetUser": (plan_agent_user(), f"user {USER}"),
    "ListAttachedUserPolicies": (plan_agent_user(), f"user {USER}"),
}


def role_of(observed: State) -> Role:
    """Return the role in *observed*."""
    role = observed.find(Role, ROLE)
    assert role is not None
    return role


class TestEverything:
    """What is read of each thing."""

    def test_role(self, iam: Any) -> None:
        """A role is read with all that intent can name, its ARN, and whatever order IAM sends."""
        iam.create_role(
            RoleName=ROLE,
            AssumeRolePolicyDocument=TRUST,
            Path="/agents/",
            Description="by hand",
            MaxSessionDuration=7200,
            PermissionsBoundary=BOUNDARY,
            Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": ""}],
        )
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
        observed = observe(plan_agent_role(), iam=iam)
        arn = f"arn:aws:iam::123456789012:role/agents/{ROLE}"
        role = Role(
            name=ROLE,
            path="/agents/",
            trust=EC2_TRUST,
            description="by hand",
            max_session_duration=7200,
            permissions_boundary=ManagedPolicy("Boundary", "/limits/", "123456789012", "aws"),
            policies=frozenset({SERVER_POLICY}),
            tags=(("a", ""), ("b", "2")),
        )
        assert observed == State.of([role])
        assert role_of(observed).arn == arn

    def test_bare_role(self, iam: Any) -> None:
        """What a reply lacks is what IAM means by it: no tags, no description, no boundary."""
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
        reply = iam.get_role(RoleName=ROLE)["Role"]
        assert not {"Tags", "Description", "PermissionsBoundary"} & reply.keys()
        assert role_of(observe(plan_agent_role(), iam=iam)) == Role(
            name=ROLE, path="/", trust=EC2_TRUST, description="", max_session_duration=3600
        )

    def test_user(self, iam: Any) -> None:
        """A user is read with all that intent can name, and its ARN."""
        iam.create_user(
            UserName=USER,
            Path="/agents/",
            PermissionsBoundary=BOUNDARY,
            Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": ""}],
        )
        iam.attach_user_policy(UserName=USER, PolicyArn=SERVER)
        user = observe(plan_agent_user(), iam=iam).entities[0]
        assert user == User(
            name=USER,
            path="/agents/",
            permissions_boundary=ManagedPolicy("Boundary", "/limits/", "123456789012", "aws"),
            policies=frozenset({SERVER_POLICY}),
            tags=(("a", ""), ("b", "2")),
        )
        assert user.arn == f"arn:aws:iam::123456789012:user/agents/{USER}"

    def test_bare_user(self, iam: Any) -> None:
        """A user without anything has no tags, no boundary, no policies."""
        iam.create_user(UserName=USER)
        assert observe(plan_agent_user(), iam=iam) == State.of([User(name=USER, path="/")])

    @pytest.mark.parametrize("role", [None, "other"])
    def test_instance_profile(self, iam: Any, role: str | None) -> None:
        """An instance profile is read with its role, if there is one, and its ARN."""
        iam.create_instance_profile(
            InstanceProfileName=ROLE, Path="/agents/", Tags=[{"Key": "a", "Value": "b"}]
        )
        if role:
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
            iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=role)
        profile = observe(plan_agent_role(), iam=iam).entities[0]
        assert profile == InstanceProfile(
            name=ROLE, path="/agents/", tags=(("a", "b"),), role_name=role
        )
        assert profile.arn == f"arn:aws:iam::123456789012:instance-profile/agents/{ROLE}"

    def test_nothing(self, session: boto3.Session) -> None:
        """What is absent is not in the state."""
        assert observe(plan_agent_role(), session=session) == State()
        assert observe(plan_agent_user(), session=session) == State()

    def test_gone_meanwhile(self, session: boto3.Session) -> None:
        """What goes away between two reads has no policies any more."""
        client = session.client("iam")
        client.create_user(UserName=USER)

        def vanish(**_event: object) -> None:
            session.client("iam").delete_user(UserName=USER)

        client.meta.events.register("before-call.iam.ListAttachedUserPolicies", vanish)
        assert observe(plan_agent_user(), iam=client) == State.of([User(name=USER, path="/")])


class TestTrust:
    """The document of a role."""

    @pytest.mark.parametrize(
        "sent",
        [CONTENT, TRUST, quote(TRUST), quote(json.dumps(CONTENT, indent=4))],
        ids=["parsed", "JSON", "URL-encoded", "URL-encoded with white space"],
    )
    def test_forms(self, iam: Any, sent: object) -> None:
        """It may come parsed, as JSON or URL-encoded, which depends on the client's handlers."""
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)

        def send(parsed: Any, **_event: object) -> None:
            parsed.get("Role", {}).update(AssumeRolePolicyDocument=sent)

        # After botocore's own handler, which decodes documents.
        iam.meta.events.register_last("after-call.iam", send)
        assert role_of(observe(plan_agent_role(), iam=iam)).trust == EC2_TRUST

    @pytest.mark.parametrize("text", ["no JSON", "[]", "{", "{}", "100 %", '"text"'])
    def test_no_document(self, iam: Any, text: str) -> None:
        """What is no policy document is read all the same, and is never as desired."""
        iam.create_role(
            RoleName=ROLE,
            AssumeRolePolicyDocument=text,
            Tags=[{"Key": "ManagedBy", "Value": "cwagent-iam"}],
        )
        changes = preview(plan_agent_role(instance_profile=False, policies=()), iam=iam)
        assert [change.operation for change in changes] == ["UpdateAssumeRolePolicy"]
        ensure(plan_agent_role(), iam=iam)
        assert role_of(observe(plan_agent_role(), iam=iam)).trust == EC2_TRUST


class TestPages:
    """Lists that come in pages."""

    @pytest.mark.parametrize("kind", ["role", "user"])
    def test_small(self, iam: Any, kind: str) -> None:
        """However small the pages, all attached policies are seen."""
        policies = [f"arn:aws:iam::aws:policy/{name}" for name in NAMES]
        desired = (
            plan_agent_role(policies=policies)
            if kind == "role"
            else plan_agent_user(policies=policies)
        )
        ensure(desired, iam=iam)
        pages = []

        def cut(params: dict[str, Any], **_event: object) -> None:
            params["MaxItems"] = 1
            pages.append(params.get("Marker"))

        iam.meta.events.register("before-parameter-build.iam.ListAttachedRolePolicies", cut)
        iam.meta.events.register("before-parameter-build.iam.ListAttachedUserPolicies", cut)
        assert not preview(desired, iam=iam)
        assert {None, "1", "2"} <= set(pages)

    def test_more_than_a_page(self, iam: Any) -> None:
        """More than the 100 policies that IAM sends at once are all seen."""
        iam.create_user(UserName=USER)
        arns = {
            iam.create_policy(PolicyName=f"p{number}", PolicyDocument=DENY)["Policy"]["Arn"]
            for number in range(101)
        }
        for arn in arns:
            iam.attach_user_policy(UserName=USER, PolicyArn=arn)
        first = iam.list_attached_user_policies(UserName=USER)
        user = observe(plan_agent_user(), iam=iam).find(User, USER)
        assert len(first["AttachedPolicies"]) == 100
        assert user is not None
        assert {policy.arn("aws") for policy in user.policies} == arns


NO: Any = {"Error": {"Code": "AccessDenied", "Message": "No."}}
DENIED = ClientError(NO, "GetUser")
URL = "https://iam.amazonaws.com/"
ERRORS = {
    "refused": (DENIED, "AccessDenied", "No."),
    "unreachable": (
        EndpointConnectionError(endpoint_url=URL),
        None,
        f'Could not connect to the endpoint URL: "{URL}"',
    ),
    "timeout": (ReadTimeoutError(endpoint_url=URL), None, f'Read timeout on endpoint URL: "{URL}"'),
    "no XML": (ResponseParserError("invalid XML received"), None, "invalid XML received"),
}


class TestErrors:
    """Reads that fail."""

    @pytest.mark.parametrize("operation", READS)
    @pytest.mark.parametrize(("error", "code", "reason"), ERRORS.values(), ids=list(ERRORS))
    def test_each(
        self,
        iam: Any,
        operation: str,
        error: Exception,
        code: str | None,
        reason: str,
    ) -> None:
        """Each read says what failed, for what, with AWS's code and words, and why."""
        desired, target = READS[operation]
        ensure(desired, iam=iam)

        if isinstance(error, ClientError):
            error = ClientError(NO, operation)

        def fail(**_event: object) -> None:
            raise error

        iam.meta.events.register(f"before-call.iam.{operation}", fail)
        with pytest.raises(ObserveError) as caught:
            observe(desired, iam=iam)
        found = caught.value
        assert (found.operation, found.target) == (operation, target)
        assert (found.code, found.reason) == (code, reason)
        assert (found.applied, found.__cause__) == ((), error)

    @pytest.mark.parametrize("operation", READS)
    def test_no_credentials(self, iam: Any, operation: str) -> None:
        """A read that cannot be signed is not IAM's refusal."""
        desired, target = READS[operation]
        ensure(desired, iam=iam)
        error = NoCredentialsError()

        def fail(**_event: object) -> None:
            raise error

        iam.meta.events.register(f"before-call.iam.{operation}", fail)
        with pytest.raises(CredentialsError, match="Unable to locate credentials") as caught:
            observe(desired, iam=iam)
        found = caught.value
        assert (found.operation, found.target, found.code) == (operation, target, None)
        assert (found.applied, found.__cause__) == ((), error)

    def test_denied_is_not_absent(self, session: boto3.Session, requests: Requests) -> None:
        """A read that is denied never passes for an absent thing, which one would then make."""
        client = session.client("iam")

        def deny(**_event: object) -> None:
            raise DENIED

        client.meta.events.register("before-call.iam.GetUser", deny)
        with pytest.raises(ObserveError, match=r"Allow the caller iam:GetUser, then call again\."):
            ensure(plan_agent_user(), iam=client)
        assert requests.writes == []


class TestReadsOnly:
    """Looking changes nothing."""

    @pytest.mark.parametrize(
        "desired", [plan_agent_role(), plan_agent_user()], ids=["role", "user"]
    )
    def test_no_write(self, session: boto3.Session, requests: Requests, desired: State) -> None:
        """Neither observing nor previewing sends a write, whatever there is to do."""
        observe(desired, session=session)
        assert preview(desired, session=session)
        assert requests.writes == []
        ensure(desired, session=session)
        requests.sent.clear()
        observe(desired, session=session)
        assert not preview(desired, session=session)
        assert requests.writes == []
        assert len(requests.sent) == 2 * (3 if desired.find(Role, ROLE) else 2)
