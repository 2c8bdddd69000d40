"""Bad intents, one rule broken in each, and what the refusal must say of it."""

from __future__ import annotations

import decimal
from typing import Any

import attrs

from cwagent_iam import SERVER_POLICY
from cwagent_iam.limits import Quotas
from cwagent_iam.policies import InlinePolicy, ManagedPolicy
from cwagent_iam.trust import EC2, EC2_TRUST, IRSA, CrossAccount, CustomTrust, ECSTask, SSMHybrid

ARN = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ARN_IN_CHINA = "arn:aws-cn:iam::aws:policy/CloudWatchAgentServerPolicy"
OWN_ARN = "arn:aws:iam::123456789012:policy/team/own"
LINKED_ARN = "arn:aws:iam::aws:policy/aws-service-role/AWSSupportServiceRolePolicy"
ROLE_ARN = "arn:aws:iam::123456789012:role/own"
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
ACCENTED = "\N{LATIN SMALL LETTER E WITH ACUTE}"  # a letter, and a word character to Python's \\w
OTHER_DIGIT = "\N{ARABIC-INDIC DIGIT ONE}"  # a digit to Python's \\d


def document(action: str = "s3:GetObject", resource: str = "*") -> dict[str, Any]:
    """Write a policy document that allows one action."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def inline(size: int, name: str = "Own") -> InlinePolicy:
    """Return an inline policy of so many characters besides white space."""
    shortest = InlinePolicy(name, document(resource="arn:aws:s3:::")).size
    return InlinePolicy(name, document(resource=f"arn:aws:s3:::{'x' * (size - shortest)}"))


def trust_of(size: int) -> CustomTrust:
    """Return a trust of so many characters besides white space, where it is shortest."""
    content = {"Version": "2012-10-17", "Id": "", "Statement": [_trusting(ROLE_ARN)]}
    shortest = CustomTrust(content).document().size
    return CustomTrust(content | {"Id": "x" * (size - shortest)})


def _trusting(principal: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}


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
TRUST = "must be EC2(), another place where the agent runs, or CustomTrust(document)"
FOR_ECS = "must be ECSTask(): nobody but ECS uses this role"
SEVERAL = "must be a tuple, a list or a set of policies"
POLICY = "must be a ManagedPolicy or the ARN of one"
POLICY_ARN = "must be the ARN of a managed policy: arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"
PROFILE = "must be True, False, None or the name of a profile"
POLICY_FORM = "arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"
PATH = "must be / or begin and end with /, in printable ASCII without spaces"
LATIN = "tab, line feed, carriage return and printable Latin-1 characters only"
SECONDS = "must be a whole number of seconds"
RANGE = "must be 3600 to 43200 seconds"
SEVERAL_INLINE = "must be a tuple, a list or a set of InlinePolicy"
SEVERAL_NAMES = "must be a tuple, a list or a set of names"
PARAMETER = "must be a name, not an ARN"
KEY = "must be the ARN of a key"
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
    "path, of service-linked roles": bad(
        "path", "/aws-service-role/x/", "where only AWS services create roles"
    ),
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
    "tag key, ours": tag_key("ManagedBy", "the tag of managed entities"),
    "tag key, ours in small letters": tag_key("managedby", "the tag of managed entities"),
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


def inline_part(part: str, policy: object, rule: str, shown: str) -> Bad:
    """One inline policy that is bad in some *part*."""
    return Bad("inline_policies", [policy], rule, f"inline_policies[0]{part}", shown)


NOTHING: Any = None
BAD_TRUSTS = {
    "trust, None": bad("trust", None, TRUST),
    "trust, name of a service": bad("trust", "ec2.amazonaws.com", TRUST),
    "trust, class": bad("trust", EC2, TRUST),
    "trust, mapping": bad("trust", {"Version": "2012-10-17"}, TRUST),
    "trust, document": bad("trust", EC2_TRUST, TRUST),
    "trust, several": bad("trust", (EC2(), ECSTask()), TRUST),
    "trust, bad account": Bad(
        "trust", SSMHybrid("1"), "a string of 12 digits", "trust.account_id", "'1'"
    ),
    "trust, bad issuer": Bad("trust", IRSA("x"), "OIDC provider", "trust.oidc_provider", "'x'"),
    "trust, nobody": Bad("trust", CrossAccount(()), "somebody", "trust.principals", "set()"),
    "trust, no document": Bad(
        "trust", CustomTrust("{"), "must be a policy document", "trust.document", "'{'"
    ),
    "trust, too long": Bad(
        "trust",
        trust_of(2049),
        "at most 2048 characters besides white space (AssumeRolePolicySizeQuota; if AWS has raised",
        "trust",
        "2049 characters besides white space",
    ),
}
BAD_TRUSTS_FOR_ECS = {
    "trust, None": bad("trust", None, FOR_ECS),
    "trust, another place": bad("trust", EC2(), FOR_ECS),
    "trust, class": bad("trust", ECSTask, FOR_ECS),
    "trust, custom": bad("trust", CustomTrust(ECSTask().document()), FOR_ECS),
    "trust, bad account": Bad(
        "trust", ECSTask("1"), "a string of 12 digits", "trust.account_id", "'1'"
    ),
    "trust, bad region": Bad(
        "trust", ECSTask("123456789012", region="x"), "a region", "trust.region", "'x'"
    ),
}

OWN = InlinePolicy("Own", document())
BAD_INLINE = {
    "inline, None": bad("inline_policies", None, SEVERAL_INLINE),
    "inline, one": bad("inline_policies", OWN, SEVERAL_INLINE),
    "inline, name": bad("inline_policies", "Own", SEVERAL_INLINE),
    "inline, bytes": bad("inline_policies", b"", SEVERAL_INLINE),
    "inline, mapping": bad("inline_policies", {"Own": "{}"}, SEVERAL_INLINE),
    "inline, generator": bad("inline_policies", (each for each in [OWN]), SEVERAL_INLINE),
    "inline, document alone": inline_part("", "{}", "must be an InlinePolicy", "'{}'"),
    "inline, managed": inline_part(
        "", SERVER_POLICY, "must be an InlinePolicy", "ManagedPolicy(name='Cl"
    ),
    "inline, bad name": inline_part(
        ".name", InlinePolicy("my own", document()), "1 to 128 characters", "'my own'"
    ),
    "inline, no document": inline_part(
        ".document", InlinePolicy("Own", NOTHING), "must be JSON", "None"
    ),
    "inline, no JSON": inline_part(
        ".document", InlinePolicy("Own", "{"), "must be a policy document", "'{'"
    ),
    "inline, bad action": inline_part(
        ".document statement 0 Action",
        InlinePolicy("Own", document(action="GetObject")),
        "must be an action",
        "'GetObject'",
    ),
    "inline, one name twice": Bad(
        "inline_policies",
        [OWN, attrs.evolve(OWN, name="OWN")],
        "by more than letter case",
        "inline_policies[1].name",
        "'OWN'",
    ),
    "inline, too long": too_many(
        "inline_policies", [inline(10_241)], "10241 characters", "must be at most "
    ),
    "inline, too long together": too_many(
        "inline_policies",
        [inline(5000, "A"), inline(5241, "B")],
        "10241 characters",
        "must be at most ",
    ),
}


def parameter(value: object, rule: str) -> Bad:
    """One name of a parameter that is bad."""
    return Bad("parameters", [value], rule, "parameters[0]", repr(value)[:15])


BAD_PARAMETERS = {
    "parameters, None": bad("parameters", None, SEVERAL_NAMES),
    "parameters, one": bad("parameters", "agent", SEVERAL_NAMES),
    "parameters, bytes": bad("parameters", b"agent", SEVERAL_NAMES),
    "parameters, mapping": bad("parameters", {"agent": ""}, SEVERAL_NAMES),
    "parameters, generator": bad("parameters", (each for each in ["agent"]), SEVERAL_NAMES),
    "parameters, same twice": Bad(
        "parameters", ["agent", "agent"], "only once", "parameters[1]", "'agent'"
    ),
    "parameters, too many": too_many(
        "parameters", [f"agent-{number:04}" for number in range(1000)], "3", "must be at most "
    ),
    "parameter, None": parameter(None, STRING),
    "parameter, number": parameter(1, STRING),
    "parameter, bytes": parameter(b"agent", STRING),
    "parameter, empty": parameter("", "1 to 1011 characters, not 0"),
    "parameter, too long": parameter("p" * 1012, "1 to 1011 characters, not 1012"),
    "parameter, ARN": parameter("arn:aws:ssm:eu-west-1:123456789012:parameter/agent", PARAMETER),
    "parameter, wildcard": parameter("AmazonCloudWatch-*", PARAMETER),
    "parameter, slash at the end": parameter("/agent/", PARAMETER),
    "parameter, no slash before": parameter("team/agent", PARAMETER),
    "parameter, newline at the end": parameter("agent\n", PARAMETER),
    "parameter, accented letter": parameter(ACCENTED, PARAMETER),
    "parameter, 16 levels": parameter("/p" * 16, "at most 15 levels, not 16"),
}

BAD_KEYS = {
    "key, without parameters": bad("kms_key_arn", KEY_ARN, "where there are no parameters"),
    "key, empty": bad("kms_key_arn", "", KEY),
    "key, alias": bad("kms_key_arn", "alias/agent", KEY),
    "key, ARN of an alias": bad("kms_key_arn", KEY_ARN.replace("key/", "alias/"), KEY),
    "key, id": bad("kms_key_arn", KEY_ARN.rpartition("/")[2], KEY),
    "key, any region": bad("kms_key_arn", KEY_ARN.replace("eu-west-1", "*"), KEY),
    "key, newline at the end": bad("kms_key_arn", f"{KEY_ARN}\n", KEY),
    "key, bytes": bad("kms_key_arn", KEY_ARN.encode(), KEY),
    "key, number": bad("kms_key_arn", 1, KEY),
    "key, bool": bad("kms_key_arn", value=False, rule=KEY),
}

BAD_QUOTAS = {
    "quotas, None": bad("quotas", None, "must be Quotas"),
    "quotas, number": bad("quotas", 10, "must be Quotas"),
    "quotas, class": bad("quotas", Quotas, "must be Quotas"),
    "quotas, as AWS writes them": bad("quotas", {"RolesQuota": 1000}, "must be Quotas"),
}

WRITTEN = "must not begin with aws or ssm, which AWS reserves"
BAD_FOR_ADMINS = {
    "parameter, reserved": parameter("awsome", WRITTEN),
    "parameter, reserved in capitals": parameter("SSM", WRITTEN),
    "parameter, reserved path": parameter("/aws/agent", WRITTEN),
}

BAD_FOR_ALL = (
    BAD_POLICIES
    | BAD_INLINE
    | BAD_PARAMETERS
    | BAD_KEYS
    | BAD_PATHS
    | BAD_BOUNDARIES
    | BAD_TAGS
    | BAD_QUOTAS
)
BAD_FOR_ALL_ROLES = (
    {f"role name, {name}": bad("role_name", *row) for name, row in BAD_NAMES.items()}
    | BAD_DESCRIPTIONS
    | BAD_DURATIONS
    | BAD_FOR_ALL
)
BAD_FOR_USERS = {
    f"user name, {name}": bad("user_name", *row) for name, row in BAD_NAMES.items()
} | BAD_FOR_ALL
BAD: dict[str, dict[str, Bad]] = {
    "plan_admin_role": BAD_FOR_ALL_ROLES | BAD_PROFILES | BAD_FOR_ADMINS,
    "plan_admin_user": BAD_FOR_USERS | BAD_FOR_ADMINS,
    "plan_agent_role": BAD_FOR_ALL_ROLES | BAD_PROFILES | BAD_TRUSTS,
    "plan_agent_user": BAD_FOR_USERS,
    "plan_ecs_execution_role": BAD_FOR_ALL_ROLES | BAD_TRUSTS_FOR_ECS,
}
"""By the name of the planner."""
