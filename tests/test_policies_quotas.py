"""IAM's quotas: their numbers and names, what an account has of them, and what exceeds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, strategies as st

from cwagent_iam import IntentError, ObserveError, limits, observe_quotas, plan_agent_role
from cwagent_iam.limits import Quotas, inline_size_problems
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.testing import sandbox
from tests.bad_intents import inline

if TYPE_CHECKING:
    import boto3

    from tests.conftest import Requests

NAMES = {
    "policies_per_role": ("AttachedPoliciesPerRoleQuota", 10),
    "policies_per_user": ("AttachedPoliciesPerUserQuota", 10),
    "trust_size": ("AssumeRolePolicySizeQuota", 2048),
    "inline_size_per_role": ("RolePolicySizeQuota", 10_240),
    "inline_size_per_user": ("UserPolicySizeQuota", 2048),
}
NUMBERS = st.integers(0, 20_000)


def policies(number: int) -> frozenset[ManagedPolicy]:
    """So many policies."""
    return frozenset(ManagedPolicy(f"P{index}") for index in range(number))


def test_the_defaults_are_those_of_a_new_account() -> None:
    """As the quotas page has them."""
    assert attrs.asdict(Quotas()) == {field: number for field, (_, number) in NAMES.items()}
    assert Quotas() == limits.DEFAULT_QUOTAS


def test_they_are_read_from_the_account() -> None:
    """By AWS's names; the sandbox has those of a new account."""
    with sandbox() as session:
        summary = session.client("iam").get_account_summary()["SummaryMap"]
    assert {name for name, _ in NAMES.values()} <= set(summary)
    assert Quotas.from_account_summary(summary) == Quotas()


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, NUMBERS)))
def test_what_the_account_has_counts_and_the_rest_is_default(numbers: dict[str, int]) -> None:
    """Whatever else the summary holds."""
    summary = {NAMES[field][0]: number for field, number in numbers.items()} | {"Roles": 3}
    assert Quotas.from_account_summary(summary) == Quotas(**numbers)


@pytest.mark.parametrize("number", [-1, True, 1.5, "10", None])
def test_a_quota_is_a_whole_number(number: Any) -> None:
    """Anything else is refused by its name."""
    with pytest.raises(IntentError, match=r"policies_per_role=.*whole number"):
        Quotas(policies_per_role=number)


def test_all_quotas_that_are_no_numbers_are_told_at_once() -> None:
    """In the order of the arguments."""
    wrong: dict[str, Any] = dict.fromkeys(reversed(NAMES), -1)
    with pytest.raises(IntentError) as refusal:
        Quotas(**wrong)
    assert [problem.argument for problem in refusal.value.problems] == list(NAMES)


@given(st.sampled_from(sorted(NAMES)), NUMBERS, NUMBERS)
def test_a_number_may_be_the_quota_and_no_more(field: str, most: int, number: int) -> None:
    """The problem names the number, the quota, and AWS's name for it."""
    problems = [*Quotas(**{field: most}).problems("it", field, number, "things")]
    assert bool(problems) is (number > most)
    for problem in problems:
        rule = f"must be at most {most} things ({NAMES[field][0]})"
        assert str(problem) == f"it={number} things: {rule}"


@pytest.mark.parametrize(
    ("kind", "most", "quota"),
    [("role", 10_240, "RolePolicySizeQuota"), ("user", 2048, "UserPolicySizeQuota")],
)
def test_all_inline_policies_together_have_one_quota(kind: Any, most: int, quota: str) -> None:
    """Each may be small, and all of them too much."""
    fitting = [inline(1000, "A"), inline(most - 1000, "B")]
    assert not [*inline_size_problems("inline_policies", fitting, kind)]
    assert not [*inline_size_problems("inline_policies", (), kind)]
    (problem,) = inline_size_problems("inline_policies", [*fitting, inline(200, "C")], kind)
    unit = "characters besides white space in all"
    rule = f"must be at most {most} {unit} ({quota})"
    assert str(problem) == f"inline_policies={most + 200} {unit}: {rule}"
    higher = Quotas(**{f"inline_size_per_{kind}": most + 200})
    assert not [*inline_size_problems("it", [*fitting, inline(200, "C")], kind, higher)]


def test_more_policies_may_be_attached_where_the_account_allows() -> None:
    """The check of an argument takes the account's number in place of the default."""
    value = sorted(policies(11))
    (problem,) = limits.attachment_problems("policies", value)
    how = "AttachedPoliciesPerRoleQuota; if AWS has raised that, pass quotas=observe_quotas()"
    assert problem.rule == f"must be at most 10 policies ({how})"
    eleven, five = Quotas(policies_per_role=11), Quotas(policies_per_role=5)
    assert not [*limits.attachment_problems("policies", value, quotas=eleven)]
    (problem,) = limits.attachment_problems("policies", value, quotas=five)
    assert problem.rule == "must be at most 5 policies (AttachedPoliciesPerRoleQuota)"
    (problem,) = limits.attachment_problems("policies", value, "user", eleven)
    assert "AttachedPoliciesPerUserQuota" in problem.rule


def summary_of(session: boto3.Session, **numbers: object) -> None:
    """Let IAM answer GetAccountSummary with these *numbers* beside its own."""

    def change(parsed: dict[str, Any], **_event: object) -> None:
        parsed["SummaryMap"] |= numbers

    session.events.register("after-call.iam.GetAccountSummary", change)


def test_an_account_with_higher_quotas_takes_more(session: boto3.Session) -> None:
    """What `observe_quotas` reads is what the planners take; one request is all it needs."""
    summary_of(session, AttachedPoliciesPerRoleQuota=11, RolesQuota=5000)
    quotas = observe_quotas(session=session)
    assert quotas == Quotas(policies_per_role=11)
    eleven = sorted(policies(11))
    assert plan_agent_role(policies=eleven, quotas=quotas).entities
    with pytest.raises(IntentError, match="at most 10 policies"):
        plan_agent_role(policies=eleven)


def test_quotas_are_read_by_one_request(session: boto3.Session, requests: Requests) -> None:
    """By a session, or by a client that is used as it is."""
    assert observe_quotas(session=session) == Quotas()
    assert observe_quotas(iam=session.client("iam")) == Quotas()
    assert requests.sent == ["GetAccountSummary"] * 2


def refusing(code: str) -> Any:
    """Make a handler of botocore's event ``before-call`` that answers as IAM does to a refusal."""

    def refuse(**_event: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "No."}}, "GetAccountSummary")

    return refuse


def test_a_refused_read_says_what_to_allow(session: boto3.Session) -> None:
    """An `ObserveError` names the operation, the code and the permission that is missing."""
    session.events.register("before-call.iam.GetAccountSummary", refusing("AccessDenied"))
    with pytest.raises(ObserveError, match="Allow the caller iam:GetAccountSummary") as refusal:
        observe_quotas(session=session)
    error = refusal.value
    assert (error.operation, error.target, error.code) == (
        "GetAccountSummary", "account", "AccessDenied",
    )  # fmt: skip
    assert isinstance(error.__cause__, ClientError)


@pytest.mark.parametrize("number", [-1, "many", None], ids=["negative", "text", "nothing"])
def test_an_odd_answer_is_a_failed_read(session: boto3.Session, number: object) -> None:
    """It is not the caller's mistake, and so no `IntentError`."""
    summary_of(session, UserPolicySizeQuota=number)
    with pytest.raises(ObserveError, match="GetAccountSummary failed for account"):
        observe_quotas(session=session)


def test_an_answer_without_quotas_is_a_failed_read(session: boto3.Session) -> None:
    """Such a reply is none of IAM's."""
    session.events.register(
        "after-call.iam.GetAccountSummary", lambda parsed, **_event: parsed.clear()
    )
    with pytest.raises(ObserveError, match="GetAccountSummary failed for account"):
        observe_quotas(session=session)
