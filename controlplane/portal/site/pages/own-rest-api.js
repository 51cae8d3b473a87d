// A REST API as its owners have it: lifecycle, documentation, who sees it, and its document.
import { h, notice, say } from '../shell/dom.js';
import { del, get, key, may, patch } from '../shell/api.js';
import { choices, field, form } from '../shell/form.js';
import { all, ask, tag } from '../shell/parts.js';
import { go, show } from '../shell/router.js';
import { restPathOf } from './catalog.js';
import { VISIBILITY, documentFields } from './import.js';
import { deprecate, words } from './own-api.js';
import { memberOf } from './own.js';
import { scorecard } from './scorecard.js';

const path = (api) => `/v1/rest-apis/${key(api.name)}`;

// Whoever changed it meanwhile is not overwritten: 412 says so.
async function change(api, body, done = 'Saved.') {
  await patch(path(api), body, { 'If-Match': `"${api.revision}"` });
  say(done);
  await show();
}

function lifecycle(api) {
  const step = (lifecycleNow, kind, title, text, verb) => h('button', { type: 'button', class: kind, onclick: () => ask(title, text, verb, () => change(api, { lifecycle: lifecycleNow }, `It is ${lifecycleNow}.`)) }, verb);
  const steps = {
    draft: step('published', 'main', 'Publish the REST API?', 'It is found by those who may see it.', 'Publish'),
    published: h('button', { type: 'button', onclick: () => deprecate('REST API', 'It stays in the catalog, which says so.', (body) => change(api, body, 'It is deprecated.')) }, 'Deprecate'),
    deprecated: step('retired', 'bad', 'Retire the REST API?', 'It is in the catalog no more. This cannot be taken back.', 'Retire'),
  };
  return h('section', { class: 'card' }, h('h2', {}, 'Lifecycle'), h('div', { class: 'row' }, tag(api.lifecycle), steps[api.lifecycle] ?? null));
}

function documentation(api, teams) {
  return h('section', { class: 'card' }, h('h2', {}, 'Documentation'), form({
    submit: 'Save',
    send: (values) => change(api, {
      title: values.title || null, description: values.description || null, tags: words(values.tags), changelog: values.changelog || null,
      visibility: values.visibility, visible_to: values.visibility === 'teams' ? values.visible_to ?? [] : [],
    }),
  },
  field({ name: 'title', label: 'Title', value: api.title ?? '', help: 'Empty: the document’s.' }),
  field({ name: 'tags', label: 'Tags', value: (api.tags ?? []).join(' '), help: 'With spaces between.' }),
  field({ name: 'description', label: 'Description (Markdown)', rows: 10, value: api.description ?? '', help: 'Empty: the document’s.' }),
  field({ name: 'changelog', label: 'Changes (Markdown)', rows: 6, value: api.changelog ?? '' }),
  field({ name: 'visibility', label: 'Who sees it', required: true, options: VISIBILITY, value: api.visibility }),
  teams.length > 0 && choices({ name: 'visible_to', label: 'Which teams, beside its own', help: 'Where some teams see it.', options: teams.map((team) => [team.name, team.title || team.name]), chosen: api.visible_to ?? [] })));
}

function replacement(api) {
  return h('section', { class: 'card' }, h('h2', {}, 'Document'),
    h('p', {}, `OpenAPI ${api.openapi}, ${api.operation_count} operations. `, h('a', { href: `/v1/catalog/${key(api.name)}/document`, download: `${api.name}.openapi` }, 'Download')),
    h('details', {}, h('summary', {}, 'Replace it'), form({ submit: 'Import', kind: '', send: (values) => change(api, { document: values.document }, 'The document is imported.') }, documentFields())));
}

function end(api) {
  const remove = async () => {
    await del(path(api));
    say('It is deleted.');
    await go('/own');
  };
  return h('section', { class: 'card' }, h('h2', {}, 'Delete'),
    h('p', {}, 'It and its document are gone then.'),
    h('button', { type: 'button', class: 'bad', onclick: () => ask('Delete the REST API?', 'This cannot be taken back.', 'Delete', remove) }, 'Delete'));
}

export async function ownRestApi({ params }) {
  const api = await get(`/v1/rest-apis/${key(params.name)}`);
  if (!memberOf(api.team) || !may('rest-apis:write')) return h('div', {}, h('h1', {}, api.title || api.name), notice('', h('p', {}, `It belongs to the team ${api.team}.`)));
  const teams = (await all('/v1/teams').catch(() => [])).filter((team) => team.name !== api.team);
  return h('div', {},
    h('div', { class: 'row apart' }, h('h1', {}, api.title || api.name), h('a', { href: restPathOf(api.name) }, 'As others see it')),
    lifecycle(api), scorecard('rest-apis', api.name, { withBlockers: true }), documentation(api, teams), replacement(api), end(api));
}
