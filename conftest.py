"""Makes tests of the Python examples in README.md and docs/, each page in a sandbox of its own."""

from __future__ import annotations

import doctest
import functools
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from cwagent_iam.testing import sandbox

pytest_plugins = ["pytester"]  # runs the tests of tests/test_fixtures.py


def open_sandbox(namespace: dict[str, Any]) -> None:
    """Let the examples of a page call AWS as its readers do, without ever reaching it."""
    stack = ExitStack()
    # For a page that closes the sandbox, to show how one is opened: requests have nowhere to go.
    stack.enter_context(patch.dict(os.environ, AWS_ENDPOINT_URL="http://127.0.0.1:9"))
    namespace["sandbox_of_this_page"] = stack.enter_context(ExitStack())
    namespace["sandbox_of_this_page"].enter_context(sandbox())
    namespace["close"] = stack.close


def close_sandbox(namespace: dict[str, Any]) -> None:
    """Leave no trace of a page."""
    namespace["close"]()


def run_tests(example: Example) -> str | None:
    """Run an example that is a file of tests; return what pytest says if they do not pass."""
    return run_tests_of(example.document)


@functools.cache
def run_tests_of(page: Document) -> str | None:
    """Run all files of tests on a page; return what pytest says if one of them does not pass."""
    with tempfile.TemporaryDirectory() as folder:
        for example in page.examples():
            if example.region.evaluator is run_tests:
                path = Path(folder, f"test_line_{example.line}.py")
                path.write_text(str(example.parsed), encoding="utf-8")
        # As readers do: elsewhere, in another process, without the settings of this project. In one
        # process for all, because it takes 2 s to start.
        run = subprocess.run(
            [sys.executable, "-Im", "pytest", "--quiet", "-p", "no:cacheprovider"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    return None if run.returncode == 0 else run.stdout + run.stderr


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS),
        CodeBlockParser(language="python test", evaluator=run_tests),
    ],
    patterns=["README.md", "docs/*.md"],
    setup=open_sandbox,
    teardown=close_sandbox,
).pytest()
