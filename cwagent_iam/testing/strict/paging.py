"""Lists come in pages, of every operation that the model of the API calls a list."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.core.utils import get_pagination_model

from cwagent_iam.testing.strict.calls import Call, refuse
from cwagent_iam.testing.strict.shapes import operations

if TYPE_CHECKING:
    from collections.abc import Callable

_DEFAULT = 100
_ALL = 1_000_000


def paged(call: Call, operation: Callable[[], ActionResult], page_size: int) -> ActionResult:
    """Answer with one page, of at most *page_size* entries whatever the call asks for."""
    model = get_pagination_model("iam").get(operations()[call.operation])
    if model is None:
        return operation()
    start = _start(call.parameters.pop("Marker", None))
    size = min(call.parameters.get("MaxItems", _DEFAULT), page_size)
    # moto pages some lists too, and has other markers.
    call.parameters["MaxItems"] = _ALL
    return ActionResult(_page(dict(_members(operation())), _keys(model), start, size))


def _members(reply: ActionResult) -> Any:
    return reply.result


def _keys(model: dict[str, Any]) -> list[str]:
    key = model["result_key"]
    return key if isinstance(key, list) else [key]


def _page(reply: dict[str, Any], keys: list[str], start: int, size: int) -> dict[str, Any]:
    """Cut one page out of the lists, which follow one upon the other."""
    end, passed = start + size, 0
    for key in keys:
        entries = list(reply[key])
        reply[key] = entries[max(start - passed, 0) : max(end - passed, 0)]
        passed += len(entries)
    more = end < passed
    return reply | {"IsTruncated": more, "Marker": _marker(end) if more else None}


def _marker(position: int) -> str:
    """Write a position so that nobody takes it for a number."""
    return base64.urlsafe_b64encode(f"next={position}".encode()).decode()


def _start(marker: str | None) -> int:
    if marker is None:
        return 0
    try:
        name, _, position = base64.urlsafe_b64decode(marker).partition(b"=")
    except (binascii.Error, ValueError):
        name, position = b"", b""
    if name != b"next" or not position.isdigit():
        refuse("ValidationError", "Invalid Marker.")
    return int(position)
