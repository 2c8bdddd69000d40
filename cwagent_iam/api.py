"""The public functions: arguments in, `Executor.run`, results out.

`ensure` observes, diffs, applies, and observes again until the diff is empty. The second read costs
a round trip. In return, changes can be previewed, every decision is tested without AWS, and a call
can be repeated: it acts on what it observes, never on what an earlier call believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cwagent_iam.access_keys.delivery import ensure_user_with_key
from cwagent_iam.arguments import is_collection, plain, refuse, reject
from cwagent_iam.changes import (
    AgentRole,
    AgentUser,
    ChangeSet,
    CreateAccessKey,
    DeleteAccessKey,
    Result,
    UpdateAccessKey,
)
from cwagent_iam.changes.base import BaseChange
from cwagent_iam.differ import Choices, diff, unmakeable_problems
from cwagent_iam.ec2 import confirmed_by_ec2, launch_for
from cwagent_iam.executor import Executor
from cwagent_iam.key_stores import store_problems
from cwagent_iam.limits import DEFAULT_QUOTAS
from cwagent_iam.observing import observe as _observe, observe_quotas as _observe_quotas
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import SERVER_POLICY
from cwagent_iam.reconcile.failures import add_facts
from cwagent_iam.reconcile.loop import Goal, preview as _preview, reconcile
from cwagent_iam.reconcile.premises import entities_to_read, remaining_changes
from cwagent_iam.remover import check_choice, removal
from cwagent_iam.state import InstanceProfile, State
from cwagent_iam.trust import EC2

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cwagent_iam.aws import AWSSession, IAMClient, STSClient
    from cwagent_iam.differ import Attachments, Existing
    from cwagent_iam.ec2 import EC2Client
    from cwagent_iam.events import OnEvent
    from cwagent_iam.key_stores import KeyStore
    from cwagent_iam.limits import Quotas
    from cwagent_iam.planners import PolicyLike
    from cwagent_iam.policies import InlinePolicy
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.remover import AccessKeys, ExistingToRemove
    from cwagent_iam.requests import Steps
    from cwagent_iam.state import Desired
    from cwagent_iam.trust import Trust
    from cwagent_iam.visibility import EC2Launch, WaitFor

_EC2 = EC2()


def observe(
    desired: State,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
) -> State:
    """Read the entities that *desired* names from IAM.

    This takes two requests for each role and user, one for each of its inline policies, and one for
    each profile.

    Args:
        desired: A desired state, as a planner returns it. Only kinds and names are used, and the
            names of inline policies.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.

    Returns:
        The observed state; an entity that does not exist is not in it.

    Raises:
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
    """
    executor = Executor.of(session, iam)
    reads = _observe(State.joined(desired).entities, partition=executor.partition)
    (seen,) = executor.run(reads)
    return seen.state


def observe_quotas(*, session: AWSSession | None = None, iam: IAMClient | None = None) -> Quotas:
    """Read the IAM quotas of the account, for the argument ``quotas`` of the planners.

    Args:
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.

    Returns:
        The quotas, from GetAccountSummary. A quota that it lacks keeps its default.

    Raises:
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
    """
    return Executor.of(session, iam).run(_observe_quotas())


def preview(
    desired: Desired,
    *,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
) -> ChangeSet:
    """Preview the changes that `ensure` would apply. This is a dry run: it never writes.

    Args:
        desired: One desired state, as a planner returns it, or several.
        existing: How to treat an unmanaged role, user or profile. ``"refuse"`` (default) and
            ``"verify"``: use it if it is as desired, or raise. ``"adopt"``: tag and repair it.
            ``"attach"``: add missing policies and membership. ``"verify"`` never writes.
        attachments: ``"additive"`` (default) reports extra policies; ``"exclusive"`` detaches them.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.

    Returns:
        The changes, in order, with extras and findings; falsy if there are none.

    Raises:
        IntentError: If an argument is invalid, or two desired states contradict each other.
        ConflictError: If an existing entity conflicts with *desired*.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
    """
    joined, choices = _joined(desired), Choices(existing, attachments)
    executor = Executor.of(session, iam)
    return executor.run(_preview(_goal_of(joined, choices, executor)))


def ensure(
    desired: Desired,
    *,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    wait_for: WaitFor = "iam",
    ec2: EC2Client | None = None,
) -> Result:
    """Converge on *desired*: create, repair and confirm. A second call changes nothing.

    Args:
        desired: One desired state, as a planner returns it, or several.
        existing: How to treat an unmanaged role, user or profile. ``"refuse"`` (default) and
            ``"verify"``: use it if it is as desired, or raise. ``"adopt"``: tag and repair it.
            ``"attach"``: add missing policies and membership. ``"verify"`` never writes.
        attachments: ``"additive"`` (default) reports extra policies; ``"exclusive"`` detaches them.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.
        wait_for: ``"iam"`` (default) waits until IAM's reads show everything. ``"ec2"``, or an
            `EC2Launch` to dry-run, also waits until EC2 knows the instance profile.
        ec2: A client for EC2 to use unaltered. Default: a client built from *session*.

    Returns:
        The changes that were applied, and the confirmed state, with extras and findings.

    Raises:
        IntentError: If an argument is invalid, two desired states contradict each other, or
            *wait_for* needs an instance profile and there is none.
        ConflictError: If an existing entity conflicts with *desired*.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        PropagationTimeoutError: If IAM or EC2 does not show all changes in time. If EC2's answer
            does not say whether it knows the profile, nothing is raised: see ``Result.ec2``.
    """
    choices, joined = Choices(existing, attachments), _joined(desired)
    launch = launch_for(wait_for, joined)
    executor = Executor.of(session, iam, propagation, on_event, ec2=ec2)
    return executor.finish(executor.run(_ensure_steps(joined, choices, launch, executor)))


def apply(
    changes: ChangeSet,
    *,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
) -> Result:
    """Apply *changes*, one request each, in order, and confirm them.

    The call reads before it writes. A change that IAM already shows counts as done. So a
    ChangeSet that was applied in part can be applied again.

    Args:
        changes: A ChangeSet, as `preview` or `diff` returns it.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.

    Returns:
        The changes that were applied, and the confirmed state, with the ARNs.

    Raises:
        IntentError: If *changes* is not a ChangeSet, or another argument is invalid.
        ConflictError: If *changes* is stale: the account, ownership, or a field that the changes
            depend on is not as it was when they were computed.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        PropagationTimeoutError: If all changes were applied, but IAM does not show them in time.
    """
    given: object = changes
    held: object = given.changes if isinstance(given, ChangeSet) else None
    if not is_collection(held) or not all(isinstance(each, BaseChange) for each in held):
        reject("changes", changes, "must be a ChangeSet, as preview and diff return it")
    if any(isinstance(each, CreateAccessKey) for each in held):
        reject("changes", changes, "must create no access key: there is no store for its secret")
    executor = Executor.of(session, iam, propagation, on_event)
    goal = Goal(
        targets=entities_to_read(changes),
        decide=lambda now: remaining_changes(changes, now),
        partition=executor.partition,
        timeout=executor.propagation.timeout,
        removes=any(change.deletes or isinstance(change, DeleteAccessKey) for change in changes),
        access_keys=any(isinstance(change, UpdateAccessKey) for change in changes),
    )
    return executor.finish(executor.run(reconcile(goal)))


def remove(
    desired: Desired,
    *,
    existing: ExistingToRemove = "refuse",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    access_keys: AccessKeys = "refuse",
) -> Result:
    """Delete the roles, users and profiles that *desired* names, with their policies.

    Only managed entities are deleted, whatever their path, and only without other dependents;
    otherwise nothing is deleted. An EC2 instance that still runs with the profile loses its
    credentials within hours.

    Args:
        desired: One desired state, as a planner returns it, or several.
        existing: How to treat an unmanaged entity: ``"refuse"`` (default), or ``"attach"``,
            which keeps it, detaches the policies that *desired* names, deletes its inline policies
            with the same document, and removes the membership.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.
        access_keys: ``"delete"`` deletes all access keys of managed users too, also keys in use;
            ``"refuse"`` (default) deletes nothing if there are any.

    Returns:
        The changes that were applied; none if nothing existed.

    Raises:
        IntentError: If an argument is invalid, or two desired states contradict each other.
        ConflictError: If an entity is unmanaged or has other dependents.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        PropagationTimeoutError: If all changes were applied, but IAM does not show them in time.
    """
    check_choice(access_keys, existing)
    joined = State.joined(desired)
    executor = Executor.of(session, iam, propagation, on_event)
    goal = Goal(
        targets=joined.entities,
        decide=lambda seen: removal(joined, seen, access_keys=access_keys, existing=existing),
        partition=executor.partition,
        timeout=executor.propagation.timeout,
        removes=True,
    )
    return executor.finish(executor.run(reconcile(goal)))


def ensure_agent_role(
    role_name: str = "CloudWatchAgentServerRole",
    *,
    trust: Trust = _EC2,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    inline_policies: Collection[InlinePolicy] = (),
    parameters: Collection[str] = (),
    kms_key_arn: str | None = None,
    instance_profile: bool | str | None = None,
    path: str | None = None,
    description: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    max_session_duration: int | None = None,
    tags: Mapping[str, str] | None = None,
    quotas: Quotas = DEFAULT_QUOTAS,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    wait_for: WaitFor = "iam",
    ec2: EC2Client | None = None,
) -> AgentRole:
    """Create or repair the agent's role with its policies and, for EC2, its instance profile.

    This is the procedure of the CloudWatch user guide, "Create IAM roles and users for use with
    the CloudWatch agent", in one idempotent call. A field that is `None` gets its default when the
    entity is created, and is neither compared nor changed afterwards.

    Args:
        role_name: 1 to 64 characters; ASCII letters, digits and ``_+=,.@-``.
        trust: The trust policy, by where the agent runs. Default: `EC2`.
        policies: At most 10 managed policies: constants, `CustomerManagedPolicy` or ARNs.
        inline_policies: Inline policies of the role, together at most 10,240 characters.
        parameters: Names of the Parameter Store parameters with the agent's configuration. The role
            gets an inline policy to read those that do not begin with ``AmazonCloudWatch-``.
        kms_key_arn: The ARN of the customer managed key that encrypts *parameters*, if any.
        instance_profile: `True`: a profile named like the role; a string: its name; `False`: none.
            Default: `True` if EC2 may assume the role.
        path: The path of role and profile, 1 to 512 characters, from ``/`` to ``/``.
        description: At most 1,000 characters of Latin-1; empty clears the description.
        permissions_boundary: The permissions boundary, as one of *policies*; empty clears it.
        max_session_duration: The longest session, 3,600 to 43,200 seconds.
        tags: At most 49 tags for role and profile; keys 1 to 128, values 0 to 256 characters.
        quotas: The account's quotas, as `observe_quotas` reads them. Default: AWS's defaults.
        existing: How to treat an unmanaged role or profile. ``"refuse"`` (default) and
            ``"verify"``: use it if it is as desired, or raise. ``"adopt"``: tag and repair it.
            ``"attach"``: add missing policies and membership. ``"verify"`` never writes.
        attachments: ``"additive"`` (default) reports extra policies; ``"exclusive"`` detaches them.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.
        wait_for: ``"iam"`` (default) waits until IAM's reads show everything. ``"ec2"``, or an
            `EC2Launch` to dry-run, also waits until EC2 knows the instance profile.
        ec2: A client for EC2 to use unaltered. Default: a client built from *session*.

    Returns:
        The names and ARNs, and the changes that were applied.

    Raises:
        IntentError: If an argument is invalid, or *wait_for* needs a profile and there is none.
        ConflictError: If an existing role or profile conflicts with the arguments.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        PropagationTimeoutError: If IAM or EC2 does not show all changes in time.
    """
    desired = plan_agent_role(
        role_name,
        trust=trust,
        policies=policies,
        inline_policies=inline_policies,
        parameters=parameters,
        kms_key_arn=kms_key_arn,
        instance_profile=instance_profile,
        path=path,
        description=description,
        permissions_boundary=permissions_boundary,
        max_session_duration=max_session_duration,
        tags=tags,
        quotas=quotas,
    )
    result = ensure(
        desired,
        existing=existing,
        attachments=attachments,
        session=session,
        iam=iam,
        propagation=propagation,
        on_event=on_event,
        wait_for=wait_for,
        ec2=ec2,
    )
    profiles = (each for each in result.state.entities if isinstance(each, InstanceProfile))
    profile = next(profiles, None)
    return AgentRole(
        **attrs.asdict(result, recurse=False),
        role_name=plain(role_name),
        role_arn=result.arns["role", plain(role_name)],
        instance_profile_name=profile.name if profile else None,
        instance_profile_arn=profile.arn if profile else None,
    )


def ensure_agent_user(
    user_name: str = "CloudWatchAgentServerUser",
    *,
    policies: Collection[PolicyLike] = (SERVER_POLICY,),
    inline_policies: Collection[InlinePolicy] = (),
    parameters: Collection[str] = (),
    kms_key_arn: str | None = None,
    path: str | None = None,
    permissions_boundary: PolicyLike | None = None,
    tags: Mapping[str, str] | None = None,
    quotas: Quotas = DEFAULT_QUOTAS,
    existing: Existing = "refuse",
    attachments: Attachments = "additive",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    deliver: KeyStore | None = None,
    sts: STSClient | None = None,
) -> AgentUser:
    """Create or repair the agent's user for servers outside EC2, with policies and access key.

    AWS shows the secret of an access key once, at creation. It goes to the store *deliver* only. If
    the store holds an active key of this user, that key is verified with STS, and no key is
    created. Otherwise the call creates a key, records it in a tag of the user, delivers it, and
    verifies it. It never deactivates or deletes a key, except a new key that could not be
    delivered. Use one user for one store. A field that is `None` gets its default when the user is
    created, and is neither compared nor changed afterwards.

    Args:
        user_name: 1 to 64 characters; ASCII letters, digits and ``_+=,.@-``.
        policies: At most 10 managed policies: constants, `CustomerManagedPolicy` or ARNs.
        inline_policies: Inline policies of the user, together at most 2,048 characters.
        parameters: Names of the Parameter Store parameters with the agent's configuration. The user
            gets an inline policy to read those that do not begin with ``AmazonCloudWatch-``.
        kms_key_arn: The ARN of the customer managed key that encrypts *parameters*, if any.
        path: The path of the user, 1 to 512 characters, from ``/`` to ``/``.
        permissions_boundary: The permissions boundary, as one of *policies*; empty clears it.
        tags: At most 49 tags, with *deliver* 47; keys 1 to 128, values 0 to 256 characters.
        quotas: The account's quotas, as `observe_quotas` reads them. Default: AWS's defaults.
        existing: How to treat an unmanaged user. ``"refuse"`` (default) and
            ``"verify"``: use it if it is as desired, or raise. ``"adopt"``: tag and repair it.
            ``"attach"``: add missing policies. A key is created only for a managed user, or with
            ``"adopt"`` or ``"attach"``; with ``"verify"``, only for a user that did not exist.
        attachments: ``"additive"`` (default) reports extra policies; ``"exclusive"`` detaches them.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.
        deliver: The store for the access key, a `cwagent_iam.KeyStore`. Default: no key is created.
        sts: A client for STS to use unaltered; the key is verified with its endpoint and settings.
            Default: it inherits Region, proxies and endpoint from *session* and *iam*.

    Returns:
        The name and ARN, the changes that were applied, and the key that the store holds.

    Raises:
        IntentError: If an argument is invalid.
        ConflictError: If the existing user, or an access key, conflicts with the arguments; or if
            the key in the store does not work.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        PropagationTimeoutError: If all changes were applied, but IAM does not show them, or AWS
            does not accept the new key, in time; or if IAM's lists of access keys disagree.
        StoreError: If the store cannot be read or written. Either no key was created, or the
            error says that the store holds the key nevertheless.
        DeliveryError: If a key was created, or may have been, and its delivery failed.
    """
    choices = Choices(existing, attachments)
    refuse(() if deliver is None else store_problems(deliver, tags))
    desired = plan_agent_user(
        user_name,
        policies=policies,
        inline_policies=inline_policies,
        parameters=parameters,
        kms_key_arn=kms_key_arn,
        path=path,
        permissions_boundary=permissions_boundary,
        tags=tags,
        quotas=quotas,
    )
    executor = Executor.of(session, iam, propagation, on_event, sts=sts)
    goal = _goal_of(desired, choices, executor)
    key = None
    if deliver is None:
        result = executor.run(reconcile(goal))
    else:
        now = executor.propagation.now()
        steps = ensure_user_with_key(goal, plain(user_name), deliver, existing, now)
        result, key = executor.run(steps)
    executor.finish(result)
    return AgentUser(
        **attrs.asdict(result, recurse=False),
        user_name=plain(user_name),
        user_arn=result.arns["user", plain(user_name)],
        access_key=key,
    )


def _joined(desired: Desired) -> State:
    """Join desired states; raise `IntentError` if they contradict each other or IAM's limits."""
    joined = State.joined(desired)
    refuse(unmakeable_problems(joined))
    return joined


def _goal_of(desired: State, choices: Choices, executor: Executor) -> Goal:
    return Goal(
        targets=desired.entities,
        decide=lambda observed: diff(
            desired, observed, existing=choices.existing, attachments=choices.attachments
        ),
        partition=executor.partition,
        timeout=executor.propagation.timeout,
    )


def _ensure_steps(
    desired: State, choices: Choices, launch: EC2Launch | None, executor: Executor
) -> Steps[Result]:
    """Return the steps that converge on *desired*, and then dry-run *launch* in EC2, if any."""
    goal = _goal_of(desired, choices, executor)
    region = executor.ec2_region if launch else None
    result = yield from reconcile(goal)
    if launch is None:
        return result
    profiles = [each.name for each in desired.entities if isinstance(each, InstanceProfile)]
    try:
        answers = yield from confirmed_by_ec2(profiles, launch, region=region, timeout=goal.timeout)
    except BaseException as stop:
        add_facts(stop, result.changes)
        raise
    return attrs.evolve(result, ec2=answers)
