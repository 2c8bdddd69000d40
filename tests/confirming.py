"""Measures the numbers of confirming in the lagging IAM: ``python tests/confirming.py 200``.

Two questions, for several settings of the engine, under the profile ``typical``:

- How often does another reader still see an old answer right after a call has returned? Asked are
  30 single reads at each of some delays after a role was created and after it was repaired.
- How often is a role refused that is as desired, unmanaged, and was created a moment ago?

Only AWS can show how its own delays are spread; the simulator draws them from what users measured.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs

from cwagent_iam import CwAgentIamError, diff, ensure, observe, plan_agent_role
from cwagent_iam.reconcile import loop
from cwagent_iam.testing import laggy_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.testing import LaggyIAM

DESIRED = plan_agent_role("Web")
SERVER = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
TRUST = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow",'
    '"Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}'
)
READS = 30
DELAYS = (0.0, 1.0, 3.0)
CONFIRMING = {
    "3 reads, then 2 rounds": (3, 2),
    "1 read": (1, 1),
    "2 reads": (2, 1),
    "5 reads": (5, 3),
}
CONFLICTS = {
    "0, 1, 3, 5 s": (0.0, 1.0, 2.0, 2.0),
    "0 s": (0.0,),
    "0, 1 s": (0.0, 1.0),
    "0, 1, 3 s": (0.0, 1.0, 2.0),
}
AGES = (0.5, 1.0, 2.0, 4.0)


@attrs.frozen
class Old:
    """How many of the reads were old, at each delay, and how long the call took."""

    old: tuple[int, ...]
    seconds: float


def create_and_read(setting: str, seed: int) -> Old:
    """Create a role, and read it again and again as another program would."""
    copies, rounds = CONFIRMING[setting]
    with (
        patch.object(loop, "COPIES", copies),
        patch.object(loop, "_AGAIN", (0.0, *[0.25] * (rounds - 1))),
        laggy_iam("typical", seed=seed) as lagging,
    ):
        started = lagging.clock.elapsed
        ensure(DESIRED, session=lagging.session)
        seconds = lagging.clock.elapsed - started
        return Old(tuple(old_reads(lagging)), seconds)


def old_reads(lagging: LaggyIAM) -> Iterator[int]:
    """Count the old answers that another reader gets, at each delay."""
    reader: Any = lagging.client("reader")
    ended = lagging.clock.now
    for delay in DELAYS:
        old = 0
        for _ in range(READS):
            lagging.clock.now = ended + delay
            old += bool(diff(DESIRED, observe(DESIRED, iam=reader)))
        yield old


def is_refused(setting: str, age: float, seed: int) -> bool:
    """Ensure a role that another program has created so many seconds ago, exactly as desired."""
    with (
        patch.object(loop, "CONFIRMING", CONFLICTS[setting]),
        laggy_iam("typical", seed=seed) as lagging,
    ):
        create(lagging, lagging.truth)
        lagging.clock.sleep(age)
        try:
            ensure(DESIRED, session=lagging.session)
        except CwAgentIamError:
            return True
        return False


def create(lagging: LaggyIAM, truth: Any) -> None:
    """Create all of it at this moment, without our tag, so that others learn of it late."""
    process = lagging._carry_out  # noqa: SLF001 - what the truth writes does not lag
    with patch.object(
        type(lagging), "_carry_out", lambda _self, moto, **_lagging: process(moto, lagging=True)
    ):
        truth.create_role(RoleName="Web", AssumeRolePolicyDocument=TRUST)
        truth.attach_role_policy(RoleName="Web", PolicyArn=SERVER)
        truth.create_instance_profile(InstanceProfileName="Web")
        truth.add_role_to_instance_profile(InstanceProfileName="Web", RoleName="Web")


def main(seeds: int) -> None:
    """Print both tables."""
    with concurrent.futures.ProcessPoolExecutor() as pool:
        delays = ", ".join(map(str, DELAYS))
        print(f"old answers of {seeds * READS} reads each, {delays} s after; median of the call")
        for setting in CONFIRMING:
            runs = list(pool.map(create_and_read, itertools.repeat(setting, seeds), range(seeds)))
            reads = seeds * READS
            shares = [sum(run.old[at] for run in runs) / reads for at in range(len(DELAYS))]
            seconds = sorted(run.seconds for run in runs)[seeds // 2]
            print(f"{setting:24}", *(f"{share:7.2%}" for share in shares), f"{seconds:6.1f} s")
        print(f"refused of {seeds} right roles each, {', '.join(map(str, AGES))} s old")
        for setting in CONFLICTS:
            counts = []
            for age in AGES:
                several = itertools.repeat(setting, seeds), itertools.repeat(age, seeds)
                counts.append(sum(pool.map(is_refused, *several, range(seeds))))
            print(f"{setting:24}", *(f"{count:7}" for count in counts))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
