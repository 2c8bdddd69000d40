"""The ownership table, cell by cell: what was found, what was chosen, and what is done.

`TABLE` says for whose a thing is, and for how far it is from what is desired, what is done under
``refuse``, ``adopt``, ``attach`` and ``verify``. `DEVIATIONS` has for each kind every way in which
it can be other than desired, and what mends it. Each way is tried for each owner and each choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import attrs
import pytest

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, ConflictError, InlinePolicy, diff
from cwagent_iam.differ import Attachments, Existing
from cwagent_iam.documents import Document
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Kind, Role, State, User
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.state import Entity

Cells: TypeAlias = tuple[str, str, str, str]
Owner: TypeAlias = Literal[
    "managed", "foreign", "stack", "stack with our tag", "template", "service-linked"
]
Distance: TypeAlias = Literal[
    "same", "more", "other tags", "wider trust", "missing", "other", "swap", "immutable"
]

NOTHING: Cells = ("", "", "", "")
MEND: Cells = ("mend", "mend", "mend", "mend")
NEVER: Cells = ("conflict", "conflict", "conflict", "conflict")
SWAPS: Cells = ("conflict", "mend", "conflict", "conflict")
USED: Cells = ("", "tag", "", "")
TAKEN: Cells = ("", "mend and tag", "", "")
COMPLETED: Cells = ("conflict", "mend and tag", "mend", "conflict")
TAKEN_OVER: Cells = ("conflict", "mend and tag", "conflict", "conflict")
NOT_ADOPTED: Cells = ("", "conflict", "", "")
ADDED_TO: Cells = ("conflict", "conflict", "mend", "conflict")
_OWNED: dict[Distance, Cells] = {
    "same": NOT_ADOPTED,
    "more": NOT_ADOPTED,
    "other tags": NOT_ADOPTED,
    "wider trust": NOT_ADOPTED,
    "missing": ADDED_TO,
    "other": NEVER,
    "swap": NEVER,
    "immutable": NEVER,
}
TABLE: dict[Owner, dict[Distance, Cells]] = {
    "managed": {
        "same": NOTHING,
        "more": NOTHING,
        "other tags": MEND,
        "wider trust": MEND,
        "missing": MEND,
        "other": MEND,
        "swap": SWAPS,
        "immutable": NEVER,
    },
    "foreign": {
        "same": USED,
        "more": USED,
        "other tags": USED,
        "wider trust": TAKEN,
        "missing": COMPLETED,
        "other": TAKEN_OVER,
        "swap": TAKEN_OVER,
        "immutable": NEVER,
    },
    "stack": _OWNED,
    "stack with our tag": _OWNED,
    "template": _OWNED,
    "service-linked": _OWNED | {"missing": NEVER},
}
EXCLUSIVELY: dict[Owner, Cells] = {
    "managed": MEND,
    "foreign": TAKEN_OVER,
    "stack": NEVER,
    "stack with our tag": NEVER,
    "template": NEVER,
    "service-linked": NEVER,
}
"""Where more is attached than desired, and only the desired policies may be."""

OURS = (MANAGED_TAG,)
TEAM = ("Team", "o")
STACK = ("aws:cloudformation:stack-name", "agents")
LINKED_PATH = "/aws-service-role/ec2.amazonaws.com/"
SERVER = frozenset({SERVER_POLICY})
READ_ONLY = ManagedPolicy("ReadOnlyAccess")
OWN = ManagedPolicy("own", "/", "123456789012", "aws")
NO_TRUST = Document.parse({"Version": "2012-10-17", "Statement": []})
MORE_TRUST = Document.parse(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": ["ec2", "ssm"]},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        },
    }
)


def reading(name: str) -> InlinePolicy:
    """Return the policy ``Read``, which allows to read one parameter."""
    read = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:*:*:{name}"}
    return InlinePolicy("Read", {"Version": "2012-10-17", "Statement": read})


INLINE = frozenset({reading("parameter/agent")})
OTHER_INLINE = frozenset({reading("parameter/*")})
FOREIGN_INLINE = InlinePolicy("Foreign", NO_TRUST)
ROLE = Role(
    name="R",
    path="/agents/",
    trust=EC2_TRUST,
    description="agent",
    max_session_duration=7200,
    permissions_boundary=READ_ONLY,
    policies=SERVER,
    inline_policies=INLINE,
    tags=(*OURS, TEAM),
)
USER = User(
    name="U",
    path="/agents/",
    permissions_boundary=READ_ONLY,
    policies=SERVER,
    inline_policies=INLINE,
    tags=(*OURS, TEAM),
)
PROFILE = InstanceProfile(name="P", path="/agents/", role_name="R", tags=(*OURS, TEAM))
DESIRED: dict[Kind, Entity] = {"role": ROLE, "user": USER, "instance-profile": PROFILE}
TAGGING: dict[Kind, str] = {
    "role": "TagRole",
    "user": "TagUser",
    "instance-profile": "TagInstanceProfile",
}


@attrs.frozen
class Deviation:
    """One way to be other than desired.

    Attributes:
        distance: How far that is.
        seen: The fields that are other.
        mended: The operations that mend it, in their order.
        last: How many of them come after the tagging, where it is adopted.
        desired: The fields of the desired state that are other than in the rest of this table.
    """

    distance: Distance
    seen: dict[str, object]
    mended: str = ""
    last: int = 0
    desired: dict[str, object] = attrs.field(factory=dict)

    def operations(self, cell: str, kind: Kind) -> list[str]:
        """Return the operations of a cell."""
        mended = self.mended.split() if "mend" in cell else []
        before = len(mended) - self.last
        tagged = [TAGGING[kind]] if "tag" in cell else []
        return [*mended[:before], *tagged, *mended[before:]]


def of_principal(word: Literal["Role", "User"]) -> dict[str, Deviation]:
    """Return the ways in which roles and users alike can be other than desired."""
    attach, put = f"Attach{word}Policy", f"Put{word}Policy"
    bound, clear = f"Put{word}PermissionsBoundary", f"Delete{word}PermissionsBoundary"
    return {
        "as desired": Deviation("same", {}),
        "more policies": Deviation("more", {"policies": SERVER | {ADMIN_POLICY}}),
        "no policy": Deviation("missing", {"policies": frozenset()}, attach),
        "no policy of the account": Deviation(
            "missing",
            {"policies": SERVER},
            attach,
            desired={"policies": SERVER | {attrs.evolve(OWN, account="", partition="")}},
        ),
        "the account's policy, left open": Deviation(
            "same",
            {"policies": SERVER | {OWN}},
            desired={"policies": SERVER | {attrs.evolve(OWN, account="", partition="")}},
        ),
        "more inline policies": Deviation("more", {"inline_policies": INLINE | {FOREIGN_INLINE}}),
        "no inline policy": Deviation("missing", {"inline_policies": frozenset()}, put),
        "no policy at all": Deviation(
            "missing",
            {"policies": frozenset(), "inline_policies": frozenset()},
            f"{attach} {put}",
        ),
        "other inline policy": Deviation("other", {"inline_policies": OTHER_INLINE}, put),
        "no boundary": Deviation("other", {"permissions_boundary": None}, bound),
        "other boundary": Deviation("other", {"permissions_boundary": ADMIN_POLICY}, bound),
        "a boundary that is not named": Deviation(
            "same", {"permissions_boundary": OWN}, desired={"permissions_boundary": None}
        ),
        "a boundary where none is desired": Deviation(
            "other", {}, clear, last=1, desired={"permissions_boundary": ""}
        ),
        "no boundary as desired": Deviation(
            "same", {"permissions_boundary": None}, desired={"permissions_boundary": ""}
        ),
        "other tags": Deviation("other tags", {"tags": OURS}, f"Tag{word}"),
        "other path": Deviation("immutable", {"path": "/"}, desired={"path": "/agents/"}),
    }


ADD = "AddRoleToInstanceProfile"
DEVIATIONS: dict[Kind, dict[str, Deviation]] = {
    "role": of_principal("Role")
    | {
        "other trust": Deviation("other", {"trust": NO_TRUST}, "UpdateAssumeRolePolicy"),
        "more trust": Deviation("wider trust", {"trust": MORE_TRUST}, "UpdateAssumeRolePolicy"),
        "other description": Deviation("other", {"description": "x"}, "UpdateRole"),
        "other duration": Deviation("other", {"max_session_duration": 3600}, "UpdateRole"),
        "other case": Deviation("immutable", {"name": "r"}),
    },
    "user": of_principal("User") | {"other case": Deviation("immutable", {"name": "u"})},
    "instance-profile": {
        "as desired": Deviation("same", {}),
        "empty": Deviation("missing", {"role_name": None}, ADD, last=1),
        "other role": Deviation(
            "swap", {"role_name": "other"}, f"RemoveRoleFromInstanceProfile {ADD}", last=2
        ),
        "other tags": Deviation("other tags", {"tags": OURS}, "TagInstanceProfile"),
        "other path": Deviation("immutable", {"path": "/"}),
        "other case": Deviation("immutable", {"name": "p"}),
    },
}
CREATED: dict[Kind, str] = {
    "role": "CreateRole AttachRolePolicy PutRolePolicy",
    "user": "CreateUser AttachUserPolicy PutUserPolicy",
    "instance-profile": f"CreateInstanceProfile {ADD}",
}
MADE: dict[Owner, dict[str, object]] = {
    "managed": {},
    "foreign": {"tags": (("Team", "x"),)},
    "stack": {"tags": (STACK,)},
    "stack with our tag": {"tags": (*OURS, TEAM, STACK)},
    "template": {"source_role_template": "arn:aws:iam::aws:role-template/T"},
    "service-linked": {"path": LINKED_PATH, "tags": ()},
}
"""What tells whose a thing is."""

ONLY_ROLES: set[Owner] = {"template", "service-linked"}


def owners(kind: Kind) -> Iterator[Owner]:
    """Whose a thing of a *kind* can be."""
    for owner in TABLE:
        if kind == "role" or owner not in ONLY_ROLES:
            yield owner


def found(kind: Kind, owner: Owner, deviation: Deviation) -> tuple[Entity, Entity]:
    """Return what is desired, and what was seen.

    No path of a service-linked role can be desired: intent names one only to show that it differs.
    """
    unnamed = {"path": None} if owner == "service-linked" else {}
    wanted = attrs.evolve(DESIRED[kind], **unnamed | deviation.desired)  # type: ignore[arg-type]
    seen = attrs.evolve(DESIRED[kind], **deviation.seen | MADE[owner])  # type: ignore[arg-type]
    return wanted, seen


CELLS = [
    pytest.param(kind, owner, deviation, choice, cell, id=f"{kind}, {owner}, {name}, {choice}")
    for kind, deviations in DEVIATIONS.items()
    for owner in owners(kind)
    for name, deviation in deviations.items()
    for choice, cell in zip(get_args(Existing), TABLE[owner][deviation.distance], strict=True)
]


def check_cell(
    desired: Entity,
    seen: Entity,
    choices: tuple[Existing, Attachments],
    operations: list[str] | None,
) -> str:
    """See that exactly these operations are planned, or nothing at all; return what was said."""
    wanted, observed = State.of([desired]), State.of([seen])
    existing, attachments = choices
    if operations is not None:
        changes = diff(wanted, observed, existing=existing, attachments=attachments)
        assert [change.operation for change in changes] == operations
        return str(changes)
    with pytest.raises(ConflictError) as caught:
        diff(wanted, observed, existing=existing, attachments=attachments)
    (conflict,) = caught.value.conflicts
    assert conflict.target == seen.target
    assert conflict.differences or "is never adopted" in conflict.reason
    assert not seen.owner or f"belongs to {seen.owner}" in conflict.reason
    return conflict.advice


@pytest.mark.parametrize(("kind", "owner", "deviation", "existing", "cell"), CELLS)
def test_each_cell_of_the_table(
    kind: Kind, owner: Owner, deviation: Deviation, existing: Existing, cell: str
) -> None:
    """The operations are exactly those of the cell, or nothing is done and the error says why."""
    operations = None if cell == "conflict" else deviation.operations(cell, kind)
    said = check_cell(*found(kind, owner, deviation), (existing, "additive"), operations)
    usable = TABLE[owner][deviation.distance] == NOT_ADOPTED
    no_choice = operations is None and owner == "service-linked" and not usable
    assert said.startswith("No choice would do") == no_choice


@pytest.mark.parametrize("existing", get_args(Existing))
@pytest.mark.parametrize("kind", DESIRED)
def test_what_is_absent_is_made_whatever_was_chosen(kind: Kind, existing: Existing) -> None:
    """There is nobody to ask, and what is made is complete and ours."""
    desired = State.of([DESIRED[kind]])
    changes = diff(desired, State(), existing=existing)
    assert [change.operation for change in changes] == CREATED[kind].split()
    assert changes.after() == desired
    assert all(entity.managed for entity in changes.after().entities)


PRINCIPALS: tuple[Kind, ...] = ("role", "user")


@pytest.mark.parametrize("existing", get_args(Existing))
@pytest.mark.parametrize(
    ("kind", "owner"), [(kind, owner) for kind in PRINCIPALS for owner in owners(kind)]
)
def test_each_cell_where_only_the_desired_policies_may_be_attached(
    kind: Kind, owner: Owner, existing: Existing
) -> None:
    """What is too much is detached as other things are mended, after the tagging."""
    word = "Role" if kind == "role" else "User"
    deviation = Deviation("more", {"policies": SERVER | {ADMIN_POLICY}}, f"Detach{word}Policy", 1)
    cell = EXCLUSIVELY[owner][get_args(Existing).index(existing)]
    operations = None if cell == "conflict" else deviation.operations(cell, kind)
    said = check_cell(*found(kind, owner, deviation), (existing, "exclusive"), operations)
    enough = existing != "adopt"
    assert (
        operations is not None
        or ('attachments="additive" (leaves the others attached)' in said) == enough
    )


@pytest.mark.parametrize("kind", DESIRED)
def test_the_table_has_every_field_at_every_distance(kind: Kind) -> None:
    """No field is left out that is compared, nor any owner, distance or choice."""
    compared = {field.name for field in attrs.fields(type(DESIRED[kind])) if field.eq}
    assert {field for each in DEVIATIONS[kind].values() for field in each.seen} == compared
    distances = {each.distance for each in DEVIATIONS[kind].values()}
    assert distances >= {"same", "other tags", "missing", "immutable"}
    assert set(TABLE) == set(EXCLUSIVELY) == set(MADE) == set(get_args(Owner))
    assert all(set(row) == set(get_args(Distance)) for row in TABLE.values())
    assert get_args(Existing) == ("refuse", "adopt", "attach", "verify")
    assert get_args(Kind) == tuple(DESIRED) == tuple(DEVIATIONS)


@pytest.mark.parametrize("kind", DESIRED)
def test_the_default_is_to_refuse(kind: Kind) -> None:
    """Without a choice, what is not ours and not as desired is a conflict with three ways out."""
    seen = attrs.evolve(DESIRED[kind], tags=())
    bare = (
        attrs.evolve(seen, role_name=None)
        if isinstance(seen, InstanceProfile)
        else attrs.evolve(seen, policies=frozenset())
    )
    with pytest.raises(ConflictError) as caught:
        diff(State.of([DESIRED[kind]]), State.of([bare]))
    text = str(caught.value)
    assert all(f'existing="{choice}"' in text for choice in ("adopt", "attach", "verify"))


def test_each_thing_is_judged_by_itself() -> None:
    """A role of somebody else, a profile of ours and a user that is absent go together."""
    desired = State.of([ROLE, PROFILE, USER])
    role = attrs.evolve(ROLE, tags=(), policies=frozenset())
    observed = State.of([role, attrs.evolve(PROFILE, role_name=None)])
    changes = diff(desired, observed, existing="attach")
    assert [f"{change.operation} {change.name}" for change in changes] == [
        "CreateUser U",
        "AttachRolePolicy R",
        "AttachUserPolicy U",
        "PutUserPolicy U",
        "AddRoleToInstanceProfile P",
    ]
    with pytest.raises(ConflictError) as caught:
        diff(desired, observed)
    assert [conflict.target for conflict in caught.value.conflicts] == ["role R"]


LINKED = attrs.evolve(ROLE, path=LINKED_PATH, tags=())
UNUSABLE: dict[str, InstanceProfile | None] = {
    "absent": None,
    "ours, empty": attrs.evolve(PROFILE, role_name=None),
    "ours, with another role": attrs.evolve(PROFILE, role_name="other"),
    "of somebody else, empty": attrs.evolve(PROFILE, role_name=None, tags=()),
    "of a stack, empty": attrs.evolve(PROFILE, role_name=None, tags=(STACK,)),
}


@pytest.mark.parametrize("existing", get_args(Existing))
@pytest.mark.parametrize("profile", UNUSABLE.values(), ids=UNUSABLE)
def test_no_service_linked_role_is_put_into_a_profile(
    profile: InstanceProfile | None, existing: Existing
) -> None:
    """IAM refuses AddRoleToInstanceProfile for it; one that holds it already is used as it is."""
    desired = State.of([attrs.evolve(ROLE, path=None), PROFILE])
    with pytest.raises(ConflictError) as caught:
        diff(desired, State.of([LINKED, profile] if profile else [LINKED]), existing=existing)
    conflict = caught.value.conflicts[-1]
    assert conflict.target == "instance-profile P"
    assert conflict.reason == (
        "cannot be as desired; IAM lets nobody put a service-linked role into it"
    )
    assert conflict.advice == "No choice would do: choose another name."
    assert existing == "adopt" or not diff(desired, State.of([LINKED, PROFILE]), existing=existing)
