"""One call to IAM, as the rules see it, and the ways to refuse it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from xml.sax.saxutils import escape

import attrs
from moto.core.responses import ActionResult
from moto.iam.exceptions import IAMException
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from moto.iam.models import IAMBackend, InstanceProfile, Role, User
    from moto.iam.responses import IamResponse


@attrs.frozen
class Call:
    """One call: who sent what to which account.

    Attributes:
        response: moto's handler of the request.
        operation: The operation as moto and boto3 spell it, such as ``create_role``.
    """

    response: IamResponse
    operation: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The members of the request; a rule may put a better one in its place."""
        parameters: dict[str, Any] = self.response.params
        return parameters

    @property
    def backend(self) -> IAMBackend:
        """The state of the account."""
        return self.response.backend

    @property
    def quotas(self) -> dict[str, int]:
        """What GetAccountSummary tells."""
        return self.backend.account_summary.summary_map

    @property
    def role(self) -> Role:
        """The role that is named."""
        return self.backend.get_role(self.parameters["RoleName"])

    @property
    def user(self) -> User:
        """The user that is named."""
        return self.backend.get_user(self.parameters["UserName"])

    @property
    def profile(self) -> InstanceProfile:
        """The instance profile that is named."""
        return self.backend.get_instance_profile(self.parameters["InstanceProfileName"])

    @property
    def principal(self) -> Any:
        """The role, user or group that is named: whatever policies can be attached to."""
        if "GroupName" in self.parameters:
            return self.backend.get_group(self.parameters["GroupName"])
        return self.role if "RoleName" in self.parameters else self.user

    @property
    def caller(self) -> User | None:
        """The user whose access key signed the request, unless it was somebody else's."""
        return self.backend.get_user_from_access_key_id(self.response.get_access_key())

    @property
    def caller_arn(self) -> str:
        """What GetCallerIdentity would say."""
        if self.caller:
            return self.caller.arn
        return f"arn:{self.response.partition}:sts::{self.response.current_account}:user/moto"


Rule: TypeAlias = Callable[[Call], None]
"""Lets a call pass, or raises what IAM would answer."""

Operation: TypeAlias = Callable[[Call, Callable[[], ActionResult]], ActionResult]
"""Carries a call out, with or without the help of moto's own operation."""


def refuse(code: str, text: str) -> NoReturn:
    """Refuse a call; the model of the API knows the HTTP status of most codes, 400 for others."""
    raise IAMException(code, text)


def deny(text: str) -> NoReturn:
    """Refuse a call with 403, a status that the model of the API does not know."""
    raise _Denied(text)


class _Denied(HTTPException):
    """AWS's answer, as moto sends what is no `IAMException`."""

    code = 403

    def __init__(self, text: str) -> None:
        """Say *text*."""
        error = f"<Type>Sender</Type><Code>AccessDenied</Code><Message>{escape(text)}</Message>"
        super().__init__(f"<ErrorResponse><Error>{error}</Error></ErrorResponse>")
