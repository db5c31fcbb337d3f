/** Vectors, rigid transforms and cameras, with the conventions of the library: OpenCV axes, pixel corners at 0. */

export type Vec3 = [number, number, number];
export type Quat = [number, number, number, number]; // w, x, y, z
export type Row4 = [number, number, number, number];
export type Mat4 = [Row4, Row4, Row4, Row4];

/** A pinhole camera; `width` and `height` are those of the picture that focal length and centre belong to. */
export interface Pinhole {
  worldToCamera: Mat4;
  focalPx: [number, number];
  centerPx: [number, number];
  width: number;
  height: number;
}

export const add = (a: Vec3, b: Vec3): Vec3 => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const sub = (a: Vec3, b: Vec3): Vec3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const mul = (a: Vec3, s: number): Vec3 => [a[0] * s, a[1] * s, a[2] * s];
export const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
export const norm = (a: Vec3): number => Math.hypot(...a);
export const unit = (a: Vec3): Vec3 => mul(a, 1 / (norm(a) || 1));
export const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Row `i` of the rotation: the camera's axis i (0 right, 1 down, 2 forward) in the world. */
export const axisOf = (pose: Mat4, i: 0 | 1 | 2): Vec3 => [pose[i][0], pose[i][1], pose[i][2]];

export function centerOf(pose: Mat4): Vec3 {
  const t: Vec3 = [pose[0][3], pose[1][3], pose[2][3]];
  return mul(add(add(mul(axisOf(pose, 0), t[0]), mul(axisOf(pose, 1), t[1])), mul(axisOf(pose, 2), t[2])), -1);
}

/** The pose of a camera at `center` with the given axes, which are at right angles and of length 1. */
export function poseFrom(right: Vec3, down: Vec3, forward: Vec3, center: Vec3): Mat4 {
  const row = (axis: Vec3): Row4 => [...axis, -dot(axis, center)];
  return [row(right), row(down), row(forward), [0, 0, 0, 1]];
}

export function lookAt(eye: Vec3, target: Vec3, up: Vec3): Mat4 {
  const forward = unit(sub(target, eye));
  let right = cross(forward, up);
  if (norm(right) < 1e-6) right = cross(forward, Math.abs(forward[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0]);
  right = unit(right);
  return poseFrom(right, cross(forward, right), forward, eye);
}

/** `v` turned about the unit axis by an angle (Rodrigues). */
export function turned(v: Vec3, axis: Vec3, angle: number): Vec3 {
  const c = Math.cos(angle);
  return add(add(mul(v, c), mul(cross(axis, v), Math.sin(angle))), mul(axis, dot(axis, v) * (1 - c)));
}

/** The camera carried about `pivot` by a turn. */
export function turnedAbout(pose: Mat4, pivot: Vec3, axis: Vec3, angle: number): Mat4 {
  const now = (i: 0 | 1 | 2) => turned(axisOf(pose, i), axis, angle);
  return poseFrom(now(0), now(1), now(2), add(pivot, turned(sub(centerOf(pose), pivot), axis, angle)));
}

export function movedTo(pose: Mat4, center: Vec3): Mat4 {
  return poseFrom(axisOf(pose, 0), axisOf(pose, 1), axisOf(pose, 2), center);
}

/** The camera with a picture of another shape: the middle part of what it showed, nothing beyond it. */
export function framed(camera: Pinhole, width: number, height: number): Pinhole {
  return fitted(camera, width, height, Math.max(width / camera.width, height / camera.height));
}

/** The camera with a picture of another shape that holds all of what it showed, and more on two sides. */
export function contained(camera: Pinhole, width: number, height: number): Pinhole {
  return fitted(camera, width, height, Math.min(width / camera.width, height / camera.height));
}

function fitted(camera: Pinhole, width: number, height: number, ratio: number): Pinhole {
  return {
    worldToCamera: camera.worldToCamera,
    focalPx: [camera.focalPx[0] * ratio, camera.focalPx[1] * ratio],
    centerPx: [
      width / 2 + ratio * (camera.centerPx[0] - camera.width / 2),
      height / 2 + ratio * (camera.centerPx[1] - camera.height / 2),
    ],
    width,
    height,
  };
}

/** One focal length of circles of confusion, which stay round. */
export const roundFocalPx = (camera: Pinhole): number => Math.sqrt(camera.focalPx[0] * camera.focalPx[1]);

export function quaternionOf(pose: Mat4): Quat {
  const [[a, b, c], [d, e, f], [g, h, i]] = pose;
  const four: Quat[] = [
    [1 + a + e + i, h - f, c - g, d - b],
    [h - f, 1 + a - e - i, b + d, c + g],
    [c - g, b + d, 1 - a + e - i, f + h],
    [d - b, c + g, f + h, 1 - a - e + i],
  ];
  const best = four.reduce((x, y) => (Math.hypot(...y) > Math.hypot(...x) ? y : x));
  const length = Math.hypot(...best);
  return best.map((x) => x / length) as Quat;
}

/** The pose of a camera at `center` whose world-to-camera rotation is that of a quaternion of any length. */
export function poseOf(quaternion: Quat, center: Vec3): Mat4 {
  const length = Math.hypot(...quaternion) || 1;
  const [w, x, y, z] = quaternion.map((q) => q / length) as Quat;
  return poseFrom(
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    center,
  );
}

type Mat3 = [Vec3, Vec3, Vec3]; // symmetric here, so rows are columns

/** Solves the symmetric 3 x 3 system m x = b; null if m is (nearly) singular. */
function solved([r0, r1, r2]: Mat3, b: Vec3): Vec3 | null {
  const determinant = dot(r0, cross(r1, r2));
  if (Math.abs(determinant) < 1e-12) return null;
  const sum = add(add(mul(cross(r1, r2), b[0]), mul(cross(r2, r0), b[1])), mul(cross(r0, r1), b[2]));
  return mul(sum, 1 / determinant);
}

/** a I + the sum of `weight` v v^T over some vectors. */
function outerSum(a: number, vectors: [Vec3, number][]): Mat3 {
  const row = (i: 0 | 1 | 2): Vec3 =>
    vectors.reduce(
      (sum, [v, weight]) => add(sum, mul(v, weight * v[i])),
      [i === 0 ? a : 0, i === 1 ? a : 0, i === 2 ? a : 0] as Vec3,
    );
  return [row(0), row(1), row(2)];
}

const LEVEL_WEIGHT = 0.01; // of the cameras' mean up beside what their horizons say, as in `hyperfocal.paths`

/** The direction upwards that cameras held level would have, as `hyperfocal.paths.up_direction` finds it. */
export function upOf(poses: Mat4[]): Vec3 {
  if (poses.length === 0) return [0, -1, 0];
  const own = unit(poses.map((p) => mul(axisOf(p, 1), -1)).reduce(add));
  const rights = poses.map((p): [Vec3, number] => [axisOf(p, 0), 1 / poses.length]);
  const m = outerSum(LEVEL_WEIGHT + 1e-6, [...rights, [own, -LEVEL_WEIGHT]]);
  let up = own; // inverse iteration: to the eigenvector of the smallest eigenvalue
  for (let i = 0; i < 30; i++) up = unit(solved(m, up) ?? up);
  return dot(up, own) < 0 ? mul(up, -1) : up;
}

/** The point nearest to all optical axes; null if they are nearly parallel or most cameras look away from it. */
export function viewedPoint(poses: Mat4[]): Vec3 | null {
  const rays = poses.map((p): [Vec3, Vec3] => [centerOf(p), axisOf(p, 2)]);
  const mean = rays.reduce((sum, [, axis]) => add(sum, axis), [0, 0, 0] as Vec3);
  if (rays.length < 2 || norm(mean) / rays.length > 0.9995) return null;
  const across = outerSum(rays.length, rays.map(([, axis]): [Vec3, number] => [axis, -1]));
  const b = rays.reduce((sum, [c, axis]) => add(sum, sub(c, mul(axis, dot(axis, c)))), [0, 0, 0] as Vec3);
  const point = solved(across, b);
  if (point === null) return null;
  const inFront = rays.filter(([c, axis]) => dot(sub(point, c), axis) > 0).length;
  return inFront * 2 > rays.length ? point : null;
}
