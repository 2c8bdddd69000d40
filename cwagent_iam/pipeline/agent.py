"""The agent's identities, each in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwagent_iam.arguments import plain
from cwagent_iam.aws import IAMClients
from cwagent_iam.changes import AgentRole, AgentUser
from cwagent_iam.credentials.delivering import ensure_key
from cwagent_iam.credentials.requests import KeyRequests
from cwagent_iam.credentials.store import store_problems
from cwagent_iam.differ import Choices
from cwagent_iam.errors import CwAgentIamError, IntentError
from cwagent_iam.limits import DEFAULT_QUOTAS
from cwagent_iam.pipeline.stages import ensure, ensure_in
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import SERVER_POLICY
from cwagent_iam.propagation import Run
from cwagent_iam.state import InstanceProfile
from cwagent_iam.trust import EC2

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.credentials import KeyStore
    from cwagent_iam.differ import Attachments, Existing
    from cwagent_iam.ec2 import EC2Client
    from cwagent_iam.events import OnEvent
    from cwagent_iam.keys import AccessKey
    from cwagent_iam.limits import Quotas
    from cwagent_iam.planners import PolicyLike
    from cwagent_iam.policies import InlinePolicy
    from cwagent_iam.propagation import Propagation
    from cwagent_iam.trust import Trust
    from cwagent_iam.visibility import EC2Answer, WaitFor

_EC2 = EC2()


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
    """Give the agent its identity: a role with its policies, on EC2 in an instance profile.

    This is the procedure of the CloudWatch user guide, "Create IAM roles and users for use with
    the CloudWatch agent", in one call that can be repeated.

    Args:
        role_name: As for `plan_agent_role`, like all arguments up to *quotas*.
        trust: Who may assume the role: where the agent runs.
        policies: The managed policies to attach.
        inline_policies: Documents that lie in the role.
        parameters: The names of the parameters that hold the agent's configuration.
        kms_key_arn: The key that encrypts them.
        instance_profile: `True`, its name, `False` for none, or `None` for what *trust* needs.
        path: The path of role and profile.
        description: The role's description.
        permissions_boundary: The policy that limits what the others can allow.
        max_session_duration: The longest session, in seconds.
        tags: Tags for role and profile.
        quotas: What the account allows.
        existing: What to do about a role or profile that exists and is not managed; as for
            `ensure`, like all that follow.
        attachments: What to do about policies that are attached beyond intent.
        session: Whose credentials and partition are used.
        iam: A client to use as it is.
        propagation: How long to wait.
        on_event: Called with each of `cwagent_iam.events`.
        wait_for: ``"iam"``, ``"ec2"``, or the `EC2Launch` that EC2 is to be asked about.
        ec2: A client for EC2 to use as it is.

    Returns:
        The names and ARNs, and what was changed.

    Raises:
        IntentError: When an argument breaks a rule of IAM, or there is no profile that *wait_for*
            could wait for; nothing was sent.
        ConflictError: When something that exists stands in the way.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but AWS does not show them in time.
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
        changes=result.changes,
        state=result.state,
        ec2=result.ec2,
        extras=result.extras,
        findings=result.findings,
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
) -> AgentUser:
    """Give the agent on a server outside EC2 its identity: a user with its policies, and a key.

    The secret of an access key is shown once, when it is made. It goes to the store *deliver*, and
    nowhere else. The store says what is to be done: if it holds a key of this user that is active,
    there is nothing to do; if it holds none, or one that is gone, one is made, delivered, and
    tried out. No key is ever deactivated or deleted, except one that was just made and could not
    be delivered. One user is for one store.

    Args:
        user_name: As for `plan_agent_user`, like all arguments up to *quotas*.
        policies: The managed policies to attach.
        inline_policies: Documents that lie in the user.
        parameters: The names of the parameters that hold the agent's configuration.
        kms_key_arn: The key that encrypts them.
        path: The user's path.
        permissions_boundary: The policy that limits what the others can allow.
        tags: The user's tags.
        quotas: What the account allows.
        existing: What to do about a user that exists and is not managed; as for `ensure`, like
            all that follow.
        attachments: What to do about policies that are attached beyond intent.
        session: Whose credentials and partition are used.
        iam: A client to use as it is.
        propagation: How long to wait.
        on_event: Called with each of `cwagent_iam.events`.
        deliver: Where the access key goes, as `cwagent_iam.SharedCredentialsFile` or any other
            `cwagent_iam.KeyStore`; `None` makes no key. STS is asked through *session*, whatever
            *iam* is: the new key is tried out there, and it tells whose key an unknown one is.

    Returns:
        The name and ARN, what was changed, and which key is in the store.

    Raises:
        IntentError: When an argument breaks a rule of IAM; nothing was sent.
        ConflictError: When something that exists stands in the way; `KeyConflictError` if it is
            access keys, or the one in the store.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When a change fails.
        PropagationTimeoutError: When all changes were made, but IAM does not show them in time, or
            AWS does not let in the new key; or when IAM's lists of access keys do not agree.
        StoreError: When the store cannot be read or written; no key was made, or, as it says, the
            store holds it all the same.
        DeliveryError: When a key was made, or may have been, and is not in the store.
    """
    choices = Choices(existing, attachments)
    problems = () if deliver is None else tuple(store_problems(deliver))
    if problems:
        raise IntentError(problems=problems)
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
    clients, run = IAMClients.of(session, iam), Run.start(propagation, on_event)
    requests = KeyRequests(run, clients, plain(user_name))
    keys: list[AccessKey] = []

    def afterwards() -> tuple[EC2Answer, ...]:
        if deliver is not None:
            keys.append(ensure_key(requests, deliver))
        return ()

    try:
        result = ensure_in(run, desired, clients, choices, afterwards)
    except CwAgentIamError as error:
        error.applied = (*error.applied, *requests.applied)
        raise
    return AgentUser(
        changes=result.changes,
        state=result.state,
        extras=result.extras,
        findings=result.findings,
        user_name=plain(user_name),
        user_arn=result.arns["user", plain(user_name)],
        access_key=keys[0] if keys else None,
    )
