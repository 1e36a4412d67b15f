"""Networks that are cut or slow between a worker and its servers, and a machine without any."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from threading import Event, Thread
from urllib.parse import urlsplit

from dam_pipeline_tests.faults.ground import Ground, NotPossible, Outcome, Server
from dam_pipeline_tests.faults.homes import Home, tail
from dam_pipeline_tests.faults.servers import new_home

CUT_FOR_S = (0.2, 4.0)
SLOW_S = 0.005  # added to each piece of data, both ways
REMOTE = ("postgres", "s3", "weaviate")


class Wire:
    """A loopback port that leads to another; it can be cut, mended and made slow."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._door.getsockname()[1]
        self.delay_s = 0.0
        self._is_whole = Event()
        self._is_whole.set()
        self._ends: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections, and let in nobody."""
        self._is_whole.clear()
        ends, self._ends = self._ends, []
        for one in ends:
            _close(one)

    def mend(self) -> None:
        """Let callers in again."""
        self._is_whole.set()

    def close(self) -> None:
        """End for good."""
        self.cut()
        _close(self._door)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._door.accept()
                if not self._is_whole.is_set():
                    _close(caller)
                    continue
                with suppress(OSError):
                    server = socket.create_connection(("127.0.0.1", self._target))
                    self._ends += [caller, server]
                    for ends in ((caller, server), (server, caller)):
                        Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(self.delay_s)
                sink.sendall(data)
        _close(source)
        _close(sink)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def wired(server: Server) -> Iterator[tuple[Server, list[Wire]]]:
    """The same server behind wires, one for each of its ports."""
    url = urlsplit(server.facts[0])
    with ExitStack() as wires:
        made = [Wire(url.port or 0)]
        wires.callback(made[0].close)
        login, _, _host = url.netloc.rpartition("@")
        place = f"{login}@127.0.0.1" if login else "127.0.0.1"
        facts = [url._replace(netloc=f"{place}:{made[0].port}").geturl(), *server.facts[1:]]
        if server.name == "weaviate":
            made.append(Wire(int(facts[1])))
            wires.callback(made[1].close)
            facts[1] = str(made[1].port)
        yield replace(server, facts=facts), made


def cut_networks(ground: Ground, times: int) -> Outcome:
    """The network to each kind of server is cut in the middle of work, and comes back."""
    outcome = Outcome("network to Postgres, S3 or Weaviate cut in the middle of work")
    with ground.servers(*REMOTE) as servers:
        for number in range(times):
            name = REMOTE[number % len(REMOTE)]
            reference, seconds = ground.undisturbed(name, new_home(ground, servers[name]))
            with wired(servers[name]) as (server, wires):
                home = new_home(ground, server)
                command = home.ingest()
                time.sleep(ground.chance.uniform(0.3, seconds))
                for wire in wires:
                    wire.cut()
                time.sleep(ground.chance.uniform(*CUT_FOR_S))
                for wire in wires:
                    wire.mend()
                status = command.wait()
                ended = [] if status in (0, 1, 3) else [f"the disturbed run ended with {status}"]
                outcome.add([*ended, *home.complete(reference)])
                ground.tell(f"{outcome.what}: {outcome.faults} of {times}")
                ground.forget(home)
    return outcome


def slow_networks(ground: Ground, times: int) -> Outcome:
    """Every answer of a server takes long; the run gets through all the same."""
    outcome = Outcome(f"every answer of a server {SLOW_S * 2000:.0f} ms slower")
    with ground.servers(*REMOTE) as servers:
        for number in range(times):
            name = REMOTE[number % len(REMOTE)]
            reference, _ = ground.undisturbed(name, new_home(ground, servers[name]))
            with wired(servers[name]) as (server, wires):
                home = new_home(ground, server)
                for wire in wires:
                    wire.delay_s = SLOW_S
                status = home.ingest().wait()
                for wire in wires:
                    wire.delay_s = 0.0
                ended = [] if status == 0 else [f"the slow run ended with {status}"]
                outcome.add([*ended, *home.complete(reference)])
                ground.forget(home)
    return outcome


def no_network(ground: Ground, times: int) -> Outcome:
    """A machine without any network (a namespace of its own): said in words, nothing recorded."""
    outcome = Outcome("no network at all (`unshare -n`)")
    with ground.servers(*REMOTE) as servers:
        for number in range(times):
            name = REMOTE[number % len(REMOTE)]
            reference, _ = ground.undisturbed(name, new_home(ground, servers[name]))
            home = new_home(ground, servers[name])
            wrong = _alone(home)
            outcome.add([*wrong, *home.complete(reference)])
            ground.forget(home)
    return outcome


def _alone(home: Home) -> list[str]:
    """What is wrong with how a run without a network ends."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        raise NotPossible("this machine lets nobody make a network namespace")
    command = home.start("unshare-net", "ingest", home.place or str(home.originals))
    status = command.wait()
    said = tail(command.log, 2000)
    wrong = [] if status in (1, 2, 3) else [f"without a network it ended with {status}"]
    if "Traceback" in said:
        wrong.append(f"it printed a stack trace: {said[-300:]}")
    return wrong
