"""What things hold beyond intent: reported, and left alone unless somebody asks otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.display import one_line

if TYPE_CHECKING:
    from cwagent_iam.documents import Document
    from cwagent_iam.policies import ManagedPolicy

ExtraField: TypeAlias = Literal["policies", "trust"]
"""Where there can be more than intent names, as differences call it."""


@attrs.frozen
class Extra:
    """One thing that is there beyond intent.

    Attributes:
        target: The kind and name of what holds it, as in ``role CloudWatchAgentServerRole``.
        field: ``"policies"`` for a managed policy that is attached, ``"trust"`` for a statement
            of the trust.
        value: The policy, or a document with that one statement.
        note: What else is to be known about it; mostly empty.
    """

    target: str
    field: ExtraField
    value: ManagedPolicy | Document
    note: str = ""

    def __str__(self) -> str:
        """One line, as in ``role NAME, policies: POLICY``."""
        line = f"{self.target}, {self.field}: {self.value}"
        return one_line(f"{line} ({self.note})" if self.note else line)
