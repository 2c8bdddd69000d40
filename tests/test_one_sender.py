"""The table of operations lists every request: no other code calls a client."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore import xform_name
from botocore.client import BaseClient

import cwagent_iam
from cwagent_iam import (
    SERVER_POLICY,
    InlinePolicy,
    ParameterStoreSecret,
    SecretsManagerSecret,
    SharedCredentialsFile,
    apply,
    ensure_agent_role,
    ensure_agent_user,
    observe,
    observe_quotas,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
    rotate_access_key,
)
from cwagent_iam.requests import OPERATIONS
from cwagent_iam.testing import Fault, laggy_iam
from tests.shared_clients import sharing_clients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam import KeyStore
    from cwagent_iam.testing import LaggyIAM

DAY = 86400.0
PACKAGE = Path(cwagent_iam.__file__).parent
SENDER = PACKAGE / "aws" / "sender.py"
MODULES = {
    path.relative_to(PACKAGE).as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != SENDER and "testing" not in path.relative_to(PACKAGE).parts
}
METHODS = {
    *(xform_name(operation) for operation in OPERATIONS),
    *("get_paginator", "get_waiter", "_make_api_call", "_make_request"),
}


def inline(action: str) -> InlinePolicy:
    """Return an inline policy that allows *action*."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return InlinePolicy("logs", {"Version": "2012-10-17", "Statement": [statement]})


def calls_of_clients(source: str) -> list[str]:
    """Return the expressions in *source* that may call a client, or look up its methods."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr=name) if name in METHODS:
                found.append(name)
            case ast.Call(func=ast.Call(func=ast.Name(id="getattr"))):
                found.append(ast.unparse(node.func))
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                found += [name] if name in METHODS else []
            case _:
                pass
    return found


@pytest.mark.parametrize("name", MODULES)
def test_no_module_calls_a_client(name: str) -> None:
    """The sender is the only module that names a method of a client, or looks one up."""
    assert calls_of_clients(MODULES[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "iam.get_role(RoleName='x')",
        "send = self.iam.create_access_key",
        "iam.get_paginator('list_access_keys')",
        "getattr(client, method)(**arguments)",
        "send = getattr(client, 'put_parameter')",
        "client._make_api_call('GetRole', {})",
    ],
)
def test_each_way_to_call_a_client_is_found(source: str) -> None:
    """The search finds methods, stored methods, paginators, and looked-up names."""
    assert calls_of_clients(source)


def test_the_sender_is_found_too() -> None:
    """The search finds the sender, so an empty result elsewhere means something."""
    assert calls_of_clients(SENDER.read_text(encoding="utf-8"))


@contextmanager
def watching() -> Iterator[dict[str, set[str]]]:
    """Record the files that call each operation."""
    callers: dict[str, set[str]] = defaultdict(set)
    client_class: Any = BaseClient
    carry_out = client_class._make_api_call  # noqa: SLF001 - all calls go through it

    def watched(client: Any, operation: str, arguments: Any) -> Any:
        frame: Any = sys._getframe(1)  # noqa: SLF001 - who calls is the question
        while frame.f_globals["__name__"].startswith("botocore."):
            frame = frame.f_back
        callers[operation].add(frame.f_code.co_filename)
        return carry_out(client, operation, arguments)

    with patch.object(client_class, "_make_api_call", watched):
        yield callers


def life_of_a_role(session: Any) -> None:
    """Create a role that EC2 knows, preview and apply changes, repair drift, and remove it."""
    given: dict[str, Any] = {
        "inline_policies": [inline("logs:PutLogEvents")],
        "permissions_boundary": SERVER_POLICY,
        "tags": {"Team": "one"},
    }
    ensure_agent_role(wait_for="ec2", session=session, **given)
    given |= {
        "inline_policies": [inline("logs:CreateLogStream")],
        "tags": {"Team": "two"},
        "description": "new",
    }
    plan = plan_agent_role(policies=[], **given)
    apply(preview(plan, attachments="exclusive", session=session), session=session)
    observe(plan, session=session)
    observe_quotas(session=session)
    remove(plan, session=session)


# Days, and whether the rotation is undone then.
SHORT = ((100, False), (2, False), (1, True))
LONG = ((100, False), (2, False), (1, True), (2, False), (8, False))


def life_of_a_user(
    lagging: LaggyIAM, store: KeyStore, rotations: tuple[tuple[int, bool], ...]
) -> None:
    """Create a user with a key, lose a reply, rotate, undo, rotate to the end, and remove it."""
    session: Any = lagging.session
    given: dict[str, Any] = {"inline_policies": [inline("logs:PutLogEvents")]}
    lagging.fail(Fault("connection closed", "CreateAccessKey", when="after", nth=1))
    ensure_agent_user(deliver=store, session=session, **given)
    for days, undo in rotations:
        lagging.clock.sleep(days * DAY)
        rotate_access_key("CloudWatchAgentServerUser", deliver=store, undo=undo, session=session)
    remove(plan_agent_user(**given), access_keys="delete", session=session)
    if rotations is LONG:
        ensure_agent_user(deliver=store, session=session)  # STS tells whose the key in it was
        remove(plan_agent_user(), access_keys="delete", session=session)


def test_a_whole_life_goes_through_the_sender(tmp_path: Path) -> None:
    """Every call comes from the sender, and every operation is a row of the table."""
    with laggy_iam("off") as lagging, sharing_clients(lagging.session), watching() as callers:
        life_of_a_role(lagging.session)
        for store, rotations in (
            (SharedCredentialsFile(tmp_path / "credentials"), SHORT),
            (SecretsManagerSecret("agent", session=lagging.session), LONG),
            (ParameterStoreSecret("/agent", session=lagging.session), SHORT),
        ):
            life_of_a_user(lagging, store, rotations)
    assert set().union(*callers.values()) == {str(SENDER)}
    assert callers.keys() <= OPERATIONS.keys()
    services = {OPERATIONS[operation].service for operation in callers}
    assert services == {row.service for row in OPERATIONS.values()}
