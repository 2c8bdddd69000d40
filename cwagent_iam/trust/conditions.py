"""What conditions come to when the request does not have their key.

Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
keys" in the IAM user guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.documents import Statement


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
    def met_without_key(self) -> bool:
        """Whether it is met by a request that does not have the key."""
        kind = self.operator.removeprefix("forallvalues:").removeprefix("foranyvalue:")
        if kind.endswith("ifexists") or self.operator.startswith("forallvalues:"):
            return True
        if kind == "null":
            return "true" in map(str.lower, self.values)
        return "not" in kind and not self.operator.startswith("foranyvalue:")


def conditions_of(statement: Statement) -> tuple[Condition, ...]:
    """Return all conditions of *statement*, sorted; all of them must be met."""
    return tuple(sorted(_conditions(statement)))


def _conditions(statement: Statement) -> Iterator[Condition]:
    for element, meaning in statement.rest:
        if element == "Condition" and isinstance(meaning, frozenset):
            for operator, key, values in meaning:
                yield Condition(operator.lower(), key, tuple(sorted(values)))
