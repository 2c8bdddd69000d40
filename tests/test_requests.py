"""Requests as values, and the table of everything that can be sent."""

from __future__ import annotations

import re

import botocore.session
import pytest

from cwagent_iam.requests import OPERATIONS, Refusal, Request

READS = ("Get", "List", "Describe")
DRY_RUN = "RunInstances"


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_row_is_an_operation_of_its_service(name: str) -> None:
    """Its resource is named by its arguments, and its result is a member of each reply."""
    row = OPERATIONS[name]
    model = botocore.session.Session().get_service_model(row.service).operation_model(name)
    named = set(re.findall(r"{(\w+)}", row.resource + "".join(text for _, text in row.also)))
    assert named <= set(model.input_shape.members if model.input_shape else ())
    replies = model.output_shape.members if model.output_shape else ()
    assert not row.result or row.result in replies


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_row_says_whether_it_reads(name: str) -> None:
    """By the verb of the operation, but for the launch, which is a dry run."""
    assert OPERATIONS[name].reads == (name.startswith(READS) or name == DRY_RUN)


def test_what_creates_is_not_repeatable() -> None:
    """A second request after a lost reply fails, or makes a second thing."""
    once = {name for name, row in OPERATIONS.items() if not row.repeatable}
    created = {name for name in OPERATIONS if name.startswith("Create")} - {"CreateSecret"}
    assert once == created | {"AddRoleToInstanceProfile", "PutParameter"}


def test_a_request_knows_permission_and_resource() -> None:
    """Putting a role into a profile takes the right to pass that role."""
    request = Request.of("AddRoleToInstanceProfile", InstanceProfileName="P", RoleName="R")
    assert request.permissions == {
        ("iam:AddRoleToInstanceProfile", "instance-profile/P"),
        ("iam:PassRole", "role/R"),
    }
    assert request.target == "instance-profile P"


def test_a_request_without_a_resource_is_about_the_account() -> None:
    """It needs permission for every resource."""
    request = Request.of("GetAccountSummary")
    assert request.permissions == {("iam:GetAccountSummary", "*")}
    assert request.target == "account"


def test_a_request_leaves_out_what_is_not_named() -> None:
    """`None` and empty collections; an empty text is a value, which clears a description."""
    request = Request.of("UpdateRole", RoleName="R", Description="", MaxSessionDuration=None)
    assert request.arguments == {"RoleName": "R", "Description": ""}
    assert Request.of("CreateUser", UserName="U", Tags=()).arguments == {"UserName": "U"}


def test_a_refusal_says_code_and_words() -> None:
    """Where AWS gave no code, the words alone."""
    assert Refusal(code="NoSuchEntity", message="No role.").summary == "NoSuchEntity: No role."
    assert Refusal(code=None, message="No route.").summary == "No route."
