// Wires the page together: a source is published, its session's events are shown, and questions go out.

import { call, getJson, Problem, sessionPath } from "./api.js";
import { Chooser } from "./devices.js";
import { Link } from "./link.js";
import { Notice } from "./notice.js";
import { explain, Source } from "./sources.js";
import { Strip } from "./strip.js";
import { Transcript } from "./transcript.js";
import { Reader, Talk } from "./voice.js";

const EXAMPLES = ["What do you see?", "What colour is the circle?", "What shape did you see first?", "What was the last sound?", "Describe the stream so far."];
const CONNECTION = { idle: "Not connected", waiting: "Connecting…", live: "Live", lost: "Connection lost, trying again…" };

const NOTHING_SEEN = new Problem({ code: "conflict", title: "Nothing has been seen yet.", remedy: "Wait until the first window appears under Memory, then ask again." });

const $ = (id) => document.getElementById(id);
const notice = new Notice($("notice"));
const complain = (problem) => notice.show(problem);
const strip = new Strip($("strip"), { detail: $("strip-detail"), summary: $("strip-summary") });
const transcript = new Transcript($("transcript"), { onAsk: ask, onCancel: cancel, longest });
const link = new Link({ onState: connection, onEvent: show, onSession: follow, onProblem: complain, onSolved: (code) => notice.clear(code), onOver: stop });
const reader = new Reader($("read-aloud"), (speaking) => source?.setMicrophoneOpen(!speaking));
const talk = new Talk({
  button: $("press"), handsFree: $("hands-free"), help: $("talk-help"),
  session: () => (link.publishing ? link.session : null),
  onProblem: complain,
  onPress: () => { reader.stop(); source?.setMicrophoneOpen(true, { now: true }); },
});
const chooser = new Chooser($, { onChange: () => { if (source) share(); } });
let source = null;
let info = null;
let metering = 0; // the meter's next frame
let starting = null; // which press of Start is the latest; null once it was stopped

async function start() {
  notice.clear();
  running(true);
  const mine = starting = {};
  try {
    await learn();
    if (mine !== starting) return; // stopped before anything was opened
    if (chooser.kind === "join") await join();
    else await share();
  } catch (error) {
    if (mine !== starting) return;
    complain(explain(error));
    stop();
  }
}

async function join() {
  if (!chooser.session) throw new Problem({ code: "no_session", title: "No other camera is live now.", remedy: "Start one, by this page on another device or with omnidrop stream, then choose it here." });
  await link.watch(chooser.session);
  $("stage-hint").textContent = "Another device is the camera. Its questions and answers are shown here, and you can ask in writing.";
}

/** Opens the chosen source and publishes it; when one is live already, in its place in the same session. */
async function share() {
  source?.close();
  const opened = source = new Source(chooser.kind, {
    preview: $("preview"),
    onEnded: () => { if (opened === source) { complain(new Problem({ code: "source_ended", title: "The picture stopped.", remedy: "Plug the camera in again or choose another source, then press Start." })); stop(); } },
    onProblem: complain,
  });
  try {
    const stream = await opened.open(chooser.chosen);
    opened.setClipAudible($("hear-clip").checked);
    await link.publish(stream, { iceServers: async () => (await learn()).ice_servers, talk: () => (info.speech ? talk.mode : null) });
  } catch (error) {
    if (opened !== source) return; // stopped, or another one was chosen meanwhile
    complain(explain(error));
    stop();
    return;
  }
  $("stage-hint").hidden = true;
  chooser.fill(); // devices have names once permission was given
  meter();
}

function stop() {
  starting = null;
  source?.close();
  source = null;
  link.close();
  reader.stop();
  running(false);
}

function running(is) {
  $("start").hidden = is;
  $("stop").hidden = !is;
  if ([$("start"), $("stop"), document.body].includes(document.activeElement)) $(is ? "stop" : "start").focus();
  chooser.setRunning(is);
  if (is) return;
  $("stage-hint").textContent = "Choose what to show, then press Start.";
  $("stage-hint").hidden = false;
  $("hearing").textContent = "";
}

/** The session changed: another one, or none. */
function follow(session) {
  document.body.dataset.session = session ?? "";
  transcript.abandon();
  if (session) strip.clear();
  talk.show();
}

function connection(name) {
  if ($("connection").dataset.state === name) return;
  $("connection").dataset.state = name;
  $("connection").textContent = CONNECTION[name];
}

const handlers = {
  "window.fused": (event) => strip.fused(event),
  "store.evicted": (event) => strip.evicted(event),
  "speech.started": () => { $("hearing").textContent = "Listening…"; reader.stop(); },
  "speech.stopped": (event) => { $("hearing").textContent = event.dropped ?? "Recognising…"; },
  "question.accepted": (event) => { $("hearing").textContent = ""; reader.stop(); transcript.question(event); },
  "question.transcribed": (event) => transcript.words(event),
  "answer.started": (event) => transcript.started(event),
  "answer.delta": (event) => transcript.delta(event),
  "answer.done": (event) => { transcript.done(event); strip.answer(event); reader.read(event.text); },
  "answer.restarted": (event) => transcript.restarted(event),
  "answer.cancelled": (event) => transcript.cancelled(event),
  "source.lost": () => { $("hearing").textContent = "No picture or sound arrives at the service."; },
  "source.back": () => { $("hearing").textContent = ""; },
  "engine.restarted": (event) => { strip.clear(); complain(forgotten(event)); },
  overload: ({ action }) => {
    if (action === "recovered") notice.clear("overload");
    else complain(new Problem({ code: "overload", title: "The service is too busy for every detail.", remedy: `It saves on ${action} until it has caught up.` }));
  },
  error: (event) => {
    $("hearing").textContent = "";
    if (event.question) transcript.failed(event);
    else complain(new Problem({ code: event.code, title: event.message, remedy: event.remedy }));
  },
};

/** The model lost its memory, and was given again what was still held: nothing, when the whole service was restarted. */
function forgotten({ windows_refed: refed, windows_lost: lost }) {
  if (lost && !refed) return new Problem({ code: "restarted", title: "The service was restarted and has forgotten the scene.", remedy: "The session goes on: ask again once it has seen something." });
  return new Problem({ code: "engine", title: "The model was restarted.", remedy: lost ? `Its memory was rebuilt, but for ${lost} windows.` : "Its memory was rebuilt." });
}

function show(event) { handlers[event.type]?.(event); }

async function ask(text) {
  try {
    if (!link.session) throw new Problem({ code: "no_session", title: "Nothing is being shown yet.", remedy: "Choose a source and press Start first." });
    await call("POST", sessionPath(link.session, "questions"), { body: { text } });
    notice.clear("conflict");
    return true;
  } catch (problem) {
    complain(problem.code === "conflict" ? NOTHING_SEEN : problem);
    return false;
  }
}

async function cancel(question) {
  await call("DELETE", sessionPath(link.session, "questions", question)).catch(complain);
}

/** What the service is, asked afresh: it may be another one after a restart, and its TURN credentials expire. */
async function learn() {
  info = await getJson("/v1/info");
  const { model, device } = info.model;
  $("model").textContent = `Answers by ${model} on ${device}`;
  $("small-world").hidden = $("switch-model").hidden = !/nano/.test(model);
  $("ask").maxLength = longest();
  talk.listens = info.speech;
  talk.show();
  return info;
}

/** Letters that a question may have; the model counts tokens, of which a letter is hardly ever more than one. */
function longest() { return Math.min(info.limits.question_chars, info.limits.question_tokens); }

function meter() {
  cancelAnimationFrame(metering); // a source in the place of another goes on with one meter
  $("level").value = source?.level() ?? 0;
  if (source) metering = requestAnimationFrame(meter);
}

$("source-form").addEventListener("submit", (event) => { event.preventDefault(); start(); });
$("stop").addEventListener("click", stop);
$("hear-clip").addEventListener("change", () => source?.setClipAudible($("hear-clip").checked));
$("ask-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("ask").value.trim();
  if (text && await ask(text) && $("ask").value.trim() === text) $("ask").value = "";
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  reader.stop();
  const question = transcript.running();
  if (question) cancel(question);
});
addEventListener("pagehide", stop);
$("examples").append(...EXAMPLES.map((text) => {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  button.addEventListener("click", () => ask(text));
  return button;
}));
learn().catch(complain);
