// What a trial says to the gateway: a credential that ends after an hour, events published with it, and live events. All
// that it waits for has a bound, and what does not come is told with the address, and what to do.
import { Problem, key, post } from '../shell/api.js';

const LIFE_MS = 3600000;
const ANSWER_MS = 20000; // a gateway gives up on its backend before (publish.deadline)
const TAKEN_MS = 30000; // how long a gateway may need to learn of a credential
const RETRY_MS = 500;
const RETRY_MOST_MS = 4000; // more often it would look like somebody who guesses
const REOPEN_MS = 2000;

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const seconds = (ms) => `${Math.round(ms / 1000)} s`;
const silence = (place) => `The gateway at ${place} did not answer within ${seconds(ANSWER_MS)}. It may be away or overloaded: try again, and if it stays so tell the platform team.`;

// A gateway answers with problem documents too. What it does not answer may be its absence, or that pages may not ask it.
export async function ask(url, options) {
  const place = new URL(url).origin;
  let response;
  let text;
  try {
    response = await fetch(url, { ...options, mode: 'cors', credentials: 'omit', cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
    text = await response.text();
  } catch (error) {
    if (error.name === 'TimeoutError') throw new Problem(0, { type: 'silent', detail: silence(place) });
    throw new Problem(0, { detail: `The gateway cannot be reached from this page at ${place}. It may be away: then try again later. If it is not, its group needs a policy "cors" with the origin ${location.origin}: ask the platform team.` });
  }
  let answer = {};
  try {
    answer = JSON.parse(text);
  } catch { /* not a gateway's: what came is told by its status */ }
  if (!response.ok) throw new Problem(response.status, answer.detail || answer.title ? answer : { detail: `${place} answered ${response.status}.` });
  return answer;
}

const AWAY = 'What the gateway publishes to may be out of reach: try again later, and if it stays so tell the platform team.';

// A problem that comes in the stream itself. Without a backend the stream stays open.
function told(data) {
  let problem = {};
  try {
    problem = JSON.parse(data);
  } catch { /* as it came */ }
  const text = `The gateway says: ${problem.detail || problem.title || data}`.replace(/[^.]$/, '$&.');
  return problem.status >= 500 ? `${text} The stream stays open and goes on by itself.` : text;
}

export class Trial {
  constructor(address, application) {
    this.events = `${address}/events`;
    this.application = application;
    this.ended = false;
  }

  async begin() {
    this.credential = await post('/v1/credentials', { application: this.application, type: 'secret', title: 'Tried in the portal', expires_at: new Date(Date.now() + LIFE_MS).toISOString() });
    if (this.ended) await this.end();
  }

  async end() {
    this.ended = true;
    clearTimeout(this.waiting);
    this.source?.close();
    const { credential } = this;
    this.credential = null;
    if (credential) await post(`/v1/credentials/${key(credential.id)}/revoke`);
  }

  headers() {
    return { 'X-API-Key': this.credential.api_key, 'Content-Type': 'application/json' };
  }

  // Until the gateway has learnt of the credential it does not know it.
  async known(act) {
    const until = Date.now() + TAKEN_MS;
    for (let wait = RETRY_MS; ; wait = Math.min(wait * 1.5, RETRY_MOST_MS)) {
      try {
        return await act();
      } catch (problem) {
        if (this.ended || ![401, 403, 404].includes(problem.status)) throw problem;
        if (Date.now() > until) {
          throw new Problem(problem.status, { detail: `For ${seconds(TAKEN_MS)} the gateway has refused the new credential: ${problem.message} It may be cut off from the control plane: try again, and if it stays so tell the platform team.` });
        }
        await pause(wait);
        if (this.ended) throw problem;
      }
    }
  }

  async publish(text) {
    try {
      return await this.known(() => ask(this.events, { method: 'POST', headers: this.headers(), body: text }));
    } catch (problem) {
      if (problem.type === 'silent') problem.message += ' Whether the event is stored is not known: published again it may be stored twice.';
      else if (problem.status >= 500) problem.message = `The gateway at ${new URL(this.events).origin} answered ${problem.status}: ${problem.message} ${AWAY}`;
      throw problem;
    }
  }

  // The ticket has ended: with another one.
  async reopen(show) {
    await pause(REOPEN_MS);
    if (!this.ended) await this.stream(show);
  }

  // show.event(data), show.state(text, bad)
  async stream(show) {
    const { ticket } = await this.known(() => ask(`${this.events}/tickets`, { method: 'POST', headers: this.headers(), body: JSON.stringify({ origin: location.origin }) }));
    if (this.ended) return;
    const source = new EventSource(`${this.events}?ticket=${encodeURIComponent(ticket)}`);
    const place = new URL(this.events).origin;
    this.source = source;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => { if (source.readyState === EventSource.CONNECTING) show.state(silence(place), true); }, ANSWER_MS);
    source.onopen = () => show.state('The stream is open.');
    source.onmessage = (event) => {
      show.state('The stream is open.');
      show.event(event.data);
    };
    source.addEventListener('gap', (event) => show.state(`Events are missing from here on: ${event.data}`, true));
    // The browser's own, of the connection, or one that the gateway sent.
    source.addEventListener('error', (event) => {
      if (this.ended) return;
      if (event.data !== undefined) {
        show.state(told(event.data), true);
        return;
      }
      show.state('The stream was interrupted; it is resumed.');
      if (source.readyState === EventSource.CLOSED) this.reopen(show).catch((problem) => show.state(problem.message, true));
    });
  }
}
