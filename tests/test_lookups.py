"""Lookups: principals that IAM does not know, and policies without an account."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from cwagent_iam import CustomerManagedPolicy
from cwagent_iam.errors import (
    ApplyError,
    CredentialsError,
    ObserveError,
    PropagationTimeoutError,
)
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.requests import Refusal, Reply, Unsent
from cwagent_iam.trust import CrossAccount
from tests.core import (
    ACCOUNT,
    DENIED,
    ROLE,
    ROLE_PLAN,
    USER,
    USER_PLAN,
    Things,
    World,
    made,
    operations,
    pauses,
    refusal,
)

NEW_USER = f"arn:aws:iam::{ACCOUNT}:user/new"
TRUSTING = plan_agent_role(trust=CrossAccount([NEW_USER]), policies=())
BAD_TRUST = refusal("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{NEW_USER}"')
OWN = plan_agent_role(policies=[CustomerManagedPolicy("own", "/team/")])
BOUNDED = plan_agent_user(permissions_boundary=CustomerManagedPolicy("own", "/team/"))
ITEM = {
    "Path": "/team/",
    "PolicyName": "own",
    "Arn": f"arn:aws:iam::{ACCOUNT}:policy/team/own",
}
OTHERS = [ITEM | {"PolicyName": "owner"}, ITEM | {"Path": "/"}]
UNSENT = Unsent(code="AccessDenied", message="Not for you.", step="AssumeRole")


class TestPrincipals:
    """Principals of a trust policy that IAM does not know."""

    def test_absent(self) -> None:
        """A principal that four rounds of reads do not find does not exist."""
        world = World(script={"CreateRole": [BAD_TRUST] * 9})
        with pytest.raises(ApplyError) as caught:
            world.ensure(TRUSTING)
        assert (caught.value.code, caught.value.attempts) == ("MalformedPolicyDocument", 1)
        assert world.requests.count("GetUser") == 12
        assert pauses(world) == [1, 2, 2]

    def test_found(self) -> None:
        """A principal of another process is found by a read; then the change is retried."""
        world = World(script={"CreateRole": [BAD_TRUST] * 3})
        world.do("CreateUser", UserName="new")
        behind = World().copy()
        world.script["GetUser"] = [behind] * 5
        result = world.ensure(TRUSTING)
        assert operations(result.changes) == ["CreateRole"]
        assert world.requests.count("GetUser") == 6
        assert pauses(world) == [1, 0.5, 1, 2]

    def test_elsewhere(self) -> None:
        """A principal of another account is not looked up, if the caller's account is known."""
        world = made(USER_PLAN)
        trust = CrossAccount([NEW_USER.replace(ACCOUNT, "9" * 12)])
        desired = plan_agent_role(trust=trust, policies=()) | USER_PLAN
        words = f"Invalid principal in policy: {NEW_USER.replace(ACCOUNT, '9' * 12)}"
        world.script["CreateRole"] = [refusal("MalformedPolicyDocument", words)]
        with pytest.raises(ApplyError):
            world.ensure(desired)
        assert "GetUser" not in [each.operation for some in world.sends[1:] for each in some]
        assert world.waits == []

    def test_two(self) -> None:
        """Two principals that two roles need are looked up until both are found."""
        other = NEW_USER.replace("new", "late")
        desired = TRUSTING | plan_agent_role("b", trust=CrossAccount([other]), policies=())
        bad = [BAD_TRUST, attrs.evolve(BAD_TRUST, message=f"Invalid principal in policy: {other}")]
        world = World(script={"CreateRole": list(bad)})
        world.do("CreateUser", UserName="new")
        world.do("CreateUser", UserName="late")
        behind = World().copy()
        seen = {"new": [], "late": [behind] * 3}

        def answer(request: Any) -> Any:
            turns: Any = seen.get(request.arguments.get("UserName"))
            return turns.pop() if turns else None

        world.answers = answer
        assert operations(world.ensure(desired).changes) == ["CreateRole"] * 2
        looked = [len(some) for some in world.sends if some[0].operation == "GetUser"]
        assert looked == [6, 3]

    def test_out_of_time(self) -> None:
        """The lookup ends at the timeout, after at least one pause."""
        world = World(script={"CreateRole": [BAD_TRUST]})
        with pytest.raises(ApplyError):
            world.ensure(TRUSTING, timeout=1)
        assert (pauses(world), world.requests.count("GetUser")) == ([1], 6)


def half_built(world: World) -> Things:
    """Return what a host shows that has no ARNs yet."""
    things = world.copy()
    for thing in things.values():
        thing["seen"]["Arn"] = "AROAEXAMPLE"
    return things


class TestAccount:
    """Policies without an account."""

    def test_known(self) -> None:
        """The account is taken from the ARN of any created or observed entity."""
        world = World()
        result = world.ensure(OWN)
        assert (
            f"arn:aws:iam::{ACCOUNT}:policy/team/own"
            in world.things[f"role {ROLE}".lower()]["attached"]
        )
        assert ("ListPolicies" not in world.requests, len(result.changes)) == (True, 4)

    def look_up(self, *answers: Any) -> World:
        """Return a world that has nothing and answers ListPolicies."""
        return World(script={"ListPolicies": list(answers)})

    def test_found(self) -> None:
        """If no ARN is known, the policy is looked up, on all pages."""
        pages = [
            {"Policies": OTHERS, "IsTruncated": True, "Marker": "next"},
            {"Policies": [ITEM], "IsTruncated": False},
        ]
        world = self.look_up(*(Reply(content=page) for page in pages))
        world.ensure(BOUNDED)
        seen = world.things[f"user {USER}".lower()]["seen"]
        assert seen["PermissionsBoundary"]["PermissionsBoundaryArn"] == ITEM["Arn"]
        looked = [some[0] for some in world.sends if some[0].operation == "ListPolicies"]
        assert [each.arguments.get("Marker") for each in looked] == [None, "next"]
        assert looked[0].arguments == {"Scope": "Local", "PathPrefix": "/team/"}

    def test_half_built(self) -> None:
        """If the ARN that tells the account is half-built, the call waits for it; no lookup."""
        world = made(ROLE_PLAN)
        half = half_built(world)
        world.script = {"GetRole": [half], "GetInstanceProfile": [half]}
        result = world.ensure(OWN)
        assert operations(result.changes) == ["AttachRolePolicy"]
        assert (world.writes, pauses(world)) == (["AttachRolePolicy"], [0.25])

    def test_half_built_for_good(self) -> None:
        """An account that does not become known in time is an error, before any write."""
        world = made(ROLE_PLAN)
        half = half_built(world)
        world.script = {"GetRole": [half] * 99, "GetInstanceProfile": [half] * 99}
        with pytest.raises(PropagationTimeoutError) as caught:
            world.ensure(OWN, timeout=1)
        assert f"role {ROLE}" in caught.value.unformed
        assert world.writes == []

    def test_absent(self) -> None:
        """A policy that the account does not have fails immediately; nothing is written."""
        world = self.look_up(Reply(content={"Policies": OTHERS}))
        with pytest.raises(ApplyError, match="The account has no policy/team/own") as caught:
            world.ensure(BOUNDED)
        assert (caught.value.code, world.waits) == ("NoSuchEntity", [])
        assert set(world.writes) <= {"ListPolicies"}
        assert operations(caught.value.remaining) == ["CreateUser", "AttachUserPolicy"]

    @pytest.mark.parametrize("listed", [None, ["odd"], [{"Path": "/team/"}]])
    def test_odd_reply(self, listed: Any) -> None:
        """A reply that is not as IAM's is an error about the lookup, not a bare one."""
        world = self.look_up(Reply(content={"Policies": listed}))
        with pytest.raises(ObserveError, match="the reply does not have IAM's format") as caught:
            world.ensure(BOUNDED)
        assert (caught.value.operation, world.things) == ("ListPolicies", {})

    @pytest.mark.parametrize(
        ("refused", "kind"), [(DENIED, ApplyError), (UNSENT, CredentialsError)]
    )
    def test_refused(self, refused: Refusal, kind: type[ApplyError | CredentialsError]) -> None:
        """A refused lookup fails, and names the permission that it needs."""
        world = self.look_up(refused)
        with pytest.raises(kind) as caught:
            world.ensure(BOUNDED)
        if kind is ApplyError:
            assert str(caught.value).startswith("ListPolicies")
            assert [each.operation for each in caught.value.refusals] == ["ListPolicies"]
            assert "iam:ListPolicies" in str(caught.value)
        assert world.things == {}
