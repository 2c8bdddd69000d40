"""What AWS sends back, in its own words, where moto does not."""

from __future__ import annotations

from typing import TypeAlias
from xml.sax.saxutils import escape

Reply: TypeAlias = "tuple[int, dict[str, str], str | bytes]"
"""Status, headers, body; moto's form of a reply."""

_XML = {"content-type": "text/xml"}
_ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{words}</Message>"
    "</Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
)
_ERROR_OF_EC2 = (
    "<Response><Errors><Error><Code>{code}</Code><Message>{words}</Message></Error></Errors>"
    "<RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"
)

EMPTY: Reply = (500, {}, b"")
"""An error without a word."""

HTML: Reply = (
    503,
    {"content-type": "text/html"},
    "<html><head><title>503</title></head><body><h1>Service Unavailable<hr></h1></body></html>",
)
"""What a proxy says, which is not XML."""

MISSING = {
    "role": "The role with name {} cannot be found.",
    "user": "The user with name {} cannot be found.",
    "instance profile": "Instance Profile {} cannot be found.",
    "policy": "Policy {} was not found.",
    "policy to attach": "Policy {} does not exist or is not attachable.",
    "role policy": "The role policy with name {} cannot be found.",
    "user policy": "The user policy with name {} cannot be found.",
    "access key": "The Access Key with id {} cannot be found.",
}
"""How IAM says that it does not know a thing of each kind; the last policies are inline."""

TAKEN = {
    "role": "Role with name {} already exists.",
    "user": "User with name {} already exists.",
    "instance profile": "Instance Profile {} already exists.",
    "policy": "A policy called {} already exists. Duplicate names are not allowed.",
}
"""How IAM says that a name is not free."""


def refusal(service: str, code: str, words: str, status: int) -> Reply:
    """Say no, in the form of *service*."""
    form = _ERROR_OF_EC2 if service == "ec2" else _ERROR
    return status, _XML, form.format(code=code, words=escape(words))


def throttled(service: str) -> Reply:
    """Tell to slow down, as *service* does: EC2 has a code and a status of its own."""
    if service == "ec2":
        return refusal(service, "RequestLimitExceeded", "Request limit exceeded.", 503)
    return refusal(service, "Throttling", "Rate exceeded", 400)
