"""Who may assume a role: the name of EC2 in each partition."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwagent_iam import Document
from cwagent_iam.trust import EC2_TRUST, localise, neutralise

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# What IAM calls EC2 in each partition.
EC2 = {
    "aws": "ec2.amazonaws.com",
    "aws-cn": "ec2.amazonaws.com.cn",
    "aws-us-gov": "ec2.amazonaws.com",
    "aws-iso": "ec2.c2s.ic.gov",
    "aws-iso-b": "ec2.sc2s.sgov.gov",
    "aws-iso-e": "ec2.amazonaws.com",
    "aws-iso-f": "ec2.amazonaws.com",
    "aws-eusc": "ec2.amazonaws.com",
}
EVERY_NAME = sorted(set(EC2.values()))


def trusting(*services: str, **elements: Any) -> Document:
    """Write a trust in *services*."""
    principal = {"Service": services[0] if len(services) == 1 else list(services)}
    usual = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return Document.parse({"Version": "2012-10-17", "Statement": [usual | elements]})


@pytest.mark.parametrize(("partition", "service"), EC2.items())
def test_ec2_is_written_as_the_partition_calls_it(partition: str, service: str) -> None:
    """The text that is sent names EC2 in full, and is otherwise that of the AWS guide."""
    written = localise(EC2_TRUST, partition)
    assert written == trusting(service)
    assert json.loads(written.text) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        ],
    }


@pytest.mark.parametrize(("partition", "service"), EC2.items())
def test_ec2_is_read_in_every_partition(partition: str, service: str) -> None:
    """What a partition calls EC2 is read as the trust that is desired."""
    assert neutralise(trusting(service), partition) == EC2_TRUST


@pytest.mark.parametrize("services", [EVERY_NAME[:2], EVERY_NAME[1::-1], EVERY_NAME[1:2]])
def test_in_china_both_names_are_the_same(services: list[str]) -> None:
    """Either of the two names, or both, is read as EC2 there."""
    assert set(services) <= {"ec2.amazonaws.com", "ec2.amazonaws.com.cn"}
    assert neutralise(trusting(*services), "aws-cn") == EC2_TRUST


@pytest.mark.parametrize("partition", EC2)
@pytest.mark.parametrize("service", EVERY_NAME)
def test_a_name_of_another_partition_is_not_ec2(partition: str, service: str) -> None:
    """Only the partition's own name is EC2; China alone knows the common name as well."""
    known = {EC2[partition], "ec2.amazonaws.com"} if partition == "aws-cn" else {EC2[partition]}
    assert (neutralise(trusting(service), partition) == EC2_TRUST) is (service in known)


def test_an_unknown_partition_uses_the_common_name() -> None:
    """A partition that is newer than this library is taken to be like most."""
    assert localise(EC2_TRUST, "aws-new") == trusting("ec2.amazonaws.com")
    assert neutralise(trusting("ec2.amazonaws.com"), "aws-new") == EC2_TRUST


OTHERS: dict[str, Document] = {
    "another service": trusting("ssm.amazonaws.com"),
    "other services": trusting("ecs-tasks.amazonaws.com", "pods.eks.amazonaws.com"),
    "a name that begins like EC2's": trusting("ec2.amazonaws.com.example"),
    "a name that ends like EC2's": trusting("my-ec2.amazonaws.com"),
    "EC2 in capitals": trusting("EC2.AMAZONAWS.COM"),
    "EC2 in a region": trusting("ec2.eu-west-1.amazonaws.com"),
    "EC2 as another type of principal": trusting(Principal={"AWS": "ec2.amazonaws.com"}),
    "everybody": trusting(Principal="*"),
    "EC2 in a condition": trusting(
        Principal={"AWS": "*"},
        Condition={"StringEquals": {"aws:PrincipalServiceName": ["ec2.amazonaws.com", "ec2"]}},
    ),
    "EC2 in a label": trusting(Principal="*", Sid="ec2"),
    "nobody": Document.parse({"Statement": []}),
    "no document": Document.parse("ec2.amazonaws.com"),
    "a string of JSON": Document.parse('"ec2"'),
    "JSON that is no document": Document.parse('{"Service": "ec2.amazonaws.com"}'),
}


@pytest.mark.parametrize("partition", EC2)
@pytest.mark.parametrize("document", OTHERS.values(), ids=OTHERS)
def test_nothing_but_ec2_is_renamed(document: Document, partition: str) -> None:
    """Other principals, conditions, labels, and what is no policy document stay as they are."""
    for translated in (localise(document, partition), neutralise(document, partition)):
        assert translated == document
        assert translated.text == document.text


def test_a_condition_key_called_service_is_left_alone() -> None:
    """Only principals are renamed."""
    condition = {"StringEquals": {"Service": "ec2.amazonaws.com"}}
    document = trusting(Principal={"AWS": "*"}, Condition=condition)
    assert neutralise(document, "aws") == document


def test_ec2_is_renamed_among_others() -> None:
    """In a list, beside other types, and where it is excluded, EC2 is renamed and the rest kept."""
    beside = {"Service": ["ssm.amazonaws.com", "ec2"], "AWS": "123456789012"}
    written = localise(trusting(Principal=beside), "aws-iso")
    expected = {"Service": ["ssm.amazonaws.com", "ec2.c2s.ic.gov"], "AWS": "123456789012"}
    assert json.loads(written.text)["Statement"][0]["Principal"] == expected
    assert neutralise(written, "aws-iso") == trusting(Principal=beside)
    excluded = Document.parse(
        {"Statement": {"Effect": "Deny", "NotPrincipal": {"Service": "ec2"}, "Action": "*"}}
    )
    assert "ec2.amazonaws.com.cn" in localise(excluded, "aws-cn").text
    assert neutralise(localise(excluded, "aws-cn"), "aws-cn") == excluded


services = st.lists(
    st.sampled_from(["ec2", "ssm.amazonaws.com", "ecs-tasks.amazonaws.com", "lambda"]),
    min_size=1,
    max_size=4,
)
trusts: SearchStrategy[Document] = services.map(lambda names: trusting(*names))


@given(trusts, st.sampled_from(sorted(EC2)))
def test_what_is_written_is_read_as_it_was(document: Document, partition: str) -> None:
    """Reading what was written for a partition gives the desired document back."""
    assert neutralise(localise(document, partition), partition) == document


@given(trusts, st.sampled_from(sorted(EC2)))
def test_translating_twice_is_translating_once(document: Document, partition: str) -> None:
    """Both directions are idempotent."""
    written, read = localise(document, partition), neutralise(document, partition)
    assert localise(written, partition) == written
    assert neutralise(read, partition) == read


def test_the_trust_of_the_guide_is_short_and_says_who() -> None:
    """The desired trust is one statement, far below the quota, that prints in words."""
    assert str(EC2_TRUST) == "Allow Service ec2 sts:AssumeRole"
    assert EC2_TRUST.version == "2012-10-17"
    assert max(localise(EC2_TRUST, partition).size for partition in EC2) < 150
