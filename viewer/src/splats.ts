// `SplatView`: a canvas that shows Gaussians through a lens. One picture for each change, drawn when nothing else is.

import { LinearSRGBColorSpace, WebGLRenderer, type WebGLRenderTarget } from "three";
import type { PinholeCamera } from "./camera";
import { DepthProbe, readFloats } from "./depth";
import { PINHOLE, roundFocalPx, type Lens } from "./lens";
import { Develop, type Mode, type Range } from "./modes";
import { readPly, type Splats } from "./ply";
import { floatTarget, SplatPass } from "./splat_pass";

export type { PinholeCamera } from "./camera";

export class SplatView {
  private readonly renderer: WebGLRenderer;
  private readonly pass: SplatPass;
  private readonly probe: DepthProbe;
  private readonly develop = new Develop();
  private readonly colors: WebGLRenderTarget;
  private readonly depths: WebGLRenderTarget;
  private camera?: PinholeCamera;
  private lens: Lens = PINHOLE;
  private mode: Mode = "color";
  private splats?: Splats;
  // What the sort order and the targets are of; undefined is nothing yet.
  private sortedFor?: PinholeCamera;
  private colorsOf?: string;
  private depthsOf?: PinholeCamera;
  private shown?: string;
  private wanted = false;
  private work?: Promise<void>;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const plain = { antialias: false, alpha: false, depth: false };
    this.renderer = new WebGLRenderer({ canvas, ...plain, preserveDrawingBuffer: true });
    this.renderer.outputColorSpace = LinearSRGBColorSpace; // values are written as they are
    this.renderer.autoClear = false;
    this.renderer.setPixelRatio(1);
    this.pass = new SplatPass(this.renderer);
    this.probe = new DepthProbe(this.renderer, this.pass);
    this.colors = floatTarget(this.renderer, 1, 1);
    this.depths = floatTarget(this.renderer, 1, 1);
  }

  /** Show the Gaussians of a PLY file. Rejects with a message for people. */
  async load(bytes: Uint8Array, name: string, onProgress: (fraction: number) => void = () => {}): Promise<void> {
    onProgress(0);
    await pause(); // so that the page can say that it reads
    await this.replace(readPly(bytes, name));
    onProgress(1);
  }

  /** `width` and `height` become the canvas's pixels. */
  setCamera(camera: PinholeCamera): void {
    if (JSON.stringify(camera) === JSON.stringify(this.camera)) return; // the Gaussians are sorted for it
    this.camera = structuredClone(camera);
  }

  setLens(lens: Lens): void {
    this.lens = { ...lens };
  }

  setMode(mode: Mode): void {
    this.mode = mode;
  }

  setRange(range: Range): void {
    this.develop.range = { ...range };
  }

  /** Display values, 0 to 1. */
  setBackground(background: [number, number, number]): void {
    this.develop.background = [...background];
  }

  /** What the colours of the Gaussians are; light adds up in this space. */
  setColorSpace(space: "srgb" | "linear"): void {
    this.develop.linearLight = space === "linear";
  }

  /** Draw the latest state, once, as soon as the picture before it is done. */
  requestRender(): void {
    this.wanted = true;
    this.work ??= this.drawWanted().finally(() => (this.work = undefined));
  }

  /** Resolves when the picture on the screen is of the latest state that was asked for. */
  async settled(): Promise<void> {
    while (this.work) await this.work;
  }

  /** The canvas's bytes, the top row first. */
  async readPixels(): Promise<{ width: number; height: number; rgba: Uint8Array }> {
    await this.settled();
    const gl = this.renderer.getContext();
    const { width, height } = this.canvas;
    const upward = new Uint8Array(4 * width * height);
    this.renderer.setRenderTarget(null);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, upward);
    return { width, height, rgba: upsideDown(upward, 4 * width) };
  }

  /** The picture's light before rounding and background, the top row first: colour times coverage, and coverage. */
  async readLight(): Promise<{ width: number; height: number; rgba: Float32Array }> {
    await this.settled();
    const { width, height } = this.canvas;
    const upward = await readFloats(this.renderer, this.colors, { x: 0, y: 0, width, height });
    return { width, height, rgba: upsideDown(upward, 4 * width) };
  }

  /** Camera z under a pixel of the canvas, the mean of what is seen there without a lens; null where nothing is. */
  async depthAt(xPx: number, yPx: number): Promise<number | null> {
    await this.settled();
    const { camera } = this;
    if (!camera || !this.splats) return null;
    await this.exclusively(async () => {
      await this.sort(camera);
    });
    return this.probe.at(xPx, yPx, camera);
  }

  /** Where the Gaussians are: the median centre, and the distance from it within which 80 % lie. */
  bounds(): { center: [number, number, number]; radius: number } {
    const { centers, count } = this.splats ?? { centers: new Float32Array(), count: 0 };
    if (count === 0) return { center: [0, 0, 0], radius: 1 };
    const step = Math.ceil(count / 50_000);
    const asked = Array.from({ length: Math.ceil(count / step) }, (_, i) => 3 * step * i);
    const quantile = (values: number[], share: number) =>
      Float64Array.from(values).sort()[Math.floor(share * (values.length - 1))]!;
    const middle = (axis: number) => quantile(asked.map((at) => centers[at + axis]!), 0.5);
    const center: [number, number, number] = [middle(0), middle(1), middle(2)];
    const away = asked.map((at) => Math.hypot(...center.map((c, axis) => centers[at + axis]! - c)));
    return { center, radius: quantile(away, 0.8) || 1 };
  }

  private async replace(splats: Splats): Promise<void> {
    await this.exclusively(async () => {
      this.splats = splats;
      this.pass.show(splats);
      this.sortedFor = this.depthsOf = this.colorsOf = this.shown = undefined;
    });
  }

  private async drawWanted(): Promise<void> {
    while (this.wanted) {
      await nextFrame();
      this.wanted = false;
      await this.draw();
    }
  }

  private async draw(): Promise<void> {
    const { camera, lens, mode } = this;
    if (!camera) return;
    const state = JSON.stringify([camera, lens, mode, this.develop.settings()]);
    if (this.shown === state) return;
    this.resize(camera);
    await this.sort(camera);
    const colorsOf = JSON.stringify([camera, lens]);
    if ((mode === "color" || mode === "peaking") && this.colorsOf !== colorsOf) {
      this.pass.draw(this.colors, "color", camera, lens);
      this.colorsOf = colorsOf;
    }
    if (mode !== "color" && this.depthsOf !== camera) {
      this.pass.draw(this.depths, "depth", camera);
      this.depthsOf = camera;
    }
    const { texture } = this.colors;
    this.develop.draw(this.renderer, mode, lens, roundFocalPx(camera.focalPx), texture, this.depths.texture);
    await this.drawn();
    this.shown = state;
  }

  private resize({ width, height }: PinholeCamera): void {
    if ([this.canvas, this.colors].every((area) => area.width === width && area.height === height)) return;
    this.renderer.setSize(width, height, false);
    for (const target of [this.colors, this.depths]) target.setSize(width, height);
    this.colorsOf = this.depthsOf = this.shown = undefined;
  }

  private async sort(camera: PinholeCamera): Promise<void> {
    if (this.sortedFor === camera) return;
    await this.pass.sort(camera);
    this.sortedFor = camera;
  }

  /** Do something that no picture may come between. */
  private async exclusively(action: () => Promise<void>): Promise<void> {
    while (this.work) await this.work;
    this.work = action().finally(() => (this.work = undefined));
    await this.work;
    if (this.wanted) this.requestRender();
  }

  /** The GPU has caught up: pictures must not queue up, as each may take seconds in software. */
  private async drawn(): Promise<void> {
    const gl = this.renderer.getContext() as WebGL2RenderingContext;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    while (fence && gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) await pause(2);
    gl.deleteSync(fence);
  }
}

function upsideDown<T extends Uint8Array | Float32Array>(pixels: T, row: number): T {
  const turned = pixels.slice() as T;
  for (let at = 0; at < pixels.length; at += row) turned.set(pixels.subarray(at, at + row), pixels.length - row - at);
  return turned;
}

const pause = (milliseconds = 0) => new Promise<void>((done) => setTimeout(done, milliseconds));

/** A hidden page gets no animation frames, but may still be asked for its pixels. */
const nextFrame = () => (document.hidden ? pause() : new Promise<void>((done) => requestAnimationFrame(() => done())));
