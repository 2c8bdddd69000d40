"""The life of a role and of a user on ministack, an IAM emulator that this project did not write.

``nox -s independent`` installs ministack in an environment of its own, because it pins botocore,
and runs this script with the path of that Python. The server listens on loopback, and with
``AUTH=true`` it checks signatures: a deactivated or deleted access key is refused. The script
stops with an error at the first thing that is not as expected.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from cwagent_iam import (
    SERVER_POLICY,
    CwAgentIamError,
    Propagation,
    SharedCredentialsFile,
    ensure_agent_role,
    ensure_agent_user,
    plan_agent_role,
    plan_agent_user,
    preview,
    remove,
    rotate_access_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cwagent_iam import Result, State

READY = 30.0
"""The longest start of the server, in seconds."""

LONGEST = 120.0
"""Seconds after which the server is ended, so that whatever still runs fails."""

DAY = 86400.0
PROFILE = "AmazonCloudWatchAgent"
KEY = "AKIAINDEPENDENTROOT0"
SERVER_POLICY_ARN = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy"
DRIFTS = {"UpdateAssumeRolePolicy", "AttachRolePolicy", "AddRoleToInstanceProfile"}
LAMBDA_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)

# ministack 1.5.33 answers these with InvalidAction. It has no operation to create such things
# either, so an empty list is the true answer.
LACKING = {
    "ListSigningCertificates": "Certificates",
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
}


def main(python: str) -> None:
    """Run both lives on a server that *python* starts, and print the refusals that it sent."""
    with tempfile.TemporaryDirectory() as folder, server(python, Path(folder)) as url:
        file = Path(folder, "credentials")
        os.environ.update(
            AWS_ENDPOINT_URL=url,
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=str(file),
            AWS_EC2_METADATA_DISABLED="true",
        )
        refusals: set[str] = set()
        session = session_with(refusals)
        life_of_a_role(session)
        life_of_a_user(session, file)
    print("Its refusals:", *sorted(refusals), sep="\n   ")


@contextlib.contextmanager
def server(python: str, folder: Path) -> Iterator[str]:
    """Run ministack in a process of its own; yield its URL, and end it in any case."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "iam,sts",
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "TMPDIR": str(folder),
    }
    others = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - the path comes from noxfile.py
            [python, "-m", "ministack"], stdout=output, stderr=output, env=others | settings
        ) as process,
    ):
        bound = threading.Timer(LONGEST, process.kill)
        bound.start()
        try:
            if not ready(port, process):
                sys.exit(f"ministack is not ready:\n{log.read_text(encoding='utf-8')}")
            yield f"http://127.0.0.1:{port}"
        finally:
            bound.cancel()
            process.kill()


def ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait up to `READY` seconds until the server answers; return whether it does."""
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", "/_ministack/ready")
            if connection.getresponse().status == HTTPStatus.OK:
                return True
        time.sleep(0.1)
    return False


def session_with(refusals: set[str]) -> boto3.Session:
    """Return a session that answers what the server lacks, and adds what it refuses."""

    def note(parsed: dict[str, Any], model: Any, **_event: object) -> None:
        error = parsed.get("Error")
        if error:
            refusals.add(f"{model.name}: {error['Code']}: {error.get('Message')}")

    session = boto3.Session(
        aws_access_key_id=KEY, aws_secret_access_key=KEY, region_name="us-east-1"
    )
    session.events.register("after-call", note)
    for operation, member in LACKING.items():
        session.events.register(f"before-call.iam.{operation}", nothing_in(member))
    return session


def nothing_in(member: str) -> Any:
    """Return a handler that answers a request with an empty list."""
    metadata = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
    reply = {member: [], "IsTruncated": False, "ResponseMetadata": metadata}

    def answer(**_event: object) -> tuple[object, dict[str, Any]]:
        return SimpleNamespace(status_code=200), reply

    return answer


def life_of_a_role(session: boto3.Session) -> None:
    """Create, repeat, repair, limit, adopt and remove a role with its instance profile."""
    name = "IndependentRole"
    iam: Any = session.client("iam")
    options: dict[str, Any] = {"tags": {"Team": "x"}, "max_session_duration": 7200}
    ensure_role = functools.partial(ensure_agent_role, name, session=session)
    planned = preview(plan_agent_role(name, **options), session=session)
    created = ensure_role(**options)
    expect(created.changed and created.changes == planned.changes, "it is created as previewed")
    expect(not ensure_role(**options).changed, "a second call changes nothing")

    iam.update_assume_role_policy(RoleName=name, PolicyDocument=LAMBDA_TRUST)
    iam.detach_role_policy(RoleName=name, PolicyArn=SERVER_POLICY_ARN)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    planned = preview(plan_agent_role(name, **options), session=session)
    expect({each.operation for each in planned} == DRIFTS, "three drifts are previewed")
    expect(set(ensure_role(**options).changes) == set(planned), "they are repaired")
    expect(not ensure_role(**options).changed, "nothing is left to repair")

    options |= {"parameters": ["web"], "permissions_boundary": SERVER_POLICY}
    ensure_role(**options)
    role = iam.get_role(RoleName=name)["Role"]
    boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
    expect(boundary == SERVER_POLICY_ARN, "the boundary is set")
    expect(role["MaxSessionDuration"] == options["max_session_duration"], "the rest is as it was")
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    expect(inline == ["CloudWatchAgentParameters"], "the inline policy is there")

    adopt(functools.partial(ensure_role, **options), iam, name)
    expect_removal(plan_agent_role(name, **options), session)
    expect(refusal(iam.get_role, RoleName=name) == "NoSuchEntity", "IAM has no such role")
    print("The life of a role is as expected.")


def adopt(ensure_role: Callable[..., Result], iam: Any, name: str) -> None:
    """Make the role unmanaged, with a drift, and adopt it."""
    iam.untag_role(RoleName=name, TagKeys=["ManagedBy"])
    iam.untag_instance_profile(InstanceProfileName=name, TagKeys=["ManagedBy"])
    iam.detach_role_policy(RoleName=name, PolicyArn=SERVER_POLICY_ARN)
    expect(refusal(ensure_role) == "ConflictError", "an unmanaged role that differs is refused")
    adopted = sorted(each.operation for each in ensure_role(existing="adopt").changes)
    expect(adopted == ["AttachRolePolicy", "TagInstanceProfile", "TagRole"], "it is adopted")
    expect(not ensure_role().changed, "it is managed and as desired")


def life_of_a_user(session: boto3.Session, file: Path) -> None:
    """Create a user with an access key in *file*, repeat, repair, rotate and remove."""
    name = "IndependentUser"
    iam: Any = session.client("iam")
    store = SharedCredentialsFile(file, region="us-east-1")
    ensure_user = functools.partial(ensure_agent_user, name, deliver=store, session=session)
    created = ensure_user()
    expect(created.changed and caller() == created.user_arn, "the delivered key works")
    expect(not ensure_user().changed, "a second call changes nothing")

    iam.detach_user_policy(UserName=name, PolicyArn=SERVER_POLICY_ARN)
    repairs = [each.operation for each in ensure_user().changes]
    expect(repairs == ["AttachUserPolicy"], "a drift is repaired")

    rotate(session, name, store)
    expect(caller() == created.user_arn, "the key that replaced it works")
    (left,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    expect(left["AccessKeyId"] == store.held(), "the user has no other key")

    desired = plan_agent_user(name)
    refused = refusal(remove, desired, session=session)
    expect(refused.endswith("ConflictError"), "removal refuses to delete a key unasked")
    expect_removal(desired, session, access_keys="delete")
    expect(refusal(caller) == "InvalidClientTokenId", "the key works no longer")
    print("The life of a user is as expected.")


def rotate(session: boto3.Session, name: str, store: SharedCredentialsFile) -> None:
    """Call on days when something is due: replace and deactivate the old key, then delete it."""
    start, old = time.time(), store.held()
    # For IAM all of this is one day, so that in the end the new key too seems to be 99 days old.
    for day, max_age, phase in ((1, 90, "current"), (91, 90, "grace"), (99, 100, "current")):
        today = Propagation(now=functools.partial(float, start + day * DAY))
        status = rotate_access_key(
            name, deliver=store, max_age=max_age * DAY, session=session, propagation=today
        )
        expect(status.phase == phase, f"day {day} of the rotation is {phase}: {status}")
    expect(store.held() not in {None, old}, "the key was replaced")


def expect_removal(desired: State, session: boto3.Session, **options: Any) -> None:
    """Remove *desired*, twice."""
    removed = remove(desired, session=session, **options)
    expect(removed.changed and not removed.state.entities, "all of it is removed")
    expect(not remove(desired, session=session).changed, "removing it again changes nothing")


def caller() -> str:
    """Return the ARN that STS knows for the access key in the credentials file."""
    sts: Any = boto3.Session(profile_name=PROFILE).client("sts")
    return str(sts.get_caller_identity()["Arn"])


def refusal(call: Callable[..., object], *args: Any, **options: Any) -> str:
    """Return the error code, or the class of the error, of a call; empty if it succeeds."""
    try:
        call(*args, **options)
    except ClientError as error:
        return error.response["Error"]["Code"]
    except CwAgentIamError as error:
        return type(error).__name__
    return ""


def expect(fact: bool, words: str) -> None:  # noqa: FBT001 - read it as a sentence
    """Stop, and fail, if *fact* is false."""
    if not fact:
        sys.exit(f"Not as expected: {words}.")


if __name__ == "__main__":
    main(sys.argv[1])
