/** Before and after: the photograph over the picture drawn from its place, with a line between them to drag. */

import { clamp } from "../geometry";
import type { Presenter } from "../present";
import { type Compare, type State, stopName } from "../state";
import type { Photographs } from "./cameras";
import { Choice, el, iconButton } from "./dom";

export class Comparison {
  readonly element: HTMLElement;
  readonly controls: HTMLElement;
  readonly #image = el("img", { alt: "The photograph", draggable: "false" });
  readonly #handle: HTMLElement;
  readonly #right = el("span", { class: "tag right" });
  readonly #choice: Choice<Exclude<Compare, "off">>;
  #shown: number | null = null;

  constructor(readonly state: State, readonly presenter: Presenter, readonly photographs: Photographs, readonly say: (words: string) => void) {
    this.#handle = el("div", {
      class: "handle", id: "split", role: "slider", tabindex: 0, "aria-label": "Share of the photograph",
      "aria-valuemin": 0, "aria-valuemax": 100,
      onpointerdown: (e: PointerEvent) => this.#handle.setPointerCapture(e.pointerId),
      onpointermove: (e: PointerEvent) => this.#drag(e),
      onkeydown: (e: KeyboardEvent) => this.#key(e),
    });
    this.element = el(
      "div", { class: "comparison", hidden: true },
      this.#image, el("span", { class: "tag" }, "Photograph"), this.#right, this.#handle,
    );
    this.#choice = new Choice("Compare the photograph with", [
      ["lens", "Its lens", "The picture through this photograph's lens"],
      ["sharp", "All in focus", "The picture without blur"],
    ], (compare) => this.#choose(compare));
    this.controls = el(
      "div", { class: "compare-controls", hidden: true }, this.#choice.element,
      iconButton("close", "End the comparison", "c", () => state.set({ compare: "off" })),
    );
  }

  toggle(): void {
    const { compare, photograph } = this.state.values;
    if (compare !== "off") this.state.set({ compare: "off" });
    else this.#start(photograph ?? this.state.manifest.cameras.findIndex((c) => c.photograph !== null));
  }

  #start(index: number): void {
    if (!this.state.manifest.cameras[index]?.photograph) {
      this.say("There is no photograph to compare with.");
      return;
    }
    this.state.goTo(index);
    this.#choose("lens");
  }

  #choose(compare: Exclude<Compare, "off">): void {
    const { photograph } = this.state.values;
    const camera = photograph === null ? undefined : this.state.manifest.cameras[photograph];
    this.state.set({ compare, mode: "color", ...(camera ? this.state.lensOfPhotograph(camera) : {}) });
  }

  update(): void {
    const { compare, photograph, split } = this.state.values;
    const on = compare !== "off" && photograph !== null;
    this.element.hidden = !on;
    this.controls.hidden = !on;
    if (!on) return;
    this.#choice.show(compare);
    const fitted = this.state.manifest.cameras[photograph]?.lens;
    this.#choice.name("lens", fitted ? "Its lens" : "Lens as set");
    this.place();
    if (this.#shown !== photograph) {
      this.#shown = photograph;
      this.#image.removeAttribute("src");
      void this.photographs.address(photograph).then((address) => {
        if (this.#shown === photograph) this.#image.src = address;
      }, () => this.say("The photograph could not be loaded."));
    }
    const { lens, values } = this.state;
    this.#right.textContent =
      lens.apertureDiameter === 0
        ? "Render · all in focus"
        : `Render · ${stopName(values.fNumber)} · ${this.state.length(lens.focusDistance)}`;
    this.#image.style.clipPath = `inset(0 ${100 * (1 - split)}% 0 0)`;
    this.#handle.style.left = `${100 * split}%`;
    this.#handle.setAttribute("aria-valuenow", String(Math.round(100 * split)));
    this.#handle.setAttribute("aria-valuetext", `${Math.round(100 * split)} % photograph`);
  }

  /** Lays the photograph over the frame. */
  place(): void {
    const { left, top, width, height } = this.presenter.frameBox();
    Object.assign(this.element.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  }

  #drag(event: PointerEvent): void {
    if (!this.#handle.hasPointerCapture(event.pointerId)) return;
    const box = this.element.getBoundingClientRect();
    this.state.set({ split: clamp((event.clientX - box.left) / box.width, 0, 1) });
  }

  #key(event: KeyboardEvent): void {
    const { split } = this.state.values;
    const to: Record<string, number> = { ArrowLeft: split - 0.02, ArrowRight: split + 0.02, Home: 0, End: 1 };
    const wanted = to[event.key];
    if (wanted === undefined) return;
    this.state.set({ split: clamp(wanted, 0, 1) });
    event.preventDefault();
    event.stopPropagation();
  }
}
