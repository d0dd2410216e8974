// The coverage strip: one column for each past window. Above the line video, below it audio; the first layer lies next to
// the line, so that a column thins outwards as tokens are dropped from layer to layer.

const COLUMN = 16; // CSS pixels, the widest a window is drawn
const MARGIN = 2;
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };

export class Strip {
  /** `detail` tells about one window, `summary` what the last answer was drawn from. */
  constructor(canvas, { detail, summary }) {
    Object.assign(this, { canvas, detail, summary });
    canvas.addEventListener("keydown", (event) => this.#step(event));
    for (const kind of ["pointerdown", "pointermove"]) canvas.addEventListener(kind, (event) => this.#select(Math.floor(event.offsetX / this.#column())));
    for (const kind of ["pointerleave", "blur"]) canvas.addEventListener(kind, () => this.#select(null));
    new ResizeObserver(() => this.#schedule()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#schedule());
    this.clear();
  }

  clear() {
    Object.assign(this, { windows: [], answered: null, coverage: null, selected: null });
    this.summary.textContent = "";
    this.#tell();
    this.#schedule();
  }

  /** A window became memory; one that is fused again (after the model was restarted) takes its old place. */
  fused({ index, start, end, seen, kept, coverage }) {
    const before = this.windows.findIndex((window) => window.index === index);
    this.windows.splice(before < 0 ? this.windows.length : before, before < 0 ? 0 : 1, { index, start, end, seen, kept });
    this.coverage = coverage;
    this.#tell();
    this.#schedule();
  }

  evicted({ coverage }) {
    this.coverage = coverage;
    this.#tell();
  }

  /** Shows what an answer was drawn from: the survivors of each window in each layer. */
  answer({ survivors, deep_share }) {
    this.answered = new Map(survivors.map((chunk) => [key(chunk.start), chunk]));
    const total = survivors.reduce((sum, chunk) => sum + last(chunk), 0);
    const most = survivors.filter((chunk) => last(chunk) > 0).sort((one, other) => last(other) - last(one)).slice(0, 3)
      .map((chunk) => `${clock(chunk.start)}–${clock(chunk.end)} (${percent(last(chunk) / total)})`).join(", ");
    this.summary.textContent = most ? `The last answer was drawn mostly from ${most}; its deep layers saw ${percent(deep_share)} of the memory.` : "The last answer was drawn from no window.";
    this.#tell();
    this.#schedule();
  }

  #column() { return Math.min(COLUMN, this.canvas.clientWidth / Math.max(this.windows.length, 1)); }

  #step(event) {
    if (!(event.key in STEPS) || !this.windows.length) return;
    event.preventDefault();
    const newest = this.windows.length - 1;
    const from = this.selected ?? (STEPS[event.key] > 0 ? -1 : newest + 1);
    this.#select(Math.max(0, Math.min(newest, from + STEPS[event.key])));
  }

  #select(at) {
    this.selected = at !== null && at >= 0 && at < this.windows.length ? at : null;
    this.#tell();
    this.#schedule();
  }

  #tell() {
    const count = this.windows.length;
    const chosen = this.selected === null ? null : this.windows[this.selected];
    let words = "No window yet.";
    if (chosen) words = describe(chosen, this.answered);
    else if (count) words = `${count} window${count === 1 ? "" : "s"} seen, ${percent(this.coverage)} of them still in memory.`;
    this.detail.textContent = words;
    this.canvas.setAttribute("aria-valuemin", count ? "1" : "0");
    this.canvas.setAttribute("aria-valuemax", String(count));
    this.canvas.setAttribute("aria-valuenow", String((this.selected ?? count - 1) + 1));
    this.canvas.setAttribute("aria-valuetext", words);
  }

  #schedule() {
    this.pending ??= requestAnimationFrame(() => { this.pending = null; this.#draw(); });
  }

  #draw() {
    const { canvas, windows, answered } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height, column] = [canvas.clientWidth, canvas.clientHeight, this.#column()];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const brush = canvas.getContext("2d");
    brush.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const [video, audio, line] = ["--video", "--audio", "--line"].map((name) => style.getPropertyValue(name));
    windows.forEach((window, at) => {
      const chunk = answered?.get(key(window.start));
      const place = { x: at * column, wide: Math.max(column - (column > 4 ? 1 : 0), 0.5), middle: height / 2 };
      const newer = answered && !chunk; // came after the answer: shown as it was fused, but faint
      half(brush, { ...place, up: true, colour: video, layers: chunk?.video ?? [window.kept.video], most: window.seen.video, faint: newer });
      half(brush, { ...place, up: false, colour: audio, layers: chunk?.audio ?? [window.kept.audio], most: window.seen.audio, faint: newer });
      if (at === this.selected) { brush.strokeStyle = style.color; brush.strokeRect(place.x + 0.5, 0.5, place.wide - 1, height - 1); }
    });
    brush.globalAlpha = 1;
    brush.fillStyle = line;
    brush.fillRect(0, height / 2 - 0.5, width, 1);
  }
}

function half(brush, { x, wide, middle, up, colour, layers, most, faint }) {
  const row = (middle - 2 * MARGIN) / layers.length;
  brush.fillStyle = colour;
  layers.forEach((alive, layer) => {
    const share = Math.min(1, alive / Math.max(most, 1));
    brush.globalAlpha = alive ? (0.15 + 0.85 * Math.sqrt(share)) * (faint ? 0.35 : 1) : 0.06;
    const near = MARGIN + layer * row;
    brush.fillRect(x, up ? middle - near - row : middle + near, wide, Math.max(row - (row > 3 ? 0.5 : 0), 0.5));
  });
}

function describe({ start, end, seen, kept }, answered) {
  const chunk = answered?.get(key(start));
  const one = (name) => `${name} ${kept[name]} of ${seen[name]} tokens kept${chunk ? `, ${chunk[name].at(-1) ?? 0} left in the last layer` : ""}`;
  return `${clock(start)} to ${clock(end)}: ${one("video")}; ${one("audio")}.`;
}

const last = (chunk) => (chunk.video.at(-1) ?? 0) + (chunk.audio.at(-1) ?? 0);
const percent = (share) => `${Math.round(100 * share)} %`;
const key = (seconds) => seconds.toFixed(2);
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
