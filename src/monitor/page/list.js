// The list of runs: those that go on first, then the ones heard of last.

import {el} from './dom.js';
import {STATES, duration, loss, percent} from './format.js';

const ORDER = ['running', 'stale', 'diverged', 'failed', 'stopped', 'finished', 'unknown'];
const MANY = 8;
/// More curves could not be told apart.
export const MOST_COMPARED = 8;

class Item {
  constructor(row, checked) {
    this.state = el('span', {className: 'state'});
    this.name = el('span', {className: 'name'});
    this.facts = el('span', {className: 'facts'});
    this.bar = el('progress', {max: 1, 'aria-label': 'budget spent'});
    this.box = el('input', {type: 'checkbox'});
    this.box.addEventListener('change', () => checked(row.id, this.box.checked));
    this.link = el('a', {href: `#/run/${row.id}`}, el('span', {className: 'line'}, this.name, this.state), this.bar,
        this.facts);
    this.node = el('li', {}, this.link, el('label', {className: 'pick', title: 'compare'}, this.box));
  }

  update(row) {
    if (this.row === row) {
      return;
    }
    this.row = row;
    this.name.textContent = row.name;
    this.box.setAttribute('aria-label', `compare ${row.name}`);
    this.state.textContent = STATES[row.state];
    this.node.dataset.state = row.state;
    this.bar.value = row.budget_share;
    const facts = [];
    if (row.eval_loss !== null) {
      facts.push(`held out ${loss(row.eval_loss)}`);
    } else if (row.loss !== null) {
      facts.push(`loss ${loss(row.loss)}`);
    }
    facts.push(percent(row.budget_share));
    if (row.eta_seconds !== null) {
      facts.push(`${duration(row.eta_seconds)} left`);
    }
    this.facts.textContent = facts.join(' · ');
  }
}

export class RunList {
  constructor(node, rows) {
    this.rows = rows;
    this.items = new Map();
    this.picked = new Set();
    this.order = [];
    this.search = el('input', {type: 'search', placeholder: 'Find a run', 'aria-label': 'Find a run'});
    this.search.addEventListener('input', () => this.update());
    this.compare = el('a', {className: 'button'});
    this.list = el('ul');
    this.empty = el('p', {className: 'note', hidden: true},
        'No runs here yet. A run appears with its first lines: bertcram pretrain --output FOLDER/NAME');
    node.replaceChildren(this.search, this.compare, this.list, this.empty);
    this.showPicked();
  }

  /// The ids that a wide page shows when none is chosen.
  firstIds() {
    return this.order.slice(0, 1);
  }

  mark(ids) {
    for (const [id, item] of this.items) {
      item.link.toggleAttribute('aria-current', ids.includes(id));
    }
  }

  /// The runs that are compared: as if they had been ticked.
  pickAll(ids) {
    this.picked = new Set(ids.filter((id) => this.rows.has(id)));
    for (const [id, item] of this.items) {
      item.box.checked = this.picked.has(id);
    }
    this.showPicked();
  }

  update() {
    for (const id of [...this.items.keys()].filter((key) => !this.rows.has(key))) {
      this.items.get(id).node.remove();
      this.items.delete(id);
      this.picked.delete(id);
    }
    const word = this.search.value.trim().toLowerCase();
    for (const [id, row] of this.rows) {
      if (!this.items.has(id)) {
        this.items.set(id, new Item(row, (picked, isOn) => this.pick(picked, isOn)));
      }
      this.items.get(id).update(row);
      this.items.get(id).node.hidden = !row.name.toLowerCase().includes(word);
    }
    const heard = (row) => row.heartbeat_age_seconds - row.received / 1000;
    const order = [...this.rows.values()].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) ||
        (a.state === 'running' ? 0 : Math.round((heard(a) - heard(b)) / 60)) || a.name.localeCompare(b.name))
        .map((row) => row.id);
    if (order.join() !== this.order.join()) {
      this.order = order;
      this.list.append(...order.map((id) => this.items.get(id).node));
    }
    this.search.hidden = this.rows.size < MANY;
    this.empty.hidden = this.rows.size > 0;
    this.showPicked();
  }

  pick(id, isOn) {
    this.picked[isOn ? 'add' : 'delete'](id);
    this.showPicked();
  }

  showPicked() {
    this.compare.hidden = this.picked.size < 2;
    this.compare.href = `#/compare/${[...this.picked].slice(0, MOST_COMPARED).join(',')}`;
    this.compare.textContent = this.picked.size > MOST_COMPARED ?
        `Compare the first ${MOST_COMPARED} of ${this.picked.size} runs` : `Compare ${this.picked.size} runs`;
  }
}
