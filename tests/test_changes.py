"""Changes, sets of them, and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import attrs
import pytest

from cwagent_iam import SERVER_POLICY, ChangeSet, Result
from cwagent_iam.changes import (
    AddRoleToInstanceProfile,
    AgentRole,
    AttachRolePolicy,
    Change,
    CreateInstanceProfile,
    CreateRole,
    DeleteRole,
    DetachRolePolicy,
    RemoveRoleFromInstanceProfile,
    TagRole,
)
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, State
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from cwagent_iam.changes.base import BaseChange

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
    verbs = ("Delete", "Detach", "Remove")
    assert removing == {each.__name__ for each in CHANGES if each.__name__.startswith(verbs)}


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


@pytest.mark.parametrize(
    "change",
    [
        ATTACH,
        DetachRolePolicy(name="R", policy=SERVER_POLICY),
        TagRole(name="R", tags=(("a", "b"),)),
        DeleteRole(name="R"),
        AddRoleToInstanceProfile(name="R", role_name="R"),
    ],
    ids=lambda change: change.operation,
)
def test_folding_over_a_state_that_lacks_the_thing_changes_nothing(change: Change) -> None:
    """A change of something absent leaves the state as it is."""
    assert change.after(State()) == State()


def test_tagging_replaces_a_key_in_any_letter_case() -> None:
    """One key, whatever its case, has one value afterwards."""
    role = attrs.evolve(ROLE, tags=(MANAGED_TAG, ("TEAM", "old")))
    after = TagRole(name="R", tags=(("Team", "new"),)).after(State.of([role]))
    assert after.find(Role, "R") == attrs.evolve(ROLE, tags=(MANAGED_TAG, ("Team", "new")))


def test_taking_the_role_out_empties_the_profile() -> None:
    """The profile itself stays."""
    state = State.of([InstanceProfile(name="P", role_name="R")])
    after = RemoveRoleFromInstanceProfile(name="P", role_name="R").after(state)
    assert after == State.of([InstanceProfile(name="P")])


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
