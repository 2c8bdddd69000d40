"""Access to the parameters in which configurations lie: exactly what is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, Document, IntentError
from cwagent_iam.policies import (
    SSM_MANAGED_INSTANCE_POLICY,
    CustomerManagedPolicy,
    InlinePolicy,
    ecs_parameter_access,
    parameter_access,
)
from cwagent_iam.testing import sandbox, strict_iam
from tests.trusts import REGIONS

KEY = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
COVERED = ["AmazonCloudWatch-linux", "AmazonCloudWatch-", "/AmazonCloudWatch-web/agent"]

NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=20)
PARAMETERS = st.frozensets(
    NAMES | st.lists(NAMES, min_size=1, max_size=15).map(lambda parts: "/" + "/".join(parts)),
    max_size=6,
)


def golden(*statements: tuple[str, list[str], list[str]]) -> dict[str, Any]:
    """A document of statements, each given by its label, actions and resources."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": label, "Effect": "Allow", "Action": actions, "Resource": resources}
            for label, actions, resources in statements
        ],
    }


ANY = "arn:PARTITION:ssm:*:*:parameter"
READ = ["ssm:GetParameter"]
READ_AND_WRITE = ["ssm:GetParameter", "ssm:PutParameter"]
WRITE_KEY = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
GOLDEN: dict[str, tuple[list[str], dict[str, Any], dict[str, Any]]] = {
    "one to read": (["agent"], {}, golden(("Parameters", READ, [f"{ANY}/agent"]))),
    "several to read, sorted": (
        ["/web/agent", "agent"],
        {},
        golden(("Parameters", READ, [f"{ANY}/agent", f"{ANY}/web/agent"])),
    ),
    "to write": (
        ["agent"], {"write": True}, golden(("Parameters", READ_AND_WRITE, [f"{ANY}/agent"])),
    ),
    "one of two is covered": (
        ["AmazonCloudWatch-linux", "amazoncloudwatch-linux"],
        {},
        golden(("Parameters", READ, [f"{ANY}/amazoncloudwatch-linux"])),
    ),
    "to read, under a key": (
        ["agent"],
        {"kms_key_arn": KEY},
        golden(("Parameters", READ, [f"{ANY}/agent"]), ("ParameterKey", ["kms:Decrypt"], [KEY])),
    ),
    "to write, under a key": (
        ["agent"],
        {"write": True, "kms_key_arn": KEY},
        golden(
            ("Parameters", READ_AND_WRITE, [f"{ANY}/agent"]), ("ParameterKey", WRITE_KEY, [KEY])
        ),
    ),
    "covered, under a key": (
        ["AmazonCloudWatch-linux"],
        {"kms_key_arn": KEY},
        golden(("ParameterKey", ["kms:Decrypt"], [KEY])),
    ),
    "no policy that covers": (
        ["AmazonCloudWatch-linux"],
        {"policies": [CustomerManagedPolicy("least"), SSM_MANAGED_INSTANCE_POLICY]},
        golden(("Parameters", READ, [f"{ANY}/AmazonCloudWatch-linux"])),
    ),
    "no policy that covers writing": (
        ["AmazonCloudWatch-linux"],
        {"write": True, "policies": [SERVER_POLICY]},
        golden(("Parameters", READ_AND_WRITE, [f"{ANY}/AmazonCloudWatch-linux"])),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("parameters", "options", "expected"), GOLDEN.values(), ids=GOLDEN)
def test_state_holds_the_golden_document(
    parameters: list[str], options: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Element by element; it has no problems, and is equal however the names were ordered."""
    policy = parameter_access(parameters, **options)
    assert policy is not None
    assert policy.name == "CloudWatchAgentParameters"
    assert json.loads(policy.document.text) == expected
    assert not [*policy.problems()]
    again = parameter_access(tuple(reversed(parameters)), **options)
    assert again is not None
    assert (again, again.document.text) == (policy, policy.document.text)


@pytest.mark.parametrize("partition", REGIONS)
def test_iam_is_sent_the_golden_document(partition: str) -> None:
    """With the partition of the client, in which the sandbox takes it."""
    policy = parameter_access(["agent", "/web/agent"], write=True)
    assert policy is not None
    arns = [f"arn:{partition}:ssm:*:*:parameter/{name}" for name in ("agent", "web/agent")]
    text = policy.text(partition)
    assert json.loads(text) == golden(("Parameters", READ_AND_WRITE, arns))
    with sandbox(region=REGIONS[partition]) as session, strict_iam():
        iam = session.client("iam")
        iam.create_user(UserName="any")
        iam.put_user_policy(UserName="any", PolicyName=policy.name, PolicyDocument=text)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"write": True},
        {"policies": [SERVER_POLICY]},
        {"policies": (ADMIN_POLICY,)},
        {"policies": {ADMIN_POLICY, CustomerManagedPolicy("own")}, "write": True},
    ],
    ids=["read", "write", "server policy", "admin policy", "write, admin policy"],
)
def test_what_the_aws_managed_policies_cover_needs_nothing(options: dict[str, Any]) -> None:
    """Names that begin with ``AmazonCloudWatch-``: the note of the guide. So does no name."""
    assert parameter_access(COVERED, **options) is None
    assert parameter_access([], **options) is None


@given(PARAMETERS, st.booleans(), st.sampled_from([None, KEY]))
def test_exactly_the_parameters_are_allowed(
    parameters: frozenset[str],
    write: bool,  # noqa: FBT001 - drawn
    key: str | None,
) -> None:
    """One resource for each, no wildcard in its name; writing is allowed only where asked for."""
    parameters = frozenset(
        name for name in parameters if not (write and name.lower().startswith(("aws", "ssm")))
    )
    kms_key_arn = key if parameters else None
    policy = parameter_access(parameters, write=write, kms_key_arn=kms_key_arn)
    if policy is None:
        assert not parameters
        return
    statements = json.loads(policy.document.text)["Statement"]
    named = [arn for arn in statements[0]["Resource"] if arn.startswith(ANY)]
    assert set(named) == {f"{ANY}/{name.removeprefix('/')}" for name in parameters}
    assert ("ssm:PutParameter" in policy.document.text) is write
    assert ("kms:" in policy.document.text) is (kms_key_arn is not None)
    assert not [*policy.problems()]
    reading = parameter_access(parameters, kms_key_arn=kms_key_arn)
    assert reading is not None
    assert policy.document.allows(reading.document)


@given(PARAMETERS.filter(bool))
def test_fewer_parameters_are_fewer_rights(parameters: frozenset[str]) -> None:
    """The document of one of them alone names no other resource."""
    one = min(parameters)
    policy = parameter_access([one])
    assert policy == parameter_access({one})
    assert policy is not None
    assert policy.document.text.count(ANY) == 1


ECS_GOLDEN: dict[str, tuple[str | None, dict[str, Any]]] = {
    "no key": (
        None,
        golden(("Parameters", ["ssm:GetParameters"], [f"{ANY}/AmazonCloudWatch-ecs"])),
    ),
    "a key": (
        KEY,
        golden(
            ("Parameters", ["ssm:GetParameters"], [f"{ANY}/AmazonCloudWatch-ecs"]),
            ("ParameterKey", ["kms:Decrypt"], [KEY]),
        ),
    ),
}


@pytest.mark.parametrize(("key", "expected"), ECS_GOLDEN.values(), ids=ECS_GOLDEN)
def test_ecs_reads_by_another_action(key: str | None, expected: dict[str, Any]) -> None:
    """Its execution role has no policy that covers a name, so that all are named."""
    policy = ecs_parameter_access(["AmazonCloudWatch-ecs"], kms_key_arn=key)
    assert policy == InlinePolicy("CloudWatchAgentParametersForECS", expected)
    assert not [*policy.problems()]


def test_ecs_without_parameters_needs_nothing() -> None:
    """Then the configuration is somewhere else."""
    assert ecs_parameter_access(()) is None


LEVELS = "/".join(["", *(f"L{level}" for level in range(1, 16))])


@pytest.mark.parametrize(
    "name", ["a", "a" * 1011, "aB3_.-", "/a", LEVELS, "awsome", "ssm", "/aws/service/x"]
)
def test_a_good_name_is_taken(name: str) -> None:
    """Up to the last character and level; what AWS reserves may be read."""
    assert parameter_access([name]) is not None


BAD_NAMES: dict[str, tuple[Any, str]] = {
    "nothing": ("", "1 to 1011 characters"),
    "long": ("a" * 1012, "1 to 1011 characters"),
    "space": ("my agent", "ASCII letters"),
    "newline": ("agent\n", "ASCII letters"),
    "wildcard": ("agent*", "ASCII letters"),
    "one character of any": ("agent?", "ASCII letters"),
    "variable": ("${aws:username}", "ASCII letters"),
    "letter with an accent": ("\N{LATIN SMALL LETTER E WITH ACUTE}", "ASCII letters"),
    "version": ("agent:3", "ASCII letters"),
    "ARN": ("arn:aws:ssm:eu-west-1:123456789012:parameter/own", "not an ARN"),
    "hierarchy without its beginning": ("web/agent", "with / before each"),
    "slash at the end": ("/web/", "with / before each"),
    "empty level": ("/web//agent", "with / before each"),
    "only a slash": ("/", "with / before each"),
    "16 levels": (f"{LEVELS}/agent", "at most 15 levels, not 16"),
    "no text": (5, "must be a string"),
    "bytes": (b"agent", "must be a string"),
}


@pytest.mark.parametrize(("name", "rule"), BAD_NAMES.values(), ids=BAD_NAMES)
@pytest.mark.parametrize("access", [parameter_access, ecs_parameter_access])
def test_a_bad_name_is_refused(access: Any, name: Any, rule: str) -> None:
    """By its place; the good one before it is no problem."""
    with pytest.raises(IntentError) as refusal:
        access(["good", name])
    (problem,) = refusal.value.problems
    assert problem.argument == "parameters[1]"
    assert rule in problem.rule


@pytest.mark.parametrize("name", ["awsome", "SSM-own", "/aws/x", "/ssm/x", "AWS"])
def test_a_reserved_name_cannot_be_written(name: str) -> None:
    """AWS refuses to make such a parameter."""
    with pytest.raises(IntentError, match="which AWS reserves"):
        parameter_access([name], write=True)


@pytest.mark.parametrize(
    "parameters",
    ["agent", b"agent", {"agent": 1}, None, iter(["agent"])],
    ids=["text", "bytes", "mapping", "None", "iterator"],
)
def test_what_is_no_collection_is_refused(parameters: Any) -> None:
    """A name is no collection of its letters."""
    with pytest.raises(IntentError, match="even if it is only one") as refusal:
        parameter_access(parameters, kms_key_arn=KEY)
    assert [problem.argument for problem in refusal.value.problems] == ["parameters"]


def test_a_name_is_given_once() -> None:
    """Twice is a mistake that is worth a word."""
    with pytest.raises(IntentError, match="must be named only once"):
        parameter_access(["agent", "agent"])


BAD_KEYS: dict[str, Any] = {
    "id": "01234567-89ab-cdef-0123-456789abcdef",
    "alias": "alias/agent",
    "ARN of an alias": "arn:aws:kms:eu-west-1:123456789012:alias/agent",
    "wildcard": "arn:aws:kms:eu-west-1:123456789012:key/*",
    "any region": KEY.replace("eu-west-1", "*"),
    "another partition": KEY.replace("aws", "amazon"),
    "newline": f"{KEY}\n",
    "nothing": "",
    "no text": 5,
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_key_is_refused(key: Any) -> None:
    """Together with all else that is wrong."""
    with pytest.raises(IntentError) as refusal:
        parameter_access(["my agent"], kms_key_arn=key)
    arguments = [problem.argument for problem in refusal.value.problems]
    assert arguments == ["parameters[0]", "kms_key_arn"]
    assert "neither by alias nor by id" in refusal.value.problems[1].rule


def test_a_key_of_several_regions_and_of_any_partition_is_taken() -> None:
    """Its id begins with ``mrk-``; its ARN stays as it was given."""
    key = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0123456789abcdef0123456789abcdef"
    policy = parameter_access(["agent"], kms_key_arn=key)
    assert policy is not None
    assert key in policy.text("aws")


@pytest.mark.parametrize("access", [parameter_access, ecs_parameter_access])
def test_a_key_without_parameters_is_refused(access: Any) -> None:
    """It would be a right that nothing asked for."""
    with pytest.raises(IntentError, match="where there are no parameters"):
        access((), kms_key_arn=KEY)


def test_the_prefix_is_that_of_the_aws_managed_policies() -> None:
    """Of both: in the copies that the sandbox has, a name with it is allowed, and no other."""
    with sandbox() as session:
        iam = session.client("iam")
        for policy, action in ((SERVER_POLICY, "GetParameter"), (ADMIN_POLICY, "PutParameter")):
            version = iam.get_policy(PolicyArn=policy.arn("aws"))["Policy"]["DefaultVersionId"]
            held = iam.get_policy_version(PolicyArn=policy.arn("aws"), VersionId=version)
            document = Document.parse(held["PolicyVersion"]["Document"])
            assert "parameter/AmazonCloudWatch-*" in document.text
            assert f"ssm:{action}" in document.text
            assert document.text.count("arn:aws:ssm:") == 1
