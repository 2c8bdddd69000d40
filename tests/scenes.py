"""Scenes: an IAM in memory that is built once, and restored for each test in about 1 ms."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from cwagent_iam.testing import LaggyIAM

# What stays in place, because others refer to it or nothing changes it.
_KEPT = {"session", "clock", "_lock", "_profile", "_iam"}


@attrs.frozen
class Scene:
    """All that a lagging IAM holds and knows at a moment; its trace starts there."""

    _lagging: LaggyIAM
    _now: float
    _saved: tuple[dict[str, Any], dict[str, Any]]

    @classmethod
    def of(cls, lagging: LaggyIAM) -> Scene:
        """Save what an open *lagging* IAM holds."""
        lagging.trace.clear()
        return cls(lagging, lagging.clock.now, _copied(lagging, _state(lagging)))

    def restored(self) -> LaggyIAM:
        """Bring that moment back, in the IAM that is open still."""
        held, known = _copied(self._lagging, self._saved)
        vars(self._lagging._iam).update(held)  # noqa: SLF001
        self._lagging.clock.now = self._now
        for name, value in known.items():
            setattr(self._lagging, name, value)
        return self._lagging


def _state(lagging: LaggyIAM) -> tuple[dict[str, Any], dict[str, Any]]:
    names = {field.name for field in attrs.fields(type(lagging))} - _KEPT
    known = {name: getattr(lagging, name) for name in names}
    return vars(lagging._iam), known  # noqa: SLF001


def _copied(lagging: LaggyIAM, saved: Any) -> Any:
    """Copy as one, so that what is the same thing in both is so in the copies."""
    iam = lagging._iam  # noqa: SLF001
    return copy.deepcopy(saved, {id(iam): iam})
