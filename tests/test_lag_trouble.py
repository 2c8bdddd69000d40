"""What goes wrong in the lagging IAM with the requests about what a role or user may do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cwagent_iam.testing import Crash, Fault, LaggyIAM, laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES
from tests.scenes import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.testing.lagging.faults import Outcome

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)
DOCUMENT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
    }
)
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OWN = "arn:aws:iam::123456789012:policy/team/own"
KINDS = ["role", "user"]
_NEW: dict[str, Any] = {"PolicyName": "new", "PolicyDocument": DOCUMENT}
_OLD: dict[str, Any] = {"PolicyName": "old"}
WRITES: dict[str, dict[str, Any]] = {
    "put_{}_policy": _NEW,
    "delete_{}_policy": _OLD,
    "put_{}_permissions_boundary": {"PermissionsBoundary": READ_ONLY},
    "delete_{}_permissions_boundary": {},
    "attach_{}_policy": {"PolicyArn": READ_ONLY},
    "detach_{}_policy": {"PolicyArn": SERVER},
}
READS: dict[str, dict[str, Any]] = {"get_{}_policy": _OLD, "list_{}_policies": {}}
OF_THE_ACCOUNT: dict[str, dict[str, Any]] = {
    "list_policies": {"Scope": "Local", "PathPrefix": "/team/"},
    "get_account_summary": {},
}
TROUBLES: dict[Outcome, type[BaseException]] = {
    "Throttling": ClientError,
    "ServiceFailure": ClientError,
    "ConcurrentModification": ClientError,
    "empty 500": ClientError,
    "HTML 503": ClientError,
    "connection closed": BotoCoreError,
    "read timeout": BotoCoreError,
    "crash": Crash,
}


def of(kind: str) -> dict[str, str]:
    """How a request names the role or user."""
    return {f"{kind.title()}Name": "it"}


def for_both(requests: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The requests, once about the role and once about the user."""
    return {
        operation.format(kind): {**of(kind), **given}
        for kind in KINDS
        for operation, given in requests.items()
    }


def everything(truth: Any) -> None:
    """Make a role and a user, and put on them whatever can be taken away."""
    truth.create_policy(PolicyName="own", Path="/team/", PolicyDocument=DOCUMENT)
    truth.create_role(RoleName="it", AssumeRolePolicyDocument=TRUST)
    truth.create_user(UserName="it")
    for kind in KINDS:
        old = {**of(kind), **_OLD, "PolicyDocument": DOCUMENT}
        getattr(truth, f"put_{kind}_policy")(**old)
        getattr(truth, f"put_{kind}_permissions_boundary")(**of(kind), PermissionsBoundary=OWN)
        getattr(truth, f"attach_{kind}_policy")(**of(kind), PolicyArn=SERVER)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Everything, in an IAM in which nothing goes wrong but what a test asks for."""
    with laggy_iam(attrs.evolve(PROFILES["off"], collisions=1.0)) as lagging:
        everything(lagging.truth)
        yield Scene.of(lagging)


@pytest.fixture
def lagging(scene: Scene) -> LaggyIAM:
    """The scene as it was at first."""
    return scene.restored()


def facts(truth: Any) -> list[Any]:
    """What the role and the user are in truth, for comparison."""
    found = []
    for kind in KINDS:
        whole = getattr(truth, f"get_{kind}")(**of(kind))[kind.title()]
        names = getattr(truth, f"list_{kind}_policies")(**of(kind))["PolicyNames"]
        attached = getattr(truth, f"list_attached_{kind}_policies")(**of(kind))["AttachedPolicies"]
        found += [whole, names, attached]
    return found


def once(lagging: LaggyIAM) -> Any:
    """Return a client that sends everything once."""
    settings = Config(retries={"mode": "standard", "total_max_attempts": 1})
    return lagging.program("ours").client("iam", config=settings)


def operation_of(call: str) -> str:
    """AWS's name of an operation."""
    return "".join(word.title() for word in call.split("_"))


REQUESTS = for_both(WRITES | READS) | OF_THE_ACCOUNT


@pytest.mark.parametrize(("call", "given"), REQUESTS.items(), ids=REQUESTS)
def test_every_request_can_go_wrong(lagging: LaggyIAM, call: str, given: dict[str, Any]) -> None:
    """Before it is carried out, as if it had never been sent; in each of all ways."""
    name = operation_of(call)
    before = facts(lagging.truth)
    for number, outcome in enumerate(TROUBLES, start=1):
        lagging.fail(Fault(outcome, name, nth=number))
    iam = once(lagging)
    for error in TROUBLES.values():
        with pytest.raises(error):
            getattr(iam, call)(**given)
    assert facts(lagging.truth) == before
    sent = [(request.operation, request.fault) for request in lagging.trace]
    assert sent == [(name, outcome) for outcome in TROUBLES]


LOSABLE = for_both(WRITES)


@pytest.mark.parametrize("outcome", ["connection closed", "ServiceFailure", "crash"])
@pytest.mark.parametrize(("call", "given"), LOSABLE.items(), ids=LOSABLE)
def test_every_reply_can_be_lost(
    lagging: LaggyIAM, call: str, given: dict[str, Any], outcome: Outcome
) -> None:
    """The work is done then, once and for all."""
    before = facts(lagging.truth)
    lagging.fail(Fault(outcome, operation_of(call), when="after", nth=1))
    with pytest.raises(TROUBLES[outcome]):
        getattr(once(lagging), call)(**given)
    assert facts(lagging.truth) != before


@pytest.mark.parametrize(("operation", "given"), WRITES.items(), ids=WRITES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_collides_with_that_of_a_rival(
    lagging: LaggyIAM, kind: str, operation: str, given: dict[str, Any]
) -> None:
    """A rival who wrote to the same role or user a moment ago is in the way."""
    tags = [{"Key": "Team", "Value": "x"}]
    getattr(lagging.client("rival"), f"tag_{kind}")(**of(kind), Tags=tags)
    before = facts(lagging.truth)
    write = getattr(lagging.client("ours"), operation.format(kind))
    with pytest.raises(ClientError, match="ConcurrentModification"):
        write(**of(kind), **given)
    assert facts(lagging.truth) == before
    lagging.clock.sleep(2.0)
    write(**of(kind), **given)
    assert facts(lagging.truth) != before
