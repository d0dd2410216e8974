// Wires the page together: a source is published, its session's events are shown, and questions go out.

import { Answers } from "./answers.js";
import { call, getJson, Problem } from "./api.js";
import { explain, listDevices, Source } from "./sources.js";
import { Strip } from "./strip.js";
import { Transcript } from "./transcript.js";
import { Reader, Talk } from "./voice.js";
import { Publisher } from "./whip.js";

const EXAMPLES = ["What can you see?", "What colour is the circle?", "What shape did you see first?", "What was the last sound?", "Describe the stream so far."];
const CONNECTION = { idle: "Not connected", waiting: "Connecting…", live: "Live", lost: "Connection lost, trying again…" };
const RECONNECT_MS = [500, 1000, 2000, 5000, 10_000];

const $ = (id) => document.getElementById(id);
const strip = new Strip($("strip"), $("strip-summary"));
const reader = new Reader($("read-aloud"), (speaking) => state.source?.setMicrophoneOpen(!speaking));
const transcript = new Transcript($("transcript"), { onAsk: ask, onCancel: cancel });
const talk = new Talk({ button: $("press"), handsFree: $("hands-free"), session: () => state.session, onProblem: notice });
talk.onPress = () => reader.stop();

const state = { source: null, publisher: null, answers: null, session: null, info: null, attempt: 0, ttft: new Map() };

function notice(problem) {
  $("notice-title").textContent = problem.message ?? String(problem);
  $("notice-remedy").textContent = problem.remedy ?? "";
  $("notice").dataset.code = problem.code ?? "";
  $("notice").hidden = false;
}

function clearNotice() { $("notice").hidden = true; }

function connection(name) {
  $("connection").dataset.state = name;
  $("connection").textContent = CONNECTION[name];
}

async function start() {
  clearNotice();
  $("start").disabled = true;
  connection("waiting");
  try {
    state.info ??= await getJson("/v1/info");
    state.source = new Source($("source").value, $("preview"));
    const stream = await state.source.open({
      camera: $("camera").value, microphone: $("microphone").value, file: $("file").files[0],
      onEnded: () => { notice(new Problem({ code: "source_ended", title: "The source stopped.", remedy: "Press Start to share again." })); stop(); },
    });
    if (state.source.microphoneProblem) notice(state.source.microphoneProblem);
    state.source.setClipAudible($("hear-clip").checked);
    await publish(stream);
    $("stage-hint").hidden = true;
    $("start").hidden = true;
    $("stop").hidden = false;
    fillDevices(); // names are known only once permission was given
  } catch (error) {
    notice(explain(error));
    stop();
  } finally {
    $("start").disabled = false;
  }
}

/** Publishes; with `rejoin` the same session and its memory go on. */
async function publish(stream, rejoin = null) {
  const publisher = state.publisher = new Publisher(state.info?.ice_servers ?? [], (name) => {
    if (publisher === state.publisher && name === "failed") reconnect();
    if (publisher === state.publisher && name === "connected") { state.attempt = 0; connection("live"); }
  });
  const session = await publisher.publish(stream, rejoin);
  if (session !== state.session) follow(session);
  await talk.applyMode();
}

function follow(session) {
  state.answers?.close();
  state.session = session;
  document.body.dataset.session = session;
  strip.clear();
  $("press").disabled = false;
  state.answers = new Answers(session, {
    onEvent: show,
    onState: (name) => {
      if (name === "live") connection("live");
      if (name === "waiting") connection("lost");
      if (name === "gone") restartAnew();
    },
  });
}

/** The service no longer knows the session: it was restarted, so its memory of the scene is gone. */
async function restartAnew() {
  notice(new Problem({ code: "restarted", title: "The service was restarted and has forgotten the scene.", remedy: "Sharing goes on in a new session." }));
  state.session = null;
  await reconnect();
}

async function reconnect() {
  if (!state.source) return;
  connection("lost");
  await state.publisher?.close({ forget: false });
  const delay = RECONNECT_MS[Math.min(state.attempt++, RECONNECT_MS.length - 1)];
  clearTimeout(state.retry);
  state.retry = setTimeout(async () => {
    if (!state.source) return;
    try {
      await publish(state.source.stream, state.session);
    } catch (problem) {
      if (problem.status === 404) { state.session = null; state.attempt = 0; }
      else if (problem.code !== "unreachable") notice(problem);
      reconnect();
    }
  }, delay);
}

function stop() {
  clearTimeout(state.retry);
  state.source?.close();
  state.publisher?.close();
  state.answers?.close();
  Object.assign(state, { source: null, publisher: null, answers: null, session: null, attempt: 0 });
  delete document.body.dataset.session;
  reader.stop();
  connection("idle");
  $("press").disabled = true;
  $("stage-hint").hidden = false;
  $("start").hidden = false;
  $("stop").hidden = true;
  $("hearing").textContent = "";
}

const handlers = {
  "window.fused": (event) => strip.fused(event),
  "speech.started": () => { $("hearing").textContent = "Listening…"; reader.stop(); },
  "speech.stopped": () => { $("hearing").textContent = "Heard you."; },
  "question.accepted": (event) => { $("hearing").textContent = ""; transcript.question(event); },
  "answer.started": (event) => { state.ttft.set(event.question, event.ttft_ms); transcript.started(event); },
  "answer.delta": (event) => transcript.delta(event),
  "answer.done": (event) => {
    transcript.done({ ...event, ttft_ms: state.ttft.get(event.question) ?? event.timings_ms?.ttft ?? 0 });
    state.ttft.delete(event.question);
    strip.answer(event);
    reader.read(event.text);
  },
  "answer.cancelled": (event) => transcript.cancelled(event),
  "source.lost": () => { $("hearing").textContent = "No picture or sound arrives."; },
  "source.back": () => { $("hearing").textContent = ""; },
  "engine.restarted": (event) => notice(new Problem({ code: "engine", title: "The model was restarted.", remedy: `${event.windows_lost} windows of memory were lost.` })),
  overload: (event) => { if (event.action !== "recovered") notice(new Problem({ code: "overload", title: "The server is busy.", remedy: `It goes on with ${event.action}.` })); },
  error: (event) => notice(new Problem({ code: event.code, title: event.message, remedy: event.remedy })),
  "session.closed": (event) => { notice(new Problem({ code: "closed", title: `The session ended: ${event.reason}.`, remedy: "Press Start to begin a new one." })); stop(); },
};

function show(event) { handlers[event.type]?.(event); }

async function ask(text) {
  if (!state.session) { notice(new Problem({ code: "no_session", title: "Nothing is being shown yet.", remedy: "Choose a source and press Start first." })); return false; }
  try {
    await call("POST", `/v1/sessions/${encodeURIComponent(state.session)}/questions`, { body: { text } });
    return true;
  } catch (problem) {
    notice(problem);
    return false;
  }
}

async function cancel(question) {
  await call("DELETE", `/v1/sessions/${encodeURIComponent(state.session)}/questions/${encodeURIComponent(question)}`).catch(notice);
}

async function fillDevices() {
  const { cameras, microphones } = await listDevices();
  const fill = (select, devices, fixed) => {
    const chosen = select.value;
    select.replaceChildren(...[{ deviceId: "", label: "Default" }, ...devices, ...fixed].map(({ deviceId, label }) => new Option(label, deviceId)));
    select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
  };
  fill($("camera"), cameras, []);
  fill($("microphone"), microphones, [{ deviceId: "none", label: "None" }]);
}

$("source-form").addEventListener("submit", (event) => { event.preventDefault(); start(); });
$("source").addEventListener("change", () => {
  $("camera-field").hidden = $("source").value !== "camera";
  if ($("source").value === "file") $("file").click();
});
$("stop").addEventListener("click", stop);
$("notice-close").addEventListener("click", clearNotice);
$("hear-clip").addEventListener("change", () => state.source?.setClipAudible($("hear-clip").checked));
$("ask-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("ask").value.trim();
  if (text && await ask(text)) $("ask").value = "";
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  reader.stop();
  const running = transcript.running();
  if (running && state.session) cancel(running);
});
addEventListener("pagehide", () => state.publisher?.peer.close());
$("examples").append(...EXAMPLES.map((text) => {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  button.addEventListener("click", () => ask(text));
  return button;
}));

(function drawLevel() {
  if (state.source) $("level").value = state.source.level();
  requestAnimationFrame(drawLevel);
})();

navigator.mediaDevices?.addEventListener?.("devicechange", fillDevices);
fillDevices();
getJson("/v1/info").then((info) => {
  state.info = info;
  $("model").textContent = `${info.engine.model} on ${info.engine.device}`;
  $("about").textContent = info.about ?? "";
}).catch(notice);
