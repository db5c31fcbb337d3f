/** What is drawn: colours, depth, circles of confusion, or what is in focus; with what the colours mean. */

import { circleColor, depthColor } from "../modes";
import type { Presenter } from "../present";
import { type Mode, type State } from "../state";
import { Choice, el } from "./dom";

export const MODES: [Mode, string, string][] = [
  ["color", "Colour", "The picture (1)"],
  ["depth", "Depth", "How far things are (2)"],
  ["circle", "Blur", "Circle of confusion: how large a point becomes (3)"],
  ["peaking", "Peaking", "Marks what is in focus (4)"],
];
const STEPS = 128;

export class ModeBar {
  readonly element: HTMLElement;
  readonly #choice: Choice<Mode>;
  readonly #legend = el("figure", { class: "legend", hidden: true });
  #drawn = "";

  constructor(readonly state: State, readonly presenter: Presenter) {
    this.#choice = new Choice("View", MODES, (mode) => state.set({ mode }));
    this.element = el("div", { class: "modebar" }, this.#choice.element, this.#legend);
  }

  update(): void {
    const { mode } = this.state.values;
    this.#choice.show(mode);
    this.#legend.hidden = mode === "color";
    if (mode === "color") return;
    const { near, far, circlePx } = this.presenter.scale();
    const length = (z: number) => this.state.length(z);
    const pinhole = this.state.lens.apertureDiameter === 0;
    const middle = 2 / (1 / near + 1 / far);
    const texts: Record<Exclude<Mode, "color">, [string, string[]]> = {
      depth: ["Depth", [length(near), length(middle), length(far)]],
      circle: [
        pinhole ? "A pinhole blurs nothing: open the aperture" : "Circle of confusion, pixels of the photograph",
        [`${circlePx} before`, "sharp", `${circlePx} behind`],
      ],
      peaking: [
        pinhole
          ? "A pinhole has everything in focus: open the aperture"
          : "Marked: edges in focus at this aperture",
        [],
      ],
    };
    const [title, labels] = texts[mode];
    const key = JSON.stringify([mode, title, labels]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    const parts: HTMLElement[] = [el("figcaption", {}, title)];
    if (mode !== "peaking") {
      parts.push(mode === "depth" ? strip((t) => depthColor(t)) : strip((t) => circleColor(2 * t - 1)));
      parts.push(el("div", { class: "ends" }, ...labels.map((words) => el("span", {}, words))));
    }
    this.#legend.replaceChildren(...parts);
  }
}

/** A strip of the colours of 0 to 1. */
function strip(color: (t: number) => [number, number, number]): HTMLCanvasElement {
  const canvas = el("canvas", { width: STEPS, height: 1, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const pixels = context?.createImageData(STEPS, 1);
  if (context && pixels) {
    for (let i = 0; i < STEPS; i++) pixels.data.set([...color(i / (STEPS - 1)), 255], 4 * i);
    context.putImageData(pixels, 0, 0);
  }
  return canvas;
}
