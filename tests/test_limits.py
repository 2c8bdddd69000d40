"""What intent is refused, why, and where exactly each limit of IAM lies."""

from __future__ import annotations

import collections
import inspect
import string
import time
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import SERVER_POLICY, Document, IntentError, limits, planners
from cwagent_iam.limits import Quotas
from cwagent_iam.policies import InlinePolicy, ManagedPolicy
from cwagent_iam.trust import CustomTrust
from tests.bad_intents import (
    ARN,
    ARN_IN_CHINA,
    BAD,
    OTHER_DIGIT,
    OWN_ARN,
    POLICY_FORM,
    Bad,
    inline,
    trust_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import State

PLANNERS: dict[str, Callable[..., State]] = {
    name: plan for name, plan in vars(planners).items() if name.startswith("plan_")
}
plan_agent_role, plan_agent_user = PLANNERS["plan_agent_role"], PLANNERS["plan_agent_user"]
every_planner = pytest.mark.parametrize("plan", PLANNERS.values(), ids=PLANNERS)


def refuse(plan: Callable[..., State], **intent: object) -> IntentError:
    """Plan with bad *intent* and return the refusal."""
    with pytest.raises(IntentError) as refusal:
        plan(**intent)
    return refusal.value


def assert_refused(plan: Callable[..., State], row: Bad) -> None:
    """Check that *row* is refused with an error that says what, why, and nothing else."""
    error = refuse(plan, **{row.argument: row.value})
    assert isinstance(error, ValueError)
    told = [
        problem
        for problem in error.problems
        if problem.argument == row.where
        and problem.value.startswith(row.shown)
        and row.rule in problem.rule
    ]
    assert len(told) == 1
    assert all(problem.argument.startswith(row.argument) for problem in error.problems)
    assert str(error).splitlines() == [
        f"{problem.argument}={problem.value}: {problem.rule}" for problem in error.problems
    ]


ROWS = {f"{plan}, {name}": (plan, row) for plan, rows in BAD.items() for name, row in rows.items()}


@pytest.mark.parametrize(("plan", "row"), ROWS.values(), ids=ROWS)
def test_a_bad_intent_is_refused(plan: str, row: Bad) -> None:
    """The error names argument, value and rule; it is an `IntentError` and a `ValueError`."""
    assert_refused(PLANNERS[plan], row)


@pytest.mark.parametrize("plan", PLANNERS)
def test_every_argument_has_bad_values(plan: str) -> None:
    """More than 60 kinds of bad intent are tried, for every argument of every planner."""
    assert len(BAD[plan]) > 60
    assert {row.argument for row in BAD[plan].values()} == set(arguments(PLANNERS[plan]))


def arguments(plan: Callable[..., State]) -> list[str]:
    """List the arguments of a planner in order."""
    return list(inspect.signature(plan).parameters)


@every_planner
def test_all_problems_are_listed_in_the_order_of_arguments(plan: Callable[..., State]) -> None:
    """One refusal shows everything that is wrong, in the order in which arguments are written."""
    wrong = dict.fromkeys(arguments(plan), 1.5)
    problems = refuse(plan, **wrong).problems
    assert [problem.argument for problem in problems] == arguments(plan)


# How long inline policies are is known only once they, the parameters and the key are good.
MEASURED_TOGETHER = {"inline_policies", "parameters", "kms_key_arn"}


@given(st.data())
def test_no_problem_hides_another(data: st.DataObject) -> None:
    """What is told of one bad argument is told beside any other bad one too."""
    rows = BAD[data.draw(st.sampled_from(sorted(BAD)), "plan")]
    plan = PLANNERS[next(name for name in BAD if BAD[name] is rows)]
    one, other = (rows[data.draw(st.sampled_from(sorted(rows)), "row")] for _ in range(2))
    if one.argument == other.argument or {one.argument, other.argument} <= MEASURED_TOGETHER:
        return
    problems = refuse(plan, **{each.argument: each.value for each in (one, other)}).problems
    for row in (one, other):
        assert any(
            problem.argument == row.where and row.rule in problem.rule for problem in problems
        )


def test_all_problems_of_one_argument_are_listed() -> None:
    """Each rule that one value breaks is told, and each part of an argument that breaks one."""
    tags = {"aws:" + "!" * 128: "\n" * 257, "Team": 1}
    intent: dict[str, Any] = {"role_name": " " * 65, "policies": [1, ARN, "x"], "tags": tags}
    problems = refuse(plan_agent_role, **intent).problems
    counted = collections.Counter(problem.argument for problem in problems)
    assert [*counted.values()] == [2, 1, 1, 3, 2, 1]
    assert [*counted][:4] == ["role_name", "policies[0]", "policies[2]", "tags key"]


NESTED: Any = ["x" * 100] * 6
for _ in range(4):
    NESTED = [NESTED] * 6

HUGE: dict[str, tuple[str, object]] = {
    "name": ("role_name", "r" * 1_000_000),
    "profile": ("instance_profile", " " * 1_000_000),
    "path": ("path", "x" * 1_000_000),
    "description": ("description", "\0" * 1_000_000),
    "duration": ("max_session_duration", 10**4000),
    "duration beyond what Python prints": ("max_session_duration", 10**5000),
    "boundary": ("permissions_boundary", "arn:aws:iam::aws:policy" + "/a" * 500_000 + "!"),
    "policy": ("policies", ["arn:aws:iam::aws:policy/" + "a" * 1_000_000]),
    "nested lists": ("policies", [NESTED]),
    "nested lists for a name": ("role_name", NESTED),
    "nested mappings": ("tags", [{"x" * 100: {"y" * 100: ["z" * 100] * 6}}] * 6),
    "many policies": ("policies", [f"arn:aws:iam::aws:policy/P{n}" for n in range(10_000)]),
    "tag key": ("tags", {"k" * 1_000_000: "value"}),
    "tag key of a bad value": ("tags", {"k" * 1_000_000: 1}),
    "tag key beyond what Python prints": ("tags", {10**5000: "value"}),
    "tag value": ("tags", {"Team": "v" * 1_000_000}),
    "trust": ("trust", CustomTrust("x" * 1_000_000)),
    "long trust": ("trust", trust_of(1_000_000)),
    "many statements": ("trust", CustomTrust({"Statement": [{"Effect": "Deny"}] * 10_000})),
    "inline policy": ("inline_policies", [inline(1_000_000)]),
    "name of an inline policy": ("inline_policies", [InlinePolicy("n" * 1_000_000, "x" * 10**6)]),
    "many inline policies": ("inline_policies", [inline(200, f"P{n}") for n in range(1000)]),
    "parameter": ("parameters", ["/p" * 500_000]),
    "many parameters": ("parameters", [f"P{n}" for n in range(10_000)]),
    "key": ("kms_key_arn", "arn:aws:kms:" + "a" * 1_000_000),
    "quotas": ("quotas", NESTED),
    "many tags": ("tags", {f"key{number}": "" for number in range(10_000)}),
}


@pytest.mark.parametrize(("argument", "value"), HUGE.values(), ids=HUGE)
def test_the_refusal_of_a_huge_value_is_short(argument: str, value: object) -> None:
    """However big the value, a line of the error can be read, and it comes soon."""
    started = time.process_time()
    error = refuse(plan_agent_role, **{argument: value})
    assert time.process_time() - started < 20
    assert all(len(line) < 400 for line in str(error).splitlines())
    assert all(len(problem.value) < 150 for problem in error.problems)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("policies", [1] * 10_000),
        ("inline_policies", [1] * 10_000),
        ("parameters", [1] * 10_000),
        ("tags", dict.fromkeys(range(10_000), "x")),
    ],
    ids=["policies", "inline policies", "parameters", "tags"],
)
def test_the_text_of_very_many_problems_is_short(argument: str, value: object) -> None:
    """The attribute holds all problems; the text does not bury the reader in them."""
    error = refuse(plan_agent_role, **{argument: value})
    assert len(error.problems) >= 10_000
    assert len(str(error)) < 20_000


def test_a_value_that_cannot_be_shown_is_refused_all_the_same() -> None:
    """A `repr` that fails does not hide what is wrong with the argument."""
    broken = type("Broken", (), {"__repr__": lambda _self: 1 / 0})()
    misleading = type("array", (), {})()
    for value in (broken, misleading):
        problems = refuse(plan_agent_role, role_name=value, tags={value: "x"}).problems
        assert [problem.argument for problem in problems] == ["role_name", "tags key"]


GOOD: dict[str, tuple[str, object]] = {
    "name of 1": ("role_name", "r"),
    "name of 64": ("role_name", "r" * 64),
    "name of symbols": ("role_name", "_+=,.@-"),
    "profile of 1": ("instance_profile", "p"),
    "profile of 128": ("instance_profile", "p" * 128),
    "no policies": ("policies", []),
    "ten policies": ("policies", [f"arn:aws:iam::aws:policy/P{number}" for number in range(10)]),
    "policies of AWS that differ by path": ("policies", [ARN, ARN.replace("/Cloud", "/x/Cloud")]),
    "policies of AWS that differ by case": ("policies", [ARN, ARN.replace("Cloud", "cloud")]),
    "policy with a name of 128": ("policies", [f"arn:aws:iam::aws:policy/{'n' * 128}"]),
    "policy with a path of 512": ("policies", [f"arn:aws:iam::aws:policy/{'p' * 510}/own"]),
    "policy with an ARN of 2,048": ("policies", [f"arn:aws-{'x' * 2020}:iam::aws:policy/own"]),
    "policy for a service": ("policies", ["arn:aws:iam::aws:policy/service-role/AWSConfigRole"]),
    "policies of one account in a deque": ("policies", collections.deque([OWN_ARN, ARN])),
    "boundary": ("permissions_boundary", OWN_ARN),
    "no boundary": ("permissions_boundary", ""),
    "no inline policies": ("inline_policies", []),
    "inline policies of 2,048": ("inline_policies", {inline(1000, "A"), inline(1048, "B")}),
    "inline policy with a name of 128": ("inline_policies", (inline(200, "n" * 128),)),
    "no parameters": ("parameters", []),
    "parameter of 1": ("parameters", ["p"]),
    "parameter of 1,011": ("parameters", ["p" * 1011]),
    "parameter of 15 levels": ("parameters", ["/p" * 15]),
    "parameter that is read and reserved": ("parameters", ["/aws/service/agent", "ssm"]),
    "trust of 2,048": ("trust", trust_of(2048)),
    "profile where it is of use": ("instance_profile", None),
    "higher quotas": ("quotas", Quotas(policies_per_role=25, policies_per_user=20)),
    "path of 1": ("path", "/"),
    "path of 3": ("path", "/a/"),
    "path of 512": ("path", f"/{'p' * 510}/"),
    "path with empty parts": ("path", "/a//b/"),
    "path of slashes": ("path", "///"),
    "description of 0": ("description", ""),
    "description of 1,000": ("description", "d" * 1000),
    "description with a line feed at the end": ("description", "words\n"),
    "duration of an hour": ("max_session_duration", 3600),
    "duration of twelve hours": ("max_session_duration", 43_200),
    "no tags": ("tags", {}),
    "49 tags": ("tags", {f"key{number}": "" for number in range(49)}),
    "tag key of 1": ("tags", {"k": "value"}),
    "tag key of 128": ("tags", {"k" * 128: "value"}),
    "tag key that begins with aws": ("tags", {"awsTeam": "x", "aws": "y", "x:aws:": "z"}),
    "tag key in another script": ("tags", {"\N{CYRILLIC SMALL LETTER ER}\u2028": OTHER_DIGIT}),
    "tag value of 0": ("tags", {"Team": ""}),
    "tag value of 256": ("tags", {"Team": "v" * 256}),
    "tag value that begins with aws": ("tags", {"Team": "aws:x"}),
}


@pytest.mark.parametrize(("argument", "value"), GOOD.values(), ids=GOOD)
def test_the_last_value_within_a_limit_is_accepted(argument: str, value: Any) -> None:
    """What lies exactly on a limit is planned; the refusals begin one further."""
    assert plan_agent_role(**{argument: value}).entities
    if argument in arguments(plan_agent_user):
        assert plan_agent_user(**{argument: value}).entities


ASCII_WORD = set(string.ascii_letters + string.digits + "_")
CHARACTERS = [*map(chr, range(0x250)), "\u0660", "\u2028", "\u3000", "\u4e00", "\ud800", "\uffff"]


@pytest.mark.parametrize(
    ("accepts", "allowed"),
    [
        (
            lambda each: not [*limits.name_problems("name", each, 64)],
            lambda each: each in ASCII_WORD or each in "+=,.@-",
        ),
        (
            lambda each: not [*limits.path_problems("path", f"/{each}/")],
            lambda each: "\x21" <= each <= "\x7e",
        ),
        (
            lambda each: not [*limits.description_problems("description", each)],
            lambda each: each in "\t\n\r" or " " <= each <= "~" or "\xa1" <= each <= "\xff",
        ),
        (
            lambda each: not [*limits.tag_problems("tags", {each: each})],
            lambda each: unicodedata.category(each)[0] in "LZN" or each in "_.:/=+-@",
        ),
        (
            lambda each: not [*limits.policy_problems("policy", f"arn:aws:iam::aws:policy/{each}")],
            lambda each: each in ASCII_WORD or each in "+=,.@-",
        ),
        (
            lambda each: not [*limits.policy_problems("policy", f"{ARN}/{each}/name")],
            lambda each: each in ASCII_WORD or each in "+=,.@-",
        ),
    ],
    ids=["name", "path", "description", "tag", "policy name", "policy path"],
)
def test_exactly_the_characters_that_iam_allows_are_accepted(
    accepts: Callable[[str], bool], allowed: Callable[[str], bool]
) -> None:
    """Character by character, the checks agree with the patterns of the IAM API."""
    assert [each for each in CHARACTERS if accepts(each) != allowed(each)] == []


def test_a_document_may_be_as_long_as_its_quota() -> None:
    """Exactly the quota is accepted, one character more is not; white space is not counted."""
    document = Document.parse({"Statement": []})
    assert not [*limits.trust_size_problems("trust", document, Quotas(trust_size=16))]
    (problem,) = limits.trust_size_problems("trust", document, Quotas(trust_size=15))
    assert problem.argument == "trust"
    assert problem.value == "16 characters besides white space"
    rule = "must be at most 15 characters besides white space (AssumeRolePolicySizeQuota)"
    assert problem.rule == rule


def test_white_space_within_a_document_is_free() -> None:
    """White space takes no room, not even within strings."""
    document = Document.parse(" not a document \n")
    assert not [*limits.trust_size_problems("trust", document, Quotas(trust_size=12))]


def test_limits_are_those_of_iam() -> None:
    """The numbers are those of the IAM API reference and of the default quotas."""
    assert (limits.ROLE_NAME_LENGTH, limits.USER_NAME_LENGTH) == (64, 64)
    assert limits.INSTANCE_PROFILE_NAME_LENGTH == 128
    assert (limits.PATH_LENGTH, limits.DESCRIPTION_LENGTH, limits.ARN_LENGTH) == (512, 1000, 2048)
    assert (limits.TAGS, limits.TAG_KEY_LENGTH, limits.TAG_VALUE_LENGTH) == (50, 128, 256)
    assert (limits.SESSION_SECONDS[0], limits.SESSION_SECONDS[-1]) == (3600, 43_200)


def test_a_policy_without_problems_is_read() -> None:
    """Values are taken as they are, ARNs are read."""
    assert limits.as_policy(SERVER_POLICY) is SERVER_POLICY
    assert limits.as_policy(ARN_IN_CHINA) == SERVER_POLICY


OTHER_ACCOUNT = "arn:aws:iam::999999999999:policy/other"


@pytest.mark.parametrize(
    "intent",
    [
        {"policies": [OWN_ARN, OTHER_ACCOUNT]},
        {"policies": [OWN_ARN], "permissions_boundary": OTHER_ACCOUNT},
        {"policies": [OWN_ARN, OWN_ARN.replace("arn:aws:", "arn:aws-cn:")]},
    ],
    ids=["two accounts", "boundary of another account", "two partitions"],
)
@pytest.mark.parametrize("plan", [plan_agent_role, plan_agent_user])
def test_policies_of_several_accounts_are_refused(
    plan: Callable[..., State], intent: dict[str, Any]
) -> None:
    """IAM attaches only AWS's policies and those of the account itself."""
    (problem,) = refuse(plan, **intent).problems
    assert problem.argument == "policies"
    assert "must all be of one account" in problem.rule


def test_a_policy_with_parts_that_cannot_be_hashed_is_refused() -> None:
    """A policy that was built by hand of anything at all is a problem, never a crash."""
    odd: Any = ManagedPolicy("own", account="123456789012", partition=[])  # type: ignore[arg-type] # as said
    (problem,) = refuse(plan_agent_role, policies=[odd]).problems
    assert POLICY_FORM in problem.rule
