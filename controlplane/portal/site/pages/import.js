// A REST API from its OpenAPI document.
import { h, notice, say } from '../shell/dom.js';
import { post, session } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { go } from '../shell/router.js';
import { filled, teamOptions } from './applications.js';
import { ownRestPath } from './own.js';

const FILE_BYTES = 8 << 20;

export const VISIBILITY = [['signed-in', 'everybody who signed in'], ['teams', 'some teams'], ['public', 'everybody']];

// A file, or a text: what is chosen as a file becomes the text, where it can be looked at first.
export function documentFields() {
  const text = field({ name: 'document', label: 'OpenAPI document', rows: 12, required: true, spellcheck: 'false', help: 'OpenAPI 3.0 or 3.1 as JSON or YAML (without anchors). Paste it, or choose a file.' });
  const area = text.querySelector('textarea');
  const file = h('input', {
    type: 'file',
    id: `${area.id}-file`,
    accept: '.json,.yaml,.yml,application/json,application/yaml',
    onchange: async () => {
      const [chosen] = file.files;
      if (!chosen) return;
      if (chosen.size > FILE_BYTES) {
        say('The file is too large.');
        file.value = '';
        return;
      }
      area.value = await chosen.text();
      say('The file is read.');
    },
  });
  return [h('div', { class: 'field' }, h('label', { for: file.id }, 'File', h('span', { class: 'quiet small' }, ' (optional)')), file), text];
}

export function importApi() {
  if (session.user.teams.length === 0) return h('div', {}, h('h1', {}, 'Import a REST API'), notice('', h('p', {}, 'REST APIs belong to teams, and you are in none yet.')));
  return h('div', {}, h('h1', {}, 'Import a REST API'),
    h('p', {}, 'It stands in the catalog beside event APIs. Gateways do not serve it yet: its owners do.'),
    h('div', { class: 'card' }, form({
      submit: 'Make a draft',
      send: async (values) => go(ownRestPath((await post('/v1/rest-apis', filled(values))).name)),
    },
    h('div', { class: 'fields' },
      field({ name: 'name', label: 'Name', required: true, autocapitalize: 'none', spellcheck: 'false', help: 'Small letters, digits and dashes.' }),
      field({ name: 'team', label: 'Team', required: true, options: teamOptions() }),
      field({ name: 'visibility', label: 'Who sees it', required: true, options: VISIBILITY })),
    documentFields())));
}
