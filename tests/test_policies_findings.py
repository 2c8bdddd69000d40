"""What is to be known of good policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, Finding
from cwagent_iam.policies import (
    SSM_MANAGED_INSTANCE_POLICY,
    XRAY_DAEMON_POLICY,
    InlinePolicy,
    ManagedPolicy,
    policy_findings,
)
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Collection

ADMIN = "CloudWatchAgentAdminPolicy"
SSM = "AmazonSSMManagedInstanceCore"
CASES: dict[str, tuple[Collection[ManagedPolicy], list[tuple[str, str]]]] = {
    "none": ((), []),
    "server": ([SERVER_POLICY], []),
    "server and traces": ({SERVER_POLICY, XRAY_DAEMON_POLICY}, []),
    "admin": ([ADMIN_POLICY], [("needs", ADMIN), ("open", ADMIN)]),
    "admin and server": ([ADMIN_POLICY, SERVER_POLICY], [("open", ADMIN)]),
    "systems manager": ([SERVER_POLICY, SSM_MANAGED_INSTANCE_POLICY], [("open", SSM)]),
    "admin and systems manager": (
        [SSM_MANAGED_INSTANCE_POLICY, ADMIN_POLICY],
        [("needs", ADMIN), ("open", SSM), ("open", ADMIN)],
    ),
}


@pytest.mark.parametrize(("policies", "expected"), CASES.values(), ids=CASES)
def test_findings_come_with_policies(
    policies: Collection[ManagedPolicy], expected: list[tuple[str, str]]
) -> None:
    """The worst first, then by name."""
    found = policy_findings(policies)
    assert [(each.kind, each.about) for each in found] == expected
    assert policy_findings(tuple(policies)) == found


def right(action: str, resource: str = "*", **elements: Any) -> InlinePolicy:
    """An inline policy that allows one action."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource} | elements
    return InlinePolicy("Own", {"Version": "2012-10-17", "Statement": statement})


@pytest.mark.parametrize("action", ["ec2:DescribeVolumes", "ec2:Describe*", "*"])
def test_an_inline_policy_may_make_up_for_what_admin_lacks(action: str) -> None:
    """If it allows the action without a condition."""
    assert [each.kind for each in policy_findings([ADMIN_POLICY], [right(action)])] == ["open"]


def test_another_inline_policy_does_not() -> None:
    """Neither another action nor one under a condition is what the agent asks for."""
    under = right("ec2:DescribeVolumes", Condition={"StringEquals": {"ec2:Region": "eu-west-1"}})
    found = policy_findings([ADMIN_POLICY], [right("ec2:DescribeTags"), under])
    assert [each.kind for each in found] == ["needs", "open"]


DENIED = [right("ec2:*"), right("ec2:DescribeVolumes", Effect="Deny")]


def test_what_one_inline_policy_denies_none_allows() -> None:
    """In whichever of them, and in one document alike; what is no document says nothing."""
    (needs, may) = policy_findings([ADMIN_POLICY], DENIED)
    assert (needs.kind, may.kind) == ("needs", "open")
    both = [statement for each in DENIED for statement in each.document.content()["Statement"]]
    together = InlinePolicy("Own", {"Version": "2012-10-17", "Statement": both})
    assert policy_findings([ADMIN_POLICY], [together]) == (needs, may)
    nonsense = InlinePolicy("Own", "nonsense")
    assert policy_findings([ADMIN_POLICY], [nonsense, DENIED[0]]) == (may,)


def test_the_documents_bear_it_out() -> None:
    """In AWS's own documents, one right alone is in the server's policy and not in the admin's."""
    actions = {}
    with sandbox() as session:
        iam = session.client("iam")
        for policy in (SERVER_POLICY, ADMIN_POLICY):
            arn = policy.arn("aws")
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            held = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
            statements: Any = held["Document"]
            listed = [each["Action"] for each in statements["Statement"]]
            actions[policy] = {
                action for each in listed for action in ([each] if isinstance(each, str) else each)
            }
    assert actions[SERVER_POLICY] - actions[ADMIN_POLICY] == {"ec2:DescribeVolumes"}
    assert actions[ADMIN_POLICY] - actions[SERVER_POLICY] == {"ssm:PutParameter"}


def test_a_finding_is_one_line() -> None:
    """Kind, what it is about, and a sentence; it compares and hashes."""
    finding = Finding("needs", ADMIN, "It lacks something.")
    assert str(finding) == f"needs: {ADMIN}: It lacks something."
    assert finding == Finding("needs", ADMIN, "It lacks something.")
    assert len({finding, Finding("needs", ADMIN, "It lacks something.")}) == 1
    assert "ec2:DescribeVolumes" in str(policy_findings([ADMIN_POLICY])[0])
