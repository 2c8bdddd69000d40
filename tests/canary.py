"""A canary for secrets: listens to all logs, and searches everything that a call leaves behind."""

from __future__ import annotations

import base64
import collections
import copy
import datetime as dt
import functools
import gc
import logging
import pickle
import sys
import traceback
import types
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import quote

import attrs
from botocore.credentials import Credentials
from moto.iam import models as moto_models

from cwagent_iam import CwAgentIamError
from cwagent_iam.key_stores import SecretAccessKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CELL = types.CellType()
# Objects that contain nothing, and code.
BARREN = (
    *(type(None), int, float, dt.date, dt.timedelta),
    *(types.ModuleType, type, types.CodeType, weakref.ProxyType, weakref.CallableProxyType),
)
# Modules that may have a secret: AWS, which is moto here, and the stores of the tests.
ALLOWED = ("moto", "cwagent_iam.testing", "tests.", "_pytest", "logging")
# Modules that run tests.
RUNNERS = (
    *("__channelexec__", "__main__", "_pytest", "execnet", "pluggy", "pytest", "runpy"),
    *("threading", "xdist"),
)
# Objects that own a secret: all others must not.
OWNERS = (SecretAccessKey, Credentials)
# Objects of the SDK are opened only if they are local variables, because they are large and the
# same in all frames; descriptions of services never, and requests always.
SDK, REQUESTS = ("boto3", "botocore"), "botocore.awsrequest"
DESCRIPTIONS = (
    *("botocore.model", "botocore.loaders", "botocore.session", "botocore.hooks"),
    *("botocore.regions", "botocore.endpoint_provider", "botocore.configprovider"),
)


@functools.cache
def spellings(secret: str) -> tuple[str, ...]:
    """Return *secret* in whole, in halves, reversed, and encoded."""
    half = len(secret) // 2
    parts = secret, secret[:half], secret[half:], secret[::-1]
    coded = (base64.b64encode(each.encode()).decode().rstrip("=") for each in parts[:3])
    return *parts, *coded, quote(secret, safe=""), quote(secret), secret.encode().hex()


@attrs.define
class Canary:
    """The secrets of all keys that were created, and all that was logged."""

    secrets: list[str] = attrs.field(factory=list)
    records: list[logging.LogRecord] = attrs.field(factory=list)
    lines: list[str] = attrs.field(factory=list)

    def sings(self, *texts: str) -> bool:
        """Return whether a text contains one of the secrets, in any spelling."""
        everything = "\0".join(texts)
        return any(each in everything for secret in self.secrets for each in spellings(secret))

    def silence(self) -> None:
        """Forget what was logged."""
        self.records.clear()
        self.lines.clear()


@contextmanager
def listening(*others: logging.Handler) -> Iterator[Canary]:
    """Listen to all loggers at DEBUG, and remember each secret that is created.

    Args:
        others: More handlers for the root logger.
    """
    canary = Canary()
    make = moto_models.AccessKey.__init__
    formatter = logging.Formatter("%(name)s %(message)s")

    def remembering(self: Any, *args: Any, **more: Any) -> None:
        make(self, *args, **more)
        canary.secrets.append(self.secret_access_key)

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            canary.records.append(record)
            canary.lines.append(formatter.format(record))

    root, listener = logging.getLogger(), Listener()
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        with (
            patch.object(moto_models.AccessKey, "__init__", remembering),
            # Instead of pytest's handlers, which would keep each line three times.
            patch.object(root, "handlers", [listener, *others]),
        ):
            yield canary
    finally:
        root.setLevel(level)


# --- objects --------------------------------------------------------------------------------------


def inside(kind: type, things: list[Any]) -> Iterable[Any]:
    """Return what *things* of one *kind* refer to, except for code, AWS and stores."""
    if issubclass(kind, BARREN) or kind.__module__.startswith(ALLOWED):
        return ()
    if kind is types.FrameType:
        ours = (it for it in things if not module_of(it).startswith(ALLOWED))
        return [it.f_locals.copy() for it in ours]
    if kind is types.TracebackType:
        return [part for it in things for part in (it.tb_frame, it.tb_next)]
    if kind is types.FunctionType:
        cells = (cell for it in things for cell in it.__closure__ or () if cell != CELL)
        return [cell.cell_contents for cell in cells]
    return gc.get_referents(*things)


def texts_in(*roots: Any) -> list[str]:
    """Return each text that can be reached, except through code, AWS and stores."""
    seen: dict[int, Any] = {}  # holds the objects, so that no other object gets the same id
    texts: list[str] = []
    left = list(roots)
    while left:
        by_kind = collections.defaultdict(list)
        for each in left:
            if id(each) not in seen:
                seen[id(each)] = each
                # A weak proxy claims to be of the type of its object; `type` does not believe it.
                by_kind[type(each)].append(each)
        left = []
        for kind, things in by_kind.items():
            if issubclass(kind, str):
                texts += things
            elif issubclass(kind, (bytes, bytearray)):
                texts += [each.decode(errors="replace") for each in things]
            left += inside(kind, things)
    return texts


def in_words(error: BaseException) -> str:
    """Return the traceback with the local variables of all frames, except for those of tests."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in told.stack:
        if "/tests/" in frame.filename:
            frame.locals = None
    return "".join(told.format())


def shows(error: BaseException | None, result: Any, events: list[Any]) -> Iterator[str]:
    """Yield the text of everything in each form that it can be converted to."""
    things = [result, *events, *([error] if error else [])]
    for thing in things:
        yield from texts_of(thing)
        if not isinstance(thing, BaseException) or isinstance(thing, CwAgentIamError):
            yield from copies_of(thing)
    if error:
        yield in_words(error)
        yield "".join(getattr(error, "__notes__", ()))


def texts_of(thing: Any) -> Iterator[str]:
    """Yield all texts that *thing* can be converted to."""
    yield from (str(thing), repr(thing), f"{thing}", ascii(thing))
    if hasattr(thing, "_repr_html_"):
        yield thing._repr_html_()
    if attrs.has(type(thing)):
        yield repr(attrs.asdict(thing, recurse=False))


def copies_of(thing: Any) -> Iterator[str]:
    """Pickle and copy *thing*; yield the pickles, and all texts of the copies."""
    pickles = [pickle.dumps(thing, protocol) for protocol in (0, pickle.HIGHEST_PROTOCOL)]
    yield from (each.decode("latin-1") for each in pickles)
    unpickled = [pickle.loads(each) for each in pickles]  # noqa: S301 - these are our own
    for each in (*unpickled, copy.copy(thing), copy.deepcopy(thing)):
        yield from texts_of(each)
        yield from texts_in(each)


def check(canary: Canary, error: BaseException | None, result: Any, events: list[Any]) -> None:
    """Fail if anything but AWS and the store contains a secret."""
    logged = [vars(record) for record in canary.records]
    told = {
        "log": canary.lines,
        "records": [repr(logged)],
        "words": shows(error, result, events),
        "objects": texts_in(error, result, events, logged),
    }
    assert [where for where, texts in told.items() if canary.sings(*texts)] == []


def played(call: Callable[[], object]) -> tuple[BaseException | None, object]:
    """Return the error that a call ends with, or its result."""
    try:
        return None, call()
    except BaseException as error:  # noqa: BLE001 - crashes are played too
        return error, None


# --- error trackers -------------------------------------------------------------------------------


class Tracker(logging.Handler):
    """An error tracker that looks into all frames of the stack at each log record.

    It keeps the repr of each local variable, and all text that can be reached from there through
    attributes, slots and items. It does not open the two objects that own a secret: the
    `SecretAccessKey`, and the credentials of the client that verifies the key.

    Attributes:
        canary: Knows the secrets.
        records: The number of records.
        frames: The functions whose frames it has looked into.
        found: The logger, the function and the variable of each secret.
        seen: The stacks that it has looked into.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.canary = Canary()
        self.records = 0
        self.frames: set[str] = set()
        self.found: set[str] = set()
        self.seen: set[object] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Look into the frames of the stack, once for each stack and number of known secrets."""
        self.records += 1
        frames = list(stack(sys._getframe()))  # noqa: SLF001 - trackers do this
        lines = tuple((frame.f_code, frame.f_lineno) for frame in frames)
        place = record.name, len(self.canary.secrets), lines
        if place in self.seen:
            return
        self.seen.add(place)
        variables: dict[str, Any] = {}
        for frame in frames:
            function = f"{module_of(frame)}.{frame.f_code.co_name}"
            self.frames.add(function)
            for name, value in frame.f_locals.copy().items():
                variables[f"{record.name}: {function}: {name}"] = value
        if self.canary.sings(*kept(variables.values())):
            found = (each for each in variables if self.canary.sings(*kept([variables[each]])))
            self.found.update(found)


def stack(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    """Yield *frame* and its callers, except for those of AWS, stores and test runners."""
    while frame:
        if not module_of(frame).startswith((*ALLOWED, *RUNNERS)):
            yield frame
        frame = frame.f_back


def module_of(frame: types.FrameType) -> str:
    """Return the module of *frame*; for a method that attrs has generated, the class."""
    return str(frame.f_globals.get("__name__", frame.f_code.co_filename))


def kept(variables: Iterable[Any]) -> Iterator[str]:
    """Yield the reprs of *variables*, and all text in their attributes, slots and items."""
    seen = {id(value): value for value in variables}
    for value in seen.values():
        if not type(value).__module__.startswith(ALLOWED):
            yield repr(value)
    left = [each for value in seen.values() for each in members(value)]
    while left:
        each = left.pop()
        kind = type(each)
        if id(each) in seen or issubclass(kind, BARREN):
            continue
        seen[id(each)] = each
        if issubclass(kind, (str, bytes, bytearray)):
            yield str(each)
        elif kind.__module__ == REQUESTS or not kind.__module__.startswith(SDK):
            left += members(each)


def members(value: Any) -> Iterable[Any]:
    """Return the items, or the attributes and slots, of *value*."""
    kind = type(value)
    if issubclass(kind, (*OWNERS, *BARREN)):
        return ()
    if kind.__module__.startswith((*ALLOWED, *DESCRIPTIONS)):
        return ()
    if issubclass(kind, dict):
        return [*value.keys(), *value.values()]
    if issubclass(kind, (list, tuple, set, frozenset)):
        return list(value)
    slots = {name for base in kind.__mro__ for name in vars(base).get("__slots__", ())}
    return [*(getattr(value, name, None) for name in slots), *vars_of(value).values()]


def vars_of(value: Any) -> dict[str, Any]:
    """Return the attributes of *value* that are not in slots."""
    found = getattr(value, "__dict__", None)
    return found if isinstance(found, dict) else {}
