"""Extras: policies and trust statements beyond intent, and how they are shown."""

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
from cwagent_iam.changes import AccessKey, AgentUser, CreateAccessKey, Extra
from cwagent_iam.differ import extras
from cwagent_iam.documents import Document
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from cwagent_iam.changes.result import Action

OURS = (MANAGED_TAG,)
DEAD = "AIDAABCDEFGHIJKLMNOPQ"
BOTH = frozenset({SERVER_POLICY, ADMIN_POLICY})


def statement(kind: str, name: str, effect: str = "Allow") -> dict[str, object]:
    """Return a statement of a trust policy."""
    return {"Sid": "X", "Effect": effect, "Principal": {kind: name}, "Action": "sts:AssumeRole"}


def trust(*statements: object) -> Document:
    """Return a trust policy with these statements."""
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
    """Policies and trust statements beyond intent are extras; nothing else is."""
    found = extras(plan_agent_role("R"), State.of([seen, PROFILE]))
    assert [str(extra) for extra in found] == lines


def test_the_order_of_statements_does_not_matter() -> None:
    """Statements are shown in one order and once each, in whatever order and number they occur."""
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
    """An extra has the target, the field and the value."""
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
    """A policy without an account matches the customer managed policy of its name and path only."""
    desired = plan_agent_user("U", policies=wanted)
    found = extras(desired, State.of([attrs.evolve(USER, policies=frozenset(seen))]))
    assert {extra.value for extra in found} == more


def test_inline_policies_are_no_extras() -> None:
    """Inline policies that intent does not name are not read, and so are not extras."""
    statement = {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}
    inline = InlinePolicy("Other", {"Version": "2012-10-17", "Statement": statement})
    observed = State.of([attrs.evolve(USER, inline_policies=frozenset({inline}))])
    assert extras(plan_agent_user("U"), observed) == ()
    assert not diff(plan_agent_user("U"), observed, attachments="exclusive")


def test_absent_entities_have_no_extras() -> None:
    """An absent entity has no extras, and neither has one that intent does not name."""
    other = attrs.evolve(USER, name="other", policies=BOTH)
    assert extras(plan_agent_user("U"), State.of([other])) == ()


def test_a_changeset_shows_the_extras_that_stay() -> None:
    """An extra that a change removes is shown as that change instead."""
    role = attrs.evolve(ROLE, policies=BOTH, trust=trust(EC2, SSM))
    desired, observed = plan_agent_role("R"), State.of([role, PROFILE])
    admin = Extra("role R", "policies", ADMIN_POLICY)
    assert diff(desired, observed).extras == (admin,)
    assert diff(desired, observed, attachments="exclusive").extras == ()
    foreign = observed.with_entity(attrs.evolve(role, tags=()))
    assert diff(desired, foreign).extras == (admin, Extra("role R", "trust", trust(SSM)))


def test_extras_are_shown_after_the_changes() -> None:
    """The text of a ChangeSet shows extras, also if there are no changes."""
    observed = State.of([attrs.evolve(USER, policies=BOTH)])
    changes = diff(plan_agent_user("U"), observed)
    lines = ["No changes.", "Extra, left alone: user U, policies: CloudWatchAgentAdminPolicy"]
    assert not changes
    assert str(changes).splitlines() == lines
    result = Result(changes=(), state=State(), extras=changes.extras)
    assert str(result).splitlines() == lines


def test_findings_are_shown_last() -> None:
    """Findings about a plan are shown with its changes, and with their result."""
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
    """The result shows extras after the changes, also if a new access key is the only change."""
    key = AccessKey(access_key_id="AKIA", action=action)
    extra = Extra("user U", "policies", ADMIN_POLICY)
    new = () if action == "kept" else (CreateAccessKey(name="U"),)
    user = AgentUser(
        changes=new, state=State(), extras=(extra,), user_name="U", user_arn="arn", access_key=key
    )
    first, *_, last_but_two, last_but_one, last = str(user).splitlines()
    assert user.changed is bool(new)
    assert first == ("+ CreateAccessKey U" if new else "No changes.")
    assert (last_but_two, last_but_one, last) == (f"Extra, left alone: {extra}", "arn", str(key))
