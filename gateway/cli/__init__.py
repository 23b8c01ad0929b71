"""The one command, coldchain: a sub-command for each job, loaded only when it is used.

Exit status: 0 well, 1 the answer is no (not accepted, not verified), 2 wrong input, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from gateway.core.errors import InputError

WRONG_INPUT = 2
INTERRUPTED = 130

_COMMANDS = {
    "backfill": "Read a logger's memory now.",
    "demo": "A day of transport, played before your eyes.",
    "doctor": "Say what keeps a vehicle from working.",
    "export": "Write a part of the record that proves itself.",
    "enrol": "Enrol a logger to a box, or take it out.",
    "evaluate": "Judge a recording that a logger wrote.",
    "hub": "Run the hub: archive, judge, alert, serve the pages.",
    "import": "Bring recordings into the hub's archive.",
    "loggers": "List the loggers, and what they need.",
    "profiles": "List, show and check transport profiles.",
    "recalibrate": "Which verdicts a bad calibration would change.",
    "register": "Register many boxes, loggers and gateways from one file.",
    "report": "Write the report on one consignment.",
    "scan": "Show the loggers within reach.",
    "simulate": "Run simulated loggers, or check a scenario.",
    "swap": "Exchange a logger; the box keeps its history.",
    "vehicle": "Run the gateway of one vehicle.",
    "verify": "Prove that a record is complete and unaltered.",
}
"""Name → what stands in the list of commands. NAME lives in gateway/cli/NAME.py as `command`."""
_MODULES = {"import": "importing"}
"""Except where NAME is no name of a module."""


class CommandLine(click.Group):
    """A group that imports a sub-command when it is asked for, and says what is wrong in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the alphabet."""
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a sub-command, None if there is no such name."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{_MODULES.get(cmd_name, cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in self.list_commands(ctx)])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  click's own signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002  the same
        **extra: Any,  # noqa: ANN401  the same
    ) -> Any:  # noqa: ANN401  the same
        """Run, and leave with an exit status; errors of input become one line on stderr."""
        del prog_name, windows_expand_args  # the name is coldchain however it was started; Linux shells expand
        run = super().main
        if not standalone_mode:
            return run(args, "coldchain", complete_var, standalone_mode=False, **extra)
        try:
            status = run(args, "coldchain", complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(WRONG_INPUT)
        except click.ClickException as error:
            _complain(error.format_message())
            sys.exit(error.exit_code)
        except InputError as error:
            _complain(str(error))
            sys.exit(WRONG_INPUT)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # `coldchain … | head`: whoever read has seen enough
            sys.stderr.close()
            sys.exit(0)
        sys.exit(status if isinstance(status, int) else 0)


def _complain(text: str) -> None:
    click.echo(f"coldchain: {' '.join(text.split())}", err=True)


@click.command(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("coldchain-gateway"), prog_name="coldchain")
def main() -> None:
    """Temperature loggers in transport boxes, read on the way and judged at the bench.

    \b
    Examples:
      coldchain demo                            watch a day of transport
      coldchain evaluate trip.txt --profile ID  judge a recording
      coldchain hub --settings hub.toml         run the hub of a laboratory
      coldchain vehicle --settings vehicle.toml run the gateway in a van

    `coldchain COMMAND --help` says more about each.
    """  # noqa: D301  \b is click's mark for "keep these lines", not an escape
