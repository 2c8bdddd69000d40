"""The life of the agent's role in two seconds, in an AWS account in memory: you need none.

Run it with ``nox -s quickstart``. It stops with an error if anything is not as it says.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING

from cwagent_iam import ensure, ensure_agent_role, plan_agent_role, preview, remove
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    import boto3

    from cwagent_iam import State

ROLE = "CloudWatchAgentServerRole"
SERVER_POLICY_ARN = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
LAMBDA_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    ],
}


def main() -> None:
    """Preview, make, make again, break, mend, remove."""
    print("An AWS account in memory: nothing here reaches AWS.")
    with sandbox() as session:
        desired = plan_agent_role(ROLE)
        make(desired)
        break_by_hand(session)
        repair(desired)
        delete(desired)
    print("\nAll of it was as announced. Next: docs/tutorial.md, the same step by step.")


def make(desired: State) -> None:
    """Look first, then make the role, twice."""
    changes = preview(desired)
    show("1. What would be done? Nothing is written yet.", changes)
    expect(preview(desired) == changes, "looking changes nothing")

    role = ensure_agent_role(ROLE)
    show("2. Do it. Your EC2 instances get the second of these:", *role.arns.values())
    expect(role.changes == changes.changes, "what was done is what was shown")

    again = ensure_agent_role(ROLE)
    show("3. Do it again.", again)
    expect(not again.changed, "calling again changes nothing")


def break_by_hand(session: boto3.Session) -> None:
    """Do what people do in the console, with plain boto3."""
    iam = session.client("iam")
    iam.detach_role_policy(RoleName=ROLE, PolicyArn=SERVER_POLICY_ARN)
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(LAMBDA_TRUST))
    iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    show(
        "4. Break it by hand.",
        "The policy is detached.",
        "Lambda may assume the role, and EC2 no longer.",
        "The instance profile is empty.",
    )


def repair(desired: State) -> None:
    """Preview the repairs, apply them, and preview again."""
    repairs = preview(desired)
    show("5. Preview the repair.", repairs)
    operations = [change.operation for change in repairs]
    faults = ["UpdateAssumeRolePolicy", "AttachRolePolicy", "AddRoleToInstanceProfile"]
    expect(operations == faults, "each fault is found, and nothing else")

    repaired = ensure(desired)
    show("6. Repair the drift, and preview again.", preview(desired))
    expect(
        repaired.changes == repairs.changes, "each fault is repaired, and nothing else is touched"
    )
    expect(not preview(desired), "nothing is left to repair")


def delete(desired: State) -> None:
    """Remove what was created, and check that it is gone."""
    removed = remove(desired)
    show("7. Delete everything.", *removed.changes)
    expect(not removed.state.entities, "nothing is left of it")
    expect(not remove(desired).changed, "removing again changes nothing")


def show(title: str, *rows: object) -> None:
    """Print *rows* under *title*, indented."""
    text = "\n".join(map(str, rows))
    print(f"\n{title}\n\n{textwrap.indent(text, '   ')}")


def expect(fact: bool, words: str) -> None:  # noqa: FBT001 - read it as a sentence: expect that ...
    """Stop, and fail, if what the text says is not so."""
    if not fact:
        sys.exit(f"Not as announced: {words}.")


if __name__ == "__main__":
    main()
