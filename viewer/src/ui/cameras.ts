/** The photographs: where they were taken and through which lens. */

import { addressOf, type Photographed } from "../manifest";
import { digits, stopName, type State } from "../state";
import { el } from "./dom";

export class CameraList {
  readonly element: HTMLElement;
  readonly #buttons: HTMLButtonElement[] = [];

  constructor(readonly state: State, photographs: Photographs) {
    this.element = el("nav", { class: "cameras", "aria-label": "Photographs" });
    const list = el("ul");
    state.manifest.cameras.forEach((camera, index) => {
      const picture = el("span", { class: "thumbnail" });
      picture.style.aspectRatio = `${camera.width} / ${camera.height}`;
      if (camera.photograph) {
        const image = el("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
        void photographs.address(index).then((address) => { image.src = address; }, () => picture.classList.add("broken"));
        picture.append(image);
      }
      const button = el(
        "button", { type: "button", title: detail(camera, state), onclick: () => state.goTo(index) },
        picture,
        el("span", { class: "file" }, camera.name, ...(camera.heldOut ? [el("i", { title: "Not used in the fit" }, " held out")] : [])),
        el("span", { class: "lens" }, lensText(camera, state)),
      );
      this.#buttons.push(button);
      list.append(el("li", {}, button));
    });
    this.element.append(list);
  }

  update(): void {
    const { photograph } = this.state.values;
    this.#buttons.forEach((button, i) => {
      if (i === photograph && button.getAttribute("aria-current") !== "true") {
        button.setAttribute("aria-current", "true");
        button.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else if (i !== photograph) button.removeAttribute("aria-current");
    });
  }

  /** The lenses again, when the assumed size or the sensor changed what their f-numbers are. */
  relabel(): void {
    this.state.manifest.cameras.forEach((camera, i) => {
      const words = this.#buttons[i]?.querySelector(".lens");
      if (words) words.textContent = lensText(camera, this.state);
    });
  }
}

/** Addresses of the photographs, each made once. */
export class Photographs {
  readonly #addresses = new Map<number, Promise<string>>();

  constructor(readonly cameras: Photographed[]) {}

  address(index: number): Promise<string> {
    const photograph = this.cameras[index]?.photograph;
    if (!photograph) return Promise.reject(new Error("no photograph"));
    const known = this.#addresses.get(index) ?? addressOf(photograph);
    this.#addresses.set(index, known);
    return known;
  }
}

/** How a photograph was taken, in a few words: "f/2.8 · 1.42 m". */
export function lensText(camera: Photographed, state: State): string {
  const { lens } = camera;
  if (lens === null) return "lens not known";
  if (lens.focus === "everywhere" || lens.apertureDiameter === 0) return "sharp everywhere";
  const known = state.manifest.metresPerUnit !== null || lens.fNumber !== null;
  const told = state.lensOfPhotograph(camera).fNumber ?? Number.POSITIVE_INFINITY;
  const opening = known ? stopName(lens.fNumber ?? told) : `⌀ ${digits(lens.apertureDiameter)}`;
  const distance = lens.focus === "infinity" ? "∞" : state.length(lens.focusDistance ?? Number.POSITIVE_INFINITY);
  return `${opening} · ${distance}`;
}

function detail(camera: Photographed, state: State): string {
  const { lens } = camera;
  const lines = [camera.name];
  if (lens === null) return camera.name;
  lines.push(`Estimated lens: ${lensText(camera, state)}, opening ⌀ ${digits(lens.apertureDiameter)} units`);
  if (lens.focus === "distance" && lens.focusDistance !== null && lens.focusSigma !== null) {
    const { focusDistance, focusSigma } = lens;
    const far = 1 / focusDistance - focusSigma;
    const range = [1 / (1 / focusDistance + focusSigma), far > 0 ? 1 / far : Number.POSITIVE_INFINITY];
    lines.push(`Focus within ${range.map((x) => state.length(x)).join(" to ")} (one standard deviation)`);
  }
  if (lens.circlePx) lines.push(`Circles of confusion: median ${digits(lens.circlePx.median)} px, 95 % below ${digits(lens.circlePx.p95)} px`);
  if (lens.streakPx && lens.streakPx.median > 0.05) lines.push(`Motion: median streak ${digits(lens.streakPx.median)} px`);
  return lines.join("\n");
}
