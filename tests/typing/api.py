"""What users write, for type checkers; it is checked and never run.

Nobody who calls the library needs stubs of boto3; whoever has them, of either package, passes
typed clients and sessions.
"""

from __future__ import annotations

from typing import assert_type

import boto3

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
    IntentError,
    Propagation,
    Result,
    State,
    apply,
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
from cwagent_iam.testing import sandbox

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
