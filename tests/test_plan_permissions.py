"""What plans allow: the planners of admins and of ECS, parameters, inline policies, quotas."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, IntentError, Role, State, User
from cwagent_iam.limits import Quotas
from cwagent_iam.planners import (
    plan_admin_role,
    plan_admin_user,
    plan_agent_role,
    plan_agent_user,
    plan_ecs_execution_role,
)
from cwagent_iam.policies import (
    ECS_TASK_EXECUTION_POLICY,
    CustomerManagedPolicy,
    InlinePolicy,
    ManagedPolicy,
)
from cwagent_iam.state import MANAGED_TAG, InstanceProfile
from cwagent_iam.trust import EC2_TRUST, ECSTask
from tests.bad_intents import KEY_ARN, inline, trust_of

if TYPE_CHECKING:
    from collections.abc import Callable

ADMIN_ROLE = "CloudWatchAgentAdminRole"
OWN = CustomerManagedPolicy("own")
TAGS = (MANAGED_TAG,)
READ = ["ssm:GetParameter"]
READ_AND_WRITE = ["ssm:GetParameter", "ssm:PutParameter"]
READ_ALL = ["ssm:GetParameters"]
READ_KEY = ["kms:Decrypt"]
WRITE_KEY = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]

AGENTS: list[Callable[..., State]] = [plan_agent_role, plan_agent_user]
ADMINS: list[Callable[..., State]] = [plan_admin_role, plan_admin_user]


def test_the_admin_role_is_that_of_the_aws_guide() -> None:
    """EC2 may assume it, the admin policy alone is attached, a profile of its name holds it."""
    role = Role(name=ADMIN_ROLE, trust=EC2_TRUST, policies=frozenset({ADMIN_POLICY}), tags=TAGS)
    profile = InstanceProfile(name=ADMIN_ROLE, role_name=ADMIN_ROLE, tags=TAGS)
    assert plan_admin_role() == State((role, profile))


def test_the_admin_user_is_that_of_the_aws_guide() -> None:
    """The admin policy alone is attached."""
    name = "CloudWatchAgentAdminUser"
    user = User(name=name, policies=frozenset({ADMIN_POLICY}), tags=TAGS)
    assert plan_admin_user() == State((user,))


def test_the_execution_role_is_for_ecs_alone() -> None:
    """It has the policy that pulls images, no profile, and a guard where one is asked for."""
    role = Role(
        name="CWAgentECSExecutionRole",
        trust=ECSTask().document(),
        policies=frozenset({ECS_TASK_EXECUTION_POLICY}),
        tags=TAGS,
    )
    assert plan_ecs_execution_role() == State((role,))
    guarded = ECSTask("123456789012", region="eu-west-1")
    (planned,) = plan_ecs_execution_role(trust=guarded).entities
    assert isinstance(planned, Role)
    assert planned.trust == guarded.document()


def test_the_planners_of_admins_are_those_of_agents_with_other_defaults() -> None:
    """The same keywords, and the same plans from them; only EC2 may assume the admin role."""
    options: dict[str, Any] = {
        "inline_policies": [inline(200)],
        "parameters": ["agent"],
        "kms_key_arn": KEY_ARN,
        "path": "/team/",
        "permissions_boundary": OWN,
        "tags": {"Team": "x"},
        "quotas": Quotas(policies_per_role=1, policies_per_user=1),
    }
    for_role: dict[str, Any] = {
        "description": "d",
        "max_session_duration": 3600,
        "instance_profile": "Other",
    }
    one: dict[str, Any] = {"policies": (ADMIN_POLICY,)}
    by_role = plan_agent_role(ADMIN_ROLE, **one, **options, **for_role)
    assert plan_admin_role(**options, **for_role) == by_role
    by_user = plan_agent_user("CloudWatchAgentAdminUser", **one, **options)
    assert plan_admin_user(**options) == by_user
    for admin, agent, missing in zip(ADMINS, AGENTS, (["trust"], []), strict=True):
        keywords = [name for name in inspect.signature(agent).parameters if name not in missing]
        assert list(inspect.signature(admin).parameters) == keywords


def test_the_execution_role_takes_what_other_roles_take() -> None:
    """All but a profile, which no task has."""
    taken = set(inspect.signature(plan_ecs_execution_role).parameters)
    assert taken == set(inspect.signature(plan_agent_role).parameters) - {"instance_profile"}


def rights(planned: State) -> dict[str, dict[str, list[str]]]:
    """Tell which actions each inline policy of the role or user allows on which resource."""
    principal = planned.entities[0]
    assert isinstance(principal, Role | User)
    told: dict[str, dict[str, list[str]]] = {}
    for policy in principal.inline_policies:
        for each in json.loads(policy.document.text)["Statement"]:
            for resource in each["Resource"]:
                told.setdefault(policy.name, {})[resource] = each["Action"]
    return told


def parameter(name: str) -> str:
    """Return the ARN of a parameter in any region."""
    return f"arn:PARTITION:ssm:*:*:parameter/{name}"


COVERED = "AmazonCloudWatch-linux"
BOTH = ["own", COVERED]
OF_AGENTS = "CloudWatchAgentParameters"
OF_ECS = "CloudWatchAgentParametersForECS"

ACCESS: dict[str, tuple[list[Callable[..., State]], dict[str, Any], dict[str, Any]]] = {
    "an agent reads": (
        AGENTS, {"parameters": BOTH}, {OF_AGENTS: {parameter("own"): READ}},
    ),
    "an admin writes too": (
        ADMINS, {"parameters": BOTH}, {OF_AGENTS: {parameter("own"): READ_AND_WRITE}},
    ),
    "who has the admin policy writes": (
        AGENTS,
        {"parameters": BOTH, "policies": {SERVER_POLICY, ADMIN_POLICY}},
        {OF_AGENTS: {parameter("own"): READ_AND_WRITE}},
    ),
    "also by its ARN": (
        AGENTS,
        {"parameters": BOTH, "policies": [ADMIN_POLICY.arn("aws-cn")]},
        {OF_AGENTS: {parameter("own"): READ_AND_WRITE}},
    ),
    "an admin writes by whatever policies": (
        ADMINS,
        {"parameters": BOTH, "policies": [SERVER_POLICY]},
        {OF_AGENTS: {parameter("own"): READ_AND_WRITE, parameter(COVERED): READ_AND_WRITE}},
    ),
    "an admin by a policy of its own": (
        ADMINS,
        {"parameters": BOTH, "policies": [OWN]},
        {OF_AGENTS: {parameter("own"): READ_AND_WRITE, parameter(COVERED): READ_AND_WRITE}},
    ),
    "nor who has a namesake": (
        AGENTS,
        {"parameters": BOTH, "policies": [CustomerManagedPolicy(ADMIN_POLICY.name)]},
        {OF_AGENTS: {parameter("own"): READ, parameter(COVERED): READ}},
    ),
    "without AWS's policies nothing is covered": (
        AGENTS,
        {"parameters": BOTH, "policies": [OWN]},
        {OF_AGENTS: {parameter("own"): READ, parameter(COVERED): READ}},
    ),
    "a boundary covers nothing": (
        AGENTS,
        {"parameters": BOTH, "policies": [], "permissions_boundary": ADMIN_POLICY},
        {OF_AGENTS: {parameter("own"): READ, parameter(COVERED): READ}},
    ),
    "what is covered needs nothing": ([*AGENTS, *ADMINS], {"parameters": [COVERED]}, {}),
    "an agent decrypts": (
        AGENTS,
        {"parameters": ["own"], "kms_key_arn": KEY_ARN},
        {OF_AGENTS: {parameter("own"): READ, KEY_ARN: READ_KEY}},
    ),
    "an admin encrypts too": (
        ADMINS,
        {"parameters": ["own"], "kms_key_arn": KEY_ARN},
        {OF_AGENTS: {parameter("own"): READ_AND_WRITE, KEY_ARN: WRITE_KEY}},
    ),
    "a key is never covered": (
        AGENTS, {"parameters": [COVERED], "kms_key_arn": KEY_ARN}, {OF_AGENTS: {KEY_ARN: READ_KEY}},
    ),
    "ECS reads all by another action": (
        [plan_ecs_execution_role],
        {"parameters": BOTH},
        {OF_ECS: {parameter("own"): READ_ALL, parameter(COVERED): READ_ALL}},
    ),
    "ECS decrypts": (
        [plan_ecs_execution_role],
        {"parameters": ["own"], "kms_key_arn": KEY_ARN},
        {OF_ECS: {parameter("own"): READ_ALL, KEY_ARN: READ_KEY}},
    ),
    "ECS never writes": (
        [plan_ecs_execution_role],
        {"parameters": BOTH, "policies": [ADMIN_POLICY]},
        {OF_ECS: {parameter("own"): READ_ALL, parameter(COVERED): READ_ALL}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plans", "intent", "expected"), ACCESS.values(), ids=ACCESS)
def test_who_may_do_what_with_parameters(
    plans: list[Callable[..., State]], intent: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Exactly what the principal needs, and nothing that its managed policies allow already."""
    for plan in plans:
        assert rights(plan(**intent)) == expected


@pytest.mark.parametrize("plan", [*AGENTS, *ADMINS, plan_ecs_execution_role])
def test_own_inline_policies_lie_beside_that_for_the_parameters(plan: Callable[..., State]) -> None:
    """All of them are in the plan."""
    own = [inline(200, "A"), inline(200, "B")]
    alone = plan(parameters=["own"]).entities[0]
    both = plan(parameters=["own"], inline_policies=own).entities[0]
    assert isinstance(alone, Role | User)
    assert isinstance(both, Role | User)
    assert both.inline_policies == alone.inline_policies | set(own)


def problems_of(plan: Callable[..., State], **intent: Any) -> list[str]:
    """Tell argument and rule of all that is wrong."""
    with pytest.raises(IntentError) as refusal:
        plan(**intent)
    return [f"{problem.argument}: {problem.rule}" for problem in refusal.value.problems]


TAKEN = "must not be the name of the policy that comes with the parameters"


def test_the_name_of_the_policy_for_parameters_is_taken() -> None:
    """Whatever its letter case, and only where there is such a policy."""
    own = [inline(200, OF_ECS.upper()), inline(200, OF_AGENTS.lower())]
    for plan in (*AGENTS, *ADMINS):
        told = problems_of(plan, inline_policies=own, parameters=["own"])
        assert told == [f"inline_policies[1].name: {TAKEN}"]
        assert plan(inline_policies=own, parameters=[COVERED]).entities
    told = problems_of(plan_ecs_execution_role, inline_policies=own, parameters=[COVERED])
    assert told == [f"inline_policies[0].name: {TAKEN}"]


def test_who_writes_may_not_name_what_aws_reserves() -> None:
    """Such a parameter can be read, never made; all such names are told beside what else is bad."""
    names = ["/aws/service/own", "agent", "SSM-own"]
    for plan in AGENTS:
        assert plan(parameters=names).entities
        told = problems_of(plan, parameters=names, policies=[ADMIN_POLICY, 1], path="")
        assert [each.partition(":")[0] for each in told] == [
            "policies[1]", "parameters[0]", "parameters[2]", "path",
        ]  # fmt: skip
    assert plan_ecs_execution_role(parameters=names, policies=[ADMIN_POLICY]).entities


SIZES = [(plan_agent_role, "Role", 10_240), (plan_agent_user, "User", 2048)]


@pytest.mark.parametrize(("plan", "kind", "most"), SIZES, ids=["role", "user"])
def test_all_inline_policies_count_together(
    plan: Callable[..., State], kind: str, most: int
) -> None:
    """With the one for the parameters, up to the last character."""
    (needed,) = plan(parameters=["own"]).entities[0].inline_policies  # type: ignore[union-attr] # no profile
    room = most - needed.size
    assert plan(inline_policies=[inline(room)], parameters=["own"]).entities
    rule = f"must be at most {most} characters besides white space in all ({kind}PolicySizeQuota)"
    told = problems_of(plan, inline_policies=[inline(room + 1)], parameters=["own"])
    assert told == [f"inline_policies: {rule}"]
    assert plan(inline_policies=[inline(room + 1)]).entities


def test_too_many_parameters_are_told_as_such() -> None:
    """Who gave no inline policies is not told of any."""
    (told,) = problems_of(plan_agent_user, parameters=[f"agent-{n}" for n in range(100)])
    assert told.startswith("parameters: must be at most 2048 characters")


QUOTAS: dict[str, tuple[Callable[..., State], str, int, dict[str, Any]]] = {
    "policies of a role": (
        plan_agent_role, "policies_per_role", 1, {"policies": [SERVER_POLICY, ADMIN_POLICY]},
    ),
    "policies of a user": (
        plan_agent_user, "policies_per_user", 1, {"policies": [SERVER_POLICY, ADMIN_POLICY]},
    ),
    "trust": (plan_agent_role, "trust_size", 999, {"trust": trust_of(1000)}),
    "trust of ECS": (plan_ecs_execution_role, "trust_size", 100, {}),
    "inline policies of a role": (
        plan_admin_role, "inline_size_per_role", 999, {"inline_policies": [inline(1000)]},
    ),
    "inline policies of a user": (
        plan_admin_user, "inline_size_per_user", 999, {"inline_policies": [inline(1000)]},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plan", "quota", "most", "intent"), QUOTAS.values(), ids=QUOTAS)
def test_a_plan_that_exceeds_a_quota_is_refused_with_the_number(
    plan: Callable[..., State], quota: str, most: int, intent: dict[str, Any]
) -> None:
    """Each quota counts for its own kind of principal; the same plan fits by default."""
    assert plan(**intent).entities
    assert plan(**intent, quotas=Quotas(**{quota: 10 * most})) == plan(**intent)
    (told,) = problems_of(plan, **intent, quotas=Quotas(**{quota: most}))
    assert f"at most {most} " in told


def test_higher_quotas_take_more() -> None:
    """Up to the number of the account."""
    eleven = [ManagedPolicy(f"P{number}") for number in range(11)]
    quotas = Quotas(
        policies_per_role=11, policies_per_user=11, trust_size=3000, inline_size_per_user=3000
    )
    for plan in (*AGENTS, *ADMINS, plan_ecs_execution_role):
        assert plan(policies=eleven, quotas=quotas).entities
        assert problems_of(plan, policies=eleven)
    assert plan_agent_role(trust=trust_of(3000), quotas=quotas).entities
    assert plan_agent_user(inline_policies=[inline(3000)], quotas=quotas).entities


def test_a_plan_comes_with_what_is_to_be_known_of_it() -> None:
    """Of the admin: that it lacks a right of the server, unless that is given, and is for one."""
    told = {
        plan.__name__: [(each.kind, each.target, each.about) for each in plan().findings]
        for plan in (*AGENTS, *ADMINS, plan_ecs_execution_role)
    }
    admin = ADMIN_POLICY.name
    user = "user CloudWatchAgentAdminUser"
    assert told == {
        "plan_agent_role": [],
        "plan_agent_user": [],
        "plan_admin_role": [
            ("needs", f"role {ADMIN_ROLE}", admin), ("open", f"role {ADMIN_ROLE}", admin),
        ],
        "plan_admin_user": [("needs", user, admin), ("open", user, admin)],
        "plan_ecs_execution_role": [("open", "role CWAgentECSExecutionRole", "ecs-tasks")],
    }  # fmt: skip
    volumes = InlinePolicy(
        "Volumes",
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "ec2:DescribeVolumes", "Resource": "*"},
        },
    )
    for plan in ADMINS:
        for more in ({"policies": [ADMIN_POLICY, SERVER_POLICY]}, {"inline_policies": [volumes]}):
            assert [each.kind for each in plan(**more).findings] == ["open"]
