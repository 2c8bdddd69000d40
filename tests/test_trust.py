"""Who may assume a role: what differs from partition to partition."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import Document
from cwagent_iam.trust import (
    EC2_TRUST,
    PARTITIONS,
    SERVICES,
    localise,
    neutral,
    neutralise,
    shortest,
)

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


@pytest.mark.parametrize("partition", EC2)
@pytest.mark.parametrize("kept", [slice(None), slice(None, None, -1), slice(1), slice(1, None)])
def test_the_common_name_is_understood_everywhere(kept: slice, partition: str) -> None:
    """Where EC2 has a name of its own, either of the two, or both, is read as EC2."""
    services = [EC2[partition], "ec2.amazonaws.com"][kept]
    read = neutralise(trusting(*services), partition)
    assert read == EC2_TRUST
    assert "amazonaws" not in read.text
    assert read.text.count("ec2") == 1


@pytest.mark.parametrize("partition", EC2)
@pytest.mark.parametrize("service", EVERY_NAME)
def test_a_name_of_another_partition_is_not_ec2(partition: str, service: str) -> None:
    """Only the partition's own name is EC2, and the common one."""
    known = {EC2[partition], "ec2.amazonaws.com"}
    assert (neutralise(trusting(service), partition) == EC2_TRUST) is (service in known)


def test_an_unknown_partition_uses_the_common_name() -> None:
    """A partition that is newer than this library is taken to be like most."""
    assert localise(EC2_TRUST, "aws-new") == trusting("ec2.amazonaws.com")
    assert neutralise(trusting("ec2.amazonaws.com"), "aws-new") == EC2_TRUST


OTHERS: dict[str, Document] = {
    "another service": trusting("lambda.amazonaws.com"),
    "other services": trusting("ecs.amazonaws.com", "eks.amazonaws.com"),
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
def test_nothing_but_services_of_the_agent_is_renamed(document: Document, partition: str) -> None:
    """Other principals, conditions, labels, and what is no policy document stay as they are."""
    for translated in (
        localise(document, partition),
        neutralise(document, partition),
        neutral(document),
    ):
        assert translated == document
        assert translated.text == document.text


def test_a_condition_key_called_service_is_left_alone() -> None:
    """Only principals are renamed."""
    condition = {"StringEquals": {"Service": "ec2.amazonaws.com"}}
    document = trusting(Principal={"AWS": "*"}, Condition=condition)
    assert neutralise(document, "aws") == document


def test_ec2_is_renamed_among_others() -> None:
    """In a list, beside other types, and where it is excluded, EC2 is renamed and the rest kept."""
    beside = {"Service": ["lambda.amazonaws.com", "ec2"], "AWS": "123456789012"}
    written = localise(trusting(Principal=beside), "aws-iso")
    expected = {"Service": ["lambda.amazonaws.com", "ec2.c2s.ic.gov"], "AWS": "123456789012"}
    assert json.loads(written.text)["Statement"][0]["Principal"] == expected
    assert neutralise(written, "aws-iso") == trusting(Principal=beside)
    excluded = Document.parse(
        {"Statement": {"Effect": "Deny", "NotPrincipal": {"Service": "ec2"}, "Action": "*"}}
    )
    assert "ec2.amazonaws.com.cn" in localise(excluded, "aws-cn").text
    assert neutralise(localise(excluded, "aws-cn"), "aws-cn") == excluded


@pytest.mark.parametrize("partition", EC2)
@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"ec2"}))
def test_every_other_service_has_one_name_everywhere(service: str, partition: str) -> None:
    """It is written by the common name, and read by no other."""
    full = f"{service}.amazonaws.com"
    assert localise(trusting(service), partition) == trusting(full)
    assert neutralise(trusting(full), partition) == trusting(service)
    foreign = trusting(f"{service}.amazonaws.com.cn")
    assert neutralise(foreign, partition) == foreign


def test_the_partitions_are_those_that_have_names() -> None:
    """The list is sorted and complete."""
    assert list(PARTITIONS) == sorted(EC2)
    assert list(SERVICES) == sorted(SERVICES)


def federated(arn: str, **elements: Any) -> Document:
    """Write a trust in an OIDC provider."""
    return trusting(
        Principal={"Federated": arn}, Action="sts:AssumeRoleWithWebIdentity", **elements
    )


def sourced(*arns: object, operator: str = "ArnLike", key: str = "aws:SourceArn") -> Document:
    """Write a trust with source ARNs."""
    value = arns[0] if len(arns) == 1 else list(arns)
    return trusting("lambda", Condition={operator: {key: value}})


PROVIDER = "iam::123456789012:oidc-provider/issuer.example.com/a:b"
WHOLE_ACCOUNT = "ssm:*:123456789012:*"


@pytest.mark.parametrize("partition", [*EC2, "aws-new"])
def test_arns_that_leave_the_partition_open_get_it(partition: str) -> None:
    """Those of OIDC providers, and source ARNs of a whole account, and both are read again."""
    for write, rest in ((federated, PROVIDER), (sourced, WHOLE_ACCOUNT)):
        open_, bound = f"arn:PARTITION:{rest}", f"arn:{partition}:{rest}"
        assert bound in localise(write(open_), partition).text
        assert neutralise(localise(write(bound), partition), partition) == write(open_)
        assert neutral(write(bound)) == write(open_)


@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike", "StringEquals", "StringLike"])
@pytest.mark.parametrize("key", ["aws:SourceArn", "AWS:SourceARN", "aws:sourcearn"])
def test_source_arns_are_found_however_they_are_written(operator: str, key: str) -> None:
    """Under any operator, in any letter case of the key, in lists."""
    found = sourced(f"arn:aws:{WHOLE_ACCOUNT}", "x", 1, operator=operator, key=key)
    read = sourced(f"arn:PARTITION:{WHOLE_ACCOUNT}", "x", 1, operator=operator)
    assert neutralise(found, "aws") == read
    assert localise(read, "aws") == found


KEPT: dict[str, Document] = {
    "an ARN of another partition": sourced(f"arn:aws-cn:{WHOLE_ACCOUNT}"),
    "a pattern of partitions": sourced(f"arn:*:{WHOLE_ACCOUNT}"),
    "a source of its own": sourced("arn:aws:ec2:eu-west-1:123456789012:instance/i-1"),
    "a source without an account": sourced("arn:aws:s3:::*"),
    "another key": sourced(f"arn:aws:{WHOLE_ACCOUNT}", key="aws:PrincipalArn"),
    "a number": sourced(1),
    "a provider elsewhere": federated(f"arn:aws-cn:{PROVIDER}"),
    "a provider of SAML": federated("arn:aws:iam::123456789012:saml-provider/Own"),
    "a provider without an ARN": federated("cognito-identity.amazonaws.com"),
    "a role": trusting(Principal={"AWS": "arn:aws:iam::123456789012:role/Agent"}),
    "a provider as a role": trusting(Principal={"AWS": f"arn:aws:{PROVIDER}"}),
}


@pytest.mark.parametrize("document", KEPT.values(), ids=KEPT)
def test_all_other_arns_keep_their_partition(document: Document) -> None:
    """Who is trusted is never rewritten."""
    assert neutralise(document, "aws") == neutralise(document, "aws-iso") == document
    assert "PARTITION" not in neutralise(document, "aws").text


def test_what_a_caller_writes_is_meant_in_the_partition_of_the_role() -> None:
    """Every name of a service, in any partition, stands for the service; twice named is once."""
    assert neutral(trusting(*EVERY_NAME, "ec2", "lambda.amazonaws.com")).text == (
        trusting("ec2", "lambda.amazonaws.com").text
    )
    assert neutral(trusting("ssm.amazonaws.com")) == trusting("ssm")
    assert neutral(EC2_TRUST) == EC2_TRUST


def test_a_document_is_measured_where_it_is_shortest() -> None:
    """So what is refused for its size is too long in every partition."""
    document = trusting("ec2", Condition={"ArnLike": {"aws:SourceArn": ["arn:aws:a:b:c:d"]}})
    sizes = [localise(document, partition).size for partition in PARTITIONS]
    assert shortest(document).size == min(sizes) < max(sizes)
    assert shortest(document) in [localise(document, partition) for partition in PARTITIONS]


services = st.lists(
    st.sampled_from([*SERVICES, "lambda.amazonaws.com", "lambda"]),
    min_size=1,
    max_size=4,
)
conditions = st.sampled_from(
    [
        {},
        {"ArnEquals": {"aws:SourceArn": f"arn:PARTITION:{WHOLE_ACCOUNT}"}},
        {"ArnLike": {"AWS:SourceArn": ["arn:aws:a:b:c:d", f"arn:PARTITION:{WHOLE_ACCOUNT}"]}},
    ]
)
trusts: SearchStrategy[Document] = st.one_of(
    st.builds(lambda names, met: trusting(*names, Condition=met), services, conditions),
    st.builds(federated, st.just(f"arn:PARTITION:{PROVIDER}")),
)


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
    assert neutral(neutral(written)) == neutral(written) == read


def test_the_trust_of_the_guide_is_short_and_says_who() -> None:
    """The desired trust is one statement, far below the quota, that prints in words."""
    assert str(EC2_TRUST) == "Allow Service ec2 sts:AssumeRole"
    assert EC2_TRUST.version == "2012-10-17"
    assert max(localise(EC2_TRUST, partition).size for partition in EC2) < 150
