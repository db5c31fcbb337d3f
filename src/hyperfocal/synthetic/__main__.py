"""Command line: `python -m hyperfocal.synthetic OUT --views 24 --width 320 --height 240 --scene-seed 0`."""

import argparse
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..errors import HyperfocalError
from .mitsuba_capture import CaptureFiles, render_capture
from .mitsuba_scene import CaptureLens
from .softness import Softness


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hyperfocal.synthetic",
        description="Render a procedural still life into photographs with exact cameras and depth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--views", type=int, default=24, help="photographs")
    parser.add_argument("--width", type=int, default=320, help="pixels")
    parser.add_argument("--height", type=int, default=240, help="pixels")
    parser.add_argument("--samples", type=int, default=256, help="light paths a pixel")
    parser.add_argument("--scene-seed", type=int, default=0, help="which still life")
    parser.add_argument("--path-seed", type=int, default=0, help="unevenness of the camera path")
    parser.add_argument("--render-seed", type=int, default=0, help="noise")
    parser.add_argument("--focal-length-35mm", type=float, default=35.0, help="mm for a frame 36 mm wide")
    parser.add_argument("--aperture-radius", type=float, default=0.0, help="metres; 0 is the pinhole")
    parser.add_argument(
        "--focus-distance", type=float, default=1.0, help="metres along the axis, with --aperture-radius"
    )
    parser.add_argument(
        "--circle-px",
        type=float,
        default=0.0,
        help="median circle of confusion, pixels: a lens for each photograph, focused at distances of its own",
    )
    parser.add_argument(
        "--streak-px", type=float, default=0.0, help="median streak, pixels: the camera moves during the exposure"
    )
    parser.add_argument("--sub-frames", type=int, default=16, help="moments of an exposure, with --streak-px")
    parser.add_argument("--soft-seed", type=int, default=0, help="which focus distances and motions")
    parser.add_argument("--photographs", choices=("png8", "png16", "jpeg"), default="png8", help="file form")
    parser.add_argument("--jpeg-quality", type=int, default=92, help="1 to 95")
    parser.add_argument("--depth", choices=("png16", "npz", "none"), default="png16", help="form of the depth truth")
    parser.add_argument("--linear", action="store_true", help="also write linear light, float32 npz")
    parser.add_argument("--no-cameras", action="store_true", help="write no poses")
    parser.add_argument("--detail", type=float, default=1.0, help="factor on the texture resolution")
    parser.add_argument("--variant", default="scalar_rgb", help="Mitsuba variant; llvm_ad_rgb is several times faster")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = _parser().parse_args(arguments)
    files = CaptureFiles(args.photographs, args.jpeg_quality, args.linear, args.depth, not args.no_cameras)
    columns = TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    try:
        lens = CaptureLens(args.aperture_radius, args.focus_distance) if args.aperture_radius else None
        softness = None
        if args.circle_px or args.streak_px:
            softness = Softness(args.circle_px, args.streak_px, args.sub_frames, args.soft_seed)
        with Progress(*columns) as progress:
            task = progress.add_task("rendering", total=None)
            render_capture(
                args.out,
                scene_seed=args.scene_seed,
                views=args.views,
                width=args.width,
                height=args.height,
                samples=args.samples,
                lens=lens,
                softness=softness,
                focal_length_35mm=args.focal_length_35mm,
                path_seed=args.path_seed,
                render_seed=args.render_seed,
                variant=args.variant,
                files=files,
                detail=args.detail,
                on_progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    except HyperfocalError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
