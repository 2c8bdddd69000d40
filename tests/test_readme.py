"""What README.md and the quickstart promise; conftest.py at the root runs their examples."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

import pytest

import cwagent_iam
from cwagent_iam import (
    Change,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from cwagent_iam.access_keys.rotation import PERMISSIONS
from cwagent_iam.requests import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cwagent_iam.requests import Operation

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
QUICKSTART = ROOT / "docs" / "quickstart.py"
SET_UP = "python3 -m venv .venv && .venv/bin/python -m pip install --quiet nox && .venv/bin/nox"
CHANGES = get_args(Change)
# Changes of access keys only, which the statement AccessKeys is for.
ROTATION = {"CreateAccessKey", "UpdateAccessKey", "UntagUser"}
PARAMETERS = ["other"]  # with a name that takes an inline policy


class Requests(Protocol):
    """What the fixture of this name records."""

    reads: list[str]
    sent: list[str]


@pytest.fixture(scope="module")
def policy() -> dict[str, frozenset[str]]:
    """The actions that README.md asks for, statement by statement."""
    (document,) = fenced(README, "json")
    statements = json.loads(document)["Statement"]
    return {statement["Sid"]: frozenset(statement["Action"]) for statement in statements}


def fenced(text: str, language: str) -> list[str]:
    """Find the code blocks of *text* that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def actions(operations: Iterable[str]) -> frozenset[str]:
    """Name the IAM actions of reads, which are called like their operations."""
    return frozenset(f"iam:{operation}" for operation in operations)


def permissions(changes: Iterable[type[Any]]) -> frozenset[str]:
    """Join the permissions of classes of changes, which are named after their operations."""
    rows = [OPERATIONS[change.__name__] for change in changes]
    also = (action for row in rows for action, _ in row.also)
    return frozenset({row.action for row in rows}.union(also))


def test_the_policy_allows_all_that_an_agent_role_needs(
    policy: dict[str, frozenset[str]], requests: Requests
) -> None:
    """The first statement allows the reads for a role and the changes that create and repair it."""
    ensure_agent_role(parameters=PARAMETERS)
    changes = [each for each in CHANGES if each.kind.kind != "user" and each.symbol != "-"]
    assert policy["AgentOnEC2"] == actions(requests.reads) | permissions(changes)


def test_the_policy_allows_all_that_an_agent_user_needs(
    policy: dict[str, frozenset[str]], requests: Requests
) -> None:
    """The second statement allows the reads for a user, and what creates and repairs it."""
    ensure_agent_user(parameters=PARAMETERS)
    changes = [each for each in CHANGES if each.kind.kind == "user" and each.symbol != "-"]
    changes = [each for each in changes if each.__name__ not in ROTATION]
    assert policy["AgentElsewhere"] == actions(requests.reads) | permissions(changes)


def test_the_policy_allows_all_that_removal_needs(
    policy: dict[str, frozenset[str]], requests: Requests
) -> None:
    """The third statement allows what removing reads and does beside what the others allow."""
    ensure_agent_role(parameters=PARAMETERS)
    ensure_agent_user(parameters=PARAMETERS)
    requests.sent.clear()
    remove(plan_agent_role(parameters=PARAMETERS))
    remove(plan_agent_user(parameters=PARAMETERS))
    changes = [each for each in CHANGES if each.symbol == "-" and each.__name__ not in ROTATION]
    needed = actions(requests.reads) | permissions(changes)
    assert policy["Removal"] == needed - policy["AgentOnEC2"] - policy["AgentElsewhere"]


def test_the_policy_allows_all_that_a_rotation_needs(policy: dict[str, frozenset[str]]) -> None:
    """The fourth statement allows what rotations name as their permissions."""
    needed = {each for each in PERMISSIONS if each.startswith("iam:")}
    assert policy["AccessKeys"] == needed


def test_the_policy_allows_every_request(
    policy: dict[str, frozenset[str]], requests: Requests
) -> None:
    """Whatever the library sends in the life of a role and a user is allowed by the policy."""
    ensure_agent_role(parameters=PARAMETERS)
    ensure_agent_user(parameters=PARAMETERS)
    remove(plan_agent_role(parameters=PARAMETERS))
    remove(plan_agent_user(parameters=PARAMETERS))
    assert actions(requests.sent) <= frozenset().union(*policy.values())


def test_the_readme_is_short() -> None:
    """README.md has at most 100 lines."""
    assert len(README.splitlines()) <= 100


@pytest.mark.parametrize("job", ["quickstart", "tests"])
def test_the_readme_prints_the_commands_for_a_fresh_machine(job: str) -> None:
    """README.md shows, in a block of its own, the command that runs a job from nothing."""
    assert fenced(README, "console").count(f"{SET_UP} -s {job}\n") == 1


def test_the_readme_quotes_the_quickstart(capsys: pytest.CaptureFixture[str]) -> None:
    """The quickstart succeeds, and prints word for word what README.md shows of it."""
    runpy.run_path(str(QUICKSTART), run_name="__main__")
    (quotation,) = fenced(README, "text")
    assert quotation in capsys.readouterr().out


def test_the_quickstart_fails_when_something_is_not_as_announced() -> None:
    """The quickstart ends with an error that says which announcement was wrong."""
    expect = runpy.run_path(str(QUICKSTART))["expect"]
    expect(True, "the sun shines")  # noqa: FBT003 - as the quickstart calls it
    with pytest.raises(SystemExit, match=r"^Not as announced: the sun shines\.$"):
        expect(False, "the sun shines")  # noqa: FBT003 - as the quickstart calls it


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    """Every relative link of README.md and of the pages names a file that exists."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_example_in_python_is_run(page: Path) -> None:
    """No page has a code block in Python that conftest.py would pass over for its label."""
    labels = re.findall(r"^ *(?:```+|~~~+)(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    run = {"python", "python test"}
    not_python = {"console", "json", "text", "{toctree}", "{glossary}", "{eval-rst}"}
    assert set(labels) <= run | not_python


@pytest.mark.parametrize("name", cwagent_iam.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    """The reference has an entry for each name that the package exports."""
    assert re.search(rf"^ *\.\. [a-z]+:: (cwagent_iam\.)?{name}$", REFERENCE, re.MULTILINE)


def row_of(operation: Operation) -> str:
    """Return the row of the reference's table for *operation*."""
    access = f"{'reads' if operation.reads else 'writes'}: {operation.touches}"
    needed = [(operation.action, operation.resource), *operation.also]
    permission = ", ".join(f"`{action}` on `{resource}`" for action, resource in needed)
    repeatable = "yes" if operation.repeatable else "no"
    return f"| `{operation.name}` | {access} | {repeatable} | {permission} |"


def test_the_reference_lists_every_operation() -> None:
    """The reference has a row for each operation that can be sent, in order, and no other row."""
    head = "| operation | reads or writes | repeatable | permission |\n| --- | --- | --- | --- |"
    rows = "\n".join([head, *map(row_of, OPERATIONS.values())])
    assert f"\n\n{rows}\n\n" in REFERENCE
