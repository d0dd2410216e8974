// Where pictures and sound come from. The microphone and a clip's sound are mixed into one track, as a room would mix them.

import { Problem } from "./api.js";

const VIDEO = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 15, max: 30 } };
// The assistant must hear bells and buzzers as well as voices, so nothing is filtered but our own loudspeaker.
const AUDIO = { echoCancellation: true, noiseSuppression: false, autoGainControl: false };

const REMEDIES = {
  NotAllowedError: ["permission", "The browser was not allowed to use the camera or microphone.", "Allow it with the icon in the address bar, then press Start again."],
  NotFoundError: ["no_device", "No such camera or microphone was found.", "Plug one in, or choose the demo clip or a video file."],
  NotReadableError: ["device_busy", "The camera or microphone is in use by another program.", "Close that program, then press Start again."],
  OverconstrainedError: ["no_device", "The chosen device is gone.", "Choose another camera or microphone."],
  AbortError: ["device_busy", "The device stopped.", "Press Start again."],
};

export function explain(error) {
  if (error instanceof Problem) return error;
  const [code, title, remedy] = REMEDIES[error.name] ?? ["source", `The source failed: ${error.message}`, "Choose another source."];
  return new Problem({ code, title, remedy });
}

function mediaDevices() {
  if (!isSecureContext || !navigator.mediaDevices) {
    throw new Problem({
      code: "insecure_origin",
      title: "The browser gives cameras and microphones only to secure pages.",
      remedy: "Open http://localhost:8080 on this computer, serve the page by HTTPS, or choose the demo clip.",
    });
  }
  return navigator.mediaDevices;
}

export async function listDevices() {
  const found = await (navigator.mediaDevices?.enumerateDevices() ?? []);
  const named = (kind) => found.filter((device) => device.kind === kind && device.deviceId).map(({ deviceId, label }, i) => ({ deviceId, label: label || `${kind === "videoinput" ? "Camera" : "Microphone"} ${i + 1}` }));
  return { cameras: named("videoinput"), microphones: named("audioinput") };
}

export class Source {
  constructor(kind, preview) {
    this.kind = kind;
    this.preview = preview;
    this.tracks = [];
    this.gains = {};
  }

  /** Opens the source; returns the MediaStream to send. Throws Problem. */
  async open({ camera, microphone, file, onEnded }) {
    try {
      this.context = new AudioContext();
      this.mix = this.context.createMediaStreamDestination();
      this.mix.channelCount = 1;
      this.meter = this.context.createAnalyser();
      const video = await this.#openPicture({ camera, microphone, file });
      this.stream = new MediaStream([...video, ...this.mix.stream.getAudioTracks()]);
      for (const track of this.tracks) track.addEventListener("ended", onEnded);
      await this.context.resume();
      return this.stream;
    } catch (error) {
      this.close();
      throw explain(error);
    }
  }

  async #openPicture({ camera, microphone, file }) {
    const wantsMicrophone = microphone !== "none";
    const audio = wantsMicrophone && { ...AUDIO, ...(microphone && { deviceId: { exact: microphone } }) };
    if (this.kind === "camera") {
      const stream = await mediaDevices().getUserMedia({ video: { ...VIDEO, ...(camera && { deviceId: { exact: camera } }) }, audio });
      return this.#adopt(stream, "microphone");
    }
    if (this.kind === "screen") {
      const screen = await mediaDevices().getDisplayMedia({ video: VIDEO, audio: true });
      const video = this.#adopt(screen, "clip");
      if (wantsMicrophone) await this.#addMicrophone(audio);
      return video;
    }
    const video = await this.#openClip(this.kind === "demo" ? "/demo.mp4" : file && URL.createObjectURL(file));
    if (wantsMicrophone) await this.#addMicrophone(audio).catch((error) => this.microphoneProblem = explain(error));
    return video;
  }

  #adopt(stream, gainName) {
    this.tracks.push(...stream.getTracks());
    if (stream.getAudioTracks().length) this.#connect(gainName, this.context.createMediaStreamSource(stream));
    this.#show(stream.getVideoTracks());
    return stream.getVideoTracks();
  }

  #show(tracks) {
    this.preview.srcObject = new MediaStream(tracks);
    this.preview.play().catch(() => { /* what is sent does not depend on the preview */ });
  }

  async #addMicrophone(audio) {
    const stream = await mediaDevices().getUserMedia({ audio });
    this.tracks.push(...stream.getTracks());
    this.#connect("microphone", this.context.createMediaStreamSource(stream));
  }

  async #openClip(address) {
    if (!address) throw new Problem({ code: "no_file", title: "No video file was chosen.", remedy: "Choose one and press Start." });
    // An element of its own each time: a media element can feed one audio graph only, for its whole life.
    this.clip = Object.assign(document.createElement("video"), { src: address, loop: true, playsInline: true });
    await new Promise((resolve, reject) => {
      this.clip.addEventListener("loadeddata", resolve, { once: true });
      this.clip.addEventListener("error", () => reject(new Problem({ code: "bad_file", title: "The browser cannot play this video.", remedy: "Choose an MP4 (H.264) or WebM file." })), { once: true });
    });
    const sound = this.context.createMediaElementSource(this.clip);
    this.speaker = this.context.createGain();
    this.speaker.gain.value = 0;
    sound.connect(this.speaker).connect(this.context.destination);
    this.#connect("clip", sound);
    await this.clip.play();
    const capture = this.clip.captureStream?.() ?? this.clip.mozCaptureStream?.();
    if (!capture) throw new Problem({ code: "no_capture", title: "This browser cannot send a video file.", remedy: "Use Chromium or Firefox, or send it with the omnidrop stream command." });
    const video = capture.getVideoTracks();
    this.#show(video);
    return video;
  }

  #connect(name, node) {
    const gain = this.gains[name] = this.context.createGain();
    node.connect(gain).connect(this.mix);
    if (name === "microphone") node.connect(this.meter);
  }

  /** The loudness of what is heard now, 0 to 1. */
  level() {
    if (!this.meter) return 0;
    const samples = new Float32Array(this.meter.fftSize);
    this.meter.getFloatTimeDomainData(samples);
    return Math.min(1, 4 * Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
  }

  /** Echo: while our own voice speaks, the microphone is left out of what is sent. */
  setMicrophoneOpen(open) {
    this.gains.microphone?.gain.setTargetAtTime(open ? 1 : 0, this.context.currentTime, 0.01);
  }

  setClipAudible(audible) {
    if (this.speaker) this.speaker.gain.value = audible ? 1 : 0;
  }

  close() {
    for (const track of this.tracks.splice(0)) track.stop();
    this.clip?.pause();
    this.preview.srcObject = null;
    if (this.context && this.context.state !== "closed") this.context.close();
  }
}
