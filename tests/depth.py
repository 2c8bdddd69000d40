"""Counts and depth of the library's calls to a slow IAM on loopback; ``nox -s depth``.

Depth is how many round trips a caller waits for one after another. The table shows it in two ways:

- *By time*: the longest chain of calls, each of which arrived after the one before was answered. A
  call that had to queue, because `max_in_flight` others were under way, lengthens the chain.
- *In batches*: a call that had to queue counts with those that it was queued behind. The targets
  are for this depth.

The server is moto, as `sandbox` sets it up, in a process of its own. It answers each call after
50 ms, and can throttle a share of them. A careful script of get-or-create calls does the same work
for comparison. The exit code is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import functools
import http.server
import json
import multiprocessing
import os
import random
import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs
import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto.core.models import botocore_stubber

from cwagent_iam import (
    CwAgentIamError,
    Propagation,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
    remove,
)
from cwagent_iam.testing import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

LATENCY = 0.05
"""Seconds from the arrival of a call to its answer."""

SIDE_BY_SIDE = 5
"""Seeds that run at the same time; they pause for most of it."""

LONGEST = 600.0
"""Seconds after which no further seed is started."""

SENDINGS = 16
"""The most sendings of one request."""

ENOUGH = 8
"""The least `max_in_flight` for which there are targets of depth."""

SCRIPT = "script"
POLICY = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
NAMES = ("RoleName", "UserName", "InstanceProfileName")
THROTTLING = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>"
    b"<Message>Rate exceeded</Message></Error><RequestId>throttled</RequestId></ErrorResponse>"
)
HEADERS = HTTPHeaders()
HEADERS["Content-Type"] = "application/x-www-form-urlencoded"
HEADERS["Authorization"] = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/iam/aws4_request"
DUMMY: dict[str, Any] = {
    "aws_access_key_id": "testing",
    "aws_secret_access_key": "testing",
    "region_name": "us-east-1",
}


# --- the server, in a process of its own ----------------------------------------------------------


@attrs.frozen
class Call:
    """A call that was answered, by the server's clock, in seconds."""

    operation: str
    name: str
    began: float
    ended: float

    @property
    def reads(self) -> bool:
        """Whether it is a read."""
        return self.operation.startswith(("Get", "List"))


class Server(http.server.ThreadingHTTPServer):
    """A slow IAM that records calls and throttles a share of them."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of loopback."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[Call] = []
        self.throttled = 0.0
        self._sendings: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    def answer(self, body: str) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        request = AWSPreparedRequest("POST", "https://iam.amazonaws.com/", HEADERS, body, False)  # noqa: FBT003
        with self._lock:
            self._sendings[body] += 1
            # Not by the order of all arrivals: threads make that another one in each run.
            chance = random.Random(f"{body} {self._sendings[body]}").random()  # noqa: S311
            if chance < self.throttled:
                return 400, THROTTLING
            reply = botocore_stubber("before-send", request)
        return (reply.status_code, reply.content) if reply else (500, b"")


class Handler(http.server.BaseHTTPRequestHandler):
    """A connection to the server."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one packet

    def do_POST(self) -> None:
        """Answer a call, `LATENCY` seconds after it arrived."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        began = time.monotonic()
        status, answer = self.server.answer(body)
        time.sleep(max(began + LATENCY - time.monotonic(), 0.0))
        asked = dict(parse_qsl(body))
        name = next((asked[each] for each in NAMES if each in asked), "")
        self.server.calls.append(Call(asked["Action"], name, began, time.monotonic()))
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def serve(pipe: Connection) -> None:
    """Run a server until *pipe* is closed; each number that comes is the share to throttle next."""
    with sandbox(), contextlib.suppress(EOFError):
        server = Server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pipe.send(server.server_port)
        while True:
            server.throttled = pipe.recv()
            calls, server.calls = server.calls, []
            pipe.send(calls)


@attrs.frozen
class Remote:
    """The server, as its clients know it.

    Attributes:
        url: Where it listens.
    """

    url: str
    _pipe: Connection

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Remote]:
        """Start a server, and end it."""
        processes = multiprocessing.get_context("spawn")
        here, there = processes.Pipe()
        process = processes.Process(target=serve, args=(there,), daemon=True)
        process.start()
        there.close()
        try:
            if not here.poll(60):
                sys.exit("The server does not start.")
            yield cls(f"http://127.0.0.1:{here.recv()}", here)
        finally:
            process.kill()
            process.join()

    def taken(self, *, throttled: float = 0.0) -> list[Call]:
        """Return the calls since the last time; from now on the share *throttled* is refused."""
        self._pipe.send(throttled)
        calls: list[Call] = self._pipe.recv()
        return sorted(calls, key=lambda call: call.began)

    def client(self) -> Any:
        """Return a client that knows the server, with boto3's defaults."""
        return boto3.client("iam", endpoint_url=self.url, **DUMMY)


# --- those that call it ---------------------------------------------------------------------------


@attrs.frozen
class Caller:
    """One that creates or repairs, and removes, a role with its profile and a user of a name."""

    title: str
    role: Callable[[str], object]
    remove_role: Callable[[str], object]
    user: Callable[[str], object]
    remove_user: Callable[[str], object]


def library(title: str, **options: Any) -> Caller:
    """Return the library with *options*."""
    return Caller(
        title,
        role=lambda name: ensure_agent_role(name, **options),
        remove_role=lambda name: remove(plan_agent_role(name), **options),
        user=lambda name: ensure_agent_user(name, **options),
        remove_user=lambda name: remove(plan_agent_user(name), **options),
    )


def script(iam: Any) -> Caller:
    """Return the careful script."""
    return Caller(
        SCRIPT,
        role=functools.partial(script_role, iam),
        remove_role=functools.partial(script_remove_role, iam),
        user=functools.partial(script_user, iam),
        remove_user=functools.partial(script_remove_user, iam),
    )


def trust_of(service: str) -> dict[str, Any]:
    """Return a trust policy."""
    principal = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def got(call: Callable[..., Any], **options: str) -> Any:
    """Return the reply of a call; `None` if the entity does not exist."""
    try:
        return call(**options)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
    return None


def script_role(iam: Any, name: str) -> None:
    """Create what is missing, and repair what differs."""
    trust, role = trust_of("ec2"), got(iam.get_role, RoleName=name)
    if not role:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    elif role["Role"]["AssumeRolePolicyDocument"] != trust:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    if POLICY not in {each["PolicyArn"] for each in attached}:
        iam.attach_role_policy(RoleName=name, PolicyArn=POLICY)
    profile = got(iam.get_instance_profile, InstanceProfileName=name)
    if not profile:
        profile = iam.create_instance_profile(InstanceProfileName=name)
    if not profile["InstanceProfile"]["Roles"]:
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def script_remove_role(iam: Any, name: str) -> None:
    """Remove what `script_role` creates."""
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    iam.detach_role_policy(RoleName=name, PolicyArn=POLICY)
    iam.delete_role(RoleName=name)


def script_user(iam: Any, name: str) -> None:
    """Create what is missing."""
    if not got(iam.get_user, UserName=name):
        iam.create_user(UserName=name)
    attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    if POLICY not in {each["PolicyArn"] for each in attached}:
        iam.attach_user_policy(UserName=name, PolicyArn=POLICY)


def script_remove_user(iam: Any, name: str) -> None:
    """Remove what `script_user` creates."""
    iam.detach_user_policy(UserName=name, PolicyArn=POLICY)
    iam.delete_user(UserName=name)


# --- depth ----------------------------------------------------------------------------------------


@attrs.frozen
class Phase:
    """A phase, and the most batches and calls that it may take."""

    title: str
    of: str
    batches: int
    calls: int
    drifts: bool = False


PHASES = (
    Phase("create role and profile", "role", 4, 16),
    Phase("again", "role", 1, 3),
    Phase("three drifts", "role", 3, 15, drifts=True),
    Phase("remove", "remove_role", 4, 16),
    Phase("create user", "user", 4, 16),
    Phase("again", "user", 1, 2),
    Phase("remove", "remove_user", 4, 16),
)


def drift(iam: Any, name: str) -> None:
    """Replace the trust policy, detach the policy, and take the role out of its profile."""
    trust = json.dumps(trust_of("lambda"))
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
    iam.detach_role_policy(RoleName=name, PolicyArn=POLICY)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)


def chain(calls: Sequence[Call]) -> int:
    """Return the depth by time of *calls*, which are in the order of their arrival."""
    depths: list[int] = []
    for call in calls:
        before = [
            n for n, earlier in zip(depths, calls, strict=False) if earlier.ended <= call.began
        ]
        depths.append(1 + max(before, default=0))
    return max(depths, default=0)


def batches(calls: Sequence[Call], max_in_flight: int) -> int:
    """Return the depth in batches of *calls*, which are in the order of their arrival.

    Calls that overlap are one batch. Where `max_in_flight` of them end at the same moment, a call
    of their kind that arrives sooner than one could have been answered was queued behind them.
    """
    count, members, ended, reads = 0, 0, 0.0, False
    for call in calls:
        queued = members >= max_in_flight and call.began < ended + LATENCY and call.reads == reads
        if not count or (call.began >= ended and not queued):
            count, members, ended = count + 1, 0, 0.0
        members, ended, reads = members + 1, max(ended, call.ended), call.reads
    return count


def most_in_flight(calls: Sequence[Call]) -> int:
    """Return how many of *calls* were under way at the same time at most."""
    return max((sum(c.began <= call.began < c.ended for c in calls) for call in calls), default=0)


@attrs.frozen
class Figures:
    """What a phase took: numbers of calls, and seconds from the first call to the last answer."""

    calls: int
    batches: int
    by_time: int
    in_flight: int
    seconds: float

    @classmethod
    def of(cls, calls: Sequence[Call], max_in_flight: int) -> Figures:
        """Return the figures of *calls*, which are in the order of their arrival."""
        return cls(
            calls=len(calls),
            # If fewer may be in flight, a call that had to queue is a batch of its own.
            batches=batches(calls, max(max_in_flight, ENOUGH)),
            by_time=chain(calls),
            in_flight=most_in_flight(calls),
            seconds=calls[-1].ended - calls[0].began,
        )

    def __str__(self) -> str:
        """The figures under the headings of the table."""
        counts = f"{self.calls:5} {self.batches:8} {self.by_time:8} {self.in_flight:10}"
        return f"{counts} {self.seconds:8.2f}"


def measure_depth(remote: Remote, max_in_flight: int) -> bool:
    """Print the table of phases and callers; return whether all targets are met."""
    propagation = Propagation(max_in_flight=max_in_flight)
    callers = (
        library("by session", session=boto3.Session(**DUMMY), propagation=propagation),
        library("by client", iam=remote.client(), propagation=propagation),
    )
    print(f"{LATENCY * 1000:.0f} ms a call; max_in_flight={max_in_flight}\n")
    print(f"{'':35} calls  batches  by time  in flight  seconds  x script  target")
    peer = [measured(remote, script(remote.client()), phase, 1) for phase in PHASES]
    for phase, its in zip(PHASES, peer, strict=True):
        print(f"{phase.title:24} {SCRIPT:10} {its}")
    met = True
    for caller in callers:
        for phase, one in zip(PHASES, peer, strict=True):
            its = measured(remote, caller, phase, max_in_flight)
            deep = its.batches > phase.batches and max_in_flight >= ENOUGH
            missed = deep or its.calls > phase.calls or its.in_flight > max_in_flight
            target = f"{phase.calls} / {phase.batches}{' MISSED' * missed}"
            ratio = its.seconds / one.seconds
            print(f"{phase.title:24} {caller.title:10} {its} {ratio:9.2f}  {target}")
            met &= not missed
    return met


def measured(remote: Remote, caller: Caller, phase: Phase, max_in_flight: int) -> Figures:
    """Let *caller* go through *phase*, and return what it took."""
    name = f"depth-{caller.title.replace(' ', '-')}"
    if phase.drifts:
        drift(remote.client(), name)
    remote.taken()
    getattr(caller, phase.of)(name)
    return Figures.of(remote.taken(), max_in_flight)


# --- throttling -----------------------------------------------------------------------------------


@attrs.frozen
class Run:
    """One call while the server throttles."""

    name: str
    seconds: float
    error: Exception | None


def run_seed(call: Callable[[str], object], name: str, deadline: float) -> Run | None:
    """Run one call; return `None` if it is too late to start it."""
    began = time.monotonic()
    if began > deadline:
        return None
    error: Exception | None = None
    try:
        call(name)
    except (CwAgentIamError, ClientError) as raised:
        error = raised
    return Run(name, time.monotonic() - began, error)


def measure_throttling(remote: Remote, share: float, seeds: int) -> bool:
    """Run seeds of role and user; print figures; return whether the library met its targets."""
    print(f"{share:.0%} of all requests throttled; {seeds} seeds; the default settings\n")
    print(f"{'':5} {'caller':10} converged    min  median   max s  most sendings of an operation")
    met = True
    for of in ("role", "user"):
        met &= throttled_runs(remote, "library", of, share, seeds)
        throttled_runs(remote, SCRIPT, of, share, seeds)
    return met


def throttled_runs(remote: Remote, title: str, of: str, share: float, seeds: int) -> bool:
    """Run and print the seeds of one caller; return whether all of them ended as they should."""

    def call(name: str) -> object:
        session = boto3.Session(**DUMMY)  # one a thread: sessions are not thread-safe
        scripted = title == SCRIPT
        caller = script(session.client("iam")) if scripted else library(title, session=session)
        return getattr(caller, of)(name)

    remote.taken(throttled=share)
    deadline = time.monotonic() + LONGEST
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        names = [f"{title}-{of}-{seed}" for seed in range(seeds)]
        runs = list(filter(None, pool.map(lambda name: run_seed(call, name, deadline), names)))
    sent = collections.Counter((call.name, call.operation) for call in remote.taken())
    failed = [run for run in runs if run.error]
    converged = [run for run in runs if not run.error and as_desired(remote, of, run.name)]
    seconds = [run.seconds for run in runs]
    (_, operation), sendings = sent.most_common(1)[0]
    print(
        f"{of:5} {title:10} {f'{len(converged)} of {seeds}':>9} {min(seconds):6.1f}"
        f" {statistics.median(seconds):7.1f} {max(seconds):5.1f} {sendings:8} {operation}"
    )
    for words, count in collections.Counter(map(words_of, failed)).most_common(5):
        print(f"{'':6}{count} x {words}")
    if share < 1:
        return len(converged) == seeds
    return len(failed) == seeds and sendings <= SENDINGS


def words_of(run: Run) -> str:
    """Return the class and the first line of the error of *run*."""
    return f"{type(run.error).__name__}: {run.error}".splitlines()[0][:110]


def as_desired(remote: Remote, of: str, name: str) -> bool:
    """Return whether the careful script finds nothing to do."""
    remote.taken()
    getattr(script(remote.client()), of)(name)
    return all(call.reads for call in remote.taken())


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measures calls to a slow IAM on loopback.")
    parser.add_argument("--max-in-flight", type=int, default=8)
    parser.add_argument("--throttled", type=float, help="share of requests, from 0 to 1")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    with Remote.started() as remote:
        os.environ.update(
            AWS_ENDPOINT_URL=remote.url,
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
            AWS_EC2_METADATA_DISABLED="true",
        )
        remote.client().list_roles()  # the first call to moto takes longer than all others
        if options.throttled is None:
            met = measure_depth(remote, options.max_in_flight)
        else:
            met = measure_throttling(remote, options.throttled, options.seeds)
    if not met:
        sys.exit("\nA target is missed.")


if __name__ == "__main__":
    main()
