// The session's events over a WebSocket that reconnects and resumes after the last event seen.

import { accessToken, getJson } from "./api.js";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const UNKNOWN_SESSION = 4404; // close codes of the service
const OTHER_SESSION = 4409;

export class Answers {
  /** onEvent(event) once for each event, in order; onState("live" | "waiting" | "gone"). */
  constructor(session, { onEvent, onState }) {
    this.session = session;
    this.onEvent = onEvent;
    this.onState = onState;
    this.after = 0;
    this.retry = FIRST_RETRY_MS;
    this.closed = false;
    this.#connect();
    this.onOnline = () => { if (this.timer) { clearTimeout(this.timer); this.#connect(); } };
    addEventListener("online", this.onOnline);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.onOnline);
    this.socket?.close(1000);
  }

  #connect() {
    this.timer = null;
    const address = new URL(`/v1/sessions/${encodeURIComponent(this.session)}/answers`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("after", this.after);
    const token = accessToken();
    if (token) address.searchParams.set("access_token", token);
    this.socket = new WebSocket(address);
    this.socket.addEventListener("open", () => { this.retry = FIRST_RETRY_MS; this.onState("live"); });
    this.socket.addEventListener("message", ({ data }) => {
      const event = JSON.parse(data);
      if (event.seq > 0) { // 0: about this connection only, not in the log
        if (event.seq <= this.after) return;
        this.after = event.seq;
      }
      this.onEvent(event);
    });
    this.socket.addEventListener("close", ({ code }) => {
      if (code === UNKNOWN_SESSION || code === OTHER_SESSION) this.#gone();
      else this.#lost();
    });
  }

  #gone() {
    if (this.closed) return;
    this.close();
    this.onState("gone");
  }

  async #lost() {
    if (this.closed) return;
    this.onState("waiting");
    try {
      await getJson(`/v1/sessions/${encodeURIComponent(this.session)}`);
    } catch (problem) {
      if (problem.status === 404) { this.#gone(); return; }
    }
    if (this.closed) return;
    this.timer = setTimeout(() => this.#connect(), this.retry);
    this.retry = Math.min(this.retry * 2, LONGEST_RETRY_MS);
  }
}
