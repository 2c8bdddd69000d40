"""Removals that are refused: unmanaged entities, and dependents of managed ones."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest

from cwagent_iam import (
    ConflictError,
    ObserveError,
    ensure,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from tests.core import DENIED, World, access_key, made
from tests.scripted import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from cwagent_iam import State

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
USER_KEY, ROLE_KEY, PROFILE_KEY = (
    f"{kind} {name}".lower()
    for kind, name in (("user", USER), ("role", ROLE), ("instance-profile", ROLE))
)
DEPENDENTS = (
    *("ListGroupsForUser", "ListMFADevices", "ListSigningCertificates", "ListUserPolicies"),
    *("ListSSHPublicKeys", "ListServiceSpecificCredentials", "ListAccessKeys", "GetLoginProfile"),
)
OURS = [{"Key": "ManagedBy", "Value": "cwagent-iam"}]
ROLE_PLAN, USER_PLAN = plan_agent_role(), plan_agent_user()


def obstacles(world: World, desired: State) -> dict[str, str]:
    """Return why *desired* cannot be removed, by target; check that nothing is written."""
    world = world.later()
    with pytest.raises(ConflictError) as caught:
        world.remove(desired)
    assert (caught.value.applied, world.writes) == ((), [])
    return {conflict.target: conflict.reason for conflict in caught.value.conflicts}


def lend_profile(world: World) -> None:
    """Add the role to a profile that intent does not name."""
    world.do("CreateInstanceProfile", InstanceProfileName="other", Tags=OURS)
    world.do("AddRoleToInstanceProfile", InstanceProfileName="other", RoleName=ROLE)


def join_group(iam: Any) -> None:
    """Add the user to a group."""
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


ON_ROLE: dict[str, tuple[Callable[[World], object], str]] = {
    "policy": (
        lambda world: world.do("AttachRolePolicy", RoleName=ROLE, PolicyArn=ADMIN),
        "policy CloudWatchAgentAdminPolicy",
    ),
    "inline policy": (
        lambda world: world.things[ROLE_KEY]["inline"].update(s3=INLINE),
        "inline policy s3",
    ),
    "profile": (lend_profile, "instance-profile other"),
}
# Where IAM has it, what it shows of it, and its name in the error.
OF_USER: dict[str, tuple[str, Any, str]] = {
    "policy": ("attached", {ADMIN: True}, "policy CloudWatchAgentAdminPolicy"),
    "inline policy": ("inline", {"s3": INLINE}, "inline policy s3"),
    "group": ("lists", {"Groups": [{"GroupName": "servers"}]}, "group servers"),
    "access key": ("keys", [access_key("AKIAONE")], "access key AKIAONE"),
    "MFA device": ("lists", {"MFADevices": [{"SerialNumber": "arn:x"}]}, "MFA device arn:x"),
    "signing certificate": (
        "lists",
        {"Certificates": [{"CertificateId": "ONE"}]},
        "signing certificate ONE",
    ),
    "SSH key": (
        "lists",
        {"SSHPublicKeys": [{"SSHPublicKeyId": "APKAONE"}]},
        "SSH public key APKAONE",
    ),
    "password": ("lists", {"LoginProfile": {}}, "login profile"),
    "credential of a service": (
        "lists",
        {"ServiceSpecificCredentials": [{"ServiceSpecificCredentialId": "ACCAEXAMPLE"}]},
        "service-specific credential ACCAEXAMPLE",
    ),
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
        lambda iam: iam.create_login_profile(UserName=USER, Password="Correct-Horse-1"),  # noqa: S106  not in use
        "login profile",
    ),
}


class TestDependents:
    """Dependents of managed entities."""

    @pytest.mark.parametrize("row", ON_ROLE.values(), ids=list(ON_ROLE))
    def test_role(self, row: tuple[Callable[[World], object], str]) -> None:
        """Any dependent of a role stops its removal; the error names it, and nothing is removed."""
        add, words = row
        world = made(ROLE_PLAN)
        add(world)
        assert obstacles(world, ROLE_PLAN)[f"role {ROLE}"] == f"is still used: {words}"

    @pytest.mark.parametrize("row", OF_USER.values(), ids=list(OF_USER))
    def test_user(self, row: tuple[str, Any, str]) -> None:
        """Any dependent of a user stops its removal; the error names it, and nothing is removed."""
        place, shown, words = row
        world = made(USER_PLAN)
        user = world.things[USER_KEY]
        user[place] = shown if place == "keys" else user[place] | shown
        assert obstacles(world, USER_PLAN) == {f"user {USER}": f"is still used: {words}"}

    def test_all(self, session: boto3.Session, iam: Any) -> None:
        """One error names all dependents, also if IAM truncates each list after one item."""
        ensure(USER_PLAN, session=session)
        for add, _ in ON_USER.values():
            add(iam)
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

    def test_other_role_in_the_profile(self) -> None:
        """A managed profile that holds another role stays, and so does the role."""
        world = made(ROLE_PLAN)
        world.things[PROFILE_KEY]["seen"]["Roles"] = [{"RoleName": "other"}]
        assert obstacles(world, ROLE_PLAN) == {
            f"instance-profile {ROLE}": "is still used: role other"
        }

    def test_profile_that_intent_leaves_out(self) -> None:
        """A role stays if a profile holds it that is not removed with it."""
        found = obstacles(made(ROLE_PLAN), plan_agent_role(instance_profile=False))
        assert found == {f"role {ROLE}": f"is still used: instance-profile {ROLE}"}

    @pytest.mark.parametrize("operation", DEPENDENTS)
    def test_denied(self, operation: str) -> None:
        """If the caller may not list a kind of dependents, nothing is removed."""
        world = made(USER_PLAN)
        world.script[operation] = [DENIED]
        with pytest.raises(ObserveError) as caught:
            world.remove(USER_PLAN)
        assert (caught.value.operation, caught.value.target) == (operation, f"user {USER}")
        assert world.writes == []


class TestUnmanaged:
    """Unmanaged entities."""

    @pytest.mark.parametrize("tags", [[], [{"Key": "ManagedBy", "Value": "somebody"}]])
    def test_foreign(self, tags: list[dict[str, str]]) -> None:
        """An entity without the tag of this library is never removed, even if it is as desired."""
        world = made(ROLE_PLAN, USER_PLAN)
        for thing in world.things.values():
            thing["seen"]["Tags"] = tags
        found = obstacles(world, ROLE_PLAN) | obstacles(world, USER_PLAN)
        assert found.keys() == {f"role {ROLE}", f"instance-profile {ROLE}", f"user {USER}"}
        reason = "exists without the tag ManagedBy=cwagent-iam: it is not managed"
        assert set(found.values()) == {reason}

    def test_what_stays(self, session: boto3.Session, iam: Any) -> None:
        """Dependents of unmanaged entities stay, and need not be listed."""
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
        iam.create_user(UserName=USER)
        iam.attach_user_policy(UserName=USER, PolicyArn=SERVER)
        iam.put_role_policy(RoleName=ROLE, PolicyName="Other", PolicyDocument=INLINE)
        iam.create_access_key(UserName=USER)
        client = session.client("iam")
        for operation in (*DEPENDENTS, "ListRolePolicies", "ListInstanceProfilesForRole"):
            answer(client, operation, itertools.repeat(("AccessDenied", "No.")))
        result = remove([ROLE_PLAN, USER_PLAN], existing="attach", iam=client)
        assert {each.operation for each in result.changes} == {
            "DetachRolePolicy",
            "DetachUserPolicy",
        }
        assert iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == ["Other"]
        assert len(iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]) == 1

    def test_one_of_two(self) -> None:
        """If one of two entities is unmanaged, the other one stays too."""
        world = made(ROLE_PLAN)
        world.things[PROFILE_KEY]["seen"]["Tags"] = []
        assert obstacles(world, ROLE_PLAN).keys() == {f"instance-profile {ROLE}"}

    def test_letter_case(self) -> None:
        """A name in another letter case is not the name in intent: nothing is removed."""
        found = obstacles(made(USER_PLAN), plan_agent_user(USER.upper()))
        assert found[f"user {USER}"].startswith("is not what was named")
