// What changes, or would change: of audit events, versions and dry runs.
import { h, table } from './dom.js';

const shown = (value) => (value === undefined || value === null ? h('span', { class: 'quiet' }, 'nothing') : h('code', {}, typeof value === 'string' ? value : JSON.stringify(value)));

// fields({title: {from: 'A', to: 'B'}}, 'orders.v1')
export function fields(changes, caption) {
  return table(caption, ['Field', 'From', 'To'], Object.entries(changes ?? {}).map(([name, change]) => [h('code', {}, name), shown(change?.from), shown(change?.to)]), 'No field changes.');
}

// changes([{action, kind, key, changes}])
export function changes(list, empty = 'Nothing changes.') {
  if (list.length === 0) return h('p', { class: 'quiet' }, empty);
  return h('ul', { class: 'plain' }, list.map((change) => h('li', {}, h('details', {},
    h('summary', {}, `${change.action} `, h('code', {}, `${change.kind}/${change.key}`)), fields(change.changes, `${change.action} ${change.kind}/${change.key}`)))));
}
