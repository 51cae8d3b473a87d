// Trying an event API as one's own application: live events, and a form to publish. The page makes a credential that
// ends after an hour, holds it in memory alone, and revokes it when somebody stops or leaves.
import { h, notice, replace, say } from '../shell/dom.js';
import { Problem, key, may, post, session } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all } from '../shell/parts.js';
import { leaving } from '../shell/router.js';
import { load } from './catalog.js';
import { base } from './snippets.js';

const LIFE_MS = 3600000;
const TAKEN_MS = 30000; // how long a gateway may need to learn of a credential
const RETRY_MS = 500;
const SHOWN = 200;
const RELOADED = 'sluice-try-reloaded';

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// A gateway answers with problem documents too. What it does not answer may be its absence, or that pages may not ask it.
async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, { ...options, mode: 'cors', credentials: 'omit', cache: 'no-store' });
  } catch {
    throw new Problem(0, { detail: `The gateway cannot be reached from this page. Its group needs a policy "cors" with the origin ${location.origin}: ask the platform team.` });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

// Of the addresses that pages may connect to, this one has an old list: it is read anew with the page, once.
function reloadOnce(event) {
  if (event.effectiveDirective !== 'connect-src' || sessionStorage.getItem(RELOADED)) return;
  sessionStorage.setItem(RELOADED, '1');
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

  async stream(onEvent, onState) {
    const { ticket } = await this.known(() => ask(`${this.events}/tickets`, { method: 'POST', headers: this.headers(), body: JSON.stringify({ origin: location.origin }) }));
    if (this.ended) return;
    this.source = new EventSource(`${this.events}?ticket=${encodeURIComponent(ticket)}`);
    this.source.onopen = () => onState('The stream is open.');
    this.source.onerror = () => {
      if (this.ended) return;
      if (this.source.readyState !== EventSource.CLOSED) onState('The stream was interrupted; it is resumed.');
      else this.stream(onEvent, onState).catch((problem) => onState(problem.message)); // the ticket has ended
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

// Approved subscriptions of one's applications to a product of this event API, where it is deployed.
async function ways(api) {
  const applications = (await Promise.all(session.user.teams.map((team) => all('/v1/applications', { team: team.name })))).flat();
  const lists = await Promise.all(applications.map((application) => all('/v1/subscriptions', { application: application.name, state: 'approved' })));
  return lists.flat().flatMap((subscription) => {
    const product = api.products.find((item) => item.name === subscription.product);
    const plan = product?.plans.find((item) => `${product.name}.${item.name}` === subscription.plan);
    const deployment = api.deployments.find((item) => item.environment === subscription.environment && item.rest_url);
    return plan && deployment ? [{ subscription, plan, deployment }] : [];
  });
}

let current = null; // one at a time

function run(api, way, place) {
  current?.end().catch(() => {});
  const trial = new Trial(base(api, way.deployment), way.subscription.application);
  const allowed = (operation) => api.operations.includes(operation) && way.plan.operations.includes(operation);
  const stop = h('button', {
    type: 'button',
    onclick: async () => {
      await trial.end();
      replace(place, notice('', h('p', {}, 'Stopped. The credential of the trial is revoked.')));
      say('Stopped.');
    },
  }, 'Stop');
  current = trial;
  leaving(() => trial.end().catch(() => {}));
  return trial.begin().then(() => replace(place,
    h('p', {}, stop),
    allowed('publish') && api.exposures.includes('rest') && publishing(trial),
    allowed('read') && api.exposures.includes('sse') && reading(trial)));
}

export async function tryOut({ params }) {
  const api = await load(`${params.name}.${params.major}`);
  document.addEventListener('securitypolicyviolation', reloadOnce);
  leaving(() => {
    document.removeEventListener('securitypolicyviolation', reloadOnce);
    sessionStorage.removeItem(RELOADED);
  });
  const found = may('credentials:write') ? await ways(api) : [];
  const place = h('div', {});
  return h('div', {}, h('h1', {}, `Try ${api.title || api.name}`),
    found.length === 0
      ? notice('', h('p', {}, 'To try it you need an application of one of your teams with an approved subscription, in an environment with a public address. ', h('a', { href: `/event-apis/${key(api.name)}/v${api.major}` }, 'Look at its plans')))
      : h('div', { class: 'card' }, form({
        submit: 'Start',
        send: (values) => run(api, found[Number(values.way)], place),
      }, field({
        name: 'way', label: 'As', required: true,
        options: found.map(({ subscription }, i) => [String(i), `${subscription.application} in ${subscription.environment}, plan ${subscription.plan}`]),
        help: 'A credential of this application is made for it. It ends after an hour, or when you stop.',
      }))),
    place);
}
