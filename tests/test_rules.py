"""The rules: what a refusal means, by operation, code, message, and what the call knows."""

from __future__ import annotations

from typing import NamedTuple

import attrs
import pytest

from cwagent_iam import changes as the
from cwagent_iam.documents import Document
from cwagent_iam.policies import SERVER_POLICY, ManagedPolicy
from cwagent_iam.reconcile.rules import (
    DENSE,
    FINAL,
    LOST,
    RIVALS,
    RULES,
    SLOW,
    Known,
    as_target,
    missing_targets,
    principals,
    rule_for,
)
from cwagent_iam.requests import Unsent, Wait
from cwagent_iam.trust import EC2_TRUST, CrossAccount
from tests.core import ACCOUNT, BUSY, DENIED, NO_REPLY, ROLE, THROTTLED, USER, no_such, refusal

NO_ROLE, NO_USER, NO_PROFILE = no_such("role"), no_such("user", USER), no_such("profile")
NO_POLICY = refusal("NoSuchEntity", "Policy ARN does not exist or is not attachable.")
NO_BOUNDARY = refusal("NoSuchEntity", "Scope ARN: ARN does not exist or is not attachable.")
TAKEN = refusal("EntityAlreadyExists", f"Role with name {ROLE} already exists.")
FULL = refusal("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
IN_USE = refusal("DeleteConflict", "Cannot delete entity, must detach all policies first.")
SLOWLY = refusal("EntityTemporarilyUnmodifiable", "Please try again later.")

MAKE_ROLE = the.CreateRole(name=ROLE, trust=EC2_TRUST)
MAKE_PROFILE = the.CreateInstanceProfile(name=ROLE)
ATTACH = the.AttachRolePolicy(name=ROLE, policy=SERVER_POLICY)
DETACH = the.DetachRolePolicy(name=ROLE, policy=SERVER_POLICY)
BOUND = the.PutRolePermissionsBoundary(name=ROLE, policy=SERVER_POLICY)
ATTACH_USER = the.AttachUserPolicy(name=USER, policy=SERVER_POLICY)
ADD = the.AddRoleToInstanceProfile(name=ROLE, role_name=ROLE)
TAKE_OUT = the.RemoveRoleFromInstanceProfile(name=ROLE, role_name=ROLE)
TAG_PROFILE = the.TagInstanceProfile(name=ROLE, tags=())
DELETE = the.DeleteRole(name=ROLE)

NEW_USER = f"arn:aws:iam::{ACCOUNT}:user/new"
NEW_ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/new"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/new/here"
OTHER_PATH = NEW_ROLE.replace("/team/", "/")
TRUST_AGAIN = the.UpdateAssumeRolePolicy(name=ROLE, trust=CrossAccount([NEW_USER]).document())
SPARING = the.CreateRole(
    name=ROLE,
    trust=Document.parse(
        {
            "Statement": {
                "Effect": "Deny",
                "NotPrincipal": {"AWS": NEW_USER},
                "Action": "sts:AssumeRole",
            }
        }
    ),
)
TRUSTING_ALL = the.CreateRole(
    name=ROLE,
    trust=Document.parse(
        {
            "Statement": {
                "Effect": "Allow",
                "Principal": {
                    "AWS": [NEW_ROLE, "999999999999"],
                    "Service": "absent.amazonaws.com",
                },
                "Action": "sts:AssumeRole",
            }
        }
    ),
)
TRUSTING_NO_ROLE = the.CreateRole(
    name=ROLE, trust=CrossAccount(["arn:aws:iam::999999999999:root"]).document()
)


def trusting(*principals: str) -> the.CreateRole:
    """Return a change that creates a role which *principals* may assume."""
    return the.CreateRole(name=ROLE, trust=CrossAccount(principals).document())


def bad(principal: str = "") -> object:
    """Return IAM's refusal of a trust policy, which names a *principal* or none."""
    named = f': "AWS":"{principal}"' if principal else ""
    return refusal("MalformedPolicyDocument", f"Invalid principal in policy{named}")


def known(
    *made: str, seen: tuple[str, ...] = (), arns: tuple[str, ...] = (), old: tuple[str, ...] = ()
) -> Known:
    """Return what a call knows: what it created and observed, and the ARNs of both."""
    lower = [frozenset(each.lower() for each in some) for some in (made, arns, seen, old)]
    return Known(created=lower[0], created_arns=lower[1], observed=lower[2], observed_arns=lower[3])


MADE = known(f"role {ROLE}")


class Row(NamedTuple):
    """A refusal of a change, and what it means."""

    verdict: str
    refusal: object
    change: the.Change
    known: Known = Known()


# For each rule what it is for, and near misses: the same code where it means something else.
ROWS: dict[str, Row] = {
    "new role, attach": Row("retry", NO_ROLE, ATTACH, MADE),
    "new role, add": Row("retry", NO_ROLE, ADD, MADE),
    "new profile, add": Row("retry", NO_PROFILE, ADD, known(f"instance-profile {ROLE}")),
    "new profile, tag": Row("retry", NO_PROFILE, TAG_PROFILE, known(f"instance-profile {ROLE}")),
    "new role, profile missed": Row("final", NO_PROFILE, ADD, MADE),
    "new profile, role missed": Row("final", NO_ROLE, ADD, known(f"instance-profile {ROLE}")),
    "role neither new nor seen": Row("final", NO_ROLE, ATTACH),
    "another role new": Row("final", NO_ROLE, ATTACH, known("role other")),
    "user of that name new": Row("final", NO_ROLE, ATTACH, known(f"user {ROLE}")),
    "new role, no such policy": Row("final", NO_POLICY, ATTACH, MADE),
    "new role, no such boundary": Row("final", NO_BOUNDARY, BOUND, MADE),
    "new user": Row("retry", NO_USER, ATTACH_USER, known(f"user {USER}")),
    "new user, no such policy": Row("final", NO_POLICY, ATTACH_USER, known(f"user {USER}")),
    "role seen": Row("observe", NO_ROLE, ATTACH, known(seen=(f"role {ROLE}",))),
    "role seen, no such policy": Row("final", NO_POLICY, ATTACH, known(seen=(f"role {ROLE}",))),
    "role made and seen": Row(
        "retry", NO_ROLE, ATTACH, known(f"role {ROLE}", seen=(f"role {ROLE}",))
    ),
    "busy": Row("retry", BUSY, ATTACH),
    "busy with nothing known": Row("retry", BUSY, MAKE_ROLE),
    "for minutes": Row("retry", SLOWLY, the.DeleteUser(name=USER)),
    "detached already": Row("observe", NO_POLICY, DETACH),
    "detach, role gone": Row("observe", NO_ROLE, DETACH, MADE),
    "attach is not detach": Row("final", NO_POLICY, ATTACH, MADE),
    "out already": Row("observe", refusal("NoSuchEntity", f"Role {ROLE} not found."), TAKE_OUT),
    "gone already": Row("observe", NO_ROLE, DELETE),
    "boundary gone already": Row(
        "observe", NO_BOUNDARY, the.DeleteRolePermissionsBoundary(name=ROLE)
    ),
    "something depends on it": Row("observe", IN_USE, DELETE),
    "only a deletion meets dependents": Row("final", IN_USE, DETACH),
    "name taken": Row("observe", TAKEN, MAKE_ROLE),
    "name of a profile taken": Row("observe", TAKEN, MAKE_PROFILE),
    "taken, but nothing is created": Row("final", TAKEN, ATTACH),
    "quota of roles": Row("final", FULL, MAKE_ROLE),
    "some role inside": Row("observe", FULL, ADD),
    "this role inside": Row("observe", TAKEN, ADD),
    "quota of policies": Row("final", FULL, ATTACH),
    "denied": Row("final", DENIED, ATTACH, MADE),
    "delete denied": Row("final", DENIED, DELETE),
    "no code": Row("final", refusal(None, "odd"), ATTACH, MADE),
    "new principal": Row("retry", bad(NEW_USER), trusting(NEW_USER), known(arns=(NEW_USER,))),
    "new principal, update": Row("retry", bad(NEW_USER), TRUST_AGAIN, known(arns=(NEW_USER,))),
    "new principal, not named": Row("retry", bad(), trusting(NEW_ROLE), known(arns=(NEW_ROLE,))),
    "new principal that is denied nothing": Row(
        "retry", bad(NEW_USER), SPARING, known(arns=(NEW_USER,))
    ),
    "session of a new role": Row("retry", bad(SESSION), trusting(SESSION), known(arns=(NEW_ROLE,))),
    "principal seen": Row("observe", bad(NEW_USER), trusting(NEW_USER), known(old=(NEW_USER,))),
    "session of a role seen": Row(
        "observe", bad(SESSION), trusting(SESSION), known(old=(NEW_ROLE,))
    ),
    "unknown principal": Row("look up", bad(NEW_USER), trusting(NEW_USER)),
    "principal with a longer name known": Row(
        "look up", bad(NEW_USER), trusting(NEW_USER), known(arns=(f"{NEW_USER}er",))
    ),
    "unknown principal beside a new one": Row(
        "look up", bad(NEW_USER), trusting(NEW_USER, NEW_ROLE), known(arns=(NEW_ROLE,))
    ),
    "new principal by another path": Row(
        "look up", bad(OTHER_PATH), trusting(OTHER_PATH), known(arns=(NEW_ROLE,))
    ),
    "session in another partition": Row(
        "look up",
        bad(SESSION),
        trusting(SESSION),
        known(arns=(NEW_ROLE.replace("aws:", "aws-cn:", 1),)),
    ),
    "session in another account": Row(
        "look up",
        bad(SESSION),
        trusting(SESSION),
        known(arns=(NEW_ROLE.replace(ACCOUNT, "9" * 12),)),
    ),
    "session of a new user": Row(
        "look up", bad(SESSION), trusting(SESSION), known(arns=(NEW_ROLE.replace("role", "user"),))
    ),
    "session of another role": Row(
        "look up", bad(SESSION), trusting(SESSION), known(arns=(f"{NEW_ROLE}er",))
    ),
    "session beside what is known by a bare id": Row(
        "look up", bad(SESSION), trusting(SESSION), known(old=("AROAABCDEFGHIJKLMNOPQ",))
    ),
    "account that does not exist": Row(
        "final", bad("arn:aws:iam::999999999999:root"), TRUSTING_ALL, known(arns=(NEW_ROLE,))
    ),
    "the key is deleted already": Row(
        "observe",
        refusal("NoSuchEntity", "The Access Key with id AKIA1 cannot be found."),
        the.UpdateAccessKey(name="Agent", access_key_id="AKIA1", status="Inactive"),
    ),
    "another process has created a key": Row(
        "observe",
        refusal("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"),
        the.CreateAccessKey(name="Agent"),
    ),
    "only accounts are trusted": Row("final", bad(), TRUSTING_NO_ROLE),
    "no trust policy in the request": Row("final", bad(NEW_USER), ATTACH, known(arns=(NEW_USER,))),
    "trust policy, other words": Row(
        "final",
        refusal("MalformedPolicyDocument", "Syntax errors in policy."),
        trusting(NEW_USER),
        known(arns=(NEW_USER,), old=(NEW_USER,)),
    ),
}


def rule_of(row: Row) -> object:
    """Return the rule for a row, as the loop finds it."""
    return rule_for(row.change.request("aws", ACCOUNT), row.refusal, row.known)  # type: ignore[arg-type]


class TestRules:
    """The table."""

    @pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
    def test_verdict(self, row: Row) -> None:
        """The verdict depends on operation, code, message, and on what the call knows."""
        assert rule_of(row).verdict == row.verdict  # type: ignore[attr-defined]

    def test_each_rule_decides(self) -> None:
        """Each rule decides one of the rows above, so none can be deleted."""
        assert {rule_of(row) for row in ROWS.values()} == {*RULES, FINAL}

    @pytest.mark.parametrize("change", [ATTACH, DELETE, TRUST_AGAIN])
    @pytest.mark.parametrize("failure", [THROTTLED, NO_REPLY])
    def test_transient_failure(self, change: the.Change, failure: object) -> None:
        """A transient failure of a repeatable request is final: the executor has retried it."""
        assert rule_of(Row("", failure, change, MADE)) is FINAL

    @pytest.mark.parametrize("change", [MAKE_ROLE, MAKE_PROFILE, ADD])
    def test_lost_reply(self, change: the.Change) -> None:
        """A lost reply is observed if the request is not repeatable; throttling is final."""
        assert rule_of(Row("", NO_REPLY, change)) is LOST
        assert rule_of(Row("", THROTTLED, change)) is FINAL

    @pytest.mark.parametrize(
        "code", [None, "AccessDenied", "NoSuchEntity", "ConcurrentModification"]
    )
    def test_unsent(self, code: str | None) -> None:
        """Failing credentials are final, with any code of their own service."""
        unsent = Unsent(code=code, message=NO_ROLE.message, step="AssumeRole")
        assert rule_of(Row("", unsent, ATTACH, MADE)) is FINAL

    def test_paces(self) -> None:
        """Pauses double up to a bound; jitter leaves at least a half, or a tenth for rivals."""
        assert [DENSE.wait(n, "x").least * 2 for n in (1, 2, 3, 4, 5, 99)] == [
            0.25,
            0.5,
            1,
            2,
            2,
            2,
        ]
        assert DENSE.wait(9, "why") == Wait(1.0, 3.0, "why")
        rivals = RIVALS.wait(9, "")
        assert (rivals.least, rivals.most) == pytest.approx((0.4, 7.6))
        assert SLOW.wait(1, "") == Wait(2.0, 6.0, "")
        assert SLOW.wait(9, "") == Wait(6.0, 18.0, "")
        paces = {rule.codes[0]: rule.pace for rule in RULES if rule.operation == ""}
        assert paces["EntityTemporarilyUnmodifiable"] is SLOW


POLICY = ManagedPolicy("Extra", "/team/", ACCOUNT, "aws")
OWN = the.AttachRolePolicy(name=ROLE, policy=POLICY)
SAME_NAME = the.AttachRolePolicy(name="Extra", policy=POLICY)
CALLED = {
    name: the.AttachRolePolicy(name=ROLE, policy=attrs.evolve(POLICY, name=name))
    for name in ("Role", "Name")
}
ARN_OF_ROLE = CALLED["Role"].policy.arn("aws", ACCOUNT)
THINGS = {
    "role": (f"role {ROLE}".lower(),),
    "profile": (f"instance-profile {ROLE}".lower(),),
    "both": (f"instance-profile {ROLE}".lower(), f"role {ROLE}".lower()),
    "none": (),
    "same": ("role extra",),
}
ADD_APP = the.AddRoleToInstanceProfile(name="Role", role_name="App")
# The words of AWS, of emulators, and of an AWS that has changed its own.
WORDS: dict[str, tuple[str, the.Change, tuple[str, ...]]] = {
    "AWS": (NO_ROLE.message, ATTACH, THINGS["role"]),
    "no verb": (f"Role {ROLE} not found", ATTACH, THINGS["role"]),
    "other case": (NO_ROLE.message.upper(), ATTACH, THINGS["role"]),
    "only the name": (f"{ROLE} does not exist", ATTACH, THINGS["role"]),
    "nothing": ("", ATTACH, THINGS["role"]),
    "nothing recognised": ("Entity not found", ADD, THINGS["both"]),
    "moto's code as words": ("NoSuchEntity", ADD, THINGS["both"]),
    "profile": (f"Instance Profile {ROLE} cannot be found.", ADD, THINGS["profile"]),
    "profile, one word": (f"InstanceProfile {ROLE} not found", ADD, THINGS["profile"]),
    "profile, hyphen": ("The instance-profile is not there.", ADD, THINGS["profile"]),
    "profile, bare": ("The profile cannot be found.", ADD, THINGS["profile"]),
    "role of a profile": ("The role for the instance profile is missing.", ADD, THINGS["role"]),
    "policy by ARN": (f"{POLICY} is not attachable.", OWN, THINGS["none"]),
    "policy by ARN, after the role": (f"Role: cannot attach '{POLICY}'", OWN, THINGS["none"]),
    "policy by name": ("Extra could not be found for the role.", OWN, THINGS["none"]),
    "policy by a longer name": ("Extra+more for the role is unknown", OWN, THINGS["role"]),
    "policy, bare": ("Policy does not exist.", OWN, THINGS["none"]),
    "policies, bare": ("Some policies do not exist.", OWN, THINGS["none"]),
    "named like its policy": ("Role Extra cannot be found.", SAME_NAME, THINGS["same"]),
    "policy called Role": (NO_ROLE.message, CALLED["Role"], THINGS["role"]),
    "policy called Name": (NO_ROLE.message, CALLED["Name"], THINGS["role"]),
    "policy called Name, policy": ("Policy Name not found.", CALLED["Name"], THINGS["none"]),
    "policy called Role, policy": ("Policy Role not found.", CALLED["Role"], THINGS["none"]),
    "policy called Role, ARN": (f"{ARN_OF_ROLE} is unknown.", CALLED["Role"], THINGS["none"]),
    "named like its policy, policy": ("Policy Extra cannot be found.", SAME_NAME, THINGS["none"]),
    "boundary by ARN": (
        f"{POLICY} not found",
        the.PutRolePermissionsBoundary(name=ROLE, policy=POLICY),
        THINGS["none"],
    ),
    "boundary, bare": ("The permissions boundary is unknown.", BOUND, THINGS["none"]),
    "scope": ("Scope ARN: ARN does not exist.", BOUND, THINGS["none"]),
    "principal by ARN": (f"{NEW_USER} cannot be found.", TRUST_AGAIN, THINGS["none"]),
    "principal, bare": ("A principal of the role cannot be found.", TRUST_AGAIN, THINGS["none"]),
    "role called Policy": (
        "The role with name Policy cannot be found.",
        the.AddRoleToInstanceProfile(name="App", role_name="Policy"),
        ("role policy",),
    ),
    "profile called Role": (
        "Instance Profile Role not found.",
        ADD_APP,
        ("instance-profile role",),
    ),
    "user called User": (
        "The user with name User cannot be found.",
        the.AttachUserPolicy(name="User", policy=SERVER_POLICY),
        ("user user",),
    ),
    "user called policy, only the name": (
        "policy not found",
        the.AttachUserPolicy(name="policy", policy=SERVER_POLICY),
        ("user policy",),
    ),
    "role called CloudWatchPolicy": (
        "The role with name CloudWatchPolicy cannot be found.",
        the.AttachRolePolicy(name="CloudWatchPolicy", policy=SERVER_POLICY),
        ("role cloudwatchpolicy",),
    ),
    "a role, but the request names a user": (NO_ROLE.message, ATTACH_USER, THINGS["none"]),
}


class TestMissingTargets:
    """The targets that the message of a NoSuchEntity names."""

    @pytest.mark.parametrize(("words", "change", "things"), WORDS.values(), ids=list(WORDS))
    def test_message(self, words: str, change: the.Change, things: tuple[str, ...]) -> None:
        """Names come first, then the first noun; any other message may be about all targets."""
        assert missing_targets(change.request("aws", ACCOUNT), words.lower()) == frozenset(things)

    def test_principals(self) -> None:
        """Principals are roles, users and sessions; a message with ARNs means only those."""
        request = trusting(NEW_USER, NEW_ROLE, SESSION).request("aws", ACCOUNT)
        everyone = {NEW_USER, NEW_ROLE, SESSION}
        assert set(principals(request)) == everyone
        assert set(principals(request, "invalid principal in policy")) == everyone
        assert principals(request, f'"aws":"{SESSION}"') == (SESSION,)
        assert principals(request, '"aws":"arn:aws:iam::999999999999:root"') == ()
        assert principals(ATTACH.request("aws", ACCOUNT), NEW_USER) == ()

    @pytest.mark.parametrize("unique_id", ["AIDAJQABLZS4A3QDU576Q", "AROAJQABLZS4A3QDU576Q"])
    def test_unique_id(self, unique_id: str) -> None:
        """A message with a unique id names a deleted principal, so it is final."""
        assert principals(trusting(NEW_ROLE).request("aws", ACCOUNT), unique_id) == ()
        arns = (NEW_ROLE,)
        for knows in (known(arns=arns), known(old=arns), known()):
            row = Row("", bad(unique_id), trusting(NEW_ROLE, NEW_USER), knows)
            assert rule_of(row) is FINAL

    def test_as_target(self) -> None:
        """A principal is a role or a user, without its path; a session is its role."""
        named = {NEW_USER: "user", NEW_ROLE: "role", SESSION: "role"}
        assert {as_target(each) for each in named} == {("user", "new"), ("role", "new")}
        assert as_target("AROAABCDEFGHIJKLMNOPQ") == ("", "")
