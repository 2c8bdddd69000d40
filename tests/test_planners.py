"""Planning: what intent becomes, always the same, and without any SDK."""

from __future__ import annotations

import collections
import itertools
import json
import subprocess
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, strategies as st

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY
from cwagent_iam.limits import Quotas
from cwagent_iam.planners import (
    plan_admin_role,
    plan_admin_user,
    plan_agent_role,
    plan_agent_user,
    plan_ecs_execution_role,
)
from cwagent_iam.policies import CustomerManagedPolicy, InlinePolicy, ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST, ECSTask
from tests.bad_intents import KEY_ARN
from tests.trusts import REGIONS, trusts_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn, SearchStrategy

ARN = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ARN_IN_CHINA = "arn:aws-cn:iam::aws:policy/CloudWatchAgentServerPolicy"
OWN_ARN = "arn:aws:iam::123456789012:policy/team/own"
OWN_POLICY = ManagedPolicy("own", "/team/", "123456789012", "aws")
SERVER_ROLE = "CloudWatchAgentServerRole"
SERVER_USER = "CloudWatchAgentServerUser"

READ_TAGS = """{"Version": "2012-10-17", "Statement": {
    "Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"}}"""
INLINE = InlinePolicy("Own", READ_TAGS)

SDK = {"boto3", "botocore", "moto", "tenacity"}


def test_the_default_role_is_that_of_the_aws_guide() -> None:
    """EC2 may assume it, the server policy is attached, a profile of its name holds it."""
    role = Role(
        name=SERVER_ROLE,
        trust=EC2_TRUST,
        policies=frozenset({SERVER_POLICY}),
        tags=(MANAGED_TAG,),
    )
    profile = InstanceProfile(name=SERVER_ROLE, role_name=SERVER_ROLE, tags=(MANAGED_TAG,))
    assert plan_agent_role() == State((role, profile))


def test_the_default_user_is_that_of_the_aws_guide() -> None:
    """The server policy is attached; nothing else is named."""
    user = User(name=SERVER_USER, policies=frozenset({SERVER_POLICY}), tags=(MANAGED_TAG,))
    assert plan_agent_user() == State((user,))


def test_what_is_not_named_stays_none() -> None:
    """No default of IAM is written into a plan, so a role made by hand may keep its own values."""
    role, profile = plan_agent_role().entities
    (user,) = plan_agent_user().entities
    assert isinstance(role, Role)
    assert isinstance(user, User)
    assert [role.description, role.max_session_duration, role.permissions_boundary] == [None] * 3
    assert user.permissions_boundary is None
    assert [role.path, profile.path, user.path] == [None] * 3


PLANNERS: list[Callable[..., State]] = [plan_agent_role, plan_agent_user]
PROFILE_PLANNERS: list[Callable[..., State]] = [plan_agent_role, plan_admin_role]
ROLE_PLANNERS: list[Callable[..., State]] = [*PROFILE_PLANNERS, plan_ecs_execution_role]
ALL_PLANNERS: list[Callable[..., State]] = [*ROLE_PLANNERS, plan_agent_user, plan_admin_user]

LANDS: dict[str, tuple[str, object, str, Any]] = {
    "policies": (
        "policies",
        (ADMIN_POLICY, OWN_ARN),
        "policies",
        frozenset({ADMIN_POLICY, OWN_POLICY}),
    ),
    "no policies": ("policies", (), "policies", frozenset()),
    "path": ("path", "/team/", "path", "/team/"),
    "boundary": ("permissions_boundary", ADMIN_POLICY, "permissions_boundary", ADMIN_POLICY),
    "boundary by ARN": ("permissions_boundary", OWN_ARN, "permissions_boundary", OWN_POLICY),
    "boundary of the own account": (
        "permissions_boundary",
        CustomerManagedPolicy("own"),
        "permissions_boundary",
        CustomerManagedPolicy("own"),
    ),
    "no boundary any more": ("permissions_boundary", "", "permissions_boundary", ""),
    "inline policies": ("inline_policies", [INLINE], "inline_policies", frozenset({INLINE})),
    "no inline policies": ("inline_policies", (), "inline_policies", frozenset()),
    "no parameters": ("parameters", (), "inline_policies", frozenset()),
    "tags": ("tags", {"a": "1", "Z": ""}, "tags", (MANAGED_TAG, ("Z", ""), ("a", "1"))),
    "no tags": ("tags", {}, "tags", (MANAGED_TAG,)),
}


@pytest.mark.parametrize(("argument", "value", "field", "planned"), LANDS.values(), ids=LANDS)
def test_an_argument_of_all_planners_lands_in_its_field(
    argument: str, value: object, field: str, planned: Any
) -> None:
    """The argument changes its own field of role or user, and no other."""
    for plan in ALL_PLANNERS:
        principal = plan(**{argument: value}).entities[0]
        assert principal == attrs.evolve(plan().entities[0], **{field: planned})


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("description", "tab\tand\r\nnew line, \N{LATIN SMALL LETTER Y WITH DIAERESIS}"),
        ("description", ""),
        ("max_session_duration", 43_200),
    ],
    ids=["description", "empty description", "duration"],
)
def test_an_argument_of_roles_alone_lands_in_its_field(argument: str, value: Any) -> None:
    """The argument changes its own field of the role, and nothing of the profile."""
    for plan in ROLE_PLANNERS:
        default, *profiles = plan().entities
        planned = plan(**{argument: value})
        assert planned.entities == (attrs.evolve(default, **{argument: value}), *profiles)


def test_path_and_tags_go_to_the_profile_too() -> None:
    """Role and profile share path and tags."""
    role, profile = plan_agent_role(path="/team/", tags={"Team": "x"}).entities
    assert (profile.path, profile.tags) == (role.path, role.tags)
    assert profile.path == "/team/"
    assert profile.tags == (MANAGED_TAG, ("Team", "x"))


PROFILES: dict[str, tuple[bool | str | None, str | None]] = {
    "named like the role, if nothing is said": (None, "Agent"),
    "named like the role": (True, "Agent"),
    "with a name of its own": ("Profile", "Profile"),
    "with a long name": ("p" * 128, "p" * 128),
    "none": (False, None),
}


@pytest.mark.parametrize(("instance_profile", "name"), PROFILES.values(), ids=PROFILES)
def test_the_profile_holds_the_role(
    instance_profile: bool | str | None,  # noqa: FBT001 - as planned
    name: str | None,
) -> None:
    """A profile is named like the role, by a string of its own, or not wanted."""
    for plan in PROFILE_PLANNERS:
        planned = plan("Agent", instance_profile=instance_profile)
        profiles = [each for each in planned.entities if isinstance(each, InstanceProfile)]
        expected = InstanceProfile(name=name or "", role_name="Agent", tags=(MANAGED_TAG,))
        assert profiles == ([] if name is None else [expected])


TRUSTS = trusts_in("aws")


@pytest.mark.parametrize("name", TRUSTS)
def test_the_trust_lands_in_the_role(name: str) -> None:
    """In its neutral form; a profile comes with those by which EC2 may assume the role."""
    default = plan_agent_role().entities[0]
    role, *profiles = plan_agent_role(trust=TRUSTS[name]).entities
    assert isinstance(default, Role)
    assert role == attrs.evolve(default, trust=TRUSTS[name].document())
    assert bool(profiles) is (name in {"ec2", "custom"})
    assert plan_agent_role(trust=TRUSTS[name], instance_profile=False).entities == (role,)


def test_a_trust_is_the_same_intent_in_every_partition() -> None:
    """Where the names of services and providers are all that differs, the plans are equal."""
    for name in ("custom", "ec2", "ecs-task", "ssm-hybrid", "aks"):
        plans = {plan_agent_role(trust=trusts_in(partition)[name]) for partition in REGIONS}
        assert len(plans) == 1


def test_everything_planned_carries_our_tag() -> None:
    """The tag ManagedBy=cwagent-iam is on every entity, whatever the other tags."""
    tags: list[dict[str, str] | None] = [None, {}, {"aaa": "x", "zzz": "y"}]
    plans = [plan(tags=each) for plan in ALL_PLANNERS for each in tags]
    assert all(entity.managed for state in plans for entity in state.entities)


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults, written out": (
        {},
        {"policies": (SERVER_POLICY,), "path": None, "permissions_boundary": None, "tags": None},
    ),
    "list of policies": ({}, {"policies": [SERVER_POLICY]}),
    "set of policies": ({}, {"policies": {SERVER_POLICY}}),
    "frozenset of policies": ({}, {"policies": frozenset({SERVER_POLICY})}),
    "deque of policies": ({}, {"policies": collections.deque([SERVER_POLICY])}),
    "keys of a mapping": ({}, {"policies": {SERVER_POLICY: 1}.keys()}),
    "order of policies": (
        {"policies": (SERVER_POLICY, ADMIN_POLICY, OWN_ARN)},
        {"policies": (OWN_ARN, ADMIN_POLICY, SERVER_POLICY)},
    ),
    "ARN for the constant": ({}, {"policies": [ARN]}),
    "ARN of another partition": ({}, {"policies": [ARN_IN_CHINA]}),
    "ARN for the value": ({"policies": [OWN_ARN]}, {"policies": [OWN_POLICY]}),
    "boundary by ARN": (
        {"permissions_boundary": SERVER_POLICY},
        {"permissions_boundary": ARN_IN_CHINA},
    ),
    "list of inline policies": ({"inline_policies": {INLINE}}, {"inline_policies": [INLINE]}),
    "inline policy in other words": (
        {"inline_policies": [INLINE]},
        {"inline_policies": [InlinePolicy("Own", READ_TAGS.replace('"*"', '["*"]'))]},
    ),
    "order of parameters": ({"parameters": ("a", "/b")}, {"parameters": ["/b", "a"]}),
    "set of parameters": ({"parameters": ("a", "/b")}, {"parameters": frozenset({"a", "/b"})}),
    "no parameters": ({}, {"parameters": [], "kms_key_arn": None}),
    "covered parameters": ({}, {"parameters": ["AmazonCloudWatch-linux"]}),
    "quotas": ({}, {"quotas": Quotas(policies_per_role=25)}),
    "order of tags": ({"tags": {"a": "1", "b": "2"}}, {"tags": {"b": "2", "a": "1"}}),
    "read-only tags": ({"tags": {"a": "1"}}, {"tags": MappingProxyType({"a": "1"})}),
    "no tags": ({"tags": None}, {"tags": {}}),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_equal_intents_give_equal_plans(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The way an intent is written makes no difference to the plan, nor to its hash."""
    for plan in PLANNERS:
        assert plan(**one) == plan(**other)
        assert len({plan(**one), plan(**other)}) == 1


def test_a_profile_named_like_the_role_is_the_default() -> None:
    """`True` and the role's own name are the same intent."""
    assert plan_agent_role("A") == plan_agent_role("A", instance_profile="A")


DIFFERENT: list[dict[str, Any]] = [
    {},
    {"role_name": "Other"},
    {"instance_profile": False},
    {"instance_profile": "Other"},
    {"policies": ()},
    {"policies": (ADMIN_POLICY,)},
    {"path": "/"},
    {"description": ""},
    {"permissions_boundary": SERVER_POLICY},
    {"permissions_boundary": ""},
    {"trust": ECSTask()},
    {"trust": ECSTask("123456789012")},
    {"inline_policies": [INLINE]},
    {"inline_policies": [attrs.evolve(INLINE, name="Other")]},
    {"parameters": ["agent"]},
    {"parameters": ["Agent"]},
    {"parameters": ["agent"], "kms_key_arn": KEY_ARN},
    {"max_session_duration": 3600},
    {"tags": {"Team": ""}},
    {"tags": {"team": ""}},
]


def test_different_intents_give_different_plans() -> None:
    """Every argument counts, and naming IAM's own default differs from not naming it."""
    plans = [plan_agent_role(**intent) for intent in DIFFERENT]
    assert all(one != other for one, other in itertools.combinations(plans, 2))
    assert len(set(plans)) == len(DIFFERENT)


def test_a_plan_keeps_nothing_that_the_caller_can_change() -> None:
    """Collections handed in may be used for something else afterwards."""
    policies, tags, content = [SERVER_POLICY], {"Team": "x"}, json.loads(READ_TAGS)
    inline, parameters = [InlinePolicy("Own", content)], ["agent"]
    planned = plan_agent_role(
        policies=policies, inline_policies=inline, parameters=parameters, tags=tags
    )
    policies.append(ADMIN_POLICY)
    for handed_in in (tags, content, inline, parameters):
        handed_in.clear()
    same = plan_agent_role(inline_policies=(INLINE,), parameters=("agent",), tags={"Team": "x"})
    assert planned == same


def name_of(longest: int) -> SearchStrategy[str]:
    """Any name that IAM accepts."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return st.text(f"{letters}{letters.upper()}0123456789_+=,.@-", min_size=1, max_size=longest)


PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
PATHS = st.just("/") | st.text(PRINTABLE, min_size=1, max_size=510).map(lambda text: f"/{text}/")
LATIN_TEXT = st.text(
    st.sampled_from("\t\n\r") | st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=1000
).filter(lambda text: not any(0x7F <= ord(each) <= 0xA0 for each in text))
TAG_TEXT = st.characters(categories=["L", "Z", "N"], include_characters="_.:/=+-@")
TAG_KEYS = st.text(TAG_TEXT, min_size=1, max_size=128).filter(
    lambda key: key.lower() != "managedby" and not key.lower().startswith("aws:")
)
TAGS = st.lists(
    st.tuples(TAG_KEYS, st.text(TAG_TEXT, max_size=256)),
    max_size=49,
    unique_by=lambda tag: tag[0].lower(),
).map(dict)
# AWS's policies in any partition, and those of one account in one: no other can be reached.
OWNERS = st.sampled_from(
    [
        ("aws", "aws"),
        ("aws-cn", "aws"),
        ("aws-us-gov", "aws"),
        ("aws-iso-b", "aws"),
        ("aws-eusc", "aws"),
        ("aws-eusc", "000000000000"),
    ]
)
POLICY_PATHS = st.lists(name_of(20), max_size=3).map(lambda parts: "".join(f"/{p}" for p in parts))
POLICIES: SearchStrategy[Any] = st.sampled_from(
    [SERVER_POLICY, ADMIN_POLICY, ARN_IN_CHINA]
) | st.builds(
    "arn:{0[0]}:iam::{0[1]}:policy{1}/{2}".format,
    OWNERS,
    POLICY_PATHS,
    name_of(128),
)


def policy_of(like: ManagedPolicy | str) -> ManagedPolicy:
    """Read what a caller may write for a policy."""
    return ManagedPolicy.from_arn(like) if isinstance(like, str) else like


@st.composite
def good_intents(draw: DrawFn) -> dict[str, Any]:
    """Arguments that both planners accept, up to the last character that IAM allows."""
    intent: dict[str, SearchStrategy[Any]] = {
        "policies": st.lists(POLICIES, max_size=10, unique_by=policy_of),
        "path": st.none() | PATHS,
        "permissions_boundary": st.none() | st.just("") | POLICIES,
        "tags": st.none() | TAGS,
    }
    return {name: draw(values) for name, values in intent.items()}


@given(
    name_of(64),
    good_intents(),
    st.none() | st.booleans() | name_of(128),
    st.none() | LATIN_TEXT,
    st.none() | st.integers(3600, 43_200),
)
def test_whatever_iam_accepts_for_a_role_is_planned(
    name: str,
    intent: dict[str, Any],
    instance_profile: bool | str | None,  # noqa: FBT001 - as planned
    description: str | None,
    duration: int | None,
) -> None:
    """Every value within IAM's rules is accepted, and planned as it was given."""
    own = {"description": description, "max_session_duration": duration}
    planned = plan_agent_role(name, instance_profile=instance_profile, **own, **intent)  # type: ignore[arg-type] # by name
    role = planned.find(Role, name)
    assert role is not None
    assert_lands(intent, role)
    assert (role.name, role.description, role.max_session_duration) == (name, *own.values())
    again = plan_agent_role(name, instance_profile=instance_profile, **own, **intent)  # type: ignore[arg-type] # by name
    assert again == planned
    assert hash(again) == hash(planned)


@given(name_of(64), good_intents())
def test_whatever_iam_accepts_for_a_user_is_planned(name: str, intent: dict[str, Any]) -> None:
    """Every value within IAM's rules is accepted, and planned as it was given."""
    planned = plan_agent_user(name, **intent)
    (user,) = planned.entities
    assert isinstance(user, User)
    assert user.name == name
    assert_lands(intent, user)
    assert hash(planned) == hash(plan_agent_user(name, **intent))


def assert_lands(intent: dict[str, Any], planned: Role | User) -> None:
    """Check the fields that roles and users have in common."""
    boundary = intent["permissions_boundary"]
    assert planned.policies == frozenset(map(policy_of, intent["policies"]))
    assert planned.path == intent["path"]
    assert planned.permissions_boundary == (policy_of(boundary) if boundary else boundary)
    assert dict(planned.tags) == {**(intent["tags"] or {}), "ManagedBy": "cwagent-iam"}


@given(good_intents(), st.randoms(use_true_random=False))
def test_order_makes_no_difference(intent: dict[str, Any], chance: Any) -> None:
    """Policies and tags may come in any order."""
    policies, tags = list(intent["policies"]), list((intent["tags"] or {}).items())
    chance.shuffle(policies)
    chance.shuffle(tags)
    shuffled = intent | {"policies": tuple(policies), "tags": dict(tags)}
    assert plan_agent_role(**shuffled) == plan_agent_role(**intent)
    assert hash(plan_agent_user(**shuffled)) == hash(plan_agent_user(**intent))


WITHOUT_SDK = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SDK}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocker())
for name in {SDK}:
    try:
        __import__(name)
    except ImportError:
        continue
    sys.exit(name + " can be imported")

import cwagent_iam as it
role, user = it.plan_agent_role(policies=[it.ADMIN_POLICY]), it.plan_agent_user()
print(it.diff(role, it.State()))
print(it.diff(user, it.State()))
print(it.diff(it.plan_admin_user() | it.plan_ecs_execution_role(), it.State()))
print(it.diff(user, user))
try:
    it.plan_agent_role("")
except it.IntentError as error:
    print(error)
print(sorted({SDK} & {{name.partition(".")[0] for name in sys.modules}}))
"""


def test_planning_and_diffing_work_without_the_sdk() -> None:
    """Where boto3, botocore, tenacity and moto are missing, plans, diffs and refusals are not."""
    command = [sys.executable, "-I", "-c", WITHOUT_SDK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  the code is the test's own
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "+ AttachRolePolicy CloudWatchAgentServerRole: CloudWatchAgentAdminPolicy" in lines
    assert "+ AttachUserPolicy CloudWatchAgentServerUser: CloudWatchAgentServerPolicy" in lines
    assert lines[-3:] == ["No changes.", "role_name='': must have 1 to 64 characters, not 0", "[]"]


@pytest.mark.parametrize(
    "statement",
    ["import cwagent_iam", "import cwagent_iam; cwagent_iam.plan_agent_role()"],
    ids=["import", "plan"],
)
def test_importing_and_planning_import_no_sdk(statement: str) -> None:
    """Python's own list of what was imported names the package and no SDK."""
    command = [sys.executable, "-I", "-X", "importtime", "-c", statement]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  the code is the test's own
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cwagent_iam" in imported
    assert not {name.partition(".")[0] for name in imported} & SDK
