"""The command line: from Labelme polygons to a reviewed panoptic DETR.

Each subcommand imports the packages it needs when it runs, so that `--help` and the light commands
start quickly.
"""

from __future__ import annotations

import sys

from base.ctrl_c import STATUS, ctrl_c_was_pressed, end_at_next_ctrl_c, handle_ctrl_c

if __name__ == "__main__":
    handle_ctrl_c()  # before the imports below, which take a second

import os
from collections.abc import Callable
from importlib.metadata import version
from inspect import signature

import tyro

from base.errors import InputError, nearest
from commands.annotation import annotate, validate
from commands.conversion import convert, export, health, stuff
from commands.curation import curate, decide, review
from commands.evaluation import evaluate, report
from commands.intake import collect, import_, sample
from commands.label_errors import label_errors
from commands.prelabel import prelabel
from commands.relabel import relabel
from commands.training import onnx, predict, train, weights

COMMANDS: dict[str, Callable[..., None]] = {
    "sample": sample,
    "collect": collect,
    "import": import_,
    "annotate": annotate,
    "validate": validate,
    "stuff": stuff,
    "convert": convert,
    "health": health,
    "export": export,
    "curate": curate,
    "train": train,
    "predict": predict,
    "onnx": onnx,
    "weights": weights,
    "evaluate": evaluate,
    "report": report,
    "review": review,
    "decide": decide,
    "label-errors": label_errors,
    "relabel": relabel,
    "prelabel": prelabel,
}
app = tyro.extras.SubcommandApp()
for name, function in COMMANDS.items():
    app.command(name=name)(function)


def main() -> None:
    """Run one subcommand; report a user's mistake in one line and exit with status 2."""
    try:
        if sys.argv[1:] == ["--version"]:
            print(version("labelme-panoptic-detr"))
            return
        _check_command(sys.argv[1:])
        _check_options(sys.argv[1:])
        app.cli(
            prog="pipeline.py",
            description="From Labelme polygons to a reviewed panoptic DETR."
            " With --version instead of a subcommand, prints the version.",
            config=(tyro.conf.DisallowNone,),  # help shows PATH, not {None}|PATH
        )
        if ctrl_c_was_pressed():  # too late to stop the command, but not what a script runs next
            raise KeyboardInterrupt
    except BaseException as error:
        sys.exit(_status(error))
    finally:
        end_at_next_ctrl_c()


def _status(error: BaseException) -> int:
    """Report an error in one line and return the exit status; raise the program's own mistakes."""
    if isinstance(error, KeyboardInterrupt) or ctrl_c_was_pressed():
        print("stopped", file=sys.stderr)
        return STATUS
    if isinstance(error, BrokenPipeError):  # the reader closed the pipe, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, InputError):
        text = str(error)
    elif isinstance(error, OSError):  # no permission, no space, a file in place of a folder
        text = f"{error.filename or 'system'}: {error.strerror or error}"
    else:
        raise error
    print(f"error: {text}", file=sys.stderr)
    return 2


def _check_command(words: list[str]) -> None:
    """Raise InputError for a misspelt subcommand; the message suggests the nearest one."""
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        hint = nearest(words[0], COMMANDS) or f"; expected one of {', '.join(COMMANDS)}"
        raise InputError(f"'{words[0]}' is not a subcommand{hint}")


def _check_options(words: list[str]) -> None:
    """Raise InputError for an unknown option; the message suggests the nearest one.

    tyro takes the value of an unknown option for an argument, and then complains about others.
    """
    if not words or words[0] not in COMMANDS:
        return
    names = [name.replace("_", "-") for name in signature(COMMANDS[words[0]]).parameters]
    known = [f"--{no}{name}" for no in ("", "no-") for name in names] + ["--help"]
    for word in words[1:]:
        option = word.partition("=")[0]
        if option.startswith("--") and option.replace("_", "-") not in (*known, "--"):
            raise InputError(f"{option}: {words[0]} has no such option{nearest(option, known)}")


if __name__ == "__main__":
    main()
