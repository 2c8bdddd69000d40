"""Rotation of access keys: the public functions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.access_keys.inventory import UserKeys
from cwagent_iam.access_keys.rotation import Rotation
from cwagent_iam.access_keys.steps import DAY, Terms
from cwagent_iam.arguments import plain, refuse
from cwagent_iam.differ.owning import choice_problems
from cwagent_iam.errors import Problem
from cwagent_iam.executor import Executor
from cwagent_iam.key_stores import store_problems
from cwagent_iam.limits import USER_NAME_LENGTH, name_problems
from cwagent_iam.reconcile.call import Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.access_keys.rotation import RotationStatus
    from cwagent_iam.aws import AWSSession, IAMClient, STSClient
    from cwagent_iam.differ import Existing
    from cwagent_iam.events import OnEvent
    from cwagent_iam.key_stores import KeyStore
    from cwagent_iam.propagation import Propagation

_LONGEST = 100 * 365 * DAY


def rotate_access_key(
    user_name: str,
    *,
    deliver: KeyStore,
    max_age: float | timedelta = 90 * DAY,
    settle: float | timedelta = DAY,
    grace: float | timedelta = 7 * DAY,
    now: bool = False,
    undo: bool = False,
    existing: Existing = "refuse",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    sts: STSClient | None = None,
) -> RotationStatus:
    """Do the due steps of rotating a user's access key; call this daily.

    Only keys that this library recorded are deactivated and deleted. Each call verifies the key in
    the store before it changes any other key. If the store cannot be read back, an old key is
    deactivated only after another program has used the new one. The store must be the only one with
    a key of this user. IAM may report the last use of a key hours late, so *settle* should be a day
    or more. One call creates one key at most.

    Args:
        user_name: The name of the user.
        deliver: The store with the user's key; if it holds none, a key is created.
        max_age: The age from which a key is rotated, in seconds or as a `datetime.timedelta`; more
            than *settle* and *grace* together. Default: 90 days.
        settle: How long the old key must be unused before it is deactivated, in seconds or as a
            `datetime.timedelta`. An agent uses the old key for ten minutes or so. Default: 1 day.
        grace: How long the old key stays inactive before its deletion, in seconds or as a
            `datetime.timedelta`. Default: 7 days.
        now: `True` rotates the key whatever its age, unless a rotation is in progress. Default:
            `False`.
        undo: `True` reactivates the inactive key, and does nothing else. Default: `False`.
        existing: How to treat an unmanaged user: ``"refuse"`` (default) changes none of its keys;
            ``"adopt"`` and ``"attach"`` do. ``"verify"`` changes no keys of any user. A rotation
            never tags a user as managed; `ensure_agent_user` does.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.
        sts: A client for STS to use unaltered; the key is verified with its endpoint and settings.
            Default: it inherits Region, proxies and endpoint from *session* and *iam*.

    Returns:
        The phase, the steps that were done, and the next step with its time.

    Raises:
        IntentError: If an argument is invalid. Nothing was sent.
        KeyConflictError: If there are keys that only the caller can decide about, the key in the
            store does not work, or the user is unmanaged and a step is due.
        StoreError: If the store cannot be read or written.
        DeliveryError: If a key was created, or may have been, and its delivery failed.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        PropagationTimeoutError: If AWS does not show changes, or accept the key, in time.
    """
    terms = _terms(max_age, settle, grace, now=now)
    _check(user_name, deliver, terms, existing, now=now, undo=undo)
    executor = Executor.of(session, iam, propagation, on_event, sts=sts)
    rotation = _rotation(executor, user_name, deliver, existing, terms)
    steps = rotation.undo() if undo else rotation.run()
    return executor.run(rotation.keys.call.reporting(steps))


def preview_rotation(
    user_name: str,
    *,
    deliver: KeyStore,
    max_age: float | timedelta = 90 * DAY,
    settle: float | timedelta = DAY,
    grace: float | timedelta = 7 * DAY,
    now: bool = False,
    existing: Existing = "refuse",
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
    sts: STSClient | None = None,
) -> RotationStatus:
    """Preview the step that `rotate_access_key` would begin with. This is a dry run.

    Args:
        user_name: The name of the user.
        deliver: The store with the user's key. It is only read.
        max_age: The age from which a key is rotated, in seconds or as a `datetime.timedelta`; more
            than *settle* and *grace* together. Default: 90 days.
        settle: How long the old key must be unused before it is deactivated, in seconds or as a
            `datetime.timedelta`. Default: 1 day.
        grace: How long the old key stays inactive before its deletion, in seconds or as a
            `datetime.timedelta`. Default: 7 days.
        now: `True` asks for a rotation whatever the age of the key. Default: `False`.
        existing: How to treat an unmanaged user, as `rotate_access_key` does: ``"refuse"``
            (default), ``"verify"``, ``"adopt"`` or ``"attach"``.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.
        sts: A client for STS to use unaltered; the key is verified with its endpoint and settings.
            Default: it inherits Region, proxies and endpoint from *session* and *iam*.

    Returns:
        The phase and the next step; ``"blocked"`` if a call would raise `KeyConflictError`. If the
        next step is due now, a call would do it.

    Raises:
        IntentError: If an argument is invalid. Nothing was sent.
        StoreError: If the store cannot be read.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        PropagationTimeoutError: If reads do not agree, or AWS does not accept the key, in time.
    """
    terms = _terms(max_age, settle, grace, now=now)
    _check(user_name, deliver, terms, existing, now=now, undo=False)
    executor = Executor.of(session, iam, propagation, on_event, sts=sts)
    rotation = _rotation(executor, user_name, deliver, existing, terms)
    return executor.run(rotation.keys.call.reporting(rotation.preview()))


def _rotation(
    executor: Executor, user_name: str, store: KeyStore, existing: Existing, terms: Terms
) -> Rotation:
    call = Call(executor.partition, executor.propagation.timeout)
    now = executor.propagation.now()
    return Rotation(UserKeys(call, plain(user_name), store, existing, now), terms)


def _terms(max_age: Any, settle: Any, grace: Any, *, now: Any) -> Terms:
    ages = (
        each.total_seconds() if isinstance(each, timedelta) else each
        for each in (max_age, settle, grace)
    )
    return Terms(**dict(zip(("max_age", "settle", "grace"), ages, strict=True)), now=now)


def _check(
    user_name: object, deliver: object, terms: Terms, existing: object, *, now: object, undo: object
) -> None:
    """Check the arguments.

    Raises:
        IntentError: If one of them is invalid. It lists all problems.
    """
    refuse(
        name_problems("user_name", user_name, USER_NAME_LENGTH),
        store_problems(deliver),
        _term_problems(terms),
        _flag_problems(now=now, undo=undo),
        choice_problems(existing, "additive"),
    )


def _term_problems(terms: Terms) -> Iterator[Problem]:
    values: dict[str, Any] = attrs.asdict(terms)
    del values["now"]
    bad = [name for name, value in values.items() if not _is_time(value)]
    for name in bad:
        yield Problem.of(name, values[name], "must be a number of seconds from 0 to 100 years")
    if not bad and terms.max_age <= terms.settle + terms.grace:
        rule = "must be more than settle and grace together, or an old key would be in the way"
        yield Problem.of("max_age", terms.max_age, rule)


def _is_time(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return 0 <= value <= _LONGEST


def _flag_problems(**flags: object) -> Iterator[Problem]:
    for argument, value in flags.items():
        if not isinstance(value, bool):
            yield Problem.of(argument, value, "must be True or False")
