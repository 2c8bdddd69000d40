"""The ledger: the record of a call, folded over the outcomes of its requests."""

from __future__ import annotations

from typing import Any

import pytest

from cwagent_iam import SERVER_POLICY, ChangeSet, changes as the
from cwagent_iam.observing import Observation
from cwagent_iam.reconcile.ledger import Ledger
from cwagent_iam.reconcile.rules import FINAL
from cwagent_iam.requests import Outcome, Reply
from cwagent_iam.state import State
from cwagent_iam.trust import EC2_TRUST, CrossAccount
from tests.core import ACCOUNT, BUSY, NO_REPLY, ROLE, ROLE_PLAN, made, no_such, refusal

CREATE = the.CreateRole(name=ROLE, trust=EC2_TRUST)
ATTACH = the.AttachRolePolicy(name=ROLE, policy=SERVER_POLICY)
DETACH = the.DetachRolePolicy(name=ROLE, policy=SERVER_POLICY)
ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
CREATED = Reply(content={"Role": {"Arn": ARN}})
TAKEN = refusal("EntityAlreadyExists", "It exists.")


def folded(ledger: Ledger, *pairs: tuple[the.Change, Outcome]) -> Ledger:
    """Fold changes with their outcomes."""
    return ledger.fold(
        (change, change.request("aws", ACCOUNT), outcome) for change, outcome in pairs
    )


class TestFold:
    """Outcomes of writes."""

    def test_reply(self) -> None:
        """A reply makes a change applied, and a created entity known by name and ARN."""
        ledger = folded(Ledger(), (CREATE, CREATED), (ATTACH, Reply(content={})))
        assert ledger.applied == (CREATE, ATTACH)
        assert ledger.known.created == {f"role {ROLE}".lower()}
        assert ledger.known.created_arns == {ARN.lower()}

    @pytest.mark.parametrize("content", [{"Role": {}}, {"Role": None}, {"Role": "odd"}])
    def test_reply_without_arn(self, content: Any) -> None:
        """A creation whose reply has no ARN is applied all the same; reads show the rest."""
        ledger = folded(Ledger(), (CREATE, Reply(content=content)))
        assert ledger.applied == (CREATE,)
        assert (len(ledger.known.created), ledger.known.created_arns) == (1, frozenset())

    def test_refusal(self) -> None:
        """A refusal is kept with its request, its rule, and the sum of its attempts."""
        ledger = folded(Ledger(), (ATTACH, BUSY)).with_pause(1.0)
        ledger = folded(ledger, (ATTACH, no_such("role")))
        entry = ledger.refused[ATTACH]
        assert (entry.attempts, entry.since, entry.rule) == (2, 0.0, FINAL)
        assert entry.request == ATTACH.request("aws", ACCOUNT)
        assert entry.refusal == no_such("role")
        assert (ledger.applied, ledger.unacknowledged) == ((), frozenset())

    def test_judged_after_the_wave(self) -> None:
        """An entity that the same wave created counts for the refusals of that wave."""
        ledger = folded(Ledger(), (ATTACH, no_such("role")), (CREATE, CREATED))
        assert ledger.refused[ATTACH].rule.verdict == "retry"

    def test_taken(self) -> None:
        """A taken name is known to exist, although no read shows it; only for creations."""
        ledger = folded(Ledger(), (CREATE, TAKEN), (ATTACH, TAKEN))
        assert ledger.known.created == {f"role {ROLE}".lower()}
        assert folded(Ledger(), (ATTACH, TAKEN)).known.created == frozenset()

    def test_lost(self) -> None:
        """A change without a reply stays unacknowledged until a reply comes, despite refusals."""
        ledger = folded(folded(Ledger(), (CREATE, NO_REPLY)), (CREATE, TAKEN))
        assert ledger.unacknowledged == {CREATE}
        ledger = folded(ledger, (CREATE, CREATED))
        assert (ledger.unacknowledged, ledger.refused) == (frozenset(), {})

    def test_time(self) -> None:
        """The time since the last write restarts with each reply, not with refusals."""
        ledger = Ledger().with_pause(2.0).with_pause(3.0)
        assert (ledger.waited, ledger.last_write, ledger.pauses) == (5.0, 0.0, 2)
        refused = folded(ledger, (ATTACH, BUSY))
        assert (refused.last_write, refused.pauses) == (0.0, 2)
        written = folded(ledger, (ATTACH, Reply(content={})))
        assert (written.waited, written.last_write, written.pauses) == (5.0, 5.0, 0)


class TestKnown:
    """Observations and lookups."""

    def test_observation(self) -> None:
        """Observed entities stay known, by name and ARN; the last miss is of the last read."""
        shown = frozenset({f"role {ROLE}".lower(), f"instance-profile {ROLE}".lower()})
        seen = Observation(made().seen(), shown, no_such("role"))
        ledger = Ledger().with_observation(seen).with_observation(Observation(State()))
        assert ledger.known.observed == shown
        assert ARN.lower() in ledger.known.observed_arns
        assert ledger.last_miss is None
        assert Ledger().with_observation(Observation(ROLE_PLAN)).known.observed_arns == frozenset()

    def test_lookup(self) -> None:
        """A successful lookup changes the verdict on earlier refusals."""
        new = f"arn:aws:iam::{ACCOUNT}:user/new"
        change = the.CreateRole(name="R", trust=CrossAccount([new]).document())
        words = "Invalid principal in policy"
        ledger = folded(Ledger(), (change, refusal("MalformedPolicyDocument", words)))
        assert ledger.refused[change].rule.verdict == "look up"
        assert ledger.with_lookup([new]).refused[change].rule.verdict == "retry"


class TestResolved:
    """Refusals that a later diff resolves."""

    def test_ours(self) -> None:
        """An unacknowledged change that the diff lacks was applied by this call."""
        ledger = folded(Ledger(), (CREATE, NO_REPLY), (ATTACH, no_such("role")))
        settled, recovered = ledger.resolve_refusals(ChangeSet(), confirmed=True)
        assert recovered == {
            CREATE: "its reply was lost",
            ATTACH: "another process made it",
        }
        assert (settled.applied, settled.refused) == ((CREATE,), {})
        assert settled.unacknowledged == frozenset()

    def test_still_due(self) -> None:
        """A change that is still in the diff stays as it was."""
        ledger = folded(Ledger(), (CREATE, NO_REPLY))
        assert ledger.resolve_refusals(ChangeSet((CREATE,)), confirmed=True) == (ledger, {})

    def test_removed(self) -> None:
        """A single read may be stale: only several reads show that something was removed."""
        ledger = folded(Ledger(), (DETACH, NO_REPLY))
        assert ledger.resolve_refusals(ChangeSet(), confirmed=False) == (ledger, {})
        _, recovered = ledger.resolve_refusals(ChangeSet(), confirmed=True)
        assert list(recovered) == [DETACH]


class TestDue:
    """Changes that are due."""

    def test_acknowledged(self) -> None:
        """An acknowledged change is not due again; a ChangeSet without one is returned itself."""
        changes = ChangeSet((CREATE, ATTACH))
        assert Ledger().due(changes) is changes
        assert Ledger(applied=(CREATE,)).due(changes).changes == (ATTACH,)

    def test_swap(self) -> None:
        """A swap whose role was added already does not remove the other role again."""
        swap = the.RemoveRoleFromInstanceProfile(name="P", role_name="old", replaced_by="new")
        add = the.AddRoleToInstanceProfile(name="P", role_name="new")
        assert Ledger(applied=(add,)).due(ChangeSet((swap, add))).changes == ()
        assert Ledger(applied=(swap,)).due(ChangeSet((swap, add))).changes == (add,)
