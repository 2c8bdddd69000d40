"""The differ as a table: desired and observed state, and the changes between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, ConflictError, IntentError, diff
from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AttachRolePolicy,
    AttachUserPolicy,
    ChangeSet,
    CreateInstanceProfile,
    CreateRole,
    CreateUser,
    PutRolePermissionsBoundary,
    PutUserPermissionsBoundary,
    TagInstanceProfile,
    TagRole,
    TagUser,
    UpdateAssumeRolePolicy,
    UpdateRole,
)
from cwagent_iam.documents import Document
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from cwagent_iam.changes import Change
    from cwagent_iam.state import Entity

OURS = (MANAGED_TAG,)
ROLE = Role(
    name="R",
    path="/",
    trust=EC2_TRUST,
    description="",
    max_session_duration=3600,
    policies=frozenset({SERVER_POLICY}),
    tags=OURS,
)
PROFILE = InstanceProfile(name="R", path="/", role_name="R", tags=OURS)
USER = User(name="U", path="/", policies=frozenset({SERVER_POLICY}), tags=OURS)
LAMBDA_TRUST = Document.parse(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)
MORE_TRUST = Document.parse(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Team",
                "Effect": "Allow",
                "Principal": {"Service": ["ec2", "lambda.amazonaws.com"]},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            },
        ],
    }
)
EXTRA = ManagedPolicy("ReadOnlyAccess")


def having(entity: Entity, **fields: object) -> Entity:
    """Return *entity* with other fields."""
    return attrs.evolve(entity, **fields)  # type: ignore[arg-type] # any field of any kind


def boundary(policy: ManagedPolicy | None) -> dict[str, object]:
    """The field of a role or user."""
    return {"permissions_boundary": policy}


ROLE_CASES: list[tuple[str, State, list[Entity], list[Change]]] = [
    (
        "nothing there: all of it, the role before what needs it",
        plan_agent_role("R"),
        [],
        [
            CreateRole(name="R", trust=EC2_TRUST, tags=OURS),
            CreateInstanceProfile(name="R", tags=OURS),
            AttachRolePolicy(name="R", policy=SERVER_POLICY),
            AddRoleToInstanceProfile(name="R", role_name="R"),
        ],
    ),
    (
        "nothing there, all named: the create call carries what it can",
        plan_agent_role(
            "R",
            instance_profile=False,
            path="/team/",
            description="words",
            permissions_boundary=ADMIN_POLICY,
            max_session_duration=7200,
            tags={"Team": "x"},
        ),
        [],
        [
            CreateRole(
                name="R",
                path="/team/",
                trust=EC2_TRUST,
                description="words",
                permissions_boundary=ADMIN_POLICY,
                max_session_duration=7200,
                tags=(*OURS, ("Team", "x")),
            ),
            AttachRolePolicy(name="R", policy=SERVER_POLICY),
        ],
    ),
    ("all there: nothing, because it is as desired", plan_agent_role("R"), [ROLE, PROFILE], []),
    (
        "fields that intent does not name: nothing, because they are not compared",
        plan_agent_role("R"),
        [
            having(ROLE, path="/x/", description="by hand", max_session_duration=7200),
            having(PROFILE, path="/y/"),
        ],
        [],
    ),
    (
        "a boundary that intent does not name: nothing, because it is not ours to clear",
        plan_agent_role("R"),
        [having(ROLE, **boundary(EXTRA)), PROFILE],
        [],
    ),
    (
        "extra policies and tags: nothing, because attachments add up",
        plan_agent_role("R"),
        [
            having(ROLE, policies=ROLE.policies | {EXTRA}, tags=(*OURS, ("Owner", "x"))),
            PROFILE,
        ],
        [],
    ),
    (
        "trust in other words: nothing, because it means the same",
        plan_agent_role("R"),
        [
            having(ROLE, trust=Document.parse(EC2_TRUST.text.replace('"ec2"', '["ec2"]'))),
            PROFILE,
        ],
        [],
    ),
    (
        "a tag key in another letter case: nothing, because IAM takes it for the same",
        plan_agent_role("R", tags={"Team": "x"}),
        [
            having(ROLE, tags=(*OURS, ("team", "x"))),
            having(PROFILE, tags=(*OURS, ("TEAM", "x"))),
        ],
        [],
    ),
    (
        "a tag key in two letter cases: nothing, because the exact one is right",
        plan_agent_role("R", tags={"Team": "x"}),
        [
            having(ROLE, tags=(*OURS, ("Team", "x"))),
            having(PROFILE, tags=(*OURS, ("Team", "x"), ("team", "y"))),
        ],
        [],
    ),
    (
        "no profile asked for: nothing, because it is not looked at",
        plan_agent_role("R", instance_profile=False),
        [ROLE],
        [],
    ),
    (
        "another trust",
        plan_agent_role("R"),
        [having(ROLE, trust=LAMBDA_TRUST), PROFILE],
        [UpdateAssumeRolePolicy(name="R", trust=EC2_TRUST)],
    ),
    (
        "more trust than ours on a managed role: mended, because it is compared for equality",
        plan_agent_role("R"),
        [having(ROLE, trust=MORE_TRUST), PROFILE],
        [UpdateAssumeRolePolicy(name="R", trust=EC2_TRUST)],
    ),
    (
        "another description: both members of UpdateRole, the other one as it was",
        plan_agent_role("R", description="words"),
        [having(ROLE, max_session_duration=7200), PROFILE],
        [UpdateRole(name="R", description="words", max_session_duration=7200)],
    ),
    (
        "another duration: both members of UpdateRole, the other one as it was",
        plan_agent_role("R", max_session_duration=7200),
        [having(ROLE, description="by hand"), PROFILE],
        [UpdateRole(name="R", description="by hand", max_session_duration=7200)],
    ),
    (
        "another description and duration: one change",
        plan_agent_role("R", description="", max_session_duration=7200),
        [having(ROLE, description="by hand"), PROFILE],
        [UpdateRole(name="R", description="", max_session_duration=7200)],
    ),
    (
        "no boundary yet",
        plan_agent_role("R", permissions_boundary=ADMIN_POLICY),
        [ROLE, PROFILE],
        [PutRolePermissionsBoundary(name="R", policy=ADMIN_POLICY)],
    ),
    (
        "another boundary",
        plan_agent_role("R", permissions_boundary=ADMIN_POLICY),
        [having(ROLE, **boundary(EXTRA)), PROFILE],
        [PutRolePermissionsBoundary(name="R", policy=ADMIN_POLICY)],
    ),
    (
        "tags missing and changed: only those, in one change each",
        plan_agent_role("R", tags={"Team": "x", "Stage": "y"}),
        [having(ROLE, tags=(*OURS, ("Stage", "y"), ("Team", "old"))), PROFILE],
        [
            TagRole(name="R", tags=(("Team", "x"),)),
            TagInstanceProfile(name="R", tags=(("Stage", "y"), ("Team", "x"))),
        ],
    ),
    (
        "policies missing: attached in the order of their names",
        plan_agent_role("R", policies=[SERVER_POLICY, EXTRA, ADMIN_POLICY]),
        [having(ROLE, policies=frozenset({SERVER_POLICY})), PROFILE],
        [
            AttachRolePolicy(name="R", policy=ADMIN_POLICY),
            AttachRolePolicy(name="R", policy=EXTRA),
        ],
    ),
    (
        "the profile is empty",
        plan_agent_role("R"),
        [ROLE, having(PROFILE, role_name=None)],
        [AddRoleToInstanceProfile(name="R", role_name="R")],
    ),
    (
        "the profile is gone",
        plan_agent_role("R"),
        [ROLE],
        [
            CreateInstanceProfile(name="R", tags=OURS),
            AddRoleToInstanceProfile(name="R", role_name="R"),
        ],
    ),
    (
        "the role is gone, the profile still lists it: IAM forbids that, so only the role is made",
        plan_agent_role("R"),
        [PROFILE],
        [
            CreateRole(name="R", trust=EC2_TRUST, tags=OURS),
            AttachRolePolicy(name="R", policy=SERVER_POLICY),
        ],
    ),
    (
        "a role of somebody else that does what we need: nothing, because it is used as it is",
        plan_agent_role("R", tags={"Team": "x"}),
        [having(ROLE, tags=(), trust=MORE_TRUST, policies=ROLE.policies | {EXTRA}), PROFILE],
        [TagInstanceProfile(name="R", tags=(("Team", "x"),))],
    ),
    (
        "a role of somebody else and no profile: ours is put around it",
        plan_agent_role("R"),
        [having(ROLE, tags=())],
        [
            CreateInstanceProfile(name="R", tags=OURS),
            AddRoleToInstanceProfile(name="R", role_name="R"),
        ],
    ),
    (
        "a profile of somebody else that holds our role: nothing, because it does what we need",
        plan_agent_role("R"),
        [ROLE, having(PROFILE, tags=())],
        [],
    ),
]
USER_CASES: list[tuple[str, State, list[Entity], list[Change]]] = [
    (
        "no user there: the boundary is set at creation",
        plan_agent_user("U", path="/x/", permissions_boundary=ADMIN_POLICY),
        [],
        [
            CreateUser(name="U", path="/x/", permissions_boundary=ADMIN_POLICY, tags=OURS),
            AttachUserPolicy(name="U", policy=SERVER_POLICY),
        ],
    ),
    ("a user as desired: nothing, because nothing differs", plan_agent_user("U"), [USER], []),
    (
        "somebody else's that does what we need: nothing, because it is used as it is",
        plan_agent_user("U", tags={"Team": "x"}),
        [having(USER, tags=())],
        [],
    ),
    (
        "everything is wrong: one change each",
        plan_agent_user("U", permissions_boundary=ADMIN_POLICY, tags={"Team": "x"}),
        [having(USER, policies=frozenset())],
        [
            PutUserPermissionsBoundary(name="U", policy=ADMIN_POLICY),
            AttachUserPolicy(name="U", policy=SERVER_POLICY),
            TagUser(name="U", tags=(("Team", "x"),)),
        ],
    ),
]
CONFLICTS: list[tuple[str, State, list[Entity], dict[str, set[str]]]] = [
    (
        "a managed role elsewhere cannot move",
        plan_agent_role("R", path="/team/"),
        [ROLE],
        {"role R": {"path"}},
    ),
    (
        "a profile elsewhere cannot move either",
        plan_agent_role("R", path="/team/"),
        [having(ROLE, path="/team/"), PROFILE],
        {"instance-profile R": {"path"}},
    ),
    (
        "the letter case of a name cannot change",
        plan_agent_role("R"),
        [having(ROLE, name="r")],
        {"role r": {"name"}},
    ),
    (
        "a managed profile that holds another role is left to its users",
        plan_agent_role("R"),
        [ROLE, having(PROFILE, role_name="other")],
        {"instance-profile R": {"role"}},
    ),
    (
        "somebody else's role that lacks everything",
        plan_agent_role(
            "R", description="x", max_session_duration=7200, permissions_boundary=EXTRA, path="/p/"
        ),
        [having(ROLE, tags=(), trust=LAMBDA_TRUST, policies=frozenset())],
        {
            "role R": {
                "path",
                "trust",
                "description",
                "max session duration",
                "permissions boundary",
                "policies",
            }
        },
    ),
    (
        "somebody else's empty profile",
        plan_agent_role("R"),
        [ROLE, having(PROFILE, tags=(), role_name=None)],
        {"instance-profile R": {"role"}},
    ),
    (
        "everything that stands in the way is listed",
        plan_agent_role("R"),
        [having(ROLE, tags=(), policies=frozenset()), having(PROFILE, role_name="other")],
        {"role R": {"policies"}, "instance-profile R": {"role"}},
    ),
    (
        "somebody else's user without the policy",
        plan_agent_user("U"),
        [having(USER, tags=(), policies=frozenset())],
        {"user U": {"policies"}},
    ),
]


@pytest.mark.parametrize(
    ("desired", "found", "changes"),
    [pytest.param(*case[1:], id=case[0]) for case in ROLE_CASES + USER_CASES],
)
def test_the_diff_is_what_the_table_says(
    desired: State, found: list[Entity], changes: list[Change]
) -> None:
    """Each row leads to exactly its changes, in their order."""
    assert diff(desired, State.of(found)).changes == tuple(changes)


@pytest.mark.parametrize(
    ("desired", "found", "fields"),
    [pytest.param(*case[1:], id=case[0]) for case in CONFLICTS],
)
def test_a_conflict_names_everything_that_differs(
    desired: State, found: list[Entity], fields: dict[str, set[str]]
) -> None:
    """Each row is refused, and the error says what stands in the way and in which fields."""
    with pytest.raises(ConflictError) as caught:
        diff(desired, State.of(found))
    conflicts = caught.value.conflicts
    named = {
        each.target: {difference.field for difference in each.differences} for each in conflicts
    }
    assert named == fields


def test_a_changeset_starts_from_what_was_observed() -> None:
    """The changes carry the state that they were made for."""
    observed = State.of([ROLE])
    assert diff(plan_agent_role("R"), observed).observed is observed


def test_changes_that_mend_say_from_what_to_what() -> None:
    """The line of an update shows the old value and the new one."""
    changes = diff(
        plan_agent_role(
            "R",
            description="new",
            max_session_duration=7200,
            tags={"Team": "x"},
            instance_profile=False,
        ),
        State.of([having(ROLE, description="old", trust=LAMBDA_TRUST)]),
    )
    assert str(changes).splitlines() == [
        f"~ UpdateAssumeRolePolicy R: trust: {LAMBDA_TRUST} -> {EC2_TRUST}",
        "~ UpdateRole R: description: 'old' -> 'new'; max session duration: 3600 s -> 7200 s",
        "~ TagRole R: tags: none -> Team=x",
        "0 to add, 3 to change, 0 to remove.",
    ]
    assert isinstance(changes, ChangeSet)


def test_what_is_desired_must_carry_the_tag() -> None:
    """A state built by hand without our tag is refused: what it made could never be told ours."""
    desired = State.of([having(ROLE, tags=()), USER])
    with pytest.raises(IntentError, match="must carry the tag ManagedBy=cwagent-iam") as caught:
        diff(desired, State())
    assert [problem.value for problem in caught.value.problems] == ["'role R'"]


def test_the_tag_counts_in_any_letter_case_of_its_key() -> None:
    """IAM keeps the first letter case of a key, so handing over may leave it in another one."""
    found = State.of([having(USER, tags=(("managedby", "cwagent-iam"),), policies=frozenset())])
    changes = diff(plan_agent_user("U"), found)
    assert changes.changes == (AttachUserPolicy(name="U", policy=SERVER_POLICY),)


@pytest.mark.parametrize("written", ["one\r\ntwo", "one\rtwo", "one\ntwo"])
def test_line_ends_of_a_description_make_no_difference(written: str) -> None:
    """IAM's replies come in XML, which reads every line end as a line feed."""
    found = State.of([having(ROLE, description="one\ntwo")])
    desired = plan_agent_role("R", description=written, instance_profile=False)
    assert not diff(desired, found)
