"""`omnimind serve`: one built-in server on its own port, in the foreground; what a systemd unit runs. With
`--stdio` on its standard streams, as a client's own configuration starts it.

Sockets and the way to the service manager are taken out of the environment before anything else happens, so
that nothing started later inherits them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from omnimind.cli import options, terminal
from omnimind.errors import Exit, OmniMindError, SettingsError, StateError, UsageError
from omnimind.systemd import listen_fds, notify


def run(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = options.parser("serve", "Serve one built-in server on its own port; Ctrl-C or SIGTERM stops it.")
    parser.add_argument("name", metavar="NAME", help="a built-in server, such as thinking")
    parser.add_argument(
        "--stdio",
        action="store_true",
        help="speak MCP on the standard streams, to the client that started it",
    )
    options.add_config(parser)
    options.add_state(parser)
    parser.add_argument("--port", type=options.port, help="its port; 0 takes any free one (the server's own)")
    parser.add_argument(
        "--no-auth", action="store_true", help="accept calls from this machine without a token"
    )
    parser.add_argument(
        "--json-logs", action="store_true", help="write JSON lines to stderr (the default under systemd)"
    )
    parser.usage = "%(prog)s [options] NAME [-- ARGS]"
    parser.epilog = (
        "What follows -- are the server's own arguments, in place of those in the configuration. "
        "Takes the sockets that systemd passes (FileDescriptorName=http and worker), and tells it when "
        "the server is ready, stopping and alive. Exit codes: 0 stopped, 78 the configuration or the state "
        "folder cannot be used, 1 anything else."
    )
    at = argv.index("--") if "--" in argv else len(argv)
    arguments = parser.parse_args(argv[:at])
    own = tuple(argv[at + 1 :]) if at < len(argv) else None
    if arguments.stdio and (arguments.port is not None or arguments.no_auth):
        raise UsageError(
            "OM0100", "--stdio has no port and needs no token", help="see: omnimind serve --help"
        )
    passed, notifier = listen_fds.take(), notify.from_environment()
    from omnimind.serving import records, unit

    try:
        if arguments.stdio:
            unit.on_stdio(arguments.name, own, config=arguments.config, state=arguments.state)
            return Exit.OK
        return unit.run(
            arguments.name,
            own,
            config=arguments.config,
            state=arguments.state,
            port=arguments.port,
            auth=False if arguments.no_auth else None,
            json_logs=arguments.json_logs,
            passed=passed,
            notifier=notifier,
        )
    except OmniMindError as error:
        notifier.say(f"STATUS={error.what}")
        if records.wants_json(arguments.json_logs):
            records.set_up(arguments.name, arguments.json_logs)
            logging.getLogger("omnimind.serve").error("%s", error.render())
        else:
            print(error.render(terminal.has_color(sys.stderr)), file=sys.stderr)
        return Exit.CONFIG if isinstance(error, SettingsError | StateError) else error.exit_code
