// Requests to this server: the session's cookie goes along by itself, its CSRF token by us.

const ANSWER_MS = 60000;

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.type = (body.type ?? '').split('/').pop();
    this.errors = body.errors ?? [];
    this.body = body;
  }
}

export const session = { signed_in: false };
const watchers = new Set();

// fn() whenever somebody signs in or out.
export function onSession(fn) {
  watchers.add(fn);
}

export function setSession(value) {
  for (const name of Object.keys(session)) delete session[name];
  Object.assign(session, value);
  for (const fn of watchers) fn();
}

export async function loadSession() {
  setSession(await get('/auth/session'));
}

// Does who is signed in hold the permission, such as "event-apis:write"?
export function may(permission) {
  return session.signed_in && session.rights.includes(permission);
}

async function read(response) {
  const type = response.headers.get('Content-Type') ?? '';
  if (response.status === 204) return null;
  return type.includes('json') ? response.json() : response.text();
}

// The parsed answer; throws a Problem when the server refuses, and one of status 0 when it is not reached.
export async function request(method, path, body, headers = {}) {
  const options = { method, keepalive: method !== 'GET' && body === undefined, headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin', cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(ANSWER_MS) };
  if (method !== 'GET' && session.csrf) options.headers['X-CSRF-Token'] = session.csrf;
  if (body !== undefined) {
    options.headers['Content-Type'] ??= 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  let answer;
  try {
    response = await fetch(path, options);
    answer = await read(response);
  } catch (error) {
    throw new Problem(0, { detail: error.name === 'TimeoutError' ? `The portal did not answer within ${ANSWER_MS / 1000} s. Whether it did what was asked is not known: look before you try again.` : 'The portal cannot be reached. Check your connection and try again.' });
  }
  if (response.ok) return answer;
  const problem = new Problem(response.status, answer && typeof answer === 'object' ? answer : {});
  if (response.status === 401 && session.signed_in) setSession({ ...session, signed_in: false, csrf: undefined, user: null, rights: [] });
  throw problem;
}

export const get = (path) => request('GET', path);
export const post = (path, body, headers) => request('POST', path, body, headers);
export const put = (path, body, headers) => request('PUT', path, body, headers);
export const patch = (path, body, headers = { 'If-Match': '*' }) => request('PATCH', path, body, headers);
export const del = (path) => request('DELETE', path);

// "/v1/teams?limit=5" from parts: values are escaped, empty ones left out.
export function url(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== '') parameters.set(name, value);
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}
export const key = (text) => encodeURIComponent(text);
