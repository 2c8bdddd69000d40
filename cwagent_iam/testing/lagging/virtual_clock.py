"""Time that passes only when somebody waits for it."""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import patch

import attrs
from botocore import endpoint, waiter
from botocore.retries import bucket
from moto.iam import models as iam_models
from moto.moto_api._internal import mock_random

from cwagent_iam import propagation

if TYPE_CHECKING:
    from collections.abc import Iterator

_START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@attrs.define
class VirtualClock:
    """A clock that sleeping moves, and nothing else.

    Attributes:
        now: The time, in seconds since 1970; it begins with the year 2026.
    """

    now: float = _START

    def time(self) -> float:
        """Tell the time, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds

    @property
    def elapsed(self) -> float:
        """The seconds that have passed since the beginning."""
        return self.now - _START

    def utcnow(self) -> datetime:
        """Tell date and time as moto does: of UTC, without saying so."""
        return datetime.fromtimestamp(self.now, UTC).replace(tzinfo=None)


@contextmanager
def predictable(clock: VirtualClock, seed: int) -> Iterator[None]:
    """Give *clock* to all that waits here and in botocore, and dates in moto; *seed* to chance.

    botocore draws the pauses before its retries from Python's shared random numbers, which go on
    afterwards as if nothing had been.
    """
    time = SimpleNamespace(sleep=clock.sleep, time=clock.time, monotonic=clock.time)
    before, before_in_moto = random.getstate(), mock_random.getstate()
    random.seed(seed)
    mock_random.seed(seed)
    try:
        with (
            patch.object(propagation, "time", time),
            patch.object(endpoint, "time", time),
            patch.object(waiter, "time", time),
            patch.object(bucket, "time", time),
            patch.object(iam_models, "utcnow", clock.utcnow),
        ):
            yield
    finally:
        random.setstate(before)
        mock_random.setstate(before_in_moto)
