"""Trusts in what is new itself, and policies whose account nothing tells yet."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from cwagent_iam import (
    ApplyError,
    CrossAccount,
    CustomerManagedPolicy,
    PropagationTimeoutError,
    diff,
    ensure,
    observe,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
)
from cwagent_iam.events import Recovered
from cwagent_iam.testing import Crash, Fault, laggy_iam, strict_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3

    from cwagent_iam import Event, State
    from cwagent_iam.testing import LaggyIAM

ACCOUNT = "123456789012"
SOURCE = f"arn:aws:iam::{ACCOUNT}:role/Source"
ABSENT = f"arn:aws:iam::{ACCOUNT}:role/Absent"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/Source/here"
OWN = CustomerManagedPolicy("Own", "/team/")
TAGS = '{"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}'
DOCUMENT = f'{{"Version": "2012-10-17", "Statement": {TAGS}}}'
SLOW = attrs.evolve(
    PROFILES["off"], router="random", stale_writes=1.0, lags={"admission": Fixed(8.0)}
)
"""Other hosts learn of a new principal after eight seconds, and answer every request."""

plan = functools.partial(plan_agent_role, instance_profile=False)


def trusting(*principals: str) -> State:
    """Plan a source, and a target that trusts these *principals*."""
    return plan("Source") | plan("Target", trust=CrossAccount(principals))


@pytest.fixture
def slow() -> Iterator[LaggyIAM]:
    """An IAM in which new principals are unknown for a while, and absent ones are refused."""
    with laggy_iam(SLOW) as lagging, strict_iam():
        yield lagging


@pytest.mark.parametrize("principal", [SOURCE, SESSION], ids=["role", "session"])
def test_a_new_principal_is_waited_for(slow: LaggyIAM, principal: str) -> None:
    """The role that was made a moment ago, and whoever is a session of it."""
    ensure(trusting(principal), session=slow.session)
    assert 8.0 <= slow.clock.elapsed < 30.0
    assert not ensure(trusting(principal), session=slow.session).changed


def test_an_absent_principal_is_not_waited_for(slow: LaggyIAM) -> None:
    """Even beside a new one: IAM says which of them it does not know."""
    with pytest.raises(ApplyError, match="create that first") as caught:
        ensure(trusting(SOURCE, ABSENT), session=slow.session)
    assert caught.value.code == "MalformedPolicyDocument"
    # The source, which is new, is waited for; then it is plain that the other one is not there.
    assert slow.clock.elapsed < 30.0


@pytest.mark.parametrize("principal", [SOURCE, SESSION], ids=["role", "session"])
def test_what_a_killed_run_has_made_is_waited_for_by_the_next(
    slow: LaggyIAM, principal: str
) -> None:
    """It sees the role, and that IAM does not know it as a principal, so it looks again."""
    slow.fail(Fault("crash", "CreateRole", when="after", nth=1))
    with pytest.raises(Crash):
        ensure(trusting(principal), session=slow.session)
    result = ensure(trusting(principal), session=slow.session)
    assert [change.name for change in result.changes if change.creates] == ["Target"]
    assert not ensure(trusting(principal), session=slow.session).changed


@pytest.mark.parametrize(
    "wrong",
    [SOURCE.replace("role/", "role/real/"), SOURCE.replace("arn:aws:", "arn:aws-cn:")],
    ids=["path", "partition"],
)
def test_a_new_role_by_a_wrong_arn_is_not_waited_for(slow: LaggyIAM, wrong: str) -> None:
    """No time will make it known by that; neither now nor when it is seen again."""
    desired = trusting(wrong)
    for attempt in range(2):
        began = slow.clock.elapsed
        with pytest.raises(ApplyError, match="Invalid principal") as caught:
            ensure(desired, session=slow.session)
        assert (caught.value.attempts, slow.clock.elapsed - began < 20.0) == (1, True), attempt


@pytest.mark.parametrize("kind", ["role", "user"])
def test_who_was_deleted_and_made_again_is_let_in_again(session: boto3.Session, kind: str) -> None:
    """IAM keeps the id of the one that is gone; that is drift, explained and mended."""
    source = plan("Source") if kind == "role" else plan_agent_user("Source")
    target = plan("Target", trust=CrossAccount([SOURCE.replace(":role", f":{kind}")]))
    with strict_iam():
        ensure([source, target], session=session)
        remove(source, session=session)
        ensure(source, session=session)
        changes = preview(target, session=session)
        assert [change.operation for change in changes] == ["UpdateAssumeRolePolicy"]
        assert "This role or user was deleted; one made again under its name is not it." in str(
            changes
        )
        ensure(target, session=session)
        assert not preview([source, target], session=session)


def test_what_is_half_built_is_looked_at_again_before_anything_is_done() -> None:
    """While a role shows its bare id the account is not known, and nobody is asked for it."""
    building = attrs.evolve(
        PROFILES["off"],
        router="random",
        lags={"read": Fixed(0.0)},
        half_built=1.0,
        building=Fixed(5.0),
    )
    desired = plan("R", policies=[OWN])
    with laggy_iam(building) as lagging:
        lagging.truth.create_policy(PolicyName="Own", Path="/team/", PolicyDocument=DOCUMENT)
        lagging.fail(Fault("crash", "CreateRole", when="after"))
        with pytest.raises(Crash):
            ensure(desired, session=lagging.session)
        before = len(lagging.trace)
        changes = preview(desired, session=lagging.session)
        result = ensure(desired, session=lagging.session)
        assert result.changes == changes.changes
        operations = {each.operation for each in list(lagging.trace)[before:]}
        assert "ListPolicies" not in operations
        assert changes.permissions == {"iam:AttachRolePolicy"}


def half_built_for_good(lagging: LaggyIAM) -> Any:
    """Return a client to which every role shows its bare id in place of its ARN."""
    client: Any = lagging.client("ours")

    def cut(parsed: dict[str, Any], **_event: object) -> None:
        if "Role" in parsed:
            parsed["Role"]["Arn"] = parsed["Role"]["RoleId"]

    client.meta.events.register("after-call.iam.GetRole", cut)
    return client


def test_what_stays_half_built_is_mended_all_the_same() -> None:
    """Names are all that requests take; then it is said that IAM does not show it in full."""
    with laggy_iam("off") as lagging:
        ensure(plan("R", policies=[]), iam=lagging.truth)
        client = half_built_for_good(lagging)
        with pytest.raises(PropagationTimeoutError, match="does not show everything in full") as it:
            ensure(plan("R"), iam=client)
        assert [change.operation for change in it.value.applied] == ["AttachRolePolicy"]
        assert (it.value.missing, it.value.unformed) == ((), ("role R",))
        assert not diff(plan("R"), observe(plan("R"), iam=lagging.truth))
        assert remove(plan("R"), iam=client).changed


def test_where_the_account_stays_unknown_nothing_is_said_to_be_done() -> None:
    """A policy that leaves it open waits for the ARN; what was not sent is not called missing."""
    with laggy_iam("off") as lagging:
        ensure(plan("R"), iam=lagging.truth)
        with pytest.raises(PropagationTimeoutError, match="does not show everything in full") as it:
            ensure(plan("R", policies=[OWN]), iam=half_built_for_good(lagging))
        assert (it.value.applied, it.value.missing, it.value.unformed) == ((), (), ("role R",))


class TestAskingForTheAccount:
    """A boundary of the account, set while nothing of the account is known."""

    DESIRED = plan("R", permissions_boundary=OWN)

    @pytest.fixture
    def lagging(self) -> Iterator[LaggyIAM]:
        """An IAM that has the policy."""
        with laggy_iam("off") as lagging:
            lagging.truth.create_policy(PolicyName="Own", Path="/team/", PolicyDocument=DOCUMENT)
            yield lagging

    def test_failing(self, lagging: LaggyIAM) -> None:
        """If the question fails to the end, nothing may have been made."""
        lagging.fail(Fault("ServiceFailure", "ListPolicies"))
        with pytest.raises(ApplyError) as caught:
            ensure(self.DESIRED, session=lagging.session)
        assert not caught.value.doubtful
        assert (caught.value.applied, caught.value.code) == ((), "ServiceFailure")
        assert "CreateRole" not in {each.operation for each in lagging.trace}

    def test_failing_once(self, lagging: LaggyIAM) -> None:
        """It is asked again; what a rival makes meanwhile is not taken for ours."""
        told: list[Event] = []

        def rival() -> None:
            ensure(self.DESIRED, iam=lagging.client("rival"))

        lagging.fail(Fault("ServiceFailure", "ListPolicies", nth=1))
        lagging.fail(Fault("ServiceFailure", "ListPolicies", nth=2))
        lagging.before_request(5, rival)
        result = ensure(self.DESIRED, session=lagging.session, on_event=told.append)
        assert not any(change.creates for change in result.changes)
        (recovered,) = (each for each in told if isinstance(each, Recovered))
        assert recovered.reason == "another process made it"

    def test_denied(self, lagging: LaggyIAM) -> None:
        """The advice names what the question takes."""
        client: Any = lagging.client("ours")
        denied = {"Error": {"Code": "AccessDenied", "Message": "no iam:ListPolicies"}}

        def deny(**_event: object) -> tuple[Any, dict[str, Any]]:
            response = type("Response", (), {"status_code": 403})()
            return response, denied | {"ResponseMetadata": {"HTTPStatusCode": 403}}

        client.meta.events.register("before-call.iam.ListPolicies", deny)
        with pytest.raises(ApplyError, match=r"Allow the caller .*iam:ListPolicies") as caught:
            ensure(self.DESIRED, iam=client)
        assert caught.value.attempts == 1

    def test_known(self, lagging: LaggyIAM) -> None:
        """Where something of the account was seen, nobody is asked."""
        ensure(plan("Known"), session=lagging.session)
        before = len(lagging.trace)
        ensure([plan("Known"), self.DESIRED], session=lagging.session)
        assert "ListPolicies" not in {each.operation for each in list(lagging.trace)[before:]}
