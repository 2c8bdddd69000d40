"""Custody: the effects on key stores, and errors that repeat no words of a store's exceptions."""

from __future__ import annotations

import errno
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import boto3
import pytest
from botocore.exceptions import ProfileNotFound

from cwagent_iam import ParameterStoreSecret, SecretsManagerSecret, SharedCredentialsFile
from cwagent_iam.aws.clients import Clients
from cwagent_iam.aws.secrecy import quiet
from cwagent_iam.errors import StoreError
from cwagent_iam.executor import Executor, custody
from cwagent_iam.key_stores import Advice, NewAccessKey, SecretAccessKey
from cwagent_iam.requests import (
    STORE_CHANGED,
    Deliver,
    Hold,
    Holding,
    Refusal,
    Reply,
    Settle,
    Unsent,
    Verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cwagent_iam.requests import Steps

NAME, OTHER = "AKIA" + 16 * "A", "AKIA" + 16 * "B"
NEW = NewAccessKey(access_key_id=NAME, user_name="U", secret=SecretAccessKey("hush"))
CLIENTS = Clients(boto3.Session("AKIDEXAMPLE", "s", region_name="eu-west-1"))


@attrs.define(eq=False)
class Box:
    """A store of a caller, which cannot be read back.

    Attributes:
        key: The id and the secret that it holds.
        raises: The exceptions that its methods raise, by the name of the method.
        name: Its name.
        called: The names of the methods that were called.
    """

    key: Any = None
    raises: dict[str, BaseException] = attrs.field(factory=dict)
    name: str = "the box"
    called: list[str] = attrs.field(factory=list)

    def _call(self, method: str) -> None:
        self.called.append(method)
        if method in self.raises:
            raise self.raises[method]

    def held(self) -> Any:
        """Return the id."""
        self._call("held")
        return self.key[0] if self.key else None

    def check(self) -> None:
        """Check nothing."""
        self._call("check")

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Store *key*."""
        self._call("write")
        assert replacing == (self.key[0] if self.key else None)
        self.key = (key.access_key_id, key.secret.reveal())

    def __str__(self) -> str:
        """Return the name."""
        self._call("str")
        return self.name


@attrs.define(eq=False)
class OpenBox(Box):
    """A store of a caller, which can be read back, and knows about its readers.

    Attributes:
        advice: The result of `settle`.
    """

    advice: Any = None

    def secret(self) -> Any:
        """Return the secret."""
        self._call("secret")
        return self.key[1] if self.key else None

    def settle(self) -> Any:
        """Return the advice."""
        self._call("settle")
        return self.advice


class Quoting(BaseException):
    """An interrupt that always has words."""

    def __init__(self) -> None:
        """Quote a secret."""
        super().__init__("hush")


class Nameless:
    """A store of a caller without a name of its own."""

    def held(self) -> str | None:
        """Hold nothing."""
        return None

    def check(self) -> None:
        """Check nothing."""

    def write(self, key: NewAccessKey, *, replacing: str | None) -> None:
        """Store nothing."""


class AlsoNameless(Nameless):
    """Another store of a caller without a name of its own."""


CALLS: dict[str, tuple[Callable[[Any], object], str]] = {
    "held": (lambda box: custody.hold(Hold(box), "the box"), "read"),
    "check": (lambda box: custody.hold(Hold(box, check=True), "the box"), "written"),
    "write": (lambda box: custody.deliver(Deliver(box, NEW, None), "the box"), "written"),
    "settle": (lambda box: custody.settle(Settle(box), "the box"), "settled"),
    "secret": (
        lambda box: custody.client_for(Verify(store=box, access_key_id=NAME), CLIENTS, "the box"),
        "read",
    ),
    "str": (lambda box: custody.hold(Hold(box), ""), "named"),
}


def run(executor: Executor, effect: Any) -> Any:
    """Return the result of *effect*."""

    def steps() -> Steps[Any]:
        return (yield effect)

    return executor.run(steps())


class TestErrors:
    """Exceptions of stores."""

    @pytest.mark.parametrize("method", CALLS)
    @pytest.mark.parametrize(
        ("error", "shown"),
        [
            (ValueError("hush"), "ValueError"),
            (OSError(errno.ENOSPC, "hush"), "OSError ENOSPC"),
            (PermissionError(errno.EACCES, "hush"), "PermissionError EACCES"),
            (OSError("hush"), "OSError"),
            (OSError(99999, "hush"), "OSError"),
            (OSError([1], "hush"), "OSError"),
            (StoreError(store="hush", problem="hush"), "StoreError"),
        ],
    )
    def test_place(self, method: str, error: Exception, shown: str) -> None:
        """An error tells the type, the errno name and the line of an exception, but no words."""
        call, verb = CALLS[method]
        with pytest.raises(StoreError) as caught:
            call(OpenBox(raises={method: error}))
        line = Box._call.__code__.co_firstlineno + 3  # noqa: SLF001
        name = "OpenBox" if method == "str" else "the box"
        place = f"{shown} in {__file__}, line {line}"
        assert str(caught.value) == f"{name}: it cannot be {verb} ({place})"
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)

    @pytest.mark.parametrize("method", CALLS)
    @pytest.mark.parametrize(
        ("error", "raised"),
        [
            (ValueError("hush"), StoreError),
            (ExceptionGroup("hush", [ValueError("hush")]), StoreError),
            (KeyboardInterrupt("hush"), KeyboardInterrupt()),
            (GeneratorExit("hush"), GeneratorExit()),
            (Quoting(), Quoting),
            (SystemExit(3), SystemExit(3)),
            (SystemExit("hush"), SystemExit(1)),
            (BaseExceptionGroup("hush", [KeyboardInterrupt("hush")]), KeyboardInterrupt()),
        ],
    )
    def test_frames(self, method: str, error: BaseException, raised: Any) -> None:
        """What is raised has no words and no frames of the store, whatever the store raises."""
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - of each kind
            CALLS[method][0](OpenBox(raises={method: error}))
        kind = raised if isinstance(raised, type) else type(raised)
        assert type(caught.value) is kind
        assert "hush" not in "".join(traceback.format_exception(caught.value))
        assert isinstance(raised, type) or caught.value.args == raised.args
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert "_call" not in {frame.name for frame in frames}

    def test_own_stores(self, tmp_path: Path) -> None:
        """Errors of this library's stores keep their words."""
        store = SharedCredentialsFile(tmp_path / "absent" / "credentials")
        with pytest.raises(StoreError, match="its folder cannot be used") as caught:
            custody.hold(Hold(store, check=True), "")
        assert caught.value.store == str(store.path)

    def test_other_errors_of_own_stores(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Other exceptions of this library's stores are told by type and line too."""

        def fail(_store: object) -> None:
            raise PermissionError(errno.EACCES, "hush")

        monkeypatch.setattr(SharedCredentialsFile, "held", fail)
        with pytest.raises(StoreError) as caught:
            custody.hold(Hold(SharedCredentialsFile(tmp_path / "credentials")), "")
        assert "(PermissionError EACCES in " in str(caught.value)
        assert "hush" not in str(caught.value)

    def test_subclasses_of_own_stores(self, tmp_path: Path) -> None:
        """A caller's subclass of a store of this library counts as the caller's store."""

        class Mine(SharedCredentialsFile):
            def check(self) -> None:
                raise StoreError(store="hush", problem="hush")

        with pytest.raises(StoreError) as caught:
            custody.hold(Hold(Mine(tmp_path / "credentials"), check=True), "")
        assert "it cannot be written (StoreError in " in str(caught.value)
        assert "hush" not in str(caught.value)


class TestHold:
    """The id that a store holds."""

    @pytest.mark.parametrize("held", [None, NAME, 16 * "A", 128 * "0"])
    def test_held(self, held: str | None) -> None:
        """The answer has the id, the name of the store, and whether it can be read back."""
        for kind, readable in ((Box, False), (OpenBox, True)):
            box = kind((held, "hush") if held else None)
            holding = custody.hold(Hold(box), "")
            assert holding == Holding(
                access_key_id=held,
                name="the box",
                fingerprint=holding.fingerprint,
                readable=readable,
            )

    @pytest.mark.parametrize(
        "held",
        [
            *("", "AKIA", "PLACEHOLDER", NAME.lower(), f"{NAME}\n", f" {NAME}", 129 * "A"),
            *("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 7, NAME.encode(), True),
        ],
    )
    def test_odd_id(self, held: Any) -> None:
        """Something that does not look like the id of a key is refused, and is not quoted."""
        with pytest.raises(StoreError) as caught:
            custody.hold(Hold(Box((held, "hush"))), "")
        problem = "it holds something other than the id of an access key: empty it, or name another"
        assert str(caught.value) == f"the box: {problem}"

    @pytest.mark.parametrize("check", [True, False])
    def test_check(self, check: bool) -> None:  # noqa: FBT001
        """A store is asked whether it can be written only on demand."""
        box = Box()
        custody.hold(Hold(box, check=check), "")
        assert ("check" in box.called) is check

    def test_name(self) -> None:
        """A store whose name is known is not asked for it again."""
        box = Box(raises={"str": ValueError("hush")})
        assert custody.hold(Hold(box), "the box").name == "the box"
        assert "str" not in box.called


class TestFingerprints:
    """Hashes that tell stores apart."""

    @staticmethod
    def of(store: Any) -> str:
        """Return the fingerprint of *store*."""
        return custody.hold(Hold(store), "").fingerprint

    def test_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two objects for one store have the same fingerprint, whatever they hold."""
        monkeypatch.chdir(tmp_path)
        store = SharedCredentialsFile(tmp_path / "credentials")
        before = self.of(store)
        store.write(NEW, replacing=None)
        again = SharedCredentialsFile("credentials", region="eu-west-1")
        assert before == self.of(store) == self.of(again)
        assert len(before) == 16

    def test_different(
        self, tmp_path: Path, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stores differ by type, path, profile, host, service, Region and name."""
        path = tmp_path / "credentials"
        region = boto3.Session(region_name="eu-north-1")
        stores = [
            *(SharedCredentialsFile(path), SharedCredentialsFile(tmp_path / "other")),
            SharedCredentialsFile(path, profile="Other"),
            *(ParameterStoreSecret("/n", session=each) for each in (session, region)),
            *(SecretsManagerSecret("/n", session=each) for each in (session, region)),
            *(ParameterStoreSecret("/m", session=session), Box(), Box(name="another box")),
            *(Nameless(), AlsoNameless()),
        ]
        found = {self.of(store) for store in stores}
        monkeypatch.setattr("platform.node", lambda: "another host")
        assert len({*found, self.of(stores[0])}) == len(stores) + 1

    def test_name(self) -> None:
        """A caller's store is told by its name."""
        assert self.of(Box()) == self.of(OpenBox((NAME, "hush")))

    def test_no_name(self) -> None:
        """A store without a name of its own is told by its type, not by its address."""
        assert self.of(Nameless()) == self.of(Nameless())

    def test_identity(self) -> None:
        """An identity comes before the name."""

        @attrs.define(eq=False)
        class Box2(Box):
            identity: str = "place 7"

        assert self.of(Box2(name="here")) == self.of(Box2(name="there"))
        assert self.of(Box2(identity="place 8")) != self.of(Box2())


class TestSettle:
    """Advice about the programs that read a store."""

    ADVICE = Advice("Restart it.", rereads=False, redirected=True)

    @pytest.mark.parametrize(
        ("told", "advice"),
        [
            (ADVICE, ADVICE),
            ("Restart it.", Advice("Restart it.")),
            ("", Advice()),
            (None, Advice()),
        ],
    )
    def test_advice(self, told: Any, advice: Advice) -> None:
        """Advice is returned unaltered; a text becomes advice, and nothing is no advice."""
        assert custody.settle(Settle(OpenBox(advice=told)), "the box") == advice

    def test_no_such_method(self) -> None:
        """A store without `settle` gives no advice."""
        assert custody.settle(Settle(Box()), "the box") == Advice()


def verify(store: Any, clients: Clients = CLIENTS, key: NewAccessKey | None = None) -> Any:
    """Return the client that verifies the key *NAME* in *store*, or a refusal."""
    effect = Verify(store=store, access_key_id=NAME, key=key)
    return custody.client_for(effect, clients, "the box")


def credentials_of(client: Any) -> tuple[str, str]:
    """Return the id and the secret that *client* signs with."""
    found = client._request_signer._credentials  # noqa: SLF001
    return found.access_key, found.secret_key


class TestClient:
    """Clients that sign with the key in a store."""

    @pytest.mark.parametrize("secret", ["hush", SecretAccessKey("hush")])
    def test_read_back(self, secret: Any) -> None:
        """The client signs with the id and the secret that the store holds, as text or sealed."""
        box = OpenBox((NAME, secret))
        assert credentials_of(verify(box)) == (NAME, "hush")

    def test_read_back_again(self) -> None:
        """A store that can be read back is read, also if the key itself is known."""
        other = attrs.evolve(NEW, secret=SecretAccessKey("other"))
        assert credentials_of(verify(OpenBox((NAME, "hush")), key=other)) == (NAME, "hush")

    def test_key(self) -> None:
        """For a store that cannot be read back, the client signs with the key itself."""
        box = Box((NAME, "other"))
        assert credentials_of(verify(box, key=NEW)) == (NAME, "hush")
        assert box.called == []

    def test_attribute(self) -> None:
        """A store with an attribute ``secret``, such as a name, cannot be read back."""

        class Named(Box):
            secret = "the name of a secret"  # noqa: S105

        box = Named((NAME, "other"))
        assert not custody.hold(Hold(box), "the box").readable
        assert credentials_of(verify(box, key=NEW)) == (NAME, "hush")

    def test_property(self) -> None:
        """A property ``secret`` that raises is an error without its words."""

        class Raising(Box):
            @property
            def secret(self) -> str:
                raise ValueError("hush")  # noqa: EM101

        with pytest.raises(StoreError, match="the box: it cannot be read") as caught:
            custody.hold(Hold(Raising((NAME, "x"))), "the box")
        assert "hush" not in "".join(traceback.format_exception(caught.value))

    def test_emptied(self) -> None:
        """A store that holds the object itself has no secret when the call has emptied that."""
        outcome = verify(OpenBox((NAME, NEW.secret)), key=NEW)
        assert "the object that it was given" in outcome.message

    @pytest.mark.parametrize("held", [None, (OTHER, "other")])
    def test_changed(self, held: Any) -> None:
        """If the store holds another key by now, the outcome has a code of its own."""
        outcome = verify(OpenBox(held), key=NEW)
        assert (type(outcome), outcome.code) == (Refusal, STORE_CHANGED)

    def test_changed_meanwhile(self) -> None:
        """A key that is replaced between two reads is not taken for the one that is expected."""

        class Swapped(OpenBox):
            def secret(self) -> Any:
                found = super().secret()
                self.key = (OTHER, "other")
                return found

        assert verify(Swapped((NAME, "hush"))).code == STORE_CHANGED

    @pytest.mark.parametrize(
        "store",
        [
            *(
                OpenBox((NAME, each))
                for each in ("", None, b"hush", 7, "hush\n", "h\xfcsh", "h sh")
            ),
            Box((NAME, "x")),
        ],
    )
    def test_no_secret(self, store: Any) -> None:
        """No client is built without a text that can be a secret: errors would quote it."""
        outcome = verify(store)
        assert outcome == Refusal(code=None, message="the store holds no secret")

    @pytest.mark.parametrize("secret", [NEW.secret, "hush"])
    def test_not_built(self, secret: Any) -> None:
        """A client that cannot be built is a request that was not sent; its error has no frames."""

        class Broken:
            def client(self, *_args: object, **_options: object) -> Any:
                raise ProfileNotFound(profile="p")

        session: Any = Broken()
        outcome = verify(OpenBox((NAME, secret)), Clients(session))
        assert isinstance(outcome, Unsent)
        assert outcome.error
        assert outcome.error.__traceback__ is None
        assert "hush" not in outcome.message

    def test_handed_in(self, session: boto3.Session) -> None:
        """A client for STS that is handed in decides where a key is verified."""
        url = "http://localhost:4566"
        meta = SimpleNamespace(region_name="eu-south-2", endpoint_url=url, partition="aws")
        mock = SimpleNamespace(meta=meta, get_caller_identity=dict)
        client = verify(OpenBox((NAME, "hush")), Clients(session, sts=mock))
        assert (client.meta.region_name, client.meta.endpoint_url) == ("eu-south-2", url)

    def test_forget(self) -> None:
        """A client that has done its work does not hold the secret any more."""
        client = verify(OpenBox((NAME, "hush")))
        custody.forget(client)
        assert credentials_of(client) == (NAME, "")


@pytest.fixture
def executor(session: boto3.Session) -> Executor:
    """Return the executor of a call."""
    return Executor.of(session)


@pytest.fixture
def key(iam: Any) -> tuple[str, str]:
    """Return the id and the secret of an access key of a user."""
    iam.create_user(UserName="U")
    made = quiet(iam.create_access_key)(UserName="U")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


class TestEffects:
    """Effects of generators."""

    def test_store(self, executor: Executor) -> None:
        """A call holds, delivers and settles through the driver."""
        box = OpenBox(advice="Restart it.")

        def steps() -> Steps[Any]:
            before = yield Hold(box, check=True)
            delivered = yield Deliver(box, NEW, before.access_key_id)
            after = yield Hold(box)
            return before.access_key_id, delivered, after.access_key_id, (yield Settle(box))

        assert executor.run(steps()) == (None, None, NAME, Advice("Restart it."))

    def test_name(self, executor: Executor) -> None:
        """Errors use the name that the store had first: it could name itself by its secret."""
        box = Box()

        def steps() -> Steps[Any]:
            yield Hold(box)
            yield Deliver(box, NEW, None)
            box.name, box.raises["held"] = "hush", ValueError("hush")
            yield Hold(box)

        with pytest.raises(StoreError, match=r"^the box: it cannot be read \(ValueError in "):
            executor.run(steps())

    @pytest.mark.parametrize("method", ["held", "check", "write", "settle", "secret"])
    def test_errors(self, executor: Executor, method: str) -> None:
        """The error of a store is thrown into the generator, which may continue."""
        box = OpenBox((NAME, "hush"), raises={method: ValueError("hush")})
        effects: dict[str, Any] = {
            "held": Hold(box),
            "check": Hold(box, check=True),
            "write": Deliver(box, NEW, NAME),
            "settle": Settle(box),
            "secret": Verify(store=box, access_key_id=NAME),
        }

        def steps() -> Steps[str]:
            try:
                yield effects[method]
            except StoreError as error:
                return error.problem
            return ""

        assert executor.run(steps()).startswith("it cannot be ")

    @pytest.mark.parametrize("copies", [1, 3])
    def test_verify(self, executor: Executor, key: tuple[str, str], copies: int) -> None:
        """STS is asked as often as demanded, with the key in the store."""
        effect = Verify(store=OpenBox(key), access_key_id=key[0], copies=copies)
        outcomes = run(executor, effect)
        assert [type(each) for each in outcomes] == [Reply] * copies
        assert {each.content["Arn"].split("/")[1] for each in outcomes} == {"U"}

    def test_verify_a_wrong_secret(self, executor: Executor, key: tuple[str, str]) -> None:
        """A wrong secret is a refusal of STS."""
        effect = Verify(store=OpenBox((key[0], "wrong")), access_key_id=key[0])
        (outcome,) = run(executor, effect)
        assert isinstance(outcome, Refusal)
        assert outcome.code == "SignatureDoesNotMatch"

    def test_verify_a_changed_store(self, executor: Executor) -> None:
        """If the store has changed, there is one outcome, and no request is sent."""
        effect = Verify(store=OpenBox((OTHER, "other")), access_key_id=NAME, copies=3)
        (outcome,) = run(executor, effect)
        assert outcome.code == STORE_CHANGED

    def test_region(self, session: boto3.Session, executor: Executor, key: tuple[str, str]) -> None:
        """STS is asked in the Region that the effect names, or that of the session."""
        hosts: list[str] = []

        def note(request: Any, **_event: object) -> None:
            hosts.append(request.url)

        session.events.register("before-send.sts", note)
        for region in ("eu-north-1", ""):
            run(executor, Verify(store=OpenBox(key), access_key_id=key[0], region=region))
        assert hosts == [
            f"https://sts.{region}.amazonaws.com/" for region in ("eu-north-1", "us-east-1")
        ]

    @pytest.mark.parametrize("interrupt", [None, KeyboardInterrupt()])
    def test_forgets(
        self,
        session: boto3.Session,
        key: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
        interrupt: BaseException | None,
    ) -> None:
        """After a verification, and after its interrupt, the client does not hold the secret."""
        built: list[Any] = []
        build: Any = session.client

        def client(service: str, **options: Any) -> Any:
            built.append(build(service, **options))
            return built[-1]

        def stop(**_event: object) -> None:
            if interrupt:
                raise interrupt

        session.events.register("before-call.sts", stop)
        monkeypatch.setattr(session, "client", client)
        effect = Verify(store=OpenBox(key), access_key_id=key[0])

        def steps() -> Steps[Any]:
            try:
                yield effect
            except KeyboardInterrupt as caught:
                return caught
            return None

        assert Executor.of(session).run(steps()) is interrupt
        assert [credentials_of(each) for each in built] == [(key[0], "")]

    def test_log(
        self, executor: Executor, key: tuple[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """No log record shows the secret of a key that is delivered and verified."""
        box = OpenBox(key)
        new = attrs.evolve(NEW, secret=SecretAccessKey("hush-hush"))
        with caplog.at_level(1):
            run(executor, Verify(store=box, access_key_id=key[0]))
            run(executor, Deliver(box, new, key[0]))
        told = [f"{each.getMessage()} {each.args!r}" for each in caplog.records]
        assert any("GetCallerIdentity" in each for each in told)
        assert not any(secret in each for secret in (key[1], "hush-hush") for each in told)
