// The depth under the cursor: the mean camera z of what a pixel sees, as `Rendering.depth_expected` of the pinhole.

import { DataUtils, FloatType, type WebGLRenderer, type WebGLRenderTarget } from "three";
import type { PinholeCamera, PixelWindow } from "./camera";
import { floatTarget, type SplatPass } from "./splat_pass";

/** Less coverage than this is haze, and nothing to focus on. */
const LEAST_COVERAGE = 0.1;

export class DepthProbe {
  private readonly pixel: WebGLRenderTarget;

  constructor(
    private readonly renderer: WebGLRenderer,
    private readonly pass: SplatPass,
  ) {
    this.pixel = floatTarget(renderer, 1, 1);
  }

  /** Depth at a pixel of the picture (from its top-left corner), or null. The pass must be sorted for this camera. */
  async at(x: number, y: number, camera: PinholeCamera): Promise<number | null> {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (!(column >= 0 && column < camera.width && row >= 0 && row < camera.height)) return null;
    this.pass.draw(this.pixel, "depth", camera, undefined, { x: column, y: row, width: 1, height: 1 });
    return depthOf(await readFloats(this.renderer, this.pixel, { x: 0, y: 0, width: 1, height: 1 }));
  }
}

/** Of one pixel: camera z times coverage, and coverage. */
export function depthOf([sum, , , coverage]: ArrayLike<number> & Iterable<number>): number | null {
  return coverage! >= LEAST_COVERAGE ? sum! / coverage! : null;
}

/** The numbers of a window of a float target, whose rows start at the bottom. */
export async function readFloats(
  renderer: WebGLRenderer, target: WebGLRenderTarget, { x, y, width, height }: PixelWindow,
): Promise<Float32Array> {
  const count = 4 * width * height;
  const bits = target.texture.type === FloatType ? new Float32Array(count) : new Uint16Array(count);
  await renderer.readRenderTargetPixelsAsync(target, x, y, width, height, bits);
  return bits instanceof Float32Array ? bits : Float32Array.from(bits, DataUtils.fromHalfFloat);
}
