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

from cwagent_iam.arguments import plain
from cwagent_iam.aws import IAMClients
from cwagent_iam.credentials.delivering import settle as settle_store
from cwagent_iam.credentials.phases import Rotation
from cwagent_iam.credentials.requests import KeyRequests
from cwagent_iam.credentials.store import store_problems
from cwagent_iam.errors import CwAgentIamError, IntentError, Problem
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
from cwagent_iam.propagation import Run

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
    """Do what is due about a user's access key now, and say what comes next; call it daily.

    The store is the only one that has the user's key: where another server uses a key of the same
    user, that key is seen as the old one, and safe only as long as it is used within *settle*.
    IAM notes the use of a key with some hours' delay, so *settle* should be a day or more. The
    caller's credentials do all of it; the new key is used to see whether AWS lets it in, no more.

    Args:
        user_name: The user.
        deliver: The store with the user's key; if it holds none, one is made.
        max_age: How old a key may become, in seconds; more than *settle* and *grace* together.
        settle: How long the old key must have been unused before it is deactivated, in seconds. An
            agent goes on with the old one for ten minutes or so.
        grace: How long it stays inactive before it is deleted, in seconds.
        undo: Bring back the key that is inactive, and do nothing else.
        session: The session whose credentials and partition are used; boto3's default if `None`.
            STS is asked through it, whatever *iam* is: the new key is tried out there, and it tells
            whose key an unknown one is.
        iam: A client to use as it is, instead of one built from *session*.
        propagation: How long to wait until IAM shows what was written; 60 seconds if `None`.
        on_event: Called with each of `cwagent_iam.events`.

    Returns:
        The phase, what was done, and what is due when.

    Raises:
        IntentError: When an argument is nonsense; nothing was sent.
        KeyConflictError: When keys that nobody but the caller can judge stand in the way.
        StoreError: When the store cannot be read or written.
        DeliveryError: When a new key was made and not delivered.
        ObserveError: When AWS refuses a read or gives no answer.
        ApplyError: When AWS refuses a change.
        PropagationTimeoutError: When AWS does not show in time what was done.
    """
    terms = Terms(max_age=max_age, settle=settle, grace=grace)
    problems = (
        *name_problems("user_name", user_name, USER_NAME_LENGTH),
        *store_problems(deliver),
        *_term_problems(terms),
        *_undo_problems(undo),
    )
    if problems:
        raise IntentError(problems=problems)
    run = Run.start(propagation, on_event)
    requests = KeyRequests(run, IAMClients.of(session, iam), plain(user_name))
    rotation = Rotation(requests, deliver, terms)
    try:
        view, step = rotation.undo() if undo else rotation.go_on()
        return _status(view, step, tuple(rotation.done), deliver)
    except CwAgentIamError as error:
        error.applied = (*error.applied, *requests.applied)
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
