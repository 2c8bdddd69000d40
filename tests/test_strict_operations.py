"""What the strict IAM does where moto does something else, or nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.core.models import botocore_stubber
from moto.iam.models import iam_backends

from cwagent_iam.testing import sandbox
from cwagent_iam.testing.strict import strict_iam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

ACCOUNT = "123456789012"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
DOCUMENT = json.dumps(POLICY)


def trust(
    principal: Any = None, action: Any = "sts:AssumeRole", version: str = "2012-10-17"
) -> str:
    """A role's trust, in EC2 unless somebody else is named."""
    who = principal or {"Service": "ec2.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": who, "Action": action}
    return json.dumps({"Version": version, "Statement": statement})


def tags(**values: str) -> list[dict[str, str]]:
    """Tags as IAM spells them."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


def code_of(call: Callable[..., Any], **members: Any) -> tuple[str, str]:
    """The code and text with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def strict() -> Iterator[boto3.Session]:
    """A session in an empty sandbox that is strict."""
    with sandbox() as session, strict_iam():
        yield session


@pytest.fixture
def iam(strict: boto3.Session) -> Any:
    """A client of the strict IAM, with a role, a user, a group and a profile of one name."""
    iam: Any = strict.client("iam")
    iam.create_role(RoleName="One", AssumeRolePolicyDocument=trust())
    iam.create_user(UserName="One")
    iam.create_group(GroupName="One")
    iam.create_instance_profile(InstanceProfileName="One")
    return iam


def own_policy(iam: Any, name: str = "own", **members: Any) -> str:
    """Create a policy and return its ARN."""
    reply = iam.create_policy(PolicyName=name, PolicyDocument=DOCUMENT, **members)
    return str(reply["Policy"]["Arn"])


def test_it_needs_an_open_sandbox() -> None:
    """Opened before the sandbox it would be undone by it, so it says so."""
    with pytest.raises(RuntimeError, match="strict_iam needs an open sandbox"):
        strict_iam().__enter__()


def test_it_leaves_no_trace() -> None:
    """After the block, moto is as lax as before."""
    with sandbox() as session:
        iam: Any = session.client("iam")
        with strict_iam():
            assert code_of(iam.create_user, UserName="x" * 65)[0] == "ValidationError"
        iam.create_user(UserName="x" * 65)
        with pytest.raises(NotImplementedError):
            iam.create_service_specific_credential(UserName="x" * 65, ServiceName="x")


def test_what_neither_moto_nor_it_can_do_stays_undone(iam: Any) -> None:
    """An operation that moto lacks fails as it does without."""
    with pytest.raises(NotImplementedError):
        iam.simulate_custom_policy(PolicyInputList=[DOCUMENT], ActionNames=["s3:GetObject"])


def test_a_name_is_found_in_any_letter_case(iam: Any) -> None:
    """The stored spelling comes back, and is the one that is changed."""
    assert iam.get_role(RoleName="ONE")["Role"]["RoleName"] == "One"
    assert iam.get_user(UserName="one")["User"]["UserName"] == "One"
    iam.add_role_to_instance_profile(InstanceProfileName="oNE", RoleName="onE")
    (profile,) = iam.list_instance_profiles_for_role(RoleName="one")["InstanceProfiles"]
    assert profile["InstanceProfileName"] == "One"


def test_a_user_may_leave_out_its_name(strict: boto3.Session, iam: Any) -> None:
    """The access key says who calls, and whom it is refused."""
    key = iam.create_access_key(UserName="One")["AccessKey"]
    own: Any = strict.client(
        "iam",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    assert own.get_user()["User"]["UserName"] == "One"
    assert own.list_access_keys()["AccessKeyMetadata"][0]["UserName"] == "One"
    _, text = code_of(own.get_access_key_last_used, AccessKeyId="A" * 20)
    assert f"arn:aws:iam::{ACCOUNT}:user/One" in text


def test_a_user_takes_everything_along(iam: Any) -> None:
    """A new path and name change neither its tags nor its keys."""
    iam.tag_user(UserName="One", Tags=tags(Team="x"))
    key = iam.create_access_key(UserName="One")["AccessKey"]["AccessKeyId"]
    iam.update_user(UserName="One", NewUserName="ONE", NewPath="/a/")
    assert iam.get_user(UserName="one")["User"]["UserName"] == "ONE"
    assert iam.list_user_tags(UserName="ONE")["Tags"] == tags(Team="x")
    assert iam.get_access_key_last_used(AccessKeyId=key)["UserName"] == "ONE"
    iam.update_user(UserName="ONE", NewPath="/b/")
    assert iam.list_user_tags(UserName="ONE")["Tags"] == tags(Team="x")


TRUSTED = {
    "everybody": ("*", "sts:AssumeRole"),
    "everybody by kind": ({"AWS": ["*"]}, "sts:AssumeRole"),
    "an account": ({"AWS": "210987654321"}, "sts:AssumeRole"),
    "the root of an account": ({"AWS": "arn:aws:iam::210987654321:root"}, "sts:AssumeRole"),
    "a role": ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/One"}, "sts:AssumeRole"),
    "a user": ({"AWS": f"arn:aws:iam::{ACCOUNT}:user/One"}, "sts:AssumeRole"),
    "a session": ({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/One/i-1"}, "sts:AssumeRole"),
    "a federated user": ({"AWS": f"arn:aws:sts::{ACCOUNT}:federated-user/x"}, "sts:AssumeRole"),
    "a provider": ({"Federated": "accounts.google.com"}, "sts:AssumeRoleWithWebIdentity"),
    "mixed case": (None, "STS:assumerole"),
    "all actions of STS": (None, "sts:*"),
    "several actions": (None, ["sts:AssumeRole", "sts:TagSession"]),
}


@pytest.mark.parametrize(("principal", "action"), TRUSTED.values(), ids=TRUSTED)
def test_a_good_trust_is_taken(principal: Any, action: Any, iam: Any) -> None:
    """At creation and in an update, the older version of the language too."""
    iam.create_role(RoleName="two", AssumeRolePolicyDocument=trust(principal, action))
    older = trust(principal, action, version="2008-10-17")
    iam.update_assume_role_policy(RoleName="two", PolicyDocument=older)
    stored = iam.get_role(RoleName="two")["Role"]["AssumeRolePolicyDocument"]
    assert stored == json.loads(older)


def test_an_id_is_a_principal_as_long_as_somebody_has_it(iam: Any) -> None:
    """A document that was stored for a principal of the past cannot be written again."""
    number = iam.get_role(RoleName="One")["Role"]["RoleId"]
    iam.create_role(RoleName="two", AssumeRolePolicyDocument=trust({"AWS": number}))
    iam.delete_role(RoleName="One")
    update = {"RoleName": "two", "PolicyDocument": trust({"AWS": number})}
    code, text = code_of(iam.update_assume_role_policy, **update)
    assert (code, text) == (
        "MalformedPolicyDocument",
        f'Invalid principal in policy: "AWS":"{number}"',
    )


def test_an_update_of_a_role_merges(iam: Any) -> None:
    """What is left out stays, and an empty description clears."""
    iam.update_role(RoleName="One", Description="d")
    iam.update_role(RoleName="One", MaxSessionDuration=7200)
    role = iam.get_role(RoleName="One")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("d", 7200)
    iam.update_role(RoleName="One", Description="")
    role = iam.get_role(RoleName="One")["Role"]
    assert ("Description" in role, role["MaxSessionDuration"]) == (False, 7200)


def test_a_new_role_shows_neither_description_nor_duration(iam: Any) -> None:
    """The reply to CreateRole is not the whole role; the boundary is in it."""
    boundary = own_policy(iam)
    reply = iam.create_role(
        RoleName="two",
        AssumeRolePolicyDocument=trust(),
        Description="d",
        MaxSessionDuration=7200,
        PermissionsBoundary=boundary,
    )
    assert reply["Role"].keys() & {"Description", "MaxSessionDuration", "RoleLastUsed"} == set()
    expected = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    assert reply["Role"]["PermissionsBoundary"] == expected


def test_a_user_has_a_boundary(iam: Any) -> None:
    """It can be given at creation and later, is shown by GetUser alone, and taken away."""
    boundary = own_policy(iam)
    iam.create_user(UserName="two", PermissionsBoundary=boundary)
    expected = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    assert iam.get_user(UserName="two")["User"]["PermissionsBoundary"] == expected
    iam.put_user_permissions_boundary(UserName="One", PermissionsBoundary=boundary)
    assert iam.get_policy(PolicyArn=boundary)["Policy"]["PermissionsBoundaryUsageCount"] == 2
    assert not any("PermissionsBoundary" in user for user in iam.list_users()["Users"])
    iam.delete_user_permissions_boundary(UserName="One")
    iam.delete_user_permissions_boundary(UserName="One")
    assert "PermissionsBoundary" not in iam.get_user(UserName="One")["User"]


ROLES_AND_USERS = ["role", "user"]


@pytest.mark.parametrize("kind", ROLES_AND_USERS)
def test_tags_of_roles_and_users_keep_their_first_letter_case(kind: str, iam: Any) -> None:
    """Another case of a key is the same key, to TagRole and to UntagRole."""
    named = {f"{kind.title()}Name": "One"}
    getattr(iam, f"tag_{kind}")(**named, Tags=tags(Team="x", Stage="test"))
    getattr(iam, f"tag_{kind}")(**named, Tags=tags(TEAM="y"))
    found = getattr(iam, f"list_{kind}_tags")(**named)["Tags"]
    assert {each["Key"]: each["Value"] for each in found} == {"Team": "y", "Stage": "test"}
    getattr(iam, f"untag_{kind}")(**named, TagKeys=["team", "none"])
    assert getattr(iam, f"list_{kind}_tags")(**named)["Tags"] == tags(Stage="test")


def test_tags_of_policies_and_profiles_tell_letter_cases_apart(iam: Any) -> None:
    """There, two cases are two keys."""
    arn = own_policy(iam, Tags=tags(Team="x", team="y"))
    iam.tag_policy(PolicyArn=arn, Tags=tags(TEAM="z"))
    iam.untag_policy(PolicyArn=arn, TagKeys=["Team"])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == tags(TEAM="z", team="y")
    iam.tag_instance_profile(InstanceProfileName="One", Tags=tags(Team="x", team="y"))
    iam.untag_instance_profile(InstanceProfileName="One", TagKeys=["Team"])
    profile_tags = iam.list_instance_profile_tags(InstanceProfileName="One")["Tags"]
    assert profile_tags == tags(team="y")
    assert iam.get_instance_profile(InstanceProfileName="One")["InstanceProfile"]["Tags"]
    assert "Tags" not in iam.list_instance_profiles()["InstanceProfiles"][0]


def test_tags_of_aws_do_not_count(iam: Any) -> None:
    """A role that CloudFormation made has room for 50 others."""
    role = iam_backends[ACCOUNT]["aws"].get_role("One")
    role.tags = tags(**{"aws:cloudformation:stack-name": "s"})
    numbered = {f"key-{number}": "" for number in range(50)}
    iam.tag_role(RoleName="One", Tags=tags(**numbered))
    assert len(iam.list_role_tags(RoleName="One")["Tags"]) == 51


@pytest.mark.parametrize("kind", [*ROLES_AND_USERS, "group"])
def test_to_attach_again_changes_nothing(kind: str, iam: Any) -> None:
    """It succeeds, counts once, and the quota does not matter."""
    arn = own_policy(iam)
    named = {f"{kind.title()}Name": "One", "PolicyArn": arn}
    with strict_iam(quotas={f"AttachedPoliciesPer{kind.title()}Quota": 1}):
        getattr(iam, f"attach_{kind}_policy")(**named)
        getattr(iam, f"attach_{kind}_policy")(**named)
        other = named | {"PolicyArn": own_policy(iam, "other")}
        code, _ = code_of(getattr(iam, f"attach_{kind}_policy"), **other)
    assert code == "LimitExceeded"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1


def test_quotas_of_an_account_can_be_others(iam: Any) -> None:
    """They are those of GetAccountSummary, and hold for what an account may have."""
    quotas = {"RolesQuota": 1, "PoliciesQuota": 0, "GroupsPerUserQuota": 0}
    with strict_iam(quotas=quotas):
        summary = iam.get_account_summary()["SummaryMap"]
        role = code_of(iam.create_role, RoleName="two", AssumeRolePolicyDocument=trust())
        policy = code_of(iam.create_policy, PolicyName="own", PolicyDocument=DOCUMENT)
        group = code_of(iam.add_user_to_group, UserName="One", GroupName="One")
    assert (summary["RolesQuota"], summary["AccountPasswordPresent"]) == (1, 0)
    assert role == ("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1")
    assert policy == ("LimitExceeded", "Cannot exceed quota for PoliciesPerAccount: 0")
    assert group == ("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 0")
    iam.add_user_to_group(UserName="One", GroupName="One")


def test_a_group_keeps_its_name_or_takes_a_free_one(iam: Any) -> None:
    """Another spelling of its own name is free, that of another group is not."""
    iam.create_group(GroupName="two")
    code, _ = code_of(iam.update_group, GroupName="One", NewGroupName="TWO")
    assert code == "EntityAlreadyExists"
    iam.update_group(GroupName="One", NewPath="/a/")
    iam.update_group(GroupName="One", NewGroupName="three")
    assert iam.get_group(GroupName="THREE")["Group"]["GroupName"] == "three"


CERTIFICATE_KEY = "ssh-rsa AAAA"
HELD: dict[str, tuple[str, dict[str, Any], str]] = {
    "an attached policy": (
        "attach_user_policy",
        {"PolicyArn": "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"},
        "must detach all policies first.",
    ),
    "an inline policy": (
        "put_user_policy",
        {"PolicyName": "p", "PolicyDocument": DOCUMENT},
        "must delete policies first.",
    ),
    "an access key": ("create_access_key", {}, "must delete access keys first."),
    "a password": (
        "create_login_profile",
        {"Password": "p"},
        "must delete login profile first.",
    ),
    "an SSH key": (
        "upload_ssh_public_key",
        {"SSHPublicKeyBody": CERTIFICATE_KEY},
        "must remove referenced objects first.",
    ),
    "a credential of a service": (
        "create_service_specific_credential",
        {"ServiceName": "codecommit.amazonaws.com"},
        "must remove referenced objects first.",
    ),
    "a group": (
        "add_user_to_group",
        {"GroupName": "One"},
        "must remove users from group first.",
    ),
}


@pytest.mark.parametrize(("operation", "members", "what"), HELD.values(), ids=HELD)
def test_a_user_is_deleted_when_it_has_nothing(
    operation: str,
    members: dict[str, Any],
    what: str,
    iam: Any,
) -> None:
    """Whatever it has must go first, by somebody's decision."""
    getattr(iam, operation)(UserName="One", **members)
    text = f"Cannot delete entity, {what}"
    assert code_of(iam.delete_user, UserName="One") == ("DeleteConflict", text)


def test_a_user_without_anything_is_deleted(iam: Any) -> None:
    """Its keys and groups gone, nothing stands in the way."""
    key = iam.create_access_key(UserName="One")["AccessKey"]["AccessKeyId"]
    iam.update_access_key(UserName="One", AccessKeyId=key, Status="Inactive")
    iam.add_user_to_group(UserName="One", GroupName="One")
    iam.delete_access_key(UserName="One", AccessKeyId=key)
    iam.remove_user_from_group(UserName="One", GroupName="One")
    iam.delete_user(UserName="One")
    assert iam.list_users()["Users"] == []


def test_a_group_is_deleted_when_it_has_nothing(iam: Any) -> None:
    """Policies and users must go first."""
    arn = own_policy(iam)
    iam.add_user_to_group(UserName="One", GroupName="One")
    iam.put_group_policy(GroupName="One", PolicyName="p", PolicyDocument=DOCUMENT)
    iam.attach_group_policy(GroupName="One", PolicyArn=arn)
    texts = [code_of(iam.delete_group, GroupName="One")[1]]
    iam.detach_group_policy(GroupName="One", PolicyArn=arn)
    texts.append(code_of(iam.delete_group, GroupName="One")[1])
    iam.delete_group_policy(GroupName="One", PolicyName="p")
    texts.append(code_of(iam.delete_group, GroupName="One")[1])
    assert [text.removeprefix("Cannot delete entity, must ") for text in texts] == [
        "detach all policies first.",
        "delete policies first.",
        "remove users from group first.",
    ]
    iam.remove_user_from_group(UserName="One", GroupName="One")
    iam.delete_group(GroupName="One")


def test_a_policy_is_deleted_when_nobody_has_it(iam: Any) -> None:
    """It must be detached, and its other versions deleted."""
    arn = own_policy(iam)
    iam.attach_role_policy(RoleName="One", PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=DOCUMENT)
    attached = code_of(iam.delete_policy, PolicyArn=arn)
    iam.detach_role_policy(RoleName="One", PolicyArn=arn)
    versions = code_of(iam.delete_policy, PolicyArn=arn)
    assert attached == ("DeleteConflict", "Cannot delete a policy attached to entities.")
    assert versions[0] == "DeleteConflict"
    assert versions[1].startswith("This policy has more than one version.")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)


def test_a_service_linked_role_can_be_described(iam: Any) -> None:
    """Its description is the only thing that is not AWS's."""
    name = "AWSServiceRoleForAutoScaling_x"
    iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="x")
    iam.update_role(RoleName=name, Description="d")
    assert iam.get_role(RoleName=name)["Role"]["Description"] == "d"


def test_service_linked_roles_fail_as_moto_fails(iam: Any) -> None:
    """A service that moto cannot read is moto's business."""
    with pytest.raises(IndexError):
        iam.create_service_linked_role(AWSServiceName="autoscaling")


def test_credentials_of_services_are_listed_for_all_users(iam: Any) -> None:
    """Without a user's name, when it says so."""
    iam.create_service_specific_credential(UserName="One", ServiceName="codecommit.amazonaws.com")
    found = iam.list_service_specific_credentials(AllUsers=True)["ServiceSpecificCredentials"]
    assert [each["UserName"] for each in found] == ["One"]
    assert not any("ServicePassword" in each for each in found)


def test_the_life_of_a_service_credential(iam: Any) -> None:
    """It can be deactivated, reset and deleted by its id; after that the id is unknown."""
    user = {"UserName": "One"}
    reply = iam.create_service_specific_credential(**user, ServiceName="cassandra.amazonaws.com")[
        "ServiceSpecificCredential"
    ]
    named = user | {"ServiceSpecificCredentialId": reply["ServiceSpecificCredentialId"]}
    iam.update_service_specific_credential(**named, Status="Inactive")
    reset = iam.reset_service_specific_credential(**named)["ServiceSpecificCredential"]
    assert reset["Status"] == "Inactive"
    assert reset["ServicePassword"] != reply["ServicePassword"]
    iam.delete_service_specific_credential(**named)
    assert iam.list_service_specific_credentials(**user)["ServiceSpecificCredentials"] == []
    number = named["ServiceSpecificCredentialId"]
    assert code_of(iam.delete_service_specific_credential, **named) == (
        "NoSuchEntity",
        f"No such credential {number} exists",
    )


def test_few_services_have_credentials_of_their_own(iam: Any) -> None:
    """The name of any other service is refused as unknown."""
    members = {"UserName": "One", "ServiceName": "s3.amazonaws.com"}
    assert code_of(iam.create_service_specific_credential, **members) == (
        "NoSuchEntity",
        "No such service s3.amazonaws.com is supported for Service Specific Credentials",
    )


def test_service_linked_roles_have_one_name_for_each_suffix(iam: Any) -> None:
    """A suffix must be allowed and new; the id of a deletion names path and role."""
    service = "autoscaling.amazonaws.com"
    create = iam.create_service_linked_role
    name = create(AWSServiceName=service, CustomSuffix="x")["Role"]["RoleName"]
    assert code_of(create, AWSServiceName=service, CustomSuffix="x") == (
        "InvalidInput",
        f"Service role name {name} has been taken in this account, please try a different suffix.",
    )
    assert code_of(create, AWSServiceName="ecs.amazonaws.com", CustomSuffix="x") == (
        "InvalidInput",
        "Custom suffix is not allowed for ecs.amazonaws.com",
    )
    task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/{service}/{name}/")


def test_the_account_is_told_in_full(iam: Any) -> None:
    """Policies have names and ids in GetAccountAuthorizationDetails."""
    arn = own_policy(iam)
    reply = iam.get_account_authorization_details(Filter=["LocalManagedPolicy"])
    (policy,) = reply["Policies"]
    shown = iam.get_policy(PolicyArn=arn)["Policy"]
    assert {name: policy[name] for name in shown if name in policy} == {
        name: shown[name] for name in shown if name not in ("Tags", "Description")
    }


LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "list_users": ("Users", {}),
    "list_groups": ("Groups", {}),
    "list_roles": ("Roles", {}),
    "list_instance_profiles": ("InstanceProfiles", {}),
    "list_instance_profiles_for_role": ("InstanceProfiles", {"RoleName": "One"}),
    "list_policies": ("Policies", {"Scope": "Local"}),
    "list_policy_versions": ("Versions", {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p1"}),
    "list_role_policies": ("PolicyNames", {"RoleName": "One"}),
    "list_user_policies": ("PolicyNames", {"UserName": "One"}),
    "list_attached_role_policies": ("AttachedPolicies", {"RoleName": "One"}),
    "list_attached_user_policies": ("AttachedPolicies", {"UserName": "One"}),
    "list_role_tags": ("Tags", {"RoleName": "One"}),
    "list_user_tags": ("Tags", {"UserName": "One"}),
    "list_instance_profile_tags": ("Tags", {"InstanceProfileName": "One"}),
    "list_access_keys": ("AccessKeyMetadata", {"UserName": "One"}),
    "list_groups_for_user": ("Groups", {"UserName": "One"}),
}


@pytest.fixture
def filled(iam: Any) -> Any:
    """An account with at least two of everything that is listed."""
    for name in ("p1", "p2"):
        arn = own_policy(iam, name)
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=DOCUMENT)
        inline = {"PolicyName": name, "PolicyDocument": DOCUMENT}
        for kind in ROLES_AND_USERS:
            named = {f"{kind.title()}Name": "One"}
            getattr(iam, f"attach_{kind}_policy")(**named, PolicyArn=arn)
            getattr(iam, f"put_{kind}_policy")(**named, **inline)
            getattr(iam, f"tag_{kind}")(**named, Tags=tags(**{name: "x"}))
        iam.tag_instance_profile(InstanceProfileName="One", Tags=tags(**{name: "x"}))
        iam.create_access_key(UserName="One")
        iam.create_user(UserName=name)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust())
        iam.create_group(GroupName=name)
        iam.add_user_to_group(UserName="One", GroupName=name)
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName="One")
    return iam


@pytest.mark.parametrize(("operation", "found"), LISTS.items(), ids=LISTS)
def test_every_list_comes_in_pages(
    operation: str,
    found: tuple[str, dict[str, str]],
    filled: Any,
) -> None:
    """As many entries as asked for, or fewer, and all of them in the end."""
    key, members = found
    call = getattr(filled, operation)
    whole = call(**members)
    assert whole["IsTruncated"] is False
    assert "Marker" not in whole
    assert len(whole[key]) >= 2
    first = call(**members, MaxItems=1)
    assert first["IsTruncated"] is True
    assert len(first[key]) == 1
    with strict_iam(page_size=1):
        pages = list(filled.get_paginator(operation).paginate(**members))
    assert [len(page[key]) for page in pages] == [1] * len(whole[key])
    assert [entry for page in pages for entry in page[key]] == whole[key]


def test_several_lists_share_the_pages(filled: Any) -> None:
    """Of a reply with several lists, a page may end in any."""
    whole = filled.get_account_authorization_details()
    with strict_iam(page_size=2):
        pages = filled.get_paginator("get_account_authorization_details").paginate()
        joined = pages.build_full_result()
    keys = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    assert {key: joined[key] for key in keys} == {key: whole[key] for key in keys}


def test_a_role_leaves_its_profile(iam: Any) -> None:
    """What is inside can be taken out, once."""
    named = {"InstanceProfileName": "One", "RoleName": "One"}
    iam.add_role_to_instance_profile(**named)
    iam.remove_role_from_instance_profile(**named)
    assert code_of(iam.remove_role_from_instance_profile, **named)[0] == "NoSuchEntity"
    iam.delete_instance_profile(InstanceProfileName="ONE")


def test_a_login_profile_can_be_read(iam: Any) -> None:
    """As soon as there is one."""
    iam.create_login_profile(UserName="One", Password="p")  # noqa: S106 - nobody's password
    assert iam.get_login_profile(UserName="one")["LoginProfile"]["UserName"] == "One"
    iam.delete_login_profile(UserName="One")


@pytest.mark.usefixtures("iam")
def test_cloudformation_deletes_a_profile_without_a_role() -> None:
    """It comes from outside IAM's operations, and is not taken for EC2."""
    backend = iam_backends[ACCOUNT]["aws"]
    backend.delete_instance_profile("One", ignore_attached_roles=True)
    assert not list(backend.get_instance_profiles())


def test_ec2_refuses_a_profile_that_is_not_there(strict: boto3.Session, iam: Any) -> None:
    """In its own words, by name and by ARN; and one without a role."""
    ec2: Any = strict.client("ec2")
    launch = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/"
    answers = [
        code_of(ec2.run_instances, **launch, IamInstanceProfile=profile)
        for profile in ({"Name": "absent"}, {"Arn": f"{arn}absent"}, {"Name": "One"})
    ]
    assert [code for code, _ in answers] == ["InvalidParameterValue"] * 3
    assert [text for _, text in answers] == [
        (
            "Value (absent) for parameter iamInstanceProfile.name is invalid. "
            "Invalid IAM Instance Profile name"
        ),
        (
            f"Value ({arn}absent) for parameter iamInstanceProfile.arn is invalid. "
            "Invalid IAM Instance Profile ARN"
        ),
        f'IAM Instance Profile "{arn}One" has no associated IAM Roles',
    ]
    iam.add_role_to_instance_profile(InstanceProfileName="One", RoleName="One")
    dry, _ = code_of(ec2.run_instances, **launch, IamInstanceProfile={"Name": "One"}, DryRun=True)
    assert dry == "DryRunOperation"


def test_it_stands_behind_whatever_wraps_the_dispatch(
    strict: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A layer that loses replies sees the strict answers, and what was committed stays."""
    seen = []
    dispatch = type(botocore_stubber).process_request

    def lose(stubber: Any, request: Any) -> Any:
        reply = dispatch(stubber, request)
        seen.append(reply[0] if reply else None)
        return reply

    iam: Any = strict.client("iam")
    monkeypatch.setattr(type(botocore_stubber), "process_request", lose)
    iam.create_user(UserName="x")
    assert code_of(iam.create_user, UserName="X")[0] == "EntityAlreadyExists"
    assert seen == [200, 409]
