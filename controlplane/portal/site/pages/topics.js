// What is on the backends: topics, and consumer groups with their lag, as gateways told it last.
import { h, notice, table, when } from '../shell/dom.js';
import { get, key, may, url } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, part } from '../shell/parts.js';
import { go } from '../shell/router.js';
import { subMenu } from './operate.js';

const PAGE = 200;
const UNITS = [['d', 86400000], ['h', 3600000], ['min', 60000], ['s', 1000]];

// 7200000 is "2 h"; -1 is for ever.
export function duration(ms) {
  if (ms === undefined || ms === null) return '–';
  if (ms < 0) return 'for ever';
  const [unit, size] = UNITS.find(([, length]) => ms >= length && ms % length === 0) ?? ['ms', 1];
  return `${ms / size} ${unit}`;
}

function state(found) {
  if (found.reachable === undefined) return notice('', h('p', {}, 'No gateway has told of this backend yet. The first one of a group does so soon after it has joined.'));
  return [
    !found.reachable && notice('bad', h('p', {}, `The backend cannot be read: ${found.error ?? 'unknown'}. What is below is older.`)),
    h('p', { class: 'quiet small' }, 'Told by ', found.node ?? 'a gateway', ', ', when(found.seen_at), '.'),
  ];
}

function more(found, query, name, title) {
  return found.next && h('p', {}, h('a', { href: url('/operate/topics', { ...query, [name]: found.next }) }, title));
}

async function topics(query) {
  const { backend, search, managed, cursor } = query;
  const found = await get(url(`/v1/backend-clusters/${key(backend)}/topics`, { search, managed, cursor, limit: PAGE }));
  return h('div', {}, state(found),
    table('Topics', ['Topic', 'Partitions', 'Replicas', 'Kept', 'Cleanup', 'Event APIs', 'May be exposed by'], found.items.map((topic) => [
      h('code', {}, topic.name), topic.partitions ?? '–', topic.replication ?? '–', duration(topic.retention_ms), topic.cleanup_policy ?? '–',
      topic.deployments.join(', ') || (topic.internal ? 'internal' : 'none'), topic.teams.join(', ') || 'nobody',
    ]), 'No topic was found.'), more(found, query, 'cursor', 'More topics'));
}

async function groups(query) {
  const found = await get(url(`/v1/backend-clusters/${key(query.backend)}/groups`, { cursor: query.groups, limit: PAGE }));
  return h('div', {}, found.groups_error && notice('bad', h('p', {}, found.groups_error)),
    table('Consumer groups', ['Group', 'State', 'Members', 'Behind by', 'Topics'], found.items.map((group) => [
      h('code', {}, group.id), group.state ?? '–', group.members ?? '–', group.lag === undefined ? 'nothing committed' : `${group.lag.toLocaleString()} events`, (group.topics ?? []).map((topic) => topic.name ?? topic).join(', ') || '–',
    ]), 'No consumer group was found.'), more(found, query, 'groups', 'More consumer groups'));
}

// Who may not read backends still finds those of the virtual clusters.
async function backends() {
  if (may('backend-clusters:read')) return (await all('/v1/backend-clusters')).map((item) => [item.name, item.title || item.name]);
  return [...new Set((await all('/v1/virtual-clusters')).map((item) => item.backend_cluster))].map((name) => [name, name]);
}

export async function topicList({ query }) {
  const options = await backends();
  const given = { ...Object.fromEntries(query), backend: query.get('backend') ?? options[0]?.[0] };
  return h('div', {}, h('h1', {}, 'Topics'), subMenu(),
    options.length === 0 ? notice('', h('p', {}, 'There is no backend cluster yet.')) : [
      form({ submit: 'Show', role: 'search', send: (values) => go(url('/operate/topics', values)) }, h('div', { class: 'fields' },
        field({ name: 'backend', label: 'Backend cluster', required: true, options, value: given.backend }),
        field({ name: 'search', label: 'Name contains', type: 'search', value: given.search ?? '' }),
        field({ name: 'managed', label: 'Which', options: [['', 'all'], ['true', 'of event APIs'], ['false', 'of none']], value: given.managed ?? '' }))),
      part('Topics', () => topics(given)),
      may('backend-clusters:read') && part('Consumer groups', () => groups(given)),
    ]);
}
