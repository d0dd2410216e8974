// Questions (which can be corrected and asked again) with their answers as they stream in.

export class Transcript {
  /** onAsk(text) asks again; onCancel(id) stops an answer. */
  constructor(list, { onAsk, onCancel }) {
    Object.assign(this, { list, onAsk, onCancel, items: new Map() });
  }

  clear() {
    this.items.clear();
    this.list.replaceChildren();
  }

  question({ question, text, source }) {
    const item = document.createElement("li");
    item.dataset.state = "answering";
    item.dataset.question = question;
    const words = element("span", "", text);
    const correct = element("button", "", "Correct");
    correct.type = "button";
    correct.setAttribute("aria-label", `Correct the question “${text}” and ask it again`);
    correct.addEventListener("click", () => this.#edit(item, text));
    const asked = element("p", "question");
    asked.append(source === "speech" ? "(spoken) " : "", words, " ", correct);
    item.append(asked, element("p", "answer"), element("p", "quiet facts"));
    this.items.set(question, item);
    this.list.append(item);
    item.scrollIntoView({ block: "nearest" });
  }

  started({ question, ttft_ms }) {
    this.#set(question, ".facts", `First words after ${Math.round(ttft_ms)} ms`);
  }

  delta({ question, text }) {
    const item = this.items.get(question);
    if (item) item.querySelector(".answer").textContent += text;
  }

  done({ question, text, ttft_ms, retention }) {
    this.#set(question, ".answer", text);
    this.#set(question, ".facts", `First words after ${Math.round(ttft_ms)} ms · ${Math.round(100 * retention)} % of the tokens kept`);
    this.#state(question, "done");
  }

  cancelled({ question, reason }) {
    this.#set(question, ".facts", `Stopped: ${reason}`);
    this.#state(question, "cancelled");
  }

  /** The question being answered now, if any. */
  running() {
    return [...this.items].find(([, item]) => item.dataset.state === "answering")?.[0];
  }

  #edit(item, text) {
    const form = document.createElement("form");
    const input = Object.assign(element("input", "grow"), { type: "text", value: text, maxLength: 500 });
    input.setAttribute("aria-label", "Corrected question");
    const send = Object.assign(element("button", "", "Ask again"), { type: "submit" });
    form.className = "row";
    form.append(input, send);
    const shown = item.querySelector(".question");
    const restore = () => { form.replaceWith(shown); };
    form.addEventListener("submit", (event) => { event.preventDefault(); if (input.value.trim()) this.onAsk(input.value.trim()); restore(); });
    form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); restore(); shown.querySelector("button").focus(); } });
    shown.replaceWith(form);
    input.select();
  }

  #set(question, selector, text) {
    const item = this.items.get(question);
    if (item) item.querySelector(selector).textContent = text;
  }

  #state(question, state) {
    const item = this.items.get(question);
    if (item) item.dataset.state = state;
  }
}

function element(name, className = "", text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}
