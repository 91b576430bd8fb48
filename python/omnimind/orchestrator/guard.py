"""The guard: holds the sockets and the folder's lock, keeps one orchestrator alive, decides nothing.

Rules it keeps. It is a subreaper, so all that a dead orchestrator leaves, grandchildren included, falls to it
and is ended before the next orchestrator starts. The sockets stay open across that, so nobody is refused. It
never adopts: the fleet comes up fresh. It signals only its own descendants. Why so small: what must never die
must do almost nothing. Stdlib only, one thread, under 15 MB; its link speaks JSON because msgpack is not in
the stdlib. The orchestrator tells it what to lock and bind. As a systemd service the guard is the process that
systemd knows: it takes the sockets that were passed, and passes on what the orchestrator has to say.

Orchestrator to guard: `lock {path}`, `listen {name, address}`, `release {name}`, `running {}`,
`group {path}`, `exit {code}`, `notify {text}`. Guard to orchestrator: one answer `{ok, ...}` to each of the
first three.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time

from omnimind.linux import pidfd, proc, process, seqpacket
from omnimind.orchestrator.sockets import HeldSockets
from omnimind.systemd import listen_fds, notify

SWEEP_PAUSE_S = 0.005
STEADY_S = 30.0
"""An orchestrator that ran this long is restarted without a pause."""
LONGEST_PAUSE_S = 10.0
"""Before the next start of an orchestrator that did not come up."""
SERVED_PAUSE_S = 0.8
"""Before the next start of one that did: callers wait in the sockets meanwhile."""
LOCK_PATIENCE_S = 1.0
"""How long a lock may stay taken whose holder is dead: its last process is about to end."""
PATIENCE = 3
"""So many requests to stop, and everything is ended at once."""


class Guard:
    """One guard process; `run` is its life."""

    def __init__(self, argv: list[str]) -> None:
        self._argv = argv
        self._sockets = HeldSockets(listen_fds.take())
        self._notifier = notify.from_environment()
        self._lock: int | None = None
        self._group: str | None = None
        self._selector = selectors.DefaultSelector()
        self._link: socket.socket | None = None
        self._child: int | None = None
        self._running = False
        self._exit_code: int | None = None
        self._stops = 0
        self._had_terminal = process.has_terminal()
        self._deaths_in_a_row = 0

    def run(self) -> int:
        """Keep an orchestrator running until one says `exit` or a signal ends it all."""
        process.become_subreaper()
        process.set_name("omnimind-guard")
        wakeups = self._catch_signals()
        while True:
            started = time.monotonic()
            self._start()
            while self._child is not None:
                self._turn(wakeups, None)
            self._sweep()
            code = self._after_death(time.monotonic() - started)
            if code is None:
                code = self._pause(wakeups)
            if code is not None:
                self._remove_group()
                for name in self._sockets.names():
                    self._sockets.release(name)
                return code

    # --- the orchestrator's life

    def _start(self) -> None:
        ours, theirs = seqpacket.pair()
        os.set_inheritable(theirs.fileno(), True)
        arguments = [f"--guard-link={theirs.fileno()}", f"--guard-pid={os.getpid()}", *self._argv]
        if self._notifier:
            arguments.append(f"--watchdog-us={self._notifier.watchdog_us}")
        self._child = os.posix_spawn(
            sys.executable,
            [sys.executable, *import_flags(), "-m", "omnimind.orchestrator", *arguments],
            # The mark by which the next run knows what this one left; see `ledger`.
            {**os.environ, "OMNIMIND_INSTANCE": os.urandom(16).hex()},
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsid=True,
            setsigdef=[signal.SIGPIPE],
        )
        theirs.close()
        self._link = ours
        self._running = False
        self._selector.register(ours, selectors.EVENT_READ)

    def _after_death(self, lived_s: float) -> int | None:
        """The code to exit with, or None to start another one."""
        if self._exit_code is not None:
            return self._exit_code
        if self._stops:
            return 1
        if not self._running and self._deaths_in_a_row == 0:
            return 1  # it never came up and said why itself
        self._deaths_in_a_row = 1 if lived_s >= STEADY_S else self._deaths_in_a_row + 1
        return None

    def _pause(self, wakeups: socket.socket) -> int | None:
        """Wait longer after each quick death; a signal meanwhile ends the guard."""
        longest_s = SERVED_PAUSE_S if self._running else LONGEST_PAUSE_S
        pause_s = 0.0 if self._deaths_in_a_row <= 1 else min(longest_s, 0.1 * 2**self._deaths_in_a_row)
        print("omnimind: the orchestrator died; the guard starts a new one", file=sys.stderr, flush=True)  # noqa: T201
        until = time.monotonic() + pause_s
        while not self._stops and (left_s := until - time.monotonic()) > 0:
            self._turn(wakeups, left_s)
        return 1 if self._stops else None

    # --- one turn of the loop

    def _turn(self, wakeups: socket.socket, timeout_s: float | None) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is wakeups:
                for number in wakeups.recv(64):
                    self._on_signal(number)
            else:
                self._on_packet()

    def _catch_signals(self) -> socket.socket:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.detach())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._selector.register(reader, selectors.EVENT_READ)
        return reader

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
            return
        if number == signal.SIGHUP and not self._lost_its_terminal():
            if self._child is not None:
                os.kill(self._child, signal.SIGHUP)
            return
        self._stops += 1
        if self._child is not None:
            # Our own unreaped child: its pid cannot be anyone else's.
            os.kill(self._child, signal.SIGKILL if self._stops >= PATIENCE else signal.SIGTERM)

    def _lost_its_terminal(self) -> bool:
        """SIGHUP means that the terminal was closed, which ends the fleet; from anybody else it is a reload."""
        return self._had_terminal and not process.has_terminal()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._child:
                    self._bury()

    def _bury(self) -> None:
        """The orchestrator is dead: read its last words, close the link."""
        link, self._child = self._link, None
        if link is None:
            return
        link.setblocking(False)
        with contextlib.suppress(OSError):
            while self._link is not None:
                self._on_packet()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._selector.unregister(self._link)
            self._link.close()
            self._link = None

    def _sweep(self) -> None:
        """End all that fell to us, until nothing is left."""
        while True:
            self._kill_group()
            pidfd.kill_below(os.getpid())
            try:
                while os.waitpid(-1, os.WNOHANG)[0] != 0:
                    pass
            except ChildProcessError:
                return
            time.sleep(SWEEP_PAUSE_S)

    def _kill_group(self) -> None:
        """End the servers' control group, if there is one: no fork outruns that."""
        if self._group is not None:
            with contextlib.suppress(OSError), open(f"{self._group}/cgroup.kill", "w") as file:
                file.write("1")

    def _remove_group(self) -> None:
        """Leave no empty folders of the control group behind."""
        if self._group is not None:
            for folder, _, _ in os.walk(self._group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    # --- what the orchestrator asks

    def _on_packet(self) -> None:
        if self._link is None:
            return
        packet = seqpacket.receive(self._link)
        if packet is None:
            self._hang_up()
            return
        payload, descriptors = packet
        seqpacket.close_all(descriptors)
        message = json.loads(payload)
        match message["t"]:
            case "lock":
                self._answer(self._take_lock(message["path"]))
            case "listen":
                self._listen(message["name"], message["address"])
            case "release":
                self._sockets.release(message["name"])
                self._answer({"ok": True})
            case "group":
                self._group = str(message["path"])
            case "running":
                self._running = True
            case "notify":
                self._notifier.say(message["text"])
            case "exit":
                self._exit_code = int(message["code"])

    def _answer(self, answer: dict[str, object], descriptors: tuple[int, ...] = ()) -> None:
        if self._link is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                seqpacket.send(self._link, json.dumps(answer).encode(), descriptors)

    def _listen(self, name: str, address: list[object] | str) -> None:
        try:
            wanted = address if isinstance(address, str) else (str(address[0]), int(str(address[1])))
            held = self._sockets.listen(name, wanted)
        except OSError as fault:
            self._answer({"ok": False, "errno": fault.errno, "why": os.strerror(fault.errno or errno.EINVAL)})
            return
        bound = held.getsockname()
        self._answer(
            {"ok": True, "address": bound if isinstance(bound, str) else list(bound[:2])}, (held.fileno(),)
        )

    def _take_lock(self, path: str) -> dict[str, object]:
        """Lock the state folder for the guard's life; who holds it if somebody else does."""
        if self._lock is not None:
            return {"ok": True}
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as fault:
            return {"ok": False, "why": os.strerror(fault.errno or errno.EINVAL)}
        until = time.monotonic() + LOCK_PATIENCE_S
        while not _try_lock(descriptor):
            holder = _holder(descriptor)
            if (holder is not None and holder.state != "Z") or time.monotonic() > until:
                os.close(descriptor)
                return {"ok": False, "pid": holder.pid if holder else None}
            time.sleep(SWEEP_PAUSE_S)  # its holder is dead, or a command looks: it is free in a moment
        os.ftruncate(descriptor, 0)
        own = proc.read(os.getpid())
        os.pwrite(descriptor, f"{os.getpid()} {own.start_time if own else 0}\n".encode(), 0)
        self._lock = descriptor
        return {"ok": True}


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> proc.Proc | None:
    """The guard that wrote the lock file, if it still runs."""
    words = os.pread(descriptor, 64, 0).decode("ascii", "replace").split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    found = proc.read(int(words[0]))
    return found if found is not None and found.start_time == int(words[1]) else None


def import_flags() -> list[str]:
    """Interpreter flags for our own children: never import from the working folder, unless we live there."""
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [] if package_root == os.getcwd() else ["-P"]


def main(argv: list[str]) -> int:
    """Run the guard with the orchestrator's arguments; the exit code of the fleet."""
    return Guard(argv).run()
