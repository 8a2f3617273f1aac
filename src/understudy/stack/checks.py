"""Questions to data that came back."""

from __future__ import annotations

from pydantic import Field

from understudy.stack.fields import Line, Number, Sql, SqlName
from understudy.stack.stack_part import StackPart


class SqlCheck(StackPart):
    """A question whose answer proves that the recovered data is the right data."""

    title = "Checks"

    sql: Sql = Field(description="One query that returns one value; it runs on the recovered server as its superuser, read-only.")
    at_least: Number | None = Field(default=None, description="The value must be this number or a larger one.")
    at_most: Number | None = Field(default=None, description="The value must be this number or a smaller one.")
    equals: Line | None = Field(default=None, description="The value, as text, must be exactly this.")
    database: SqlName = Field(default="postgres", description="The database that is asked.")
    name: Line | None = Field(default=None, description="What reports call the check. Default: the query itself.")
