"""The wire of the lagging IAM: what was sent, what is told of it, and what was sent again."""

from __future__ import annotations

import pytest
from botocore.awsrequest import AWSRequest

from cwagent_iam.testing.lagging.wire import (
    HEADER,
    PATIENCE,
    Request,
    Sent,
    Trace,
    outcome_of,
    sent_as,
)


def sent(operation: str = "CreateRole", **parameters: str) -> Sent:
    """Make a request without a wire."""
    return Sent(
        number=7,
        client="ours",
        service="iam",
        operation=operation,
        parameters=parameters,
        access_key="AKIA",
        url="https://iam.amazonaws.com/",
        body=f"Action={operation}&{parameters}",
    )


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
    ("operation", "service"),
    [("AssumeRoleWithWebIdentity", "sts"), ("AssumeRoleWithSAML", "sts"), ("GetObject", "")],
)
def test_a_token_is_for_sts(operation: str, service: str) -> None:
    """What takes a token is not signed, and is known by its name; nothing else is."""
    read = sent_as(signed(f"Action={operation}&RoleArn=r").prepare(), 1)
    assert (read.service, read.access_key, read.target) == (service, "", "r")


def test_a_client_tells_its_patience() -> None:
    """A request says how long its client waits for a reply; 15 seconds unless it does."""
    told = [sent_as(signed("", **headers).prepare(), 1) for headers in ({}, {PATIENCE: "2.5"})]
    assert [request.read_timeout for request in told] == [15.0, 2.5]


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
        (
            sent("PutRolePolicy", RoleName="A", PolicyName="P"),
            False,
            "A",
            None,
            [("role", "A")],
        ),
        (sent("GetUserPolicy", UserName="U", PolicyName="P"), True, "U", None, [("user", "U")]),
        (sent("DeleteUserPermissionsBoundary", UserName="U"), False, "U", None, [("user", "U")]),
        (sent("ListPolicies", PathPrefix="/team/"), True, "", None, []),
        (sent("GetAccountSummary"), True, "", None, []),
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


@pytest.mark.parametrize("dry_run", [None, "false", "true"])
def test_a_dry_run_is_a_read(dry_run: str | None) -> None:
    """What EC2 is asked to try only changes nothing."""
    request = sent("RunInstances", **({"DryRun": dry_run} if dry_run else {}))
    assert request.reads is (dry_run == "true")


@pytest.mark.parametrize(
    ("request_", "written"),
    [
        (sent(RoleName="Agent"), ("role", "agent")),
        (sent("CreatePolicy", PolicyName="P", Path="/team/"), ("policy", "p")),
        (sent("TagPolicy", PolicyArn="arn:aws:iam::1:policy/team/P"), ("policy", "p")),
        (sent("AttachRolePolicy", RoleName="A", PolicyArn="p"), ("role", "a")),
        (
            sent("AddRoleToInstanceProfile", InstanceProfileName="I", RoleName="A"),
            ("instance profile", "i"),
        ),
        (sent("PutRolePolicy", RoleName="A", PolicyName="P"), ("role", "a")),
        (sent("DeleteUserPolicy", UserName="U", PolicyName="P"), ("user", "u")),
        (sent("DeleteRolePermissionsBoundary", RoleName="A"), ("role", "a")),
        (sent("CreateAccessKey", UserName="U"), ("user", "u")),
        (sent("CreateAccessKey"), None),
        (sent("GetRole", RoleName="Agent"), None),
    ],
    ids=lambda value: str(value.parameters) + value.operation if isinstance(value, Sent) else "",
)
def test_a_write_tells_what_it_writes_to(request_: Sent, written: tuple[str, str] | None) -> None:
    """The one thing that is written to is known by its name, in whatever case; reads have none."""
    assert request_.written == written


def line(
    outcome: str, operation: str = "CreateRole", client: str = "ours", body: str = "A"
) -> Request:
    """Make a line of a trace."""
    return Request(
        number=1,
        time=0.0,
        client=client,
        operation=operation,
        target="A",
        reads=operation == "GetRole",
        outcome=outcome,
        body=body,
    )


@pytest.mark.parametrize(
    ("outcome", "write", "read"),
    [
        ("200", False, False),
        ("404 NoSuchEntity", True, False),
        ("409 ConcurrentModification", True, False),
        ("400 Throttling", True, True),
        ("503 RequestLimitExceeded", True, True),
        ("500 ServiceFailure", True, True),
        ("500", True, True),
        ("ConnectionClosedError", True, True),
        ("not answered", True, True),
        ("Crash", False, False),
    ],
)
def test_what_gave_no_answer_has_failed(outcome: str, *, write: bool, read: bool) -> None:
    """A refused write has failed; a refused read was answered; nobody goes on after a crash."""
    assert line(outcome).has_failed is write
    assert line(outcome, "GetRole").has_failed is read


LOST = "ConnectionClosedError"


@pytest.mark.parametrize(
    ("requests", "repeats"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([line("200"), line("200")], 0, id="twice, not failed"),
        pytest.param([line(LOST), line("200")], 1, id="after a failure"),
        pytest.param([line(LOST), line(LOST), line("200")], 2, id="after two failures"),
        pytest.param([line(LOST), line("200"), line("200")], 1, id="no more after a success"),
        pytest.param([line(LOST), line("404 x", "GetRole"), line("200")], 1, id="with others"),
        pytest.param([line(LOST), line("200", body="B")], 0, id="other arguments"),
        pytest.param([line(LOST), line("200", "DeleteRole")], 0, id="other operation"),
        pytest.param([line(LOST), line("200", client="rival")], 0, id="other client"),
        pytest.param([line("404 x", "GetRole"), line("200", "GetRole")], 0, id="another look"),
    ],
)
def test_a_trace_counts_what_was_sent_again(requests: list[Request], repeats: int) -> None:
    """The same request of the same client, the last one of which has failed, is a repeat."""
    assert Trace(requests).repeats == repeats


def test_arguments_are_not_printed() -> None:
    """Neither a line nor what Python shows of it tells the arguments, which may be passwords."""
    request = line("200", body="Password=secret")
    assert "secret" not in f"{request} {request!r} {Trace([request])}"


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
    assert outcome_of(None) == "not answered"
