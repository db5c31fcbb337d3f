"""The command line: words in, one call, an exit code out. Loads no torch before a command runs.

Exit codes: 0 done, 2 bad input, 3 nothing usable in the data, 130 interrupted, 1 a bug.
"""

import argparse
import json
import mimetypes
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, Union

import tyro
from rich.console import Console

from . import __version__
from .bench.config import BenchConfig
from .commands.arguments import Clean, Count, Evaluate, Export, Folder, Info, Render, SourceKind, Talk, View, Weights
from .commands.display import Output, say, screen
from .errors import (
    LESS_MEMORY,
    BadInputError,
    HyperfocalError,
    OutOfMemoryError,
    StoppedError,
    is_out_of_memory,
    out_of_memory,
)
from .fit.config import Blur, Exposure
from .progress import Progress, silent
from .reconstruct.config import PRESETS, Preset, ReconstructConfig, changed
from .sfm.config import Capture

LogKind: TypeAlias = Literal["tensorboard", "rerun"]

ABOUT = "Photographs, sharp or not, into 3D Gaussian scenes whose depth can be trusted."
EVAL_EVERY = 8  # what --eval holds out, the custom of the field since Mip-NeRF 360


@dataclass(frozen=True)
class Reconstruct(Talk):
    """Turn photographs into a 3D Gaussian scene, with a report on how good it is."""

    path: tyro.conf.Positional[Path]
    """Photographs: a folder of pictures, or a COLMAP, nerfstudio or other scene whose cameras are known."""
    config: Annotated[ReconstructConfig, tyro.conf.arg(name="")]
    out: Folder = None
    """Folder for the result; PATH's name with "_result" in the current folder if left out."""
    eval: bool = False
    """Hold out every 8th photograph, or the scene's test split, and measure on it."""
    preset: Preset = "default"
    """default: for keeping. quick: a first look, smaller and shorter. best: larger pictures, more Gaussians and steps,
    for about half an hour."""
    config_file: Annotated[Path | None, tyro.conf.arg(name="config", metavar="FILE")] = None
    """Start from the settings in this YAML file, such as the config.yaml of an earlier result."""
    steps: Count = None
    """Optimisation steps (short for --fit.steps)."""
    max_gaussians: Count = None
    """Most Gaussians (short for --fit.densify.cap)."""
    seed: Count = None
    """Of every random choice (short for --sfm.seed and --fit.seed)."""
    capture: Capture | None = None
    """How the photographs were taken (short for --sfm.capture); auto if left out."""
    scale: Annotated[str | None, tyro.conf.arg(metavar="HOW")] = None
    """Where metres come from: gps, aruco:DICT,SIZE, a file of camera positions, or a measured distance (short for
    --sfm.scale)."""
    frames: Count = None
    """Of a video: how many frames to use, sharp ones at equal motion; 60 to 150 if left out."""
    exposure: Exposure | None = None
    """What to fit of each photograph's colours: nothing, an affine change, or a bilateral grid, which also follows
    vignettes and tone curves (short for --fit.capture.exposure)."""
    refine_poses: bool = False
    """Correct the cameras while fitting (short for --fit.capture.pose)."""
    lens: Blur | None = None
    """Fit a lens to photographs that are out of focus in places: one aperture, and a focus distance for each; the scene
    comes out sharp. auto, the default: if it is worth it (short for --fit.capture.lens)."""
    motion: Blur | None = None
    """Fit how the camera moved while each photograph was taken. auto: if it is worth it (short for
    --fit.capture.motion)."""
    no_floaters: bool = False
    """Keep the space in front of the cameras clear (short for --fit.clear-view 0.5)."""
    sky: bool = False
    """Put a dome of far Gaussians around the scene (short for --fit.initial.sky 4000)."""
    kind: SourceKind | None = None
    """What the photographs are; recognised if left out. focal_stack: one view focused at many distances."""
    invert_masks: bool = False
    """The masks mark what does not count, in place of what counts."""
    overwrite: bool = False
    """Replace a result that stands at --out."""
    resume: bool = False
    """Go on with what an interrupted run of the same command left; a new start if there is nothing."""
    log: LogKind | None = None
    """Also write the course of the fit for TensorBoard or rerun, into a folder with "_log" at the end of its name."""
    view: bool = False
    """Show the scene in a browser of this machine while it is fitted."""
    dry_run: bool = False
    """Say what would be done and about how long it would take, and stop."""


@dataclass(frozen=True)
class Demo(Talk):
    """Reconstruct the soft photographs that come with hyperfocal, with and without their lens; takes minutes."""

    out: Path = Path("hyperfocal_demo")
    """Folder for the result."""
    quick: bool = False
    """A third of the steps, for a look at how it works."""
    overwrite: bool = False
    """Replace a result that stands at --out."""


@dataclass(frozen=True)
class Doctor:
    """Say what hyperfocal found on this machine, and what could be installed beside it."""

    build_cuda: bool = False
    """First compile gsplat with a lower alpha cut, which defocus on a GPU needs. Takes minutes, once."""


@dataclass(frozen=True)
class Bench:
    """Measure one of the project's figures again; without a name, list what can be measured."""

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = None
    """A bench, or "check" to verify a folder of results."""
    folder: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")] = None
    """The folder to check."""
    config: Annotated[BenchConfig, tyro.conf.arg(name="")] = BenchConfig()  # noqa: RUF009


COMMANDS: dict[str, type] = {
    kind.__name__.lower(): kind
    for kind in (Reconstruct, View, Render, Evaluate, Clean, Export, Info, Demo, Weights, Doctor, Bench)
}
Spoken: TypeAlias = Reconstruct | Render | Evaluate | Clean | Export | Info | Demo | Weights  # know --quiet and --json
Arguments: TypeAlias = Spoken | View | Doctor | Bench
ANYWHERE = ("--quiet", "--json")  # may stand before the command, too


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    errors = Console(stderr=True, highlight=False)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with screen(errors) as (output, progress):
            return run(parse(words), output, progress)
    except StoppedError as error:
        say(errors, str(error), "yellow")
        return error.exit_code
    except HyperfocalError as error:
        say(errors, f"Error: {error}", "red")
        return error.exit_code
    except KeyboardInterrupt:
        errors.print("\nInterrupted. Nothing was left half-written; --resume goes on with a fit that had begun.")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not worth a word, nor a second error when Python flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if is_out_of_memory(error):
            say(errors, f"Error: {out_of_memory(error, LESS_MEMORY)}", "red")
            return OutOfMemoryError.exit_code
        errors.print_exception()
        say(errors, "This is a bug in hyperfocal. Please report it with these lines and what `hyperfocal doctor` says.")
        return 1


def parse(words: Sequence[str]) -> Arguments:
    """Return the arguments of a command; leaves by SystemExit 2 with an explanation where the words make none.

    Raises:
        BadInputError: the file of --config cannot be used, or a setting is out of its range.
    """
    if list(words) == ["--version"]:
        Console(highlight=False).print(f"hyperfocal {__version__}")
        raise SystemExit(0)
    words = _command_first(words)
    if not words or words[0] not in COMMANDS:
        # Only for what it says: the list of commands, on demand or as a hint.
        choices = [Annotated[kind, tyro.conf.subcommand(name)] for name, kind in COMMANDS.items()]
        command: Any = Union[tuple(choices)]  # noqa: UP007
        tyro.cli(command, args=words, prog="hyperfocal", description=ABOUT)
        raise AssertionError("without a command, the line above leaves")
    name, *rest = words
    kind = _starting_from(_base_config(rest)) if name == "reconstruct" else COMMANDS[name]
    # A union of settings (how to densify) is chosen in a config file; as subcommands they would bury the everyday.
    rules = (tyro.conf.AvoidSubcommands, tyro.conf.FlagCreatePairsOff)
    try:
        return tyro.cli(kind, args=rest, prog=f"hyperfocal {name}", config=rules)
    except ValueError as error:  # a setting that refuses its value when it is constructed
        raise BadInputError(str(error)) from error


def _command_first(words: Sequence[str]) -> list[str]:
    """Return the words with those of `ANYWHERE` that stand before the command put behind it."""
    before = next((i for i, word in enumerate(words) if word not in ANYWHERE), len(words))
    return [*words[before : before + 1], *words[:before], *words[before + 1 :]]


def _starting_from(config: ReconstructConfig) -> type[Reconstruct]:
    """Return `Reconstruct` with `config` as the default of its settings."""
    settings = ("config", Annotated[ReconstructConfig, tyro.conf.arg(name="")], field(default=config))
    return make_dataclass(
        "Reconstruct", [settings], bases=(Reconstruct,), frozen=True, namespace={"__doc__": Reconstruct.__doc__}
    )


def _base_config(words: Sequence[str]) -> ReconstructConfig:
    """Return the settings that --preset and --config name: what every other flag then changes."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--preset", choices=PRESETS, default="default")
    early.add_argument("--config", type=Path)
    try:
        known, _ = early.parse_known_args(list(words))
    except argparse.ArgumentError:
        return ReconstructConfig()  # the real parser will say what is wrong
    if known.config is None:
        return PRESETS[known.preset]
    from .reconstruct.config_file import read_config

    return read_config(known.config, PRESETS[known.preset])


def run(arguments: Arguments, console: Output, progress: Progress) -> int:
    """Do what the arguments say, and return the exit code."""
    match arguments:
        case Doctor():
            from .commands.doctor import doctor

            return doctor(build_cuda=arguments.build_cuda, console=console, progress=progress)
        case View():
            from .commands.view import view

            return view(arguments.path, port=arguments.port, may_open=not arguments.no_open, console=console)
        case Bench():
            from .bench.command import bench

            return bench(arguments.name, arguments.folder, arguments.config, console=console, progress=progress)
        case _:
            # What these print is what they were asked for; --quiet leaves them their bars only.
            asked = isinstance(arguments, Info | Evaluate | Weights)
            console.quiet = arguments.json or (arguments.quiet and not asked)
            record = _done(arguments, console, silent if arguments.quiet else progress)
            console.quiet = False
            if arguments.json:
                named = {"command": type(arguments).__name__.lower(), **record}
                say(console, json.dumps(named, default=str, allow_nan=False))
            return 0


def _done(arguments: Spoken, console: Console, progress: Progress) -> Mapping[str, object]:
    """Do what the arguments say, and return the record of it for --json."""
    match arguments:
        case Reconstruct():
            from .commands.reconstruct import reconstruct

            return reconstruct(
                arguments.path,
                _config_of(arguments),
                out=arguments.out or _default_out(arguments.path),
                overwrite=arguments.overwrite,
                resume=arguments.resume,
                log=arguments.log,
                live=arguments.view,
                dry_run=arguments.dry_run,
                kind=arguments.kind,
                frames=arguments.frames,
                invert_masks=arguments.invert_masks,
                console=console,
                progress=progress,
            )
        case Demo():
            from .commands.demo import show_demo

            return show_demo(
                arguments.out,
                quick=arguments.quick,
                overwrite=arguments.overwrite,
                console=console,
                progress=progress,
            )
        case Render():
            from .commands.render import render

            return render(arguments, console=console, progress=progress)
        case Clean():
            from .commands.clean import clean_path, default_out

            return clean_path(
                arguments.path,
                arguments.out or default_out(arguments.path),
                arguments.config,
                overwrite=arguments.overwrite,
                console=console,
                progress=progress,
            )
        case Export():
            from .commands.export import export

            return export(arguments, console=console, progress=progress)
        case Evaluate():
            from .commands.evaluate import evaluate

            return evaluate(arguments.result, arguments.data, console=console, progress=progress)
        case Info():
            from .commands.info import info

            return info(arguments.path, kind=arguments.kind, console=console, progress=progress)
        case Weights():
            from .commands.weights import weights_command

            return weights_command(
                arguments.action,
                arguments.name,
                arguments.source,
                console=console,
                progress=progress,
                bars=not arguments.quiet,
            )


def _config_of(arguments: Reconstruct) -> ReconstructConfig:
    """Return the settings with the everyday flags put in their places."""
    try:
        return changed(
            arguments.config,
            steps=arguments.steps,
            max_gaussians=arguments.max_gaussians,
            seed=arguments.seed,
            capture=arguments.capture,
            scale=arguments.scale,
            eval_every=EVAL_EVERY if arguments.eval else None,
            exposure=arguments.exposure,
            refine_poses=arguments.refine_poses or None,
            lens=arguments.lens,
            motion=arguments.motion,
            no_floaters=arguments.no_floaters or None,
            sky=arguments.sky or None,
        )
    except ValueError as error:
        raise BadInputError(str(error)) from error


def _default_out(photographs: Path) -> Path:
    """Return where the result goes unless told otherwise: beside nothing of the user's, in the current folder."""
    place = photographs.absolute()
    if (mimetypes.guess_type(place.name)[0] or "").startswith("video/"):
        return Path(f"{place.stem}_result")
    return Path(f"{place.parent.name if place.is_file() else place.name}_result")
