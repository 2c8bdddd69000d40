"""The lagging IAM: inline policies, boundaries, attachments, and profiles that change hands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ClientError

from cwagent_iam.testing import Crash, Fault, LaggyIAM, laggy_iam, strict_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DELAY = 8.0
# Reads and writes look at replicas, each of which learns of a write 8 seconds later.
LATE = attrs.evolve(
    PROFILES["off"],
    lags={"read": Fixed(_DELAY), "admission": Fixed(_DELAY), "ec2": Fixed(_DELAY)},
    router="alternate",
    stale_writes=1.0,
)
# One replica knows at once, the others after 2 and 4 seconds; they answer in turn.
FLAPPING = attrs.evolve(LATE, lags={"read": Fixed(0, 2, 4)}, stale_writes=0.0)
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
OWN = "arn:aws:iam::123456789012:policy/team/own"
KINDS = ["role", "user"]


def document(action: str = "s3:*", size: int = 0) -> str:
    """A policy, as long as is asked for."""
    statement = {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{'x' * size}"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def of(kind: str, name: str = "it") -> dict[str, str]:
    """How a request names a role or user."""
    return {f"{kind.title()}Name": name}


def inline(name: str = "p", **text: str) -> dict[str, str]:
    """How a request names an inline policy, and what it says."""
    return {"PolicyName": name, **text}


def said(call: Callable[..., Any], **members: Any) -> str:
    """AWS's code and text; ``ok`` if there is neither."""
    try:
        call(**members)
    except ClientError as error:
        found = error.response["Error"]
        return f"{found['Code']}: {found.get('Message') or '-'}"
    return "ok"


def scene(iam: Any) -> None:
    """Make a role, a user and a profile."""
    iam.create_role(RoleName="it", AssumeRolePolicyDocument=TRUST)
    iam.create_user(UserName="it")
    iam.create_instance_profile(InstanceProfileName="it")


@pytest.fixture
def late() -> Iterator[LaggyIAM]:
    """An open IAM that learns late, with a role, a user and a profile that all know."""
    with laggy_iam(LATE) as lagging:
        scene(lagging.truth)
        yield lagging


# --- inline policies ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_inline_policy_is_unknown_to_a_late_host(kind: str, late: LaggyIAM) -> None:
    """It is missed in AWS's words, and no list has it; in truth it is there."""
    iam = late.client("ours")
    get, names = getattr(iam, f"get_{kind}_policy"), getattr(iam, f"list_{kind}_policies")
    getattr(iam, f"put_{kind}_policy")(**of(kind), **inline(PolicyDocument=document()))
    missing = f"NoSuchEntity: The {kind} policy with name p cannot be found."
    assert said(get, **of(kind), **inline()) == missing
    assert names(**of(kind))["PolicyNames"] == []
    assert said(getattr(late.truth, f"get_{kind}_policy"), **of(kind), **inline()) == "ok"
    late.settle()
    assert get(**of(kind), **inline())["PolicyDocument"] == json.loads(document())
    assert names(**of(kind))["PolicyNames"] == ["p"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_inline_policy_is_still_shown_by_a_late_host(kind: str, late: LaggyIAM) -> None:
    """With its document; and it is deleted only once."""
    iam = late.client("ours")
    get, names = getattr(iam, f"get_{kind}_policy"), getattr(iam, f"list_{kind}_policies")
    delete = getattr(iam, f"delete_{kind}_policy")
    getattr(late.truth, f"put_{kind}_policy")(**of(kind), **inline(PolicyDocument=document()))
    delete(**of(kind), **inline())
    missing = f"NoSuchEntity: The {kind} policy with name p cannot be found."
    assert get(**of(kind), **inline())["PolicyDocument"] == json.loads(document())
    assert names(**of(kind))["PolicyNames"] == ["p"]
    assert said(delete, **of(kind), **inline()) == missing
    late.settle()
    assert said(get, **of(kind), **inline()) == missing
    assert names(**of(kind))["PolicyNames"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_host_shows_the_document_of_before(kind: str, late: LaggyIAM) -> None:
    """What is put in the place of an inline policy is one more version of the role or user."""
    iam = late.client("ours")
    put, get = getattr(iam, f"put_{kind}_policy"), getattr(iam, f"get_{kind}_policy")
    getattr(late.truth, f"put_{kind}_policy")(**of(kind), **inline(PolicyDocument=document("a:A")))
    put(**of(kind), **inline(PolicyDocument=document("b:B")))
    assert get(**of(kind), **inline())["PolicyDocument"] == json.loads(document("a:A"))
    late.settle()
    assert get(**of(kind), **inline())["PolicyDocument"] == json.loads(document("b:B"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_inline_policy_flaps(kind: str) -> None:
    """Until all replicas know, one shows it and the next one does not."""
    with laggy_iam(FLAPPING) as lagging:
        iam = lagging.client("ours")
        scene(lagging.truth)
        getattr(iam, f"put_{kind}_policy")(**of(kind), **inline(PolicyDocument=document()))
        get = getattr(iam, f"get_{kind}_policy")
        seen = [said(get, **of(kind), **inline()) == "ok" for _ in range(6)]
        assert seen == [False, False, True, False, False, True]
        lagging.clock.sleep(2.0)
        seen = [said(get, **of(kind), **inline()) == "ok" for _ in range(3)]
        assert sorted(seen) == [False, True, True]


WRITES: dict[str, dict[str, Any]] = {
    "put_{}_policy": inline(PolicyDocument=document()),
    "delete_{}_policy": inline(),
    "put_{}_permissions_boundary": {"PermissionsBoundary": READ_ONLY},
    "delete_{}_permissions_boundary": {},
    "attach_{}_policy": {"PolicyArn": SERVER},
    "detach_{}_policy": {"PolicyArn": SERVER},
}


@pytest.mark.parametrize(("operation", "members"), WRITES.items(), ids=WRITES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_does_not_find_what_its_host_does_not_know(
    kind: str, operation: str, members: dict[str, Any]
) -> None:
    """A new role or user is missed by every write, in AWS's words, and stays as it is."""
    with laggy_iam(LATE) as lagging:
        iam = lagging.client("ours")
        scene(iam)
        missing = f"NoSuchEntity: The {kind} with name it cannot be found."
        assert said(getattr(iam, operation.format(kind)), **of(kind), **members) == missing
        left = getattr(lagging.truth, f"get_{kind}")(**of(kind))[kind.title()]
        assert "PermissionsBoundary" not in left
        assert getattr(lagging.truth, f"list_{kind}_policies")(**of(kind))["PolicyNames"] == []


@pytest.mark.parametrize("verb", ["get", "list"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_read_does_not_find_what_its_host_does_not_know(kind: str, verb: str) -> None:
    """It is the role or user that is missed, not its policy."""
    with laggy_iam(attrs.evolve(LATE, stale_writes=0.0)) as lagging:
        iam = lagging.client("ours")
        scene(iam)
        getattr(iam, f"put_{kind}_policy")(**of(kind), **inline(PolicyDocument=document()))
        operation = f"get_{kind}_policy" if verb == "get" else f"list_{kind}_policies"
        members = inline() if verb == "get" else {}
        missing = f"NoSuchEntity: The {kind} with name it cannot be found."
        assert said(getattr(iam, operation), **of(kind), **members) == missing


@pytest.mark.parametrize("kind", KINDS)
def test_strict_iam_measures_what_is_there_and_not_what_a_host_knows(
    kind: str, late: LaggyIAM
) -> None:
    """Two policies that are too large together are refused, however late the host is."""
    iam = late.client("ours")
    most = {"role": 10_240, "user": 2_048}[kind]
    put = getattr(iam, f"put_{kind}_policy")
    half = inline(PolicyDocument=document(size=most // 2))
    with strict_iam():
        assert said(put, **of(kind), **half) == "ok"
        answer = said(put, **of(kind), **(half | inline("q")))
    text = f"Maximum policy size of {most} bytes exceeded for {kind} it"
    assert answer == f"LimitExceeded: {text}"


# --- boundaries, attachments, policies ------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_boundary_is_late_when_it_comes_and_when_it_goes(kind: str, late: LaggyIAM) -> None:
    """A late host shows none, and later the one that is gone."""
    iam = late.client("ours")

    def shown() -> str | None:
        found = getattr(iam, f"get_{kind}")(**of(kind))[kind.title()]
        arn: str | None = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        return arn

    put = getattr(iam, f"put_{kind}_permissions_boundary")
    put(**of(kind), PermissionsBoundary=READ_ONLY)
    seen = [shown()]
    late.settle()
    seen.append(shown())
    getattr(iam, f"delete_{kind}_permissions_boundary")(**of(kind))
    seen.append(shown())
    late.settle()
    assert [*seen, shown()] == [None, READ_ONLY, READ_ONLY, None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_boundary_that_a_host_does_not_know_cannot_be_set(kind: str, late: LaggyIAM) -> None:
    """A new policy is no boundary yet, in AWS's words."""
    iam = late.client("ours")
    iam.create_policy(PolicyName="own", Path="/team/", PolicyDocument=document())
    put = getattr(iam, f"put_{kind}_permissions_boundary")
    text = f"Scope ARN: {OWN} does not exist or is not attachable."
    assert said(put, **of(kind), PermissionsBoundary=OWN) == f"NoSuchEntity: {text}"
    late.settle()
    assert said(put, **of(kind), PermissionsBoundary=OWN) == "ok"


@pytest.mark.parametrize("kind", KINDS)
def test_a_detached_policy_is_still_listed_by_a_late_host(kind: str, late: LaggyIAM) -> None:
    """The role or user stays; the policy is detached only once."""
    iam = late.client("ours")
    listed = getattr(iam, f"list_attached_{kind}_policies")
    for arn in (SERVER, READ_ONLY):
        getattr(late.truth, f"attach_{kind}_policy")(**of(kind), PolicyArn=arn)
    detach = getattr(iam, f"detach_{kind}_policy")
    detach(**of(kind), PolicyArn=SERVER)
    seen = [[each["PolicyArn"] for each in listed(**of(kind))["AttachedPolicies"]]]
    answer = said(detach, **of(kind), PolicyArn=SERVER)
    late.settle()
    seen.append([each["PolicyArn"] for each in listed(**of(kind))["AttachedPolicies"]])
    assert answer == f"NoSuchEntity: Policy {SERVER} was not found."
    assert seen == [[SERVER, READ_ONLY], [READ_ONLY]]


def test_policies_are_listed_late(late: LaggyIAM) -> None:
    """A new policy is on no list of a late host, a deleted one still is; its path counts."""
    iam = late.client("ours")

    def listed(prefix: str) -> list[str]:
        pages = iam.get_paginator("list_policies").paginate(Scope="Local", PathPrefix=prefix)
        return [each["Arn"] for page in pages for each in page["Policies"]]

    iam.create_policy(PolicyName="own", Path="/team/", PolicyDocument=document())
    seen = [listed("/team/")]
    late.settle()
    seen += [listed("/team/"), listed("/other/")]
    iam.delete_policy(PolicyArn=OWN)
    seen.append(listed("/team/"))
    late.settle()
    assert [*seen, listed("/team/")] == [[], [OWN], [], [OWN], []]


@pytest.mark.parametrize("strict", [False, True], ids=["moto", "strict"])
def test_the_summary_counts_what_a_host_knows(*, strict: bool, late: LaggyIAM) -> None:
    """Its counts are late, its quotas never."""
    iam = late.client("ours")

    def counts() -> list[int]:
        summary = iam.get_account_summary()["SummaryMap"]
        assert summary["RolesQuota"] == 1_000
        return [summary[name] for name in ("Roles", "Users", "Policies", "InstanceProfiles")]

    def act() -> list[list[int]]:
        iam.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)
        iam.create_policy(PolicyName="own", PolicyDocument=document())
        iam.delete_instance_profile(InstanceProfileName="it")
        seen = [counts()]
        late.settle()
        return [*seen, counts()]

    if strict:
        with strict_iam():
            seen = act()
    else:
        seen = act()
    assert seen == [[1, 1, 0, 1], [2, 1, 1, 0]]


# --- a profile that changes hands -----------------------------------------------------------------


def swap(iam: Any) -> None:
    """Put the role ``new`` into the profile, in the place of ``it``."""
    iam.remove_role_from_instance_profile(InstanceProfileName="it", RoleName="it")
    iam.add_role_to_instance_profile(InstanceProfileName="it", RoleName="new")


def held(iam: Any) -> list[str]:
    """The roles in the profile."""
    profile = iam.get_instance_profile(InstanceProfileName="it")["InstanceProfile"]
    return [role["RoleName"] for role in profile["Roles"]]


def hold(lagging: LaggyIAM) -> Any:
    """Let the profile hold a role, and another role be there; return a client."""
    scene(lagging.truth)
    lagging.truth.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)
    lagging.truth.add_role_to_instance_profile(InstanceProfileName="it", RoleName="it")
    return lagging.client("ours")


def test_a_swap_is_done_at_once_and_seen_late(late: LaggyIAM) -> None:
    """That the profile holds one role is judged by the truth, so the new one finds it empty."""
    late.truth.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)
    late.truth.add_role_to_instance_profile(InstanceProfileName="it", RoleName="it")
    iam = late.client("ours")
    swap(iam)
    assert (held(late.truth), held(iam)) == (["new"], ["it"])
    late.settle()
    assert held(iam) == ["new"]


def test_a_swap_goes_through_an_empty_profile() -> None:
    """A host that heard of the first half only shows no role, and EC2 starts nothing with it."""
    profile = attrs.evolve(LATE, stale_writes=0.0)
    with laggy_iam(profile) as lagging:
        iam = hold(lagging)
        ec2 = lagging.client("ours", "ec2")
        launch = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1, "DryRun": True}
        seen, codes = [], []
        iam.remove_role_from_instance_profile(InstanceProfileName="it", RoleName="it")
        lagging.clock.sleep(4.0)
        iam.add_role_to_instance_profile(InstanceProfileName="it", RoleName="new")
        for seconds in (0.0, 4.0, 4.0):
            lagging.clock.sleep(seconds)
            seen.append(held(iam))
            answer = said(ec2.run_instances, **launch, IamInstanceProfile={"Name": "it"})
            codes.append(answer.partition(":")[0])
        assert seen == [["it"], [], ["new"]]
        assert codes == ["DryRunOperation", "InvalidParameterValue", "DryRunOperation"]


@pytest.mark.parametrize("half", ["RemoveRoleFromInstanceProfile", "AddRoleToInstanceProfile"])
@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_a_swap_may_stop_in_the_middle(half: str, when: Any, *, done: bool) -> None:
    """A crash leaves the old role, none, or the new one, and the other half can still be done."""
    with laggy_iam("off") as lagging:
        iam = hold(lagging)
        lagging.fail(Fault("crash", half, "ours", when=when))
        with pytest.raises(Crash):
            swap(iam)
        first = half.startswith("Remove")
        left = {(True, False): ["it"], (False, True): ["new"]}.get((first, done), [])
        assert held(lagging.truth) == left
        if left == []:
            lagging.truth.add_role_to_instance_profile(InstanceProfileName="it", RoleName="new")
        elif left == ["it"]:
            swap(lagging.truth)
        assert held(lagging.truth) == ["new"]


def test_a_profile_takes_no_second_role(late: LaggyIAM) -> None:
    """Not even from a host that has not heard of the first one."""
    iam = late.client("ours")
    late.truth.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST)
    add = iam.add_role_to_instance_profile
    assert said(add, InstanceProfileName="it", RoleName="it") == "ok"
    text = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"
    assert said(add, InstanceProfileName="it", RoleName="new") == f"LimitExceeded: {text}"


# --- fields that IAM seldom sends -----------------------------------------------------------------


def test_a_role_tells_its_template(late: LaggyIAM) -> None:
    """As moto sends it of a role that is given it, from any host."""
    template = {"TemplateArn": "arn:aws:iam::aws:role-template/T/1", "TemplateMinorVersion": 3}
    moto: Any = late._iam  # noqa: SLF001 - moto has no operation that makes such a role
    moto.get_role("it").source_role_template = template
    late.truth.get_role(RoleName="it")  # so that the lagging IAM hears of it
    iam = late.client("ours")
    iam.tag_role(RoleName="it", Tags=[{"Key": "Team", "Value": "x"}])
    for _ in range(3):
        role = iam.get_role(RoleName="it")["Role"]
        assert (role["SourceRoleTemplate"], role.get("Tags", [])) == (template, [])
