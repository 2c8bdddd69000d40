"""Requests as values, and the table of all operations that are sent."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest

from cwagent_iam.requests import OPERATIONS, Refusal, Request

READS = ("Get", "List", "Describe")
DRY_RUN = "RunInstances"


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_row_is_an_operation_of_its_service(name: str) -> None:
    """A row's resource is named by arguments of the operation, its result is in the output."""
    row = OPERATIONS[name]
    model = botocore.session.Session().get_service_model(row.service).operation_model(name)
    named = set(re.findall(r"{(\w+)}", row.resource + "".join(text for _, text in row.also)))
    assert named <= set(model.input_shape.members if model.input_shape else ())
    replies = model.output_shape.members if model.output_shape else ()
    assert not row.result or row.result in replies


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_row_says_whether_it_reads(name: str) -> None:
    """The verb of an operation says whether it is a read; RunInstances is only a dry run."""
    assert OPERATIONS[name].reads == (name.startswith(READS) or name == DRY_RUN)


def holds_secret(shape: Any, outer: tuple[str, ...] = ()) -> bool:
    """Return whether AWS marks a part of *shape* as sensitive."""
    if shape is None or shape.name in outer:
        return False
    parts = [*getattr(shape, "members", {}).values(), getattr(shape, "member", None)]
    within = (*outer, shape.name)
    return bool(shape.metadata.get("sensitive")) or any(
        holds_secret(each, within) for each in parts
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_row_says_whether_it_holds_a_secret(name: str) -> None:
    """A row is secret if AWS marks a part of the request or of the reply as sensitive.

    So is the request that follows the write of a secret.
    """
    row = OPERATIONS[name]
    model = botocore.session.Session().get_service_model(row.service).operation_model(name)
    sensitive = holds_secret(model.input_shape) or holds_secret(model.output_shape)
    follows = name == "UpdateSecretVersionStage"
    # The dry run is sent without user data.
    assert row.secret == (follows or (sensitive and name != DRY_RUN))


def test_creations_are_not_repeatable() -> None:
    """An operation that creates is not repeatable, except CreateSecret, which has a token."""
    once = {name for name, row in OPERATIONS.items() if not row.repeatable}
    created = {name for name in OPERATIONS if name.startswith("Create")} - {"CreateSecret"}
    assert once == created | {"AddRoleToInstanceProfile", "PutParameter"}


def test_a_request_knows_permission_and_resource() -> None:
    """A request lists its permissions; AddRoleToInstanceProfile also needs iam:PassRole."""
    request = Request.of("AddRoleToInstanceProfile", InstanceProfileName="P", RoleName="R")
    assert request.permissions == {
        ("iam:AddRoleToInstanceProfile", "instance-profile/P"),
        ("iam:PassRole", "role/R"),
    }
    assert request.target == "instance-profile P"


def test_a_request_without_a_resource_is_about_the_account() -> None:
    """A request without a resource needs permission for all, and is about the account."""
    request = Request.of("GetAccountSummary")
    assert request.permissions == {("iam:GetAccountSummary", "*")}
    assert request.target == "account"


def test_a_request_leaves_out_empty_arguments() -> None:
    """`None` and empty collections are left out; an empty text is kept: it clears a description."""
    request = Request.of("UpdateRole", RoleName="R", Description="", MaxSessionDuration=None)
    assert request.arguments == {"RoleName": "R", "Description": ""}
    assert Request.of("CreateUser", UserName="U", Tags=()).arguments == {"UserName": "U"}


def test_the_summary_of_a_refusal() -> None:
    """The summary of a refusal has code and message, or the message if there is no code."""
    assert Refusal(code="NoSuchEntity", message="No role.").summary == "NoSuchEntity: No role."
    assert Refusal(code=None, message="No route.").summary == "No route."
