"""What the model of IAM's API demands of each member: length, range, pattern, choice.

botocore has the model and checks the minima only; IAM checks all of it, before anything else.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from moto.core.utils import camelcase_to_underscores, get_service_model

from cwagent_iam.testing.strict.calls import Call, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

_LETTERS = r"\p{L}\p{Z}\p{N}"


@functools.cache
def operations() -> dict[str, str]:
    """Map moto's names of IAM's operations to AWS's."""
    return {
        camelcase_to_underscores(name): name for name in get_service_model("iam").operation_names
    }


def check_shapes(call: Call) -> None:
    """Refuse what breaks a constraint of the model."""
    shape = get_service_model("iam").operation_model(operations()[call.operation]).input_shape
    problems = list(_problems(shape, call.parameters, "")) if shape else []
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        refuse("ValidationError", f"{count}: {'; '.join(problems)}")


def broken(where: str, constraint: str) -> str:
    """Word one broken constraint as IAM does."""
    return f"Value at '{where}' failed to satisfy constraint: Member must {constraint}"


def _problems(shape: Any, value: Any, where: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    yield from _problems(member, value[name], _under(where, name))
        case "list":
            yield from _length_problems(shape, value, where)
            for index, each in enumerate(value, start=1):
                yield from _problems(shape.member, each, f"{where}.{index}.member")
        case "string":
            yield from _length_problems(shape, value, where)
            yield from _text_problems(shape, value, where)
        case "integer":
            yield from _range_problems(shape, "value", value, where)
        case _:
            pass


def _under(where: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{where}.{name}" if where else name


def _length_problems(shape: Shape, value: Any, where: str) -> Iterator[str]:
    yield from _range_problems(shape, "length", len(value), where)


def _range_problems(shape: Shape, what: str, value: int, where: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        yield broken(where, f"have {what} greater than or equal to {least}")
    if most is not None and value > most:
        yield broken(where, f"have {what} less than or equal to {most}")


def _text_problems(shape: Shape, value: str, where: str) -> Iterator[str]:
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield broken(where, f"satisfy regular expression pattern: {pattern}")
    if "enum" in shape.metadata and value not in shape.metadata["enum"]:
        yield broken(where, "satisfy enum value set")


def _matches(pattern: str, value: str) -> bool:
    r"""Match as Java does, where ``\w`` is ASCII, and ``\p{L}\p{Z}\p{N}`` is any letter at all."""
    if _LETTERS in pattern:
        pattern = pattern.replace(_LETTERS, "L")
        value = "".join("L" if unicodedata.category(each)[0] in "LZN" else each for each in value)
    return re.fullmatch(pattern, value, re.ASCII) is not None
