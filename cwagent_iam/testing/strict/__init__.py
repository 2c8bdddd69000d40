"""For tests: an IAM that refuses what AWS's refuses.

.. code-block:: python

    with sandbox() as session, strict_iam():
        ...

moto accepts names that are too long, documents that say nothing, policies without end, and deletes
what is in use. `strict_iam` puts in front of each of moto's operations what IAM checks first, in
its order: the constraints of the API's model, then whether what is named exists, then the rules of
the operation. Where moto does something else, or nothing, the operation is carried out here.
Whatever sends requests, delays them or loses them, is none of its business: it starts where moto's
own operations start.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from unittest.mock import patch
from weakref import WeakKeyDictionary

from moto.core.models import botocore_stubber
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from cwagent_iam.testing.strict import (
    attachments,
    credentials,
    documents,
    entities,
    names,
    replies,
    tags,
    trust,
)
from cwagent_iam.testing.strict.attachments import check_policy_arn
from cwagent_iam.testing.strict.calls import Call
from cwagent_iam.testing.strict.ec2 import ec2_is_particular, iam_is_asked
from cwagent_iam.testing.strict.names import resolve_names
from cwagent_iam.testing.strict.paging import paged
from cwagent_iam.testing.strict.shapes import check_shapes, operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cwagent_iam.testing.strict.calls import Operation

    _Handler: TypeAlias = Callable[[IamResponse], ActionResult]

__all__ = ["strict_iam"]

_MOST_IN_A_PAGE = 1000
_FIRST = (check_shapes, resolve_names, check_policy_arn)
# What stands behind each operation that is strict, so that a block in a block takes its place.
_MOTO: WeakKeyDictionary[_Handler, _Handler] = WeakKeyDictionary()
_ROOMS = (tags, entities, documents, trust, attachments, names, credentials)
_OPERATIONS: dict[str, Operation] = {
    **names.OPERATIONS,
    **tags.OPERATIONS,
    **trust.OPERATIONS,
    **entities.OPERATIONS,
    **attachments.OPERATIONS,
    **credentials.OPERATIONS,
    **replies.OPERATIONS,
}


@contextmanager
def strict_iam(
    *,
    page_size: int = _MOST_IN_A_PAGE,
    quotas: Mapping[str, int] | None = None,
) -> Iterator[None]:
    """Make the IAM of an open sandbox as strict as AWS's.

    Args:
        page_size: The most entries that a list gives at once, however many are asked for; IAM
            may give fewer than asked for, so a test with 1 shows who forgets to read on.
        quotas: Other quotas than a new account has, by their names in GetAccountSummary, such as
            ``{"AttachedPoliciesPerRoleQuota": 20}``.

    A block inside a block has its own pages and quotas.

    Raises:
        RuntimeError: When no sandbox is open.
    """
    if not botocore_stubber.enabled:
        msg = "strict_iam needs an open sandbox: with sandbox() as session, strict_iam(): ..."
        raise RuntimeError(msg)
    with ExitStack() as stack:
        stack.enter_context(replies.replies(quotas or {}))
        stack.enter_context(ec2_is_particular())
        for name in operations():
            moto = getattr(IamResponse, name, None)
            if moto is not None or name in _OPERATIONS:
                # What moto lacks is done here without its help, so that any will do.
                guarded = _guarded(name, moto or ActionResult, page_size)
                stack.enter_context(patch.object(IamResponse, name, guarded, create=True))
        yield


def _guarded(
    name: str,
    moto: _Handler,
    page_size: int,
) -> _Handler:
    """Put the rules of one operation before it, and pages after it."""
    moto = _MOTO.get(moto, moto)
    rules = [*_FIRST, *(rule for room in _ROOMS for rule in room.RULES.get(name, ()))]
    operation = _OPERATIONS.get(name, _as_moto_does)

    def call_strictly(response: IamResponse) -> ActionResult:
        call = Call(response, name)
        with iam_is_asked():
            for rule in rules:
                rule(call)
            return paged(call, partial(operation, call, partial(moto, response)), page_size)

    _MOTO[call_strictly] = moto
    return call_strictly


def _as_moto_does(_call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    return moto()
