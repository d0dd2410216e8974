// The form that says what to show: source, camera, microphone, file or another camera's session.

import { getJson } from "./api.js";
import { listDevices } from "./sources.js";

const FIELDS = { camera: ["camera-field", "microphone-field"], screen: ["microphone-field"], file: ["file-field", "microphone-field", "hear-field"], demo: ["microphone-field", "hear-field"], join: ["join-field"] };
const OPTIONAL = ["camera-field", "file-field", "join-field", "microphone-field", "hear-field"];

export class Chooser {
  /** `find(id)` gives the page's elements; onChange(): another device was chosen. */
  constructor(find, { onChange }) {
    this.find = find;
    find("source").addEventListener("change", () => this.show());
    for (const id of ["camera", "microphone"]) find(id).addEventListener("change", onChange);
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.fill());
    if (!navigator.mediaDevices?.getDisplayMedia && isSecureContext) find("source").querySelector("[value=screen]").remove(); // phones have none
    this.show();
    this.fill();
  }

  get kind() { return this.find("source").value; }
  get chosen() { return { camera: this.find("camera").value, microphone: this.find("microphone").value, file: this.find("file").files[0] }; }
  get session() { return this.find("join").value; }

  /** Only what the source needs is shown. */
  show() {
    for (const id of OPTIONAL) this.find(id).hidden = !FIELDS[this.kind].includes(id);
    if (this.kind === "join") this.#fillSessions();
  }

  /** What cannot be changed while it runs is disabled. */
  setRunning(running) {
    for (const id of ["source", "file", "join"]) this.find(id).disabled = running;
  }

  async fill() {
    const { cameras, microphones } = await listDevices();
    options(this.find("camera"), [["", "Default"], ...cameras.map(({ deviceId, label }) => [deviceId, label])]);
    options(this.find("microphone"), [["", "Default"], ...microphones.map(({ deviceId, label }) => [deviceId, label]), ["none", "None"]]);
  }

  async #fillSessions() {
    const { sessions } = await getJson("/v1/sessions").catch(() => ({ sessions: [] }));
    const known = sessions.map(({ session, name }) => [session, name ?? `unnamed (${session.slice(0, 6)}…)`]);
    options(this.find("join"), known.length ? known : [["", "None is live now"]]);
  }
}

function options(select, pairs) {
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, label]) => new Option(label, value)));
  if (pairs.some(([value]) => value === chosen)) select.value = chosen;
}
