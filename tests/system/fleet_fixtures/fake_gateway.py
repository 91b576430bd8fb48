"""A gateway double for tests of the orchestrator: speaks the link, and JSON lines on its listening sockets.

A caller sends one JSON object a line: `{"do": "heard"}` answers with every server's last message; `{"do":
"call", "server", "principal", "era", "session", "message"}` passes one JSON-RPC message to a server and
answers with what came back; `{"do": "release", "child"}`, `{"do": "tell", "message"}` pass a message to the
orchestrator.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import json
import os
import queue
import socket
import sys
import threading
from typing import Any

from omnimind.linux import packets, process, seqpacket


class FakeGateway:
    def __init__(self, link: socket.socket) -> None:
        self.link = link
        packet = packets.receive(link)
        assert packet is not None
        self.start, self.listeners = packet
        self.epoch: int = self.start["epoch"]
        self.servers: dict[str, dict[str, Any]] = {}
        self.applied: list[dict[str, Any]] = []
        self.gone: list[dict[str, Any]] = []
        self.answers: dict[int, queue.Queue[tuple[dict[str, Any], list[int]]]] = {}
        self.numbers = itertools.count(1)
        self.pipes: dict[int, tuple[int, int]] = {}

    def run(self) -> None:
        for listener in self.listeners:
            held = socket.socket(fileno=listener)
            held.setblocking(True)
            threading.Thread(target=self.accept, args=(held,), daemon=True).start()
        packets.send(self.link, {"t": "up", "pid": os.getpid()})
        while (packet := packets.receive(self.link)) is not None:
            message, descriptors = packet
            match message["t"]:
                case "server":
                    self.servers[message["name"]] = message
                case "child":
                    asked = self.answers.get(message["request"])
                    if asked is None:
                        seqpacket.close_all(descriptors)
                    else:
                        asked.put((message, descriptors))
                case "child_gone":
                    self.gone.append(message)
                case "apply":
                    self.applied.append(message)
                case "stats":
                    packets.send(self.link, {"t": "stats", "request": message["request"]})
                case "drain":
                    break
        os._exit(0)

    def accept(self, listener: socket.socket) -> None:
        while True:
            caller, _ = listener.accept()
            threading.Thread(target=self.serve, args=(caller,), daemon=True).start()

    def serve(self, caller: socket.socket) -> None:
        with caller, caller.makefile("rwb") as stream, contextlib.suppress(OSError, ValueError):
            for line in stream:
                stream.write(json.dumps(self.do(json.loads(line)), default=repr).encode() + b"\n")
                stream.flush()

    def do(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "heard":
                snapshot = self.start["snapshot"]
                return {
                    "epoch": self.epoch,
                    "pid": os.getpid(),
                    "servers": self.servers,
                    "snapshot": snapshot,
                    "listeners": self.start["listeners"],
                    "applied": self.applied,
                    "gone": self.gone,
                    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
                }
            case "tell":
                packets.send(self.link, request["message"])
                return {}
            case "call":
                return self.call(request)
        raise ValueError(request["do"])

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        state = self.servers.get(request["server"], {})
        if state.get("path"):
            return self.call_worker(state, request["message"])
        number = next(self.numbers)
        self.answers[number] = queue.Queue()
        want = {name: request[name] for name in ("server", "principal", "era", "session") if name in request}
        packets.send(self.link, {"t": "want_child", "request": number, **want})
        answer, descriptors = self.answers[number].get(timeout=60)
        if not answer["ok"]:
            return {"refused": answer}
        answer["leftover"] = base64.b64encode(answer["leftover"]).decode()
        stdin, stdout = descriptors
        os.set_blocking(stdin, True)
        os.set_blocking(stdout, True)
        got = None
        if "message" in request:
            os.write(stdin, json.dumps(request["message"]).encode() + b"\n")
            got = read_answer(lambda: os.read(stdout, 65536), request["message"]["id"])
        os.close(stdin)
        os.close(stdout)
        return {"child": answer, "got": got}

    def call_worker(self, state: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.settimeout(20)
            end.connect(state["path"])
            end.sendall(state["key"].encode() + b"\n" + json.dumps(message).encode() + b"\n")
            return {"got": read_answer(lambda: end.recv(65536), message["id"])}


def read_answer(read: Any, number: int) -> Any:
    data = b""
    while True:
        chunk = read()
        if not chunk:
            return None
        data += chunk
        *lines, data = data.split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if message.get("id") == number:
                    return message


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    if process.die_with_parent(options.parent):
        FakeGateway(socket.socket(fileno=options.link)).run()


if __name__ == "__main__":
    main()
