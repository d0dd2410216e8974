// A session's life as the page sees it: published, followed, repaired when the connection is cut, begun anew when it is over.

import { Answers } from "./answers.js";
import { getJson, Problem, sessionPath } from "./api.js";
import { Publisher } from "./whip.js";

const DELIBERATE = ["client", "source_ended"]; // somebody wanted these ends: nothing is begun anew
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];
const LOST = new Problem({ code: "lost", title: "The connection to the service is lost.", remedy: "It is tried again by itself. Check the network if this stays." });
const FORGOTTEN = new Problem({ code: "restarted", title: "The service was restarted and has forgotten the scene.", remedy: "Sharing goes on in a new session: ask again once it has seen something." });
const NO_MEDIA = new Problem({ code: "no_media", title: "Picture and sound do not get through to the service.", remedy: "A firewall may block UDP: use another network, or let the operator add a TURN server (media.ice_servers)." });

export class Link {
  /** onState("idle" | "waiting" | "live" | "lost"), onEvent(event), onSession(id), onProblem(problem), onSolved(code), onOver(). */
  constructor(reactions) {
    Object.assign(this, reactions);
    this.session = null;
    this.#reset();
    addEventListener("online", () => { this.answers?.hurry(); if (this.retrying) this.#repair(0); });
  }

  get publishing() { return Boolean(this.stream); }

  /** Publishes `stream` as a new session; with a session open, as its new picture and sound. Throws Problem.
   *  talk(): how the microphone becomes questions, as chosen now; null where it cannot.
   *  iceServers(): a promise of RTCIceServer objects, asked for each time since their credentials expire. */
  async publish(stream, { iceServers, talk }) {
    Object.assign(this, { stream, iceServers, talk });
    if (!this.session) this.onState("waiting");
    await this.#publish();
  }

  /** Follows a session that another device publishes. Throws Problem. */
  async watch(session) {
    this.onState("waiting");
    await getJson(sessionPath(session));
    this.#follow(session);
  }

  close() {
    clearTimeout(this.retrying);
    this.publisher?.close({ forget: true });
    this.answers?.close();
    this.#reset();
    this.onState("idle");
    this.onSession(null);
  }

  #reset() {
    Object.assign(this, { session: null, stream: null, publisher: null, answers: null, attempt: 0, turn: null, retrying: null, socketUp: false, mediaUp: false, everUp: false, saidLost: false });
  }

  async #publish() {
    const { stream } = this;
    const iceServers = await this.iceServers();
    if (stream !== this.stream) return; // stopped, or replaced meanwhile
    this.publisher?.close({ forget: false });
    const publisher = this.publisher = new Publisher(iceServers, (state) => { if (publisher === this.publisher) this.#media(state); });
    const session = await publisher.publish(stream, { rejoin: this.session, talk: this.talk() });
    if (publisher !== this.publisher) { publisher.close({ forget: session !== this.session }); return; }
    if (session !== this.session) this.#follow(session);
  }

  #follow(session) {
    this.answers?.close();
    this.session = session;
    this.onSession(session);
    this.answers = new Answers(session, { onEvent: (event) => this.#take(event), onState: (state) => this.#socket(state) });
  }

  #take(event) {
    if (event.type === "source.lost" && this.publishing) this.#repair(); // nothing arrives there, whatever the peer thinks
    if (event.type === "source.back") this.#rest();
    this.onEvent(event);
    if (event.type === "session.closed") this.#over(event);
  }

  #media(state) {
    if (state === "connected") { this.mediaUp = true; this.#rest(); }
    if (state === "disconnected" || state === "failed") this.mediaUp = false;
    if (state === "failed") { if (!this.everUp) this.onProblem(NO_MEDIA); this.#repair(); }
    this.#tell();
  }

  #socket(state) {
    this.socketUp = state === "open";
    if (state === "gone") { this.#anew(FORGOTTEN); return; }
    if (this.socketUp && this.everUp && this.publishing && !this.mediaUp) this.#repair(0);
    this.#tell();
  }

  #tell() {
    const live = this.socketUp && (this.mediaUp || !this.publishing);
    this.onState(live ? "live" : this.everUp ? "lost" : "waiting");
    if (live) {
      Object.assign(this, { everUp: true, saidLost: false });
      this.onSolved(LOST.code);
      this.onSolved(NO_MEDIA.code);
    } else if (this.everUp && !this.saidLost) {
      this.saidLost = true; // once: what is learnt of the cause meanwhile is not to be hidden again
      this.onProblem(LOST);
    }
  }

  /** The session was closed: by someone, by a stopping server, or because this page could not be reached for too long. */
  #over({ code, reason }) {
    if (this.publishing && !DELIBERATE.includes(code)) { this.#anew(FORGOTTEN); return; }
    this.onProblem(new Problem({ code: "closed", title: `The session has ended: ${reason}.`, remedy: this.publishing ? "Press Start to begin a new one." : "Choose another source." }));
    this.onOver();
  }

  #anew(problem) {
    this.answers?.close();
    Object.assign(this, { session: null, answers: null, socketUp: false, mediaUp: false, everUp: false });
    this.onProblem(problem);
    if (this.publishing) this.#repair();
    else this.onOver();
  }

  #rest() {
    clearTimeout(this.retrying);
    Object.assign(this, { retrying: null, attempt: 0 });
  }

  #repair(delay = RETRY_MS[Math.min(this.attempt, RETRY_MS.length - 1)]) {
    if (this.retrying && delay) return;
    clearTimeout(this.retrying);
    const turn = this.turn = {}; // an attempt still under way is overtaken by this one
    this.retrying = setTimeout(() => this.#attempt(turn), delay);
  }

  async #attempt(turn) {
    const { session } = this;
    this.attempt++;
    try {
      // A name that is unknown would be given to a new session; ours is an id, so it must be known.
      if (session) await getJson(sessionPath(session));
      if (turn !== this.turn) return;
      await this.#publish();
      if (turn === this.turn) this.retrying = null;
    } catch (problem) {
      if (turn !== this.turn) return;
      this.retrying = null;
      if (session && problem.status === 404) { this.#anew(FORGOTTEN); return; }
      if (problem.code !== "unreachable") this.onProblem(problem);
      this.#repair();
    }
  }
}
