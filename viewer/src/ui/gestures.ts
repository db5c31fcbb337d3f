/** Mouse, pen and fingers on the picture: orbit, pan, nearer and farther, and what is in focus. */

import { add, axisOf, centerOf, clamp, dot, movedTo, mul, norm, sub, turnedAbout } from "../geometry";
import type { Presenter } from "../present";
import type { State } from "../state";

const CLICK_PX = 5;
const STEEPEST = 0.995; // |sine| of the angle above or below the horizon
const NEAREST_SHARE = 0.02; // of a usual distance: the camera comes no nearer to what it turns about

/** Moves of the camera by hand, for pointers and keys alike. Lengths are CSS pixels, angles radians. */
export class Hand {
  constructor(readonly state: State, readonly presenter: Presenter) {}

  orbit(across: number, down: number): void {
    const { camera } = this.state.values;
    const { pivot, up } = this.state;
    let pose = turnedAbout(camera.worldToCamera, pivot, up, -across);
    const tilted = turnedAbout(pose, pivot, axisOf(pose, 0), -down);
    const steep = Math.abs(dot(axisOf(tilted, 2), up));
    if (steep < STEEPEST || steep < Math.abs(dot(axisOf(pose, 2), up))) pose = tilted;
    this.state.move({ ...camera, worldToCamera: pose });
  }

  pan(dx: number, dy: number): void {
    const { camera } = this.state.values;
    const pose = camera.worldToCamera;
    const depth = Math.max(dot(sub(this.state.pivot, centerOf(pose)), axisOf(pose, 2)), NEAREST_SHARE * this.state.reach);
    const scale = depth / this.presenter.focalCss();
    const shift = add(mul(axisOf(pose, 0), -dx * scale), mul(axisOf(pose, 1), -dy * scale));
    this.state.pivot = add(this.state.pivot, shift);
    this.state.move({ ...camera, worldToCamera: movedTo(pose, add(centerOf(pose), shift)) });
  }

  /** `ratio` below 1 goes nearer to what the camera turns about. */
  dolly(ratio: number): void {
    const { camera } = this.state.values;
    const offset = sub(centerOf(camera.worldToCamera), this.state.pivot);
    const least = NEAREST_SHARE * this.state.reach;
    const factor = Math.max(ratio, least / Math.max(norm(offset), least));
    this.state.move({
      ...camera, worldToCamera: movedTo(camera.worldToCamera, add(this.state.pivot, mul(offset, factor))),
    });
  }
}

interface Finger {
  x: number;
  y: number;
}

export class Gestures {
  readonly #fingers = new Map<number, Finger>();
  #start: (Finger & { button: number }) | null = null;
  #moved = false;

  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly hand: Hand,
    readonly click: (clientX: number, clientY: number) => void,
    readonly doubleClick: (clientX: number, clientY: number) => void,
  ) {
    canvas.addEventListener("pointerdown", (e) => this.#down(e));
    canvas.addEventListener("pointermove", (e) => this.#move(e));
    canvas.addEventListener("pointerup", (e) => this.#up(e, true));
    canvas.addEventListener("pointercancel", (e) => this.#up(e, false));
    canvas.addEventListener("wheel", (e) => this.#wheel(e), { passive: false });
    canvas.addEventListener("dblclick", (e) => this.doubleClick(e.clientX, e.clientY));
    canvas.addEventListener("contextmenu", (e) => { if (this.#moved) e.preventDefault(); });
  }

  #down(event: PointerEvent): void {
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch {
      // a pointer that is gone already: its moves end at the canvas's edge, no more
    }
    this.#fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.#fingers.size === 1) {
      this.#start = { x: event.clientX, y: event.clientY, button: event.button };
      this.#moved = false;
    } else this.#moved = true;
  }

  #move(event: PointerEvent): void {
    const finger = this.#fingers.get(event.pointerId);
    if (!finger || !this.#start) return;
    const before = this.#spread();
    const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
    if (!this.#moved && Math.hypot(event.clientX - this.#start.x, event.clientY - this.#start.y) < CLICK_PX) return;
    this.#moved = true;
    finger.x = event.clientX;
    finger.y = event.clientY;
    if (this.#fingers.size > 1) {
      this.hand.pan(dx / this.#fingers.size, dy / this.#fingers.size);
      const after = this.#spread();
      if (before > 0 && after > 0) this.hand.dolly(clamp(before / after, 0.5, 2));
    } else if (this.#start.button !== 0 || event.shiftKey) this.hand.pan(dx, dy);
    else {
      const turn = Math.PI / Math.max(this.canvas.clientWidth, this.canvas.clientHeight, 1);
      this.hand.orbit(dx * turn, dy * turn);
    }
  }

  #up(event: PointerEvent, complete: boolean): void {
    if (!this.#fingers.delete(event.pointerId) || this.#fingers.size > 0) return;
    if (complete && !this.#moved && event.button === 0) this.click(event.clientX, event.clientY);
  }

  /** Distance between two fingers; 0 for any other number. */
  #spread(): number {
    const [a, b] = [...this.#fingers.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.0015; // a pinch on a trackpad says less
    this.hand.dolly(Math.exp(clamp(event.deltaY * lines * speed, -0.5, 0.5)));
  }
}
