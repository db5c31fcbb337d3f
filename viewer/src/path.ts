/** A path of the camera with its lens: keyframes, what is between them, and the file `hyperfocal render --path` reads.
 *
 * Between keyframes camera and lens go exactly as in `hyperfocal.paths.sample` and `hyperfocal.path_lens.lens_along`.
 */

import { centerOf, framed, poseOf, quaternionOf, roundFocalPx, type Pinhole, type Quat, type Vec3 } from "./geometry";
import type { Lens } from "./lens";

export interface Keyframe {
  timeS: number;
  camera: Pinhole;
  lens: Lens;
}

export interface Path {
  keyframes: Keyframe[];
  closed: boolean;
  /** How long the film is; of an open path the time of the last keyframe after the first. */
  seconds: number;
}

const FPS = 30;
/** A path's file knows no pinhole and no infinity: an opening that is one of f/64, as far as a picture can tell. */
const PINHOLE_STOP = 64;
/** Focusing where infinity is blurred by this many pixels is focusing at infinity. */
const UNSEEN_PX = 0.25;

/** The lenses of keyframes as positive, finite numbers; null if all are pinholes: a film sharp everywhere. */
function toldLenses(path: Path, pinholeAperture: (camera: Pinhole) => number): Lens[] | null {
  if (path.keyframes.every((k) => k.lens.apertureDiameter === 0)) return null;
  return path.keyframes.map(({ camera, lens }) => {
    const apertureDiameter = lens.apertureDiameter || pinholeAperture(camera);
    const hyperfocal = (apertureDiameter * roundFocalPx(camera)) / UNSEEN_PX;
    return { apertureDiameter, focusDistance: Number.isFinite(lens.focusDistance) ? lens.focusDistance : hyperfocal };
  });
}

/** Puts keyframes in the order of their times, the first at 0. */
export function ordered(path: Path): Path {
  const keyframes = [...path.keyframes].sort((a, b) => a.timeS - b.timeS);
  const start = keyframes[0]?.timeS ?? 0;
  const moved = keyframes.map((k) => ({ ...k, timeS: k.timeS - start }));
  const last = moved.at(-1)?.timeS ?? 0;
  return { keyframes: moved, closed: path.closed, seconds: path.closed ? Math.max(path.seconds, last + 0.1) : last };
}

/** The text of the file. `fNumberAperture` gives the opening of a camera at an f-number. */
export function pathJson(path: Path, fNumberAperture: (fNumber: number, camera: Pinhole) => number): string {
  const { keyframes, closed, seconds } = ordered(path);
  const size = keyframes[0]?.camera ?? { width: 1, height: 1 };
  const lenses = toldLenses({ keyframes, closed, seconds }, (camera) => fNumberAperture(PINHOLE_STOP, camera));
  const rows = keyframes.map((keyframe, i) => {
    const camera = framed(keyframe.camera, size.width, size.height);
    const lens = lenses?.[i];
    return {
      time_s: keyframe.timeS,
      world_to_camera: camera.worldToCamera,
      focal_px: camera.focalPx,
      center_px: camera.centerPx,
      ...(lens ? { focus_distance: lens.focusDistance, aperture_diameter: lens.apertureDiameter } : {}),
    };
  });
  const head = { hyperfocal_path: 1, axes: "opencv", width: size.width, height: size.height };
  const length = { seconds: keyframes.length > 1 || closed ? seconds : 1, closed, fps: FPS };
  return `${JSON.stringify({ ...head, ...length, keyframes: rows }, null, 1)}\n`;
}

/** Camera and lens at a time, 0 to `seconds`; the lens is null where all keyframes are pinholes. */
export function at(
  path: Path, timeS: number, fNumberAperture: (fNumber: number, camera: Pinhole) => number,
): { camera: Pinhole; lens: Lens | null } {
  const { keyframes, closed, seconds } = ordered(path);
  const first = keyframes[0];
  if (!first) throw new Error("a path without keyframes");
  const { width, height } = first.camera;
  const cameras = keyframes.map((k) => framed(k.camera, width, height));
  const times = keyframes.map((k) => k.timeS);
  const lenses = toldLenses({ keyframes, closed, seconds }, (camera) => fNumberAperture(PINHOLE_STOP, camera));
  const time = closed ? timeS % seconds : timeS;

  const quaternions = oneHemisphere((closed ? thrice(cameras) : cameras).map((c) => quaternionOf(c.worldToCamera)));
  const columns = (closed ? thrice(cameras) : cameras).map((c, i) => [
    ...centerOf(c.worldToCamera), ...(quaternions[i] as Quat), ...c.focalPx.map(Math.log), ...c.centerPx,
  ]);
  const knots = closed ? [...times.map((t) => t - seconds), ...times, ...times.map((t) => t + seconds)] : times;
  const row = spline(knots, columns, time);
  const camera: Pinhole = {
    worldToCamera: poseOf(row.slice(3, 7) as Quat, row.slice(0, 3) as Vec3),
    focalPx: row.slice(7, 9).map(Math.exp) as [number, number],
    centerPx: row.slice(9, 11) as [number, number],
    width,
    height,
  };
  if (lenses === null) return { camera, lens: null };
  const along = (values: number[]) => Math.exp(monotone(knots, (closed ? thrice(values) : values).map(Math.log), time));
  const apertureDiameter = along(lenses.map((l) => l.apertureDiameter));
  return { camera, lens: { apertureDiameter, focusDistance: along(lenses.map((l) => l.focusDistance)) } };
}

const thrice = <T>(values: T[]): T[] => [...values, ...values, ...values];

function oneHemisphere(quaternions: Quat[]): Quat[] {
  const out: Quat[] = [];
  for (const q of quaternions) {
    const before = out.at(-1);
    const flip = before !== undefined && before.reduce((sum, x, i) => sum + x * (q[i] ?? 0), 0) < 0;
    out.push(flip ? (q.map((x) => -x) as Quat) : q);
  }
  return out;
}

/** Number of the knot that a parameter follows, so that the next one is there too. */
function pieceOf(knots: number[], at: number): number {
  let i = 0;
  while (i < knots.length - 2 && (knots[i + 1] as number) <= at) i++;
  return i;
}

/** A Catmull-Rom spline at uneven knots: a cubic Hermite one whose tangents are those of parabolas, straight at its ends. */
export function spline(knots: number[], values: number[][], at: number): number[] {
  const only = values[0] as number[];
  if (knots.length === 1) return only;
  const i = pieceOf(knots, at);
  const gap = gapAt(knots, i);
  const t = (at - (knots[i] as number)) / gap;
  return only.map((_, c) => {
    const column = values.map((v) => v[c] as number);
    const [start, end] = [column[i] as number, column[i + 1] as number];
    const m0 = gap * tangent(knots, column, i) - (end - start);
    const m1 = gap * tangent(knots, column, i + 1) - (end - start);
    return (1 - t) * start + t * end + t * (1 - t) * ((1 - t) * m0 - t * m1);
  });
}

const gapAt = (knots: number[], i: number): number => (knots[i + 1] as number) - (knots[i] as number);
const slopeAt = (knots: number[], values: number[], i: number): number =>
  ((values[i + 1] as number) - (values[i] as number)) / gapAt(knots, i);

function tangent(knots: number[], values: number[], i: number): number {
  const last = knots.length - 1;
  if (i === 0) return slopeAt(knots, values, 0);
  if (i === last) return slopeAt(knots, values, last - 1);
  const [before, after] = [gapAt(knots, i - 1), gapAt(knots, i)];
  return (after * slopeAt(knots, values, i - 1) + before * slopeAt(knots, values, i)) / (before + after);
}

/** The cubic through values that does not overshoot (Fritsch and Carlson 1980), with scipy's slopes at its ends. */
export function monotone(knots: number[], values: number[], at: number): number {
  const last = knots.length - 1;
  if (last === 0) return values[0] as number;
  const time = Math.min(Math.max(at, knots[0] as number), knots[last] as number);
  const slope = (i: number): number => {
    if (last === 1) return slopeAt(knots, values, 0);
    if (i === 0) return endSlope(gapAt(knots, 0), gapAt(knots, 1), slopeAt(knots, values, 0), slopeAt(knots, values, 1));
    if (i === last) {
      const [near, next] = [last - 1, last - 2];
      return endSlope(gapAt(knots, near), gapAt(knots, next), slopeAt(knots, values, near), slopeAt(knots, values, next));
    }
    const [before, after] = [slopeAt(knots, values, i - 1), slopeAt(knots, values, i)];
    if (before * after <= 0) return 0;
    const w1 = 2 * gapAt(knots, i) + gapAt(knots, i - 1);
    const w2 = gapAt(knots, i) + 2 * gapAt(knots, i - 1);
    return (w1 + w2) / (w1 / before + w2 / after);
  };
  const i = pieceOf(knots, time);
  const gap = gapAt(knots, i);
  const t = (time - (knots[i] as number)) / gap;
  const [start, end] = [values[i] as number, values[i + 1] as number];
  const m0 = gap * slope(i) - (end - start);
  const m1 = gap * slope(i + 1) - (end - start);
  return (1 - t) * start + t * end + t * (1 - t) * ((1 - t) * m0 - t * m1);
}

function endSlope(gap: number, nextGap: number, slope: number, nextSlope: number): number {
  const end = ((2 * gap + nextGap) * slope - gap * nextSlope) / (gap + nextGap);
  if (end * slope <= 0) return 0;
  return slope * nextSlope <= 0 && Math.abs(end) > 3 * Math.abs(slope) ? 3 * slope : end;
}
