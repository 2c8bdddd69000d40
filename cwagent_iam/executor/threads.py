"""Threads: run calls side by side."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING

from cwagent_iam.aws.clients import READ_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATIENCE = READ_TIMEOUT + 1.0
"""How long calls in flight are awaited after an interrupt, in seconds. It is a little longer than
the read timeout, so that a call that still runs then has no reply."""

# Ctrl-C does not wake a wait on Windows, nor if another thread receives the signal. It is noticed
# when the wait ends, so waits are short.
_TICK = 0.1


def run_in_threads(calls: Sequence[Callable[[], object]], most: int) -> None:
    """Run *calls* in at most *most* threads; return when all have ended.

    One call, or calls that run one after another, run on the caller's thread. Each thread has a
    copy of the caller's context variables. The calls must guard what they share.

    Args:
        calls: The calls; their return values are ignored.
        most: The largest number of calls that run at the same time.

    Raises:
        BaseException: As a call or an interrupt raises it. Then no further call starts, and calls
            in flight are awaited for `PATIENCE` seconds at most.
    """
    if most == 1 or len(calls) == 1:
        for call in calls:
            call()
        return
    ready, stopped = threading.Event(), threading.Event()

    def start(call: Callable[[], object]) -> None:
        ready.wait()  # otherwise an interrupt could lose a future whose call has started
        try:
            if not stopped.is_set():
                call()
        except BaseException:
            stopped.set()  # here: this thread may take the next call before the caller's wakes up
            raise

    pool = ThreadPoolExecutor(most, thread_name_prefix="cwagent-iam")
    futures: set[Future[None]] = set()
    try:
        futures.update(pool.submit(copy_context().run, start, call) for call in calls)
        ready.set()
        while futures:
            done, futures = wait(futures, timeout=_TICK, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
    except BaseException:
        stopped.set()
        ready.set()
        wait(futures, timeout=PATIENCE)
        raise
    finally:
        pool.shutdown(wait=False)
