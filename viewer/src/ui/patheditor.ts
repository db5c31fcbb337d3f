/** The path of a film: keyframes of camera and lens on a line of time. */

import { at, ordered, pathJson, type Keyframe, type Path } from "../path";
import type { Presenter } from "../present";
import { digits, type State } from "../state";
import { download, el, icon, type IconName } from "./dom";

const NEW_GAP_S = 2;
const LEAST_GAP_S = 0.1; // times in a path must grow
const SHOWN_S = 4; // length of an empty line of time

export class PathEditor {
  readonly element: HTMLElement;
  path: Path = { keyframes: [], closed: false, seconds: 0 };
  #selected: number | null = null;
  #time = 0;
  #playing = false;
  readonly #line = el("div", { class: "line" });
  readonly #playhead: HTMLInputElement;
  readonly #when: HTMLInputElement;
  readonly #length: HTMLInputElement;
  readonly #loop: HTMLInputElement;
  readonly #play: HTMLButtonElement;
  readonly #buttons: Record<"update" | "remove" | "save", HTMLButtonElement>;

  constructor(readonly state: State, readonly presenter: Presenter, readonly say: (words: string) => void) {
    const button = (name: IconName, words: string, title: string, onclick: () => void) =>
      el("button", { type: "button", title, "aria-label": title, onclick }, icon(name), el("span", {}, words));
    this.#buttons = {
      update: button("set", "Set", "Give the selected keyframe this view and lens", () => this.update()),
      remove: button("trash", "Delete", "Delete the selected keyframe", () => this.remove()),
      save: button("save", "Download", "Download the path for hyperfocal render --path", () => this.save()),
    };
    this.#play = button("play", "Preview", "Preview the film (Space)", () => void this.play());
    this.#playhead = el("input", {
      type: "range", id: "playhead", min: 0, max: 1, step: "any", value: 0, "aria-label": "Time in the film",
      oninput: () => this.seek(Number(this.#playhead.value)),
    });
    const numeric = (id: string, label: string, onchange: () => void) =>
      el("input", { type: "number", id, min: 0, max: 3600, step: 0.1, "aria-label": label, onchange });
    this.#when = numeric("keyframe-time", "Time of the selected keyframe in seconds", () => this.retime(Number(this.#when.value)));
    this.#length = numeric("path-length", "Length of the film in seconds", () => this.stretch(Number(this.#length.value)));
    this.#loop = el("input", { type: "checkbox", id: "path-loop", onchange: () => this.close(this.#loop.checked) });
    this.element = el(
      "section", { class: "path", hidden: true, "aria-label": "Path of the film" },
      el(
        "div", { class: "path-buttons" },
        button("plus", "Keyframe", "Add a keyframe: this view and lens (k)", () => this.add()),
        this.#buttons.update, this.#buttons.remove, this.#play,
        el("label", {}, "At", this.#when, "s"), el("label", {}, "Length", this.#length, "s"),
        el("label", {}, this.#loop, "Loop"), this.#buttons.save,
      ),
      el("div", { class: "timeline" }, this.#playhead, this.#line),
    );
    this.show();
  }

  toggle(): void {
    this.element.hidden = !this.element.hidden;
    document.body.classList.toggle("with-path", !this.element.hidden);
    this.show();
  }

  /** Puts the present view and lens at the end of the path. */
  add(): void {
    if (this.element.hidden) this.toggle();
    const last = this.path.keyframes.at(-1);
    const timeS = last ? last.timeS + NEW_GAP_S : 0;
    const seconds = this.path.closed ? Math.max(this.path.seconds, timeS) + NEW_GAP_S : 0;
    this.#set([...this.path.keyframes, this.#now(timeS)], this.path.closed, seconds);
    this.#select(this.path.keyframes.length - 1, false);
  }

  update(): void {
    if (this.#selected === null) return;
    const index = this.#selected;
    this.#set(this.path.keyframes.map((k, i) => (i === index ? this.#now(k.timeS) : k)));
    this.say(`Keyframe ${index + 1} has this view now.`);
  }

  remove(): void {
    if (this.#selected === null) return;
    const index = this.#selected;
    this.#selected = null;
    this.#set(this.path.keyframes.filter((_, i) => i !== index));
  }

  /** Moves the selected keyframe in time. */
  retime(timeS: number): void {
    const keyframe = this.#selected === null ? undefined : this.path.keyframes[this.#selected];
    if (!keyframe || !Number.isFinite(timeS)) return this.show();
    const others = this.path.keyframes.filter((k) => k !== keyframe);
    let wanted = Math.max(timeS, 0);
    while (others.some((k) => Math.abs(k.timeS - wanted) < LEAST_GAP_S - 1e-6)) wanted += LEAST_GAP_S;
    const moved = { ...keyframe, timeS: Number(wanted.toFixed(3)) };
    this.#set([...others, moved]);
    this.#selected = this.path.keyframes.findIndex((k) => k.camera === moved.camera && k.lens === moved.lens);
    this.show();
  }

  /** Makes the film longer or shorter: all times with it. */
  stretch(seconds: number): void {
    const ratio = seconds / this.path.seconds;
    if (!(ratio > 0) || !Number.isFinite(ratio)) return this.show();
    this.#set(this.path.keyframes.map((k) => ({ ...k, timeS: k.timeS * ratio })), this.path.closed, seconds);
  }

  close(closed: boolean): void {
    const last = this.path.keyframes.at(-1)?.timeS ?? 0;
    this.#set(this.path.keyframes, closed, last + (closed ? NEW_GAP_S : 0));
  }

  /** Shows the film at a time. */
  seek(timeS: number): void {
    if (this.path.keyframes.length === 0) return this.show();
    this.#time = Math.min(Math.max(timeS, 0), this.path.seconds);
    const { camera, lens } = at(this.path, this.#time, this.#aperture);
    this.state.move(camera);
    this.state.set(
      lens
        ? { fNumber: this.state.fNumberOf(lens.apertureDiameter, camera), focusDistance: lens.focusDistance }
        : { fNumber: Number.POSITIVE_INFINITY },
    );
    this.show();
  }

  /** Plays the film once in its own time, each frame when the one before it is done; or stops. */
  async play(): Promise<void> {
    if (this.#playing) {
      this.#playing = false;
      return;
    }
    if (this.path.keyframes.length < 2) return this.say("A preview needs two keyframes or more.");
    this.#playing = true;
    this.show();
    const start = performance.now();
    try {
      for (let passed = 0; this.#playing && passed < this.path.seconds; passed = (performance.now() - start) / 1000) {
        this.seek(passed);
        await this.presenter.settled();
        await new Promise((next) => requestAnimationFrame(next));
      }
      if (this.#playing) this.seek(this.path.closed ? 0 : this.path.seconds);
    } finally {
      this.#playing = false;
      this.show();
    }
  }

  /** The text of the file that `hyperfocal render --path` reads. */
  json(): string {
    return pathJson(this.path, this.#aperture);
  }

  save(): void {
    if (this.path.keyframes.length === 0) return this.say("Add a keyframe first.");
    const name = `${this.state.manifest.title || "path"}.path.json`.replace(/[^\w.-]+/g, "_");
    download(name, new Blob([this.json()], { type: "application/json" }));
    this.say(`hyperfocal render RESULT --path ${name}`);
  }

  readonly #aperture = (fNumber: number, camera: Keyframe["camera"]): number => this.state.apertureOf(fNumber, camera);

  #now(timeS: number): Keyframe {
    return { timeS, camera: this.state.values.camera, lens: this.state.lens };
  }

  #set(keyframes: Keyframe[], closed = this.path.closed, seconds = this.path.seconds): void {
    this.path = ordered({ keyframes, closed, seconds });
    this.#time = Math.min(this.#time, this.path.seconds);
    this.show();
  }

  #select(index: number, go: boolean): void {
    this.#selected = index;
    const keyframe = this.path.keyframes[index];
    if (go && keyframe) {
      this.state.move(keyframe.camera);
      const { apertureDiameter, focusDistance } = keyframe.lens;
      const fNumber = apertureDiameter === 0 ? Number.POSITIVE_INFINITY : this.state.fNumberOf(apertureDiameter, keyframe.camera);
      this.state.set({ fNumber, focusDistance });
    }
    this.#time = keyframe?.timeS ?? 0;
    this.show();
  }

  /** Brings the editor up to date with the path. */
  show(): void {
    const { keyframes, seconds, closed } = this.path;
    const shown = seconds || SHOWN_S;
    const selected = this.#selected === null ? undefined : keyframes[this.#selected];
    this.#playhead.max = String(shown);
    this.#playhead.value = String(this.#time);
    this.#playhead.disabled = keyframes.length === 0;
    this.#playhead.setAttribute("aria-valuetext", `${digits(this.#time)} s`);
    this.#when.disabled = this.#buttons.update.disabled = this.#buttons.remove.disabled = !selected;
    this.#buttons.save.disabled = keyframes.length === 0;
    this.#play.disabled = keyframes.length < 2;
    this.#play.replaceChildren(icon(this.#playing ? "stop" : "play"), el("span", {}, this.#playing ? "Stop" : "Preview"));
    this.#length.disabled = seconds === 0;
    if (document.activeElement !== this.#when) this.#when.value = selected ? String(round(selected.timeS)) : "";
    if (document.activeElement !== this.#length) this.#length.value = seconds ? String(round(seconds)) : "";
    this.#loop.checked = closed;
    while (this.#line.children.length > keyframes.length) this.#line.lastChild?.remove();
    while (this.#line.children.length < keyframes.length) this.#line.append(this.#diamond(this.#line.children.length));
    keyframes.forEach((keyframe, i) => {
      const diamond = this.#line.children[i] as HTMLElement;
      diamond.style.left = `${(100 * keyframe.timeS) / shown}%`;
      diamond.setAttribute("aria-label", `Keyframe ${i + 1} at ${digits(keyframe.timeS)} s`);
      diamond.setAttribute("aria-pressed", String(i === this.#selected));
    });
  }

  #diamond(index: number): HTMLButtonElement {
    let from: { x: number; timeS: number } | null = null;
    let moved = false;
    const diamond = el("button", {
      type: "button", class: "diamond", title: "Click: go there. Drag: move in time. Delete: remove",
      onclick: () => { if (!moved) this.#select(index, true); },
      onpointerdown: (e: PointerEvent) => {
        diamond.setPointerCapture(e.pointerId);
        from = { x: e.clientX, timeS: this.path.keyframes[index]?.timeS ?? 0 };
        moved = false;
      },
      onpointermove: (e: PointerEvent) => {
        if (from && Math.abs(e.clientX - from.x) > 3) moved = true;
      },
      onpointerup: (e: PointerEvent) => {
        if (from && moved) {
          this.#selected = index;
          const shown = this.path.seconds || SHOWN_S;
          this.retime(from.timeS + ((e.clientX - from.x) / this.#line.clientWidth) * shown);
        }
        from = null;
      },
      onkeydown: (e: KeyboardEvent) => {
        const step = { ArrowLeft: -0.1, ArrowRight: 0.1 }[e.key];
        if (e.key === "Delete" || e.key === "Backspace") {
          this.#selected = index;
          this.remove();
        } else if (step !== undefined) {
          this.#selected = index;
          this.retime((this.path.keyframes[index]?.timeS ?? 0) + step);
        } else return;
        e.preventDefault();
        e.stopPropagation();
      },
    });
    return diamond;
  }
}

const round = (x: number): number => Number(x.toFixed(2));
