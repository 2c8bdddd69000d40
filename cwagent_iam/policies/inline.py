"""Inline policies: documents that lie in one role or user, under a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.arguments import collection_rule, is_collection, plain
from cwagent_iam.documents import Document
from cwagent_iam.errors import Problem
from cwagent_iam.policies.grammar import identity_problems
from cwagent_iam.policies.managed import POLICY_NAME
from cwagent_iam.policies.partitions import localise, neutral, neutralise

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST_PARTITION = "aws"
_NAME = re.compile(POLICY_NAME)


@attrs.frozen(init=False)
class InlinePolicy:
    """A policy document that lies in one role or user, and goes with it.

    Two are equal when they have one name and their documents mean the same.

    >>> policy = InlinePolicy("ReadTags", '{"Version": "2012-10-17", "Statement": {"Effect": '
    ...     '"Allow", "Action": "ec2:DescribeTags", "Resource": "*"}}')
    >>> print(policy)
    ReadTags (Allow ec2:DescribeTags *)

    Attributes:
        name: 1 to 128 characters; ASCII letters, digits and ``_+=,.@-``. Unique in the role or
            user.
        document: The document; given as JSON, a mapping or a `Document`. It is held in its neutral
            form, in which ARNs that leave the region open leave the partition open too.
    """

    name: str
    document: Document

    def __init__(self, name: str, document: str | Mapping[str, Any] | Document) -> None:
        """Hold what a caller wrote; what is no document is left for the check to find."""
        read: Any = Document.parse(document) if isinstance(document, (str, Mapping)) else document
        self.__attrs_init__(plain(name), neutral(read) if isinstance(read, Document) else read)

    @classmethod
    def found(cls, name: str, document: str | Mapping[str, Any], partition: str) -> InlinePolicy:
        """Read what IAM has in *partition*: an ARN that names another one there is no open one."""
        policy = cls.__new__(cls)
        policy.__attrs_init__(name, neutralise(Document.parse(document), partition))
        return policy

    def text(self, partition: str) -> str:
        """Return the document as IAM wants it in *partition*: compact JSON."""
        return localise(self.document, partition).text

    @property
    def size(self) -> int:
        """What it takes of IAM's quota: its characters but white space, in partition ``aws``.

        In the other partitions, whose names are longer, it may be a few more.
        """
        return localise(self.document, _SHORTEST_PARTITION).size

    def problems(self, argument: str = "inline_policy") -> Iterator[Problem]:
        """Yield every reason for which IAM would refuse it, but for the quota.

        Args:
            argument: What problems call this policy, as in ``inline_policies[0].name``.
        """
        name: Any = self.name
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            rule = "must have 1 to 128 characters: ASCII letters, digits and _+=,.@-"
            yield Problem.of(f"{argument}.name", name, rule)
        document: Any = self.document
        if isinstance(document, Document):
            yield from identity_problems(f"{argument}.document", document)
        else:
            rule = "must be JSON, a mapping or a Document"
            yield Problem.of(f"{argument}.document", document, rule)

    def __str__(self) -> str:
        """The name, and each statement in short."""
        return f"{self.name} ({self.document})"


def inline_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the inline policies of one role or user, but for the quota that they share.

    Args:
        argument: What problems call them.
        value: Anything; good are tuples, lists and sets of `InlinePolicy`.
    """
    if not is_collection(value):
        yield Problem.of(argument, value, collection_rule("InlinePolicy"))
        return
    names: set[str] = set()
    for index, policy in enumerate(value):
        where = f"{argument}[{index}]"
        if not isinstance(policy, InlinePolicy):
            yield Problem.of(where, policy, "must be an InlinePolicy")
            continue
        yield from policy.problems(where)
        folded = str(policy.name).lower()
        if folded in names:
            rule = "must differ from the other names by more than letter case"
            yield Problem.of(f"{where}.name", policy.name, rule)
        names.add(folded)
