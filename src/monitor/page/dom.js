// Elements made of plain text: what comes from runs is never read as HTML.

/// el('p', {className: 'note'}, 'text', child…); attributes with a hyphen, and aria, go through setAttribute.
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-')) {
      node.setAttribute(name, value);
    } else {
      node[name] = value;
    }
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/// A table whose first column is words. rows: arrays of text or nodes, the first is the head.
export function table(rows) {
  const [head, ...body] = rows;
  const cells = (row, tag) => el('tr', {}, ...row.map((cell) => el(tag, {}, cell)));
  return el('div', {className: 'scroll', tabIndex: 0},
      el('table', {}, el('thead', {}, cells(head, 'th')), el('tbody', {}, ...body.map((row) => cells(row, 'td')))));
}

/// Buttons of which one is pressed. choices: [value, label] pairs.
export function segmented(label, choices, value, choose) {
  const buttons = choices.map(([choice, text]) => {
    const button = el('button', {type: 'button', textContent: text, 'aria-pressed': String(choice === value)});
    button.addEventListener('click', () => {
      buttons.forEach((other) => other.setAttribute('aria-pressed', String(other === button)));
      choose(choice);
    });
    return button;
  });
  return el('div', {className: 'segmented', role: 'group', 'aria-label': label}, ...buttons);
}

/// What the viewer chose last time on this device.
export const settings = {
  get(name, fallback) {
    try {
      return localStorage.getItem(`bertcram.${name}`) ?? fallback;
    } catch {
      return fallback;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`bertcram.${name}`, value);
    } catch {
      // Private windows may have no storage: the choice lasts as long as the page.
    }
  },
};
