"""The remover as a table: what is there, and what is taken away or stands in the way."""

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
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
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
    "several: all that is taken away comes before all that is deleted": (
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
    "a role of somebody else": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, tags=())],
        "role R exists without the tag ManagedBy=cwagent-iam",
    ),
    "a role of a stack, with our tag": (
        plan_agent_role("R", instance_profile=False),
        [attrs.evolve(ROLE, tags=(*OURS, STACK))],
        "role R belongs to the CloudFormation stack agents: it is not managed.",
    ),
    "a profile of somebody else around our role": (
        plan_agent_role("R"),
        [ROLE, attrs.evolve(PROFILE, tags=())],
        "instance-profile R exists without the tag",
    ),
    "a foreign policy": (
        plan_agent_role("R"),
        [attrs.evolve(ROLE, policies=BOTH), PROFILE],
        "role R is still used: policy CloudWatchAgentAdminPolicy",
    ),
    "several foreign things, sorted": (
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
    "a service-linked role, which is nobody's to remove": (
        plan_agent_role("R", policies=(), instance_profile=False),
        [attrs.evolve(ROLE, path=LINKED_PATH)],
        "belongs to the AWS service ec2.amazonaws.com, as its service-linked role: it is not man",
    ),
}


def foreign(name: str, inside: str | None) -> list[Entity]:
    """Return an instance profile of somebody else."""
    return [attrs.evolve(PROFILE, name=name, role_name=inside, tags=())]


FOREIGN_ROLE = attrs.evolve(ROLE, tags=(), policies=BOTH, dependents=frozenset({"inline policy x"}))
FOREIGN_PROFILE = attrs.evolve(PROFILE, tags=())
# What is found, and what is taken away with existing="attach".
DETACHMENTS: dict[str, tuple[State, list[Entity], list[Change]]] = {
    "nothing there: nothing": (plan_agent_role("R"), [], []),
    "a role of somebody else: the policy that intent names, whatever hangs on the role": (
        plan_agent_role("R"),
        [FOREIGN_ROLE],
        [DetachRolePolicy(name="R", policy=SERVER_POLICY)],
    ),
    "none of the policies that intent names: nothing": (
        plan_agent_role("R"),
        [attrs.evolve(FOREIGN_ROLE, policies=frozenset({ADMIN_POLICY}))],
        [],
    ),
    "a profile of somebody else around it: the membership too": (
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
    "an empty profile of somebody else": (
        plan_agent_role("R"),
        [attrs.evolve(FOREIGN_PROFILE, role_name=None)],
        [],
    ),
    "our profile around a role of somebody else: ours is deleted": (
        plan_agent_role("R"),
        [attrs.evolve(FOREIGN_ROLE, dependents=frozenset({"instance-profile R"})), PROFILE],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            RemoveRoleFromInstanceProfile(name="R", role_name="R"),
            DeleteInstanceProfile(name="R"),
        ],
    ),
    "our role in a profile of somebody else: ours is deleted": (
        plan_agent_role("R"),
        [attrs.evolve(ROLE, dependents=frozenset({"instance-profile R"})), FOREIGN_PROFILE],
        [
            DetachRolePolicy(name="R", policy=SERVER_POLICY),
            RemoveRoleFromInstanceProfile(name="R", role_name="R"),
            DeleteRole(name="R"),
        ],
    ),
    "a user of somebody else: its keys stay": (
        plan_agent_user("U"),
        [attrs.evolve(USER, tags=(), policies=BOTH, access_keys=frozenset({"AKIA"}))],
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
    "two roles of ours in profiles of somebody else: both are taken out": (
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
def test_the_removal_is_what_the_table_says(
    desired: State, found: list[Entity], changes: list[Change]
) -> None:
    """Each row leads to exactly its changes, in their order."""
    assert removal(desired, State.of(found)).changes == tuple(changes)


@pytest.mark.parametrize(("desired", "found", "words"), CONFLICTS.values(), ids=CONFLICTS.keys())
def test_what_stands_in_the_way_is_named(desired: State, found: list[Entity], words: str) -> None:
    """Each row is refused, in words that name what stands in the way."""
    with pytest.raises(ConflictError, match=words):
        removal(desired, State.of(found))


@pytest.mark.parametrize(
    ("desired", "found", "changes"), DETACHMENTS.values(), ids=DETACHMENTS.keys()
)
@pytest.mark.parametrize("access_keys", ["refuse", "delete"])
def test_what_was_attached_is_taken_away_as_the_table_says(
    desired: State, found: list[Entity], changes: list[Change], access_keys: AccessKeys
) -> None:
    """Of what is not managed, exactly what intent names is taken away, and the rest stays."""
    planned = removal(desired, State.of(found), existing="attach", access_keys=access_keys)
    assert planned.changes == tuple(changes)


def test_all_that_a_user_can_have_goes_before_the_user() -> None:
    """Policies of either kind, and the access keys where they are to be deleted."""
    inline, keys = frozenset({READ, OTHER}), frozenset({"AKIA2", "AKIA1"})
    found = State.of([attrs.evolve(USER, inline_policies=inline, access_keys=keys)])
    desired = plan_agent_user("U", inline_policies=[READ, OTHER])
    assert removal(desired, found, access_keys="delete").changes == (
        DetachUserPolicy(name="U", policy=SERVER_POLICY),
        DeleteUserPolicy(name="U", policy=OTHER),
        DeleteUserPolicy(name="U", policy=READ),
        DeleteAccessKey(name="U", access_key_id="AKIA1"),
        DeleteAccessKey(name="U", access_key_id="AKIA2"),
        DeleteUser(name="U"),
    )


def test_what_is_ours_is_as_strict_about_what_hangs_on_it() -> None:
    """To attach is about what is not ours; a foreign policy on our role still stops it."""
    found: list[Entity] = [attrs.evolve(ROLE, policies=BOTH), FOREIGN_PROFILE]
    with pytest.raises(ConflictError, match="role R is still used: policy CloudWatchAgentAdmin"):
        removal(plan_agent_role("R"), State.of(found), existing="attach")


def test_another_letter_case_is_not_what_was_attached_to() -> None:
    """Somebody else's user of a name in another case is left alone, and named."""
    found = State.of([attrs.evolve(USER, tags=(), access_keys=frozenset({"AKIA"}))])
    with pytest.raises(ConflictError, match="user U is not what was named") as caught:
        removal(plan_agent_user("u"), found, existing="attach")
    assert "access_keys" not in str(caught.value)


def test_a_refusal_says_that_attachments_can_be_undone() -> None:
    """Who attached to it can take that away again, by the same choice."""
    with pytest.raises(ConflictError, match='With existing="attach" it stays, without'):
        removal(plan_agent_role("R"), State.of([FOREIGN_ROLE]))


@pytest.mark.parametrize("existing", ["adopt", "verify", None, ["attach"]])
def test_there_are_two_choices_for_what_is_not_managed(existing: Any) -> None:
    """Nothing else undoes anything, so nothing else is taken; all that is wrong is listed."""
    with pytest.raises(IntentError, match="must be 'refuse' or 'attach'"):
        removal(plan_agent_role("R"), State(), existing=existing)
    with pytest.raises(IntentError) as caught:
        check_choice("burn", existing)
    assert [problem.argument for problem in caught.value.problems] == ["access_keys", "existing"]


def test_everything_that_stands_in_the_way_is_named_at_once() -> None:
    """One error lists the conflicts of all things."""
    found: list[Entity] = [attrs.evolve(ROLE, policies=BOTH), attrs.evolve(PROFILE, tags=())]
    with pytest.raises(ConflictError) as caught:
        removal(plan_agent_role("R"), State.of(found))
    targets = [conflict.target for conflict in caught.value.conflicts]
    assert targets == ["role R", "instance-profile R"]


def test_a_profile_that_stays_may_hold_a_role_that_is_to_go() -> None:
    """Intent puts another role into it, so it is left alone: IAM would not delete what it holds."""
    role = attrs.evolve(
        pair("A", "A")[0], dependents=frozenset({"instance-profile A", "instance-profile B"})
    )
    found: list[Entity] = [role, *foreign("A", "A"), *foreign("B", "A")]
    with pytest.raises(ConflictError) as caught:
        removal(TWO_ROLES, State.of(found), existing="attach")
    (conflict,) = caught.value.conflicts
    assert f"{conflict.target} {conflict.reason}" == "role A is still used: instance-profile B"


def test_what_old_state_shows_to_hold_a_role_does_not_stop_it() -> None:
    """A profile that is gone, or holds nothing any more, may be listed for a while."""
    role = attrs.evolve(
        pair("A", "A")[0], dependents=frozenset({"instance-profile A", "instance-profile B"})
    )
    found = State.of([role, *foreign("B", None)])
    assert removal(TWO_ROLES, found, existing="attach").changes == (DeleteRole(name="A"),)


LINKED = attrs.evolve(ROLE, path=LINKED_PATH, tags=(), inline_policies=frozenset({READ, OTHER}))


@pytest.mark.parametrize("existing", ["refuse", "attach"])
def test_nothing_is_taken_from_a_service_linked_role(existing: ExistingToRemove) -> None:
    """IAM answers UnmodifiableEntity to everybody but its service, and the conflict says so."""
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
def test_the_advice_tells_of_keys_where_they_stand_in_the_way(
    name: str, access_keys: AccessKeys, *, keys: bool
) -> None:
    """Deleting keys helps only where keys, among others, are in the way."""
    user = attrs.evolve(USER, access_keys=frozenset({"AKIA1"}), dependents=frozenset({"group G"}))
    with pytest.raises(ConflictError) as caught:
        removal(plan_agent_user(name), State.of([user]), access_keys=access_keys)
    assert ('access_keys="delete"' in str(caught.value)) == keys
    assert ("access key AKIA1" in str(caught.value)) == keys
