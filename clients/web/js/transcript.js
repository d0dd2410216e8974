// Questions (which can be corrected and asked again) with their answers as they stream in.

const ENDINGS = {
  "barge-in": "Interrupted by the next question.",
  client: "Stopped.",
  timeout: "Stopped: the answer took too long.",
  "engine lost": "Lost: the model failed. Ask again.",
  "server lost": "Lost: the service was restarted. Ask again.",
  "session closed": "Lost: the session ended.",
  shutdown: "Lost: the service stopped.",
};

export class Transcript {
  /** onAsk(text) asks again; onCancel(id) stops an answer; longest(): characters that a question may have. */
  constructor(list, { onAsk, onCancel, longest }) {
    Object.assign(this, { list, onAsk, onCancel, longest, items: new Map() });
  }

  question({ question, text, source, timings_ms }) {
    const item = document.createElement("li");
    item.dataset.state = "answering";
    item.dataset.question = question;
    item.timings = timings_ms;
    const answer = element("p", "answer");
    answer.setAttribute("aria-busy", "true"); // read out once it is whole, not word by word
    item.append(this.#asked(item, text, source), answer, element("p", "quiet facts"), this.#stopButton(question));
    this.items.set(question, item);
    this.list.append(item);
    this.#reveal();
  }

  /** The words of a question that was spoken to the model itself: they come when they are known. */
  words({ question, text }) {
    const item = this.items.get(question);
    if (item) this.#word(item, text);
  }

  started({ question, ttft_ms }) {
    const item = this.items.get(question);
    if (!item) return;
    item.facts = firstWords(ttft_ms, item.timings);
    this.#set(item, ".facts", item.facts);
  }

  delta({ question, text }) {
    const item = this.items.get(question);
    if (!item) return;
    item.querySelector(".answer").append(text);
    this.#reveal();
  }

  /** The model was lost over it, and is asked again: what it said so far is void. */
  restarted({ question }) {
    const item = this.items.get(question);
    if (!item) return;
    this.#set(item, ".answer", "");
    this.#set(item, ".facts", "The model was restarted and is asked again.");
  }

  done({ question, text, retention }) {
    const item = this.items.get(question);
    if (!item) return;
    this.#set(item, ".answer", text);
    this.#set(item, ".facts", `${item.facts ?? ""} ${Math.round(100 * retention)} % of the tokens were used.`);
    this.#end(item, "done");
  }

  cancelled({ question, reason }) {
    this.#fail(question, "cancelled", ENDINGS[reason] ?? `Stopped: ${reason}.`);
  }

  failed({ question, message, remedy }) {
    this.#fail(question, "failed", `${message} ${remedy}`);
  }

  /** The session is over: no answer comes any more. */
  abandon() {
    for (const question of this.items.keys()) this.#fail(question, "cancelled", ENDINGS["session closed"]);
    this.items.clear();
  }

  /** The newest question being answered, if any. */
  running() {
    return [...this.items].findLast(([, item]) => item.dataset.state === "answering")?.[0];
  }

  #asked(item, text, source) {
    const asked = element("p", "question");
    item.correct = Object.assign(element("button", "", "Correct"), { type: "button" });
    item.correct.addEventListener("click", () => this.#edit(item));
    item.words = element("span", "words");
    item.spoken = element("span", "quiet", "spoken");
    asked.append(item.words, ...(source === "speech" ? [item.spoken] : []), item.correct);
    this.#word(item, text);
    return asked;
  }

  #word(item, text) {
    item.text = text;
    item.words.textContent = text || "(spoken)";
    item.spoken.hidden = !text;
    item.correct.setAttribute("aria-label", text ? `Correct “${text}” and ask again` : "Ask again in writing");
  }

  #stopButton(question) {
    const stop = Object.assign(element("button", "stop", "Stop answering"), { type: "button" });
    stop.addEventListener("click", () => this.onCancel(question));
    return stop;
  }

  #edit(item) {
    const form = element("form", "row");
    const input = Object.assign(element("input", "grow"), { type: "text", value: item.text, maxLength: this.longest() });
    input.setAttribute("aria-label", "Corrected question");
    form.append(input, Object.assign(element("button", "", "Ask again"), { type: "submit" }));
    const shown = item.querySelector(".question");
    const restore = () => { form.replaceWith(shown); shown.querySelector("button").focus(); };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const words = input.value.trim();
      if (words) this.onAsk(words);
      restore();
    });
    form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); restore(); } });
    shown.replaceWith(form);
    input.select();
  }

  #fail(question, state, words) {
    const item = this.items.get(question);
    if (item?.dataset.state !== "answering") return;
    this.#set(item, ".facts", words);
    this.#end(item, state);
  }

  #end(item, state) {
    item.dataset.state = state;
    const stop = item.querySelector(".stop");
    if (document.activeElement === stop) this.list.focus(); // the focus must not fall off the page with the button
    stop.remove();
    item.querySelector(".answer").removeAttribute("aria-busy");
    this.#reveal();
  }

  #set(item, selector, text) {
    item.querySelector(selector).textContent = text;
  }

  /** Keeps the newest words in view inside the list; the page itself stays where it is. */
  #reveal() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}

function firstWords(ttft_ms, { hang_over, transcribe } = {}) {
  const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
  if (hang_over === undefined) return `First words after ${seconds(ttft_ms)}.`;
  const recognition = transcribe === undefined ? "" : `recognition ${seconds(transcribe)}, `;
  const model = Math.max(0, ttft_ms - hang_over - (transcribe ?? 0));
  return `First words ${seconds(ttft_ms)} after you stopped (pause ${seconds(hang_over)}, ${recognition}model ${seconds(model)}).`;
}

function element(name, className = "", text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}
