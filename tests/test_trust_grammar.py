"""An independent linter finds no fault with what is sent, and would find one.

The linter is cfn-lint, given each document as the trust of a role in a template.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint import api  # type: ignore[import-untyped]

from tests.trusts import SOURCE

GOLDEN = Path(__file__).parent / "golden" / "trust"
DOCUMENTS: dict[tuple[str, str], Any] = {
    (path.stem, partition): document
    for path in sorted(GOLDEN.iterdir())
    for partition, document in json.loads(path.read_text(encoding="utf-8")).items()
}
KNOWN = {"aws", "aws-cn", "aws-us-gov"}  # to the linter, in ARNs of principals
GRAMMAR = "E3530"
ACTIONS = "W3037"


def complaints(documents: list[Any]) -> list[tuple[int, str]]:
    """Lint roles with these trusts; return which was complained of, and by which rule."""
    roles = {
        f"Role{index}": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": document},
        }
        for index, document in enumerate(documents)
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": roles}
    matches = api.lint(json.dumps(template), regions=["us-east-1"])
    return [(int(str(match.path[1])[4:]), match.rule.id) for match in matches]


def as_the_linter_knows(document: Any, partition: str) -> Any:
    """Give trusted roles an ARN of a partition that the linter knows; leave all else."""
    text = json.dumps(document)
    if partition not in KNOWN:
        text = text.replace(f"arn:{partition}:iam::{SOURCE}:", f"arn:aws:iam::{SOURCE}:")
    return json.loads(text)


def test_the_linter_finds_no_fault_with_any_trust() -> None:
    """Neither with the grammar nor with the names of actions, in any partition."""
    known = [as_the_linter_knows(each, key[1]) for key, each in DOCUMENTS.items()]
    # Most are the same in each partition.
    assert complaints([*{json.dumps(each): each for each in known}.values()]) == []


GOOD = {
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an action that does not exist": (GOOD | {"Action": "sts:AssumRole"}, ACTIONS),
    "a resource": (GOOD | {"Resource": "*"}, GRAMMAR),
    "an operator that does not exist": (GOOD | {"Condition": {"StringIs": {"a:b": "c"}}}, GRAMMAR),
    "nobody": ({"Effect": "Allow", "Action": "sts:AssumeRole"}, GRAMMAR),
    "a principal of no type": (GOOD | {"Principal": "ec2.amazonaws.com"}, GRAMMAR),
    "a name as an account": (GOOD | {"Principal": {"AWS": "root"}}, GRAMMAR),
    "neither effect": (GOOD | {"Effect": "Permit"}, GRAMMAR),
}


@pytest.fixture(scope="module")
def complaints_of_bad() -> list[tuple[int, str]]:
    """What the linter says of all bad statements, and of a good one after them."""
    statements = [statement for statement, _ in BAD.values()]
    return complaints(
        [{"Version": "2012-10-17", "Statement": [each]} for each in [*statements, GOOD]]
    )


@pytest.mark.parametrize("name", BAD)
def test_the_linter_would_find_a_fault(name: str, complaints_of_bad: list[tuple[int, str]]) -> None:
    """What is wrong is found by the rule that we rely on, and by no other."""
    index = list(BAD).index(name)
    assert {rule for at, rule in complaints_of_bad if at == index} == {BAD[name][1]}


def test_the_linter_finds_no_fault_with_what_is_good(
    complaints_of_bad: list[tuple[int, str]],
) -> None:
    """It complains of bad statements only, even among them."""
    assert {at for at, _ in complaints_of_bad} == set(range(len(BAD)))
