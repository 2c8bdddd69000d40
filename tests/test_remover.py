"""The remover as a table: the state that is seen, and the changes or conflicts that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    ConflictError,
    CustomerManagedPolicy,
    InlinePolicy,
    IntentError,
)
from cwagent_iam.changes import (
    DeleteAccessKey,
    DeleteInstanceProfile,
    DeleteRole,
    DeleteRolePolicy,
    DeleteUser,
    DeleteUserPolicy,
    DetachRolePolicy,
    DetachUserPolicy,
    RemoveRoleFromInstanceProfile,
)
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.remover import check_choice, removal
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, SeenKey, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from cwagent_iam.changes import Change
    from cwagent_iam.remover import AccessKeys, ExistingToRemove
    from cwagent_iam.state import Entity

OURS = (MANAGED_TAG,)
STACK = ("aws:cloudformation:stack-name", "agents")
BOTH = frozenset({SERVER_POLICY, ADMIN_POLICY})
ROLE = Role(name="R", trust=EC2_TRUST, policies=frozenset({SERVER_POLICY}), tags=OURS)
PROFILE = InstanceProfile(name="R", role_name="R", tags=OURS)
USER = User(name="U", policies=frozenset({SERVER_POLICY}), tags=OURS)
LINKED_PATH = "/aws-service-role/ec2.amazonaws.com/"


def key(access_key_id: str) -> SeenKey:
    """Return an access key of a user."""
    return SeenKey(access_key_id=access_key_id, active=True, created=0.0)


def allowing(action: str, name: str = "Read") -> InlinePolicy:
    """Return an inline policy that allows one action."""
    allowed = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return InlinePolicy(name, {"Version": "2012-10-17", "Statement": allowed})


READ, WRITE = allowing("ssm:GetParameter"), allowing("ssm:PutParameter")
OTHER = allowing("ec2:DescribeTags", "Other")
OPEN = CustomerManagedPolicy("own", "/team/")
OWN = ManagedPolicy("own", "/team/", "123456789012", "aws")
OWN_AT_THE_ROOT = ManagedPolicy("own", "/", "123456789012", "aws")
OWN_ELSEWHERE = ManagedPolicy("own", "/team/", "210987654321", "aws")
TWO_ROLES = plan_agent_role("A", policies=()) | plan_agent_role("B", policies=())


def pair(name: str, inside: str) -> list[Entity]:
    """Return a role and an instance profile of one name, with a role inside."""
    role = attrs.evolve(ROLE, name=name, policies=frozenset())
    return [role, attrs.evolve(PROFILE, name=name, role_name=inside)]


REMOVALS: dict[str, tuple[State, list[Entity], list[Change]]] = {
    "nothing there: nothing, because it is gone already": (plan_agent_role("R"), [], []),
    "all there: memberships and attachments first": (
        plan_agent_role("R"),
        [attrs.evolve(ROLE, dependents=frozenset({"instance-profile R"})), PROFILE],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            RemoveRoleFromInstanceProfile(name="R", role_name="R"),
            DeleteRole(name="R"),
            DeleteInstanceProfile(name="R"),
        ],
    ),
    "several policies: detached in the order of their names": (
        plan_agent_user("U", policies=BOTH),
        [attrs.evolve(USER, policies=BOTH)],
        [
            DetachUserPolicy(name="U", policy=ADMIN_POLICY),
            DetachUserPolicy(name="U", policy=SERVER_POLICY),
            DeleteUser(name="U"),
        ],
    ),
    "a policy that intent names is not attached": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, policies=frozenset())],
        [DeleteRole(name="R")],
    ),
    "only an empty profile is left": (
        plan_agent_role("R"),
        [attrs.evolve(PROFILE, role_name=None)],
        [DeleteInstanceProfile(name="R")],
    ),
    "another path than intended: it is ours all the same": (
        plan_agent_user("U", path="/x/"),
        [attrs.evolve(USER, path="/y/", policies=frozenset())],
        [DeleteUser(name="U")],
    ),
    "inline policies: deleted in the order of their names, whatever they say by now": (
        plan_agent_role("R", policies=(), inline_policies=[READ, OTHER], instance_profile=False),
        [
            attrs.evolve(
                ROLE,
                policies=frozenset(),
                inline_policies=frozenset({WRITE, OTHER}),
                dependents=frozenset({"inline policy Read", "inline policy Other"}),
            )
        ],
        [
            DeleteRolePolicy(name="R", policy=OTHER),
            DeleteRolePolicy(name="R", policy=WRITE),
            DeleteRole(name="R"),
        ],
    ),
    "an inline policy that intent names is not shown yet: the next look decides": (
        plan_agent_role("R", policies=(), inline_policies=[READ], instance_profile=False),
        [attrs.evolve(ROLE, policies=frozenset(), dependents=frozenset({"inline policy Read"}))],
        [DeleteRole(name="R")],
    ),
    "a policy of the account, which intent left open": (
        plan_agent_user("U", policies=[OPEN]),
        [attrs.evolve(USER, policies=frozenset({OWN}))],
        [DetachUserPolicy(name="U", policy=OWN), DeleteUser(name="U")],
    ),
    "several: all that is detached comes before all that is deleted": (
        TWO_ROLES,
        [*pair("A", "B"), *pair("B", "A")],
        [
            RemoveRoleFromInstanceProfile(name="A", role_name="B"),
            RemoveRoleFromInstanceProfile(name="B", role_name="A"),
            DeleteRole(name="A"),
            DeleteRole(name="B"),
            DeleteInstanceProfile(name="A"),
            DeleteInstanceProfile(name="B"),
        ],
    ),
}
CONFLICTS: dict[str, tuple[State, list[Entity], str]] = {
    "an unmanaged role": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, tags=())],
        "role R exists without the tag ManagedBy=cwagent-iam",
    ),
    "a role of a stack, with our tag": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, tags=(*OURS, STACK))],
        "role R belongs to the CloudFormation stack agents: it is not managed.",
    ),
    "an unmanaged profile that holds our role": (
        plan_agent_role("R"),
        [ROLE, attrs.evolve(PROFILE, tags=())],
        "instance-profile R exists without the tag",
    ),
    "a foreign policy": (
        plan_agent_role("R"),
        [attrs.evolve(ROLE, policies=BOTH), PROFILE],
        "role R is still used: policy CloudWatchAgentAdminPolicy",
    ),
    "several dependents, sorted": (
        plan_agent_user("U"),
        [attrs.evolve(USER, dependents=frozenset({"group G", "access key AKIA"}))],
        "user U is still used: access key AKIA, group G",
    ),
    "another role in our profile": (
        plan_agent_role("R"),
        [ROLE, attrs.evolve(PROFILE, role_name="other")],
        "instance-profile R is still used: role other",
    ),
    "our role in a profile that intent does not name": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, dependents=frozenset({"instance-profile R"}))],
        "role R is still used: instance-profile R",
    ),
    "a name in another letter case": (
        plan_agent_user("u"),
        [USER],
        (
            "user U is not what was named: it has another letter case.\n"
            "It is left alone: use its exact letter case."
        ),
    ),
    "an inline policy that intent does not name": (
        plan_agent_user("U", inline_policies=[READ]),
        [attrs.evolve(USER, dependents=frozenset({"inline policy Read", "inline policy Other"}))],
        "user U is still used: inline policy Other.",
    ),
    "an inline policy that intent does not name, seen whole": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, inline_policies=frozenset({OTHER}))],
        "role R is still used: inline policy Other.",
    ),
    "an inline policy in another letter case": (
        plan_agent_user("U", inline_policies=[READ]),
        [attrs.evolve(USER, dependents=frozenset({"inline policy read"}))],
        "user U is still used: inline policy read.",
    ),
    "namesakes of a policy that intent left open": (
        plan_agent_user("U", policies=[OPEN]),
        [attrs.evolve(USER, policies=frozenset({OWN, OWN_AT_THE_ROOT, ManagedPolicy("own")}))],
        "user U is still used: policy arn:aws:iam::123456789012:policy/own, policy own.",
    ),
    "a namesake in another account": (
        plan_agent_user("U", policies=[OWN]),
        [attrs.evolve(USER, policies=frozenset({OWN, OWN_ELSEWHERE}))],
        "user U is still used: policy arn:aws:iam::210987654321:policy/team/own.",
    ),
    "a service-linked role, which only its service can remove": (
        plan_agent_role("R", policies=(), instance_profile=False),
        [attrs.evolve(ROLE, path=LINKED_PATH)],
        "belongs to the AWS service ec2.amazonaws.com, as its service-linked role: it is not man",
    ),
}


def foreign(name: str, inside: str | None) -> list[Entity]:
    """Return an unmanaged instance profile."""
    return [attrs.evolve(PROFILE, name=name, role_name=inside, tags=())]


FOREIGN_ROLE = attrs.evolve(ROLE, tags=(), policies=BOTH, dependents=frozenset({"inline policy x"}))
FOREIGN_PROFILE = attrs.evolve(PROFILE, tags=())
# What is found, and what is taken away with existing="attach".
DETACHMENTS: dict[str, tuple[State, list[Entity], list[Change]]] = {
    "nothing there: nothing": (plan_agent_role("R"), [], []),
    "an unmanaged role: the policy that intent names, whatever depends on the role": (
        plan_agent_role("R"),
        [FOREIGN_ROLE],
        [DetachRolePolicy(name="R", policy=SERVER_POLICY)],
    ),
    "none of the policies that intent names: nothing": (
        plan_agent_role("R"),
        [attrs.evolve(FOREIGN_ROLE, policies=frozenset({ADMIN_POLICY}))],
        [],
    ),
    "an unmanaged profile that holds it: the membership too": (
        plan_agent_role("R"),
        [FOREIGN_ROLE, FOREIGN_PROFILE],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            RemoveRoleFromInstanceProfile(name="R", role_name="R"),
        ],
    ),
    "another role in it: it stays": (
        plan_agent_role("R"),
        [attrs.evolve(FOREIGN_PROFILE, role_name="other")],
        [],
    ),
    "an empty unmanaged profile": (
        plan_agent_role("R"),
        [attrs.evolve(FOREIGN_PROFILE, role_name=None)],
        [],
    ),
    "our profile that holds an unmanaged role: ours is deleted": (
        plan_agent_role("R"),
        [attrs.evolve(FOREIGN_ROLE, dependents=frozenset({"instance-profile R"})), PROFILE],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            RemoveRoleFromInstanceProfile(name="R", role_name="R"),
            DeleteInstanceProfile(name="R"),
        ],
    ),
    "our role in an unmanaged profile: ours is deleted": (
        plan_agent_role("R"),
        [attrs.evolve(ROLE, dependents=frozenset({"instance-profile R"})), FOREIGN_PROFILE],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            RemoveRoleFromInstanceProfile(name="R", role_name="R"),
            DeleteRole(name="R"),
        ],
    ),
    "an unmanaged user: its keys stay": (
        plan_agent_user("U"),
        [attrs.evolve(USER, tags=(), policies=BOTH, access_keys=(key("AKIA"),))],
        [DetachUserPolicy(name="U", policy=SERVER_POLICY)],
    ),
    "a role of a stack, with our tag: it is the stack's": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, tags=(*OURS, STACK))],
        [DetachRolePolicy(name="R", policy=SERVER_POLICY)],
    ),
    "inline policies: only those that say what intent says": (
        plan_agent_role("R", inline_policies=[READ, OTHER], instance_profile=False),
        [attrs.evolve(FOREIGN_ROLE, inline_policies=frozenset({WRITE, OTHER}))],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            DeleteRolePolicy(name="R", policy=OTHER),
        ],
    ),
    "a policy that intent left open: the one of the account, and none of its namesakes": (
        plan_agent_user("U", policies=[OPEN]),
        [
            attrs.evolve(
                USER, tags=(), policies=frozenset({OWN, OWN_AT_THE_ROOT, ManagedPolicy("own")})
            )
        ],
        [DetachUserPolicy(name="U", policy=OWN)],
    ),
    "a role made from a template": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, source_role_template="arn:aws:iam::aws:role-template/T")],
        [DetachRolePolicy(name="R", policy=SERVER_POLICY)],
    ),
    "a service-linked role with nothing that intent names: nothing": (
        plan_agent_role("R"),
        [
            attrs.evolve(ROLE, path=LINKED_PATH, policies=frozenset({ADMIN_POLICY})),
            attrs.evolve(FOREIGN_PROFILE, role_name=None),
        ],
        [],
    ),
    "two roles of ours in unmanaged profiles: both are removed from them": (
        TWO_ROLES,
        [pair("A", "A")[0], pair("B", "B")[0], *foreign("A", "A"), *foreign("B", "B")],
        [
            RemoveRoleFromInstanceProfile(name="A", role_name="A"),
            RemoveRoleFromInstanceProfile(name="B", role_name="B"),
            DeleteRole(name="A"),
            DeleteRole(name="B"),
        ],
    ),
}


@pytest.mark.parametrize(("desired", "found", "changes"), REMOVALS.values(), ids=REMOVALS.keys())
def test_removals(desired: State, found: list[Entity], changes: list[Change]) -> None:
    """Each row leads to exactly its changes, in order."""
    assert removal(desired, State.of(found)).changes == tuple(changes)


@pytest.mark.parametrize(("desired", "found", "words"), CONFLICTS.values(), ids=CONFLICTS.keys())
def test_conflicts(desired: State, found: list[Entity], words: str) -> None:
    """Each row is refused, and the error names what is in the way."""
    with pytest.raises(ConflictError, match=words):
        removal(desired, State.of(found))


@pytest.mark.parametrize(
    ("desired", "found", "changes"), DETACHMENTS.values(), ids=DETACHMENTS.keys()
)
@pytest.mark.parametrize("access_keys", ["refuse", "delete"])
def test_detachments(
    desired: State, found: list[Entity], changes: list[Change], access_keys: AccessKeys
) -> None:
    """From unmanaged entities, exactly the attachments that intent names are removed."""
    planned = removal(desired, State.of(found), existing="attach", access_keys=access_keys)
    assert planned.changes == tuple(changes)


def test_a_user_is_deleted_last() -> None:
    """Policies and access keys, the oldest first, are removed before the user."""
    inline, keys = frozenset({READ, OTHER}), (key("AKIA2"), key("AKIA1"))
    found = State.of([attrs.evolve(USER, inline_policies=inline, access_keys=keys)])
    desired = plan_agent_user("U", inline_policies=[READ, OTHER])
    assert removal(desired, found, access_keys="delete").changes == (
        DetachUserPolicy(name="U", policy=SERVER_POLICY),
        DeleteUserPolicy(name="U", policy=OTHER),
        DeleteUserPolicy(name="U", policy=READ),
        DeleteAccessKey(name="U", access_key_id="AKIA2"),
        DeleteAccessKey(name="U", access_key_id="AKIA1"),
        DeleteUser(name="U"),
    )


def test_managed_entities_keep_other_attachments() -> None:
    """``existing="attach"`` does not permit to delete a managed role that has other policies."""
    found: list[Entity] = [attrs.evolve(ROLE, policies=BOTH), FOREIGN_PROFILE]
    with pytest.raises(ConflictError, match="role R is still used: policy CloudWatchAgentAdmin"):
        removal(plan_agent_role("R"), State.of(found), existing="attach")


def test_another_letter_case_is_another_name() -> None:
    """An unmanaged user of a name in another letter case stays, and the error names it."""
    found = State.of([attrs.evolve(USER, tags=(), access_keys=(key("AKIA"),))])
    with pytest.raises(ConflictError, match="user U is not what was named") as caught:
        removal(plan_agent_user("u"), found, existing="attach")
    assert "access_keys" not in str(caught.value)


def test_a_refusal_says_that_attachments_can_be_undone() -> None:
    """The refusal of an unmanaged role suggests ``existing="attach"``, which only detaches."""
    with pytest.raises(ConflictError, match='With existing="attach" it stays, without'):
        removal(plan_agent_role("R"), State.of([FOREIGN_ROLE]))


@pytest.mark.parametrize("existing", ["adopt", "verify", None, ["attach"]])
def test_there_are_two_choices_for_unmanaged_entities(existing: Any) -> None:
    """Any choice but the two documented ones is refused; the error lists all problems."""
    with pytest.raises(IntentError, match="must be 'refuse' or 'attach'"):
        removal(plan_agent_role("R"), State(), existing=existing)
    with pytest.raises(IntentError) as caught:
        check_choice("burn", existing)
    assert [problem.argument for problem in caught.value.problems] == ["access_keys", "existing"]


def test_all_conflicts_are_in_one_error() -> None:
    """One error lists the conflicts of all entities."""
    found: list[Entity] = [attrs.evolve(ROLE, policies=BOTH), attrs.evolve(PROFILE, tags=())]
    with pytest.raises(ConflictError) as caught:
        removal(plan_agent_role("R"), State.of(found))
    targets = [conflict.target for conflict in caught.value.conflicts]
    assert targets == ["role R", "instance-profile R"]


def test_a_profile_that_stays_may_hold_a_role_that_is_to_go() -> None:
    """A role in an unmanaged profile that intent gives another role conflicts: it stays in it."""
    role = attrs.evolve(
        pair("A", "A")[0], dependents=frozenset({"instance-profile A", "instance-profile B"})
    )
    found: list[Entity] = [role, *foreign("A", "A"), *foreign("B", "A")]
    with pytest.raises(ConflictError) as caught:
        removal(TWO_ROLES, State.of(found), existing="attach")
    (conflict,) = caught.value.conflicts
    assert f"{conflict.target} {conflict.reason}" == "role A is still used: instance-profile B"


def test_a_stale_list_of_profiles_is_not_a_conflict() -> None:
    """A stale list of profiles does not conflict if the profiles are deleted, or empty."""
    role = attrs.evolve(
        pair("A", "A")[0], dependents=frozenset({"instance-profile A", "instance-profile B"})
    )
    found = State.of([role, *foreign("B", None)])
    assert removal(TWO_ROLES, found, existing="attach").changes == (DeleteRole(name="A"),)


LINKED = attrs.evolve(ROLE, path=LINKED_PATH, tags=(), inline_policies=frozenset({READ, OTHER}))


@pytest.mark.parametrize("existing", ["refuse", "attach"])
def test_a_service_linked_role_is_not_changed(existing: ExistingToRemove) -> None:
    """Only its service can change a service-linked role, and the conflict says so."""
    desired = plan_agent_role("R", inline_policies=[READ])
    for profile in (PROFILE, FOREIGN_PROFILE):
        with pytest.raises(ConflictError) as caught:
            removal(desired, State.of([LINKED, profile]), existing=existing)
        assert [str(conflict) for conflict in caught.value.conflicts] == [
            (
                "role R belongs to the AWS service ec2.amazonaws.com, as its service-linked role; "
                "only its service can remove CloudWatchAgentServerPolicy, "
                "Read (Allow ssm:GetParameter *).\n"
                "No choice would do: it is left alone, name something else."
            ),
            (
                "instance-profile R holds a service-linked role; "
                "only its service can remove role R.\n"
                "No choice would do: it is left alone, name something else."
            ),
        ]


@pytest.mark.parametrize(
    ("name", "access_keys", "keys"),
    [("U", "refuse", True), ("U", "delete", False), ("u", "refuse", False)],
    ids=["keys", "keys to delete", "another letter case"],
)
def test_advice_about_keys(name: str, access_keys: AccessKeys, *, keys: bool) -> None:
    """The advice suggests to delete access keys only if keys are in the way."""
    user = attrs.evolve(USER, access_keys=(key("AKIA1"),), dependents=frozenset({"group G"}))
    with pytest.raises(ConflictError) as caught:
        removal(plan_agent_user(name), State.of([user]), access_keys=access_keys)
    assert ('access_keys="delete"' in str(caught.value)) == keys
    assert ("access key AKIA1" in str(caught.value)) == keys
