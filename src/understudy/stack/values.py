"""What single values must look like, as pure functions from text: each returns the value, or raises ``Unfit``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from understudy.stack.connection import CONNECTION_TEXT, check_connection_string
from understudy.stack.expectation import Unfit
from understudy.stack.secrets import (
    REFERENCE_ALTERNATIVES,
    REFERENCE_TEXT,
    PlainText,
    SecretReference,
    is_reference,
    parse_reference,
)
from understudy.stack.units import (
    DURATION_PATTERN,
    DURATION_TEXT,
    RATE_PATTERN,
    RATE_TEXT,
    SIZE_PATTERN,
    SIZE_TEXT,
    format_duration,
    format_rate,
    format_size,
)
from understudy.vocabulary.identifiers import NAME_PATTERN
from understudy.vocabulary.locking import LockMode
from understudy.vocabulary.sealing import Sealing

NAME_TEXT = "a name of at most 40 characters: a-z first, then a-z, 0-9, - and _, a letter or digit last"
ABSOLUTE_PATH_TEXT = "an absolute path without .. in it"
CRON_TEXT = "a cron expression of five fields (minute hour day month weekday) that comes due, such as 0 3 * * sun"
PERIODS = ("daily", "weekly", "monthly", "quarterly")
EVERY_TEXT = "daily, weekly, monthly, quarterly, or a cron expression of five fields, such as 0 3 * * sun"
WINDOW_TEXT = "a time of day to another one, such as 01:00-05:00 or 22:00-24:00"
ZONE_TEXT = "an IANA time zone such as UTC or Europe/Berlin"
AGE_RECIPIENT_TEXT = "an age recipient as age-keygen prints it: age1 and 58 more characters"
FINGERPRINT_TEXT = "the fingerprint of an OpenPGP key as gpg --show-keys prints it: 40 hexadecimal digits"
RECIPIENT_TEXT = f"{AGE_RECIPIENT_TEXT}; or with sealing: gpg {FINGERPRINT_TEXT}"
PUBLIC_KEY_TEXT = (
    "an armored OpenPGP public key (-----BEGIN PGP PUBLIC KEY BLOCK-----), or a reference to one: file:/absolute/path"
)
SEALING_TEXT = "age or gpg"
LOCK_MODE_TEXT = "governance or compliance"
SIGNER_TEXT = "an Ed25519 public key: 32 bytes in base64, 44 characters"
REPOSITORY_URL_TEXT = "file:///absolute/path or s3://bucket/prefix, without credentials"
BUCKET_URL_TEXT = "s3://bucket or s3://bucket/prefix, without credentials"
EXCLUDE_TEXT = "a pattern as in .gitignore, such as *.tmp or /cache/"
ENDPOINT_TEXT = "https://host, http://host:port, or a reference env:NAME or file:/path"
SQL_NAME_TEXT = "a name of 1 to 63 bytes"
SLOT_TEXT = "a replication slot's name: 1 to 63 of a-z, 0-9 and _"
LISTEN_TEXT = "addresses as in listen_addresses, separated by commas, such as localhost or 10.0.0.5"
REGION_TEXT = "a region's name such as eu-central-1"
SQL_TEXT = "one SQL query that returns one value"
LINE_TEXT = "some text on one line"
ARGUMENT_TEXT = "one argument of a command, without a zero byte; no shell takes it apart"
VARIABLE_TEXT = "the name of an environment variable: letters, digits and _, no digit first"
REDIS_URL_TEXT = (
    "a reference to a URL (env:NAME or file:/path), or a URL without a password: redis://host:6379, rediss://host:6379 for TLS, "
    "or unix:/path/of/the/socket"
)
FILE_NAME_TEXT = "a file's name of at most 200 bytes, without a slash, that does not begin with a dot"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_KEY_PREFIX = re.compile(r"[A-Za-z0-9._=+-]+(/[A-Za-z0-9._=+-]+)*/?|", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)
_PUBLIC_KEY = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n[A-Za-z0-9+/=:,;._() \n-]+\n-----END PGP PUBLIC KEY BLOCK-----\n?", re.ASCII
)
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}", re.ASCII)
_WINDOW = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)", re.ASCII)
_CRON_FIELD = re.compile(r"[0-9A-Za-z*,/#-]+", re.ASCII)
_SLOT = re.compile(r"[a-z0-9_]{1,63}", re.ASCII)
_LISTEN = re.compile(r"[A-Za-z0-9.:_*-]+(, ?[A-Za-z0-9.:_*-]+)*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)

_BUCKET_ALTERNATIVE = f"s3://{_BUCKET.pattern}(?:/(?:{_KEY_PREFIX.pattern}))?"
PATTERNS: Mapping[str, str] = {
    DURATION_TEXT: DURATION_PATTERN,
    SIZE_TEXT: SIZE_PATTERN,
    RATE_TEXT: RATE_PATTERN,
    REFERENCE_TEXT: f"^(?:{REFERENCE_ALTERNATIVES})$",
    CONNECTION_TEXT: rf"^(?:{REFERENCE_ALTERNATIVES}|(?!env:|file:)[\s\S]*(?:=|://)[\s\S]*)$",
    ENDPOINT_TEXT: f"^(?:{REFERENCE_ALTERNATIVES}|[Hh][Tt][Tt][Pp][Ss]?://[^@]+)$",
    NAME_TEXT: NAME_PATTERN.pattern.replace(r"\Z", "$"),
    ABSOLUTE_PATH_TEXT: r"^(?!.*/\.\.(?:/|$))/.*[^/].*$",
    CRON_TEXT: rf"^\s*{_CRON_FIELD.pattern}(?:\s+{_CRON_FIELD.pattern}){{4}}\s*$",
    EVERY_TEXT: rf"^\s*(?:{'|'.join(PERIODS)}|{_CRON_FIELD.pattern}(?:\s+{_CRON_FIELD.pattern}){{4}})\s*$",
    WINDOW_TEXT: f"^{_WINDOW.pattern}$",
    RECIPIENT_TEXT: f"^(?:{_RECIPIENT.pattern}|{_FINGERPRINT.pattern})$",
    SEALING_TEXT: f"^(?:{'|'.join(Sealing)})$",
    LOCK_MODE_TEXT: f"^(?:{'|'.join(LockMode)})$",
    SIGNER_TEXT: "^[A-Za-z0-9+/]{43}=$",
    REPOSITORY_URL_TEXT: rf"^(?:file:///.*[^/].*|{_BUCKET_ALTERNATIVE})$",
    BUCKET_URL_TEXT: f"^{_BUCKET_ALTERNATIVE}$",
    EXCLUDE_TEXT: r"^(?!#).*[^!/\s]",
    SLOT_TEXT: f"^{_SLOT.pattern}$",
    LISTEN_TEXT: f"^{_LISTEN.pattern}$",
    REGION_TEXT: f"^{_REGION.pattern}$",
    SQL_NAME_TEXT: r"^[\s\S]{1,63}$",
    SQL_TEXT: r"\S",
    LINE_TEXT: r"\S",
}
"""For editors, by what is expected, as ECMA 262 has it. They pass some of what is refused here, and refuse nothing that is taken
here."""
BARE = frozenset({EXCLUDE_TEXT, SLOT_TEXT, REGION_TEXT, SQL_NAME_TEXT, LINE_TEXT})
"""Of these some are numbers or truths to a reader of YAML, where they stand without quotes."""


def parse_flag(value: object) -> bool:
    """Only the two words that mean the same in every version of YAML."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise Unfit("true or false")


def parse_name(text: str) -> str:
    return _matching(NAME_PATTERN, text, NAME_TEXT)


def parse_slot(text: str) -> str:
    return _matching(_SLOT, text, SLOT_TEXT)


def parse_listen_addresses(text: str) -> str:
    return _matching(_LISTEN, text, LISTEN_TEXT)


def parse_region(text: str) -> str:
    return _matching(_REGION, text, REGION_TEXT)


def parse_absolute_path(text: str) -> str:
    """Without a trailing ``/``; never the root itself, which nobody means."""
    clean = text.rstrip("/")
    if not text.startswith("/") or not clean or text != text.strip() or not text.isprintable() or ".." in text.split("/"):
        raise Unfit(ABSOLUTE_PATH_TEXT)
    return clean


def parse_cron(text: str) -> str:
    from croniter import croniter  # loaded only for files that have schedules

    fields = text.split()
    if len(fields) != 5 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        raise Unfit(CRON_TEXT)
    # croniter also knows R and H fields, which mean another time at each start.
    if any(field.upper().startswith(("R", "H")) for field in fields):
        raise Unfit(CRON_TEXT)
    # strict also refuses dates that never come, such as the 31st of February.
    if not croniter.is_valid(text, strict=True):
        raise Unfit(CRON_TEXT)
    return " ".join(fields)


def parse_every(text: str) -> str:
    if text.strip() in PERIODS:
        return text.strip()
    try:
        return parse_cron(text)
    except Unfit:
        raise Unfit(EVERY_TEXT) from None


def parse_window(text: str) -> str:
    """Its two ends differ: nobody means a window of no length, and the whole day is 00:00-24:00."""
    opens, _, closes = text.partition("-")
    if not _WINDOW.fullmatch(text) or opens == closes:
        raise Unfit(WINDOW_TEXT)
    return text


def parse_zone(text: str) -> str:
    if text == "UTC":  # also where the system has no zone data
        return text
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise Unfit(ZONE_TEXT) from None
    return text


def parse_sealing(text: str) -> Sealing:
    try:
        return Sealing(text)
    except ValueError:
        raise Unfit(SEALING_TEXT) from None


def parse_lock_mode(text: str) -> LockMode:
    try:
        return LockMode(text)
    except ValueError:
        raise Unfit(LOCK_MODE_TEXT) from None


def parse_recipient(text: str) -> str:
    """Of either sealing; fingerprints in capital letters. Whether it is one of the right one, the whole file tells."""
    if _FINGERPRINT.fullmatch(text):
        return text.upper()
    import pyrage  # knows the checksum: a mistyped key is seen here and not in the first backup

    _matching(_RECIPIENT, text, RECIPIENT_TEXT if not text.startswith("age1") else AGE_RECIPIENT_TEXT)
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise Unfit(f"{AGE_RECIPIENT_TEXT} (its checksum does not match: a character is mistyped)") from None
    return text


def parse_public_key(text: str) -> SecretReference | PlainText:
    """Whose it is and whether it is whole, gpg tells."""
    if is_reference(text):
        return parse_reference(text)
    return PlainText(_matching(_PUBLIC_KEY, text.strip(), PUBLIC_KEY_TEXT))


def parse_signer(text: str) -> str:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unfit(SIGNER_TEXT) from None
    if len(key) != 32 or base64.b64encode(key).decode() != text:
        raise Unfit(SIGNER_TEXT)
    return text


def parse_repository_url(text: str) -> str:
    """Without a trailing ``/``. A bucket's name follows Amazon's rules; a prefix is made of what needs no quoting anywhere."""
    scheme, _, place = text.partition("://")
    if scheme == "file":
        try:
            return f"file://{parse_absolute_path(place)}"
        except Unfit:
            raise Unfit(REPOSITORY_URL_TEXT) from None
    bucket, _, prefix = place.partition("/")
    if scheme == "s3" and bucket and not _BUCKET.fullmatch(bucket):
        raise Unfit(f"{REPOSITORY_URL_TEXT}; a bucket's name has 3 to 63 of a-z, 0-9, . and -")
    if scheme == "s3" and _BUCKET.fullmatch(bucket) and _KEY_PREFIX.fullmatch(prefix) and ".." not in prefix.split("/"):
        return f"s3://{place}".rstrip("/")
    raise Unfit(REPOSITORY_URL_TEXT)


def parse_bucket_url(text: str) -> str:
    try:
        return parse_repository_url(text if text.startswith("s3://") else "")
    except Unfit as unfit:
        raise Unfit(unfit.expected.replace(REPOSITORY_URL_TEXT, BUCKET_URL_TEXT)) from None


def parse_exclude(text: str) -> str:
    """What a pattern means, the adapter knows; here what can be none: empty, a comment, or of several lines."""
    if not text.strip().strip("!/") or text.startswith("#") or not text.isprintable():
        raise Unfit(EXCLUDE_TEXT)
    return text


def parse_connection(text: str) -> SecretReference | PlainText:
    if is_reference(text):
        return parse_reference(text)
    check_connection_string(text)
    return PlainText(text)


def parse_endpoint(text: str) -> SecretReference | PlainText:
    if is_reference(text):
        return parse_reference(text)
    try:
        parts = urlsplit(text)
        complete = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        raise Unfit(ENDPOINT_TEXT) from None
    if not complete or "@" in text or parts.path.strip("/") or parts.query or parts.fragment or not text.isprintable():
        raise Unfit(ENDPOINT_TEXT)
    return PlainText(text.rstrip("/"))


def parse_sql_name(text: str) -> str:
    if not 1 <= len(text.encode(errors="replace")) <= 63 or not text.isprintable():
        raise Unfit(SQL_NAME_TEXT)
    return text


def parse_sql(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise Unfit(SQL_TEXT)
    return text.strip()


def parse_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise Unfit(LINE_TEXT)
    return text.strip()


def duration_at_least(least: timedelta) -> Callable[[timedelta], None]:
    def check(value: timedelta) -> None:
        if value < least:
            raise Unfit(f"a duration of at least {format_duration(least)}")

    return check


def size_between(least: int, most: int) -> Callable[[int], None]:
    def check(value: int) -> None:
        if not least <= value <= most:
            raise Unfit(f"a size from {format_size(least)} to {format_size(most)}")

    return check


def rate_between(least: int, most: int) -> Callable[[int], None]:
    def check(value: int) -> None:
        if not least <= value <= most:
            raise Unfit(f"a rate from {format_rate(least)} to {format_rate(most)}")

    return check


def _matching(pattern: re.Pattern[str], text: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise Unfit(expected)
    return text


def parse_argument(text: str) -> str:
    if "\0" in text:
        raise Unfit(ARGUMENT_TEXT)
    return text


def parse_variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise Unfit(VARIABLE_TEXT)
    return text


def parse_file_name(text: str) -> str:
    if not text.isprintable() or "/" in text or text.startswith(".") or not 1 <= len(text.encode(errors="replace")) <= 200:
        raise Unfit(FILE_NAME_TEXT)
    return text


def parse_redis_url(text: str) -> SecretReference | PlainText:
    """Not the whole grammar: what stands behind a reference is parsed when it is used."""
    if is_reference(text):
        return parse_reference(text)
    try:
        parts = urlsplit(text)
        complete = (parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0) or (
            parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/")
        )
    except ValueError:
        raise Unfit(REDIS_URL_TEXT) from None
    if not complete or parts.password is not None or parts.query or parts.fragment or not text.isprintable():
        raise Unfit(REDIS_URL_TEXT)
    return PlainText(text)
