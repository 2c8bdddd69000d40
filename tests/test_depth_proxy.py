"""How `tests/depth.py` tells depth from the times of calls."""

from __future__ import annotations

import pytest

from tests.depth import LATENCY, Call, batches, chain, most_in_flight


def calls(*began: float, operation: str = "GetRole") -> list[Call]:
    """Return calls that arrived at times counted in latencies, each answered after one."""
    return [Call(operation, "role", at * LATENCY, (at + 1) * LATENCY) for at in began]


SEEN = calls(0, 0.1, 0.2)
WRITTEN = calls(1.3, 1.3, operation="CreateRole") + calls(2.4, 2.4, operation="AttachRolePolicy")


@pytest.mark.parametrize(
    ("made", "by_time", "in_batches", "in_flight"),
    [
        pytest.param([], 0, 0, 0, id="nothing"),
        pytest.param(SEEN, 1, 1, 3, id="side by side"),
        pytest.param(calls(0, 1, 2), 3, 3, 1, id="one after another"),
        pytest.param(SEEN + WRITTEN, 3, 3, 3, id="waves of writes count each"),
        pytest.param(calls(*[0.0] * 8, 1.1), 2, 1, 8, id="queued behind eight that end at once"),
        pytest.param(calls(0, *[0.5] * 7, 1.1), 2, 1, 8, id="queued behind the first to end"),
        pytest.param(calls(*[0.0] * 8, 3), 2, 2, 8, id="after a pause"),
        pytest.param(
            [*calls(*[0.0] * 8), *calls(1.1, operation="CreateRole")], 2, 2, 8, id="another kind"
        ),
    ],
)
def test_depth_is_told_by_time_and_in_batches(
    made: list[Call], by_time: int, in_batches: int, in_flight: int
) -> None:
    """A call that queued lengthens the chain by time, and joins the batch that it queued behind."""
    found = chain(made), batches(made, max_in_flight=8), most_in_flight(made)
    assert found == (by_time, in_batches, in_flight)
