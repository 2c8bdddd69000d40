"""Writes: the request of each change, and the error if one of them fails."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from moto.iam.models import iam_backends

from cwagent_iam import (
    SERVER_POLICY,
    ApplyError,
    Change,
    ChangeSet,
    CustomerManagedPolicy,
    CwAgentIamError,
    InlinePolicy,
    InstanceProfile,
    ManagedPolicy,
    ObserveError,
    Role,
    State,
    User,
    apply,
    changes as the,
    ensure,
    ensure_agent_role,
    observe,
    plan_agent_role,
    plan_agent_user,
    preview,
)
from cwagent_iam.executor import Executor
from cwagent_iam.reconcile.call import Call
from cwagent_iam.requests import OPERATIONS
from cwagent_iam.testing import sandbox
from cwagent_iam.trust import EC2_TRUST
from tests.core import Lost, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Requests, VirtualTime

ROLE = "CloudWatchAgentServerRole"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
LIMIT = "arn:aws:iam::123456789012:policy/limits/Boundary"
BOUNDARY = ManagedPolicy.from_arn(LIMIT)
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
TAGS = (("Cost", ""), ("Team", "o"))
TAG_LIST = [{"Key": "Cost", "Value": ""}, {"Key": "Team", "Value": "o"}]


class Row(NamedTuple):
    """A change, and the arguments of its one request."""

    change: Change
    members: dict[str, Any]
    more: frozenset[str] = frozenset()  # permissions beside that of the operation


READ_TEXT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Action":"ssm:GetParameter","Resource":"arn:aws:ssm:*:*:parameter/web"}]}'
)
READ = InlinePolicy("Read", READ_TEXT)
KEY_ID = "AKIA" + 16 * "X"
READS = {row.name for row in OPERATIONS.values() if row.reads} - {"ListPolicies"}
MANAGED = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
ROWS = (
    Row(
        the.CreateRole(
            name="new",
            path="/a/",
            trust=EC2_TRUST,
            description="agent",
            max_session_duration=7200,
            permissions_boundary=BOUNDARY,
            tags=TAGS,
        ),
        {
            "RoleName": "new",
            "Path": "/a/",
            "AssumeRolePolicyDocument": TRUST,
            "Description": "agent",
            "MaxSessionDuration": 7200,
            "PermissionsBoundary": LIMIT,
            "Tags": TAG_LIST,
        },
        frozenset({"iam:TagRole"}),
    ),
    Row(
        the.UpdateRole(name="r", description="", max_session_duration=7200),
        {"RoleName": "r", "Description": "", "MaxSessionDuration": 7200},
    ),
    Row(
        the.UpdateAssumeRolePolicy(name="bare", trust=EC2_TRUST),
        {"RoleName": "bare", "PolicyDocument": TRUST},
    ),
    Row(the.TagRole(name="r", tags=TAGS), {"RoleName": "r", "Tags": TAG_LIST}),
    Row(
        the.PutRolePermissionsBoundary(name="bare", policy=BOUNDARY),
        {"RoleName": "bare", "PermissionsBoundary": LIMIT},
    ),
    Row(the.DeleteRolePermissionsBoundary(name="r"), {"RoleName": "r"}),
    Row(
        the.PutRolePolicy(name="bare", policy=READ),
        {"RoleName": "bare", "PolicyName": "Read", "PolicyDocument": READ_TEXT},
    ),
    Row(the.DeleteRolePolicy(name="r", policy=READ), {"RoleName": "r", "PolicyName": "Read"}),
    Row(
        the.AttachRolePolicy(name="bare", policy=SERVER_POLICY),
        {"RoleName": "bare", "PolicyArn": SERVER},
    ),
    Row(
        the.DetachRolePolicy(name="r", policy=SERVER_POLICY),
        {"RoleName": "r", "PolicyArn": SERVER},
    ),
    Row(the.DeleteRole(name="bare"), {"RoleName": "bare"}),
    Row(
        the.CreateUser(name="new", path="/a/", permissions_boundary=BOUNDARY, tags=TAGS),
        {"UserName": "new", "Path": "/a/", "PermissionsBoundary": LIMIT, "Tags": TAG_LIST},
        frozenset({"iam:TagUser"}),
    ),
    Row(the.TagUser(name="u", tags=TAGS), {"UserName": "u", "Tags": TAG_LIST}),
    Row(
        the.PutUserPermissionsBoundary(name="bare", policy=BOUNDARY),
        {"UserName": "bare", "PermissionsBoundary": LIMIT},
    ),
    Row(the.DeleteUserPermissionsBoundary(name="u"), {"UserName": "u"}),
    Row(
        the.PutUserPolicy(name="bare", policy=READ),
        {"UserName": "bare", "PolicyName": "Read", "PolicyDocument": READ_TEXT},
    ),
    Row(the.DeleteUserPolicy(name="u", policy=READ), {"UserName": "u", "PolicyName": "Read"}),
    Row(
        the.AttachUserPolicy(name="bare", policy=SERVER_POLICY),
        {"UserName": "bare", "PolicyArn": SERVER},
    ),
    Row(
        the.DetachUserPolicy(name="u", policy=SERVER_POLICY),
        {"UserName": "u", "PolicyArn": SERVER},
    ),
    Row(the.UntagUser(name="u", tag_keys=("Old",)), {"UserName": "u", "TagKeys": ["Old"]}),
    Row(the.CreateAccessKey(name="u"), {"UserName": "u"}),
    Row(
        the.UpdateAccessKey(name="u", access_key_id=KEY_ID, status="Inactive"),
        {"UserName": "u", "AccessKeyId": KEY_ID, "Status": "Inactive"},
    ),
    Row(
        the.DeleteAccessKey(name="u", access_key_id=KEY_ID),
        {"UserName": "u", "AccessKeyId": KEY_ID},
    ),
    Row(the.DeleteUser(name="bare"), {"UserName": "bare"}),
    Row(
        the.CreateInstanceProfile(name="new", path="/a/", tags=TAGS),
        {"InstanceProfileName": "new", "Path": "/a/", "Tags": TAG_LIST},
        frozenset({"iam:TagInstanceProfile"}),
    ),
    Row(
        the.TagInstanceProfile(name="p", tags=TAGS), {"InstanceProfileName": "p", "Tags": TAG_LIST}
    ),
    Row(
        the.AddRoleToInstanceProfile(name="empty", role_name="bare"),
        {"InstanceProfileName": "empty", "RoleName": "bare"},
        frozenset({"iam:PassRole"}),
    ),
    Row(
        the.RemoveRoleFromInstanceProfile(name="p", role_name="r"),
        {"InstanceProfileName": "p", "RoleName": "r"},
    ),
    Row(the.DeleteInstanceProfile(name="empty"), {"InstanceProfileName": "empty"}),
)
LEAST: dict[str, tuple[Change, dict[str, str]]] = {
    "role": (
        the.CreateRole(name="new", trust=EC2_TRUST, description=""),
        {"RoleName": "new", "AssumeRolePolicyDocument": TRUST},
    ),
    "user": (the.CreateUser(name="new"), {"UserName": "new"}),
    "profile": (the.CreateInstanceProfile(name="new"), {"InstanceProfileName": "new"}),
}


def prepare(iam: Any) -> None:
    """Create the entities that the rows change."""
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.create_role(RoleName="bare", AssumeRolePolicyDocument=TRUST.replace("ec2", "lambda"))
    iam.create_user(UserName="u", Tags=[*MANAGED, {"Key": "Old", "Value": ""}])
    iam.create_user(UserName="bare")
    iam.create_access_key(UserName="u")
    backend = iam_backends["123456789012"]["aws"]
    (key,) = backend.users["u"].access_keys
    key.access_key_id = KEY_ID  # moto's are random
    backend.access_keys[KEY_ID] = key
    for name in ("p", "empty"):
        iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    iam.attach_role_policy(RoleName="r", PolicyArn=SERVER)
    iam.attach_user_policy(UserName="u", PolicyArn=SERVER)
    iam.put_role_policy(RoleName="r", PolicyName="Read", PolicyDocument=READ_TEXT)
    iam.put_user_policy(UserName="u", PolicyName="Read", PolicyDocument=READ_TEXT)
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=LIMIT)
    iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=LIMIT)


EVERYTHING = State.of(
    [
        Role(name="r", trust=EC2_TRUST, inline_policies=frozenset({READ})),
        Role(name="bare", trust=EC2_TRUST),
        User(name="u", inline_policies=frozenset({READ})),
        User(name="bare"),
        InstanceProfile(name="p"),
        InstanceProfile(name="empty"),
    ]
)
"""The entities that the rows change, by kind and name."""


@pytest.fixture(scope="module")
def prepared() -> tuple[dict[str, Any], State]:
    """Return the entities that the rows change: as moto holds them, and as they are observed."""
    with sandbox() as session:
        iam = session.client("iam")
        prepare(iam)
        backend = iam_backends["123456789012"]["aws"]
        held = copy.deepcopy(vars(backend), {id(backend): backend})
        return held, observe(EVERYTHING, iam=iam)


def requests_of(client: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the list to which every request of *client* will be added, except its reads."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def note(params: dict[str, Any], model: Any, **_event: object) -> None:
        if not model.name.startswith("Get") and model.name not in READS:
            sent.append((model.name, params))

    client.meta.events.register("provide-client-params.iam", note)
    return sent


def written(client: Any, changes: ChangeSet) -> tuple[Change, ...]:
    """Apply one change with *client*; return what was applied.

    Deliveries and rotations write access keys themselves, because a state does not compare them.
    """
    if isinstance(changes.changes[0], (the.CreateAccessKey, the.UpdateAccessKey)):
        call = Call("aws", 0.0)
        assert Executor.of(iam=client).run(call.write(changes))
        return call.ledger.applied
    return apply(changes, iam=client).changes


class TestOpenPolicies:
    """The ARNs of policies that do not name an account."""

    OPEN = CustomerManagedPolicy("Boundary", "/limits/")

    @pytest.fixture
    def made(self, iam: Any) -> str:
        """Create the policy after others at its path and below, and return its ARN."""
        replies = [
            iam.create_policy(PolicyName=name, Path=path, PolicyDocument=READ_TEXT)
            for name, path in (
                ("Above", "/"),
                ("Beside", "/limits/"),
                ("Below", "/limits/low/"),
                ("Boundary", "/limits/"),
            )
        ]
        return str(replies[-1]["Policy"]["Arn"])

    def test_account_of_what_is_there(self, iam: Any, made: str) -> None:
        """If the ARN of the role shows the account, the policy is not looked up."""
        ensure(plan_agent_role(), iam=iam)
        sent = requests_of(iam)
        ensure(plan_agent_role(policies=[self.OPEN], permissions_boundary=self.OPEN), iam=iam)
        held = iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
        boundary = iam.get_role(RoleName=ROLE)["Role"]["PermissionsBoundary"]
        assert {each["PolicyArn"] for each in held} == {SERVER, made}
        assert boundary["PermissionsBoundaryArn"] == made
        assert "ListPolicies" not in {operation for operation, _ in sent}

    @pytest.mark.parametrize("plan", [plan_agent_role, plan_agent_user])
    def test_boundary_of_what_is_new(self, iam: Any, made: str, plan: Any) -> None:
        """For a new entity the policy is looked up, so that it is created with the boundary."""
        sent = requests_of(iam)
        changes = preview(plan(permissions_boundary=self.OPEN), iam=iam)
        result = apply(changes, iam=iam)
        (create,) = [members for name, members in sent if name in {"CreateRole", "CreateUser"}]
        assert create["PermissionsBoundary"] == made
        assert "iam:ListPolicies" in changes.permissions
        assert not ensure(plan(permissions_boundary=self.OPEN), iam=iam).changed
        assert result.changes == changes.changes

    def test_boundary_that_is_not_there(self, iam: Any, virtual_time: VirtualTime) -> None:
        """A boundary that the account lacks is refused without retries; nothing is created."""
        desired = plan_agent_role(permissions_boundary=self.OPEN)
        with pytest.raises(ApplyError, match="account has no policy/limits/Boundary") as caught:
            ensure(desired, iam=iam, propagation=virtual_time.propagation())
        assert caught.value.attempts == 1
        assert caught.value.code == "NoSuchEntity"
        assert not virtual_time.slept
        assert not observe(desired, iam=iam).entities


class TestRequests:
    """Requests of changes."""

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row.change.operation)
    def test_one_each(
        self, session: boto3.Session, prepared: tuple[dict[str, Any], State], row: Row
    ) -> None:
        """Each change is one request of its name, with its arguments, and has its permissions."""
        held, observed = prepared
        client = session.client("iam")
        backend = iam_backends["123456789012"]["aws"]
        vars(backend).update(copy.deepcopy(held, {id(backend): backend}))
        changes = ChangeSet((row.change,), observed)
        sent = requests_of(client)
        applied = written(client, changes)
        assert sent == [(row.change.operation, row.members)]
        assert applied == (row.change,)
        assert row.change.permissions == {f"iam:{row.change.operation}"} | row.more

    def test_all_are_tested(self) -> None:
        """There is a row for each change."""
        assert {type(row.change) for row in ROWS} == set(get_args(Change))
        assert len(ROWS) == len(get_args(Change))

    @pytest.mark.parametrize("row", LEAST.values(), ids=list(LEAST))
    def test_only_what_is_named(
        self, session: boto3.Session, row: tuple[Change, dict[str, str]]
    ) -> None:
        """A creation omits what intent omits, so that IAM's defaults apply."""
        change, members = row
        client = session.client("iam")
        sent = requests_of(client)
        apply(ChangeSet((change,)), iam=client)
        assert sent == [(change.operation, members)]

    def test_documents(self, session: boto3.Session) -> None:
        """A document is sent as compact JSON, with its version first."""
        client = session.client("iam")
        sent = requests_of(client)
        apply(preview(plan_agent_role(), iam=client), iam=client)
        text = next(params for name, params in sent if name == "CreateRole")
        assert text["AssumeRolePolicyDocument"] == TRUST
        assert json.dumps(json.loads(TRUST), separators=(",", ":")) == TRUST


class TestResult:
    """Results."""

    @pytest.mark.parametrize(
        "desired", [plan_agent_role(), plan_agent_user()], ids=["role", "user"]
    )
    def test_state(self, session: boto3.Session, desired: State) -> None:
        """The result has the state of IAM, and the ARNs of what was created."""
        result = apply(preview(desired, session=session), session=session)
        seen = observe(desired, session=session)
        assert result.changed
        assert result.arns == {(each.kind, each.name): each.arn for each in seen.entities}
        assert not preview(result.state, session=session)

    def test_no_changes(self, session: boto3.Session, requests: Requests) -> None:
        """If there is nothing to do, only reads are sent."""
        ensure_agent_role(session=session)
        changes = preview(plan_agent_role(), session=session)
        requests.sent.clear()
        result = apply(changes, session=session)
        assert (result.changed, requests.writes) == (False, [])
        assert len(requests.reads) == 3
        assert len(result.arns) == 2


WRITES = ["CreateRole", "CreateInstanceProfile", "AttachRolePolicy", "AddRoleToInstanceProfile"]
NOT_REPEATABLE = {"CreateRole", "CreateInstanceProfile", "AddRoleToInstanceProfile"}
URL = "https://iam.amazonaws.com/"
# What a request meets that is not an answer of IAM, and words of the error.
FAILURES: dict[str, tuple[Exception, str]] = {
    "throttled": (
        ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "X"),
        "Rate exceeded",
    ),
    "500 without a word": (
        ClientError(cast("Any", {"ResponseMetadata": {"HTTPStatusCode": 500}}), "X"),
        "attempts in",
    ),
    "unreachable": (EndpointConnectionError(endpoint_url=URL), "Could not connect"),
    "timeout": (ReadTimeoutError(endpoint_url=URL), "Read timeout"),
    "not XML": (ResponseParserError("invalid XML received"), "invalid XML received"),
    "XML of another service": (KeyError("CreateRoleResponse"), "CreateRoleResponse"),
}


def fail(client: Any, event: str, error: BaseException | Iterator[BaseException]) -> None:
    """Raise *error* at every *event* of *client*, or each of some errors once."""

    def handler(model: Any, **_event: object) -> None:
        found = error if isinstance(error, BaseException) else next(error, None)
        if found:
            if isinstance(found, ClientError):
                found.operation_name = model.name
            raise found

    events = client.events if isinstance(client, boto3.Session) else client.meta.events
    events.register(event, handler)


def split(changes: ChangeSet, failing: str) -> tuple[set[Change], set[Change]]:
    """Return what is applied, and what is not, if the operation *failing* fails.

    The other changes of its wave are sent at the same time.
    """
    operations = [[change.operation for change in wave] for wave in changes.waves]
    last = next(place for place, names in enumerate(operations) if failing in names)
    sent = {change for wave in changes.waves[: last + 1] for change in wave}
    applied = {change for change in sent if change.operation != failing}
    return applied, set(changes) - applied


class TestFailure:
    """Changes that fail."""

    @pytest.mark.parametrize("operation", WRITES)
    def test_refused(
        self, session: boto3.Session, virtual_time: VirtualTime, operation: str
    ) -> None:
        """The error says what was applied, what remains, and why; the next call continues."""
        error = ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, "X")
        client = session.client("iam")
        fail(client, f"before-call.iam.{operation}", error)
        planned = preview(plan_agent_role(), session=session)
        with pytest.raises(ApplyError, match=r"No\.") as caught:
            apply(planned, iam=client, propagation=virtual_time.propagation())
        found = caught.value
        applied, remaining = split(planned, operation)
        assert (set(found.applied), set(found.remaining)) == (applied, remaining)
        assert (found.operation, found.target) == (operation, found.remaining[0].target)
        assert (found.code, found.attempts, found.seconds) == ("AccessDenied", 1, 0.0)
        assert found.__cause__ is error
        assert virtual_time.slept == []
        rest = ensure(plan_agent_role(), session=session)
        assert set(rest.changes) == remaining

    def test_all_refusals_of_a_wave(self, session: boto3.Session) -> None:
        """One error has all refusals of a wave."""
        client = session.client("iam")
        for operation in WRITES[:2]:
            error = ClientError({"Error": {"Code": "AccessDenied", "Message": operation}}, "X")
            fail(client, f"before-call.iam.{operation}", error)
        with pytest.raises(ApplyError) as caught:
            ensure_agent_role(iam=client)
        refusals = [(each.operation, each.reason) for each in caught.value.refusals]
        assert refusals == [(operation, operation) for operation in WRITES[:2]]
        assert "CreateInstanceProfile failed for instance-profile" in str(caught.value)

    # Each failure at a write that is repeatable and at one that is not, and each other write.
    @pytest.mark.parametrize(
        ("name", "operation"),
        [
            *((name, WRITES[0]) for name in FAILURES),
            *((name, WRITES[2]) for name in FAILURES),
            *(("timeout", each) for each in (WRITES[1], WRITES[3])),
        ],
    )
    def test_transient(
        self, session: boto3.Session, virtual_time: VirtualTime, name: str, operation: str
    ) -> None:
        """A permanent failure ends within the timeout; the error says what was applied."""
        error, words = FAILURES[name]
        planned = preview(plan_agent_role(), session=session)
        fail(session, f"before-call.iam.{operation}", error)
        with pytest.raises(ApplyError, match=words) as caught:
            apply(planned, session=session, propagation=virtual_time.propagation())
        found = caught.value
        applied, remaining = split(planned, operation)
        # After a lost reply the state is read again, and what does not need it goes on.
        assert applied <= set(found.applied)
        assert (
            operation
            in {each.operation for each in found.remaining}
            <= {each.operation for each in remaining}
        )
        assert len(found.applied) + len(found.remaining) == len(planned)
        assert 30 < sum(virtual_time.slept) <= 61  # 60 from the last write on
        assert found.seconds == pytest.approx(sum(virtual_time.slept))
        assert found.attempts <= 16 or operation in NOT_REPEATABLE
        assert found.__cause__ is error

    @pytest.mark.parametrize("operation", sorted(NOT_REPEATABLE))
    def test_lost_and_never_made(self, operation: str) -> None:
        """A creation that is never carried out nor answered is sent 16 times at most too."""
        world = World(script={operation: [Lost(done=False)] * 99})
        with pytest.raises(ApplyError) as caught:
            world.ensure()
        assert caught.value.attempts == world.writes.count(operation) <= 16

    def test_never_reached(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """If AWS cannot be reached at all, there is one attempt."""
        fail(session, "before-call.iam", EndpointConnectionError(endpoint_url=URL))
        with pytest.raises(ObserveError, match="Could not connect") as caught:
            ensure_agent_role(session=session, propagation=virtual_time.propagation())
        assert (caught.value.attempts, caught.value.applied, virtual_time.slept) == (1, (), [])

    @pytest.mark.parametrize(
        ("operation", "call"),
        [*((each, ensure) for each in WRITES), (WRITES[0], apply), (WRITES[2], apply)],
    )
    def test_lost_reply(
        self, session: boto3.Session, virtual_time: VirtualTime, operation: str, call: Any
    ) -> None:
        """A change that was carried out although its reply was lost counts as applied."""
        client = session.client("iam")
        errors = iter([ReadTimeoutError(endpoint_url=URL)])
        fail(client, f"after-call.iam.{operation}", errors)
        planned = preview(plan_agent_role(), session=session)
        given = planned if call is apply else plan_agent_role()
        result = call(given, iam=client, propagation=virtual_time.propagation())
        assert set(result.changes) == set(planned)
        assert len(result.changes) == len(planned)
        assert len(result.arns) == 2
        assert all(arn.startswith("arn:aws:iam::") for arn in result.arns.values())
        assert len(virtual_time.slept) == 1

    @pytest.mark.parametrize("operation", WRITES)
    def test_all_replies_lost(self, operation: str) -> None:
        """If no reply to a creation comes, reads decide; other writes fail after all attempts."""
        world = World(script={operation: [Lost()] * 99})
        if operation == "AttachRolePolicy":
            with pytest.raises(ApplyError, match="It may have been made all the same") as caught:
                world.ensure()
            applied = {each.operation for each in caught.value.applied}
            assert applied == {*WRITES} - {operation}
        else:
            assert {each.operation for each in world.ensure().changes} == {*WRITES}
        assert not world.later().ensure().changed

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
    def test_interrupt(self, session: boto3.Session, error: BaseException) -> None:
        """An interrupt is raised with notes about what was applied; the next call continues."""
        client = session.client("iam")
        fail(client, "before-call.iam.AttachRolePolicy", error)
        with pytest.raises(type(error)) as caught:
            ensure_agent_role(iam=client)
        assert caught.value is error
        notes = "".join(error.__notes__)
        assert "Already applied: CreateRole" in notes
        assert "May have been applied: AttachRolePolicy" in notes
        rest = ensure_agent_role(session=session)
        assert "AttachRolePolicy" in {change.operation for change in rest.changes}

    @pytest.mark.parametrize("error", [MemoryError(), ValueError("a defect"), OSError(28, "full")])
    def test_not_of_aws(self, session: boto3.Session, error: Exception) -> None:
        """Any exception of a request is the cause of an error of this library."""
        client = session.client("iam")
        fail(client, "before-call.iam.AttachRolePolicy", error)
        with pytest.raises(CwAgentIamError) as caught:
            ensure_agent_role(iam=client)
        assert caught.value.__cause__ is error
        assert {"CreateRole", "CreateInstanceProfile"} <= {
            change.operation for change in caught.value.applied
        }
        rest = ensure_agent_role(session=session)
        assert [change.operation for change in rest.changes] == ["AttachRolePolicy"]
