"""Premises: a ChangeSet is applied only to the state that it was computed for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from cwagent_iam import (
    SERVER_POLICY,
    ChangeSet,
    InlinePolicy,
    apply,
    changes as the,
    ensure,
    observe,
    preview,
)
from cwagent_iam.differ import diff
from cwagent_iam.errors import ConflictError, IntentError
from cwagent_iam.events import Applied
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.reconcile.loop import Goal, reconcile
from cwagent_iam.reconcile.premises import entities_to_read, remaining_changes
from cwagent_iam.remover import removal
from cwagent_iam.state import InstanceProfile, Role, State
from cwagent_iam.trust import EC2_TRUST, CrossAccount
from tests.core import ACCOUNT, ROLE, ROLE_PLAN, USER, USER_PLAN, World, made, operations

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from cwagent_iam.changes import Result

KEY, PROFILE, PERSON = (
    each.lower() for each in (f"role {ROLE}", f"instance-profile {ROLE}", f"user {USER}")
)
ALLOW = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "ec2:DescribeTags", "Resource": "*"},
}
DENY = json.dumps(ALLOW).replace("Allow", "Deny")
INLINE = InlinePolicy("Tags", ALLOW)
FULL = plan_agent_role(
    inline_policies=[INLINE], tags={"Team": "one"}, description="new", max_session_duration=7200
)
EVERYONE = json.dumps(
    {"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}}
)


def to_apply(changes: ChangeSet) -> Goal:
    """Return the goal of `cwagent_iam.apply`."""
    return Goal(
        targets=entities_to_read(changes),
        decide=lambda now: remaining_changes(changes, now),
        partition="aws",
        timeout=60.0,
        removes=any(change.deletes for change in changes),
    )


def applied(world: World, changes: ChangeSet) -> Result:
    """Apply *changes*."""
    return world.run(reconcile(to_apply(changes)))


def drifted() -> World:
    """Return a world with a role that lacks most fields of `FULL`."""
    world = made()
    world.things[KEY]["attached"] = {}
    world.things[PROFILE]["seen"]["Roles"] = []
    world.things[KEY]["inline"]["Tags"] = DENY
    return world


def find(target: str, error: ConflictError) -> dict[str, tuple[str, str]]:
    """Return the differences of one conflict: what was expected, and what was found."""
    (conflict,) = [each for each in error.conflicts if each.target.lower() == target]
    assert conflict.advice == "Preview again, and apply what that returns."
    return {each.field: (each.desired, each.observed) for each in conflict.differences}


class TestApplied:
    """ChangeSets that fit."""

    @pytest.mark.parametrize("world", [World(), drifted()], ids=["create", "repair"])
    def test_applied(self, world: World) -> None:
        """A ChangeSet is applied as ensure would, in as many round trips."""
        changes = diff(FULL, world.seen(FULL))
        result = applied(world, changes)
        assert set(result.changes) == set(changes)
        assert (world.is_as_desired(FULL), len(world.sends)) == (
            True,
            3 + (not changes.observed.entities),
        )

    @pytest.mark.parametrize("world", [World, drifted], ids=["create", "repair"])
    def test_half_applied(self, world: Callable[[], World]) -> None:
        """Changes that are there already count as done, after any number of changes."""
        changes = diff(FULL, world().seen(FULL))
        for count in range(len(changes) + 1):
            here = world()
            applied(here, ChangeSet(changes.changes[:count], changes.observed))
            later = here.later()
            assert applied(later, changes).changes == changes.changes[count:]
            assert later.is_as_desired(FULL)

    @pytest.mark.parametrize("desired", [ROLE_PLAN, USER_PLAN], ids=["role", "user"])
    def test_removal(self, desired: State) -> None:
        """The ChangeSet of a removal is applied likewise, after any number of changes."""
        changes = removal(desired, made(desired).seen(desired))
        for count in range(len(changes) + 1):
            world = made(desired)
            applied(world, ChangeSet(changes.changes[:count], changes.observed))
            later = world.later()
            assert applied(later, changes).changes == changes.changes[count:]
            assert later.things == {}

    def test_nothing(self) -> None:
        """An empty ChangeSet reads and writes nothing."""
        world = made()
        assert not applied(world, ChangeSet()).changed
        assert world.sends == []

    @pytest.mark.parametrize("missing", [(), (PROFILE,)], ids=["role", "profile"])
    def test_reads(self, missing: tuple[str, ...]) -> None:
        """All entities that the changes were computed from are read, in one round trip."""
        world = made()
        world.things[PROFILE]["seen"]["Roles"] = []
        for each in missing:
            del world.things[each]
        changes = diff(ROLE_PLAN, world.seen())
        assert {each.target for each in changes} == {f"instance-profile {ROLE}"}
        assert len(entities_to_read(changes)) == 2
        result = applied(world, changes)
        reads = {request.operation for request in world.sends[0]}
        assert reads == {"GetRole", "ListAttachedRolePolicies", "GetInstanceProfile"}
        assert len(world.sends) == 1 + len(changes) + 1
        assert set(result.arns) == {("role", ROLE), ("instance-profile", ROLE)}

    def test_state(self, session: boto3.Session) -> None:
        """The state of the result is what IAM shows, also for entities without changes."""
        iam = session.client("iam")
        ensure(ROLE_PLAN, session=session)
        iam.detach_role_policy(RoleName=ROLE, PolicyArn=SERVER_POLICY.arn("aws"))
        changes = preview(ROLE_PLAN, session=session)
        iam.tag_instance_profile(InstanceProfileName=ROLE, Tags=[{"Key": "Cost", "Value": "9"}])
        assert apply(changes, session=session).state == observe(ROLE_PLAN, session=session)

    def test_created_as_iam_stores_it(self, session: boto3.Session) -> None:
        """A creation counts as done with more tags, and with line ends as in IAM's replies."""

        def tag(event: object) -> None:
            if isinstance(event, Applied) and event.change.creates:
                iam.tag_role(RoleName=ROLE, Tags=[{"Key": "CreatedBy", "Value": "bot"}])

        iam = session.client("iam")
        desired = plan_agent_role(description="a\r\nb", instance_profile=False)
        changes = preview(desired, session=session)
        result = apply(changes, session=session, on_event=tag)
        assert result.changes == changes.changes
        assert not apply(changes, session=session).changed

    def test_by_hand(self) -> None:
        """A ChangeSet that was built by hand determines the reads, for each kind."""
        changes = ChangeSet(
            (
                the.AttachRolePolicy(name="R", policy=SERVER_POLICY),
                the.DeleteRole(name="R"),
                the.DeleteUser(name="U"),
            )
        )
        assert [each.target for each in entities_to_read(changes)] == ["role R", "user U"]

    def test_inline_policies_are_read(self) -> None:
        """Inline policies of the states before and after are read."""
        before = State.of([Role(name="R", trust=EC2_TRUST, inline_policies=frozenset({INLINE}))])
        other = InlinePolicy("Other", ALLOW)
        gone = the.DeleteRolePolicy(name="R", policy=INLINE)
        (role,) = entities_to_read(
            ChangeSet((gone, the.PutRolePolicy(name="R", policy=other)), before)
        )
        assert isinstance(role, Role)
        assert role.inline_policies == {INLINE, other}

    def test_extras_and_findings_stay(self) -> None:
        """The remaining ChangeSet keeps extras and findings."""
        changes = diff(FULL, State())
        left = remaining_changes(changes, State())
        assert (left, left.findings) == (changes, changes.findings)


def change(thing: dict[str, Any], **seen: Any) -> None:
    """Change what IAM holds of a thing."""
    thing["seen"] |= seen


OTHER = {"PermissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/limit"}
# What another process changes meanwhile, and the fields in which that shows.
MEANWHILE: dict[str, tuple[Callable[[World], object], str, set[str]]] = {
    "not managed": (lambda world: change(world.things[KEY], Tags=[]), KEY, {"ownership"}),
    "managed by another": (
        lambda world: change(world.things[KEY], Tags=[{"Key": "ManagedBy", "Value": "other"}]),
        KEY,
        {"ownership"},
    ),
    "of a stack": (
        lambda world: world.do(
            "TagRole",
            RoleName=ROLE,
            Tags=[{"Key": "aws:cloudformation:stack-name", "Value": "S"}],
        ),
        KEY,
        {"ownership"},
    ),
    "gone": (lambda world: world.things.pop(KEY), KEY, {"existence"}),
    "trust": (
        lambda world: change(world.things[KEY], AssumeRolePolicyDocument=EVERYONE),
        KEY,
        {"trust"},
    ),
    "path": (lambda world: change(world.things[KEY], Path="/other/"), KEY, {"path"}),
    "boundary": (
        lambda world: change(world.things[KEY], PermissionsBoundary=OTHER),
        KEY,
        {"permissions boundary"},
    ),
    "description": (lambda world: change(world.things[KEY], Description="x"), KEY, {"description"}),
    "session": (
        lambda world: change(world.things[KEY], MaxSessionDuration=4000),
        KEY,
        {"max session duration"},
    ),
    "inline policy": (
        lambda world: world.things[KEY]["inline"].update(Tags=DENY.replace("Tags", "Images")),
        KEY,
        {"inline policies"},
    ),
    "no inline policy": (
        lambda world: world.things[KEY]["inline"].clear(),
        KEY,
        {"inline policies"},
    ),
    "tag": (
        lambda world: world.do("TagRole", RoleName=ROLE, Tags=[{"Key": "Team", "Value": "two"}]),
        KEY,
        {"tag Team"},
    ),
    "membership": (
        lambda world: change(world.things[PROFILE], Roles=[{"RoleName": "other"}]),
        PROFILE,
        {"role name"},
    ),
}


class TestRefused:
    """ChangeSets that are stale."""

    @pytest.mark.parametrize(("meanwhile", "target", "fields"), MEANWHILE.values(), ids=MEANWHILE)
    def test_changed(
        self, meanwhile: Callable[[World], object], target: str, fields: set[str]
    ) -> None:
        """The premises and the replaced fields must be unchanged, or nothing is written."""
        world = drifted()
        changes = diff(FULL, world.seen(FULL))
        meanwhile(world)
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert set(find(target, caught.value)) == fields
        assert world.writes == []

    @pytest.mark.parametrize(
        "meanwhile",
        ["not managed", "managed by another", "of a stack", "gone", "trust", "boundary"],
    )
    @pytest.mark.parametrize("change_of_profile", ["add", "create and add"])
    def test_changed_without_changes(self, meanwhile: str, change_of_profile: str) -> None:
        """An entity that the changes depend on must be unchanged too, or nothing is written."""
        world = made()
        world.things[PROFILE]["seen"]["Roles"] = []
        if change_of_profile == "create and add":
            del world.things[PROFILE]
        changes = diff(ROLE_PLAN, world.seen())
        assert {each.target for each in changes} == {f"instance-profile {ROLE}"}
        happens, target, fields = MEANWHILE[meanwhile]
        happens(world)
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert set(find(target, caught.value)) == fields
        assert world.writes == []

    def test_other_account_without_the_target(self) -> None:
        """Accounts are compared also where the entity to create does not exist."""
        world, elsewhere = made(), made()
        for each in (world, elsewhere):
            del each.things[PROFILE]
        changes = diff(ROLE_PLAN, world.seen())
        role = elsewhere.things[KEY]["seen"]
        role["Arn"] = role["Arn"].replace(ACCOUNT, "9" * 12)
        with pytest.raises(ConflictError, match="account 999999999999 is not the account"):
            applied(elsewhere, changes)
        assert (len(elsewhere.sends), elsewhere.writes) == (1, [])

    @pytest.mark.parametrize("given", [None, 5, iter(())])
    def test_no_changes_in_it(self, given: Any) -> None:
        """A ChangeSet of anything but a collection is an `IntentError`."""
        with pytest.raises(IntentError, match="must be a ChangeSet, as preview and diff return"):
            apply(ChangeSet(given))

    def test_late(self) -> None:
        """A mismatch is confirmed like a conflict, so that one stale read is not an error."""
        world = drifted()
        changes = diff(FULL, world.seen(FULL))
        late = world.copy()
        change(late[KEY], Tags=[])
        world.script["GetRole"] = [late]
        assert len(applied(world, changes).changes) == len(changes)

    def test_words(self) -> None:
        """A difference says what was expected and what was found."""
        world = drifted()
        changes = diff(FULL, world.seen(FULL))
        change(world.things[KEY], Tags=[], PermissionsBoundary=OTHER)
        change(world.things[PROFILE], Roles=[{"RoleName": "other"}])
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert find(KEY, caught.value) == {
            "ownership": ("managed", "not managed"),
            "permissions boundary": ("none", f"arn:aws:iam::{ACCOUNT}:policy/limit"),
        }
        assert find(PROFILE, caught.value) == {"role name": ("none", "other")}

    def test_exists(self) -> None:
        """An entity to be created must not exist with other fields."""
        world = made()
        changes = diff(FULL, State())
        change(world.things[KEY], AssumeRolePolicyDocument=EVERYONE)
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert find(KEY, caught.value)["existence"] == ("does not exist", "exists")

    def test_what_is_not_rested_on(self) -> None:
        """Attachments and other tags of another process do not matter."""
        world = drifted()
        changes = diff(FULL, world.seen(FULL))
        world.do("TagRole", RoleName=ROLE, Tags=[{"Key": "Cost", "Value": "9"}])
        world.do(
            "AttachRolePolicy", RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"
        )
        assert len(applied(world, changes).changes) == len(changes)

    def test_user(self) -> None:
        """A user is compared likewise."""
        desired = plan_agent_user(inline_policies=[INLINE], tags={"Team": "one"})
        world = made(USER_PLAN)
        changes = diff(desired, world.seen(desired))
        world.things[PERSON]["inline"]["Tags"] = DENY
        world.do("TagUser", UserName=USER, Tags=[{"Key": "Team", "Value": "two"}])
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert set(find(PERSON, caught.value)) == {"inline policies", "tag Team"}

    def test_profile_tags(self) -> None:
        """Tags of a profile are compared likewise."""
        desired = plan_agent_role(tags={"Team": "one"})
        world = made()
        changes = diff(desired, world.seen(desired))
        world.do(
            "TagInstanceProfile", InstanceProfileName=ROLE, Tags=[{"Key": "Team", "Value": "2"}]
        )
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert find(PROFILE, caught.value) == {"tag Team": ("None", "2")}

    def test_trust_that_is_set(self) -> None:
        """A trust policy that the changes replace must be the one that they were computed for."""
        desired = plan_agent_role(trust=CrossAccount([f"arn:aws:iam::{ACCOUNT}:user/u"]))
        world = made()
        changes = diff(desired, world.seen(desired))
        change(world.things[KEY], AssumeRolePolicyDocument=EVERYONE)
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert set(find(KEY, caught.value)) == {"trust"}

    def test_account(self) -> None:
        """Changes that were computed for one account are not applied to another."""
        world, elsewhere = drifted(), drifted()
        changes = diff(FULL, world.seen(FULL))
        for thing in elsewhere.things.values():
            thing["seen"]["Arn"] = thing["seen"]["Arn"].replace(ACCOUNT, "9" * 12)
        with pytest.raises(ConflictError, match="account 999999999999 is not the account"):
            applied(elsewhere, changes)
        assert (len(elsewhere.sends), elsewhere.waits) == (1, [])
        assert len(
            remaining_changes(changes, State.of(attrs_without_arn(world.seen(FULL))))
        ) == len(changes)

    def test_swap(self) -> None:
        """A swap is refused where the profile holds a third role."""
        world = made(
            plan_agent_role("old", instance_profile=ROLE), plan_agent_role(instance_profile=False)
        )
        desired = ROLE_PLAN
        changes = diff(desired, world.seen(desired), existing="adopt")
        assert operations(changes) == ["RemoveRoleFromInstanceProfile", "AddRoleToInstanceProfile"]
        change(world.things[PROFILE], Roles=[{"RoleName": "third"}])
        with pytest.raises(ConflictError) as caught:
            applied(world, changes)
        assert set(find(PROFILE, caught.value)) == {"role name"}


def attrs_without_arn(state: State) -> list[Any]:
    """Return the entities of *state* as they are before they have an ARN."""
    assert state.find(InstanceProfile, ROLE)
    return [attrs.evolve(each, arn=None) for each in state.entities]
