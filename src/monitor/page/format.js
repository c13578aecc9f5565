// Numbers as people read them. What is missing is a dash.

const DASH = '–';
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

/// 1234567 → "1.23M"
export function compact(value, digits = 3) {
  if (!isNumber(value)) {
    return DASH;
  }
  const size = Math.abs(value);
  for (const [unit, suffix] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (size >= unit && size < 1e15) {
      return trimmed(value / unit, digits) + suffix;
    }
  }
  return trimmed(value, digits);
}

/// Up to so many significant digits, exponents where they are shorter.
export function trimmed(value, digits = 4) {
  if (!isNumber(value)) {
    return DASH;
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e15)) {
    return value.toExponential(digits - 1).replace(/\.?0+e/, 'e').replace('e+', 'e');
  }
  return String(Number(value.toPrecision(digits)));
}

export const count = (value) => isNumber(value) ? Math.round(value).toLocaleString('en-US') : DASH;
export const loss = (value) => !isNumber(value) ? DASH : Math.abs(value) < 1e4 ? value.toFixed(3) : trimmed(value);
export const percent = (value, digits = 0) => !isNumber(value) ? DASH :
    `${Math.abs(value) < 1e4 ? (100 * value).toFixed(digits) : trimmed(100 * value)}\u00a0%`;

export function bytes(value, digits = 3) {
  if (!isNumber(value)) {
    return DASH;
  }
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let index = 0;
  while (Math.abs(value) >= 1024 && index < units.length - 1) {
    value /= 1024;
    ++index;
  }
  return `${trimmed(value, digits)}\u00a0${units[index]}`;
}

/// 7390 → "2 h 3 min", 50000 → "14 h"
export function duration(seconds) {
  if (!isNumber(seconds) || seconds < 0 || seconds > 1e10) {
    return DASH;
  }
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 60) {
    return `${Math.floor(seconds)}\u00a0s`;
  }
  if (hours === 0) {
    return `${minutes}\u00a0min`;
  }
  if (hours < 10) {
    return `${hours}\u00a0h ${minutes % 60}\u00a0min`;
  }
  const rounded = Math.round(minutes / 60);
  return rounded < 48 ? `${rounded}\u00a0h` : `${Math.floor(rounded / 24)}\u00a0d ${rounded % 24}\u00a0h`;
}

/// When that will be: "14:05", on another day "Fri 14:05"
export function clockIn(seconds) {
  const time = new Date(Date.now() + 1000 * seconds);
  const isToday = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(undefined, {
    hour: '2-digit', minute: '2-digit', ...(isToday ? {} : {weekday: 'short', day: 'numeric', month: 'short'}),
  });
}

/// Of runs: what the server calls it → what it is called here.
export const STATES = {
  running: 'running', finished: 'finished', stopped: 'stopped', diverged: 'diverged', failed: 'failed',
  stale: 'no heartbeat', unknown: 'unknown',
};
