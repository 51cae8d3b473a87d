// An event API as its users see it.
import { h, notice, table, when } from '../shell/dom.js';
import { key, may, session, url } from '../shell/api.js';
import { markdown } from '../shell/markdown.js';
import { code, tabs, tag } from '../shell/parts.js';
import { load, pathOf } from './catalog.js';
import { documents } from './documents.js';
import { scorecard } from './scorecard.js';
import { base, overHttp, snippets } from './snippets.js';

function facts(api) {
  const rule = api.key?.source && api.key.source !== 'none' ? `${api.key.source.replace('_', ' ')} ${api.key.pointer ?? api.key.header ?? ''}` : 'none';
  return h('section', { class: 'card', 'aria-label': 'Facts' },
    h('dl', { class: 'facts' },
      h('dt', {}, 'Team'), h('dd', {}, api.team),
      h('dt', {}, 'Operations'), h('dd', {}, api.operations.join(', ')),
      h('dt', {}, 'Reached by'), h('dd', {}, api.exposures.join(', ')),
      h('dt', {}, 'Key of events'), h('dd', {}, rule),
      h('dt', {}, 'Largest event'), h('dd', {}, `${api.max_event_bytes.toLocaleString()} bytes`),
      h('dt', {}, 'Tags'), h('dd', {}, (api.tags ?? []).join(', ') || '–'),
      h('dt', {}, 'Versions'), h('dd', {}, api.versions.map((version, i) => [i > 0 && ', ', h('a', { href: pathOf(version.key) }, version.key), ` (${version.lifecycle})`]))));
}

export function ending(api, what = 'event API') {
  if (api.lifecycle !== 'deprecated') return null;
  return notice('bad', h('p', {}, `This ${what} is deprecated`, api.sunset_at ? [' and ends on ', when(api.sunset_at)] : '', '.'));
}

function pretty(definition) {
  try {
    return JSON.stringify(JSON.parse(definition), null, 2);
  } catch {
    return definition;
  }
}

function schema(api) {
  if (!api.schema || api.schema.format === 'none') return null;
  const { format, definition, registry } = api.schema;
  return h('section', { class: 'card' }, h('h2', {}, 'Schema'),
    definition ? code(format === 'avro' ? 'Avro' : 'JSON Schema', pretty(definition)) : h('p', {}, `In the schema registry ${registry ?? ''}.`));
}

function examples(api) {
  if (!(api.examples ?? []).length) return null;
  return h('section', { class: 'card' }, h('h2', {}, 'Examples'), api.examples.map((example, i) => code(example.title || `Example ${i + 1}`, pretty(example.value))));
}

export function changelog(api) {
  return api.changelog && h('section', { class: 'card' }, h('h2', {}, 'Changes'), markdown(api.changelog_html, api.changelog));
}

function limits(plan) {
  const entries = Object.entries(plan.limits ?? {}).filter(([, value]) => value !== null);
  return entries.length > 0 ? entries.map(([name, value]) => `${name.replaceAll('_', ' ')}: ${typeof value === 'object' ? JSON.stringify(value) : value}`).join('; ') : 'none';
}

function plans(api) {
  const rows = api.products.flatMap((product) => product.plans.map((plan) => [
    product.title || product.name, plan.title || plan.name, plan.operations.join(', '), limits(plan), plan.approval === 'auto' ? 'at once' : 'by its owners',
    may('subscriptions:write') && api.lifecycle === 'published' && product.lifecycle === 'published'
      ? h('a', { class: 'button', href: url(`/subscribe/${key(product.name)}/${key(plan.name)}`, { api: `${api.name}.v${api.major}` }), 'aria-label': `Subscribe to ${plan.title || plan.name} of ${product.title || product.name}` }, 'Subscribe')
      : null,
  ]));
  return h('section', { class: 'card' }, h('h2', {}, 'Plans'),
    table('Plans', ['Product', 'Plan', 'Operations', 'Limits', 'Approved', ''], rows, 'There is no plan to subscribe to yet.'));
}

function environment(api, deployment) {
  const ways = snippets(api, deployment);
  const http = deployment.rest_url && overHttp(api);
  return h('div', {},
    h('h3', {}, `${deployment.environment} `, h('span', { class: 'quiet' }, deployment.group_title || deployment.group)),
    h('dl', { class: 'facts' },
      http && [h('dt', {}, 'HTTP'), h('dd', {}, h('code', {}, `${base(api, deployment)}/events`))],
      deployment.topic && deployment.kafka_url && [h('dt', {}, 'Kafka'), h('dd', {}, h('code', {}, deployment.kafka_url), ' topic ', h('code', {}, deployment.topic))]),
    documents(api, deployment),
    ways.length > 0
      ? tabs(`First steps in ${deployment.environment}`, ways.map(([title, text]) => [title, () => code(title, text)]))
      : h('p', { class: 'quiet' }, 'The gateway group has no public address yet: ask the platform team.'));
}

function start(api) {
  if (!session.signed_in) {
    return h('section', { class: 'card' }, h('h2', {}, 'Get started'),
      h('p', {}, h('a', { href: `/sign-in?to=${encodeURIComponent(pathOf(`${api.name}.v${api.major}`))}` }, 'Sign in'), ' to see addresses and first steps, and to subscribe.'));
  }
  return h('section', { class: 'card' }, h('h2', {}, 'Get started'),
    api.deployments.length > 0 ? api.deployments.map((deployment) => environment(api, deployment)) : h('p', { class: 'quiet' }, 'It is not deployed anywhere yet.'));
}

export async function eventApi({ params }) {
  const api = await load(`${params.name}.${params.major}`);
  return h('div', {},
    h('div', { class: 'row apart' }, h('h1', {}, api.title || api.name), h('div', { class: 'row' }, may('credentials:write') && overHttp(api) && h('a', { class: 'button', href: `${pathOf(`${api.name}.v${api.major}`)}/try` }, 'Try it'), tag(api.lifecycle))),
    ending(api),
    api.description ? h('section', { class: 'card', 'aria-label': 'Documentation' }, markdown(api.description_html, api.description)) : null,
    facts(api), plans(api), start(api), examples(api), schema(api), changelog(api), session.signed_in && scorecard('event-apis', `${api.name}.v${api.major}`));
}
