"""The sandbox: what it answers, what it hides, and what never leaves it."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.handlers import BUILTIN_HANDLERS
from botocore.httpsession import URLLib3Session
from botocore.loaders import JSONFileLoader
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.config import default_user_config
from moto.core.models import botocore_stubber
from moto.core.responses import ActionResult, BaseResponse
from moto.iam import models as iam_models
from moto.iam.models import IAMBackend
from moto.iam.responses import IamResponse
from moto.sts import models as sts_models
from moto.utilities.utils import PARTITION_NAMES, REGION_PREFIX_TO_PARTITION

from cwagent_iam import Propagation, PropagationTimeoutError, ensure_agent_role, propagation
from cwagent_iam.testing import aws_in_memory, laggy_iam, sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from botocore.awsrequest import AWSPreparedRequest

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    },
)

# Every partition that botocore knows, which a test below makes sure of.
REGIONS = {
    "us-east-1": "aws",
    "eu-central-1": "aws",
    "cn-north-1": "aws-cn",
    "cn-northwest-1": "aws-cn",
    "eusc-de-east-1": "aws-eusc",
    "us-gov-east-1": "aws-us-gov",
    "us-gov-west-1": "aws-us-gov",
    "us-iso-east-1": "aws-iso",
    "us-isob-east-1": "aws-iso-b",
    "eu-isoe-west-1": "aws-iso-e",
    "us-isof-east-1": "aws-iso-f",
    "us-isof-south-1": "aws-iso-f",
}


def internals() -> list[object]:
    """Copy what the sandbox changes inside moto and botocore."""
    return [
        vars(iam_models)["DEFAULT_ACCOUNT_ID"],
        vars(IAMBackend)["_init_aws_policies"],
        vars(iam_models)["ARN_PARTITION_REGEX"],
        vars(sts_models)["ARN_PARTITION_REGEX"],
        PARTITION_NAMES.copy(),
        REGION_PREFIX_TO_PARTITION.copy(),
        default_user_config.copy(),
        hasattr(BaseResponse, "list_service_specific_credentials"),
        BUILTIN_HANDLERS.copy(),
        vars(URLLib3Session)["send"],
        vars(BotocoreStubber)["process_request"],
        vars(propagation)["time"],
        botocore_stubber.enabled,
    ]


# As long as no sandbox has ever been open.
UNTOUCHED = internals()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record what goes out to the network where no sandbox holds it back, and send nothing."""
    urls: list[str] = []

    def send(_transport: object, request: AWSPreparedRequest) -> None:
        urls.append(request.url)
        msg = "a request was about to leave the test"
        raise AssertionError(msg)

    monkeypatch.setattr(URLLib3Session, "send", send)
    return urls


def open_and_close(**options: str) -> None:
    """Open a sandbox, do nothing in it, close it."""
    with sandbox(**options):
        pass


def make_role(session: boto3.Session, name: str = "agent") -> str:
    """Make a role and return its ARN."""
    iam = session.client("iam")
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]


def role_names(session: boto3.Session) -> list[str]:
    """List the roles that exist."""
    return [role["RoleName"] for role in session.client("iam").list_roles()["Roles"]]


def run_python(code: str, **environment: str) -> str:
    """Run *code* in a new process, which finds the same packages, and return what it printed."""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(  # noqa: S603  the code is the test's own
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestPauses:
    """Time in the sandbox, for this library."""

    def test_no_call_pauses(self) -> None:
        """Without a clock of its own a call sleeps in no real time, and its clock knows of it."""
        propagation = Propagation()
        with sandbox():
            started = time.monotonic()
            clock, now = propagation.clock(), propagation.now()
            propagation.sleep(3600.0)
            assert time.monotonic() - started < 60
            assert 3600 <= propagation.clock() - clock < 3660
            assert 3600 <= propagation.now() - now < 3660

    def test_now(self) -> None:
        """Before any pause the time of day is the real one, as it is in moto's dates."""
        with sandbox() as session:
            assert abs(Propagation().now() - time.time()) < 60
            make_role(session)
            role: Any = session.client("iam").get_role(RoleName="agent")["Role"]
            assert abs(Propagation().now() - role["CreateDate"].timestamp()) < 60

    def test_a_call_that_waits_in_vain(self) -> None:
        """A whole minute of waiting for a role that nobody shows passes in no real time."""
        started = time.monotonic()
        with sandbox() as session:
            iam: Any = session.client("iam")
            iam.meta.events.register("before-call.iam.GetRole", _is_not_found)
            with pytest.raises(PropagationTimeoutError):
                ensure_agent_role(iam=iam, existing="attach")
        assert time.monotonic() - started < 30

    def test_real_time_comes_back(self) -> None:
        """Afterwards time is what it was before."""
        propagation = Propagation()
        with sandbox():
            propagation.sleep(1e6)
        assert abs(propagation.clock() - time.monotonic()) < 60
        assert abs(propagation.now() - time.time()) < 60

    def test_lagging_iam(self) -> None:
        """In the lagging IAM, which opens a sandbox, time is that of the lagging IAM."""
        propagation = Propagation()
        with laggy_iam("off") as lagging:
            propagation.sleep(5.0)
            assert propagation.now() == lagging.clock.now
            assert lagging.clock.elapsed == 5.0


def _is_not_found(**_event: object) -> tuple[SimpleNamespace, dict[str, Any]]:
    error = {"Code": "NoSuchEntity", "Message": "The role with name R cannot be found."}
    return SimpleNamespace(status_code=404), {"Error": error, "ResponseMetadata": {}}


class TestPolicies:
    """The AWS-managed policies."""

    @pytest.mark.parametrize(
        "policy",
        [
            "AWSXRayDaemonWriteAccess",
            "AWSXrayWriteOnlyAccess",
            "AmazonPrometheusRemoteWriteAccess",
            "AmazonS3ReadOnlyAccess",
            "AmazonSSMDirectoryServiceAccess",
            "AmazonSSMManagedEC2InstanceDefaultPolicy",
            "AmazonSSMManagedInstanceCore",
            "AmazonSSMReadOnlyAccess",
            "CloudWatchAgentAdminPolicy",
            "CloudWatchAgentServerPolicy",
            "CloudWatchLogsAPIKeyAccess",
            "ReadOnlyAccess",
            "service-role/AmazonECSTaskExecutionRolePolicy",
        ],
    )
    def test_known(self, policy: str) -> None:
        """The policies of the agent, and those that stand beside them, can be attached."""
        arn = f"arn:aws:iam::aws:policy/{policy}"
        with sandbox() as session:
            make_role(session)
            iam = session.client("iam")
            iam.attach_role_policy(RoleName="agent", PolicyArn=arn)
            attached = iam.list_attached_role_policies(RoleName="agent")["AttachedPolicies"]
        assert [found["PolicyArn"] for found in attached] == [arn]

    def test_only_the_chosen(self) -> None:
        """The chosen policies are there and no others, because all of them take seconds to load."""
        with sandbox() as session:
            found = session.client("iam").list_policies(Scope="AWS", MaxItems=1000)["Policies"]
        names = {policy["PolicyName"] for policy in found}
        # AWS published this one in 2026, after moto 5.2.0.
        assert names | {"CloudWatchAPIKeyAccess"} == set(aws_in_memory._POLICIES)  # noqa: SLF001

    def test_unknown(self) -> None:
        """A policy that AWS does not have cannot be attached."""
        with sandbox() as session:
            make_role(session)
            iam = session.client("iam")
            with pytest.raises(iam.exceptions.NoSuchEntityException):
                iam.attach_role_policy(RoleName="agent", PolicyArn="arn:aws:iam::aws:policy/No")


class TestAccount:
    """The account that the session is in."""

    def test_owner(self) -> None:
        """New things belong to the account that was asked for, and so does the caller."""
        with sandbox(account_id="000000000042") as session:
            arn = make_role(session)
            identity = session.client("sts").get_caller_identity()
        assert arn == "arn:aws:iam::000000000042:role/agent"
        assert identity["Account"] == "000000000042"

    def test_keys_of_a_user(self) -> None:
        """With the access key of a user one is that user, in that account."""
        with sandbox(account_id="000000000042") as session:
            iam = session.client("iam")
            iam.create_user(UserName="server")
            key = iam.create_access_key(UserName="server")["AccessKey"]
            server = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])
            arn = server.client("sts").get_caller_identity()["Arn"]
        assert arn == "arn:aws:iam::000000000042:user/server"

    @pytest.mark.parametrize(
        "account_id", ["", "12345678901", "12345678901x", "1" * 13, "\u0661" * 12]
    )
    def test_bad(self, account_id: str) -> None:
        """An account id is 12 digits; the error names argument, value and rule."""
        with pytest.raises(ValueError, match=f"account_id='{account_id}': .* 12 digits"):
            open_and_close(account_id=account_id)

    def test_number(self) -> None:
        """A number is no account id, since it has lost its leading zeros."""
        with pytest.raises(ValueError, match=r"account_id=123456789012: .* a string"):
            open_and_close(account_id=123456789012)  # type: ignore[arg-type]


class TestPartitions:
    """The region, and the partition that follows from it."""

    @pytest.mark.parametrize(("region", "partition"), REGIONS.items())
    def test_everything_is_in_it(self, region: str, partition: str) -> None:
        """Roles, policies, boundaries, documents and callers are of the region's partition."""
        policy = f"arn:{partition}:iam::aws:policy/CloudWatchAgentServerPolicy"
        statement = {
            "Effect": "Allow",
            "Action": "logs:PutLogEvents",
            "Resource": f"arn:{partition}:logs:*:*:*",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        with sandbox(region=region) as session:
            iam = session.client("iam")
            role = make_role(session)
            iam.attach_role_policy(RoleName="agent", PolicyArn=policy)
            iam.put_role_permissions_boundary(RoleName="agent", PermissionsBoundary=policy)
            iam.put_role_policy(RoleName="agent", PolicyName="logs", PolicyDocument=document)
            own = iam.create_policy(PolicyName="logs", PolicyDocument=document)["Policy"]["Arn"]
            caller = session.client("sts").get_caller_identity()["Arn"]
        assert iam.meta.partition == partition
        assert role == f"arn:{partition}:iam::123456789012:role/agent"
        assert own == f"arn:{partition}:iam::123456789012:policy/logs"
        assert caller.startswith(f"arn:{partition}:sts::123456789012:")

    @pytest.mark.parametrize(("region", "partition"), REGIONS.items())
    def test_assumed_role(self, region: str, partition: str) -> None:
        """Who assumes a role of another account is in that account, in every partition."""
        with sandbox(region=region) as session:
            credentials = session.client("sts").assume_role(
                RoleArn=f"arn:{partition}:iam::999999999999:role/deploy",
                RoleSessionName="test",
            )["Credentials"]
            elsewhere = boto3.Session(
                credentials["AccessKeyId"],
                credentials["SecretAccessKey"],
                credentials["SessionToken"],
            )
            role = make_role(elsewhere)
            here = role_names(session)
        assert role == f"arn:{partition}:iam::999999999999:role/agent"
        assert here == []

    def test_all_are_tested(self) -> None:
        """These tests cover every partition that botocore knows."""
        data = botocore.session.Session().get_component("data_loader").load_data("partitions")
        assert {partition["id"] for partition in data["partitions"]} == set(REGIONS.values())

    @pytest.mark.parametrize("region", ["", "us-esat-1", "US-EAST-1", "aws-global"])
    def test_unknown(self, region: str) -> None:
        """A region is one that botocore knows; the error names argument, value and rule."""
        with pytest.raises(ValueError, match=f"region='{region}': must be a region that botocore"):
            open_and_close(region=region)


class TestEnvironment:
    """What the sandbox hides and shows, and that it leaves no trace."""

    @pytest.fixture
    def hostile(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
        """Settings for another AWS, in the environment and in the home directory."""
        settings = "region = ap-south-1\nendpoint_url = http://127.0.0.1:9\nmax_attempts = 9\n"
        keys = "aws_access_key_id = REAL\naws_secret_access_key = REAL\n"
        config = tmp_path / ".aws" / "config"
        config.parent.mkdir()
        config.write_text(f"[default]\n{settings}{keys}[profile prod]\n{settings}{keys}")
        environment = {
            "AWS_ACCESS_KEY_ID": "REAL",
            "AWS_SECRET_ACCESS_KEY": "REAL",
            "AWS_SESSION_TOKEN": "REAL",
            "AWS_PROFILE": "prod",
            "AWS_CONFIG_FILE": str(config),
            "AWS_REGION": "ap-south-1",
            "AWS_DEFAULT_REGION": "ap-south-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ENDPOINT_URL_IAM": "http://127.0.0.1:9",
            "AWS_USE_FIPS_ENDPOINT": "true",
            "AWS_RETRY_MODE": "adaptive",
            "AWS_MAX_ATTEMPTS": "9",
            "AWS_EC2_METADATA_DISABLED": "",
            "MOTO_ACCOUNT_ID": "666666666666",
        }
        monkeypatch.setenv("HOME", str(tmp_path))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return environment

    @pytest.mark.usefixtures("hostile")
    def test_hidden(self) -> None:
        """No setting of the caller reaches a session, neither the sandbox's nor a new one."""
        with sandbox(region="eu-west-1") as session:
            shown = {k: v for k, v in os.environ.items() if k.startswith(("AWS_", "MOTO_"))}
            for made in (session, boto3.Session()):
                credentials = made.get_credentials()
                assert credentials is not None
                assert (credentials.access_key, credentials.token) == ("testing", None)
                assert (made.region_name, made.profile_name) == ("eu-west-1", "default")
                assert made.client("iam").meta.endpoint_url == "https://iam.amazonaws.com"
            assert make_role(session) == "arn:aws:iam::123456789012:role/agent"
        assert shown == {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def test_home_directory(self, hostile: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        """The files in the home directory are hidden even where no variable points to them."""
        for name in hostile:
            monkeypatch.delenv(name)
        with sandbox():
            assert boto3.Session().available_profiles == []
            assert boto3.Session().region_name == "us-east-1"
        assert boto3.Session().available_profiles == ["default", "prod"]

    def test_instance_metadata(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without keys a session has no credentials; it does not ask the instance for some."""
        with sandbox():
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            assert boto3.Session().get_credentials() is None

    @pytest.mark.usefixtures("hostile")
    def test_late_reader(self) -> None:
        """A session that is first asked when the sandbox has closed still shows dummy settings."""
        with sandbox() as session:
            pass
        credentials = session.get_credentials()
        assert credentials is not None
        assert credentials.access_key == "testing"
        assert session.region_name == "us-east-1"

    @pytest.mark.usefixtures("hostile")
    @pytest.mark.parametrize("fails", [False, True])
    def test_restored(self, *, fails: bool) -> None:
        """Afterwards the environment is as it was, also when the block meddled or failed."""
        before = dict(os.environ)
        with suppress(KeyError), sandbox():
            os.environ["AWS_PROFILE"] = "meddled"
            os.environ["AWS_NEW"] = "new"
            del os.environ["AWS_ACCESS_KEY_ID"]
            if fails:
                raise KeyError
        assert dict(os.environ) == before

    def test_other_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables that are not about AWS stay as the block leaves them."""
        monkeypatch.setenv("OTHER", "before")
        with sandbox():
            assert os.environ["OTHER"] == "before"
            os.environ["OTHER"] = "after"
        assert os.environ["OTHER"] == "after"


class TestDefaultSession:
    """boto3's default session."""

    def test_is_the_sandbox(self) -> None:
        """Calls without a session land in the sandbox, in its region."""
        with sandbox(region="us-gov-west-1") as session:
            arn = make_role(session)
            found = boto3.client("iam").get_role(RoleName="agent")["Role"]["Arn"]
            region = boto3.client("sts").meta.region_name
            assert boto3.DEFAULT_SESSION is session
        assert found == arn
        assert region == "us-gov-west-1"

    @pytest.mark.parametrize("before", [None, boto3.Session(region_name="ap-south-1")])
    @pytest.mark.parametrize("fails", [False, True])
    def test_restored(
        self,
        before: boto3.Session | None,
        monkeypatch: pytest.MonkeyPatch,
        *,
        fails: bool,
    ) -> None:
        """Afterwards it is what it was, also when the block set another one or failed."""
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", before)
        with suppress(KeyError), sandbox():
            boto3.setup_default_session(region_name="sa-east-1")
            if fails:
                raise KeyError
        assert boto3.DEFAULT_SESSION is before


class TestWhileOpen:
    """Requests from an open sandbox."""

    @pytest.mark.parametrize(
        ("options", "host"),
        [
            ({"endpoint_url": "http://127.0.0.1:9"}, "127.0.0.1:9"),
            ({"config": Config(use_dualstack_endpoint=True)}, "iam.global.api.aws"),
        ],
    )
    def test_unanswered(self, options: dict[str, Any], host: str, sent: list[str]) -> None:
        """A request to a host that moto does not know is refused, at once and by name."""
        with sandbox() as session:
            client = session.client("iam", **options)
            with pytest.raises(RuntimeError, match=f"nothing in the sandbox answers POST {host},"):
                client.list_roles()
        assert sent == []

    def test_client_from_before(self, sent: list[str]) -> None:
        """A client from before the sandbox is answered by the sandbox."""
        client = boto3.Session("REAL", "REAL", region_name="us-east-1").client("iam")
        with sandbox() as session:
            make_role(session)
            assert client.list_roles()["Roles"][0]["RoleName"] == "agent"
        with pytest.raises(AssertionError, match="about to leave"):
            client.list_roles()
        assert sent == ["https://iam.amazonaws.com/"]

    def test_client_from_before_moto(self, sent: list[str]) -> None:
        """A client that moto could not get hold of is refused."""
        client = boto3.Session("REAL", "REAL", region_name="us-east-1").client("iam")
        client.meta.events.unregister("before-send", cast("Any", botocore_stubber))
        with sandbox(), pytest.raises(RuntimeError, match=r"answers POST iam\.amazonaws\.com,"):
            client.list_roles()
        assert sent == []


class TestOnceClosed:
    """Requests through clients and sessions that outlive their sandbox."""

    @pytest.mark.parametrize("fails", [False, True])
    def test_refused(
        self,
        monkeypatch: pytest.MonkeyPatch,
        sent: list[str],
        *,
        fails: bool,
    ) -> None:
        """Each client and session of the sandbox is refused before a request is sent."""
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "REAL")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "REAL")
        sessions = []
        clients = []
        with suppress(KeyError), sandbox() as session:
            sessions += [session, boto3.Session()]
            clients += [boto3.client("iam"), *(kept.client("iam") for kept in sessions)]
            if fails:
                raise KeyError
        # The second session finds its keys and its region only now, and they are the real ones.
        clients += [kept.client("iam") for kept in sessions]
        clients += [kept.client("iam", endpoint_url="http://127.0.0.1:9") for kept in sessions]
        for client in clients:
            with pytest.raises(RuntimeError, match="the sandbox of this client has closed"):
                client.list_roles()
        assert len(clients) == 7
        assert sent == []

    def test_refused_in_the_next_sandbox(self) -> None:
        """A client of an earlier sandbox does nothing in a later one."""
        with sandbox() as earlier:
            pass
        with sandbox() as session:
            with pytest.raises(RuntimeError, match="has closed"):
                make_role(earlier)
            assert role_names(session) == []

    def test_later_sessions(self, sent: list[str]) -> None:
        """A session that is made afterwards is an ordinary one."""
        open_and_close()
        client = boto3.Session("REAL", "REAL", region_name="us-east-1").client("iam")
        with pytest.raises(AssertionError, match="about to leave"):
            client.list_roles()
        assert sent == ["https://iam.amazonaws.com/"]


class TestSeparation:
    """Sandboxes among themselves, and beside moto."""

    def test_one_after_the_other(self) -> None:
        """A sandbox starts empty, whatever an earlier one held, even after a failure."""

        def fail_halfway() -> None:
            with sandbox() as session:
                make_role(session)
                raise KeyError

        with pytest.raises(KeyError):
            fail_halfway()
        with sandbox() as session:
            assert role_names(session) == []

    def test_after_mock_aws(self) -> None:
        """A sandbox starts empty after a mock_aws that kept its data."""
        mock = mock_aws()
        mock.start()
        make_role(boto3.Session(region_name="us-east-1"))
        mock.stop(remove_data=False)
        with sandbox() as session:
            assert role_names(session) == []

    def test_one_in_the_other(self) -> None:
        """A sandbox does not open inside another one, which goes on undisturbed."""
        with sandbox() as session:
            make_role(session)
            with pytest.raises(RuntimeError, match="cannot open inside another sandbox"):
                open_and_close()
            assert boto3.Session().region_name == "us-east-1"
            assert role_names(session) == ["agent"]

    def test_in_mock_aws(self) -> None:
        """A sandbox does not open inside mock_aws, since it would share its state."""
        with mock_aws(), pytest.raises(RuntimeError, match="nor inside moto's mock_aws"):
            open_and_close()

    def test_around_mock_aws(self) -> None:
        """A mock_aws inside a sandbox shares its state and its policies, and harms neither."""
        with sandbox() as session:
            with mock_aws():
                make_role(session)
            session.client("iam").attach_role_policy(
                RoleName="agent",
                PolicyArn="arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy",
            )

    def test_moto_is_left_as_it_was(self) -> None:
        """Afterwards moto and botocore are as they were, down to the lists inside."""
        with pytest.raises(KeyError), sandbox(account_id="000000000042", region="us-isof-south-1"):
            raise KeyError
        assert internals() == UNTOUCHED

    def test_shared_models(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A further sandbox reads no file of botocore again, and leaves none more to search."""

        def load_file(_loader: object, file_path: str) -> None:
            msg = f"{file_path} is read a second time"
            raise AssertionError(msg)

        with sandbox() as session:
            session.client("iam")
        before = list(aws_in_memory._loader().search_paths)  # noqa: SLF001
        monkeypatch.setattr(JSONFileLoader, "load_file", load_file)
        with sandbox() as session:
            session.client("iam")
        assert aws_in_memory._loader().search_paths == before  # noqa: SLF001

    def test_no_moto_server(self) -> None:
        """The sandbox is in this process even where the environment points moto to a server."""
        code = "from cwagent_iam.testing import sandbox\nwith sandbox() as s: print(s.region_name)"
        assert run_python(code, TEST_SERVER_MODE="true") == "us-east-1\n"


class TestOperations:
    """What the removal of a user or a role has to look for first."""

    def test_user(self) -> None:
        """A new user has nothing, and the sandbox answers so for each kind of thing."""
        with sandbox() as session:
            iam = session.client("iam")
            iam.create_user(UserName="u")
            assert iam.list_attached_user_policies(UserName="u")["AttachedPolicies"] == []
            assert iam.list_user_policies(UserName="u")["PolicyNames"] == []
            assert iam.list_groups_for_user(UserName="u")["Groups"] == []
            assert iam.list_access_keys(UserName="u")["AccessKeyMetadata"] == []
            assert iam.list_mfa_devices(UserName="u")["MFADevices"] == []
            assert iam.list_signing_certificates(UserName="u")["Certificates"] == []
            assert iam.list_ssh_public_keys(UserName="u")["SSHPublicKeys"] == []
            credentials = iam.list_service_specific_credentials(UserName="u")
            assert credentials["ServiceSpecificCredentials"] == []
            with pytest.raises(iam.exceptions.NoSuchEntityException):
                iam.get_login_profile(UserName="u")

    def test_role(self) -> None:
        """A new role has nothing, and the sandbox answers so for each kind of thing."""
        with sandbox() as session:
            make_role(session, "r")
            iam = session.client("iam")
            assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"] == []
            assert iam.list_role_policies(RoleName="r")["PolicyNames"] == []
            assert iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"] == []

    def test_motos_own_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once moto learns the operation that the sandbox adds, moto's answer counts."""

        def own(_response: IamResponse) -> ActionResult:
            return ActionResult({"ServiceSpecificCredentials": [{"UserName": "moto's"}]})

        monkeypatch.setattr(IamResponse, "list_service_specific_credentials", own, raising=False)
        with sandbox() as session:
            found = session.client("iam").list_service_specific_credentials(UserName="u")
        assert found["ServiceSpecificCredentials"][0]["UserName"] == "moto's"


class TestImport:
    """The extra that the sandbox needs."""

    def test_without_moto(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without moto the import says what to install, and shows the original error."""
        monkeypatch.setitem(sys.modules, "moto.core.models", None)
        with pytest.raises(ImportError, match=r"pip install cwagent-iam\[testing\]") as caught:
            runpy.run_path(aws_in_memory.__file__)
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)
        assert caught.value.name == "moto.core.models"

    def test_without_moto_in_a_new_process(self) -> None:
        """Where moto is not installed the package works, and only this module fails."""
        code = """
import sys
class NoMoto:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "moto":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoMoto())
import cwagent_iam
try:
    import cwagent_iam.testing
except ImportError as error:
    print(error, "|", error.__cause__)
"""
        hint = "cwagent_iam.testing needs moto 5.2 or later: pip install cwagent-iam[testing]"
        assert run_python(code) == f"{hint} | No module named 'moto'\n"

    def test_package_does_without(self) -> None:
        """Importing the package imports neither this module nor moto."""
        code = "import sys, cwagent_iam; print({'moto', 'cwagent_iam.testing'} & {*sys.modules})"
        assert run_python(code) == "set()\n"
