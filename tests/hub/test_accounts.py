from __future__ import annotations

import pytest
from sqlalchemy import select

from gateway.core.errors import InputError
from gateway.hub.access import passwords
from gateway.hub.access.accounts import FAILURES_FREE, REST_FIRST_MS, REST_MAX_MS, Accounts, LoginRefusedError
from gateway.hub.access.api_tokens import DAY_MS, ApiTokens
from gateway.hub.access.roles import EXPLAINED, RIGHTS, Right, Role, rights_of, roles_with
from gateway.hub.access.sessions import IDLE_MS, LONGEST_MS, SESSIONS_MAX, Sessions
from gateway.hub.database.schema import audit, sessions, users
from gateway.hub.database.store import Store
from tests.hub.vans import sqlite_only

PASSWORD = "ni rolige elger"


class Hours:
    """Real time, as far as these tests are concerned."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time: their strength is the library's, and is not tried here."""
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=1, memory_cost=64))


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def accounts(store: Store, hours: Hours) -> Accounts:
    made = Accounts(store, lambda: 5, hours)
    made.add("kari", "Kari Nordmann", [Role.RECEIVER, Role.QUALITY], "setup", password=PASSWORD)
    return made


@pytest.fixture
def opened(store: Store, hours: Hours, accounts: Accounts) -> Sessions:
    del accounts
    return Sessions(store, b"secret", hours)


@pytest.fixture
def tokens(store: Store, hours: Hours, accounts: Accounts) -> ApiTokens:
    del accounts
    return ApiTokens(store, lambda: 5, hours)


def test_every_right_is_explained_and_held_by_somebody() -> None:
    assert set(EXPLAINED) == set(Right)
    assert set(RIGHTS) == set(Role)
    assert all(roles_with(right) for right in Right)


def test_a_name_and_its_password_are_somebody(accounts: Accounts) -> None:
    found = accounts.check("kari", PASSWORD)
    assert (found.printed_name, found.roles) == ("Kari Nordmann", {Role.RECEIVER, Role.QUALITY})


@pytest.mark.parametrize(("name", "password"), [("kari", "ni rolige elge"), ("per", PASSWORD), ("kari", "x" * 5000)])
def test_a_wrong_name_and_a_wrong_password_are_refused_alike(accounts: Accounts, name: str, password: str) -> None:
    with pytest.raises(LoginRefusedError) as refused:
        accounts.check(name, password)
    assert str(refused.value) == ""


@sqlite_only
@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": ""}),
        ("name", {"name": " ola"}),
        ("name", {"name": "kari"}),
        ("printed_name", {"printed_name": "Ola 13097248022"}),
        ("roles", {"roles": []}),
        ("password", {"password": "kort"}),
        ("password", {"password": "ola-nordmann-1"}),
        ("password", {"password": "123456789012"}),
        ("password", {"password": "aaaaaaaaaaaaaab"}),
        ("password", {"password": "qwertyuiopåasd"}),
        ("password", {"password": ""}),
    ],
)
def test_what_cannot_be_an_account_names_the_field(accounts: Accounts, field: str, changes: dict[str, object]) -> None:
    given = {"name": "ola", "printed_name": "Ola", "roles": [Role.NURSE], "password": PASSWORD, **changes}
    with pytest.raises(InputError) as refused:
        accounts.add(who="test", **given)  # type: ignore[arg-type]  wrong on purpose
    assert refused.value.field == field
    assert accounts.account("ola") is None


def test_no_password_is_stored_or_written_down(store: Store, accounts: Accounts) -> None:
    accounts.set_password("kari", PASSWORD + "!", "kari")
    with store.read() as connection:
        rows = [*connection.execute(select(users)), *connection.execute(select(audit))]
    assert PASSWORD not in repr(rows)


def test_an_account_rests_after_wrong_passwords_and_longer_each_time(accounts: Accounts, hours: Hours) -> None:
    def fail() -> int:
        with pytest.raises(LoginRefusedError):
            accounts.check("kari", "feil passord her")
        found = accounts.account("kari")
        assert found is not None
        return 0 if found.rests_until_ms is None else found.rests_until_ms - hours.ms

    assert [fail() for _ in range(FAILURES_FREE)] == [0] * (FAILURES_FREE - 1) + [REST_FIRST_MS]
    with pytest.raises(LoginRefusedError):  # the right one does not help meanwhile
        accounts.check("kari", PASSWORD)
    hours.ms += REST_FIRST_MS
    assert fail() == 2 * REST_FIRST_MS
    for _ in range(8):
        hours.ms += REST_MAX_MS
        last = fail()
    assert last == REST_MAX_MS
    hours.ms += REST_MAX_MS
    accounts.check("kari", PASSWORD)
    assert fail() == 0  # it begins anew


def test_a_disabled_account_lets_nobody_in(accounts: Accounts, opened: Sessions, tokens: ApiTokens) -> None:
    session = opened.open(accounts.check("kari", PASSWORD))
    _, token = tokens.make("kari", "script", [Right.LOOK_UP], 30, "kari")
    accounts.disable("kari", "admin", "has left")
    with pytest.raises(LoginRefusedError):
        accounts.check("kari", PASSWORD)
    assert opened.find(session.secret) is None
    assert tokens.find(token) is None
    accounts.enable("kari", "admin")
    assert accounts.check("kari", PASSWORD).disabled_at_ms is None
    assert opened.find(session.secret) is None


def test_a_new_password_ends_what_the_old_one_opened(accounts: Accounts, opened: Sessions) -> None:
    session = opened.open(accounts.check("kari", PASSWORD))
    accounts.set_password("kari", "et helt nytt passord", "kari")
    assert opened.find(session.secret) is None
    with pytest.raises(LoginRefusedError):
        accounts.check("kari", PASSWORD)


def test_a_changed_role_counts_at_once(accounts: Accounts, opened: Sessions, tokens: ApiTokens) -> None:
    session = opened.open(accounts.check("kari", PASSWORD))
    _, token = tokens.make("kari", "script", [Right.RECEIVE, Right.LOOK_UP], 30, "kari")
    accounts.change("kari", "admin", roles=[Role.NURSE])
    now, program = opened.find(session.secret), tokens.find(token)
    assert now is not None
    assert now.rights == rights_of([Role.NURSE])
    assert program is not None
    assert program.rights == {Right.LOOK_UP}


def test_a_session_ends_unused_or_after_a_shift(accounts: Accounts, opened: Sessions, hours: Hours) -> None:
    account = accounts.check("kari", PASSWORD)
    unused, used = opened.open(account), opened.open(account)
    start = hours.ms
    while hours.ms + IDLE_MS // 2 < start + LONGEST_MS:
        hours.ms += IDLE_MS // 2
        assert opened.find(used.secret) is not None
    assert opened.find(unused.secret) is None
    hours.ms = start + LONGEST_MS
    assert opened.find(used.secret) is None


def test_an_account_has_so_many_sessions(accounts: Accounts, opened: Sessions, hours: Hours, store: Store) -> None:
    account = accounts.check("kari", PASSWORD)
    made = []
    for _ in range(SESSIONS_MAX + 3):
        hours.ms += 1
        made.append(opened.open(account).secret)
    assert [opened.find(secret) is None for secret in made] == [True] * 3 + [False] * SESSIONS_MAX
    opened.end(made[-1])
    assert opened.find(made[-1]) is None
    with store.read() as connection:
        assert made[-2] not in repr(connection.execute(select(sessions)).all())


def test_forms_of_another_session_are_not_this_ones(accounts: Accounts, opened: Sessions) -> None:
    account = accounts.check("kari", PASSWORD)
    mine, other = opened.open(account), opened.open(account)
    assert opened.is_csrf(mine.caller.csrf, mine.secret)
    assert not opened.is_csrf(other.caller.csrf, mine.secret)
    assert not opened.is_csrf("é", mine.secret)


def test_a_token_has_a_part_of_the_rights_for_a_time(tokens: ApiTokens, hours: Hours) -> None:
    token, text = tokens.make("kari", "laboratory system", [Right.LOOK_UP], 30, "kari")
    found = tokens.find(text)
    assert found is not None
    assert (found.name, found.rights) == ("kari", {Right.LOOK_UP})
    assert tokens.find(text + "x") is None
    hours.ms += 30 * DAY_MS
    assert tokens.find(text) is None
    assert text not in repr(token)


def test_a_revoked_token_is_nobody(tokens: ApiTokens) -> None:
    token, text = tokens.make("kari", "script", [Right.LOOK_UP], 30, "kari")
    with pytest.raises(InputError):
        tokens.revoke(token.id, "per", of="per")
    assert tokens.find(text) is not None
    first = tokens.revoke(token.id, "kari", of="kari")
    assert tokens.revoke(token.id, "kari") == first
    assert tokens.find(text) is None


@sqlite_only
@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("label", {"label": ""}),
        ("label", {"label": "for 13097248022"}),
        ("days", {"days": 0}),
        ("days", {"days": 367}),
        ("rights", {"rights": []}),
        ("rights", {"rights": [Right.MANAGE_USERS]}),
        ("account", {"account": "per"}),
    ],
)
def test_what_cannot_be_a_token_names_the_field(tokens: ApiTokens, field: str, changes: dict[str, object]) -> None:
    given = {"account": "kari", "label": "script", "rights": [Right.LOOK_UP], "days": 30, **changes}
    with pytest.raises(InputError) as refused:
        tokens.make(who="test", **given)  # type: ignore[arg-type]  wrong on purpose
    assert refused.value.field == field
    assert tokens.tokens() == []


def test_hashes_of_older_parameters_are_made_anew(
    store: Store, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    stronger = passwords.PasswordHasher(time_cost=2, memory_cost=64)
    monkeypatch.setattr(passwords, "_hasher", stronger)
    accounts.check("kari", PASSWORD)
    with store.read() as connection:
        stored = connection.execute(select(users.c.password_hash)).scalar_one()
    assert not passwords.is_outdated(stored)
    assert accounts.check("kari", PASSWORD).name == "kari"
