"""The trust in which another role or user assumes the role, of this account or another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.arguments import collection_rule, is_collection, plain, plain_if_named
from cwagent_iam.errors import Problem
from cwagent_iam.trust import checks
from cwagent_iam.trust.base import ASSUME_ROLE, StatementJSON, Trust, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def _frozen(principals: Collection[str]) -> Collection[str]:
    """Make a set of several principals; leave what is no such thing for the check to find."""
    given: Any = principals
    if is_collection(given):
        texts = tuple(map(plain, given))
        try:
            given = frozenset(texts)
        except TypeError:
            given = texts
    held: Collection[str] = given
    return held


@attrs.frozen
class CrossAccount(Trust):
    """The role is the target of ``credentials.role_arn`` in the agent's configuration.

    The agent assumes it with the credentials it has, which must be allowed ``sts:AssumeRole`` on
    it. Source: "Sending metrics, logs, and traces to a different account" in the CloudWatch user
    guide. Where the source is a role that EKS Pod Identity hands over, its session tags go on to
    this one, which takes ``sts:TagSession`` too: write that in a `CustomTrust`.

    Attributes:
        principals: Who may: ids of accounts (12 digits) and ARNs of roles, users or sessions, as
            a tuple, a list or a set.
        source_account: The account that the agent must name: 12 digits. The agent does so only if
            both ``AMZ_SOURCE_ACCOUNT`` and ``AMZ_SOURCE_ARN`` are set in its environment.
        source_arn: The ARN that the agent must name, for example that of its instance; it may
            hold ``*`` and ``?``. The same goes for it.
    """

    principals: Collection[str] = attrs.field(converter=_frozen)
    source_account: str | None = attrs.field(default=None, kw_only=True, converter=plain_if_named)
    source_arn: str | None = attrs.field(default=None, kw_only=True, converter=plain_if_named)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        yield from _principals_problems(f"{argument}.principals", self.principals)
        if self.source_account is not None:
            yield from checks.account_problems(f"{argument}.source_account", self.source_account)
        if self.source_arn is not None:
            yield from checks.source_arn_problems(f"{argument}.source_arn", self.source_arn)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, with a condition for each source that is given."""
        account = {"aws:SourceAccount": self.source_account} if self.source_account else {}
        arn = {"aws:SourceArn": self.source_arn} if self.source_arn else {}
        pattern = checks.wild(self.source_arn or "")
        condition = {
            "StringEquals": account if pattern else account | arn,
            "ArnLike": arn if pattern else {},
        }
        principals = sorted(self.principals)
        trusted = principals[0] if len(principals) == 1 else principals
        return (statement({"AWS": trusted}, ASSUME_ROLE, condition=condition),)


def _principals_problems(where: str, principals: object) -> Iterator[Problem]:
    if not isinstance(principals, (frozenset, tuple)):
        yield Problem.of(where, principals, collection_rule("principals"))
        return
    if not principals:
        yield Problem.of(where, set(principals), "must name somebody")
    bad = False
    for principal in sorted(principals, key=repr):
        for problem in checks.principal_problems(where, principal):
            bad = True
            yield problem
    partitions = set() if bad else {checks.principal_partition(each) for each in principals}
    if len(partitions - {None}) > 1:
        rule = "must all be of one partition: nobody assumes a role of another"
        yield Problem.of(where, sorted(principals), rule)
