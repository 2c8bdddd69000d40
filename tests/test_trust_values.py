"""The trusts that `trust=` takes: their conditions, and what is refused of their arguments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import Document, IntentError
from cwagent_iam.trust import (
    EC2,
    EC2_TRUST,
    IRSA,
    PARTITIONS,
    CrossAccount,
    ECSTask,
    PodIdentity,
    RolesAnywhere,
    SSMHybrid,
    Trust,
    WebIdentity,
    localise,
    neutralise,
    trust_problems,
)
from tests.trusts import ACCOUNT, REGIONS, SOURCE

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/AB"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
ANCHOR = f"arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:trust-anchor/01234567-89ab"
CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"
ROLE = f"arn:aws:iam::{SOURCE}:role/team/Agent"
UNIQUE_ID = "AROAEXAMPLEEXAMPLE234"


def statement_of(trust: Trust) -> dict[str, Any]:
    """Return the one statement of a trust."""
    (statement,) = json.loads(trust.document().text)["Statement"]
    return dict(statement)


def conditions_of(trust: Trust) -> dict[str, Any]:
    """Return the conditions of its one statement."""
    return dict(statement_of(trust).get("Condition", {}))


def test_the_default_is_the_trust_of_the_guide() -> None:
    """EC2 is what `EC2_TRUST` has been from the beginning."""
    assert EC2().document() == EC2_TRUST
    assert EC2().document().text == EC2_TRUST.text
    assert str(EC2_TRUST) == "Allow Service ec2 sts:AssumeRole"


@pytest.mark.parametrize(
    ("trust", "region"),
    [(ECSTask(ACCOUNT), "*"), (ECSTask(ACCOUNT, region="eu-west-1"), "eu-west-1")],
    ids=["any region", "one region"],
)
def test_ecs_is_guarded_as_soon_as_the_account_is_known(trust: Trust, region: str) -> None:
    """The developer guide compares the account and, by a pattern, the source ARN."""
    assert conditions_of(trust) == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:PARTITION:ecs:{region}:{ACCOUNT}:*"},
    }
    assert conditions_of(ECSTask()) == {}


@pytest.mark.parametrize(
    ("trust", "equal", "like"),
    [
        (IRSA(PROVIDER), "system:serviceaccount:amazon-cloudwatch:cloudwatch-agent", None),
        (IRSA(PROVIDER, "a", "b.c"), "system:serviceaccount:a:b.c", None),
        (IRSA(PROVIDER, namespace="a-*"), None, "system:serviceaccount:a-*:cloudwatch-agent"),
        (IRSA(PROVIDER, service_account="?"), None, "system:serviceaccount:amazon-cloudwatch:?"),
    ],
    ids=["the add-on's", "another", "namespaces", "service accounts"],
)
def test_a_service_account_is_compared_as_a_whole_unless_it_is_a_pattern(
    trust: Trust, equal: str | None, like: str | None
) -> None:
    """Only a wildcard asks for StringLike; the audience is always compared as a whole."""
    equals = {f"{ISSUER}:aud": "sts.amazonaws.com"}
    expected = {"StringEquals": equals | ({f"{ISSUER}:sub": equal} if equal else {})}
    assert conditions_of(trust) == expected | (
        {"StringLike": {f"{ISSUER}:sub": like}} if like else {}
    )


@pytest.mark.parametrize(
    "named",
    [
        IRSA(PROVIDER, account_id=ACCOUNT),
        IRSA(PROVIDER.replace("arn:aws:", "arn:aws-us-gov:")),
        IRSA(f"https://{ISSUER}", account_id=ACCOUNT),
        IRSA(ISSUER, account_id=ACCOUNT),
        WebIdentity(
            ISSUER,
            "sts.amazonaws.com",
            "system:serviceaccount:amazon-cloudwatch:cloudwatch-agent",
            account_id=ACCOUNT,
        ),
    ],
    ids=["ARN and account", "another partition", "URL", "URL without scheme", "web identity"],
)
def test_an_oidc_provider_may_be_named_in_several_ways(named: Trust) -> None:
    """All of them are the same document, which knows no partition."""
    assert named.document() == IRSA(PROVIDER).document()
    assert statement_of(named)["Principal"] == {
        "Federated": f"arn:PARTITION:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
    }


def test_the_slash_at_the_end_of_an_issuer_belongs_to_it() -> None:
    """As for the issuers of Azure: token, provider and condition key have to agree."""
    trust = WebIdentity("https://sts.windows.net/t/", "https://a/", "s", account_id=ACCOUNT)
    assert conditions_of(trust) == {
        "StringEquals": {"sts.windows.net/t/:aud": "https://a/", "sts.windows.net/t/:sub": "s"}
    }
    assert str(statement_of(trust)["Principal"]["Federated"]).endswith(
        ":oidc-provider/sts.windows.net/t/"
    )


def test_a_subject_may_be_a_pattern() -> None:
    """Then it is compared by StringLike."""
    trust = WebIdentity("a.b", "c", "d:*", account_id=ACCOUNT)
    assert conditions_of(trust) == {
        "StringEquals": {"a.b:aud": "c"},
        "StringLike": {"a.b:sub": "d:*"},
    }


def test_pod_identity_compares_the_tags_that_are_asked_for() -> None:
    """Each by its own key; patterns apart from the rest; without arguments nothing."""
    trust = PodIdentity(cluster_arn=CLUSTER, namespace="a-*", service_account="b")
    assert conditions_of(trust) == {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-arn": CLUSTER,
            "aws:RequestTag/kubernetes-service-account": "b",
        },
        "StringLike": {"aws:RequestTag/kubernetes-namespace": "a-*"},
    }
    assert conditions_of(PodIdentity()) == {}


def test_roles_anywhere_compares_names_of_certificates() -> None:
    """Beside the trust anchor, which is always compared."""
    trust = RolesAnywhere(
        ANCHOR, subject_common_name="a*", issuer_common_name="b", source_identity="CN=a"
    )
    assert conditions_of(trust) == {
        "ArnEquals": {"aws:SourceArn": ANCHOR},
        "StringEquals": {
            "aws:PrincipalTag/x509Subject/CN": "a*",
            "aws:PrincipalTag/x509Issuer/CN": "b",
            "sts:SourceIdentity": "CN=a",
        },
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, {}),
        ({"source_account": SOURCE}, {"StringEquals": {"aws:SourceAccount": SOURCE}}),
        ({"source_arn": ROLE}, {"StringEquals": {"aws:SourceArn": ROLE}}),
        (
            {"source_account": SOURCE, "source_arn": f"arn:aws:ec2:*:{SOURCE}:instance/*"},
            {
                "StringEquals": {"aws:SourceAccount": SOURCE},
                "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:*:{SOURCE}:instance/*"},
            },
        ),
    ],
    ids=["no source", "account", "ARN", "account and pattern"],
)
def test_the_source_is_compared_if_it_is_given(
    source: dict[str, str], expected: dict[str, Any]
) -> None:
    """As a whole, as in AWS's own test of the agent; by a pattern where it is one."""
    trust = CrossAccount(
        {ROLE}, source_account=source.get("source_account"), source_arn=source.get("source_arn")
    )
    assert conditions_of(trust) == expected
    assert statement_of(trust)["Principal"] == {"AWS": ROLE}


@pytest.mark.parametrize("kind", [tuple, list, set, frozenset])
def test_principals_have_no_order(kind: type) -> None:
    """Whatever they are given in, the trust is the same value; an account is its root."""
    trust = CrossAccount(kind([SOURCE, ROLE]))
    assert trust == CrossAccount([ROLE, SOURCE])
    assert hash(trust) == hash(CrossAccount([ROLE, SOURCE]))
    assert statement_of(trust)["Principal"] == {"AWS": [SOURCE, ROLE]}
    root = CrossAccount([ROLE, f"arn:aws:iam::{SOURCE}:root"])
    assert root.document() == trust.document()


DIGITS = "a string of 12 digits"
REGION = "must be a region such as eu-west-1"
NAMESPACE = "must be a namespace of Kubernetes"
SERVICE_ACCOUNT = "must be a service account of Kubernetes"
OIDC = "must be the ARN of an OIDC provider"
PRINCIPAL = "must be the id of an account, or the ARN of"
SEVERAL = "must be a tuple, a list or a set of principals"
TOO = "must be given too"
VARIABLE = "must not hold ${"
ANY: Any = None
NUMBER: Any = 5
LIST: Any = [SOURCE]

BAD: dict[str, tuple[Trust, str, str]] = {
    "ECS, account": (ECSTask("1"), "account_id", DIGITS),
    "ECS, region": (ECSTask(ACCOUNT, region="Ireland"), "region", REGION),
    "ECS, region alone": (ECSTask(region="eu-west-1"), "account_id", TOO),
    "SSM, a number": (SSMHybrid(NUMBER), "account_id", DIGITS),
    "SSM, other digits": (SSMHybrid("\u0661" * 12), "account_id", DIGITS),
    "SSM, a line end": (SSMHybrid(f"{ACCOUNT}\n"), "account_id", DIGITS),
    "SSM, a pattern of regions": (SSMHybrid(ACCOUNT, "eu-*"), "region", REGION),
    "SSM, no region": (SSMHybrid(ACCOUNT, ANY), "region", REGION),
    "IRSA, no string": (IRSA(ANY), "oidc_provider", "must be a string"),
    "IRSA, no TLS": (IRSA(f"http://{ISSUER}", account_id=ACCOUNT), "oidc_provider", OIDC),
    "IRSA, a port": (IRSA("https://a.b:443", account_id=ACCOUNT), "oidc_provider", OIDC),
    "IRSA, a query": (IRSA("https://a.b/c?d", account_id=ACCOUNT), "oidc_provider", OIDC),
    "IRSA, a fragment": (IRSA("https://a.b/c#d", account_id=ACCOUNT), "oidc_provider", OIDC),
    "IRSA, a pattern": (IRSA("https://*.b/c", account_id=ACCOUNT), "oidc_provider", OIDC),
    "IRSA, a variable": (IRSA("a.b/${c}", account_id=ACCOUNT), "oidc_provider", OIDC),
    "IRSA, a word": (IRSA("issuer", account_id=ACCOUNT), "oidc_provider", OIDC),
    "IRSA, SAML": (
        IRSA(f"arn:aws:iam::{ACCOUNT}:saml-provider/Own", account_id=ACCOUNT),
        "oidc_provider",
        OIDC,
    ),
    "IRSA, an ARN left open": (
        IRSA(PROVIDER.replace(":aws:", ":PARTITION:")),
        "oidc_provider",
        OIDC,
    ),
    "IRSA, too long": (
        IRSA(f"a.b/{'c' * 244}", account_id=ACCOUNT),
        "oidc_provider",
        "at most 255 characters",
    ),
    "IRSA, no account": (IRSA(f"https://{ISSUER}"), "account_id", TOO),
    "IRSA, another account": (IRSA(PROVIDER, account_id=SOURCE), "account_id", ACCOUNT),
    "IRSA, bad account": (IRSA(ISSUER, account_id="1"), "account_id", DIGITS),
    "IRSA, capitals": (IRSA(PROVIDER, namespace="Team"), "namespace", NAMESPACE),
    "IRSA, a dot": (IRSA(PROVIDER, namespace="a.b"), "namespace", NAMESPACE),
    "IRSA, a hyphen last": (IRSA(PROVIDER, namespace="a-"), "namespace", NAMESPACE),
    "IRSA, a colon": (IRSA(PROVIDER, namespace="a:b"), "namespace", NAMESPACE),
    "IRSA, no namespace": (IRSA(PROVIDER, namespace=""), "namespace", NAMESPACE),
    "IRSA, a long namespace": (IRSA(PROVIDER, namespace="a" * 64), "namespace", NAMESPACE),
    "IRSA, None": (IRSA(PROVIDER, namespace=ANY), "namespace", NAMESPACE),
    "IRSA, a dot first": (
        IRSA(PROVIDER, service_account=".a"),
        "service_account",
        SERVICE_ACCOUNT,
    ),
    "IRSA, a long account": (
        IRSA(PROVIDER, service_account="a" * 254),
        "service_account",
        SERVICE_ACCOUNT,
    ),
    "pods, a name": (PodIdentity(cluster_arn="prod"), "cluster_arn", "the ARN of a cluster"),
    "pods, a pattern": (
        PodIdentity(cluster_arn=CLUSTER.replace("prod", "*")),
        "cluster_arn",
        "the ARN of a cluster",
    ),
    "pods, a namespace": (PodIdentity(namespace="a_b"), "namespace", NAMESPACE),
    "pods, an account": (PodIdentity(service_account=""), "service_account", SERVICE_ACCOUNT),
    "anchor, a profile": (
        RolesAnywhere(ANCHOR.replace("trust-anchor", "profile")),
        "trust_anchor_arn",
        "the ARN of a trust anchor",
    ),
    "anchor, any": (
        RolesAnywhere(f"arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:trust-anchor/*"),
        "trust_anchor_arn",
        "the ARN of a trust anchor",
    ),
    "anchor, too long": (RolesAnywhere(ANCHOR + "a" * 2000), "trust_anchor_arn", "trust anchor"),
    "certificate, a variable": (
        RolesAnywhere(ANCHOR, subject_common_name="${aws:x}"),
        "subject_common_name",
        VARIABLE,
    ),
    "certificate, empty": (
        RolesAnywhere(ANCHOR, issuer_common_name=""),
        "issuer_common_name",
        "must have 1 to 256 characters, not 0",
    ),
    "certificate, no string": (
        RolesAnywhere(ANCHOR, source_identity=NUMBER),
        "source_identity",
        "must be a string",
    ),
    "token, no issuer": (WebIdentity("", "a", "b", account_id=ACCOUNT), "issuer", OIDC),
    "token, no audience": (
        WebIdentity(PROVIDER, "", "b"),
        "audience",
        "must have 1 to 256 characters",
    ),
    "token, any audience": (WebIdentity(PROVIDER, "*", "b"), "audience", "must not hold * or ?"),
    "token, no string": (WebIdentity(PROVIDER, ANY, "b"), "audience", "must be a string"),
    "token, a long subject": (WebIdentity(PROVIDER, "a", "b" * 257), "subject", "not 257"),
    "token, a line end": (WebIdentity(PROVIDER, "a", "b\n"), "subject", "printable"),
    "accounts, one string": (CrossAccount(SOURCE), "principals", SEVERAL),
    "accounts, a mapping": (CrossAccount({"AWS": SOURCE}), "principals", SEVERAL),
    "accounts, none": (CrossAccount([]), "principals", "must name somebody"),
    "accounts, None": (CrossAccount(ANY), "principals", SEVERAL),
    "accounts, everybody": (CrossAccount(["*"]), "principals", "must not be everybody"),
    "accounts, a number": (CrossAccount([NUMBER]), "principals", PRINCIPAL),
    "accounts, a list": (CrossAccount([LIST]), "principals", PRINCIPAL),
    "accounts, short": (CrossAccount(["1"]), "principals", PRINCIPAL),
    "accounts, a name": (CrossAccount(["Agent"]), "principals", PRINCIPAL),
    "accounts, a group": (
        CrossAccount([f"arn:aws:iam::{SOURCE}:group/a"]),
        "principals",
        PRINCIPAL,
    ),
    "accounts, a pattern": (
        CrossAccount([f"arn:aws:iam::{SOURCE}:role/*"]),
        "principals",
        PRINCIPAL,
    ),
    "accounts, no session": (
        CrossAccount([f"arn:aws:sts::{SOURCE}:assumed-role/Agent"]),
        "principals",
        PRINCIPAL,
    ),
    "accounts, a deleted role": (CrossAccount([UNIQUE_ID]), "principals", "that was deleted"),
    "accounts, two partitions": (
        CrossAccount([ROLE, ROLE.replace("arn:aws:", "arn:aws-cn:")]),
        "principals",
        "must all be of one partition",
    ),
    "source account": (CrossAccount([ROLE], source_account=""), "source_account", DIGITS),
    "source ARN": (CrossAccount([ROLE], source_arn="i-1"), "source_arn", "must be an ARN"),
    "source variable": (
        CrossAccount([ROLE], source_arn="arn:aws:s3:::${a}"),
        "source_arn",
        VARIABLE,
    ),
}


@pytest.mark.parametrize(("trust", "argument", "rule"), BAD.values(), ids=BAD)
def test_a_bad_argument_is_refused_by_name(trust: Trust, argument: str, rule: str) -> None:
    """One problem, which names the argument and the rule; and no document."""
    (problem,) = trust.problems()
    assert problem.argument == f"trust.{argument}"
    assert rule in problem.rule
    assert list(trust_problems("trust", trust)) == [problem]
    assert [each.argument for each in trust.problems("of")] == [f"of.{argument}"]
    with pytest.raises(IntentError) as refusal:
        trust.document()
    assert refusal.value.problems == (problem,)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Every argument is looked at, and every principal."""
    problems = [
        *IRSA("x", "X", "", account_id="1").problems(),
        *CrossAccount(["1", "*"], source_account="1", source_arn="1").problems(),
    ]
    assert [problem.argument.removeprefix("trust.") for problem in problems] == [
        "account_id",
        "oidc_provider",
        "namespace",
        "service_account",
        "principals",
        "principals",
        "source_account",
        "source_arn",
    ]


@pytest.mark.parametrize("value", [None, "ec2", EC2, EC2_TRUST, {}], ids=repr)
def test_what_is_no_trust_is_refused(value: object) -> None:
    """A document, too, has to say that it is the caller's own."""
    (problem,) = trust_problems("trust", value)
    assert problem.argument == "trust"
    assert "CustomTrust(document)" in problem.rule


GOOD: dict[str, Trust] = {
    "a root": CrossAccount([f"arn:aws:iam::{SOURCE}:root"]),
    "a user": CrossAccount([f"arn:aws:iam::{SOURCE}:user/a/b"]),
    "a session": CrossAccount([f"arn:aws:sts::{SOURCE}:assumed-role/Agent/i-1"]),
    "a federated user": CrossAccount([f"arn:aws:sts::{SOURCE}:federated-user/a"]),
    "a role elsewhere": CrossAccount([ROLE.replace(":aws:", ":aws-iso-b:"), SOURCE]),
    "a bucket": CrossAccount([ROLE], source_arn="arn:aws:s3:::bucket"),
    "instances of any account": CrossAccount([ROLE], source_arn="arn:aws:ec2:*:*:instance/*"),
    "regions by a pattern": CrossAccount([ROLE], source_arn=f"arn:aws:ec2:eu-west-?:{SOURCE}:*"),
    "any namespace": IRSA(PROVIDER, namespace="*"),
    "a long namespace": IRSA(PROVIDER, namespace="a" * 63),
    "a long service account": IRSA(PROVIDER, service_account=f"a.{'b' * 251}"),
    "a long URL": IRSA(f"a.b/{'c' * 243}", account_id=ACCOUNT),
    "a long subject": WebIdentity(PROVIDER, "a", "b" * 256),
}


@pytest.mark.parametrize("trust", GOOD.values(), ids=GOOD)
def test_what_aws_accepts_is_accepted(trust: Trust) -> None:
    """Up to the last character."""
    assert list(trust.problems()) == []
    assert trust.document().allows(trust.document())


@pytest.mark.parametrize("region", [*REGIONS.values(), "ap-southeast-7", "*"])
def test_regions_of_all_partitions_are_accepted(region: str) -> None:
    """Their names have three or four parts."""
    assert list(SSMHybrid(ACCOUNT, region).problems()) == []
    assert list(ECSTask(ACCOUNT, region=region).problems()) == []


accounts = st.text("0123456789", min_size=12, max_size=12)
regions = st.sampled_from([*REGIONS.values(), "*"])
labels = st.from_regex(r"[a-z0-9*?]([a-z0-9*?-]{0,20}[a-z0-9*?])?", fullmatch=True)
issuers = st.from_regex(
    r"(https://)?[a-z0-9]{1,9}\.[a-z]{2,5}(/[A-Za-z0-9._-]{0,20}){0,2}", fullmatch=True
)
texts = st.text(st.characters(codec="latin-1", exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda text: "${" not in text
)
maybe = st.none()
partitions = st.sampled_from(PARTITIONS)
trusts: SearchStrategy[Trust] = st.one_of(
    st.just(EC2()),
    st.just(ECSTask()),
    st.builds(lambda account, region: ECSTask(account, region=region), accounts, regions),
    st.builds(SSMHybrid, accounts, regions),
    st.builds(IRSA, issuers, labels, labels, account_id=accounts),
    st.builds(PodIdentity, namespace=maybe | labels, service_account=maybe | labels),
    st.builds(
        RolesAnywhere, st.just(ANCHOR), subject_common_name=maybe | texts, source_identity=texts
    ),
    st.builds(
        WebIdentity,
        issuers,
        texts.filter(lambda text: not {"*", "?"} & set(text)),
        texts,
        account_id=accounts,
    ),
    st.builds(
        CrossAccount,
        st.lists(st.one_of(accounts, st.just(ROLE)), min_size=1, max_size=5),
        source_account=maybe | accounts,
        source_arn=maybe | accounts.map("arn:aws:ssm:*:{}:*".format),
    ),
)


@given(trusts, partitions)
def test_a_good_trust_goes_to_iam_and_back(trust: Trust, partition: str) -> None:
    """It is a value, allows itself, and is read as it was written in every partition."""
    assert list(trust.problems()) == []
    document = trust.document()
    assert (trust, hash(trust)) == (trust, hash(trust))
    assert document == trust.document()
    assert document.allows(document)
    written = localise(document, partition)
    assert ANCHOR in written.text or ROLE in written.text or "PARTITION" not in written.text
    assert neutralise(written, partition) == document
    assert neutralise(Document.parse(json.loads(written.text)), partition) == document
    assert localise(neutralise(written, partition), partition) == written


@given(st.one_of(accounts, regions, labels, issuers, texts, st.integers(), st.none(), st.just([])))
def test_no_argument_makes_a_check_fail(value: Any) -> None:
    """Whatever is given, there is an answer."""
    trusts = [
        ECSTask(value, region=value),
        SSMHybrid(value, value),
        IRSA(value, value, value, account_id=value),
        PodIdentity(cluster_arn=value, namespace=value, service_account=value),
        RolesAnywhere(value, subject_common_name=value),
        WebIdentity(value, value, value, account_id=value),
        CrossAccount(value, source_account=value, source_arn=value),
        CrossAccount([value, *LIST, LIST]),
    ]
    for trust in trusts:
        assert all(str(problem) for problem in trust.problems())
