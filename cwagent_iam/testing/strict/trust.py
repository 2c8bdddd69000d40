"""What IAM demands of the document that says who may assume a role.

moto reads it in UpdateAssumeRolePolicy only, and refuses there what IAM accepts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import iam_backends

from cwagent_iam.documents import any_covers, listed
from cwagent_iam.testing.strict.calls import Call, Operation, Rule, refuse
from cwagent_iam.testing.strict.documents import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moto.iam.models import IAMBackend, Role, User

_ACTIONS = (
    "sts:assumerole",
    "sts:assumerolewithsaml",
    "sts:assumerolewithwebidentity",
    "sts:setcontext",
    "sts:setsourceidentity",
    "sts:tagsession",
)
_KINDS = {"AWS": "AWS", "Service": "SERVICE", "Federated": "FEDERATED"}
_ELEMENTS = {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "Condition"}
_ARN = re.compile(
    r"arn:(?P<partition>[^:]+):(?P<service>iam|sts)::(?P<account>\d{12}):(?P<name>.+)"
)


def _check_trust(call: Call, text: str) -> None:
    for statement in _statements(text):
        _check_statement(statement)
        _check_principals(call, statement)
    most = call.quotas["AssumeRolePolicySizeQuota"]
    if size_of(text) > most:
        refuse("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {most}")


def _statements(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except ValueError:
        _malformed("This policy contains invalid Json")
    statements = listed(document.get("Statement")) if isinstance(document, dict) else []
    if not statements or not all(isinstance(each, dict) for each in statements):
        _malformed("Syntax errors in policy.")
    if document.get("Version", "2008-10-17") not in {"2008-10-17", "2012-10-17"}:
        _malformed("Syntax errors in policy.")
    return statements


def _check_statement(statement: dict[str, Any]) -> None:
    for field in ("Resource", "NotResource"):
        if field in statement:
            _malformed(f"Has prohibited field {field}")
    if not statement.keys() <= _ELEMENTS | {"NotAction"}:
        _malformed("Syntax errors in policy.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        _malformed("Syntax errors in policy.")
    if not statement.get("Principal") and not statement.get("NotPrincipal"):
        _malformed("Missing required field Principal")
    actions = listed(statement.get("Action", []))
    if not actions and "NotAction" not in statement:
        _malformed("Missing required field Action")
    if "NotAction" in statement or not all(map(_assumes, actions)):
        _malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def _assumes(action: Any) -> bool:
    """Tell whether an action, with wildcards or in any letter case, is one that trust is about."""
    pattern = str(action).lower()
    return pattern.startswith("sts:") and any(any_covers({pattern}, each) for each in _ACTIONS)


def _check_principals(call: Call, statement: dict[str, Any]) -> None:
    for kind, principal in _principals(statement):
        if kind not in _KINDS or not isinstance(principal, str):
            _malformed("Syntax errors in policy.")
        known = {"AWS": _aws_principal_exists, "Service": _is_service}.get(kind)
        if known and not known(call, principal):
            _malformed(f'Invalid principal in policy: "{_KINDS[kind]}":"{principal}"')


def _principals(statement: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in ("Principal", "NotPrincipal"):
        value = statement.get(field, {})
        by_kind = value if isinstance(value, dict) else {"AWS": value}
        for kind, principals in by_kind.items():
            yield from ((kind, each) for each in listed(principals))


def _is_service(_call: Call, principal: str) -> bool:
    """IAM knows all services; here a name with a dot is one."""
    return re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", principal) is not None


def _aws_principal_exists(call: Call, principal: str) -> bool:
    if principal == "*" or re.fullmatch(r"\d{12}", principal):
        return True
    match = _ARN.fullmatch(principal)
    if match is None:
        return _has_id(call, principal)
    partition, service, account, name = match.groups()
    if partition != call.response.partition:
        return False
    if service == "sts":
        return _session_exists(partition, account, name)
    # Whether another account exists cannot be known here, so its root is taken to.
    return name == "root" or _entity_exists(partition, account, principal)


def _entities(backend: IAMBackend) -> list[Role | User]:
    return [*backend.get_roles(), *backend.users.values()]


def _entity_exists(partition: str, account: str, arn: str) -> bool:
    if account not in list(iam_backends):
        return False
    backend = iam_backends[account][partition]
    return any(each.arn == arn for each in _entities(backend))


def _session_exists(partition: str, account: str, name: str) -> bool:
    """A session need not exist, its role must; federated users have no entity of their own."""
    kind, _, rest = name.partition("/")
    if kind == "federated-user":
        return bool(rest)
    role, _, session = rest.partition("/")
    known = iam_backends[account][partition].get_roles() if account in list(iam_backends) else ()
    return kind == "assumed-role" and bool(session) and any(each.name == role for each in known)


def _has_id(call: Call, principal: str) -> bool:
    return any(each.id == principal for each in _entities(call.backend))


def _malformed(text: str) -> NoReturn:
    refuse("MalformedPolicyDocument", text)


def _check_new(call: Call) -> None:
    _check_trust(call, call.parameters["AssumeRolePolicyDocument"])


def _check_update(call: Call) -> None:
    _check_trust(call, call.parameters["PolicyDocument"])


def _update(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    """Do it without moto, which refuses ``sts:*``, mixed case and the older version."""
    call.role.assume_role_policy_document = call.parameters["PolicyDocument"]
    return EmptyResult()


def _delete(call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    """Delete it; who trusted it trusts a bare id from now on, which nobody ever has again."""
    gone = call.role if call.operation == "delete_role" else call.user
    # Ids of users have another form in moto.
    unique_id = gone.id if gone.id.startswith("AROA") else f"AIDA{gone.id[:17].upper()}"
    reply = moto()
    for backends in iam_backends.values():
        for role in backends[call.response.partition].get_roles():
            trust = role.assume_role_policy_document
            role.assume_role_policy_document = trust.replace(f'"{gone.arn}"', f'"{unique_id}"')
    return reply


RULES: dict[str, tuple[Rule, ...]] = {
    "create_role": (_check_new,),
    "update_assume_role_policy": (_check_update,),
}
OPERATIONS: dict[str, Operation] = {
    "delete_role": _delete,
    "delete_user": _delete,
    "update_assume_role_policy": _update,
}
