"""Does what a ChangeSet says: one request of IAM for each change, and nothing else.

There is no decision here. Which error may be waited for or passed over is a matter of the table
in `cwagent_iam.propagation`; what to do was decided by the differ.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, assert_never

import attrs
import tenacity

from cwagent_iam.aws import AWS_ERRORS, client_for, code_of, reason_of
from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AttachRolePolicy,
    AttachUserPolicy,
    Change,
    ChangeSet,
    CreateInstanceProfile,
    CreateRole,
    CreateUser,
    DeleteInstanceProfile,
    DeleteRole,
    DeleteUser,
    DetachRolePolicy,
    DetachUserPolicy,
    InstanceProfileChange,
    PutRolePermissionsBoundary,
    PutUserPermissionsBoundary,
    RemoveRoleFromInstanceProfile,
    Result,
    RoleChange,
    TagInstanceProfile,
    TagRole,
    TagUser,
    UpdateAssumeRolePolicy,
    UpdateRole,
    UserChange,
)
from cwagent_iam.errors import ApplyError
from cwagent_iam.propagation import FINAL, Run, rule_for
from cwagent_iam.trust import localise

if TYPE_CHECKING:
    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.policies import ManagedPolicy
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.state import State, Tags

_log = logging.getLogger("cwagent_iam")


def apply(
    changes: ChangeSet,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
) -> Result:
    """Make *changes*, one request each, in order.

    What is new may be unknown to the next request for some seconds; such a miss is waited out.

    Args:
        changes: What `preview` or `diff` returned.
        session: The session whose credentials are used; boto3's default if `None`.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait for what is new; 60 seconds if `None`.

    Returns:
        What was applied, and the state that follows, with the ARNs.

    Raises:
        ApplyError: When a change fails. It says what was applied before and what was not.
    """
    run = Run.start(propagation)
    state = apply_in(run, changes, client_for(session, iam))
    return Result(changes=tuple(run.applied), state=state)


def apply_in(run: Run, changes: ChangeSet, iam: IAMClient) -> State:
    """Make *changes* as a part of *run*; return the state that follows.

    Raises:
        ApplyError: As for `apply`.
    """
    state = changes.observed
    run.seen.update(entity.target for entity in state.entities)
    for position, change in enumerate(changes):
        arn = _attempt(run, change, iam, changes.changes[position:])
        run.applied.append(change)
        state = change.after(state)
        if arn:
            run.known.add(change.target)
            created = state.find(change.kind, change.name)
            state = state.with_entity(attrs.evolve(created, arn=arn)) if created else state
        _log.info("applied: %s", change)
    return state


def _attempt(run: Run, change: Change, iam: IAMClient, remaining: tuple[Change, ...]) -> str | None:
    """Make one change, waiting for what is new; return the ARN of what it created."""
    rule = FINAL

    def must_wait(error: BaseException) -> bool:
        nonlocal rule
        rule = rule_for(error, change, run)
        return rule.outcome == "wait"

    began = run.seconds
    retrying = run.retrying(tenacity.retry_if_exception(must_wait), lambda: rule.reason)
    try:
        return retrying(_send, change, iam)
    except AWS_ERRORS as error:
        if rule.outcome == "done":
            return None
        if code_of(error) == "EntityAlreadyExists":
            run.known.add(change.target)
        raise ApplyError(
            operation=change.operation,
            target=change.target,
            code=code_of(error),
            reason=reason_of(error),
            attempts=retrying.statistics["attempt_number"],
            seconds=run.seconds - began,
            applied=tuple(run.applied),
            remaining=remaining,
            overtaken=rule.outcome == "look again",
        ) from error


def _send(change: Change, iam: IAMClient) -> str | None:
    if isinstance(change, RoleChange):
        return _send_for_role(change, iam)
    if isinstance(change, UserChange):
        return _send_for_user(change, iam)
    return _send_for_instance_profile(change, iam)


def _send_for_role(change: RoleChange, iam: IAMClient) -> str | None:
    partition: str = iam.meta.partition
    match change:
        case CreateRole(name=name):
            reply = iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=localise(change.trust, partition).text,
                **_named(
                    Path=change.path,
                    Description=change.description,
                    MaxSessionDuration=change.max_session_duration,
                    PermissionsBoundary=_arn(change.permissions_boundary, partition),
                    Tags=_tags(change.tags),
                ),
            )
            return str(reply["Role"]["Arn"])
        case UpdateRole(name=name, description=text, max_session_duration=seconds):
            iam.update_role(RoleName=name, Description=text, MaxSessionDuration=seconds)
        case UpdateAssumeRolePolicy(name=name, trust=trust):
            document = localise(trust, partition).text
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
        case PutRolePermissionsBoundary(name=name, policy=policy):
            arn = policy.arn(partition)
            iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=arn)
        case TagRole(name=name, tags=tags):
            iam.tag_role(RoleName=name, Tags=_tags(tags))
        case AttachRolePolicy(name=name, policy=policy):
            iam.attach_role_policy(RoleName=name, PolicyArn=policy.arn(partition))
        case DetachRolePolicy(name=name, policy=policy):
            iam.detach_role_policy(RoleName=name, PolicyArn=policy.arn(partition))
        case DeleteRole(name=name):
            iam.delete_role(RoleName=name)
        case _:
            assert_never(change)
    return None


def _send_for_user(change: UserChange, iam: IAMClient) -> str | None:
    partition: str = iam.meta.partition
    match change:
        case CreateUser(name=name):
            reply = iam.create_user(
                UserName=name,
                **_named(
                    Path=change.path,
                    PermissionsBoundary=_arn(change.permissions_boundary, partition),
                    Tags=_tags(change.tags),
                ),
            )
            return str(reply["User"]["Arn"])
        case PutUserPermissionsBoundary(name=name, policy=policy):
            arn = policy.arn(partition)
            iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=arn)
        case TagUser(name=name, tags=tags):
            iam.tag_user(UserName=name, Tags=_tags(tags))
        case AttachUserPolicy(name=name, policy=policy):
            iam.attach_user_policy(UserName=name, PolicyArn=policy.arn(partition))
        case DetachUserPolicy(name=name, policy=policy):
            iam.detach_user_policy(UserName=name, PolicyArn=policy.arn(partition))
        case DeleteUser(name=name):
            iam.delete_user(UserName=name)
        case _:
            assert_never(change)
    return None


def _send_for_instance_profile(change: InstanceProfileChange, iam: IAMClient) -> str | None:
    match change:
        case CreateInstanceProfile(name=name):
            reply = iam.create_instance_profile(
                InstanceProfileName=name, **_named(Path=change.path, Tags=_tags(change.tags))
            )
            return str(reply["InstanceProfile"]["Arn"])
        case TagInstanceProfile(name=name, tags=tags):
            iam.tag_instance_profile(InstanceProfileName=name, Tags=_tags(tags))
        case AddRoleToInstanceProfile(name=name, role_name=role):
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
        case RemoveRoleFromInstanceProfile(name=name, role_name=role):
            iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        case DeleteInstanceProfile(name=name):
            iam.delete_instance_profile(InstanceProfileName=name)
        case _:
            assert_never(change)
    return None


def _named(**members: Any) -> dict[str, Any]:
    """Leave out what intent does not name, and what is empty, which is IAM's default."""
    return {member: value for member, value in members.items() if value}


def _arn(policy: ManagedPolicy | None, partition: str) -> str | None:
    return policy.arn(partition) if policy else None


def _tags(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags]
