"""Managed policies: their names and their ARNs."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY
from cwagent_iam.policies import ManagedPolicy

PARTITIONS = [
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
]
ACCOUNT = "123456789012"
ARABIC_ONE = "\N{ARABIC-INDIC DIGIT ONE}"
WIDE_ONE = "\N{FULLWIDTH DIGIT ONE}"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
CHARACTERS = f"{LETTERS}{LETTERS.upper()}0123456789_+=,.@-"

names = st.text(CHARACTERS, min_size=1, max_size=128)
paths = st.lists(st.text(CHARACTERS, min_size=1, max_size=30), max_size=4).map(
    lambda parts: "/".join(["", *parts, ""])
)
accounts = st.text("0123456789", min_size=12, max_size=12)
partitions = st.sampled_from(PARTITIONS)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_an_aws_managed_policy_has_an_arn_in_every_partition(partition: str) -> None:
    """The ARN follows from name and partition; read back, it is the same policy everywhere."""
    server = f"arn:{partition}:iam::aws:policy/CloudWatchAgentServerPolicy"
    admin = f"arn:{partition}:iam::aws:policy/CloudWatchAgentAdminPolicy"
    assert SERVER_POLICY.arn(partition) == server
    assert ADMIN_POLICY.arn(partition) == admin
    assert ManagedPolicy.from_arn(server) == SERVER_POLICY
    assert ManagedPolicy.from_arn(admin) == ADMIN_POLICY


@pytest.mark.parametrize("partition", PARTITIONS)
def test_a_path_is_part_of_the_policy(partition: str) -> None:
    """AWS keeps some policies under paths, which are read and written."""
    arn = f"arn:{partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    policy = ManagedPolicy("AmazonECSTaskExecutionRolePolicy", "/service-role/")
    assert ManagedPolicy.from_arn(arn) == policy
    assert policy.arn(partition) == arn
    assert policy != ManagedPolicy("AmazonECSTaskExecutionRolePolicy")


@pytest.mark.parametrize("partition", PARTITIONS)
def test_a_policy_of_a_customer_keeps_its_partition(partition: str) -> None:
    """Whichever partition a client works in, a customer's policy stays where it is."""
    arn = f"arn:{partition}:iam::{ACCOUNT}:policy/team/own"
    policy = ManagedPolicy.from_arn(arn)
    assert policy == ManagedPolicy("own", "/team/", ACCOUNT, partition)
    assert {policy.arn(each) for each in PARTITIONS} == {arn}


@given(partitions, paths, names)
def test_any_aws_managed_policy_survives_the_round_trip(
    partition: str, path: str, name: str
) -> None:
    """Reading an ARN and writing it gives the same ARN; the policy holds no partition."""
    arn = f"arn:{partition}:iam::aws:policy{path}{name}"
    policy = ManagedPolicy.from_arn(arn)
    assert policy == ManagedPolicy(name, path)
    assert policy.partition == ""
    assert policy.arn(partition) == arn


@given(partitions, accounts, paths, names, partitions)
def test_any_policy_of_a_customer_survives_the_round_trip(
    partition: str, account: str, path: str, name: str, elsewhere: str
) -> None:
    """Reading an ARN and writing it, for a client anywhere, gives the same ARN."""
    arn = f"arn:{partition}:iam::{account}:policy{path}{name}"
    policy = ManagedPolicy.from_arn(arn)
    assert policy == ManagedPolicy(name, path, account, partition)
    assert policy.arn(elsewhere) == arn
    assert hash(policy) == hash(ManagedPolicy.from_arn(arn))


NEAR_MISSES = {
    "nothing": "",
    "only the name": "CloudWatchAgentServerPolicy",
    "space before": " arn:aws:iam::aws:policy/P",
    "space behind": "arn:aws:iam::aws:policy/P ",
    "newline behind": "arn:aws:iam::aws:policy/P\n",
    "newline before the name": "arn:aws:iam::aws:policy/\nP",
    "NUL": "arn:aws:iam::aws:policy/P\0",
    "capital ARN": "ARN:aws:iam::aws:policy/P",
    "no partition": "arn::iam::aws:policy/P",
    "another partition": "arn:amazon:iam::aws:policy/P",
    "partition of more letters": "arn:awsx:iam::aws:policy/P",
    "partition with a loose end": "arn:aws-:iam::aws:policy/P",
    "partition in capitals": "arn:AWS:iam::aws:policy/P",
    "another service": "arn:aws:sts::aws:policy/P",
    "region": "arn:aws:iam:us-east-1:aws:policy/P",
    "no account": "arn:aws:iam:::policy/P",
    "another word for an account": "arn:aws:iam::amazon:policy/P",
    "account of 11 digits": "arn:aws:iam::12345678901:policy/P",
    "account of 13 digits": "arn:aws:iam::1234567890123:policy/P",
    "account with hyphens": "arn:aws:iam::1234-5678-9012:policy/P",
    "account in digits of another script": f"arn:aws:iam::{ARABIC_ONE * 12}:policy/P",
    "account in full-width digits": f"arn:aws:iam::{WIDE_ONE * 12}:policy/P",
    "role": "arn:aws:iam::123456789012:role/P",
    "policies": "arn:aws:iam::aws:policies/P",
    "no slash": "arn:aws:iam::aws:policy",
    "colon for the slash": "arn:aws:iam::aws:policy:P",
    "no name": "arn:aws:iam::aws:policy/",
    "path without a name": "arn:aws:iam::aws:policy/team/",
    "empty part of a path": "arn:aws:iam::aws:policy/team//P",
    "empty first part of a path": "arn:aws:iam::aws:policy//P",
    "name of 129": f"arn:aws:iam::aws:policy/{'P' * 129}",
    "space in the name": "arn:aws:iam::aws:policy/My Policy",
    "accented letter in the name": "arn:aws:iam::aws:policy/Políticas",
    "accented letter in the path": "arn:aws:iam::aws:policy/équipe/P",
    "wildcard": "arn:aws:iam::aws:policy/*",
    "version": "arn:aws:iam::aws:policy/P:v3",
}


@pytest.mark.parametrize("arn", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_what_is_not_quite_an_arn_is_refused(arn: str) -> None:
    """The error is a `ValueError` that shows what was given."""
    with pytest.raises(ValueError, match="not the ARN of a managed policy: ") as refusal:
        ManagedPolicy.from_arn(arn)
    assert str(refusal.value).endswith(repr(arn))


def test_a_long_path_that_fails_at_its_end_is_refused_quickly() -> None:
    """Reading takes time in proportion to the length, not more."""
    with pytest.raises(ValueError, match="not the ARN"):
        ManagedPolicy.from_arn("arn:aws:iam::aws:policy" + "/a" * 100_000 + "/!")


def test_a_policy_prints_as_people_call_it() -> None:
    """AWS's policies go by name, a customer's by ARN, in its own partition."""
    assert str(SERVER_POLICY) == "CloudWatchAgentServerPolicy"
    assert str(ADMIN_POLICY) == "CloudWatchAgentAdminPolicy"
    assert str(ManagedPolicy("P", "/service-role/")) == "P"
    own = ManagedPolicy("own", "/team/", ACCOUNT, "aws-cn")
    assert str(own) == f"arn:aws-cn:iam::{ACCOUNT}:policy/team/own"


def test_policies_are_sorted_by_name() -> None:
    """Policies have an order, so that whatever lists them lists them the same each time."""
    own = ManagedPolicy("own", "/team/", ACCOUNT, "aws")
    assert sorted([own, SERVER_POLICY, ADMIN_POLICY]) == [ADMIN_POLICY, SERVER_POLICY, own]
