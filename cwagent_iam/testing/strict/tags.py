"""Tags: which keys may be written, which are the same key, and how many there can be.

Keys on roles and users are the same in any letter case, and keep the first; keys on other
entities are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from moto.core.responses import ActionResult, EmptyResult

from cwagent_iam.testing.strict.calls import Call, Operation, Rule, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 50
_RESERVED = "aws:"


@attrs.frozen
class _Kind:
    """A kind of entity that has tags.

    Attributes:
        name: As in the names of the operations.
        read: Finds the tags of the entity that a call names.
        write: Replaces them.
        folds: Whether letter case makes no difference.
    """

    name: str
    read: Callable[[Call], dict[str, str]]
    write: Callable[[Call, dict[str, str]], None]
    folds: bool

    def same(self, key: str) -> str:
        """The form in which keys are compared."""
        return key.lower() if self.folds else key


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _mapping(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in pairs}


def _write_role(call: Call, tags: dict[str, str]) -> None:
    call.role.tags = _pairs(tags)


def _write_profile(call: Call, tags: dict[str, str]) -> None:
    call.profile.tags = _pairs(tags)


def _write_user(call: Call, tags: dict[str, str]) -> None:
    call.backend.tagger.tags[call.user.arn] = dict(tags)


def _policy(call: Call) -> Any:
    return call.backend.get_policy(call.parameters["PolicyArn"])


def _write_policy(call: Call, tags: dict[str, str]) -> None:
    _policy(call).tags = {each["Key"]: each for each in _pairs(tags)}


_KINDS = (
    _Kind("role", lambda call: _mapping(call.role.tags), _write_role, folds=True),
    _Kind("user", lambda call: _mapping(call.user.tags or []), _write_user, folds=True),
    _Kind(
        "instance_profile", lambda call: _mapping(call.profile.tags), _write_profile, folds=False
    ),
    _Kind("policy", lambda call: _mapping(_policy(call).get_tags()), _write_policy, folds=False),
)
_BY_OPERATION = {
    f"{verb}_{kind.name}": kind for kind in _KINDS for verb in ("create", "tag", "untag")
}


def _check_keys(call: Call) -> None:
    kind = _BY_OPERATION[call.operation]
    keys = [each["Key"] for each in call.parameters.get("Tags", [])]
    if len({kind.same(key) for key in keys}) < len(keys):
        text = "Duplicate tag keys found."
        if kind.folds:
            text += " Please note that Tag keys are case insensitive."
        refuse("InvalidInput", text)
    _refuse_reserved(keys)


def _check_untag_keys(call: Call) -> None:
    _refuse_reserved(call.parameters["TagKeys"])


def _refuse_reserved(keys: list[str]) -> None:
    if any(key.lower().startswith(_RESERVED) for key in keys):
        # The code and the sense are IAM's, the wording is ours: none is on record.
        refuse("InvalidInput", f"Tag keys that begin with {_RESERVED} are reserved for AWS.")


def _tag(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    kind = _BY_OPERATION[call.operation]
    tags = kind.read(call)
    spelling = {kind.same(key): key for key in tags}
    for key, value in _mapping(call.parameters["Tags"]).items():
        tags[spelling.get(kind.same(key), key)] = value
    if sum(not key.lower().startswith(_RESERVED) for key in tags) > _MOST:
        text = "The number of tags has reached the maximum limit."
        refuse("LimitExceeded", text)
    kind.write(call, tags)
    return EmptyResult()


def _untag(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    kind = _BY_OPERATION[call.operation]
    gone = {kind.same(key) for key in call.parameters["TagKeys"]}
    kept = {key: value for key, value in kind.read(call).items() if kind.same(key) not in gone}
    kind.write(call, kept)
    return EmptyResult()


def _create_policy(call: Call, moto: Callable[[], ActionResult]) -> ActionResult:
    """Keep the tags from moto, to which keys in two letter cases are one."""
    tags = call.parameters.pop("Tags", [])
    reply = moto()
    policy: Any = reply.result
    policy["Policy"].tags = {each["Key"]: each for each in tags}
    return reply


def _list_profile_tags(call: Call, _moto: Callable[[], ActionResult]) -> ActionResult:
    return ActionResult({"Tags": sorted(call.profile.tags, key=lambda each: each["Key"])})


RULES: dict[str, tuple[Rule, ...]] = {
    name: (_check_untag_keys,) if name.startswith("untag_") else (_check_keys,)
    for name in _BY_OPERATION
}
OPERATIONS: dict[str, Operation] = {
    **{f"tag_{kind.name}": _tag for kind in _KINDS},
    **{f"untag_{kind.name}": _untag for kind in _KINDS},
    "create_policy": _create_policy,
    "list_instance_profile_tags": _list_profile_tags,
}
