// Who changed what.
import { h, table, when } from '../shell/dom.js';
import { get, url } from '../shell/api.js';
import { fields } from '../shell/diff.js';
import { field, form } from '../shell/form.js';
import { dialog } from '../shell/parts.js';
import { go } from '../shell/router.js';
import { subMenu } from './operate.js';
import { nameOf } from './versions.js';

const PAGE = 100;
const FILTERS = ['kind', 'ref', 'action'];

export async function auditTrail({ query }) {
  const given = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  const page = await get(url('/v1/audit-events', { ...given, limit: PAGE, cursor: query.get('cursor') }));
  return h('div', {}, h('h1', {}, 'Audit trail'), subMenu(),
    form({ submit: 'Show', role: 'search', send: (values) => go(url('/operate/audit', values)) }, h('div', { class: 'fields' },
      field({ name: 'kind', label: 'Kind', value: given.kind ?? '', help: 'Such as event-apis.' }),
      field({ name: 'ref', label: 'Name', value: given.ref ?? '', help: 'Such as orders.v1.' }),
      field({ name: 'action', label: 'Action', value: given.action ?? '', help: 'Such as create.' }))),
    table('Audit trail', ['When', 'Who', 'Action', 'What', ''], page.items.map((event) => [
      when(event.at), nameOf(event.actor), event.action, h('span', {}, `${event.kind ?? ''} `, h('code', {}, event.ref ?? event.entity_id ?? '')),
      event.changes && h('button', { type: 'button', 'aria-label': `What changed: ${event.action} ${event.ref ?? ''}`, onclick: () => dialog(`${event.action} ${event.ref ?? ''}`, () => fields(event.changes, 'What changed')) }, 'Changes'),
    ]), 'Nothing was found.'),
    page.next && h('p', {}, h('a', { href: url('/operate/audit', { ...given, cursor: page.next }) }, 'Older')));
}
