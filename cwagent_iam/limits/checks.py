"""IAM's names, lengths and sizes: the checks that botocore leaves out.

botocore checks types and minimum lengths, nothing else, so a bad value would travel to AWS and
come back as an error after half of the work is done. Each function here yields a `Problem` for
every rule that a value breaks, and nothing for a good value.

Sources: the patterns and lengths of the IAM API reference; the page "IAM and AWS STS quotas" of
the IAM user guide. The defaults of adjustable quotas are used, unless others are given.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import attrs

from cwagent_iam.arguments import collection_rule, is_collection
from cwagent_iam.display import shown
from cwagent_iam.errors import Problem
from cwagent_iam.limits.quotas import DEFAULT_QUOTAS, Quotas
from cwagent_iam.policies import ManagedPolicy
from cwagent_iam.state import MANAGED_TAG, SERVICE_LINKED_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


def name_problems(argument: str, value: object, longest: int) -> Iterator[Problem]:
    """Check the name of a role, a user or an instance profile of at most *longest* characters."""
    if not isinstance(value, str):
        yield Problem.of(argument, value, "must be a string")
        return
    if not 1 <= len(value) <= longest:
        yield Problem.of(argument, value, f"must have 1 to {longest} characters, not {len(value)}")
    if value and not _NAME.fullmatch(value):
        yield Problem.of(argument, value, "may hold ASCII letters, digits and _+=,.@- only")


def path_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the path of a role, a user or an instance profile."""
    if not isinstance(value, str):
        yield Problem.of(argument, value, "must be a string")
        return
    if len(value) > PATH_LENGTH:
        rule = f"must have at most {PATH_LENGTH} characters, not {len(value)}"
        yield Problem.of(argument, value, rule)
    if not _PATH.fullmatch(value):
        rule = "must be / or begin and end with /, in printable ASCII without spaces"
        yield Problem.of(argument, value, rule)
    if value.startswith(SERVICE_LINKED_PATH):
        rule = f"must not begin with {SERVICE_LINKED_PATH}, where only services of AWS make roles"
        yield Problem.of(argument, value, rule)


def description_problems(argument: str, value: object) -> Iterator[Problem]:
    """Check the description of a role."""
    if not isinstance(value, str):
        yield Problem.of(argument, value, "must be a string")
        return
    if len(value) > DESCRIPTION_LENGTH:
        rule = f"must have at most {DESCRIPTION_LENGTH} characters, not {len(value)}"
        yield Problem.of(argument, value, rule)
    if not _DESCRIPTION.fullmatch(value):
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
    arn = _some_arn(value)
    if len(arn) > ARN_LENGTH:
        rule = f"must have at most {ARN_LENGTH} characters, not {len(arn)}"
        yield Problem.of(argument, value, rule)
    policy = _read_policy(arn)
    if policy is None or value not in (arn, policy, _opened(policy)):
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
    """Check that the account of a good *policy* can have it beside *others*."""
    good = as_policy(policy)
    if any(_exclude(good, each) for each in others):
        rule = "must differ by more than path and letter case: an account has one of them"
        yield Problem.of(argument, policy, rule)


def account_problems(argument: str, policies: Iterable[object]) -> Iterator[Problem]:
    """Check that the customers' policies by ARN among *policies* can be found in one account."""
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
    """Check tags; one of the 50 that IAM allows is the tag that marks what is managed."""
    if not isinstance(value, Mapping):
        yield Problem.of(argument, value, "must be a mapping of strings to strings")
        return
    if len(value) >= TAGS:
        rule = f"must be at most {TAGS - 1} tags: IAM allows {TAGS}, and {MANAGED_TAG[0]} is one"
        yield Problem(argument, f"{len(value)} tags", rule)
    folded: set[str] = set()
    for key, text in value.items():
        yield from _tag_key_problems(argument, key, folded)
        yield from _tag_value_problems(f"{argument}[{shown(key)}]", text)


def as_policy(value: str | ManagedPolicy) -> ManagedPolicy:
    """Read a policy that has no problems."""
    return ManagedPolicy.from_arn(value) if isinstance(value, str) else value


def _read_policy(arn: str) -> ManagedPolicy | None:
    try:
        return ManagedPolicy.from_arn(arn)
    except ValueError:
        return None


def _some_arn(value: str | ManagedPolicy) -> str:
    """Return the ARN of *value*, in some account if it leaves that open."""
    return value if isinstance(value, str) else value.arn("aws", _SOME_ACCOUNT)


def _exclude(policy: ManagedPolicy, other: ManagedPolicy) -> bool:
    """Tell whether one account is to have two namesakes, neither of which AWS manages."""
    homes = {(each.partition, each.account) for each in (policy, other) if each.account}
    ours = "aws" not in {policy.account, other.account} and len(homes) <= 1
    return ours and policy.name.lower() == other.name.lower() and not policy.may_be(other)


def _opened(policy: ManagedPolicy) -> ManagedPolicy:
    return attrs.evolve(policy, account="", partition="")


def _tag_key_problems(argument: str, key: object, folded: set[str]) -> Iterator[Problem]:
    """Check a tag's key against the rules and against the *folded* keys before it."""
    where = f"{argument} key"
    if not isinstance(key, str):
        yield Problem.of(where, key, "must be a string")
        return
    if not 1 <= len(key) <= TAG_KEY_LENGTH:
        yield Problem.of(where, key, f"must have 1 to {TAG_KEY_LENGTH} characters, not {len(key)}")
    if not all(map(_allowed_in_tag, key)):
        yield Problem.of(where, key, _TAG_CHARACTERS)
    if key.lower().startswith("aws:"):
        yield Problem.of(where, key, "must not begin with aws:, which is reserved for AWS")
    if key.lower() == MANAGED_TAG[0].lower():
        yield Problem.of(where, key, "must not be the tag by which this library knows its own")
    if key.lower() in folded:
        yield Problem.of(where, key, "must differ from the other keys by more than letter case")
    folded.add(key.lower())


def _tag_value_problems(where: str, text: object) -> Iterator[Problem]:
    if not isinstance(text, str):
        yield Problem.of(where, text, "must be a string")
        return
    if len(text) > TAG_VALUE_LENGTH:
        rule = f"must have at most {TAG_VALUE_LENGTH} characters, not {len(text)}"
        yield Problem.of(where, text, rule)
    if not all(map(_allowed_in_tag, text)):
        yield Problem.of(where, text, _TAG_CHARACTERS)


def _allowed_in_tag(character: str) -> bool:
    return character in _TAG_SYMBOLS or unicodedata.category(character)[0] in "LZN"
