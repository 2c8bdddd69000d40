"""How bad a day it is: delays, routes and faults.

Sources of the figures: measurements that users of AWS published; AWS itself promises none. Usual
delays are 2 to 12 seconds; consumers such as EC2 learn of changes later than IAM's own reads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.testing.lagging.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

REPLICAS = 3

Plane: TypeAlias = Literal["read", "admission", "authz", "ec2"]
"""Who looks: reads of IAM; writes of IAM, at what they refer to; STS; EC2."""

Router: TypeAlias = "Literal['random', 'sticky', 'alternate', 'newest'] | tuple[int, ...]"
"""Which replica answers: any, one for each client, one after the other, or the truth.

Numbers are a script: the replicas in their order, the last one for good.
"""


@attrs.frozen
class LogNormal:
    """Delays as they are measured: mostly short, sometimes long.

    Attributes:
        median: The delay that half of them stay below, in seconds.
        sigma: How much they scatter.
        cap: No delay is longer.
    """

    median: float
    sigma: float
    cap: float

    def seconds(self, _replica: int, random: Random) -> float:
        """Draw a delay."""
        return min(random.lognormvariate(math.log(self.median), self.sigma), self.cap)


@attrs.frozen(init=False)
class Fixed:
    """Delays for a script: one for each replica, in seconds; the last one for the rest."""

    delays: tuple[float, ...]

    def __init__(self, *delays: float) -> None:
        """Take the delays.

        Raises:
            IntentError: When there is none.
        """
        if not delays:
            rule = "must be one delay for each replica, one at least"
            raise IntentError(problems=(Problem.of("delays", delays, rule),))
        self.__attrs_init__(delays)

    def seconds(self, replica: int, _random: Random) -> float:
        """Return the delay of a replica."""
        return self.delays[min(replica, len(self.delays) - 1)]


Lag: TypeAlias = LogNormal | Fixed


@attrs.frozen(kw_only=True)
class Profile:
    """How an IAM lags and fails; a new one is made from another with ``attrs.evolve``.

    Attributes:
        lags: The delay of what is written, for each plane; a plane left out has none.
        router: Which replica answers.
        stale_writes: How probable it is that a write looks at a replica, not at the truth.
        half_built: How probable it is that a replica shows a new role or profile with its bare id
            in place of the ARN, at first.
        building: How long it does so.
        ghost_names: How long the name of what was deleted is not free yet; `None` if it is at once.
        collisions: How probable it is that a write is refused because another client has written
            to the same thing in the 2 seconds before.
        faults: What else goes wrong.
        write_rate: How many writes of an operation the account may send in a second, and at once.
        read_rate: The same for reads.
        latency: How long each request takes, in seconds.
    """

    lags: Mapping[Plane, Lag] = attrs.field(factory=dict)
    router: Router = "random"
    stale_writes: float = 0.3
    half_built: float = 0.2
    building: Lag = LogNormal(1.0, 0.5, 5.0)
    ghost_names: Lag | None = None
    collisions: float = 0.0
    faults: tuple[Fault, ...] = ()
    write_rate: tuple[float, float] = (5.0, 20.0)
    read_rate: tuple[float, float] = (20.0, 100.0)
    latency: float = 0.05


def _lags(factor: float, cap: float | None = None) -> dict[Plane, Lag]:
    return {
        "read": LogNormal(1.5 * factor, 0.9, cap or 15.0),
        "admission": LogNormal(1.0 * factor, 0.9, cap or 10.0),
        "authz": LogNormal(4.0 * factor, 0.6, cap or 30.0),
        "ec2": LogNormal(6.0 * factor, 0.5, cap or 30.0),
    }


def _lost(
    outcome: Literal["connection closed", "ServiceFailure", "read timeout"], p: float
) -> Fault:
    return Fault(outcome, when="after", probability=p, writes_only=True)


PROFILES: Mapping[str, Profile] = {
    "off": Profile(
        router="newest",
        stale_writes=0.0,
        half_built=0.0,
        write_rate=(math.inf, math.inf),
        read_rate=(math.inf, math.inf),
    ),
    "typical": Profile(lags=_lags(1.0)),
    "bad_day": Profile(
        lags=_lags(6.0, 120.0),
        ghost_names=_lags(6.0, 120.0)["admission"],
        collisions=0.2,
        faults=(
            Fault("ServiceFailure", probability=0.01),
            Fault("empty 500", probability=0.005),
            Fault("HTML 503", probability=0.005),
            _lost("connection closed", 0.02),
            _lost("ServiceFailure", 0.02),
            _lost("read timeout", 0.01),
        ),
    ),
    "adversarial": Profile(
        lags=_lags(1.0),
        router="alternate",
        ghost_names=_lags(1.0)["admission"],
        collisions=0.5,
        faults=(Fault("connection closed", when="after", writes_only=True, once_each=True),),
    ),
}
"""Known by name: no trouble; a usual day; six times slower and breaking; the worst that is fair."""
