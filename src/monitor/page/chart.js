// Curves on a canvas: axes, a legend, and the values under the pointer.

import {el} from './dom.js';

const MARGIN = {left: 56, right: 14, top: 10, bottom: 26};
const HEIGHT = 230;
const MARK_GAP = 8;  // between a mark and its axis
const HUGE = 1e300;

/// Round numbers from low to high; powers of ten (with 2 and 5 where few fit) on a logarithmic axis.
export function ticks(low, high, isLog, count) {
  const found = [];
  if (isLog) {
    const first = Math.floor(Math.log10(low));
    const last = Math.ceil(Math.log10(high));
    const stride = Math.max(1, Math.ceil((last - first) / count));
    for (let power = first; power <= last; power += stride) {
      for (const digit of last - first <= 2 ? [1, 2, 3, 5] : [1]) {
        found.push(digit * 10 ** power);
      }
    }
    const inside = found.filter((tick) => tick >= low && tick <= high);
    return inside.length > 1 ? inside : ticks(low, high, false, count);
  }
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5].find((digit) => rough <= digit * power) ?? 10);
  for (let index = Math.ceil(low / step); index * step <= high && found.length < 4 * count; ++index) {
    found.push(index * step);
  }
  return found;
}

/// As few significant digits as give all marks exactly.
export function digitsFor(marks) {
  const MOST = 12;
  let digits = 1;
  while (digits < MOST && marks.some((mark) => Math.abs(Number(mark.toPrecision(digits)) - mark) > 1e-9 * Math.abs(mark))) {
    ++digits;
  }
  return digits;
}

const isDrawable = (value, isLog) => value !== null && Math.abs(value) < HUGE && (!isLog || value > 0);

/// The range of all values but for the rare ones that would flatten the rest.
export function rangeOf(curves, isLog) {
  const values = curves.flatMap((curve) => curve.y.filter((value) => isDrawable(value, isLog))).sort((a, b) => a - b);
  if (values.length === 0) {
    return null;
  }
  const at = (share) => values[Math.round(share * (values.length - 1))];
  const change = isLog ? Math.log : (value) => value;
  const back = isLog ? Math.exp : (value) => value;
  let [low, high] = [change(values[0]), change(values.at(-1))];
  const [usualLow, usualHigh] = [change(at(0.02)), change(at(0.98))];
  const room = 2 * (usualHigh - usualLow);
  if (values.length > 20 && room > 0) {
    low = Math.max(low, usualLow - room);
    high = Math.min(high, usualHigh + room);
  }
  const space = high > low ? 0.06 * (high - low) : Math.max(isLog ? 0.1 : 1e-9, 0.05 * Math.abs(high));
  return [back(low - space), back(high + space)];
}

export class Chart {
  /// @param format  value → text, under the pointer
  /// @param mark    (value, significant digits) → text, at the axis
  /// @param unitOf  largest value → what marks at the axis are round multiples of
  constructor(title, unit, format, mark, unitOf = () => 1) {
    this.format = format;
    this.mark = mark;
    this.unitOf = unitOf;
    this.curves = [];
    this.options = {isLog: false, formatX: String, unitX: () => 1};
    this.canvas = el('canvas', {role: 'img', 'aria-label': title});
    this.legend = el('div', {className: 'legend'});
    this.hint = el('div', {className: 'hint', hidden: true});
    this.node = el('figure', {hidden: true}, el('figcaption', {}, el('span', {className: 'title'}, title),
        el('span', {className: 'unit'}, unit), this.legend), el('div', {className: 'plot'}, this.canvas, this.hint));
    this.canvas.addEventListener('pointermove', (event) => this.point(event.offsetX));
    this.canvas.addEventListener('pointerdown', (event) => this.point(event.offsetX));
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.canvas);
  }

  close() {
    this.sizes.disconnect();
  }

  /// @param curves   {name, colour (a CSS variable), x, y, faint, dots, unlisted}; names of those that are not faint nor
  ///                 unlisted make the legend
  /// @param options  {isLog, formatX, unitX: largest x → what marks are round multiples of}
  show(curves, options) {
    this.curves = curves;
    this.options = options;
    const named = curves.filter((curve) => !curve.faint && !curve.unlisted);
    this.legend.replaceChildren(...(named.length < 2 ? [] : named.map((curve) => {
      const line = el('i');
      line.style.background = `var(${curve.colour})`;
      return el('span', {}, line, curve.name);
    })));
    this.node.hidden = curves.length === 0;
    this.draw();
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (width === 0 || this.curves.length === 0) {
      return;
    }
    const density = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(HEIGHT * density);
    const pen = this.canvas.getContext('2d');
    pen.scale(density, density);
    const solid = this.curves.filter((curve) => !curve.faint);
    const rangeY = rangeOf(this.curves, this.options.isLog);
    const allX = this.curves.flatMap((curve) => [curve.x[0], curve.x.at(-1)]);
    const [lowX, highX] = [Math.min(...allX), Math.max(...allX)];
    this.node.dataset.points = String(solid.reduce((sum, curve) => sum + curve.x.length, 0));
    this.node.dataset.lastX = String(highX);
    if (!rangeY) {
      return;
    }
    const change = this.options.isLog ? Math.log : (value) => value;
    const [low, high] = rangeY.map(change);
    pen.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    const marks = this.marksIn(rangeY);
    const widest = Math.max(...marks.map(({text}) => pen.measureText(text).width));
    const left = Math.max(MARGIN.left, widest + MARK_GAP + 2);
    const inner = {left, width: width - left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom};
    this.placeX = (x) => left + (highX > lowX ? (x - lowX) / (highX - lowX) : 0.5) * inner.width;
    this.placeY = (y) => MARGIN.top + (1 - (change(y) - low) / (high - low)) * inner.height;
    this.drawAxes(pen, width, inner, marks, [lowX, highX]);
    pen.save();
    pen.beginPath();
    pen.rect(left, MARGIN.top - 3, inner.width + 4, inner.height + 6);
    pen.clip();
    for (const curve of this.curves) {
      this.drawCurve(pen, curve);
    }
    pen.restore();
    if (this.pointed !== undefined) {
      this.drawPointed(pen, inner);
    }
  }

  /// What stands at the axis of values: {value, text}.
  marksIn(range) {
    const unit = this.unitOf(range[1]);
    const multiples = ticks(range[0] / unit, range[1] / unit, this.options.isLog, 6);
    const digits = digitsFor(multiples);
    return multiples.map((multiple) => ({value: multiple * unit, text: this.mark(multiple * unit, digits)}));
  }

  drawAxes(pen, width, inner, marksY, rangeX) {
    const style = getComputedStyle(this.canvas);
    pen.fillStyle = style.getPropertyValue('--muted');
    pen.strokeStyle = style.getPropertyValue('--grid');
    pen.lineWidth = 1;
    pen.textBaseline = 'middle';
    pen.textAlign = 'right';
    for (const {value, text} of marksY) {
      const y = Math.round(this.placeY(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(inner.left, y);
      pen.lineTo(width - MARGIN.right, y);
      pen.stroke();
      pen.fillText(text, inner.left - MARK_GAP, y);
    }
    pen.textAlign = 'center';
    pen.textBaseline = 'top';
    const [lowX, highX] = rangeX;
    const unit = this.options.unitX(highX);
    const marks = highX > lowX ? ticks(lowX / unit, highX / unit, false, Math.max(3, Math.floor(inner.width / 60))) : [lowX / unit];
    for (const mark of marks) {
      const tick = mark * unit;
      const text = this.options.formatX(tick);
      const half = pen.measureText(text).width / 2;
      const x = Math.min(Math.max(this.placeX(tick), inner.left + half - 4), width - half - 2);
      pen.fillText(text, x, HEIGHT - MARGIN.bottom + 9);
    }
  }

  drawCurve(pen, curve) {
    pen.strokeStyle = getComputedStyle(this.canvas).getPropertyValue(curve.colour);
    pen.fillStyle = pen.strokeStyle;
    pen.globalAlpha = curve.faint ? 0.22 : 1;
    pen.lineWidth = curve.faint ? 1 : 1.8;
    pen.lineJoin = 'round';
    pen.beginPath();
    let isDown = false;
    curve.x.forEach((x, index) => {
      const isThere = isDrawable(curve.y[index], this.options.isLog);
      if (isThere) {
        // Far outside is as good as outside, and within what a canvas can draw.
        const y = Math.min(Math.max(this.placeY(curve.y[index]), -HEIGHT), 2 * HEIGHT);
        pen[isDown ? 'lineTo' : 'moveTo'](this.placeX(x), y);
      }
      isDown = isThere;
    });
    pen.stroke();
    if (curve.dots && curve.x.length <= 60) {
      curve.x.forEach((x, index) => {
        if (isDrawable(curve.y[index], this.options.isLog)) {
          pen.beginPath();
          pen.arc(this.placeX(x), this.placeY(curve.y[index]), 2.6, 0, 2 * Math.PI);
          pen.fill();
        }
      });
    }
    pen.globalAlpha = 1;
  }

  /// @param offset  of the pointer from the canvas's left edge, in CSS pixels; null: it has gone
  point(offset) {
    this.pointed = offset ?? undefined;
    this.hint.hidden = offset === null;
    this.draw();
  }

  drawPointed(pen, inner) {
    const solid = this.curves.filter((curve) => !curve.faint);
    const nearest = solid.map((curve) => {
      let best = 0;
      curve.x.forEach((x, index) => {
        if (Math.abs(this.placeX(x) - this.pointed) < Math.abs(this.placeX(curve.x[best]) - this.pointed)) {
          best = index;
        }
      });
      return {curve, x: curve.x[best], y: curve.y[best]};
    });
    const dense = nearest.reduce((best, one) => one.curve.x.length > best.curve.x.length ? one : best);
    const place = this.placeX(dense.x);
    pen.strokeStyle = getComputedStyle(this.canvas).getPropertyValue('--muted');
    pen.beginPath();
    pen.moveTo(place, MARGIN.top);
    pen.lineTo(place, MARGIN.top + inner.height);
    pen.stroke();
    this.hint.replaceChildren(el('b', {}, this.options.formatX(dense.x)), ...nearest.map(({curve, y}) => {
      const line = el('i');
      line.style.background = `var(${curve.colour})`;
      return el('span', {}, line, solid.length > 1 ? `${curve.name} ` : '', y === null ? '–' : this.format(y));
    }));
    this.hint.dataset.side = place > inner.left + inner.width / 2 ? 'left' : 'right';
    this.hint.style.left = `${place}px`;
  }
}
