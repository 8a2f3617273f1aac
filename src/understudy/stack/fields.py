"""The types of the stack file's single values, for the models to use."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from understudy.stack import units, values
from understudy.stack.connection import CONNECTION_TEXT
from understudy.stack.expectation import Expectation, TextForm
from understudy.stack.secrets import REFERENCE_TEXT, PlainText, SecretReference, parse_reference
from understudy.vocabulary.locking import LockMode
from understudy.vocabulary.sealing import Sealing

Flag = Annotated[bool, BeforeValidator(values.parse_flag), Expectation("true or false", "true or false")]
Port = Annotated[int, Field(ge=1, le=65535), Expectation("port", "a port from 1 to 65535")]
CompressionLevel = Annotated[int, Field(ge=1, le=19), Expectation("1 to 19", "a zstd level from 1 to 19")]
Count = Annotated[int, Field(ge=0, le=10_000), Expectation("number", "a whole number from 0 to 10000")]
Jobs = Annotated[int, Field(ge=1, le=64), Expectation("1 to 64", "a whole number from 1 to 64")]
Number = Annotated[Decimal, Field(allow_inf_nan=False), Expectation("number", "a number")]

Duration = Annotated[timedelta, TextForm("duration", units.DURATION_TEXT, units.parse_duration, units.format_duration, timedelta)]
"""Zero or longer."""
Interval = Annotated[
    timedelta,
    TextForm(
        "duration",
        units.DURATION_TEXT,
        units.parse_duration,
        units.format_duration,
        timedelta,
        check=values.duration_at_least(timedelta(seconds=1)),
    ),
]
"""One second or longer."""
SpoolSize = Annotated[
    int,
    TextForm(
        "size",
        units.SIZE_TEXT,
        units.parse_size,
        units.format_size,
        int,
        check=values.size_between(64 * 2**20, 2**60),
    ),
]
"""In bytes. Less than four segments of 16 MiB could not absorb the switch from one to the next."""
PartSize = Annotated[
    int,
    TextForm(
        "size",
        units.SIZE_TEXT,
        units.parse_size,
        units.format_size,
        int,
        check=values.size_between(2**20, 16 * 2**30),
    ),
]
"""In bytes."""
ReadBudget = Annotated[
    int,
    TextForm(
        "size",
        units.SIZE_TEXT,
        units.parse_size,
        units.format_size,
        int,
        check=values.size_between(2**20, 2**60),
    ),
]
"""In bytes."""
BackupRate = Annotated[
    int,
    TextForm(
        "rate",
        units.RATE_TEXT,
        units.parse_rate,
        units.format_rate,
        int,
        check=values.rate_between(32 * 2**10, 2**30),
    ),
]
"""In bytes per second, within what the server takes as MAX_RATE (manual: BASE_BACKUP)."""

Name = Annotated[str, TextForm("name", values.NAME_TEXT, values.parse_name)]
AbsolutePath = Annotated[str, TextForm("absolute path", values.ABSOLUTE_PATH_TEXT, values.parse_absolute_path)]
Cron = Annotated[str, TextForm("cron expression", values.CRON_TEXT, values.parse_cron)]
Every = Annotated[str, TextForm("daily, weekly, monthly, quarterly or cron expression", values.EVERY_TEXT, values.parse_every)]
TimeOfDayWindow = Annotated[str, TextForm("times of day", values.WINDOW_TEXT, values.parse_window)]
Zone = Annotated[str, TextForm("time zone", values.ZONE_TEXT, values.parse_zone)]
SealingField = Annotated[Sealing, TextForm("age or gpg", values.SEALING_TEXT, values.parse_sealing, str, Sealing)]
LockModeField = Annotated[
    LockMode, TextForm("governance or compliance", values.LOCK_MODE_TEXT, values.parse_lock_mode, str, LockMode)
]
LockPeriod = Annotated[
    timedelta,
    TextForm(
        "duration",
        units.DURATION_TEXT,
        units.parse_duration,
        units.format_duration,
        timedelta,
        check=values.duration_at_least(timedelta(hours=1)),
    ),
]
"""An hour or longer: less is over before anybody notices that something is amiss."""
Recipient = Annotated[str, TextForm("recipient", values.RECIPIENT_TEXT, values.parse_recipient)]
PublicKeyField = Annotated[
    SecretReference | PlainText,
    TextForm("public key", values.PUBLIC_KEY_TEXT, values.parse_public_key, str, (SecretReference, PlainText), secret=True),
]
"""What stands here by mistake may be the secret key: it is not repeated."""
SignerKey = Annotated[str, TextForm("public key", values.SIGNER_TEXT, values.parse_signer)]
RepositoryUrl = Annotated[str, TextForm("URL", values.REPOSITORY_URL_TEXT, values.parse_repository_url)]
BucketUrl = Annotated[str, TextForm("bucket URL", values.BUCKET_URL_TEXT, values.parse_bucket_url)]
ExcludePattern = Annotated[str, TextForm("pattern", values.EXCLUDE_TEXT, values.parse_exclude)]
SqlName = Annotated[str, TextForm("SQL name", values.SQL_NAME_TEXT, values.parse_sql_name)]
SlotName = Annotated[str, TextForm("slot name", values.SLOT_TEXT, values.parse_slot)]
ListenAddresses = Annotated[str, TextForm("addresses", values.LISTEN_TEXT, values.parse_listen_addresses)]
RegionName = Annotated[str, TextForm("region", values.REGION_TEXT, values.parse_region)]
Sql = Annotated[str, TextForm("SQL", values.SQL_TEXT, values.parse_sql)]
Argument = Annotated[str, TextForm("argument", values.ARGUMENT_TEXT, values.parse_argument)]
EnvironmentName = Annotated[str, TextForm("variable", values.VARIABLE_TEXT, values.parse_variable)]
FileName = Annotated[str, TextForm("file name", values.FILE_NAME_TEXT, values.parse_file_name)]
Line = Annotated[str, TextForm("text", values.LINE_TEXT, values.parse_line)]

SecretField = Annotated[
    SecretReference,
    TextForm("secret reference", REFERENCE_TEXT, parse_reference, str, SecretReference, secret=True),
]
ConnectionField = Annotated[
    SecretReference | PlainText,
    TextForm("connection", CONNECTION_TEXT, values.parse_connection, str, (SecretReference, PlainText), secret=True),
]
EndpointField = Annotated[
    SecretReference | PlainText,
    TextForm("endpoint", values.ENDPOINT_TEXT, values.parse_endpoint, str, (SecretReference, PlainText), secret=True),
]
RedisField = Annotated[
    SecretReference | PlainText,
    TextForm("Redis URL", values.REDIS_URL_TEXT, values.parse_redis_url, str, (SecretReference, PlainText), secret=True),
]
