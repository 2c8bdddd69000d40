"""Changes, sets of them, and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import attrs
import pytest

from cwagent_iam import (
    ADMIN_POLICY,
    SERVER_POLICY,
    ChangeSet,
    CustomerManagedPolicy,
    InlinePolicy,
    PropagationTimeoutError,
    Result,
)
from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AgentRole,
    AttachRolePolicy,
    AttachUserPolicy,
    Change,
    CreateAccessKey,
    CreateInstanceProfile,
    CreateRole,
    CreateUser,
    DeleteAccessKey,
    DeleteInstanceProfile,
    DeleteRole,
    DeleteRolePermissionsBoundary,
    DeleteRolePolicy,
    DeleteUser,
    DeleteUserPermissionsBoundary,
    DeleteUserPolicy,
    DetachRolePolicy,
    DetachUserPolicy,
    PutRolePermissionsBoundary,
    PutRolePolicy,
    PutUserPermissionsBoundary,
    PutUserPolicy,
    RemoveRoleFromInstanceProfile,
    TagInstanceProfile,
    TagRole,
    TagUser,
    UntagUser,
    UpdateAccessKey,
    UpdateAssumeRolePolicy,
    UpdateRole,
)
from cwagent_iam.documents import Document
from cwagent_iam.errors import Difference
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, SeenKey, State, User
from cwagent_iam.trust import EC2_TRUST, CrossAccount

if TYPE_CHECKING:
    from cwagent_iam.changes.base import BaseChange
    from cwagent_iam.state import Entity

ROLE = Role(name="R", trust=EC2_TRUST, tags=(MANAGED_TAG,), arn="arn:aws:iam::123456789012:role/R")
CREATE = CreateRole(name="R", trust=EC2_TRUST, tags=(MANAGED_TAG,))
ATTACH = AttachRolePolicy(name="R", policy=SERVER_POLICY)
CHANGES: tuple[type[BaseChange], ...] = get_args(Change)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_change_is_frozen_slotted_and_described(change: type[BaseChange]) -> None:
    """A change is a plain value, named after an operation, with a line of documentation."""
    assert attrs.fields_dict(change).keys() >= {"name"}
    assert "__slots__" in vars(change)
    assert change.__doc__
    assert change.symbol in {"+", "~", "-"}


def test_the_changes_that_remove_are_told_by_their_symbol() -> None:
    """Operations that take something away show a minus, and no others do."""
    removing = {change.__name__ for change in CHANGES if change.symbol == "-"}
    verbs = ("Delete", "Detach", "Remove", "Untag")
    assert removing == {each.__name__ for each in CHANGES if each.__name__.startswith(verbs)}


READ_TAGS = InlinePolicy(
    "Tags",
    '{"Version":"2012-10-17","Statement":'
    '{"Effect":"Allow","Action":"ec2:DescribeTags","Resource":"*"}}',
)
PARTS: dict[str, Change] = {
    "": UpdateRole(name="R", description="", max_session_duration=3600),
    "CloudWatchAgentServerPolicy": AttachRolePolicy(name="R", policy=SERVER_POLICY),
    "CloudWatchAgentAdminPolicy": PutRolePermissionsBoundary(name="R", policy=ADMIN_POLICY),
    "Tags": PutRolePolicy(name="R", policy=READ_TAGS),
    "role R": AddRoleToInstanceProfile(name="P", role_name="R"),
    "role Old": RemoveRoleFromInstanceProfile(name="P", role_name="Old", replaced_by="R"),
    "AKIA": DeleteAccessKey(name="U", access_key_id="AKIA"),
}


@pytest.mark.parametrize(("part", "change"), PARTS.items(), ids=lambda each: str(each)[:30])
def test_a_change_tells_the_part_that_it_is_about(part: str, change: Change) -> None:
    """In one word, for errors that list many of them; a change to the whole tells none."""
    assert change.part == part
    error = PropagationTimeoutError(missing=(change,), attempts=1, seconds=1.0)
    about = ": ".join(filter(None, [change.target, part]))
    assert f"Not visible yet: {change.operation} ({about})." in str(error)


def test_a_deletion_is_about_the_part_that_it_deletes() -> None:
    """As the change that put it there."""
    assert DeleteUserPolicy(name="U", policy=READ_TAGS).part == "Tags"
    assert DetachUserPolicy(name="U", policy=SERVER_POLICY).part == "CloudWatchAgentServerPolicy"


def test_an_empty_changeset_is_falsy_and_says_so() -> None:
    """Nothing to do prints "No changes."."""
    assert not ChangeSet()
    assert str(ChangeSet()) == "No changes."


def test_a_changeset_is_a_collection_of_its_changes() -> None:
    """It has a length, can be gone through, and is truthy."""
    changes = ChangeSet((CREATE, ATTACH))
    assert changes
    assert len(changes) == 2
    assert list(changes) == [CREATE, ATTACH]


def test_a_changeset_prints_a_line_a_change_then_counts() -> None:
    """The text to review has one line for each change and a last line with the counts."""
    detach = DetachRolePolicy(name="R", policy=SERVER_POLICY)
    assert str(ChangeSet((CREATE, ATTACH, detach))).splitlines() == [
        "+ CreateRole R: trust Allow Service ec2 sts:AssumeRole, tags ManagedBy=cwagent-iam",
        "+ AttachRolePolicy R: CloudWatchAgentServerPolicy",
        "- DetachRolePolicy R: CloudWatchAgentServerPolicy",
        "2 to add, 0 to change, 1 to remove.",
    ]


def test_a_changeset_in_html_is_its_text_escaped() -> None:
    """HTML holds the same text, with nothing that a browser would take for markup."""
    create = CreateRole(name="R", trust=EC2_TRUST, description="<script>&")
    html = ChangeSet((create,))._repr_html_()
    assert "description &lt;script&gt;&amp;" in html
    assert "<script>" not in html


def test_a_changeset_is_equal_by_its_changes_and_hashable() -> None:
    """Where it starts from makes no difference to equality."""
    assert ChangeSet((CREATE,)) == ChangeSet((CREATE,), State((ROLE,)))
    assert len({ChangeSet((CREATE,)), ChangeSet((CREATE,), State((ROLE,)))}) == 1


def test_a_changeset_knows_all_permissions_that_it_takes() -> None:
    """The permissions are those of its changes together."""
    add = AddRoleToInstanceProfile(name="R", role_name="R")
    assert ChangeSet((CREATE, ATTACH, add)).permissions == {
        "iam:CreateRole",
        "iam:TagRole",
        "iam:AttachRolePolicy",
        "iam:AddRoleToInstanceProfile",
        "iam:PassRole",
    }
    assert ChangeSet().permissions == frozenset()


def test_ordering_keeps_each_change_once_and_creations_first() -> None:
    """Changes come by wave, otherwise in the order given, and never twice."""
    profile = CreateInstanceProfile(name="R")
    ordered = ChangeSet.ordered([ATTACH, profile, ATTACH, CREATE], State())
    assert ordered.changes == (profile, CREATE, ATTACH)
    assert ordered.waves == ((profile, CREATE), (ATTACH,))


def test_tagging_overwrites_a_key_in_any_letter_case() -> None:
    """One key, whatever its case, has one value afterwards, and the case that IAM had first."""
    role = attrs.evolve(ROLE, tags=(MANAGED_TAG, ("TEAM", "old")))
    change = TagRole(name="R", tags=(("Team", "new"),))
    after = change.after(State.of([role]))
    assert after.find(Role, "R") == attrs.evolve(ROLE, tags=(MANAGED_TAG, ("TEAM", "new")))
    assert change.is_done_in(after)


def test_tagging_leaves_a_key_in_another_letter_case_beside_it() -> None:
    """Where both are held it is the exact one; the other is somebody else's."""
    profile = InstanceProfile(name="P", tags=(("Team", "old"), ("team", "x")))
    change = TagInstanceProfile(name="P", tags=(("Team", "new"), ("a", "b")))
    after = change.after(State.of([profile]))
    tags = (("Team", "new"), ("a", "b"), ("team", "x"))
    assert after == State.of([attrs.evolve(profile, tags=tags)])
    assert change.is_done_in(after)


def test_a_result_tells_arns_by_kind_and_name() -> None:
    """Things without an ARN yet are left out."""
    state = State.of([ROLE, InstanceProfile(name="P")])
    result = Result(changes=(), state=state)
    assert result.arns == {("role", "R"): "arn:aws:iam::123456789012:role/R"}
    assert not result.changed


def test_a_result_prints_its_changes_then_its_arns() -> None:
    """The text of a result, and its HTML, show what was done and what is there."""
    result = AgentRole(
        changes=(ATTACH,),
        state=State.of([ROLE]),
        role_name="R",
        role_arn=str(ROLE.arn),
        instance_profile_name=None,
        instance_profile_arn=None,
    )
    assert str(result).splitlines() == [
        "+ AttachRolePolicy R: CloudWatchAgentServerPolicy",
        "1 to add, 0 to change, 0 to remove.",
        "arn:aws:iam::123456789012:role/R",
    ]
    assert "<b>AgentRole</b>" in result._repr_html_()
    assert result.changed


def test_every_change_names_its_thing_and_its_operation() -> None:
    """The target is kind and name, and what a change needs is its target and the role inside."""
    add = AddRoleToInstanceProfile(name="P", role_name="R")
    remove = RemoveRoleFromInstanceProfile(name="P", role_name="R")
    assert (add.operation, add.target) == ("AddRoleToInstanceProfile", "instance-profile P")
    assert add.needs == remove.needs == {"instance-profile P", "role R"}
    assert ATTACH.needs == {"role R"}
    assert str(add) == "+ AddRoleToInstanceProfile P: role R"
    assert str(remove) == "- RemoveRoleFromInstanceProfile P: role R"
    assert str(DeleteRole(name="R")) == "- DeleteRole R"


def allowing(action: str) -> InlinePolicy:
    """Return the policy ``Read``, which allows one action."""
    allowed = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return InlinePolicy("Read", {"Version": "2012-10-17", "Statement": allowed})


OPEN = CustomerManagedPolicy("own", "/team/")
OWN = ManagedPolicy("own", "/team/", "123456789012", "aws")
OWN_ELSEWHERE = ManagedPolicy("own", "/team/", "210987654321", "aws")
OWN_OF_AWS = ManagedPolicy("own", "/team/")
READ, WRITE = allowing("ssm:GetParameter"), allowing("ssm:PutParameter")
OTHER = attrs.evolve(READ, name="Other")
NOBODY = Document.parse({"Version": "2012-10-17", "Statement": []})
USER = User(name="U", tags=(MANAGED_TAG,))
KEYS = {name: SeenKey(access_key_id=name, active=True, created=0.0) for name in ("AKIA1", "AKIA2")}
PROFILE = InstanceProfile(name="P", tags=(MANAGED_TAG,))
SERVER, ADMIN = frozenset({SERVER_POLICY}), frozenset({ADMIN_POLICY})
# A change, what it is made on, what that becomes, and how the change is shown.
FOLDS: list[tuple[Change, Entity | None, Entity | None, str]] = [
    (
        CreateRole(
            name="R", path="/a/", trust=EC2_TRUST, permissions_boundary=OPEN, tags=(MANAGED_TAG,)
        ),
        None,
        Role(name="R", path="/a/", trust=EC2_TRUST, permissions_boundary=OPEN, tags=(MANAGED_TAG,)),
        (
            "+ CreateRole R: path /a/, permissions boundary policy/team/own, "
            "trust Allow Service ec2 sts:AssumeRole, tags ManagedBy=cwagent-iam"
        ),
    ),
    (
        UpdateRole(
            name="R",
            description="x",
            max_session_duration=7200,
            differences=(Difference("description", "'x'", "''"),),
        ),
        ROLE,
        attrs.evolve(ROLE, description="x", max_session_duration=7200),
        "~ UpdateRole R: description: '' -> 'x'",
    ),
    (
        UpdateAssumeRolePolicy(
            name="R", trust=EC2_TRUST, differences=(Difference("trust", "EC2", "nobody"),)
        ),
        attrs.evolve(ROLE, trust=NOBODY),
        ROLE,
        "~ UpdateAssumeRolePolicy R: trust: nobody -> EC2",
    ),
    (
        PutRolePermissionsBoundary(name="R", policy=OPEN),
        attrs.evolve(ROLE, permissions_boundary=OWN_OF_AWS),
        attrs.evolve(ROLE, permissions_boundary=OPEN),
        "~ PutRolePermissionsBoundary R",
    ),
    (
        PutUserPermissionsBoundary(name="U", policy=OWN),
        attrs.evolve(USER, permissions_boundary=OWN_ELSEWHERE),
        attrs.evolve(USER, permissions_boundary=OWN),
        "~ PutUserPermissionsBoundary U",
    ),
    (
        DeleteRolePermissionsBoundary(
            name="R", differences=(Difference("permissions boundary", "none", str(SERVER_POLICY)),)
        ),
        attrs.evolve(ROLE, permissions_boundary=SERVER_POLICY),
        ROLE,
        (
            "- DeleteRolePermissionsBoundary R: permissions boundary: "
            "CloudWatchAgentServerPolicy -> none"
        ),
    ),
    (
        DeleteUserPermissionsBoundary(name="U"),
        attrs.evolve(USER, permissions_boundary=OWN),
        USER,
        "- DeleteUserPermissionsBoundary U",
    ),
    (
        PutRolePolicy(name="R", policy=READ),
        attrs.evolve(ROLE, inline_policies=frozenset({OTHER})),
        attrs.evolve(ROLE, inline_policies=frozenset({OTHER, READ})),
        "+ PutRolePolicy R: Read (Allow ssm:GetParameter *)",
    ),
    (
        PutUserPolicy(
            name="U",
            policy=READ,
            differences=(Difference("inline policies", str(READ), str(WRITE)),),
        ),
        attrs.evolve(USER, inline_policies=frozenset({OTHER, WRITE})),
        attrs.evolve(USER, inline_policies=frozenset({OTHER, READ})),
        (
            "~ PutUserPolicy U: inline policies: Read (Allow ssm:PutParameter *) -> "
            "Read (Allow ssm:GetParameter *)"
        ),
    ),
    (
        DeleteRolePolicy(name="R", policy=READ),
        attrs.evolve(ROLE, inline_policies=frozenset({OTHER, WRITE})),
        attrs.evolve(ROLE, inline_policies=frozenset({OTHER})),
        "- DeleteRolePolicy R: Read (Allow ssm:GetParameter *)",
    ),
    (
        DeleteUserPolicy(name="U", policy=READ),
        attrs.evolve(USER, inline_policies=frozenset({READ})),
        USER,
        "- DeleteUserPolicy U: Read (Allow ssm:GetParameter *)",
    ),
    (
        TagRole(name="R", tags=(("a", "b"),)),
        ROLE,
        attrs.evolve(ROLE, tags=(MANAGED_TAG, ("a", "b"))),
        "~ TagRole R",
    ),
    (
        TagUser(name="U", tags=(MANAGED_TAG,)),
        attrs.evolve(USER, tags=(("ManagedBy", "x"),)),
        USER,
        "~ TagUser U",
    ),
    (
        TagInstanceProfile(
            name="P", tags=(MANAGED_TAG,), differences=(Difference("tags", "a=b", "none"),)
        ),
        attrs.evolve(PROFILE, tags=()),
        PROFILE,
        "~ TagInstanceProfile P: tags: none -> a=b",
    ),
    (
        AttachRolePolicy(name="R", policy=OPEN),
        attrs.evolve(ROLE, policies=SERVER),
        attrs.evolve(ROLE, policies=SERVER | {OPEN}),
        "+ AttachRolePolicy R: policy/team/own",
    ),
    (
        AttachUserPolicy(name="U", policy=OWN),
        attrs.evolve(USER, policies=frozenset({OWN_ELSEWHERE})),
        attrs.evolve(USER, policies=frozenset({OWN_ELSEWHERE, OWN})),
        "+ AttachUserPolicy U: arn:aws:iam::123456789012:policy/team/own",
    ),
    (
        DetachRolePolicy(name="R", policy=SERVER_POLICY),
        attrs.evolve(ROLE, policies=SERVER | ADMIN),
        attrs.evolve(ROLE, policies=ADMIN),
        "- DetachRolePolicy R: CloudWatchAgentServerPolicy",
    ),
    (
        DetachUserPolicy(name="U", policy=OWN),
        attrs.evolve(USER, policies=frozenset({OPEN, OWN_ELSEWHERE})),
        attrs.evolve(USER, policies=frozenset({OWN_ELSEWHERE})),
        "- DetachUserPolicy U: arn:aws:iam::123456789012:policy/team/own",
    ),
    (DeleteRole(name="R"), ROLE, None, "- DeleteRole R"),
    (
        CreateUser(name="U", permissions_boundary="", tags=(MANAGED_TAG,)),
        None,
        attrs.evolve(USER, permissions_boundary=""),
        "+ CreateUser U: tags ManagedBy=cwagent-iam",
    ),
    (
        DeleteAccessKey(name="U", access_key_id="AKIA1"),
        attrs.evolve(USER, access_keys=(KEYS["AKIA1"], KEYS["AKIA2"])),
        attrs.evolve(USER, access_keys=(KEYS["AKIA2"],)),
        "- DeleteAccessKey U: AKIA1",
    ),
    (
        UpdateAccessKey(name="U", access_key_id="AKIA1", status="Inactive"),
        attrs.evolve(USER, access_keys=(KEYS["AKIA1"], KEYS["AKIA2"])),
        attrs.evolve(USER, access_keys=(attrs.evolve(KEYS["AKIA1"], active=False), KEYS["AKIA2"])),
        "~ UpdateAccessKey U: AKIA1 inactive",
    ),
    (
        UntagUser(name="U", tag_keys=("team", "Stage")),
        attrs.evolve(USER, tags=(MANAGED_TAG, ("Team", "x"))),
        attrs.evolve(USER, tags=(MANAGED_TAG,)),
        "- UntagUser U: tags team, Stage",
    ),
    (DeleteUser(name="U"), USER, None, "- DeleteUser U"),
    (
        CreateInstanceProfile(name="P", tags=(MANAGED_TAG,)),
        None,
        PROFILE,
        "+ CreateInstanceProfile P: tags ManagedBy=cwagent-iam",
    ),
    (
        AddRoleToInstanceProfile(name="P", role_name="R"),
        PROFILE,
        attrs.evolve(PROFILE, role_name="R"),
        "+ AddRoleToInstanceProfile P: role R",
    ),
    (
        RemoveRoleFromInstanceProfile(name="P", role_name="R", replaced_by="N"),
        attrs.evolve(PROFILE, role_name="R"),
        PROFILE,
        (
            "- RemoveRoleFromInstanceProfile P: role R, replaced by N; "
            "instances that run notice it later, when their credentials rotate"
        ),
    ),
    (DeleteInstanceProfile(name="P"), PROFILE, None, "- DeleteInstanceProfile P"),
]


def state_of(entity: Entity | None) -> State:
    """Return a state with *entity*, and with what is none of its business."""
    state = State.of([User(name="Z", policies=ADMIN), InstanceProfile(name="Z", role_name="Z")])
    return state.with_entity(entity) if entity else state


def test_there_is_a_fold_for_every_change() -> None:
    """The table has all of them, except the creation of a key, which changes no state."""
    assert {type(row[0]) for row in FOLDS} == set(CHANGES) - {CreateAccessKey}
    assert len(FOLDS) == len(CHANGES) - 1


@pytest.mark.parametrize(
    ("change", "before", "after", "line"),
    [pytest.param(*row, id=row[0].operation) for row in FOLDS],
)
def test_each_change_is_folded_read_back_and_shown(
    change: Change, before: Entity | None, after: Entity | None, line: str
) -> None:
    """It makes one thing of another, reads back as done then and only then, and has one line."""
    began, ended = state_of(before), state_of(after)
    assert change.after(began) == ended
    assert access_keys(change.after(began)) == access_keys(ended)
    assert not change.is_done_in(began)
    assert change.is_done_in(ended)
    assert str(change) == line


def access_keys(state: State) -> list[tuple[SeenKey, ...]]:
    """The access keys of all users, which take no part in comparisons."""
    return [each.access_keys for each in state.entities if isinstance(each, User)]


def test_the_creation_of_a_key_never_reads_back() -> None:
    """No key shows which request has created it; the change holds neither its id nor its secret."""
    change = CreateAccessKey(name="U")
    state = State.of([attrs.evolve(USER, access_keys=(KEYS["AKIA1"],))])
    assert not change.is_done_in(state)
    assert change.after(state) == state
    assert str(change) == "+ CreateAccessKey U"
    assert change.request("aws", "").arguments == {"UserName": "U"}


@pytest.mark.parametrize("change", [row[0] for row in FOLDS], ids=lambda change: change.operation)
def test_a_change_of_what_is_gone(change: Change) -> None:
    """It leaves the state as it is; to take away is then done, to set or add is not.

    What was to lose something may have been deleted by somebody else: another look decides.
    """
    gone = state_of(None)
    if not change.creates:
        assert change.after(gone) == gone
    assert change.is_done_in(gone) == (change.symbol == "-")


BLOCKED: dict[str, tuple[Change, Entity]] = {
    "a role with another trust": (CREATE, attrs.evolve(ROLE, trust=NOBODY)),
    "a role in another letter case": (CREATE, attrs.evolve(ROLE, name="r")),
    "a role without the tags": (CREATE, attrs.evolve(ROLE, tags=())),
    "a role with another value of a tag": (
        CREATE,
        attrs.evolve(ROLE, tags=((MANAGED_TAG[0].lower(), "other"),)),
    ),
    "a role with another description": (
        attrs.evolve(CREATE, description="a\n\nb"),
        attrs.evolve(ROLE, description="a\nb"),
    ),
    "a role elsewhere": (attrs.evolve(CREATE, path="/a/"), attrs.evolve(ROLE, path="/b/")),
    "a role with a namesake of the boundary": (
        attrs.evolve(CREATE, permissions_boundary=OPEN),
        attrs.evolve(ROLE, permissions_boundary=OWN_OF_AWS),
    ),
    "a role with a boundary where there is to be none": (
        attrs.evolve(CREATE, permissions_boundary=""),
        attrs.evolve(ROLE, permissions_boundary=OWN),
    ),
    "a user without the boundary": (
        CreateUser(name="U", permissions_boundary=OWN, tags=(MANAGED_TAG,)),
        USER,
    ),
    "a profile with another role": (
        AddRoleToInstanceProfile(name="P", role_name="R"),
        attrs.evolve(PROFILE, role_name="other"),
    ),
}


@pytest.mark.parametrize(("change", "there"), BLOCKED.values(), ids=BLOCKED)
def test_what_keeps_a_change_from_being_made(change: Change, there: Entity) -> None:
    """Another thing of the name, or in the place, does not count as done."""
    assert not change.is_done_in(State.of([there]))


MADE: dict[str, tuple[Change, Entity]] = {
    "with what only IAM knows": (CREATE, ROLE),
    "with what somebody added": (CREATE, attrs.evolve(ROLE, policies=SERVER, description="x")),
    "with a tag of another process": (
        CREATE,
        attrs.evolve(ROLE, tags=(("CreatedBy", "bot"), MANAGED_TAG)),
    ),
    "with a tag key in another letter case": (
        CREATE,
        attrs.evolve(ROLE, tags=((MANAGED_TAG[0].upper(), MANAGED_TAG[1]),)),
    ),
    "with line ends as in XML": (
        attrs.evolve(CREATE, description="a\r\nb\rc"),
        attrs.evolve(ROLE, description="a\nb\nc"),
    ),
    "with the boundary, whose account was open": (
        attrs.evolve(CREATE, permissions_boundary=OPEN),
        attrs.evolve(ROLE, permissions_boundary=OWN),
    ),
    "without a boundary": (attrs.evolve(CREATE, permissions_boundary=""), ROLE),
    "attached, whose account was open": (
        AttachRolePolicy(name="R", policy=OPEN),
        attrs.evolve(ROLE, policies=frozenset({OWN})),
    ),
    "bounded, whose account was open": (
        PutRolePermissionsBoundary(name="R", policy=OPEN),
        attrs.evolve(ROLE, permissions_boundary=OWN),
    ),
}


@pytest.mark.parametrize(("change", "there"), MADE.values(), ids=MADE)
def test_what_reads_back_as_made(change: Change, there: Entity) -> None:
    """What was sent is there, in the form in which IAM shows it."""
    assert change.is_done_in(State.of([there]))


def test_a_boundary_of_the_account_itself_is_looked_up() -> None:
    """While nothing has told the account, as before a creation, that takes one more permission."""
    role, user = attrs.evolve(CREATE, permissions_boundary=OPEN), CreateUser(name="U")
    assert role.permissions == {"iam:CreateRole", "iam:TagRole", "iam:ListPolicies"}
    assert attrs.evolve(user, permissions_boundary=OPEN).permissions > user.permissions
    for boundary in (None, "", OWN, SERVER_POLICY):
        changed = attrs.evolve(CREATE, permissions_boundary=boundary)
        assert changed.permissions == CREATE.permissions


def trusting(*principals: str) -> Document:
    """Return a trust in others of some account."""
    return CrossAccount([f"arn:aws:{principal}" for principal in principals]).document()


@pytest.mark.parametrize(
    ("principal", "needed"),
    [
        ("iam::123456789012:user/team/U", {"user U"}),
        ("iam::123456789012:role/Other", {"role Other"}),
        ("sts::123456789012:assumed-role/Other/i-0123456789abcdef0", {"role Other"}),
        ("iam::123456789012:root", set()),
    ],
)
def test_a_role_needs_who_is_trusted(principal: str, needed: set[str]) -> None:
    """IAM refuses a trust in a role or user that is not there."""
    assert CreateRole(name="R", trust=trusting(principal)).needs == {"role R"} | needed
    assert UpdateAssumeRolePolicy(name="R", trust=trusting(principal)).needs == {"role R"}


def test_a_role_with_a_broken_trust_needs_nobody() -> None:
    """What is no policy document names nobody; that it is wrong is for others to say."""
    assert CreateRole(name="R", trust=Document.parse("no JSON")).needs == {"role R"}


def test_who_is_trusted_is_made_first() -> None:
    """Also where that is a user, or in a chain; and then not in the same wave."""
    user = CreateUser(name="U")
    middle = CreateRole(name="M", trust=trusting("iam::123456789012:user/U"))
    first = CreateRole(
        name="A", trust=trusting("iam::123456789012:role/M", "iam::123456789012:role/A")
    )
    ordered = ChangeSet.ordered([first, ATTACH, middle, CREATE, user], State())
    assert ordered.changes == (user, middle, first, CREATE, ATTACH)
    assert ordered.waves == ((user,), (middle,), (first, CREATE), (ATTACH,))


def test_two_roles_that_trust_each_other_keep_some_order() -> None:
    """Nothing could be first: IAM refuses whichever it is, and tells why."""
    one = CreateRole(name="A", trust=trusting("iam::123456789012:role/B"))
    other = CreateRole(name="B", trust=trusting("iam::123456789012:role/A"))
    assert set(ChangeSet.ordered([one, other], State())) == {one, other}
    assert ChangeSet().waves == ()
