import { h } from '../shell/dom.js';
import { get, key, session, url } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, pages, part, tag } from '../shell/parts.js';
import { go } from '../shell/router.js';

const FILTERS = ['q', 'kind', 'tag', 'team', 'lifecycle', 'protocol', 'environment'];
const KINDS = [['', 'any'], ['event-apis', 'event APIs'], ['rest-apis', 'REST APIs']];
const choice = (values) => [['', 'any'], ...values.map((value) => [value, value])];
const PAGE = 30;

export const NOT_SERVED = 'REST · not served by this gateway yet';

// "orders.v1" is /event-apis/orders/v1: paths with a dot at their end are files.
export const pathOf = (name) => `/event-apis/${name.split('.').map(key).join('/')}`;
export const restPathOf = (name) => `/rest-apis/${key(name)}`;

const operations = (count) => `${count} ${count === 1 ? 'operation' : 'operations'}`;

function facts(api) {
  if (api.kind === 'rest-apis') return [[api.key, api.version].filter(Boolean).join(' '), api.team_title || api.team, operations(api.operation_count)];
  return [api.key, api.team_title || api.team, api.exposures.join(', '), session.signed_in && (api.environments.join(', ') || 'nowhere yet')].filter(Boolean);
}

export function card(api) {
  const rest = api.kind === 'rest-apis';
  return h('article', { class: 'card' },
    h('div', { class: 'row apart' }, h('h2', {}, h('a', { href: rest ? restPathOf(api.key) : pathOf(api.key) }, api.title || api.name)),
      h('div', { class: 'row' }, rest && tag(NOT_SERVED), tag(api.lifecycle))),
    h('p', { class: 'quiet small' }, facts(api).join(' · ')),
    api.summary && h('p', { class: 'summary' }, api.summary),
    h('div', { class: 'row' }, api.tags.map((text) => h('a', { class: 'tag', href: url('/catalog', { tag: text }) }, text))));
}

function filters(query, teams) {
  const value = (name) => query.get(name) ?? '';
  const more = FILTERS.slice(1).some((name) => value(name));
  return form({
    submit: 'Search',
    kind: 'main',
    role: 'search',
    send: (values) => go(url('/catalog', values)),
  },
  field({ name: 'q', label: 'Words', type: 'search', value: value('q'), maxlength: 200, help: 'In names, titles, tags and descriptions.' }),
  h('details', { open: more }, h('summary', {}, 'Filters'),
    h('div', { class: 'fields' },
      field({ name: 'kind', label: 'Kind', options: KINDS, value: value('kind') }),
      field({ name: 'tag', label: 'Tag', value: value('tag') }),
      session.signed_in && field({ name: 'team', label: 'Team', options: [['', 'any'], ...teams.map((team) => [team.name, team.title || team.name])], value: value('team') }),
      field({ name: 'lifecycle', label: 'State', options: choice(session.signed_in ? ['published', 'deprecated', 'draft', 'retired'] : ['published', 'deprecated']), value: value('lifecycle') }),
      field({ name: 'protocol', label: 'Protocol', options: choice(['rest', 'sse', 'kafka']), value: value('protocol') }),
      session.signed_in && field({ name: 'environment', label: 'Environment', value: value('environment') }))));
}

export async function catalog({ query }) {
  const given = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  const teams = session.signed_in ? await all('/v1/teams').catch(() => []) : [];
  return h('div', {},
    h('h1', {}, 'REST and event APIs'),
    !session.signed_in && h('p', { class: 'quiet' }, 'What is public. ', h('a', { href: '/sign-in?to=/catalog' }, 'Sign in'), ' to see and use more.'),
    filters(query, teams),
    part(null, () => pages('/v1/catalog', { ...given, limit: PAGE }, card, 'Nothing was found. Try other words, or fewer filters.'), { class: 'bare', 'aria-label': 'What was found' }));
}

export const load = (name) => get(`/v1/catalog/${key(name)}`);
