// Trying an event API as one's own application: live events, and a form to publish. The page makes a credential that
// ends after an hour, holds it in memory alone, and revokes it when somebody stops or leaves.
import { h, notice, replace, say } from '../shell/dom.js';
import { Problem, key, may, post } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all } from '../shell/parts.js';
import { leaving } from '../shell/router.js';
import { ownApplications } from './applications.js';
import { load, pathOf } from './catalog.js';
import { base } from './snippets.js';

const LIFE_MS = 3600000;
const TAKEN_MS = 30000; // how long a gateway may need to learn of a credential
const RETRY_MS = 500;
const REOPEN_MS = 2000;
const RELOAD_MS = 60000;
const SHOWN = 200;
const RELOADED = 'sluice-try-reloaded';

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// A gateway answers with problem documents too. What it does not answer may be its absence, or that pages may not ask it.
async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, mode: 'cors', credentials: 'omit', cache: 'no-store' });
  } catch {
    throw new Problem(0, { detail: `The gateway cannot be reached from this page. It may be away; if it is not, its group needs a policy "cors" with the origin ${location.origin}: ask the platform team.` });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

// Of the addresses that pages may connect to, this one has an old list: it is read anew with the page. Not again and
// again, since an address may be one that no page may connect to.
function reloadOnce(event) {
  if (event.effectiveDirective !== 'connect-src' || Date.now() - Number(sessionStorage.getItem(RELOADED)) < RELOAD_MS) return;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}

class Trial {
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
    for (;;) {
      try {
        return await act();
      } catch (problem) {
        if (this.ended || ![401, 403, 404].includes(problem.status) || Date.now() > until) throw problem;
        await pause(RETRY_MS);
      }
    }
  }

  publish(text) {
    return this.known(() => ask(this.events, { method: 'POST', headers: this.headers(), body: text }));
  }

  // The ticket has ended: with another one.
  async reopen(onEvent, onState) {
    await pause(REOPEN_MS);
    if (!this.ended) await this.stream(onEvent, onState);
  }

  async stream(onEvent, onState) {
    const { ticket } = await this.known(() => ask(`${this.events}/tickets`, { method: 'POST', headers: this.headers(), body: JSON.stringify({ origin: location.origin }) }));
    if (this.ended) return;
    this.source = new EventSource(`${this.events}?ticket=${encodeURIComponent(ticket)}`);
    this.source.onopen = () => onState('The stream is open.');
    this.source.onerror = () => {
      if (this.ended) return;
      onState('The stream was interrupted; it is resumed.');
      if (this.source.readyState === EventSource.CLOSED) this.reopen(onEvent, onState).catch((problem) => onState(problem.message));
    };
    this.source.onmessage = (event) => onEvent(event.data);
  }
}

function show(list, data) {
  let text = data;
  try {
    const event = JSON.parse(data);
    text = `${event.time ?? ''}  ${event.id ?? ''}\n${event.data_base64 !== undefined ? event.data_base64 : JSON.stringify(event.data, null, 2)}`;
  } catch { /* as it came */ }
  list.prepend(h('pre', { class: 'wrap' }, text));
  while (list.childElementCount > SHOWN) list.lastElementChild.remove();
}

function reading(trial) {
  const state = h('p', { class: 'quiet', role: 'status' }, 'Waiting for the gateway…');
  const list = h('div', { role: 'log', 'aria-label': 'Live events', tabindex: '0' });
  trial.stream((data) => show(list, data), (text) => replace(state, text)).catch((problem) => replace(state, problem.message));
  return h('section', { class: 'card' }, h('h2', {}, 'Live events'), state, h('div', { class: 'live' }, list));
}

function publishing(trial) {
  const done = h('div', {});
  return h('section', { class: 'card' }, h('h2', {}, 'Publish'), done, form({
    submit: 'Publish',
    send: async (values) => {
      try {
        JSON.parse(values.event);
      } catch (error) {
        throw new Problem(400, { errors: [{ pointer: '/event', detail: `This is not JSON: ${error.message}` }] });
      }
      const stored = await trial.publish(values.event);
      replace(done, notice('good', h('p', {}, `Stored as ${stored.id}.`)));
      say('The event is stored.');
    },
  }, field({ name: 'event', label: 'Event (JSON)', rows: 6, required: true, value: '{\n  "hello": "world"\n}', spellcheck: 'false' })));
}

// The plan by which the application may use the event API there, or a problem that says what is missing.
async function planOf(api, application, environment) {
  const subscriptions = await all('/v1/subscriptions', { application, environment, state: 'approved' });
  const plans = api.products.flatMap((product) => product.plans.map((plan) => ({ ...plan, key: `${product.name}.${plan.name}` })));
  const plan = plans.find((item) => subscriptions.some((subscription) => subscription.plan === item.key));
  if (!plan) throw new Problem(403, { detail: `${application} has no approved subscription to ${api.title || api.name} in ${environment}.` });
  return plan;
}

let current = null; // one at a time

async function run(api, values, place) {
  current?.end().catch(() => {});
  const plan = await planOf(api, values.application, values.environment);
  const deployment = api.deployments.find((item) => item.environment === values.environment && item.rest_url);
  const trial = new Trial(base(api, deployment), values.application);
  const allowed = (operation) => api.operations.includes(operation) && plan.operations.includes(operation);
  const stop = h('button', {
    type: 'button',
    onclick: async () => {
      try {
        await trial.end();
        replace(place, notice('', h('p', {}, 'Stopped. The credential of the trial is revoked.')));
      } catch (problem) {
        replace(place, notice('bad', h('p', {}, `Stopped, but the credential could not be revoked: it ends within the hour. ${problem.message}`)));
      }
      say('Stopped.');
    },
  }, 'Stop');
  current = trial;
  leaving(() => trial.end().catch(() => {}));
  await trial.begin();
  replace(place,
    h('p', {}, stop),
    allowed('publish') && api.exposures.includes('rest') && publishing(trial),
    allowed('read') && api.exposures.includes('sse') && reading(trial));
}

export async function tryOut({ params }) {
  const api = await load(`${params.name}.${params.major}`);
  document.addEventListener('securitypolicyviolation', reloadOnce);
  leaving(() => document.removeEventListener('securitypolicyviolation', reloadOnce));
  const applications = may('credentials:write') ? await ownApplications() : [];
  const environments = [...new Set(api.deployments.filter((deployment) => deployment.rest_url).map((deployment) => deployment.environment))];
  const place = h('div', {});
  return h('div', {}, h('h1', {}, `Try ${api.title || api.name}`),
    applications.length === 0 || environments.length === 0
      ? notice('', h('p', {}, 'To try it you need an application of one of your teams with an approved subscription, in an environment with a public address. ', h('a', { href: pathOf(`${api.name}.v${api.major}`) }, 'Look at its plans')))
      : h('div', { class: 'card' }, form({ submit: 'Start', send: (values) => run(api, values, place) },
        field({ name: 'application', label: 'As the application', required: true, options: applications, help: 'A credential is made for it. It ends after an hour, or when you stop.' }),
        field({ name: 'environment', label: 'In', required: true, options: environments.map((name) => [name, name]) }))),
    place);
}
