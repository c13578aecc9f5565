// The page: the list of runs, and what the address says to show of them.
//   #/            the list; where there is room beside it, its first run
//   #/run/ID      a run
//   #/compare/ID,ID…

import {follow, setToken, takeTokenFromAddress} from './api.js';
import {MOST_COMPARED, RunList} from './list.js';
import {RunView} from './run.js';

const isWide = matchMedia('(min-width: 860px)');
const connection = document.getElementById('connection');
const main = document.getElementById('main');
const rows = new Map();
const list = new RunList(document.getElementById('list'), rows);
let view = null;

function chosenIds() {
  const [, what, ids] = /^#\/(run|compare)\/([\w,]+)$/.exec(location.hash) ?? [];
  return what ? ids.split(',').slice(0, what === 'run' ? 1 : MOST_COMPARED) : [];
}

function show() {
  const chosen = chosenIds();
  document.body.dataset.view = chosen.length > 0 ? 'run' : 'list';
  const ids = chosen.length === 0 && isWide.matches ? list.firstIds() : chosen;
  list.mark(ids);
  if (view?.ids.join() === ids.join()) {
    return;
  }
  if (chosen.length > 1) {
    list.pickAll(chosen);
  }
  view?.close();
  view = ids.length > 0 ? new RunView(main, ids, rows) : null;
  if (!view) {
    main.replaceChildren();
  }
  document.title = ids.length === 1 && rows.has(ids[0]) ? `${rows.get(ids[0]).name} – bertcram` : 'bertcram';
}

function take(news) {
  const received = performance.now();
  for (const row of news.runs) {
    rows.set(row.id, {...row, received});
  }
  if (news.ids) {
    const known = new Set(news.ids);
    for (const id of [...rows.keys()].filter((key) => !known.has(key))) {
      rows.delete(id);
    }
  }
  list.update();
  show();
  view?.update(news.runs.map((row) => row.id));
}

/// A token from the viewer, once they gave one.
function askForToken() {
  const dialog = document.getElementById('token');
  const input = dialog.querySelector('input');
  input.value = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      setToken(input.value);
      resolve();
    }, {once: true});
  });
}

function tell(state) {
  connection.dataset.state = state;
  connection.textContent = {live: 'live', lost: 'no connection', token: 'locked'}[state];
  return state === 'token' ? askForToken() : null;
}

takeTokenFromAddress();
addEventListener('hashchange', () => {
  takeTokenFromAddress();
  show();
  scrollTo(0, 0);
});
isWide.addEventListener('change', show);
follow(take, tell);
