"""What is to be known about a plan, though IAM would take it: no error, and no reason to stop."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import attrs

from cwagent_iam.display import one_line

FindingKind: TypeAlias = Literal["never", "dead", "needs", "open"]
"""The worst first: the agent can never get in that way; it names what was deleted; something else
is needed; more is allowed than needs to be."""

_ORDER: tuple[FindingKind, ...] = get_args(FindingKind)


@attrs.frozen
class Finding:
    """One thing to know about a trust, a policy, or a plan that has them.

    Attributes:
        kind: How bad it is.
        about: What it is about: a policy, a principal, a condition key or an action.
        sentence: What it is, and what to do about it.
        target: The kind and name of the role or user, as in ``role CloudWatchAgentServerRole``;
            empty where only a document was looked at.
    """

    kind: FindingKind
    about: str
    sentence: str
    target: str = ""

    @property
    def rank(self) -> tuple[int, str, str, str]:
        """What to sort by: the worst first."""
        return _ORDER.index(self.kind), self.target, self.about, self.sentence

    def __str__(self) -> str:
        """One line."""
        parts = (self.kind, self.target, self.about, self.sentence)
        return one_line(": ".join(filter(None, parts)))
