"""Which processes make a whole system? A Valkey, front doors, a delivery; and what each is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway import data, valkey
from gateway.children import Child, ReadySocket, Say, Spec
from gateway.fleet import Fleet
from gateway.notify import VARIABLE
from gateway.settings import EMBEDDED, Settings

DRAIN_MARGIN_S = 3.0  # over the drain that the children know themselves
VALKEY_STOP_S = 10.0  # one last fsync


@dataclass(frozen=True, slots=True)
class System:
    """What all children are made from."""

    settings: Settings
    config: Path | None
    environ: Mapping[str, str]
    ready_socket: ReadySocket
    sockets: Path  # the directory where they lie
    lock: int  # descriptor, inherited by every child
    command: Sequence[str]  # what runs `gateway`
    say: Say
    listening: Sequence[Mapping[str, int]]  # of each front door: section -> descriptor

    def fleet(self) -> Fleet:
        """Return all children: who waits for whom at the start, and at the end.

        Raises:
            ValkeyError: the embedded server is not installed.

        """
        servers = [self._valkey()] if self.settings.redis.url == EMBEDDED else []
        numbers = range(1, self.settings.serve.processes + 1)
        doors = [
            self._gateway(f"serve-{number}", "serve", listening)
            for number, listening in zip(numbers, self.listening, strict=True)
        ]
        delivery = self._gateway("deliver", "deliver")
        # The doors close first: what they accept last is still delivered, and fsynced after that.
        return Fleet(
            starts=[servers, [*doors, delivery]],
            stops=[doors, [delivery], servers],
            renewed=[*doors, delivery],
        )

    def _valkey(self) -> Child:
        directory = data.valkey_directory(self.settings)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        valkey.keep_log_short(directory)
        return Child(
            Spec(
                name="valkey",
                command=valkey.command(valkey.find_server(), directory, self._socket),
                environ=self.environ,
                ready=partial(_answers, self._socket),
                stop_s=VALKEY_STOP_S,
                descriptors=(self.lock,),
                explain=partial(valkey.explain, directory),
            ),
            self.say,
        )

    def _gateway(self, name: str, command: str, listening: Mapping[str, int] = {}) -> Child:
        serve = self.settings.serve
        config = ["--config", str(self.config)] if self.config else []
        environ = {**self.environ, VARIABLE: str(self.ready_socket.path)}
        if self.settings.redis.url == EMBEDDED:
            environ["GATEWAY_REDIS_URL"] = f"unix://{self._socket}"
        for section, descriptor in listening.items():
            environ[f"GATEWAY_{section.upper()}_DESCRIPTOR"] = str(descriptor)
        return Child(
            Spec(
                name=name,
                command=[*self.command, command, *config],
                environ=environ,
                ready=self.ready_socket.wait,
                stop_s=serve.unready_s + serve.drain_s + DRAIN_MARGIN_S,
                descriptors=(self.lock, *listening.values()),
            ),
            self.say,
        )

    @property
    def _socket(self) -> Path:
        return self.sockets / "valkey.sock"


async def _answers(socket: Path, _pid: int) -> bool:
    return await valkey.wait_until_answering(socket)
