"""What the strict IAM refuses, with which code, HTTP status and text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iam.models import ManagedPolicy, iam_backends

from cwagent_iam.testing import sandbox
from cwagent_iam.testing.strict import strict_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
OWN = f"arn:aws:iam::{ACCOUNT}:policy/own"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
SERVICE_POLICY = f"arn:aws:iam::{ACCOUNT}:policy/aws-service-role/batch"
ABSENT = f"arn:aws:iam::{ACCOUNT}:policy/absent"
OTHER_ARN = f"arn:aws:iam::{ACCOUNT}:role/role"
TAG_PATTERN = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"
CONSTRAINT = "failed to satisfy constraint: Member must"
REFUSED = "1 validation error detected: Value at"
BEGUN = "User: arn:aws:sts::123456789012:user/moto is not authorized to perform: iam:"


def document(**changes: Any) -> str:
    """A policy; a change to `None` takes the element away."""
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"} | changes
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [kept]})


def trust(**changes: Any) -> str:
    """A role's trust; a change to `None` takes the element away."""
    ec2 = {"Service": "ec2.amazonaws.com"}
    return document(**({"Action": "sts:AssumeRole", "Principal": ec2, "Resource": None} | changes))


def trusting(**principal: Any) -> str:
    """A trust in *principal*."""
    return trust(Principal=principal)


def tags(*keys: str) -> list[dict[str, str]]:
    """Tags with these keys."""
    return [{"Key": key, "Value": ""} for key in keys]


def many(count: int) -> list[dict[str, str]]:
    """So many tags."""
    return tags(*(f"key-{index}" for index in range(count)))


@pytest.fixture(scope="module")
def iam() -> Iterator[Any]:
    """A client that sends what it is told to, and one entity of each kind."""
    as_told = Config(parameter_validation=False)
    with sandbox() as session, strict_iam(quotas={"RolePolicySizeQuota": 300}):
        iam: Any = session.client("iam", config=as_told)
        iam.create_policy(PolicyName="own", PolicyDocument=document())
        iam.create_role(RoleName="role", AssumeRolePolicyDocument=trust())
        iam.create_role(RoleName="outside", AssumeRolePolicyDocument=trust())
        iam.create_role(RoleName="full", AssumeRolePolicyDocument=trust())
        iam.create_instance_profile(InstanceProfileName="profile")
        iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="role")
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
        iam.create_user(UserName="user")
        iam.create_user(UserName="full")
        iam.create_group(GroupName="group")
        for verb, kind in (("attach", "role"), ("attach", "user")):
            for number in range(10):
                reply = iam.create_policy(PolicyName=f"{kind}{number}", PolicyDocument=document())
                given = {f"{kind.title()}Name": "full", "PolicyArn": reply["Policy"]["Arn"]}
                getattr(iam, f"{verb}_{kind}_policy")(**given)
        iam.tag_role(RoleName="full", Tags=many(50))
        iam.put_role_policy(RoleName="full", PolicyName="p", PolicyDocument=document())
        backend = iam_backends[ACCOUNT]["aws"]
        service: Any = ManagedPolicy
        policy = service("batch", ACCOUNT, "aws", path="/aws-service-role/")
        backend.managed_policies[policy.arn] = policy
        yield iam


ROLE = {"RoleName": "new", "AssumeRolePolicyDocument": trust()}
SHAPES = {
    "a name that is too long": (
        "create_role",
        ROLE | {"RoleName": "x" * 65},
        f"{REFUSED} 'roleName' {CONSTRAINT} have length less than or equal to 64",
    ),
    "a name that is too short": (
        "create_user",
        {"UserName": ""},
        (
            "2 validation errors detected: "
            f"Value at 'userName' {CONSTRAINT} have length greater than or equal to 1; "
            rf"Value at 'userName' {CONSTRAINT} satisfy regular expression pattern: [\w+=,.@-]+"
        ),
    ),
    "a letter beyond ASCII in a name": (
        "create_role",
        ROLE | {"RoleName": "rôle"},
        rf"{REFUSED} 'roleName' {CONSTRAINT} satisfy regular expression pattern: [\w+=,.@-]+",
    ),
    "a path that does not end": (
        "create_role",
        ROLE | {"Path": "/a"},
        (
            rf"{REFUSED} 'path' {CONSTRAINT} satisfy regular expression pattern: "
            r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)"
        ),
    ),
    "a long session": (
        "create_role",
        ROLE | {"MaxSessionDuration": 43_201},
        f"{REFUSED} 'maxSessionDuration' {CONSTRAINT} have value less than or equal to 43200",
    ),
    "a long description": (
        "update_role",
        {"RoleName": "role", "Description": "x" * 1001},
        f"{REFUSED} 'description' {CONSTRAINT} have length less than or equal to 1000",
    ),
    "51 tags at once": (
        "create_user",
        {"UserName": "new", "Tags": many(51)},
        f"{REFUSED} 'tags' {CONSTRAINT} have length less than or equal to 50",
    ),
    "an odd character in a tag's key": (
        "tag_role",
        {"RoleName": "role", "Tags": tags("ok", "a!")},
        (
            f"{REFUSED} 'tags.2.member.key' {CONSTRAINT} satisfy regular expression pattern: "
            f"{TAG_PATTERN}+"
        ),
    ),
    "an odd character in a tag's value": (
        "tag_role",
        {"RoleName": "role", "Tags": [{"Key": "a", "Value": "\t"}]},
        (
            f"{REFUSED} 'tags.1.member.value' {CONSTRAINT} satisfy regular expression pattern: "
            f"{TAG_PATTERN}*"
        ),
    ),
    "a status that there is not": (
        "update_access_key",
        {"UserName": "user", "AccessKeyId": "A" * 20, "Status": "Off"},
        f"{REFUSED} 'status' {CONSTRAINT} satisfy enum value set",
    ),
    "a status that only AWS sets": (
        "update_access_key",
        {"UserName": "user", "AccessKeyId": "A" * 20, "Status": "Expired"},
        f"{REFUSED} 'status' {CONSTRAINT} satisfy enum value set",
    ),
    "an ARN of something else": (
        "attach_role_policy",
        {"RoleName": "role", "PolicyArn": OTHER_ARN},
        f"ARN {OTHER_ARN} is not valid.",
    ),
    "no ARN": (
        "attach_user_policy",
        {"UserName": "user", "PolicyArn": "CloudWatchAgentServerPolicy"},
        "Invalid ARN:  Could not be parsed!",
    ),
    "a marker of somebody else's": ("list_roles", {"Marker": "100"}, "Invalid Marker."),
    "a marker in no known letters": ("list_roles", {"Marker": "é"}, "Invalid Marker."),
    "no name from somebody who is no user": (
        "create_access_key",
        {},
        "Must specify userName when calling with non-User credentials",
    ),
}


def refused(iam: Any, operation: str, members: dict[str, Any]) -> tuple[str, int, str]:
    """What IAM answers: code, status, text."""
    with pytest.raises(ClientError) as caught:
        getattr(iam, operation)(**members)
    reply = caught.value.response
    status = reply["ResponseMetadata"]["HTTPStatusCode"]
    return reply["Error"]["Code"], status, reply["Error"]["Message"]


@pytest.mark.parametrize(("operation", "members", "text"), SHAPES.values(), ids=SHAPES)
def test_what_breaks_a_constraint_is_a_validation_error(
    operation: str,
    members: dict[str, Any],
    text: str,
    iam: Any,
) -> None:
    """Lengths, ranges, patterns and choices are checked first, and named after the member."""
    assert refused(iam, operation, members) == ("ValidationError", 400, text)


MISSING = {
    "role": ("get_role", {"RoleName": "no"}, "The role with name no cannot be found."),
    "user": ("get_user", {"UserName": "no"}, "The user with name no cannot be found."),
    "group": ("get_group", {"GroupName": "no"}, "The group with name no cannot be found."),
    "profile": (
        "get_instance_profile",
        {"InstanceProfileName": "no"},
        "Instance Profile no cannot be found.",
    ),
    "role of a profile": (
        "list_instance_profiles_for_role",
        {"RoleName": "no"},
        "The role with name no cannot be found.",
    ),
    "role in a profile": (
        "remove_role_from_instance_profile",
        {"RoleName": "outside", "InstanceProfileName": "profile"},
        "Role outside in Instance Profile profile cannot be found.",
    ),
    "inline policy": (
        "get_role_policy",
        {"RoleName": "role", "PolicyName": "no"},
        "The role policy with name no cannot be found.",
    ),
    "inline policy of a user": (
        "delete_user_policy",
        {"UserName": "user", "PolicyName": "no"},
        "The user policy with name no cannot be found.",
    ),
    "login profile": (
        "get_login_profile",
        {"UserName": "user"},
        "Login Profile for User user cannot be found.",
    ),
    "policy to attach": (
        "attach_role_policy",
        {"RoleName": "role", "PolicyArn": ABSENT},
        f"Policy {ABSENT} does not exist or is not attachable.",
    ),
    "policy to detach": (
        "detach_role_policy",
        {"RoleName": "role", "PolicyArn": ABSENT},
        f"Policy {ABSENT} was not found.",
    ),
    "policy that is not attached": (
        "detach_role_policy",
        {"RoleName": "role", "PolicyArn": OWN},
        f"Policy {OWN} was not found.",
    ),
    "policy version": (
        "get_policy_version",
        {"PolicyArn": OWN, "VersionId": "v2"},
        f"Policy {OWN} version v2 does not exist or is not attachable.",
    ),
    "boundary": (
        "create_role",
        ROLE | {"PermissionsBoundary": ABSENT},
        f"Scope ARN: {ABSENT} does not exist or is not attachable.",
    ),
    "boundary of a user": (
        "put_user_permissions_boundary",
        {"UserName": "user", "PermissionsBoundary": ABSENT},
        f"Scope ARN: {ABSENT} does not exist or is not attachable.",
    ),
    "access key": (
        "delete_access_key",
        {"UserName": "user", "AccessKeyId": "A" * 20},
        f"The Access Key with id {'A' * 20} cannot be found.",
    ),
}


@pytest.mark.parametrize(("operation", "members", "text"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_named(
    operation: str,
    members: dict[str, Any],
    text: str,
    iam: Any,
) -> None:
    """IAM says what there is not, in a text for each kind."""
    assert refused(iam, operation, members) == ("NoSuchEntity", 404, text)


TAKEN = {
    "role": ("create_role", ROLE | {"RoleName": "ROLE"}, "Role with name ROLE already exists."),
    "role elsewhere": (
        "create_role",
        ROLE | {"RoleName": "role", "Path": "/elsewhere/"},
        "Role with name role already exists.",
    ),
    "user": ("create_user", {"UserName": "User"}, "User with name User already exists."),
    "new name of a user": (
        "update_user",
        {"UserName": "user", "NewUserName": "FULL"},
        "User with name FULL already exists.",
    ),
    "group": ("create_group", {"GroupName": "Group"}, "Group with name Group already exists."),
    "profile": (
        "create_instance_profile",
        {"InstanceProfileName": "Profile"},
        "Instance Profile Profile already exists.",
    ),
    "policy": (
        "create_policy",
        {"PolicyName": "OWN", "PolicyDocument": document(), "Path": "/elsewhere/"},
        "A policy called OWN already exists. Duplicate names are not allowed.",
    ),
}


@pytest.mark.parametrize(("operation", "members", "text"), TAKEN.values(), ids=TAKEN)
def test_a_name_is_taken_in_any_path_and_letter_case(
    operation: str,
    members: dict[str, Any],
    text: str,
    iam: Any,
) -> None:
    """Names are unique in their kind."""
    assert refused(iam, operation, members) == ("EntityAlreadyExists", 409, text)


NO_PRINCIPAL = "Missing required field Principal"
WRONG_ACTION = "AssumeRole policy may only specify STS AssumeRole actions."
SYNTAX = "Syntax errors in policy."
UNKNOWN = [
    f"arn:aws:iam::{ACCOUNT}:role/absent",
    f"arn:aws:iam::{ACCOUNT}:user/absent",
    "arn:aws:iam::210987654321:role/role",
    f"arn:aws-cn:iam::{ACCOUNT}:root",
    f"arn:aws:iam::{ACCOUNT}:role/*",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/absent/session",
    f"arn:aws:sts::{ACCOUNT}:assumed-role/role",
    f"arn:aws:sts::{ACCOUNT}:other/role/session",
    "arn:aws:sts::210987654321:assumed-role/role/session",
    "AROAAAAAAAAAAAAAAAAAA",
    "somebody",
]
TRUSTS = {
    "no JSON": ("{", "This policy contains invalid Json"),
    "a list": ("[]", SYNTAX),
    "no statement": ('{"Version": "2012-10-17"}', SYNTAX),
    "an empty list of statements": ('{"Statement": []}', SYNTAX),
    "an odd version": (trust().replace("2012", "2013"), SYNTAX),
    "an odd element": (trust(Actor="x"), SYNTAX),
    "an odd effect": (trust(Effect="Maybe"), SYNTAX),
    "an odd kind of principal": (trusting(Nobody="x"), SYNTAX),
    "a number for a principal": (trusting(AWS=1), SYNTAX),
    "a resource": (trust(Resource="*"), "Has prohibited field Resource"),
    "what is no resource": (trust(NotResource="*"), "Has prohibited field NotResource"),
    "no principal": (trust(Principal=None), NO_PRINCIPAL),
    "an empty principal": (trust(Principal={}), NO_PRINCIPAL),
    "no action": (trust(Action=None), "Missing required field Action"),
    "another action": (trust(Action=["sts:AssumeRole", "s3:GetObject"]), WRONG_ACTION),
    "another action of STS": (trust(Action="sts:GetCallerIdentity"), WRONG_ACTION),
    "every action": (trust(Action="*"), WRONG_ACTION),
    "every other action": (trust(Action=None, NotAction="sts:TagSession"), WRONG_ACTION),
    "no service": (
        trusting(Service="ec2"),
        'Invalid principal in policy: "SERVICE":"ec2"',
    ),
    **{
        f"unknown {each}": (trusting(AWS=each), f'Invalid principal in policy: "AWS":"{each}"')
        for each in UNKNOWN
    },
}


@pytest.mark.parametrize(("text", "problem"), TRUSTS.values(), ids=TRUSTS)
def test_a_bad_trust_is_malformed(text: str, problem: str, iam: Any) -> None:
    """It is refused at creation and in an update, in the same words."""
    expected = ("MalformedPolicyDocument", 400, problem)
    assert refused(iam, "create_role", ROLE | {"AssumeRolePolicyDocument": text}) == expected
    update = {"RoleName": "role", "PolicyDocument": text}
    assert refused(iam, "update_assume_role_policy", update) == expected


DOCUMENTS = {
    "a principal": (document(Principal="*"), "Policy document should not specify a principal."),
    "an odd Sid": (
        document(Sid="a b"),
        (
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*"
        ),
    ),
    "no JSON": ("{", SYNTAX),
    "a list": ("[]", SYNTAX),
    "statements that are none": ('{"Version": "2012-10-17", "Statement": [1]}', SYNTAX),
    "one statement without a list": (
        json.dumps({"Version": "2012-10-17", "Statement": {"Sid": "!", "Effect": "Allow"}}),
        (
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*"
        ),
    ),
}


@pytest.mark.parametrize(("text", "problem"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_bad_policy_is_malformed(text: str, problem: str, iam: Any) -> None:
    """Inline and managed policies follow the same rules."""
    expected = ("MalformedPolicyDocument", 400, problem)
    inline = {"RoleName": "role", "PolicyName": "p", "PolicyDocument": text}
    assert refused(iam, "put_role_policy", inline) == expected
    managed = {"PolicyName": "p", "PolicyDocument": text}
    assert refused(iam, "create_policy", managed) == expected


LONG = document(Resource=[f"arn:aws:s3:::{index:0200}" for index in range(40)])
LIMITS = {
    "policies of a role": (
        "attach_role_policy",
        {"RoleName": "full", "PolicyArn": OWN},
        "Cannot exceed quota for PoliciesPerRole: 10",
    ),
    "policies of a user": (
        "attach_user_policy",
        {"UserName": "full", "PolicyArn": OWN},
        "Cannot exceed quota for PoliciesPerUser: 10",
    ),
    "tags": (
        "tag_role",
        {"RoleName": "full", "Tags": tags("one more")},
        "The number of tags has reached the maximum limit.",
    ),
    "trust": (
        "create_role",
        ROLE | {"AssumeRolePolicyDocument": trusting(AWS=[ACCOUNT] * 200)},
        "Cannot exceed quota for ACLSizePerRole: 2048",
    ),
    "managed policy": (
        "create_policy",
        {"PolicyName": "p", "PolicyDocument": LONG},
        "Cannot exceed quota for PolicySize: 6144",
    ),
    "inline policies of a role": (
        "put_role_policy",
        {
            "RoleName": "full",
            "PolicyName": "q",
            "PolicyDocument": document(Resource=["a:b:c:d:e:f" + "x" * 190]),
        },
        "Maximum policy size of 300 bytes exceeded for role full",
    ),
    "inline policies of a user": (
        "put_user_policy",
        {"UserName": "user", "PolicyName": "p", "PolicyDocument": LONG},
        "Maximum policy size of 2048 bytes exceeded for user user",
    ),
    "roles of a profile": (
        "add_role_to_instance_profile",
        {"RoleName": "role", "InstanceProfileName": "profile"},
        "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
    ),
}


@pytest.mark.parametrize(("operation", "members", "text"), LIMITS.values(), ids=LIMITS)
def test_quotas_hold(operation: str, members: dict[str, Any], text: str, iam: Any) -> None:
    """What is too much is refused, with the account's figure."""
    assert refused(iam, operation, members) == ("LimitExceeded", 409, text)


SERVICE_ROLE = "AWSServiceRoleForAutoScaling"
PROTECTED = (
    f"Cannot perform the operation on the protected role '{SERVICE_ROLE}' - "
    "this role is only modifiable by AWS"
)
FOLDED = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
RESERVED = "Tag keys that begin with aws: are reserved for AWS."
ON_THE_SERVICE_ROLE = {"RoleName": SERVICE_ROLE}
OTHERS = {
    "one key in two cases": (
        "create_user",
        {"UserName": "new", "Tags": tags("Team", "team")},
        ("InvalidInput", 400, FOLDED),
    ),
    "one key of a policy twice": (
        "tag_policy",
        {"PolicyArn": OWN, "Tags": tags("a", "a")},
        ("InvalidInput", 400, "Duplicate tag keys found."),
    ),
    "a key of AWS's": (
        "tag_instance_profile",
        {"InstanceProfileName": "profile", "Tags": tags("AWS:x")},
        ("InvalidInput", 400, RESERVED),
    ),
    "a key of AWS's to take away": (
        "untag_user",
        {"UserName": "user", "TagKeys": ["aws:x"]},
        ("InvalidInput", 400, RESERVED),
    ),
    "a boundary that is no policy": (
        "put_role_permissions_boundary",
        {"RoleName": "role", "PermissionsBoundary": OTHER_ARN},
        ("InvalidInput", 400, f"ARN {OTHER_ARN} is not valid."),
    ),
    "a path of AWS's": (
        "create_role",
        ROLE | {"Path": "/aws-service-role/x/"},
        (
            "InvalidInput",
            400,
            "The path /aws-service-role/ is reserved for service-linked roles.",
        ),
    ),
    "a policy for service-linked roles": (
        "attach_role_policy",
        {"RoleName": "role", "PolicyArn": SERVICE_POLICY},
        ("PolicyNotAttachable", 400, "Cannot attach a Service Role Policy to a Customer Role."),
    ),
    "a policy on a service-linked role": (
        "attach_role_policy",
        ON_THE_SERVICE_ROLE | {"PolicyArn": OWN},
        ("UnmodifiableEntity", 400, PROTECTED),
    ),
    "another session on a service-linked role": (
        "update_role",
        ON_THE_SERVICE_ROLE | {"MaxSessionDuration": 7200},
        ("UnmodifiableEntity", 400, PROTECTED),
    ),
    "the end of a service-linked role": (
        "delete_role",
        ON_THE_SERVICE_ROLE,
        ("UnmodifiableEntity", 400, PROTECTED),
    ),
    "a version of AWS's policy": (
        "create_policy_version",
        {"PolicyArn": SERVER, "PolicyDocument": document()},
        ("AccessDenied", 403, f"{BEGUN}CreatePolicyVersion on resource: policy {SERVER}"),
    ),
    "the end of AWS's policy": (
        "delete_policy",
        {"PolicyArn": SERVER},
        ("AccessDenied", 403, "Cannot delete policies outside your own account."),
    ),
    "the use of an unknown key": (
        "get_access_key_last_used",
        {"AccessKeyId": "A" * 20},
        (
            "AccessDenied",
            403,
            f"{BEGUN}GetAccessKeyLastUsed on resource: access key {'A' * 20}".replace(
                "perform: ",
                "perform ",
            ),
        ),
    ),
}


@pytest.mark.parametrize(("operation", "members", "answer"), OTHERS.values(), ids=OTHERS)
def test_other_rules_hold(
    operation: str,
    members: dict[str, Any],
    answer: tuple[str, int, str],
    iam: Any,
) -> None:
    """Each with its own code."""
    assert refused(iam, operation, members) == answer
