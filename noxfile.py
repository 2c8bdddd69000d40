"""Every check of this project; plain ``nox`` runs those that are quick and depend on no machine.

``nox -s tests`` runs one of them, and ``nox -s tests -- tests/test_state.py -k role`` hands
arguments on to pytest. The interpreter is the one that runs nox; ``nox --force-python 3.13 -s
tests`` takes another.
"""

from __future__ import annotations

import importlib.metadata
import re
import tempfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"  # the first that reads [dependency-groups]

nox.options.default_venv_backend = "venv"  # needs nothing but Python
nox.options.error_on_external_run = True
# Sessions whose outcome must not depend on what was installed before decline this.
nox.options.reuse_venv = "yes"
nox.options.sessions = ["quickstart", "tests", "typing", "lint", "docs", "package"]

PYPROJECT = nox.project.load_toml("pyproject.toml")

# The examples of a page build on each other, so each file stays with one process.
# In the order of collection, because the files with the longest tests have few of them.
EVERYTHING = ["--cov", "--numprocesses=auto", "--dist=loadfile", "--no-loadscope-reorder"]

INSTALLED = """
import pathlib, sys, cwagent_iam
if not pathlib.Path(cwagent_iam.__file__).is_relative_to(sys.prefix):
    sys.exit(f"not the installed package: {cwagent_iam.__file__}")
"""

WITHOUT_MOTO = """
import sys, cwagent_iam
for name in cwagent_iam.__all__:
    getattr(cwagent_iam, name)
try:
    import cwagent_iam.testing
except ImportError as error:
    if "pip install cwagent-iam[testing]" not in str(error):
        sys.exit(f"the error does not say what to install: {error}")
else:
    sys.exit("cwagent_iam.testing was imported without the extra")
"""


def group(name: str) -> tuple[str, ...]:
    """Look up what belongs to a dependency group."""
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session
def quickstart(session: nox.Session) -> None:
    """Run the example that every newcomer runs first."""
    session.install(".[testing]")
    session.run("python", "docs/quickstart.py")


@nox.session(reuse_venv=False)
def tests(session: nox.Session) -> None:
    """Test the wheel, not the checkout; all tests together must cover every branch."""
    with tempfile.TemporaryDirectory() as folder:
        session.run("pip", "wheel", "--no-deps", "--wheel-dir", folder, ".", silent=True)
        (wheel,) = Path(folder).glob("*.whl")
        session.install(f"{wheel}[testing]", *group("tests"))
    session.run("python", "-I", "-c", INSTALLED)
    # `python -m pytest` would put the checkout on sys.path; PYTHONSAFEPATH keeps it away from the
    # interpreters that tests start as well.
    session.run("pytest", *(session.posargs or EVERYTHING), env={"PYTHONSAFEPATH": "1"})


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types, under each of the two packages of stubs that users may have."""
    session.install(".[testing]", *group("typing"))
    families = [("types-boto3", "types-boto3-iam"), ("boto3-stubs", "mypy-boto3-iam")]
    for stubs, others in zip(families, reversed(families), strict=True):
        # They share files, so that one goes before the other comes.
        session.run("pip", "uninstall", "--yes", *others, silent=True)
        session.install(*stubs)
        session.run("mypy")
        session.run("pyright")
    session.run("pyright", "--verifytypes", "cwagent_iam", "--ignoreexternal")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and layout."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; any warning is an error."""
    session.install(".[testing]", *group("docs"))
    # Without --fresh-env the warnings of pages that did not change would be lost.
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env"]
    session.run("sphinx-build", *options, "docs", "build/docs")


@nox.session
def soak(session: nox.Session) -> None:
    """Soak roles and users, then access keys, and print figures: ``nox -s soak -- 500 1700``.

    These are the seeds of the two; one number is for both, and 50 are usual. A seed of roles and
    users is 54 schedules, and takes about half a minute of one processor. A seed of keys is three
    lives, and takes about ten seconds.
    """
    session.install(".[testing]")
    session.run("python", "tests/soak.py", *session.posargs[:1])
    session.run("python", "tests/soak_keys.py", *session.posargs[-1:])


@nox.session
def bench(session: nox.Session) -> None:
    """Print how long planning, diffing and ordering take for 10,000 and for 20,000 roles."""
    session.install(".")
    session.run("python", "tests/bench.py")


@nox.session
def depth(session: nox.Session) -> None:
    """Measure calls and their depth on a slow IAM, then how calls fare when it throttles.

    With arguments, it does what they say: ``nox -s depth -- --max-in-flight 1``. The figures depend
    on the machine, and the last two runs take minutes, so this is not among the usual sessions.
    """
    session.install(".[testing]")
    runs = [[], ["--throttled", "0.5", "--seeds", "20"], ["--throttled", "1", "--seeds", "1"]]
    for options in [session.posargs] if session.posargs else runs:
        session.run("python", "tests/depth.py", *options)


@nox.session
def independent(session: nox.Session) -> None:
    """Run the life of a role and of a user on ministack, an IAM of other authors.

    It takes about half a minute, most of it to wait as for AWS, so it is not among the usual
    sessions.
    """
    session.install(".")
    # ministack pins botocore, so its server is in an environment of its own.
    server = Path(session.create_tmp(), "server")
    session.run("python", "-m", "venv", str(server))
    python = str(server / Path(session.bin).name / "python")
    session.run(python, "-m", "pip", "install", "--quiet", "ministack==1.5.33", external=True)
    session.run("python", "tests/independent.py", python)


@nox.session(reuse_venv=False)
def package(session: nox.Session) -> None:
    """Build the archives, look into them, and use the wheel as somebody without moto would."""
    session.install(*group("package"))
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "build", "--outdir", folder, silent=True)
        (wheel,) = Path(folder).glob("*.whl")
        (sdist,) = Path(folder).glob("*.tar.gz")
        session.run("twine", "check", "--strict", str(wheel), str(sdist))
        problems = wheel_problems(wheel)
        if problems:
            session.error(f"{wheel.name} should {'; should '.join(problems)}")
        # A second environment, since the tools above bring packages that a user may not have.
        alone = Path(folder, "alone")
        session.run("python", "-m", "venv", str(alone))
        python = str(alone / Path(session.bin).name / "python")
        session.run(python, "-m", "pip", "install", "--quiet", str(wheel), external=True)
        session.run(python, "-I", "-c", WITHOUT_MOTO, external=True)


def wheel_problems(wheel: Path) -> list[str]:
    """List what a wheel should hold or need, and does not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        metadata = importlib.metadata.PathDistribution(zipfile.Path(archive, f"{info}/"))
        requirements = metadata.requires or []
    code = {name for name in names if not name.startswith(info)}
    sources = {path.as_posix() for path in Path("cwagent_iam").rglob("*.py")}
    needs = {re.split(r"[^\w-]", line)[0]: "extra ==" in line for line in requirements}
    rules = {
        "hold py.typed and the modules, no more": code == sources | {"cwagent_iam/py.typed"},
        "hold the licence": f"{info}/licenses/LICENSE" in names,
        "need what is known, and as an extra moto": needs
        == {
            "attrs": False,
            "boto3": False,
            "configupdater": False,
            "moto": True,
            "tenacity": False,
            "tomlkit": False,
        },
    }
    return [rule for rule, kept in rules.items() if not kept]
