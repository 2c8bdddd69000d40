"""Interrupts at lines of code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Tracer:
    """A context in which one line of some files raises KeyboardInterrupt.

    The trace function that was set before, such as that of coverage, does not see these lines. It
    is set again afterwards.
    """

    def __init__(
        self, files: tuple[str, ...], number: int, armed: Callable[[], bool] = lambda: True
    ) -> None:
        """Interrupt at the line of this *number*, counted while *armed* returns true."""
        self.files, self.left, self.armed = files, number, armed
        self.before: Any = None

    def __enter__(self) -> None:
        """Set the trace function."""
        self.before = sys.gettrace()
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        """Restore the trace function that was set before."""
        sys.settrace(self.before)

    def trace(self, frame: Any, event: str, _argument: object) -> Any:
        """Count lines, and interrupt at the chosen one."""
        if not frame.f_code.co_filename.endswith(self.files):
            return None
        if event == "line" and self.armed():
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace
