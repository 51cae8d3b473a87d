// Trying an event API as one's own application: live events, and a form to publish. The page makes a credential that
// ends after an hour, holds it in memory alone, and revokes it when somebody stops or leaves.
import { h, notice, replace, say } from '../shell/dom.js';
import { Problem, may } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all } from '../shell/parts.js';
import { leaving } from '../shell/router.js';
import { ownApplications } from './applications.js';
import { load, pathOf } from './catalog.js';
import { base, overHttp } from './snippets.js';
import { Trial } from './trial.js';

const RELOAD_MS = 60000;
const RELOADS = 3;
const SHOWN = 200;
const RELOADED = 'sluice-try-reloaded';

let current = null; // one at a time: {trial, wish}

// Of the addresses that pages may connect to, this one has an old list: it is read anew with the page, which goes on with
// what it was about. The server reads the list after each page, so the second time it is surely new; not more often, since
// an address may be one that no page may connect to.
function reloadFew(event) {
  if (event.effectiveDirective !== 'connect-src' || !current) return;
  const before = remembered();
  const recent = Date.now() - (before?.at ?? 0) < RELOAD_MS;
  if (recent && before.times >= RELOADS) return;
  const written = document.querySelector('[name=event]')?.value ?? current.wish.written;
  remember({ at: Date.now(), times: recent ? before.times + 1 : 1, path: location.pathname, wish: { ...current.wish, written } });
  location.reload();
}

function remember(what) {
  sessionStorage.setItem(RELOADED, JSON.stringify(what));
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(RELOADED));
  } catch {
    return null;
  }
}

// What this page was about before it was loaded anew, once.
function wishBefore() {
  const before = remembered();
  if (!before?.wish || before.path !== location.pathname) return null;
  remember({ ...before, wish: null });
  return before.wish;
}

function show(list, data) {
  let text = data;
  try {
    const event = JSON.parse(data);
    const { error } = event;
    const shown = error ? `It cannot be shown: ${error.detail || error.title}` : event.data_base64 ?? JSON.stringify(event.data, null, 2);
    text = `${event.time ?? ''}  ${event.id ?? ''}\n${shown}`;
  } catch { /* as it came */ }
  list.prepend(h('pre', { class: 'wrap' }, text));
  while (list.childElementCount > SHOWN) list.lastElementChild.remove();
}

function reading(trial) {
  const state = h('div', { role: 'status' });
  const list = h('div', { role: 'log', 'aria-label': 'Live events', tabindex: '0' });
  const tell = (text, bad = false) => {
    if (state.textContent !== text) replace(state, bad ? notice('bad', h('p', {}, text)) : h('p', { class: 'quiet' }, text));
  };
  tell('Waiting for the gateway…');
  trial.stream({ event: (data) => show(list, data), state: tell }).catch((problem) => tell(`${problem.message} Start again to go on.`, true));
  return h('section', { class: 'card' }, h('h2', {}, 'Live events'), state, h('div', { class: 'live' }, list));
}

function publishing(trial, written) {
  const done = h('div', {});
  return h('section', { class: 'card' }, h('h2', {}, 'Publish'), done, form({
    submit: 'Publish',
    send: async (values) => {
      try {
        JSON.parse(values.event);
      } catch (error) {
        throw new Problem(400, { errors: [{ pointer: '/event', detail: `This is not JSON: ${error.message}` }] });
      }
      replace(done, h('p', { class: 'quiet', role: 'status' }, 'Waiting for the gateway…'));
      let stored = null;
      try {
        stored = await trial.publish(values.event);
      } finally {
        replace(done, stored && notice('good', h('p', {}, `Stored as ${stored.id}.`)));
      }
      say('The event is stored.');
    },
  }, field({ name: 'event', label: 'Event (JSON)', rows: 6, required: true, value: written ?? '{\n  "hello": "world"\n}', spellcheck: 'false' })));
}

// The plan by which the application may use the event API there, or a problem that says what is missing.
async function planOf(api, application, environment) {
  const subscriptions = await all('/v1/subscriptions', { application, environment, state: 'approved' });
  const plans = api.products.flatMap((product) => product.plans.map((plan) => ({ ...plan, key: `${product.name}.${plan.name}` })));
  const plan = plans.find((item) => subscriptions.some((subscription) => subscription.plan === item.key));
  if (!plan) throw new Problem(403, { detail: `${application} has no approved subscription to ${api.title || api.name} in ${environment}.` });
  return plan;
}

async function run(api, wish, place) {
  current?.trial.end().catch(() => {});
  const plan = await planOf(api, wish.application, wish.environment);
  const deployment = api.deployments.find((item) => item.environment === wish.environment && item.rest_url);
  const trial = new Trial(base(api, deployment), wish.application);
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
  current = { trial, wish };
  leaving(() => trial.end().catch(() => {}));
  await trial.begin();
  replace(place,
    h('p', {}, stop),
    allowed('publish') && api.exposures.includes('rest') && publishing(trial, wish.written),
    allowed('read') && api.exposures.includes('sse') && reading(trial));
}

// Goes on where the page was before it was loaded anew, if that is still possible.
async function goOn(api, applications, environments, place) {
  const wish = wishBefore();
  if (!wish || !environments.includes(wish.environment) || !applications.some(([name]) => name === wish.application)) return;
  try {
    await run(api, wish, place);
  } catch (problem) {
    replace(place, notice('bad', h('p', {}, problem.message)));
  }
}

export async function tryOut({ params }) {
  const api = await load(`${params.name}.${params.major}`);
  if (!overHttp(api)) return h('div', {}, h('h1', {}, `Try ${api.title || api.name}`), notice('', h('p', {}, 'It is reached by native Kafka alone, which pages do not speak. ', h('a', { href: pathOf(`${api.name}.v${api.major}`) }, 'Its page has the first steps with a Kafka client'))));
  document.addEventListener('securitypolicyviolation', reloadFew);
  leaving(() => document.removeEventListener('securitypolicyviolation', reloadFew));
  const applications = may('credentials:write') ? await ownApplications() : [];
  const environments = [...new Set(api.deployments.filter((deployment) => deployment.rest_url).map((deployment) => deployment.environment))];
  const place = h('div', {});
  await goOn(api, applications, environments, place);
  return h('div', {}, h('h1', {}, `Try ${api.title || api.name}`),
    applications.length === 0 || environments.length === 0
      ? notice('', h('p', {}, 'To try it you need an application of one of your teams with an approved subscription, in an environment with a public address. ', h('a', { href: pathOf(`${api.name}.v${api.major}`) }, 'Look at its plans')))
      : h('div', { class: 'card' }, form({ submit: 'Start', send: (values) => run(api, values, place) },
        field({ name: 'application', label: 'As the application', required: true, options: applications, help: 'A credential is made for it. It ends after an hour, or when you stop.' }),
        field({ name: 'environment', label: 'In', required: true, options: environments.map((name) => [name, name]) }))),
    place);
}
