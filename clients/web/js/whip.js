// Publishing by WHIP (RFC 9725): one POST with the offer, late candidates by PATCH, DELETE to end.

import { call } from "./api.js";

const GATHERING_MS = 1000; // host candidates come at once; a slow STUN server must not hold the start back

export class Publisher {
  /** onState receives the RTCPeerConnection's connectionState. */
  constructor(iceServers, onState) {
    this.peer = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.late = [];
    this.resource = null;
    this.peer.addEventListener("connectionstatechange", () => onState(this.peer.connectionState));
    this.peer.addEventListener("icecandidate", ({ candidate }) => candidate?.candidate && this.#trickle(candidate));
  }

  /** Sends the stream's tracks; returns the session's id. `name` rejoins the session of that name or id. */
  async publish(stream, name) {
    for (const track of stream.getTracks()) {
      const sender = this.peer.addTransceiver(track, { direction: "sendonly", streams: [stream] }).sender;
      if (track.kind === "video") await limitBitrate(sender);
    }
    await this.peer.setLocalDescription();
    await gathered(this.peer);
    this.sent = this.peer.localDescription.sdp;
    const path = name ? `/whip/${encodeURIComponent(name)}` : "/whip";
    const response = await call("POST", path, { type: "application/sdp", body: this.sent });
    this.resource = new URL(response.headers.get("Location"), location.href).pathname;
    this.etag = response.headers.get("ETag");
    await this.peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    for (const candidate of this.late.splice(0)) this.#trickle(candidate);
    return decodeURIComponent(this.resource.split("/").pop());
  }

  replaceTrack(track) {
    return this.peer.getSenders().find((sender) => sender.track?.kind === track.kind)?.replaceTrack(track);
  }

  async close({ forget = true } = {}) {
    this.peer.close();
    if (forget && this.resource) await call("DELETE", this.resource).catch(() => { /* it may have ended by itself */ });
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
  parameters.encodings[0].maxBitrate = 1_500_000;
  await sender.setParameters(parameters);
}
