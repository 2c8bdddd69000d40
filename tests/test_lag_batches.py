"""Batches in the lagging IAM: requests that are under way at the same time."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

import attrs
import pytest

from cwagent_iam import Propagation, ensure_agent_role
from cwagent_iam.executor import threads
from cwagent_iam.testing import Crash, Fault, laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed, Profile
from cwagent_iam.testing.lagging.versions import Versions
from tests.test_laggy_iam import SCRIPT, code_of, make_role

if TYPE_CHECKING:
    from cwagent_iam.testing import LaggyIAM

LATENCY = PROFILES["off"].latency


def batch(lagging: LaggyIAM, names: str, most: int = 8) -> None:
    """Make a role of each letter, in batches."""
    iam = lagging.client("writer")
    calls = [partial(make_role, iam, name) for name in names]
    side_by_side = lagging.propagation.side_by_side
    assert side_by_side
    side_by_side(calls, most)


def order(lagging: LaggyIAM) -> str:
    """Return the targets of all requests, in order."""
    return "".join(request.target for request in lagging.trace)


class TestTime:
    """The virtual time of batches."""

    def test_all_start_at_the_same_time(self) -> None:
        """Eight requests side by side take as long as one."""
        with laggy_iam("off") as lagging:
            batch(lagging, "ABCDEFGH")
            assert {request.time for request in lagging.trace} == {0}
            assert lagging.clock.elapsed == pytest.approx(LATENCY)

    def test_at_most_so_many(self) -> None:
        """Those beyond the limit start when all before them have ended."""
        with laggy_iam("off") as lagging:
            batch(lagging, "ABCDE", most=2)
            times = [request.time for request in lagging.trace]
            assert times == pytest.approx([0, 0, LATENCY, LATENCY, 2 * LATENCY])

    def test_the_slowest_decides(self) -> None:
        """A batch ends with its slowest request, wherever chance has put that."""
        for seed in range(5):
            with laggy_iam("off", seed=seed) as lagging:
                iam = lagging.client("reader")
                pauses = [partial(lagging.clock.sleep, 7.0), partial(iam.list_users)]
                lagging.side_by_side(pauses, 8)
                assert lagging.clock.elapsed == 7.0

    def test_nothing_to_do(self) -> None:
        """An empty batch takes no time."""
        with laggy_iam("off") as lagging:
            lagging.side_by_side([], 8)
            assert lagging.clock.elapsed == 0

    def test_a_batch_in_a_batch(self) -> None:
        """A rival that sends batches of its own holds up the one request that it comes before."""
        with laggy_iam("off") as lagging:
            rival = partial(ensure_agent_role, iam=lagging.client("rival"))
            lagging.before_request(2, rival)
            batch(lagging, "ABC")
            mine = [request.time for request in lagging.trace if request.client == "writer"]
            assert mine == [0, 0, 0]
            last = max(request.time for request in lagging.trace)
            assert lagging.clock.elapsed == pytest.approx(last + LATENCY, abs=1e-3)


class TestChance:
    """The order within a batch."""

    def test_seeded(self) -> None:
        """One seed gives one order, other seeds give others."""
        orders = []
        for seed in (1, 1, 2, 3):
            with laggy_iam("off", seed=seed) as lagging:
                batch(lagging, "ABCDEFGH")
                orders.append(order(lagging))
        assert orders[0] == orders[1]
        assert len(set(orders)) == 3
        assert {"".join(sorted(each)) for each in orders} == {"ABCDEFGH"}

    def test_only_within_a_batch(self) -> None:
        """What must wait for a place is not drawn forward."""
        with laggy_iam("off") as lagging:
            batch(lagging, "ABCDEF", most=2)
            assert sorted(order(lagging)[:2]) == ["A", "B"]
            assert sorted(order(lagging)[2:4]) == ["C", "D"]

    def test_a_crash_ends_it(self) -> None:
        """Nothing starts after a crash, and the clock shows when it came."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("crash", nth=2))
            with pytest.raises(Crash):
                batch(lagging, "ABCDEF", most=3)
            assert len(lagging.trace) == 2
            assert lagging.clock.elapsed == pytest.approx(LATENCY)


class TestStateWhenTheClockGoesBack:
    """What the requests of a batch share."""

    @pytest.mark.parametrize("rate", [5.0, float("inf")])
    def test_tokens(self, rate: float) -> None:
        """A request that follows a slow one finds as many tokens as if it had come first."""
        with laggy_iam(attrs.evolve(PROFILES["off"], read_rate=(rate, 3.0))) as lagging:
            iam = lagging.client("reader")
            started = lagging.clock.now
            codes = []
            for seconds in (20.0, 0.0, 0.0):
                lagging.clock.now = started + seconds
                codes.append(code_of(iam.get_user, UserName="nobody"))
            assert codes == ["NoSuchEntity"] * 3

    def test_versions(self) -> None:
        """What a later request of the batch has settled is known to an earlier one as well."""
        versions = Versions(Profile(lags={"read": Fixed(1)}, half_built=0), Random(0))  # noqa: S311
        key = ("role", "R")
        versions.commit(key, "one", 0.0, lagging=True)
        versions.commit(key, "two", 5.0, lagging=True)
        assert versions.at(key, "read", 0, 0.5).copy == "one"

    def test_lag(self) -> None:
        """What one request of a batch writes the others may not see yet."""
        with laggy_iam(attrs.evolve(SCRIPT, router=(2,), lags={"read": Fixed(1)})) as lagging:
            iam = lagging.client("writer")
            codes: list[str] = []
            calls = [
                lambda: make_role(iam),
                lambda: codes.append(code_of(iam.get_role, RoleName="R")),
            ]
            lagging.side_by_side(calls, 2)
            assert codes == ["NoSuchEntity"]


class TestThreads:
    """Calls without a `Propagation` of their own."""

    def test_take_turns(self) -> None:
        """While it is open, what would run in threads is a batch of the simulator."""
        before = threads.run_in_threads
        with laggy_iam("off") as lagging:
            assert threads.run_in_threads == lagging.side_by_side
        assert threads.run_in_threads is before

    def test_seam(self) -> None:
        """Elsewhere a `Propagation` has no way of its own to run calls side by side."""
        assert Propagation().side_by_side is None
