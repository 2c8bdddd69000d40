"""What the operators of conditions ask of a request; operators are in lower case here.

Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
keys" in the IAM user guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALL, _ANY = "forallvalues:", "foranyvalue:"
_CONTRARY_SETS = {_ALL: _ANY, _ANY: _ALL}


def is_met_without_key(operator: str, values: Iterable[str]) -> bool:
    """Tell whether a condition is met by a request that does not have the key."""
    if operator.endswith("ifexists") or operator.startswith(_ALL):
        return True
    if operator == "null":
        return "true" in map(str.lower, values)
    return "not" in operator and not operator.startswith(_ANY)


def contrary(operator: str) -> str:
    """Return the operator that is met just where *operator*, which denies something, is not.

    It is empty where *operator* denies nothing, and where it is met by one value that is other, and
    by none at all.
    """
    prefix = next((each for each in _CONTRARY_SETS if operator.startswith(each)), "")
    if "not" not in operator or (prefix == _ANY and operator.endswith("ifexists")):
        return ""
    kind = operator.removeprefix(prefix).replace("not", "").removesuffix("ifexists")
    return _CONTRARY_SETS.get(prefix, "") + kind
