// A REST API as it is found: what its document says. Gateways do not serve it.
import { h, notice } from '../shell/dom.js';
import { key, may, session } from '../shell/api.js';
import { markdown } from '../shell/markdown.js';
import { tag } from '../shell/parts.js';
import { NOT_SERVED, load } from './catalog.js';
import { changelog, ending } from './event-api.js';
import { memberOf, ownRestPath } from './own.js';
import { scorecard } from './scorecard.js';

const SHOWN = 200;

function facts(api) {
  const file = `/v1/catalog/${key(api.name)}/document`;
  // Addresses are text: nobody is sent anywhere by what a document says.
  return h('section', { class: 'card', 'aria-label': 'Facts' },
    h('dl', { class: 'facts' },
      h('dt', {}, 'Team'), h('dd', {}, api.team),
      h('dt', {}, 'Version'), h('dd', {}, api.version ?? '–'),
      h('dt', {}, 'Served at'), h('dd', {}, (api.servers ?? []).length > 0 ? api.servers.map((server) => h('div', {}, h('code', {}, server.url), ` ${server.description ?? ''}`)) : '–'),
      h('dt', {}, 'Tags'), h('dd', {}, (api.tags ?? []).join(', ') || '–'),
      h('dt', {}, 'Document'), h('dd', {}, h('a', { href: file, download: `${api.name}.openapi` }, `Download (OpenAPI ${api.openapi})`))));
}

function rows(operations) {
  return operations.map((operation) => h('tr', {},
    h('td', {}, h('code', {}, operation.method.toUpperCase())), h('td', {}, h('code', {}, operation.path)),
    h('td', {}, operation.summary ?? '', operation.deprecated && [' ', tag('deprecated')])));
}

function operations(api) {
  const all = api.operations ?? [];
  const body = h('tbody', {}, rows(all.slice(0, SHOWN)));
  const more = h('button', {
    type: 'button',
    onclick: () => {
      body.append(...rows(all.slice(SHOWN)));
      more.remove();
    },
  }, `Show all ${all.length}`);
  return h('section', { class: 'card' }, h('h2', {}, 'Operations'),
    all.length === 0 ? h('p', { class: 'quiet' }, 'The document has none.') : h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Operations' },
      h('table', {}, h('caption', { class: 'hidden' }, 'Operations'),
        h('thead', {}, h('tr', {}, ['Method', 'Path', 'What it does'].map((column) => h('th', { scope: 'col' }, column)))), body)),
    all.length > SHOWN && more);
}

export async function restApi({ params }) {
  const api = await load(params.name);
  return h('div', {},
    h('div', { class: 'row apart' }, h('h1', {}, api.title || api.name), h('div', { class: 'row' },
      session.signed_in && may('rest-apis:write') && memberOf(api.team) && h('a', { class: 'button', href: ownRestPath(api.name) }, 'Edit'), tag(api.lifecycle))),
    notice('', h('p', {}, `${NOT_SERVED}: its owners serve it themselves. Nobody subscribes to it here.`)),
    ending(api, 'REST API'),
    api.description ? h('section', { class: 'card', 'aria-label': 'Documentation' }, markdown(api.description_html, api.description)) : null,
    facts(api), operations(api), changelog(api), session.signed_in && scorecard('rest-apis', api.name));
}
