"""The trusts in which a token of an OIDC provider is exchanged for the role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from cwagent_iam.arguments import plain, plain_if_named
from cwagent_iam.errors import Problem
from cwagent_iam.policies import ANY_PARTITION, PARTITION_NAME
from cwagent_iam.trust import checks
from cwagent_iam.trust.base import StatementJSON, Trust, statement

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
AGENT_AUDIENCE = "sts.amazonaws.com"
"""The audience of IRSA's tokens, in every partition."""

PROVIDER_PREFIX = ":oidc-provider/"
URL_LENGTH = 255
_PROVIDER_ARN = re.compile(
    rf"arn:{PARTITION_NAME}:iam::(?P<account>[0-9]{{12}}):oidc-provider/(?P<issuer>.+)",
)
_ISSUER = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
    r"(?:/[A-Za-z0-9._~%!&'()+,;=@/-]*)?",
)


@attrs.frozen
class _Provider:
    """An OIDC provider in IAM, as far as a caller has named it."""

    account: str | None
    issuer: str

    @classmethod
    def read(cls, named: str, account_id: str | None) -> _Provider:
        """Read an ARN, or a URL with or without its scheme."""
        match = _PROVIDER_ARN.fullmatch(named)
        if match:
            return cls(match["account"], match["issuer"])
        return cls(account_id, named.removeprefix("https://"))

    @property
    def arn(self) -> str:
        """Its ARN, in the partition of the role."""
        return f"arn:{ANY_PARTITION}:iam::{self.account}:oidc-provider/{self.issuer}"


@attrs.frozen
class IRSA(Trust):
    """The agent runs on EKS or another Kubernetes, and its service account is given the role.

    The cluster's issuer must be an OIDC provider in IAM. Source: "IAM roles for service accounts"
    in the EKS user guide.

    >>> print(IRSA("oidc.eks.eu-west-1.amazonaws.com/id/1234", account_id="123456789012")
    ...     .document())  # doctest: +ELLIPSIS
    Allow Federated arn:PARTITION:iam::123456789012:oidc-provider/oidc.eks...

    Attributes:
        oidc_provider: The ARN of the OIDC provider, in any partition; or the URL of the issuer,
            with or without ``https://``, and *account_id*.
        namespace: The namespace; the default is that of the EKS add-on. It may hold ``*`` and
            ``?``.
        service_account: The service account; the default is that of the EKS add-on. It may hold
            ``*`` and ``?``.
        account_id: The account of the OIDC provider, which is that of the role: 12 digits. Not
            needed with an ARN.
    """

    oidc_provider: str = attrs.field(converter=plain)
    namespace: str = attrs.field(default="amazon-cloudwatch", converter=plain)
    service_account: str = attrs.field(default="cloudwatch-agent", converter=plain)
    account_id: str | None = attrs.field(default=None, kw_only=True, converter=plain_if_named)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        yield from _provider_problems(
            argument, "oidc_provider", self.oidc_provider, self.account_id
        )
        yield from checks.namespace_problems(f"{argument}.namespace", self.namespace)
        where = f"{argument}.service_account"
        yield from checks.service_account_problems(where, self.service_account)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement: one audience, one service account or a pattern of them."""
        subject = f"system:serviceaccount:{self.namespace}:{self.service_account}"
        provider = _Provider.read(self.oidc_provider, self.account_id)
        return (_statement(provider, AGENT_AUDIENCE, subject),)


@attrs.frozen
class WebIdentity(Trust):
    """The agent has a token of another OIDC provider, as on AKS or on a virtual machine of Azure.

    Source: "Create a role for OpenID Connect federation" in the IAM user guide.

    Attributes:
        issuer: The URL of the issuer, with or without ``https://``, and *account_id*; or the ARN
            of the OIDC provider, in any partition. The issuers of Azure end with a slash, which
            belongs to them.
        audience: The audience of the tokens. AKS: ``sts.amazonaws.com``. An Azure VM:
            ``https://management.azure.com/``.
        subject: The subject of the tokens; it may hold ``*`` and ``?``. AKS:
            ``system:serviceaccount:NAMESPACE:SERVICE_ACCOUNT``.
        account_id: The account of the OIDC provider, which is that of the role: 12 digits. Not
            needed with an ARN.
    """

    issuer: str = attrs.field(converter=plain)
    audience: str = attrs.field(converter=plain)
    subject: str = attrs.field(converter=plain)
    account_id: str | None = attrs.field(default=None, kw_only=True, converter=plain_if_named)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        yield from _provider_problems(argument, "issuer", self.issuer, self.account_id)
        yield from checks.text_problems(f"{argument}.audience", self.audience)
        yield from checks.exact_problems(f"{argument}.audience", self.audience)
        yield from checks.text_problems(f"{argument}.subject", self.subject)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement: one audience, one subject or a pattern of them."""
        provider = _Provider.read(self.issuer, self.account_id)
        return (_statement(provider, self.audience, self.subject),)


def _statement(provider: _Provider, audience: str, subject: str) -> StatementJSON:
    is_audience = {f"{provider.issuer}:aud": audience}
    is_subject = {f"{provider.issuer}:sub": subject}
    condition = (
        {"StringEquals": is_audience, "StringLike": is_subject}
        if checks.wild(subject)
        else {"StringEquals": is_audience | is_subject}
    )
    return statement({"Federated": provider.arn}, WEB_IDENTITY, condition=condition)


def _provider_problems(
    trust: str, argument: str, value: object, account_id: object
) -> Iterator[Problem]:
    where, where_account = f"{trust}.{argument}", f"{trust}.account_id"
    if account_id is not None:
        yield from checks.account_problems(where_account, account_id)
    if not isinstance(value, str):
        yield Problem.of(where, value, "must be a string")
        return
    provider = _Provider.read(value, None)
    if not _ISSUER.fullmatch(provider.issuer):
        rule = (
            "must be the ARN of an OIDC provider, arn:PARTITION:iam::ACCOUNT:oidc-provider/ISSUER, "
            "or the URL of an issuer, https://HOST/PATH, without port and query"
        )
        yield Problem.of(where, value, rule)
    elif len(provider.issuer) + len("https://") > URL_LENGTH:
        rule = f"must have a URL of at most {URL_LENGTH} characters, https:// counted"
        yield Problem.of(where, value, rule)
    elif provider.account is None and account_id is None:
        rule = "must be given too, because the URL of an issuer does not tell the account"
        yield Problem.of(where_account, account_id, rule)
    elif None not in (provider.account, account_id) and provider.account != account_id:
        rule = f"must be the account in the ARN of the OIDC provider, {provider.account}"
        yield Problem.of(where_account, account_id, rule)
