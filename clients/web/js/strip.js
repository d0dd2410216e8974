// The coverage strip: one column for each past window. Above the middle line video, below it audio; the layer nearest the
// middle is the first, so a column thins outwards as tokens are dropped from layer to layer.

const COLUMN = 14; // CSS pixels, the widest a window is drawn
const VIDEO = [42, 125, 225];
const AUDIO = [226, 120, 30];

export class Strip {
  constructor(canvas, summary) {
    this.canvas = canvas;
    this.summary = summary;
    this.clear();
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  clear() {
    this.windows = [];
    this.answered = null;
    this.coverage = null;
    this.summary.textContent = "No window yet.";
    this.#schedule();
  }

  fused(event) {
    this.windows.push({ start: event.start, end: event.end, video: event.kept.video, audio: event.kept.audio });
    this.coverage = event.coverage;
    if (!this.answered) this.summary.textContent = `${this.#count()} in memory, ${Math.round(100 * event.coverage)} % of the past covered.`;
    this.#schedule();
  }

  /** Shows what an answer was drawn from: survivors of each window in each layer. */
  answer(done) {
    this.answered = new Map(done.survivors.map((chunk) => [key(chunk.start), chunk]));
    const last = (counts) => counts.at(-1) ?? 0;
    const total = done.survivors.reduce((sum, chunk) => sum + last(chunk.video) + last(chunk.audio), 0);
    const ranked = done.survivors
      .map((chunk) => ({ ...chunk, share: (last(chunk.video) + last(chunk.audio)) / Math.max(total, 1) }))
      .sort((a, b) => b.share - a.share).slice(0, 3).filter((chunk) => chunk.share > 0);
    const named = ranked.map((chunk) => `${clock(chunk.start)}–${clock(chunk.end)} (${Math.round(100 * chunk.share)} %)`).join(", ");
    this.summary.textContent = named ? `The last answer was drawn mostly from ${named}; ${this.#count()} in memory.` : `The last answer needed no window; ${this.#count()} in memory.`;
    this.#schedule();
  }

  #count() { return `${this.windows.length} window${this.windows.length === 1 ? "" : "s"}`; }

  #schedule() {
    this.pending ??= requestAnimationFrame(() => { this.pending = undefined; this.#draw(); });
  }

  #draw() {
    const { canvas, windows } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const brush = canvas.getContext("2d");
    brush.scale(ratio, ratio);
    const column = Math.min(COLUMN, width / Math.max(windows.length, 1));
    const most = Math.max(1, ...windows.map((w) => Math.max(w.video, w.audio)));
    windows.forEach((window, i) => {
      const chunk = this.answered?.get(key(window.start));
      const x = i * column;
      const wide = Math.max(column - 1, 0.5);
      half(brush, x, wide, height / 2, -1, window.video, chunk?.video, most, VIDEO, Boolean(this.answered));
      half(brush, x, wide, height / 2, 1, window.audio, chunk?.audio, most, AUDIO, Boolean(this.answered));
    });
    brush.fillStyle = "#8888";
    brush.fillRect(0, height / 2 - 0.5, width, 1);
  }
}

function half(brush, x, width, middle, direction, kept, layers, most, [r, g, b], answered) {
  const rows = layers?.length || 1;
  const row = (middle - 4) / rows;
  for (let layer = 0; layer < rows; layer++) {
    const alive = layers ? layers[layer] : kept;
    const strength = (answered && !layers ? 0.15 : 1) * (alive / most);
    brush.fillStyle = `rgba(${r}, ${g}, ${b}, ${alive ? 0.12 + 0.88 * Math.sqrt(strength) : 0.04})`;
    const from = middle + direction * (2 + layer * row);
    brush.fillRect(x, direction > 0 ? from : from - row, width, Math.max(row - (row > 3 ? 0.5 : 0), 0.5));
  }
}

const key = (seconds) => seconds.toFixed(2);
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
