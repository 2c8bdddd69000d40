"""What IAM demands of policies that say what is allowed: no principal, plain Sids, sizes.

moto checks the syntax of these documents, with AWS's texts.
"""

from __future__ import annotations

import json
import re
from typing import Any

from cwagent_iam.testing.strict.calls import Call, Rule, refuse

_INLINE = {
    "put_role_policy": ("role", "RolePolicySizeQuota", "RoleName"),
    "put_user_policy": ("user", "UserPolicySizeQuota", "UserName"),
    "put_group_policy": ("group", "GroupPolicySizeQuota", "GroupName"),
}


def size_of(text: str) -> int:
    """Count what IAM's quotas count: all but white space."""
    return sum(not each.isspace() for each in text)


def _check_statements(call: Call) -> None:
    for statement in _statements(call.parameters["PolicyDocument"]):
        if "Principal" in statement or "NotPrincipal" in statement:
            text = "Policy document should not specify a principal."
            refuse("MalformedPolicyDocument", text)
        if not re.fullmatch("[0-9A-Za-z]*", str(statement.get("Sid", ""))):
            text = (
                "Statement IDs (SID) must be alpha-numeric. "
                "Check that your input satisfies the regular expression [0-9A-Za-z]*"
            )
            refuse("MalformedPolicyDocument", text)


def _statements(text: str) -> list[dict[str, Any]]:
    """List the statements, none where moto will find that it is no policy document."""
    try:
        found = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError):
        return []
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, dict)]


def _check_managed_size(call: Call) -> None:
    most = call.quotas["PolicySizeQuota"]
    if size_of(call.parameters["PolicyDocument"]) > most:
        refuse("LimitExceeded", f"Cannot exceed quota for PolicySize: {most}")


def _check_inline_size(call: Call) -> None:
    """All inline policies of one entity share one quota."""
    kind, quota, member = _INLINE[call.operation]
    new = {call.parameters["PolicyName"]: call.parameters["PolicyDocument"]}
    if sum(map(size_of, (call.principal.policies | new).values())) > call.quotas[quota]:
        size = f"Maximum policy size of {call.quotas[quota]} bytes exceeded"
        refuse("LimitExceeded", f"{size} for {kind} {call.parameters[member]}")


def _refuse_an_absent_inline_policy(call: Call) -> None:
    kind = call.operation.split("_")[1]
    name = call.parameters["PolicyName"]
    if name not in call.principal.policies:
        refuse("NoSuchEntity", f"The {kind} policy with name {name} cannot be found.")


RULES: dict[str, tuple[Rule, ...]] = {
    **dict.fromkeys(_INLINE, (_check_statements, _check_inline_size)),
    **dict.fromkeys(
        ("create_policy", "create_policy_version"), (_check_statements, _check_managed_size)
    ),
    **{
        f"{verb}_{kind}_policy": (_refuse_an_absent_inline_policy,)
        for verb in ("get", "delete")
        for kind in ("role", "user", "group")
    },
}
