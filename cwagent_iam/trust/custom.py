"""A trust that the caller wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.documents import Document
from cwagent_iam.errors import IntentError, Problem
from cwagent_iam.trust.base import StatementJSON, Trust
from cwagent_iam.trust.grammar import grammar_problems
from cwagent_iam.trust.partitions import neutral

if TYPE_CHECKING:
    from collections.abc import Iterator


_VERSION = "2012-10-17"


def _is_older(document: Document) -> bool:
    """Tell whether it would mean something else in the version that has variables."""
    return document.version != _VERSION and "${" in document.text


def _version_problem(document: Document) -> Problem:
    rule = f"must have the version {_VERSION} to be joined, because of the variable in it"
    return Problem.of("trusts", document.text, rule)


def _read(source: str | Mapping[str, Any] | Document) -> Document:
    """Read a document; leave what is no such thing for the check to find."""
    parsed: Any = Document.parse(source) if isinstance(source, (str, Mapping)) else source
    read: Document = neutral(parsed) if isinstance(parsed, Document) else parsed
    return read


@attrs.frozen
class CustomTrust(Trust):
    """Who may assume the role, in the caller's own words.

    The agent's services may be written by their names in any partition or by their short names
    (``ec2``, ``ecs-tasks``, ``pods.eks``, ``rolesanywhere``, ``ssm``); either way they are meant in
    the partition of the role, and so are OIDC providers. Two are equal when they mean the same.

    >>> CustomTrust('{"Statement": {"Effect": "Allow", "Principal": {"Service": '
    ...     '"ec2.amazonaws.com"}, "Action": ["sts:AssumeRole"]}}').for_ec2
    True

    Attributes:
        source: The trust policy, given as ``document``: JSON, a mapping or a `Document`. It is
            held in its neutral form.
    """

    source: Document = attrs.field(converter=_read, alias="document")

    @classmethod
    def of(cls, *trusts: Trust) -> CustomTrust:
        """Let all of several trusts assume the role; labels of statements (``Sid``) are left out.

        Raises:
            IntentError: When an argument of one of them breaks a rule; or when one has a variable
                in a version of the policy language that takes it for plain text.
        """
        documents = [trust.document() for trust in trusts]
        problems = tuple(_version_problem(each) for each in documents if _is_older(each))
        if problems:
            raise IntentError(problems=problems)
        statements = [
            {name: each[name] for name in each if name != "Sid"}
            for document in documents
            for each in document.content()["Statement"]
        ]
        return cls({"Version": _VERSION, "Statement": statements})

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every reason for which IAM would refuse the document."""
        where = f"{argument}.document"
        source: Any = self.source
        if isinstance(source, Document):
            yield from grammar_problems(where, source)
        else:
            yield Problem.of(where, source, "must be JSON, a mapping or a Document")

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the statements as they were written."""
        return tuple(self.source.content()["Statement"])

    def document(self) -> Document:
        """Return the trust policy in its neutral form, with its own version and labels."""
        super().document()
        return self.source
