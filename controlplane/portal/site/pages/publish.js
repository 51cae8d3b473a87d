// An event API from a topic that a grant gives to one of one's teams.
import { h, notice } from '../shell/dom.js';
import { get, key, may, post, session, url } from '../shell/api.js';
import { choices, field, form } from '../shell/form.js';
import { all, dialog } from '../shell/parts.js';
import { go } from '../shell/router.js';
import { teamOptions } from './applications.js';
import { ownPath } from './own.js';

export const OPERATIONS = [['publish', 'publish'], ['read', 'read']];
export const EXPOSURES = [['rest', 'REST'], ['sse', 'server-sent events'], ['kafka', 'native Kafka']];

// Topics that gateways have found, as clients of each virtual cluster name them; a backend that cannot be asked has none.
async function discovered(clusters) {
  if (!may('topics:read')) return [];
  const lists = await Promise.all(clusters.map(async (cluster) => {
    const found = await get(url(`/v1/backend-clusters/${key(cluster.backend_cluster)}/topics`, { limit: 1000 })).catch(() => ({ items: [] }));
    const prefix = cluster.namespace?.mode === 'hide' ? cluster.namespace.prefix ?? '' : '';
    return found.items.filter((topic) => !topic.internal && topic.name.startsWith(prefix)).map((topic) => topic.name.slice(prefix.length));
  }));
  return [...new Set(lists.flat())].sort();
}

export async function places() {
  const [grants, clusters, groups, listeners] = await Promise.all(['grants', 'virtual-clusters', 'gateway-groups', 'listeners'].map((kind) => all(`/v1/${kind}`)));
  const own = new Set(session.user.teams.map((team) => team.name));
  return { grants: grants.filter((grant) => own.has(grant.team)), clusters, groups, listeners: listeners.filter((listener) => listener.protocol === 'http') };
}

export const listenerOptions = (listeners) => listeners.map((listener) => [listener.name, `${listener.name} (${listener.gateway_group})`]);

function given(grants) {
  return h('ul', {}, grants.map((grant) => h('li', {}, `${grant.team}: `, h('code', {}, grant.topic), ` of ${grant.virtual_cluster}, to ${grant.operations.join(' and ')}`)));
}

async function make(values, listeners) {
  const listener = listeners.find((item) => item.name === values.listener);
  const api = await post('/v1/event-apis', {
    name: values.name, major: Number(values.major), team: values.team, operations: values.operations ?? [], exposures: values.exposures ?? [],
    ...(values.title ? { title: values.title } : {}), ...(values.description ? { description: values.description } : {}),
  });
  try {
    await post('/v1/deployments', { event_api: `${api.name}.v${api.major}`, gateway_group: listener.gateway_group, virtual_cluster: values.virtual_cluster, topic: values.topic, listener: listener.name });
  } catch (problem) {
    // The draft stays, and its page has what is still to be done.
    await go(ownPath(api));
    dialog('It is not deployed yet', () => notice('bad', h('p', {}, problem.message)));
    return;
  }
  await go(ownPath(api));
}

export async function publish() {
  const { grants, clusters, listeners } = await places();
  if (grants.length === 0 && !may('all-teams:write')) return h('div', {}, h('h1', {}, 'Publish an event API'), notice('', h('p', {}, 'No grant gives topics to your teams: ask the platform team for one.')));
  const used = clusters.filter((cluster) => grants.length === 0 || grants.some((grant) => grant.virtual_cluster === cluster.name));
  const topics = await discovered(used);
  return h('div', {}, h('h1', {}, 'Publish an event API'),
    grants.length > 0 && h('section', { class: 'card' }, h('h2', {}, 'What your teams may publish'), given(grants)),
    h('datalist', { id: 'topics' }, topics.map((topic) => h('option', { value: topic }))),
    h('div', { class: 'card' }, form({ submit: 'Make a draft', send: (values) => make(values, listeners) },
      h('div', { class: 'fields' },
        field({ name: 'virtual_cluster', label: 'Virtual cluster', required: true, options: used.map((cluster) => [cluster.name, cluster.title || cluster.name]) }),
        field({ name: 'topic', label: 'Topic', required: true, list: 'topics', spellcheck: 'false', help: topics.length > 0 ? 'Suggestions are what gateways have found.' : 'Gateways have found none that you may publish.' }),
        field({ name: 'listener', label: 'Served by', required: true, options: listenerOptions(listeners) }),
        field({ name: 'team', label: 'Team', required: true, options: teamOptions() }),
        field({ name: 'name', label: 'Name', required: true, autocapitalize: 'none', spellcheck: 'false', help: 'The first part of its address.' }),
        field({ name: 'major', label: 'Major version', type: 'number', min: 1, max: 9999, value: '1', required: true }),
        field({ name: 'title', label: 'Title' })),
      field({ name: 'description', label: 'Documentation (Markdown)', rows: 8 }),
      choices({ name: 'operations', label: 'Operations', options: OPERATIONS, chosen: ['read'] }),
      choices({ name: 'exposures', label: 'Reached by', options: EXPOSURES, chosen: ['rest', 'sse'] }))));
}
