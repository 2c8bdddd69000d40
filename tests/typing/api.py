"""What users write, for type checkers; it is checked and never run.

Nobody who calls the library needs stubs of boto3; whoever has them, of either package, passes
typed clients and sessions.
"""

from __future__ import annotations

from typing import assert_type

import boto3
import tenacity

import cwagent_iam
from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    AgentRole,
    AgentUser,
    ApplyError,
    Change,
    ChangeSet,
    ConflictError,
    CwAgentIamError,
    EC2Answer,
    EC2Launch,
    Event,
    IntentError,
    Propagation,
    Result,
    State,
    apply,
    consumer_retrying,
    diff,
    ensure,
    ensure_agent_role,
    ensure_agent_user,
    observe,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
)
from cwagent_iam.changes import AttachRolePolicy, CreateRole
from cwagent_iam.events import Applied, Waiting
from cwagent_iam.testing import LaggyIAM, laggy_iam, sandbox

session = boto3.Session()
iam = session.client("iam")

# The stages
desired = assert_type(plan_agent_role(), State)
assert_type(plan_agent_user("U", policies=[ADMIN_POLICY]), State)
observed = assert_type(observe(desired, session=session), State)
changes = assert_type(diff(desired, observed), ChangeSet)
assert_type(preview(desired, iam=iam), ChangeSet)
assert_type(apply(changes, session=session), Result)
assert_type(ensure(desired, iam=iam, propagation=Propagation(timeout=120)), Result)
assert_type(remove(desired), Result)

# All of it
role = assert_type(
    ensure_agent_role(
        "CloudWatchAgentServerRole",
        policies=(SERVER_POLICY, "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
        instance_profile="Profile",
        path="/agents/",
        description="for the agent",
        permissions_boundary="arn:aws:iam::123456789012:policy/boundary",
        max_session_duration=7200,
        tags={"Team": "observability"},
        session=session,
    ),
    AgentRole,
)
assert_type(role.changed, bool)
assert_type(role.changes, tuple[Change, ...])
assert_type(role.role_arn, str)
assert_type(role.instance_profile_arn, str | None)
user = assert_type(ensure_agent_user(iam=iam), AgentUser)
assert_type(user.user_name, str)


# Ready for EC2, and told about on the way
def tell(event: Event) -> None:
    """Follow what happens."""
    match event:
        case Waiting(reason=reason, pause=pause):
            assert_type(reason, str)
            assert_type(pause, float)
        case Applied(change=applied):
            assert_type(applied, Change)
        case _:
            assert_type(event.seconds, float)


launch = EC2Launch(security_group_ids=["sg-1"], metadata_options={"HttpTokens": "required"})
ready = ensure_agent_role(wait_for=launch, on_event=tell)
ensure(desired, wait_for="ec2", session=session)
assert_type(ready.ec2, tuple[EC2Answer, ...])
assert_type(ready.ec2[0].visibility == "UNKNOWN", bool)
assert_type(consumer_retrying(Propagation(timeout=120)), tenacity.Retrying)

# A change is one of a closed list
for change in changes:
    assert_type(change.permissions, frozenset[str])
    match change:
        case CreateRole(name=name, path=path):
            assert_type(name, str)
            assert_type(path, str | None)
        case AttachRolePolicy(policy=policy):
            assert_type(policy.arn("aws"), str)
        case _:
            assert_type(change.target, str)

# Errors carry facts
try:
    ensure_agent_role()
except IntentError as error:
    assert_type([problem.rule for problem in error.problems], list[str])
except ConflictError as error:
    assert_type([conflict.target for conflict in error.conflicts], list[str])
except ApplyError as error:
    assert_type(error.code, str | None)
    assert_type([change.operation for change in error.remaining], list[str])
except CwAgentIamError:
    raise

# For tests
with sandbox(region="eu-west-1") as sandboxed:
    assert_type(sandboxed, boto3.Session)
    cwagent_iam.ensure_agent_role(session=sandboxed)
with laggy_iam("typical", seed=1) as lagging:
    assert_type(lagging, LaggyIAM)
    cwagent_iam.ensure_agent_role(session=lagging.session)
