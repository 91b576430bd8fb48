"""The dates of git_log: read one way, or refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from omnimind.servers.git import configfile, dates
from omnimind.servers.git.quoting import quoted
from omnimind.servers.problem import Problem

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2024, 3, 31, 12, 30, 15, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-15", "2024-01-15T00:00:00+02:00"),
        ("2024/01/15", "2024-01-15T00:00:00+02:00"),
        ("2024-01-15T14:30:25", "2024-01-15T14:30:25+02:00"),
        ("2024-01-15 14:30:25 +0530", "2024-01-15T14:30:25+05:30"),
        ("2024-01-15T14:30:25Z", "2024-01-15T14:30:25+00:00"),
        ("Jan 15 2024", "2024-01-15T00:00:00+02:00"),
        ("15th January, 2024 10:05", "2024-01-15T10:05:00+02:00"),
        ("Mon, 15 Jan 2024 10:00:00 -0500", "2024-01-15T10:00:00-05:00"),
        ("2 weeks ago", "2024-03-17T12:30:15+02:00"),
        ("1.month.ago", "2024-02-29T12:30:15+02:00"),
        ("a year ago", "2023-03-31T12:30:15+02:00"),
        ("yesterday", "2024-03-30T12:30:15+02:00"),
        ("noon", "2024-03-31T12:00:00+02:00"),
        ("@1700000000", "2023-11-15T00:13:20+02:00"),
        ("now", "2024-03-31T12:30:15+02:00"),
    ],
)
def test_a_date_is_understood(text: str, expected: str) -> None:
    assert dates.moment(text, "start_timestamp", NOW, end=False).isoformat() == expected


def test_a_day_at_the_end_of_a_range_is_a_whole_day() -> None:
    assert (
        dates.moment("2024-01-15", "end_timestamp", NOW, end=True).isoformat() == "2024-01-15T23:59:59+02:00"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "someday",
        "2024-13-01",
        "2024-02-30",
        "-1 day",
        "--since=x",
        "Janitor 15 2024",
        "x" * 999,
        "999999 years ago",
        "5 fortnights ago",
        "2024-01-15T25:00:00",
        "next week",
    ],
)
def test_what_is_no_date_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(Problem, match="ISO 8601"):
        dates.moment(text, "start_timestamp", NOW, end=False)


def test_a_configuration_is_read_with_all_that_it_includes() -> None:
    text = '\ufeff[core] bare = false\n[a "x]y"] b\n[InClude]Path="one two" ; why\r\n[user]\nname = A \\\n B # c\n'
    assert list(configfile.entries(text)) == [
        ("core.bare", "false"),
        ("a.b", "true"),
        ("include.path", "one two"),
        ("user.name", "A  B"),
    ]


def test_paths_are_quoted_as_git_quotes_them() -> None:
    assert quoted(b"plain name") == "plain name"
    assert quoted("gr\u00fcn\t".encode()) == '"gr\\303\\274n\\t"'
    assert quoted("gr\u00fcn".encode(), high=False) == "gr\u00fcn"
