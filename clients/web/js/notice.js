// The one place where something that went wrong is said: what it is, and what the user can do about it.

const KEPT = 3; // older than these, a problem is no news any more

/** Shows problems (see api.js) in `box`, the newest alone: one that it hid is seen again when the newer one is solved. */
export class Notice {
  constructor(box) {
    this.box = box;
    this.problems = []; // unsolved and not dismissed, one a code, the newest last
  }

  show({ code, message, remedy }) {
    const others = this.problems.filter((one) => one.code !== code);
    this.problems = [...others, { code, message, remedy }].slice(-KEPT);
    this.#draw();
  }

  /** Takes away the message; with `code` only that one. */
  clear(code) {
    this.problems = code ? this.problems.filter((one) => one.code !== code) : [];
    this.#draw();
  }

  #draw() {
    const { code, message, remedy } = this.problems.at(-1) ?? {};
    if (this.box.dataset.code === code && this.box.dataset.message === message) return; // not read out twice
    if (!code) {
      delete this.box.dataset.code;
      delete this.box.dataset.message;
      this.box.replaceChildren();
      return;
    }
    Object.assign(this.box.dataset, { code, message });
    const words = document.createElement("p");
    words.append(Object.assign(document.createElement("strong"), { textContent: message }), " ", remedy ?? "");
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Dismiss" });
    close.addEventListener("click", () => this.clear(code));
    this.box.replaceChildren(words, close);
  }
}
