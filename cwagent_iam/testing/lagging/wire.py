"""Requests on the wire: what was sent, by whom, what became of it, and how a program may end."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

HEADER = "x-sandbox-client"
"""The header in which a client of the lagging IAM says its name."""

PATIENCE = "x-sandbox-read-timeout"
"""The header in which a client says for how many seconds it waits for a reply."""

ANYBODY = "other"
"""What the clients without a name of their own are called together."""

_PATIENCE = 15.0

_KINDS = {
    "InstanceProfileName": "instance profile",
    "RoleName": "role",
    "UserName": "user",
    "AccessKeyId": "access key",
    "PolicyArn": "policy",
}
_NAMES = {
    "CreateInstanceProfile": "instance profile",
    "CreateRole": "role",
    "CreateUser": "user",
    "CreatePolicy": "policy",
}
_OWNER = ("InstanceProfileName", "RoleName", "UserName", "PolicyArn", "PolicyName", "RoleArn")
_READS = ("Get", "List", "Simulate", "Describe", "AssumeRole")
# A token is the credential of these, so that no signature says whom they are for.
_UNSIGNED = {"AssumeRoleWithSAML": "sts", "AssumeRoleWithWebIdentity": "sts"}
_CREDENTIAL = re.compile(r"Credential=([^/]+)/[^/]*/[^/]*/([^/]+)/")


class Crash(BaseException):
    """The program was killed: no ``except Exception`` survives it."""


@attrs.frozen(kw_only=True)
class Sent:
    """A request as it was sent.

    Attributes:
        number: Its place among all requests, from 1.
        client: The name of who sent it.
        service: ``iam``, ``sts``, ``ec2`` or another service's signing name; empty for what is not
            signed, but for the operations of STS that take a token instead.
        operation: The operation.
        parameters: Its arguments.
        access_key: The id of the access key it was signed with; empty for none.
        url: Where it was sent.
        body: The arguments as sent.
        read_timeout: For how many seconds the client waits for a reply.
    """

    number: int
    client: str
    service: str
    operation: str
    parameters: dict[str, str]
    access_key: str
    url: str
    body: str
    read_timeout: float = _PATIENCE

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.operation.startswith(_READS) or self.parameters.get("DryRun") == "true"

    @property
    def target(self) -> str:
        """The name of what it is done to; empty if nothing is named."""
        return next((self.parameters[key] for key in _OWNER if key in self.parameters), "")

    @property
    def creates(self) -> str | None:
        """The kind of thing that it makes under a name of the caller's choice."""
        return _NAMES.get(self.operation)

    @property
    def written(self) -> tuple[str, str] | None:
        """The kind and name of what it writes to; `None` if it says neither."""
        kind, name = next(iter(self.named), (self.creates, self.target))
        if self.reads or kind is None:
            return None
        # A policy is created by its name, and by its ARN from then on.
        return kind, name.rpartition("/")[2].casefold()

    @property
    def named(self) -> list[tuple[str, str]]:
        """The kind and name of everything that must exist for it, what it is done to first."""
        pairs = [(kind, self.parameters.get(key)) for key, kind in _KINDS.items()]
        return [(kind, name) for kind, name in pairs if name and kind != self.creates]


def sent_as(request: AWSPreparedRequest, number: int) -> Sent:
    """Read *request*."""
    body: Any = request.body or ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    parameters = dict(parse_qsl(text, keep_blank_values=True))
    credential = _CREDENTIAL.search(_header(request, "Authorization"))
    operation = parameters.pop("Action", "")
    unsigned = "", _UNSIGNED.get(operation, "")
    access_key, service = credential.groups() if credential else unsigned
    return Sent(
        number=number,
        client=_header(request, HEADER) or ANYBODY,
        service=service,
        operation=operation,
        parameters=parameters,
        access_key=access_key,
        url=request.url,
        body=text,
        read_timeout=float(_header(request, PATIENCE) or _PATIENCE),
    )


def _header(request: AWSPreparedRequest, name: str) -> str:
    value: str | bytes = request.headers.get(name, "")
    return value.decode() if isinstance(value, bytes) else value


@attrs.define(kw_only=True)
class Request:
    """A request, and what became of it; one line of a trace.

    Attributes:
        number: Its place among all requests, from 1.
        time: When it was sent, in seconds from the beginning.
        client: The name of who sent it.
        operation: The operation.
        target: The name of what it is done to.
        reads: Whether it changes nothing.
        replica: Which replica answered; `None` for the truth.
        fault: What went wrong, as an instruction of the simulator; empty if nothing.
        outcome: What the client got: a status with AWS's code, or the class of an exception.
        body: The arguments as sent, which are not printed.
    """

    number: int
    time: float
    client: str
    operation: str
    target: str
    reads: bool
    replica: int | None = None
    fault: str = ""
    outcome: str = ""
    body: str = attrs.field(default="", repr=False)

    @property
    def has_failed(self) -> bool:
        """Whether the client had reason to send it once more.

        AWS did not answer, could not, or asked for patience; or it refused a write. A read that
        is refused has an answer: to ask once more is another look, as waiting is made of.
        """
        status, _, code = self.outcome.partition(" ")
        if not status.isdigit():
            return self.outcome != Crash.__name__
        refused = not self.reads and status.startswith("4")
        return refused or status.startswith("5") or code == "Throttling"

    def __str__(self) -> str:
        """One line."""
        replica = "-" if self.replica is None else self.replica
        fault = f"  [{self.fault}]" if self.fault else ""
        return (
            f"{self.number:4} {self.time:8.2f} {self.client:8} {replica} "
            f"{self.operation} {self.target} -> {self.outcome}{fault}"
        )


class Trace(list[Request]):
    """All requests, in the order in which they were sent."""

    @property
    def repeats(self) -> int:
        """How many requests were sent again because they had failed.

        A request is one if its client had sent the same operation with the same arguments before,
        and that had failed the last time, by `Request.has_failed`. It does not matter who sent it
        again, botocore or this library, nor what happened in between. A killed program is not at
        fault: what the next one sends is no retry.
        """
        last: dict[tuple[str, str, str], Request] = {}
        count = 0
        for request in self:
            same = request.client, request.operation, request.body
            count += same in last and last[same].has_failed
            last[same] = request
        return count

    def __str__(self) -> str:
        """A table with a line for each request."""
        head = "   #     time client   replica, operation, target -> outcome"
        return "\n".join([head, *map(str, self)])


def outcome_of(reply: tuple[int, object, str | bytes] | None) -> str:
    """Say what a reply says, in a few words; moto may have none for what is not AWS."""
    if reply is None:
        return "not answered"
    status, _, body = reply
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    code = re.search("<Code>(.*?)</Code>", text) if status >= HTTPStatus.BAD_REQUEST else None
    return f"{status} {code[1]}" if code else str(status)
