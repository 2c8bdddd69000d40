"""Key stores: the secret of a new access key, and the Protocols of the places that it may go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn, Protocol, SupportsIndex, final, runtime_checkable

import attrs

from cwagent_iam.errors import Problem
from cwagent_iam.limits import TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

_MASK = "<secret access key>"
_REFUSAL = "a secret access key cannot be converted: call reveal() where it is stored"


@final
class SecretAccessKey:
    """The secret of an access key. Only its repr is a mask; it refuses every other conversion.

    A mask that becomes data would be stored in place of the secret. So ``str``, ``format`` and
    pickling raise. There is no copy: after `forget` nothing that still refers to the object, such
    as the frames of a traceback, can reveal the secret.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hold *text*."""
        self._text: str | None = text

    def reveal(self) -> str:
        """Return the secret, for the code that stores it.

        Raises:
            LookupError: If it is forgotten.
        """
        if self._text is None:
            msg = "the secret access key is forgotten: it was delivered, or its key was deleted"
            raise LookupError(msg)
        return self._text

    def forget(self) -> None:
        """Drop the secret."""
        self._text = None

    def __repr__(self) -> str:
        """Return the mask."""
        return _MASK

    def __str__(self) -> NoReturn:
        """Refuse, with a TypeError."""
        raise TypeError(_REFUSAL)

    def __format__(self, _spec: str) -> NoReturn:
        """Refuse, with a TypeError."""
        raise TypeError(_REFUSAL)

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        """Refuse, with a TypeError."""
        raise TypeError(_REFUSAL)

    def __getstate__(self) -> NoReturn:
        """Refuse, with a TypeError."""
        raise TypeError(_REFUSAL)

    def __copy__(self) -> SecretAccessKey:
        """Return the same object."""
        return self

    def __deepcopy__(self, _memo: object) -> SecretAccessKey:
        """Return the same object."""
        return self


@attrs.frozen(kw_only=True)
class NewAccessKey:
    """A new access key, for the store that it is delivered to.

    Attributes:
        access_key_id: Its id.
        user_name: The name of its user.
        secret: Its secret.
    """

    access_key_id: str
    user_name: str
    secret: SecretAccessKey = attrs.field(eq=False)


class KeyStore(Protocol):
    """A place for one access key. Its id can be read back, and its secret cannot.

    The secret that it holds cannot be verified. Therefore a rotation deactivates an old key only
    after the new one was used. If the secret can be read, add a method ``secret``: see
    `ReadableKeyStore`. Errors and events name a store by its ``__str__``, which must not depend on
    the key; without one, by its type. They do not repeat the words of its exceptions. A store may
    have an attribute ``identity``, a string that tells it from other stores; records of keys hold a
    hash of it. Default: its name.
    """

    def held(self) -> str | None:
        """Return the id of the key that it holds; `None` if it holds none."""

    def check(self) -> None:
        """Raise if it could not be written now; leave nothing behind."""

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Store *key*; raise if that fails, or if the held key is no longer *replacing*."""


@runtime_checkable
class ReadableKeyStore(KeyStore, Protocol):
    """A place for one access key that can be read back, so that the secret can be verified."""

    def secret(self) -> SecretAccessKey | str | None:
        """Return the secret of the held key; `None` if it holds none."""


@attrs.frozen
class Advice:
    """The result of `Companion.settle`.

    Attributes:
        text: The steps that are left for the caller; empty if there are none.
        rereads: Whether the agent notices a new key without a restart.
        redirected: Whether the agent was just pointed at the store, and needs a restart for that.
    """

    text: str = ""
    rereads: bool = True
    redirected: bool = False


@runtime_checkable
class Companion(Protocol):
    """A store that can repair the settings of the programs that read it. This is optional."""

    def settle(self) -> Advice | str:
        """Repair the settings by which the agent finds the store, and return what is left to do.

        It is called whenever the store holds a key that works.
        """


def store_problems(deliver: object, tags: object = None) -> Iterator[Problem]:
    """Yield the problems of the argument *deliver*, and of tags that leave no room for records."""
    if isinstance(tags, Mapping) and len(tags) > TAGS - 3:
        rule = f"must be at most {TAGS - 3} tags with deliver: two keys may have to be recorded"
        yield Problem("tags", f"{len(tags)} tags", rule)
    methods = ("held", "check", "write")
    has_all = all(callable(getattr(deliver, name, None)) for name in methods)
    if isinstance(deliver, type) or not has_all:
        rule = "must be a store for keys, with the methods held, check and write"
        yield Problem.of("deliver", deliver, rule)
