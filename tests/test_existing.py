"""What may be done to things that exist: the words of a conflict, exclusivity, swaps, dead ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    ConflictError,
    CustomTrust,
    IntentError,
    diff,
    ensure,
    preview,
)
from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AttachRolePolicy,
    AttachUserPolicy,
    DetachRolePolicy,
    DetachUserPolicy,
    RemoveRoleFromInstanceProfile,
    TagRole,
)
from cwagent_iam.differ import Choices
from cwagent_iam.documents import Document
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from cwagent_iam.differ import Existing
    from cwagent_iam.state import Entity, Tags

OURS = (MANAGED_TAG,)
EXTRA = ManagedPolicy("ReadOnlyAccess")
ROLE = Role(name="R", path="/", trust=EC2_TRUST, policies=frozenset({SERVER_POLICY}), tags=OURS)
PROFILE = InstanceProfile(name="R", path="/", role_name="R", tags=OURS)
USER = User(name="U", path="/", policies=frozenset({SERVER_POLICY}), tags=OURS)
NO_TRUST = Document.parse({"Version": "2012-10-17", "Statement": []})
ADOPT = 'existing="adopt" (gives it the tag and mends it)'
ATTACH = 'existing="attach" (only adds missing policies and membership)'
VERIFY = 'existing="verify" (only compares, and never writes to it)'
ADDITIVE = 'attachments="additive" (leaves the others attached)'
BOTH = (
    'existing="attach" with attachments="additive" '
    "(only adds missing policies and membership; leaves the others attached)"
)
SWAPS = "swaps the role; instances that run notice it later, when their credentials rotate"
SERVICE_LINKED = "/aws-service-role/ec2.amazonaws.com/"
STACK = (("aws:cloudformation:stack-name", "agents"),)
FOREIGN = "exists without the tag ManagedBy=cwagent-iam, and is not as desired"
STUCK = "cannot be changed to what is desired"
LINKED = "belongs to the AWS service ec2.amazonaws.com, as its service-linked role, and is"
BOUND = f"{LINKED} not as desired; IAM lets only that service change it"
MEND = "choose another name, or mend the differences yourself"
MOVE = "choose another name, name it as it is, or move it out of the way yourself"
THERE = "choose another name, or change it where it comes from"
NO_CHOICE = "No choice would do: choose another name."


def advice(otherwise: str, *choices: str, little: str = "") -> str:
    """Name what would do, what else would, and the choices that would be too little."""
    ways = [f"choose {'; '.join(choices)}", otherwise] if choices else [otherwise]
    sentence = "; or ".join(ways)
    names = ", ".join(f'existing="{each}"' for each in little.split())
    return f"{sentence[0].upper()}{sentence[1:]}.{f' Not enough here: {names}.' if names else ''}"


# What was found, the choice, why that is a conflict, and the advice.
WORDS: dict[str, tuple[Entity, Existing, str, str]] = {
    "lacks a policy": (
        attrs.evolve(ROLE, tags=(), policies=frozenset()),
        "refuse",
        FOREIGN,
        advice(MEND, ADOPT, ATTACH, little="verify"),
    ),
    "another trust, to refuse": (
        attrs.evolve(ROLE, tags=(), trust=NO_TRUST),
        "refuse",
        FOREIGN,
        advice(MEND, ADOPT, little="attach verify"),
    ),
    "another trust, to verify": (
        attrs.evolve(ROLE, tags=(), trust=NO_TRUST),
        "verify",
        FOREIGN,
        advice(MEND, ADOPT, little="attach"),
    ),
    "another trust, to attach": (
        attrs.evolve(ROLE, tags=(), trust=NO_TRUST, policies=frozenset()),
        "attach",
        f"{FOREIGN} in what attaching leaves alone",
        advice(MEND, ADOPT, little="verify"),
    ),
    "managed by another tool": (
        attrs.evolve(ROLE, tags=(("managedby", "terraform"),), trust=NO_TRUST),
        "verify",
        FOREIGN,
        advice(
            MEND,
            ADOPT.replace("the tag", "the tag in place of managedby=terraform"),
            little="attach",
        ),
    ),
    "another letter case, to refuse": (
        attrs.evolve(ROLE, name="r", tags=()),
        "refuse",
        FOREIGN,
        advice(MOVE, little="adopt attach verify"),
    ),
    "another letter case, to adopt": (
        attrs.evolve(ROLE, name="r", tags=()),
        "adopt",
        STUCK,
        advice(MOVE),
    ),
    "another letter case, managed": (attrs.evolve(ROLE, name="r"), "attach", STUCK, advice(MOVE)),
    "another role inside, managed": (
        attrs.evolve(PROFILE, role_name="other"),
        "refuse",
        STUCK,
        advice(MOVE, f'existing="adopt" ({SWAPS})'),
    ),
    "another role inside": (
        attrs.evolve(PROFILE, role_name="other", tags=()),
        "attach",
        f"{FOREIGN} in what attaching leaves alone",
        advice(MOVE, f"{ADOPT.removesuffix(')')}; {SWAPS})", little="verify"),
    ),
    "a service-linked role, to adopt": (
        attrs.evolve(ROLE, path=SERVICE_LINKED),
        "adopt",
        f"{LINKED} never adopted",
        advice(THERE, ATTACH, VERIFY),
    ),
    "a service-linked role that lacks a policy, to attach": (
        attrs.evolve(ROLE, path=SERVICE_LINKED, policies=frozenset()),
        "attach",
        BOUND,
        NO_CHOICE,
    ),
    "a service-linked role that lacks a policy, to adopt": (
        attrs.evolve(ROLE, path=SERVICE_LINKED, policies=frozenset()),
        "adopt",
        BOUND,
        NO_CHOICE,
    ),
    "a service-linked role of another letter case": (
        attrs.evolve(ROLE, name="r", path=SERVICE_LINKED),
        "refuse",
        BOUND,
        NO_CHOICE,
    ),
    "made from a template, to adopt": (
        attrs.evolve(
            ROLE, source_role_template="arn:aws:iam::aws:role-template/T", policies=frozenset()
        ),
        "adopt",
        "belongs to the role template arn:aws:iam::aws:role-template/T, and is never adopted",
        advice(THERE, ATTACH, little="verify"),
    ),
    "of a stack, to refuse": (
        attrs.evolve(PROFILE, tags=STACK, role_name=None),
        "refuse",
        "belongs to the CloudFormation stack agents, and is not as desired",
        advice(THERE, ATTACH, little="verify"),
    ),
    "of a stack without a name, to verify": (
        attrs.evolve(ROLE, tags=(*OURS, ("aws:cloudformation:stack-id", "x")), trust=NO_TRUST),
        "verify",
        "belongs to the CloudFormation stack, and is not as desired",
        advice(THERE, little="attach"),
    ),
}


@pytest.mark.parametrize(("seen", "existing", "reason", "advice"), WORDS.values(), ids=WORDS.keys())
def test_a_conflict_says_why_and_what_each_choice_would_do(
    seen: Entity, existing: Existing, reason: str, advice: str
) -> None:
    """Each row has its words; a choice that would not do is named as one."""
    with pytest.raises(ConflictError) as caught:
        diff(plan_agent_role("R"), State.of([ROLE, PROFILE]).with_entity(seen), existing=existing)
    (conflict,) = caught.value.conflicts
    assert (conflict.target, conflict.reason) == (seen.target, reason)
    assert conflict.advice == advice


@pytest.mark.parametrize("existing", ["refuse", "attach", "verify"])
def test_where_only_ours_may_be_attached_others_are_a_conflict(existing: Existing) -> None:
    """To be exclusive about somebody else's role takes adopting it; nothing less detaches."""
    found = State.of([attrs.evolve(ROLE, tags=(), policies=ROLE.policies | {EXTRA}), PROFILE])
    with pytest.raises(ConflictError, match="policies: ReadOnlyAccess -> not attached"):
        diff(plan_agent_role("R"), found, existing=existing, attachments="exclusive")
    adopting = diff(plan_agent_role("R"), found, existing="adopt", attachments="exclusive")
    assert adopting.changes == (
        TagRole(name="R", tags=OURS),
        DetachRolePolicy(name="R", policy=EXTRA),
    )


TOO_MUCH: dict[str, tuple[Role, Existing, str]] = {
    "of somebody else, to attach": (
        attrs.evolve(ROLE, tags=()),
        "attach",
        advice(MEND, ADOPT, ADDITIVE, little="verify"),
    ),
    "of somebody else, and more is wrong": (
        attrs.evolve(ROLE, tags=(), trust=NO_TRUST),
        "verify",
        advice(MEND, ADOPT, little="attach")[:-1] + ', attachments="additive".',
    ),
    "of a stack, to refuse": (
        attrs.evolve(ROLE, tags=STACK),
        "refuse",
        advice(THERE, ADDITIVE, little="attach verify"),
    ),
    "of a stack, to adopt": (
        attrs.evolve(ROLE, tags=STACK),
        "adopt",
        advice(THERE, BOTH, little="attach verify")[:-1] + ', attachments="additive".',
    ),
    "of a stack, and a policy is missing": (
        attrs.evolve(ROLE, tags=STACK, policies=frozenset({EXTRA})),
        "refuse",
        advice(THERE, BOTH, little="attach verify")[:-1] + ', attachments="additive".',
    ),
    "of a stack, and a policy is missing, to attach": (
        attrs.evolve(ROLE, tags=STACK, policies=frozenset({EXTRA})),
        "attach",
        advice(THERE, ADDITIVE, little="verify"),
    ),
    "service-linked, to attach": (
        attrs.evolve(ROLE, path=SERVICE_LINKED),
        "attach",
        advice(THERE, ADDITIVE, little="verify"),
    ),
    "service-linked, and more is wrong": (
        attrs.evolve(ROLE, path=SERVICE_LINKED, trust=NO_TRUST),
        "attach",
        NO_CHOICE,
    ),
}


@pytest.mark.parametrize(("seen", "existing", "advice"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_where_too_much_is_attached_to_leave_it_is_a_choice(
    seen: Role, existing: Existing, advice: str
) -> None:
    """Whoever asked for exactly the desired policies may ask for less, if nothing else is wrong."""
    found = State.of([attrs.evolve(seen, policies=seen.policies | {EXTRA}), PROFILE])
    with pytest.raises(ConflictError) as caught:
        diff(plan_agent_role("R"), found, existing=existing, attachments="exclusive")
    (conflict,) = caught.value.conflicts
    assert conflict.advice == advice
    assert "policies: ReadOnlyAccess -> not attached" in str(conflict)


def test_exclusive_detaches_after_attaching() -> None:
    """What is missing comes first, what is too much goes last, for roles and users."""
    held = frozenset({EXTRA, ADMIN_POLICY})
    found = State.of(
        [attrs.evolve(ROLE, policies=held), PROFILE, attrs.evolve(USER, policies=held)]
    )
    desired = State.of([*plan_agent_role("R").entities, *plan_agent_user("U").entities])
    assert diff(desired, found, attachments="exclusive").changes == (
        AttachRolePolicy(name="R", policy=SERVER_POLICY),
        AttachUserPolicy(name="U", policy=SERVER_POLICY),
        DetachRolePolicy(name="R", policy=ADMIN_POLICY),
        DetachRolePolicy(name="R", policy=EXTRA),
        DetachUserPolicy(name="U", policy=ADMIN_POLICY),
        DetachUserPolicy(name="U", policy=EXTRA),
    )


def test_a_swap_tags_first_and_says_what_instances_see() -> None:
    """The profile is ours before it is empty, so that any later run fills it."""
    found = State.of([ROLE, attrs.evolve(PROFILE, role_name="other", tags=())])
    changes = diff(plan_agent_role("R"), found, existing="adopt")
    assert str(changes).splitlines() == [
        "~ TagInstanceProfile R: tags: none -> ManagedBy=cwagent-iam",
        (
            "- RemoveRoleFromInstanceProfile R: role other, replaced by R; "
            "instances that run notice it later, when their credentials rotate"
        ),
        "+ AddRoleToInstanceProfile R: role R",
        "1 to add, 1 to change, 1 to remove.",
    ]
    halfway = changes.after(2)
    assert diff(plan_agent_role("R"), halfway).changes == changes.changes[2:]


def test_a_swap_of_what_is_managed_takes_adopting_too() -> None:
    """Somebody put another role into our profile; only to adopt puts it out again."""
    found = State.of([ROLE, attrs.evolve(PROFILE, role_name="other")])
    assert diff(plan_agent_role("R"), found, existing="adopt").changes == (
        RemoveRoleFromInstanceProfile(name="R", role_name="other"),
        AddRoleToInstanceProfile(name="R", role_name="R"),
    )


DEAD = "AROAABCDEFGHIJKLMNOPQ"


def trusting(*principals: str) -> Document:
    """Return a trust that lets roles and users of AWS in."""
    statement = {"Effect": "Allow", "Principal": {"AWS": [*principals]}, "Action": "sts:AssumeRole"}
    return Document.parse({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("tags", [OURS, ()], ids=["managed", "foreign"])
def test_a_deleted_principal_is_drift_and_explained(tags: Tags) -> None:
    """A role made again under its name is not the one in the trust, and the difference says so."""
    desired = State.of(
        [attrs.evolve(ROLE, trust=trusting("arn:aws:iam::123456789012:role/Collector"))]
    )
    found = State.of([attrs.evolve(ROLE, trust=trusting(DEAD), tags=tags)])
    words = (
        f"trust: Allow AWS {DEAD} sts:AssumeRole ({DEAD}: This role or user was deleted; one made "
        "again under its name is not it.) -> Allow AWS arn:aws:iam::123456789012:role/Collector"
    )
    if tags:
        assert words in str(diff(desired, found))
    else:
        with pytest.raises(ConflictError) as caught:
            diff(desired, found)
        assert words in str(caught.value)


def test_a_boundary_that_is_a_bare_id_is_drift_and_explained() -> None:
    """No policy has such an ARN any more: it is replaced, and the difference says why."""
    found = State.of(
        [attrs.evolve(USER, permissions_boundary=ManagedPolicy("ANPAABCDEFGHIJKLMNOPQ"))]
    )
    changes = diff(plan_agent_user("U", permissions_boundary=EXTRA), found)
    assert [str(change) for change in changes] == [
        (
            "~ PutUserPermissionsBoundary U: permissions boundary: ANPAABCDEFGHIJKLMNOPQ "
            "(This is the unique id of something that was deleted.) -> ReadOnlyAccess"
        )
    ]


def test_a_boundary_that_is_named_like_an_id_is_no_deleted_one() -> None:
    """A customer's policy has an ARN, whatever its name; only a bare id is that of nothing."""
    boundary = ManagedPolicy("ANPAABCDEFGHIJKLMNOPQ", "/", "123456789012", "aws")
    found = State.of([attrs.evolve(USER, permissions_boundary=boundary)])
    (change,) = diff(plan_agent_user("U", permissions_boundary=EXTRA), found)
    assert str(change) == (
        "~ PutUserPermissionsBoundary U: permissions boundary: "
        "arn:aws:iam::123456789012:policy/ANPAABCDEFGHIJKLMNOPQ -> ReadOnlyAccess"
    )


def test_a_boundary_that_is_a_bare_id_is_cleared_and_explained() -> None:
    """It is a boundary, and nothing is allowed by it: who wants none wants that one away."""
    found = State.of(
        [attrs.evolve(USER, permissions_boundary=ManagedPolicy("ANPAABCDEFGHIJKLMNOPQ"))]
    )
    (change,) = diff(plan_agent_user("U", permissions_boundary=""), found)
    assert str(change) == (
        "- DeleteUserPermissionsBoundary U: permissions boundary: ANPAABCDEFGHIJKLMNOPQ "
        "(This is the unique id of something that was deleted.) -> none"
    )


ALLOWING = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
GUARD = {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}
DENYING = ALLOWING | {"Effect": "Deny", "Principal": "*", "Condition": GUARD}


@pytest.mark.parametrize("existing", ["refuse", "attach", "verify"])
def test_a_denial_that_is_desired_must_be_there(existing: Existing) -> None:
    """It keeps somebody out, so a role of others without it is not as desired."""
    both = CustomTrust({"Version": "2012-10-17", "Statement": [ALLOWING, DENYING]})
    desired = plan_agent_role("R", trust=both)
    seen = attrs.evolve(ROLE, tags=(), trust=CustomTrust({"Statement": ALLOWING}).document())
    with pytest.raises(ConflictError, match="trust: "):
        diff(desired, State.of([seen]), existing=existing)
    kept = attrs.evolve(seen, trust=both.document())
    assert not diff(desired, State.of([kept]), existing=existing)
    nonsense = attrs.evolve(seen, trust=Document.parse("no JSON"))
    with pytest.raises(ConflictError, match="trust: "):
        diff(desired, State.of([nonsense]), existing=existing)


def test_choices_that_do_not_exist_are_refused_at_once() -> None:
    """Both choices and what is desired are looked at before anything else; all is listed."""
    with pytest.raises(IntentError) as caught:
        diff(
            State.of([attrs.evolve(ROLE, tags=())]),
            State(),
            existing="take",  # type: ignore[arg-type]
            attachments=None,  # type: ignore[arg-type]
        )
    assert [problem.argument for problem in caught.value.problems] == [
        "existing",
        "attachments",
        "desired",
    ]
    with pytest.raises(IntentError, match="must be 'additive' or 'exclusive'"):
        Choices(attachments=["exclusive"])  # type: ignore[arg-type]
    chosen = Choices("adopt", "exclusive")
    assert (chosen.existing, chosen.attachments) == ("adopt", "exclusive")
    assert Choices() == Choices("refuse", "additive")


def test_what_only_aws_makes_cannot_be_desired() -> None:
    """A role in the path of service-linked roles could never be ours."""
    desired = State.of([attrs.evolve(ROLE, path=SERVICE_LINKED)])
    with pytest.raises(IntentError, match="must not be what belongs to the AWS service"):
        diff(desired, State())


@pytest.mark.parametrize("call", [preview, ensure])
def test_what_cannot_be_desired_is_refused_before_any_call(call: Any) -> None:
    """Built by hand without the tag, it could never be told to be ours; nobody is asked."""
    untagged = State.of([attrs.evolve(ROLE, tags=())])
    with pytest.raises(IntentError, match="must carry the tag ManagedBy=cwagent-iam"):
        call(untagged, iam=object())
