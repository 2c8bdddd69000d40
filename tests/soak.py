"""Runs many schedules of a lagging, failing IAM, and prints figures; ``nox -s soak -- 300``.

A schedule is one flow (create, mend, remove, create among two rivals, adopt with all extras taken
away) of one identity (role, user) under one profile and one seed. It fails if the truth is not as
it should be in the end, if anything foreign was touched, if a second object was made, or if an
error was raised that is not one of this library; an error of this library must leave a world in
which the same call, made again, ends right.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import itertools
import statistics
import sys
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam import (
    CwAgentIamError,
    diff,
    ensure,
    observe,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from cwagent_iam.testing import laggy_iam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cwagent_iam import Result, State
    from cwagent_iam.testing import LaggyIAM

PROFILES = ("typical", "bad_day", "adversarial")
FOREIGN = "foreign"
PARAMETERS = "CloudWatchAgentParameters"
OWN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
PLANS = {
    "role": plan_agent_role(
        description="agent", tags={"Team": "x"}, parameters=["web"], permissions_boundary=OWN
    ),
    "user": plan_agent_user(tags={"Team": "x"}, parameters=["web"]),
}
ADOPT: Any = {"existing": "adopt", "attachments": "exclusive"}
CALLS: dict[str, Callable[..., Result]] = {
    "create": ensure,
    "mend": ensure,
    "remove": remove,
    "rivals": ensure,
    "adopt": functools.partial(ensure, **ADOPT),
}
TRUST = (
    '{"Version":"2012-10-17",'
    '"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}'
)


@attrs.frozen
class Run:
    """What came of one schedule."""

    flow: str
    requests: int
    retries: int
    seconds: float
    errors: tuple[str, ...]
    failure: str


def run_all(profile: str, plan: str, seed: int) -> list[Run]:
    """Run the flows of one identity one after the other."""
    desired = PLANS[plan]
    runs = []
    with laggy_iam(profile, seed=seed) as lagging:
        make_foreign(lagging)
        for flow, call in CALLS.items():
            prepare(lagging, desired, flow, seed)
            requests, retries = len(lagging.trace), lagging.trace.repeats
            started = lagging.clock.elapsed
            errors, failure = run(lagging, desired, call)
            failure = failure or judge(lagging, desired, flow)
            runs.append(
                Run(
                    flow=flow,
                    requests=len(lagging.trace) - requests,
                    retries=lagging.trace.repeats - retries,
                    seconds=lagging.clock.elapsed - started,
                    errors=errors,
                    failure=failure,
                )
            )
    return runs


def prepare(lagging: LaggyIAM, desired: State, flow: str, seed: int) -> None:
    """Set the scene; what is removed has been written just before, and lags."""
    if flow == "mend":
        lagging.settle()
        break_something(lagging, desired)
    elif flow == "adopt":
        lagging.settle()
        make_ours_foreign(lagging, desired)
        break_something(lagging, desired)
    elif flow == "rivals":
        lagging.settle()
        for number in (1 + seed % 7, 3 + seed % 5):
            rival = functools.partial(attempt, lagging, desired, f"rival {number}")
            lagging.before_request(len(lagging.trace) + number, rival)


def attempt(lagging: LaggyIAM, desired: State, name: str) -> None:
    """Do as another program would at the same time, whatever comes of it."""
    with contextlib.suppress(CwAgentIamError):
        ensure(desired, iam=lagging.client(name))


def run(
    lagging: LaggyIAM, desired: State, flow: Callable[..., Result]
) -> tuple[tuple[str, ...], str]:
    """Call until it ends without an error, three times at most."""
    errors: list[str] = []
    for _ in range(3):
        try:
            flow(desired, session=lagging.session)
        except CwAgentIamError as error:
            errors.append(type(error).__name__)
        except Exception as error:  # noqa: BLE001 - any other error is a failure, and counted
            return tuple(errors), f"raised {type(error).__name__}"
        else:
            return tuple(errors), ""
    return tuple(errors), "never ends"


def judge(lagging: LaggyIAM, desired: State, flow: str) -> str:
    """Say what is wrong with the truth; nothing, usually."""
    truth = lagging.truth
    observed = observe(desired, iam=truth)
    choices = ADOPT if flow == "adopt" else {}
    if observed.entities if flow == "remove" else diff(desired, observed, **choices):
        return "ends wrong"
    if truth.get_role(RoleName=FOREIGN)["Role"].get("Tags") != [{"Key": "Owner", "Value": "x"}]:
        return "touched something foreign"
    names = [role["RoleName"] for role in truth.list_roles()["Roles"]]
    names += [user["UserName"] for user in truth.list_users()["Users"]]
    ours = {each.name for each in observed.entities if each.kind != "instance-profile"}
    return "" if sorted(names) == sorted({FOREIGN} | ours) else "made a second object"


def make_foreign(lagging: LaggyIAM) -> None:
    """Make something that is none of our business."""
    tags = [{"Key": "Owner", "Value": "x"}]
    lagging.truth.create_role(RoleName=FOREIGN, AssumeRolePolicyDocument=TRUST, Tags=tags)


def break_something(lagging: LaggyIAM, desired: State) -> None:
    """Undo by hand what the library has done."""
    truth: Any = lagging.truth
    (thing, *_) = desired.entities
    if thing.kind == "user":
        truth.detach_user_policy(UserName=thing.name, PolicyArn=SERVER)
        truth.delete_user_policy(UserName=thing.name, PolicyName=PARAMETERS)
        return
    truth.detach_role_policy(RoleName=thing.name, PolicyArn=SERVER)
    truth.delete_role_policy(RoleName=thing.name, PolicyName=PARAMETERS)
    truth.delete_role_permissions_boundary(RoleName=thing.name)
    truth.update_assume_role_policy(RoleName=thing.name, PolicyDocument=TRUST)
    truth.remove_role_from_instance_profile(InstanceProfileName=thing.name, RoleName=thing.name)


def make_ours_foreign(lagging: LaggyIAM, desired: State) -> None:
    """Take our tag away, and attach what is not desired."""
    truth: Any = lagging.truth
    for each in desired.entities:
        kind, word = each.kind.replace("-", "_"), each.kind.title().replace("-", "")
        getattr(truth, f"untag_{kind}")(**{f"{word}Name": each.name, "TagKeys": ["ManagedBy"]})
        if kind != "instance_profile":
            attach = getattr(truth, f"attach_{kind}_policy")
            attach(**{f"{word}Name": each.name, "PolicyArn": OWN})


def schedules(seeds: int) -> Iterator[tuple[str, str, int]]:
    """List profile, identity and seed of everything to run."""
    return itertools.product(PROFILES, PLANS, range(seeds))


def main() -> None:
    """Run as many seeds as the first argument says, 50 unless given, and print figures."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    by_profile: dict[str, list[Run]] = collections.defaultdict(list)
    failures = []
    with concurrent.futures.ProcessPoolExecutor() as pool:
        planned = list(schedules(seeds))
        for schedule, runs in zip(
            planned, pool.map(run_all, *zip(*planned, strict=True), chunksize=10), strict=True
        ):
            by_profile[schedule[0]] += runs
            failures += [(*schedule, each.flow, each.failure) for each in runs if each.failure]
    head = "profile      schedules  requests  retries  median s   99 % s  errors of ours  failures"
    print(head)
    for profile, runs in by_profile.items():
        times = sorted(each.seconds for each in runs)
        row = (
            len(runs),
            sum(each.requests for each in runs),
            sum(each.retries for each in runs),
            statistics.median(times),
            times[int(len(times) * 0.99)],
            sum(len(each.errors) for each in runs),
            sum(bool(each.failure) for each in runs),
        )
        print("{:12} {:9} {:9} {:8} {:9.1f} {:8.1f} {:15} {:9}".format(profile, *row))
    for failure in failures[:20]:
        print("failed:", *failure)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
