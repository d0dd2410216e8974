// The one place where something that went wrong is said: what it is, and what the user can do about it.

/** Shows problems (see api.js) in `box`; a newer one replaces the older. */
export class Notice {
  constructor(box) {
    this.box = box;
  }

  show({ code, message, remedy }) {
    if (this.box.dataset.code === code && this.box.dataset.message === message) return; // not read out twice
    Object.assign(this.box.dataset, { code, message });
    const words = document.createElement("p");
    words.append(Object.assign(document.createElement("strong"), { textContent: message }), " ", remedy ?? "");
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Dismiss" });
    close.addEventListener("click", () => this.clear());
    this.box.replaceChildren(words, close);
  }

  /** Takes away the message; with `code` only that one. */
  clear(code) {
    if (code && this.box.dataset.code !== code) return;
    delete this.box.dataset.code;
    delete this.box.dataset.message;
    this.box.replaceChildren();
  }
}
