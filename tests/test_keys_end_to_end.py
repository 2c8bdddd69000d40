"""The file that was delivered, as the agent uses it: what its key may do, and what it may not."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import botocore.loaders
import botocore.session
import pytest
import tomlkit
from botocore.exceptions import ClientError
from moto.core import enable_iam_authentication
from moto.iam import access_control

from cwagent_iam import (
    CommonConfig,
    SharedCredentialsFile,
    ensure_agent_user,
    remove,
    rotate_access_key,
)
from cwagent_iam.planners import plan_agent_user
from cwagent_iam.testing import laggy_iam
from cwagent_iam.testing.aws_in_memory import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER = "CloudWatchAgentServerUser"
PROFILE = "AmazonCloudWatchAgent"
DAY = 86400.0
LOADER = botocore.loaders.create_loader()


@contextmanager
def enforced() -> Iterator[None]:
    """Let moto ask policies; it knows CloudWatch by the name that requests are signed with."""
    check: Any = access_control.IAMRequestBase.check_action_permitted

    def by_its_name(self: Any, resource: str) -> None:
        self._action = self._action.replace("monitoring:", "cloudwatch:", 1)
        check(self, resource)

    base = access_control.IAMRequestBase
    with patch.object(base, "check_action_permitted", by_its_name), enable_iam_authentication():
        yield


@contextmanager
def agent(file: Path) -> Iterator[boto3.Session]:
    """A fresh session of a process that has nothing but the file and the profile's name."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_CONFIG_FILE": os.devnull}
    with patch.dict(os.environ, env, clear=True):
        core = botocore.session.Session(profile=PROFILE)
        core.register_component("data_loader", LOADER)  # of botocore's own data files
        yield boto3.Session(botocore_session=core)


def test_the_delivered_key_may_do_the_agents_work_and_no_more(tmp_path: Path) -> None:
    """With the file alone: metrics and logs are let in, making users is not."""
    file = tmp_path / "credentials"
    with sandbox() as session:
        logs: Any = session.client("logs", region_name="eu-west-1")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        store = SharedCredentialsFile(file, region="eu-west-1")
        user = ensure_agent_user(deliver=store, session=session)
        with agent(file) as fresh, enforced():
            own: Any = fresh.client
            assert fresh.region_name == "eu-west-1"
            assert own("sts").get_caller_identity()["Arn"] == user.user_arn
            own("cloudwatch").put_metric_data(
                Namespace="CWAgent", MetricData=[{"MetricName": "m", "Value": 1}]
            )
            event = {"timestamp": 1767225600000, "message": "x"}
            own("logs").put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])
            with pytest.raises(ClientError, match="iam:CreateUser"):
                own("iam").create_user(UserName="evil")


def test_a_life_of_a_server_on_premises(tmp_path: Path) -> None:
    """Made, used, rotated, tidied up, removed: at each time the file has a key that is let in."""
    file, config = tmp_path / "credentials", tmp_path / "common-config.toml"
    config.write_text("# the agent's own settings\n", encoding="utf-8")
    with laggy_iam("typical", seed=4) as lagging:
        store = SharedCredentialsFile(
            file, "AmazonCloudWatchAgent", common_config=CommonConfig(config)
        )

        def works() -> str:
            with agent(file) as fresh:
                sts: Any = fresh.client("sts", region_name="us-east-1")
                assert sts.get_caller_identity()["Arn"].endswith(f":user/{USER}")
                credentials = fresh.get_credentials()
                assert credentials
                return str(credentials.access_key)

        user = ensure_agent_user(deliver=store, session=lagging.session)
        assert user.access_key
        assert user.access_key.action == "created"
        assert user.access_key.advice.startswith("Restart the agent this once")
        lagging.settle()
        first = works()
        assert tomlkit.parse(config.read_text(encoding="utf-8")).unwrap() == {
            "credentials": {
                "shared_credential_profile": PROFILE,
                "shared_credential_file": str(file),
            }
        }
        phases = []
        for days in (1, 91, 2, 8):
            lagging.clock.sleep(days * DAY)
            status = rotate_access_key(USER, deliver=store, session=lagging.session)
            lagging.settle()
            phases.append(status.phase)
            assert status.advice == ""
            works()
        assert phases == ["current", "settling", "grace", "current"]
        assert works() != first
        keys = lagging.truth.list_access_keys(UserName=USER)["AccessKeyMetadata"]
        assert [key["AccessKeyId"] for key in keys] == [works()]
        remove(plan_agent_user(), access_keys="delete", session=lagging.session)
        assert lagging.truth.list_users()["Users"] == []
