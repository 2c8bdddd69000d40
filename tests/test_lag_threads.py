"""Real threads in the simulators: nothing is lost, and nothing breaks."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from cwagent_iam import ensure_agent_role
from cwagent_iam.testing import laggy_iam, sandbox, strict_iam
from cwagent_iam.testing.lagging.profiles import PROFILES
from tests.test_laggy_iam import SERVER, code_of, make_role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

IN_FLIGHT = 8


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Let Python change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(calls: Sequence[Callable[[], object]], most: int) -> None:
    """Run *calls* in real threads; what one of them raises, this raises."""
    with ThreadPoolExecutor(most) as pool:
        for ended in [pool.submit(call) for call in calls]:
            ended.result()


def write(iam: Any, name: str) -> list[str]:
    """Make a role with a policy in a profile, and read it; return the codes of what failed."""
    role = {"RoleName": name}
    codes = [
        code_of(make_role, iam=iam, name=name),
        code_of(iam.attach_role_policy, **role, PolicyArn=SERVER),
        code_of(iam.create_instance_profile, InstanceProfileName=name),
        code_of(iam.add_role_to_instance_profile, **role, InstanceProfileName=name),
        code_of(iam.list_roles),
        code_of(iam.list_instance_profiles_for_role, **role),
        code_of(iam.get_account_summary),
    ]
    return [code for code in codes if code != "ok"]


@pytest.mark.parametrize("world", [nullcontext, strict_iam], ids=["moto", "strict"])
def test_sandbox(world: Callable[[], Any]) -> None:
    """Threads that write at the same time get what they would get one after another."""
    names = [f"R{n}" for n in range(IN_FLIGHT)]
    for _ in range(3):
        with sandbox() as session, world(), ThreadPoolExecutor(IN_FLIGHT) as pool:
            iam = session.client("iam")
            assert not any(pool.map(partial(write, iam), names))
            policy = iam.get_policy(PolicyArn=SERVER)["Policy"]
            assert policy["AttachmentCount"] == IN_FLIGHT


def test_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the sandbox no request starts before the one that moto carries out has ended."""
    inside: list[int] = []
    most: list[int] = []

    def list_users(_response: object) -> ActionResult:
        inside.append(1)
        most.append(max(len(inside) for _ in range(50_000)))
        inside.pop()
        return ActionResult({"Users": []})

    monkeypatch.setattr(IamResponse, "list_users", list_users)
    with sandbox() as session:
        in_threads([session.client("iam").list_users] * IN_FLIGHT, IN_FLIGHT)
    assert set(most) == {1}


def test_lagging_iam() -> None:
    """Under lag and collisions each request is on the trace once, and every write in the truth."""
    profile = attrs.evolve(PROFILES["adversarial"], faults=(), ghost_names=None)
    for seed in range(5):
        with laggy_iam(profile, seed=seed) as lagging:
            sent: list[str] = []
            note = partial(_note, sent)
            clients = [lagging.client(f"writer {n}") for n in range(IN_FLIGHT)]
            for client in clients:
                client.meta.events.register("before-send", note)
            calls = [partial(write, client, f"R{n}") for n, client in enumerate(clients)]
            in_threads(calls, IN_FLIGHT)
            assert [request.number for request in lagging.trace] == [*range(1, len(sent) + 1)]
            assert all(request.outcome for request in lagging.trace)
            assert len(lagging.truth.list_roles()["Roles"]) == IN_FLIGHT


def _note(sent: list[str], event_name: str, **_event: object) -> None:
    sent.append(event_name)


def test_whole_calls() -> None:
    """Calls of this library from several threads all end right."""
    for seed in range(3):
        with laggy_iam("typical", seed=seed) as lagging:
            names = [f"R{n}" for n in range(3)]
            calls = [partial(ensure_agent_role, name, iam=lagging.client(name)) for name in names]
            in_threads(calls, len(calls))
            for name in names:
                assert not ensure_agent_role(name, iam=lagging.truth).changed


def test_rival_with_threads() -> None:
    """A rival inside a request of one thread may itself use threads."""
    with laggy_iam("off") as lagging:
        iam, rival = lagging.client("writer"), lagging.client("rival")
        theirs = [partial(make_role, rival, f"T{n}") for n in range(IN_FLIGHT)]
        lagging.before_request(3, partial(in_threads, theirs, IN_FLIGHT))
        in_threads([partial(make_role, iam, f"M{n}") for n in range(IN_FLIGHT)], IN_FLIGHT)
        assert len(lagging.truth.list_roles()["Roles"]) == 2 * IN_FLIGHT
