// The session's events over a WebSocket that reconnects and resumes after the last event seen.

import { accessToken, call, sessionPath } from "./api.js";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
// Close codes of the service.
const OVER = 1000;
const NO_SUCH_SESSION = 4404;
const OTHER_SESSION = 4409;

export class Answers {
  /** onEvent(event) once for each event, in order; onState("open" | "lost" | "gone"); "gone" is final. */
  constructor(session, { onEvent, onState }) {
    Object.assign(this, { session, onEvent, onState, after: 0, retry: FIRST_RETRY_MS, closed: false });
    this.#connect();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close(OVER);
  }

  /** Tries again at once, when there is reason to believe that it works now. */
  hurry() {
    if (!this.timer || this.closed) return;
    clearTimeout(this.timer);
    this.#connect();
  }

  async #connect() {
    this.timer = null;
    const address = new URL(sessionPath(this.session, "answers"), location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("after", this.after);
    if (accessToken()) { // it must not stand in an address: a ticket, good for this one socket, does
      try {
        const { ticket } = await (await call("POST", "/v1/tickets", { body: { session: this.session } })).json();
        address.searchParams.set("ticket", ticket);
      } catch {
        this.#ended();
        return;
      }
      if (this.closed) return;
    }
    this.socket = new WebSocket(address);
    this.socket.addEventListener("open", () => {
      if (this.closed) return;
      this.retry = FIRST_RETRY_MS;
      this.onState("open");
    });
    this.socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(data)));
    this.socket.addEventListener("close", ({ code }) => this.#ended(code));
  }

  #take(event) {
    if (this.closed) return;
    if (event.seq === 0) { // about this connection only, not in the log; its close code says the rest
      if (event.code === "events_trimmed") this.after = event.resume_after;
      return;
    }
    if (event.seq <= this.after) return;
    this.after = event.seq;
    this.onEvent(event);
  }

  #ended(code) {
    if (this.closed) return;
    if (code === NO_SUCH_SESSION || code === OTHER_SESSION) {
      this.close();
      this.onState("gone");
      return;
    }
    this.onState("lost");
    this.timer = setTimeout(() => this.#connect(), this.retry);
    this.retry = Math.min(this.retry * 2, LONGEST_RETRY_MS);
  }
}
