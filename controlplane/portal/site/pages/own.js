// What owners of event APIs have to do, and what is theirs.
import { h, say, table, when } from '../shell/dom.js';
import { key, may, post, session } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, dialog, pages, part, tablePages, tag } from '../shell/parts.js';
import { pathOf } from './catalog.js';
import { scorecards } from './scorecard.js';

export const ownPath = (api) => `/own/event-apis/${key(api.name)}/v${api.major}`;
export const ownRestPath = (name) => `/own/rest-apis/${key(name)}`;
export const memberOf = (team) => session.user.teams.some((own) => own.name === team) || may('all-teams:write');

const SUBSCRIBERS = 100;
const DONE = { approve: 'approved', refuse: 'refused', suspend: 'suspended', resume: 'resumed', revoke: 'revoked' };
const POSSIBLE = { pending: ['approve', 'refuse'], approved: ['suspend', 'revoke'], suspended: ['resume', 'revoke'] };

// With a reason, which the subscriber sees.
function decide(item, verb, again) {
  dialog(`${verb[0].toUpperCase()}${verb.slice(1)} the subscription of ${item.application}?`, (close) => form({
    submit: verb[0].toUpperCase() + verb.slice(1),
    kind: verb === 'approve' || verb === 'resume' ? 'main' : 'bad',
    send: async (values) => {
      await post(`/v1/subscriptions/${key(item.id)}/${verb}`, values.reason ? { reason: values.reason } : {});
      close();
      say(`The subscription is ${DONE[verb]}.`);
      await again();
    },
  }, field({ name: 'reason', label: 'Why', maxlength: 500, help: 'The subscriber sees it.' })));
}

const COLUMNS = ['Application', 'Product', 'Plan', 'Environment', 'State', 'Since', ''];

const cells = (item, again) => [
  item.application, item.product, item.plan.split('.').pop(), item.environment, tag(item.state), when(item.created_at),
  may('subscriptions:approve') && h('div', { class: 'row' }, (POSSIBLE[item.state] ?? []).map((verb) => h('button', {
    type: 'button',
    class: verb === 'approve' || verb === 'resume' ? '' : 'bad',
    'aria-label': `${verb} ${item.application} for ${item.product} in ${item.environment}`,
    onclick: () => decide(item, verb, again),
  }, verb[0].toUpperCase() + verb.slice(1)))),
];

// Whoever has subscribed to a product, a page at a time.
export const subscribers = (product, again) => tablePages(`Consumers of ${product.title || product.name}`, COLUMNS, '/v1/subscriptions', { product: product.name, limit: SUBSCRIBERS }, (item) => cells(item, again), `Nobody has subscribed to ${product.title || product.name} yet.`);

async function requests(again) {
  const products = (await Promise.all(session.user.teams.map((team) => all('/v1/products', { team: team.name })))).flat();
  const lists = await Promise.all(products.map((product) => all('/v1/subscriptions', { product: product.name, state: 'pending' })));
  return table('Requests', COLUMNS, lists.flat().map((item) => cells(item, again)), 'Nobody waits for you.');
}

function entry(api) {
  return h('div', { class: 'entry row apart' }, h('span', {}, h('a', { href: api.kind === 'rest-apis' ? ownRestPath(api.key) : ownPath(api) }, api.title || api.name), ' ', h('span', { class: 'quiet' }, api.kind === 'rest-apis' ? `${api.key} · REST` : api.key)), tag(api.lifecycle));
}

export function own() {
  return h('div', {},
    h('div', { class: 'row apart' }, h('h1', {}, 'Your event APIs'), h('div', { class: 'row' }, may('rest-apis:write') && h('a', { class: 'button', href: '/own/import' }, 'Import a REST API'), h('a', { class: 'button main', href: '/own/publish' }, 'Publish an event API'))),
    may('subscriptions:approve') && part('Requests', requests),
    session.user.teams.map((team) => part(team.title || team.name, () => pages('/v1/catalog', { team: team.name, limit: 50 }, entry, 'This team has no APIs yet.'))),
    session.user.teams.map((team) => scorecards(team, ({ kind, key: name }) => (kind === 'rest-apis' ? ownRestPath(name) : `/own${pathOf(name)}`))));
}
