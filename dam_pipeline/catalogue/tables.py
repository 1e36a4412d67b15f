"""The catalogue's tables as SQLAlchemy Core metadata; `migrations` brings a database up to them."""

import sqlalchemy as sa

from dam_pipeline.catalogue.columns import Text

METADATA = sa.MetaData()

MEDIA = sa.Table(
    "media",
    METADATA,
    sa.Column("media_id", Text, primary_key=True),
    sa.Column("partition_key", Text, nullable=False, unique=True),
    sa.Column("kind", Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("first_name", Text, nullable=False),
    sa.Column("asset_id", Text, nullable=False, index=True),
    sa.Column("superseded_by", Text),
    sa.Column("sidecar_version", Text, nullable=False, server_default=""),
    sa.Column("duration_s", sa.Float),
    sa.Column("has_audio", sa.Boolean),
    sa.Column("created_at", Text),
    sa.Column("camera", Text),
)

LOCATION = sa.Table(
    "location",
    METADATA,
    sa.Column("uri", Text, primary_key=True),
    sa.Column("media_id", Text, nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("source", Text, nullable=False, server_default="", index=True),
    sa.Column("first_seen", Text, nullable=False),
    sa.Column("last_seen", Text, nullable=False),
    sa.Column("missing_since", Text),
)

STAGE_STATE = sa.Table(
    "stage_state",
    METADATA,
    sa.Column("media_id", Text, primary_key=True),
    sa.Column("stage", Text, primary_key=True),
    sa.Column("state", Text, nullable=False, index=True),
    sa.Column("reason", Text, nullable=False, server_default=""),
    sa.Column("retryable", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("code_version", Text, nullable=False, server_default=""),
    sa.Column("model", Text, nullable=False, server_default=""),
    sa.Column("weights_sha256", Text, nullable=False, server_default=""),
    sa.Column("settings_hash", Text, nullable=False, server_default=""),
    sa.Column("data_version", Text, nullable=False, server_default=""),
    sa.Column("inputs", sa.JSON, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("run_id", Text, nullable=False, server_default=""),
    sa.Column("updated_at", Text, nullable=False, index=True),
)

LEASE = sa.Table(
    "lease",
    METADATA,
    sa.Column("media_id", Text, primary_key=True),
    sa.Column("stage", Text, primary_key=True),
    sa.Column("owner", Text, nullable=False, index=True),
    sa.Column("run_id", Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)

BEAT = sa.Table(
    "beat",
    METADATA,
    sa.Column("run_id", Text, primary_key=True),
    sa.Column("owner", Text, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
)

OUTBOX = sa.Table(
    "outbox",
    METADATA,
    sa.Column(
        "number",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("sink", Text, nullable=False, index=True),
    sa.Column("event_id", Text, nullable=False),
    sa.Column("type", Text, nullable=False),
    sa.Column("body", Text, nullable=False),
    sa.Column("waits_since", Text, nullable=False),
)

ESTIMATE = sa.Table(
    "estimate",
    METADATA,
    sa.Column("run_id", Text, primary_key=True),
    sa.Column("job", Text, nullable=False, server_default=""),
    sa.Column("files", sa.Integer, nullable=False),
    sa.Column("footage_s", sa.Float, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("low_s", sa.Float, nullable=False),
    sa.Column("likely_s", sa.Float, nullable=False),
    sa.Column("high_s", sa.Float, nullable=False),
    sa.Column("work_s", sa.Float, nullable=False),
    sa.Column("started_s", sa.Float, nullable=False, index=True),
    sa.Column("ended_s", sa.Float),
)

UNDER_WAY = sa.Table(
    "under_way",
    METADATA,
    sa.Column("owner", Text, primary_key=True),
    sa.Column("lane", Text, primary_key=True),
    sa.Column("run_id", Text, nullable=False),
    sa.Column("stage", Text, nullable=False),
    sa.Column("media_ids", sa.JSON, nullable=False),
    sa.Column("since_s", sa.Float, nullable=False),
)

DEATH = sa.Table(
    "death",
    METADATA,
    sa.Column("media_id", Text, primary_key=True),
    sa.Column("stage", Text, primary_key=True),
    sa.Column("deaths", sa.Integer, nullable=False),
    sa.Column("last_s", sa.Float, nullable=False),
)

FIXITY = sa.Table(
    "fixity",
    METADATA,
    sa.Column("uri", Text, primary_key=True),
    sa.Column("media_id", Text, nullable=False, index=True),
    sa.Column("verdict", Text, nullable=False, index=True),
    sa.Column("reason", Text, nullable=False, server_default=""),
    sa.Column("sha256", Text, nullable=False, server_default=""),
    sa.Column("checked_at", Text, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
)

SPACE = sa.Table(
    "space",
    METADATA,
    sa.Column("name", Text, primary_key=True),
    sa.Column("kind", Text, nullable=False),
    sa.Column("stage", Text, nullable=False),
    sa.Column("stem", Text, nullable=False),
    sa.Column("model", Text, nullable=False),
    sa.Column("dimension", sa.Integer, nullable=False),
    sa.Column("status", Text, nullable=False),
    sa.Column("added_at", Text, nullable=False),
    sa.Column("switched_at", Text, nullable=False, server_default=""),
    sa.Column("comparison", sa.JSON, nullable=False),
)

# `stage` holds the stem of a space that is not active; the columns are those of `stage_state`.
SHADOW_STATE = sa.Table(
    "shadow_state",
    METADATA,
    sa.Column("media_id", Text, primary_key=True),
    sa.Column("stage", Text, primary_key=True, index=True),
    sa.Column("state", Text, nullable=False),
    sa.Column("reason", Text, nullable=False, server_default=""),
    sa.Column("retryable", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("code_version", Text, nullable=False, server_default=""),
    sa.Column("model", Text, nullable=False, server_default=""),
    sa.Column("weights_sha256", Text, nullable=False, server_default=""),
    sa.Column("settings_hash", Text, nullable=False, server_default=""),
    sa.Column("data_version", Text, nullable=False, server_default=""),
    sa.Column("inputs", sa.JSON, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("run_id", Text, nullable=False, server_default=""),
    sa.Column("updated_at", Text, nullable=False),
)
