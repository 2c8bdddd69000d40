"""What callers choose about things that exist, and about policies beyond intent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import attrs

from cwagent_iam.errors import IntentError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

Existing: TypeAlias = Literal["refuse", "adopt", "attach", "verify"]
"""What to do about what exists and is not ours."""

Attachments: TypeAlias = Literal["additive", "exclusive"]
"""What to do about attached policies that intent does not name."""


@attrs.frozen
class Choices:
    """What one call was told to do about what it finds.

    Attributes:
        existing: What to do about what exists and is not ours.
        attachments: What to do about attached policies that intent does not name.

    Raises:
        IntentError: When there is no such choice. It lists all that is wrong.
    """

    existing: Existing = "refuse"
    attachments: Attachments = "additive"

    def __attrs_post_init__(self) -> None:
        """Refuse what is no choice."""
        problems = tuple(choice_problems(self.existing, self.attachments))
        if problems:
            raise IntentError(problems=problems)


def choice_problems(existing: object, attachments: object) -> Iterator[Problem]:
    """Yield what is wrong with the two choices."""
    if existing not in get_args(Existing):
        rule = "must be 'refuse', 'adopt', 'attach' or 'verify'"
        yield Problem.of("existing", existing, rule)
    if attachments not in get_args(Attachments):
        yield Problem.of("attachments", attachments, "must be 'additive' or 'exclusive'")
