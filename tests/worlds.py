"""Any intent, and whatever may be found of it: the space in which the laws hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
from hypothesis import strategies as st

from cwagent_iam import ADMIN_POLICY, SERVER_POLICY, CustomerManagedPolicy, InlinePolicy
from cwagent_iam.documents import Document
from cwagent_iam.planners import plan_agent_role, plan_agent_user
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, InstanceProfile, Role, SeenKey, State, User
from cwagent_iam.trust import CrossAccount
from tests.trusts import trusts_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn, SearchStrategy

    from cwagent_iam.state import Entity, Principal, Tags
    from cwagent_iam.trust import Trust

World: TypeAlias = tuple[State, State]
"""A desired state, and what was observed."""

ACCOUNT, ELSEWHERE = "123456789012", "210987654321"
A_KEY = SeenKey(access_key_id="AKIA", active=True, created=0.0)
OWN = ManagedPolicy("own", "/team/", ACCOUNT, "aws")
OWN_ELSEWHERE = ManagedPolicy("own", "/team/", ELSEWHERE, "aws")
OWN_AT_THE_ROOT = ManagedPolicy("own", "/", ACCOUNT, "aws")
OWN_OF_AWS = ManagedPolicy("own", "/team/")
READ_ONLY = ManagedPolicy("ReadOnlyAccess")
DEAD_BOUNDARY = ManagedPolicy("ANPAABCDEFGHIJKLMNOPQ")
OPEN = (CustomerManagedPolicy("own", "/team/"), CustomerManagedPolicy("own"))
SEEN_POLICIES = (
    SERVER_POLICY,
    ADMIN_POLICY,
    READ_ONLY,
    OWN,
    OWN_ELSEWHERE,
    OWN_AT_THE_ROOT,
    OWN_OF_AWS,
)
PATHS = ("/", "/team/")
LINKED_PATH = "/aws-service-role/ec2.amazonaws.com/"
TEMPLATE = "arn:aws:iam::aws:role-template/Agent"
STACK = ("aws:cloudformation:stack-name", "agents")
FOREIGN_INLINE = "Foreign"
TRUSTS = tuple(trusts_in("aws").values())


def allowing(action: str) -> Document:
    """Return a policy that allows one action."""
    allowed = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return Document.parse({"Version": "2012-10-17", "Statement": [allowed]})


def trusting(*principals: str) -> dict[str, Any]:
    """Return a statement that lets roles and users of AWS in."""
    return {"Effect": "Allow", "Principal": {"AWS": [*principals]}, "Action": "sts:AssumeRole"}


DOCUMENTS = tuple(map(allowing, ("ec2:DescribeTags", "ssm:GetParameter", "logs:PutLogEvents")))
ODD_TRUSTS = (
    Document.parse({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:*"}}),
    Document.parse({"Statement": []}),
    Document.parse({"Statement": trusting("AROAABCDEFGHIJKLMNOPQ")}),
    Document.parse("no JSON"),
)

usually = st.sampled_from([True] * 4 + [False])
mostly = st.sampled_from([True] * 9 + [False])
seldom = mostly.map(lambda yes: not yes)
descriptions = st.sampled_from(["", "the agent's role", "other\r\nwords"])
durations = st.sampled_from([3600, 7200, 43_200])
tag_values = st.sampled_from(["", "one", "two"])
intended_tags = st.dictionaries(st.sampled_from(["Team", "Stage"]), tag_values)
documents = st.sampled_from(DOCUMENTS)


@attrs.frozen
class Intent:
    """A planner with its arguments."""

    planner: Callable[..., State]
    name: str
    arguments: dict[str, Any]

    def plan(self) -> State:
        """Plan it."""
        return self.planner(self.name, **self.arguments)

    def plan_backwards(self) -> State:
        """Plan it with every collection in the opposite order."""
        collections = {key: self.arguments[key] for key in ("policies", "inline_policies")}
        turned: dict[str, Any] = {key: [*reversed(value)] for key, value in collections.items()}
        tags = self.arguments["tags"]
        turned["tags"] = tags and dict(reversed(tags.items()))
        return self.planner(self.name, **self.arguments | turned)


@st.composite
def intents(draw: DrawFn, name: str = "Agent", trusted: tuple[str, ...] = ()) -> Intent:
    """Any intent for a role or for a user, with a trust in *trusted* ARNs among the others."""
    # The policies of customers are all of one account: IAM attaches no others.
    home = draw(st.sampled_from([OWN, OWN, OWN_ELSEWHERE]))
    of_aws = [SERVER_POLICY, ADMIN_POLICY, READ_ONLY, OWN_OF_AWS]
    pool = st.sampled_from([*of_aws, home, *OPEN])
    policies = draw(st.lists(pool, max_size=4, unique_by=_what_it_may_be))
    # So is the boundary, and of a name there is but one.
    held = [policy for policy in policies if policy.account != "aws"]
    limits = [each for each in [home, *OPEN] if all(map(each.may_be, held))]
    inline = st.dictionaries(st.sampled_from(["Read", "Tags"]), documents)
    arguments = {
        "policies": policies,
        "inline_policies": [InlinePolicy(*pair) for pair in draw(inline).items()],
        "parameters": draw(st.sampled_from([(), (), ("my-agent",)])),
        "path": draw(st.none() | st.sampled_from(PATHS)),
        "permissions_boundary": draw(st.sampled_from([None, None, "", *of_aws, *limits])),
        "tags": draw(st.none() | intended_tags),
    }
    if draw(st.sampled_from([True, False, False])):
        return Intent(plan_agent_user, name, arguments)
    among = CrossAccount(trusted) if trusted else TRUSTS[0]
    trust: Trust = draw(st.sampled_from([TRUSTS[0], among, among, *TRUSTS]))
    arguments |= {
        "trust": trust,
        "instance_profile": draw(
            st.sampled_from([True, False, f"{name}Profile"] if trust.for_ec2 else [None, False])
        ),
        "description": draw(st.none() | descriptions),
        "max_session_duration": draw(st.none() | durations),
    }
    return Intent(plan_agent_role, name, arguments)


def _what_it_may_be(policy: ManagedPolicy) -> tuple[str, str]:
    """An account has one policy of a name, whatever its path."""
    return policy.name, policy.path if policy.account == "aws" else ""


@st.composite
def found_tags(draw: DrawFn, wanted: Entity) -> Tags:
    """Tags as they may be found: ours or not, in any letter case, with foreign ones."""
    tags = dict(wanted.tags) if draw(usually) else {}
    keys = st.sampled_from(["Team", "team", "Stage", "foreign"])
    tags |= draw(st.dictionaries(keys, tag_values, max_size=2))
    if not isinstance(wanted, InstanceProfile) and "Team" in tags:
        tags.pop("team", None)  # IAM has one of them on roles and users
    tags.pop(MANAGED_TAG[0], None)
    ours = draw(st.sampled_from([MANAGED_TAG, MANAGED_TAG, MANAGED_TAG, ("managedby", "other")]))
    return tuple(sorted((tags | dict([ours]) | dict([STACK] if draw(seldom) else [])).items()))


@st.composite
def found_policies(draw: DrawFn, wanted: Principal) -> dict[str, Any]:
    """What may be found of what a role or user may do, mostly not far from what is desired."""
    boundary = _seen_as(wanted.permissions_boundary or None)
    # IAM attaches the policies of the role's own account only, and so those that are desired
    # without an account are never of another one.
    limits = [wanted.permissions_boundary] if wanted.permissions_boundary else []
    is_open = any(not each.account for each in (*wanted.policies, *limits))
    possible = [each for each in SEEN_POLICIES if not (is_open and each == OWN_ELSEWHERE)]
    others = st.sampled_from([None, *possible, DEAD_BOUNDARY])
    attached = frozenset(map(_seen_as, wanted.policies))
    inline = {policy.name: policy.document for policy in wanted.inline_policies}
    if not draw(usually):
        inline = {name: draw(documents) for name in inline if draw(st.booleans())}
    if draw(seldom):
        inline[FOREIGN_INLINE] = draw(documents)
    return {
        "policies": (attached if draw(usually) else frozenset())
        | draw(st.just(frozenset()) | st.frozensets(st.sampled_from(possible), max_size=4)),
        "permissions_boundary": boundary if draw(usually) else draw(others),
        "inline_policies": frozenset(InlinePolicy(*pair) for pair in inline.items()),
    }


def _seen_as(policy: Any) -> Any:
    """Return *policy* as IAM shows it: never open."""
    if policy is None or policy.account:
        return policy
    return attrs.evolve(policy, account=ACCOUNT, partition="aws")


@st.composite
def found_role(draw: DrawFn, wanted: Role, known: dict[str, Any]) -> Role:
    """Whatever may be found of a role."""
    content = json.loads(wanted.trust.text)
    more = Document.parse(content | {"Statement": [*content["Statement"], trusting(ELSEWHERE)]})
    trust = st.sampled_from([more, *ODD_TRUSTS, TRUSTS[0].document()])
    return Role(
        trust=wanted.trust if draw(usually) else draw(trust),
        description=(wanted.description if draw(usually) else draw(descriptions)) or "",
        max_session_duration=(wanted.max_session_duration if draw(usually) else None)
        or draw(durations),
        source_role_template=TEMPLATE if draw(seldom) else None,
        **draw(found_policies(wanted)),
        **known,
    )


@st.composite
def found(draw: DrawFn, desired: State) -> State:
    """Whatever may be found of the things that *desired* names, and strangers beside them."""
    entities = [each for each in _STRANGERS if draw(seldom)]
    for wanted in desired.entities:
        if not draw(usually):
            continue
        path = wanted.path or draw(st.sampled_from(PATHS))
        known: dict[str, Any] = {
            "name": wanted.name.swapcase() if draw(seldom) and draw(seldom) else wanted.name,
            "path": draw(st.sampled_from(["/else/", LINKED_PATH])) if draw(seldom) else path,
            "tags": draw(found_tags(wanted)),
            "arn": f"arn:aws:iam::{ACCOUNT}:{wanted.kind}/{wanted.name}",
        }
        match wanted:
            case Role():
                entities.append(draw(found_role(wanted, known)))
            case User():
                keys = draw(st.sampled_from([(), (A_KEY,)]))
                user = User(access_keys=keys, **draw(found_policies(wanted)), **known)
                entities.append(user)
            case InstanceProfile():
                own = wanted.role_name
                inside = draw(st.sampled_from([None, own, own, own, "Other", "Agent", "Acme"]))
                entities.append(InstanceProfile(role_name=inside, **known))
    return with_dependents(State.of(entities))


_STRANGERS: tuple[Entity, ...] = (
    Role(name="Stranger", trust=ODD_TRUSTS[0], tags=(MANAGED_TAG,)),
    User(name="Stranger", policies=frozenset({ADMIN_POLICY})),
    InstanceProfile(name="Lender", role_name="Agent"),
)


def with_dependents(state: State) -> State:
    """Return *state* with what hangs on its roles and users, as a look before a removal sees it."""
    for entity in state.entities:
        if isinstance(entity, InstanceProfile):
            continue
        inline = {f"inline policy {policy.name}" for policy in entity.inline_policies}
        profiles = {
            each.target
            for each in state.entities
            if isinstance(each, InstanceProfile)
            and isinstance(entity, Role)
            and each.role_name == entity.name
        }
        state = state.with_entity(attrs.evolve(entity, dependents=frozenset(inline | profiles)))
    return state


def _with_what_is_found(desired: State) -> SearchStrategy[World]:
    return st.tuples(st.just(desired), found(desired))


plans = intents().map(Intent.plan)
worlds: SearchStrategy[World] = plans.flatmap(_with_what_is_found)
TRUSTED = (f"arn:aws:iam::{ACCOUNT}:role/team/Agent", f"arn:aws:iam::{ACCOUNT}:user/Agent")
pairs: SearchStrategy[tuple[State, State]] = st.tuples(
    plans, intents("Acme", TRUSTED).map(Intent.plan)
)
