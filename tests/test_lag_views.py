"""What a replica of the lagging IAM makes of a request, by what it knows."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest

from cwagent_iam.testing.lagging.profiles import Fixed, Plane, Profile
from cwagent_iam.testing.lagging.versions import Versions
from cwagent_iam.testing.lagging.views import (
    View,
    in_words_of_aws,
    refused_by_ec2,
    refused_by_iam,
    refused_by_sts,
    refused_for_key,
)
from cwagent_iam.testing.lagging.wire import Sent

THING = SimpleNamespace()
EMPTY_PROFILE = SimpleNamespace(roles=[], arn="arn:p")
FULL_PROFILE = SimpleNamespace(roles=[SimpleNamespace(name="Agent")], arn="arn:p")
ARN = "arn:aws:iam::123456789012:"
_MINUTE = 60.0


def view_of(old: dict[tuple[str, str], Any], **new: Any) -> View:
    """Let replicas know *old*, and only the truth what is *new*: ``role_Agent`` and so on."""
    every: dict[Plane, Any] = {
        plane: Fixed(_MINUTE) for plane in ("read", "admission", "authz", "ec2")
    }
    versions = Versions(Profile(lags=every), random.Random(0))  # noqa: S311 - predictable
    for key, thing in old.items():
        versions.commit(key, thing, 0.0, lagging=False)
    for name, thing in new.items():
        kind, _, rest = name.partition("_")
        versions.commit((kind.replace("0", " "), rest), thing, 1.0, lagging=True)
    return View(versions, "admission", 0, 2.0, ARN)


def sent(operation: str, service: str = "iam", access_key: str = "K", **parameters: str) -> Sent:
    """Make a request without a wire."""
    return Sent(
        number=1,
        client="ours",
        service=service,
        operation=operation,
        parameters=parameters,
        access_key=access_key,
        url="https://iam.amazonaws.com/",
        body="",
    )


def says(reply: Any) -> str:
    """Reduce a reply to status, code and message."""
    if reply is None:
        return ""
    status, _, body = reply
    code, message = (body.split(f"<{tag}>")[1].split(f"</{tag}>")[0] for tag in ("Code", "Message"))
    return f"{status} {code}: {message.replace('&quot;', chr(34))}"


# --- what a replica knows -------------------------------------------------------------------------


def test_a_view_is_late_for_what_only_the_truth_knows() -> None:
    """What exists and is not known is late; what is absent from both, or known, is not."""
    view = view_of({("role", "Old"): THING}, role_New=THING)
    late = {name: view.is_late(("role", name)) for name in ("Old", "New", "None")}
    assert late == {"Old": False, "New": True, "None": False}
    assert not view.truth.is_late(("role", "New"))


@pytest.mark.parametrize(
    ("arn", "late"),
    [
        (f"{ARN}role/New", True),
        (f"{ARN}role/team/New", True),
        (f"{ARN}role/Old", False),
        (f"{ARN}user/New", False),
        ("arn:aws:iam::999999999999:role/New", False),
        ("arn:aws-cn:iam::123456789012:role/New", False),
    ],
)
def test_a_view_is_never_late_for_others(arn: str, *, late: bool) -> None:
    """What another account or partition holds is not looked up among the account's own things."""
    view = view_of({("role", "Old"): THING}, role_New=THING)
    assert view.is_late_for(arn) is late


def test_a_view_finds_names_whatever_their_case() -> None:
    """A name in another case is that of the same thing, unless both exist, and of one kind only."""
    view = view_of({("role", "Old"): THING, ("role", "A"): 1, ("role", "a"): 2}, role_New=THING)
    assert view.get(("role", "oLD")) is THING
    assert view.is_late(("role", "new"))
    assert [view.get(("role", "A")), view.get(("role", "a"))] == [1, 2]
    assert view.get(("user", "old")) is None


def test_a_view_still_has_what_is_gone() -> None:
    """A deleted thing is known until the delay is over."""
    view = view_of({("role", "Agent"): THING}, role_Agent=None)
    assert view.get(("role", "Agent")) is THING
    assert view.truth.get(("role", "Agent")) is None


def test_a_view_goes_through_a_kind() -> None:
    """Only what is known is listed, and only of one kind."""
    view = view_of({("role", "A"): "a", ("user", "A"): "u", ("role", "B"): "b"}, role_C="c")
    assert list(view.of_kind("role")) == ["a", "b"]
    assert list(view.truth.of_kind("role")) == ["a", "b", "c"]


# --- refusals of IAM ------------------------------------------------------------------------------

NOT_TOLD = (
    "403 AccessDenied: User: K is not authorized to perform iam:GetAccessKeyLastUsed"
    " on resource: access key"
)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (
            sent("UpdateRole", RoleName="New"),
            "404 NoSuchEntity: The role with name New cannot be found.",
        ),
        (
            sent("PutUserPolicy", UserName="New"),
            "404 NoSuchEntity: The user with name New cannot be found.",
        ),
        (
            sent("TagInstanceProfile", InstanceProfileName="New"),
            "404 NoSuchEntity: Instance Profile New cannot be found.",
        ),
        (sent("TagPolicy", PolicyArn="New"), "404 NoSuchEntity: Policy New was not found."),
        (
            sent("DetachRolePolicy", RoleName="Old", PolicyArn="New"),
            "404 NoSuchEntity: Policy New was not found.",
        ),
        (
            sent("AttachRolePolicy", RoleName="Old", PolicyArn="New"),
            "404 NoSuchEntity: Policy New does not exist or is not attachable.",
        ),
        (
            sent("UpdateAccessKey", AccessKeyId="New"),
            "404 NoSuchEntity: The Access Key with id New cannot be found.",
        ),
        (
            sent("GetAccessKeyLastUsed", AccessKeyId="New"),
            f"{NOT_TOLD} New",
        ),
        (sent("UpdateRole", RoleName="None"), ""),
        (sent("TagPolicy", PolicyArn="None"), ""),
        (sent("UpdateAccessKey", AccessKeyId="None"), ""),
        (sent("UpdateRole", RoleName="Old"), ""),
        (sent("CreateRole", RoleName="New"), ""),
        (
            sent("CreateRole", RoleName="x", PermissionsBoundary="New"),
            "404 NoSuchEntity: Scope ARN: New does not exist or is not attachable.",
        ),
        (sent("CreateRole", RoleName="x", PermissionsBoundary="None"), ""),
    ],
)
def test_iam_refuses_what_a_replica_does_not_know(request_: Sent, said: str) -> None:
    """What is late is refused; what never was is left to those who check the rest as well."""
    new = dict.fromkeys(
        ["role_New", "user_New", "instance0profile_New", "policy_New", "access0key_New"], THING
    )
    assert says(refused_by_iam(view_of({("role", "Old"): THING}, **new), request_)) == said


OURS: Any = (404, {}, "moto's words")


@pytest.mark.parametrize(
    ("reply", "request_", "said"),
    [
        *(
            (OURS, request, f"404 NoSuchEntity: {said}")
            for request, said in (
                (sent("GetRole", RoleName="None"), "The role with name None cannot be found."),
                (sent("GetRole", RoleName="New"), "The role with name New cannot be found."),
                (sent("TagUser", UserName="None"), "The user with name None cannot be found."),
                (
                    sent("AddRoleToInstanceProfile", InstanceProfileName="None", RoleName="None"),
                    "Instance Profile None cannot be found.",
                ),
                (
                    sent("UpdateAccessKey", AccessKeyId="None"),
                    "The Access Key with id None cannot be found.",
                ),
            )
        ),
        (
            OURS,
            sent("GetAccessKeyLastUsed", AccessKeyId="None"),
            f"{NOT_TOLD} None",
        ),
        *(
            (
                OURS,
                sent(f"{verb}{kind}Policy", **{f"{kind}Name": "Old", "PolicyName": "None"}),
                f"404 NoSuchEntity: The {kind.lower()} policy with name None cannot be found.",
            )
            for verb in ("Get", "Delete")
            for kind in ("Role", "User")
        ),
        (
            OURS,
            sent("GetRolePolicy", RoleName="None", PolicyName="None"),
            "404 NoSuchEntity: The role with name None cannot be found.",
        ),
        (OURS, sent("GetRole", RoleName="OLD"), ""),
        (OURS, sent("DeleteRolePermissionsBoundary", RoleName="Old"), ""),
        (OURS, sent("TagPolicy", PolicyArn="None"), ""),
        ((400, {}, "no"), sent("GetRole", RoleName="None"), ""),
        (None, sent("GetRole", RoleName="None"), ""),
    ],
)
def test_a_miss_is_told_in_the_words_of_aws(reply: Any, request_: Sent, said: str) -> None:
    """Where anything but a managed policy is missed, IAM's words stand in for moto's."""
    old = {("role", "Old"): THING, ("user", "Old"): THING}
    told = in_words_of_aws(reply, view_of(old, role_New=THING), request_)
    if said:
        assert says(told) == said
    else:
        assert told is reply


def trust(principal: object) -> str:
    """Write a trust that lets *principal* in."""
    return json.dumps({"Statement": [{"Principal": principal}]})


NEW_ROLE = f"{ARN}role/New"
NEW_USER = f"{ARN}user/team/a/New"


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        (trust({"AWS": NEW_ROLE}), NEW_ROLE),
        (trust({"AWS": ["123456789012", NEW_USER]}), NEW_USER),
        (json.dumps({"Statement": {"Principal": {"AWS": NEW_ROLE}}}), NEW_ROLE),
        (trust({"AWS": f"{ARN}role/Old"}), None),
        (trust({"AWS": f"{ARN}root"}), None),
        (trust({"AWS": "arn:aws:iam::999999999999:role/New"}), None),
        (trust({"AWS": f"{ARN}group/New"}), None),
        (trust({"Service": "ec2.amazonaws.com"}), None),
        (trust("*"), None),
        (trust({"AWS": [7, None]}), None),
        (trust({"AWS": None}), None),
        (json.dumps({"Statement": ["no statement"]}), None),
        (json.dumps({"Statement": None}), None),
        (json.dumps([]), None),
        ("{}", None),
        ("no JSON", None),
    ],
)
@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("CreateRole", "AssumeRolePolicyDocument"),
        ("UpdateAssumeRolePolicy", "PolicyDocument"),
    ],
)
def test_iam_refuses_a_trust_in_what_it_does_not_know(
    operation: str, field: str, document: str, refused: str | None
) -> None:
    """A late role or user in a trust is an invalid principal; other forms are left to moto."""
    view = view_of({("role", "Old"): THING}, role_New=THING, user_New=THING, group_New=THING)
    said = says(refused_by_iam(view, sent(operation, RoleName="Old", **{field: document})))
    expected = f'400 MalformedPolicyDocument: Invalid principal in policy: "AWS":"{refused}"'
    assert said == (expected if refused else "")


def test_only_a_trust_has_principals() -> None:
    """A permission document is not searched for principals."""
    request = sent("PutRolePolicy", RoleName="Old", PolicyDocument=trust({"AWS": NEW_ROLE}))
    assert refused_by_iam(view_of({("role", "Old"): THING}, role_New=THING), request) is None


@pytest.mark.parametrize(
    ("profile", "role", "said"),
    [
        (
            EMPTY_PROFILE,
            "Agent",
            "404 NoSuchEntity: Role Agent in Instance Profile P cannot be found.",
        ),
        (FULL_PROFILE, "Agent", ""),
        (FULL_PROFILE, "AGENT", ""),
        (None, "Agent", ""),
        (EMPTY_PROFILE, "None", ""),
    ],
    ids=["empty", "holds it", "other case", "profile gone", "role gone"],
)
def test_a_role_leaves_only_a_profile_that_truly_holds_it(
    profile: Any, role: str, said: str
) -> None:
    """The truth decides, not the replica; what is gone is left to moto, the profile or the role."""
    old = {("role", "Agent"): THING, ("instance profile", "P"): FULL_PROFILE}
    request = sent("RemoveRoleFromInstanceProfile", InstanceProfileName="P", RoleName=role)
    assert says(refused_by_iam(view_of(old, instance0profile_P=profile), request)) == said


WITH_POLICY = SimpleNamespace(policies={"p": 1})
CONFLICT = "409 DeleteConflict: Cannot delete entity, must {} first."


@pytest.mark.parametrize(
    ("request_", "thing", "others", "must"),
    [
        (sent("DeleteRole", RoleName="Agent"), THING, {}, ""),
        (
            sent("DeleteRole", RoleName="Agent"),
            SimpleNamespace(managed_policies={"p": 1}, policies={"p": 1}),
            {},
            "detach all policies",
        ),
        (
            sent("DeleteRole", RoleName="Agent"),
            SimpleNamespace(managed_policies={}, policies={"p": 1}),
            {},
            "delete policies",
        ),
        (
            sent("DeleteRole", RoleName="Agent"),
            SimpleNamespace(managed_policies={"p": 1}),
            {("instance profile", "P"): FULL_PROFILE},
            "remove roles from instance profile",
        ),
        (
            sent("DeleteRole", RoleName="Agent"),
            THING,
            {("instance profile", "P"): EMPTY_PROFILE},
            "",
        ),
        (
            sent("DeleteInstanceProfile", InstanceProfileName="Agent"),
            FULL_PROFILE,
            {},
            "remove roles from instance profile",
        ),
        (
            sent("DeleteUser", UserName="Agent"),
            WITH_POLICY,
            {("instance profile", "P"): FULL_PROFILE},
            "delete policies",
        ),
        (sent("DeleteRolePolicy", RoleName="Agent"), WITH_POLICY, {}, ""),
        (sent("DeletePolicy", PolicyArn="Never"), THING, {}, ""),
        (sent("DeleteAccessKey", UserName="Agent", AccessKeyId="K"), WITH_POLICY, {}, ""),
        (sent("UpdateRole", RoleName="Agent"), WITH_POLICY, {}, ""),
    ],
)
def test_what_still_holds_something_is_not_deleted(
    request_: Sent, thing: Any, others: dict[tuple[str, str], Any], must: str
) -> None:
    """A replica refuses by what it knows, even if the truth is free of it by now."""
    kind, _ = request_.named[0]
    old = others | {(kind, "Agent"): thing}
    view = view_of(old, role_Agent=THING, user_Agent=THING, instance0profile_Agent=EMPTY_PROFILE)
    assert says(refused_by_iam(view, request_)) == (CONFLICT.format(must) if must else "")


# --- refusals of STS and EC2, and for access keys -------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "arn", "refused"),
    [
        ("AssumeRole", NEW_ROLE, True),
        ("AssumeRole", f"{ARN}role/team/New", True),
        ("AssumeRole", f"{ARN}role/Old", False),
        ("AssumeRole", f"{ARN}role/None", False),
        ("AssumeRole", f"{ARN}root", False),
        ("AssumeRole", "arn:aws:iam::999999999999:role/New", False),
        ("AssumeRole", "", False),
        ("GetCallerIdentity", NEW_ROLE, False),
    ],
)
def test_sts_refuses_a_role_that_it_does_not_know(
    operation: str, arn: str, *, refused: bool
) -> None:
    """A late role cannot be assumed; what never was is left to moto, and what is no role."""
    reply = refused_by_sts(
        view_of({("role", "Old"): THING}, role_New=THING), sent(operation, "sts", RoleArn=arn)
    )
    words = f"User: K is not authorized to perform: sts:AssumeRole on resource: {arn}"
    assert says(reply) == (f"403 AccessDenied: {words}" if refused else "")


@pytest.mark.parametrize(("name", "refused"), [("New", True), ("Old", False)])
def test_sts_takes_no_token_for_a_role_that_it_does_not_know(name: str, *, refused: bool) -> None:
    """A late role is not given for a token either; the caller has no name to be told."""
    reply = refused_by_sts(
        view_of({("role", "Old"): THING}, role_New=THING),
        sent("AssumeRoleWithWebIdentity", "sts", access_key="", RoleArn=f"{ARN}role/{name}"),
    )
    words = "403 AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
    assert says(reply) == (words if refused else "")


ACTIVE = SimpleNamespace(status="Active")
INACTIVE = SimpleNamespace(status="Inactive")


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        pytest.param({}, {}, False, id="not of this IAM"),
        pytest.param({("access key", "K"): ACTIVE}, {}, False, id="active"),
        pytest.param({("access key", "K"): INACTIVE}, {}, True, id="inactive"),
        pytest.param({}, {"access0key_K": ACTIVE}, True, id="late"),
        pytest.param({("access key", "K"): None}, {}, True, id="deleted"),
        pytest.param(
            {("access key", "K"): ACTIVE}, {"access0key_K": None}, False, id="deleted of late"
        ),
    ],
)
def test_an_access_key_counts_as_it_is_known(old: Any, new: Any, *, refused: bool) -> None:
    """Every service refuses keys that are not yet, or no more, active as far as it knows."""
    reply = refused_for_key(view_of(old, **new), sent("ListRoles"))
    words = "The security token included in the request is invalid."
    assert says(reply) == (f"403 InvalidClientTokenId: {words}" if refused else "")


INVALID = (
    "400 InvalidParameterValue: Value ({}) for parameter iamInstanceProfile.{} is invalid. "
    "Invalid IAM Instance Profile {}"
)
BARE = '400 InvalidParameterValue: IAM Instance Profile "arn:p" has no associated IAM Roles'


@pytest.mark.parametrize(
    ("parameters", "old", "said"),
    [
        ({"ImageId": "ami-1"}, {}, ""),
        ({"IamInstanceProfile.NameTag": "P"}, {}, ""),
        (
            {"IamInstanceProfile.Name": "P"},
            {},
            INVALID.format("P", "name", "name"),
        ),
        (
            {"IamInstanceProfile.Arn": "arn:x/P"},
            {},
            INVALID.format("arn:x/P", "arn", "ARN"),
        ),
        (
            {"ImageId": "ami-1", "LaunchTemplateData.IamInstanceProfile.Name": "P"},
            {("instance profile", "P"): EMPTY_PROFILE},
            BARE,
        ),
        (
            {"IamInstanceProfile.Name": "P"},
            {("instance profile", "P"): FULL_PROFILE},
            BARE,
        ),
        (
            {"IamInstanceProfile.Arn": "arn:x/team/P"},
            {("instance profile", "P"): FULL_PROFILE, ("role", "Agent"): THING},
            "",
        ),
    ],
    ids=["none", "other", "name", "ARN", "without role", "role not known", "known in full"],
)
def test_ec2_refuses_a_profile_that_it_does_not_know_in_full(
    parameters: dict[str, str], old: dict[tuple[str, str], Any], said: str
) -> None:
    """Neither a profile nor its role may be late for EC2."""
    assert says(refused_by_ec2(view_of(old), sent("RunInstances", "ec2", **parameters))) == said
