"""What is there beyond intent: what counts, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    CustomerManagedPolicy,
    InlinePolicy,
    Result,
    diff,
)
from cwagent_iam.changes import AgentUser, Extra
from cwagent_iam.differ import extras
from cwagent_iam.documents import Document
from cwagent_iam.keys import AccessKey
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from cwagent_iam.keys import Action

OURS = (MANAGED_TAG,)
DEAD = "AIDAABCDEFGHIJKLMNOPQ"
BOTH = frozenset({SERVER_POLICY, ADMIN_POLICY})


def statement(kind: str, name: str, effect: str = "Allow") -> dict[str, object]:
    """Return a statement about who may assume a role."""
    return {"Sid": "X", "Effect": effect, "Principal": {kind: name}, "Action": "sts:AssumeRole"}


def trust(*statements: object) -> Document:
    """Return a trust with these statements."""
    return Document.parse({"Version": "2012-10-17", "Statement": [*statements]})


EC2 = statement("Service", "ec2")
SSM = statement("Service", "ssm")
ROLE = Role(name="R", trust=EC2_TRUST, policies=frozenset({SERVER_POLICY}), tags=OURS)
PROFILE = InstanceProfile(name="R", role_name="R", tags=OURS)
USER = User(name="U", policies=frozenset({SERVER_POLICY}), tags=OURS)
# What was seen of a role, and each extra as a line.
ROLES: dict[str, tuple[Role, list[str]]] = {
    "as desired": (ROLE, []),
    "tags, description, boundary": (
        attrs.evolve(
            ROLE, tags=(*OURS, ("a", "b")), description="x", permissions_boundary=ADMIN_POLICY
        ),
        [],
    ),
    "policies missing": (attrs.evolve(ROLE, policies=frozenset()), []),
    "policies more": (
        attrs.evolve(ROLE, policies=BOTH),
        ["role R, policies: CloudWatchAgentAdminPolicy"],
    ),
    "our statement in other words": (attrs.evolve(ROLE, trust=trust(EC2)), []),
    "one more statement": (
        attrs.evolve(ROLE, trust=trust(SSM, EC2)),
        ["role R, trust: Allow Service ssm sts:AssumeRole"],
    ),
    "one that denies": (
        attrs.evolve(ROLE, trust=trust(EC2, statement("AWS", "123456789012", "Deny"))),
        ["role R, trust: Deny AWS 123456789012 sts:AssumeRole"],
    ),
    "one wider statement, not in a list": (
        attrs.evolve(
            ROLE,
            trust=Document.parse({"Statement": statement("Service", "ec2") | {"Action": "sts:*"}}),
        ),
        ["role R, trust: Allow Service ec2 sts:*"],
    ),
    "one about who was deleted": (
        attrs.evolve(ROLE, trust=trust(EC2, statement("AWS", DEAD))),
        [
            (
                f"role R, trust: Allow AWS {DEAD} sts:AssumeRole ({DEAD}: This role or user was "
                "deleted; one made again under its name is not it.)"
            )
        ],
    ),
    "no policy document": (
        attrs.evolve(ROLE, trust=Document.parse("no\nJSON")),
        [r"role R, trust: no\nJSON"],
    ),
}


@pytest.mark.parametrize(("seen", "lines"), ROLES.values(), ids=ROLES.keys())
def test_the_extras_of_a_role(seen: Role, lines: list[str]) -> None:
    """Policies and statements of the trust beyond intent count; nothing else does."""
    found = extras(plan_agent_role("R"), State.of([seen, PROFILE]))
    assert [str(extra) for extra in found] == lines


def test_the_way_of_writing_a_trust_makes_no_difference_to_extras() -> None:
    """Statements are told in one order, and each once, however often it stands there."""
    ec2, *others = [
        {"Effect": "Allow", "Principal": {"Service": name}, "Action": "sts:AssumeRole"}
        for name in ("ec2", "ssm", "lambda.amazonaws.com")
    ]
    texts = set()
    for statements in ([ec2, *others], [*others[::-1], ec2], [others[0], *others, ec2, ec2]):
        trust = Document.parse({"Version": "2012-10-17", "Statement": statements})
        found = extras(plan_agent_role("R"), State.of([attrs.evolve(ROLE, trust=trust), PROFILE]))
        texts.add(tuple(map(str, found)))
    assert texts == {
        (
            "role R, trust: Allow Service lambda.amazonaws.com sts:AssumeRole",
            "role R, trust: Allow Service ssm sts:AssumeRole",
        )
    }


def test_extras_hold_values() -> None:
    """An extra says where it is, in which field, and what it is, as a value to work with."""
    found = extras(plan_agent_user("U"), State.of([attrs.evolve(USER, policies=BOTH)]))
    assert found == (Extra("user U", "policies", ADMIN_POLICY),)


OPEN = CustomerManagedPolicy("own", "/team/")
OWN = ManagedPolicy("own", "/team/", "123456789012", "aws")
OWN_ELSEWHERE = ManagedPolicy("own", "/team/", "210987654321", "aws")
OWN_OF_AWS, OWN_AT_THE_ROOT = ManagedPolicy("own", "/team/"), attrs.evolve(OWN, path="/")
OWN_CAPITALISED = attrs.evolve(OWN, name="Own")
# What is desired and what is attached, and what of that is too much.
POLICIES: dict[str, tuple[set[ManagedPolicy], set[ManagedPolicy], set[ManagedPolicy]]] = {
    "the account's own, left open": ({OPEN}, {OWN}, set()),
    "left open, and never seen with its account": ({OPEN}, {OPEN}, set()),
    "by ARN, and never seen with its account": ({OWN}, {OPEN}, set()),
    "AWS's of that name": ({OPEN}, {OWN, OWN_OF_AWS}, {OWN_OF_AWS}),
    "the account's of that name, at another path": ({OPEN}, {OWN_AT_THE_ROOT}, {OWN_AT_THE_ROOT}),
    "by ARN, in another account": ({OWN}, {OWN, OWN_ELSEWHERE}, {OWN_ELSEWHERE}),
    "AWS's, and the account's of that name": ({OWN_OF_AWS}, {OWN_OF_AWS, OWN}, {OWN}),
    "a name in another letter case": ({OPEN}, {OWN_CAPITALISED}, {OWN_CAPITALISED}),
}


@pytest.mark.parametrize(("wanted", "seen", "more"), POLICIES.values(), ids=POLICIES)
def test_policies_of_the_account_itself(
    wanted: set[ManagedPolicy], seen: set[ManagedPolicy], more: set[ManagedPolicy]
) -> None:
    """One that leaves its account open is the customer's of that name and path, and no other's."""
    desired = plan_agent_user("U", policies=wanted)
    found = extras(desired, State.of([attrs.evolve(USER, policies=frozenset(seen))]))
    assert {extra.value for extra in found} == more


def test_inline_policies_are_no_extras() -> None:
    """Others than those that intent names are not read, so they could not all be told."""
    statement = {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}
    inline = InlinePolicy("Other", {"Version": "2012-10-17", "Statement": statement})
    observed = State.of([attrs.evolve(USER, inline_policies=frozenset({inline}))])
    assert extras(plan_agent_user("U"), observed) == ()
    assert not diff(plan_agent_user("U"), observed, attachments="exclusive")


def test_what_intent_names_and_is_absent_has_no_extras() -> None:
    """Nothing there, nothing extra; what intent does not name is not looked at."""
    other = attrs.evolve(USER, name="other", policies=BOTH)
    assert extras(plan_agent_user("U"), State.of([other])) == ()


def test_a_changeset_tells_the_extras_that_stay() -> None:
    """What a change takes away is no extra any more: it is shown as that change."""
    role = attrs.evolve(ROLE, policies=BOTH, trust=trust(EC2, SSM))
    desired, observed = plan_agent_role("R"), State.of([role, PROFILE])
    admin = Extra("role R", "policies", ADMIN_POLICY)
    assert diff(desired, observed).extras == (admin,)
    assert diff(desired, observed, attachments="exclusive").extras == ()
    foreign = observed.with_entity(attrs.evolve(role, tags=()))
    assert diff(desired, foreign).extras == (admin, Extra("role R", "trust", trust(SSM)))


def test_extras_are_shown_after_the_changes() -> None:
    """The text to review names them, also where there is nothing to do."""
    observed = State.of([attrs.evolve(USER, policies=BOTH)])
    changes = diff(plan_agent_user("U"), observed)
    lines = ["No changes.", "Extra, left alone: user U, policies: CloudWatchAgentAdminPolicy"]
    assert not changes
    assert str(changes).splitlines() == lines
    result = Result(changes=(), state=State(), extras=changes.extras)
    assert str(result).splitlines() == lines


def test_findings_are_shown_last() -> None:
    """What is to be known about the plan comes with its changes, and with their result."""
    desired = plan_agent_user("U", policies=[ADMIN_POLICY])
    changes = diff(desired, State.of([USER]))
    assert changes.findings == desired.findings
    lines = str(changes).splitlines()
    assert lines[:3] == [
        "+ AttachUserPolicy U: CloudWatchAgentAdminPolicy",
        "1 to add, 0 to change, 0 to remove.",
        "Extra, left alone: user U, policies: CloudWatchAgentServerPolicy",
    ]
    assert [line.partition(" user")[0] for line in lines[3:]] == [
        "Finding, needs:",
        "Finding, open:",
    ]
    result = Result(changes=(), state=State(), findings=changes.findings)
    assert str(result).splitlines() == ["No changes.", *lines[3:]]


@pytest.mark.parametrize("action", ["kept", "created"])
def test_a_user_with_a_new_key_shows_its_extras(action: Action) -> None:
    """Where the key is all that was made, the extras are shown all the same."""
    key = AccessKey(access_key_id="AKIA", action=action)
    extra = Extra("user U", "policies", ADMIN_POLICY)
    user = AgentUser(
        changes=(), state=State(), extras=(extra,), user_name="U", user_arn="arn", access_key=key
    )
    nothing = ["No changes."] if action == "kept" else []
    assert str(user).splitlines() == [*nothing, f"Extra, left alone: {extra}", "arn", str(key)]
