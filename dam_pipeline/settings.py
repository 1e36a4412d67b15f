"""All settings, from `DAM_*` variables and `DAM_HOME/dam.toml`; the only reader of the environment.

What a setting changes in results is said by the stages, which name the settings they depend on.
"""

import os
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from platformdirs import user_data_path
from pydantic import Field, TypeAdapter, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dam_pipeline.errors import ConfigurationError

SETTINGS_FILE = "dam.toml"
SidecarNames = Literal["full", "short"]
CRON = r"^(\S+( \S+){4}|@\w+)?$"


class Settings(BaseSettings):
    """One library's settings; variables win over `dam.toml`, which wins over the defaults."""

    model_config = SettingsConfigDict(env_prefix="DAM_", extra="forbid", frozen=True)

    home: Path = Field(
        default_factory=lambda: user_data_path("dam_pipeline"),
        description="Folder that holds everything the pipeline writes.",
    )
    profile: Literal["standard", "bundled"] = Field(
        "standard",
        description="Set of models: official weights, or those that packages ship.",
    )
    port: int = Field(3000, description="Port of the Dagster web UI.")
    ui_url: str = Field("", description="Address of that UI as browsers reach it; empty: loopback.")
    preview_port: int = Field(3001, description="Port of the preview server.")
    preview_url: str = Field(
        "",
        description="Address of the preview server as browsers reach it; empty: loopback.",
    )

    dagster_url: str = Field(
        "",
        description=(
            "Webserver of a remote library, http://host:3000; ingest, retry and status then work "
            "there. Empty: in DAM_HOME."
        ),
    )
    dagster_token: str = Field(
        "", repr=False, description="Bearer token for that webserver, where a proxy asks for one."
    )

    postgres_url: str = Field(
        "",
        repr=False,
        description="Postgres for the catalogue and Dagster's runs and events; empty: SQLite in DAM_HOME.",
    )

    storage_url: str = Field(
        "",
        pattern=r"^(s3://[^/\s]+(/.*)?)?$",
        description="Where workers share derived files, journal and graph, as s3://bucket/prefix; "
        "empty: DAM_HOME alone.",
    )
    cache_bytes: int = Field(
        20_000_000_000,
        ge=1,
        description="Most bytes of shared derived files that DAM_HOME keeps at hand.",
    )

    celery_broker: str = Field(
        "",
        repr=False,
        description="Redis through which runs go to `dam worker` processes, with the login in it; "
        "empty: runs are worked on where the daemon is.",
    )
    gpu_queue: str = Field(
        "",
        pattern=r"^[\w-]*$",
        description="Queue of the workers that run models; empty: one run does all stages of a file.",
    )
    gpu_run_tags: str = Field(
        "",
        description="Further tags of the runs of that queue, a JSON object: what Kubernetes is to "
        "give them.",
    )

    vector_store: Literal["lancedb", "weaviate"] = Field(
        "lancedb",
        description="Where vectors and words are searched: files in DAM_HOME, or a Weaviate server.",
    )
    weaviate_url: str = Field(
        "http://127.0.0.1:8080", description="Address of the Weaviate server."
    )
    weaviate_grpc_port: int = Field(50051, description="Port of that server's gRPC service.")
    weaviate_api_key: str = Field(
        "", repr=False, description="API key for that server; empty: none is sent."
    )
    weaviate_prefix: str = Field(
        "Dam",
        pattern=r"^[A-Z][A-Za-z0-9]*$",
        description="Begins the names of this library's collections there; one for each library.",
    )
    weaviate_tenant: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="Tenant of this library, where several share collections; empty: no tenants.",
    )

    nats_url: str = Field(
        "",
        repr=False,
        description="NATS server that is told of events, with the login in it; empty: none is.",
    )
    nats_creds: Path | None = Field(None, description="Credentials file for that server.")
    nats_stream: str = Field(
        "DAM", pattern=r"^[^\s.*>]+$", description="JetStream stream there; made if missing."
    )
    nats_prefix: str = Field(
        "",
        pattern=r"^[\w-]*(\.[\w-]+)*$",
        description="Begins the subjects of events; one for each library on a server.",
    )
    webhook_url: str = Field(
        "", repr=False, description="Web address that failed runs are posted to; empty: none."
    )

    models_dir: Path | None = Field(
        None, description="Folder of model weights; empty: DAM_HOME/models."
    )
    clip_model: str = Field("", description="Image-text model; empty: the profile's.")
    face_model: str = Field("", description="Face recogniser; empty: the profile's.")
    speech_model: str = Field("", description="Speech model; empty: the profile's.")
    sentence_model: str = Field("", description="Sentence model; empty: the profile's.")
    space_recall_loss: float = Field(
        0.02,
        ge=0,
        le=1,
        description="How much less a new space may find of the labelled pairs and be promoted.",
    )
    space_overlap: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Without labelled pairs: share of answers that a new space must share.",
    )
    device: str = Field("cpu", description="Torch device of the models.")
    torch_threads: int = Field(0, ge=0, description="Threads of a model; 0: one per core.")
    clip_batch: int = Field(32, ge=1, description="Pictures encoded at once.")
    clip_precision: Literal["fp32", "bf16"] = Field("fp32", description="Number format of CLIP.")

    decoder_memory_mb: int = Field(6144, ge=768, description="Memory limit of a decoder child.")
    decoder_stall_s: float = Field(60.0, gt=0, description="Seconds without progress: give up.")
    max_megapixels: float = Field(400.0, gt=0, description="Largest picture that is decoded.")
    shot_threshold: float = Field(
        3.0,
        gt=0,
        description="How much a frame must stand out from its neighbours to be a cut.",
    )
    keyframe_gap_s: float = Field(5.0, gt=0, description="Longest span without a keyframe.")
    keyframe_change: float = Field(
        0.12,
        gt=0,
        le=1,
        description="Share of change in the picture that earns a new keyframe.",
    )
    keyframes_per_minute: int = Field(20, ge=1, description="Most keyframes kept in a minute.")
    keyframe_px: int = Field(1280, ge=224, description="Longest side of a stored keyframe.")
    poster_px: int = Field(640, ge=64, le=700, description="Longest side of a poster.")
    face_confidence: float = Field(0.95, ge=0, le=1, description="Least confidence of a face.")
    faces: bool = Field(True, description="Whether faces are looked for at all.")
    tag_false_rate: float = Field(
        0.005,
        gt=0,
        lt=0.5,
        description="Share of pictures without a term that may be tagged with it all the same.",
    )
    speech: bool = Field(True, description="Whether speech is transcribed at all.")
    speech_language: str = Field("", description="Language code of the speech; empty: detected.")
    speech_window_s: float = Field(30.0, gt=10, description="Longest piece given to the model.")

    batch_files: int = Field(200, ge=1, description="Most files in one run.")
    batch_mb: int = Field(20_000, ge=1, description="Most original megabytes in one run.")
    group_files: int = Field(32, ge=1, description="Files that go through the models together.")
    scratch_bytes: int = Field(
        20_000_000_000,
        ge=1,
        description="Most bytes that copies of originals from S3 may take at once under DAM_HOME.",
    )
    lease_s: float = Field(900.0, gt=1, description="Seconds after which a silent lease expires.")
    lost_after_s: float = Field(
        60.0,
        ge=2,
        description="Seconds without a sign of life after which a run's worker counts as dead.",
    )
    max_attempts: int = Field(3, ge=1, description="Tries of a retryable failure.")

    settle_s: float = Field(5.0, ge=0, description="Age a file must have before it is believed.")
    sensor_interval_s: int = Field(30, ge=1, description="Seconds between looks at the sources.")
    sensor_step_files: int = Field(
        2000, ge=1, description="Files the sensor looks into (hashes) in one look."
    )
    disappearance_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of a source that may vanish at once and be believed.",
    )
    exclude: tuple[str, ...] = Field(
        (), description="Glob patterns of paths below a source that are left out."
    )

    sidecar_names: SidecarNames = Field(
        "full",
        description="Names of new XMP sidecars beside originals: `full` IMG_1.NEF.xmp (digiKam, "
        "darktable), `short` IMG_1.xmp (Lightroom, Bridge). One that is there is used.",
    )

    timezone: str = Field("UTC", description="Time zone of the schedules: Europe/Berlin.")
    nightly: str = Field(
        "",
        pattern=CRON,
        description="When unfinished work is taken up, as cron: `0 1 * * *`; empty: never.",
    )
    nightly_files: int = Field(0, ge=0, description="Most files of a night; 0: no limit.")
    nightly_gb: float = Field(0, ge=0, description="Most gigabytes of a night; 0: no limit.")
    nightly_minutes: float = Field(
        360, ge=0, description="Most minutes of a night, after which no file is begun; 0: no limit."
    )
    nightly_order: Literal["newest", "smallest", "oldest-failure"] = Field(
        "newest", description="Which files of a night come first."
    )
    publish_timeout_s: float = Field(
        30.0, gt=0, description="Seconds of silence after which a connection counts as cut."
    )
    publish_readback_bytes: int = Field(
        50_000_000,
        ge=0,
        description="Largest delivered file that is read back to compare its hash, where the server "
        "cannot hash it; of larger ones the size and the end are compared.",
    )
    publish_in_place: tuple[str, ...] = Field(
        (),
        description="Hosts that cannot rename, or take a file in as soon as it has come: files are "
        "sent under their own name at once.",
    )
    ssh_identity: Path | None = Field(
        None, description="Private key for SFTP; empty: those of the agent and of ~/.ssh."
    )
    ssh_known_hosts: Path | None = Field(
        None,
        description="Further file of host keys that are trusted, besides DAM_HOME/known_hosts and "
        "~/.ssh/known_hosts.",
    )
    tls_ca_file: Path | None = Field(
        None, description="Further certificates by which FTPS servers are trusted, as PEM."
    )
    publish: str = Field(
        "",
        pattern=CRON,
        description="When approved stock packages are published, as cron: `0 2 * * *`; empty: never.",
    )
    weekly_verify: str = Field(
        "",
        pattern=CRON,
        description="When originals are verified, as cron: `0 3 * * 6`; empty: never.",
    )
    verify_share: float = Field(
        0.05, gt=0, le=1, description="Share of the originals that one verification reads."
    )
    verify_minutes: float = Field(
        240, ge=0, description="Minutes after which it reads no further file; 0: no limit."
    )

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        """Refuse a zone that this machine does not know: no schedule could be made."""
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name} is no time zone; Europe/Berlin is one") from error
        return name

    @field_validator("gpu_run_tags")
    @classmethod
    def _are_tags(cls, text: str) -> str:
        """Refuse what no run could be tagged with: a sensor would fail by it at every tick."""
        if text:
            TypeAdapter(dict[str, str]).validate_json(text)
        return text

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put `dam.toml` of the home under the environment's variables."""
        home = Path(init_settings().get("home") or _home_from_environment())
        toml = TomlConfigSettingsSource(settings_cls, toml_file=home / SETTINGS_FILE)
        return init_settings, env_settings, toml

    @property
    def weights_dir(self) -> Path:
        """The folder of model weights."""
        return self.models_dir or self.home / "models"

    @property
    def ui_address(self) -> str:
        """The Dagster web UI's address without a trailing slash."""
        return (self.ui_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def preview_address(self) -> str:
        """The preview server's address without a trailing slash."""
        return (self.preview_url or f"http://127.0.0.1:{self.preview_port}").rstrip("/")


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings of `home`, or of `DAM_HOME`; raises ConfigurationError naming each fault."""
    try:
        settings = Settings(home=home) if home else Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()
        )
        raise ConfigurationError(
            f"The settings cannot be used ({faults}). Mend the DAM_* variable or {SETTINGS_FILE}."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{SETTINGS_FILE} cannot be read: {error}. Mend it.") from error
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def _home_from_environment() -> Path:
    value = os.environ.get("DAM_HOME")
    return Path(value).expanduser() if value else user_data_path("dam_pipeline")
