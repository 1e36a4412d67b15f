"""The one client of S3 stores: what `sources` and `stores` ask through; no meaning of objects here.

An address is `s3://bucket/key` with the key as it is. Where the store is and who asks comes from
boto3's own chain (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, profiles, roles), never from settings.
"""

from functools import cache
from typing import Any

from dam_pipeline.errors import ConfigurationError

SCHEME = "s3://"
LOGIN = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in AWS_PROFILE"

CONNECT_S = 10
SILENCE_S = 30  # without a byte: the connection counts as lost
TRIES = 3
CONNECTIONS = 32  # threads that ask at once; with fewer, some would wait
HASTY_S = 8  # of a look, which has to end within a sensor's tick and is taken up by the next
HASTY_TRIES = 2


@cache
def client(is_hasty: bool = False) -> Any:
    """The vendor's client, made once a process: it may be used by all threads."""
    import boto3
    from botocore.config import Config

    tries = HASTY_TRIES if is_hasty else TRIES
    retries = {"mode": "standard", "total_max_attempts": tries}
    config = Config(
        connect_timeout=HASTY_S if is_hasty else CONNECT_S,
        read_timeout=HASTY_S if is_hasty else SILENCE_S,
        max_pool_connections=CONNECTIONS,
        retries=retries,
        # With the older signature, presigned addresses are refused by stores that are not Amazon's.
        signature_version="s3v4",
    )
    return boto3.Session().client("s3", config=config)


def bucket_and_key(address: str) -> tuple[str, str]:
    """The bucket and the key of an address; raises ConfigurationError when it names no bucket."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise ConfigurationError(f"{address} names no bucket. Give s3://bucket or s3://bucket/key.")
    return bucket, key
