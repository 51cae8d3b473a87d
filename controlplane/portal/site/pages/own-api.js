// An event API as its owners have it: documentation, lifecycle, products, consumers, and where it is deployed.
import { h, notice, say, table } from '../shell/dom.js';
import { key, may, patch, post } from '../shell/api.js';
import { fields } from '../shell/diff.js';
import { field, form } from '../shell/form.js';
import { all, ask, dialog, part, tag } from '../shell/parts.js';
import { show } from '../shell/router.js';
import { load, pathOf } from './catalog.js';
import { memberOf, subscribers } from './own.js';
import { products } from './products.js';
import { listenerOptions, places } from './publish.js';
import { scorecard } from './scorecard.js';
import { usage } from './usage.js';

const keyOf = (api) => `${api.name}.v${api.major}`;
export const words = (text) => text.split(/[\s,]+/).filter(Boolean);

// Whoever changed it meanwhile is not overwritten: 412 says so.
const change = (api, body) => patch(`/v1/event-apis/${key(keyOf(api))}`, body, { 'If-Match': `"${api.revision}"` });

async function move(api, body) {
  await change(api, body);
  say(`It is ${body.lifecycle}.`);
  await show();
}

export function deprecate(what, text, send) {
  dialog(`Deprecate the ${what}?`, (close) => h('div', {},
    h('p', {}, text),
    form({
      submit: 'Deprecate',
      kind: 'bad',
      send: async (values) => {
        await send({ lifecycle: 'deprecated', ...(values.sunset_at ? { sunset_at: `${values.sunset_at}T00:00:00Z` } : {}) });
        close();
      },
    }, field({ name: 'sunset_at', label: 'It ends on', type: 'date' }))));
}

function lifecycle(api) {
  const steps = {
    draft: h('button', { type: 'button', class: 'main', onclick: () => ask('Publish the event API?', 'Gateways serve it to whoever has a subscription, and it is found by those who may see its products.', 'Publish', () => move(api, { lifecycle: 'published' })) }, 'Publish'),
    published: h('button', { type: 'button', onclick: () => deprecate('event API', 'It goes on working. Subscribers are told, and gateways say so with each answer.', (body) => move(api, body)) }, 'Deprecate'),
    deprecated: h('button', { type: 'button', class: 'bad', onclick: () => ask('Retire the event API?', 'Gateways stop serving it. This cannot be taken back.', 'Retire', () => move(api, { lifecycle: 'retired' })) }, 'Retire'),
  };
  return h('section', { class: 'card' }, h('h2', {}, 'Lifecycle'), h('div', { class: 'row' }, tag(api.lifecycle), steps[api.lifecycle] ?? null),
    api.lifecycle === 'draft' && api.products.length === 0 && notice('', h('p', {}, 'Nobody can subscribe to it before it is in a product.')));
}

// One place more than there are examples; one without a value is none.
function exampleFields(api) {
  return [...(api.examples ?? []), {}].slice(0, 20).map((example, i) => [
    field({ name: `example_title_${i}`, label: `Example ${i + 1}: what it shows`, value: example.title ?? '', maxlength: 200 }),
    field({ name: `example_value_${i}`, label: `Example ${i + 1}`, rows: 4, value: example.value ?? '', spellcheck: 'false' }),
  ]);
}

function examplesOf(values) {
  const numbers = Object.keys(values).map((name) => /^example_value_(\d+)$/.exec(name)?.[1]).filter(Boolean);
  return numbers.filter((i) => values[`example_value_${i}`] !== '').map((i) => ({
    value: values[`example_value_${i}`], ...(values[`example_title_${i}`] ? { title: values[`example_title_${i}`] } : {}),
  }));
}

function documentation(api) {
  return h('section', { class: 'card' }, h('h2', {}, 'Documentation'), form({
    submit: 'Save',
    send: async (values) => {
      await change(api, { title: values.title || null, description: values.description || null, tags: words(values.tags), changelog: values.changelog || null, examples: examplesOf(values) });
      say('Saved.');
      await show();
    },
  },
  field({ name: 'title', label: 'Title', value: api.title ?? '' }),
  field({ name: 'tags', label: 'Tags', value: (api.tags ?? []).join(' '), help: 'With spaces between.' }),
  field({ name: 'description', label: 'Documentation (Markdown)', rows: 10, value: api.description ?? '' }),
  h('details', {}, h('summary', {}, 'Examples'), exampleFields(api)),
  field({ name: 'changelog', label: 'What changed (Markdown)', rows: 6, value: api.changelog ?? '' })));
}

function consumers(api) {
  return part('Consumers', async (again) => (api.products.length === 0
    ? h('p', { class: 'quiet' }, 'Nobody can subscribe yet.')
    : Promise.all(api.products.map((product) => subscribers(product, again)))));
}

// What the server says it would change (or why it refuses); then it is done, unless one of the two was changed meanwhile.
async function promote(from, target, there) {
  const path = `/v1/deployments/${key(from.id)}/promote`;
  const headers = { 'If-Match': `"${Math.max(from.revision, there?.revision ?? 0)}"` };
  const [change] = (await post(`${path}?dry_run=true`, target, headers)).changes;
  dialog(`Promote to ${target.gateway_group}?`, (close) => h('div', {},
    h('p', {}, !change ? 'It is deployed there already, and nothing would change.' : there ? 'It is deployed there already. What changes:' : 'It is not deployed there yet. What is made:'),
    change && fields(change.changes, 'What changes'),
    change && form({
      submit: 'Promote',
      send: async () => {
        await post(path, target, headers);
        close();
        say('It is promoted.');
        await show();
      },
    })));
}

function promotion(deployments, { clusters, listeners }) {
  return form({
    submit: 'Look at the difference',
    kind: '',
    send: async (values) => {
      const from = deployments.find((item) => item.id === values.from);
      const listener = listeners.find((item) => item.name === values.listener);
      const target = { gateway_group: listener.gateway_group, listener: listener.name, virtual_cluster: values.virtual_cluster, topic: values.topic || from.topic };
      await promote(from, target, deployments.find((item) => item.gateway_group === target.gateway_group));
    },
  },
  h('div', { class: 'fields' },
    field({ name: 'from', label: 'From', required: true, options: deployments.map((item) => [item.id, `${item.gateway_group}: ${item.topic}`]) }),
    field({ name: 'listener', label: 'To', required: true, options: listenerOptions(listeners) }),
    field({ name: 'virtual_cluster', label: 'Virtual cluster there', required: true, value: deployments[0].virtual_cluster, options: clusters.map((cluster) => [cluster.name, cluster.title || cluster.name]) }),
    field({ name: 'topic', label: 'Topic there', help: 'Empty: the same.' })));
}

function deployed(api) {
  return part('Deployments', async () => {
    const [deployments, known] = await Promise.all([all('/v1/deployments', { event_api: keyOf(api) }), places()]);
    return h('div', {},
      table('Deployments', ['Gateway group', 'Virtual cluster', 'Topic', 'Listener'], deployments.map((item) => [item.gateway_group, item.virtual_cluster, item.topic, item.listener]), 'It is not deployed anywhere.'),
      deployments.length > 0 && may('deployments:write') && [h('h3', {}, 'Promote'), promotion(deployments, known)]);
  });
}

export async function ownApi({ params }) {
  const name = `${params.name}.${params.major}`;
  const api = await load(name);
  if (!memberOf(api.team) || !may('event-apis:write')) return h('div', {}, h('h1', {}, api.title || api.name), notice('', h('p', {}, `It belongs to the team ${api.team}.`)));
  return h('div', {},
    h('div', { class: 'row apart' }, h('h1', {}, api.title || api.name), h('a', { href: pathOf(name) }, 'As others see it')),
    lifecycle(api), scorecard('event-apis', name, { withBlockers: true }), deployed(api), products(api), consumers(api), documentation(api),
    may('usage:read') && usage({ event_api: name }));
}
