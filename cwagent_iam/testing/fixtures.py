"""For larger repositories: pytest fixtures, for whoever asks for them.

.. code-block:: python

    pytest_plugins = ["cwagent_iam.testing.fixtures"]  # in the conftest.py at the root

One test has one world: the sandbox, or the lagging IAM if the test, or any fixture of it, names
`cwagent_laggy_iam`; all fixtures of the test are then about that one. Its settings are fixtures
too, so that they are set as pytest sets fixtures: for one test by ``parametrize``, for a class, a
file or a folder by a fixture of the same name.

Whatever the fixtures make is in memory, out of reach of any account. The code around them is not.
So they fail, before anything opens, where it could come to real credentials: through the
environment, or through boto3's default session. A key is a dummy if it is shorter than any key
that AWS gives, or ends like the examples in AWS's documentation. Files in ``~/.aws`` are no reason
to fail, nor is what only a request could find out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import boto3
import pytest
from botocore.credentials import RefreshableCredentials

from cwagent_iam.api import ensure_agent_role, preview
from cwagent_iam.errors import ConflictError
from cwagent_iam.testing.aws_in_memory import sandbox
from cwagent_iam.testing.lagging import LaggyIAM, Profile, laggy_iam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.aws import IAMClient
    from cwagent_iam.changes import AgentRole
    from cwagent_iam.state import State

__all__ = [
    "AssertLive",
    "cwagent_account_id",
    "cwagent_agent_role",
    "cwagent_assert_live",
    "cwagent_lag_profile",
    "cwagent_lag_seed",
    "cwagent_laggy_iam",
    "cwagent_region",
    "cwagent_session",
]


class AssertLive(Protocol):
    """What the fixture `cwagent_assert_live` gives."""

    def __call__(
        self,
        desired: State,
        *,
        session: boto3.Session | None = None,
        iam: IAMClient | None = None,
    ) -> None:
        """Fail, and show what is different, unless live IAM is as desired.

        Args:
            desired: What a planner returned.
            session: Another session than that of the test, for another account or partition.
            iam: A client to look through, as it is; without one, in a lagging IAM, what is looked
                at is what is stored there, however late others learn of it.

        Raises:
            AssertionError: With the changes that `ensure` would make, or the conflict.
        """


# --- settings -------------------------------------------------------------------------------------


@pytest.fixture
def cwagent_account_id() -> str:
    """The account, ``123456789012``; to be overridden."""
    return "123456789012"


@pytest.fixture
def cwagent_region() -> str:
    """The region of the session, ``us-east-1``; to be overridden. It settles the partition."""
    return "us-east-1"


@pytest.fixture
def cwagent_lag_profile() -> str | Profile:
    """How the lagging IAM lags and fails, ``typical``; to be overridden."""
    return "typical"


@pytest.fixture
def cwagent_lag_seed() -> int:
    """Where the chance of the lagging IAM begins, 0; to be overridden, or parametrized."""
    return 0


# --- worlds ---------------------------------------------------------------------------------------


@pytest.fixture
def cwagent_session(
    request: pytest.FixtureRequest, cwagent_account_id: str, cwagent_region: str
) -> Iterator[boto3.Session]:
    """A boto3 session in an empty sandbox; in the lagging IAM, if the test has one."""
    lagging = _lagging_iam_of(request)
    if lagging:
        yield lagging.session
        return
    _refuse_real_credentials()
    with sandbox(account_id=cwagent_account_id, region=cwagent_region) as session:
        yield session


@pytest.fixture
def cwagent_laggy_iam(
    request: pytest.FixtureRequest,
    cwagent_lag_profile: str | Profile,
    cwagent_lag_seed: int,
    cwagent_account_id: str,
    cwagent_region: str,
) -> Iterator[LaggyIAM]:
    """An open lagging IAM; if the test fails, its error shows profile, seed and all requests."""
    _refuse_real_credentials()
    with laggy_iam(
        cwagent_lag_profile,
        seed=cwagent_lag_seed,
        account_id=cwagent_account_id,
        region=cwagent_region,
    ) as lagging:
        settings = f"profile {cwagent_lag_profile!r}, seed {cwagent_lag_seed}"
        request.node.stash[_STORY] = (settings, lagging.trace)
        yield lagging


_STORY = pytest.StashKey[tuple[str, object]]()


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note on the error of a test, or of its fixtures, what its lagging IAM did.

    `laggy_iam` does so for errors that pass through its block. A fixture's block never sees them.
    """
    settings, trace = item.stash.get(_STORY, (None, None))
    if settings and call.excinfo:
        call.excinfo.value.add_note(f"lagging IAM: {settings}\n{trace}")
    if settings and call.when == "teardown":
        del item.stash[_STORY]  # pytest keeps its items to the end of the run


def _lagging_iam_of(request: pytest.FixtureRequest) -> LaggyIAM | None:
    if "cwagent_laggy_iam" not in request.fixturenames:
        return None
    lagging: LaggyIAM = request.getfixturevalue("cwagent_laggy_iam")
    return lagging


# --- what is in them ------------------------------------------------------------------------------


@pytest.fixture
def cwagent_agent_role(request: pytest.FixtureRequest, cwagent_session: boto3.Session) -> AgentRole:
    """The agent's role and instance profile, just made by `ensure_agent_role` as by default."""
    lagging = _lagging_iam_of(request)
    propagation = lagging.propagation if lagging else None
    return ensure_agent_role(session=cwagent_session, propagation=propagation)


@pytest.fixture
def cwagent_assert_live(
    request: pytest.FixtureRequest, cwagent_session: boto3.Session
) -> AssertLive:
    """A function: fails, and shows what is different, unless live IAM is as desired."""
    lagging = _lagging_iam_of(request)

    def assert_live(
        desired: State,
        *,
        session: boto3.Session | None = None,
        iam: IAMClient | None = None,
    ) -> None:
        __tracebackhide__ = True
        session = session or cwagent_session
        if lagging and iam is None:
            iam = attrs.evolve(lagging, session=session).truth
        try:
            changes = preview(desired, session=session, iam=iam)
        except ConflictError as error:
            msg = f"live IAM is not as desired, and ensure() would refuse:\n{error}"
            raise AssertionError(msg) from None
        if changes:
            msg = f"live IAM is not as desired; ensure() would do:\n{changes}"
            raise AssertionError(msg)

    return assert_live


# --- refusal --------------------------------------------------------------------------------------

_LEAD_TO_CREDENTIALS = {
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
}
_ARE_CREDENTIALS = "AWS_BEARER_TOKEN_"  # the name of a service follows
# IAM's model of its API has this minimum for ids of access keys.
_SHORTEST_KEY_OF_AWS = 16


def _refuse_real_credentials() -> None:
    """Fail where code outside of the sandbox could come to them; no value is shown."""
    remedies: list[str] = []
    if not _is_dummy(os.environ.get("AWS_ACCESS_KEY_ID", "")):
        remedies.append("unset AWS_ACCESS_KEY_ID, or set it to a dummy such as 'testing'")
    remedies += [
        f"unset {name}"
        for name, value in sorted(os.environ.items())
        if value and (name in _LEAD_TO_CREDENTIALS or name.startswith(_ARE_CREDENTIALS))
    ]
    if boto3.DEFAULT_SESSION and not _is_harmless(boto3.DEFAULT_SESSION):
        remedies.append(
            "make no client while modules are imported, or set boto3.DEFAULT_SESSION to None"
            " in a conftest.py, since it holds credentials that look real"
        )
    if remedies:
        reason = "cwagent_iam's fixtures run with dummy credentials only"
        # Without a traceback: the place is ours, and what is wrong is not.
        pytest.fail(f"{reason}: {'; '.join(remedies)}", pytrace=False)


def _is_dummy(access_key_id: str) -> bool:
    return len(access_key_id) < _SHORTEST_KEY_OF_AWS or access_key_id.endswith("EXAMPLE")


def _is_harmless(session: boto3.Session) -> bool:
    """Judge by what the session has found; get_credentials() would go and ask, if it must."""
    core: Any = session._session  # noqa: SLF001
    credentials = core._credentials  # noqa: SLF001
    if credentials is None:
        return session.profile_name == "default"
    # Nobody refreshes a dummy, and to look at this kind of key is to refresh it.
    return not isinstance(credentials, RefreshableCredentials) and _is_dummy(credentials.access_key)
