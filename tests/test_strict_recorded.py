"""The strict IAM answers as AWS's did when it was recorded: status, code, text and members.

The recordings lie beside the repository, not in it; without them these tests skip. Each scene
below does again what was done then, and its replies are compared with the recorded ones. Names,
ids and dates are placeholders there: one that occurs twice must stand for one text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iam.models import SERVICE_NAME_CONVERSION

from cwagent_iam.testing import sandbox
from cwagent_iam.testing.strict import strict_iam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).parents[2] / "shared" / "recorded-iam"
SNAPSHOT = FOLDER / "iam.snapshot.json"
RECORDED: dict[str, Any] = (
    {
        name.partition("::")[2]: entry["recorded-content"]
        for name, entry in json.loads(SNAPSHOT.read_text()).items()
    }
    if SNAPSHOT.exists()
    else {}
)
pytestmark = pytest.mark.skipif(not RECORDED, reason=f"no recorded responses in {FOLDER}")

EC2 = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    ],
}
LISTED_EC2 = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["ec2.amazonaws.com"]},
            "Action": ["sts:AssumeRole"],
        },
    ],
}
LAMBDA = json.loads(json.dumps(EC2).replace("ec2", "lambda"))
ANYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
ENCODED = "arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Faaeeieije"
ENCODED_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["apigatway:PUT"],
            "Resource": [f"arn:aws:apigateway:us-east-1::/tags/{ENCODED}"],
        },
    ],
}
ACCOUNT = "111111111111"


class Scene:
    """What is done again, and what came back, by the labels of the recording."""

    def __init__(self, iam: Any) -> None:
        """Do it with the client *iam*."""
        self.iam = iam
        self.replies: dict[str, Any] = {}

    def __call__(self, label: str, operation: str, **members: Any) -> Any:
        """Send one request, and keep the reply under *label*."""
        try:
            reply = getattr(self.iam, operation)(**members)
        except ClientError as error:
            reply = error.response
        self.replies[label] = reply
        return reply


def update_trust(do: Scene) -> None:
    """Replace the trust of a role by the same."""
    document = json.dumps(LISTED_EC2)
    do("created_role", "create_role", RoleName="one", AssumeRolePolicyDocument=document)
    do("updated_policy", "update_assume_role_policy", RoleName="one", PolicyDocument=document)


def malformed_trust(do: Scene) -> None:
    """Create a role with a trust that is no JSON."""
    do("invalid-json", "create_role", RoleName="one", AssumeRolePolicyDocument='{"Version": }')


def described_role(do: Scene) -> None:
    """Create a role and read it."""
    create(do, "create_role_result", Path="/prefix/")
    do("get_role_result", "get_role", RoleName="one")
    do("list_roles_result", "list_roles", PathPrefix="/prefix/")


def role_with_boundary(do: Scene) -> None:
    """Give a role a boundary: lists do not show it."""
    policy = do.iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(ANYTHING))
    create(do, "created_role", Path="/prefix/")
    do.iam.put_role_permissions_boundary(
        RoleName="one",
        PermissionsBoundary=policy["Policy"]["Arn"],
    )
    do("list_roles_result", "list_roles", PathPrefix="/prefix/")


def role_lifecycle(do: Scene) -> None:
    """Create a role with a path, read it and delete it."""
    create(do, "create-role-response", LAMBDA, Path="/p/q/")
    do("get-role-response", "get_role", RoleName="one")
    do("delete-role-response", "delete_role", RoleName="one")


def role_with_tags(do: Scene) -> None:
    """Create a role with a tag and read it."""
    tags = [{"Key": "test", "Value": "value"}]
    create(do, "create-role-response", Path="/role-with-tags/", Tags=tags)
    do("get-role-response", "get_role", RoleName="one")
    do("list-role-response", "list_roles", PathPrefix="/role-with-tags/")


def attach_to(kind: str) -> Callable[[Scene], None]:
    """Attach what is there, what is not, and what is no ARN."""

    def scene(do: Scene) -> None:
        create(do, "-")
        do.iam.create_user(UserName="one")
        document = json.dumps(ANYTHING)
        reply = do(
            "create_policy_response",
            "create_policy",
            PolicyName="a-name-as-long-as-an-arn",
            PolicyDocument=document,
        )
        arn = reply["Policy"]["Arn"]
        for label, given in {
            "non_existent_malformed_policy_arn": "longpolicynamebutnoarn",
            "existing_policy_name_provided": "a-name-as-long-as-an-arn",
            "valid_arn_not_existent": f"{arn}123",
            "valid_policy_arn": arn,
        }.items():
            named = {f"{kind}Name": "one", "PolicyArn": given}
            do(label, f"attach_{kind.lower()}_policy", **named)

    return scene


def delete_absent_policy(do: Scene) -> None:
    """Delete a policy that does not exist."""
    arn = f"arn:aws:iam::{ACCOUNT}:policy/non-existent-policy"
    do("delete-non-existent-policy-exc", "delete_policy", PolicyArn=arn)


def encoded_role_policy(do: Scene) -> None:
    """Put percent signs into the documents of a role."""
    trust = json.loads(json.dumps(LAMBDA))
    trust["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceArn": ENCODED}}
    create(do, "create-role-response", trust, Path="/p/")
    document = json.dumps(ENCODED_POLICY)
    do.iam.put_role_policy(RoleName="one", PolicyName="p", PolicyDocument=document)
    do("get-policy-response", "get_role_policy", RoleName="one", PolicyName="p")
    do("get-role-response", "get_role", RoleName="one")
    do("list-roles-response", "list_roles", PathPrefix="/p/")


def encoded_user_policy(do: Scene) -> None:
    """Put percent signs into a document of a user."""
    do.iam.create_user(UserName="one")
    document = json.dumps(ENCODED_POLICY)
    do.iam.put_user_policy(UserName="one", PolicyName="p", PolicyDocument=document)
    do("get-policy-response", "get_user_policy", UserName="one", PolicyName="p")


def encoded_group_policy(do: Scene) -> None:
    """Put percent signs into a document of a group."""
    do.iam.create_group(GroupName="one")
    document = json.dumps(ENCODED_POLICY)
    do.iam.put_group_policy(GroupName="one", PolicyName="p", PolicyDocument=document)
    do("get-policy-response", "get_group_policy", GroupName="one", PolicyName="p")


def credential_lifecycle(service: str) -> Callable[[Scene], None]:
    """Create, list, update, reset and delete a credential of *service*."""

    def scene(do: Scene) -> None:
        number = credential(do, service)
        do(LIST + "before-update", "list_service_specific_credentials", UserName="one")
        named = {"UserName": "one", "ServiceSpecificCredentialId": number}
        do(
            "update-service-specific-credential-response",
            "update_service_specific_credential",
            **named,
            Status="Inactive",
        )
        do(LIST + "after-update", "list_service_specific_credentials", UserName="one")
        reset = "reset_service_specific_credential"
        do("reset-service-specific-credential-response", reset, **named)
        delete = "delete_service_specific_credential"
        do("delete-service-specific-credentials-response", delete, **named)

    return scene


LIST = "list-service-specific-credentials-response-"
CREATE = "create_service_specific_credential"
CODE_COMMIT = "codecommit.amazonaws.com"


def credential(do: Scene, service: str = CODE_COMMIT) -> Any:
    """Create a user and a credential; return its id."""
    do("create-user-response", "create_user", UserName="one")
    label = "create-service-specific-credential-response"
    reply = do(label, CREATE, UserName="one", ServiceName=service)
    return reply["ServiceSpecificCredential"]["ServiceSpecificCredentialId"]


def credential_of_nobody(do: Scene) -> None:
    """Name a user that does not exist, and a service that does not either."""
    name = "non-existent-user"
    do("invalid-user-name-exception", CREATE, UserName=name, ServiceName=CODE_COMMIT)
    do("invalid-user-and-service-exception", CREATE, UserName=name, ServiceName="none")


def credential_for_nothing(do: Scene) -> None:
    """Name services that have no such credentials."""
    do("create-user-response", "create_user", UserName="one")
    for label, service in {
        "invalid-service-exception": "nonexistentservice.amazonaws.com",
        "invalid-service-completely-malformed-exception": "o3on3n3onosneo",
        "invalid-service-existing-but-unsupported-exception": "lambda.amazonaws.com",
    }.items():
        do(label, CREATE, UserName="one", ServiceName=service)


def credentials_elsewhere(do: Scene) -> None:
    """List the credentials of services that the user has none of."""
    credential(do)
    operation = "list_service_specific_credentials"
    none = "nonexistentservice.amazonaws.com"
    label = "list-service-specific-credentials-invalid-service"
    do(label, operation, UserName="one", ServiceName=none)
    do(LIST + "wrong-service", operation, UserName="one", ServiceName="cassandra.amazonaws.com")


def delete_user_with_credential(do: Scene) -> None:
    """Delete a user that has a credential."""
    credential(do)
    do("delete-user-existing-credential", "delete_user", UserName="one")


def wrong_credential(number: str, suffix: str = "id", user: str = "one") -> Callable[[Scene], None]:
    """Update, reset and delete a credential that the user does not have."""

    def scene(do: Scene) -> None:
        own = credential(do)
        named = {"UserName": user, "ServiceSpecificCredentialId": number or own}
        for verb in ("update", "reset", "delete"):
            status = {"Status": "Inactive"} if verb == "update" else {}
            operation = f"{verb}_service_specific_credential"
            do(f"{verb}-wrong-{suffix}", operation, **named, **status)

    return scene


def wrong_status(do: Scene) -> None:
    """Give a credential a status that there is not."""
    number = credential(do)
    do(
        "update-invalid-status",
        "update_service_specific_credential",
        UserName="one",
        ServiceSpecificCredentialId=number,
        Status="Invalid",
    )


def wrong_suffix(service: str) -> Callable[[Scene], None]:
    """Create a service-linked role with a suffix."""

    def scene(do: Scene) -> None:
        do(
            "custom-suffix-not-allowed",
            "create_service_linked_role",
            AWSServiceName=service,
            CustomSuffix="suffix",
        )

    return scene


def taken_service_role(do: Scene) -> None:
    """Create a service-linked role that is there."""
    service = "batch.amazonaws.com"
    do.iam.create_service_linked_role(AWSServiceName=service)
    label = "role-already-exists-error"
    do(label, "create_service_linked_role", AWSServiceName=service)


def deleted_service_role(do: Scene) -> None:
    """Delete a service-linked role."""
    do.iam.create_service_linked_role(AWSServiceName="batch.amazonaws.com")
    label = "service-linked-role-deletion-"
    name = "AWSServiceRoleForBatch"
    reply = do(label + "response", "delete_service_linked_role", RoleName=name)
    status = "get_service_linked_role_deletion_status"
    do(label + "status-response", status, DeletionTaskId=reply["DeletionTaskId"])


def create(do: Scene, label: str, trust: Any = EC2, **members: Any) -> None:
    """Create the role that a scene is about."""
    document = json.dumps(trust)
    do(label, "create_role", RoleName="one", AssumeRolePolicyDocument=document, **members)


_CREDENTIALS = "TestIAMServiceSpecificCredentials::test_"
_EXTENSIONS = "TestIAMExtensions::test_"
_INTEGRATIONS = "TestIAMIntegrations::test_"
_SUFFIX = "TestIAMServiceRoles::test_service_role_lifecycle_custom_suffix_not_allowed"
SCENES: dict[str, Callable[[Scene], None]] = {
    "TestIAMIntegrations::test_update_assume_role_policy": update_trust,
    f"{_EXTENSIONS}create_role_with_malformed_assume_role_policy_document": malformed_trust,
    "TestIAMIntegrations::test_list_roles_with_permission_boundary": role_with_boundary,
    "TestIAMIntegrations::test_create_describe_role": described_role,
    "TestIAMIntegrations::test_role_attach_policy": attach_to("Role"),
    "TestIAMIntegrations::test_user_attach_policy": attach_to("User"),
    "TestIAMExtensions::test_role_with_path_lifecycle": role_lifecycle,
    "TestIAMPolicyEncoding::test_put_user_policy_encoding": encoded_user_policy,
    "TestIAMPolicyEncoding::test_put_role_policy_encoding": encoded_role_policy,
    "TestIAMPolicyEncoding::test_put_group_policy_encoding": encoded_group_policy,
    f"{_INTEGRATIONS}delete_non_existent_policy_returns_no_such_entity": delete_absent_policy,
    "TestRoles::test_role_with_tags": role_with_tags,
    **{
        f"{_CREDENTIALS}service_specific_credential_lifecycle[{service}]": credential_lifecycle(
            service
        )
        for service in (CODE_COMMIT, "cassandra.amazonaws.com")
    },
    f"{_CREDENTIALS}create_service_specific_credential_invalid_user": credential_of_nobody,
    f"{_CREDENTIALS}create_service_specific_credential_invalid_service": credential_for_nothing,
    f"{_CREDENTIALS}list_service_specific_credential_different_service": credentials_elsewhere,
    f"{_CREDENTIALS}delete_user_after_service_credential_created": delete_user_with_credential,
    **{
        f"{_CREDENTIALS}user_match_id_mismatch[{number}]": wrong_credential(number)
        for number in ("totally-wrong-credential-id-with-hyphens", "satisfiesregexbutstillinvalid")
    },
    f"{_CREDENTIALS}id_match_user_mismatch": wrong_credential("", "user-name", "wrong-user-name"),
    f"{_CREDENTIALS}invalid_update_parameters": wrong_status,
    **{
        name: wrong_suffix(name.partition("[")[2].removesuffix("]"))
        for name in RECORDED
        if name.startswith(_SUFFIX)
    },
    "TestIAMServiceRoles::test_service_role_already_exists": taken_service_role,
    "TestIAMServiceRoles::test_service_role_deletion": deleted_service_role,
}
# Of these moto knows neither the names of the roles nor their policies, or has no operation.
NOT_REPRODUCED = (
    "TestIAMServiceRoles::test_service_role_lifecycle[",
    "TestIAMServiceRoles::test_service_role_lifecycle_custom_suffix[",
    "TestIAMIntegrations::test_simulate_principle_policy[",
)


@pytest.fixture
def iam() -> Iterator[Any]:
    """A client that sends whatever it is told to, to a strict IAM."""
    as_told = Config(parameter_validation=False)
    names = {"batch": "Batch"}
    with (
        sandbox(account_id=ACCOUNT) as session,
        strict_iam(),
        # moto names the roles of few services as AWS does.
        patch.dict(SERVICE_NAME_CONVERSION, names),
    ):
        yield session.client("iam", config=as_told)


def differences(recorded: Any, actual: Any, bound: dict[str, str], where: str = "") -> list[str]:
    """List where *actual* is not what was *recorded*, and learn what placeholders stand for."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        found = [f"{where}: {sorted(recorded)} {sorted(actual)}"] * (
            recorded.keys() != actual.keys()
        )
        for key in recorded.keys() & actual.keys():
            found += differences(recorded[key], actual[key], bound, f"{where}.{key}")
        return found
    if isinstance(recorded, list) and isinstance(actual, list):
        if len(recorded) != len(actual):
            return [f"{where}: {recorded} {actual}"]
        pairs = zip(recorded, actual, strict=True)
        return [each for one, two in pairs for each in differences(one, two, bound, where)]
    if isinstance(recorded, str) and "<" in recorded:
        return [] if fits(recorded, str(actual), bound) else [f"{where}: {recorded} {actual}"]
    return [] if recorded == actual else [f"{where}: {recorded} {actual}"]


def fits(recorded: str, actual: str, bound: dict[str, str]) -> bool:
    """Match a text with placeholders."""
    parts = re.split("(<[^>]+>)", recorded)
    holders = parts[1::2]
    new = [each for each in holders if each == "<datetime>" or each not in bound]
    pattern = "".join("(.+)" if part in new else re.escape(bound.get(part, part)) for part in parts)
    match = re.fullmatch(pattern, actual)
    if match is None:
        return False
    bound.update(zip(new, match.groups(), strict=True))
    return True


def without_transport(reply: Any) -> Any:
    """Leave the status of the metadata."""
    status = {"HTTPStatusCode": reply["ResponseMetadata"]["HTTPStatusCode"]}
    kept = reply | {"ResponseMetadata": status}
    if "Error" in kept:
        # moto repeats the text in lower case, and botocore takes that for a member.
        error = {key: each for key, each in reply["Error"].items() if key != "message"}
        kept = {"Error": error, "ResponseMetadata": status}
    return kept


def learn(recorded: Any, actual: Any, bound: dict[str, str]) -> None:
    """Find what the placeholders stand for that are a whole text."""
    match recorded, actual:
        case dict(), dict():
            for key in recorded.keys() & actual.keys():
                learn(recorded[key], actual[key], bound)
        case list(), list():
            for one, two in zip(recorded, actual, strict=False):
                learn(one, two, bound)
        case str(), str() if re.fullmatch("<[^>]+>", recorded):
            bound.setdefault(recorded, actual)
        case _:
            pass


@pytest.mark.parametrize("name", SCENES, ids=str)
def test_the_answers_are_the_recorded_ones(name: str, iam: Any) -> None:
    """Each recorded reply comes again: status, code, text, and members with their values."""
    scene = Scene(iam)
    SCENES[name](scene)
    recorded = {label: without_transport(each) for label, each in RECORDED[name].items()}
    actual = {label: without_transport(scene.replies[label]) for label in recorded}
    bound: dict[str, str] = {}
    learn(recorded, actual, bound)
    assert differences(recorded, actual, bound) == []


def test_every_recording_is_used_or_known_not_to_be() -> None:
    """What was recorded has a scene here, unless moto has no way to play it."""
    left = [name for name in RECORDED if name not in SCENES]
    assert [name for name in left if not name.startswith(NOT_REPRODUCED)] == []


def test_the_comparison_sees_differences() -> None:
    """Another value, a missing member, a longer list, and a placeholder with two meanings."""
    bound: dict[str, str] = {}
    assert differences({"a": 1}, {"a": 2}, bound)
    assert differences({"a": 1}, {}, bound)
    assert differences(["a"], ["a", "b"], bound)
    assert not differences(["<n:1>"], ["x"], bound)
    assert differences(["<n:1>"], ["y"], bound)
