/** Brings the state to the screen: one picture for each change, at most one on its way. */

import { centerOf, contained, norm, roundFocalPx, sub, type Pinhole, type Vec3 } from "./geometry";
import type { SplatView } from "./splats";
import type { State } from "./state";

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Scale {
  /** Depths of both ends of the depth view, scene units. */
  near: number;
  far: number;
  /** Circle of confusion at both ends of the circle view, in pixels of the photograph (of the frame). */
  circlePx: number;
}

const MOST_DENSE = 2; // canvas pixels in a CSS pixel: more cannot be told apart and costs time

export class Presenter {
  #dirty = false;
  #camera = "";
  #run: Promise<void> | null = null;
  readonly #bounds: { center: Vec3; radius: number };
  /** Called after each picture. */
  onPicture: () => void = () => {};

  constructor(
    readonly view: SplatView,
    readonly canvas: HTMLCanvasElement,
    readonly state: State,
  ) {
    this.#bounds = view.bounds() as { center: Vec3; radius: number };
    new ResizeObserver(() => this.request()).observe(canvas);
  }

  /** Asks for a picture of the present state, when the one that is on its way is done. */
  request(): void {
    this.#dirty = true;
    this.#run ??= this.#draw();
  }

  /** Resolves when the picture on the screen is that of the latest state. */
  async settled(): Promise<void> {
    while (this.#run) await this.#run;
  }

  async #draw(): Promise<void> {
    await Promise.resolve(); // all changes of one event make one picture
    try {
      while (this.#dirty) {
        this.#dirty = false;
        this.#apply();
        this.view.requestRender();
        await this.view.settled();
        this.onPicture();
      }
    } finally {
      this.#run = null;
    }
  }

  #apply(): void {
    const [width, height] = this.#size();
    const camera = contained(this.state.values.camera, width, height);
    const key = JSON.stringify(camera);
    if (key !== this.#camera) this.view.setCamera(camera); // the same again would be sorted and measured again
    this.#camera = key;
    this.view.setLens(this.state.lens);
    this.view.setMode(this.state.values.mode);
    const { near, far, circlePx } = this.scale();
    this.view.setRange({ near, far, maxCirclePx: (circlePx * camera.focalPx[0]) / this.state.values.camera.focalPx[0] });
  }

  #size(): [number, number] {
    const density = Math.min(window.devicePixelRatio || 1, MOST_DENSE);
    const side = (css: number) => Math.max(1, Math.round(css * density));
    return [side(this.canvas.clientWidth), side(this.canvas.clientHeight)];
  }

  /** What the colours of the depth and circle views mean now. */
  scale(): Scale {
    const { camera } = this.state.values;
    const away = norm(sub(this.#bounds.center, centerOf(camera.worldToCamera)));
    const near = Math.max(away - this.#bounds.radius, 0.2 * Math.min(away, this.state.reach), 1e-6);
    return { near, far: Math.max(away + this.#bounds.radius, 2 * near), circlePx: round125(longSide(camera) / 30) };
  }

  /** Where the frame, which photographs fill, lies on the canvas, in CSS pixels. */
  frameBox(): Box {
    const { camera } = this.state.values;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const ratio = Math.min(width / camera.width, height / camera.height);
    const box = { width: camera.width * ratio, height: camera.height * ratio };
    return { left: (width - box.width) / 2, top: (height - box.height) / 2, ...box };
  }

  /** The canvas's own pixel at a point of the window. */
  pixelAt(clientX: number, clientY: number): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = this.#size();
    return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
  }

  /** Focal length in CSS pixels: how far a thing moves on the screen. */
  focalCss(): number {
    return roundFocalPx(contained(this.state.values.camera, this.canvas.clientWidth, this.canvas.clientHeight));
  }
}

const longSide = (camera: Pinhole): number => Math.max(camera.width, camera.height);

/** The nearest of 1, 2, 5, 10, 20, ... */
function round125(x: number): number {
  const power = 10 ** Math.floor(Math.log10(x));
  const digit = [1, 2, 5, 10].reduce((best, d) => (Math.abs(d - x / power) < Math.abs(best - x / power) ? d : best));
  return Number((digit * power).toPrecision(1));
}
