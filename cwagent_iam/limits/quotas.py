"""IAM's quotas, as data: an account can have higher ones than a new account has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.trust import shortest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cwagent_iam.documents import Document
    from cwagent_iam.policies import InlinePolicy

_CHARACTERS = "characters besides white space"

AccountSummary: TypeAlias = Mapping[Any, int]
"""The ``SummaryMap`` of GetAccountSummary; the keys are strings, which type stubs list singly."""


def _quota(name: str, default: int, *, adjustable: bool = False) -> Any:
    """Declare a quota by its *name* in GetAccountSummary, with the *default* of a new account."""
    return attrs.field(default=default, metadata={"name": name, "adjustable": adjustable})


@attrs.frozen(kw_only=True)
class Quotas:
    """What IAM allows a role or a user, at most; by default what it allows in a new account.

    How many roles, users and profiles an account may have is left to IAM, because others make some
    at any moment: it refuses one too many as ``LimitExceeded``.

    Sources: "IAM and AWS STS quotas" in the IAM user guide for the numbers, ``GetAccountSummary``
    in the IAM API reference for the names, given here behind each.

    Attributes:
        policies_per_role: Managed policies attached to a role (``AttachedPoliciesPerRoleQuota``;
            adjustable).
        policies_per_user: Managed policies attached to a user (``AttachedPoliciesPerUserQuota``;
            adjustable).
        trust_size: Characters of a trust, white space not counted (``AssumeRolePolicySizeQuota``;
            adjustable).
        inline_size_per_role: Characters of all inline policies of a role together, white space not
            counted (``RolePolicySizeQuota``).
        inline_size_per_user: The same for a user (``UserPolicySizeQuota``).

    Raises:
        IntentError: When some are no whole numbers. It lists all that is wrong.
    """

    policies_per_role: int = _quota("AttachedPoliciesPerRoleQuota", 10, adjustable=True)
    policies_per_user: int = _quota("AttachedPoliciesPerUserQuota", 10, adjustable=True)
    trust_size: int = _quota("AssumeRolePolicySizeQuota", 2048, adjustable=True)
    inline_size_per_role: int = _quota("RolePolicySizeQuota", 10_240)
    inline_size_per_user: int = _quota("UserPolicySizeQuota", 2048)

    def __attrs_post_init__(self) -> None:
        """Refuse what is no number."""
        rule = "must be a whole number, 0 or more"
        numbers = attrs.asdict(self)
        bad = [name for name, number in numbers.items() if not _is_quota(number)]
        problems = tuple(Problem.of(name, numbers[name], rule) for name in bad)
        if problems:
            raise IntentError(problems=problems)

    @classmethod
    def from_account_summary(cls, summary: AccountSummary) -> Quotas:
        """Read the ``SummaryMap`` of GetAccountSummary; what it lacks keeps its default."""
        names = {field.name: field.metadata["name"] for field in attrs.fields(cls)}
        return cls(**{field: summary[name] for field, name in names.items() if name in summary})

    def problems(self, argument: str, quota: str, number: int, unit: str) -> Iterator[Problem]:
        """Check one number against one quota.

        Args:
            argument: What the problem calls the thing that is counted.
            quota: The name of the quota here, such as ``"policies_per_role"``.
            number: How many there are to be.
            unit: What is counted, in the plural.
        """
        most, field = getattr(self, quota), getattr(attrs.fields(Quotas), quota)
        if number > most:
            raised = field.metadata["adjustable"] and most == field.default
            how = "; if AWS has raised that, pass quotas=observe_quotas()" if raised else ""
            rule = f"must be at most {most} {unit} ({field.metadata['name']}{how})"
            yield Problem(argument, f"{number} {unit}", rule)


def _is_quota(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


DEFAULT_QUOTAS = Quotas()


def inline_size_problems(
    argument: str,
    policies: Iterable[InlinePolicy],
    kind: Literal["role", "user"],
    quotas: Quotas = DEFAULT_QUOTAS,
) -> Iterator[Problem]:
    """Check the inline policies of one role or user against the quota that they share.

    They are counted as they are in partition ``aws``, where they are shortest: as long as there is
    no client, only what is too long there is surely too long.
    """
    size = sum(policy.size for policy in policies)
    unit = f"{_CHARACTERS} in all"
    yield from quotas.problems(argument, f"inline_size_per_{kind}", size, unit)


def trust_size_problems(
    argument: str, document: Document, quotas: Quotas = DEFAULT_QUOTAS
) -> Iterator[Problem]:
    """Check a trust against its quota, in the partition where it is shortest; as above."""
    yield from quotas.problems(argument, "trust_size", shortest(document).size, _CHARACTERS)
