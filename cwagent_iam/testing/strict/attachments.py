"""Managed policies: naming them, attaching them, using them as a boundary, changing them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult

from cwagent_iam.testing.strict.calls import Call, Operation, Rule, deny, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

_POLICY_ARN = re.compile(r"arn:[^:]+:iam::(aws|\d{12}):policy/.+")
_SERVICE_POLICIES = "/aws-service-role/"
_PRINCIPALS = ("role", "user", "group")
# Elsewhere IAM says that the policy was not found.
_NOT_ATTACHABLE = {
    *(f"attach_{kind}_policy" for kind in _PRINCIPALS),
    "get_policy_version",
    "list_policy_versions",
}
_CHANGES = (
    "create_policy_version",
    "delete_policy",
    "delete_policy_version",
    "set_default_policy_version",
    "tag_policy",
    "untag_policy",
)


def check_policy_arn(call: Call) -> None:
    """Refuse what is no policy's ARN, and the ARN of no policy."""
    arn = call.parameters.get("PolicyArn")
    if arn is None:
        return
    if arn.count(":") < 5 or not arn.startswith("arn:"):  # noqa: PLR2004 - as every ARN has
        refuse("ValidationError", "Invalid ARN:  Could not be parsed!")
    if not _POLICY_ARN.fullmatch(arn):
        refuse("ValidationError", f"ARN {arn} is not valid.")
    if arn not in call.backend.managed_policies:
        text = "does not exist or is not attachable." if _about_use(call) else "was not found."
        refuse("NoSuchEntity", f"Policy {arn} {text}")
    _check_version(call, arn)


def _about_use(call: Call) -> bool:
    return call.operation in _NOT_ATTACHABLE


def _check_version(call: Call, arn: str) -> None:
    version = call.parameters.get("VersionId")
    versions = {each.version_id for each in call.backend.get_policy(arn).versions}
    if version is not None and version not in versions:
        text = f"Policy {arn} version {version} does not exist or is not attachable."
        refuse("NoSuchEntity", text)


def _check_boundary(call: Call) -> None:
    arn = call.parameters.get("PermissionsBoundary")
    if not arn:
        return
    if not _POLICY_ARN.fullmatch(arn):
        refuse("InvalidInput", f"ARN {arn} is not valid.")
    if arn not in call.backend.managed_policies:
        text = f"Scope ARN: {arn} does not exist or is not attachable."
        refuse("NoSuchEntity", text)
    _refuse_service_policy(call, arn)


def _refuse_service_policy(call: Call, arn: str) -> None:
    if call.backend.get_policy(arn).path.startswith(_SERVICE_POLICIES):
        text = "Cannot attach a Service Role Policy to a Customer Role."
        refuse("PolicyNotAttachable", text)


def _check_attachment(call: Call) -> None:
    arn = call.parameters["PolicyArn"]
    _refuse_service_policy(call, arn)
    kind = call.operation.split("_")[1].capitalize()
    most = call.quotas[f"AttachedPoliciesPer{kind}Quota"]
    attached = call.principal.managed_policies
    if arn not in attached and len(attached) >= most:
        refuse("LimitExceeded", f"Cannot exceed quota for PoliciesPer{kind}: {most}")


def _attach(call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    """Attach once: moto counts a repetition."""
    attached = call.parameters["PolicyArn"] in call.principal.managed_policies
    return EmptyResult() if attached else moto()


def _refuse_a_taken_name(call: Call) -> None:
    name = call.parameters["PolicyName"]
    own = set(call.backend.managed_policies.values()) - set(call.backend.aws_managed_policies)
    if any(each.name.lower() == name.lower() for each in own):
        text = f"A policy called {name} already exists. Duplicate names are not allowed."
        refuse("EntityAlreadyExists", text)
    most = call.quotas["PoliciesQuota"]
    if call.quotas["Policies"] >= most:
        refuse("LimitExceeded", f"Cannot exceed quota for PoliciesPerAccount: {most}")


def _refuse_to_change_others(call: Call) -> None:
    arn = call.parameters["PolicyArn"]
    if call.backend.get_policy(arn) not in call.backend.aws_managed_policies:
        return
    if call.operation == "delete_policy":
        text = "Cannot delete policies outside your own account."
        deny(text)
    action = "".join(word.capitalize() for word in call.operation.split("_"))
    who = f"User: {call.caller_arn} is not authorized to perform: iam:{action}"
    deny(f"{who} on resource: policy {arn}")


def _refuse_to_delete_a_policy_in_use(call: Call) -> None:
    arn, iam = call.parameters["PolicyArn"], call.backend
    holders: list[Any] = [*iam.get_roles(), *iam.users.values(), *iam.groups.values()]
    if any(arn in each.managed_policies for each in holders):
        refuse("DeleteConflict", "Cannot delete a policy attached to entities.")
    if len(iam.get_policy(arn).versions) > 1:
        text = (
            "This policy has more than one version. Before you delete a policy, you must delete "
            "the policy's versions. The default version is deleted with the policy."
        )
        refuse("DeleteConflict", text)


RULES: dict[str, tuple[Rule, ...]] = {
    **{f"attach_{kind}_policy": (_check_attachment,) for kind in _PRINCIPALS},
    **dict.fromkeys(
        (
            "create_role",
            "create_user",
            "put_role_permissions_boundary",
            "put_user_permissions_boundary",
        ),
        (_check_boundary,),
    ),
    **dict.fromkeys(_CHANGES, (_refuse_to_change_others,)),
    "create_policy": (_refuse_a_taken_name,),
    "delete_policy": (_refuse_to_change_others, _refuse_to_delete_a_policy_in_use),
}
OPERATIONS: dict[str, Operation] = {f"attach_{kind}_policy": _attach for kind in _PRINCIPALS}
