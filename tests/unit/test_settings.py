"""Settings: where they come from, what is refused and how that is said, and that no password is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from likes.config.settings import Settings, unknown_variables
from likes.errors import SettingsError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working folder without `.env`, an environment without settings of ours."""
    for name in [name for name in os.environ if name.upper().startswith("LIKES_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)


def complaints(**flags: object) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        Settings.load(**flags)
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    "line", ["LIKES_REDIS_URL redis://:s3cret@127.0.0.1", "LIKES_REDIS_URL", "export LIKES_SHARDS 4"]
)
def test_a_line_of_the_file_that_says_nothing_is_refused(line: str) -> None:
    Path(".env").write_text(f"# LIKES_SHARDS\nOTHER line\nLIKES_INTERVAL=5\n{line}\n")
    with pytest.raises(SettingsError, match=r"line 4: LIKES_\w+ has no value") as refused:
        Settings.load()
    assert "s3cret" not in str(refused.value)


def test_defaults() -> None:
    settings = Settings.load()
    assert (settings.redis_url, settings.redis_name, settings.database_url) == (None, None, None)
    assert (settings.prefix, settings.shards, settings.interval) == ("likes", 16, 300)
    assert (settings.batch_items, settings.flush_threads, settings.durability) == (250, 2, "none")
    assert (settings.lease_seconds, settings.redis_timeout) == (30, 5)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("LIKES_SHARDS=2\nLIKES_INTERVAL=0.5\nLIKES_PREFIX=file\nOTHER=1\n")
    monkeypatch.setenv("LIKES_INTERVAL", "7")
    monkeypatch.setenv("LIKES_PREFIX", "environment")
    settings = Settings.load(prefix="flag", shards=None)
    assert (settings.shards, settings.interval, settings.prefix) == (2, 7, "flag")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKES_REDIS_URL", "")
    assert Settings.load().redis_url is None


def test_every_wrong_setting_is_named_with_its_value_and_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKES_SHARDS", "many")
    monkeypatch.setenv("LIKES_LOG_FORMAT", "xml")
    assert complaints(interval="0") == [
        "LIKES_SHARDS is 'many'; allowed: whole numbers, 1 to 1024",
        "LIKES_INTERVAL is '0'; allowed: 0.001 to 86400 seconds",
        "LIKES_LOG_FORMAT is 'xml'; allowed: text or json",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shards", "0"),
        ("shards", "1.5"),
        ("shards", "9" * 5000),
        ("batch_items", "5001"),
        ("flush_at_items", "-1"),
        ("flush_threads", "33"),
        ("interval", "nan"),
        ("redis_timeout", "inf"),
        ("lease_seconds", "-1"),
        ("database_timeout", "soon"),
        ("ledger_retention_days", "-1"),
        ("prefix", "a{b}"),
        ("prefix", "a" * 65),
        ("prefix", "likes\n"),
        ("redis_name", "a\nb"),
        ("durability", "most"),
        ("data_dir", "/tmp/\udcff"),
    ],
)
def test_a_value_that_is_refused(name: str, value: str) -> None:
    (complaint,) = complaints(**{name: value})
    assert complaint.startswith(f"LIKES_{name.upper()} is '")
    assert "; allowed: " in complaint
    assert len(complaint) < 200


@pytest.mark.parametrize("durability", ["none", "aof", "replicas:1", "replicas:99"])
def test_what_a_batch_may_wait_for(durability: str) -> None:
    assert Settings.load(durability=durability).durability == durability


@pytest.mark.parametrize("durability", ["replicas", "replicas:0", "replicas:100", "replicas:01", "aof:1", "aof\n"])
def test_what_no_batch_waits_for(durability: str) -> None:
    (complaint,) = complaints(durability=durability)
    assert complaint.endswith("; allowed: none, aof or replicas:N (1 to 99)")


def test_no_password_is_shown() -> None:
    settings = Settings.load(redis_url="redis://me:secret@host/0", database_url="postgresql://me:secret@host/likes")
    assert settings.redis_url
    assert settings.redis_url.get_secret_value() == "redis://me:secret@host/0"
    assert settings.shown()["LIKES_REDIS_URL"] == "redis://me:***@host/0"
    assert settings.shown()["LIKES_DATABASE_URL"] == "postgresql://me:***@host/likes"
    assert "secret" not in f"{settings!r} {settings}"
    wrong = complaints(redis_url="redis://me:sec/ret@host", database_url="oracle://me:secret@host/likes")
    assert [line.split(";")[0] for line in wrong] == [
        "LIKES_REDIS_URL is 'redis://me:***@host'",
        "LIKES_DATABASE_URL is 'oracle://me:***@host/likes'",
    ]
    assert "sec" not in "".join(wrong)


def test_a_flag_that_is_no_setting() -> None:
    assert complaints(shard=3) == ["no such setting: shard"]


def test_a_file_that_is_no_text() -> None:
    Path(".env").write_bytes(b"LIKES_PREFIX=\xff\n")
    (complaint,) = complaints()
    assert ".env cannot be read" in complaint


def test_variables_that_are_no_settings_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("LIKES_SHARD=2\nLIKES_SHARDS=2\nOTHER=1\n")
    monkeypatch.setenv("LIKES_INTERVALL", "7")
    assert unknown_variables() == ["LIKES_INTERVALL", "LIKES_SHARD"]


def test_where_the_data_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Settings.load().data_dir == Path("/home/me/.local/share/likes")
    assert Settings.load(data_dir="~/likes").data_dir == Path("/home/me/likes")
    assert Settings.load(data_dir="here").data_dir == tmp_path / "here"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert Settings.load().data_dir == Path("/home/me/.local/share/likes")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert Settings.load().data_dir == Path("/data/likes")
