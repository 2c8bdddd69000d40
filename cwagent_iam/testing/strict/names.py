"""Names are unique whatever their path and letter case, and are found in any letter case.

Also what IAM says when there is nothing of that name, and whom it means when none is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from moto.core.utils import get_service_model

from cwagent_iam.testing.strict.calls import Call, Operation, Rule, refuse
from cwagent_iam.testing.strict.shapes import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from moto.core.responses import ActionResult
    from moto.iam.models import IAMBackend


@attrs.frozen
class _Kind:
    """A kind of entity that has names.

    Attributes:
        member: The member of a request that holds such a name.
        title: How the texts of IAM call it at their beginning.
        quota: The quota for these in an account, as in GetAccountSummary.
        names: Lists the names that are taken.
    """

    member: str
    title: str
    quota: str
    names: Callable[[IAMBackend], Iterable[str]]

    def stored(self, call: Call, name: str) -> str | None:
        """Find the spelling in which *name* is taken."""
        return next((each for each in self.names(call.backend) if _same(each, name)), None)

    def missing(self, name: str) -> str:
        """Say that there is none of this *name*."""
        if self.member == "InstanceProfileName":
            return f"Instance Profile {name} cannot be found."
        return f"The {self.title.lower()} with name {name} cannot be found."

    def taken(self, name: str) -> str:
        """Say that *name* is taken."""
        if self.member == "InstanceProfileName":
            return f"Instance Profile {name} already exists."
        return f"{self.title} with name {name} already exists."


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


_ROLE = _Kind("RoleName", "Role", "Roles", lambda iam: [each.name for each in iam.get_roles()])
_USER = _Kind("UserName", "User", "Users", lambda iam: list(iam.users))
_GROUP = _Kind("GroupName", "Group", "Groups", lambda iam: list(iam.groups))
_PROFILE = _Kind(
    "InstanceProfileName",
    "Instance Profile",
    "InstanceProfiles",
    lambda iam: list(iam.instance_profiles),
)
_KINDS = (_PROFILE, _GROUP, _USER, _ROLE)
_CREATED = {
    "create_role": _ROLE,
    "create_user": _USER,
    "create_group": _GROUP,
    "create_instance_profile": _PROFILE,
}


def resolve_names(call: Call) -> None:
    """Find what the call names, and put the stored spelling in the place of the given one."""
    if call.operation in _CREATED:
        return
    _name_the_caller(call)
    for kind in _KINDS:
        name = call.parameters.get(kind.member)
        if name is not None:
            stored = kind.stored(call, name)
            if stored is None:
                refuse("NoSuchEntity", kind.missing(name))
            call.parameters[kind.member] = stored


def _name_the_caller(call: Call) -> None:
    """A user may leave out its own name; nobody else has one."""
    model = get_service_model("iam").operation_model(operations()[call.operation]).input_shape
    members = model.members if model else {}
    if "UserName" not in members or "UserName" in (model.required_members if model else ()):
        return
    # An access key says whose it is; a list of all users' credentials needs no user.
    if "UserName" in call.parameters or ("AllUsers" in members and call.parameters.get("AllUsers")):
        return
    if call.caller is None:
        text = "Must specify userName when calling with non-User credentials"
        refuse("ValidationError", text)
    call.parameters["UserName"] = call.caller.name


def _refuse_a_taken_name(call: Call) -> None:
    kind = _CREATED[call.operation]
    name = call.parameters[kind.member]
    if kind.stored(call, name) is not None:
        refuse("EntityAlreadyExists", kind.taken(name))
    most = call.quotas[f"{kind.quota}Quota"]
    if call.quotas[kind.quota] >= most:
        refuse("LimitExceeded", f"Cannot exceed quota for {kind.quota}PerAccount: {most}")


def _refuse_a_taken_new_name(call: Call) -> None:
    kind = _USER if call.operation == "update_user" else _GROUP
    name = call.parameters.get(f"New{kind.member}")
    if name is None or _same(name, call.parameters[kind.member]):
        return
    if kind.stored(call, name) is not None:
        refuse("EntityAlreadyExists", kind.taken(name))


def _update_user(call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    """Take along what moto keeps under the former name."""
    user = call.user
    tags = call.backend.tagger.get_tag_dict_for_resource(user.arn)
    call.backend.tagger.delete_all_tags_for_resource(user.arn)
    reply = moto()
    call.backend.tagger.tags[user.arn] = dict(tags)
    for key in user.access_keys:
        key.user_name = user.name
    return reply


RULES: dict[str, tuple[Rule, ...]] = {
    **dict.fromkeys(_CREATED, (_refuse_a_taken_name,)),
    "update_user": (_refuse_a_taken_new_name,),
    "update_group": (_refuse_a_taken_new_name,),
}
OPERATIONS: dict[str, Operation] = {"update_user": _update_user}
