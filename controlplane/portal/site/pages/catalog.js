import { h } from '../shell/dom.js';
import { get, key, url } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, pages, part, tag } from '../shell/parts.js';
import { go } from '../shell/router.js';

const FILTERS = ['q', 'tag', 'team', 'lifecycle', 'protocol', 'environment'];
const choice = (values) => [['', 'any'], ...values.map((value) => [value, value])];
const PAGE = 30;

// "orders.v1" is /event-apis/orders/v1: paths with a dot at their end are files.
export const pathOf = (name) => `/event-apis/${name.split('.').map(key).join('/')}`;

export function card(api) {
  return h('article', { class: 'card' },
    h('div', { class: 'row apart' }, h('h2', {}, h('a', { href: pathOf(api.key) }, api.title || api.name)), tag(api.lifecycle)),
    h('p', { class: 'quiet small' }, `${api.key} · ${api.team_title || api.team} · ${api.exposures.join(', ')}`, api.environments.length > 0 ? ` · ${api.environments.join(', ')}` : ' · nowhere yet'),
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
      field({ name: 'tag', label: 'Tag', value: value('tag') }),
      field({ name: 'team', label: 'Team', options: [['', 'any'], ...teams.map((team) => [team.name, team.title || team.name])], value: value('team') }),
      field({ name: 'lifecycle', label: 'State', options: choice(['published', 'deprecated', 'draft', 'retired']), value: value('lifecycle') }),
      field({ name: 'protocol', label: 'Protocol', options: choice(['rest', 'sse', 'kafka']), value: value('protocol') }),
      field({ name: 'environment', label: 'Environment', value: value('environment') }))));
}

export async function catalog({ query }) {
  const given = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  const teams = await all('/v1/teams').catch(() => []);
  return h('div', {},
    h('h1', {}, 'Event APIs'),
    filters(query, teams),
    part(null, () => pages('/v1/catalog', { ...given, limit: PAGE }, card, 'Nothing was found. Try other words, or fewer filters.'), { class: 'bare', 'aria-label': 'What was found' }));
}

export const load = (name) => get(`/v1/catalog/${key(name)}`);
