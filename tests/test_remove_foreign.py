"""What stands in the way of a removal: things that are not ours, and what hangs on ours."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cwagent_iam import (
    ConflictError,
    ObserveError,
    ensure,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from tests.scripted import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from cwagent_iam import State
    from tests.conftest import Requests

ROLE = "CloudWatchAgentServerRole"
USER = "CloudWatchAgentServerUser"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
ADMIN = "arn:aws:iam::aws:policy/CloudWatchAgentAdminPolicy"
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
INLINE = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Action":"s3:ListAllMyBuckets","Resource":"*"}]}'
)
SSH_KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 agent"
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIHDMHegAwIBAgIBATAFBgMrZXAwDDEKMAgGA1UEAwwBYTAeFw0yNjAxMDEwMDAw
MDBaFw0yNzAxMDEwMDAwMDBaMAwxCjAIBgNVBAMMAWEwKjAFBgMrZXADIQB75hnw
lGCQ0lDXVeuum6zczNsBu1m+VmncTO7ZJksqCTAFBgMrZXADQQDX93Ok4bquDno5
EMFok4254kO0Suuz1nyJCgNibYua+d4x1rNJvnB8w4PsaY1uUViV5vTjkJOoD8SZ
YbwXY3oD
-----END CERTIFICATE-----
"""
OURS = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
ROLE_PLAN, USER_PLAN = plan_agent_role(), plan_agent_user()


def obstacles(session: boto3.Session, desired: State) -> dict[str, str]:
    """Return why *desired* cannot be removed, by what it is about."""
    with pytest.raises(ConflictError) as caught:
        remove(desired, session=session)
    assert caught.value.applied == ()
    return {conflict.target: conflict.reason for conflict in caught.value.conflicts}


def lend_profile(iam: Any) -> None:
    """Put the role into a profile that intent does not name."""
    iam.create_instance_profile(InstanceProfileName="other", Tags=OURS)
    iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName=ROLE)


def swap_role(iam: Any) -> None:
    """Put another role into the profile."""
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=TRUST)
    iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName="other")


def join_group(iam: Any) -> None:
    """Put the user into a group."""
    iam.create_group(GroupName="servers")
    iam.add_user_to_group(GroupName="servers", UserName=USER)


def enable_device(iam: Any) -> None:
    """Give the user an MFA device."""
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]
    iam.enable_mfa_device(
        UserName=USER,
        SerialNumber=device["SerialNumber"],
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )


def page_by_page(client: Any) -> None:
    """Let every list come in pages of one item, also those that moto sends whole."""
    position = 0

    def ask(params: dict[str, Any], **_event: object) -> None:
        nonlocal position
        position = int(params.pop("Marker", "0"))

    def cut(parsed: dict[str, Any], **_event: object) -> None:
        for name, items in parsed.items():
            if isinstance(items, list):
                parsed[name] = items[position : position + 1]
                more = position + 1 < len(items)
                break
        else:
            return
        parsed["IsTruncated"] = more
        if more:
            parsed["Marker"] = str(position + 1)

    client.meta.events.register("before-parameter-build.iam", ask)
    client.meta.events.register("after-call.iam", cut)


ON_ROLE: dict[str, tuple[Callable[[Any], object], str]] = {
    "policy": (
        lambda iam: iam.attach_role_policy(RoleName=ROLE, PolicyArn=ADMIN),
        "policy CloudWatchAgentAdminPolicy",
    ),
    "inline policy": (
        lambda iam: iam.put_role_policy(RoleName=ROLE, PolicyName="s3", PolicyDocument=INLINE),
        "inline policy s3",
    ),
    "profile": (lend_profile, "instance-profile other"),
}
ON_USER: dict[str, tuple[Callable[[Any], object], str]] = {
    "policy": (
        lambda iam: iam.attach_user_policy(UserName=USER, PolicyArn=ADMIN),
        "policy CloudWatchAgentAdminPolicy",
    ),
    "inline policy": (
        lambda iam: iam.put_user_policy(UserName=USER, PolicyName="s3", PolicyDocument=INLINE),
        "inline policy s3",
    ),
    "group": (join_group, "group servers"),
    "access key": (lambda iam: iam.create_access_key(UserName=USER), "access key AKIA[A-Z0-9]+"),
    "MFA device": (enable_device, "MFA device arn:aws:iam::123456789012:mfa/phone"),
    "signing certificate": (
        lambda iam: iam.upload_signing_certificate(UserName=USER, CertificateBody=CERTIFICATE),
        "signing certificate [A-Za-z0-9]+",
    ),
    "SSH key": (
        lambda iam: iam.upload_ssh_public_key(UserName=USER, SSHPublicKeyBody=SSH_KEY),
        "SSH public key [A-Za-z0-9]+",
    ),
    "password": (
        lambda iam: iam.create_login_profile(UserName=USER, Password="Correct-Horse-1"),  # noqa: S106  of nobody
        "login profile",
    ),
}


class TestHanging:
    """What hangs on a thing of ours."""

    @pytest.mark.parametrize("row", ON_ROLE.values(), ids=list(ON_ROLE))
    def test_role(
        self,
        session: boto3.Session,
        iam: Any,
        requests: Requests,
        row: tuple[Callable[[Any], object], str],
    ) -> None:
        """Whatever else hangs on a role stops its removal, by name, and nothing is removed."""
        hang, words = row
        ensure(ROLE_PLAN, session=session)
        hang(iam)
        requests.sent.clear()
        reason = obstacles(session, ROLE_PLAN)[f"role {ROLE}"]
        assert re.fullmatch(rf"is still used: {words}", reason)
        assert requests.writes == []

    @pytest.mark.parametrize("row", ON_USER.values(), ids=list(ON_USER))
    def test_user(
        self,
        session: boto3.Session,
        iam: Any,
        requests: Requests,
        row: tuple[Callable[[Any], object], str],
    ) -> None:
        """Whatever else hangs on a user stops its removal, by name, and nothing is removed."""
        hang, words = row
        ensure(USER_PLAN, session=session)
        hang(iam)
        requests.sent.clear()
        reason = obstacles(session, USER_PLAN)[f"user {USER}"]
        assert re.fullmatch(rf"is still used: {words}", reason)
        assert requests.writes == []

    def test_all_at_once(self, session: boto3.Session, iam: Any) -> None:
        """All that hangs on a thing is named at once, also where IAM sends it in pages of one."""
        ensure(USER_PLAN, session=session)
        for hang, _ in ON_USER.values():
            hang(iam)
        for name in ("a", "b"):
            iam.put_user_policy(UserName=USER, PolicyName=name, PolicyDocument=INLINE)
        iam.create_access_key(UserName=USER)
        client = session.client("iam")
        page_by_page(client)
        with pytest.raises(ConflictError) as caught:
            remove(USER_PLAN, iam=client)
        (conflict,) = caught.value.conflicts
        named = conflict.reason.removeprefix("is still used: ").split(", ")
        wanted = [*(words for _, words in ON_USER.values()), ON_USER["access key"][1]]
        wanted += ["inline policy a", "inline policy b"]
        assert len(named) == len(wanted)
        assert all(any(re.fullmatch(words, each) for each in named) for words in wanted)

    def test_service_specific_credential(self, session: boto3.Session) -> None:
        """So does a credential for one service, which the sandbox has no operation to make."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")

        def add(parsed: Any, **_event: object) -> None:
            parsed["ServiceSpecificCredentials"] = [{"ServiceSpecificCredentialId": "ACCAEXAMPLE"}]

        client.meta.events.register("after-call.iam.ListServiceSpecificCredentials", add)
        with pytest.raises(
            ConflictError, match=r"is still used: service-specific credential ACCAEXAMPLE\."
        ):
            remove(USER_PLAN, iam=client)

    def test_other_role_in_the_profile(
        self, session: boto3.Session, iam: Any, requests: Requests
    ) -> None:
        """A profile of ours that holds another role stays, and so does our role."""
        ensure(ROLE_PLAN, session=session)
        swap_role(iam)
        requests.sent.clear()
        assert obstacles(session, ROLE_PLAN) == {
            f"instance-profile {ROLE}": "is still used: role other"
        }
        assert requests.writes == []

    def test_profile_that_intent_leaves_out(self, session: boto3.Session) -> None:
        """A role stays as long as it is in a profile that is not removed with it."""
        ensure(ROLE_PLAN, session=session)
        found = obstacles(session, plan_agent_role(instance_profile=False))
        assert found == {f"role {ROLE}": f"is still used: instance-profile {ROLE}"}

    @pytest.mark.parametrize(
        "operation", ["ListGroupsForUser", "GetLoginProfile", "ListServiceSpecificCredentials"]
    )
    def test_denied(self, session: boto3.Session, requests: Requests, operation: str) -> None:
        """Where one may not look whether something hangs on it, nothing is removed."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")

        def deny(**_event: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, operation)

        client.meta.events.register(f"before-call.iam.{operation}", deny)
        requests.sent.clear()
        with pytest.raises(ObserveError) as caught:
            remove(USER_PLAN, iam=client)
        assert (caught.value.operation, caught.value.target) == (operation, f"user {USER}")
        assert requests.writes == []


class TestNotOurs:
    """What is not managed."""

    @pytest.mark.parametrize("tags", [[], [{"Key": "ManagedBy", "Value": "somebody"}]])
    def test_foreign(
        self,
        session: boto3.Session,
        iam: Any,
        requests: Requests,
        tags: list[dict[str, str]],
    ) -> None:
        """What lacks our tag is never removed, even if it is just as desired."""
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST, Tags=tags)
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
        iam.create_user(UserName=USER, Tags=tags)
        iam.attach_user_policy(UserName=USER, PolicyArn=SERVER)
        iam.create_instance_profile(InstanceProfileName=ROLE, Tags=tags)
        requests.sent.clear()
        found = obstacles(session, ROLE_PLAN) | obstacles(session, USER_PLAN)
        assert found.keys() == {f"role {ROLE}", f"instance-profile {ROLE}", f"user {USER}"}
        reason = "exists without the tag ManagedBy=cwagent-iam: it is not managed"
        assert set(found.values()) == {reason}
        assert requests.writes == []

    def test_what_stays(self, session: boto3.Session, iam: Any) -> None:
        """What depends on it stays, so that the caller need not be allowed to list that."""
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
        iam.create_user(UserName=USER)
        iam.attach_user_policy(UserName=USER, PolicyArn=SERVER)
        iam.put_role_policy(RoleName=ROLE, PolicyName="Other", PolicyDocument=INLINE)
        iam.create_access_key(UserName=USER)
        client = session.client("iam")
        for operation in (
            *("ListRolePolicies", "ListInstanceProfilesForRole", "ListUserPolicies"),
            *("ListGroupsForUser", "ListMFADevices", "ListSigningCertificates"),
            *("ListSSHPublicKeys", "ListServiceSpecificCredentials", "ListAccessKeys"),
            "GetLoginProfile",
        ):
            answer(client, operation, itertools.repeat(("AccessDenied", "No.")))
        result = remove([ROLE_PLAN, USER_PLAN], existing="attach", iam=client)
        assert {each.operation for each in result.changes} == {
            "DetachRolePolicy",
            "DetachUserPolicy",
        }
        assert iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == ["Other"]
        assert len(iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]) == 1

    def test_one_of_two(self, session: boto3.Session, iam: Any, requests: Requests) -> None:
        """As long as one of two things is not ours, the other one stays too."""
        ensure(ROLE_PLAN, session=session)
        iam.untag_instance_profile(InstanceProfileName=ROLE, TagKeys=["ManagedBy"])
        requests.sent.clear()
        assert obstacles(session, ROLE_PLAN).keys() == {f"instance-profile {ROLE}"}
        assert requests.writes == []

    def test_letter_case(self, session: boto3.Session, requests: Requests) -> None:
        """A name that is written otherwise is not the one that intent names: nothing goes."""
        ensure(USER_PLAN, session=session)
        client = session.client("iam")

        def find_it(params: dict[str, Any], **_event: object) -> None:
            params.update({"UserName": USER} if "UserName" in params else {})

        client.meta.events.register("before-parameter-build.iam", find_it)
        requests.sent.clear()
        with pytest.raises(ConflictError, match=f"user {USER} is not what was named"):
            remove(plan_agent_user(USER.upper()), iam=client)
        assert requests.writes == []
