// Publishing by WHIP (RFC 9725): one POST with the offer, late candidates by PATCH, DELETE to end.

import { call } from "./api.js";

const GATHERING_MS = 1000; // host candidates come at once; a slow STUN server must not hold the start back
const MOST_BITS_PER_SECOND = 1_500_000; // the model looks at two small frames a second

export class Publisher {
  /** onState receives the RTCPeerConnection's connectionState. */
  constructor(iceServers, onState) {
    this.peer = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.late = [];
    this.resource = null;
    this.peer.addEventListener("connectionstatechange", () => onState(this.peer.connectionState));
    this.peer.addEventListener("icecandidate", ({ candidate }) => candidate?.candidate && this.#trickle(candidate));
  }

  /** Sends the stream's tracks; returns the session's id. `rejoin` is the session to go on with, `talk` its talk mode. */
  async publish(stream, { rejoin = null, talk = null } = {}) {
    for (const track of stream.getTracks()) {
      const sender = this.peer.addTransceiver(track, { direction: "sendonly", streams: [stream] }).sender;
      if (track.kind === "video") await limitBitrate(sender);
    }
    await this.peer.setLocalDescription();
    await gathered(this.peer);
    this.sent = this.peer.localDescription.sdp;
    const path = (rejoin ? `/whip/${encodeURIComponent(rejoin)}` : "/whip") + (talk ? `?talk=${talk}` : "");
    const response = await call("POST", path, { type: "application/sdp", body: this.sent });
    this.resource = new URL(response.headers.get("Location"), location.href).pathname;
    this.etag = response.headers.get("ETag");
    const answer = await response.text();
    if (this.peer.signalingState !== "closed") await this.peer.setRemoteDescription({ type: "answer", sdp: answer });
    for (const candidate of this.late.splice(0)) this.#trickle(candidate);
    return decodeURIComponent(this.resource.split("/").pop());
  }

  /** Stops sending; with `forget` the session ends too. */
  async close({ forget }) {
    this.peer.close();
    if (forget && this.resource) await call("DELETE", this.resource, { keepalive: true }).catch(() => { /* it may have ended by itself */ });
  }

  #trickle(candidate) {
    if (this.sent?.includes(candidate.candidate)) return;
    if (!this.resource) { this.late.push(candidate); return; }
    const description = this.peer.localDescription.sdp;
    const line = (pattern) => description.match(pattern)?.[0] ?? "";
    const body = [line(/^a=ice-ufrag:.*$/m), line(/^a=ice-pwd:.*$/m), line(/^m=.*$/m), `a=mid:${candidate.sdpMid}`, `a=${candidate.candidate}`, ""].join("\r\n");
    call("PATCH", this.resource, { type: "application/trickle-ice-sdpfrag", body, headers: this.etag ? { "If-Match": this.etag } : {} })
      .catch(() => { /* candidates already exchanged usually suffice; a failed connection is reported by its state */ });
  }
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHERING_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") { clearTimeout(timer); resolve(); }
    });
  });
}

async function limitBitrate(sender) {
  const parameters = sender.getParameters();
  if (!parameters.encodings?.length) return; // Firefox fills these in only after negotiation
  parameters.encodings[0].maxBitrate = MOST_BITS_PER_SECOND;
  await sender.setParameters(parameters);
}
