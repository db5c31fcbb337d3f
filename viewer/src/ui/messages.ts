/** What the page says: progress, a passing remark, or why there is nothing to see. */

import { el } from "./dom";

export class Messages {
  readonly element: HTMLElement;
  readonly #toast = el("div", { class: "toast", role: "status" });
  readonly #card = el("div", { class: "card", hidden: true });
  readonly #bar = el("progress", { max: 1, value: 0, "aria-label": "Loading" });
  #timer = 0;

  constructor() {
    this.element = el("div", { class: "messages" }, this.#card, this.#toast);
  }

  progress(words: string, share: number | null): void {
    this.#card.hidden = false;
    this.#card.className = "card loading";
    if (share === null) this.#bar.removeAttribute("value");
    else this.#bar.value = share;
    this.#card.replaceChildren(el("p", {}, words), this.#bar);
  }

  /** Nothing moves meanwhile, so nothing is drawn. */
  wait(words: string): void {
    this.#card.hidden = false;
    this.#card.className = "card loading";
    this.#card.replaceChildren(el("p", {}, words));
  }

  done(): void {
    this.#card.hidden = true;
  }

  /** The page cannot go on. */
  failed(reason: string): void {
    this.#card.hidden = false;
    this.#card.className = "card failed";
    this.#card.setAttribute("role", "alert");
    const words = reason.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part)); // `commands` stand out
    this.#card.replaceChildren(el("h2", {}, "Nothing to show"), el("p", {}, ...words));
  }

  say(words: string): void {
    this.#toast.textContent = words;
    this.#toast.classList.add("shown");
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#toast.classList.remove("shown"), 3500);
  }
}
