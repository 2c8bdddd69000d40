"""The fixtures for larger repositories, in test runs inside of the test run."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials

import cwagent_iam.api
import cwagent_iam.testing  # noqa: F401 - what a run inside imports first, is lost after it

if TYPE_CHECKING:
    from collections.abc import Callable

REAL = "AKIAQ4J5YHW2TZRMUX7K"
SECRET = "very-secret"  # noqa: S105 - of nobody
REFUSAL = "cwagent_iam's fixtures run with dummy credentials only: "
FIXTURES = (
    "cwagent_session",
    "cwagent_laggy_iam",
    "cwagent_agent_role",
    "cwagent_assert_live",
)
# Reads of what was changed by a client, not by the truth, are out of date for days.
SLOW = """
import pytest
from cwagent_iam import ensure, plan_agent_role
from cwagent_iam.testing import Profile
from cwagent_iam.testing.lagging.profiles import Fixed

DESIRED = plan_agent_role("Agent")
POLICY = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"

@pytest.fixture
def cwagent_lag_profile():
    return Profile(lags={"read": Fixed(1e6)}, stale_writes=0.0, half_built=0.0)

@pytest.fixture
def detached(cwagent_laggy_iam):
    ensure(DESIRED, iam=cwagent_laggy_iam.truth)
    client = cwagent_laggy_iam.client("somebody")
    client.detach_role_policy(RoleName="Agent", PolicyArn=POLICY)
"""
# The first reply to each write gets lost.
ADVERSARIAL = """
import unittest
import pytest

pytestmark = pytest.mark.usefixtures("lagging")

@pytest.fixture
def cwagent_lag_profile(): return "adversarial"

@pytest.fixture
def cwagent_lag_seed(): return 42

@pytest.fixture
def lagging(cwagent_laggy_iam, cwagent_agent_role): return cwagent_laggy_iam

@pytest.fixture
def broken(): raise KeyError

@pytest.fixture
def breaking():
    yield
    raise KeyError

"""


class Run(Protocol):
    """What runs tests."""

    def __call__(self, tests: str, *options: str) -> pytest.RunResult:
        """Run a file of tests, in a repository that has the plugin."""


@pytest.fixture(autouse=True)
def _neutral(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without settings for AWS, and with a plugin that nobody has imported."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.delitem(sys.modules, "cwagent_iam.testing.fixtures", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """What runs tests."""
    pytester.makeconftest('pytest_plugins = ["cwagent_iam.testing.fixtures"]')

    def run_tests(tests: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(dedent(tests))
        return pytester.runpytest_inprocess("-Werror", "--strict-markers", *options)

    return run_tests


@pytest.fixture
def errors(run: Run) -> Callable[[str], str]:
    """What runs the only test of a file, which must not pass, and returns its errors."""

    def errors_of(tests: str) -> str:
        result = run(tests)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        lines = [line.removeprefix("E") for line in result.outlines if line.startswith("E   ")]
        return dedent("\n".join(lines))

    return errors_of


class TestOptIn:
    """Who gets the fixtures, and who does not."""

    def test_one_line(self, run: Run) -> None:
        """With one line in a conftest the fixtures are there, and have a help text each."""
        help_texts = "\n".join(run("", "--fixtures").outlines)
        assert all(f"\n{name} -- " in help_texts for name in FIXTURES)

    def test_nobody_else(self, pytester: pytest.Pytester) -> None:
        """Without that line pytest does not know them."""
        pytester.makepyfile("def test_it(cwagent_session): pass")
        result = pytester.runpytest_inprocess()
        result.stdout.fnmatch_lines(["*fixture 'cwagent_session' not found"])

    def test_pytest_is_not_needed(self) -> None:
        """The rest of what is for tests does without pytest."""
        code = "import sys, cwagent_iam.testing; print('pytest' in sys.modules)"
        path = os.pathsep.join(sys.path)
        done = subprocess.run(  # noqa: S603 - the code is the test's own
            [sys.executable, "-P", "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "False\n"


class TestWorlds:
    """The sandbox and the lagging IAM, one of them for each test."""

    def test_sandbox(self, run: Run) -> None:
        """Each test has a sandbox of its own; calls without a session land in it too."""
        run("""
            import boto3, pytest

            @pytest.mark.parametrize("time", ["first", "second"])
            def test_it(time, cwagent_session):
                assert boto3.DEFAULT_SESSION is cwagent_session
                cwagent_session.client("iam").create_user(UserName="agent")
        """).assert_outcomes(passed=2)

    def test_lag(self, run: Run) -> None:
        """The lagging IAM is a usual one; to wait for it takes no real time."""
        run("""
            from cwagent_iam import ensure_agent_role
            from cwagent_iam.testing.lagging.profiles import PROFILES

            def test_it(cwagent_laggy_iam, cwagent_lag_profile, cwagent_lag_seed):
                assert cwagent_lag_profile == "typical"
                assert cwagent_lag_seed == 0
                ensure_agent_role(
                    session=cwagent_laggy_iam.session, propagation=cwagent_laggy_iam.propagation
                )
                assert len({request.replica for request in cwagent_laggy_iam.trace}) > 1
        """).assert_outcomes(passed=1)

    def test_one_world(self, run: Run) -> None:
        """Where a test has the lagging IAM, in whichever order, the session is its session."""
        run("""
            import pytest

            def test_session_last(cwagent_laggy_iam, cwagent_session):
                assert cwagent_session is cwagent_laggy_iam.session

            def test_session_first(cwagent_session, cwagent_laggy_iam):
                assert cwagent_session is cwagent_laggy_iam.session

            @pytest.mark.usefixtures("cwagent_laggy_iam")
            def test_by_mark(cwagent_session, request):
                assert cwagent_session is request.getfixturevalue("cwagent_laggy_iam").session

            def test_by_value(request):
                lagging = request.getfixturevalue("cwagent_laggy_iam")
                assert request.getfixturevalue("cwagent_session") is lagging.session
        """).assert_outcomes(passed=4)

    def test_too_late(self, errors: Callable[[str], str]) -> None:
        """A lagging IAM that is asked for when the sandbox is open is refused."""
        assert "cannot open inside another sandbox" in errors("""
            def test_it(cwagent_session, request):
                request.getfixturevalue("cwagent_laggy_iam")
        """)


class TestSettings:
    """Fixtures that others override."""

    def test_many_seeds(self, run: Run) -> None:
        """A test is run with many seeds by parametrize; each is in the name of its test."""
        result = run(
            """
            import pytest

            @pytest.mark.parametrize("cwagent_lag_seed", range(3))
            @pytest.mark.parametrize("cwagent_lag_profile", ["typical", "bad_day"])
            def test_it(cwagent_agent_role, cwagent_laggy_iam):
                print("delays:", cwagent_laggy_iam.clock.elapsed)
            """,
            "-vs",
        )
        result.assert_outcomes(passed=6)
        result.stdout.fnmatch_lines(["*::test_it[[]bad_day-2[]]*"])
        shown = [line.partition("delays: ")[2] for line in result.outlines]
        assert len({*shown} - {""}) == 6

    @pytest.mark.parametrize("world", ["cwagent_session", "cwagent_laggy_iam"])
    def test_account_and_region(self, run: Run, world: str) -> None:
        """A fixture of the same name sets account and region for a whole file."""
        run(f"""
            import pytest

            @pytest.fixture
            def cwagent_account_id():
                return "111122223333"

            @pytest.fixture
            def cwagent_region():
                return "us-gov-west-1"

            def test_it({world}, cwagent_agent_role):
                arn = "arn:aws-us-gov:iam::111122223333:role/CloudWatchAgentServerRole"
                assert cwagent_agent_role.role_arn == arn
        """).assert_outcomes(passed=1)

    def test_own_profile(self, run: Run) -> None:
        """A profile may be one's own."""
        run(
            SLOW
            + """
def test_it(detached, cwagent_laggy_iam):
    client = cwagent_laggy_iam.session.client("iam")
    assert client.list_attached_role_policies(RoleName="Agent")["AttachedPolicies"]
"""
        ).assert_outcomes(passed=1)

    def test_misspelt_profile(self, errors: Callable[[str], str]) -> None:
        """A profile that does not exist is refused, with those that do."""
        assert "must be a Profile or one of off, typical," in errors("""
            import pytest

            @pytest.mark.parametrize("cwagent_lag_profile", ["badday"])
            def test_it(cwagent_laggy_iam):
                pass
        """)


class TestAgentRole:
    """An agent's role to start from."""

    def test_sandbox(self, run: Run) -> None:
        """It is what ensure_agent_role() makes."""
        run("""
            from cwagent_iam import ensure_agent_role

            def test_it(cwagent_session, cwagent_agent_role):
                assert cwagent_agent_role.changed
                assert cwagent_agent_role.instance_profile_name == "CloudWatchAgentServerRole"
                assert not ensure_agent_role(session=cwagent_session).changed
        """).assert_outcomes(passed=1)

    def test_lag(self, run: Run) -> None:
        """In the lagging IAM it is just made, so that not everybody knows it yet."""
        run("""
            def test_it(cwagent_laggy_iam, cwagent_agent_role):
                now = cwagent_laggy_iam.clock.now
                assert cwagent_laggy_iam.truth.get_role(RoleName=cwagent_agent_role.role_name)
                cwagent_laggy_iam.settle()
                assert cwagent_laggy_iam.clock.now > now
        """).assert_outcomes(passed=1)


class TestAssertLive:
    """Whether live IAM is as desired."""

    def test_as_desired(self, run: Run) -> None:
        """Nothing happens if it is."""
        run("""
            from cwagent_iam import plan_agent_role

            def test_it(cwagent_assert_live, cwagent_agent_role):
                cwagent_assert_live(plan_agent_role())
        """).assert_outcomes(passed=1)

    def test_different(self, errors: Callable[[str], str]) -> None:
        """If not, the error is what would have to be done, and what else a preview tells."""
        found = errors("""
            from cwagent_iam import ADMIN_POLICY, plan_agent_role

            def test_it(cwagent_assert_live, cwagent_agent_role):
                cwagent_assert_live(plan_agent_role(policies=[ADMIN_POLICY]))
        """)
        *changes, extra, lacks, may = found.splitlines()
        assert changes == [
            "AssertionError: live IAM is not as desired; ensure() would do:",
            "+ AttachRolePolicy CloudWatchAgentServerRole: CloudWatchAgentAdminPolicy",
            "1 to add, 0 to change, 0 to remove.",
        ]
        assert extra.startswith("Extra, left alone: role CloudWatchAgentServerRole, policies: ")
        assert lacks.startswith("Finding, needs: ")
        assert may.startswith("Finding, open: ")

    def test_conflict(self, errors: Callable[[str], str]) -> None:
        """If somebody else's role stands in the way, the error is the conflict."""
        found = errors("""
            from cwagent_iam import plan_agent_role

            def test_it(cwagent_assert_live, cwagent_agent_role):
                cwagent_assert_live(plan_agent_role(path="/elsewhere/"))
        """)
        first, second, third, *_ = found.splitlines()
        assert first == ("AssertionError: live IAM is not as desired, and ensure() would refuse:")
        assert second.startswith("role CloudWatchAgentServerRole ")
        assert third == "    path: / -> /elsewhere/"
        assert "ConflictError" not in found

    def test_where(self, run: Run) -> None:
        """The traceback shows the line of the test, and nothing inside of the fixture."""
        result = run("""
            from cwagent_iam import plan_agent_role

            def test_it(cwagent_assert_live):
                cwagent_assert_live(plan_agent_role())
        """)
        result.stdout.fnmatch_lines([">       cwagent_assert_live(plan_agent_role())"])
        result.stdout.no_fnmatch_line("*assert_live(*desired*")
        result.stdout.no_fnmatch_line("*fixtures.py*")

    def test_truth(self, errors: Callable[[str], str]) -> None:
        """In the lagging IAM the truth counts, and asking for it is no part of what happens."""
        found = errors(
            SLOW
            + """
def test_it(cwagent_assert_live, detached, cwagent_laggy_iam):
    now, requests = cwagent_laggy_iam.clock.now, len(cwagent_laggy_iam.trace)
    with pytest.raises(AssertionError, match="AttachRolePolicy Agent"):
        cwagent_assert_live(DESIRED)
    assert (cwagent_laggy_iam.clock.now, len(cwagent_laggy_iam.trace)) == (now, requests)
    cwagent_assert_live(DESIRED, session=cwagent_laggy_iam.session)
"""
        )
        assert "\n+ AttachRolePolicy Agent: CloudWatchAgentServerPolicy\n" in found

    def test_client(self, run: Run) -> None:
        """A client that is handed in sees what it sees, lag and all."""
        run(
            SLOW
            + """
def test_it(cwagent_assert_live, detached, cwagent_laggy_iam):
    cwagent_assert_live(DESIRED, iam=cwagent_laggy_iam.client("reader"))
"""
        ).assert_outcomes(passed=1)

    @pytest.mark.parametrize("world", ["cwagent_session", "cwagent_laggy_iam"])
    def test_session(self, errors: Callable[[str], str], world: str) -> None:
        """With another session it is another account or partition that is looked at."""
        found = errors(f"""
            import boto3
            from cwagent_iam import plan_agent_role

            def test_it({world}, cwagent_assert_live, cwagent_agent_role):
                session = boto3.Session(region_name="cn-north-1")
                cwagent_assert_live(plan_agent_role(), session=session)
        """)
        assert "\n+ CreateRole CloudWatchAgentServerRole" in found


class TestStory:
    """What is seen of the lagging IAM when a test fails."""

    @pytest.mark.parametrize(
        "test",
        [
            "def test_it(lagging): assert lagging is None",
            "def test_it(lagging, broken): pass",
            "def test_it(lagging, breaking): pass",
            "class TestIt(unittest.TestCase):\n    def test_it(self): self.fail()",
        ],
        ids=["call", "setup", "teardown", "unittest"],
    )
    def test_seen(self, errors: Callable[[str], str], test: str) -> None:
        """Errors of the test and of its fixtures show profile, seed and all requests."""
        found = errors(ADVERSARIAL + test)
        assert "lagging IAM: profile 'adversarial', seed 42\n" in found
        assert "CreateRole CloudWatchAgentServerRole -> ConnectionClosedError" in found
        assert found.count("lagging IAM: ") == 1

    def test_not_seen(self, run: Run) -> None:
        """A test that passes, or has no lagging IAM, shows nothing of it."""
        result = run("""
            def test_passing(cwagent_laggy_iam):
                pass

            def test_in_the_sandbox(cwagent_session):
                raise KeyError
        """)
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.no_fnmatch_line("*lagging IAM*")

    def test_forgotten(self, run: Run) -> None:
        """Once a test is over nothing of its lagging IAM is kept, so that seeds may be many."""
        run("""
            import gc, weakref

            traces = []

            def test_first(cwagent_laggy_iam):
                cwagent_laggy_iam.session.client("iam").list_roles()
                traces.append(weakref.ref(cwagent_laggy_iam.trace))
                traces.append(weakref.ref(cwagent_laggy_iam.trace[0]))

            def test_second():
                gc.collect()
                assert [trace() for trace in traces] == [None, None]
        """).assert_outcomes(passed=2)


class TestRefusal:
    """Where real credentials may be in reach."""

    @pytest.mark.parametrize("fixture", FIXTURES)
    def test_all_refuse(self, run: Run, monkeypatch: pytest.MonkeyPatch, fixture: str) -> None:
        """Each of the fixtures fails before the test begins, with one line and no values."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", REAL)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        tests = f"def test_it({fixture}): pass"
        result = run(tests)
        result.assert_outcomes(errors=1)
        remedy = "unset AWS_ACCESS_KEY_ID, or set it to a dummy such as 'testing'"
        assert REFUSAL + remedy in result.outlines
        shown = str(result.stdout) + str(run(tests, "--showlocals", "--full-trace").stdout)
        assert "remedies   = [" in shown
        assert REAL not in shown
        assert SECRET not in shown

    @pytest.mark.parametrize(
        "name",
        [
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_BEARER_TOKEN_BEDROCK",
        ],
    )
    def test_variables(self, run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """A variable that leads to credentials is refused, whatever its value, unless empty."""
        tests = "def test_it(cwagent_session): pass"
        monkeypatch.setenv(name, "")
        run(tests).assert_outcomes(passed=1)
        monkeypatch.setenv(name, SECRET)
        result = run(tests)
        assert f"{REFUSAL}unset {name}" in result.outlines
        assert SECRET not in str(result.stdout)

    def test_all_at_once(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Everything that is in the way is named at once."""
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(REAL, SECRET))
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
        monkeypatch.setenv("AWS_PROFILE", "prod")
        result = run("def test_it(cwagent_session): pass")
        sentence = "unset AWS_PROFILE; unset AWS_WEB_IDENTITY_TOKEN_FILE; make no client"
        result.stdout.fnmatch_lines([f"{REFUSAL}{sentence} *"])

    @pytest.mark.parametrize(
        "key", ["testing", "test", "dummy", "FOOBARKEY", "000000000000", "AKIAIOSFODNN7EXAMPLE"]
    )
    @pytest.mark.parametrize("world", ["cwagent_session", "cwagent_laggy_iam"])
    def test_dummies(self, run: Run, monkeypatch: pytest.MonkeyPatch, key: str, world: str) -> None:
        """What people write for a dummy is taken for one, in the environment and in a session."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(key, key))
        run(f"def test_it({world}): pass").assert_outcomes(passed=1)

    def test_shortest_key(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key as short as IAM's own model allows is taken for a real one."""
        model = botocore.session.Session().get_service_model("iam")
        shortest = model.shape_for("accessKeyIdType").metadata["min"]
        tests = "def test_it(cwagent_session): pass"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A" * shortest)
        run(tests).assert_outcomes(errors=1)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A" * (shortest - 1))
        run(tests).assert_outcomes(passed=1)


def session_of(profile: str | None = None) -> boto3.Session:
    """Return a session that has not looked for credentials yet."""
    return boto3.Session(profile_name=profile)


def session_that_looked() -> boto3.Session:
    """Return a session that has found the keys in the home directory."""
    session = boto3.Session()
    session.get_credentials()
    return session


def session_that_refreshes() -> boto3.Session:
    """Return a session whose keys are fetched anew whenever somebody looks at them."""
    core: Any = botocore.session.Session()
    expired = datetime(2026, 1, 1, tzinfo=UTC)
    core._credentials = RefreshableCredentials("old", "old", "old", expired, fail, "sso")  # noqa: SLF001 - botocore keeps them there
    return boto3.Session(botocore_session=core)


def fail(*_arguments: object) -> Any:
    """Stand in for a request."""
    msg = "somebody asked for credentials"
    raise AssertionError(msg)


class TestDefaultSession:
    """Credentials that boto3's default session may hold."""

    @pytest.fixture(autouse=True)
    def _home(self, pytester: pytest.Pytester) -> None:
        """Make a home directory with real keys."""
        keys = f"aws_access_key_id = {REAL}\naws_secret_access_key = {SECRET}\n"
        folder = pytester.mkdir(".aws")
        (folder / "credentials").write_text(f"[default]\n{keys}[prod]\n{keys}", encoding="utf-8")

    @pytest.mark.parametrize(
        ("make_session", "refused"),
        [
            (lambda: None, False),
            (session_of, False),
            (partial(session_of, "default"), False),
            (partial(session_of, "prod"), True),
            (session_that_looked, True),
            (session_that_refreshes, True),
            (partial(boto3.Session, REAL, SECRET), True),
            (partial(boto3.Session, "dummy", "dummy"), False),
        ],
        ids=["none", "new", "default", "profile", "looked", "refreshes", "real", "dummy"],
    )
    def test_sessions(
        self,
        run: Run,
        monkeypatch: pytest.MonkeyPatch,
        make_session: Callable[[], boto3.Session | None],
        *,
        refused: bool,
    ) -> None:
        """It may have none or dummies; files are no matter, until it has read keys from them."""
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", make_session())
        monkeypatch.setattr(botocore.session.Session, "get_credentials", fail)
        result = run("def test_it(cwagent_session): pass")
        result.assert_outcomes(passed=not refused, errors=refused)
        shown = str(result.stdout)
        assert ("set boto3.DEFAULT_SESSION to None" in shown) is refused
        assert REAL not in shown

    def test_client_of_a_module(self, run: Run) -> None:
        """A client that a module makes while it is imported is refused, with what to do."""
        result = run("""
            import boto3

            client = boto3.client("iam", region_name="us-east-1")

            def test_it(cwagent_session):
                pass
        """)
        result.assert_outcomes(errors=1)
        sentence = (
            "make no client while modules are imported, or set boto3.DEFAULT_SESSION to None in a"
            " conftest.py, since it holds credentials that look real"
        )
        assert REFUSAL + sentence in result.outlines
