"""The parts of the lagging IAM, each by itself: faults, profiles, replies, wire."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, get_args

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from cwagent_iam.testing.lagging.faults import Crash, Fault, Faults, Outcome, TokenBucket, answer
from cwagent_iam.testing.lagging.profiles import PROFILES, Fixed, LogNormal, Plane
from cwagent_iam.testing.lagging.replies import refusal
from cwagent_iam.testing.lagging.wire import HEADER, Request, Sent, Trace, outcome_of, sent_as


def sent(operation: str = "CreateRole", client: str = "ours", **parameters: str) -> Sent:
    """Make a request without a wire."""
    return Sent(
        number=7,
        client=client,
        service="iam",
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
    faults = Faults.of((Fault("crash", "Create*", nth=2),), chance())
    requests = [sent("GetRole"), sent(), sent("GetRole"), sent(), sent()]
    assert struck(faults, requests) == ["-", "-", "-", "crash", "-"]


def test_each_request_goes_wrong_once() -> None:
    """With ``once_each`` the same request passes the second time, and another one does not."""
    faults = Faults.of((Fault("empty 500", once_each=True),), chance())
    requests = [sent(RoleName="A"), sent(RoleName="A"), sent(RoleName="B"), sent(RoleName="A")]
    assert struck(faults, requests) == ["empty 500", "-", "empty 500", "-"]


def test_a_script_goes_before_the_profile_and_both_count() -> None:
    """The rule of the script wins, and the profile's has counted the request all the same."""
    faults = Faults.of((Fault("HTML 503", nth=2),), chance())
    faults.add(Fault("crash", nth=1))
    assert struck(faults, [sent(), sent(), sent()]) == ["crash", "HTML 503", "-"]


def test_a_rule_of_a_script_counts_from_when_it_was_added() -> None:
    """What was sent before a rule was added does not count for it."""
    faults = Faults.of((), chance())
    before = struck(faults, [sent()])
    faults.add(Fault("crash", nth=1))
    assert before + struck(faults, [sent(), sent()]) == ["-", "crash", "-"]


def test_a_rule_that_lost_to_another_has_not_struck() -> None:
    """A ``once_each`` rule behind another one still has its turn with the same request."""
    faults = Faults.of((Fault("HTML 503", once_each=True),), chance())
    faults.add(Fault("crash", nth=1))
    assert struck(faults, [sent(), sent(), sent()]) == ["crash", "HTML 503", "-"]


def test_faults_are_as_frequent_as_probable() -> None:
    """A rule of probability 0.25 hits about a quarter; one of 0 none; one of 1 all."""
    hits = {}
    for probability in (0.0, 0.25, 1.0):
        faults = Faults.of((Fault("crash", probability=probability),), chance())
        hits[probability] = Counter(struck(faults, [sent()] * 1000))["crash"]
    assert hits[0.0] == 0
    assert 200 < hits[0.25] < 300
    assert hits[1.0] == 1000


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("Throttling", "400 Throttling"),
        ("ServiceFailure", "500 ServiceFailure"),
        ("ConcurrentModification", "409 ConcurrentModification"),
        ("empty 500", "500"),
        ("HTML 503", "503"),
    ],
)
def test_a_fault_can_be_a_reply(outcome: Outcome, said: str) -> None:
    """Status and code are those of AWS; a proxy or a broken server gives no code."""
    assert outcome_of(answer(Fault(outcome), sent())) == said


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


# --- wire -----------------------------------------------------------------------------------------


def signed(data: str | bytes, **headers: str | bytes) -> AWSRequest:
    """Make a request as botocore does."""
    return AWSRequest("POST", "https://iam.amazonaws.com/", headers, data)


def test_a_request_is_read_from_the_wire() -> None:
    """Operation, arguments, signer and sender are found, empty arguments included."""
    request = signed(
        "Action=CreateRole&RoleName=Agent&Description=&Path=%2Fa%2F",
        Authorization=b"AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/iam/aws4_request, ...",
        **{HEADER: "rival"},
    )
    assert sent_as(request.prepare(), 3) == Sent(
        number=3,
        client="rival",
        service="iam",
        operation="CreateRole",
        parameters={"RoleName": "Agent", "Description": "", "Path": "/a/"},
        access_key="AKIAX",
        url="https://iam.amazonaws.com/",
        body="Action=CreateRole&RoleName=Agent&Description=&Path=%2Fa%2F",
    )


def test_a_request_of_an_unknown_form_has_empty_parts() -> None:
    """What is not signed and has no body comes from ``other`` and is no operation."""
    read = sent_as(signed("").prepare(), 1)
    assert (read.client, read.service, read.access_key) == ("other", "", "")
    assert (read.operation, read.parameters, read.target) == ("", {}, "")


@pytest.mark.parametrize(
    ("request_", "reads", "target", "creates", "named"),
    [
        (sent(RoleName="A", PermissionsBoundary="p"), False, "A", "role", []),
        (sent("GetRole", RoleName="A"), True, "A", None, [("role", "A")]),
        (sent("CreatePolicy", PolicyName="P"), False, "P", "policy", []),
        (sent("CreateAccessKey", UserName="U"), False, "U", None, [("user", "U")]),
        (
            sent("AddRoleToInstanceProfile", RoleName="A", InstanceProfileName="I"),
            False,
            "I",
            None,
            [("instance profile", "I"), ("role", "A")],
        ),
        (
            sent("UpdateAccessKey", AccessKeyId="K", UserName="U"),
            False,
            "U",
            None,
            [("user", "U"), ("access key", "K")],
        ),
        (
            sent("AttachRolePolicy", RoleName="A", PolicyArn="p"),
            False,
            "A",
            None,
            [("role", "A"), ("policy", "p")],
        ),
        (sent("AssumeRole", RoleArn="r"), True, "r", None, []),
        (sent("ListRoles"), True, "", None, []),
    ],
    ids=lambda value: value.operation if isinstance(value, Sent) else "",
)
def test_a_request_tells_what_it_is_about(
    request_: Sent,
    *,
    reads: bool,
    target: str,
    creates: str | None,
    named: list[tuple[str, str]],
) -> None:
    """What is created need not exist, whatever else is named must; reads change nothing."""
    assert request_.reads is reads
    assert request_.target == target
    assert request_.creates == creates
    assert request_.named == named


def test_a_trace_is_a_table() -> None:
    """Each request is a line: a dash stands for the truth, and a fault is in brackets."""
    first = Request(number=1, time=0.5, client="ours", operation="GetRole", target="A", reads=True)
    second = Request(
        number=2,
        time=61.25,
        client="ours",
        operation="CreateRole",
        target="A",
        reads=False,
        replica=0,
        fault="done, but HTML 503",
        outcome="503",
    )
    first.outcome = "404 NoSuchEntity"
    assert str(Trace([first, second])) == (
        "   #     time client   replica, operation, target -> outcome\n"
        "   1     0.50 ours     - GetRole A -> 404 NoSuchEntity\n"
        "   2    61.25 ours     0 CreateRole A -> 503  [done, but HTML 503]"
    )


def test_an_outcome_is_a_status_and_the_code_of_an_error() -> None:
    """A code counts in errors only; bodies may be text or bytes."""
    assert outcome_of((200, {}, "<Code>Success</Code>")) == "200"
    assert outcome_of((404, {}, b"<Code>NoSuchEntity</Code>")) == "404 NoSuchEntity"
    assert outcome_of((500, {}, b"\xff")) == "500"
