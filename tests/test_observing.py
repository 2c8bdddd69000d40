"""Observation: the reads, and the state that replies show; without AWS."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
import pytest

from cwagent_iam import SERVER_POLICY, InlinePolicy
from cwagent_iam.errors import CredentialsError, ObserveError
from cwagent_iam.limits import DEFAULT_QUOTAS
from cwagent_iam.observing import is_missing, observe, observe_quotas, send_all_pages
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.requests import OPERATIONS, Reply, Request, Unsent
from cwagent_iam.state import InstanceProfile, Role, SeenKey, State, User
from cwagent_iam.trust import EC2_TRUST
from tests.core import (
    ACCOUNT,
    DENIED,
    ROLE,
    ROLE_PLAN,
    THROTTLED,
    USER,
    USER_PLAN,
    World,
    access_key,
    made,
    no_such,
    refusal,
)

if TYPE_CHECKING:
    from cwagent_iam.observing import Observation
    from cwagent_iam.state import Entity

KEY, PERSON = f"role {ROLE}".lower(), f"user {USER}".lower()
SERVER = SERVER_POLICY.arn("aws")
ALLOW = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"},
}
INLINE = InlinePolicy("Tags", ALLOW)
WITH_INLINE = plan_agent_role(inline_policies=[INLINE])
OURS = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
UNSENT = Unsent(code=None, message="No credentials.", step="AssumeRole")


def seen(world: World, desired: State = ROLE_PLAN, **how: Any) -> tuple[Observation, ...]:
    """Observe *desired*."""
    return world.run(observe(desired.entities, partition="aws", **how))


def found(world: World, kind: type[Entity] = Role, name: str = ROLE, **how: Any) -> Any:
    """Observe everything that is planned, and return one entity."""
    (observation,) = seen(world, ROLE_PLAN | USER_PLAN, **how)
    return observation.state.find(kind, name)


class TestRequests:
    """The reads."""

    @pytest.mark.parametrize(
        ("desired", "reads"),
        [
            (ROLE_PLAN, ["GetRole", "ListAttachedRolePolicies", "GetInstanceProfile"]),
            (USER_PLAN, ["GetUser", "ListAttachedUserPolicies"]),
            (
                WITH_INLINE,
                [*("GetRole", "ListAttachedRolePolicies", "GetRolePolicy", "GetInstanceProfile")],
            ),
            (State(), []),
        ],
    )
    @pytest.mark.parametrize("copies", [1, 3])
    def test_one_send(self, desired: State, reads: list[str], copies: int) -> None:
        """All reads of all copies are one `Send`; without entities there is no `Send`."""
        world = World()
        observations = seen(world, desired, copies=copies)
        assert world.requests == reads * copies
        assert len(world.sends) == bool(reads)
        assert [each.state for each in observations] == [State()] * copies
        assert all(OPERATIONS[each].reads for each in reads)

    def test_existence(self) -> None:
        """Existence alone takes one read, even with dependents."""
        world = made()
        (observation,) = seen(world, existence_only={KEY}, dependents=True)
        assert world.requests == ["GetRole", "GetInstanceProfile"]
        assert observation.state.find(Role, ROLE)

    def test_inline_policies_in_order(self) -> None:
        """Inline policies are read by the names that are desired, in order."""
        desired = plan_agent_user(inline_policies=[InlinePolicy(each, ALLOW) for each in "cab"])
        world = World()
        seen(world, desired)
        names = [each.arguments.get("PolicyName") for each in world.sends[0]]
        assert names == [None, None, "a", "b", "c"]


class TestState:
    """The state that replies show."""

    def test_role(self) -> None:
        """A role is read with all fields that intent can name, and its ARN."""
        world = World()
        world.do(
            "CreateRole",
            RoleName=ROLE,
            AssumeRolePolicyDocument=quote(EC2_TRUST.text),
            Path="/agents/",
            Description="by hand",
            MaxSessionDuration=7200,
            PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/limits/own",
            Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": ""}],
        )
        world.do("AttachRolePolicy", RoleName=ROLE, PolicyArn=SERVER)
        world.do(
            "PutRolePolicy", RoleName=ROLE, PolicyName="Tags", PolicyDocument=json.dumps(ALLOW)
        )
        world.things[KEY]["seen"]["SourceRoleTemplate"] = {"TemplateArn": "arn:template"}
        (observation,) = seen(world, WITH_INLINE)
        role = observation.state.find(Role, ROLE)
        assert role == Role(
            name=ROLE,
            path="/agents/",
            trust=EC2_TRUST,
            description="by hand",
            max_session_duration=7200,
            permissions_boundary=ManagedPolicy("own", "/limits/", ACCOUNT, "aws"),
            policies=frozenset({SERVER_POLICY}),
            inline_policies=frozenset({INLINE}),
            tags=(("a", ""), ("b", "2")),
        )
        assert role is not None
        assert role.source_role_template == "arn:template"
        assert role.arn == f"arn:aws:iam::{ACCOUNT}:role/agents/{ROLE}"
        assert observation.last_miss == no_such("profile")

    def test_user_and_profile(self) -> None:
        """A user and a profile are read likewise; a field that a reply lacks is IAM's default."""
        world = made(ROLE_PLAN, USER_PLAN)
        user, profile = found(world, User, USER), found(world, InstanceProfile)
        assert user == attrs.evolve(USER_PLAN.entities[0], path="/")
        assert profile == attrs.evolve(ROLE_PLAN.entities[1], path="/")
        assert user.arn == f"arn:aws:iam::{ACCOUNT}:user/{USER}"
        world.things[PERSON]["seen"].pop("Tags")
        assert found(world, User, USER).tags == ()
        assert found(world).description == ""

    @pytest.mark.parametrize(
        ("boundary", "policy"),
        [
            ({}, None),
            ({"PermissionsBoundaryArn": ""}, None),
            ({"PermissionsBoundaryArn": "ANPAABC"}, ManagedPolicy("ANPAABC")),
        ],
    )
    def test_boundary(self, boundary: dict[str, str], policy: ManagedPolicy | None) -> None:
        """If the policy of a boundary was deleted, IAM returns a bare id, or nothing."""
        world = made(USER_PLAN)
        world.things[PERSON]["seen"]["PermissionsBoundary"] = boundary
        assert found(world, User, USER).permissions_boundary == policy

    def test_half_built(self) -> None:
        """An incomplete ARN is kept unaltered, and reported."""
        world = made(USER_PLAN)
        world.things[PERSON]["seen"]["Arn"] = "AIDAABC"
        (observation,) = seen(world, USER_PLAN)
        assert observation.state.unformed == (f"user {USER}",)

    def test_host_that_is_behind(self) -> None:
        """If only one host knows the role, it is observed without policies."""
        world = made(WITH_INLINE)
        world.script["ListAttachedRolePolicies"] = [no_such("role")]
        world.script["GetRolePolicy"] = [no_such("role")]
        (observation,) = seen(world, WITH_INLINE)
        role = observation.state.find(Role, ROLE)
        assert role is not None
        assert (role.policies, role.inline_policies) == (frozenset(), frozenset())
        assert observation.last_miss == no_such("role")

    def test_copies(self) -> None:
        """Each copy shows its own reads."""
        world = made(USER_PLAN)
        world.script["GetUser"] = [None, no_such("user", USER)]
        copies = seen(world, USER_PLAN, copies=3)
        assert [bool(each.state.entities) for each in copies] == [True, False, True]
        assert [bool(each.last_miss) for each in copies] == [False, True, False]


LISTS: dict[str, tuple[list[Any], set[str]]] = {
    "Groups": ([{"GroupName": "g"}], {"group g"}),
    "MFADevices": ([{"SerialNumber": "m"}], {"MFA device m"}),
    "Certificates": ([{"CertificateId": "c"}], {"signing certificate c"}),
    "SSHPublicKeys": ([{"SSHPublicKeyId": "s"}], {"SSH public key s"}),
    "ServiceSpecificCredentials": (
        [{"ServiceSpecificCredentialId": "x"}],
        {"service-specific credential x"},
    ),
    "LoginProfile": ([], {"login profile"}),
}


class TestDependents:
    """Dependents of managed entities."""

    def test_role(self) -> None:
        """Inline policies and profiles of a role are named."""
        world = made()
        world.things[KEY]["inline"]["Odd"] = json.dumps(ALLOW)
        role = found(world, dependents=True)
        assert role.dependents == {"inline policy Odd", f"instance-profile {ROLE}"}
        assert found(world).dependents == frozenset()

    @pytest.mark.parametrize(("member", "case"), LISTS.items())
    def test_user(self, member: str, case: tuple[list[Any], set[str]]) -> None:
        """The items of each list of a user are named, and a password."""
        world = made(USER_PLAN)
        world.things[PERSON]["lists"][member] = case[0]
        world.things[PERSON]["keys"] = [access_key("AKIA1", 5.0)]
        user = found(world, User, USER, dependents=True)
        keys = (SeenKey(access_key_id="AKIA1", active=True, created=5.0),)
        assert (user.dependents, user.access_keys) == (case[1], keys)

    def test_unmanaged(self) -> None:
        """An unmanaged entity has no dependents."""
        world = made(USER_PLAN)
        world.things[PERSON]["seen"]["Tags"] = []
        world.things[PERSON]["lists"]["Groups"] = [{"GroupName": "g"}]
        user = found(world, User, USER, dependents=True)
        assert user.dependents == frozenset()

    @pytest.mark.parametrize("tags", [[], OURS], ids=["unmanaged", "managed"])
    def test_access_keys(self, tags: Any) -> None:
        """Access keys can be read without other dependents, of any user; the oldest is first."""
        world = made(USER_PLAN)
        inactive = access_key("AKIA0", 2.0) | {"Status": "Inactive"}
        world.things[PERSON]["seen"]["Tags"] = tags
        world.things[PERSON]["keys"] = [access_key("AKIA2", 2.0), inactive, access_key("AKIA1", 1)]
        user = found(world, User, USER, access_keys=True)
        assert user.access_keys == (
            SeenKey(access_key_id="AKIA1", active=True, created=1.0),
            SeenKey(access_key_id="AKIA0", active=False, created=2.0),
            SeenKey(access_key_id="AKIA2", active=True, created=2.0),
        )
        assert "ListGroupsForUser" not in world.requests

    def test_optional_member(self) -> None:
        """The list of service-specific credentials may be left out of its reply."""
        world = made(USER_PLAN)
        world.script["ListServiceSpecificCredentials"] = [Reply(content={})]
        assert found(world, User, USER, dependents=True).dependents == frozenset()


class TestPages:
    """Lists that are truncated."""

    def test_all_pages(self) -> None:
        """Lists are followed to their last page, side by side, with all arguments."""
        cut = {"IsTruncated": True, "Marker": "m"}
        attached = [[{"PolicyArn": SERVER.replace("Server", each)}] for each in "abc"]
        world = made(ROLE_PLAN, USER_PLAN)
        world.script["ListAttachedRolePolicies"] = [
            Reply(content={"AttachedPolicies": attached[0], **cut}),
            Reply(content={"AttachedPolicies": attached[1], **cut, "Marker": "n"}),
            Reply(content={"AttachedPolicies": attached[2], "IsTruncated": False}),
        ]
        world.script["ListAttachedUserPolicies"] = [
            Reply(content={"AttachedPolicies": [], **cut}),
            Reply(content={"AttachedPolicies": attached[0]}),
        ]
        (observation,) = seen(world, ROLE_PLAN | USER_PLAN)
        role, user = observation.state.find(Role, ROLE), observation.state.find(User, USER)
        assert role is not None
        assert user is not None
        assert (len(role.policies), len(user.policies)) == (3, 1)
        assert [len(some) for some in world.sends] == [5, 2, 1]
        assert world.sends[2][0].arguments == {"RoleName": ROLE, "Marker": "n"}

    @pytest.mark.parametrize("markers", ["mm", "mnm", [None, None]])
    def test_no_end(self, markers: Any) -> None:
        """A list that leads back to an earlier page is an error, not an endless loop."""
        world = made(USER_PLAN)
        world.script["ListAttachedUserPolicies"] = [
            Reply(content={"AttachedPolicies": [], "IsTruncated": True, "Marker": marker})
            for marker in markers
        ]
        with pytest.raises(ObserveError, match="its Marker repeats") as caught:
            seen(world, USER_PLAN)
        assert caught.value.operation == "ListAttachedUserPolicies"

    def test_optional_member(self) -> None:
        """A list whose member may be left out is joined likewise."""
        item = {"ServiceSpecificCredentialId": "x"}
        world = made(USER_PLAN)
        world.script["ListServiceSpecificCredentials"] = [
            Reply(content={"IsTruncated": True, "Marker": "m"}),
            Reply(content={"ServiceSpecificCredentials": [item]}),
        ]
        user = found(world, User, USER, dependents=True)
        assert user.dependents == {"service-specific credential x"}

    @pytest.mark.parametrize("answer", [THROTTLED, DENIED])
    def test_refused(self, answer: Any) -> None:
        """A refused further page is a refused read."""
        page = Reply(content={"AttachedPolicies": [], "IsTruncated": True, "Marker": "m"})
        world = made(USER_PLAN)
        world.script["ListAttachedUserPolicies"] = [page, answer]
        with pytest.raises(ObserveError, match="ListAttachedUserPolicies"):
            seen(world, USER_PLAN)

    def test_order(self) -> None:
        """Outcomes are in the order of their requests; a refusal stays a refusal."""
        requests = [Request.of("GetUser", UserName=each) for each in ("a", USER)]
        missing, reply = made(USER_PLAN).run(send_all_pages(requests))
        assert (is_missing(missing), isinstance(reply, Reply)) == (True, True)


class TestErrors:
    """Reads that fail."""

    @pytest.mark.parametrize(
        "operation", ["GetRole", "ListAttachedRolePolicies", "GetRolePolicy", "GetInstanceProfile"]
    )
    def test_refused(self, operation: str) -> None:
        """The error of a refused read has operation, target, attempts and the SDK's error."""
        error = ValueError("of the SDK")
        refused = attrs.evolve(THROTTLED, seconds=60.0, error=error, request_id="id")
        world = made(WITH_INLINE)
        world.script[operation] = [refused]
        with pytest.raises(ObserveError) as caught:
            seen(world, WITH_INLINE)
        kind = "instance-profile" if "Profile" in operation else "role"
        found = caught.value
        assert (found.operation, found.target) == (operation, f"{kind} {ROLE}")
        assert (found.code, found.reason) == ("Throttling", "Rate exceeded")
        assert (found.attempts, found.seconds, found.request_id) == (16, 60.0, "id")
        assert found.__cause__ is error

    def test_denied_is_not_absent(self) -> None:
        """A denied read does not count as absence."""
        with pytest.raises(ObserveError):
            seen(World(script={"GetUser": [DENIED]}), USER_PLAN)

    @pytest.mark.parametrize("operation", ["GetUser", "ListAttachedUserPolicies"])
    @pytest.mark.parametrize("code", [None, "NoSuchEntity"])
    def test_unsent(self, operation: str, code: str | None) -> None:
        """A read that was not sent raises `CredentialsError`, with any code of its service."""
        world = made(USER_PLAN)
        world.script[operation] = [attrs.evolve(UNSENT, code=code)]
        with pytest.raises(CredentialsError) as caught:
            seen(world, USER_PLAN)
        assert (caught.value.operation, caught.value.step) == (operation, "AssumeRole")

    @pytest.mark.parametrize(
        ("operation", "content"),
        [
            ("GetUser", {"User": None}),
            ("GetUser", {"User": {}}),
            ("GetUser", {"User": {"Path": "/", "Arn": "x", "CreateDate": "yesterday"}}),
            ("GetUser", {"User": "odd"}),
            ("ListAttachedUserPolicies", {"AttachedPolicies": None}),
            ("ListAttachedUserPolicies", {"AttachedPolicies": [{}]}),
            ("ListAttachedUserPolicies", {"AttachedPolicies": [{"PolicyArn": "odd"}]}),
            ("ListAttachedUserPolicies", {"AttachedPolicies": [], "IsTruncated": True}),
            ("ListAccessKeys", {"AccessKeyMetadata": [{}]}),
            ("ListAccessKeys", {"AccessKeyMetadata": [access_key("A") | {"CreateDate": "odd"}]}),
            ("ListGroupsForUser", {"Groups": ["odd"]}),
            ("ListGroupsForUser", {}),
        ],
    )
    def test_odd_reply(self, operation: str, content: Any) -> None:
        """A reply of another shape than IAM's is an error about its operation."""
        world = made(USER_PLAN)
        world.script[operation] = [Reply(content=content, date=0.0)]
        with pytest.raises(ObserveError, match="the reply does not have IAM's format") as caught:
            seen(world, USER_PLAN, dependents=True)
        assert (caught.value.operation, caught.value.target) == (operation, f"user {USER}")

    def test_odd_page(self) -> None:
        """So is a further page."""
        world = made(USER_PLAN)
        world.script["ListAttachedUserPolicies"] = [
            Reply(content={"AttachedPolicies": [], "IsTruncated": True, "Marker": "m"}),
            Reply(content={}),
        ]
        with pytest.raises(ObserveError) as caught:
            seen(world, USER_PLAN)
        assert caught.value.operation == "ListAttachedUserPolicies"

    def test_missing(self) -> None:
        """Only a NoSuchEntity of AWS means absence."""
        assert is_missing(no_such("role"))
        assert not is_missing(DENIED)
        assert not is_missing(Reply(content={}))
        assert not is_missing(attrs.evolve(UNSENT, code="NoSuchEntity"))


class TestQuotas:
    """Quotas of the account."""

    def test_read(self) -> None:
        """Quotas are read by one request; what the reply lacks keeps its default."""
        summary = {"AttachedPoliciesPerRoleQuota": 20}
        world = World(script={"GetAccountSummary": [Reply(content={"SummaryMap": summary})]})
        assert world.run(observe_quotas()) == attrs.evolve(DEFAULT_QUOTAS, policies_per_role=20)
        assert world.requests == ["GetAccountSummary"]

    @pytest.mark.parametrize(
        "answer", [DENIED, Reply(content={"SummaryMap": {"AttachedPoliciesPerRoleQuota": "many"}})]
    )
    def test_failed(self, answer: Any) -> None:
        """A refused read and a malformed reply are errors about that read and the account."""
        world = World(script={"GetAccountSummary": [answer]})
        with pytest.raises(ObserveError) as caught:
            world.run(observe_quotas())
        assert (caught.value.operation, caught.value.target) == ("GetAccountSummary", "account")


def test_the_iam_of_dictionaries() -> None:
    """The IAM that these tests use refuses what IAM refuses."""
    world = made()
    for operation, arguments, code in [
        ("CreateRole", {"RoleName": ROLE.upper()}, "EntityAlreadyExists"),
        ("DeleteRole", {"RoleName": ROLE}, "DeleteConflict"),
        ("DetachRolePolicy", {"RoleName": ROLE, "PolicyArn": "x"}, "NoSuchEntity"),
        ("DeleteRolePolicy", {"RoleName": ROLE, "PolicyName": "x"}, "NoSuchEntity"),
        ("DeleteRolePermissionsBoundary", {"RoleName": ROLE}, "NoSuchEntity"),
        ("GetRole", {"RoleName": "absent"}, "NoSuchEntity"),
        (
            "AddRoleToInstanceProfile",
            {"RoleName": ROLE, "InstanceProfileName": ROLE},
            "LimitExceeded",
        ),
        (
            "RemoveRoleFromInstanceProfile",
            {"RoleName": "x", "InstanceProfileName": ROLE},
            "NoSuchEntity",
        ),
    ]:
        assert getattr(world.answer(Request(operation, arguments)), "code", "") == code
    assert refusal("X", "y").summary == "X: y"
    assert world.things[KEY]["seen"]["CreateDate"].tzinfo is dt.UTC
