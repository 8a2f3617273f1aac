"""Buckets: as repositories, as what is protected, as what is restored into. S3 at any endpoint, through boto3 (the extra ``s3``).

Belongs here: requests, their retries, what their errors mean, and uploads in parts.
Does not belong here: what the objects mean (``repository``). Only ``wire`` and ``faults`` know boto3, and they are imported when
the first request is made: who uses no bucket needs no boto3.
"""

from understudy.adapters.s3.bucket_collection import BucketCollection
from understudy.adapters.s3.bucket_target import BucketTarget
from understudy.adapters.s3.s3_store import S3Store

__all__ = ["BucketCollection", "BucketTarget", "S3Store"]
