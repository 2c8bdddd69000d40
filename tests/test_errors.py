"""Errors: their tree, their facts, their words, and that they travel whole."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given, strategies as st

import cwagent_iam
from cwagent_iam import (
    SERVER_POLICY,
    ApplyError,
    Conflict,
    ConflictError,
    CredentialsError,
    CwAgentIamError,
    DeliveryError,
    Difference,
    IntentError,
    KeyConflictError,
    ObserveError,
    Problem,
    PropagationTimeoutError,
    Refused,
    RequestError,
    StoreError,
    errors,
)
from cwagent_iam.changes import AddRoleToInstanceProfile, AttachRolePolicy, CreateRole
from cwagent_iam.errors import FAILING, THROTTLED
from cwagent_iam.trust import EC2_TRUST

if TYPE_CHECKING:
    from collections.abc import Callable

CREATE = CreateRole(name="Agent", trust=EC2_TRUST)
ATTACH = AttachRolePolicy(name="Agent", policy=SERVER_POLICY)
CREATED = "CreateRole (role Agent)"
ATTACHED = "AttachRolePolicy (role Agent: CloudWatchAgentServerPolicy)"

PROBLEMS = (
    Problem.of("role_name", "", "must have 1 to 64 characters, not 0"),
    Problem.of("tags", None, "must be a mapping of strings to strings"),
)
CONFLICTS = (
    Conflict(
        target="role Agent",
        reason="exists and is not managed",
        differences=(Difference("path", "/", "/team/"), Difference("trust", "a", "b")),
        advice="Choose another name.",
    ),
    Conflict("user Agent", "has an access key", (), "Delete the key first."),
)
DENIED: dict[str, Any] = {
    "operation": "AttachRolePolicy",
    "target": "role Agent",
    "code": "AccessDenied",
    "reason": "User: caller is not authorized.",
}
TRIED: dict[str, Any] = DENIED | {"attempts": 3, "seconds": 4.26}
REFUSALS = (
    Refused("AttachRolePolicy", "role Agent", "AccessDenied", "User: caller is not authorized."),
    Refused("PutRolePolicy", "role Agent", "LimitExceeded", "Too\nlong", "4c9f"),
    Refused("TagRole", "role Agent", None, "Could not connect"),
)


@attrs.frozen
class Key:
    """The part of a key that errors print."""

    access_key_id: str


ERRORS: dict[str, CwAgentIamError] = {
    "intent": IntentError(problems=PROBLEMS),
    "conflict": ConflictError(conflicts=CONFLICTS, applied=(CREATE,)),
    "request": RequestError(**DENIED, applied=(CREATE,)),
    "observe": ObserveError(**DENIED | {"operation": "GetRole"}, applied=(CREATE,)),
    "apply": ApplyError(**TRIED, applied=(CREATE,), remaining=(ATTACH,), overtaken=True),
    "refused": ApplyError(
        **TRIED, request_id="1f", applied=(CREATE,), remaining=(ATTACH,), refusals=REFUSALS
    ),
    "credentials": CredentialsError(**DENIED, applied=(CREATE,), step="AssumeRole"),
    "propagation": PropagationTimeoutError(
        applied=(CREATE,), missing=(ATTACH,), attempts=7, seconds=60.04
    ),
    "store": StoreError(applied=(CREATE,), store="file", problem="It is locked: call again."),
    "delivery": DeliveryError(
        applied=(CREATE,), access_key_id="AKIA1", fate="exists", store="file", reason="No space."
    ),
    "split": PropagationTimeoutError(
        applied=(CREATE,), missing=(), conflicts=CONFLICTS, attempts=2, seconds=60.04
    ),
}


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (CwAgentIamError, (Exception,)),
        (IntentError, (CwAgentIamError, ValueError)),
        (ConflictError, (CwAgentIamError,)),
        (RequestError, (CwAgentIamError,)),
        (ObserveError, (RequestError,)),
        (ApplyError, (RequestError,)),
        (CredentialsError, (RequestError,)),
        (PropagationTimeoutError, (CwAgentIamError,)),
        (KeyConflictError, (ConflictError,)),
        (StoreError, (CwAgentIamError,)),
        (DeliveryError, (CwAgentIamError,)),
    ],
)
def test_the_tree_is_as_drawn(error: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    """Each class has the bases that the module's docstring draws."""
    assert error.__bases__ == bases


PUBLIC = [name for name in cwagent_iam.__all__ if hasattr(errors, name)]


@pytest.mark.parametrize("name", PUBLIC)
def test_the_classes_name_the_door(name: str) -> None:
    """Every class of errors that the door exports reports the door as its module."""
    assert getattr(cwagent_iam, name).__module__ == "cwagent_iam"


def test_only_what_the_door_exports_names_the_door() -> None:
    """No other class claims to be found where it cannot be found."""
    classes = {name: it for name, it in vars(errors).items() if isinstance(it, type)}
    assert sorted(PUBLIC) == sorted(
        name for name, it in classes.items() if it.__module__ == "cwagent_iam"
    )
    assert len(PUBLIC) == 15


def test_tracebacks_name_the_door() -> None:
    """A traceback shows the path from which callers import the class."""
    lines = traceback.format_exception_only(IntentError(problems=PROBLEMS[1:]))
    assert lines == [
        "cwagent_iam.IntentError: tags=None: must be a mapping of strings to strings\n"
    ]


def test_a_pickle_opens_where_nothing_was_imported() -> None:
    """A pickle names the door alone, and a new process finds each class through it."""
    pickled = pickle.dumps(ERRORS["intent"], protocol=0)
    assert b"cwagent_iam" in pickled
    assert b"cwagent_iam.errors" not in pickled
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer))"
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-P", "-c", program], input=pickled, capture_output=True, check=True
    )
    assert run.stdout.decode().splitlines() == list(map(str, PROBLEMS))


def test_intent_errors_print_a_line_a_problem() -> None:
    """Each line names argument, value and rule."""
    assert str(ERRORS["intent"]).splitlines() == [
        "role_name='': must have 1 to 64 characters, not 0",
        "tags=None: must be a mapping of strings to strings",
    ]
    assert ERRORS["intent"].applied == ()


def test_conflict_errors_print_everything_in_the_way() -> None:
    """Reason, differences and advice of each conflict, then what had been applied."""
    assert str(ERRORS["conflict"]).splitlines() == [
        "role Agent exists and is not managed:",
        "    path: /team/ -> /",
        "    trust: b -> a",
        "Choose another name.",
        "user Agent has an access key.",
        "Delete the key first.",
        f"Already applied: {CREATED}.",
    ]


def test_request_errors_print_what_failed_and_what_to_do() -> None:
    """Operation, target, code, AWS's words, what is done, and advice."""
    assert str(ERRORS["request"]) == (
        "AttachRolePolicy failed for role Agent: AccessDenied: User: caller is not authorized. "
        f"Already applied: {CREATED}. "
        "Allow the caller iam:AttachRolePolicy, then call again."
    )


def test_observe_errors_print_like_any_request() -> None:
    """A read that fails names what was read."""
    text = str(ERRORS["observe"])
    assert text.startswith("GetRole failed for role Agent: AccessDenied")
    assert f"Already applied: {CREATED}." in text
    assert text.endswith("Allow the caller iam:GetRole, then call again.")


def test_apply_errors_print_what_is_done_and_what_is_not() -> None:
    """Between the failure and the advice stand the changes that were and were not made."""
    assert str(ERRORS["apply"]) == (
        "AttachRolePolicy failed for role Agent after 3 attempts in 4.3 s: "
        "AccessDenied: User: caller is not authorized. "
        f"Already applied: {CREATED}. Not applied: {ATTACHED}. "
        "Allow the caller iam:AttachRolePolicy, then call again."
    )


def test_propagation_timeouts_print_what_is_missing() -> None:
    """What is not visible, how often and how long it was looked for, and that nothing is lost."""
    text = str(ERRORS["propagation"])
    assert "after 7 looks in 60.0 s" in text
    assert f"Not visible yet: {ATTACHED}." in text
    assert text.endswith("call again to go on waiting, or give it more time.")


@pytest.mark.parametrize("kind", [name for name in ERRORS if name != "intent"])
def test_what_had_been_applied_is_in_the_text(kind: str) -> None:
    """Every error after the first write names what was done; without any it says nothing."""
    error = ERRORS[kind]
    assert f"applied: {CREATED}" in str(error)
    without = type(error)(**attrs.asdict(error, recurse=False) | {"applied": ()})
    assert CREATED not in str(without)
    assert "Already applied" not in str(without)


def test_errors_print_each_further_refusal_of_a_wave() -> None:
    """The first refusal is what the error is about; the others follow, one line each."""
    assert str(ERRORS["refused"]).splitlines() == [
        str(ApplyError(**TRIED, applied=(CREATE,), remaining=(ATTACH,))),
        r"PutRolePolicy failed for role Agent: LimitExceeded: Too\nlong.",
        "TagRole failed for role Agent: Could not connect.",
    ]
    alone = ObserveError(**DENIED, refusals=REFUSALS[:1])
    assert str(alone) == str(ObserveError(**DENIED))


@pytest.mark.parametrize(
    ("further", "lines", "last"),
    [
        (20, 21, "TagRole failed for role Agent: Could not connect."),
        (21, 22, "... and 1 more"),
        (500, 22, "... and 480 more"),
    ],
)
@pytest.mark.parametrize("kind", ["observe", "refused"])
def test_of_many_refusals_twenty_are_shown(kind: str, further: int, lines: int, last: str) -> None:
    """The text stays short however many requests fail together; the attribute has them all."""
    facts = attrs.asdict(ERRORS[kind], recurse=False)
    refusals = REFUSALS[:1] + REFUSALS[2:] * further
    error = type(ERRORS[kind])(**facts | {"refusals": refusals})
    shown = str(error).splitlines()
    assert (len(shown), shown[-1]) == (lines, last)


def test_of_many_problems_fifty_are_shown() -> None:
    """The rest is counted; at the limit there is no rest."""
    error = IntentError(problems=PROBLEMS[:1] * 53)
    assert str(error).splitlines() == [*[str(PROBLEMS[0])] * 50, "... and 3 more"]
    assert str(IntentError(problems=PROBLEMS[:1] * 50)).splitlines() == [str(PROBLEMS[0])] * 50


def test_request_ids_are_kept() -> None:
    """AWS's id of a request, which its support asks for, is a fact of errors and refusals."""
    assert RequestError(**DENIED).request_id == ""
    assert RequestError(**DENIED, request_id="1f").request_id == "1f"
    assert [each.request_id for each in REFUSALS] == ["", "4c9f", ""]


@pytest.mark.parametrize(
    ("step", "failed", "advice"),
    [
        (
            "AssumeRole",
            "AssumeRole failed: ",
            "Renew or correct the caller's credentials (AssumeRole failed), then call again.",
        ),
        ("", "", "Renew or correct the caller's credentials, then call again."),
    ],
)
def test_credentials_errors_are_about_credentials(step: str, failed: str, advice: str) -> None:
    """The text says that nothing was sent and which step failed, whatever code that step got."""
    error = CredentialsError(**DENIED, step=step, applied=(CREATE,))
    assert error.advice == advice
    assert str(error) == (
        f"AttachRolePolicy was not sent for role Agent: {failed}"
        f"AccessDenied: User: caller is not authorized. Already applied: {CREATED}. {advice}"
    )


@pytest.mark.parametrize("code", [None, "AccessDenied", "Throttling", "NoSuchEntity", "503"])
def test_no_code_turns_credentials_into_something_else(code: str | None) -> None:
    """No code of the failed step leads to advice about the operation that was not sent."""
    error = CredentialsError(**DENIED | {"code": code})
    assert error.advice == "Renew or correct the caller's credentials, then call again."
    assert error.step == ""


def test_propagation_timeouts_name_what_reads_disagree_about() -> None:
    """A conflict that only some reads show is named with its reason, also without any change."""
    assert str(ERRORS["split"]) == (
        "IAM is not consistent yet after 2 looks in 60.0 s. Reads still disagree about: "
        "role Agent (exists and is not managed), user Agent (has an access key). "
        f"Already applied: {CREATED}. Nothing is lost, unless another process has undone it: "
        "call again to go on waiting, or give it more time."
    )
    late = attrs.asdict(ERRORS["split"], recurse=False) | {"missing": (ATTACH,)}
    assert (
        f"Not visible yet: {ATTACHED}. Reads still disagree about: role Agent (exists and"
    ) in str(PropagationTimeoutError(**late))
    assert "disagree" not in str(ERRORS["propagation"])


@pytest.mark.parametrize(
    ("facts", "opening"),
    [
        ({"unknown_to_ec2": ("P",)}, "All changes were applied, but AWS does not show them all"),
        ({"unformed": ("role R",)}, "AWS does not show everything in full"),
        ({"unusable_key": "AKIA"}, "AWS does not accept or show the access key"),
        ({"conflicts": CONFLICTS}, "IAM is not consistent yet"),
        ({}, "IAM's lists did not agree"),
    ],
)
def test_a_timeout_opens_with_what_was_waited_for(facts: dict[str, Any], opening: str) -> None:
    """The first words fit the first of the facts that are there."""
    error = PropagationTimeoutError(missing=(), attempts=2, seconds=1.0, **facts)
    assert str(error).startswith(f"{opening} after 2 looks in 1.0 s.")


def test_store_and_delivery_errors_name_the_store() -> None:
    """Store, what is wrong and what is done; of a key also what became of it."""
    assert str(ERRORS["store"]) == f"file: It is locked: call again. Already applied: {CREATED}."
    assert str(ERRORS["delivery"]) == (
        "The delivery of access key AKIA1 to file failed: No space. Its deletion was not "
        f"confirmed, and its secret is lost: delete it yourself. Already applied: {CREATED}."
    )
    lost = DeliveryError(
        access_key_id=None, fate="in doubt", store="file", reason="no", suspects=(Key("AKIA2"),)
    )
    assert str(lost) == (
        "The delivery of an access key to file failed: no. It may be one of these: AKIA2. "
        "It was not deleted: check what the store holds and which keys are used."
    )


def test_several_changes_are_listed_in_order() -> None:
    """Applied and remaining changes are named one after the other, in their order."""
    error = ApplyError(**DENIED, applied=(CREATE, ATTACH), remaining=(ATTACH, CREATE))
    assert f"Already applied: {CREATED}, {ATTACHED}. " in str(error)
    assert f"Not applied: {ATTACHED}, {CREATED}. " in str(error)


def test_a_first_attempt_is_one_attempt() -> None:
    """Attempts are 1 and seconds 0 unless given, and the words fit the number."""
    user: dict[str, Any] = {"operation": "CreateUser", "target": "user U", "code": None}
    error = ApplyError(**user, reason="no answer", remaining=(CREATE,))
    assert (error.attempts, error.seconds, error.applied) == (1, 0.0, ())
    assert str(error).startswith(
        "CreateUser failed for user U after 1 attempt in 0.0 s: no answer."
    )


def test_one_look_is_one_look() -> None:
    """The words fit the number in a timeout too."""
    error = PropagationTimeoutError(missing=(CREATE,), attempts=1, seconds=1.0)
    assert "after 1 look in 1.0 s" in str(error)


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("Throttling", "Rate exceeded", ": Throttling: Rate exceeded. The"),
        ("Throttling", "Rate exceeded.", ": Throttling: Rate exceeded. The"),
        ("ConcurrentModification", "", ": ConcurrentModification. Another"),
        (None, "Could not connect", ": Could not connect. See"),
        (None, "Could not connect...", ": Could not connect. See"),
    ],
    ids=["no full stop", "full stop", "no words", "no code", "dots"],
)
def test_the_words_of_aws_end_in_one_full_stop(code: str | None, reason: str, words: str) -> None:
    """Whatever AWS says, and if it says nothing, the sentence is whole."""
    error = RequestError(operation="GetRole", target="role R", code=code, reason=reason)
    assert words in str(error)


ADVICE: dict[str | None, str] = {
    None: "See whether credentials and region are right and AWS can be reached, then call again.",
    "AccessDenied": "Allow the caller iam:CreateRole, then call again.",
    "ConcurrentModification": "Another process is changing the same entity; call again later.",
    "DeleteConflict": "Something was attached to it meanwhile: remove that, then call again.",
    "EntityAlreadyExists": "Names are unique whatever their case or path: preview anew.",
    "ExpiredToken": "Renew the caller's credentials, then call again.",
    "InvalidClientTokenId": "The caller's access key is unknown to AWS: use a valid one.",
    "LimitExceeded": "Ask AWS for a higher quota or free some room, then call again.",
    "MalformedPolicyDocument": (
        "IAM refuses the document: if it names a role or user that does not exist, create that "
        "first, then call again."
    ),
    "NoSuchEntity": (
        "Something that the request names does not exist, such as a policy: correct its name or "
        "create it, then call again."
    ),
    **dict.fromkeys(
        [
            *("Throttling", "ThrottlingException", "RequestLimitExceeded"),
            *("TooManyRequestsException", "SlowDown", *sorted(THROTTLED)),
        ],
        "The account's request rate is used up: call again later.",
    ),
    **dict.fromkeys(
        [
            *("InternalFailure", "ServiceFailure", "ServiceUnavailable", "InternalError"),
            *("500", "502", "503", "504", *sorted(FAILING)),
        ],
        "AWS failed: call again later.",
    ),
    **dict.fromkeys(["501", "505"], "The endpoint does not support it: check its URL and region."),
    "SomethingNew": "Check the AWS error above, then call again.",
    "": "Check the AWS error above, then call again.",
}


@pytest.mark.parametrize(("code", "advice"), ADVICE.items())
def test_each_code_has_its_advice(code: str | None, advice: str) -> None:
    """The advice fits AWS's code, is one sentence, and ends the text; braces are just text."""
    error = RequestError(operation="CreateRole", target="role {R}", code=code, reason="{x} {0}")
    assert error.advice == advice
    assert str(error).endswith(f"{{x}} {{0}}. {advice}")


def pickled(protocol: int) -> Callable[[Any], Any]:
    """Send something through a pickle of this protocol."""
    return lambda sent: pickle.loads(pickle.dumps(sent, protocol))  # noqa: S301 - our own


COPIES: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": pickled(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
}


@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_error_travels_with_all_its_facts(
    error: CwAgentIamError, again: Callable[[Any], Any]
) -> None:
    """Pickled or copied, an error has the same class, facts, text and arguments."""
    other = again(error)
    assert type(other) is type(error)
    assert other is not error
    assert attrs.asdict(other, recurse=False) == attrs.asdict(error, recurse=False)
    assert (str(other), repr(other), other.args) == (str(error), repr(error), error.args)


@pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)
def test_an_error_travels_with_its_notes(again: Callable[[Any], Any]) -> None:
    """What callers add with `add_note` is kept, as it is for Python's own errors."""
    error = IntentError(problems=PROBLEMS)
    error.add_note("while planning for eu-west-1")
    assert again(error).__notes__ == ["while planning for eu-west-1"]


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_error_can_be_raised_from_a_cause_and_kept_in_sets(error: CwAgentIamError) -> None:
    """An error behaves like any exception: it has a cause, an identity and a traceback."""
    other = copy.copy(error)
    cause = RuntimeError("AWS's own")
    with pytest.raises(type(error)) as caught:
        raise other from cause
    assert caught.value is other
    assert other.__cause__ is cause
    assert other != error
    assert len({error, other}) == 2


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_facts_are_given_by_keyword(error: CwAgentIamError) -> None:
    """No fact can be mistaken for another, and none can be forgotten."""
    with pytest.raises(TypeError):
        type(error)(*attrs.astuple(error, recurse=False))
    with pytest.raises(TypeError):
        type(error)()


def test_a_problem_shows_its_value_as_python_writes_it() -> None:
    """The value of a problem is its `repr`, with nothing that would break the line."""
    assert Problem.of("path", "/a\n", "rule") == Problem("path", r"'/a\n'", "rule")
    assert str(Problem.of("path", "\0\x1b[31m\ud800", "rule")) == r"path='\x00\x1b[31m\ud800': rule"
    assert str(Problem.of("tags", value=True, rule="rule")) == "tags=True: rule"


def test_a_long_value_is_shortened_in_the_middle() -> None:
    """Begin and end of a long value can be seen."""
    value = Problem.of("role_name", f"begin{'x' * 1000}end", "rule").value
    assert value.startswith("'begin")
    assert value.endswith("end'")
    assert "..." in value
    assert len(value) <= 101


def test_a_value_of_several_lines_is_shown_on_one() -> None:
    """Tables and arrays print on several lines; a problem stays on its own."""
    table = type("Table", (), {"__repr__": lambda _self: "a  b\n1  2\n"})()
    shown = Problem.of("tags", table, "rule").value
    assert shown.isprintable()
    assert "a" in shown
    assert "2" in shown


values = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(min_size=50), inner, max_size=6)
    ),
)


@given(values)
def test_any_value_is_shown_short(value: object) -> None:
    """Whatever its type and size, a value is shown in about 100 characters on one line."""
    shown = Problem.of("argument", value, "rule").value
    assert 0 < len(shown) < 150
    assert shown.isprintable()


@given(st.text())
def test_a_short_string_is_shown_in_full(value: str) -> None:
    """A string whose `repr` fits is shown to the letter."""
    if len(repr(value)) <= 100:
        assert Problem.of("argument", value, "rule").value == repr(value)


def test_the_parts_of_errors_are_values() -> None:
    """The parts are equal by their facts, hashable and picklable."""
    for part in (*PROBLEMS, *CONFLICTS, *REFUSALS, Difference("path", "/", "/team/")):
        again = pickled(pickle.DEFAULT_PROTOCOL)(part)
        assert again == part
        assert hash(again) == hash(part)
        assert str(again) == str(part)


def test_a_denied_change_names_every_action_that_it_takes() -> None:
    """Putting a role into a profile also takes the right to pass it, which AWS's words hide."""
    add = AddRoleToInstanceProfile(name="P", role_name="R")
    error = ApplyError(
        operation=add.operation,
        target=add.target,
        code="AccessDenied",
        reason="not authorized",
        remaining=(add,),
    )
    assert "Allow the caller iam:AddRoleToInstanceProfile and iam:PassRole" in str(error)


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        ({"code": "LimitExceeded", "overtaken": True}, "The profile already holds a role"),
        ({"code": "LimitExceeded"}, "Ask AWS for a higher quota"),
        ({"code": "LimitExceeded", "operation": "CreateAccessKey"}, "can have two access keys"),
        ({"code": "NoSuchEntity", "attempts": 9}, "It is new and not visible yet"),
        ({"code": "NoSuchEntity"}, "does not exist"),
    ],
    ids=["a role inside", "quota", "third key", "not visible yet", "missing"],
)
def test_the_advice_fits_what_happened(facts: dict[str, Any], advice: str) -> None:
    """The same code asks for something else when the change had been overtaken or waited for."""
    assert advice in ApplyError(**DENIED | facts, remaining=(ATTACH,)).advice
