"""Inline policies: values that know no partition, read and written in each."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from cwagent_iam import Document
from cwagent_iam.policies import (
    InlinePolicy,
    inline_problems,
    localise,
    neutral,
    neutralise,
)
from cwagent_iam.testing import sandbox, strict_iam
from tests.trusts import REGIONS

PARTITIONS = tuple(REGIONS)
ACCOUNT = "123456789012"
ANY = "PARTITION"
NO_DOCUMENT: Any = 5
everywhere = pytest.mark.parametrize("partition", PARTITIONS)


def content(*resources: str, **elements: Any) -> dict[str, Any]:
    """A document with one statement about *resources*."""
    statement = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": list(resources)}
    return {"Version": "2012-10-17", "Statement": [statement | elements]}


# What leaves the region open leaves the partition open; everything else is in one partition.
OPEN = (
    "ssm:*:*:parameter/own",
    f"logs:*:{ACCOUNT}:log-group:g:*",
    "ec2:*::image/*",
    "ecs:*:*:a\nb",
)
BOUND = (
    "arn:aws:s3:::bucket/*",
    f"arn:aws:iam::{ACCOUNT}:role/target",
    f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:g",
    "arn:aws:logs:eu-west-1:*:log-group:g",
    "arn:aws:logs:*:12:log-group:g",
    "arn:*:ssm:*:*:parameter/own",
    "arn:aws:*:*:*:own",
    "*",
)


@pytest.mark.parametrize("end", OPEN)
@everywhere
def test_an_arn_that_leaves_the_region_open_means_the_partition_of_the_client(
    end: str, partition: str
) -> None:
    """However it was written: with any partition, or with none."""
    desired = neutral(Document.parse(content(f"arn:PARTITION:{end}")))
    assert neutral(Document.parse(content(f"arn:{partition}:{end}"))).text == desired.text
    written = localise(desired, partition)
    assert written == Document.parse(content(f"arn:{partition}:{end}"))
    assert neutralise(written, partition) == desired


@pytest.mark.parametrize("arn", BOUND)
@everywhere
def test_every_other_arn_keeps_what_it_was_given(arn: str, partition: str) -> None:
    """It may name a namesake that somebody else owns."""
    document = Document.parse(content(arn))
    assert neutral(document) == localise(document, partition) == document
    assert neutralise(document, partition) == document


@pytest.mark.parametrize(
    "elements",
    [
        {"Resource": "arn:aws:ecs:*:*:cluster/web"},
        {"Resource": "*", "Condition": {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:*:*:cluster/w"}}},
        {"Resource": "*", "Condition": {"ArnLike": {"ecs:cluster": ["arn:aws:ecs:*:*:c/a", "x"]}}},
    ],
    ids=["text", "condition", "list in a condition"],
)
def test_arns_are_found_wherever_they_may_stand(elements: dict[str, Any]) -> None:
    """In texts and lists, among resources and in conditions."""
    document = Document.parse(content(**elements))
    assert "arn:PARTITION:ecs:*:*:c" in neutral(document).text
    assert "arn:aws-cn:ecs:*:*:c" in localise(neutral(document), "aws-cn").text
    assert localise(neutral(document), "aws") == document


def test_other_resources_are_read_too() -> None:
    """``NotResource`` is a list of resources like ``Resource``."""
    read = neutral(Document.parse({"Statement": {"Effect": "Allow", "Action": "*"} | {
        "NotResource": "arn:aws:ssm:*:*:parameter/own"}}))  # fmt: skip
    assert "arn:PARTITION:ssm:*:*:parameter/own" in read.text


def test_values_that_are_no_text_stay_as_they_are() -> None:
    """Conditions may hold numbers and booleans."""
    document = Document.parse(content("*", Condition={"Bool": {"aws:SecureTransport": True}}))
    assert neutral(document).text == document.text


def test_what_is_no_document_stays_as_it_is() -> None:
    """It is for the check to find."""
    nonsense = Document.parse("nonsense")
    assert neutral(nonsense) is localise(nonsense, "aws") is nonsense


def test_one_arn_in_two_partitions_is_named_once() -> None:
    """Two that mean the same are said once."""
    both = Document.parse(content("arn:aws:ssm:*:*:parameter/p", "arn:aws-cn:ssm:*:*:parameter/p"))
    assert neutral(both).text.count("parameter/p") == 1


ODD_VALUES: dict[str, tuple[Any, list[Any]]] = {
    "numbers": (
        [1, "arn:aws:ssm:*:*:parameter/own", 1],
        [1, f"arn:{ANY}:ssm:*:*:parameter/own", 1],
    ),
    "lists": ([["*"], ["*"]], [["*"], ["*"]]),
    "texts twice": (["*", "x", "*"], ["*", "x"]),
}


@pytest.mark.parametrize(("given", "read"), ODD_VALUES.values(), ids=ODD_VALUES)
def test_only_texts_are_read_and_said_once(given: list[Any], read: list[Any]) -> None:
    """What is no text has no place there, and is left for the check to find."""
    statement = content("*") | {"Statement": {"Effect": "Allow", "Action": "*", "Resource": given}}
    assert neutral(Document.parse(statement)).content()["Statement"][0]["Resource"] == read


def test_however_deep_a_document_is_it_is_refused() -> None:
    """And does not make the check fail."""
    deep: Any = "*"
    for _ in range(900):
        deep = [deep]
    assert [*InlinePolicy("Own", content(deep)).problems()]


ends = st.sampled_from([f"arn:{part}:{end}" for part in (*PARTITIONS, "PARTITION") for end in OPEN])
documents = st.lists(ends | st.sampled_from(BOUND), min_size=1, max_size=5).map(
    lambda resources: Document.parse(content(*resources))
)


@given(documents, st.sampled_from(PARTITIONS))
def test_desired_documents_survive_any_partition(document: Document, partition: str) -> None:
    """Written and read back, a neutral document is itself; made neutral again, too."""
    desired = neutral(document)
    assert neutral(desired) == desired
    assert neutralise(localise(desired, partition), partition) == desired
    assert "PARTITION" not in localise(desired, partition).text


WAYS: dict[str, Any] = {
    "a mapping": content("arn:aws:ssm:*:*:parameter/own"),
    "JSON": json.dumps(content("arn:aws-cn:ssm:*:*:parameter/own"), indent=4),
    "a document": Document.parse(content("arn:PARTITION:ssm:*:*:parameter/own")),
    "a label": content("arn:aws:ssm:*:*:parameter/own", Sid="Label"),
}


@pytest.mark.parametrize("document", WAYS.values(), ids=WAYS)
def test_a_document_may_be_given_in_several_ways(document: Any) -> None:
    """They are one value, which compares, hashes, prints, and can be copied and pickled."""
    policy = InlinePolicy("Own", document)
    same = InlinePolicy(name="Own", document=WAYS["a mapping"])
    assert policy == same
    assert hash(policy) == hash(same)
    assert policy != InlinePolicy("Other", document)
    assert policy != InlinePolicy("Own", content("*"))
    assert pickle.loads(pickle.dumps(policy)) == copy.deepcopy(policy) == policy  # noqa: S301 - our own
    assert attrs.evolve(policy, name="Other").document == policy.document
    assert str(policy) == "Own (Allow ssm:GetParameter arn:PARTITION:ssm:*:*:parameter/own)"
    assert not [*policy.problems()]


def test_it_cannot_be_changed() -> None:
    """It is a value."""
    policy = InlinePolicy("Own", WAYS["JSON"])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.name = "Other"  # type: ignore[misc] # as said


@everywhere
def test_iam_takes_it_and_gives_it_back(partition: str) -> None:
    """In the sandbox, in each partition: found again, it is as desired."""
    policy = InlinePolicy("Own", content("arn:aws:ssm:*:*:parameter/own", "arn:*:s3:::b"))
    with sandbox(region=REGIONS[partition]) as session, strict_iam():
        iam = session.client("iam")
        iam.create_user(UserName="any")
        text = policy.text(partition)
        iam.put_user_policy(UserName="any", PolicyName=policy.name, PolicyDocument=text)
        reply = iam.get_user_policy(UserName="any", PolicyName=policy.name)
    assert f"arn:{partition}:ssm" in text
    found = InlinePolicy.found(reply["PolicyName"], reply["PolicyDocument"], partition)
    assert found == policy
    assert hash(found) == hash(policy)


def test_what_names_another_partition_is_found_as_such() -> None:
    """In China, an ARN of ``aws`` is good for nothing: it is not as desired."""
    document = content("arn:aws:ssm:*:*:parameter/own")
    desired = InlinePolicy("Own", document)
    assert InlinePolicy.found("Own", document, "aws") == desired
    assert InlinePolicy.found("Own", document, "aws-cn") != desired


def test_size_is_what_the_quota_counts() -> None:
    """All but white space, in the partition with the shortest name."""
    policy = InlinePolicy("Own", content("arn:PARTITION:ssm:*:*:parameter/own"))
    assert policy.size == sum(not each.isspace() for each in policy.text("aws"))
    assert policy.size == min(len(policy.text(partition)) for partition in PARTITIONS)


@pytest.mark.parametrize("name", ["N", "N" * 128, "a_+=,.@-9"])
def test_a_good_name_has_no_problems(name: str) -> None:
    """1 to 128 of the characters that IAM allows."""
    assert not [*InlinePolicy(name, WAYS["JSON"]).problems()]


@pytest.mark.parametrize(
    "name", ["", "N" * 129, "my own", "own/x", "\N{LATIN SMALL LETTER E WITH ACUTE}", "N\n", 5]
)
def test_a_bad_name_is_refused(name: Any) -> None:
    """It is said which policy is meant."""
    (problem,) = InlinePolicy(name, WAYS["JSON"]).problems("policies[3]")
    assert problem.argument == "policies[3].name"
    assert "1 to 128 characters" in problem.rule


def test_a_bad_document_is_refused() -> None:
    """By the grammar of IAM, and by its type."""
    (problem,) = InlinePolicy("Own", content("own")).problems()
    assert problem.argument == "inline_policy.document statement 0 Resource"
    (problem,) = InlinePolicy("Own", NO_DOCUMENT).problems()
    assert problem.argument == "inline_policy.document"
    assert problem.rule == "must be JSON, a mapping or a Document"


def test_name_and_document_are_both_checked() -> None:
    """All that is wrong is found at once."""
    assert len([*InlinePolicy("", NO_DOCUMENT).problems()]) == 2


OWN = InlinePolicy("Own", WAYS["JSON"])


@pytest.mark.parametrize(
    "value",
    [(), [OWN], {OWN}, frozenset({OWN}), (OWN, InlinePolicy("Other", WAYS["JSON"]))],
    ids=["none", "list", "set", "frozenset", "two"],
)
def test_good_collections_have_no_problems(value: Any) -> None:
    """Any collection will do."""
    assert not [*inline_problems("inline_policies", value)]


@pytest.mark.parametrize(
    "value",
    [OWN, "Own", b"Own", {"Own": OWN}, None, iter([OWN])],
    ids=["one", "text", "bytes", "mapping", "None", "iterator"],
)
def test_what_is_no_collection_is_refused(value: Any) -> None:
    """One policy is no collection of one, and a mapping would lose what it maps to."""
    (problem,) = inline_problems("inline_policies", value)
    assert problem.argument == "inline_policies"
    assert "tuple, a list or a set" in problem.rule


def test_each_policy_of_a_collection_is_checked() -> None:
    """By its place."""
    value = ["Own", InlinePolicy("", WAYS["JSON"]), OWN]
    problems = [*inline_problems("inline_policies", value)]
    assert [each.argument for each in problems] == ["inline_policies[0]", "inline_policies[1].name"]


def test_names_differ_by_more_than_letter_case() -> None:
    """IAM's names are unique whatever their letter case."""
    (problem,) = inline_problems("x", [OWN, attrs.evolve(OWN, name="OWN")])
    assert problem.argument == "x[1].name"
    assert "letter case" in problem.rule
