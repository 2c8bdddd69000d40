"""A secret that shows itself to nobody who does not ask for it by name."""

from __future__ import annotations

from typing import Any, NoReturn, final

import attrs

_MASK = "<secret access key>"


@final
class SecretAccessKey:
    """The secret half of an access key. Whatever shows it, copies it or stores it gets a mask.

    It is meant to live for the moment between IAM's reply and the store; after `forget` nothing
    that still refers to it, such as the frames of a traceback, can tell the secret.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hold *text*."""
        self._text: str | None = text

    def reveal(self) -> str:
        """Return the secret, for the one who writes it down.

        Raises:
            LookupError: When it is forgotten.
        """
        if self._text is None:
            msg = "the secret access key is forgotten: it was delivered, or its key deleted"
            raise LookupError(msg)
        return self._text

    def forget(self) -> None:
        """Let go of the secret."""
        self._text = None

    def __repr__(self) -> str:
        """The mask."""
        return _MASK

    def __format__(self, _spec: str) -> str:
        """The mask, whatever the format."""
        return _MASK

    def __copy__(self) -> SecretAccessKey:
        """There is no copy: what is forgotten shall be forgotten everywhere."""
        return self

    def __deepcopy__(self, _memo: Any) -> SecretAccessKey:
        """There is no copy."""
        return self

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always.
        """
        self.__getstate__()

    def __getstate__(self) -> NoReturn:
        """Refuse to be taken apart, as other ways to write objects down do.

        Raises:
            TypeError: Always.
        """
        msg = "a secret access key cannot be pickled"
        raise TypeError(msg)


@attrs.frozen(kw_only=True)
class NewAccessKey:
    """An access key that was made a moment ago, for the store that it is delivered to.

    Attributes:
        access_key_id: Its id.
        user_name: Whose it is.
        secret: Its secret.
    """

    access_key_id: str
    user_name: str
    secret: SecretAccessKey = attrs.field(eq=False)
