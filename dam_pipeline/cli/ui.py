"""`dam ui`: the web UI, the daemon with its sensors, and the preview server of this home."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import OUT, Exit, command, print_json, say
from dam_pipeline.errors import ConfigurationError, DamError
from dam_pipeline.settings import Settings, load_settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANSWER_WITHIN_S = 180.0  # a busy machine takes half a minute to load the code location
END_WITHIN_S = 20.0
LOOK_EVERY_S = 0.3
LAST_PORT = 65535
# `dg dev` wants a project around it; `dagster dev` takes the workspace file that ships with us.
SUPERSEDED = "ignore:Function `dev_command` is superseded"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Server:
    """A child that serves: what it is called, its process, and where it answers when it is up."""

    name: str
    process: "subprocess.Popen[bytes]"
    url: str
    answers_at: str


@command
def run(
    port: Annotated[
        int | None, typer.Option(help="Port of the UI; else the setting DAM_PORT.")
    ] = None,
    preview_port: Annotated[
        int | None, typer.Option(help="Port of the preview server; else DAM_PREVIEW_PORT.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    browser: Annotated[
        bool | None,
        typer.Option(
            "--browser/--no-browser", help="Open a browser; else where there is a screen."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Start the Dagster UI, its daemon and sensors, and the preview server, until Ctrl-C.

    Prints the addresses once the UI answers. Nobody is asked for a password: bind it to the
    outside only behind something that does.

    Examples: dam ui · dam ui --port 3333 --no-browser
    """
    from dam_pipeline.dagster_home import prepare_home

    given = {"port": port, "preview_port": preview_port}
    settings = load_settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    _check_ports(settings, host)
    prepare_home(settings)
    if host not in LOOPBACK:
        say(f"dam: whoever reaches {host} can see the library and start runs. There is no login.")
    with _signals_interrupt():
        _serve(settings, host, _has_screen() if browser is None else browser, as_json)
    return Exit.OK


def _serve(settings: Settings, host: str, with_browser: bool, as_json: bool) -> None:
    """Run both servers until one ends (raises DamError) or somebody stops them."""
    with ExitStack() as children:
        try:
            servers = _start(settings, host, children)
            _wait_until_up(servers)
            _tell(servers, as_json)
            if with_browser:
                import webbrowser

                webbrowser.open(servers[0].url)
            _end_lost_runs(settings)
            _watch(servers)
        except KeyboardInterrupt:
            say("dam: stopping …")


def _check_ports(settings: Settings, host: str) -> None:
    """Raise ConfigurationError for ports that cannot be bound, before anything is started."""
    ports = {"--port": settings.port, "--preview-port": settings.preview_port}
    for option, port in ports.items():
        if not 0 < port <= LAST_PORT:
            raise ConfigurationError(
                f"{port} is no port that a browser can open. Give {option} from 1 to {LAST_PORT}."
            )
        if not _can_bind(host, port):
            raise ConfigurationError(
                f"Port {port} on {host} is in use, perhaps by another `dam ui`. Stop that, or give "
                f"another {option}."
            )
    if settings.port == settings.preview_port:
        raise ConfigurationError(
            f"UI and preview server cannot share port {settings.port}. Give another --preview-port."
        )


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the servers do: a port whose last connections are only lingering is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _start(settings: Settings, host: str, children: ExitStack) -> list[Server]:
    from dam_pipeline.dagster_home import WORKSPACE

    environment = {
        **os.environ,
        "DAM_PORT": str(settings.port),
        "DAM_PREVIEW_PORT": str(settings.preview_port),
    }
    shown_at = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    shown_at = f"[{shown_at}]" if ":" in shown_at else shown_at
    ui, preview = (f"http://{shown_at}:{port}" for port in (settings.port, settings.preview_port))
    dagster = ["-W", SUPERSEDED, "-m", "dagster", "dev", "-w", str(WORKSPACE)]
    dagster += ["--log-level", "error"]
    commands = [
        ("Dagster UI", ui, "/server_info", [*dagster, "-h", host, "-p", str(settings.port)]),
        (
            "preview server",
            preview,
            "/healthz",
            ["-m", "dam_pipeline.preview", "--host", host, "--port", str(settings.preview_port)],
        ),
    ]
    return [
        Server(name, children.enter_context(_child(arguments, environment)), url, url + path)
        for name, url, path, arguments in commands
    ]


@contextmanager
def _child(
    arguments: list[str], environment: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    """A Python child in a process group of its own, which is ended with all of its children."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        preexec_fn=_set_signals,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill_group(process.pid)
            process.wait()


def _set_signals() -> None:
    """Make the child end with us, whatever happens to us and however we were started."""
    # Dagster ends on SIGTERM as on SIGINT, which a shell's background jobs are told to ignore.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of them have ended


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal end the command as Ctrl-C does."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_until_up(servers: list[Server]) -> None:
    until = time.monotonic() + ANSWER_WITHIN_S
    waiting = list(servers)
    while waiting:
        _check_alive(servers)
        waiting = [one for one in waiting if not _answers(one.answers_at)]
        if waiting and time.monotonic() > until:
            raise DamError(
                f"The {waiting[0].name} has not answered at {waiting[0].url} for "
                f"{ANSWER_WITHIN_S:.0f} s. Its messages above may say why."
            )
        time.sleep(LOOK_EVERY_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _check_alive(servers: list[Server]) -> None:
    for one in servers:
        code = one.process.poll()
        if code is not None:
            raise DamError(
                f"The {one.name} ended by itself (exit code {code}). Its messages above say why; "
                "`dam doctor` may tell more."
            )


def _watch(servers: list[Server]) -> None:
    while True:
        _check_alive(servers)
        time.sleep(LOOK_EVERY_S)


def _tell(servers: list[Server], as_json: bool) -> None:
    ui, preview = servers
    if as_json:
        print_json({"url": ui.url, "preview_url": preview.url})
    else:
        OUT.print(f"Dagster UI: {ui.url}\nLibrary:    {preview.url}\nCtrl-C stops both.")
    sys.stdout.flush()


def _end_lost_runs(settings: Settings) -> None:
    from dam_pipeline.dagster_home import open_instance
    from dam_pipeline.launch import end_lost_runs

    with open_instance(settings) as instance:
        end_lost_runs(instance)


def _has_screen() -> bool:
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return sys.stderr.isatty() and (has_display or sys.platform == "darwin")
