"""Policies of the caller's own account: named without it, and found in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import SERVER_POLICY, IntentError, limits, plan_agent_user
from cwagent_iam.policies import CustomerManagedPolicy, ManagedPolicy, without
from cwagent_iam.testing import sandbox
from tests.trusts import REGIONS

ACCOUNT = "123456789012"
OTHER = "999999999999"
OWN = CustomerManagedPolicy("own", path="/team/")
SEEN = ManagedPolicy("own", "/team/", ACCOUNT, "aws")
FORM = "arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"

# Few names, paths and homes, so that many of the pairs drawn are of one name.
policies = st.builds(
    lambda name, path, home: ManagedPolicy(name, path, *home),
    st.sampled_from(["own", "Own", "other", "CloudWatchAgentServerPolicy"]),
    st.sampled_from(["/", "/team/"]),
    st.sampled_from([("aws", ""), ("", ""), (ACCOUNT, "aws"), (ACCOUNT, "aws-cn"), (OTHER, "aws")]),
)
sets = st.frozensets(policies, max_size=5)


def test_a_policy_of_the_own_account_has_neither_account_nor_partition() -> None:
    """It is a value: equal to itself, and to no policy that has an account."""
    assert OWN == CustomerManagedPolicy("own", "/team/") == ManagedPolicy("own", "/team/", "")
    assert hash(OWN) == hash(CustomerManagedPolicy("own", "/team/"))
    assert OWN not in {SEEN, CustomerManagedPolicy("own"), ManagedPolicy("own", "/team/")}
    assert (OWN.account, OWN.partition) == ("", "")
    assert CustomerManagedPolicy("own").path == "/"


def test_its_arn_follows_from_partition_and_account() -> None:
    """Both are those of the client; what has an account keeps it."""
    assert OWN.arn("aws-cn", OTHER) == f"arn:aws-cn:iam::{OTHER}:policy/team/own"
    assert SEEN.arn("aws-cn", OTHER) == f"arn:aws:iam::{ACCOUNT}:policy/team/own"
    assert SERVER_POLICY.arn("aws-cn", OTHER) == SERVER_POLICY.arn("aws-cn")


def test_it_has_no_arn_without_an_account() -> None:
    """That would be an ARN of nothing."""
    with pytest.raises(ValueError, match=r"policy/team/own takes the account that it is in"):
        OWN.arn("aws")


def test_it_prints_as_the_end_of_its_arn() -> None:
    """So that it is told from an AWS-managed policy of its name."""
    assert str(OWN) == "policy/team/own"
    assert str(CustomerManagedPolicy("own")) == "policy/own"


SAME: dict[str, tuple[ManagedPolicy, ManagedPolicy, bool]] = {
    "open and seen": (OWN, SEEN, True),
    "open and seen in China": (OWN, ManagedPolicy("own", "/team/", OTHER, "aws-cn"), True),
    "open and open": (OWN, CustomerManagedPolicy("own", "/team/"), True),
    "seen and seen": (SEEN, SEEN, True),
    "AWS's": (SERVER_POLICY, ManagedPolicy(SERVER_POLICY.name), True),
    "another path": (OWN, ManagedPolicy("own", "/", ACCOUNT, "aws"), False),
    "another letter case": (OWN, ManagedPolicy("Own", "/team/", ACCOUNT, "aws"), False),
    "another account": (SEEN, ManagedPolicy("own", "/team/", OTHER, "aws"), False),
    "AWS's of the same name": (OWN, ManagedPolicy("own", "/team/"), False),
}


@pytest.mark.parametrize(("one", "other", "same"), SAME.values(), ids=SAME)
def test_an_open_policy_may_be_what_was_seen(
    one: ManagedPolicy,
    other: ManagedPolicy,
    same: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Where name and path are the same, and AWS is not the owner; one by ARN, only itself."""
    assert one.may_be(other) is same
    assert other.may_be(one) is same


@given(policies, policies)
def test_may_be_goes_both_ways_and_holds_for_equals(
    one: ManagedPolicy, other: ManagedPolicy
) -> None:
    """It is wider than equality, by open policies only."""
    assert one.may_be(one)
    assert one.may_be(other) is other.may_be(one)
    if one.account and other.account:
        assert one.may_be(other) is (one == other)


@given(sets, sets)
def test_what_is_left_without_others_is_none_of_them(
    some: frozenset[ManagedPolicy], others: frozenset[ManagedPolicy]
) -> None:
    """What is taken away is exactly what may be one of the others."""
    left = without(some, others)
    assert left <= some
    assert not any(policy.may_be(other) for policy in left for other in others)
    assert all(any(policy.may_be(other) for other in others) for policy in some - left)
    assert without(left, others) == left
    assert without(some, some) == frozenset()
    assert without(some, ()) == some


@given(sets)
def test_without_open_policies_it_is_the_difference_of_sets(some: frozenset[ManagedPolicy]) -> None:
    """For policies that all have an owner nothing is new."""
    owned = frozenset(policy for policy in some if policy.account)
    assert without(owned, {SEEN, SERVER_POLICY}) == owned - {SEEN, SERVER_POLICY}


@pytest.mark.parametrize("partition", REGIONS)
def test_what_was_attached_by_name_is_found(partition: str) -> None:
    """In whichever partition and account; nothing is missing then, and nothing is beyond intent."""
    with sandbox(account_id=OTHER, region=REGIONS[partition]) as session:
        iam = session.client("iam")
        statement = {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}
        iam.create_policy(
            PolicyName="own",
            Path="/team/",
            PolicyDocument=str({"Version": "2012-10-17", "Statement": statement}).replace("'", '"'),
        )
        iam.create_user(UserName="any")
        wanted = frozenset({OWN, SERVER_POLICY})
        for policy in wanted:
            iam.attach_user_policy(UserName="any", PolicyArn=policy.arn(partition, OTHER))
        listed = iam.list_attached_user_policies(UserName="any")["AttachedPolicies"]
    seen = frozenset(ManagedPolicy.from_arn(each["PolicyArn"]) for each in listed)
    assert len(seen) == 2
    assert without(wanted, seen) == without(seen, wanted) == frozenset()


@pytest.mark.parametrize("policy", [OWN, CustomerManagedPolicy("P" * 128, f"/{'p' * 510}/")])
def test_a_good_policy_of_the_own_account_has_no_problems(policy: ManagedPolicy) -> None:
    """Alone, among others, and as the only one that names no account."""
    assert not [*limits.policy_problems("policies[0]", policy)]
    assert not [*limits.attachment_problems("policies", [policy, SERVER_POLICY])]
    assert not [*limits.account_problems("policies", [policy, SEEN, SERVER_POLICY, None])]


BAD: dict[str, tuple[Any, str]] = {
    "no name": (CustomerManagedPolicy(""), FORM),
    "long name": (CustomerManagedPolicy("P" * 129), FORM),
    "space in the name": (CustomerManagedPolicy("my own"), FORM),
    "slash in the name": (CustomerManagedPolicy("team/own"), FORM),
    "path without an end": (CustomerManagedPolicy("own", "/team"), FORM),
    "no path": (CustomerManagedPolicy("own", ""), FORM),
    "long path": (CustomerManagedPolicy("own", f"/{'p' * 511}/"), "at most 512 characters"),
    "partition without an account": (ManagedPolicy("own", "/", "", "aws-cn"), FORM),
    "name that is no text": (CustomerManagedPolicy(5), FORM),  # type: ignore[arg-type] # as said
}


@pytest.mark.parametrize(("policy", "rule"), BAD.values(), ids=BAD)
def test_a_bad_policy_of_the_own_account_is_refused(policy: ManagedPolicy, rule: str) -> None:
    """By the same rules as an ARN."""
    (problem,) = limits.policy_problems("policies[0]", policy)
    assert problem.argument == "policies[0]"
    assert rule in problem.rule


def test_one_policy_is_named_once_even_if_in_two_ways() -> None:
    """By name and by ARN it would be attached twice; AWS's of the same name is another one."""
    arn = SEEN.arn("aws")
    for pair in ([OWN, arn], [arn, OWN], [OWN, OWN], [arn, arn]):
        (problem,) = limits.attachment_problems("policies", pair)
        assert (problem.argument, problem.rule) == ("policies[1]", "must be named only once")
    namesake = CustomerManagedPolicy(SERVER_POLICY.name)
    assert not [*limits.attachment_problems("policies", [namesake, SERVER_POLICY])]


@pytest.mark.parametrize("other", [("own", "/"), ("Own", "/team/"), ("OWN", "/other/")])
def test_an_account_has_one_policy_of_a_name(other: tuple[str, str]) -> None:
    """Whatever its path and letter case, so that the other of two can never be attached."""
    (problem,) = limits.attachment_problems("policies", [OWN, CustomerManagedPolicy(*other)])
    assert problem.argument == "policies[1]"
    assert "an account has one of them" in problem.rule
    namesakes = [ManagedPolicy(*other), ManagedPolicy("own", "/team/")]
    assert not [*limits.attachment_problems("policies", namesakes)]
    with pytest.raises(IntentError, match=r"permissions_boundary=.* an account has one of them"):
        plan_agent_user(policies=[OWN], permissions_boundary=CustomerManagedPolicy(*other))
    for good in (OWN, ManagedPolicy(*other)):
        assert plan_agent_user(policies=[OWN], permissions_boundary=good).entities
