"""A part of a bucket of a real server, and what other programs do in it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY
from understudy.adapters.s3 import BucketCollection, BucketTarget
from understudy.vocabulary.secret import Secret


def client_of(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )


@dataclass
class OwnPrefix:
    """Each test has a prefix of its own in the bucket."""

    client: Any
    endpoint: str
    bucket: str
    prefix: str = field(default_factory=lambda: f"tests/{secrets.token_hex(8)}")

    def collection(self, endpoint: str = "", **settings: Any) -> BucketCollection:
        keys = {"access_key": Secret(ACCESS_KEY), "secret_key": Secret(SECRET_KEY)} | settings
        return BucketCollection(self.bucket, self.prefix, endpoint or self.endpoint, **keys)

    def target(self, endpoint: str = "", **settings: Any) -> BucketTarget:
        keys = {"access_key": Secret(ACCESS_KEY), "secret_key": Secret(SECRET_KEY)} | settings
        return BucketTarget(self.bucket, self.prefix, endpoint or self.endpoint, **keys)

    def put(self, key: str, content: bytes, **dress: Any) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=content, **dress)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")

    def head(self, key: str) -> Any:
        return self.client.head_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")

    def tags(self, key: str) -> dict[str, str]:
        found = self.client.get_object_tagging(Bucket=self.bucket, Key=f"{self.prefix}/{key}")
        return {each["Key"]: each["Value"] for each in found["TagSet"]}
