// Where pictures and sound come from. The microphone and a clip's sound are mixed into one track, as a room would mix them.

import { Problem } from "./api.js";
import { openClip } from "./clip.js";

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 15, max: 30 }, facingMode: { ideal: "environment" } };
const SCREEN = { width: { max: 1280 }, frameRate: { ideal: 5, max: 15 } };
// The assistant must hear bells and buzzers as well as voices, so nothing is filtered but our own loudspeaker.
const AUDIO = { echoCancellation: true, noiseSuppression: false, autoGainControl: false };
const ROOM_RINGS_S = 0.25; // after our own voice has ended
const RAMP_S = 0.01; // a gain that jumps would click

const PROBLEMS = {
  NotAllowedError: ["permission", "The browser was not allowed to use the camera or microphone.", "Allow them with the icon beside the address (or in the site settings), then press Start again."],
  NotFoundError: ["no_device", "No camera or microphone was found.", "Plug one in, or choose the demo clip or a video file as source."],
  NotReadableError: ["device_busy", "The camera or microphone is in use by another program.", "Close that program, then press Start again."],
  OverconstrainedError: ["no_device", "The chosen camera or microphone is gone.", "Choose another one, then press Start again."],
  AbortError: ["device_busy", "The camera or microphone stopped working.", "Plug it in again, then press Start."],
};

export function explain(error) {
  if (error instanceof Problem) return error;
  const [code, title, remedy] = PROBLEMS[error.name] ?? ["source", `The source failed: ${error.message}`, "Choose another source."];
  return new Problem({ code, title, remedy });
}

function mediaDevices() {
  if (!isSecureContext || !navigator.mediaDevices) {
    const local = `http://localhost${location.port && `:${location.port}`}`;
    throw new Problem({
      code: "insecure_origin",
      title: "Browsers give cameras and microphones only to secure pages, and this address is not one.",
      remedy: `Open ${local} on the computer that runs the service, or let it serve HTTPS (make run-https). The demo clip and video files work here too.`,
    });
  }
  return navigator.mediaDevices;
}

/** The devices there are; names are known only once permission was given. */
export async function listDevices() {
  const found = await (navigator.mediaDevices?.enumerateDevices() ?? []);
  const named = (kind, name) => found.filter((device) => device.kind === kind && device.deviceId).map(({ deviceId, label }, i) => ({ deviceId, label: label || `${name} ${i + 1}` }));
  return { cameras: named("videoinput", "Camera"), microphones: named("audioinput", "Microphone") };
}

export class Source {
  /** kind: "camera", "screen", "file" or "demo"; onEnded(): the picture stopped; onProblem(problem): it goes on without something. */
  constructor(kind, { preview, onEnded, onProblem }) {
    Object.assign(this, { kind, preview, onEnded, onProblem, tracks: [], gains: {} });
  }

  /** Opens the source; returns the MediaStream to send. Throws Problem. */
  async open({ camera, microphone, file }) {
    try {
      this.context = new AudioContext();
      this.mix = new MediaStreamAudioDestinationNode(this.context, { channelCount: 1 });
      this.meter = this.context.createAnalyser();
      this.samples = new Float32Array(this.meter.fftSize);
      const audio = microphone !== "none" && { ...AUDIO, ...(microphone && { deviceId: { exact: microphone } }) };
      const video = await this.#openPicture(camera, audio, file);
      if (this.closed) throw new Problem({ code: "stopped", title: "Stopped.", remedy: "" });
      this.preview.srcObject = new MediaStream([video]);
      this.preview.play().catch(() => { /* what is sent does not depend on the preview */ });
      video.addEventListener("ended", () => this.onEnded());
      await this.context.resume();
      const heard = Object.keys(this.gains).length ? this.mix.stream.getAudioTracks() : [];
      this.stream = new MediaStream([video, ...heard]);
      return this.stream;
    } catch (error) {
      this.close();
      throw explain(error);
    }
  }

  async #openPicture(camera, audio, file) {
    if (this.kind === "camera") return this.#openCamera({ ...VIDEO, ...(camera && { deviceId: { exact: camera } }) }, audio);
    if (this.kind === "screen") {
      const screen = await mediaDevices().getDisplayMedia({ video: SCREEN, audio: true });
      this.#adopt(screen, "clip");
      if (audio) await this.#addMicrophone(audio);
      return screen.getVideoTracks()[0];
    }
    this.clip = await openClip(this.kind === "demo" ? "demo.mp4" : file, this.context);
    this.#connect("clip", this.clip.sound);
    if (audio) await this.#addMicrophone(audio);
    return this.clip.track;
  }

  async #openCamera(video, audio) {
    let stream;
    try {
      stream = await mediaDevices().getUserMedia({ video, audio });
    } catch (error) {
      if (!audio || error.name !== "NotFoundError") throw error;
      stream = await mediaDevices().getUserMedia({ video }); // a camera alone is enough to see
      this.onProblem(new Problem({ code: "no_microphone", title: "No microphone was found.", remedy: "The picture is shown; type your questions, or plug a microphone in." }));
    }
    this.#adopt(stream, "microphone");
    return stream.getVideoTracks()[0];
  }

  /** The microphone beside another source: without it one can still watch and type. */
  async #addMicrophone(audio) {
    try {
      this.#adopt(await mediaDevices().getUserMedia({ audio }), "microphone");
    } catch (error) {
      const { code, message, remedy } = explain(error);
      this.onProblem(new Problem({ code, title: `${message} It goes on without a microphone.`, remedy }));
    }
  }

  #adopt(stream, name) {
    if (this.closed) { for (const track of stream.getTracks()) track.stop(); return; }
    this.tracks.push(...stream.getTracks());
    const [sound] = stream.getAudioTracks();
    if (!sound) return;
    this.#connect(name, this.context.createMediaStreamSource(new MediaStream([sound])));
    sound.addEventListener("ended", () => this.onProblem(new Problem({ code: "no_microphone", title: "The sound stopped.", remedy: "Plug the microphone in again or choose another; the picture goes on." })));
  }

  #connect(name, node) {
    const gain = this.gains[name] = this.context.createGain();
    node.connect(gain).connect(this.mix);
    if (name === "microphone") node.connect(this.meter);
  }

  /** The loudness of the microphone now, 0 to 1. */
  level() {
    if (!this.gains.microphone) return 0;
    this.meter.getFloatTimeDomainData(this.samples);
    return Math.min(1, 4 * Math.sqrt(this.samples.reduce((sum, x) => sum + x * x, 0) / this.samples.length));
  }

  /** Echo: while our own voice speaks, and until the room is quiet, the microphone is left out of what is sent. */
  setMicrophoneOpen(open, { now = false } = {}) {
    const delay = open && !now ? ROOM_RINGS_S : 0;
    this.gains.microphone?.gain.cancelScheduledValues(this.context.currentTime); // an opening that was due later
    this.gains.microphone?.gain.setTargetAtTime(open ? 1 : 0, this.context.currentTime + delay, RAMP_S);
  }

  setClipAudible(audible) { this.clip?.setAudible(audible); }

  close() {
    this.closed = true;
    for (const track of this.tracks.splice(0)) track.stop();
    this.clip?.close();
    this.preview.srcObject = null;
    if (this.context && this.context.state !== "closed") this.context.close();
  }
}
