// What is shown of runs in rows.

import {el, table} from './dom.js';
import {STATES, compact, count, duration, loss, percent} from './format.js';

/// GLUE scores beside published ones, as far as they are there.
export function glueTable(glue) {
  const score = (value) => typeof value === 'number' ? value.toFixed(1) : '–';
  const rows = [['task', 'metric', 'median', 'mean ± sd', 'seeds', ...glue.references.map((row) => row.name)]];
  for (const task of glue.tasks) {
    rows.push([task.name, task.metric, el('b', {}, score(task.median)), `${score(task.mean)} ± ${score(task.sd)}`,
      count(task.seeds), ...glue.references.map((row) => score(row.scores[task.name]))]);
  }
  if (glue.average !== null) {
    rows.push(['mean of nine', '', el('b', {}, score(glue.average)), '', '',
      ...glue.references.map((row) => score(row.average))]);
  }
  const failed = Object.entries(glue.failed).map(([name, reason]) => el('p', {className: 'note'}, `${name}: ${reason}`));
  return el('section', {}, el('h2', {}, 'GLUE'), table(rows),
      el('p', {className: 'note'}, `Protocol ${glue.protocol}. Published columns follow their own protocols.`), ...failed);
}

/// Gaps in held-out text and what the model expects there.
export function sampleList({step, samples}) {
  const guess = ({token, probability}, truth) =>
    el(token === truth ? 'b' : 'span', {}, `${token} ${percent(probability ?? 0)}`);
  return el('section', {className: 'samples'}, el('h2', {}, 'Gaps in held-out text'),
      el('p', {className: 'note'}, `What the model expected there at step ${count(step)}.`),
      ...samples.map((sample) => el('div', {},
          el('p', {}, `… ${sample.before} `, el('mark', {}, sample.truth), ` ${sample.after} …`),
          el('p', {className: 'note'}, 'expected: ',
              ...sample.top.flatMap((each, index) => [index > 0 ? ', ' : '', guess(each, sample.truth)])))));
}

export function sessionTable(sessions) {
  const rows = [['session', 'from step', 'device', 'bertcram', 'LibTorch', 'seed', 'parameters']];
  sessions.forEach((start, index) => rows.push([String(index + 1), count(start.step), String(start.device ?? '–'),
    `${start.version ?? '–'} ${start.commit ? `(${start.commit})` : ''}`, String(start.torch_version ?? '–'),
    String(start.seed ?? '–'), compact(start.parameters)]));
  return el('section', {}, el('h2', {}, 'Sessions'), table(rows));
}

/// Runs beside each other; each has the colour of its curves.
export function comparison(ids, rows) {
  const lines = [['run', 'state', 'budget', 'steps', 'tokens', 'training loss', 'held-out loss', 'tokens/s', 'time']];
  ids.forEach((id, index) => {
    const row = rows.get(id);
    if (!row) {
      lines.push(['(no longer there)', '–', '–', '–', '–', '–', '–', '–', '–']);
      return;
    }
    const swatch = el('i', {className: 'swatch'});
    swatch.style.background = `var(--curve-${(index % 8) + 1})`;
    lines.push([el('a', {href: `#/run/${id}`}, swatch, row.name), STATES[row.state], percent(row.budget_share),
      count(row.step), compact(row.tokens), loss(row.loss), loss(row.eval_loss), compact(row.tokens_per_second),
      duration(row.elapsed_seconds)]);
  });
  return table(lines);
}
