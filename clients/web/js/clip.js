// A video file played over and over as if it were a camera with a microphone.

import { Problem } from "./api.js";

const FRAMES_PER_SECOND = 15;

/** `source`: an address or a File. Returns { track, sound, setAudible(bool), close() }; `sound` is a node of `context`. */
export async function openClip(source, context) {
  if (!source) throw new Problem({ code: "no_file", title: "No video file was chosen.", remedy: "Choose one beside the source, then press Start." });
  const address = typeof source === "string" ? source : URL.createObjectURL(source);
  // An element of its own each time: a media element can feed one audio graph only, for its whole life.
  const player = Object.assign(document.createElement("video"), { src: address, loop: true, playsInline: true });
  const close = () => {
    player.pause();
    player.removeAttribute("src");
    player.load(); // lets go of the file
    if (address !== source) URL.revokeObjectURL(address);
  };
  try {
    return await opened(player, context, close);
  } catch (problem) {
    close();
    throw problem;
  }
}

async function opened(player, context, close) {
  await loaded(player);
  const sound = context.createMediaElementSource(player);
  const speaker = context.createGain();
  speaker.gain.value = 0;
  sound.connect(speaker).connect(context.destination);
  await player.play();
  const capture = player.captureStream ? player.captureStream() : drawn(player);
  const [track] = capture.getVideoTracks();
  if (!track) throw new Problem({ code: "bad_file", title: "This file has no picture.", remedy: "Choose a file with a video track." });
  return {
    track,
    sound,
    setAudible(audible) { speaker.gain.value = audible ? 1 : 0; },
    close() { track.stop(); close(); },
  };
}

function loaded(player) {
  return new Promise((resolve, reject) => {
    player.addEventListener("loadeddata", resolve, { once: true });
    player.addEventListener("error", () => reject(new Problem({
      code: "bad_file",
      title: "The browser cannot play this video.",
      remedy: "Choose an MP4 (H.264 and AAC) or WebM file.",
    })), { once: true });
  });
}

/** For browsers whose video elements cannot be captured (Safari, Firefox): each frame is drawn onto a canvas that can. */
function drawn(player) {
  const canvas = Object.assign(document.createElement("canvas"), { width: player.videoWidth, height: player.videoHeight });
  const brush = canvas.getContext("2d");
  const next = player.requestVideoFrameCallback ? (then) => player.requestVideoFrameCallback(then) : requestAnimationFrame;
  const draw = () => {
    brush.drawImage(player, 0, 0, canvas.width, canvas.height);
    if (!player.paused) next(draw);
  };
  if (canvas.width && canvas.height) draw();
  return canvas.captureStream(FRAMES_PER_SECOND);
}
