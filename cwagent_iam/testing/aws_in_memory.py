"""The sandbox: an AWS in memory, simulated by moto in this process.

The sandbox adds what moto lacks, one function each: an environment without the caller's settings,
the AWS-managed policies, the partitions that moto does not know, and a block on the network. The
block stops requests that moto does not answer, and clients that outlive their sandbox.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import os
import re
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from unittest.mock import patch
from urllib.parse import urlsplit

try:
    from moto.core import models as core_models, responses as core_responses
    from moto.core.botocore_stubber import BotocoreStubber
    from moto.core.models import MockAWS, botocore_stubber
    from moto.iam import models as iam_models
    from moto.iam.aws_managed_policies import aws_managed_policies_data
    from moto.iam.models import AWSManagedPolicy, IAMBackend
    from moto.sts import models as sts_models
    from moto.utilities.utils import PARTITION_NAMES, REGION_PREFIX_TO_PARTITION, get_partition
except ImportError as _error:
    _HINT = "cwagent_iam.testing needs moto 5.2 or later: pip install cwagent-iam[testing]"
    raise ImportError(_HINT, name=_error.name) from _error

import attrs
import boto3
import botocore.session
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader, create_loader

from cwagent_iam import propagation
from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.testing.moto_gaps import missing_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest

_POLICIES = (
    # the agent's policies
    "CloudWatchAgentServerPolicy",
    "CloudWatchAgentAdminPolicy",
    # other policies that the agent, or its bearer token, may need
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
    "AmazonPrometheusRemoteWriteAccess",
    "CloudWatchAPIKeyAccess",
    "CloudWatchLogsAPIKeyAccess",
    # policies that are often attached to the roles of servers and containers too
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonECSTaskExecutionRolePolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonS3ReadOnlyAccess",
    "AmazonSSMDirectoryServiceAccess",
    "AmazonSSMManagedEC2InstanceDefaultPolicy",
    "AmazonSSMManagedInstanceCore",
    "AmazonSSMPatchAssociation",
    "AmazonSSMReadOnlyAccess",
    "CloudWatchFullAccess",
    "ReadOnlyAccess",
)

_NO_KEY = "testing"

_Handler: TypeAlias = tuple[Any, ...]
"""An entry of botocore's `BUILTIN_HANDLERS`: an event, a function, and perhaps its position."""


@contextmanager
def sandbox(
    *,
    account_id: str = "123456789012",
    region: str = "us-east-1",
) -> Iterator[boto3.Session]:
    """Open an AWS in memory, empty except for AWS-managed policies.

    Until the sandbox closes, its session is boto3's default session, so calls without a session use
    the sandbox too. Settings for AWS in the environment and in ``~/.aws`` are hidden. No request of
    botocore reaches the network, from any client. A client that was created in the sandbox cannot
    be used afterwards. All of this holds for every thread of the process, and is undone at the end.
    The first sandbox of a process takes about 0.2 seconds to open, each further one about 0.01.

    Requests of several threads are carried out one at a time, because moto is not thread-safe.
    Nothing lags here, so pauses of this library take no real time: sleeping returns immediately and
    moves the clock forward. A `cwagent_iam.Propagation` with its own clock and sleep is not
    affected.

    moto keeps one state per process, so a sandbox opens neither inside another one nor inside
    ``mock_aws``; a ``mock_aws`` inside a sandbox shares the sandbox's state.

    Args:
        account_id: The account that the session's credentials belong to, 12 digits.
        region: The session's Region, any that botocore knows; it determines the partition.

    Yields:
        A session with dummy credentials.

    Raises:
        IntentError: If *account_id* or *region* is invalid.
        RuntimeError: If another sandbox or a ``mock_aws`` is open. Clients raise it too: for a
            request that moto does not answer, and for any request after their sandbox has closed.
    """
    _check(account_id, region)
    _managed_policies()  # draws random ids, so do it before a seed is set
    with (
        _environment(region),
        _aws_in_memory(account_id),
        _one_at_a_time(),
        _no_pauses(),
        _no_way_out() as handler,
        patch.object(boto3, "DEFAULT_SESSION", _new_session(region, handler)) as session,
    ):
        yield session


def _check(account_id: object, region: object) -> None:
    problems = []
    if not (isinstance(account_id, str) and re.fullmatch("[0-9]{12}", account_id)):
        problems.append(Problem.of("account_id", account_id, "must be a string of 12 digits"))
    if region not in _partitions():
        rule = "must be a region that botocore knows, such as us-east-1"
        problems.append(Problem.of("region", region, rule))
    if problems:
        raise IntentError(problems=tuple(problems))
    if botocore_stubber.enabled:
        msg = "a sandbox cannot open inside another sandbox, nor inside moto's mock_aws"
        raise RuntimeError(msg)


# --- the caller's side: environment and session ---------------------------------------------------


@contextmanager
def _environment(region: str) -> Iterator[None]:
    """Replace all settings for AWS and moto in the environment by dummy ones."""
    before = _take_settings()
    os.environ.update(
        AWS_ACCESS_KEY_ID=_NO_KEY,
        AWS_SECRET_ACCESS_KEY=_NO_KEY,
        AWS_DEFAULT_REGION=region,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
    )
    try:
        yield
    finally:
        _take_settings()
        os.environ.update(before)


def _take_settings() -> dict[str, str]:
    names = [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]
    return {name: os.environ.pop(name) for name in names}


@contextmanager
def _no_pauses() -> Iterator[None]:
    """Replace the clock of this library, so that its pauses take no real time."""
    # Any thread may sleep, and appending to a list is atomic.
    slept: list[float] = []
    virtual = SimpleNamespace(
        sleep=slept.append,
        time=lambda: time.time() + sum(slept),
        monotonic=lambda: time.monotonic() + sum(slept),
    )
    with patch.object(propagation, "time", virtual):
        yield


def _new_session(region: str, handler: _Handler) -> boto3.Session:
    loader = _loader()
    others = tuple(each for each in BUILTIN_HANDLERS if each is not handler)
    core = botocore.session.Session(
        event_hooks=copy.copy(_emitter(others)), include_builtin_handlers=False
    )
    core.get_component("event_emitter").register_first(*handler[:2])
    core.register_component("data_loader", loader)
    session = boto3.Session(
        # The environment has the keys too, but botocore may read it after the sandbox has closed.
        aws_access_key_id=_NO_KEY,
        aws_secret_access_key=_NO_KEY,
        region_name=region,
        botocore_session=core,
    )
    # Each boto3 session appends boto3's own directory to the list, which all sessions share here.
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)
    return session


@functools.cache
def _emitter(handlers: tuple[_Handler, ...]) -> HierarchicalEmitter:
    """Register botocore's built-in handlers once: inspecting all of them takes 10 ms."""
    emitter = HierarchicalEmitter()
    events = EventAliaser(emitter)
    at = {REGISTER_FIRST: events.register_first, REGISTER_LAST: events.register_last}
    for event, handler, *place in handlers:
        register = at[place[0]] if place else events.register
        register(event, handler)
    return emitter


@functools.cache
def _loader() -> Loader:
    """Share AWS's API models between all sandboxes: reading IAM's again takes 40 ms."""
    return create_loader()


@functools.cache
def _partitions() -> dict[str, str]:
    """Map each Region to its partition; ``aws-global`` and the like are not Regions."""
    return {
        region: partition["id"]
        for partition in _loader().load_data("partitions")["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global")
    }


# --- AWS's side: moto, and what it lacks ----------------------------------------------------------


@contextmanager
def _aws_in_memory(account_id: str) -> Iterator[None]:
    """Start moto: empty, in this process, for *account_id*, in every partition."""
    with (
        # Not through MOTO_ACCOUNT_ID, which would also override the account of an assumed role.
        patch.object(iam_models, "DEFAULT_ACCOUNT_ID", account_id),
        patch.object(IAMBackend, "_init_aws_policies", _own_policies),
        missing_operations(),
        _all_partitions(),
        # moto would list the methods of a class again for each request.
        patch.object(core_responses, "method_names_from_class", _MethodsOf),
        # moto would register 1,300 URL patterns for each sandbox; only `requests` needs them.
        patch.object(core_models, "RESPONSES_METHODS", []),
        # Not mock_aws(), which looks for a moto server when TEST_SERVER_MODE is set.
        MockAWS(config={"core": {"mock_credentials": False}}),
    ):
        yield


@attrs.frozen
class _MethodsOf:
    """The names of the methods of a class of moto."""

    kind: type

    def __contains__(self, name: str) -> bool:
        """Return whether the class has such a method."""
        return inspect.isfunction(getattr(self.kind, name, None))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Carry out one request at a time, because moto is not thread-safe.

    moto iterates over dictionaries that other requests change, and loses counts of attachments.
    """
    # Some services of moto call others through boto3, on the same thread.
    lock = threading.RLock()
    process_request = BotocoreStubber.process_request

    def process(stubber: BotocoreStubber, request: AWSPreparedRequest) -> Any:
        with lock:
            return process_request(stubber, request)

    with patch.object(BotocoreStubber, "process_request", process):
        yield


def _own_policies(backend: IAMBackend) -> list[AWSManagedPolicy]:
    """Return copies of the managed policies for one partition: moto counts attachments on them."""
    copies = [copy.copy(policy) for policy in _managed_policies()]
    for policy in copies:
        policy.account_id = backend.account_id
        policy.partition = get_partition(backend.region_name)
        policy.tags = {}
        policy.versions = [copy.copy(version) for version in policy.versions]
        for version in policy.versions:
            version.policy_arn = policy.arn
    return copies


@functools.cache
def _managed_policies() -> tuple[AWSManagedPolicy, ...]:
    """Parse the policies that are needed, once: moto parses all 1,500 for each partition."""
    everything = json.loads(aws_managed_policies_data)
    return tuple(
        AWSManagedPolicy.from_data(name, "aws", "aws", everything[name])
        for name in _POLICIES
        if name in everything
    )


@contextmanager
def _all_partitions() -> Iterator[None]:
    """Teach moto 5.2 the partitions that it treats as the commercial one."""
    partitions = _partitions()
    misread = {place: name for place, name in partitions.items() if get_partition(place) != name}
    # IAM of GovCloud is at iam.us-gov.amazonaws.com, from which moto reads a region "us-gov".
    misread["us-gov"] = "aws-us-gov"
    names = sorted(set(partitions.values()))
    arn_of_any = f"^arn:({'|'.join(names)})"
    before = PARTITION_NAMES.copy()
    # In place, because moto's modules refer to this one list.
    PARTITION_NAMES[:] = names
    try:
        with (
            patch.dict(REGION_PREFIX_TO_PARTITION, misread),
            patch.object(iam_models, "ARN_PARTITION_REGEX", arn_of_any),
            patch.object(sts_models, "ARN_PARTITION_REGEX", arn_of_any),
        ):
            yield
    finally:
        PARTITION_NAMES[:] = before


# --- between the two: the network -----------------------------------------------------------------


@contextmanager
def _no_way_out() -> Iterator[_Handler]:
    """Block the network: for all clients now, and for the sandbox's clients also afterwards."""
    closed = False

    def refuse_when_closed(**_event: object) -> None:
        if closed:
            msg = "the sandbox of this client has closed: make clients in the block that uses them"
            raise RuntimeError(msg)

    # botocore gives its built-in handlers to each new session. This one is called first, because
    # moto would carry out the request if it is active again by then.
    handler = ("before-send", refuse_when_closed, REGISTER_FIRST)
    BUILTIN_HANDLERS.append(handler)
    try:
        with patch.object(URLLib3Session, "send", _refuse):
            yield handler
    finally:
        closed = True
        BUILTIN_HANDLERS.remove(handler)


def _refuse(_transport: URLLib3Session, request: AWSPreparedRequest) -> NoReturn:
    """Raise instead of opening a connection: moto did not answer this request."""
    host = urlsplit(request.url).netloc
    msg = f"nothing in the sandbox answers {request.method} {host}, and no request leaves it"
    raise RuntimeError(msg)
