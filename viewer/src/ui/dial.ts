/** A ring of a lens: a scale that moves under a mark, by drag, wheel, keys or a click on what it says. */

import { clamp } from "../geometry";
import { el } from "./dom";

export interface Mark {
  /** Where on the ring, 0 to 1. */
  at: number;
  /** Empty for a mere tick. */
  text: string;
}

export interface DialOptions {
  id: string;
  label: string;
  /** Length of the ring in CSS pixels. */
  length: number;
  marks: Mark[];
  /** Rests only at marks. */
  snaps?: boolean;
  /** Share of the ring that an arrow key turns where it does not snap. */
  step?: number;
  turn: (at: number) => void;
}

export class Dial {
  readonly element: HTMLElement;
  readonly #ring: HTMLElement;
  readonly #track: HTMLElement;
  readonly #band: HTMLElement;
  readonly #value: HTMLOutputElement;
  #at = 0;
  #marks: Mark[] = [];
  #drag: { x: number; at: number; moved: boolean } | null = null;

  constructor(readonly options: DialOptions) {
    this.#band = el("div", { class: "band" });
    this.#track = el("div", { class: "track" });
    this.#value = el("output", { class: "value", id: `${options.id}-value` });
    this.#ring = el(
      "div",
      {
        class: "ring", id: options.id, role: "slider", tabindex: 0, "aria-label": options.label,
        "aria-valuemin": 0, "aria-valuemax": 100,
        onpointerdown: (e: PointerEvent) => this.#down(e),
        onpointermove: (e: PointerEvent) => this.#move(e),
        onpointerup: (e: PointerEvent) => this.#up(e),
        onpointercancel: () => { this.#drag = null; },
        onkeydown: (e: KeyboardEvent) => this.#key(e),
      },
      this.#track,
      el("div", { class: "index" }),
    );
    this.#ring.addEventListener("wheel", (e) => this.#wheel(e), { passive: false });
    this.element = el("div", { class: "dial" }, el("span", { class: "name" }, options.label), this.#value, this.#ring);
    this.setMarks(options.marks);
    new ResizeObserver(() => this.#place()).observe(this.#ring);
  }

  setMarks(marks: Mark[]): void {
    this.#marks = marks;
    const ticks = marks.map((mark) => {
      const tick = el("span", { class: mark.text ? "mark" : "mark tick" }, mark.text);
      tick.style.left = `${mark.at * this.options.length}px`;
      return tick;
    });
    this.#track.replaceChildren(this.#band, ...ticks);
    this.#track.style.width = `${this.options.length}px`;
  }

  /** Shows a value: where it is on the ring, how it reads, and how far to both sides things are sharp. */
  show(at: number, words: string, band = 0): void {
    this.#at = clamp(at, 0, 1);
    this.#value.textContent = words;
    this.#ring.setAttribute("aria-valuenow", String(Math.round(this.#at * 100)));
    this.#ring.setAttribute("aria-valuetext", words);
    const width = Math.min(2 * band, 2) * this.options.length;
    this.#band.style.width = `${width}px`;
    this.#band.style.left = `${this.#at * this.options.length - width / 2}px`;
    this.#place();
  }

  #place(): void {
    const shift = this.#ring.clientWidth / 2 - this.#at * this.options.length;
    this.#track.style.transform = `translateX(${shift}px)`;
  }

  #turnTo(at: number): void {
    const wanted = clamp(at, 0, 1);
    const to = this.options.snaps ? this.#nearest(wanted).at : wanted;
    if (to !== this.#at) this.options.turn(to);
  }

  #nearest(at: number): Mark {
    return this.#marks.reduce((best, m) => (Math.abs(m.at - at) < Math.abs(best.at - at) ? m : best));
  }

  /** One third of a stop, or a small turn. */
  step(direction: number): void {
    if (!this.options.snaps) {
      this.#turnTo(this.#at + direction * (this.options.step ?? 0.01));
      return;
    }
    const beyond = this.#marks.filter((m) => (m.at - this.#at) * direction > 1e-9);
    const next = direction > 0 ? beyond[0] : beyond.at(-1);
    if (next) this.#turnTo(next.at);
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#ring.setPointerCapture(event.pointerId);
    this.#drag = { x: event.clientX, at: this.#at, moved: false };
  }

  #move(event: PointerEvent): void {
    if (this.#drag === null) return;
    const dx = event.clientX - this.#drag.x;
    if (Math.abs(dx) > 3) this.#drag.moved = true;
    if (this.#drag.moved) this.#turnTo(this.#drag.at - dx / this.options.length);
  }

  #up(event: PointerEvent): void {
    if (this.#drag === null) return;
    const clicked = !this.#drag.moved;
    this.#drag = null;
    if (!clicked) return;
    const box = this.#ring.getBoundingClientRect();
    const at = this.#at + (event.clientX - box.left - box.width / 2) / this.options.length;
    const near = this.#nearest(at); // a click on a number means that number
    this.#turnTo(Math.abs(near.at - at) * this.options.length < 16 ? near.at : at);
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const amount = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY;
    if (this.options.snaps) this.step(Math.sign(amount));
    else this.#turnTo(this.#at + (amount / this.options.length) * 0.5);
  }

  #key(event: KeyboardEvent): void {
    const steps: Record<string, number> = {
      ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 3, PageDown: -3,
    };
    if (event.key === "Home") this.#turnTo(0);
    else if (event.key === "End") this.#turnTo(1);
    else {
      const count = steps[event.key];
      if (count === undefined) return;
      for (let i = 0; i < Math.abs(count); i++) this.step(Math.sign(count));
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
