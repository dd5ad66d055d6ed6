"""The command `recurra`: its verbs, and what each outcome says on standard error and returns to the shell."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnusedCliTokensError

from recurra.errors import InputError, RecurraError
from recurra_flows.cli import ending, output
from recurra_flows.cli.ending import STOPPED


def _version() -> str:
    from importlib.metadata import version

    return version("recurra")


def _app() -> App:
    """The verbs, each imported when it is used."""
    app = App(
        name="recurra",
        help="Train, compare and run recognisers and generators of images and clips that join convolutional and"
        " recurrent networks.",
        help_epilogue=(
            "`--debug`, anywhere on the line, shows the traceback of an error and all that Prefect logs."
            " With `--json` an error leaves standard output empty; its line is on standard error."
            " Exit status: 0, 2 for a wrong request or input, 1 for a failure, 130 when stopped."
        ),
        version=_version,
        version_flags=["--version"],
        help_flags=["--help", "-h"],
        suppress_keyboard_interrupt=False,
    )
    verbs = "recurra_flows.cli"
    app.command(f"{verbs}.run:run", help="Preprocess, train, evaluate and report, as an experiment file says.")
    app.command(f"{verbs}.run:resume", help="Go on with a run that did not end.")
    app.command(f"{verbs}.predict:predict", help="Recognise unlabelled files or folders with a run's network.")
    app.command(f"{verbs}.generate:generate", help="Make labelled samples with a run's GAN.")
    app.command(f"{verbs}.augment:augment", help="Study whether generated samples help a recogniser.")
    app.command(f"{verbs}.compare:compare", help="Compare backends and models over several seeds.")
    app.command(f"{verbs}.sweep:sweep", help="Search for the settings that recognise best.")
    app.command(f"{verbs}.up:up", help="Bring up the dashboard, the schedules and what runs them.")
    app.command(f"{verbs}.serve:serve", help="Run one experiment on a schedule.")
    app.command(f"{verbs}.score:score", help="Recognise the new files of a folder, each once.")
    app.command(f"{verbs}.champion:app", name="champion", help="Show the network in use, or go back to an earlier one.")
    app.command(f"{verbs}.devices:devices", help="List this machine's devices, and who holds them.")
    app.command(f"{verbs}.config:app", name="config", help="Show an experiment resolved, or the fields there are.")
    app.command(f"{verbs}.data:app", name="data", help="Look at a source before training on it.")
    app.command(f"{verbs}.runs:app", name="runs", help="List runs, or show one.")
    app.command(f"{verbs}.cache:app", name="cache", help="List, explain, verify or clear what stages have made.")
    app.command(f"{verbs}.plugins:app", name="plugins", help="List, check and start backends and other plugins.")
    app.command(f"{verbs}.doctor:doctor", help="Say what is installed, what is missing, and how to mend it.")
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0, 2 where the request or the input was wrong, 1 for a failure, 130 after Ctrl-C."""
    tokens = _without_debug(list(sys.argv[1:] if argv is None else argv))
    if argv is None:  # the process is ours
        ending.obey()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to stop
    status = _status(tokens)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where what goes wrong can still be said
    except OSError as error:
        _discard_output()
        return status or _output_lost(error)
    return status


def _status(tokens: Sequence[str]) -> int:
    try:
        return _app()(tokens, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except UnusedCliTokensError as error:
        unused = " ".join(error.unused_tokens or ())
        return _failed(InputError(f"nothing is expected where '{unused}' stands. `recurra --help` shows the verbs."))
    except CycloptsError as error:
        error.verbose = False
        return _failed(InputError(f"{_one_line(str(error))} `recurra --help` shows the verbs."))
    except RecurraError as error:
        return _failed(error)
    except BrokenPipeError as error:
        return STOPPED if _reader_gone() else _failed(error)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # so rich says that standard output's reader has gone
            return STOPPED
        raise
    except KeyboardInterrupt:
        output.say("stopped")
        return STOPPED
    except Exception as error:
        return _failed(error)


def _reader_gone() -> bool:
    # Of a pipe that is broken for some other reader (--out names a FIFO) the user is told.
    if sys.stdout is None:
        return False
    watched = select.poll()
    watched.register(sys.stdout.fileno(), 0)  # errors are told without being asked for
    return bool(watched.poll(0))


def _output_lost(error: OSError) -> int:
    # Nobody reads on (| head): that is no failure.
    if isinstance(error, BrokenPipeError):
        return STOPPED
    return _failed(OSError(error.errno, error.strerror, "standard output"))


def _discard_output() -> None:
    # What is left in the buffer; Python would complain once more while it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _without_debug(tokens: list[str]) -> list[str]:
    end = tokens.index("--") if "--" in tokens else len(tokens)
    output.DEBUG.set("--debug" in tokens[:end])
    return [token for token in tokens[:end] if token != "--debug"] + tokens[end:]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "?", "!")) else f"{line}."


def _failed(error: Exception) -> int:
    if output.DEBUG.get():
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, RecurraError):
        output.say(f"error: {error}")
        return error.exit_code
    if isinstance(error, MemoryError):
        output.say(f"error: out of memory ({_one_line(str(error) or 'no more is known')}) A smaller data.size helps.")
        return 1
    if isinstance(error, OSError):
        output.say(f"error: {error.filename or 'the system'}: {error.strerror or _one_line(str(error))}")
        return 1
    what = _one_line(f"{type(error).__name__}: {error}")
    output.say(f"error: {what} This is a fault in recurra or one of its libraries; --debug shows where.")
    return 1
