"""Limits: the names, lengths, sizes and quotas of IAM that botocore and moto do not check.

botocore checks only types and minimum lengths. AWS refuses other invalid values, but only after
earlier changes have been applied. Each function here yields a `Problem` for every rule that a value
breaks, and nothing for a valid value.

Sources: the patterns and lengths of the IAM API reference; the page "IAM and AWS STS quotas" of
the IAM user guide. Adjustable quotas have AWS's defaults, unless the caller passes others.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from cwagent_iam.arguments import collection_rule, is_collection, refuse, text_problems
from cwagent_iam.display import shown
from cwagent_iam.documents import Document
from cwagent_iam.errors import Problem
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, SERVICE_LINKED_PATH
from cwagent_iam.trust import localise, shortest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cwagent_iam.policies import InlinePolicy

ROLE_NAME_LENGTH = 64
USER_NAME_LENGTH = 64
INSTANCE_PROFILE_NAME_LENGTH = 128
PATH_LENGTH = 512
DESCRIPTION_LENGTH = 1000
TAG_KEY_LENGTH = 128
TAG_VALUE_LENGTH = 256
ARN_LENGTH = 2048
TAGS = 50
SESSION_SECONDS = range(3600, 43_200 + 1)

_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_PATH = re.compile(r"/|/[\x21-\x7e]+/")
_DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]*")
_TAG_SYMBOLS = frozenset("_.:/=+-@")
_TAG_CHARACTERS = "may hold letters, digits, spaces and _.:/=+-@ only"
_SOME_ACCOUNT = "123456789012"
_CHARACTERS = "characters besides white space"

AccountSummary: TypeAlias = Mapping[Any, int]
"""The ``SummaryMap`` of GetAccountSummary; the keys are strings, and type stubs list each one."""


def _quota(name: str, default: int, *, adjustable: bool = False) -> Any:
    """Declare a quota by its *name* in GetAccountSummary, with the *default* of a new account."""
    return attrs.field(default=default, metadata={"name": name, "adjustable": adjustable})


@attrs.frozen(kw_only=True)
class Quotas:
    """The IAM quotas of a role or user. Default: the quotas of a new account.

    The number of roles, users and profiles in an account is not checked, because other processes
    may create some at any time. IAM refuses one too many with ``LimitExceeded``.

    Sources: "IAM and AWS STS quotas" in the IAM user guide for the numbers, ``GetAccountSummary``
    in the IAM API reference for the names in parentheses.

    Attributes:
        policies_per_role: Managed policies attached to a role (``AttachedPoliciesPerRoleQuota``;
            adjustable).
        policies_per_user: Managed policies attached to a user (``AttachedPoliciesPerUserQuota``;
            adjustable).
        trust_size: Characters of a trust policy, white space not counted
            (``AssumeRolePolicySizeQuota``; adjustable).
        inline_size_per_role: Characters of all inline policies of a role together, white space not
            counted (``RolePolicySizeQuota``).
        inline_size_per_user: The same for a user (``UserPolicySizeQuota``).

    Raises:
        IntentError: If a quota is not a whole number, 0 or more. It lists all problems.
    """

    policies_per_role: int = _quota("AttachedPoliciesPerRoleQuota", 10, adjustable=True)
    policies_per_user: int = _quota("AttachedPoliciesPerUserQuota", 10, adjustable=True)
    trust_size: int = _quota("AssumeRolePolicySizeQuota", 2048, adjustable=True)
    inline_size_per_role: int = _quota("RolePolicySizeQuota", 10_240)
    inline_size_per_user: int = _quota("UserPolicySizeQuota", 2048)

    def __attrs_post_init__(self) -> None:
        """Check the numbers."""
        rule = "must be a whole number, 0 or more"
        numbers = attrs.asdict(self)
        bad = [name for name, number in numbers.items() if not _is_quota(number)]
        refuse(Problem.of(name, numbers[name], rule) for name in bad)

    @classmethod
    def from_account_summary(cls, summary: AccountSummary) -> Quotas:
        """Read the ``SummaryMap`` of GetAccountSummary; what it lacks keeps its default."""
        names = {field.name: field.metadata["name"] for field in attrs.fields(cls)}
        return cls(**{field: summary[name] for field, name in names.items() if name in summary})

    def problems(self, argument: str, quota: str, number: int, unit: str) -> Iterator[Problem]:
        """Check one number against one quota.

        Args:
            argument: The name of the argument, for the problem.
            quota: The name of an attribute, such as ``"policies_per_role"``.
            number: The number to check.
            unit: The unit of *number*, in the plural.
        """
        most, field = getattr(self, quota), getattr(attrs.fields(Quotas), quota)
        if number > most:
            raised = field.metadata["adjustable"] and most == field.default
            how = "; if AWS has raised that, pass quotas=observe_quotas()" if raised else ""
            rule = f"must be at most {most} {unit} ({field.metadata['name']}{how})"
            yield Problem(argument, f"{number} {unit}", rule)


def _is_quota(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


DEFAULT_QUOTAS = Quotas()


def name_problems(argument: str, value: object, longest: int) -> Iterator[Problem]:
    """Check the name of a role, user or instance profile; at most *longest* characters."""
    yield from text_problems(argument, value, longest, least=1)
    if isinstance(value, str) and value and not _NAME.fullmatch(value):
        yield Problem.of(argument, value, "may hold ASCII letters, digits and _+=,.@- only")


def path_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the path of a role, a user or an instance profile."""
    yield from text_problems(argument, value, PATH_LENGTH)
    if isinstance(value, str) and not _PATH.fullmatch(value):
        rule = "must be / or begin and end with /, in printable ASCII without spaces"
        yield Problem.of(argument, value, rule)
    if isinstance(value, str) and value.startswith(SERVICE_LINKED_PATH):
        rule = f"must not begin with {SERVICE_LINKED_PATH}, where only AWS services create roles"
        yield Problem.of(argument, value, rule)


def description_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the description of a role."""
    yield from text_problems(argument, value, DESCRIPTION_LENGTH)
    if isinstance(value, str) and not _DESCRIPTION.fullmatch(value):
        rule = "may hold tab, line feed, carriage return and printable Latin-1 characters only"
        yield Problem.of(argument, value, rule)


def session_duration_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the longest session of a role, in seconds."""
    if not isinstance(value, int) or isinstance(value, bool):
        yield Problem.of(argument, value, "must be a whole number of seconds")
    elif value not in SESSION_SECONDS:
        rule = f"must be {SESSION_SECONDS[0]} to {SESSION_SECONDS[-1]} seconds"
        yield Problem.of(argument, value, rule)


def policy_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check a managed policy: a `ManagedPolicy`, or the ARN of one."""
    if not isinstance(value, (str, ManagedPolicy)):
        yield Problem.of(argument, value, "must be a ManagedPolicy or the ARN of one")
        return
    arn = value if isinstance(value, str) else value.arn("aws", _SOME_ACCOUNT)
    if len(arn) > ARN_LENGTH:
        rule = f"must have at most {ARN_LENGTH} characters, not {len(arn)}"
        yield Problem.of(argument, value, rule)
    policy = _read_policy(arn)
    if policy is None or (value not in (arn, policy) and value != _opened(policy)):
        rule = "must be the ARN of a managed policy: arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"
        yield Problem.of(argument, value, rule)
        return
    if len(policy.path) > PATH_LENGTH:
        rule = f"must have a path of at most {PATH_LENGTH} characters, not {len(policy.path)}"
        yield Problem.of(argument, value, rule)
    if policy.path.startswith(SERVICE_LINKED_PATH):
        rule = "must not be a policy of a service-linked role: it attaches to nothing else"
        yield Problem.of(argument, value, rule)


def attachment_problems(
    argument: str,
    value: object,
    kind: Literal["role", "user"] = "role",
    quotas: Quotas = DEFAULT_QUOTAS,
) -> Iterator[Problem]:
    """Check the managed policies that are to be attached to one role or user."""
    if not is_collection(value):
        yield Problem.of(argument, value, collection_rule("policies"))
        return
    yield from quotas.problems(argument, f"policies_per_{kind}", len(value), "policies")
    seen: defaultdict[str, list[ManagedPolicy]] = defaultdict(list)
    for index, policy in enumerate(value):
        where = f"{argument}[{index}]"
        problems = list(policy_problems(where, policy))
        yield from problems
        if not problems:
            good = as_policy(policy)
            namesakes = seen[good.name.lower()]
            if any(map(good.may_be, namesakes)):
                yield Problem.of(where, policy, "must be named only once")
            else:
                yield from namesake_problems(where, policy, namesakes)
            namesakes.append(good)


def namesake_problems(
    argument: str, policy: str | ManagedPolicy, others: Iterable[ManagedPolicy]
) -> Iterator[Problem]:
    """Check that one account can have both *policy*, which must be valid, and *others*."""
    good = as_policy(policy)
    if any(_exclude(good, each) for each in others):
        rule = "must differ by more than path and letter case: an account has one of them"
        yield Problem.of(argument, policy, rule)


def account_problems(argument: str, policies: Iterable[object]) -> Iterator[Problem]:
    """Check that all customer managed policies that name an account name the same one."""
    arns = (
        each.arn("aws") if isinstance(each, ManagedPolicy) and each.account else each
        for each in policies
    )
    known = (_read_policy(arn) for arn in arns if isinstance(arn, str))
    homes = {(each.partition, each.account) for each in known if each and each.account != "aws"}
    if len(homes) > 1:
        accounts = ", ".join(f"{partition}:{account}" for partition, account in sorted(homes))
        yield Problem(argument, accounts, "must all be of one account, with the boundary")


def tag_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check tags; one of the 50 that IAM allows is the tag of managed entities."""
    if not isinstance(value, Mapping):
        yield Problem.of(argument, value, "must be a mapping of strings to strings")
        return
    if len(value) >= TAGS:
        rule = f"must be at most {TAGS - 1} tags: IAM allows {TAGS}, and {MANAGED_TAG[0]} is one"
        yield Problem(argument, f"{len(value)} tags", rule)
    folded: set[str] = set()
    for key, text in value.items():
        yield from _tag_key_problems(argument, key, folded)
        where = f"{argument}[{shown(key)}]"
        yield from text_problems(where, text, TAG_VALUE_LENGTH)
        if isinstance(text, str) and not all(map(_allowed_in_tag, text)):
            yield Problem.of(where, text, _TAG_CHARACTERS)


def as_policy(value: str | ManagedPolicy) -> ManagedPolicy:
    """Return a valid policy as a `ManagedPolicy`."""
    return ManagedPolicy.from_arn(value) if isinstance(value, str) else value


@functools.lru_cache(maxsize=256)  # many roles have the same policies
def _read_policy(arn: str) -> ManagedPolicy | None:
    try:
        return ManagedPolicy.from_arn(arn)
    except ValueError:
        return None


def _opened(policy: ManagedPolicy) -> ManagedPolicy:
    return attrs.evolve(policy, account="", partition="")


def _exclude(policy: ManagedPolicy, other: ManagedPolicy) -> bool:
    """Return whether two customer managed policies are namesakes that exclude each other."""
    homes = {(each.partition, each.account) for each in (policy, other) if each.account}
    ours = "aws" not in {policy.account, other.account} and len(homes) <= 1
    return ours and policy.name.lower() == other.name.lower() and not policy.may_be(other)


def _tag_key_problems(argument: str, key: object, folded: set[str]) -> Iterator[Problem]:
    """Check a tag's key against the rules and against the *folded* keys before it."""
    where = f"{argument} key"
    yield from text_problems(where, key, TAG_KEY_LENGTH, least=1)
    if not isinstance(key, str):
        return
    if not all(map(_allowed_in_tag, key)):
        yield Problem.of(where, key, _TAG_CHARACTERS)
    if key.lower().startswith("aws:"):
        yield Problem.of(where, key, "must not begin with aws:, which is reserved for AWS")
    if key.lower() == MANAGED_TAG[0].lower():
        yield Problem.of(where, key, "must not be the tag of managed entities")
    if key.lower() in folded:
        yield Problem.of(where, key, "must differ from the other keys by more than letter case")
    folded.add(key.lower())


def _allowed_in_tag(character: str) -> bool:
    return character in _TAG_SYMBOLS or unicodedata.category(character)[0] in "LZN"


def inline_size_problems(
    argument: str,
    policies: Iterable[InlinePolicy],
    kind: Literal["role", "user"],
    quotas: Quotas = DEFAULT_QUOTAS,
) -> Iterator[Problem]:
    """Check the inline policies of one role or user against the quota that they share.

    The size is that in partition ``aws``, where documents are shortest. The partition is unknown
    until there is a client, so only a document that is too long there is certainly too long.
    """
    size = sum(policy.size for policy in policies)
    unit = f"{_CHARACTERS} in all"
    yield from quotas.problems(argument, f"inline_size_per_{kind}", size, unit)


def trust_size_problems(
    argument: str, document: Document, quotas: Quotas = DEFAULT_QUOTAS
) -> Iterator[Problem]:
    """Check a trust policy against its quota, in the partition where it is shortest."""
    # If it fits in one partition, skip the others: measuring is most of the work of a plan.
    size = _size_in_aws(document.text)
    if any(quotas.problems(argument, "trust_size", size, _CHARACTERS)):
        yield from quotas.problems(argument, "trust_size", shortest(document).size, _CHARACTERS)


@functools.lru_cache(maxsize=256)  # by text: equal documents can differ in length
def _size_in_aws(text: str) -> int:
    return localise(Document.parse(text), "aws").size
