"""A bird that sings where a secret is: it listens to the log, and looks into all that is told."""

from __future__ import annotations

import base64
import collections
import datetime as dt
import gc
import logging
import pickle
import traceback
import types
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import quote

import attrs
from moto.iam import models as moto_models

from cwagent_iam import CwAgentIamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CELL = types.CellType()
# What has nothing inside, and what is code.
BARREN = (
    *(type(None), int, float, dt.date, dt.timedelta),
    *(types.ModuleType, type, types.CodeType, weakref.ProxyType, weakref.CallableProxyType),
)
# Where a secret may be: in AWS, which is moto here, and in a store.
ALLOWED = ("moto", "cwagent_iam.testing", "tests.", "_pytest", "logging")


def spellings(secret: str) -> tuple[str, ...]:
    """Return *secret* as it is, and as it may be on the wire."""
    coded = base64.b64encode(secret.encode()).decode()
    return secret, quote(secret, safe=""), quote(secret), coded, secret.encode().hex()


@attrs.define
class Canary:
    """The secrets of every key that was made, and all that was logged."""

    secrets: list[str] = attrs.field(factory=list)
    records: list[logging.LogRecord] = attrs.field(factory=list)
    lines: list[str] = attrs.field(factory=list)

    def sings(self, *texts: str) -> bool:
        """Tell whether a text has one of the secrets, as it is or in another spelling."""
        everything = "\0".join(texts)
        return any(each in everything for secret in self.secrets for each in spellings(secret))

    def silence(self) -> None:
        """Forget what was logged."""
        self.records.clear()
        self.lines.clear()


@contextmanager
def listening() -> Iterator[Canary]:
    """Listen to everything at DEBUG, and know each secret that is made meanwhile."""
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
            patch.object(root, "handlers", [listener]),  # pytest's would put each line down thrice
        ):
            yield canary
    finally:
        root.setLevel(level)


def inside(kind: type, things: list[Any]) -> Iterable[Any]:
    """Return what is inside of *things* of one *kind*, as far as anybody looks."""
    if issubclass(kind, BARREN) or kind.__module__.startswith(ALLOWED):
        return ()
    if kind is types.FrameType:
        ours = (it for it in things if not it.f_globals["__name__"].startswith(ALLOWED))
        return [it.f_locals.copy() for it in ours]
    if kind is types.TracebackType:
        return [part for it in things for part in (it.tb_frame, it.tb_next)]
    if kind is types.FunctionType:
        cells = (cell for it in things for cell in it.__closure__ or () if cell != CELL)
        return [cell.cell_contents for cell in cells]
    return gc.get_referents(*things)


def texts_in(*roots: Any) -> list[str]:
    """Find each text that can be reached, except through code, AWS and stores."""
    seen: dict[int, Any] = {}  # it holds them, or another one may get the same id
    texts: list[str] = []
    left = list(roots)
    while left:
        by_kind = collections.defaultdict(list)
        for each in left:
            if id(each) not in seen:
                seen[id(each)] = each
                # A weak proxy says that it is of the kind of what it stands for; `type` does not.
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
    """Return the traceback with the local variables of all frames of ours, and of the SDK."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in told.stack:
        if "/tests/" in frame.filename:
            frame.locals = None
    return "".join(told.format())


def shows(error: BaseException | None, result: Any, events: list[Any]) -> Iterator[str]:
    """Show everything in every way there is."""
    things = [result, *events, *([error] if error else [])]
    for thing in things:
        yield from (str(thing), repr(thing), f"{thing}", ascii(thing))
        if hasattr(thing, "_repr_html_"):
            yield thing._repr_html_()
        if not isinstance(thing, BaseException) or isinstance(thing, CwAgentIamError):
            yield pickle.dumps(thing).decode("latin-1")
        if attrs.has(type(thing)):
            yield repr(attrs.asdict(thing, recurse=False))
    if error:
        yield in_words(error)
        yield "".join(getattr(error, "__notes__", ()))


def check(canary: Canary, error: BaseException | None, result: Any, events: list[Any]) -> None:
    """Fail if anything but AWS and the store tells a secret."""
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
