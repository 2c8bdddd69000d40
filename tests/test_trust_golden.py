"""Each trust in each partition: the text that IAM is sent, and the laws that hold for all."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from cwagent_iam import Document
from cwagent_iam.limits import DEFAULT_QUOTAS
from cwagent_iam.testing import sandbox
from cwagent_iam.trust import EC2_TRUST, PARTITIONS, localise, neutral, neutralise, trust_findings
from tests.trusts import REGIONS, SOURCE, trusts_in

GOLDEN = Path(__file__).parent / "golden" / "trust"
DOCUMENTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.iterdir())
}
NAMES = sorted(DOCUMENTS)
# What intent names by ARNs other than of OIDC providers, and so in one partition.
BOUND = {
    "cross-account",
    "cross-account-guarded",
    "pod-identity-agent",
    "roles-anywhere",
    "roles-anywhere-certificate",
}
everywhere = pytest.mark.parametrize("partition", PARTITIONS)
every_trust = pytest.mark.parametrize("name", NAMES)


def document_of(name: str, partition: str) -> Document:
    """What desired state holds for one trust."""
    return trusts_in(partition)[name].document()


def test_there_is_a_golden_document_for_each_trust_in_each_partition() -> None:
    """None is missing, and none is left over."""
    assert all(list(by_partition) == list(PARTITIONS) for by_partition in DOCUMENTS.values())
    assert all(set(trusts_in(partition)) == set(NAMES) for partition in PARTITIONS)


@everywhere
@every_trust
def test_iam_is_sent_the_golden_document(name: str, partition: str) -> None:
    """Element by element; the order within lists and objects is left to the library."""
    sent = json.loads(localise(document_of(name, partition), partition).text)
    assert ordered(sent) == ordered(DOCUMENTS[name][partition])


def ordered(content: Any) -> Any:
    """Sort every list."""
    match content:
        case dict():
            return {key: ordered(value) for key, value in content.items()}
        case list():
            return sorted(map(ordered, content), key=json.dumps)
        case _:
            return content


@everywhere
@every_trust
def test_what_is_found_is_what_was_desired(name: str, partition: str) -> None:
    """The golden document, read where it was found, is the desired one: a second run is quiet."""
    found = Document.parse(DOCUMENTS[name][partition])
    desired = document_of(name, partition)
    assert neutralise(found, partition) == desired
    assert neutral(found) == desired
    assert neutralise(localise(desired, partition), partition) == desired


@every_trust
def test_state_knows_a_partition_only_where_intent_names_it(name: str) -> None:
    """Written for any partition, the desired document is the same but for ARNs that intent gave."""
    texts = {document_of(name, partition).text for partition in PARTITIONS}
    if name in BOUND:
        assert len(texts) == len(PARTITIONS)
    else:
        assert not any("arn:aws" in text for text in texts)
        # A region, an issuer and an audience are intent too, and lie in a partition.
        assert len(texts) == 1 or name in {
            "azure-vm",
            "ecs-task-guarded",
            "irsa",
            "irsa-namespaces",
            "ssm-hybrid-region",
        }


@everywhere
@every_trust
def test_a_trust_is_a_value(name: str, partition: str) -> None:
    """Asked for twice it is equal and hashes alike, and so does its document."""
    one, again = trusts_in(partition)[name], trusts_in(partition)[name]
    assert one == again
    assert one is not again
    assert hash(one) == hash(again)
    assert list(one.problems()) == []
    assert one.document() == again.document()
    assert hash(one.document()) == hash(again.document())


@everywhere
def test_trusts_differ_and_so_do_their_documents(partition: str) -> None:
    """No two of them are equal, and none allows what another needs, but for what it includes."""
    trusts = trusts_in(partition)
    assert len(set(trusts.values())) == len(trusts)
    documents = {name: trust.document() for name, trust in trusts.items()}
    assert len(set(documents.values())) == len(documents)
    covering = {
        (one, other)
        for one, other in itertools.permutations(documents, 2)
        if documents[one].allows(documents[other])
    }
    assert covering == {
        ("cross-account", "cross-account-guarded"),
        ("custom", "ec2"),
        ("custom", "ssm-hybrid"),
        ("custom", "ssm-hybrid-region"),
        ("ecs-task", "ecs-task-guarded"),
        ("pod-identity", "pod-identity-agent"),
        ("roles-anywhere", "roles-anywhere-certificate"),
        ("ssm-hybrid", "ssm-hybrid-region"),
    }


@everywhere
@every_trust
def test_a_trust_allows_itself(name: str, partition: str) -> None:
    """In state and as it is found, so that a role that others made like this is as desired."""
    desired = document_of(name, partition)
    assert desired.allows(desired)
    assert neutralise(localise(desired, partition), partition).allows(desired)


@everywhere
@every_trust
def test_a_trust_fits_the_quota(name: str, partition: str) -> None:
    """All that the library writes itself is far below 2,048 characters."""
    written = localise(document_of(name, partition), partition)
    assert written.size < DEFAULT_QUOTAS.trust_size / 2


@everywhere
@every_trust
def test_the_library_writes_nothing_that_the_agent_can_never_satisfy(
    name: str, partition: str
) -> None:
    """Its own trusts have no finding of the bad kinds, and findings do not depend on partitions."""
    desired = document_of(name, partition)
    findings = trust_findings(desired)
    assert not {finding.kind for finding in findings} & {"never", "dead"}
    assert trust_findings(neutralise(localise(desired, partition), partition)) == findings


@every_trust
def test_only_ec2_makes_use_of_an_instance_profile(name: str) -> None:
    """EC2, and a document of the caller's that trusts EC2 too."""
    assert trusts_in("aws")[name].for_ec2 is (name in {"ec2", "custom"})


@everywhere
def test_iam_takes_each_trust_and_gives_it_back(partition: str) -> None:
    """In the sandbox, which refuses what IAM was seen to refuse; found again, it is as desired."""
    with sandbox(account_id=SOURCE, region=REGIONS[partition]) as session:
        iam = session.client("iam")
        trusted = localise(EC2_TRUST, partition).text
        iam.create_role(RoleName="CloudWatchAgentServerRole", AssumeRolePolicyDocument=trusted)
        for name, trust in trusts_in(partition).items():
            desired = trust.document()
            written = localise(desired, partition).text
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=written)
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=written)
            found = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
            assert neutralise(Document.parse(found), partition) == desired
