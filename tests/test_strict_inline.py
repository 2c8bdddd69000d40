"""What the strict IAM says of inline policies, of boundaries, and of what is AWS's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

from cwagent_iam.testing import sandbox, strict_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SERVICE_ROLE = "AWSServiceRoleForAutoScaling"
EC2_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
TEMPLATE = {"TemplateArn": "arn:aws:iam::aws:role-template/Agent/1", "TemplateMinorVersion": 3}


def document(*statements: dict[str, Any], version: str | None = "2012-10-17") -> str:
    """A policy of these statements; without a version if it is `None`."""
    parts: dict[str, Any] = {"Version": version} if version else {}
    return json.dumps(parts | {"Statement": list(statements or (ALLOW,))})


def sized(size: int) -> str:
    """A policy of so many characters, white space not counted."""
    text = document(ALLOW | {"Resource": "arn:aws:s3:::"})
    short = size - sum(not each.isspace() for each in text)
    return text.replace("arn:aws:s3:::", f"arn:aws:s3:::{'x' * short}")


def answer(iam: Any, operation: str, **members: Any) -> tuple[str, int, str]:
    """Code, status and text of a refusal; ``ok`` if there is none."""
    try:
        reply = getattr(iam, operation)(**members)
    except ClientError as error:
        reply = error.response
    found = reply.get("Error", {"Code": "ok", "Message": ""})
    return found["Code"], reply["ResponseMetadata"]["HTTPStatusCode"], found["Message"]


OK = ("ok", 200, "")
KINDS = ["role", "user"]
QUOTAS = {"role": 10_240, "user": 2_048}


@pytest.fixture
def iam() -> Iterator[Any]:
    """A client that sends what it is told to, with a role, a user and a service-linked role."""
    with sandbox() as session, strict_iam():
        iam: Any = session.client("iam", config=Config(parameter_validation=False))
        iam.create_role(RoleName="it", AssumeRolePolicyDocument=EC2_TRUST)
        iam.create_user(UserName="it")
        iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
        yield iam


def of(kind: str, name: str = "it") -> dict[str, str]:
    """How a request names a role or user."""
    return {f"{kind.title()}Name": name}


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_quota_is_for_all_inline_policies_together(kind: str, iam: Any) -> None:
    """What fits to the character is taken, one character more is not; no two entities share."""
    most = QUOTAS[kind]
    full = f"Maximum policy size of {most} bytes exceeded for {kind} it"
    put = f"put_{kind}_policy"
    parts = {"a": sized(most - 500), "b": sized(500)}
    for name, text in parts.items():
        assert answer(iam, put, **of(kind), PolicyName=name, PolicyDocument=text) == OK
    more = {"PolicyName": "c", "PolicyDocument": sized(100)}
    assert answer(iam, put, **of(kind), **more) == ("LimitExceeded", 409, full)
    other = next(each for each in KINDS if each != kind)
    assert answer(iam, f"put_{other}_policy", **of(other), **more) == OK
    assert getattr(iam, f"list_{kind}_policies")(**of(kind))["PolicyNames"] == ["a", "b"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_that_is_replaced_does_not_count(kind: str, iam: Any) -> None:
    """Only its new size does, which may be one character too many."""
    most = QUOTAS[kind]
    put = f"put_{kind}_policy"
    sizes = [most, most - 1, most, most + 1]
    answers = [
        answer(iam, put, **of(kind), PolicyName="a", PolicyDocument=sized(size)) for size in sizes
    ]
    assert [code for code, _, _ in answers] == ["ok", "ok", "ok", "LimitExceeded"]


@pytest.mark.parametrize("kind", KINDS)
def test_white_space_does_not_count(kind: str, iam: Any) -> None:
    """A document may be longer than the quota by as much white space as it has."""
    text = json.dumps(json.loads(sized(QUOTAS[kind])), indent=40)
    assert len(text) > QUOTAS[kind] + 100
    put = {"PolicyName": "a", "PolicyDocument": text}
    assert answer(iam, f"put_{kind}_policy", **of(kind), **put) == OK


def test_managed_policies_do_not_count(iam: Any) -> None:
    """A role has its ten managed policies beside as much as may lie in it."""
    for number in range(10):
        made = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=sized(6_144))
        iam.attach_role_policy(RoleName="it", PolicyArn=made["Policy"]["Arn"])
    put = {"PolicyName": "a", "PolicyDocument": sized(10_240)}
    assert answer(iam, "put_role_policy", **of("role"), **put) == OK
    eleventh = answer(iam, "attach_role_policy", **of("role"), PolicyArn=READ_ONLY)
    assert eleventh == ("LimitExceeded", 409, "Cannot exceed quota for PoliciesPerRole: 10")
    again = f"arn:aws:iam::{ACCOUNT}:policy/p0"
    assert answer(iam, "attach_role_policy", **of("role"), PolicyArn=again) == OK


# --- names and documents --------------------------------------------------------------------------

_BROKEN = "1 validation error detected: Value at '{}' failed to satisfy constraint: Member must {}"
NAMES = {
    "too long": ("x" * 129, "have length less than or equal to 128"),
    "a slash": ("a/b", r"satisfy regular expression pattern: [\w+=,.@-]+"),
    "a letter beyond ASCII": ("é", r"satisfy regular expression pattern: [\w+=,.@-]+"),
}


@pytest.mark.parametrize(("name", "rule"), NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("verb", ["put", "get", "delete"])
@pytest.mark.parametrize("kind", KINDS)
def test_names_of_inline_policies_have_rules(
    kind: str, verb: str, name: str, rule: str, iam: Any
) -> None:
    """The same for each operation that names one."""
    text = {"PolicyDocument": document()} if verb == "put" else {}
    said = answer(iam, f"{verb}_{kind}_policy", **of(kind), PolicyName=name, **text)
    assert said == ("ValidationError", 400, _BROKEN.format("policyName", rule))


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_name_is_taken(kind: str, iam: Any) -> None:
    """128 characters of all that are allowed."""
    put = {"PolicyName": "aZ0_+=,.@-" * 12 + "x" * 8, "PolicyDocument": document()}
    assert answer(iam, f"put_{kind}_policy", **of(kind), **put) == OK


_SYNTAX = "Syntax errors in policy."
_NO_PRINCIPAL = "Policy document should not specify a principal."
_VERSION = "Policy document must be version 2012-10-17 or greater."
DOCUMENTS = {
    "a principal": (document(ALLOW | {"Principal": "*"}), _NO_PRINCIPAL),
    "no principal": (document(ALLOW | {"NotPrincipal": {"AWS": ACCOUNT}}), _NO_PRINCIPAL),
    "a principal in the second statement": (
        document(ALLOW, ALLOW | {"Principal": {"AWS": ACCOUNT}}),
        _NO_PRINCIPAL,
    ),
    "no version": (document(version=None), _VERSION),
    "the old version": (document(version="2008-10-17"), _VERSION),
    "an odd version": (document(version="2013-10-17"), _SYNTAX),
    "no JSON": ("{", _SYNTAX),
    "no statement": ('{"Version":"2012-10-17"}', _SYNTAX),
    "an action without a service": (
        document(ALLOW | {"Action": "GetObject"}),
        "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
    ),
    "a Sid twice": (
        document(ALLOW | {"Sid": "A"}, ALLOW | {"Sid": "A"}),
        "Statement IDs (SID) in a single policy must be unique.",
    ),
}


@pytest.mark.parametrize(("text", "problem"), DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_document_is_malformed(kind: str, text: str, problem: str, iam: Any) -> None:
    """And leaves the policy as it was."""
    named = {**of(kind), "PolicyName": "p"}
    assert answer(iam, f"put_{kind}_policy", **named, PolicyDocument=document()) == OK
    said = answer(iam, f"put_{kind}_policy", **named, PolicyDocument=text)
    assert said == ("MalformedPolicyDocument", 400, problem)
    kept = getattr(iam, f"get_{kind}_policy")(**named)["PolicyDocument"]
    assert kept == json.loads(document())


@pytest.mark.parametrize("kind", KINDS)
def test_a_character_beyond_latin_1_is_refused(kind: str, iam: Any) -> None:
    """As for every document."""
    put = {"PolicyName": "p", "PolicyDocument": document().replace("s3:*", "s3:\N{EN DASH}")}
    put["PolicyDocument"] = json.dumps(json.loads(put["PolicyDocument"]), ensure_ascii=False)
    code, _, text = answer(iam, f"put_{kind}_policy", **of(kind), **put)
    assert (code, "at 'policyDocument'" in text) == ("ValidationError", True)


# --- what is missing, and what is in the way ------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "delete"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_absent_inline_policy_is_named(kind: str, verb: str, iam: Any) -> None:
    """Its entity is there; the name's letter case counts."""
    put = {"PolicyName": "p", "PolicyDocument": document()}
    assert answer(iam, f"put_{kind}_policy", **of(kind), **put) == OK
    said = answer(iam, f"{verb}_{kind}_policy", **of(kind), PolicyName="P")
    text = f"The {kind} policy with name P cannot be found."
    assert said == ("NoSuchEntity", 404, text)


WRITES: dict[str, dict[str, Any]] = {
    "put_{}_policy": {"PolicyName": "p", "PolicyDocument": document()},
    "get_{}_policy": {"PolicyName": "p"},
    "delete_{}_policy": {"PolicyName": "p"},
    "put_{}_permissions_boundary": {"PermissionsBoundary": READ_ONLY},
    "delete_{}_permissions_boundary": {},
    "detach_{}_policy": {"PolicyArn": READ_ONLY},
}


@pytest.mark.parametrize(("operation", "members"), WRITES.items(), ids=WRITES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_absent_entity_is_named(
    kind: str, operation: str, members: dict[str, Any], iam: Any
) -> None:
    """Before anything is said of the policy."""
    said = answer(iam, operation.format(kind), **of(kind, "nobody"), **members)
    assert said == ("NoSuchEntity", 404, f"The {kind} with name nobody cannot be found.")


@pytest.mark.parametrize("kind", KINDS)
def test_inline_policies_are_in_the_way_of_a_deletion(kind: str, iam: Any) -> None:
    """The last one too."""
    for name in ("p", "q"):
        put = {"PolicyName": name, "PolicyDocument": document()}
        assert answer(iam, f"put_{kind}_policy", **of(kind), **put) == OK
    text = "Cannot delete entity, must delete policies first."
    for name in ("p", "q"):
        assert answer(iam, f"delete_{kind}", **of(kind)) == ("DeleteConflict", 409, text)
        assert answer(iam, f"delete_{kind}_policy", **of(kind), PolicyName=name) == OK
    assert answer(iam, f"delete_{kind}", **of(kind)) == OK


# --- boundaries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_boundary_is_taken_away(kind: str, iam: Any) -> None:
    """Once is enough; what IAM says of none is on no record, so that moto's yes stands."""
    put = {"PermissionsBoundary": READ_ONLY}
    assert answer(iam, f"put_{kind}_permissions_boundary", **of(kind), **put) == OK

    def shown() -> Any:
        return getattr(iam, f"get_{kind}")(**of(kind))[kind.title()].get("PermissionsBoundary")

    assert shown() == {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": READ_ONLY,
    }
    for _ in range(2):
        assert answer(iam, f"delete_{kind}_permissions_boundary", **of(kind)) == OK
        assert shown() is None


# --- what is AWS's own ----------------------------------------------------------------------------

ON_SERVICE_ROLES: dict[str, dict[str, Any]] = {
    "put_role_policy": {"PolicyName": "p", "PolicyDocument": document()},
    "delete_role_policy": {"PolicyName": "p"},
    "attach_role_policy": {"PolicyArn": READ_ONLY},
    "detach_role_policy": {"PolicyArn": READ_ONLY},
    "put_role_permissions_boundary": {"PermissionsBoundary": READ_ONLY},
    "delete_role_permissions_boundary": {},
    "update_assume_role_policy": {"PolicyDocument": EC2_TRUST},
    "update_role": {"Description": "d", "MaxSessionDuration": 3600},
    "add_role_to_instance_profile": {"InstanceProfileName": "it"},
    "remove_role_from_instance_profile": {"InstanceProfileName": "it"},
    "delete_role": {},
}


@pytest.mark.parametrize(("operation", "members"), ON_SERVICE_ROLES.items(), ids=ON_SERVICE_ROLES)
def test_a_service_linked_role_is_not_changed(
    operation: str, members: dict[str, Any], iam: Any
) -> None:
    """It is said first: whether it has what would be taken away is not asked."""
    iam.create_instance_profile(InstanceProfileName="it")
    text = (
        f"Cannot perform the operation on the protected role '{SERVICE_ROLE}' - "
        "this role is only modifiable by AWS"
    )
    said = answer(iam, operation, RoleName=SERVICE_ROLE, **members)
    assert said == ("UnmodifiableEntity", 400, text)


def test_a_service_linked_role_can_be_read_and_tagged(iam: Any) -> None:
    """IAM's reference of TagRole says so."""
    tags = [{"Key": "Team", "Value": "x"}]
    assert answer(iam, "tag_role", RoleName=SERVICE_ROLE, Tags=tags) == OK
    assert iam.get_role(RoleName=SERVICE_ROLE)["Role"]["Tags"] == tags
    assert iam.list_role_policies(RoleName=SERVICE_ROLE)["PolicyNames"] == []


def test_a_role_tells_the_template_that_it_was_made_from(iam: Any) -> None:
    """Here, one that a test gives to moto's role; nobody else has one."""
    made: Any = iam_backends[ACCOUNT]["aws"].get_role("it")
    made.source_role_template = TEMPLATE
    assert iam.get_role(RoleName="it")["Role"]["SourceRoleTemplate"] == TEMPLATE
    assert "SourceRoleTemplate" not in iam.get_role(RoleName=SERVICE_ROLE)["Role"]


# --- the account ----------------------------------------------------------------------------------


def test_the_policies_of_the_account_are_found_by_their_path(iam: Any) -> None:
    """A prefix ends with a slash; AWS's own policies are not among the account's."""
    for name, path in (("a", "/"), ("b", "/team/"), ("c", "/team/x/"), ("d", "/teams/")):
        iam.create_policy(PolicyName=name, Path=path, PolicyDocument=document())

    def listed(**members: str) -> list[str]:
        pages = iam.get_paginator("list_policies").paginate(Scope="Local", **members)
        return [each["PolicyName"] for page in pages for each in page["Policies"]]

    with strict_iam(page_size=1):
        assert listed() == ["a", "b", "c", "d"]
        assert listed(PathPrefix="/") == ["a", "b", "c", "d"]
        assert listed(PathPrefix="/team/") == ["b", "c"]
        assert listed(PathPrefix="/absent/") == []
    code, _, text = answer(iam, "list_policies", PathPrefix="/team")
    assert (code, "at 'pathPrefix'" in text) == ("ValidationError", True)


# Source: GetAccountSummary of an account as AWS makes it.
DEFAULTS = {
    "AccessKeysPerUserQuota": 2,
    "AssumeRolePolicySizeQuota": 2_048,
    "AttachedPoliciesPerRoleQuota": 10,
    "AttachedPoliciesPerUserQuota": 10,
    "InstanceProfilesQuota": 1_000,
    "PoliciesQuota": 1_500,
    "PolicySizeQuota": 6_144,
    "RolePolicySizeQuota": 10_240,
    "RolesQuota": 1_000,
    "UserPolicySizeQuota": 2_048,
    "UsersQuota": 5_000,
}


def test_the_summary_tells_quotas_and_counts(iam: Any) -> None:
    """Those of a new account, or the ones of the block."""
    iam.create_policy(PolicyName="own", PolicyDocument=document())
    summary = iam.get_account_summary()["SummaryMap"]
    counts = {key: summary[key] for key in ("Roles", "Users", "Policies", "InstanceProfiles")}
    assert counts == {"Roles": 2, "Users": 1, "Policies": 1, "InstanceProfiles": 0}
    assert summary.items() >= DEFAULTS.items()
    with strict_iam(quotas={"RolePolicySizeQuota": 100}):
        assert iam.get_account_summary()["SummaryMap"]["RolePolicySizeQuota"] == 100
        put = {"PolicyName": "p", "PolicyDocument": sized(101)}
        code, _, text = answer(iam, "put_role_policy", **of("role"), **put)
    assert (code, "of 100 bytes" in text) == ("LimitExceeded", True)
