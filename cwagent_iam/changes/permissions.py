"""The shapes of changes to what a role or user may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from cwagent_iam.changes.base import (
    BaseChange,
    Create,
    Symbol,
    Update,
    Wave,
    is_same,
    open_among,
)
from cwagent_iam.policies import InlinePolicy, ManagedPolicy, without

if TYPE_CHECKING:
    from cwagent_iam.state import Boundary, Principal, State


@attrs.frozen(kw_only=True)
class CreatePrincipal(Create):
    """Make a role or user, limited from its first moment.

    Attributes:
        permissions_boundary: The policy that limits what the others can allow.
    """

    permissions_boundary: Boundary | None = None

    @property
    def open_policies(self) -> tuple[ManagedPolicy, ...]:
        """The boundary, if it leaves its account open."""
        return open_among(self.permissions_boundary)

    @property
    def permissions(self) -> frozenset[str]:
        """As for all that is created; the account of an open boundary is looked up."""
        return super().permissions | ({"iam:ListPolicies"} if self.open_policies else set())


@attrs.frozen(kw_only=True)
class PutPermissionsBoundary(Update):
    """Set or replace the permissions boundary, before anything else that it is to limit.

    Attributes:
        policy: The policy that becomes the boundary.
    """

    kind: ClassVar[type[Principal]]
    apart: ClassVar[bool] = True
    policy: ManagedPolicy

    @property
    def open_policies(self) -> tuple[ManagedPolicy, ...]:
        """The policy, if it leaves its account open."""
        return open_among(self.policy)

    @property
    def part(self) -> str:
        """The policy."""
        return str(self.policy)

    def after(self, state: State) -> State:
        """Return *state* with the boundary set."""
        principal = state.find(self.kind, self.name)
        if principal is None or is_same(principal.permissions_boundary, self.policy):
            return state
        return self._evolve(state, permissions_boundary=self.policy)


@attrs.frozen(kw_only=True)
class DeletePermissionsBoundary(Update):
    """Take the permissions boundary away: the policies alone say what is allowed."""

    kind: ClassVar[type[Principal]]
    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    apart: ClassVar[bool] = True

    def after(self, state: State) -> State:
        """Return *state* without a boundary."""
        return self._evolve(state, permissions_boundary=None)


@attrs.frozen(kw_only=True)
class _OnePolicy(BaseChange):
    kind: ClassVar[type[Principal]]
    policy: ManagedPolicy

    @property
    def part(self) -> str:
        """The policy."""
        return str(self.policy)

    @property
    def open_policies(self) -> tuple[ManagedPolicy, ...]:
        """The policy, if it leaves its account open."""
        return open_among(self.policy)

    def _policies(self, state: State) -> frozenset[ManagedPolicy]:
        principal = state.find(self.kind, self.name)
        return frozenset() if principal is None else principal.policies


@attrs.frozen(kw_only=True)
class AttachPolicy(_OnePolicy):
    """Attach a managed policy.

    Attributes:
        policy: The policy.
    """

    symbol: ClassVar[Symbol] = "+"
    wave: ClassVar[Wave] = Wave.MEND

    def after(self, state: State) -> State:
        """Return *state* with the policy attached."""
        held = self._policies(state)
        return self._evolve(state, policies=held | without({self.policy}, held))


@attrs.frozen(kw_only=True)
class DetachPolicy(_OnePolicy):
    """Detach a managed policy.

    Attributes:
        policy: The policy.
    """

    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY

    def after(self, state: State) -> State:
        """Return *state* with the policy detached."""
        return self._evolve(state, policies=without(self._policies(state), {self.policy}))


@attrs.frozen(kw_only=True)
class PutInlinePolicy(Update):
    """Put a document into a role or user, or replace the one that has its name.

    Attributes:
        policy: The name and the document.
    """

    kind: ClassVar[type[Principal]]
    symbol: ClassVar[Symbol] = "+"
    policy: InlinePolicy

    @property
    def sign(self) -> Symbol:
        """Whether it adds a document, or replaces one."""
        return "~" if self.differences else self.symbol

    @property
    def part(self) -> str:
        """The name of the policy."""
        return self.policy.name

    @property
    def detail(self) -> str:
        """The document; if it replaces one, from what is to what shall be."""
        return super().detail or str(self.policy)

    def after(self, state: State) -> State:
        """Return *state* with the document in place."""
        others = _others(self.kind, self.name, self.policy, state)
        return self._evolve(state, inline_policies=others | {self.policy})


@attrs.frozen(kw_only=True)
class DeleteInlinePolicy(BaseChange):
    """Delete a document from a role or user.

    Attributes:
        policy: Its name, and what it was seen to say.
    """

    kind: ClassVar[type[Principal]]
    symbol: ClassVar[Symbol] = "-"
    wave: ClassVar[Wave] = Wave.TAKE_AWAY
    policy: InlinePolicy

    @property
    def part(self) -> str:
        """The name of the policy."""
        return self.policy.name

    @property
    def detail(self) -> str:
        """The document."""
        return str(self.policy)

    def after(self, state: State) -> State:
        """Return *state* without the document."""
        others = _others(self.kind, self.name, self.policy, state)
        return self._evolve(state, inline_policies=others)


def _others(
    kind: type[Principal], name: str, policy: InlinePolicy, state: State
) -> frozenset[InlinePolicy]:
    """Return the inline policies that have another name than *policy*."""
    principal = state.find(kind, name)
    held = frozenset[InlinePolicy]() if principal is None else principal.inline_policies
    return frozenset(each for each in held if each.name != policy.name)
