// The library's pinhole camera (OpenCV axes, pixels from the top-left corner) as a camera of three.js.

import { Matrix4, PerspectiveCamera, Vector4 } from "three";

export interface PinholeCamera {
  worldToCamera: number[][];
  focalPx: [number, number];
  centerPx: [number, number];
  width: number;
  height: number;
}

/** A rectangle of the picture's pixels: what is drawn of it. */
export interface PixelWindow {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Gaussians nearer than this are not seen: `RenderOptions.near`. */
const NEAR = 0.01;
/** Of half the picture; see `FRUSTUM_MARGIN` of the reference. */
const FROZEN_MARGIN = 0.3;

const FLIP = new Matrix4().makeScale(1, -1, -1); // OpenCV's axes to OpenGL's, and back

export function threeCamera(
  camera: PinholeCamera, window: PixelWindow = { x: 0, y: 0, width: camera.width, height: camera.height },
): PerspectiveCamera {
  const three = new PerspectiveCamera();
  const worldToCamera = new Matrix4().set(...(camera.worldToCamera.flat() as Parameters<Matrix4["set"]>));
  three.matrixAutoUpdate = false;
  three.matrix.copy(FLIP).multiply(worldToCamera).invert();
  three.matrix.decompose(three.position, three.quaternion, three.scale);
  three.updateMatrixWorld(true);
  three.near = NEAR;
  const [[fx, fy], [cx, cy]] = [camera.focalPx, camera.centerPx];
  const { x, y, width, height } = window;
  // The depth row is constant: what is nearer than NEAR leaves the clip volume, and nothing is too far.
  three.projectionMatrix.set(
    (2 * fx) / width, 0, 1 - (2 * (cx - x)) / width, 0,
    0, (2 * fy) / height, (2 * (cy - y)) / height - 1, 0,
    0, 0, 0, NEAR,
    0, 0, -1, 0,
  );
  three.projectionMatrixInverse.copy(three.projectionMatrix).invert();
  return three;
}

/** The least and largest slopes x/z and y/z (y up) at which footprints are linearised: low x, low y, high x, high y. */
export function slopeLimits({ focalPx: [fx, fy], centerPx: [cx, cy], width, height }: PinholeCamera): Vector4 {
  const [marginX, marginY] = [(FROZEN_MARGIN * width) / 2, (FROZEN_MARGIN * height) / 2];
  const [left, right] = [cx + marginX, width - cx + marginX];
  const [above, below] = [cy + marginY, height - cy + marginY];
  return new Vector4(-left / fx, -below / fy, right / fx, above / fy);
}
