"""Replacing a key that is too old, in phases between which days pass.

.. code-block:: text

    current ─ too old ─▶ a new key is made, delivered, verified ─▶ settling
       ▲                                                             │ the old key is not used
       └───── deleted ◀─ grace ◀─ deactivated, after a note ◀────────┘
                           └── undo: active again, after a note ─▶ settling
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, assert_never

import attrs

from cwagent_iam.arguments import plain, refuse
from cwagent_iam.credentials.delivering import settle as settle_store
from cwagent_iam.credentials.phases import Rotation
from cwagent_iam.credentials.requests import KeyRequests
from cwagent_iam.credentials.store import store_problems
from cwagent_iam.errors import CwAgentIamError, Problem
from cwagent_iam.executor import Executor
from cwagent_iam.keys import (
    Blocked,
    Deactivate,
    Delete,
    KeyView,
    Make,
    Reactivate,
    SeenKey,
    Terms,
    Wait,
    WriteNote,
    step_to_undo,
)
from cwagent_iam.limits import USER_NAME_LENGTH, name_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cwagent_iam.aws import AWSSession, IAMClient
    from cwagent_iam.credentials.store import KeyStore
    from cwagent_iam.events import OnEvent
    from cwagent_iam.keys import RotationStep
    from cwagent_iam.propagation import Propagation

RotationPhase: TypeAlias = Literal["current", "settling", "grace", "blocked"]
"""One key is enough; the old one may still be in use; the old one is off, but can be brought back;
or, after an undo, somebody must make room."""

_DAY = 86400.0
_LONGEST = 100 * 365 * _DAY
"""No calendar ends before this is over."""


@attrs.frozen(kw_only=True)
class RotationStatus:
    """Where a rotation is, and what comes next.

    Attributes:
        access_key_id: The key that the store holds; `None` if it holds none, as is possible after
            an undo.
        phase: ``"current"``, ``"settling"``, ``"grace"`` or ``"blocked"``.
        next_step: What is to be done next, by another call unless the phase is ``"blocked"``.
        due_at: When, in UTC; `None` if no time will bring it about.
        old_key: The user's other key, if there is one.
        can_undo: Whether there is a deactivated key that ``undo=True`` would bring back.
        done: What this call did, in order.
        advice: What is left for the caller to do; empty if nothing.
    """

    access_key_id: str | None
    phase: RotationPhase
    next_step: str
    due_at: datetime | None
    old_key: SeenKey | None
    can_undo: bool
    done: tuple[str, ...]
    advice: str

    def __str__(self) -> str:
        """One line with phase, what was done, and what comes next."""
        when = f" at {self.due_at:%Y-%m-%d %H:%M} UTC" if self.due_at else ""
        done = f"{', '.join(self.done)}; " if self.done else ""
        return f"{self.phase}: {done}next: {self.next_step}{when}"


def rotate_access_key(
    user_name: str,
    *,
    deliver: KeyStore,
    max_age: float = 90 * _DAY,
    settle: float = _DAY,
    grace: float = 7 * _DAY,
    undo: bool = False,
    session: AWSSession | None = None,
    iam: IAMClient | None = None,
    propagation: Propagation | None = None,
    on_event: OnEvent | None = None,
) -> RotationStatus:
    """Do the due step of rotating a user's access key; call this daily.

    The store must be the only one with a key of this user. If another server uses a key of the same
    user, that key counts as the old one, and stays active only if it is used within *settle*. IAM
    reports the last use of a key some hours late, so *settle* should be a day or more. The new key
    signs only the request that verifies it; the caller's credentials sign all others.

    Args:
        user_name: The name of the user.
        deliver: The store with the user's key; if it holds none, a key is created.
        max_age: The age from which a key is rotated, in seconds; more than *settle* and *grace*
            together. Default: 90 days.
        settle: How long the old key must be unused before it is deactivated, in seconds. An agent
            uses the old key for about ten minutes more. Default: 1 day.
        grace: How long the old key stays inactive before it is deleted, in seconds. Default: 7
            days.
        undo: `True` reactivates the inactive key, and does nothing else. Default: `False`.
        session: The boto3 session. Default: boto3's default session.
        iam: A client for IAM to use unaltered. Default: a client built from *session*. The client
            for STS, which verifies the new key, inherits its Region, proxies and endpoint.
        propagation: Propagation settings. Default: `Propagation`, which waits up to 60 seconds.
        on_event: Called with each event of `cwagent_iam.events`. Default: events are only logged.

    Returns:
        The phase, the steps that were done, and the next step with its time.

    Raises:
        IntentError: If an argument is invalid. Nothing was sent.
        KeyConflictError: If there are keys that only the caller can decide about.
        StoreError: If the store cannot be read or written.
        DeliveryError: If a key was created, or may have been, and is not in the store.
        ObserveError: If AWS refuses a read, or does not answer it in time.
        ApplyError: If AWS refuses a change, or does not answer it in time.
        CredentialsError: If there are no usable credentials to sign a request.
        PropagationTimeoutError: If AWS does not show changes, or accept the new key, in time.
    """
    terms = Terms(max_age=max_age, settle=settle, grace=grace)
    refuse(
        name_problems("user_name", user_name, USER_NAME_LENGTH),
        store_problems(deliver),
        _term_problems(terms),
        _undo_problems(undo),
    )
    requests = KeyRequests(Executor.of(session, iam, propagation, on_event), plain(user_name))
    rotation = Rotation(requests, deliver, terms)
    try:
        view, step = rotation.undo() if undo else rotation.go_on()
        return _status(view, step, tuple(rotation.done), deliver)
    except CwAgentIamError as error:
        error.applied = tuple(requests.applied)
        raise


def _status(
    view: KeyView, step: RotationStep, done: tuple[str, ...], store: KeyStore
) -> RotationStatus:
    phase, next_step, due = _coming(step, view)
    return RotationStatus(
        access_key_id=view.held,
        phase=phase,
        next_step=next_step,
        due_at=None if due is None else datetime.fromtimestamp(due, UTC),
        old_key=next(iter(view.unheld), None),
        can_undo=isinstance(step_to_undo(view), Reactivate),
        done=done,
        advice=_advice(view, store),
    )


def _advice(view: KeyView, store: KeyStore) -> str:
    """See to those who read the store, if it holds a good key; return what they need."""
    held = view.held_key
    return settle_store(store) if held and held.active else ""


def _coming(step: RotationStep, view: KeyView) -> tuple[RotationPhase, str, float | None]:
    """Return the phase, what comes next, and when; after an undo it may be due already."""
    phase: RotationPhase
    due = view.now
    match step:
        case Wait():
            phase, due = step.phase, step.due
        case Make():
            phase = "current"
        case Deactivate():
            phase = "settling"
        case Delete() | WriteNote():
            phase = "grace"
        case Blocked(keys=keys):
            names = " or ".join(key.access_key_id for key in keys)
            return "blocked", f"decide about {names}", None
        case _:
            assert_never(step)
    other = next((key.access_key_id for key in view.unheld), "")
    steps = {
        "current": f"make a new key{f', for which {other} must be gone by then' if other else ''}",
        "settling": f"deactivate {other}, if it has not been used since",
        "grace": f"delete {other}",
    }
    return phase, steps[phase], due


# --- what the arguments must be -------------------------------------------------------------------


def _term_problems(terms: Terms) -> Iterator[Problem]:
    values: dict[str, Any] = attrs.asdict(terms)
    bad = [name for name, value in values.items() if not _is_time(value)]
    yield from (
        Problem.of(name, values[name], "must be a number of seconds from 0 to 100 years")
        for name in bad
    )
    if not bad and terms.max_age <= terms.settle + terms.grace:
        rule = "must be more than settle and grace together, or an old key would be in the way"
        yield Problem.of("max_age", terms.max_age, rule)


def _is_time(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return 0 <= value <= _LONGEST


def _undo_problems(undo: object) -> Iterator[Problem]:
    if not isinstance(undo, bool):
        yield Problem.of("undo", undo, "must be True or False")
