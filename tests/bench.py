"""How long the pure steps take for many roles: seconds of one processor, and how they grow."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from cwagent_iam import State, diff, plan_agent_role
from cwagent_iam.remover import removal

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 10_000


def seconds(work: Callable[[], object]) -> float:
    """Return how long *work* takes, without other processes and earlier garbage."""
    gc.collect()
    gc.freeze()  # so that collecting in between passes over what was there before
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(count: int) -> dict[str, float]:
    """Return the seconds of each step for *count* roles, each with its instance profile."""
    names = [f"Agent-{number:05}" for number in range(count)]
    desired = State.joined(plan_agent_role(name) for name in names)
    changes = diff(desired, State())
    steps: dict[str, Callable[[], object]] = {
        "plan": lambda: State.joined(plan_agent_role(name) for name in names),
        "diff against nothing": lambda: diff(desired, State()),
        "diff against itself": lambda: diff(desired, desired),
        "after": changes.after,
        "waves": lambda: changes.waves,
        "removal": lambda: removal(desired, desired),
    }
    return {step: seconds(work) for step, work in steps.items()}


def main() -> None:
    """Print a line for each step; a ratio near 2 is linear."""
    once, twice = measure(COUNT), measure(2 * COUNT)
    lines = [f"{'seconds for':22}{COUNT:>10,}{2 * COUNT:>10,}     ratio"]
    for step, took in once.items():
        lines.append(f"{step:22}{took:10.2f}{twice[step]:10.2f}{twice[step] / took:10.2f}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
