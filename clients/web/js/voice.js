// Push-to-talk, hands-free, and reading answers aloud.

import { call } from "./api.js";

export class Talk {
  constructor({ button, handsFree, session, onProblem }) {
    Object.assign(this, { button, handsFree, session, onProblem, held: false });
    button.addEventListener("pointerdown", (event) => { button.setPointerCapture(event.pointerId); this.press(); });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(end, () => this.release());
    addEventListener("keydown", (event) => { if (isTalkKey(event) && !event.repeat) { event.preventDefault(); this.press(); } });
    addEventListener("keyup", (event) => { if (event.code === "Space" && this.held) { event.preventDefault(); this.release(); } });
    addEventListener("blur", () => this.release());
    handsFree.addEventListener("change", () => this.applyMode());
  }

  applyMode() {
    return this.#send("PUT", { mode: this.handsFree.checked ? "hands_free" : "push_to_talk" });
  }

  press() {
    if (this.held || !this.session()) return;
    this.held = true;
    this.button.setAttribute("aria-pressed", "true");
    this.onPress?.();
    this.order = Promise.resolve(this.order).then(() => this.#send("POST", { action: "press" }));
  }

  release() {
    if (!this.held) return;
    this.held = false;
    this.button.setAttribute("aria-pressed", "false");
    this.order = Promise.resolve(this.order).then(() => this.#send("POST", { action: "release" }));
  }

  async #send(method, body) {
    const session = this.session();
    if (!session) return;
    await call(method, `/v1/sessions/${encodeURIComponent(session)}/talk`, { body }).catch(this.onProblem);
  }
}

/** The space bar talks, unless it is needed where the focus is. */
function isTalkKey(event) {
  if (event.code !== "Space" || event.ctrlKey || event.altKey || event.metaKey) return false;
  return event.target.id === "press" || !event.target.closest?.("input, select, textarea, button, a, [contenteditable], video");
}

export class Reader {
  /** onSpeaking(true | false): the microphone must not hear our own voice. */
  constructor(toggle, onSpeaking) {
    this.onSpeaking = onSpeaking;
    this.toggle = toggle;
    if (!("speechSynthesis" in globalThis)) { toggle.disabled = true; toggle.closest("label").title = "This browser cannot read aloud."; }
    toggle.addEventListener("change", () => { if (!toggle.checked) this.stop(); });
  }

  read(text) {
    if (!this.toggle.checked || this.toggle.disabled || !text) return;
    this.stop();
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = "en";
    utterance.addEventListener("start", () => this.onSpeaking(true));
    for (const end of ["end", "error"]) utterance.addEventListener(end, () => this.onSpeaking(false));
    speechSynthesis.speak(utterance);
  }

  stop() {
    if (globalThis.speechSynthesis?.speaking) { speechSynthesis.cancel(); this.onSpeaking(false); }
  }
}
