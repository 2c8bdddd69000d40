"""Depth and calls: round trips one after another, and requests, of whole calls."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import pytest

from cwagent_iam import (
    SERVER_POLICY,
    CwAgentIamError,
    InlinePolicy,
    ObserveError,
    Propagation,
    SharedCredentialsFile,
    apply,
    ensure,
    ensure_agent_user,
    observe,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
    rotate_access_key,
)
from cwagent_iam.testing import Fault, laggy_iam
from cwagent_iam.testing.lagging.profiles import PROFILES
from tests.core import THROTTLED
from tests.core_lag import Replicas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

    import boto3

    from cwagent_iam import State
    from tests.core import Answer

ROLE, USER = "CloudWatchAgentServerRole", "CloudWatchAgentServerUser"
SERVER = SERVER_POLICY.arn("aws")
SENDINGS = 16
SLOW = attrs.evolve(PROFILES["off"], latency=1.0)
ROLE_PLAN = plan_agent_role(tags={"Team": "o"}, description="agent")
USER_PLAN = plan_agent_user(tags={"Team": "o"})
READ = InlinePolicy(
    "Read",
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"},
    },
)


@attrs.define
class RoundTrips:
    """A counter of round trips and requests.

    Attributes:
        sends: How many requests went side by side, for each round trip.
    """

    sends: list[int] = attrs.field(factory=list)

    def run(self, calls: Sequence[Callable[[], object]], _most: int) -> None:
        """Run *calls*; for `Propagation.side_by_side`."""
        self.sends.append(len(calls))
        for call in calls:
            call()

    @property
    def propagation(self) -> Propagation:
        """Settings for a call that is counted here; it fails if it pauses."""
        return Propagation(side_by_side=self.run, sleep=_never)


def _never(seconds: float) -> None:
    pytest.fail(f"a pause of {seconds} s where nothing lags")


def nothing(_iam: Any) -> None:
    """Let nothing drift."""


def drift_of_role(iam: Any) -> None:
    """Let a role drift in three places."""
    iam.detach_role_policy(RoleName=ROLE, PolicyArn=SERVER)
    iam.update_role(RoleName=ROLE, Description="x", MaxSessionDuration=3600)
    iam.remove_role_from_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)


def drift_of_user(iam: Any) -> None:
    """Let a user drift in two places."""
    iam.detach_user_policy(UserName=USER, PolicyArn=SERVER)
    iam.untag_user(UserName=USER, TagKeys=["Team"])


class Bound(NamedTuple):
    """A call, and its bounds."""

    call: Callable[..., object]
    desired: State
    depth: int
    calls: int
    drift: Callable[[Any], None] | None = nothing  # None: nothing exists yet


BOUNDS = {
    "create a role": Bound(ensure, ROLE_PLAN, 4, 16, None),
    "create a role with an inline policy": Bound(
        ensure, plan_agent_role(inline_policies=[READ]), 4, 21, None
    ),
    "create a user": Bound(ensure, USER_PLAN, 4, 16, None),
    "nothing to do for a role": Bound(ensure, ROLE_PLAN, 1, 3),
    "nothing to do for a user": Bound(ensure, USER_PLAN, 1, 2),
    "three drifts of a role": Bound(ensure, ROLE_PLAN, 3, 15, drift_of_role),
    "two drifts of a user": Bound(ensure, USER_PLAN, 3, 10, drift_of_user),
    "remove a role": Bound(remove, ROLE_PLAN, 4, 16),
    "remove a user": Bound(remove, USER_PLAN, 4, 16),
}


class TestDepth:
    """The cost of a call without lag."""

    @pytest.mark.parametrize("row", BOUNDS.values(), ids=list(BOUNDS))
    def test_bounds(self, session: boto3.Session, row: Bound) -> None:
        """A call stays within its bounds of round trips and requests, and does not pause."""
        if row.drift:
            ensure(row.desired, session=session)
            row.drift(session.client("iam"))
        trips = RoundTrips()
        row.call(row.desired, session=session, propagation=trips.propagation)
        assert len(trips.sends) <= row.depth
        assert sum(trips.sends) <= row.calls

    def test_keys(self, session: boto3.Session, tmp_path: Path) -> None:
        """A user with a key in a file takes six round trips; a second call takes two."""
        store, counts = SharedCredentialsFile(tmp_path / "credentials"), []
        for _ in range(2):
            trips = RoundTrips()
            ensure_agent_user(deliver=store, session=session, propagation=trips.propagation)
            counts.append((len(trips.sends), sum(trips.sends)))
        assert counts == [(6, 19), (2, 4)]

    def test_apply(self, session: boto3.Session) -> None:
        """`apply` costs what `ensure` costs: it reads before it writes, and confirms."""
        changes = preview(ROLE_PLAN, session=session)
        trips = RoundTrips()
        apply(changes, session=session, propagation=trips.propagation)
        assert (len(trips.sends), sum(trips.sends) <= 16) == (4, True)

    def test_many(self) -> None:
        """Twenty roles take as many round trips as one, and twenty times its requests at most."""
        plans = [plan_agent_role(f"Role{number}") for number in range(20)]
        trips = RoundTrips()
        ensure(plans, iam=Replicas(), propagation=trips.propagation)
        assert (len(trips.sends), sum(trips.sends) <= 20 * 16) == (4, True)

    def test_one_after_another(self) -> None:
        """`max_in_flight=1` sends requests strictly one after another, in order."""
        with laggy_iam(SLOW) as lagging:
            settings = attrs.evolve(lagging.propagation, max_in_flight=1)
            ensure(ROLE_PLAN, session=lagging.session, propagation=settings)
            times = [each.time for each in lagging.trace]
            writes = [each.operation for each in lagging.trace if not each.reads]
        assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))
        assert writes == [change.operation for change in _planned(ROLE_PLAN)]

    def test_time(self) -> None:
        """With the default settings a call takes the time of its round trips."""
        with laggy_iam(SLOW) as lagging:
            ensure(USER_PLAN, session=lagging.session, propagation=lagging.propagation)
            assert lagging.clock.elapsed == pytest.approx(4.0)


def _planned(desired: State) -> Sequence[Any]:
    with laggy_iam("off") as lagging:
        return preview(desired, session=lagging.session).changes


def _throttle_half(random: Random, _request: object) -> Answer:
    return THROTTLED if random.random() < 0.5 else None


class TestThrottling:
    """Calls in an account that sends too many requests."""

    @pytest.mark.parametrize("desired", [ROLE_PLAN, USER_PLAN], ids=["role", "user"])
    def test_half_of_all_requests(self, desired: State) -> None:
        """If half of all requests are throttled, creating and removing converge, every time."""
        for seed in range(20):
            world = Replicas(seed=seed)
            settings = world.propagation()
            world.answers = partial(_throttle_half, world.random)
            ensure(desired, iam=world, propagation=settings)
            assert world.is_as_desired(desired)
            remove(desired, iam=world, propagation=settings)
            assert world.things == {}

    def test_half_of_all_replies(self) -> None:
        """If IAM's own replies throttle half of all requests, a user is created and removed."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", probability=0.5))
            session, settings = lagging.session, lagging.propagation
            ensure(USER_PLAN, session=session, propagation=settings)
            assert not preview(USER_PLAN, iam=lagging.truth)
            remove(USER_PLAN, session=session, propagation=settings)
            assert not observe(USER_PLAN, iam=lagging.truth).entities

    @pytest.mark.parametrize("seed", range(8))
    def test_half_of_all_replies_about_keys(self, seed: int, tmp_path: Path) -> None:
        """So is a user with an access key, and the key is rotated, kept and verified."""
        store = SharedCredentialsFile(tmp_path / "credentials")
        with laggy_iam("off", seed=seed) as lagging:
            lagging.fail(Fault("Throttling", probability=0.5))
            both: dict[str, Any] = {"session": lagging.session, "propagation": lagging.propagation}
            created = ensure_agent_user(deliver=store, **both)
            status = rotate_access_key(created.user_name, deliver=store, now=True, **both)
            kept = ensure_agent_user(deliver=store, **both).access_key
            assert kept is not None
            assert (kept.action, kept.access_key_id) == ("kept", status.access_key_id)

    @pytest.mark.parametrize("operation", ["*", "GetRole", "CreateRole", "AttachRolePolicy"])
    @pytest.mark.parametrize("in_flight", [1, 8])
    def test_all_requests(self, operation: str, in_flight: int) -> None:
        """A minute of throttling takes 16 requests an operation at most; the error is typed."""
        with laggy_iam("off") as lagging:
            lagging.fail(Fault("Throttling", operation))
            settings = attrs.evolve(lagging.propagation, max_in_flight=in_flight)
            with pytest.raises(CwAgentIamError, match="request rate is used up") as caught:
                ensure(ROLE_PLAN, session=lagging.session, propagation=settings)
            sent = Counter(each.operation for each in lagging.trace if each.fault)
            assert lagging.clock.elapsed <= 70
        assert sent
        assert max(sent.values()) <= SENDINGS
        assert isinstance(caught.value, ObserveError) is (operation in {"*", "GetRole"})
