"""Interrupts at lines of code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


def interrupt(
    call: Callable[[], T],
    files: tuple[str, ...],
    number: int,
    armed: Callable[[], bool] = lambda: True,
) -> T:
    """Make a call in which one line of some files raises KeyboardInterrupt.

    The trace function that was set before, such as that of coverage, does not see these lines. It
    is set again afterwards.

    Args:
        call: The call.
        files: The ends of the paths of the files.
        number: The number of the line among those that are run while *armed* returns true.
        armed: Returns whether the next line is counted.
    """
    return next(_traced(call, _Tracer(files, number, armed).trace))


def _traced(call: Callable[[], T], trace: Any) -> Iterator[T]:
    """Yield the result of a call.

    If the line after an exception handler is interrupted, CPython 3.11 to 3.13 keep the handled
    exception as the context of all later ones; in a generator only until the generator ends.
    """
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(before)
    yield result


@attrs.define
class _Tracer:
    files: tuple[str, ...]
    left: int
    armed: Callable[[], bool]

    def trace(self, frame: Any, event: str, _argument: object) -> Any:
        """Count lines, and interrupt at the chosen one."""
        if not frame.f_code.co_filename.endswith(self.files):
            return None
        if event == "line" and self.armed():
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace
