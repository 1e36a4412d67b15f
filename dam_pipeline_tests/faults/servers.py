"""Servers that die in the middle of work and come back: Postgres, Weaviate, the S3 server."""

import time
import uuid

import boto3

from dam_pipeline_tests.faults.ground import Ground, Outcome, Server
from dam_pipeline_tests.faults.homes import Home
from dam_pipeline_tests.postgres_server import PostgresServer

BACK_AFTER_S = (0.2, 4.0)


def killed_postgres(ground: Ground, times: int) -> Outcome:
    """The catalogue and Dagster lie on Postgres, which is killed."""
    return _killed(ground, times, "postgres")


def killed_weaviate(ground: Ground, times: int) -> Outcome:
    """The index lies in Weaviate, which is killed."""
    return _killed(ground, times, "weaviate")


def killed_s3(ground: Ground, times: int) -> Outcome:
    """Originals and derived files lie in buckets, whose server is killed."""
    return _killed(ground, times, "s3")


def _killed(ground: Ground, times: int, name: str) -> Outcome:
    outcome = Outcome(f"{name}, kill -9 in the middle of work")
    with ground.servers(name) as servers:
        server = servers[name]
        reference, seconds = ground.undisturbed(name, new_home(ground, server))
        for _ in range(times):
            home = new_home(ground, server)
            command = home.ingest()
            time.sleep(ground.chance.uniform(0.3, seconds))
            server.kill()
            time.sleep(ground.chance.uniform(*BACK_AFTER_S))
            server.start_again()
            status = command.wait()
            ended = [] if status in (0, 1, 3) else [f"the disturbed run ended with {status}"]
            outcome.add([*ended, *home.complete(reference)])
            ground.tell(f"{outcome.what}: {outcome.faults} of {times}")
            ground.forget(home)
    return outcome


def new_home(ground: Ground, server: Server) -> Home:
    """A home of its own on a server: a database, a prefix of collections, or two buckets."""
    facts = server.facts
    if server.name == "postgres":
        name = f"faults_{uuid.uuid4().hex}"
        PostgresServer(server.folder, facts[0]).run(f"CREATE DATABASE {name}")
        return ground.home({"DAM_POSTGRES_URL": f"{facts[0].rpartition('/')[0]}/{name}"})
    if server.name == "weaviate":
        url, grpc_port, key = facts
        return ground.home(
            {
                "DAM_VECTOR_STORE": "weaviate",
                "DAM_WEAVIATE_URL": url,
                "DAM_WEAVIATE_GRPC_PORT": grpc_port,
                "DAM_WEAVIATE_API_KEY": key,
                "DAM_WEAVIATE_PREFIX": f"T{uuid.uuid4().hex}",
            }
        )
    return _on_buckets(ground, facts)


def _on_buckets(ground: Ground, facts: list[str]) -> Home:
    url, key, secret = facts[:3]
    login = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
    )
    rushes, library = (f"{name}-{uuid.uuid4().hex[:10]}" for name in ("rushes", "library"))
    for bucket in (rushes, library):
        client.create_bucket(Bucket=bucket)
    for path in sorted(ground.originals.iterdir()):
        client.upload_file(str(path), rushes, path.name)
    return ground.home({**login, "DAM_STORAGE_URL": f"s3://{library}/dam"}, f"s3://{rushes}")
