"""The parts of the lagging IAM, each by itself: faults, profiles, replies."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, get_args

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from cwagent_iam import IntentError
from cwagent_iam.testing.lagging.faults import Fault, Faults, Outcome, TokenBucket, answer
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed, LogNormal, Plane
from cwagent_iam.testing.lagging.replies import refusal, throttled
from cwagent_iam.testing.lagging.wire import Crash, Sent, outcome_of


def sent(
    operation: str = "CreateRole", client: str = "ours", service: str = "iam", **parameters: str
) -> Sent:
    """Make a request without a wire."""
    return Sent(
        number=7,
        client=client,
        service=service,
        operation=operation,
        parameters=parameters,
        access_key="AKIA",
        url="https://iam.amazonaws.com/",
        body=f"Action={operation}&{parameters}",
    )


def chance(seed: int = 0) -> random.Random:
    """Give chance a beginning."""
    return random.Random(seed)  # noqa: S311 - it shall be predictable


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "fits"),
    [
        pytest.param(Fault("crash"), True, id="any"),
        pytest.param(Fault("crash", "Create*"), True, id="operation"),
        pytest.param(Fault("crash", "create*"), False, id="operation in lower case"),
        pytest.param(Fault("crash", "*", "o?rs"), True, id="client"),
        pytest.param(Fault("crash", "*", "rival"), False, id="another client"),
        pytest.param(Fault("crash", writes_only=True), True, id="a write"),
    ],
)
def test_a_rule_is_for_an_operation_of_a_client(fault: Fault, *, fits: bool) -> None:
    """Operation and client are compared as file names are, upper and lower case apart."""
    assert fault.fits(sent()) is fits


def test_a_rule_for_writes_leaves_reads_alone() -> None:
    """A rule for writes only does not fit a read, which a rule for both does."""
    assert not Fault("crash", writes_only=True).fits(sent("GetRole"))
    assert Fault("crash").fits(sent("GetRole"))


def test_a_fault_tells_whether_the_work_was_done() -> None:
    """A fault after the work says that it was done."""
    assert str(Fault("HTML 503")) == "HTML 503"
    assert str(Fault("HTML 503", when="after")) == "done, but HTML 503"


def struck(faults: Faults, requests: list[Sent]) -> list[str]:
    """Say what becomes of each of the requests."""
    return [str(faults.strike(each) or "-") for each in requests]


def test_the_nth_fitting_request_goes_wrong() -> None:
    """Requests are counted from 1, those that the rule is not for are not."""
    faults = Faults.of((Fault("Throttling", "Create*", nth=2),), chance())
    requests = [sent("GetRole"), sent(), sent("GetRole"), sent(), sent()]
    assert struck(faults, requests) == ["-", "-", "-", "Throttling", "-"]


def test_each_request_goes_wrong_once() -> None:
    """With ``once_each`` the same request passes the second time, and another one does not."""
    faults = Faults.of((Fault("empty 500", once_each=True),), chance())
    requests = [sent(RoleName="A"), sent(RoleName="A"), sent(RoleName="B"), sent(RoleName="A")]
    assert struck(faults, requests) == ["empty 500", "-", "empty 500", "-"]


def test_a_script_goes_before_the_profile_and_both_count() -> None:
    """The rule of the script wins, and the profile's has counted the request all the same."""
    faults = Faults.of((Fault("HTML 503", nth=2),), chance())
    faults.add(Fault("Throttling", nth=1))
    assert struck(faults, [sent(), sent(), sent()]) == ["Throttling", "HTML 503", "-"]


def test_a_rule_of_a_script_counts_from_when_it_was_added() -> None:
    """What was sent before a rule was added does not count for it."""
    faults = Faults.of((), chance())
    before = struck(faults, [sent()])
    faults.add(Fault("Throttling", nth=1))
    assert before + struck(faults, [sent(), sent()]) == ["-", "Throttling", "-"]


def test_a_rule_that_lost_to_another_has_not_struck() -> None:
    """A ``once_each`` rule behind another one still has its turn with the same request."""
    faults = Faults.of((Fault("HTML 503", once_each=True),), chance())
    faults.add(Fault("Throttling", nth=1))
    assert struck(faults, [sent(), sent(), sent()]) == ["Throttling", "HTML 503", "-"]


def test_faults_are_as_frequent_as_probable() -> None:
    """A rule of probability 0.25 hits about a quarter; one of 0 none; one of 1 all."""
    hits = {}
    for probability in (0.0, 0.25, 1.0):
        faults = Faults.of((Fault("Throttling", probability=probability),), chance())
        hits[probability] = Counter(struck(faults, [sent()] * 1000))["Throttling"]
    assert hits[0.0] == 0
    assert 200 < hits[0.25] < 300
    assert hits[1.0] == 1000


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("Throttling", "400 Throttling"),
        ("ServiceFailure", "500 ServiceFailure"),
        ("ConcurrentModification", "409 ConcurrentModification"),
        ("EntityTemporarilyUnmodifiable", "409 EntityTemporarilyUnmodifiable"),
        ("empty 500", "500"),
        ("HTML 503", "503"),
    ],
)
def test_a_fault_can_be_a_reply(outcome: Outcome, said: str) -> None:
    """Status and code are those of AWS; a proxy or a broken server gives no code."""
    assert outcome_of(answer(Fault(outcome), sent())) == said


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("iam", "400 Throttling"),
        ("sts", "400 Throttling"),
        ("ec2", "503 RequestLimitExceeded"),
    ],
)
def test_each_service_throttles_in_its_own_words(service: str, said: str) -> None:
    """EC2 has a code and a status of its own, for a full bucket and for a fault."""
    assert outcome_of(throttled(service)) == said
    assert outcome_of(answer(Fault("Throttling"), sent(service=service))) == said


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("connection refused", EndpointConnectionError),
        ("connection closed", ConnectionClosedError),
        ("read timeout", ReadTimeoutError),
    ],
)
def test_a_fault_can_be_of_the_network(outcome: Outcome, error: type[Exception]) -> None:
    """The client gets botocore's exception, which names where the request was sent."""
    with pytest.raises(error, match=r"https://iam\.amazonaws\.com/"):
        answer(Fault(outcome), sent())


def test_a_crash_ends_the_program() -> None:
    """A crash says where it was, and is nothing that ``except Exception`` could catch."""
    with pytest.raises(Crash, match=r"^killed after request 7, CreateRole$"):
        answer(Fault("crash", when="after"), sent())
    assert not issubclass(Crash, Exception)


def test_a_bucket_lets_a_burst_through_and_refills() -> None:
    """At first the burst passes, then the rate; a long rest never gives more than the burst."""
    tokens = TokenBucket(rate=2.0, burst=3.0)
    assert [tokens.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [tokens.take(10.5), tokens.take(10.5)] == [True, False]
    assert [tokens.take(999.0) for _ in range(4)] == [True, True, True, False]


# --- profiles -------------------------------------------------------------------------------------


def test_fixed_delays_are_one_for_each_replica() -> None:
    """The last delay is for the replicas that have none of their own."""
    assert [Fixed(1.0, 4.0).seconds(replica, chance()) for replica in range(3)] == [1.0, 4.0, 4.0]


def test_fixed_delays_are_one_at_least() -> None:
    """Without a delay there is nothing to answer with, and it is said at once."""
    with pytest.raises(IntentError, match=r"^delays=\(\): must be one delay for each replica"):
        Fixed()


def test_measured_delays_scatter_around_the_median_below_the_cap() -> None:
    """Half of the delays are below the median; the longest ones are cut to the cap."""
    lag, luck = LogNormal(2.0, 0.9, 10.0), chance()
    delays = [lag.seconds(0, luck) for _ in range(1000)]
    assert 400 < sum(delay < 2.0 for delay in delays) < 600
    assert min(delays) > 0
    assert max(delays) == 10.0


def test_only_the_profile_off_has_no_lag() -> None:
    """``off`` has no lag on any plane, and every other profile has one on each."""
    planes = {name: sorted(profile.lags) for name, profile in PROFILES.items()}
    every = sorted(get_args(Plane))
    assert planes == {"off": [], "typical": every, "bad_day": every, "adversarial": every}


def test_a_bad_day_is_six_times_slower() -> None:
    """Every median of ``bad_day`` is six times that of ``typical``, and its cap two minutes."""
    typical: Any = PROFILES["typical"].lags
    bad: Any = PROFILES["bad_day"].lags
    slower = {plane: lag.median / typical[plane].median for plane, lag in bad.items()}
    assert slower == dict.fromkeys(typical, 6.0)
    assert {lag.cap for lag in bad.values()} == {120.0}


def test_the_adversary_loses_the_reply_of_every_write_once() -> None:
    """``adversarial`` lets a repeated write through, and reads always."""
    faults = Faults.of(PROFILES["adversarial"].faults, chance())
    lost = "done, but connection closed"
    assert struck(faults, [sent(), sent(), sent("GetRole")]) == [lost, "-", "-"]


# --- replies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "root"),
    [
        ("iam", "<ErrorResponse><Error>"),
        ("sts", "<ErrorResponse><Error>"),
        ("ec2", "<Response><Errors>"),
    ],
)
def test_a_refusal_has_the_form_of_its_service(service: str, root: str) -> None:
    """EC2 wraps errors in its own way; words are escaped, since they quote the caller."""
    status, headers, body = refusal(service, "NoSuchEntity", "a < b", 404)
    assert (status, headers) == (404, {"content-type": "text/xml"})
    assert str(body).startswith(root)
    assert "<Code>NoSuchEntity</Code><Message>a &lt; b</Message>" in str(body)
