"""The job `publish_packages`: `dam stock publish` from the launchpad, over GraphQL or by schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import Field

from dam_pipeline.assets.metadata import Metadata
from dam_pipeline.assets.stock import DELIVERY
from dam_pipeline.errors import ConfigurationError, PublishError
from dam_pipeline.event_log.batches import report_in_run
from dam_pipeline.ops.requesting import answer, failures_told
from dam_pipeline.packaging.manifest import read_manifest
from dam_pipeline.publishing import Destination, parse_destination
from dam_pipeline.publishing.advice import advice
from dam_pipeline.publishing.approving import approved_packages
from dam_pipeline.publishing.plan import find_package, plan_delivery
from dam_pipeline.publishing.rate import parse_rate
from dam_pipeline.publishing.sending import JOBS, Options, publish, unfinished
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.deliveries import THERE, UNSENT, Delivery
from resources.library import LibraryResource


class PublishConfig(dg.Config):
    """What is sent, and where. Left as it is: every package that people approved."""

    packages: list[str] = Field(
        default=[],
        description=(
            "Folders of packages as the workers see them, or their names below DAM_HOME/packages. "
            "Empty: all that are approved (`dam stock approve`)."
        ),
    )
    to: str = Field(
        default="",
        description=(
            "Destination of these packages: sftp://user@host/folder, ftps://…, s3://bucket/folder or "
            "a folder. Never with a password: `dam stock login` keeps it where the worker runs."
        ),
    )
    again: bool = Field(default=False, description="Also what the agency already has.")
    connections: int = Field(default=JOBS, ge=1, description="Files sent at the same time.")
    limit: str = Field(
        default="", description="Most bytes a second, such as 2MB/s. Empty: no limit."
    )
    dry_run: bool = Field(default=False, description="Only say what would be sent.")

    def options(self) -> Options:
        """How to send; raises ConfigurationError for a rate that is none."""
        limit = parse_rate(self.limit) if self.limit else 0
        return Options(again=self.again, jobs=self.connections, limit_bytes_per_s=limit)


@dataclass(frozen=True, slots=True)
class _Order:
    """A package and where it goes."""

    folder: Path
    destination: Destination


@dg.op(
    name="send_packages",
    out=dg.Out(dg.Nothing),
    description=(
        "Sends packages with resume and verification. A package that is not what its manifest says "
        "is refused, and what the agency already has is not sent again. One that fails does not hold "
        "up the others."
    ),
)
def send_packages(
    context: dg.OpExecutionContext, config: PublishConfig, library: LibraryResource
) -> None:
    """Publish packages, each to its destination."""
    troubles: list[str] = []
    sent: list[Delivery] = []
    with failures_told(), library.open() as tools:
        options = config.options()
        for order in _orders(tools, config):
            context.log.info(f"{order.folder} → {order.destination.url}")
            try:
                agency = read_manifest(order.folder).agency
                for warning in advice(tools.settings, agency, order.destination):
                    context.log.warning(warning)
                found = _send(tools, config, options, order)
            except (PublishError, ConfigurationError) as error:
                troubles.append(f"{order.folder.name}: {error}")
                continue
            sent += found
            if not config.dry_run:
                _report(context, tools, order, found)
                troubles += [f"{one.file}: {one.reason}" for one in unfinished(found)]
    _tell(context, config, sent)
    if troubles:
        raise dg.Failure(description="\n".join(troubles), allow_retries=False)


def _orders(tools: Toolbox, config: PublishConfig) -> list[_Order]:
    """What is to be sent; raises ConfigurationError where half of it is said, PackageInvalid."""
    if bool(config.packages) != bool(config.to):
        raise ConfigurationError(
            "Name both `packages` and `to`, or neither: then all that is approved is published."
        )
    if not config.packages:
        return [_Order(one.folder, one.destination) for one in approved_packages(tools.settings)]
    destination = parse_destination(config.to)
    return [_Order(find_package(tools.settings, one), destination) for one in config.packages]


def _send(tools: Toolbox, config: PublishConfig, options: Options, order: _Order) -> list[Delivery]:
    settings = tools.settings
    if not config.dry_run:
        return publish(settings, order.folder, order.destination, options)
    plan = plan_delivery(settings, order.folder, order.destination, again=config.again)
    return [*(one.delivery for one in plan.outgoing), *plan.left_out]


def _report(
    context: dg.OpExecutionContext, tools: Toolbox, order: _Order, deliveries: Sequence[Delivery]
) -> None:
    """An event on the partition of each media that is over there."""
    keys = {one.media_id: one.partition_key for one in read_manifest(order.folder).items}
    there = [one for one in deliveries if one.media_id in keys and one.state in THERE]
    report_in_run(
        context,
        [
            dg.AssetMaterialization(
                DELIVERY,
                partition=keys[one.media_id],
                metadata=_described(tools, keys[one.media_id], one),
                tags={"dagster/data_version": one.sha256},
            )
            for one in there
        ],
    )


def _described(tools: Toolbox, key: str, one: Delivery) -> Metadata:
    address = tools.settings.preview_address
    return {
        "picture": dg.MetadataValue.md(f"![{key}]({address}/poster/{key}.jpg)"),
        "page": dg.MetadataValue.url(f"{address}/media/{key}"),
        "state": one.state.value,
        "agency": one.agency,
        "remote": one.remote,
        "verified_by": one.verified,
        "size_bytes": one.size_bytes,
        "sha256": one.sha256,
        "master_sha256": one.master_sha256,
        "package": dg.MetadataValue.path(one.package),
        "note": one.reason,
    }


def _tell(context: dg.OpExecutionContext, config: PublishConfig, sent: Sequence[Delivery]) -> None:
    rows = [
        {
            "media_id": one.media_id,
            "file": one.file,
            "state": one.state.value,
            "bytes": one.size_bytes,
            "verified": one.verified,
            "remote": one.remote,
            "reason": one.reason,
        }
        for one in sent
    ]
    for one in sent:
        would = "would be sent: " if config.dry_run and one.state in UNSENT else ""
        context.log.info(f"{would}{one.file} → {one.remote}: {one.state.value} {one.reason}")
    answer(context, rows, {"files": len(rows), "would_be_sent": config.dry_run})
