"""The conditions of a statement: what they come to, and which values they leave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from cwagent_iam.documents.operators import contrary, is_met_without_key

if TYPE_CHECKING:
    from cwagent_iam.documents import Statement

_ANYTHING = re.compile(r"[*?]+|arn(?::[*?]*)+|arn:[^:]*:[^:]*:[^:]*:[*?]*:[*?]*")
"""A pattern that every text matches, or every ARN whatever its account and resource."""


@attrs.frozen(order=True)
class Condition:
    """One key that a statement compares.

    Attributes:
        operator: The operator, in lower case.
        key: The key, in lower case.
        values: What it is compared with, sorted.
    """

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def meaning(self) -> tuple[str, str, frozenset[str]]:
        """The condition as statements hold it."""
        return self.operator, self.key, frozenset(self.values)

    @property
    def is_true(self) -> bool:
        """Whether it compares with true, and nothing else."""
        return {value.lower() for value in self.values} == {"true"}

    @property
    def is_false(self) -> bool:
        """Whether it compares with false, and nothing else."""
        return {value.lower() for value in self.values} == {"false"}

    @property
    def met_without_key(self) -> bool:
        """Whether it is met by a request that does not have the key."""
        return is_met_without_key(self.operator, self.values)

    @property
    def asserted(self) -> Condition | None:
        """What a request must meet so as not to meet this one; `None` if that is not one thing."""
        operator = contrary(self.operator)
        return attrs.evolve(self, operator=operator) if operator else None

    @property
    def patterns(self) -> bool:
        """Whether wildcards in the values have a meaning."""
        return "like" in self._kind or self._kind.startswith("arn")

    @property
    def narrows(self) -> bool:
        """Whether it is met by some values of its key only, and not by a request without it."""
        if self.met_without_key or self._kind == "null" or "not" in self._kind:
            return False
        return not (self.patterns and any(map(_ANYTHING.fullmatch, self.values)))

    @property
    def _kind(self) -> str:
        return self.operator.removeprefix("forallvalues:").removeprefix("foranyvalue:")


def conditions_of(statement: Statement) -> tuple[Condition, ...]:
    """Return all conditions of *statement*, sorted; all of them must be met."""
    found = statement.conditions
    return tuple(sorted(Condition(how, key, tuple(sorted(values))) for how, key, values in found))
