// A run, or several over each other.

import {download, get} from './api.js';
import {Chart} from './chart.js';
import {el, segmented, settings} from './dom.js';
import {STATES, bytes, clockIn, compact, count, duration, loss, percent, trimmed} from './format.js';
import {comparison, glueTable, sampleList, sessionTable} from './tables.js';

const SERIES_MILLISECONDS = 2000;   // between two looks at the curves
const DETAILS_MILLISECONDS = 10_000;  // and at scores, settings and the log

const GONE = 'This run is no longer there; what was read of it stays.';

const percentMark = (value, digits) => `${trimmed(100 * value, digits)}\u00a0%`;
const bytesMark = (value, digits) => bytes(value, Math.max(3, digits));
const binaryUnit = (most) => 1024 ** Math.floor(Math.log2(Math.max(most, 1)) / 10);

/// Curves of one run, in the order in which they lie over each other. restless: drawn smoothed, the raw values faint.
const CHARTS = [
  {title: 'Loss', unit: 'nats per masked token', format: loss, mark: trimmed, hasScale: true, curves: [
    {key: 'loss', name: 'training', restless: true}, {key: 'eval_loss', name: 'held out', dots: true}]},
  {title: 'Replaced-token loss', unit: 'nats per token', format: loss, mark: trimmed, hasScale: true, curves: [
    {key: 'rtd_loss', name: 'training', restless: true}, {key: 'eval_rtd_loss', name: 'held out', dots: true}]},
  {title: 'Held-out accuracy', unit: '', format: (value) => percent(value, 1), mark: percentMark, curves: [
    {key: 'eval_accuracy', name: 'masked tokens', dots: true},
    {key: 'eval_rtd_accuracy', name: 'replaced tokens', dots: true}]},
  {title: 'Throughput', unit: 'tokens per second', format: compact, mark: compact, curves: [
    {key: 'tokens_per_second', name: 'throughput', restless: true}]},
  {title: 'Learning rate', unit: '', format: trimmed, mark: trimmed, curves: [{key: 'lr', name: 'learning rate'}]},
  {title: 'Gradient norm', unit: 'before clipping', format: (value) => trimmed(value, 3), mark: trimmed, hasScale: true, curves: [
    {key: 'grad_norm', name: 'norm', restless: true}]},
  {title: 'MFU', unit: 'share of peak arithmetic', format: (value) => percent(value, 1), mark: percentMark, curves: [
    {key: 'mfu', name: 'MFU', restless: true}]},
  {title: 'GPU temperature', unit: '°C', format: (value) => `${trimmed(value, 3)} °C`, mark: trimmed, curves: [
    {key: 'gpu_temperature', name: 'temperature'}]},
  {title: 'GPU power', unit: 'watts', format: (value) => `${trimmed(value, 4)} W`, mark: trimmed, curves: [
    {key: 'gpu_power_watts', name: 'power'}]},
  {title: 'Memory', unit: 'peak', format: (value) => bytes(value), mark: bytesMark, unitOf: binaryUnit, curves: [
    {key: 'memory_bytes', name: 'memory'}]},
];

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/// Name, text of a value, and what marks are round multiples of, by the largest value.
const AXES = {
  steps: ['steps', (value) => compact(value), () => 1],
  tokens: ['tokens', (value) => compact(value), () => 1],
  seconds: ['time', (value) => value === 0 ? '0' : duration(value),
    (longest) => [DAY, HOUR, MINUTE].find((unit) => longest > 4 * unit) ?? 1],
};

export class RunView {
  constructor(node, ids, rows) {
    this.ids = ids;
    this.rows = rows;
    this.x = settings.get('x', 'steps');
    this.scale = settings.get('scale', 'linear');
    this.raw = settings.get('raw', 'raw');
    this.abort = new AbortController();
    this.series = new Map();
    this.charts = CHARTS.map((spec) => {
      const isMixed = ids.length > 1 && spec.curves.some((curve) => curve.restless) && spec.curves.some((curve) => curve.dots);
      const unit = spec.unit + (isMixed ? ' · dots: held out' : '');
      return {spec, chart: new Chart(spec.title, unit, spec.format, spec.mark, spec.unitOf)};
    });
    this.head = el('div', {className: 'head'});
    this.warning = el('p', {className: 'warning', hidden: true});
    this.more = el('div', {className: 'more'});
    this.log = el('pre', {className: 'log', tabIndex: 0});
    this.logBox = el('section', {hidden: true}, el('h2', {}, 'Log'), this.log);
    node.replaceChildren(el('a', {className: 'back', href: '#/'}, '‹ all runs'), this.head, this.warning, this.controls(),
        el('div', {className: 'charts'}, ...this.charts.map(({chart}) => chart.node)), this.more, this.logBox);
    this.scheme = matchMedia('(prefers-color-scheme: dark)');
    this.scheme.addEventListener('change', () => this.drawCharts(), {signal: this.abort.signal});
    this.ticking = setInterval(() => this.showHead(), 5000);
    this.showHead();
    this.follow();
  }

  close() {
    this.abort.abort();
    clearInterval(this.ticking);
    this.charts.forEach(({chart}) => chart.close());
  }

  /// @param ids  of the runs with news
  update(ids) {
    if (this.ids.some((id) => ids.includes(id) || !this.rows.has(id))) {
      this.showHead();
      this.hasNews = true;
      this.wake?.();
    }
  }

  controls() {
    const choose = (name) => (value) => {
      this[name] = value;
      settings.set(name, value);
      if (name === 'x') {
        this.wake?.();
      } else {
        this.drawCharts();
      }
    };
    const csv = (table) => {
      const button = el('button', {type: 'button', textContent: `${table} CSV`});
      button.addEventListener('click', () => download(`api/runs/${this.ids[0]}/metrics.csv?table=${table}`,
          `${this.rows.get(this.ids[0])?.name ?? 'run'}-${table}.csv`).catch((error) => this.warn(error.message)));
      return button;
    };
    return el('div', {className: 'controls'},
        segmented('horizontal axis', Object.entries(AXES).map(([value, [text]]) => [value, text]), this.x, choose('x')),
        segmented('scale', [['linear', 'linear'], ['log', 'log']], this.scale, choose('scale')),
        segmented('curves', [['raw', 'raw + smooth'], ['smooth', 'smooth']], this.raw, choose('raw')),
        this.ids.length === 1 ? el('div', {className: 'downloads'}, csv('training'), csv('evaluations')) : null);
  }

  /// What the curves depend on: a heartbeat alone brings no new points.
  curvesNow() {
    return [this.x, ...this.ids.map((id) => this.rows.get(id)?.metrics_bytes)].join();
  }

  /// Reads again what has news, with a pause after each time; the first time all of it.
  async follow() {
    let detailsDue = 0;
    let curves = null;  // as last read
    this.hasNews = true;
    while (!this.abort.signal.aborted) {
      try {
        if (curves !== this.curvesNow()) {
          curves = this.curvesNow();
          await this.readSeries();
        }
        if (this.hasNews && Date.now() >= detailsDue) {
          detailsDue = Date.now() + DETAILS_MILLISECONDS;
          this.hasNews = false;
          await this.readDetails();
        }
        this.warn('');
      } catch (error) {
        curves = null;  // the next news, a new connection's too, has all of it read again
        this.hasNews = false;
        if (!this.abort.signal.aborted) {
          this.warn(error.status === 404 ? GONE : error.message);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, SERIES_MILLISECONDS));
      const isDone = curves === null || curves === this.curvesNow();
      if (isDone && !this.hasNews && !this.abort.signal.aborted) {
        await new Promise((resolve) => {
          this.wake = resolve;
          this.abort.signal.addEventListener('abort', resolve, {once: true});
        });
      }
    }
  }

  async readSeries() {
    const x = this.x;
    const points = Math.min(2000, Math.max(200, Math.round(1.5 * this.head.clientWidth)));
    for (const id of this.ids) {
      const answer = await get(`api/runs/${id}/series?x=${x}&points=${points}`, this.abort.signal);
      this.series.set(id, answer.series);
    }
    this.shownX = x;
    this.drawCharts();
  }

  async readDetails() {
    if (this.ids.length > 1) {
      return;
    }
    const [id] = this.ids;
    const details = await get(`api/runs/${id}`, this.abort.signal);
    const {lines} = await get(`api/runs/${id}/log`, this.abort.signal);
    this.showDetails(details);
    this.logBox.hidden = lines.length === 0;
    const isAtEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
    this.log.textContent = lines.join('\n');
    if (isAtEnd) {
      this.log.scrollTop = this.log.scrollHeight;
    }
  }

  warn(text) {
    this.warning.hidden = text === '';
    this.warning.textContent = text;
  }

  drawCharts() {
    const isAlone = this.ids.length === 1;
    const [, formatX, unitX] = AXES[this.shownX ?? this.x];
    for (const {spec, chart} of this.charts) {
      const curves = [];
      this.ids.forEach((id, index) => spec.curves.forEach((part, order) => {
        const series = this.series.get(id)?.[part.key];
        if (!series) {
          return;
        }
        const name = isAlone ? part.name : `${this.rows.get(id)?.name ?? id}${order > 0 ? ` (${part.name})` : ''}`;
        const colour = `--curve-${((isAlone ? order : index) % 8) + 1}`;
        const smooth = part.restless ? this.series.get(id)[`${part.key}_smooth`] : null;
        if (smooth && this.raw === 'raw' && isAlone) {
          curves.push({...series, name, colour, faint: true});
        }
        curves.push({...(smooth ?? series), name, colour, dots: part.dots, unlisted: !isAlone && order > 0});
      }));
      chart.show(curves, {isLog: this.scale === 'log' && spec.hasScale === true, formatX, unitX});
    }
  }

  showHead() {
    if (this.ids.length > 1) {
      this.head.replaceChildren(el('h1', {}, 'Comparison'), comparison(this.ids, this.rows));
      return;
    }
    const row = this.rows.get(this.ids[0]);
    if (!row) {
      this.warn(GONE);
      return;
    }
    const age = row.heartbeat_age_seconds + (performance.now() - row.received) / 1000;
    const tile = (label, value) => el('div', {}, el('dt', {}, label), el('dd', {}, value));
    const bar = el('progress', {max: 1, value: row.budget_share, 'aria-label': 'budget spent'});
    const ends = row.eta_seconds === null ? '' :
      ` · about ${duration(row.eta_seconds)} left, until ${clockIn(row.eta_seconds)}`;
    const heard = row.state === 'running' || row.state === 'stale' ? ` · heard of ${duration(age)} ago` : '';
    this.head.replaceChildren(
        el('h1', {}, el('span', {}, row.name), el('span', {className: 'state'}, STATES[row.state])),
        el('div', {className: 'budget'}, bar, el('span', {}, `${percent(row.budget_share, 1)} of the budget${ends}${heard}`)),
        el('dl', {className: 'tiles'},
            tile('training loss', loss(row.loss)), tile('held-out loss', loss(row.eval_loss)),
            ...(row.eval_accuracy === null ? [] : [tile('accuracy', percent(row.eval_accuracy, 1))]),
            tile('steps', count(row.step)), tile('tokens', compact(row.tokens)),
            tile('tokens/s', compact(row.tokens_per_second)),
            ...(row.mfu === null ? [] : [tile('MFU', percent(row.mfu, 1))]),
            ...(row.gpu_temperature === null ? [] : [tile('GPU', `${count(row.gpu_temperature)} °C`)]),
            ...(row.gpu_power_watts === null ? [] : [tile('GPU power', `${count(Math.round(row.gpu_power_watts))} W`)]),
            tile('memory', bytes(row.memory_bytes)), tile('training time', duration(row.elapsed_seconds))));
    this.head.dataset.state = row.state;
  }

  showDetails(details) {
    const isOpen = this.more.querySelector('details')?.open ?? false;
    const changes = details.changes.map((change) => el('li', {}, change));
    this.more.replaceChildren(
        details.glue ? glueTable(details.glue) : '',
        details.samples ? sampleList(details.samples) : '',
        el('section', {}, el('h2', {}, 'Configuration'),
            changes.length > 0 ? el('ul', {className: 'changes', 'aria-label': 'different from the defaults'}, ...changes) :
              el('p', {className: 'note'}, details.config ? 'Nothing differs from the defaults.' : 'No config.yaml.'),
            details.config ? el('details', {open: isOpen}, el('summary', {}, 'config.yaml'), el('pre', {}, details.config)) :
              ''),
        details.sessions.length > 0 ? sessionTable(details.sessions) : '');
    if (details.damaged_lines > 0) {
      this.more.append(el('p', {className: 'note'}, `${count(details.damaged_lines)} lines of metrics.jsonl could not be read.`));
    }
  }
}
