"""What intent is refused, why, and where exactly each limit of IAM lies."""

from __future__ import annotations

import collections
import decimal
import inspect
import string
import unicodedata
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from cwagent_iam import SERVER_POLICY, Document, IntentError, limits
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from cwagent_iam import State

ARN = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ARN_IN_CHINA = "arn:aws-cn:iam::aws:policy/CloudWatchAgentServerPolicy"
OWN_ARN = "arn:aws:iam::123456789012:policy/team/own"
LINKED_ARN = "arn:aws:iam::aws:policy/aws-service-role/AWSSupportServiceRolePolicy"
ROLE_ARN = "arn:aws:iam::123456789012:role/own"
ACCENTED = "\N{LATIN SMALL LETTER E WITH ACUTE}"  # a letter, and a word character to Python's \\w
OTHER_DIGIT = "\N{ARABIC-INDIC DIGIT ONE}"  # a digit to Python's \\d


@attrs.frozen
class Bad:
    """One kind of bad intent, and what the refusal must say of it."""

    argument: str
    value: object
    rule: str
    where: str
    shown: str


def bad(argument: str, value: object, rule: str) -> Bad:
    """An argument that is bad as a whole."""
    return Bad(argument, value, rule, argument, repr(value)[:15])


def policy(value: object, rule: str) -> Bad:
    """One policy that is bad."""
    return Bad("policies", [value], rule, "policies[0]", repr(value)[:15])


def tag_key(key: object, rule: str) -> Bad:
    """A tag whose key is bad."""
    return Bad("tags", {key: "value"}, rule, "tags key", repr(key)[:15])


def tag_value(value: object, rule: str) -> Bad:
    """A tag whose value is bad."""
    return Bad("tags", {"Team": value}, rule, "tags['Team']", repr(value)[:15])


def too_many(argument: str, value: object, shown: str, rule: str) -> Bad:
    """More parts than IAM allows."""
    return Bad(argument, value, rule, argument, shown)


NAME = "ASCII letters, digits and _+=,.@- only"
STRING = "must be a string"
SEVERAL = "must be a tuple, a list or a set of policies"
POLICY = "must be a ManagedPolicy or the ARN of one"
POLICY_ARN = "must be the ARN of a managed policy: arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"
PROFILE = "must be True, False or the name of a profile"
POLICY_FORM = "arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"
PATH = "must be / or begin and end with /, in printable ASCII without spaces"
LATIN = "tab, line feed, carriage return and printable Latin-1 characters only"
SECONDS = "must be a whole number of seconds"
RANGE = "must be 3600 to 43200 seconds"
MAPPING = "must be a mapping of strings to strings"
TAG = "letters, digits, spaces and _.:/=+-@ only"

BAD_NAMES: dict[str, tuple[object, str]] = {
    "empty": ("", "1 to 64 characters, not 0"),
    "too long": ("r" * 65, "1 to 64 characters, not 65"),
    "space": ("CloudWatch Agent", NAME),
    "slash": ("team/role", NAME),
    "colon": ("role:1", NAME),
    "accented letter": (f"r{ACCENTED}le", NAME),
    "letter of another script": ("\N{CYRILLIC SMALL LETTER ER}ole", NAME),
    "digit of another script": (f"role{OTHER_DIGIT}", NAME),
    "newline at the end": ("role\n", NAME),
    "nothing but a newline": ("\n", NAME),
    "NUL": ("ro\0le", NAME),
    "half of a surrogate pair": ("role\ud800", NAME),
    "invisible character": ("role\N{ZERO WIDTH SPACE}", NAME),
    "None": (None, STRING),
    "number": (7, STRING),
    "bool": (True, STRING),
    "bytes": (b"role", STRING),
    "list": (["role"], STRING),
}

BAD_PROFILES = {
    "profile, empty": bad("instance_profile", "", "1 to 128 characters, not 0"),
    "profile, too long": bad("instance_profile", "p" * 129, "1 to 128 characters, not 129"),
    "profile, slash": bad("instance_profile", "team/profile", NAME),
    "profile, newline at the end": bad("instance_profile", "profile\n", NAME),
    "profile, accented letter": bad("instance_profile", ACCENTED, NAME),
    "profile, None": bad("instance_profile", None, PROFILE),
    "profile, 1 for True": bad("instance_profile", 1, PROFILE),
    "profile, 0 for False": bad("instance_profile", 0, PROFILE),
    "profile, bytes": bad("instance_profile", b"profile", PROFILE),
    "profile, list": bad("instance_profile", ["profile"], PROFILE),
}

BAD_POLICIES = {
    "policies, None": bad("policies", None, SEVERAL),
    "policies, one ARN": bad("policies", ARN, SEVERAL),
    "policies, one constant": bad("policies", SERVER_POLICY, SEVERAL),
    "policies, empty string": bad("policies", "", SEVERAL),
    "policies, number": bad("policies", 1, SEVERAL),
    "policies, generator": bad("policies", (each for each in [SERVER_POLICY]), SEVERAL),
    "policies, bytes": bad("policies", ARN.encode(), SEVERAL),
    "policies, no bytes": bad("policies", b"", SEVERAL),
    "policies, mapping": bad("policies", {"CloudWatchAgentServerPolicy": ARN}, SEVERAL),
    "policies, empty mapping": bad("policies", {}, SEVERAL),
    "policies, eleven": too_many(
        "policies",
        [f"arn:aws:iam::aws:policy/P{number}" for number in range(11)],
        "11 policies",
        "at most 10 policies",
    ),
    "policies, same twice": Bad(
        "policies", [SERVER_POLICY, SERVER_POLICY], "only once", "policies[1]", repr(SERVER_POLICY)
    ),
    "policies, constant and its ARN": Bad(
        "policies", [SERVER_POLICY, ARN], "only once", "policies[1]", repr(ARN)
    ),
    "policies, ARNs in two partitions": Bad(
        "policies", [ARN, ARN_IN_CHINA], "only once", "policies[1]", repr(ARN_IN_CHINA)
    ),
    "policy, None": policy(None, POLICY),
    "policy, number": policy(1, POLICY),
    "policy, bytes": policy(ARN.encode(), POLICY),
    "policy, nested list": policy([SERVER_POLICY], POLICY),
    "policy, empty": policy("", POLICY_ARN),
    "policy, only its name": policy("CloudWatchAgentServerPolicy", POLICY_ARN),
    "policy, newline at the end": policy(f"{ARN}\n", POLICY_ARN),
    "policy, space before": policy(f" {ARN}", POLICY_ARN),
    "policy, NUL": policy(f"{ARN}\0", POLICY_ARN),
    "policy, half of a surrogate pair": policy(f"{ARN}\udfff", POLICY_ARN),
    "policy, ARN of a role": policy(ROLE_ARN, POLICY_ARN),
    "policy, ARN of a group": policy("arn:aws:iam::123456789012:group/own", POLICY_ARN),
    "policy, region": policy("arn:aws:iam:eu-west-1:aws:policy/own", POLICY_ARN),
    "policy, another service": policy("arn:aws:s3::aws:policy/own", POLICY_ARN),
    "policy, no account": policy("arn:aws:iam:::policy/own", POLICY_ARN),
    "policy, account of 11 digits": policy("arn:aws:iam::12345678901:policy/own", POLICY_ARN),
    "policy, account of 13 digits": policy("arn:aws:iam::1234567890123:policy/own", POLICY_ARN),
    "policy, account in other digits": policy(
        f"arn:aws:iam::{OTHER_DIGIT * 12}:policy/own", POLICY_ARN
    ),
    "policy, account in capitals": policy("arn:aws:iam::AWS:policy/own", POLICY_ARN),
    "policy, another cloud": policy("arn:azure:iam::aws:policy/own", POLICY_ARN),
    "policy, no name": policy("arn:aws:iam::aws:policy/", POLICY_ARN),
    "policy, empty part of a path": policy("arn:aws:iam::aws:policy//own", POLICY_ARN),
    "policy, accented letter": policy(f"{ARN}{ACCENTED}", POLICY_ARN),
    "policy, wildcard": policy("arn:aws:iam::aws:policy/*", POLICY_ARN),
    "policy, name of 129": policy(f"arn:aws:iam::aws:policy/{'n' * 129}", POLICY_ARN),
    "policy, path of 513": policy(f"arn:aws:iam::aws:policy/{'p' * 511}/own", "512"),
    "policy, ARN of 2,049": policy(
        f"arn:aws-{'x' * 2021}:iam::aws:policy/own", "at most 2048 characters, not 2049"
    ),
    "policy, of a service-linked role": policy(LINKED_ARN, "service-linked role"),
    "policy, built with a bad name": policy(ManagedPolicy("own policy"), POLICY_ARN),
    "policy, built with a bad path": policy(ManagedPolicy("own", "team"), POLICY_ARN),
    "policy, built with half a path": policy(ManagedPolicy("own", "/team"), POLICY_FORM),
    "policy, built with a number": policy(ManagedPolicy(7), POLICY_FORM),  # type: ignore[arg-type] # as said
    "policy, customer's in no partition": policy(
        ManagedPolicy("own", account="123456789012"), POLICY_FORM
    ),
    "policy, AWS-managed in one partition": policy(
        ManagedPolicy("CloudWatchAgentServerPolicy", partition="aws-cn"), POLICY_FORM
    ),
}

BAD_PATHS = {
    "path, empty": bad("path", "", PATH),
    "path, no slash before": bad("path", "team/", PATH),
    "path, no slash behind": bad("path", "/team", PATH),
    "path, two slashes": bad("path", "//", PATH),
    "path, space": bad("path", "/the team/", PATH),
    "path, delete character": bad("path", "/team\x7f/", PATH),
    "path, accented letter": bad("path", f"/{ACCENTED}quipe/", PATH),
    "path, newline at the end": bad("path", "/team/\n", PATH),
    "path, newline after the root": bad("path", "/\n", PATH),
    "path, NUL": bad("path", "/\0/", PATH),
    "path, too long": bad("path", f"/{'p' * 511}/", "at most 512 characters, not 513"),
    "path, number": bad("path", 1, STRING),
    "path, bool": bad("path", value=False, rule=STRING),
    "path, bytes": bad("path", b"/team/", STRING),
}

BAD_DESCRIPTIONS = {
    "description, too long": bad("description", "d" * 1001, "at most 1000 characters, not 1001"),
    "description, typographic quote": bad(
        "description", "the agent\N{RIGHT SINGLE QUOTATION MARK}s", LATIN
    ),
    "description, emoji": bad("description", "\N{ROCKET}", LATIN),
    "description, beyond Latin-1": bad("description", "\u0100", LATIN),
    "description, no-break space": bad("description", "a\u00a0role", LATIN),
    "description, delete character": bad("description", "a\x7frole", LATIN),
    "description, vertical tab": bad("description", "a\x0brole", LATIN),
    "description, line separator": bad("description", "a\u2028role", LATIN),
    "description, NUL": bad("description", "\0", LATIN),
    "description, half of a surrogate pair": bad("description", "\ud83d", LATIN),
    "description, number": bad("description", 0, STRING),
    "description, bool": bad("description", value=False, rule=STRING),
    "description, bytes": bad("description", b"", STRING),
}

BAD_BOUNDARIES = {
    "boundary, only its name": bad(
        "permissions_boundary", "CloudWatchAgentServerPolicy", POLICY_ARN
    ),
    "boundary, empty": bad("permissions_boundary", "", POLICY_ARN),
    "boundary, newline at the end": bad("permissions_boundary", f"{OWN_ARN}\n", POLICY_ARN),
    "boundary, ARN of a role": bad("permissions_boundary", ROLE_ARN, POLICY_ARN),
    "boundary, of a service-linked role": bad(
        "permissions_boundary", LINKED_ARN, "service-linked role"
    ),
    "boundary, bool": bad("permissions_boundary", value=False, rule=POLICY),
    "boundary, bytes": bad("permissions_boundary", ARN.encode(), POLICY),
    "boundary, list": bad("permissions_boundary", [ARN], POLICY),
}

BAD_DURATIONS = {
    "duration, a second too short": bad("max_session_duration", 3599, RANGE),
    "duration, a second too long": bad("max_session_duration", 43_201, RANGE),
    "duration, zero": bad("max_session_duration", 0, RANGE),
    "duration, negative": bad("max_session_duration", -3600, RANGE),
    "duration, huge": bad("max_session_duration", 10**1000, RANGE),
    "duration, bool": bad("max_session_duration", value=True, rule=SECONDS),
    "duration, float": bad("max_session_duration", 3600.0, SECONDS),
    "duration, not a number": bad("max_session_duration", float("nan"), SECONDS),
    "duration, decimal": bad("max_session_duration", decimal.Decimal(3600), SECONDS),
    "duration, string": bad("max_session_duration", "3600", SECONDS),
    "duration, bytes": bad("max_session_duration", b"3600", SECONDS),
}

BAD_TAGS = {
    "tags, pairs": bad("tags", [("Team", "observability")], MAPPING),
    "tags, as AWS writes them": bad("tags", [{"Key": "Team", "Value": "x"}], MAPPING),
    "tags, string": bad("tags", "Team=observability", MAPPING),
    "tags, set": bad("tags", {"Team"}, MAPPING),
    "tags, bool": bad("tags", value=False, rule=MAPPING),
    "tags, fifty": too_many(
        "tags", {f"key{number}": "" for number in range(50)}, "50 tags", "at most 49 tags"
    ),
    "tag key, empty": tag_key("", "1 to 128 characters, not 0"),
    "tag key, too long": tag_key("k" * 129, "1 to 128 characters, not 129"),
    "tag key, symbol": tag_key("Team!", TAG),
    "tag key, newline at the end": tag_key("Team\n", TAG),
    "tag key, tab": tag_key("a\tb", TAG),
    "tag key, NUL": tag_key("\0", TAG),
    "tag key, emoji": tag_key("\N{ROCKET}", TAG),
    "tag key, combining accent": tag_key("e\N{COMBINING ACUTE ACCENT}", TAG),
    "tag key, half of a surrogate pair": tag_key("\udc00", TAG),
    "tag key, reserved": tag_key("aws:cloudformation:stack-name", "reserved for AWS"),
    "tag key, reserved in capitals": tag_key("AWS:Team", "reserved for AWS"),
    "tag key, ours": tag_key("ManagedBy", "by which this library knows its own"),
    "tag key, ours in small letters": tag_key("managedby", "by which this library knows its own"),
    "tag key, twice but for case": Bad(
        "tags", {"Team": "a", "TEAM": "b"}, "by more than letter case", "tags key", "'TEAM'"
    ),
    "tag key, None": tag_key(None, STRING),
    "tag key, number": tag_key(1, STRING),
    "tag key, bytes": tag_key(b"Team", STRING),
    "tag value, too long": tag_value("v" * 257, "at most 256 characters, not 257"),
    "tag value, symbol": tag_value("R&D", TAG),
    "tag value, newline at the end": tag_value("x\n", TAG),
    "tag value, NUL": tag_value("\0", TAG),
    "tag value, emoji": tag_value("\N{ROCKET}", TAG),
    "tag value, half of a surrogate pair": tag_value("\ud800", TAG),
    "tag value, None": tag_value(None, STRING),
    "tag value, number": tag_value(1, STRING),
    "tag value, bool": tag_value(value=True, rule=STRING),
    "tag value, bytes": tag_value(b"x", STRING),
    "tag value, list": tag_value(["x"], STRING),
}

BAD_FOR_BOTH = BAD_POLICIES | BAD_PATHS | BAD_BOUNDARIES | BAD_TAGS
BAD_FOR_ROLES = (
    {f"role name, {name}": bad("role_name", *row) for name, row in BAD_NAMES.items()}
    | BAD_PROFILES
    | BAD_DESCRIPTIONS
    | BAD_DURATIONS
    | BAD_FOR_BOTH
)
BAD_FOR_USERS = {
    f"user name, {name}": bad("user_name", *row) for name, row in BAD_NAMES.items()
} | BAD_FOR_BOTH


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


@pytest.mark.parametrize("row", BAD_FOR_ROLES.values(), ids=BAD_FOR_ROLES)
def test_a_bad_intent_for_a_role_is_refused(row: Bad) -> None:
    """The error names argument, value and rule; it is an `IntentError` and a `ValueError`."""
    assert_refused(plan_agent_role, row)


@pytest.mark.parametrize("row", BAD_FOR_USERS.values(), ids=BAD_FOR_USERS)
def test_a_bad_intent_for_a_user_is_refused(row: Bad) -> None:
    """Users are checked as strictly as roles."""
    assert_refused(plan_agent_user, row)


def test_every_argument_has_bad_values() -> None:
    """More than 60 kinds of bad intent are tried, for every argument of both planners."""
    assert len(BAD_FOR_ROLES) > 60
    assert {row.argument for row in BAD_FOR_ROLES.values()} == set(arguments(plan_agent_role))
    assert {row.argument for row in BAD_FOR_USERS.values()} == set(arguments(plan_agent_user))


def arguments(plan: Callable[..., State]) -> list[str]:
    """List the arguments of a planner in order."""
    return list(inspect.signature(plan).parameters)


@pytest.mark.parametrize("plan", [plan_agent_role, plan_agent_user])
def test_all_problems_are_listed_in_the_order_of_arguments(plan: Callable[..., State]) -> None:
    """One refusal shows everything that is wrong, in the order in which arguments are written."""
    wrong = dict.fromkeys(arguments(plan), 1.5)
    problems = refuse(plan, **wrong).problems
    assert [problem.argument for problem in problems] == arguments(plan)


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
    "many tags": ("tags", {f"key{number}": "" for number in range(10_000)}),
}


@pytest.mark.parametrize(("argument", "value"), HUGE.values(), ids=HUGE)
def test_the_refusal_of_a_huge_value_is_short(argument: str, value: object) -> None:
    """However big the value, a line of the error can be read."""
    error = refuse(plan_agent_role, **{argument: value})
    assert all(len(line) < 400 for line in str(error).splitlines())
    assert all(len(problem.value) < 150 for problem in error.problems)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("policies", [1] * 10_000), ("tags", dict.fromkeys(range(10_000), "x"))],
    ids=["policies", "tags"],
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
    "policies that differ by path": ("policies", [OWN_ARN, OWN_ARN.replace("team", "other")]),
    "policies that differ by case": ("policies", [OWN_ARN, OWN_ARN.replace("own", "Own")]),
    "policy with a name of 128": ("policies", [f"arn:aws:iam::aws:policy/{'n' * 128}"]),
    "policy with a path of 512": ("policies", [f"arn:aws:iam::aws:policy/{'p' * 510}/own"]),
    "policy with an ARN of 2,048": ("policies", [f"arn:aws-{'x' * 2020}:iam::aws:policy/own"]),
    "policy for a service": ("policies", ["arn:aws:iam::aws:policy/service-role/AWSConfigRole"]),
    "boundary": ("permissions_boundary", OWN_ARN),
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
    assert not [*limits.size_problems("trust", document, len('{"Statement":[]}'))]
    (problem,) = limits.size_problems("trust", document, 15)
    assert problem.argument == "trust"
    assert problem.value == repr('{"Statement":[]}')
    assert problem.rule == "must have at most 15 characters besides white space, not 16"


def test_white_space_within_a_document_is_free() -> None:
    """White space takes no room, not even within strings."""
    document = Document.parse(" not a document \n")
    assert not [*limits.size_problems("trust", document, 12)]


def test_limits_are_those_of_iam() -> None:
    """The numbers are those of the IAM API reference and of the default quotas."""
    assert (limits.ROLE_NAME_LENGTH, limits.USER_NAME_LENGTH) == (64, 64)
    assert limits.INSTANCE_PROFILE_NAME_LENGTH == 128
    assert (limits.PATH_LENGTH, limits.DESCRIPTION_LENGTH, limits.ARN_LENGTH) == (512, 1000, 2048)
    assert (limits.TAGS, limits.TAG_KEY_LENGTH, limits.TAG_VALUE_LENGTH) == (50, 128, 256)
    assert (limits.ATTACHED_POLICIES, limits.TRUST_SIZE) == (10, 2048)
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
