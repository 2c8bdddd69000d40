"""Trusts: one value for each place where the agent runs, and each way from there to the role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from cwagent_iam.arguments import collection_rule, if_named, is_collection, plain, plain_if_named
from cwagent_iam.errors import Problem
from cwagent_iam.policies.partitions import ANY_PARTITION, PARTITION_NAME
from cwagent_iam.trust import checks
from cwagent_iam.trust.base import ASSUME_ROLE, TAG_SESSION, StatementJSON, Trust, statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SET_SOURCE_IDENTITY = "sts:SetSourceIdentity"
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
class EC2(Trust):
    """The agent runs on EC2, or on a Kubernetes node there: the instance has the role.

    Source: the CloudWatch user guide, "Create IAM roles and users for use with the CloudWatch
    agent".

    >>> print(EC2().document())
    Allow Service ec2 sts:AssumeRole
    """

    def problems(self, argument: str = "trust") -> Iterator[Problem]:  # noqa: ARG002 - nothing is asked for
        """Yield nothing: there is nothing to get wrong."""
        return iter(())

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, which has no conditions."""
        return (statement({"Service": "ec2"}, ASSUME_ROLE),)


@attrs.frozen
class ECSTask(Trust):
    """The agent runs in an ECS task: for its task role, and for its execution role.

    Source: "Amazon ECS task IAM role" and "Amazon ECS task execution IAM role" in the ECS developer
    guide.

    >>> print(ECSTask().document())
    Allow Service ecs-tasks sts:AssumeRole

    Attributes:
        account_id: The account whose tasks may have the role, 12 digits: the guard against the
            confused deputy, which the guide advises. `None` leaves it out.
        region: The region of these tasks, or ``*`` for all; it needs *account_id*.
    """

    account_id: str | None = attrs.field(default=None, converter=plain_if_named)
    region: str = attrs.field(default="*", kw_only=True, converter=plain)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        if self.account_id is not None:
            yield from checks.account_problems(f"{argument}.account_id", self.account_id)
        elif self.region != "*":
            rule = "must be given too, because a region alone guards nothing"
            yield Problem.of(f"{argument}.account_id", self.account_id, rule)
        yield from checks.region_problems(f"{argument}.region", self.region)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, with its conditions if the account is given."""
        if self.account_id is None:
            return (statement({"Service": "ecs-tasks"}, ASSUME_ROLE),)
        condition = {
            "ArnLike": {"aws:SourceArn": _source_arn("ecs", self.region, self.account_id)},
            "StringEquals": {"aws:SourceAccount": self.account_id},
        }
        return (statement({"Service": "ecs-tasks"}, ASSUME_ROLE, condition=condition),)


@attrs.frozen
class SSMHybrid(Trust):
    """The agent runs outside AWS, on a server with a hybrid activation of Systems Manager.

    Its SSM agent keeps writing short-lived keys to a credentials file, to which the CloudWatch
    agent is pointed. Source: "Create the IAM service role required for Systems Manager in hybrid
    and multicloud environments" in the Systems Manager user guide.

    Attributes:
        account_id: The account of the activations, 12 digits.
        region: The region of the activations, or ``*`` for all.
    """

    account_id: str = attrs.field(converter=plain)
    region: str = attrs.field(default="*", converter=plain)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        yield from checks.account_problems(f"{argument}.account_id", self.account_id)
        yield from checks.region_problems(f"{argument}.region", self.region)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, with both conditions of the guide."""
        condition = {
            "StringEquals": {"aws:SourceAccount": self.account_id},
            "ArnEquals": {"aws:SourceArn": _source_arn("ssm", self.region, self.account_id)},
        }
        return (statement({"Service": "ssm"}, ASSUME_ROLE, condition=condition),)


@attrs.frozen(kw_only=True)
class PodIdentity(Trust):
    """The agent runs on EKS and gets the role by an EKS Pod Identity association.

    The association names the one service account that gets the role; the conditions here are a
    second lock. EKS tags each session with what they compare, unless the association has session
    tags switched off. Source: "Create IAM role with trust policy required by EKS Pod Identity" in
    the EKS user guide.

    Attributes:
        cluster_arn: The only cluster; `None` for any.
        namespace: The only namespace; ``amazon-cloudwatch`` is that of the EKS add-on. It may hold
            ``*`` and ``?``; `None` for any.
        service_account: The only service account; ``cloudwatch-agent`` is that of the EKS add-on.
            It may hold ``*`` and ``?``; `None` for any.
    """

    cluster_arn: str | None = attrs.field(default=None, converter=plain_if_named)
    namespace: str | None = attrs.field(default=None, converter=plain_if_named)
    service_account: str | None = attrs.field(default=None, converter=plain_if_named)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        account = self.service_account
        yield from if_named(checks.cluster_problems, f"{argument}.cluster_arn", self.cluster_arn)
        yield from if_named(checks.namespace_problems, f"{argument}.namespace", self.namespace)
        yield from if_named(checks.service_account_problems, f"{argument}.service_account", account)

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement, with a condition for each argument that is given."""
        asked = {
            "aws:RequestTag/eks-cluster-arn": self.cluster_arn,
            "aws:RequestTag/kubernetes-namespace": self.namespace,
            "aws:RequestTag/kubernetes-service-account": self.service_account,
        }
        tags = {key: value for key, value in asked.items() if value is not None}
        condition = {
            "StringEquals": {key: value for key, value in tags.items() if not checks.wild(value)},
            "StringLike": {key: value for key, value in tags.items() if checks.wild(value)},
        }
        return (statement({"Service": "pods.eks"}, ASSUME_ROLE, TAG_SESSION, condition=condition),)


@attrs.frozen
class RolesAnywhere(Trust):
    """The agent runs outside AWS and gets the role for a certificate, by IAM Roles Anywhere.

    Source: "Trust model in AWS Identity and Access Management Roles Anywhere" in its user guide.

    Attributes:
        trust_anchor_arn: The trust anchor that vouches for the certificates.
        subject_common_name: The only common name of a certificate's subject; `None` for any.
        issuer_common_name: The only common name of a certificate's issuer; `None` for any.
        source_identity: The only source identity of the session; `None` for any.
    """

    trust_anchor_arn: str = attrs.field(converter=plain)
    subject_common_name: str | None = attrs.field(
        default=None, kw_only=True, converter=plain_if_named
    )
    issuer_common_name: str | None = attrs.field(
        default=None, kw_only=True, converter=plain_if_named
    )
    source_identity: str | None = attrs.field(default=None, kw_only=True, converter=plain_if_named)

    def problems(self, argument: str = "trust") -> Iterator[Problem]:
        """Yield every rule that an argument breaks."""
        yield from checks.anchor_problems(f"{argument}.trust_anchor_arn", self.trust_anchor_arn)
        for name in ("subject_common_name", "issuer_common_name", "source_identity"):
            yield from if_named(checks.text_problems, f"{argument}.{name}", getattr(self, name))

    def statements(self) -> tuple[StatementJSON, ...]:
        """Return the one statement; names are compared as a whole."""
        asked = {
            "aws:PrincipalTag/x509Subject/CN": self.subject_common_name,
            "aws:PrincipalTag/x509Issuer/CN": self.issuer_common_name,
            "sts:SourceIdentity": self.source_identity,
        }
        condition = {
            "ArnEquals": {"aws:SourceArn": self.trust_anchor_arn},
            "StringEquals": {key: value for key, value in asked.items() if value is not None},
        }
        actions = (ASSUME_ROLE, TAG_SESSION, SET_SOURCE_IDENTITY)
        return (statement({"Service": "rolesanywhere"}, *actions, condition=condition),)


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
        provider = _provider(self.oidc_provider, self.account_id)
        return (_web_identity(*provider, AGENT_AUDIENCE, subject),)


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
        provider = _provider(self.issuer, self.account_id)
        return (_web_identity(*provider, self.audience, self.subject),)


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
        account, arn = self.source_account, self.source_arn
        yield from if_named(checks.account_problems, f"{argument}.source_account", account)
        yield from if_named(checks.source_arn_problems, f"{argument}.source_arn", arn)

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


def _source_arn(service: str, region: str, account_id: str) -> str:
    """Stand for all that *service* has in an account."""
    return f"arn:{ANY_PARTITION}:{service}:{region}:{account_id}:*"


def _provider(named: str, account_id: str | None) -> tuple[str | None, str]:
    """Return the account and the issuer of an OIDC provider: an ARN or a URL, as a caller named it.

    The URL of an issuer may have its scheme or not, and does not tell the account.
    """
    match = _PROVIDER_ARN.fullmatch(named)
    if match:
        return match["account"], match["issuer"]
    return account_id, named.removeprefix("https://")


def _web_identity(account: str | None, issuer: str, audience: str, subject: str) -> StatementJSON:
    is_audience, is_subject = {f"{issuer}:aud": audience}, {f"{issuer}:sub": subject}
    condition = (
        {"StringEquals": is_audience, "StringLike": is_subject}
        if checks.wild(subject)
        else {"StringEquals": is_audience | is_subject}
    )
    arn = f"arn:{ANY_PARTITION}:iam::{account}{PROVIDER_PREFIX}{issuer}"
    return statement({"Federated": arn}, WEB_IDENTITY, condition=condition)


def _provider_problems(
    trust: str, argument: str, value: object, account_id: object
) -> Iterator[Problem]:
    where, where_account = f"{trust}.{argument}", f"{trust}.account_id"
    yield from if_named(checks.account_problems, where_account, account_id)
    if not isinstance(value, str):
        yield Problem.of(where, value, "must be a string")
        return
    account, issuer = _provider(value, None)
    if not _ISSUER.fullmatch(issuer):
        rule = (
            "must be the ARN of an OIDC provider, arn:PARTITION:iam::ACCOUNT:oidc-provider/ISSUER, "
            "or the URL of an issuer, https://HOST/PATH, without port and query"
        )
        yield Problem.of(where, value, rule)
    elif len(issuer) + len("https://") > URL_LENGTH:
        rule = f"must have a URL of at most {URL_LENGTH} characters, https:// counted"
        yield Problem.of(where, value, rule)
    elif account is None and account_id is None:
        rule = "must be given too, because the URL of an issuer does not tell the account"
        yield Problem.of(where_account, account_id, rule)
    elif None not in (account, account_id) and account != account_id:
        rule = f"must be the account in the ARN of the OIDC provider, {account}"
        yield Problem.of(where_account, account_id, rule)


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
