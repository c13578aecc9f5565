// Talking to the server. A token travels in a header, never in an address; that is also why the stream is read by fetch:
// EventSource cannot send headers.

const TOKEN = 'bertcram.token';

/// The text behind %-escapes; as it is where they are none, as in a token that holds a % itself.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/// An address that ends in #token=… hands the token over once; it stays in this tab and leaves the address.
export function takeTokenFromAddress() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (match) {
    setToken(decoded(match[1]));
    history.replaceState(null, '', '#/');
  }
}

/// What cannot be a token is forgotten: headers take only visible ASCII, and the server will ask for one.
export function setToken(text) {
  const token = text.trim();
  if (/^[!-~]+$/.test(token)) {
    sessionStorage.setItem(TOKEN, token);
  } else {
    sessionStorage.removeItem(TOKEN);
  }
}

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const response = await fetch(path, {...options, headers: token ? {Authorization: `Bearer ${token}`} : {}});
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new ApiError(response.status, told.error ?? `${response.status} ${response.statusText}`);
  }
  return response;
}

export const get = async (path, signal) => (await ask(path, {signal})).json();

/// Saves an answer as a file: a link could not send the token.
export async function download(path, name) {
  const address = URL.createObjectURL(await (await ask(path)).blob());
  const link = document.createElement('a');
  link.href = address;
  link.download = name.replace(/[^\w.-]+/g, '-');
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/// The text of events as objects, cut at blank lines; gives what remains.
function takeEvents(text, take) {
  const parts = text.split('\n\n');
  for (const part of parts.slice(0, -1)) {
    const data = part.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
    if (data) {
      take(JSON.parse(data));
    }
  }
  return parts.at(-1);
}

/// Follows /api/events for ever. @param told  'live', 'lost' or 'token' (one is needed: the stream goes on once it resolves)
export async function follow(take, told) {
  const SHORTEST = 1000;
  const LONGEST = 15_000;
  let delay = SHORTEST;
  for (;;) {
    try {
      const reader = (await ask('api/events')).body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        rest = takeEvents(rest + part.value, take);
        await told('live');
        delay = SHORTEST;
      }
    } catch (error) {
      if (error.status === 401) {
        await told('token');
        continue;
      }
    }
    await told('lost');
    await new Promise((resolve) => setTimeout(resolve, delay));
    delay = Math.min(LONGEST, 1.7 * delay);
  }
}
