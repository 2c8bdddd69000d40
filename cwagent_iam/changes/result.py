"""Results of calls: the changes that were applied, and the state afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from cwagent_iam.changes.change_set import ChangeSet, Extra
from cwagent_iam.display import html_block

if TYPE_CHECKING:
    from cwagent_iam.changes.operations import Change
    from cwagent_iam.findings import Finding
    from cwagent_iam.state import Kind, SeenKey, State
    from cwagent_iam.visibility import EC2Answer


Action: TypeAlias = Literal["created", "kept", "replaced"]
"""The action that a call took on the key in the store."""


@attrs.frozen(kw_only=True)
class AccessKey:
    """The access key in the store.

    Attributes:
        access_key_id: Its id.
        action: The action that the call took on it.
        unheld: The user's other keys, whose secrets the store does not have.
        suspects: Those of them that may come from a request whose reply was lost. A rotation
            retires them.
        advice: Advice for the caller; empty if there is nothing left to do.
    """

    access_key_id: str
    action: Action
    unheld: tuple[SeenKey, ...] = ()
    suspects: tuple[SeenKey, ...] = ()
    advice: str = ""

    def __str__(self) -> str:
        """One line: the key, the action, the other keys and the advice."""
        others = ", ".join(key.access_key_id for key in self.unheld)
        beside = f", beside {others}" if others else ""
        names = ", ".join(key.access_key_id for key in self.suspects)
        doubt = f" A request whose reply was lost may have created {names}." if names else ""
        line = f"access key {self.access_key_id} {self.action}{beside}.{doubt} {self.advice}"
        return line.rstrip()


@attrs.frozen(kw_only=True)
class Result:
    """The result of `apply`, `ensure` or `remove`.

    Attributes:
        changes: The changes that were applied, in order.
        state: The entities as they are after the call.
        ec2: EC2's answer for each instance profile, if ``wait_for`` asks EC2.
        extras: The observed parts that intent does not name, which were left alone.
        findings: Findings about the desired state.
    """

    changes: tuple[Change, ...]
    state: State
    ec2: tuple[EC2Answer, ...] = ()
    extras: tuple[Extra, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was applied."""
        return bool(self.changes)

    @property
    def arns(self) -> dict[tuple[Kind, str], str]:
        """The ARNs by kind and name, as in ``arns["role", "CloudWatchAgentServerRole"]``."""
        known = ((entity, entity.arn) for entity in self.state.entities)
        return {(entity.kind, entity.name): arn for entity, arn in known if arn is not None}

    def __str__(self) -> str:
        """The changes, one a line, extras and findings; then the ARNs; then EC2's answers."""
        return "\n".join([str(self._shown), *self.arns.values(), *map(str, self.ec2)])

    @property
    def _shown(self) -> ChangeSet:
        return ChangeSet(self.changes, extras=self.extras, findings=self.findings)

    def _repr_html_(self) -> str:
        return html_block(type(self).__name__, str(self))


@attrs.frozen(kw_only=True)
class AgentRole(Result):
    """The result of `ensure_agent_role`: the agent's role, and on EC2 its instance profile.

    Attributes:
        role_name: The role's name.
        role_arn: The role's ARN.
        instance_profile_name: The name of the instance profile that holds the role; `None` if
            none was asked for.
        instance_profile_arn: The ARN of that instance profile; `None` if there is none.
    """

    role_name: str
    role_arn: str
    instance_profile_name: str | None
    instance_profile_arn: str | None


@attrs.frozen(kw_only=True)
class AgentUser(Result):
    """The result of `ensure_agent_user`: the agent's user on a server, and its access key.

    Attributes:
        user_name: The user's name.
        user_arn: The user's ARN.
        access_key: The access key in the store, without its secret; `None` if no store was given.
    """

    user_name: str
    user_arn: str
    access_key: AccessKey | None = None

    def __str__(self) -> str:
        """The changes, extras and findings; then the ARN; then the access key."""
        key = [str(self.access_key)] if self.access_key else []
        return "\n".join([str(self._shown), self.user_arn, *key])
