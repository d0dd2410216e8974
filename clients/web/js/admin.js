// The administrator's page: every session in figures, refreshed every two seconds.

import { call, getJson, sessionPath } from "./api.js";
import { Notice } from "./notice.js";

const REFRESH_MS = 2000;
const LONG_LAG_S = 6; // three windows: the engine is not keeping up, or the source has stopped

const byId = (id) => document.getElementById(id);
const notice = new Notice(byId("notice"));
const rows = new Map();
let missed; // code of the problem that keeps the figures from being refreshed

async function refresh() {
  try {
    show(await getJson("/v1/admin/report"));
    if (missed) notice.clear(missed);
    missed = undefined;
  } catch (problem) {
    missed = problem.code;
    notice.show(problem);
  }
  setTimeout(refresh, REFRESH_MS);
}

function show({ sessions, degradation, queued_windows, oldest_window_age, resident_bytes }) {
  const behind = degradation === "none" ? "" : `, degraded: ${degradation}`;
  byId("load").textContent = `${sessions.length} open${behind}, ${queued_windows} windows wait (${oldest_window_age.toFixed(1)} s), engine ${Math.round(resident_bytes / 2 ** 20)} MiB`;
  byId("none").hidden = sessions.length > 0;
  for (const [id, row] of rows) if (!sessions.some(({ session }) => session === id)) { row.remove(); rows.delete(id); }
  for (const session of sessions) {
    if (!rows.has(session.session)) rows.set(session.session, newRow(session));
    fill(rows.get(session.session), session);
  }
}

function newRow({ session, name }) {
  const row = byId("sessions").insertRow();
  for (let column = 0; column < 8; column++) row.insertCell();
  const end = Object.assign(document.createElement("button"), { type: "button", textContent: "End" });
  end.setAttribute("aria-label", `End ${name ?? session}`);
  end.addEventListener("click", async () => {
    end.disabled = true;
    try {
      await call("DELETE", sessionPath(session));
    } catch (problem) {
      notice.show(problem);
      end.disabled = false;
    }
  });
  row.cells[7].append(end);
  row.cells[4].append(document.createElement("div"), memoryForm(session, name));
  return row;
}

/** Changes how many tokens a session may keep. Its field follows the session until someone writes into it. */
function memoryForm(session, name) {
  const form = Object.assign(document.createElement("form"), { className: "memory" });
  const field = Object.assign(document.createElement("input"), { type: "number", name: "budget", min: 1, required: true });
  field.setAttribute("aria-label", `Memory of ${name ?? session}, in tokens`);
  const change = Object.assign(document.createElement("button"), { textContent: "Change", disabled: true });
  field.addEventListener("input", () => { change.disabled = false; });
  form.append(field, change);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    change.disabled = true;
    try {
      const made = await call("PATCH", sessionPath(session), { body: { budget: field.valueAsNumber } });
      field.value = (await made.json()).budget;
      notice.clear();
    } catch (problem) {
      change.disabled = false;
      notice.show(problem);
    }
  });
  return form;
}

function fill({ cells }, session) {
  const ttft = session.ttft_ms === null ? "" : ` (first text after ${Math.round(session.ttft_ms)} ms)`;
  lines(cells[0], [session.name ?? session.session, `by ${session.owner ?? "nobody"}, ${session.subscribers} following`]);
  lines(cells[1], [session.state]);
  lines(cells[2], [duration(session.at)]);
  lines(cells[3], [`${session.lag.toFixed(1)} s`]);
  const [held, form] = cells[4].children;
  lines(held, [`${session.store_tokens} of ${session.budget}`, `${(session.session_bytes / 2 ** 20).toFixed(1)} MiB, ${Math.round(100 * session.coverage)} % covered`]);
  if (form.elements[1].disabled) form.elements.budget.value = session.budget;
  lines(cells[5], session.question === null ? ["None yet"] : [session.question, session.answer === null ? "…" : session.answer + ttft]);
  lines(cells[6], [`${session.reconnects} reconnects`, session.errors ? `${session.errors} errors, last: ${session.last_error}` : "no error"]);
  for (const number of [2, 3, 4]) cells[number].classList.add("number");
  cells[1].classList.toggle("warn", session.state === "lost");
  cells[3].classList.toggle("warn", session.lag > LONG_LAG_S);
}

function lines(cell, texts) {
  if (cell.dataset.said === texts.join("\n")) return; // what has not changed keeps its selection
  cell.dataset.said = texts.join("\n");
  cell.replaceChildren(...texts.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
}

const duration = (seconds) => [3600, 60, 1].map((unit, i) => String(Math.floor(seconds / unit) % (i ? 60 : 1e6)).padStart(2, "0")).join(":");

refresh();
