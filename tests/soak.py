"""Runs many schedules of a lagging, failing IAM, and prints figures; ``nox -s soak -- 300``.

A schedule is one flow of one identity (role, user) under one profile and one seed. Five flows
follow each other in one world: create, repair, remove, create among two rivals, adopt with all
extras detached. Four more have a world each, in which another program has written the identity
one second ago: an unmanaged identity that is as desired is ensured; one that is managed is removed;
an unmanaged one is not; one to which everything was attached is detached.

What no reply showed cannot be removed. If only that is left behind by one of these four, it is
called again after IAM has settled. In the same way a conflict is counted apart if no reply of the
call has shown what the entity lacks: all its reads, for five seconds, were late.

A schedule fails if the truth is wrong in the end, if an unmanaged entity was touched, if a second
entity was created, or if an error was raised that is not of this library. After an error of this
library the same call, made again, must converge; where two calls have reported a conflict, the
third is made when IAM lags no more, because each confirms a conflict for five seconds only. No
error at all may be raised where nothing but late reads was in the way. Any of these ends the
program with status 1.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import copy
import functools
import itertools
import os
import random
import statistics
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
from botocore import xform_name

from cwagent_iam import (
    ConflictError,
    CwAgentIamError,
    InstanceProfile,
    diff,
    ensure,
    observe,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from cwagent_iam.testing import laggy_iam, sandbox
from cwagent_iam.testing.lagging.faults import Faults
from cwagent_iam.testing.lagging.profiles import PROFILES as LAGGY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cwagent_iam import Result, State
    from cwagent_iam.testing import LaggyIAM

Fact: TypeAlias = tuple[str, str]
"""A value in a reply, with its key."""

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


YOUNG: dict[str, Callable[..., Result]] = {
    "ensure young": ensure,
    "remove young": remove,
    "refuse young": remove,
    "detach young": functools.partial(remove, existing="attach"),
}
LONGEST_LAG = 120.0
"""How long IAM lags on a bad day, in seconds, at most. The library waits for 60."""

NEVER_BY_LAG = {
    "typical": {"ConflictError", "ObserveError", "PropagationTimeoutError"},
    "bad_day": {"ConflictError", "ObserveError"},
    "adversarial": {"ConflictError", "ObserveError", "PropagationTimeoutError"},
}
# For the writes of a program that IAM never refuses.
CALM = attrs.evolve(LAGGY["off"], latency=0.01)
HEAD = (
    "profile      schedules  requests  retries  median s   99 % s  errors of ours"
    "  by late reads  unseen at first  unmanaged touched  failures"
)
ROW = "{:12} {:9} {:9} {:8} {:9.1f} {:8.1f} {:15} {:14} {:16} {:18} {:9}"
RIGHT = {"refuse young": "ConflictError"}
UNSEEN = "ConflictError by reads that were all late"
TOUCHED = "touched an unmanaged entity"


@attrs.frozen
class Run:
    """What came of one schedule."""

    flow: str
    requests: int
    retries: int
    seconds: float
    errors: tuple[str, ...]
    late: int
    unseen: bool
    failure: str


def run_all(profile: str, plan: str, seed: int) -> list[Run]:
    """Run all flows of one identity."""
    desired, written = PLANS[plan], writes(plan)
    random.seed(f"{profile} {plan} {seed}")  # of the jitter of the library's pauses
    runs = []
    with laggy_iam(profile, seed=seed) as lagging:
        make_foreign(lagging)
        for flow in CALLS:
            prepare(lagging, desired, flow, seed)
            runs.append(run_one(lagging, desired, flow, profile))
    for flow in YOUNG:
        with laggy_iam(profile, seed=seed) as lagging:
            make_foreign(lagging)
            write_as_another(lagging, written, managed=flow == "remove young")
            runs.append(run_one(lagging, desired, flow, profile))
    return runs


def run_one(lagging: LaggyIAM, desired: State, flow: str, profile: str) -> Run:
    """Run one flow in a world that is prepared for it."""
    call, shown = (CALLS | YOUNG)[flow], record_replies(lagging)
    first, retries = len(lagging.trace), lagging.trace.repeats
    started = lagging.clock.elapsed
    before = observe(desired, iam=lagging.truth)
    errors, failure = run(lagging, desired, call, RIGHT.get(flow, ""), shown)
    seconds = lagging.clock.elapsed - started
    sent = lagging.trace[first:]
    only_lag = not any(each.fault or each.outcome.endswith("Throttling") for each in sent)
    late = [each for each in errors if only_lag and each in NEVER_BY_LAG[profile]]
    failure = failure or judge(lagging, desired, flow, before)
    unseen = flow in YOUNG and failure == "ends wrong"
    unseen = unseen and shown.isdisjoint(left_behind(lagging, desired, flow))
    if unseen:
        lagging.settle()
        _, failure = run(lagging, desired, call, RIGHT.get(flow, ""), shown)
        failure = failure or judge(lagging, desired, flow, before)
    return Run(
        flow=flow,
        requests=len(sent),
        retries=lagging.trace.repeats - retries,
        seconds=seconds,
        errors=errors,
        late=len(late),
        unseen=unseen or UNSEEN in errors,
        failure=failure,
    )


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
    lagging: LaggyIAM,
    desired: State,
    flow: Callable[..., Result],
    right: str,
    shown: set[Fact],
) -> tuple[tuple[str, ...], str]:
    """Call until it ends without an error, or with the *right* one, three times at most."""
    errors: list[str] = []
    for _ in range(3):
        if len(errors) == 2 and all("ConflictError" in each for each in errors):
            lagging.clock.sleep(LONGEST_LAG)
        try:
            flow(desired, session=lagging.session)
        except CwAgentIamError as error:
            if type(error).__name__ == right:
                return tuple(errors), ""
            conflict = isinstance(error, ConflictError)
            late = conflict and not parts(lagging, desired) <= shown
            errors.append(UNSEEN if late else type(error).__name__)
        except Exception as error:  # noqa: BLE001 - any other error is a failure, and counted
            return tuple(errors), f"raised {type(error).__name__}"
        else:
            return tuple(errors), ""
    return tuple(errors), "never ends"


def judge(lagging: LaggyIAM, desired: State, flow: str, before: State) -> str:
    """Say what is wrong with the truth; nothing, usually."""
    truth = lagging.truth
    observed = observe(desired, iam=truth)
    if truth.get_role(RoleName=FOREIGN)["Role"].get("Tags") != [{"Key": "Owner", "Value": "x"}]:
        return TOUCHED
    if flow in {"ensure young", "refuse young"}:
        return "" if observed == before else TOUCHED
    if not is_right(desired, observed, flow):
        return "ends wrong"
    names = [role["RoleName"] for role in truth.list_roles()["Roles"]]
    names += [user["UserName"] for user in truth.list_users()["Users"]]
    ours = {each.name for each in observed.entities if each.kind != "instance-profile"}
    return "" if sorted(names) == sorted({FOREIGN} | ours) else "made a second object"


def is_right(desired: State, observed: State, flow: str) -> bool:
    """Tell whether the flow has brought about what it is for."""
    if flow in {"remove", "remove young"}:
        return not observed.entities
    if flow == "detach young":
        kinds = [each.kind for each in observed.entities]
        bare = all(not getattr(each, "policies", ()) for each in observed.entities)
        return bare and kinds == [each.kind for each in desired.entities]
    return not diff(desired, observed, **(ADOPT if flow == "adopt" else {}))


def record_replies(lagging: LaggyIAM) -> set[Fact]:
    """Return a set that collects the facts in IAM's replies to clients built from now on."""
    shown: set[Fact] = set()

    def record(parsed: dict[str, Any], **_event: object) -> None:
        shown.update(facts(parsed))

    lagging.session.events.register("after-call.iam", record)
    return shown


def facts(reply: Any, key: str = "") -> Iterator[Fact]:
    """Yield each value in a reply with its key, such as RoleName or PolicyArn."""
    if isinstance(reply, dict):
        for inner, each in reply.items():
            yield from facts(each, inner)
    elif isinstance(reply, list):
        for each in reply:
            yield from facts(each, key)
            if isinstance(each, dict) and "RoleName" in each:
                yield key, each["RoleName"]
    else:
        yield key, str(reply)


def left_behind(lagging: LaggyIAM, desired: State, flow: str) -> set[Fact]:
    """Return what exists in truth although the flow should have removed it."""
    observed = observe(desired, iam=lagging.truth)
    if flow == "remove young":
        return {(f"{type(each).__name__}Name", each.name) for each in observed.entities}
    principals: Any = [each for each in observed.entities if each.kind != "instance-profile"]
    policies = [each for one in principals for each in one.policies | one.inline_policies]
    return {(key, each.name) for key in ("PolicyName", "PolicyNames") for each in policies}


def parts(lagging: LaggyIAM, desired: State) -> set[Fact]:
    """Return what the entities have in truth that requests after their creation have added."""
    observed = observe(desired, iam=lagging.truth)
    profiles = [each for each in observed.entities if isinstance(each, InstanceProfile)]
    policies = [
        each
        for one in observed.entities
        if not isinstance(one, InstanceProfile)
        for each in one.policies | one.inline_policies
    ]
    inside = {("Roles", each.role_name) for each in profiles if each.role_name}
    return {("PolicyName", each.name) for each in policies} | inside


def make_foreign(lagging: LaggyIAM) -> None:
    """Make something that is none of our business."""
    tags = [{"Key": "Owner", "Value": "x"}]
    lagging.truth.create_role(RoleName=FOREIGN, AssumeRolePolicyDocument=TRUST, Tags=tags)


@functools.cache
def writes(plan: str) -> tuple[tuple[str, Any], ...]:
    """List the writes that create an identity, as operations and their arguments."""
    sent: list[tuple[str, Any]] = []

    def note(params: dict[str, Any], model: Any, **_event: object) -> None:
        if not model.name.startswith(("Get", "List")):
            sent.append((xform_name(model.name), copy.deepcopy(params)))

    with sandbox() as session:
        iam: Any = session.client("iam")
        iam.meta.events.register("provide-client-params.iam", note)
        ensure(PLANS[plan], iam=iam)
    return tuple(sent)


def write_as_another(
    lagging: LaggyIAM, written: tuple[tuple[str, Any], ...], *, managed: bool
) -> None:
    """Let another program write all of it, with lag but without faults; then pass a second."""
    hidden = lagging._profile, lagging._faults  # noqa: SLF001 - no user has need of it
    lagging._profile, lagging._faults = CALM, Faults.of((), random.Random(0))  # noqa: SLF001, S311
    other = lagging.client("other")
    for operation, arguments in written:
        kept = [tag for tag in arguments.get("Tags", ()) if managed or tag["Key"] != "ManagedBy"]
        tags = {"Tags": kept} if "Tags" in arguments else {}
        getattr(other, operation)(**arguments | tags)
    lagging._profile, lagging._faults = hidden  # noqa: SLF001
    lagging.clock.sleep(1.0)


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
    """Remove our tag, and attach what is not desired."""
    truth: Any = lagging.truth
    for each in desired.entities:
        kind, word = each.kind.replace("-", "_"), each.kind.title().replace("-", "")
        getattr(truth, f"untag_{kind}")(**{f"{word}Name": each.name, "TagKeys": ["ManagedBy"]})
        if kind != "instance_profile":
            attach = getattr(truth, f"attach_{kind}_policy")
            attach(**{f"{word}Name": each.name, "PolicyArn": OWN})


def schedules(seeds: int) -> Iterator[tuple[str, str, int]]:
    """List profile, identity and seed of everything to run, seed by seed."""
    return ((*each, seed) for seed in range(seeds) for each in itertools.product(PROFILES, PLANS))


def main() -> None:
    """Run as many seeds as the first argument says, 50 unless given, and print figures.

    Failures are printed as they come; Ctrl-C prints the figures so far. This program sets the seeds
    of the order of sets and of the jitter of pauses. Yet a schedule may differ between runs.
    """
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(  # noqa: S606 - the same program again
            sys.executable, [sys.executable, *sys.argv], os.environ | {"PYTHONHASHSEED": "0"}
        )
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    by_profile: dict[str, list[Run]] = collections.defaultdict(list)
    failed = False
    planned = list(schedules(seeds))
    with concurrent.futures.ProcessPoolExecutor() as pool:
        results = pool.map(run_all, *zip(*planned, strict=True), chunksize=2)
        with contextlib.suppress(KeyboardInterrupt):
            for schedule, runs in zip(planned, results, strict=True):
                by_profile[schedule[0]] += runs
                for each in runs:
                    if each.failure or each.late:
                        failed = True
                        words = each.failure or each.errors
                        print("failed:", *schedule, each.flow, words, flush=True)
        pool.shutdown(wait=False, cancel_futures=True)
    print(HEAD)
    for profile, runs in by_profile.items():
        print(ROW.format(profile, *figures(runs)))
    sys.exit(failed)


def figures(runs: list[Run]) -> tuple[float, ...]:
    """Return what a row of the table says, without the name of the profile."""
    times = sorted(each.seconds for each in runs)
    return (
        len(runs),
        sum(each.requests for each in runs),
        sum(each.retries for each in runs),
        statistics.median(times),
        times[int(len(times) * 0.99)],
        sum(len(each.errors) for each in runs),
        sum(each.late for each in runs),
        sum(each.unseen for each in runs),
        sum(each.failure == TOUCHED for each in runs),
        sum(bool(each.failure) for each in runs),
    )


if __name__ == "__main__":
    main()
