// Push-to-talk, hands-free, and reading answers aloud.

import { call, sessionPath } from "./api.js";

const HELP = {
  off: "This server does not listen: type your questions.",
  hands_free: "Just speak; the question ends when you pause. Switch hands-free off to hold a key instead.",
  push_to_talk: "Hold the button, or the space bar, while you speak.",
};

export class Talk {
  /** session(): id of the session that hears our microphone, or null; onPress(): the speaker begins. */
  constructor({ button, handsFree, help, session, onProblem, onPress }) {
    Object.assign(this, { button, handsFree, help, session, onProblem, onPress, held: false, listens: true, order: Promise.resolve() });
    button.addEventListener("pointerdown", (event) => { button.setPointerCapture(event.pointerId); this.press(); });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(end, () => this.release());
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch is how one talks here
    addEventListener("keydown", (event) => this.#down(event));
    addEventListener("keyup", (event) => this.#up(event));
    addEventListener("blur", () => this.release());
    handsFree.addEventListener("change", () => { this.release(); this.show(); this.#send("PUT", { mode: this.mode }); });
    this.show();
  }

  get mode() { return this.listens ? (this.handsFree.checked ? "hands_free" : "push_to_talk") : "off"; }

  /** Brings button and help up to date with the mode and the session. */
  show() {
    this.button.disabled = this.mode !== "push_to_talk" || !this.session();
    this.handsFree.disabled = !this.listens;
    this.help.textContent = `${HELP[this.mode]} Escape stops an answer.`;
  }

  press() {
    if (this.held || this.button.disabled) return;
    this.held = true;
    this.button.setAttribute("aria-pressed", "true");
    this.onPress();
    this.#send("POST", { action: "press" });
  }

  release() {
    if (!this.held) return;
    this.held = false;
    this.button.setAttribute("aria-pressed", "false");
    this.#send("POST", { action: "release" });
  }

  #down(event) {
    if (!isTalkKey(event) || this.button.disabled) return;
    event.preventDefault(); // also of repeats: a held space bar must not scroll
    if (!event.repeat) this.press();
  }

  #up(event) {
    if (event.code !== "Space" || !this.held) return;
    event.preventDefault();
    this.release();
  }

  /** In order: a release must not overtake its press. */
  #send(method, body) {
    const session = this.session();
    if (!session) return;
    this.order = this.order.then(() => call(method, sessionPath(session, "talk"), { body })).catch(this.onProblem);
  }
}

/** The space bar talks, unless it is needed where the focus is. */
function isTalkKey(event) {
  if (event.code !== "Space" || event.ctrlKey || event.altKey || event.metaKey) return false;
  return event.target.id === "press" || !event.target.closest?.("input, select, textarea, button, a, summary, [contenteditable]");
}

export class Reader {
  /** onSpeaking(true | false): the microphone must not hear our own voice. */
  constructor(toggle, onSpeaking) {
    Object.assign(this, { toggle, onSpeaking, utterance: null });
    if (!("speechSynthesis" in globalThis)) { toggle.disabled = true; toggle.closest("label").title = "This browser cannot read aloud."; }
    toggle.addEventListener("change", () => { if (!toggle.checked) this.stop(); });
  }

  read(text) {
    if (!this.toggle.checked || !text) return;
    this.stop();
    const utterance = this.utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = "en";
    utterance.addEventListener("start", () => this.onSpeaking(true));
    for (const end of ["end", "error"]) utterance.addEventListener(end, () => { if (utterance === this.utterance) this.#ended(); });
    speechSynthesis.speak(utterance);
  }

  stop() {
    if (!this.utterance) return;
    this.#ended();
    speechSynthesis.cancel();
  }

  #ended() {
    this.utterance = null;
    this.onSpeaking(false);
  }
}
