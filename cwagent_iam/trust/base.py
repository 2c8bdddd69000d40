"""What all trusts have in common."""

from __future__ import annotations

import abc
import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from cwagent_iam.arguments import refuse
from cwagent_iam.documents import Document
from cwagent_iam.errors import Problem
from cwagent_iam.trust.partitions import neutral

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

StatementJSON: TypeAlias = dict[str, Any]
"""One statement of a policy document."""

ASSUME_ROLE = "sts:AssumeRole"
TAG_SESSION = "sts:TagSession"
_EC2 = Document.parse(
    {"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2"}, "Action": ASSUME_ROLE}}
)


@attrs.frozen
class Trust(abc.ABC):
    """Who may assume a role; the base of all that ``trust=`` takes.

    A trust is a value: it compares and hashes by its arguments, knows no partition, and asks AWS
    nothing.
    """

    @abc.abstractmethod
    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument of this trust breaks.

        Args:
            argument: What problems call this trust, as in ``trust.account_id``.
        """

    @abc.abstractmethod
    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the statements for arguments that have no problems."""

    def document(self) -> Document:
        """Return the trust policy in its neutral form, as desired state holds it.

        Raises:
            IntentError: When an argument breaks a rule. It lists all that is wrong.
        """
        return self._document

    @functools.cached_property
    def _document(self) -> Document:
        """The trust policy; built once, because many roles share one trust."""
        refuse(self.problems())
        content = {"Version": "2012-10-17", "Statement": list(self.statements())}
        return neutral(Document.parse(content))

    @functools.cached_property
    def for_ec2(self) -> bool:
        """Whether EC2 may assume the role; without that an instance profile serves nobody.

        Conditions are taken to be met: what they are about is up to who wrote them.

        Raises:
            IntentError: When an argument breaks a rule.
        """
        statements = [
            {name: each[name] for name in each if (each["Effect"], name) != ("Allow", "Condition")}
            for each in self.document().content()["Statement"]
        ]
        return Document.parse({"Statement": statements}).allows(_EC2)


def trust_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check what was given for ``trust=``: that it is a `Trust`, and all its arguments."""
    if isinstance(value, Trust):
        yield from value.problems(argument)
    else:
        rule = "must be EC2(), another place where the agent runs, or CustomTrust(document)"
        yield Problem.of(argument, value, rule)


def statement(
    principal: Mapping[str, Any],
    *actions: str,
    condition: Mapping[str, Mapping[str, str]] | None = None,
) -> StatementJSON:
    """Allow *actions* to *principal*; without a *condition*, or with an empty one, always."""
    allowed = {
        "Effect": "Allow",
        "Principal": dict(principal),
        "Action": actions[0] if len(actions) == 1 else list(actions),
    }
    met = {operator: dict(keys) for operator, keys in (condition or {}).items() if keys}
    return allowed | ({"Condition": met} if met else {})
