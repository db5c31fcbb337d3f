/** The keyboard, and the help that lists it. */

import { el } from "./dom";

export interface Key {
  keys: string[];
  words: string;
  /** How the help shows the keys; else their names. */
  shown?: string;
  act: (event: KeyboardEvent) => void;
}

const POINTER_HELP: [string, string][] = [
  ["Click or tap", "focus on what is there"],
  ["Double click", "focus there and turn about it"],
  ["Drag", "turn about what the cameras look at"],
  ["Shift and drag, right button or two fingers", "move sideways"],
  ["Wheel or pinch", "go nearer or farther"],
];

export function listen(keys: Key[]): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target.closest("input:not([type=range]):not([type=checkbox]), select, textarea")) return;
    if (event.key === " " && target.closest("button, input")) return; // it presses the button
    if (event.key.startsWith("Arrow") && target.closest("input")) return;
    if (document.querySelector("dialog[open]") && event.key !== "?") return;
    const key = keys.find((k) => k.keys.includes(event.key));
    if (!key) return;
    event.preventDefault();
    key.act(event);
  });
}

export class Help {
  readonly element: HTMLDialogElement;

  constructor(keys: Key[]) {
    const rows = (list: [string, string][]) =>
      list.flatMap(([name, words]) => [el("dt", {}, name), el("dd", {}, words)]);
    const named = keys.map((k): [string, string] => [k.shown ?? k.keys.join(" "), k.words]);
    this.element = el(
      "dialog", { class: "help", "aria-labelledby": "help-title", onclick: (e: MouseEvent) => { if (e.target === this.element) this.element.close(); } },
      el(
        "div", {},
        el("h2", { id: "help-title" }, "Keys and gestures"),
        el("div", { class: "columns" }, el("dl", {}, ...rows(POINTER_HELP)), el("dl", {}, ...rows(named))),
        el("p", {}, "The bar on the focus ring is what looks sharp: circles of confusion below 1/1500 of the diagonal."),
        el("button", { class: "text", type: "button", autofocus: true, onclick: () => this.element.close() }, "Close"),
      ),
    );
  }

  toggle(): void {
    if (this.element.open) this.element.close();
    else this.element.showModal();
  }
}
