"""`omnimind serve`: one built-in server on its own port, in the foreground; what a systemd unit runs.

Sockets and the way to the service manager are taken out of the environment before anything else happens, so
that nothing started later inherits them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from omnimind.cli import options, terminal
from omnimind.errors import Exit, OmniMindError, SettingsError, StateError
from omnimind.systemd import listen_fds, notify


def run(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = options.parser("serve", "Serve one built-in server on its own port; Ctrl-C or SIGTERM stops it.")
    parser.add_argument("name", metavar="NAME", help="a built-in server, such as thinking")
    options.add_config(parser)
    options.add_state(parser)
    parser.add_argument("--port", type=options.port, help="its port; 0 takes any free one (the server's own)")
    parser.add_argument(
        "--no-auth", action="store_true", help="accept calls from this machine without a token"
    )
    parser.add_argument(
        "--json-logs", action="store_true", help="write JSON lines to stderr (the default under systemd)"
    )
    parser.epilog = (
        "Takes the sockets that systemd passes (FileDescriptorName=http and worker), and tells it when "
        "the server is ready, stopping and alive. Exit codes: 0 stopped, 78 the configuration or the state "
        "folder cannot be used, 1 anything else."
    )
    arguments = parser.parse_args(argv)
    passed, notifier = listen_fds.take(), notify.from_environment()
    from omnimind.serving import records, unit

    try:
        return unit.run(
            arguments.name,
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
