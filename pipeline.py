"""The command line: from Labelme polygons to a reviewed panoptic DETR.

Each subcommand imports the packages it needs when it runs, so that `--help` and the light commands
start quickly.
"""

from __future__ import annotations

import os
import sys

import tyro

from base.errors import InputError
from commands.annotation import annotate, validate
from commands.conversion import convert, export, stuff
from commands.curation import curate, review
from commands.evaluation import evaluate, report
from commands.intake import collect, import_, sample
from commands.training import onnx, predict, train

app = tyro.extras.SubcommandApp()
app.command(sample)
app.command(collect)
app.command(name="import")(import_)
app.command(annotate)
app.command(validate)
app.command(stuff)
app.command(convert)
app.command(export)
app.command(curate)
app.command(train)
app.command(predict)
app.command(onnx)
app.command(evaluate)
app.command(report)
app.command(review)


def main() -> None:
    """Run one subcommand; report a user's mistake in one line and exit with status 2."""
    try:
        app.cli(
            prog="pipeline.py", description="From Labelme polygons to a reviewed panoptic DETR."
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader closed the pipe, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # no permission, no space, a file in place of a folder
        print(f"error: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
