"""What is written and not yet visible: the rules, and the waiting."""

from __future__ import annotations

import functools
import itertools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from cwagent_iam import (
    ApplyError,
    Change,
    ChangeSet,
    CrossAccount,
    Document,
    ObserveError,
    Propagation,
    apply,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    preview,
)
from cwagent_iam import changes as the
from cwagent_iam.credentials.answers import KeyRequest
from cwagent_iam.policies import ADMIN_POLICY, SERVER_POLICY, InlinePolicy
from cwagent_iam.propagation import RULES, TROUBLES, Outcome, Run, rule_for, rule_for_trouble
from cwagent_iam.trust import EC2_TRUST
from tests.scripted import answer

if TYPE_CHECKING:
    import boto3

    from cwagent_iam.aws import Trouble
    from tests.conftest import Requests, VirtualTime

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
NO_ROLE = ("NoSuchEntity", f"The role with name {ROLE} cannot be found.")
NO_USER = ("NoSuchEntity", f"The user with name {USER} cannot be found.")
NO_PROFILE = ("NoSuchEntity", f"Instance Profile {ROLE} cannot be found.")
NOT_INSIDE = ("NoSuchEntity", f"Role {ROLE} in Instance Profile {ROLE} cannot be found.")
NO_POLICY = ("NoSuchEntity", "Policy ARN does not exist or is not attachable.")
NOT_ATTACHED = ("NoSuchEntity", "Policy ARN was not found.")
NO_ROLE_BOUNDARY = ("NoSuchEntity", "The role has no permissions boundary.")
NO_BOUNDARY = ("NoSuchEntity", "Scope ARN: ARN does not exist or is not attachable.")
BUSY = ("ConcurrentModification", "")
IN_USE = ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
TAKEN = ("EntityAlreadyExists", f"Role with name {ROLE} already exists.")
FULL = (
    "LimitExceeded",
    "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
)
NO_KEY = ("NoSuchEntity", "The Access Key with id AKIAX cannot be found.")
NO_TOKEN = ("InvalidClientTokenId", "The security token included in the request is invalid.")
DENIED = ("AccessDenied", "User: CALLER is not authorized to perform: iam:X on resource: ARN")

MADE_ROLE = the.CreateRole(name=ROLE, trust=EC2_TRUST)
MADE_PROFILE = the.CreateInstanceProfile(name=ROLE)
MADE_USER = the.CreateUser(name=USER)
ATTACH = the.AttachRolePolicy(name=ROLE, policy=SERVER_POLICY)
ATTACH_USER = the.AttachUserPolicy(name=USER, policy=SERVER_POLICY)
ADD = the.AddRoleToInstanceProfile(name=ROLE, role_name=ROLE)
TAG_PROFILE = the.TagInstanceProfile(name=ROLE, tags=())
DETACH = the.DetachRolePolicy(name=ROLE, policy=SERVER_POLICY)
TAKE_OUT = the.RemoveRoleFromInstanceProfile(name=ROLE, role_name=ROLE)
DELETE = the.DeleteRole(name=ROLE)
DELETE_PROFILE = the.DeleteInstanceProfile(name=ROLE)
DELETE_USER = the.DeleteUser(name=USER)
OTHER_ROLE = the.CreateRole(name="other", trust=EC2_TRUST)
PRINCIPAL = "arn:aws:iam::123456789012:user/new"
BAD_TRUST = ("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{PRINCIPAL}"')
NEW_TRUST = Document.parse(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": PRINCIPAL},
            "Action": "sts:AssumeRole",
        },
    }
)
TRUSTING = the.CreateRole(name=ROLE, trust=NEW_TRUST)
NEW_ROLE = "arn:aws:iam::123456789012:role/team/new"
SESSION = "arn:aws:sts::123456789012:assumed-role/new/here"
BAD_SESSION = ("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{SESSION}"')
OTHER_PATH = NEW_ROLE.replace("/team/", "/")
BAD_PATH = ("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{OTHER_PATH}"')
TRUSTING_PATH = the.CreateRole(name=ROLE, trust=CrossAccount([OTHER_PATH]).document())
NO_NAME = ("MalformedPolicyDocument", "Invalid principal in policy")
TRUSTING_BOTH = the.CreateRole(name=ROLE, trust=CrossAccount([PRINCIPAL, NEW_ROLE]).document())
BAD_ACCOUNT = (
    "MalformedPolicyDocument",
    'Invalid principal in policy: "AWS":"arn:aws:iam::999999999999:root"',
)
BAD_SERVICE = (
    "MalformedPolicyDocument",
    'Invalid principal in policy: "SERVICE":"absent.amazonaws.com"',
)
TRUSTING_ALL = the.CreateRole(
    name=ROLE,
    trust=Document.parse(
        {
            "Statement": {
                "Effect": "Allow",
                "Principal": {
                    "AWS": [NEW_ROLE, "999999999999"],
                    "Service": "absent.amazonaws.com",
                },
                "Action": "sts:AssumeRole",
            }
        }
    ),
)
SPARING = the.CreateRole(
    name=ROLE,
    trust=Document.parse(
        {
            "Statement": {
                "Effect": "Deny",
                "NotPrincipal": {"AWS": PRINCIPAL},
                "Action": "sts:AssumeRole",
            }
        }
    ),
)
TRUSTING_SESSION = the.CreateRole(name=ROLE, trust=CrossAccount([SESSION]).document())
TRUST_AGAIN = the.UpdateAssumeRolePolicy(name=ROLE, trust=NEW_TRUST)


TROUBLED: dict[Trouble, Exception] = {
    "throttled": ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "X"),
    "failing": ReadTimeoutError(endpoint_url="x"),
    "unreachable": EndpointConnectionError(endpoint_url="x"),
}


class Case(NamedTuple):
    """An answer of AWS to a change of a run, and what it means."""

    outcome: Outcome
    answer: tuple[str, str]
    change: Change | KeyRequest
    applied: tuple[Change, ...] = ()
    seen: tuple[str, ...] = ()
    arns: tuple[str, ...] = ()
    seen_arns: tuple[str, ...] = ()


# For each rule what it is for, and near misses: the same code where it means something else.
CASES: dict[str, Case] = {
    "new role, attach": Case("wait", NO_ROLE, ATTACH, (MADE_ROLE,)),
    "new role, add": Case("wait", NO_ROLE, ADD, (MADE_ROLE, MADE_PROFILE)),
    "new role, profile not new": Case("wait", NO_ROLE, ADD, (MADE_ROLE,)),
    "role not new": Case("final", NO_ROLE, ATTACH),
    "role not new, profile new": Case("final", NO_ROLE, ADD, (MADE_PROFILE,)),
    "role not new, another new": Case("final", NO_ROLE, ATTACH, (OTHER_ROLE,)),
    "role not new, only attached": Case("final", NO_ROLE, ADD, (ATTACH,)),
    "new role, no such policy": Case("final", NO_POLICY, ATTACH, (MADE_ROLE,)),
    "new role, no such boundary": Case(
        "final",
        NO_BOUNDARY,
        the.PutRolePermissionsBoundary(name=ROLE, policy=SERVER_POLICY),
        (MADE_ROLE,),
    ),
    "new user": Case("wait", NO_USER, ATTACH_USER, (MADE_USER,)),
    "user not new": Case("final", NO_USER, ATTACH_USER),
    "role of the same name new": Case("final", NO_USER, ATTACH_USER, (MADE_ROLE,)),
    "new user, no such policy": Case("final", NO_POLICY, ATTACH_USER, (MADE_USER,)),
    "no boundary for a user": Case("final", NO_BOUNDARY, MADE_USER),
    "new profile": Case("wait", NO_PROFILE, ADD, (MADE_PROFILE,)),
    "new profile, tag": Case("wait", NO_PROFILE, TAG_PROFILE, (MADE_PROFILE,)),
    "profile not new": Case("final", NO_PROFILE, ADD, (MADE_ROLE,)),
    "role seen": Case("look again", NO_ROLE, ATTACH, (), (f"role {ROLE}",)),
    "user seen": Case("look again", NO_USER, ATTACH_USER, (), (f"user {USER}",)),
    "profile seen": Case("look again", NO_PROFILE, ADD, (), (f"instance-profile {ROLE}",)),
    "role seen, profile unknown": Case("final", NO_PROFILE, ADD, (), (f"role {ROLE}",)),
    "role seen, no such policy": Case("final", NO_POLICY, ATTACH, (), (f"role {ROLE}",)),
    "busy": Case("read back", BUSY, ATTACH),
    "busy with words": Case("read back", ("ConcurrentModification", "Try later."), MADE_ROLE),
    "for minutes": Case("wait", ("EntityTemporarilyUnmodifiable", "Try later."), DELETE_USER),
    "something hangs on it": Case("look again", IN_USE, DELETE),
    "something hangs on the profile": Case("look again", IN_USE, DELETE_PROFILE, (TAKE_OUT,)),
    "only deletion meets what hangs on it": Case("final", IN_USE, DETACH),
    "detached already": Case("read back", NOT_ATTACHED, DETACH),
    "detach, role gone": Case("read back", NO_ROLE, DETACH),
    "attach is not detach": Case("final", NOT_ATTACHED, ATTACH, (MADE_ROLE,)),
    "detach denied": Case("final", DENIED, DETACH),
    "out already": Case("read back", NOT_INSIDE, TAKE_OUT),
    "take out denied": Case("final", DENIED, TAKE_OUT),
    "gone already": Case("read back", NO_ROLE, DELETE),
    "boundary gone already": Case(
        "read back", NO_ROLE_BOUNDARY, the.DeleteRolePermissionsBoundary(name=ROLE)
    ),
    "profile gone already": Case("read back", NO_PROFILE, DELETE_PROFILE),
    "user gone already": Case("read back", NO_USER, DELETE_USER),
    "delete denied": Case("final", DENIED, DELETE),
    "name taken": Case("read back", TAKEN, MADE_ROLE),
    "name of a user taken": Case("read back", TAKEN, MADE_USER),
    "name of a profile taken": Case("read back", TAKEN, MADE_PROFILE),
    "quota of roles": Case(
        "final", ("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000"), MADE_ROLE
    ),
    "taken, though nothing is created": Case("final", TAKEN, ATTACH),
    "some role inside": Case("read back", FULL, ADD),
    "this role inside": Case("read back", ("EntityAlreadyExists", "It is in."), ADD),
    "new principal": Case("wait", BAD_TRUST, TRUSTING, (), (), (PRINCIPAL,)),
    "new principal, update": Case("wait", BAD_TRUST, TRUST_AGAIN, (), (), (PRINCIPAL,)),
    "principal not new": Case("final", BAD_TRUST, TRUSTING, (MADE_USER,), (), (f"{PRINCIPAL}s",)),
    "principal seen": Case("look again", BAD_TRUST, TRUSTING, seen_arns=(PRINCIPAL,)),
    "another principal seen": Case("final", BAD_TRUST, TRUSTING, seen_arns=(f"{PRINCIPAL}s",)),
    "new principal beside an absent one": Case(
        "final", BAD_TRUST, TRUSTING_BOTH, arns=(NEW_ROLE,), seen_arns=(NEW_ROLE,)
    ),
    "account that is not there beside a new principal": Case(
        "final", BAD_ACCOUNT, TRUSTING_ALL, arns=(NEW_ROLE,), seen_arns=(NEW_ROLE,)
    ),
    "service that is not there beside a new principal": Case(
        "final", BAD_SERVICE, TRUSTING_ALL, arns=(NEW_ROLE,), seen_arns=(NEW_ROLE,)
    ),
    "new principal that is denied nothing": Case("wait", BAD_TRUST, SPARING, arns=(PRINCIPAL,)),
    "new principal that is not named": Case("wait", NO_NAME, TRUSTING_BOTH, arns=(NEW_ROLE,)),
    "session of a new role": Case("wait", BAD_SESSION, TRUSTING_SESSION, arns=(NEW_ROLE,)),
    "session of a role seen": Case(
        "look again", BAD_SESSION, TRUSTING_SESSION, seen_arns=(NEW_ROLE,)
    ),
    "new principal by another path": Case(
        "final", BAD_PATH, TRUSTING_PATH, arns=(NEW_ROLE,), seen_arns=(NEW_ROLE,)
    ),
    "session in another partition": Case(
        "final", BAD_SESSION, TRUSTING_SESSION, arns=(NEW_ROLE.replace("aws:", "aws-cn:"),)
    ),
    "session of a new user": Case(
        "final", BAD_SESSION, TRUSTING_SESSION, arns=(NEW_ROLE.replace("role", "user"),)
    ),
    "session of another role": Case(
        "final", BAD_SESSION, TRUSTING_SESSION, arns=(NEW_ROLE.replace("new", "newer"),)
    ),
    "no principal of this change": Case("final", BAD_TRUST, ATTACH, (), (), (PRINCIPAL,)),
    "new principal, other words": Case(
        "final", ("MalformedPolicyDocument", "Syntax errors."), TRUSTING, (), (), (PRINCIPAL,)
    ),
    "key too new for STS": Case("wait", NO_TOKEN, KeyRequest("GetCallerIdentity", USER)),
    "key of the caller unknown": Case("final", NO_TOKEN, KeyRequest("CreateAccessKey", USER)),
    "key gone before": Case("look again", NO_KEY, KeyRequest("UpdateAccessKey", USER)),
    "key gone already": Case("read back", NO_KEY, KeyRequest("DeleteAccessKey", USER)),
    "user of a key too new": Case(
        "wait", NO_USER, KeyRequest("CreateAccessKey", USER), (MADE_USER,)
    ),
    "quota of policies": Case(
        "final", ("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"), ATTACH
    ),
}


def run_of(case: Case) -> Run:
    """Return a run that has applied the changes of *case*, and knows what they created."""
    known = {change.target for change in case.applied if change.creates}
    run = Run(Propagation(), 0.0, applied=list(case.applied), known=known)
    run.seen.update(case.seen)
    run.arns.update(case.arns)
    run.seen_arns.update(case.seen_arns)
    return run


def error_of(code: str, words: str, operation: str = "AttachRolePolicy") -> ClientError:
    """Return what botocore raises when IAM refuses *operation* with these words."""
    return ClientError({"Error": {"Code": code, "Message": words}}, operation)


class TestRules:
    """What an answer of AWS means."""

    @pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
    def test_outcome(self, case: Case) -> None:
        """What an answer means depends on code, words, change, and what this run has made."""
        error = error_of(*case.answer, case.change.operation)
        assert rule_for(error, case.change, run_of(case)).outcome == case.outcome

    def test_each_rule_decides(self) -> None:
        """Each rule decides one of the cases above: none can be taken away."""
        deciding = set()
        for case in CASES.values():
            operation, (code, words) = case.change.operation, case.answer
            fitting = (
                rule
                for rule in RULES
                if operation.startswith(rule.operation)
                and (rule.code, rule.fragment in words.lower()) == (code, True)
                and rule.applies(case.change, run_of(case), words.lower())
            )
            deciding.add(next(fitting, None))
        assert deciding == {*RULES, None}

    @pytest.mark.parametrize("error", [NoCredentialsError(), ValueError("x"), KeyboardInterrupt()])
    def test_no_answer(self, error: BaseException) -> None:
        """What comes neither from AWS nor from the line to it is never a matter of time."""
        run = run_of(Case("final", NO_ROLE, ATTACH, (MADE_ROLE,)))
        assert rule_for(error, ATTACH, run).outcome == "final"
        assert rule_for_trouble(error, run).outcome == "final"

    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_trouble(self, trouble: Trouble) -> None:
        """Trouble passes, whatever is asked and whoever made it; waits grow, and are all chance."""
        run = run_of(Case("wait", NO_ROLE, ATTACH))
        run.heard()
        rule = rule_for(TROUBLED[trouble], ATTACH, run)
        assert rule is rule_for_trouble(TROUBLED[trouble], run) is TROUBLES[trouble]
        first, most = (1.0, 10.0) if trouble == "throttled" else (0.25, 8.0)
        assert [rule.pace.seconds(n, 0.5) for n in (1, 2, 99)] == [first, first * 2, most]
        least = 0.1 * most
        assert rule.pace.seconds(99, 0) == pytest.approx(least)
        assert rule.pace.seconds(99, 1) == pytest.approx(2 * most - least)

    def test_never_reached(self) -> None:
        """Where AWS was never reached the settings are wrong, and no time will mend them."""
        run = run_of(Case("wait", NO_ROLE, ATTACH))
        run.heard(TROUBLED["unreachable"])
        assert rule_for(TROUBLED["unreachable"], ATTACH, run).outcome == "final"
        run.heard(TROUBLED["throttled"])
        assert rule_for(TROUBLED["unreachable"], ATTACH, run).outcome == "wait"

    def test_no_error(self) -> None:
        """Where nothing went wrong there is no trouble."""
        assert rule_for_trouble(None, run_of(Case("wait", NO_ROLE, ATTACH))).outcome == "final"


# What this library does not wait for, as AWS words it: waiting turns none of it into success.
FINAL = {
    "no such policy": NO_POLICY,
    "quota": ("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"),
    "MalformedPolicyDocument": ("MalformedPolicyDocument", "This policy contains invalid Json"),
    "DeleteConflict": IN_USE,
    "EntityAlreadyExists": TAKEN,
    "UnmodifiableEntity": (
        "UnmodifiableEntity",
        "Cannot perform the operation on the protected role",
    ),
    "PolicyNotAttachable": ("PolicyNotAttachable", "Cannot attach a Service Role Policy."),
    "InvalidInput": ("InvalidInput", "ARN X is not valid."),
    "ValidationError": ("ValidationError", "ARN X is not valid."),
    "AccessDenied": DENIED,
    "InvalidClientTokenId": (
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    ),
    "SignatureDoesNotMatch": (
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match.",
    ),
    "ExpiredToken": ("ExpiredToken", "The security token included in the request is expired"),
    "RequestExpired": ("RequestExpired", "Request has expired."),
}


DOCUMENT = InlinePolicy("Own", '{"Version":"2012-10-17","Statement":[]}')
AT_ONCE: dict[str, Change] = {
    change.operation: change
    for change in (
        ATTACH,
        the.UpdateRole(name=ROLE, description="x", max_session_duration=3600),
        the.TagRole(name=ROLE, tags=(("Team", "x"),)),
        the.PutRolePolicy(name=ROLE, policy=DOCUMENT),
        the.PutRolePermissionsBoundary(name=ROLE, policy=SERVER_POLICY),
    )
}


class TestAtOnce:
    """What cannot succeed fails at once."""

    @pytest.mark.parametrize("found", FINAL.values(), ids=list(FINAL))
    @pytest.mark.parametrize("operation", AT_ONCE)
    def test_final(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        requests: Requests,
        found: tuple[str, str],
        operation: str,
    ) -> None:
        """A final answer about something brand-new is one attempt and no wait, for each code."""
        client = session.client("iam")
        answer(client, operation, itertools.repeat(found))
        change = AT_ONCE[operation]
        with pytest.raises(ApplyError) as caught:
            apply(
                ChangeSet((MADE_ROLE, change)), iam=client, propagation=virtual_time.propagation()
            )
        error = caught.value
        assert (error.code, error.reason, error.attempts, error.seconds) == (*found, 1, 0.0)
        assert requests.writes == ["CreateRole", operation]
        assert (error.applied, virtual_time.slept) == ((MADE_ROLE,), [])

    @pytest.mark.parametrize("found", [each for each in FINAL.values() if each != NO_POLICY])
    @pytest.mark.parametrize("operation", ["GetRole", "ListAttachedRolePolicies"])
    def test_final_read(
        self,
        session: boto3.Session,
        virtual_time: VirtualTime,
        requests: Requests,
        found: tuple[str, str],
        operation: str,
    ) -> None:
        """A look that is refused, unless because there is nothing, is one request and no wait."""
        ensure_agent_role(instance_profile=False, session=session)
        client = session.client("iam")
        answer(client, operation, itertools.repeat(found))
        requests.sent.clear()
        waiting = virtual_time.propagation()
        with pytest.raises(ObserveError, match=re.escape(found[1])):
            ensure_agent_role(instance_profile=False, iam=client, propagation=waiting)
        assert (requests.sent.count(operation), virtual_time.slept) == (1, [])
        assert requests.writes == []

    def test_absent_principal(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A trust in somebody who does not exist fails at once, though the words are lag's own."""
        client = session.client("iam")
        answer(client, "CreateRole", itertools.repeat(BAD_TRUST))
        with pytest.raises(ApplyError, match="Invalid principal") as caught:
            apply(
                ChangeSet((MADE_USER, TRUSTING)), iam=client, propagation=virtual_time.propagation()
            )
        assert (caught.value.attempts, virtual_time.slept) == (1, [])

    def test_new_principal(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A trust in a user that this run has just made is tried again until IAM knows the user."""
        client = session.client("iam")
        answer(client, "CreateRole", [BAD_TRUST] * 3)
        new = the.CreateUser(name="new")
        result = apply(
            ChangeSet((new, TRUSTING)), iam=client, propagation=virtual_time.propagation()
        )
        assert (result.changes, virtual_time.slept) == ((new, TRUSTING), [0.25, 0.5, 1.0])

    def test_cleared_boundary(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """Where a rival has cleared it in between, IAM may say that there is none; that will do."""
        bounded = functools.partial(ensure_agent_role, instance_profile=False, session=session)
        bounded(permissions_boundary=SERVER_POLICY)
        changes = preview(
            plan_agent_role(instance_profile=False, permissions_boundary=""), session=session
        )
        session.client("iam").delete_role_permissions_boundary(RoleName=ROLE)
        client = session.client("iam")
        answer(client, "DeleteRolePermissionsBoundary", itertools.repeat(NO_ROLE_BOUNDARY))
        result = apply(changes, iam=client, propagation=virtual_time.propagation())
        assert not result.changed
        assert not bounded(permissions_boundary="").changed

    def test_absent_boundary(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A boundary that does not exist fails at once, though the role is brand-new."""
        client = session.client("iam")
        answer(client, "PutRolePermissionsBoundary", itertools.repeat(NO_BOUNDARY))
        put = the.PutRolePermissionsBoundary(name=ROLE, policy=SERVER_POLICY)
        with pytest.raises(ApplyError, match="Scope ARN") as caught:
            apply(ChangeSet((MADE_ROLE, put)), iam=client, propagation=virtual_time.propagation())
        assert (caught.value.attempts, virtual_time.slept) == (1, [])

    def test_misspelt_policy(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A policy that does not exist fails at once, though the role is brand-new."""
        policy = "arn:aws:iam::aws:policy/CloudWatchAgentSeverPolicy"
        with pytest.raises(ApplyError, match=r"NoSuchEntity: .* does not exist") as caught:
            ensure_agent_user(
                policies=[policy], session=session, propagation=virtual_time.propagation()
            )
        assert (caught.value.attempts, virtual_time.slept) == (1, [])

    def test_denied_for_good(self, session: boto3.Session, virtual_time: VirtualTime) -> None:
        """A role that reads show and writes deny is looked at again until the time is up."""
        ensure_agent_role(session=session)
        client = session.client("iam")
        answer(client, "AttachRolePolicy", itertools.repeat(NO_ROLE))
        with pytest.raises(ApplyError) as caught:
            ensure_agent_role(
                policies=[ADMIN_POLICY], iam=client, propagation=virtual_time.propagation()
            )
        assert (caught.value.attempts, caught.value.overtaken) == (
            len(virtual_time.slept) + 1,
            True,
        )
        assert caught.value.seconds == sum(virtual_time.slept)
        assert 50 < sum(virtual_time.slept) <= 60

    def test_gone(self, session: boto3.Session, iam: Any, virtual_time: VirtualTime) -> None:
        """A user that somebody deletes between look and change is made anew."""
        ensure_agent_user(policies=[], session=session)
        client = session.client("iam")
        pending = [USER]

        def delete(**_event: object) -> None:
            if pending:
                iam.delete_user(UserName=pending.pop())

        client.meta.events.register("before-call.iam.AttachUserPolicy", delete)
        user = ensure_agent_user(iam=client, propagation=virtual_time.propagation())
        assert [change.operation for change in user.changes] == ["CreateUser", "AttachUserPolicy"]
        assert virtual_time.slept == [0.5]
