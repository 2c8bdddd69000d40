"""Answers of AWS that tests script, and a short look at changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cwagent_iam import Propagation

if TYPE_CHECKING:
    from collections.abc import Iterable

# Otherwise the requests of a wave are sent in any order.
ONE_AT_A_TIME = Propagation(max_in_flight=1)


def answer(client: Any, operation: str, answers: Iterable[tuple[str, str] | None]) -> None:
    """Answer the next calls of *operation* with AWS's code and words; `None` lets one through."""
    script = iter(answers)

    # Not for the event of the one operation, which comes before the requests are recorded.
    def handler(model: Any, **_event: object) -> None:
        if model.name == operation and (found := next(script, None)):
            code, words = found
            reply: Any = {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {}}
            raise client.exceptions.from_code(code)(reply, operation)

    client.meta.events.register("before-call.iam", handler)


def names(changes: Iterable[Any]) -> list[str]:
    """Return the operations of *changes*."""
    return [change.operation for change in changes]
