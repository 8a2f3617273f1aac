"""What other programs put into a bucket."""

import boto3

from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY


def put_stray(endpoint, store, key):
    """An empty object in the store's part of the bucket, under a name that the store itself would not take."""
    bucket, _, prefix = store.url.removeprefix("s3://").partition("/")
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="us-east-1"
    )
    client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=b"")
