// Configurations that were compiled, what changed between them, and the way back.
import { h, notice, replace, say, table, when } from '../shell/dom.js';
import { get, key, may, post, url } from '../shell/api.js';
import { changes } from '../shell/diff.js';
import { field, form } from '../shell/form.js';
import { all, dialog } from '../shell/parts.js';
import { go, show } from '../shell/router.js';
import { subMenu } from './operate.js';

const PAGE = 50;
export const nameOf = (actor) => actor?.name || actor?.id || actor?.kind || '–';

function compare(version, versions) {
  dialog(`What changed since version ${version.version}`, () => {
    const place = h('div', { 'aria-live': 'polite' });
    const load = async (to) => {
      try {
        const diff = await get(url(`/v1/config-versions/${key(version.id)}/diff`, { to }));
        replace(place, changes(diff.changes));
      } catch (problem) {
        replace(place, notice('bad', h('p', {}, problem.message)));
      }
    };
    load('');
    return h('div', {}, field({
      name: 'to', label: 'Until', required: true, value: '',
      options: [['', 'now'], ...versions.filter((other) => other.id !== version.id).map((other) => [other.id, `version ${other.version}`])],
      onchange: (event) => load(event.target.value),
    }), place);
  });
}

// First what it would change; then, with a reason, it is done.
async function rollback(version) {
  const path = `/v1/config-versions/${key(version.id)}/rollback`;
  const dry = await post(`${path}?dry_run=true`, {}).catch((problem) => problem);
  dialog(`Go back to version ${version.version}?`, (close) => {
    if (dry instanceof Error) return notice('bad', [dry.message, ...dry.errors.map((error) => `${error.pointer ?? ''} ${error.detail}`)].map((text) => h('p', {}, text)));
    return h('div', {}, h('p', {}, 'The configuration of all groups becomes what it was. Applications, credentials, subscriptions and people stay as they are.'),
      changes(dry.changes), (dry.skipped ?? []).length > 0 && h('p', {}, `${dry.skipped.length} grants to teams that are gone are left away.`),
      form({
        submit: 'Go back',
        kind: 'bad',
        send: async (values) => {
          await post(path, values.reason ? { reason: values.reason } : {});
          close();
          say('The configuration is what it was.');
          await show();
        },
      }, field({ name: 'reason', label: 'Why', maxlength: 500 })));
  });
}

export async function versionList({ query }) {
  const groups = await all('/v1/gateway-groups');
  const group = query.get('group') ?? groups[0]?.name;
  const page = group ? await get(url('/v1/config-versions', { group, limit: PAGE, cursor: query.get('cursor') })) : { items: [] };
  return h('div', {}, h('h1', {}, 'Versions'), subMenu(),
    groups.length > 0 && form({ submit: 'Show', send: (values) => go(url('/operate/versions', values)) },
      field({ name: 'group', label: 'Gateway group', required: true, options: groups.map((item) => [item.name, item.title || item.name]), value: group })),
    table('Versions', ['Version', 'Made', 'By', 'Why', ''], page.items.map((version) => [
      String(version.version), when(version.created_at), nameOf(version.actor), version.reason || '–',
      h('div', { class: 'row' },
        h('button', { type: 'button', 'aria-label': `Compare version ${version.version}`, onclick: () => compare(version, page.items) }, 'Compare'),
        may('config:rollback') && h('button', { type: 'button', class: 'bad', 'aria-label': `Go back to version ${version.version}`, onclick: () => rollback(version) }, 'Go back')),
    ]), 'There is no version yet: one is made when a gateway of the group connects.'),
    page.next && h('p', {}, h('a', { href: url('/operate/versions', { group, cursor: page.next }) }, 'Older versions')));
}
