"""The sandbox's own repair of moto: permissions boundaries of users."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto.core.responses import ActionResult, BaseResponse
from moto.iam.responses import IamResponse

from cwagent_iam import ensure, plan_agent_user, preview
from cwagent_iam.testing import sandbox

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OTHER = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def boundary_of(iam: Any, user: str = "u") -> object:
    """Return what IAM says of the boundary of *user*; `None` if nothing."""
    return iam.get_user(UserName=user)["User"].get("PermissionsBoundary")


def shown(policy: str) -> dict[str, str]:
    """Return a boundary as IAM sends it."""
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": policy}


class TestUserBoundary:
    """The boundary of a user, from creation on."""

    def test_created_with(self, iam: Any) -> None:
        """A user that is created with a boundary has it, in the reply and afterwards."""
        reply = iam.create_user(UserName="u", PermissionsBoundary=READ_ONLY)
        assert reply["User"]["PermissionsBoundary"] == shown(READ_ONLY)
        assert boundary_of(iam) == shown(READ_ONLY)

    def test_created_without(self, iam: Any) -> None:
        """A user that is created without a boundary has none."""
        reply = iam.create_user(UserName="u", Tags=[{"Key": "a", "Value": "b"}], Path="/x/")
        assert "PermissionsBoundary" not in reply["User"]
        assert boundary_of(iam) is None
        assert iam.get_user(UserName="u")["User"]["Tags"] == [{"Key": "a", "Value": "b"}]

    def test_put(self, iam: Any) -> None:
        """Putting a boundary sets it, puts another in its place, and touches no other user."""
        iam.create_user(UserName="u")
        iam.create_user(UserName="other", PermissionsBoundary=OTHER)
        for policy in (READ_ONLY, OTHER, OTHER):
            iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=policy)
            assert boundary_of(iam) == shown(policy)
        assert boundary_of(iam, "other") == shown(OTHER)

    def test_delete(self, iam: Any) -> None:
        """Deleting a boundary takes it from this user alone; a second time changes nothing."""
        for name in ("u", "other"):
            iam.create_user(UserName=name, PermissionsBoundary=READ_ONLY)
        for _ in range(2):
            iam.delete_user_permissions_boundary(UserName="u")
            assert boundary_of(iam) is None
        assert boundary_of(iam, "other") == shown(READ_ONLY)
        iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=OTHER)
        assert boundary_of(iam) == shown(OTHER)

    @pytest.mark.parametrize(
        ("verb", "members"), [("put", {"PermissionsBoundary": READ_ONLY}), ("delete", {})]
    )
    def test_no_such_user(self, verb: str, members: dict[str, str], iam: Any) -> None:
        """For a user that does not exist the answer is AWS's, with its words."""
        with pytest.raises(
            iam.exceptions.NoSuchEntityException,
            match=r"The user with name nobody cannot be found\.",
        ):
            getattr(iam, f"{verb}_user_permissions_boundary")(UserName="nobody", **members)

    def test_refused_creation(self, iam: Any) -> None:
        """A creation that is refused leaves the boundary of the user who is there."""
        iam.create_user(UserName="u", PermissionsBoundary=OTHER)
        with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName="u", PermissionsBoundary=READ_ONLY)
        assert boundary_of(iam) == shown(OTHER)

    def test_lists(self, iam: Any) -> None:
        """A list of users shows no boundaries, as in AWS; the account's details do."""
        iam.create_user(UserName="u", PermissionsBoundary=READ_ONLY)
        details = iam.get_account_authorization_details(Filter=["User"])["UserDetailList"]
        assert details[0]["PermissionsBoundary"] == shown(READ_ONLY)
        assert "PermissionsBoundary" not in iam.list_users()["Users"][0]

    def test_through_the_library(self, session: boto3.Session, iam: Any) -> None:
        """The library finds a boundary that it asked for, and mends another one."""
        desired = plan_agent_user("u", permissions_boundary=READ_ONLY)
        ensure(desired, session=session)
        assert not preview(desired, session=session)
        iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=OTHER)
        assert ensure(desired, session=session).changed
        assert boundary_of(iam) == shown(READ_ONLY)


class TestSeparation:
    """The repair among sandboxes, and beside moto."""

    def test_other_account(self, session: boto3.Session, iam: Any) -> None:
        """A user of the same name in another account has a boundary of its own."""
        iam.create_user(UserName="u", PermissionsBoundary=READ_ONLY)
        credentials = session.client("sts").assume_role(
            RoleArn="arn:aws:iam::999999999999:role/deploy", RoleSessionName="test"
        )["Credentials"]
        elsewhere: Any = boto3.client(
            "iam",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
        elsewhere.create_user(UserName="u")
        assert boundary_of(elsewhere) is None
        assert boundary_of(iam) == shown(READ_ONLY)

    def test_left_as_it_was(self) -> None:
        """Afterwards moto is as it was."""
        created = IamResponse.create_user
        with sandbox():
            assert IamResponse.create_user is not created
        assert IamResponse.create_user is created
        assert not hasattr(BaseResponse, "put_user_permissions_boundary")
        assert not hasattr(BaseResponse, "delete_user_permissions_boundary")

    def test_motos_own_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once moto learns to put boundaries on users and take them away, moto's way counts."""
        seen: list[str] = []

        def own(response: IamResponse) -> ActionResult:
            seen.append(response.uri)
            return ActionResult({})

        for verb in ("put", "delete"):
            name = f"{verb}_user_permissions_boundary"
            monkeypatch.setattr(IamResponse, name, own, raising=False)
        with sandbox() as session:
            iam = session.client("iam")
            iam.create_user(UserName="u")
            iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=READ_ONLY)
            assert boundary_of(iam) is None
            iam.create_user(UserName="other", PermissionsBoundary=OTHER)
            iam.delete_user_permissions_boundary(UserName="other")
            assert boundary_of(iam, "other") == shown(OTHER)
        assert len(seen) == 2
