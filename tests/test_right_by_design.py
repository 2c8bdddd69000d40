"""Faults that the design rules out, one class for each kind."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    ApplyError,
    ChangeSet,
    ConflictError,
    CredentialsError,
    CrossAccount,
    CwAgentIamError,
    EC2Launch,
    IntentError,
    ObserveError,
    Propagation,
    apply,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    observe,
    observe_quotas,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
)
from cwagent_iam.testing import Fault, laggy_iam, sandbox
from tests.conftest import VirtualTime
from tests.core import World, made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cwagent_iam import State
    from cwagent_iam.requests import Request
    from tests.conftest import Requests
    from tests.core import Answer, Things

ROLE, USER = "CloudWatchAgentServerRole", "CloudWatchAgentServerUser"
SERVER, ADMIN = SERVER_POLICY.arn("aws"), ADMIN_POLICY.arn("aws")
ROLE_PLAN, USER_PLAN = plan_agent_role(), plan_agent_user()
BARE_PLAN = plan_agent_role(instance_profile=False)


def trust(*services: str) -> str:
    """Return a trust policy for *services*."""
    principal = {"Service": [f"{service}.amazonaws.com" for service in services]}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@attrs.define
class LateHost:
    """A host that is behind, and that answers one read, or all reads of one `Send`."""

    world: World
    shown: Things
    place: int
    whole_send: bool
    reads: int = 0

    def __call__(self, request: Request) -> Answer:
        """Show an old state at its place."""
        here = len(self.world.sends) - 1 if self.whole_send else self.reads
        self.reads += request.row.reads
        return self.shown if request.row.reads and here == self.place else None


def late_reads(built: Callable[[], tuple[World, list[Things]]]) -> Iterator[World]:
    """Yield the world of *built* with a late host at each read, and at each `Send`."""
    for number, whole_send in itertools.product(range(len(built()[1])), [False, True]):
        for place in itertools.count():
            world, shown = built()
            world.answers = host = LateHost(world, shown[number], place, whole_send)
            yield world
            if place >= (len(world.sends) if whole_send else host.reads):
                break


def unmanaged(desired: State) -> tuple[World, list[Things]]:
    """Return a new unmanaged entity that is as desired, and the hosts that show it late."""
    world, hosts = World(), [World().copy()]
    kind = type(desired.entities[0]).__name__
    name = desired.entities[0].name
    given: dict[str, Any] = {f"{kind}Name": name}
    if kind == "Role":
        world.do("CreateRole", AssumeRolePolicyDocument=trust("ec2"), **given)
    else:
        world.do("CreateUser", **given)
    hosts.append(world.copy())
    world.do(f"Attach{kind}Policy", PolicyArn=SERVER, **given)
    return world, hosts


def detached() -> tuple[World, list[Things]]:
    """Return a managed role without the policy that one host still shows."""
    world = made(ROLE_PLAN)
    world.do("AttachRolePolicy", RoleName=ROLE, PolicyArn=ADMIN)
    late = world.copy()
    world.do("DetachRolePolicy", RoleName=ROLE, PolicyArn=ADMIN)
    return world, [late]


class TestLateReads:
    """One stale read never raises."""

    @pytest.mark.parametrize("desired", [ROLE_PLAN, USER_PLAN], ids=["role", "user"])
    def test_unmanaged(self, desired: State) -> None:
        """A new unmanaged entity that is as desired is used, whichever read shows it late."""
        for world in late_reads(lambda: unmanaged(desired)):
            result = world.ensure(desired)
            changed = {f"instance-profile {ROLE}"} if desired is ROLE_PLAN else set()
            assert {each.target for each in result.changes} == changed

    def test_unmanaged_role_of_a_lagging_iam(self) -> None:
        """The same holds where all hosts lag."""
        with laggy_iam("typical", seed=0) as lagging:
            other = lagging.client("other")
            other.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust("ec2"))
            lagging.clock.sleep(4.0)
            other.attach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
            result = ensure(ROLE_PLAN, session=lagging.session)
            assert {each.target for each in result.changes} == {f"instance-profile {ROLE}"}

    def test_removal(self) -> None:
        """A policy that was detached a second ago, and that stale reads show, stops no removal."""
        for world in late_reads(detached):
            world.remove()
            assert not world.things

    def test_principal_of_another_process(self) -> None:
        """A trust policy is retried while a new principal of another process propagates."""
        with laggy_iam("typical", seed=0) as lagging:
            made_now = lagging.client("other").create_role(
                RoleName="Source", AssumeRolePolicyDocument=trust("ec2")
            )
            source = CrossAccount([made_now["Role"]["Arn"]])
            ensure_agent_role("Target", trust=source, session=lagging.session)
            sent = [each.outcome for each in lagging.trace if each.operation == "CreateRole"]
        assert "400 MalformedPolicyDocument" in sent

    def test_wait_before_a_timeout(self, session: boto3.Session) -> None:
        """A stale read is repeated before an error is raised, even if requests are slow."""
        now, reads = [0.0], [0]

        def pass_time(seconds: float = 40.0, **_event: object) -> None:
            now[0] += seconds

        def late(parsed: dict[str, Any], **_event: object) -> None:
            reads[0] += 1
            if reads[0] == 2:
                parsed["AttachedPolicies"] = []

        session.events.register("before-call.iam", pass_time)
        session.events.register("after-call.iam.ListAttachedUserPolicies", late)
        settings = Propagation(clock=lambda: now[0], sleep=pass_time, max_in_flight=1)
        assert len(ensure(USER_PLAN, session=session, propagation=settings).changes) == 2


DENIED: Any = {"Code": "AccessDenied", "Message": "not authorized to perform: sts:AssumeRole"}
EXPIRED: Any = {"Code": "ExpiredTokenException", "Message": "Token expired: current date/time"}
FAILING_CREDENTIALS: dict[str, tuple[Exception, str]] = {
    "AssumeRole denied": (ClientError({"Error": DENIED}, "AssumeRole"), "AssumeRole"),
    "web identity expired": (
        ClientError({"Error": EXPIRED}, "AssumeRoleWithWebIdentity"),
        "AssumeRoleWithWebIdentity",
    ),
    "SSO expired": (UnauthorizedSSOTokenError(), ""),
    "token cannot be loaded": (
        TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        "sso",
    ),
    "refresh fails": (
        CredentialRetrievalError(provider="custom-process", error_msg="exit code 1"),
        "custom-process",
    ),
    "none": (NoCredentialsError(), ""),
    "metadata without an answer": (MetadataRetrievalError(error_msg="no answer"), ""),
    "token file gone": (FileNotFoundError(2, "No such file or directory", "/run/token"), ""),
    "token file closed": (PermissionError(13, "Permission denied", "/run/token"), ""),
    "a provider's defect": (RuntimeError("Credentials were refreshed, but are expired."), ""),
}


class TestCredentials:
    """Credentials that fail are not IAM's refusal."""

    @pytest.mark.parametrize(
        ("operation", "name"),
        [("GetRole", "SSO expired"), ("AttachRolePolicy", "AssumeRole denied")]
        + [("CreateRole", name) for name in FAILING_CREDENTIALS],
    )
    def test_signing(
        self,
        session: boto3.Session,
        iam: Any,
        virtual_time: VirtualTime,
        operation: str,
        name: str,
    ) -> None:
        """The error says what failed and what was applied, has its own advice, and is final."""
        error, step = FAILING_CREDENTIALS[name]
        sent: list[str] = []

        def refresh(**_event: object) -> None:
            sent.append(operation)
            raise error

        session.events.register(f"before-sign.iam.{operation}", refresh)
        with pytest.raises(CredentialsError, match="Renew or correct the caller's cred") as caught:
            ensure(BARE_PLAN, session=session, propagation=virtual_time.propagation())
        found = caught.value
        assert (found.operation, found.step, found.__cause__) == (operation, step, error)
        assert "was not sent" in str(found)
        assert "iam:" not in found.advice
        exists = bool(iam.list_roles()["Roles"])
        assert exists is ("CreateRole" in {each.operation for each in found.applied})
        assert exists is (operation == "AttachRolePolicy")
        assert (virtual_time.slept, len(sent)) == ([], 1)

    @pytest.mark.parametrize(
        "call",
        [
            lambda session: observe(ROLE_PLAN, session=session),
            lambda session: preview(ROLE_PLAN, session=session),
            lambda session: ensure(USER_PLAN, session=session),
            lambda session: remove(USER_PLAN, session=session),
            lambda session: observe_quotas(session=session),
        ],
        ids=["observe", "preview", "ensure", "remove", "quotas"],
    )
    def test_every_function(self, session: boto3.Session, call: Callable[[Any], object]) -> None:
        """Every public function that sends requests raises the same error."""

        def refresh(**_event: object) -> None:
            raise ClientError({"Error": DENIED}, "AssumeRole")

        session.events.register("before-sign.iam", refresh)
        with pytest.raises(CredentialsError, match="AssumeRole failed"):
            call(session)

    def test_building_fails(self, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        """Settings from which no client can be built are an error of this library, too."""

        def client(*_args: object, **_options: object) -> None:
            raise NoCredentialsError

        monkeypatch.setattr(session, "client", client)
        with pytest.raises(CredentialsError, match="Unable to locate credentials"):
            ensure(ROLE_PLAN, session=session)


class TestFinal:
    """Final refusals are not retried; transient failures are, under all their codes."""

    @pytest.mark.parametrize("status", [501, 505])
    def test_statuses(self, session: boto3.Session, virtual_time: VirtualTime, status: int) -> None:
        """A request that the endpoint does not support is sent once."""
        client = session.client("iam")

        def refuse(**_event: object) -> None:
            reply: Any = {"ResponseMetadata": {"HTTPStatusCode": status}}
            reply["Error"] = {"Code": str(status), "Message": "Not supported"}
            raise ClientError(reply, "CreateUser")

        client.meta.events.register("before-call.iam.CreateUser", refuse)
        with pytest.raises(ApplyError, match="check its URL and region") as caught:
            ensure(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        assert (caught.value.attempts, virtual_time.slept) == (1, [])

    @pytest.mark.parametrize("body", ["<html>welcome</html>", "", "{}"])
    def test_not_aws(self, body: str, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Requests to a host that is not AWS end after a few attempts."""
        client = session.client("iam")
        sent: list[str] = []

        def welcome(request: Any, **_event: object) -> Any:
            sent.append(request.url)

            class Raw:
                def stream(self, **_options: object) -> Any:
                    yield body.encode()

            headers = HTTPHeaders.from_dict({"content-type": "text/html"})
            return AWSResponse(request.url, 200, headers, Raw())

        client.meta.events.register_first("before-send.iam", welcome)
        with pytest.raises(ObserveError):
            ensure(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        assert len(sent) <= 2 * 5
        assert sum(virtual_time.slept) < 10

    @pytest.mark.parametrize(
        "code",
        [
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "TooManyRequestsException",
            "SlowDown",
        ],
    )
    def test_throttling(self, session: boto3.Session, virtual_time: VirtualTime, code: str) -> None:
        """All throttling codes lead to the same retries and the same advice."""

        def refuse(**_event: object) -> None:
            reply: Any = {"ResponseMetadata": {"HTTPStatusCode": 400}}
            reply["Error"] = {"Code": code, "Message": "Rate exceeded"}
            raise ClientError(reply, "AttachUserPolicy")

        session.events.register("before-call.iam.AttachUserPolicy", refuse)
        with pytest.raises(ApplyError, match="request rate is used up") as caught:
            ensure(USER_PLAN, session=session, propagation=virtual_time.propagation())
        assert (caught.value.attempts, caught.value.code) == (16, code)
        assert 30 < sum(virtual_time.slept) <= 60

    @pytest.mark.parametrize(
        "words",
        [
            "Policy arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy does not exist or is gone",
            "The policy was not found.",
            "Scope ARN: permissions boundary does not exist.",
        ],
    )
    def test_misses_about_other_things(
        self, session: boto3.Session, virtual_time: VirtualTime, words: str
    ) -> None:
        """A NoSuchEntity that names the policy is final in one attempt, even on a new user."""
        client = session.client("iam")

        def refuse(**_event: object) -> None:
            reply: Any = {"Error": {"Code": "NoSuchEntity", "Message": words}}
            raise ClientError(reply, "AttachUserPolicy")

        client.meta.events.register("before-call.iam.AttachUserPolicy", refuse)
        with pytest.raises(ApplyError) as caught:
            ensure(USER_PLAN, iam=client, propagation=virtual_time.propagation())
        assert (caught.value.attempts, virtual_time.slept) == (1, [])


def drifted(session: boto3.Session) -> ChangeSet:
    """Return the repair of a managed role whose trust policy was widened."""
    ensure(BARE_PLAN, session=session)
    iam: Any = session.client("iam")
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=trust("ec2", "ssm"))
    iam.detach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
    return preview(BARE_PLAN, session=session)


class TestApply:
    """`apply` reads before it writes."""

    def test_handover(self, session: boto3.Session, requests: Requests) -> None:
        """If a premise has changed, nothing is written, and the error names the difference."""
        changes = drifted(session)
        iam: Any = session.client("iam")
        iam.untag_role(RoleName=ROLE, TagKeys=["ManagedBy"])
        requests.sent.clear()
        with pytest.raises(ConflictError, match="no longer as it was") as caught:
            apply(changes, session=session)
        (conflict,) = caught.value.conflicts
        fields = [each.field for each in conflict.differences]
        assert (conflict.target, fields) == (f"role {ROLE}", ["ownership"])
        assert (requests.writes, caught.value.applied) == ([], ())
        assert "Preview again" in str(caught.value)

    def test_created_meanwhile(self, session: boto3.Session, requests: Requests) -> None:
        """A role that another process created under the same name is not changed."""
        changes = preview(BARE_PLAN, session=session)
        iam: Any = session.client("iam")
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust("lambda"))
        requests.sent.clear()
        with pytest.raises(ConflictError):
            apply(changes, session=session)
        assert requests.writes == []

    def test_unrelated_change(self, session: boto3.Session) -> None:
        """Other fields may have changed."""
        changes = drifted(session)
        iam: Any = session.client("iam")
        iam.tag_role(RoleName=ROLE, Tags=[{"Key": "Team", "Value": "x"}])
        assert apply(changes, session=session).changes == changes.changes

    def test_half_applied(self, session: boto3.Session) -> None:
        """Changes that are there already count as done, so that a plan can be applied again."""
        changes = preview(ROLE_PLAN, session=session)
        apply(ChangeSet(changes.changes[:2], changes.observed), session=session)
        assert apply(changes, session=session).changes == changes.changes[2:]
        assert not apply(changes, session=session).changed
        assert not preview(ROLE_PLAN, session=session)

    def test_interrupted(self, session: boto3.Session) -> None:
        """A plan whose application failed in the middle is applied to its end by a second call."""
        changes = preview(ROLE_PLAN, session=session)
        client = session.client("iam")

        def deny(**_event: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "AttachRolePolicy")

        client.meta.events.register("before-call.iam.AttachRolePolicy", deny)
        with pytest.raises(ApplyError) as caught:
            apply(changes, iam=client)
        rest = apply(changes, session=session)
        assert set(rest.changes) | set(caught.value.applied) == set(changes)

    def test_other_account(self) -> None:
        """Changes that were computed in one account are not applied in another."""
        with sandbox(account_id="111111111111") as session:
            changes = drifted(session)
        with sandbox(account_id="222222222222") as session:
            ensure(BARE_PLAN, session=session)
            with pytest.raises(ConflictError, match="account 222222222222 is not the account"):
                apply(changes, session=session)


class TestSideClients:
    """EC2 gets no request in an account that the caller did not name."""

    @pytest.mark.parametrize("wait_for", ["ec2", EC2Launch()], ids=["ec2", "launch"])
    def test_iam_alone(self, session: boto3.Session, requests: Requests, wait_for: Any) -> None:
        """`iam=` with `wait_for="ec2"`, and neither `session=` nor `ec2=`, is an IntentError."""
        iam: Any = session.client("iam")
        with pytest.raises(IntentError, match="ec2=None: must be a client, unless session="):
            ensure_agent_role(iam=iam, wait_for=wait_for)
        assert requests.sent == []

    def test_with_session_or_client(self, session: boto3.Session) -> None:
        """With either of them EC2 gets a dry run."""
        real: Any = session.client("ec2", "us-east-1")
        given = SimpleNamespace(
            run_instances=real.run_instances, meta=SimpleNamespace(region_name="eu-west-1")
        )
        options: dict[str, Any] = {"iam": session.client("iam"), "wait_for": "ec2"}
        one = ensure_agent_role("One", session=session, **options)
        other = ensure_agent_role("Two", ec2=given, **options)
        assert [answer.region for answer in (*one.ec2, *other.ec2)] == ["us-east-1", "eu-west-1"]


def _arguments(session: Any) -> dict[str, tuple[dict[str, Any], str]]:
    iam, s3 = session.client("iam"), session.client("s3")
    return {
        "iam=session": ({"iam": session}, "must be a client for IAM"),
        "iam=s3": ({"iam": s3}, "must be a client for IAM"),
        "iam=boto3": ({"iam": boto3}, "must be a client for IAM"),
        "iam=class": ({"iam": type(iam)}, "must be a client for IAM"),
        "session=class": ({"session": boto3.Session}, "must be a session"),
        "session=client": ({"session": iam}, "must be a session"),
        "session=name": ({"session": "default"}, "must be a session"),
        "propagation=30": ({"propagation": 30}, "must be a Propagation"),
        "propagation=class": ({"propagation": Propagation}, "must be a Propagation"),
        "propagation=mapping": ({"propagation": {"timeout": 3}}, "must be a Propagation"),
        "on_event=3": ({"on_event": 3}, "must be a function"),
        "on_event=list": ({"on_event": []}, "must be a function"),
        "ec2=session": ({"ec2": session}, "must be a client for EC2"),
        "ec2=iam": ({"ec2": iam}, "must be a client for EC2"),
    }


_ODD: Any = (1,)


class TestArguments:
    """Arguments of a wrong type are refused before any request."""

    @pytest.mark.parametrize("name", list(_arguments(boto3)))
    def test_kinds(self, session: boto3.Session, requests: Requests, name: str) -> None:
        """The error names the argument and what was expected."""
        given, words = _arguments(session)[name]
        for call in (ensure_agent_role, lambda **options: ensure(USER_PLAN, **options)):
            with pytest.raises(IntentError, match=words) as caught:
                call(**given)
            assert caught.value.problems[0].argument in given
        assert requests.sent == []

    def test_every_problem(self) -> None:
        """One error lists all invalid arguments."""
        wrong: Any = {"iam": 1, "session": 2, "propagation": 3, "on_event": 4}
        with pytest.raises(IntentError) as caught:
            remove(USER_PLAN, **wrong)
        named = {each.argument for each in caught.value.problems}
        assert named == {"iam", "session", "propagation", "on_event"}

    @pytest.mark.parametrize("function", [observe, preview, ensure, remove, ensure_agent_user])
    def test_every_function(self, function: Any) -> None:
        """Every function that takes a session refuses what is not one."""
        given = () if function is ensure_agent_user else (USER_PLAN,)
        with pytest.raises(IntentError, match="must be a session"):
            function(*given, session="default")

    @pytest.mark.parametrize("given", [ROLE_PLAN, [], (), None, "changes", ChangeSet(_ODD)])
    def test_apply(self, session: boto3.Session, requests: Requests, given: Any) -> None:
        """`apply` takes a ChangeSet; a plan goes to `ensure`."""
        with pytest.raises(IntentError, match="must be a ChangeSet, as preview and diff return"):
            apply(given, session=session)
        assert requests.sent == []

    @pytest.mark.parametrize("given", [0, -1, 1.5, True, "8", None])
    def test_max_in_flight(self, given: Any) -> None:
        """`max_in_flight` is a whole number of requests."""
        with pytest.raises(IntentError, match="max_in_flight"):
            Propagation(max_in_flight=given)


class TestNothingEscapes:
    """Every exception of a request becomes an error of this library."""

    ERRORS: ClassVar = [
        *(ValueError("x"), KeyError("x"), TypeError("x")),
        *(OSError(5, "x"), RecursionError("x")),
    ]

    @pytest.mark.parametrize(
        ("operation", "errors"),
        [("GetUser", ERRORS), ("CreateUser", ERRORS), ("AttachUserPolicy", ERRORS[:1])],
    )
    def test_each(self, session: boto3.Session, operation: str, errors: list[Exception]) -> None:
        """The exception is the cause, and the error has what was applied."""
        client = session.client("iam")
        raised: list[Exception] = []

        def raise_it(**_event: object) -> None:
            raise raised[-1]

        client.meta.events.register(f"before-call.iam.{operation}", raise_it)
        for error in errors:
            raised.append(error)
            time = VirtualTime()
            with pytest.raises(CwAgentIamError) as caught:
                ensure(USER_PLAN, iam=client, propagation=time.propagation())
            assert caught.value.__cause__ is error
            assert len(caught.value.applied) == (operation == "AttachUserPolicy")


def test_a_fault_of_every_request_ends_typed() -> None:
    """If every request fails, the call ends with an error of this library."""
    outcomes: tuple[Any, ...] = ("Throttling", "ServiceFailure", "HTML 503", "connection refused")
    for outcome in outcomes:
        with laggy_iam("off") as lagging:
            lagging.fail(Fault(outcome))
            with pytest.raises(ObserveError):
                ensure(ROLE_PLAN, session=lagging.session)
