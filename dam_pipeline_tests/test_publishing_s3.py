"""What is particular to buckets: uploads that were cut off, rights, and what stores know of objects."""

from contextlib import ExitStack

import pytest

from dam_pipeline import buckets
from dam_pipeline.errors import ConfigurationError, DeliveryFailed
from dam_pipeline.publishing import open_transport, parse_destination
from dam_pipeline.publishing.s3 import PART_BYTES
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.s3_server import killed
from dam_pipeline_tests.targets import random_file

pytestmark = pytest.mark.s3

SIZE = 2 * PART_BYTES + 1000


@pytest.fixture
def source(tmp_path, dam_home):
    return random_file(tmp_path / "source", SIZE)


def deliver(bucket, source, progress=int):
    path, sha256, _ = source
    transport = open_transport(parse_destination(bucket.uri), load_settings())
    return transport.deliver(path, "clip.mov", sha256, progress)


def content_of(bucket) -> bytes:
    return bucket.client.get_object(Bucket=bucket.name, Key="clip.mov")["Body"].read()


def begin(bucket, algorithm: str, *parts: bytes) -> None:
    """Leave an unfinished upload of the key there."""
    key = {"Bucket": bucket.name, "Key": "clip.mov"}
    begun = bucket.client.create_multipart_upload(**key, ChecksumAlgorithm=algorithm)
    for number, part in enumerate(parts, 1):
        bucket.client.upload_part(
            **key,
            UploadId=begun["UploadId"],
            PartNumber=number,
            Body=part,
            ChecksumAlgorithm=algorithm,
        )


def test_an_upload_that_others_began_is_gone_on_with_when_its_parts_are_ours(bucket, source):
    begin(bucket, "SHA256", source[2][:PART_BYTES])
    receipt = deliver(bucket, source)
    assert (receipt.sent_bytes, receipt.verified) == (SIZE - PART_BYTES, "sha256")
    assert content_of(bucket) == source[2]


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_an_upload_of_other_bytes_is_left_alone(bucket, source, algorithm):
    begin(bucket, algorithm, bytes(PART_BYTES))
    receipt = deliver(bucket, source)
    assert (receipt.sent_bytes, receipt.verified) == (SIZE, "sha256")
    assert content_of(bucket) == source[2]


def test_a_store_that_dies_between_parts_is_gone_on_with(bucket, source):
    told = []

    def die(count: int) -> None:
        told.append(count)
        if len(told) == 1:
            stack.enter_context(killed(bucket.server))

    with ExitStack() as stack, pytest.raises(DeliveryFailed, match="does not answer") as failure:
        deliver(bucket, source, die)
    assert not failure.value.is_lasting
    receipt = deliver(bucket, source)
    assert receipt.sent_bytes == SIZE - PART_BYTES
    assert content_of(bucket) == source[2]


def test_a_login_that_may_write_but_not_look_delivers(bucket, source, as_guest):
    bucket.allow_guests("PutObject", "/*")
    receipt = deliver(bucket, source)
    assert (receipt.sent_bytes, receipt.verified) == (SIZE, "sha256")
    assert content_of(bucket) == source[2]


def test_a_login_without_the_right_to_write_is_told_at_once(bucket, source, as_guest):
    bucket.allow_guests("ListBucket")
    with pytest.raises(DeliveryFailed, match="the store refuses it") as failure:
        deliver(bucket, source)
    assert failure.value.is_lasting


def test_a_bucket_that_is_not_there_is_told_at_once(bucket, dam_home):
    with pytest.raises(DeliveryFailed, match="NoSuchBucket") as failure:
        open_transport(parse_destination("s3://no-such-bucket-here"), load_settings())
    assert failure.value.is_lasting


def test_without_a_login_it_is_said_how_to_give_one(bucket, dam_home, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    buckets.client.cache_clear()
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        open_transport(parse_destination(bucket.uri), load_settings())
    buckets.client.cache_clear()


def test_of_an_object_whose_hash_the_store_does_not_know_the_size_is_compared(
    bucket, source, monkeypatch
):
    monkeypatch.setenv("DAM_PUBLISH_READBACK_BYTES", "0")
    bucket.drop("clip.mov", source[2])
    receipt = deliver(bucket, source)
    assert (receipt.sent_bytes, receipt.verified) == (0, "size")


def test_an_object_of_other_bytes_but_the_same_size_is_found_out_by_reading_it(bucket, source):
    bucket.drop("clip.mov", bytes(SIZE))
    with pytest.raises(DeliveryFailed, match="other content") as failure:
        deliver(bucket, source)
    assert failure.value.is_lasting
